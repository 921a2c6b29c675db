// SPDX-License-Identifier: GPL-2.0

//! What others hold of a peer.
//!
//! An [`Anchor`] is an inbox behind its lock, a number, and the sender's clock. Nodes point to the
//! anchor of their owner, handles to the anchor of their holder, calls to that of the caller: none
//! of them keeps the peer itself, its pool or its credentials. While the peer is open the anchor
//! leads to it ([`Anchor::live`]); once it is shut the anchor is an empty shell.
//!
//! Lock: `inbox`, a spinlock, taken by every function here for a bounded time, after `node` and
//! never with a second inbox. What comes out of a critical section is dropped, and who is to be
//! woken is woken, after unlock.

#![deny(unsafe_code)]

use super::{
    call::Reply,
    entry::{
        Body,
        Entry, //
    },
    inbox::{
        Dispatch,
        Inbox,
        QueueId,
        Removed,
        Slot, //
    },
    message::Message,
    node::Node,
    order::{
        settle,
        Key,
        Record,
        SeenClock,
        Stamp,
        State, //
    },
    peer::Peer,
    personality::{
        Personality,
        When, //
    },
    queue::Queue,
    sync::{
        new_spinlock,
        pin_data,
        pin_init,
        try_arc,
        AllocError,
        Arc,
        KBox,
        KVec,
        LockedBy,
        SpinLock,
        GFP_KERNEL_ACCOUNT, //
    },
    watch::Watch, //
};

/// An inbox that outlives its peer.
#[pin_data]
pub(crate) struct Anchor<P: Personality> {
    id: u64,
    /// The highest stamp that the peer has sent or read.
    seen: SeenClock,
    #[pin]
    inbox: SpinLock<Inbox<P>>,
}

/// Why a queue could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueError {
    /// The peer is shut.
    Closed,
    /// No memory.
    NoMemory,
}

/// A message as its reader gets it.
pub(crate) struct Delivered<P: Personality> {
    /// The message.
    pub(crate) message: KBox<Message<P>>,
    /// Its place in the order.
    pub(crate) place: Key,
    /// Whether the next entry of the queue belongs to the same transaction.
    pub(crate) more: bool,
}

/// What a reader gets.
pub(crate) enum Taken<P: Personality> {
    /// A message.
    Message(Delivered<P>),
    /// The counts of an own node changed: look them up now.
    Counts(Arc<Node<P>>),
    /// The watched node was destroyed. With it, whether more of the same transaction follows.
    Watch(Arc<Watch<P>>, Arc<Node<P>>, bool),
    /// A code.
    Code(P::Code),
    /// A call of this reader was not answered; what it served before it called comes back.
    Failed(P::Code, Option<Reply<P>>),
}

