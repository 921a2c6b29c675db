// SPDX-License-Identifier: MIT OR Apache-2.0

//! Peers of many users, and what they do to fill a receiver.
//!
//! Each peer is opened by a thread that has become its user. Whoever uses a peer later does not
//! matter: who opened it pays.

#![forbid(unsafe_code)]

use std::thread;

use rustix::io::Errno;
use rustix::process::{getrlimit, getuid, setrlimit, Resource, Rlimit, Uid};
use rustix::thread::set_thread_res_uid;

use crate::raw::{Errors, Mail, Peer, KEEP};
use crate::tap::is_thorough;
use crate::verdict::{skip, works, wrong, Verdict};

/// First of the users of the tests.
pub const FIRST: u32 = 20_000;

/// Where the receiver's node is.
pub const NODE: u64 = 0x10;

/// So far from an ID there is none.
const NOBODY: u64 = 1 << 40;

/// Runs `work` as another user.
pub fn as_user<T: Send>(uid: u32, work: impl FnOnce() -> Verdict<T> + Send) -> Verdict<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let uid = Uid::from_raw(uid);
            works("becoming another user", set_thread_res_uid(uid, uid, uid))?;
            work()
        });
        thread
            .join()
            .unwrap_or_else(|_| Err(wrong("the thread of another user has panicked")))
    })
}

/// A peer that belongs to this user.
pub fn peer_of(uid: u32) -> Verdict<Peer> {
    as_user(uid, Peer::open)
}

/// The peer that is sent to. It takes less than usual, unless there is time.
pub fn receiver() -> Verdict<Peer> {
    let peer = peer_of(FIRST)?;
    if !is_thorough() {
        let mut small = KEEP;
        small.max_slices = 1024;
        small.max_inflight_bytes = 1 << 20;
        works("RESET", peer.reset(small))?;
    }
    Ok(peer)
}

/// Fails unless other users can be had, and so many descriptors.
pub fn need_users(descriptors: u64) -> Verdict {
    if !getuid().is_root() {
        return skip("only root can become other users");
    }
    let old = getrlimit(Resource::Nofile);
    if old.current.is_some_and(|current| current < descriptors) {
        let new = Rlimit {
            current: Some(descriptors),
            maximum: old.maximum.map(|most| most.max(descriptors)),
        };
        works("more descriptors", setrlimit(Resource::Nofile, new))?;
    }
    Ok(())
}

/// Somebody who can send to a receiver.
pub struct Sender {
    pub peer: Peer,
    to: u64,
}

impl Sender {
    /// The peer gets a handle of the receiver's node.
    pub fn new(peer: Peer, receiver: &Peer) -> Verdict<Self> {
        let to = peer.meets(receiver, NODE)?;
        Ok(Self { peer, to })
    }

    /// Of this user.
    pub fn of(uid: u32, receiver: &Peer) -> Verdict<Self> {
        Self::new(peer_of(uid)?, receiver)
    }

    /// Sends; says whether that was granted.
    pub fn say(&self, bytes: &[u8]) -> Verdict<bool> {
        match self.peer.say(self.to, bytes) {
            Ok(()) => Ok(true),
            Err(Errno::DQUOT) => Ok(false),
            Err(errno) => Err(wrong(format_args!("a message: {errno}"))),
        }
    }

    /// Sends `bytes` until that is refused; says how often it was granted.
    pub fn say_all(&self, bytes: &[u8]) -> Verdict<u64> {
        let mut sent = 0;
        while self.say(bytes)? {
            sent += 1;
        }
        Ok(sent)
    }

    /// Takes all bytes that it can get, in as few messages as possible: the largest that is granted,
    /// again and again until there is none. Says how many bytes these are, and how large the first
    /// message was; who comes later gets no larger one than the `most` that somebody got.
    pub fn take_bytes(&self, buffer: &[u8], most: usize) -> Verdict<(u64, usize)> {
        let mut taken = 0;
        let mut most = most / 8;
        let mut first = None;
        loop {
            let words = self.most_words(buffer, most)?;
            first = first.or(Some(8 * words));
            if words == 0 || !self.say(&buffer[..8 * words])? {
                return Ok((taken, first.unwrap_or(0)));
            }
            taken += 8 * words as u64;
            most = words;
        }
    }

    /// The largest message of whole words that would be granted, of at most `most`.
    fn most_words(&self, buffer: &[u8], most: usize) -> Verdict<usize> {
        // Mostly it is only a little less than what others got.
        let (mut low, mut high, mut step) = (most, most, 1);
        while low > 0 && !self.would_fit(&buffer[..8 * low])? {
            high = low - 1;
            low = low.saturating_sub(step);
            step *= 4;
        }
        // So many are granted, and one more than `high` is not.
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.would_fit(&buffer[..8 * middle])? {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        Ok(low)
    }

    /// Whether a message would be granted: one that is cancelled for its other destination, which
    /// does not exist.
    fn would_fit(&self, bytes: &[u8]) -> Verdict<bool> {
        let mut errors = [0; 2];
        let sent = self.peer.send_and_tell(
            &Mail {
                to: &[self.to, self.to + NOBODY],
                payload: &[bytes],
                ..Default::default()
            },
            Errors::Array(&mut errors),
        );
        match (sent, errors[0]) {
            (Err(_), 0) => Ok(true),
            (Err(_), error) if error == -i64::from(Errno::DQUOT.raw_os_error()) => Ok(false),
            (sent, error) => Err(wrong(format_args!("a trial: {sent:?}, {error}"))),
        }
    }
}
