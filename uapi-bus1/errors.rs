// SPDX-License-Identifier: GPL-2.0

//! The engine's reasons as error numbers.
//!
//! | number | reason |
//! |---|---|
//! | `EHOSTUNREACH` | the node is destroyed, or its owner gone |
//! | `EDQUOT` | a limit is reached |
//! | `EMSGSIZE` | one message is larger than a limit, or than the pool |
//! | `EXFULL` | the pool has no free range of this size |
//! | `ENOMEM` | no memory |

#![deny(unsafe_code)]

use super::native::Native;
use crate::{
    core::{
        handle::LinkError,
        peer::Peer,
        pool::PoolError,
        quota::{
            ChargeError,
            Level,
            OverLimit,
            Resource, //
        },
        transaction::{
            Dead,
            ReserveError, //
        },
    },
    shim::{
        cred,
        trace, //
    },
};
use kernel::prelude::*;

/// Nobody is there to get the message.
pub(super) fn dead(_: Dead) -> Error {
    EHOSTUNREACH
}

/// There is no charge at `receiver`.
pub(super) fn charge(receiver: &Peer<Native>, error: ChargeError) -> Error {
    match error {
        ChargeError::Over(over) => over_limit(receiver, over),
        ChargeError::NoMemory => ENOMEM,
    }
}

/// A charge was refused; whoever wants to know about refusals is told.
///
/// What one message can never have, even at an empty peer, is its size; the number of messages is
/// not, and neither is a limit of 0, which says that the peer takes nothing at present.
pub(super) fn over_limit(receiver: &Peer<Native>, over: OverLimit) -> Error {
    let identity = receiver.part();
    trace::quota_deny(identity.pid, cred::Uid::of(&identity.cred).raw(), &over);
    let sized = over.resource != Resource::Slices && over.limit > 0;
    if over.level == Level::Reply || sized && over.never_fits() {
        EMSGSIZE
    } else {
        EDQUOT
    }
}

/// Nothing could be reserved at `receiver`.
pub(super) fn reserve(receiver: &Peer<Native>, error: ReserveError) -> Error {
    match error {
        ReserveError::OverLimit(over) => over_limit(receiver, over),
        ReserveError::Pool(PoolError::TooLarge) => EMSGSIZE,
        ReserveError::Pool(PoolError::NoSpace) => EXFULL,
        ReserveError::Pool(PoolError::NoMemory) => ENOMEM,
        // Every peer has a pool from the moment it can be found.
        ReserveError::NoPool => EHOSTUNREACH,
    }
}

/// A peer got no reference, for another reason than that the node is dead.
pub(super) fn link(error: LinkError) -> Error {
    match error {
        LinkError::Dead => EHOSTUNREACH,
        LinkError::NoMemory => ENOMEM,
        LinkError::Overflow => EDQUOT,
    }
}
