// SPDX-License-Identifier: MIT OR Apache-2.0

//! Freezing: who can be frozen, and what reaches a frozen process.
//!
//! The driver's part of freezing is a gate; nothing here stops the threads of a process, so that
//! "frozen" ones can be seen reading.

use super::{case, Case};
use crate::abi::{br, nr, FreezeInfo, FrozenInfo};
use crate::actor::{Proc, Thread};
use crate::stress;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{check, ctl_add, same, Cx, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(70 fz_unknown_process),
    case!(70 fz_own_process),
    case!(70 fz_unread_call),
    case!(70 fz_served_call),
    case!(70 fz_own_outgoing_call),
    case!(70 fz_nested_call),
    case!(70 fz_unread_one_ways),
    case!(70 fz_unread_reply),
    case!(70 fz_waits_for_the_end),
    case!(70 fz_time_is_up),
    case!(70 fz_interrupted),
    case!(70 fz_thread_exit_ends_its_calls),
    case!(71 fz_takes_no_calls),
    case!(71 fz_refused_call_leaves_the_stack),
    case!(71 fz_one_ways_pend),
    case!(71 fz_one_ways_wake_a_reader),
    case!(71 fz_parked_one_ways_after_thaw),
    case!(71 fz_replies_arrive),
    case!(71 fz_again_clears_the_flags),
    case!(71 fz_several_files),
    case!(71 fz_files_after_a_busy_one),
    case!(71 fz_several_contexts),
    case!(71 fz_frozen_process_dies),
    case!(71 fz_dies_while_waited_for),
    case!(71 fz_file_opened_after),
    case!(70 fz_against_clients),
];

const EINVAL: i64 = -(libc::EINVAL as i64);
const EAGAIN: i64 = -(libc::EAGAIN as i64);
const EINTR: i64 = -(libc::EINTR as i64);

/// Freezes, which must work at once.
fn frozen(by: &Thread, who: &Thread) -> Res {
    same("freeze", by.freeze(who, 0)?, 0)
}

/// Tries to freeze, which must fail at once.
fn busy(by: &Thread, who: &Thread) -> Res {
    same("freeze", by.freeze(who, 0)?, EAGAIN)
}

/// A call that is refused.
fn refused(t: &Thread, tx: Tx) -> Res {
    t.write_read(&bc().call(tx))?.expect("NOOP FROZEN_REPLY")?;
    t.has_error(br::FROZEN_REPLY, 0)
}

/// A one-way to a frozen process.
fn pending(t: &Thread, tx: Tx) -> Res {
    t.write_read(&bc().call(tx.one_way()))?
        .expect("NOOP PENDING_FROZEN")?;
    t.has_error(br::OK, 0)
}

/// A one-way to another process.
fn complete(t: &Thread, tx: Tx) -> Res {
    t.write_read(&bc().call(tx.one_way()))?
        .expect("NOOP COMPLETE")
        .map(drop)
}

/// A call from begin to end.
fn called(from: &Thread, to: &Thread, tx: Tx) -> Res {
    from.write(&bc().call(tx))?;
    let call = to.accept()?;
    to.write_read(&bc().free(call.buffer).reply(Tx::answer()))?
        .expect("NOOP COMPLETE")?;
    let end = from.ending()?;
    from.write(&bc().free(end.buffer))
}

fn fz_unknown_process(cx: &Cx) -> Res {
    let (_m, a) = cx.pair()?;
    let other = cx.process("P")?;
    for pid in [0, u32::MAX, 0x3fff_ffff, other.pid as u32] {
        for enable in [0, 1] {
            let info = FreezeInfo {
                pid,
                enable,
                timeout: 10,
            };
            same(
                "freeze",
                a.ioctl_with("freeze", nr::FREEZE, &info)?.0,
                EINVAL,
            )?;
        }
        let info = FrozenInfo {
            pid,
            ..FrozenInfo::default()
        };
        let got = a.ioctl_with("info", nr::GET_FROZEN_INFO, &info)?;
        same("info", got, (EINVAL, info))?;
    }
    Ok(())
}

