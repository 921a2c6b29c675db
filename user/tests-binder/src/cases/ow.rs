// SPDX-License-Identifier: MIT OR Apache-2.0

//! One-ways.

use super::{case, Case};
use crate::abi::br;
use crate::actor::Thread;
use crate::ops;
use crate::request::{Request, READ};
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{same, Cx, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(44 ow_fields_and_completion),
    case!(44 ow_serial_per_node),
    case!(44 ow_released_one_goes_to_the_process),
    case!(45 ow_two_nodes_are_independent),
    case!(45 ow_order_of_sending_is_kept),
    case!(46 ow_budget_is_half_of_the_mapping),
    case!(46 ow_empty_messages_are_charged),
    case!(46 ow_failed_send_is_not_charged),
    case!(50 ow_reader_faults),
    case!(50 ow_descriptor_table_full),
];

/// Sends a one-way that is accepted.
fn send(t: &Thread, tx: Tx) -> Res {
    t.write_read(&bc().call(tx.one_way()))?
        .expect("NOOP COMPLETE")
        .map(drop)
}

/// Sends a one-way that doesn't fit.
fn refused(t: &Thread, tx: Tx) -> Res {
    t.write_read(&bc().call(tx.one_way()))?
        .expect("NOOP FAILED_REPLY")?;
    t.has_error(br::FAILED_REPLY, -libc::ENOSPC)
}

fn ow_fields_and_completion(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.run(ops::set_thread_uid, &[77])?;
    send(&a, Tx::to(0).code(9).data(b"abc"))?;
    let got = m.accept()?;
    same("code and flags", (got.code, got.flags), (9, 1))?;
    same("sender", (got.sender_pid, got.sender_euid), (0, 77))?;
    same("data", m.payload(&got)?, b"abc".to_vec())?;
    // There is no call to answer.
    m.write_read(&bc().reply(Tx::answer()))?
        .expect("NOOP FAILED_REPLY")?;
    m.has_error(br::FAILED_REPLY, -libc::EPROTO)
}

fn ow_serial_per_node(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    for code in 1..=3 {
        send(&a, Tx::to(0).code(code))?;
    }
    let first = m.accept()?;
    same("code", first.code, 1)?;
    m.idle()?;
    a.write(&bc().call(Tx::to(0).code(10)))?;
    let call = m.accept()?;
    same("a call overtakes", call.code, 10)?;
    m.write(&bc().free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    m.idle()?;
    m.write(&bc().free(first.buffer))?;
    let second = m.accept()?;
    same("code", second.code, 2)?;
    // The free of the same request releases the third.
    let third = m
        .write_read(&bc().free(second.buffer))?
        .expect("NOOP TRANSACTION")?;
    same("code", third.message()?.code, 3)
}

fn ow_released_one_goes_to_the_process(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let (m2, m3) = (m.thread("M2")?, m.thread("M3")?);
    send(&a, Tx::to(0).code(1))?;
    send(&a, Tx::to(0).code(2))?;
    let first = m.accept()?;
    // Two threads wait; one of them is woken by the free.
    let older = m2.block(&bc())?;
    let newer = m3.block(&bc())?;
    m.write(&bc().free(first.buffer))?;
    same(
        "code",
        newer.finish()?.expect("NOOP TRANSACTION")?.message()?.code,
        2,
    )?;
    older.blocks()?;
    Ok(())
}

fn ow_two_nodes_are_independent(cx: &Cx) -> Res {
    let (m, s, a, first) = cx.trio(Node::new(0x20))?;
    let second = cx.share(&m, &s, Node::new(0x30), &a)?;
    for (handle, code) in [(first, 1), (first, 2), (second, 3), (second, 4)] {
        send(&a, Tx::to(handle).code(code))?;
    }
    let one = s.accept()?;
    let three = s.accept()?;
    same("codes", (one.code, three.code), (1, 3))?;
    s.idle()?;
    s.write(&bc().free(three.buffer))?;
    same("code", s.accept()?.code, 4)?;
    s.write(&bc().free(one.buffer))?;
    same("code", s.accept()?.code, 2)
}

fn ow_order_of_sending_is_kept(cx: &Cx) -> Res {
    let (m, s, a, first) = cx.trio(Node::new(0x20))?;
    let second = cx.share(&m, &s, Node::new(0x30), &a)?;
    cx.quiet(true);
    let mut codes = Vec::new();
    for round in 0..40u32 {
        let handle = if round % 3 == 0 { first } else { second };
        send(&a, Tx::to(handle).code(round))?;
        let got = s.accept()?;
        codes.push(got.code);
        s.write(&bc().free(got.buffer))?;
    }
    cx.quiet(false);
    cx.note(format!("{codes:?}"));
    same("codes", codes, (0..40).collect())
}

fn ow_budget_is_half_of_the_mapping(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let half = MAPPING as usize / 2;
    send(&a, Tx::to(0).zeros(half - 8))?;
    send(&a, Tx::to(0).zeros(8))?;
    refused(&a, Tx::to(0).zeros(8))?;
    refused(&a, Tx::to(0))?;
    // Calls have the other half.
    a.write(&bc().call(Tx::to(0).zeros(half)))?;
    let first = m.accept()?;
    same("size", first.data_size, half as u64 - 8)?;
    let call = m.accept()?;
    m.write(&bc().free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    m.write(&bc().free(first.buffer))?;
    send(&a, Tx::to(0).zeros(half - 8))?;
    refused(&a, Tx::to(0))
}

fn ow_empty_messages_are_charged(cx: &Cx) -> Res {
    let m = cx.mapped("M", 4096)?;
    m.greet()?;
    same("manager", m.become_manager(MANAGER)?, 0)?;
    let a = cx.proc("A")?;
    cx.quiet(true);
    // An empty message takes 8 bytes of the 2048.
    for _ in 0..256 {
        send(&a, Tx::to(0))?;
    }
    cx.quiet(false);
    refused(&a, Tx::to(0))?;
    cx.quiet(true);
    for _ in 0..256 {
        let got = m.accept()?;
        m.write(&bc().free(got.buffer))?;
    }
    cx.quiet(false);
    send(&a, Tx::to(0).zeros(2048))
}

fn ow_failed_send_is_not_charged(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let half = MAPPING as usize / 2;
    for _ in 0..3 {
        let bad = Tx::to(0).zeros(half - 32).object(Obj::handle(99)).one_way();
        a.write_read(&bc().call(bad))?.expect("NOOP FAILED_REPLY")?;
        a.has_error(br::FAILED_REPLY, -libc::EINVAL)?;
    }
    send(&a, Tx::to(0).zeros(half))?;
    same("size", m.accept()?.data_size, half as u64)
}

fn ow_reader_faults(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    send(&a, Tx::to(0).code(1))?;
    send(&a, Tx::to(0).code(2))?;
    let blind = Request {
        read_at: Some(8),
        read_consumed: 4,
        ..Request::new(&bc(), READ)
    };
    m.request_blind(&blind)?.fails(libc::EFAULT)?;
    // The first is lost, the node goes on.
    m.set_nonblock(true)?;
    same("code", m.accept()?.code, 2)
}

fn ow_descriptor_table_full(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let fd = a.run(ops::memfd, &[])? as i32;
    m.run(ops::limit_files, &[0])?;
    send(&a, Tx::to(0).code(1).object(Obj::fd(fd)))?;
    send(&a, Tx::to(0).code(2))?;
    // The first can't be delivered: nobody is told, and the second follows.
    let got = m.read()?;
    let got = if got.items.len() == 1 { m.read()? } else { got };
    same("code", got.message()?.code, 2)
}
