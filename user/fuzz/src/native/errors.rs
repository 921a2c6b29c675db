// SPDX-License-Identifier: MIT OR Apache-2.0

//! The errors that the interface names for each command. No memory and a peer that
//! was disconnected can be met anywhere.

#![forbid(unsafe_code)]

use bus1_sys as sys;
use libc::*;

/// Whether a command may fail with this error number.
pub fn may_fail(command: u32, errno: i32) -> bool {
    let named: &[i32] = match command {
        sys::BUS1_CMD_PEER_DISCONNECT => &[EINVAL],
        sys::BUS1_CMD_PEER_QUERY => &[EFAULT, EINVAL],
        sys::BUS1_CMD_PEER_RESET => &[EFAULT, EINVAL, EPERM],
        sys::BUS1_CMD_HANDLE_RELEASE => &[EFAULT, EBUSY, ENXIO],
        sys::BUS1_CMD_HANDLE_TRANSFER => &[EFAULT, EINVAL, EBADF, EDQUOT, ENXIO, EOPNOTSUPP],
        sys::BUS1_CMD_NODES_DESTROY => &[
            EFAULT, EINVAL, EDQUOT, ENOTUNIQ, ENXIO, EREMOTE, ESTALE, EMSGSIZE,
        ],
        sys::BUS1_CMD_SLICE_RELEASE => &[EFAULT, ENXIO],
        sys::BUS1_CMD_SEND => &[
            EFAULT,
            EINVAL,
            EBADF,
            EDQUOT,
            EHOSTUNREACH,
            EMSGSIZE,
            ENOTUNIQ,
            ENXIO,
            EOPNOTSUPP,
            EXFULL,
        ],
        sys::BUS1_CMD_RECV | sys::BUS1_CMD_RECV_ANON => &[
            EAGAIN, EFAULT, EINVAL, EDQUOT, EMFILE, ENFILE, ERANGE, EXFULL,
        ],
        _ => &[ENOTTY],
    };
    [ENOMEM, ESHUTDOWN].contains(&errno) || named.contains(&errno)
}
