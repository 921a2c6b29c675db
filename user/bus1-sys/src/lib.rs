// SPDX-License-Identifier: MIT OR Apache-2.0

//! Raw declarations and ioctls of `/dev/bus1`.
//!
//! The structures and constants are generated from the kernel's own header,
//! `include/uapi/linux/bus1.h`; the program `regenerate` beside this crate
//! writes them anew, and with `--check` compares them. On top there is one
//! function for each ioctl, and nothing else: no ownership, no pool mapping, no
//! check of what user space passes in. The crate `bus1` is the safe interface.
//!
//! All functions return what the kernel said. None of them waits for a message:
//! poll the file descriptor for that.

#![no_std]

use core::ffi::c_void;

use rustix::fd::AsFd;
use rustix::io::Result;
use rustix::ioctl::{ioctl, Ioctl, IoctlOutput, Opcode, Updater};

#[allow(missing_docs, non_camel_case_types)]
mod generated;

pub use generated::*;

/// In [`bus1_cmd_handle_transfer::dst_fd`]: the peer that the call is made on.
pub const DST_FD_SELF: u64 = u64::MAX;

/// In the limits of [`bus1_cmd_peer_reset`]: leave this one as it is.
pub const LIMIT_KEEP: u32 = u32::MAX;

/// In [`bus1_cmd_peer_reset::peer_flags`]: leave the flags as they are.
pub const PEER_FLAGS_KEEP: u64 = u64::MAX;

/// An ioctl whose argument is a number and not a pointer.
struct Number<const OPCODE: Opcode>(usize);

// SAFETY: the argument is no address: nothing is read or written through it.
unsafe impl<const OPCODE: Opcode> Ioctl for Number<OPCODE> {
    type Output = ();

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        OPCODE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        core::ptr::without_provenance_mut(self.0)
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> Result<()> {
        Ok(())
    }
}

/// Shuts the peer down: its nodes are destroyed, its handles released, its
/// queue emptied. Pages that are mapped stay readable.
///
/// # Errors
///
/// `SHUTDOWN` if that has been done before.
///
/// # Safety
///
/// `fd` is a file descriptor of `/dev/bus1`.
pub unsafe fn peer_disconnect(fd: impl AsFd) -> Result<()> {
    // SAFETY: the command takes a number, by the header. The caller vouches for
    // the device.
    unsafe { ioctl(fd, Number::<BUS1_CMD_PEER_DISCONNECT>(0)) }
}

/// Reads the limits and flags of the peer into `arg`; `arg.flags` must be 0.
///
/// # Errors
///
/// `INVAL` for flags, `SHUTDOWN` if the peer is disconnected.
///
/// # Safety
///
/// `fd` is a file descriptor of `/dev/bus1`.
pub unsafe fn peer_query(fd: impl AsFd, arg: &mut bus1_cmd_peer_reset) -> Result<()> {
    // SAFETY: `arg` is the structure of this command, by the header. The caller
    // vouches for the device.
    unsafe { ioctl(fd, Updater::<BUS1_CMD_PEER_QUERY, _>::new(arg)) }
}

/// Sets limits and flags of the peer, and empties it on demand.
///
/// # Errors
///
/// `INVAL` for unknown flags and for limits above `i32::MAX` other than
/// [`LIMIT_KEEP`], `PERM` for limits above the user's, `SHUTDOWN` if the peer is
/// disconnected. Nothing has changed then.
///
/// # Safety
///
/// `fd` is a file descriptor of `/dev/bus1`. With
/// [`BUS1_PEER_RESET_FLAG_FLUSH`] nobody may go on reading slices of the pool.
pub unsafe fn peer_reset(fd: impl AsFd, arg: &mut bus1_cmd_peer_reset) -> Result<()> {
    // SAFETY: as for `peer_query`.
    unsafe { ioctl(fd, Updater::<BUS1_CMD_PEER_RESET, _>::new(arg)) }
}

/// Gives up one reference of the handle `id`.
///
/// # Errors
///
/// `NXIO` for an unknown ID, `BUSY` for the reference that the owner of a live
/// node can't give up, `SHUTDOWN` if the peer is disconnected.
///
/// # Safety
///
/// `fd` is a file descriptor of `/dev/bus1`.
pub unsafe fn handle_release(fd: impl AsFd, id: u64) -> Result<()> {
    let mut arg = id;
    // SAFETY: the command takes a pointer to an ID, by the header. The caller
    // vouches for the device.
    unsafe { ioctl(fd, Updater::<BUS1_CMD_HANDLE_RELEASE, _>::new(&mut arg)) }
}

/// Gives another peer a reference of a handle; see
/// [`bus1_cmd_handle_transfer`] for what goes in and comes out.
///
/// # Errors
///
/// `BADF` and `OPNOTSUPP` for the destination's file descriptor, `NXIO` for an
/// unknown ID, `DQUOT` for a limit of either peer, `SHUTDOWN` if one of the two
/// is disconnected.
///
/// # Safety
///
/// `fd` is a file descriptor of `/dev/bus1`.
pub unsafe fn handle_transfer(fd: impl AsFd, arg: &mut bus1_cmd_handle_transfer) -> Result<()> {
    // SAFETY: as for `peer_query`.
    unsafe { ioctl(fd, Updater::<BUS1_CMD_HANDLE_TRANSFER, _>::new(arg)) }
}

