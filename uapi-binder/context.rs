// SPDX-License-Identifier: GPL-2.0

//! A context: what one device node of binderfs stands for.
//!
//! All procs of a context share one manager, the node behind handle 0. The context holds that node
//! for as long as its proc lives. Once somebody was the manager, only procs with the same effective
//! user can be it again, for the whole life of the context.
//!
//! Lock: one mutex for the manager, a leaf among the mutexes: only the node's lock is taken under it.

#![deny(unsafe_code)]

use super::{
    buffer::Pages,
    registry::Procs,
    Binder, //
};
use crate::{
    core::{
        anchor::Anchor,
        handle::{
            Soft,
            Strong, //
        },
        node::Node,
        quota::Users,
        reclaim::Pools, //
    },
    shim::cred::Uid,
};
use kernel::{
    prelude::*,
    sync::{
        new_mutex,
        Arc,
        Mutex, //
    },
};

/// The manager's node, held in both ways so that its owner need not be told that it is.
pub(super) struct Manager {
    /// The node.
    pub(super) node: Arc<Node<Binder>>,
    /// Only dropped, with the manager and outside of the lock.
    pub(super) _holds: (Strong<Binder>, Soft<Binder>),
}

struct Seat {
    manager: Option<Manager>,
    uid: Option<Uid>,
}

/// What all contexts share.
#[derive(Clone)]
pub(super) struct Root {
    /// The mappings of all procs.
    pub(super) pools: Arc<Pools<Pages>>,
    /// All procs.
    pub(super) procs: Arc<Procs>,
}

/// One context.
#[pin_data]
pub(super) struct Context {
    /// Who has procs here.
    users: Arc<Users>,
    /// What it shares with all other contexts.
    root: Root,
    #[pin]
    seat: Mutex<Seat>,
}

impl Context {
    /// A context without manager.
    pub(super) fn new(root: Root) -> Result<Arc<Self>> {
        let users = Users::new()?;
        Arc::pin_init(
            pin_init!(Self {
                users,
                root,
                seat <- new_mutex!(Seat { manager: None, uid: None }, "bus1::binder_context"),
            }),
            GFP_KERNEL,
        )
    }

    /// Who has procs here.
    pub(super) fn users(&self) -> &Arc<Users> {
        &self.users
    }

    /// Where mappings are listed.
    pub(super) fn pools(&self) -> &Arc<Pools<Pages>> {
        &self.root.pools
    }

    /// All procs, of any context.
    pub(super) fn procs(&self) -> &Procs {
        &self.root.procs
    }

    /// The node behind handle 0, if there is a manager.
    pub(super) fn manager(&self) -> Option<Arc<Node<Binder>>> {
        let seat = self.seat.lock();
        seat.manager.as_ref().map(|manager| manager.node.clone())
    }

    /// Whether `node` is behind handle 0 at this moment.
    pub(super) fn is_manager(&self, node: &Arc<Node<Binder>>) -> bool {
        self.seat
            .lock()
            .manager
            .as_ref()
            .is_some_and(|manager| Arc::ptr_eq(&manager.node, node))
    }

    /// Whether there is a manager, and who may be one: EBUSY, EPERM.
    ///
    /// `hook` is asked in between. The user stays noted even if the caller does not become it.
    pub(super) fn claim(&self, uid: Uid, hook: impl FnOnce() -> Result) -> Result {
        let mut seat = self.seat.lock();
        if seat.manager.is_some() {
            return Err(EBUSY);
        }
        hook()?;
        match seat.uid {
            Some(first) if first != uid => return Err(EPERM),
            _ => seat.uid = Some(uid),
        }
        Ok(())
    }

    /// Seats the manager. Gives it back if another one was quicker.
    pub(super) fn seat(&self, manager: Manager) -> Result<(), Manager> {
        let mut seat = self.seat.lock();
        if seat.manager.is_some() {
            return Err(manager);
        }
        seat.manager = Some(manager);
        Ok(())
    }

    /// Empties the seat if the proc behind `anchor` has it.
    pub(super) fn leave(&self, anchor: &Arc<Anchor<Binder>>) -> Option<Manager> {
        let mut seat = self.seat.lock();
        let ours = |manager: &Manager| Arc::ptr_eq(manager.node.owner(), anchor);
        if seat.manager.as_ref().is_some_and(ours) {
            seat.manager.take()
        } else {
            None
        }
    }
}
