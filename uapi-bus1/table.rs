// SPDX-License-Identifier: GPL-2.0

//! What a peer holds: its handles by ID, its own nodes by age, its published slices by offset.
//!
//! A [`Table`] is guarded by the `table` mutex of its [`Client`](super::peer::Client). Other peers
//! lock it only to hand over a handle without a message. Nothing is dropped here: what is taken out
//! is returned in a wrapper, to be dropped after unlock, since dropping a reference takes the locks
//! of the engine and may wake somebody.
//!
//! Memory comes from outside as well, so that no step that has begun can fail.

#![deny(unsafe_code)]

use super::{
    fresh::Fresh,
    ids,
    ids::{
        Home,
        Numbers, //
    },
    native::{
        Birth,
        Native, //
    },
    pool::Pages, //
};
use crate::core::{
    destroy::Verdict,
    handle::{
        Handle,
        Soft,
        Strong, //
    },
    message::Message,
    node::Node,
    personality::Notice,
    pool::Slice,
    sync::{
        reserve_node,
        AllocError,
        Arc,
        RBTree,
        RBTreeNode,
        RBTreeNodeReservation, //
    },
};
use ::core::mem;
use kernel::prelude::*;

/// A handle with an ID, and the user's references to it.
pub(super) struct Held {
    pub(super) handle: Arc<Handle<Native>>,
    /// References that were given to this peer.
    strong: Option<Strong<Native>>,
    /// The reference that an owner has from the start and keeps while the node lives.
    pinned: Option<Soft<Native>>,
    /// Memory for the end of a node that was made for a reply.
    pub(super) end: Option<Verdict>,
}

impl Held {
    /// The handle of a node that was just made.
    pub(super) fn pinned(soft: Soft<Native>) -> Self {
        Self {
            handle: soft.handle().clone(),
            strong: None,
            pinned: Some(soft),
            end: None,
        }
    }

    fn given(strong: Strong<Native>) -> Self {
        Self {
            handle: strong.handle().clone(),
            strong: Some(strong),
            pinned: None,
            end: None,
        }
    }

    /// Adds a reference.
    fn give(&mut self, given: Strong<Native>) {
        match &mut self.strong {
            // Of the same handle, so that nothing comes back.
            Some(strong) => drop(strong.merge(given)),
            None => self.strong = Some(given),
        }
    }

    fn is_empty(&self) -> bool {
        self.strong.is_none() && self.pinned.is_none()
    }

    /// Takes one reference off; `None` if there is but the pinned one of a living node.
    fn take_one(&mut self) -> Option<Released> {
        let mut released = Released::nothing();
        if let Some(strong) = &mut self.strong {
            released._strong = strong.split().or_else(|| self.strong.take());
        } else if self.handle.node().death().is_some() {
            released._pinned = self.pinned.take();
        } else {
            return None;
        }
        Some(released)
    }
}

/// What was taken out of a table; dropping it may tell other peers.
#[must_use = "is to be dropped after unlock"]
pub(super) struct Released {
    _strong: Option<Strong<Native>>,
    _pinned: Option<Soft<Native>>,
    _entry: Option<RBTreeNode<u64, Held>>,
    _node: Option<RBTreeNode<u64, Arc<Node<Native>>>>,
}

impl Released {
    fn nothing() -> Self {
        Self {
            _strong: None,
            _pinned: None,
            _entry: None,
            _node: None,
        }
    }
}

/// Memory for one ID.
pub(super) type IdSpot = RBTreeNodeReservation<u64, Held>;

/// Memory for one published slice.
pub(super) type SliceSpot = RBTreeNodeReservation<u64, Slice<Pages>>;

/// Memory that a reader sets aside before it takes a message; what is left serves the next.
pub(super) struct Spots {
    ids: KVec<IdSpot>,
    slice: Option<SliceSpot>,
}

impl Spots {
    /// Most spots that are kept for the next message.
    const KEPT: usize = 8;

    /// Has nothing set aside.
    pub(super) fn new() -> Self {
        Self {
            ids: KVec::new(),
            slice: None,
        }
    }

