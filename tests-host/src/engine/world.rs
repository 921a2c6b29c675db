// SPDX-License-Identifier: GPL-2.0

//! A bus with a few peers, and a personality that does what letters ask for and writes it down.

use super::{
    program::{
        owner,
        takes_turns,
        NODES_EACH, //
    },
    record::{
        History,
        NodeFact,
        Quiet,
        Recorder,
        Role,
        Temper, //
    },
};
use crate::{
    core::{
        call::Reply,
        handle::Soft,
        inbox::{
            Dispatch,
            QueueId, //
        },
        message::{
            Kind,
            Message, //
        },
        node::Node,
        peer::Peer,
        personality::{
            Cause,
            Counts,
            Edge,
            Notice,
            Personality,
            Route,
            To,
            Via,
            When, //
        },
        pool::Pool,
        quota::{
            Account,
            Amounts,
            Principal,
            Users,
            UNLIMITED, //
        },
        stats::each,
        sync::{
            Arc,
            Clock, //
        },
    },
    host::Pages, //
};
use std::{
    any::TypeId,
    marker::PhantomData, //
};

/// The personality, over clock `C`.
pub(super) struct Bus<C>(PhantomData<C>);

/// The personality's part of a message.
pub(super) struct Parcel {
    pub(super) letter: usize,
    pub(super) from: usize,
    pub(super) role: Role,
    pub(super) temper: Temper,
    /// The reference that it carries, until somebody takes it out.
    pub(super) carries: Option<usize>,
    pub(super) recorder: Recorder,
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.recorder.gone(self.letter, self.carries);
    }
}

/// The personality's part of a node.
pub(super) struct Plate {
    number: usize,
    /// Where its owner is told that nobody holds it.
    pub(super) told_at: QueueId,
    recorder: Recorder,
}

/// The personality's part of a queue: its reader found nothing, and waits to be woken.
#[derive(Default)]
pub(super) struct Bed {
    asleep: bool,
}

impl Plate {
    /// That of node `number`.
    pub(super) fn new(number: usize, recorder: &Recorder) -> Self {
        Self {
            number,
            told_at: QueueId::MAIN,
            recorder: recorder.clone(),
        }
    }
}

impl<C: Clock> Personality for Bus<C> {
    type Clock = C;
    type Pages = Pages;
    type File = ();
    type Peer = ();
    type Inbox = ();
    type Queue = Bed;
    /// Its number.
    type Node = usize;
    type NodeState = Plate;
    type Handle = ();
    type Message = Parcel;
    type Watch = ();
    type Code = ();
    type Why = ();
    type Note = ();
    type Wake = ();

    const LINKS_DEAD: bool = false;
    const CALL_DEAD: () = ();

    fn route(_: &mut Dispatch<'_, Self>, message: &mut Message<Self>, cause: Cause) -> Route<Self> {
        let parcel = &message.part;
        let refused = match cause {
            Cause::New => Temper::Refused,
            Cause::Released => Temper::RefusedLate,
        };
        let taken = parcel.temper != refused;
        parcel.recorder.routed(parcel.letter, cause, taken);
        if !taken {
            return Route::Refuse(());
        }
        let queue = message.to.unwrap_or(QueueId::MAIN);
        let turns = message
            .node
            .as_ref()
            .is_some_and(|n| takes_turns(*n.part()));
        let to = match (&message.kind, parcel.role) {
            (Kind::Post, Role::Post) if turns => To::Lane(queue),
            (Kind::Post, Role::Update) if turns => To::Update(queue),
            _ => To::Queue(queue),
        };
        Route::Go { to, note: () }
    }

    /// An update takes the place of what the same peer has sent there before.
    fn supersedes(new: &Message<Self>, parked: &Message<Self>) -> bool {
        new.part.from == parked.part.from
    }

    fn ready(view: &mut Dispatch<'_, Self>, queue: QueueId) {
        if let Some(bed) = view.queue(queue) {
            bed.asleep = false;
        }
    }

