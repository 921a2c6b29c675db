// SPDX-License-Identifier: MIT OR Apache-2.0
//! The object that every process offers to the others.

use std::error::Error;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use rsbinder::{
    BinderResult, Interface, ParcelFileDescriptor, ProcessState, SIBinder, StatusCode, Strong,
};

use crate::aidl::bus1::rstest::IMeeting::IMeeting;
use crate::aidl::bus1::rstest::IPeer::{BnPeer, IPeer};
use crate::meeting::{self, PATIENCE};

/// What the calls leave behind.
#[derive(Default)]
pub struct Traces {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ticks: i32,
    disorder: bool,
    sum: i64,
    threads: Vec<ThreadId>,
}

impl Traces {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut state);
        self.changed.notify_all();
        result
    }

    /// Waits for so many ticks; true if all came, and in order.
    pub fn ticked(&self, count: i32) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, _) = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.ticks < count)
            .unwrap_or_else(PoisonError::into_inner);
        state.ticks == count && !state.disorder
    }

    /// The sum of what was added.
    pub fn sum(&self) -> i64 {
        self.with(|state| state.sum)
    }

    /// The threads that served `down`, in order; forgets them.
    pub fn take_threads(&self) -> Vec<ThreadId> {
        self.with(|state| std::mem::take(&mut state.threads))
    }
}

/// The object.
pub struct Peer(Arc<Traces>);

impl Peer {
    /// One of this process, and where its calls leave their traces.
    pub fn create() -> (Strong<dyn IPeer>, Arc<Traces>) {
        let traces = Arc::new(Traces::default());
        (BnPeer::new_binder(Self(traces.clone())), traces)
    }
}

impl Interface for Peer {}

impl IPeer for Peer {
    fn echo(&self, text: &str) -> BinderResult<String> {
        Ok(text.to_owned())
    }

    fn reverse(&self, data: &[u8]) -> BinderResult<Vec<u8>> {
        Ok(data.iter().rev().copied().collect())
    }

    fn length(&self, data: &[u8]) -> BinderResult<i32> {
        Ok(i32::try_from(data.len()).unwrap_or(-1))
    }

    fn down(
        &self,
        there: &Strong<dyn IPeer>,
        here: &Strong<dyn IPeer>,
        depth: i32,
    ) -> BinderResult<i32> {
        self.0
            .with(|state| state.threads.push(thread::current().id()));
        if depth == 0 {
            return Ok(0);
        }
        Ok(1 + there.down(here, there, depth - 1)?)
    }

    fn burst(&self, there: &Strong<dyn IPeer>, count: i32) -> BinderResult<()> {
        (0..count).try_for_each(|number| there.tick(number))
    }

    fn tick(&self, number: i32) -> BinderResult<()> {
        self.0.with(|state| {
            state.disorder |= state.ticks != number;
            state.ticks += 1;
        });
        Ok(())
    }

    fn mirror(&self, objects: &[SIBinder]) -> BinderResult<Vec<SIBinder>> {
        Ok(objects.iter().rev().cloned().collect())
    }

    fn fresh(&self, count: i32) -> BinderResult<Vec<SIBinder>> {
        Ok((0..count).map(|_| Self::create().0.as_binder()).collect())
    }

    fn write(&self, file: &ParcelFileDescriptor, text: &str) -> BinderResult<()> {
        let mut file = file;
        file.write_all(text.as_bytes())
            .map_err(|_| StatusCode::BadValue)?;
        Ok(())
    }

    fn pipe(&self, text: &str) -> BinderResult<ParcelFileDescriptor> {
        let (reader, mut writer) = std::io::pipe().map_err(|_| StatusCode::NoMemory)?;
        writer
            .write_all(text.as_bytes())
            .map_err(|_| StatusCode::NoMemory)?;
        Ok(ParcelFileDescriptor::new(reader))
    }

    fn add(&self, value: i64) -> BinderResult<i64> {
        Ok(self.0.with(|state| {
            state.sum += value;
            state.sum
        }))
    }

    fn pid(&self) -> BinderResult<i32> {
        Ok(i32::try_from(std::process::id()).unwrap_or(-1))
    }

    fn hang(&self) -> BinderResult<()> {
        loop {
            thread::park();
        }
    }
}

/// Joins a room and serves; returns only on failure.
pub fn run(device: &str, room: &str) -> Result<(), Box<dyn Error>> {
    let meeting = meeting::enter(device, 4)?;
    meeting.join(room, &Peer::create().0)?;
    ProcessState::join_thread_pool()?;
    Err("the thread pool ended".into())
}
