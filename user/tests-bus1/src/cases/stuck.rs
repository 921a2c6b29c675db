// SPDX-License-Identifier: MIT OR Apache-2.0

//! A sender that stands in the middle of SEND, since nobody answers the fault on
//! its own memory: it must not hold up anybody else, least of all who ends.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bus1_sys::bus1_cmd_send;
use rustix::io::Errno;

use super::cases;
use super::optional::used;
use crate::expect::{empty, notice, payload, Notice};
use crate::foreign::Unanswered;
use crate::helper::Helper;
use crate::raw::{inherited, Errors, Peer};
use crate::scratch::Scratch;
use crate::verdict::{check, equal, fails, skip, works, wrong, Verdict};

cases! {
    closing_does_not_wait_for_a_sender_that_stands,
    disconnecting_does_not_wait_for_a_sender_that_stands,
    a_sender_that_stands_can_be_disconnected,
    a_sender_that_stands_can_be_killed,
    a_sender_that_stands_delays_nobody,
}

/// Words of the scratch.
const STATE: usize = 0;
const ANSWER: usize = 1;
const RESULT: usize = 2;

/// What the sender says of itself.
const STANDS: u64 = 1;
const RETURNED: u64 = 2;
const NO_FAULTS: u64 = 3;

/// Longer than anything takes that waits for nobody.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Run in another process: sends a page that nobody answers for to these nodes.
pub fn sender(args: &[&str]) -> Verdict {
    let [scratch, peer, to @ ..] = args else {
        return Err(wrong("two descriptors are expected"));
    };
    let scratch = Scratch::open(inherited(scratch)?)?;
    let peer = Peer::inherited(peer)?;
    let to = to.iter().map(|id| id.parse().map_err(wrong));
    let to: Vec<u64> = to.collect::<Verdict<_>>()?;
    let page = match Unanswered::new() {
        Err(Errno::NOSYS) => {
            scratch.words()[STATE].store(NO_FAULTS, Relaxed);
            return Ok(());
        }
        other => other?,
    };
    // A vector of the payload: where, and how much.
    let vector = [page.address(), 4096];
    std::thread::scope(|scope| -> Verdict {
        let send = scope.spawn(|| {
            let arg = bus1_cmd_send {
                ptr_destinations: to.as_ptr() as u64,
                n_destinations: to.len() as u64,
                ptr_vecs: vector.as_ptr() as u64,
                n_vecs: 1,
                ..Default::default()
            };
            let sent = peer.send_with(arg, Errors::None);
            let errno = sent.map_or_else(|errno| errno.raw_os_error(), |()| 0);
            scratch.words()[RESULT].store(errno.unsigned_abs().into(), Relaxed);
            scratch.words()[STATE].store(RETURNED, Relaxed);
        });
        check("the page is touched", page.is_touched(AT_ONCE)?)?;
        scratch.words()[STATE].store(STANDS, Relaxed);
        while scratch.words()[ANSWER].load(Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        page.answer()?;
        send.join().map_err(|_| wrong("the sender panicked"))
    })
}

/// A sender in another process that stands.
struct Standing {
    scratch: Scratch,
    helper: Helper,
    /// The peer that it sends as.
    peer: Peer,
}

impl Standing {
    /// Sends to node 0x10 of each.
    fn new(receivers: &[&Peer]) -> Verdict<Self> {
        let (scratch, peer) = (Scratch::new(8)?, Peer::open()?);
        let mut to = Vec::new();
        for receiver in receivers {
            to.push(peer.meets(receiver, 0x10)?.to_string());
        }
        let helper = Helper::start_with("stuck-sender", Some(&scratch), &[&peer], &to)?;
        let mut standing = Standing {
            scratch,
            helper,
            peer,
        };
        match standing.until(|state| state != 0)? {
            STANDS => Ok(standing),
            NO_FAULTS => skip("the kernel has no userfaultfd"),
            other => Err(wrong(format_args!("the sender does not stand: {other}"))),
        }
    }

    fn state(&self) -> u64 {
        self.scratch.words()[STATE].load(Relaxed)
    }

    fn until(&mut self, reached: impl Fn(u64) -> bool) -> Verdict<u64> {
        let start = Instant::now();
        while !reached(self.state()) {
            if start.elapsed() > 2 * AT_ONCE || !self.helper.runs()? {
                return Err(wrong(format_args!("the sender says {}", self.state())));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(self.state())
    }

    /// Does something, which must not wait for the sender, while that stands.
    fn meanwhile<R: Send>(&mut self, what: &str, work: impl FnOnce() -> R + Send) -> Verdict<R> {
        std::thread::scope(|scope| {
            let (tell, done) = mpsc::channel();
            scope.spawn(move || {
                // Nobody listens any more to what comes too late.
                let _ = tell.send(work());
            });
            match done.recv_timeout(AT_ONCE) {
                Ok(result) => {
                    equal("the sender", self.state(), STANDS)?;
                    Ok(result)
                }
                Err(_) => {
                    // So that what waits for it comes to an end.
                    self.helper.kill()?;
                    Err(wrong(format_args!("{what} waits for the sender")))
                }
            }
        })
    }

    /// Lets it go on; what SEND says then.
    fn answer(&mut self) -> Verdict<Result<(), Errno>> {
        self.scratch.words()[ANSWER].store(1, Relaxed);
        // Its process may end right after it has said so.
        let start = Instant::now();
        while self.state() != RETURNED {
            check("SEND returns", start.elapsed() < 2 * AT_ONCE)?;
            std::thread::sleep(Duration::from_millis(1));
        }
        let errno = self.scratch.words()[RESULT].load(Relaxed) as i32;
        Ok(match errno {
            0 => Ok(()),
            other => Err(Errno::from_raw_os_error(other)),
        })
    }
}

fn closing_does_not_wait_for_a_sender_that_stands() -> Verdict {
    let (first, last) = (Peer::open()?, Peer::open()?);
    let mut sender = Standing::new(&[&first, &last])?;
    // The payload is on its way into the pool of the first.
    sender.meanwhile("close", || drop(first))?;
    sender.meanwhile("close of the other", || drop(last))?;
    fails("SEND", sender.answer()?, Errno::HOSTUNREACH)?;
    equal("slices of the sender", used(&sender.peer, "slices")?, 0)
}

fn disconnecting_does_not_wait_for_a_sender_that_stands() -> Verdict {
    let receiver = Peer::open()?;
    let mut sender = Standing::new(&[&receiver])?;
    let done = sender.meanwhile("DISCONNECT", || receiver.disconnect())?;
    works("DISCONNECT", done)?;
    let again = sender.meanwhile("the second DISCONNECT", || receiver.disconnect())?;
    fails("the second DISCONNECT", again, Errno::SHUTDOWN)?;
    fails("SEND", sender.answer()?, Errno::HOSTUNREACH)
}

fn a_sender_that_stands_can_be_disconnected() -> Verdict {
    let receiver = Peer::open()?;
    let mut sender = Standing::new(&[&receiver])?;
    let peer = works("dup", sender.peer.to_inherit())?;
    let peer = Peer::from_fd(peer)?;
    let done = sender.meanwhile("DISCONNECT", || peer.disconnect())?;
    works("DISCONNECT", done)?;
    // The peer that it sends as is gone, and nothing may come of that.
    check("SEND fails", sender.answer()?.is_err())?;
    notice(&receiver, Notice::Released, 0x10)?;
    empty(&receiver)?;
    equal("slices", used(&receiver, "slices")?, 0)
}

fn a_sender_that_stands_can_be_killed() -> Verdict {
    let (first, last) = (Peer::open()?, Peer::open()?);
    for round in 0..3 {
        let mut sender = Standing::new(&[&first, &last])?;
        check("its slice is charged", used(&first, "slices")? > 0)?;
        sender.helper.kill()?;
        equal("state", sender.state(), STANDS)?;
        drop(sender);
        for receiver in [&first, &last] {
            // Its peer went with it, and nothing else of it is left.
            notice(receiver, Notice::Released, 0x10)?;
            empty(receiver)?;
            let now = (used(receiver, "slices")?, used(receiver, "bytes")?);
            equal(&format!("slices and bytes, round {round}"), now, (0, 0))?;
        }
    }
    works("SEND", first.say(0x100, b"alive"))?;
    payload(&first, 0x100, b"alive")
}

fn a_sender_that_stands_delays_nobody() -> Verdict {
    let (receiver, other) = (Peer::open()?, Peer::open()?);
    let to = other.meets(&receiver, 0x20)?;
    let mut sender = Standing::new(&[&receiver])?;
    let talk = || -> Verdict {
        for _ in 0..100 {
            works("SEND", other.say(to, b"past it"))?;
            payload(&receiver, 0x20, b"past it")?;
        }
        let id = other.meets(&receiver, 0x30)?;
        works("RELEASE", other.release(id))?;
        notice(&receiver, Notice::Released, 0x30)?;
        works("NODES_DESTROY", receiver.destroy(&[0x20]))?;
        notice(&receiver, Notice::Destroyed, 0x20)?;
        notice(&other, Notice::Destroyed, to)?;
        empty(&receiver)
    };
    sender.meanwhile("the bus", talk)??;
    // Its own peer as well, which another thread of it may use.
    let own = works("dup", sender.peer.to_inherit())?;
    let own = Peer::from_fd(own)?;
    let talk = || -> Verdict {
        works("SEND", own.say(0x100, b"beside it"))?;
        payload(&own, 0x100, b"beside it")
    };
    sender.meanwhile("its own peer", talk)??;
    works("SEND", sender.answer()?)?;
    payload(&receiver, 0x10, &[0; 4096])
}
