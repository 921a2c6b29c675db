// SPDX-License-Identifier: GPL-2.0

//! Calls, one-ways and replies, from the command to the committed message.
//!
//! The steps are those of the ABI, because their order decides which error is read: the target, the
//! sender's right to call it, the state of the sender's stack, the security context, room at the
//! receiver, the contents, and at last the engine's commit, in which the receiver's state decides.
//!
//! A failed call or one-way leaves a code in the sender's own queue and the cause in its extended
//! error. A reply fails only towards the replier if there was no call to answer; everything else is
//! told to the caller, or to the next caller up the chain that is still there. The replier then reads
//! that all is well, but as a failure of its own: it stops the commands that follow until it is read.
//!
//! No lock is held between the steps but the thread's own.

#![deny(unsafe_code)]

use super::{
    abi,
    buffer,
    buffer::{
        Budget,
        Pages,
        Sizes, //
    },
    command::{
        to_u64,
        to_usize,
        Outgoing,
        Strength, //
    },
    contents,
    contents::{
        Contents,
        Route, //
    },
    dispatch::{
        Looper,
        Serving, //
    },
    envelope::Envelope,
    error::{
        Extended,
        Failure,
        ReplyFailure, //
    },
    freeze::{
        Frozen,
        Note, //
    },
    guard,
    loan,
    references,
    references::Held,
    reply::Code,
    spam::Load,
    thread::Caller,
    Binder,
    BinderPeer,
    Queued, //
};
use crate::{
    core::{
        anchor::{
            Peeked,
            Spare, //
        },
        call::Reply,
        inbox::QueueId,
        message::Kind,
        node::Node,
        personality::{
            Via,
            When, //
        },
        pool::{
            Pool,
            PoolError,
            Slice, //
        },
        quota::{
            Amounts,
            Principal, //
        },
        sync::{
            Atomic,
            Relaxed, //
        },
        transaction::{
            Draft,
            Filled,
            Outcome,
            Refusal,
            ReserveError,
            Reserved, //
        },
    },
    shim::{
        cred::Uid,
        realm,
        security,
        security::SecurityCtx, //
    },
};
use kernel::{
    cred::Credential,
    prelude::*,
    sync::Arc, //
};

/// Gives each transaction its number; 0 is none.
static NEXT_ID: Atomic<u32> = Atomic::new(1);

/// Begins a transaction: its number is in the thread's extended error from now on.
///
/// `f` is done on the way, under the inbox lock.
fn begin<R>(caller: &Caller<'_>, f: impl FnOnce(&mut Looper) -> R) -> (u32, Option<R>) {
    let id = NEXT_ID.fetch_add(1, Relaxed);
    let result = caller.with_looper(|looper| {
        looper.extended = Extended::started(id);
        f(looper)
    });
    (id, result)
}

/// Ends a transaction that failed by the fault of the caller.
fn fail(caller: &mut Caller<'_>, id: u32, failure: Failure) {
    caller.with_looper(|looper| looper.extended = Extended::failed(id, failure));
    caller.fail(failure.code);
}

/// BC_TRANSACTION.
pub(super) fn transact(caller: &mut Caller<'_>, out: &Outgoing) {
    if out.flags & abi::TF_ONE_WAY != 0 {
        let (id, _) = begin(caller, |_| ());
        if let Err(failure) = send_one_way(caller, out) {
            fail(caller, id, failure);
        }
        return;
    }
    // What is at the top of the stack travels with the call, or comes back.
    let (id, top) = begin(caller, |looper| (looper.stack.waits(), looper.stack.take()));
    let (waits, mut serving) = top.unwrap_or((true, None));
    if let Err(failure) = send_call(caller, out, waits, &mut serving) {
        if let Some(serving) = serving {
            drop(caller.with_looper(|looper| looper.stack.serve(serving)));
        }
        fail(caller, id, failure);
    }
}

