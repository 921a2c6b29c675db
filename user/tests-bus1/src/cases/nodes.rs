// SPDX-License-Identifier: MIT OR Apache-2.0

//! Nodes: notices of their release and destruction, and what they do to messages.

use bus1_sys::{
    BUS1_HANDLE_INVALID, BUS1_MSG_FLAG_CONTINUE, BUS1_NODES_DESTROY_FLAG_RELEASE_HANDLES,
};
use rustix::io::Errno;

use super::cases;
use crate::expect::{data, empty, notice, notice_with, payload, Notice};
use crate::memory::Area;
use crate::raw::{Mail, Peer};
use crate::verdict::{equal, fails, works, Verdict};

cases! {
    release_notice_is_withdrawn_by_a_transfer,
    release_notice_is_withdrawn_by_destruction,
    release_notice_once_delivered_stays,
    handle_in_flight_holds_back_the_notice,
    handle_in_flight_is_released_with_its_receiver,
    destroy_with_release_is_silent,
    destroy_ends_the_queue_of_a_node,
    destroy_of_several_is_one_transaction,
    destroy_of_an_unused_id,
    destroy_of_nothing,
    #[long] close_tells_all_holders_in_creation_order,
    destroy_errors_have_no_effect,
    destroy_array_ends_in_an_unmapped_page,
    message_then_destroy_by_one_owner,
    message_then_release_by_one_holder,
}

fn release_notice_is_withdrawn_by_a_transfer() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    works("RELEASE", holder.release(id))?;
    let id = works("TRANSFER", owner.transfer(0x100, &holder))?;
    empty(&owner)?;
    works("RELEASE", holder.release(id))?;
    notice(&owner, Notice::Released, 0x100)?;
    empty(&owner)
}

fn release_notice_is_withdrawn_by_destruction() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    works("RELEASE", holder.release(id))?;
    works("NODES_DESTROY", owner.destroy(&[0x100]))?;
    notice(&owner, Notice::Destroyed, 0x100)?;
    empty(&owner)
}

fn release_notice_once_delivered_stays() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    works("RELEASE", holder.release(id))?;
    notice(&owner, Notice::Released, 0x100)?;
    let id = works("TRANSFER", owner.transfer(0x100, &holder))?;
    empty(&owner)?;
    works("RELEASE", holder.release(id))?;
    notice(&owner, Notice::Released, 0x100)
}

fn handle_in_flight_holds_back_the_notice() -> Verdict {
    let (owner, holder, receiver) = (Peer::open()?, Peer::open()?, Peer::open()?);
    let to = [holder.meets(&receiver, 0x10)?];
    let id = [holder.meets(&owner, 0x100)?];
    works(
        "SEND",
        holder.send(&Mail {
            to: &to,
            handles: &id,
            ..Default::default()
        }),
    )?;
    works("RELEASE by the sender", holder.release(id[0]))?;
    empty(&owner)?;
    let slots = receiver.handles(&data(&receiver, 0x10)?);
    empty(&owner)?;
    works("RELEASE by the receiver", receiver.release(slots[0]))?;
    notice(&owner, Notice::Released, 0x100)
}

fn handle_in_flight_is_released_with_its_receiver() -> Verdict {
    let (owner, holder, receiver) = (Peer::open()?, Peer::open()?, Peer::open()?);
    let to = [holder.meets(&receiver, 0x10)?];
    let id = [holder.meets(&owner, 0x100)?];
    works(
        "SEND",
        holder.send(&Mail {
            to: &to,
            handles: &id,
            ..Default::default()
        }),
    )?;
    works("RELEASE by the sender", holder.release(id[0]))?;
    empty(&owner)?;
    drop(receiver);
    notice(&owner, Notice::Released, 0x100)?;
    notice(&holder, Notice::Destroyed, to[0])
}

