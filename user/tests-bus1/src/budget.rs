// SPDX-License-Identifier: MIT OR Apache-2.0

//! How peers that are opened from now on are limited, for as long as a case needs it.
//!
//! The module's parameters say it; only root can write them.

#![forbid(unsafe_code)]

use std::fs;

use crate::verdict::{skip, Verdict};

/// A parameter of the module that is set back with this value.
struct Parameter {
    file: String,
    old: String,
}

impl Parameter {
    fn set(name: &str, value: &str) -> Verdict<Self> {
        let file = format!("/sys/module/bus1/parameters/{name}");
        let Ok(old) = fs::read_to_string(&file) else {
            return skip(format!("there is no {file}"));
        };
        fs::write(&file, value)?;
        Ok(Parameter { file, old })
    }
}

impl Drop for Parameter {
    fn drop(&mut self) {
        // Nothing to be done about it, and the next one sets what it needs.
        let _ = fs::write(&self.file, &self.old);
    }
}

/// How much all peers of a user may have together.
pub struct Budget(#[allow(dead_code)] Parameter);

impl Budget {
    /// Large enough that a user's first peer can book half of its limits, and that the tests' user can
    /// be everybody in a test. For users who have no peer yet.
    pub fn large() -> Verdict<Self> {
        Parameter::set("user_budget_bytes", &(1 << 30).to_string()).map(Budget)
    }
}

/// By which rule a receiver is shared among its senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The module's own.
    Ours,
    /// That of 2016, if the module was built to be compared with it.
    Of2016,
}

impl Rule {
    /// Makes it the rule of the peers that are opened while this is there.
    pub fn hold(self) -> Verdict<RuleHeld> {
        let held = match self {
            Rule::Ours => None,
            Rule::Of2016 => Some(Parameter::set("share_rule", "2016")?),
        };
        Ok(RuleHeld(held))
    }
}

/// A rule that is in force.
pub struct RuleHeld(#[allow(dead_code)] Option<Parameter>);