fn fz_own_process(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    same("info", a.frozen_info(&a)?, (0, 0))?;
    frozen(&a, &a)?;
    // It can do what it likes.
    called(&a, &m, Tx::to(0))?;
    a.thaw(&a)?;
    a.thaw(&a)
}

fn fz_unread_call(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let b = cx.proc("B")?;
    a.write(&bc().call(Tx::to(0)))?;
    busy(&b, &m)?;
    same("info", b.frozen_info(&m)?, (2, 0))?;
    b.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    m.answer_with(Tx::answer())?;
    busy(&b, &m)?;
    m.accept()?;
    m.answer_with(Tx::answer())?;
    frozen(&a, &m)?;
    same("info", b.frozen_info(&m)?, (0, 0))
}

fn fz_served_call(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let b = cx.proc("B")?;
    a.write(&bc().call(Tx::to(0)))?;
    let call = m.accept()?;
    m.write(&bc().free(call.buffer))?;
    busy(&b, &m)?;
    same("info", b.frozen_info(&m)?, (2, 0))?;
    m.answer_with(Tx::answer())?;
    same("info", b.frozen_info(&m)?, (0, 0))?;
    frozen(&b, &m)
}

fn fz_own_outgoing_call(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    busy(&m, &a)?;
    same("info", m.frozen_info(&a)?, (2, 0))?;
    m.answer_with(Tx::answer())?;
    // The answer is not read.
    busy(&m, &a)?;
    a.ending()?;
    frozen(&m, &a)
}

fn fz_nested_call(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(Node::new(0x20))?;
    let b = cx.proc("B")?;
    // A calls S, which calls M meanwhile.
    a.write(&bc().call(Tx::to(h)))?;
    s.accept()?;
    s.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    for who in [&a, &s, &m] {
        busy(&b, who)?;
    }
    m.answer_with(Tx::answer())?;
    frozen(&b, &m)?;
    s.ending()?;
    busy(&b, &s)?;
    s.answer_with(Tx::answer())?;
    frozen(&b, &s)?;
    busy(&b, &a)?;
    a.ending()?;
    frozen(&b, &a)
}

fn fz_unread_one_ways(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    complete(&a, Tx::to(0).code(1))?;
    complete(&a, Tx::to(0).code(2))?;
    busy(&a, &m)?;
    let first = m.accept()?;
    // The second is parked.
    busy(&a, &m)?;
    same("info", a.frozen_info(&m)?, (2, 0))?;
    let second = m
        .write_read(&bc().free(first.buffer))?
        .expect("NOOP TRANSACTION")?
        .message()?;
    same("info", a.frozen_info(&m)?, (0, 0))?;
    // A buffer that is not freed does not matter.
    frozen(&a, &m)?;
    m.write(&bc().free(second.buffer))
}

fn fz_unread_reply(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    m.answer_with(Tx::answer())?;
    busy(&m, &a)?;
    same("info", m.frozen_info(&a)?, (2, 0))?;
    let end = a.ending()?;
    frozen(&m, &a)?;
    a.write(&bc().free(end.buffer))
}

fn fz_waits_for_the_end(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let (b, f) = (cx.proc("B")?, cx.proc("F")?);
    a.write(&bc().call(Tx::to(0)))?;
    complete(&a.thread("A2")?, Tx::to(0))?;
    let (name, info) = m.freezing(60_000);
    f.block_in(&name, nr::FREEZE, &info)?;
    // The gate is shut already.
    refused(&b, Tx::to(0))?;
    m.accept()?;
    m.answer_with(Tx::answer())?;
    m.accept()?;
    same("freeze", f.end(&name)?, 0)?;
    a.ending()?;
    same("info", b.frozen_info(&m)?, (1, 0))?;
    refused(&b, Tx::to(0))
}

