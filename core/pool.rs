// SPDX-License-Identifier: GPL-2.0

//! Memory into which messages are copied for a receiver: a [`Pool`] and its [`Slice`]s.
//!
//! A sender reserves a slice of the receiver's pool, fills it page by page, straight from where its
//! data is, and hands it over in a message. The receiver, who has the pool mapped, reads it in place
//! and drops it. The slice carries the charge that paid for it: without one there is no slice.
//!
//! Which bytes are in use is [`super::ranges`]'s matter, what they are made of is that of the
//! [`PageStore`], which the personality brings. Errors are of this layer ([`PoolError`]).
//!
//! # Pages of free ranges
//!
//! They stay with the pool for the next message, until somebody needs memory ([`Pool::reclaim`]):
//! the kernel, when it runs short ([`super::reclaim`]); a slice for which there are no more pages;
//! the pool itself, when more than [`KEEP`] of them lie idle.
//!
//! To give pages back takes three steps. Under the lock of the ranges, pages that lie wholly in a
//! free range are *condemned*, which takes nothing from anybody. Then they are taken out of all
//! mappings. Then those that are still condemned are put. A slice that is reserved in the meantime
//! finds its pages there and acquits them by populating them: no sender waits, nobody is refused
//! because of pages on their way out, and a page that goes is in no mapping any more when the next
//! one takes its place.
//!
//! # What a receiver can see
//!
//! A fresh page holds zeroes, and so does the end of a slice behind its length. The other bytes of a
//! slice are what the sender writes, and until then what earlier slices of this pool left there. A
//! freed slice stays readable in the receiver's mapping until its bytes are used again or its pages
//! given back, unless it was to be cleared ([`Slice::clear_on_drop`]). All of this was addressed to
//! this receiver; no byte of another pool is ever in it, since pages go from pool to pool through
//! the page allocator only.
//!
//! Locks: `pool`, a spinlock around the ranges, under which only pages are condemned; else a leaf.
//! Pages are populated and filled, and memory is allocated and freed, outside it.

#![deny(unsafe_code)]

use ::core::{
    convert::Infallible,
    ops::Range, //
};

use super::{
    quota::Charge,
    ranges::{
        Nodes,
        Part,
        Ranges,
        Scratch,
        TakeError,
        Walk, //
    },
    stats::Counter,
    sync::{
        assert_unlocked,
        fifo::{
            impl_fifo_item,
            FifoLink, //
        },
        new_spinlock,
        pin_data,
        pin_init,
        try_arc,
        Acquire,
        AllocError,
        Arc,
        Atomic,
        Relaxed,
        Release,
        SpinLock,
        PAGE_SIZE, //
    },
};

/// So many pages may lie idle in a pool: 4 MiB of pages of 4 KiB. With more, half of it stays. A
/// burst of messages is not to cost its receiver memory for ever, nor each message a page fault.
pub(crate) const KEEP: usize = 1024;

/// No page could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

/// The pages of a pool.
pub(crate) trait PageStore: Send + Sync + 'static {
    /// Pages that may be about to be given back.
    type Condemned;

    /// Size in bytes.
    fn len(&self) -> usize;

    /// How many pages there are. Exact only as long as nobody makes any or gives any back.
    fn present(&self) -> usize;

    /// Makes sure that there is a page behind each byte of the range, and stays; may sleep.
    ///
    /// May be called again, and at the same time, for pages that there are already. A fresh page
    /// holds zeroes; one that was condemned is not any more. Pages made before an error stay.
    fn populate(&self, offset: usize, len: usize) -> Result<(), NoMemory>;

    /// Lets `access` read and write bytes of one page; may sleep.
    ///
    /// The pool calls it only for bytes of a populated slice, and never twice at once for one byte.
    fn with<R>(&self, offset: usize, len: usize, access: impl FnOnce(&mut [u8]) -> R) -> R;

    /// Condemns some pages that lie wholly in `range`, the last first. Returns them, and where the
    /// range ends that has not been looked at, at least one page before the end of `range` unless
    /// that is the start.
    ///
    /// Called under a spinlock, so it does not sleep; not before what was condemned is evicted.
    fn condemn(&self, range: Range<usize>) -> (Self::Condemned, usize);

    /// Takes what is condemned out of all mappings, and gives back what still is, then. Returns how
    /// many pages that were; may sleep.
    fn evict(&self, condemned: Self::Condemned) -> usize;
}

/// What may be done to get a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Nothing: whoever has it may be waiting for the caller to find memory.
    Try,
    /// Waiting.
    Wait,
}

/// Why no slice was reserved; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoolError {
    /// More bytes than the whole pool has, or than were paid for.
    TooLarge,
    /// There is no free range of this size now.
    NoSpace,
    /// There is no memory for pages or for bookkeeping.
    NoMemory,
}

impl From<AllocError> for PoolError {
    fn from(_: AllocError) -> Self {
        Self::NoMemory
    }
}

impl From<NoMemory> for PoolError {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
    }
}

