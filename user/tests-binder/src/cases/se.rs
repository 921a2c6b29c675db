// SPDX-License-Identifier: MIT OR Apache-2.0

//! SELinux: what the policy of `selinux/policy.conf` allows and refuses.
//!
//! These need that policy in the kernel, so they are no part of the other runs:
//! see [`load`].

use rustix::mount::{mount, MountFlags};

use super::{case, Case};
use crate::abi::{br, nr, obj, tf};
use crate::actor::{Proc, Thread};
use crate::ops;
use crate::request::errno_name;
use crate::returns::Br;
use crate::shm;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{check, same, Cx, Fail, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(21 se_who_may_be_manager),
    case!(79 se_who_may_call),
    case!(79 se_who_may_call_one_way),
    case!(79 se_objects_in_calls),
    case!(79 se_objects_in_replies),
    case!(79 se_objects_going_home),
    case!(79 se_files_in_calls),
    case!(79 se_files_in_replies),
    case!(79 se_in_the_name_of_another),
    case!(25 se_context_is_of_the_open),
];

/// Where the kernel takes policies.
const FS: &str = "/sys/fs/selinux";

/// Loads a compiled policy into the kernel, for good, and enforces it.
pub fn load(policy: &str) -> Res {
    let why = |what: &str, error: std::io::Error| Fail(format!("{what}: {error}"));
    let bytes = std::fs::read(policy).map_err(|error| why(policy, error))?;
    mount("selinuxfs", FS, "selinuxfs", MountFlags::empty(), c"")?;
    let put = |file: &str, bytes: &[u8]| {
        let path = format!("{FS}/{file}");
        std::fs::write(&path, bytes).map_err(|error| why(&path, error))
    };
    put("load", &bytes)?;
    put("enforce", b"1")
}

/// Takes another label.
fn label(t: &Thread, name: &str) -> Res {
    let at = shm::put(format!("u:r:{name}\0").as_bytes());
    let step = format!("becomes {name}");
    same(&step, t.step(&step, ops::set_label, &[at])?, 0)
}

/// A process that opened the device with this label.
fn labelled(cx: &Cx, name: &str, what: &str) -> Res<Proc> {
    let mut proc = cx.process(name)?;
    label(&proc, what)?;
    proc.open(&cx.device)?;
    check("mmap works", proc.map(MAPPING)? > 0)?;
    proc.greet()?;
    Ok(proc)
}

/// The manager, who takes files, and somebody with another label.
fn pair(cx: &Cx, what: &str) -> Res<(Proc, Proc)> {
    let m = labelled(cx, "M", "manager")?;
    let node = MANAGER.flags(obj::ACCEPTS_FDS);
    same("manager", m.become_manager(node)?, 0)?;
    Ok((m, labelled(cx, "A", what)?))
}

