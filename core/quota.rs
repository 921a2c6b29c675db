// SPDX-License-Identifier: GPL-2.0

//! Who pays for what a peer holds, and how much it may be.
//!
//! Four resources are counted at each receiving peer, in its [`Account`]: slices, their bytes, handles
//! and files in flight. They are charged when a message is sent and released when what was paid for
//! ends: the slice is released, the handle is dropped, the file is installed. A [`Charge`] is a value
//! that lies in the object that it paid for; its drop gives it back. Receiving charges nothing.
//!
//! Two limits hold: the account's own, and that of the [`User`] whose peer it is, over all peers of
//! that user. An account takes from its user in portions and keeps a little in reserve, so that
//! ordinary messages don't write to what all peers of a user share.
//!
//! Not there yet, and brought by the accounting work:
//!
//! * shares: *within* an account it is first come, first served, whoever sends. A hostile sender can
//!   fill a receiver up to its limit. `payer` is only noted in the report of refusals.
//! * the rule which sender is which principal (user namespaces); the personality gives a number.
//! * prepaid room for replies, the system-wide level, charges for a sender's own nodes.
//!
//! Locks: `quota` of each account and the table of [`Users`], both leaf spinlocks; nothing is
//! allocated or dropped under them. The user's counters are atomics.

#![deny(unsafe_code)]

use super::sync::{
    assert_unlocked,
    new_spinlock,
    pin_data,
    pin_init,
    reserve_node,
    try_arc,
    AllocError,
    Arc,
    Atomic,
    RBTree,
    Relaxed,
    SpinLock,
    GFP_KERNEL_ACCOUNT, //
};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// Messages that are queued, or received and not released.
    Slices,
    /// Bytes of their slices, rounded up to the pool's granularity.
    Bytes,
    /// Handles that the peer holds because they were sent to it.
    Handles,
    /// Files in flight to it.
    Fds,
}

impl Resource {
    /// All, in the order in which they are checked.
    pub(crate) const ALL: [Self; 4] = [Self::Slices, Self::Bytes, Self::Handles, Self::Fds];
}

/// An amount of each resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    /// Number of slices.
    pub(crate) slices: u32,
    /// Bytes of slices.
    pub(crate) bytes: u32,
    /// Number of handles.
    pub(crate) handles: u32,
    /// Number of files.
    pub(crate) fds: u32,
}

/// How much of each resource there may be.
pub(crate) type Limits = Amounts;

impl Amounts {
    /// Nothing.
    pub(crate) const NONE: Self = Self {
        slices: 0,
        bytes: 0,
        handles: 0,
        fds: 0,
    };

    /// The amount of one resource.
    pub(crate) fn get(&self, resource: Resource) -> u32 {
        match resource {
            Resource::Slices => self.slices,
            Resource::Bytes => self.bytes,
            Resource::Handles => self.handles,
            Resource::Fds => self.fds,
        }
    }

    /// The amount of one resource, to be changed.
    pub(crate) fn get_mut(&mut self, resource: Resource) -> &mut u32 {
        match resource {
            Resource::Slices => &mut self.slices,
            Resource::Bytes => &mut self.bytes,
            Resource::Handles => &mut self.handles,
            Resource::Fds => &mut self.fds,
        }
    }

    /// The difference, unless there is less of something.
    pub(crate) fn checked_sub(self, other: Self) -> Option<Self> {
        Some(Self {
            slices: self.slices.checked_sub(other.slices)?,
            bytes: self.bytes.checked_sub(other.bytes)?,
            handles: self.handles.checked_sub(other.handles)?,
            fds: self.fds.checked_sub(other.fds)?,
        })
    }
}

/// Whose limit it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The receiving peer's.
    Peer,
    /// That of the user whose peer it is.
    User,
}

/// A charge was refused; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverLimit {
    /// Of what there is too little.
    pub(crate) resource: Resource,
    /// Whose limit it was.
    pub(crate) level: Level,
    /// How much was asked.
    pub(crate) asked: u32,
    /// The peer's limit at that moment.
    pub(crate) limit: u32,
}

impl OverLimit {
    /// Whether an empty peer would refuse it, too: one message asks for more than there can be.
    pub(crate) fn never_fits(&self) -> bool {
        self.asked > self.limit
    }
}

/// Who pays. All peers of a user share its limits.
pub(crate) struct User {
    /// The one that the personality gave.
    number: u64,
    limits: Limits,
    /// Taken by accounts, in the order of [`Resource::ALL`]; never above the limit.
    booked: [Atomic<u32>; 4],
}

