// SPDX-License-Identifier: MIT OR Apache-2.0

//! Own nodes: the objects that others hold handles to.

#![forbid(unsafe_code)]

use std::fmt;
use std::os::fd::AsFd;

use crate::error::HandleError;
use crate::handle::{sealed::Sealed, transfer, Handle, Id, Target};
use crate::peer::Peer;

/// An object of a peer, made by [`Peer::node`].
///
/// Dropping it destroys the node: all who hold a handle to it get
/// [`Event::NodeDestroyed`](crate::Event::NodeDestroyed), and messages to it
/// that were not received yet are lost.
pub struct Node<'p> {
    peer: &'p Peer,
    id: Id,
}

impl<'p> Node<'p> {
    pub(crate) fn new(peer: &'p Peer, id: u64) -> Self {
        Node {
            peer,
            id: Id::from_bits(id),
        }
    }

    pub(crate) fn is_of(&self, peer: &Peer) -> bool {
        std::ptr::eq(self.peer, peer)
    }

    /// Drops the value but not the node.
    pub(crate) fn forget(self) {
        std::mem::forget(self);
    }

    /// Its name on its peer: the `destination` of messages that were sent to it.
    pub fn id(&self) -> Id {
        self.id
    }

    /// A handle to it for its own peer.
    ///
    /// # Errors
    ///
    /// `Quota` if a limit is reached, `Disconnected` if the peer is shut down.
    pub fn handle(&self) -> Result<Handle<'p>, HandleError> {
        let id = self.peer.fd().handle_transfer(self.id.to_bits(), None)?;
        Ok(Handle::new(self.peer, Id::from_bits(id)))
    }

    /// A handle to it for another peer of this process: this is how the first
    /// handle gets anywhere. Later ones travel in messages.
    ///
    /// # Errors
    ///
    /// As for [`Node::handle`].
    pub fn transfer<'q>(&self, to: &'q Peer) -> Result<Handle<'q>, HandleError> {
        Ok(to.claim(self.transfer_to_fd(to)?))
    }

    /// A handle to it for a peer that another process owns; see
    /// [`Handle::transfer_to_fd`].
    ///
    /// # Errors
    ///
    /// As for [`Node::handle`]; `NotAPeer` for another kind of file.
    pub fn transfer_to_fd(&self, to: impl AsFd) -> Result<Id, HandleError> {
        transfer(self.peer, self.id, to)
    }

    /// Destroys the node, as dropping it does. [`Peer::destroy`] does the same
    /// with several at once.
    ///
    /// # Errors
    ///
    /// `Disconnected` if the peer is shut down, and its nodes with it.
    pub fn destroy(self) -> Result<(), HandleError> {
        let result = self.peer.fd().nodes_destroy(&[self.id.to_bits()]);
        self.forget();
        Ok(result?)
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        // A peer that is shut down has no nodes any more.
        let _ = self.peer.fd().nodes_destroy(&[self.id.to_bits()]);
    }
}

impl Sealed for Node<'_> {
    fn is_of(&self, peer: &Peer) -> bool {
        Node::is_of(self, peer)
    }
}

impl Target for Node<'_> {
    fn id(&self) -> Id {
        self.id
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({:#x})", self.id.to_bits())
    }
}
