// SPDX-License-Identifier: MIT OR Apache-2.0

//! The context manager.

use super::{case, Case};
use crate::abi::{br, nr, obj, NodeDebugInfo, NodeInfoForRef};
use crate::actor::{Proc, Thread};
use crate::ops;
use crate::returns::Br;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{check, same, Cx, Res, MANAGER};

pub(super) const CASES: &[Case] = &[
    case!(21 cm_only_one),
    case!(21 cm_uid_stays_recorded),
    case!(22 cm_none),
    case!(23 cm_cannot_call_itself),
    case!(24 cm_replaced_while_handle_0_is_kept),
    case!(25 cm_security_context),
    case!(26 cm_node_info_for_ref),
    case!(27 cm_node_debug_info),
    case!(53 cm_handle_0_needs_a_reference_to_be_sent),
];

const EPERM: i64 = -(libc::EPERM as i64);
const EBUSY: i64 = -(libc::EBUSY as i64);
const EINVAL: i64 = -(libc::EINVAL as i64);

fn legacy(t: &Thread) -> Res<i64> {
    t.ioctl("SET_CONTEXT_MGR", nr::SET_CONTEXT_MGR, 0)
}

/// Kills the manager and waits until the driver has noticed.
fn bury(m: &Proc, witness: &Thread) -> Res {
    witness.write(&bc().acquire(0).request_death(0, 0xdead))?;
    m.kill()?;
    witness.read()?.expect("NOOP DEAD_BINDER(dead)")?;
    witness.write(&bc().dead_done(0xdead))
}

fn cm_only_one(cx: &Cx) -> Res {
    let m = cx.proc("M")?;
    same("legacy", legacy(&m)?, 0)?;
    let b = cx.proc("B")?;
    let u = cx.proc("U")?;
    u.run(ops::set_thread_uid, &[1000])?;
    for other in [&m, &b, &u] {
        same("legacy", legacy(other)?, EBUSY)?;
        same("EXT", other.become_manager(MANAGER)?, EBUSY)?;
    }
    // A legacy manager has the pointer and the cookie 0.
    b.write(&bc().call(Tx::to(0).code(1)))?;
    let call = m.accept()?;
    same("target", (call.target, call.cookie), (0, 0))
}

fn cm_uid_stays_recorded(cx: &Cx) -> Res {
    let m = cx.proc("M")?;
    same("legacy", legacy(&m)?, 0)?;
    let a = cx.proc("A")?;
    let u = cx.proc("U")?;
    u.run(ops::set_thread_uid, &[1000])?;
    bury(&m, &a)?;
    same("legacy, another uid", legacy(&u)?, EPERM)?;
    same("EXT, another uid", u.become_manager(MANAGER)?, EPERM)?;
    same("EXT, the same uid", a.become_manager(MANAGER)?, 0)?;
    same("legacy, too late", legacy(&u)?, EBUSY)
}

fn cm_none(cx: &Cx) -> Res {
    let a = cx.proc("A")?;
    for tx in [Tx::to(0), Tx::to(0).one_way()] {
        a.write_read(&bc().call(tx))?.expect("NOOP DEAD_REPLY")?;
        a.has_error(br::DEAD_REPLY, EINVAL as i32)?;
    }
    a.write(&bc().increfs(0).acquire(0).release(0).decrefs(0))
}

fn cm_cannot_call_itself(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let second = m.open_again("M'")?;
    for thread in [&m as &Thread, &second] {
        thread.write(&bc().enter())?;
        for tx in [Tx::to(0), Tx::to(0).one_way()] {
            thread
                .write_read(&bc().call(tx))?
                .expect("NOOP FAILED_REPLY")?;
            thread.has_error(br::FAILED_REPLY, EINVAL as i32)?;
        }
    }
    for commands in [bc().acquire(0), bc().increfs(0)] {
        let done = m.write_read(&commands)?.fails(libc::EINVAL)?;
        same("consumed", done.write_consumed, 0)?;
    }
    // Not its own file: the handle is created.
    second.write(&bc().acquire(0).release(0))
}

