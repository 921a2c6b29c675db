// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the self tests of 2016 checked.

use std::os::unix::fs::FileTypeExt;

use bus1_sys::{
    BUS1_HANDLE_FLAG_MANAGED, BUS1_HANDLE_FLAG_REMOTE, BUS1_MSG_DATA, BUS1_MSG_FLAG_CONTINUE,
    BUS1_MSG_NODE_DESTROY, BUS1_OFFSET_INVALID, DST_FD_SELF,
};
use rustix::fs::{open, Mode, OFlags};
use rustix::io::Errno;

use super::cases;
use crate::expect::{continues, data, data_with, empty, next, notice, payload, Notice};
use crate::memory::Mapping;
use crate::raw::{device, need_reset, Mail, Peer, KEEP, MAPPED};
use crate::verdict::{check, equal, fails, works, Verdict};

cases! {
    device_node_opens_and_maps,
    query_shows_limits,
    reset_keeps_everything,
    disconnect_works_once,
    transfer_makes_a_remote_handle,
    transfer_to_self_and_release_notifies,
    destroy_tells_both_holders,
    empty_message_to_an_own_node,
    message_from_a_holder_names_the_owners_id,
    multicast_to_two_own_nodes,
    message_carries_an_own_handle,
    send_to_nobody,
    #[long] payload_to_many_peers,
    multicast_maps_handles_for_each_receiver,
    reference_counts_are_exact,
    what_is_dead_or_foreign_is_refused,
    last_release_then_destroy,
    #[long] many_peers_die,
}

fn device_node_opens_and_maps() -> Verdict {
    let kind = std::fs::metadata(device())?.file_type();
    check("the node is a character device", kind.is_char_device())?;
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = works("open", open(device(), flags, Mode::empty()))?;
    works("mmap", Mapping::shared(&fd, MAPPED)).map(drop)
}

fn query_shows_limits() -> Verdict {
    let peer = Peer::open()?;
    let limits = works("QUERY", peer.query(Default::default()))?;
    equal("flags", (limits.flags, limits.peer_flags), (0, 0))?;
    check("slices", limits.max_slices > 0)?;
    check("handles", limits.max_handles > 0)?;
    check("bytes", limits.max_inflight_bytes > 0)?;
    check("fds", limits.max_inflight_fds > 0)
}

fn reset_keeps_everything() -> Verdict {
    let peer = Peer::open()?;
    need_reset(&peer)?;
    let before = peer.query(Default::default())?;
    works("RESET", peer.reset(KEEP))?;
    equal("limits", peer.query(Default::default())?, before)
}

fn disconnect_works_once() -> Verdict {
    let peer = Peer::open()?;
    works("DISCONNECT", peer.disconnect())?;
    fails("DISCONNECT again", peer.disconnect(), Errno::SHUTDOWN)?;
    let query = peer.query(Default::default());
    fails("QUERY afterwards", query, Errno::SHUTDOWN)?;
    fails("RESET afterwards", peer.reset(KEEP), Errno::SHUTDOWN)
}

fn transfer_makes_a_remote_handle() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let both = BUS1_HANDLE_FLAG_MANAGED | BUS1_HANDLE_FLAG_REMOTE;
    let first = works("TRANSFER", owner.transfer(0x100, &holder))?;
    equal("flags of the ID", first & 7, both)?;
    equal("first ID of a fresh peer", first, 0x0b)?;
    equal("second ID", owner.transfer(0x104, &holder)?, 0x13)?;
    equal("a known node", owner.transfer(0x100, &holder)?, first)
}

fn transfer_to_self_and_release_notifies() -> Verdict {
    let peer = Peer::open()?;
    for _ in 0..2 {
        let id = works("TRANSFER", peer.transfer_with(0, 0x100, DST_FD_SELF))?;
        equal("ID", id, 0x100)?;
        empty(&peer)?;
        works("RELEASE", peer.release(0x100))?;
        notice(&peer, Notice::Released, 0x100)?;
        empty(&peer)?;
    }
    Ok(())
}

