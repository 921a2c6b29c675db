// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_lane`: the serial line of a node.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_lane))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        amid::*,
        core::{
            anchor::Taken,
            call::Reply,
            inbox::QueueId,
            sync::{
                KVec,
                GFP_KERNEL, //
            },
            transaction::Outcome, //
        },
        testbed::*, //
    };

    #[test]
    fn one_message_is_out_until_it_is_freed() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = lane(&owner)?;
        for number in 0..3 {
            assert!(send(&sender, own.node(), number)?);
        }
        for number in 0..3 {
            let out = receive(&owner).ok_or(Failed)?;
            assert_eq!(out.message.part, number);
            assert!(take(&owner).is_none());
            drop(out);
        }
        assert!(take(&owner).is_none());
        assert!(balanced(&owner));
        Ok(())
    }

    #[test]
    fn the_turn_can_outlive_the_message() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = lane(&owner)?;
        assert!(send(&sender, own.node(), 1)?);
        assert!(send(&sender, own.node(), 2)?);
        let mut out = receive(&owner).ok_or(Failed)?;
        let turn = out.message.turn.take();
        assert!(turn.is_some());
        drop(out);
        assert!(take(&owner).is_none());
        drop(turn);
        assert_eq!(number(&owner), Some(2));
        Ok(())
    }

    #[test]
    fn lanes_of_two_nodes_do_not_wait_for_each_other() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let (a, b) = (lane(&owner)?, lane(&owner)?);
        assert!(send(&sender, a.node(), 1)?);
        assert!(send(&sender, a.node(), 2)?);
        assert!(send(&sender, b.node(), 3)?);
        let mut out = KVec::new();
        while let Some(delivered) = receive(&owner) {
            out.push(delivered, GFP_KERNEL)?;
        }
        let numbers: (Option<u32>, Option<u32>) = (
            out.first().map(|d| d.message.part),
            out.get(1).map(|d| d.message.part),
        );
        assert_eq!((out.len(), numbers), (2, (Some(1), Some(3))));
        Ok(())
    }

    #[test]
    fn a_parked_message_that_is_refused_lets_the_next_go() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = lane(&owner)?;
        assert!(send(&sender, own.node(), 1)?);
        let parked = message(own.node(), 2)?.commit(sender.anchor());
        assert!(matches!(parked, Outcome::Parked(())));
        let out = receive(&owner).ok_or(Failed)?;
        owner.anchor().with(|view| view.part().refuse = true);
        drop(out);
        owner.anchor().with(|view| view.part().refuse = false);
        assert!(take(&owner).is_none());
        assert!(send(&sender, own.node(), 3)?);
        assert_eq!(number(&owner), Some(3));
        assert!(balanced(&owner));
        Ok(())
    }

    #[test]
    fn an_update_takes_the_place_of_what_is_parked_and_not_of_what_is_out() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = lane(&owner)?;
        owner.anchor().with(|view| view.part().update = true);
        for number in [1, 2, 3] {
            assert!(send(&sender, own.node(), number)?);
        }
        let newer = message(own.node(), 12)?.commit(sender.anchor());
        assert!(matches!(&newer, Outcome::Superseded((), old) if old.part == 2));
        drop(newer);
        let of_what_is_out = message(own.node(), 11)?.commit(sender.anchor());
        assert!(matches!(of_what_is_out, Outcome::Parked(())));
        for expected in [1, 3, 12, 11] {
            assert_eq!(number(&owner), Some(expected));
        }
        assert!(take(&owner).is_none());
        assert!(balanced(&owner));
        Ok(())
    }

    #[test]
    fn the_end_of_a_node_empties_its_lane() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = lane(&owner)?;
        for number in 0..100 {
            // As many as the account allows are parked.
            if message(own.node(), number)
                .map(|m| drop(m.commit(sender.anchor())))
                .is_err()
            {
                break;
            }
        }
        assert!(close(&owner, &[own.node()])?);
        Ok(())
    }

    #[test]
    fn who_is_let_out_is_asked_about_again_and_comes_later() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let (own, other) = (lane(&owner)?, node(&owner)?);
        for number in [1, 2] {
            assert!(send(&sender, own.node(), number)?);
        }
        assert!(send(&sender, other.node(), 3)?);
        let first = receive(&owner).ok_or(Failed)?;
        assert_eq!(owner.anchor().with(|view| view.part().released), 0);
        drop(first);
        assert_eq!(owner.anchor().with(|view| view.part().released), 1);
        // It was sent before the third, and gets its place now.
        let (third, second) = (placed(&owner).ok_or(Failed)?, placed(&owner).ok_or(Failed)?);
        assert_eq!((third.0, second.0), (3, 2));
        assert!(third.1 < second.1);
        Ok(())
    }

    #[test]
    fn refused_ones_are_skipped_until_one_is_taken() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = lane(&owner)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        for number in 1..4 {
            assert!(send(&sender, own.node(), number)?);
        }
        let out = receive(&owner).ok_or(Failed)?;
        // Where the others would go is gone.
        assert!(owner.anchor().remove_queue(queue).is_some());
        owner.anchor().with(|view| view.part().queue = Some(queue));
        drop(out);
        assert_eq!(owner.anchor().with(|view| view.part().released), 2);
        assert!(balanced(&owner));
        owner.anchor().with(|view| view.part().queue = None);
        assert!(send(&sender, own.node(), 4)?);
        assert_eq!(number(&owner), Some(4));
        Ok(())
    }

    #[test]
    fn a_message_that_is_dropped_unread_lets_the_next_go() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = lane(&owner)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        owner.anchor().with(|view| view.part().queue = Some(queue));
        assert!(send(&sender, own.node(), 1)?);
        owner.anchor().with(|view| view.part().queue = None);
        assert!(send(&sender, own.node(), 2)?);
        assert!(take(&owner).is_none());
        assert!(owner.anchor().remove_queue(queue).is_some());
        assert_eq!(number(&owner), Some(2));
        assert!(send(&sender, own.node(), 3)?);
        assert_eq!(number(&owner), Some(3));
        Ok(())
    }

    #[test]
    fn calls_and_multicasts_take_no_turn() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = lane(&owner)?;
        assert!(send(&sender, own.node(), 1)?);
        amid(&sender, &[own.node(), own.node()], 2, || Ok(()))?;
        let reply = Reply::new(sender.anchor(), QueueId::MAIN, None).map_err(|_| Failed)?;
        let call = message(own.node(), 4)?.call(reply).commit(sender.anchor());
        assert!(matches!(call, Outcome::Delivered(())));
        let first = receive(&owner).ok_or(Failed)?;
        assert!(first.message.turn.is_some());
        for expected in 2..5 {
            let got = receive(&owner).ok_or(Failed)?;
            assert!(got.message.part == expected && got.message.turn.is_none());
        }
        Ok(())
    }

    #[test]
    fn a_lane_stands_still_when_its_owner_is_shut() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = lane(&owner)?;
        for number in 1..4 {
            assert!(send(&sender, own.node(), number)?);
        }
        let out = receive(&owner).ok_or(Failed)?;
        owner.shut();
        drop(out);
        assert!(take(&owner).is_none());
        assert_eq!(owner.anchor().with(|view| view.part().released), 0);
        // What is parked goes with the node.
        assert!(!balanced(&owner));
        assert!(close(&owner, &[own.node()])?);
        Ok(())
    }

    #[test]
    fn the_end_of_a_node_leaves_the_lanes_of_others() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let (dying, own) = (lane(&owner)?, lane(&owner)?);
        for number in 1..4 {
            assert!(send(&sender, dying.node(), number)?);
            assert!(send(&sender, own.node(), 10 + number)?);
        }
        destroy_amid(&owner, &[dying.node()], |_| Ok(()))?;
        assert_eq!((number(&owner), number(&owner)), (Some(1), Some(11)));
        assert!(matches!(take(&owner), Some(Taken::Watch(..))));
        assert_eq!((number(&owner), number(&owner)), (Some(12), Some(13)));
        assert!(take(&owner).is_none() && balanced(&owner));
        Ok(())
    }

    #[test]
    fn an_update_finds_a_free_lane_free() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let (own, other) = (lane(&owner)?, lane(&owner)?);
        owner.anchor().with(|view| view.part().update = true);
        let first = message(own.node(), 1)?.commit(sender.anchor());
        assert!(matches!(first, Outcome::Delivered(())));
        for number in [2, 3] {
            assert!(send(&sender, own.node(), number)?);
        }
        // What is parked elsewhere is not meant.
        assert!(send(&sender, other.node(), 0)?);
        let parked = message(other.node(), 12)?.commit(sender.anchor());
        assert!(matches!(parked, Outcome::Parked(())));
        // Of two that are meant, the older one goes.
        assert!(send(&sender, own.node(), 2)?);
        let newer = message(own.node(), 12)?.commit(sender.anchor());
        let Outcome::Superseded((), old) = newer else {
            return Err(Failed);
        };
        assert!(old.part == 2 && old.turn.is_none());
        drop(old);
        let mut order = [0; 6];
        for slot in &mut order {
            *slot = number(&owner).ok_or(Failed)?;
        }
        assert_eq!(order, [1, 0, 3, 12, 2, 12]);
        assert!(take(&owner).is_none() && balanced(&owner));
        Ok(())
    }
}
