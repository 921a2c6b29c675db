// SPDX-License-Identifier: GPL-2.0

//! What `/proc/PID/fdinfo/FD` says about a peer.
//!
//! Takes the leaf lock of the peer's account.

#![deny(unsafe_code)]

use super::peer::Client;
use crate::core::quota::{
    Level,
    Resource, //
};
use kernel::{
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

/// Prints the peer's number, what it may hold and holds, and what was refused for it.
pub(super) fn print(client: &Client, out: &SeqFile) {
    seq_print!(out, "bus1-peer:\t{:016x}\n", client.number());
    let report = client.peer().account().report();
    for (resource, refused) in Resource::ALL.into_iter().zip(report.refused) {
        let name = name(resource);
        seq_print!(
            out,
            "bus1-{}-limit: {}\n",
            name,
            report.limits.get(resource)
        );
        seq_print!(out, "bus1-{}-free: {}\n", name, report.used.get(resource));
        seq_print!(out, "bus1-{}-peak: {}\n", name, report.peak.get(resource));
        seq_print!(out, "bus1-{}-refused: {}\n", name, refused);
    }
    if let Some(last) = report.last {
        let level = match last.over.level {
            Level::Peer => "peer",
            Level::User => "user",
        };
        seq_print!(
            out,
            "bus1-refused-last: {} {} {} {} {} {}\n",
            last.payer,
            name(last.over.resource),
            level,
            last.over.asked,
            report.used.get(last.over.resource),
            last.over.limit
        );
    }
}
