// SPDX-License-Identifier: MIT OR Apache-2.0

//! Handles: IDs, references, and their travels in messages.

use bus1_sys::{bus1_cmd_peer_reset, BUS1_HANDLE_INVALID, DST_FD_SELF};
use rustix::io::Errno;

use super::cases;
use crate::expect::{data, empty, next, notice, payload, Notice};
use crate::raw::{Mail, Peer, KEEP};
use crate::verdict::{check, equal, fails, works, Verdict};

cases! {
    received_handle_is_usable,
    same_handle_in_slots_and_messages_counts_each,
    released_id_never_returns,
    handle_sent_home_is_the_owners_id,
    own_handle_in_flight_over_destruction,
    user_ids_at_the_edges,
    forged_ids_are_unknown,
    ids_are_private_to_a_peer,
    refused_ids_use_up_no_number,
    handle_of_a_dead_owner_arrives_invalid,
    invalid_slot_gives_no_reference,
    dead_slot_is_refused_on_send,
    transfer_to_a_peer_that_takes_no_handle,
    no_node_is_made_to_be_destroyed_beyond_a_limit,
}

/// Sends `handles` from `from` to the node `to`.
fn give(from: &Peer, to: u64, handles: &[u64]) -> Result<(), Errno> {
    from.send(&Mail {
        to: &[to],
        handles,
        ..Default::default()
    })
}

fn received_handle_is_usable() -> Verdict {
    let (owner, broker, user) = (Peer::open()?, Peer::open()?, Peer::open()?);
    let third = Peer::open()?;
    let known = broker.meets(&owner, 0x100)?;
    let to_user = broker.meets(&user, 0x10)?;
    works("SEND", give(&broker, to_user, &[known]))?;
    let msg = data(&user, 0x10)?;
    let slots = user.handles(&msg);
    equal("slots", slots.len(), 1)?;
    let got = slots[0];
    check("the ID is managed and remote", got & 7 == 3)?;

    works("sending to it", user.say(got, b"hi"))?;
    payload(&owner, 0x100, b"hi")?;
    let further = works("passing it on", user.transfer(got, &third))?;
    works("using that", third.say(further, b"from a third"))?;
    payload(&owner, 0x100, b"from a third")?;

    works("RELEASE by the broker", broker.release(known))?;
    works("RELEASE by the third", third.release(further))?;
    empty(&owner)?;
    works("RELEASE by the user", user.release(got))?;
    notice(&owner, Notice::Released, 0x100)?;
    fails(
        "sending to it afterwards",
        user.say(got, b"no"),
        Errno::NXIO,
    )
}

fn same_handle_in_slots_and_messages_counts_each() -> Verdict {
    let (sender, receiver) = (Peer::open()?, Peer::open()?);
    let to = sender.meets(&receiver, 0x10)?;
    works("SEND with two slots", give(&sender, to, &[0x20, 0x20]))?;
    works("SEND with one", give(&sender, to, &[0x20]))?;
    let first = receiver.handles(&data(&receiver, 0x10)?);
    let second = receiver.handles(&data(&receiver, 0x10)?);
    equal("number of slots", (first.len(), second.len()), (2, 1))?;
    equal("slots of one message", first[0], first[1])?;
    equal("slots of both", first[0], second[0])?;
    for count in 1..=3 {
        works(&format!("RELEASE {count}"), receiver.release(first[0]))?;
    }
    fails("RELEASE 4", receiver.release(first[0]), Errno::NXIO)
}

fn released_id_never_returns() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let mut last = 0;
    for _ in 0..3 {
        let id = works("TRANSFER", owner.transfer(0x100, &holder))?;
        check("a new, larger ID", id > last && id & 7 == 3)?;
        works("RELEASE", holder.release(id))?;
        if last != 0 {
            fails("an older ID", holder.release(last), Errno::NXIO)?;
            fails("sending to it", holder.say(last, b"x"), Errno::NXIO)?;
        }
        last = id;
    }
    Ok(())
}

