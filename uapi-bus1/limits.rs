// SPDX-License-Identifier: GPL-2.0

//! How much a peer may hold before `PEER_RESET` says otherwise, and how much a user may.
//!
//! The module parameters say it; they count for peers that are opened later. No locks.

#![deny(unsafe_code)]

use crate::{
    core::quota::Limits,
    shim::params::UserLimits, //
};

/// How many peers of one user can be full at the same time.
const FULL_PEERS: u32 = 4;

/// Elements of any array of IDs that a command takes.
pub(super) fn handles_max() -> u64 {
    UserLimits::now().handles.into()
}

/// Of a peer that is being opened.
pub(super) fn of_peer() -> Limits {
    let limits = UserLimits::now();
    Limits {
        slices: limits.slices,
        bytes: limits.bytes,
        handles: limits.handles,
        fds: limits.fds,
    }
}

/// Of a user, over all peers, if a peer of its has `peer`.
pub(super) fn of_user(peer: Limits) -> Limits {
    Limits {
        slices: peer.slices.saturating_mul(FULL_PEERS),
        bytes: peer.bytes.saturating_mul(FULL_PEERS),
        handles: peer.handles.saturating_mul(FULL_PEERS),
        fds: peer.fds.saturating_mul(FULL_PEERS),
    }
}
