// SPDX-License-Identifier: MIT OR Apache-2.0

//! The cases. Their names are stable: results are compared by name.

#![forbid(unsafe_code)]

use std::time::Duration;

use crate::verdict::{Failure, Verdict};
use crate::{deaths, races};

mod attacks;
mod bad_input;
mod balance;
mod basics;
mod ending;
mod files;
mod handles;
mod lifetime;
mod mapping;
mod multicast;
mod nodes;
mod optional;
mod polling;
mod pool_intruders;
mod pool_memory;
mod pool_payer;
mod pool_stress;
mod pool_views;
mod realms;
mod receiving;
mod reply;
mod sending;
mod sharing;
mod stuck;

pub use optional::figure;

/// One case.
pub struct Case {
    pub name: &'static str,
    pub run: fn() -> Verdict,
    pub limit: Duration,
}

impl Case {
    /// A case that takes next to no time.
    const fn new(name: &'static str, run: fn() -> Verdict) -> Self {
        Case {
            name,
            run,
            limit: Duration::from_secs(20),
        }
    }

    /// A case that works for some seconds, on a slow guest for many.
    const fn long(name: &'static str, run: fn() -> Verdict) -> Self {
        Case {
            name,
            run,
            limit: Duration::from_secs(120),
        }
    }
}

/// Names each function of a list as a case.
macro_rules! cases {
    ($($(#[$long:ident])? $name:ident,)*) => {
        pub const CASES: &[super::Case] = &[
            $( super::cases!(@one $($long)? $name), )*
        ];
    };
    (@one long $name:ident) => { super::Case::long(stringify!($name), $name) };
    (@one $name:ident) => { super::Case::new(stringify!($name), $name) };
}
use cases;

/// All cases in the order in which they are run.
pub fn all() -> Vec<Case> {
    [
        basics::CASES,
        handles::CASES,
        nodes::CASES,
        sending::CASES,
        multicast::CASES,
        receiving::CASES,
        files::CASES,
        mapping::CASES,
        pool_views::CASES,
        pool_intruders::CASES,
        pool_memory::CASES,
        pool_payer::CASES,
        pool_stress::CASES,
        polling::CASES,
        bad_input::CASES,
        lifetime::CASES,
        ending::CASES,
        balance::CASES,
        optional::CASES,
        sharing::CASES,
        stuck::CASES,
        reply::CASES,
        attacks::CASES,
        realms::CASES,
    ]
    .concat()
}

impl Clone for Case {
    fn clone(&self) -> Self {
        Case { ..*self }
    }
}

/// What other processes do for a case: runs `name` in this one.
pub fn helper(name: &str, args: &[&str]) -> i32 {
    let result = match name {
        "touch-the-end" => mapping::touch_the_end(),
        "busy-client" => lifetime::busy_client(args),
        "changer" => multicast::changer(args),
        "destroyer" => races::destroyer(args),
        "carrier" => races::carrier(args),
        "players" => deaths::players(args),
        "talker" => deaths::talker(args),
        "stuck-sender" => stuck::sender(args),
        _ => {
            eprintln!("tests-bus1: no helper is called {name}");
            return 64;
        }
    };
    match result {
        Ok(()) => 0,
        Err(Failure::Skip(why) | Failure::Wrong(why)) => {
            println!("{why}");
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_plain() {
        let cases = all();
        let names: HashSet<&str> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
        for name in names {
            assert!(name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
        }
    }
}