impl User {
    fn book(&self, resource: Resource, amount: u32) -> bool {
        let booked = &self.booked[resource as usize];
        let mut old = booked.load(Relaxed);
        loop {
            let new = match old.checked_add(amount) {
                Some(new) if new <= self.limits.get(resource) => new,
                _ => return false,
            };
            match booked.cmpxchg(old, new, Relaxed) {
                Ok(_) => return true,
                Err(now) => old = now,
            }
        }
    }

    fn unbook(&self, resource: Resource, amount: u32) {
        self.booked[resource as usize].fetch_sub(amount, Relaxed);
    }

    /// How much an account keeps without using it: so little that it does not matter against the
    /// limit, and nothing where the limit is small.
    fn portion(&self, resource: Resource) -> u32 {
        let most = match resource {
            Resource::Bytes => 64 * 1024,
            _ => 64,
        };
        (self.limits.get(resource) / 8192).min(most)
    }
}

/// A user and how many accounts it has.
struct Seats {
    user: Arc<User>,
    taken: usize,
}

/// All users that have an account.
#[pin_data]
pub(crate) struct Users {
    #[pin]
    table: SpinLock<RBTree<u64, Seats>>,
}

impl Users {
    /// Makes an empty table.
    pub(crate) fn new() -> Result<Arc<Self>, AllocError> {
        try_arc(pin_init!(Self {
            table <- new_spinlock!(RBTree::new(), "bus1::Users::table"),
        }))
    }

    /// Takes a seat of user `number`, who gets `limits` if nobody has one yet.
    pub(crate) fn enter(this: &Arc<Self>, number: u64, limits: Limits) -> Result<Seat, AllocError> {
        let user = match this.join(number) {
            Some(user) => user,
            None => this.add(number, limits)?,
        };
        Ok(Seat {
            users: this.clone(),
            user,
        })
    }

    fn join(&self, number: u64) -> Option<Arc<User>> {
        let mut table = self.table.lock();
        let seats = table.get_mut(&number)?;
        seats.taken += 1;
        Some(seats.user.clone())
    }

    fn add(&self, number: u64, limits: Limits) -> Result<Arc<User>, AllocError> {
        let user = User {
            number,
            limits,
            booked: Resource::ALL.map(|_| Atomic::new(0)),
        };
        let user = Arc::new(user, GFP_KERNEL_ACCOUNT)?;
        let seats = Seats {
            user: user.clone(),
            taken: 1,
        };
        let mut node = Some(reserve_node()?.into_node(number, seats));
        let mut table = self.table.lock();
        // Somebody may have been faster; then `node` is dropped after the lock.
        match table.get_mut(&number) {
            Some(seats) => {
                seats.taken += 1;
                Ok(seats.user.clone())
            }
            None => {
                node = node.and_then(|node| table.insert(node));
                drop(table);
                drop(node);
                Ok(user)
            }
        }
    }

    fn leave(&self, number: u64) {
        let mut table = self.table.lock();
        let last = match table.get_mut(&number) {
            Some(seats) => {
                seats.taken -= 1;
                seats.taken == 0
            }
            None => false,
        };
        let gone = if last {
            table.remove_node(&number)
        } else {
            None
        };
        drop(table);
        drop(gone);
    }
}

/// One account's claim to its user, who is forgotten with the last.
pub(crate) struct Seat {
    users: Arc<Users>,
    user: Arc<User>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.users.leave(self.user.number);
    }
}

/// A refusal, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Who would have paid: the number that the caller gave.
    pub(crate) payer: u64,
    /// What was refused.
    pub(crate) over: OverLimit,
}

/// What an account says about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    /// How much there may be.
    pub(crate) limits: Limits,
    /// How much there is.
    pub(crate) used: Amounts,
    /// How much there was at most.
    pub(crate) peak: Amounts,
    /// How many charges were refused so far, in the order of [`Resource::ALL`].
    pub(crate) refused: [u64; 4],
    /// The last one.
    pub(crate) last: Option<Refusal>,
}

struct Usage {
    seat: Seat,
    /// Taken from the user; never less than what is used.
    booked: Amounts,
    report: Report,
}

impl Usage {
    /// Charges `need`, or changes nothing but the count of refusals.
    fn add(&mut self, payer: u64, need: Amounts) -> Result<(), OverLimit> {
        for resource in Resource::ALL {
            if let Err(level) = self.make_room(resource, need.get(resource)) {
                let over = OverLimit {
                    resource,
                    level,
                    asked: need.get(resource),
                    limit: self.report.limits.get(resource),
                };
                self.report.refused[resource as usize] += 1;
                self.report.last = Some(Refusal { payer, over });
                self.trim();
                return Err(over);
            }
        }
        for resource in Resource::ALL {
            let used = self.report.used.get_mut(resource);
            *used += need.get(resource);
            let peak = self.report.peak.get_mut(resource);
            *peak = (*peak).max(*used);
        }
        Ok(())
    }

