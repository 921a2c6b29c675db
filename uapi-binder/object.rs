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
        to_usize,
        Strength, //
    },
};
use kernel::transmute::{
    AsBytes,
    FromBytes, //
};

/// Bytes of the largest object.
pub(super) const MAX_SIZE: usize = size_of::<abi::binder_buffer_object>();

/// Bytes of the header, which says the type.
const HEADER_SIZE: u64 = 4;

/// Alignment that an object's offset must have.
const OFFSET_ALIGN: u64 = 4;

/// Where the number of a file descriptor lies in its object.
pub(super) const FD_OFFSET: u64 = 8;

/// A place in the memory that an earlier pointer of the same message points to.
#[derive(Clone, Copy)]
pub(super) struct Parent {
    /// Which offset of the message is that of the pointer.
    pub(super) index: u64,
    /// Bytes from the start of its memory.
    pub(super) offset: u64,
}

/// Memory of the sender that is passed along: BINDER_TYPE_PTR.
pub(super) struct Pointer {
    object: abi::binder_buffer_object,
}

impl Pointer {
    /// Its address in the sender.
    pub(super) fn source(&self) -> u64 {
        self.object.buffer
    }

    /// Its bytes.
    pub(super) fn len(&self) -> u64 {
        self.object.length
    }

    /// Where its address is to be written, besides the object itself.
    pub(super) fn parent(&self) -> Option<Parent> {
        let has_parent = self.object.flags & abi::BINDER_BUFFER_FLAG_HAS_PARENT != 0;
        has_parent.then_some(Parent {
            index: self.object.parent,
            offset: self.object.parent_offset,
        })
    }

    /// The object for a receiver who finds the memory at `address`.
    pub(super) fn at(mut self, address: u64) -> Encoded {
        self.object.buffer = address;
        Encoded::new(&self.object)
    }
}

/// Numbers of files that lie in the memory of a pointer: BINDER_TYPE_FDA.
pub(super) struct FdArray {
    object: abi::binder_fd_array_object,
}

impl FdArray {
    /// How many.
    pub(super) fn count(&self) -> u64 {
        self.object.num_fds
    }

    /// Where the first one lies.
    pub(super) fn parent(&self) -> Parent {
        Parent {
            index: self.object.parent,
            offset: self.object.parent_offset,
        }
    }

    /// The object for the receiver, which is the same.
    pub(super) fn encode(&self) -> Encoded {
        Encoded::new(&self.object)
    }
}

/// An object as its sender wrote it.
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
        encoded: Encoded,
    },
    /// Memory of the sender.
    Pointer(Pointer),
    /// Files of the sender, whose numbers lie in such memory.
    FdArray(FdArray),
}

impl Object {
    /// Reads the object at the start of the first `len` of `bytes`, and how many of them it has;
    /// [`None`] if its type is unknown or it is cut short.
    pub(super) fn parse(bytes: &[u8; MAX_SIZE], len: usize) -> Option<(Self, usize)> {
        let (bytes, _) = bytes.split_at_checked(len)?;
        let (head, _) = bytes.split_first_chunk::<4>()?;
        let kind = u32::from_ne_bytes(*head);
        let strength = match kind {
            abi::BINDER_TYPE_BINDER | abi::BINDER_TYPE_HANDLE => Strength::Strong,
            _ => Strength::Weak,
        };
        Some(match kind {
            abi::BINDER_TYPE_BINDER | abi::BINDER_TYPE_WEAK_BINDER => {
                let object: abi::flat_binder_object = copy(bytes)?;
                let (flags, cookie) = (object.flags, object.cookie);
                let binder = Object::Binder {
                    strength,
                    flags,
                    ptr: object.binder(),
                    cookie,
                };
                (binder, size_of_val(&object))
            }
            abi::BINDER_TYPE_HANDLE | abi::BINDER_TYPE_WEAK_HANDLE => {
                let object: abi::flat_binder_object = copy(bytes)?;
                let handle = Object::Handle {
                    strength,
                    flags: object.flags,
                    desc: object.handle(),
                };
                (handle, size_of_val(&object))
            }
            abi::BINDER_TYPE_FD => {
                let mut object: abi::binder_fd_object = copy(bytes)?;
                let fd = object.fd();
                object.clear_fd();
                let encoded = Encoded::new(&object);
                (Object::Fd { fd, encoded }, size_of_val(&object))
            }
            abi::BINDER_TYPE_PTR => {
                let object: abi::binder_buffer_object = copy(bytes)?;
                (Object::Pointer(Pointer { object }), size_of_val(&object))
            }
            abi::BINDER_TYPE_FDA => {
                let object: abi::binder_fd_array_object = copy(bytes)?;
                (Object::FdArray(FdArray { object }), size_of_val(&object))
            }
            _ => return None,
        })
    }
}

/// An object as its receiver finds it.
pub(super) struct Encoded {
    bytes: [u8; MAX_SIZE],
    len: usize,
}

impl Encoded {
    fn new<T: AsBytes>(object: &T) -> Self {
        const { assert!(size_of::<T>() <= MAX_SIZE) };
        let mut this = Self {
            bytes: [0; MAX_SIZE],
            len: size_of::<T>(),
        };
        let (head, _) = this.bytes.split_at_mut(this.len);
        head.copy_from_slice(object.as_bytes());
        this
    }

    /// Its bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        let (head, _) = self.bytes.split_at(self.len);
        head
    }
}

/// A node that the receiver owns.
pub(super) fn binder(strength: Strength, flags: u32, ptr: u64, cookie: u64) -> Encoded {
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
    Encoded::new(&object)
}

/// A reference that the receiver has.
pub(super) fn handle(strength: Strength, flags: u32, desc: u32) -> Encoded {
    let mut object = abi::flat_binder_object {
        flags,
        ..Default::default()
    };
    object.hdr.type_ = match strength {
        Strength::Strong => abi::BINDER_TYPE_HANDLE,
        Strength::Weak => abi::BINDER_TYPE_WEAK_HANDLE,
    };
    object.set_handle(desc);
    Encoded::new(&object)
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

    /// Bytes that may be read at `offset`, at most those of the largest object.
    pub(super) fn readable(&self, offset: u64) -> Result<usize, PlaceError> {
        let left = self.data_size.saturating_sub(offset);
        if left < HEADER_SIZE || offset % OFFSET_ALIGN != 0 {
            return Err(PlaceError::Bounds);
        }
        Ok(to_usize(left.min(to_u64(MAX_SIZE))))
    }

    /// Goes behind the object of `size` bytes at `offset`, which fits into the data.
    pub(super) fn pass(&mut self, offset: u64, size: usize) {
        self.pos = offset.saturating_add(to_u64(size));
    }

    /// Bytes behind the last object.
    pub(super) fn tail(&self) -> u64 {
        self.data_size.saturating_sub(self.pos)
    }
}

/// An object with the contents of the first `bytes`, whatever their alignment; [`None`] if they are
/// too few.
fn copy<T: FromBytes + AsBytes + Default>(bytes: &[u8]) -> Option<T> {
    let mut object = T::default();
    let (head, _) = bytes.split_at_checked(size_of::<T>())?;
    object.as_bytes_mut().copy_from_slice(head);
    Some(object)
}
