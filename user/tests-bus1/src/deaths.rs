// SPDX-License-Identifier: MIT OR Apache-2.0

//! The end of very many nodes that very many peers hold, at one instant.
//!
//! An owner gives all its nodes to all holders, then destroys them in one call, or
//! closes. Every holder must find the news of all of them together, in the order
//! given, and at the same place among the numbered messages that somebody else sends
//! to all holders meanwhile. A pair of peers that has nothing to do with it plays on.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bus1_sys::{BUS1_MSG_DATA, BUS1_MSG_NODE_DESTROY};
use rustix::io::Errno;
use rustix::thread::sched_yield;

use crate::budget::Budget;
use crate::expect::continues;
use crate::helper::Helper;
use crate::raw::{inherited, Mail, Peer};
use crate::scratch::Scratch;
use crate::verdict::{check, equal, works, wrong, Verdict};

/// Words of the scratch.
const STOP: usize = 0;
const GAMES: usize = 1;
const TALKED: usize = 2;

/// Messages to each holder at most, below what a peer may have queued.
const TALK: u64 = 2000;

/// The first ID that a peer gives out, and the step to the next.
const FIRST: u64 = 0x0b;
const STEP: u64 = 8;

/// How the nodes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By one NODES_DESTROY, the newest first.
    Destroy,
    /// With the owner's file.
    Close,
}

/// What one end took, and what went on meanwhile.
pub struct Figures {
    /// Time of the call.
    pub time: Duration,
    /// Games of the pair during the call.
    pub games: u64,
    /// Messages to all holders during the call.
    pub talked: u64,
}

/// Run in another process: two peers that send each other a message in turn.
pub fn players(args: &[&str]) -> Verdict {
    let [scratch] = args else {
        return Err(wrong("one descriptor is expected"));
    };
    let scratch = Scratch::open(inherited(scratch)?)?;
    let words = scratch.words();
    let (one, two) = (Peer::open()?, Peer::open()?);
    let (to_one, to_two) = (two.meets(&one, 0x10)?, one.meets(&two, 0x10)?);
    while words[STOP].load(Relaxed) == 0 {
        for (from, to, peer) in [(&one, to_two, &two), (&two, to_one, &one)] {
            from.say(to, b"ball")?;
            let msg = peer.recv()?;
            peer.slice_release(msg.offset)?;
        }
        words[GAMES].fetch_add(1, Relaxed);
    }
    Ok(())
}

