// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_flush`: starting anew.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_flush))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        amid::*,
        core::{
            anchor::{
                Spare,
                Taken, //
            },
            call::Reply,
            destroy::Verdict,
            flush::flush,
            inbox::QueueId,
            node::Node,
            order::Stamp,
            peer::Peer,
            personality::When,
            sync::Arc,
            transaction::{
                Outcome,
                Policy, //
            }, //
        },
        testbed::*, //
    };
    use core::cell::Cell;

    fn anew(peer: &Peer<T>, nodes: &[&Arc<Node<T>>]) -> Result<(), Failed> {
        flush(peer.anchor(), Verdict::new()?, nodes.iter().copied());
        Ok(())
    }

    /// Flushes, and does `step` at both moments of the destruction.
    fn anew_amid(
        peer: &Peer<T>,
        verdict: Verdict,
        nodes: &[&Arc<Node<T>>],
        step: impl Fn(Moment) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let (walks, good) = (Cell::new(0), Cell::new(true));
        let step = |moment| good.set(good.get() && step(moment).is_ok());
        let nodes = Doomed::new(nodes, &walks, &step);
        flush(peer.anchor(), verdict, nodes);
        good.get().then_some(()).ok_or(Failed)
    }

    #[test]
    fn what_was_queued_is_gone_and_what_follows_is_read() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let (dying, staying, far) = (node(&owner)?, node(&owner)?, node(&other)?);
        let held = strong(far.node(), &owner)?;
        for number in 0..3 {
            assert!(send(&other, dying.node(), number)?);
            assert!(send(&other, staying.node(), number)?);
            amid(&other, &[staying.node(), dying.node()], number, || Ok(()))?;
        }
        drop(strong(staying.node(), &other)?);
        destroy_amid(&other, &[far.node()], |_| Ok(()))?;
        let spare = Spare::new(owner.anchor())?;
        let posted = owner.anchor().post_code(QueueId::MAIN, spare, 5, When::Now);
        anew(&owner, &[dying.node()])?;
        assert!(take(&owner).is_none() && balanced(&owner));
        assert!(!owner.anchor().readable(QueueId::MAIN));
        assert!(posted.is_ok_and(|posted| owner.anchor().withdraw_code(posted).is_none()));
        assert!(dying.node().death().is_some() && staying.node().death().is_none());
        assert!(send(&other, staying.node(), 9)?);
        assert_eq!(number(&owner), Some(9));
        drop(held);
        Ok(())
    }

    #[test]
    fn without_nodes_the_queue_is_emptied_all_the_same() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        anew(&owner, &[])?;
        assert!(send(&other, own.node(), 1)?);
        amid(&other, &[own.node(), own.node()], 2, || Ok(()))?;
        anew(&owner, &[])?;
        assert!(take(&owner).is_none() && balanced(&owner));
        assert!(send(&other, own.node(), 4)?);
        assert_eq!(number(&owner), Some(4));
        Ok(())
    }

    #[test]
    fn holders_of_the_nodes_are_told() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let (one, two) = (node(&owner)?, node(&owner)?);
        let held = (strong(one.node(), &other)?, strong(two.node(), &other)?);
        anew(&owner, &[two.node(), one.node()])?;
        for (node, more) in [(two.node(), true), (one.node(), false)] {
            let told = take(&other);
            assert!(
                matches!(told, Some(Taken::Watch(_, of, m)) if Arc::ptr_eq(&of, node) && m == more)
            );
        }
        assert!(take(&other).is_none() && take(&owner).is_none());
        drop(held);
        Ok(())
    }

    #[test]
    fn other_queues_are_left_alone() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        owner.anchor().with(|view| view.part().queue = Some(queue));
        assert!(send(&other, own.node(), 1)?);
        anew(&owner, &[])?;
        let got = receive_from(owner.anchor(), queue).map(|got| got.message.part);
        assert_eq!(got, Some(1));
        Ok(())
    }

    #[test]
    fn who_called_is_told_that_nobody_answers() -> Result<(), Failed> {
        let (owner, caller) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let reply = Reply::new(caller.anchor(), QueueId::MAIN, None).map_err(|_| Failed)?;
        let sent = message(own.node(), 1)?.call(reply).commit(caller.anchor());
        assert!(matches!(sent, Outcome::Delivered(())));
        anew(&owner, &[])?;
        assert!(matches!(take(&caller), Some(Taken::Failed(13, None))));
        Ok(())
    }

    #[test]
    fn what_is_parked_goes_out_behind_the_flush() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let (serial, dying) = (lane(&owner)?, node(&owner)?);
        for number in 1..4 {
            assert!(send(&other, serial.node(), number)?);
        }
        anew(&owner, &[dying.node()])?;
        let end = dying.node().death().ok_or(Failed)?;
        let (first, stamp, _) = placed(&owner).ok_or(Failed)?;
        assert!(first == 2 && stamp > end);
        assert_eq!((number(&owner), number(&owner)), (Some(3), None));
        Ok(())
    }

    #[test]
    fn what_is_in_the_middle_of_being_sent_is_read_behind_the_flush() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let (dying, staying) = (node(&owner)?, node(&owner)?);
        for nodes in [&[][..], &[dying.node()][..]] {
            let read = Cell::new(None);
            let both = [staying.node(), staying.node()];
            amid(&other, &both, 1, || {
                assert!(send(&other, staying.node(), 5)?);
                anew(&owner, nodes)?;
                assert!(take(&owner).is_none());
                assert!(!owner.anchor().with(|view| view.is_empty(QueueId::MAIN)));
                Ok(())
            })?;
            read.set(placed(&owner));
            let (first, stamp, more) = read.get().ok_or(Failed)?;
            assert!(first == 1 && more);
            assert!(dying.node().death().is_none_or(|end| stamp > end));
            assert_eq!((number(&owner), number(&owner)), (Some(2), None));
        }
        assert!(balanced(&owner));
        Ok(())
    }

    #[test]
    fn what_is_sent_while_the_nodes_end_is_read_behind_the_flush() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let (dying, staying) = (node(&owner)?, node(&owner)?);
        assert!(send(&other, staying.node(), 1)?);
        anew_amid(&owner, Verdict::new()?, &[dying.node()], |moment| {
            let number = if moment == Moment::Condemned { 2 } else { 3 };
            assert!(send(&other, staying.node(), number)?);
            Ok(())
        })?;
        let end = dying.node().death().ok_or(Failed)?;
        for expected in [2, 3] {
            let (number, stamp, _) = placed(&owner).ok_or(Failed)?;
            assert!(number == expected && stamp > end);
        }
        assert!(take(&owner).is_none());
        Ok(())
    }

    #[test]
    fn what_is_committed_and_not_told_of_yet_is_gone() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let (own, far) = (node(&owner)?, node(&other)?);
        let nodes = [far.node(), own.node()];
        let committed = steps(&other, &nodes, 1, Policy::Any, |at| {
            if at == At::Passed(0) {
                anew(&owner, &[])?;
                assert!(owner.anchor().with(|view| view.is_empty(QueueId::MAIN)));
            }
            Ok(())
        })?;
        assert!(committed && take(&owner).is_none() && balanced(&owner));
        assert_eq!(owner.anchor().with(|view| view.part().ready), 0);
        assert_eq!(number(&other), Some(1));
        Ok(())
    }

    #[test]
    fn a_multicast_of_the_same_stamp_stays_if_it_comes_later_elsewhere() -> Result<(), Failed> {
        for round in 0..8 {
            let (owner, other) = (peer(1)?, peer(2)?);
            let (dying, own, far) = (node(&owner)?, node(&owner)?, node(&other)?);
            let held = strong(dying.node(), &other)?;
            let mut place = Stamp::ZERO;
            let (below, verdict) = (Verdict::new()?, Verdict::new()?);
            if round % 2 == 0 {
                // Most likely the multicast's record will lie there.
                drop(below);
            }
            anew_amid(&owner, verdict, &[dying.node()], |moment| {
                if moment == Moment::Committed {
                    return Ok(());
                }
                amid(&other, &[own.node(), far.node()], 1, || {
                    // A reader pushes both to one floor.
                    assert!(send(&other, own.node(), 3)?);
                    assert_eq!(number(&owner), Some(3));
                    Ok(())
                })
            })?;
            let mut end_is_first = None;
            while let Some(taken) = take(&other) {
                match taken {
                    Taken::Message(got) => {
                        place = got.place.stamp();
                        end_is_first = end_is_first.or(Some(false));
                    }
                    _ => end_is_first = end_is_first.or(Some(true)),
                }
            }
            drop(held);
            assert_eq!(dying.node().death(), Some(place));
            assert_eq!(number(&owner).is_some(), end_is_first.ok_or(Failed)?);
        }
        Ok(())
    }

    #[test]
    fn what_is_undecided_goes_behind_even_where_nothing_else_is_queued() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let (dying, staying) = (node(&owner)?, node(&owner)?);
        // So that the end of the node is no news for its owner.
        assert!(dying.handle().disarm().is_some());
        amid(&other, &[staying.node(), staying.node()], 1, || {
            anew(&owner, &[dying.node()])
        })?;
        let end = dying.node().death().ok_or(Failed)?;
        for expected in [1, 2] {
            let (number, stamp, _) = placed(&owner).ok_or(Failed)?;
            assert!(number == expected && stamp > end);
        }
        assert!(take(&owner).is_none());
        Ok(())
    }
}