/// BC_REPLY.
pub(super) fn reply(caller: &mut Caller<'_>, out: &Outgoing) {
    let (id, serving) = begin(caller, |looper| looper.stack.take());
    let serving = serving.flatten();
    let before = serving.as_ref().map(|serving| serving.served.before);
    match answer(caller, out, serving) {
        Ok(()) => {}
        Err(ReplyFailure::Gone(reply)) => {
            caller.fail(Code::TransactionComplete);
            // The next caller up the chain is told.
            drop(reply);
        }
        Err(ReplyFailure::Caller(failure, reply)) => {
            caller.fail(Code::TransactionComplete);
            record_late(&reply, Extended::failed(id, failure));
            reply.fail(Queued::Plain(failure.code));
        }
        Err(ReplyFailure::Replier(failure)) => fail(caller, id, failure),
    }
    // Well or ill, the call is over.
    if let Some(before) = before {
        loan::end(caller, before);
    }
}

/// Notes in the caller's thread why it got no answer, unless a failure stands there already.
fn record_late(reply: &Reply<Binder>, extended: Extended) {
    if let Some((caller, queue)) = reply.caller() {
        caller.with(|view| match view.queue(queue) {
            Some(looper) if looper.extended.is_ok() => looper.extended = extended,
            _ => {}
        });
    }
}

/// Sends a one-way. It may be sent in any state of the stack.
fn send_one_way(caller: &Caller<'_>, out: &Outgoing) -> Result<(), Failure> {
    let (node, draft) = address(caller.peer, out)?;
    let completion = Spare::new(caller.peer.anchor()).map_err(Error::from)?;
    let secctx = security_context(caller.peer, &node)?;
    let cover = Cover {
        secctx: secctx.as_ref(),
        node: Some(&node),
        accepts_fds: contents::node_accepts_fds(&node),
        nested: None,
        one_way: true,
    };
    let filled = fill(caller, draft, out, cover)?;
    let note = match filled.commit(caller.peer.anchor()) {
        Outcome::Delivered(note) | Outcome::Parked(note) => note,
        Outcome::Superseded(note, old) => {
            drop(old);
            note
        }
        Outcome::Refused(why, message) => {
            drop(message);
            return Err(refused(why));
        }
        // Only a multicast is cancelled.
        Outcome::Cancelled => return Err(Failure::died()),
    };
    let code = match note {
        Note::Taken => Code::TransactionComplete,
        Note::Suspect => Code::OnewaySpamSuspect,
        Note::Pending => Code::TransactionPendingFrozen,
    };
    caller.post(completion, code);
    Ok(())
}

/// Sends a call. `waits` tells that the thread waits for an answer; `serving` is what it serves, and
/// is taken if the call is.
fn send_call(
    caller: &Caller<'_>,
    out: &Outgoing,
    waits: bool,
    serving: &mut Option<Serving>,
) -> Result<(), Failure> {
    let (node, draft) = address(caller.peer, out)?;
    if waits || has_message(caller) {
        return Err(Failure::failed(EPROTO));
    }
    let completion = Spare::new(caller.peer.anchor()).map_err(Error::from)?;
    let secctx = security_context(caller.peer, &node)?;
    let cover = Cover {
        secctx: secctx.as_ref(),
        node: Some(&node),
        accepts_fds: contents::node_accepts_fds(&node),
        nested: serving
            .as_ref()
            .and_then(|serving| nested(&serving.reply, draft.receiver())),
        one_way: false,
    };
    let filled = fill(caller, draft, out, cover)?;
    commit_call(caller, filled, completion, serving)
}

/// The target of a call or one-way, which the sender may send to.
fn address(
    peer: &BinderPeer,
    out: &Outgoing,
) -> Result<(Arc<Node<Binder>>, Draft<Binder>), Failure> {
    let node = target(peer, out.handle)?;
    let draft = Draft::to(&node).map_err(|_| Failure::dead(EINVAL))?;
    check_receiver(peer, draft.receiver(), out.handle)?;
    Ok((node, draft))
}

