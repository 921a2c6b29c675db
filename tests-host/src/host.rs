// SPDX-License-Identifier: GPL-2.0
//! Stand-in for what `core::sync` takes from the kernel crate.
pub(crate) use pinned_init::{pin_data, pin_init, PinInit};
pub(crate) use std::sync::Arc;
use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard},
};
#[derive(Debug, PartialEq)]
pub(crate) struct AllocError;
pub(crate) struct Flags;
pub(crate) const GFP_KERNEL: Flags = Flags;
pub(crate) struct KBox<T>(Box<T>);
impl<T> KBox<T> {
    pub(crate) fn new(v: T, _: Flags) -> Result<Self, AllocError> {
        Ok(Self(Box::new(v)))
    }
}
impl<T> Deref for KBox<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
impl<T> DerefMut for KBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
pub(crate) struct SpinLock<T>(Mutex<T>);
impl<T> SpinLock<T> {
    pub(crate) fn new(v: T) -> Self {
        Self(Mutex::new(v))
    }
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }
}
/// A plain value is its own initialiser.
macro_rules! new_spinlock {
    ($v:expr, $name:literal) => {
        $crate::host::SpinLock::new($v)
    };
}
pub(crate) use new_spinlock;
/// Allocates and initialises in place, as the kernel's `Arc::pin_init` does.
pub(crate) fn try_arc<T>(
    init: impl PinInit<T, std::convert::Infallible>,
) -> Result<Arc<T>, AllocError> {
    let mut slot = Arc::<T>::new_uninit();
    let place = Arc::get_mut(&mut slot).ok_or(AllocError)?;
    // SAFETY: `place` is valid for writes, and never moves: the engine moves nothing out of an `Arc`.
    match unsafe { init.__pinned_init(place.as_mut_ptr()) } {
        Ok(()) => {}
        Err(never) => match never {},
    }
    // SAFETY: initialised just above.
    Ok(unsafe { slot.assume_init() })
}
