// SPDX-License-Identifier: GPL-2.0

//! Users: whose peers the receivers are, and how much all of them may have together.
//!
//! Half of what a user may have is booked by its peers as their reserves, once, when they are made,
//! by the rule that also shares a peer among its senders ([`super::share`]): a peer's booking depends
//! on how many peers the user has at that time, so that nobody else can break it later. The other
//! half is taken by charges that go beyond the reserve of a peer, first come, first served.
//!
//! Locks: `table` of [`Users`], a leaf spinlock; nothing is allocated or dropped under it. The
//! user's counters are atomics: the only cache line that charges at two peers can share.

#![deny(unsafe_code)]

use super::{
    amounts::{
        Limits,
        Resource, //
    },
    principal::Principal,
    share::{
        Share,
        BYTES_LEAST, //
    },
    sync::{
        assert_unlocked,
        new_spinlock,
        pin_data,
        pin_init,
        reserve_node,
        try_arc,
        AllocError,
        Arc,
        Atomic,
        KVec,
        RBTree,
        Relaxed,
        SpinLock,
        GFP_KERNEL_ACCOUNT, //
    },
};

/// A limit that is none: nothing is booked for it.
pub(crate) const UNLIMITED: u32 = u32::MAX;

/// The least that a share of a resource is worth having.
pub(super) fn least(resource: Resource) -> u32 {
    match resource {
        Resource::Bytes => BYTES_LEAST,
        _ => 1,
    }
}

/// Whose peers these are. All of them share its limits.
pub(crate) struct User {
    who: Principal,
    limits: Limits,
    /// Taken beyond the reserves, in the order of [`Resource::ALL`]; never above half of the limit.
    taken: [Atomic<u32>; 4],
    /// Peers that have booked. Changed under the lock of the table.
    peers: Atomic<u32>,
}

impl User {
    fn new(who: Principal, limits: Limits) -> Self {
        Self {
            who,
            limits,
            taken: Resource::ALL.map(|_| Atomic::new(0)),
            peers: Atomic::new(0),
        }
    }

    /// How its reserve of one resource is shared among its peers.
    fn share(&self, resource: Resource) -> Share {
        let limit = self.limits.get(resource);
        Share::new(limit, limit / 2, least(resource))
    }

    /// How much a peer may book of one resource, as things stand.
    pub(super) fn allowance(&self, resource: Resource) -> u32 {
        let share = self.share(resource);
        if share.is_plain() {
            return self.limits.get(resource) / 2;
        }
        share.cap(self.peers.load(Relaxed).max(1))
    }

    /// Takes `amount` of what is not booked, unless there is less.
    pub(super) fn take(&self, resource: Resource, amount: u32) -> bool {
        let limit = self.limits.get(resource);
        if limit == UNLIMITED {
            return true;
        }
        let taken = &self.taken[resource as usize];
        let mut old = taken.load(Relaxed);
        loop {
            let new = match old.checked_add(amount) {
                Some(new) if new <= limit - limit / 2 => new,
                _ => return false,
            };
            match taken.cmpxchg(old, new, Relaxed) {
                Ok(_) => return true,
                Err(now) => old = now,
            }
        }
    }

    /// Gives back what was taken.
    pub(super) fn give(&self, resource: Resource, amount: u32) {
        if self.limits.get(resource) != UNLIMITED {
            self.taken[resource as usize].fetch_sub(amount, Relaxed);
        }
    }

    /// How much of what is not booked is taken.
    #[cfg(any(bus1_kunit, bus1_host))]
    pub(crate) fn taken(&self) -> super::amounts::Amounts {
        let mut taken = super::amounts::Amounts::NONE;
        for resource in Resource::ALL {
            *taken.get_mut(resource) = self.taken[resource as usize].load(Relaxed);
        }
        taken
    }
}

/// All users that have a peer.
#[pin_data]
pub(crate) struct Users {
    #[pin]
    table: SpinLock<RBTree<Principal, Arc<User>>>,
}

impl Users {
    /// Makes an empty table.
    pub(crate) fn new() -> Result<Arc<Self>, AllocError> {
        try_arc(pin_init!(Self {
            table <- new_spinlock!(RBTree::new(), "bus1::Users::table"),
        }))
    }

    /// Takes a seat of each of `payers`, who gets `limits` if nobody has one yet.
    pub(crate) fn enter(
        this: &Arc<Self>,
        payers: impl IntoIterator<Item = Principal>,
        limits: Limits,
    ) -> Result<Seat, AllocError> {
        let mut seat = Seat {
            users: this.clone(),
            payers: KVec::new(),
        };
        for who in payers {
            // Room first: who has joined must be able to leave.
            seat.payers.reserve(1, GFP_KERNEL_ACCOUNT)?;
            let user = match this.join(who) {
                Some(user) => user,
                None => this.add(who, limits)?,
            };
            seat.payers.push(user, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(seat)
    }

    fn join(&self, who: Principal) -> Option<Arc<User>> {
        let table = self.table.lock();
        let user = table.get(&who)?;
        user.peers.fetch_add(1, Relaxed);
        Some(user.clone())
    }

    fn add(&self, who: Principal, limits: Limits) -> Result<Arc<User>, AllocError> {
        let user = Arc::new(User::new(who, limits), GFP_KERNEL_ACCOUNT)?;
        let node = reserve_node()?.into_node(who, user.clone());
        let mut table = self.table.lock();
        // Somebody may have been faster; then ours is dropped after the lock.
        let (there, unused) = match table.get(&who) {
            Some(there) => (there.clone(), Some(node)),
            None => (user, table.insert(node)),
        };
        there.peers.fetch_add(1, Relaxed);
        drop(table);
        drop(unused);
        Ok(there)
    }

    fn leave(&self, user: &User) {
        let mut table = self.table.lock();
        let last = user.peers.fetch_sub(1, Relaxed) == 1;
        let gone = if last {
            table.remove_node(&user.who)
        } else {
            None
        };
        drop(table);
        drop(gone);
    }
}

/// One peer's place among those of its user, and of whoever made that user possible. Who has no peer
/// left is forgotten.
pub(crate) struct Seat {
    users: Arc<Users>,
    payers: KVec<Arc<User>>,
}

impl Seat {
    /// How much of one resource the peer may book.
    pub(super) fn allowance(&self, resource: Resource) -> u32 {
        let allowances = self.payers.iter().map(|user| user.allowance(resource));
        allowances.min().unwrap_or(0)
    }

    /// Takes `amount` of what is not booked from all who pay, or from none.
    pub(super) fn take(&self, resource: Resource, amount: u32) -> bool {
        for (place, user) in self.payers.iter().enumerate() {
            if !user.take(resource, amount) {
                for before in self.payers.iter().take(place) {
                    before.give(resource, amount);
                }
                return false;
            }
        }
        true
    }

    /// Gives back what was taken.
    pub(super) fn give(&self, resource: Resource, amount: u32) {
        for user in self.payers.iter() {
            user.give(resource, amount);
        }
    }

    /// The user, for tests.
    #[cfg(any(bus1_kunit, bus1_host))]
    pub(crate) fn user(&self) -> Option<&Arc<User>> {
        self.payers.first()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        assert_unlocked();
        for user in self.payers.iter() {
            self.users.leave(user);
        }
    }
}
