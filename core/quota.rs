// SPDX-License-Identifier: GPL-2.0

//! What a receiver may hold, and who of its senders holds how much of it.
//!
//! Each receiving peer has an [`Account`]. A sender is charged there, as a [`Principal`], for what its
//! message takes: before it is sent, until the receiver gives it back. The charge is a value,
//! [`Charge`] (see [`super::charge`]), which lies in what it paid for and gives back what is left when
//! it is dropped.
//!
//! A request is served from the *reserve* if its principal stays within its cap, else from what is
//! *free*, else it is refused ([`super::share`] has the rule). Which of the two it was is part of the
//! charge. The reserve was booked with the receiver's user when the peer was made; only what is free
//! is taken from the user at the time of the request ([`super::user`]). So ordinary messages to two
//! receivers write no cache line that both have.
//!
//! What a principal holds is its *claim*. A few claims of nobody stay, so that a message that comes
//! and goes allocates nothing for its own.
//!
//! Locks: `quota`, a leaf spinlock for each account; nothing is allocated or dropped under it.

#![deny(unsafe_code)]

pub(crate) use super::{
    amounts::{
        Amounts,
        Level,
        Limits,
        OverLimit,
        Resource, //
    },
    charge::Charge,
    principal::Principal,
    user::{
        Users,
        UNLIMITED, //
    },
};
use super::{
    claim::{
        Claim,
        Part,
        Pot,
        Source,
        Sources,
        Standing, //
    },
    share::Share,
    sync::{
        new_spinlock,
        pin_data,
        pin_init,
        reserve_node,
        try_arc,
        AllocError,
        Arc,
        RBTree,
        RBTreeNode,
        SpinLock, //
    },
    user::{
        least,
        Seat, //
    },
};

/// Claims that stay although nothing is held by them.
const IDLE_CLAIMS: u32 = 16;

/// Not so in the module that the benchmark compares with, to see what accounting costs.
const CHARGED: bool = !cfg!(bus1_uncharged);

/// Why there is no charge. Nothing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChargeError {
    /// A limit.
    Over(OverLimit),
    /// No memory for the claim.
    NoMemory,
}

impl From<AllocError> for ChargeError {
    fn from(_: AllocError) -> Self {
        Self::NoMemory
    }
}

/// What an account says about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    /// How much there may be.
    pub(crate) limits: Limits,
    /// How much there is.
    pub(crate) used: Amounts,
    /// The same and more, in the order of [`Resource::ALL`].
    pub(crate) resources: [Standing; 4],
    /// The last refusal.
    pub(crate) last: Option<OverLimit>,
}

/// A limit is above what the user can book; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AboveBooking;

/// What the lock of an account guards.
struct Usage {
    pots: [Pot; 4],
    claims: RBTree<Principal, Claim>,
    /// Claims by which nothing is held.
    idle: u32,
    /// None once the receiver has ended, or if there never was one.
    seat: Option<Seat>,
    last: Option<OverLimit>,
}

/// A claim taken out of an account; to be dropped without its lock.
type Gone = Option<RBTreeNode<Principal, Claim>>;

impl Usage {
    /// Charges `need`, or changes nothing but the count of refusals. None if there is no claim yet.
    fn add(&mut self, who: Principal, need: Amounts) -> Result<Option<Sources>, ChargeError> {
        let Self {
            pots, claims, seat, ..
        } = self;
        let Some(claim) = claims.get_mut(&who) else {
            return Ok(None);
        };
        let (each, parts) = (need.each(), claim.parts_mut());
        let mut sources = Sources::default();
        for resource in Resource::ALL {
            let index = resource as usize;
            let amount = each[index];
            if amount == 0 {
                continue;
            }
            match pots[index].find(seat.as_ref(), who, parts[index], (resource, amount)) {
                Ok(source) => sources.set(resource, source),
                Err(level) => {
                    self.give(need, sources);
                    let over = self.refuse(who, need, resource, level);
                    return Err(ChargeError::Over(over));
                }
            }
        }
        self.idle -= u32::from(claim.is_idle());
        let parts = claim.parts_mut();
        for resource in Resource::ALL {
            let index = resource as usize;
            let amount = each[index];
            if amount != 0 {
                pots[index].grant(sources.get(resource), &mut parts[index], amount);
            }
        }
        Ok(Some(sources))
    }

