// SPDX-License-Identifier: MIT OR Apache-2.0

//! Parts of the interface that a first driver may lack: limits, FLUSH, PEEK, the
//! seed, fdinfo. Where the driver itself says that it lacks one (ENOTTY,
//! EINVAL for a flag, or a line that is not there) the case is skipped with that answer.

use std::collections::{HashMap, HashSet};

use bus1_sys::*;
use rustix::io::Errno;

use super::cases;
use crate::expect::{data, empty, notice, payload, Notice};
use crate::raw::{need_reset, Mail, Peer, KEEP, MAPPED};
use crate::verdict::{check, equal, fails, skip, works, wrong, Failure, Verdict};

cases! {
    fdinfo_names_the_peer,
    fdinfo_counts_come_and_go,
    limits_can_be_lowered_and_raised,
    slices_limit_is_exact,
    bytes_limit_is_exact,
    files_limit_is_exact,
    flush_empties_a_peer,
    peek_is_repeatable,
    peek_with_files_is_refused,
    seed_is_set_read_and_consumed,
    seed_outlives_a_flush,
}

/// Skips the case if the answer says "not there", which for a flag is EINVAL.
#[track_caller]
fn there<T>(what: &str, result: Result<T, Errno>) -> Verdict<T> {
    match result {
        Err(errno @ (Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL)) => {
            skip(format!("{what} is not implemented: {errno}"))
        }
        other => works(what, other),
    }
}

/// The lines of a peer's fdinfo that are the device's own.
pub(super) fn fdinfo(peer: &Peer) -> Verdict<HashMap<String, String>> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", peer.number()))?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| key.starts_with("bus1"))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

fn fdinfo_names_the_peer() -> Verdict {
    let peers = [Peer::open()?, Peer::open()?, Peer::open()?];
    let mut seen = HashSet::new();
    for peer in &peers {
        let info = fdinfo(peer)?;
        let line = info.get("bus1-peer").cloned().unwrap_or_default();
        let number = line.strip_prefix('\t').unwrap_or_default();
        let digits = number.trim_start();
        let hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        check(
            &format!("hex, 16 wide, not {line:?}"),
            number.len() == 16 && hex,
        )?;
        check(
            "each peer has its own number",
            seen.insert(digits.to_owned()),
        )?;
    }
    Ok(())
}

/// One figure of fdinfo.
pub fn figure(peer: &Peer, key: &str) -> Verdict<u64> {
    let info = fdinfo(peer)?;
    match info.get(key).map(|value| value.trim().parse()) {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(wrong(format_args!("{key}: {error}"))),
        None => skip(format!("fdinfo has no line {key}")),
    }
}

/// What is in use of a resource: of the free part, and of the reserve where the
/// driver has one.
pub(super) fn used(peer: &Peer, what: &str) -> Verdict<u64> {
    let free = figure(peer, &format!("bus1-{what}-free"))?;
    match figure(peer, &format!("bus1-{what}-reserved")) {
        Ok(reserved) => Ok(free + reserved),
        Err(Failure::Skip(_)) => Ok(free),
        Err(failure) => Err(failure),
    }
}

fn fdinfo_counts_come_and_go() -> Verdict {
    let peer = Peer::open()?;
    let limits = peer.query(Default::default())?;
    let shown = figure(&peer, "bus1-slices-limit")?;
    equal("limit", shown, u64::from(limits.max_slices))?;
    equal("slices at first", used(&peer, "slices")?, 0)?;
    let mail = Mail {
        to: &[0x100],
        payload: &[&[1; 100]],
        fds: &[2, 2],
        ..Default::default()
    };
    works("SEND", peer.send(&mail))?;
    let now = (used(&peer, "slices")?, used(&peer, "fds")?);
    equal("slices and files queued", now, (1, 2))?;
    equal("bytes queued", used(&peer, "bytes")?, 112)?;
    let msg = data(&peer, 0x100)?;
    equal("files after RECV", used(&peer, "fds")?, 0)?;
    equal("slices after RECV", used(&peer, "slices")?, 1)?;
    works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
    let now = (used(&peer, "slices")?, used(&peer, "bytes")?);
    equal("at the end", now, (0, 0))?;
    works("NODES_DESTROY", peer.destroy_and_release(&[0x100]))?;
    for what in ["slices", "bytes", "handles", "fds"] {
        equal(what, used(&peer, what)?, 0)?;
    }
    Ok(())
}

