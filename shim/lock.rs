// SPDX-License-Identifier: GPL-2.0

//! A sleeping lock that a task can be killed out of while it waits.
//!
//! For locks that are held while user memory is copied or other tasks are waited for: the `Mutex`
//! of the `kernel` crate can only be waited for until the end.

use core::{
    cell::UnsafeCell,
    ops::{
        Deref,
        DerefMut, //
    },
    pin::Pin,
};
use kernel::{
    bindings,
    prelude::*,
    sync::LockClassKey,
    types::{
        NotThreadSafe,
        Opaque, //
    },
};

use super::{
    abi,
    wait::Interrupted, //
};

/// A mutex around a value.
#[pin_data]
pub(crate) struct KillableMutex<T> {
    #[pin]
    raw: Opaque<bindings::mutex>,
    value: UnsafeCell<T>,
}

// SAFETY: The value is only reached by whoever holds the lock.
unsafe impl<T: Send> Send for KillableMutex<T> {}

// SAFETY: As above.
unsafe impl<T: Send> Sync for KillableMutex<T> {}

impl<T> KillableMutex<T> {
    /// Makes a mutex. `name` and `key` (of `static_lock_class!()`) are for lockdep.
    pub(crate) fn new(
        value: T,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: The slot is valid for writes and pinned, name and key live for ever.
            raw <- Opaque::ffi_init(move |slot| unsafe {
                bindings::__mutex_init(slot, name.as_char_ptr(), key.as_ptr())
            }),
            value: UnsafeCell::new(value),
        })
    }

    /// Takes the lock. Fails if the task has been killed.
    pub(crate) fn lock(&self) -> Result<KillableGuard<'_, T>, Interrupted> {
        // SAFETY: The mutex is initialised.
        match unsafe { abi::bus1_mutex_lock_killable(self.raw.get()) } {
            0 => Ok(KillableGuard {
                mutex: self,
                _not_send: NotThreadSafe,
            }),
            _ => Err(Interrupted),
        }
    }
}

/// Proof that the lock is held by this task; dropping it unlocks.
#[must_use = "the lock is released at once when the guard is not kept"]
pub(crate) struct KillableGuard<'a, T> {
    mutex: &'a KillableMutex<T>,
    _not_send: NotThreadSafe,
}

// SAFETY: A shared guard gives shared access to the value only.
unsafe impl<T: Sync> Sync for KillableGuard<'_, T> {}

impl<T> Deref for KillableGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: The lock is held.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for KillableGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: The lock is held, and the guard is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for KillableGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: This task took the lock.
        unsafe { bindings::mutex_unlock(self.mutex.raw.get()) };
    }
}
