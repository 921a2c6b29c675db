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
        core::{
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
}
