// SPDX-License-Identifier: GPL-2.0

//! The whole engine against models of it.
//!
//! * std: `sequential` plays random programs on one thread, where the engine has no choice.

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod sequential;
