// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_inbox`: queues of a peer.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_inbox))]
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
            inbox::QueueId,
            node::Node,
            personality::{
                Via,
                When, //
            },
            transaction::{
                Outcome,
                Refusal, //
            }, //
        },
        testbed::*, //
    };

    #[test]
    fn messages_come_in_the_order_in_which_they_were_sent() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        for n in 0..10 {
            assert!(send(&sender, own.node(), n)?);
        }
        for n in 0..10 {
            assert_eq!(number(&owner), Some(n));
        }
        assert!(take(&owner).is_none());
        assert!(balanced(&owner));
        Ok(())
    }

    #[test]
    fn what_is_for_later_does_not_make_a_queue_readable() -> Result<(), Failed> {
        let owner = peer(1)?;
        let post = |code, when| {
            let spare = Spare::new(owner.anchor()).map_err(|_| Failed)?;
            owner
                .anchor()
                .post_code(QueueId::MAIN, spare, code, when)
                .map_err(|_| Failed)
        };
        post(1, When::Later)?;
        assert!(!owner.anchor().readable(QueueId::MAIN));
        post(2, When::Now)?;
        assert!(owner.anchor().readable(QueueId::MAIN));
        assert!(matches!(take(&owner), Some(Taken::Code(1))));
        assert!(owner.anchor().readable(QueueId::MAIN));
        assert!(matches!(take(&owner), Some(Taken::Code(2))));
        assert!(!owner.anchor().readable(QueueId::MAIN));
        Ok(())
    }

    #[test]
    fn a_code_can_be_taken_back_until_it_is_read() -> Result<(), Failed> {
        let owner = peer(1)?;
        let spare = Spare::new(owner.anchor())?;
        let posted = owner.anchor().post_code(QueueId::MAIN, spare, 7, When::Now);
        let spare = owner
            .anchor()
            .withdraw_code(posted.map_err(|_| Failed)?)
            .ok_or(Failed)?;
        assert!(take(&owner).is_none());
        let posted = owner.anchor().post_code(QueueId::MAIN, spare, 8, When::Now);
        assert!(matches!(take(&owner), Some(Taken::Code(8))));
        assert!(owner
            .anchor()
            .withdraw_code(posted.map_err(|_| Failed)?)
            .is_none());
        Ok(())
    }

    #[test]
    fn a_queue_that_is_removed_is_never_found_again() -> Result<(), Failed> {
        let owner = peer(1)?;
        let old = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        assert!(owner.anchor().remove_queue(old).is_some());
        let new = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        assert!(new != old);
        assert!(owner
            .anchor()
            .with(|view| view.is_open(new) && !view.is_open(old)));
        assert!(owner.anchor().remove_queue(old).is_none());
        Ok(())
    }

    #[test]
    fn many_queues_keep_their_entries() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let mut queues = [QueueId::MAIN; 9];
        for (number, slot) in queues.iter_mut().enumerate() {
            *slot = owner.anchor().add_queue(()).map_err(|_| Failed)?;
            owner.anchor().with(|view| view.part().queue = Some(*slot));
            assert!(send(&sender, own.node(), number as u32)?);
        }
        for (number, queue) in queues.iter().enumerate() {
            let got = receive_from(owner.anchor(), *queue).map(|d| d.message.part);
            assert_eq!(got, Some(number as u32));
        }
        Ok(())
    }

    #[test]
    fn notices_of_a_removed_queue_move_to_the_main_one() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        let held = Node::strong_to(own.node(), holder.anchor(), Via::Queue(queue));
        assert!(held.is_ok());
        assert!(!owner.anchor().readable(queue));
        assert!(owner.anchor().remove_queue(queue).is_some());
        assert!(owner.anchor().readable(QueueId::MAIN));
        assert!(matches!(take(&owner), Some(Taken::Counts(_))));
        Ok(())
    }

    #[test]
    fn a_shut_inbox_is_empty_and_takes_nothing() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let late = message(own.node(), 2)?;
        assert!(send(&sender, own.node(), 1)?);
        owner.shut();
        assert!(take(&owner).is_none());
        assert!(owner.anchor().live().is_none());
        let outcome = late.commit(sender.anchor());
        assert!(matches!(
            outcome,
            crate::core::transaction::Outcome::Refused(..)
        ));
        drop(outcome);
        assert!(balanced(&owner));
        assert!(message(own.node(), 3).is_err());
        Ok(())
    }

    #[test]
    fn peeking_takes_nothing() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        assert!(send(&sender, own.node(), 5)?);
        let look = |peeked: crate::core::anchor::Peeked<'_, T>| match peeked {
            crate::core::anchor::Peeked::Message(message) => message.part,
            _ => 0,
        };
        assert_eq!(owner.anchor().peek(QueueId::MAIN, look), Some(5));
        assert_eq!(owner.anchor().peek(QueueId::MAIN, look), Some(5));
        assert_eq!(number(&owner), Some(5));
        assert_eq!(owner.anchor().peek(QueueId::MAIN, look), None);
        Ok(())
    }

    #[test]
    fn slots_are_used_again_and_names_are_not() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let add = || owner.anchor().add_queue(()).map_err(|_| Failed);
        let mut old = [add()?, add()?, add()?];
        for round in 0..4u32 {
            // Each time another one goes first.
            old.rotate_left(1);
            for queue in old {
                assert!(owner.anchor().remove_queue(queue).is_some());
            }
            let new = [add()?, add()?, add()?];
            for (n, queue) in (0..).zip(new) {
                assert!(!old.contains(&queue) && queue != QueueId::MAIN);
                owner.anchor().with(|view| view.part().queue = Some(queue));
                assert!(send(&sender, own.node(), 10 * round + n)?);
            }
            for (n, queue) in (0..).zip(new) {
                let got = receive_from(owner.anchor(), queue).map(|got| got.message.part);
                assert_eq!(got, Some(10 * round + n));
            }
            for queue in old {
                assert!(owner.anchor().take(queue).is_none());
                assert!(owner.anchor().peek(queue, |_| ()).is_none());
                assert!(!owner.anchor().readable(queue));
            }
            old = new;
        }
        assert!(owner.anchor().with(|view| view.is_open(QueueId::MAIN)));
        Ok(())
    }

    #[test]
    fn a_queue_that_is_gone_refuses() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        owner.anchor().with(|view| view.part().queue = Some(queue));
        assert!(send(&sender, own.node(), 1)?);
        assert!(owner.anchor().remove_queue(queue).is_some());
        let refused = message(own.node(), 2)?.commit(sender.anchor());
        assert!(matches!(&refused, Outcome::Refused(Refusal::Gone, m) if m.part == 2));
        drop(refused);
        assert!(owner.anchor().add_queue(()).is_ok());
        let refused = message(own.node(), 3)?.commit(sender.anchor());
        assert!(matches!(refused, Outcome::Refused(Refusal::Gone, _)));
        drop(refused);
        assert!(balanced(&owner));
        Ok(())
    }

    #[test]
    fn a_shut_inbox_and_a_dead_node_refuse_as_closed() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let (dying, own) = (node(&owner)?, node(&owner)?);
        let late = (message(dying.node(), 1)?, message(own.node(), 2)?);
        destroy_amid(&owner, &[dying.node()], |_| Ok(()))?;
        let refused = late.0.commit(sender.anchor());
        assert!(matches!(refused, Outcome::Refused(Refusal::Closed, _)));
        owner.shut();
        let refused = late.1.commit(sender.anchor());
        assert!(matches!(refused, Outcome::Refused(Refusal::Closed, _)));
        Ok(())
    }

    #[test]
    fn a_queue_that_is_removed_answers_the_calls_in_it() -> Result<(), Failed> {
        let (owner, caller) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        owner.anchor().with(|view| view.part().queue = Some(queue));
        let reply = Reply::new(caller.anchor(), QueueId::MAIN, None).map_err(|_| Failed)?;
        let sent = message(own.node(), 1)?.call(reply).commit(caller.anchor());
        assert!(matches!(sent, Outcome::Delivered(())));
        assert!(owner.anchor().remove_queue(queue).is_some());
        assert!(matches!(take(&caller), Some(Taken::Failed(13, None))));
        assert!(balanced(&owner) && take(&owner).is_none());
        Ok(())
    }
}
