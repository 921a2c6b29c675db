// SPDX-License-Identifier: GPL-2.0

//! The pages of a receive pool, and their mapping into the receiver.
//!
//! [`Pages`] owns an array of pages that start out missing. A sender makes those that its slice
//! needs ([`Pages::populate`]) and writes them through a temporary kernel mapping
//! ([`Pages::with`]); the receiver's read-only mapping faults them in. A page that exists stays
//! until the pool is gone, so that the next message finds it. The array knows nothing of slices: who
//! may touch which bytes is decided by the range allocator above.
//!
//! No page table is touched here: the fault handler names a page. A mapping keeps the array alive, so
//! what was there stays readable when the owner is gone.
//!
//! Pages, and the tables that hold them, are charged to the memory cgroup of the task that made the
//! pool, the receiver, no matter who sends.
//!
//! Locks: `slots` (spin) guards the array; it is a leaf, and nothing is allocated or freed under it.

use core::{
    mem,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    bindings,
    error::from_err_ptr,
    fs::File,
    mm::virt::VmaNew,
    module::this_module,
    new_spinlock,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        SetOnce,
        SpinLock, //
    },
    types::ForeignOwnable, //
};

use super::abi;

/// Slots in one table of the array: 2 MiB of pool with pages of 4 KiB.
const FAN_OUT: usize = 512;

/// Largest pool, in bytes.
const MAX_BYTES: usize = 1 << 32;

/// A reference to a page.
///
/// # Invariants
///
/// The pointer owns one reference of the page's count.
#[repr(transparent)]
struct PageRef(NonNull<bindings::page>);

// SAFETY: `PageRef` has the layout of `NonNull`, so `None` is a null pointer.
unsafe impl pin_init::ZeroableOption for PageRef {}

// SAFETY: A page may be used and freed by any thread.
unsafe impl Send for PageRef {}

impl PageRef {
    /// Allocates a zeroed page, charged to the cgroup that is active (see [`Payer`]).
    fn new() -> Option<Self> {
        // INVARIANT: A new page comes with one reference.
        // SAFETY: Process context; the callers hold no lock.
        NonNull::new(unsafe { abi::bus1_page_alloc() }).map(Self)
    }

    fn as_ptr(&self) -> *mut bindings::page {
        self.0.as_ptr()
    }

