// SPDX-License-Identifier: MIT OR Apache-2.0

//! Arrays of descriptors, which lie in memory that a message points to and end
//! with the buffer.

use super::ob::{refused, send_away, stern};
use super::sg::{arrives, done, refused_twice};
use super::{case, Case};
use crate::abi::{br, tf, TransactionData};
use crate::actor::{Pending, Thread};
use crate::memory::{Fda, Ptr};
use crate::ops;
use crate::shm;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{check, same, Cx, Res, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(57 fa_delivered),
    case!(57 fa_none_need_no_permission),
    case!(57 fa_in_nested_memory),
    case!(57 fa_beside_single_descriptors),
    case!(57 fa_in_a_one_way),
    case!(57 fa_in_a_reply),
    case!(57 fa_refused),
    case!(57 fa_order_in_the_parent),
    case!(57 fa_bad_descriptors),
    case!(57 fa_numbers_that_fault),
    case!(56 fa_table_full_at_a_call),
    case!(56 fa_table_full_at_a_reply),
    case!(57 fa_undelivered_files_are_put),
    case!(57 fa_free_sends_the_thread_back),
    case!(57 fa_closed_by_the_program_first),
    case!(57 fa_freed_by_a_forked_child),
    case!(57 fa_number_of_the_device_itself),
    case!(61 fa_failure_at_each_position),
    case!(57 fa_nothing_is_lost),
];

/// A message with a word in front of its objects.
fn start(target: u32) -> Tx {
    Tx::to(target).data(b"8 bytes.").extra(1024)
}

/// 8 bytes, descriptors, 4 bytes.
fn array(fds: &[u64]) -> Ptr {
    let mut bytes = b"in front".to_vec();
    fds.iter()
        .for_each(|fd| bytes.extend((*fd as u32).to_ne_bytes()));
    bytes.extend(b"tail");
    Ptr::to(&bytes)
}

/// A message with such an array.
fn carries(tx: Tx, fds: &[u64]) -> Tx {
    tx.ptr(array(fds)).fda(Fda::of(fds.len() as u64, 0, 8))
}

/// Fresh files.
fn files(t: &Thread, count: usize) -> Res<Vec<u64>> {
    (0..count)
        .map(|_| Ok(t.run(ops::memfd, &[])? as u64))
        .collect()
}

/// What the descriptors of a process stand for.
fn inodes(t: &Thread, fds: &[u64]) -> Res<Vec<i64>> {
    fds.iter().map(|fd| t.run(ops::inode, &[*fd])).collect()
}

/// None of them stands for a file.
fn closed(t: &Thread, fds: &[u64]) -> Res {
    let there = inodes(t, fds)?;
    let none = there.iter().all(|inode| *inode == -i64::from(libc::EBADF));
    check("the descriptors are closed", none)
}

/// The number that the next file gets.
fn next_number(t: &Thread) -> Res<i64> {
    let fd = t.run(ops::memfd, &[])?;
    t.run(ops::close, &[fd as u64])?;
    Ok(fd)
}

fn fa_delivered(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    for count in [0, 1, 2, 40] {
        let sent = files(&a, count)?;
        let next = next_number(&m)? as u64;
        let call = arrives(&a, &m, carries(start(0), &sent))?;
        let got = m.numbers(&call, 1)?;
        let want: Vec<_> = (next..).take(count).collect();
        same("numbers", &got, &want)?;
        same("files", inodes(&m, &got)?, inodes(&a, &sent)?)?;
        for fd in &got {
            same("closed on exec", m.run(ops::is_cloexec, &[*fd])?, 1)?;
        }
        // The array and what is around it are as they were sent.
        same("array", m.array(&call, 1)?, Fda::of(count as u64, 0, 8))?;
        let memory = m.behind(&call, 0)?;
        same("in front", &memory[..8], b"in front".as_slice())?;
        same("behind", &memory[8 + 4 * count..], b"tail".as_slice())?;
        m.write(&bc().free(call.buffer))?;
        closed(&m, &got)?;
        check(
            "the sender has its own",
            inodes(&a, &sent)?.iter().all(|inode| *inode > 0),
        )?;
        m.answer_with(Tx::answer())?;
        a.ending()?;
    }
    Ok(())
}

