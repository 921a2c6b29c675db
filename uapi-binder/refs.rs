// SPDX-License-Identifier: GPL-2.0

//! The desc table: numbers that a proc uses for its references.
//!
//! A number is the lowest free one from 1 on, or from 0 on for the node that is the manager at that
//! moment. It is free again as soon as its entry is taken out. The table is generic over what an
//! entry holds and does no counting. Whoever owns the table guards it with a sleeping lock; what is
//! taken out of it is returned, so that it can be dropped outside.

#![deny(unsafe_code)]

use super::command::to_usize;
use kernel::{
    alloc::AllocError,
    id_pool::IdPool,
    prelude::*, //
};

/// Which numbers an entry may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// 0 and up: the node of the present manager.
    Manager,
    /// 1 and up.
    Other,
}

/// The table of one proc.
pub(super) struct DescTable<R> {
    used: IdPool,
    slots: KVVec<Option<R>>,
}

impl<R> DescTable<R> {
    /// Creates an empty table.
    pub(super) fn new() -> Self {
        Self {
            used: IdPool::new(),
            slots: KVVec::new(),
        }
    }

    /// Puts the entry that `make` builds for the lowest free number into the table.
    pub(super) fn insert(
        &mut self,
        first: First,
        make: impl FnOnce(u32) -> R,
    ) -> Result<u32, AllocError> {
        let from = match first {
            First::Manager => 0,
            First::Other => 1,
        };
        let desc = loop {
            if let Some(id) = self.used.find_unused_id(from) {
                break id.as_u32();
            }
            let grown = self.used.grow_request().ok_or(AllocError)?;
            self.used.grow(grown.realloc(GFP_KERNEL)?);
        };
        let index = index(desc);
        while self.slots.len() <= index {
            self.slots.push(None, GFP_KERNEL)?;
        }
        let slot = self.slots.get_mut(index).ok_or(AllocError)?;
        *slot = Some(make(desc));
        if let Some(id) = self.used.find_unused_id(from) {
            id.acquire();
        }
        Ok(desc)
    }

    /// The entry `desc`.
    pub(super) fn get(&self, desc: u32) -> Option<&R> {
        self.slots.get(index(desc))?.as_ref()
    }

    /// The entry `desc`, to be changed.
    pub(super) fn get_mut(&mut self, desc: u32) -> Option<&mut R> {
        self.slots.get_mut(index(desc))?.as_mut()
    }

    /// Takes the entry `desc` out; its number is free from now on.
    pub(super) fn remove(&mut self, desc: u32) -> Option<R> {
        let entry = self.slots.get_mut(index(desc))?.take()?;
        self.used.release_id(index(desc));
        if let Some(request) = self.used.shrink_request() {
            // Without memory the pool stays as large as it is.
            if let Ok(smaller) = request.realloc(GFP_KERNEL) {
                self.used.shrink(smaller);
            }
        }
        Some(entry)
    }

    /// Takes all entries out. They come in the order of their numbers.
    pub(super) fn clear(&mut self) -> KVVec<Option<R>> {
        self.used = IdPool::new();
        ::core::mem::take(&mut self.slots)
    }
}

/// A desc as an index.
fn index(desc: u32) -> usize {
    to_usize(u64::from(desc))
}
