// SPDX-License-Identifier: GPL-2.0

//! Local objects of a proc, by the owner's pointer, and the handshake about their counts.
//!
//! The counts themselves are the engine's: each holder of a node has a handle, and so has the owner
//! for what it must keep alive itself (calls under way, objects that came home, an announcement that
//! is not acknowledged). What is here is what the owner *was told*, in [`Told`]. The engine's notice
//! about a node says nothing by itself: what is due is found out when it is read, from the counts of
//! that moment ([`read`]).
//!
//! A node leaves the index when nobody holds it and the owner knows that; its pointer may then come
//! back with another cookie.
//!
//! Locks: the index is a mutex, taken before the node's lock. A node is looked up and held for the
//! first time under one hold of it, so that it can't leave in between.

#![deny(unsafe_code)]

use super::{
    command::Strength,
    reply::NodeCode,
    Binder,
    BinderPeer, //
};
use crate::core::{
    handle::{
        LinkError,
        Soft,
        Strong, //
    },
    inbox::QueueId,
    node::Node,
    personality::{
        Counts,
        Notice,
        Via,
        When, //
    },
};
use kernel::{
    prelude::*,
    rbtree::RBTree,
    sync::Arc, //
};

/// What never changes about a node.
pub(super) struct NodePart {
    /// The owner's pointer, the key.
    pub(super) ptr: u64,
    /// The owner's second value.
    pub(super) cookie: u64,
    /// As the first sender gave them.
    pub(super) flags: u32,
}

/// What the owner of a node was told about its counts. Guarded by the node's lock.
pub(super) struct Told {
    /// BR_ACQUIRE, and not BR_RELEASE since.
    strong: bool,
    /// BR_INCREFS, and not BR_DECREFS since.
    weak: bool,
    /// Held until BC_ACQUIRE_DONE.
    strong_pending: Option<Strong<Binder>>,
    /// Held until BC_INCREFS_DONE.
    weak_pending: Option<Soft<Binder>>,
    /// The node was just made: the first hold is its maker's, who needs no notice.
    fresh: bool,
}

impl Told {
    /// Of a new node: nothing.
    fn nothing() -> Self {
        Self {
            strong: false,
            weak: false,
            strong_pending: None,
            weak_pending: None,
            fresh: true,
        }
    }

    /// Whether the node is nobody's business any more.
    fn is_gone(&self, counts: Counts) -> bool {
        counts.held == 0 && !self.strong && !self.weak
    }

    /// What is to be done with the notice, now that the counts are `counts`.
    ///
    /// A sender of its own object gets the notice itself, after what it waits for; a strong
    /// reference takes it over from wherever it is queued. Everybody else's doing goes to the proc.
    fn notice(&self, counts: Counts, via: Via) -> Notice {
        let (strong, held) = (counts.strong > 0, counts.held > 0);
        let later = |queue, moving| Notice::Push {
            queue,
            when: When::Later,
            moving,
        };
        match via {
            Via::Queue(queue) if strong && !self.strong => later(queue, true),
            Via::Queue(queue) if held && !self.weak => later(queue, false),
            _ if strong != self.strong || held != self.weak => Notice::Push {
                queue: QueueId::MAIN,
                when: When::Now,
                moving: false,
            },
            _ => Notice::Keep,
        }
    }
}

/// The engine's question when a node came to be held or ceased to be. Under the node's lock.
pub(super) fn counts_changed(told: &mut Told, now: Counts, via: Via) -> Notice {
    if ::core::mem::take(&mut told.fresh) {
        return Notice::Keep;
    }
    told.notice(now, via)
}

/// Index of the nodes of a proc.
pub(super) type Nodes = RBTree<u64, Arc<Node<Binder>>>;

/// Why there is no node for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeError {
    /// There is one with this pointer and another cookie.
    Cookie,
    /// No memory, or too many counts.
    NoMemory,
}

impl From<LinkError> for NodeError {
    fn from(_: LinkError) -> Self {
        // The owner is alive, so its nodes are.
        Self::NoMemory
    }
}

/// Whether cookies are compared with those of a node that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CookieRule {
    /// As for objects in messages.
    Equal,
    /// As for BINDER_SET_CONTEXT_MGR_EXT.
    Ignored,
}

/// Finds or makes the node for `part`, and holds it for the caller.
pub(super) fn get_or_make(
    peer: &Arc<BinderPeer>,
    part: NodePart,
    rule: CookieRule,
    via: Via,
) -> Result<Soft<Binder>, NodeError> {
    let mut nodes = peer.part().nodes.lock();
    if let Some(node) = nodes.get(&part.ptr) {
        if !node.state(|told, counts| told.is_gone(counts)) {
            if rule == CookieRule::Equal && node.part().cookie != part.cookie {
                return Err(NodeError::Cookie);
            }
            return Ok(Node::soft_to(node, peer.anchor(), via)?);
        }
    }
    let ptr = part.ptr;
    let hold = Node::create(peer, part, Told::nothing()).map_err(|_| NodeError::NoMemory)?;
    nodes
        .try_create_and_insert(ptr, hold.node().clone(), GFP_KERNEL_ACCOUNT)
        .map_err(|_| NodeError::NoMemory)?;
    Ok(hold)
}

/// Takes care that the owner hears of what the reader of `queue` just did with an own node.
pub(super) fn announce(node: &Arc<Node<Binder>>, queue: QueueId) {
    Node::update(node, |told, counts| {
        ((), told.notice(counts, Via::Queue(queue)))
    });
}

/// The owner need not be told of what it is held by now: a context.
pub(super) fn tell_everything(node: &Arc<Node<Binder>>) {
    Node::update(node, |told, _| {
        told.strong = true;
        told.weak = true;
        ((), Notice::Withdraw)
    });
}