fn fa_none_need_no_permission(cx: &Cx) -> Res {
    let (_m, s, a, h) = stern(cx)?;
    let fd = files(&a, 1)?;
    let parent = array(&fd);
    let none = [
        ("in place", Fda::of(0, 0, 8)),
        ("at the end", Fda::of(0, 0, parent.length)),
        ("unaligned", Fda::of(0, 0, 3)),
        ("beyond the parent", Fda::of(0, 0, 1 << 40)),
        ("huge offset", Fda::of(0, 0, u64::MAX)),
    ];
    for (what, fda) in none {
        cx.note(what);
        let fda = Fda { pad: 0x77, ..fda };
        let call = arrives(&a, &s, start(h).ptr(parent).fda(fda))?;
        same("array", s.array(&call, 1)?, fda)?;
        let there = s.behind(&call, 0)?;
        same("numbers are not looked at", there[8], fd[0] as u8)?;
        done(&a, &s, &call)?;
    }
    let some = carries(start(h), &fd);
    refused_twice(cx, &a, "one", some, libc::EPERM)?;
    let bad = carries(start(h), &[9999]);
    refused_twice(cx, &a, "a bad one", bad, libc::EPERM)?;
    s.idle()
}

fn fa_in_nested_memory(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let sent = files(&a, 3)?;
    // A structure with the address of a handle, whose numbers follow its three
    // counters; then a second handle.
    let list = [
        Ptr::to(&[1; 32]),
        array(&sent[..2]).within(0, 8),
        array(&sent[2..]).within(0, 24),
    ];
    let tx = start(0)
        .ptrs(&list[..2])
        .fda(Fda::of(2, 1, 8))
        .ptr(list[2])
        .fda(Fda::of(1, 3, 8));
    let call = arrives(&a, &m, tx)?;
    let mut got = m.numbers(&call, 2)?;
    got.extend(m.numbers(&call, 4)?);
    same("files", inodes(&m, &got)?, inodes(&a, &sent)?)?;
    let root = m.behind(&call, 0)?;
    for (index, at) in [(1, 8), (3, 24)] {
        let address = m.pointer(&call, index)?.0.buffer.to_ne_bytes();
        same("address", &root[at..at + 8], address.as_slice())?;
    }
    done(&a, &m, &call)?;
    closed(&m, &got)
}

fn fa_beside_single_descriptors(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let sent = files(&a, 4)?;
    let tx = start(0)
        .object(Obj::fd(sent[0] as i32))
        .ptr(array(&sent[1..3]))
        .fda(Fda::of(2, 1, 8))
        .object(Obj::fd(sent[3] as i32));
    let next = next_number(&m)? as u64;
    let call = arrives(&a, &m, tx)?;
    let got = m.numbers(&call, 2)?;
    same("numbers", &got, &vec![next + 1, next + 2])?;
    let all: Vec<_> = (next..).take(4).collect();
    same("files", inodes(&m, &all)?, inodes(&a, &sent)?)?;
    done(&a, &m, &call)?;
    closed(&m, &got)?;
    // The program owns the single ones.
    let single = [next, next + 3];
    same(
        "files",
        inodes(&m, &single)?,
        inodes(&a, &[sent[0], sent[3]])?,
    )
}

fn fa_in_a_one_way(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let sent = files(&a, 2)?;
    // The second one waits for the end of the first.
    for fd in &sent {
        let tx = carries(start(0), &[*fd]).one_way();
        a.write_read(&bc().call(tx))?.expect("NOOP COMPLETE")?;
    }
    for fd in &sent {
        let call = m.accept()?;
        let got = m.numbers(&call, 1)?;
        same("file", inodes(&m, &got)?, inodes(&a, &[*fd])?)?;
        m.write(&bc().free(call.buffer))?;
        closed(&m, &got)?;
    }
    m.idle()
}

