// SPDX-License-Identifier: MIT OR Apache-2.0

//! Objects in messages: nodes, handles, descriptors, and malformed lists.

use super::{case, Case};
use crate::abi::{br, obj, tf, TransactionData};
use crate::actor::{Proc, Thread};
use crate::ops;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{check, same, Cx, Res};

pub(super) const CASES: &[Case] = &[
    case!(51 ob_same_node_same_handle),
    case!(51 ob_another_cookie),
    case!(52 ob_handle_goes_home),
    case!(52 ob_handle_to_a_third),
    case!(53 ob_weak_handles),
    case!(53 ob_weak_node),
    case!(54 ob_fd_refused),
    case!(54 ob_fd_delivered),
    case!(55 ob_fd_in_a_reply),
    case!(56 ob_fd_table_full_at_a_call),
    case!(56 ob_fd_table_full_at_a_reply),
    case!(54 ob_undelivered_files_are_put),
    case!(60 ob_malformed_lists),
    case!(61 ob_failure_at_each_position),
];

const NODE: Node = Node::new(0x20);

/// Calls the manager with objects; gives what the manager got.
fn deliver(a: &Thread, m: &Thread, objects: &[Obj]) -> Res<(TransactionData, Vec<Obj>)> {
    let tx = objects
        .iter()
        .fold(Tx::to(0), |tx, object| tx.object(*object));
    a.write(&bc().call(tx))?;
    let call = m.accept()?;
    let got = m.objects(&call)?;
    Ok((call, got))
}