/// Forgets `node` if nobody holds it and nobody was told: after a message was not sent.
pub(super) fn sweep(peer: &BinderPeer, node: &Arc<Node<Binder>>) {
    let mut nodes = peer.part().nodes.lock();
    if node.state(|told, counts| told.is_gone(counts)) {
        forget(&mut nodes, node);
    }
}

fn forget(nodes: &mut Nodes, node: &Arc<Node<Binder>>) {
    let ptr = node.part().ptr;
    if nodes
        .get(&ptr)
        .is_some_and(|found| Arc::ptr_eq(found, node))
    {
        drop(nodes.remove_node(&ptr));
    }
}

/// What a notice about a node says: up to four codes, in this order.
pub(super) type Codes = [Option<NodeCode>; 4];

/// Reads the notice about an own node. What it says counts as told.
///
/// Without memory it says nothing and is queued again for the proc.
pub(super) fn read(peer: &Arc<BinderPeer>, node: &Arc<Node<Binder>>) -> Codes {
    let (strong, weak) = node.state(|told, counts| {
        (
            counts.strong > 0 && !told.strong,
            counts.held > 0 && !told.weak,
        )
    });
    // The holds come first, so that nobody can be told of the opposite in between.
    let own = peer.anchor();
    let mut weak = weak.then(|| Node::soft_to(node, own, Via::Any)).transpose();
    let mut strong = strong
        .then(|| Node::strong_to(node, own, Via::Any))
        .transpose();
    let codes = {
        let mut nodes = peer.part().nodes.lock();
        let (codes, gone) = match (&mut weak, &mut strong) {
            (Ok(weak), Ok(strong)) => node.state(|told, counts| {
                let codes = told.tell(counts, weak, strong);
                (codes, told.is_gone(counts))
            }),
            _ => ([None; 4], false),
        };
        if gone {
            forget(&mut nodes, node);
        }
        codes
    };
    if weak.is_err() || strong.is_err() {
        Node::update(node, |told, counts| ((), told.notice(counts, Via::Any)));
    }
    codes
}

impl Told {
    /// Tells what is due. `weak` and `strong` are the holds for what is to be acknowledged; they are
    /// taken if they are needed.
    fn tell(
        &mut self,
        counts: Counts,
        weak: &mut Option<Soft<Binder>>,
        strong: &mut Option<Strong<Binder>>,
    ) -> Codes {
        let mut codes = [None; 4];
        if !self.weak && weak.is_some() {
            self.weak = true;
            ::core::mem::swap(&mut self.weak_pending, weak);
            codes[0] = Some(NodeCode::Increfs);
        }
        if !self.strong && strong.is_some() {
            self.strong = true;
            ::core::mem::swap(&mut self.strong_pending, strong);
            codes[1] = Some(NodeCode::Acquire);
        }
        if self.strong && counts.strong == 0 {
            self.strong = false;
            codes[2] = Some(NodeCode::Release);
        }
        if self.weak && counts.held == 0 {
            self.weak = false;
            codes[3] = Some(NodeCode::Decrefs);
        }
        codes
    }
}

/// The owner took note of BR_INCREFS or BR_ACQUIRE. What makes no sense has no effect.
pub(super) fn acknowledge(peer: &BinderPeer, strength: Strength, ptr: u64, cookie: u64) {
    let found = peer.part().nodes.lock().get(&ptr).cloned();
    let Some(node) = found.filter(|node| node.part().cookie == cookie) else {
        return;
    };
    match strength {
        Strength::Strong => drop(node.state(|told, _| told.strong_pending.take())),
        Strength::Weak => drop(node.state(|told, _| told.weak_pending.take())),
    }
}

/// What BINDER_GET_NODE_DEBUG_INFO says about a node.
pub(super) struct NodeInfo {
    /// The owner's pointer.
    pub(super) ptr: u64,
    /// The owner's cookie.
    pub(super) cookie: u64,
    /// Whether the owner was told that it is held strongly.
    pub(super) strong: bool,
    /// Whether the owner was told that it is held.
    pub(super) weak: bool,
}

/// The own node with the lowest pointer above `ptr`. One that came and went before the owner was told
/// of it is none, though its notice may not be read yet.
pub(super) fn after(peer: &BinderPeer, ptr: u64) -> Option<NodeInfo> {
    let nodes = peer.part().nodes.lock();
    let mut later = InOrder {
        nodes: &nodes,
        from: ptr.checked_add(1),
    };
    later.find_map(|node| {
        node.state(|told, counts| {
            (!told.is_gone(counts)).then(|| NodeInfo {
                ptr: node.part().ptr,
                cookie: node.part().cookie,
                strong: told.strong,
                weak: told.weak,
            })
        })
    })
}

/// Takes all holds that wait for an acknowledgement; used when the owner is gone.
pub(super) fn abandon(node: &Node<Binder>) {
    let holds = node.state(|told, _| (told.strong_pending.take(), told.weak_pending.take()));
    drop(holds);
}

/// The nodes of an index by their pointers, as often as wanted.
#[derive(Clone)]
pub(super) struct InOrder<'a> {
    nodes: &'a Nodes,
    from: Option<u64>,
}

impl<'a> InOrder<'a> {
    /// From the first on.
    pub(super) fn of(nodes: &'a Nodes) -> Self {
        Self {
            nodes,
            from: Some(0),
        }
    }
}

impl<'a> Iterator for InOrder<'a> {
    type Item = &'a Arc<Node<Binder>>;

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.from.take()?;
        let ptr = *self.nodes.cursor_lower_bound(&from)?.current().0;
        self.from = ptr.checked_add(1);
        self.nodes.get(&ptr)
    }
}
