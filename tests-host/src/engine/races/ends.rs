// SPDX-License-Identifier: GPL-2.0

//! The end of a node, and references to it that come and go.

use super::super::record::Role;
use super::{
    explore,
    race,
    Bench,
    Read,
    ALL, //
};
use crate::core::{
    destroy::Verdict,
    flush::flush,
    inbox::QueueId,
    transaction::{
        Draft,
        Policy, //
    }, //
};

fn heard(reads: &[Read], node: usize) -> usize {
    reads
        .iter()
        .filter(|read| **read == Read::End(node))
        .count()
}

/// Who gets a reference to a node that is being destroyed hears of its end, and nobody else does.
#[test]
fn a_reference_is_made() {
    explore("a reference is made, its node ends", ALL, || {
        let bench = Bench::new(2);
        let (made, ()) = race(&bench, |b| b.link(2, 0), |b| b.destroy(1, &[2]));
        assert_eq!(heard(&bench.read(0), 2), usize::from(made.is_some()));
        drop(made);
        bench.end();
    });
}

/// The same with a second reference to the same node, which is never denied.
#[test]
fn another_reference_is_made() {
    explore("another reference is made, its node ends", ALL, || {
        let bench = Bench::new(2);
        let first = bench.link(2, 0);
        let (second, ()) = race(&bench, |b| b.link(2, 0), |b| b.destroy(1, &[2]));
        assert!(first.is_some() && second.is_some());
        assert_eq!(heard(&bench.read(0), 2), 1);
        drop((first, second));
        bench.end();
    });
}

/// Two threads make the first reference of one peer: they share a handle, and are told once.
#[test]
fn two_references_are_made() {
    explore("two references are made, their node ends", ALL, || {
        let bench = Bench::new(2);
        let both = race(
            &bench,
            |b| b.link(2, 0),
            |b| {
                let made = b.link(2, 0);
                b.destroy(1, &[2]);
                made
            },
        );
        assert!(both.1.is_some());
        assert_eq!(heard(&bench.read(0), 2), 1);
        drop(both);
        assert_eq!(heard(&bench.read(0), 2), 0);
        bench.end();
    });
}

/// Whoever gave up all his references hears nothing.
#[test]
fn a_reference_is_dropped() {
    explore("a reference is dropped, its node ends", ALL, || {
        let bench = Bench::new(2);
        let made = bench.link(2, 0);
        race(&bench, |_| drop(made), |b| b.destroy(1, &[2]));
        assert_eq!(bench.read(0), []);
        // That nobody holds it any more is not worth a word when it has ended.
        assert_eq!(bench.read(1), [Read::End(2)]);
        bench.end();
    });
}

/// A reference in a message is valid if and only if the news of the end comes after it.
#[test]
fn a_reference_is_sent() {
    explore("a reference is sent, its node ends", ALL, || {
        let bench = Bench::new(3);
        let send = |b: &Bench| {
            let reference = b.link(2, 2);
            if reference.is_none() {
                b.anchor(0).follow(b.node(2));
            }
            let draft = Draft::to(b.node(4)).unwrap();
            let message = b.fill(draft, Role::Post, Some(reference));
            drop(message.commit(b.anchor(0)));
        };
        race(&bench, send, |b| b.destroy(1, &[2]));
        let kept = bench.link(2, 2);
        let reads = bench.read(2);
        match reads.as_slice() {
            [Read::Message((_, Some(true))), Read::End(2)] => {}
            [Read::End(2), Read::Message((_, Some(false)))] => {}
            [Read::Message((_, Some(false)))] => {}
            // It was freed before the news came, and with it the only reference.
            [Read::Message((_, Some(true)))] => {}
            other => panic!("{other:?}"),
        }
        drop(kept);
        bench.end();
    });
}

/// Two threads destroy one node: it ends once.
#[test]
fn a_node_is_destroyed_twice() {
    explore("a node is destroyed twice", 4, || {
        let bench = Bench::new(2);
        let made = bench.link(2, 0);
        race(&bench, |b| b.destroy(1, &[2]), |b| b.destroy(1, &[2, 3]));
        assert_eq!(heard(&bench.read(0), 2), 1);
        let own = bench.read(1);
        assert_eq!((heard(&own, 2), heard(&own, 3)), (1, 1));
        drop(made);
        bench.end();
    });
}

/// An owner is told that nobody holds its node if and only if that is so in the end.
#[test]
fn the_last_reference_goes_while_another_comes() {
    explore("the last reference goes, another comes", ALL, || {
        let bench = Bench::new(3);
        let last = bench.link(2, 0);
        let (made, ()) = race(&bench, |b| b.link(2, 2), |_| drop(last));
        assert!(made.is_some());
        assert_eq!(bench.read(1), []);
        drop(made);
        assert_eq!(bench.read(1), [Read::Counts(2)]);
        bench.end();
    });
}

/// A notice that moves out of a queue which is removed does not come back for a node that ended.
#[test]
fn a_notice_moves() {
    explore(
        "a notice moves to another queue, its node ends",
        ALL,
        || {
            let bench = Bench::new(2);
            let desk = bench.anchor(1).add_queue(Default::default()).unwrap();
            bench.node(2).state(|plate, _| plate.told_at = desk);
            drop(bench.link(2, 0));
            let remove = move |b: &Bench| drop(b.anchor(1).remove_queue(desk));
            race(&bench, remove, |b| b.destroy(1, &[2]));
            let reads = bench.read(1);
            let counts = reads.iter().position(|read| *read == Read::Counts(2));
            assert_eq!(counts, None, "{reads:?}");
            bench.end();
        },
    );
}

/// A multicast is dropped whole by a flush, or comes after it whole.
#[test]
fn a_multicast_meets_a_flush() {
    explore("a multicast, a flush", 4, || {
        let bench = Bench::new(3);
        let held = bench.link(2, 2);
        let restart = |b: &Bench| {
            flush(
                b.anchor(1),
                Verdict::new().unwrap(),
                [b.node(2)].into_iter(),
            )
        };
        let send = |b: &Bench| {
            // To the peer that flushes, at its other node, and to one that watches.
            let sent = b.multicast(&[3, 4]);
            assert!(sent.commit(b.anchor(0), Policy::All, |_, _| ()));
        };
        race(&bench, send, restart);
        let (flushed, watching) = (bench.read(1), bench.read(2));
        let after = match watching.as_slice() {
            [Read::Message(_), Read::End(2)] => false,
            [Read::End(2), Read::Message(_)] => true,
            other => panic!("{other:?}"),
        };
        let left = flushed.iter().any(|read| matches!(read, Read::Message(_)));
        assert_eq!(left, after, "{flushed:?} {watching:?}");
        assert_eq!(bench.anchor(1).take(QueueId::MAIN).is_some(), false);
        drop(held);
        bench.end();
    });
}
