// SPDX-License-Identifier: GPL-2.0

//! Freeze notifications: who asked to be told when the owner of a node is frozen or thawed.
//!
//! What is told is state: a request remembers what its program was told last, and its notice is
//! queued while that is not what holds, and nothing waits for an answer:
//!
//! ```text
//!   idle --(differs: queued, and read)--> delivered --(FREEZE_NOTIFICATION_DONE)--> idle
//! ```
//!
//! So a change that is taken back before it was read says nothing, and of many that come before the
//! answer the last one is told. The confirmation of a cleared request is the same notice: it takes
//! the place of news that are queued, and waits for the answer to news that were read.
//!
//! A request is in a list of the proc that asked. The owner of the node knows only where to find it,
//! as a *listener*, by node and, of one node, the newest first.
//!
//! Locks: a mutex for the requests of a proc and one for its listeners, never two at a time; under
//! the first the inbox locks of owner and holder, one after the other.

#![deny(unsafe_code)]

use super::{
    references,
    reply::Return,
    requests::{
        oldest_told,
        RequestKey, //
    },
    Binder,
    BinderPeer,
    Watched, //
};
use crate::core::{
    anchor::Anchor,
    inbox::QueueId,
    node::Node,
    watch::Watch, //
};
use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    },
    sync::Arc, //
};

/// How far a request has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was told, or it was answered.
    Idle,
    /// BR_FROZEN_BINDER was read, as the n-th.
    Delivered(u64),
}

impl Request {
    /// As the how many-th it was told, while it waits for the answer.
    fn told(&self) -> Option<u64> {
        match self.phase {
            Phase::Delivered(told) => Some(told),
            _ => None,
        }
    }
}

struct Request {
    watch: Arc<Watch<Binder>>,
    node: Arc<Node<Binder>>,
    phase: Phase,
    /// What was told last.
    last: Option<bool>,
    /// It left its reference; the confirmation is due.
    cleared: bool,
}

impl Request {
    /// Whether the owner is frozen; as it was at its end, if it is gone.
    fn state(&self) -> bool {
        self.node.owner().with(|view| view.part().gate.is_frozen())
    }

    /// Whether its notice is to be queued.
    fn is_due(&self) -> bool {
        self.phase == Phase::Idle
            && (self.cleared || (is_alive(&self.node) && self.last != Some(self.state())))
    }
}

fn is_alive(node: &Node<Binder>) -> bool {
    let owner = node.owner();
    node.death().is_none() && owner.with(|view| view.is_open(QueueId::MAIN))
}

/// The requests of a proc.
pub(super) struct Freezes {
    requests: RBTree<RequestKey, Request>,
    /// Requests made so far.
    made: u64,
    /// News read so far.
    told: u64,
}

impl Freezes {
    /// An empty list.
    pub(super) fn new() -> Self {
        Self {
            requests: RBTree::new(),
            made: 0,
            told: 0,
        }
    }
}

/// The place of a listener with the owner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The owner's pointer of the node.
    ptr: u64,
    holder: u64,
    /// Falls from request to request.
    age: u64,
}

impl Place {
    fn of(node: &Node<Binder>, holder: &BinderPeer, key: RequestKey) -> Self {
        Self {
            ptr: node.part().ptr,
            holder: holder.anchor().id(),
            age: u64::MAX - key.number,
        }
    }
}

/// Where to find a request.
#[derive(Clone)]
pub(super) struct Listener {
    holder: Arc<Anchor<Binder>>,
    key: RequestKey,
}

/// The requests of others about the nodes of a proc.
pub(super) type Listeners = RBTree<Place, Listener>;

/// BC_REQUEST_FREEZE_NOTIFICATION: EINVAL for an unknown desc, or one that has a request; ENOMEM.
///
/// On a dead node it is accepted, and nothing will be told.
pub(super) fn request(peer: &Arc<BinderPeer>, desc: u32, cookie: u64) -> Result {
    let (handle, _) = references::find(peer, desc).map_err(|_| EINVAL)?;
    let key = enlist(peer, handle.node(), cookie)?;
    // Before the reference has it: whoever takes it from there finds the listener.
    let listening = listen(peer, handle.node(), key);
    let armed = listening.and_then(|()| {
        let mut refs = peer.part().refs.lock();
        match refs.get_mut(desc) {
            Some(entry) if Arc::ptr_eq(entry.handle(), &handle) && entry.freeze.is_none() => {
                entry.freeze = Some(key);
                Ok(())
            }
            _ => Err(EINVAL),
        }
    });
    match armed {
        Ok(()) => refresh(peer, key),
        Err(_) => forget(peer, key),
    }
    armed
}

/// Makes a request with all the memory that it will need.
fn enlist(peer: &BinderPeer, node: &Arc<Node<Binder>>, cookie: u64) -> Result<RequestKey> {
    let mut freezes = peer.part().freezes.lock();
    freezes.made += 1;
    let key = RequestKey::new(cookie, freezes.made);
    let request = Request {
        watch: Watch::new(peer.anchor(), Watched::Freeze(key))?,
        node: node.clone(),
        phase: Phase::Idle,
        last: None,
        cleared: false,
    };
    freezes
        .requests
        .try_create_and_insert(key, request, GFP_KERNEL_ACCOUNT)?;
    Ok(key)
}

