// SPDX-License-Identifier: GPL-2.0

//! Objects inside the data of a message: parsed, checked for place, and encoded for the receiver.
//!
//! Pure: no user memory, no engine object, no lock. [`Walk`] answers where an object may lie,
//! [`Object::parse`] what it is, and the encoders give the bytes that take its place in the
//! receiver. The order of the checks is that of the ABI, because it decides which error a sender
//! reads when several apply.

#![deny(unsafe_code)]

use super::{
    abi,
    command::{
        to_u64,
        Strength, //
    },
};
use kernel::transmute::{
    AsBytes,
    FromBytes, //
};

/// Bytes of every object that is supported.
pub(super) const OBJECT_SIZE: usize = size_of::<abi::flat_binder_object>();

/// Bytes of the header, which says the type.
const HEADER_SIZE: u64 = 4;

/// Alignment that an object's offset must have.
const OFFSET_ALIGN: u64 = 4;

/// Where the number of a file descriptor lies in its object.
pub(super) const FD_OFFSET: u64 = 8;

/// An object as its sender wrote it.
#[derive(Clone, Copy)]
pub(super) enum Object {
    /// A node of the sender.
    Binder {
        /// Whether the receiver is to keep the node or only its record.
        strength: Strength,
        /// Passed through; also the node's flags if the node is new.
        flags: u32,
        /// The owner's pointer: the key of the node.
        ptr: u64,
        /// The owner's second value.
        cookie: u64,
    },
    /// A node that the sender has a reference to.
    Handle {
        /// As above.
        strength: Strength,
        /// Passed through.
        flags: u32,
        /// The sender's number of the reference.
        desc: u32,
    },
    /// A file of the sender.
    Fd {
        /// The sender's number.
        fd: u32,
        /// What takes the object's place until the receiver's number is known.
        bytes: [u8; OBJECT_SIZE],
    },
}

impl Object {
    /// Reads the object at the start of `bytes`; [`None`] if the type is unknown or it is cut short.
    pub(super) fn parse(bytes: &[u8; OBJECT_SIZE], len: usize) -> Option<Self> {
        let (head, _) = bytes.split_first_chunk::<4>()?;
        if len < OBJECT_SIZE {
            return None;
        }
        let strength = match u32::from_ne_bytes(*head) {
            abi::BINDER_TYPE_BINDER | abi::BINDER_TYPE_HANDLE => Strength::Strong,
            _ => Strength::Weak,
        };
        match u32::from_ne_bytes(*head) {
            abi::BINDER_TYPE_BINDER | abi::BINDER_TYPE_WEAK_BINDER => {
                let object = copy::<abi::flat_binder_object>(bytes);
                Some(Object::Binder {
                    strength,
                    flags: object.flags,
                    ptr: object.binder(),
                    cookie: object.cookie,
                })
            }
            abi::BINDER_TYPE_HANDLE | abi::BINDER_TYPE_WEAK_HANDLE => {
                let object = copy::<abi::flat_binder_object>(bytes);
                Some(Object::Handle {
                    strength,
                    flags: object.flags,
                    desc: object.handle(),
                })
            }
            abi::BINDER_TYPE_FD => {
                let mut object = copy::<abi::binder_fd_object>(bytes);
                let fd = object.fd();
                object.clear_fd();
                Some(Object::Fd {
                    fd,
                    bytes: to_bytes(&object),
                })
            }
            _ => None,
        }
    }
}

/// Bytes of a node that the receiver owns.
pub(super) fn binder_bytes(
    strength: Strength,
    flags: u32,
    ptr: u64,
    cookie: u64,
) -> [u8; OBJECT_SIZE] {
    let mut object = abi::flat_binder_object {
        flags,
        cookie,
        ..Default::default()
    };
    object.hdr.type_ = match strength {
        Strength::Strong => abi::BINDER_TYPE_BINDER,
        Strength::Weak => abi::BINDER_TYPE_WEAK_BINDER,
    };
    object.set_binder(ptr);
    to_bytes(&object)
}

/// Bytes of a reference that the receiver has.
pub(super) fn handle_bytes(strength: Strength, flags: u32, desc: u32) -> [u8; OBJECT_SIZE] {
    let mut object = abi::flat_binder_object {
        flags,
        ..Default::default()
    };
    object.hdr.type_ = match strength {
        Strength::Strong => abi::BINDER_TYPE_HANDLE,
        Strength::Weak => abi::BINDER_TYPE_WEAK_HANDLE,
    };
    object.set_handle(desc);
    to_bytes(&object)
}

/// A place error of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlaceError {
    /// The offset lies beyond the data, or before the end of the previous object.
    Order,
    /// The offset is not aligned, or the object doesn't fit.
    Bounds,
}

/// The walk over the data of a message, from object to object.
pub(super) struct Walk {
    data_size: u64,
    pos: u64,
}

impl Walk {
    /// Starts at the beginning of `data_size` bytes.
    pub(super) fn new(data_size: u64) -> Self {
        Self { data_size, pos: 0 }
    }

    /// Where the bytes begin that were not copied yet.
    pub(super) fn pos(&self) -> u64 {
        self.pos
    }

    /// Bytes to copy as they are before the object at `offset`.
    pub(super) fn gap(&self, offset: u64) -> Result<u64, PlaceError> {
        if offset > self.data_size {
            return Err(PlaceError::Order);
        }
        offset.checked_sub(self.pos).ok_or(PlaceError::Order)
    }

    /// Bytes that may be read at `offset`, at most those of an object.
    pub(super) fn readable(&self, offset: u64) -> Result<usize, PlaceError> {
        let left = self.data_size.saturating_sub(offset);
        if left < HEADER_SIZE || offset % OFFSET_ALIGN != 0 {
            return Err(PlaceError::Bounds);
        }
        Ok(super::command::to_usize(left.min(to_u64(OBJECT_SIZE))))
    }

    /// Goes behind the object at `offset`, which fits into the data.
    pub(super) fn pass(&mut self, offset: u64) {
        self.pos = offset.saturating_add(to_u64(OBJECT_SIZE));
    }

    /// Bytes behind the last object.
    pub(super) fn tail(&self) -> u64 {
        self.data_size.saturating_sub(self.pos)
    }
}

/// An object with the contents of `bytes`, whatever their alignment.
fn copy<T: FromBytes + AsBytes + Default>(bytes: &[u8; OBJECT_SIZE]) -> T {
    const { assert!(size_of::<T>() == OBJECT_SIZE) };
    let mut object = T::default();
    object.as_bytes_mut().copy_from_slice(bytes);
    object
}

/// The bytes of an object.
fn to_bytes<T: AsBytes>(object: &T) -> [u8; OBJECT_SIZE] {
    const { assert!(size_of::<T>() == OBJECT_SIZE) };
    let mut bytes = [0; OBJECT_SIZE];
    bytes.copy_from_slice(object.as_bytes());
    bytes
}
