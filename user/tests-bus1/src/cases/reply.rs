// SPDX-License-Identifier: MIT OR Apache-2.0

//! Requests with a prepaid reply: who pays, what is refused, and how they end.

#![forbid(unsafe_code)]

use std::os::fd::AsRawFd;

use bus1_sys::{
    BUS1_HANDLE_INVALID, BUS1_MSG_ANON_FLAG_REQUEST, BUS1_MSG_DATA, BUS1_MSG_FLAG_REQUEST,
    BUS1_RECV_FLAG_PEEK, BUS1_SEND_FLAG_CONTINUE, BUS1_SEND_FLAG_REPLY, BUS1_SEND_FLAG_SEED,
};
use rustix::io::Errno;

use super::cases;
use super::optional::figure;
use crate::expect::{data, data_with, empty, notice, payload, Notice};
use crate::raw::{Errors, Mail, Peer, Room, KEEP, MAPPED};
use crate::verdict::{check, equal, fails, works, Verdict};

cases! {
    a_reply_comes_to_its_node_and_uses_it_up,
    a_reply_that_is_too_large_changes_nothing,
    a_reply_passes_where_nobody_else_does,
    a_reply_brings_what_was_promised,
    a_request_is_replied_to_once,
    a_request_that_nobody_can_reply_to_ends,
    who_gives_a_request_up_is_not_replied_to,
    a_flush_gives_back_what_was_promised,
    a_request_that_is_refused_leaves_nothing,
    a_reply_among_others_that_fail_can_be_sent_again,
    a_reply_can_be_looked_at,
    a_request_to_oneself,
    the_short_form_names_requests_too,
    requests_that_make_no_sense,
    a_client_that_never_reads_hurts_itself_alone,
}

/// Where the server's node is.
const NODE: u64 = 0x10;

/// Room for 16 bytes.
const SMALL: Room = Room {
    bytes: 16,
    handles: 0,
    fds: 0,
};

/// A server, a client, and the client's handle.
fn pair() -> Verdict<(Peer, Peer, u64)> {
    let (server, client) = (Peer::open()?, Peer::open()?);
    let handle = client.meets(&server, NODE)?;
    Ok((server, client, handle))
}

/// The next request; the handle for its reply.
fn request(server: &Peer, node: u64) -> Verdict<u64> {
    let msg = data_with(server, node, BUS1_MSG_FLAG_REQUEST)?;
    let handles = server.handles(&msg);
    works("SLICE_RELEASE", server.slice_release(msg.offset))?;
    match handles.last() {
        Some(last) => Ok(*last),
        None => Err(crate::verdict::wrong("a request without a handle")),
    }
}

/// How much a peer holds of something, from wherever it was taken.
fn held(peer: &Peer, what: &str) -> Verdict<u64> {
    let reserved = figure(peer, &format!("bus1-{what}-reserved"))?;
    Ok(reserved + figure(peer, &format!("bus1-{what}-free"))?)
}

/// Slices, bytes, handles and files of a peer.
fn all_held(peer: &Peer) -> Verdict<[u64; 4]> {
    Ok([
        held(peer, "slices")?,
        held(peer, "bytes")?,
        held(peer, "handles")?,
        held(peer, "fds")?,
    ])
}

/// The node of a request is unknown to its peer.
fn gone(client: &Peer, id: u64) -> Verdict {
    fails("RELEASE of the node", client.release(id), Errno::NXIO)
}

fn a_reply_comes_to_its_node_and_uses_it_up() -> Verdict {
    let (server, client, handle) = pair()?;
    let before = all_held(&client)?;
    let id = works("a request", client.ask(handle, b"q", SMALL))?;
    check("an ID that the kernel chose, of an own node", id & 3 == 1)?;
    // One slice of 16 bytes, and the node.
    let during = all_held(&client)?;
    let wanted = [before[0] + 1, before[1] + 16, before[2] + 1, before[3]];
    equal("what the client holds", during, wanted)?;
    fails("RELEASE while it waits", client.release(id), Errno::BUSY)?;

    let to = request(&server, NODE)?;
    works("the reply", server.say(to, b"a"))?;
    fails("RELEASE of a used handle", server.release(to), Errno::NXIO)?;
    fails("another reply", server.say(to, b"b"), Errno::NXIO)?;
    payload(&client, id, b"a")?;
    gone(&client, id)?;
    empty(&client)?;
    empty(&server)?;
    equal("what the client holds", all_held(&client)?, before)
}

