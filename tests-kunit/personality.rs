// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_personality`: what the engine asks a personality, and when.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_personality))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        amid::*,
        core::{
            anchor::Taken,
            inbox::QueueId,
            node::Node,
            peer::Peer,
            personality::{
                Edge,
                Notice,
                Via,
                When, //
            },
            sync::Arc,
            transaction::{
                Outcome,
                Policy,
                Refusal, //
            }, //
        },
        testbed::*, //
    };

    /// The last edge and how many there were.
    fn edges(node: &Node<T>) -> (Edge, u32) {
        node.state(|state, _| (state.last, state.n))
    }

    #[test]
    fn each_edge_of_the_counts_is_asked_about_once() -> Result<(), Failed> {
        let (owner, a, b) = (peer(1)?, peer(2)?, peer(3)?);
        let own = node(&owner)?;
        let node = own.node().clone();
        assert_eq!(edges(&node), (Edge::FirstHeld, 1));
        let of_a = (strong(&node, &a)?, soft(&node, &a)?);
        assert_eq!(edges(&node), (Edge::FirstStrong, 2));
        let of_b = (strong(&node, &b)?, strong(&node, &b)?);
        drop((own, of_b));
        assert_eq!(edges(&node), (Edge::FirstStrong, 2));
        drop(of_a.0);
        assert_eq!(edges(&node), (Edge::LastStrong, 3));
        drop(of_a.1);
        assert_eq!(edges(&node), (Edge::LastHeld, 4));
        // To be held again, and at once strongly, is one edge.
        let again = strong(&node, &a)?;
        assert_eq!(edges(&node), (Edge::FirstStrong, 5));
        drop(again);
        assert_eq!(edges(&node), (Edge::LastHeld, 6));
        assert_eq!(node.state(|_, counts| (counts.strong, counts.held)), (0, 0));
        assert_eq!(node.state(|_, counts| counts.edge), Edge::None);
        Ok(())
    }

    #[test]
    fn the_owner_may_be_one_of_the_holders() -> Result<(), Failed> {
        let owner = peer(1)?;
        let own = node(&owner)?;
        let link = strong(own.node(), &owner)?;
        assert!(Arc::ptr_eq(link.handle(), own.handle()));
        assert_eq!(own.node().state(|_, c| (c.strong, c.held)), (1, 1));
        drop(own);
        let node = link.node().clone();
        assert_eq!(node.state(|_, c| (c.strong, c.held)), (1, 1));
        drop(link);
        assert_eq!(edges(&node).0, Edge::LastHeld);
        Ok(())
    }

    fn push(queue: QueueId, when: When, moving: bool) -> Notice {
        Notice::Push {
            queue,
            when,
            moving,
        }
    }

    fn tell(node: &Arc<Node<T>>, notice: Notice) {
        Node::update(node, |_, _| ((), notice));
    }

    fn told(owner: &Peer<T>, queue: QueueId) -> bool {
        matches!(owner.anchor().take(queue), Some(Taken::Counts(_)))
    }

    #[test]
    fn a_notice_goes_where_it_is_sent_first_unless_it_is_moved() -> Result<(), Failed> {
        let owner = peer(1)?;
        let own = node(&owner)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        tell(own.node(), push(queue, When::Now, false));
        tell(own.node(), push(QueueId::MAIN, When::Now, false));
        assert!(!told(&owner, QueueId::MAIN) && told(&owner, queue));
        assert!(!told(&owner, queue));
        tell(own.node(), push(queue, When::Now, false));
        tell(own.node(), push(QueueId::MAIN, When::Now, true));
        assert!(!told(&owner, queue) && told(&owner, QueueId::MAIN));
        assert!(!told(&owner, QueueId::MAIN));
        Ok(())
    }

    #[test]
    fn a_notice_is_kept_or_taken_back() -> Result<(), Failed> {
        let owner = peer(1)?;
        let own = node(&owner)?;
        tell(own.node(), Notice::Withdraw);
        tell(own.node(), push(QueueId::MAIN, When::Now, true));
        tell(own.node(), Notice::Keep);
        assert!(owner.anchor().readable(QueueId::MAIN));
        tell(own.node(), Notice::Withdraw);
        assert!(!owner.anchor().readable(QueueId::MAIN) && !told(&owner, QueueId::MAIN));
        tell(own.node(), Notice::Keep);
        assert!(!told(&owner, QueueId::MAIN));
        Ok(())
    }

    #[test]
    fn a_notice_for_later_waits_for_something_else() -> Result<(), Failed> {
        let owner = peer(1)?;
        let own = node(&owner)?;
        tell(own.node(), push(QueueId::MAIN, When::Later, false));
        assert!(!owner.anchor().readable(QueueId::MAIN));
        tell(own.node(), push(QueueId::MAIN, When::Now, true));
        assert!(owner.anchor().readable(QueueId::MAIN));
        assert!(told(&owner, QueueId::MAIN));
        Ok(())
    }

    #[test]
    fn a_notice_finds_the_main_queue_and_no_shut_inbox() -> Result<(), Failed> {
        let owner = peer(1)?;
        let own = node(&owner)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        assert!(owner.anchor().remove_queue(queue).is_some());
        tell(own.node(), push(queue, When::Now, false));
        assert!(told(&owner, QueueId::MAIN));
        owner.shut();
        tell(own.node(), push(QueueId::MAIN, When::Now, false));
        assert!(owner.anchor().with(|view| view.is_empty(QueueId::MAIN)));
        Ok(())
    }

    #[test]
    fn who_asks_for_a_change_gets_an_answer() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let held = strong(own.node(), &holder)?;
        let answer = Node::update(own.node(), |state, counts| {
            state.n = 0;
            ((counts.strong, counts.held, counts.edge), Notice::Keep)
        });
        assert_eq!(answer, (1, 2, Edge::None));
        assert_eq!(edges(own.node()).1, 0);
        drop(held);
        Ok(())
    }

    #[test]
    fn an_edge_tells_whose_doing_it_is() -> Result<(), Failed> {
        let (owner, holder) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        // The suites' personality tells the queue that did it, and nobody else.
        let link = Node::strong_to(own.node(), holder.anchor(), Via::Queue(queue));
        assert!(link.is_ok() && told(&owner, queue));
        drop(link);
        assert!(told(&owner, QueueId::MAIN));
        drop(strong(own.node(), &holder)?);
        assert!(!told(&owner, queue) && told(&owner, QueueId::MAIN));
        Ok(())
    }

    #[test]
    fn a_refusal_has_the_personality_s_reason() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        owner.anchor().with(|view| view.part().refuse = true);
        let refused = message(own.node(), 1)?.commit(sender.anchor());
        assert!(matches!(&refused, Outcome::Refused(Refusal::Personality(()), m) if m.part == 1));
        let committed = staged(&sender, &[], 0, Policy::All, || Ok(()))?;
        assert!(!committed && take(&owner).is_none());
        Ok(())
    }
}
