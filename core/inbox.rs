// SPDX-License-Identifier: GPL-2.0

//! The inbox of a peer: all its queues and lanes under one spinlock.
//!
//! [`Inbox`] is what the lock guards: the queues, the clock of the order, and the personality's
//! dispatch state. Its methods are the steps of one critical section: they are O(1) or bounded by
//! the entries in the middle of being sent, they never sleep, allocate or wake, and what they take
//! out they return as [`Removed`], to be dropped after unlock. The operations that others call
//! stand in [`super::anchor`].

#![deny(unsafe_code)]

pub(crate) use super::dispatch::Dispatch;
use super::{
    entry::{
        Body,
        Entry,
        Item,
        Place,
        Spot, //
    },
    lane::Turn,
    message::{
        Kind,
        Message, //
    },
    order::{
        Key,
        Record,
        Stamp,
        State, //
    },
    peer::Peer,
    personality::{
        Cause,
        Personality,
        Route,
        To,
        When, //
    },
    queue::{
        Head,
        Queue, //
    },
    stats::{
        self,
        Counter, //
    },
    sync::{
        Arc,
        KBox,
        KVec,
        ListArc,
        RBTreeNode, //
    },
    transaction::{
        Refusal,
        Refused, //
    },
};

/// Names one queue of an inbox. A number is used again, but never with the same generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl QueueId {
    /// The queue that every peer has for its whole life.
    pub(crate) const MAIN: Self = Self {
        index: 0,
        generation: 0,
    };
}

/// A place for a queue.
pub(super) struct Slot<P: Personality> {
    pub(super) generation: u32,
    pub(super) queue: Option<Queue<P>>,
    pub(super) next_free: Option<u32>,
}

/// What the inbox lock guards.
pub(crate) struct Inbox<P: Personality> {
    pub(super) clock: Stamp,
    pub(super) closed: bool,
    /// The peer, while it is open. This is the only way from a holder to a peer.
    pub(super) live: Option<Arc<Peer<P>>>,
    pub(super) slots: KVec<Slot<P>>,
    pub(super) free: Option<u32>,
    pub(super) part: P::Inbox,
}

/// A message that was taken.
pub(super) struct Accepted<P: Personality> {
    /// Its stamp; none while it is parked.
    pub(super) stamp: Option<Stamp>,
    pub(super) note: P::Note,
    pub(super) wake: P::Wake,
    /// A parked message that this one made pointless.
    pub(super) superseded: Option<Removed<P>>,
}

/// One step of a lane.
pub(super) enum Advance<P: Personality> {
    /// The lane moved on, or is free.
    Done(P::Wake),
    /// A parked message was refused and is to be dropped; the next may go.
    Again(Removed<P>),
}

/// A queue for which there is no slot.
pub(super) struct Full<P: Personality> {
    pub(super) queue: Queue<P>,
    /// How many slots there are; `None` if the inbox is closed.
    pub(super) capacity: Option<usize>,
}

/// What a critical section took out; dropping it may take locks.
#[must_use]
pub(super) struct Removed<P: Personality> {
    pub(super) body: Option<Body<P>>,
    _entry: Option<Arc<Entry<P>>>,
    _node: Option<RBTreeNode<Key, Item<P>>>,
}

impl<P: Personality> Removed<P> {
    /// An entry out of a lane.
    pub(super) fn entry(entry: ListArc<Entry<P>>, body: Option<Body<P>>) -> Self {
        Self {
            body,
            _entry: Some(entry.into_arc()),
            _node: None,
        }
    }

    /// The message, if it was one.
    pub(super) fn into_message(self) -> Option<KBox<Message<P>>> {
        match self.body {
            Some(Body::Message(message)) => Some(message),
            _ => None,
        }
    }

    /// Nothing but a body.
    pub(super) fn body(body: Body<P>) -> Self {
        Self {
            body: Some(body),
            _entry: None,
            _node: None,
        }
    }
}