fn fz_time_is_up(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let (b, f) = (cx.proc("B")?, cx.proc("F")?);
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    let (name, info) = m.freezing(400);
    f.block_in(&name, nr::FREEZE, &info)?;
    refused(&b, Tx::to(0))?;
    pending(&b, Tx::to(0))?;
    same("freeze", f.end(&name)?, EAGAIN)?;
    // It is not frozen; what came is remembered.
    same("info", b.frozen_info(&m)?, (3, 1))?;
    complete(&b, Tx::to(0))?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    m.accept()?;
    called(&a, &m, Tx::to(0))?;
    f.thaw(&m)?;
    same("info", b.frozen_info(&m)?, (2, 0))
}

fn fz_interrupted(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let (b, f) = (cx.proc("B")?, cx.proc("F")?);
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    let (name, info) = m.freezing(60_000);
    f.block_in(&name, nr::FREEZE, &info)?;
    f.signal(libc::SIGUSR1)?;
    same("freeze", f.end(&name)?, EINTR)?;
    complete(&b, Tx::to(0))?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    busy(&f, &m)?;
    f.block_in(&name, nr::FREEZE, &info)?;
    // This one is restarted.
    f.signal(libc::SIGUSR2)?;
    m.accept()?;
    same("freeze", f.end(&name)?, 0)?;
    refused(&b, Tx::to(0))
}

fn fz_thread_exit_ends_its_calls(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let second = m.thread("M2")?;
    a.write(&bc().call(Tx::to(0)))?;
    second.accept()?;
    busy(&a, &m)?;
    second.thread_exit()?;
    a.read()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    frozen(&a, &m)?;
    same("info", a.frozen_info(&m)?, (0, 0))
}

fn fz_takes_no_calls(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    frozen(&a, &m)?;
    same("info", a.frozen_info(&m)?, (0, 0))?;
    for _ in 0..2 {
        refused(&a, Tx::to(0).data(b"some"))?;
        same("info", a.frozen_info(&m)?, (1, 0))?;
    }
    m.idle()?;
    a.thaw(&m)?;
    same("info", a.frozen_info(&m)?, (0, 0))?;
    called(&a, &m, Tx::to(0).zeros(MAPPING as usize))
}

fn fz_refused_call_leaves_the_stack(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(Node::new(0x20))?;
    frozen(&m, &s)?;
    // B calls A, which calls S in the middle of it.
    let b = cx.proc("B")?;
    let to_a = cx.share(&m, &a, Node::new(0x50), &b)?;
    b.write(&bc().call(Tx::to(to_a)))?;
    a.accept()?;
    let node = Node::new(0x60);
    refused(&a, Tx::to(h).object(Obj::node(node)))?;
    refused(&a, Tx::to(h))?;
    busy(&m, &a)?;
    a.answer_with(Tx::answer())?;
    b.ending()?;
    a.idle()?;
    m.thaw(&s)?;
    called(&a, &s, Tx::to(h))
}

fn fz_one_ways_pend(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    frozen(&a, &m)?;
    pending(&a, Tx::to(0).code(1))?;
    same("info", a.frozen_info(&m)?, (2, 1))?;
    pending(&a, Tx::to(0).code(2))?;
    // Commands behind it are carried out.
    let two = bc()
        .call(Tx::to(0).code(3).one_way())
        .call(Tx::to(0).code(4).one_way());
    a.write_read(&two)?
        .expect("NOOP PENDING_FROZEN PENDING_FROZEN")?;
    let mut got = m.accept()?;
    for code in 1..=3 {
        same("code", got.code, code)?;
        got = m
            .write_read(&bc().free(got.buffer))?
            .expect("NOOP TRANSACTION")?
            .message()?;
    }
    same("code", got.code, 4)?;
    same("info", a.frozen_info(&m)?, (0, 1))?;
    a.thaw(&m)?;
    same("info", a.frozen_info(&m)?, (0, 0))?;
    complete(&a, Tx::to(0))
}

