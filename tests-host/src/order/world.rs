// SPDX-License-Identifier: GPL-2.0

//! Runs scripts on the engine: peers, their inboxes, and threads that send and read.
//!
//! The personality here does as little as one can: one queue for each peer, messages are numbers,
//! and a reader who finds nothing lies down until it is woken. It is generic over the clock.

use super::history::{
    judge,
    Did,
    Faults, //
};
use crate::core::{
    anchor::{
        Anchor,
        Taken, //
    },
    call::Reply,
    destroy::Verdict,
    handle::Soft,
    inbox::{
        Dispatch,
        QueueId, //
    },
    message::Message,
    node::Node,
    order::Stamp,
    peer::Peer,
    personality::{
        Cause,
        Counts,
        Notice,
        Personality,
        Route,
        To,
        Via, //
    },
    pool::Pool,
    quota::{
        Account,
        Amounts,
        Users, //
    },
    sync::{
        Acquire,
        Arc,
        Atomic,
        Clock,
        KVec,
        Release, //
    },
    transaction::{
        Draft,
        Filled,
        Multicast,
        Outcome,
        Policy, //
    },
};
use crate::host::{
    clock,
    thread,
    Pages, //
};
use std::{
    collections::BTreeMap,
    marker::PhantomData, //
};

/// The personality, over clock `C`.
pub(super) struct World<C>(PhantomData<C>);

/// Who waits for an inbox. Guarded by its lock.
#[derive(Default)]
pub(super) struct Waiter {
    asleep: bool,
    reader: Option<thread::Thread>,
    /// Refuses all that is sent.
    full: bool,
}

impl<C: Clock> Personality for World<C> {
    type Clock = C;
    type Pages = Pages;
    type File = ();
    type Peer = ();
    type Inbox = Waiter;
    type Queue = ();
    type Node = ();
    type NodeState = ();
    type Handle = ();
    type Message = u32;
    type Watch = ();
    type Code = ();
    type Why = ();
    type Note = ();
    type Wake = Option<thread::Thread>;

    const LINKS_DEAD: bool = false;
    const CALL_DEAD: () = ();

    fn route(view: &mut Dispatch<'_, Self>, _: &mut Message<Self>, _: Cause) -> Route<Self> {
        if view.part().full {
            return Route::Refuse(());
        }
        Route::Go {
            to: To::Queue(QueueId::MAIN),
            note: (),
        }
    }

    fn supersedes(_: &Message<Self>, _: &Message<Self>) -> bool {
        false
    }

    /// Relies on what the engine says: who made the queue readable has woken its reader.
    fn ready(
        view: &mut Dispatch<'_, Self>,
        _: QueueId,
        was_readable: bool,
    ) -> Option<thread::Thread> {
        let waiter = view.part();
        if was_readable || !std::mem::take(&mut waiter.asleep) {
            None
        } else {
            waiter.reader.clone()
        }
    }

    fn answered(_: &mut Dispatch<'_, Self>, _: QueueId, _: &mut Option<Reply<Self>>) {}

    fn wake(reader: Option<thread::Thread>) {
        if let Some(reader) = reader {
            reader.unpark();
        }
    }

    fn counts_changed((): &mut (), _: Counts, _: Via) -> Notice {
        Notice::Keep
    }

    fn watch_on_link() -> Option<()> {
        None
    }
}

/// One step of a thread. Not all forms have schedules that are fair enough for all steps.
#[cfg_attr(any(feature = "loom", feature = "shuttle"), allow(dead_code))]
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// As this peer, sends this message to the queues of these peers.
    Send(usize, u32, Vec<usize>),
    /// The same, but the last queue refuses, and nobody gets it.
    Abandon(usize, u32, Vec<usize>),
    /// This peer takes what is next, if there is something. One thread reads a queue.
    Recv(usize),
    /// This peer takes so many, and sleeps for each.
    RecvAll(usize, usize),
    /// This peer lies down for good, unless it has something to read.
    Sleep(usize),
    /// Gives a signal that the bus knows nothing of.
    Signal(usize),
    /// Looks whether a signal was given.
    Look(usize),
    /// Waits for a signal. For schedules that are fair.
    Await(usize),
}

/// What is to be played.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// The steps of each thread.
    pub(super) threads: Vec<Vec<Step>>,
    /// How many peers there are, each with a queue.
    pub(super) peers: usize,
    /// What a clock of its own ([`clock::Manual`]) says on each thread.
    pub(super) times: Vec<u64>,
    /// How far ahead of all clocks the inbox of peer 0 is.
    pub(super) ahead: Option<u64>,
}

/// Id of the message that puts an inbox ahead.
const AHEAD: u32 = u32::MAX;

/// A message to one or to many, complete but not sent.
enum Prepared<C: Clock> {
    Unicast(Filled<World<C>>),
    Multicast(Multicast<World<C>>),
}

struct Actor<C: Clock> {
    peer: Arc<Peer<World<C>>>,
    /// What others send to.
    node: Soft<World<C>>,
}

