// SPDX-License-Identifier: GPL-2.0

//! The pages of a receive pool.
//!
//! [`Pages`] owns an array of pages that start out missing. A sender makes those that its slice
//! needs ([`Pages::populate`]) and writes them through a temporary kernel mapping
//! ([`Pages::with`]); the receiver's read-only mapping ([`super::mapping`]) faults them in. A page
//! stays until the pool is gone, or is given back ([`Pages::condemn`], [`Pages::evict`]). The array
//! knows nothing of slices: who may touch which bytes, and which pages nobody needs, is decided by
//! the range allocator above.
//!
//! # Giving a page back
//!
//! It must be in no mapping when it goes. Whoever maps a page has it locked from the moment when he
//! finds it in the array until it is in his page table; so a page that is condemned is locked first,
//! then unmapped, and unlocked when it has left the array, or has been acquitted. Who waited for
//! the lock looks the page up once more. Populating takes no page lock: it only acquits.
//!
//! Pages, and the tables that hold them, are charged to the memory cgroup of the task that made the
//! pool, the receiver, no matter who sends.
//!
//! Locks: `slots` (spin) guards the array; it is a leaf, and nothing is allocated or freed under it.
//! Page locks are tried under it, never waited for.

use core::{
    mem,
    ops::Range,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    bindings,
    error::from_err_ptr,
    fs::File,
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
    }, //
};

use super::{
    abi,
    mapping::POOL_FILE,
    page::{
        all_zeroed,
        zeroed,
        LockedPage,
        PageRef,
        Payer, //
    },
};

/// Slots in one table of the array: 2 MiB of pool with pages of 4 KiB.
const FAN_OUT: usize = 512;

/// Largest pool, in bytes.
const MAX_BYTES: usize = 1 << 32;

/// So many pages are condemned at one time: as many as a mask has bits.
const BATCH: usize = 32;

type Slots = [Option<PageRef>; FAN_OUT];

/// The array, in two levels, each made when it is needed: a big pool that is hardly used costs
/// little, and one that is not used nothing.
struct Table {
    levels: KVec<Option<KBox<Slots>>>,
    /// Where the pages start that are condemned, if any are.
    first: usize,
    /// Which of the pages from there on are: a bit for each.
    condemned: u32,
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

    /// The last index of `range` with a page, of those in one level: else where that level, or the
    /// gap of levels behind it, begins.
    fn last(&self, mut range: Range<usize>) -> Result<usize, usize> {
        while let Some(last) = range.end.checked_sub(1).filter(|last| *last >= range.start) {
            let start = (last / FAN_OUT * FAN_OUT).max(range.start);
            if self.levels.get(last / FAN_OUT).is_some_and(Option::is_some) {
                let found = (start..=last).rfind(|index| self.slot(*index).is_some());
                return found.ok_or(start);
            }
            range.end = start;
        }
        Err(range.start)
    }

    /// Keeps the page at `index` from being given back.
    fn acquit(&mut self, index: usize) {
        if self.condemned != 0 && (self.first..self.first + BATCH).contains(&index) {
            self.condemned &= !(1 << (index - self.first));
        }
    }

    /// Takes the table of a level if nothing is left in it.
    fn take_empty(&mut self, level: usize) -> Option<KBox<Slots>> {
        self.levels
            .get_mut(level)?
            .take_if(|slots| slots.iter().all(Option::is_none))
    }
}

/// What the owner and all mappings share.
#[pin_data]
pub(super) struct Inner {
    #[pin]
    slots: SpinLock<Table>,
    /// How many pages there are; changed under the lock.
    present: Atomic<usize>,
    /// The file whose address space is the pool's, made with the first mapping: an inode for every
    /// idle peer would be a waste.
    file: SetOnce<ARef<File>>,
    payer: Payer,
    len: usize,
    /// A mapping that was to be the only one is gone, or a part of it.
    pub(super) torn: Atomic<bool>,
}

impl Inner {
    /// Returns the page at `index`, or `None` if it is missing.
    fn page(&self, index: usize) -> Option<PageRef> {
        self.slots.lock().slot(index).cloned()
    }

    /// Returns the page at `index`, locked and in the array for as long as it is; sleeps.
    pub(super) fn locked(&self, index: usize) -> Option<LockedPage> {
        loop {
            let page = self.page(index)?.lock();
            // It may have been given back while we waited.
            if page.is(self.slots.lock().slot(index)) {
                return Some(page);
            }
        }
    }

    /// Makes sure that there is a page at `index`, and that it stays.
    fn fill(&self, index: usize) -> Result {
        let mut page = None;
        loop {
            // What is taken from `page`, or left over in it, is dropped after unlock.
            let mut table = self.slots.lock();
            table.acquit(index);
            match table.slot_mut(index) {
                Some(Some(_)) => return Ok(()),
                Some(slot) if page.is_some() => {
                    *slot = page.take();
                    self.present.add(1, Relaxed);
                    return Ok(());
                }
                Some(_) => {
                    drop(table);
                    page = Some(PageRef::new().ok_or(ENOMEM)?);
                }
                None => {
                    drop(table);
                    self.make_level(index / FAN_OUT)?;
                }
            }
        }
    }

