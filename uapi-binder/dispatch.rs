// SPDX-License-Identifier: GPL-2.0

//! Dispatch: which thread of a proc gets what, decided under the inbox lock of that proc.
//!
//! [`Proc`] and [`Looper`] are what the engine keeps for us in an inbox and in each of its queues.
//! The main queue of a proc is its todo list for any thread; every thread has a queue of its own.
//! Threads that wait for proc work stand on a LIFO list, which is made of the queues themselves.
//! `route` looks at its head, `ready` takes a thread off it, so that a message that is parked in a
//! lane costs no waiter his place.
//!
//! Everything here runs under the inbox lock (a spinlock): O(1), no allocation, no wake-up. Who is
//! to be woken leaves as a [`Wake`].

#![deny(unsafe_code)]

use super::{
    command::Looper as LooperCommand,
    error::Extended,
    freeze::{
        Gate,
        Note,
        Outstanding,
        Traffic, //
    },
    loan,
    loan::{
        Asleep,
        Loan, //
    },
    priority::Level,
    thread::Sleeper,
    Binder, //
};
use crate::{
    core::{
        call::Reply,
        inbox::{
            Dispatch,
            QueueId, //
        },
        message::{
            Kind,
            Message, //
        },
        personality::{
            Cause,
            Route,
            To, //
        },
    },
    shim::{
        task::Scheduling,
        wait::{
            PollMask,
            WaitQueue, //
        },
    },
};
use kernel::{
    alloc::kvec::PushError,
    prelude::*,
    sync::Arc, //
};

/// Dispatch state of a proc.
pub(super) struct Proc {
    /// The thread that began to wait last.
    last_waiter: Option<QueueId>,
    /// Loopers that BR_SPAWN_LOOPER asked for and that have not registered: 0 or 1.
    requested: u32,
    /// Loopers that registered after they were asked for. Never goes down.
    started: u32,
    /// How many of them the program wants.
    max_threads: u32,
    /// What all poll-mode threads of the proc listen to.
    pollers: Arc<WaitQueue>,
    /// Whether calls are let in.
    pub(super) gate: Gate,
    /// What was sent here and is not done.
    traffic: Arc<Traffic>,
    /// How urgent threads are that wait for work.
    level: Level,
}

impl Proc {
    /// A proc without threads.
    pub(super) fn new(pollers: Arc<WaitQueue>, traffic: Arc<Traffic>, level: Level) -> Self {
        Self {
            last_waiter: None,
            requested: 0,
            started: 0,
            max_threads: 0,
            pollers,
            gate: Gate::open(),
            traffic,
            level,
        }
    }

    /// BINDER_SET_MAX_THREADS. Not applied to threads that are there.
    pub(super) fn set_max_threads(&mut self, max_threads: u32) {
        self.max_threads = max_threads;
    }
}

/// A place in the list of waiting threads.
#[derive(Clone, Copy)]
struct Place {
    /// Who began to wait before.
    older: Option<QueueId>,
    /// Who began to wait after.
    newer: Option<QueueId>,
}

/// What a thread said about itself, as bits; they are shown in log files.
#[derive(Clone, Copy, Default)]
struct Flags(u8);

impl Flags {
    const REGISTERED: u8 = 0x01;
    const ENTERED: u8 = 0x02;
    const EXITED: u8 = 0x04;
    const INVALID: u8 = 0x08;
    const POLL: u8 = 0x20;

    fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }

    fn set(&mut self, bits: u8) {
        self.0 |= bits;
    }
}

/// What stays with a thread of a call that it serves, also while it makes calls itself.
pub(super) struct Served {
    /// Whether the caller takes files in the answer.
    pub(super) accepts_fds: bool,
    /// How the thread ran before.
    pub(super) before: Scheduling,
    /// The call is not done.
    pub(super) _outstanding: Option<Outstanding>,
}

/// A call that a thread serves.
pub(super) struct Serving {
    /// The right to answer.
    pub(super) reply: Reply<Binder>,
    /// The rest of it.
    pub(super) served: Served,
}

impl From<(Reply<Binder>, Served)> for Serving {
    fn from((reply, served): (Reply<Binder>, Served)) -> Self {
        Self { reply, served }
    }
}

/// The calls that a thread serves and makes, which nest.
///
/// The call served at the top is here. Those below travel, as parents, with the calls that the
/// thread made while it served them; the rest of these is here.
pub(super) struct Stack {
    serving: Option<Serving>,
    /// For each call that the thread waits for, the one served below.
    calls: KVec<Option<Served>>,
}