/// The node behind `desc`, which must be held strongly; 0 is the manager of this moment.
fn target(peer: &BinderPeer, desc: u32) -> Result<Arc<Node<Binder>>, Failure> {
    if desc == 0 {
        let manager = peer.part().context.manager();
        return manager.ok_or(Failure::dead(EINVAL));
    }
    references::find_held(peer, desc, Strength::Strong)
        .map(|handle| handle.node().clone())
        .map_err(|_| Failure::failed(EINVAL))
}

/// Whether the sender may call the receiver at all.
fn check_receiver(sender: &BinderPeer, receiver: &BinderPeer, desc: u32) -> Result<(), Failure> {
    // The manager's process can't call the manager, not even through another file.
    let itself = Arc::ptr_eq(sender.anchor(), receiver.anchor());
    if itself || (desc == 0 && sender.part().pid() == receiver.part().pid()) {
        return Err(Failure::failed(EINVAL));
    }
    security::transaction(&sender.part().cred, &receiver.part().cred)
        .map_err(|_| Failure::failed(EPERM))
}

/// Whether the next thing that the thread has to read is a message: then it can't make a call.
fn has_message(caller: &Caller<'_>) -> bool {
    let is_message = |entry: Peeked<'_, Binder>| matches!(entry, Peeked::Message(_));
    caller.peer.anchor().peek(caller.thread.queue, is_message) == Some(true)
}

/// The security context of the sender, if the node wants to know it and there is one.
fn security_context(
    sender: &BinderPeer,
    node: &Node<Binder>,
) -> Result<Option<SecurityCtx>, Failure> {
    if node.part().flags & abi::FLAT_BINDER_FLAG_TXN_SECURITY_CTX == 0 {
        return Ok(None);
    }
    let context = security::context_of(&sender.part().cred)?;
    Ok((!context.is_empty()).then_some(context))
}

/// The thread of `receiver` that waits for an answer in the chain of calls which led to `reply`: the
/// innermost one.
fn nested(reply: &Reply<Binder>, receiver: &BinderPeer) -> Option<QueueId> {
    Reply::chain(reply)
        .find(|(anchor, queue)| {
            Arc::ptr_eq(anchor, receiver.anchor()) && anchor.with(|view| view.is_open(*queue))
        })
        .map(|(_, queue)| queue)
}

/// What is known of a message before its memory is.
struct Cover<'a> {
    secctx: Option<&'a SecurityCtx>,
    node: Option<&'a Arc<Node<Binder>>>,
    accepts_fds: bool,
    nested: Option<QueueId>,
    one_way: bool,
}

/// Reserves room at the receiver and fills it.
fn fill(
    caller: &Caller<'_>,
    draft: Draft<Binder>,
    out: &Outgoing,
    cover: Cover<'_>,
) -> Result<Filled<Binder>, Failure> {
    let receiver = draft.receiver().clone();
    if !buffer::is_mapped(&receiver) {
        return Err(Failure::dead(ESRCH));
    }
    let secctx = cover.secctx.map_or(&[][..], |context| context.as_bytes());
    let sizes = sizes(out, secctx)?;
    let total = to_usize(sizes.total().ok_or(Failure::failed(EINVAL))?);
    let euid = Uid::current_effective();
    let sender = &caller.peer.part().cred;
    let (mut reserved, load) = reserve(draft, total, sender, &cover)?;
    if out.flags & abi::TF_CLEAR_BUF != 0 {
        reserved.slice().clear_on_drop();
    }
    let place = Some(buffer::reserve_place()?);
    let secctx = write_context(reserved.slice(), &sizes, secctx)?;
    let route = Route {
        sender: caller.peer,
        queue: caller.thread.queue,
        receiver: &receiver,
        accepts_fds: cover.accepts_fds,
    };
    let Contents {
        objects,
        files,
        arrays,
    } = contents::fill(&route, reserved.slice(), out, &sizes)?;
    let target = match cover.node {
        Some(node) => Some(hold(node, &receiver)?),
        None => None,
    };
    let is_call = cover.node.is_some() && !cover.one_way;
    let envelope = Envelope {
        code: out.code,
        flags: out.flags,
        sizes,
        secctx,
        sender: is_call.then(|| caller.peer.part().leader.clone()),
        euid,
        target,
        objects,
        arrays,
        reader: None,
        place,
        outstanding: None,
        nested: cover.nested,
        load,
        level: is_call.then(loan::current_level).flatten(),
        saved: None,
    };
    Ok(reserved
        .fill(KVec::new(), files, envelope)
        .map_err(Error::from)?)
}

