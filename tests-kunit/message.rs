// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_message`: what a message carries, and that it gives all of it back.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_message))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        core::{
            call::Reply,
            handle::Strong,
            inbox::QueueId,
            message::Kind,
            peer::Peer,
            sync::{
                Arc,
                KVec,
                GFP_KERNEL, //
            },
            transaction::Outcome, //
        },
        testbed::*, //
    };

    /// References of `holder` to a live node and to none, and a file.
    fn cargo(holder: &Peer<T>, node: &Arc<crate::core::node::Node<T>>) -> Result<Links, Failed> {
        let mut handles = KVec::new();
        handles.push(Some(strong(node, holder)?), GFP_KERNEL)?;
        handles.push(None, GFP_KERNEL)?;
        handles.push(Some(strong(node, holder)?), GFP_KERNEL)?;
        Ok(handles)
    }

    type Links = KVec<Option<Strong<T>>>;

    #[test]
    fn what_was_put_in_comes_out_in_the_same_order() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let (own, offered) = (node(&owner)?, node(&sender)?);
        let sent = carrying(own.node(), 5, cargo(&owner, offered.node())?)?;
        assert!(matches!(
            sent.commit(sender.anchor()),
            Outcome::Delivered(())
        ));
        let got = receive(&owner).ok_or(Failed)?.message;
        let there: [bool; 3] = core::array::from_fn(|n| got.handles[n].is_some());
        assert_eq!((got.handles.len(), there), (3, [true, false, true]));
        assert!(got
            .node
            .as_ref()
            .is_some_and(|node| Arc::ptr_eq(node, own.node())));
        assert!(matches!(got.kind, Kind::Post) && got.turn.is_none() && got.to.is_none());
        assert_eq!((got.part, got.files.len(), got.slice.len()), (5, 0, 4));
        Ok(())
    }

    #[test]
    fn dropping_a_message_gives_back_all_that_it_carries() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let (own, offered) = (node(&owner)?, node(&sender)?);
        let handles = counted("handles-alive");
        let sent = carrying(own.node(), 5, cargo(&owner, offered.node())?)?;
        let link = offered.node().handle_of(owner.anchor()).ok_or(Failed)?;
        assert_eq!(link.counts().strong, 2);
        assert!(matches!(
            sent.commit(sender.anchor()),
            Outcome::Delivered(())
        ));
        assert_eq!((link.counts().strong, balanced(&owner)), (2, false));
        drop(receive(&owner).ok_or(Failed)?);
        assert_eq!((link.counts().strong, balanced(&owner)), (0, true));
        drop(link);
        assert_eq!(counted("handles-alive"), handles);
        assert_eq!(offered.node().state(|_, counts| counts.strong), 0);
        Ok(())
    }

    #[test]
    fn the_end_of_the_receiver_gives_back_what_lies_unread() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let (own, serial, offered) = (node(&owner)?, lane(&owner)?, node(&sender)?);
        for node in [own.node(), serial.node(), serial.node()] {
            let sent = carrying(node, 5, cargo(&owner, offered.node())?)?;
            let outcome = sent.commit(sender.anchor());
            assert!(matches!(
                outcome,
                Outcome::Delivered(()) | Outcome::Parked(())
            ));
        }
        assert_eq!(offered.node().state(|_, counts| counts.strong), 1);
        assert!(close(&owner, &[own.node(), serial.node()])?);
        assert_eq!(offered.node().state(|_, counts| counts.strong), 0);
        Ok(())
    }

    #[test]
    fn a_message_that_is_dropped_unread_fails_its_call() -> Result<(), Failed> {
        let (owner, caller) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let reply = Reply::new(caller.anchor(), QueueId::MAIN, None).map_err(|_| Failed)?;
        let call = message(own.node(), 5)?.call(reply).into_message();
        assert!(matches!(&call.kind, Kind::Call(reply) if reply.caller().is_some()));
        assert!(take(&caller).is_none());
        drop(call);
        assert!(take(&caller).is_some());
        Ok(())
    }
}
