// SPDX-License-Identifier: GPL-2.0

//! What runs the threads: std, or one of the two model checkers.
//!
//! The features `loom` and `shuttle` of this crate choose; without them it is std. Everything above
//! (locks, references, atomics) is written once against the names here.

#[cfg(all(feature = "loom", feature = "shuttle"))]
compile_error!("choose one of the features loom and shuttle");

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod imp {
    pub(crate) use std::{
        sync::{
            atomic,
            Arc,
            Mutex,
            MutexGuard, //
        },
        thread,
        thread_local, //
    };

    /// Runs `body` once: real threads have no schedules to choose from.
    pub(crate) fn model(body: impl Fn() + Send + Sync + 'static) {
        body();
    }

    /// Adopts a reference of std.
    pub(crate) fn adopt<T>(arc: Arc<T>) -> Arc<T> {
        arc
    }
}

#[cfg(feature = "loom")]
mod imp {
    pub(crate) use loom::{
        sync::{
            atomic,
            Arc,
            Mutex,
            MutexGuard, //
        },
        thread,
        thread_local, //
    };

    /// Switches between threads that are not forced by a lock, in one run.
    const PREEMPTIONS: usize = 3;

    /// Runs `body` in all its interleavings with few switches.
    pub(crate) fn model(body: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(PREEMPTIONS);
        builder.check(body);
    }

    /// Adopts a reference of std.
    pub(crate) fn adopt<T>(arc: std::sync::Arc<T>) -> Arc<T> {
        Arc::from_std(arc)
    }
}

#[cfg(feature = "shuttle")]
mod imp {
    pub(crate) use shuttle::{
        sync::{
            atomic,
            Arc,
            Mutex,
            MutexGuard, //
        },
        thread,
        thread_local, //
    };

    /// Schedules that are tried for one body.
    const SCHEDULES: usize = 1000;

    /// Runs `body` in random interleavings.
    pub(crate) fn model(body: impl Fn() + Send + Sync + 'static) {
        shuttle::check_random(body, SCHEDULES);
    }

    /// Adopts a reference of std.
    pub(crate) fn adopt<T>(arc: std::sync::Arc<T>) -> Arc<T> {
        arc
    }
}

pub(crate) use imp::*;
