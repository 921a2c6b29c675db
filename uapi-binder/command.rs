// SPDX-License-Identifier: GPL-2.0

//! Commands: the byte stream of the write half, decoded into a typed [`Command`].
//!
//! Decoding has no effect. It reads each command once, never beyond `write_size`, and says what is
//! wrong with it; what a command means is decided elsewhere. How far the stream was consumed is
//! counted by the caller's [`Stream::complete`], so that a command that failed is not counted.
//!
//! Takes no lock; may fault and sleep.

#![deny(unsafe_code)]

use super::abi;
use kernel::{
    prelude::*,
    transmute::FromBytes,
    uaccess::{
        UserPtr,
        UserSlice,
        UserSliceReader, //
    },
};

/// Payload of a call, one-way or reply as its sender gave it. Addresses are the sender's.
#[derive(Clone, Copy)]
pub(super) struct Outgoing {
    /// Desc of the target; without meaning in a reply.
    pub(super) handle: u32,
    /// What the target is asked to do; passed through.
    pub(super) code: u32,
    /// `TF_*`, passed through with the unknown bits.
    pub(super) flags: u32,
    /// Address of the data.
    pub(super) data: u64,
    /// Bytes of data.
    pub(super) data_size: u64,
    /// Address of the offsets of the objects in the data.
    pub(super) offsets: u64,
    /// Bytes of offsets, 8 for each object.
    pub(super) offsets_size: u64,
    /// Bytes of scatter-gather room.
    pub(super) buffers_size: u64,
}

/// Which count of a reference changes, and in which direction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RefChange {
    /// BC_INCREFS.
    WeakUp,
    /// BC_ACQUIRE.
    StrongUp,
    /// BC_RELEASE.
    StrongDown,
    /// BC_DECREFS.
    WeakDown,
}

/// Strong or weak.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strength {
    /// Keeps the object alive.
    Strong,
    /// Keeps only the record of it.
    Weak,
}

/// What a thread says about its place in the pool.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Looper {
    /// BC_REGISTER_LOOPER: started because the driver asked.
    Register,
    /// BC_ENTER_LOOPER: started by the program.
    Enter,
    /// BC_EXIT_LOOPER.
    Exit,
}

/// One command.
#[derive(Clone, Copy)]
pub(super) enum Command {
    /// A call or one-way.
    Transaction(Outgoing),
    /// The answer to the call that the thread serves.
    Reply(Outgoing),
    /// The buffer at this address was read.
    FreeBuffer(u64),
    /// A count of the reference with this desc.
    Ref(RefChange, u32),
    /// The owner took note of BR_INCREFS or BR_ACQUIRE for (ptr, cookie).
    Done(Strength, u64, u64),
    /// A looper state.
    Looper(Looper),
    /// Tell the death of (desc) with the cookie.
    RequestDeath(u32, u64),
    /// Do not tell any more.
    ClearDeath(u32, u64),
    /// The death with this cookie was noted.
    DeadBinderDone(u64),
    /// Tell whether the owner of (desc) is frozen, with the cookie.
    RequestFreeze(u32, u64),
    /// Do not tell any more.
    ClearFreeze(u32, u64),
    /// The state with this cookie was noted.
    FreezeDone(u64),
}

/// Why a command can't be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// It can't be read, or doesn't end within the stream.
    Fault,
    /// Nobody knows its number, or it was never implemented.
    Unknown,
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Fault => EFAULT,
            DecodeError::Unknown => EINVAL,
        }
    }
}

/// The commands of one write half.
pub(super) struct Stream {
    buffer: u64,
    size: u64,
    consumed: u64,
    decoded: u64,
}

impl Stream {
    /// Takes the stream of `size` bytes at `buffer`, of which `consumed` are done.
    pub(super) fn new(buffer: u64, size: u64, consumed: u64) -> Self {
        Self {
            buffer,
            size,
            consumed,
            decoded: 0,
        }
    }

    /// Bytes of completed commands, counted from the start of the buffer.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Counts the command that [`Self::next`] returned last.
    pub(super) fn complete(&mut self) {
        self.consumed = self
            .consumed
            .saturating_add(::core::mem::take(&mut self.decoded));
    }

    /// Decodes the next command; [`None`] at the end of the stream.
    ///
    /// Trailing bytes that are too few for a command are a fault, as is a payload beyond the end:
    /// the stock C driver would read on.
    pub(super) fn next(&mut self) -> Result<Option<Command>, DecodeError> {
        let left = self.size.saturating_sub(self.consumed);
        if left == 0 {
            return Ok(None);
        }
        let (start, len) = (
            self.buffer.wrapping_add(self.consumed),
            left.min(MAX_COMMAND),
        );
        let mut reader = UserSlice::new(user_ptr(start), to_usize(len)).reader();
        let number: u32 = read(&mut reader)?;
        let command = decode(number, &mut reader)?;
        self.decoded = len - to_u64(reader.len());
        Ok(Some(command))
    }
}

