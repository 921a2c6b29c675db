// SPDX-License-Identifier: MIT OR Apache-2.0

//! Steps that are one `BINDER_WRITE_READ`: which commands, and how its frame is
//! forged.

use tests_binder::abi::tf;
use tests_binder::request::{Request, READ};
use tests_binder::shm;
use tests_binder::wire::{Bc, Node, Tx};
use tests_binder::world::Res;

use super::content::{Source, WILD};
use super::party::{Batch, Effect};
use super::play::Play;
use crate::random::Rng;

/// Sizes of read buffers, from the least that holds an item on. Into a smaller one the
/// stock driver says that there is something where it turns out to be nothing.
const READS: [usize; 6] = [256, 256, 256, 512, 80, 152];

/// What is wrong with the frame of a call.
enum Forgery {
    /// Commands that can't be read.
    NoCommands,
    /// The last command is cut off, and memory ends there.
    CutOff(usize),
    /// The driver is told to begin further on.
    Begin(u64),
    /// Return codes go behind others.
    Append,
    /// Return codes can't be written.
    NoBuffer,
}

impl Play {
    /// One call of the driver with a few commands.
    pub fn talk(&mut self, r: &mut Rng) -> Res {
        let Some((index, thread)) = self.someone(r) else {
            return Ok(());
        };
        let mut batch = Batch::default();
        for _ in 0..r.of([0, 1, 1, 1, 2, 3]) {
            self.command(index, thread, &mut batch, r);
        }
        if batch.bc.bytes().is_empty() && r.one_in(3) && !self.loose {
            return self.block(index, thread, batch);
        }
        let read_size = if r.one_in(4) { 0 } else { r.of(READS) };
        let forgery = r.one_in(14).then(|| self.forgery(&batch, r));
        let blind = matches!(forgery, Some(Forgery::NoBuffer));
        let edge = self.places.edge;
        let form = |request: &mut Request| {
            request.read_size = read_size;
            if let Some(forgery) = forgery {
                forge(request, forgery, edge);
            }
        };
        if blind {
            let mut request = Request::new(&batch.bc, READ);
            form(&mut request);
            // What it has done is not known any more.
            return self.actor(index, thread).request_blind(&request).map(drop);
        }
        self.exchange(index, thread, batch, form, false).map(drop)
    }

    fn forgery(&self, batch: &Batch, r: &mut Rng) -> Forgery {
        let ends: Vec<u64> = batch.effects.iter().map(|(end, _)| *end).collect();
        match r.below(5) {
            0 => Forgery::NoCommands,
            1 => Forgery::CutOff(1 + r.below(11)),
            2 => Forgery::Begin(r.pick(&ends).unwrap_or(1 << 40)),
            3 => Forgery::Append,
            // Only a call without commands: what they did would not be known.
            _ if batch.bc.bytes().is_empty() => Forgery::NoBuffer,
            _ => Forgery::Append,
        }
    }

    /// Appends a command.
    fn command(&mut self, index: usize, thread: usize, batch: &mut Batch, r: &mut Rng) {
        let serves = self.parties[index].known.serving[thread] > 0;
        let reply = if serves { 60 } else { 3 };
        let source = self.source(index);
        match r.weighted(&[34, reply, 16, 18, 10, 7, 5, 3, 2]) {
            0 => batch.add(|bc| bc.call(call(&source, r))),
            1 => {
                let answer = Tx::answer().code(r.below(100) as u32);
                let answer = source.fill(answer.flags(r.of([0, 0, 1, tf::CLEAR_BUF])), r);
                batch.does(Effect::Reply, |bc| bc.reply(answer));
            }
            2 => self.free(index, batch, r),
            3 => self.count(index, &source, batch, r),
            4 => self.done(index, batch, r),
            5 => self.death(index, &source, batch, r),
            6 => self.state(index, &source, batch, r),
            7 => batch.add(|bc| match r.below(3) {
                0 => bc.enter(),
                1 => bc.register(),
                _ => bc.exit(),
            }),
            // Unknown, never implemented.
            _ => batch.add(|bc| match r.below(3) {
                0 => bc.unknown(),
                1 => bc.word(0x4004_6302).word(1),
                _ => bc.word(0x4008_630a).word(0).word(1),
            }),
        }
    }

    fn free(&mut self, index: usize, batch: &mut Batch, r: &mut Rng) {
        let known = &self.parties[index].known;
        let addresses: Vec<u64> = known.held.iter().map(|held| held.address).collect();
        let address = r.pick(&addresses).unwrap_or(known.freed);
        match r.below(12) {
            0 => batch.add(|bc| bc.free(r.of([0, 8, 1 << 63]))),
            1 => batch.add(|bc| bc.free(address + 8)),
            2 => batch.does(Effect::Free(address), |bc| bc.free(address).free(address)),
            _ => batch.does(Effect::Free(address), |bc| bc.free(address)),
        }
    }

