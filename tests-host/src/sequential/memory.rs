// SPDX-License-Identifier: GPL-2.0

//! Without memory: each step of the engine that allocates fails with no effect, and none of those
//! that must not fail allocates.

use crate::{
    amid::amid,
    core::{
        anchor::{
            QueueError,
            Spare,
            Taken, //
        },
        call::Reply,
        destroy::Verdict,
        flush::flush,
        handle::LinkError,
        inbox::QueueId,
        node::Node,
        peer::Peer,
        personality::{
            Via,
            When, //
        },
        pool::Pool,
        quota::{
            Account,
            Amounts,
            Users, //
        },
        stats::each,
        sync::{
            Arc,
            KVec, //
        },
        transaction::{
            Draft,
            Multicast,
            Outcome,
            Policy, //
        },
        watch::Watch,
    },
    host::fail_allocations_after,
    testbed::*,
};

/// How many objects of each kind there are.
fn alive() -> Vec<(String, u64)> {
    let mut all = Vec::new();
    each(&mut |name, count| {
        if name.ends_with("-alive") {
            all.push((name.to_owned(), count));
        }
    });
    all
}

/// Lets the first allocation of `step` fail, then the second, and so on until it succeeds, and
/// checks after each failure that nothing came of it. Returns how many allocations there were.
fn failing<R, E>(
    what: &str,
    mut step: impl FnMut() -> Result<R, E>,
    mut unchanged: impl FnMut() -> bool,
) -> (R, usize) {
    let before = alive();
    for count in 0..100 {
        fail_allocations_after(Some(count));
        let result = step();
        fail_allocations_after(None);
        match result {
            Ok(result) => return (result, count),
            Err(_) => {
                assert_eq!(alive(), before, "{what}, allocation {count}");
                assert!(unchanged(), "{what}, allocation {count}");
            }
        }
    }
    panic!("{what} never ends");
}

/// Runs what must not allocate.
fn without<R>(step: impl FnOnce() -> R) -> R {
    fail_allocations_after(Some(0));
    let result = step();
    fail_allocations_after(None);
    result
}

fn nothing(peer: &Peer<T>) -> bool {
    balanced(peer) && take(peer).is_none()
}

#[test]
fn a_peer_is_made_whole_or_not_at_all() {
    let make = || -> Result<Arc<Peer<T>>, Failed> {
        let seat = Users::enter(&Users::new()?, [USER], Amounts::NONE)?;
        let account = Account::new(seat, Amounts::NONE)?;
        Ok(Peer::new(1, account, (), Seen::default(), ())?)
    };
    let (peer, count) = failing("peer", make, || true);
    // Users, the seat's list, their table's entry and user, account, slots, anchor, peer.
    assert_eq!(count, 8);
    peer.shut();
    let store = || Ok::<_, Failed>(Pool::new(Store::new(16)?)?);
    let (_pool, count) = failing("pool", store, || true);
    assert!(count > 3);
}

#[test]
fn a_node_is_made_whole_or_not_at_all() {
    let owner = peer(1).unwrap();
    let make = || Node::create(&owner, false, Edges::default());
    let (own, count) = failing("node", make, || nothing(&owner));
    // Its notice and itself; the owner's handle with its place, its watch, and the watch's entry.
    assert_eq!(count, 7);
    assert_eq!(own.handle().counts().soft, 1);
}

#[test]
fn a_new_handle_needs_memory_and_an_old_one_does_not() {
    let (owner, holder) = (peer(1).unwrap(), peer(2).unwrap());
    let own = node(&owner).unwrap();
    let unchanged = || {
        own.node().handle_of(holder.anchor()).is_none()
            && own.node().state(|_, c| (c.strong, c.held)) == (0, 1)
    };
    let link = || {
        let link = Node::strong_to(own.node(), holder.anchor(), Via::Any);
        assert!(link
            .as_ref()
            .err()
            .is_none_or(|e| *e == LinkError::NoMemory));
        link
    };
    let (strong, count) = failing("strong", link, unchanged);
    assert_eq!(count, 5);
    let again = without(|| Node::soft_to(own.node(), holder.anchor(), Via::Any));
    let counts = strong.handle().counts();
    assert_eq!((counts.strong, counts.soft), (1, 1));
    without(|| drop((strong, again.ok().unwrap())));
    assert!(own.node().handle_of(holder.anchor()).is_none());
}

#[test]
fn a_message_is_prepared_whole_or_not_at_all() {
    let (owner, sender) = (peer(1).unwrap(), peer(2).unwrap());
    let own = node(&owner).unwrap();
    let (filled, count) = failing("message", || message(own.node(), 1), || nothing(&owner));
    assert!(count >= 2);
    assert!(matches!(
        without(|| filled.commit(sender.anchor())),
        Outcome::Delivered(())
    ));
    let got = without(|| number(&owner));
    assert_eq!(got, Some(1));
}

#[test]
fn a_reference_that_can_not_be_sent_is_given_back() {
    let (owner, sender) = (peer(1).unwrap(), peer(2).unwrap());
    let (own, offered) = (node(&owner).unwrap(), node(&sender).unwrap());
    let carry = || -> Result<_, Failed> {
        let mut handles = KVec::new();
        handles.push(
            Some(strong(offered.node(), &owner)?),
            crate::core::sync::GFP_KERNEL,
        )?;
        carrying(own.node(), 1, handles)
    };
    let unchanged = || {
        // The owner of the node is told that it was held for a while.
        while take(&sender).is_some() {}
        offered.node().state(|_, c| (c.strong, c.held)) == (0, 1) && nothing(&owner)
    };
    let (filled, _) = failing("carry", carry, unchanged);
    without(|| drop(filled));
    assert!(unchanged());
}

