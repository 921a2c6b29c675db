// SPDX-License-Identifier: MIT OR Apache-2.0

//! A peer on the bare interface, with everything a test wants to do wrong.
//!
//! One of the files with unsafe code (the others are `foreign.rs`, `memory.rs`, `realm.rs`,
//! `scratch.rs` and `stress/shared.rs`). Cases call the kernel through these functions only.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use bus1_sys as sys;
use rustix::fs::{open, Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode};

use crate::errors::{note, noted};
use crate::memory::{Area, Bad, Mapping};
use crate::verdict::{skip, wrong, Verdict};

/// How much of the pool a test peer maps.
pub const MAPPED: usize = 16 << 20;

/// The device under test.
pub fn device() -> &'static str {
    static DEVICE: OnceLock<String> = OnceLock::new();
    DEVICE.get_or_init(|| std::env::var("BUS1_DEVICE").unwrap_or_else(|_| "/dev/bus1".into()))
}

/// A descriptor of a new peer.
pub fn open_device() -> Result<OwnedFd, Errno> {
    open(device(), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}

/// An ioctl with any number and any argument.
struct Any {
    opcode: u32,
    argument: usize,
}

// SAFETY: what the kernel may write through the argument is the concern of
// those who make one, all in this file.
unsafe impl Ioctl for Any {
    type Output = ();

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        std::ptr::with_exposed_provenance_mut(self.argument)
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut std::ffi::c_void) -> Result<(), Errno> {
        Ok(())
    }
}

/// Where the results of the destinations go.
pub enum Errors<'a> {
    /// Nowhere.
    None,
    /// Into an array with one element for each.
    Array(&'a mut [i64]),
    /// To an address that can't be written to.
    Bad(&'a Bad),
}

/// A message to be sent; what is not named is empty.
#[derive(Default, Clone, Copy)]
pub struct Mail<'a> {
    pub to: &'a [u64],
    pub payload: &'a [&'a [u8]],
    pub handles: &'a [u64],
    pub fds: &'a [RawFd],
    pub flags: u64,
}

impl<'a> Mail<'a> {
    fn vecs(&self) -> Vec<IoSlice<'a>> {
        self.payload.iter().map(|part| IoSlice::new(part)).collect()
    }

    /// The kernel's structure, without an array of errors.
    fn to_raw(self, vecs: &[IoSlice<'_>]) -> sys::bus1_cmd_send {
        sys::bus1_cmd_send {
            flags: self.flags,
            ptr_destinations: self.to.as_ptr() as u64,
            ptr_errors: 0,
            n_destinations: self.to.len() as u64,
            ptr_vecs: vecs.as_ptr() as u64,
            n_vecs: vecs.len() as u64,
            ptr_handles: self.handles.as_ptr() as u64,
            n_handles: self.handles.len() as u64,
            ptr_fds: self.fds.as_ptr() as u64,
            n_fds: self.fds.len() as u64,
        }
    }
}

/// The most that a reply may be.
#[derive(Default, Clone, Copy)]
pub struct Room {
    pub bytes: u64,
    pub handles: u64,
    pub fds: u64,
}

/// A peer and a mapping of its pool.
pub struct Peer {
    fd: OwnedFd,
    pool: Mapping,
}

impl Peer {
    /// A new peer.
    #[track_caller]
    pub fn open() -> Verdict<Self> {
        let fd =
            open_device().map_err(|errno| wrong(format_args!("opening {}: {errno}", device())))?;
        Self::from_fd(fd)
    }

    /// A peer that is open already.
    #[track_caller]
    pub fn from_fd(fd: OwnedFd) -> Verdict<Self> {
        let pool = Mapping::shared(&fd, MAPPED)
            .map_err(|errno| wrong(format_args!("mapping the pool: {errno}")))?;
        Ok(Peer { fd, pool })
    }

    /// A peer that the process which started this one has left open; the number
    /// is that of its descriptor.
    pub fn inherited(number: &str) -> Verdict<Self> {
        Self::from_fd(inherited(number)?)
    }

    /// A duplicate that the processes started from now on inherit.
    pub fn to_inherit(&self) -> Result<OwnedFd, Errno> {
        rustix::io::dup(&self.fd)
    }

    /// Closes the descriptor and keeps the mapping.
    pub fn close_fd(self) -> Mapping {
        self.pool
    }

