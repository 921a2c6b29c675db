// SPDX-License-Identifier: MIT OR Apache-2.0

//! User namespaces: who makes up users gets no more for it, and real users stay apart.

#![forbid(unsafe_code)]

use super::cases;
use super::optional::figure;
use crate::budget::{Budget, Rule};
use crate::raw::Peer;
use crate::realm::Realm;
use crate::tap::is_thorough;
use crate::users::{need_users, receiver, Sender, FIRST};
use crate::verdict::{check, equal, skip, Failure, Verdict};

cases! {
    #[long] a_thousand_namespaces_are_one_more_sender,
    users_of_one_namespace_count_one_by_one,
    a_namespace_of_an_administrator_is_one_sender,
}

/// First of the users of namespaces, as the guest's own namespace sees them.
const INNER: u32 = 1_000_000;

/// The namespace with this number, so many below the guest's.
fn realm(number: u32, depth: u32) -> Realm {
    Realm {
        owner: FIRST + 1,
        first: INNER + 256 * number,
        depth,
    }
}

/// Fails unless there are namespaces.
fn need_realms() -> Verdict {
    need_users(1200)?;
    match realm(0, 1).peers(&[0]) {
        Ok(_) => Ok(()),
        Err(Failure::Wrong(why)) if std::path::Path::new("/proc/self/uid_map").exists() => {
            Err(Failure::Wrong(why))
        }
        Err(why) => skip(format!("no user namespaces: {why}")),
    }
}

/// How many messages another user can send to a receiver outside, after a user and its `count`
/// namespaces, some of which lie inside each other, have taken all they can get.
fn victim_gets(rule: Rule, count: u32) -> Verdict<u64> {
    let _rule = rule.hold()?;
    let receiver = receiver()?;
    let mut hostile = vec![Sender::of(FIRST + 1, &receiver)?];
    for number in 0..count {
        let depth = 1 + number % 3;
        let user = if depth == 1 { number % 200 + 1 } else { 0 };
        for peer in realm(number, depth).peers(&[user])? {
            hostile.push(Sender::new(peer, &receiver)?);
        }
    }
    for sender in &hostile {
        sender.say_all(&[1; 8])?;
    }
    if rule == Rule::Ours {
        let principals = figure(&receiver, "bus1-slices-principals")?;
        equal("principals", principals, 2)?;
    }
    let got = Sender::of(FIRST + 2, &receiver)?.say_all(&[2; 8])?;
    println!("# {rule:?}: after {count} namespaces the victim gets {got} messages");
    Ok(got)
}

fn a_thousand_namespaces_are_one_more_sender() -> Verdict {
    need_realms()?;
    let _budget = Budget::large()?;
    // Of 1024 messages or, if there is time, of 16384.
    let (count, least) = if is_thorough() { (1000, 174) } else { (30, 18) };
    let ours = victim_gets(Rule::Ours, count)?;
    check("what is promised is there", ours >= least)?;
    let old = victim_gets(Rule::Of2016, count)?;
    check("the rule of 2016 has given in", old < least)
}

/// How many senders a receiver tells apart, after each has sent something.
fn principals_among(users: &[u32], receiver: Peer, senders: Vec<Peer>) -> Verdict<u64> {
    equal("senders", senders.len(), users.len())?;
    for sender in senders {
        let sender = Sender::new(sender, &receiver)?;
        check("something is granted", sender.say(&[1; 8])?)?;
    }
    figure(&receiver, "bus1-slices-principals")
}

fn users_of_one_namespace_count_one_by_one() -> Verdict {
    need_realms()?;
    let users: Vec<u32> = (0..40).collect();
    let mut peers = realm(0, 1).peers(&users)?;
    let receiver = peers.remove(0);
    // 39 of them send, and one from outside, who is one more.
    let outside = Sender::of(FIRST + 1, &receiver)?;
    check("something is granted", outside.say(&[1; 8])?)?;
    let found = principals_among(&users[1..], receiver, peers)?;
    equal("principals", found, 40)
}

fn a_namespace_of_an_administrator_is_one_sender() -> Verdict {
    need_realms()?;
    let users: Vec<u32> = (0..20).collect();
    let made_by_root = Realm {
        owner: 0,
        ..realm(0, 1)
    };
    let receiver = receiver()?;
    let senders = made_by_root.peers(&users)?;
    equal(
        "principals",
        principals_among(&users, receiver, senders)?,
        1,
    )
}
