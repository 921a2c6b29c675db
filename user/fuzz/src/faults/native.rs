// SPDX-License-Identifier: MIT OR Apache-2.0

//! The steps of the native interface.

use std::fs::File;
use std::io::Write;

use bus1_sys as sys;
use tests_binder::ops;
use tests_binder::shm;
use tests_binder::world::{check, same, Fail, Res};

use super::inject::{failing, Outcome};
use super::{summary, Tried, MOST};
use crate::counters;

/// Nodes of the first peer.
const NODES: [u64; 3] = [0x10, 0x20, 0x30];

/// Three peers: the first has a handle to a node of each other one, and these have one
/// to a node of the first.
struct Scene {
    peers: [u64; 3],
    /// Of the first peer: to the second and to the third.
    to: [u64; 2],
    file: i32,
    slice: u64,
    mapping: u64,
}

/// A step.
pub struct Step {
    /// Its name.
    pub name: &'static str,
    before: fn(&mut Scene) -> Res,
    call: fn(&mut Scene) -> i64,
}

/// All of them.
pub const STEPS: &[Step] = &[
    step("open", nothing, open),
    step("mmap", nothing, mmap),
    step("send", nothing, |scene| scene.send(1, 0)),
    step("multicast", nothing, |scene| scene.send(2, 0)),
    step("multicast_continue", nothing, |scene| {
        scene.send(2, sys::BUS1_SEND_FLAG_CONTINUE)
    }),
    step("seed", nothing, |scene| {
        scene.send(0, sys::BUS1_SEND_FLAG_SEED)
    }),
    step("recv", sent, |scene| {
        scene.recv(sys::BUS1_RECV_FLAG_INSTALL_FDS)
    }),
    step("peek", sent, |scene| scene.recv(sys::BUS1_RECV_FLAG_PEEK)),
    step("transfer", nothing, |scene| scene.transfer(NODES[1])),
    step("transfer_known", nothing, |scene| scene.transfer(NODES[0])),
    step("nodes_destroy", nothing, |scene| scene.destroy(&NODES[..2])),
    step("handle_release", nothing, |scene| {
        scene.word(0, sys::BUS1_CMD_HANDLE_RELEASE, scene.to[0])
    }),
    step("slice_release", received, |scene| {
        scene.word(1, sys::BUS1_CMD_SLICE_RELEASE, scene.slice)
    }),
    step("flush", sent, |scene| scene.flush()),
];

const fn step(
    name: &'static str,
    before: fn(&mut Scene) -> Res,
    call: fn(&mut Scene) -> i64,
) -> Step {
    Step { name, before, call }
}

fn nothing(_: &mut Scene) -> Res {
    Ok(())
}

fn sent(scene: &mut Scene) -> Res {
    same("SEND", scene.send(1, 0), 0)
}

fn received(scene: &mut Scene) -> Res {
    sent(scene)?;
    same("RECV", scene.recv(0), 0)
}

fn open(scene: &mut Scene) -> i64 {
    let path = shm::put(b"/dev/bus1\0");
    let fd = ops::open([path, (libc::O_RDWR | libc::O_CLOEXEC) as u64, 0, 0, 0, 0]);
    // It is closed with the others.
    match fd {
        0.. => {
            close(scene.file as u64);
            scene.file = fd as i32;
            0
        }
        error => error,
    }
}

fn mmap(scene: &mut Scene) -> i64 {
    match ops::mmap([scene.peers[0], 1 << 16, 0, 0, 0, 0]) {
        at @ 0.. => {
            scene.mapping = at as u64;
            0
        }
        error => error,
    }
}

fn close(fd: u64) {
    ops::close([fd, 0, 0, 0, 0, 0]);
}

fn call<T>(fd: u64, number: u32, argument: &mut T) -> i64 {
    ops::ioctl([fd, u64::from(number), argument as *mut T as u64, 0, 0, 0])
}

/// Gives `from`'s node or handle `id` to `to`: its name there.
fn give(from: u64, id: u64, to: u64) -> Result<u64, i64> {
    let mut argument = sys::bus1_cmd_handle_transfer {
        flags: 0,
        src_handle: id,
        dst_fd: to,
        dst_handle: 0,
    };
    match call(from, sys::BUS1_CMD_HANDLE_TRANSFER, &mut argument) {
        0 => Ok(argument.dst_handle),
        error => Err(error),
    }
}

