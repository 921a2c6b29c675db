// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the three processes of the races tell each other through shared memory.

#![forbid(unsafe_code)]

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::time::Duration;

use crate::scratch::Scratch;

/// Races of one batch: each kind the same number of times.
pub const BATCH: usize = 240;

/// Words before those of the races.
const HEAD: usize = 16;

/// Words of one race.
const EACH: usize = 5;

/// How often a waiting process looks before it sleeps: on a busy host the other one
/// needs the processor.
const PATIENCE: u32 = 400;

/// How long it sleeps.
const NAP: Duration = Duration::from_micros(20);

/// The two sides meet before every so many races.
const STRIDE: usize = 16;

/// Size of the board.
pub const WORDS: usize = HEAD + BATCH * EACH;

/// Who takes part in a race.
#[derive(Clone, Copy)]
pub enum Side {
    /// Destroys the nodes.
    Destroyer,
    /// Passes their handles on.
    Carrier,
}

/// The shared memory, by names.
pub struct Board<'a>(&'a [AtomicU64]);

impl<'a> Board<'a> {
    /// The board in this memory, if it is large enough.
    pub fn new(scratch: &'a Scratch) -> Option<Self> {
        let words = scratch.words();
        (words.len() >= WORDS).then_some(Board(words))
    }

    fn stop_word(&self) -> &AtomicU64 {
        &self.0[0]
    }

    fn clock(&self) -> &AtomicU64 {
        &self.0[1]
    }

    /// Number of the batch that is to begin.
    pub fn batch(&self) -> &AtomicU64 {
        &self.0[2]
    }

    /// Number of the batch whose nodes have been made.
    pub fn ready(&self) -> &AtomicU64 {
        &self.0[3]
    }

    /// Number of the last batch that this side has ended.
    pub fn done(&self, side: Side) -> &AtomicU64 {
        &self.0[4 + side as usize]
    }

    fn arrived(&self, side: Side) -> &AtomicU64 {
        &self.0[6 + side as usize]
    }

    fn race(&self, race: usize) -> &[AtomicU64] {
        &self.0[HEAD + race * EACH..][..EACH]
    }

    /// The ID that the transfer of this race returned.
    pub fn given(&self, race: usize) -> &AtomicU64 {
        &self.race(race)[4]
    }

    /// Ends all processes.
    pub fn stop(&self) {
        self.stop_word().store(1, Relaxed);
    }

    /// Whether they are to end.
    pub fn stopped(&self) -> bool {
        self.stop_word().load(Relaxed) != 0
    }

    /// Waits until `word` is at least `value`; whether it is.
    pub fn await_at_least(&self, word: &AtomicU64, value: u64) -> bool {
        let mut looks = 0;
        while word.load(Acquire) < value {
            if self.stopped() {
                return false;
            }
            looks += 1;
            if looks % PATIENCE == 0 {
                std::thread::sleep(NAP);
            }
            std::hint::spin_loop();
        }
        true
    }

    /// Meets the other side, if race `race` of `batch` is one before which they do;
    /// says no if all is over.
    pub fn meet(&self, side: Side, batch: u64, race: usize) -> bool {
        if race % STRIDE != 0 {
            return true;
        }
        let mark = batch * BATCH as u64 + race as u64;
        self.arrived(side).store(mark, Release);
        let other = match side {
            Side::Destroyer => Side::Carrier,
            Side::Carrier => Side::Destroyer,
        };
        self.await_at_least(self.arrived(other), mark)
    }

    /// Notes when a call begins, or ends.
    pub fn stamp(&self, side: Side, race: usize, end: bool) {
        let now = self.clock().fetch_add(1, SeqCst) + 1;
        self.race(race)[2 * side as usize + usize::from(end)].store(now, Relaxed);
    }

    /// Whether the calls of both sides overlapped.
    pub fn overlapped(&self, race: usize) -> bool {
        let [a, b, c, d] = [0, 1, 2, 3].map(|word| self.race(race)[word].load(Relaxed));
        a < d && c < b
    }
}