fn fa_in_a_reply(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let sent = files(&m, 2)?;
    let answer = || carries(Tx::answer().data(b"8 bytes.").extra(64), &sent);
    for flags in [0, tf::ACCEPT_FDS] {
        a.write(&bc().call(Tx::to(0).flags(flags)))?;
        let call = m.accept()?;
        m.write(&bc().free(call.buffer))?;
        m.answer_with(answer())?;
        m.has_error(br::OK, 0)?;
        if flags == 0 {
            a.read()?.expect("NOOP COMPLETE FAILED_REPLY")?;
            a.has_error(br::FAILED_REPLY, -libc::EPERM)?;
        }
    }
    let reply = a.ending()?;
    let got = a.numbers(&reply, 1)?;
    same("files", inodes(&a, &got)?, inodes(&m, &sent)?)?;
    a.write(&bc().free(reply.buffer))?;
    closed(&a, &got)?;
    // An array with nothing in it needs no permission.
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    m.answer_with(carries(Tx::answer().data(b"8 bytes.").extra(64), &[]))?;
    a.ending()?;
    Ok(())
}

fn fa_refused(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let fd = files(&a, 1)?;
    // 12 bytes of numbers.
    let parent = array(&[fd[0], fd[0], fd[0]]);
    let with = |fda| start(0).ptr(parent).fda(fda);
    let odd = Ptr {
        buffer: parent.buffer + 1,
        length: 16,
        ..parent
    };
    let cases = [
        ("beyond the end", with(Fda::of(4, 0, 12))),
        ("more than the parent", with(Fda::of(7, 0, 0))),
        ("behind the end", with(Fda::of(1, 0, 24))),
        ("huge offset", with(Fda::of(1, 0, u64::MAX - 3))),
        ("offset that wraps", with(Fda::of(2, 0, u64::MAX - 3))),
        ("huge count", with(Fda::of(u64::MAX, 0, 0))),
        ("count that wraps to 0", with(Fda::of(1 << 62, 0, 0))),
        ("count that wraps to 1", with(Fda::of((1 << 62) + 1, 0, 8))),
        ("unaligned", with(Fda::of(1, 0, 6))),
        (
            "unaligned in the sender",
            start(0).ptr(odd).fda(Fda::of(1, 0, 8)),
        ),
        ("no parent at all", start(0).fda(Fda::of(1, 0, 8))),
        ("itself", with(Fda::of(1, 1, 8))),
        ("a later one", with(Fda::of(1, 2, 8)).ptr(parent)),
        ("no such object", with(Fda::of(1, 9, 8))),
        ("huge index", with(Fda::of(1, u64::MAX, 8))),
        ("none without a parent", start(0).fda(Fda::of(0, 0, 0))),
        ("none in a later one", with(Fda::of(0, 2, 0)).ptr(parent)),
        ("an array", with(Fda::of(0, 0, 0)).fda(Fda::of(1, 1, 8))),
        ("of another tree", {
            let tx = start(0).ptr(parent).ptr(parent);
            tx.fda(Fda::of(1, 0, 8))
        }),
        ("cut by a byte", with(Fda::of(1, 0, 8)).data_len(79)),
    ];
    for (what, tx) in cases {
        refused_twice(cx, &a, what, tx, libc::EINVAL)?;
    }
    let node = Obj::weak_node(Node::new(0x20));
    let tx = start(0).object(node).fda(Fda::of(1, 0, 8));
    refused_twice(cx, &a, "no pointer", tx, libc::EINVAL)?;
    m.idle()
}

