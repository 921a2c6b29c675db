// SPDX-License-Identifier: MIT OR Apache-2.0

//! The random native client.
//!
//! A round is a few peers and a few processes that share all of them, each doing
//! what it draws: every command with values that are right, stale, forged or huge,
//! memory that is not there, flushes, disconnection. One of the processes is killed at
//! any moment. What comes back is left to chance, but every error must be one that the
//! interface names for the command, and when all is closed, nothing may be left.
//!
//! - [`client`]: one process; [`commands`]: what it draws;
//! - [`errors`]: which errors are named for what.

pub mod client;
pub mod commands;
pub mod errors;

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use rustix::process::{self, kill_process, waitpid, Pid, Signal, WaitOptions};
use tests_binder::ops;
use tests_binder::runner::supervise;
use tests_binder::shm;
use tests_binder::world::{check, Fail, Res};

use self::client::{Board, Client, PEERS};
use crate::counters;
use crate::random::Rng;

/// Processes of a round.
const CLIENTS: usize = 3;
/// Commands of each.
const COMMANDS: usize = 400;
/// A round that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);

fn open_peer() -> Res<i32> {
    let path = shm::put(b"/dev/bus1\0");
    let flags = (libc::O_RDWR | libc::O_CLOEXEC) as u64;
    match ops::open([path, flags, 0, 0, 0, 0]) {
        fd @ 0.. => Ok(fd as i32),
        error => Err(Fail(format!("opening /dev/bus1: errno {}", -error))),
    }
}

/// A process of a round; says on `trace` what was wrong.
fn start(
    number: usize,
    seed: u64,
    peers: [i32; PEERS],
    board: Board,
    mut trace: &File,
) -> Res<Pid> {
    // SAFETY: The conductor of a round has one thread, so nothing is half done in the
    // child.
    match unsafe { libc::fork() } {
        -1 => Err(Fail("fork failed".into())),
        0 => {
            let mut client = Client::new(peers, board);
            for step in 0..COMMANDS {
                let mut r = Rng::of_step(seed ^ (number as u64) << 56, step);
                if let Err(Fail(why)) = client.command(&mut r) {
                    let _ = writeln!(trace, "client {number} step {step}: {why}");
                    break;
                }
            }
            ops::exit([0; 6]);
            unreachable!("exit doesn't return")
        }
        pid => Pid::from_raw(pid).ok_or_else(|| Fail("fork failed".into())),
    }
}

fn round(seed: u64, trace: &File) -> Res {
    shm::init()?;
    let mut r = Rng::of_step(seed, usize::MAX);
    let mut peers = [0; PEERS];
    for peer in &mut peers {
        *peer = open_peer()?;
    }
    let board = Board::new();
    let mut pids = Vec::new();
    for number in 0..CLIENTS {
        pids.push(start(number, seed, peers, board, trace)?);
    }
    if r.one_in(2) {
        std::thread::sleep(Duration::from_micros(r.draw() % 30_000));
        let _ = kill_process(pids[r.below(CLIENTS)], Signal::KILL);
    }
    for pid in pids {
        let ended = waitpid(Some(pid), WaitOptions::empty())?;
        let signal = ended.and_then(|(_, status)| status.terminating_signal());
        check(
            "a client ends by itself or is killed",
            !matches!(signal, Some(s) if s != 9),
        )?;
    }
    Ok(())
}

/// Plays rounds until the time is up; TAP on standard output.
pub fn run(seed: u64, time: Duration) -> Res<bool> {
    shm::init()?;
    process::set_child_subreaper(Some(process::getpid()))?;
    let end = Instant::now() + time;
    let (mut rounds, mut wrong) = (0, Vec::new());
    while Instant::now() < end && wrong.is_empty() {
        let seed = seed.wrapping_add(rounds);
        let verdict = supervise(LIMIT, |trace| round(seed, &trace))?;
        wrong.extend(verdict.outcome);
        wrong.extend(verdict.failure);
        if let Some(left) = counters::left() {
            wrong.push(format!("left when all was closed: {left}"));
        }
        if !wrong.is_empty() {
            println!("# round with the seed {seed}");
        }
        rounds += 1;
    }
    println!("TAP version 13\n1..1");
    let verdict = if wrong.is_empty() { "ok" } else { "not ok" };
    println!("{verdict} 1 native_random_clients");
    println!("# {rounds} rounds of {CLIENTS} times {COMMANDS} commands");
    for line in &wrong {
        println!("# {line}");
    }
    Ok(wrong.is_empty() && rounds > 0)
}
