// SPDX-License-Identifier: GPL-2.0

//! A place that is filled once.

use super::atomic::{
    Acquire,
    Atomic,
    Relaxed,
    Release, //
};
use std::cell::UnsafeCell;

const EMPTY: u32 = 0;
const BUSY: u32 = 1;
const FULL: u32 = 2;

/// Stand-in for `kernel::sync::SetOnce`: what fills it, and what looks, is seen by the model checkers.
pub(crate) struct SetOnce<T> {
    state: Atomic<u32>,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is written before it is published, and only shared afterwards.
unsafe impl<T: Send + Sync> Sync for SetOnce<T> {}

impl<T> SetOnce<T> {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        Self {
            state: Atomic::new(EMPTY),
            value: UnsafeCell::new(None),
        }
    }

    /// Looks, if it is filled.
    pub(crate) fn as_ref(&self) -> Option<&T> {
        if self.state.load(Acquire) != FULL {
            return None;
        }
        // SAFETY: once it is full, nobody writes any more.
        unsafe { &*self.value.get() }.as_ref()
    }

    /// Fills it; says no if somebody else has, or is about to.
    pub(crate) fn populate(&self, value: T) -> bool {
        if self.state.cmpxchg(EMPTY, BUSY, Relaxed).is_err() {
            return false;
        }
        // SAFETY: only who found it empty gets here, and nobody looks yet.
        unsafe { *self.value.get() = Some(value) };
        self.state.store(FULL, Release);
        true
    }
}
