// SPDX-License-Identifier: GPL-2.0

//! User memory: structures and arrays.
//!
//! Everything is copied before any lock is taken, so that a fault which never ends (userfaultfd,
//! a FUSE file) stops nobody but its own task.  Takes no locks.

#![deny(unsafe_code)]

use kernel::{
    alloc::KVVec,
    prelude::*,
    transmute::{
        AsBytes,
        FromBytes, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// Bytes of an array that are copied at a time, on the stack.
const CHUNK: usize = 256;

/// Turns a pointer member of a structure into a user address.
///
/// Fails with `EFAULT` where the machine's pointers are too narrow for it.
pub(super) fn pointer(member: u64) -> Result<UserPtr> {
    usize::try_from(member)
        .map(UserPtr::from_addr)
        .map_err(|_| EFAULT)
}

/// Reads a structure, or fails with `EFAULT`.
pub(super) fn read<T: FromBytes>(from: UserPtr) -> Result<T> {
    UserSlice::new(from, size_of::<T>()).reader().read()
}

/// Writes a structure whole, or fails with `EFAULT`.
pub(super) fn write<T: AsBytes>(to: UserPtr, value: &T) -> Result {
    UserSlice::new(to, size_of::<T>()).writer().write(value)
}

/// A type that arrays in user memory are made of.
pub(super) trait Element: Copy {
    /// Bytes of one element.
    const SIZE: usize;

    /// Makes an element of its bytes; `None` if their number is wrong.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// Implements [`Element`] for integers in host order.
macro_rules! element {
    ($($integer:ty)*) => {
        $(
            impl Element for $integer {
                const SIZE: usize = size_of::<$integer>();

                fn from_bytes(bytes: &[u8]) -> Option<Self> {
                    bytes.try_into().ok().map(<$integer>::from_ne_bytes)
                }
            }
        )*
    };
}

element!(i32 u32 u64);

/// Two of a kind: how `struct iovec` looks to this file.
impl<T: Element> Element for [T; 2] {
    const SIZE: usize = 2 * T::SIZE;

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (first, second) = bytes.split_at_checked(T::SIZE)?;
        Some([T::from_bytes(first)?, T::from_bytes(second)?])
    }
}

/// As many elements of an array in user memory as could be read.
///
/// Which of several errors a call reports depends on their places: an unknown ID wins over a
/// fault behind it.  But memory is read long before IDs are looked up, so a fault is not reported
/// when it happens: it stays in its place and is met by whoever comes there.
pub(super) struct Array<T> {
    items: KVVec<T>,
    faulted: bool,
}

impl<T: Element> Array<T> {
    /// Reads `len` elements at `from`, or those before the first that cannot be read.
    ///
    /// With `len` 0 the pointer is not looked at.  The caller has bounded `len`; memory is taken
    /// as the elements come in.  Fails with `ENOMEM` only, and with `EFAULT` if the machine has no
    /// such address.
    pub(super) fn read(from: u64, len: usize) -> Result<Self> {
        if len == 0 {
            return Ok(Self {
                items: KVVec::new(),
                faulted: false,
            });
        }
        let mut items = KVVec::with_capacity(len.min(CHUNK / T::SIZE), GFP_KERNEL)?;
        let from = pointer(from)?;
        let size = len.checked_mul(T::SIZE).ok_or(EFAULT)?;
        let mut reader = UserSlice::new(from, size).reader();
        let mut chunk = [0; CHUNK];
        let mut step = CHUNK;
        while !reader.is_empty() {
            let wanted = step.min(reader.len());
            let Some(bytes) = chunk.get_mut(..wanted) else {
                break;
            };
            if reader.read_slice(bytes).is_err() {
                // Once more, one by one, up to the element at fault.
                if step == T::SIZE {
                    return Ok(Self {
                        items,
                        faulted: true,
                    });
                }
                step = T::SIZE;
                continue;
            }
            for item in bytes.chunks_exact(T::SIZE).filter_map(T::from_bytes) {
                items.push(item, GFP_KERNEL)?;
            }
        }
        Ok(Self {
            items,
            faulted: false,
        })
    }

    /// Returns the elements in order, then, if the array could not be read to its end, `EFAULT`.
    pub(super) fn iter(&self) -> impl Iterator<Item = Result<T>> + '_ {
        let fault = self.faulted.then_some(Err(EFAULT));
        Iterator::chain(self.items.iter().copied().map(Ok), fault)
    }

    /// Returns all elements, or `EFAULT` if one could not be read.
    pub(super) fn into_whole(self) -> Result<KVVec<T>> {
        if self.faulted {
            Err(EFAULT)
        } else {
            Ok(self.items)
        }
    }
}