fn cm_replaced_while_handle_0_is_kept(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let a = cx.proc("A")?;
    bury(&m, &a)?;
    let n = cx.manager("N")?;
    a.write(&bc().call(Tx::to(0).code(1)))?;
    same("code", n.accept()?.code, 1)?;
    n.answer_with(Tx::answer())?;
    a.ending()?;
    // The old handle holds on to number 0, so the new one is called 1.
    a.write(&bc().acquire(0))?;
    a.write(&bc().call(Tx::to(1).code(2)))?;
    same("code", n.accept()?.code, 2)?;
    n.answer_with(Tx::answer())?;
    a.ending()?;
    a.write(&bc().release(0))?;
    a.write_read(&bc().call(Tx::to(0).object(Obj::handle(0))))?
        .expect("NOOP FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, EINVAL as i32)
}

fn cm_security_context(cx: &Cx) -> Res {
    let m = cx.proc("M")?;
    let flags = obj::ACCEPTS_FDS | obj::TXN_SECURITY_CTX;
    same("EXT", m.become_manager(MANAGER.flags(flags))?, 0)?;
    let a = cx.proc("A")?;
    a.write(&bc().call(Tx::to(0).data(b"12345")))?;
    // What the security module calls this process, if there is one.
    let Ok(label) = std::fs::read_to_string("/proc/self/attr/current") else {
        a.read()?.expect("NOOP FAILED_REPLY")?;
        return a.has_error(br::FAILED_REPLY, -libc::EOPNOTSUPP);
    };
    let done = m.read()?.expect("NOOP TRANSACTION_SEC_CTX")?;
    let Some(Br::TransactionSec(call, context)) = done.items.last() else {
        return check("a context", false);
    };
    same("place of the context", context - call.buffer, 8)?;
    let label = label.trim_end_matches(['\0', '\n']);
    let text = m.memory(*context, label.len() + 1)?;
    same("context", text, [label.as_bytes(), &[0]].concat())?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    Ok(())
}

fn info(t: &Thread, handle: u32, reserved: u32) -> Res<(i64, u32, u32)> {
    let ask = NodeInfoForRef {
        handle,
        reserved: [reserved, 0, 0],
        ..Default::default()
    };
    let (result, got) = t.ioctl_with("NODE_INFO", nr::GET_NODE_INFO_FOR_REF, &ask)?;
    t.say(&format!(
        "{} strong, {} weak",
        got.strong_count, got.weak_count
    ));
    Ok((result, got.strong_count, got.weak_count))
}

fn cm_node_info_for_ref(cx: &Cx) -> Res {
    let node = Node::new(0x20);
    let (m, a) = cx.pair()?;
    let s = cx.proc("S")?;
    let h = cx.hand_in(&s, &m, Obj::node(node))?.value as u32;
    same("only the manager", info(&a, 1, 0)?.0, EPERM)?;
    same("reserved", info(&m, h, 1)?.0, EINVAL)?;
    same("unknown", info(&m, 77, 0)?.0, EINVAL)?;
    same("held by the manager", info(&m, h, 0)?, (0, 1, 0))?;
    let there = cx.hand_out(&m, &a, Obj::handle(h))?.value as u32;
    same("and by a client", info(&m, h, 0)?, (0, 2, 0))?;
    a.write(&bc().call(Tx::to(there)))?;
    s.accept()?;
    same("and by a call", info(&m, h, 0)?, (0, 3, 0))?;
    m.write(&bc().increfs(h).release(h))?;
    same("held weakly", info(&m, h, 0)?.0, EINVAL)
}

fn cm_node_debug_info(cx: &Cx) -> Res {
    let (m, s) = cx.pair()?;
    for ptr in [0x300, 0x100, 0x200] {
        cx.hand_in(&s, &m, Obj::node(Node::new(ptr)))?;
    }
    let mut found = Vec::new();
    let mut last = 0;
    for _ in 0..5 {
        let ask = NodeDebugInfo {
            ptr: last,
            ..Default::default()
        };
        let (result, got) = s.ioctl_with("NODE_DEBUG", nr::GET_NODE_DEBUG_INFO, &ask)?;
        same("result", result, 0)?;
        s.say(&format!("{got:?}"));
        last = got.ptr;
        if last == 0 {
            same("the end", got, NodeDebugInfo::default())?;
            break;
        }
        same("cookie", got.cookie, last + 1)?;
        same("references", (got.has_strong_ref, got.has_weak_ref), (1, 1))?;
        found.push(last);
    }
    same("nodes", found, vec![0x100, 0x200, 0x300])
}

fn cm_handle_0_needs_a_reference_to_be_sent(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let call = bc().call(Tx::to(0).object(Obj::handle(0)));
    a.write_read(&call)?.expect("NOOP FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, EINVAL as i32)?;
    a.write(&bc().acquire(0))?;
    a.write(&call)?;
    let home = m.accept()?;
    let object = m.one_object(&home)?;
    same("kind", object.kind, obj::BINDER)?;
    same(
        "node",
        (object.value, object.cookie),
        (MANAGER.ptr, MANAGER.cookie),
    )
}
