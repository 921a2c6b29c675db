// SPDX-License-Identifier: GPL-2.0

//! What an owner hears of how its nodes are held: state, of which the last is what counts.
//!
//! 1. When nobody does anything, a node is held strongly by just as many peers as have a strong
//!    reference. If it is alive and that is none, although it once was not, its owner has heard so
//!    since.
//! 2. It hears it at most once for each time that the node was let go.
//! 3. It hears nothing of a node that had ended before it looked.

use super::{
    super::record::{
        Got,
        Line,
        Quiet,
        Span,
        Tick, //
    },
    check,
    Facts,
    Verdict, //
};
use crate::core::personality::Edge;
use std::collections::BTreeSet;

/// When `node` was let go: the last strong reference went, or the last of all.
fn let_go(facts: &Facts<'_>, node: usize) -> Vec<Tick> {
    let edges = facts.history.edges.iter().filter(|edge| edge.1 == node);
    let last = edges.filter(|edge| matches!(edge.2, Edge::LastStrong | Edge::LastHeld));
    last.map(|edge| edge.0).collect()
}

/// When its owner heard of it.
fn heard(facts: &Facts<'_>, node: usize) -> Vec<Span> {
    let owner = facts.history.nodes[node].owner;
    let news = facts.read(owner, Line::Main);
    let news = news.filter(|r| matches!(r.got, Got::Counts { node: n } if n == node));
    news.map(|reading| reading.span).collect()
}

fn at_rest(facts: &Facts<'_>, quiet: &Quiet, node: usize) -> Verdict {
    let references = facts.history.references.iter();
    let references =
        references.filter(|r| r.node == node && r.ok && r.strong && r.made.end < quiet.tick);
    let now = references
        .clone()
        .filter(|r| !r.dropped.is_some_and(|dropped| dropped.end < quiet.tick));
    let holders: BTreeSet<usize> = now.map(|reference| reference.holder).collect();
    check(holders.len() == quiet.strong[node] as usize, || {
        format!(
            "{node} has {} strong handles, held by {holders:?}",
            quiet.strong[node]
        )
    })?;
    let before = |span: Option<Span>| span.is_some_and(|span| span.begin < quiet.tick);
    let owner = facts.history.nodes[node].owner;
    if before(facts.ends[node].map(|end| end.span)) || before(facts.shut[owner]) {
        return Ok(());
    }
    // The last one to be dropped was not dropped before any of them began to be.
    let dropped = references.filter_map(|reference| reference.dropped);
    let Some(last) = dropped.map(|dropped| dropped.begin).max() else {
        return Ok(());
    };
    let told = heard(facts, node).iter().any(|span| span.end > last);
    check(told || !holders.is_empty(), || {
        format!("the owner of {node} was not told")
    })
}

fn once_each(facts: &Facts<'_>, node: usize) -> Verdict {
    let let_go = let_go(facts, node);
    let mut since = 0;
    for span in heard(facts, node) {
        let why = let_go.iter().any(|tick| (since..span.end).contains(tick));
        check(why, || {
            format!("the owner of {node} was told in {span:?}, for no reason")
        })?;
        let ended = facts.ends[node].is_some_and(|end| end.span.before(span));
        check(!ended, || {
            format!("the owner of {node}, which has ended, was told in {span:?}")
        })?;
        since = span.begin;
    }
    Ok(())
}

/// Checks all of them.
pub(super) fn rules(facts: &Facts<'_>) -> Verdict {
    for node in 0..facts.history.nodes.len() {
        once_each(facts, node)?;
        let mut quiet = facts.history.quiet.iter();
        quiet.try_for_each(|quiet| at_rest(facts, quiet, node))?;
    }
    Ok(())
}