impl Stack {
    fn new() -> Self {
        Self {
            serving: None,
            calls: KVec::new(),
        }
    }

    /// Whether the thread neither serves nor waits for a call.
    pub(super) fn is_empty(&self) -> bool {
        self.serving.is_none() && self.calls.is_empty()
    }

    /// Whether the thread waits for an answer, unless it has taken a call off the top itself.
    pub(super) fn waits(&self) -> bool {
        self.serving.is_none() && !self.calls.is_empty()
    }

    /// Takes the call that is served at the top.
    pub(super) fn take(&mut self) -> Option<Serving> {
        self.serving.take()
    }

    /// Puts a call on the top; returns what was there, which is nothing.
    pub(super) fn serve(&mut self, serving: Serving) -> Option<Serving> {
        self.serving.replace(serving)
    }

    /// How much larger the memory for calls has to be, before one more can be made.
    pub(super) fn wants_room(&self) -> Option<usize> {
        let len = self.calls.len();
        (len == self.calls.capacity()).then_some(2 * len + 4)
    }

    /// Moves to larger memory; returns the old one.
    pub(super) fn grow(&mut self, mut room: KVec<Option<Served>>) -> KVec<Option<Served>> {
        ::core::mem::swap(&mut self.calls, &mut room);
        for served in room.drain_all() {
            // It is larger.
            let pushed = self.calls.push_within_capacity(served);
            debug_assert!(pushed.is_ok());
        }
        room
    }

    /// The thread makes a call; `served` is of the call that it served. Gives that back if there was
    /// no room.
    pub(super) fn call(&mut self, served: Option<Served>) -> Result<(), Option<Served>> {
        let pushed = self.calls.push_within_capacity(served);
        pushed.map_err(|PushError(served)| served)
    }

    /// The call that was just made was refused.
    pub(super) fn uncall(&mut self) -> Option<Served> {
        self.calls.pop().flatten()
    }

    /// A call was answered or failed: what was served before it was made is at the top again.
    ///
    /// What was at the top goes with the answer; nested calls are answered first, so it is nothing.
    fn answered(&mut self, parent: &mut Option<Reply<Binder>>) {
        // The two halves of a call were parted when the thread called, so there are both or none.
        let served = self.calls.pop().flatten();
        debug_assert!(parent.is_some() == served.is_some());
        let below = parent.take().zip(served).map(Serving::from);
        let top = ::core::mem::replace(&mut self.serving, below);
        *parent = top.map(|serving| serving.reply);
    }
}

/// The engine's word that an answer or a failure is being queued. Under the inbox lock.
pub(super) fn answered(
    view: &mut Dispatch<'_, Binder>,
    queue: QueueId,
    parent: &mut Option<Reply<Binder>>,
) {
    if let Some(looper) = view.queue(queue) {
        looper.stack.answered(parent);
    }
}

/// Dispatch state of a thread; the main queue has one, too, which nobody uses.
pub(super) struct Looper {
    flags: Flags,
    /// Reads return at once: a new thread, or somebody closed a descriptor.
    need_return: bool,
    /// The place in the list while the thread waits for proc work.
    place: Option<Place>,
    /// The task, while it sleeps in a read.
    pub(super) asleep: Option<Asleep>,
    /// A change of that task, for who wakes it.
    pub(super) loan: Option<Loan>,
    /// What others know of the thread.
    pub(super) sleeper: Option<Arc<Sleeper>>,
    /// The calls that the thread serves and makes.
    pub(super) stack: Stack,
    /// The last failure of a call of this thread.
    pub(super) extended: Extended,
}

impl Looper {
    /// The part of the main queue.
    pub(super) fn main() -> Self {
        Self {
            flags: Flags::default(),
            need_return: false,
            place: None,
            asleep: None,
            loan: None,
            sleeper: None,
            stack: Stack::new(),
            extended: Extended::NONE,
        }
    }

    /// A thread that was just seen for the first time; its first read does not block.
    pub(super) fn new(sleeper: Arc<Sleeper>) -> Self {
        Self {
            need_return: true,
            sleeper: Some(sleeper),
            ..Self::main()
        }
    }

    /// Whether the thread is one of the pool.
    pub(super) fn is_looper(&self) -> bool {
        self.flags.has(Flags::REGISTERED | Flags::ENTERED)
    }