fn fa_order_in_the_parent(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let fd = files(&a, 1)?;
    let parent = Ptr::to(&[fd[0], 0, 0, 0].map(u64::to_ne_bytes).concat());
    let child = Ptr::to(b"child");
    let one = |offset| Fda::of(1, 0, offset);
    let from = || start(0).ptr(parent);
    let cases = [
        ("twice", from().fda(one(0)).fda(one(0))),
        ("descending", from().fda(Fda::of(0, 0, 16)).fda(one(0))),
        (
            "child in an array",
            from().fda(one(0)).ptr(child.within(0, 0)),
        ),
        (
            "array in a child",
            from().ptr(child.within(0, 0)).fda(one(4)),
        ),
        (
            "child before none",
            from().fda(Fda::of(0, 0, 16)).ptr(child.within(0, 8)),
        ),
        ("child before none far away", {
            from().fda(Fda::of(0, 0, u64::MAX)).ptr(child.within(0, 24))
        }),
    ];
    for (what, tx) in cases {
        refused_twice(cx, &a, what, tx, libc::EINVAL)?;
    }
    m.idle()?;
    // Ascending, with children in between and a way back from one of them.
    let tx = from()
        .fda(one(0))
        .fda(Fda::of(0, 0, 4))
        .ptr(child.within(0, 4))
        .fda(Fda::of(0, 0, 12))
        .ptr(child.within(0, 16))
        .fda(Fda::of(0, 0, 32));
    let call = arrives(&a, &m, tx)?;
    let memory = m.behind(&call, 0)?;
    for (index, at) in [(3, 4), (5, 16)] {
        let address = m.pointer(&call, index)?.0.buffer.to_ne_bytes();
        same("address", &memory[at..at + 8], address.as_slice())?;
    }
    let got = m.numbers(&call, 1)?;
    same("file", inodes(&m, &got)?, inodes(&a, &fd)?)?;
    done(&a, &m, &call)?;
    closed(&m, &got)
}

/// The pipe's writing end is nowhere open any more.
fn put(a: &Thread, reader: u64) -> Res {
    let events = a.step("poll pipe", ops::poll, &[reader, 8000])?;
    same("put", events, libc::POLLHUP as i64)
}

fn fa_bad_descriptors(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let good = files(&a, 1)?[0];
    for (what, fds) in [
        ("the first", vec![999, good]),
        ("the last", vec![good, good, 999]),
        ("negative", vec![good, u64::from(u32::MAX)]),
    ] {
        refused_twice(cx, &a, what, carries(start(0), &fds), libc::EBADF)?;
    }
    // Files before the bad one are put.
    let reader = send_away(&a, |object| {
        refused(&a, carries(start(0), &[object.value, 999]), libc::EBADF)
    })?;
    put(&a, reader)?;
    let reader = send_away(&a, |object| {
        let tx = carries(start(0), &[object.value]);
        refused(&a, tx.object(Obj::handle(99)), libc::EINVAL)
    })?;
    put(&a, reader)?;
    m.idle()
}

fn fa_numbers_that_fault(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let fd = files(&a, 1)?[0];
    let pages = shm::alloc(3 * 4096).next_multiple_of(4096);
    let bytes = shm::put(&[fd as u32; 2].map(u32::to_ne_bytes).concat());
    a.run(ops::copy, &[bytes, pages + 4088, 8])?;
    same("mprotect", a.run(ops::forbid, &[pages + 4096, 4096])?, 0)?;
    for (what, at, offset) in [
        ("all", pages + 4096, 0),
        ("the second", pages + 4088, 4),
        ("nowhere", 8, 0),
        ("the end of all", u64::MAX - 7, 4),
    ] {
        let tx = start(0).ptr(Ptr::at(at, 16)).fda(Fda::of(2, 0, offset));
        refused_twice(cx, &a, what, tx, libc::EINVAL)?;
    }
    m.idle()?;
    // The memory around them faults later.
    let tx = start(0)
        .ptr(Ptr::at(pages + 4088, 16))
        .fda(Fda::of(1, 0, 0));
    refused_twice(cx, &a, "around them", tx, libc::EINVAL)?;
    // They may lie at the very edge.
    let tx = start(0).ptr(Ptr::at(pages + 4088, 8)).fda(Fda::of(1, 0, 0));
    let call = arrives(&a, &m, tx)?;
    let got = m.numbers(&call, 1)?;
    same("file", inodes(&m, &got)?, inodes(&a, &[fd])?)?;
    done(&a, &m, &call)
}

