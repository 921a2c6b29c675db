// SPDX-License-Identifier: MIT OR Apache-2.0

//! Reference counts, the handshake with the owner, numbers of handles.

use super::{case, Case};
use crate::abi::{nr, NodeDebugInfo};
use crate::actor::{Proc, Thread};
use crate::request::Request;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{same, Cx, Res};

pub(super) const CASES: &[Case] = &[
    case!(62 rc_handshake),
    case!(62 rc_no_release_before_done),
    case!(62 rc_acquired_again),
    case!(62 rc_gone_before_it_was_told),
    case!(62 rc_unsent_node_is_not_listed),
    case!(62 rc_same_pointer_after_decrefs),
    case!(63 rc_done_out_of_place),
    case!(63 rc_counts_below_zero),
    case!(63 rc_unknown_handles),
    case!(64 rc_lowest_free_number),
    case!(64 rc_thousand_handles),
    case!(62 rc_holder_dies),
    case!(62 rc_holder_dies_with_a_buffer),
    case!(65 rc_exiting_thread_passes_node_items_on),
];

const NODE: Node = Node::new(0x20);

/// `A` sends its node to `M`, which holds on to it strongly. Nothing of the
/// handshake is answered.
fn sent(cx: &Cx) -> Res<(Proc, Proc)> {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0).object(Obj::node(NODE))))?;
    let call = m.accept()?;
    m.write(&bc().acquire(1).free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    a.read()?
        .expect("NOOP INCREFS(20,21) ACQUIRE(20,21) COMPLETE REPLY")?;
    Ok((m, a))
}

fn rc_handshake(cx: &Cx) -> Res {
    let (m, a) = sent(cx)?;
    a.write(&bc().both_done(NODE))?;
    a.idle()?;
    m.write(&bc().increfs(1).release(1))?;
    a.read()?.expect("NOOP RELEASE(20,21)")?;
    m.write(&bc().decrefs(1))?;
    a.read()?.expect("NOOP DECREFS(20,21)")?;
    a.idle()
}

fn rc_no_release_before_done(cx: &Cx) -> Res {
    let (m, a) = sent(cx)?;
    m.write(&bc().release(1))?;
    a.idle()?;
    a.write(&bc().increfs_done(NODE))?;
    a.idle()?;
    a.write(&bc().acquire_done(NODE))?;
    a.read()?.expect("NOOP RELEASE(20,21) DECREFS(20,21)")?;
    Ok(())
}

fn rc_acquired_again(cx: &Cx) -> Res {
    let (m, a) = sent(cx)?;
    a.write(&bc().both_done(NODE))?;
    m.write(&bc().increfs(1).release(1))?;
    a.read()?.expect("NOOP RELEASE(20,21)")?;
    // Sent once more, the weak handle becomes strong.
    a.write(&bc().call(Tx::to(0).object(Obj::node(NODE))))?;
    let call = m.accept()?;
    same("handle", m.one_object(&call)?.value, 1)?;
    m.write(&bc().acquire(1).free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    a.read()?.expect("NOOP ACQUIRE(20,21) COMPLETE REPLY")?;
    a.write(&bc().acquire_done(NODE))?;
    m.write(&bc().decrefs(1))?;
    a.idle()?;
    m.write(&bc().release(1))?;
    a.read()?.expect("NOOP RELEASE(20,21) DECREFS(20,21)")?;
    Ok(())
}

fn rc_gone_before_it_was_told(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0).object(Obj::node(NODE))))?;
    let call = m.accept()?;
    // Nobody holds the node when its owner reads.
    m.write(&bc().free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    a.read()?.expect("NOOP COMPLETE REPLY")?;
    a.idle()
}

/// A message that fails at its second object leaves nothing of the first.
fn rc_unsent_node_is_not_listed(cx: &Cx) -> Res {
    let (_m, a) = cx.pair()?;
    let message = Tx::to(0).object(Obj::node(NODE)).object(Obj::handle(99));
    a.request(&Request::new(&bc().call(message), 0))?;
    let from = NodeDebugInfo::default();
    let (_, found) = a.ioctl_with("NODE_DEBUG", nr::GET_NODE_DEBUG_INFO, &from)?;
    same("nodes", found, NodeDebugInfo::default())?;
    a.read()?.expect("NOOP FAILED_REPLY").map(drop)
}