/// Run in another process: sends numbers to all holders.
pub fn talker(args: &[&str]) -> Verdict {
    let [scratch, peer, holders] = args else {
        return Err(wrong("two descriptors and a number are expected"));
    };
    let scratch = Scratch::open(inherited(scratch)?)?;
    let words = scratch.words();
    let peer = Peer::inherited(peer)?;
    let holders: u64 = holders.parse().map_err(wrong)?;
    let to: Vec<u64> = (0..holders).map(|holder| FIRST + STEP * holder).collect();
    for number in 1..=TALK {
        if words[STOP].load(Relaxed) != 0 {
            break;
        }
        peer.send(&Mail {
            to: &to,
            payload: &[&number.to_ne_bytes()],
            ..Default::default()
        })?;
        words[TALKED].store(number, Relaxed);
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok(())
}

/// A holder, its IDs of the nodes, in the order in which they were made.
struct Holder {
    peer: Peer,
    ids: Vec<u64>,
}

/// Gives nodes to fresh holders.
fn hand_out(owner: &Peer, nodes: &[u64], holders: usize) -> Verdict<Vec<Holder>> {
    let peers: Vec<Peer> = (0..holders).map(|_| Peer::open()).collect::<Verdict<_>>()?;
    let to: Vec<u64> = peers
        .iter()
        .map(|peer| owner.meets(peer, 0x10))
        .collect::<Verdict<_>>()?;
    let mail = Mail {
        to: &to,
        handles: nodes,
        ..Default::default()
    };
    works("SEND of all nodes", owner.send(&mail))?;
    let mut all = Vec::new();
    for peer in peers {
        let msg = works("RECV", peer.recv())?;
        let ids = peer.handles(&msg);
        equal("handles", ids.len(), nodes.len())?;
        works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
        all.push(Holder { peer, ids });
    }
    Ok(all)
}

/// Reads a queue to its end: the numbers of the messages before the news, and the
/// news, which must be one block. The IDs are those of the living nodes, in the
/// order in which they are to be told.
fn read_news(peer: &Peer, ids: &[u64]) -> Verdict<u64> {
    let (mut told, mut last, mut before) = (0, 0, 0);
    loop {
        let msg = match peer.recv() {
            Err(Errno::AGAIN) => break,
            other => works("RECV", other)?,
        };
        match msg.type_ {
            BUS1_MSG_DATA => {
                check("no message among the news", told == 0 || told == ids.len())?;
                let word = peer.bytes(&msg).try_into().map_err(|_| Errno::PROTO)?;
                let number = u64::from_ne_bytes(word);
                equal("the next message", number, last + 1)?;
                last = number;
                works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
            }
            BUS1_MSG_NODE_DESTROY => {
                let id = ids.get(told).copied();
                equal("whose end", Some(msg.destination), id)?;
                told += 1;
                equal("more follows", continues(&msg), told < ids.len())?;
                before = last;
            }
            // The owner has dropped its handle to this holder's node.
            _ => {}
        }
    }
    equal("ends told", told, ids.len())?;
    Ok(before)
}

/// Waits until both helpers are on their way.
fn await_start(scratch: &Scratch) -> Verdict {
    let start = Instant::now();
    let words = scratch.words();
    while words[GAMES].load(Relaxed) == 0 || words[TALKED].load(Relaxed) == 0 {
        if start.elapsed() > Duration::from_secs(20) {
            return Err(wrong("the others don't begin"));
        }
        sched_yield();
    }
    Ok(())
}

/// Makes `nodes` nodes, gives each to `holders` peers, and ends them.
pub fn scene(nodes: usize, holders: usize, end: End) -> Verdict<Figures> {
    // One user is everybody here.
    let _budget = Budget::large();
    let owner = Peer::open()?;
    let mut ids: Vec<u64> = (1..=nodes as u64).map(|number| number << 4).collect();
    let mut all = hand_out(&owner, &ids, holders)?;
    let talker = Peer::open()?;
    for (number, holder) in (0..).zip(&all) {
        let id = talker.meets(&holder.peer, 0x20)?;
        equal("ID of a holder", id, FIRST + STEP * number)?;
    }
    let scratch = Scratch::new(8)?;
    let helpers = [
        Helper::start_with("players", Some(&scratch), &[], &[])?,
        Helper::start_with("talker", Some(&scratch), &[&talker], &[holders.to_string()])?,
    ];
    await_start(&scratch)?;
    let now = |word: usize| scratch.words()[word].load(Relaxed);
    let (games, talked, start) = (now(GAMES), now(TALKED), Instant::now());
    let mut owner = Some(owner);
    match end {
        End::Destroy => {
            ids.reverse();
            all.iter_mut().for_each(|holder| holder.ids.reverse());
            let result = owner
                .as_ref()
                .map_or(Err(Errno::BADF), |owner| owner.destroy(&ids));
            works("NODES_DESTROY", result)?;
        }
        End::Close => drop(owner.take()),
    }
    let figures = Figures {
        time: start.elapsed(),
        games: now(GAMES) - games,
        talked: now(TALKED) - talked,
    };
    std::thread::sleep(Duration::from_millis(5));
    scratch.words()[STOP].store(1, Relaxed);
    for helper in helpers {
        helper.join()?;
    }
    let mut places = Vec::new();
    for holder in &all {
        places.push(read_news(&holder.peer, &holder.ids)?);
    }
    if let Some(owner) = &owner {
        read_news(owner, &ids)?;
    }
    for (holder, place) in places.iter().enumerate() {
        equal(
            &format!("messages before the end, of holder {holder}"),
            *place,
            places[0],
        )?;
    }
    Ok(figures)
}

/// Plays both ends in two sizes, and says what they took.
pub fn compare(nodes: usize, holders: usize) -> Verdict {
    for end in [End::Destroy, End::Close] {
        let small = scene(nodes / 10, holders, end)?;
        let large = scene(nodes, holders, end)?;
        for (nodes, figures) in [(nodes / 10, &small), (nodes, &large)] {
            println!(
                "# {end:?} of {nodes} nodes with {} handles: {:.1} ms; meanwhile {} games of two others, {} messages to all holders",
                nodes * holders,
                figures.time.as_secs_f64() * 1e3,
                figures.games,
                figures.talked
            );
        }
        println!(
            "# {end:?}: ten times as many take {:.1} times as long",
            large.time.as_secs_f64() / small.time.as_secs_f64()
        );
        check("others went on meanwhile", large.games > 0)?;
    }
    Ok(())
}

/// `--mass-death NODES HOLDERS`.
pub fn command(nodes: usize, holders: usize) -> i32 {
    if let Err(why) = Peer::open() {
        println!("Bail out! {why}");
        return 2;
    }
    println!("TAP version 13\n1..1");
    match compare(nodes, holders) {
        Ok(()) => {
            println!("ok 1 mass_death_is_one_instant\n1 passed, 0 failed, 0 skipped");
            0
        }
        Err(why) => {
            println!("not ok 1 mass_death_is_one_instant\n# {why}\n0 passed, 1 failed, 0 skipped");
            1
        }
    }
}
