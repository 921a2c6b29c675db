// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_handle`: handles and their references.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_handle))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        core::{
            anchor::Taken,
            handle::{
                Handle,
                LinkError, //
            },
            node::Node,
            personality::Via,
            sync::{
                Arc,
                Relaxed, //
            }, //
        },
        testbed::*, //
    };

    #[test]
    fn one_peer_has_one_handle_to_a_node() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let (a, b) = (strong(own.node(), &holder)?, strong(own.node(), &holder)?);
        assert!(Arc::ptr_eq(a.handle(), b.handle()));
        assert_eq!(a.handle().counts().strong, 2);
        assert!(!Arc::ptr_eq(a.handle(), own.handle()));
        Ok(())
    }

    #[test]
    fn bundles_merge_and_split_without_changing_the_count() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let mut bundle = strong(own.node(), &holder)?;
        assert!(bundle.split().is_none());
        let other = strong(own.node(), &holder)?;
        assert!(bundle.merge(other).is_ok());
        assert_eq!(bundle.handle().counts().strong, 2);
        let one = bundle.split();
        assert!(one.is_some());
        assert_eq!(bundle.handle().counts().strong, 2);
        drop(one);
        assert_eq!(bundle.handle().counts().strong, 1);
        assert!(bundle.split().is_none());
        Ok(())
    }

    #[test]
    fn bundles_of_different_handles_do_not_merge() -> Result<(), Failed> {
        let (owner, a, b) = (peer(1)?, peer(2)?, peer(3)?);
        let own = node(&owner)?;
        let mut mine = strong(own.node(), &a)?;
        let yours = strong(own.node(), &b)?;
        assert!(mine.merge(yours).is_err());
        assert!(mine.split().is_none());
        assert!(own.node().handle_of(b.anchor()).is_none());
        Ok(())
    }

    #[test]
    fn the_last_count_ends_the_handle() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let reference = strong(own.node(), &holder)?;
        let handle = reference.handle().clone();
        assert!(own.node().handle_of(holder.anchor()).is_some());
        drop(reference);
        assert!(own.node().handle_of(holder.anchor()).is_none());
        assert!(Handle::strong(&handle, Via::Any).is_err());
        let anew = strong(own.node(), &holder)?;
        assert!(!Arc::ptr_eq(anew.handle(), &handle));
        Ok(())
    }

    #[test]
    fn a_soft_reference_keeps_the_handle_without_using_the_node() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let reference = strong(own.node(), &holder)?;
        let soft = Handle::soft(reference.handle(), Via::Any).map_err(|_| Failed)?;
        drop(reference);
        assert_eq!(own.node().state(|_, c| (c.strong, c.held)), (0, 2));
        assert!(Handle::strong(soft.handle(), Via::Any).is_ok());
        Ok(())
    }

    #[test]
    fn who_let_go_is_told_nothing() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let reference = strong(own.node(), &holder)?;
        close(&owner, &[own.node()])?;
        drop(reference);
        assert!(take(&holder).is_none());
        Ok(())
    }

    #[test]
    fn a_disarmed_watch_is_not_told() -> Result<(), Failed> {
        let (owner, a, b) = (peer(1)?, peer(2)?, peer(3)?);
        let own = node(&owner)?;
        let held = (strong(own.node(), &a)?, strong(own.node(), &b)?);
        let watch = held.0.handle().disarm();
        assert!(watch.is_some());
        close(&owner, &[own.node()])?;
        assert!(take(&a).is_none());
        assert!(take(&b).is_some());
        // Armed again on a dead node, it is told at once.
        let armed = watch.map(|watch| held.0.handle().arm(watch).is_ok());
        assert_eq!(armed, Some(true));
        assert!(matches!(take(&a), Some(Taken::Watch(..))));
        Ok(())
    }

    #[test]
    fn strong_and_soft_counts_are_kept_apart() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let first = soft(own.node(), &holder)?;
        let handle = first.handle().clone();
        let counts = || (handle.counts().strong, handle.counts().soft);
        assert_eq!(counts(), (0, 1));
        let mut strongs = Handle::strong(&handle, Via::Any).map_err(|_| Failed)?;
        let mut softs = Handle::soft(&handle, Via::Any).map_err(|_| Failed)?;
        assert_eq!(counts(), (1, 2));
        for _ in 0..3 {
            let (strong, soft) = (strong(own.node(), &holder)?, soft(own.node(), &holder)?);
            assert!(strongs.merge(strong).is_ok() && softs.merge(soft).is_ok());
        }
        assert_eq!(counts(), (4, 5));
        let part = (strongs.split(), softs.split());
        assert!(part.0.is_some() && part.1.is_some());
        assert_eq!(own.node().state(|_, c| (c.strong, c.held)), (1, 2));
        drop(strongs);
        assert_eq!(counts(), (1, 5));
        drop(softs);
        assert_eq!(counts(), (1, 1 + 1));
        drop(part.1);
        drop(first);
        assert_eq!(counts(), (1, 0));
        assert!(own.node().handle_of(holder.anchor()).is_some());
        drop(part.0);
        assert_eq!(counts(), (0, 0));
        assert_eq!(own.node().state(|_, c| (c.strong, c.held)), (0, 1));
        assert_eq!(Handle::soft(&handle, Via::Any).err(), Some(LinkError::Dead));
        assert_eq!(counts(), (0, 0));
        Ok(())
    }

    #[test]
    fn a_merged_bundle_splits_down_to_one() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let (mut one, mut other) = (strong(own.node(), &holder)?, strong(own.node(), &holder)?);
        assert!(other.merge(strong(own.node(), &holder)?).is_ok());
        // Three, of which two came in one.
        assert!(one.merge(other).is_ok());
        let (second, third) = (one.split().ok_or(Failed)?, one.split().ok_or(Failed)?);
        assert!(one.split().is_none());
        drop((second, third));
        assert_eq!(one.handle().counts().strong, 1);
        assert!(Arc::ptr_eq(one.node(), own.node()));
        assert!(core::ptr::eq(&**one.handle().holder(), &**holder.anchor()));
        Ok(())
    }

    #[test]
    fn what_does_not_merge_comes_back_whole() -> Result<(), Failed> {
        let (owner, a, b) = (peer(1)?, peer(2)?, peer(3)?);
        let own = node(&owner)?;
        let (mut mine, mut yours) = (soft(own.node(), &a)?, soft(own.node(), &b)?);
        assert!(yours.merge(soft(own.node(), &b)?).is_ok());
        let mut yours = mine.merge(yours).err().ok_or(Failed)?;
        assert_eq!(yours.handle().counts().soft, 2);
        assert!(yours.split().is_some());
        assert_eq!(yours.handle().counts().soft, 1);
        assert_eq!(mine.handle().counts().soft, 1);
        Ok(())
    }

    #[test]
    fn a_handle_that_is_not_made_leaves_nothing() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        close(&owner, &[own.node()])?;
        let before = counted("handles-alive");
        let refused = Node::strong_to(own.node(), holder.anchor(), Via::Any).err();
        assert_eq!(refused, Some(LinkError::Dead));
        let refused = Node::soft_to(own.node(), holder.anchor(), Via::Any).err();
        assert_eq!(refused, Some(LinkError::Dead));
        assert_eq!(counted("handles-alive"), before);
        // The owner has its handle already, and may take it again.
        assert!(strong(own.node(), &owner).is_ok());
        Ok(())
    }

    #[test]
    fn what_is_written_on_a_handle_stays_there_as_long_as_it_lives() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let link = strong(own.node(), &holder)?;
        link.handle().part().0.store(7, Relaxed);
        let again = soft(own.node(), &holder)?;
        assert_eq!(again.handle().part().0.load(Relaxed), 7);
        assert_eq!(own.handle().part().0.load(Relaxed), 0);
        drop((link, again));
        let anew = strong(own.node(), &holder)?;
        assert_eq!(anew.handle().part().0.load(Relaxed), 0);
        Ok(())
    }
}
