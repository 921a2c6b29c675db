// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a native client draws: each command, with good values and bad ones.

use bus1_sys as sys;
use tests_binder::ops;
use tests_binder::world::{check, Res};

use super::client::{Client, PEERS};
use crate::random::Rng;

/// More than anything can be.
const HUGE: [u64; 6] = [1025, 1 << 20, 1 << 31, 1 << 32, 1 << 61, u64::MAX];

/// Numbers that no command has.
const UNKNOWN: [u32; 4] = [0xc008_9603, 0xc060_9651, 0x0000_9601, 0xc030_6201];

impl Client {
    /// Draws and does one.
    pub fn command(&mut self, r: &mut Rng) -> Res {
        let peer = r.below(PEERS);
        match r.weighted(&[30, 30, 12, 14, 14, 6, 6, 3, 2, 1]) {
            0 => self.send(peer, r),
            1 => self.recv(peer, r),
            2 => {
                let mut offset = self.board.slice(peer, r);
                let command = sys::BUS1_CMD_SLICE_RELEASE;
                self.call_with(peer, command, &mut offset, r).map(drop)
            }
            3 => {
                let mut id = self.board.handle(peer, r);
                let command = sys::BUS1_CMD_HANDLE_RELEASE;
                self.call_with(peer, command, &mut id, r).map(drop)
            }
            4 => self.transfer(peer, r),
            5 => self.destroy(peer, r),
            6 => self.reset(peer, r),
            7 => {
                self.close_files();
                let poll = ops::poll([self.peers[peer] as u64, 0, 0, 0, 0, 0]);
                check("poll works", poll >= 0)
            }
            8 => {
                let unknown = r.of(UNKNOWN);
                let argument = self.nowhere(r);
                self.call(peer, unknown, argument).map(drop)
            }
            _ => {
                let argument = r.of([0, 1, 1, 1, u64::MAX]);
                let command = sys::BUS1_CMD_PEER_DISCONNECT;
                self.call(peer, command, argument).map(drop)
            }
        }
    }

    /// A number of elements: that of those which are there, or a forged one.
    fn count(&self, there: usize, r: &mut Rng) -> u64 {
        match r.below(30) {
            0 => r.of(HUGE),
            _ => there as u64,
        }
    }

    /// Where an array lies, or where nothing is.
    fn array<T>(&self, array: &[T], r: &mut Rng) -> u64 {
        match r.below(30) {
            0 => self.nowhere(r),
            _ => array.as_ptr() as u64,
        }
    }

    fn descriptor(&self, r: &mut Rng) -> i32 {
        match r.below(12) {
            0 => r.of([-1, 999, i32::MAX]),
            1 => self.peers[r.below(PEERS)],
            _ => self.file,
        }
    }

    fn send(&self, peer: usize, r: &mut Rng) -> Res {
        let ids = |most: usize, r: &mut Rng| -> Vec<u64> {
            let count = r.below(most + 1);
            (0..count).map(|_| self.board.handle(peer, r)).collect()
        };
        let destinations = ids(3, r);
        let handles = ids(4, r);
        let fds: Vec<i32> = match r.below(4) {
            0 => (0..1 + r.below(3)).map(|_| self.descriptor(r)).collect(),
            _ => Vec::new(),
        };
        let payload = vec![0x5a_u8; r.of([0, 1, 8, 100, 4096, 70_000])];
        let vecs: Vec<[u64; 2]> = (0..r.below(4))
            .map(|_| [self.array(&payload, r), self.length(&payload, r)])
            .collect();
        let mut errors = vec![0_i64; destinations.len()];
        let n_destinations = self.count(destinations.len(), r);
        // An array that is too short would be written beyond.
        let with_errors = n_destinations == destinations.len() as u64 && r.one_in(2);
        let mut argument = sys::bus1_cmd_send {
            flags: r.of([0, 0, 0, 1, 1, 2, 3, 4, 1 << 63]),
            ptr_destinations: self.array(&destinations, r),
            ptr_errors: match with_errors {
                true => errors.as_mut_ptr() as u64,
                false => r.of([0, 0, 0, 8]),
            },
            n_destinations,
            ptr_vecs: self.array(&vecs, r),
            n_vecs: self.count(vecs.len(), r),
            ptr_handles: self.array(&handles, r),
            n_handles: self.count(handles.len(), r),
            ptr_fds: self.array(&fds, r),
            n_fds: self.count(fds.len(), r),
        };
        let sent = self.call_with(peer, sys::BUS1_CMD_SEND, &mut argument, r)?;
        let told = errors.iter().all(|error| (-600..=600).contains(error));
        check("errors of destinations are error numbers", told)?;
        if sent.is_ok() {
            for id in destinations.iter().chain(&handles) {
                self.board.learn_handle(peer, *id, r);
            }
        }
        Ok(())
    }

