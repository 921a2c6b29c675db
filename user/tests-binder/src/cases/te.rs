// SPDX-License-Identifier: MIT OR Apache-2.0

//! Calls and replies that fail: pointers, sizes, space, extended errors.

use super::{case, Case};
use crate::abi::{br, ExtendedError};
use crate::actor::Thread;
use crate::request::Request;
use crate::wire::{bc, Tx};
use crate::world::{check, same, Cx, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(37 te_bad_pointers_and_sizes),
    case!(38 te_reply_with_a_bad_pointer),
    case!(38 te_failed_reply_stops_the_commands),
    case!(35 te_late_reply_stops_the_commands),
    case!(39 te_receiver_never_mapped),
    case!(39 te_receiver_unmapped),
    case!(39 te_caller_unmaps_during_its_call),
    case!(40 te_sizes_beyond_the_mapping),
    case!(40 te_space_is_shared_by_all_calls),
    case!(40 te_reply_without_space),
    case!(41 te_extended_error_is_of_the_thread),
    case!(41 te_extended_error_is_reset_by_a_call),
];

/// An address that no process has.
const NOWHERE: u64 = 8;

fn te_bad_pointers_and_sizes(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let cases = [
        (
            "data pointer",
            Tx::to(0).data_at(NOWHERE).data_len(16),
            libc::EFAULT,
        ),
        (
            "data pointer 0",
            Tx::to(0).data_at(0).data_len(16),
            libc::EFAULT,
        ),
        (
            "kernel pointer",
            Tx::to(0).data_at(u64::MAX - 4095).data_len(16),
            libc::EFAULT,
        ),
        (
            "offsets pointer",
            Tx::to(0).zeros(24).offsets_at(NOWHERE).offsets_len(8),
            libc::EFAULT,
        ),
        (
            "offsets_size 4",
            Tx::to(0).zeros(24).offsets(&[0]).offsets_len(4),
            libc::EINVAL,
        ),
        ("buffers_size 4", Tx::to(0).zeros(24).extra(4), libc::EINVAL),
        (
            "offsets without data",
            Tx::to(0).offsets(&[0]),
            libc::EINVAL,
        ),
    ];
    for (what, tx, errno) in cases {
        cx.note(what);
        a.write_read(&bc().call(tx.clone()))?
            .expect("NOOP FAILED_REPLY")?;
        a.has_error(br::FAILED_REPLY, -errno)?;
        a.write_read(&bc().call(tx.one_way()))?
            .expect("NOOP FAILED_REPLY")?;
        a.has_error(br::FAILED_REPLY, -errno)?;
    }
    // Nothing arrived, and nothing of the mapping is lost.
    m.idle()?;
    a.write(&bc().call(Tx::to(0).zeros(MAPPING as usize)))?;
    m.accept()?;
    Ok(())
}

fn te_reply_with_a_bad_pointer(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    m.answer_with(Tx::answer().data_at(NOWHERE).data_len(16))?;
    m.has_error(br::OK, 0)?;
    a.read()?.expect("NOOP COMPLETE FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, -libc::EFAULT)
}

/// What follows a reply is not taken until the replier has read of it.
fn stopped(m: &Thread, answer: Tx) -> Res {
    let commands = bc().reply(answer).enter();
    let done = m.request(&Request::new(&commands, 0))?;
    same("result", done.result, 0)?;
    same("taken", done.write_consumed, 68)?;
    let done = m.request(&Request::new(&bc().enter(), 0))?;
    same("taken before the read", done.write_consumed, 0)?;
    m.read()?.expect("NOOP COMPLETE")?;
    m.write(&bc().enter())
}

fn te_failed_reply_stops_the_commands(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    stopped(&m, Tx::answer().data_at(NOWHERE).data_len(16))?;
    a.read()?.expect("NOOP COMPLETE FAILED_REPLY").map(drop)
}

fn te_late_reply_stops_the_commands(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    a.thread_exit()?;
    stopped(&m, Tx::answer())
}

fn te_receiver_never_mapped(cx: &Cx) -> Res {
    let m = cx.opened("M")?;
    m.greet()?;
    same("manager", m.become_manager(MANAGER)?, 0)?;
    let a = cx.proc("A")?;
    for tx in [Tx::to(0), Tx::to(0).one_way(), Tx::to(0).data(b"1")] {
        a.write_read(&bc().call(tx))?.expect("NOOP DEAD_REPLY")?;
        a.has_error(br::DEAD_REPLY, -libc::ESRCH)?;
    }
    Ok(())
}

fn te_receiver_unmapped(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0)))?;
    let kept = m.accept()?;
    m.unmap()?;
    a.write(&bc())?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    a.write_read(&bc().call(Tx::to(0)))?
        .expect("NOOP DEAD_REPLY")?;
    a.has_error(br::DEAD_REPLY, -libc::ESRCH)?;
    // Buffers from before can still be given back.
    m.write(&bc().free(kept.buffer).free(kept.buffer))
}

