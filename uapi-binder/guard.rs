// SPDX-License-Identifier: GPL-2.0

//! The guard: the last bytes of a mapping are for senders who have little in it.
//!
//! The ABI gives a mapping to whoever comes first, and half of it to one-ways, so that a few senders
//! can fill it and nobody else gets a word in. Replacing that would refuse what programs rely on. So
//! the rule stays, and the engine's account keeps a little back that it would be hard to miss: of the
//! whole mapping a sixteenth, one half of it for replies that the proc has asked for, the other for
//! senders with no more than [`EACH`] bytes in it; of the half for one-ways a tenth of the mapping, the
//! point from which the ABI suspects spam. It is not kept from a sender that is alone, nor from one
//! that finds nothing in use.
//!
//! What the module is told (`guard`) counts for mappings that are made later.
//!
//! Locks: those of the accounts, which are leaves.

#![deny(unsafe_code)]

use super::BinderPeer;
use crate::{
    core::{
        quota::{
            Account,
            Amounts,
            Charge,
            Principal, //
        },
        share::Share,
        transaction::ReserveError, //
    },
    shim::{
        cred,
        params_binder,
        params_binder::Guard,
        trace, //
    },
};
use kernel::prelude::*;

/// Bytes that each sender can have of what is kept.
const EACH: u32 = 1024;

/// How the two parts of a mapping of `len` bytes are guarded: all of it, and what one-ways may use.
fn shares(len: u32, strict: bool) -> (Share, Share) {
    let headroom = len / 32;
    (
        Share::guard(len, len / 16 - headroom, headroom, EACH, strict),
        Share::guard(len / 2, len / 10, 0, EACH, strict),
    )
}

/// Prepares the guard of a mapping of `len` bytes, if the module is told to have one: what is returned
/// puts it up for the peer whose mapping it is.
pub(super) fn prepare(len: usize) -> Result<impl FnOnce(&BinderPeer)> {
    let strict = match params_binder::guard() {
        Guard::Off => None,
        Guard::On => Some(false),
        Guard::Strict => Some(true),
    };
    let accounts = match strict {
        Some(strict) => {
            let (all, oneways) = shares(u32::try_from(len).map_err(|_| EINVAL)?, strict);
            Some((all, Account::of_bytes(oneways)?))
        }
        None => None,
    };
    Ok(move |peer: &BinderPeer| {
        if let Some((all, oneways)) = accounts {
            if peer.part().oneways.populate(oneways) {
                peer.account().set_share_of_bytes(all);
            }
        }
    })
}

/// Charges a one-way of `size` bytes from `who`, if one-ways to `peer` are guarded.
pub(super) fn charge_oneway(
    peer: &BinderPeer,
    who: Principal,
    size: u32,
) -> Result<Option<Charge>, ReserveError> {
    let Some(account) = peer.part().oneways.as_ref() else {
        return Ok(None);
    };
    let need = Amounts {
        bytes: size,
        ..Amounts::NONE
    };
    let charge = Account::charge(account, who, need);
    charge.map(Some).map_err(|error| told(peer, error.into()))
}

/// Passes `error` on; whoever wants to know about refusals is told.
pub(super) fn told(peer: &BinderPeer, error: ReserveError) -> ReserveError {
    if let ReserveError::OverLimit(over) = &error {
        let process = peer.part();
        trace::quota_deny(process.pid(), cred::Uid::of(&process.cred).raw(), over);
    }
    error
}
