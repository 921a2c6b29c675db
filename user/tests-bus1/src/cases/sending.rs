// SPDX-License-Identifier: MIT OR Apache-2.0

//! SEND: limits of its arrays, results of its destinations, atomicity.

use bus1_sys::{bus1_cmd_send, BUS1_SEND_FLAG_CONTINUE};
use rustix::io::Errno;

use super::cases;
use crate::expect::{data, empty, notice, payload, Notice};
use crate::memory::{Area, Bad};
use crate::raw::{Errors, Mail, Peer};
use crate::verdict::{check, equal, fails, works, wrong, Verdict};

cases! {
    failed_send_leaves_no_node,
    failed_send_delivers_nothing,
    duplicate_destination_is_refused,
    results_tell_each_destination,
    continue_delivers_to_the_rest,
    continue_with_a_duplicate_delivers_the_first,
    unwritable_results_send_nothing,
    errors_before_the_destinations_leave_results_alone,
    counts_at_their_limits,
    vectors_at_their_limits,
    vector_outside_user_memory,
    arrays_that_end_in_an_unmapped_page,
    unreadable_payload_sends_nothing,
    #[long] multicasts_arrive_in_one_order,
    sends_of_one_peer_stay_in_order,
    sender_is_described,
}

/// The largest sum of vector lengths with pages of 4 KiB.
const MAX_RW_COUNT: u64 = 0x7fff_f000;

/// An untouched result.
const UNTOUCHED: i64 = 0x5a5a;

fn error(errno: Errno) -> i64 {
    -i64::from(errno.raw_os_error())
}

fn failed_send_leaves_no_node() -> Verdict {
    let (peer, other) = (Peer::open()?, Peer::open()?);
    let known = peer.meets(&other, 0x10)?;
    let before = peer.query(Default::default())?;
    let (to, handles) = ([0x200, known, 0x13], [0x300]);
    let mail = Mail {
        to: &to,
        handles: &handles,
        ..Default::default()
    };
    fails("SEND", peer.send(&mail), Errno::NXIO)?;
    empty(&peer)?;
    empty(&other)?;
    equal("limits", peer.query(Default::default())?, before)?;
    for id in [0x200, 0x300] {
        fails("RELEASE", peer.release(id), Errno::BUSY)?;
        let there = works("TRANSFER", peer.transfer(id, &other))?;
        works("RELEASE", other.release(there))?;
        notice(&peer, Notice::Released, id)?;
    }
    Ok(())
}

fn failed_send_delivers_nothing() -> Verdict {
    let (sender, good, dead) = (Peer::open()?, Peer::open()?, Peer::open()?);
    let to_good = sender.meets(&good, 0x10)?;
    let to_dead = sender.meets(&dead, 0x10)?;
    works("NODES_DESTROY", dead.destroy(&[0x10]))?;
    notice(&sender, Notice::Destroyed, to_dead)?;
    for to in [[to_good, to_dead], [to_dead, to_good]] {
        let mail = Mail {
            to: &to,
            payload: &[b"x"],
            ..Default::default()
        };
        fails("SEND", sender.send(&mail), Errno::HOSTUNREACH)?;
    }
    empty(&good)
}

fn duplicate_destination_is_refused() -> Verdict {
    let (sender, other) = (Peer::open()?, Peer::open()?);
    let id = sender.meets(&other, 0x10)?;
    for to in [[id, id], [0x100, 0x100]] {
        let mail = Mail {
            to: &to,
            ..Default::default()
        };
        fails("SEND", sender.send(&mail), Errno::NOTUNIQ)?;
    }
    empty(&other)?;
    empty(&sender)
}

/// A sender with a good, a dead and a forged destination, and their owners.
fn three_destinations() -> Verdict<(Peer, Peer, Peer, [u64; 3])> {
    let (sender, good, dead) = (Peer::open()?, Peer::open()?, Peer::open()?);
    let to_good = sender.meets(&good, 0x10)?;
    let to_dead = sender.meets(&dead, 0x10)?;
    works("NODES_DESTROY", dead.destroy(&[0x10]))?;
    notice(&sender, Notice::Destroyed, to_dead)?;
    Ok((sender, good, dead, [to_dead, 0x1003, to_good]))
}

