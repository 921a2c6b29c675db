// SPDX-License-Identifier: GPL-2.0

//! Long chains and large ends: nothing recurses, nothing is more than linear, no lock is held long.

use super::{
    bench::{
        Bench,
        Read,
        B, //
    },
    record::{
        Recorder,
        Role, //
    },
    world::{
        Plate,
        World, //
    },
};
use crate::{
    core::{
        anchor::Taken,
        call::Reply,
        destroy::Verdict,
        inbox::QueueId,
        message::Kind,
        node::Node,
        personality::Via,
        quota::Users,
        transaction::{
            Draft,
            Outcome, //
        }, //
    },
    host::{
        clock::Fine,
        cost, //
    },
};

/// Calls in a chain.
const CALLS: usize = 100_000;

/// Runs `f` on a stack that has room for a few calls, and not for one for each link of a chain.
fn shallow(f: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 << 10);
    thread.spawn(f).unwrap().join().unwrap();
}

const CALL: Role = Role::Call {
    desk: 0,
    parent: None,
};

/// A call of `callers[n]` at depth `n`, each made on behalf of the one before.
fn chain(bench: &Bench, callers: impl Iterator<Item = usize>) -> Reply<B> {
    let mut reply = None;
    for caller in callers {
        let made = Reply::new(bench.anchor(caller), QueueId::MAIN, reply);
        let Ok(made) = made else {
            unreachable!("there is memory");
        };
        reply = Some(made);
    }
    reply.expect("there is a call")
}

/// Peer 0 called, and peer 1 called itself for all the rest.
fn through_one(bench: &Bench) -> Reply<B> {
    chain(bench, (0..CALLS).map(|depth| usize::from(depth > 0)))
}

/// Sends a call to peer 2.
fn send(bench: &Bench, reply: Reply<B>) {
    let draft = Draft::to(bench.node(4)).unwrap();
    let message = bench.fill(draft, CALL, None).call(reply);
    let outcome = message.commit(bench.anchor(1));
    assert!(matches!(outcome, Outcome::Delivered(())));
}

#[test]
fn a_chain_fails_past_callers_that_are_gone() {
    shallow(|| {
        let bench = Bench::new(3);
        let reply = through_one(&bench);
        assert_eq!(reply.chain().count(), CALLS);
        bench.peer(1).shut();
        drop(reply);
        assert_eq!(bench.read(0), [Read::Failed]);
        bench.end();
    });
}

#[test]
fn a_chain_fails_caller_by_caller() {
    shallow(|| {
        let bench = Bench::new(3);
        let mut next = Some(through_one(&bench));
        let mut told = [0, 0];
        while let Some(reply) = next.take() {
            drop(reply);
            for peer in [0, 1] {
                if let Some(Taken::Failed((), parent)) = bench.anchor(peer).take(QueueId::MAIN) {
                    told[peer] += 1;
                    next = parent;
                }
            }
        }
        assert_eq!(told, [1, CALLS - 1]);
        bench.end();
    });
}

#[test]
fn a_chain_is_answered_caller_by_caller() {
    shallow(|| {
        let bench = Bench::new(3);
        let mut next = Some(through_one(&bench));
        let mut told = [0, 0];
        while let Some(reply) = next.take() {
            let draft = Draft::answer(&reply).unwrap();
            let answer = bench.fill(draft, Role::Answer(0), None);
            assert!(answer.answer(reply, bench.anchor(2)).is_ok());
            for peer in [0, 1] {
                if let Some(Taken::Message(mut got)) = bench.anchor(peer).take(QueueId::MAIN) {
                    told[peer] += 1;
                    if let Kind::Reply(parent) =
                        std::mem::replace(&mut got.message.kind, Kind::Post)
                    {
                        next = parent;
                    }
                }
            }
        }
        assert_eq!(told, [1, CALLS - 1]);
        bench.end();
    });
}

