// SPDX-License-Identifier: GPL-2.0

//! One resource of a receiver: what is held of it, from where, and what more can be given.
//!
//! A [`Pot`] applies the rule of [`super::share`] to what its account holds; a [`Claim`] is what one
//! principal holds of all four resources. The account keeps the sums of its pots and the parts of its
//! claims equal; both are guarded by its lock.

#![deny(unsafe_code)]

use super::{
    amounts::{
        Level,
        Resource, //
    },
    principal::Principal,
    share::{
        Guarded,
        Share, //
    },
    sync::{
        Clock,
        Monotonic, //
    },
    user::Seat, //
};

/// For so long a refusal shows that there is somebody else, in nanoseconds.
const PRESSED_FOR: u64 = 10_000_000_000;

/// How things stand with one resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// How much there may be.
    pub(crate) limit: u32,
    /// How much of that is promised.
    pub(crate) reserve: u32,
    /// Principals that hold something of the reserve.
    pub(crate) principals: u32,
    /// How much of the reserve each of them may hold.
    pub(crate) cap: u32,
    /// How much of the reserve is held.
    pub(crate) reserved: u32,
    /// How much is held of what is free.
    pub(crate) free: u32,
    /// How much was held at most.
    pub(crate) peak: u32,
    /// How many requests were refused for it.
    pub(crate) refused: u64,
    /// How many of these for the user's limit.
    pub(crate) refused_by_user: u64,
    /// How many requests were granted that no reserve was for.
    pub(crate) granted_free: u64,
}

/// What a principal holds of one resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) reserved: u32,
    pub(super) free: u32,
}

/// What a principal holds at a receiver, in the order of [`Resource::ALL`].
///
/// Of a size of which the allocator puts none across a cache line, so that the claims at two receivers
/// share no line.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
pub(super) struct Claim {
    parts: [Part; 4],
    /// Something was refused since nothing was held.
    refused: bool,
}

impl Claim {
    /// Whether nothing is held.
    pub(super) fn is_idle(&self) -> bool {
        self.parts == [Part::default(); 4]
    }

    /// What is held of one resource.
    pub(super) fn part(&self, resource: Resource) -> Part {
        self.parts[resource as usize]
    }

    /// What is held of each, to be changed.
    pub(super) fn parts_mut(&mut self) -> &mut [Part; 4] {
        &mut self.parts
    }

    /// Notes that something was refused; says whether that is new.
    pub(super) fn refuse(&mut self) -> bool {
        !::core::mem::replace(&mut self.refused, true)
    }

    /// Forgets that something was refused.
    pub(super) fn forget(&mut self) {
        self.refused = false;
    }
}

/// One resource of an account.
pub(super) struct Pot {
    pub(super) share: Share,
    /// Who holds something of the reserve, and how much it is.
    holders: u32,
    reserved: u32,
    /// The same of what is free.
    free_holders: u32,
    free: u32,
    /// As much of that is taken from the user.
    pub(super) borrowed: u32,
    peak: u32,
    refused: u64,
    refused_by_user: u64,
    granted_free: u64,
    /// Of a guarded resource, who was refused last, and the last one before that was another; when.
    pressed: [Option<(Principal, u64)>; 2],
    /// [`Share::cap`] for the holders that there are, and for one more.
    caps: [u32; 2],
}

impl Pot {
    /// One of which nothing is held.
    pub(super) fn new(share: Share) -> Self {
        let mut pot = Self {
            share,
            holders: 0,
            reserved: 0,
            free_holders: 0,
            free: 0,
            borrowed: 0,
            peak: 0,
            refused: 0,
            refused_by_user: 0,
            granted_free: 0,
            pressed: [None; 2],
            caps: [0; 2],
        };
        pot.count_holders();
        pot
    }

    /// The caps change with the rule, or with the number of holders.
    pub(super) fn count_holders(&mut self) {
        self.caps = [self.holders, self.holders + 1].map(|holders| self.share.cap(holders));
    }

    /// There is one holder more; the cap of one more than before is known.
    fn one_more(&mut self) {
        self.holders += 1;
        self.caps = [self.caps[1], self.share.cap(self.holders + 1)];
    }

    /// There is one holder less.
    fn one_less(&mut self) {
        self.holders -= 1;
        self.caps = [self.share.cap(self.holders), self.caps[0]];
    }

    /// What a principal may hold of the reserve that holds `own` of it now.
    pub(super) fn cap(&self, own: u32) -> u32 {
        self.caps[usize::from(own == 0)]
    }

    /// From where `amount` more can be given to a principal with this claim, if from anywhere.
    fn source(&self, who: Principal, own: Part, amount: u32) -> Option<Source> {
        let fits = |held: u32, most: u32| held.checked_add(amount).is_some_and(|all| all <= most);
        if self.share.is_plain() {
            return fits(self.held(), self.share.limit()).then_some(Source::Limit);
        }
        if self.share.is_halves() {
            let half = self.share.fair(self.free, own.free, 1);
            return fits(own.free, half).then_some(Source::Limit);
        }
        if let Some(guarded) = self.share.guarded() {
            return self.guarded_source(who, own, amount, guarded);
        }
        // The receiver itself has no part in what is promised to others.
        if who == Principal::OWN {
            return (amount <= self.share.free(self.free)).then_some(Source::Free);
        }
        if fits(own.reserved, self.cap(own.reserved)) {
            return Some(Source::Reserve);
        }
        let holders = self.free_holders + u32::from(own.free == 0);
        fits(own.free, self.share.fair(self.free, own.free, holders)).then_some(Source::Free)
    }