fn results_tell_each_destination() -> Verdict {
    let (sender, good, _dead, to) = three_destinations()?;
    let mut results = [UNTOUCHED; 4];
    let mail = Mail {
        to: &to,
        payload: &[b"x"],
        ..Default::default()
    };
    let result = sender.send_and_tell(&mail, Errors::Array(&mut results));
    fails("SEND: the first error", result, Errno::HOSTUNREACH)?;
    let wanted = [error(Errno::HOSTUNREACH), error(Errno::NXIO), 0, UNTOUCHED];
    equal("results", results, wanted)?;
    empty(&good)?;

    let mail = Mail {
        to: &to[2..],
        payload: &[b"y"],
        ..Default::default()
    };
    let mut results = [UNTOUCHED; 2];
    works(
        "SEND",
        sender.send_and_tell(&mail, Errors::Array(&mut results)),
    )?;
    equal("results", results, [0, UNTOUCHED])?;
    payload(&good, 0x10, b"y")
}

fn continue_delivers_to_the_rest() -> Verdict {
    let (sender, good, _dead, to) = three_destinations()?;
    let mut results = [UNTOUCHED; 3];
    let flags = BUS1_SEND_FLAG_CONTINUE;
    let mail = Mail {
        to: &to,
        payload: &[b"x"],
        flags,
        ..Default::default()
    };
    works(
        "SEND",
        sender.send_and_tell(&mail, Errors::Array(&mut results)),
    )?;
    let wanted = [error(Errno::HOSTUNREACH), error(Errno::NXIO), 0];
    equal("results", results, wanted)?;
    payload(&good, 0x10, b"x")?;
    works("SEND without results", sender.send(&mail))?;
    payload(&good, 0x10, b"x")?;
    empty(&good)
}

fn continue_with_a_duplicate_delivers_the_first() -> Verdict {
    let (sender, other) = (Peer::open()?, Peer::open()?);
    let id = sender.meets(&other, 0x10)?;
    let (to, flags) = ([id, id], BUS1_SEND_FLAG_CONTINUE);
    let mut results = [UNTOUCHED; 2];
    let mail = Mail {
        to: &to,
        payload: &[b"x"],
        flags,
        ..Default::default()
    };
    works(
        "SEND",
        sender.send_and_tell(&mail, Errors::Array(&mut results)),
    )?;
    equal("results", results, [0, error(Errno::NOTUNIQ)])?;
    payload(&other, 0x10, b"x")?;
    empty(&other)
}

fn unwritable_results_send_nothing() -> Verdict {
    let (sender, other) = (Peer::open()?, Peer::open()?);
    let to = [sender.meets(&other, 0x10)?];
    for bad in &[Bad::kernel(), Bad::no_access()?] {
        for flags in [0, BUS1_SEND_FLAG_CONTINUE] {
            let mail = Mail {
                to: &to,
                payload: &[b"x"],
                flags,
                ..Default::default()
            };
            let result = sender.send_and_tell(&mail, Errors::Bad(bad));
            fails("SEND", result, Errno::FAULT)?;
            empty(&other)?;
        }
    }
    Ok(())
}

fn errors_before_the_destinations_leave_results_alone() -> Verdict {
    let (sender, other) = (Peer::open()?, Peer::open()?);
    let to = [sender.meets(&other, 0x10)?];
    let bad = [
        (
            Mail {
                to: &to,
                handles: &[0x13],
                ..Default::default()
            },
            Errno::NXIO,
        ),
        (
            Mail {
                to: &to,
                fds: &[-1],
                ..Default::default()
            },
            Errno::BADF,
        ),
        (
            Mail {
                to: &to,
                flags: 1 << 40,
                ..Default::default()
            },
            Errno::INVAL,
        ),
    ];
    for (mail, errno) in bad {
        let mut results = [UNTOUCHED];
        let result = sender.send_and_tell(&mail, Errors::Array(&mut results));
        fails("SEND", result, errno)?;
        equal("results", results, [UNTOUCHED])?;
        empty(&other)?;
    }
    Ok(())
}

