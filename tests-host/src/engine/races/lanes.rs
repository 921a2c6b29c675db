// SPDX-License-Identifier: GPL-2.0

//! The end of a turn, and who waits for it.

use super::{
    explore,
    race,
    taken,
    Bench,
    Read,
    ALL, //
};
use crate::core::{
    anchor::Taken,
    inbox::QueueId,
    lane::Turn,
    transaction::Outcome, //
};

/// Sends to the lane of peer 1 and reads it there: the turn is taken, until it is dropped.
fn turn(bench: &Bench) -> Turn<super::B> {
    assert!(taken(&bench.message(3).commit(bench.anchor(0))));
    match bench.anchor(1).take(QueueId::MAIN) {
        Some(Taken::Message(mut got)) => got.message.turn.take().unwrap(),
        _ => panic!("there is a message"),
    }
}

fn messages(reads: &[Read]) -> usize {
    reads
        .iter()
        .filter(|read| matches!(read, Read::Message(_)))
        .count()
}

#[test]
fn a_turn_ends_while_the_next_is_sent() {
    explore("a turn ends, a message comes", ALL, || {
        let bench = Bench::new(2);
        let turn = turn(&bench);
        let send = |b: &Bench| drop(b.message(3).commit(b.anchor(0)));
        race(&bench, send, |_| drop(turn));
        assert_eq!(messages(&bench.read(1)), 1);
        bench.end();
    });
}

/// Both are parked or let out in the order in which they came.
#[test]
fn a_turn_ends_while_two_more_are_sent() {
    explore("a turn ends, two messages come", ALL, || {
        let bench = Bench::new(2);
        let turn = turn(&bench);
        let (first, second) = (bench.message(3), bench.message(3));
        let send = |b: &Bench| {
            let first = first.commit(b.anchor(0));
            assert!(taken(&first));
            assert!(matches!(second.commit(b.anchor(0)), Outcome::Parked(())));
        };
        race(&bench, send, |_| drop(turn));
        let reads = bench.read(1);
        let [Read::Message(one), Read::Message(two)] = reads.as_slice() else {
            panic!("{reads:?}");
        };
        assert!(one.0 < two.0);
        bench.end();
    });
}

#[test]
fn a_turn_ends_while_its_node_does() {
    explore("a turn ends, its node ends", ALL, || {
        let bench = Bench::new(2);
        let turn = turn(&bench);
        assert!(taken(&bench.message(3).commit(bench.anchor(0))));
        race(&bench, |b| b.destroy(1, &[3]), |_| drop(turn));
        let reads = bench.read(1);
        // It came out before the end, or it was dropped.
        let fine = matches!(
            reads.as_slice(),
            [Read::End(3)] | [Read::Message(_), Read::End(3)]
        );
        assert!(fine, "{reads:?}");
        bench.end();
    });
}

#[test]
fn a_turn_ends_while_its_owner_dies() {
    explore("a turn ends, its owner dies", ALL, || {
        let bench = Bench::new(2);
        let turn = turn(&bench);
        assert!(taken(&bench.message(3).commit(bench.anchor(0))));
        race(&bench, |b| b.close(1), |_| drop(turn));
        bench.end();
    });
}

#[test]
fn a_message_is_parked_while_its_node_ends() {
    explore("a message is parked, its node ends", ALL, || {
        let bench = Bench::new(2);
        let turn = turn(&bench);
        let next = bench.message(3);
        race(
            &bench,
            |b| drop(next.commit(b.anchor(0))),
            |b| b.destroy(1, &[3]),
        );
        drop(turn);
        // What came first was dropped with the lane, what came later was refused.
        assert_eq!(bench.read(1), [Read::End(3)]);
        bench.end();
    });
}
