// SPDX-License-Identifier: GPL-2.0

//! Priorities that threads are lent for the messages that they serve, and take back.
//!
//! A message makes the thread that serves it as urgent as [`due`] says. The thread changes itself when
//! it reads ([`begin`]), gives back with its reply what it had before ([`end`]), and has what its proc
//! had at open before it waits for work of the proc ([`rest`]). What it had before nests by itself,
//! since it stays with each call that is served.
//!
//! A thread that is chosen while it sleeps is changed by the sender already ([`lend`] and
//! [`Loan::give`]), so that it does not wait for a processor as what it was. That happens after
//! unlock, when the thread may long have been woken by something else and be done with the message.
//! So every change is announced first: [`Goal`] says how the thread is to run, and a sender who finds
//! after its change that this is not the goal any more changes the thread again.
//!
//! Locks: [`lend`] is under the inbox lock and changes no task. A goal has one writer at a time: a
//! sleeping thread's are those who hold the inbox lock, an awake one's is the thread.

#![deny(unsafe_code)]

use super::{
    dispatch::Looper,
    envelope::Envelope,
    priority::{
        due,
        Level,
        Limits,
        Policy,
        Terms, //
    },
    thread::Caller,
    Binder, //
};
use crate::{
    core::{
        message::Message,
        sync::{
            Atomic,
            Full,
            Relaxed, //
        },
    },
    shim::{
        cred, task,
        task::{
            Limit,
            Scheduling, //
        },
    },
};
use kernel::{
    cred::Credential,
    sync::aref::ARef,
    task::Task, //
};

/// SCHED_DEADLINE: such a task is left alone.
const DEADLINE: u8 = 6;

impl Scheduling {
    /// What of it can be passed on.
    fn level(self) -> Option<Level> {
        let policy = Policy::of(self.policy.into())?;
        let value = if policy.is_real_time() {
            i8::try_from(self.real_time).ok()?
        } else {
            self.nice
        };
        Level::new(policy, value)
    }

    /// The same at another level.
    fn at(self, level: Level) -> Self {
        let (real_time, nice) = if level.is_real_time() {
            (level.value.unsigned_abs(), self.nice)
        } else {
            (0, level.value)
        };
        Self {
            policy: level.policy as u8,
            real_time,
            nice,
            ..self
        }
    }

    /// The same at another level, which is not the task's own: a policy is not for its children.
    fn lent(self, level: Level) -> Self {
        let to = self.at(level);
        Self {
            reset_on_fork: self.reset_on_fork || to.policy != self.policy || level.is_real_time(),
            ..to
        }
    }

    fn to_bytes(self) -> [u8; 4] {
        let [nice] = self.nice.to_ne_bytes();
        [
            self.policy,
            self.real_time,
            nice,
            u8::from(self.reset_on_fork),
        ]
    }

    fn from_bytes([policy, real_time, nice, reset_on_fork]: [u8; 4]) -> Self {
        Self {
            policy,
            real_time,
            nice: i8::from_ne_bytes([nice]),
            reset_on_fork: reset_on_fork != 0,
        }
    }
}

/// The level of the calling task, if it can be passed on.
pub(super) fn current_level() -> Option<Level> {
    Scheduling::of(kernel::current!()).level()
}

/// One goal among those of a thread: how it is to run, and the how manieth it is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark(u64);

impl Mark {
    fn scheduling(self) -> Scheduling {
        let [a, b, c, d, ..] = self.0.to_le_bytes();
        Scheduling::from_bytes([a, b, c, d])
    }