fn rc_same_pointer_after_decrefs(cx: &Cx) -> Res {
    let (m, a) = sent(cx)?;
    a.write(&bc().both_done(NODE))?;
    m.write(&bc().release(1))?;
    a.read()?.expect("NOOP RELEASE(20,21) DECREFS(20,21)")?;
    let next = Node {
        cookie: 0x99,
        ..NODE
    };
    a.write(&bc().call(Tx::to(0).object(Obj::node(next))))?;
    let call = m.accept()?;
    m.write(&bc().acquire(1).free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    a.read()?
        .expect("NOOP INCREFS(20,99) ACQUIRE(20,99) COMPLETE REPLY")?;
    m.write(&bc().call(Tx::to(1)))?;
    same("cookie", a.accept()?.cookie, 0x99)
}

fn rc_done_out_of_place(cx: &Cx) -> Res {
    let (m, a) = sent(cx)?;
    let wrong = Node {
        cookie: 0x98,
        ..NODE
    };
    let nobody = Node::new(0x5000);
    a.write(&bc().both_done(wrong).both_done(nobody))?;
    m.write(&bc().release(1))?;
    a.idle()?;
    // Twice is once.
    a.write(&bc().increfs_done(NODE).increfs_done(NODE))?;
    a.idle()?;
    a.write(&bc().acquire_done(NODE).acquire_done(NODE))?;
    a.read()?.expect("NOOP RELEASE(20,21) DECREFS(20,21)")?;
    a.write(&bc().both_done(NODE))?;
    a.idle()
}

/// Whether `t` may send a strong object with this handle.
fn is_strong(t: &Thread, to: &Thread, handle: u32) -> Res<bool> {
    t.write(&bc().call(Tx::to(0).one_way().object(Obj::handle(handle))))?;
    let strong = t.read()?.short() == "NOOP COMPLETE";
    if strong {
        let got = to.accept()?;
        to.write(&bc().free(got.buffer))?;
    }
    Ok(strong)
}

fn rc_counts_below_zero(cx: &Cx) -> Res {
    let (m, _s, a, h) = cx.trio(NODE)?;
    // Strong 1, weak 0: the extra DECREFS does nothing.
    a.write(&bc().decrefs(h).decrefs(h))?;
    same("still strong", is_strong(&a, &m, h)?, true)?;
    // Strong 0, weak 1: an extra RELEASE does nothing, nor does ACQUIRE.
    a.write(&bc().increfs(h).release(h).release(h).acquire(h))?;
    same("strong", is_strong(&a, &m, h)?, false)?;
    // Weak 0: gone, and what follows meets an unknown handle.
    a.write(&bc().decrefs(h).decrefs(h).release(h).increfs(h).acquire(h))?;
    same("gone", is_strong(&a, &m, h)?, false)
}

fn rc_unknown_handles(cx: &Cx) -> Res {
    let (_m, a) = cx.pair()?;
    for handle in [1, 2, 0x7fff_ffff, u32::MAX] {
        a.write(
            &bc()
                .increfs(handle)
                .acquire(handle)
                .release(handle)
                .decrefs(handle),
        )?;
        a.write_read(&bc().call(Tx::to(handle)))?
            .expect("NOOP FAILED_REPLY")?;
    }
    a.idle()
}

fn rc_lowest_free_number(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let mut handles = Vec::new();
    for ptr in 1..=3u64 {
        handles.push(cx.hand_in(&a, &m, Obj::node(Node::new(ptr << 8)))?.value);
    }
    same("handles", handles, vec![1, 2, 3])?;
    m.write(&bc().release(2))?;
    a.read()?.expect("NOOP RELEASE(200,201) DECREFS(200,201)")?;
    same(
        "handle",
        cx.hand_in(&a, &m, Obj::node(Node::new(0x900)))?.value,
        2,
    )?;
    same(
        "handle",
        cx.hand_in(&a, &m, Obj::node(Node::new(0xa00)))?.value,
        4,
    )
}

fn rc_thousand_handles(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let count = 1000u32;
    cx.quiet(true);
    let mut next = 1;
    // In batches, so that the messages stay small.
    while next <= count {
        let batch = next..(next + 100).min(count + 1);
        let mut tx = Tx::to(0);
        for number in batch.clone() {
            tx = tx.object(Obj::node(Node::new(u64::from(number) << 8)));
        }
        a.write(&bc().call(tx))?;
        let call = m.accept()?;
        let got: Vec<_> = m
            .objects(&call)?
            .iter()
            .map(|object| object.value as u32)
            .collect();
        same("handles", got, batch.clone().collect())?;
        let hold = batch
            .clone()
            .fold(bc(), |commands, handle| commands.acquire(handle));
        m.write(&hold.free(call.buffer))?;
        m.answer_with(Tx::answer())?;
        // Many items: they don't fit into one read.
        while a.read()?.message().is_err() {}
        let done = batch.clone().fold(bc(), |commands, number| {
            commands.both_done(Node::new(u64::from(number) << 8))
        });
        a.write(&done)?;
        next = batch.end;
    }
    let drop_all = (2..=count).fold(bc(), |commands, handle| commands.release(handle));
    m.write(&drop_all)?;
    cx.quiet(false);
    cx.note("handles 1 to 1000, all but 1 dropped");
    a.set_nonblock(true)?;
    cx.quiet(true);
    let mut told = 0;
    loop {
        let done = a.read()?;
        if done.result != 0 {
            break;
        }
        told += done.short().matches("DECREFS").count();
    }
    cx.quiet(false);
    a.set_nonblock(false)?;
    cx.note(format!("{told} nodes are told"));
    same("nodes told", told, count as usize - 1)?;
    same(
        "handle",
        cx.hand_in(&a, &m, Obj::node(Node::new(8)))?.value,
        2,
    )
}

fn rc_holder_dies(cx: &Cx) -> Res {
    let (_m, s, a, _h) = cx.trio(NODE)?;
    s.idle()?;
    a.kill()?;
    s.read()?.expect("NOOP RELEASE(20,21) DECREFS(20,21)")?;
    s.idle()
}

fn rc_holder_dies_with_a_buffer(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    // The only reference lies in a buffer that is never freed.
    let tx = Tx::to(0).object(Obj::node(NODE)).one_way();
    a.write_read(&bc().call(tx))?
        .expect("NOOP INCREFS(20,21) ACQUIRE(20,21) COMPLETE")?;
    a.write(&bc().both_done(NODE))?;
    m.accept()?;
    a.idle()?;
    m.kill()?;
    a.read()?.expect("NOOP RELEASE(20,21) DECREFS(20,21)")?;
    Ok(())
}

fn rc_exiting_thread_passes_node_items_on(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let a2 = a.thread("A2")?;
    a2.write(&bc().call(Tx::to(0).object(Obj::node(NODE))))?;
    let call = m.accept()?;
    m.write(&bc().acquire(1).free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    a2.thread_exit()?;
    a.set_nonblock(true)?;
    a.read()?.expect("NOOP INCREFS(20,21) ACQUIRE(20,21)")?;
    Ok(())
}
