// SPDX-License-Identifier: GPL-2.0

//! Numbers of the whole module. Tests run side by side in one process, so each thread has its own:
//! a test that stays on one thread sees what it did itself.

use std::cell::Cell;

const TALLIES: usize = 16;

thread_local! {
    static NUMBERS: [Cell<i64>; TALLIES] = const { [const { Cell::new(0) }; TALLIES] };
}

/// Adds `delta` to number `index`.
pub(crate) fn tally(index: usize, delta: i64) {
    // Thread-local data may be gone while a thread ends; then nobody asks any more.
    let _ = NUMBERS.try_with(|numbers| numbers[index].set(numbers[index].get() + delta));
}

/// Number `index`.
pub(crate) fn tallied(index: usize) -> u64 {
    NUMBERS.with(|numbers| numbers[index].get().max(0) as u64)
}
