// SPDX-License-Identifier: GPL-2.0

//! A proc: what hangs on one open file of a device.
//!
//! [`Process`] is the personality's part of an engine peer: who opened the file, and the indices by
//! which a program names things: its threads, references, nodes, buffers and death requests. Each
//! has its own mutex, no two of which are held together. It dies with the last reference to the
//! file, in [`close`].

#![deny(unsafe_code)]

use super::{
    buffer,
    buffer::{
        Budget, //
        Buffers,
    },
    context::Context,
    death,
    death::Deaths,
    dispatch::{
        Looper,
        Proc, //
    },
    freeze::Traffic,
    listen,
    listen::{
        Freezes,
        Listeners, //
    },
    loan,
    nodes,
    nodes::Nodes,
    priority::Level,
    references,
    references::Refs,
    registry::Procs,
    spam::Senders,
    thread,
    thread::{
        Thread,
        Threads, //
    },
    BinderPeer, //
};
use crate::{
    core::{
        destroy::Verdict,
        peer::Peer,
        quota::{
            Account,
            Limits,
            Users,
            UNLIMITED, //
        },
        reclaim::Member,
        sync::{
            unique_id,
            Atomic, //
        },
    },
    shim::{
        realm,
        wait::{
            PollMask,
            WaitQueue, //
        },
    },
};
use kernel::{
    cred::Credential,
    fs::File,
    mm::{
        Mm,
        MmWithUser, //
    },
    prelude::*,
    rbtree::RBTree,
    sync::{
        aref::ARef,
        new_mutex,
        Arc,
        Mutex,
        SetOnce, //
    },
    task::{
        Pid,
        Task, //
    },
};

/// Binder counts what a proc holds and limits nothing but its mapping.
const LIMITS: Limits = Limits {
    slices: UNLIMITED,
    bytes: UNLIMITED,
    handles: UNLIMITED,
    fds: UNLIMITED,
};

/// The personality's part of a peer.
#[pin_data]
pub(crate) struct Process {
    /// The device that the file was opened on.
    pub(super) context: Arc<Context>,
    /// Credentials of the open, for the security modules.
    pub(super) cred: ARef<Credential>,
    /// Leader of the process that opened the file.
    pub(super) leader: ARef<Task>,
    pid: Pid,
    mm: Option<ARef<Mm>>,
    /// How urgent the thread was that opened the file: so are those that wait for work.
    pub(super) level: Level,
    /// What poll-mode threads listen to for work that any of them may take.
    pub(super) pollers: Arc<WaitQueue>,
    /// Room for one-ways.
    pub(super) budget: Arc<Budget>,
    /// Who has how much of that, if it is guarded.
    pub(super) oneways: SetOnce<Arc<Account>>,
    /// Who sent the one-ways that lie in the mapping.
    pub(super) senders: Arc<Senders>,
    /// Whether the program wants to know if it sends too many one-ways.
    pub(super) spam_detection: Atomic<bool>,
    /// What was sent here and is not done.
    pub(super) traffic: Arc<Traffic>,
    #[pin]
    pub(super) threads: Mutex<Threads>,
    #[pin]
    pub(super) refs: Mutex<Refs>,
    #[pin]
    pub(super) nodes: Mutex<Nodes>,
    #[pin]
    pub(super) buffers: Mutex<Buffers>,
    #[pin]
    pub(super) deaths: Mutex<Deaths>,
    /// Freeze requests of this proc.
    #[pin]
    pub(super) freezes: Mutex<Freezes>,
    /// Freeze requests of others about its nodes.
    #[pin]
    pub(super) listeners: Mutex<Listeners>,
    /// Where the mapping starts, once there is or was one.
    #[pin]
    pub(super) mapping: Mutex<Option<usize>>,
    /// Has the kernel ask the mapping for memory, when it runs short.
    pub(super) pool: SetOnce<Member<buffer::Pages>>,
    /// Memory for the end of all nodes.
    #[pin]
    verdict: Mutex<Option<Verdict>>,
}

impl Process {
    /// The process that opened the file, in the initial namespace.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether `mm` is the address space in which the file was opened.
    pub(super) fn is_mm(&self, mm: &MmWithUser) -> bool {
        let raw = |mm: &Mm| mm.as_raw();
        self.mm
            .as_ref()
            .is_some_and(|own| ::core::ptr::eq(raw(own), raw(mm)))
    }
}

