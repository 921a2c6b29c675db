// SPDX-License-Identifier: GPL-2.0

//! One peer of a run: plays the steps of its program, one after the other.

mod reading;

use super::{
    program::{
        owner,
        Address,
        Step,
        NODES_EACH, //
    },
    record::{
        Did,
        Fate,
        Letter,
        Line,
        Recorder,
        Role,
        Span,
        Temper, //
    },
    world::{
        Bus,
        Owned,
        Parcel,
        World,
        PAYER, //
    },
};
use crate::core::{
    anchor::Anchor,
    call::Reply,
    destroy::Verdict,
    flush::flush,
    handle::{
        Soft,
        Strong, //
    },
    inbox::QueueId,
    message::{
        Kind,
        Message, //
    },
    node::Node,
    peer::Peer,
    personality::Via,
    quota::Amounts,
    sync::{
        Arc,
        Clock,
        KBox,
        KVec,
        GFP_KERNEL, //
    },
    transaction::{
        Draft,
        Filled,
        Multicast,
        Outcome,
        Policy, //
    },
};
use std::collections::VecDeque;

/// What was written and not sent.
enum Written<C: Clock> {
    One(usize, Filled<Bus<C>>),
    Many(Vec<usize>, Multicast<Bus<C>>, Policy),
}

/// A count of a handle that the peer has.
enum Held<C: Clock> {
    Strong(Strong<Bus<C>>),
    Soft(Soft<Bus<C>>),
}

/// The line on which a peer waits for answers; one call at a time.
struct Desk {
    number: usize,
    queue: QueueId,
    /// The call, and what it was made on behalf of.
    waits: Option<(usize, Option<usize>)>,
}

/// A peer.
pub(super) struct Actor<C: Clock> {
    world: std::sync::Arc<World<C>>,
    pub(super) number: usize,
    peer: Arc<Peer<Bus<C>>>,
    pub(super) alive: bool,
    desk: Option<Desk>,
    desks: usize,
    written: VecDeque<Written<C>>,
    /// Read and not freed.
    read: VecDeque<KBox<Message<Bus<C>>>>,
    /// Calls that it serves.
    serves: VecDeque<(usize, Reply<Bus<C>>)>,
    held: Vec<(usize, Held<C>)>,
}

impl<C: Clock> Actor<C> {
    /// Peer `number` of `world`, with its own references to its nodes.
    pub(super) fn new(world: &std::sync::Arc<World<C>>, number: usize, owned: Owned<C>) -> Self {
        let mut actor = Self {
            world: world.clone(),
            number,
            peer: world.peers[number].clone(),
            alive: true,
            desk: None,
            desks: 0,
            written: VecDeque::new(),
            read: VecDeque::new(),
            serves: VecDeque::new(),
            held: owned
                .into_iter()
                .map(|(id, soft)| (id, Held::Soft(soft)))
                .collect(),
        };
        actor.sit_down();
        actor
    }

