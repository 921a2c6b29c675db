// SPDX-License-Identifier: GPL-2.0

//! Random programs on the whole engine, against a sequential model of it.
//!
//! One thread plays sends, multicasts, receipts, references and destructions on a few peers. The
//! model keeps, for each peer, the list of what it has yet to read. Since nothing overlaps, the
//! order of the model is the order of the program, and the engine has no choice: every receipt
//! must be just the model's next entry. At the end everything must have been given back.

use crate::{
    core::{
        anchor::Taken,
        destroy::Verdict,
        handle::{
            Soft,
            Strong, //
        },
        node::Node,
        stats::each,
        sync::{
            Arc,
            KVec, //
        },
        transaction::{
            Multicast,
            Policy, //
        },
    },
    testbed::{
        balanced,
        carrying,
        lane,
        message,
        node,
        peer,
        strong,
        take,
        Client,
        T, //
    },
};
use proptest::prelude::*;
use std::collections::VecDeque;

const PEERS: usize = 3;
const NODES: usize = 6;

/// One step; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    /// From a peer, to a node, with a reference to another node or without.
    Send(usize, usize, Option<usize>),
    /// From a peer, to a set of nodes.
    Multicast(usize, u8),
    /// A peer reads one entry, and keeps the references in it or not.
    Receive(usize, bool),
    /// A peer gets a reference to a node.
    Hold(usize, usize),
    /// A reference is dropped.
    Drop(usize),
    /// A node is destroyed.
    Destroy(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..PEERS, 0..NODES, proptest::option::of(0..NODES))
            .prop_map(|(from, to, with)| Step::Send(from, to, with)),
        2 => (0..PEERS, any::<u8>()).prop_map(|(from, set)| Step::Multicast(from, set)),
        5 => (0..PEERS, any::<bool>()).prop_map(|(peer, keep)| Step::Receive(peer, keep)),
        3 => (0..PEERS, 0..NODES).prop_map(|(peer, node)| Step::Hold(peer, node)),
        3 => (0..100usize).prop_map(Step::Drop),
        1 => (0..NODES).prop_map(Step::Destroy),
    ]
}

/// What the model expects a peer to read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Item {
    /// Message `.0` to node `.1`.
    Message(u32, usize),
    /// Node `.0` was released.
    Counts(usize),
    /// Node `.0` was destroyed.
    Watch(usize),
}

/// The nodes: even ones take turns; node `n` belongs to peer `n % PEERS`.
struct World {
    peers: Vec<Client>,
    nodes: Vec<Soft<T>>,
    dead: [bool; NODES],
    /// The references that the program holds: holder, node, reference.
    held: Vec<(usize, usize, Strong<T>)>,
    /// References in unread messages: holder, node, message.
    flying: Vec<(usize, usize, u32)>,
    queues: Vec<VecDeque<Item>>,
    /// Messages parked at a node that takes turns. It is read and freed at once, so that a
    /// message is out exactly while it is unread.
    parked: Vec<VecDeque<u32>>,
    next: u32,
}

fn owner(node: usize) -> usize {
    node % PEERS
}

fn serial(node: usize) -> bool {
    node % 2 == 0
}

impl World {
    fn new() -> Self {
        let peers: Vec<_> = (0..PEERS).map(|id| peer(id as u64 + 1).unwrap()).collect();
        let make = |n: usize| {
            let owner = &peers[owner(n)];
            if serial(n) { lane(owner) } else { node(owner) }.unwrap()
        };
        let nodes = (0..NODES).map(make).collect();
        Self {
            nodes,
            dead: [false; NODES],
            held: Vec::new(),
            flying: Vec::new(),
            queues: vec![VecDeque::new(); PEERS],
            parked: vec![VecDeque::new(); NODES],
            next: 0,
            peers,
        }
    }

    fn node(&self, n: usize) -> &Arc<Node<T>> {
        self.nodes[n].node()
    }

