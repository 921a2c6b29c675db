// SPDX-License-Identifier: GPL-2.0

//! Watches: what a holder asked to be told about a node.
//!
//! A watch is armed on a handle ([`super::handle::Handle::arm`]). The transaction that destroys the
//! node queues it, at one place of the order for all watchers. It brings the memory for that, so
//! that being told cannot fail; so it is armed once only. The personality keeps the watch as a value
//! of its own; it may outlive the handle. A watch of something that the engine knows nothing of is
//! told by the personality ([`Watch::tell`]), as often as it likes.

#![deny(unsafe_code)]

use super::{
    anchor::Anchor,
    entry::{
        Body,
        Entry, //
    },
    inbox::QueueId,
    node::Node,
    personality::{
        Personality,
        When, //
    },
    sync::{
        AllocError,
        Arc,
        SetOnce,
        GFP_KERNEL_ACCOUNT, //
    },
};

/// A request to be told.
pub(crate) struct Watch<P: Personality> {
    holder: Arc<Anchor<P>>,
    entry: Arc<Entry<P>>,
    /// Set when it is armed: what it brings lasts for one telling.
    armed: SetOnce<()>,
    part: P::Watch,
}

impl<P: Personality> Watch<P> {
    /// Makes a watch for a handle of `holder`; it is not armed yet.
    pub(crate) fn new(holder: &Arc<Anchor<P>>, part: P::Watch) -> Result<Arc<Self>, AllocError> {
        let entry = Entry::new(holder, true)?;
        let watch = Self {
            holder: holder.clone(),
            entry,
            armed: SetOnce::new(),
            part,
        };
        Arc::new(watch, GFP_KERNEL_ACCOUNT)
    }

    /// The personality's part.
    pub(crate) fn part(&self) -> &P::Watch {
        &self.part
    }

    /// Queues it in its own right, as the watch of something that `node` is or does. If it is queued
    /// it stays where it is; a holder that is shut is told nothing.
    pub(crate) fn tell(this: &Arc<Self>, node: &Arc<Node<P>>) {
        let body = Body::Watch(this.clone(), node.clone());
        drop(
            this.holder
                .post(QueueId::MAIN, &this.entry, body, When::Now),
        );
    }

    /// Takes it off the queue, if it is queued and not read yet.
    pub(crate) fn withdraw(&self) -> bool {
        self.holder.withdraw(&self.entry).is_some()
    }

    /// Takes note that it is being armed. Says no if it was before.
    pub(super) fn claim(&self) -> bool {
        self.armed.populate(())
    }

    pub(super) fn entry(&self) -> &Arc<Entry<P>> {
        &self.entry
    }
}