fn fz_one_ways_wake_a_reader(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let waiting = m.block(&bc())?;
    frozen(&a, &m)?;
    pending(&a, Tx::to(0).code(7))?;
    let got = waiting.finish()?.expect("NOOP TRANSACTION")?.message()?;
    same("code", got.code, 7)
}

fn fz_parked_one_ways_after_thaw(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(Node::new(0x20))?;
    frozen(&m, &s)?;
    for code in 1..=4 {
        pending(&a, Tx::to(h).code(code).zeros(16))?;
    }
    m.thaw(&s)?;
    complete(&a, Tx::to(h).code(5))?;
    let mut got = s.accept()?;
    for code in 1..=4 {
        same("code", got.code, code)?;
        got = s
            .write_read(&bc().free(got.buffer))?
            .expect("NOOP TRANSACTION")?
            .message()?;
    }
    same("code", got.code, 5)?;
    s.write(&bc().free(got.buffer))?;
    frozen(&m, &s)
}

fn fz_replies_arrive(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    frozen(&m, &a)?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    same("info", m.frozen_info(&a)?, (2, 0))?;
    m.answer_with(Tx::answer().data(b"reply"))?;
    let end = a.ending()?;
    same("reply", a.payload(&end)?, b"reply".to_vec())?;
    same("info", m.frozen_info(&a)?, (0, 0))
}

fn fz_again_clears_the_flags(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    frozen(&a, &m)?;
    refused(&a, Tx::to(0))?;
    pending(&a, Tx::to(0))?;
    m.accept()?;
    same("info", a.frozen_info(&m)?, (1, 1))?;
    frozen(&a, &m)?;
    same("info", a.frozen_info(&m)?, (0, 0))?;
    refused(&a, Tx::to(0))?;
    // A freeze that fails thaws, and keeps what came since.
    pending(&a, Tx::to(0))?;
    busy(&a, &m)?;
    same("info", a.frozen_info(&m)?, (2, 0))?;
    complete(&a, Tx::to(0))
}

/// A process with two files: the older is the manager's, with its second node.
fn two_files(cx: &Cx) -> Res<(Proc, Proc, Proc)> {
    let (m, a) = cx.pair()?;
    let mut second = m.open_again("M'")?;
    check("mmap works", second.map(MAPPING)? > 0)?;
    second.greet()?;
    Ok((m, second, a))
}

fn fz_several_files(cx: &Cx) -> Res {
    let (m, second, a) = two_files(cx)?;
    frozen(&a, &m)?;
    refused(&a, Tx::to(0))?;
    same("info", a.frozen_info(&m)?, (1, 0))?;
    second.idle()?;
    a.thaw(&m)?;
    called(&a, &m, Tx::to(0))?;
    // One of them is busy.
    a.write(&bc().call(Tx::to(0)))?;
    same("info", a.frozen_info(&m)?, (2, 0))?;
    busy(&a, &m)
}

fn fz_files_after_a_busy_one(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(Node::new(0x20))?;
    // Of two files of S, newest first, the older one is busy: the newer stays frozen.
    let mut newer = s.open_again("S'")?;
    check("mmap works", newer.map(MAPPING)? > 0)?;
    newer.greet()?;
    let to_newer = cx.share(&m, &newer, Node::new(0x30), &a)?;
    let b = cx.proc("B")?;
    let also = cx.share(&m, &s, Node::new(0x20), &b)?;
    b.write(&bc().call(Tx::to(also)))?;
    busy(&a, &s)?;
    refused(&a, Tx::to(to_newer))?;
    complete(&a, Tx::to(h))?;
    s.accept()?;
    s.answer_with(Tx::answer())?;
    b.ending()?;
    a.thaw(&s)?;
    called(&a, &newer, Tx::to(to_newer))
}

