// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs the cases, each in a process of its own with a time-out, and reports in
//! the Test Anything Protocol.
//!
//! A process of its own means: what a case leaves open is closed before the next
//! one, limits and namespaces that it changes are its own, and a case that is
//! ended by a signal or hangs costs the others nothing.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cases::Case;
use crate::verdict::Failure;

/// Exit status of a case that was skipped.
const SKIPPED: i32 = 77;

/// How long after SIGKILL a process may take to vanish. One that hangs in the
/// kernel never does, and is left behind.
const GRACE: Duration = Duration::from_secs(5);

/// Cases that take longer are named.
const SLOW: Duration = Duration::from_secs(3);

/// How one case ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    Passed,
    Failed(String),
    Skipped(String),
}

/// How many cases ended how.
#[derive(Default)]
pub struct Totals {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

/// Runs `case` in this process, for [`run`] in another one.
pub fn run_here(case: &Case) -> i32 {
    match (case.run)() {
        Ok(()) => 0,
        Err(Failure::Skip(why)) => {
            println!("{why}");
            SKIPPED
        }
        Err(Failure::Wrong(why)) => {
            println!("{why}");
            1
        }
    }
}

/// Whether the kernel looks so closely at what it does that everything takes far
/// longer, and cases had better do less.
pub fn is_slow() -> bool {
    std::env::var_os("BUS1_SLOW").is_some()
}

/// Whether there is time for what takes long.
pub fn is_thorough() -> bool {
    std::env::var_os("BUS1_THOROUGH").is_some()
}

/// Waits for the end of `child`, at most for `limit`.
pub fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            return Ok(None);
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// The same; a child that does not end in time is killed.
pub fn wait_or_kill(child: &mut Child, limit: Duration) -> Result<ExitStatus, String> {
    let describe = |error: std::io::Error| error.to_string();
    if let Some(status) = wait(child, limit).map_err(describe)? {
        return Ok(status);
    }
    child.kill().map_err(describe)?;
    let limit = limit.as_secs();
    match wait(child, GRACE).map_err(describe)? {
        Some(_) => Err(format!("no end within {limit} s")),
        None => Err(format!("no end within {limit} s, and SIGKILL did not help")),
    }
}

/// What the status and the words of a case's process mean.
fn judge(status: ExitStatus, words: &str) -> Ending {
    let words = words.trim();
    match (status.code(), status.signal()) {
        (Some(0), _) => Ending::Passed,
        (Some(SKIPPED), _) if !words.is_empty() => Ending::Skipped(words.into()),
        (Some(_), _) if !words.is_empty() => Ending::Failed(words.into()),
        (Some(code), _) => Ending::Failed(format!("exit status {code} without a word")),
        (None, signal) => Ending::Failed(format!("ended by signal {}", signal.unwrap_or(0))),
    }
}

fn run(case: &Case) -> Ending {
    let child = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .args(["--case", case.name])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
    });
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Ending::Failed(format!("can't be started: {error}")),
    };
    // A case says one line at most, which the pipe holds until it is read.
    let patience = match (is_slow(), is_thorough()) {
        (true, _) => 6,
        (false, true) => 4,
        (false, false) => 1,
    };
    match wait_or_kill(&mut child, case.limit * patience) {
        Err(why) => Ending::Failed(why),
        Ok(status) => {
            let mut words = Vec::new();
            if let Some(mut out) = child.stdout.take() {
                // Whatever could not be read is missing in the message only.
                let _ = out.read_to_end(&mut words);
            }
            judge(status, &String::from_utf8_lossy(&words))
        }
    }
}

/// Runs the cases and prints their results.
pub fn run_all(cases: &[&Case]) -> Totals {
    let mut totals = Totals::default();
    println!("TAP version 13\n1..{}", cases.len());
    for (number, case) in (1..).zip(cases) {
        let name = case.name;
        let start = Instant::now();
        let ending = run(case);
        let time = start.elapsed();
        if time > SLOW {
            println!("# {name} took {:.1} s", time.as_secs_f64());
        }
        match ending {
            Ending::Passed => {
                totals.passed += 1;
                println!("ok {number} {name}");
            }
            Ending::Skipped(why) => {
                totals.skipped += 1;
                println!("ok {number} {name} # SKIP {}", one_line(&why));
            }
            Ending::Failed(why) => {
                totals.failed += 1;
                println!("not ok {number} {name}\n# {}", one_line(&why));
            }
        }
        // The console of a guest may be cut off at any time.
        let _ = std::io::stdout().flush();
    }
    totals
}

fn one_line(words: &str) -> String {
    words.lines().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    #[test]
    fn only_zero_is_a_pass() {
        assert_eq!(judge(code(0), ""), Ending::Passed);
        assert_eq!(judge(code(1), "why\n"), Ending::Failed("why".into()));
        assert!(matches!(judge(code(1), ""), Ending::Failed(_)));
        assert!(matches!(judge(code(101), ""), Ending::Failed(_)));
        assert!(matches!(
            judge(ExitStatus::from_raw(9), ""),
            Ending::Failed(_)
        ));
    }

    #[test]
    fn a_skip_needs_a_reason() {
        assert_eq!(judge(code(SKIPPED), "no\n"), Ending::Skipped("no".into()));
        assert!(matches!(judge(code(SKIPPED), " \n"), Ending::Failed(_)));
    }

    #[test]
    fn an_endless_child_is_killed() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let result = wait_or_kill(&mut child, Duration::from_millis(50));
        assert_eq!(result, Err("no end within 0 s".into()));
    }
}
