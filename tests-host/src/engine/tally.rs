// SPDX-License-Identifier: GPL-2.0

//! What happened in all runs together, so that a pass can be seen to mean something.

use super::record::{
    Did,
    Fate,
    Got,
    History,
    Letter,
    Reference,
    Role,
    Span, //
};
use crate::core::{
    personality::Cause,
    transaction::Policy, //
};
use std::{
    collections::BTreeMap,
    fmt, //
};

/// How often each kind of event happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(BTreeMap<&'static str, u64>);

const SCHEDULES: &str = "schedules";

/// Events that a run of many programs must show.
pub(super) const EXPECTED: &[&str] = &[
    "answered",
    "born dead",
    "calls failed",
    "calls failed up the chain",
    "cancelled",
    "counts heard",
    "dead on arrival",
    "deliveries",
    "desks left",
    "ends",
    "ends heard",
    "ends of several nodes",
    "flushes",
    "kills",
    "let out",
    "made during an end",
    "multicasts",
    "parked",
    "pushes",
    "refused",
    "refused by one of several",
    "refused late",
    "superseded",
    "taken and not read",
    "transfers",
    "valid on arrival",
];

impl Tally {
    /// Counts `n` times `what`.
    pub(super) fn add(&mut self, what: &'static str, n: usize) {
        *self.0.entry(what).or_default() += n as u64;
    }

    /// Adds those of another.
    pub(super) fn merge(&mut self, other: &Self) {
        for (what, n) in &other.0 {
            *self.0.entry(what).or_default() += n;
        }
    }

    /// The expected events that never happened.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let there = |what: &&&str| self.0.get(**what).copied().unwrap_or(0) == 0;
        EXPECTED.iter().filter(there).copied().collect()
    }

    /// Counts what happened in a run.
    pub(super) fn take(&mut self, history: &History) {
        self.add(SCHEDULES, 1);
        self.letters(history);
        self.references(history);
        self.steps(history);
        let late = history.routed.iter().filter(|r| r.cause == Cause::Released);
        late.for_each(|r| self.add(if r.taken { "let out" } else { "refused late" }, 1));
    }

    fn letters(&mut self, history: &History) {
        let read = |id: usize| {
            let mut ops = history.ops.iter();
            ops.any(
                |op| matches!(op.did, Did::Took { got: Got::Letter { id: n, .. }, .. } if n == id),
            )
        };
        for (id, letter) in history.letters.iter().enumerate() {
            let has = |fate| letter.fates.contains(&fate);
            let taken = has(Fate::Delivered) || has(Fate::Parked);
            self.add("refused", usize::from(has(Fate::Refused)));
            self.add("cancelled", usize::from(has(Fate::Cancelled)));
            self.add("parked", usize::from(has(Fate::Parked)));
            self.add("superseded", usize::from(letter.superseded_by.is_some()));
            self.add("taken and not read", usize::from(taken && !read(id)));
            self.add("never sent", usize::from(letter.fates.is_empty()));
            self.add("transfers", usize::from(taken && letter.carries.is_some()));
        }
    }

    fn references(&mut self, history: &History) {
        let ends = history.ops.iter().filter_map(|op| match &op.did {
            Did::Ended { nodes, .. } => Some((nodes, op.span)),
            _ => None,
        });
        let ends: Vec<(&Vec<usize>, Span)> = ends.collect();
        let during = |r: &&Reference| {
            let over = |span: Span| !span.before(r.made) && !r.made.before(span);
            r.ok && ends
                .iter()
                .any(|end| end.0.contains(&r.node) && over(end.1))
        };
        let references = &history.references;
        self.add(
            "made during an end",
            references.iter().filter(during).count(),
        );
        self.add("born dead", references.iter().filter(|r| !r.ok).count());
    }

    fn steps(&mut self, history: &History) {
        let rest = history.quiet.first().map_or(0, |quiet| quiet.tick);
        for op in &history.ops {
            match &op.did {
                Did::Sent {
                    letters,
                    policy: Some(policy),
                    committed,
                } => {
                    let refused = |l: &&usize| history.letters[**l].fates.contains(&Fate::Refused);
                    let split = *policy == Policy::Any && letters.iter().any(|l| refused(&l));
                    self.add("multicasts", usize::from(*committed));
                    self.add(
                        "refused by one of several",
                        usize::from(split && *committed),
                    );
                }
                Did::Sent { .. } => self.add("unicasts", 1),
                // At the very end everybody dies; that does not count.
                Did::Ended { nodes, flush } if op.span.begin < rest => {
                    self.add("ends", 1);
                    self.add("ends of several nodes", usize::from(nodes.len() > 1));
                    self.add("flushes", usize::from(*flush));
                }
                Did::Ended { .. } => {}
                Did::Took { got, .. } => self.got(history, *got),
                Did::Left { .. } => self.add("desks left", 1),
                Did::Shut => self.add("kills", usize::from(op.span.begin < rest)),
            }
        }
    }

    fn got(&mut self, history: &History, got: Got) {
        match got {
            Got::Nothing => self.add("found nothing", 1),
            Got::Letter { id, valid, .. } => {
                let letter: &Letter = &history.letters[id];
                let made = |(_, id): (usize, Option<usize>)| id.map(|id| history.references[id].ok);
                let made = letter.carries.and_then(made).unwrap_or(false);
                self.add("deliveries", 1);
                self.add(
                    "answered",
                    usize::from(matches!(letter.role, Role::Answer(_))),
                );
                self.add("valid on arrival", usize::from(valid == Some(true)));
                self.add("dead on arrival", usize::from(valid == Some(false) && made));
            }
            Got::End { .. } => self.add("ends heard", 1),
            Got::Counts { .. } => self.add("counts heard", 1),
            Got::Failed { call, .. } => {
                let passed = history.letters.iter().any(|letter| {
                    let on =
                        matches!(letter.role, Role::Call { parent, .. } if parent == Some(call));
                    on && letter.fates.contains(&Fate::Delivered)
                });
                self.add("calls failed", 1);
                self.add("calls failed up the chain", usize::from(passed));
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |what| self.0.get(what).copied().unwrap_or(0);
        // What a report adds up comes first.
        write!(f, "{} {SCHEDULES}", count(SCHEDULES))?;
        for (what, n) in self.0.iter().filter(|(what, _)| **what != SCHEDULES) {
            write!(f, ", {n} {what}")?;
        }
        Ok(())
    }
}
