// SPDX-License-Identifier: GPL-2.0

//! Stamps, commit records and keys: the arithmetic of the global order.
//!
//! A *stamp* is an even number of nanoseconds of one monotonic clock, used as the floor of a Lamport
//! clock: a sender takes the maximum of the time, of what it has seen itself and of what the
//! receiving inbox has seen. A message for one destination gets its stamp under that inbox's lock.
//! A message for several destinations is staged on each of them with a shared [`Record`]; one write
//! to the record decides the stamp of all its entries at once. Until then a reader that wants to
//! pass such an entry *pushes* the record's floor above what it takes, instead of waiting.
//!
//! This file owns no lock and takes none. The sequences that are sorted by these keys live in
//! [`super::queue`], the lock around them in [`super::inbox`].
//!
//! Why it is right, and what was checked: section "The algorithm" of the project's order page,
//! summarised in `docs/design.md`.

#![deny(unsafe_code)]

use super::sync::{
    number_of,
    Acquire,
    Atomic,
    Clock,
    Relaxed,
    Release, //
};

/// A place in the global order: even, opaque, never shown to user space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(u64);

impl Stamp {
    /// Before everything.
    pub(crate) const ZERO: Self = Self(0);

    /// Rounds a reading of the clock to a stamp.
    pub(crate) fn at(nanoseconds: u64) -> Self {
        Self(nanoseconds & !1)
    }

    /// Reads `C` as a stamp.
    pub(crate) fn now<C: Clock>() -> Self {
        Self::at(C::now())
    }

    /// The next stamp.
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(2))
    }

    /// The number, for traces.
    pub(crate) fn get(self) -> u64 {
        self.0
    }

    /// The stamp, or key bound, with this number.
    pub(super) fn raw(number: u64) -> Self {
        Self(number)
    }

    /// The key bound of an undecided entry with this floor: always odd, so that an entry whose floor
    /// *equals* a candidate's stamp counts as below it.
    fn bound(self) -> u64 {
        self.0.saturating_sub(1)
    }
}

/// What a sender, a receiver or an inbox has seen; only ever rises.
pub(crate) struct SeenClock(Atomic<u64>);

impl SeenClock {
    /// A clock that has seen nothing.
    pub(crate) fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// The highest stamp seen.
    pub(crate) fn get(&self) -> Stamp {
        Stamp(self.0.load(Relaxed))
    }

