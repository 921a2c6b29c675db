// SPDX-License-Identifier: GPL-2.0

//! Commands: from the number and the argument of an ioctl to a checked, typed request.
//!
//! Makes all the checks that need no state, in the order that the ABI fixes, and has no effect but
//! reading user memory.  What a request means for the peer is decided elsewhere.  Takes no locks.

#![deny(unsafe_code)]

use super::{
    abi,
    payload::Payload,
    user,
    user::Array, //
};
use kernel::{
    prelude::*,
    uaccess::UserPtr, //
};

/// Width of a pointer in the memory of the calling task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// The kernel's own.
    Native,
    /// 32 bits, on a 64-bit kernel.
    Compat,
}

/// What a task asks of its peer.
pub(super) enum Command {
    /// `PEER_QUERY`: write the properties there.
    Query(UserPtr),
    /// `PEER_RESET`.
    Reset(Reset),
    /// `HANDLE_RELEASE` of this ID.
    HandleRelease(u64),
    /// `HANDLE_TRANSFER`.
    HandleTransfer(HandleTransfer),
    /// `NODES_DESTROY`.
    NodesDestroy(NodesDestroy),
    /// `SLICE_RELEASE` of the slice at this offset.
    SliceRelease(u64),
    /// `SEND`, in either form.
    Send(Send),
    /// `RECV`, in either form.
    Recv(Recv),
}

/// New properties of a peer; `None` leaves one as it is.
pub(super) struct Reset {
    /// Drop nodes, handles, messages and slices.
    pub(super) flush: bool,
    /// Drop the seed.
    pub(super) flush_seed: bool,
    /// Whether messages are to carry the security context of their sender.
    pub(super) want_secctx: Option<bool>,
    /// Most messages.
    pub(super) max_slices: Option<u32>,
    /// Most handles.
    pub(super) max_handles: Option<u32>,
    /// Most bytes of slices.
    pub(super) max_inflight_bytes: Option<u32>,
    /// Most files in queued messages.
    pub(super) max_inflight_fds: Option<u32>,
}

/// Where a handle is to go.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// To the peer that asks.
    Own,
    /// To the peer behind this file descriptor.
    Fd(u32),
    /// To a number that can never be a file descriptor.
    BadFd,
}

/// A handle to be given to a peer without a message.
pub(super) struct HandleTransfer {
    /// ID on the peer that asks.
    pub(super) source: u64,
    /// The peer that gets it.
    pub(super) target: Target,
    /// The structure as it came, to be written back with the new ID.
    pub(super) raw: abi::HandleTransfer,
    /// Where it came from.
    pub(super) out: UserPtr,
}

/// Nodes to be destroyed together.
pub(super) struct NodesDestroy {
    /// Release one reference of each as well.
    pub(super) release: bool,
    /// Their IDs.
    pub(super) nodes: Array<u64>,
}

/// A message to be sent.
pub(super) struct Send {
    /// Deliver to the rest if some destinations fail.
    pub(super) partial: bool,
    /// Pin the message on the sender.
    pub(super) seed: bool,
    /// IDs of the destinations.
    pub(super) destinations: Array<u64>,
    /// Whether there are destinations, readable or not.
    pub(super) addressed: bool,
    /// Where the result of each destination goes.
    pub(super) errors: Option<UserPtr>,
    /// The bytes.
    pub(super) payload: Payload,
    /// IDs of the handles to pass on.
    pub(super) handles: Array<u64>,
    /// Number of handles, readable or not.
    pub(super) n_handles: usize,
    /// Numbers of the files to pass on.
    pub(super) fds: Array<i32>,
    /// Number of files, readable or not.
    pub(super) n_fds: usize,
    /// The reply that is to be prepaid.
    pub(super) reply: Option<Reply>,
}

/// The most that the reply to a message may be.
pub(super) struct Reply {
    /// Bytes of its payload.
    pub(super) n_bytes: usize,
    /// Its handles.
    pub(super) n_handles: usize,
    /// Its files.
    pub(super) n_fds: usize,
    /// The structure as it came, to be written back with the ID of the node.
    pub(super) raw: abi::SendRequest,
    /// Where it came from.
    pub(super) out: UserPtr,
}

/// The structure that `RECV` fills in: the forms differ in number, flags and length.
pub(super) enum Form {
    /// With the sender's credentials.
    Full(abi::Recv),
    /// Without.
    Anon(abi::RecvAnon),
}

/// A message to be read.
pub(super) struct Recv {
    /// Leave it where it is.
    pub(super) peek: bool,
    /// Read the seed.
    pub(super) seed: bool,
    /// Install its files in the calling task.
    pub(super) install_fds: bool,
    /// All of its slice must lie below.
    pub(super) max_offset: u64,
    /// The structure as it came, to be written back.
    pub(super) form: Form,
    /// Where it came from.
    pub(super) out: UserPtr,
}