/// Tells the owner of `node`, if it lives, where the request is.
fn listen(peer: &BinderPeer, node: &Node<Binder>, key: RequestKey) -> Result {
    let Some(owner) = node.owner().live() else {
        return Ok(());
    };
    let listener = Listener {
        holder: peer.anchor().clone(),
        key,
    };
    let place = Place::of(node, peer, key);
    let entry = RBTreeNode::new(place, listener, GFP_KERNEL_ACCOUNT)?;
    let before = owner.part().listeners.lock().insert(entry);
    drop(before);
    Ok(())
}

/// The opposite of [`listen`].
fn unlisten(peer: &BinderPeer, node: &Node<Binder>, key: RequestKey) {
    if let Some(owner) = node.owner().live() {
        let place = Place::of(node, peer, key);
        let entry = owner.part().listeners.lock().remove_node(&place);
        drop(entry);
    }
}

/// Queues the notice of a request, or takes it back, as is due now.
fn refresh(peer: &BinderPeer, key: RequestKey) {
    let freezes = peer.part().freezes.lock();
    let Some(request) = freezes.requests.get(&key) else {
        return;
    };
    if request.is_due() {
        Watch::tell(&request.watch, &request.node);
    } else {
        let _ = request.watch.withdraw();
    }
}

/// `owner` was frozen or thawed, or may have been: whoever does not know is told.
pub(super) fn tell(owner: &BinderPeer) {
    let mut from = Some(Place {
        ptr: 0,
        holder: 0,
        age: 0,
    });
    while let Some(place) = from {
        let listener = {
            let listeners = owner.part().listeners.lock();
            let Some(cursor) = listeners.cursor_lower_bound(&place) else {
                return;
            };
            let (place, listener) = cursor.current();
            // Ages are below the highest number.
            from = place.age.checked_add(1).map(|age| Place { age, ..*place });
            listener.clone()
        };
        if let Some(holder) = listener.holder.live() {
            refresh(&holder, listener.key);
        }
    }
}

/// A reference went with its last count; its request goes without a word.
pub(super) fn forget(peer: &BinderPeer, key: RequestKey) {
    let request = peer.part().freezes.lock().requests.remove(&key);
    if let Some(request) = request {
        unlisten(peer, &request.node, key);
        let _ = request.watch.withdraw();
    }
}

/// BC_CLEAR_FREEZE_NOTIFICATION: EINVAL for an unknown desc, one without a request, or another
/// cookie.
pub(super) fn clear(peer: &BinderPeer, desc: u32, cookie: u64) -> Result {
    references::find(peer, desc).map_err(|_| EINVAL)?;
    let key = {
        let mut refs = peer.part().refs.lock();
        let entry = refs.get_mut(desc).ok_or(EINVAL)?;
        let key = entry.freeze.take_if(|key| key.cookie == cookie);
        key.ok_or(EINVAL)?
    };
    let node = {
        let mut freezes = peer.part().freezes.lock();
        freezes.requests.get_mut(&key).map(|request| {
            request.cleared = true;
            request.node.clone()
        })
    };
    if let Some(node) = node {
        unlisten(peer, &node, key);
        refresh(peer, key);
    }
    Ok(())
}

/// The notice of a request was read: what to tell, unless that is nothing by now.
pub(super) fn deliver(peer: &BinderPeer, key: RequestKey) -> Option<Return> {
    let mut freezes = peer.part().freezes.lock();
    freezes.told += 1;
    let told = freezes.told;
    let request = freezes.requests.get_mut(&key)?;
    if request.phase != Phase::Idle {
        return None;
    }
    if request.cleared {
        let request = freezes.requests.remove(&key);
        drop(freezes);
        drop(request);
        return Some(Return::FreezeCleared(key.cookie));
    }
    let state = request.state();
    if request.last.replace(state) == Some(state) {
        return None;
    }
    request.phase = Phase::Delivered(told);
    Some(Return::Frozen(key.cookie, state))
}

/// BC_FREEZE_NOTIFICATION_DONE: the oldest news with this cookie that were read. EINVAL if there are
/// none.
pub(super) fn done(peer: &BinderPeer, cookie: u64) -> Result {
    let key = {
        let mut freezes = peer.part().freezes.lock();
        let key = oldest_told(&freezes.requests, cookie, Request::told).ok_or(EINVAL)?;
        if let Some(request) = freezes.requests.get_mut(&key) {
            request.phase = Phase::Idle;
        }
        key
    };
    refresh(peer, key);
    Ok(())
}

/// Takes all requests, and forgets who listens; used when the proc is gone.
pub(super) fn abandon(peer: &BinderPeer) {
    let listeners = ::core::mem::replace(&mut *peer.part().listeners.lock(), RBTree::new());
    drop(listeners);
    loop {
        let first = {
            let freezes = peer.part().freezes.lock();
            let first = freezes.requests.iter().next().map(|(key, _)| *key);
            first
        };
        match first {
            Some(key) => forget(peer, key),
            None => return,
        }
    }
}