fn limits_can_be_lowered_and_raised() -> Verdict {
    let peer = Peer::open()?;
    need_reset(&peer)?;
    let before = peer.query(Default::default())?;
    let lower = bus1_cmd_peer_reset {
        max_slices: 10,
        max_inflight_fds: 0,
        ..KEEP
    };
    works("RESET", peer.reset(lower))?;
    let now = peer.query(Default::default())?;
    equal("slices", now.max_slices, 10)?;
    equal("files", now.max_inflight_fds, 0)?;
    let kept = (now.max_handles, now.max_inflight_bytes);
    equal(
        "the rest",
        kept,
        (before.max_handles, before.max_inflight_bytes),
    )?;
    let back = bus1_cmd_peer_reset {
        flags: 0,
        peer_flags: PEER_FLAGS_KEEP,
        ..before
    };
    works("RESET to what it was", peer.reset(back))?;
    equal("limits", peer.query(Default::default())?, before)
}

/// A peer with one limit set, and a sender with a handle to its node 0x10.
fn limited(change: bus1_cmd_peer_reset) -> Verdict<(Peer, Peer, u64)> {
    let (sender, peer) = (Peer::open()?, Peer::open()?);
    need_reset(&peer)?;
    works("RESET", peer.reset(change))?;
    let id = sender.meets(&peer, 0x10)?;
    Ok((sender, peer, id))
}

fn slices_limit_is_exact() -> Verdict {
    let limit = bus1_cmd_peer_reset {
        max_slices: 4,
        ..KEEP
    };
    let (sender, peer, id) = limited(limit)?;
    for round in 0..3 {
        for count in 1..=4 {
            works(
                &format!("message {count} of round {round}"),
                sender.say(id, b"x"),
            )?;
        }
        fails("message 5", sender.say(id, b"x"), Errno::DQUOT)?;
        let first = data(&peer, 0x10)?;
        fails("after RECV alone", sender.say(id, b"x"), Errno::DQUOT)?;
        works("SLICE_RELEASE", peer.slice_release(first.offset))?;
        works("after SLICE_RELEASE", sender.say(id, b"x"))?;
        for _ in 0..4 {
            payload(&peer, 0x10, b"x")?;
        }
    }
    empty(&peer)
}

fn bytes_limit_is_exact() -> Verdict {
    let limit = bus1_cmd_peer_reset {
        max_inflight_bytes: 8,
        ..KEEP
    };
    let (sender, peer, id) = limited(limit)?;
    fails(
        "more than could ever pass",
        sender.say(id, &[1; 9]),
        Errno::MSGSIZE,
    )?;
    works("the whole of it", sender.say(id, &[1; 8]))?;
    fails("one byte more", sender.say(id, &[1]), Errno::DQUOT)?;
    payload(&peer, 0x10, &[1; 8])?;
    works("it is free again", sender.say(id, &[1]))?;
    fails("sizes are rounded up", sender.say(id, b""), Errno::DQUOT)?;
    payload(&peer, 0x10, &[1])
}

fn files_limit_is_exact() -> Verdict {
    let limit = bus1_cmd_peer_reset {
        max_inflight_fds: 2,
        ..KEEP
    };
    let (sender, peer, id) = limited(limit)?;
    let send = |fds: &[i32]| {
        sender.send(&Mail {
            to: &[id],
            fds,
            ..Default::default()
        })
    };
    fails("more than could ever pass", send(&[2; 3]), Errno::MSGSIZE)?;
    works("two", send(&[2; 2]))?;
    fails("one more", send(&[2]), Errno::DQUOT)?;
    works("none", send(&[]))?;
    data(&peer, 0x10)?;
    works("free after RECV", send(&[2, 2])).map(drop)
}

fn flush_empties_a_peer() -> Verdict {
    let (peer, other) = (Peer::open()?, Peer::open()?);
    need_reset(&peer)?;
    let foreign = peer.meets(&other, 0x10)?;
    let there_id = other.meets(&peer, 0x100)?;
    works("SEND", other.say(there_id, b"dropped"))?;
    works("SEND", peer.say(0x200, b"read"))?;
    let flush = bus1_cmd_peer_reset {
        flags: BUS1_PEER_RESET_FLAG_FLUSH,
        ..KEEP
    };
    there("RESET with FLUSH", peer.reset(flush))?;
    empty(&peer)?;
    fails("its handles", peer.say(foreign, b"x"), Errno::NXIO)?;
    notice(&other, Notice::Destroyed, there_id)?;
    notice(&other, Notice::Released, 0x10)?;
    empty(&other)?;
    // It can be used again, and the numbers go on.
    let again = works("TRANSFER", other.transfer(0x10, &peer))?;
    check("a new ID", again > foreign)?;
    works("SEND", peer.say(0x200, b"anew"))?;
    payload(&peer, 0x200, b"anew")
}