impl Scene {
    fn new() -> Res<Self> {
        let path = shm::put(b"/dev/bus1\0");
        let flags = (libc::O_RDWR | libc::O_CLOEXEC) as u64;
        let mut peers = [0; 3];
        for peer in &mut peers {
            let fd = ops::open([path, flags, 0, 0, 0, 0]);
            check("/dev/bus1 can be opened", fd >= 0)?;
            *peer = fd as u64;
        }
        let failed = |error: i64| Fail(format!("TRANSFER fails: {error}"));
        let mut to = [0; 2];
        for (to, other) in to.iter_mut().zip(&peers[1..]) {
            *to = give(*other, 0x10, peers[0]).map_err(failed)?;
            give(peers[0], NODES[0], *other).map_err(failed)?;
        }
        Ok(Scene {
            peers,
            to,
            file: ops::memfd([0; 6]) as i32,
            slice: 0,
            mapping: 0,
        })
    }

    fn end(self) {
        if self.mapping != 0 {
            ops::munmap([self.mapping, 1 << 16, 0, 0, 0, 0]);
        }
        self.peers.into_iter().for_each(close);
        close(self.file as u64);
    }

    fn word(&self, peer: usize, number: u32, mut word: u64) -> i64 {
        call(self.peers[peer], number, &mut word)
    }

    /// A message with all that one can have, to so many of the others.
    fn send(&mut self, count: u64, flags: u64) -> i64 {
        let (small, large) = ([1_u8; 100], [2_u8; 9000]);
        let vecs = [
            [small.as_ptr() as u64, small.len() as u64],
            [large.as_ptr() as u64, large.len() as u64],
        ];
        let handles = [NODES[0], NODES[1], self.to[1]];
        let fds = [self.file];
        let mut argument = sys::bus1_cmd_send {
            flags,
            ptr_destinations: self.to.as_ptr() as u64,
            ptr_errors: 0,
            n_destinations: count,
            ptr_vecs: vecs.as_ptr() as u64,
            n_vecs: vecs.len() as u64,
            ptr_handles: handles.as_ptr() as u64,
            n_handles: handles.len() as u64,
            ptr_fds: fds.as_ptr() as u64,
            n_fds: fds.len() as u64,
        };
        call(self.peers[0], sys::BUS1_CMD_SEND, &mut argument)
    }

    fn recv(&mut self, flags: u64) -> i64 {
        let mut argument = sys::bus1_cmd_recv {
            flags,
            max_offset: u64::MAX,
            ..Default::default()
        };
        let result = call(self.peers[1], sys::BUS1_CMD_RECV, &mut argument);
        self.slice = argument.msg.offset;
        result
    }

    fn transfer(&self, id: u64) -> i64 {
        give(self.peers[0], id, self.peers[1]).map_or_else(|error| error, |_| 0)
    }

    fn destroy(&self, nodes: &[u64]) -> i64 {
        let mut argument = sys::bus1_cmd_nodes_destroy {
            flags: 0,
            ptr_nodes: nodes.as_ptr() as u64,
            n_nodes: nodes.len() as u64,
        };
        call(self.peers[0], sys::BUS1_CMD_NODES_DESTROY, &mut argument)
    }

    fn flush(&self) -> i64 {
        let mut argument = sys::bus1_cmd_peer_reset {
            flags: sys::BUS1_PEER_RESET_FLAG_FLUSH,
            peer_flags: sys::PEER_FLAGS_KEEP,
            max_slices: sys::LIMIT_KEEP,
            max_handles: sys::LIMIT_KEEP,
            max_inflight_bytes: sys::LIMIT_KEEP,
            max_inflight_fds: sys::LIMIT_KEEP,
        };
        call(self.peers[1], sys::BUS1_CMD_PEER_RESET, &mut argument)
    }
}

/// One try, in which the n-th allocation fails.
fn once(step: &Step, nth: u64) -> Res<Outcome> {
    let mut scene = Scene::new()?;
    (step.before)(&mut scene)?;
    let before = counters::state();
    let outcome = failing(nth, || (step.call)(&mut scene));
    if outcome.result != 0 {
        same("errno", outcome.result, -i64::from(libc::ENOMEM))?;
        same("alive after a failure", counters::state(), before)?;
        same("the same again", (step.call)(&mut scene), 0)?;
    }
    scene.end();
    Ok(outcome)
}

/// Tries a step with each of its allocations failing.
pub fn try_step(step: &Step, mut trace: File) -> Res {
    shm::init()?;
    let mut tried = Tried::new(step.name);
    for nth in 1..MOST {
        let outcome = once(step, nth).map_err(|Fail(why)| Fail(format!("{nth}: {why}")))?;
        match (outcome.injected, outcome.result) {
            (true, 0) => tried.survived += 1,
            (true, _) => tried.failed += 1,
            (false, result) => {
                same("result without a fault", result, 0)?;
                writeln!(trace, "{}", summary(&tried)?)?;
                return Ok(());
            }
        }
    }
    Err(Fail(format!("it allocates {MOST} times")))
}
