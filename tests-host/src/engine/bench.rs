// SPDX-License-Identifier: GPL-2.0

//! A bus for scripts that know what they do: what they need of it in one word each.

use super::{
    record::{
        History,
        Letter,
        Line,
        Role,
        Temper, //
    },
    world::{
        alive,
        Bus,
        Parcel,
        World,
        PAYER, //
    },
};
use crate::{
    core::{
        anchor::{
            Anchor,
            Delivered,
            Taken, //
        },
        destroy::Verdict,
        handle::{
            Soft,
            Strong, //
        },
        inbox::QueueId,
        node::Node,
        peer::Peer,
        personality::Via,
        quota::Amounts,
        sync::{
            Arc,
            KVec,
            GFP_KERNEL, //
        },
        transaction::{
            Draft,
            Filled,
            Multicast, //
        },
    },
    host::clock::{
        self,
        Fine, //
    },
};

/// The personality of all scripts.
pub(super) type B = Bus<Fine>;

/// Some peers, with a plain node (even number) and one that takes turns (odd) each.
pub(super) struct Bench {
    pub(super) world: World<Fine>,
    softs: Vec<Soft<B>>,
    before: u64,
}

impl Bench {
    pub(super) fn new(peers: usize) -> std::sync::Arc<Self> {
        clock::restart();
        let before = alive();
        let (world, owned) = World::new(peers);
        let softs = owned.into_iter().flatten().map(|(_, soft)| soft);
        std::sync::Arc::new(Self {
            world,
            softs: softs.collect(),
            before,
        })
    }

    pub(super) fn peer(&self, number: usize) -> &Arc<Peer<B>> {
        &self.world.peers[number]
    }

    pub(super) fn anchor(&self, peer: usize) -> &Arc<Anchor<B>> {
        self.peer(peer).anchor()
    }

    pub(super) fn node(&self, number: usize) -> &Arc<Node<B>> {
        &self.world.nodes[number]
    }

    /// A reference of `peer` to `node`, unless that has ended.
    pub(super) fn link(&self, node: usize, peer: usize) -> Option<Strong<B>> {
        Node::strong_to(self.node(node), self.anchor(peer), Via::Any).ok()
    }

    /// A message of peer 0 for whoever `draft` is for.
    pub(super) fn fill(
        &self,
        draft: Draft<B>,
        role: Role,
        carries: Option<Option<Strong<B>>>,
    ) -> Filled<B> {
        self.compose(draft, role, Temper::Meek, carries)
    }

    fn compose(
        &self,
        draft: Draft<B>,
        role: Role,
        temper: Temper,
        carries: Option<Option<Strong<B>>>,
    ) -> Filled<B> {
        let letter = Letter::new(0, (0, Line::Main), None, role);
        let parcel = Parcel {
            letter: self.world.recorder.letter(letter),
            from: 0,
            role,
            temper,
            carries: None,
            recorder: self.world.recorder.clone(),
        };
        let amounts = Amounts {
            slices: 1,
            bytes: 8,
            ..Amounts::NONE
        };
        let mut handles = KVec::new();
        if let Some(slot) = carries {
            handles.push(slot, GFP_KERNEL).unwrap();
        }
        let reserved = draft.reserve(PAYER, amounts, 4).unwrap();
        reserved.fill(handles, KVec::new(), parcel).unwrap()
    }

    /// A message that is refused when its turn comes.
    pub(super) fn unwelcome(&self, node: usize) -> Filled<B> {
        let draft = Draft::to(self.node(node)).unwrap();
        self.compose(draft, Role::Post, Temper::RefusedLate, None)
    }

    pub(super) fn message(&self, node: usize) -> Filled<B> {
        self.fill(Draft::to(self.node(node)).unwrap(), Role::Post, None)
    }

    pub(super) fn multicast(&self, nodes: &[usize]) -> Multicast<B> {
        let mut multicast = Multicast::new(nodes.len()).unwrap();
        for node in nodes {
            let part = self.message(*node).into_part().unwrap();
            multicast.add(part).unwrap();
        }
        multicast
    }

    /// Destroys nodes of `peer`.
    pub(super) fn destroy(&self, peer: usize, nodes: &[usize]) {
        let nodes = nodes.iter().map(|node| self.node(*node));
        self.peer(peer).destroy_all(Verdict::new().unwrap(), nodes);
    }

    /// Ends a peer.
    pub(super) fn close(&self, peer: usize) {
        self.peer(peer).shut();
        self.destroy(peer, &[2 * peer, 2 * peer + 1]);
    }

    /// Reads what there is.
    pub(super) fn read(&self, peer: usize) -> Vec<Read> {
        self.read_from(peer, QueueId::MAIN)
    }

    pub(super) fn read_from(&self, peer: usize, queue: QueueId) -> Vec<Read> {
        let mut all = Vec::new();
        while let Some(taken) = self.anchor(peer).take(queue) {
            all.push(match taken {
                Taken::Message(delivered) => Read::Message(self.opened(delivered)),
                Taken::Watch(_, node, _) => Read::End(*node.part()),
                Taken::Counts(node) => Read::Counts(*node.part()),
                Taken::Failed((), _) => Read::Failed,
                Taken::Code(()) => unreachable!("nobody sends codes"),
            });
        }
        all
    }

    /// The stamp of a message, and whether the reference in it is valid.
    pub(super) fn opened(&self, delivered: Delivered<B>) -> (u64, Option<bool>) {
        let slot = delivered.message.handles.as_slice().first();
        let place = delivered.place;
        let lives = |strong: &Strong<B>| !strong.node().ended_before(place);
        let valid = slot.map(|slot| slot.as_ref().is_some_and(lives));
        (place.stamp().get(), valid)
    }

    /// Ends all; nothing must be left.
    pub(super) fn end(self: std::sync::Arc<Self>) -> History {
        let bench = std::sync::Arc::into_inner(self).expect("all threads are gone");
        (0..bench.world.peers.len()).for_each(|peer| bench.close(peer));
        let Self {
            world,
            softs,
            before,
        } = bench;
        drop(softs);
        let history = world.finish().unwrap();
        assert_eq!(alive(), before, "objects are left");
        history
    }
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Message((u64, Option<bool>)),
    End(usize),
    Counts(usize),
    Failed,
}
