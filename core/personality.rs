// SPDX-License-Identifier: GPL-2.0

//! What an interface to the engine has to say, as one trait.
//!
//! A personality hangs typed parts on the engine's objects and answers a few questions. The engine
//! never looks into the parts, and the personality never looks into the engine's queues: there is no
//! dynamic dispatch, no cast and no side table between them.
//!
//! Most of these functions run under a spinlock of the engine, as each says. Those must be O(1) and
//! must not sleep, allocate, wake, take a lock or drop a value that does.

#![deny(unsafe_code)]

use super::{
    call::Reply,
    inbox::{
        Dispatch,
        QueueId, //
    },
    message::Message,
    pool::PageStore,
    sync::Clock, //
};

/// An interface to the engine.
pub(crate) trait Personality: Sized + 'static {
    /// The clock under the order.
    type Clock: Clock;
    /// Memory of a peer's pool.
    type Pages: PageStore;
    /// A file in flight.
    type File: Send + Sync;
    /// Part of a live peer. It guards itself.
    type Peer: Send + Sync;
    /// Dispatch state of a peer, guarded by the inbox lock.
    type Inbox: Send + Unpin;
    /// Part of one queue, guarded by the inbox lock.
    type Queue: Send + Unpin;
    /// What never changes about a node.
    type Node: Send + Sync;
    /// What changes about a node, guarded by its lock.
    type NodeState: Send + Unpin;
    /// Part of a handle.
    type Handle: Send + Sync + Default;
    /// Part of a message.
    type Message: Send;
    /// Part of a watch.
    type Watch: Send + Sync;
    /// A bare code that is queued to somebody who waits for the fate of a message.
    type Code: Send + Copy;
    /// Why [`route`](Self::route) refuses a message.
    type Why: Send + Copy;
    /// A remark of [`route`](Self::route) for the sender of an accepted message.
    type Note: Send + Copy + Default;
    /// Whom to wake, carried out of a critical section.
    type Wake: Default;

    /// Whether a peer can get its first handle to a node that was destroyed.
    const LINKS_DEAD: bool;

    /// What a caller reads when nobody is left to answer its call.
    const CALL_DEAD: Self::Code;

    /// Chooses where `message` goes, or refuses it. Under the receiver's inbox lock.
    fn route(
        view: &mut Dispatch<'_, Self>,
        message: &mut Message<Self>,
        cause: Cause,
    ) -> Route<Self>;

    /// Whether `new` makes `parked` pointless, which waits in the lane that `new` was sent to with
    /// [`To::Update`]. Under the inbox lock, and asked for each parked message in turn.
    fn supersedes(new: &Message<Self>, parked: &Message<Self>) -> bool;

    /// `queue` got something to read now: takes the waiter off its list. Under the inbox lock.
    ///
    /// Asked for each entry, also if there was something to read before: who queued that may have been
    /// stopped before it woke anybody.
    fn ready(view: &mut Dispatch<'_, Self>, queue: QueueId) -> Self::Wake;

    /// The answer to a call of `queue`'s reader, or its failure, is being queued: `parent` is what
    /// the reader was serving when it called. Under the inbox lock.
    ///
    /// It can be moved from here into the queue's part, so that the reader serves it again before
    /// it reads the answer; what is left goes with the answer.
    fn answered(view: &mut Dispatch<'_, Self>, queue: QueueId, parent: &mut Option<Reply<Self>>);

    /// Wakes. With no lock held.
    fn wake(wake: Self::Wake);

    /// A node came to be held or ceased to be. Under the node's lock.
    ///
    /// `via` says whose doing it was. Not called for nodes that are being destroyed.
    fn counts_changed(state: &mut Self::NodeState, now: Counts, via: Via) -> Notice;

    /// The watch that each new handle is born with, if every holder is to hear of a node's end.
    fn watch_on_link() -> Option<Self::Watch>;
}

/// Why [`Personality::route`] is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The message has just been sent.
    New,
    /// It was parked in a lane and its turn has come.
    Released,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// To this queue.
    Queue(QueueId),
    /// To this queue if the node's lane is free, else to the end of the lane. Unicasts only.
    Lane(QueueId),
    /// As [`To::Lane`], and the first parked message that this one
    /// [supersedes](Personality::supersedes) goes back to who sends this one.
    Update(QueueId),
}

impl To {
    /// The queue, at once or later.
    pub(super) fn queue(self) -> QueueId {
        let (To::Queue(id) | To::Lane(id) | To::Update(id)) = self;
        id
    }
}

/// Answer of [`Personality::route`].
pub(crate) enum Route<P: Personality> {
    /// The message is taken.
    Go {
        /// Where it goes.
        to: To,
        /// What the sender is told about it.
        note: P::Note,
    },
    /// The message is refused and given back to its sender.
    Refuse(P::Why),
}

/// How a node is held at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Handles with at least one strong count.
    pub(crate) strong: u32,
    /// Handles with any count.
    pub(crate) held: u32,
    /// What the change was.
    pub(crate) edge: Edge,
}

/// A change of [`Counts`] that an owner can be interested in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Edge {
    /// None: the counts were just looked at, or moved above zero.
    #[default]
    None,
    /// `strong` left zero.
    FirstStrong,
    /// `strong` reached zero.
    LastStrong,
    /// `held` left zero.
    FirstHeld,
    /// `held` reached zero, and `strong` with it.
    LastHeld,
}

/// Whose doing a change of counts is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// Anybody's.
    Any,
    /// The reader of this queue of the owner, in the middle of a send of its own.
    Queue(QueueId),
}

/// What becomes of a node's notice to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Stays as it is.
    Keep,
    /// Is taken back if it has not been read.
    Withdraw,
    /// Is queued, unless it is queued already.
    Push {
        /// Where.
        queue: QueueId,
        /// Whether it makes the queue readable.
        when: When,
        /// Whether to take it over from another queue on which it waits.
        moving: bool,
    },
}

/// Whether an entry makes its queue readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// At once.
    Now,
    /// It is handed out together with the next entry that does.
    Later,
}
