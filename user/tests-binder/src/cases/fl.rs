// SPDX-License-Identifier: MIT OR Apache-2.0

//! Freeze notifications: listening to the state of a process, frozen or not.

use super::{case, Case};
use crate::abi::nr;
use crate::actor::Thread;
use crate::request::Request;
use crate::stress;
use crate::wire::{bc, Bc, Node, Tx};
use crate::world::{check, same, Cx, Res};

pub(super) const CASES: &[Case] = &[
    case!(72 fl_states),
    case!(72 fl_requested_while_frozen),
    case!(72 fl_wakes_a_reader),
    case!(72 fl_changes_while_unread),
    case!(72 fl_changes_while_unanswered),
    case!(72 fl_taken_back_while_unanswered),
    case!(72 fl_same_state_again),
    case!(72 fl_failed_freeze),
    case!(72 fl_failed_freeze_thaws),
    case!(72 fl_requested_during_the_wait),
    case!(72 fl_cleared_while_idle),
    case!(72 fl_cleared_while_unread),
    case!(72 fl_cleared_while_unanswered),
    case!(72 fl_cleared_after_a_change),
    case!(72 fl_wrong_commands),
    case!(72 fl_equal_cookies),
    case!(72 fl_again_after_clear),
    case!(72 fl_dead_node),
    case!(72 fl_owner_dies),
    case!(72 fl_owner_dies_with_unread_news),
    case!(72 fl_last_reference_dropped),
    case!(72 fl_cleared_outlives_the_reference),
    case!(72 fl_nodes_and_holders),
    case!(72 fl_listener_dies),
    case!(72 fl_against_a_freezer),
];

const NODE: Node = Node::new(0x20);

/// Freezes, which must work at once.
fn frozen(by: &Thread, who: &Thread) -> Res {
    same("freeze", by.freeze(who, 0)?, 0)
}

/// Commands of which the last fails with EINVAL, and is not counted.
fn invalid(t: &Thread, good: &Bc, bad: &Bc) -> Res {
    let done = t.request(&Request::new(&good.clone().also(bad), 0))?;
    let done = done.fails(libc::EINVAL)?;
    same("taken", done.write_consumed, good.bytes().len() as u64)
}

fn fl_states(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write_read(&bc().request_freeze(h, 0xf1))?
        .expect("NOOP FROZEN_BINDER(f1,0)")?;
    a.write(&bc().freeze_done(0xf1))?;
    a.idle()?;
    frozen(&m, &s)?;
    a.read()?.expect("NOOP FROZEN_BINDER(f1,1)")?;
    a.write(&bc().freeze_done(0xf1))?;
    a.idle()?;
    m.thaw(&s)?;
    a.read()?.expect("NOOP FROZEN_BINDER(f1,0)")?;
    a.write(&bc().freeze_done(0xf1))?;
    a.idle()
}

fn fl_requested_while_frozen(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    frozen(&m, &s)?;
    a.write_read(&bc().request_freeze(h, 0xf1))?
        .expect("NOOP FROZEN_BINDER(f1,1)")?;
    // It is the process that is frozen.
    let second = cx.share(&m, &a, Node::new(0x30), &s)?;
    s.write_read(&bc().request_freeze(second, 7))?
        .expect("NOOP FROZEN_BINDER(7,0)")
        .map(drop)
}

fn fl_wakes_a_reader(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    let (older, newer) = (a.thread("A2")?, a.thread("A3")?);
    let older = older.block(&bc())?;
    let newer = newer.block(&bc())?;
    a.write(&bc().request_freeze(h, 1))?;
    newer.finish()?.expect("NOOP FROZEN_BINDER(1,0)")?;
    a.write(&bc().freeze_done(1))?;
    frozen(&m, &s)?;
    older.finish()?.expect("NOOP FROZEN_BINDER(1,1)").map(drop)
}

fn fl_changes_while_unread(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write(&bc().request_freeze(h, 1))?;
    frozen(&m, &s)?;
    a.read()?.expect("NOOP FROZEN_BINDER(1,1)")?;
    a.write(&bc().freeze_done(1))?;
    a.idle()?;
    m.thaw(&s)?;
    a.read()?.expect("NOOP FROZEN_BINDER(1,0)").map(drop)
}

fn fl_changes_while_unanswered(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write_read(&bc().request_freeze(h, 1))?
        .expect("NOOP FROZEN_BINDER(1,0)")?;
    frozen(&m, &s)?;
    a.idle()?;
    a.write_read(&bc().freeze_done(1))?
        .expect("NOOP FROZEN_BINDER(1,1)")?;
    a.write(&bc().freeze_done(1))?;
    a.idle()
}

