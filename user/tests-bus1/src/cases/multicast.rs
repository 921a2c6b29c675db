// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a multicast reads of its sender's memory, and what it costs.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bus1_sys::{bus1_cmd_send, BUS1_SEND_FLAG_CONTINUE};
use rustix::io::Errno;

use super::cases;
use crate::expect::{data, empty};
use crate::helper::Helper;
use crate::memory::Bad;
use crate::raw::{inherited, Errors, Mail, Peer};
use crate::scratch::Scratch;
use crate::verdict::{check, equal, fails, skip, works, wrong, Verdict};

cases! {
    payload_is_read_once,
    #[long] receivers_get_the_same_bytes_of_changing_memory,
    unreadable_payload_and_a_refusing_destination,
    #[long] cost_grows_with_the_destinations,
}

/// SEND to these with raw vectors of (address, length).
fn send_vectors(peer: &Peer, to: &[u64], vectors: &[(u64, u64)], flags: u64) -> Result<(), Errno> {
    let raw: Vec<u64> = vectors.iter().flat_map(|(at, len)| [*at, *len]).collect();
    let arg = bus1_cmd_send {
        flags,
        ptr_destinations: to.as_ptr() as u64,
        n_destinations: to.len() as u64,
        ptr_vecs: raw.as_ptr() as u64,
        n_vecs: vectors.len() as u64,
        ..Default::default()
    };
    peer.send_with(arg, Errors::None)
}

/// The payload contains memory of the second receiver's pool, just where its copy
/// will lie: a second reading of the sender's memory would see the copy.
fn payload_is_read_once() -> Verdict {
    let (sender, one, two) = (Peer::open()?, Peer::open()?, Peer::open()?);
    let to = [sender.meets(&one, 0x10)?, sender.meets(&two, 0x10)?];
    works("SEND", sender.say(to[1], b"old old old old "))?;
    let before = data(&two, 0x10)?.offset;
    works("SLICE_RELEASE", two.slice_release(before))?;

    let new = *b"new new ";
    let old = two.pool_address(before);
    let vectors = [(new.as_ptr().expose_provenance() as u64, 8), (old, 8)];
    works("SEND", send_vectors(&sender, &to, &vectors, 0))?;
    let (first, second) = (data(&one, 0x10)?, data(&two, 0x10)?);
    equal("the copy lies where the memory was", second.offset, before)?;
    let wanted = b"new new old old ".to_vec();
    equal(
        "the first receiver's bytes",
        one.bytes(&first),
        wanted.clone(),
    )?;
    equal("the second receiver's bytes", two.bytes(&second), wanted)
}

/// Words of the payload that somebody else changes all the time: several pages.
const WORDS: usize = 8 << 10;

/// Receivers of it.
const RECEIVERS: usize = 6;

/// Run in another process: counts up in all words of the payload, one after the
/// other, for ever.
pub fn changer(args: &[&str]) -> Verdict {
    let [scratch] = args else {
        return Err(wrong("one descriptor is expected"));
    };
    let scratch = Scratch::open(inherited(scratch)?)?;
    for round in 1.. {
        for word in scratch.words() {
            word.store(round, Relaxed);
        }
    }
    Ok(())
}

