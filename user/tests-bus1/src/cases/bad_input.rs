// SPDX-License-Identifier: MIT OR Apache-2.0

//! What programs do wrong: numbers, sizes, flags, pointers, descriptors.

use std::os::fd::{AsRawFd, OwnedFd};

use bus1_sys::*;
use rustix::io::Errno;

use super::cases;
use crate::expect::{empty, payload};
use crate::memory::Bad;
use crate::raw::{need_reset, Errors, Mail, Peer, KEEP};
use crate::verdict::{equal, fails, works, Verdict};

cases! {
    unknown_commands,
    wrong_sizes,
    bad_pointers,
    unknown_flags_of_query,
    unknown_flags_of_reset,
    unknown_flags_of_transfer,
    unknown_flags_of_destroy,
    unknown_flags_of_send,
    unknown_flags_of_recv,
    reset_limits_out_of_range,
    disconnect_argument,
    transfer_to_bad_descriptors,
    transfer_to_a_disconnected_peer,
    shutdown_comes_before_all_other_errors,
    flags_come_before_the_rest,
    read_and_write_are_refused,
}

/// All commands that take a pointer.
const COMMANDS: [u32; 9] = [
    BUS1_CMD_PEER_QUERY,
    BUS1_CMD_PEER_RESET,
    BUS1_CMD_HANDLE_RELEASE,
    BUS1_CMD_HANDLE_TRANSFER,
    BUS1_CMD_NODES_DESTROY,
    BUS1_CMD_SLICE_RELEASE,
    BUS1_CMD_SEND,
    BUS1_CMD_RECV,
    BUS1_CMD_RECV_ANON,
];

fn unknown_commands() -> Verdict {
    let peer = Peer::open()?;
    let known = |command: u32| COMMANDS.contains(&command) || command == BUS1_CMD_PEER_DISCONNECT;
    let mut buffer = [0; 64];
    for nr in 0..=0xff {
        for size in [0, 4, 8, 24, 32, 72, 80, 96, 128] {
            let command = 0xc000_9600 | size << 16 | nr;
            if !known(command) {
                let what = format!("command {command:#x}");
                fails(&what, peer.command(command, &mut buffer), Errno::NOTTY)?;
            }
        }
    }
    for magic in [0x00, 0x62, 0x95, 0x97, 0xff] {
        let command = BUS1_CMD_PEER_QUERY & !0xff00 | magic << 8;
        let what = format!("command {command:#x}");
        fails(&what, peer.command(command, &mut buffer), Errno::NOTTY)?;
    }
    equal("the buffer is untouched", buffer, [0; 64])?;
    works("the peer still works", peer.say(0x100, b"alive"))?;
    payload(&peer, 0x100, b"alive")
}

fn wrong_sizes() -> Verdict {
    let peer = Peer::open()?;
    let mut buffer = [0; 64];
    for command in COMMANDS {
        let size = command >> 16 & 0x3fff;
        for other in [0, size - 8, size - 1, size + 1, size + 8, 0x3fff] {
            let changed = command & !(0x3fff << 16) | other << 16;
            if COMMANDS.contains(&changed) {
                continue;
            }
            let what = format!("{command:#x} with size {other}");
            fails(&what, peer.command(changed, &mut buffer), Errno::NOTTY)?;
        }
        for direction in [0, 1, 2] {
            let changed = command & 0x3fff_ffff | direction << 30;
            let what = format!("{command:#x} with direction {direction}");
            fails(&what, peer.command(changed, &mut buffer), Errno::NOTTY)?;
        }
    }
    Ok(())
}

fn bad_pointers() -> Verdict {
    let peer = Peer::open()?;
    for bad in &Bad::all()? {
        for command in COMMANDS {
            let what = format!("{command:#x} at {:#x}", bad.address());
            fails(&what, peer.command_at(command, bad), Errno::FAULT)?;
        }
    }
    let bad = Bad::no_access()?;
    let at = bad.address() as u64;
    fails("NODES_DESTROY", peer.destroy_with(0, at, 1), Errno::FAULT)?;
    bad_arrays(&peer, at)
}

