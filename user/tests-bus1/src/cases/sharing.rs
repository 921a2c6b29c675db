// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who may have how much of a peer: users that never let go, and who comes after them.
//!
//! Peers of many users are opened here, each by a thread that has become that user. Whoever uses a
//! peer later does not matter: who opened it pays.

#![forbid(unsafe_code)]

use std::thread;

use rustix::io::Errno;
use rustix::process::{getrlimit, getuid, setrlimit, Resource, Rlimit, Uid};
use rustix::thread::set_thread_res_uid;

use super::cases;
use super::optional::figure;
use crate::budget::Budget;
use crate::expect::soon;
use crate::raw::{Peer, KEEP};
use crate::tap::is_slow;
use crate::verdict::{check, equal, fails, skip, works, wrong, Verdict};

cases! {
    #[long] a_newcomer_after_10_users_that_never_let_go,
    #[long] a_newcomer_after_100_users_that_never_let_go,
    #[long] a_newcomer_after_1000_users_that_never_let_go,
    #[long] bytes_are_left_for_a_newcomer,
    #[long] what_is_promised_by_default_is_kept,
    #[long] peers_of_one_user_have_one_claim,
    #[long] what_was_sent_is_read_whatever_is_exhausted,
    #[long] a_slow_reader_costs_its_neighbours_nothing,
    a_receiver_can_not_take_what_it_promises,
    limits_above_the_booking_need_the_right,
}

/// First of the users of the tests.
const FIRST: u32 = 20_000;

/// Where the receiver's node is.
const NODE: u64 = 0x10;

/// Runs `work` as another user.
fn as_user<T: Send>(uid: u32, work: impl FnOnce() -> Verdict<T> + Send) -> Verdict<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let uid = Uid::from_raw(uid);
            works("becoming another user", set_thread_res_uid(uid, uid, uid))?;
            work()
        });
        thread
            .join()
            .unwrap_or_else(|_| Err(wrong("the thread of another user has panicked")))
    })
}

/// A peer that belongs to this user.
fn peer_of(uid: u32) -> Verdict<Peer> {
    as_user(uid, Peer::open)
}

/// The peer that is sent to. On a slow kernel it takes less.
fn receiver() -> Verdict<Peer> {
    let peer = peer_of(FIRST)?;
    if is_slow() {
        let mut small = KEEP;
        small.max_slices = 1024;
        small.max_inflight_bytes = 1 << 20;
        works("RESET", peer.reset(small))?;
    }
    Ok(peer)
}

/// Fails unless other users can be had, and so many descriptors.
fn need_users(descriptors: u64) -> Verdict {
    if !getuid().is_root() {
        return skip("only root can become other users");
    }
    let old = getrlimit(Resource::Nofile);
    if old.current.is_some_and(|current| current < descriptors) {
        let new = Rlimit {
            current: Some(descriptors),
            maximum: old.maximum.map(|most| most.max(descriptors)),
        };
        works("more descriptors", setrlimit(Resource::Nofile, new))?;
    }
    Ok(())
}

/// Sends `bytes` until that is refused; says how often it was taken.
fn send_all(peer: &Peer, to: u64, bytes: &[u8]) -> Verdict<u64> {
    for sent in 0.. {
        match peer.say(to, bytes) {
            Ok(()) => {}
            Err(Errno::DQUOT) => return Ok(sent),
            Err(errno) => return Err(wrong(format_args!("message {sent}: {errno}"))),
        }
    }
    Ok(0)
}

/// Users that have taken all they can of a peer, and don't let go.
struct Besieged {
    receiver: Peer,
    _hostile: Vec<Peer>,
    newcomer: Peer,
    to: u64,
}

/// One after the other, `count` users send payloads of these sizes, each until it is refused.
fn besiege(receiver: Peer, count: u32, sizes: &[usize]) -> Verdict<Besieged> {
    let mut hostile = Vec::new();
    for user in 0..count {
        let peer = peer_of(FIRST + 1 + user)?;
        let to = peer.meets(&receiver, NODE)?;
        for size in sizes {
            send_all(&peer, to, &vec![1; *size])?;
        }
        hostile.push(peer);
    }
    let newcomer = peer_of(FIRST + 1 + count)?;
    let to = newcomer.meets(&receiver, NODE)?;
    Ok(Besieged {
        receiver,
        _hostile: hostile,
        newcomer,
        to,
    })
}

/// After `count` of them a newcomer can still send `least` messages.
fn newcomer_gets(count: u32, least: u64) -> Verdict {
    need_users(u64::from(count) + 100)?;
    let least = match (is_slow(), count) {
        (false, _) => least,
        // Of 1024 instead of 16384.
        (true, 10) => 5,
        (true, _) => return skip("this kernel is too slow for so many users"),
    };
    let _budget = Budget::large()?;
    let receiver = receiver()?;
    let half = figure(&receiver, "bus1-slices-limit")? / 2;
    equal("reserve", figure(&receiver, "bus1-slices-reserve")?, half)?;
    let place = besiege(receiver, count, &[8])?;
    let sent = send_all(&place.newcomer, place.to, &[2; 8])?;
    println!("# after {count} users that never let go: {sent} messages, {least} are promised");
    check("what is promised is there", sent >= least)?;
    let holders = figure(&place.receiver, "bus1-slices-principals")?;
    equal("principals", holders, u64::from(count) + 1)?;
    let held = figure(&place.receiver, "bus1-slices-reserved")?;
    check("the reserve has sufficed", held <= half)
}

fn a_newcomer_after_10_users_that_never_let_go() -> Verdict {
    newcomer_gets(10, 50)
}

fn a_newcomer_after_100_users_that_never_let_go() -> Verdict {
    newcomer_gets(100, 9)
}

