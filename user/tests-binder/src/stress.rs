// SPDX-License-Identifier: MIT OR Apache-2.0

//! Actors that run by themselves: clients and servers in endless conversation.
//!
//! The other operations of actors are single steps, whose order a case decides.
//! These meet each other at any moment, which is the point; what they report is
//! a count, which must not depend on it. They check what they receive: the data
//! of a message repeats the low byte of its code.
//!
//! An actor must not take memory from the shared area, so everything lies on
//! its own heap.

use std::collections::VecDeque;

use rustix::thread;

use crate::abi::{bc, nr, obj, tf, FreezeInfo, FrozenInfo, TransactionData, WriteRead};
use crate::ops;
use crate::returns::{parse, Br};
use crate::wire::Obj;

/// A one-way with this code ends the server thread that gets it.
pub const STOP: u32 = 0xdead;

/// Result of an actor that met something that must not be.
pub const WRONG: i64 = -1000;

/// A thread's conversation with the driver.
pub(crate) struct Talk {
    fd: u64,
    out: Vec<u8>,
    arrived: VecDeque<Br>,
}

impl Talk {
    /// Begins one on this file; nothing is said yet.
    pub(crate) fn new(fd: u64) -> Self {
        Talk {
            fd,
            out: Vec::new(),
            arrived: VecDeque::new(),
        }
    }

    /// Says a word.
    pub(crate) fn word(&mut self, word: u32) {
        self.out.extend_from_slice(&word.to_ne_bytes());
    }

    /// Says a long word.
    pub(crate) fn long(&mut self, long: u64) {
        self.out.extend_from_slice(&long.to_ne_bytes());
    }

    /// A message; `data` and `offsets` must live until it is sent.
    fn message(&mut self, command: u32, code: u32, flags: u32, data: &[u8], offsets: &[u64]) {
        let message = TransactionData {
            code,
            flags,
            data_size: data.len() as u64,
            offsets_size: size_of_val(offsets) as u64,
            buffer: data.as_ptr() as u64,
            offsets: offsets.as_ptr() as u64,
            ..TransactionData::default()
        };
        self.transaction(command, &message);
    }

    /// A message as it is; what it points to must live until it is sent.
    pub(crate) fn transaction(&mut self, command: u32, message: &TransactionData) {
        self.word(command);
        self.out.extend_from_slice(&message.bytes());
    }

    /// Gives a buffer back.
    pub(crate) fn free(&mut self, buffer: u64) {
        self.word(bc::FREE_BUFFER);
        self.long(buffer);
    }

    /// Sends what is there, and reads if `read` says so.
    pub(crate) fn exchange(&mut self, read: bool) -> Result<(), i64> {
        let mut buffer = [0u8; 512];
        let mut wr = WriteRead {
            write_size: self.out.len() as u64,
            write_buffer: self.out.as_ptr() as u64,
            read_size: if read { buffer.len() as u64 } else { 0 },
            read_buffer: buffer.as_mut_ptr() as u64,
            ..WriteRead::default()
        };
        let number = u64::from(nr::WRITE_READ);
        let result = ops::ioctl([self.fd, number, &raw mut wr as u64, 0, 0, 0]);
        // A driver that stops at an error leaves the rest for the next call.
        self.out.drain(..wr.write_consumed as usize);
        if result < 0 {
            return Err(result);
        }
        self.arrived
            .extend(parse(&buffer[..wr.read_consumed as usize]));
        Ok(())
    }

    /// The next item that is not answered by itself.
    pub(crate) fn next(&mut self) -> Result<Br, i64> {
        loop {
            match self.arrived.pop_front() {
                None => self.exchange(true)?,
                Some(Br::Plain("NOOP")) => {}
                Some(Br::Node("INCREFS", ptr, cookie)) => {
                    self.word(bc::INCREFS_DONE);
                    self.long(ptr);
                    self.long(cookie);
                }
                Some(Br::Node("ACQUIRE", ptr, cookie)) => {
                    self.word(bc::ACQUIRE_DONE);
                    self.long(ptr);
                    self.long(cookie);
                }
                Some(Br::Node(..)) => {}
                Some(item) => return Ok(item),
            }
        }
    }
}

/// Whether the data of a received message is what its code says.
fn intact(message: &TransactionData) -> bool {
    // Objects come at the end.
    let length = message.data_size - message.offsets_size / 8 * obj::SIZE as u64;
    // SAFETY: The driver says that this much lies there, in a mapping that
    // stays; nobody writes to it.
    let data = unsafe { std::slice::from_raw_parts(message.buffer as *const u8, length as usize) };
    data.iter().all(|byte| *byte == message.code as u8)
}

fn serve(talk: &mut Talk) -> Result<i64, i64> {
    let mut served = 0;
    // Replies must live until they are sent.
    let mut data;
    loop {
        match talk.next()? {
            Br::Transaction(call) => {
                if !intact(&call) {
                    return Err(WRONG);
                }
                talk.free(call.buffer);
                if call.flags & tf::ONE_WAY != 0 {
                    if call.code == STOP {
                        talk.exchange(false)?;
                        return Ok(served);
                    }
                    continue;
                }
                served += 1;
                data = vec![call.code as u8; call.data_size as usize];
                talk.message(bc::REPLY, call.code, 0, &data, &[]);
                talk.exchange(true)?;
            }
            Br::Plain("COMPLETE") => {}
            _ => return Err(WRONG),
        }
    }
}

