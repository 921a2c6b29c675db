// SPDX-License-Identifier: GPL-2.0

//! Scatter-gather: memory that pointers of a message name, and what has to be changed in it.
//!
//! Each pointer gets the next part of the extra room behind the offsets of the receiver's buffer. Its
//! memory is copied when all objects are known, around the places that the receiver is to find
//! something else in: the address of another pointer's memory, or numbers of files. So nothing of
//! the sender that was to be replaced is ever seen by the receiver.
//!
//! A pointer or an array of files may name an earlier pointer as its parent, in depth-first order:
//! only the last object that had to do with memory, or one of its ancestors, can be one, and within
//! one parent the places rise. So places can't overlap, and the list of each pointer is in order
//! without being sorted.
//!
//! Pure: no user memory, no engine object, no lock.

#![deny(unsafe_code)]

use super::{
    buffer,
    command::to_u64,
    object::{
        FdArray,
        Parent,
        Pointer, //
    },
};
use kernel::prelude::*;

/// Bytes of an address.
const ADDRESS: u64 = to_u64(size_of::<u64>());

/// Bytes of a file's number.
const NUMBER: u64 = to_u64(size_of::<u32>());

/// Alignment that the place of an address or of a number must have.
const PLACE_ALIGN: u64 = 4;

/// Why an object is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScatterError {
    /// The extra room is used up.
    Room,
    /// The parent is no pointer before this object, or not one that may still be changed there.
    Parent,
    /// The place does not lie in the parent, or is not aligned.
    Place,
    /// There is no memory to note the object.
    NoMemory,
}

impl From<ScatterError> for Error {
    fn from(error: ScatterError) -> Self {
        match error {
            ScatterError::NoMemory => ENOMEM,
            ScatterError::Room | ScatterError::Parent | ScatterError::Place => EINVAL,
        }
    }
}

/// Memory that a pointer names.
struct Block {
    /// Which offset of the message is the pointer's.
    index: u64,
    /// Where it goes, from the start of the buffer.
    at: u64,
    /// Where it is in the sender.
    source: u64,
    len: u64,
    /// The block that holds its address.
    parent: Option<usize>,
    /// Where the next change may begin.
    floor: u64,
    /// Its first and its last change.
    changes: Option<(usize, usize)>,
}

/// What the receiver finds instead of the sender's bytes.
enum Substitute {
    /// An address.
    Address(u64),
    /// As many bytes, which are written when the receiver reads the message.
    Later(u64),
}

/// A place in a block that is not copied.
struct Change {
    offset: u64,
    what: Substitute,
    /// The next one in the same block.
    next: Option<usize>,
}

/// Where the files of an array are and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FdPlaces {
    /// Address of the first number in the sender.
    pub(super) source: u64,
    /// Place of the first number, from the start of the buffer.
    pub(super) at: u64,
    /// How many: at least one.
    pub(super) count: u64,
}

/// A step of filling the extra room. Steps rise and do not overlap.
pub(super) enum Step {
    /// `len` bytes of the sender's at `source` go to `at`.
    Copy {
        /// From the start of the buffer.
        at: u64,
        /// Address in the sender.
        source: u64,
        /// Bytes.
        len: u64,
    },
    /// The receiver's address `address` goes to `at`.
    Address {
        /// From the start of the buffer.
        at: u64,
        /// Where the receiver finds the memory of another pointer.
        address: u64,
    },
}

/// The pointers of a message so far.
pub(super) struct Scatter {
    blocks: KVVec<Block>,
    changes: KVVec<Change>,
    /// The block that was added or changed last.
    open: Option<usize>,
    /// Address of the buffer in the receiver.
    base: u64,
    /// Where the next block goes.
    next: u64,
    /// The end of the room for blocks.
    end: u64,
}

impl Scatter {
    /// Starts with `room` bytes at `start` of the buffer that its receiver finds at `base`. All are
    /// multiples of 8.
    pub(super) fn new(base: u64, start: u64, room: u64) -> Self {
        Self {
            blocks: KVVec::new(),
            changes: KVVec::new(),
            open: None,
            base,
            next: start,
            end: start.saturating_add(room),
        }
    }

    /// Adds the pointer that is the object `index` of the message. Returns the receiver's address of
    /// its memory; that of an empty one is where the next one will be.
    pub(super) fn add(&mut self, index: u64, pointer: &Pointer) -> Result<u64, ScatterError> {
        let (at, len) = (self.next, pointer.len());
        if len > self.end.saturating_sub(at) {
            return Err(ScatterError::Room);
        }
        let taken = buffer::round(len).ok_or(ScatterError::Room)?;
        let address = self.base.wrapping_add(at);
        let parent = match pointer.parent() {
            Some(place) => {
                let parent = self.parent(place)?;
                self.change(parent, place.offset, Substitute::Address(address))?;
                Some(parent)
            }
            None => None,
        };
        let block = Block {
            index,
            at,
            source: pointer.source(),
            len,
            parent,
            floor: 0,
            changes: None,
        };
        self.blocks
            .push(block, GFP_KERNEL_ACCOUNT)
            .map_err(|_| ScatterError::NoMemory)?;
        self.open = self.blocks.len().checked_sub(1);
        self.next = at.saturating_add(taken);
        Ok(address)
    }

