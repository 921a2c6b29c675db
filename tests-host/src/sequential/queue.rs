// SPDX-License-Identifier: GPL-2.0

//! A thousand senders in the middle of a send: they delay nobody, and cost each reader one step.

use crate::{amid::amid, core::node::Node, core::sync::Arc, host::steps, testbed::*};

const SENDERS: u32 = 1000;

/// What is done when all senders stand in the middle.
type Middle<'a> = &'a dyn Fn();

/// Lets `left` more senders begin, each in the middle of the one before.
fn pile(nodes: &[&Arc<Node<T>>], left: u32, middle: Middle<'_>) -> Result<(), Failed> {
    if left == 0 {
        middle();
        return Ok(());
    }
    let sender = peer(10 + u64::from(left))?;
    amid(&sender, nodes, 1000 + left, || {
        pile(nodes, left - 1, middle)
    })
}

/// As [`pile`], with enough stack for all of them.
fn piled(test: fn()) {
    std::thread::Builder::new()
        .stack_size(256 << 20)
        .spawn(test)
        .unwrap()
        .join()
        .unwrap();
}

/// A receiver with room for what all of them send.
fn receiver() -> Client {
    // One sender gets no more than a part of what its receiver may have.
    let owner = roomy(1, 4 * SENDERS, 1 << 16).unwrap();
    assert!(owner.anchor().live().is_some());
    owner
}

#[test]
fn a_thousand_senders_in_the_middle_delay_nobody() {
    piled(|| {
        let (owner, other) = (receiver(), peer(2).unwrap());
        let own = node(&owner).unwrap();
        let nodes = [own.node()];
        pile(&nodes, SENDERS, &|| {
            assert!(take(&owner).is_none());
            for number in 0..3 {
                assert!(send(&other, own.node(), number).unwrap());
                let (pushes, begun) = (counted("pushes"), steps());
                assert!(owner
                    .anchor()
                    .peek(crate::core::inbox::QueueId::MAIN, |_| ())
                    .is_some());
                // Each is pushed once for this message.
                assert_eq!(counted("pushes") - pushes, u64::from(SENDERS));
                // It is looked at, found, and put in where it belongs: steps for each, not for each
                // pair.
                assert!(steps() - begun < 16 * u64::from(SENDERS));
                let begun = steps();
                assert_eq!(self::number(&owner), Some(number));
                assert_eq!(counted("pushes") - pushes, u64::from(SENDERS));
                assert!(steps() - begun < 16);
            }
        })
        .unwrap();
        // All were pushed to one floor and so to one stamp, and none was lost.
        let mut numbers: Vec<_> = std::iter::from_fn(|| number(&owner)).collect();
        numbers.sort_unstable();
        assert!(numbers
            .into_iter()
            .eq((1..=SENDERS).map(|sender| 1000 + sender)));
        assert!(take(&owner).is_none() && balanced(&owner));
    });
}

#[test]
fn what_comes_before_them_costs_none_of_them_a_step() {
    piled(|| {
        let (owner, other) = (receiver(), peer(2).unwrap());
        let own = node(&owner).unwrap();
        for number in 0..3 {
            assert!(send(&other, own.node(), number).unwrap());
        }
        let nodes = [own.node()];
        pile(&nodes, SENDERS, &|| {
            let (pushes, begun) = (counted("pushes"), steps());
            for number in 0..3 {
                assert_eq!(self::number(&owner), Some(number));
            }
            assert_eq!(counted("pushes"), pushes);
            assert!(steps() - begun < 48);
        })
        .unwrap();
    });
}
