// SPDX-License-Identifier: GPL-2.0

//! The engine on the host.
//!
//! `core/` is compiled from the very files that the module is made of, over the stand-in in `host`:
//! std as it is, loom with `--features loom`, shuttle with `--features shuttle`. The tests lie
//! beside it, one file for each part of the engine.

#[allow(dead_code)]
#[path = "../../core/mod.rs"]
mod core;
#[allow(dead_code, unused_imports, unused_macros)]
mod host;

#[cfg(test)]
mod facade;
#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod model;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod quota;
#[cfg(test)]
mod ranges;

/// The KUnit suites, from the same files.
#[cfg(test)]
#[path = "../../tests-kunit"]
mod suites {
    mod call;
    mod handle;
    mod inbox;
    mod lane;
    mod node;
    mod transaction;
}
#[cfg(test)]
#[path = "../../tests-kunit/testbed.rs"]
mod testbed;
