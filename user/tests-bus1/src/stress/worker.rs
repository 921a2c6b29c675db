// SPDX-License-Identifier: MIT OR Apache-2.0

//! The processes of the order stress: senders and readers.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use bus1_sys::{BUS1_MSG_DATA, BUS1_MSG_NODE_RELEASE};
use rustix::io::Errno;
use rustix::thread::sched_yield;

use super::shared::{Board, EACH, MESSAGES, QUEUES, READERS, SENDERS};
use crate::raw::{Mail, Peer};
use crate::verdict::{wrong, Verdict};

/// Copies that may be queued at one time, all queues together: far below what a
/// user may have.
const WINDOW: u64 = 1500;

/// The first ID that a fresh peer gives out, and the step to the next.
const FIRST: u64 = 0x0b;
const STEP: u64 = 8;

/// A small generator of numbers: the run must differ from round to round but
/// needs no quality.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    /// `count` different queues in any order.
    fn queues(&mut self, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..QUEUES).collect();
        (0..count.min(QUEUES))
            .map(|_| all.swap_remove(self.below(all.len())))
            .collect()
    }
}

/// Says that it is ready and waits for the others.
fn meet(board: &Board) {
    board.ready.fetch_add(1, Release);
    while board.go.load(Acquire) == 0 && board.stop.load(Relaxed) == 0 {
        sched_yield();
    }
}

/// Sends one message, until it is taken or somebody stops the round.
fn send(board: &Board, peer: &Peer, message: usize, queues: &[usize]) -> Verdict {
    let ids: Vec<u64> = queues
        .iter()
        .map(|queue| FIRST + STEP * *queue as u64)
        .collect();
    let word = (message as u32).to_ne_bytes();
    let mail = Mail {
        to: &ids,
        payload: &[&word],
        ..Default::default()
    };
    let entry = &board.sent[message];
    while board.stop.load(Relaxed) == 0 {
        let queued = board.copies_sent.load(Relaxed);
        if queued.saturating_sub(board.copies_received.load(Relaxed)) > WINDOW {
            sched_yield();
            continue;
        }
        entry.start.store(board.now(), Relaxed);
        let result = peer.send(&mail);
        entry.end.store(board.now(), Relaxed);
        match result {
            Ok(()) => {
                let mask = queues.iter().fold(0, |mask, queue| mask | 1 << queue);
                entry.queues.store(mask, Relaxed);
                board.copies_sent.fetch_add(queues.len() as u64, Relaxed);
                for queue in queues {
                    board.logs[*queue].sent.fetch_add(1, Release);
                }
                return Ok(());
            }
            Err(Errno::DQUOT | Errno::XFULL) => {
                board.refused.fetch_add(1, Relaxed);
                sched_yield();
            }
            Err(errno) => return Err(wrong(format_args!("SEND: {errno}"))),
        }
    }
    Ok(())
}

/// Waits until it is the turn of `name` among the senders that take turns.
fn await_turn(board: &Board, name: u32) {
    while board.turn.load(Acquire) != name && board.stop.load(Relaxed) == 0 {
        sched_yield();
    }
}

/// One sender: the first two multicast, the others send to one queue in turns,
/// each after the other has returned.
pub fn sender(board: &Board, peer: &Peer, name: usize, seed: u64) -> Verdict {
    let mut random = Random(seed | 1);
    meet(board);
    let takes_turns = name >= SENDERS / 2;
    let turns = SENDERS as u32 - SENDERS as u32 / 2;
    let turn = (name - if takes_turns { SENDERS / 2 } else { 0 }) as u32;
    for round in 0..EACH {
        let message = name * EACH + round;
        if takes_turns {
            await_turn(board, turn);
            send(board, peer, message, &random.queues(1))?;
            board.turn.store((turn + 1) % turns, Release);
        } else {
            let count = 2 + random.below(QUEUES - 1);
            send(board, peer, message, &random.queues(count))?;
        }
    }
    board.done.fetch_add(1, Release);
    Ok(())
}

/// Takes the next entry of one queue; whether there was one.
fn take(board: &Board, queue: usize, peer: &Peer) -> Verdict<bool> {
    let log = &board.logs[queue];
    let sent = log.sent.load(Acquire);
    let len = log.len.load(Relaxed);
    let msg = match peer.recv() {
        Ok(msg) => msg,
        Err(Errno::AGAIN) => {
            if u64::from(len) < sent {
                board.lost.store(queue as u32 + 1, Relaxed);
                return Err(wrong(format_args!(
                    "queue {queue} is empty after {len} of {sent} messages"
                )));
            }
            return Ok(false);
        }
        Err(errno) => return Err(wrong(format_args!("RECV: {errno}"))),
    };
    let time = board.now();
    if msg.type_ == BUS1_MSG_NODE_RELEASE {
        // All senders have ended.
        return Ok(true);
    }
    if msg.type_ != BUS1_MSG_DATA {
        return Err(wrong(format_args!("an entry of type {}", msg.type_)));
    }
    let word = peer.bytes(&msg).try_into().map_err(|_| Errno::PROTO)?;
    peer.slice_release(msg.offset)?;
    if len as usize >= MESSAGES {
        return Err(wrong("more entries than messages"));
    }
    let entry = &log.entries[len as usize];
    entry.message.store(u32::from_ne_bytes(word), Relaxed);
    entry.time.store(time, Relaxed);
    log.len.store(len + 1, Relaxed);
    board.copies_received.fetch_add(1, Relaxed);
    Ok(true)
}

/// One reader: takes from its queues in turn until nothing more can come.
pub fn reader(board: &Board, peers: &[(usize, Peer)]) -> Verdict {
    meet(board);
    while board.stop.load(Relaxed) == 0 {
        let all_done = board.done.load(Acquire) as usize == SENDERS;
        let mut any = false;
        for (queue, peer) in peers {
            any |= take(board, *queue, peer)?;
        }
        if !any {
            if all_done {
                return Ok(());
            }
            sched_yield();
        }
    }
    Ok(())
}

/// The queues of one reader.
pub fn queues_of(reader: usize) -> impl Iterator<Item = usize> {
    (0..QUEUES).filter(move |queue| queue % READERS == reader)
}
