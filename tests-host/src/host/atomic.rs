// SPDX-License-Identifier: GPL-2.0

//! Atomics as the kernel spells them: the ordering is a type, and there are four.

use super::backend::atomic as raw;
use std::sync::atomic::Ordering as Std;

/// No ordering.
pub(crate) struct Relaxed;
/// Later accesses stay behind.
pub(crate) struct Acquire;
/// Earlier accesses stay before.
pub(crate) struct Release;
/// Nothing passes in either direction.
pub(crate) struct Full;

/// An ordering of a read-modify-write operation.
pub(crate) trait Ordering {
    /// What std calls it.
    const STD: Std;
}

impl Ordering for Relaxed {
    const STD: Std = Std::Relaxed;
}

impl Ordering for Acquire {
    const STD: Std = Std::Acquire;
}

impl Ordering for Release {
    const STD: Std = Std::Release;
}

impl Ordering for Full {
    const STD: Std = Std::SeqCst;
}

/// An ordering of a load.
pub(crate) trait AcquireOrRelaxed: Ordering {}
impl AcquireOrRelaxed for Acquire {}
impl AcquireOrRelaxed for Relaxed {}

/// An ordering of a store.
pub(crate) trait ReleaseOrRelaxed: Ordering {}
impl ReleaseOrRelaxed for Release {}
impl ReleaseOrRelaxed for Relaxed {}

/// What can be atomic.
pub(crate) trait AtomicType: Copy {
    /// Where it is stored.
    type Cell;

    /// Makes a cell.
    fn cell(value: Self) -> Self::Cell;
    /// Reads.
    fn load(cell: &Self::Cell, order: Std) -> Self;
    /// Writes.
    fn store(cell: &Self::Cell, value: Self, order: Std);
    /// Exchanges.
    fn swap(cell: &Self::Cell, value: Self, order: Std) -> Self;
    /// Exchanges if the old value is the given one; a failure has no ordering.
    fn cmpxchg(cell: &Self::Cell, old: Self, new: Self, order: Std) -> Result<Self, Self>;
}

/// What can be added up atomically; wraps round.
pub(crate) trait AtomicAdd: AtomicType {
    /// Adds, says what was there.
    fn fetch_add(cell: &Self::Cell, value: Self, order: Std) -> Self;
    /// Subtracts, says what was there.
    fn fetch_sub(cell: &Self::Cell, value: Self, order: Std) -> Self;
}

macro_rules! atomic_type {
    ($($type:ty => $cell:ident),*) => {$(
        impl AtomicType for $type {
            type Cell = raw::$cell;

            fn cell(value: Self) -> Self::Cell {
                raw::$cell::new(value)
            }

            fn load(cell: &Self::Cell, order: Std) -> Self {
                cell.load(order)
            }

            fn store(cell: &Self::Cell, value: Self, order: Std) {
                cell.store(value, order)
            }

            fn swap(cell: &Self::Cell, value: Self, order: Std) -> Self {
                cell.swap(value, order)
            }

            fn cmpxchg(cell: &Self::Cell, old: Self, new: Self, order: Std) -> Result<Self, Self> {
                cell.compare_exchange(old, new, order, Std::Relaxed)
            }
        }
    )*};
}

macro_rules! atomic_add {
    ($($type:ty),*) => {$(
        impl AtomicAdd for $type {
            fn fetch_add(cell: &Self::Cell, value: Self, order: Std) -> Self {
                cell.fetch_add(value, order)
            }

            fn fetch_sub(cell: &Self::Cell, value: Self, order: Std) -> Self {
                cell.fetch_sub(value, order)
            }
        }
    )*};
}

atomic_type!(
    bool => AtomicBool,
    u32 => AtomicU32,
    i32 => AtomicI32,
    u64 => AtomicU64,
    i64 => AtomicI64,
    usize => AtomicUsize
);
atomic_add!(u32, i32, u64, i64, usize);

/// An atomic variable.
pub(crate) struct Atomic<T: AtomicType>(T::Cell);

impl<T: AtomicType> Atomic<T> {
    /// Makes one that holds `value`.
    pub(crate) fn new(value: T) -> Self {
        Self(T::cell(value))
    }

    /// Reads.
    pub(crate) fn load<O: AcquireOrRelaxed>(&self, _: O) -> T {
        T::load(&self.0, O::STD)
    }

    /// Writes.
    pub(crate) fn store<O: ReleaseOrRelaxed>(&self, value: T, _: O) {
        T::store(&self.0, value, O::STD)
    }

    /// Exchanges, says what was there.
    pub(crate) fn xchg<O: Ordering>(&self, value: T, _: O) -> T {
        T::swap(&self.0, value, O::STD)
    }

    /// Exchanges if `old` is there; the error is what was there instead.
    pub(crate) fn cmpxchg<O: Ordering>(&self, old: T, new: T, _: O) -> Result<T, T> {
        T::cmpxchg(&self.0, old, new, O::STD)
    }

    /// Adds, says what was there; wraps round.
    pub(crate) fn fetch_add<O: Ordering>(&self, value: T, _: O) -> T
    where
        T: AtomicAdd,
    {
        T::fetch_add(&self.0, value, O::STD)
    }

    /// Subtracts, says what was there; wraps round.
    pub(crate) fn fetch_sub<O: Ordering>(&self, value: T, _: O) -> T
    where
        T: AtomicAdd,
    {
        T::fetch_sub(&self.0, value, O::STD)
    }

    /// Adds without looking; wraps round.
    pub(crate) fn add(&self, value: T, _: Relaxed)
    where
        T: AtomicAdd,
    {
        T::fetch_add(&self.0, value, Std::Relaxed);
    }
}