fn a_newcomer_after_1000_users_that_never_let_go() -> Verdict {
    newcomer_gets(1000, 4)
}

fn bytes_are_left_for_a_newcomer() -> Verdict {
    need_users(200)?;
    let _budget = Budget::large()?;
    if is_slow() {
        return skip("this kernel is too slow for so many bytes");
    }
    for (count, least) in [(10, 35_864), (100, 7552)] {
        let place = besiege(receiver()?, count, &[65_536, 4096, 512])?;
        let sent = place.newcomer.say(place.to, &vec![2; least]);
        works(&format!("{least} bytes after {count} users"), sent)?;
    }
    Ok(())
}

/// With whatever the machine grants a user: the cap that fdinfo shows.
fn what_is_promised_by_default_is_kept() -> Verdict {
    need_users(200)?;
    for count in [3, 30] {
        let place = besiege(receiver()?, count, &[8])?;
        works("the first message", place.newcomer.say(place.to, &[2; 8]))?;
        let cap = figure(&place.receiver, "bus1-slices-cap")?;
        check("there is a cap", cap > 1)?;
        let more = send_all(&place.newcomer, place.to, &[2; 8])?;
        check("the cap can be used up", 1 + more >= cap)?;
    }
    Ok(())
}

fn peers_of_one_user_have_one_claim() -> Verdict {
    need_users(200)?;
    // What a user's peer may book depends on how many there are: the first one goes first.
    let by_one = {
        let alone = besiege(receiver()?, 0, &[])?;
        send_all(&alone.newcomer, alone.to, &[1; 8])?
    };
    let receiver = receiver()?;
    let mut by_all = 0;
    let peers: Vec<Peer> = (0..20)
        .map(|_| peer_of(FIRST + 1))
        .collect::<Verdict<_>>()?;
    for peer in &peers {
        by_all += send_all(peer, peer.meets(&receiver, NODE)?, &[1; 8])?;
    }
    equal("what they get together", by_all, by_one)?;
    equal(
        "principals",
        figure(&receiver, "bus1-slices-principals")?,
        1,
    )
}

fn what_was_sent_is_read_whatever_is_exhausted() -> Verdict {
    need_users(200)?;
    let place = besiege(receiver()?, 20, &[4096, 8])?;
    send_all(&place.newcomer, place.to, &[2; 8])?;
    let mut read = 0;
    let sum = |what: &str| -> Verdict<u64> {
        let free = figure(&place.receiver, &format!("bus1-{what}-free"))?;
        Ok(free + figure(&place.receiver, &format!("bus1-{what}-reserved"))?)
    };
    let sent = sum("slices")?;
    loop {
        match place.receiver.recv() {
            Ok(msg) => works("RELEASE", place.receiver.slice_release(msg.offset))?,
            Err(Errno::AGAIN) => break,
            Err(errno) => return Err(wrong(format_args!("RECV {read}: {errno}"))),
        }
        read += 1;
    }
    equal("messages read", read, sent)?;
    equal("slices held", sum("slices")?, 0)?;
    equal("bytes held", sum("bytes")?, 0)
}

fn a_slow_reader_costs_its_neighbours_nothing() -> Verdict {
    need_users(200)?;
    let sender = peer_of(FIRST + 1)?;
    let readers: Vec<Peer> = (0..20).map(|_| peer_of(FIRST)).collect::<Verdict<_>>()?;
    let mut to = Vec::new();
    for reader in &readers {
        to.push(sender.meets(reader, NODE)?);
    }
    let mut refused = 0;
    for round in 0..if is_slow() { 1000 } else { 20_000 } {
        let number = round % readers.len();
        let sent = sender.say(to[number], &[1; 1024]);
        if number == 0 {
            // The one that has stopped reading.
            refused += u32::from(sent == Err(Errno::DQUOT));
            continue;
        }
        works(&format!("message {round} to reader {number}"), sent)?;
        let msg = soon(&readers[number])?;
        works("RELEASE", readers[number].slice_release(msg.offset))?;
    }
    println!("# {refused} messages to the reader that stopped were refused");
    Ok(())
}

fn a_receiver_can_not_take_what_it_promises() -> Verdict {
    need_users(100)?;
    let receiver = receiver()?;
    let sent = send_all(&receiver, NODE, &[1; 8])?;
    let limit = figure(&receiver, "bus1-slices-limit")?;
    let reserve = figure(&receiver, "bus1-slices-reserve")?;
    check("no more than what is free", sent <= limit - reserve)?;
    equal("taken of it", figure(&receiver, "bus1-slices-reserved")?, 0)?;
    let other = peer_of(FIRST + 1)?;
    let to = other.meets(&receiver, NODE)?;
    let cap = figure(&receiver, "bus1-slices-cap")?;
    for number in 0..cap.min(100) {
        works(&format!("message {number}"), other.say(to, &[1; 8]))?;
    }
    Ok(())
}

fn limits_above_the_booking_need_the_right() -> Verdict {
    need_users(100)?;
    let peer = peer_of(FIRST)?;
    let before = peer.query(Default::default())?;
    let mut more = KEEP;
    more.max_slices = 1 << 30;
    as_user(FIRST, || fails("RESET", peer.reset(more), Errno::PERM))?;
    equal("limits", peer.query(Default::default())?, before)?;
    // To lower them, and to raise them to what there was, is everybody's right.
    let mut less = KEEP;
    less.max_slices = before.max_slices / 4;
    as_user(FIRST, || works("lowering", peer.reset(less)))?;
    works("RESET by root", peer.reset(more))?;
    let reserve = figure(&peer, "bus1-slices-reserve")?;
    equal("reserve", reserve, 1 << 29)
}