fn destroy_with_release_is_silent() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    works("SEND", holder.say(id, b"too late"))?;
    works("NODES_DESTROY", owner.destroy_and_release(&[0x100]))?;
    empty(&owner)?;
    notice(&holder, Notice::Destroyed, id)?;
    fails("sending to it", holder.say(id, b"x"), Errno::HOSTUNREACH)?;
    // The number is free again and names another node.
    let other = works("TRANSFER", owner.transfer(0x100, &holder))?;
    equal("it is another handle", other != id, true)?;
    works("SEND to the new one", holder.say(other, b"new"))?;
    payload(&owner, 0x100, b"new")?;
    fails("the old one", holder.say(id, b"x"), Errno::HOSTUNREACH)?;
    works("RELEASE of the old one", holder.release(id))?;
    empty(&owner)
}

fn destroy_ends_the_queue_of_a_node() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    works("SEND", holder.say(id, b"one"))?;
    works("SEND", holder.say(id, b"two"))?;
    works("NODES_DESTROY", owner.destroy(&[0x100]))?;
    fails("SEND afterwards", holder.say(id, b"x"), Errno::HOSTUNREACH)?;
    fails(
        "SEND by the owner",
        owner.say(0x100, b"x"),
        Errno::HOSTUNREACH,
    )?;
    payload(&owner, 0x100, b"one")?;
    payload(&owner, 0x100, b"two")?;
    notice(&owner, Notice::Destroyed, 0x100)?;
    empty(&owner)?;
    let (to, dead) = ([0x200], [0x100]);
    works(
        "SEND",
        owner.send(&Mail {
            to: &to,
            handles: &dead,
            ..Default::default()
        }),
    )?;
    let msg = data(&owner, 0x200)?;
    equal(
        "a slot for it",
        owner.handles(&msg),
        vec![BUS1_HANDLE_INVALID],
    )?;
    works("RELEASE", owner.release(0x100))?;
    fails(
        "RELEASE of the free number",
        owner.release(0x100),
        Errno::BUSY,
    )
}

fn destroy_of_several_is_one_transaction() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let nodes = [0x300, 0x100, 0x200];
    let mut ids = Vec::new();
    for node in nodes {
        ids.push(holder.meets(&owner, node)?);
    }
    works("NODES_DESTROY", owner.destroy(&nodes))?;
    for (peer, ids) in [(&owner, &nodes[..]), (&holder, &ids[..])] {
        for (n, id) in ids.iter().enumerate() {
            let flags = if n < 2 { BUS1_MSG_FLAG_CONTINUE } else { 0 };
            notice_with(peer, Notice::Destroyed, *id, flags)?;
        }
        empty(peer)?;
    }
    Ok(())
}

fn destroy_of_an_unused_id() -> Verdict {
    let peer = Peer::open()?;
    works("NODES_DESTROY", peer.destroy(&[0x100]))?;
    notice(&peer, Notice::Destroyed, 0x100)?;
    fails("destroying it again", peer.destroy(&[0x100]), Errno::STALE)?;
    works("RELEASE", peer.release(0x100))?;
    works(
        "NODES_DESTROY with RELEASE",
        peer.destroy_and_release(&[0x104]),
    )?;
    empty(&peer)
}

fn destroy_of_nothing() -> Verdict {
    let peer = Peer::open()?;
    works("no nodes", peer.destroy(&[]))?;
    works("no nodes, a bad pointer", peer.destroy_with(0, 1, 0))?;
    let flag = BUS1_NODES_DESTROY_FLAG_RELEASE_HANDLES;
    works("the same with a flag", peer.destroy_with(flag, u64::MAX, 0))?;
    empty(&peer)
}

