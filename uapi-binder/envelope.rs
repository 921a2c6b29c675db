// SPDX-License-Identifier: GPL-2.0

//! What a message carries besides what every message of the engine does.
//!
//! Everything in it that counts or holds is a value, which gives it back wherever the message ends.
//! Takes no lock.

#![deny(unsafe_code)]

use super::{
    abi,
    buffer::{
        Place,
        Sizes, //
    },
    freeze::Outstanding,
    priority::Level,
    references::Held,
    scatter::FdPlaces,
    spam::Load, //
};
use crate::{
    core::inbox::QueueId,
    shim::{
        cred::Uid,
        task::Scheduling, //
    },
};
use kernel::{
    prelude::*,
    sync::aref::ARef,
    task::Task, //
};

/// The personality's part of a message.
pub(super) struct Envelope {
    /// As the sender gave it.
    pub(super) code: u32,
    /// As the sender gave them.
    pub(super) flags: u32,
    /// Bytes of data and offsets, as the sender gave them.
    pub(super) sizes: Sizes,
    /// Where the security context of the sender lies in the slice.
    pub(super) secctx: Option<u64>,
    /// Leader of the calling process; none for one-ways and replies.
    pub(super) sender: Option<ARef<Task>>,
    /// The sending thread's user at the time of the send.
    pub(super) euid: Uid,
    /// Keeps the target in use until the buffer is freed.
    pub(super) target: Option<Held>,
    /// What the objects hold at the receiver.
    pub(super) objects: KVec<Held>,
    /// The files that are closed when the buffer is freed, by where their numbers are.
    pub(super) arrays: KVVec<FdPlaces>,
    /// The process that has these numbers, once it has read the message; by its leader.
    pub(super) reader: Option<ARef<Task>>,
    /// Room among the delivered buffers.
    pub(super) place: Option<Place>,
    /// It is not done, once it was taken.
    pub(super) outstanding: Option<Outstanding>,
    /// The thread that waits in the middle of the same chain of calls.
    pub(super) nested: Option<QueueId>,
    /// What a one-way takes of the receiver.
    pub(super) load: Option<Load>,
    /// How urgent the calling thread is; none for one-ways, replies, and what can't be passed on.
    pub(super) level: Option<Level>,
    /// How the thread ran that was chosen and changed for it, while it slept.
    pub(super) saved: Option<Scheduling>,
}

impl Envelope {
    /// The thread that is to get a nested call.
    pub(super) fn nested(&self) -> Option<QueueId> {
        self.nested
    }

    /// Whether the sender is to be told that it has sent a lot of one-ways.
    pub(super) fn is_suspect(&self) -> bool {
        self.load.as_ref().is_some_and(Load::is_suspect)
    }

    /// Whether it makes an older one-way pointless, if the receiver is frozen.
    pub(super) fn updates(&self) -> bool {
        self.flags & abi::TF_UPDATE_TXN != 0
    }

    /// Whether it makes `older` pointless, which waits at the same node: the same message of the same
    /// process, except for its contents.
    pub(super) fn supersedes(&self, older: &Self) -> bool {
        let (Some(load), Some(before)) = (&self.load, &older.load) else {
            return false;
        };
        self.updates()
            && self.flags == older.flags
            && self.code == older.code
            && load.same_sender(before)
    }
}
