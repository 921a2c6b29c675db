// SPDX-License-Identifier: MIT OR Apache-2.0

//! Plays a stream: the processes, what they have asked the driver for, and what
//! has come back.

use std::time::{Duration, Instant};

use tests_binder::actor::Thread;
use tests_binder::ops;
use tests_binder::request::{Done, Request, READ};
use tests_binder::returns::Br;
use tests_binder::wire::{Node, Tx};
use tests_binder::world::{check, same, Cx, Fail, Res, MANAGER, MAPPING};

use super::arrived;
use super::content::{Places, Source, PAGE};
use super::party::{Batch, Effect, Flight, Held, Known, Party, SERVER, THREADS};
use crate::random::Rng;

/// Most rounds of a thread that serves.
const ROUNDS: usize = 40;

/// What the stock driver counts; its files end some time after they were closed.
const STOCK_STATS: &str = "/sys/kernel/debug/binder/stats";

/// A stream being played.
pub struct Play {
    /// The device.
    pub cx: Cx,
    /// The processes, dead ones included.
    pub parties: Vec<Party>,
    /// Who is the manager.
    pub manager: Option<usize>,
    /// There has been another one.
    pub managers: usize,
    /// Where memory ends.
    pub places: Places,
    /// The next cookie that was never used.
    pub cookie: u64,
    /// Nobody looks at what comes back: threads don't wait for each other.
    pub loose: bool,
    /// Files that the stock driver counted when none of this stream was open.
    others: Option<usize>,
}

/// The files that the stock driver counts; none if it doesn't.
pub fn stock_files() -> Option<usize> {
    let text = std::fs::read_to_string(STOCK_STATS).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("proc: active "))?;
    line.split(' ').next()?.parse().ok()
}

