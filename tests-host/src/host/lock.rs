// SPDX-License-Identifier: GPL-2.0

//! Locks around data, as the kernel's `Lock<T, Backend>`.
//!
//! The data lies beside the lock and has a fixed address, by which [`LockedBy`] knows its owner. In
//! the std form a thread counts the spinlocks that it holds and panics where it would sleep.

use super::backend;
use pinned_init::PinInit;
use std::{
    cell::UnsafeCell,
    marker::PhantomData,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::addr_of, //
};

/// Spins, or sleeps.
pub(crate) trait Backend {
    /// Whether its holder must not sleep.
    const SPINS: bool;
}

/// A [`SpinLock`].
pub(crate) struct Spins;
/// A [`Mutex`].
pub(crate) struct Sleeps;

impl Backend for Spins {
    const SPINS: bool = true;
}

impl Backend for Sleeps {
    const SPINS: bool = false;
}

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod held {
    use std::cell::Cell;

    std::thread_local! {
        static SPINLOCKS: Cell<usize> = const { Cell::new(0) };
        static COST: Cell<Cost> = const { Cell::new(Cost { taken: 0, within: 0, most: 0 }) };
    }

    /// Spinlocks that this thread took since it was last asked to count anew.
    #[derive(Clone, Copy)]
    pub(crate) struct Cost {
        /// All.
        pub(crate) taken: u64,
        within: u64,
        /// The most that were taken while one was held.
        pub(crate) most: u64,
    }

    /// Counts anew; says what was counted before.
    pub(crate) fn cost() -> Cost {
        let none = Cost {
            taken: 0,
            within: 0,
            most: 0,
        };
        COST.with(|cost| cost.replace(none))
    }

    /// Counts a spinlock that this thread took.
    pub(super) fn enter() {
        let before = SPINLOCKS.with(|held| held.replace(held.get() + 1));
        COST.with(|cost| {
            let mut now = cost.get();
            now.taken += 1;
            now.within = if before == 0 { 0 } else { now.within + 1 };
            now.most = now.most.max(now.within);
            cost.set(now);
        });
    }

    /// Counts one that it gave back.
    pub(super) fn leave() {
        SPINLOCKS.with(|held| held.set(held.get() - 1));
    }

    /// How many it holds.
    pub(super) fn count() -> usize {
        SPINLOCKS.with(Cell::get)
    }
}

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub(crate) use held::cost;

/// Under the model checkers all threads share one thread of the machine: nothing is counted.
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod held {
    pub(super) fn enter() {}

    pub(super) fn leave() {}

    pub(super) fn count() -> usize {
        0
    }
}

/// Panics if this thread holds a spinlock.
pub(super) fn assert_may_sleep(what: &str) {
    if !std::thread::panicking() {
        assert_eq!(held::count(), 0, "{what} under a spinlock");
    }
}

/// What follows may take locks and give memory back.
pub(crate) fn assert_unlocked() {
    assert_may_sleep("drop");
}

/// Data behind a lock.
pub(crate) struct Lock<T, B: Backend> {
    raw: backend::Mutex<()>,
    data: UnsafeCell<T>,
    _kind: PhantomData<B>,
}

/// A lock whose holder must not sleep.
pub(crate) type SpinLock<T> = Lock<T, Spins>;
/// A lock that sleeps.
pub(crate) type Mutex<T> = Lock<T, Sleeps>;
/// Right to the data of a [`SpinLock`].
pub(crate) type SpinLockGuard<'a, T> = Guard<'a, T, Spins>;
/// Right to the data of a [`Mutex`].
pub(crate) type MutexGuard<'a, T> = Guard<'a, T, Sleeps>;

// SAFETY: the lock lets one thread at a time reach the data, which may move between threads.
unsafe impl<T: Send, B: Backend> Send for Lock<T, B> {}
// SAFETY: as above.
unsafe impl<T: Send, B: Backend> Sync for Lock<T, B> {}

