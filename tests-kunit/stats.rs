// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_stats`: what is counted.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_stats))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        amid::*,
        core::{
            anchor::Spare,
            call::Reply,
            inbox::QueueId,
            personality::When,
            stats::each, //
        },
        testbed::*, //
    };

    const NAMES: [&str; 13] = [
        "queued",
        "parked",
        "superseded",
        "messages",
        "notices",
        "codes",
        "multicasts",
        "pushes",
        "pages-reclaimed",
        "peers-alive",
        "nodes-alive",
        "handles-alive",
        "messages-alive",
    ];

    /// All numbers, in the order of [`NAMES`].
    fn all() -> [u64; 13] {
        NAMES.map(counted)
    }

    /// What a test added to each.
    fn since(before: [u64; 13]) -> [u64; 13] {
        let (mut now, mut before) = (all(), before.into_iter());
        for number in &mut now {
            *number = number.wrapping_sub(before.next().unwrap_or(0));
        }
        now
    }

    #[test]
    fn each_number_has_a_name() {
        let (mut known, mut n) = (true, 0);
        each(&mut |name, _| {
            known = known && NAMES.get(n) == Some(&name);
            n += 1;
        });
        assert!(known);
        assert_eq!(n, NAMES.len());
    }

    #[test]
    fn what_lives_is_counted_as_long_as_it_lives() -> Result<(), Failed> {
        let before = all();
        {
            let (owner, holder) = (peer(1)?, peer(2)?);
            let own = node(&owner)?;
            let link = strong(own.node(), &holder)?;
            let ready = message(own.node(), 1)?;
            assert_eq!(since(before)[9..], [2, 1, 2, 1]);
            drop(strong(own.node(), &holder)?);
            assert_eq!(since(before)[9..], [2, 1, 2, 1]);
            drop(link);
            assert_eq!(since(before)[9..], [2, 1, 1, 1]);
            drop(ready);
            assert_eq!(since(before)[9..], [2, 1, 1, 0]);
            // The owner is told, and the notice keeps the node.
            assert!(take(&owner).is_some());
        }
        assert_eq!(since(before)[9..], [0, 0, 0, 0]);
        Ok(())
    }

    #[test]
    fn what_is_queued_and_read_is_counted_by_kind() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let (own, serial) = (node(&owner)?, lane(&owner)?);
        let before = all();
        assert!(send(&other, own.node(), 1)?);
        assert!(send(&other, serial.node(), 1)?);
        assert!(send(&other, serial.node(), 2)?);
        assert_eq!(since(before)[..8], [2, 1, 0, 0, 0, 0, 0, 0]);
        owner.anchor().with(|view| view.part().update = true);
        assert!(send(&other, serial.node(), 12)?);
        assert_eq!(since(before)[..8], [2, 2, 1, 0, 0, 0, 0, 0]);
        while number(&owner).is_some() {}
        assert_eq!(since(before)[..8], [3, 2, 1, 3, 0, 0, 0, 0]);
        let spare = Spare::new(owner.anchor())?;
        let posted = owner.anchor().post_code(QueueId::MAIN, spare, 1, When::Now);
        assert!(posted.is_ok() && take(&owner).is_some());
        drop(Reply::new(owner.anchor(), QueueId::MAIN, None).map_err(|_| Failed)?);
        assert!(take(&owner).is_some());
        assert_eq!(since(before)[..8], [5, 2, 1, 3, 0, 2, 0, 0]);
        drop(strong(own.node(), &other)?);
        assert!(take(&owner).is_some());
        assert_eq!(since(before)[..8], [6, 2, 1, 3, 1, 2, 0, 0]);
        Ok(())
    }

    #[test]
    fn what_goes_to_many_is_counted_once_and_once_for_each() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let held = strong(own.node(), &other)?;
        let before = all();
        amid(&other, &[own.node(), own.node()], 1, || {
            assert!(send(&other, own.node(), 3)?);
            assert!(number(&owner).is_some());
            Ok(())
        })?;
        assert_eq!(since(before)[..8], [3, 0, 0, 1, 0, 0, 1, 2]);
        destroy_amid(&owner, &[own.node()], |_| Ok(()))?;
        assert_eq!(since(before)[..8], [5, 0, 0, 1, 0, 0, 2, 2]);
        while take(&owner).is_some() {}
        assert!(take(&other).is_some());
        assert_eq!(since(before)[..8], [5, 0, 0, 3, 2, 0, 2, 2]);
        drop(held);
        Ok(())
    }

    #[test]
    fn what_is_dropped_unread_is_not_counted_as_read() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let before = all();
        amid(&other, &[own.node()], 1, || {
            destroy_amid(&owner, &[own.node()], |_| Ok(()))?;
            assert!(take(&owner).is_some());
            Ok(())
        })?;
        assert!(take(&owner).is_none());
        assert!(balanced(&owner));
        assert_eq!(since(before)[3..5], [0, 1]);
        Ok(())
    }
}
