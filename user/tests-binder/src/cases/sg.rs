// SPDX-License-Identifier: MIT OR Apache-2.0

//! Scatter-gather: memory of the sender that arrives behind the message.
//!
//! The stock driver refuses a parent at offset 0 of the data, so messages with
//! parents begin with a word that is no object.

use super::ob::refused;
use super::{case, Case};
use crate::abi::{br, obj, TransactionData};
use crate::actor::Thread;
use crate::memory::{Fda, Ptr};
use crate::ops;
use crate::returns::Br;
use crate::shm;
use crate::wire::{bc, long, Node, Obj, Tx};
use crate::world::{check, same, Cx, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(58 sg_one_pointer),
    case!(58 sg_pointer_in_a_one_way),
    case!(58 sg_empty_pointers),
    case!(58 sg_room),
    case!(58 sg_payload_faults),
    case!(58 sg_payload_of_many_pages),
    case!(59 sg_nested_pointers),
    case!(59 sg_parent_offsets),
    case!(59 sg_back_to_a_parent),
    case!(59 sg_deep_nesting),
    case!(59 sg_parent_refused),
    case!(59 sg_misplaced_address_is_a_late_error),
    case!(59 sg_parent_without_the_flag),
    case!(59 sg_parent_at_the_start_of_the_data),
    case!(60 sg_malformed_lists),
    case!(58 sg_reply),
    case!(59 sg_reply_refused),
    case!(25 sg_security_context_behind_the_payloads),
    case!(61 sg_nothing_is_lost),
];

/// An address that no process has.
const NOWHERE: u64 = 8;

/// A message with a word in front of its objects.
fn start() -> Tx {
    Tx::to(0).data(b"8 bytes.").extra(1024)
}

/// Sends a call that must arrive, and gives what arrived.
pub(super) fn arrives(a: &Thread, m: &Thread, tx: Tx) -> Res<TransactionData> {
    a.write(&bc().call(tx))?;
    m.accept()
}

