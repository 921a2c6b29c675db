// SPDX-License-Identifier: GPL-2.0

//! All pools of one kind, to be asked for memory when the kernel runs short.
//!
//! A pool is listed as long as its [`Member`] is there, which its owner keeps. Pools are asked in
//! turn, so that each loses its idle pages once before any loses them again.
//!
//! How many pages lie idle is not counted while messages pass: a counter that all of them share would
//! cost each more than it tells. Who asks adds up what the pools say.
//!
//! Locks: a leaf spinlock around the list, held while a pool enters or leaves, or a few of them are
//! looked at. Who looks for memory never waits for it.

#![deny(unsafe_code)]

use super::{
    pool::{
        Effort,
        PageStore,
        Pool, //
    },
    sync::{
        fifo::Fifo,
        new_spinlock,
        pin_data,
        pin_init,
        try_arc,
        AllocError,
        Arc,
        ArcBorrow,
        ListArc,
        SpinLock, //
    },
};

/// So many pools are looked at under the lock at one time.
const STRIDE: usize = 32;

struct List<S: PageStore> {
    pools: Fifo<Pool<S>>,
    len: usize,
}

impl<S: PageStore> List<S> {
    /// Looks at the first pool, which becomes the last.
    fn turn<R>(&mut self, look: impl FnOnce(ArcBorrow<'_, Pool<S>>) -> R) -> Option<R> {
        let pool = self.pools.pop_front()?;
        let seen = look(pool.as_arc_borrow());
        self.pools.push_back(pool);
        Some(seen)
    }
}

/// The list.
#[pin_data]
pub(crate) struct Pools<S: PageStore> {
    #[pin]
    list: SpinLock<List<S>>,
}

impl<S: PageStore> Pools<S> {
    /// Makes an empty list.
    pub(crate) fn new() -> Result<Arc<Self>, AllocError> {
        let list = List {
            pools: Fifo::new(),
            len: 0,
        };
        try_arc(pin_init!(Self {
            list <- new_spinlock!(list, "bus1::Pools::list"),
        }))
    }

    /// About how many pages all pools could give back together; less if the list is busy.
    pub(crate) fn freeable(&self) -> usize {
        let (mut pages, mut left) = (0, self.len());
        while left > 0 {
            let Some(mut list) = self.list.try_lock() else {
                break;
            };
            let stride = left.min(STRIDE);
            for _ in 0..stride {
                list.turn(|pool| pages += pool.freeable());
            }
            left -= stride;
        }
        pages
    }

    /// Gives back about `most` pages, if there are so many; returns how many. May sleep, waits for
    /// no lock of the engine, and allocates nothing.
    pub(crate) fn reclaim(&self, most: usize) -> usize {
        let (mut given, mut left) = (0, self.len());
        while given < most {
            let Some(pool) = self.next_idle(&mut left) else {
                break;
            };
            given += pool.reclaim(most - given, Effort::Try);
        }
        given
    }

    /// The next of `left` pools that has idle pages.
    fn next_idle(&self, left: &mut usize) -> Option<Arc<Pool<S>>> {
        while *left > 0 {
            let mut list = self.list.try_lock()?;
            for _ in 0..(*left).min(STRIDE) {
                *left -= 1;
                let pool = list.turn(|pool| (pool.freeable() > 0).then(|| Arc::from(pool)));
                if let Some(idle) = pool.flatten() {
                    return Some(idle);
                }
            }
        }
        None
    }

    fn len(&self) -> usize {
        self.list.try_lock().map_or(0, |list| list.len)
    }
}

/// A pool that is listed, until this is dropped.
pub(crate) struct Member<S: PageStore> {
    pools: Arc<Pools<S>>,
    pool: Arc<Pool<S>>,
}

impl<S: PageStore> Member<S> {
    /// Makes a pool of all of `store`, and lists it.
    pub(crate) fn new(pools: &Arc<Pools<S>>, store: S) -> Result<Self, AllocError> {
        let pool = Pool::new(store)?;
        // A new pool is in no list, so it can enter this one.
        if let Ok(listed) = ListArc::try_from_arc(pool.clone()) {
            let mut list = pools.list.lock();
            list.pools.push_back(listed);
            list.len += 1;
        }
        Ok(Self {
            pools: pools.clone(),
            pool,
        })
    }

    /// The pool.
    pub(crate) fn pool(&self) -> &Arc<Pool<S>> {
        &self.pool
    }
}

impl<S: PageStore> Drop for Member<S> {
    fn drop(&mut self) {
        let mut list = self.pools.list.lock();
        let listed = list.pools.remove(&self.pool);
        if listed.is_some() {
            list.len -= 1;
        }
        drop(list);
        // What was listed is dropped after unlock.
    }
}