/// Refuses flags that are not among `known`.
fn check_flags(flags: u64, known: u64) -> Result {
    if flags & !known == 0 {
        Ok(())
    } else {
        Err(EINVAL)
    }
}

/// Turns a limit of `PEER_RESET` into a new value, or into `None` to keep the old one.
fn limit(value: u32) -> Result<Option<u32>> {
    match value {
        u32::MAX => Ok(None),
        value if value > i32::MAX.unsigned_abs() => Err(EINVAL),
        value => Ok(Some(value)),
    }
}

/// Returns `count` if it is at most `most`, else `error`.
fn bounded(count: u64, most: u64, error: Error) -> Result<usize> {
    if count > most {
        return Err(error);
    }
    usize::try_from(count).map_err(|_| error)
}

impl Command {
    /// Reads and checks what `number` and `arg` ask for.
    ///
    /// `PEER_DISCONNECT` is not among the commands: it is the only one that a disconnected peer
    /// takes, so the caller has dealt with it, and has refused all others with `ESHUTDOWN`, before
    /// it calls this.  `max_handles` bounds the arrays of IDs.
    ///
    /// Fails with `ENOTTY`, `EFAULT`, `EINVAL`, `EMSGSIZE` or `ENOMEM`, the first one that applies
    /// in the order of the ABI.
    pub(super) fn decode(number: u32, arg: usize, width: Width, max_handles: u64) -> Result<Self> {
        let arg = UserPtr::from_addr(arg);
        match number {
            abi::CMD_PEER_QUERY => Self::query(arg),
            abi::CMD_PEER_RESET => Reset::decode(arg).map(Self::Reset),
            abi::CMD_HANDLE_RELEASE => user::read(arg).map(Self::HandleRelease),
            abi::CMD_HANDLE_TRANSFER => HandleTransfer::decode(arg).map(Self::HandleTransfer),
            abi::CMD_NODES_DESTROY => {
                NodesDestroy::decode(arg, max_handles).map(Self::NodesDestroy)
            }
            abi::CMD_SLICE_RELEASE => user::read(arg).map(Self::SliceRelease),
            abi::CMD_SEND => Send::decode(arg, width, max_handles).map(Self::Send),
            abi::CMD_SEND_REQUEST => Send::decode_request(arg, width, max_handles).map(Self::Send),
            abi::CMD_RECV => Recv::decode(arg).map(Self::Recv),
            abi::CMD_RECV_ANON => Recv::decode_anon(arg).map(Self::Recv),
            _ => Err(ENOTTY),
        }
    }

    fn query(arg: UserPtr) -> Result<Self> {
        let raw: abi::PeerReset = user::read(arg)?;
        check_flags(raw.flags, 0)?;
        Ok(Self::Query(arg))
    }
}

impl Reset {
    fn decode(arg: UserPtr) -> Result<Self> {
        let raw: abi::PeerReset = user::read(arg)?;
        check_flags(raw.flags, abi::RESET_FLUSH | abi::RESET_FLUSH_SEED)?;
        let want_secctx = match raw.peer_flags {
            u64::MAX => None,
            flags => {
                check_flags(flags, abi::PEER_WANT_SECCTX)?;
                Some(flags & abi::PEER_WANT_SECCTX != 0)
            }
        };
        Ok(Self {
            flush: raw.flags & abi::RESET_FLUSH != 0,
            flush_seed: raw.flags & abi::RESET_FLUSH_SEED != 0,
            want_secctx,
            max_slices: limit(raw.max_slices)?,
            max_handles: limit(raw.max_handles)?,
            max_inflight_bytes: limit(raw.max_inflight_bytes)?,
            max_inflight_fds: limit(raw.max_inflight_fds)?,
        })
    }
}

impl HandleTransfer {
    fn decode(arg: UserPtr) -> Result<Self> {
        let raw: abi::HandleTransfer = user::read(arg)?;
        check_flags(raw.flags, 0)?;
        // All 64 bits count: the driver of 2016 looked at the low half alone.
        let target = match raw.dst_fd {
            u64::MAX => Target::Own,
            fd => match i32::try_from(fd) {
                Ok(fd) => Target::Fd(fd.unsigned_abs()),
                Err(_) => Target::BadFd,
            },
        };
        Ok(Self {
            source: raw.src_handle,
            target,
            raw,
            out: arg,
        })
    }
}

impl NodesDestroy {
    fn decode(arg: UserPtr, max_handles: u64) -> Result<Self> {
        let raw: abi::NodesDestroy = user::read(arg)?;
        check_flags(raw.flags, abi::DESTROY_RELEASE_HANDLES)?;
        let n_nodes = bounded(raw.n_nodes, max_handles, EINVAL)?;
        Ok(Self {
            release: raw.flags & abi::DESTROY_RELEASE_HANDLES != 0,
            nodes: Array::read(raw.ptr_nodes, n_nodes)?,
        })
    }
}

