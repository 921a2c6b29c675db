// SPDX-License-Identifier: GPL-2.0

//! What has passed through an inbox.
//!
//! Each inbox counts for itself under its own lock; a reader adds up. So counting writes no cache
//! line that two receivers share.

#![deny(unsafe_code)]

use super::{
    entry::Body,
    personality::Personality, //
};

/// Counters; they only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// Entries queued, of any kind.
    pub(crate) queued: u64,
    /// Messages that were parked in a lane.
    pub(crate) parked: u64,
    /// Messages read.
    pub(crate) messages: u64,
    /// Notices read: counts of own nodes, ends of watched nodes.
    pub(crate) notices: u64,
    /// Codes and failed calls read.
    pub(crate) codes: u64,
}

impl Stats {
    /// Counts what is being read.
    pub(super) fn taken<P: Personality>(&mut self, body: Option<&Body<P>>) {
        match body {
            Some(Body::Message(_)) => self.messages += 1,
            Some(Body::Counts(_) | Body::Watch(..)) => self.notices += 1,
            Some(Body::Code(_) | Body::Failed(..)) => self.codes += 1,
            None => {}
        }
    }

    /// Adds the counters of another inbox.
    pub(crate) fn add(&mut self, other: Self) {
        self.queued += other.queued;
        self.parked += other.parked;
        self.messages += other.messages;
        self.notices += other.notices;
        self.codes += other.codes;
    }
}
