// SPDX-License-Identifier: GPL-2.0

//! A lane: the serial line of a node.
//!
//! At most one message of a lane is out (queued, being read, or read and not yet freed); the others
//! are parked in the order in which they were sent. Parked messages have no place in the global
//! order: each is stamped when its turn comes. The message that is out carries the [`Turn`]; its drop
//! lets the next one out, wherever and by whomever it is dropped. A message can take the place of an
//! older one that is still parked, if the personality says that it makes that pointless.
//!
//! The lane is guarded by the inbox lock of the node's owner.

#![deny(unsafe_code)]

use super::{
    entry::{
        Body,
        Entry,
        Place, //
    },
    inbox::{
        Advance,
        Inbox,
        Removed, //
    },
    message::Message,
    node::Node,
    order::Stamp,
    personality::{
        Cause,
        Personality,
        When, //
    },
    stats::Counter,
    sync::{
        assert_unlocked,
        fifo::Fifo,
        Arc,
        KBox,
        ListArc, //
    },
};

/// What is parked at a node.
pub(crate) struct Lane<P: Personality> {
    busy: bool,
    parked: Fifo<Entry<P>>,
}

impl<P: Personality> Lane<P> {
    /// A free lane.
    pub(super) fn new() -> Self {
        Self {
            busy: false,
            parked: Fifo::new(),
        }
    }

    /// Whether a message is out.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// A message goes out.
    pub(super) fn begin(&mut self) {
        self.busy = true;
    }

    /// Nothing is out any more.
    pub(super) fn end(&mut self) {
        self.busy = false;
    }

    /// Parks a message.
    pub(super) fn park(&mut self, entry: ListArc<Entry<P>>) {
        self.parked.push_back(entry);
    }

    /// Takes out all that is parked, to be searched; to be put back with [`fill`](Self::fill).
    pub(super) fn empty(&mut self) -> Fifo<Entry<P>> {
        ::core::mem::take(&mut self.parked)
    }

    /// Puts back what was taken out.
    pub(super) fn fill(&mut self, parked: Fifo<Entry<P>>) {
        self.parked = parked;
    }

    /// Takes the oldest parked message.
    pub(super) fn next(&mut self) -> Option<ListArc<Entry<P>>> {
        self.parked.pop_front()
    }
}

impl<P: Personality> Inbox<P> {
    /// Takes the first message out of the lane of `node` that `new` makes pointless.
    ///
    /// The one step of an inbox that takes as long as a lane is: only who asks for it waits long, or
    /// makes others wait, and the quota bounds what can be parked.
    pub(super) fn supersede(&mut self, node: &Node<P>, new: &Message<P>) -> Option<Removed<P>> {
        let mut parked = node.lane().access_mut(self).empty();
        let old = parked
            .iter()
            .find(|entry| match &entry.state.access_mut(self).body {
                Some(Body::Message(old)) => P::supersedes(new, old),
                _ => false,
            })
            .map(Arc::from);
        let old = old.and_then(|entry| parked.remove(&entry));
        node.lane().access_mut(self).fill(parked);
        let entry = old?;
        let state = entry.state.access_mut(self);
        state.place = Place::Idle;
        let body = state.body.take();
        Counter::Superseded.count();
        Some(Removed::entry(entry, body))
    }

    /// Puts a message at the end of the lane of `node`. Until it has a place, its stamp is what the
    /// sender's had been at least.
    pub(super) fn park(
        &mut self,
        node: &Node<P>,
        entry: ListArc<Entry<P>>,
        message: KBox<Message<P>>,
        floor: Stamp,
    ) {
        entry.set_stamp(floor);
        let state = entry.state.access_mut(self);
        state.place = Place::Parked;
        state.body = Some(Body::Message(message));
        node.lane().access_mut(self).park(entry);
        Counter::Parked.count();
    }

    /// The turn of a lane ended: lets the next message out. Says whether to look again.
    ///
    /// It comes after all that its sender knew. The time is read under the lock, since what is parked
    /// was sent before that, however late it came.
    pub(super) fn advance(&mut self, node: &Arc<Node<P>>) -> Advance<P> {
        let next = if self.closed {
            None
        } else {
            node.lane().access_mut(self).next()
        };
        let Some(entry) = next else {
            node.lane().access_mut(self).end();
            return Advance::Done(P::Wake::default());
        };
        let state = entry.state.access_mut(self);
        state.place = Place::Idle;
        let Some(Body::Message(mut message)) = state.body.take() else {
            return Advance::Again(Removed::entry(entry, None));
        };
        match self.admit(&mut message, Cause::Released) {
            Ok((to, _)) => {
                message.turn = Some(Turn::new(node.clone()));
                let stamp = self.tick(Stamp::now::<P::Clock>().max(entry.stamp()));
                let body = Body::Message(message);
                Advance::Done(self.append(to.queue(), entry, body, When::Now, stamp))
            }
            Err(_) => Advance::Again(Removed::entry(entry, Some(Body::Message(message)))),
        }
    }

    /// Takes a message out of the lane of `node` without letting it go anywhere.
    pub(super) fn unpark(&mut self, node: &Node<P>) -> Option<Removed<P>> {
        let entry = node.lane().access_mut(self).next()?;
        let state = entry.state.access_mut(self);
        state.place = Place::Idle;
        let body = state.body.take();
        Some(Removed::entry(entry, body))
    }
}

/// The turn of a lane; its drop starts the next message of the node.
///
/// It goes with the message to its reader, who keeps it until the message is freed. Dropping it
/// takes the inbox lock of the node's owner.
pub(crate) struct Turn<P: Personality>(Arc<Node<P>>);

impl<P: Personality> Turn<P> {
    /// The turn that was just begun at `node`.
    pub(super) fn new(node: Arc<Node<P>>) -> Self {
        Self(node)
    }
}

impl<P: Personality> Drop for Turn<P> {
    fn drop(&mut self) {
        assert_unlocked();
        loop {
            match self.0.owner().locked(|inbox| inbox.advance(&self.0)) {
                Advance::Done(wake) => return P::wake(wake),
                Advance::Again(removed) => drop(removed),
            }
        }
    }
}

impl<P: Personality> Node<P> {
    /// Drops all that is parked; used when the node is destroyed.
    pub(super) fn clear_lane(&self) {
        while let Some(removed) = self.owner().locked(|inbox| inbox.unpark(self)) {
            drop(removed);
        }
    }
}