fn a_reply_that_is_too_large_changes_nothing() -> Verdict {
    let (server, client, handle) = pair()?;
    let id = works("a request", client.ask(handle, b"q", SMALL))?;
    let to = request(&server, NODE)?;
    let during = all_held(&client)?;
    let null = std::fs::File::open("/dev/null")?;
    let with = |payload: &[u8], handles: &[u64], fds: &[i32]| {
        server.send(&Mail {
            to: &[to],
            payload: &[payload],
            handles,
            fds,
            flags: 0,
        })
    };
    fails("17 bytes", with(&[0; 17], &[], &[]), Errno::MSGSIZE)?;
    fails("a handle", with(b"", &[NODE], &[]), Errno::MSGSIZE)?;
    fails(
        "a file",
        with(b"", &[], &[null.as_raw_fd()]),
        Errno::MSGSIZE,
    )?;
    equal("what the client holds", all_held(&client)?, during)?;
    empty(&client)?;
    works("16 bytes", with(&[7; 16], &[], &[]))?;
    payload(&client, id, &[7; 16])
}

fn a_reply_passes_where_nobody_else_does() -> Verdict {
    let (server, client, handle) = pair()?;
    let to_client = server.meets(&client, NODE)?;
    works(
        "RESET",
        client.reset(bus1_sys::bus1_cmd_peer_reset {
            max_slices: 3,
            ..KEEP
        }),
    )?;
    let id = works("a request", client.ask(handle, b"q", SMALL))?;
    let to = request(&server, NODE)?;
    works("a message", server.say(to_client, b"1"))?;
    works("another", server.say(to_client, b"2"))?;
    fails("one too many", server.say(to_client, b"3"), Errno::DQUOT)?;
    fails(
        "a request without room",
        client.ask(handle, b"q", SMALL),
        Errno::DQUOT,
    )?;
    works("the reply", server.say(to, b"a"))?;
    payload(&client, NODE, b"1")?;
    payload(&client, NODE, b"2")?;
    let msg = data(&client, id)?;
    // Charged until it is released.
    equal("slices", held(&client, "slices")?, 1)?;
    works("SLICE_RELEASE", client.slice_release(msg.offset))?;
    equal("slices", held(&client, "slices")?, 0)
}

fn a_reply_brings_what_was_promised() -> Verdict {
    let (server, client, handle) = pair()?;
    let room = Room {
        bytes: 8,
        handles: 2,
        fds: 1,
    };
    let before = all_held(&client)?;
    let id = works("a request", client.ask(handle, b"q", room))?;
    let to = request(&server, NODE)?;
    let null = std::fs::File::open("/dev/null")?;
    let reply = Mail {
        to: &[to],
        payload: &[b"files"],
        handles: &[0x20, NODE],
        fds: &[null.as_raw_fd()],
        flags: 0,
    };
    works("the reply", server.send(&reply))?;
    let msg = works("RECV", client.recv_files())?;
    equal("destination", msg.destination, id)?;
    equal("files", client.files(&msg).len(), 1)?;
    let handles = client.handles(&msg);
    equal("the known handle", handles.get(1), Some(&handle))?;
    works("SLICE_RELEASE", client.slice_release(msg.offset))?;
    // The new handle stays paid for by its own holder; the second was there.
    let after = all_held(&client)?;
    let wanted = [before[0], before[1], before[2] + 1, before[3]];
    equal("what the client holds", after, wanted)?;
    works("RELEASE", client.release(handles[0]))?;
    equal("handles", held(&client, "handles")?, before[2])
}

fn a_request_is_replied_to_once() -> Verdict {
    let (server, client, handle) = pair()?;
    let other = Peer::open()?;
    let id = works("a request", client.ask(handle, b"q", SMALL))?;
    let to = request(&server, NODE)?;
    let passed = works("TRANSFER", server.transfer(to, &other))?;
    works("the reply", server.say(to, b"a"))?;
    fails(
        "a second reply",
        other.say(passed, b"b"),
        Errno::HOSTUNREACH,
    )?;
    empty(&other)?;
    payload(&client, id, b"a")?;
    notice(&other, Notice::Destroyed, passed)?;
    fails("a late reply", other.say(passed, b"b"), Errno::HOSTUNREACH)?;
    works("RELEASE", other.release(passed))?;
    empty(&client)
}

