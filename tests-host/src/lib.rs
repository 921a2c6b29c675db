// SPDX-License-Identifier: GPL-2.0

//! The engine on the host.
//!
//! `core/` is compiled from the very files that the module is made of, over the stand-in in `host`:
//! std as it is, loom with `--features loom`, shuttle with `--features shuttle`. The tests lie
//! beside it, one file for each part of the engine.

#[allow(dead_code, unused_imports)]
#[path = "../../core/mod.rs"]
mod core;
#[allow(dead_code, unused_imports, unused_macros)]
mod host;

/// Arithmetic of a personality that names nothing else.
#[allow(dead_code)]
#[path = "../../uapi-binder/priority.rs"]
mod binder_priority;

#[cfg(test)]
mod concurrent;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod facade;
#[cfg(test)]
mod order;
#[cfg(test)]
#[path = "../../tests-kunit/sync.rs"]
mod sync_suite;

/// Whether tests are to go as far as they can: `BUS1_THOROUGH` is set. Else they look at the same
/// things, and not as far, so that they are over soon.
#[cfg(test)]
fn thorough() -> bool {
    std::env::var_os("BUS1_THOROUGH").is_some()
}

/// How often something random is tried, of `full` times.
#[cfg(test)]
#[cfg_attr(feature = "loom", allow(dead_code))]
fn share(full: u32) -> u32 {
    if thorough() {
        full
    } else {
        full / 5
    }
}

/// How many preemptions a model checker looks at, of `full`.
#[cfg(all(test, feature = "loom"))]
fn preemptions(full: usize) -> usize {
    if thorough() {
        full
    } else {
        full.min(2)
    }
}

/// How a property test runs: a share of `count` random cases, or as many as `PROPTEST_CASES` says. A
/// failing case is printed in full, and not written into the tree.
#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
fn cases(count: u32) -> proptest::test_runner::Config {
    let chosen = std::env::var("PROPTEST_CASES").ok();
    proptest::test_runner::Config {
        cases: chosen
            .and_then(|cases| cases.parse().ok())
            .unwrap_or_else(|| share(count)),
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    }
}

/// Tests without threads; the model checkers would add nothing.
#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod sequential {
    mod copies;
    mod counts;
    mod drops;
    mod memory;
    mod pool;
    mod queue;
    mod quota;
    mod ranges;
    mod reclaim;
}

/// The KUnit suites, from the same files.
#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
#[path = "../../tests-kunit"]
mod suites {
    mod anchor;
    mod call;
    mod charge;
    mod destroy;
    mod dispatch;
    mod entry;
    mod flush;
    mod handle;
    mod inbox;
    mod lane;
    mod message;
    mod node;
    mod order;
    mod peer;
    mod personality;
    mod pool;
    mod principal;
    mod priority;
    mod queue;
    mod quota;
    mod ranges;
    mod reclaim;
    mod share;
    mod stats;
    mod transaction;
    mod watch;
}
#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
#[path = "../../tests-kunit/amid.rs"]
mod amid;
#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
#[path = "../../tests-kunit/testbed.rs"]
mod testbed;
