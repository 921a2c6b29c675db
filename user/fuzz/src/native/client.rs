// SPDX-License-Identifier: MIT OR Apache-2.0

//! One process of a round: the peers that it shares with others, what they have
//! told each other of them, and memory to call with.

use std::sync::atomic::{AtomicU64, Ordering};

use bus1_sys as sys;
use tests_binder::ops;
use tests_binder::shm;
use tests_binder::world::{Fail, Res};

use super::errors::may_fail;
use crate::binder::content::{Places, PAGE};
use crate::random::Rng;

/// Peers of a round.
pub const PEERS: usize = 5;

/// IDs and offsets that are remembered for each peer.
const REMEMBERED: usize = 24;

/// Bytes of a pool that are looked at.
const POOL: u64 = 1 << 20;

/// What all processes of a round know: IDs of handles and offsets of slices, some of
/// them stale, which is as it should be.
#[derive(Clone, Copy)]
pub struct Board(u64);

impl Board {
    /// An empty one, in the shared area.
    pub fn new() -> Self {
        Board(shm::alloc(8 * 2 * PEERS * REMEMBERED))
    }

    fn word(&self, peer: usize, which: usize, at: usize) -> &'static AtomicU64 {
        let index = (2 * peer + which) * REMEMBERED + at % REMEMBERED;
        // SAFETY: `new` took so many words, 16-aligned and zeroed, from the shared area,
        // which is never unmapped; everybody uses them as atomics.
        unsafe { &*(self.0 as *const AtomicU64).add(index) }
    }

    /// Remembers a handle of a peer.
    pub fn learn_handle(&self, peer: usize, id: u64, r: &mut Rng) {
        self.word(peer, 0, r.below(REMEMBERED))
            .store(id, Ordering::Relaxed);
    }

    /// Remembers a slice of a peer.
    pub fn learn_slice(&self, peer: usize, offset: u64, r: &mut Rng) {
        self.word(peer, 1, r.below(REMEMBERED))
            .store(offset, Ordering::Relaxed);
    }

    /// A handle of a peer: one that was seen, one of its own, or a forged one.
    pub fn handle(&self, peer: usize, r: &mut Rng) -> u64 {
        match r.weighted(&[12, 8, 1, 1]) {
            0 => self
                .word(peer, 0, r.below(REMEMBERED))
                .load(Ordering::Relaxed),
            1 => 0x10 * r.below(12) as u64,
            2 => r.of([1, 2, 3, 0xb, 1 << 63, sys::BUS1_HANDLE_INVALID]),
            _ => r.draw(),
        }
    }

    /// A slice of a peer, or a forged one.
    pub fn slice(&self, peer: usize, r: &mut Rng) -> u64 {
        match r.below(16) {
            0 => r.of([8, 1 << 40, u64::MAX]),
            _ => self
                .word(peer, 1, r.below(REMEMBERED))
                .load(Ordering::Relaxed),
        }
    }
}

/// A process of a round.
pub struct Client {
    /// Descriptors of the peers.
    pub peers: [i32; PEERS],
    /// See there.
    pub board: Board,
    /// Where memory ends.
    pub places: Places,
    /// A file that can be sent.
    pub file: i32,
    pools: [u64; PEERS],
    first_free: i32,
}

impl Client {
    /// In the process itself.
    pub fn new(peers: [i32; PEERS], board: Board) -> Self {
        let places = Places::new();
        ops::forbid([places.edge, PAGE as u64, 0, 0, 0, 0]);
        let file = ops::memfd([0; 6]) as i32;
        let pools = peers.map(|fd| ops::mmap([fd as u64, POOL, 0, 0, 0, 0]).max(0) as u64);
        Client {
            peers,
            board,
            places,
            file,
            pools,
            first_free: file + 1,
        }
    }

    /// A command, whose error must be one that is named for it.
    pub fn call(&self, peer: usize, command: u32, argument: u64) -> Res<Result<(), i32>> {
        let fd = self.peers[peer] as u64;
        match -ops::ioctl([fd, u64::from(command), argument, 0, 0, 0]) as i32 {
            0 => Ok(Ok(())),
            errno if may_fail(command, errno) => Ok(Err(errno)),
            errno => Err(Fail(format!("{command:#x} failed with errno {errno}"))),
        }
    }

    /// The same with a structure in memory, or every now and then with none.
    pub fn call_with<T>(
        &self,
        peer: usize,
        command: u32,
        argument: &mut T,
        r: &mut Rng,
    ) -> Res<Result<(), i32>> {
        let at = match r.below(24) {
            0 => self.nowhere(r),
            _ => argument as *mut T as u64,
        };
        self.call(peer, command, at)
    }

    /// An address where nothing can be read or written.
    pub fn nowhere(&self, r: &mut Rng) -> u64 {
        r.of([8, 1 << 63, !7, self.places.edge])
    }

    /// Copies bytes of a pool out, if they are there: another process may have given
    /// the slice back meanwhile.
    pub fn pool(&self, peer: usize, offset: u64, bytes: &mut [u8]) -> bool {
        let length = bytes.len();
        if self.pools[peer] == 0 || offset > POOL || length as u64 > POOL - offset {
            return false;
        }
        let from = libc::iovec {
            iov_base: (self.pools[peer] + offset) as *mut _,
            iov_len: length,
        };
        let to = libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: length,
        };
        // SAFETY: Only `bytes` is written to; the kernel checks what is read.
        let copied = unsafe { libc::process_vm_readv(libc::getpid(), &to, 1, &from, 1, 0) };
        copied == length as isize
    }

    /// Closes what messages have brought.
    pub fn close_files(&self) {
        for fd in self.first_free..self.first_free + 256 {
            ops::close([fd as u64, 0, 0, 0, 0, 0]);
        }
    }
}
