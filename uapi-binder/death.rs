// SPDX-License-Identifier: GPL-2.0

//! Death notifications: who asked to be told of the end of a node, and how far that has come.
//!
//! A request is an engine watch on a handle, and an entry in the list of its proc. The watch tells
//! *that* the node died, at one place of the order for all who asked; the list knows what the
//! program has been told and has answered:
//!
//! ```text
//!   armed --(node dies, the watch is read)--> delivered --(DEAD_BINDER_DONE)--> done
//! ```
//!
//! A request that is cleared leaves its reference at once, which can then have another one. Clearing
//! is confirmed at once in the first and the last state, else after DEAD_BINDER_DONE. All memory is
//! reserved with the request.
//!
//! Lock: the list is a mutex, taken under no other. Watches are armed and disarmed under the table of
//! references, so that a reference and its handle never disagree about the request.

#![deny(unsafe_code)]

use super::{
    references,
    reply::Code,
    requests::{
        oldest_told,
        RequestKey, //
    },
    thread::Caller,
    Binder,
    BinderPeer,
    Queued,
    Watched, //
};
use crate::core::{
    anchor::Spare,
    inbox::QueueId,
    personality::When,
    watch::Watch, //
};
use kernel::{
    prelude::*,
    rbtree::RBTree,
    sync::Arc, //
};

/// How far a request has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was told.
    Armed,
    /// BR_DEAD_BINDER was read, as the n-th.
    Delivered(u64),
    /// And answered.
    Done,
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
    phase: Phase,
    /// It left its reference; the confirmation is due.
    cleared: bool,
    spare: Spare<Binder>,
}

/// The requests of a proc.
pub(super) struct Deaths {
    requests: RBTree<RequestKey, Request>,
    /// Requests made so far.
    made: u64,
    /// Deaths told so far.
    told: u64,
}

impl Deaths {
    /// An empty list.
    pub(super) fn new() -> Self {
        Self {
            requests: RBTree::new(),
            made: 0,
            told: 0,
        }
    }
}

/// BC_REQUEST_DEATH_NOTIFICATION. An unknown desc, or one that has a request, has no effect.
pub(super) fn request(caller: &mut Caller<'_>, desc: u32, cookie: u64) {
    let peer = caller.peer;
    let Ok((handle, _)) = references::find(peer, desc) else {
        return;
    };
    let Ok((key, watch)) = enlist(peer, cookie) else {
        caller.fail(Code::Error);
        return;
    };
    let armed = {
        let mut refs = peer.part().refs.lock();
        match refs.get_mut(desc) {
            Some(entry) if Arc::ptr_eq(entry.handle(), &handle) && entry.death.is_none() => {
                // Refused if the last count just went, and with it the reference.
                entry.death = handle.arm(watch).is_ok().then_some(key);
                entry.death.is_some()
            }
            _ => false,
        }
    };
    if !armed {
        forget(peer, key);
    }
}

/// Makes a request with all the memory that it will need.
fn enlist(peer: &BinderPeer, cookie: u64) -> Result<(RequestKey, Arc<Watch<Binder>>)> {
    let spare = Spare::new(peer.anchor())?;
    let mut deaths = peer.part().deaths.lock();
    deaths.made += 1;
    let key = RequestKey::new(cookie, deaths.made);
    let watch = Watch::new(peer.anchor(), Watched::Death(key))?;
    let request = Request {
        watch: watch.clone(),
        phase: Phase::Armed,
        cleared: false,
        spare,
    };
    deaths
        .requests
        .try_create_and_insert(key, request, GFP_KERNEL_ACCOUNT)?;
    Ok((key, watch))
}

/// A reference went with its last count; its request goes without a word.
pub(super) fn forget(peer: &BinderPeer, key: RequestKey) {
    let request = peer.part().deaths.lock().requests.remove(&key);
    drop(request);
}

/// BC_CLEAR_DEATH_NOTIFICATION. An unknown desc, or another cookie, has no effect.
pub(super) fn clear(caller: &mut Caller<'_>, desc: u32, cookie: u64) {
    let peer = caller.peer;
    let (dead, key, watch) = {
        let mut refs = peer.part().refs.lock();
        let Some(entry) = refs.get_mut(desc) else {
            return;
        };
        let Some(key) = entry.death.take_if(|key| key.cookie == cookie) else {
            return;
        };
        // If it is dead already, the news is on its way. If it dies only now, it depends: what is
        // still queued is taken back below, and nobody is told.
        let dead = entry.handle().node().death().is_some();
        (dead, key, entry.handle().disarm())
    };
    drop(watch);
    let confirm = {
        let mut deaths = peer.part().deaths.lock();
        let Some(request) = deaths.requests.get_mut(&key) else {
            return;
        };
        request.cleared = true;
        match request.phase {
            // Told or about to be told: it will be answered first.
            Phase::Armed if dead => None,
            Phase::Delivered(_) => None,
            Phase::Armed | Phase::Done => deaths.requests.remove(&key),
        }
    };
    if let Some(request) = confirm {
        let _ = request.watch.withdraw();
        post_cleared(caller, request.spare, cookie);
    }
}

/// A watch was read: the cookie to tell, unless the request is gone.
pub(super) fn deliver(peer: &BinderPeer, key: RequestKey) -> Option<u64> {
    let mut deaths = peer.part().deaths.lock();
    deaths.told += 1;
    let told = deaths.told;
    let request = deaths.requests.get_mut(&key)?;
    request.phase = Phase::Delivered(told);
    Some(key.cookie)
}

/// BC_DEAD_BINDER_DONE: the oldest delivered death with this cookie. None has no effect.
pub(super) fn done(caller: &mut Caller<'_>, cookie: u64) {
    let confirmed = {
        let mut deaths = caller.peer.part().deaths.lock();
        let Some(key) = oldest_told(&deaths.requests, cookie, Request::told) else {
            return;
        };
        let Some(request) = deaths.requests.get_mut(&key) else {
            return;
        };
        request.phase = Phase::Done;
        if request.cleared {
            deaths.requests.remove(&key)
        } else {
            None
        }
    };
    if let Some(request) = confirmed {
        post_cleared(caller, request.spare, cookie);
    }
}

/// Confirms to the calling thread if it is a looper, else to any thread of the proc.
fn post_cleared(caller: &Caller<'_>, spare: Spare<Binder>, cookie: u64) {
    let anchor = caller.peer.anchor();
    let thread = caller.thread.queue;
    let looper = anchor.with(|view| view.queue(thread).is_some_and(|part| part.is_looper()));
    let queue = if looper { thread } else { QueueId::MAIN };
    drop(anchor.post_code(queue, spare, Queued::DeathCleared(cookie), When::Now));
}

/// Takes all requests; used when the holder is gone.
pub(super) fn abandon(peer: &BinderPeer) {
    let requests = ::core::mem::replace(&mut peer.part().deaths.lock().requests, RBTree::new());
    drop(requests);
}