fn a_request_that_nobody_can_reply_to_ends() -> Verdict {
    let (server, client, handle) = pair()?;
    let before = all_held(&client)?;
    let id = works("a request", client.ask(handle, b"q", SMALL))?;
    let to = request(&server, NODE)?;
    works("RELEASE", server.release(to))?;
    notice(&client, Notice::Released, id)?;
    gone(&client, id)?;
    equal("what the client holds", all_held(&client)?, before)?;

    let read = works("a request", client.ask(handle, b"q", SMALL))?;
    let unread = works("a request", client.ask(handle, b"q", SMALL))?;
    request(&server, NODE)?;
    drop(server);
    let mut ended = Vec::new();
    while let Ok(msg) = client.recv() {
        ended.push(msg.destination);
    }
    for id in [read, unread] {
        check("the end of each request", ended.contains(&id))?;
        gone(&client, id)?;
    }
    works("RELEASE", client.release(handle))?;
    let after = all_held(&client)?;
    equal(
        "what the client holds",
        after,
        [before[0], before[1], before[2] - 1, before[3]],
    )
}

fn who_gives_a_request_up_is_not_replied_to() -> Verdict {
    let (server, client, handle) = pair()?;
    let before = all_held(&client)?;
    let id = works("a request", client.ask(handle, b"q", SMALL))?;
    let to = request(&server, NODE)?;
    works("DESTROY", client.destroy_and_release(&[id]))?;
    equal("what the client holds", all_held(&client)?, before)?;
    fails("the reply", server.say(to, b"a"), Errno::HOSTUNREACH)?;
    notice(&server, Notice::Destroyed, to)?;
    works("RELEASE", server.release(to))?;
    empty(&client)?;

    works("a request", client.ask(handle, b"q", SMALL))?;
    let to = request(&server, NODE)?;
    drop(client);
    fails("the reply", server.say(to, b"a"), Errno::HOSTUNREACH)
}

fn a_flush_gives_back_what_was_promised() -> Verdict {
    let (server, client, handle) = pair()?;
    works("a request", client.ask(handle, b"q", SMALL))?;
    let to = request(&server, NODE)?;
    works(
        "FLUSH",
        client.reset(bus1_sys::bus1_cmd_peer_reset {
            flags: bus1_sys::BUS1_PEER_RESET_FLAG_FLUSH,
            ..KEEP
        }),
    )?;
    equal("what the client holds", all_held(&client)?, [0; 4])?;
    fails("the reply", server.say(to, b"a"), Errno::HOSTUNREACH)
}

fn a_request_that_is_refused_leaves_nothing() -> Verdict {
    let (server, client, handle) = pair()?;
    let huge = Room {
        bytes: i32::MAX.unsigned_abs().into(),
        ..SMALL
    };
    let before = all_held(&client)?;
    fails(
        "more than there can be",
        client.ask(handle, b"q", huge),
        Errno::MSGSIZE,
    )?;
    drop(server);
    fails(
        "to nobody",
        client.ask(handle, b"q", SMALL),
        Errno::HOSTUNREACH,
    )?;
    fails(
        "to an unknown ID",
        client.ask(0xb0b, b"q", SMALL),
        Errno::NXIO,
    )?;
    equal("what the client holds", all_held(&client)?, before)
}

fn a_reply_among_others_that_fail_can_be_sent_again() -> Verdict {
    let (server, client, handle) = pair()?;
    let dead = Peer::open()?;
    let to_dead = server.meets(&dead, NODE)?;
    drop(dead);
    notice(&server, Notice::Destroyed, to_dead)?;
    let id = works("a request", client.ask(handle, b"q", SMALL))?;
    let to = request(&server, NODE)?;
    let mail = Mail {
        to: &[to, to_dead],
        payload: &[b"a"],
        ..Default::default()
    };
    fails("to all or none", server.send(&mail), Errno::HOSTUNREACH)?;
    empty(&client)?;
    let mut errors = [1; 2];
    let any = Mail {
        flags: BUS1_SEND_FLAG_CONTINUE,
        ..mail
    };
    works(
        "to any",
        server.send_and_tell(&any, Errors::Array(&mut errors)),
    )?;
    equal("the first destination", errors[0], 0)?;
    payload(&client, id, b"a")?;
    fails("RELEASE of a used handle", server.release(to), Errno::NXIO)
}

fn a_reply_can_be_looked_at() -> Verdict {
    let (server, client, handle) = pair()?;
    let id = works("a request", client.ask(handle, b"q", SMALL))?;
    let to = request(&server, NODE)?;
    works("the reply", server.say(to, b"a"))?;
    for _ in 0..2 {
        let msg = works("PEEK", client.recv_with(BUS1_RECV_FLAG_PEEK, MAPPED as u64))?;
        equal("destination", msg.destination, id)?;
        fails(
            "RELEASE while it is unread",
            client.release(id),
            Errno::BUSY,
        )?;
    }
    payload(&client, id, b"a")?;
    gone(&client, id)?;

    let id = works("a request", client.ask(handle, b"q", SMALL))?;
    works("RELEASE", server.release(request(&server, NODE)?))?;
    let msg = works("PEEK", client.recv_with(BUS1_RECV_FLAG_PEEK, MAPPED as u64))?;
    equal("destination", msg.destination, id)?;
    fails(
        "RELEASE while it is unread",
        client.release(id),
        Errno::BUSY,
    )?;
    notice(&client, Notice::Released, id)?;
    gone(&client, id)
}

