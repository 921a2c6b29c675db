// SPDX-License-Identifier: MIT OR Apache-2.0

//! Peers and processes that end while others still deal with them.

use std::time::{Duration, Instant};

use bus1_sys::{bus1_msg, BUS1_MSG_DATA, BUS1_MSG_NODE_DESTROY};
use rustix::io::Errno;

use super::cases;
use crate::expect::{data, empty, notice, payload, soon, Notice};
use crate::helper::Helper;
use crate::races;
use crate::raw::{Mail, Peer};
use crate::verdict::{check, equal, fails, skip, works, wrong, Verdict};

cases! {
    peer_lives_as_long_as_its_last_descriptor,
    sending_to_a_closed_peer,
    messages_of_a_closed_sender_stay,
    disconnect_is_like_close_to_others,
    #[long] client_killed_while_busy,
    #[long] destruction_races_with_a_handle_in_a_message,
    #[long] peers_come_and_go,
}

fn peer_lives_as_long_as_its_last_descriptor() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    let other = works("dup", owner.to_inherit())?;
    drop(owner);
    empty(&holder)?;
    works("SEND", holder.say(id, b"who is left"))?;
    let owner = Peer::from_fd(other)?;
    payload(&owner, 0x100, b"who is left")?;
    drop(owner);
    notice(&holder, Notice::Destroyed, id)
}

fn sending_to_a_closed_peer() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    works("SEND", holder.say(id, b"never read"))?;
    drop(owner);
    fails("SEND", holder.say(id, b"x"), Errno::HOSTUNREACH)?;
    notice(&holder, Notice::Destroyed, id)?;
    fails("SEND", holder.say(id, b"x"), Errno::HOSTUNREACH)?;
    works("RELEASE", holder.release(id))?;
    fails("SEND", holder.say(id, b"x"), Errno::NXIO)?;
    empty(&holder)
}

fn messages_of_a_closed_sender_stay() -> Verdict {
    let (sender, peer) = (Peer::open()?, Peer::open()?);
    let to = [sender.meets(&peer, 0x10)?];
    let gift = [0x20];
    let mail = Mail {
        to: &to,
        payload: &[b"legacy"],
        handles: &gift,
        ..Default::default()
    };
    works("SEND", sender.send(&mail))?;
    drop(sender);
    // The node in the message died with the sender, after the message.
    let msg = data(&peer, 0x10)?;
    equal("payload", peer.bytes(&msg), b"legacy".to_vec())?;
    let id = peer.handles(&msg)[0];
    check("the slot was valid at that time", id & 7 == 3)?;
    // The sender's only handle to 0x10 went with it, and so did its node: the
    // two notices are of one teardown, in an order that is not told.
    let told = [next_two(&peer)?, next_two(&peer)?];
    check(
        "its node is dead",
        told.contains(&(BUS1_MSG_NODE_DESTROY, id)),
    )?;
    check("its handle is gone", told.contains(&(3, 0x10)))?;
    empty(&peer)
}

fn next_two(peer: &Peer) -> Verdict<(u64, u64)> {
    let msg = works("RECV", peer.recv())?;
    Ok((msg.type_, msg.destination))
}

fn disconnect_is_like_close_to_others() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    let back = owner.meets(&holder, 0x10)?;
    works("SEND", owner.say(back, b"last words"))?;
    works("DISCONNECT", owner.disconnect())?;
    payload(&holder, 0x10, b"last words")?;
    let told = [next_two(&holder)?, next_two(&holder)?];
    check(
        "its node is dead",
        told.contains(&(BUS1_MSG_NODE_DESTROY, id)),
    )?;
    check("its handle is gone", told.contains(&(3, 0x10)))?;
    fails("SEND", holder.say(id, b"x"), Errno::HOSTUNREACH)?;
    drop(owner);
    empty(&holder)
}

/// Run in another process: sends to its parent's peer until it is killed.
pub fn busy_client(args: &[&str]) -> Verdict {
    let [parent] = args else {
        return Err(wrong("one descriptor is expected"));
    };
    let parent = Peer::inherited(parent)?;
    let peer = Peer::open()?;
    let there = [parent.transfer(0x200, &peer)?];
    peer.transfer(0x100, &parent)?;
    let bytes = [0x77; 300];
    loop {
        let mail = Mail {
            to: &there,
            payload: &[&bytes],
            handles: &[0x100],
            ..Default::default()
        };
        match peer.send(&mail) {
            Ok(()) | Err(Errno::DQUOT | Errno::XFULL) => {}
            Err(errno) => return Err(errno.into()),
        }
        if peer.say(0x300, &bytes).is_ok() {
            let msg = peer.recv()?;
            peer.slice_release(msg.offset)?;
        }
    }
}

