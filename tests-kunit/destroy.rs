// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_destroy`: the end of nodes, for all who know them.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_destroy))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        amid::*,
        core::{
            anchor::Taken,
            destroy::{
                destroy,
                Verdict, //
            },
            inbox::QueueId,
            node::Node,
            order::Key,
            peer::Peer,
            sync::{
                Arc,
                KVec,
                GFP_KERNEL, //
            }, //
        },
        testbed::*, //
    };

    /// The node whose end is read next, and whether more of the same transaction follows.
    fn end(peer: &Peer<T>) -> Option<(Arc<Node<T>>, bool)> {
        match take(peer)? {
            Taken::Watch(_, node, more) => Some((node, more)),
            _ => None,
        }
    }

    fn is(end: &Option<(Arc<Node<T>>, bool)>, node: &Arc<Node<T>>, more: bool) -> bool {
        end.as_ref()
            .is_some_and(|end| Arc::ptr_eq(&end.0, node) && end.1 == more)
    }

    /// Whether nothing stands in the main queue, not even what is undecided.
    fn is_empty(peer: &Peer<T>) -> bool {
        peer.anchor().with(|view| view.is_empty(QueueId::MAIN))
    }

    fn ends(owner: &Peer<T>, nodes: &[&Arc<Node<T>>]) -> Result<Option<Key>, Failed> {
        Ok(destroy(
            owner.anchor(),
            Verdict::new()?,
            nodes.iter().copied(),
        ))
    }

    #[test]
    fn many_nodes_end_together_in_the_order_given() -> Result<(), Failed> {
        let (owner, a, b) = (peer(1)?, peer(2)?, peer(3)?);
        let nodes = [node(&owner)?, node(&owner)?, node(&owner)?];
        let [one, two, three] = [nodes[0].node(), nodes[1].node(), nodes[2].node()];
        let of_a = (strong(one, &a)?, strong(two, &a)?, strong(three, &a)?);
        let of_b = (strong(three, &b)?, strong(one, &b)?);
        let end_of_all = ends(&owner, &[two, three, one])?.ok_or(Failed)?;
        for node in [one, two, three] {
            assert_eq!(node.death(), Some(end_of_all.stamp()));
        }
        for (node, more) in [(two, true), (three, true), (one, false)] {
            assert!(is(&end(&a), node, more));
        }
        for (node, more) in [(three, true), (one, false)] {
            assert!(is(&end(&b), node, more));
        }
        // The owner has handles of its own.
        for (node, more) in [(two, true), (three, true), (one, false)] {
            assert!(is(&end(&owner), node, more));
        }
        assert!(take(&a).is_none() && take(&b).is_none() && take(&owner).is_none());
        drop((of_a, of_b));
        Ok(())
    }

    #[test]
    fn a_node_ends_once() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let (one, two) = (node(&owner)?, node(&owner)?);
        let held = (strong(one.node(), &holder)?, strong(two.node(), &holder)?);
        let first = ends(&owner, &[one.node(), one.node()])?.ok_or(Failed)?;
        assert!(is(&end(&holder), one.node(), false));
        assert_eq!(ends(&owner, &[one.node()])?, None);
        assert_eq!(ends(&owner, &[])?, None);
        assert!(take(&holder).is_none());
        let second = ends(&owner, &[one.node(), two.node()])?.ok_or(Failed)?;
        assert!(first < second);
        assert_eq!(one.node().death(), Some(first.stamp()));
        assert_eq!(two.node().death(), Some(second.stamp()));
        assert!(is(&end(&holder), two.node(), false));
        assert!(take(&holder).is_none());
        drop(held);
        Ok(())
    }

    #[test]
    fn two_destructions_of_one_node_at_once_are_one() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let (one, two) = (node(&owner)?, node(&owner)?);
        let held = (strong(one.node(), &holder)?, strong(two.node(), &holder)?);
        destroy_amid(&owner, &[one.node()], |moment| {
            if moment == Moment::Condemned {
                assert!(ends(&owner, &[one.node(), two.node()])?.is_some());
                // The other transaction is over, this one is not.
                assert!(one.node().death().is_none() && two.node().death().is_some());
                assert!(is(&end(&holder), two.node(), false));
                assert!(take(&holder).is_none());
            }
            Ok(())
        })?;
        assert!(is(&end(&holder), one.node(), false));
        assert!(take(&holder).is_none());
        drop(held);
        Ok(())
    }

    #[test]
    fn the_end_is_read_as_soon_as_it_is_committed() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let held = strong(own.node(), &holder)?;
        destroy_amid(&owner, &[own.node()], |moment| {
            assert_eq!(own.node().death().is_some(), moment == Moment::Committed);
            let told = end(&holder);
            assert_eq!(told.is_some(), moment == Moment::Committed);
            Ok(())
        })?;
        assert!(take(&holder).is_none());
        // It was read before its reader was to be woken.
        assert_eq!(holder.anchor().with(|view| view.part().ready), 0);
        drop(held);
        Ok(())
    }

    #[test]
    fn who_links_in_the_middle_is_told_in_the_same_transaction() -> Result<(), Failed> {
        let (owner, early, late) = (peer(1)?, peer(2)?, peer(3)?);
        let (one, two) = (node(&owner)?, node(&owner)?);
        let nodes = [one.node(), two.node()];
        let mut held = KVec::new();
        for node in nodes {
            held.push(strong(node, &early)?, GFP_KERNEL)?;
        }
        let held = core::cell::RefCell::new(held);
        destroy_amid(&owner, &nodes, |moment| {
            for node in [two.node(), one.node()] {
                match (moment, strong(node, &late)) {
                    (Moment::Condemned, Ok(link)) => held.borrow_mut().push(link, GFP_KERNEL)?,
                    (Moment::Committed, Ok(again)) => drop(again),
                    (_, Err(failed)) => return Err(failed),
                }
            }
            assert!(!is_empty(&late));
            Ok(())
        })?;
        for holder in [&early, &late] {
            assert!(is(&end(holder), one.node(), true));
            assert!(is(&end(holder), two.node(), false));
            assert!(take(holder).is_none());
        }
        Ok(())
    }

    #[test]
    fn who_comes_behind_the_end_gets_nothing() -> Result<(), Failed> {
        let (owner, late, gone) = (peer(1)?, peer(2)?, peer(3)?);
        let own = node(&owner)?;
        destroy_amid(&owner, &[own.node()], |moment| {
            match moment {
                // Whoever lets go before the end is told nothing.
                Moment::Condemned => drop(strong(own.node(), &gone)?),
                Moment::Committed => {
                    assert!(strong(own.node(), &late).is_err());
                    assert!(soft(own.node(), &late).is_err());
                }
            }
            Ok(())
        })?;
        assert!(take(&late).is_none() && take(&gone).is_none());
        assert!(own.node().handle_of(late.anchor()).is_none());
        Ok(())
    }

    #[test]
    fn holders_are_told_once_however_many_there_are() -> Result<(), Failed> {
        for count in [1, 15, 16, 17, 32, 40] {
            let owner = peer(1)?;
            let own = node(&owner)?;
            let mut held = KVec::new();
            for id in 0..count {
                // From the highest number down, the highest possible included.
                let holder = peer(u64::MAX - id)?;
                let bell = Bell::new()?;
                let old = holder
                    .anchor()
                    .with(|view| view.part().bell.replace(bell.clone()));
                assert!(old.is_none());
                let link = strong(own.node(), &holder)?;
                held.push((holder, bell, link), GFP_KERNEL)?;
            }
            assert!(ends(&owner, &[own.node()])?.is_some());
            for (holder, bell, _) in held.iter() {
                assert_eq!(bell.rings(), 1);
                assert!(is(&end(holder), own.node(), false));
                assert!(take(holder).is_none());
            }
        }
        Ok(())
    }

    #[test]
    fn holders_that_are_gone_are_passed_over() -> Result<(), Failed> {
        let (owner, before, meanwhile, after) = (peer(1)?, peer(2)?, peer(3)?, peer(4)?);
        let own = node(&owner)?;
        let held = (
            strong(own.node(), &before)?,
            strong(own.node(), &meanwhile)?,
            strong(own.node(), &after)?,
        );
        before.shut();
        destroy_amid(&owner, &[own.node()], |moment| {
            if moment == Moment::Condemned {
                meanwhile.shut();
            }
            Ok(())
        })?;
        for gone in [&before, &meanwhile] {
            assert!(take(gone).is_none());
            assert!(is_empty(gone));
        }
        assert!(is(&end(&after), own.node(), false));
        drop(held);
        Ok(())
    }

    #[test]
    fn who_is_told_of_the_end_is_told_nothing_of_counts() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        drop(strong(own.node(), &holder)?);
        let edges = own.node().state(|state, _| state.n);
        let held = core::cell::RefCell::new(None);
        destroy_amid(&owner, &[own.node()], |moment| {
            if moment == Moment::Condemned {
                *held.borrow_mut() = Some(strong(own.node(), &holder)?);
            } else {
                drop(held.borrow_mut().take());
            }
            Ok(())
        })?;
        assert!(is(&end(&owner), own.node(), false));
        assert!(take(&owner).is_none());
        assert_eq!(
            own.node().state(|state, counts| (state.n, counts.strong)),
            (edges, 0)
        );
        Ok(())
    }

    #[test]
    fn the_end_has_one_place_among_the_messages_of_all() -> Result<(), Failed> {
        let (owner, a, b) = (peer(1)?, peer(2)?, peer(3)?);
        let (own, one, two) = (node(&owner)?, node(&a)?, node(&b)?);
        let held = (strong(own.node(), &a)?, strong(own.node(), &b)?);
        let both = [one.node(), two.node()];
        amid(&owner, &both, 1, || Ok(()))?;
        destroy_amid(&owner, &[own.node()], |moment| {
            match moment {
                Moment::Condemned => amid(&owner, &both, 3, || {
                    // One of them reads, and so settles what was in between for both.
                    assert!(send(&b, one.node(), 5)?);
                    assert_eq!((number(&a), number(&a)), (Some(1), Some(5)));
                    Ok(())
                }),
                Moment::Committed => amid(&owner, &both, 7, || Ok(())),
            }
        })?;
        let (mut of_a, mut of_b) = (KVec::new(), KVec::new());
        assert_eq!(number(&b), Some(2));
        for (peer, seen, first) in [(&a, &mut of_a, 3), (&b, &mut of_b, 4)] {
            while let Some(taken) = take(peer) {
                let what = match taken {
                    Taken::Message(got) => Some(got.message.part - first),
                    _ => None,
                };
                seen.push(what, GFP_KERNEL)?;
            }
        }
        assert_eq!(of_a.len(), 3);
        assert!(of_a.iter().eq(of_b.iter()));
        assert_eq!(of_a.last().copied(), Some(Some(4)));
        drop(held);
        Ok(())
    }
}