/// Calls the manager with a message that it must not get.
pub(super) fn refused(a: &Thread, tx: Tx, errno: i32) -> Res {
    a.write_read(&bc().call(tx))?.expect("NOOP FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, -errno)
}

fn ob_same_node_same_handle(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let other = NODE.flags(0x13);
    let (call, got) = deliver(&a, &m, &[Obj::node(NODE), Obj::node(other)])?;
    same("handles", (got[0].value, got[1].value), (1, 1))?;
    same(
        "flags go through",
        (got[0].flags, got[1].flags),
        (NODE.flags, 0x13),
    )?;
    m.write(&bc().acquire(1).free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    a.read()?
        .expect("NOOP INCREFS(20,21) ACQUIRE(20,21) COMPLETE REPLY")?;
    // The flags of the first object made the node: it accepts descriptors.
    let fd = m.run(ops::memfd, &[])? as i32;
    m.write(&bc().call(Tx::to(1).object(Obj::fd(fd))))?;
    a.accept()?;
    Ok(())
}

fn ob_another_cookie(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    deliver(&a, &m, &[Obj::node(NODE)])?;
    m.answer_with(Tx::answer())?;
    a.read()?
        .expect("NOOP INCREFS(20,21) ACQUIRE(20,21) COMPLETE REPLY")?;
    let wrong = Node {
        cookie: 0x99,
        ..NODE
    };
    refused(&a, Tx::to(0).object(Obj::node(wrong)), libc::EINVAL)?;
    refused(&a, Tx::to(0).object(Obj::weak_node(wrong)), libc::EINVAL)
}

fn ob_handle_goes_home(cx: &Cx) -> Res {
    let (_m, s, a, h) = cx.trio(NODE)?;
    let mine = Obj {
        cookie: 0x77,
        ..Obj::handle(h)
    };
    a.write(&bc().call(Tx::to(h).object(mine)))?;
    let call = s.accept()?;
    let got = s.one_object(&call)?;
    same("kind", got.kind, obj::BINDER)?;
    same("node", (got.value, got.cookie), (NODE.ptr, NODE.cookie))?;
    s.write(&bc().free(call.buffer))?;
    s.answer_with(Tx::answer())?;
    a.ending()?;
    s.idle()
}

fn ob_handle_to_a_third(cx: &Cx) -> Res {
    let (m, _s, a, h) = cx.trio(NODE)?;
    // The manager has another handle in front of it.
    let extra = cx.hand_in(&a, &m, Obj::node(Node::new(0x50)))?;
    same("first handle of the manager", extra.value, 1)?;
    let (_, got) = deliver(&a, &m, &[Obj::handle(h)])?;
    same(
        "kind and handle",
        (got[0].kind, got[0].value),
        (obj::HANDLE, 2),
    )?;
    same("cookie", got[0].cookie, 0)
}

fn ob_weak_handles(cx: &Cx) -> Res {
    let (m, _s, a, h) = cx.trio(NODE)?;
    let (call, got) = deliver(&a, &m, &[Obj::weak_handle(h)])?;
    same("kind", got[0].kind, obj::WEAK_HANDLE)?;
    let weak = got[0].value as u32;
    // Held by the buffer, and weakly.
    m.write(&bc().acquire(weak).increfs(weak).free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    m.answer_with(Tx::answer().object(Obj::handle(weak)))?;
    a.read()?.expect("NOOP COMPLETE FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, -libc::EINVAL)?;
    // Nor can it be called.
    m.write_read(&bc().call(Tx::to(weak)))?
        .expect("NOOP FAILED_REPLY")?;
    m.has_error(br::FAILED_REPLY, -libc::EINVAL)?;
    // Received strongly, it is strong.
    let (_, got) = deliver(&a, &m, &[Obj::handle(h)])?;
    same(
        "kind and handle",
        (got[0].kind, got[0].value),
        (obj::HANDLE, u64::from(weak)),
    )?;
    m.write(&bc().acquire(weak).call(Tx::to(weak).one_way()))
}

fn ob_weak_node(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let (call, got) = deliver(&a, &m, &[Obj::weak_node(NODE)])?;
    same("kind", got[0].kind, obj::WEAK_HANDLE)?;
    m.write(&bc().increfs(1).free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    a.read()?.expect("NOOP INCREFS(20,21) COMPLETE REPLY")?;
    a.write(&bc().increfs_done(NODE))?;
    m.write(&bc().decrefs(1))?;
    a.read()?.expect("NOOP DECREFS(20,21)")?;
    a.idle()
}

/// A server whose node has no flags, and a client with a handle to it.
pub(super) fn stern(cx: &Cx) -> Res<(Proc, Proc, Proc, u32)> {
    cx.trio(NODE.flags(0))
}

fn ob_fd_refused(cx: &Cx) -> Res {
    let (_m, s, a, h) = stern(cx)?;
    let fd = a.run(ops::memfd, &[])? as i32;
    refused(&a, Tx::to(h).object(Obj::fd(fd)), libc::EPERM)?;
    refused(&a, Tx::to(h).object(Obj::fd(fd)).one_way(), libc::EPERM)?;
    s.idle()?;
    for closed in [999, -1] {
        refused(&a, Tx::to(0).object(Obj::fd(closed)), libc::EBADF)?;
    }
    Ok(())
}

fn ob_fd_delivered(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let fd = a.run(ops::memfd, &[])?;
    let inode = a.run(ops::inode, &[fd as u64])?;
    // Which number comes next in the receiver.
    let next = m.run(ops::dup, &[m.fd as u64])?;
    m.run(ops::close, &[next as u64])?;
    m.read()?;
    let object = Obj {
        cookie: 0x1234,
        flags: 0x17,
        ..Obj::fd(fd as i32)
    };
    let (call, got) = deliver(&a, &m, &[object])?;
    same(
        "kind, cookie, pad",
        (got[0].kind, got[0].cookie, got[0].flags),
        (obj::FD, 0x1234, 0x17),
    )?;
    same("number", got[0].value, next as u64)?;
    same("closed on exec", m.run(ops::is_cloexec, &[next as u64])?, 1)?;
    same("same file", m.run(ops::inode, &[next as u64])?, inode)?;
    m.write(&bc().free(call.buffer))?;
    same("still open", m.run(ops::inode, &[next as u64])?, inode)?;
    // The sender may close its own.
    a.run(ops::close, &[fd as u64])?;
    same("still open", m.run(ops::inode, &[next as u64])?, inode)
}

fn ob_fd_in_a_reply(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let fd = m.run(ops::memfd, &[])? as i32;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    m.answer_with(Tx::answer().object(Obj::fd(fd)))?;
    a.read()?.expect("NOOP COMPLETE FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, -libc::EPERM)?;
    a.write(&bc().call(Tx::to(0).flags(tf::ACCEPT_FDS)))?;
    m.accept()?;
    m.answer_with(Tx::answer().object(Obj::fd(fd)))?;
    let reply = a.ending()?;
    let got = a.one_object(&reply)?.value;
    let here = a.run(ops::inode, &[got])?;
    same("same file", here, m.run(ops::inode, &[fd as u64])?)
}

fn ob_fd_table_full_at_a_call(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let fd = a.run(ops::memfd, &[])? as i32;
    same("limit", m.run(ops::limit_files, &[0])?, 0)?;
    a.write(&bc().call(Tx::to(0).object(Obj::fd(fd))))?;
    m.set_nonblock(true)?;
    let seen = m.read()?;
    check(
        "the receiver gets nothing",
        seen.items.iter().all(|item| item.message().is_none()),
    )?;
    m.set_nonblock(false)?;
    a.read()?.expect("NOOP COMPLETE FAILED_REPLY")?;
    a.has_error(br::OK, 0)
}

fn ob_fd_table_full_at_a_reply(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let fd = m.run(ops::memfd, &[])? as i32;
    same("limit", a.run(ops::limit_files, &[0])?, 0)?;
    a.write(&bc().call(Tx::to(0).flags(tf::ACCEPT_FDS)))?;
    m.accept()?;
    m.answer_with(Tx::answer().object(Obj::fd(fd)))?;
    a.read()?.expect("NOOP COMPLETE FAILED_REPLY")?;
    a.idle()
}

/// Makes a pipe in `t`, sends its writing end away with `send`, closes the
/// sender's own copy, and gives the reading end.
pub(super) fn send_away(t: &Thread, send: impl FnOnce(Obj) -> Res) -> Res<u64> {
    let ends = t.run(ops::pipe, &[])? as u64;
    let (reader, writer) = (ends & 0xffff, ends >> 16);
    send(Obj::fd(writer as i32))?;
    t.run(ops::close, &[writer])?;
    Ok(reader)
}

fn ob_undelivered_files_are_put(cx: &Cx) -> Res {
    const HUP: i64 = libc::POLLHUP as i64;
    let (m, a) = cx.pair()?;
    let a2 = a.thread("A2")?;
    let put =
        |reader| -> Res { same("put", a.step("poll pipe", ops::poll, &[reader, 8000])?, HUP) };
    // A message that fails at a later object.
    let tx = |object| Tx::to(0).object(object).object(Obj::handle(99));
    put(send_away(&a, |object| {
        refused(&a, tx(object), libc::EINVAL)
    })?)?;
    // Not read before the receiver dies: a one-way, one behind it, a call.
    let one_way = |object| {
        let tx = Tx::to(0).object(object).one_way();
        a.write_read(&bc().call(tx))?
            .expect("NOOP COMPLETE")
            .map(drop)
    };
    let first = send_away(&a, one_way)?;
    let second = send_away(&a, one_way)?;
    let third = send_away(&a, |object| a2.write(&bc().call(Tx::to(0).object(object))))?;
    for reader in [first, second, third] {
        same("held", a.step("poll pipe", ops::poll, &[reader, 0])?, 0)?;
    }
    m.kill()?;
    for reader in [first, second, third] {
        put(reader)?;
    }
    a2.read()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    Ok(())
}

fn ob_malformed_lists(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let (weak, unknown) = (
        Obj::weak_node(NODE),
        Obj {
            kind: 0x1234_5678,
            ..Obj::node(NODE)
        },
    );
    let two = || Tx::to(0).object(weak).object(weak);
    let one = || Tx::to(0).object(weak);
    let cases = [
        ("equal", two().offsets(&[0, 0]), libc::EFAULT),
        ("overlapping", two().offsets(&[0, 16]), libc::EFAULT),
        ("descending", two().offsets(&[24, 0]), libc::EFAULT),
        (
            "unaligned by 2",
            Tx::to(0)
                .zeros(2)
                .data(&weak.bytes())
                .zeros(6)
                .offsets(&[2]),
            libc::EINVAL,
        ),
        ("beyond the data", one().offsets(&[32]), libc::EFAULT),
        ("at the end", one().offsets(&[24]), libc::EINVAL),
        ("huge", one().offsets(&[u64::MAX - 7]), libc::EFAULT),
        ("unknown type", Tx::to(0).object(unknown), libc::EINVAL),
        ("cut by data_size", one().data_len(20), libc::EINVAL),
        ("only a type", one().data_len(4), libc::EINVAL),
    ];
    for (what, tx, errno) in cases {
        cx.note(what);
        refused(&a, tx, errno)?;
    }
    m.idle()?;
    // Aligned to 4 is enough; what looks like an object elsewhere is data.
    let fine = Tx::to(0)
        .zeros(4)
        .data(&weak.bytes())
        .data(&unknown.bytes())
        .offsets(&[4]);
    a.write(&bc().call(fine))?;
    m.accept()?;
    Ok(())
}

fn ob_failure_at_each_position(cx: &Cx) -> Res {
    let (m, _s, a, h) = cx.trio(NODE)?;
    let fd = a.run(ops::memfd, &[])? as i32;
    let own = Node::new(0x60);
    let good = [
        Obj::node(own),
        Obj::weak_node(Node::new(0x70)),
        Obj::handle(h),
        Obj::weak_handle(h),
        Obj::fd(fd),
    ];
    for position in 0..=good.len() {
        let mut list = good.to_vec();
        list.insert(position, Obj::handle(999));
        let tx = list.iter().fold(Tx::to(0), |tx, object| tx.object(*object));
        a.write_read(&bc().call(tx))?;
        a.has_error(br::FAILED_REPLY, -libc::EINVAL)?;
    }
    m.idle()?;
    // No handle of the receiver is used up, no descriptor either.
    let (call, got) = deliver(&a, &m, &good)?;
    let values: Vec<_> = got[..4].iter().map(|object| object.value).collect();
    same("handles", values, vec![1, 2, 3, 3])?;
    m.write(&bc().free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    let rest = a.read()?;
    check("the call ends", rest.message().is_ok())
}
