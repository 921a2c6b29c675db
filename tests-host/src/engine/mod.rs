// SPDX-License-Identifier: GPL-2.0

//! The whole engine against models of it.
//!
//! * std: `sequential` plays random programs on one thread, where the engine has no choice; `depth`
//!   has long chains and large ends.
//! * shuttle: `schedules` plays random programs of eight peers on a thread each, writes down what
//!   happened (`record`), and asks whether the bus that `model` describes can have such a history.
//!   `tampered` shows that the model refuses others.
//! * loom and shuttle: `races` are small scripts of two threads.

#[cfg(feature = "shuttle")]
mod actor;
#[allow(dead_code)]
mod bench;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod depth;
#[cfg(feature = "shuttle")]
mod model;
#[cfg_attr(not(feature = "shuttle"), allow(dead_code))]
mod program;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod races;
#[cfg_attr(not(feature = "shuttle"), allow(dead_code))]
mod record;
#[cfg(feature = "shuttle")]
mod run;
#[cfg(feature = "shuttle")]
mod schedules;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod sequential;
#[cfg(feature = "shuttle")]
mod tally;
#[cfg(feature = "shuttle")]
mod tampered;
#[cfg_attr(not(feature = "shuttle"), allow(dead_code))]
mod world;
