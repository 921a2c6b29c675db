// SPDX-License-Identifier: GPL-2.0

//! The end of nodes.
//!
//! Any number of nodes of one owner are destroyed in one transaction: every watcher finds the news
//! at the same place of the order, whatever else it reads. The nodes' holders are walked twice, once
//! to stage the news and once, after the commit, to wake; each walk holds a node's lock for a few
//! holders at a time. A handle that comes into being in between joins the transaction by itself
//! (see `Handle::tell`).
//!
//! Nothing is allocated: the record comes from the caller, the memory of each entry from its watch.

#![deny(unsafe_code)]

use super::{
    anchor::Anchor,
    node::{
        Doom,
        Node,
        NodeInner, //
    },
    order::{
        Key,
        Record,
        Stamp, //
    },
    personality::{
        Notice,
        Personality, //
    },
    stats::Counter,
    sync::{
        AllocError,
        Arc,
        GFP_KERNEL_ACCOUNT, //
    },
};

/// How many holders are visited in one hold of a node's lock.
const BATCH: usize = 16;

/// Memory for a destruction, reserved beforehand.
pub(crate) struct Verdict(Arc<Record>);

impl Verdict {
    /// Reserves it.
    pub(crate) fn new() -> Result<Self, AllocError> {
        Arc::new(Record::new(), GFP_KERNEL_ACCOUNT).map(Self)
    }
}

/// Destroys `nodes` of `owner`, in this order. Those that are destroyed already are left out.
///
/// Returns the end of the transaction in the order; none if no node was left.
///
/// Takes `node`, and `inbox` of owner and holders, one at a time and each for a bounded time.
pub(crate) fn destroy<'a, P: Personality>(
    owner: &Anchor<P>,
    verdict: Verdict,
    nodes: impl Iterator<Item = &'a Arc<Node<P>>> + Clone,
) -> Option<Key> {
    let record = verdict.0;
    let mut high = owner.begin();
    for (index, node) in nodes.clone().enumerate() {
        high = condemn(node, &record, index as u32, high);
    }
    let stamp = record.commit(high);
    Counter::Multicasts.count();
    let mut end = None;
    for node in nodes.filter(|node| is_ours(node, &record)) {
        announce(node, stamp);
        node.clear_lane();
        end = Some(Key::end(stamp, record.number()));
    }
    owner.end(stamp);
    end
}

fn is_ours<P: Personality>(node: &Node<P>, record: &Arc<Record>) -> bool {
    node.doom()
        .is_some_and(|doom| Arc::ptr_eq(&doom.record, record))
}

/// Ties `node` to the record and stages the news for who holds it now.
fn condemn<P: Personality>(
    node: &Arc<Node<P>>,
    record: &Arc<Record>,
    index: u32,
    mut high: Stamp,
) -> Stamp {
    let doom = Doom {
        record: record.clone(),
        index,
    };
    let begun = {
        let _inner = node.inner.lock();
        node.condemn(doom)
    };
    if !begun {
        return high;
    }
    // What the owner was to be told about its counts does not matter any more.
    Node::apply(node, Notice::Withdraw, node.owner()).finish(node.owner());
    let mut from = 0;
    loop {
        let mut inner = node.inner.lock();
        let walked = walk(&mut inner, from, |inner, handle| {
            if let Some(watch) = handle.watch(inner) {
                let place = (record, index);
                let staged = handle.holder().stage_watch(&watch, node, place, high);
                high = staged.unwrap_or(high);
            }
        });
        drop(inner);
        match walked {
            Some(next) => from = next,
            None => return high,
        }
    }
}

/// Gives the committed stamp to who was told, and wakes.
fn announce<P: Personality>(node: &Arc<Node<P>>, stamp: Stamp) {
    let mut from = 0;
    loop {
        let mut wakes: [P::Wake; BATCH] = ::core::array::from_fn(|_| P::Wake::default());
        let mut slots = wakes.iter_mut();
        let mut inner = node.inner.lock();
        let walked = walk(&mut inner, from, |inner, handle| {
            if let (Some(watch), Some(slot)) = (handle.watch(inner), slots.next()) {
                *slot = handle
                    .holder()
                    .locked(|inbox| inbox.pass(watch.entry(), stamp));
            }
        });
        drop(inner);
        for wake in wakes {
            P::wake(wake);
        }
        match walked {
            Some(next) => from = next,
            None => return,
        }
    }
}

/// Visits up to [`BATCH`] holders from number `from` on; says where to go on.
fn walk<P: Personality>(
    inner: &mut NodeInner<P>,
    from: u64,
    mut visit: impl FnMut(&mut NodeInner<P>, &Arc<super::handle::Handle<P>>),
) -> Option<u64> {
    let mut next = from;
    for _ in 0..BATCH {
        let (number, handle) = {
            let cursor = inner.holders.cursor_lower_bound(&next)?;
            let (number, handle) = cursor.current();
            (*number, handle.clone())
        };
        visit(inner, &handle);
        next = number.checked_add(1)?;
    }
    Some(next)
}