    fn next(self, to: Scheduling) -> Self {
        let [.., e, f, g, h] = self.0.to_le_bytes();
        let serial = u32::from_le_bytes([e, f, g, h]).wrapping_add(1);
        let [a, b, c, d] = to.to_bytes();
        let [e, f, g, h] = serial.to_le_bytes();
        Self(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// How a thread is to run, as was announced last.
pub(super) struct Goal(Atomic<u64>);

impl Goal {
    /// Of a thread that nobody has changed.
    pub(super) fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Announces a change. By who may write it; see the head of the file.
    fn turn(&self, to: Scheduling) -> Mark {
        let mark = Mark(self.0.load(Relaxed)).next(to);
        // The change itself must not be seen before.
        self.0.xchg(mark.0, Full);
        mark
    }

    /// Makes an announced change, and those that were announced meanwhile.
    fn reach(&self, task: &Task, mut mark: Mark) {
        loop {
            mark.scheduling().give(task);
            // Whoever announces another one after this look makes it after our change.
            match self.0.cmpxchg(mark.0, mark.0, Full) {
                Ok(_) => return,
                Err(newer) => mark = Mark(newer),
            }
        }
    }
}

/// A change of a sleeping thread that its sender has announced and has to make.
pub(super) struct Loan {
    task: ARef<Task>,
    mark: Mark,
}

impl Loan {
    /// Makes it. With no lock held.
    pub(super) fn give(self, goal: &Goal) {
        goal.reach(&self.task, self.mark);
    }
}

/// A task that sleeps in a read, as those see it who choose it.
pub(super) struct Asleep {
    task: ARef<Task>,
    exempt: bool,
    /// One change for each sleep, so that what the thread had is known.
    lent: bool,
}

impl Asleep {
    /// The calling task, which is about to sleep.
    pub(super) fn current(exemption: &mut Exemption) -> Self {
        Self {
            task: cred::current_task(),
            exempt: exemption.get(),
            lent: false,
        }
    }
}

/// Whether a thread need not care for its limits, asked once for each set of credentials.
pub(super) struct Exemption(Option<(ARef<Credential>, bool)>);

impl Exemption {
    /// Not asked yet.
    pub(super) fn new() -> Self {
        Self(None)
    }

    /// The calling task's, whose record this is.
    fn get(&mut self) -> bool {
        match &self.0 {
            Some((cred, exempt)) if task::has_cred(cred) => *exempt,
            _ => {
                let exempt = task::is_exempt();
                self.0 = Some((cred::current(), exempt));
                exempt
            }
        }
    }
}

/// What `task` may have of `level`.
fn allowed(task: &Task, level: Level, exempt: impl FnOnce() -> bool) -> Option<Level> {
    let limits = Limits {
        real_time: task::limit(task, Limit::RealTime),
        nice: task::limit(task, Limit::Nice),
    };
    match limits.allowed(level) {
        Some(within) if within == level => Some(level),
        _ if exempt() => Some(level),
        less => less,
    }
}

/// What the reader of `message`, a call or one-way, is due, if its proc had `own` at open.
fn due_for(message: &Message<Binder>, own: Level) -> Option<Level> {
    let flags = message.node.as_ref()?.part().flags;
    Some(due(message.part.level, own, Terms::of(flags)))
}

/// Makes a thread that sleeps and was chosen for `message` as urgent as that is. Under the inbox lock;
/// what there is to do after unlock is left in the thread's state.
pub(super) fn lend(looper: &mut Looper, own: Level, message: &mut Message<Binder>) {
    let Some(asleep) = &mut looper.asleep else {
        return;
    };
    let now = Scheduling::of(&asleep.task);
    if asleep.lent || now.policy == DEADLINE {
        return;
    }
    let level = due_for(message, own)
        .filter(|level| now.level() != Some(*level))
        .and_then(|level| allowed(&asleep.task, level, || asleep.exempt))
        .filter(|level| now.level() != Some(*level));
    if let (Some(level), Some(sleeper)) = (level, &looper.sleeper) {
        asleep.lent = true;
        message.part.saved = Some(now);
        looper.loan = Some(Loan {
            task: asleep.task.clone(),
            mark: sleeper.goal.turn(now.lent(level)),
        });
    }
}

/// Has the calling thread run as it is to while it serves `message`. Returns as what it ran before.
pub(super) fn begin(caller: &mut Caller<'_>, message: &mut Message<Binder>) -> Scheduling {
    let now = Scheduling::of(kernel::current!());
    let before = message.part.saved.take().unwrap_or(now);
    let Some(level) = due_for(message, caller.peer.part().level) else {
        return before;
    };
    if now.level() != Some(level) && now.policy != DEADLINE {
        let exemption = &mut caller.own.exemption;
        if let Some(level) = allowed(kernel::current!(), level, || exemption.get()) {
            change(caller, now.lent(level));
        }
    }
    before
}

/// As [`begin`], for a one-way, of which no reply tells the end.
pub(super) fn begin_one_way(caller: &mut Caller<'_>, message: &mut Message<Binder>) {
    let before = begin(caller, message);
    if Scheduling::of(kernel::current!()) != before {
        caller.own.before_one_way.get_or_insert(before);
    }
}

/// Has the calling thread run as before.
pub(super) fn end(caller: &Caller<'_>, before: Scheduling) {
    let now = Scheduling::of(kernel::current!());
    if now != before && now.policy != DEADLINE {
        change(caller, before);
    }
}

/// As [`end`], of a message that did not arrive, if a sender has changed the thread for it.
pub(super) fn cancel(caller: &Caller<'_>, part: &mut Envelope) {
    if let Some(before) = part.saved.take() {
        end(caller, before);
    }
}

/// Has the calling thread run as its proc did at open, before it waits for work of the proc.
///
/// If it may not, it runs as before it served a one-way.
pub(super) fn rest(caller: &mut Caller<'_>) {
    let now = Scheduling::of(kernel::current!());
    let own = caller.peer.part().level;
    let before = caller.own.before_one_way.take();
    if (before.is_none() && now.level() == Some(own)) || now.policy == DEADLINE {
        return;
    }
    let base = before.unwrap_or(now);
    let exemption = &mut caller.own.exemption;
    let to = match allowed(kernel::current!(), own, || exemption.get()) {
        Some(level) if level == own => base.at(own),
        _ => base,
    };
    if to != now {
        change(caller, to);
    }
}

/// Changes the calling thread, and announces it to those who may be about to change it, too.
fn change(caller: &Caller<'_>, to: Scheduling) {
    let goal = &caller.thread.sleeper.goal;
    let mark = goal.turn(to);
    goal.reach(kernel::current!(), mark);
}
