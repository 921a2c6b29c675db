// SPDX-License-Identifier: MIT OR Apache-2.0

//! How much all peers of a user may have together, for as long as a case needs it.
//!
//! The module's parameter says it; only root can write that.

#![forbid(unsafe_code)]

use std::fs;

use crate::verdict::{skip, Verdict};

/// A budget that is dropped with this value.
pub struct Budget(String);

const BUDGET: &str = "/sys/module/bus1/parameters/user_budget_bytes";

impl Budget {
    /// Large enough that a user's first peer can book half of its limits, and that the tests' user can
    /// be everybody in a test. For peers that are opened from now on, of users who have none yet.
    pub fn large() -> Verdict<Self> {
        let Ok(old) = fs::read_to_string(BUDGET) else {
            return skip(format!("there is no {BUDGET}"));
        };
        fs::write(BUDGET, (1 << 30).to_string())?;
        Ok(Budget(old))
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        // Nothing to be done about it, and the next one sets what it needs.
        let _ = fs::write(BUDGET, &self.0);
    }
}