    fn length(&self, payload: &[u8], r: &mut Rng) -> u64 {
        match r.below(30) {
            0 => r.of(HUGE),
            _ => payload.len() as u64,
        }
    }

    fn recv(&self, peer: usize, r: &mut Rng) -> Res {
        let flags = r.of([0, 0, 0, 4, 4, 1, 2, 6, 5, 8]);
        let max_offset = r.of([u64::MAX, 1 << 20, 1 << 20, 64, 0]);
        if r.one_in(4) {
            let mut argument = sys::bus1_cmd_recv_anon {
                flags: flags & 3,
                max_offset,
                ..Default::default()
            };
            let got = self.call_with(peer, sys::BUS1_CMD_RECV_ANON, &mut argument, r)?;
            if got.is_ok() {
                self.board.learn_slice(peer, argument.msg.offset, r);
            }
            return Ok(());
        }
        let mut argument = sys::bus1_cmd_recv {
            flags,
            max_offset,
            ..Default::default()
        };
        let got = self.call_with(peer, sys::BUS1_CMD_RECV, &mut argument, r)?;
        match got {
            Ok(()) => self.received(peer, &argument, r),
            Err(_) => Ok(()),
        }
    }

    /// Looks at what has arrived.
    fn received(&self, peer: usize, argument: &sys::bus1_cmd_recv, r: &mut Rng) -> Res {
        let msg = &argument.msg;
        match msg.type_ {
            sys::BUS1_MSG_DATA => {}
            sys::BUS1_MSG_NODE_DESTROY | sys::BUS1_MSG_NODE_RELEASE => {
                self.board.learn_handle(peer, msg.destination, r);
                return check(
                    "a notice has no slice",
                    msg.n_bytes + msg.n_handles + msg.n_fds == 0,
                );
            }
            other => return check(&format!("type {other}"), false),
        }
        let handles = msg.offset + msg.n_bytes.next_multiple_of(8);
        let end = handles + 8 * msg.n_handles + 4 * msg.n_fds;
        check("a slice lies below max_offset", end <= argument.max_offset)?;
        let wanted = argument.flags & sys::BUS1_RECV_FLAG_INSTALL_FDS != 0;
        check(
            "no files but those that were asked for",
            wanted || msg.n_fds == 0,
        )?;
        self.board.learn_slice(peer, msg.offset, r);
        for slot in 0..msg.n_handles.min(4) {
            let mut bytes = [0; 8];
            if self.pool(peer, handles + 8 * slot, &mut bytes) {
                self.board.learn_handle(peer, u64::from_ne_bytes(bytes), r);
            }
        }
        Ok(())
    }

    fn transfer(&self, peer: usize, r: &mut Rng) -> Res {
        let other = r.below(PEERS);
        let forged = r.one_in(16);
        let mut argument = sys::bus1_cmd_handle_transfer {
            flags: r.of([0, 0, 0, 0, 0, 0, 0, 1]),
            src_handle: self.board.handle(peer, r),
            dst_fd: match forged {
                true => r.of([u64::MAX, 1 << 32, self.file as u64, 999]),
                false => self.peers[other] as u64,
            },
            dst_handle: 0,
        };
        let done = self.call_with(peer, sys::BUS1_CMD_HANDLE_TRANSFER, &mut argument, r)?;
        if done.is_ok() && !forged {
            self.board.learn_handle(other, argument.dst_handle, r);
        }
        Ok(())
    }

    fn destroy(&self, peer: usize, r: &mut Rng) -> Res {
        let nodes: Vec<u64> = (0..r.below(4))
            .map(|_| self.board.handle(peer, r))
            .collect();
        let mut argument = sys::bus1_cmd_nodes_destroy {
            flags: r.of([0, 0, 1, 1, 2]),
            ptr_nodes: self.array(&nodes, r),
            n_nodes: self.count(nodes.len(), r),
        };
        self.call_with(peer, sys::BUS1_CMD_NODES_DESTROY, &mut argument, r)
            .map(drop)
    }

    fn reset(&self, peer: usize, r: &mut Rng) -> Res {
        let limit = |r: &mut Rng| match r.below(6) {
            0 => r.of([0, 1, 16, 1 << 31]),
            _ => sys::LIMIT_KEEP,
        };
        let mut argument = sys::bus1_cmd_peer_reset {
            flags: r.of([0, 0, 0, 1, 2, 3, 4]),
            peer_flags: r.of([sys::PEER_FLAGS_KEEP, sys::PEER_FLAGS_KEEP, 0, 1, 2]),
            max_slices: limit(r),
            max_handles: limit(r),
            max_inflight_bytes: limit(r),
            max_inflight_fds: limit(r),
        };
        let command = match r.below(2) {
            0 => sys::BUS1_CMD_PEER_QUERY,
            _ => sys::BUS1_CMD_PEER_RESET,
        };
        self.call_with(peer, command, &mut argument, r).map(drop)
    }
}