    fn answered(_: &mut Dispatch<'_, Self>, _: QueueId, _: &mut Option<Reply<Self>>) {}

    fn wake((): ()) {}

    /// Its owner is told that nobody holds a node any more, unless somebody does again.
    fn counts_changed(plate: &mut Plate, now: Counts, _: Via) -> Notice {
        plate.recorder.edge(plate.number, now.edge);
        match now.edge {
            Edge::LastStrong | Edge::LastHeld => Notice::Push {
                queue: plate.told_at,
                when: When::Now,
                moving: false,
            },
            Edge::FirstStrong => Notice::Withdraw,
            Edge::FirstHeld | Edge::None => Notice::Keep,
        }
    }

    fn watch_on_link() -> Option<()> {
        Some(())
    }
}

/// Who pays for everything.
pub(super) const PAYER: Principal = Principal::user(1);

/// More than a program can use: limits are the business of other suites.
const PLENTY: Amounts = Amounts {
    slices: UNLIMITED,
    bytes: UNLIMITED,
    handles: 0,
    fds: 0,
};

/// All peers and nodes of a run.
pub(super) struct World<C: Clock> {
    pub(super) peers: Vec<Arc<Peer<Bus<C>>>>,
    pub(super) nodes: Vec<Arc<Node<Bus<C>>>>,
    pub(super) recorder: Recorder,
}

/// The references that owners have to their new nodes.
pub(super) type Owned<C> = Vec<(usize, Soft<Bus<C>>)>;

impl<C: Clock> World<C> {
    /// Makes so many peers and their nodes.
    pub(super) fn new(count: usize) -> (Self, Vec<Owned<C>>) {
        let users = Users::new().unwrap();
        let recorder = Recorder::default();
        let peers: Vec<_> = (0..count).map(|id| Self::peer(&users, id)).collect();
        let mut owned: Vec<Owned<C>> = (0..count).map(|_| Vec::new()).collect();
        let mut nodes = Vec::new();
        for number in 0..count * NODES_EACH {
            let plate = Plate::new(number, &recorder);
            let owner = owner(number);
            let (made, soft) =
                Recorder::timed(|| Node::create(&peers[owner], number, plate).unwrap());
            nodes.push(soft.node().clone());
            owned[owner].push((recorder.reference(owner, number, false, made, true), soft));
        }
        let fact = |number| NodeFact {
            owner: owner(number),
            lane: takes_turns(number),
            death: None,
        };
        {
            let mut history = recorder.history();
            history.timed = TypeId::of::<C>() == TypeId::of::<crate::host::clock::Fine>();
            history.peers = count;
            history.nodes = (0..count * NODES_EACH).map(fact).collect();
        }
        let world = Self {
            peers,
            nodes,
            recorder,
        };
        (world, owned)
    }

    /// Makes a peer.
    pub(super) fn peer(users: &Arc<Users>, id: usize) -> Arc<Peer<Bus<C>>> {
        let seat = Users::enter(users, [PAYER], PLENTY).unwrap();
        let account = Account::new(seat, PLENTY).unwrap();
        let peer = Peer::new(id as u64, account, (), (), Bed::default()).unwrap();
        assert!(peer.set_pool(Pool::new(Pages::new(1 << 15)).unwrap()));
        peer
    }

    /// Notes how everything is held, while nobody does anything.
    pub(super) fn quiet(&self) {
        let strong = self.nodes.iter().map(|node| node.state(|_, c| c.strong));
        let quiet = Quiet {
            strong: strong.collect(),
            tick: Recorder::tick(),
        };
        self.recorder.history().quiet.push(quiet);
    }

    /// Goes to bed, unless there is something to read.
    pub(super) fn lie_down(&self, peer: usize, queue: QueueId) {
        self.peers[peer].anchor().with(|view| {
            let asleep = !view.readable(queue);
            if let Some(bed) = view.queue(queue) {
                bed.asleep = asleep;
            }
        });
    }

    /// Whether the reader lies there although there is something to take.
    pub(super) fn oversleeps(&self, peer: usize, queue: QueueId) -> bool {
        let anchor = self.peers[peer].anchor();
        let asleep = anchor.with(|view| view.queue(queue).is_some_and(|bed| bed.asleep));
        asleep && anchor.peek(queue, |_| ()).is_some()
    }

    /// Ends the run: says what happened, once everybody has given back everything.
    pub(super) fn finish(self) -> Result<History, String> {
        for (number, peer) in self.peers.iter().enumerate() {
            let used = peer.pool().map_or(0, |pool| pool.used());
            let charged = peer.account().report().used;
            if (used, charged) != (0, Amounts::NONE) {
                return Err(format!(
                    "peer {number} is left with {used} B and {charged:?}"
                ));
            }
        }
        let mut history = std::mem::take(&mut *self.recorder.history());
        for (fact, node) in history.nodes.iter_mut().zip(&self.nodes) {
            fact.death = node.death().map(|stamp| stamp.get());
        }
        Ok(history)
    }
}

/// The engine's number of this name.
pub(super) fn count(wanted: &str) -> u64 {
    let mut found = None;
    each(&mut |name, count| {
        if name == wanted {
            found = Some(count);
        }
    });
    found.expect("the engine counts this")
}

/// How many objects of the engine there are.
pub(super) fn alive() -> u64 {
    let mut sum = 0;
    each(&mut |name, count| {
        if name.ends_with("-alive") {
            sum += count;
        }
    });
    sum
}