    /// Counts of handles. Only what the process has taken itself is given back:
    /// that of buffers is a known difference.
    fn count(&mut self, index: usize, source: &Source, batch: &mut Batch, r: &mut Rng) {
        let handle = source.handle(r);
        let counts = self.parties[index].known.counts.get(&handle).copied();
        // What earlier commands of this batch give back is not known yet.
        let again = batch.effects.iter().any(
            |(_, effect)| matches!(effect, Effect::Release(h) | Effect::Decrefs(h) if *h == handle),
        );
        let own = counts.filter(|_| !again).unwrap_or_default();
        let wild = WILD + 7;
        match r.below(4) {
            0 => batch.does(Effect::Acquire(handle), |bc| bc.acquire(handle)),
            1 => batch.does(Effect::Increfs(handle), |bc| bc.increfs(handle)),
            2 if own.0 > 0 => batch.does(Effect::Release(handle), |bc| bc.release(handle)),
            2 => batch.add(|bc| bc.release(wild)),
            _ if own.1 > 0 => batch.does(Effect::Decrefs(handle), |bc| bc.decrefs(handle)),
            _ => batch.add(|bc| bc.decrefs(wild)),
        }
    }

    /// Answers to node codes, and some that nobody waits for.
    fn done(&mut self, index: usize, batch: &mut Batch, r: &mut Rng) {
        if !r.one_in(4) {
            let answers = self.answers(index);
            return batch.add(|bc| bc.also(&answers.bc));
        }
        let node = r.pick(&self.parties[index].nodes).unwrap_or(Node::new(8));
        let cookie = node.cookie + u64::from(r.one_in(3));
        let node = Node { cookie, ..node };
        batch.add(|bc| match r.below(2) {
            0 => bc.increfs_done(node),
            _ => bc.acquire_done(node),
        });
    }

    fn fresh_cookie(&mut self) -> u64 {
        self.cookie += 1;
        self.cookie
    }

    fn death(&mut self, index: usize, source: &Source, batch: &mut Batch, r: &mut Rng) {
        let cookie = self.fresh_cookie();
        let known = &mut self.parties[index].known;
        match r.below(5) {
            0 | 1 => {
                let handle = source.handle(r);
                known.asked_deaths.push((handle, cookie));
                batch.add(|bc| bc.request_death(handle, cookie));
            }
            2 => {
                let (handle, cookie) = r.pick(&known.asked_deaths).unwrap_or((1, 1));
                batch.add(|bc| bc.clear_death(handle, cookie));
            }
            3 => batch.add(|bc| bc.clear_death(source.handle(r), 1)),
            _ => {
                let cookie = known.deaths.pop().unwrap_or(2);
                batch.add(|bc| bc.dead_done(cookie));
            }
        }
    }

    fn state(&mut self, index: usize, source: &Source, batch: &mut Batch, r: &mut Rng) {
        let cookie = self.fresh_cookie();
        let known = &mut self.parties[index].known;
        match r.below(5) {
            0 | 1 => {
                let handle = source.handle(r);
                batch.does(Effect::AskState(handle, cookie), |bc| {
                    bc.request_freeze(handle, cookie)
                });
            }
            2 => {
                let (handle, cookie) = r.pick(&known.asked_states).unwrap_or((1, 1));
                batch.add(|bc| bc.clear_freeze(handle, cookie));
            }
            3 => batch.add(|bc| bc.clear_freeze(source.handle(r), 1)),
            _ => {
                let cookie = known.states.pop().unwrap_or(2);
                batch.add(|bc| bc.freeze_done(cookie));
            }
        }
    }
}

/// A call or a one-way.
fn call(source: &Source, r: &mut Rng) -> Tx {
    let target = if r.one_in(3) { 0 } else { source.handle(r) };
    let flags = r.of([
        0,
        0,
        0,
        tf::ACCEPT_FDS,
        tf::ACCEPT_FDS,
        tf::ONE_WAY,
        tf::ONE_WAY,
        tf::ONE_WAY | tf::UPDATE_TXN,
        tf::ONE_WAY | tf::CLEAR_BUF,
        tf::CLEAR_BUF | 0x8000_0000,
    ]);
    let code = if r.one_in(2) { 7 } else { r.below(100) as u32 };
    source.fill(Tx::to(target).code(code).flags(flags), r)
}

/// Breaks the frame. `edge` is where memory ends.
fn forge(request: &mut Request, forgery: Forgery, edge: u64) {
    match forgery {
        Forgery::NoCommands => {
            request.commands_at = Some(edge);
            request.write_size = Some(64);
        }
        Forgery::CutOff(bytes) => {
            let length = request.commands.bytes().len();
            let commands: Bc = request.commands.clone();
            request.commands = commands.truncate(length - bytes.min(length));
            let kept = request.commands.bytes();
            let at = edge - kept.len() as u64;
            shm::put_at(at, kept);
            request.commands_at = Some(at);
        }
        Forgery::Begin(at) => request.write_consumed = at,
        Forgery::Append => {
            request.read_size = READ;
            request.read_consumed = 4;
        }
        Forgery::NoBuffer => {
            request.read_size = READ;
            request.read_at = Some(edge);
        }
    }
}