/// Takes `total` bytes of the receiver's mapping; of one-ways also from the room that they have.
fn reserve(
    draft: Draft<Binder>,
    total: usize,
    sender: &Credential,
    cover: &Cover<'_>,
) -> Result<(Reserved<Binder>, Option<Load>), Failure> {
    let receiver = draft.receiver().clone();
    let room = if cover.one_way {
        let room = Budget::take(&receiver.part().budget, total);
        Some(room.ok_or(Failure::failed(ENOSPC))?)
    } else {
        None
    };
    let amounts = Amounts {
        slices: 1,
        bytes: Pool::<Pages>::price(total).ok_or(Failure::failed(ENOSPC))?,
        ..Amounts::NONE
    };
    // A reply is what its receiver has asked for.
    let payer = match cover.node {
        Some(_) => realm::principal(sender, &receiver.part().cred),
        None => Principal::OWN,
    };
    let charge = if cover.one_way {
        guard::charge_oneway(&receiver, payer, amounts.bytes)?
    } else {
        None
    };
    let reserved = draft.reserve(payer, amounts, total);
    let reserved = reserved.map_err(|error| guard::told(&receiver, error))?;
    let load = room.map(|room| Load::new(&receiver, room, charge, total));
    Ok((reserved, load.transpose()?))
}

/// The owner's own count for a call to its node.
fn hold(node: &Arc<Node<Binder>>, owner: &BinderPeer) -> Result<Held, Failure> {
    Held::link(node, owner, Strength::Strong, Via::Any).map_err(|_| Failure::failed(ENOMEM))
}

/// The sizes of a buffer, with the security context at its end.
fn sizes(out: &Outgoing, secctx: &[u8]) -> Result<Sizes, Failure> {
    let context = buffer::round(to_u64(secctx.len()));
    let extra = context.and_then(|len| out.buffers_size.checked_add(len));
    Ok(Sizes {
        data: out.data_size,
        offsets: out.offsets_size,
        extra: extra.ok_or(Failure::failed(EINVAL))?,
    })
}

/// Writes the security context; returns where.
fn write_context(
    slice: &mut Slice<Pages>,
    sizes: &Sizes,
    secctx: &[u8],
) -> Result<Option<u64>, Failure> {
    if secctx.is_empty() {
        return Ok(None);
    }
    let end = sizes.total().ok_or(Failure::failed(EINVAL))?;
    let len = buffer::round(to_u64(secctx.len())).ok_or(Failure::failed(EINVAL))?;
    let at = end.checked_sub(len).ok_or(Failure::failed(EINVAL))?;
    slice
        .write(to_usize(at), secctx)
        .map_err(|_| Failure::failed(EINVAL))?;
    Ok(Some(at))
}

/// The receiver's last word on a message.
fn refused(why: Refusal<Binder>) -> Failure {
    match why {
        Refusal::Closed | Refusal::Gone => Failure::died(),
        Refusal::Personality(Frozen) => Failure::frozen(),
    }
}

