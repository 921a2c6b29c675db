// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Test Anything Protocol in a few lines: a plan, then a line a check.

use std::io::Write;

/// Counts checks and prints them, each at once, so that a crash loses none.
pub struct Report {
    planned: u32,
    run: u32,
    failed: u32,
}

impl Report {
    /// Prints the plan: so many checks will follow.
    pub fn new(planned: u32) -> Self {
        println!("1..{planned}");
        Self {
            planned,
            run: 0,
            failed: 0,
        }
    }

    /// Prints the result of one check.
    pub fn check(&mut self, ok: bool, name: &str) {
        self.run += 1;
        self.failed += u32::from(!ok);
        let word = if ok { "ok" } else { "not ok" };
        println!("{word} {} {name}", self.run);
        // Who reads us may be gone; the exit status still says the result.
        let _ = std::io::stdout().flush();
    }

    /// Whether every planned check ran and passed.
    pub fn all_passed(&self) -> bool {
        self.failed == 0 && self.run == self.planned
    }
}
