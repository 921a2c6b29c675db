// SPDX-License-Identifier: GPL-2.0

//! What is sent.
//!
//! A message owns all that it carries: a slice of the receiver's pool with its charge, references to
//! nodes, files, and, if it is a call, the right to answer. It is complete before it is queued, so
//! that reading it allocates nothing and dropping it, wherever that happens, gives everything back.

#![deny(unsafe_code)]

use super::{
    call::Reply,
    handle::Strong,
    inbox::QueueId,
    lane::Turn,
    node::Node,
    personality::Personality,
    pool::Slice,
    stats::Alive,
    sync::{
        Arc,
        KVec, //
    },
};

/// A message for one receiver.
pub(crate) struct Message<P: Personality> {
    /// The node that it is addressed to; none for the answer to a call.
    pub(crate) node: Option<Arc<Node<P>>>,
    /// The queue of the caller, if it is an answer: `route` must send it there.
    pub(crate) to: Option<QueueId>,
    /// What role it plays.
    pub(crate) kind: Kind<P>,
    /// The lane's turn, while this is the message that is out.
    pub(crate) turn: Option<Turn<P>>,
    /// References to nodes, as handles of the receiver; `None` where the node is dead.
    pub(crate) handles: KVec<Option<Strong<P>>>,
    /// Files in flight.
    pub(crate) files: KVec<P::File>,
    /// The payload, in the receiver's pool.
    pub(crate) slice: Slice<P::Pages>,
    /// The personality's part.
    pub(crate) part: P::Message,
    /// Counts it.
    pub(super) _alive: Alive,
}

/// The role of a message.
pub(crate) enum Kind<P: Personality> {
    /// Nobody waits for an answer.
    Post,
    /// Its sender waits: this is the right to answer.
    Call(Reply<P>),
    /// An answer. With it, what the caller was serving when it called.
    Reply(Option<Reply<P>>),
}