const PLENTY: Amounts = Amounts {
    slices: 1000,
    bytes: 8000,
    handles: 0,
    fds: 0,
};

/// The payer of everything.
const PAYER: u64 = 1;

impl<C: Clock> Actor<C> {
    fn new(users: &Arc<Users>, number: usize) -> Self {
        let seat = Users::enter(users, PAYER, PLENTY).unwrap();
        let account = Account::new(seat, PLENTY).unwrap();
        let peer = Peer::new(number as u64, account, (), Waiter::default(), ()).unwrap();
        assert!(peer.set_pool(Pool::new(Pages::new(4096)).unwrap()));
        let node = Node::create(&peer, (), ()).unwrap();
        Self { peer, node }
    }

    fn anchor(&self) -> &Anchor<World<C>> {
        self.peer.anchor()
    }

    /// Ends the peer. What is left over now is a leak, which loom finds.
    fn close(self) {
        let verdict = Verdict::new().unwrap();
        self.peer.shut();
        self.peer
            .destroy_all(verdict, [self.node.node()].into_iter());
    }

    fn message(&self, id: u32) -> Filled<World<C>> {
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

/// What a queue delivered: message, stamp, and whether its transaction goes on.
type Delivery = (u32, Stamp, bool);

/// A run.
struct Run<C: Clock> {
    actors: Vec<Actor<C>>,
    signals: Vec<Atomic<bool>>,
}

/// What one thread brings home.
struct Log {
    did: Vec<Did>,
    delivered: Vec<(usize, Delivery)>,
    torn: usize,
}

impl<C: Clock> Run<C> {
    fn new(script: &Script) -> Self {
        let users = Users::new().unwrap();
        let actors = (0..script.peers)
            .map(|number| Actor::new(&users, number))
            .collect();
        let signals = script.threads.iter().flatten();
        let count = signals
            .filter(|step| matches!(step, Step::Signal(_)))
            .count();
        Self {
            actors,
            signals: (0..count).map(|_| Atomic::new(false)).collect(),
        }
    }

    fn prepare(&self, step: &Step) -> Option<Prepared<C>> {
        let (Step::Send(_, id, to) | Step::Abandon(_, id, to)) = step else {
            return None;
        };
        if let ([to], Step::Send(..)) = (&to[..], step) {
            return Some(Prepared::Unicast(self.actors[*to].message(*id)));
        }
        let mut multicast = Multicast::new(to.len()).unwrap();
        for to in to {
            let part = self.actors[*to].message(*id).into_part().unwrap();
            multicast.add(part).unwrap();
        }
        Some(Prepared::Multicast(multicast))
    }

    fn play(&self, steps: Vec<(Step, Option<Prepared<C>>)>) -> Log {
        let mut log = Log {
            did: Vec::new(),
            delivered: Vec::new(),
            torn: 0,
        };
        for (step, prepared) in steps {
            self.step(step, prepared, &mut log);
        }
        log
    }

    fn step(&self, step: Step, prepared: Option<Prepared<C>>, log: &mut Log) {
        match (step, prepared) {
            (Step::Send(peer, id, _), Some(prepared)) => {
                self.send(peer, prepared);
                log.did.push(Did::Sent { id, peer });
            }
            (Step::Abandon(peer, _, to), Some(prepared)) => self.abandon(peer, &to, prepared),
            (Step::Recv(peer), _) => {
                self.recv(peer, log);
            }
            (Step::RecvAll(peer, count), _) => self.recv_all(peer, count, log),
            (Step::Sleep(peer), _) => {
                self.lie_down(peer);
            }
            (Step::Signal(signal), _) => {
                self.signals[signal].store(true, Release);
                log.did.push(Did::Signalled(signal));
            }
            (Step::Look(signal), _) => {
                if self.signals[signal].load(Acquire) {
                    log.did.push(Did::Saw(signal));
                }
            }
            (Step::Await(signal), _) => {
                while !self.signals[signal].load(Acquire) {
                    thread::yield_now();
                }
                log.did.push(Did::Saw(signal));
            }
            (Step::Send(..) | Step::Abandon(..), None) => unreachable!("sends are prepared"),
        }
    }

    fn send(&self, peer: usize, prepared: Prepared<C>) {
        let sender = self.actors[peer].anchor();
        match prepared {
            Prepared::Unicast(message) => {
                assert!(matches!(message.commit(sender), Outcome::Delivered(())));
            }
            Prepared::Multicast(multicast) => {
                assert!(multicast.commit(sender, Policy::All, |_, outcome| {
                    assert!(matches!(outcome, Outcome::Delivered(())));
                }));
            }
        }
    }

    /// Nobody else sends to the last queue while it refuses; the scripts see to that.
    fn abandon(&self, peer: usize, to: &[usize], prepared: Prepared<C>) {
        let last = self.actors[to[to.len() - 1]].anchor();
        last.with(|view| view.part().full = true);
        if let Prepared::Multicast(multicast) = prepared {
            let sender = self.actors[peer].anchor();
            assert!(!multicast.commit(sender, Policy::All, |_, outcome| {
                assert!(matches!(outcome, Outcome::Refused(..) | Outcome::Cancelled));
            }));
        }
        last.with(|view| view.part().full = false);
    }

    fn recv(&self, peer: usize, log: &mut Log) -> bool {
        let Some(Taken::Message(mut taken)) = self.actors[peer].anchor().take(QueueId::MAIN) else {
            return false;
        };
        let id = taken.message.part;
        let mut bytes = [0; 4];
        taken.message.slice.read(0, &mut bytes).unwrap();
        log.torn += usize::from(u32::from_ne_bytes(bytes) != id);
        log.delivered
            .push((peer, (id, taken.place.stamp(), taken.more)));
        log.did.push(Did::Got { id, peer });
        true
    }

    fn recv_all(&self, peer: usize, count: usize, log: &mut Log) {
        let reader = thread::current();
        let anchor = self.actors[peer].anchor();
        anchor.with(|view| view.part().reader = Some(reader));
        for _ in 0..count {
            while !self.recv(peer, log) {
                if self.lie_down(peer) {
                    while anchor.with(|view| view.part().asleep) {
                        thread::park();
                    }
                }
            }
        }
    }

    /// Goes to sleep unless there is something to read.
    fn lie_down(&self, peer: usize) -> bool {
        self.actors[peer].anchor().with(|view| {
            let asleep = !view.readable(QueueId::MAIN);
            view.part().asleep = asleep;
            asleep
        })
    }

    /// Who lies there although there is something to take, whatever the engine says of readiness.
    fn overslept(&self) -> usize {
        let lies = |actor: &&Actor<C>| {
            let asleep = actor.anchor().with(|view| view.part().asleep);
            asleep && actor.anchor().peek(QueueId::MAIN, |_| ()).is_some()
        };
        self.actors.iter().filter(lies).count()
    }

    /// Everybody who is gone has given everything back.
    fn is_balanced(&self) -> bool {
        self.actors.iter().all(|actor| {
            let used = actor.peer.pool().map_or(0, |pool| pool.used());
            used == 0 && actor.peer.account().report().used == Amounts::NONE
        })
    }
}

/// Deliveries whose stamp is below the one before, and transactions with two stamps, or torn apart.
fn misplaced(queues: &[Vec<Delivery>]) -> usize {
    let mut stamps = BTreeMap::new();
    let mut faults = 0;
    for queue in queues {
        for pair in queue.windows(2) {
            let ((before, earlier, more), (after, later, _)) = (pair[0], pair[1]);
            faults += usize::from(later < earlier || more != (before == after));
        }
        for (id, stamp, _) in queue {
            faults += usize::from(*stamps.entry(*id).or_insert(*stamp) != *stamp);
        }
    }
    faults
}

/// Runs the script once over clock `C` and says what went wrong.
pub(super) fn play<C: Clock>(script: &Script) -> Faults {
    clock::restart();
    let run = std::sync::Arc::new(Run::<C>::new(script));
    let mut sent: Vec<_> = script.threads.iter().flatten().filter_map(sends).collect();
    if let Some(time) = script.ahead {
        clock::set_here(time);
        let ahead = Step::Send(script.peers - 1, AHEAD, vec![0]);
        run.send(script.peers - 1, run.prepare(&ahead).unwrap());
        sent.extend(sends(&ahead));
        clock::set_here(0);
    }
    let mut threads = Vec::new();
    for (number, steps) in script.threads.iter().enumerate() {
        let steps: Vec<_> = steps
            .iter()
            .map(|step| (step.clone(), run.prepare(step)))
            .collect();
        let (run, time) = (run.clone(), script.times.get(number).copied().unwrap_or(0));
        threads.push(thread::spawn(move || {
            clock::set_here(time);
            run.play(steps)
        }));
    }
    let mut logs: Vec<Log> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    let overslept = run.overslept();
    let told = logs.iter().map(|log| log.did.clone()).collect::<Vec<_>>();
    let mut rest = run.play(Vec::new());
    (0..script.peers).for_each(|peer| while run.recv(peer, &mut rest) {});
    logs.push(rest);
    let mut queues = vec![Vec::new(); script.peers];
    for (peer, delivery) in logs.iter().flat_map(|log| &log.delivered) {
        queues[*peer].push(*delivery);
    }
    let orders: Vec<Vec<u32>> = queues
        .iter()
        .map(|q| q.iter().map(|d| d.0).collect())
        .collect();
    assert!(run.is_balanced());
    let run = std::sync::Arc::into_inner(run).expect("all threads are gone");
    run.actors.into_iter().for_each(Actor::close);
    Faults {
        misplaced: misplaced(&queues),
        torn: logs.iter().map(|log| log.torn).sum(),
        overslept,
        ..judge(&told, &orders, &sent)
    }
}

fn sends(step: &Step) -> Option<(u32, Vec<usize>)> {
    match step {
        Step::Send(_, id, to) => Some((*id, to.clone())),
        _ => None,
    }
}
