// SPDX-License-Identifier: MIT OR Apache-2.0

//! Many streams at the same time on one device, each cut off at any moment: what
//! they get is left to chance, but nothing may be left behind.

use std::time::{Duration, Instant};

use rustix::process::{self, WaitOptions};
use tests_binder::runner::supervise;
use tests_binder::shm;
use tests_binder::world::{ctl_add, same, Cx, Fail, Res};

use super::play::Play;
use crate::counters;
use crate::random::Rng;
use crate::spec::STEPS;

/// Streams at the same time.
const PLAYERS: u64 = 4;

/// Plays streams until the time is up; each may last for some tenths of a second.
fn player(dir: &str, path: &str, seed: u64, end: Instant) -> Res<u64> {
    process::set_child_subreaper(Some(process::getpid()))?;
    let mut r = Rng::of_step(seed, usize::MAX);
    let mut played = 0;
    while Instant::now() < end {
        let seed = r.draw();
        let limit = Duration::from_millis(100 + r.draw() % 1500);
        let verdict = supervise(limit, |trace| {
            shm::init()?;
            let mut play = Play::new(Cx::new(dir, path, trace), seed, true, None)?;
            for step in 0..10 * STEPS {
                play.step(&mut Rng::of_step(seed, step))?;
            }
            Ok(())
        })?;
        played += 1;
        match verdict.failure {
            Some(why) if !why.starts_with("no end after") => {
                return Err(Fail(format!("stream {seed}: {why}")));
            }
            _ => {}
        }
    }
    Ok(played)
}

/// Has a number of players meet on one device for some time.
pub fn run(dir: &str, seed: u64, time: Duration) -> Res<bool> {
    shm::init()?;
    let (added, ..) = ctl_add(dir, b"storm")?;
    same("CTL_ADD", added, 0)?;
    let path = format!("{dir}/storm");
    let end = Instant::now() + time;
    for number in 0..PLAYERS {
        // SAFETY: This process has one thread, so nothing is half done in the child.
        match unsafe { libc::fork() } {
            -1 => return Err(Fail("fork failed".into())),
            0 => {
                let ended = player(dir, &path, seed.wrapping_add(number << 32), end);
                match &ended {
                    Ok(played) => println!("# player {number}: {played} streams"),
                    Err(why) => println!("# player {number}: {why}"),
                }
                std::process::exit(i32::from(ended.is_err()));
            }
            _ => {}
        }
    }
    let mut good = true;
    while let Ok(Some((_, status))) = process::wait(WaitOptions::empty()) {
        good &= status.exit_status() == Some(0);
    }
    std::fs::remove_file(&path)?;
    let left = counters::left();
    if let Some(left) = &left {
        println!("# left when all was closed: {left}");
    }
    println!("TAP version 13\n1..2");
    let verdict = |good: bool| if good { "ok" } else { "not ok" };
    println!("{} 1 binder_storm_ends", verdict(good));
    println!("{} 2 binder_storm_leaves_nothing", verdict(left.is_none()));
    Ok(good && left.is_none())
}