/// Waits until the stock driver counts so many files: it ends them in its own time.
pub fn settle(files: usize) -> Res {
    let deadline = Instant::now() + Duration::from_secs(10);
    while stock_files() != Some(files) {
        if Instant::now() > deadline {
            return Err(Fail("a closed file does not end".into()));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

impl Play {
    /// A play with its first processes. `others` is what [`stock_files`] counts without
    /// it.
    pub fn new(cx: Cx, seed: u64, loose: bool, others: Option<usize>) -> Res<Self> {
        if loose {
            cx.quiet(true);
        }
        let mut play = Play {
            cx,
            parties: Vec::new(),
            manager: None,
            managers: 0,
            places: Places::new(),
            cookie: 0x100,
            loose,
            others,
        };
        let mut r = Rng::of_step(seed, usize::MAX - 1);
        for _ in 0..4 {
            play.newcomer(&mut r)?;
        }
        if loose {
            play.take_over(0)?;
        } else {
            play.introduce()?;
        }
        for party in &play.parties {
            party.threads[SERVER].set_nonblock(true)?;
        }
        Ok(play)
    }

    /// A process with the device open, its file still one that blocks.
    pub fn newcomer(&mut self, r: &mut Rng) -> Res<usize> {
        let index = self.parties.len();
        let name = format!("P{index}");
        let proc = self.cx.mapped(&name, MAPPING)?;
        let file = proc.run(ops::memfd, &[0])? as i32;
        proc.run(ops::forbid, &[self.places.edge, PAGE as u64])?;
        proc.greet()?;
        let second = proc.bare_thread(&format!("{name}b"))?;
        if r.one_in(2) {
            second.greet()?;
        }
        let server = proc.thread(&format!("{name}s"))?;
        let threads = [(*proc).clone(), second, server].map(|thread| &*Box::leak(Box::new(thread)));
        let base = 0x10000 * (index as u64 + 1);
        let node = |k: u64| Node::new(base + 16 * k).flags([0x100, 0x100, 0, 0x1000][k as usize]);
        self.parties.push(Party {
            proc,
            threads,
            flights: [None, None, None],
            alive: true,
            open: true,
            mapped: true,
            frozen: false,
            file,
            nodes: (0..4).map(node).collect(),
            known: Known::default(),
        });
        Ok(index)
    }

    /// Makes the process the manager, if there is none.
    fn take_over(&mut self, index: usize) -> Res<i64> {
        let result = self.parties[index].proc.become_manager(MANAGER)?;
        if result == 0 {
            self.manager = Some(index);
            self.managers += 1;
        }
        Ok(result)
    }

    /// Gives each process but the manager handles to nodes of others.
    fn introduce(&mut self) -> Res {
        same("SET_CONTEXT_MGR_EXT", self.take_over(0)?, 0)?;
        for (from, node, to) in [(1, 0, 2), (2, 0, 3), (3, 0, 1), (1, 1, 3), (2, 1, 1)] {
            let node = self.parties[from].nodes[node];
            let [m, from, to_thread] = [0, from, to].map(|index| self.parties[index].threads[0]);
            let handle = self.cx.share(m, from, node, to_thread)?;
            self.parties[to].known.counts.insert(handle, (1, 0));
        }
        Ok(())
    }

    /// Opens the device again in a process that has closed it.
    pub fn reopen(&mut self, index: usize) -> Res {
        let device = self.cx.device.clone();
        let party = &mut self.parties[index];
        party.proc.open(&device)?;
        let fd = party.proc.fd;
        party.threads = party.threads.map(|thread| {
            let again = thread.with_fd(fd, &thread.name);
            &*Box::leak(Box::new(again))
        });
        check("it can be mapped again", party.proc.map(MAPPING)? > 0)?;
        party.known = Known::default();
        (party.open, party.mapped, party.frozen) = (true, true, false);
        party.threads[SERVER].greet()?;
        party.threads[SERVER].set_nonblock(true)
    }

    /// What this process has to put into messages.
    pub fn source(&self, index: usize) -> Source {
        let party = &self.parties[index];
        Source {
            nodes: party.nodes.clone(),
            handles: party.known.handles(),
            file: party.file,
            places: self.places,
        }
    }

    /// Has the driver do something, and takes what comes back, unless nobody has
    /// to wait for that.
    pub fn exchange(
        &mut self,
        index: usize,
        thread: usize,
        batch: Batch,
        form: impl FnOnce(&mut Request),
        wait: bool,
    ) -> Res<Option<Done>> {
        let mut request = Request::new(&batch.bc, READ);
        form(&mut request);
        // What the commands cause might go to a thread that waits, or to this one.
        if !self.parties[index].is_idle() && !batch.bc.bytes().is_empty() && !self.loose {
            request.read_size = 0;
        }
        let flight = Flight {
            begin: request.write_consumed,
            effects: batch.effects,
            pending: self.parties[index].threads[thread].start(&request),
        };
        if self.loose && !wait {
            self.parties[index].flights[thread] = Some(flight);
            return Ok(None);
        }
        self.land(index, thread, flight).map(Some)
    }

    /// The same with a read that blocks, if there is nothing to read.
    pub fn block(&mut self, index: usize, thread: usize, batch: Batch) -> Res {
        let threads = self.parties[index].threads;
        threads[SERVER].set_nonblock(false)?;
        let flight = Flight {
            begin: 0,
            pending: threads[thread].start(&Request::new(&batch.bc, READ)),
            effects: batch.effects,
        };
        let done = threads[thread].comes_to_rest()?;
        threads[SERVER].set_nonblock(true)?;
        if done {
            return self.land(index, thread, flight).map(drop);
        }
        threads[thread].say("blocks");
        self.parties[index].flights[thread] = Some(flight);
        Ok(())
    }

    /// Takes what has come back to threads that were inside the driver.
    pub fn collect(&mut self) -> Res {
        for index in 0..self.parties.len() {
            for thread in 0..THREADS {
                if self.parties[index].flights[thread].is_none() {
                    continue;
                }
                let actor = self.parties[index].threads[thread];
                let done = if self.loose {
                    !actor.is_busy()
                } else {
                    actor.comes_to_rest()?
                };
                if let Some(flight) = self.parties[index].flights[thread].take_if(|_| done) {
                    self.land(index, thread, flight)?;
                }
            }
        }
        Ok(())
    }

    fn land(&mut self, index: usize, thread: usize, flight: Flight) -> Res<Done> {
        let done = flight.pending.finish()?;
        let unchanged = self.managers == 1 && self.manager.is_some();
        let known = &mut self.parties[index].known;
        for (end, effect) in flight.effects {
            if flight.begin < end && end <= done.write_consumed {
                known.apply(effect, thread, unchanged);
            }
        }
        for item in &done.items {
            self.take(index, thread, item)?;
        }
        Ok(done)
    }

    /// Takes one item of a read.
    fn take(&mut self, index: usize, thread: usize, item: &Br) -> Res {
        let party = &mut self.parties[index];
        let known = &mut party.known;
        match *item {
            Br::Node("INCREFS", ptr, cookie) => {
                known.answers.push((
                    false,
                    Node {
                        ptr,
                        cookie,
                        flags: 0,
                    },
                ));
            }
            Br::Node("ACQUIRE", ptr, cookie) => {
                known.answers.push((
                    true,
                    Node {
                        ptr,
                        cookie,
                        flags: 0,
                    },
                ));
            }
            Br::Cookie("DEAD_BINDER", cookie) => known.deaths.push(cookie),
            Br::Frozen(cookie, _) => known.states.push(cookie),
            Br::Unknown(code) => return Err(Fail(format!("unknown code {code:#x}"))),
            _ => {}
        }
        let Some(message) = item.message() else {
            return Ok(());
        };
        let call = !matches!(item, Br::Reply(_)) && message.flags & 1 == 0;
        known.serving[thread] += u32::from(call);
        let mut handles = Vec::new();
        if party.mapped {
            let actor = party.threads[thread];
            let arrived = arrived::open(actor, &message, party.proc.mapping)?;
            actor.say(&arrived.text);
            handles = arrived.handles;
        }
        party.known.held.push(Held {
            address: message.buffer,
            handles,
            by: thread,
        });
        Ok(())
    }

    /// All that is to be answered, as commands.
    pub fn answers(&mut self, index: usize) -> Batch {
        let known = &mut self.parties[index].known;
        let mut batch = Batch::default();
        for (strong, node) in known.answers.drain(..) {
            batch.add(|bc| match strong {
                true => bc.acquire_done(node),
                false => bc.increfs_done(node),
            });
        }
        for cookie in known.deaths.drain(..) {
            batch.add(|bc| bc.dead_done(cookie));
        }
        for cookie in known.states.drain(..) {
            batch.add(|bc| bc.freeze_done(cookie));
        }
        batch
    }

    /// Reads on this thread until nothing is left, and answers all of it.
    pub fn serve(&mut self, index: usize, thread: usize, r: &mut Rng) -> Res {
        for _ in 0..ROUNDS {
            if !self.parties[index].is_free(thread) {
                break;
            }
            let mut batch = self.answers(index);
            let (source, known) = (self.source(index), &self.parties[index].known);
            let mut replies = known.serving[thread];
            for held in known.held.iter().filter(|held| held.by == thread) {
                let address = held.address;
                batch.does(Effect::Free(address), |bc| bc.free(address));
            }
            while replies > 0 {
                // Those who don't look at it get handles by this.
                let answer = match self.loose {
                    true => source.fill(Tx::answer(), r),
                    false => Tx::answer(),
                };
                batch.does(Effect::Reply, |bc| bc.reply(answer));
                replies -= 1;
            }
            let quiet = batch.bc.bytes().is_empty();
            let done = self.exchange(index, thread, batch, |_| (), true)?;
            let more = done.is_some_and(|done| done.result == 0);
            if !more && quiet {
                break;
            }
        }
        Ok(())
    }

    /// Waits until the driver counts just the files that are open here.
    pub fn settle(&self) -> Res {
        let Some(others) = self.others else {
            return Ok(());
        };
        let open = self.parties.iter().filter(|party| party.open).count();
        settle(others + open)
    }

    /// A process that takes part, with a thread that can be asked.
    pub fn someone(&self, r: &mut Rng) -> Option<(usize, usize)> {
        let free = |index: &usize| (0..SERVER).any(|thread| self.parties[*index].is_free(thread));
        let indices: Vec<usize> = (0..self.parties.len()).filter(free).collect();
        let index = r.pick(&indices)?;
        let thread = r.below(SERVER);
        let party = &self.parties[index];
        Some((
            index,
            if party.is_free(thread) {
                thread
            } else {
                SERVER - 1 - thread
            },
        ))
    }

    /// The thread as an actor.
    pub fn actor(&self, index: usize, thread: usize) -> &'static Thread {
        self.parties[index].threads[thread]
    }
}
