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
                Outcome, //
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
}