fn fl_taken_back_while_unanswered(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write_read(&bc().request_freeze(h, 1))?
        .expect("NOOP FROZEN_BINDER(1,0)")?;
    frozen(&m, &s)?;
    m.thaw(&s)?;
    a.write(&bc().freeze_done(1))?;
    a.idle()?;
    frozen(&m, &s)?;
    m.thaw(&s)?;
    // Nor is what was taken back before it was read.
    a.idle()
}

fn fl_same_state_again(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write_read(&bc().request_freeze(h, 1))?
        .expect("NOOP FROZEN_BINDER(1,0)")?;
    a.write(&bc().freeze_done(1))?;
    m.thaw(&s)?;
    a.idle()?;
    frozen(&m, &s)?;
    a.read()?.expect("NOOP FROZEN_BINDER(1,1)")?;
    a.write(&bc().freeze_done(1))?;
    frozen(&m, &s)?;
    a.idle()
}

fn fl_failed_freeze(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write_read(&bc().request_freeze(h, 1))?
        .expect("NOOP FROZEN_BINDER(1,0)")?;
    a.write(&bc().freeze_done(1))?;
    let b = cx.proc("B")?;
    let other = cx.share(&m, &s, NODE, &b)?;
    b.write(&bc().call(Tx::to(other)))?;
    same("freeze", m.freeze(&s, 50)?, -i64::from(libc::EAGAIN))?;
    a.idle()
}

fn fl_failed_freeze_thaws(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    frozen(&m, &s)?;
    a.write_read(&bc().request_freeze(h, 1))?
        .expect("NOOP FROZEN_BINDER(1,1)")?;
    a.write(&bc().freeze_done(1).call(Tx::to(h).one_way()))?;
    a.read()?.expect("NOOP PENDING_FROZEN")?;
    same("freeze", m.freeze(&s, 0)?, -i64::from(libc::EAGAIN))?;
    // It is not frozen any more.
    a.set_nonblock(true)?;
    a.read()?.expect("NOOP FROZEN_BINDER(1,0)").map(drop)
}

fn fl_requested_during_the_wait(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    let f = cx.proc("F")?;
    a.write(&bc().call(Tx::to(h).one_way()))?;
    a.read()?.expect("NOOP COMPLETE")?;
    let (name, info) = s.freezing(60_000);
    f.block_in(&name, nr::FREEZE, &info)?;
    a.write_read(&bc().request_freeze(h, 1))?
        .expect("NOOP FROZEN_BINDER(1,0)")?;
    a.write(&bc().freeze_done(1))?;
    s.accept()?;
    same("freeze", f.end(&name)?, 0)?;
    a.read()?.expect("NOOP FROZEN_BINDER(1,1)")?;
    m.thaw(&s)
}

fn fl_cleared_while_idle(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write_read(&bc().request_freeze(h, 1))?
        .expect("NOOP FROZEN_BINDER(1,0)")?;
    a.write_read(&bc().freeze_done(1).clear_freeze(h, 1))?
        .expect("NOOP CLEAR_FREEZE_DONE(1)")?;
    frozen(&m, &s)?;
    a.idle()?;
    invalid(&a, &bc(), &bc().freeze_done(1))
}

fn fl_cleared_while_unread(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write(&bc().request_freeze(h, 1).clear_freeze(h, 1))?;
    frozen(&m, &s)?;
    a.read()?.expect("NOOP CLEAR_FREEZE_DONE(1)")?;
    a.idle()
}

fn fl_cleared_while_unanswered(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write_read(&bc().request_freeze(h, 1))?
        .expect("NOOP FROZEN_BINDER(1,0)")?;
    a.write(&bc().clear_freeze(h, 1))?;
    frozen(&m, &s)?;
    a.idle()?;
    a.write_read(&bc().freeze_done(1))?
        .expect("NOOP CLEAR_FREEZE_DONE(1)")?;
    a.idle()
}

fn fl_cleared_after_a_change(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write_read(&bc().request_freeze(h, 1))?
        .expect("NOOP FROZEN_BINDER(1,0)")?;
    frozen(&m, &s)?;
    // The answer makes the change due; clearing takes its place.
    a.write_read(&bc().freeze_done(1).clear_freeze(h, 1))?
        .expect("NOOP CLEAR_FREEZE_DONE(1)")?;
    a.idle()
}