fn fa_table_full_at_a_call(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let sent = files(&a, 3)?;
    let next = next_number(&m)?;
    // Two of the three find a place.
    same("limit", m.run(ops::limit_files, &[next as u64 + 2])?, 0)?;
    let b = a.thread("A2")?;
    a.write(&bc().call(carries(start(0), &sent)))?;
    m.set_nonblock(true)?;
    let seen = m.read()?;
    check(
        "the receiver gets nothing",
        seen.items.iter().all(|item| item.message().is_none()),
    )?;
    m.set_nonblock(false)?;
    a.read()?.expect("NOOP COMPLETE FAILED_REPLY")?;
    a.has_error(br::OK, 0)?;
    same("no number is used up", next_number(&m)?, next)?;
    let call = arrives(&b, &m, carries(start(0), &sent[..2]))?;
    same(
        "numbers",
        m.numbers(&call, 1)?,
        vec![next as u64, next as u64 + 1],
    )?;
    done(&b, &m, &call)?;
    same("no number is used up", next_number(&m)?, next)
}

fn fa_table_full_at_a_reply(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let sent = files(&m, 2)?;
    let next = next_number(&a)?;
    same("limit", a.run(ops::limit_files, &[next as u64 + 1])?, 0)?;
    a.write(&bc().call(Tx::to(0).flags(tf::ACCEPT_FDS)))?;
    m.accept()?;
    m.answer_with(carries(Tx::answer().data(b"8 bytes.").extra(64), &sent))?;
    a.read()?.expect("NOOP COMPLETE FAILED_REPLY")?;
    same("no number is used up", next_number(&a)?, next)?;
    a.idle()
}

fn fa_undelivered_files_are_put(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let one_way = |object: Obj| {
        let tx = carries(start(0), &[object.value]).one_way();
        a.write_read(&bc().call(tx))?
            .expect("NOOP COMPLETE")
            .map(drop)
    };
    let read = send_away(&a, one_way)?;
    let call = m.accept()?;
    same("numbers", m.numbers(&call, 1)?.len(), 1)?;
    let parked = send_away(&a, one_way)?;
    let a2 = a.thread("A2")?;
    let called = send_away(&a, |object| {
        a2.write(&bc().call(carries(start(0), &[object.value])))
    })?;
    for reader in [read, parked, called] {
        same("held", a.step("poll pipe", ops::poll, &[reader, 0])?, 0)?;
    }
    m.kill()?;
    for reader in [read, parked, called] {
        put(&a, reader)?;
    }
    a2.read()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    Ok(())
}

fn fa_free_sends_the_thread_back(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let fd = files(&a, 1)?;
    for fds in [&fd[..], &[]] {
        let call = arrives(&a, &m, carries(start(0), fds))?;
        m.answer_with(Tx::answer())?;
        a.ending()?;
        // Nothing is there to be read, but files are there to be closed.
        let free = bc().free(call.buffer);
        if fds.is_empty() {
            let blocked = m.block(&free)?;
            let again = arrives_at(&a, blocked)?;
            done(&a, &m, &again)?;
        } else {
            m.write_read(&free)?.expect("NOOP")?;
            let blocked = m.block(&bc())?;
            let again = arrives_at(&a, blocked)?;
            done(&a, &m, &again)?;
        }
    }
    Ok(())
}

/// Sends a call to a thread that waits for one.
fn arrives_at(a: &Thread, waits: Pending<'_>) -> Res<TransactionData> {
    a.write(&bc().call(Tx::to(0)))?;
    waits.finish()?.expect("NOOP TRANSACTION")?.message()
}

fn fa_closed_by_the_program_first(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let sent = files(&a, 3)?;
    let call = arrives(&a, &m, carries(start(0), &sent))?;
    let got = m.numbers(&call, 1)?;
    m.run(ops::close, &[got[0]])?;
    // Its number goes to another file, which is closed instead.
    m.run(ops::close, &[got[1]])?;
    same("again", m.run(ops::memfd, &[])?, got[0] as i64)?;
    done(&a, &m, &call)?;
    closed(&m, &got)
}

