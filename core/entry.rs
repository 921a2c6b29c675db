// SPDX-License-Identifier: GPL-2.0

//! What stands in a queue.
//!
//! An entry belongs to one inbox for its whole life. It is allocated before any lock is taken, by
//! whoever may have to queue something later: a message brings its own, a node has one for its
//! notice, a watch one, a call one for its failure. So queueing never allocates and never fails for
//! lack of memory. What an entry says is its [`Body`], which is there only while it is queued.
//!
//! Everything but the stamp and the list links is guarded by the inbox lock; the compiler checks
//! it through [`LockedBy`].

#![deny(unsafe_code)]

use super::{
    anchor::Anchor,
    call::Reply,
    inbox::Inbox,
    message::Message,
    node::Node,
    order::{
        Key,
        Record,
        Stamp, //
    },
    personality::{
        Personality,
        When, //
    },
    sync::{
        fifo::{
            impl_fifo_item,
            FifoLink, //
        },
        pin_data,
        pin_init,
        reserve_node,
        try_arc,
        AllocError,
        Arc,
        Atomic,
        KBox,
        ListArc,
        LockedBy,
        RBTreeNodeReservation,
        Relaxed, //
    },
    watch::Watch, //
};

/// What a queued entry says.
pub(crate) enum Body<P: Personality> {
    /// A message.
    Message(KBox<Message<P>>),
    /// The counts of an own node changed; what they are is looked up by who reads it.
    Counts(Arc<Node<P>>),
    /// The watched node was destroyed.
    Watch(Arc<Watch<P>>, Arc<Node<P>>),
    /// A code.
    Code(P::Code),
    /// A call was not answered; gives back what its maker was serving when it called.
    Failed(P::Code, Option<Reply<P>>),
}

impl<P: Personality> Body<P> {
    /// Whether this entry, at `place`, is addressed to a node that was destroyed before.
    pub(super) fn is_stale(&self, place: Key) -> bool {
        match self {
            Body::Message(message) => message
                .node
                .as_ref()
                .is_some_and(|node| node.ended_before(place)),
            _ => false,
        }
    }
}

/// Where an entry is.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// In no queue.
    Idle,
    /// In the FIFO of the queue with this index.
    Fifo(u32),
    /// In the tree of the queue with this index, under this key at the entry's stamp.
    Tree(u32, Key),
    /// In a lane.
    Parked,
}

/// What stands in a queue's tree.
pub(super) struct Item<P: Personality> {
    /// The entry.
    pub(super) entry: Arc<Entry<P>>,
    /// The record, until it was seen decided.
    pub(super) record: Option<Arc<Record>>,
}

/// Memory for an [`Item`].
pub(super) type Spot<P> = RBTreeNodeReservation<Key, Item<P>>;

/// The guarded part of an entry.
pub(super) struct EntryState<P: Personality> {
    pub(super) place: Place,
    pub(super) body: Option<Body<P>>,
    pub(super) when: When,
    pub(super) spot: Option<Spot<P>>,
}

/// Something that can stand in a queue of one inbox.
#[pin_data]
pub(crate) struct Entry<P: Personality> {
    #[pin]
    link: FifoLink,
    /// Its stamp, once it has one; of an undecided entry its key bound. Written under the inbox lock.
    stamp: Atomic<u64>,
    pub(super) state: LockedBy<EntryState<P>, Inbox<P>>,
}

impl_fifo_item! {
    impl{P: Personality} FifoItem<0> for Entry<P> { self.link }
}

impl<P: Personality> Entry<P> {
    /// Allocates an entry for the inbox of `anchor`, able to stand among the multicasts if `multi`.
    pub(crate) fn new(anchor: &Anchor<P>, multi: bool) -> Result<Arc<Self>, AllocError> {
        let spot = if multi { Some(reserve_node()?) } else { None };
        let state = EntryState {
            place: Place::Idle,
            body: None,
            when: When::Now,
            spot,
        };
        try_arc(pin_init!(Self {
            link <- FifoLink::new(),
            stamp: Atomic::new(0),
            state: anchor.guarded(state),
        }))
    }

    /// Claims the right to link the entry; `None` while it is queued.
    pub(super) fn claim(this: &Arc<Self>) -> Option<ListArc<Self>> {
        ListArc::try_from_arc(this.clone()).ok()
    }

    /// Its stamp.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp::raw(self.stamp.load(Relaxed))
    }

    /// Sets its stamp, under the inbox lock.
    pub(super) fn set_stamp(&self, stamp: Stamp) {
        self.stamp.store(stamp.get(), Relaxed);
    }
}
