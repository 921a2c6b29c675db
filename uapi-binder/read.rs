// SPDX-License-Identifier: GPL-2.0

//! The read half: waiting for work, and turning what was taken into items.
//!
//! Whether a read may take work of the proc is decided before it waits: only a thread without calls
//! and with nothing of its own. Its own queue is emptied first. A read ends after an item that the
//! program has to act on (a message, a death), when the next one would not fit, or when nothing is
//! left.
//!
//! Locks: the inbox for each look; copies to user memory and file work are done under the thread's
//! own mutex alone.

#![deny(unsafe_code)]

use super::{
    abi,
    buffer,
    contents::Passed,
    death,
    dispatch,
    dispatch::{
        Found,
        Served,
        Serving, //
    },
    listen,
    loan,
    loan::Asleep,
    nodes,
    reply::{
        Code,
        DeathCode,
        Incoming,
        ReadBuffer,
        Return, //
    },
    thread::Caller,
    Binder,
    BinderPeer,
    Queued,
    Watched, //
};
use crate::{
    core::{
        anchor::Taken,
        call::Reply,
        inbox::QueueId,
        message::{
            Kind,
            Message, //
        },
        sync::{
            KBox,
            Relaxed, //
        },
    },
    shim::{
        cred,
        cred::UserNs,
        files::Fds,
        wait::PollMask, //
    },
};
use kernel::prelude::*;

/// Whether a read goes on after an item.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// With the next item.
    Next,
    /// The program has to see this one first.
    Stop,
}

/// Fills `buffer`. EAGAIN, EINTR; EFAULT, and then the item that did not arrive is lost.
pub(super) fn read(caller: &mut Caller<'_>, buffer: &mut ReadBuffer, block: bool) -> Result {
    loop {
        let proc_work = wait(caller, block)?;
        while has_work(caller, proc_work) && buffer.has_room() {
            let Some(taken) = take(caller, proc_work) else {
                break;
            };
            if give(caller, buffer, taken)? == Flow::Stop {
                return end(caller, buffer);
            }
        }
        // What was taken may have said nothing after all: then it is as if nothing had been there.
        if !buffer.is_bare() || has_work(caller, proc_work) || needs_return(caller) {
            return end(caller, buffer);
        }
    }
}

/// Asks for another looper if this was the last idle one.
fn end(caller: &Caller<'_>, buffer: &ReadBuffer) -> Result {
    let queue = caller.thread.queue;
    let anchor = caller.peer.anchor();
    if anchor.with(|view| dispatch::spawn_wanted(view, queue)) {
        buffer.put_spawn_looper()?;
    }
    Ok(())
}

/// Waits until there is something to read. Returns whether that may be work of the proc.
fn wait(caller: &mut Caller<'_>, block: bool) -> Result<bool> {
    let anchor = caller.peer.anchor();
    let queue = caller.thread.queue;
    let (proc_work, found) = anchor.with(|view| {
        let proc_work = dispatch::takes_proc_work(view, queue);
        (proc_work, dispatch::look(view, queue, proc_work))
    });
    if proc_work {
        loan::rest(caller);
    }
    if found == Found::Ready {
        return Ok(proc_work);
    }
    if !block {
        return Err(EAGAIN);
    }
    let mut asleep = Some(Asleep::current(&mut caller.own.exemption));
    let slept = caller.thread.sleeper.queue.wait(|| {
        let found = anchor.with(|view| dispatch::sleep(view, queue, proc_work, &mut asleep));
        found == Found::Ready
    });
    drop(anchor.with(|view| dispatch::awake(view, queue)));
    slept?;
    // Whoever slept answers a signal first; what there is to read stays where it is.
    if kernel::current!().signal_pending() {
        return Err(EINTR);
    }
    Ok(proc_work)
}

fn has_work(caller: &Caller<'_>, proc_work: bool) -> bool {
    caller.peer.anchor().with(|view| {
        !view.is_empty(caller.thread.queue) || (proc_work && !view.is_empty(QueueId::MAIN))
    })
}

fn needs_return(caller: &Caller<'_>) -> bool {
    caller.with_looper(|looper| looper.needs_return()) != Some(false)
}