impl<T, B: Backend> Lock<T, B> {
    /// Makes the initialiser of a lock.
    pub(crate) fn new(data: impl PinInit<T>) -> impl PinInit<Self> {
        let init = move |slot: *mut Self| {
            // SAFETY: the slot is valid for writes and pinned, and each field is written once; none
            // of the three can fail.
            unsafe {
                std::ptr::addr_of_mut!((*slot).raw).write(backend::Mutex::new(()));
                data.__pinned_init(UnsafeCell::raw_get(addr_of!((*slot).data)))
            }
        };
        // SAFETY: the closure initialises all fields that have a size.
        unsafe { pinned_init::pin_init_from_closure(init) }
    }

    /// Takes the lock.
    pub(crate) fn lock(&self) -> Guard<'_, T, B> {
        if !B::SPINS {
            assert_may_sleep("mutex taken");
        }
        let raw = self
            .raw
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        Guard::new(self, raw)
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_lock(&self) -> Option<Guard<'_, T, B>> {
        Some(Guard::new(self, self.raw.try_lock().ok()?))
    }
}

/// Right to the data of a lock, given back by its drop.
pub(crate) struct Guard<'a, T, B: Backend> {
    lock: &'a Lock<T, B>,
    _raw: backend::MutexGuard<'a, ()>,
}

impl<'a, T, B: Backend> Guard<'a, T, B> {
    fn new(lock: &'a Lock<T, B>, raw: backend::MutexGuard<'a, ()>) -> Self {
        if B::SPINS {
            held::enter();
        }
        Self { lock, _raw: raw }
    }
}

impl<T, B: Backend> Drop for Guard<'_, T, B> {
    fn drop(&mut self) {
        if B::SPINS {
            held::leave();
        }
    }
}

impl<T, B: Backend> Deref for Guard<'_, T, B> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: Unpin, B: Backend> DerefMut for Guard<'_, T, B> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, by this guard alone.
        unsafe { &mut *self.lock.data.get() }
    }
}

/// Data that the lock of something else protects.
pub(crate) struct LockedBy<T, U> {
    owner: *const U,
    data: UnsafeCell<T>,
}

// SAFETY: the owner's lock lets one thread at a time reach the data; the pointer is only compared.
unsafe impl<T: Send, U> Send for LockedBy<T, U> {}
// SAFETY: as above; shared access asks for `T: Sync`.
unsafe impl<T: Send, U> Sync for LockedBy<T, U> {}

impl<T, U> LockedBy<T, U> {
    /// Wraps `data`, to be reached by who has the data of `owner`.
    pub(crate) fn new<B: Backend>(owner: &Lock<U, B>, data: T) -> Self {
        Self {
            owner: owner.data.get(),
            data: UnsafeCell::new(data),
        }
    }

    /// Reads. Panics if `owner` is another one.
    pub(crate) fn access<'a>(&'a self, owner: &'a U) -> &'a T
    where
        T: Sync,
    {
        assert!(std::ptr::eq(owner, self.owner), "another owner");
        // SAFETY: a shared reference to the owner rules out that somebody has it mutably.
        unsafe { &*self.data.get() }
    }

    /// Reads and writes. Panics if `owner` is another one.
    pub(crate) fn access_mut<'a>(&'a self, owner: &'a mut U) -> &'a mut T {
        assert!(std::ptr::eq(owner, self.owner), "another owner");
        // SAFETY: there is one mutable reference to the owner, and it is borrowed for as long.
        unsafe { &mut *self.data.get() }
    }
}

/// Makes the initialiser of a [`SpinLock`]. The name is lockdep's and has no use here.
macro_rules! new_spinlock {
    ($data:expr $(, $name:literal)? $(,)?) => {
        $crate::host::SpinLock::new($data)
    };
}
pub(crate) use new_spinlock;

/// Makes the initialiser of a [`Mutex`].
macro_rules! new_mutex {
    ($data:expr $(, $name:literal)? $(,)?) => {
        $crate::host::Mutex::new($data)
    };
}
pub(crate) use new_mutex;