/// Takes one message of the busy client; the ID of the node that it carries.
fn take(peer: &Peer, msg: &bus1_msg) -> Verdict<u64> {
    equal("destination", msg.destination, 0x200)?;
    equal("payload", peer.bytes(msg), vec![0x77; 300])?;
    let slots = peer.handles(msg);
    equal("slots", slots.len(), 1)?;
    works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
    Ok(slots[0])
}

fn client_killed_while_busy() -> Verdict {
    let peer = Peer::open()?;
    for round in 0..10 {
        let mut helper = Helper::start("busy-client", &[&peer])?;
        let mut references = 1;
        let id = take(&peer, &soon(&peer)?)?;
        let end = Instant::now() + Duration::from_millis(20 + 13 * round);
        while Instant::now() < end {
            equal("ID", take(&peer, &soon(&peer)?)?, id)?;
            references += 1;
        }
        helper.kill()?;
        references += 1;
        let mut told = 0;
        loop {
            match peer.recv() {
                Err(Errno::AGAIN) => break,
                Ok(msg) if msg.type_ == BUS1_MSG_DATA => {
                    equal("ID", take(&peer, &msg)?, id)?;
                    references += 1;
                }
                Ok(msg) if msg.type_ == BUS1_MSG_NODE_DESTROY => {
                    equal("which node is dead", msg.destination, id)?;
                    told += 1;
                }
                // The client's handle to this peer's node went with it.
                Ok(msg) => equal("which node is released", msg.destination, 0x200)?,
                Err(errno) => return Err(errno.into()),
            }
        }
        equal("notices of its death", told, 1)?;
        // One reference of the transfer, one of each message that came in.
        for _ in 0..references {
            works("RELEASE", peer.release(id))?;
        }
        fails("one RELEASE more", peer.release(id), Errno::NXIO)?;
    }
    works("SEND", peer.say(0x400, b"alive"))?;
    payload(&peer, 0x400, b"alive")
}

fn destruction_races_with_a_handle_in_a_message() -> Verdict {
    let mut report = races::Report::default();
    races::run(1440, Duration::from_secs(10), &mut report)?;
    eprintln!("# {}", report.describe());
    if !report.is_telling() {
        return skip(format!("no race: {}", report.describe()));
    }
    Ok(())
}

fn peers_come_and_go() -> Verdict {
    let stay = Peer::open()?;
    let end = Instant::now() + Duration::from_secs(2);
    let pass_by = || -> Verdict<u64> {
        let mut count = 0;
        while Instant::now() < end {
            let peer = Peer::open()?;
            let to = peer.meets(&stay, 0x10)?;
            works("SEND", peer.say(to, b"passing by"))?;
            stay.transfer(0x10, &peer)?;
            works("SEND to itself", peer.say(0x20, b"unread"))?;
            count += 1;
        }
        Ok(count)
    };
    let mut seen = 0;
    let sent = std::thread::scope(|scope| -> Verdict<u64> {
        let work: Vec<_> = (0..4).map(|_| scope.spawn(pass_by)).collect();
        while Instant::now() < end {
            seen += read_all(&stay)?;
            std::thread::sleep(Duration::from_micros(200));
        }
        let joined = work.into_iter().map(|one| one.join());
        joined
            .map(|one| one.unwrap_or(Err(Errno::CANCELED.into())))
            .sum::<Verdict<u64>>()
    })?;
    seen += read_all(&stay)?;
    equal("messages", seen, sent)?;
    works("SEND", stay.say(0x30, b"alive"))?;
    payload(&stay, 0x30, b"alive")
}

/// Empties the queue; the number of messages that were in it.
fn read_all(peer: &Peer) -> Verdict<u64> {
    let mut count = 0;
    loop {
        let msg = match peer.recv() {
            Err(Errno::AGAIN) => return Ok(count),
            other => other?,
        };
        if msg.type_ == BUS1_MSG_DATA {
            equal("payload", peer.bytes(&msg), b"passing by".to_vec())?;
            works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
            count += 1;
        }
    }
}