fn handle_sent_home_is_the_owners_id() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    works("SEND", give(&holder, id, &[id]))?;
    let msg = data(&owner, 0x100)?;
    equal("slots", owner.handles(&msg), vec![0x100])?;
    works("the reference from the message", owner.release(0x100))?;
    fails("the pinned one", owner.release(0x100), Errno::BUSY)?;
    empty(&owner)?;
    works("RELEASE by the holder", holder.release(id))?;
    notice(&owner, Notice::Released, 0x100)
}

fn own_handle_in_flight_over_destruction() -> Verdict {
    let peer = Peer::open()?;
    works("SEND", give(&peer, 0x10, &[0x20]))?;
    works("NODES_DESTROY", peer.destroy_and_release(&[0x20]))?;
    let slots = peer.handles(&data(&peer, 0x10)?);
    equal("slots", slots.len(), 1)?;
    let id = slots[0];
    equal("flags of the ID: own, managed", id & 3, 1)?;
    notice(&peer, Notice::Destroyed, id)?;
    fails("sending to it", peer.say(id, b"x"), Errno::HOSTUNREACH)?;
    let passed = works("TRANSFER", peer.transfer_with(0, id, DST_FD_SELF))?;
    equal("passing it on", passed, BUS1_HANDLE_INVALID)?;
    works("RELEASE", peer.release(id))?;
    fails("RELEASE again", peer.release(id), Errno::NXIO)?;
    empty(&peer)
}

fn user_ids_at_the_edges() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    for id in [0, 4, 1 << 63, u64::MAX - 3] {
        let there = works(&format!("TRANSFER of {id:#x}"), owner.transfer(id, &holder))?;
        works("SEND", holder.say(there, b"edge"))?;
        payload(&owner, id, b"edge")?;
        works("NODES_DESTROY", owner.destroy_and_release(&[id]))?;
        notice(&holder, Notice::Destroyed, there)?;
        works("RELEASE", holder.release(there))?;
    }
    for id in [0, 4, u64::MAX - 3] {
        fails(
            &format!("RELEASE of unused {id:#x}"),
            owner.release(id),
            Errno::BUSY,
        )?;
    }
    Ok(())
}

fn forged_ids_are_unknown() -> Verdict {
    let (peer, other) = (Peer::open()?, Peer::open()?);
    for id in [1, 2, 3, 0x0b, 0x13, 0x11, 0x102, u64::MAX - 1, u64::MAX] {
        let what = |call| format!("{call} of {id:#x}");
        fails(&what("RELEASE"), peer.release(id), Errno::NXIO)?;
        fails(&what("TRANSFER"), peer.transfer(id, &other), Errno::NXIO)?;
        fails(&what("NODES_DESTROY"), peer.destroy(&[id]), Errno::NXIO)?;
        fails(&what("SEND"), peer.say(id, b"x"), Errno::NXIO)?;
        fails(&what("SEND with"), give(&peer, 0x100, &[id]), Errno::NXIO)?;
    }
    empty(&peer)?;
    empty(&other)
}

fn ids_are_private_to_a_peer() -> Verdict {
    let (owner, one, two) = (Peer::open()?, Peer::open()?, Peer::open()?);
    let first = owner.transfer(0x100, &one)?;
    fails("another peer's ID", two.say(first, b"x"), Errno::NXIO)?;
    // The same number is a node of each peer that uses it.
    works("an equal number", two.say(0x100, b"mine"))?;
    payload(&two, 0x100, b"mine")?;
    empty(&owner)
}

fn refused_ids_use_up_no_number() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    works("NODES_DESTROY", owner.destroy(&[0x100]))?;
    let dead = works("TRANSFER of a dead node", owner.transfer(0x100, &holder))?;
    equal("ID of a dead node", dead, BUS1_HANDLE_INVALID)?;
    fails("a forged ID", owner.transfer(0x0b, &holder), Errno::NXIO)?;
    equal("first ID", owner.transfer(0x104, &holder)?, 0x0b)
}