/// Ends such a call; the buffer is freed in an ioctl of its own.
pub(super) fn done(a: &Thread, m: &Thread, call: &TransactionData) -> Res {
    m.write(&bc().free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    let end = a.ending()?;
    a.write(&bc().free(end.buffer))
}

/// Sends what must be refused as a call and as a one-way.
pub(super) fn refused_twice(cx: &Cx, a: &Thread, what: &str, tx: Tx, errno: i32) -> Res {
    cx.note(what);
    refused(a, tx.clone(), errno)?;
    refused(a, tx.one_way(), errno)
}

/// All of the mapping is free, and nothing waits to be read.
fn nothing_arrived(a: &Thread, m: &Thread) -> Res {
    m.idle()?;
    let call = arrives(a, m, Tx::to(0).zeros(MAPPING as usize))?;
    done(a, m, &call)
}

fn sg_one_pointer(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let text = b"thirteen byte";
    let sent = Ptr {
        flags: 0x10,
        ..Ptr::to(text)
    };
    let call = arrives(&a, &m, Tx::to(0).ptr(sent).extra(16))?;
    let (got, place) = m.pointer(&call, 0)?;
    // 40 bytes of data and 8 of offsets are before it.
    same("place", place, 48)?;
    same("length and flags", (got.length, got.flags), (13, 0x10))?;
    same("contents", m.behind(&call, 0)?, text.to_vec())?;
    done(&a, &m, &call)
}

fn sg_pointer_in_a_one_way(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let tx = Tx::to(0).data(b"1").ptr(Ptr::to(b"one way")).extra(8);
    a.write_read(&bc().call(tx.one_way()))?
        .expect("NOOP COMPLETE")?;
    let call = m.accept()?;
    same("contents", m.behind(&call, 0)?, b"one way".to_vec())?;
    m.write(&bc().free(call.buffer))
}

fn sg_empty_pointers(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let empty = Ptr::at(NOWHERE, 0);
    // No room is needed, and so the plain command will do.
    for tx in [Tx::to(0), Tx::to(0).extra(0), Tx::to(0).extra(8)] {
        let call = arrives(&a, &m, tx.ptrs(&[empty, empty]))?;
        same("first place", m.pointer(&call, 0)?.1, 96)?;
        same("second place", m.pointer(&call, 1)?.1, 96)?;
        done(&a, &m, &call)?;
    }
    let list = [empty, Ptr::to(b"abc"), empty, Ptr::to(b"d"), empty];
    let call = arrives(&a, &m, Tx::to(0).ptrs(&list).extra(16))?;
    let mut places = Vec::new();
    for index in 0..list.len() {
        places.push(m.pointer(&call, index)?.1);
    }
    same("places", places, vec![240, 240, 248, 248, 256])?;
    done(&a, &m, &call)
}

fn sg_room(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let payload = shm::put(&[7; 4096]);
    let tx = |lengths: &[u64], extra: u64| {
        let ptrs: Vec<_> = lengths.iter().map(|len| Ptr::at(payload, *len)).collect();
        Tx::to(0).ptrs(&ptrs).extra(extra)
    };
    let (invalid, no_space) = (libc::EINVAL, libc::ENOSPC);
    let cases: [(&str, Tx, i32); 13] = [
        ("no room", tx(&[1], 0), invalid),
        ("a byte more", tx(&[17], 16), invalid),
        ("both are padded", tx(&[3, 3], 8), invalid),
        ("the third", tx(&[8, 8, 1], 16), invalid),
        ("huge length", tx(&[u64::MAX], 4096), invalid),
        (
            "huge length, padded to 0",
            tx(&[u64::MAX - 3], 4096),
            invalid,
        ),
        ("negative length", tx(&[1 << 63], 4096), invalid),
        ("unaligned room", tx(&[8], 12), invalid),
        ("unaligned and too small", tx(&[8], 7), invalid),
        ("room of the mapping", tx(&[8], MAPPING), no_space),
        ("huge room", tx(&[8], 1 << 62), no_space),
        ("room that wraps", tx(&[8], u64::MAX - 7), invalid),
        ("unaligned room that wraps", tx(&[8], u64::MAX), invalid),
    ];
    for (what, tx, errno) in cases {
        refused_twice(cx, &a, what, tx, errno)?;
    }
    refused_twice(
        cx,
        &a,
        "the plain command has no room",
        Tx::to(0).ptr(Ptr::at(payload, 8)),
        invalid,
    )?;
    nothing_arrived(&a, &m)?;
    for (lengths, extra) in [
        (&[3, 3][..], 16),
        (&[16], 16),
        (&[8], 4096),
        (&[4096], 4096),
    ] {
        let call = arrives(&a, &m, tx(lengths, extra))?;
        same("byte", m.behind(&call, 0)?[0], 7)?;
        done(&a, &m, &call)?;
    }
    Ok(())
}

fn sg_payload_faults(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let pages = shm::alloc(4 * 4096).next_multiple_of(4096);
    same("mprotect", a.run(ops::forbid, &[pages + 4096, 4096])?, 0)?;
    let good = Ptr::to(&[1; 24]);
    let cases = [
        ("nowhere", vec![Ptr::at(NOWHERE, 8)]),
        ("nil", vec![Ptr::at(0, 8)]),
        ("kernel", vec![Ptr::at(u64::MAX - 4095, 16)]),
        ("wraps", vec![Ptr::at(u64::MAX - 7, 64)]),
        ("a page is missing", vec![Ptr::at(pages, 3 * 4096)]),
        ("the end is missing", vec![Ptr::at(pages + 4090, 8)]),
        ("the second", vec![good, Ptr::at(NOWHERE, 8)]),
        ("the parent", vec![Ptr::at(NOWHERE, 24), good.within(0, 8)]),
        ("behind the child", {
            let parent = Ptr::at(pages + 4096 - 16, 24);
            vec![parent, good.within(0, 8)]
        }),
    ];
    for (what, ptrs) in cases {
        let tx = start().ptrs(&ptrs).extra(16384);
        refused_twice(cx, &a, what, tx, libc::EINVAL)?;
    }
    // Of two faults, that of the data is told.
    let end = pages + 4096 - 40;
    a.run(
        ops::copy,
        &[shm::put(&Ptr::at(NOWHERE, 8).bytes()), end, 40],
    )?;
    let tx = Tx::to(0).data_at(end).data_len(48).offsets(&[0]).extra(8);
    refused_twice(cx, &a, "data and payload", tx, libc::EFAULT)?;
    nothing_arrived(&a, &m)
}

fn sg_payload_of_many_pages(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let bytes: Vec<u8> = (0..50_000u32).map(|i| (i / 7 % 251) as u8).collect();
    let list = [
        Ptr::to(&bytes),
        Ptr::to(b"child").within(0, 4092),
        Ptr::to(&bytes[..9001]).within(0, 40_000),
    ];
    let call = arrives(
        &a,
        &m,
        Tx::to(0).data(b"8 bytes.").ptrs(&list).extra(60_000),
    )?;
    let mut want = bytes.clone();
    for (index, at) in [(1, 4092), (2, 40_000)] {
        let child = m.pointer(&call, index)?.0;
        want[at..at + 8].copy_from_slice(&child.buffer.to_ne_bytes());
    }
    check("the parent", m.behind(&call, 0)? == want)?;
    same("child", m.behind(&call, 1)?, b"child".to_vec())?;
    check("other child", m.behind(&call, 2)? == bytes[..9001])?;
    done(&a, &m, &call)
}

/// The address at `offset` of the memory of pointer `parent` is that of
/// pointer `child`.
fn holds(m: &Thread, call: &TransactionData, parent: usize, offset: usize, child: usize) -> Res {
    let memory = m.behind(call, parent)?;
    let there = memory.get(offset..offset + 8).map(long);
    same("address", there, Some(m.pointer(call, child)?.0.buffer))
}

fn sg_nested_pointers(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let list = [
        Ptr::to(b"the first ......and the rest"),
        Ptr::to(b"middle  ........").within(0, 8),
        Ptr::to(b"inner").within(1, 8),
    ];
    let call = arrives(&a, &m, start().ptrs(&list))?;
    holds(&m, &call, 0, 8, 1)?;
    holds(&m, &call, 1, 8, 2)?;
    same("inner", m.behind(&call, 2)?, b"inner".to_vec())?;
    // What is around the addresses is as it was sent.
    let first = m.behind(&call, 0)?;
    same("before", &first[..8], b"the firs".as_slice())?;
    same("behind", &first[16..], b"and the rest".as_slice())?;
    same("before", &m.behind(&call, 1)?[..8], b"middle  ".as_slice())?;
    // What the sender has was not changed.
    let kept = a.memory(list[1].buffer, 16)?;
    same("the sender's", kept, b"middle  ........".to_vec())?;
    done(&a, &m, &call)
}

fn sg_parent_offsets(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let offsets = [0u64, 8, 20, 44, 56];
    let mut list = vec![Ptr::to(&[0xaa; 64])];
    list.extend(offsets.map(|offset| Ptr::to(&offset.to_ne_bytes()).within(0, offset)));
    let call = arrives(&a, &m, start().ptrs(&list))?;
    let mut want = vec![0xaa; 64];
    for (index, offset) in offsets.iter().enumerate() {
        let child = m.pointer(&call, index + 1)?.0;
        let at = *offset as usize;
        want[at..at + 8].copy_from_slice(&child.buffer.to_ne_bytes());
        same("child", long(&m.behind(&call, index + 1)?), *offset)?;
        same("parent", (child.parent, child.parent_offset), (0, *offset))?;
    }
    same("the parent", m.behind(&call, 0)?, want)?;
    done(&a, &m, &call)
}

fn sg_back_to_a_parent(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let room = || Ptr::to(&[0x55; 32]);
    // A tree in depth-first order, and a second one behind it.
    let list = [
        room(),
        room().within(0, 0),
        room().within(1, 16),
        room().within(2, 0),
        room().within(1, 24),
        room().within(0, 8),
        room().within(5, 4),
        room().within(0, 16),
        room().within(0, 24),
        room(),
        room().within(9, 0),
    ];
    let call = arrives(&a, &m, start().ptrs(&list))?;
    for (index, ptr) in list.iter().enumerate() {
        if ptr.flags & obj::HAS_PARENT != 0 {
            let (parent, offset) = (ptr.parent as usize, ptr.parent_offset as usize);
            holds(&m, &call, parent, offset, index)?;
        }
    }
    same("rest", &m.behind(&call, 1)?[..16], [0x55; 16].as_slice())?;
    done(&a, &m, &call)
}

fn sg_deep_nesting(cx: &Cx) -> Res {
    const DEPTH: u64 = 1000;
    let (m, a) = cx.pair()?;
    let mut list = vec![Ptr::to(&[0; 16])];
    for level in 1..DEPTH {
        list.push(Ptr::to(&[level as u8; 8]).within(level - 1, 0));
    }
    // From the innermost back to the outermost.
    list.push(Ptr::to(b"end").within(0, 8));
    let call = arrives(&a, &m, start().ptrs(&list).extra(8 * DEPTH + 16))?;
    cx.quiet(true);
    for (level, at) in [(1, 0), (500, 499), (DEPTH as usize - 1, DEPTH as usize - 2)] {
        holds(&m, &call, at, 0, level)?;
    }
    holds(&m, &call, 0, 8, DEPTH as usize)?;
    cx.quiet(false);
    done(&a, &m, &call)?;
    // The innermost's own parent was left for good.
    list.push(Ptr::to(b"no").within(DEPTH - 2, 0));
    cx.quiet(true);
    let tx = start().ptrs(&list).extra(16 * DEPTH);
    let end = refused(&a, tx, libc::EINVAL);
    cx.quiet(false);
    end
}

fn sg_parent_refused(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let parent = Ptr::to(&[0; 32]);
    let child = Ptr::to(b"child...");
    let at = |offset| vec![parent, child.within(0, offset)];
    let then = |first, second| vec![parent, child.within(0, first), child.within(0, second)];
    let cases = [
        ("descending", then(16, 8)),
        ("the same place", then(8, 8)),
        ("overlapping", then(8, 12)),
        ("overlapping by a word", then(8, 15)),
        ("beyond the end", at(25)),
        ("beyond the end by a word", at(28)),
        ("behind the end", at(32)),
        ("huge offset", at(u64::MAX)),
        ("offset that wraps", at(u64::MAX - 7)),
        ("negative offset", at(1 << 63)),
        ("unaligned by 2", at(2)),
        ("unaligned by 1", at(9)),
        ("short parent", vec![Ptr::to(&[0; 7]), child.within(0, 0)]),
        ("empty parent", vec![Ptr::to(b""), child.within(0, 0)]),
        ("itself", vec![child.within(0, 0)]),
        ("itself behind another", vec![parent, child.within(1, 0)]),
        ("a later one", vec![parent, child.within(2, 0), parent]),
        ("no such object", vec![parent, child.within(7, 0)]),
        ("huge index", vec![parent, child.within(u64::MAX, 0)]),
        ("index that wraps", vec![parent, child.within(1 << 61, 0)]),
        ("a sibling's", {
            let sibling = parent.within(0, 0);
            vec![parent, sibling, child.within(0, 8), child.within(1, 0)]
        }),
        ("of another tree", vec![parent, parent, child.within(0, 0)]),
        ("an uncle's, before what is there", {
            let uncle = parent.within(0, 8);
            vec![parent, uncle, child.within(1, 0), child.within(0, 8)]
        }),
    ];
    for (what, ptrs) in cases {
        refused_twice(cx, &a, what, start().ptrs(&ptrs), libc::EINVAL)?;
    }
    let tx = start()
        .object(Obj::weak_node(Node::new(0x20)))
        .ptrs(&[child.within(0, 0)]);
    refused_twice(cx, &a, "no pointer", tx, libc::EINVAL)?;
    let tx = start().ptr(parent).fda(Fda::of(0, 0, 0));
    let tx = tx.ptr(child.within(1, 0));
    refused_twice(cx, &a, "an array", tx, libc::EINVAL)?;
    nothing_arrived(&a, &m)
}

fn sg_misplaced_address_is_a_late_error(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let pages = shm::alloc(3 * 4096).next_multiple_of(4096);
    same("mprotect", a.run(ops::forbid, &[pages + 4096, 4096])?, 0)?;
    let parent = Ptr::to(&[0; 32]);
    let child = Ptr::to(b"child...");
    for (what, offset, errno) in [
        ("unaligned", 10, libc::EFAULT),
        ("out of order", 4, libc::EINVAL),
    ] {
        let list = [parent, child.within(0, 0), child.within(0, offset)];
        let mut data = b"8 bytes.".to_vec();
        list.iter().for_each(|ptr| data.extend(ptr.bytes()));
        let begin = pages + 4096 - data.len() as u64;
        a.run(ops::copy, &[shm::put(&data), begin, data.len() as u64])?;
        // The data has a tail, which can't be read.
        let tx = Tx::to(0).data_at(begin).data_len(data.len() as u64 + 8);
        let tx = tx.offsets(&[8, 48, 88]).extra(1024);
        refused_twice(cx, &a, what, tx, errno)?;
    }
    nothing_arrived(&a, &m)
}

fn sg_parent_without_the_flag(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let other = Ptr {
        flags: 0xfffe,
        parent: 99,
        parent_offset: 1 << 40,
        ..Ptr::to(b"other")
    };
    let call = arrives(&a, &m, start().ptrs(&[Ptr::to(b"one"), other]))?;
    let (got, _) = m.pointer(&call, 1)?;
    let want = (0xfffe, 99, 1 << 40);
    same("kept", (got.flags, got.parent, got.parent_offset), want)?;
    same("contents", m.behind(&call, 1)?, b"other".to_vec())?;
    done(&a, &m, &call)
}

fn sg_parent_at_the_start_of_the_data(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let list = [Ptr::to(&[0; 16]), Ptr::to(b"child").within(0, 8)];
    let tx = Tx::to(0).ptrs(&list).extra(64);
    a.write(&bc().call(tx))?;
    m.set_nonblock(true)?;
    let call = m.accept()?;
    holds(&m, &call, 0, 8, 1)?;
    same("child", m.behind(&call, 1)?, b"child".to_vec())
}

fn sg_malformed_lists(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let ptr = Ptr::to(b"payload.");
    let two = || start().ptrs(&[ptr, ptr]);
    let cases = [
        ("equal", two().offsets(&[8, 8]), libc::EFAULT),
        ("overlapping", two().offsets(&[8, 44]), libc::EFAULT),
        (
            "as long as other objects",
            two().offsets(&[8, 32]),
            libc::EFAULT,
        ),
        ("descending", two().offsets(&[48, 8]), libc::EFAULT),
        ("the second beyond", two().offsets(&[8, 96]), libc::EFAULT),
        (
            "the second at the end",
            two().offsets(&[8, 88]),
            libc::EINVAL,
        ),
        ("cut by a byte", two().data_len(87), libc::EINVAL),
        (
            "as short as other objects",
            two().data_len(72),
            libc::EINVAL,
        ),
        ("only a type", two().data_len(52), libc::EINVAL),
        ("less than a type", two().data_len(51), libc::EINVAL),
        (
            "within a payload's object",
            two().offsets(&[8, 46]),
            libc::EFAULT,
        ),
        (
            "unaligned",
            start().zeros(2).data(&ptr.bytes()).zeros(6).offsets(&[10]),
            libc::EINVAL,
        ),
    ];
    for (what, tx, errno) in cases {
        refused_twice(cx, &a, what, tx, errno)?;
    }
    nothing_arrived(&a, &m)?;
    // What looks like an object is data unless an offset names it; an object
    // need not be aligned to more than 4.
    let tx = start().ptrs(&[Ptr::at(NOWHERE, 8), Ptr::at(NOWHERE, 8)]);
    let tx = tx.zeros(4).data(&ptr.bytes()).offsets(&[92]);
    let call = arrives(&a, &m, tx)?;
    same("contents", m.behind(&call, 0)?, b"payload.".to_vec())?;
    done(&a, &m, &call)
}

fn sg_reply(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let list = [
        Ptr::to(&[0; 24]),
        Ptr::to(&[0; 8]).within(0, 16),
        Ptr::to(b"inner").within(1, 0),
    ];
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    let answer = Tx::answer().data(b"8 bytes.").ptrs(&list).extra(40);
    m.answer_with(answer)?;
    let reply = a.ending()?;
    holds(&a, &reply, 0, 16, 1)?;
    holds(&a, &reply, 1, 0, 2)?;
    same("inner", a.behind(&reply, 2)?, b"inner".to_vec())?;
    a.write(&bc().free(reply.buffer))
}

fn sg_reply_refused(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let (parent, child) = (Ptr::to(&[0; 16]), Ptr::to(b"child"));
    let list = |ptrs: &[Ptr]| Tx::answer().data(b"8 bytes.").ptrs(ptrs);
    let cases = [
        ("no room", list(&[child])),
        ("too little room", list(&[parent, child]).extra(16)),
        ("unaligned room", list(&[child]).extra(12)),
        ("bad payload", list(&[Ptr::at(NOWHERE, 8)]).extra(8)),
        ("bad parent", list(&[parent, child.within(1, 0)]).extra(64)),
        ("bad offset", list(&[parent, child.within(0, 9)]).extra(64)),
        ("unaligned", list(&[parent, child.within(0, 2)]).extra(64)),
    ];
    for (what, answer) in cases {
        cx.note(what);
        a.write(&bc().call(Tx::to(0)))?;
        let call = m.accept()?;
        m.write(&bc().free(call.buffer))?;
        m.answer_with(answer)?;
        m.has_error(br::OK, 0)?;
        a.read()?.expect("NOOP COMPLETE FAILED_REPLY")?;
        a.has_error(br::FAILED_REPLY, -libc::EINVAL)?;
    }
    nothing_arrived(&a, &m)
}

fn sg_security_context_behind_the_payloads(cx: &Cx) -> Res {
    let m = cx.proc("M")?;
    let flags = obj::ACCEPTS_FDS | obj::TXN_SECURITY_CTX;
    same("EXT", m.become_manager(MANAGER.flags(flags))?, 0)?;
    let a = cx.proc("A")?;
    let text = b"all of the room is used.";
    let tx = |length| Tx::to(0).ptr(Ptr::at(shm::put(text), length)).extra(24);
    a.write(&bc().call(tx(24)))?;
    // What the security module calls this process, if there is one.
    let Ok(label) = std::fs::read_to_string("/proc/self/attr/current") else {
        a.read()?.expect("NOOP FAILED_REPLY")?;
        return a.has_error(br::FAILED_REPLY, -libc::EOPNOTSUPP);
    };
    let done = m.read()?.expect("NOOP TRANSACTION_SEC_CTX")?;
    let Some(Br::TransactionSec(call, context)) = done.items.last() else {
        return check("a context", false);
    };
    same("place of the context", context - call.buffer, 48 + 24)?;
    let label = label.trim_end_matches(['\0', '\n']);
    let there = m.memory(*context, label.len() + 1)?;
    same("context", there, [label.as_bytes(), &[0]].concat())?;
    same("payload", m.behind(call, 0)?, text.to_vec())?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    // The context's room is not the sender's.
    refused(&a, tx(25), libc::EINVAL)?;
    refused(&a, tx(32), libc::EINVAL)
}

fn sg_nothing_is_lost(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let list = [
        Ptr::to(&[3; 5000]),
        Ptr::to(&[4; 3000]).within(0, 4096),
        Ptr::to(b"inner").within(1, 8),
    ];
    cx.quiet(true);
    for _ in 0..200 {
        let call = arrives(&a, &m, start().ptrs(&list).extra(9000))?;
        done(&a, &m, &call)?;
        let broken = [list[0], list[1], list[2].within(1, 2993)];
        refused(&a, start().ptrs(&broken).extra(9000), libc::EINVAL)?;
    }
    cx.quiet(false);
    nothing_arrived(&a, &m)
}