    /// Takes note of `stamp`. Several threads may do so at once: none of their stamps is lost.
    pub(crate) fn raise(&self, stamp: Stamp) {
        let mut seen = self.0.load(Relaxed);
        while seen < stamp.0 {
            match self.0.cmpxchg(seen, stamp.0, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

/// Position of an entry in its queue.
///
/// Entries that were decided when they were appended come before multicasts of equal stamp; ties
/// between multicasts fall by the number of the transaction, so that they fall the same way on every
/// queue; entries of one transaction on one queue stand in the order of its destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    stamp: u64,
    kind: u8,
    number: u64,
    index: u32,
}

impl Key {
    /// Key of an entry that is decided when it is appended.
    pub(crate) fn single(stamp: Stamp) -> Self {
        Self {
            stamp: stamp.0,
            kind: 0,
            number: 0,
            index: 0,
        }
    }

    /// Key of entry `index` of multicast `number` whose record says `state`.
    pub(crate) fn multi(state: State, number: u64, index: u32) -> Self {
        let stamp = match state {
            State::Decided(stamp) => stamp.0,
            State::Undecided(floor) => floor.bound(),
        };
        Self {
            stamp,
            kind: 1,
            number,
            index,
        }
    }

    /// The end of multicast `number`, decided at `stamp`: no entry of it is above.
    pub(crate) fn end(stamp: Stamp, number: u64) -> Self {
        Self {
            stamp: stamp.0,
            kind: 1,
            number,
            index: u32::MAX,
        }
    }

    /// The end of all that can have `stamp`.
    pub(crate) fn last(stamp: Stamp) -> Self {
        Self {
            kind: u8::MAX,
            ..Self::end(stamp, u64::MAX)
        }
    }

    /// The same entry at another stamp.
    pub(super) fn at(self, stamp: Stamp) -> Self {
        Self {
            stamp: stamp.0,
            ..self
        }
    }

    /// The same entry, after its record moved on to `state`.
    pub(crate) fn moved(self, state: State) -> Self {
        Self::multi(state, self.number, self.index)
    }

    /// The smallest key above this one.
    pub(crate) fn successor(self) -> Self {
        Self {
            index: self.index.saturating_add(1),
            ..self
        }
    }

    /// The stamp; of an undecided entry the last number below its floor.
    pub(crate) fn stamp(self) -> Stamp {
        Stamp(self.stamp)
    }

    /// Whether both keys belong to entries of one multicast. Both must be decided.
    ///
    /// The number alone does not say so: it is free again when the last record is gone, while the
    /// entries still stand in queues. The next multicast of that number has a higher stamp.
    pub(crate) fn same_transaction(self, other: Self) -> bool {
        self.kind == 1
            && other.kind == 1
            && self.number == other.number
            && self.stamp == other.stamp
    }
}

/// What a record says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Committed: every entry of the transaction has this stamp.
    Decided(Stamp),
    /// Not committed; the stamp will be this floor or higher.
    Undecided(Stamp),
}

/// The commit record that all entries of one transaction share.
pub(crate) struct Record {
    /// Floor and, in bit 0, whether it is undecided; the stamp once the bit is clear.
    word: Atomic<u64>,
}

const UNDECIDED: u64 = 1;

impl Record {
    /// An undecided record with the lowest floor.
    pub(crate) fn new() -> Self {
        Self {
            word: Atomic::new(UNDECIDED),
        }
    }

    /// A number that no other transaction has while this record lives.
    pub(crate) fn number(&self) -> u64 {
        // It is shared through one `Arc` and never moves.
        number_of(self)
    }

    fn decode(word: u64) -> State {
        if word & UNDECIDED == 0 {
            State::Decided(Stamp(word))
        } else {
            State::Undecided(Stamp(word & !UNDECIDED))
        }
    }

    /// Looks at the record. Whoever sees it decided sees all that was written before the commit.
    pub(crate) fn state(&self) -> State {
        Self::decode(self.word.load(Acquire))
    }

    /// The stamp, if it is decided.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        match self.state() {
            State::Decided(stamp) => Some(stamp),
            State::Undecided(_) => None,
        }
    }

    /// Raises the floor to at least `floor`, unless decided; says what holds then.
    pub(crate) fn push(&self, floor: Stamp) -> State {
        let mut word = self.word.load(Acquire);
        loop {
            match Self::decode(word) {
                State::Undecided(at) if at < floor => {
                    match self.word.cmpxchg(word, floor.0 | UNDECIDED, Acquire) {
                        Ok(_) => return State::Undecided(floor),
                        Err(now) => word = now,
                    }
                }
                state => return state,
            }
        }
    }

    /// Decides: from this instant the transaction is committed on all its queues.
    ///
    /// Returns the stamp, which is `high` or what readers pushed the floor to. Nobody else commits
    /// this record, so it is retried at most once for each message delivered meanwhile.
    pub(crate) fn commit(&self, high: Stamp) -> Stamp {
        let mut word = self.word.load(Relaxed);
        loop {
            let stamp = high.0.max(word & !UNDECIDED);
            match self.word.cmpxchg(word, stamp, Release) {
                Ok(_) => return Stamp(stamp),
                Err(now) => word = now,
            }
        }
    }
}

/// Waits until `stamp` is in the past, so that whoever hears of it outside the bus sends later.
///
/// Called without locks at return from send and from dequeue. A stamp ahead of the clock is rare (an
/// inbox whose clock ran ahead). The wait is bounded in time and in readings, since a clock that is
/// broken or stands still must not hang a caller.
pub(crate) fn settle<C: Clock>(stamp: Stamp) {
    const NANOSECONDS: u64 = 2_000;

    let start = C::now();
    let mut now = start;
    for _ in 0..C::PATIENCE {
        if now > stamp.0 || now.saturating_sub(start) >= NANOSECONDS {
            return;
        }
        ::core::hint::spin_loop();
        now = C::now();
    }
}