/// `SEND` with each of its arrays at an address without access.
fn bad_arrays(peer: &Peer, at: u64) -> Verdict {
    let good = [0x100_u64];
    let base = bus1_cmd_send {
        ptr_destinations: good.as_ptr() as u64,
        n_destinations: 1,
        ..Default::default()
    };
    let arrays = [
        (
            "destinations",
            bus1_cmd_send {
                ptr_destinations: at,
                ..base
            },
        ),
        (
            "vectors",
            bus1_cmd_send {
                ptr_vecs: at,
                n_vecs: 1,
                ..base
            },
        ),
        (
            "handles",
            bus1_cmd_send {
                ptr_handles: at,
                n_handles: 1,
                ..base
            },
        ),
        (
            "files",
            bus1_cmd_send {
                ptr_fds: at,
                n_fds: 1,
                ..base
            },
        ),
    ];
    for (what, arg) in arrays {
        fails(what, peer.send_with(arg, Errors::None), Errno::FAULT)?;
    }
    empty(peer)?;
    // Pointers of arrays without elements are not looked at.
    let unused = bus1_cmd_send {
        ptr_destinations: at,
        ptr_vecs: at,
        ptr_handles: at,
        ptr_fds: at,
        ..Default::default()
    };
    works("empty arrays", peer.send_with(unused, Errors::None))
}

/// All single bits but the lowest `known` ones.
fn unknown_bits(known: u32) -> impl Iterator<Item = u64> {
    (known..64).map(|bit| 1 << bit)
}

fn unknown_flags_of_query() -> Verdict {
    let peer = Peer::open()?;
    for flags in unknown_bits(0) {
        let arg = bus1_cmd_peer_reset {
            flags,
            ..Default::default()
        };
        fails(&format!("flags {flags:#x}"), peer.query(arg), Errno::INVAL)?;
    }
    Ok(())
}

fn unknown_flags_of_reset() -> Verdict {
    let peer = Peer::open()?;
    need_reset(&peer)?;
    for flags in unknown_bits(2) {
        let arg = bus1_cmd_peer_reset { flags, ..KEEP };
        fails(&format!("flags {flags:#x}"), peer.reset(arg), Errno::INVAL)?;
    }
    for peer_flags in unknown_bits(1) {
        let arg = bus1_cmd_peer_reset { peer_flags, ..KEEP };
        let what = format!("peer flags {peer_flags:#x}");
        fails(&what, peer.reset(arg), Errno::INVAL)?;
    }
    Ok(())
}

fn unknown_flags_of_transfer() -> Verdict {
    let peer = Peer::open()?;
    for flags in unknown_bits(0) {
        let result = peer.transfer_with(flags, 0x100, DST_FD_SELF);
        fails(&format!("flags {flags:#x}"), result, Errno::INVAL)?;
    }
    fails("no reference was made", peer.release(0x100), Errno::BUSY)
}

fn unknown_flags_of_destroy() -> Verdict {
    let peer = Peer::open()?;
    let nodes = [0x100_u64];
    for flags in unknown_bits(1) {
        let result = peer.destroy_with(flags, nodes.as_ptr() as u64, 1);
        fails(&format!("flags {flags:#x}"), result, Errno::INVAL)?;
    }
    empty(&peer)
}

fn unknown_flags_of_send() -> Verdict {
    let peer = Peer::open()?;
    for flags in unknown_bits(2) {
        let mail = Mail {
            to: &[0x100],
            flags,
            ..Default::default()
        };
        fails(&format!("flags {flags:#x}"), peer.send(&mail), Errno::INVAL)?;
    }
    empty(&peer)
}

fn unknown_flags_of_recv() -> Verdict {
    let peer = Peer::open()?;
    works("SEND", peer.say(0x100, b"kept"))?;
    for flags in unknown_bits(3) {
        let result = peer.recv_with(flags, BUS1_OFFSET_INVALID);
        fails(&format!("flags {flags:#x}"), result, Errno::INVAL)?;
    }
    for flags in unknown_bits(2) {
        let result = peer.recv_anon(flags);
        fails(&format!("flags {flags:#x}, short"), result, Errno::INVAL)?;
    }
    payload(&peer, 0x100, b"kept")
}

