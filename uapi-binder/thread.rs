// SPDX-License-Identifier: GPL-2.0

//! Threads: the record that a proc keeps of each task that uses it.
//!
//! A record is made by the first ioctl or poll of a task and belongs to whoever has that thread id.
//! What other threads see of it (its queue, its calls, what it said about itself) is under the inbox
//! lock, in a [`Looper`]; [`Own`] is what only the thread itself touches, behind a mutex that it
//! holds for the length of an ioctl and that nobody else wants.

#![deny(unsafe_code)]

use super::{
    dispatch,
    dispatch::Looper,
    loan::{
        Exemption,
        Goal, //
    },
    reply::Code,
    Binder,
    BinderPeer,
    Queued, //
};
use crate::{
    core::{
        anchor::{
            QueueError,
            Spare, //
        },
        inbox::QueueId,
        personality::When,
    },
    shim::{
        task::Scheduling,
        wait::WaitQueue, //
    },
};
use kernel::{
    prelude::*,
    rbtree::RBTree,
    sync::{
        new_mutex,
        Arc,
        Mutex, //
    },
    task::Pid, //
};

/// What others know of a thread besides its queue.
pub(super) struct Sleeper {
    /// What it sleeps on and polls.
    pub(super) queue: WaitQueue,
    /// How it is to run.
    pub(super) goal: Goal,
}

/// What only the thread itself touches.
pub(super) struct Own {
    /// A failure of its own that the thread has not read. No command runs before it has.
    pub(super) unread: bool,
    /// How it ran before it served a one-way, of which no reply tells the end.
    pub(super) before_one_way: Option<Scheduling>,
    /// Whether it need not care for its limits.
    pub(super) exemption: Exemption,
    /// Memory to tell the next failure.
    spare: Option<Spare<Binder>>,
}

/// A thread of a proc.
#[pin_data]
pub(super) struct Thread {
    /// Its queue in the proc's inbox.
    pub(super) queue: QueueId,
    /// What others know of it.
    pub(super) sleeper: Arc<Sleeper>,
    #[pin]
    own: Mutex<Own>,
}

/// The threads of a proc, by their number in the initial namespace.
pub(super) type Threads = RBTree<Pid, Arc<Thread>>;

/// The threads of `peer`, one after the other; those that come or go meanwhile may be missing.
pub(super) fn all(peer: &BinderPeer) -> impl Iterator<Item = Arc<Thread>> + '_ {
    let mut from = Some(Pid::MIN);
    ::core::iter::from_fn(move || {
        let threads = peer.part().threads.lock();
        let cursor = threads.cursor_lower_bound(&from?)?;
        let (tid, thread) = cursor.current();
        from = tid.checked_add(1);
        Some(thread.clone())
    })
}

impl Thread {
    fn new(peer: &BinderPeer) -> Result<Arc<Self>> {
        let sleeper = Sleeper {
            queue: WaitQueue::new()?,
            goal: Goal::new(),
        };
        let sleeper = Arc::new(sleeper, GFP_KERNEL_ACCOUNT)?;
        let spare = Spare::new(peer.anchor())?;
        let added = peer.anchor().add_queue(Looper::new(sleeper.clone()));
        let queue = added.map_err(|error| match error {
            // Not while the file is open.
            QueueError::Closed => EINVAL,
            QueueError::NoMemory => ENOMEM,
        })?;
        let own = Own {
            unread: false,
            before_one_way: None,
            exemption: Exemption::new(),
            spare: Some(spare),
        };
        let thread = Arc::pin_init(
            pin_init!(Self {
                queue,
                sleeper,
                own <- new_mutex!(own, "bus1::binder_thread"),
            }),
            GFP_KERNEL_ACCOUNT,
        );
        if thread.is_err() {
            drop(peer.anchor().remove_queue(queue));
        }
        thread
    }

    /// The record of the calling task, made if there is none: ENOMEM.
    pub(super) fn current(peer: &BinderPeer) -> Result<Arc<Self>> {
        let tid = kernel::current!().pid();
        let mut threads = peer.part().threads.lock();
        if let Some(thread) = threads.get(&tid) {
            return Ok(thread.clone());
        }
        let thread = Self::new(peer)?;
        let inserted = threads.try_create_and_insert(tid, thread.clone(), GFP_KERNEL_ACCOUNT);
        if let Err(error) = inserted {
            drop(threads);
            thread.end(peer);
            return Err(error);
        }
        Ok(thread)
    }

    /// Runs `f` with what only the thread touches.
    pub(super) fn with_own<R>(&self, f: impl FnOnce(&mut Own) -> R) -> R {
        f(&mut self.own.lock())
    }

    /// BINDER_THREAD_EXIT: forgets the record of the calling task.
    pub(super) fn exit(peer: &BinderPeer) {
        let tid = kernel::current!().pid();
        let thread = peer.part().threads.lock().remove(&tid);
        if let Some(thread) = thread {
            thread.end(peer);
        }
    }

    /// Ends a record that nobody can find any more.
    ///
    /// The caller of the call that it serves is told; the calls that it waits for lose their caller;
    /// what is in its queue fails, is dropped or goes to the proc.
    pub(super) fn end(&self, peer: &BinderPeer) {
        let serving = peer.anchor().with(|view| {
            dispatch::unlist(view, self.queue);
            view.queue(self.queue)?.stack.take()
        });
        drop(serving);
        drop(peer.anchor().remove_queue(self.queue));
        self.sleeper.queue.hang_up();
    }
}

/// What an ioctl works with.
pub(super) struct Caller<'a> {
    /// The proc.
    pub(super) peer: &'a Arc<BinderPeer>,
    /// The thread.
    pub(super) thread: &'a Thread,
    /// What only the thread touches.
    pub(super) own: &'a mut Own,
}

impl Caller<'_> {
    /// Makes sure that the next failure can be told. ENOMEM.
    pub(super) fn prepare(&mut self) -> Result {
        if self.own.spare.is_none() {
            self.own.spare = Some(Spare::new(self.peer.anchor())?);
        }
        Ok(())
    }

    /// Queues a failure for this very thread: it stops the commands until it is read.
    pub(super) fn fail(&mut self, code: Code) {
        self.own.unread = true;
        if let Some(spare) = self.own.spare.take() {
            // The queue of a thread in an ioctl is there, so it does not come back.
            let queue = self.thread.queue;
            let posted = self
                .peer
                .anchor()
                .post_code(queue, spare, Queued::Own(code), When::Now);
            drop(posted);
        }
    }

    /// Looks at the thread's dispatch state, under the inbox lock. It is there during an ioctl.
    pub(super) fn with_looper<R>(&self, f: impl FnOnce(&mut Looper) -> R) -> Option<R> {
        let queue = self.thread.queue;
        self.peer.anchor().with(|view| view.queue(queue).map(f))
    }

    /// Queues a code for this thread, in memory that was reserved for it.
    pub(super) fn post(&self, spare: Spare<Binder>, code: Code) {
        let queue = self.thread.queue;
        drop(
            self.peer
                .anchor()
                .post_code(queue, spare, Queued::Plain(code), When::Now),
        );
    }
}