fn take(caller: &Caller<'_>, proc_work: bool) -> Option<Taken<Binder>> {
    let anchor = caller.peer.anchor();
    match anchor.take(caller.thread.queue) {
        None if proc_work => anchor.take(QueueId::MAIN),
        taken => taken,
    }
}

/// After a read, well or ill: what is left for the proc is somebody else's to take.
pub(super) fn pass_on(caller: &Caller<'_>) {
    let wake = caller.peer.anchor().with(|view| {
        if view.is_empty(QueueId::MAIN) {
            dispatch::Wake::None
        } else {
            dispatch::wake_one(view)
        }
    });
    dispatch::wake(wake);
}

/// Gives what was taken to the program.
fn give(caller: &mut Caller<'_>, buffer: &mut ReadBuffer, taken: Taken<Binder>) -> Result<Flow> {
    match taken {
        Taken::Message(delivered) => return deliver(caller, buffer, delivered.message),
        Taken::Counts(node) => {
            let (ptr, cookie) = (node.part().ptr, node.part().cookie);
            for code in nodes::read(caller.peer, &node).into_iter().flatten() {
                buffer.put(&Return::Node(code, ptr, cookie))?;
            }
        }
        Taken::Watch(watch, ..) => return give_notice(caller, buffer, *watch.part()),
        Taken::Code(code) => give_code(caller, buffer, code)?,
        Taken::Failed(code, parent) => {
            drop(parent);
            give_code(caller, buffer, code)?;
        }
    }
    Ok(Flow::Next)
}

fn give_notice(caller: &Caller<'_>, buffer: &mut ReadBuffer, watched: Watched) -> Result<Flow> {
    let item = match watched {
        Watched::Death(key) => {
            death::deliver(caller.peer, key).map(|cookie| Return::Death(DeathCode::Dead, cookie))
        }
        Watched::Freeze(key) => listen::deliver(caller.peer, key),
    };
    let Some(item) = item else {
        return Ok(Flow::Next);
    };
    buffer.put(&item)?;
    Ok(match item {
        Return::FreezeCleared(_) => Flow::Next,
        _ => Flow::Stop,
    })
}

fn give_code(caller: &mut Caller<'_>, buffer: &mut ReadBuffer, code: Queued) -> Result {
    let item = match code {
        Queued::Own(code) => {
            caller.own.unread = false;
            Return::Code(code)
        }
        // Told only to who wants to know it by now.
        Queued::Plain(Code::OnewaySpamSuspect)
            if !caller.peer.part().spam_detection.load(Relaxed) =>
        {
            Return::Code(Code::TransactionComplete)
        }
        Queued::Plain(code) => Return::Code(code),
        Queued::DeathCleared(cookie) => Return::Death(DeathCode::Cleared, cookie),
    };
    Ok(buffer.put(&item)?)
}

/// Gives a message to the program, and keeps it until its buffer is freed.
fn deliver(
    caller: &mut Caller<'_>,
    buffer: &mut ReadBuffer,
    mut message: KBox<Message<Binder>>,
) -> Result<Flow> {
    let kind = ::core::mem::replace(&mut message.kind, Kind::Post);
    let outstanding = message.part.outstanding.take();
    let fds = reserve_fds(&mut message);
    let item = describe(caller.peer, &message, &kind);
    let written = match (fds, item) {
        (Ok(fds), Some(item)) => buffer.put(&item).map(|()| fds).map_err(Error::from),
        _ => {
            loan::cancel(caller, &mut message.part);
            return undeliverable(buffer, kind);
        }
    };
    if written.is_err() {
        loan::cancel(caller, &mut message.part);
    }
    match (kind, written) {
        (Kind::Call(reply), Ok(fds)) => {
            fds.install();
            let served = Served {
                accepts_fds: message.part.flags & abi::TF_ACCEPT_FDS != 0,
                before: loan::begin(caller, &mut message),
                _outstanding: outstanding,
            };
            let serving = Serving { reply, served };
            drop(caller.with_looper(|looper| looper.stack.serve(serving)));
        }
        (Kind::Post, Ok(fds)) => {
            fds.install();
            loan::begin_one_way(caller, &mut message);
        }
        (Kind::Reply(parent), Ok(fds)) => {
            fds.install();
            drop(parent);
        }
        (Kind::Call(reply), Err(fault)) => {
            reply.fail(Queued::Plain(Code::FailedReply));
            return Err(fault);
        }
        (Kind::Post, Err(fault)) => return Err(fault),
        (Kind::Reply(parent), Err(fault)) => {
            drop(parent);
            return Err(fault);
        }
    }
    if let Some(place) = message.part.place.take() {
        buffer::keep(caller.peer, place, message);
    }
    Ok(Flow::Stop)
}

