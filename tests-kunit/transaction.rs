// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_transaction`: sending to one and to many.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_transaction))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        amid::*,
        core::{
            anchor::Taken,
            pool::PoolError,
            quota::{
                Amounts,
                Resource, //
            },
            sync::{
                Arc,
                KVec,
                GFP_KERNEL, //
            },
            transaction::{
                Draft,
                Multicast,
                Outcome,
                Policy,
                ReserveError, //
            }, //
        },
        testbed::*, //
    };

    #[test]
    fn what_is_dropped_before_commit_had_no_effect() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let handles = {
            let mut handles = KVec::new();
            let other = node(&sender)?;
            handles.push(Some(strong(other.node(), &owner)?), GFP_KERNEL)?;
            handles
        };
        drop(carrying(own.node(), 1, handles)?);
        assert!(take(&owner).is_none());
        assert!(balanced(&owner));
        Ok(())
    }

    #[test]
    fn a_reference_that_arrived_can_be_used() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let (own, offered) = (node(&owner)?, node(&sender)?);
        let mut handles = KVec::new();
        handles.push(Some(strong(offered.node(), &owner)?), GFP_KERNEL)?;
        let sent = carrying(own.node(), 1, handles)?.commit(sender.anchor());
        assert!(matches!(sent, Outcome::Delivered(())));
        let got = receive(&owner).ok_or(Failed)?;
        let handle = got.message.handles.first().and_then(|slot| slot.as_ref());
        let node = handle.ok_or(Failed)?.node();
        assert!(send(&owner, node, 2)?);
        assert_eq!(number(&sender), Some(2));
        Ok(())
    }

    #[test]
    fn a_refused_message_comes_back_whole() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        owner.anchor().with(|view| view.part().refuse = true);
        match message(own.node(), 9)?.commit(sender.anchor()) {
            Outcome::Refused(_, message) => assert_eq!(message.part, 9),
            _ => return Err(Failed),
        }
        assert!(balanced(&owner));
        Ok(())
    }

    #[test]
    fn limits_and_memory_of_the_receiver_are_respected() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let mut sent = 0;
        while let Ok(true) = send(&sender, own.node(), sent) {
            sent += 1;
        }
        // A sender gets its cap, and half of what is not promised to anybody.
        let [slices, ..] = owner.account().report().resources;
        assert_eq!(sent, slices.cap + (slices.limit - slices.reserve) / 2);
        assert_eq!(number(&owner), Some(0));
        assert!(send(&sender, own.node(), 64)?);
        Ok(())
    }

    fn multicast(nodes: &[&Arc<crate::core::node::Node<T>>]) -> Result<Multicast<T>, Failed> {
        let mut multicast = Multicast::new(nodes.len())?;
        for (number, node) in nodes.iter().enumerate() {
            multicast.add(message(node, number as u32)?.into_part()?)?;
        }
        Ok(multicast)
    }

    #[test]
    fn a_multicast_arrives_everywhere_at_one_stamp() -> Result<(), Failed> {
        let (a, b, sender) = (peer(1)?, peer(2)?, peer(3)?);
        let nodes = (node(&a)?, node(&b)?, node(&a)?);
        let all = multicast(&[nodes.0.node(), nodes.1.node(), nodes.2.node()])?;
        let mut delivered = 0;
        assert!(all.commit(sender.anchor(), Policy::All, |_, outcome| {
            delivered += u32::from(matches!(outcome, Outcome::Delivered(())));
        }));
        assert_eq!(delivered, 3);
        let first = receive(&a).ok_or(Failed)?;
        let second = receive(&a).ok_or(Failed)?;
        let other = receive(&b).ok_or(Failed)?;
        assert_eq!((first.more, second.more, other.more), (true, false, false));
        assert_eq!((first.message.part, second.message.part), (0, 2));
        assert!(
            first.place.stamp() == second.place.stamp()
                && first.place.stamp() == other.place.stamp()
        );
        Ok(())
    }

    #[test]
    fn one_refusal_cancels_all_or_is_passed_over() -> Result<(), Failed> {
        let (a, b, sender) = (peer(1)?, peer(2)?, peer(3)?);
        let nodes = (node(&a)?, node(&b)?);
        b.anchor().with(|view| view.part().refuse = true);
        let both = || multicast(&[nodes.0.node(), nodes.1.node()]);
        assert!(!both()?.commit(sender.anchor(), Policy::All, |_, _| ()));
        assert!(take(&a).is_none());
        assert!(balanced(&a) && balanced(&b));
        assert!(both()?.commit(sender.anchor(), Policy::Any, |_, _| ()));
        assert_eq!(number(&a), Some(0));
        assert!(take(&b).is_none());
        Ok(())
    }

    #[test]
    fn what_was_sent_before_the_end_is_delivered_and_nothing_after() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let (own, other) = (node(&owner)?, node(&holder)?);
        let held = strong(own.node(), &holder)?;
        let late = message(own.node(), 2)?;
        assert!(send(&holder, own.node(), 1)?);
        assert!(send(&owner, other.node(), 3)?);
        let verdict = crate::core::destroy::Verdict::new()?;
        owner.destroy_all(verdict, [own.node()].into_iter());
        assert!(matches!(late.commit(holder.anchor()), Outcome::Refused(..)));
        assert!(Draft::to(own.node()).is_err());
        assert_eq!(number(&owner), Some(1));
        assert!(matches!(take(&owner), Some(Taken::Watch(..))));
        assert!(take(&owner).is_none());
        assert_eq!(number(&holder), Some(3));
        assert!(matches!(take(&holder), Some(Taken::Watch(..))));
        drop(held);
        Ok(())
    }

    #[test]
    fn what_can_not_be_reserved_is_said_and_not_charged() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let reserve = |amounts, len| -> Result<_, Failed> {
            let draft = Draft::to(own.node()).map_err(|_| Failed)?;
            Ok(draft.reserve(USER, amounts, len).err())
        };
        let amounts = |slices, bytes| Amounts {
            slices,
            bytes,
            ..Amounts::NONE
        };
        let over = match reserve(amounts(1, 4104), 8)? {
            Some(ReserveError::OverLimit(over)) => over,
            _ => return Err(Failed),
        };
        assert!(over.resource == Resource::Bytes && over.never_fits());
        let too_large = Some(ReserveError::Pool(PoolError::TooLarge));
        assert_eq!(reserve(amounts(1, 8), 9)?, too_large);
        assert_eq!(reserve(amounts(0, 8), 8)?, too_large);
        assert!(balanced(&owner));
        let all = Draft::to(own.node()).map_err(|_| Failed)?;
        let all = all.reserve(USER, amounts(1, 8), 8).map_err(|_| Failed)?;
        let rest = amounts(1, POOL as u32 - 8);
        assert_eq!(reserve(rest, POOL - 8)?, None);
        assert_eq!(reserve(rest, POOL)?, too_large);
        drop(all);
        assert!(balanced(&owner));
        assert_eq!(sender.account().report().used, Amounts::NONE);
        Ok(())
    }

    #[test]
    fn nobody_hears_of_a_multicast_that_one_refuses() -> Result<(), Failed> {
        let (a, sender) = (peer(1)?, peer(2)?);
        let (one, two) = (node(&a)?, node(&a)?);
        let mut heard = KVec::new();
        let all = multicast(&[one.node(), two.node()])?;
        let refuse = |yes| a.anchor().with(|view| view.part().refuse = yes);
        refuse(true);
        let committed = all.commit(sender.anchor(), Policy::All, |index, outcome| {
            let refused = matches!(&outcome, Outcome::Refused(_, m) if m.part == index as u32);
            let _ = heard.push((index, refused), GFP_KERNEL);
        });
        assert!(!committed && heard.iter().eq([(0, true), (1, true)].iter()));
        refuse(false);
        let committed = staged(&sender, &[one.node(), two.node()], 0, Policy::All, || {
            assert!(!balanced(&a) && take(&a).is_none());
            Ok(())
        })?;
        assert!(!committed && balanced(&a) && take(&a).is_none());
        assert_eq!(a.anchor().with(|view| view.part().ready), 0);
        Ok(())
    }

    #[test]
    fn who_was_staged_is_told_that_it_is_off() -> Result<(), Failed> {
        let (a, b, sender) = (peer(1)?, peer(2)?, peer(3)?);
        let (one, two, three) = (node(&a)?, node(&b)?, node(&a)?);
        b.anchor().with(|view| view.part().refuse = true);
        let all = multicast(&[one.node(), two.node(), three.node()])?;
        let mut heard = [0; 3];
        let committed = all.commit(sender.anchor(), Policy::All, |index, outcome| {
            heard[index] += match outcome {
                Outcome::Refused(..) => 1,
                Outcome::Cancelled => 10,
                _ => 100,
            };
        });
        assert!(!committed);
        assert_eq!(heard, [10, 1, 10]);
        assert!(balanced(&a) && balanced(&b));
        Ok(())
    }

    #[test]
    fn a_multicast_to_nobody_commits_nothing() -> Result<(), Failed> {
        let sender = peer(1)?;
        let before = counted("multicasts");
        for policy in [Policy::All, Policy::Any] {
            let none = Multicast::new(0)?;
            assert!(!none.commit(sender.anchor(), policy, |_, _| ()));
            assert!(!staged(&sender, &[], 0, policy, || Ok(()))?);
        }
        assert_eq!(counted("multicasts"), before);
        Ok(())
    }

    #[test]
    fn what_is_taken_back_was_never_there() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        // Read past, it has moved; and it is found all the same.
        let committed = staged(&sender, &[own.node(), own.node()], 1, Policy::All, || {
            for number in [5, 6] {
                assert!(send(&sender, own.node(), number)?);
            }
            assert_eq!(number(&owner), Some(5));
            Ok(())
        })?;
        assert!(!committed);
        assert_eq!(number(&owner), Some(6));
        assert!(take(&owner).is_none() && balanced(&owner));
        Ok(())
    }

    #[test]
    fn a_message_can_be_taken_out_before_it_is_sent() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let draft = Draft::to(own.node()).map_err(|_| Failed)?;
        assert!(Arc::ptr_eq(draft.receiver(), &owner));
        let message = fill(draft, 4, KVec::new())?.into_message();
        assert!(message
            .node
            .as_ref()
            .is_some_and(|node| Arc::ptr_eq(node, own.node())));
        drop(message);
        assert!(balanced(&owner) && take(&owner).is_none());
        assert!(send(&sender, own.node(), 5)?);
        Ok(())
    }
}
