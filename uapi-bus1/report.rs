// SPDX-License-Identifier: GPL-2.0

//! What `/proc/PID/fdinfo/FD` says about a peer.
//!
//! Takes the leaf lock of the peer's account.

#![deny(unsafe_code)]

use super::peer::Client;
use crate::{
    core::{
        principal::{
            Kind,
            Principal, //
        },
        quota::{
            Level,
            Resource, //
        },
    },
    shim::cred::{
        Uid,
        UserNs, //
    },
};
use kernel::{
    fmt,
    seq_file::SeqFile,
    seq_print, //
};

/// Name of a resource in keys.
fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::Slices => "slices",
        Resource::Bytes => "bytes",
        Resource::Handles => "handles",
        Resource::Fds => "fds",
    }
}

/// A principal, in the terms of the task that reads: `own` for the peer itself, `1000` for a user,
/// `via-1000` for all that this user created, `ns-12` for the namespace with this number.
struct Named(Principal);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let here = |user| Uid::from_raw(user).in_ns_or_overflow(&UserNs::current());
        match self.0.kind() {
            Kind::Own => f.write_str("own"),
            Kind::User(user) => write!(f, "{}", here(user)),
            Kind::Created(user) => write!(f, "via-{}", here(user)),
            Kind::Realm(id) => write!(f, "ns-{id}"),
        }
    }
}

/// Prints the peer's number, what it may hold and holds, and what was refused for it.
pub(super) fn print(client: &Client, out: &SeqFile) {
    seq_print!(out, "bus1-peer:\t{:016x}\n", client.number());
    let report = client.peer().account().report();
    for (resource, standing) in Resource::ALL.into_iter().zip(report.resources) {
        let name = name(resource);
        let figures = [
            ("limit", u64::from(standing.limit)),
            ("reserve", standing.reserve.into()),
            ("principals", standing.principals.into()),
            ("cap", standing.cap.into()),
            ("reserved", standing.reserved.into()),
            ("free", standing.free.into()),
            ("peak", standing.peak.into()),
            ("refused", standing.refused),
            ("refused-by-user", standing.refused_by_user),
            ("granted-free", standing.granted_free),
        ];
        for (what, figure) in figures {
            seq_print!(out, "bus1-{}-{}: {}\n", name, what, figure);
        }
    }
    if let Some(last) = report.last {
        let level = match last.level {
            Level::Peer => "peer",
            Level::User => "user",
            Level::Reply => "reply",
        };
        seq_print!(
            out,
            "bus1-refused-last: {} {} {} {} {} {}\n",
            Named(last.principal),
            name(last.resource),
            level,
            last.asked,
            last.held,
            last.cap
        );
    }
}