fn fz_several_contexts(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let name = format!("fz{}", std::process::id());
    same("CTL_ADD", ctl_add(&cx.dir, name.as_bytes())?.0, 0)?;
    let path = format!("{}/{name}", cx.dir);
    // M is the manager of another context, too; B is there.
    let mut other = Proc::new(m.with_fd(-1, "M'"));
    other.open(&path)?;
    check("mmap works", other.map(MAPPING)? > 0)?;
    other.greet()?;
    same("manager", other.become_manager(MANAGER)?, 0)?;
    let mut b = cx.process("B")?;
    b.open(&path)?;
    check("mmap works", b.map(MAPPING)? > 0)?;
    b.greet()?;
    frozen(&a, &m)?;
    refused(&b, Tx::to(0))?;
    same("info", a.frozen_info(&m)?, (1, 0))?;
    b.thaw(&m)?;
    called(&b, &other, Tx::to(0))?;
    called(&a, &m, Tx::to(0))?;
    std::fs::remove_file(&path)?;
    Ok(())
}

fn fz_frozen_process_dies(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(Node::new(0x20))?;
    frozen(&m, &s)?;
    a.write(&bc().request_death(h, 0xd1))?;
    for code in 1..=3 {
        pending(&a, Tx::to(h).code(code))?;
    }
    s.kill()?;
    a.read()?.expect("NOOP DEAD_BINDER(d1)")?;
    a.write_read(&bc().call(Tx::to(h)))?
        .expect("NOOP DEAD_REPLY")?;
    a.write_read(&bc().call(Tx::to(h).one_way()))?
        .expect("NOOP DEAD_REPLY")?;
    same("freeze", m.freeze(&s, 10)?, EINVAL)
}

fn fz_dies_while_waited_for(cx: &Cx) -> Res {
    let (_m, s, a, h) = cx.trio(Node::new(0x20))?;
    let f = cx.proc("F")?;
    let caller = a.thread("A2")?;
    caller.write(&bc().call(Tx::to(h)))?;
    complete(&a, Tx::to(h))?;
    complete(&a, Tx::to(h))?;
    let (name, info) = s.freezing(1500);
    f.block_in(&name, nr::FREEZE, &info)?;
    s.kill()?;
    caller.read()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    same("freeze", f.end(&name)?, 0)?;
    same("freeze", f.freeze(&s, 10)?, EINVAL)
}

fn fz_file_opened_after(cx: &Cx) -> Res {
    let (m, s, a, _h) = cx.trio(Node::new(0x20))?;
    frozen(&a, &s)?;
    let mut newer = s.open_again("S'")?;
    check("mmap works", newer.map(MAPPING)? > 0)?;
    newer.greet()?;
    let h = cx.share(&m, &newer, Node::new(0x30), &a)?;
    // Only what was open then is frozen.
    called(&a, &newer, Tx::to(h))?;
    frozen(&a, &s)?;
    refused(&a, Tx::to(h))
}

fn fz_against_clients(cx: &Cx) -> Res {
    const ROUNDS: u64 = 152;
    cx.quiet(true);
    let (m, f) = (cx.manager("M")?, cx.proc("F")?);
    let pool = [m.thread("M1")?, m.thread("M2")?];
    for thread in &pool {
        thread.begin(stress::server, &[m.fd as u64]);
    }
    let clients = [cx.proc("A")?, cx.proc("B")?, cx.proc("C")?];
    for client in &clients {
        client.begin(stress::client, &[client.fd as u64, ROUNDS, 0]);
    }
    f.begin(stress::freezer, &[f.fd as u64, m.pid as u64, 60]);
    for client in &clients {
        same("rounds", client.end_of_work("client")?, ROUNDS as i64)?;
    }
    check("the freezer is content", f.end_of_work("freezer")? >= 0)?;
    for _ in &pool {
        complete(&f, Tx::to(0).code(stress::STOP))?;
    }
    let mut served = 0;
    for thread in &pool {
        served += thread.end_of_work("server")?;
    }
    // Nothing is left over that would count as under way.
    same("info", f.frozen_info(&m)?, (0, 0))?;
    frozen(&f, &m)?;
    cx.quiet(false);
    cx.note(format!("{served} calls served"));
    same("calls", served as u64, 3 * ROUNDS * 3 / 4)
}