    /// Whether reads return at once.
    pub(super) fn needs_return(&self) -> bool {
        self.need_return
    }

    /// Ends an ioctl: the next read may block.
    pub(super) fn end_ioctl(&mut self) {
        self.need_return = false;
    }

    /// Makes reads return at once.
    pub(super) fn set_need_return(&mut self) {
        self.need_return = true;
    }

    /// The thread polls, from now on.
    pub(super) fn set_poll(&mut self) {
        self.flags.set(Flags::POLL);
    }

    fn wake(&mut self) -> Wake {
        if self.asleep.is_none() && !self.flags.has(Flags::POLL) {
            // It runs, and looks at its queue before it sleeps.
            return Wake::None;
        }
        match &self.sleeper {
            Some(sleeper) => Wake::Thread(sleeper.clone(), self.loan.take()),
            None => Wake::None,
        }
    }
}

/// Whom to wake after unlock.
#[derive(Default)]
pub(super) enum Wake {
    /// Nobody.
    #[default]
    None,
    /// A thread, which may have to be changed before.
    Thread(Arc<Sleeper>, Option<Loan>),
    /// All threads in poll mode.
    Pollers(Arc<WaitQueue>),
}

/// Wakes. With no lock held.
pub(super) fn wake(wake: Wake) {
    match wake {
        Wake::None => {}
        Wake::Thread(sleeper, loan) => {
            if let Some(loan) = loan {
                loan.give(&sleeper.goal);
            }
            sleeper.queue.wake(PollMask::IN);
        }
        Wake::Pollers(queue) => queue.wake(PollMask::IN),
    }
}

/// Chooses the queue of a message: the caller for an answer, the thread that waits in the middle of
/// the same chain of calls for a nested call, else whoever waits. What a lane releases goes to the
/// todo list of the proc in any case. A proc that is frozen takes no calls.
pub(super) fn route(
    view: &mut Dispatch<'_, Binder>,
    message: &mut Message<Binder>,
    cause: Cause,
) -> Route<Binder> {
    let chosen = message.to.or(message.part.nested());
    let proc = view.part();
    let mut note = Note::Taken;
    if cause == Cause::New {
        note = match proc.gate.pass(&message.kind) {
            Ok(Note::Taken) if message.part.is_suspect() => Note::Suspect,
            Ok(note) => note,
            Err(frozen) => return Route::Refuse(frozen),
        };
        message.part.outstanding = Some(Traffic::enter(&proc.traffic));
    }
    let waiter = proc.last_waiter.unwrap_or(QueueId::MAIN);
    let to = match (&message.kind, cause) {
        (Kind::Post, Cause::Released) => To::Lane(QueueId::MAIN),
        (Kind::Post, Cause::New) if note == Note::Pending && message.part.updates() => {
            To::Update(waiter)
        }
        (Kind::Post, Cause::New) => To::Lane(waiter),
        (Kind::Call(_) | Kind::Reply(_), _) => To::Queue(chosen.unwrap_or(waiter)),
    };
    if cause == Cause::New {
        lend(view, message, to);
    }
    Route::Go { to, note }
}

/// Prepares the thread that a new message goes to at once, if it sleeps.
fn lend(view: &mut Dispatch<'_, Binder>, message: &mut Message<Binder>, to: To) {
    let Some(node) = &message.node else {
        return;
    };
    let queue = match to {
        To::Queue(queue) => queue,
        To::Lane(queue) | To::Update(queue) if !view.is_lane_busy(node) => queue,
        To::Lane(_) | To::Update(_) => return,
    };
    let level = view.part().level;
    if view.is_open(queue) {
        if let Some(looper) = view.queue(queue) {
            loan::lend(looper, level, message);
        }
    }
}

/// A queue got something to read: takes a waiting thread off the list.
pub(super) fn ready(view: &mut Dispatch<'_, Binder>, queue: QueueId) -> Wake {
    if queue != QueueId::MAIN {
        let wake = view.queue(queue).map_or(Wake::None, |looper| looper.wake());
        unlist(view, queue);
        return wake;
    }
    wake_one(view)
}

/// Takes the thread that began to wait last off the list; without one, all pollers are told.
pub(super) fn wake_one(view: &mut Dispatch<'_, Binder>) -> Wake {
    match view.part().last_waiter {
        Some(waiter) => {
            unlist(view, waiter);
            view.queue(waiter)
                .map_or(Wake::None, |looper| looper.wake())
        }
        None => Wake::Pollers(view.part().pollers.clone()),
    }
}

