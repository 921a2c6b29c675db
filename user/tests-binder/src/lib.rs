// SPDX-License-Identifier: MIT OR Apache-2.0

//! Conformance program for the Binder user ABI.
//!
//! It speaks bare ioctls, so that every count, errno and return code that a
//! driver produces is visible, and runs against any binderfs directory. A case
//! is a short sequential script: one process, the *conductor*, has it done by
//! *actors*, which are forked processes and their threads. Everything that the
//! driver answers goes into the case's outcome, masked of what differs from
//! boot to boot, so that two drivers can be compared line by line.
//!
//! - [`abi`]: numbers and structures;
//! - [`shm`], [`ops`]: how the conductor has an actor do something;
//! - [`wire`], [`memory`], [`returns`]: command streams out, return codes in;
//! - [`world`], [`actor`], [`request`]: what the cases are written with;
//! - [`stress`], [`deep`], [`shapes`]: actors that run by themselves;
//! - [`cases`]: the cases;
//! - [`sched`]: how actor threads are scheduled;
//! - [`runner`], [`compare`]: TAP, time-outs, comparison of two drivers.

pub mod abi;
pub mod actor;
pub mod cases;
pub mod compare;
pub mod deep;
pub mod memory;
pub mod ops;
pub mod request;
pub mod returns;
pub mod runner;
pub mod sched;
pub mod shapes;
pub mod shm;
pub mod stress;
pub mod wire;
pub mod world;
