// SPDX-License-Identifier: MIT OR Apache-2.0

//! The end of peers: what others keep of them, and what it waits for.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::io::Errno;

use super::cases;
use crate::budget::Budget;
use crate::deaths::{scene, End};
use crate::expect::{empty, notice, Notice};
use crate::raw::{device, Mail, Peer, KEEP};
use crate::verdict::{check, equal, fails, skip, works, wrong, Verdict};

cases! {
    holders_pin_no_dead_peer,
    watching_epoll_keeps_no_peer,
    #[long] disconnect_waits_for_no_sender,
    closing_needs_no_memory,
    #[long] many_nodes_end_at_one_instant,
}

/// A counter of the module.
fn counter(name: &str) -> Verdict<u64> {
    let Ok(text) = std::fs::read_to_string("/sys/kernel/debug/bus1/counters") else {
        return skip("the module's counters can't be read");
    };
    let value = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim().parse());
    match value {
        Some(Ok(value)) => Ok(value),
        _ => Err(wrong(format_args!("no counter {name}"))),
    }
}

/// Free memory in bytes.
fn free_memory() -> Verdict<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix("MemFree:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse::<u64>().ok());
    Ok(kilobytes.ok_or(Errno::PROTO)? << 10)
}

/// Waits until something is so: the last put of a file is done a moment later.
fn await_that(what: &str, holds: impl Fn() -> Verdict<bool>) -> Verdict {
    let start = Instant::now();
    while !holds()? {
        if start.elapsed() > Duration::from_secs(10) {
            return check(what, false);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn holders_pin_no_dead_peer() -> Verdict {
    let _budget = Budget::large();
    const SIZE: usize = 12 << 20;
    let alive = counter("peers-alive")?;
    let holder = Peer::open()?;
    let owner = Peer::open()?;
    let mut large = KEEP;
    large.max_inflight_bytes = 8 * SIZE as u32;
    works("RESET", owner.reset(large))?;
    let id = holder.meets(&owner, 0x100)?;
    let bytes = vec![1; SIZE];
    works("SEND", holder.say(id, &bytes))?;
    drop(bytes);
    equal("peers", counter("peers-alive")?, alive + 2)?;
    let free = free_memory()?;
    drop(owner);
    await_that("one peer is left", || {
        Ok(counter("peers-alive")? == alive + 1)
    })?;
    await_that("the pages of its pool are free", || {
        Ok(free_memory()? > free + SIZE as u64 * 3 / 4)
    })?;
    check("the node is still held", counter("handles-alive")? > 0)?;
    fails("SEND", holder.say(id, b"x"), Errno::HOSTUNREACH)?;
    notice(&holder, Notice::Destroyed, id)?;
    works("RELEASE", holder.release(id))
}

/// An epoll refers to the files that it watches, but holds none of them: it may
/// travel, even to a peer that it watches.
fn watching_epoll_keeps_no_peer() -> Verdict {
    use std::os::fd::AsRawFd;

    let alive = counter("peers-alive")?;
    let peer = Peer::open()?;
    let watcher = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(
        &watcher,
        &peer,
        epoll::EventData::new_u64(1),
        epoll::EventFlags::IN,
    )?;
    let fds = [watcher.as_raw_fd()];
    let mail = Mail {
        to: &[0x100],
        fds: &fds,
        ..Default::default()
    };
    works("SEND of an epoll", peer.send(&mail))?;
    drop(watcher);
    drop(peer);
    await_that("the peer is gone", || Ok(counter("peers-alive")? == alive))
}

/// What a sender copies to each of several receivers.
const COPIED: usize = 6 << 20;

/// One DISCONNECT in the middle of a long SEND; whether it was over before that.
fn disconnect_amid_a_send(bytes: &[u8]) -> Verdict<bool> {
    let sender = Peer::open()?;
    let receivers = [Peer::open()?, Peer::open()?, Peer::open()?, Peer::open()?];
    let mut large = KEEP;
    large.max_inflight_bytes = 6 * COPIED as u32;
    let mut to = Vec::new();
    for peer in &receivers {
        works("RESET", peer.reset(large))?;
        to.push(sender.meets(peer, 0x10)?);
    }
    let (begun, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    let (result, first) = std::thread::scope(|scope| {
        let send = scope.spawn(|| {
            begun.store(true, Release);
            let mail = Mail {
                to: &to,
                payload: &[bytes],
                ..Default::default()
            };
            let result = sender.send(&mail);
            ended.store(true, Release);
            result
        });
        while !begun.load(Acquire) {
            rustix::thread::sched_yield();
        }
        std::thread::sleep(Duration::from_millis(2));
        let result = receivers[0].disconnect();
        let first = !ended.load(Acquire);
        (send.join().map(|sent| (sent, result)), first)
    });
    let (sent, disconnected) = result.map_err(|_| Errno::CANCELED)?;
    works("DISCONNECT", disconnected)?;
    check(
        "the message is sent or refused",
        matches!(sent, Ok(()) | Err(Errno::HOSTUNREACH)),
    )?;
    Ok(first)
}

/// A driver that has the end of a peer wait for who copies into its pool never
/// gets through before the copy is complete. This one may: once is enough.
fn disconnect_waits_for_no_sender() -> Verdict {
    // One user is all receivers here.
    let _budget = Budget::large();
    let bytes = vec![1; COPIED];
    for _ in 0..20 {
        if disconnect_amid_a_send(&bytes)? {
            return Ok(());
        }
    }
    check("one of 20 was over before the SEND to the peer", false)
}

/// Makes every allocation of the calling thread fail, until dropped.
struct NoMemory(File);

impl NoMemory {
    const DIR: &'static str = "/sys/kernel/debug/failslab";

    fn set(name: &str, value: &str) -> Verdict {
        Ok(std::fs::write(format!("{}/{name}", Self::DIR), value)?)
    }

    fn new() -> Verdict<Self> {
        if !std::path::Path::new(Self::DIR).exists() {
            return skip("the kernel can't have allocations fail");
        }
        for (name, value) in [
            ("verbose", "0"),
            ("interval", "1"),
            ("space", "0"),
            ("times", "-1"),
            ("task-filter", "Y"),
            ("ignore-gfp-wait", "N"),
            ("probability", "100"),
        ] {
            Self::set(name, value)?;
        }
        // Open before: opening allocates.
        let mut switch = OpenOptions::new()
            .write(true)
            .open("/proc/thread-self/make-it-fail")?;
        switch.write_all(b"1")?;
        Ok(NoMemory(switch))
    }
}

impl Drop for NoMemory {
    fn drop(&mut self) {
        // The case would fail next for want of memory.
        let _ = self.0.write_all(b"0");
        let _ = Self::set("probability", "0");
    }
}

fn closing_needs_no_memory() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let nodes: Vec<u64> = (1..=50).map(|number| number << 4).collect();
    let mut ids = Vec::new();
    for node in &nodes {
        ids.push(holder.meets(&owner, *node)?);
    }
    let mail = Mail {
        to: &ids[..20],
        payload: &[&[7; 5000]],
        handles: &[0x100, 0x200],
        fds: &[2],
        flags: 0,
    };
    works("SEND", holder.send(&mail))?;
    let msg = data_of_any(&owner)?;
    check("a slice is held", msg > 0)?;
    let path = device().to_owned();
    let opened;
    let closed;
    {
        let _none = NoMemory::new()?;
        opened = std::fs::File::open(&path).map(drop);
        closed = owner.disconnect();
    }
    check("nothing could be allocated", opened.is_err())?;
    works("DISCONNECT", closed)?;
    for id in &ids {
        let msg = works("RECV", holder.recv())?;
        equal("whose end", msg.destination, *id)?;
    }
    for node in [0x100, 0x200] {
        notice(&holder, Notice::Released, node)?;
    }
    empty(&holder)
}

/// Takes a message; how large it is.
fn data_of_any(peer: &Peer) -> Verdict<u64> {
    Ok(works("RECV", peer.recv())?.n_bytes)
}

fn many_nodes_end_at_one_instant() -> Verdict {
    for end in [End::Destroy, End::Close] {
        scene(100, 3, end)?;
    }
    Ok(())
}
