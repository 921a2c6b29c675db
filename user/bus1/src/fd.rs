// SPDX-License-Identifier: MIT OR Apache-2.0

//! The file descriptor of a peer and the calls on it; one of the two files with
//! unsafe code.
//!
//! The invariant that most of it rests on: the descriptor in [`Fd`] is one of a
//! device that speaks the native interface (any other answers `ENOTTY`, since
//! the numbers are its own).

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use bus1_sys as sys;
use rustix::io::Errno;

use crate::error::PeerError;
use crate::peer::{Options, Peer};

/// The descriptor of one peer.
#[derive(Debug)]
pub(crate) struct Fd(OwnedFd);

/// What one send passes to the kernel.
#[derive(Debug, Default)]
pub(crate) struct Parcel<'a> {
    pub(crate) destinations: Vec<u64>,
    pub(crate) payload: Vec<IoSlice<'a>>,
    pub(crate) handles: Vec<u64>,
    pub(crate) files: Vec<BorrowedFd<'a>>,
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr() as u64
}

impl Parcel<'_> {
    fn numbers(&self) -> Vec<RawFd> {
        self.files.iter().map(AsRawFd::as_raw_fd).collect()
    }

    /// The kernel's structure. It holds addresses of all three arguments. Fails
    /// unless `errors` is empty or has an element for each destination.
    fn to_raw(
        &self,
        files: &[RawFd],
        flags: u64,
        errors: &mut [i64],
    ) -> Result<sys::bus1_cmd_send, Errno> {
        let ptr_errors = if errors.is_empty() {
            0
        } else if errors.len() == self.destinations.len() {
            errors.as_mut_ptr() as u64
        } else {
            return Err(Errno::INVAL);
        };
        Ok(sys::bus1_cmd_send {
            flags,
            ptr_destinations: address(&self.destinations),
            ptr_errors,
            n_destinations: self.destinations.len() as u64,
            // IoSlice is promised to have the layout of struct iovec.
            ptr_vecs: address(&self.payload),
            n_vecs: self.payload.len() as u64,
            ptr_handles: address(&self.handles),
            n_handles: self.handles.len() as u64,
            ptr_fds: address(files),
            n_fds: files.len() as u64,
        })
    }
}

