// SPDX-License-Identifier: GPL-2.0

//! Returns: typed items of the read half, encoded into the reader's buffer.
//!
//! A [`ReadBuffer`] knows the rules of the read half's memory: the BR_NOOP at its start, the 76
//! bytes that must be free for any item, whatever it needs, and the first word that BR_SPAWN_LOOPER
//! overwrites. An item is copied out in one piece.
//!
//! Takes no lock; may fault and sleep.

#![deny(unsafe_code)]

use super::{
    abi,
    command::{
        to_u64,

        user_ptr, //
    },
};
use kernel::{
    prelude::*,
    transmute::AsBytes,
    uaccess::UserSlice, //
};

/// A return without payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// A call, one-way or reply was accepted.
    TransactionComplete,
    /// A one-way was accepted, and is one of very many.
    OnewaySpamSuspect,
    /// A one-way was accepted, and its receiver is frozen.
    TransactionPendingFrozen,
    /// The target of the call is gone.
    DeadReply,
    /// The target of the call is frozen.
    FrozenReply,
    /// The call failed for another reason.
    FailedReply,
    /// No memory for a death request. Its number promises a payload, but none is written.
    Error,
}

impl Code {
    /// The number in the ABI.
    pub(super) fn number(self) -> u32 {
        match self {
            Code::TransactionComplete => abi::BR_TRANSACTION_COMPLETE,
            Code::OnewaySpamSuspect => abi::BR_ONEWAY_SPAM_SUSPECT,
            Code::TransactionPendingFrozen => abi::BR_TRANSACTION_PENDING_FROZEN,
            Code::DeadReply => abi::BR_DEAD_REPLY,
            Code::FrozenReply => abi::BR_FROZEN_REPLY,
            Code::FailedReply => abi::BR_FAILED_REPLY,
            Code::Error => abi::BR_ERROR,
        }
    }
}

/// What the owner of a node is told about its counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeCode {
    /// Somebody holds it.
    Increfs,
    /// Somebody holds it strongly.
    Acquire,
    /// Nobody holds it strongly any more.
    Release,
    /// Nobody holds it any more.
    Decrefs,
}

/// What the holder of a reference is told about a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeathCode {
    /// The owner died.
    Dead,
    /// The request was cleared.
    Cleared,
}

/// A call, one-way or reply as its receiver sees it. Addresses are the receiver's.
#[derive(Clone, Copy, Default)]
pub(super) struct Incoming {
    /// The owner's pointer of the target; 0 in a reply.
    pub(super) ptr: u64,
    /// The owner's cookie of the target; 0 in a reply.
    pub(super) cookie: u64,
    /// As the sender gave it.
    pub(super) code: u32,
    /// As the sender gave them.
    pub(super) flags: u32,
    /// Process of the sender in the receiver's namespace; 0 for one-ways and replies.
    pub(super) sender_pid: i32,
    /// Effective user of the sender in the receiver's namespace.
    pub(super) sender_euid: u32,
    /// Bytes of data.
    pub(super) data_size: u64,
    /// Bytes of offsets.
    pub(super) offsets_size: u64,
    /// Address of the data.
    pub(super) buffer: u64,
    /// Address of the offsets, which follow the data also if there are none.
    pub(super) offsets: u64,
}

/// One item.
pub(super) enum Return {
    /// A code alone.
    Code(Code),
    /// A change of the counts of the node (ptr, cookie).
    Node(NodeCode, u64, u64),
    /// The news for the death request with this cookie.
    Death(DeathCode, u64),
    /// The state of the owner, for the freeze request with this cookie.
    Frozen(u64, bool),
    /// The freeze request with this cookie is cleared.
    FreezeCleared(u64),
    /// A call or one-way, with the address of the sender's security context if there is one.
    Transaction(Incoming, Option<u64>),
    /// The answer to a call.
    Reply(Incoming),
}

/// The memory of a read half can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault;

impl From<Fault> for Error {
    fn from(_: Fault) -> Self {
        EFAULT
    }
}

/// Bytes that must be free for any item: the largest one with its number.
const ROOM: u64 = 4 + to_u64(size_of::<abi::binder_transaction_data_secctx>());

/// Bytes of the word that a read half starts with.
const WORD: u64 = 4;

/// The buffer of one read half.
pub(super) struct ReadBuffer {
    buffer: u64,
    size: u64,
    consumed: u64,
}

