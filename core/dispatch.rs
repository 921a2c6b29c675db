// SPDX-License-Identifier: GPL-2.0

//! The inbox as a personality sees it.
//!
//! What a personality hangs on an inbox and on its queues, and what it may ask about them, while the
//! inbox lock is held: in its functions of [`Personality`] that run under that lock, and in
//! [`super::anchor::Anchor::with`].

#![deny(unsafe_code)]

use super::{
    inbox::{
        Inbox,
        QueueId, //
    },
    node::Node,
    personality::Personality,
};

/// The inbox as a personality sees it while it holds the inbox lock.
pub(crate) struct Dispatch<'a, P: Personality> {
    pub(super) inbox: &'a mut Inbox<P>,
}

impl<P: Personality> Dispatch<'_, P> {
    /// The personality's part of the inbox.
    pub(crate) fn part(&mut self) -> &mut P::Inbox {
        &mut self.inbox.part
    }

    /// The personality's part of a queue, unless that is gone.
    pub(crate) fn queue(&mut self, id: QueueId) -> Option<&mut P::Queue> {
        self.inbox.reading(id).map(|queue| &mut queue.part)
    }

    /// Both parts at once.
    pub(crate) fn parts(&mut self, id: QueueId) -> Option<(&mut P::Inbox, &mut P::Queue)> {
        let slot = self.inbox.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let queue = slot.queue.as_mut()?;
        Some((&mut self.inbox.part, &mut queue.part))
    }

    /// Whether the queue takes entries.
    pub(crate) fn is_open(&mut self, id: QueueId) -> bool {
        !self.inbox.closed && self.inbox.queue(id).is_some()
    }

    /// Whether the queue has something that is to be read now.
    pub(crate) fn readable(&mut self, id: QueueId) -> bool {
        self.inbox.reading(id).is_some_and(|queue| queue.readable())
    }

    /// Whether what is sent to the node's lane now is parked there.
    pub(crate) fn is_lane_busy(&mut self, node: &Node<P>) -> bool {
        node.lane().access_mut(self.inbox).is_busy()
    }

    /// Whether the queue holds nothing at all.
    pub(crate) fn is_empty(&mut self, id: QueueId) -> bool {
        self.inbox.reading(id).is_none_or(|queue| queue.is_empty())
    }
}
