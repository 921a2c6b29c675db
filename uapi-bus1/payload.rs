// SPDX-License-Identifier: GPL-2.0

//! The bytes of a message: gathered from user memory, laid out in the receiver's slice.
//!
//! Takes no locks; no lock may be held while user memory is copied.

#![deny(unsafe_code)]

use super::{
    command::Width,
    pool::Pages,
    user,
    user::Array, //
};
use crate::core::pool::Slice;
use kernel::{
    alloc::KVVec,
    page::PAGE_SIZE,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// One piece of user memory: `[address, length]`.
type Vector = [u64; 2];

/// Where the parts of a message lie in its slice.
///
/// The bytes come first, then, at the next multiple of 8, the IDs of handles, then the numbers of
/// files, then, at the next multiple of 8, the security context. What is between and behind them is
/// zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bytes of payload.
    pub(super) n_bytes: usize,
    /// Handle IDs of 8 bytes.
    pub(super) n_handles: usize,
    /// File numbers of 4 bytes.
    pub(super) n_fds: usize,
    /// Bytes of the sender's security context, if the receiver wants it and there is one.
    pub(super) n_secctx: Option<usize>,
}

impl Layout {
    /// Every part and every slice starts at a multiple of this.
    const ALIGN: usize = 8;

    /// Where the handle IDs start.
    pub(super) fn handles(&self) -> usize {
        self.n_bytes.next_multiple_of(Self::ALIGN)
    }

    /// Where the file numbers start.
    pub(super) fn fds(&self) -> usize {
        self.handles() + self.n_handles * size_of::<u64>()
    }

    /// Where the security context starts.
    pub(super) fn secctx(&self) -> usize {
        let end = self.fds() + self.n_fds * size_of::<u32>();
        end.next_multiple_of(Self::ALIGN)
    }

    /// Bytes of the slice: never none, so that each slice has an offset of its own.
    pub(super) fn len(&self) -> usize {
        let end = self.secctx() + self.n_secctx.unwrap_or(0);
        end.next_multiple_of(Self::ALIGN).max(Self::ALIGN)
    }
}

/// The payload of a message, not yet copied.
pub(super) struct Payload {
    vectors: KVVec<Vector>,
    len: usize,
}

impl Payload {
    /// Most vectors of one message, as for every other call that takes vectors.
    pub(super) const VECTORS_MAX: u64 = 1024;

    /// Most bytes of one message, as for every other call that reads or writes.
    const LEN_MAX: u64 = i32::MAX.unsigned_abs() as u64 & !(PAGE_SIZE as u64 - 1);

    /// Reads and checks `len` vectors of user memory.
    ///
    /// Fails with `EFAULT` if the array cannot be read, then, vector by vector, with `EMSGSIZE` for
    /// a length that is negative in a signed type, `EFAULT` for a piece that cannot lie in user
    /// memory, `EMSGSIZE` if the sum gets too large. Whether the pieces are mapped shows when they
    /// are copied.
    pub(super) fn read(from: u64, len: usize, width: Width) -> Result<Self> {
        let vectors = match width {
            Width::Native => Array::<Vector>::read(from, len)?.into_whole()?,
            Width::Compat => {
                let narrow = Array::<[u32; 2]>::read(from, len)?.into_whole()?;
                let mut vectors = KVVec::with_capacity(narrow.len(), GFP_KERNEL)?;
                for [base, len] in narrow {
                    vectors.push([base.into(), Self::widen(len)], GFP_KERNEL)?;
                }
                vectors
            }
        };
        let mut sum = 0;
        for &[base, len] in &vectors {
            if i64::try_from(len).is_err() {
                return Err(EMSGSIZE);
            }
            // User memory is the lower half of the address space, or less, on every machine.
            if base
                .checked_add(len)
                .is_none_or(|end| i64::try_from(end).is_err())
            {
                return Err(EFAULT);
            }
            if len > Self::LEN_MAX - sum {
                return Err(EMSGSIZE);
            }
            sum += len;
        }
        Ok(Self {
            vectors,
            len: usize::try_from(sum).map_err(|_| EMSGSIZE)?,
        })
    }

    /// Widens a 32-bit length so that what is negative stays so.
    fn widen(len: u32) -> u64 {
        match i32::try_from(len) {
            Ok(_) => len.into(),
            Err(_) => u64::from(len) | !u64::from(u32::MAX),
        }
    }

    /// Bytes in all.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Copies the bytes to the beginning of `slice`, and clears the rest of it.
    ///
    /// `EFAULT` if the sender's memory cannot be read; what was copied by then stays.
    pub(super) fn copy_to(&self, slice: &mut Slice<Pages>) -> Result {
        let mut vectors = self.vectors.iter();
        let mut reader = UserSlice::new(UserPtr::from_addr(0), 0).reader();
        slice
            .for_each_chunk(0..self.len, |chunk| {
                let mut rest = chunk;
                while !rest.is_empty() {
                    if reader.is_empty() {
                        // The vectors have as many bytes as the range.
                        let &[base, len] = vectors.next().ok_or(EFAULT)?;
                        let len = usize::try_from(len).map_err(|_| EFAULT)?;
                        reader = UserSlice::new(user::pointer(base)?, len).reader();
                        continue;
                    }
                    let (now, later) = rest.split_at_mut(reader.len().min(rest.len()));
                    reader.read_slice(now)?;
                    rest = later;
                }
                Ok::<(), Error>(())
            })
            .map_err(|_| EFAULT)?;
        slice.zero(self.len..slice.len()).map_err(|_| EFAULT)
    }

    /// Copies the bytes once more, from a slice that has them, and clears the rest of `slice`.
    pub(super) fn copy_again(&self, from: &mut Slice<Pages>, slice: &mut Slice<Pages>) -> Result {
        slice.copy_from(from, self.len).map_err(|_| EFAULT)?;
        slice.zero(self.len..slice.len()).map_err(|_| EFAULT)
    }
}
