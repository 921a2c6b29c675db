// SPDX-License-Identifier: GPL-2.0

//! How much a peer may hold before `PEER_RESET` says otherwise, and how much a user may.
//!
//! The module parameters say it; they count for peers that are opened later. No locks.

#![deny(unsafe_code)]

#[cfg(CONFIG_BUS1_TEST_RULES)]
use crate::shim::{
    cred::Uid,
    params, //
};
use crate::{
    core::{
        quota::{
            Account,
            Limits,
            Principal, //
        },
        sync::{
            AllocError,
            Arc, //
        },
        user::Seat, //
    },
    shim::{
        params::UserLimits,
        realm, //
    }, //
};
use kernel::cred::Credential;

/// Elements of any array of IDs that a command takes.
pub(super) fn handles_max() -> u64 {
    UserLimits::now().handles.into()
}

/// Who a sender with credentials `from` is for a receiver with `to`.
pub(super) fn principal(from: &Credential, to: &Credential) -> Principal {
    #[cfg(CONFIG_BUS1_TEST_RULES)]
    if params::share_rule_is_2016() {
        // Every user by itself, whoever made it up.
        return Principal::user(Uid::of(from).raw());
    }
    realm::principal(from, to)
}

/// The account of a peer that is being opened.
pub(super) fn account(seat: Seat) -> Result<Arc<Account>, AllocError> {
    #[cfg(CONFIG_BUS1_TEST_RULES)]
    if params::share_rule_is_2016() {
        return Account::of_2016(seat, of_peer());
    }
    Account::new(seat, of_peer())
}

fn of_peer() -> Limits {
    let limits = UserLimits::now();
    Limits {
        slices: limits.slices,
        bytes: limits.bytes,
        handles: limits.handles,
        fds: limits.fds,
    }
}

/// Of a user, over all peers: the bytes say the rest, by what is common for a message.
pub(super) fn of_user() -> Limits {
    let bytes = UserLimits::now().budget;
    Limits {
        slices: bytes / 256,
        bytes,
        handles: bytes / 256,
        fds: bytes / 4096,
    }
}
