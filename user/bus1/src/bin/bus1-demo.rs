// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs the example programs one after the other and says what they show.
//!
//! `bus1-demo [FOLDER]`: the programs are in FOLDER, or in `examples` beside
//! this program. The exit status is 0 if all of them did what they should.

#![forbid(unsafe_code)]

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// No example works for longer than this.
const LIMIT: Duration = Duration::from_secs(60);

struct Part {
    program: &'static str,
    about: &'static str,
}

const PARTS: [Part; 5] = [
    Part {
        program: "hello",
        about: "Two peers on /dev/bus1, one message.",
    },
    Part {
        program: "handles",
        about: "The right to talk to an object is passed on in a message, used, and given up.",
    },
    Part {
        program: "fdpass",
        about: "One process sends another a file of memory.",
    },
    Part {
        program: "multicast",
        about: "Messages to several receivers at once arrive in the same order everywhere.",
    },
    Part {
        program: "destroy",
        about: "A process destroys its object while others hold it; all of them are told.",
    },
];

/// The C program is there only if somebody has built it.
const IN_C: Part = Part {
    program: "hello-c",
    about: "The first example once more, as a C program on the bare interface.",
};

/// Waits for `child`, but not for ever.
fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        sleep(Duration::from_millis(5));
    }
    child.kill()?;
    Ok(None)
}

fn run(program: &Path) -> Result<(), String> {
    let mut child = Command::new(program)
        .spawn()
        .map_err(|error| format!("{} can't be started: {error}", program.display()))?;
    match wait(&mut child).map_err(|error| error.to_string())? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(status.to_string()),
        None => Err(format!("no end after {} s", LIMIT.as_secs())),
    }
}

fn folder() -> io::Result<PathBuf> {
    if let Some(folder) = std::env::args_os().nth(1) {
        return Ok(folder.into());
    }
    let mut folder = std::env::current_exe()?;
    folder.set_file_name("examples");
    Ok(folder)
}

fn main() -> ExitCode {
    let folder = match folder() {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("bus1-demo: where are the examples? {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut parts: Vec<&Part> = PARTS.iter().collect();
    if folder.join(IN_C.program).exists() {
        parts.push(&IN_C);
    }
    let mut failed = 0;
    for part in &parts {
        println!("== {}: {}", part.program, part.about);
        if let Err(why) = run(&folder.join(part.program)) {
            println!("== {}: FAILED: {why}", part.program);
            failed += 1;
        }
        println!();
    }
    println!(
        "native demo: {} programs did what they should, {failed} failed",
        parts.len() - failed
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
