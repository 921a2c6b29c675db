// SPDX-License-Identifier: GPL-2.0

//! Pages of a pool: plain memory that notes what the pool may not do.

use crate::core::{
    pool::{
        NoMemory,
        PageStore, //
    },
    sync::PAGE_SIZE, //
};
use std::{
    ops::Range,
    sync::{
        atomic::{
            AtomicUsize,
            Ordering, //
        },
        Mutex,
        MutexGuard,
        PoisonError, //
    },
};

/// So many pages are condemned at one time: few, so that tests see several rounds.
const BATCH: usize = 3;

/// A page that came to be, or not yet.
type Page = Mutex<Option<Box<[u8; PAGE_SIZE]>>>;

/// Memory of one pool.
pub(crate) struct Pages {
    pages: Vec<Page>,
    /// How many more pages there can be.
    left: AtomicUsize,
    /// Indices of pages that are condemned.
    condemned: Mutex<Vec<usize>>,
    /// What is to happen between the next sentence and its execution.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pages {
    /// Makes room for `len` bytes, rounded up to pages.
    pub(crate) fn new(len: usize) -> Self {
        Self::with_limit(len, usize::MAX)
    }

    /// The same, but only `limit` pages can be populated.
    pub(crate) fn with_limit(len: usize, limit: usize) -> Self {
        let pages = (0..len.div_ceil(PAGE_SIZE))
            .map(|_| Mutex::new(None))
            .collect();
        Self {
            pages,
            left: AtomicUsize::new(limit),
            condemned: Mutex::new(Vec::new()),
            meanwhile: Mutex::new(None),
        }
    }

    /// Has `what` happen when pages have been condemned and not yet been evicted, once.
    pub(crate) fn meanwhile(&self, what: impl FnOnce() + Send + 'static) {
        *lock(&self.meanwhile) = Some(Box::new(what));
    }

    /// Copies what the receiver sees.
    pub(crate) fn see(&self, offset: usize, len: usize) -> Vec<u8> {
        (offset..offset + len)
            .map(|at| self.with(at, 1, |byte| byte[0]))
            .collect()
    }

    /// Whether there is a page behind this byte: else the receiver gets a signal.
    pub(crate) fn is_there(&self, offset: usize) -> bool {
        lock(&self.pages[offset / PAGE_SIZE]).is_some()
    }
}

impl PageStore for Pages {
    type Condemned = ();

    fn len(&self) -> usize {
        self.pages.len() * PAGE_SIZE
    }

    fn present(&self) -> usize {
        let there = |page: &&Page| lock(page).is_some();
        self.pages.iter().filter(there).count()
    }

    fn populate(&self, offset: usize, len: usize) -> Result<(), NoMemory> {
        super::lock::assert_may_sleep("populate");
        for index in offset / PAGE_SIZE..(offset + len).div_ceil(PAGE_SIZE) {
            // Held until the page is there: it is not to be evicted in between.
            let mut condemned = lock(&self.condemned);
            condemned.retain(|condemned| *condemned != index);
            let mut page = lock(&self.pages[index]);
            if page.is_none() {
                let one_less = |left: usize| left.checked_sub(1);
                self.left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
                    .map_err(|_| NoMemory)?;
                *page = Some(Box::new([0; PAGE_SIZE]));
            }
        }
        Ok(())
    }

    fn with<R>(&self, offset: usize, len: usize, access: impl FnOnce(&mut [u8]) -> R) -> R {
        super::lock::assert_may_sleep("access to pages");
        // Two slices can lie in one page, and be filled at the same time.
        let mut page = lock(&self.pages[offset / PAGE_SIZE]);
        let bytes = page
            .as_mut()
            .expect("a page accessed that was never populated");
        access(&mut bytes[offset % PAGE_SIZE..][..len])
    }

    fn condemn(&self, range: Range<usize>) -> ((), usize) {
        let mut condemned = lock(&self.condemned);
        assert!(
            condemned.is_empty(),
            "condemned before the last were evicted"
        );
        let whole = range.start.div_ceil(PAGE_SIZE)..range.end / PAGE_SIZE;
        for index in whole.rev() {
            if lock(&self.pages[index]).is_some() {
                condemned.push(index);
            }
            if condemned.len() == BATCH {
                return ((), index * PAGE_SIZE);
            }
        }
        ((), range.start)
    }

    fn evict(&self, (): ()) -> usize {
        super::lock::assert_may_sleep("evict");
        let meanwhile = lock(&self.meanwhile).take();
        if let Some(what) = meanwhile {
            what();
        }
        let mut condemned = lock(&self.condemned);
        let gone = condemned.drain(..).map(|index| {
            assert!(lock(&self.pages[index]).take().is_some());
            self.left.fetch_add(1, Ordering::Relaxed)
        });
        gone.count()
    }
}