    /// The descriptor's number.
    pub fn number(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Any command with any argument that is an address nobody can write to,
    /// or a number.
    pub fn command_at(&self, opcode: u32, bad: &Bad) -> Result<(), Errno> {
        let argument = bad.address();
        // SAFETY: nothing of this program can be changed at that address.
        noted(opcode, unsafe {
            rustix::ioctl::ioctl(&self.fd, Any { opcode, argument })
        })
    }

    /// Any command with an argument in memory. The buffer is larger than all
    /// structures of the interface.
    pub fn command(&self, opcode: u32, buffer: &mut [u64; 64]) -> Result<(), Errno> {
        let argument = buffer.as_mut_ptr().expose_provenance();
        // SAFETY: the driver writes at most the size that the number names,
        // which is below 512 for all numbers that it knows. Pointers in the
        // buffer are those of the caller: only SEND writes through one of them,
        // and no case puts an address there but through `send_with`.
        noted(opcode, unsafe {
            rustix::ioctl::ioctl(&self.fd, Any { opcode, argument })
        })
    }

    /// Shuts the peer down with this argument, which should be 0.
    pub fn disconnect_with(&self, argument: usize) -> Result<(), Errno> {
        let opcode = sys::BUS1_CMD_PEER_DISCONNECT;
        // SAFETY: the argument is a number to this command.
        noted(opcode, unsafe {
            rustix::ioctl::ioctl(&self.fd, Any { opcode, argument })
        })
    }

    /// Shuts the peer down.
    pub fn disconnect(&self) -> Result<(), Errno> {
        self.disconnect_with(0)
    }

    /// The limits, after QUERY with `arg`.
    pub fn query(
        &self,
        mut arg: sys::bus1_cmd_peer_reset,
    ) -> Result<sys::bus1_cmd_peer_reset, Errno> {
        // SAFETY: the descriptor is one of the device under test.
        noted(sys::BUS1_CMD_PEER_QUERY, unsafe {
            sys::peer_query(&self.fd, &mut arg)
        })?;
        Ok(arg)
    }

    /// RESET with `arg`.
    pub fn reset(&self, mut arg: sys::bus1_cmd_peer_reset) -> Result<(), Errno> {
        // SAFETY: as for `query`; no case reads slices after a flush.
        noted(sys::BUS1_CMD_PEER_RESET, unsafe {
            sys::peer_reset(&self.fd, &mut arg)
        })
    }

    /// Gives up a reference.
    pub fn release(&self, id: u64) -> Result<(), Errno> {
        // SAFETY: as for `query`.
        noted(sys::BUS1_CMD_HANDLE_RELEASE, unsafe {
            sys::handle_release(&self.fd, id)
        })
    }

    /// TRANSFER with any values.
    pub fn transfer_with(&self, flags: u64, id: u64, dst_fd: u64) -> Result<u64, Errno> {
        let mut arg = sys::bus1_cmd_handle_transfer {
            flags,
            src_handle: id,
            dst_fd,
            dst_handle: sys::BUS1_HANDLE_INVALID,
        };
        // SAFETY: as for `query`.
        noted(sys::BUS1_CMD_HANDLE_TRANSFER, unsafe {
            sys::handle_transfer(&self.fd, &mut arg)
        })?;
        Ok(arg.dst_handle)
    }

    /// Gives `to` a reference; its ID there.
    pub fn transfer(&self, id: u64, to: &Peer) -> Result<u64, Errno> {
        self.transfer_with(0, id, u64::from(to.number().unsigned_abs()))
    }

    /// NODES_DESTROY with any values.
    pub fn destroy_with(&self, flags: u64, nodes: u64, n_nodes: u64) -> Result<(), Errno> {
        let mut arg = sys::bus1_cmd_nodes_destroy {
            flags,
            ptr_nodes: nodes,
            n_nodes,
        };
        // SAFETY: as for `query`. The array is only read.
        noted(sys::BUS1_CMD_NODES_DESTROY, unsafe {
            sys::nodes_destroy(&self.fd, &mut arg)
        })
    }

    /// Destroys nodes.
    pub fn destroy(&self, nodes: &[u64]) -> Result<(), Errno> {
        self.destroy_with(0, nodes.as_ptr() as u64, nodes.len() as u64)
    }

    /// Destroys nodes and gives up a reference of each.
    pub fn destroy_and_release(&self, nodes: &[u64]) -> Result<(), Errno> {
        let flags = sys::BUS1_NODES_DESTROY_FLAG_RELEASE_HANDLES;
        self.destroy_with(flags, nodes.as_ptr() as u64, nodes.len() as u64)
    }

    /// SEND with any values but for the array of errors.
    pub fn send_with(&self, mut arg: sys::bus1_cmd_send, errors: Errors<'_>) -> Result<(), Errno> {
        let mut told = None;
        arg.ptr_errors = match errors {
            Errors::None => 0,
            Errors::Array(array) => {
                if (array.len() as u64) < arg.n_destinations {
                    return Err(Errno::OVERFLOW);
                }
                told.insert(array).as_mut_ptr() as u64
            }
            Errors::Bad(bad) => bad.address() as u64,
        };
        // SAFETY: as for `query`. The array of errors is none, long enough, or
        // can't be written to.
        let outcome = noted(sys::BUS1_CMD_SEND, unsafe { sys::send(&self.fd, &mut arg) });
        for result in told.into_iter().flatten().filter(|result| **result < 0) {
            if let Ok(error) = i32::try_from(-*result) {
                note(sys::BUS1_CMD_SEND, Errno::from_raw_os_error(error));
            }
        }
        outcome
    }

    /// Sends, with the results of the destinations.
    pub fn send_and_tell(&self, mail: &Mail<'_>, errors: Errors<'_>) -> Result<(), Errno> {
        let vecs = mail.vecs();
        self.send_with(mail.to_raw(&vecs), errors)
    }

    /// SEND in the form for requests, with any values; the ID of the node.
    pub fn request_with(&self, mail: &Mail<'_>, room: Room) -> Result<u64, Errno> {
        let vecs = mail.vecs();
        let mut arg = sys::bus1_cmd_send_request {
            send: mail.to_raw(&vecs),
            reply_bytes: room.bytes,
            reply_handles: room.handles,
            reply_fds: room.fds,
            reply_node: sys::BUS1_HANDLE_INVALID,
        };
        // SAFETY: as for `query`. There is no array of errors.
        noted(sys::BUS1_CMD_SEND_REQUEST, unsafe {
            sys::send_request(&self.fd, &mut arg)
        })?;
        Ok(arg.reply_node)
    }

    /// Asks one node, with room for a reply; the ID of the node that it comes to.
    pub fn ask(&self, to: u64, bytes: &[u8], room: Room) -> Result<u64, Errno> {
        let mail = Mail {
            to: &[to],
            payload: &[bytes],
            flags: sys::BUS1_SEND_FLAG_REPLY,
            ..Default::default()
        };
        self.request_with(&mail, room)
    }

    /// Sends.
    pub fn send(&self, mail: &Mail<'_>) -> Result<(), Errno> {
        self.send_and_tell(mail, Errors::None)
    }

    /// Sends bytes to one node.
    pub fn say(&self, to: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.send(&Mail {
            to: &[to],
            payload: &[bytes],
            ..Default::default()
        })
    }

    /// RECV with any values.
    pub fn recv_with(&self, flags: u64, max_offset: u64) -> Result<sys::bus1_msg, Errno> {
        let mut arg = sys::bus1_cmd_recv {
            flags,
            max_offset,
            ..Default::default()
        };
        // SAFETY: as for `query`.
        noted(sys::BUS1_CMD_RECV, unsafe { sys::recv(&self.fd, &mut arg) })?;
        Ok(arg.msg)
    }

    /// The next entry of the queue, files not installed.
    pub fn recv(&self) -> Result<sys::bus1_msg, Errno> {
        self.recv_with(0, MAPPED as u64)
    }

    /// The next entry of the queue, files installed.
    pub fn recv_files(&self) -> Result<sys::bus1_msg, Errno> {
        self.recv_with(sys::BUS1_RECV_FLAG_INSTALL_FDS, MAPPED as u64)
    }

    /// The next entry in the form without a sender.
    pub fn recv_anon(&self, flags: u64) -> Result<sys::bus1_msg_anon, Errno> {
        let mut arg = sys::bus1_cmd_recv_anon {
            flags,
            max_offset: MAPPED as u64,
            ..Default::default()
        };
        // SAFETY: as for `query`.
        noted(sys::BUS1_CMD_RECV_ANON, unsafe {
            sys::recv_anon(&self.fd, &mut arg)
        })?;
        Ok(arg.msg)
    }

    /// RECV into an argument at the start of a page that was made read-only.
    pub fn recv_into(&self, area: &Area) -> Result<(), Errno> {
        let (opcode, argument) = (sys::BUS1_CMD_RECV, area.address());
        // SAFETY: an area is memory that nothing else uses.
        noted(opcode, unsafe {
            rustix::ioctl::ioctl(&self.fd, Any { opcode, argument })
        })
    }

    /// Gives a slice back.
    pub fn slice_release(&self, offset: u64) -> Result<(), Errno> {
        // SAFETY: as for `query`; bytes of slices are copied out by `bytes`.
        noted(sys::BUS1_CMD_SLICE_RELEASE, unsafe {
            sys::slice_release(&self.fd, offset)
        })
    }

    /// The mapping of the pool.
    pub fn mapping(&self) -> &Mapping {
        &self.pool
    }

    /// Bytes of the pool; empty if they are not mapped.
    pub fn pool(&self, offset: u64, len: u64) -> Vec<u8> {
        self.pool.copy(offset, len)
    }

    /// Where a byte of the pool lies in this process, for a call that is to read it.
    pub fn pool_address(&self, offset: u64) -> u64 {
        self.pool.address() + offset
    }

    /// The payload of a message.
    pub fn bytes(&self, msg: &sys::bus1_msg) -> Vec<u8> {
        self.pool(msg.offset, msg.n_bytes)
    }

    /// The handle slots of a message.
    pub fn handles(&self, msg: &sys::bus1_msg) -> Vec<u64> {
        let start = msg.offset + msg.n_bytes.next_multiple_of(8);
        self.pool(start, 8 * msg.n_handles)
            .chunks_exact(8)
            .filter_map(|chunk| chunk.try_into().ok().map(u64::from_ne_bytes))
            .collect()
    }

    /// The files of a message that was received with them installed, to be
    /// called once.
    pub fn files(&self, msg: &sys::bus1_msg) -> Vec<OwnedFd> {
        let start = msg.offset + msg.n_bytes.next_multiple_of(8) + 8 * msg.n_handles;
        self.pool(start, 4 * msg.n_fds)
            .chunks_exact(4)
            .filter_map(|chunk| chunk.try_into().ok().map(RawFd::from_ne_bytes))
            .filter(|raw| *raw > 2 && *raw != self.number())
            // SAFETY: the kernel has installed it for this message. A driver
            // that names another one is caught by the cases that read from it.
            .map(|raw| unsafe { OwnedFd::from_raw_fd(raw) })
            .collect()
    }

    /// A handle of this peer to a fresh node `id` of `owner`.
    pub fn meets(&self, owner: &Peer, id: u64) -> Verdict<u64> {
        Ok(owner.transfer(id, self)?)
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// RESET that changes nothing.
pub const KEEP: sys::bus1_cmd_peer_reset = sys::bus1_cmd_peer_reset {
    flags: 0,
    peer_flags: sys::PEER_FLAGS_KEEP,
    max_slices: sys::LIMIT_KEEP,
    max_handles: sys::LIMIT_KEEP,
    max_inflight_bytes: sys::LIMIT_KEEP,
    max_inflight_fds: sys::LIMIT_KEEP,
};

/// Skips the case on a driver that has no RESET.
pub fn need_reset(peer: &Peer) -> Verdict {
    match peer.reset(KEEP) {
        Err(errno @ (Errno::NOTTY | Errno::OPNOTSUPP)) => {
            skip(format!("PEER_RESET is not implemented ({errno})"))
        }
        other => Ok(other?),
    }
}

/// Makes the device `name` in the binder file system that `control` belongs to.
pub fn binderfs_add(control: impl AsFd, name: &str) -> Result<(), Errno> {
    /// Read-write command 1 of type 'b' with 264 bytes: the name, then two
    /// numbers that come back.
    const CTL_ADD: u32 = 0xc108_6201;
    let mut request = [0_u8; 264];
    for (to, from) in request[..255].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    let argument = request.as_mut_ptr().expose_provenance();
    let command = Any {
        opcode: CTL_ADD,
        argument,
    };
    // SAFETY: the buffer has the size that the number names.
    unsafe { rustix::ioctl::ioctl(control, command) }
}

/// A duplicate of a descriptor that was left open by the process which started
/// this one.
pub fn inherited(number: &str) -> Verdict<OwnedFd> {
    let raw: RawFd = number.parse().map_err(|_| Errno::BADF)?;
    if !is_open(raw) {
        return Err(Errno::BADF.into());
    }
    // SAFETY: it is open, and it stays so: nothing in this process closes a
    // descriptor by its number.
    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 3)?)
}

fn is_open(raw: RawFd) -> bool {
    std::fs::symlink_metadata(format!("/proc/self/fd/{raw}")).is_ok()
}

/// A ring of io_uring.
pub fn io_uring() -> Result<OwnedFd, Errno> {
    let mut params = rustix::io_uring::io_uring_params::default();
    // SAFETY: nothing is ever put into the ring.
    unsafe { rustix::io_uring::io_uring_setup(4, &mut params) }
}
