// SPDX-License-Identifier: MIT OR Apache-2.0

//! Destruction of nodes against messages and transfers that carry their handles,
//! many times, with two processes that meet before every few races.
//!
//! One process destroys, one passes the handles on, and this one reads what the
//! receivers get, in every other batch while the races go on. What they may have
//! seen is the judge's matter. A pass means something only if both outcomes have
//! occurred, and calls have overlapped: both is counted.

#![forbid(unsafe_code)]

mod board;
mod judge;

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use bus1_sys::{
    bus1_cmd_peer_reset, BUS1_MSG_DATA, BUS1_MSG_NODE_DESTROY, BUS1_PEER_RESET_FLAG_FLUSH,
};
use rustix::io::Errno;

use self::board::{Board, Side, BATCH, WORDS};
use self::judge::{judge, kind_of, Kind, Seen, Tally, RECEIVERS};
use crate::helper::Helper;
use crate::raw::{inherited, Mail, Peer, KEEP};
use crate::scratch::Scratch;
use crate::verdict::{equal, wrong, Verdict};

/// A batch that takes longer hangs.
const BATCH_LIMIT: Duration = Duration::from_secs(60);

/// How long the reader waits when there is nothing to read.
const READING: Duration = Duration::from_micros(200);

/// A long run says how far it is whenever it has done so many.
const PROGRESS: u64 = 50_000;

/// Longest wait between a meeting and a call, in looks at nothing.
const JITTER: u64 = 300;

/// What was seen.
#[derive(Clone, Copy, Default)]
pub struct Report {
    /// Races.
    pub races: u64,
    /// How they ended.
    pub tally: Tally,
    /// Races in which the two calls overlapped.
    pub overlapped: u64,
}

impl Report {
    /// In words, without a word on what that means.
    pub fn describe(&self) -> String {
        let Tally { live, dead } = self.tally;
        format!(
            "{} races, {} with overlapping calls; alive/dead: message {}/{}, multicast {}/{}, transfer {}/{}",
            self.races, self.overlapped, live[0], dead[0], live[1], dead[1], live[2], dead[2]
        )
    }

    /// Whether a pass means something.
    pub fn is_telling(&self) -> bool {
        self.overlapped > 0 && self.tally.both_ways()
    }
}

/// Waits for a moment that differs each time.
fn jitter(random: &mut u64) {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    for _ in 0..*random % JITTER {
        std::hint::spin_loop();
    }
}

/// The owner's ID of the node of a race.
fn node_of(race: usize) -> u64 {
    (race as u64 + 1) << 4
}

fn flush(peer: &Peer) -> Result<(), Errno> {
    peer.reset(bus1_cmd_peer_reset {
        flags: BUS1_PEER_RESET_FLAG_FLUSH,
        ..KEEP
    })
}

/// Run in another process: destroys the nodes of each batch, one by one.
pub fn destroyer(args: &[&str]) -> Verdict {
    let [scratch, owner] = args else {
        return Err(wrong("two descriptors are expected"));
    };
    let scratch = Scratch::open(inherited(scratch)?)?;
    let board = Board::new(&scratch).ok_or(Errno::INVAL)?;
    let owner = Peer::inherited(owner)?;
    let mut random = 0x9e37_79b9_7f4a_7c15;
    for batch in 1.. {
        if !board.await_at_least(board.ready(), batch) {
            return Ok(());
        }
        for race in 0..BATCH {
            if !board.meet(Side::Destroyer, batch, race) {
                return Ok(());
            }
            jitter(&mut random);
            board.stamp(Side::Destroyer, race, false);
            let result = owner.destroy_and_release(&[node_of(race)]);
            board.stamp(Side::Destroyer, race, true);
            result?;
        }
        board.done(Side::Destroyer).store(batch, Release);
    }
    Ok(())
}

/// The peers of the carrier.
struct Carrier {
    owner: Peer,
    holder: Peer,
    receivers: [Peer; RECEIVERS],
}

