// SPDX-License-Identifier: GPL-2.0

//! What the queues of a run delivered, and what there is to say of it apart from the order.

use super::{
    history::Told,
    world::{
        Script,
        Step, //
    }, //
};
use crate::core::order::Stamp;
use std::collections::BTreeMap;

/// What happened in a run, so that a pass means something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Multicasts that stood next to each other in a queue with the same stamp.
    pub(super) ties: usize,
    /// A unicast and a multicast that did.
    pub(super) mixed_ties: usize,
    /// Undecided entries that were pushed.
    pub(super) pushes: usize,
    /// Notices that were read.
    pub(super) notices: usize,
    /// Notices that were queued once more before they were read.
    pub(super) merged: usize,
}

impl Seen {
    /// Adds those of another run.
    pub(super) fn add(&mut self, other: Self) {
        self.ties += other.ties;
        self.mixed_ties += other.mixed_ties;
        self.pushes += other.pushes;
        self.notices += other.notices;
        self.merged += other.merged;
    }
}

/// What a queue delivered.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) id: u32,
    /// What notices do not say.
    pub(super) stamp: Option<Stamp>,
    /// Whether its transaction goes on.
    pub(super) more: bool,
    /// The events that a notice reported.
    pub(super) reports: Vec<u32>,
}

/// What each queue delivered, in the order of its readers' turns.
pub(super) fn in_order<'a>(
    delivered: impl Iterator<Item = &'a (usize, u32, Delivery)>,
    peers: usize,
) -> Vec<Vec<Delivery>> {
    let mut queues = vec![BTreeMap::new(); peers];
    for (peer, turn, delivery) in delivered {
        queues[*peer].insert(*turn, delivery.clone());
    }
    let values = |queue: BTreeMap<u32, Delivery>| queue.into_values().collect();
    queues.into_iter().map(values).collect()
}

/// Deliveries whose stamp is below the one before, and transactions with two stamps, or torn apart.
pub(super) fn misplaced(queues: &[Vec<Delivery>]) -> usize {
    let mut stamps = BTreeMap::new();
    let mut faults = 0;
    for queue in queues {
        for pair in queue.windows(2) {
            let fell = pair[0].stamp.zip(pair[1].stamp);
            let fell = fell.is_some_and(|(earlier, later)| later < earlier);
            faults += usize::from(fell || pair[0].more != (pair[0].id == pair[1].id));
        }
        for delivery in queue {
            let first = *stamps.entry(delivery.id).or_insert(delivery.stamp);
            faults += usize::from(first != delivery.stamp);
        }
    }
    faults
}

/// Counts what the script is interesting for.
pub(super) fn seen(queues: &[Vec<Delivery>], sent: &[(u32, Vec<usize>)], pushes: usize) -> Seen {
    let mut seen = Seen {
        pushes,
        ..Seen::default()
    };
    let multi = |id: u32| sent.iter().any(|(other, to)| *other == id && to.len() > 1);
    for queue in queues {
        for pair in queue.windows(2) {
            let equal = pair[0].stamp.is_some() && pair[0].stamp == pair[1].stamp;
            if equal && pair[0].id != pair[1].id {
                let both = multi(pair[0].id) && multi(pair[1].id);
                seen.ties += usize::from(both);
                seen.mixed_ties += usize::from(!both);
            }
        }
        for delivery in queue.iter().filter(|delivery| delivery.stamp.is_none()) {
            seen.notices += 1;
            seen.merged += delivery.reports.len().saturating_sub(1);
        }
    }
    seen
}

/// The events of notices, each with the deliveries that it must lie between.
pub(super) fn told(script: &Script, queues: &[Vec<Delivery>]) -> Vec<Told> {
    let pushes = || {
        let steps = script.threads.iter().flatten();
        steps.filter_map(|step| match *step {
            Step::Notify(peer, id, moving) => Some((peer, id, moving)),
            _ => None,
        })
    };
    let moving = |id: &u32| pushes().any(|push| push.1 == *id && push.2);
    let told = |(peer, id, moves): (usize, u32, bool)| {
        let notices = |d: &&Delivery| d.stamp.is_none();
        let mut read = queues[peer].iter().filter(notices);
        let by = read.clone().find(|d| d.reports.contains(&id));
        let later = by.map(|d| d.reports.iter().skip_while(|other| **other != id).skip(1));
        let alone = pushes().filter(|push| push.0 == peer).count() == 1;
        Told {
            id,
            by: by.map(|d| d.id),
            last: read.next_back().map(|d| d.id),
            follows: moves || alone,
            // One that was moved while it waited has a new place for all that it reports.
            precedes: later.is_some_and(|mut later| !later.any(moving)),
        }
    };
    pushes().map(told).collect()
}
