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
            Mutex,
            MutexGuard, //
        },
        thread,
        thread_local, //
    };
    use std::{
        cell::Cell,
        ops::Deref, //
    };

    std::thread_local! {
        static HIDDEN: Cell<bool> = const { Cell::new(false) };
    }

    /// Makes loom blind for the counts of references that are made from now on in this run.
    ///
    /// Each drop of a reference is a point where loom would look at every order with the other drops
    /// of it. A protocol that orders nothing by them has far fewer interleavings without, and fewer
    /// edges that hide a missing one. What it costs is loom's search for leaks.
    pub(crate) fn hide_references(hide: bool) {
        HIDDEN.with(|hidden| hidden.set(hide));
    }

    /// A reference whose count loom sees, or does not.
    pub(crate) enum Arc<T> {
        Seen(loom::sync::Arc<T>),
        Hidden(std::sync::Arc<T>),
    }

    impl<T> Arc<T> {
        /// Makes a shared object.
        pub(crate) fn new(value: T) -> Self {
            adopt(std::sync::Arc::new(value))
        }
    }

    impl<T> Clone for Arc<T> {
        fn clone(&self) -> Self {
            match self {
                Self::Seen(arc) => Self::Seen(arc.clone()),
                Self::Hidden(arc) => Self::Hidden(arc.clone()),
            }
        }
    }

    impl<T> Deref for Arc<T> {
        type Target = T;

        fn deref(&self) -> &T {
            match self {
                Self::Seen(arc) => arc,
                Self::Hidden(arc) => arc,
            }
        }
    }

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
        if HIDDEN.with(Cell::get) {
            Arc::Hidden(arc)
        } else {
            Arc::Seen(loom::sync::Arc::from_std(arc))
        }
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
