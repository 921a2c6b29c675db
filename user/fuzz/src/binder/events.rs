// SPDX-License-Identifier: MIT OR Apache-2.0

//! Steps that are no `BINDER_WRITE_READ`: other ioctls, and what happens to
//! processes.

use tests_binder::abi::{nr, NodeDebugInfo, NodeInfoForRef};
use tests_binder::ops;
use tests_binder::wire::Tx;
use tests_binder::world::{Res, MANAGER};

use super::content::WILD;
use super::party::{Batch, SERVER};
use super::play::Play;
use crate::random::Rng;

/// ioctls with an argument that can't be read; no `BINDER_THREAD_EXIT`, which looks
/// at none.
const NUMBERS: [u32; 14] = [
    nr::WRITE_READ,
    nr::SET_IDLE_TIMEOUT,
    nr::SET_MAX_THREADS,
    nr::SET_IDLE_PRIORITY,
    nr::VERSION,
    nr::GET_NODE_DEBUG_INFO,
    nr::GET_NODE_INFO_FOR_REF,
    nr::SET_CONTEXT_MGR_EXT,
    nr::FREEZE,
    nr::GET_FROZEN_INFO,
    nr::ENABLE_ONEWAY_SPAM_DETECTION,
    nr::WRITE_READ_V7,
    nr::CTL_ADD,
    0xdead_beef,
];

impl Play {
    /// One step of the stream.
    pub fn step(&mut self, r: &mut Rng) -> Res {
        match r.weighted(&[68, 12, 11, 4, 5]) {
            0 => self.talk(r)?,
            1 => {
                let open = self.open_parties();
                if let Some(index) = r.pick(&open) {
                    self.serve(index, SERVER, r)?;
                }
            }
            2 => self.ioctl(r)?,
            3 => self.freeze_or_thaw(r)?,
            _ => self.event(r)?,
        }
        self.collect()
    }

    fn open_parties(&self) -> Vec<usize> {
        let open = |index: &usize| self.parties[*index].open;
        (0..self.parties.len()).filter(open).collect()
    }

    fn ioctl(&mut self, r: &mut Rng) -> Res {
        let Some((index, thread)) = self.someone(r) else {
            return Ok(());
        };
        let actor = self.actor(index, thread);
        match r.weighted(&[20, 8, 10, 8, 6, 4, 12, 10, 12]) {
            0 => actor.error().map(drop),
            1 => {
                let nodes = self.parties[index].nodes.iter().map(|node| node.ptr);
                let ptr = r.of([0, u64::MAX, nodes.max().unwrap_or(0), 1]);
                let info = NodeDebugInfo {
                    ptr,
                    ..NodeDebugInfo::default()
                };
                let got = actor.ioctl_with("node", nr::GET_NODE_DEBUG_INFO, &info)?;
                actor.say(&format!("{:x?}", got.1));
                Ok(())
            }
            2 => {
                let info = NodeInfoForRef {
                    handle: self.source(index).handle(r),
                    strong_count: r.of([0, 0, 0, 1]),
                    ..NodeInfoForRef::default()
                };
                let got = actor.ioctl_with("ref", nr::GET_NODE_INFO_FOR_REF, &info)?;
                actor.say(&format!("{:x?}", got.1));
                Ok(())
            }
            3 => {
                let limit = r.of([0_u32, 1, 2, u32::MAX]);
                actor
                    .ioctl_with("threads", nr::SET_MAX_THREADS, &limit)
                    .map(drop)
            }
            4 => {
                let on = r.below(2) as u32;
                let number = nr::ENABLE_ONEWAY_SPAM_DETECTION;
                actor.ioctl_with("spam", number, &on).map(drop)
            }
            5 => self.manage(index, thread, r),
            6 => self.frozen_info(index, thread, r),
            7 => {
                let argument = r.of([0, 8, 1 << 63, self.places.edge]);
                actor.ioctl("odd", r.of(NUMBERS), argument).map(drop)
            }
            _ => self.thread_exit(index, thread, r),
        }
    }

    fn manage(&mut self, index: usize, thread: usize, r: &mut Rng) -> Res {
        let actor = self.actor(index, thread);
        let result = match r.below(3) {
            0 => actor.ioctl("SET_CONTEXT_MGR", nr::SET_CONTEXT_MGR, 0)?,
            1 => actor.become_manager(MANAGER)?,
            _ => {
                let node = r.pick(&self.parties[index].nodes).unwrap_or(MANAGER);
                actor.become_manager(node)?
            }
        };
        if result == 0 {
            self.manager = Some(index);
            self.managers += 1;
        }
        Ok(())
    }

    fn frozen_info(&mut self, index: usize, thread: usize, r: &mut Rng) -> Res {
        let Some(other) = r.pick(&self.open_parties()) else {
            return Ok(());
        };
        let actor = self.actor(index, thread);
        actor.frozen_info(self.actor(other, 0)).map(drop)
    }

