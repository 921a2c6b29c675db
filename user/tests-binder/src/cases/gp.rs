// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sentences of the ABI that are about one detail each, and that no other case
//! happens to look at.

use super::{case, Case};
use crate::abi::{br, nr, obj, tf, NodeDebugInfo};
use crate::actor::Proc;
use crate::ops;
use crate::request::Request;
use crate::shm;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{check, same, Cx, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(15 gp_spawn_goes_to_the_start_of_the_buffer),
    case!(16 gp_looper_commands_twice),
    case!(24 gp_handle_0_of_a_dead_manager),
    case!(27 gp_node_at_0_is_not_listed),
    case!(28 gp_read_only_file_does_everything),
    case!(28 gp_unknown_flags_pass),
    case!(54 gp_rest_of_a_file_object_is_kept),
];

fn gp_spawn_goes_to_the_start_of_the_buffer(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let (set, _) = m.ioctl_with("SET_MAX_THREADS", nr::SET_MAX_THREADS, &1u32)?;
    same("SET_MAX_THREADS", set, 0)?;
    a.write(&bc().call(Tx::to(0)))?;
    let mut request = Request::new(&bc(), 256);
    request.read_consumed = 8;
    let done = m.request(&request)?;
    same("result", done.result, 0)?;
    same("items", done.short().as_str(), "TRANSACTION")?;
    let first = [
        done.buffer[0],
        done.buffer[1],
        done.buffer[2],
        done.buffer[3],
    ];
    let first = u32::from_ne_bytes(first);
    cx.note(format!("first word {first:x}"));
    same("first word", first, br::SPAWN_LOOPER)
}

fn gp_looper_commands_twice(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let (set, _) = m.ioctl_with("SET_MAX_THREADS", nr::SET_MAX_THREADS, &1u32)?;
    same("SET_MAX_THREADS", set, 0)?;
    // A thread that entered is none of those that were asked for, nor is one
    // that says it twice.
    m.write(&bc().enter().exit().exit().register().register())?;
    for first in ["SPAWN_LOOPER", "NOOP"] {
        a.write(&bc().call(Tx::to(0)))?;
        let call = m
            .read()?
            .expect(&format!("{first} TRANSACTION"))?
            .message()?;
        m.write_read(&bc().free(call.buffer).reply(Tx::answer()))?
            .expect("NOOP COMPLETE")?;
        a.ending()?;
    }
    // The request is still open.
    let second = m.bare_thread("M2")?;
    second.write(&bc().register())?;
    a.write(&bc().call(Tx::to(0)))?;
    m.read()?.expect("NOOP TRANSACTION").map(drop)
}

fn gp_handle_0_of_a_dead_manager(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().acquire(0).request_death(0, 0x77))?;
    m.kill()?;
    a.read()?.expect("NOOP DEAD_BINDER(77)")?;
    // Without a manager the number means what it stands for.
    a.write(&bc().acquire(0).increfs(0).release(0).decrefs(0))?;
    a.write_read(&bc().call(Tx::to(0)))?
        .expect("NOOP DEAD_REPLY")?;
    let other = cx.manager("N")?;
    // It is kept by one count, and the last one sets the number free.
    a.write(&bc().dead_done(0x77).release(0).acquire(0))?;
    a.write(&bc().call(Tx::to(0).object(Obj::handle(0))))?;
    let got = other.accept()?;
    same("home", other.one_object(&got)?.kind, obj::BINDER)
}

fn gp_node_at_0_is_not_listed(cx: &Cx) -> Res {
    let m = cx.proc("M")?;
    let set = m.ioctl("SET_CONTEXT_MGR", nr::SET_CONTEXT_MGR, 0)?;
    same("manager", set, 0)?;
    let a = cx.proc("A")?;
    a.write(&bc().call(Tx::to(0)))?;
    let call = m.accept()?;
    same("target", (call.target, call.cookie), (0, 0))?;
    let ask = NodeDebugInfo::default();
    let (result, info) = m.ioctl_with("NODE_DEBUG_INFO", nr::GET_NODE_DEBUG_INFO, &ask)?;
    same("info", (result, info), (0, NodeDebugInfo::default()))
}

fn gp_read_only_file_does_everything(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let process = cx.process("A")?;
    let at = shm::put(format!("{}\0", cx.device).as_bytes());
    let fd = process.run(ops::open, &[at, libc::O_RDONLY as u64])?;
    check("it can be opened", fd >= 0)?;
    let mut a = Proc::new(process.with_fd(fd as i32, "A"));
    check("mmap works", a.map(MAPPING)? > 0)?;
    a.greet()?;
    a.write(&bc().call(Tx::to(0).object(Obj::node(Node::new(0x20)))))?;
    m.accept()?;
    m.answer_with(Tx::answer().data(b"to read"))?;
    let end = a.read()?.message()?;
    same("data", a.payload(&end)?, b"to read".to_vec())
}

fn gp_unknown_flags_pass(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let flags = !(tf::ONE_WAY | tf::CLEAR_BUF);
    a.write(&bc().call(Tx::to(0).code(u32::MAX).flags(flags)))?;
    let call = m.accept()?;
    same("call", (call.code, call.flags), (u32::MAX, flags))?;
    // A reply is none of a one-way, whatever it says.
    let flags = !tf::CLEAR_BUF;
    m.answer_with(Tx::answer().code(7).flags(flags))?;
    let end = a.ending()?;
    same("reply", (end.code, end.flags), (7, flags))
}

fn gp_rest_of_a_file_object_is_kept(cx: &Cx) -> Res {
    let m = cx.proc("M")?;
    let node = MANAGER.flags(obj::ACCEPTS_FDS);
    same("manager", m.become_manager(node)?, 0)?;
    let a = cx.proc("A")?;
    let fd = a.run(ops::memfd, &[])? as u64;
    let object = Obj {
        flags: 0x1234_5678,
        cookie: 0x9abc_def0,
        ..Obj::fd(fd as i32)
    };
    a.write(&bc().call(Tx::to(0).object(object)))?;
    let got = m.accept()?;
    let arrived = m.one_object(&got)?;
    let kept = (arrived.kind, arrived.flags, arrived.cookie);
    same("kept", kept, (obj::FD, object.flags, object.cookie))
}
