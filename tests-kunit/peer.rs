// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_peer`: participants, from beginning to end.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_peer))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        core::{
            anchor::Taken,
            peer::Peer,
            quota::{
                Account,
                Amounts,
                Users, //
            },
            sync::{
                Arc,
                KVec, //
            },
            transaction::{
                Dead,
                Draft,
                Outcome,
                ReserveError, //
            }, //
        },
        testbed::*, //
    };

    const SOME: Amounts = Amounts {
        slices: 1,
        bytes: 64,
        handles: 1,
        fds: 1,
    };

    /// A peer without a pool.
    fn bare(id: u64) -> Result<Arc<Peer<T>>, Failed> {
        let seat = Users::enter(&Users::new()?, [USER], SOME)?;
        let account = Account::new(seat, SOME)?;
        Ok(Peer::new(id, account, (), Seen::default(), ())?)
    }

    #[test]
    fn a_peer_has_what_it_was_made_of() -> Result<(), Failed> {
        let peers = counted("peers-alive");
        let peer = bare(3)?;
        assert_eq!(counted("peers-alive"), peers + 1);
        assert_eq!(peer.anchor().id(), 3);
        assert_eq!(peer.account().report().limits, SOME);
        assert_eq!(*peer.part(), ());
        let live = peer.anchor().live().ok_or(Failed)?;
        assert!(Arc::ptr_eq(&live, &peer));
        drop(live);
        peer.shut();
        let anchor = peer.anchor().clone();
        drop(peer);
        // What others hold of it does not keep it.
        assert_eq!(counted("peers-alive"), peers);
        assert!(anchor.live().is_none());
        Ok(())
    }

    #[test]
    fn an_open_peer_is_kept_until_it_is_shut() -> Result<(), Failed> {
        let peers = counted("peers-alive");
        let peer = bare(3)?;
        let anchor = peer.anchor().clone();
        drop(peer);
        let live = anchor.live().ok_or(Failed)?;
        assert_eq!(counted("peers-alive"), peers + 1);
        live.shut();
        drop(live);
        assert_eq!(counted("peers-alive"), peers);
        Ok(())
    }

    #[test]
    fn a_pool_is_given_once_and_needed_to_receive() -> Result<(), Failed> {
        let (owner, other) = (bare(1)?, peer(2)?);
        let own = node(&owner)?;
        assert!(owner.pool().is_none());
        let draft = Draft::to(own.node()).map_err(|_| Failed)?;
        let refused = draft.reserve(USER, SOME, 8).err();
        assert_eq!(refused, Some(ReserveError::NoPool));
        assert_eq!(owner.account().report().used, Amounts::NONE);
        let pool = other.pool().ok_or(Failed)?;
        assert!(owner.set_pool(pool.clone()));
        assert!(!owner.set_pool(pool.clone()));
        assert!(owner.pool().is_some_and(|own| Arc::ptr_eq(own, pool)));
        assert!(send(&other, own.node(), 1)?);
        assert_eq!(number(&owner), Some(1));
        owner.shut();
        Ok(())
    }

    #[test]
    fn a_peer_that_is_shut_gets_nothing_and_can_still_send() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let (own, far) = (node(&owner)?, node(&other)?);
        let ready = message(own.node(), 1)?;
        owner.shut();
        assert!(matches!(Draft::to(own.node()), Err(Dead)));
        assert!(matches!(ready.commit(other.anchor()), Outcome::Refused(..)));
        assert!(send(&owner, far.node(), 2)?);
        assert_eq!(number(&other), Some(2));
        // Its nodes are not dead yet: that is the second step.
        assert!(own.node().death().is_none());
        assert!(strong(own.node(), &other).is_ok());
        Ok(())
    }

    #[test]
    fn what_a_peer_sends_itself_can_be_kept_unsent() -> Result<(), Failed> {
        let owner = peer(1)?;
        let draft = Draft::own(&owner);
        assert!(Arc::ptr_eq(draft.receiver(), &owner));
        let kept = fill(draft, 7, KVec::new())?.into_message();
        assert!(take(&owner).is_none() && !balanced(&owner));
        assert!(kept.node.is_none() && kept.to.is_none() && kept.part == 7);
        drop(kept);
        assert!(balanced(&owner));
        Ok(())
    }

    #[test]
    fn all_nodes_of_a_peer_end_with_it() -> Result<(), Failed> {
        let (owner, other) = (peer(1)?, peer(2)?);
        let (one, two) = (node(&owner)?, node(&owner)?);
        let held = (strong(one.node(), &other)?, strong(two.node(), &other)?);
        assert!(close(&owner, &[one.node(), two.node()])?);
        assert!(one.node().death().is_some() && one.node().death() == two.node().death());
        assert!(matches!(take(&other), Some(Taken::Watch(_, _, true))));
        assert!(matches!(take(&other), Some(Taken::Watch(_, _, false))));
        // The owner's own handles tell nobody: it is shut.
        assert!(take(&owner).is_none());
        drop(held);
        Ok(())
    }
}
