// SPDX-License-Identifier: GPL-2.0

//! How a pool is mapped.
//!
//! No page table is touched here: the fault handler names a page. All mappings of a pool are in one
//! address space, that of the pool's own file, so that a page can be taken out of all of them,
//! wherever they were moved or inherited to. A mapping keeps the pool's pages alive, so what was
//! there stays readable when the owner is gone.
//!
//! Nothing makes a mapping writable: `VM_MAYWRITE` is cleared, which `mprotect` and the debugger's
//! ways into foreign memory respect. Nobody opens the pool's file a second time: its inode has no
//! way to be opened.
//!
//! Takes no locks of its own but page locks, in the fault handler.

use kernel::{
    bindings,
    mm::virt::VmaNew,
    module::this_module,
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
    types::ForeignOwnable, //
};

use super::{
    abi,
    pages::{
        Inner,
        Pages, //
    },
};

/// How a pool is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// The mapping holds the device file open, is not inherited over fork, and the offset that the
    /// caller named is ignored. It is meant to be the only one: if any part of it goes away,
    /// [`Pages::torn`] says so. [`FileOps::pinned`](super::device::FileOps::pinned) has to name the
    /// pool from then on.
    Pinned,
    /// The mapping lets go of the device file: closing that ends the peer, while the pages stay
    /// readable. It is inherited over fork, and there can be many.
    Detached,
}

impl Pages {
    /// Attaches the pool to an area that is being mapped.
    ///
    /// The area never becomes writable, never grows, and reading a missing page is SIGBUS. EPERM
    /// if it is writable; ENOMEM or ENFILE if the pool's file can't be made.
    pub(crate) fn map(&self, area: &VmaNew, how: Mapping) -> Result {
        area.try_clear_maywrite().map_err(|_| EPERM)?;
        let file = self.inner.file()?;
        area.set_dontexpand();
        let raw = area.as_ptr();
        let ops = match how {
            Mapping::Pinned => {
                area.set_dontcopy();
                area.set_mixedmap();
                // SAFETY: The area is being set up, so it is ours.
                unsafe { (*raw).vm_pgoff = 0 };
                &PINNED.0
            }
            Mapping::Detached => {
                // SAFETY: The area is being set up, and the file is open.
                unsafe { bindings::vma_set_file(raw, file.as_ptr()) };
                &DETACHED.0
            }
        };
        // SAFETY: The area is being set up. `close` takes the reference back.
        unsafe {
            (*raw).vm_private_data = self.inner.clone().into_foreign();
            (*raw).vm_ops = ops;
        }
        Ok(())
    }

    /// Makes `file`, which an area of [`Mapping::Pinned`] is being mapped by, lead to the pool's
    /// address space. `writable`: the area was counted as one that may become writable.
    ///
    /// # Safety
    ///
    /// `file` is being mapped, and the pool outlives it, or all use of its address space.
    pub(super) unsafe fn adopt(&self, file: *mut bindings::file, writable: bool) -> Result {
        let own = self.inner.file()?;
        // SAFETY: Both files are open, and ours keeps its address space.
        unsafe { abi::bus1_file_adopt(file, (*own.as_ptr()).f_mapping, writable) };
        Ok(())
    }

    /// Returns true once any part of a [`Mapping::Pinned`] has been unmapped or moved.
    pub(crate) fn torn(&self) -> bool {
        self.inner.torn.load(Relaxed)
    }
}

/// A table of the kernel's that is never written.
pub(super) struct Frozen<T>(T);

// SAFETY: The tables are only read.
unsafe impl<T> Sync for Frozen<T> {}

impl<T> Frozen<T> {
    /// For C.
    pub(super) fn as_ptr(&'static self) -> *const T {
        &self.0
    }
}

/// The pool's own file can do nothing: it is there for its address space, and to pin this module.
pub(super) static POOL_FILE: Frozen<bindings::file_operations> =
    Frozen(bindings::file_operations {
        owner: this_module::<crate::LocalModule>().as_ptr(),
        ..pin_init::zeroed()
    });

static DETACHED: Frozen<bindings::vm_operations_struct> = Frozen(bindings::vm_operations_struct {
    open: Some(area_open),
    close: Some(area_close),
    fault: Some(area_fault),
    ..pin_init::zeroed()
});

static PINNED: Frozen<bindings::vm_operations_struct> = Frozen(bindings::vm_operations_struct {
    open: Some(area_open),
    close: Some(pinned_close),
    fault: Some(area_fault),
    ..pin_init::zeroed()
});

/// Called when an area is copied by fork, or split, or moved.
///
/// # Safety
///
/// The area was attached by [`Pages::map`], or copied from such an area.
unsafe extern "C" fn area_open(vma: *mut bindings::vm_area_struct) {
    // SAFETY: The area that this one was copied from still has its reference.
    let inner = unsafe { Arc::<Inner>::borrow((*vma).vm_private_data) };
    // SAFETY: The new area is ours during this call.
    unsafe { (*vma).vm_private_data = Arc::from(inner).into_foreign() };
}

/// Called when an area goes away.
///
/// # Safety
///
/// The area was attached by [`Pages::map`], or copied and opened.
unsafe extern "C" fn area_close(vma: *mut bindings::vm_area_struct) {
    // SAFETY: Each area owns one reference and is closed once.
    drop(unsafe { Arc::<Inner>::from_foreign((*vma).vm_private_data) });
}

/// Called when an area of [`Mapping::Pinned`], or a part of it, goes away.
///
/// # Safety
///
/// As for [`area_close`].
unsafe extern "C" fn pinned_close(vma: *mut bindings::vm_area_struct) {
    // SAFETY: Each area owns one reference and is closed once.
    let inner = unsafe { Arc::<Inner>::from_foreign((*vma).vm_private_data) };
    inner.torn.store(true, Relaxed);
}

/// Called when somebody reads a page that is not in its page table.
///
/// # Safety
///
/// The kernel calls it for an area that was attached by [`Pages::map`].
unsafe extern "C" fn area_fault(fault: *mut bindings::vm_fault) -> bindings::vm_fault_t {
    // SAFETY: The fault and its area are valid during the call, and the area has a reference.
    let (inner, index) = unsafe {
        let area = (*fault).__bindgen_anon_1;
        (
            Arc::<Inner>::borrow((*area.vma).vm_private_data),
            area.pgoff,
        )
    };
    let Some(page) = inner.locked(index) else {
        return bindings::vm_fault_reason_VM_FAULT_SIGBUS;
    };
    // The kernel maps the page, then unlocks it, and keeps the reference in the page table.
    // SAFETY: The field is there for the handler's answer.
    unsafe { (*fault).page = page.into_raw() };
    bindings::vm_fault_reason_VM_FAULT_LOCKED
}
