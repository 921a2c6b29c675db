// SPDX-License-Identifier: MIT OR Apache-2.0

//! poll and what wakes it.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{epoll, PollFlags};
use rustix::io::Errno;

use super::cases;
use crate::expect::{bits, bits_within, empty, notice, payload, Notice};
use crate::raw::Peer;
use crate::verdict::{check, equal, works, wrong, Verdict};

cases! {
    poll_bits_follow_the_queue,
    poll_bits_after_disconnect,
    poll_is_woken_by_a_message,
    poll_is_woken_by_destruction,
    poll_is_woken_by_release,
    poll_is_woken_by_disconnect,
    poll_times_out,
    edge_triggered_epoll,
}

fn writable() -> PollFlags {
    PollFlags::OUT | PollFlags::WRNORM
}

fn readable() -> PollFlags {
    PollFlags::IN | PollFlags::RDNORM
}

fn poll_bits_follow_the_queue() -> Verdict {
    let peer = Peer::open()?;
    equal("fresh", bits(&peer)?, writable())?;
    for _ in 0..2 {
        works("SEND", peer.say(0x100, b"x"))?;
        works("SEND", peer.say(0x100, b"y"))?;
        equal("two queued", bits(&peer)?, writable() | readable())?;
        payload(&peer, 0x100, b"x")?;
        equal("one left", bits(&peer)?, writable() | readable())?;
        payload(&peer, 0x100, b"y")?;
        equal("none left", bits(&peer)?, writable())?;
    }
    Ok(())
}

fn poll_bits_after_disconnect() -> Verdict {
    let peer = Peer::open()?;
    works("SEND", peer.say(0x100, b"x"))?;
    works("DISCONNECT", peer.disconnect())?;
    equal("bits", bits(&peer)?, PollFlags::HUP)
}

/// Polls in another thread while this one does `act`; the bits that it got.
fn woken(peer: &Peer, act: impl FnOnce() -> Verdict) -> Verdict<PollFlags> {
    const PAUSE: Duration = Duration::from_millis(100);
    let (begin, begun) = mpsc::channel();
    thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            let start = Instant::now();
            // Nobody listens any more only if this case has failed already.
            let _ = begin.send(());
            let found = bits_within(peer, Duration::from_secs(15));
            found.map(|found| (found, start.elapsed()))
        });
        begun.recv().map_err(wrong)?;
        thread::sleep(PAUSE);
        act()?;
        let (found, time) = waiter.join().unwrap_or(Err(Errno::CANCELED.into()))?;
        check("the waiter had to wait", time >= PAUSE)?;
        check("it was woken in time", time < Duration::from_secs(14))?;
        Ok(found)
    })
}

fn poll_is_woken_by_a_message() -> Verdict {
    let (sender, peer) = (Peer::open()?, Peer::open()?);
    let id = sender.meets(&peer, 0x10)?;
    for _ in 0..3 {
        let found = woken(&peer, || works("SEND", sender.say(id, b"wake")))?;
        equal("bits", found, readable())?;
        payload(&peer, 0x10, b"wake")?;
    }
    Ok(())
}

fn poll_is_woken_by_destruction() -> Verdict {
    let (owner, peer) = (Peer::open()?, Peer::open()?);
    let id = peer.meets(&owner, 0x100)?;
    let found = woken(&peer, || works("NODES_DESTROY", owner.destroy(&[0x100])))?;
    equal("bits", found, readable())?;
    notice(&peer, Notice::Destroyed, id)?;

    let id = peer.meets(&owner, 0x200)?;
    let found = woken(&peer, || {
        drop(owner);
        Ok(())
    })?;
    equal("bits", found, readable())?;
    notice(&peer, Notice::Destroyed, id)
}

fn poll_is_woken_by_release() -> Verdict {
    let (holder, peer) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&peer, 0x100)?;
    let found = woken(&peer, || works("RELEASE", holder.release(id)))?;
    equal("bits", found, readable())?;
    notice(&peer, Notice::Released, 0x100)
}

fn poll_is_woken_by_disconnect() -> Verdict {
    let peer = Peer::open()?;
    let found = woken(&peer, || works("DISCONNECT", peer.disconnect()))?;
    equal("bits", found, PollFlags::HUP)
}

fn poll_times_out() -> Verdict {
    let peer = Peer::open()?;
    let start = Instant::now();
    let found = bits_within(&peer, Duration::from_millis(50))?;
    equal("bits", found, PollFlags::empty())?;
    check(
        "it has waited",
        start.elapsed() >= Duration::from_millis(50),
    )
}

fn edge_triggered_epoll() -> Verdict {
    let (sender, peer) = (Peer::open()?, Peer::open()?);
    let id = sender.meets(&peer, 0x10)?;
    let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
    epoll::add(&set, &peer, epoll::EventData::new_u64(1), flags)?;
    let count = |limit: i64| -> Verdict<usize> {
        let time = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: limit * 1_000_000,
        };
        let mut events = Vec::with_capacity(4);
        let n = epoll::wait(
            &set,
            rustix::buffer::spare_capacity(&mut events),
            Some(&time),
        )?;
        Ok(n)
    };
    equal("nothing yet", count(10)?, 0)?;
    for round in 0..20_u8 {
        works("SEND", sender.say(id, &[round]))?;
        equal(
            "an event for each time it becomes readable",
            count(1000)?,
            1,
        )?;
        equal("and only one", count(1)?, 0)?;
        payload(&peer, 0x10, &[round])?;
        empty(&peer)?;
    }
    thread::scope(|scope| -> Verdict {
        let work = scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            works("SEND", sender.say(id, b"last"))
        });
        equal("an event while waiting", count(5000)?, 1)?;
        work.join().map_err(|_| wrong("the sender has panicked"))?
    })
}
