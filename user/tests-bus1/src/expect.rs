// SPDX-License-Identifier: MIT OR Apache-2.0

//! What cases expect from a queue.

#![forbid(unsafe_code)]

use std::time::Duration;

use bus1_sys::{
    bus1_msg, BUS1_MSG_DATA, BUS1_MSG_FLAG_CONTINUE, BUS1_MSG_NODE_DESTROY, BUS1_MSG_NODE_RELEASE,
};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::raw::Peer;
use crate::verdict::{wrong, Verdict};

/// What a notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    Destroyed,
    Released,
}

fn describe(msg: &bus1_msg) -> String {
    let kind = match msg.type_ {
        BUS1_MSG_DATA => "DATA",
        BUS1_MSG_NODE_DESTROY => "NODE_DESTROY",
        BUS1_MSG_NODE_RELEASE => "NODE_RELEASE",
        _ => "unknown type",
    };
    format!("{kind} for {:#x}", msg.destination)
}

/// The next entry, at once.
#[track_caller]
pub fn next(peer: &Peer) -> Verdict<bus1_msg> {
    peer.recv()
        .map_err(|errno| wrong(format_args!("RECV: {errno}, expected an entry")))
}

/// A message for `destination`, at once; its slice is left to the case.
#[track_caller]
pub fn data(peer: &Peer, destination: u64) -> Verdict<bus1_msg> {
    data_with(peer, destination, 0)
}

/// The same, with these flags.
#[track_caller]
pub fn data_with(peer: &Peer, destination: u64, flags: u64) -> Verdict<bus1_msg> {
    let msg = next(peer)?;
    if (msg.type_, msg.destination, msg.flags) == (BUS1_MSG_DATA, destination, flags) {
        return Ok(msg);
    }
    Err(wrong(format_args!(
        "{} (flags {:#x}), expected DATA for {destination:#x} (flags {flags:#x})",
        describe(&msg),
        msg.flags
    )))
}

/// A message with this payload; its slice is given back.
#[track_caller]
pub fn payload(peer: &Peer, destination: u64, bytes: &[u8]) -> Verdict {
    let msg = data(peer, destination)?;
    let found = peer.bytes(&msg);
    if found != bytes {
        return Err(wrong(format_args!(
            "payload {:?}, expected {:?}",
            String::from_utf8_lossy(&found),
            String::from_utf8_lossy(bytes)
        )));
    }
    peer.slice_release(msg.offset)
        .map_err(|errno| wrong(format_args!("SLICE_RELEASE: {errno}")))
}

/// A notice, at once, that is not continued.
#[track_caller]
pub fn notice(peer: &Peer, kind: Notice, id: u64) -> Verdict {
    notice_with(peer, kind, id, 0)
}

/// The same, with these flags.
#[track_caller]
pub fn notice_with(peer: &Peer, kind: Notice, id: u64, flags: u64) -> Verdict {
    let msg = next(peer)?;
    let type_ = match kind {
        Notice::Destroyed => BUS1_MSG_NODE_DESTROY,
        Notice::Released => BUS1_MSG_NODE_RELEASE,
    };
    if (msg.type_, msg.destination, msg.flags) == (type_, id, flags) {
        return Ok(());
    }
    Err(wrong(format_args!(
        "{} (flags {:#x}), expected {kind:?} of {id:#x} (flags {flags:#x})",
        describe(&msg),
        msg.flags
    )))
}

/// Nothing to be received.
#[track_caller]
pub fn empty(peer: &Peer) -> Verdict {
    match peer.recv() {
        Err(Errno::AGAIN) => Ok(()),
        Err(errno) => Err(wrong(format_args!("RECV: {errno}, expected AGAIN"))),
        Ok(msg) => Err(wrong(format_args!("{}, expected nothing", describe(&msg)))),
    }
}

/// The poll bits of a peer now.
pub fn bits(peer: &Peer) -> Verdict<PollFlags> {
    bits_within(peer, Duration::ZERO)
}

/// The poll bits as soon as there is something to read or the peer is shut
/// down, or at the end of the time.
pub fn bits_within(peer: &Peer, time: Duration) -> Verdict<PollFlags> {
    let all = PollFlags::IN | PollFlags::RDNORM | PollFlags::PRI | PollFlags::RDHUP;
    // A time-out of zero asks for the writable bits as well; waiting for them
    // would be no waiting.
    let asked = if time.is_zero() {
        all | PollFlags::OUT | PollFlags::WRNORM
    } else {
        all
    };
    let mut fds = [PollFd::new(peer, asked)];
    let time = Timespec::try_from(time).map_err(|_| Errno::INVAL)?;
    poll(&mut fds, Some(&time))?;
    Ok(fds[0].revents())
}

/// Waits for an entry.
#[track_caller]
pub fn soon(peer: &Peer) -> Verdict<bus1_msg> {
    for _ in 0..1000 {
        match peer.recv() {
            Err(Errno::AGAIN) => bits_within(peer, Duration::from_millis(10))?,
            other => return Ok(other?),
        };
    }
    Err(wrong("nothing came within ten seconds"))
}

/// Whether an entry is followed by one of the same transaction.
pub fn continues(msg: &bus1_msg) -> bool {
    msg.flags & BUS1_MSG_FLAG_CONTINUE != 0
}
