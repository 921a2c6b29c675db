// SPDX-License-Identifier: MIT OR Apache-2.0

//! TF_UPDATE_TXN: one-ways to a frozen process that replace older ones.

use super::{case, Case};
use crate::abi::{br, tf};
use crate::actor::{Proc, Thread};
use crate::ops;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{check, same, Cx, Res, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(48 up_without_freezing),
    case!(48 up_supersedes),
    case!(48 up_space_returns),
    case!(48 up_files_return),
    case!(48 up_references_return),
    case!(48 up_other_kinds_stay),
    case!(48 up_other_senders_stay),
    case!(48 up_same_process_other_file),
    case!(48 up_other_nodes_stay),
    case!(48 up_oldest_goes),
    case!(48 up_nothing_to_replace),
    case!(48 up_while_freezing),
    case!(48 up_sender_died),
    case!(48 up_many_times),
];

/// An update with this code.
fn update(code: u32) -> Tx {
    Tx::to(0).code(code).one_way().flags(tf::UPDATE_TXN)
}

/// Sends to a frozen process.
fn send(t: &Thread, tx: Tx) -> Res {
    t.write_read(&bc().call(tx.one_way()))?
        .expect("NOOP PENDING_FROZEN")
        .map(drop)
}

/// A frozen manager with a one-way out, of code 1, and a client.
fn frozen_pair(cx: &Cx) -> Res<(Proc, Proc)> {
    let (m, a) = cx.pair()?;
    same("freeze", a.freeze(&m, 0)?, 0)?;
    send(&a, Tx::to(0).code(1))?;
    Ok((m, a))
}

/// Reads and frees one-ways; they must have these codes, and be all.
fn reads(t: &Thread, codes: &[u32]) -> Res {
    for code in codes {
        let got = t.accept()?;
        same("code", got.code, *code)?;
        t.write(&bc().free(got.buffer))?;
    }
    t.idle()
}

fn up_without_freezing(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    for _ in 0..3 {
        a.write_read(&bc().call(update(1)))?
            .expect("NOOP COMPLETE")?;
    }
    reads(&m, &[1, 1, 1])
}

fn up_supersedes(cx: &Cx) -> Res {
    let (m, a) = frozen_pair(cx)?;
    send(&a, update(2).data(b"old"))?;
    send(&a, update(2).data(b"new"))?;
    a.has_error(br::OK, 0)?;
    a.idle()?;
    same("info", a.frozen_info(&m)?, (2, 1))?;
    a.thaw(&m)?;
    let first = m.accept()?;
    same("code", first.code, 1)?;
    let second = m
        .write_read(&bc().free(first.buffer))?
        .expect("NOOP TRANSACTION")?
        .message()?;
    same("flags", second.flags, tf::ONE_WAY | tf::UPDATE_TXN)?;
    same("data", m.payload(&second)?, b"new".to_vec())?;
    m.write(&bc().free(second.buffer))?;
    m.idle()?;
    // Nothing is left over that would count as under way.
    same("freeze", a.freeze(&m, 0)?, 0)
}