    /// Makes sure that there is memory for a slice and `n_ids` IDs.
    pub(super) fn fill(&mut self, n_ids: usize) -> Result<(), AllocError> {
        if self.slice.is_none() {
            self.slice = Some(reserve_node()?);
        }
        while self.ids.len() < n_ids {
            let spot = reserve_node()?;
            self.ids.push(spot, GFP_KERNEL)?;
        }
        Ok(())
    }

    /// Frees what one message with very many handles left behind.
    pub(super) fn trim(&mut self) {
        if self.ids.len() > Self::KEPT {
            self.ids = KVec::new();
        }
    }
}

/// A request of this peer that is over.
pub(super) struct Ended {
    /// Memory for the end of the node.
    pub(super) verdict: Verdict,
    /// What the peer held of it; to be dropped after unlock, before the node ends.
    pub(super) held: Released,
}

impl Drop for Fresh {
    /// The end of a message's reference to a node was news for the owner, who never had the node.
    fn drop(&mut self) {
        let withdraw = |handle: &Arc<Handle<Native>>| {
            Node::update(handle.node(), |_, _| ((), Notice::Withdraw));
        };
        for held in self.ids.values() {
            withdraw(&held.handle);
        }
        if let Some(reply) = self.reply.as_ref().filter(|reply| reply.id.is_none()) {
            withdraw(&reply.handle);
        }
    }
}

/// All that a peer holds.
pub(super) struct Table {
    ids: RBTree<u64, Held>,
    /// The living own nodes, oldest first.
    own: RBTree<u64, Arc<Node<Native>>>,
    slices: RBTree<u64, Slice<Pages>>,
    /// A message that the peer has pinned on itself.
    seed: Option<KBox<Message<Native>>>,
    numbers: Numbers,
    births: u64,
    /// Counts what can make an ID mean something else than before.
    changes: u64,
    closed: bool,
}

/// What a peer held when its table was closed or flushed.
pub(super) struct Estate {
    ids: RBTree<u64, Held>,
    _slices: RBTree<u64, Slice<Pages>>,
    _seed: Option<KBox<Message<Native>>>,
}

/// Own nodes that are about to be destroyed.
pub(super) struct Nodes(RBTree<u64, Arc<Node<Native>>>);

impl Nodes {
    /// All of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Node<Native>>> + Clone {
        Ages {
            nodes: &self.0,
            from: Some(0),
        }
    }
}

/// Walks nodes by age. Unlike the tree's own iterator it can walk twice.
#[derive(Clone)]
struct Ages<'a> {
    nodes: &'a RBTree<u64, Arc<Node<Native>>>,
    from: Option<u64>,
}

impl<'a> Iterator for Ages<'a> {
    type Item = &'a Arc<Node<Native>>;

    fn next(&mut self) -> Option<Self::Item> {
        let birth = *self.nodes.cursor_lower_bound(&self.from?)?.current().0;
        self.from = birth.checked_add(1);
        self.nodes.get(&birth)
    }
}

impl Table {
    /// Holds nothing.
    pub(super) fn new() -> Self {
        Self {
            ids: RBTree::new(),
            own: RBTree::new(),
            slices: RBTree::new(),
            seed: None,
            numbers: Numbers::new(),
            births: 0,
            changes: 0,
            closed: false,
        }
    }

    /// Fails with `ESHUTDOWN` once the table is closed.
    pub(super) fn check(&self) -> Result {
        if self.closed {
            Err(ESHUTDOWN)
        } else {
            Ok(())
        }
    }

    /// While this number stays, every ID that was looked up means the same.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The handle of a known ID.
    pub(super) fn find(&self, id: u64) -> Option<&Arc<Handle<Native>>> {
        self.ids.get(&id).map(|held| &held.handle)
    }

