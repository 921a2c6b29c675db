// SPDX-License-Identifier: GPL-2.0

//! Buffers: the mapping of a proc, and the delivered messages that lie in it.
//!
//! A message that was read stays, with its slice and all that its objects hold, in an index by
//! address until BC_FREE_BUFFER names that address. The memory for its place in the index came with
//! the message, so that delivery can't fail for it. Freeing a buffer closes the files that came in
//! arrays.
//!
//! One-ways may use half of a mapping ([`Budget`]); the room is taken when they are sent and given
//! back with the slice.
//!
//! Locks: the index is a mutex, under which nothing is dropped; the budget is one atomic.

#![deny(unsafe_code)]

use super::{
    command::{
        to_u64,
        to_usize, //
    },
    guard,
    references::Held,
    Binder,
    BinderPeer, //
};
use crate::{
    core::{
        message::Message,
        pool::{
            NoMemory,
            PageStore,
            Slice, //
        },
        reclaim::Member,
        sync::{
            Atomic,
            KBox,
            Relaxed, //
        },
    },
    shim::{
        files,
        mapping::Mapping,
        pages, //
    },
};
use ::core::ops::Range;
use kernel::{
    mm::virt::VmaNew,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        aref::ARef,
        Arc, //
    },
};

/// No mapping is used beyond this, however long it is.
const MAX_SIZE: usize = 4 << 20;

/// Every part of a buffer starts at a multiple of this.
const ALIGN: u64 = 8;

/// The pages of a mapping.
pub(super) struct Pages(pages::Pages);

impl PageStore for Pages {
    type Condemned = pages::Condemned;

    fn len(&self) -> usize {
        self.0.len()
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

/// Maps a proc's buffer space, once for the life of the proc.
pub(super) fn map(peer: &Arc<BinderPeer>, area: &VmaNew) -> Result {
    let process = peer.part();
    if process.pid() != kernel::current!().tgid() {
        return Err(EINVAL);
    }
    if area.writable() {
        return Err(EPERM);
    }
    if !process.is_mm(area.mm()) {
        return Err(EINVAL);
    }
    let mut mapping = process.mapping.lock();
    if mapping.is_some() {
        return Err(EBUSY);
    }
    let len = (area.end() - area.start()).min(MAX_SIZE);
    let pool = Member::new(process.context.pools(), Pages(pages::Pages::new(len)?))?;
    let guard = guard::prepare(len)?;
    // Nothing may fail from here on: the kernel lets go only of areas whose mapping has worked.
    pool.pool().store().0.map(area, Mapping::Pinned)?;
    process.budget.open(len / 2);
    guard(peer);
    *mapping = Some(area.start());
    if !peer.set_pool(pool.pool().clone()) || !process.pool.populate(pool) {
        return Err(EBUSY);
    }
    Ok(())
}

/// The pages behind the mapping, once there is or was one.
pub(super) fn pages(peer: &BinderPeer) -> Option<&pages::Pages> {
    peer.pool().map(|pool| &pool.store().0)
}

/// Whether the proc has a mapping that nobody has touched since.
pub(super) fn is_mapped(peer: &BinderPeer) -> bool {
    peer.pool().is_some_and(|pool| !pool.store().0.torn())
}

/// Sizes of a buffer's parts, which follow each other in this order, each rounded up to 8 bytes.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// Bytes of data.
    pub(super) data: u64,
    /// Bytes of offsets.
    pub(super) offsets: u64,
    /// Bytes of scatter-gather room, the security context included.
    pub(super) extra: u64,
}

impl Sizes {
    /// Where the offsets start.
    pub(super) fn offsets_at(&self) -> Option<u64> {
        round(self.data)
    }

    /// Where the extra room starts.
    pub(super) fn extra_at(&self) -> Option<u64> {
        self.offsets_at()?.checked_add(round(self.offsets)?)
    }

    /// Bytes of the buffer: never none, so that each has an address of its own.
    pub(super) fn total(&self) -> Option<u64> {
        let total = self.extra_at()?.checked_add(round(self.extra)?)?;
        Some(total.max(ALIGN))
    }
}

/// Rounds up to the alignment of parts.
pub(super) fn round(len: u64) -> Option<u64> {
    len.checked_next_multiple_of(ALIGN)
}

/// The room of a mapping that one-ways may use.
pub(super) struct Budget(Atomic<usize>);

impl Budget {
    /// None, until there is a mapping.
    pub(super) fn new() -> Self {
        Self(Atomic::new(0))
    }