impl ReadBuffer {
    /// Takes the buffer of `size` bytes, of which `consumed` are used; an empty one gets its
    /// BR_NOOP.
    pub(super) fn new(buffer: u64, size: u64, consumed: u64) -> Result<Self, Fault> {
        let mut this = Self {
            buffer,
            size,
            consumed,
        };
        if consumed == 0 {
            if size < WORD {
                return Err(Fault);
            }
            this.write(&abi::BR_NOOP.to_ne_bytes())?;
        }
        Ok(this)
    }

    /// Bytes used, counted from the start of the buffer.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Whether nothing but the first word is there.
    pub(super) fn is_bare(&self) -> bool {
        self.consumed == WORD
    }

    /// Whether another item fits.
    pub(super) fn has_room(&self) -> bool {
        self.size.saturating_sub(self.consumed) >= ROOM
    }

    /// Appends an item. The caller has looked at [`Self::has_room`].
    pub(super) fn put(&mut self, item: &Return) -> Result<(), Fault> {
        match item {
            Return::Code(code) => self.write(&code.number().to_ne_bytes()),
            Return::Node(code, ptr, cookie) => {
                let number = match code {
                    NodeCode::Increfs => abi::BR_INCREFS,
                    NodeCode::Acquire => abi::BR_ACQUIRE,
                    NodeCode::Release => abi::BR_RELEASE,
                    NodeCode::Decrefs => abi::BR_DECREFS,
                };
                let node = abi::binder_ptr_cookie {
                    ptr: *ptr,
                    cookie: *cookie,
                };
                self.write_item::<20, _>(number, &node)
            }
            Return::Death(code, cookie) => {
                let number = match code {
                    DeathCode::Dead => abi::BR_DEAD_BINDER,
                    DeathCode::Cleared => abi::BR_CLEAR_DEATH_NOTIFICATION_DONE,
                };
                self.write_item::<12, _>(number, cookie)
            }
            Return::Frozen(cookie, is_frozen) => {
                let state = abi::binder_frozen_state_info {
                    cookie: *cookie,
                    is_frozen: u32::from(*is_frozen),
                    reserved: 0,
                };
                self.write_item::<20, _>(abi::BR_FROZEN_BINDER, &state)
            }
            Return::FreezeCleared(cookie) => {
                self.write_item::<12, _>(abi::BR_CLEAR_FREEZE_NOTIFICATION_DONE, cookie)
            }
            Return::Transaction(incoming, None) => {
                self.write_item::<68, _>(abi::BR_TRANSACTION, &incoming.encode())
            }
            Return::Transaction(incoming, Some(secctx)) => {
                let data = abi::binder_transaction_data_secctx {
                    transaction_data: incoming.encode(),
                    secctx: *secctx,
                };
                self.write_item::<76, _>(abi::BR_TRANSACTION_SEC_CTX, &data)
            }
            Return::Reply(incoming) => self.write_item::<68, _>(abi::BR_REPLY, &incoming.encode()),
        }
    }

    /// Overwrites the first word of the buffer with BR_SPAWN_LOOPER.
    pub(super) fn put_spawn_looper(&self) -> Result<(), Fault> {
        write_at(self.buffer, &abi::BR_SPAWN_LOOPER.to_ne_bytes())
    }

    /// Writes a number and its payload, `N` bytes together, in one copy.
    fn write_item<const N: usize, T: AsBytes>(
        &mut self,
        number: u32,
        payload: &T,
    ) -> Result<(), Fault> {
        const { assert!(N == 4 + size_of::<T>()) };
        let mut bytes = [0; N];
        let (head, tail) = bytes.split_at_mut(4);
        head.copy_from_slice(&number.to_ne_bytes());
        tail.copy_from_slice(payload.as_bytes());
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        write_at(self.buffer.wrapping_add(self.consumed), bytes)?;
        self.consumed += to_u64(bytes.len());
        Ok(())
    }
}

/// Copies `bytes` to the user address `address`.
fn write_at(address: u64, bytes: &[u8]) -> Result<(), Fault> {
    UserSlice::new(user_ptr(address), bytes.len())
        .writer()
        .write_slice(bytes)
        .map_err(|_| Fault)
}

impl Incoming {
    fn encode(&self) -> abi::binder_transaction_data {
        let mut data = abi::binder_transaction_data {
            cookie: self.cookie,
            code: self.code,
            flags: self.flags,
            sender_pid: self.sender_pid,
            sender_euid: self.sender_euid,
            data_size: self.data_size,
            offsets_size: self.offsets_size,
            ..Default::default()
        };
        data.set_target(self.ptr);
        data.set_payload(self.buffer, self.offsets);
        data
    }
}
