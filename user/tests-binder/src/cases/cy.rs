// SPDX-License-Identifier: MIT OR Apache-2.0

//! Files in messages that could close a circle: a Binder file in a message to its own
//! device, as ever, and a peer of the native interface.

use super::{case, Case};
use crate::abi::br;
use crate::ops;
use crate::shm;
use crate::wire::{bc, Obj, Tx};
use crate::world::{check, same, Cx, Res};

pub(super) const CASES: &[Case] = &[
    case!(60 cy_binder_file_is_accepted),
    case!(60 cy_epoll_is_accepted),
    case!(60 cy_native_peer_is_refused),
];

/// Sends a descriptor to the manager, where it must arrive.
fn arrives(cx: &Cx, fd: impl Fn(&crate::actor::Proc) -> Res<i64>) -> Res {
    let (m, a) = cx.pair()?;
    let fd = fd(&a)?;
    check("there is a file", fd >= 0)?;
    a.write(&bc().call(Tx::to(0).object(Obj::fd(fd as i32))))?;
    let got = m.read()?.expect("NOOP TRANSACTION")?.message()?;
    let object = m.one_object(&got)?;
    check("a file arrives", m.run(ops::inode, &[object.value])? >= 0)?;
    m.answer_with(Tx::answer())?;
    a.ending().map(drop)
}

fn cy_binder_file_is_accepted(cx: &Cx) -> Res {
    arrives(cx, |a| Ok(i64::from(a.fd)))
}

fn cy_epoll_is_accepted(cx: &Cx) -> Res {
    arrives(cx, |a| {
        let epoll = a.run(ops::epoll_create, &[])?;
        same(
            "EPOLL_CTL_ADD",
            a.run(ops::epoll_add, &[epoll as u64, a.fd as u64, 0])?,
            0,
        )?;
        Ok(epoll)
    })
}

fn cy_native_peer_is_refused(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let path = shm::put(b"/dev/bus1\0");
    let peer = a.step("open_native", ops::open, &[path, libc::O_RDWR as u64])?;
    check("there is a native device", peer >= 0)?;
    a.write_read(&bc().call(Tx::to(0).object(Obj::fd(peer as i32))))?
        .expect("NOOP FAILED_REPLY")?;
    a.has_error(br::FAILED_REPLY, -libc::EPERM)?;
    m.idle()
}
