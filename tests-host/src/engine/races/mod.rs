// SPDX-License-Identifier: GPL-2.0

//! Two threads that do one thing each, at the same time.
//!
//! Each script is a race that the whole engine has to survive, with what must hold afterwards. loom
//! plays all its interleavings, weak memory included, or those up to a number of preemptions, which
//! it prints; shuttle plays random ones.

mod calls;
mod ends;
mod lanes;
mod teardown;

use super::bench::{
    Bench,
    Read,
    B, //
};
use crate::{
    core::transaction::Outcome,
    host::thread, //
};

/// As many preemptions as there can be.
#[cfg_attr(feature = "shuttle", allow(dead_code))]
const ALL: usize = usize::MAX;

/// Runs `script` in all interleavings in which at most so many `preemptions` happen, switches that
/// nothing forces; in all there are if it is `ALL`. In a run that is not thorough they are fewer.
#[cfg(feature = "loom")]
fn explore(name: &str, preemptions: usize, script: impl Fn() + Send + Sync + 'static) {
    let bound = crate::preemptions(preemptions);
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = runs.clone();
    let start = std::time::Instant::now();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = (bound != ALL).then_some(bound);
    builder.max_branches = 20_000;
    builder.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        script();
    });
    let runs = runs.load(std::sync::atomic::Ordering::Relaxed);
    let time = start.elapsed();
    let how_far = match bound {
        ALL => "all".into(),
        bound => format!("bound {bound}"),
    };
    println!("explored {name}, {how_far}: {runs} executions, {time:.1?}");
    assert!(runs > 1, "{name}: nothing was explored");
}

/// Runs `script` in many interleavings.
#[cfg(feature = "shuttle")]
fn explore(name: &str, _: usize, script: impl Fn() + Send + Sync + 'static) {
    let chosen = std::env::var("BUS1_SCHEDULES").ok();
    let chosen = chosen.and_then(|count| count.parse().ok());
    let runs = chosen.unwrap_or_else(|| crate::share(2000) as usize);
    let script = std::sync::Arc::new(script);
    let again = script.clone();
    shuttle::check_random(move || script(), runs);
    shuttle::check_pct(move || again(), runs, 3);
    println!("explored {name}: {} schedules", 2 * runs);
}

/// Does both at the same time.
fn race<R: Send + 'static, S: Send + 'static>(
    bench: &std::sync::Arc<Bench>,
    one: impl FnOnce(&Bench) -> R + Send + 'static,
    two: impl FnOnce(&Bench) -> S + Send + 'static,
) -> (R, S) {
    let (first, second) = (bench.clone(), bench.clone());
    let one = thread::spawn(move || one(&first));
    let two = thread::spawn(move || two(&second));
    (one.join().unwrap(), two.join().unwrap())
}

/// Whether a message was taken.
fn taken(outcome: &Outcome<B>) -> bool {
    !matches!(outcome, Outcome::Refused(..) | Outcome::Cancelled)
}
