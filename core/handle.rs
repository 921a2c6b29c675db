// SPDX-License-Identifier: GPL-2.0

//! Handles: one peer's capability to one node, and the references that keep it.
//!
//! There is at most one [`Handle`] for each (peer, node). It is counted twice: *strong* counts say
//! that the holder may use the node, *soft* counts that it wants to know of it. Both are owned by
//! values, [`Strong`] and [`Soft`], each a bundle of one or more counts: bundles of one handle can be
//! merged and split without touching the node, and dropping one gives its counts back. With the
//! last count the handle leaves its node; a later reference of the same peer makes a new one.
//!
//! Counts are 32 bits wide and refuse to pass 2^31.
//!
//! Lock: `node`. Dropping a reference takes `node`, then `inbox` of the owner or of the holder.

#![deny(unsafe_code)]

use super::{
    anchor::Anchor,
    entry::{
        Body,
        Entry, //
    },
    inbox::QueueId,
    node::{
        Node,
        NodeInner, //
    },
    order::Stamp,
    personality::{
        Edge,
        Personality,
        Via,
        When, //
    },
    stats::{
        Alive,
        Counter, //
    },
    sync::{
        assert_unlocked,
        reserve_node,
        AllocError,
        Arc,
        LockedBy,
        RBTreeNode,
        RBTreeNodeReservation,
        GFP_KERNEL_ACCOUNT, //
    },
    watch::Watch, //
};

/// Counts never pass this. The host's tests get there, and so theirs is small.
const LIMIT: u32 = if cfg!(bus1_host) { 1 << 10 } else { 1 << 31 };

/// Which of the two counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strength {
    Strong,
    Soft,
}

/// Why a peer got no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkError {
    /// The node was destroyed.
    Dead,
    /// No memory.
    NoMemory,
    /// The count is at its limit.
    Overflow,
}

/// The counts of one handle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HandleCounts {
    /// Strong references.
    pub(crate) strong: u32,
    /// Soft references.
    pub(crate) soft: u32,
}

struct Guarded<P: Personality> {
    counts: HandleCounts,
    watch: Option<Arc<Watch<P>>>,
}

/// One peer's capability to one node.
pub(crate) struct Handle<P: Personality> {
    node: Arc<Node<P>>,
    holder: Arc<Anchor<P>>,
    part: P::Handle,
    guarded: LockedBy<Guarded<P>, NodeInner<P>>,
    _alive: Alive,
}

/// Memory for a handle.
struct Seed<P: Personality> {
    handle: Arc<Handle<P>>,
    spot: RBTreeNodeReservation<u64, Arc<Handle<P>>>,
}

/// A handle that left its node.
type Left<P> = (
    Option<RBTreeNode<u64, Arc<Handle<P>>>>,
    Option<Arc<Watch<P>>>,
);

impl<P: Personality> Handle<P> {
    /// The node.
    pub(crate) fn node(&self) -> &Arc<Node<P>> {
        &self.node
    }

    /// Who holds it.
    pub(crate) fn holder(&self) -> &Arc<Anchor<P>> {
        &self.holder
    }

    /// The personality's part.
    pub(crate) fn part(&self) -> &P::Handle {
        &self.part
    }

    /// Its counts now.
    pub(crate) fn counts(&self) -> HandleCounts {
        let mut inner = self.node.inner.lock();
        self.guarded.access_mut(&mut inner).counts
    }

    /// Another strong reference, if the handle has any.
    pub(crate) fn strong(this: &Arc<Self>, via: Via) -> Result<Strong<P>, LinkError> {
        Self::again(this, Strength::Strong, via).map(|()| Strong(Counted::one(this.clone())))
    }

    /// Another soft reference, if the handle has any.
    pub(crate) fn soft(this: &Arc<Self>, via: Via) -> Result<Soft<P>, LinkError> {
        Self::again(this, Strength::Soft, via).map(|()| Soft(Counted::one(this.clone())))
    }

    fn again(this: &Arc<Self>, strength: Strength, via: Via) -> Result<(), LinkError> {
        let after = {
            let mut inner = this.node.inner.lock();
            let counts = this.guarded.access_mut(&mut inner).counts;
            if counts == HandleCounts::default() {
                return Err(LinkError::Dead);
            }
            let edge = this.add(&mut inner, strength)?;
            Node::crossed(&this.node, &mut inner, edge, via, &this.holder)
        };
        after.finish(&this.holder);
        Ok(())
    }

    /// A strong reference of `holder` to `node`, through the handle that it has or a new one.
    pub(super) fn link_strong(
        node: &Arc<Node<P>>,
        holder: &Arc<Anchor<P>>,
        via: Via,
    ) -> Result<Strong<P>, LinkError> {
        Self::link(node, holder, Strength::Strong, via).map(|handle| Strong(Counted::one(handle)))
    }

    /// A soft reference, likewise.
    pub(super) fn link_soft(
        node: &Arc<Node<P>>,
        holder: &Arc<Anchor<P>>,
        via: Via,
    ) -> Result<Soft<P>, LinkError> {
        Self::link(node, holder, Strength::Soft, via).map(|handle| Soft(Counted::one(handle)))
    }

