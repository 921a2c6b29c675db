// SPDX-License-Identifier: GPL-2.0

//! Freezing: a proc that takes no calls, and how one gets there.
//!
//! The freezer of a system asks twice before it stops a process: BINDER_FREEZE shuts its [`Gate`],
//! waits until what is under way is done, and fails if it is not; BINDER_GET_FROZEN_INFO tells later
//! whether somebody has called meanwhile. One-ways are taken as ever, and their senders hear that
//! they will wait; answers to a frozen proc are delivered.
//!
//! What is under way is counted by values: an [`Outstanding`] travels with each message to the proc
//! until it is read, or, of a call, until it is answered, wherever that ends.
//!
//! Locks: the gate is under the inbox lock, where the engine asks for each message; the count is an
//! atomic, so that a value may be dropped anywhere.

#![deny(unsafe_code)]

use super::{
    abi,
    listen,
    registry::Procs,
    thread,
    Binder,
    BinderPeer, //
};
use crate::{
    core::{
        message::Kind,
        sync::{
            assert_unlocked,
            Atomic,
            Full,
            Relaxed, //
        },
    },
    shim::wait::{
        Interrupted,
        PollMask,
        WaitQueue, //
    },
};
use kernel::{
    prelude::*,
    sync::Arc,
    task::Pid,
    time::msecs_to_jiffies, //
};

/// A call was refused since its receiver is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frozen;

/// What the sender of a message hears of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Note {
    /// It was taken.
    #[default]
    Taken,
    /// It was taken, and is one of very many of this sender.
    Suspect,
    /// It was taken, and waits until its receiver is thawed.
    Pending,
}

/// Whether a proc lets calls in. Guarded by the inbox lock.
pub(super) struct Gate {
    shut: bool,
    /// It was shut and nothing is under way: those who asked for it are told.
    frozen: bool,
    /// A call came since somebody froze or thawed the proc last.
    called: bool,
    /// A one-way did.
    posted: bool,
}

impl Gate {
    /// Of a new proc.
    pub(super) fn open() -> Self {
        Self {
            shut: false,
            frozen: false,
            called: false,
            posted: false,
        }
    }

    /// Shuts it. What came so far is forgotten.
    fn shut(&mut self) {
        *self = Self {
            shut: true,
            frozen: self.frozen,
            ..Self::open()
        };
    }

    /// The end of the attempt that began with [`shut`](Self::shut). What came since is remembered.
    fn end(&mut self, done: bool) {
        self.shut = done;
        self.frozen = done;
    }

    /// Whether the proc is frozen, as those who asked for it are told.
    pub(super) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// A message comes to it.
    pub(super) fn pass(&mut self, kind: &Kind<Binder>) -> Result<Note, Frozen> {
        match kind {
            Kind::Call(_) if self.shut => {
                self.called = true;
                Err(Frozen)
            }
            Kind::Post if self.shut => {
                self.posted = true;
                Ok(Note::Pending)
            }
            _ => Ok(Note::Taken),
        }
    }
}

/// How much was sent to a proc that is not done, and who waits for the end of it.
pub(super) struct Traffic {
    /// Below [`WAITER`](Self::WAITER) the messages, from there on those who wait.
    word: Atomic<u64>,
    wait: WaitQueue,
}

impl Traffic {
    const MESSAGE: u64 = 1;
    const WAITER: u64 = 1 << 32;

    /// None.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            word: Atomic::new(0),
            wait: WaitQueue::new()?,
        })
    }

    /// Counts a message.
    pub(super) fn enter(this: &Arc<Self>) -> Outstanding {
        this.word.fetch_add(Self::MESSAGE, Relaxed);
        Outstanding(this.clone())
    }

    /// Whether nothing is under way.
    fn is_idle(&self) -> bool {
        self.word.load(Relaxed) % Self::WAITER == 0
    }

    /// Waits for that, for `limit` milliseconds at most. It may have been in vain.
    fn settle(&self, limit: u32) -> Result<(), Interrupted> {
        // One word: either the last message sees who waits, or he sees that it is gone.
        self.word.fetch_add(Self::WAITER, Full);
        let waited = self
            .wait
            .wait_for(msecs_to_jiffies(limit), || self.is_idle());
        self.word.fetch_sub(Self::WAITER, Relaxed);
        waited.map(|_| ())
    }
}

/// A message to a proc, or a call that it serves. Its drop may wake, so not under a spinlock.
pub(super) struct Outstanding(Arc<Traffic>);

impl Drop for Outstanding {
    fn drop(&mut self) {
        assert_unlocked();
        let before = self.0.word.fetch_sub(Traffic::MESSAGE, Full);
        let (waiters, messages) = (before / Traffic::WAITER, before % Traffic::WAITER);
        if waiters > 0 && messages == 1 {
            self.0.wait.wake(PollMask::EMPTY);
        }
    }
}

/// The process that a program names. One that can't be is nobody's.
fn pid(number: u32) -> Result<Pid> {
    Pid::try_from(number).map_err(|_| EINVAL)
}

/// BINDER_FREEZE: all procs of a process, until one fails. EINVAL, EAGAIN, ERESTARTSYS.
///
/// Those before the one that fails stay frozen.
pub(super) fn set(procs: &Procs, info: &abi::binder_freeze_info) -> Result {
    let mut found = false;
    for peer in procs.of(pid(info.pid)?) {
        found = true;
        if info.enable == 0 {
            peer.anchor().with(|view| view.part().gate = Gate::open());
            listen::tell(&peer);
        } else {
            freeze(&peer, info.timeout_ms)?;
        }
    }
    if found {
        Ok(())
    } else {
        Err(EINVAL)
    }
}

/// Shuts the gate of a proc, and opens it again if that has work under way after `limit`
/// milliseconds.
fn freeze(peer: &BinderPeer, limit: u32) -> Result {
    peer.anchor().with(|view| view.part().gate.shut());
    let waited = match limit {
        0 => Ok(()),
        limit => peer.part().traffic.settle(limit),
    };
    let done = match waited {
        Err(Interrupted) => Err(ERESTARTSYS),
        Ok(()) if is_busy(peer) => Err(EAGAIN),
        Ok(()) => Ok(()),
    };
    peer.anchor()
        .with(|view| view.part().gate.end(done.is_ok()));
    listen::tell(peer);
    done
}

/// Whether a proc has something to do, or a thread of it serves or waits for a call.
fn is_busy(peer: &BinderPeer) -> bool {
    let calls = |thread: Arc<thread::Thread>| {
        peer.anchor().with(|view| {
            view.queue(thread.queue)
                .is_some_and(|looper| !looper.stack.is_empty())
        })
    };
    !peer.part().traffic.is_idle() || thread::all(peer).any(calls)
}

/// BINDER_GET_FROZEN_INFO: what came to any proc of a process. EINVAL.
pub(super) fn info(procs: &Procs, number: u32) -> Result<abi::binder_frozen_status_info> {
    let mut found = false;
    let mut info = abi::binder_frozen_status_info {
        pid: number,
        ..Default::default()
    };
    for peer in procs.of(pid(number)?) {
        found = true;
        let busy = is_busy(&peer);
        peer.anchor().with(|view| {
            let gate = &view.part().gate;
            info.sync_recv |= u32::from(gate.called) | u32::from(busy) << 1;
            info.async_recv |= u32::from(gate.posted);
        });
    }
    if found {
        Ok(info)
    } else {
        Err(EINVAL)
    }
}
