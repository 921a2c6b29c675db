// SPDX-License-Identifier: MIT OR Apache-2.0

//! poll and epoll.

use super::{case, Case};
use crate::actor::Thread;
use crate::ops;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{same, Cx, Res};

pub(super) const CASES: &[Case] = &[
    case!(78 po_fresh_thread_is_readable),
    case!(78 po_call_makes_readable),
    case!(78 po_poll_wakes),
    case!(78 po_own_completion),
    case!(78 po_own_completion_wakes_epoll),
    case!(78 po_wakeup_source),
    case!(78 po_deferred_completion),
    case!(78 po_process_work_while_serving),
    case!(78 po_thread_exit_under_epoll),
    case!(78 po_close_under_epoll),
];

const IN: i64 = libc::POLLIN as i64;

/// What poll says now.
fn ready(t: &Thread) -> Res<i64> {
    t.step("poll", ops::poll, &[t.fd as u64, 0])
}

fn po_fresh_thread_is_readable(cx: &Cx) -> Res {
    let a = cx.opened("A")?;
    same("fresh", ready(&a)?, IN)?;
    same("still", ready(&a)?, IN)?;
    a.read()?.expect("NOOP")?;
    same("afterwards", ready(&a)?, 0)
}

fn po_call_makes_readable(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    same("nothing", ready(&m)?, 0)?;
    a.write(&bc().call(Tx::to(0)))?;
    same("a call", ready(&m)?, IN)?;
    m.accept()?;
    same("taken", ready(&m)?, 0)?;
    same("caller before", ready(&a)?, 0)?;
    m.answer_with(Tx::answer())?;
    same("caller after", ready(&a)?, IN)?;
    a.ending()?;
    same("caller at the end", ready(&a)?, 0)
}

fn po_poll_wakes(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    m.begin(ops::poll, &[m.fd as u64, 8000]);
    a.write_read(&bc().call(Tx::to(0).one_way()))?
        .expect("NOOP COMPLETE")?;
    same("events", m.end("poll")?, IN)?;
    m.accept()?;
    Ok(())
}

fn po_own_completion(cx: &Cx) -> Res {
    let (_m, a) = cx.pair()?;
    same("before", ready(&a)?, 0)?;
    a.write(&bc().call(Tx::to(0).one_way()))?;
    same("completion", ready(&a)?, IN)?;
    a.read()?.expect("NOOP COMPLETE")?;
    a.write(&bc().call(Tx::to(99)))?;
    same("error", ready(&a)?, IN)?;
    a.read()?.expect("NOOP FAILED_REPLY")?;
    same("after", ready(&a)?, 0)
}

fn po_own_completion_wakes_epoll(cx: &Cx) -> Res {
    let (_m, a) = cx.pair()?;
    a.set_nonblock(true)?;
    let ep = a.run(ops::epoll_create, &[])? as u64;
    let edge = libc::EPOLLET as u32;
    let added = a.run(ops::epoll_add, &[ep, a.fd as u64, edge.into()])?;
    same("add", added, 0)?;
    same(
        "nothing",
        a.step("epoll_wait", ops::epoll_wait, &[ep, 0])?,
        0,
    )?;
    a.write(&bc().call(Tx::to(0).one_way()))?;
    same(
        "woken",
        a.step("epoll_wait", ops::epoll_wait, &[ep, 8000])?,
        IN,
    )?;
    a.read()?.expect("NOOP COMPLETE")?;
    same("once", a.step("epoll_wait", ops::epoll_wait, &[ep, 0])?, 0)
}

fn po_wakeup_source(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let ep = m.run(ops::epoll_create, &[])? as u64;
    // Keeps the system awake until the event is taken, as Android's looper wants it.
    let wakeup = libc::EPOLLWAKEUP as u64;
    let added = m.step("add", ops::epoll_add, &[ep, m.fd as u64, wakeup])?;
    same("add", added, 0)?;
    let wait = |timeout| m.step("epoll_wait", ops::epoll_wait, &[ep, timeout]);
    same("nothing", wait(0)?, 0)?;
    a.write(&bc().call(Tx::to(0)))?;
    same("woken", wait(8000)?, IN)?;
    m.accept()?;
    m.answer_with(Tx::answer())?;
    same("nothing more", wait(0)?, 0)
}

fn po_deferred_completion(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0).object(Obj::node(Node::new(0x20)))))?;
    same("completion and node items alone", ready(&a)?, 0)?;
    a.idle()?;
    m.accept()?;
    m.answer_with(Tx::answer())?;
    same("with the reply", ready(&a)?, IN)
}

fn po_process_work_while_serving(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let m2 = m.thread("M2")?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    a.write(&bc().call(Tx::to(0).one_way()))?;
    same("serving", ready(&m)?, 0)?;
    same("free", ready(&m2)?, IN)?;
    m.answer_with(Tx::answer())?;
    same("free again", ready(&m)?, IN)?;
    m.accept()?;
    same("both", (ready(&m)?, ready(&m2)?), (0, 0))
}

fn po_thread_exit_under_epoll(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let ep = m.run(ops::epoll_create, &[])? as u64;
    same("add", m.run(ops::epoll_add, &[ep, m.fd as u64, 0])?, 0)?;
    m.thread_exit()?;
    // The next look meets a fresh record.
    same(
        "after the exit",
        m.step("epoll_wait", ops::epoll_wait, &[ep, 0])?,
        IN,
    )?;
    m.read()?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    same("close", m.run(ops::close, &[ep])?, 0)
}

fn po_close_under_epoll(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let ep = m.run(ops::epoll_create, &[])? as u64;
    same("add", m.run(ops::epoll_add, &[ep, m.fd as u64, 0])?, 0)?;
    a.write(&bc().acquire(0).request_death(0, 1))?;
    // A mapping holds the file too; it goes first.
    m.unmap()?;
    same("close", m.step("close", ops::close, &[m.fd as u64])?, 0)?;
    a.read()?.expect("NOOP DEAD_BINDER(1)")?;
    same(
        "nothing left",
        m.step("epoll_wait", ops::epoll_wait, &[ep, 0])?,
        0,
    )
}