fn destroy_tells_both_holders() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = owner.transfer(0x100, &holder)?;
    empty(&owner)?;
    empty(&holder)?;
    works("NODES_DESTROY", owner.destroy(&[0x100]))?;
    notice(&owner, Notice::Destroyed, 0x100)?;
    notice(&holder, Notice::Destroyed, id)?;
    empty(&owner)?;
    empty(&holder)
}

fn empty_message_to_an_own_node() -> Verdict {
    let peer = Peer::open()?;
    let to = [0x100];
    works(
        "SEND",
        peer.send(&Mail {
            to: &to,
            ..Default::default()
        }),
    )?;
    let msg = data(&peer, 0x100)?;
    equal("parts", (msg.n_bytes, msg.n_handles, msg.n_fds), (0, 0, 0))?;
    works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
    empty(&peer)
}

fn message_from_a_holder_names_the_owners_id() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    works("SEND", holder.say(id, b"to the owner"))?;
    payload(&owner, 0x100, b"to the owner")?;
    empty(&owner)?;
    empty(&holder)
}

fn multicast_to_two_own_nodes() -> Verdict {
    let peer = Peer::open()?;
    let bytes: Vec<u8> = (0..104).collect();
    let to = [0x100, 0x104];
    let mail = Mail {
        to: &to,
        payload: &[&bytes],
        ..Default::default()
    };
    works("SEND", peer.send(&mail))?;
    for (id, flags) in [(0x100, BUS1_MSG_FLAG_CONTINUE), (0x104, 0)] {
        let msg = data_with(&peer, id, flags)?;
        equal("payload", peer.bytes(&msg), bytes.clone())?;
        works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
    }
    empty(&peer)
}

fn message_carries_an_own_handle() -> Verdict {
    let peer = Peer::open()?;
    let (to, handles) = ([0x100], [0x100]);
    let mail = Mail {
        to: &to,
        handles: &handles,
        ..Default::default()
    };
    works("SEND", peer.send(&mail))?;
    let msg = data(&peer, 0x100)?;
    equal("handles", peer.handles(&msg), vec![0x100])?;
    empty(&peer)?;
    works("RELEASE", peer.release(0x100))?;
    notice(&peer, Notice::Released, 0x100)?;
    fails("RELEASE again", peer.release(0x100), Errno::BUSY)
}

fn send_to_nobody() -> Verdict {
    let peer = Peer::open()?;
    works("empty SEND", peer.send(&Mail::default()))?;
    let mail = Mail {
        payload: &[b"unheard"],
        ..Default::default()
    };
    works("SEND with a payload", peer.send(&mail))?;
    empty(&peer)
}

fn payload_to_many_peers() -> Verdict {
    let sender = Peer::open()?;
    let peers = (0..256)
        .map(|_| Peer::open())
        .collect::<Verdict<Vec<_>>>()?;
    let mut to = Vec::new();
    for peer in &peers {
        to.push(sender.meets(peer, 0x100)?);
    }
    for count in [1, 16, 256] {
        for size in [0, 1024] {
            let bytes = vec![0x5a; size];
            let mail = Mail {
                to: &to[..count],
                payload: &[&bytes],
                ..Default::default()
            };
            works("SEND", sender.send(&mail))?;
            for peer in &peers[..count] {
                let msg = works("RECV", peer.recv_with(0, BUS1_OFFSET_INVALID))?;
                equal("type", msg.type_, BUS1_MSG_DATA)?;
                equal("payload", peer.bytes(&msg), bytes.clone())?;
                works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
            }
        }
    }
    peers.iter().try_for_each(empty)
}

