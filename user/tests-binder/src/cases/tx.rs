// SPDX-License-Identifier: MIT OR Apache-2.0

//! Calls and replies.

use super::{case, Case};
use crate::abi::{br, tf};
use crate::actor::Thread;
use crate::ops;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{check, same, Cx, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(28 tx_call),
    case!(29 tx_call_of_a_fresh_thread),
    case!(30 tx_reply),
    case!(31 tx_reply_without_call),
    case!(31 tx_reply_from_another_thread),
    case!(32 tx_nested_call_meets_the_waiting_thread),
    case!(32 tx_nested_four_deep),
    case!(33 tx_interrupted_caller),
    case!(32 tx_call_while_serving),
    case!(34 tx_server_thread_exits),
    case!(34 tx_server_dies_before_reading),
    case!(34 tx_server_dies_while_serving),
    case!(35 tx_caller_dies),
    case!(35 tx_calling_thread_exits),
    case!(35 tx_calling_thread_exits_before_the_read),
    case!(36 tx_middle_of_a_chain_exits),
    case!(42 tx_thread_uid_is_told),
    case!(42 tx_sender_in_a_child_pid_namespace),
    case!(42 tx_receiver_in_child_namespaces),
    case!(43 tx_chain_255_deep),
];

fn tx_call(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let flags = tf::ACCEPT_FDS | 0x8000_0008;
    let waiting = a.block(&bc().call(Tx::to(0).code(7).flags(flags).data(b"hello")))?;
    let call = m.accept()?;
    same(
        "target",
        (call.target, call.cookie),
        (MANAGER.ptr, MANAGER.cookie),
    )?;
    same("code and flags", (call.code, call.flags), (7, flags))?;
    same("sender", (call.sender_pid, call.sender_euid), (a.pid, 0))?;
    same("data", m.payload(&call)?, b"hello".to_vec())?;
    same(
        "place",
        (call.buffer % 8, call.offsets - call.buffer),
        (0, 8),
    )?;
    let (begin, length) = m.mapping;
    check(
        "in the mapping",
        (begin..begin + length).contains(&call.buffer),
    )?;
    m.answer_with(Tx::answer())?;
    waiting.finish()?.expect("NOOP COMPLETE REPLY")?;
    Ok(())
}

fn tx_call_of_a_fresh_thread(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let a = cx.mapped("A", MAPPING)?;
    a.write_read(&bc().call(Tx::to(0)))?
        .expect("NOOP COMPLETE")?;
    m.accept()?;
    m.answer_with(Tx::answer())?;
    a.read()?.expect("NOOP REPLY")?;
    Ok(())
}

fn tx_reply(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let a2 = a.thread("A2")?;
    for (thread, code) in [(&a as &Thread, 0), (&a2, u32::MAX)] {
        thread.write(&bc().call(Tx::to(0)))?;
        m.accept()?;
        m.answer_with(Tx::answer().code(code).flags(0x18).data(b"12345678"))?;
        let reply = thread.ending()?;
        same("target", (reply.target, reply.cookie), (0, 0))?;
        same("code and flags", (reply.code, reply.flags), (code, 0x18))?;
        same("sender", (reply.sender_pid, reply.sender_euid), (0, 0))?;
        same("data", a.payload(&reply)?, b"12345678".to_vec())?;
    }
    Ok(())
}