/// RECV with PEEK; skipped if the driver has none.
fn peek(peer: &Peer) -> Verdict<bus1_msg> {
    there(
        "RECV with PEEK",
        peer.recv_with(BUS1_RECV_FLAG_PEEK, MAPPED as u64),
    )
}

fn peek_is_repeatable() -> Verdict {
    let (sender, peer) = (Peer::open()?, Peer::open()?);
    let to = [sender.meets(&peer, 0x10)?];
    let gift = [0x20];
    let mail = Mail {
        to: &to,
        payload: &[b"look"],
        handles: &gift,
        ..Default::default()
    };
    works("SEND", sender.send(&mail))?;
    let first = peek(&peer)?;
    let id = peer.handles(&first)[0];
    for _ in 0..3 {
        let msg = peek(&peer)?;
        equal("offset", msg.offset, first.offset)?;
        equal("payload", peer.bytes(&msg), b"look".to_vec())?;
        equal("slot", peer.handles(&msg)[0], id)?;
    }
    let early = peer.slice_release(first.offset);
    fails("the slice is still the queue's", early, Errno::NXIO)?;
    let last = data(&peer, 0x10)?;
    equal("offset", last.offset, first.offset)?;
    works("SLICE_RELEASE", peer.slice_release(last.offset))?;
    for count in 1..=5 {
        works(&format!("RELEASE {count}"), peer.release(id))?;
    }
    fails("RELEASE 6", peer.release(id), Errno::NXIO)?;
    empty(&peer)
}

fn peek_with_files_is_refused() -> Verdict {
    let peer = Peer::open()?;
    works("SEND", peer.say(0x100, b"kept"))?;
    let both = BUS1_RECV_FLAG_PEEK | BUS1_RECV_FLAG_INSTALL_FDS;
    fails("RECV", peer.recv_with(both, MAPPED as u64), Errno::INVAL)?;
    payload(&peer, 0x100, b"kept")
}

/// Sets the seed; skipped if the driver has none.
fn set_seed(peer: &Peer, payload: &[u8], handles: &[u64]) -> Verdict {
    let flags = BUS1_SEND_FLAG_SEED;
    let mail = Mail {
        payload: &[payload],
        handles,
        flags,
        ..Default::default()
    };
    there("SEND with SEED", peer.send(&mail))
}

fn recv_seed(peer: &Peer) -> Result<bus1_msg, Errno> {
    peer.recv_with(BUS1_RECV_FLAG_SEED, MAPPED as u64)
}

fn seed_is_set_read_and_consumed() -> Verdict {
    let peer = Peer::open()?;
    set_seed(&peer, b"first", &[])?;
    set_seed(&peer, b"second", &[0x100])?;
    empty(&peer)?;
    for flags in [
        BUS1_SEND_FLAG_SEED | BUS1_SEND_FLAG_CONTINUE,
        BUS1_SEND_FLAG_SEED,
    ] {
        let mail = Mail {
            to: &[0x200],
            flags,
            ..Default::default()
        };
        fails("a seed with a destination", peer.send(&mail), Errno::INVAL)?;
    }
    let msg = works("RECV", recv_seed(&peer))?;
    equal("type", (msg.type_, msg.flags), (BUS1_MSG_DATA, 0))?;
    equal("destination", msg.destination, BUS1_HANDLE_INVALID)?;
    equal("payload", peer.bytes(&msg), b"second".to_vec())?;
    equal("slot", peer.handles(&msg), vec![0x100])?;
    works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
    fails("it is consumed", recv_seed(&peer), Errno::AGAIN)?;
    works("RELEASE", peer.release(0x100))?;
    notice(&peer, Notice::Released, 0x100)
}

fn seed_outlives_a_flush() -> Verdict {
    let peer = Peer::open()?;
    need_reset(&peer)?;
    set_seed(&peer, b"kept", &[0x100])?;
    let flush = bus1_cmd_peer_reset {
        flags: BUS1_PEER_RESET_FLAG_FLUSH,
        ..KEEP
    };
    there("RESET with FLUSH", peer.reset(flush))?;
    let msg = works("RECV", recv_seed(&peer))?;
    equal("payload", peer.bytes(&msg), b"kept".to_vec())?;
    equal("its node lives on", peer.handles(&msg), vec![0x100])?;
    works("SEND", peer.say(0x100, b"alive"))?;
    payload(&peer, 0x100, b"alive")?;
    set_seed(&peer, b"dropped", &[])?;
    let both = BUS1_PEER_RESET_FLAG_FLUSH | BUS1_PEER_RESET_FLAG_FLUSH_SEED;
    let flush = bus1_cmd_peer_reset {
        flags: both,
        ..KEEP
    };
    works("RESET with both flags", peer.reset(flush))?;
    fails("the seed is gone", recv_seed(&peer), Errno::AGAIN)
}
