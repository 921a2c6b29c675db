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
//! Locks: `pool`, a leaf spinlock around the ranges. Pages are populated and filled, and memory is
//! allocated and freed, outside it.

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
        TakeError, //
    },
    sync::{
        assert_unlocked,
        new_spinlock,
        pin_data,
        pin_init,
        try_arc,
        AllocError,
        Arc,
        SpinLock,
        PAGE_SIZE, //
    },
};

/// No page could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

/// The pages of a pool.
pub(crate) trait PageStore: Send + Sync + 'static {
    /// Size in bytes.
    fn len(&self) -> usize;

    /// Makes sure that there is a page behind each byte of the range; may sleep.
    ///
    /// May be called again, and at the same time, for pages that there are already. A fresh page
    /// holds zeroes.
    fn populate(&self, offset: usize, len: usize) -> Result<(), NoMemory>;

    /// Lets `access` read and write bytes of one page; may sleep.
    ///
    /// The pool calls it only for bytes of a populated slice, and never twice at once for one byte.
    fn with<R>(&self, offset: usize, len: usize, access: impl FnOnce(&mut [u8]) -> R) -> R;
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
    #[pin]
    ranges: SpinLock<Ranges>,
    len: usize,
    store: S,
}

impl<S: PageStore> Pool<S> {
    /// Makes a pool of all of `store`.
    pub(crate) fn new(store: S) -> Result<Arc<Self>, AllocError> {
        let ranges = Ranges::new(store.len(), Nodes::new()?);
        try_arc(pin_init!(Self {
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
        this.store.populate(slice.offset(), price as usize)?;
        slice.zero_range(len..price as usize);
        Ok(slice)
    }

    fn take(&self, len: usize) -> Result<Part, PoolError> {
        let mut scratch = Scratch::new();
        // Filled once, it is enough; most requests do without.
        loop {
            let taken = self.ranges.lock().take(len, &mut scratch);
            match taken {
                Ok(part) => return Ok(part),
                Err(TakeError::NoSpace) => return Err(PoolError::NoSpace),
                Err(TakeError::NoNodes) => scratch.fill()?,
            }
        }
    }

    fn give(&self, part: Part) {
        let mut scratch = Scratch::new();
        self.ranges.lock().give(part, &mut scratch);
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