/// The module parameter that bounds counts; a peer's own limit has the same
/// value unless somebody has changed it.
fn handles_max(peer: &Peer) -> Verdict<u64> {
    let path = "/sys/module/bus1/parameters/user_handles_max";
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().parse().map_err(wrong)?),
        Err(_) => Ok(peer.query(Default::default())?.max_handles.into()),
    }
}

fn counts_at_their_limits() -> Verdict {
    let peer = Peer::open()?;
    let limit = handles_max(&peer)?;
    let ids = [0x100];
    let with = |change: &dyn Fn(&mut bus1_cmd_send)| {
        let mut arg = bus1_cmd_send {
            ptr_destinations: ids.as_ptr() as u64,
            n_destinations: 1,
            ..Default::default()
        };
        change(&mut arg);
        peer.send_with(arg, Errors::None)
    };
    fails(
        "1025 vectors",
        with(&|arg| arg.n_vecs = 1025),
        Errno::MSGSIZE,
    )?;
    fails("257 files", with(&|arg| arg.n_fds = 257), Errno::MSGSIZE)?;
    let huge = [1_u64 << 31, 1 << 32, 1 << 61, 1 << 63, u64::MAX];
    for n in huge {
        let what = |which| format!("{n:#x} {which}");
        fails(
            &what("destinations"),
            with(&|arg| arg.n_destinations = n),
            Errno::MSGSIZE,
        )?;
        fails(
            &what("handles"),
            with(&|arg| arg.n_handles = n),
            Errno::MSGSIZE,
        )?;
        fails(
            &what("vectors"),
            with(&|arg| arg.n_vecs = n),
            Errno::MSGSIZE,
        )?;
        fails(&what("files"), with(&|arg| arg.n_fds = n), Errno::MSGSIZE)?;
    }
    let n = limit + 1;
    fails(
        "destinations above the limit",
        with(&|arg| arg.n_destinations = n),
        Errno::INVAL,
    )?;
    fails(
        "handles above the limit",
        with(&|arg| arg.n_handles = n),
        Errno::MSGSIZE,
    )?;
    let nodes = peer.destroy_with(0, ids.as_ptr() as u64, n);
    fails("nodes above the limit", nodes, Errno::INVAL)?;
    empty(&peer)?;
    most_of_all(&peer)
}

/// As much in one message as there can be of vectors and files.
fn most_of_all(peer: &Peer) -> Verdict {
    let parts: Vec<&[u8]> = vec![b"ab"; 1024];
    let files = vec![2; 256];
    let mail = Mail {
        to: &[0x100],
        payload: &parts,
        fds: &files,
        ..Default::default()
    };
    works("1024 vectors and 256 files", peer.send(&mail))?;
    let msg = data(peer, 0x100)?;
    equal("payload", peer.bytes(&msg), b"ab".repeat(1024))
}

/// SEND to an own node with these raw vectors.
fn send_vectors(peer: &Peer, vectors: &[(u64, u64)]) -> Result<(), Errno> {
    let to = [0x100_u64];
    let raw: Vec<u64> = vectors.iter().flat_map(|(at, len)| [*at, *len]).collect();
    let arg = bus1_cmd_send {
        ptr_destinations: to.as_ptr() as u64,
        n_destinations: 1,
        ptr_vecs: raw.as_ptr() as u64,
        n_vecs: vectors.len() as u64,
        ..Default::default()
    };
    peer.send_with(arg, Errors::None)
}