impl Carrier {
    /// Makes the nodes of a batch; the holder's IDs of them, and those of the
    /// receivers of messages.
    fn prepare(&self) -> Verdict<(Vec<u64>, [u64; 2])> {
        flush(&self.holder)?;
        flush(&self.owner)?;
        let to_holder = self.holder.transfer(0x20, &self.owner)?;
        let nodes: Vec<u64> = (0..BATCH).map(node_of).collect();
        self.owner.send(&Mail {
            to: &[to_holder],
            handles: &nodes,
            ..Default::default()
        })?;
        let msg = self.holder.recv()?;
        let ids = self.holder.handles(&msg);
        equal("handles of a batch", ids.len(), BATCH)?;
        let [first, second, _] = &self.receivers;
        let to = [
            first.transfer(0x10, &self.holder)?,
            second.transfer(0x10, &self.holder)?,
        ];
        Ok((ids, to))
    }

    /// Passes the handle of one race on; the ID that a transfer returned.
    fn carry(&self, race: usize, id: u64, to: &[u64; 2]) -> Result<u64, Errno> {
        let word = (race as u32).to_ne_bytes();
        let to = match kind_of(race) {
            Kind::Message => &to[..1],
            Kind::Multicast => &to[..],
            Kind::Transfer => return self.holder.transfer(id, &self.receivers[2]),
        };
        let mail = Mail {
            to,
            payload: &[&word],
            handles: &[id],
            ..Default::default()
        };
        self.holder.send(&mail).map(|()| 0)
    }
}

/// Run in another process: passes the handles of each batch on, one by one.
pub fn carrier(args: &[&str]) -> Verdict {
    let [scratch, owner, holder, first, second, third] = args else {
        return Err(wrong("six descriptors are expected"));
    };
    let scratch = Scratch::open(inherited(scratch)?)?;
    let board = Board::new(&scratch).ok_or(Errno::INVAL)?;
    let carrier = Carrier {
        owner: Peer::inherited(owner)?,
        holder: Peer::inherited(holder)?,
        receivers: [
            Peer::inherited(first)?,
            Peer::inherited(second)?,
            Peer::inherited(third)?,
        ],
    };
    let mut random = 0x2545_f491_4f6c_dd1d;
    for batch in 1.. {
        if !board.await_at_least(board.batch(), batch) {
            return Ok(());
        }
        let (ids, to) = carrier.prepare()?;
        board.ready().store(batch, Release);
        for (race, id) in ids.iter().enumerate() {
            if !board.meet(Side::Carrier, batch, race) {
                return Ok(());
            }
            jitter(&mut random);
            board.stamp(Side::Carrier, race, false);
            let result = carrier.carry(race, *id, &to);
            board.stamp(Side::Carrier, race, true);
            board.given(race).store(result?, Relaxed);
        }
        board.done(Side::Carrier).store(batch, Release);
    }
    Ok(())
}

/// Takes the next entry of a receiver; whether there was one.
fn take(peer: &Peer, log: &mut Vec<Seen>) -> Verdict<bool> {
    let msg = match peer.recv() {
        Err(Errno::AGAIN) => return Ok(false),
        other => other?,
    };
    log.push(match msg.type_ {
        BUS1_MSG_DATA => {
            let word = peer.bytes(&msg).try_into().map_err(|_| Errno::PROTO)?;
            let slots = peer.handles(&msg);
            equal("slots", slots.len(), 1)?;
            Seen::Message(u32::from_ne_bytes(word) as usize, slots[0])
        }
        BUS1_MSG_NODE_DESTROY => Seen::Notice(msg.destination),
        // The carrier's peers have dropped their handles to the receivers' nodes.
        _ => return Ok(true),
    });
    Ok(true)
}

/// The processes and the peers that are read here.
struct Arena {
    scratch: Scratch,
    receivers: [Peer; RECEIVERS],
    helpers: [Helper; 2],
}