    /// Gives the user back what was taken of it, unless all was given back already.
    fn give(&self, amounts: Amounts, sources: Sources) {
        let Some(seat) = &self.seat else {
            return;
        };
        for resource in Resource::ALL {
            let amount = amounts.get(resource);
            if amount != 0 && sources.get(resource) == Source::Free {
                seat.give(resource, amount);
            }
        }
    }

    /// Notes a refusal.
    fn refuse(&mut self, who: Principal, need: Amounts, what: Resource, level: Level) -> OverLimit {
        let pot = &mut self.pots[what as usize];
        pot.refuse(who, level);
        let claim = self.claims.get_mut(&who);
        let (own, first) = claim.map_or((Part::default(), true), |claim| {
            (claim.part(what), claim.refuse())
        });
        let over = OverLimit {
            principal: who,
            resource: what,
            level,
            asked: need.get(what),
            limit: pot.share.limit(),
            held: own.reserved + own.free,
            cap: pot.cap(own.reserved),
            holders: pot.holders(),
            first,
        };
        self.last = Some(over);
        over
    }

    /// Takes off what was charged. Returns the claim if it is not needed any more.
    fn sub(&mut self, who: Principal, amounts: Amounts, sources: Sources) -> Gone {
        let claim = self.claims.get_mut(&who)?;
        let (each, parts) = (amounts.each(), claim.parts_mut());
        for resource in Resource::ALL {
            let index = resource as usize;
            let amount = each[index];
            if amount != 0 {
                self.pots[index].release(sources.get(resource), &mut parts[index], amount);
            }
        }
        let idle = claim.is_idle();
        if idle {
            claim.forget();
            self.idle += 1;
        }
        if sources.any_free() {
            self.give(amounts, sources);
        }
        if !idle {
            return None;
        }
        self.trim(who)
    }

    /// Takes the claim of `who` out if nothing is held by it and there are enough of these.
    fn trim(&mut self, who: Principal) -> Gone {
        if self.idle <= IDLE_CLAIMS || !self.claims.get(&who)?.is_idle() {
            return None;
        }
        self.idle -= 1;
        self.claims.remove_node(&who)
    }

    /// Adds a claim by which nothing is held; gives it back if there is one.
    fn enter(&mut self, who: Principal, claim: RBTreeNode<Principal, Claim>) -> Gone {
        if self.claims.get(&who).is_some() {
            return Some(claim);
        }
        self.idle += 1;
        self.claims.insert(claim)
    }
}

/// What a receiving peer holds, and how much it may. Lives until the last charge is gone.
#[pin_data]
pub(crate) struct Account {
    #[pin]
    usage: SpinLock<Usage>,
}

impl Account {
    /// Makes one that holds nothing, of the user whose seat it is, and books its reserves there.
    pub(crate) fn new(seat: Seat, limits: Limits) -> Result<Arc<Self>, AllocError> {
        let pots = Resource::ALL.map(|resource| Pot::new(share_of(&seat, limits, resource)));
        Self::with_pots(Some(seat), pots)
    }

    /// Makes one of nobody, which counts bytes only, by this rule.
    pub(crate) fn of_bytes(share: Share) -> Result<Arc<Self>, AllocError> {
        let pots = Resource::ALL.map(|resource| {
            Pot::new(match resource {
                Resource::Bytes => share,
                _ => Share::plain(UNLIMITED),
            })
        });
        Self::with_pots(None, pots)
    }

    /// From now on bytes are shared by this rule. Nothing has been charged yet.
    pub(crate) fn set_share_of_bytes(&self, share: Share) {
        let mut usage = self.usage.lock();
        usage.pots[Resource::Bytes as usize] = Pot::new(share);
    }

    /// As [`new`](Self::new), shared by the rule of 2016: half of what is left to whoever asks.
    #[cfg(any(CONFIG_BUS1_TEST_RULES, bus1_kunit, bus1_host))]
    pub(crate) fn of_2016(seat: Seat, limits: Limits) -> Result<Arc<Self>, AllocError> {
        let pots = Resource::ALL.map(|resource| Pot::new(Share::halves(limits.get(resource))));
        Self::with_pots(Some(seat), pots)
    }

    fn with_pots(seat: Option<Seat>, pots: [Pot; 4]) -> Result<Arc<Self>, AllocError> {
        let usage = Usage {
            pots,
            claims: RBTree::new(),
            idle: 0,
            seat,
            last: None,
        };
        try_arc(pin_init!(Self {
            usage <- new_spinlock!(usage, "bus1::Account::quota"),
        }))
    }

