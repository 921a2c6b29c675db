// SPDX-License-Identifier: MIT OR Apache-2.0

//! Benchmarks that run in a guest.
//!
//! - [`ticks`]: the clock, and what its ticks are worth;
//! - [`peer`]: one side of a Binder conversation, made for repetition.

pub mod peer;
pub mod ticks;