/// A message whose files find no place: its sender hears of a call, nobody of a one-way; the answer
/// to a call turns into a failure here.
fn undeliverable(buffer: &mut ReadBuffer, kind: Kind<Binder>) -> Result<Flow> {
    match kind {
        Kind::Call(reply) => {
            reply.fail(Queued::Plain(Code::FailedReply));
            Ok(Flow::Next)
        }
        Kind::Post => Ok(Flow::Next),
        Kind::Reply(parent) => {
            drop(parent);
            buffer.put(&Return::Code(Code::FailedReply))?;
            Ok(Flow::Stop)
        }
    }
}

/// Reserves numbers for the files of a message and writes them into it. EMFILE, ENOMEM.
fn reserve_fds(message: &mut Message<Binder>) -> Result<Fds> {
    let mut fds = Fds::new();
    for Passed { file, at } in ::core::mem::take(&mut message.files) {
        let fd = fds.add(file)?;
        message
            .slice
            .write(at, &fd.to_ne_bytes())
            .map_err(|_| EINVAL)?;
    }
    Ok(fds)
}

/// The item for a message, as the calling thread sees the world.
fn describe(peer: &BinderPeer, message: &Message<Binder>, kind: &Kind<Binder>) -> Option<Return> {
    let part = &message.part;
    let buffer = buffer::address(peer, message)?;
    let (ptr, cookie) = match &message.node {
        Some(node) => (node.part().ptr, node.part().cookie),
        None => (0, 0),
    };
    let incoming = Incoming {
        ptr,
        cookie,
        code: part.code,
        flags: part.flags,
        sender_pid: sender_pid(message, kind),
        sender_euid: part.euid.in_ns(&UserNs::current()).unwrap_or(u32::MAX),
        data_size: part.sizes.data,
        offsets_size: part.sizes.offsets,
        buffer,
        offsets: buffer + part.sizes.offsets_at()?,
    };
    Some(match kind {
        Kind::Reply(_) => Return::Reply(incoming),
        Kind::Call(_) | Kind::Post => {
            Return::Transaction(incoming, part.secctx.map(|at| buffer + at))
        }
    })
}

/// The calling process in the reader's namespace; 0 for one-ways, replies, the invisible, and those
/// whose thread is gone.
fn sender_pid(message: &Message<Binder>, kind: &Kind<Binder>) -> i32 {
    match (&message.part.sender, kind, cred::current_pid_ns()) {
        (Some(leader), Kind::Call(reply), Some(ns)) if is_awaited(reply) => {
            cred::tgid_in(leader, &ns)
        }
        _ => 0,
    }
}

/// Whether the thread is there that waits for this answer.
fn is_awaited(reply: &Reply<Binder>) -> bool {
    reply
        .caller()
        .is_some_and(|(anchor, queue)| anchor.with(|view| view.is_open(queue)))
}

/// What poll says to the calling thread.
pub(super) fn poll(caller: &Caller<'_>) -> PollMask {
    let queue = caller.thread.queue;
    let found = caller.peer.anchor().with(|view| {
        if let Some(looper) = view.queue(queue) {
            looper.set_poll();
        }
        let proc_work = dispatch::takes_proc_work(view, queue);
        dispatch::look(view, queue, proc_work)
    });
    match found {
        Found::Ready => PollMask::IN,
        Found::Nothing => PollMask::EMPTY,
    }
}
