// SPDX-License-Identifier: GPL-2.0

//! Nodes that a call makes, before they are in the table of their peer.
//!
//! Takes no locks; [`Table::publish`](super::table::Table::publish) and its opposite move what is here
//! into the table and back.

#![deny(unsafe_code)]

use super::{
    native::Native,
    table::{
        Held,
        IdSpot, //
    }, //
};
use crate::core::{
    destroy::Verdict,
    handle::{
        Handle,
        Soft, //
    },
    node::Node,
    quota::Charge,
    sync::{
        reserve_node,
        AllocError,
        Arc,
        RBTree,
        RBTreeNode, //
    },
};
use kernel::prelude::*;

/// A node that is about to get its ID.
pub(super) struct Newborn {
    pub(super) id: u64,
    pub(super) birth: u64,
    pub(super) node: Option<RBTreeNode<u64, Arc<Node<Native>>>>,
}

/// Own nodes that were made for one call, by the IDs that made them.
///
/// They come into the table all together, once nothing can fail any more; dropped before, they
/// were never there.
pub(super) struct Fresh {
    pub(super) ids: RBTree<u64, Held>,
    pub(super) born: KVec<Newborn>,
    pub(super) reply: Option<ReplyNode>,
}

/// The place of a node among the living ones of its owner.
type Alive = RBTreeNode<u64, Arc<Node<Native>>>;

/// A node for a reply, which gets its ID when it is published.
pub(super) struct ReplyNode {
    pub(super) handle: Arc<Handle<Native>>,
    pub(super) id: Option<u64>,
    pub(super) unpublished: Option<(IdSpot, Held, Alive)>,
    /// What was published in vain.
    pub(super) retracted: Option<(RBTreeNode<u64, Held>, Alive)>,
}

impl Fresh {
    /// None.
    pub(super) fn new() -> Self {
        Self {
            ids: RBTree::new(),
            born: KVec::new(),
            reply: None,
        }
    }

    /// Adds the node for a reply.
    pub(super) fn ask(&mut self, soft: Soft<Native>, end: Verdict) -> Result<(), AllocError> {
        let node = soft.node().clone();
        let node = reserve_node()?.into_node(node.part().age, node);
        let handle = soft.handle().clone();
        let mut held = Held::pinned(soft);
        held.end = Some(end);
        self.reply = Some(ReplyNode {
            handle,
            id: None,
            unpublished: Some((reserve_node()?, held, node)),
            retracted: None,
        });
        Ok(())
    }

    /// Whether `handle` is that of the node for the reply.
    pub(super) fn is_reply(&self, handle: &Arc<Handle<Native>>) -> bool {
        let reply = self.reply.as_ref();
        reply.is_some_and(|reply| Arc::ptr_eq(&reply.handle, handle))
    }

    /// The ID of the node for the reply, once it is published.
    pub(super) fn reply_id(&self) -> Option<u64> {
        self.reply.as_ref()?.id
    }

    /// The handle of the node that `id` made.
    pub(super) fn find(&self, id: u64) -> Option<&Arc<Handle<Native>>> {
        self.ids.get(&id).map(|held| &held.handle)
    }

    /// Adds a node that `id` made.
    pub(super) fn add(&mut self, id: u64, soft: Soft<Native>) -> Result<(), AllocError> {
        let spot = reserve_node()?;
        let node = soft.node().clone();
        let birth = node.part().age;
        let node = reserve_node()?.into_node(birth, node);
        self.born.push(
            Newborn {
                id,
                birth,
                node: Some(node),
            },
            GFP_KERNEL,
        )?;
        let held = Held::pinned(soft);
        held.handle.part().assign(id);
        self.ids.insert(spot.into_node(id, held));
        Ok(())
    }

    /// Pays for each of them out of `charge`.
    pub(super) fn pay(&self, mut charge: Charge) {
        for held in self.ids.values() {
            held.handle.part().pay(&mut charge);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.born.len()
    }
}