impl<P: Personality> Inbox<P> {
    /// The queue with this index, whatever its generation.
    fn slot(&mut self, index: u32) -> Option<&mut Queue<P>> {
        self.slots.get_mut(index as usize)?.queue.as_mut()
    }

    /// The queue, if it is still this one and takes entries.
    pub(super) fn queue(&mut self, id: QueueId) -> Option<&mut Queue<P>> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        slot.queue.as_mut().filter(|queue| !queue.closing)
    }

    /// The queue for its reader, who may still empty it when it takes nothing any more.
    pub(super) fn reading(&mut self, id: QueueId) -> Option<&mut Queue<P>> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        slot.queue.as_mut()
    }

    /// The stamp of something that is appended here now, and the new time of the inbox.
    pub(super) fn tick(&mut self, floor: Stamp) -> Stamp {
        self.clock = floor.max(self.clock.next());
        self.clock
    }

    /// Takes note of a stamp.
    pub(super) fn raise(&mut self, stamp: Stamp) {
        self.clock = self.clock.max(stamp);
    }

    /// Appends `body` to an open queue; says whom to wake.
    pub(super) fn append(
        &mut self,
        id: QueueId,
        entry: ListArc<Entry<P>>,
        body: Body<P>,
        when: When,
        stamp: Stamp,
    ) -> P::Wake {
        entry.set_stamp(stamp);
        let state = entry.state.access_mut(self);
        state.place = Place::Fifo(id.index);
        state.body = Some(body);
        state.when = when;
        match self.slot(id.index) {
            Some(queue) => queue.append(entry),
            // The callers looked the queue up under this very hold of the lock.
            None => debug_assert!(false),
        }
        self.arrived(id, when)
    }

    /// Stages `body` as an undecided entry; `spot` is its memory. Nobody is woken yet.
    pub(super) fn stage(
        &mut self,
        id: QueueId,
        entry: &Arc<Entry<P>>,
        body: Body<P>,
        spot: Spot<P>,
        (record, index): (&Arc<Record>, u32),
    ) {
        let key = Key::multi(record.state(), record.number(), index);
        entry.set_stamp(key.stamp());
        let state = entry.state.access_mut(self);
        state.place = Place::Tree(id.index, key);
        state.body = Some(body);
        state.when = When::Now;
        let item = Item {
            entry: entry.clone(),
            record: Some(record.clone()),
        };
        match self.slot(id.index) {
            Some(queue) => queue.insert(spot.into_node(key, item)),
            None => debug_assert!(false),
        }
    }

    /// Accepts or refuses a message that is sent by itself.
    pub(super) fn accept(
        &mut self,
        entry: &Arc<Entry<P>>,
        mut message: KBox<Message<P>>,
        floor: Stamp,
    ) -> Result<Accepted<P>, Refused<P>> {
        let (to, note) = match self.admit(&mut message, Cause::New) {
            Ok(admitted) => admitted,
            Err(why) => return Err((why, message)),
        };
        let Some(linked) = Entry::claim(entry) else {
            return Err((Refusal::Gone, message));
        };
        let id = match to {
            To::Queue(id) => id,
            To::Lane(id) | To::Update(id) => match message.node.clone() {
                Some(node) => {
                    if node.lane().access_mut(self).is_busy() {
                        let superseded = match to {
                            To::Update(_) => self.supersede(&node, &message),
                            _ => None,
                        };
                        self.park(&node, linked, message, floor);
                        return Ok(Accepted {
                            stamp: None,
                            note,
                            wake: P::Wake::default(),
                            superseded,
                        });
                    }
                    node.lane().access_mut(self).begin();
                    message.turn = Some(Turn::new(node));
                    id
                }
                None => id,
            },
        };
        if let Kind::Reply(parent) = &mut message.kind {
            P::answered(&mut Dispatch { inbox: self }, id, parent);
        }
        let stamp = self.tick(floor);
        let wake = self.append(id, linked, Body::Message(message), When::Now, stamp);
        Ok(Accepted {
            stamp: Some(stamp),
            note,
            wake,
            superseded: None,
        })
    }

    /// Asks the personality where `message` goes, and checks that this place exists.
    pub(super) fn admit(
        &mut self,
        message: &mut Message<P>,
        cause: Cause,
    ) -> Result<(To, P::Note), Refusal<P>> {
        let dead = message
            .node
            .as_ref()
            .is_some_and(|node| node.death().is_some());
        if self.closed || dead {
            return Err(Refusal::Closed);
        }
        match P::route(&mut Dispatch { inbox: self }, message, cause) {
            Route::Refuse(why) => Err(Refusal::Personality(why)),
            Route::Go { to, note } => {
                if self.queue(to.queue()).is_none() {
                    return Err(Refusal::Gone);
                }
                Ok((to, note))
            }
        }
    }

    /// The locked pass after a commit at `stamp`; says whom to wake for this entry.
    pub(super) fn pass(&mut self, entry: &Arc<Entry<P>>, stamp: Stamp) -> P::Wake {
        self.raise(stamp);
        let Place::Tree(index, key) = entry.state.access_mut(self).place else {
            return P::Wake::default();
        };
        let at = key.at(entry.stamp());
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return P::Wake::default();
        };
        let id = QueueId {
            index,
            generation: slot.generation,
        };
        let Some(queue) = slot.queue.as_mut() else {
            return P::Wake::default();
        };
        if queue.get(at).is_some_and(|item| item.record.is_some()) {
            queue.rekey(at, State::Decided(stamp));
        }
        queue.set_due();
        Counter::Queued.count();
        P::ready(&mut Dispatch { inbox: self }, id)
    }

    fn arrived(&mut self, id: QueueId, when: When) -> P::Wake {
        Counter::Queued.count();
        if when == When::Later {
            return P::Wake::default();
        }
        match self.slot(id.index) {
            Some(queue) => {
                queue.set_due();
                P::ready(&mut Dispatch { inbox: self }, id)
            }
            None => P::Wake::default(),
        }
    }

    /// Takes `entry` out of wherever it is queued.
    pub(super) fn withdraw(&mut self, entry: &Arc<Entry<P>>) -> Option<Removed<P>> {
        let state = entry.state.access_mut(self);
        let (place, body) = (state.place, state.body.take());
        state.place = Place::Idle;
        let (linked, node) = match place {
            Place::Idle => return body.map(Removed::body),
            Place::Fifo(index) => (self.slot(index).and_then(|q| q.unlink(entry)), None),
            Place::Tree(index, key) => {
                let at = key.at(entry.stamp());
                (None, self.slot(index).and_then(|q| q.take(at)))
            }
            // Only the lane itself takes out what is parked in it.
            Place::Parked => {
                let state = entry.state.access_mut(self);
                state.place = place;
                state.body = body;
                return None;
            }
        };
        Some(Removed {
            body,
            _entry: linked.map(ListArc::into_arc),
            _node: node,
        })
    }

    /// Takes what stands at `head` of a queue.
    pub(super) fn take(&mut self, id: QueueId, head: Head) -> Option<Removed<P>> {
        let queue = self.reading(id)?;
        let (entry, node) = match head {
            Head::Fifo(_) => (queue.pop()?.into_arc(), None),
            Head::Tree(key) => {
                let entry = queue.get(key)?.entry.clone();
                (entry, queue.take(key))
            }
        };
        let state = entry.state.access_mut(self);
        state.place = Place::Idle;
        let body = state.body.take();
        Some(Removed {
            body,
            _entry: Some(entry),
            _node: node,
        })
    }

    /// What is next in a queue.
    pub(super) fn head(&mut self, id: QueueId) -> Option<Head> {
        let clock = self.clock;
        self.reading(id)?.head(clock)
    }

    /// Looks at what stands at `head`.
    pub(super) fn look<R>(
        &mut self,
        id: QueueId,
        head: Head,
        f: impl FnOnce(&Body<P>) -> R,
    ) -> Option<R> {
        let queue = self.reading(id)?;
        let entry = match head {
            Head::Fifo(_) => queue.front()?,
            Head::Tree(key) => queue.get(key)?.entry.clone(),
        };
        let body = entry.state.access_mut(self).body.as_ref();
        body.map(f)
    }

    /// Whether another entry of the transaction of `head` follows that is still worth reading.
    pub(super) fn continues(&mut self, id: QueueId, head: Head) -> bool {
        let Head::Tree(key) = head else {
            return false;
        };
        let mut from = key.successor();
        loop {
            let Some((next, entry)) = self.reading(id).and_then(|queue| queue.from(from)) else {
                return false;
            };
            if !next.same_transaction(key) {
                return false;
            }
            let state = entry.state.access_mut(self);
            let stale = |body: &Body<P>| body.is_stale(next);
            if !state.body.as_ref().is_none_or(stale) {
                return true;
            }
            from = next.successor();
        }
    }

    /// Takes what is next; with it its place, whether it is stale, and whether more of it follows.
    pub(super) fn take_next(&mut self, id: QueueId) -> Option<(Removed<P>, Key, bool, bool)> {
        let head = self.head(id)?;
        self.raise(head.stamp());
        let stale = self.look(id, head, |body| body.is_stale(head.key()))?;
        let more = !stale && self.continues(id, head);
        let removed = self.take(id, head)?;
        if !stale {
            stats::taken(removed.body.as_ref());
        }
        Some((removed, head.key(), stale, more))
    }

    /// Takes what is next if it is stale.
    pub(super) fn take_stale(&mut self, id: QueueId) -> Option<Removed<P>> {
        let head = self.head(id)?;
        let stale = self.look(id, head, |body| body.is_stale(head.key()))?;
        if stale {
            self.take(id, head)
        } else {
            None
        }
    }

    /// Puts `queue` into a free slot.
    pub(super) fn fill_slot(&mut self, queue: Queue<P>) -> Result<QueueId, Full<P>> {
        if self.closed {
            return Err(Full {
                queue,
                capacity: None,
            });
        }
        if let Some(index) = self.free {
            if let Some(slot) = self.slots.get_mut(index as usize) {
                self.free = slot.next_free.take();
                slot.queue = Some(queue);
                return Ok(QueueId {
                    index,
                    generation: slot.generation,
                });
            }
        }
        let capacity = self.slots.len();
        if capacity == self.slots.capacity() {
            return Err(Full {
                queue,
                capacity: Some(capacity),
            });
        }
        let slot = Slot {
            generation: 0,
            queue: Some(queue),
            next_free: None,
        };
        let pushed = self.slots.push_within_capacity(slot);
        debug_assert!(pushed.is_ok());
        Ok(QueueId {
            index: capacity as u32,
            generation: 0,
        })
    }

    /// Frees the slot of an empty queue.
    pub(super) fn free_slot(&mut self, id: QueueId) -> Option<Queue<P>> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let queue = slot.queue.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.next_free = self.free.replace(id.index);
        Some(queue)
    }

    /// Moves the slots to larger memory; returns the old one.
    pub(super) fn grow(&mut self, mut more: KVec<Slot<P>>) -> KVec<Slot<P>> {
        if more.capacity() <= self.slots.capacity() {
            return more;
        }
        ::core::mem::swap(&mut self.slots, &mut more);
        for slot in more.drain_all() {
            // It holds at least twice as many.
            let pushed = self.slots.push_within_capacity(slot);
            debug_assert!(pushed.is_ok());
        }
        more
    }

    /// Takes anything at all out of the queue with this index, decided or not.
    pub(super) fn drain_one(&mut self, index: u32) -> Option<Removed<P>> {
        let queue = self.slot(index)?;
        let entry = match (queue.front(), queue.any()) {
            (Some(entry), _) => entry,
            (None, Some(key)) => queue.get(key)?.entry.clone(),
            (None, None) => return None,
        };
        self.withdraw(&entry)
    }
}
