// SPDX-License-Identifier: MIT OR Apache-2.0

//! Death notifications.

use super::{case, Case};
use crate::abi::br;
use crate::actor::Proc;
use crate::ops;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{same, Cx, Res};

pub(super) const CASES: &[Case] = &[
    case!(66 dn_owner_dies),
    case!(66 dn_cleared_before_done),
    case!(66 dn_cleared_while_alive),
    case!(66 dn_cleared_outside_the_pool),
    case!(66 dn_cleared_with_an_unread_death),
    case!(67 dn_request_on_a_dead_node),
    case!(67 dn_wrong_requests),
    case!(67 dn_requested_again_after_clear),
    case!(68 dn_child_keeps_the_file),
    case!(68 dn_last_reference_dropped),
    case!(68 dn_dead_handle_keeps_its_number),
    case!(69 dn_order_of_a_death),
    case!(69 dn_manager_dies),
];

const NODE: Node = Node::new(0x20);

/// A process that watches another node of `s`, the last one to be told of. When
/// it hears of the death, everybody else's notice is queued.
fn witness(cx: &Cx, m: &Proc, s: &Proc) -> Res<Proc> {
    let w = cx.proc("W")?;
    let handle = cx.share(m, s, Node::new(0xffff_0000), &w)?;
    w.write(&bc().request_death(handle, 0xff))?;
    Ok(w)
}

fn dn_owner_dies(cx: &Cx) -> Res {
    let (_m, s, a, h) = cx.trio(NODE)?;
    a.write(&bc().request_death(h, 0xd1))?;
    let waiting = a.block(&bc())?;
    s.kill()?;
    waiting.finish()?.expect("NOOP DEAD_BINDER(d1)")?;
    for tx in [Tx::to(h), Tx::to(h).one_way()] {
        a.write_read(&bc().call(tx))?.expect("NOOP DEAD_REPLY")?;
        a.has_error(br::DEAD_REPLY, -libc::EINVAL)?;
    }
    a.write(&bc().dead_done(0xd1))?;
    a.write_read(&bc().clear_death(h, 0xd1))?
        .expect("NOOP CLEAR_DEATH_DONE(d1)")?;
    a.idle()
}

fn dn_cleared_before_done(cx: &Cx) -> Res {
    let (_m, s, a, h) = cx.trio(NODE)?;
    a.write(&bc().request_death(h, 0xd1))?;
    s.kill()?;
    a.read()?.expect("NOOP DEAD_BINDER(d1)")?;
    a.write(&bc().clear_death(h, 0xd1))?;
    a.idle()?;
    a.write_read(&bc().dead_done(0xd1))?
        .expect("NOOP CLEAR_DEATH_DONE(d1)")?;
    a.idle()
}

fn dn_cleared_while_alive(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    let w = witness(cx, &m, &s)?;
    let commands = bc().request_death(h, 0xd1).clear_death(h, 0xd1);
    a.write_read(&commands)?
        .expect("NOOP CLEAR_DEATH_DONE(d1)")?;
    s.kill()?;
    w.read()?.expect("NOOP DEAD_BINDER(ff)")?;
    a.idle()
}

fn dn_cleared_outside_the_pool(cx: &Cx) -> Res {
    let (_m, _s, a, h) = cx.trio(NODE)?;
    let outsider = a.bare_thread("outsider")?;
    outsider.read()?.expect("NOOP")?;
    let waiting = a.block(&bc())?;
    outsider.write(&bc().request_death(h, 0xd1).clear_death(h, 0xd1))?;
    waiting.finish()?.expect("NOOP CLEAR_DEATH_DONE(d1)")?;
    outsider.idle()
}

fn dn_cleared_with_an_unread_death(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    let other = a.thread("A2")?;
    a.write(&bc().request_death(h, 0xd1))?;
    let w = witness(cx, &m, &s)?;
    s.kill()?;
    w.read()?.expect("NOOP DEAD_BINDER(ff)")?;
    a.write(&bc().clear_death(h, 0xd1))?;
    other.read()?.expect("NOOP DEAD_BINDER(d1)")?;
    other.idle()?;
    a.write_read(&bc().dead_done(0xd1))?
        .expect("NOOP CLEAR_DEATH_DONE(d1)")?;
    a.idle()
}

fn dn_request_on_a_dead_node(cx: &Cx) -> Res {
    let (_m, s, a, h) = cx.trio(NODE)?;
    a.write(&bc().request_death(h, 1))?;
    s.kill()?;
    a.read()?.expect("NOOP DEAD_BINDER(1)")?;
    a.write_read(&bc().dead_done(1).clear_death(h, 1))?
        .expect("NOOP CLEAR_DEATH_DONE(1)")?;
    a.write_read(&bc().request_death(h, 2))?
        .expect("NOOP DEAD_BINDER(2)")?;
    a.idle()
}