    /// The same of what is guarded: all that there is, unless somebody else is there as well.
    fn guarded_source(
        &self,
        who: Principal,
        own: Part,
        amount: u32,
        guarded: Guarded,
    ) -> Option<Source> {
        let all = self.held().checked_add(amount)?;
        if all > self.share.limit() {
            return None;
        }
        let idle = self.held() == 0 && !guarded.strict;
        let alone = self.held() == own.reserved + own.free && !self.presses_another(who);
        let open = if who == Principal::OWN {
            guarded.own
        } else {
            guarded.others
        };
        if idle || alone || self.free + amount <= open {
            return Some(Source::Limit);
        }
        let mine = own.reserved + amount;
        (who != Principal::OWN && mine <= self.cap(own.reserved)).then_some(Source::Reserve)
    }

    /// Notes that `who` was refused.
    pub(super) fn refuse(&mut self, who: Principal, level: Level) {
        self.refused += 1;
        self.refused_by_user += u64::from(level == Level::User);
        if self.share.guarded().is_none() {
            return;
        }
        let [last, before] = &mut self.pressed;
        if last.is_some_and(|last| last.0 != who) {
            *before = *last;
        }
        *last = Some((who, Monotonic::now()));
    }

    /// Whether somebody but `who` was refused a short time ago.
    fn presses_another(&self, who: Principal) -> bool {
        let another = self.pressed.iter().flatten().find(|(one, _)| *one != who);
        another.is_some_and(|(_, when)| Monotonic::now().saturating_sub(*when) < PRESSED_FOR)
    }

    /// As [`source`](Self::source), and takes it from the user if it comes from there. Says whose
    /// limit it is if there is none. Who asks for nothing gets it.
    pub(super) fn find(
        &self,
        seat: Option<&Seat>,
        who: Principal,
        own: Part,
        (resource, amount): (Resource, u32),
    ) -> Result<Source, Level> {
        if amount == 0 {
            return Ok(Source::Limit);
        }
        match self.source(who, own, amount) {
            None => Err(Level::Peer),
            Some(Source::Free) if seat.is_some_and(|seat| !seat.take(resource, amount)) => {
                Err(Level::User)
            }
            Some(source) => Ok(source),
        }
    }

    /// Who holds something of the reserve.
    pub(super) fn holders(&self) -> u32 {
        self.holders
    }

    fn held(&self) -> u32 {
        self.reserved + self.free
    }

    /// Adds to the part of a claim that `source` says.
    pub(super) fn grant(&mut self, source: Source, own: &mut Part, amount: u32) {
        if source == Source::Reserve {
            self.reserved += amount;
            if own.reserved == 0 {
                self.one_more();
            }
            own.reserved += amount;
        } else {
            self.granted_free += 1;
            self.free += amount;
            self.free_holders += u32::from(own.free == 0);
            own.free += amount;
        }
        if source == Source::Free {
            self.borrowed += amount;
        }
        self.peak = self.peak.max(self.held());
    }

    /// Takes it off again.
    pub(super) fn release(&mut self, source: Source, own: &mut Part, amount: u32) {
        if source == Source::Reserve {
            self.reserved -= amount;
            own.reserved -= amount;
            if own.reserved == 0 {
                self.one_less();
            }
        } else {
            self.free -= amount;
            own.free -= amount;
            self.free_holders -= u32::from(own.free == 0);
        }
        if source == Source::Free {
            self.borrowed -= amount;
        }
    }

    /// What a report says.
    pub(super) fn standing(&self) -> Standing {
        Standing {
            limit: self.share.limit(),
            reserve: self.share.reserve(),
            principals: self.holders,
            cap: self.cap(1),
            reserved: self.reserved,
            free: self.free,
            peak: self.peak,
            refused: self.refused,
            refused_by_user: self.refused_by_user,
            granted_free: self.granted_free,
        }
    }
}

/// Where an amount comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A limit that is not shared out.
    Limit,
    /// What is promised to the principal.
    Reserve,
    /// What is free, at the receiver and at its user.
    Free,
}

/// The sources of the parts of a charge, two bits for each resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sources(u8);

impl Sources {
    /// Where this resource came from.
    pub(super) fn get(self, resource: Resource) -> Source {
        match self.0 >> (2 * resource as u8) & 3 {
            1 => Source::Reserve,
            2 => Source::Free,
            _ => Source::Limit,
        }
    }

    /// Whether something comes from what is free.
    pub(super) fn any_free(self) -> bool {
        self.0 & 0b10_10_10_10 != 0
    }

    /// Notes where this resource comes from, once.
    pub(super) fn set(&mut self, resource: Resource, source: Source) {
        let bits = match source {
            Source::Limit => 0,
            Source::Reserve => 1,
            Source::Free => 2,
        };
        self.0 |= bits << (2 * resource as u8);
    }
}
