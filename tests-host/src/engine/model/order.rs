// SPDX-License-Identifier: GPL-2.0

//! Places are one order.
//!
//! 1. All that is read of one transaction has one place, wherever it is read.
//! 2. No line goes back. Two transactions can share a place if only one of them, the later one,
//!    could go to several readers; or if both could: then it is all lines that must agree.
//! 3. A reader is told that more of a transaction follows if and only if it does. (It need not
//!    follow if what was left of it were ends of nodes that nobody holds any more.)
//! 4. On a clock that all share, a transaction has its place while it is made; a message that was
//!    parked, after that.
//! 5. Stamps apart: what the lines say, together with what each peer had sent or read before it
//!    sent, has no cycle. That is judged by the same judge as the scripts about the order alone.

use super::{
    super::record::{
        Did as Done,
        Fate,
        Got, //
    },
    check,
    Facts,
    Reading,
    Verdict, //
};
use crate::order::history::{
    judge,
    Did, //
};
use std::collections::BTreeMap;

/// A reading that has a place.
#[derive(Clone, Copy)]
struct Placed {
    op: usize,
    stamp: u64,
    more: bool,
    multi: bool,
    /// Whether it is news of a node's end.
    end: bool,
}

fn placed(facts: &Facts<'_>, reading: &Reading) -> Option<Placed> {
    match reading.got {
        Got::Letter {
            id, stamp, more, ..
        } => facts.sent[id].map(|sent| Placed {
            op: sent.op,
            stamp,
            more,
            multi: sent.multi,
            end: false,
        }),
        Got::End { node, stamp, more } => facts.ends[node].map(|end| Placed {
            op: end.op,
            stamp,
            more,
            multi: true,
            end: true,
        }),
        _ => None,
    }
}

fn check_line(line: &[Placed]) -> Verdict {
    for pair in line.windows(2) {
        let (one, two) = (pair[0], pair[1]);
        let same = one.op == two.op;
        let tie = one.stamp == two.stamp && (same || two.multi);
        check(one.stamp < two.stamp || tie, || {
            format!("transaction {} is read after {}", two.op, one.op)
        })?;
        check(!same || one.more, || {
            format!("transaction {} goes on unsaid", one.op)
        })?;
        check(same || !one.more || one.end || two.end, || {
            format!("transaction {} was to go on", one.op)
        })?;
    }
    Ok(())
}

fn one_place(stamps: &mut BTreeMap<usize, u64>, line: &[Placed]) -> Verdict {
    for read in line {
        let stamp = *stamps.entry(read.op).or_insert(read.stamp);
        check(stamp == read.stamp, || {
            format!(
                "transaction {} has places {stamp} and {}",
                read.op, read.stamp
            )
        })?;
    }
    Ok(())
}

fn in_time(facts: &Facts<'_>, stamps: &BTreeMap<usize, u64>) -> Verdict {
    for (op, stamp) in stamps {
        let done = &facts.history.ops[*op];
        let parked = match &done.did {
            Done::Sent { letters, .. } => letters
                .iter()
                .any(|letter| facts.letter(*letter).fates.contains(&Fate::Parked)),
            _ => false,
        };
        let span = done.span;
        check(
            span.begin <= *stamp && (parked || *stamp <= span.end),
            || format!("transaction {op}, made in {span:?}, has place {stamp}"),
        )?;
    }
    Ok(())
}

/// What each peer knew when, for the judge. A parked message is sent when its turn comes.
fn knowledge(facts: &Facts<'_>) -> Vec<Vec<Did>> {
    let mut threads = vec![Vec::new(); facts.history.peers];
    for (op, done) in facts.history.ops.iter().enumerate() {
        let peer = done.peer;
        let id = match &done.did {
            Done::Sent { letters, .. } => {
                let delivered = |l: &usize| facts.letter(*l).fates.contains(&Fate::Delivered);
                letters.iter().any(delivered).then_some(op)
            }
            Done::Ended { nodes, .. } => {
                let ours = |n: &usize| facts.ends[*n].is_some_and(|end| end.op == op);
                nodes.iter().any(ours).then_some(op)
            }
            Done::Took { got, .. } => {
                let got = match *got {
                    Got::Letter { id, .. } => facts.sent[id].map(|sent| sent.op),
                    Got::End { node, .. } => facts.ends[node].map(|end| end.op),
                    _ => None,
                };
                let got = got.map(|op| Did::Got {
                    id: op as u32,
                    peer,
                });
                threads[peer].extend(got);
                None
            }
            Done::Left { .. } | Done::Shut => None,
        };
        threads[peer].extend(id.map(|op| Did::Sent {
            id: op as u32,
            peer,
        }));
    }
    threads
}

/// Checks all of them.
pub(super) fn rules(facts: &Facts<'_>) -> Verdict {
    let mut stamps = BTreeMap::new();
    let mut orders = Vec::new();
    let mut delivered = BTreeMap::<u32, Vec<usize>>::new();
    for (number, (peer, line)) in facts.lines().into_iter().enumerate() {
        let line: Vec<Placed> = facts
            .read(peer, line)
            .filter_map(|reading| placed(facts, reading))
            .collect();
        check_line(&line).map_err(|why| format!("peer {peer}: {why}"))?;
        one_place(&mut stamps, &line)?;
        for read in &line {
            delivered.entry(read.op as u32).or_default().push(number);
        }
        orders.push(line.iter().map(|read| read.op as u32).collect());
    }
    if facts.history.timed {
        in_time(facts, &stamps)?;
    }
    // What is lost is not for this judge to say.
    let sent: Vec<(u32, Vec<usize>)> = delivered.into_iter().collect();
    let faults = judge(&knowledge(facts), &orders, &sent);
    check(faults == Default::default(), || format!("{faults:?}"))
}
