// SPDX-License-Identifier: GPL-2.0

//! Who reads which message, and why not.
//!
//! 1. Each letter that was sent has one fate, and is dropped once in the end. If one of several is
//!    refused, then under [`Policy::All`] none is taken, and under [`Policy::Any`] just the others.
//! 2. Only what was taken is read: once, by whom it was sent to.
//! 3. Nothing is read by whose node had ended, nor what was due before a flush.
//! 4. A reference in it is valid if and only if its node has not ended before it. (Without a clock
//!    that all share, that is said only of ends of which its reader hears, or of which its sender
//!    knew.)
//! 5. What was taken and is not read has an [`Excuse`]. When all have come to rest, nothing is left.
//! 6. Who finds nothing has read all that was sent before he looked, or it has an excuse by then.

use super::{
    super::record::{
        Did,
        Fate,
        Got,
        Line,
        Tick, //
    },
    check,
    Facts,
    Flush,
    Reading,
    Verdict, //
};
use crate::core::{
    personality::Cause,
    transaction::Policy, //
};

/// Why a letter that was taken is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excuse {
    /// Its receiver was dying, or left its desk.
    Closed,
    /// Its receiver dropped all that it had got.
    Flushed,
    /// Its node had ended.
    Ended,
    /// A newer one took its place in the lane.
    Superseded,
    /// It was refused when its turn came.
    RefusedLate,
}

/// The last tick at which a letter can have its place.
fn latest(facts: &Facts<'_>, id: usize) -> Option<Tick> {
    let sent = facts.sent[id]?;
    if facts.letter(id).fates.contains(&Fate::Parked) {
        // It was stamped when it was let out, if it was.
        return facts.routed(id, Cause::Released).map(|routed| routed.tick);
    }
    let told = |reading: &Reading| match reading.got {
        Got::Letter { id, stamp, .. } => {
            let same = facts.sent[id].is_some_and(|other| other.op == sent.op);
            // Its own place is not beyond it.
            same.then_some(stamp + 1)
        }
        _ => None,
    };
    let known = facts.readings.iter().find_map(told);
    known
        .filter(|_| facts.history.timed)
        .or(Some(sent.span.end))
}

fn may_flush(facts: &Facts<'_>, flush: &Flush, id: usize) -> bool {
    let Some(sent) = facts.sent[id] else {
        return false;
    };
    let there = sent.span.begin < flush.span.end;
    let before = match flush.stamp {
        Some(stamp) if facts.history.timed => sent.span.begin < stamp,
        _ => true,
    };
    (facts.letter(id).to == (flush.peer, Line::Main)) && there && before
}

/// Why letter `id` need not be read by tick `by`.
pub(super) fn excuse(facts: &Facts<'_>, id: usize, by: Tick) -> Option<Excuse> {
    let letter = facts.letter(id);
    let late = facts.routed(id, Cause::Released);
    if letter.superseded_by.is_some() {
        return Some(Excuse::Superseded);
    }
    if late.is_some_and(|routed| !routed.taken) {
        return Some(Excuse::RefusedLate);
    }
    let closed = facts.closed(letter.to.0, letter.to.1);
    if closed.is_some_and(|span| span.begin < by) {
        return Some(Excuse::Closed);
    }
    let mut flushes = facts.flushes.iter().filter(|flush| flush.span.begin < by);
    if flushes.any(|flush| may_flush(facts, flush, id)) {
        return Some(Excuse::Flushed);
    }
    let end = letter.node.and_then(|node| facts.ends[node]);
    // What was never let out is dropped with its lane.
    let ended = end.is_some_and(|end| {
        end.span.begin < by && latest(facts, id).is_none_or(|tick| facts.may_end_before(end, tick))
    });
    ended.then_some(Excuse::Ended)
}

/// When all had come to rest, but for their end.
fn at_rest(facts: &Facts<'_>) -> Tick {
    facts.history.quiet.last().map_or(0, |quiet| quiet.tick)
}

