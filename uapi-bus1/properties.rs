// SPDX-License-Identifier: GPL-2.0

//! `PEER_QUERY` and `PEER_RESET`: limits of a peer, and throwing away what it has.
//!
//! Locks: `ioctl` of the peer.

#![deny(unsafe_code)]

use super::{
    abi,
    command::Reset,
    peer::Client,
    user, //
};
use crate::core::{
    destroy::Verdict,
    quota::{
        AboveBooking,
        Limits, //
    },
    sync::Relaxed, //
};
use crate::shim::cred;
use kernel::{
    prelude::*,
    uaccess::UserPtr, //
};

/// Writes the properties of the peer to `out`.
pub(super) fn query(client: &Client, out: UserPtr) -> Result {
    let raw = {
        let _turn = client.begin()?;
        let limits = client.peer().account().report().limits;
        let secctx = client.identity().want_secctx.load(Relaxed);
        abi::PeerReset {
            flags: 0,
            peer_flags: if secctx { abi::PEER_WANT_SECCTX } else { 0 },
            max_slices: limits.slices,
            max_handles: limits.handles,
            max_inflight_bytes: limits.bytes,
            max_inflight_fds: limits.fds,
        }
    };
    user::write(out, &raw)
}

/// Sets the properties that the request names, then drops what it names. What could be wrong was
/// checked before, but for two things, and then nothing has happened: `ENOMEM`, and `EPERM` for a
/// limit above what the peer's user can book, without `CAP_SYS_RESOURCE` over the peer's user
/// namespace.
pub(super) fn reset(client: &Client, request: &Reset) -> Result {
    let end = if request.flush {
        Some(Verdict::new()?)
    } else {
        None
    };
    let mut turn = client.begin()?;
    set_limits(client, request)?;
    if let Some(want) = request.want_secctx {
        client.identity().want_secctx.store(want, Relaxed);
    }
    // The seed goes first, so that it does not save its nodes.
    if request.flush_seed {
        let seed = client.table().replace_seed(None);
        drop(seed);
    }
    if let Some(end) = end {
        client.flush(&mut turn, end);
    }
    Ok(())
}

fn set_limits(client: &Client, request: &Reset) -> Result {
    let account = client.peer().account();
    let old = account.report().limits;
    let limits = Limits {
        slices: request.max_slices.unwrap_or(old.slices),
        bytes: request.max_inflight_bytes.unwrap_or(old.bytes),
        handles: request.max_handles.unwrap_or(old.handles),
        fds: request.max_inflight_fds.unwrap_or(old.fds),
    };
    // The right is asked for only if it is needed: asking leaves a mark on the task.
    account.set_limits(limits, false).or_else(|AboveBooking| {
        if !cred::may_exceed(&client.identity().user_ns) {
            return Err(EPERM);
        }
        account.set_limits(limits, true).map_err(|_| EPERM)
    })
}
