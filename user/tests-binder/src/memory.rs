// SPDX-License-Identifier: MIT OR Apache-2.0

//! Objects about memory: what a message points to, and descriptors in it.
//!
//! What the sender points to lies in the shared area, so a case can write it
//! down; what arrives lies in the receiver's buffer.

use crate::abi::{obj, TransactionData};
use crate::actor::Thread;
use crate::shm;
use crate::wire::{long, word, Tx};
use crate::world::{Fail, Res};

/// A pointer, as it is sent or as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ptr {
    /// [`obj::HAS_PARENT`], or anything else on purpose.
    pub flags: u32,
    /// Address.
    pub buffer: u64,
    /// Bytes there.
    pub length: u64,
    /// Which object holds the address as well.
    pub parent: u64,
    /// Where in that object's memory.
    pub parent_offset: u64,
}

impl Ptr {
    /// To a copy of these bytes.
    pub fn to(bytes: &[u8]) -> Self {
        Self::at(shm::put(bytes), bytes.len() as u64)
    }

    /// To any memory.
    pub const fn at(buffer: u64, length: u64) -> Self {
        Self {
            flags: 0,
            buffer,
            length,
            parent: 0,
            parent_offset: 0,
        }
    }

    /// Puts its address into the memory of the object `parent`, at `offset`.
    pub const fn within(self, parent: u64, offset: u64) -> Self {
        Self {
            flags: self.flags | obj::HAS_PARENT,
            parent,
            parent_offset: offset,
            ..self
        }
    }

    /// The 40 bytes of it.
    pub fn bytes(&self) -> [u8; 40] {
        let mut out = [0; 40];
        out[..4].copy_from_slice(&obj::PTR.to_ne_bytes());
        out[4..8].copy_from_slice(&self.flags.to_ne_bytes());
        out[8..16].copy_from_slice(&self.buffer.to_ne_bytes());
        out[16..24].copy_from_slice(&self.length.to_ne_bytes());
        out[24..32].copy_from_slice(&self.parent.to_ne_bytes());
        out[32..].copy_from_slice(&self.parent_offset.to_ne_bytes());
        out
    }

    /// From the bytes of a received message.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..40)?;
        (word(bytes) == obj::PTR).then(|| Self {
            flags: word(&bytes[4..]),
            buffer: long(&bytes[8..]),
            length: long(&bytes[16..]),
            parent: long(&bytes[24..]),
            parent_offset: long(&bytes[32..]),
        })
    }
}

/// An array of descriptors, as it is sent or as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fda {
    /// Nobody's.
    pub pad: u32,
    /// How many there are.
    pub num_fds: u64,
    /// In which object's memory.
    pub parent: u64,
    /// Where in that memory.
    pub parent_offset: u64,
}

impl Fda {
    /// So many, in the memory of the object `parent`, at `offset`.
    pub const fn of(num_fds: u64, parent: u64, offset: u64) -> Self {
        Self {
            pad: 0,
            num_fds,
            parent,
            parent_offset: offset,
        }
    }

    /// The 32 bytes of it.
    pub fn bytes(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out[..4].copy_from_slice(&obj::FDA.to_ne_bytes());
        out[4..8].copy_from_slice(&self.pad.to_ne_bytes());
        out[8..16].copy_from_slice(&self.num_fds.to_ne_bytes());
        out[16..24].copy_from_slice(&self.parent.to_ne_bytes());
        out[24..].copy_from_slice(&self.parent_offset.to_ne_bytes());
        out
    }

    /// From the bytes of a received message.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..32)?;
        (word(bytes) == obj::FDA).then(|| Self {
            pad: word(&bytes[4..]),
            num_fds: long(&bytes[8..]),
            parent: long(&bytes[16..]),
            parent_offset: long(&bytes[24..]),
        })
    }
}

impl Tx {
    /// Appends a pointer and its offset.
    pub fn ptr(self, ptr: Ptr) -> Self {
        self.item(&ptr.bytes())
    }

    /// Appends pointers.
    pub fn ptrs(self, ptrs: &[Ptr]) -> Self {
        ptrs.iter().fold(self, |tx, ptr| tx.ptr(*ptr))
    }

    /// Appends an array of descriptors and its offset.
    pub fn fda(self, fda: Fda) -> Self {
        self.item(&fda.bytes())
    }
}

impl Thread {
    /// The bytes of the object `index` of a message that this process received,
    /// and of what follows it.
    fn object_bytes(&self, message: &TransactionData, index: usize) -> Res<Vec<u8>> {
        let offsets = self.memory(message.offsets, message.offsets_size as usize)?;
        let offset = offsets.get(8 * index..).filter(|rest| rest.len() >= 8);
        let offset = offset.map(long).unwrap_or(u64::MAX);
        let data = self.payload(message)?;
        let object = data.get(offset as usize..);
        Ok(object
            .ok_or_else(|| Fail(format!("no object {index}")))?
            .to_vec())
    }

    /// The object `index` of a message that this process received: a pointer,
    /// and where its memory lies from the start of the buffer.
    pub fn pointer(&self, message: &TransactionData, index: usize) -> Res<(Ptr, u64)> {
        let ptr = Ptr::parse(&self.object_bytes(message, index)?);
        let ptr = ptr.ok_or_else(|| Fail(format!("object {index} is no pointer")))?;
        let place = ptr.buffer.wrapping_sub(message.buffer);
        self.say(&format!(
            "object {index} is PTR({:x}) {}@{place} in {}@{}",
            ptr.flags, ptr.length, ptr.parent, ptr.parent_offset as i64
        ));
        Ok((ptr, place))
    }

    /// What such a pointer points to.
    pub fn behind(&self, message: &TransactionData, index: usize) -> Res<Vec<u8>> {
        let (ptr, _) = self.pointer(message, index)?;
        self.memory(ptr.buffer, ptr.length as usize)
    }

    /// The object `index` of a message that this process received: an array of
    /// descriptors.
    pub fn array(&self, message: &TransactionData, index: usize) -> Res<Fda> {
        let fda = Fda::parse(&self.object_bytes(message, index)?);
        let fda = fda.ok_or_else(|| Fail(format!("object {index} is no array")))?;
        self.say(&format!("object {index} is {fda:?}"));
        Ok(fda)
    }

    /// The descriptors of such an array.
    pub fn numbers(&self, message: &TransactionData, index: usize) -> Res<Vec<u64>> {
        let fda = self.array(message, index)?;
        let memory = self.behind(message, fda.parent as usize)?;
        let numbers = memory.get(fda.parent_offset as usize..).unwrap_or(&[]);
        let numbers = numbers.chunks_exact(4).take(fda.num_fds as usize);
        Ok(numbers.map(|bytes| u64::from(word(bytes))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_survive_the_wire() {
        let ptr = Ptr::at(1 << 40, 3).within(5, 8);
        assert_eq!(Ptr::parse(&ptr.bytes()), Some(ptr));
        assert_eq!(Ptr::parse(&ptr.bytes()[..39]), None);
        let fda = Fda::of(7, 1, 1 << 33);
        assert_eq!(Fda::parse(&fda.bytes()), Some(fda));
        assert_eq!(Fda::parse(&ptr.bytes()), None);
    }
}
