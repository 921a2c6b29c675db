// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which errors the commands fail with, for the comparison with the manual: a line
//! `COMMAND ERROR` for each in the file that the variable `BUS1_ERRORS` names.
//!
//! Cases run in processes of their own, and some in children of those, so lines are
//! appended, each at once. What a case does on purpose beside a command is not of its concern.

use std::fs::OpenOptions;
use std::io::Write;

use bus1_sys as sys;
use rustix::io::Errno;

/// The commands that the manual describes.
const COMMANDS: [(u32, &str); 11] = [
    (sys::BUS1_CMD_PEER_DISCONNECT, "BUS1_CMD_PEER_DISCONNECT"),
    (sys::BUS1_CMD_PEER_QUERY, "BUS1_CMD_PEER_QUERY"),
    (sys::BUS1_CMD_PEER_RESET, "BUS1_CMD_PEER_RESET"),
    (sys::BUS1_CMD_HANDLE_RELEASE, "BUS1_CMD_HANDLE_RELEASE"),
    (sys::BUS1_CMD_HANDLE_TRANSFER, "BUS1_CMD_HANDLE_TRANSFER"),
    (sys::BUS1_CMD_NODES_DESTROY, "BUS1_CMD_NODES_DESTROY"),
    (sys::BUS1_CMD_SLICE_RELEASE, "BUS1_CMD_SLICE_RELEASE"),
    (sys::BUS1_CMD_SEND, "BUS1_CMD_SEND"),
    (sys::BUS1_CMD_SEND_REQUEST, "BUS1_CMD_SEND_REQUEST"),
    (sys::BUS1_CMD_RECV, "BUS1_CMD_RECV"),
    (sys::BUS1_CMD_RECV_ANON, "BUS1_CMD_RECV_ANON"),
];

/// The errors that have a name here; others are noted by number.
const NAMES: [(Errno, &str); 24] = [
    (Errno::AGAIN, "EAGAIN"),
    (Errno::BADF, "EBADF"),
    (Errno::BUSY, "EBUSY"),
    (Errno::DQUOT, "EDQUOT"),
    (Errno::FAULT, "EFAULT"),
    (Errno::HOSTUNREACH, "EHOSTUNREACH"),
    (Errno::INTR, "EINTR"),
    (Errno::INVAL, "EINVAL"),
    (Errno::MFILE, "EMFILE"),
    (Errno::MSGSIZE, "EMSGSIZE"),
    (Errno::NFILE, "ENFILE"),
    (Errno::NOMEM, "ENOMEM"),
    (Errno::NOTTY, "ENOTTY"),
    (Errno::NOTUNIQ, "ENOTUNIQ"),
    (Errno::NXIO, "ENXIO"),
    (Errno::OPNOTSUPP, "EOPNOTSUPP"),
    (Errno::OVERFLOW, "EOVERFLOW"),
    (Errno::PERM, "EPERM"),
    (Errno::RANGE, "ERANGE"),
    (Errno::REMOTE, "EREMOTE"),
    (Errno::SHUTDOWN, "ESHUTDOWN"),
    (Errno::STALE, "ESTALE"),
    (Errno::XFULL, "EXFULL"),
    (Errno::ACCESS, "EACCES"),
];

/// Notes the outcome of a command, and hands it on.
pub fn noted<T>(opcode: u32, outcome: Result<T, Errno>) -> Result<T, Errno> {
    if let Err(error) = &outcome {
        note(opcode, *error);
    }
    outcome
}

/// Notes an error that a command has told of a destination.
pub fn note(opcode: u32, error: Errno) {
    let known = COMMANDS.iter().find(|(number, _)| *number == opcode);
    let (Some((_, command)), Some(path)) = (known, std::env::var_os("BUS1_ERRORS")) else {
        return;
    };
    let line = match NAMES.iter().find(|(known, _)| *known == error) {
        Some((_, name)) => format!("{command} {name}\n"),
        None => format!("{command} {}\n", error.raw_os_error()),
    };
    let file = OpenOptions::new().append(true).create(true).open(path);
    // Where it can't be written the comparison fails.
    let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
}
