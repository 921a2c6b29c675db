// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_dispatch`: the inbox as a personality sees it.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_dispatch))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        amid::*,
        core::{
            anchor::Spare,
            inbox::{
                Dispatch,
                QueueId, //
            },
            personality::When, //
        },
        testbed::*, //
    };

    /// What can be asked about a queue: part, parts, open, readable, empty.
    fn ask(view: &mut Dispatch<'_, T>, id: QueueId) -> [bool; 5] {
        [
            view.queue(id).is_some(),
            view.parts(id).is_some(),
            view.is_open(id),
            view.readable(id),
            view.is_empty(id),
        ]
    }

    #[test]
    fn a_queue_is_there_from_being_added_to_being_removed() -> Result<(), Failed> {
        let owner = peer(1)?;
        let anchor = owner.anchor();
        let here = [true, true, true, false, true];
        let gone = [false, false, false, false, true];
        assert_eq!(anchor.with(|view| ask(view, QueueId::MAIN)), here);
        let old = anchor.add_queue(()).map_err(|_| Failed)?;
        assert_eq!(anchor.with(|view| ask(view, old)), here);
        assert!(anchor.remove_queue(old).is_some());
        assert_eq!(anchor.with(|view| ask(view, old)), gone);
        let new = anchor.add_queue(()).map_err(|_| Failed)?;
        // The same slot, another queue.
        assert_eq!(anchor.with(|view| ask(view, new)), here);
        assert_eq!(anchor.with(|view| ask(view, old)), gone);
        Ok(())
    }

    #[test]
    fn what_stands_in_a_queue_is_seen_in_that_queue_only() -> Result<(), Failed> {
        let (owner, sender) = (peer(1)?, peer(2)?);
        let own = node(&owner)?;
        let queue = owner.anchor().add_queue(()).map_err(|_| Failed)?;
        owner.anchor().with(|view| view.part().queue = Some(queue));
        assert!(send(&sender, own.node(), 1)?);
        let both = || {
            owner
                .anchor()
                .with(|v| (ask(v, queue), ask(v, QueueId::MAIN)))
        };
        assert_eq!(both().0, [true, true, true, true, false]);
        assert_eq!(both().1, [true, true, true, false, true]);
        assert_eq!(owner.anchor().with(|view| view.part().at), Some(queue));
        assert!(receive_from(owner.anchor(), queue).is_some());
        assert_eq!(both().0, [true, true, true, false, true]);
        let spare = Spare::new(owner.anchor())?;
        let later = owner.anchor().post_code(queue, spare, 1, When::Later);
        assert!(later.is_ok());
        assert_eq!(both().0, [true, true, true, false, false]);
        amid(&sender, &[own.node()], 2, || {
            assert_eq!(both().0, [true, true, true, false, false]);
            Ok(())
        })?;
        assert_eq!(both().0, [true, true, true, true, false]);
        Ok(())
    }

    #[test]
    fn the_parts_of_inbox_and_queue_are_seen_together() -> Result<(), Failed> {
        let owner = peer(1)?;
        let before = owner.anchor().with(|view| {
            let (inbox, ()) = view.parts(QueueId::MAIN)?;
            Some(core::mem::replace(&mut inbox.ready, 5))
        });
        assert_eq!(before, Some(0));
        assert_eq!(owner.anchor().with(|view| view.part().ready), 5);
        Ok(())
    }

    #[test]
    fn a_shut_inbox_is_not_open_and_is_still_there() -> Result<(), Failed> {
        let owner = peer(1)?;
        owner.shut();
        let asked = owner.anchor().with(|view| ask(view, QueueId::MAIN));
        assert_eq!(asked, [true, true, false, false, true]);
        Ok(())
    }
}
