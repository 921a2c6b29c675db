// SPDX-License-Identifier: GPL-2.0

//! Priorities: which one a thread gets for a message.
//!
//! Nothing here knows a task or a message: it is arithmetic on what the sender has, what the receiver's
//! proc had when it was opened, what a node asks for and what the receiver is allowed. The suite
//! `bus1_priority` compiles this very file. Lending and giving back is in `loan`.
//!
//! The rules are those of the Android Common Kernels. Upstream knows nice values only; as long as
//! nobody has a real-time policy or SCHED_BATCH, both give the same. Takes no lock.

#![deny(unsafe_code)]

/// A scheduling policy that can be passed on, by its number in the kernel and in the flags of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// SCHED_NORMAL.
    Normal = 0,
    /// SCHED_FIFO.
    Fifo = 1,
    /// SCHED_RR.
    RoundRobin = 2,
    /// SCHED_BATCH.
    Batch = 3,
}

impl Policy {
    /// The policy with this number; none for those that stay with who has them.
    pub(super) fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Normal,
            1 => Self::Fifo,
            2 => Self::RoundRobin,
            3 => Self::Batch,
            _ => return None,
        })
    }

    /// Whether it is one of the real-time policies.
    pub(super) fn is_real_time(self) -> bool {
        matches!(self, Self::Fifo | Self::RoundRobin)
    }
}

/// Nice values are from here,
const NICE_FIRST: i8 = -20;
/// to here. A limit of 1 allows this one, of 40 the first.
const NICE_LAST: i8 = 19;
/// Real-time priorities are from 1 to here; higher is more urgent.
const REAL_TIME_LAST: i8 = 99;

/// A policy and how urgent a thread is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// The policy.
    pub(super) policy: Policy,
    /// Real-time priority, or nice value, in the range of the policy.
    pub(super) value: i8,
}

impl Level {
    /// That of a thread about which nobody has said anything.
    pub(super) const ORDINARY: Self = Self {
        policy: Policy::Normal,
        value: 0,
    };

    /// A level, if `value` is one of the policy's.
    pub(super) fn new(policy: Policy, value: i8) -> Option<Self> {
        let range = if policy.is_real_time() {
            1..=REAL_TIME_LAST
        } else {
            NICE_FIRST..=NICE_LAST
        };
        range.contains(&value).then_some(Self { policy, value })
    }

    /// Whether it is one of a real-time policy.
    pub(super) fn is_real_time(self) -> bool {
        self.policy.is_real_time()
    }

    /// The higher, the sooner it runs.
    fn urgency(self) -> i16 {
        if self.is_real_time() {
            i16::from(NICE_LAST - NICE_FIRST) + i16::from(self.value)
        } else {
            i16::from(NICE_LAST) - i16::from(self.value)
        }
    }

    /// Whether it goes before `other`: FIFO before anything that is as urgent.
    fn goes_before(self, other: Self) -> bool {
        self.urgency() > other.urgency()
            || (self.urgency() == other.urgency() && self.policy == Policy::Fifo)
    }
}

/// What a node says about the threads that serve it, with its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// What they have at least.
    pub(super) least: Option<Level>,
    /// Whether a caller's real-time policy is passed on.
    pub(super) inherits_real_time: bool,
}

impl Terms {
    /// The nice value or real-time priority, with a sign.
    const VALUE: u32 = 0xff;
    /// Where the policy begins, two bits that only Android's headers know.
    const POLICY_AT: u32 = 9;
    const POLICY: u32 = 3 << Self::POLICY_AT;
    /// FLAT_BINDER_FLAG_INHERIT_RT of Android's headers.
    const INHERIT_REAL_TIME: u32 = 0x800;

    /// Reads the flags of a node. A value that the policy does not have asks for nothing.
    pub(super) fn of(flags: u32) -> Self {
        let [value, ..] = (flags & Self::VALUE).to_le_bytes();
        let policy = Policy::of((flags & Self::POLICY) >> Self::POLICY_AT);
        Self {
            least: policy.and_then(|policy| Level::new(policy, i8::from_le_bytes([value]))),
            inherits_real_time: flags & Self::INHERIT_REAL_TIME != 0,
        }
    }
}

/// What a thread gets that serves a message to a node with `terms`: as much as the caller has, or, for
/// a one-way, as its own proc had when it was opened; and not less than the node's least.
///
/// A real-time policy of the caller counts as an ordinary level, unless the node wants it.
pub(super) fn due(caller: Option<Level>, own: Level, terms: Terms) -> Level {
    let base = match caller {
        Some(level) if level.is_real_time() && !terms.inherits_real_time => Level::ORDINARY,
        Some(level) => level,
        None => own,
    };
    match terms.least {
        Some(least) if least.goes_before(base) => least,
        _ => base,
    }
}

/// What a task is allowed to have without CAP_SYS_NICE: its resource limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// RLIMIT_RTPRIO.
    pub(super) real_time: u64,
    /// RLIMIT_NICE.
    pub(super) nice: u64,
}

impl Limits {
    /// The level that is allowed for `level`; none if no nice value at all is.
    ///
    /// Without any right to a real-time policy, the best nice value comes in its place.
    pub(super) fn allowed(self, level: Level) -> Option<Level> {
        if !level.is_real_time() {
            return self.nice_allowed(level);
        }
        match i8::try_from(self.real_time) {
            Ok(0) => self.nice_allowed(Level {
                policy: Policy::Normal,
                value: NICE_FIRST,
            }),
            Ok(limit) => Level::new(level.policy, level.value.min(limit)),
            Err(_) => Some(level),
        }
    }

    fn nice_allowed(self, level: Level) -> Option<Level> {
        let first = i64::try_from(self.nice).map_or(i64::MIN, |nice| {
            (i64::from(NICE_LAST) + 1).saturating_sub(nice)
        });
        let first = i8::try_from(first.max(i64::from(NICE_FIRST))).ok()?;
        Level::new(level.policy, level.value.max(first))
    }
}
