// SPDX-License-Identifier: GPL-2.0

//! What the bus promises, without threads, locks or queues: the model.
//!
//! A run is explained by it if everything that its history shows follows from one sequence of
//! *transactions*, each of which happens at once at its *place*:
//!
//! | transaction | effect at its place |
//! |---|---|
//! | a message, or several together | is due to each receiver, unless its node has ended |
//! | the end of some nodes of one owner | is due to all who hold one; nothing to them is due any more |
//! | a flush | the end of all nodes of a peer, and what was due to it before is due no more |
//! | the turn of a parked message | it is due, as if it were sent now by the owner of its lane |
//!
//! Each reader reads what is due to it in the order of places. The stamps that the engine says are
//! taken as the places, so that there is nothing to search; that they are a sound choice is the
//! first thing that is checked. What has no place (references, counts, turns, calls, the end of a
//! peer) is judged by what was over before it began, and by what it began before.
//!
//! | file | rules |
//! |---|---|
//! | `order` | places are one order, in which nobody's knowledge is contradicted |
//! | `letters` | who reads which message, and why not |
//! | `ends` | who hears of a node's end; which references there can be |
//! | `counts` | what an owner hears of how its nodes are held |
//! | `lanes` | who takes turns |
//! | `calls` | each call is over once |

mod calls;
mod counts;
mod ends;
mod lanes;
mod letters;
mod order;

use super::record::{
    Did,
    Got,
    History,
    Letter,
    Line,
    Routed,
    Span,
    Tick, //
};
use crate::core::personality::Cause;

/// A broken rule, in words.
pub(super) type Verdict = Result<(), String>;

/// The end of a node.
#[derive(Clone, Copy, Debug)]
struct End {
    /// The transaction: an index of `ops`.
    op: usize,
    span: Span,
    stamp: u64,
}

/// When and how a letter was sent.
#[derive(Clone, Copy, Debug)]
struct Sending {
    op: usize,
    span: Span,
    /// Whether it could go to several.
    multi: bool,
}

/// A flush of a peer.
#[derive(Clone, Copy, Debug)]
struct Flush {
    peer: usize,
    span: Span,
    /// Its place, if a node ended with it.
    stamp: Option<u64>,
}

/// Something that was read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    peer: usize,
    line: Line,
    span: Span,
    got: Got,
}

/// A history, and what can be looked up in it.
struct Facts<'a> {
    history: &'a History,
    /// Of each letter.
    sent: Vec<Option<Sending>>,
    /// Of each node.
    ends: Vec<Option<End>>,
    flushes: Vec<Flush>,
    /// Of each peer, when it died.
    shut: Vec<Option<Span>>,
    /// Desks that were left: of whom, which, when.
    left: Vec<(usize, usize, Span)>,
    /// In the order of time.
    readings: Vec<Reading>,
}

impl<'a> Facts<'a> {
    fn new(history: &'a History) -> Self {
        let mut facts = Self {
            history,
            sent: vec![None; history.letters.len()],
            ends: vec![None; history.nodes.len()],
            flushes: Vec::new(),
            shut: vec![None; history.peers],
            left: Vec::new(),
            readings: Vec::new(),
        };
        for (op, done) in history.ops.iter().enumerate() {
            let (peer, span) = (done.peer, done.span);
            match &done.did {
                Did::Sent {
                    letters, policy, ..
                } => {
                    let multi = policy.is_some();
                    for letter in letters {
                        facts.sent[*letter] = Some(Sending { op, span, multi });
                    }
                }
                Did::Ended { nodes, flush } => facts.ended(op, nodes, *flush),
                Did::Took { line, got } => facts.readings.push(Reading {
                    peer,
                    line: *line,
                    span,
                    got: *got,
                }),
                Did::Left { desk } => facts.left.push((peer, *desk, span)),
                Did::Shut => facts.shut[peer] = Some(span),
            }
        }
        facts
    }

    /// A node ends once, with the first transaction that names it.
    fn ended(&mut self, op: usize, nodes: &[usize], flush: bool) {
        let (peer, span) = (self.history.ops[op].peer, self.history.ops[op].span);
        let mut place = None;
        for node in nodes {
            if self.ends[*node].is_none() {
                let stamp = self.history.nodes[*node].death.unwrap_or(0);
                self.ends[*node] = Some(End { op, span, stamp });
                place = Some(stamp);
            }
        }
        if flush {
            self.flushes.push(Flush {
                peer,
                span,
                stamp: place,
            });
        }
    }

    /// What `peer` read on `line`, in its order.
    fn read(&self, peer: usize, line: Line) -> impl Iterator<Item = &Reading> {
        let here = move |reading: &&Reading| (reading.peer, reading.line) == (peer, line);
        self.readings.iter().filter(here)
    }

    /// All lines that somebody read.
    fn lines(&self) -> Vec<(usize, Line)> {
        let mut lines: Vec<_> = self.readings.iter().map(|r| (r.peer, r.line)).collect();
        lines.sort_unstable();
        lines.dedup();
        lines
    }

    /// The readings of a letter.
    fn readings_of(&self, letter: usize) -> impl Iterator<Item = &Reading> {
        let of =
            move |reading: &&Reading| matches!(reading.got, Got::Letter { id, .. } if id == letter);
        self.readings.iter().filter(of)
    }

    /// What the engine asked about a letter.
    fn routed(&self, letter: usize, cause: Cause) -> Option<&Routed> {
        let mut routed = self.history.routed.iter();
        routed.find(|routed| routed.letter == letter && routed.cause == cause)
    }

    /// When a line was closed.
    fn closed(&self, peer: usize, line: Line) -> Option<Span> {
        let left = self
            .left
            .iter()
            .find(|l| Line::Desk(l.1) == line && l.0 == peer);
        left.map(|left| left.2).or(self.shut[peer])
    }

    /// Whether the end of a node may have its place before `tick`.
    fn may_end_before(&self, end: End, tick: Tick) -> bool {
        !self.history.timed || end.stamp < tick
    }

    /// Whether a node had ended before the place of a letter; none if only the engine knows.
    ///
    /// At one stamp, what could go to one only comes first, and the others by a hidden number.
    fn ended_before(&self, end: End, letter: usize, stamp: u64) -> Option<bool> {
        let multi = self.sent[letter].is_some_and(|sent| sent.multi);
        let hidden = multi && end.stamp == stamp;
        (!hidden).then_some(end.stamp < stamp)
    }

    fn letter(&self, id: usize) -> &Letter {
        &self.history.letters[id]
    }
}

/// Whether `history` is one that the bus can have.
pub(super) fn explain(history: &History) -> Verdict {
    let facts = Facts::new(history);
    order::rules(&facts).map_err(|why| format!("order: {why}"))?;
    letters::rules(&facts).map_err(|why| format!("letters: {why}"))?;
    ends::rules(&facts).map_err(|why| format!("ends: {why}"))?;
    counts::rules(&facts).map_err(|why| format!("counts: {why}"))?;
    lanes::rules(&facts).map_err(|why| format!("lanes: {why}"))?;
    calls::rules(&facts).map_err(|why| format!("calls: {why}"))?;
    check(history.overslept == 0, || "a reader was not woken".into())?;
    check(history.torn == 0, || "a payload is torn".into())
}

/// A rule: `holds`, or the words.
fn check(holds: bool, words: impl FnOnce() -> String) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(words())
    }
}