/// Commits a call: what the thread serves moves into it, and its completion is handed out with what
/// it waits for. If it is refused, both are as before.
fn commit_call(
    caller: &Caller<'_>,
    filled: Filled<Binder>,
    completion: Spare<Binder>,
    serving: &mut Option<Serving>,
) -> Result<(), Failure> {
    let anchor = caller.peer.anchor();
    let queue = caller.thread.queue;
    make_room(caller)?;
    let (parent, served) = match serving.take() {
        Some(serving) => (Some(serving.reply), Some(serving.served)),
        None => (None, None),
    };
    let call = match Reply::new(anchor, queue, parent) {
        Ok(call) => call,
        Err((_, parent)) => {
            *serving = parent.zip(served).map(Serving::from);
            return Err(Failure::failed(ENOMEM));
        }
    };
    // From the commit on the answer can come.
    let noted = caller.with_looper(|looper| looper.stack.call(served));
    debug_assert!(matches!(noted, Some(Ok(()))));
    let complete = Queued::Plain(Code::TransactionComplete);
    let posted = anchor.post_code(queue, completion, complete, When::Later);
    match filled.call(call).commit(anchor) {
        Outcome::Refused(why, mut message) => {
            if let Ok(posted) = posted {
                drop(anchor.withdraw_code(posted));
            }
            let served = caller.with_looper(|looper| looper.stack.uncall());
            if let Kind::Call(call) = ::core::mem::replace(&mut message.kind, Kind::Post) {
                *serving = call.cancel().zip(served.flatten()).map(Serving::from);
            }
            drop(message);
            Err(refused(why))
        }
        Outcome::Delivered(_) | Outcome::Parked(_) => Ok(()),
        // A call goes to no lane, and a unicast is not cancelled.
        Outcome::Superseded(..) | Outcome::Cancelled => Ok(()),
    }
}

/// Makes sure that one more call can be noted in the stack. ENOMEM.
fn make_room(caller: &Caller<'_>) -> Result<(), Failure> {
    let wanted = caller.with_looper(|looper| looper.stack.wants_room());
    if let Some(capacity) = wanted.flatten() {
        let room = KVec::with_capacity(capacity, GFP_KERNEL_ACCOUNT).map_err(Error::from)?;
        drop(caller.with_looper(|looper| looper.stack.grow(room)));
    }
    Ok(())
}

/// Answers the call that was at the top of the stack.
///
/// The replier's completion is queued before anybody hears of the answer: whoever does may answer
/// the replier's own outer call at once, and that must not be read before it.
fn answer(
    caller: &Caller<'_>,
    out: &Outgoing,
    serving: Option<Serving>,
) -> Result<(), ReplyFailure> {
    // The call is not done before the answer is sent.
    let Some(Serving { reply, served }) = serving else {
        return Err(ReplyFailure::Replier(Failure::failed(EPROTO)));
    };
    let completion = match Spare::new(caller.peer.anchor()) {
        Ok(completion) => completion,
        // The call can't be answered a second time, so its caller is told, too.
        Err(_) => return Err(ReplyFailure::Replier(Failure::failed(ENOMEM))),
    };
    let Ok(draft) = Draft::answer(&reply) else {
        return Err(ReplyFailure::Gone(reply));
    };
    let cover = Cover {
        secctx: None,
        node: None,
        accepts_fds: served.accepts_fds,
        nested: None,
        one_way: false,
    };
    let filled = match fill(caller, draft, out, cover) {
        Ok(filled) => filled,
        Err(failure) => return Err(ReplyFailure::Caller(failure, reply)),
    };
    caller.post(completion, Code::TransactionComplete);
    if let Err(((_, message), reply)) = filled.answer(reply, caller.peer.anchor()) {
        drop(message);
        drop(reply);
    }
    Ok(())
}

impl From<ReserveError> for Failure {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::NoPool => Failure::dead(ESRCH),
            ReserveError::OverLimit(_) => Failure::failed(ENOSPC),
            ReserveError::Pool(PoolError::TooLarge | PoolError::NoSpace) => Failure::failed(ENOSPC),
            ReserveError::Pool(PoolError::NoMemory) => Failure::failed(ENOMEM),
        }
    }
}
