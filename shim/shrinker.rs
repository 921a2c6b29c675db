// SPDX-License-Identifier: GPL-2.0

//! Being asked for memory when the kernel runs short.
//!
//! The kernel calls from within an allocation of any task, or from its own threads. So what is asked
//! allocates nothing, and waits for nothing that somebody holds while he allocates.
//!
//! Takes no locks.

use core::{
    pin::Pin,
    ptr,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::Arc, //
};

use super::abi;

/// What `count` says for "nothing at all".
const NOTHING: c_ulong = bindings::SHRINK_EMPTY as c_ulong;

/// What `scan` says for "no use to ask again now".
const STOP: c_ulong = bindings::SHRINK_STOP as c_ulong;

/// Whom to ask, and how.
struct Source<T> {
    cache: Arc<T>,
    count: fn(&T) -> usize,
    free: fn(&T, usize) -> usize,
}

/// A cache that is asked, as long as this value is there.
pub(crate) struct Shrinker<T> {
    raw: NonNull<bindings::shrinker>,
    _source: Pin<KBox<Source<T>>>,
}

// SAFETY: A shrinker may be freed by any thread; the cache may be used by any.
unsafe impl<T: Send + Sync> Send for Shrinker<T> {}

// SAFETY: There is nothing to be done with a shared reference.
unsafe impl<T: Send + Sync> Sync for Shrinker<T> {}

impl<T: Send + Sync + 'static> Shrinker<T> {
    /// Has `cache` asked: `count` for about how much it could free, in any unit, `free` to free about
    /// so much and say how much it was. ENOMEM.
    pub(crate) fn new(
        name: &'static CStr,
        cache: Arc<T>,
        count: fn(&T) -> usize,
        free: fn(&T, usize) -> usize,
    ) -> Result<Self> {
        let source = KBox::pin(Source { cache, count, free }, GFP_KERNEL)?;
        // SAFETY: The name is a string.
        let raw = unsafe { abi::bus1_shrinker_alloc(name.as_char_ptr()) };
        let raw = NonNull::new(raw).ok_or(ENOMEM)?;
        // SAFETY: The shrinker is ours until it is registered. The source outlives it, since `drop`
        // ends it first.
        unsafe {
            let shrinker = raw.as_ptr();
            (*shrinker).count_objects = Some(Self::count);
            (*shrinker).scan_objects = Some(Self::scan);
            (*shrinker).private_data = ptr::from_ref::<Source<T>>(&source).cast_mut().cast();
            bindings::shrinker_register(shrinker);
        }
        Ok(Self {
            raw,
            _source: source,
        })
    }

    /// # Safety
    ///
    /// The kernel calls it for a shrinker that [`Self::new`] registered.
    unsafe fn source<'a>(shrinker: *mut bindings::shrinker) -> &'a Source<T> {
        // SAFETY: The source lives until no call of the shrinker runs any more.
        unsafe { &*(*shrinker).private_data.cast() }
    }

    /// # Safety
    ///
    /// As for [`Self::source`].
    unsafe extern "C" fn count(
        shrinker: *mut bindings::shrinker,
        _control: *mut bindings::shrink_control,
    ) -> c_ulong {
        // SAFETY: By the precondition.
        let source = unsafe { Self::source(shrinker) };
        match (source.count)(&source.cache) {
            0 => NOTHING,
            units => units,
        }
    }

    /// # Safety
    ///
    /// As for [`Self::source`].
    unsafe extern "C" fn scan(
        shrinker: *mut bindings::shrinker,
        control: *mut bindings::shrink_control,
    ) -> c_ulong {
        // SAFETY: By the precondition; the control is valid during the call.
        let (source, most) = unsafe { (Self::source(shrinker), (*control).nr_to_scan) };
        match (source.free)(&source.cache, most) {
            0 => STOP,
            units => units,
        }
    }
}

impl<T> Drop for Shrinker<T> {
    fn drop(&mut self) {
        // SAFETY: It is registered, and no call of it runs any more when this returns.
        unsafe { bindings::shrinker_free(self.raw.as_ptr()) };
    }
}
