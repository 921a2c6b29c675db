// SPDX-License-Identifier: MIT OR Apache-2.0

//! A process of a stream, and what it knows of the driver's state.
//!
//! It knows only what a program could: what it has asked for and what it was
//! told. That is enough to leave out what the drivers are known to answer
//! differently; see [`super`].

use std::collections::BTreeMap;

use tests_binder::actor::{Pending, Proc, Thread};
use tests_binder::wire::{Bc, Node};

/// Threads of a process: two that do anything, and one that serves.
pub const THREADS: usize = 3;

/// The thread that serves.
pub const SERVER: usize = 2;

/// A received buffer.
pub struct Held {
    /// Its address.
    pub address: u64,
    /// Handles in it, and whether they are strong.
    pub handles: Vec<(u32, bool)>,
    /// The thread that has read it.
    pub by: usize,
}

/// What a command has done when it was taken.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    /// Gave a buffer back.
    Free(u64),
    /// A strong count more.
    Acquire(u32),
    /// A weak count more.
    Increfs(u32),
    /// A strong count less.
    Release(u32),
    /// A weak count less.
    Decrefs(u32),
    /// Answered the call on top of the stack.
    Reply,
    /// Asked for states.
    AskState(u32, u64),
}

/// Commands, with what each of them does.
#[derive(Default)]
pub struct Batch {
    /// The commands.
    pub bc: Bc,
    /// Ends of commands, and what was done there.
    pub effects: Vec<(u64, Effect)>,
}

impl Batch {
    /// Appends a command.
    pub fn add(&mut self, command: impl FnOnce(Bc) -> Bc) {
        self.bc = command(std::mem::take(&mut self.bc));
    }

    /// The same, for one that does something.
    pub fn does(&mut self, effect: Effect, command: impl FnOnce(Bc) -> Bc) {
        self.add(command);
        self.effects.push((self.bc.bytes().len() as u64, effect));
    }
}

/// A call of the driver that has not come back yet.
pub struct Flight {
    /// The call.
    pub pending: Pending<'static>,
    /// What its commands do.
    pub effects: Vec<(u64, Effect)>,
    /// Where the driver was to begin in them.
    pub begin: u64,
}

/// What a process knows of one open file.
#[derive(Default)]
pub struct Known {
    /// Counts of handles that it has taken itself: strong, weak.
    pub counts: BTreeMap<u32, (u32, u32)>,
    /// Buffers.
    pub held: Vec<Held>,
    /// The address of one that was given back.
    pub freed: u64,
    /// Node codes to be answered: strong or weak, and the node.
    pub answers: Vec<(bool, Node)>,
    /// Cookies of deaths to be answered.
    pub deaths: Vec<u64>,
    /// Requests for deaths.
    pub asked_deaths: Vec<(u32, u64)>,
    /// Cookies of states to be answered.
    pub states: Vec<u64>,
    /// Requests for states.
    pub asked_states: Vec<(u32, u64)>,
    /// Calls that each thread serves.
    pub serving: [u32; THREADS],
}

impl Known {
    /// Handles that are surely there: whether they are strong.
    fn has(&self, handle: u32) -> Option<bool> {
        let own = self.counts.get(&handle).map(|counts| counts.0 > 0);
        let in_buffers = self.held.iter().flat_map(|held| &held.handles);
        let in_buffers = in_buffers.filter(|(other, _)| *other == handle);
        in_buffers.map(|(_, strong)| *strong).chain(own).max()
    }

    /// All handles that it has seen and not given up.
    pub fn handles(&self) -> Vec<u32> {
        let own = self.counts.keys().copied();
        let in_buffers = self.held.iter().flat_map(|held| &held.handles);
        let mut handles: Vec<u32> = own.chain(in_buffers.map(|(handle, _)| *handle)).collect();
        handles.sort_unstable();
        handles.dedup();
        handles
    }

    fn drop_if_unused(&mut self, handle: u32) {
        if self.counts.get(&handle) == Some(&(0, 0)) {
            self.counts.remove(&handle);
        }
    }

    /// Notes what a command has done on this thread. `manager` says whether the
    /// handle 0 is what it has been from the start.
    pub fn apply(&mut self, effect: Effect, thread: usize, manager: bool) {
        // Counts of 0 go to whoever is the manager now.
        let sure = |handle: u32| handle != 0 || manager;
        match effect {
            Effect::Free(address) => {
                self.held.retain(|held| held.address != address);
                self.freed = address;
            }
            Effect::Acquire(handle) => {
                if sure(handle) && (handle == 0 || self.has(handle) == Some(true)) {
                    self.counts.entry(handle).or_default().0 += 1;
                }
            }
            Effect::Increfs(handle) => {
                if sure(handle) && (handle == 0 || self.has(handle).is_some()) {
                    self.counts.entry(handle).or_default().1 += 1;
                }
            }
            Effect::Release(handle) => {
                if let Some(counts) = self.counts.get_mut(&handle) {
                    counts.0 = counts.0.saturating_sub(1);
                }
                self.drop_if_unused(handle);
            }
            Effect::Decrefs(handle) => {
                if let Some(counts) = self.counts.get_mut(&handle) {
                    counts.1 = counts.1.saturating_sub(1);
                }
                self.drop_if_unused(handle);
            }
            Effect::Reply => {
                let serving = &mut self.serving[thread];
                *serving = serving.saturating_sub(1);
            }
            Effect::AskState(handle, cookie) => self.asked_states.push((handle, cookie)),
        }
    }
}

/// A process.
pub struct Party {
    /// The process with its file.
    pub proc: Proc,
    /// Its threads.
    pub threads: [&'static Thread; THREADS],
    /// Calls of threads that have not come back.
    pub flights: [Option<Flight>; THREADS],
    /// The process lives.
    pub alive: bool,
    /// Its file is open.
    pub open: bool,
    /// Its mapping is there.
    pub mapped: bool,
    /// It was frozen.
    pub frozen: bool,
    /// The descriptor of another file.
    pub file: i32,
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// What it knows.
    pub known: Known,
}

impl Party {
    /// Whether this thread can be asked something.
    pub fn is_free(&self, thread: usize) -> bool {
        self.open && self.flights[thread].is_none()
    }

    /// Whether no thread is inside the driver.
    pub fn is_idle(&self) -> bool {
        self.flights.iter().all(Option::is_none)
    }
}
