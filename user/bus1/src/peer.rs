// SPDX-License-Identifier: MIT OR Apache-2.0

//! Peers: opening, limits, shutting down.

#![forbid(unsafe_code)]

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bus1_sys::{bus1_cmd_peer_reset, LIMIT_KEEP, PEER_FLAGS_KEEP};
use rustix::fs::{open, Mode, OFlags};

use crate::error::{HandleError, PeerError};
use crate::fd::Fd;
use crate::handle::{Handle, Id};
use crate::map::Map;
use crate::node::Node;
use crate::send::Transaction;

/// Size of a pool: no slice lies beyond it.
pub const POOL_BYTES: usize = 512 << 20;

/// Step between the IDs that nodes get. Its low two bits are clear, as in all
/// IDs that user space chooses.
const ID_STEP: u64 = 4;

/// How a peer is opened.
///
/// ```no_run
/// let peer = bus1::Options::new()
///     .map_bytes(1 << 20)
///     .accept_files(false)
///     .open()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    path: PathBuf,
    map_bytes: usize,
    accept_files: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            path: PathBuf::from("/dev/bus1"),
            map_bytes: POOL_BYTES,
            accept_files: true,
        }
    }
}

impl Options {
    /// `/dev/bus1`, the whole pool mapped, files accepted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another device.
    #[must_use]
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.path = path.as_ref().to_path_buf();
        self
    }

    /// How much of the pool is mapped. A message that lies beyond it can't be
    /// received ([`RecvError::BeyondMap`](crate::RecvError::BeyondMap)). The
    /// whole pool takes address space, but memory only where messages are.
    #[must_use]
    pub fn map_bytes(mut self, bytes: usize) -> Self {
        self.map_bytes = bytes;
        self
    }

    /// Whether the file descriptors in messages are taken. If not, the kernel
    /// closes them, and nobody can fill this process's table.
    #[must_use]
    pub fn accept_files(mut self, accept: bool) -> Self {
        self.accept_files = accept;
        self
    }

    /// Opens a new peer.
    ///
    /// # Errors
    ///
    /// `NoDevice`, `AccessDenied` and others that opening a file can give,
    /// `OutOfMemory` if the address space is too small for the mapping.
    pub fn open(&self) -> Result<Peer, PeerError> {
        let fd = open(&self.path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        Peer::with(fd, self, ID_STEP)
    }
}

/// Limits of a peer. `None` is "as it is" when they are set; limits that were
/// asked for have all four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most messages that are queued, or received and not yet dropped.
    pub slices: Option<u32>,
    /// Most handles.
    pub handles: Option<u32>,
    /// Most bytes in slices that are not given back.
    pub bytes: Option<u32>,
    /// Most file descriptors in queued messages.
    pub files: Option<u32>,
}

impl Limits {
    pub(crate) const KEEP: Limits = Limits {
        slices: None,
        handles: None,
        bytes: None,
        files: None,
    };

    pub(crate) fn to_raw(self, flags: u64) -> bus1_cmd_peer_reset {
        bus1_cmd_peer_reset {
            flags,
            peer_flags: PEER_FLAGS_KEEP,
            max_slices: self.slices.unwrap_or(LIMIT_KEEP),
            max_handles: self.handles.unwrap_or(LIMIT_KEEP),
            max_inflight_bytes: self.bytes.unwrap_or(LIMIT_KEEP),
            max_inflight_fds: self.files.unwrap_or(LIMIT_KEEP),
        }
    }
}

/// One participant: its nodes, its handles, its queue and its pool.
///
/// It is shut down when it is dropped, at the latest with the last duplicate of
/// its file descriptor.
#[derive(Debug)]
pub struct Peer {
    // The pages outlive the descriptor, so the order of the two is free.
    fd: Fd,
    map: Map,
    accept_files: bool,
    next_id: AtomicU64,
}

impl Peer {
    /// Opens a new peer on `/dev/bus1`. [`Options`] has more choices.
    ///
    /// # Errors
    ///
    /// Those of [`Options::open`].
    pub fn open() -> Result<Self, PeerError> {
        Options::new().open()
    }