fn reset_limits_out_of_range() -> Verdict {
    let peer = Peer::open()?;
    need_reset(&peer)?;
    let before = peer.query(Default::default())?;
    for value in [0x8000_0000, 0x8000_0001, 0xffff_fffe] {
        // The valid one beside it must not be set either.
        let valid = bus1_cmd_peer_reset {
            max_slices: 5,
            ..KEEP
        };
        let all = [
            bus1_cmd_peer_reset {
                max_slices: value,
                ..KEEP
            },
            bus1_cmd_peer_reset {
                max_handles: value,
                ..valid
            },
            bus1_cmd_peer_reset {
                max_inflight_bytes: value,
                ..valid
            },
            bus1_cmd_peer_reset {
                max_inflight_fds: value,
                ..valid
            },
        ];
        for arg in all {
            fails(&format!("limit {value:#x}"), peer.reset(arg), Errno::INVAL)?;
        }
    }
    equal("limits", peer.query(Default::default())?, before)
}

fn disconnect_argument() -> Verdict {
    let peer = Peer::open()?;
    for argument in [1, 8, 0x1000, usize::MAX] {
        let what = format!("argument {argument:#x}");
        fails(&what, peer.disconnect_with(argument), Errno::INVAL)?;
    }
    works("the peer still works", peer.say(0x100, b"alive"))?;
    payload(&peer, 0x100, b"alive")?;
    works("DISCONNECT", peer.disconnect())?;
    let again = peer.disconnect_with(1);
    fails("the argument is looked at first", again, Errno::INVAL)
}

fn transfer_to_bad_descriptors() -> Verdict {
    let (peer, other) = (Peer::open()?, Peer::open()?);
    let good = u64::from(other.number().unsigned_abs());
    let to = |dst_fd| peer.transfer_with(0, 0x100, dst_fd);
    for dst_fd in [1000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 63] {
        fails(&format!("descriptor {dst_fd:#x}"), to(dst_fd), Errno::BADF)?;
    }
    fails("a good one with high bits", to(good | 1 << 32), Errno::BADF)?;
    fails("almost all ones", to(u64::MAX - 1), Errno::BADF)?;
    let (reader, _writer): (OwnedFd, OwnedFd) = rustix::pipe::pipe()?;
    let pipe = u64::from(reader.as_raw_fd().unsigned_abs());
    fails("a pipe", to(pipe), Errno::OPNOTSUPP)?;
    equal(
        "nothing was handed out",
        peer.transfer(0x100, &other)?,
        0x0b,
    )
}

fn transfer_to_a_disconnected_peer() -> Verdict {
    let (peer, other) = (Peer::open()?, Peer::open()?);
    works("DISCONNECT", other.disconnect())?;
    let result = peer.transfer(0x100, &other);
    fails("TRANSFER", result, Errno::SHUTDOWN)?;
    fails("no reference was made", peer.release(0x100), Errno::BUSY)?;
    empty(&peer)
}

fn shutdown_comes_before_all_other_errors() -> Verdict {
    let peer = Peer::open()?;
    works("DISCONNECT", peer.disconnect())?;
    let mut buffer = [u64::MAX; 64];
    for command in COMMANDS {
        let what = format!("{command:#x}");
        fails(&what, peer.command(command, &mut buffer), Errno::SHUTDOWN)?;
        let null = peer.command_at(command, &Bad::null());
        fails(&format!("{what} at 0"), null, Errno::SHUTDOWN)?;
    }
    let unknown = peer.command(0xc008_96ff, &mut buffer);
    fails("an unknown command", unknown, Errno::SHUTDOWN)
}

fn flags_come_before_the_rest() -> Verdict {
    let peer = Peer::open()?;
    let bits = 1 << 63;
    fails("TRANSFER", peer.transfer_with(bits, 1, 1000), Errno::INVAL)?;
    fails(
        "NODES_DESTROY",
        peer.destroy_with(bits, 1, u64::MAX),
        Errno::INVAL,
    )?;
    let send = bus1_cmd_send {
        flags: bits,
        ptr_destinations: 1,
        n_destinations: u64::MAX,
        n_vecs: u64::MAX,
        ..Default::default()
    };
    fails("SEND", peer.send_with(send, Errors::None), Errno::INVAL)?;
    fails("RECV", peer.recv_with(bits, 0), Errno::INVAL)
}

fn read_and_write_are_refused() -> Verdict {
    let peer = Peer::open()?;
    let mut byte = [0];
    fails("read", rustix::io::read(&peer, &mut byte), Errno::INVAL)?;
    fails("write", rustix::io::write(&peer, &byte), Errno::INVAL)?;
    fails("fsync", rustix::fs::fsync(&peer), Errno::INVAL)
}
