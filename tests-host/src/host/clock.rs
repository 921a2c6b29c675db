// SPDX-License-Identifier: GPL-2.0

//! Time, real and made up, and what a thread does while it waits for it.
//!
//! The made-up clocks share one counter of readings: each reading is later than all before, whoever
//! takes it, and by far more than stamps grow in between.

use super::backend;
use crate::core::sync::Clock;
use std::{
    cell::Cell,
    sync::OnceLock,
    time::Instant, //
};

/// The time of this machine.
pub(crate) struct Monotonic;

impl Clock for Monotonic {
    fn now() -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        let start = START.get_or_init(Instant::now);
        u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Time that passes between two readings of a made-up clock.
pub(crate) const STEP: u64 = 64;

/// Readings so far. Plain std on purpose: a clock orders nothing, so the model checkers must not see
/// its accesses.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod readings {
    use std::sync::atomic::{
        AtomicU64,
        Ordering, //
    };

    static READINGS: AtomicU64 = AtomicU64::new(1);

    /// Takes one.
    pub(super) fn take() -> u64 {
        READINGS.fetch_add(1, Ordering::Relaxed)
    }

    /// All tests share the clock, so it just goes on.
    pub(super) fn restart() {}
}

/// Under a model checker all threads of a run are one thread of the machine, and have the clock to
/// themselves.
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod readings {
    use std::cell::Cell;

    std::thread_local! {
        static READINGS: Cell<u64> = const { Cell::new(1) };
    }

    /// Takes one.
    pub(super) fn take() -> u64 {
        READINGS.with(|readings| readings.replace(readings.get() + 1))
    }

    /// Begins anew.
    pub(super) fn restart() {
        READINGS.with(|readings| readings.set(1));
    }
}

/// Starts the made-up clocks anew, so that each run of a model sees the same times.
pub(crate) fn restart() {
    readings::restart();
}

/// A fine clock: no two readings are equal.
pub(crate) struct Fine;

impl Clock for Fine {
    fn now() -> u64 {
        readings::take() * STEP
    }
}

/// A clock of which `N` readings in a row are equal.
pub(crate) struct Coarse<const N: u64>;

impl<const N: u64> Clock for Coarse<N> {
    fn now() -> u64 {
        readings::take() / N * STEP
    }
}

/// No time at all: what is left are Lamport clocks.
pub(crate) struct Standing;

impl Clock for Standing {
    const PATIENCE: u32 = 1;

    fn now() -> u64 {
        0
    }
}

backend::thread_local! {
    // loom's macro takes no `const` block.
    #[allow(clippy::missing_const_for_thread_local)]
    static HERE: Cell<u64> = Cell::new(0);
}

/// Sets what [`Manual`] says on this thread.
pub(crate) fn set_here(time: u64) {
    HERE.with(|here| here.set(time));
}

/// A clock of each thread's own, which stands where the test put it: any skew there can be.
pub(crate) struct Manual;

impl Clock for Manual {
    const PATIENCE: u32 = 1;

    fn now() -> u64 {
        HERE.with(Cell::get)
    }
}

/// Lets others run while this thread waits.
pub(crate) fn relax() {
    backend::thread::yield_now();
}

/// A number that was never given before; not zero and not one.
pub(crate) fn unique_id() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(2);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