fn tx_reply_without_call(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write_read(&bc().reply(Tx::answer()))?
        .expect("NOOP FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, -libc::EPROTO)?;
    // On top of its stack is a call of its own.
    a.write(&bc().call(Tx::to(0)))?;
    a.write_read(&bc().reply(Tx::answer()))?
        .expect("NOOP COMPLETE FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, -libc::EPROTO)?;
    m.accept()?;
    m.answer_with(Tx::answer())?;
    a.read()?.expect("NOOP REPLY")?;
    Ok(())
}

fn tx_reply_from_another_thread(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let m2 = m.thread("M2")?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    m2.write_read(&bc().reply(Tx::answer()))?
        .expect("NOOP FAILED_REPLY")?;
    m2.has_error(br::FAILED_REPLY, -libc::EPROTO)?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    Ok(())
}

fn tx_nested_call_meets_the_waiting_thread(cx: &Cx) -> Res {
    let node = Node::new(0x20);
    let (m, a) = cx.pair()?;
    let h = cx.hand_in(&a, &m, Obj::node(node))?.value as u32;
    let looper = a.thread("A2")?;
    let looping = looper.block(&bc())?;
    let waiting = a.block(&bc().call(Tx::to(0).code(1)))?;
    m.accept()?;
    m.write(&bc().call(Tx::to(h).code(2)))?;
    // The completion of the outer call comes with the inner one.
    let inner = waiting
        .finish()?
        .expect("NOOP COMPLETE TRANSACTION")?
        .message()?;
    same(
        "code and sender",
        (inner.code, inner.sender_pid),
        (2, m.pid),
    )?;
    a.answer_with(Tx::answer().code(3))?;
    let waiting = a.block(&bc())?;
    let end = m.ending()?;
    same("code", end.code, 3)?;
    m.answer_with(Tx::answer().code(4))?;
    let end = waiting.finish()?.expect("NOOP REPLY")?.message()?;
    same("code", end.code, 4)?;
    // From a thread that serves nobody, the same call goes to the pool.
    m.write(&bc().call(Tx::to(h).code(5)))?;
    same(
        "code",
        looping
            .finish()?
            .expect("NOOP TRANSACTION")?
            .message()?
            .code,
        5,
    )
}

fn tx_nested_four_deep(cx: &Cx) -> Res {
    let (na, nb) = (Node::new(0x20), Node::new(0x30));
    let (s, a) = cx.pair()?;
    let b = cx.proc("B")?;
    let to_b = cx.hand_in(&b, &s, Obj::node(nb))?.value as u32;
    let to_a = cx.share(&s, &a, na, &b)?;
    let idle_a = a.thread("A2")?;
    let idle_s = s.thread("S2")?;
    let _idle = (idle_a.block(&bc())?, idle_s.block(&bc())?);

    a.write(&bc().call(Tx::to(0).code(1)))?;
    // S2 waits, S doesn't: the first call is for S2.
    let outer = _idle.1.finish()?.expect("NOOP TRANSACTION")?.message()?;
    same("code", outer.code, 1)?;
    idle_s.write(&bc().call(Tx::to(to_b).code(2)))?;
    same("code", b.accept()?.code, 2)?;
    b.write(&bc().call(Tx::to(to_a).code(3)))?;
    let third = a.read()?.expect("NOOP COMPLETE TRANSACTION")?.message()?;
    same("code", third.code, 3)?;
    a.write(&bc().call(Tx::to(0).code(4)))?;
    let fourth = idle_s
        .read()?
        .expect("NOOP COMPLETE TRANSACTION")?
        .message()?;
    same("code", fourth.code, 4)?;

    idle_s.answer_with(Tx::answer().code(14))?;
    same("code", a.ending()?.code, 14)?;
    a.answer_with(Tx::answer().code(13))?;
    same("code", b.ending()?.code, 13)?;
    b.answer_with(Tx::answer().code(12))?;
    same(
        "code",
        idle_s.read()?.expect("NOOP REPLY")?.message()?.code,
        12,
    )?;
    idle_s.answer_with(Tx::answer().code(11))?;
    same("code", a.read()?.expect("NOOP REPLY")?.message()?.code, 11)
}

fn tx_interrupted_caller(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let waiting = a.block(&bc().call(Tx::to(0).code(1)))?;
    a.signal(libc::SIGUSR1)?;
    waiting.finish()?.fails(libc::EINTR)?;
    a.write_read(&bc().call(Tx::to(0).code(2).one_way()))?
        .expect("NOOP COMPLETE COMPLETE")?;
    a.write_read(&bc().call(Tx::to(0).code(3)))?
        .expect("NOOP FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, -libc::EPROTO)?;
    same("code", m.accept()?.code, 1)?;
    m.answer_with(Tx::answer())?;
    a.read()?.expect("NOOP REPLY")?;
    same("code", m.accept()?.code, 2)
}

fn tx_call_while_serving(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(Node::new(0x20))?;
    let waiting = s.block(&bc())?;
    a.write(&bc().call(Tx::to(h).code(1)))?;
    waiting.finish()?.expect("NOOP TRANSACTION")?;
    s.write(&bc().call(Tx::to(0).code(2)))?;
    same("code", m.accept()?.code, 2)?;
    m.answer_with(Tx::answer())?;
    s.ending()?;
    s.answer_with(Tx::answer())?;
    a.ending()?;
    Ok(())
}

fn tx_server_thread_exits(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let waiting = a.block(&bc().call(Tx::to(0)))?;
    m.accept()?;
    m.thread_exit()?;
    waiting.finish()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    a.has_error(br::OK, 0)
}

fn tx_server_dies_before_reading(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let waiting = a.block(&bc().call(Tx::to(0)))?;
    m.kill()?;
    waiting.finish()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    a.has_error(br::OK, 0)
}

fn tx_server_dies_while_serving(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let waiting = a.block(&bc().call(Tx::to(0)))?;
    m.accept()?;
    m.kill()?;
    waiting.finish()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    a.has_error(br::OK, 0)
}

fn tx_caller_dies(cx: &Cx) -> Res {
    let node = Node::new(0x20);
    let (m, a) = cx.pair()?;
    let h = cx.hand_in(&a, &m, Obj::node(node))?.value as u32;
    m.write(&bc().request_death(h, 0x55))?;
    let m2 = m.thread("M2")?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    a.kill()?;
    // A thread that serves a call hears of no death; another one does.
    m2.read()?.expect("NOOP DEAD_BINDER(55)")?;
    m.answer_with(Tx::answer().data(b"nobody"))?;
    m.idle()
}

fn tx_calling_thread_exits(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let a2 = a.thread("A2")?;
    a2.write(&bc().call(Tx::to(0)))?;
    let call = m.accept()?;
    same("sender", call.sender_pid, a.pid)?;
    a2.thread_exit()?;
    m.answer_with(Tx::answer())?;
    a.idle()
}

fn tx_calling_thread_exits_before_the_read(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let a2 = a.thread("A2")?;
    a2.write(&bc().call(Tx::to(0)))?;
    a2.thread_exit()?;
    // Who called is known only while somebody waits for the answer.
    same("sender", m.accept()?.sender_pid, 0)?;
    m.answer_with(Tx::answer())?;
    let b = cx.proc("B")?;
    b.write(&bc().call(Tx::to(0)))?;
    b.kill()?;
    same("sender", m.accept()?.sender_pid, 0)?;
    m.answer_with(Tx::answer())
}

fn tx_middle_of_a_chain_exits(cx: &Cx) -> Res {
    let node = Node::new(0x30);
    let (s, a) = cx.pair()?;
    let b = cx.proc("B")?;
    let to_b = cx.hand_in(&b, &s, Obj::node(node))?.value as u32;
    let waiting = a.block(&bc().call(Tx::to(0)))?;
    s.accept()?;
    s.write(&bc().call(Tx::to(to_b)))?;
    b.accept()?;
    s.thread_exit()?;
    let waiting = waiting.blocks()?;
    b.answer_with(Tx::answer())?;
    waiting.finish()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    Ok(())
}

fn tx_thread_uid_is_told(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let a2 = a.thread("A2")?;
    same("setresuid", a2.run(ops::set_thread_uid, &[4321])?, 0)?;
    a2.write(&bc().call(Tx::to(0)))?;
    same("euid of the thread", m.accept()?.sender_euid, 4321)?;
    m.answer_with(Tx::answer())?;
    a.write_read(&bc().call(Tx::to(0).one_way()))?
        .expect("NOOP COMPLETE")?;
    same("euid of the other", m.accept()?.sender_euid, 0)
}

fn tx_sender_in_a_child_pid_namespace(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let outer = cx.process("outer")?;
    same(
        "unshare",
        outer.run(ops::unshare, &[libc::CLONE_NEWPID as u64])?,
        0,
    )?;
    let mut inner = outer.fork_process("inner")?;
    same("pid inside", inner.run(ops::gettid, &[])?, 1)?;
    inner.open(&cx.device)?;
    check("mmap", inner.map(MAPPING)? > 0)?;
    inner.greet()?;
    inner.write(&bc().call(Tx::to(0)))?;
    let call = m.accept()?;
    same(
        "sender",
        (call.sender_pid, call.sender_euid),
        (inner.pid, 0),
    )?;
    m.answer_with(Tx::answer())?;
    inner.ending()?;
    Ok(())
}

fn tx_receiver_in_child_namespaces(cx: &Cx) -> Res {
    let outer = cx.process("outer")?;
    same(
        "unshare",
        outer.run(ops::unshare, &[libc::CLONE_NEWPID as u64])?,
        0,
    )?;
    let mut m = outer.fork_process("M")?;
    m.open(&cx.device)?;
    check("mmap", m.map(MAPPING)? > 0)?;
    m.greet()?;
    same("manager", m.become_manager(MANAGER)?, 0)?;
    // Without a map, no user of the outer namespace has a number here.
    same(
        "unshare",
        m.run(ops::unshare, &[libc::CLONE_NEWUSER as u64])?,
        0,
    )?;
    let a = cx.proc("A")?;
    a.write(&bc().call(Tx::to(0)))?;
    let call = m.accept()?;
    same(
        "sender",
        (call.sender_pid, call.sender_euid as i32),
        (0, -1),
    )?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    Ok(())
}

fn tx_chain_255_deep(cx: &Cx) -> Res {
    let node = Node::new(0x20);
    let (m, a) = cx.pair()?;
    let h = cx.hand_in(&a, &m, Obj::node(node))?.value as u32;
    cx.quiet(true);
    let sides: [&Thread; 2] = [&a, &m];
    let targets = [0, h];
    for depth in 0..255u32 {
        let (from, to) = (depth as usize % 2, (depth as usize + 1) % 2);
        sides[from].write(&bc().call(Tx::to(targets[from]).code(depth)))?;
        let first = if depth == 0 {
            "NOOP TRANSACTION"
        } else {
            "NOOP COMPLETE TRANSACTION"
        };
        let call = sides[to].read()?.expect(first)?.message()?;
        same("code", call.code, depth)?;
        sides[to].write(&bc().free(call.buffer))?;
    }
    for depth in (0..255u32).rev() {
        let (from, to) = (depth as usize % 2, (depth as usize + 1) % 2);
        sides[to]
            .write_read(&bc().reply(Tx::answer().code(depth)))?
            .expect("NOOP COMPLETE")?;
        let first = if depth == 254 {
            "NOOP COMPLETE REPLY"
        } else {
            "NOOP REPLY"
        };
        let reply = sides[from].read()?.expect(first)?.message()?;
        same("code", reply.code, depth)?;
        sides[from].write(&bc().free(reply.buffer))?;
    }
    cx.quiet(false);
    cx.note("255 calls and 255 replies");
    Ok(())
}