/// Demands that a call is refused.
fn refused(a: &Thread, tx: Tx) -> Res {
    a.write_read(&bc().call(tx))?.expect("NOOP FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, -libc::EPERM)
}

/// Has a call answered.
fn answered(m: &Thread, a: &Thread, tx: Tx, answer: Tx) -> Res {
    a.write(&bc().call(tx))?;
    let got = m.accept()?;
    m.write_read(&bc().free(got.buffer).reply(answer))?
        .expect("NOOP COMPLETE")
        .map(drop)
}

fn se_who_may_be_manager(cx: &Cx) -> Res {
    for what in ["friend", "stranger", "base"] {
        let other = labelled(cx, what, what)?;
        let result = other.become_manager(MANAGER)?;
        same(what, errno_name(result), "EACCES".into())?;
        let result = other.ioctl("SET_CONTEXT_MGR", nr::SET_CONTEXT_MGR, 0)?;
        same(what, errno_name(result), "EACCES".into())?;
    }
    let m = labelled(cx, "M", "manager")?;
    same("manager", m.become_manager(MANAGER)?, 0)?;
    // That there is one is said first.
    let late = labelled(cx, "late", "stranger")?;
    let result = late.become_manager(MANAGER)?;
    same("late", errno_name(result), "EBUSY".into())
}

fn se_who_may_call(cx: &Cx) -> Res {
    let (m, friend) = pair(cx, "friend")?;
    answered(&m, &friend, Tx::to(0), Tx::answer())?;
    friend.ending()?;
    let caller = labelled(cx, "B", "caller")?;
    answered(&m, &caller, Tx::to(0), Tx::answer())?;
    caller.ending()?;
    for what in ["stranger", "double"] {
        let other = labelled(cx, what, what)?;
        refused(&other, Tx::to(0))?;
        // Nothing is in the way of other commands.
        other.write(&bc().acquire(0).release(0))?;
    }
    m.idle()
}

fn se_who_may_call_one_way(cx: &Cx) -> Res {
    let (m, stranger) = pair(cx, "stranger")?;
    refused(&stranger, Tx::to(0).one_way())?;
    m.idle()?;
    let caller = labelled(cx, "B", "caller")?;
    caller
        .write_read(&bc().call(Tx::to(0).one_way()))?
        .expect("NOOP COMPLETE")?;
    m.accept().map(drop)
}

fn se_objects_in_calls(cx: &Cx) -> Res {
    let (m, caller) = pair(cx, "caller")?;
    let node = Obj::node(Node::new(0x20));
    refused(&caller, Tx::to(0).object(node))?;
    refused(&caller, Tx::to(0).object(Obj::weak_node(Node::new(0x30))))?;
    // Nothing of it is left.
    caller.idle()?;
    let friend = labelled(cx, "B", "friend")?;
    let arrived = cx.hand_in(&friend, &m, node)?;
    same("arrived", (arrived.kind, arrived.value), (obj::HANDLE, 1))
}

fn se_objects_in_replies(cx: &Cx) -> Res {
    let (m, caller) = pair(cx, "caller")?;
    let node = Obj::node(Node::new(0x20));
    answered(&m, &caller, Tx::to(0), Tx::answer().object(node))?;
    caller.read()?.expect("NOOP COMPLETE FAILED_REPLY")?;
    caller.has_error(br::FAILED_REPLY, -libc::EPERM)?;
    let friend = labelled(cx, "B", "friend")?;
    friend.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    m.write(&bc().reply(Tx::answer().object(node)))?;
    let end = friend.ending()?;
    same("arrived", friend.one_object(&end)?.value, 1)
}

fn se_objects_going_home(cx: &Cx) -> Res {
    let (m, caller) = pair(cx, "caller")?;
    caller.write(&bc().acquire(0))?;
    // The receiver's own object is given to him, too.
    refused(&caller, Tx::to(0).object(Obj::handle(0)))?;
    let friend = labelled(cx, "B", "friend")?;
    friend.write(&bc().acquire(0).call(Tx::to(0).object(Obj::handle(0))))?;
    let got = m.accept()?;
    same("home", m.one_object(&got)?.kind, obj::BINDER)
}

fn se_files_in_calls(cx: &Cx) -> Res {
    let (m, caller) = pair(cx, "caller")?;
    let fd = caller.run(ops::memfd, &[])?;
    refused(&caller, Tx::to(0).object(Obj::fd(fd as i32)))?;
    m.idle()?;
    let friend = labelled(cx, "B", "friend")?;
    let fd = friend.run(ops::memfd, &[])?;
    friend.write(&bc().call(Tx::to(0).object(Obj::fd(fd as i32))))?;
    let got = m.accept()?;
    let arrived = m.one_object(&got)?;
    let sent = friend.run(ops::inode, &[fd as u64])?;
    same("file", m.run(ops::inode, &[arrived.value])?, sent)
}

fn se_files_in_replies(cx: &Cx) -> Res {
    let (m, caller) = pair(cx, "caller")?;
    let fd = m.run(ops::memfd, &[])?;
    let answer = || Tx::answer().object(Obj::fd(fd as i32));
    let call = || Tx::to(0).flags(tf::ACCEPT_FDS);
    answered(&m, &caller, call(), answer())?;
    caller.read()?.expect("NOOP COMPLETE FAILED_REPLY")?;
    caller.has_error(br::FAILED_REPLY, -libc::EPERM)?;
    let friend = labelled(cx, "B", "friend")?;
    answered(&m, &friend, call(), answer())?;
    let end = friend.ending()?;
    let arrived = friend.one_object(&end)?;
    let sent = m.run(ops::inode, &[fd as u64])?;
    same("file", friend.run(ops::inode, &[arrived.value])?, sent)
}

fn se_in_the_name_of_another(cx: &Cx) -> Res {
    let (m, a) = pair(cx, "friend")?;
    label(&a, "double")?;
    answered(&m, &a, Tx::to(0), Tx::answer())?;
    a.ending()?;
    // What is given is given by who opened the file, without a further question.
    cx.hand_in(&a, &m, Obj::node(Node::new(0x20)))?;
    label(&a, "caller")?;
    refused(&a, Tx::to(0))?;
    label(&a, "friend")?;
    answered(&m, &a, Tx::to(0), Tx::answer())?;
    a.ending().map(drop)
}

fn se_context_is_of_the_open(cx: &Cx) -> Res {
    let m = labelled(cx, "M", "manager")?;
    let node = MANAGER.flags(obj::TXN_SECURITY_CTX);
    same("manager", m.become_manager(node)?, 0)?;
    let a = labelled(cx, "A", "friend")?;
    label(&a, "double")?;
    a.write(&bc().call(Tx::to(0)))?;
    let done = m.read()?.expect("NOOP TRANSACTION_SEC_CTX")?;
    let Some(Br::TransactionSec(_, context)) = done.items.last() else {
        return check("a context", false);
    };
    same("context", m.memory(*context, 11)?, b"u:r:friend\0".to_vec())
}