fn vectors_at_their_limits() -> Verdict {
    let peer = Peer::open()?;
    let bytes = [7_u8; 64];
    let at = bytes.as_ptr() as u64;
    works(
        "vectors of no length",
        send_vectors(&peer, &[(at, 0), (at, 3), (at, 0)]),
    )?;
    payload(&peer, 0x100, &[7; 3])?;
    works("no length at all", send_vectors(&peer, &[(at, 0), (0, 0)]))?;
    payload(&peer, 0x100, b"")?;
    let negative = send_vectors(&peer, &[(at, 1 << 63)]);
    fails("a negative length", negative, Errno::MSGSIZE)?;
    let much = send_vectors(&peer, &[(at, MAX_RW_COUNT - 63), (at, 64)]);
    fails("a sum above the limit", much, Errno::MSGSIZE)?;
    let large = send_vectors(&peer, &[(at, MAX_RW_COUNT - 64), (at, 64)]);
    check(
        "a sum at the limit does not fit either, for its size or for what is readable",
        matches!(large, Err(Errno::MSGSIZE | Errno::FAULT)),
    )?;
    empty(&peer)
}

fn vector_outside_user_memory() -> Verdict {
    let peer = Peer::open()?;
    for bad in &[Bad::kernel(), Bad::no_access()?] {
        let vectors = [(bad.address() as u64, 64)];
        fails("SEND", send_vectors(&peer, &vectors), Errno::FAULT)?;
    }
    empty(&peer)
}

fn arrays_that_end_in_an_unmapped_page() -> Verdict {
    let peer = Peer::open()?;
    let (_ids, at) = Area::ending_with(&[0x100, 0x104])?;
    let base = bus1_cmd_send {
        ptr_destinations: at,
        n_destinations: 2,
        ..Default::default()
    };
    let cases = [
        (
            "destinations",
            bus1_cmd_send {
                n_destinations: 3,
                ..base
            },
        ),
        (
            "vectors",
            bus1_cmd_send {
                ptr_vecs: at,
                n_vecs: 2,
                ..base
            },
        ),
        (
            "handles",
            bus1_cmd_send {
                ptr_handles: at,
                n_handles: 3,
                ..base
            },
        ),
        (
            "files",
            bus1_cmd_send {
                ptr_fds: at + 12,
                n_fds: 2,
                ..base
            },
        ),
    ];
    for (what, arg) in cases {
        let result = peer.send_with(arg, Errors::None);
        fails(what, result, Errno::FAULT)?;
        empty(&peer)?;
    }
    works("none too long", peer.send_with(base, Errors::None))?;
    peer.recv()?;
    payload(&peer, 0x104, b"")
}

fn unreadable_payload_sends_nothing() -> Verdict {
    let (sender, one, two) = (Peer::open()?, Peer::open()?, Peer::open()?);
    let to = [sender.meets(&one, 0x10)?, sender.meets(&two, 0x10)?];
    let bytes = [1_u8; 32];
    let (_area, end) = Area::ending_with(&[2])?;
    let vectors = [bytes.as_ptr() as u64, 32, end, 9];
    let mut arg = bus1_cmd_send {
        ptr_destinations: to.as_ptr() as u64,
        n_destinations: 2,
        ptr_vecs: vectors.as_ptr() as u64,
        n_vecs: 2,
        ..Default::default()
    };
    fails("SEND", sender.send_with(arg, Errors::None), Errno::FAULT)?;
    arg.flags = BUS1_SEND_FLAG_CONTINUE;
    fails(
        "with CONTINUE",
        sender.send_with(arg, Errors::None),
        Errno::FAULT,
    )?;
    empty(&one)?;
    empty(&two)
}