    fn link(
        node: &Arc<Node<P>>,
        holder: &Arc<Anchor<P>>,
        strength: Strength,
        via: Via,
    ) -> Result<Arc<Self>, LinkError> {
        let mut seed: Option<Seed<P>> = None;
        loop {
            let mut inner = node.inner.lock();
            let handle = match inner.holders.get(&holder.id()) {
                Some(handle) => handle.clone(),
                None => match seed.take() {
                    Some(seed) => match Self::attach(&mut inner, seed) {
                        Ok(handle) => handle,
                        Err(seed) => {
                            drop(inner);
                            drop(seed);
                            return Err(LinkError::Dead);
                        }
                    },
                    None => {
                        drop(inner);
                        seed = Some(Self::sow(node, holder)?);
                        continue;
                    }
                },
            };
            let edge = handle.add(&mut inner, strength)?;
            let after = Node::crossed(node, &mut inner, edge, via, holder);
            drop(inner);
            after.finish(holder);
            return Ok(handle);
        }
    }

    /// Allocates what a new handle needs.
    fn sow(node: &Arc<Node<P>>, holder: &Arc<Anchor<P>>) -> Result<Seed<P>, LinkError> {
        let watch = match P::watch_on_link() {
            Some(part) => Some(Watch::new(holder, part)?),
            None => None,
        };
        let guarded = Guarded {
            counts: HandleCounts::default(),
            watch,
        };
        let handle = Self {
            node: node.clone(),
            holder: holder.clone(),
            part: P::Handle::default(),
            guarded: LockedBy::new(&node.inner, guarded),
            _alive: Alive::new(Counter::HandlesAlive),
        };
        let handle = Arc::new(handle, GFP_KERNEL_ACCOUNT)?;
        let spot = reserve_node()?;
        Ok(Seed { handle, spot })
    }

    /// Makes a new handle known to its node. A node that is being destroyed tells it so, in that
    /// very transaction; a node that was destroyed takes none, unless the personality says so.
    fn attach(inner: &mut NodeInner<P>, seed: Seed<P>) -> Result<Arc<Self>, Seed<P>> {
        if !seed.handle.tell(inner) && !P::LINKS_DEAD {
            return Err(seed);
        }
        let Seed { handle, spot } = seed;
        let node = spot.into_node(handle.holder.id(), handle.clone());
        let replaced = inner.holders.insert(node);
        debug_assert!(replaced.is_none());
        Ok(handle)
    }

    /// Joins the destruction of the node, if one has begun. Says no if it is committed: then there is
    /// no news to come.
    ///
    /// If it is committed a moment later, the news is told all the same: the walk that tells needs the
    /// node's lock, which is held here until the handle is among the holders.
    fn tell(&self, inner: &mut NodeInner<P>) -> bool {
        let Some(doom) = self.node.doom() else {
            return true;
        };
        let Some(watch) = self.guarded.access_mut(inner).watch.clone() else {
            return doom.record.stamp().is_none();
        };
        let place = (&doom.record, doom.index);
        self.holder
            .stage_watch(&watch, &self.node, place, Stamp::ZERO)
            .is_some()
    }

    fn add(&self, inner: &mut NodeInner<P>, strength: Strength) -> Result<Edge, LinkError> {
        let counts = &mut self.guarded.access_mut(inner).counts;
        let before = *counts;
        let count = match strength {
            Strength::Strong => &mut counts.strong,
            Strength::Soft => &mut counts.soft,
        };
        if *count >= LIMIT {
            return Err(LinkError::Overflow);
        }
        *count += 1;
        let mut edge = Edge::None;
        if before == HandleCounts::default() {
            inner.held += 1;
            if inner.held == 1 {
                edge = Edge::FirstHeld;
            }
        }
        if strength == Strength::Strong && before.strong == 0 {
            inner.strong += 1;
            if inner.strong == 1 {
                edge = Edge::FirstStrong;
            }
        }
        Ok(edge)
    }

    /// Gives `n` counts back.
    fn release(&self, strength: Strength, n: u32) {
        let (after, left) = {
            let mut inner = self.node.inner.lock();
            let (edge, last) = self.subtract(&mut inner, strength, n);
            let left = if last {
                self.detach(&mut inner)
            } else {
                (None, None)
            };
            let after = Node::crossed(&self.node, &mut inner, edge, Via::Any, &self.holder);
            (after, left)
        };
        after.finish(&self.holder);
        if let Some(watch) = &left.1 {
            drop(self.holder.withdraw(watch.entry()));
        }
    }

