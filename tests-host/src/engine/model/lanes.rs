// SPDX-License-Identifier: GPL-2.0

//! Who takes turns: the messages to a node that has a lane.
//!
//! The engine asks the personality about each message, and so shows in which order they came.
//!
//! 1. They are read in that order.
//! 2. One at a time: nobody reads the next before the one before was about to be freed.
//! 3. A message is parked only if an earlier one is still there, and let out at once only if all
//!    earlier ones that are read were about to be freed.
//! 4. An update that is parked takes the place of the first one that is parked there and that the
//!    same peer sent; nothing else does, and what lost its place is not read.

use super::{
    super::record::{
        Fate,
        Role,
        Routed,
        Span, //
    },
    check,
    Facts,
    Verdict, //
};
use crate::core::personality::Cause;

/// The messages that were taken into the lane of `node`, in order.
fn lane<'a>(facts: &'a Facts<'_>, node: usize) -> Vec<&'a Routed> {
    let routed = facts
        .history
        .routed
        .iter()
        .filter(|r| r.taken && r.cause == Cause::New);
    let mut lane: Vec<&Routed> = routed
        .filter(|routed| {
            let letter = facts.letter(routed.letter);
            let sent = facts.sent[routed.letter].is_some_and(|sent| !sent.multi);
            let turns = matches!(letter.role, Role::Post | Role::Update);
            letter.node == Some(node) && sent && turns
        })
        .collect();
    lane.sort_by_key(|routed| routed.tick);
    lane
}

fn read(facts: &Facts<'_>, letter: usize) -> Option<Span> {
    facts.readings_of(letter).next().map(|reading| reading.span)
}

/// Whether an earlier letter was about to be freed by the time of `tick`, if it is read at all.
fn about_to_be_freed(facts: &Facts<'_>, earlier: usize, tick: u64) -> bool {
    read(facts, earlier).is_none()
        || facts
            .letter(earlier)
            .freed
            .is_some_and(|freed| freed.begin < tick)
}

fn one_after_the_other(facts: &Facts<'_>, lane: &[&Routed]) -> Verdict {
    for (at, routed) in lane.iter().enumerate() {
        let (id, letter) = (routed.letter, facts.letter(routed.letter));
        let earlier: Vec<usize> = lane[..at].iter().map(|routed| routed.letter).collect();
        if let Some(span) = read(facts, id) {
            for other in &earlier {
                let passed = read(facts, *other).is_none_or(|other| other.end <= span.begin);
                check(passed && about_to_be_freed(facts, *other, span.end), || {
                    format!("{id} did not wait for {other}")
                })?;
            }
        }
        if letter.fates.contains(&Fate::Parked) {
            let there = |other: &usize| facts.letter(*other).gone.iter().any(|g| *g > routed.tick);
            check(earlier.iter().any(there), || {
                format!("{id} was parked behind nothing")
            })?;
        } else {
            let free = earlier
                .iter()
                .all(|other| about_to_be_freed(facts, *other, routed.tick));
            check(free, || format!("{id} jumped the queue"))?;
        }
    }
    Ok(())
}

/// Whether `old`, which was there before `new`, was still parked when that came.
fn still_parked(facts: &Facts<'_>, old: &Routed, new: &Routed) -> bool {
    let letter = facts.letter(old.letter);
    let out = facts.routed(old.letter, Cause::Released);
    let replaced = letter.superseded_by.is_some_and(|by| {
        let by = facts.routed(by, Cause::New);
        by.is_some_and(|by| by.tick < new.tick)
    });
    let gone = letter.gone.iter().any(|tick| *tick < new.tick);
    let parked = letter.fates.contains(&Fate::Parked);
    parked && !replaced && !gone && out.is_none_or(|out| out.tick > new.tick)
}

fn places_taken(facts: &Facts<'_>, node: usize, lane: &[&Routed]) -> Verdict {
    for (at, new) in lane.iter().enumerate() {
        let letter = facts.letter(new.letter);
        let took = |old: &usize| facts.letter(*old).superseded_by == Some(new.letter);
        let took: Vec<usize> = (0..facts.history.letters.len()).filter(took).collect();
        let update = letter.role == Role::Update && letter.fates.contains(&Fate::Parked);
        let same = |old: &&&Routed| facts.letter(old.letter).from == letter.from;
        let older = lane[..at].iter().filter(same);
        let first = older
            .filter(|_| update)
            .find(|old| still_parked(facts, old, new));
        // Meanwhile the end of the node may empty the lane.
        let ending = facts.ends[node].is_some_and(|end| end.span.begin < new.tick);
        let fits = match (took.as_slice(), first) {
            ([], None) => true,
            ([], Some(_)) => ending,
            ([took], first) => first.is_some_and(|first| first.letter == *took),
            _ => false,
        };
        check(fits, || {
            format!("{} took the places of {took:?}", new.letter)
        })?;
        for old in took {
            check(read(facts, old).is_none(), || {
                format!("{old} was superseded and read")
            })?;
        }
    }
    Ok(())
}

/// Checks all of them.
pub(super) fn rules(facts: &Facts<'_>) -> Verdict {
    let nodes = facts.history.nodes.iter().enumerate();
    for (node, _) in nodes.filter(|(_, fact)| fact.lane) {
        let lane = lane(facts, node);
        one_after_the_other(facts, &lane)?;
        places_taken(facts, node, &lane)?;
    }
    Ok(())
}
