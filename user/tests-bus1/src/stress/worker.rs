// SPDX-License-Identifier: MIT OR Apache-2.0

//! The processes of the order stress: senders and readers.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use bus1_sys::{BUS1_MSG_DATA, BUS1_MSG_NODE_RELEASE};
use rustix::io::Errno;
use rustix::thread::sched_yield;

use super::shared::{message, Board, LOGGED, MULTICASTERS, MULTICASTS, QUEUES, READERS, UNICASTS};
use crate::raw::{Mail, Peer};
use crate::verdict::{wrong, Verdict};

/// Copies that may be queued at one time, all queues together: far below what a
/// user may have.
const WINDOW: u64 = 3000;

/// How long a multicaster goes on; on a fast guest it is done before.
const ROUND_TIME: Duration = Duration::from_secs(10);

/// The first ID that a fresh peer gives out, and the step to the next.
const FIRST: u64 = 0x0b;
const STEP: u64 = 8;

/// How many messages the first of a pair sends to itself before each that
/// counts. A clock that only counts messages runs ahead by that.
const AHEAD: usize = 4;

/// A small generator of numbers: the run must differ from round to round but
/// needs no quality.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed | 1)
    }

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

fn stopped(board: &Board) -> bool {
    board.stop.load(Relaxed) != 0
}

/// Waits until few enough copies are queued.
fn await_room(board: &Board) {
    let queued = || {
        let sent = board.copies_sent.load(Relaxed);
        sent.saturating_sub(board.copies_received.load(Relaxed))
    };
    while queued() > WINDOW && !stopped(board) {
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
    while !stopped(board) {
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

/// Sends to many queues at once, in any order of them: the longer the call, the
/// more can happen between its first queue and its last.
pub fn multicaster(board: &Board, peer: &Peer, name: usize, random: &mut Random) -> Verdict {
    meet(board);
    let start = Instant::now();
    for seq in 0..MULTICASTS {
        if start.elapsed() > ROUND_TIME {
            break;
        }
        await_room(board);
        let count = QUEUES / 2 + random.below(QUEUES / 2) + 1;
        send(board, peer, message(name, seq), &random.queues(count))?;
    }
    board.multicasters_done.fetch_add(1, Release);
    board.done.fetch_add(1, Release);
    Ok(())
}

/// Moves the peer's own clock ahead by messages to itself.
fn run_ahead(peer: &Peer) -> Verdict {
    for _ in 0..AHEAD {
        peer.say(0x10, b"")?;
        let msg = peer.recv()?;
        peer.slice_release(msg.offset)?;
    }
    Ok(())
}

fn multicasts_go_on(board: &Board) -> bool {
    (board.multicasters_done.load(Acquire) as usize) < MULTICASTERS && !stopped(board)
}

/// A pair of peers in one process: one sends to one queue, and when that call
/// has returned, the other to another queue.
pub fn pair(board: &Board, peers: [&Peer; 2], pair: usize, random: &mut Random) -> Verdict {
    let first = MULTICASTERS + 2 * pair;
    meet(board);
    for seq in 0..UNICASTS {
        if !multicasts_go_on(board) {
            break;
        }
        await_room(board);
        run_ahead(peers[0])?;
        let queues = random.queues(2);
        send(board, peers[0], message(first, seq), &queues[..1])?;
        send(board, peers[1], message(first + 1, seq), &queues[1..])?;
    }
    board.done.fetch_add(1, Release);
    Ok(())
}

/// One half of a pair that is made of two processes, which tell each other
/// through memory that their calls have returned.
pub fn half(board: &Board, peer: &Peer, name: usize, random: &mut Random) -> Verdict {
    let turn = &board.turn[(name - MULTICASTERS) / 2];
    let me = ((name - MULTICASTERS) % 2) as u32;
    meet(board);
    for seq in 0..UNICASTS {
        await_room(board);
        if me == 0 {
            run_ahead(peer)?;
        }
        while turn.load(Acquire) != me && multicasts_go_on(board) {
            sched_yield();
        }
        if !multicasts_go_on(board) {
            break;
        }
        send(board, peer, message(name, seq), &random.queues(1))?;
        turn.store(1 - me, Release);
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
    if len as usize >= LOGGED {
        return Err(wrong("more messages in one queue than it can log"));
    }
    let entry = &log.entries[len as usize];
    entry.message.store(u32::from_ne_bytes(word), Relaxed);
    entry.time.store(time, Relaxed);
    log.len.store(len + 1, Relaxed);
    board.copies_received.fetch_add(1, Relaxed);
    Ok(true)
}

/// One reader: takes from its queues in turn until nothing more can come from
/// the `senders` processes that send.
pub fn reader(board: &Board, peers: &[(usize, Peer)], senders: u32) -> Verdict {
    meet(board);
    while !stopped(board) {
        let all_done = board.done.load(Acquire) == senders;
        let mut any = false;
        for (queue, peer) in peers {
            any |= take(board, *queue, peer)?;
        }
        if !any {
            if all_done {
                return Ok(());
            }
            // Leaves the processor to the senders.
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    Ok(())
}

/// The queues of one reader.
pub fn queues_of(reader: usize) -> impl Iterator<Item = usize> {
    (0..QUEUES).filter(move |queue| queue % READERS == reader)
}
