// SPDX-License-Identifier: MIT OR Apache-2.0

//! The board that all processes of the order stress write to: the channel beside
//! the bus, and what each has seen.
//!
//! One of the files with unsafe code.

use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{null_mut, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::fs::{ftruncate, memfd_create, MemfdFlags};
use rustix::io::Errno;
use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};

/// Queues.
pub const QUEUES: usize = 64;
/// Processes that read, each its part of the queues.
pub const READERS: usize = 2;
/// Peers that multicast.
pub const MULTICASTERS: usize = 2;
/// Pairs of peers of which one sends to one queue, then the other to another.
pub const PAIRS: usize = 2;
/// All peers that send.
pub const SENDERS: usize = MULTICASTERS + 2 * PAIRS;
/// Multicasts that one multicaster sends in a round.
pub const MULTICASTS: usize = 250;
/// Messages that one peer of a pair sends at most in a round.
pub const UNICASTS: usize = 4000;
/// Messages of a round.
pub const MESSAGES: usize = MULTICASTERS * MULTICASTS + 2 * PAIRS * UNICASTS;
/// Messages that one queue can get.
pub const LOGGED: usize = 8192;

/// Number of the message `seq` of a sender.
pub fn message(sender: usize, seq: usize) -> usize {
    match sender.checked_sub(MULTICASTERS) {
        None => sender * MULTICASTS + seq,
        Some(pair) => MULTICASTERS * MULTICASTS + pair * UNICASTS + seq,
    }
}

/// Who sends the message with this number.
pub fn sender_of(message: usize) -> usize {
    match message.checked_sub(MULTICASTERS * MULTICASTS) {
        None => message / MULTICASTS,
        Some(rest) => MULTICASTERS + rest / UNICASTS,
    }
}

/// One message, by its sender.
#[derive(Default)]
pub struct Sent {
    /// The clock before the call.
    pub start: AtomicU64,
    /// The clock after the call.
    pub end: AtomicU64,
    /// The queues it went to, one bit each; 0 if it was not sent.
    pub queues: AtomicU64,
}

/// One delivery, by the reader of the queue.
pub struct Received {
    /// Which message.
    pub message: AtomicU32,
    /// The clock after the call.
    pub time: AtomicU64,
}

/// One queue, as its reader sees it.
pub struct Log {
    /// Messages whose send has returned.
    pub sent: AtomicU64,
    /// Deliveries that are entered.
    pub len: AtomicU32,
    pub entries: [Received; LOGGED],
}

/// What the processes share. All of it is atomic, and zero at first.
pub struct Board {
    /// The channel beside the bus: each reading is one more than the last.
    clock: AtomicU64,
    /// Set when all are ready.
    pub go: AtomicU32,
    /// Set by whoever has found something wrong.
    pub stop: AtomicU32,
    /// Workers that are ready.
    pub ready: AtomicU32,
    /// Multicasters that are done.
    pub multicasters_done: AtomicU32,
    /// Sending processes that are done.
    pub done: AtomicU32,
    /// Which of the two processes of a pair may send, for the pairs that are
    /// made of two.
    pub turn: [AtomicU32; PAIRS],
    /// Copies sent and copies received, to bound what is queued.
    pub copies_sent: AtomicU64,
    pub copies_received: AtomicU64,
    /// Sends that were refused for want of room and tried again.
    pub refused: AtomicU64,
    /// A queue that was empty although a send to it had returned, plus 1.
    pub lost: AtomicU32,
    pub sent: [Sent; MESSAGES],
    pub logs: [Log; QUEUES],
}

impl Board {
    /// Reads the clock, which moves on.
    pub fn now(&self) -> u64 {
        // All readings by all processes are in one order, which is the point.
        self.clock.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// A board in memory that can be shared with other processes.
pub struct Shared {
    board: NonNull<Board>,
    file: OwnedFd,
}

impl Shared {
    /// A new board.
    pub fn new() -> Result<Self, Errno> {
        let file = memfd_create("order-stress", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, size_of::<Board>() as u64)?;
        Self::open(file)
    }

    /// The board in this file, which another process has made with [`new`].
    ///
    /// [`new`]: Shared::new
    pub fn open(file: OwnedFd) -> Result<Self, Errno> {
        let size = size_of::<Board>();
        if rustix::fs::fstat(&file)?.st_size != i64::try_from(size).unwrap_or(0) {
            return Err(Errno::INVAL);
        }
        let rw = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { mmap(null_mut(), size, rw, MapFlags::SHARED, &file, 0) }?;
        let board = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        Ok(Shared { board, file })
    }

    /// A descriptor of it that processes started from now on inherit.
    pub fn to_inherit(&self) -> Result<OwnedFd, Errno> {
        rustix::io::dup(self.file.as_fd())
    }
}

impl Deref for Shared {
    type Target = Board;

    fn deref(&self) -> &Board {
        // SAFETY: the mapping has the size of a board, is page aligned and lives
        // as long as `self`. All fields are atomic integers, for which any bytes
        // are valid, so that other processes may write at any time.
        unsafe { self.board.as_ref() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it is this mapping; references to the board borrow `self`.
        let _ = unsafe { munmap(self.board.as_ptr().cast(), size_of::<Board>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_messages() {
        let mut next = 0;
        for sender in 0..SENDERS {
            let count = if sender < MULTICASTERS {
                MULTICASTS
            } else {
                UNICASTS
            };
            for seq in [0, 1, count - 1] {
                assert_eq!(message(sender, seq), next + seq);
                assert_eq!(sender_of(next + seq), sender);
            }
            next += count;
        }
        assert_eq!(next, MESSAGES);
    }
}
