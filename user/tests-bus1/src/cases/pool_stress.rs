// SPDX-License-Identifier: MIT OR Apache-2.0

//! Messages under memory pressure: senders, a receiver with several mappings, one
//! that takes all free pages away again and again, and one that maps, forks and
//! unmaps. Each message says what it has to be, so that a byte of another one, or of
//! a page that is not the pool's any more, is seen.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::Mutex;
use std::thread::{scope, yield_now, ScopedJoinHandle};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use super::cases;
use crate::foreign::child_reads;
use crate::memory::Mapping;
use crate::pressure::{drop_caches, flushes_walk_areas, pages_reclaimed};
use crate::raw::Peer;
use crate::verdict::{check, equal, works, wrong, Verdict};

cases! {
    #[long]
    messages_survive_memory_pressure,
}

/// The pool may be in pieces: the limit of bytes does not say how far it is used.
const VIEW: usize = 256 << 20;

const TIME: Duration = Duration::from_secs(4);

/// Makes `bytes` the message with this number of a sender: its words, and noise of a
/// length that they give.
fn write_message(bytes: &mut Vec<u8>, sender: u64, number: u64) {
    let end = 16 + 8 * (number * 37 % 3000) as usize;
    bytes.clear();
    bytes.extend([sender, number].map(u64::to_ne_bytes).iter().flatten());
    let mut state = sender << 32 | number;
    while bytes.len() < end {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        bytes.extend(state.to_ne_bytes());
    }
}

/// So many messages of a sender are on their way at most: else nothing is ever free.
const AHEAD: u64 = 20;

/// Sends until told to stop; how many messages that were.
fn send(sender: u64, id: u64, peer: &Peer, read: &AtomicU64, stop: &AtomicBool) -> Verdict<u64> {
    let (mut number, mut bytes) = (0, Vec::with_capacity(32 << 10));
    while !stop.load(Relaxed) {
        if number > read.load(Relaxed) + AHEAD {
            yield_now();
            continue;
        }
        write_message(&mut bytes, sender, number);
        match peer.say(id, &bytes) {
            Ok(()) => number += 1,
            Err(Errno::DQUOT | Errno::XFULL) => yield_now(),
            Err(errno) => return Err(wrong(format_args!("SEND: {errno}"))),
        }
    }
    Ok(number)
}

/// Who reads, through which mappings, and how much that was.
struct Reader<'a> {
    peer: &'a Peer,
    views: [&'a Mapping; 2],
    seen: Vec<u8>,
    wanted: Vec<u8>,
    /// For each sender.
    read: &'a [AtomicU64; 2],
}

impl Reader<'_> {
    /// Reads and compares what is queued, until `end` if it never gets empty.
    fn read(&mut self, end: Instant) -> Verdict {
        while Instant::now() < end {
            let msg = match self.peer.recv_with(0, VIEW as u64) {
                Ok(msg) => msg,
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(wrong(format_args!("RECV: {errno}"))),
            };
            let mut from = 1;
            for view in self.views {
                view.copy_to(&mut self.seen, msg.offset, msg.n_bytes);
                let mut words = self.seen.chunks_exact(8).map(|word| word.try_into());
                let (Some(Ok(sender)), Some(Ok(number))) = (words.next(), words.next()) else {
                    return Err(wrong("a message without its first words"));
                };
                let (sender, number) = (u64::from_ne_bytes(sender), u64::from_ne_bytes(number));
                if ![1, 2].contains(&sender) {
                    return Err(wrong(format_args!("a message of {sender:#x}")));
                }
                from = sender;
                write_message(&mut self.wanted, sender, number);
                if self.seen != self.wanted {
                    let at = msg.offset;
                    let what = format_args!("message {number} of {sender} is wrong at {at:#x}");
                    return Err(wrong(what));
                }
            }
            works("SLICE_RELEASE", self.peer.slice_release(msg.offset))?;
            self.read[from as usize - 1].fetch_add(1, Relaxed);
        }
        Ok(())
    }
}

/// Maps, has a child read what may be there or not, and unmaps.
fn map_and_fork(peer: &Peer, alone: &Mutex<()>, stop: &AtomicBool) -> Verdict {
    let careful = flushes_walk_areas();
    while !stop.load(Relaxed) {
        let _alone = careful.then(|| alone.lock());
        let view = works("mmap", Mapping::shared(peer, VIEW))?;
        child_reads(view.address())?;
    }
    Ok(())
}

fn squeeze(alone: &Mutex<()>, stop: &AtomicBool) -> Verdict {
    let careful = flushes_walk_areas();
    while !stop.load(Relaxed) {
        let _alone = careful.then(|| alone.lock());
        drop_caches()?;
    }
    Ok(())
}

fn messages_survive_memory_pressure() -> Verdict {
    let (peer, before) = (Peer::open()?, pages_reclaimed()?);
    drop_caches()?;
    let senders = [Peer::open()?, Peer::open()?];
    let ids = [
        senders[0].meets(&peer, 0x100)?,
        senders[1].meets(&peer, 0x100)?,
    ];
    let view = |kind| works("mmap", Mapping::new(&peer, VIEW, ProtFlags::READ, kind));
    let views = [view(MapFlags::SHARED)?, view(MapFlags::PRIVATE)?];
    let (stop, alone) = (AtomicBool::new(false), Mutex::new(()));
    let read = [AtomicU64::new(0), AtomicU64::new(0)];
    let mut reader = Reader {
        peer: &peer,
        views: [&views[0], &views[1]],
        seen: Vec::with_capacity(32 << 10),
        wanted: Vec::with_capacity(32 << 10),
        read: &read,
    };
    let sent = scope(|scope| {
        let (stop, alone, peer) = (&stop, &alone, &peer);
        let senders = [1, 2].map(|number| {
            let at = number - 1;
            let (sender, id, read) = (&senders[at], ids[at], &read[at]);
            scope.spawn(move || send(number as u64, id, sender, read, stop))
        });
        let squeezer = scope.spawn(|| squeeze(alone, stop));
        let mapper = scope.spawn(|| map_and_fork(peer, alone, stop));
        let (end, mut result) = (Instant::now() + TIME, Ok(()));
        while result.is_ok() && Instant::now() < end {
            result = reader.read(end);
            yield_now();
        }
        stop.store(true, Relaxed);
        let mut sent = 0;
        for sender in senders {
            sent += joined(sender)?;
        }
        joined(squeezer)?;
        joined(mapper)?;
        result.map(|()| sent)
    })?;
    reader.read(Instant::now() + 10 * TIME)?;
    let read: u64 = read.iter().map(|read| read.load(Relaxed)).sum();
    equal("messages", read, sent)?;
    check("messages were sent", sent > 20)?;
    check("pages were given back", pages_reclaimed()? > before)
}

fn joined<T>(thread: ScopedJoinHandle<'_, Verdict<T>>) -> Verdict<T> {
    thread
        .join()
        .unwrap_or_else(|_| Err(wrong("a thread panicked")))
}
