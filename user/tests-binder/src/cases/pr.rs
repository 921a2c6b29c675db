// SPDX-License-Identifier: MIT OR Apache-2.0

//! Priorities: what a thread is lent for a message, and that it is taken back.

use super::{case, Case};
use crate::actor::{Proc, Thread};
use crate::ops;
use crate::request::Request;
use crate::sched::{hold, limits, nice, policy, processor, runs, seen};
use crate::wire::{bc, Node, Tx};
use crate::world::{check, same, Cx, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(79 pr_nice_of_the_caller),
    case!(79 pr_least_of_the_node),
    case!(79 pr_least_beyond_all_nice_values),
    case!(79 pr_least_with_a_sign),
    case!(79 pr_one_way),
    case!(79 pr_nested),
    case!(79 pr_given_back_with_a_bad_reply),
    case!(79 pr_given_back_when_the_caller_is_gone),
    case!(79 pr_before_waiting_for_work),
    case!(79 pr_limit_of_nice_values),
    case!(79 pr_no_nice_value_allowed),
    case!(79 pr_own_beyond_the_limit),
    case!(79 pr_real_time_stays_with_the_caller),
    case!(79 pr_real_time_is_passed_on),
    case!(79 pr_real_time_of_the_receiver),
    case!(79 pr_least_is_real_time),
    case!(79 pr_limit_of_real_time),
    case!(79 pr_batch_and_idle),
    case!(79 pr_nested_real_time),
    case!(79 pr_chosen_before_it_runs),
    case!(79 pr_signal_beside_the_choice),
];

/// Flags of a node: least nice value 19, as libbinder says.
const LEAST: u32 = 19;
/// Flag of a node that takes its callers' real-time policies.
const INHERIT_RT: u32 = 0x800;
/// Policies in the flags of a node.
const FIFO: u32 = 1 << 9;
const RR: u32 = 2 << 9;
const BATCH: u32 = 3 << 9;

/// A manager whose node has these flags, after `before` was done to its thread.
fn server(cx: &Cx, flags: u32, before: impl FnOnce(&Thread) -> Res) -> Res<Proc> {
    let mut m = cx.process("M")?;
    before(&m)?;
    m.open(&cx.device)?;
    check("mmap works", m.map(MAPPING)? > 0)?;
    m.greet()?;
    same("manager", m.become_manager(MANAGER.flags(flags))?, 0)?;
    Ok(m)
}

fn plain(cx: &Cx, flags: u32) -> Res<(Proc, Proc)> {
    Ok((server(cx, flags, |_| Ok(()))?, cx.proc("A")?))
}

/// Calls the manager, who runs like `lent` meanwhile and like `after` when it
/// has answered.
fn call(a: &Thread, m: &Thread, lent: &str, after: &str) -> Res {
    a.write(&bc().call(Tx::to(0)))?;
    let got = m.accept()?;
    runs(m, lent)?;
    m.write_read(&bc().free(got.buffer).reply(Tx::answer()))?
        .expect("NOOP COMPLETE")?;
    runs(m, after)?;
    let end = a.ending()?;
    a.write(&bc().free(end.buffer))
}

/// Sends a one-way, for which the manager runs like `lent`.
fn post(a: &Thread, m: &Thread, lent: &str) -> Res {
    a.write_read(&bc().call(Tx::to(0).one_way()))?
        .expect("NOOP COMPLETE")?;
    let got = m.accept()?;
    runs(m, lent)?;
    m.write(&bc().free(got.buffer))
}

fn pr_nice_of_the_caller(cx: &Cx) -> Res {
    let (m, a) = plain(cx, LEAST)?;
    for value in [0, 10, -5, 19, -20] {
        nice(&a, value)?;
        call(&a, &m, &format!("normal {value}"), "normal 0")?;
    }
    runs(&a, "normal -20")
}

fn pr_least_of_the_node(cx: &Cx) -> Res {
    let (m, a) = plain(cx, 5)?;
    for (value, lent) in [(10, 5), (6, 5), (5, 5), (4, 4), (-7, -7)] {
        nice(&a, value)?;
        call(&a, &m, &format!("normal {lent}"), "normal 0")?;
    }
    Ok(())
}

fn pr_least_beyond_all_nice_values(cx: &Cx) -> Res {
    let (m, a) = plain(cx, 0x7f)?;
    for value in [19, -3] {
        nice(&a, value)?;
        call(&a, &m, &format!("normal {value}"), "normal 0")?;
    }
    post(&a, &m, "normal 0")
}

