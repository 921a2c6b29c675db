// SPDX-License-Identifier: MIT OR Apache-2.0
//! The context manager, and how others reach it.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rsbinder::{BinderResult, Interface, ProcessState, Strong};

use crate::aidl::bus1::rstest::IMeeting::{BnMeeting, IMeeting};
use crate::aidl::bus1::rstest::IPeer::IPeer;

/// How long a test waits for what should come at once. The guest may be slow.
pub const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Room {
    members: Vec<Strong<dyn IPeer>>,
    finished: i32,
}

#[derive(Default)]
struct Meeting(Mutex<HashMap<String, Room>>);

impl Meeting {
    fn with<T>(&self, room: &str, act: impl FnOnce(&mut Room) -> T) -> BinderResult<T> {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(act(rooms.entry(room.to_owned()).or_default()))
    }
}

impl Interface for Meeting {}

impl IMeeting for Meeting {
    fn join(&self, room: &str, peer: &Strong<dyn IPeer>) -> BinderResult<()> {
        self.with(room, |room| room.members.push(peer.clone()))
    }

    fn members(&self, room: &str) -> BinderResult<Vec<Strong<dyn IPeer>>> {
        self.with(room, |room| room.members.clone())
    }

    fn done(&self, room: &str) -> BinderResult<()> {
        self.with(room, |room| room.finished += 1)
    }

    fn finished(&self, room: &str) -> BinderResult<i32> {
        self.with(room, |room| room.finished)
    }
}

/// Becomes the context manager and serves; returns only on failure.
pub fn run(device: &str) -> Result<(), Box<dyn Error>> {
    let process = ProcessState::init(device, 4)?;
    process.become_context_manager(BnMeeting::new_binder(Meeting::default()).as_binder())?;
    ProcessState::start_thread_pool();
    ProcessState::join_thread_pool()?;
    Err("the thread pool ended".into())
}

/// Opens the device and finds the context manager, which may come a little later.
pub fn enter(device: &str, threads: u32) -> Result<Strong<dyn IMeeting>, Box<dyn Error>> {
    let process = ProcessState::init(device, threads)?;
    ProcessState::start_thread_pool();
    wait(|| process.context_object()?.into_interface())
}

/// Waits until a room has so many members, and gives them.
pub fn members(
    meeting: &Strong<dyn IMeeting>,
    room: &str,
    count: usize,
) -> Result<Vec<Strong<dyn IPeer>>, Box<dyn Error>> {
    wait(|| match meeting.members(room) {
        Ok(members) if members.len() >= count => Ok(members),
        Ok(_) => Err(rsbinder::StatusCode::WouldBlock),
        Err(status) => Err(status.transaction_error()),
    })
}

/// Tries again and again, until it works or it has taken too long.
pub fn wait<T>(mut attempt: impl FnMut() -> rsbinder::Result<T>) -> Result<T, Box<dyn Error>> {
    let end = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(error) if Instant::now() > end => return Err(error.into()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}
