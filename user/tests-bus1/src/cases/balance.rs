// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is taken is given back: each case does something more often than the
//! limits of its peers would allow if each time left a little behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bus1_sys::{bus1_cmd_peer_reset, BUS1_HANDLE_INVALID};
use rustix::io::Errno;

use super::cases;
use crate::expect::{data, empty, notice, payload, Notice};
use crate::raw::{need_reset, Mail, Peer, KEEP};
use crate::verdict::{check, equal, fails, works, wrong, Verdict};

cases! {
    #[long] failed_sends_give_everything_back,
    #[long] refused_receipts_give_everything_back,
    #[long] one_handle_is_charged_once,
    #[long] dead_nodes_give_their_charges_back,
    #[long] dropped_messages_give_everything_back,
    #[long] disconnect_races_with_everything,
}

/// How often: several times more than the limits below would bear.
const TIMES: u32 = 400;

/// A peer that can hold next to nothing.
fn small() -> Verdict<Peer> {
    let peer = Peer::open()?;
    need_reset(&peer)?;
    let limits = bus1_cmd_peer_reset {
        max_slices: 15,
        max_handles: 100,
        max_inflight_bytes: 1 << 20,
        max_inflight_fds: 15,
        ..KEEP
    };
    works("RESET", peer.reset(limits))?;
    Ok(peer)
}

fn failed_sends_give_everything_back() -> Verdict {
    let (sender, good, dead) = (small()?, small()?, small()?);
    let to = [sender.meets(&good, 0x10)?, sender.meets(&dead, 0x10)?];
    works("NODES_DESTROY", dead.destroy(&[0x10]))?;
    notice(&sender, Notice::Destroyed, to[1])?;
    let bytes = vec![1; 16 << 10];
    let handles: Vec<u64> = (1..=4).map(|n| n << 8).collect();
    let mail = Mail {
        to: &to,
        payload: &[&bytes],
        handles: &handles,
        fds: &[2, 2],
        flags: 0,
    };
    // Making nodes is slow where allocations are.
    for _ in 0..TIMES / 4 {
        fails("SEND", sender.send(&mail), Errno::HOSTUNREACH)?;
    }
    empty(&good)?;
    works("SEND", sender.say(to[0], &bytes))?;
    payload(&good, 0x10, &bytes)?;
    fails(
        "no node was left behind",
        sender.release(handles[0]),
        Errno::BUSY,
    )
}

fn refused_receipts_give_everything_back() -> Verdict {
    let (sender, peer) = (Peer::open()?, small()?);
    let to = [sender.meets(&peer, 0x10)?];
    let gift = [0x20];
    let mail = Mail {
        to: &to,
        payload: &[b"kept"],
        handles: &gift,
        fds: &[2],
        flags: 0,
    };
    works("SEND", sender.send(&mail))?;
    for _ in 0..TIMES {
        fails("RECV", peer.recv_with(0, 0), Errno::RANGE)?;
    }
    let msg = data(&peer, 0x10)?;
    let id = peer.handles(&msg)[0];
    equal("the first number", id, 0x0b)?;
    works("RELEASE", peer.release(id))?;
    fails("RELEASE again", peer.release(id), Errno::NXIO)
}

fn one_handle_is_charged_once() -> Verdict {
    let (owner, holder) = (small()?, small()?);
    let id = owner.transfer(0x100, &holder)?;
    for _ in 1..TIMES {
        equal("ID", works("TRANSFER", owner.transfer(0x100, &holder))?, id)?;
    }
    for _ in 0..TIMES {
        works("RELEASE", holder.release(id))?;
    }
    fails("one RELEASE more", holder.release(id), Errno::NXIO)?;
    notice(&owner, Notice::Released, 0x100)
}

fn dead_nodes_give_their_charges_back() -> Verdict {
    let (owner, holder) = (small()?, small()?);
    for _ in 0..TIMES {
        let id = works("TRANSFER", owner.transfer(0x100, &holder))?;
        works("NODES_DESTROY", owner.destroy_and_release(&[0x100]))?;
        notice(&holder, Notice::Destroyed, id)?;
        works("RELEASE", holder.release(id))?;
    }
    empty(&owner)?;
    empty(&holder)
}

fn dropped_messages_give_everything_back() -> Verdict {
    let (sender, peer) = (small()?, small()?);
    let bytes = vec![1; 64 << 10];
    let gift = [0x20];
    for _ in 0..TIMES {
        let to = [works("TRANSFER", peer.transfer(0x10, &sender))?];
        let mail = Mail {
            to: &to,
            payload: &[&bytes],
            handles: &gift,
            fds: &[2],
            flags: 0,
        };
        works("SEND", sender.send(&mail))?;
        // The node dies before the message is read: the reader drops it.
        works("NODES_DESTROY", peer.destroy_and_release(&[0x10]))?;
        empty(&peer)?;
        notice(&sender, Notice::Destroyed, to[0])?;
        notice(&sender, Notice::Released, 0x20)?;
        works("RELEASE", sender.release(to[0]))?;
    }
    Ok(())
}

/// Repeats `call` until `stop`; each answer has to be one of these.
fn hammer<T>(
    what: &str,
    stop: &AtomicBool,
    allowed: &[Errno],
    call: impl Fn() -> Result<T, Errno>,
) -> Verdict {
    while !stop.load(Ordering::Relaxed) {
        match call() {
            Ok(_) => {}
            Err(errno) if allowed.contains(&errno) => {}
            Err(errno) => return Err(wrong(format_args!("{what}: {errno}"))),
        }
    }
    Ok(())
}

fn disconnect_races_with_everything() -> Verdict {
    for round in 0..20 {
        let (peer, sender) = (Peer::open()?, Peer::open()?);
        let to = sender.meets(&peer, 0x10)?;
        let stop = AtomicBool::new(false);
        let gone = [Errno::SHUTDOWN];
        let send = [Errno::HOSTUNREACH, Errno::DQUOT];
        let recv = [Errno::AGAIN, Errno::SHUTDOWN];
        let first = thread::scope(|scope| -> Verdict<usize> {
            let work = [
                scope.spawn(|| hammer("SEND", &stop, &send, || sender.say(to, b"racing"))),
                scope.spawn(|| hammer("TRANSFER", &stop, &gone, || sender.transfer(0x20, &peer))),
                scope.spawn(|| {
                    hammer("RECV", &stop, &recv, || {
                        let msg = peer.recv()?;
                        peer.slice_release(msg.offset)
                    })
                }),
            ];
            thread::sleep(Duration::from_millis(5 + round));
            let calls = [
                scope.spawn(|| peer.disconnect()),
                scope.spawn(|| peer.disconnect()),
            ];
            let calls = calls.map(|call| call.join().unwrap_or(Err(Errno::CANCELED)));
            stop.store(true, Ordering::Relaxed);
            for one in work {
                one.join().unwrap_or(Err(Errno::CANCELED.into()))?;
            }
            let lost = calls
                .iter()
                .filter(|one| **one == Err(Errno::SHUTDOWN))
                .count();
            check("the other is told that it came late", lost == 1)?;
            Ok(calls.iter().filter(|one| one.is_ok()).count())
        })?;
        equal("only one DISCONNECT has won", first, 1)?;
        fails("SEND", sender.say(to, b"x"), Errno::HOSTUNREACH)?;
        let passed = sender.transfer_with(0, to, u64::MAX);
        equal("TRANSFER of a dead node", passed, Ok(BUS1_HANDLE_INVALID))?;
    }
    Ok(())
}
