// SPDX-License-Identifier: GPL-2.0

//! Whether the model refuses what can't be: histories of real runs, each changed in one respect.

use super::{
    model::explain,
    program::program,
    record::{
        Did,
        Fate,
        Got,
        History,
        Line,
        Op,
        Span, //
    },
    run::play, //
};
use crate::host::clock::Fine;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        Mutex, //
    }, //
};

/// Runs whose histories are changed.
const RUNS: usize = 60;

/// Something that must not be believed, and how to bring it about; none where it can't be.
type Tampering = (&'static str, fn(&mut History) -> Option<()>);

const TAMPERINGS: &[Tampering] = &[
    ("a message is lost", lose_letter),
    ("a message comes twice", |history| again(history, is_letter)),
    ("two messages change places", change_places),
    ("a multicast has two places", shift_one_of_many),
    ("a message comes before it is sent", come_early),
    (
        "a reference is valid after the end, or not before",
        flip_validity,
    ),
    ("an end is not heard of", forget_end),
    ("an end is heard of twice", |history| again(history, is_end)),
    (
        "the end of a node is heard of that was not held",
        hear_unheld,
    ),
    ("an owner is not told", forget_counts),
    ("an owner is told for no reason", |history| {
        again(history, is_counts)
    }),
    ("a call fails that was answered", fail_answered),
    ("a failure is not told", |history| {
        forget(history, is_failure)
    }),
    ("a call fails twice", |history| again(history, is_failure)),
    ("a refused message is said to be delivered", deliver_refused),
    ("a message that was read is said to be refused", refuse_read),
    ("a reference to a live node is denied", deny_reference),
    ("a parked message was let out at once", unpark),
    ("a message is dropped twice", drop_twice),
    ("a message is never dropped", |history| {
        history.letters.first_mut()?.gone.clear();
        Some(())
    }),
    ("a reader is not woken", |history| {
        history.overslept = 1;
        Some(())
    }),
];

fn is_letter(got: Got) -> bool {
    matches!(got, Got::Letter { .. })
}

fn is_end(got: Got) -> bool {
    matches!(got, Got::End { .. })
}

fn is_counts(got: Got) -> bool {
    matches!(got, Got::Counts { .. })
}

fn is_failure(got: Got) -> bool {
    matches!(got, Got::Failed { .. })
}

fn got(op: &Op) -> Option<Got> {
    match op.did {
        Did::Took { got, .. } => Some(got),
        _ => None,
    }
}

/// Peers that did nothing in the run that excuses much: they live to its end, with their nodes.
fn steady(history: &History) -> Vec<usize> {
    let rest = history.quiet.last().map_or(0, |quiet| quiet.tick);
    let ends = |op: &&Op| matches!(op.did, Did::Shut | Did::Ended { .. } | Did::Left { .. });
    let early = history.ops.iter().filter(|op| op.span.begin < rest);
    let early: Vec<usize> = early.filter(ends).map(|op| op.peer).collect();
    (0..history.peers)
        .filter(|peer| !early.contains(peer))
        .collect()
}

/// The first reading of a steady peer that is `wanted`.
fn find(history: &History, wanted: fn(Got) -> bool) -> Option<usize> {
    let steady = steady(history);
    let fits = |op: &Op| steady.contains(&op.peer) && got(op).is_some_and(wanted);
    history.ops.iter().position(fits)
}

fn forget(history: &mut History, wanted: fn(Got) -> bool) -> Option<()> {
    let at = find(history, wanted)?;
    history.ops.remove(at);
    Some(())
}

fn again(history: &mut History, wanted: fn(Got) -> bool) -> Option<()> {
    let at = find(history, wanted)?;
    let op = history.ops[at].clone();
    history.ops.insert(at + 1, op);
    Some(())
}

fn lose_letter(history: &mut History) -> Option<()> {
    forget(history, |got| {
        matches!(got, Got::Letter { more: false, .. })
    })
}

/// Swaps two readings of one line that belong to different transactions.
fn change_places(history: &mut History) -> Option<()> {
    let mut before = BTreeMap::<(usize, Line), usize>::new();
    for at in 0..history.ops.len() {
        let Did::Took {
            line,
            got: Got::Letter { stamp, .. },
        } = history.ops[at].did
        else {
            continue;
        };
        let peer = history.ops[at].peer;
        let earlier = before.insert((peer, line), at);
        let Some(earlier) = earlier else {
            continue;
        };
        if let Some(Got::Letter { stamp: first, .. }) = got(&history.ops[earlier]) {
            if first < stamp {
                let did = history.ops[at].did.clone();
                let other = std::mem::replace(&mut history.ops[earlier].did, did);
                history.ops[at].did = other;
                return Some(());
            }
        }
    }
    None
}

fn change_stamp(history: &mut History, wanted: usize, change: fn(u64) -> u64) -> Option<()> {
    history.ops.iter_mut().find_map(|op| match &mut op.did {
        Did::Took {
            got: Got::Letter { id, stamp, .. },
            ..
        } if *id == wanted => {
            *stamp = change(*stamp);
            Some(())
        }
        _ => None,
    })
}

fn read(history: &History, letter: usize) -> bool {
    let of = |got| matches!(got, Got::Letter { id, .. } if id == letter);
    history.ops.iter().any(|op| got(op).is_some_and(of))
}

fn shift_one_of_many(history: &mut History) -> Option<()> {
    let many = history.ops.iter().find_map(|op| match &op.did {
        Did::Sent { letters, .. } => {
            let read: Vec<usize> = letters
                .iter()
                .copied()
                .filter(|l| read(history, *l))
                .collect();
            (read.len() > 1).then_some(read)
        }
        _ => None,
    })?;
    change_stamp(history, many[1], |stamp| stamp + 2)
}

fn come_early(history: &mut History) -> Option<()> {
    let early = (0..history.letters.len()).find(|letter| read(history, *letter))?;
    change_stamp(history, early, |_| 2)
}

fn flip_validity(history: &mut History) -> Option<()> {
    history.ops.iter_mut().find_map(|op| match &mut op.did {
        Did::Took {
            got: Got::Letter {
                valid: Some(valid), ..
            },
            ..
        } => {
            *valid = !*valid;
            Some(())
        }
        _ => None,
    })
}

fn hear_unheld(history: &mut History) -> Option<()> {
    let at = history
        .ops
        .iter()
        .position(|op| got(op).is_some_and(is_end))?;
    let Some(Got::End { node, .. }) = got(&history.ops[at]) else {
        return None;
    };
    let peer = history.ops[at].peer;
    history
        .references
        .retain(|r| (r.holder, r.node) != (peer, node));
    // The numbers of references mean others now; nothing but this is looked at before.
    history
        .letters
        .iter_mut()
        .for_each(|letter| letter.carries = None);
    history.ops.iter_mut().for_each(|op| {
        if let Did::Took {
            got: Got::Letter { valid, .. },
            ..
        } = &mut op.did
        {
            *valid = None;
        }
    });
    Some(())
}

/// Forgets that a peer heard of an end, if it holds the node until all have come to rest.
fn forget_end(history: &mut History) -> Option<()> {
    let steady = steady(history);
    let rest = history.quiet.first()?.tick;
    let held = |op: &Op| {
        let Some(Got::End { node, .. }) = got(op) else {
            return false;
        };
        let nothing = |look: &&Op| {
            let main = matches!(
                look.did,
                Did::Took {
                    line: Line::Main,
                    got: Got::Nothing
                }
            );
            main && look.peer == op.peer && look.span.end < rest && op.span.before(look.span)
        };
        let mut held = history
            .references
            .iter()
            .filter(|r| (r.holder, r.node) == (op.peer, node));
        let last = history.ops.iter().rfind(nothing);
        last.is_some_and(|look| {
            let until = |dropped: Span| look.span.before(dropped);
            held.any(|r| r.ok && r.made.before(look.span) && r.dropped.is_some_and(until))
        })
    };
    let at = history
        .ops
        .iter()
        .position(|op| steady.contains(&op.peer) && held(op))?;
    history.ops.remove(at);
    Some(())
}

/// Forgets all that an owner heard of a node that somebody had held strongly.
fn forget_counts(history: &mut History) -> Option<()> {
    let steady = steady(history);
    let held = |node: usize| {
        let mut references = history.references.iter();
        references.any(|r| r.node == node && r.strong && r.ok)
    };
    let fits = |op: &&Op| {
        let node = match got(op) {
            Some(Got::Counts { node }) => node,
            _ => return false,
        };
        steady.contains(&op.peer) && held(node)
    };
    let (peer, news) = history.ops.iter().find(fits).map(|op| (op.peer, got(op)))?;
    history.ops.retain(|op| op.peer != peer || got(op) != news);
    Some(())
}

fn fail_answered(history: &mut History) -> Option<()> {
    let roles: Vec<_> = history.letters.iter().map(|letter| letter.role).collect();
    history.ops.iter_mut().find_map(|op| match &mut op.did {
        Did::Took { got, .. } => match *got {
            Got::Letter { id, parent, .. } => match roles[id] {
                super::record::Role::Answer(call) => {
                    *got = Got::Failed { call, parent };
                    Some(())
                }
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}

fn change_fate(history: &mut History, letter: Option<usize>, fate: Fate) -> Option<()> {
    history.letters[letter?].fates = vec![fate];
    Some(())
}

fn deliver_refused(history: &mut History) -> Option<()> {
    let steady = steady(history);
    let letter = history
        .letters
        .iter()
        .position(|letter| letter.fates == [Fate::Refused] && steady.contains(&letter.to.0));
    change_fate(history, letter, Fate::Delivered)
}

fn refuse_read(history: &mut History) -> Option<()> {
    let letter = (0..history.letters.len()).find(|letter| read(history, *letter));
    change_fate(history, letter, Fate::Refused)
}

fn deny_reference(history: &mut History) -> Option<()> {
    let rest = history.quiet.first().map_or(0, |quiet| quiet.tick);
    let lives = |node: usize| history.nodes[node].death.is_some_and(|death| death > rest);
    let living = history
        .references
        .iter()
        .position(|r| r.strong && r.ok && lives(r.node))?;
    history.references[living].ok = false;
    Some(())
}

fn unpark(history: &mut History) -> Option<()> {
    let steady = steady(history);
    let parked = history.letters.iter().enumerate().position(|(id, letter)| {
        letter.fates == [Fate::Parked] && read(history, id) && steady.contains(&letter.to.0)
    });
    change_fate(history, parked, Fate::Delivered)
}

fn drop_twice(history: &mut History) -> Option<()> {
    let letter = history
        .letters
        .iter_mut()
        .find(|letter| letter.gone.len() == 1)?;
    letter.gone.push(letter.gone[0]);
    Some(())
}

#[test]
fn the_model_refuses_what_cannot_be() {
    let histories = Arc::new(Mutex::new(Vec::new()));
    let seed = Arc::new(Mutex::new(0));
    let out = histories.clone();
    let run = move || {
        let seed = {
            let mut seed = seed.lock().unwrap();
            *seed += 1;
            *seed
        };
        let history = play::<Fine>(&program(seed)).expect("a run ends well");
        out.lock().unwrap().push(history);
    };
    shuttle::check_random_with_seed(run, 1, RUNS);
    let histories = std::mem::take(&mut *histories.lock().unwrap());
    assert!(histories.iter().all(|history| explain(history).is_ok()));
    for (what, tamper) in TAMPERINGS {
        let mut tampered = 0;
        for history in &histories {
            let mut history = history.clone();
            if tamper(&mut history).is_some() {
                tampered += 1;
                assert!(explain(&history).is_err(), "believed: {what}\n{history}");
            }
        }
        println!("{what}: not believed, {tampered} times");
        assert!(tampered > 0, "never: {what}");
    }
}