    /// Gives the reference away.
    fn into_raw(self) -> *mut bindings::page {
        let raw = self.as_ptr();
        mem::forget(self);
        raw
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

/// A reference to the memory cgroup that pays, null without cgroups.
struct Payer(*mut bindings::mem_cgroup);

// SAFETY: The reference count of a cgroup is atomic.
unsafe impl Send for Payer {}

// SAFETY: It is only read.
unsafe impl Sync for Payer {}

impl Payer {
    /// Takes the memory cgroup of the calling task.
    fn current() -> Self {
        // SAFETY: There is always a current task.
        Self(unsafe { abi::bus1_memcg_of_current() })
    }

    /// Makes accounted allocations of the calling task pay into this cgroup while `f` runs.
    fn charged<R>(&self, f: impl FnOnce() -> R) -> R {
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

type Slots = [Option<PageRef>; FAN_OUT];

/// The array, in two levels, each made when it is needed: a big pool that is hardly used costs
/// little, and one that is not used nothing.
struct Table {
    levels: KVec<Option<KBox<Slots>>>,
}

impl Table {
    fn slot(&self, index: usize) -> Option<&PageRef> {
        self.levels
            .get(index / FAN_OUT)?
            .as_ref()?
            .get(index % FAN_OUT)?
            .as_ref()
    }

    fn slot_mut(&mut self, index: usize) -> Option<&mut Option<PageRef>> {
        self.levels
            .get_mut(index / FAN_OUT)?
            .as_mut()?
            .get_mut(index % FAN_OUT)
    }
}

/// What the owner and all mappings share.
#[pin_data]
struct Inner {
    #[pin]
    slots: SpinLock<Table>,
    /// The file that holds detached mappings, made with the first of them: an inode for every
    /// idle peer would be a waste.
    file: SetOnce<ARef<File>>,
    payer: Payer,
    len: usize,
    /// A mapping that was to be the only one is gone, or a part of it.
    torn: Atomic<bool>,
}

impl Inner {
    /// Returns the page at `index`, or `None` if it is missing.
    fn page(&self, index: usize) -> Option<PageRef> {
        self.slots.lock().slot(index).cloned()
    }

    /// Makes sure that there is a page at `index`.
    fn fill(&self, index: usize) -> Result {
        if self.slots.lock().slot(index).is_some() {
            return Ok(());
        }
        self.make_level(index / FAN_OUT)?;
        let mut page = Some(PageRef::new().ok_or(ENOMEM)?);
        let mut table = self.slots.lock();
        let slot = table.slot_mut(index).ok_or(EFAULT)?;
        if slot.is_none() {
            *slot = page.take();
        }
        // If somebody else was faster, our page is freed after unlock.
        drop(table);
        Ok(())
    }

    /// Makes sure that there is a table for the slots of `level`.
    fn make_level(&self, level: usize) -> Result {
        let mut levels = KVec::new();
        let table = self.slots.lock();
        let (top, bottom) = (
            table.levels.is_empty(),
            table.levels.get(level).is_none_or(Option::is_none),
        );
        drop(table);
        if top {
            let nr = (self.len >> PAGE_SHIFT).div_ceil(FAN_OUT);
            levels.reserve(nr, GFP_KERNEL_ACCOUNT)?;
            for _ in 0..nr {
                levels.push_within_capacity(None)?;
            }
        }
        let mut slots = match bottom {
            true => Some(KBox::init(pin_init::init_zeroed(), GFP_KERNEL_ACCOUNT)?),
            false => None,
        };
        let mut table = self.slots.lock();
        // Where somebody else was faster, ours is freed after unlock.
        if table.levels.is_empty() {
            mem::swap(&mut table.levels, &mut levels);
        }
        let slot = table.levels.get_mut(level).ok_or(EFAULT)?;
        if slot.is_none() {
            *slot = slots.take();
        }
        drop(table);
        Ok(())
    }

    /// Returns the pool's file, which is made by the first caller.
    fn file(&self) -> Result<&ARef<File>> {
        if let Some(file) = self.file.as_ref() {
            return Ok(file);
        }
        // SAFETY: The table is a static, and nothing in it looks at the private data.
        let raw = from_err_ptr(unsafe {
            abi::anon_inode_create_getfile(
                c"[bus1-pool]".as_char_ptr(),
                &POOL_FILE.0,
                ptr::null_mut(),
                bindings::O_RDONLY as c_int,
                ptr::null(),
            )
        })?;
        let raw = NonNull::new(raw).ok_or(ENOMEM)?;
        // SAFETY: The call returned a new file with one reference, and it is in no table of
        // descriptors, so nobody uses its position.
        let file = unsafe { ARef::<File>::from_raw(raw.cast()) };
        // If somebody else was faster, ours is dropped and theirs is used.
        self.file.populate(file);
        self.file.as_ref().ok_or(ENOMEM)
    }
}

/// The pages of one pool.
///
/// The owner may drop it while mappings exist: they keep what they need, and what was there stays
/// readable.
pub(crate) struct Pages {
    inner: Arc<Inner>,
}

/// A piece of a page, mapped for the calling thread, which drops what it maps in reverse order.
///
/// # Invariants
///
/// `base` is the mapping of `_page`, and `start + len` is at most the size of a page.
struct Piece {
    base: *mut u8,
    start: usize,
    len: usize,
    _page: PageRef,
}

impl Piece {
    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: The range lies within the page, by the invariant. No other part of the kernel
        // touches it meanwhile, by the contract of `Pages::with`; user space has it read-only.
        unsafe { core::slice::from_raw_parts_mut(self.base.add(self.start), self.len) }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // SAFETY: Mapped by this thread, which has undone the temporary mappings made since.
        unsafe { bindings::kunmap_local(self.base.cast()) };
    }
}

/// How a pool is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// The mapping holds the device file open, is not inherited over fork, and the offset that the
    /// caller named is ignored. It is meant to be the only one: if any part of it goes away,
    /// [`Pages::torn`] says so.
    Pinned,
    /// The mapping lets go of the device file: closing that ends the peer, while the pages stay
    /// readable. It is inherited over fork, and there can be many.
    Detached,
}

impl Pages {
    /// Makes a pool of `max_bytes`, rounded up to whole pages, none of which exists yet.
    ///
    /// The calling task's memory cgroup pays for all of it. EINVAL if the size is 0 or above
    /// 4 GiB; ENOMEM.
    pub(crate) fn new(max_bytes: usize) -> Result<Self> {
        if max_bytes == 0 || max_bytes > MAX_BYTES {
            return Err(EINVAL);
        }
        let inner = Arc::pin_init(
            pin_init!(Inner {
                slots <- new_spinlock!(Table { levels: KVec::new() }, "bus1_pages"),
                file: SetOnce::new(),
                payer: Payer::current(),
                len: max_bytes.next_multiple_of(PAGE_SIZE),
                torn: Atomic::new(false),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        Ok(Self { inner })
    }

    /// Returns the size of the pool in bytes, a multiple of the page size.
    pub(crate) fn len(&self) -> usize {
        self.inner.len
    }

    /// Makes all missing pages of the range, filled with zeros. Sleeps.
    ///
    /// EINVAL if the range is not inside the pool; ENOMEM, and then some pages may have been made:
    /// they stay, as if they had been used and freed.
    pub(crate) fn populate(&self, offset: usize, len: usize) -> Result {
        if len == 0 {
            return Ok(());
        }
        let end = self.check(offset, len)?;
        let pages = (offset >> PAGE_SHIFT)..end.div_ceil(PAGE_SIZE);
        self.inner.payer.charged(|| {
            for index in pages {
                self.inner.fill(index)?;
            }
            Ok(())
        })
    }

    /// Lets `f` work on `len` bytes at `offset`, which lie within one page and are populated; if
    /// they are not, `f` gets none.
    ///
    /// `f` may sleep to copy from user memory. The range belongs to a slice of the caller: two
    /// ranges that are in use at the same time do not overlap, which is what the range allocator
    /// is there for. The receiver may be reading the bytes meanwhile, so what `f` writes is public.
    pub(crate) fn with<R>(&self, offset: usize, len: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
        match self.piece(offset, len) {
            Some(mut piece) => f(piece.bytes()),
            None => f(&mut []),
        }
    }

    /// Maps a piece of one page for the calling thread.
    fn piece(&self, offset: usize, len: usize) -> Option<Piece> {
        let start = offset % PAGE_SIZE;
        if len > PAGE_SIZE - start {
            return None;
        }
        let page = self.inner.page(offset >> PAGE_SHIFT)?;
        // SAFETY: The page is alive, and stays so until it is unmapped in the drop of the value.
        let base = unsafe { bindings::kmap_local_page(page.as_ptr()) };
        // INVARIANT: `start + len` is at most the size of the page.
        Some(Piece {
            base: base.cast(),
            start,
            len,
            _page: page,
        })
    }

    /// Attaches the pool to an area that is being mapped.
    ///
    /// The area never becomes writable, never grows, and reading a missing page is SIGBUS. EPERM
    /// if it is writable; ENOMEM or ENFILE if the pool's file can't be made.
    pub(crate) fn map(&self, area: &VmaNew, how: Mapping) -> Result {
        area.try_clear_maywrite().map_err(|_| EPERM)?;
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
                unsafe { bindings::vma_set_file(raw, self.inner.file()?.as_ptr()) };
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

    /// Returns true once any part of a [`Mapping::Pinned`] has been unmapped or moved.
    pub(crate) fn torn(&self) -> bool {
        self.inner.torn.load(Relaxed)
    }

    /// Returns the end of a range that is inside the pool.
    fn check(&self, offset: usize, len: usize) -> Result<usize> {
        offset
            .checked_add(len)
            .filter(|end| *end <= self.inner.len)
            .ok_or(EINVAL)
    }
}

/// A table of the kernel's that is never written.
struct Frozen<T>(T);

// SAFETY: The tables are only read.
unsafe impl<T> Sync for Frozen<T> {}

/// The pool's own file can do nothing: it is there to be mapped, and to pin this module.
static POOL_FILE: Frozen<bindings::file_operations> = Frozen(bindings::file_operations {
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
    match inner.page(index) {
        Some(page) => {
            // The page table keeps this reference.
            // SAFETY: The field is there for the handler's answer.
            unsafe { (*fault).page = page.into_raw() };
            0
        }
        None => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
    }
}
