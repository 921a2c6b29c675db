// SPDX-License-Identifier: GPL-2.0

//! Runs scripts on the engine: peers, their inboxes, and threads that send and read.
//!
//! The personality here does as little as one can: one queue for each peer, messages are numbers,
//! and a reader who finds nothing lies down until it is woken. It is generic over the clock.

use super::{
    actor::{
        Actor,
        Prepared, //
    },
    deliveries::{
        in_order,
        misplaced,
        seen,
        told,
        Delivery,
        Seen, //
    },
    history::{
        judge_all,
        Did,
        Faults, //
    }, //
};
use crate::core::{
    anchor::Taken,
    call::Reply,
    inbox::{
        Dispatch,
        QueueId, //
    },
    message::Message,
    node::Node,
    personality::{
        Cause,
        Counts,
        Notice,
        Personality,
        Route,
        To,
        Via,
        When, //
    },
    quota::{
        Amounts,
        Users, //
    },
    stats,
    sync::{
        Acquire,
        Atomic,
        Clock,
        Release, //
    },
    transaction::{
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
    marker::PhantomData,
    sync::atomic::{
        AtomicU32,
        Ordering, //
    }, //
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
    /// Lets others run first whenever something is sent, so that sends take long.
    slow: bool,
}

impl<C: Clock> Personality for World<C> {
    type Clock = C;
    type Pages = Pages;
    type File = ();
    type Peer = ();
    type Inbox = Waiter;
    type Queue = ();
    type Node = ();
    /// What was pushed and not reported: see [`Step::Notify`].
    type NodeState = Vec<u32>;
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
        if view.part().slow {
            thread::yield_now();
        }
        Route::Go {
            to: To::Queue(QueueId::MAIN),
            note: (),
        }
    }

    fn supersedes(_: &Message<Self>, _: &Message<Self>) -> bool {
        false
    }

    fn ready(view: &mut Dispatch<'_, Self>, _: QueueId) -> Option<thread::Thread> {
        let waiter = view.part();
        if std::mem::take(&mut waiter.asleep) {
            waiter.reader.clone()
        } else {
            None
        }
    }

    fn answered(_: &mut Dispatch<'_, Self>, _: QueueId, _: &mut Option<Reply<Self>>) {}

    fn wake(reader: Option<thread::Thread>) {
        if let Some(reader) = reader {
            reader.unpark();
        }
    }

    fn counts_changed(_: &mut Vec<u32>, _: Counts, _: Via) -> Notice {
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
    /// Queues the notice about this peer's node, as event `id`; if it waits already, with `true`, at a
    /// new place.
    Notify(usize, u32, bool),
    /// This peer takes what is next, if there is something. One thread reads a queue.
    Recv(usize),
    /// The same, for a queue that several threads read.
    Share(usize),
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
    /// Whether sends dawdle, on the machine's own threads.
    pub(super) slow: bool,
}

/// Id of the message that puts an inbox ahead.
const AHEAD: u32 = u32::MAX;
/// Ids from here on are of notices that were read.
const NOTICES: u32 = 1 << 30;

/// A run.
struct Run<C: Clock> {
    actors: Vec<Actor<C>>,
    signals: Vec<Atomic<bool>>,
    /// Counts what is read; by std, so that the model checkers do not see it. A queue's numbers rise
    /// under its lock, or with its only reader.
    turns: AtomicU32,
}

/// What one thread brings home.
struct Log {
    did: Vec<Did>,
    delivered: Vec<(usize, u32, Delivery)>,
    torn: usize,
    pushes: usize,
}

impl<C: Clock> Run<C> {
    fn new(script: &Script) -> Self {
        let users = Users::new().unwrap();
        let actors: Vec<Actor<C>> = (0..script.peers)
            .map(|number| Actor::new(&users, number))
            .collect();
        for actor in actors.iter().filter(|_| script.slow) {
            actor.anchor().with(|view| view.part().slow = true);
        }
        let signals = script.threads.iter().flatten();
        let count = signals
            .filter(|step| matches!(step, Step::Signal(_)))
            .count();
        Self {
            actors,
            signals: (0..count).map(|_| Atomic::new(false)).collect(),
            turns: AtomicU32::new(0),
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
            pushes: 0,
        };
        let before = pushes();
        for (step, prepared) in steps {
            self.step(step, prepared, &mut log);
        }
        log.pushes = pushes() - before;
        log
    }

    fn step(&self, step: Step, prepared: Option<Prepared<C>>, log: &mut Log) {
        match (step, prepared) {
            (Step::Send(peer, id, _), Some(prepared)) => {
                self.send(peer, prepared);
                log.did.push(Did::Sent { id, peer });
            }
            (Step::Abandon(peer, _, to), Some(prepared)) => self.abandon(peer, &to, prepared),
            (Step::Notify(peer, id, moving), _) => {
                self.notify(peer, id, moving);
                log.did.push(Did::Notified(id));
            }
            (Step::Recv(peer), _) => {
                self.recv(peer, log);
            }
            (Step::Share(peer), _) => self.share(peer, log),
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

    fn notify(&self, peer: usize, id: u32, moving: bool) {
        Node::update(self.actors[peer].node.node(), |pushed, _| {
            pushed.push(id);
            let notice = Notice::Push {
                queue: QueueId::MAIN,
                when: When::Now,
                moving,
            };
            ((), notice)
        });
    }

    fn recv(&self, peer: usize, log: &mut Log) -> bool {
        let taken = self.actors[peer].anchor().take(QueueId::MAIN);
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        taken.is_some_and(|taken| self.got(peer, turn, taken, log))
    }

    fn share(&self, peer: usize, log: &mut Log) {
        let mut turn = 0;
        let taken = self.actors[peer].anchor().take_if(QueueId::MAIN, |_| {
            turn = self.turns.fetch_add(1, Ordering::Relaxed);
            true
        });
        if let Some(taken) = taken {
            self.got(peer, turn, taken, log);
        }
    }

    /// Writes down what was taken.
    fn got(&self, peer: usize, turn: u32, taken: Taken<World<C>>, log: &mut Log) -> bool {
        let delivery = match taken {
            Taken::Message(mut taken) => {
                let id = taken.message.part;
                let mut bytes = [0; 4];
                taken.message.slice.read(0, &mut bytes).unwrap();
                log.torn += usize::from(u32::from_ne_bytes(bytes) != id);
                Delivery {
                    id,
                    stamp: Some(taken.place.stamp()),
                    more: taken.more,
                    reports: Vec::new(),
                }
            }
            Taken::Counts(node) => Delivery {
                id: NOTICES + turn,
                stamp: None,
                more: false,
                reports: node.state(|pushed, _| std::mem::take(pushed)),
            },
            _ => return false,
        };
        let id = delivery.id;
        log.delivered.push((peer, turn, delivery));
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

/// How many entries this thread has pushed; under a model checker, all threads.
fn pushes() -> usize {
    let mut pushes = 0;
    stats::each(&mut |name, number| {
        if name == "pushes" {
            pushes = number as usize;
        }
    });
    pushes
}

/// Runs the script once over clock `C` and says what went wrong, and what happened.
pub(super) fn play_and_look<C: Clock>(script: &Script) -> (Faults, Seen) {
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
    let before = pushes();
    let mut logs = spawn(&run, script);
    let overslept = run.overslept();
    let did = logs.iter().map(|log| log.did.clone()).collect::<Vec<_>>();
    let mut rest = run.play(Vec::new());
    (0..script.peers).for_each(|peer| while run.recv(peer, &mut rest) {});
    logs.push(rest);
    // On the machine's own threads each counts for itself, and what this one did is not in its log.
    let pushed = if cfg!(any(feature = "loom", feature = "shuttle")) {
        pushes() - before
    } else {
        logs.iter().map(|log| log.pushes).sum::<usize>() + pushes() - before
    };
    let queues = in_order(logs.iter().flat_map(|log| &log.delivered), script.peers);
    let orders: Vec<Vec<u32>> = queues
        .iter()
        .map(|queue| queue.iter().map(|delivery| delivery.id).collect())
        .collect();
    assert!(run.is_balanced());
    let run = std::sync::Arc::into_inner(run).expect("all threads are gone");
    run.actors.into_iter().for_each(Actor::close);
    let faults = Faults {
        misplaced: misplaced(&queues),
        torn: logs.iter().map(|log| log.torn).sum(),
        overslept,
        ..judge_all(&did, &orders, &sent, &told(script, &queues))
    };
    (faults, seen(&queues, &sent, pushed))
}

/// Runs the script once over clock `C` and says what went wrong.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub(super) fn play<C: Clock>(script: &Script) -> Faults {
    play_and_look::<C>(script).0
}

/// Plays all threads to their end.
fn spawn<C: Clock>(run: &std::sync::Arc<Run<C>>, script: &Script) -> Vec<Log> {
    let prepare = |step: &Step| (step.clone(), run.prepare(step));
    // All before the first thread starts: it takes so long that threads would run one by one.
    let prepared: Vec<Vec<_>> = script
        .threads
        .iter()
        .map(|steps| steps.iter().map(prepare).collect())
        .collect();
    let mut threads = Vec::new();
    for (number, steps) in prepared.into_iter().enumerate() {
        let (run, time) = (run.clone(), script.times.get(number).copied().unwrap_or(0));
        threads.push(thread::spawn(move || {
            clock::set_here(time);
            run.play(steps)
        }));
    }
    let joined = threads.into_iter().map(|thread| thread.join().unwrap());
    joined.collect()
}

fn sends(step: &Step) -> Option<(u32, Vec<usize>)> {
    match step {
        Step::Send(_, id, to) => Some((*id, to.clone())),
        _ => None,
    }
}