fn up_space_returns(cx: &Cx) -> Res {
    let (m, a) = frozen_pair(cx)?;
    let part = MAPPING as usize / 8;
    for _ in 0..6 {
        // Old and new lie there side by side for a moment.
        send(&a, update(2).zeros(part))?;
    }
    send(&a, Tx::to(0).code(3).zeros(MAPPING as usize / 2 - part - 8))?;
    a.write_read(&bc().call(Tx::to(0).one_way()))?
        .expect("NOOP FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, -libc::ENOSPC)?;
    // There is no room for an update either, though it would make some.
    a.write_read(&bc().call(update(2).zeros(part)))?
        .expect("NOOP FAILED_REPLY")?;
    a.thaw(&m)?;
    reads(&m, &[1, 2, 3])
}

/// Whether somebody can still write to the pipe that `t` reads.
fn is_open(t: &Thread, reader: u64) -> Res<bool> {
    Ok(t.step("poll", ops::poll, &[reader, 0])? & i64::from(libc::POLLHUP) == 0)
}

fn up_files_return(cx: &Cx) -> Res {
    let (m, _s, a, _h) = cx.trio(Node::new(0x20))?;
    same("freeze", a.freeze(&m, 0)?, 0)?;
    send(&a, Tx::to(0).code(1))?;
    let ends = a.run(ops::pipe, &[])? as u64;
    let (reader, writer) = (ends & 0xffff, ends >> 16);
    send(&a, update(2).object(Obj::fd(writer as i32)))?;
    same("close", a.run(ops::close, &[writer])?, 0)?;
    check("the message has the file", is_open(&a, reader)?)?;
    send(&a, update(2))?;
    check("the file is closed", !is_open(&a, reader)?)?;
    a.thaw(&m)?;
    reads(&m, &[1, 2])
}

fn up_references_return(cx: &Cx) -> Res {
    let (m, a) = frozen_pair(cx)?;
    let node = Node::new(0x60);
    a.write_read(&bc().call(update(2).object(Obj::node(node))))?
        .expect("NOOP INCREFS(60,61) ACQUIRE(60,61) PENDING_FROZEN")?;
    a.write(&bc().both_done(node))?;
    let waiting = a.thread("A2")?;
    let waiting = waiting.block(&bc())?;
    a.write(&bc().call(update(2)))?;
    waiting
        .finish()?
        .expect("NOOP RELEASE(60,61) DECREFS(60,61)")?;
    a.read()?.expect("NOOP PENDING_FROZEN")?;
    a.thaw(&m)?;
    reads(&m, &[1, 2])
}

fn up_other_kinds_stay(cx: &Cx) -> Res {
    let (m, a) = frozen_pair(cx)?;
    send(&a, update(2))?;
    send(&a, update(3))?;
    send(&a, update(2).flags(tf::ACCEPT_FDS))?;
    send(&a, Tx::to(0).code(2))?;
    a.thaw(&m)?;
    reads(&m, &[1, 2, 3, 2, 2])
}

fn up_other_senders_stay(cx: &Cx) -> Res {
    let (m, a) = frozen_pair(cx)?;
    let b = cx.proc("B")?;
    let second = a.thread("A2")?;
    send(&a, update(2).data(b"a"))?;
    send(&b, update(2).data(b"b"))?;
    // Another thread is the same sender, a child with the same file is not.
    send(&second, update(2).data(b"a2"))?;
    let child = a.fork("child")?;
    child.greet()?;
    send(&child, update(2).data(b"child"))?;
    a.thaw(&m)?;
    let mut data = Vec::new();
    for _ in 0..4 {
        let got = m.accept()?;
        data.push(String::from_utf8_lossy(&m.payload(&got)?).into_owned());
        m.write(&bc().free(got.buffer))?;
    }
    cx.note(format!("{data:?}"));
    same(
        "data",
        data,
        ["", "b", "a2", "child"].map(String::from).to_vec(),
    )?;
    m.idle()
}

fn up_same_process_other_file(cx: &Cx) -> Res {
    let (m, a) = frozen_pair(cx)?;
    let mut second = a.open_again("A'")?;
    check("mmap works", second.map(MAPPING)? > 0)?;
    second.greet()?;
    send(&a, update(2).data(b"old"))?;
    send(&second, update(2).data(b"new"))?;
    a.thaw(&m)?;
    reads(&m, &[1, 2])
}

fn up_other_nodes_stay(cx: &Cx) -> Res {
    let (m, s, a, first) = cx.trio(Node::new(0x20))?;
    let second = cx.share(&m, &s, Node::new(0x30), &a)?;
    same("freeze", a.freeze(&s, 0)?, 0)?;
    for handle in [first, second] {
        let tx = |code| Tx::to(handle).code(code).one_way().flags(tf::UPDATE_TXN);
        send(&a, tx(1))?;
        send(&a, tx(1))?;
        send(&a, tx(2))?;
    }
    for handle in [second, first] {
        send(&a, Tx::to(handle).code(2).one_way().flags(tf::UPDATE_TXN))?;
    }
    a.thaw(&s)?;
    let mut got = Vec::new();
    for _ in 0..6 {
        let one = s.accept()?;
        got.push((one.target, one.code));
        s.write(&bc().free(one.buffer))?;
    }
    cx.note(format!("{got:x?}"));
    s.idle()
}

fn up_oldest_goes(cx: &Cx) -> Res {
    let (m, a) = frozen_pair(cx)?;
    // Only one can be there when all are updates of one kind.
    for code in [2, 3, 2, 3, 4, 2] {
        send(&a, update(code))?;
    }
    a.thaw(&m)?;
    reads(&m, &[1, 3, 4, 2])
}

fn up_nothing_to_replace(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    same("freeze", a.freeze(&m, 0)?, 0)?;
    // What is out, read or not, stays.
    send(&a, update(2).data(b"out"))?;
    send(&a, update(2).data(b"parked"))?;
    let out = m.accept()?;
    same("data", m.payload(&out)?, b"out".to_vec())?;
    send(&a, update(2).data(b"newer"))?;
    m.write(&bc().free(out.buffer))?;
    let next = m.accept()?;
    same("data", m.payload(&next)?, b"newer".to_vec())?;
    m.write(&bc().free(next.buffer))?;
    m.idle()
}

fn up_while_freezing(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let f = cx.proc("F")?;
    for _ in 0..3 {
        a.write_read(&bc().call(update(2)))?
            .expect("NOOP COMPLETE")?;
    }
    let (name, info) = m.freezing(60_000);
    f.block_in(&name, crate::abi::nr::FREEZE, &info)?;
    send(&a, update(2))?;
    for _ in 0..2 {
        let got = m.accept()?;
        m.write(&bc().free(got.buffer))?;
    }
    m.accept()?;
    same("freeze", f.end(&name)?, 0)
}

fn up_sender_died(cx: &Cx) -> Res {
    let (m, a) = frozen_pair(cx)?;
    let b = cx.proc("B")?;
    send(&b, update(2))?;
    send(&b, update(2))?;
    b.kill()?;
    send(&a, update(2))?;
    a.thaw(&m)?;
    reads(&m, &[1, 2, 2])
}

fn up_many_times(cx: &Cx) -> Res {
    let (m, a) = frozen_pair(cx)?;
    let fd = a.run(ops::memfd, &[])? as i32;
    cx.quiet(true);
    for round in 0..300 {
        let tx = update(2 + round % 2).zeros(4096);
        send(&a, tx.object(Obj::fd(fd)))?;
    }
    cx.quiet(false);
    a.thaw(&m)?;
    reads(&m, &[1, 2, 3])?;
    a.write(&bc().call(Tx::to(0).zeros(MAPPING as usize)))?;
    same("size", m.accept()?.data_size, MAPPING)
}