    /// Makes a table for the slots of `level`, which is gone again when its last page goes.
    fn make_level(&self, level: usize) -> Result {
        let mut levels = KVec::new();
        if self.slots.lock().levels.is_empty() {
            let nr = (self.len >> PAGE_SHIFT).div_ceil(FAN_OUT);
            levels = all_zeroed(nr).ok_or(ENOMEM)?;
        }
        let mut slots = Some(zeroed().ok_or(ENOMEM)?);
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
    pub(super) fn file(&self) -> Result<&ARef<File>> {
        if let Some(file) = self.file.as_ref() {
            return Ok(file);
        }
        // SAFETY: The table is a static, and nothing in it looks at the private data.
        let raw = from_err_ptr(unsafe {
            abi::anon_inode_create_getfile(
                c"[bus1-pool]".as_char_ptr(),
                POOL_FILE.as_ptr(),
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

    /// Takes `nr` pages from `first` on out of all mappings; sleeps.
    fn unmap(&self, first: usize, nr: usize) {
        let Some(file) = self.file.as_ref() else {
            return;
        };
        // SAFETY: The file keeps its address space alive.
        unsafe { bindings::unmap_mapping_pages((*file.as_ptr()).f_mapping, first, nr, true) };
    }
}

/// Pages that are condemned, locked.
pub(crate) struct Condemned {
    first: usize,
    pages: [Option<LockedPage>; BATCH],
}

/// The pages of one pool.
///
/// The owner may drop it while mappings exist: they keep what they need, and what was there stays
/// readable.
pub(crate) struct Pages {
    pub(super) inner: Arc<Inner>,
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

impl Pages {
    /// Makes a pool of `max_bytes`, rounded up to whole pages, none of which exists yet.
    ///
    /// The calling task's memory cgroup pays for all of it. EINVAL if the size is 0 or above
    /// 4 GiB; ENOMEM.
    pub(crate) fn new(max_bytes: usize) -> Result<Self> {
        if max_bytes == 0 || max_bytes > MAX_BYTES {
            return Err(EINVAL);
        }
        let table = Table {
            levels: KVec::new(),
            first: 0,
            condemned: 0,
        };
        let inner = Arc::pin_init(
            pin_init!(Inner {
                slots <- new_spinlock!(table, "bus1_pages"),
                present: Atomic::new(0),
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

    /// Returns how many pages there are.
    pub(crate) fn present(&self) -> usize {
        self.inner.present.load(Relaxed)
    }

    /// Makes all missing pages of the range, filled with zeros, and acquits the others. Sleeps.
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

    /// Condemns the last pages that lie wholly in `range`, if they are not being mapped at this
    /// moment; returns them, and the offset up to which the range has not been looked at.
    ///
    /// The caller makes sure that no slice touches the range now, and that what was condemned before
    /// has been evicted. Does not sleep.
    pub(crate) fn condemn(&self, range: Range<usize>) -> (Condemned, usize) {
        let whole = range.start.div_ceil(PAGE_SIZE)..range.end.min(self.inner.len) >> PAGE_SHIFT;
        let mut condemned = Condemned {
            first: 0,
            pages: [const { None }; BATCH],
        };
        let mut table = self.inner.slots.lock();
        let last = match table.last(whole.clone()) {
            Ok(last) => last,
            Err(seen) => return (condemned, (seen << PAGE_SHIFT).max(range.start)),
        };
        let first = (last + 1).saturating_sub(BATCH).max(whole.start);
        (table.first, table.condemned) = (first, 0);
        condemned.first = first;
        for bit in 0..=last - first {
            let page = table.slot(first + bit).cloned();
            condemned.pages[bit] = page.and_then(PageRef::try_lock);
            table.condemned |= u32::from(condemned.pages[bit].is_some()) << bit;
        }
        (condemned, first << PAGE_SHIFT)
    }

    /// Gives back those pages that nobody has populated since they were condemned, and returns how
    /// many there were. Readers get SIGBUS until the page is made anew, with zeros. Sleeps.
    pub(crate) fn evict(&self, condemned: Condemned) -> usize {
        let Some(last) = condemned.pages.iter().rposition(Option::is_some) else {
            return 0;
        };
        let first = condemned.first;
        self.inner.unmap(first, last + 1);
        let mut gone = [const { None }; BATCH];
        let mut table = self.inner.slots.lock();
        let mask = mem::take(&mut table.condemned);
        for (bit, page) in gone.iter_mut().enumerate() {
            if mask & (1 << bit) != 0 {
                *page = table.slot_mut(first + bit).and_then(Option::take);
            }
        }
        let given = gone.iter().flatten().count();
        self.inner.present.fetch_sub(given, Relaxed);
        // The batch may lie in two levels.
        let empty = [first, first + last].map(|index| table.take_empty(index / FAN_OUT));
        drop(table);
        drop((empty, gone));
        given
    }

    /// Returns the end of a range that is inside the pool.
    fn check(&self, offset: usize, len: usize) -> Result<usize> {
        offset
            .checked_add(len)
            .filter(|end| *end <= self.inner.len)
            .ok_or(EINVAL)
    }
}