    /// Strong references to a node, of one peer or of all.
    fn strongs(&self, node: usize, of: Option<usize>) -> usize {
        let fits = |holder: usize, n: usize| n == node && of.is_none_or(|of| of == holder);
        self.held.iter().filter(|held| fits(held.0, held.1)).count()
            + self
                .flying
                .iter()
                .filter(|held| fits(held.0, held.1))
                .count()
    }

    /// A reference to `node` is about to be made.
    fn gained(&mut self, node: usize) {
        if self.strongs(node, None) == 0 && !self.dead[node] {
            self.queues[owner(node)].retain(|item| *item != Item::Counts(node));
        }
    }

    /// A reference of `holder` to `node` is gone.
    fn lost(&mut self, holder: usize, node: usize) {
        if self.strongs(node, Some(holder)) == 0 && holder != owner(node) {
            // The handle is gone, and with it what was to be told to its holder.
            self.queues[holder].retain(|item| *item != Item::Watch(node));
        }
        let told = self.queues[owner(node)].contains(&Item::Counts(node));
        if self.strongs(node, None) == 0 && !self.dead[node] && !told {
            self.queues[owner(node)].push_back(Item::Counts(node));
        }
    }

    /// A handle that exists can be taken again after the end; a new one can't be made.
    fn reachable(&self, node: usize, peer: usize) -> bool {
        !self.dead[node] || peer == owner(node) || self.strongs(node, Some(peer)) > 0
    }