impl Send {
    fn decode(arg: UserPtr, width: Width, max_handles: u64) -> Result<Self> {
        let raw: abi::Send = user::read(arg)?;
        check_flags(raw.flags, abi::SEND_CONTINUE | abi::SEND_SEED)?;
        Self::of(&raw, width, max_handles)
    }

    fn decode_request(arg: UserPtr, width: Width, max_handles: u64) -> Result<Self> {
        let raw: abi::SendRequest = user::read(arg)?;
        let reply = Reply::decode(raw, arg, max_handles)?;
        let mut send = Self::of(&raw.send, width, max_handles)?;
        send.reply = reply;
        Ok(send)
    }

    /// What both forms have, after the flags.
    fn of(raw: &abi::Send, width: Width, max_handles: u64) -> Result<Self> {
        // One test for all counts, before any memory is taken for them.
        bounded(
            raw.n_destinations,
            u64::from(i32::MAX.unsigned_abs()),
            EMSGSIZE,
        )?;
        let n_vecs = bounded(raw.n_vecs, Payload::VECTORS_MAX, EMSGSIZE)?;
        let n_handles = bounded(raw.n_handles, max_handles, EMSGSIZE)?;
        let n_fds = bounded(raw.n_fds, abi::FD_MAX, EMSGSIZE)?;

        let errors = match raw.ptr_errors {
            0 => None,
            address => Some(user::pointer(address)?),
        };
        let n_destinations = bounded(raw.n_destinations, max_handles, EINVAL)?;

        Ok(Self {
            partial: raw.flags & abi::SEND_CONTINUE != 0,
            seed: raw.flags & abi::SEND_SEED != 0,
            payload: Payload::read(raw.ptr_vecs, n_vecs, width)?,
            handles: Array::read(raw.ptr_handles, n_handles)?,
            n_handles,
            fds: Array::read(raw.ptr_fds, n_fds)?,
            n_fds,
            destinations: Array::read(raw.ptr_destinations, n_destinations)?,
            addressed: n_destinations > 0,
            errors,
            reply: None,
        })
    }
}

impl Reply {
    /// The announced size of a reply, if one is wanted.
    fn decode(raw: abi::SendRequest, out: UserPtr, max_handles: u64) -> Result<Option<Self>> {
        const OTHERS: u64 = abi::SEND_CONTINUE | abi::SEND_SEED;
        check_flags(raw.send.flags, OTHERS | abi::SEND_REPLY)?;
        if raw.send.flags & abi::SEND_REPLY == 0 {
            let sizes = raw.reply_bytes | raw.reply_handles | raw.reply_fds;
            return if sizes == 0 { Ok(None) } else { Err(EINVAL) };
        }
        if raw.send.flags & OTHERS != 0 || raw.send.n_destinations != 1 {
            return Err(EINVAL);
        }
        Ok(Some(Self {
            n_bytes: bounded(
                raw.reply_bytes,
                u64::from(i32::MAX.unsigned_abs()),
                EMSGSIZE,
            )?,
            n_handles: bounded(raw.reply_handles, max_handles, EMSGSIZE)?,
            n_fds: bounded(raw.reply_fds, abi::FD_MAX, EMSGSIZE)?,
            raw,
            out,
        }))
    }
}

impl Recv {
    fn decode(arg: UserPtr) -> Result<Self> {
        let raw: abi::Recv = user::read(arg)?;
        check_flags(
            raw.flags,
            abi::RECV_PEEK | abi::RECV_SEED | abi::RECV_INSTALL_FDS,
        )?;
        let peek = raw.flags & abi::RECV_PEEK != 0;
        let install_fds = raw.flags & abi::RECV_INSTALL_FDS != 0;
        // A look at a message gives no files: it can be repeated, and each time would need new ones.
        if peek && install_fds {
            return Err(EINVAL);
        }
        Ok(Self {
            peek,
            seed: raw.flags & abi::RECV_SEED != 0,
            install_fds,
            max_offset: raw.max_offset,
            form: Form::Full(raw),
            out: arg,
        })
    }

    fn decode_anon(arg: UserPtr) -> Result<Self> {
        let raw: abi::RecvAnon = user::read(arg)?;
        check_flags(raw.flags, abi::RECV_ANON_SEED | abi::RECV_ANON_INSTALL_FDS)?;
        Ok(Self {
            peek: false,
            seed: raw.flags & abi::RECV_ANON_SEED != 0,
            install_fds: raw.flags & abi::RECV_ANON_INSTALL_FDS != 0,
            max_offset: raw.max_offset,
            form: Form::Anon(raw),
            out: arg,
        })
    }
}