#[test]
fn a_multicast_is_prepared_whole_or_not_at_all() {
    let (owner, sender) = (peer(1).unwrap(), peer(2).unwrap());
    let (one, two) = (node(&owner).unwrap(), node(&owner).unwrap());
    let make = || -> Result<_, Failed> {
        let mut multicast = Multicast::new(1)?;
        for node in [one.node(), two.node()] {
            multicast.add(message(node, 1)?.into_part()?)?;
        }
        Ok(multicast)
    };
    let (multicast, _) = failing("multicast", make, || nothing(&owner));
    let committed = without(|| multicast.commit(sender.anchor(), Policy::All, |_, _| ()));
    assert!(committed);
    assert_eq!((number(&owner), number(&owner)), (Some(1), Some(1)));
    let (multicast, _) = failing("multicast", make, || nothing(&owner));
    owner.anchor().with(|view| view.part().refuse = true);
    let committed = without(|| multicast.commit(sender.anchor(), Policy::All, |_, _| ()));
    assert!(!committed && nothing(&owner));
}

#[test]
fn a_call_that_can_not_be_made_gives_back_what_was_served() {
    let (outer, caller) = (peer(1).unwrap(), peer(2).unwrap());
    let served = Reply::new(outer.anchor(), QueueId::MAIN, None)
        .ok()
        .unwrap();
    let mut kept = Some(served);
    let make = || match Reply::new(caller.anchor(), QueueId::MAIN, kept.take()) {
        Ok(reply) => Ok(reply),
        Err((error, parent)) => {
            kept = parent;
            assert!(kept.is_some());
            Err(error)
        }
    };
    let quiet = || take(&outer).is_none() && take(&caller).is_none();
    let (reply, count) = failing("call", make, quiet);
    assert_eq!((count, reply.chain().count()), (2, 2));
    // To fail needs no memory, however far up.
    caller.shut();
    without(|| drop(reply));
    assert!(matches!(take(&outer), Some(Taken::Failed(13, None))));
}

#[test]
fn what_is_prepared_for_later_is_there_or_not() {
    let owner = peer(1).unwrap();
    let (spare, count) = failing("spare", || Spare::new(owner.anchor()), || true);
    assert_eq!(count, 1);
    let posted = without(|| {
        owner
            .anchor()
            .post_code(QueueId::MAIN, spare, 5, When::Now)
            .ok()
    });
    assert!(posted.is_some() && matches!(take(&owner), Some(Taken::Code(5))));
    let (_watch, count) = failing("watch", || Watch::new(owner.anchor(), 1), || true);
    assert_eq!(count, 3);
    let (_verdict, count) = failing("verdict", Verdict::new, || true);
    assert_eq!(count, 1);
}

#[test]
fn a_queue_is_added_or_not() {
    let (owner, sender) = (peer(1).unwrap(), peer(2).unwrap());
    let own = node(&owner).unwrap();
    let put = |queue, number| {
        owner.anchor().with(|view| view.part().queue = Some(queue));
        assert!(send(&sender, own.node(), number).unwrap());
    };
    let (mut queues, mut allocations) = (Vec::new(), Vec::new());
    for last in 0..9 {
        let add = || {
            let added = owner.anchor().add_queue(());
            let error = added.as_ref().err();
            assert!(error.is_none_or(|error| *error == QueueError::NoMemory));
            added
        };
        let (queue, count) = failing("queue", add, || take(&owner).is_none());
        allocations.push(count);
        put(queue, last);
        queues.push(queue);
        for (number, queue) in (0..).zip(&queues) {
            // What is in them survives each move to larger memory.
            let got = receive_from(owner.anchor(), *queue).map(|got| got.message.part);
            assert_eq!(got, Some(number));
            put(*queue, number);
        }
    }
    // Room for twice as many each time, the main queue included.
    assert_eq!(allocations, [1, 1, 0, 1, 0, 0, 0, 1, 0]);
    for queue in queues {
        assert!(without(|| owner.anchor().remove_queue(queue)).is_some());
    }
    assert!(nothing(&owner));
}

#[test]
fn what_must_not_fail_allocates_nothing() {
    let (owner, other) = (peer(1).unwrap(), peer(2).unwrap());
    let (one, two, serial) = (
        node(&owner).unwrap(),
        node(&owner).unwrap(),
        lane(&owner).unwrap(),
    );
    let held = (
        strong(one.node(), &other).unwrap(),
        strong(two.node(), &other).unwrap(),
    );
    let ready: Vec<_> = (0..3)
        .map(|number| message(serial.node(), number).unwrap())
        .collect();
    for filled in ready {
        assert!(!matches!(
            without(|| filled.commit(other.anchor())),
            Outcome::Refused(..)
        ));
    }
    assert_eq!(without(|| number(&owner)), Some(0));
    amid(&other, &[one.node(), two.node()], 5, || Ok(())).unwrap();
    let (first, second) = (Verdict::new().unwrap(), Verdict::new().unwrap());
    without(|| flush(owner.anchor(), first, [one.node()].into_iter()));
    without(|| drop(held.0));
    assert!(without(|| take(&other).is_none()));
    without(|| owner.shut());
    let nodes = [two.node(), serial.node()];
    without(|| owner.destroy_all(second, nodes.into_iter()));
    assert!(matches!(without(|| take(&other)), Some(Taken::Watch(..))));
    assert!(balanced(&owner));
    drop(held.1);
    // A draft that fails had no effect either.
    assert!(Draft::to(two.node()).is_err());
}
