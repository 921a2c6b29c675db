// SPDX-License-Identifier: GPL-2.0

//! A lane: the serial line of a node.
//!
//! At most one message of a lane is out (queued, being read, or read and not yet freed); the others
//! are parked in the order in which they were sent. Parked messages have no place in the global
//! order: each is stamped when its turn comes. The message that is out carries the [`Turn`]; its drop
//! lets the next one out, wherever and by whomever it is dropped.
//!
//! The lane is guarded by the inbox lock of the node's owner.

#![deny(unsafe_code)]

use super::{
    entry::Entry,
    inbox::Advance,
    node::Node,
    order::Stamp,
    personality::Personality,
    sync::{
        fifo::Fifo,
        Arc,
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

    /// Takes the oldest parked message.
    pub(super) fn next(&mut self) -> Option<ListArc<Entry<P>>> {
        self.parked.pop_front()
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
        let floor = Stamp::now::<P::Clock>();
        loop {
            match self.0.owner().locked(|inbox| inbox.advance(&self.0, floor)) {
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
