// SPDX-License-Identifier: GPL-2.0

//! A participant.
//!
//! A [`Peer`] is what its owner holds: an inbox, a pool, an account, and the personality's part.
//! Others reach it only through its [`Anchor`], and only while it is open. Closing is in two steps,
//! so that the personality can put its own between them: [`Peer::shut`] ends acceptance and empties
//! all queues, [`Peer::destroy_all`] ends the nodes. Neither waits for anybody or allocates.

#![deny(unsafe_code)]

use super::{
    anchor::Anchor,
    destroy::{
        destroy,
        Verdict, //
    },
    node::Node,
    personality::Personality,
    pool::Pool,
    quota::Account,
    stats::{
        Alive,
        Counter, //
    },
    sync::{
        AllocError,
        Arc,
        SetOnce,
        GFP_KERNEL_ACCOUNT, //
    },
};

/// A participant of the bus.
pub(crate) struct Peer<P: Personality> {
    anchor: Arc<Anchor<P>>,
    account: Arc<Account>,
    pool: SetOnce<Arc<Pool<P::Pages>>>,
    part: P::Peer,
    _alive: Alive,
}

impl<P: Personality> Peer<P> {
    /// Makes a peer. `id` must be one that no other peer of this personality ever had.
    pub(crate) fn new(
        id: u64,
        account: Arc<Account>,
        part: P::Peer,
        inbox: P::Inbox,
        main: P::Queue,
    ) -> Result<Arc<Self>, AllocError> {
        let peer = Self {
            anchor: Anchor::new(id, inbox, main)?,
            account,
            pool: SetOnce::new(),
            part,
            _alive: Alive::new(Counter::PeersAlive),
        };
        let peer = Arc::new(peer, GFP_KERNEL_ACCOUNT)?;
        peer.anchor.open(peer.clone());
        Ok(peer)
    }

    /// What others may hold.
    pub(crate) fn anchor(&self) -> &Arc<Anchor<P>> {
        &self.anchor
    }

    /// Who pays for what it gets.
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// The personality's part.
    pub(crate) fn part(&self) -> &P::Peer {
        &self.part
    }

    /// Gives it its pool; says no if it had one.
    pub(crate) fn set_pool(&self, pool: Arc<Pool<P::Pages>>) -> bool {
        self.pool.populate(pool)
    }

    /// Its pool, once it has one.
    pub(crate) fn pool(&self) -> Option<&Arc<Pool<P::Pages>>> {
        self.pool.as_ref()
    }

    /// Accepts nothing any more, for good, and drops all that is queued: callers of calls that
    /// nobody read are answered. Who looks the peer up from now on finds nothing.
    pub(crate) fn shut(&self) {
        self.anchor.shut();
        self.account.close();
    }

    /// Destroys `nodes`, in this order, as one transaction.
    pub(crate) fn destroy_all<'a>(
        &self,
        verdict: Verdict,
        nodes: impl Iterator<Item = &'a Arc<Node<P>>> + Clone,
    ) {
        // Where in the order that is matters to who flushes only.
        let _end = destroy(&self.anchor, verdict, nodes);
    }
}
