// SPDX-License-Identifier: GPL-2.0

//! Who shares one claim on a receiver.
//!
//! A sender is counted as somebody whom the receiver's side has to reckon with. Users of the realm
//! (user namespace) that both have in common are counted one by one. All that an unprivileged user
//! can create, realms with any number of users below it, counts as that user once more and no further;
//! a realm that an administrator made counts as one. So nobody gets more claims by making up users.
//!
//! Section 2 of the quota page says why by the lowest common ancestor. The walk goes up parents only,
//! 33 at most, and touches nothing else; no locks.

#![deny(unsafe_code)]

use ::core::fmt;

/// A realm of users, as the surroundings know it.
pub(crate) trait Realm: Copy {
    /// A number that no other realm of this boot ever has; below 2^62.
    fn id(&self) -> u64;

    /// How many realms it lies in.
    fn level(&self) -> u32;

    /// The realm that it lies in.
    fn parent(&self) -> Option<Self>;

    /// The user who made it, a number that is unique in all realms.
    fn owner(&self) -> u32;

    /// The administrator of the realm, likewise; none if it has none.
    fn administrator(&self) -> Option<u32>;
}

/// One who shares a claim: a kind and a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Principal(u64);

/// What kind of principal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The receiver itself.
    Own,
    /// This user.
    User(u32),
    /// All that this user created.
    Created(u32),
    /// This realm.
    Realm(u64),
}

const SHIFT: u32 = 62;

impl Principal {
    /// The receiver itself.
    pub(crate) const OWN: Self = Self(3 << SHIFT);

    /// A user of a common realm.
    pub(crate) const fn user(number: u32) -> Self {
        Self(number as u64)
    }

    const fn created(number: u32) -> Self {
        Self(1 << SHIFT | number as u64)
    }

    const fn realm(id: u64) -> Self {
        Self(2 << SHIFT | id & ((1 << SHIFT) - 1))
    }

    /// Who `user` of realm `of` is for a receiver in realm `receiver`.
    pub(crate) fn of<R: Realm>(user: u32, of: R, receiver: R) -> Self {
        match below_common(of, receiver) {
            None => Self::user(user),
            Some(child) => Self::all_of(child),
        }
    }

    /// Who pays for the peers of `user` of realm `of`: the user, and whoever made it possible, from the
    /// inside outwards.
    pub(crate) fn payers<R: Realm>(user: u32, of: R) -> impl Iterator<Item = Self> {
        let mut realm = Some(of);
        let outer = ::core::iter::from_fn(move || {
            let inner = realm.take()?;
            realm = inner.parent();
            realm.as_ref()?;
            Some(Self::all_of(inner))
        });
        ::core::iter::once(Self::user(user)).chain(outer)
    }

    /// All users of `realm`, as one.
    fn all_of<R: Realm>(realm: R) -> Self {
        if made_by_administrator(realm) {
            Self::realm(realm.id())
        } else {
            Self::created(realm.owner())
        }
    }

    /// What kind it is.
    pub(crate) fn kind(self) -> Kind {
        let number = self.0 & ((1 << SHIFT) - 1);
        match self.0 >> SHIFT {
            0 => Kind::User(number as u32),
            1 => Kind::Created(number as u32),
            2 => Kind::Realm(number),
            _ => Kind::Own,
        }
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.kind(), f)
    }
}

/// The realm directly below the lowest one that `sender` and `receiver` have in common, on the side of
/// `sender`; none if the sender's is the common one.
fn below_common<R: Realm>(sender: R, receiver: R) -> Option<R> {
    let (mut up, mut other) = (sender, receiver);
    let mut child = None;
    while up.id() != other.id() {
        if up.level() >= other.level() {
            let parent = up.parent()?;
            child = Some(up);
            up = parent;
        } else {
            other = other.parent()?;
        }
    }
    child
}

/// Whether the realm was made by the administrator of one that it lies in.
fn made_by_administrator<R: Realm>(realm: R) -> bool {
    let mut outer = realm.parent();
    while let Some(around) = outer {
        if around.administrator() == Some(realm.owner()) {
            return true;
        }
        outer = around.parent();
    }
    false
}
