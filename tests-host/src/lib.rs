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

/// How a property test runs: `count` random cases, more with `PROPTEST_CASES`. A failing case is
/// printed in full, and not written into the tree.
#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
fn cases(count: u32) -> proptest::test_runner::Config {
    let chosen = std::env::var("PROPTEST_CASES").ok();
    proptest::test_runner::Config {
        cases: chosen.and_then(|cases| cases.parse().ok()).unwrap_or(count),
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
