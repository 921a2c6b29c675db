// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who may have how much of a peer: claims, limits, and what they never stand in the way of.

#![forbid(unsafe_code)]

use rustix::io::Errno;

use super::cases;
use super::optional::{fdinfo, figure};
use crate::expect::soon;
use crate::raw::{Peer, KEEP};
use crate::tap::is_thorough;
use crate::users::{as_user, need_users, peer_of, receiver, Sender, FIRST, NODE};
use crate::verdict::{check, equal, fails, works, wrong, Verdict};

cases! {
    #[long] peers_of_one_user_have_one_claim,
    #[long] what_was_sent_is_read_whatever_is_exhausted,
    #[long] a_slow_reader_costs_its_neighbours_nothing,
    a_receiver_can_not_take_what_it_promises,
    limits_above_the_booking_need_the_right,
}

fn peers_of_one_user_have_one_claim() -> Verdict {
    need_users(200)?;
    // What a user's peer may book depends on how many there are: the first one goes first.
    let by_one = {
        let receiver = receiver()?;
        Sender::of(FIRST + 1, &receiver)?.say_all(&[1; 8])?
    };
    let receiver = receiver()?;
    let peers = (0..20).map(|_| Sender::of(FIRST + 1, &receiver));
    let peers = peers.collect::<Verdict<Vec<_>>>()?;
    let mut by_all = 0;
    for peer in &peers {
        by_all += peer.say_all(&[1; 8])?;
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
    let receiver = receiver()?;
    let senders = (1..22).map(|user| Sender::of(FIRST + user, &receiver));
    let senders = senders.collect::<Verdict<Vec<_>>>()?;
    for sender in &senders {
        sender.say_all(&[1; 4096])?;
        sender.say_all(&[2; 8])?;
    }
    let mut read = 0;
    let sum = |what: &str| -> Verdict<u64> {
        let free = figure(&receiver, &format!("bus1-{what}-free"))?;
        Ok(free + figure(&receiver, &format!("bus1-{what}-reserved"))?)
    };
    let sent = sum("slices")?;
    loop {
        match receiver.recv() {
            Ok(msg) => works("RELEASE", receiver.slice_release(msg.offset))?,
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
    // The first one has stopped reading, and has all that fits.
    while sender.say(to[0], &[1; 1024]) != Err(Errno::DQUOT) {}
    for round in 0..if is_thorough() { 60_000 } else { 2000 } {
        let number = round % readers.len();
        let sent = sender.say(to[number], &[1; 1024]);
        if number == 0 {
            fails("to the one that has stopped", sent, Errno::DQUOT)?;
            continue;
        }
        works(&format!("message {round} to reader {number}"), sent)?;
        let msg = soon(&readers[number])?;
        works("RELEASE", readers[number].slice_release(msg.offset))?;
    }
    for reader in &readers[1..] {
        equal("refused", figure(reader, "bus1-bytes-refused")?, 0)?;
        equal("refused", figure(reader, "bus1-slices-refused")?, 0)?;
    }
    // There it says whose messages it does not read.
    let info = fdinfo(&readers[0])?;
    let last = info.get("bus1-refused-last").map_or("", |last| last.trim());
    let words: Vec<&str> = last.split(' ').collect();
    let holder = (FIRST + 1).to_string();
    check(&format!("{last:?} names {holder}"), words[0] == holder)?;
    let held: Option<u64> = words.get(4).and_then(|held| held.parse().ok());
    check(&format!("{last:?} says how much"), held > Some(0))
}

fn a_receiver_can_not_take_what_it_promises() -> Verdict {
    need_users(100)?;
    let receiver = receiver()?;
    let mut sent = 0;
    while receiver.say(NODE, &[1; 8]) != Err(Errno::DQUOT) {
        sent += 1;
    }
    let limit = figure(&receiver, "bus1-slices-limit")?;
    let reserve = figure(&receiver, "bus1-slices-reserve")?;
    check("no more than what is free", sent <= limit - reserve)?;
    equal("taken of it", figure(&receiver, "bus1-slices-reserved")?, 0)?;
    let other = Sender::of(FIRST + 1, &receiver)?;
    for _ in 0..figure(&receiver, "bus1-slices-cap")?.min(100) {
        check("it is granted", other.say(&[1; 8])?)?;
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