/// (fd) -> calls served: serves until a [`STOP`] comes.
pub fn server([fd, ..]: [u64; 6]) -> i64 {
    let mut talk = Talk::new(fd);
    talk.word(bc::ENTER_LOOPER);
    serve(&mut talk).unwrap_or_else(|error| error)
}

/// One call; says whether it was answered rather than cut off.
fn call(talk: &mut Talk, code: u32, size: usize, node: Option<Obj>) -> Result<bool, i64> {
    let mut data = vec![code as u8; size];
    let mut offsets = Vec::new();
    if let Some(node) = node {
        offsets.push(size as u64);
        data.extend_from_slice(&node.bytes());
    }
    talk.message(bc::TRANSACTION, code, 0, &data, &offsets);
    loop {
        match talk.next()? {
            // Somebody will thaw it.
            Br::Plain("FROZEN_REPLY") => {
                talk.message(bc::TRANSACTION, code, 0, &data, &offsets);
            }
            Br::Reply(reply) => {
                let fine = reply.code == code && reply.data_size >= size as u64 && intact(&reply);
                talk.free(reply.buffer);
                return if fine { Ok(true) } else { Err(WRONG) };
            }
            Br::Plain("DEAD_REPLY") => return Ok(false),
            Br::Plain("COMPLETE") => {}
            _ => return Err(WRONG),
        }
    }
}

/// One one-way; says whether it was accepted. A full receiver refuses it.
fn one_way(talk: &mut Talk, code: u32, size: usize) -> Result<bool, i64> {
    let data = vec![code as u8; size];
    talk.message(bc::TRANSACTION, code, tf::ONE_WAY, &data, &[]);
    match talk.next()? {
        Br::Plain("COMPLETE" | "PENDING_FROZEN" | "FAILED_REPLY") => Ok(true),
        Br::Plain("DEAD_REPLY") => Ok(false),
        _ => Err(WRONG),
    }
}

fn converse(talk: &mut Talk, rounds: u64, restless: bool) -> Result<i64, i64> {
    let mut seed = thread::gettid().as_raw_nonzero().get() as u32;
    let base = u64::from(seed) << 16;
    let mut answered = 0;
    for round in 0..rounds {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = (seed >> 16) as usize % 24 * 64;
        let code = round as u32 & 0xff;
        let alive = match round % 4 {
            0 => one_way(talk, code, size)?,
            1 => {
                let ptr = base + round * 8;
                let node = Obj {
                    kind: obj::BINDER,
                    flags: 0,
                    value: ptr,
                    cookie: ptr,
                };
                call(talk, code, size, Some(node))?
            }
            _ => call(talk, code, size, None)?,
        };
        if !alive {
            return Ok(answered);
        }
        answered += 1;
        if restless && round % 16 == 15 {
            talk.exchange(false)?;
            ops::ioctl([talk.fd, u64::from(nr::THREAD_EXIT), 0, 0, 0, 0]);
        }
    }
    talk.exchange(false)?;
    Ok(answered)
}

/// (fd, rounds, restless) -> rounds done: talks to handle 0 until the server
/// dies. A restless one gives its thread record back every now and then.
pub fn client([fd, rounds, restless, ..]: [u64; 6]) -> i64 {
    let mut talk = Talk::new(fd);
    converse(&mut talk, rounds, restless != 0).unwrap_or_else(|error| error)
}

fn freeze_and_thaw(fd: u64, pid: u32, rounds: u64) -> Result<i64, i64> {
    let mut frozen = 0;
    for round in 0..rounds {
        let freeze = FreezeInfo {
            pid,
            enable: 1,
            timeout: round as u32 % 3 * 4,
        };
        let ioctl = |number: u32, at: u64| ops::ioctl([fd, u64::from(number), at, 0, 0, 0]);
        match -ioctl(nr::FREEZE, &raw const freeze as u64) as i32 {
            0 => frozen += 1,
            libc::EAGAIN => {}
            _ => return Err(WRONG),
        }
        let mut info = FrozenInfo {
            pid,
            ..FrozenInfo::default()
        };
        let thaw = FreezeInfo {
            enable: 0,
            ..freeze
        };
        if ioctl(nr::GET_FROZEN_INFO, &raw mut info as u64) != 0
            || info.sync_recv > 3
            || info.async_recv > 1
            || ioctl(nr::FREEZE, &raw const thaw as u64) != 0
        {
            return Err(WRONG);
        }
    }
    Ok(frozen)
}

/// (fd, pid, rounds) -> how often it worked: freezes and thaws a process that is busy.
pub fn freezer([fd, pid, rounds, ..]: [u64; 6]) -> i64 {
    freeze_and_thaw(fd, pid as u32, rounds).unwrap_or_else(|error| error)
}
