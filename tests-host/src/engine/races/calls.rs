// SPDX-License-Identifier: GPL-2.0

//! A call is over once, whoever goes.
//!
//! Peer 0 calls peer 1 from a desk; in a chain, peer 1 calls peer 2 while it serves that.

use super::{
    super::record::Role,
    explore,
    race,
    Bench,
    Read,
    ALL,
    B, //
};
use crate::core::{
    anchor::Taken,
    call::Reply,
    inbox::QueueId,
    message::Kind,
    transaction::{
        Draft,
        Outcome, //
    }, //
};

const CALL: Role = Role::Call {
    desk: 0,
    parent: None,
};

fn desk(bench: &Bench, peer: usize) -> QueueId {
    bench.anchor(peer).add_queue(Default::default()).unwrap()
}

/// Peer `from` calls `node`, on behalf of `parent`.
fn call(bench: &Bench, from: (usize, QueueId), node: usize, parent: Option<Reply<B>>) {
    let reply = Reply::new(bench.anchor(from.0), from.1, parent);
    let Ok(reply) = reply else {
        unreachable!("there is memory");
    };
    let draft = Draft::to(bench.node(node)).unwrap();
    let message = bench.fill(draft, CALL, None).call(reply);
    let outcome = message.commit(bench.anchor(from.0));
    assert!(matches!(outcome, Outcome::Delivered(())));
}

/// Reads a call.
fn serve(bench: &Bench, peer: usize) -> Option<Reply<B>> {
    let Taken::Message(mut got) = bench.anchor(peer).take(QueueId::MAIN)? else {
        return None;
    };
    match std::mem::replace(&mut got.message.kind, Kind::Post) {
        Kind::Call(reply) => Some(reply),
        _ => None,
    }
}

/// Answers, if there is still somebody to answer.
fn answer(bench: &Bench, peer: usize, reply: Reply<B>) {
    if let Ok(draft) = Draft::answer(&reply) {
        let message = bench.fill(draft, Role::Answer(0), None);
        drop(message.answer(reply, bench.anchor(peer)));
    }
}

/// How often the desk was told that its call is over.
fn told(bench: &Bench, peer: usize, desk: QueueId) -> usize {
    bench.read_from(peer, desk).len()
}

#[test]
fn an_answer_meets_a_caller_who_leaves() {
    explore("an answer, the caller leaves", ALL, || {
        let bench = Bench::new(2);
        let desk = desk(&bench, 0);
        call(&bench, (0, desk), 2, None);
        let reply = serve(&bench, 1).unwrap();
        let leave = move |b: &Bench| drop(b.anchor(0).remove_queue(desk));
        race(&bench, |b| answer(b, 1, reply), leave);
        assert_eq!(bench.read(0), []);
        bench.end();
    });
}

#[test]
fn an_answer_meets_a_caller_who_dies() {
    explore("an answer, the caller dies", ALL, || {
        let bench = Bench::new(2);
        let desk = desk(&bench, 0);
        call(&bench, (0, desk), 2, None);
        let reply = serve(&bench, 1).unwrap();
        race(&bench, |b| answer(b, 1, reply), |b| b.close(0));
        bench.end();
    });
}

#[test]
fn a_call_is_read_while_its_reader_dies() {
    explore("a call is read and dropped, its reader dies", ALL, || {
        let bench = Bench::new(2);
        let desk = desk(&bench, 0);
        call(&bench, (0, desk), 2, None);
        race(&bench, |b| drop(serve(b, 1)), |b| b.close(1));
        assert_eq!(bench.read_from(0, desk), [Read::Failed]);
        bench.end();
    });
}

#[test]
fn a_call_is_answered_while_its_reader_dies() {
    explore("a call is read and answered, its reader dies", ALL, || {
        let bench = Bench::new(2);
        let desk = desk(&bench, 0);
        call(&bench, (0, desk), 2, None);
        let work = |b: &Bench| {
            if let Some(reply) = serve(b, 1) {
                answer(b, 1, reply);
            }
        };
        race(&bench, work, |b| b.close(1));
        assert_eq!(told(&bench, 0, desk), 1);
        bench.end();
    });
}

#[test]
fn a_call_is_made_while_its_receiver_dies() {
    explore("a call is made, its receiver dies", ALL, || {
        let bench = Bench::new(2);
        let desk = desk(&bench, 0);
        let reply = Reply::new(bench.anchor(0), desk, None);
        let Ok(reply) = reply else {
            unreachable!("there is memory");
        };
        let draft = Draft::to(bench.node(2)).unwrap();
        let message = bench.fill(draft, CALL, None).call(reply);
        let send = |b: &Bench| match message.commit(b.anchor(0)) {
            Outcome::Refused(_, mut message) => {
                if let Kind::Call(reply) = std::mem::replace(&mut message.kind, Kind::Post) {
                    drop(reply.cancel());
                }
                false
            }
            _ => true,
        };
        let (sent, ()) = race(&bench, send, |b| b.close(1));
        assert_eq!(told(&bench, 0, desk), usize::from(sent));
        bench.end();
    });
}

/// A chain of two calls, of which the caller in the middle leaves.
fn chain(bench: &Bench) -> (QueueId, QueueId, Reply<B>) {
    let (outer, inner) = (desk(bench, 0), desk(bench, 1));
    call(bench, (0, outer), 2, None);
    call(bench, (1, inner), 4, serve(bench, 1));
    (outer, inner, serve(bench, 2).unwrap())
}

#[test]
fn the_outer_caller_is_told_once_of_an_answer() {
    explore("an answer, the caller in the middle leaves", ALL, || {
        let bench = Bench::new(3);
        let (outer, inner, reply) = chain(&bench);
        let leave = move |b: &Bench| drop(b.anchor(1).remove_queue(inner));
        race(&bench, |b| answer(b, 2, reply), leave);
        assert_eq!(bench.read_from(0, outer), [Read::Failed]);
        bench.end();
    });
}

#[test]
fn the_outer_caller_is_told_once_of_a_failure() {
    explore("a failure, the caller in the middle dies", ALL, || {
        let bench = Bench::new(3);
        let (outer, _, reply) = chain(&bench);
        race(&bench, |_| drop(reply), |b| b.close(1));
        assert_eq!(bench.read_from(0, outer), [Read::Failed]);
        bench.end();
    });
}

#[test]
fn both_callers_go_while_the_call_fails() {
    explore("a failure, both callers leave", ALL, || {
        let bench = Bench::new(3);
        let (outer, inner, reply) = chain(&bench);
        let leave = move |b: &Bench| {
            drop(b.anchor(0).remove_queue(outer));
            drop(b.anchor(1).remove_queue(inner));
        };
        race(&bench, |_| drop(reply), leave);
        assert_eq!(bench.read(0), []);
        assert_eq!(bench.read(1), []);
        bench.end();
    });
}
