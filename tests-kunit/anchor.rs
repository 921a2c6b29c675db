// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_anchor`: what others can do to an inbox, and what its reader gets.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_anchor))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        amid::*,
        core::{
            anchor::{
                Peeked,
                QueueError,
                Spare,
                Taken, //
            },
            inbox::QueueId,
            peer::Peer,
            personality::When,
            sync::Arc,
            transaction::{
                Outcome,
                Policy,
                Refusal, //
            }, //
        },
        testbed::*, //
    };

    const MAIN: QueueId = QueueId::MAIN;

    /// What is next, as a letter.
    fn peek(peer: &Peer<T>) -> Option<char> {
        peer.anchor().peek(MAIN, |peeked| match peeked {
            Peeked::Message(_) => 'm',
            Peeked::Watch(_) => 'w',
            Peeked::Counts(_) => 'n',
            Peeked::Other => 'o',
        })
    }

    fn bell(peer: &Peer<T>) -> Result<Arc<Bell>, Failed> {
        let bell = Bell::new()?;
        let old = peer
            .anchor()
            .with(|view| view.part().bell.replace(bell.clone()));
        old.is_none().then_some(bell).ok_or(Failed)
    }

    #[test]
    fn an_anchor_leads_to_its_peer_until_that_is_shut() -> Result<(), Failed> {
        let owner = peer(7)?;
        assert_eq!(owner.anchor().id(), 7);
        let live = owner.anchor().live().ok_or(Failed)?;
        assert!(Arc::ptr_eq(&live, &owner));
        owner.shut();
        assert!(owner.anchor().live().is_none());
        owner.shut();
        assert!(owner.anchor().live().is_none());
        assert_eq!(owner.anchor().add_queue(()), Err(QueueError::Closed));
        Ok(())
    }

    #[test]
    fn peeking_tells_what_is_next_and_takes_nothing() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let (own, far) = (node(&owner)?, node(&other)?);
        assert_eq!(peek(&owner), None);
        let held = strong(far.node(), &owner)?;
        drop(strong(own.node(), &other)?);
        assert!(send(&other, own.node(), 1)?);
        destroy_amid(&other, &[far.node()], |_| Ok(()))?;
        let posted = owner
            .anchor()
            .post_code(MAIN, Spare::new(owner.anchor())?, 3, When::Now);
        assert!(posted.is_ok());
        assert_eq!((peek(&owner), peek(&owner)), (Some('n'), Some('n')));
        assert!(matches!(take(&owner), Some(Taken::Counts(_))));
        assert_eq!(peek(&owner), Some('m'));
        assert_eq!(number(&owner), Some(1));
        assert_eq!(peek(&owner), Some('w'));
        assert!(matches!(take(&owner), Some(Taken::Watch(..))));
        assert_eq!(peek(&owner), Some('o'));
        assert!(matches!(take(&owner), Some(Taken::Code(3))));
        assert_eq!(peek(&owner), None);
        drop(held);
        Ok(())
    }

    #[test]
    fn taking_what_was_wanted_takes_nothing_else() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let wanted = |number: u32| {
            owner.anchor().take_if(MAIN, |peeked| match peeked {
                Peeked::Message(message) => message.part == number,
                _ => false,
            })
        };
        assert!(wanted(1).is_none());
        for number in [1, 2] {
            assert!(send(&sender, own.node(), number)?);
        }
        assert!(wanted(2).is_none());
        assert!(matches!(wanted(1), Some(Taken::Message(got)) if got.message.part == 1));
        assert!(wanted(1).is_none());
        assert!(wanted(2).is_some());
        assert!(balanced(&owner));
        Ok(())
    }

    /// Queues a message whose node was destroyed before it.
    fn stale(owner: &Peer<T>, sender: &Peer<T>) -> Result<(), Failed> {
        let dying = node(owner)?;
        amid(sender, &[dying.node()], 9, || {
            destroy_amid(owner, &[dying.node()], |_| Ok(()))?;
            let told = take(owner);
            assert!(matches!(told, Some(Taken::Watch(..))));
            Ok(())
        })
    }

    #[test]
    fn a_message_that_is_stale_is_never_seen() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        stale(&owner, &sender)?;
        assert!(!balanced(&owner));
        assert!(take(&owner).is_none());
        assert!(balanced(&owner));
        stale(&owner, &sender)?;
        stale(&owner, &sender)?;
        assert_eq!(peek(&owner), None);
        assert!(balanced(&owner));
        stale(&owner, &sender)?;
        assert!(send(&sender, own.node(), 1)?);
        assert_eq!(peek(&owner), Some('m'));
        assert_eq!(number(&owner), Some(1));
        stale(&owner, &sender)?;
        // Wanted, but not worth having: it is gone, and nothing is taken instead.
        assert!(owner.anchor().take_if(MAIN, |_| true).is_none());
        assert!(balanced(&owner));
        Ok(())
    }

    #[test]
    fn who_waits_is_woken_once_for_each_arrival() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let (own, far) = (node(&owner)?, node(&other)?);
        let held = strong(far.node(), &owner)?;
        let bell = bell(&owner)?;
        assert!(send(&other, own.node(), 1)?);
        assert_eq!(bell.rings(), 1);
        amid(&other, &[own.node(), own.node()], 2, || {
            assert_eq!(bell.rings(), 1);
            Ok(())
        })?;
        assert_eq!(bell.rings(), 3);
        let spare = || Spare::new(owner.anchor());
        let later = owner.anchor().post_code(MAIN, spare()?, 4, When::Later);
        assert!(later.is_ok());
        assert_eq!(bell.rings(), 3);
        let now = owner.anchor().post_code(MAIN, spare()?, 4, When::Now);
        assert!(now.is_ok());
        assert_eq!(bell.rings(), 4);
        drop(strong(own.node(), &other)?);
        assert_eq!(bell.rings(), 5);
        destroy_amid(&other, &[far.node()], |_| Ok(()))?;
        assert_eq!(bell.rings(), 6);
        drop(held);
        Ok(())
    }

    #[test]
    fn a_code_goes_to_a_queue_that_is_there() -> Result<(), Failed> {
        let owner = peer(1)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        let post = |queue, code| -> Result<_, Failed> {
            let spare = Spare::new(owner.anchor())?;
            Ok(owner.anchor().post_code(queue, spare, code, When::Now))
        };
        let posted = post(queue, 1)?.map_err(|_| Failed)?;
        assert!(matches!(owner.anchor().take(queue), Some(Taken::Code(1))));
        assert!(owner.anchor().withdraw_code(posted).is_none());
        let posted = post(queue, 2)?.map_err(|_| Failed)?;
        assert!(owner.anchor().remove_queue(queue).is_some());
        assert!(owner.anchor().withdraw_code(posted).is_none());
        let spare = post(queue, 3)?.err().ok_or(Failed)?;
        assert!(owner.anchor().post_code(MAIN, spare, 4, When::Now).is_ok());
        owner.shut();
        assert!(post(MAIN, 5)?.is_err());
        assert!(take(&owner).is_none());
        Ok(())
    }

    #[test]
    fn removing_a_queue_drops_what_is_in_it_and_in_the_middle_of_coming() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        owner.anchor().with(|view| view.part().queue = Some(queue));
        assert!(send(&sender, own.node(), 1)?);
        amid(&sender, &[own.node(), own.node()], 2, || {
            assert!(owner.anchor().remove_queue(queue).is_some());
            assert!(balanced(&owner));
            // The next one has its slot, and nothing of it.
            let next = owner.anchor().add_queue(()).map_err(|_| Failed)?;
            owner.anchor().with(|view| view.part().queue = Some(next));
            owner.anchor().with(|view| view.part().ready = 0);
            Ok(())
        })?;
        let next = owner
            .anchor()
            .with(|view| view.part().queue)
            .ok_or(Failed)?;
        assert_eq!(owner.anchor().with(|view| view.part().ready), 0);
        assert!(owner.anchor().take(next).is_none() && !owner.anchor().readable(next));
        assert!(take(&owner).is_none());
        owner.anchor().with(|view| view.part().queue = Some(queue));
        let refused = message(own.node(), 4)?.commit(sender.anchor());
        assert!(matches!(refused, Outcome::Refused(Refusal::Gone, _)));
        Ok(())
    }

    #[test]
    fn shutting_drops_what_is_in_all_queues_and_in_the_middle_of_coming() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        assert!(send(&sender, own.node(), 1)?);
        owner.anchor().with(|view| view.part().queue = Some(queue));
        assert!(send(&sender, own.node(), 2)?);
        let committed = steps(&sender, &[own.node()], 3, Policy::Any, |at| {
            if at == At::Staged {
                owner.shut();
                assert!(balanced(&owner));
            }
            Ok(())
        })?;
        assert!(committed);
        let empty = owner
            .anchor()
            .with(|view| view.is_empty(MAIN) && view.is_empty(queue));
        assert!(empty && balanced(&owner));
        assert!(take(&owner).is_none());
        Ok(())
    }

    #[test]
    fn what_arrives_at_two_inboxes_is_stamped_in_the_order_of_sending() -> Result<(), Failed> {
        let (a, b, sender) = (peer(1)?, peer(2)?, peer(3)?);
        let (one, two) = (node(&a)?, node(&b)?);
        for number in 0..20 {
            assert!(send(&sender, one.node(), number)?);
            assert!(send(&sender, two.node(), number)?);
            let (first, second) = (placed(&a).ok_or(Failed)?, placed(&b).ok_or(Failed)?);
            assert!(first.1 < second.1);
            // Who reads sends later than what it read.
            assert!(send(&b, one.node(), number)?);
            assert!(placed(&a).ok_or(Failed)?.1 > second.1);
        }
        Ok(())
    }

    #[test]
    fn who_sends_and_reads_needs_no_time_to_pass() -> Result<(), Failed> {
        let (a, b, c) = (peer(1)?, peer(2)?, peer(3)?);
        let (one, two, three) = (node(&a)?, node(&b)?, node(&c)?);
        let _standstill = Standstill::begin();
        let mut last = crate::core::order::Stamp::ZERO;
        for number in 0..5 {
            // One sends to two, one after the other.
            assert!(send(&c, one.node(), number)?);
            assert!(send(&c, two.node(), number)?);
            // Who reads sends to somebody who knows nothing of that yet.
            let (first, second) = (placed(&a).ok_or(Failed)?.1, placed(&b).ok_or(Failed)?.1);
            assert!(last < first && first < second);
            assert!(send(&b, three.node(), number)?);
            last = placed(&c).ok_or(Failed)?.1;
            assert!(second < last);
        }
        Ok(())
    }

    #[test]
    fn who_follows_the_end_of_a_node_sends_behind_it() -> Result<(), Failed> {
        let (owner, a, b) = (peer(1)?, peer(2)?, peer(3)?);
        let (dying, far) = (node(&owner)?, node(&b)?);
        let _standstill = Standstill::begin();
        a.anchor().follow(dying.node());
        assert!(send(&a, far.node(), 1)?);
        let first = placed(&b).ok_or(Failed)?.1;
        for number in 0..3 {
            assert!(send(&owner, far.node(), number)?);
        }
        destroy_amid(&owner, &[dying.node()], |_| Ok(()))?;
        let end = dying.node().death().ok_or(Failed)?;
        a.anchor().follow(dying.node());
        let own = node(&a)?;
        assert!(send(&a, own.node(), 2)?);
        assert!(first < end && end < placed(&a).ok_or(Failed)?.1);
        Ok(())
    }
}