    /// Adds an array of files. Returns where they are, or [`None`] if there are none: then all that
    /// counts is which parent it names and in which order, not where in it.
    pub(super) fn add_files(&mut self, array: &FdArray) -> Result<Option<FdPlaces>, ScatterError> {
        let place = array.parent();
        let parent = self.parent(place)?;
        let places = match array.count() {
            0 => {
                self.raise(parent, place.offset)?;
                None
            }
            count => Some(self.files(parent, place.offset, count)?),
        };
        self.open = Some(parent);
        Ok(places)
    }

    /// Notes `count` files at `offset` of the block.
    fn files(&mut self, block: usize, offset: u64, count: u64) -> Result<FdPlaces, ScatterError> {
        let len = count.checked_mul(NUMBER).ok_or(ScatterError::Place)?;
        let found = self.blocks.get(block).ok_or(ScatterError::Parent)?;
        let places = FdPlaces {
            source: found.source.wrapping_add(offset),
            at: found.at.wrapping_add(offset),
            count,
        };
        if places.source % PLACE_ALIGN != 0 || places.at % PLACE_ALIGN != 0 {
            return Err(ScatterError::Place);
        }
        self.change(block, offset, Substitute::Later(len))?;
        Ok(places)
    }

    /// The block that an object names as its parent, if it may do so now.
    fn parent(&self, place: Parent) -> Result<usize, ScatterError> {
        let parent = self
            .blocks
            .binary_search_by_key(&place.index, |block| block.index)
            .map_err(|_| ScatterError::Parent)?;
        // Each step leaves a block for good, unless the message fails.
        let mut open = self.open;
        while let Some(block) = open.and_then(|open| self.blocks.get(open)) {
            if open != Some(parent) {
                open = block.parent;
            } else if place.offset >= block.floor {
                return Ok(parent);
            } else {
                break;
            }
        }
        Err(ScatterError::Parent)
    }

    /// Notes a change at `offset` of the block, behind all those before.
    fn change(&mut self, block: usize, offset: u64, what: Substitute) -> Result<(), ScatterError> {
        let len = match what {
            Substitute::Address(_) => ADDRESS,
            Substitute::Later(len) => len,
        };
        let end = offset.checked_add(len).ok_or(ScatterError::Place)?;
        let room = self.blocks.get(block).map_or(0, |block| block.len);
        if end > room {
            return Err(ScatterError::Place);
        }
        let change = Change {
            offset,
            what,
            next: None,
        };
        let added = self.changes.len();
        self.changes
            .push(change, GFP_KERNEL_ACCOUNT)
            .map_err(|_| ScatterError::NoMemory)?;
        self.raise(block, end)?;
        let block = self.blocks.get_mut(block).ok_or(ScatterError::Parent)?;
        let first = match block.changes {
            Some((first, last)) => {
                if let Some(last) = self.changes.get_mut(last) {
                    last.next = Some(added);
                }
                first
            }
            None => added,
        };
        block.changes = Some((first, added));
        Ok(())
    }

    /// The next change of the block begins at `floor` or behind.
    fn raise(&mut self, block: usize, floor: u64) -> Result<(), ScatterError> {
        let block = self.blocks.get_mut(block).ok_or(ScatterError::Parent)?;
        block.floor = floor;
        Ok(())
    }

    /// Has `f` fill the extra room. EINVAL for the place of an address that is not aligned; or what
    /// `f` says.
    pub(super) fn fill(self, mut f: impl FnMut(Step) -> Result) -> Result {
        for block in &self.blocks {
            let mut done = 0;
            let mut next = block.changes.map(|(first, _)| first);
            while let Some(change) = next.and_then(|next| self.changes.get(next)) {
                f(block.copy(done, change.offset))?;
                done = match change.what {
                    Substitute::Address(address) => {
                        if change.offset % PLACE_ALIGN != 0 {
                            return Err(EINVAL);
                        }
                        let at = block.at.saturating_add(change.offset);
                        f(Step::Address { at, address })?;
                        change.offset.saturating_add(ADDRESS)
                    }
                    Substitute::Later(len) => change.offset.saturating_add(len),
                };
                next = change.next;
            }
            f(block.copy(done, block.len))?;
        }
        Ok(())
    }
}

impl Block {
    /// Copies what lies from `from` to `to`.
    fn copy(&self, from: u64, to: u64) -> Step {
        Step::Copy {
            at: self.at.saturating_add(from),
            source: self.source.wrapping_add(from),
            len: to.saturating_sub(from),
        }
    }
}
