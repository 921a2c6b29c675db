// SPDX-License-Identifier: GPL-2.0

//! Who hears of a node's end, and which references there can be.
//!
//! A peer *surely holds* a node in a span if one of its references was made before and dropped
//! after; it *may hold* it if references could have overlapped there.
//!
//! 1. A peer hears of an end at most once, at the place of the end, and if it may have held the
//!    node when that ended and when it heard.
//! 2. Who finds nothing and surely holds a node that ended has heard of it, unless it flushed.
//! 3. No reference to a live node is denied; nor to a node that the peer surely holds.
//! 4. A peer that can't hold an ended node gets no reference to it any more.
//! 5. The nodes of one transaction end at one place, and all that are named have ended.

use super::{
    super::record::{
        Did,
        Got,
        Line,
        Reference,
        Span, //
    },
    check,
    End,
    Facts,
    Reading,
    Verdict, //
};

fn of<'a>(facts: &'a Facts<'_>, holder: usize, node: usize) -> impl Iterator<Item = &'a Reference> {
    let those = move |r: &&Reference| r.ok && (r.holder, r.node) == (holder, node);
    facts.history.references.iter().filter(those)
}

/// Whether the peer can have had this reference at some time in `span`.
fn overlaps(reference: &Reference, span: Span) -> bool {
    let dropped = reference
        .dropped
        .is_some_and(|dropped| dropped.before(span));
    !span.before(reference.made) && !dropped
}

/// Whether the peer had this reference all the time.
fn spans(reference: &Reference, span: Span) -> bool {
    let dropped = reference
        .dropped
        .is_some_and(|dropped| dropped.begin < span.end);
    reference.made.before(span) && !dropped
}

fn heard(facts: &Facts<'_>, peer: usize, node: usize) -> Vec<Reading> {
    let news = |r: &&Reading| matches!(r.got, Got::End { node: n, .. } if n == node);
    facts.read(peer, Line::Main).filter(news).copied().collect()
}

/// Whether `peer` dropped the news of `end` before `by`.
fn flushed(facts: &Facts<'_>, peer: usize, end: End, by: Span) -> bool {
    facts.flushes.iter().any(|flush| {
        let place = flush.stamp.is_none_or(|place| place >= end.stamp);
        flush.peer == peer && flush.span.begin < by.end && place
    })
}

fn told_rightly(facts: &Facts<'_>, peer: usize, node: usize) -> Verdict {
    let news = heard(facts, peer, node);
    check(news.len() <= 1, || {
        format!("peer {peer} heard {} times of {node}", news.len())
    })?;
    let Some(end) = facts.ends[node] else {
        return check(news.is_empty(), || {
            format!("peer {peer} heard of {node}, which lives")
        });
    };
    for reading in &news {
        let place = matches!(reading.got, Got::End { stamp, .. } if stamp == end.stamp);
        check(place, || {
            format!("peer {peer} heard of {node} at {:?}", reading.got)
        })?;
        let held = |span| of(facts, peer, node).any(|r| overlaps(r, span));
        check(held(end.span) && held(reading.span), || {
            format!("peer {peer} heard of {node}, which it did not hold")
        })?;
    }
    let looks = facts
        .read(peer, Line::Main)
        .filter(|r| r.got == Got::Nothing);
    for look in looks.filter(|look| end.span.before(look.span)) {
        let due = of(facts, peer, node).any(|reference| spans(reference, look.span));
        let told = news.iter().any(|news| news.span.end <= look.span.begin);
        check(!due || told || flushed(facts, peer, end, look.span), || {
            format!("peer {peer} was not told of {node} by {:?}", look.span)
        })?;
    }
    Ok(())
}

fn made_rightly(facts: &Facts<'_>, reference: &Reference) -> Verdict {
    let (holder, node, made) = (reference.holder, reference.node, reference.made);
    let end = facts.ends[node];
    if !reference.ok {
        let ended = end.is_some_and(|end| end.span.begin < made.end);
        let held = of(facts, holder, node).any(|other| spans(other, made));
        return check(ended && !held, || format!("denied: {reference:?}"));
    }
    let late = end.is_some_and(|end| end.span.before(made));
    let older = |other: &Reference| other.made.begin < made.begin && overlaps(other, made);
    check(!late || of(facts, holder, node).any(older), || {
        format!("too late: {reference:?}")
    })
}

/// Checks all of them.
pub(super) fn rules(facts: &Facts<'_>) -> Verdict {
    for (op, done) in facts.history.ops.iter().enumerate() {
        let Did::Ended { nodes, .. } = &done.did else {
            continue;
        };
        let ours = nodes
            .iter()
            .filter_map(|n| facts.ends[*n])
            .filter(|end| end.op == op);
        let stamps: Vec<u64> = ours.map(|end| end.stamp).collect();
        let one = stamps
            .iter()
            .all(|stamp| *stamp == stamps[0] && *stamp != 0);
        check(one, || format!("nodes {nodes:?} ended at {stamps:?}"))?;
    }
    for node in 0..facts.history.nodes.len() {
        (0..facts.history.peers).try_for_each(|peer| told_rightly(facts, peer, node))?;
    }
    let mut references = facts.history.references.iter();
    references.try_for_each(|reference| made_rightly(facts, reference))
}
