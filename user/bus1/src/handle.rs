// SPDX-License-Identifier: MIT OR Apache-2.0

//! Handles, and the names by which events refer to them.

#![forbid(unsafe_code)]

use std::fmt;
use std::os::fd::AsFd;

use crate::error::HandleError;
use crate::peer::Peer;

/// Name of a node or handle on one peer.
///
/// It serves to find out which object an event is about, and means nothing on
/// other peers: it is a name and not the right to use what it names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64);

impl Id {
    /// The number, for example to tell another process about it.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The name with this number.
    pub fn from_bits(bits: u64) -> Self {
        Id(bits)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({:#x})", self.0)
    }
}

pub(crate) mod sealed {
    /// What a target has to tell the crate.
    pub trait Sealed {
        /// Whether it belongs to this very peer.
        fn is_of(&self, peer: &super::Peer) -> bool;
    }
}

/// What messages can be sent to and carry: a [`Handle`] or an own
/// [`Node`](crate::Node).
pub trait Target: sealed::Sealed {
    /// Its name on its peer.
    fn id(&self) -> Id;
}

/// The right to send to a node, and one reference of it.
///
/// Dropping it gives up that reference. When the last one of a node is gone,
/// its owner gets [`Event::NodeReleased`](crate::Event::NodeReleased).
pub struct Handle<'p> {
    peer: &'p Peer,
    id: Id,
}

impl<'p> Handle<'p> {
    pub(crate) fn new(peer: &'p Peer, id: Id) -> Self {
        Handle { peer, id }
    }

    /// Its name on its peer. All handles of one peer to one node have the same.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Another reference to the same node.
    ///
    /// # Errors
    ///
    /// `Destroyed` if the node is destroyed, `Quota` if a limit is reached,
    /// `Disconnected` if the peer is shut down.
    pub fn try_clone(&self) -> Result<Handle<'p>, HandleError> {
        let id = self.peer.fd().handle_transfer(self.id.0, None)?;
        Ok(Handle::new(self.peer, Id(id)))
    }

    /// A handle to the same node for another peer of this process.
    ///
    /// # Errors
    ///
    /// As for [`Handle::try_clone`].
    pub fn transfer<'q>(&self, to: &'q Peer) -> Result<Handle<'q>, HandleError> {
        Ok(to.claim(self.transfer_to_fd(to)?))
    }

    /// A reference to the same node for a peer that another process owns and of
    /// which there is only the file descriptor here. The result is the name of
    /// the handle there; the owner of that peer has to be told, and takes it
    /// over with [`Peer::claim`].
    ///
    /// # Errors
    ///
    /// As for [`Handle::try_clone`]; `NotAPeer` for another kind of file.
    pub fn transfer_to_fd(&self, to: impl AsFd) -> Result<Id, HandleError> {
        transfer(self.peer, self.id, to)
    }

    /// Gives up the reference, as dropping it does.
    ///
    /// # Errors
    ///
    /// `Disconnected` if the peer is shut down, and has lost its handles.
    pub fn release(self) -> Result<(), HandleError> {
        let result = self.peer.fd().handle_release(self.id.0);
        std::mem::forget(self);
        Ok(result?)
    }
}

/// Puts a reference of `id` on the peer that `to` is open for.
pub(crate) fn transfer(peer: &Peer, id: Id, to: impl AsFd) -> Result<Id, HandleError> {
    let id = peer.fd().handle_transfer(id.0, Some(to.as_fd()))?;
    Ok(Id(id))
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        // A peer that is shut down has lost its handles already.
        let _ = self.peer.fd().handle_release(self.id.0);
    }
}

impl sealed::Sealed for Handle<'_> {
    fn is_of(&self, peer: &Peer) -> bool {
        std::ptr::eq(self.peer, peer)
    }
}

impl Target for Handle<'_> {
    fn id(&self) -> Id {
        self.id
    }
}

impl fmt::Debug for Handle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({:#x})", self.id.0)
    }
}