    /// A thread leaves the driver. What it has not read is read first: that the
    /// stock driver loses it is a known difference.
    fn thread_exit(&mut self, index: usize, thread: usize, r: &mut Rng) -> Res {
        for _ in 0..20 {
            let poke = Tx::to(WILD).one_way();
            let mut batch = Batch::default();
            batch.add(|bc| bc.call(poke));
            self.exchange(index, thread, batch, |request| request.read_size = 0, true)?;
            let done = self.exchange(index, thread, Batch::default(), |_| (), true)?;
            if done.is_some_and(|done| done.items.len() == 2) {
                break;
            }
        }
        if self.loose && r.one_in(2) {
            self.talk(r)?;
        }
        if self.parties[index].is_free(thread) {
            self.actor(index, thread).thread_exit()?;
            self.parties[index].known.serving[thread] = 0;
        }
        Ok(())
    }

    /// Freezes somebody, or thaws who was frozen. Those who are told of it hear all
    /// that was to be told first: which states the stock driver tells twice is a
    /// known difference.
    fn freeze_or_thaw(&mut self, r: &mut Rng) -> Res {
        let open = self.open_parties();
        let (Some((index, thread)), Some(target)) = (self.someone(r), r.pick(&open)) else {
            return Ok(());
        };
        for index in open {
            if !self.parties[index].known.asked_states.is_empty() {
                self.serve(index, SERVER, r)?;
            }
        }
        let (by, whom) = (self.actor(index, thread), self.actor(target, 0));
        if !self.parties[index].is_free(thread) {
            return Ok(());
        }
        if self.parties[target].frozen {
            by.thaw(whom)?;
            self.parties[target].frozen = false;
        } else {
            self.parties[target].frozen = by.freeze(whom, 0)? == 0;
        }
        Ok(())
    }

    fn event(&mut self, r: &mut Rng) -> Res {
        let Some(index) = r.pick(&self.open_parties()) else {
            return self.newcomer_of_step(r);
        };
        match r.weighted(&[3, 4, 2, 3, 2]) {
            0 => self.kill(index),
            1 => self.close(index),
            2 => self.unmap(index),
            3 => self.interrupt(index),
            _ => self.newcomer_of_step(r),
        }
    }

    /// A process comes, or one that has closed its file opens it again.
    fn newcomer_of_step(&mut self, r: &mut Rng) -> Res {
        let closed = |index: &usize| self.parties[*index].alive && !self.parties[*index].open;
        let closed: Vec<usize> = (0..self.parties.len()).filter(closed).collect();
        if let Some(index) = r.pick(&closed) {
            return self.reopen(index);
        }
        if self.parties.len() < 8 {
            let index = self.newcomer(r)?;
            self.actor(index, SERVER).set_nonblock(true)?;
        }
        Ok(())
    }

    fn kill(&mut self, index: usize) -> Res {
        let party = &mut self.parties[index];
        party.flights = [None, None, None];
        party.proc.kill()?;
        party.alive = false;
        self.gone(index)
    }

    fn unmap(&mut self, index: usize) -> Res {
        let party = &mut self.parties[index];
        if std::mem::take(&mut party.mapped) {
            let (address, length) = party.proc.mapping;
            party.threads[SERVER].step("munmap", ops::munmap, &[address, length])?;
        }
        Ok(())
    }

    /// Closes a file, and what keeps it open.
    fn close(&mut self, index: usize) -> Res {
        if !self.parties[index].is_idle() {
            return Ok(());
        }
        self.unmap(index)?;
        let party = &self.parties[index];
        let fd = party.threads[0].fd as u64;
        party.threads[0].step("close", ops::close, &[fd])?;
        self.gone(index)
    }

    /// The file of a process is closed.
    fn gone(&mut self, index: usize) -> Res {
        self.parties[index].open = false;
        if self.manager == Some(index) {
            self.manager = None;
        }
        self.settle()
    }

    /// A signal to a thread that waits.
    fn interrupt(&mut self, index: usize) -> Res {
        let party = &self.parties[index];
        let waiting = (0..SERVER).find(|thread| party.flights[*thread].is_some());
        match waiting {
            Some(thread) => party.threads[thread].signal(libc::SIGUSR1),
            None => Ok(()),
        }
    }

    /// Has each process say what it has at the end.
    pub fn finale(&mut self, r: &mut Rng) -> Res {
        for _ in 0..2 {
            for index in self.open_parties() {
                self.serve(index, SERVER, r)?;
            }
            self.collect()?;
        }
        for index in self.open_parties() {
            let actor = self.actor(index, SERVER);
            let mut info = NodeDebugInfo::default();
            loop {
                info = actor.ioctl_with("node", nr::GET_NODE_DEBUG_INFO, &info)?.1;
                if info.ptr == 0 {
                    break;
                }
                actor.say(&format!("{info:x?}"));
            }
        }
        Ok(())
    }
}
