// SPDX-License-Identifier: MIT OR Apache-2.0

//! The global order under load, with several processes on several CPUs.
//!
//! Two senders multicast to dozens of queues in one call. Pairs of peers send one
//! message each, to different queues: the second when it is known, by other means
//! than the bus, that the first call has returned; in every other round the two
//! are processes that tell each other through shared memory. The first of a pair
//! has seen more messages than the second. That is the situation in which stamps
//! without a common clock fail: see the counterexample in the judge's tests.
//! Readers take from the queues meanwhile. Each call is framed by readings of a
//! shared counter, and the judge looks for one order that explains all that was
//! seen.
//!
//! A pass means something only if calls have really overlapped: that is counted,
//! and a run without any fails.

#![deny(unsafe_code)]

mod judge;
#[allow(unsafe_code)]
mod shared;
mod worker;

use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use self::judge::{Overlap, Received, Round, Sent};
use self::shared::{
    sender_of, Board, Shared, LOGGED, MESSAGES, MULTICASTERS, PAIRS, QUEUES, READERS, SENDERS,
};
use self::worker::Random;
use crate::raw::Peer;
use crate::tap::wait_or_kill;
use crate::verdict::{wrong, Failure, Verdict};

/// No round takes longer than this, not even on a slow guest.
const ROUND_LIMIT: Duration = Duration::from_secs(120);

/// What a run has seen.
#[derive(Default)]
struct Report {
    rounds: u64,
    messages: u64,
    deliveries: u64,
    refused: u64,
    overlap: Overlap,
}

/// Starts a worker that inherits the board and some peers.
fn start(board: &Shared, role: &[String], peers: &[&Peer]) -> Verdict<Child> {
    let board = board.to_inherit()?;
    let mut fds: Vec<OwnedFd> = Vec::new();
    for peer in peers {
        fds.push(peer.to_inherit()?);
    }
    let child = Command::new(std::env::current_exe()?)
        .arg("--stress-worker")
        .args(role)
        .arg(board.as_raw_fd().to_string())
        .args(fds.iter().map(|fd| fd.as_raw_fd().to_string()))
        .stdin(Stdio::null())
        .spawn()?;
    Ok(child)
}

/// The processes of one round; killed if the round ends early.
struct Workers(Vec<Child>);

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Those that have ended well can't be killed any more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A sending peer with a handle to each queue.
fn sender(queues: &[Peer]) -> Verdict<Peer> {
    let peer = Peer::open()?;
    for queue in queues {
        peer.meets(queue, 0x10)?;
    }
    Ok(peer)
}