fn fa_freed_by_a_forked_child(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let sent = files(&a, 1)?;
    let call = arrives(&a, &m, carries(start(0), &sent))?;
    let got = m.numbers(&call, 1)?;
    let child = m.fork("C")?;
    // The child has a file of its own under this number.
    child.run(ops::close, &[got[0]])?;
    same("number", child.run(ops::memfd, &[])?, got[0] as i64)?;
    child.write(&bc().free(call.buffer))?;
    check("the child keeps its file", inodes(&child, &got)?[0] > 0)?;
    same("the receiver, too", inodes(&m, &got)?, inodes(&a, &sent)?)
}

fn fa_number_of_the_device_itself(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let sent = files(&a, 1)?;
    let call = arrives(&a, &m, carries(start(0), &sent))?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    let got = m.numbers(&call, 1)?[0];
    // The program puts its device there. Nothing else refers to it.
    m.unmap()?;
    m.run(ops::close, &[got])?;
    same("number", m.run(ops::dup, &[m.fd as u64])?, got as i64)?;
    same("close", m.run(ops::close, &[m.fd as u64])?, 0)?;
    m.read()?.fails(libc::EBADF)?;
    let moved = m.with_fd(got as i32, "M at another number");
    // It is closed by an ioctl on it, which goes on to read.
    moved.write_read(&bc().free(call.buffer))?.expect("NOOP")?;
    closed(&m, &[got])?;
    Ok(())
}

/// Objects of all kinds about a descriptor and a handle of the sender.
fn all_kinds(fd: u64, handle: u32) -> Vec<Vec<u8>> {
    vec![
        array(&[fd; 4]).bytes().into(),
        Obj::fd(fd as i32).bytes().into(),
        Fda::of(2, 0, 8).bytes().into(),
        Obj::node(Node::new(0x60)).bytes().into(),
        Ptr::to(b"child").within(0, 16).bytes().into(),
        Obj::handle(handle).bytes().into(),
        Fda::of(0, 0, 24).bytes().into(),
        Obj::weak_handle(handle).bytes().into(),
    ]
}

fn fa_failure_at_each_position(cx: &Cx) -> Res {
    let (m, _s, a, h) = cx.trio(Node::new(0x20))?;
    let next = next_number(&m)?;
    let message = |list: &[Vec<u8>]| list.iter().fold(start(0), |tx, bytes| tx.item(bytes));
    // Not before the parent, whose index the others name.
    for position in 1..=8 {
        cx.note(position);
        let reader = send_away(&a, |object| {
            let mut list = all_kinds(object.value, h);
            list.insert(position, Obj::handle(999).bytes().into());
            a.write_read(&bc().call(message(&list)))?;
            a.has_error(br::FAILED_REPLY, -libc::EINVAL)
        })?;
        put(&a, reader)?;
    }
    m.idle()?;
    // Without that one object it arrives, and no number was used up before.
    let fd = files(&a, 1)?[0];
    let call = arrives(&a, &m, message(&all_kinds(fd, h)))?;
    let numbers = m.numbers(&call, 2)?;
    same("numbers", numbers, vec![next as u64 + 1, next as u64 + 2])?;
    for (at, want) in [(104, 1u32), (168, 2), (224, 2)] {
        let handle = m.memory(call.buffer + at + 8, 4)?;
        same("handle", handle, want.to_ne_bytes().to_vec())?;
    }
    m.write(&bc().free(call.buffer))
}

fn fa_nothing_is_lost(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let sent = files(&a, 20)?;
    let next = next_number(&m)?;
    cx.quiet(true);
    for round in 0..150 {
        let fds = &sent[..round % 21];
        let call = arrives(&a, &m, carries(start(0), fds))?;
        done(&a, &m, &call)?;
    }
    cx.quiet(false);
    same("no number is used up", next_number(&m)?, next)?;
    let call = arrives(&a, &m, Tx::to(0).zeros(MAPPING as usize))?;
    done(&a, &m, &call)
}
