// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_call`: calls, answers, and chains of them.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_call))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        core::{
            anchor::Taken,
            call::Reply,
            inbox::QueueId,
            message::Kind,
            peer::Peer,
            sync::{
                Arc,
                KVec, //
            },
            transaction::{
                Draft,
                Outcome,
                Refusal, //
            }, //
        },
        testbed::*, //
    };

    fn call(
        from: &Arc<Peer<T>>,
        to: &Arc<crate::core::node::Node<T>>,
        number: u32,
        parent: Option<Reply<T>>,
    ) -> Result<(), Failed> {
        let filled = message(to, number)?;
        let reply = Reply::new(from.anchor(), QueueId::MAIN, parent).map_err(|_| Failed)?;
        match filled.call(reply).commit(from.anchor()) {
            Outcome::Delivered(()) => Ok(()),
            _ => Err(Failed),
        }
    }

    fn serve(peer: &Peer<T>) -> Result<Reply<T>, Failed> {
        let mut got = receive(peer).ok_or(Failed)?;
        match core::mem::replace(&mut got.message.kind, Kind::Post) {
            Kind::Call(reply) => Ok(reply),
            _ => Err(Failed),
        }
    }

    fn answer(from: &Peer<T>, reply: Reply<T>, number: u32) -> Result<(), Failed> {
        let draft = Draft::answer(&reply).map_err(|_| Failed)?;
        let filled = fill(draft, number, KVec::new())?;
        filled.answer(reply, from.anchor()).map_err(|_| Failed)
    }

    #[test]
    fn an_answer_reaches_the_caller() -> Result<(), Failed> {
        let (a, b) = (peer(1)?, peer(2)?);
        let served = node(&b)?;
        call(&a, served.node(), 1, None)?;
        answer(&b, serve(&b)?, 2)?;
        let got = receive(&a).ok_or(Failed)?;
        assert_eq!(got.message.part, 2);
        assert!(matches!(got.message.kind, Kind::Reply(None)));
        Ok(())
    }

    #[test]
    fn a_dropped_duty_fails_the_call() -> Result<(), Failed> {
        let (a, b) = (peer(1)?, peer(2)?);
        let served = node(&b)?;
        call(&a, served.node(), 1, None)?;
        drop(serve(&b)?);
        assert!(matches!(take(&a), Some(Taken::Failed(13, None))));
        call(&a, served.node(), 2, None)?;
        assert!(close(&b, &[served.node()])?);
        assert!(matches!(take(&a), Some(Taken::Failed(13, None))));
        Ok(())
    }

    #[test]
    fn what_was_served_comes_back_with_the_answer() -> Result<(), Failed> {
        let (a, b, c) = (peer(1)?, peer(2)?, peer(3)?);
        let (nb, nc) = (node(&b)?, node(&c)?);
        call(&a, nb.node(), 1, None)?;
        let outer = serve(&b)?;
        call(&b, nc.node(), 2, Some(outer))?;
        let inner = serve(&c)?;
        let mut chain = inner.chain().map(|(caller, _)| caller.id());
        assert_eq!(
            (chain.next(), chain.next(), chain.next()),
            (Some(2), Some(1), None)
        );
        drop(chain);
        answer(&c, inner, 3)?;
        let mut got = receive(&b).ok_or(Failed)?;
        let Kind::Reply(Some(outer)) = core::mem::replace(&mut got.message.kind, Kind::Post) else {
            return Err(Failed);
        };
        answer(&b, outer, 4)?;
        assert_eq!(number(&a), Some(4));
        Ok(())
    }

    #[test]
    fn a_refused_call_gives_back_what_was_served() -> Result<(), Failed> {
        let (a, b, c) = (peer(1)?, peer(2)?, peer(3)?);
        let (nb, nc) = (node(&b)?, node(&c)?);
        call(&a, nb.node(), 1, None)?;
        let outer = serve(&b)?;
        c.anchor().with(|view| view.part().refuse = true);
        let filled = message(nc.node(), 2)?;
        let reply = Reply::new(b.anchor(), QueueId::MAIN, Some(outer)).map_err(|_| Failed)?;
        let Outcome::Refused(_, mut message) = filled.call(reply).commit(b.anchor()) else {
            return Err(Failed);
        };
        let Kind::Call(reply) = core::mem::replace(&mut message.kind, Kind::Post) else {
            return Err(Failed);
        };
        let outer = reply.cancel().ok_or(Failed)?;
        assert!(take(&b).is_none());
        answer(&b, outer, 3)?;
        assert_eq!(number(&a), Some(3));
        Ok(())
    }

    #[test]
    fn the_next_living_caller_is_told() -> Result<(), Failed> {
        let (a, b, c) = (peer(1)?, peer(2)?, peer(3)?);
        let (nb, nc) = (node(&b)?, node(&c)?);
        call(&a, nb.node(), 1, None)?;
        call(&b, nc.node(), 2, Some(serve(&b)?))?;
        let inner = serve(&c)?;
        close(&b, &[nb.node()])?;
        // Not yet: whoever serves the inner call still does.
        assert!(take(&a).is_none());
        assert!(Draft::answer(&inner).is_err());
        drop(inner);
        assert!(matches!(take(&a), Some(Taken::Failed(13, None))));
        Ok(())
    }

    #[test]
    fn a_long_chain_ends_without_recursion() -> Result<(), Failed> {
        const DEPTH: u32 = if cfg!(bus1_host) { 100_000 } else { 5_000 };

        let (a, b) = (peer(1)?, peer(2)?);
        let served = node(&b)?;
        call(&a, served.node(), 0, None)?;
        let mut reply = serve(&b)?;
        for number in 1..DEPTH {
            call(&b, served.node(), number, Some(reply))?;
            reply = serve(&b)?;
        }
        assert_eq!(reply.chain().count() as u32, DEPTH);
        close(&b, &[served.node()])?;
        drop(reply);
        assert!(matches!(take(&a), Some(Taken::Failed(13, None))));
        Ok(())
    }

    #[test]
    fn a_failure_says_why_and_brings_back_what_was_served() -> Result<(), Failed> {
        let (a, b, c) = (peer(1)?, peer(2)?, peer(3)?);
        let (nb, nc) = (node(&b)?, node(&c)?);
        call(&a, nb.node(), 1, None)?;
        call(&b, nc.node(), 2, Some(serve(&b)?))?;
        let reply = serve(&c)?;
        assert_eq!(
            reply.caller().map(|(caller, queue)| (caller.id(), queue)),
            Some((2, QueueId::MAIN))
        );
        reply.fail(99);
        let Some(Taken::Failed(99, Some(outer))) = take(&b) else {
            return Err(Failed);
        };
        assert!(take(&a).is_none());
        outer.fail(98);
        assert!(matches!(take(&a), Some(Taken::Failed(98, None))));
        assert_eq!(b.anchor().with(|view| view.part().answered), 1);
        Ok(())
    }

    #[test]
    fn who_waits_may_take_back_what_it_served_before_it_reads() -> Result<(), Failed> {
        let (a, b, c) = (peer(1)?, peer(2)?, peer(3)?);
        let (nb, nc) = (node(&b)?, node(&c)?);
        for fail in [false, true] {
            call(&a, nb.node(), 1, None)?;
            call(&b, nc.node(), 2, Some(serve(&b)?))?;
            let inner = serve(&c)?;
            b.anchor().with(|view| view.part().keep = true);
            if fail {
                drop(inner);
                assert!(matches!(take(&b), Some(Taken::Failed(13, None))));
            } else {
                answer(&c, inner, 3)?;
                let got = receive(&b).ok_or(Failed)?;
                assert!(matches!(got.message.kind, Kind::Reply(None)));
            }
            let kept = b.anchor().with(|view| view.part().kept.take());
            answer(&b, kept.ok_or(Failed)?, 4)?;
            assert_eq!(number(&a), Some(4));
        }
        assert_eq!(b.anchor().with(|view| view.part().answered), 2);
        Ok(())
    }

    #[test]
    fn a_refused_answer_leaves_the_duty_as_it_was() -> Result<(), Failed> {
        let (a, b, c) = (peer(1)?, peer(2)?, peer(3)?);
        let (nb, nc) = (node(&b)?, node(&c)?);
        call(&a, nb.node(), 1, None)?;
        call(&b, nc.node(), 2, Some(serve(&b)?))?;
        let inner = serve(&c)?;
        b.anchor().with(|view| view.part().refuse = true);
        let filled = fill(Draft::answer(&inner).map_err(|_| Failed)?, 3, KVec::new())?;
        let ((_, message), inner) = filled.answer(inner, c.anchor()).err().ok_or(Failed)?;
        assert!(message.part == 3 && matches!(message.kind, Kind::Post));
        assert_eq!(inner.chain().count(), 2);
        drop(message);
        assert!(take(&a).is_none() && take(&b).is_none());
        b.anchor().with(|view| view.part().refuse = false);
        answer(&c, inner, 4)?;
        let got = receive(&b).ok_or(Failed)?;
        assert!(got.message.part == 4 && matches!(got.message.kind, Kind::Reply(Some(_))));
        Ok(())
    }

    #[test]
    fn an_answer_that_nobody_reads_fails_what_came_with_it() -> Result<(), Failed> {
        let (a, b, c) = (peer(1)?, peer(2)?, peer(3)?);
        let (nb, nc) = (node(&b)?, node(&c)?);
        call(&a, nb.node(), 1, None)?;
        call(&b, nc.node(), 2, Some(serve(&b)?))?;
        answer(&c, serve(&c)?, 3)?;
        assert!(close(&b, &[nb.node()])?);
        assert!(matches!(take(&a), Some(Taken::Failed(13, None))));
        Ok(())
    }

    #[test]
    fn a_queue_that_is_gone_is_answered_by_nobody_and_its_slot_is_not_it() -> Result<(), Failed> {
        let (a, b) = (peer(1)?, peer(2)?);
        let nb = node(&b)?;
        let queue = a.anchor().add_queue(()).map_err(|_| Failed)?;
        let reply = Reply::new(a.anchor(), queue, None).map_err(|_| Failed)?;
        let nested = Reply::new(a.anchor(), queue, Some(reply)).map_err(|_| Failed)?;
        let sent = message(nb.node(), 1)?.call(nested).commit(a.anchor());
        assert!(matches!(sent, Outcome::Delivered(())));
        let reply = serve(&b)?;
        let filled = fill(Draft::answer(&reply).map_err(|_| Failed)?, 2, KVec::new())?;
        assert!(a.anchor().remove_queue(queue).is_some());
        let next = a.anchor().add_queue(()).map_err(|_| Failed)?;
        assert!(Draft::answer(&reply).is_err());
        let ((why, _), reply) = filled.answer(reply, b.anchor()).err().ok_or(Failed)?;
        assert!(matches!(why, Refusal::Gone));
        // Both calls of the chain came from there.
        drop(reply);
        assert!(a.anchor().take(next).is_none() && take(&a).is_none());
        Ok(())
    }

    #[test]
    fn a_call_that_is_given_up_tells_nobody() -> Result<(), Failed> {
        let a = peer(1)?;
        let new = |parent| Reply::new(a.anchor(), QueueId::MAIN, parent).map_err(|_| Failed);
        assert!(new(None)?.cancel().is_none());
        let mut outer = new(Some(new(None)?))?;
        let inner = outer.take_parent().ok_or(Failed)?;
        assert!(outer.take_parent().is_none() && outer.cancel().is_none());
        assert!(inner.cancel().is_none() && take(&a).is_none());
        drop(new(None)?);
        assert!(matches!(take(&a), Some(Taken::Failed(13, None))));
        Ok(())
    }
}