/// The processes of a round. In even rounds each pair is one process, in odd ones
/// it is two.
fn start_all(board: &Shared, queues: &[Peer], round: u64) -> Verdict<Workers> {
    let mut workers = Workers(Vec::new());
    let words = |role: &str, name: usize, number: u64| {
        [role.to_owned(), name.to_string(), number.to_string()]
    };
    let seed = |name: usize| (round << 8 | name as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for name in 0..MULTICASTERS {
        let peer = sender(queues)?;
        let role = words("multicaster", name, seed(name));
        workers.0.push(start(board, &role, &[&peer])?);
    }
    for pair in 0..PAIRS {
        let peers = [sender(queues)?, sender(queues)?];
        let first = MULTICASTERS + 2 * pair;
        if round % 2 == 0 {
            let role = words("pair", pair, seed(first));
            workers
                .0
                .push(start(board, &role, &[&peers[0], &peers[1]])?);
        } else {
            for (name, peer) in (first..).zip(&peers) {
                let role = words("half", name, seed(name));
                workers.0.push(start(board, &role, &[peer])?);
            }
        }
    }
    let senders = workers.0.len() as u64;
    for name in 0..READERS {
        let part: Vec<&Peer> = worker::queues_of(name)
            .map(|queue| &queues[queue])
            .collect();
        let role = words("reader", name, senders);
        workers.0.push(start(board, &role, &part)?);
    }
    Ok(workers)
}

/// One round: starts all processes, waits for them, and collects what they saw.
fn round(number: u64) -> Verdict<(Round, u64)> {
    let board = Shared::new()?;
    let queues = (0..QUEUES)
        .map(|_| Peer::open())
        .collect::<Verdict<Vec<_>>>()?;
    let mut workers = start_all(&board, &queues, number)?;
    let start = Instant::now();
    let count = workers.0.len() as u32;
    while board.ready.load(Acquire) < count && start.elapsed() < ROUND_LIMIT {
        std::thread::sleep(Duration::from_millis(1));
    }
    board.go.store(1, Release);
    let mut failed = None;
    for child in &mut workers.0 {
        let left = ROUND_LIMIT.saturating_sub(start.elapsed());
        let end = wait_or_kill(child, left);
        match end {
            Ok(status) if status.success() => {}
            Ok(status) => failed = Some(format!("a worker has failed: {status}")),
            Err(why) => failed = Some(format!("a worker hangs: {why}")),
        }
        if failed.is_some() {
            board.stop.store(1, Relaxed);
        }
    }
    if let Some(why) = failed {
        let lost = board.lost.load(Relaxed);
        let more = match lost {
            0 => String::new(),
            queue => format!("; queue {} lost or held back a message", queue - 1),
        };
        return Err(wrong(format_args!("{why}{more}")));
    }
    Ok((collect(&board), board.refused.load(Relaxed)))
}

/// What stands on the board at the end of a round, without the messages that
/// were never sent.
fn collect(board: &Board) -> Round {
    let mut round = Round::default();
    let mut places = vec![usize::MAX; MESSAGES];
    for (message, sent) in board.sent.iter().enumerate() {
        let queues = sent.queues.load(Relaxed);
        if queues != 0 {
            places[message] = round.sent.len();
            round.sent.push(Sent {
                sender: sender_of(message),
                start: sent.start.load(Relaxed),
                end: sent.end.load(Relaxed),
                queues,
            });
        }
    }
    for log in &board.logs {
        let len = (log.len.load(Relaxed) as usize).min(LOGGED);
        let entries = log.entries[..len].iter().map(|entry| {
            let message = entry.message.load(Relaxed) as usize;
            Received {
                message: places.get(message).copied().unwrap_or(usize::MAX),
                time: entry.time.load(Relaxed),
            }
        });
        round.logs.push(entries.collect());
    }
    round
}

/// Adds one round to the report and judges it.
fn judge(round: &Round, report: &mut Report) -> Verdict {
    let overlap = round.overlap();
    report.rounds += 1;
    report.messages += round.sent.len() as u64;
    report.deliveries += round.logs.iter().map(|log| log.len() as u64).sum::<u64>();
    report.overlap.multicasts += overlap.multicasts;
    report.overlap.contended += overlap.contended;
    report.overlap.around_two += overlap.around_two;
    round.complete().map_err(wrong)?;
    let cycle = round.cycle();
    if cycle.is_empty() {
        return Ok(());
    }
    println!("# these messages can't be ordered (queues with places):");
    for message in &cycle {
        println!("#   {}", round.describe(*message));
    }
    Err(wrong("the order has a cycle"))
}

fn run(seconds: u64, report: &mut Report) -> Verdict {
    let start = Instant::now();
    let limit = Duration::from_secs(seconds.min(24 * 3600));
    for number in 0.. {
        let (seen, refused) = round(number)?;
        report.refused += refused;
        judge(&seen, report)?;
        // One of each kind, however slow the guest is.
        if number > 0 && start.elapsed() >= limit {
            break;
        }
    }
    Ok(())
}

/// `--order-stress SECONDS`.
pub fn command(seconds: u64) -> i32 {
    if let Err(why) = Peer::open() {
        println!("Bail out! {why}");
        return 2;
    }
    println!("TAP version 13\n1..2");
    let mut report = Report::default();
    let result = run(seconds, &mut report);
    let overlap = report.overlap;
    println!(
        "# {} rounds, {} messages, {} deliveries, {} sends tried again for want of room",
        report.rounds, report.messages, report.deliveries, report.refused
    );
    println!(
        "# {} multicasts: {} overlapped with another to the same queues, \
         {} enclosed two sends of which one returned before the other began",
        overlap.multicasts, overlap.contended, overlap.around_two
    );
    let mut failed = 0;
    match &result {
        Ok(()) => println!("ok 1 order_stress_finds_no_violation"),
        Err(why) => {
            println!("not ok 1 order_stress_finds_no_violation\n# {why}");
            failed += 1;
        }
    }
    if overlap.contended > 0 && overlap.around_two > 0 {
        println!("ok 2 order_stress_had_overlapping_multicasts");
    } else {
        println!("not ok 2 order_stress_had_overlapping_multicasts");
        failed += 1;
    }
    println!("{} passed, {failed} failed, 0 skipped", 2 - failed);
    i32::from(failed > 0)
}

fn work(args: &[&str]) -> Verdict {
    let [role, name, number, board, peers @ ..] = args else {
        return Err(wrong("a worker needs more words"));
    };
    let name: usize = name.parse().map_err(wrong)?;
    let number: u64 = number.parse().map_err(wrong)?;
    let board = Shared::open(crate::raw::inherited(board)?)?;
    let peers = peers
        .iter()
        .map(|peer| Peer::inherited(peer))
        .collect::<Verdict<Vec<_>>>()?;
    let mut random = Random::new(number);
    let result = match (*role, &peers[..]) {
        ("multicaster", [peer]) if name < MULTICASTERS => {
            worker::multicaster(&board, peer, name, &mut random)
        }
        ("pair", [one, two]) if name < PAIRS => worker::pair(&board, [one, two], name, &mut random),
        ("half", [peer]) if (MULTICASTERS..SENDERS).contains(&name) => {
            worker::half(&board, peer, name, &mut random)
        }
        ("reader", _) if name < READERS => {
            let peers: Vec<_> = worker::queues_of(name).zip(peers).collect();
            worker::reader(&board, &peers, number as u32)
        }
        _ => Err(wrong("no such worker")),
    };
    if result.is_err() {
        board.stop.store(1, Relaxed);
    }
    result
}

/// `--stress-worker ROLE NAME NUMBER BOARD PEER..`, started by this program.
pub fn worker_command(args: &[&str]) -> i32 {
    match work(args) {
        Ok(()) => 0,
        Err(Failure::Wrong(why) | Failure::Skip(why)) => {
            println!("# worker {args:?}: {why}");
            1
        }
    }
}
