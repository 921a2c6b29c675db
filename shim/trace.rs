// SPDX-License-Identifier: GPL-2.0

//! Trace events, and lines in the log about what somebody does all the time.
//!
//! No locks; may be called wherever the log can be written to.

use super::abi;
use crate::core::{
    amounts::{
        Level,
        OverLimit, //
    },
    principal::Kind,
};

/// A receiver takes no more of somebody: the event `bus1_quota_deny`, and a line in the log if that is
/// new.
///
/// `pid` is the process that opened the receiver, in the initial namespace, `uid` its user.
pub(crate) fn quota_deny(pid: i32, uid: u32, over: &OverLimit) {
    let (kind, principal) = match over.principal.kind() {
        Kind::Own => (0, 0),
        Kind::User(user) => (1, user.into()),
        Kind::Created(user) => (2, user.into()),
        Kind::Realm(id) => (3, id),
    };
    let denial = abi::bus1_denial {
        principal,
        receiver: pid,
        user: uid,
        kind,
        resource: over.resource as u32,
        level: match over.level {
            Level::Peer => 0,
            Level::User => 1,
            Level::Reply => 2,
        },
        asked: over.asked,
        held: over.held,
        cap: over.cap,
        holders: over.holders,
        first: over.first,
    };
    // SAFETY: The structure is read during the call only.
    unsafe { abi::bus1_quota_deny(&denial) };
}
