// SPDX-License-Identifier: GPL-2.0

//! Peers of a run, and the messages that they are sent.

use super::world::{
    Waiter,
    World, //
};
use crate::core::{
    anchor::Anchor,
    destroy::Verdict,
    handle::Soft,
    node::Node,
    peer::Peer,
    pool::Pool,
    quota::{
        Account,
        Amounts,
        Principal,
        Users, //
    },
    sync::{
        Arc,
        Clock,
        KVec, //
    },
    transaction::{
        Draft,
        Filled,
        Multicast, //
    },
};
use crate::host::Pages;

/// A message to one or to many, complete but not sent.
pub(super) enum Prepared<C: Clock> {
    Unicast(Filled<World<C>>),
    Multicast(Multicast<World<C>>),
}

/// A peer with one node.
pub(super) struct Actor<C: Clock> {
    pub(super) peer: Arc<Peer<World<C>>>,
    /// What others send to.
    pub(super) node: Soft<World<C>>,
}

const PLENTY: Amounts = Amounts {
    slices: 1000,
    bytes: 8000,
    handles: 0,
    fds: 0,
};

/// The payer of everything.
const PAYER: Principal = Principal::user(1);

impl<C: Clock> Actor<C> {
    /// Makes it.
    pub(super) fn new(users: &Arc<Users>, number: usize) -> Self {
        let seat = Users::enter(users, [PAYER], PLENTY).unwrap();
        let account = Account::new(seat, PLENTY).unwrap();
        let peer = Peer::new(number as u64, account, (), Waiter::default(), ()).unwrap();
        assert!(peer.set_pool(Pool::new(Pages::new(4096)).unwrap()));
        let node = Node::create(&peer, (), Vec::new()).unwrap();
        Self { peer, node }
    }

    /// What others hold of it.
    pub(super) fn anchor(&self) -> &Anchor<World<C>> {
        self.peer.anchor()
    }

    /// Ends the peer. What is left over now is a leak, which loom finds.
    pub(super) fn close(self) {
        let verdict = Verdict::new().unwrap();
        self.peer.shut();
        self.peer
            .destroy_all(verdict, [self.node.node()].into_iter());
    }

    /// A message to it, whose payload is its number.
    pub(super) fn message(&self, id: u32) -> Filled<World<C>> {
        let amounts = Amounts {
            slices: 1,
            bytes: 8,
            ..Amounts::NONE
        };
        let draft = Draft::to(self.node.node()).unwrap();
        let mut reserved = draft.reserve(PAYER, amounts, 4).unwrap();
        reserved.slice().write(0, &id.to_ne_bytes()).unwrap();
        reserved.fill(KVec::new(), KVec::new(), id).unwrap()
    }
}