    fn subtract(&self, inner: &mut NodeInner<P>, strength: Strength, n: u32) -> (Edge, bool) {
        let counts = &mut self.guarded.access_mut(inner).counts;
        let count = match strength {
            Strength::Strong => &mut counts.strong,
            Strength::Soft => &mut counts.soft,
        };
        *count = count.saturating_sub(n);
        let after = *counts;
        let mut edge = Edge::None;
        if strength == Strength::Strong && after.strong == 0 {
            inner.strong = inner.strong.saturating_sub(1);
            if inner.strong == 0 {
                edge = Edge::LastStrong;
            }
        }
        let last = after == HandleCounts::default();
        if last {
            inner.held = inner.held.saturating_sub(1);
            if inner.held == 0 {
                edge = Edge::LastHeld;
            }
        }
        (edge, last)
    }

    fn detach(&self, inner: &mut NodeInner<P>) -> Left<P> {
        let node = inner.holders.remove_node(&self.holder.id());
        (node, self.guarded.access_mut(inner).watch.take())
    }

    /// The watch, for who holds the node's lock.
    pub(super) fn watch(&self, inner: &mut NodeInner<P>) -> Option<Arc<Watch<P>>> {
        self.guarded.access_mut(inner).watch.clone()
    }

    /// Asks to be told when the node is destroyed; at once if it is.
    ///
    /// A handle has one such watch, and a watch is armed once: else `watch` is given back.
    pub(crate) fn arm(&self, watch: Arc<Watch<P>>) -> Result<(), Arc<Watch<P>>> {
        let late = {
            let mut inner = self.node.inner.lock();
            let guarded = self.guarded.access_mut(&mut inner);
            let taken = guarded.watch.is_some() || guarded.counts == HandleCounts::default();
            if taken || !watch.claim() {
                return Err(watch);
            }
            guarded.watch = Some(watch.clone());
            !self.tell(&mut inner)
        };
        if late {
            let body = Body::Watch(watch.clone(), self.node.clone());
            let entry: &Arc<Entry<P>> = watch.entry();
            // A holder that is shut meanwhile is told nothing.
            drop(self.holder.post(QueueId::MAIN, entry, body, When::Now));
        }
        Ok(())
    }

    /// Takes the watch off the handle. It may have been queued already.
    pub(crate) fn disarm(&self) -> Option<Arc<Watch<P>>> {
        let mut inner = self.node.inner.lock();
        self.guarded.access_mut(&mut inner).watch.take()
    }
}

impl From<AllocError> for LinkError {
    fn from(_: AllocError) -> Self {
        Self::NoMemory
    }
}

impl<P: Personality> Node<P> {
    /// A strong reference of `holder`.
    pub(crate) fn strong_to(
        this: &Arc<Self>,
        holder: &Arc<Anchor<P>>,
        via: Via,
    ) -> Result<Strong<P>, LinkError> {
        Handle::link_strong(this, holder, via)
    }

    /// A soft reference of `holder`.
    pub(crate) fn soft_to(
        this: &Arc<Self>,
        holder: &Arc<Anchor<P>>,
        via: Via,
    ) -> Result<Soft<P>, LinkError> {
        Handle::link_soft(this, holder, via)
    }

    /// The handle of `holder`, if it has one now.
    pub(crate) fn handle_of(&self, holder: &Anchor<P>) -> Option<Arc<Handle<P>>> {
        self.inner.lock().holders.get(&holder.id()).cloned()
    }
}

/// One or more counts of one handle.
struct Counted<P: Personality> {
    handle: Arc<Handle<P>>,
    n: u32,
}

impl<P: Personality> Counted<P> {
    fn one(handle: Arc<Handle<P>>) -> Self {
        Self { handle, n: 1 }
    }

    /// Joins two bundles; gives `other` back if they are of different handles.
    fn merge(&mut self, other: &mut Self) -> bool {
        if !Arc::ptr_eq(&self.handle, &other.handle) {
            return false;
        }
        self.n += ::core::mem::take(&mut other.n);
        true
    }

    fn split(&mut self) -> Option<Self> {
        if self.n < 2 {
            return None;
        }
        self.n -= 1;
        Some(Self::one(self.handle.clone()))
    }
}

macro_rules! reference {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub(crate) struct $name<P: Personality>(Counted<P>);

        impl<P: Personality> $name<P> {
            /// The handle.
            pub(crate) fn handle(&self) -> &Arc<Handle<P>> {
                &self.0.handle
            }

            /// The node.
            pub(crate) fn node(&self) -> &Arc<Node<P>> {
                &self.0.handle.node
            }

            /// Takes over the counts of `other`, or gives it back if it is of another handle.
            pub(crate) fn merge(&mut self, mut other: Self) -> Result<(), Self> {
                if self.0.merge(&mut other.0) {
                    Ok(())
                } else {
                    Err(other)
                }
            }

            /// Takes one count off the bundle, if it has more than one.
            pub(crate) fn split(&mut self) -> Option<Self> {
                self.0.split().map(Self)
            }
        }

        impl<P: Personality> Drop for $name<P> {
            fn drop(&mut self) {
                if self.0.n > 0 {
                    assert_unlocked();
                    self.0.handle.release(Strength::$name, self.0.n);
                }
            }
        }
    };
}

reference! {
    /// The right to use a node, and the promise that it is not released meanwhile.
    Strong
}

reference! {
    /// A reference that does not keep the node in use.
    Soft
}
