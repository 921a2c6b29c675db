// SPDX-License-Identifier: MIT OR Apache-2.0

//! The mapped pool and the slices in it; one of the two files with unsafe code.
//!
//! Why a slice may be shown as `&[u8]` although another party writes to the
//! memory behind it: the mapping is read-only, only the kernel writes, and it
//! writes to a slice only before it has handed it out and after it has got it
//! back. [`Slice`] exists exactly in between: it is made when a message is
//! received, borrows the peer (so neither a flush, which needs `&mut Peer`, nor
//! the unmapping can come in between), and gives the slice back on drop.

use std::fmt;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::ptr::{null_mut, NonNull};

use rustix::io::Errno;
use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};

use crate::error::{HandleError, PeerError, RecvError};
use crate::fd::{installed, Fd};
use crate::layout::{elements, Parts};
use crate::peer::{Limits, Peer};

/// A read-only mapping of a pool.
#[derive(Debug)]
pub(crate) struct Map {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping is never moved or written through; threads only read it.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Maps the first `bytes` of the pool of `fd`.
    pub(crate) fn new(fd: &Fd, bytes: usize) -> Result<Self, Errno> {
        // SAFETY: a new mapping at an address of the kernel's choice aliases
        // nothing of ours.
        let start = unsafe { mmap(null_mut(), bytes, ProtFlags::READ, MapFlags::SHARED, fd, 0) }?;
        match NonNull::new(start.cast()) {
            Some(start) => Ok(Map { start, bytes }),
            None => Err(Errno::NOMEM),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping, and all slices, which borrow its
        // peer, are gone. A failure leaves it mapped, which harms nobody.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// The payload of a message, in the memory in which the sender's kernel call has
/// put it. It is given back when the value is dropped.
pub struct Slice<'p> {
    peer: &'p Peer,
    parts: Parts,
}

impl<'p> Slice<'p> {
    /// Takes over a slice that was just received.
    ///
    /// # Safety
    ///
    /// `parts` is a slice that the kernel has handed out for this peer, and no
    /// other value stands for it.
    unsafe fn new(peer: &'p Peer, parts: Parts) -> Self {
        Slice { peer, parts }
    }

    /// A part of the slice, or nothing if it does not lie in the mapping.
    fn part(&self, from: usize, to: usize) -> &[u8] {
        let map = self.peer.map();
        let start = self.parts.offset.saturating_add(from);
        let end = self.parts.offset.saturating_add(to);
        if from >= to || end > map.bytes() {
            return &[];
        }
        // SAFETY: the range lies in the mapping (checked just now), which lives
        // as long as the peer. It is initialised memory, and nobody writes to it
        // while `self` exists: see the head of this file.
        unsafe { std::slice::from_raw_parts(map.start.as_ptr().add(start), end - start) }
    }

    /// Gives the slice back, as dropping it does.
    ///
    /// # Errors
    ///
    /// `Disconnected` if the peer was shut down meanwhile, and with it the slice.
    pub fn release(self) -> Result<(), HandleError> {
        let result = self.give_back();
        std::mem::forget(self);
        Ok(result?)
    }

    fn give_back(&self) -> Result<(), Errno> {
        // SAFETY: both callers own the slice and don't use it afterwards.
        unsafe { self.peer.fd().slice_release(self.parts.offset as u64) }
    }
}

impl Deref for Slice<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.part(0, self.parts.payload)
    }
}

impl AsRef<[u8]> for Slice<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Slice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slice({} bytes)", self.parts.payload)
    }
}

impl Drop for Slice<'_> {
    fn drop(&mut self) {
        // A peer that is shut down has lost its slices already.
        let _ = self.give_back();
    }
}

/// The parts of a received message.
pub(crate) struct Contents<'p> {
    pub(crate) payload: Slice<'p>,
    pub(crate) handles: Vec<u64>,
    pub(crate) files: Vec<OwnedFd>,
}

impl Peer {
    /// Receives without waiting and takes over what comes with the message: the
    /// description, and the contents if there are any.
    pub(crate) fn receive(&self) -> Result<(bus1_sys::bus1_msg, Option<Contents<'_>>), RecvError> {
        let flags = if self.accepts_files() {
            bus1_sys::BUS1_RECV_FLAG_INSTALL_FDS
        } else {
            0
        };
        let mapped = self.map().bytes();
        let msg = self.fd().recv(flags, mapped as u64)?;
        if msg.type_ != bus1_sys::BUS1_MSG_DATA {
            return Ok((msg, None));
        }
        // Without the flag no file was installed, whatever the number says.
        let n_fds = if self.accepts_files() { msg.n_fds } else { 0 };
        let Some(parts) = Parts::of(&msg, n_fds, mapped) else {
            // SAFETY: no slice was made for it.
            let _ = unsafe { self.fd().slice_release(msg.offset) };
            return Err(RecvError::Malformed);
        };
        // SAFETY: the kernel has just handed out this slice to us.
        let payload = unsafe { Slice::new(self, parts) };
        let handles = elements(payload.part(parts.handles, parts.files))
            .map(u64::from_ne_bytes)
            .collect();
        let files: Option<Vec<OwnedFd>> = elements(payload.part(parts.files, parts.end))
            // SAFETY: the flag was set, so the kernel has installed these for
            // this message; this is the only place that takes them over.
            .map(|bytes| unsafe { installed(i32::from_ne_bytes(bytes)) })
            .collect();
        let files = files.ok_or(RecvError::Malformed)?;
        let contents = Contents {
            payload,
            handles,
            files,
        };
        Ok((msg, Some(contents)))
    }

    /// Sets limits and empties nothing.
    pub(crate) fn set_limits(&self, limits: Limits) -> Result<(), PeerError> {
        // SAFETY: nothing is flushed.
        Ok(unsafe { self.fd().reset(limits.to_raw(0)) }?)
    }

    /// Empties the peer: all its nodes are destroyed, all handles and slices
    /// given back, all messages that have come in so far are dropped.
    ///
    /// Nothing can be borrowed from the peer at that time, thus no [`Slice`] can
    /// be left that shows memory which the kernel uses again.
    ///
    /// # Errors
    ///
    /// `Disconnected` if the peer is shut down.
    pub fn flush(&mut self) -> Result<(), PeerError> {
        let arg = Limits::KEEP.to_raw(bus1_sys::BUS1_PEER_RESET_FLAG_FLUSH);
        // SAFETY: slices borrow the peer, and it is borrowed exclusively here.
        Ok(unsafe { self.fd().reset(arg) }?)
    }
}