fn dn_wrong_requests(cx: &Cx) -> Res {
    let (_m, s, a, h) = cx.trio(NODE)?;
    a.write(
        &bc()
            .request_death(h, 1)
            .request_death(h, 2)
            .request_death(99, 3),
    )?;
    a.write(
        &bc()
            .clear_death(h, 2)
            .clear_death(99, 3)
            .dead_done(1)
            .dead_done(7),
    )?;
    a.idle()?;
    s.kill()?;
    a.read()?.expect("NOOP DEAD_BINDER(1)")?;
    a.write(&bc().dead_done(2).dead_done(1).dead_done(1))?;
    a.write_read(&bc().clear_death(h, 1))?
        .expect("NOOP CLEAR_DEATH_DONE(1)")?;
    a.write(&bc().clear_death(h, 1))?;
    a.idle()
}

fn dn_requested_again_after_clear(cx: &Cx) -> Res {
    let (_m, s, a, h) = cx.trio(NODE)?;
    let commands = bc()
        .request_death(h, 1)
        .clear_death(h, 1)
        .request_death(h, 2);
    a.write_read(&commands)?
        .expect("NOOP CLEAR_DEATH_DONE(1)")?;
    s.kill()?;
    a.read()?.expect("NOOP DEAD_BINDER(2)")?;
    a.idle()
}

fn dn_child_keeps_the_file(cx: &Cx) -> Res {
    let (_m, s, a, h) = cx.trio(NODE)?;
    a.write(&bc().request_death(h, 1))?;
    let child = s.fork("child")?;
    s.kill()?;
    a.idle()?;
    // The file lives on, but the mapping went with the process.
    a.write_read(&bc().call(Tx::to(h)))?
        .expect("NOOP DEAD_REPLY")?;
    a.has_error(br::DEAD_REPLY, -libc::ESRCH)?;
    same(
        "close",
        child.step("close", ops::close, &[child.fd as u64])?,
        0,
    )?;
    a.read()?.expect("NOOP DEAD_BINDER(1)")?;
    Ok(())
}

fn dn_last_reference_dropped(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write(&bc().request_death(h, 0xd1))?;
    let w = witness(cx, &m, &s)?;
    s.kill()?;
    w.read()?.expect("NOOP DEAD_BINDER(ff)")?;
    a.write(&bc().release(h))?;
    a.idle()
}

fn dn_dead_handle_keeps_its_number(cx: &Cx) -> Res {
    let (m, s, a, h) = cx.trio(NODE)?;
    a.write(&bc().request_death(h, 1))?;
    s.kill()?;
    a.read()?.expect("NOOP DEAD_BINDER(1)")?;
    let fresh = cx.proc("S2")?;
    let other = cx.share(&m, &fresh, Node::new(0x40), &a)?;
    same("next number", other, h + 1)?;
    // A dead handle can be held, dropped and sent on.
    a.write(&bc().increfs(h).acquire(h).release(h).decrefs(h))?;
    a.write(&bc().call(Tx::to(0).object(Obj::handle(h))))?;
    m.accept()?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    a.write(&bc().release(h))?;
    let third = cx.share(&m, &fresh, Node::new(0x50), &a)?;
    same("the number again", third, h)
}

fn dn_order_of_a_death(cx: &Cx) -> Res {
    let (m, s, a, first) = cx.trio(Node::new(0x300))?;
    let second = cx.share(&m, &s, Node::new(0x100), &a)?;
    let third = cx.share(&m, &s, Node::new(0x200), &a)?;
    let requests = bc()
        .request_death(first, 3)
        .request_death(second, 1)
        .request_death(third, 2);
    a.write(&requests)?;
    let waiting = a.block(&bc().call(Tx::to(first)))?;
    s.kill()?;
    waiting.finish()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    for want in 1..=3 {
        a.read()?.expect(&format!("NOOP DEAD_BINDER({want})"))?;
    }
    a.idle()
}

fn dn_manager_dies(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().acquire(0).request_death(0, 7))?;
    m.kill()?;
    a.read()?.expect("NOOP DEAD_BINDER(7)")?;
    a.write_read(&bc().call(Tx::to(0)))?
        .expect("NOOP DEAD_REPLY")?;
    a.has_error(br::DEAD_REPLY, -libc::EINVAL)
}
