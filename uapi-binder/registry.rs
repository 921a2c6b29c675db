// SPDX-License-Identifier: GPL-2.0

//! The list of all procs, of every device in every mount, by who opened them.
//!
//! Freezing names a process by its number in the initial namespace, and means all the files that it
//! opened, newest first. The list is the one thing that the procs of different contexts share; it is
//! touched when a file is opened or closed, and by those ioctls.
//!
//! Lock: one mutex for all procs, under which nothing is taken.

#![deny(unsafe_code)]

use super::{
    Binder,
    BinderPeer, //
};
use crate::core::{
    anchor::Anchor,
    sync::{
        reserve_node,
        AllocError, //
    },
};
use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        new_mutex,
        Arc,
        Mutex, //
    },
    task::Pid, //
};

/// A proc's place: of one process the newest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    pid: Pid,
    /// Falls from proc to proc.
    age: u64,
}

impl Key {
    fn of(peer: &BinderPeer) -> Self {
        Self {
            pid: peer.part().pid(),
            age: u64::MAX - peer.anchor().id(),
        }
    }
}

/// Memory for a place.
pub(super) struct Place(RBTreeNodeReservation<Key, Arc<Anchor<Binder>>>);

/// All procs.
#[pin_data]
pub(super) struct Procs {
    #[pin]
    list: Mutex<RBTree<Key, Arc<Anchor<Binder>>>>,
}

impl Procs {
    /// None yet.
    pub(super) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                list <- new_mutex!(RBTree::new(), "bus1::binder_procs"),
            }),
            GFP_KERNEL,
        )
    }

    /// Reserves memory for a proc's place.
    pub(super) fn reserve() -> Result<Place, AllocError> {
        reserve_node().map(Place)
    }

    /// Lists a proc.
    pub(super) fn enter(&self, place: Place, peer: &BinderPeer) {
        let node = place.0.into_node(Key::of(peer), peer.anchor().clone());
        let before = self.list.lock().insert(node);
        drop(before);
    }

    /// Takes a proc off the list.
    pub(super) fn leave(&self, peer: &BinderPeer) {
        let node = self.list.lock().remove_node(&Key::of(peer));
        drop(node);
    }

    /// The procs that the process `pid` opened, newest first, as far as they are open now.
    pub(super) fn of(&self, pid: Pid) -> impl Iterator<Item = Arc<BinderPeer>> + '_ {
        let mut from = Some(Key { pid, age: 0 });
        ::core::iter::from_fn(move || loop {
            let anchor = {
                let list = self.list.lock();
                let cursor = list.cursor_lower_bound(&from?)?;
                let (key, anchor) = cursor.current();
                if key.pid != pid {
                    return None;
                }
                from = key.age.checked_add(1).map(|age| Key { pid, age });
                anchor.clone()
            };
            if let Some(peer) = anchor.live() {
                return Some(peer);
            }
        })
    }
}