fn multicast_maps_handles_for_each_receiver() -> Verdict {
    let (sender, one, two) = (Peer::open()?, Peer::open()?, Peer::open()?);
    let to_one = sender.meets(&one, 0x10)?;
    let to_two = sender.meets(&two, 0x20)?;
    // One knows the node of two already.
    let known = two.transfer(0x20, &one)?;
    let handles = [to_one, to_two, 0x30];
    let to = [to_one, to_two];
    let mail = Mail {
        to: &to,
        handles: &handles,
        ..Default::default()
    };
    works("SEND", sender.send(&mail))?;

    let msg = data(&one, 0x10)?;
    let at_one = one.handles(&msg);
    equal("slots at one", at_one.len(), 3)?;
    equal("its own node", at_one[0], 0x10)?;
    equal("a node that it knew", at_one[1], known)?;
    check(
        "a new one is managed and remote",
        at_one[2] & 7 == 3 && at_one[2] != known,
    )?;

    let msg = data(&two, 0x20)?;
    let at_two = two.handles(&msg);
    equal("slots at two", at_two.len(), 3)?;
    check("a node of one is new", at_two[0] & 7 == 3)?;
    equal("its own node", at_two[1], 0x20)?;
    check(
        "so is a node of the sender",
        at_two[2] & 7 == 3 && at_two[2] != at_two[0],
    )?;
    works("using it", two.say(at_two[2], b"back"))?;
    payload(&sender, 0x30, b"back")
}

fn reference_counts_are_exact() -> Verdict {
    let (sender, receiver) = (Peer::open()?, Peer::open()?);
    let to = [sender.meets(&receiver, 0x10)?];
    let gift = [0x20];
    for _ in 0..3 {
        works(
            "SEND",
            sender.send(&Mail {
                to: &to,
                handles: &gift,
                ..Default::default()
            }),
        )?;
    }
    let mut id = 0;
    for _ in 0..3 {
        let msg = data(&receiver, 0x10)?;
        id = receiver.handles(&msg)[0];
    }
    sender.transfer(0x20, &receiver)?;
    for count in 1..=4 {
        empty(&sender)?;
        works(&format!("RELEASE {count}"), receiver.release(id))?;
    }
    fails("one RELEASE more", receiver.release(id), Errno::NXIO)?;
    notice(&sender, Notice::Released, 0x20)?;
    empty(&sender)
}

fn what_is_dead_or_foreign_is_refused() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    fails(
        "destroying a foreign node",
        holder.destroy(&[id]),
        Errno::REMOTE,
    )?;
    works("NODES_DESTROY", owner.destroy(&[0x100]))?;
    fails("destroying twice", owner.destroy(&[0x100]), Errno::STALE)?;
    works("the holder's RELEASE", holder.release(id))?;
    fails("the holder's second", holder.release(id), Errno::NXIO)?;
    works("the owner's RELEASE", owner.release(0x100))?;
    fails("the owner's second", owner.release(0x100), Errno::BUSY)
}

fn last_release_then_destroy() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    works("RELEASE", holder.release(id))?;
    notice(&owner, Notice::Released, 0x100)?;
    works("NODES_DESTROY", owner.destroy(&[0x100]))?;
    notice(&owner, Notice::Destroyed, 0x100)?;
    empty(&owner)?;
    empty(&holder)
}

fn many_peers_die() -> Verdict {
    const PEERS: usize = 40;
    let parent = Peer::open()?;
    let peers = (0..PEERS)
        .map(|_| Peer::open())
        .collect::<Verdict<Vec<_>>>()?;
    let mut expected = Vec::new();
    for (n, peer) in peers.iter().enumerate() {
        expected.push(parent.meets(peer, 0x100)?);
        for step in 1..=5 {
            peer.transfer(0x100, &peers[(n + step) % PEERS])?;
        }
    }
    std::thread::scope(|scope| {
        let mut rest = peers;
        while !rest.is_empty() {
            let some = rest.split_off(rest.len().saturating_sub(PEERS / 4));
            scope.spawn(move || drop(some));
        }
    });
    let mut told = Vec::new();
    for _ in 0..PEERS {
        let msg = next(&parent)?;
        equal("type", msg.type_, BUS1_MSG_NODE_DESTROY)?;
        check("one transaction for each peer", !continues(&msg))?;
        told.push(msg.destination);
    }
    empty(&parent)?;
    told.sort_unstable();
    equal("who has died", told, expected)
}
