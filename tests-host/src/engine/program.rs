// SPDX-License-Identifier: GPL-2.0

//! Random programs: what each peer of a run does, made from one number.

use super::record::Temper;
use crate::core::transaction::Policy;

/// How many peers there are, each with a thread.
pub(super) const PEERS: usize = 8;
/// How many nodes each of them has. The last one takes turns.
pub(super) const NODES_EACH: usize = 2;
/// How many nodes there are. Node `n` belongs to peer `n / NODES_EACH`.
pub(super) const NODES: usize = PEERS * NODES_EACH;

/// Whose a node is.
pub(super) fn owner(node: usize) -> usize {
    node / NODES_EACH
}

/// Whether messages to a node take turns.
pub(super) fn takes_turns(node: usize) -> bool {
    node % NODES_EACH == NODES_EACH - 1
}

/// One destination of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    pub(super) node: usize,
    /// The node to which it carries a reference.
    pub(super) carries: Option<usize>,
    pub(super) temper: Temper,
}

/// One step of a peer. What it has not got, it can't use: then the step does nothing.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Writes a message, and does not send it yet. The flag: it supersedes others in a lane.
    Write(Address, bool),
    /// Writes one to several nodes.
    WriteMany(Vec<Address>, Policy),
    /// Sends what was written first.
    Commit,
    /// Sends a call, on behalf of what it serves if the flag says so, and waits at its desk.
    Call(Address, bool),
    /// Answers the call that came first, or the last one.
    Answer(bool, Temper),
    /// Lets it go unanswered.
    Shirk(bool),
    /// Reads what is sent to its nodes.
    Read,
    /// Reads answers.
    ReadDesk,
    /// Leaves its desk, for another one.
    Leave,
    /// Frees the message that it read first.
    Free,
    /// Gets a reference to a node.
    Hold(usize),
    /// Drops one of its references.
    Release(usize),
    /// Destroys some of its nodes at once.
    Destroy([bool; NODES_EACH]),
    /// Destroys its nodes and drops all that it has got.
    Flush,
    /// Dies.
    Kill,
}

/// The steps of each peer.
pub(super) type Program = Vec<Vec<Step>>;

/// Numbers that look random (SplitMix64).
pub(super) struct Dice(u64);

impl Dice {
    /// The numbers that follow from `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..n`.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// True in `percent` of all cases.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Makes programs.
struct Writer {
    dice: Dice,
    /// Nodes that are used more than others, so that programs meet.
    hot: [usize; 3],
}

impl Writer {
    fn node(&mut self) -> usize {
        if self.dice.chance(70) {
            self.hot[self.dice.below(self.hot.len())]
        } else {
            self.dice.below(NODES)
        }
    }

    fn temper(&mut self) -> Temper {
        match self.dice.below(12) {
            0 => Temper::Refused,
            1 => Temper::RefusedLate,
            _ => Temper::Meek,
        }
    }

    /// Of answers more are refused, since there are few.
    fn touchy(&mut self) -> Temper {
        match self.dice.below(12) {
            0..=3 => Temper::Refused,
            _ => Temper::Meek,
        }
    }

    fn address(&mut self) -> Address {
        Address {
            node: self.node(),
            carries: self.dice.chance(50).then(|| self.node()),
            temper: self.temper(),
        }
    }

    fn many(&mut self) -> Step {
        let addresses = (0..2 + self.dice.below(4)).map(|_| self.address());
        let addresses = addresses.collect();
        let policy = [Policy::All, Policy::Any][self.dice.below(2)];
        Step::WriteMany(addresses, policy)
    }

    /// Adds one step; of a message both, most of the time.
    fn add(&mut self, steps: &mut Vec<Step>) {
        let step = match self.dice.below(100) {
            0..=15 => Step::Write(self.address(), self.dice.chance(40)),
            16..=29 => self.many(),
            30..=38 => Step::Call(self.address(), self.dice.chance(70)),
            39..=47 => Step::Answer(self.dice.chance(50), self.touchy()),
            48 => Step::Shirk(self.dice.chance(50)),
            49..=68 => Step::Read,
            69..=74 => Step::ReadDesk,
            75 => Step::Leave,
            76..=81 => Step::Free,
            82..=86 => Step::Hold(self.node()),
            87..=91 => Step::Release(self.dice.below(8)),
            92..=94 => Step::Destroy([(); NODES_EACH].map(|()| self.dice.chance(60))),
            95 => Step::Flush,
            96 => Step::Kill,
            _ => Step::Commit,
        };
        let written = matches!(step, Step::Write(..) | Step::WriteMany(..));
        steps.push(step);
        if written && self.dice.chance(85) {
            steps.push(Step::Commit);
        }
    }
}

/// The program of number `seed`.
pub(super) fn program(seed: u64) -> Program {
    let mut dice = Dice::new(seed);
    let hot = [(); 3].map(|()| dice.below(NODES));
    let length = 6 + dice.below(10);
    let mut writer = Writer { dice, hot };
    let mut thread = |_| {
        let mut steps = Vec::new();
        (0..length).for_each(|_| writer.add(&mut steps));
        steps
    };
    (0..PEERS).map(&mut thread).collect()
}
