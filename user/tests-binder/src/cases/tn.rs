// SPDX-License-Identifier: MIT OR Apache-2.0

//! Chains of calls that are cut at some point.
//!
//! `A` calls `S` (the manager), `S` calls `B`, `B` may call `C`.

use super::{case, Case};
use crate::abi::br;
use crate::actor::Proc;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{same, Cx, Res};

pub(super) const CASES: &[Case] = &[
    case!(33 tn_call_with_a_call_unread),
    case!(34 tn_exit_with_a_call_unread),
    case!(34 tn_end_of_a_chain_dies),
    case!(36 tn_middle_process_dies),
    case!(36 tn_two_in_the_middle_exit),
    case!(36 tn_middle_exits_and_the_end_dies),
    case!(33 tn_waiting_caller_gets_no_process_work),
    case!(32 tn_replies_answer_the_innermost_call),
];

/// `A` waits for `S` but was interrupted; `S` has called back into it, and the
/// call lies on the todo list of `A`'s thread.
fn called_back(cx: &Cx) -> Res<(Proc, Proc)> {
    let (s, a) = cx.pair()?;
    let h = cx.hand_in(&a, &s, Obj::node(Node::new(0x20)))?.value as u32;
    let waiting = a.block(&bc().call(Tx::to(0).code(1)))?;
    a.signal(libc::SIGUSR1)?;
    waiting.finish()?.fails(libc::EINTR)?;
    s.accept()?;
    s.write(&bc().call(Tx::to(h).code(2)))?;
    Ok((s, a))
}

fn tn_call_with_a_call_unread(cx: &Cx) -> Res {
    let (s, a) = called_back(cx)?;
    // The thread waits for a reply, whatever else lies on its list.
    a.write(&bc().call(Tx::to(0).code(3)))?;
    let inner = a.read()?.expect("NOOP COMPLETE TRANSACTION")?.message()?;
    same("inner call", inner.code, 2)?;
    a.read()?.expect("NOOP FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, -libc::EPROTO)?;
    a.answer_with(Tx::answer())?;
    s.ending()?;
    s.answer_with(Tx::answer())?;
    a.read()?.expect("NOOP REPLY")?;
    Ok(())
}

fn tn_exit_with_a_call_unread(cx: &Cx) -> Res {
    let (s, a) = called_back(cx)?;
    a.thread_exit()?;
    s.read()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    // What S still serves has lost its caller.
    s.answer_with(Tx::answer())?;
    a.read()?.expect("NOOP")?;
    a.idle()
}

/// The chain with everything read and nothing answered.
fn chain(cx: &Cx) -> Res<(Proc, Proc, Proc)> {
    let (s, a) = cx.pair()?;
    let b = cx.proc("B")?;
    let to_b = cx.hand_in(&b, &s, Obj::node(Node::new(0x30)))?.value as u32;
    a.write(&bc().call(Tx::to(0)))?;
    s.accept()?;
    s.write(&bc().call(Tx::to(to_b)))?;
    b.accept()?;
    Ok((a, s, b))
}

fn tn_end_of_a_chain_dies(cx: &Cx) -> Res {
    let (a, s, b) = chain(cx)?;
    b.kill()?;
    s.read()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    s.answer_with(Tx::answer().code(6))?;
    same("code", a.ending()?.code, 6)
}

fn tn_middle_process_dies(cx: &Cx) -> Res {
    let (a, s, b) = chain(cx)?;
    // B is told when S is gone: it holds a handle to the manager's node.
    let witness = b.thread("B2")?;
    witness.write(&bc().acquire(0).request_death(0, 1))?;
    let waiting = a.block(&bc())?;
    s.kill()?;
    witness.read()?.expect("NOOP DEAD_BINDER(1)")?;
    let waiting = waiting.blocks()?;
    b.answer_with(Tx::answer())?;
    waiting.finish()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    Ok(())
}

fn tn_two_in_the_middle_exit(cx: &Cx) -> Res {
    let (a, s, b) = chain(cx)?;
    let c = cx.proc("C")?;
    // S serves a call, so another thread of it brings B and C together.
    let (s2, b2) = (s.thread("S2")?, b.thread("B2")?);
    let to_c = cx.share(&s2, &c, Node::new(0x40), &b2)?;
    b.write(&bc().call(Tx::to(to_c)))?;
    c.accept()?;
    let waiting = a.block(&bc())?;
    s.thread_exit()?;
    b.thread_exit()?;
    let waiting = waiting.blocks()?;
    c.answer_with(Tx::answer())?;
    waiting.finish()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    Ok(())
}

fn tn_middle_exits_and_the_end_dies(cx: &Cx) -> Res {
    let (a, s, b) = chain(cx)?;
    let waiting = a.block(&bc())?;
    s.thread_exit()?;
    let waiting = waiting.blocks()?;
    b.kill()?;
    waiting.finish()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    Ok(())
}

fn tn_waiting_caller_gets_no_process_work(cx: &Cx) -> Res {
    let (s, a) = cx.pair()?;
    let h = cx.hand_in(&a, &s, Obj::node(Node::new(0x20)))?.value as u32;
    let waiting = a.block(&bc().call(Tx::to(0)))?;
    s.accept()?;
    s.write_read(&bc().call(Tx::to(h).code(5).one_way()))?
        .expect("NOOP COMPLETE")?;
    let waiting = waiting.blocks()?;
    s.answer_with(Tx::answer())?;
    waiting.finish()?.expect("NOOP COMPLETE REPLY")?;
    same("code", a.accept()?.code, 5)
}

fn tn_replies_answer_the_innermost_call(cx: &Cx) -> Res {
    let (a, s, b) = chain(cx)?;
    // S waits for B: it has nothing to answer.
    s.write_read(&bc().reply(Tx::answer().code(1)))?
        .expect("NOOP COMPLETE FAILED_REPLY")?;
    s.has_error(br::FAILED_REPLY, -libc::EPROTO)?;
    b.answer_with(Tx::answer().code(2))?;
    same("code", s.read()?.expect("NOOP REPLY")?.message()?.code, 2)?;
    s.answer_with(Tx::answer().code(3))?;
    same("code", a.ending()?.code, 3)
}