    fn open(&self, room: usize) {
        self.0.store(room, Relaxed);
    }

    /// Bytes that are left now.
    pub(super) fn left(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// Takes `size` bytes, if that many are left.
    pub(super) fn take(this: &Arc<Self>, size: usize) -> Option<Room> {
        let mut left = this.0.load(Relaxed);
        loop {
            match this.0.cmpxchg(left, left.checked_sub(size)?, Relaxed) {
                Ok(_) => {
                    return Some(Room {
                        budget: this.clone(),
                        size,
                    })
                }
                Err(now) => left = now,
            }
        }
    }
}

/// Bytes of the mapping, which must be there.
pub(super) fn mapped_len(peer: &BinderPeer) -> usize {
    peer.pool().map_or(0, |pool| pool.store().len())
}

/// Room of a one-way; its drop gives it back.
pub(super) struct Room {
    budget: Arc<Budget>,
    size: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.size, Relaxed);
    }
}

/// The delivered messages of a proc, by their offset in the mapping.
pub(super) type Buffers = RBTree<usize, KBox<Message<Binder>>>;

/// Memory for a message's place among the delivered ones.
pub(super) type Place = RBTreeNodeReservation<usize, KBox<Message<Binder>>>;

/// Reserves a place.
pub(super) fn reserve_place() -> Result<Place> {
    RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)
}

/// The address that the program knows a message by.
pub(super) fn address(peer: &BinderPeer, message: &Message<Binder>) -> Option<u64> {
    address_of(peer, &message.slice)
}

/// The address that a program finds a slice of its mapping at.
pub(super) fn address_of(peer: &BinderPeer, slice: &Slice<Pages>) -> Option<u64> {
    let start = (*peer.part().mapping.lock())?;
    Some(to_u64(start + slice.offset()))
}

/// Keeps a message that the calling task has read until its buffer is freed.
pub(super) fn keep(peer: &BinderPeer, place: Place, mut message: KBox<Message<Binder>>) {
    if !message.part.arrays.is_empty() {
        message.part.reader = Some(ARef::from(kernel::current!().group_leader()));
    }
    let node = place.into_node(message.slice.offset(), message);
    let before = peer.part().buffers.lock().insert(node);
    drop(before);
}

/// BC_FREE_BUFFER. An address that is not that of a delivered message has no effect.
///
/// Returns whether files wait for the end of the system call to be closed.
pub(super) fn free(peer: &BinderPeer, address: u64) -> bool {
    let Some(start) = *peer.part().mapping.lock() else {
        return false;
    };
    let Some(offset) = to_usize(address).checked_sub(start) else {
        return false;
    };
    let message = peer.part().buffers.lock().remove(&offset);
    let Some(mut message) = message else {
        return false;
    };
    let closes = close_arrays(&mut message);
    end(message);
    closes
}

/// Closes the files of arrays, if it is the process that received them which frees the buffer: for
/// another one the numbers mean other files.
fn close_arrays(message: &mut Message<Binder>) -> bool {
    let arrays = ::core::mem::take(&mut message.part.arrays);
    let reader = message.part.reader.take();
    if !reader.is_some_and(|reader| ::core::ptr::eq(&*reader, kernel::current!().group_leader())) {
        return false;
    }
    for places in &arrays {
        for number in 0..to_usize(places.count) {
            let mut fd = [0; size_of::<u32>()];
            let at = to_usize(places.at) + number * fd.len();
            if message.slice.read(at, &mut fd).is_ok() {
                files::close(u32::from_ne_bytes(fd));
            }
        }
    }
    !arrays.is_empty()
}

/// Frees all delivered messages; used when the proc is gone.
pub(super) fn abandon(peer: &BinderPeer) {
    loop {
        let first = {
            let mut buffers = peer.part().buffers.lock();
            let offset = buffers.iter().next().map(|(offset, _)| *offset);
            offset.and_then(|offset| buffers.remove(&offset))
        };
        match first {
            Some(message) => end(message),
            None => return,
        }
    }
}

/// Gives up what a message holds, in the order that the ABI names: the next one-way of the node, the
/// target, the objects from the first on, the memory.
fn end(mut message: KBox<Message<Binder>>) {
    drop(message.turn.take());
    drop(message.part.target.take());
    drop(::core::mem::take::<KVec<Held>>(&mut message.part.objects));
    drop(message);
}