fn close_tells_all_holders_in_creation_order() -> Verdict {
    const NODES: u64 = 300;
    let owner = Peer::open()?;
    let holders = [Peer::open()?, Peer::open()?, Peer::open()?];
    let mut ids = [Vec::new(), Vec::new(), Vec::new()];
    for node in 0..NODES {
        // Spread, so that creation order is not the order of the numbers.
        let id = (node * 0x9e37_79b9 % (1 << 32)) << 2;
        for (holder, ids) in holders.iter().zip(&mut ids) {
            ids.push(works("TRANSFER", owner.transfer(id, holder))?);
        }
    }
    drop(owner);
    for (holder, ids) in holders.iter().zip(&ids) {
        for (n, id) in (1..).zip(ids) {
            let flags = if n < NODES { BUS1_MSG_FLAG_CONTINUE } else { 0 };
            notice_with(holder, Notice::Destroyed, *id, flags)?;
        }
        empty(holder)?;
    }
    Ok(())
}

fn destroy_errors_have_no_effect() -> Verdict {
    let (owner, other) = (Peer::open()?, Peer::open()?);
    let holder = Peer::open()?;
    let foreign = owner.meets(&other, 0x100)?;
    works("NODES_DESTROY", owner.destroy(&[0x500]))?;
    notice(&owner, Notice::Destroyed, 0x500)?;
    let good = [0x10, 0x20, 0x30];
    let mut ids = Vec::new();
    for node in good {
        ids.push(holder.meets(&owner, node)?);
    }
    let bad = [
        (0x13, Errno::NXIO),
        (BUS1_HANDLE_INVALID, Errno::NXIO),
        (foreign, Errno::REMOTE),
        (0x500, Errno::STALE),
    ];
    for (id, errno) in bad {
        for place in 0..=3 {
            let mut nodes = good.to_vec();
            nodes.insert(place, id);
            let what = format!("{id:#x} at place {place}");
            fails(&what, owner.destroy(&nodes), errno)?;
        }
    }
    for place in 1..=3 {
        let mut nodes = good.to_vec();
        nodes.insert(place, 0x10);
        let what = format!("a duplicate at place {place}");
        fails(&what, owner.destroy(&nodes), Errno::NOTUNIQ)?;
    }
    empty(&owner)?;
    empty(&holder)?;
    for (node, id) in good.iter().zip(&ids) {
        works("SEND", holder.say(*id, b"alive"))?;
        payload(&owner, *node, b"alive")?;
    }
    works("NODES_DESTROY of the good ones", owner.destroy(&good))
}

fn destroy_array_ends_in_an_unmapped_page() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    let (_area, address) = Area::ending_with(&[0x100, 0x104])?;
    let result = owner.destroy_with(0, address, 3);
    fails("one element too many", result, Errno::FAULT)?;
    empty(&owner)?;
    empty(&holder)?;
    works("SEND", holder.say(id, b"alive"))?;
    payload(&owner, 0x100, b"alive")?;
    works("just the right number", owner.destroy_with(0, address, 2))?;
    notice(&holder, Notice::Destroyed, id)
}

fn message_then_destroy_by_one_owner() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let node = holder.meets(&owner, 0x100)?;
    let to = owner.meets(&holder, 0x10)?;
    for round in 0..100_u8 {
        works("SEND", owner.say(to, &[round]))?;
    }
    works("NODES_DESTROY", owner.destroy(&[0x100]))?;
    works("SEND", owner.say(to, b"after"))?;
    for round in 0..100_u8 {
        payload(&holder, 0x10, &[round])?;
    }
    notice(&holder, Notice::Destroyed, node)?;
    payload(&holder, 0x10, b"after")?;
    empty(&holder)
}

fn message_then_release_by_one_holder() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let kept = holder.meets(&owner, 0x10)?;
    let id = holder.meets(&owner, 0x100)?;
    works("SEND", holder.say(id, b"before"))?;
    works("RELEASE", holder.release(id))?;
    works("SEND", holder.say(kept, b"after"))?;
    payload(&owner, 0x100, b"before")?;
    notice(&owner, Notice::Released, 0x100)?;
    payload(&owner, 0x10, b"after")?;
    empty(&owner)
}