fn a_request_to_oneself() -> Verdict {
    let peer = Peer::open()?;
    let id = works("a request", peer.ask(NODE, b"q", SMALL))?;
    let to = request(&peer, NODE)?;
    equal("the handle of the reply", to, id)?;
    works("the reply", peer.say(to, b"a"))?;
    payload(&peer, id, b"a")?;
    gone(&peer, id)?;
    empty(&peer)?;
    // The node of the request itself is all that is left.
    equal("what it holds", all_held(&peer)?, [0, 0, 1, 0])
}

fn the_short_form_names_requests_too() -> Verdict {
    let (server, client, handle) = pair()?;
    works("a request", client.ask(handle, b"q", SMALL))?;
    let msg = works("RECV", server.recv_anon(0))?;
    equal("type", msg.type_, BUS1_MSG_DATA)?;
    equal("flags", msg.flags, BUS1_MSG_ANON_FLAG_REQUEST)?;
    equal("handles", msg.n_handles, 1)
}

fn requests_that_make_no_sense() -> Verdict {
    let (server, client, handle) = pair()?;
    let other = client.meets(&server, 0x20)?;
    let mail = |to, flags| Mail {
        to,
        payload: &[b"q"],
        handles: &[],
        fds: &[],
        flags,
    };
    let (one, two): (&[u64], &[u64]) = (&[handle], &[handle, other]);
    for (what, mail) in [
        ("no destination", mail(&[], BUS1_SEND_FLAG_REPLY)),
        ("two destinations", mail(two, BUS1_SEND_FLAG_REPLY)),
        (
            "CONTINUE",
            mail(one, BUS1_SEND_FLAG_REPLY | BUS1_SEND_FLAG_CONTINUE),
        ),
        (
            "SEED",
            mail(one, BUS1_SEND_FLAG_REPLY | BUS1_SEND_FLAG_SEED),
        ),
        ("an unknown flag", mail(one, BUS1_SEND_FLAG_REPLY | 1 << 3)),
        ("sizes without the flag", mail(one, 0)),
    ] {
        fails(what, client.request_with(&mail, SMALL), Errno::INVAL)?;
    }
    let old = mail(one, BUS1_SEND_FLAG_REPLY);
    fails("the flag in the old form", client.send(&old), Errno::INVAL)?;
    let files = Room { fds: 257, ..SMALL };
    let mail = mail(one, 0);
    fails("257 files", client.ask(handle, b"q", files), Errno::MSGSIZE)?;
    let bytes = Room {
        bytes: 1 << 40,
        ..SMALL
    };
    fails(
        "a terabyte",
        client.ask(handle, b"q", bytes),
        Errno::MSGSIZE,
    )?;
    empty(&server)?;
    let id = works(
        "no flag at all",
        client.request_with(&mail, Room::default()),
    )?;
    equal("the node", id, BUS1_HANDLE_INVALID)?;
    payload(&server, NODE, b"q")
}

fn a_client_that_never_reads_hurts_itself_alone() -> Verdict {
    let (server, client, handle) = pair()?;
    works(
        "RESET",
        client.reset(bus1_sys::bus1_cmd_peer_reset {
            max_slices: 64,
            ..KEEP
        }),
    )?;
    let before = all_held(&server)?;
    let mut replies = 0;
    let refused = loop {
        match client.ask(handle, &[0; 64], SMALL) {
            Ok(_) => {}
            Err(errno) => break errno,
        }
        let to = request(&server, NODE)?;
        works("a reply", server.say(to, &[0; 16]))?;
        replies += 1;
        check("an end", replies <= 64)?;
    };
    equal("why the client can't ask", refused, Errno::DQUOT)?;
    check("some replies", replies >= 16)?;
    equal("what the server holds", all_held(&server)?, before)?;
    // Nobody else is hurt.
    let other = Peer::open()?;
    let handle = other.meets(&server, 0x20)?;
    let id = works("a request of another", other.ask(handle, b"q", SMALL))?;
    works("its reply", server.say(request(&server, 0x20)?, b"a"))?;
    payload(&other, id, b"a")
}
