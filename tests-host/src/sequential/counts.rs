// SPDX-License-Identifier: GPL-2.0

//! Counts that are full refuse to be raised, and lose nothing.

use crate::{
    core::{
        handle::{
            Handle,
            LinkError, //
        },
        node::Node,
        personality::Via,
    },
    testbed::*,
};

/// What the engine says on the host.
const LIMIT: u32 = 1 << 10;

#[test]
fn a_full_count_refuses_and_the_other_one_does_not() {
    let (owner, holder) = (peer(1).unwrap(), peer(2).unwrap());
    let own = node(&owner).unwrap();
    let mut bundle = strong(own.node(), &holder).unwrap();
    let handle = bundle.handle().clone();
    for _ in 1..LIMIT {
        let more = strong(own.node(), &holder).unwrap();
        assert!(bundle.merge(more).is_ok());
    }
    let full = |strong: u32, soft: u32| {
        let counts = handle.counts();
        assert_eq!((counts.strong, counts.soft), (strong, soft));
    };
    full(LIMIT, 0);
    let linked = Node::strong_to(own.node(), holder.anchor(), Via::Any);
    assert_eq!(linked.err(), Some(LinkError::Overflow));
    let again = Handle::strong(&handle, Via::Any);
    assert_eq!(again.err(), Some(LinkError::Overflow));
    full(LIMIT, 0);
    let mut softs = soft(own.node(), &holder).unwrap();
    for _ in 1..LIMIT {
        let more = Handle::soft(&handle, Via::Any).ok().unwrap();
        assert!(softs.merge(more).is_ok());
    }
    assert_eq!(
        Handle::soft(&handle, Via::Any).err(),
        Some(LinkError::Overflow)
    );
    full(LIMIT, LIMIT);
    drop(bundle.split());
    full(LIMIT - 1, LIMIT);
    drop(strong(own.node(), &holder).unwrap());
    full(LIMIT - 1, LIMIT);
    drop((bundle, softs));
    full(0, 0);
    assert_eq!(own.node().state(|_, c| (c.strong, c.held)), (0, 1));
}
