// SPDX-License-Identifier: GPL-2.0

//! A value that is set once and read without a lock.
//!
//! On std in all forms: the model checkers see the locks and words around it.

use std::sync::OnceLock;

/// Stand-in for `kernel::sync::SetOnce`.
pub(crate) struct SetOnce<T>(OnceLock<T>);

impl<T> SetOnce<T> {
    /// Makes an unset one.
    pub(crate) fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The value, once it is set.
    pub(crate) fn as_ref(&self) -> Option<&T> {
        self.0.get()
    }

    /// Sets the value; says no if it was set.
    pub(crate) fn populate(&self, value: T) -> bool {
        self.0.set(value).is_ok()
    }
}