fn multicasts_arrive_in_one_order() -> Verdict {
    const ROUNDS: u32 = 100;
    let senders = [Peer::open()?, Peer::open()?, Peer::open()?];
    let queues = [Peer::open()?, Peer::open()?, Peer::open()?];
    let result: Verdict<Vec<()>> = std::thread::scope(|scope| {
        let mut work = Vec::new();
        for (name, sender) in (0_u32..).zip(&senders) {
            let mut to = Vec::new();
            for queue in &queues {
                to.push(sender.meets(queue, 0x10)?);
            }
            work.push(scope.spawn(move || -> Verdict {
                for round in 0..ROUNDS {
                    let word = (name << 16 | round).to_ne_bytes();
                    // All three, or a pair that leaves out another one each time.
                    let mut to = to.clone();
                    if round % 2 == 1 {
                        to.remove((round / 2 % 3) as usize);
                    }
                    let mail = Mail {
                        to: &to,
                        payload: &[&word],
                        ..Default::default()
                    };
                    works("SEND", sender.send(&mail))?;
                }
                Ok(())
            }));
        }
        work.into_iter()
            .map(|one| one.join().unwrap_or(Err(Errno::CANCELED.into())))
            .collect()
    });
    result?;
    let logs = queues.iter().map(drain).collect::<Verdict<Vec<_>>>()?;
    let total: usize = logs.iter().map(Vec::len).sum();
    equal("messages in all", total, 3 * (ROUNDS as usize / 2 * 5))?;
    for (one, two) in [(0, 1), (1, 2), (0, 2)] {
        let shared = |log: &[u32], other: &[u32]| -> Vec<u32> {
            let other: std::collections::HashSet<&u32> = other.iter().collect();
            log.iter()
                .filter(|word| other.contains(word))
                .copied()
                .collect()
        };
        let left = shared(&logs[one], &logs[two]);
        let right = shared(&logs[two], &logs[one]);
        check(&format!("queues {one} and {two} agree"), left == right)?;
        check("they share something", !left.is_empty())?;
    }
    Ok(())
}

/// All words in a queue.
fn drain(peer: &Peer) -> Verdict<Vec<u32>> {
    let mut log = Vec::new();
    loop {
        let msg = match peer.recv() {
            Err(Errno::AGAIN) => return Ok(log),
            other => other?,
        };
        let word = peer.bytes(&msg).try_into().map_err(|_| Errno::PROTO)?;
        log.push(u32::from_ne_bytes(word));
        works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
    }
}

fn sends_of_one_peer_stay_in_order() -> Verdict {
    let (sender, one, two) = (Peer::open()?, Peer::open()?, Peer::open()?);
    let both = [sender.meets(&one, 0x10)?, sender.meets(&two, 0x10)?];
    for round in 0..200_u32 {
        let to = if round % 3 == 0 {
            &both[..]
        } else {
            &both[..1]
        };
        let word = round.to_ne_bytes();
        let mail = Mail {
            to,
            payload: &[&word],
            ..Default::default()
        };
        works("SEND", sender.send(&mail))?;
    }
    equal("the first queue", drain(&one)?, (0..200).collect())?;
    equal(
        "the second queue",
        drain(&two)?,
        (0..200).step_by(3).collect(),
    )
}

fn sender_is_described() -> Verdict {
    let peer = Peer::open()?;
    works("SEND", peer.say(0x100, b"me"))?;
    let msg = data(&peer, 0x100)?;
    equal("uid", msg.uid, rustix::process::getuid().as_raw())?;
    equal("gid", msg.gid, rustix::process::getgid().as_raw())?;
    equal("pid", msg.pid, std::process::id())?;
    let tid = rustix::thread::gettid().as_raw_nonzero().get();
    equal("tid", msg.tid, tid.unsigned_abs())?;
    equal("security context", msg.n_secctx, 0)?;
    let node = peer.transfer_with(0, 0x200, u64::MAX)?;
    works("RELEASE", peer.release(node))?;
    let msg = peer.recv()?;
    equal("ids of a notice", (msg.uid, msg.gid), (u32::MAX, u32::MAX))?;
    equal("processes of a notice", (msg.pid, msg.tid), (0, 0))?;
    equal(
        "its parts",
        (msg.n_bytes, msg.n_handles, msg.n_fds),
        (0, 0, 0),
    )?;
    equal("its offset", msg.offset, u64::MAX)
}