fn receivers_get_the_same_bytes_of_changing_memory() -> Verdict {
    let scratch = Scratch::new(WORDS)?;
    let sender = Peer::open()?;
    let receivers: Vec<Peer> = (0..RECEIVERS)
        .map(|_| Peer::open())
        .collect::<Verdict<_>>()?;
    let to: Vec<u64> = receivers
        .iter()
        .map(|peer| sender.meets(peer, 0x10))
        .collect::<Verdict<_>>()?;
    let _changer = Helper::start_with("changer", Some(&scratch), &[], &[])?;
    // It has to be on its way.
    let start = Instant::now();
    while scratch.words()[0].load(Relaxed) == 0 && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let vectors = [(scratch.address(), 8 * WORDS as u64)];
    let (mut rounds, mut mixed) = (0, 0);
    while rounds < 2000 && start.elapsed() < Duration::from_secs(8) {
        works("SEND", send_vectors(&sender, &to, &vectors, 0))?;
        let mut first: Option<Vec<u8>> = None;
        for (number, peer) in receivers.iter().enumerate() {
            let msg = data(peer, 0x10)?;
            let bytes = peer.bytes(&msg);
            works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
            match &first {
                None => first = Some(bytes),
                Some(first) => check(
                    &format!("round {rounds}: receiver {number} has got the first one's bytes"),
                    bytes == *first,
                )?,
            }
        }
        rounds += 1;
        let words = first.unwrap_or_default();
        mixed += u64::from(words.chunks_exact(8).any(|word| *word != words[..8]));
    }
    eprintln!("# {rounds} multicasts of changing memory, {mixed} with words of several rounds");
    if mixed == 0 {
        return skip(format!("nothing changed during {rounds} calls"));
    }
    Ok(())
}

/// Memory that can't be read is the sender's own fault, whatever else is wrong.
fn unreadable_payload_and_a_refusing_destination() -> Verdict {
    let (sender, dead, one, two) = (Peer::open()?, Peer::open()?, Peer::open()?, Peer::open()?);
    let to_dead = sender.meets(&dead, 0x10)?;
    let good = [sender.meets(&one, 0x10)?, sender.meets(&two, 0x10)?];
    drop(dead);
    let bad = Bad::no_access()?;
    let vectors = [(bad.address() as u64, 64)];
    for (to, plain) in [
        ([to_dead, good[0], good[1]], Errno::HOSTUNREACH),
        ([good[0], to_dead, good[1]], Errno::FAULT),
        ([good[0], good[1], to_dead], Errno::FAULT),
    ] {
        let send = |flags| send_vectors(&sender, &to, &vectors, flags);
        fails("SEND: the first error", send(0), plain)?;
        fails("with CONTINUE", send(BUS1_SEND_FLAG_CONTINUE), Errno::FAULT)?;
    }
    empty(&one)?;
    empty(&two)
}

/// Multicasts to `count` receivers with `payload` and some handles; the time of
/// one copy.
fn time_of_a_copy(count: usize, payload: &[u8], rounds: u32) -> Verdict<Duration> {
    let sender = Peer::open()?;
    let receivers: Vec<Peer> = (0..count).map(|_| Peer::open()).collect::<Verdict<_>>()?;
    let to: Vec<u64> = receivers
        .iter()
        .map(|peer| sender.meets(peer, 0x10))
        .collect::<Verdict<_>>()?;
    let handles: Vec<u64> = (1..=8).map(|n| n << 8).collect();
    let mail = Mail {
        to: &to,
        payload: &[payload],
        handles: &handles,
        ..Default::default()
    };
    let mut time = Duration::ZERO;
    for round in 0..rounds {
        let start = Instant::now();
        works("SEND", sender.send(&mail))?;
        // The first round makes the pages.
        if round > 0 {
            time += start.elapsed();
        }
        for peer in &receivers {
            let msg = data(peer, 0x10)?;
            equal("size", msg.n_bytes, payload.len() as u64)?;
            equal("handles", peer.handles(&msg).len(), handles.len())?;
            works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
        }
    }
    Ok(time / (rounds - 1) / count as u32)
}

/// Says what a copy costs among few and among many. How much that may be is not a
/// matter of conformance; that all of them arrive is.
fn cost_grows_with_the_destinations() -> Verdict {
    let payload = vec![1; 32 << 10];
    for (few, many, bytes) in [(4, 64, 0), (4, 64, payload.len())] {
        let few_time = time_of_a_copy(few, &payload[..bytes], 6)?;
        let many_time = time_of_a_copy(many, &payload[..bytes], 6)?;
        eprintln!(
            "# multicast of {bytes} bytes: a copy takes {:.1} us of {few}, {:.1} us of {many}",
            few_time.as_secs_f64() * 1e6,
            many_time.as_secs_f64() * 1e6
        );
    }
    Ok(())
}