fn pr_least_with_a_sign(cx: &Cx) -> Res {
    let (m, a) = plain(cx, 0xf6)?;
    nice(&a, 10)?;
    call(&a, &m, "normal -10", "normal 0")?;
    post(&a, &m, "normal -10")
}

fn pr_one_way(cx: &Cx) -> Res {
    let (m, a) = (server(cx, 5, |m| nice(m, 12))?, cx.proc("A")?);
    // The sender's own does not matter.
    nice(&a, -10)?;
    post(&a, &m, "normal 5")?;
    m.idle()?;
    runs(&m, "normal 12")?;
    call(&a, &m, "normal -10", "normal 12")?;
    m.kill()?;
    let m = server(cx, 5, |m| nice(m, 3))?;
    post(&a, &m, "normal 3")?;
    m.idle()?;
    runs(&m, "normal 3")
}

fn pr_nested(cx: &Cx) -> Res {
    let (m, s, a, handle) = cx.trio(Node::new(0x20).flags(LEAST))?;
    nice(&a, 10)?;
    a.write(&bc().call(Tx::to(handle)))?;
    s.accept()?;
    runs(&s, "normal 10")?;
    // The server calls the manager, who calls back into the same thread.
    let node = Node::new(0x30).flags(LEAST);
    s.write(&bc().call(Tx::to(0).object(crate::wire::Obj::node(node))))?;
    let outer = m.accept()?;
    let back = m.one_object(&outer)?.value as u32;
    runs(&m, "normal 0")?;
    nice(&m, -7)?;
    m.write(&bc().acquire(back).call(Tx::to(back)))?;
    s.read()?
        .expect("NOOP INCREFS(30,31) ACQUIRE(30,31) COMPLETE TRANSACTION")?;
    runs(&s, "normal -7")?;
    s.write_read(&bc().both_done(node).reply(Tx::answer()))?
        .expect("NOOP COMPLETE")?;
    runs(&s, "normal 10")?;
    m.ending()?;
    m.answer_with(Tx::answer())?;
    s.read()?.expect("NOOP REPLY")?;
    runs(&s, "normal 10")?;
    s.answer_with(Tx::answer())?;
    runs(&s, "normal 0")?;
    a.ending().map(drop)
}

fn pr_given_back_with_a_bad_reply(cx: &Cx) -> Res {
    let (m, a) = plain(cx, LEAST)?;
    nice(&a, 10)?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    runs(&m, "normal 10")?;
    m.write_read(&bc().reply(Tx::answer().data_at(8).data_len(8)))?
        .expect("NOOP COMPLETE")?;
    runs(&m, "normal 0")?;
    a.read()?.expect("NOOP COMPLETE FAILED_REPLY")?;
    // Without a call there is nothing to give back.
    nice(&m, 4)?;
    m.write_read(&bc().reply(Tx::answer()))?
        .expect("NOOP FAILED_REPLY")?;
    runs(&m, "normal 4")
}

fn pr_given_back_when_the_caller_is_gone(cx: &Cx) -> Res {
    let (m, a) = plain(cx, LEAST)?;
    nice(&a, 10)?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    a.kill()?;
    runs(&m, "normal 10")?;
    m.answer_with(Tx::answer())?;
    runs(&m, "normal 0")
}

fn pr_before_waiting_for_work(cx: &Cx) -> Res {
    let (m, a) = (server(cx, LEAST, |m| nice(m, 2))?, cx.proc("A")?);
    nice(&m, 7)?;
    m.idle()?;
    runs(&m, "normal 2")?;
    let second = m.bare_thread("M2")?;
    nice(&second, -4)?;
    second.greet()?;
    runs(&second, "normal 2")?;
    // A thread that waits for an answer keeps what it has.
    nice(&a, 7)?;
    a.write(&bc().call(Tx::to(0)))?;
    a.idle()?;
    runs(&a, "normal 7")
}

/// A server of another user with these limits, who can't exceed them.
fn limited(cx: &Cx, flags: u32, own: i32, limit: (u64, u64)) -> Res<(Proc, Proc)> {
    let m = server(cx, flags, |m| nice(m, own))?;
    limits(&m, limit.0, limit.1)?;
    same("uid", m.run(ops::set_thread_uid, &[1000])?, 0)?;
    let a = cx.proc("A")?;
    Ok((m, a))
}

