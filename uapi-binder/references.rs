// SPDX-License-Identifier: GPL-2.0

//! References of a proc: what its descs stand for, and how they come and go.
//!
//! A desc stands for one engine handle. The handle counts; the table only keeps, as bundles of
//! counts, what the program took with BC_ACQUIRE and BC_INCREFS. Counts that belong to an object in a
//! buffer are [`Held`] by that buffer. With the last count of a handle, wherever it goes, the desc
//! is free: that is [`retire`]'s business.
//!
//! Locks: the table is a mutex, taken before the node's lock; counts are dropped outside of it.

#![deny(unsafe_code)]

use super::{
    command::{
        RefChange,
        Strength, //
    },
    death,
    listen,
    refs::{
        DescTable,
        First, //
    },
    requests::RequestKey,
    Binder,
    BinderPeer, //
};
use crate::core::{
    handle::{
        Handle,
        HandleCounts,
        LinkError,
        Soft,
        Strong, //
    },
    node::Node,
    personality::Via,
    sync::{
        Atomic,
        Relaxed, //
    },
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The desc of a handle, as seen from the handle. Written under the table's lock.
pub(super) struct Desc(Atomic<u32>);

impl Desc {
    /// No table gets so large.
    const NONE: u32 = u32::MAX;

    fn get(&self) -> Option<u32> {
        match self.0.load(Relaxed) {
            Self::NONE => None,
            desc => Some(desc),
        }
    }

    fn set(&self, desc: u32) {
        self.0.store(desc, Relaxed);
    }
}

impl Default for Desc {
    fn default() -> Self {
        Self(Atomic::new(Self::NONE))
    }
}

/// What a desc stands for.
pub(super) struct Ref {
    handle: Arc<Handle<Binder>>,
    /// What BC_ACQUIRE took.
    strong: Option<Strong<Binder>>,
    /// What BC_INCREFS took.
    soft: Option<Soft<Binder>>,
    /// The death request, if there is one.
    pub(super) death: Option<RequestKey>,
    /// The freeze request, if there is one.
    pub(super) freeze: Option<RequestKey>,
}

impl Ref {
    /// The handle.
    pub(super) fn handle(&self) -> &Arc<Handle<Binder>> {
        &self.handle
    }
}

/// The table of a proc.
pub(super) type Refs = DescTable<Ref>;

/// A desc that can't be used as it was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRef;

/// One count of a handle, of either kind.
enum Count {
    Strong(Strong<Binder>),
    Soft(Soft<Binder>),
}

impl Count {
    fn handle(&self) -> &Arc<Handle<Binder>> {
        match self {
            Count::Strong(strong) => strong.handle(),
            Count::Soft(soft) => soft.handle(),
        }
    }
}

/// A count that something outside of the table holds: an object in a buffer, a call to a node.
///
/// Dropping it gives the count back, and the desc with the last one. Not under any lock.
pub(super) struct Held(Option<Count>);

impl Held {
    /// A count of `holder` on `node`, of the handle that it has or a new one.
    pub(super) fn link(
        node: &Arc<Node<Binder>>,
        holder: &BinderPeer,
        strength: Strength,
        via: Via,
    ) -> Result<Self, LinkError> {
        let count = match strength {
            Strength::Strong => Count::Strong(Node::strong_to(node, holder.anchor(), via)?),
            Strength::Weak => Count::Soft(Node::soft_to(node, holder.anchor(), via)?),
        };
        Ok(Self(Some(count)))
    }

    /// The desc of the handle in the table of `holder`, whose handle it is. Given now if it has none.
    pub(super) fn desc(&self, holder: &BinderPeer) -> Result<u32> {
        let handle = self.0.as_ref().map(Count::handle).ok_or(EINVAL)?;
        adopt(holder, handle)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(count) = self.0.take() {
            let handle = count.handle().clone();
            drop(count);
            retire(&handle);
        }
    }
}

/// The desc of `handle`, which `holder` has a count of.
fn adopt(holder: &BinderPeer, handle: &Arc<Handle<Binder>>) -> Result<u32> {
    let process = holder.part();
    let mut refs = process.refs.lock();
    if let Some(desc) = handle.part().get() {
        return Ok(desc);
    }
    let first = if process.context.is_manager(handle.node()) {
        First::Manager
    } else {
        First::Other
    };
    let handle = handle.clone();
    let desc = refs.insert(first, |desc| {
        handle.part().set(desc);
        Ref {
            handle,
            strong: None,
            soft: None,
            death: None,
            freeze: None,
        }
    })?;
    Ok(desc)
}

/// Frees the desc of a handle that has no counts any more.
fn retire(handle: &Arc<Handle<Binder>>) {
    let Some(desc) = handle.part().get() else {
        return;
    };
    if handle.counts() != HandleCounts::default() {
        return;
    }
    let Some(holder) = handle.holder().live() else {
        return;
    };
    let gone = {
        let mut refs = holder.part().refs.lock();
        match refs.get(desc) {
            Some(found) if Arc::ptr_eq(&found.handle, handle) => refs.remove(desc),
            _ => None,
        }
    };
    let Some(gone) = gone else {
        return;
    };
    if let Some(key) = gone.death {
        death::forget(&holder, key);
    }
    if let Some(key) = gone.freeze {
        listen::forget(&holder, key);
    }
}

/// The handle behind `desc`, with its counts.
pub(super) fn find(
    peer: &BinderPeer,
    desc: u32,
) -> Result<(Arc<Handle<Binder>>, HandleCounts), NoRef> {
    let handle = peer
        .part()
        .refs
        .lock()
        .get(desc)
        .map(|found| found.handle.clone())
        .ok_or(NoRef)?;
    let counts = handle.counts();
    if counts == HandleCounts::default() {
        return Err(NoRef);
    }
    Ok((handle, counts))
}

/// The handle behind `desc`, if it is held as `strength` asks.
pub(super) fn find_held(
    peer: &BinderPeer,
    desc: u32,
    strength: Strength,
) -> Result<Arc<Handle<Binder>>, NoRef> {
    let (handle, counts) = find(peer, desc)?;
    if strength == Strength::Strong && counts.strong == 0 {
        return Err(NoRef);
    }
    Ok(handle)
}

/// The program changes a count of a reference: EINVAL if the manager names itself. What makes no
/// sense has no effect.
pub(super) fn change(peer: &BinderPeer, change: RefChange, desc: u32) -> Result {
    match change {
        RefChange::StrongUp => up(peer, Strength::Strong, desc),
        RefChange::WeakUp => up(peer, Strength::Weak, desc),
        RefChange::StrongDown => {
            down(peer, Strength::Strong, desc);
            Ok(())
        }
        RefChange::WeakDown => {
            down(peer, Strength::Weak, desc);
            Ok(())
        }
    }
}

fn up(peer: &BinderPeer, strength: Strength, desc: u32) -> Result {
    if desc == 0 {
        // The manager of this moment, whatever desc 0 stands for.
        if let Some(manager) = peer.part().context.manager() {
            if Arc::ptr_eq(manager.owner(), peer.anchor()) {
                return Err(EINVAL);
            }
            if let Ok(held) = Held::link(&manager, peer, strength, Via::Any) {
                keep(peer, held);
            }
            return Ok(());
        }
    }
    let Ok(handle) = find_held(peer, desc, strength) else {
        return Ok(());
    };
    let count = match strength {
        Strength::Strong => Handle::strong(&handle, Via::Any).map(Count::Strong),
        Strength::Weak => Handle::soft(&handle, Via::Any).map(Count::Soft),
    };
    if let Ok(count) = count {
        keep(peer, Held(Some(count)));
    }
    Ok(())
}

/// Puts a count into the table. Without memory for a desc it is given back.
fn keep(peer: &BinderPeer, mut held: Held) {
    let Ok(desc) = held.desc(peer) else {
        return;
    };
    let mut refs = peer.part().refs.lock();
    let Some(entry) = refs.get_mut(desc) else {
        return;
    };
    // What does not fit is the count of another handle: it stays in `held`, and goes after unlock.
    held.0 = match held.0.take() {
        Some(Count::Strong(count)) => {
            put(&mut entry.strong, count, |to, more| to.merge(more)).map(Count::Strong)
        }
        Some(Count::Soft(count)) => {
            put(&mut entry.soft, count, |to, more| to.merge(more)).map(Count::Soft)
        }
        None => None,
    };
}

/// Joins `count` with what is in `slot`; returns it if it can't be.
fn put<T>(
    slot: &mut Option<T>,
    count: T,
    merge: impl FnOnce(&mut T, T) -> Result<(), T>,
) -> Option<T> {
    match slot {
        Some(bundle) => merge(bundle, count).err(),
        None => {
            *slot = Some(count);
            None
        }
    }
}

fn down(peer: &BinderPeer, strength: Strength, desc: u32) {
    let count = {
        let mut refs = peer.part().refs.lock();
        let Some(entry) = refs.get_mut(desc) else {
            return;
        };
        match strength {
            Strength::Strong => one(&mut entry.strong, Strong::split).map(Count::Strong),
            Strength::Weak => one(&mut entry.soft, Soft::split).map(Count::Soft),
        }
    };
    drop(Held(count));
}

/// Takes one count out of a bundle, which goes with its last.
fn one<T>(slot: &mut Option<T>, split: impl FnOnce(&mut T) -> Option<T>) -> Option<T> {
    let bundle = slot.as_mut()?;
    split(bundle).or_else(|| slot.take())
}

/// The counts that BINDER_GET_NODE_INFO_FOR_REF tells a manager.
pub(super) struct RefInfo {
    /// Strong counts of the owner, and one for each strong holder.
    pub(super) strong: u32,
    /// Soft counts of the owner.
    pub(super) weak: u32,
}

/// Looks at the node behind a strong reference.
pub(super) fn info(peer: &BinderPeer, desc: u32) -> Result<RefInfo, NoRef> {
    let handle = find_held(peer, desc, Strength::Strong)?;
    let node = handle.node();
    let own = node.handle_of(node.owner());
    let own = own.map_or(HandleCounts::default(), |own| own.counts());
    let holders = node.state(|_, counts| counts.strong);
    let others = holders.saturating_sub(u32::from(own.strong > 0));
    Ok(RefInfo {
        strong: others.saturating_add(own.strong),
        weak: own.soft,
    })
}

/// Takes the whole table; used when the holder is gone.
pub(super) fn abandon(peer: &BinderPeer) {
    let entries = peer.part().refs.lock().clear();
    // In the order of the descs: a vector drops its elements from the first on.
    drop(entries);
}