/// Why a slice was not read or written to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessError<E> {
    /// Not all of the range lies in the slice; nothing was touched.
    OutOfSlice,
    /// What reads or writes the chunks said so; chunks before may have been written.
    Chunk(E),
}

/// The memory of one receiver.
#[pin_data]
pub(crate) struct Pool<S: PageStore> {
    /// Place among the pools that the kernel may ask for memory.
    #[pin]
    link: FifoLink,
    #[pin]
    ranges: SpinLock<Ranges>,
    /// Bytes in use, to be read without the lock.
    used: Atomic<usize>,
    /// Somebody is giving pages back.
    reclaiming: Atomic<bool>,
    len: usize,
    store: S,
}

impl_fifo_item! {
    impl{S: PageStore} FifoItem<0> for Pool<S> { self.link }
}

impl<S: PageStore> Pool<S> {
    /// Makes a pool of all of `store`.
    pub(crate) fn new(store: S) -> Result<Arc<Self>, AllocError> {
        let ranges = Ranges::new(store.len(), Nodes::new()?);
        try_arc(pin_init!(Self {
            link <- FifoLink::new(),
            used: Atomic::new(0),
            reclaiming: Atomic::new(false),
            len: ranges.len(),
            ranges <- new_spinlock!(ranges, "bus1::Pool::pool"),
            store,
        }))
    }

    /// Bytes in use, for tests.
    #[cfg(any(bus1_kunit, bus1_host))]
    pub(crate) fn used(&self) -> usize {
        self.ranges.lock().used()
    }

    /// The pages.
    pub(crate) fn store(&self) -> &S {
        &self.store
    }

    /// Bytes that a slice of `len` bytes costs; `None` if no pool is so large.
    pub(crate) fn price(len: usize) -> Option<u32> {
        u32::try_from(Ranges::rounded(len)?.get()).ok()
    }

    /// Reserves a slice of `len` bytes, paid for by `charge`: one slice, and its [`price`]. A larger
    /// charge stays with the slice; one that is too small makes the slice too large.
    ///
    /// Its bytes are those of earlier slices, or zeroes; the few behind `len`, up to the granularity,
    /// are zeroes. May sleep.
    ///
    /// [`price`]: Self::price
    pub(crate) fn reserve(
        this: &Arc<Self>,
        len: usize,
        charge: Charge,
    ) -> Result<Slice<S>, PoolError> {
        let price = Self::price(len).ok_or(PoolError::TooLarge)?;
        let paid = charge.amounts();
        if paid.slices == 0 || paid.bytes < price || len > this.len {
            return Err(PoolError::TooLarge);
        }
        let mut slice = Slice {
            part: Some(this.take(len)?),
            len,
            clear: false,
            pool: this.clone(),
            charge,
        };
        let offset = slice.offset();
        if this.store.populate(offset, price as usize).is_err() {
            // Idle pages of the pool count against the limit that the missing ones have met.
            this.reclaim(usize::MAX, Effort::Wait);
            if let Err(error) = this.store.populate(offset, price as usize) {
                // And so would those that were made for nothing.
                drop(slice);
                this.reclaim(usize::MAX, Effort::Wait);
                return Err(error.into());
            }
        }
        slice.zero_range(len..price as usize);
        Ok(slice)
    }

    /// About how many pages could be given back: never less than there are in free ranges.
    pub(crate) fn freeable(&self) -> usize {
        let used = self.used.load(Relaxed).div_ceil(PAGE_SIZE);
        self.store.present().saturating_sub(used)
    }

    /// Gives back about `most` pages of free ranges, if there are so many; returns how many. May
    /// sleep, but does not allocate. Does nothing while somebody else is doing it.
    pub(crate) fn reclaim(&self, most: usize, effort: Effort) -> usize {
        if self.freeable() == 0 || self.reclaiming.cmpxchg(false, true, Acquire).is_err() {
            return 0;
        }
        let (mut given, mut walk) = (0, Walk::default());
        while given < most {
            let Some(condemned) = self.condemn(&mut walk, effort) else {
                break;
            };
            given += self.store.evict(condemned);
        }
        self.reclaiming.store(false, Release);
        Counter::PagesReclaimed.add(given);
        given
    }

    /// Condemns the next pages, if there are any and the lock is to be had.
    fn condemn(&self, walk: &mut Walk, effort: Effort) -> Option<S::Condemned> {
        // What the merges leave over is freed after unlock.
        let mut scratch = Scratch::new();
        let mut ranges = match effort {
            Effort::Try => self.ranges.try_lock()?,
            Effort::Wait => self.ranges.lock(),
        };
        ranges.settle(&mut scratch);
        let range = ranges.next_free(walk, PAGE_SIZE)?;
        let (condemned, end) = self.store.condemn(range);
        walk.below(end);
        Some(condemned)
    }

    fn take(&self, len: usize) -> Result<Part, PoolError> {
        let mut scratch = Scratch::new();
        // Filled once, it is enough; most requests do without.
        loop {
            let mut ranges = self.ranges.lock();
            let taken = ranges.take(len, &mut scratch);
            self.used.store(ranges.used(), Relaxed);
            drop(ranges);
            match taken {
                Ok(part) => return Ok(part),
                Err(TakeError::NoSpace) => return Err(PoolError::NoSpace),
                Err(TakeError::NoNodes) => scratch.fill()?,
            }
        }
    }