/// What a thread that wants to read finds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Something, or it has to return anyway.
    Ready,
    /// Nothing.
    Nothing,
}

/// Whether the reader of `queue` may take work of the proc now: it has no calls, and nothing of its
/// own to read.
pub(super) fn takes_proc_work(view: &mut Dispatch<'_, Binder>, queue: QueueId) -> bool {
    view.is_empty(queue)
        && view
            .queue(queue)
            .is_some_and(|looper| looper.stack.is_empty())
}

/// Looks for work of the reader of `queue`: its own, and that of the proc if `proc_work`.
pub(super) fn look(view: &mut Dispatch<'_, Binder>, queue: QueueId, proc_work: bool) -> Found {
    let need_return = view.queue(queue).is_none_or(|looper| looper.need_return);
    let found = need_return || view.readable(queue) || (proc_work && !view.is_empty(QueueId::MAIN));
    if found {
        Found::Ready
    } else {
        Found::Nothing
    }
}

/// One look of a thread that is about to sleep: if it finds nothing it is put on the list, unless it
/// stands there.
///
/// `asleep` is taken by the first such look.
pub(super) fn sleep(
    view: &mut Dispatch<'_, Binder>,
    queue: QueueId,
    proc_work: bool,
    asleep: &mut Option<Asleep>,
) -> Found {
    let found = look(view, queue, proc_work);
    if found == Found::Nothing {
        if let (Some(looper), Some(_)) = (view.queue(queue), &asleep) {
            ::core::mem::swap(&mut looper.asleep, asleep);
        }
        if proc_work {
            list(view, queue);
        }
    }
    found
}

/// A thread woke up. Returns what is to be dropped after unlock.
pub(super) fn awake(view: &mut Dispatch<'_, Binder>, queue: QueueId) -> Option<Asleep> {
    unlist(view, queue);
    view.queue(queue)?.asleep.take()
}

fn list(view: &mut Dispatch<'_, Binder>, queue: QueueId) {
    let older = view.part().last_waiter;
    match view.queue(queue) {
        Some(looper) if looper.place.is_none() => {
            looper.place = Some(Place { older, newer: None });
        }
        _ => return,
    }
    if let Some(place) = older.and_then(|id| view.queue(id)?.place.as_mut()) {
        place.newer = Some(queue);
    }
    view.part().last_waiter = Some(queue);
}

/// Takes a thread off the list of those that wait, if it is there.
pub(super) fn unlist(view: &mut Dispatch<'_, Binder>, queue: QueueId) {
    let Some(place) = view.queue(queue).and_then(|looper| looper.place.take()) else {
        return;
    };
    if let Some(older) = place.older.and_then(|id| view.queue(id)?.place.as_mut()) {
        older.newer = place.newer;
    }
    match place.newer {
        None => view.part().last_waiter = place.older,
        Some(newer) => {
            if let Some(newer) = view.queue(newer).and_then(|looper| looper.place.as_mut()) {
                newer.older = place.older;
            }
        }
    }
}

/// A thread says what it is. Nonsense is noted in its state and has no other effect.
pub(super) fn looper(view: &mut Dispatch<'_, Binder>, queue: QueueId, command: LooperCommand) {
    let Some((proc, looper)) = view.parts(queue) else {
        return;
    };
    match command {
        LooperCommand::Register => {
            if looper.flags.has(Flags::ENTERED) || proc.requested == 0 {
                looper.flags.set(Flags::INVALID);
            } else {
                proc.requested -= 1;
                proc.started = proc.started.saturating_add(1);
            }
            looper.flags.set(Flags::REGISTERED);
        }
        LooperCommand::Enter => {
            if looper.flags.has(Flags::REGISTERED) {
                looper.flags.set(Flags::INVALID);
            }
            looper.flags.set(Flags::ENTERED);
        }
        LooperCommand::Exit => looper.flags.set(Flags::EXITED),
    }
}

/// Whether this read is to ask for another looper; if so, that is noted.
pub(super) fn spawn_wanted(view: &mut Dispatch<'_, Binder>, queue: QueueId) -> bool {
    let Some((proc, looper)) = view.parts(queue) else {
        return false;
    };
    let wanted = proc.requested == 0
        && proc.last_waiter.is_none()
        && proc.started < proc.max_threads
        && looper.is_looper();
    if wanted {
        proc.requested = 1;
    }
    wanted
}
