// SPDX-License-Identifier: GPL-2.0

//! The receive pool of a peer: its size, and how the file maps it.
//!
//! Takes no locks of its own.

#![deny(unsafe_code)]

use crate::{
    core::{
        pool::{
            NoMemory,
            PageStore,
            Pool, //
        },
        reclaim::{
            Member,
            Pools, //
        },
        sync::Arc, //
    },
    shim::{
        mapping::Mapping,
        pages, //
    },
};
use ::core::ops::Range;
use kernel::{
    mm::virt::VmaNew,
    prelude::*, //
};

/// Size of every pool. Pages exist only where a slice has been.
const SIZE: usize = (1 << 29) - 1;

/// The pages of a pool.
pub(super) struct Pages(pages::Pages);

impl PageStore for Pages {
    type Condemned = pages::Condemned;

    fn len(&self) -> usize {
        SIZE
    }

    fn present(&self) -> usize {
        self.0.present()
    }

    fn populate(&self, offset: usize, len: usize) -> Result<(), NoMemory> {
        self.0.populate(offset, len).map_err(|_| NoMemory)
    }

    fn with<R>(&self, offset: usize, len: usize, access: impl FnOnce(&mut [u8]) -> R) -> R {
        self.0.with(offset, len, access)
    }

    fn condemn(&self, range: Range<usize>) -> (Self::Condemned, usize) {
        self.0.condemn(range)
    }

    fn evict(&self, condemned: Self::Condemned) -> usize {
        self.0.evict(condemned)
    }
}

/// Makes the pool of a peer that the calling task is opening, and pays for.
pub(super) fn create(pools: &Arc<Pools<Pages>>) -> Result<Member<Pages>> {
    Ok(Member::new(pools, Pages(pages::Pages::new(SIZE)?))?)
}

/// Maps a pool, to be read: `EPERM` if the area may be written or run.
pub(super) fn map(pool: &Pool<Pages>, area: &VmaNew) -> Result {
    area.try_clear_mayexec().map_err(|_| EPERM)?;
    pool.store().0.map(area, Mapping::Detached)
}