fn pr_limit_of_nice_values(cx: &Cx) -> Res {
    let (m, a) = limited(cx, LEAST, 0, (25, 0))?;
    for (value, lent) in [(-20, -5), (-5, -5), (3, 3), (19, 19)] {
        nice(&a, value)?;
        call(&a, &m, &format!("normal {lent}"), "normal 0")?;
    }
    m.idle()?;
    runs(&m, "normal 0")
}

fn pr_no_nice_value_allowed(cx: &Cx) -> Res {
    let (m, a) = limited(cx, LEAST, 0, (0, 0))?;
    for value in [-20, 19] {
        nice(&a, value)?;
        call(&a, &m, "normal 0", "normal 0")?;
    }
    post(&a, &m, "normal 0")
}

fn pr_own_beyond_the_limit(cx: &Cx) -> Res {
    let (m, a) = limited(cx, LEAST, -10, (25, 0))?;
    nice(&a, 10)?;
    call(&a, &m, "normal 10", "normal -10")?;
    m.idle()?;
    runs(&m, "normal -10")
}

fn pr_real_time_stays_with_the_caller(cx: &Cx) -> Res {
    let (m, a) = plain(cx, LEAST)?;
    policy(&a, libc::SCHED_FIFO, 20)?;
    call(&a, &m, "normal 0", "normal 0")?;
    post(&a, &m, "normal 0")
}

fn pr_real_time_is_passed_on(cx: &Cx) -> Res {
    let (m, a) = (
        server(cx, LEAST | INHERIT_RT, |m| nice(m, 3))?,
        cx.proc("A")?,
    );
    policy(&a, libc::SCHED_FIFO, 20)?;
    call(&a, &m, "fifo 20 (3) reset", "normal 3")?;
    policy(&a, libc::SCHED_RR, 1)?;
    call(&a, &m, "rr 1 (3) reset", "normal 3")?;
    // Only with a call.
    post(&a, &m, "normal 3")
}

fn pr_real_time_of_the_receiver(cx: &Cx) -> Res {
    let m = server(cx, LEAST, |m| {
        nice(m, 3)?;
        policy(m, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, 7)
    })?;
    let a = cx.proc("A")?;
    runs(&m, "rr 7 (3) reset")?;
    call(&a, &m, "normal 0 reset", "rr 7 (3) reset")?;
    post(&a, &m, "rr 7 (3) reset")?;
    // What it chooses itself lasts until it waits.
    policy(&m, libc::SCHED_FIFO, 9)?;
    m.idle()?;
    runs(&m, "rr 7 (3)")?;
    call(&a, &m, "normal 0 reset", "rr 7 (3)")
}

fn pr_least_is_real_time(cx: &Cx) -> Res {
    let (m, a) = plain(cx, FIFO | 30)?;
    call(&a, &m, "fifo 30 (0) reset", "normal 0")?;
    post(&a, &m, "fifo 30 (0) reset")?;
    m.idle()?;
    runs(&m, "normal 0")?;
    m.kill()?;
    let m = server(cx, RR | INHERIT_RT | 30, |_| Ok(()))?;
    for (priority, lent) in [
        (29, "rr 30 (0) reset"),
        (30, "fifo 30 (0) reset"),
        (31, "fifo 31 (0) reset"),
    ] {
        policy(&a, libc::SCHED_FIFO, priority)?;
        call(&a, &m, lent, "normal 0")?;
    }
    Ok(())
}

fn pr_limit_of_real_time(cx: &Cx) -> Res {
    let (m, a) = limited(cx, LEAST | INHERIT_RT, 0, (25, 10))?;
    policy(&a, libc::SCHED_FIFO, 20)?;
    call(&a, &m, "fifo 10 (0) reset", "normal 0")?;
    policy(&a, libc::SCHED_FIFO, 4)?;
    call(&a, &m, "fifo 4 (0) reset", "normal 0")?;
    m.kill()?;
    // Without a right to any, it is the best nice value that there is.
    let (m, b) = limited(cx, LEAST | INHERIT_RT, 0, (25, 0))?;
    policy(&b, libc::SCHED_FIFO, 20)?;
    call(&b, &m, "normal -5", "normal 0")
}

