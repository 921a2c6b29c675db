// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_watch`: asking to be told of the end of a node.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_watch))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        amid::*,
        core::{
            anchor::Taken,
            handle::Strong,
            peer::Peer,
            sync::Arc,
            watch::Watch, //
        },
        testbed::*, //
    };

    /// The part of the watch that is told next, and whether more follows.
    fn told(peer: &Peer<T>) -> Option<(u32, bool)> {
        match take(peer)? {
            Taken::Watch(watch, _, more) => Some((*watch.part(), more)),
            _ => None,
        }
    }

    /// A reference with a watch of the test's own.
    fn watched(
        owner: &crate::core::node::Node<T>,
        link: Strong<T>,
        part: u32,
    ) -> Result<(Strong<T>, Arc<Watch<T>>), Failed> {
        let watch = Watch::new(link.handle().holder(), part)?;
        assert!(link.handle().disarm().is_some());
        let armed = link.handle().arm(watch.clone());
        let same = core::ptr::eq(&**link.node(), owner);
        (armed.is_ok() && same)
            .then_some((link, watch))
            .ok_or(Failed)
    }

    #[test]
    fn a_watch_is_told_with_its_own_part() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let held = watched(own.node(), strong(own.node(), &holder)?, 7)?;
        assert_eq!(*held.1.part(), 7);
        assert!(take(&holder).is_none());
        destroy_amid(&owner, &[own.node()], |_| Ok(()))?;
        assert_eq!(told(&holder), Some((7, false)));
        assert!(take(&holder).is_none());
        Ok(())
    }

    #[test]
    fn a_watch_is_told_by_itself_and_again() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let watch = Watch::new(holder.anchor(), 7)?;
        for _ in 0..2 {
            Watch::tell(&watch, own.node());
            Watch::tell(&watch, own.node());
            assert_eq!(told(&holder), Some((7, false)));
            assert!(take(&holder).is_none());
        }
        Watch::tell(&watch, own.node());
        assert!(watch.withdraw());
        assert!(!watch.withdraw());
        assert!(take(&holder).is_none());
        holder.shut();
        Watch::tell(&watch, own.node());
        assert!(!watch.withdraw());
        Ok(())
    }

    #[test]
    fn a_handle_has_one_watch() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let held = watched(own.node(), strong(own.node(), &holder)?, 7)?;
        let second = Watch::new(holder.anchor(), 8)?;
        let back = held.0.handle().arm(second.clone()).err().ok_or(Failed)?;
        assert!(Arc::ptr_eq(&back, &second));
        let first = held.0.handle().disarm().ok_or(Failed)?;
        assert!(Arc::ptr_eq(&first, &held.1));
        assert!(held.0.handle().disarm().is_none());
        assert!(held.0.handle().arm(second).is_ok());
        destroy_amid(&owner, &[own.node()], |_| Ok(()))?;
        assert_eq!(told(&holder), Some((8, false)));
        assert!(take(&holder).is_none());
        Ok(())
    }

    #[test]
    fn a_watch_is_armed_once() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let (one, other) = (node(&owner)?, node(&owner)?);
        let held = watched(one.node(), strong(one.node(), &holder)?, 7)?;
        destroy_amid(&owner, &[one.node()], |_| Ok(()))?;
        assert_eq!(told(&holder), Some((7, false)));
        // It has nothing left to be told of another end with.
        let again = strong(other.node(), &holder)?;
        assert!(again.handle().disarm().is_some());
        assert!(again.handle().arm(held.1.clone()).is_err());
        destroy_amid(&owner, &[other.node()], |_| Ok(()))?;
        assert!(take(&holder).is_none());
        Ok(())
    }

    #[test]
    fn a_handle_that_nobody_holds_takes_no_watch() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let link = strong(own.node(), &holder)?;
        let handle = link.handle().clone();
        drop(link);
        assert!(handle.disarm().is_none());
        assert!(handle.arm(Watch::new(holder.anchor(), 7)?).is_err());
        destroy_amid(&owner, &[own.node()], |_| Ok(()))?;
        assert!(take(&holder).is_none());
        Ok(())
    }

    #[test]
    fn who_asks_late_is_told_at_once() -> Result<(), Failed> {
        let (owner, holder, shut) = (peer(1)?, peer(2)?, peer(3)?);
        let own = node(&owner)?;
        let held = (strong(own.node(), &holder)?, strong(own.node(), &shut)?);
        assert!(held.0.handle().disarm().is_some() && held.1.handle().disarm().is_some());
        destroy_amid(&owner, &[own.node()], |_| Ok(()))?;
        assert!(take(&holder).is_none());
        assert!(held.0.handle().arm(Watch::new(holder.anchor(), 7)?).is_ok());
        assert_eq!(holder.anchor().with(|view| view.part().ready), 1);
        assert_eq!(told(&holder), Some((7, false)));
        shut.shut();
        assert!(held.1.handle().arm(Watch::new(shut.anchor(), 8)?).is_ok());
        assert!(take(&shut).is_none());
        Ok(())
    }

    #[test]
    fn who_asks_while_the_node_ends_is_told_with_the_others() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let (one, two) = (node(&owner)?, node(&owner)?);
        let held = (strong(one.node(), &holder)?, strong(two.node(), &holder)?);
        assert!(held.0.handle().disarm().is_some());
        destroy_amid(&owner, &[one.node(), two.node()], |moment| {
            if moment == Moment::Condemned {
                let watch = Watch::new(holder.anchor(), 7)?;
                assert!(held.0.handle().arm(watch).is_ok());
                assert!(take(&holder).is_none());
            }
            Ok(())
        })?;
        assert_eq!(told(&holder), Some((7, true)));
        assert_eq!(told(&holder), Some((0, false)));
        assert!(take(&holder).is_none());
        Ok(())
    }

    #[test]
    fn who_asks_between_commit_and_telling_is_told_once() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let held = strong(own.node(), &holder)?;
        assert!(held.handle().disarm().is_some());
        destroy_amid(&owner, &[own.node()], |moment| {
            if moment == Moment::Committed {
                let watch = Watch::new(holder.anchor(), 7)?;
                assert!(held.handle().arm(watch).is_ok());
            }
            Ok(())
        })?;
        assert_eq!(told(&holder), Some((7, false)));
        assert!(take(&holder).is_none());
        Ok(())
    }

    #[test]
    fn news_can_be_taken_back_until_it_is_read() -> Result<(), Failed> {
        let (owner, a, b) = (peer(1)?, peer(2)?, peer(3)?);
        let own = node(&owner)?;
        let of_a = watched(own.node(), strong(own.node(), &a)?, 7)?;
        let of_b = watched(own.node(), strong(own.node(), &b)?, 8)?;
        assert!(!of_a.1.withdraw());
        destroy_amid(&owner, &[own.node()], |_| Ok(()))?;
        assert!(of_a.1.withdraw());
        assert!(!of_a.1.withdraw());
        assert!(take(&a).is_none());
        assert_eq!(told(&b), Some((8, false)));
        assert!(!of_b.1.withdraw());
        Ok(())
    }

    #[test]
    fn news_that_is_undecided_can_be_taken_back() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let held = watched(own.node(), strong(own.node(), &holder)?, 7)?;
        destroy_amid(&owner, &[own.node()], |moment| {
            assert_eq!(held.1.withdraw(), moment == Moment::Condemned);
            Ok(())
        })?;
        assert!(take(&holder).is_none());
        assert_eq!(holder.anchor().with(|view| view.part().ready), 0);
        Ok(())
    }

    #[test]
    fn a_watch_outlives_its_handle_and_says_nothing_more() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let (link, watch) = watched(own.node(), strong(own.node(), &holder)?, 7)?;
        destroy_amid(&owner, &[own.node()], |_| Ok(()))?;
        // With the handle goes what was to be said of it.
        drop(link);
        assert!(take(&holder).is_none());
        assert!(!watch.withdraw());
        assert_eq!(*watch.part(), 7);
        Ok(())
    }

    #[test]
    fn news_that_was_read_leaves_the_handle_as_it_is() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let held = watched(own.node(), strong(own.node(), &holder)?, 7)?;
        destroy_amid(&owner, &[own.node()], |_| Ok(()))?;
        assert_eq!(told(&holder), Some((7, false)));
        assert_eq!(held.0.handle().counts().strong, 1);
        drop(held.0);
        assert!(own.node().handle_of(holder.anchor()).is_none());
        assert!(take(&holder).is_none());
        Ok(())
    }
}