fn one_fate(facts: &Facts<'_>) -> Verdict {
    for (id, letter) in facts.history.letters.iter().enumerate() {
        let fates = usize::from(facts.sent[id].is_some());
        check(letter.fates.len() == fates, || {
            format!("letter {id} has fates {:?}", letter.fates)
        })?;
        let rest = at_rest(facts);
        check(letter.gone.len() == 1 && letter.gone[0] < rest, || {
            format!(
                "letter {id} was dropped at {:?}, rest was at {rest}",
                letter.gone
            )
        })?;
    }
    for op in &facts.history.ops {
        let Did::Sent {
            letters,
            policy,
            committed,
        } = &op.did
        else {
            continue;
        };
        let fates: Vec<Fate> = letters
            .iter()
            .flat_map(|l| facts.letter(*l).fates.clone())
            .collect();
        let some = |fate| fates.contains(&fate);
        let taken = some(Fate::Delivered) || some(Fate::Parked);
        let split = some(Fate::Refused) && taken;
        let rule = match policy {
            Some(Policy::All) => !split && (some(Fate::Refused) || !some(Fate::Cancelled)),
            _ => !some(Fate::Cancelled),
        };
        check(rule && *committed == taken, || {
            format!("letters {letters:?} under {policy:?} have fates {fates:?}, {committed}")
        })?;
    }
    Ok(())
}

fn read_rightly(facts: &Facts<'_>, id: usize) -> Verdict {
    let letter = facts.letter(id);
    let taken = [Fate::Delivered, Fate::Parked]
        .iter()
        .any(|f| letter.fates.contains(f));
    let readings: Vec<&Reading> = facts.readings_of(id).collect();
    check(readings.len() <= usize::from(taken), || {
        format!("{id} is read {} times", readings.len())
    })?;
    let Some(reading) = readings.first() else {
        let excused = !taken || excuse(facts, id, at_rest(facts)).is_some();
        return check(excused, || format!("{id} is lost: {letter:?}"));
    };
    let Got::Letter { stamp, valid, .. } = reading.got else {
        return Ok(());
    };
    check((reading.peer, reading.line) == letter.to, || {
        format!("{id} is read by another")
    })?;
    let end = letter.node.and_then(|node| facts.ends[node]);
    let ended = end.and_then(|end| facts.ended_before(end, id, stamp));
    check(ended != Some(true), || {
        format!("{id} is read at {stamp}, after its node ended")
    })?;
    if let (Some((node, reference)), Some(valid)) = (letter.carries, valid) {
        let fits = validity(facts, reading, id, (node, reference), stamp);
        check(fits.is_none_or(|fits| fits == valid), || {
            format!("{id}, read at {stamp}, carries {node}: valid is {valid}")
        })?;
    }
    let flushed = facts.flushes.iter().any(|flush| {
        let after = flush.span.before(reading.span) && flush.peer == reading.peer;
        // At one stamp, a hidden number decides between two that could go to several.
        let last = u64::from(facts.sent[id].is_some_and(|sent| !sent.multi));
        let before = flush.stamp.is_some_and(|place| stamp < place + last);
        let due = before || over(facts, id, flush.span.begin);
        after && reading.line == Line::Main && due
    });
    check(!flushed, || format!("{id} survived a flush"))
}

/// Whether the reference in a letter has to be valid; none if that can't be said.
fn validity(
    facts: &Facts<'_>,
    reading: &Reading,
    id: usize,
    (node, reference): (usize, Option<usize>),
    stamp: u64,
) -> Option<bool> {
    let Some(end) = facts.ends[node] else {
        return Some(true);
    };
    let before = facts.ended_before(end, id, stamp).map(|ended| !ended);
    let known = reference.is_some_and(|reference| !facts.history.references[reference].ok);
    if facts.history.timed || known {
        return before;
    }
    let news = |r: &&Reading| matches!(r.got, Got::End { node: n, .. } if n == node);
    let heard = facts.read(reading.peer, reading.line).find(news)?;
    Some(reading.span.before(heard.span))
}

/// Whether a letter was due at `tick`: its sending was over, and it was not parked.
fn over(facts: &Facts<'_>, id: usize, tick: Tick) -> bool {
    let delivered = facts.letter(id).fates.contains(&Fate::Delivered);
    delivered && facts.sent[id].is_some_and(|sent| sent.span.end < tick)
}

fn nothing_hidden(facts: &Facts<'_>) -> Verdict {
    for look in facts.readings.iter().filter(|r| r.got == Got::Nothing) {
        for id in 0..facts.history.letters.len() {
            let due =
                facts.letter(id).to == (look.peer, look.line) && over(facts, id, look.span.begin);
            let read = || facts.readings_of(id).any(|r| r.span.end <= look.span.begin);
            let hidden = due && !read() && excuse(facts, id, look.span.end).is_none();
            check(!hidden, || {
                format!("{id} was hidden from its reader in {:?}", look.span)
            })?;
        }
    }
    Ok(())
}

/// Checks all of them.
pub(super) fn rules(facts: &Facts<'_>) -> Verdict {
    one_fate(facts)?;
    (0..facts.history.letters.len()).try_for_each(|id| read_rightly(facts, id))?;
    nothing_hidden(facts)
}