fn handle_of_a_dead_owner_arrives_invalid() -> Verdict {
    let (owner, holder, receiver) = (Peer::open()?, Peer::open()?, Peer::open()?);
    let to = holder.meets(&receiver, 0x10)?;
    let id = holder.meets(&owner, 0x100)?;
    drop(owner);
    notice(&holder, Notice::Destroyed, id)?;
    works("SEND", give(&holder, to, &[id]))?;
    let msg = data(&receiver, 0x10)?;
    equal("slots", receiver.handles(&msg), vec![BUS1_HANDLE_INVALID])?;
    let passed = works("TRANSFER", holder.transfer(id, &receiver))?;
    equal("TRANSFER of it", passed, BUS1_HANDLE_INVALID)?;
    empty(&receiver)?;
    fails("sending to it", holder.say(id, b"x"), Errno::HOSTUNREACH)?;
    works("RELEASE", holder.release(id))?;
    fails("RELEASE again", holder.release(id), Errno::NXIO)
}

fn invalid_slot_gives_no_reference() -> Verdict {
    let (sender, receiver) = (Peer::open()?, Peer::open()?);
    let to = sender.meets(&receiver, 0x10)?;
    works("NODES_DESTROY", sender.destroy(&[0x20]))?;
    notice(&sender, Notice::Destroyed, 0x20)?;
    works("SEND", give(&sender, to, &[0x20, 0x30]))?;
    let slots = receiver.handles(&data(&receiver, 0x10)?);
    equal("slots", slots, vec![BUS1_HANDLE_INVALID, 0x0b])?;
    works("RELEASE of the living", receiver.release(0x0b))?;
    fails("RELEASE again", receiver.release(0x0b), Errno::NXIO)?;
    notice(&sender, Notice::Released, 0x30)?;
    empty(&receiver)
}

fn dead_slot_is_refused_on_send() -> Verdict {
    let peer = Peer::open()?;
    let slots = [BUS1_HANDLE_INVALID];
    fails("SEND", give(&peer, 0x100, &slots), Errno::NXIO)?;
    empty(&peer)?;
    works("SEND", peer.say(0x100, b""))?;
    next(&peer).map(drop)
}

fn transfer_to_a_peer_that_takes_no_handle() -> Verdict {
    let (owner, other) = (Peer::open()?, Peer::open()?);
    let before = works("QUERY", other.query(Default::default()))?;
    let none = bus1_cmd_peer_reset {
        max_handles: 0,
        ..KEEP
    };
    works("RESET", other.reset(none))?;
    fails("TRANSFER", owner.transfer(0x10, &other), Errno::DQUOT)?;
    // Nothing is left of the node that the refused call would have made.
    fails("RELEASE", owner.release(0x10), Errno::BUSY)?;
    let as_before = bus1_cmd_peer_reset {
        max_handles: before.max_handles,
        ..KEEP
    };
    works("RESET", other.reset(as_before))?;
    let id = works("TRANSFER", owner.transfer(0x10, &other))?;
    works("sending to it", other.say(id, b"now"))?;
    payload(&owner, 0x10, b"now")
}

fn no_node_is_made_to_be_destroyed_beyond_a_limit() -> Verdict {
    let peer = Peer::open()?;
    let before = works("QUERY", peer.query(Default::default()))?;
    let none = bus1_cmd_peer_reset {
        max_handles: 0,
        ..KEEP
    };
    works("RESET", peer.reset(none))?;
    fails("NODES_DESTROY", peer.destroy(&[0x10]), Errno::DQUOT)?;
    empty(&peer)?;
    let as_before = bus1_cmd_peer_reset {
        max_handles: before.max_handles,
        ..KEEP
    };
    works("RESET", peer.reset(as_before))?;
    works("NODES_DESTROY", peer.destroy(&[0x10]))?;
    notice(&peer, Notice::Destroyed, 0x10)
}