/// Bytes of the longest command with its number.
const MAX_COMMAND: u64 = 4 + 72;

/// Lengths and addresses of a 64-bit kernel; Kconfig asks for 64 bits.
pub(super) const fn to_usize(value: u64) -> usize {
    const { assert!(size_of::<usize>() == size_of::<u64>()) };
    // CAST: The types have the same size, see above.
    value as usize
}

/// The opposite of [`to_usize`].
pub(super) const fn to_u64(value: usize) -> u64 {
    const { assert!(size_of::<usize>() == size_of::<u64>()) };
    // CAST: The types have the same size, see above.
    value as u64
}

/// The user address `value`.
pub(super) fn user_ptr(value: u64) -> UserPtr {
    UserPtr::from_addr(to_usize(value))
}

/// Reads one value, bounded by the reader.
fn read<T: FromBytes>(reader: &mut UserSliceReader) -> Result<T, DecodeError> {
    reader.read().map_err(|_| DecodeError::Fault)
}

/// Decodes the payload of the command `number`.
fn decode(number: u32, reader: &mut UserSliceReader) -> Result<Command, DecodeError> {
    Ok(match number {
        abi::BC_TRANSACTION => Command::Transaction(outgoing(&read(reader)?, 0)),
        abi::BC_REPLY => Command::Reply(outgoing(&read(reader)?, 0)),
        abi::BC_TRANSACTION_SG => Command::Transaction(outgoing_sg(reader)?),
        abi::BC_REPLY_SG => Command::Reply(outgoing_sg(reader)?),
        abi::BC_FREE_BUFFER => Command::FreeBuffer(read(reader)?),
        abi::BC_INCREFS => Command::Ref(RefChange::WeakUp, read(reader)?),
        abi::BC_ACQUIRE => Command::Ref(RefChange::StrongUp, read(reader)?),
        abi::BC_RELEASE => Command::Ref(RefChange::StrongDown, read(reader)?),
        abi::BC_DECREFS => Command::Ref(RefChange::WeakDown, read(reader)?),
        abi::BC_INCREFS_DONE => {
            let node: abi::binder_ptr_cookie = read(reader)?;
            Command::Done(Strength::Weak, node.ptr, node.cookie)
        }
        abi::BC_ACQUIRE_DONE => {
            let node: abi::binder_ptr_cookie = read(reader)?;
            Command::Done(Strength::Strong, node.ptr, node.cookie)
        }
        abi::BC_REGISTER_LOOPER => Command::Looper(Looper::Register),
        abi::BC_ENTER_LOOPER => Command::Looper(Looper::Enter),
        abi::BC_EXIT_LOOPER => Command::Looper(Looper::Exit),
        abi::BC_REQUEST_DEATH_NOTIFICATION => {
            let target: abi::binder_handle_cookie = read(reader)?;
            Command::RequestDeath(target.handle, target.cookie)
        }
        abi::BC_CLEAR_DEATH_NOTIFICATION => {
            let target: abi::binder_handle_cookie = read(reader)?;
            Command::ClearDeath(target.handle, target.cookie)
        }
        abi::BC_DEAD_BINDER_DONE => Command::DeadBinderDone(read(reader)?),
        abi::BC_REQUEST_FREEZE_NOTIFICATION => {
            let target: abi::binder_handle_cookie = read(reader)?;
            Command::RequestFreeze(target.handle, target.cookie)
        }
        abi::BC_CLEAR_FREEZE_NOTIFICATION => {
            let target: abi::binder_handle_cookie = read(reader)?;
            Command::ClearFreeze(target.handle, target.cookie)
        }
        abi::BC_FREEZE_NOTIFICATION_DONE => Command::FreezeDone(read(reader)?),
        _ => return Err(DecodeError::Unknown),
    })
}

fn outgoing_sg(reader: &mut UserSliceReader) -> Result<Outgoing, DecodeError> {
    let sg: abi::binder_transaction_data_sg = read(reader)?;
    Ok(outgoing(&sg.transaction_data, sg.buffers_size))
}

fn outgoing(tr: &abi::binder_transaction_data, buffers_size: u64) -> Outgoing {
    let (data, offsets) = tr.payload();
    Outgoing {
        handle: tr.handle(),
        code: tr.code,
        flags: tr.flags,
        data,
        data_size: tr.data_size,
        offsets,
        offsets_size: tr.offsets_size,
        buffers_size,
    }
}