/// Destroys nodes of the peer, all at one instant or none.
///
/// # Errors
///
/// `NXIO` for an unknown ID, `NOTUNIQ` for one that is listed twice, `REMOTE`
/// for a node of another peer, `STALE` for one that is destroyed already,
/// `INVAL` for unknown flags or too many nodes, `FAULT` for a bad array,
/// `SHUTDOWN` if the peer is disconnected.
///
/// # Safety
///
/// `fd` is a file descriptor of `/dev/bus1`.
pub unsafe fn nodes_destroy(fd: impl AsFd, arg: &mut bus1_cmd_nodes_destroy) -> Result<()> {
    // SAFETY: as for `peer_query`. The kernel only reads the array that `arg`
    // points to, and answers FAULT where it can't.
    unsafe { ioctl(fd, Updater::<BUS1_CMD_NODES_DESTROY, _>::new(arg)) }
}

/// Gives a slice back to the pool.
///
/// # Errors
///
/// `NXIO` if no slice that was handed out starts at `offset`, `SHUTDOWN` if the
/// peer is disconnected.
///
/// # Safety
///
/// `fd` is a file descriptor of `/dev/bus1`, and nobody goes on reading that
/// slice: the kernel may write to it from now on.
pub unsafe fn slice_release(fd: impl AsFd, offset: u64) -> Result<()> {
    let mut arg = offset;
    // SAFETY: the command takes a pointer to an offset, by the header. The
    // caller vouches for the device and for the slice.
    unsafe { ioctl(fd, Updater::<BUS1_CMD_SLICE_RELEASE, _>::new(&mut arg)) }
}

/// Sends a message; see [`bus1_cmd_send`].
///
/// # Errors
///
/// Those of the message: `INVAL`, `MSGSIZE`, `FAULT`, `NXIO`, `BADF`,
/// `OPNOTSUPP`. Those of its destinations: `NXIO`, `NOTUNIQ`, `HOSTUNREACH`,
/// `DQUOT`, `XFULL`, `MSGSIZE`, `NOMEM`, and `BUSY` for a reply while another one
/// to the same request is being sent. `SHUTDOWN` if the peer is disconnected.
///
/// # Safety
///
/// `fd` is a file descriptor of `/dev/bus1`. If `arg.ptr_errors` is not 0, it
/// points to `arg.n_destinations` writable `i64` that nobody else uses during
/// the call. (The kernel only reads through the other pointers, and answers
/// `FAULT` where it can't.)
pub unsafe fn send(fd: impl AsFd, arg: &mut bus1_cmd_send) -> Result<()> {
    // SAFETY: as for `peer_query`; the caller vouches for the array of errors.
    unsafe { ioctl(fd, Updater::<BUS1_CMD_SEND, _>::new(arg)) }
}

/// Sends a message and prepays its reply; see [`bus1_cmd_send_request`].
///
/// # Errors
///
/// Those of [`send`]. `DQUOT` also if the peer has no room for the reply, `INVAL`
/// for anything but one destination or for other flags beside
/// [`BUS1_SEND_FLAG_REPLY`].
///
/// # Safety
///
/// As for [`send`].
pub unsafe fn send_request(fd: impl AsFd, arg: &mut bus1_cmd_send_request) -> Result<()> {
    // SAFETY: as for `send`.
    unsafe { ioctl(fd, Updater::<BUS1_CMD_SEND_REQUEST, _>::new(arg)) }
}

/// Takes the next message off the queue; see [`bus1_cmd_recv`].
///
/// # Errors
///
/// `AGAIN` if there is none, `RANGE` if its slice does not lie below
/// `arg.max_offset`, `INVAL` for unknown flags, `MFILE` and others if its files
/// can't be installed; the message stays in the queue. `SHUTDOWN` if the peer is
/// disconnected.
///
/// # Safety
///
/// `fd` is a file descriptor of `/dev/bus1`.
pub unsafe fn recv(fd: impl AsFd, arg: &mut bus1_cmd_recv) -> Result<()> {
    // SAFETY: as for `peer_query`.
    unsafe { ioctl(fd, Updater::<BUS1_CMD_RECV, _>::new(arg)) }
}

/// Takes the next message off the queue, in the form that tells nothing about
/// its sender; see [`bus1_cmd_recv_anon`].
///
/// # Errors
///
/// Those of [`recv`].
///
/// # Safety
///
/// `fd` is a file descriptor of `/dev/bus1`.
pub unsafe fn recv_anon(fd: impl AsFd, arg: &mut bus1_cmd_recv_anon) -> Result<()> {
    // SAFETY: as for `peer_query`.
    unsafe { ioctl(fd, Updater::<BUS1_CMD_RECV_ANON, _>::new(arg)) }
}