    /// Charges `need` to `who`, all or nothing.
    pub(crate) fn charge(
        this: &Arc<Self>,
        who: Principal,
        need: Amounts,
    ) -> Result<Charge, ChargeError> {
        let mut sources = Sources::default();
        if need != Amounts::NONE {
            sources = this.add(who, need)?;
        }
        Ok(Charge::new(this, who, need, sources))
    }

    /// Adds `need` to what `who` holds, all or nothing; to be taken off by `release`.
    pub(super) fn add(&self, who: Principal, need: Amounts) -> Result<Sources, ChargeError> {
        if !CHARGED {
            return Ok(Sources::default());
        }
        loop {
            // By itself, so that the lock is free when a claim has to be made, or is dropped.
            let (added, gone) = {
                let mut usage = self.usage.lock();
                let added = usage.add(who, need);
                // Who is refused leaves no claim behind, however many come.
                let gone = if added.is_err() {
                    usage.trim(who)
                } else {
                    None
                };
                (added, gone)
            };
            drop(gone);
            if let Some(sources) = added? {
                return Ok(sources);
            }
            let claim = reserve_node()?.into_node(who, Claim::default());
            let unused = self.usage.lock().enter(who, claim);
            drop(unused);
        }
    }

    /// Sets new limits, all or none. What is held stays: above a limit nothing more is granted until
    /// enough was given back.
    ///
    /// Raising one books more of the user, as much as a new peer would get; more than that is refused
    /// unless `unbound`.
    pub(crate) fn set_limits(&self, limits: Limits, unbound: bool) -> Result<(), AboveBooking> {
        let mut usage = self.usage.lock();
        let usage = &mut *usage;
        let Some(seat) = &usage.seat else {
            return Ok(());
        };
        let shares = Resource::ALL.map(|resource| {
            let (old, limit) = (usage.pots[resource as usize].share, limits.get(resource));
            if limit == old.limit() {
                return Some(old);
            }
            let booked = seat.allowance(resource).max(old.reserve());
            if limit > old.limit() && limit / 2 > booked && !unbound && limit != UNLIMITED {
                return None;
            }
            let reserve = if unbound { limit / 2 } else { booked };
            Some(old.resized(limit, reserve, least(resource)))
        });
        if shares.iter().any(Option::is_none) {
            return Err(AboveBooking);
        }
        for (pot, share) in usage.pots.iter_mut().zip(shares.into_iter().flatten()) {
            pot.share = share;
            pot.count_holders();
        }
        Ok(())
    }

    /// Gives back what is booked and borrowed of the user: the receiver has ended, and what it still
    /// holds, or what somebody is about to send to it, is its user's no more.
    pub(crate) fn close(&self) {
        let seat = {
            let mut usage = self.usage.lock();
            let usage = &mut *usage;
            if let Some(seat) = &usage.seat {
                for resource in Resource::ALL {
                    seat.give(resource, usage.pots[resource as usize].borrowed);
                }
            }
            usage.seat.take()
        };
        drop(seat);
    }

    /// Says how things stand.
    pub(crate) fn report(&self) -> Report {
        let usage = self.usage.lock();
        let mut report = Report {
            limits: Amounts::NONE,
            used: Amounts::NONE,
            resources: Resource::ALL.map(|resource| usage.pots[resource as usize].standing()),
            last: usage.last,
        };
        for (resource, standing) in Resource::ALL.into_iter().zip(report.resources) {
            *report.limits.get_mut(resource) = standing.limit;
            *report.used.get_mut(resource) = standing.reserved + standing.free;
        }
        report
    }

    /// How many claims there are, for tests.
    #[cfg(any(bus1_kunit, bus1_host))]
    pub(crate) fn claims(&self) -> usize {
        self.usage.lock().claims.iter().count()
    }

    /// Takes off what was added.
    pub(super) fn release(&self, who: Principal, amounts: Amounts, sources: Sources) {
        if !CHARGED {
            return;
        }
        let gone = self.usage.lock().sub(who, amounts, sources);
        drop(gone);
    }
}

/// The rule for one resource of a new account.
fn share_of(seat: &Seat, limits: Limits, resource: Resource) -> Share {
    match limits.get(resource) {
        UNLIMITED => Share::plain(UNLIMITED),
        limit => Share::new(limit, seat.allowance(resource), least(resource)),
    }
}