fn pr_batch_and_idle(cx: &Cx) -> Res {
    let (m, a) = plain(cx, LEAST)?;
    nice(&a, 6)?;
    policy(&a, libc::SCHED_BATCH, 0)?;
    call(&a, &m, "batch 6 reset", "normal 0")?;
    // This one stays with who has it.
    policy(&a, libc::SCHED_IDLE, 0)?;
    call(&a, &m, "normal 0", "normal 0")?;
    m.kill()?;
    let m = server(cx, BATCH | 2, |_| Ok(()))?;
    policy(&a, libc::SCHED_BATCH, 0)?;
    call(&a, &m, "batch 2 reset", "normal 0")
}

fn pr_nested_real_time(cx: &Cx) -> Res {
    let flags = LEAST | INHERIT_RT;
    let (m, s, a, handle) = cx.trio(Node::new(0x20).flags(flags))?;
    policy(&a, libc::SCHED_FIFO, 10)?;
    a.write(&bc().call(Tx::to(handle)))?;
    s.accept()?;
    runs(&s, "fifo 10 (0) reset")?;
    let node = Node::new(0x30).flags(flags);
    s.write(&bc().call(Tx::to(0).object(crate::wire::Obj::node(node))))?;
    let outer = m.accept()?;
    let back = m.one_object(&outer)?.value as u32;
    let waiting = s.block(&bc())?;
    policy(&m, libc::SCHED_RR, 40)?;
    // The thread sleeps, and is chosen.
    m.write(&bc().acquire(back).call(Tx::to(back)))?;
    waiting
        .finish()?
        .expect("NOOP INCREFS(30,31) ACQUIRE(30,31) COMPLETE TRANSACTION")?;
    runs(&s, "rr 40 (0) reset")?;
    s.write_read(&bc().both_done(node).reply(Tx::answer()))?
        .expect("NOOP COMPLETE")?;
    runs(&s, "fifo 10 (0) reset")?;
    m.ending()?;
    m.answer_with(Tx::answer())?;
    s.read()?.expect("NOOP REPLY")?;
    s.answer_with(Tx::answer())?;
    runs(&s, "normal 0")?;
    a.ending().map(drop)
}

fn pr_chosen_before_it_runs(cx: &Cx) -> Res {
    let (m, a) = plain(cx, LEAST | INHERIT_RT)?;
    let hog = cx.process("hog")?;
    policy(&a, libc::SCHED_FIFO, 20)?;
    policy(&hog, libc::SCHED_FIFO, 90)?;
    processor(&m, 0)?;
    processor(&hog, 0)?;
    let waiting = m.block(&bc())?;
    // While another one has its processor, nothing but the sender can change it.
    hold(&hog, 600);
    a.write(&bc().call(Tx::to(0)))?;
    let state = seen(&m)?;
    let in_time = hog.is_busy();
    cx.note(format!("{state:?} {in_time}"));
    check("the processor was held meanwhile", in_time)?;
    same("policy and priority", state, (1, 20))?;
    hog.end_of_work("spin")?;
    waiting.finish()?.expect("NOOP TRANSACTION")?;
    runs(&m, "fifo 20 (0) reset")?;
    m.answer_with(Tx::answer())?;
    runs(&m, "normal 0")
}

/// The thread may be woken by a signal, and be done with the call, while the one
/// who has chosen it is about to change it.
fn pr_signal_beside_the_choice(cx: &Cx) -> Res {
    let (m, a) = plain(cx, LEAST)?;
    nice(&a, 10)?;
    cx.quiet(true);
    for round in 0..80 {
        let reading = m.start(&Request::new(&bc(), 256));
        let calling = a.start(&Request::new(&bc().call(Tx::to(0)), 0));
        if round % 2 == 0 {
            m.signal(libc::SIGUSR1)?;
        }
        let mut done = reading.finish()?;
        calling.finish()?;
        while done.result < 0 {
            done = m.read()?;
        }
        let got = done.expect("NOOP TRANSACTION")?.message()?;
        runs(&m, "normal 10")?;
        m.write_read(&bc().free(got.buffer).reply(Tx::answer()))?
            .expect("NOOP COMPLETE")?;
        runs(&m, "normal 0")?;
        let end = a.ending()?;
        runs(&m, "normal 0")?;
        a.write(&bc().free(end.buffer))?;
    }
    cx.quiet(false);
    cx.note("80 calls");
    m.idle()?;
    runs(&m, "normal 0")
}
