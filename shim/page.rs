// SPDX-License-Identifier: GPL-2.0

//! One page of a pool, its lock, and who pays for it.
//!
//! Everything here is an owned reference. The lock is that of the page itself, which the kernel takes
//! when it maps the page: who has it knows that nobody is in the middle of mapping the page.

use core::{
    mem,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    prelude::*, //
};

use super::abi;

/// A reference to a page.
///
/// # Invariants
///
/// The pointer owns one reference of the page's count.
#[repr(transparent)]
pub(super) struct PageRef(NonNull<bindings::page>);

// SAFETY: `PageRef` has the layout of `NonNull`, so `None` is a null pointer.
unsafe impl pin_init::ZeroableOption for PageRef {}

// SAFETY: A page may be used and freed by any thread.
unsafe impl Send for PageRef {}

impl PageRef {
    /// Allocates a zeroed page, charged to the cgroup of the surrounding [`Payer::charged`].
    pub(super) fn new() -> Option<Self> {
        // INVARIANT: A new page comes with one reference.
        // SAFETY: Process context; the callers hold no lock.
        NonNull::new(unsafe { abi::bus1_page_alloc() }).map(Self)
    }

    /// For C.
    pub(super) fn as_ptr(&self) -> *mut bindings::page {
        self.0.as_ptr()
    }

    /// Gives the reference away.
    pub(super) fn into_raw(self) -> *mut bindings::page {
        let raw = self.as_ptr();
        mem::forget(self);
        raw
    }

    /// Locks the page; sleeps.
    pub(super) fn lock(self) -> LockedPage {
        // INVARIANT: The page is locked, by us.
        // SAFETY: The page is alive, and the callers hold no spinlock.
        unsafe { abi::bus1_page_lock(self.as_ptr()) };
        LockedPage(Some(self))
    }

    /// Locks the page if that is possible at once.
    pub(super) fn try_lock(self) -> Option<LockedPage> {
        // SAFETY: The page is alive.
        if unsafe { abi::bus1_page_trylock(self.as_ptr()) } {
            // INVARIANT: The page is locked, by us.
            Some(LockedPage(Some(self)))
        } else {
            None
        }
    }
}

impl PartialEq for PageRef {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Clone for PageRef {
    fn clone(&self) -> Self {
        // INVARIANT: The call takes the reference that the new value owns.
        // SAFETY: By the invariant the page is alive.
        unsafe { abi::bus1_page_get(self.as_ptr()) };
        Self(self.0)
    }
}

impl Drop for PageRef {
    fn drop(&mut self) {
        // SAFETY: By the invariant the reference is ours.
        unsafe { abi::bus1_page_put(self.as_ptr()) };
    }
}

/// A page that is locked, until this is dropped.
///
/// # Invariants
///
/// The page, if there is one, is locked on behalf of this value.
pub(super) struct LockedPage(Option<PageRef>);

impl LockedPage {
    /// Whether it is this page.
    pub(super) fn is(&self, page: Option<&PageRef>) -> bool {
        self.0.as_ref() == page
    }

    /// Gives reference and lock away.
    pub(super) fn into_raw(mut self) -> *mut bindings::page {
        self.0
            .take()
            .map_or(core::ptr::null_mut(), PageRef::into_raw)
    }
}

impl Drop for LockedPage {
    fn drop(&mut self) {
        if let Some(page) = &self.0 {
            // SAFETY: By the invariant the lock is ours.
            unsafe { bindings::unlock_page(page.as_ptr()) };
        }
    }
}

/// A reference to the memory cgroup that pays, null without cgroups.
pub(super) struct Payer(*mut bindings::mem_cgroup);

// SAFETY: The reference count of a cgroup is atomic.
unsafe impl Send for Payer {}

// SAFETY: It is only read.
unsafe impl Sync for Payer {}

impl Payer {
    /// Takes the memory cgroup of the calling task.
    pub(super) fn current() -> Self {
        // SAFETY: There is always a current task.
        Self(unsafe { abi::bus1_memcg_of_current() })
    }

    /// Makes accounted allocations of the calling task pay into this cgroup while `f` runs.
    pub(super) fn charged<R>(&self, f: impl FnOnce() -> R) -> R {
        // SAFETY: The reference keeps the cgroup alive until the outer one is restored.
        let outer = unsafe { abi::bus1_memcg_enter(self.0) };
        let result = f();
        // SAFETY: Restores what was set before, in the same task.
        unsafe { abi::bus1_memcg_leave(outer) };
        result
    }
}

impl Drop for Payer {
    fn drop(&mut self) {
        // SAFETY: The reference is ours; null is allowed.
        unsafe { abi::bus1_memcg_put(self.0) };
    }
}

/// Allocates `size` bytes of zeroes, on the terms of [`PageRef::new`]: it fails before a memory
/// cgroup is searched for a victim.
fn zeroes(size: usize) -> Option<NonNull<c_void>> {
    // SAFETY: Process context; the callers hold no lock.
    NonNull::new(unsafe { abi::bus1_table_alloc(size) })
}

/// Allocates a value of zeroes, on the terms of [`PageRef::new`].
pub(super) fn zeroed<T: pin_init::Zeroable>() -> Option<KBox<T>> {
    let raw = zeroes(mem::size_of::<T>())?;
    // SAFETY: The memory is from `kmalloc`, as that of a `KBox` is, and large enough; zeroes are a
    // valid value.
    Some(unsafe { KBox::from_raw(raw.as_ptr().cast()) })
}

/// Allocates `len` values of zeroes, on the terms of [`PageRef::new`].
pub(super) fn all_zeroed<T: pin_init::Zeroable>(len: usize) -> Option<KVec<T>> {
    let raw = zeroes(mem::size_of::<T>().checked_mul(len)?)?;
    // SAFETY: As above, for each element.
    Some(unsafe { KVec::from_raw_parts(raw.as_ptr().cast(), len, len) })
}
