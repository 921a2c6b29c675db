// SPDX-License-Identifier: GPL-2.0

//! Shared references.
//!
//! A type of our own, not std's: so `self: &Arc<Self>`, weak references and counts, which not all
//! forms offer, do not compile by accident.

use super::{
    alloc::{
        allocate,
        AllocError,
        Flags, //
    },
    backend,
    numbers, //
};
use pinned_init::PinInit;
use std::{
    convert::Infallible,
    ops::Deref, //
};

/// A shared reference.
pub(crate) struct Arc<T>(backend::Arc<T>);

impl<T> Arc<T> {
    /// Allocates a shared object.
    pub(crate) fn new(value: T, _: Flags) -> Result<Self, AllocError> {
        allocate()?;
        Ok(Self(backend::Arc::new(value)).born())
    }

    /// A new object, and its number.
    fn born(self) -> Self {
        numbers::born(Self::as_ptr(&self));
        self
    }

    /// Whether both are references to one object.
    pub(crate) fn ptr_eq(this: &Self, other: &Self) -> bool {
        std::ptr::eq(Self::as_ptr(this), Self::as_ptr(other))
    }

    /// Where the object is.
    pub(crate) fn as_ptr(this: &Self) -> *const T {
        &**this
    }

    /// Borrows the reference.
    pub(crate) fn as_arc_borrow(&self) -> ArcBorrow<'_, T> {
        ArcBorrow(self)
    }
}

impl<T> Clone for Arc<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> From<ArcBorrow<'_, T>> for Arc<T> {
    fn from(borrow: ArcBorrow<'_, T>) -> Self {
        borrow.0.clone()
    }
}

/// A reference to an object that is known to be in an [`Arc`].
pub(crate) struct ArcBorrow<'a, T>(&'a Arc<T>);

impl<T> Clone for ArcBorrow<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ArcBorrow<'_, T> {}

impl<T> Deref for ArcBorrow<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

/// Allocates a shared object and initialises it in place: what is pinned never moves.
pub(crate) fn try_arc<T>(init: impl PinInit<T, Infallible>) -> Result<Arc<T>, AllocError> {
    allocate()?;
    let mut slot = std::sync::Arc::<T>::new_uninit();
    let place = std::sync::Arc::get_mut(&mut slot).ok_or(AllocError)?;
    // SAFETY: the place is ours alone, valid for writes, and an object in an `Arc` never moves.
    unsafe { init.__pinned_init(place.as_mut_ptr()) }.map_err(|never| match never {})?;
    // SAFETY: it was initialised just above.
    Ok(Arc(backend::adopt(unsafe { slot.assume_init() })).born())
}
