// SPDX-License-Identifier: GPL-2.0

//! How one resource of a receiver is shared among those who send to it.
//!
//! Half of the limit is the *reserve*. Who holds something of it may hold up to [`Share::cap`], which
//! depends on nothing but the number of holders: not on what they took, nor in which order they came.
//! The caps are chosen so that one holder after the other can take all of its cap, each at the number
//! that was there by then, and the sum still fits. So a request within the cap never fails, whatever
//! the others do, and the reserve never has to be searched for room.
//!
//! The rest of the limit is *free*: whoever wants more than its cap asks for a fair part of what is
//! left there ([`Share::fair`]). It is refused to no one in particular, and promised to no one.
//!
//! A cap is half flat, half harmonic: the flat part gives the thousandth holder something, the
//! harmonic part gives the first ones a lot. Sections 4 and 5 of the quota page have the theorem, and
//! figures for all sizes; `docs/accounting.md` sums it up.
//!
//! Pure arithmetic; no locks.

#![deny(unsafe_code)]

/// Limits of fewer than so many of the least amounts are too small to share out: first come, first
/// served.
const SHARED_FROM: u32 = 16;
/// Most holders of the flat part.
const FLAT_HOLDERS: u32 = 1024;
/// Most holders of the harmonic part.
const HARMONIC_HOLDERS: u32 = 65536;
/// The least that a cap grants, so that it is worth having: one of what is counted, or these bytes.
pub(crate) const BYTES_LEAST: u32 = 512;

/// By what a request is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The limit alone.
    Plain,
    /// The caps, and a fair part of what is free.
    Fair,
    /// The limit alone, but for its end, which is kept for those who have little.
    Guard {
        /// So much is kept for what the receiver has asked for.
        headroom: u32,
        /// So much, to whoever comes, of what is in use already.
        strict: bool,
    },
    /// Half of what is left, as in 2016.
    #[cfg(any(CONFIG_BUS1_TEST_RULES, bus1_kunit, bus1_host))]
    Halves,
}

/// What the guard of a limit leaves to whoever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guarded {
    /// To the receiver itself.
    pub(crate) own: u32,
    /// To everybody else.
    pub(crate) others: u32,
    /// No exception is made if nothing is in use.
    pub(crate) strict: bool,
}

/// The rule for one resource of one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    rule: Rule,
    limit: u32,
    reserve: u32,
    flat: u32,
    flat_holders: u32,
    harmonic: u32,
    divisor: u32,
}

impl Share {
    /// First come, first served, up to `limit`.
    pub(crate) fn plain(limit: u32) -> Self {
        Self {
            rule: Rule::Plain,
            limit,
            reserve: 0,
            flat: 0,
            flat_holders: 0,
            harmonic: 0,
            divisor: 1,
        }
    }

    /// Shares `limit`, of which `reserve` is promised and at most half. No cap that grants anything
    /// grants less than `least`.
    ///
    /// What is too small to be shared out is [`plain`](Self::plain).
    pub(crate) fn new(limit: u32, reserve: u32, least: u32) -> Self {
        if limit < least.saturating_mul(SHARED_FROM) {
            return Self::plain(limit);
        }
        let reserve = reserve.min(limit / 2);
        let flat = least.max(reserve / 2048).max(1);
        let flat_holders = FLAT_HOLDERS.min(reserve / 2 / flat);
        let harmonic = reserve - flat_holders * flat;
        Self {
            rule: Rule::Fair,
            limit,
            reserve,
            flat,
            flat_holders,
            harmonic,
            divisor: divisor(harmonic),
        }
    }

    /// Gives whoever asks up to half of what is left to it, and promises nothing: the rule of 2016,
    /// by which enough senders together shut everybody out. For tests that show what that means.
    #[cfg(any(CONFIG_BUS1_TEST_RULES, bus1_kunit, bus1_host))]
    pub(crate) fn halves(limit: u32) -> Self {
        Self {
            rule: Rule::Halves,
            ..Self::plain(limit)
        }
    }

    /// First come, first served, up to `limit`, but that the last `kept` bytes of it are for those who
    /// ask for no more than `each` in all, and before them `headroom` for what the receiver itself has
    /// asked for.
    ///
    /// `strict` keeps it also from who finds nothing in use.
    pub(crate) fn guard(limit: u32, kept: u32, headroom: u32, each: u32, strict: bool) -> Self {
        let kept = kept.min(limit);
        Self {
            rule: Rule::Guard {
                headroom: headroom.min(limit - kept),
                strict,
            },
            reserve: kept,
            flat: each,
            flat_holders: kept / each.max(1),
            ..Self::plain(limit)
        }
    }

    /// Whether it guards the end of its limit; if so, how much before that end is free to whom: the
    /// receiver itself, and others. And whether an exception is made if nothing is in use.
    pub(crate) fn guarded(&self) -> Option<Guarded> {
        match self.rule {
            Rule::Guard { headroom, strict } => Some(Guarded {
                own: self.limit - self.reserve,
                others: self.limit - self.reserve - headroom,
                strict,
            }),
            _ => None,
        }
    }

    /// Whether there is nothing to it but the limit.
    pub(crate) fn is_plain(&self) -> bool {
        self.rule == Rule::Plain
    }

    /// Whether it is that of 2016.
    pub(crate) fn is_halves(&self) -> bool {
        match self.rule {
            #[cfg(any(CONFIG_BUS1_TEST_RULES, bus1_kunit, bus1_host))]
            Rule::Halves => true,
            Rule::Plain | Rule::Fair | Rule::Guard { .. } => false,
        }
    }

    /// The same rule for another limit, of which `reserve` is promised if it promises anything.
    pub(crate) fn resized(&self, limit: u32, reserve: u32, least: u32) -> Self {
        if self.is_halves() {
            Self { limit, ..*self }
        } else {
            Self::new(limit, reserve, least)
        }
    }

    /// How much there may be in all.
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// How much of it is promised.
    pub(crate) fn reserve(&self) -> u32 {
        self.reserve
    }

    /// How much of the reserve each of `holders` may hold. Falls as they get more.
    pub(crate) fn cap(&self, holders: u32) -> u32 {
        let flat = if holders <= self.flat_holders {
            self.flat
        } else {
            0
        };
        let harmonic = if holders <= HARMONIC_HOLDERS {
            u64::from(self.harmonic) / (u64::from(self.divisor) * u64::from(holders.max(1)))
        } else {
            0
        };
        // Not above the reserve, which is 32 bits wide.
        flat + harmonic as u32
    }

    /// How much is not promised, of which `taken` is in use.
    pub(crate) fn free(&self, taken: u32) -> u32 {
        (self.limit - self.reserve).saturating_sub(taken)
    }

    /// How much of what is free one of `holders` may have, who has `own` of it, while `taken` is in
    /// use.
    pub(crate) fn fair(&self, taken: u32, own: u32, holders: u32) -> u32 {
        let there = u64::from(self.free(taken)) + u64::from(own);
        // Not above the limit.
        (there / (u64::from(holders) + 1)) as u32
    }
}

/// The smallest divisor, of 2 to 12, with which the harmonic caps of any number of holders sum up to
/// no more than `amount`.
fn divisor(amount: u32) -> u32 {
    // A sum of 1/n grows with the logarithm of the last n that gets anything.
    let fits = |divisor: &u32| {
        let last = (amount / divisor).max(1);
        10 * divisor >= 7 * (last.ilog2() + 1) + 2
    };
    (2..12).find(fits).unwrap_or(12)
}
