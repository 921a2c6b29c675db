// SPDX-License-Identifier: GPL-2.0

//! What has passed through the engine, and what of it is alive.
//!
//! One set of numbers for the whole module, kept in shards by CPU, so that counting writes no cache
//! line that two receivers share; a reader adds them up. Where that is not exact is where somebody
//! counts at the same time. The shards belong to the surroundings: see [`super::sync::tally`].

#![deny(unsafe_code)]

use super::{
    entry::Body,
    personality::Personality,
    sync::{
        tallied, //
        tally,
    },
};

/// A number. The first ones only rise; the `…Alive` ones fall to zero with the last object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Counter {
    /// Entries queued, of any kind.
    Queued,
    /// Messages that were parked in a lane.
    Parked,
    /// Messages that were taken out of a lane by a newer one.
    Superseded,
    /// Messages read.
    Messages,
    /// Notices read: counts of own nodes, ends of watched nodes.
    Notices,
    /// Codes and failed calls read.
    Codes,
    /// Transactions with several destinations, and destructions.
    Multicasts,
    /// Undecided entries that a reader pushed out of its way.
    Pushes,
    /// Pages of free ranges that pools have given back.
    PagesReclaimed,
    /// Peers there are.
    PeersAlive,
    /// Nodes there are.
    NodesAlive,
    /// Handles there are.
    HandlesAlive,
    /// Messages there are, read or not.
    MessagesAlive,
}

impl Counter {
    /// All, with the names under which they are shown.
    const ALL: [(Self, &'static str); 13] = [
        (Self::Queued, "queued"),
        (Self::Parked, "parked"),
        (Self::Superseded, "superseded"),
        (Self::Messages, "messages"),
        (Self::Notices, "notices"),
        (Self::Codes, "codes"),
        (Self::Multicasts, "multicasts"),
        (Self::Pushes, "pushes"),
        (Self::PagesReclaimed, "pages-reclaimed"),
        (Self::PeersAlive, "peers-alive"),
        (Self::NodesAlive, "nodes-alive"),
        (Self::HandlesAlive, "handles-alive"),
        (Self::MessagesAlive, "messages-alive"),
    ];

    /// Counts one.
    pub(super) fn count(self) {
        tally(self as usize, 1);
    }

    /// Counts several.
    pub(super) fn add(self, several: usize) {
        tally(self as usize, several as i64);
    }
}

/// Counts what a reader takes.
pub(super) fn taken<P: Personality>(body: Option<&Body<P>>) {
    match body {
        Some(Body::Message(_)) => Counter::Messages.count(),
        Some(Body::Counts(_) | Body::Watch(..)) => Counter::Notices.count(),
        Some(Body::Code(_) | Body::Failed(..)) => Counter::Codes.count(),
        None => {}
    }
}

/// Says each number with its name.
pub(crate) fn each(f: &mut dyn FnMut(&str, u64)) {
    for (counter, name) in Counter::ALL {
        f(name, tallied(counter as usize));
    }
}

/// Counts an object as long as it is there: a field of it.
pub(super) struct Alive(Counter);

impl Alive {
    /// One more.
    pub(super) fn new(counter: Counter) -> Self {
        counter.count();
        Self(counter)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        tally(self.0 as usize, -1);
    }
}
