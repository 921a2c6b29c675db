// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_entry`: what stands in a queue, and what of it is out of date.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_entry))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        amid::*,
        core::{
            anchor::{
                Spare,
                Taken, //
            },
            destroy::Verdict,
            entry::Entry,
            inbox::QueueId,
            personality::When,
            sync::Arc, //
        },
        testbed::*, //
    };
    use core::cell::Cell;

    #[test]
    fn of_one_stamp_the_place_decides_what_is_behind_the_end() -> Result<(), Failed> {
        for round in 0..8 {
            let (owner, other) = (peer(1)?, peer(2)?);
            let (dying, own, far) = (node(&owner)?, node(&owner)?, node(&other)?);
            let held = strong(dying.node(), &other)?;
            let (below, verdict) = (Verdict::new()?, Verdict::new()?);
            if round % 2 == 0 {
                // Most likely the multicast's record will lie there.
                drop(below);
            }
            let (walks, good) = (Cell::new(0), Cell::new(false));
            let step = |moment| {
                let nodes = [dying.node(), far.node()];
                let done = moment == Moment::Committed
                    || amid(&other, &nodes, 1, || {
                        // A reader pushes both to one floor.
                        let sent = send(&other, own.node(), 3)?;
                        (sent && number(&owner) == Some(3))
                            .then_some(())
                            .ok_or(Failed)
                    })
                    .is_ok();
                good.set(done);
            };
            let nodes = [dying.node()];
            owner.destroy_all(verdict, Doomed::new(&nodes, &walks, &step));
            let mut of_owner = [take(&owner), take(&owner)].into_iter().flatten();
            let of_other = [take(&other), take(&other)];
            let message = |taken: &Taken<T>| matches!(taken, Taken::Message(_));
            let delivered = of_owner.any(|taken| message(&taken));
            assert!(good.get() && of_other[1].is_some());
            assert_eq!(of_other[0].as_ref().map(message), Some(delivered));
            drop((of_owner, held));
            assert!(balanced(&owner));
        }
        Ok(())
    }

    #[test]
    fn what_is_before_the_end_is_read_and_what_is_behind_is_dropped() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        assert!(send(&sender, own.node(), 1)?);
        destroy_amid(&owner, &[own.node()], |moment| {
            if moment == Moment::Condemned {
                assert!(send(&sender, own.node(), 2)?);
            } else {
                assert!(send(&sender, own.node(), 3).is_err());
            }
            Ok(())
        })?;
        assert_eq!(number(&owner), Some(1));
        assert!(matches!(take(&owner), Some(Taken::Watch(..))));
        // The second was sent before the end was committed, and has its place behind it.
        assert!(take(&owner).is_none());
        assert!(balanced(&owner));
        Ok(())
    }

    #[test]
    fn what_is_read_while_its_node_ends_moves_the_end_behind_it() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let (mut last, read) = (None, Cell::new(None));
        destroy_amid(&owner, &[own.node()], |moment| {
            if moment == Moment::Condemned {
                assert!(send(&sender, own.node(), 1)?);
                read.set(placed(&owner));
                assert!(send(&sender, own.node(), 2)?);
            }
            Ok(())
        })?;
        let (first, stamp, _) = read.get().ok_or(Failed)?;
        assert!(first == 1 && own.node().death() > Some(stamp));
        while let Some(taken) = take(&owner) {
            last = Some(taken);
        }
        assert!(matches!(last, Some(Taken::Watch(..))));
        assert!(balanced(&owner));
        Ok(())
    }

    #[test]
    fn one_entry_is_in_one_place() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        // The notice of a node, asked for again and again, is queued once.
        for _ in 0..3 {
            drop(strong(own.node(), &other)?);
        }
        assert!(matches!(take(&owner), Some(Taken::Counts(_))));
        assert!(take(&owner).is_none() && owner.anchor().take(queue).is_none());
        Ok(())
    }

    #[test]
    fn memory_for_a_code_is_used_again() -> Result<(), Failed> {
        let owner = peer(1)?;
        let mut spare = Spare::new(owner.anchor())?;
        for code in 0..3 {
            let posted = owner
                .anchor()
                .post_code(QueueId::MAIN, spare, code, When::Now)
                .map_err(|_| Failed)?;
            assert!(owner.anchor().readable(QueueId::MAIN));
            spare = owner.anchor().withdraw_code(posted).ok_or(Failed)?;
            assert!(!owner.anchor().readable(QueueId::MAIN));
        }
        Ok(())
    }

    #[test]
    fn entries_are_made_with_and_without_a_place_among_multicasts() -> Result<(), Failed> {
        let owner = peer(1)?;
        let (plain, multi) = (
            Entry::new(owner.anchor(), false)?,
            Entry::new(owner.anchor(), true)?,
        );
        assert!(!Arc::ptr_eq(&plain, &multi));
        assert!(take(&owner).is_none());
        Ok(())
    }
}
