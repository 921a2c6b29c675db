// SPDX-License-Identifier: MIT OR Apache-2.0

//! `binder-roundtrip`: what a synchronous Binder call and its reply cost.
//!
//! A server, which is the context manager, and a client share one CPU. Each
//! trip carries 64 bytes there and 64 bytes back; both buffers are freed. The
//! result is the mean over all trips of everything that the CPU did: both
//! processes, the driver, the scheduler and the timer.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::ExitCode;

use bench::peer::Peer;
use bench::ticks;
use rustix::process::{kill_process, waitpid, Pid, Signal, WaitOptions};
use rustix::thread::{sched_setaffinity, CpuSet};
use tests_binder::abi::{bc, nr};
use tests_binder::shm;
use tests_binder::world::ctl_add;

const USAGE: &str = "\
usage: binder-roundtrip --device PATH [--iterations N] [--warm-up N]

Prints 'roundtrip_64B iterations=N instructions=T instructions_per_trip=I', with
'ticks' for 'instructions' where the time stamp counter does not count those. A
device that is not there is created, if binder-control lies beside it.
";

struct Arguments {
    device: String,
    iterations: u64,
    warm_up: u64,
}

fn arguments() -> Option<Arguments> {
    let mut parsed = Arguments {
        device: String::new(),
        iterations: 20_000,
        warm_up: 2_000,
    };
    let mut rest = std::env::args().skip(1);
    while let Some(option) = rest.next() {
        let value = rest.next()?;
        match option.as_str() {
            "--device" => parsed.device = value,
            "--iterations" => parsed.iterations = value.parse().ok()?,
            "--warm-up" => parsed.warm_up = value.parse().ok()?,
            _ => return None,
        }
    }
    (!parsed.device.is_empty() && parsed.iterations > 0).then_some(parsed)
}

/// Creates the device if it is missing.
fn provide(device: &str) -> io::Result<()> {
    let path = Path::new(device);
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(ErrorKind::InvalidInput));
    };
    if path.exists() || !dir.join("binder-control").exists() {
        return Ok(());
    }
    shm::init()?;
    let (result, ..) = ctl_add(&dir.to_string_lossy(), name.as_encoded_bytes())
        .map_err(|fail| io::Error::other(fail.0))?;
    match result {
        0 => Ok(()),
        failed => Err(io::Error::from_raw_os_error(-failed as i32)),
    }
}

/// Serves calls until it is killed.
fn serve(device: &str, ready: rustix::fd::OwnedFd) -> io::Result<()> {
    let mut peer = Peer::new(device, bc::REPLY)?;
    peer.control(nr::SET_CONTEXT_MGR, 0)?;
    peer.join_pool()?;
    rustix::io::write(&ready, &[1])?;
    let mut last = 0;
    loop {
        last = peer.accept(last)?;
        peer.reply()?;
    }
}

/// Ticks of `iterations` trips after `warm_up` others.
fn measure(arguments: &Arguments) -> io::Result<u64> {
    let mut peer = Peer::new(&arguments.device, bc::TRANSACTION)?;
    peer.join_pool()?;
    let mut last = 0;
    for _ in 0..arguments.warm_up {
        last = peer.call(last)?;
    }
    ticks::mark_begin();
    let begin = ticks::now();
    for _ in 0..arguments.iterations {
        last = peer.call(last)?;
    }
    let end = ticks::now();
    ticks::mark_end();
    Ok(end - begin)
}

fn run(arguments: &Arguments) -> io::Result<()> {
    provide(&arguments.device)?;
    let mut one = CpuSet::new();
    one.set(0);
    // Inherited by the server.
    sched_setaffinity(None, &one)?;
    let (reader, writer) = rustix::pipe::pipe()?;
    // SAFETY: This process has one thread, so nothing is half done in the
    // child.
    let server = match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {
            drop(reader);
            if let Err(error) = serve(&arguments.device, writer) {
                eprintln!("binder-roundtrip: server: {error}");
            }
            std::process::exit(1);
        }
        pid => Pid::from_raw(pid),
    };
    drop(writer);
    let result = match rustix::io::read(&reader, &mut [0; 1])? {
        1 => measure(arguments),
        _ => Err(io::Error::other("the server did not start")),
    };
    if let Some(server) = server {
        // It may be gone already; then there is nothing to end.
        let _ = kill_process(server, Signal::KILL);
        waitpid(Some(server), WaitOptions::empty())?;
    }
    let (total, trips) = (result?, arguments.iterations);
    let unit = ticks::unit(ticks::per_instruction());
    let each = total as f64 / trips as f64;
    println!("roundtrip_64B iterations={trips} {unit}={total} {unit}_per_trip={each:.1}");
    Ok(())
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("binder-roundtrip: {error}");
            ExitCode::FAILURE
        }
    }
}
