// SPDX-License-Identifier: MIT OR Apache-2.0

//! Allocations that fail, one after the other.
//!
//! Each step of both interfaces is done again and again, and the first, second, third
//! … allocation in it fails, until one time none does. A step that fails must say so
//! with the right error, must have had no effect (the engine counts as many objects as
//! before), and must succeed when it is done again. Needs a kernel with FAILSLAB and
//! FAIL_PAGE_ALLOC, and to be root.
//!
//! - [`inject`]: having an allocation fail;
//! - [`native`], [`binder`]: the steps.

pub mod binder;
pub mod inject;
pub mod native;

use rustix::process;
use tests_binder::runner::supervise;
use tests_binder::shm;
use tests_binder::world::Res;

use crate::counters;

/// No step allocates so often.
pub const MOST: u64 = 400;

/// What became of one step.
pub struct Tried {
    /// Its name.
    pub name: &'static str,
    /// How often it failed by an allocation.
    pub failed: u64,
    /// How often an allocation failed, and it did without.
    pub survived: u64,
}

impl Tried {
    /// Not tried yet.
    pub fn new(name: &'static str) -> Self {
        Tried {
            name,
            failed: 0,
            survived: 0,
        }
    }
}

/// Whether a step meets no allocation by what it is.
const WITHOUT: [&str; 2] = ["handle_release", "slice_release"];

/// Tries all steps; TAP on standard output.
pub fn run(dir: &str) -> Res<bool> {
    inject::prepare()?;
    shm::init()?;
    process::set_child_subreaper(Some(process::getpid()))?;
    let steps = native::STEPS.len() + binder::STEPS.len();
    println!("TAP version 13\n1..{}", steps + 1);
    let mut number = 0;
    let mut good = true;
    let mut tell = |name: &str, outcome: Vec<String>, failure: Option<String>| {
        number += 1;
        let verdict = if failure.is_none() { "ok" } else { "not ok" };
        println!("{verdict} {number} faults_{name}");
        for line in outcome.into_iter().chain(failure.clone()) {
            println!("# {line}");
        }
        good &= failure.is_none();
    };
    for step in native::STEPS {
        let verdict = supervise(inject::LIMIT, |trace| native::try_step(step, trace))?;
        tell(step.name, verdict.outcome, verdict.failure);
    }
    for step in binder::STEPS {
        let verdict = binder::try_step(dir, step)?;
        tell(step.name, verdict.outcome, verdict.failure);
    }
    let left = counters::left().map(|left| format!("left when all was closed: {left}"));
    tell("leave_nothing", Vec::new(), left);
    Ok(good)
}

/// What a step that was tried has shown, in words; an error if it shows nothing.
pub fn summary(tried: &Tried) -> Res<String> {
    let Tried {
        name,
        failed,
        survived,
    } = tried;
    if WITHOUT.contains(name) {
        tests_binder::world::same("allocations", failed + survived, 0)?;
        return Ok(format!("{name} allocates nothing"));
    }
    tests_binder::world::check("an allocation has failed", failed + survived > 0)?;
    Ok(format!(
        "{name}: {failed} allocations failed it, {survived} others were done without"
    ))
}