impl Arena {
    fn new() -> Verdict<Self> {
        let scratch = Scratch::new(WORDS)?;
        let (owner, holder) = (Peer::open()?, Peer::open()?);
        let receivers = [Peer::open()?, Peer::open()?, Peer::open()?];
        let [first, second, third] = &receivers;
        let all = [&owner, &holder, first, second, third];
        let helpers = [
            Helper::start_with("destroyer", Some(&scratch), &[&owner], &[])?,
            Helper::start_with("carrier", Some(&scratch), &all, &[])?,
        ];
        Ok(Arena {
            scratch,
            receivers,
            helpers,
        })
    }

    /// Has a batch played, and reads what the receivers get.
    fn play(&mut self, batch: u64) -> Verdict<[Vec<Seen>; RECEIVERS]> {
        let board = Board::new(&self.scratch).ok_or(Errno::INVAL)?;
        for peer in &self.receivers {
            flush(peer)?;
        }
        board.batch().store(batch, Release);
        let mut logs = [const { Vec::new() }; RECEIVERS];
        let start = Instant::now();
        loop {
            // Looked at before the queues: what is in them then is all.
            let over = [Side::Destroyer, Side::Carrier]
                .iter()
                .all(|side| board.done(*side).load(Acquire) >= batch);
            let mut any = false;
            if over || batch % 2 == 1 {
                for (peer, log) in self.receivers.iter().zip(&mut logs) {
                    any |= take(peer, log)?;
                }
            }
            if !any {
                if over {
                    return Ok(logs);
                }
                std::thread::sleep(READING);
                let [one, two] = &mut self.helpers;
                if !(one.runs()? && two.runs()?) || start.elapsed() > BATCH_LIMIT {
                    return Err(wrong(format_args!("batch {batch} comes to no end")));
                }
            }
        }
    }

    fn end(self) -> Verdict {
        if let Some(board) = Board::new(&self.scratch) {
            board.stop();
        }
        for helper in self.helpers {
            helper.join()?;
        }
        Ok(())
    }
}

/// Runs at least `races` races; fewer if `time` is over, but one batch with and one without a
/// reader meanwhile.
pub fn run(races: u64, time: Duration, report: &mut Report) -> Verdict {
    let mut arena = Arena::new()?;
    let start = Instant::now();
    for batch in 1.. {
        if report.races >= races || (batch > 2 && start.elapsed() > time) {
            break;
        }
        let logs = match arena.play(batch) {
            Ok(logs) => logs,
            Err(why) => {
                // A helper that has failed says why, which says more.
                arena.end()?;
                return Err(why);
            }
        };
        let board = Board::new(&arena.scratch).ok_or(Errno::INVAL)?;
        let given: Vec<u64> = (0..BATCH)
            .map(|race| board.given(race).load(Relaxed))
            .collect();
        let tally =
            judge(&logs, &given).map_err(|why| wrong(format_args!("batch {batch}: {why}")))?;
        report.tally.add(&tally);
        let before = report.races;
        report.races += BATCH as u64;
        report.overlapped += (0..BATCH).filter(|race| board.overlapped(*race)).count() as u64;
        if before / PROGRESS != report.races / PROGRESS {
            eprintln!("# so far: {}", report.describe());
        }
    }
    arena.end()
}

/// `--death-races N`.
pub fn command(races: u64) -> i32 {
    if let Err(why) = Peer::open() {
        println!("Bail out! {why}");
        return 2;
    }
    println!("TAP version 13\n1..2");
    let start = Instant::now();
    let mut report = Report::default();
    let result = run(races, Duration::MAX, &mut report);
    println!(
        "# {} ({:.1} s)",
        report.describe(),
        start.elapsed().as_secs_f64()
    );
    let mut failed = 0;
    match &result {
        Ok(()) => println!("ok 1 death_races_find_no_violation"),
        Err(why) => {
            println!("not ok 1 death_races_find_no_violation\n# {why}");
            failed += 1;
        }
    }
    if report.is_telling() {
        println!("ok 2 death_races_went_both_ways");
    } else {
        println!("not ok 2 death_races_went_both_ways");
        failed += 1;
    }
    println!("{} passed, {failed} failed, 0 skipped", 2 - failed);
    i32::from(failed > 0)
}