fn fl_wrong_commands(cx: &Cx) -> Res {
    let (_m, _s, a, h) = cx.trio(NODE)?;
    invalid(&a, &bc(), &bc().request_freeze(99, 1))?;
    invalid(&a, &bc(), &bc().request_freeze(0, 1))?;
    invalid(&a, &bc(), &bc().clear_freeze(h, 1))?;
    invalid(&a, &bc(), &bc().clear_freeze(99, 1))?;
    invalid(&a, &bc(), &bc().freeze_done(1))?;
    invalid(&a, &bc().request_freeze(h, 1), &bc().request_freeze(h, 2))?;
    invalid(&a, &bc(), &bc().clear_freeze(h, 2))?;
    // It is queued, but not read.
    invalid(&a, &bc(), &bc().freeze_done(1))?;
    a.read()?.expect("NOOP FROZEN_BINDER(1,0)")?;
    invalid(&a, &bc(), &bc().freeze_done(2))?;
    invalid(&a, &bc().freeze_done(1), &bc().freeze_done(1))?;
    a.idle()?;
    // A weak reference will do.
    let commands = bc().increfs(h).release(h).clear_freeze(h, 1);
    a.write_read(&commands.request_freeze(h, 3))?
        .expect("NOOP CLEAR_FREEZE_DONE(1) FROZEN_BINDER(3,0)")
        .map(drop)
}

fn fl_equal_cookies(cx: &Cx) -> Res {
    let (m, s, a, first) = cx.trio(NODE)?;
    let second = cx.share(&m, &s, Node::new(0x30), &a)?;
    a.write(&bc().request_freeze(second, 1).request_freeze(first, 1))?;
    a.read()?.expect("NOOP FROZEN_BINDER(1,0)")?;
    a.write(&bc().clear_freeze(second, 1))?;
    // The one that is told first is answered first.
    a.read()?.expect("NOOP FROZEN_BINDER(1,0)")?;
    a.write_read(&bc().freeze_done(1))?
        .expect("NOOP CLEAR_FREEZE_DONE(1)")?;
    a.write(&bc().freeze_done(1))?;
    invalid(&a, &bc(), &bc().freeze_done(1))?;
    a.write_read(&bc().clear_freeze(first, 1))?
        .expect("NOOP CLEAR_FREEZE_DONE(1)")
        .map(drop)
}

fn fl_again_after_clear(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write_read(&bc().request_freeze(h, 1))?
        .expect("NOOP FROZEN_BINDER(1,0)")?;
    a.write(&bc().clear_freeze(h, 1).request_freeze(h, 2))?;
    frozen(&m, &s)?;
    a.read()?.expect("NOOP FROZEN_BINDER(2,1)")?;
    a.idle()?;
    a.write_read(&bc().freeze_done(1))?
        .expect("NOOP CLEAR_FREEZE_DONE(1)")?;
    m.thaw(&s)?;
    a.write_read(&bc().freeze_done(2))?
        .expect("NOOP FROZEN_BINDER(2,0)")
        .map(drop)
}

fn fl_dead_node(cx: &Cx) -> Res {
    let (_m, s, a, h) = cx.trio(NODE)?;
    a.write(&bc().request_death(h, 9))?;
    s.kill()?;
    a.read()?.expect("NOOP DEAD_BINDER(9)")?;
    a.write(&bc().dead_done(9).request_freeze(h, 1))?;
    a.idle()?;
    invalid(&a, &bc(), &bc().request_freeze(h, 2))?;
    invalid(&a, &bc(), &bc().freeze_done(1))?;
    a.write_read(&bc().clear_freeze(h, 1))?
        .expect("NOOP CLEAR_FREEZE_DONE(1)")?;
    a.write(&bc().request_freeze(h, 3).release(h))?;
    a.idle()
}

fn fl_owner_dies(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write_read(&bc().request_death(h, 9).request_freeze(h, 1))?
        .expect("NOOP FROZEN_BINDER(1,0)")?;
    a.write(&bc().freeze_done(1))?;
    frozen(&m, &s)?;
    a.read()?.expect("NOOP FROZEN_BINDER(1,1)")?;
    s.kill()?;
    a.read()?.expect("NOOP DEAD_BINDER(9)")?;
    a.write(&bc().freeze_done(1))?;
    a.idle()?;
    a.write_read(&bc().clear_freeze(h, 1))?
        .expect("NOOP CLEAR_FREEZE_DONE(1)")?;
    a.idle()
}

