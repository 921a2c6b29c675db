// SPDX-License-Identifier: GPL-2.0

//! A peer dies while it is sent to, or read from.

use super::{
    explore,
    race,
    taken,
    Bench,
    Read,
    ALL, //
};
use crate::core::transaction::{
    Outcome,
    Policy, //
};

fn messages(reads: &[Read]) -> usize {
    reads
        .iter()
        .filter(|read| matches!(read, Read::Message(_)))
        .count()
}

#[test]
fn a_message_comes() {
    explore("a message comes, its receiver dies", ALL, || {
        let bench = Bench::new(2);
        let message = bench.message(2);
        race(
            &bench,
            |b| drop(message.commit(b.anchor(0))),
            |b| b.close(1),
        );
        assert_eq!(messages(&bench.read(1)), 0);
        bench.end();
    });
}

/// Under `All`, the other receiver gets it if and only if the dying one was there for it.
#[test]
fn a_multicast_to_all_comes() {
    explore("a multicast to all comes, a receiver dies", ALL, || {
        let bench = Bench::new(3);
        let multicast = bench.multicast(&[2, 4]);
        let send = |b: &Bench| {
            let mut told = 0;
            let sent = multicast.commit(b.anchor(0), Policy::All, |_, outcome| {
                told += usize::from(matches!(outcome, Outcome::Delivered(())));
            });
            assert_eq!(told, if sent { 2 } else { 0 });
            sent
        };
        let (sent, ()) = race(&bench, send, |b| b.close(1));
        assert_eq!(messages(&bench.read(2)), usize::from(sent));
        bench.end();
    });
}

/// Under `Any`, it gets it in any case.
#[test]
fn a_multicast_to_any_comes() {
    explore("a multicast to any comes, a receiver dies", ALL, || {
        let bench = Bench::new(3);
        let multicast = bench.multicast(&[2, 4]);
        let send = |b: &Bench| {
            let mut others = false;
            let sent = multicast.commit(b.anchor(0), Policy::Any, |index, outcome| {
                others |= index == 1 && taken(&outcome);
            });
            assert!(sent && others);
        };
        race(&bench, send, |b| b.close(1));
        assert_eq!(messages(&bench.read(2)), 1);
        bench.end();
    });
}

/// What is queued is read, or dropped, and not both.
#[test]
fn a_reader_reads() {
    explore("a reader reads, the peer dies", 3, || {
        let bench = Bench::new(2);
        for _ in 0..2 {
            assert!(taken(&bench.message(2).commit(bench.anchor(0))));
        }
        let (reads, ()) = race(&bench, |b| b.read(1), |b| b.close(1));
        assert!(messages(&reads) <= 2);
        assert_eq!(bench.read(1), []);
        let history = bench.end();
        assert!(history.letters.iter().all(|letter| letter.gone.len() == 1));
    });
}

/// The end of a holder and the end of what it holds.
#[test]
fn a_holder_dies() {
    explore("a holder dies, a node ends", ALL, || {
        let bench = Bench::new(2);
        let held = bench.link(2, 0);
        race(&bench, |b| b.close(0), |b| b.destroy(1, &[2]));
        assert_eq!(bench.read(0), []);
        drop(held);
        bench.end();
    });
}
