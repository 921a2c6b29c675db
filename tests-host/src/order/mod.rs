// SPDX-License-Identifier: GPL-2.0

//! The global order, on the very source that the module is made of.
//!
//! Promised are: one order for all queues (`consistency`), which holds what a sender did before
//! (`causality`) and, on a clock that all CPUs share, what anybody did before, whatever channel told
//! of it (`real_time`). `history` judges what was delivered without looking at stamps; `world` runs
//! scripts of senders and readers on the engine. Who runs them depends on the form:
//!
//! * std: random programs, one after the other against a plain model, and with threads;
//! * loom: small scripts in all interleavings, weak memory included, up to a number of preemptions;
//! * shuttle: larger scripts in many random schedules, with readers that really sleep.

mod actor;
mod deliveries;
pub(crate) mod history;
mod world;

#[cfg(feature = "loom")]
mod exhaustive;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod programs;
#[cfg(feature = "shuttle")]
mod schedules;
#[cfg(not(feature = "loom"))]
mod scripts;
