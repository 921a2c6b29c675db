// SPDX-License-Identifier: GPL-2.0

//! Starting anew: a peer drops all that has been sent to it, and stays open.
//!
//! A flush is one instant of the global order, that of the destruction of the peer's nodes: what has
//! its place before is dropped unread, what has its place after is read as usual. An entry in the
//! middle of being sent gets its place by its sender, before or after, or is pushed behind.
//!
//! Locks: those of [`super::destroy`], then `inbox` of the peer, for one entry at a time.

#![deny(unsafe_code)]

use super::{
    anchor::Anchor,
    destroy::{
        destroy,
        Verdict, //
    },
    inbox::{
        Inbox,
        QueueId,
        Removed, //
    },
    node::Node,
    order::Key,
    personality::Personality,
    sync::Arc, //
};

/// Destroys `nodes` of `owner`, in this order, and drops what its main queue has got before that.
///
/// Only for the reader of that queue. Cannot fail, and waits for nobody.
pub(crate) fn flush<'a, P: Personality>(
    owner: &Anchor<P>,
    verdict: Verdict,
    nodes: impl Iterator<Item = &'a Arc<Node<P>>> + Clone,
) {
    let end = destroy(owner, verdict, nodes);
    // Without a node nothing marks the instant in other queues, so any later one will do.
    let until = end.unwrap_or_else(|| Key::last(owner.locked(|inbox| inbox.clock)));
    // What is appended after the first round is above `until`, so that there is an end.
    while let Some(removed) = owner.locked(|inbox| inbox.take_until(QueueId::MAIN, until)) {
        drop(removed);
    }
}

impl<P: Personality> Inbox<P> {
    /// Takes what is next in a queue, if its place is at or before `until`.
    ///
    /// Once it says no, nothing can come there any more.
    fn take_until(&mut self, id: QueueId, until: Key) -> Option<Removed<P>> {
        self.raise(until.stamp());
        let floor = self.clock.next();
        loop {
            match self.head(id) {
                Some(head) if head.key() <= until => return self.take(id, head),
                // What is undecided is behind this one by now.
                Some(_) => return None,
                None if self.reading(id)?.push_all(until, floor) => return None,
                // One was committed just now.
                None => {}
            }
        }
    }
}