fn te_caller_unmaps_during_its_call(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    a.unmap()?;
    m.answer_with(Tx::answer())?;
    a.read()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    a.has_error(br::DEAD_REPLY, -libc::ESRCH)
}

fn te_sizes_beyond_the_mapping(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let cases = [
        (
            "one more than there is",
            Tx::to(0).data_len(MAPPING + 8),
            libc::ENOSPC,
        ),
        ("2^64 - 8", Tx::to(0).data_len(u64::MAX - 7), libc::ENOSPC),
        (
            "sum wraps",
            Tx::to(0).zeros(64).extra(u64::MAX - 63),
            libc::EINVAL,
        ),
        (
            "offsets 2^64 - 8",
            Tx::to(0).zeros(64).offsets_len(u64::MAX - 7),
            libc::EINVAL,
        ),
    ];
    for (what, tx, errno) in cases {
        cx.note(what);
        a.write_read(&bc().call(tx))?.expect("NOOP FAILED_REPLY")?;
        a.has_error(br::FAILED_REPLY, -errno)?;
    }
    a.write(&bc().call(Tx::to(0).zeros(MAPPING as usize)))?;
    m.accept()?;
    Ok(())
}

fn te_space_is_shared_by_all_calls(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let (a2, half) = (a.thread("A2")?, MAPPING as usize / 2);
    a.write(&bc().call(Tx::to(0).zeros(half + 8)))?;
    a2.write_read(&bc().call(Tx::to(0).zeros(half)))?
        .expect("NOOP FAILED_REPLY")?;
    a2.has_error(br::FAILED_REPLY, -libc::ENOSPC)?;
    let call = m.accept()?;
    m.write(&bc().free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    // Two halves fit.
    a.write(&bc().call(Tx::to(0).zeros(half)))?;
    a2.write(&bc().call(Tx::to(0).zeros(half)))?;
    m.accept()?;
    m.answer_with(Tx::answer())?;
    m.accept()?;
    m.answer_with(Tx::answer())
}

fn te_reply_without_space(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    m.answer_with(Tx::answer().zeros(MAPPING as usize + 8))?;
    a.read()?.expect("NOOP COMPLETE FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, -libc::ENOSPC)
}

fn te_extended_error_is_of_the_thread(cx: &Cx) -> Res {
    let (_m, a) = cx.pair()?;
    let none = ExtendedError {
        id: 0,
        command: br::OK,
        param: 0,
    };
    let a2 = a.thread("A2")?;
    same("new thread", a2.error()?, none)?;
    a.write_read(&bc().call(Tx::to(99)))?
        .expect("NOOP FAILED_REPLY")?;
    same("another thread", a2.error()?, none)?;
    a.has_error(br::FAILED_REPLY, -libc::EINVAL)?;
    same("asked again", a.error()?, none)
}

fn te_extended_error_is_reset_by_a_call(cx: &Cx) -> Res {
    let (_m, a) = cx.pair()?;
    a.write_read(&bc().call(Tx::to(99)))?
        .expect("NOOP FAILED_REPLY")?;
    a.write_read(&bc().call(Tx::to(0).one_way()))?
        .expect("NOOP COMPLETE")?;
    let error = a.error()?;
    same("code", (error.command, error.param), (br::OK, 0))?;
    check("the one-way's id", error.id != 0)
}