    /// The handle of `id`, which may make a node: then that is in `fresh`.
    ///
    /// `ENXIO` if the ID is unknown and can't make a node, `ENOMEM`.
    pub(super) fn resolve(
        &mut self,
        id: u64,
        fresh: &mut Fresh,
        make: impl FnOnce(Birth) -> Result<Soft<Native>, AllocError>,
    ) -> Result<Arc<Handle<Native>>> {
        if let Some(handle) = self.find(id).or_else(|| fresh.find(id)) {
            return Ok(handle.clone());
        }
        if !ids::creates(id) {
            return Err(ENXIO);
        }
        let birth = Birth {
            age: self.next_age(),
            promise: None,
        };
        let soft = make(birth)?;
        let handle = soft.handle().clone();
        fresh.add(id, soft)?;
        Ok(handle)
    }

    /// The age of the next node; greater than that of any before.
    pub(super) fn next_age(&mut self) -> u64 {
        self.births += 1;
        self.births
    }

    /// Whether `id` still means `handle`, looked up before.
    pub(super) fn confirms(&self, id: u64, handle: &Arc<Handle<Native>>, fresh: &Fresh) -> bool {
        if fresh.is_reply(handle) {
            return true;
        }
        match (self.find(id), fresh.find(id)) {
            (Some(now), None) => Arc::ptr_eq(now, handle),
            // Somebody else has made a node with this ID meanwhile.
            (Some(_), Some(_)) => false,
            (None, Some(_)) => true,
            (None, None) => false,
        }
    }

    /// Gives the nodes of `fresh` their IDs. None of these is known yet.
    pub(super) fn publish(&mut self, fresh: &mut Fresh) {
        for newborn in &mut fresh.born {
            if let Some(node) = newborn.node.take() {
                self.own.insert(node);
            }
            if let Some(node) = fresh.ids.remove_node(&newborn.id) {
                self.ids.insert(node);
                self.changes += 1;
            }
        }
        if let Some(reply) = &mut fresh.reply {
            if let Some((spot, held, node)) = reply.unpublished.take() {
                let id = self.numbers.take(Home::Own);
                held.handle.part().assign(id);
                self.own.insert(node);
                self.ids.insert(spot.into_node(id, held));
                reply.id = Some(id);
            }
        }
    }

    /// Undoes [`publish`](Self::publish), before anybody else has seen one of the nodes.
    pub(super) fn retract(&mut self, fresh: &mut Fresh) {
        for newborn in &mut fresh.born {
            newborn.node = self.own.remove_node(&newborn.birth);
            if let Some(node) = self.ids.remove_node(&newborn.id) {
                fresh.ids.insert(node);
                self.changes += 1;
            }
        }
        if let Some(reply) = &mut fresh.reply {
            if let Some(id) = reply.id.take() {
                let node = self.own.remove_node(&reply.handle.node().part().age);
                reply.retracted = self.ids.remove_node(&id).zip(node);
                self.changes += 1;
            }
        }
    }

    /// Ends the request whose reply comes to `id`: the ID, and all that it stood for, is gone. `None`
    /// if it is not that of a request.
    pub(super) fn end_request(&mut self, id: u64) -> Option<Ended> {
        let held = self.ids.get_mut(&id)?;
        let verdict = held.end.take()?;
        held.handle.part().revoke();
        let node = held.handle.node().clone();
        let mut released = Released::nothing();
        released._node = self.own.remove_node(&node.part().age);
        released._entry = self.ids.remove_node(&id);
        self.changes += 1;
        Some(Ended {
            verdict,
            held: released,
        })
    }

    /// Counts `given` as a reference of the user; returns the ID of its handle.
    ///
    /// A handle that has no ID yet gets one, with memory of `spots`, which has some.
    pub(super) fn adopt(&mut self, given: Strong<Native>, spots: &mut Spots) -> Option<u64> {
        let handle = given.handle().clone();
        if let Some(id) = handle.part().id() {
            let held = self.ids.get_mut(&id)?;
            held.give(given);
            return Some(id);
        }
        let spot = spots.ids.pop()?;
        let id = self.numbers.take(Home::of(&handle));
        handle.part().assign(id);
        self.ids.insert(spot.into_node(id, Held::given(given)));
        Some(id)
    }