/// Opens a proc of `context`.
pub(super) fn open(context: Arc<Context>, file: &File) -> Result<Arc<BinderPeer>> {
    let current = kernel::current!();
    let cred = ARef::from(file.cred());
    let seat = Users::enter(context.users(), realm::payers(&cred), LIMITS)?;
    let account = Account::new(seat, LIMITS)?;
    let pollers = Arc::new(WaitQueue::new()?, GFP_KERNEL_ACCOUNT)?;
    let traffic = Arc::new(Traffic::new()?, GFP_KERNEL_ACCOUNT)?;
    let level = loan::current_level().unwrap_or(Level::ORDINARY);
    let proc = Proc::new(pollers.clone(), traffic.clone(), level);
    let mm = current.mm().map(|mm| ARef::<Mm>::from(&**mm));
    let budget = Arc::new(Budget::new(), GFP_KERNEL_ACCOUNT)?;
    let senders = Senders::new()?;
    let verdict = Verdict::new()?;
    let place = Procs::reserve()?;
    let process = Arc::pin_init(
        pin_init!(Process {
            context,
            cred,
            leader: ARef::from(current.group_leader()),
            pid: current.tgid(),
            mm,
            level,
            pollers,
            budget,
            oneways: SetOnce::new(),
            senders,
            spam_detection: Atomic::new(false),
            traffic,
            threads <- new_mutex!(RBTree::new(), "bus1::binder_threads"),
            refs <- new_mutex!(Refs::new(), "bus1::binder_refs"),
            nodes <- new_mutex!(RBTree::new(), "bus1::binder_nodes"),
            buffers <- new_mutex!(RBTree::new(), "bus1::binder_buffers"),
            deaths <- new_mutex!(Deaths::new(), "bus1::binder_deaths"),
            pool: SetOnce::new(),
            freezes <- new_mutex!(Freezes::new(), "bus1::binder_freezes"),
            listeners <- new_mutex!(RBTree::new(), "bus1::binder_listeners"),
            mapping <- new_mutex!(None, "bus1::binder_mapping"),
            verdict <- new_mutex!(Some(verdict), "bus1::binder_verdict"),
        }),
        GFP_KERNEL_ACCOUNT,
    )?;
    let peer: Arc<BinderPeer> = Peer::new(unique_id(), account, process, proc, Looper::main())?;
    peer.part().context.procs().enter(place, &peer);
    Ok(peer)
}

/// Somebody closed a descriptor of the file: all threads return from their reads, now or next time.
pub(super) fn flush(peer: &BinderPeer) {
    for thread in thread::all(peer) {
        peer.anchor().with(|view| {
            if let Some(looper) = view.queue(thread.queue) {
                looper.set_need_return();
            }
        });
        thread.sleeper.queue.wake(PollMask::IN);
    }
}

/// Ends a proc, after the last reference to its file is gone. Blocks on nobody.
///
/// Callers hear of their calls before holders hear of the nodes, and owners of other nodes hear last
/// that this proc does not hold them any more.
pub(super) fn close(peer: &Arc<BinderPeer>) {
    let process = peer.part();
    process.context.procs().leave(peer);
    drop(process.context.leave(peer.anchor()));
    // Nothing is accepted from here on, and what is queued is dropped.
    peer.shut();
    end_threads(peer);
    end_nodes(peer);
    references::abandon(peer);
    death::abandon(peer);
    listen::abandon(peer);
    buffer::abandon(peer);
}

fn end_threads(peer: &Arc<BinderPeer>) {
    let mut threads = ::core::mem::replace(&mut *peer.part().threads.lock(), RBTree::new());
    while let Some(cursor) = threads.cursor_front_mut() {
        let (_, node) = cursor.remove_current();
        let (_, thread): (Pid, Arc<Thread>) = node.to_key_value();
        thread.end(peer);
    }
}

fn end_nodes(peer: &Arc<BinderPeer>) {
    let nodes = ::core::mem::replace(&mut *peer.part().nodes.lock(), RBTree::new());
    let verdict = peer.part().verdict.lock().take();
    if let Some(verdict) = verdict {
        peer.destroy_all(verdict, nodes::InOrder::of(&nodes));
    }
    for node in nodes.values() {
        nodes::abandon(node);
    }
}
