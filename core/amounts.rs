// SPDX-License-Identifier: GPL-2.0

//! What is counted, how much of it, and what a refusal says.
//!
//! Numbers only; no locks.

#![deny(unsafe_code)]

use super::principal::Principal;

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

    /// The amounts, in the order of [`Resource::ALL`].
    pub(crate) fn each(&self) -> [u32; 4] {
        [self.slices, self.bytes, self.handles, self.fds]
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

    /// The sum, or as much as can be counted.
    pub(crate) fn saturating_add(self, other: Self) -> Self {
        Self {
            slices: self.slices.saturating_add(other.slices),
            bytes: self.bytes.saturating_add(other.bytes),
            handles: self.handles.saturating_add(other.handles),
            fds: self.fds.saturating_add(other.fds),
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
    /// What the receiver has promised to whoever answers it.
    Reply,
}

/// A charge was refused; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverLimit {
    /// Who would have paid.
    pub(crate) principal: Principal,
    /// Of what there is too little.
    pub(crate) resource: Resource,
    /// Whose limit it was.
    pub(crate) level: Level,
    /// How much was asked.
    pub(crate) asked: u32,
    /// The peer's limit at that moment.
    pub(crate) limit: u32,
    /// What the principal held.
    pub(crate) held: u32,
    /// What it could have held of the reserve.
    pub(crate) cap: u32,
    /// How many principals held something of the reserve.
    pub(crate) holders: u32,
    /// It is the first since the principal held nothing.
    pub(crate) first: bool,
}

impl OverLimit {
    /// Whether an empty peer would refuse it, too: one message asks for more than there can be.
    pub(crate) fn never_fits(&self) -> bool {
        self.asked > self.limit
    }
}