    fn give(&self, part: Part) {
        let mut scratch = Scratch::new();
        let mut ranges = self.ranges.lock();
        ranges.give(part, &mut scratch);
        self.used.store(ranges.used(), Relaxed);
        drop(ranges);
        let idle = self.freeable();
        if idle > KEEP {
            self.reclaim(idle - KEEP / 2, Effort::Wait);
        }
    }
}

/// A range of a pool, paid for. Dropping it gives the range back, then the charge.
pub(crate) struct Slice<S: PageStore> {
    /// There until the drop.
    part: Option<Part>,
    len: usize,
    clear: bool,
    pool: Arc<Pool<S>>,
    charge: Charge,
}

impl<S: PageStore> Slice<S> {
    /// Where it begins in the pool, in bytes.
    pub(crate) fn offset(&self) -> usize {
        self.part.as_ref().map_or(0, Part::offset)
    }

    /// Its size in bytes, as it was asked for.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What paid for it; parts may be split off.
    pub(crate) fn charge_mut(&mut self) -> &mut Charge {
        &mut self.charge
    }

    /// What paid for it.
    pub(crate) fn charge(&self) -> &Charge {
        &self.charge
    }

    /// Hands the bytes of `range` (relative to the slice) to `access`, in chunks that rise and lie
    /// in one page each. Stops at the first error of `access`, which may sleep.
    pub(crate) fn for_each_chunk<E>(
        &mut self,
        range: Range<usize>,
        access: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), AccessError<E>> {
        if range.start > range.end || range.end > self.len {
            return Err(AccessError::OutOfSlice);
        }
        self.chunks(range, access).map_err(AccessError::Chunk)
    }

    /// Copies `bytes` to `at`.
    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) -> Result<(), OutOfSlice> {
        let mut rest = bytes;
        self.copy(at, bytes.len(), |chunk| {
            let (now, later) = rest.split_at(chunk.len());
            chunk.copy_from_slice(now);
            rest = later;
        })
    }

    /// Copies bytes from `at`.
    pub(crate) fn read(&mut self, at: usize, bytes: &mut [u8]) -> Result<(), OutOfSlice> {
        let mut done = 0;
        let len = bytes.len();
        self.copy(at, len, |chunk| {
            bytes[done..done + chunk.len()].copy_from_slice(chunk);
            done += chunk.len();
        })
    }

    /// Copies the first `len` bytes of `from`, a slice of the same pool or of another.
    pub(crate) fn copy_from(&mut self, from: &mut Self, len: usize) -> Result<(), OutOfSlice> {
        let mut done = 0;
        // A page of `from` is let go before the page that it is copied to.
        let copied = self.for_each_chunk(0..len, |chunk| {
            from.read(done, chunk)?;
            done += chunk.len();
            Ok::<(), OutOfSlice>(())
        });
        copied.map_err(|_| OutOfSlice)
    }

    /// Writes zeroes.
    pub(crate) fn zero(&mut self, range: Range<usize>) -> Result<(), OutOfSlice> {
        let len = range.end.checked_sub(range.start).ok_or(OutOfSlice)?;
        self.copy(range.start, len, |chunk| chunk.fill(0))
    }

    /// Has the bytes overwritten with zeroes when the slice is dropped, however that comes about.
    pub(crate) fn clear_on_drop(&mut self) {
        self.clear = true;
    }

    fn copy(
        &mut self,
        at: usize,
        len: usize,
        mut access: impl FnMut(&mut [u8]),
    ) -> Result<(), OutOfSlice> {
        let end = at.checked_add(len).ok_or(OutOfSlice)?;
        let result = self.for_each_chunk::<Infallible>(at..end, |chunk| {
            access(chunk);
            Ok(())
        });
        match result {
            Ok(()) => Ok(()),
            Err(AccessError::OutOfSlice) => Err(OutOfSlice),
            Err(AccessError::Chunk(never)) => match never {},
        }
    }

    fn zero_range(&mut self, range: Range<usize>) {
        let result = self.chunks::<Infallible>(range, |chunk| {
            chunk.fill(0);
            Ok(())
        });
        match result {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }

    /// The caller has checked the range. `&mut self`: nobody else reaches these bytes meanwhile.
    fn chunks<E>(
        &mut self,
        range: Range<usize>,
        mut access: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let base = self.offset();
        let (mut at, end) = (base + range.start, base + range.end);
        while at < end {
            let len = (end - at).min(PAGE_SIZE - at % PAGE_SIZE);
            self.pool.store.with(at, len, &mut access)?;
            at += len;
        }
        Ok(())
    }
}

impl<S: PageStore> Drop for Slice<S> {
    fn drop(&mut self) {
        assert_unlocked();
        if self.clear {
            self.zero_range(0..self.len);
        }
        if let Some(part) = self.part.take() {
            self.pool.give(part);
        }
    }
}

/// A range does not lie in its slice; nothing was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfSlice;