impl Fd {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Fd(fd)
    }

    pub(crate) fn into_inner(self) -> OwnedFd {
        self.0
    }

    pub(crate) fn disconnect(&self) -> Result<(), Errno> {
        // SAFETY: the type's invariant.
        unsafe { sys::peer_disconnect(&self.0) }
    }

    pub(crate) fn query(&self) -> Result<sys::bus1_cmd_peer_reset, Errno> {
        let mut arg = sys::bus1_cmd_peer_reset::default();
        // SAFETY: the type's invariant.
        unsafe { sys::peer_query(&self.0, &mut arg) }?;
        Ok(arg)
    }

    /// Sets limits.
    ///
    /// # Safety
    ///
    /// With the flag FLUSH no slice of this peer is in use.
    pub(crate) unsafe fn reset(&self, mut arg: sys::bus1_cmd_peer_reset) -> Result<(), Errno> {
        // SAFETY: the type's invariant; the caller vouches for the slices.
        unsafe { sys::peer_reset(&self.0, &mut arg) }
    }

    pub(crate) fn handle_release(&self, id: u64) -> Result<(), Errno> {
        // SAFETY: the type's invariant.
        unsafe { sys::handle_release(&self.0, id) }
    }

    /// Passes `id` to the peer `to`, or to this one; the ID there, or `STALE` if
    /// the node is destroyed.
    pub(crate) fn handle_transfer(
        &self,
        id: u64,
        to: Option<BorrowedFd<'_>>,
    ) -> Result<u64, Errno> {
        let dst_fd = match to {
            None => sys::DST_FD_SELF,
            // A borrowed descriptor is never negative.
            Some(fd) => u64::from(fd.as_raw_fd().unsigned_abs()),
        };
        let mut arg = sys::bus1_cmd_handle_transfer {
            src_handle: id,
            dst_fd,
            dst_handle: sys::BUS1_HANDLE_INVALID,
            ..Default::default()
        };
        // SAFETY: the type's invariant.
        unsafe { sys::handle_transfer(&self.0, &mut arg) }?;
        if arg.dst_handle == sys::BUS1_HANDLE_INVALID {
            return Err(Errno::STALE);
        }
        Ok(arg.dst_handle)
    }

    /// Destroys nodes and gives up one reference of each.
    pub(crate) fn nodes_destroy(&self, ids: &[u64]) -> Result<(), Errno> {
        let mut arg = sys::bus1_cmd_nodes_destroy {
            flags: sys::BUS1_NODES_DESTROY_FLAG_RELEASE_HANDLES,
            ptr_nodes: address(ids),
            n_nodes: ids.len() as u64,
        };
        // SAFETY: the type's invariant.
        unsafe { sys::nodes_destroy(&self.0, &mut arg) }
    }

    /// Gives a slice back to the kernel.
    ///
    /// # Safety
    ///
    /// The slice at `offset` is not read any more.
    pub(crate) unsafe fn slice_release(&self, offset: u64) -> Result<(), Errno> {
        // SAFETY: the type's invariant; the caller vouches for the slice.
        unsafe { sys::slice_release(&self.0, offset) }
    }

    /// Sends; the error number of each destination goes to `errors`, which is as
    /// long as the list of destinations, or empty.
    pub(crate) fn send(
        &self,
        parcel: &Parcel<'_>,
        flags: u64,
        errors: &mut [i64],
    ) -> Result<(), Errno> {
        let files = parcel.numbers();
        let mut arg = parcel.to_raw(&files, flags, errors)?;
        // SAFETY: the type's invariant. The array of errors is borrowed for the
        // call and as long as the number of destinations says (see `to_raw`).
        unsafe { sys::send(&self.0, &mut arg) }
    }

    /// Sends, and prepays a reply of the sizes that are set in `room`; says
    /// which node it will come to.
    pub(crate) fn send_request(
        &self,
        parcel: &Parcel<'_>,
        mut room: sys::bus1_cmd_send_request,
        errors: &mut [i64],
    ) -> Result<u64, Errno> {
        let files = parcel.numbers();
        room.send = parcel.to_raw(&files, sys::BUS1_SEND_FLAG_REPLY, errors)?;
        // SAFETY: as for `send`.
        unsafe { sys::send_request(&self.0, &mut room) }?;
        Ok(room.reply_node)
    }

    pub(crate) fn recv(&self, flags: u64, max_offset: u64) -> Result<sys::bus1_msg, Errno> {
        let mut arg = sys::bus1_cmd_recv {
            flags,
            max_offset,
            ..Default::default()
        };
        // SAFETY: the type's invariant.
        unsafe { sys::recv(&self.0, &mut arg) }?;
        Ok(arg.msg)
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Takes over a file descriptor that the kernel has installed for a message.
///
/// # Safety
///
/// `raw` was installed by the kernel in this process for the caller's message,
/// and has not been taken over before.
pub(crate) unsafe fn installed(raw: RawFd) -> Option<OwnedFd> {
    if raw < 0 {
        return None;
    }
    // SAFETY: by the contract nobody else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(raw) })
}

impl Peer {
    /// Takes over a peer that was opened elsewhere, for example by a parent
    /// process. Its pool is mapped; nodes and handles that it has already are
    /// not known to the new value, see [`Peer::claim`].
    ///
    /// # Errors
    ///
    /// Those of the mapping; the peer is closed then.
    ///
    /// # Safety
    ///
    /// There is no other [`Peer`] for the same open file, and nobody releases
    /// slices of this one or flushes it behind its back: the kernel would write
    /// to memory that a [`Slice`](crate::Slice) shows.
    pub unsafe fn from_fd(fd: OwnedFd, options: &Options) -> Result<Self, PeerError> {
        Peer::adopt(fd, options)
    }
}