    fn out(&self, node: usize) -> bool {
        let to = |item: &Item| matches!(item, Item::Message(_, n) if *n == node);
        self.queues[owner(node)].iter().any(to)
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Send(from, to, with) => self.send(from, to, with),
            Step::Multicast(from, set) => self.multicast(from, set),
            Step::Receive(peer, keep) => {
                self.receive(peer, keep);
            }
            Step::Hold(peer, node) => self.hold(peer, node),
            Step::Drop(n) => {
                if !self.held.is_empty() {
                    let (holder, node, reference) = self.held.swap_remove(n % self.held.len());
                    drop(reference);
                    self.lost(holder, node);
                }
            }
            Step::Destroy(node) => self.destroy(node),
        }
    }

    fn send(&mut self, from: usize, to: usize, with: Option<usize>) {
        let number = self.next;
        let receiver = owner(to);
        let mut handles = KVec::new();
        let mut carried = None;
        if let (Some(n), false) = (with, self.dead[to]) {
            self.gained(n);
            let reference = strong(self.node(n), &self.peers[receiver]).ok();
            assert_eq!(reference.is_some(), self.reachable(n, receiver));
            carried = reference.is_some().then_some(n);
            handles
                .push(reference, crate::core::sync::GFP_KERNEL)
                .unwrap();
        }
        if let Some(n) = carried {
            self.flying.push((receiver, n, number));
        }
        let Ok(filled) = carrying(self.node(to), number, handles) else {
            self.unfly(number);
            // Full, or dead.
            return;
        };
        assert!(!self.dead[to]);
        drop(filled.commit(self.peers[from].anchor()));
        self.next += 1;
        if serial(to) && self.out(to) {
            self.parked[to].push_back(number);
        } else {
            self.queues[receiver].push_back(Item::Message(number, to));
        }
    }

    /// The references that message `number` carried are gone.
    fn unfly(&mut self, number: u32) {
        while let Some(at) = self.flying.iter().position(|f| f.2 == number) {
            let (holder, node, _) = self.flying.swap_remove(at);
            self.lost(holder, node);
        }
    }

    fn multicast(&mut self, from: usize, set: u8) {
        // Lanes take unicasts only.
        let chosen = |n: &usize| set & (1 << n) != 0 && !serial(*n) && !self.dead[*n];
        let nodes: Vec<usize> = (0..NODES).filter(chosen).collect();
        let mut multicast = Multicast::new(nodes.len()).unwrap();
        for n in &nodes {
            match message(self.node(*n), self.next) {
                Ok(filled) => multicast.add(filled.into_part().unwrap()).unwrap(),
                Err(_) => return,
            }
        }
        let all = multicast.commit(self.peers[from].anchor(), Policy::All, |_, _| ());
        assert_eq!(all, !nodes.is_empty());
        for n in nodes {
            self.queues[owner(n)].push_back(Item::Message(self.next, n));
        }
        self.next += 1;
    }

    /// Reads one entry; says whether there was one.
    fn receive(&mut self, peer: usize, keep: bool) -> bool {
        let expected = self.queues[peer].pop_front();
        let got = match take(&self.peers[peer]) {
            None => None,
            Some(Taken::Counts(node)) => Some(Item::Counts(self.number(&node))),
            Some(Taken::Watch(_, node, _)) => Some(Item::Watch(self.number(&node))),
            Some(Taken::Message(delivered)) => {
                let to = delivered
                    .message
                    .node
                    .as_ref()
                    .map(|node| self.number(node));
                let number = delivered.message.part;
                let item = Item::Message(number, to.unwrap());
                assert_eq!(Some(item), expected);
                self.opened(peer, number, to.unwrap(), delivered.message, keep);
                return true;
            }
            Some(Taken::Code(_) | Taken::Failed(..)) => panic!("nobody sent a code"),
        };
        assert_eq!(got, expected);
        got.is_some()
    }

    fn opened(
        &mut self,
        peer: usize,
        number: u32,
        to: usize,
        mut message: crate::core::sync::KBox<crate::core::message::Message<T>>,
        keep: bool,
    ) {
        let mut kept = Vec::new();
        if keep {
            while let Some(slot) = message.handles.pop() {
                kept.extend(slot);
            }
        }
        // The engine lets the next one out before it drops the references.
        if serial(to) {
            if let Some(next) = self.parked[to].pop_front() {
                self.queues[peer].push_back(Item::Message(next, to));
            }
        }
        drop(message);
        for reference in kept {
            let node = self.number(reference.node());
            let at = self.flying.iter().position(|f| *f == (peer, node, number));
            self.flying.swap_remove(at.unwrap());
            self.held.push((peer, node, reference));
        }
        self.unfly(number);
    }

    fn number(&self, node: &Arc<Node<T>>) -> usize {
        (0..NODES)
            .find(|n| Arc::ptr_eq(self.node(*n), node))
            .unwrap()
    }

    fn hold(&mut self, peer: usize, node: usize) {
        self.gained(node);
        let reference = strong(self.node(node), &self.peers[peer]);
        assert_eq!(reference.is_ok(), self.reachable(node, peer));
        if let Ok(reference) = reference {
            self.held.push((peer, node, reference));
        }
    }

    fn destroy(&mut self, node: usize) {
        let peer = &self.peers[owner(node)];
        peer.destroy_all(Verdict::new().unwrap(), [self.node(node)].into_iter());
        if self.dead[node] {
            return;
        }
        self.queues[owner(node)].retain(|item| *item != Item::Counts(node));
        self.dead[node] = true;
        for holder in 0..PEERS {
            if holder == owner(node) || self.strongs(node, Some(holder)) > 0 {
                self.queues[holder].push_back(Item::Watch(node));
            }
        }
        for number in std::mem::take(&mut self.parked[node]) {
            self.unfly(number);
        }
    }

    /// Reads and drops all, and checks that nothing is left.
    fn finish(mut self) {
        for peer in 0..PEERS {
            while self.receive(peer, false) {}
        }
        while let Some((holder, node, reference)) = self.held.pop() {
            drop(reference);
            self.lost(holder, node);
        }
        for peer in 0..PEERS {
            while self.receive(peer, false) {}
            assert!(balanced(&self.peers[peer]));
        }
        drop(self);
        each(&mut |name, count| assert!(!name.ends_with("-alive") || count == 0, "{name} {count}"));
    }
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn random_programs_read_what_the_model_says(
        steps in proptest::collection::vec(step(), 1..120)
    ) {
        let mut world = World::new();
        for step in &steps {
            world.play(step);
        }
        world.finish();
    }
}