fn fl_owner_dies_with_unread_news(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write(&bc().request_freeze(h, 1))?;
    frozen(&m, &s)?;
    a.write(&bc().request_death(h, 9))?;
    let w = cx.proc("W")?;
    let other = cx.share(&m, &a, Node::new(0xff00), &w)?;
    check("W has a handle", other > 0)?;
    s.kill()?;
    a.read()?.expect("NOOP FROZEN_BINDER(1,1)")?;
    a.read()?.expect("NOOP DEAD_BINDER(9)")?;
    a.write(&bc().freeze_done(1))?;
    a.idle()
}

fn fl_last_reference_dropped(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    // Unread.
    a.write(&bc().request_freeze(h, 1).release(h))?;
    a.idle()?;
    // Read, and not answered.
    let again = cx.share(&m, &s, NODE, &a)?;
    a.write_read(&bc().request_freeze(again, 2))?
        .expect("NOOP FROZEN_BINDER(2,0)")?;
    a.write(&bc().release(again))?;
    frozen(&m, &s)?;
    invalid(&a, &bc(), &bc().freeze_done(2))?;
    a.idle()
}

fn fl_cleared_outlives_the_reference(cx: &Cx) -> Res {
    let (_m, s, a, h) = cx.trio(NODE)?;
    a.write_read(&bc().request_freeze(h, 1))?
        .expect("NOOP FROZEN_BINDER(1,0)")?;
    a.write(&bc().clear_freeze(h, 1).release(h))?;
    a.idle()?;
    s.kill()?;
    a.write_read(&bc().freeze_done(1))?
        .expect("NOOP CLEAR_FREEZE_DONE(1)")
        .map(drop)
}

fn fl_nodes_and_holders(cx: &Cx) -> Res {
    let (m, s, a, high) = cx.trio(Node::new(0x300))?;
    let low = cx.share(&m, &s, Node::new(0x100), &a)?;
    let b = cx.proc("B")?;
    let other = cx.share(&m, &s, Node::new(0x100), &b)?;
    let none = cx.share(&m, &a, Node::new(0x500), &b)?;
    a.write(&bc().request_freeze(high, 3).request_freeze(low, 1))?;
    b.write(&bc().request_freeze(other, 7).request_freeze(none, 8))?;
    for (t, want) in [(&a, "3,0"), (&a, "1,0"), (&b, "7,0"), (&b, "8,0")] {
        t.read()?.expect(&format!("NOOP FROZEN_BINDER({want})"))?;
    }
    a.write(&bc().freeze_done(3).freeze_done(1))?;
    b.write(&bc().freeze_done(7).freeze_done(8))?;
    frozen(&m, &s)?;
    // By node, whoever asked first.
    for (t, want) in [(&a, "1,1"), (&a, "3,1"), (&b, "7,1")] {
        t.read()?.expect(&format!("NOOP FROZEN_BINDER({want})"))?;
    }
    b.idle()
}

fn fl_listener_dies(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    let b = cx.proc("B")?;
    let other = cx.share(&m, &s, NODE, &b)?;
    a.write(&bc().request_freeze(h, 1))?;
    b.write_read(&bc().request_freeze(other, 2))?
        .expect("NOOP FROZEN_BINDER(2,0)")?;
    a.kill()?;
    b.kill()?;
    frozen(&m, &s)?;
    m.thaw(&s)
}

/// Listens for a while, and says how often it was told.
fn listen(t: &Thread, handle: u32, rounds: u64) -> Res<u32> {
    let mut told = 0;
    for cookie in 1..=rounds {
        t.write(&bc().request_freeze(handle, cookie))?;
        let mut cleared = false;
        let mut read = 0;
        while !cleared {
            let text = t.read()?.short();
            if text.starts_with("NOOP FROZEN_BINDER") {
                told += 1;
                read += 1;
                t.write(&bc().freeze_done(cookie))?;
                if read == 2 {
                    t.write(&bc().clear_freeze(handle, cookie))?;
                }
            } else {
                let want = format!("NOOP CLEAR_FREEZE_DONE({cookie:x})");
                same("news", text, want)?;
                cleared = true;
            }
        }
    }
    Ok(told)
}

fn fl_against_a_freezer(cx: &Cx) -> Res {
    let (_m, s, a, h) = cx.trio(NODE)?;
    let f = cx.proc("F")?;
    cx.quiet(true);
    f.begin(stress::freezer, &[f.fd as u64, s.pid as u64, 4000]);
    let told = listen(&a, h, 12);
    let frozen = f.end_of_work("freezer")?;
    let told = told?;
    cx.quiet(false);
    check(&format!("it was frozen ({frozen})"), frozen > 0)?;
    check(&format!("it was told ({told})"), told >= 24)?;
    cx.note("told of every change that it waited for");
    Ok(())
}
