// SPDX-License-Identifier: GPL-2.0

//! Starting anew: a peer drops all that has been sent to it, and stays open.
//!
//! A flush is one instant of the global order, that of the destruction of the peer's nodes: what has
//! its place before is dropped unread, what has its place after is read as usual. An entry in the
//! middle of being sent that could still come before it is pushed behind it.
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
    order::{
        Key,
        Stamp,
        State, //
    },
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
    destroy(owner, verdict, nodes.clone());
    let ends = nodes.filter_map(|node| node.death());
    // Without a node nothing marks the instant in other queues, so any will do.
    let until = ends
        .max()
        .unwrap_or_else(|| owner.locked(|inbox| inbox.clock));
    // What is appended after the first round is above `until`, so that there is an end.
    while let Some(removed) = owner.locked(|inbox| inbox.take_until(QueueId::MAIN, until)) {
        drop(removed);
    }
}

impl<P: Personality> Inbox<P> {
    /// Takes what is next in a queue, if its place is at or before `until`.
    fn take_until(&mut self, id: QueueId, until: Stamp) -> Option<Removed<P>> {
        self.raise(until);
        self.push_open(id, until);
        let head = self.head(id)?;
        if head.stamp() <= until {
            self.take(id, head)
        } else {
            None
        }
    }

    /// Pushes every undecided entry that could get a place at or before `until` behind all that the
    /// inbox has seen.
    fn push_open(&mut self, id: QueueId, until: Stamp) {
        let floor = self.clock.max(until).next();
        let Some(queue) = self.reading(id) else {
            return;
        };
        let mut from = Key::single(Stamp::ZERO);
        while let Some((key, _)) = queue.from(from) {
            if key.stamp() > until {
                return;
            }
            let record = queue.get(key).and_then(|item| item.record.clone());
            if let Some(record) = record {
                if let State::Undecided(_) = record.state() {
                    queue.rekey(key, record.push(floor));
                }
            }
            from = key.successor();
        }
    }
}