    /// Plays a program to its end, or to the peer's.
    pub(super) fn play(&mut self, steps: Vec<Step>) {
        for step in steps {
            if self.alive {
                self.step(step);
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Write(address, update) => self.write(address, update),
            Step::WriteMany(addresses, policy) => self.write_many(&addresses, policy),
            Step::Commit => self.commit(),
            Step::Call(address, nested) => self.call(address, nested),
            Step::Answer(first, temper) => self.answer(first, temper),
            Step::Shirk(first) => drop(self.served(first)),
            Step::Read => drop(self.take(Line::Main)),
            Step::ReadDesk => drop(self.take_desk()),
            Step::Leave => {
                self.leave();
                self.sit_down();
            }
            Step::Free => drop(self.free()),
            Step::Hold(node) => self.hold(node),
            Step::Release(which) => self.release(which),
            Step::Destroy(chosen) => self.destroy(chosen),
            Step::Flush => self.end([true; NODES_EACH], true),
            Step::Kill => self.die(),
        }
    }

    fn anchor(&self) -> &Arc<Anchor<Bus<C>>> {
        self.peer.anchor()
    }

    fn recorder(&self) -> Recorder {
        self.world.recorder.clone()
    }

    fn did(&self, span: Span, did: Did) {
        self.recorder().did(self.number, span, did);
    }

    /// A reference to `node` for peer `holder`.
    fn link(&self, node: usize, holder: usize) -> (usize, Option<Strong<Bus<C>>>) {
        let target = &self.world.nodes[node];
        let holder_anchor = self.world.peers[holder].anchor();
        let (made, reference) =
            Recorder::timed(|| Node::strong_to(target, holder_anchor, Via::Any).ok());
        if reference.is_none() {
            // What is sent from now on says that the node has ended, so it has to come after that.
            self.anchor().follow(target);
        }
        let recorder = self.recorder();
        let id = recorder.reference(holder, node, true, made, reference.is_some());
        (id, reference)
    }

    fn hold(&mut self, node: usize) {
        if let (id, Some(strong)) = self.link(node, self.number) {
            self.held.push((id, Held::Strong(strong)));
        }
    }

    pub(super) fn release(&mut self, which: usize) {
        if !self.held.is_empty() {
            let (id, held) = self.held.swap_remove(which % self.held.len());
            self.drop_reference(id, held);
        }
    }

    fn drop_reference(&self, id: usize, held: Held<C>) {
        let (span, ()) = Recorder::timed(|| match held {
            Held::Strong(strong) => drop(strong),
            Held::Soft(soft) => drop(soft),
        });
        self.recorder().history().references[id].dropped = Some(span);
    }

    /// Completes a letter. Nobody has it yet.
    fn compose(&self, draft: Draft<Bus<C>>, letter: Letter) -> (usize, Filled<Bus<C>>) {
        let mut handles = KVec::new();
        let (receiver, temper, role) = (letter.to.0, letter.temper, letter.role);
        let carried = letter
            .carries
            .map(|(node, _)| (node, self.link(node, receiver)));
        let mut letter = letter;
        let mut parcel_carries = None;
        if let Some((node, (id, reference))) = carried {
            letter.carries = Some((node, Some(id)));
            parcel_carries = reference.is_some().then_some(id);
            handles.push(reference, GFP_KERNEL).unwrap();
        }
        let id = self.recorder().letter(letter);
        let parcel = Parcel {
            letter: id,
            from: self.number,
            role,
            temper,
            carries: parcel_carries,
            recorder: self.recorder(),
        };
        let amounts = Amounts {
            slices: 1,
            bytes: 8,
            ..Amounts::NONE
        };
        let mut reserved = draft.reserve(PAYER, amounts, 4).unwrap();
        let payload = (id as u32).to_ne_bytes();
        reserved.slice().write(0, &payload).unwrap();
        (id, reserved.fill(handles, KVec::new(), parcel).unwrap())
    }

    fn to_node(&self, address: Address, role: Role) -> Option<(usize, Filled<Bus<C>>)> {
        let draft = Draft::to(&self.world.nodes[address.node]).ok()?;
        let to = (owner(address.node), Line::Main);
        let letter = Letter {
            temper: address.temper,
            carries: address.carries.map(|node| (node, None)),
            ..Letter::new(self.number, to, Some(address.node), role)
        };
        Some(self.compose(draft, letter))
    }

    fn write(&mut self, address: Address, update: bool) {
        let role = if update { Role::Update } else { Role::Post };
        if let Some((id, filled)) = self.to_node(address, role) {
            self.written.push_back(Written::One(id, filled));
        }
    }

    fn write_many(&mut self, addresses: &[Address], policy: Policy) {
        let mut multicast = Multicast::new(addresses.len()).unwrap();
        let mut letters = Vec::new();
        for address in addresses {
            if let Some((id, filled)) = self.to_node(*address, Role::Post) {
                multicast.add(filled.into_part().unwrap()).unwrap();
                letters.push(id);
            }
        }
        if !letters.is_empty() {
            self.written
                .push_back(Written::Many(letters, multicast, policy));
        }
    }

    fn commit(&mut self) {
        match self.written.pop_front() {
            None => {}
            Some(Written::One(id, filled)) => drop(self.send(id, filled)),
            Some(Written::Many(letters, multicast, policy)) => {
                let recorder = self.recorder();
                let (span, committed) = Recorder::timed(|| {
                    multicast.commit(self.anchor(), policy, |index, outcome| {
                        recorder.fate(letters[index], fate(&outcome));
                    })
                });
                let policy = Some(policy);
                self.did(
                    span,
                    Did::Sent {
                        letters,
                        policy,
                        committed,
                    },
                );
            }
        }
    }

    /// Sends one letter; gives it back if it is refused.
    fn send(&self, id: usize, filled: Filled<Bus<C>>) -> Option<KBox<Message<Bus<C>>>> {
        let (span, outcome) = Recorder::timed(|| filled.commit(self.anchor()));
        self.recorder().fate(id, fate(&outcome));
        self.sent(id, span, fate(&outcome) != Fate::Refused);
        match outcome {
            Outcome::Refused(_, message) => Some(message),
            Outcome::Superseded((), old) => {
                self.recorder().history().letters[old.part.letter].superseded_by = Some(id);
                None
            }
            _ => None,
        }
    }

    fn sent(&self, id: usize, span: Span, committed: bool) {
        let did = Did::Sent {
            letters: vec![id],
            policy: None,
            committed,
        };
        self.did(span, did);
    }

    fn sit_down(&mut self) {
        let number = self.desks;
        self.desks += 1;
        let queue = self.anchor().add_queue(Default::default());
        self.desk = queue.ok().map(|queue| Desk {
            number,
            queue,
            waits: None,
        });
    }

    fn leave(&mut self) {
        if let Some(desk) = self.desk.take() {
            let (span, _) = Recorder::timed(|| self.anchor().remove_queue(desk.queue));
            let did = Did::Left { desk: desk.number };
            self.did(span, did);
        }
    }

    fn call(&mut self, address: Address, nested: bool) {
        let Some(desk) = self.desk.as_ref().filter(|desk| desk.waits.is_none()) else {
            return;
        };
        let (number, queue) = (desk.number, desk.queue);
        let parent = nested.then(|| self.serves.pop_back()).flatten();
        let (parent_id, parent) = parent.unzip();
        let role = Role::Call {
            desk: number,
            parent: parent_id,
        };
        let Some((id, filled)) = self.to_node(address, role) else {
            return self.resume(parent_id, parent);
        };
        let Ok(reply) = Reply::new(self.anchor(), queue, parent) else {
            unreachable!("there is memory");
        };
        if let Some(mut message) = self.send(id, filled.call(reply)) {
            let Kind::Call(reply) = std::mem::replace(&mut message.kind, Kind::Post) else {
                unreachable!("a call comes back as a call");
            };
            let parent = reply.cancel();
            assert_eq!(parent.is_some(), parent_id.is_some());
            return self.resume(parent_id, parent);
        }
        if let Some(desk) = &mut self.desk {
            desk.waits = Some((id, parent_id));
        }
    }

    /// Goes on serving a call.
    fn resume(&mut self, id: Option<usize>, reply: Option<Reply<Bus<C>>>) {
        if let Some(reply) = id.zip(reply) {
            self.serves.push_back(reply);
        }
    }

    fn served(&mut self, first: bool) -> Option<(usize, Reply<Bus<C>>)> {
        if first {
            self.serves.pop_front()
        } else {
            self.serves.pop_back()
        }
    }

    fn answer(&mut self, first: bool, temper: Temper) {
        let Some((call, reply)) = self.served(first) else {
            return;
        };
        // The duty goes with the reply: who finds nobody to answer drops it.
        let Ok(draft) = Draft::answer(&reply) else {
            return;
        };
        let letter = {
            let recorder = self.recorder();
            let history = recorder.history();
            let Role::Call { desk, .. } = history.letters[call].role else {
                unreachable!("a call is answered");
            };
            let to = (history.letters[call].from, Line::Desk(desk));
            Letter {
                temper,
                ..Letter::new(self.number, to, None, Role::Answer(call))
            }
        };
        let (id, filled) = self.compose(draft, letter);
        let (span, outcome) = Recorder::timed(|| filled.answer(reply, self.anchor()));
        let taken = outcome.is_ok();
        let told = if taken {
            Fate::Delivered
        } else {
            Fate::Refused
        };
        self.recorder().fate(id, told);
        self.sent(id, span, taken);
        if let Err((_, reply)) = outcome {
            self.serves.push_back((call, reply));
        }
    }

    fn destroy(&mut self, chosen: [bool; NODES_EACH]) {
        if chosen.contains(&true) {
            self.end(chosen, false);
        }
    }

    /// Ends some of its nodes.
    fn end(&mut self, chosen: [bool; NODES_EACH], flushed: bool) {
        let first = self.number * NODES_EACH;
        let nodes: Vec<usize> = (0..NODES_EACH)
            .filter(|n| chosen[*n])
            .map(|n| first + n)
            .collect();
        let verdict = Verdict::new().unwrap();
        let ends = nodes.iter().map(|node| &self.world.nodes[*node]);
        let (span, ()) = Recorder::timed(|| {
            if flushed {
                flush(self.anchor(), verdict, ends);
            } else {
                self.peer.destroy_all(verdict, ends);
            }
        });
        let did = Did::Ended {
            nodes,
            flush: flushed,
        };
        self.did(span, did);
    }

    /// Dies, whatever it is in the middle of.
    pub(super) fn die(&mut self) {
        if !self.alive {
            return;
        }
        self.alive = false;
        let (span, ()) = Recorder::timed(|| self.peer.shut());
        self.did(span, Did::Shut);
        self.end([true; NODES_EACH], false);
        self.written.clear();
        while self.free() {}
        self.serves.clear();
        while !self.held.is_empty() {
            self.release(0);
        }
    }

    /// Reads, frees and lets go unanswered all there is; says whether there was something.
    pub(super) fn settle(&mut self) -> bool {
        let mut busy = false;
        while self.alive && (self.take(Line::Main) || self.take_desk() || self.free()) {
            busy = true;
        }
        while self.served(true).is_some() {
            busy = true;
        }
        busy
    }

    /// Drops what it has written and never sent, and all its references.
    pub(super) fn let_go(&mut self) {
        self.written.clear();
        while !self.held.is_empty() {
            self.release(0);
        }
    }

    /// Whether a reader of this peer was not woken for what lies there.
    pub(super) fn oversleeps(&self) -> bool {
        let desk = self.desk.as_ref().map(|desk| desk.queue);
        let lines = [Some(QueueId::MAIN), desk];
        let mut lines = lines.into_iter().flatten();
        self.alive && lines.any(|queue| self.world.oversleeps(self.number, queue))
    }
}

fn fate<C: Clock>(outcome: &Outcome<Bus<C>>) -> Fate {
    match outcome {
        Outcome::Delivered(()) => Fate::Delivered,
        Outcome::Parked(()) | Outcome::Superseded(..) => Fate::Parked,
        Outcome::Refused(..) => Fate::Refused,
        Outcome::Cancelled => Fate::Cancelled,
    }
}