    /// The ID that `given` would have had in a table that has been closed.
    pub(super) fn name_in_passing(&mut self, given: &Strong<Native>) -> u64 {
        self.numbers.take(Home::of(given.handle()))
    }

    /// Takes one reference of the user off `id`.
    ///
    /// `ENXIO` for an ID that means nothing; `EBUSY` for one that means, or would mean, a living own
    /// node with nothing but the pinned reference.
    pub(super) fn release(&mut self, id: u64) -> Result<Released> {
        let Some(held) = self.ids.get_mut(&id) else {
            return Err(if ids::creates(id) { EBUSY } else { ENXIO });
        };
        let mut released = held.take_one().ok_or(EBUSY)?;
        if held.is_empty() {
            held.handle.part().revoke();
            released._entry = self.ids.remove_node(&id);
            self.changes += 1;
        }
        Ok(released)
    }

    /// Takes a node that is destroyed off the living ones.
    pub(super) fn bury(&mut self, node: &Node<Native>) -> Option<impl Sized> {
        self.own.remove_node(&node.part().age)
    }

    /// Hands a slice to the user, at its offset, with memory of `spots`, which has some.
    pub(super) fn publish_slice(&mut self, slice: Slice<Pages>, spots: &mut Spots) -> Option<u64> {
        let offset = slice.offset() as u64;
        let spot = spots.slice.take()?;
        self.slices.insert(spot.into_node(offset, slice));
        Some(offset)
    }

    /// Takes back the slice that starts at `offset`; `ENXIO` if none does.
    pub(super) fn take_slice(&mut self, offset: u64) -> Result<RBTreeNode<u64, Slice<Pages>>> {
        self.slices.remove_node(&offset).ok_or(ENXIO)
    }

    /// Puts another seed in the place of the one that is there, and returns that.
    pub(super) fn replace_seed(
        &mut self,
        seed: Option<KBox<Message<Native>>>,
    ) -> Option<KBox<Message<Native>>> {
        mem::replace(&mut self.seed, seed)
    }

    /// Closes the table for good; returns the nodes that were alive, and everything else.
    pub(super) fn close(&mut self) -> (Nodes, Estate) {
        self.closed = true;
        let mut estate = self.empty();
        estate._seed = self.seed.take();
        (Nodes(mem::take(&mut self.own)), estate)
    }

    /// Takes out the living own nodes, but for those that the seed carries.
    pub(super) fn doom(&mut self) -> Nodes {
        let mut doomed = Nodes(mem::take(&mut self.own));
        let carried = self
            .seed
            .iter()
            .flat_map(|seed| seed.handles.iter().flatten());
        for handle in carried.map(Strong::handle) {
            if Home::of(handle) == Home::Foreign {
                continue;
            }
            if let Some(node) = doomed.0.remove_node(&handle.node().part().age) {
                self.own.insert(node);
            }
        }
        doomed
    }

    /// Takes out all that the peer holds, after [`doom`](Self::doom), but not the seed, nor the IDs
    /// and pinned references of the nodes that are left. All other IDs mean nothing any more.
    pub(super) fn flush(&mut self) -> Estate {
        let mut estate = self.empty();
        let Self { ids, own, seed, .. } = self;
        let carried = seed.iter().flat_map(|seed| seed.handles.iter().flatten());
        for handle in carried.map(Strong::handle) {
            let home = Home::of(handle) == Home::Own;
            if !home || own.get(&handle.node().part().age).is_none() {
                continue;
            }
            let Some(id) = handle.part().id() else {
                continue;
            };
            if let Some(held) = estate.ids.remove_node(&id) {
                ids.insert(held);
            }
            if let Some(held) = ids.get_mut(&id) {
                // Not the last one: the seed has another, so that nobody is told.
                held.strong = None;
            }
        }
        for held in estate.ids.values() {
            held.handle.part().revoke();
        }
        estate
    }

    fn empty(&mut self) -> Estate {
        self.changes += 1;
        Estate {
            ids: mem::take(&mut self.ids),
            _slices: mem::take(&mut self.slices),
            _seed: None,
        }
    }
}