    fn with(fd: OwnedFd, options: &Options, first_id: u64) -> Result<Self, PeerError> {
        let fd = Fd::new(fd);
        let map = Map::new(&fd, options.map_bytes)?;
        Ok(Peer {
            fd,
            map,
            accept_files: options.accept_files,
            next_id: AtomicU64::new(first_id),
        })
    }

    /// A peer that exists already may have nodes under any ID, so this one
    /// starts to count at a place where it will not meet them.
    pub(crate) fn adopt(fd: OwnedFd, options: &Options) -> Result<Self, PeerError> {
        let place = RandomState::new().build_hasher().finish();
        Peer::with(fd, options, place & !(ID_STEP - 1))
    }

    pub(crate) fn fd(&self) -> &Fd {
        &self.fd
    }

    pub(crate) fn map(&self) -> &Map {
        &self.map
    }

    pub(crate) fn accepts_files(&self) -> bool {
        self.accept_files
    }

    /// A new node of this peer.
    ///
    /// The kernel learns of it when it is used for the first time: sent to,
    /// passed on, or destroyed.
    pub fn node(&self) -> Node<'_> {
        Node::new(self, self.next_id.fetch_add(ID_STEP, Ordering::Relaxed))
    }

    /// Starts a message. Nothing happens before
    /// [`Transaction::commit`].
    pub fn send(&self) -> Transaction<'_> {
        Transaction::new(self)
    }

    /// Takes over a reference that somebody else has put on this peer with
    /// [`Handle::transfer_to_fd`] or [`Node::transfer_to_fd`], and whose ID was
    /// told by other means.
    ///
    /// It is not checked. An ID that names nothing makes a handle that nothing
    /// can be done with; one that is claimed twice is released twice, and takes
    /// a reference from another value.
    pub fn claim(&self, id: Id) -> Handle<'_> {
        Handle::new(self, id)
    }

    /// Destroys several nodes, all at one instant: whoever holds handles to
    /// some of them is told of all at once, and no message comes in between.
    ///
    /// # Errors
    ///
    /// `WrongPeer` if a node is one of another peer, `Disconnected` if this one
    /// is shut down. No node is destroyed then, other than by its drop.
    pub fn destroy<'p>(
        &'p self,
        nodes: impl IntoIterator<Item = Node<'p>>,
    ) -> Result<(), HandleError> {
        let nodes: Vec<Node<'p>> = nodes.into_iter().collect();
        if !nodes.iter().all(|node| node.is_of(self)) {
            return Err(HandleError::WrongPeer);
        }
        let ids: Vec<u64> = nodes.iter().map(|node| node.id().to_bits()).collect();
        self.fd.nodes_destroy(&ids)?;
        nodes.into_iter().for_each(Node::forget);
        Ok(())
    }

    /// The limits that are in force.
    ///
    /// # Errors
    ///
    /// `Disconnected` if the peer is shut down.
    pub fn limits(&self) -> Result<Limits, PeerError> {
        let raw = self.fd.query()?;
        Ok(Limits {
            slices: Some(raw.max_slices),
            handles: Some(raw.max_handles),
            bytes: Some(raw.max_inflight_bytes),
            files: Some(raw.max_inflight_fds),
        })
    }

    /// Sets limits. A limit below what is in use refuses more, until enough was
    /// given back.
    ///
    /// ```no_run
    /// # let peer = bus1::Peer::open()?;
    /// peer.limit(bus1::Limits {
    ///     slices: Some(64),
    ///     ..Default::default()
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Invalid` for a limit above `i32::MAX`, `NotPermitted` for one above the
    /// user's, `Disconnected` if the peer is shut down.
    pub fn limit(&self, limits: Limits) -> Result<(), PeerError> {
        self.set_limits(limits)
    }

    /// Shuts the peer down while it is still open: its nodes are destroyed, its
    /// handles released, and everything but this fails from now on. Slices can
    /// still be read.
    ///
    /// # Errors
    ///
    /// `Disconnected` if it is shut down already.
    pub fn disconnect(&self) -> Result<(), PeerError> {
        Ok(self.fd.disconnect()?)
    }
}

impl AsFd for Peer {
    /// The descriptor, to poll it, to pass it to another process, or as the
    /// destination of a transfer.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Peer> for OwnedFd {
    fn from(peer: Peer) -> Self {
        peer.fd.into_inner()
    }
}
