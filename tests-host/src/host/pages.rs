// SPDX-License-Identifier: GPL-2.0

//! Pages of a pool: plain memory that notes what the pool may not do.

use crate::core::{
    pool::{
        NoMemory,
        PageStore, //
    },
    sync::PAGE_SIZE, //
};
use std::sync::{
    atomic::{
        AtomicUsize,
        Ordering, //
    },
    Mutex,
    PoisonError, //
};

/// A page that came to be, or not yet.
type Page = Mutex<Option<Box<[u8; PAGE_SIZE]>>>;

/// Memory of one pool.
pub(crate) struct Pages {
    pages: Vec<Page>,
    /// How many more pages there can be.
    left: AtomicUsize,
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
        }
    }

    /// How many pages there are.
    pub(crate) fn populated(&self) -> usize {
        let there = |page: &&Page| {
            page.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some()
        };
        self.pages.iter().filter(there).count()
    }

    /// Copies what the receiver sees.
    pub(crate) fn see(&self, offset: usize, len: usize) -> Vec<u8> {
        (offset..offset + len)
            .map(|at| self.with(at, 1, |byte| byte[0]))
            .collect()
    }
}

impl PageStore for Pages {
    fn len(&self) -> usize {
        self.pages.len() * PAGE_SIZE
    }

    fn populate(&self, offset: usize, len: usize) -> Result<(), NoMemory> {
        super::lock::assert_may_sleep("populate");
        for page in &self.pages[offset / PAGE_SIZE..(offset + len).div_ceil(PAGE_SIZE)] {
            let mut page = page.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut page = self.pages[offset / PAGE_SIZE]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let bytes = page
            .as_mut()
            .expect("a page accessed that was never populated");
        access(&mut bytes[offset % PAGE_SIZE..][..len])
    }
}