/// The innermost call is queued when its receiver dies, and all callers but the first have gone.
#[test]
fn a_chain_in_a_queue_is_dropped() {
    shallow(|| {
        let bench = Bench::new(3);
        send(&bench, through_one(&bench));
        bench.peer(1).shut();
        bench.close(2);
        assert_eq!(bench.read(0), [Read::Failed]);
        bench.end();
    });
}

/// An answer, or a failure, with the whole chain in it, is queued when its receiver dies.
#[test]
fn a_chain_that_came_back_is_dropped() {
    for answered in [true, false] {
        shallow(move || {
            let bench = Bench::new(3);
            let reply = through_one(&bench);
            if answered {
                let draft = Draft::answer(&reply).unwrap();
                let answer = bench.fill(draft, Role::Answer(0), None);
                assert!(answer.answer(reply, bench.anchor(2)).is_ok());
            } else {
                drop(reply);
            }
            bench.close(1);
            assert_eq!(bench.read(0), [Read::Failed]);
            bench.end();
        });
    }
}

/// Nobody is left to be told.
#[test]
fn a_chain_of_the_dead_is_dropped() {
    shallow(|| {
        let bench = Bench::new(3);
        let reply = chain(&bench, (0..CALLS).map(|depth| depth % 2));
        bench.close(0);
        bench.close(1);
        drop(reply);
        bench.end();
    });
}

/// All that is parked is refused when its turn comes, or dropped with its node.
#[test]
fn a_long_lane_is_emptied() {
    const PARKED: usize = 3000;
    for ends in [false, true] {
        shallow(move || {
            let bench = Bench::new(2);
            assert!(matches!(
                bench.message(3).commit(bench.anchor(0)),
                Outcome::Delivered(())
            ));
            for _ in 0..PARKED {
                let message = bench.unwelcome(3);
                assert!(matches!(
                    message.commit(bench.anchor(0)),
                    Outcome::Parked(())
                ));
            }
            if ends {
                bench.destroy(1, &[3]);
            }
            assert!(matches!(bench.read(1).first(), Some(Read::Message(_))));
            assert_eq!(bench.read(1), []);
            let history = bench.end();
            assert_eq!(
                history.letters.iter().filter(|l| l.gone.len() == 1).count(),
                PARKED + 1
            );
        });
    }
}

/// Locks that are taken to end all nodes of one peer, and the most of them within one hold.
fn locks(nodes: usize, holders: usize) -> (u64, u64) {
    let (users, recorder) = (Users::new().unwrap(), Recorder::default());
    let peers: Vec<_> = (0..=holders)
        .map(|id| World::<Fine>::peer(&users, id))
        .collect();
    let owned: Vec<_> = (0..nodes)
        .map(|number| Node::create(&peers[0], number, Plate::new(number, &recorder)).unwrap())
        .collect();
    let mut references = Vec::new();
    for peer in &peers[1..] {
        let held = owned
            .iter()
            .map(|node| Node::strong_to(node.node(), peer.anchor(), Via::Any));
        references.extend(held.map(|held| held.ok().unwrap()));
    }
    cost();
    let start = std::time::Instant::now();
    peers[0].destroy_all(
        Verdict::new().unwrap(),
        owned.iter().map(|node| node.node()),
    );
    let (time, cost) = (start.elapsed(), cost());
    println!(
        "{nodes} nodes with {holders} holders each: {} locks, at most {} in one hold, {time:.1?}",
        cost.taken, cost.most
    );
    assert!(peers
        .iter()
        .all(|peer| peer.anchor().readable(QueueId::MAIN)));
    peers.iter().for_each(|peer| peer.shut());
    (cost.taken, cost.most)
}

#[test]
fn an_end_costs_what_it_tells() {
    for (small, large) in [((1000, 10), (10_000, 10)), ((1, 10_000), (1, 100_000))] {
        let (few, _) = locks(small.0, small.1);
        let (many, most) = locks(large.0, large.1);
        let per_handle = many as f64 / (large.0 * large.1) as f64;
        assert!(many < few * 11, "{few} locks grew to {many}");
        assert!(per_handle < 5.0, "{per_handle} locks for each handle");
        assert!(most < 40, "{most} locks in one hold");
    }
}
