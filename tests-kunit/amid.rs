// SPDX-License-Identifier: GPL-2.0

//! Doing something in the middle of a transaction, without a second thread.
//!
//! The engine calls back while it sends to many and while it destroys, always without locks. What
//! is done there is what another task could do just then, at a place that the test chooses.

use crate::{
    core::{
        destroy::Verdict,
        node::Node,
        peer::Peer,
        sync::Arc,
        transaction::{
            Multicast,
            Outcome,
            Policy, //
        },
    },
    testbed::*, //
};
use ::core::cell::Cell;

/// A moment in the middle of a multicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// All are staged, and nothing is committed.
    Staged,
    /// All are committed, and this one and those before are known to be so in their queues.
    Passed(usize),
}

/// Sends `first` to the first of `nodes`, the next number to the second and so on, as one
/// transaction, and does `step` in the middle of that.
///
/// For this the last destination is one that refuses. Says whether anything was committed.
pub(crate) fn steps(
    sender: &Peer<T>,
    nodes: &[&Arc<Node<T>>],
    first: u32,
    policy: Policy,
    mut step: impl FnMut(At) -> Result<(), Failed>,
) -> Result<bool, Failed> {
    let last = peer(u64::MAX)?;
    let refusing = node(&last)?;
    last.anchor().with(|view| view.part().refuse = true);
    let mut multicast = Multicast::new(nodes.len() + 1)?;
    for (number, node) in (first..).zip(nodes) {
        multicast.add(message(node, number)?.into_part()?)?;
    }
    multicast.add(message(refusing.node(), 0)?.into_part()?)?;
    let mut good = true;
    let committed = multicast.commit(sender.anchor(), policy, |index, outcome| {
        let at = match outcome {
            Outcome::Refused(..) if index == nodes.len() => At::Staged,
            Outcome::Delivered(()) => At::Passed(index),
            _ => return,
        };
        good = good && step(at).is_ok();
    });
    // Before its node goes, so that nobody is told of that.
    last.shut();
    good.then_some(committed).ok_or(Failed)
}

/// As [`steps`], when all are staged.
pub(crate) fn staged(
    sender: &Peer<T>,
    nodes: &[&Arc<Node<T>>],
    first: u32,
    policy: Policy,
    step: impl FnOnce() -> Result<(), Failed>,
) -> Result<bool, Failed> {
    let mut step = Some(step);
    let committed = steps(sender, nodes, first, policy, |at| match at {
        At::Staged => step.take().map_or(Err(Failed), |step| step()),
        At::Passed(_) => Ok(()),
    })?;
    step.is_none().then_some(committed).ok_or(Failed)
}

/// As [`staged`], and all of `nodes` get it.
pub(crate) fn amid(
    sender: &Peer<T>,
    nodes: &[&Arc<Node<T>>],
    first: u32,
    step: impl FnOnce() -> Result<(), Failed>,
) -> Result<(), Failed> {
    staged(sender, nodes, first, Policy::Any, step)?
        .then_some(())
        .ok_or(Failed)
}

/// A moment in the middle of a destruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// All nodes are condemned; the transaction is not committed.
    Condemned,
    /// It is committed; nobody was woken for it yet.
    Committed,
}

/// Nodes to be destroyed. Does something in the middle of that: the engine walks them twice.
#[derive(Clone)]
pub(crate) struct Doomed<'a> {
    nodes: ::core::slice::Iter<'a, &'a Arc<Node<T>>>,
    walks: &'a Cell<u32>,
    step: &'a dyn Fn(Moment),
}

impl<'a> Doomed<'a> {
    /// `walks` counts the walks; zero before.
    pub(crate) fn new(
        nodes: &'a [&'a Arc<Node<T>>],
        walks: &'a Cell<u32>,
        step: &'a dyn Fn(Moment),
    ) -> Self {
        Self {
            nodes: nodes.iter(),
            walks,
            step,
        }
    }
}

impl<'a> Iterator for Doomed<'a> {
    type Item = &'a Arc<Node<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.walks.get() == 1 {
            self.walks.set(2);
            (self.step)(Moment::Committed);
        }
        let next = self.nodes.next().copied();
        if next.is_none() && self.walks.get() == 0 {
            self.walks.set(1);
            (self.step)(Moment::Condemned);
        }
        next
    }
}

/// Destroys `nodes`, and does `step` at both moments of that.
pub(crate) fn destroy_amid(
    owner: &Peer<T>,
    nodes: &[&Arc<Node<T>>],
    step: impl Fn(Moment) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let (walks, good) = (Cell::new(0), Cell::new(true));
    let step = |moment| good.set(good.get() && step(moment).is_ok());
    let verdict = Verdict::new()?;
    owner.destroy_all(verdict, Doomed::new(nodes, &walks, &step));
    (good.get() && walks.get() == 2).then_some(()).ok_or(Failed)
}