/// What a reader can look at before it takes it.
pub(crate) enum Peeked<'a, P: Personality> {
    /// A message.
    Message(&'a Message<P>),
    /// The end of this node.
    Watch(&'a Arc<Node<P>>),
    /// Who holds this node has changed.
    Counts(&'a Arc<Node<P>>),
    /// Anything else that has no payload.
    Other,
}

impl<'a, P: Personality> Peeked<'a, P> {
    fn at(body: &'a Body<P>) -> Self {
        match body {
            Body::Message(message) => Self::Message(message),
            Body::Watch(_, node) => Self::Watch(node),
            Body::Counts(node) => Self::Counts(node),
            _ => Self::Other,
        }
    }
}

impl<P: Personality> Anchor<P> {
    /// Creates the inbox of a new peer, with its main queue.
    pub(super) fn new(id: u64, part: P::Inbox, main: P::Queue) -> Result<Arc<Self>, AllocError> {
        let mut slots = KVec::with_capacity(1, GFP_KERNEL_ACCOUNT)?;
        let slot = Slot {
            generation: QueueId::MAIN.generation,
            queue: Some(Queue::new(main)),
            next_free: None,
        };
        slots.push(slot, GFP_KERNEL_ACCOUNT)?;
        let inbox = Inbox {
            clock: Stamp::ZERO,
            closed: false,
            live: None,
            slots,
            free: None,
            part,
        };
        try_arc(pin_init!(Self {
            id,
            seen: SeenClock::new(),
            inbox <- new_spinlock!(inbox, "bus1::inbox"),
        }))
    }

    /// A number that no other peer of this boot has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The time that a send begins with: read once, before any lock.
    pub(super) fn begin(&self) -> Stamp {
        Stamp::now::<P::Clock>().max(self.seen.get().next())
    }

    /// Ends a send or a receipt at `stamp`.
    pub(super) fn end(&self, stamp: Stamp) {
        self.seen.raise(stamp);
        settle::<P::Clock>(stamp);
    }

    /// Takes note of the end of `node`, if that is committed: what is sent from now on comes after it,
    /// for every receiver.
    pub(crate) fn follow(&self, node: &Node<P>) {
        if let Some(death) = node.death() {
            self.seen.raise(death);
        }
    }

    /// Ties `value` to the inbox lock.
    pub(super) fn guarded<T>(&self, value: T) -> LockedBy<T, Inbox<P>> {
        LockedBy::new(&self.inbox, value)
    }

    /// Runs `f` under the inbox lock.
    pub(super) fn locked<R>(&self, f: impl FnOnce(&mut Inbox<P>) -> R) -> R {
        f(&mut self.inbox.lock())
    }

    /// Runs `f` under the inbox lock, as the personality sees the inbox.
    ///
    /// `f` must not sleep, allocate, wake, or drop a value that takes a lock.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Dispatch<'_, P>) -> R) -> R {
        self.locked(|inbox| f(&mut Dispatch { inbox }))
    }

    /// The peer, while it is open.
    pub(crate) fn live(&self) -> Option<Arc<Peer<P>>> {
        self.locked(|inbox| inbox.live.clone())
    }

    /// Makes the inbox lead to its peer.
    pub(super) fn open(&self, peer: Arc<Peer<P>>) {
        let before = self.locked(|inbox| inbox.live.replace(peer));
        drop(before);
    }

    /// Adds a queue.
    pub(crate) fn add_queue(&self, part: P::Queue) -> Result<QueueId, QueueError> {
        let mut queue = Queue::new(part);
        loop {
            let capacity = match self.locked(|inbox| inbox.fill_slot(queue)) {
                Ok(id) => return Ok(id),
                Err(full) => {
                    queue = full.queue;
                    full.capacity.ok_or(QueueError::Closed)?
                }
            };
            let more = KVec::with_capacity(capacity.saturating_mul(2), GFP_KERNEL_ACCOUNT);
            let more = more.map_err(|_| QueueError::NoMemory)?;
            let old = self.locked(|inbox| inbox.grow(more));
            drop(old);
        }
    }

    /// Removes a queue. Notices about own nodes move to the main queue; everything else that is
    /// queued is dropped, which answers the callers of calls that nobody read.
    pub(crate) fn remove_queue(&self, id: QueueId) -> Option<P::Queue> {
        self.locked(|inbox| inbox.queue(id).map(|queue| queue.closing = true))?;
        while let Some(removed) = self.locked(|inbox| inbox.drain_one(id.index)) {
            match removed.body {
                Some(Body::Counts(node)) => Node::notify(&node, QueueId::MAIN, When::Now),
                other => drop(other),
            }
        }
        self.locked(|inbox| inbox.free_slot(id))
            .map(|queue| queue.part)
    }

    /// Shuts the inbox for good and drops all that is queued in it.
    ///
    /// Does nothing if it is shut already. The personality clears lanes with the nodes.
    pub(super) fn shut(&self) {
        let live = self.locked(|inbox| {
            inbox.closed = true;
            inbox.live.take()
        });
        let queues = self.locked(|inbox| inbox.slots.len());
        for index in 0..queues {
            while let Some(removed) = self.locked(|inbox| inbox.drain_one(index as u32)) {
                drop(removed);
            }
        }
        drop(live);
    }

    /// Whether a reader of `id` has something to read now.
    pub(crate) fn readable(&self, id: QueueId) -> bool {
        self.with(|view| view.readable(id))
    }

    /// Looks at what is next, without taking it.
    ///
    /// Nothing that arrives later comes before it, so that the only reader of a queue takes just
    /// this with the next [`take`](Self::take), unless it is withdrawn meanwhile.
    pub(crate) fn peek<R>(&self, id: QueueId, f: impl FnOnce(Peeked<'_, P>) -> R) -> Option<R> {
        self.skip_stale(id);
        self.locked(|inbox| {
            let head = inbox.head(id)?;
            inbox.look(id, head, |body| f(Peeked::at(body)))
        })
    }

    /// Takes what is next.
    pub(crate) fn take(&self, id: QueueId) -> Option<Taken<P>> {
        loop {
            let (removed, place, stale, more) = self.locked(|inbox| inbox.take_next(id))?;
            if stale {
                drop(removed);
                continue;
            }
            self.end(place.stamp());
            match removed.into_taken(place, more) {
                Some(taken) => return Some(taken),
                None => continue,
            }
        }
    }

    /// Takes what is next if `wanted` says so, which runs under the inbox lock.
    ///
    /// For a reader that has prepared for what it saw with [`peek`](Self::peek), and must not take
    /// anything else if that was withdrawn meanwhile.
    pub(crate) fn take_if(
        &self,
        id: QueueId,
        wanted: impl FnOnce(Peeked<'_, P>) -> bool,
    ) -> Option<Taken<P>> {
        let (removed, place, stale, more) = self.locked(|inbox| {
            let head = inbox.head(id)?;
            if inbox.look(id, head, |body| wanted(Peeked::at(body)))? {
                inbox.take_next(id)
            } else {
                None
            }
        })?;
        if stale {
            drop(removed);
            return None;
        }
        self.end(place.stamp());
        removed.into_taken(place, more)
    }

    /// Drops messages at the head of a queue whose node was destroyed before them.
    fn skip_stale(&self, id: QueueId) {
        while let Some(removed) = self.locked(|inbox| inbox.take_stale(id)) {
            drop(removed);
        }
    }

    /// Takes `entry` back, if it is queued.
    pub(super) fn withdraw(&self, entry: &Arc<Entry<P>>) -> Option<Body<P>> {
        self.locked(|inbox| inbox.withdraw(entry))
            .and_then(|removed| removed.body)
    }

    /// Appends `body` in its own right, outside of any transaction.
    ///
    /// Gives `body` back if the queue takes nothing or `entry` is queued.
    pub(super) fn post(
        &self,
        id: QueueId,
        entry: &Arc<Entry<P>>,
        body: Body<P>,
        when: When,
    ) -> Result<(), Body<P>> {
        let now = Stamp::now::<P::Clock>();
        let wake = self.locked(|inbox| {
            if inbox.closed || inbox.queue(id).is_none() {
                return Err(body);
            }
            match Entry::claim(entry) {
                Some(entry) => {
                    let mut body = body;
                    if let Body::Failed(_, parent) = &mut body {
                        P::answered(&mut Dispatch { inbox }, id, parent);
                    }
                    let stamp = inbox.tick(now);
                    Ok(inbox.append(id, entry, body, when, stamp))
                }
                None => Err(body),
            }
        })?;
        P::wake(wake);
        Ok(())
    }

    /// Queues a code for the reader of `id`. Gives the memory back if there is no such queue.
    pub(crate) fn post_code(
        &self,
        id: QueueId,
        spare: Spare<P>,
        code: P::Code,
        when: When,
    ) -> Result<Posted<P>, Spare<P>> {
        match self.post(id, &spare.0, Body::Code(code), when) {
            Ok(()) => Ok(Posted(spare.0)),
            Err(_) => Err(spare),
        }
    }

    /// Takes a code back that has not been read; gives its memory back.
    pub(crate) fn withdraw_code(&self, posted: Posted<P>) -> Option<Spare<P>> {
        self.withdraw(&posted.0).map(|_| Spare(posted.0))
    }

    /// Stages the news of `node`'s end for `watch`, if the peer is open. Under the node's lock.
    ///
    /// Returns the floor that the record has now; none, and nothing is staged, if it is decided: what
    /// its stamp has passed here must not come to stand before what was read.
    pub(super) fn stage_watch(
        &self,
        watch: &Arc<Watch<P>>,
        node: &Arc<Node<P>>,
        (record, index): (&Arc<Record>, u32),
        floor: Stamp,
    ) -> Option<Stamp> {
        self.locked(|inbox| {
            let high = floor.max(inbox.clock.next());
            if let State::Decided(_) = record.push(high) {
                return None;
            }
            if inbox.closed || inbox.queue(QueueId::MAIN).is_none() {
                return Some(high);
            }
            if let Some(spot) = watch.entry().state.access_mut(inbox).spot.take() {
                inbox.raise(high);
                let body = Body::Watch(watch.clone(), node.clone());
                inbox.stage(QueueId::MAIN, watch.entry(), body, spot, (record, index));
            }
            Some(high)
        })
    }
}

/// Memory for one code, reserved before it is needed.
pub(crate) struct Spare<P: Personality>(Arc<Entry<P>>);

impl<P: Personality> Spare<P> {
    /// Reserves it for the inbox of `anchor`.
    pub(crate) fn new(anchor: &Anchor<P>) -> Result<Self, AllocError> {
        Entry::new(anchor, false).map(Self)
    }
}

/// A code that was queued and may be taken back.
pub(crate) struct Posted<P: Personality>(Arc<Entry<P>>);

impl<P: Personality> Removed<P> {
    fn into_taken(self, place: Key, more: bool) -> Option<Taken<P>> {
        Some(match self.body? {
            Body::Message(message) => Taken::Message(Delivered {
                message,
                place,
                more,
            }),
            Body::Counts(node) => Taken::Counts(node),
            Body::Watch(watch, node) => Taken::Watch(watch, node, more),
            Body::Code(code) => Taken::Code(code),
            Body::Failed(code, parent) => Taken::Failed(code, parent),
        })
    }
}