    /// Makes sure that `amount` more is within the limit and booked.
    fn make_room(&mut self, resource: Resource, amount: u32) -> Result<(), Level> {
        // What asks for nothing passes, even if the limit was lowered below what is in use.
        if amount == 0 {
            return Ok(());
        }
        let wanted = self
            .report
            .used
            .get(resource)
            .checked_add(amount)
            .ok_or(Level::Peer)?;
        if wanted > self.report.limits.get(resource) {
            return Err(Level::Peer);
        }
        let user = &self.seat.user;
        let booked = self.booked.get_mut(resource);
        let missing = wanted.saturating_sub(*booked);
        if missing == 0 {
            return Ok(());
        }
        // The user may have less than a portion left.
        for more in [missing.max(user.portion(resource)), missing] {
            if user.book(resource, more) {
                *booked += more;
                return Ok(());
            }
        }
        Err(Level::User)
    }

    fn sub(&mut self, amounts: Amounts) {
        for resource in Resource::ALL {
            *self.report.used.get_mut(resource) -= amounts.get(resource);
        }
        self.trim();
    }

    /// Gives what is booked beyond two portions back to the user, down to one.
    fn trim(&mut self) {
        let user = &self.seat.user;
        for resource in Resource::ALL {
            let portion = user.portion(resource);
            let idle = self.booked.get(resource) - self.report.used.get(resource);
            if idle > 2 * portion {
                user.unbook(resource, idle - portion);
                *self.booked.get_mut(resource) -= idle - portion;
            }
        }
    }
}

impl Drop for Usage {
    fn drop(&mut self) {
        for resource in Resource::ALL {
            self.seat.user.unbook(resource, self.booked.get(resource));
        }
    }
}

/// What a receiving peer holds, and how much it may. Lives until the last charge is gone.
#[pin_data]
pub(crate) struct Account {
    #[pin]
    usage: SpinLock<Usage>,
}

impl Account {
    /// Makes one that holds nothing, of the user whose seat it is.
    pub(crate) fn new(seat: Seat, limits: Limits) -> Result<Arc<Self>, AllocError> {
        let report = Report {
            limits,
            used: Amounts::NONE,
            peak: Amounts::NONE,
            refused: [0; 4],
            last: None,
        };
        let usage = Usage {
            seat,
            booked: Amounts::NONE,
            report,
        };
        try_arc(pin_init!(Self {
            usage <- new_spinlock!(usage, "bus1::Account::quota"),
        }))
    }

    /// Charges `need`, all or nothing. `payer` is the number of the sending user.
    pub(crate) fn charge(this: &Arc<Self>, payer: u64, need: Amounts) -> Result<Charge, OverLimit> {
        this.usage.lock().add(payer, need)?;
        Ok(Charge {
            account: this.clone(),
            amounts: need,
        })
    }

    /// Sets new limits. What is in use stays: below it, further charges fail until use has dropped.
    pub(crate) fn set_limits(&self, limits: Limits) {
        self.usage.lock().report.limits = limits;
    }

    /// Says how things stand.
    pub(crate) fn report(&self) -> Report {
        self.usage.lock().report
    }

    fn release(&self, amounts: Amounts) {
        if amounts != Amounts::NONE {
            self.usage.lock().sub(amounts);
        }
    }
}

/// Something that is paid for. Dropping it gives it back.
#[must_use = "is given back at once"]
pub(crate) struct Charge {
    account: Arc<Account>,
    amounts: Amounts,
}

impl Charge {
    /// What is paid for.
    pub(crate) fn amounts(&self) -> Amounts {
        self.amounts
    }

    /// Splits `part` off, which then lives on its own; `None` if there is less.
    pub(crate) fn split(&mut self, part: Amounts) -> Option<Self> {
        self.amounts = self.amounts.checked_sub(part)?;
        Some(Self {
            account: self.account.clone(),
            amounts: part,
        })
    }

    /// Splits one handle off; `None` if there is none.
    pub(crate) fn split_handle(&mut self) -> Option<HandleCharge> {
        self.amounts.handles = self.amounts.handles.checked_sub(1)?;
        Some(HandleCharge {
            account: self.account.clone(),
        })
    }

    /// Gives `part` back before the rest; nothing if there is less.
    pub(crate) fn release(&mut self, part: Amounts) {
        drop(self.split(part));
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        assert_unlocked();
        self.account.release(self.amounts);
    }
}

/// The charge of one handle, as small as can be: it lies in each handle.
#[must_use = "is given back at once"]
pub(crate) struct HandleCharge {
    account: Arc<Account>,
}

impl Drop for HandleCharge {
    fn drop(&mut self) {
        assert_unlocked();
        self.account.release(Amounts {
            handles: 1,
            ..Amounts::NONE
        });
    }
}
