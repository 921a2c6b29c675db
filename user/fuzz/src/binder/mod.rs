// SPDX-License-Identifier: MIT OR Apache-2.0

//! The random Binder client.
//!
//! A stream is a number of steps; each is one call of the driver, or something
//! that happens to a process. They are played one after the other on a device of
//! their own, by the actors of the conformance program, and what the driver
//! answers is written down as there: return codes, errnos, consumed counts, what
//! lies in buffers, with addresses told from the start of the buffer and processes
//! by name. The same streams played on two drivers must read the same.
//!
//! What drivers are known to answer differently (the conformance program has the
//! list) is not drawn: counts that buffers hold are not given back by commands, a
//! thread reads all of its queue before it leaves the driver, nobody is thawed or
//! frozen before those who listen have heard the last state, memory ends where
//! commands are cut off, no pointer with children stands at the start of the data.
//! Nor is what is left to chance: a process of which a thread waits gives commands and
//! reads in calls of their own.
//!
//! - [`content`]: what messages are made of; [`arrived`]: what became of it;
//! - [`party`]: what a process knows; [`play`]: playing;
//! - [`talk`], [`events`]: the steps;
//! - [`judge`]: comparing two drivers;
//! - [`storm`]: many streams at the same time on one device, with nothing compared.

pub mod arrived;
pub mod content;
pub mod events;
pub mod judge;
pub mod party;
pub mod play;
pub mod storm;
pub mod talk;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use rustix::{process, thread};
use tests_binder::runner::{slurp, supervise, Verdict};
use tests_binder::shm;
use tests_binder::world::{ctl_add, same, Cx, Fail, Res};

use self::play::{settle, stock_files, Play};
use crate::counters;
use crate::random::Rng;
use crate::spec::{parse_list, Spec};

/// A stream that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Which streams are played.
pub struct Plan<'a> {
    /// The binderfs directory.
    pub dir: &'a str,
    /// Files with names of streams, which are played first.
    pub lists: Vec<String>,
    /// More streams, from this seed on.
    pub seed: u64,
    /// How long more are begun.
    pub time: Duration,
    /// Where the outcomes go.
    pub outcomes: &'a str,
}

/// Plays a stream on a device of its own.
fn play(dir: &str, spec: &Spec, others: Option<usize>) -> Res<Verdict> {
    let (added, ..) = ctl_add(dir, b"fuzz")?;
    same("CTL_ADD", added, 0)?;
    let path = format!("{dir}/fuzz");
    let mut verdict = supervise(LIMIT, |trace| {
        shm::init()?;
        let mut play = Play::new(Cx::new(dir, &path, trace), spec.seed, false, others)?;
        for step in &spec.steps {
            play.cx.note(format!("#{step}"));
            play.step(&mut Rng::of_step(spec.seed, *step))?;
        }
        play.cx.note("#end");
        play.finale(&mut Rng::of_step(spec.seed, usize::MAX - 2))
    })?;
    std::fs::remove_file(&path)?;
    if let Some(others) = others {
        settle(others)?;
    }
    if let Some(left) = counters::left() {
        verdict.failure = Some(format!("left when all was closed: {left}"));
    }
    Ok(verdict)
}

/// Plays streams and writes down what comes back; says how many.
pub fn run(plan: &Plan<'_>) -> Res<usize> {
    shm::init()?;
    process::set_child_subreaper(Some(process::getpid()))?;
    // Switching from one process to the other takes far longer across processors.
    let mut one_cpu = thread::CpuSet::new();
    one_cpu.set(0);
    thread::sched_setaffinity(None, &one_cpu)?;
    let others = stock_files();
    let mut outcomes = BufWriter::new(File::create(plan.outcomes)?);
    let mut played = 0;
    let mut one = |spec: &Spec| -> Res {
        let verdict = play(plan.dir, spec, others)?;
        let mut steps = verdict.outcome;
        if let Some(why) = verdict.failure {
            steps.push(format!("FAILED {why}"));
        }
        writeln!(outcomes, "{spec}\t{}", steps.join("; "))?;
        played += 1;
        Ok(())
    };
    let mut known = BTreeMap::new();
    for list in &plan.lists {
        for spec in parse_list(&slurp(list)?).map_err(Fail)? {
            if known.insert(spec.to_string(), ()).is_none() {
                one(&spec)?;
            }
        }
    }
    let begun = Instant::now();
    let mut seed = plan.seed;
    while begun.elapsed() < plan.time {
        one(&Spec::whole(seed))?;
        seed = seed.wrapping_add(1);
    }
    outcomes.flush()?;
    Ok(played)
}
