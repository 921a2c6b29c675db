// SPDX-License-Identifier: MIT OR Apache-2.0

//! Actors that form a chain of nested calls, thousands of links deep.
//!
//! A link is an open device file with a mapping, a thread, and a handle to the next
//! link. It gets one call, calls the next link, and answers with what that answers.
//! The last link says that the call has arrived, and answers when the case lets it.
//! One process holds many links, so that killing it takes out a piece of the chain.
//!
//! Links are made from the last to the first: each introduces itself to the manager,
//! and gets the handle of the one that came before.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{setrlimit, Resource, Rlimit};

use crate::abi::{bc, obj, TransactionData};
use crate::ops;
use crate::returns::Br;
use crate::stress::{Talk, WRONG};
use crate::wire::{Node, Obj};

/// Code of an answer when all went well.
pub const FINE: u32 = 7;

/// Code of an answer of a link whose own call was cut off, and what a caller that
/// was cut off says of itself.
pub const CUT: u32 = 8;

/// Links of a chain, unless somebody asks for more.
static LENGTH: AtomicU64 = AtomicU64::new(100);

/// Asks for chains of so many links.
pub fn set_length(links: u64) {
    LENGTH.store(links, Ordering::Relaxed);
}

/// Links of a chain.
pub fn length() -> u64 {
    LENGTH.load(Ordering::Relaxed)
}

/// Bytes of a link's mapping: its buffer is empty.
const MAPPING: u64 = 8 << 10;

/// Stack of a link's thread.
const STACK: usize = 64 << 10;

/// What the links of a chain count together, in the shared area.
#[derive(Clone, Copy)]
pub struct Board(pub u64);

impl Board {
    /// Bytes of it.
    pub const SIZE: usize = 16;

    fn word(&self, index: usize) -> &'static AtomicU32 {
        // SAFETY: The case took `SIZE` bytes for this, 16-aligned and zeroed, from the
        // shared area, which is never unmapped; everybody uses them as atomics.
        unsafe { &*(self.0 as *const AtomicU32).add(index) }
    }

    /// Whether the last link has got its call.
    pub fn arrived(&self) -> &AtomicU32 {
        self.word(0)
    }

    /// Set when the last link is to answer.
    pub fn release(&self) -> &AtomicU32 {
        self.word(1)
    }

    /// Links that have answered.
    pub fn answered(&self) -> &AtomicU32 {
        self.word(2)
    }

    /// Links whose call was cut off.
    pub fn cut(&self) -> &AtomicU32 {
        self.word(3)
    }
}

/// The first object of a message; none if it has none.
fn object(message: &TransactionData) -> Option<Obj> {
    if message.offsets_size == 0 {
        return None;
    }
    // SAFETY: All messages here have their only object at the start, and the driver
    // says that it lies there, in a mapping that stays.
    Obj::parse(unsafe { std::slice::from_raw_parts(message.buffer as *const u8, obj::SIZE) })
}

fn acquire(talk: &mut Talk, handle: u32) {
    talk.word(bc::ACQUIRE);
    talk.word(handle);
}

/// A message with `object` at its start; what it is made of must live until it is sent.
fn carrying(bytes: &[u8], offsets: &[u64]) -> TransactionData {
    TransactionData {
        data_size: bytes.len() as u64,
        offsets_size: size_of_val(offsets) as u64,
        buffer: bytes.as_ptr() as u64,
        offsets: offsets.as_ptr() as u64,
        ..TransactionData::default()
    }
}

fn serve_introductions(talk: &mut Talk, calls: u64) -> Result<(), i64> {
    let mut last: Option<u32> = None;
    // What a reply is made of is read when the next call is waited for.
    let mut bytes;
    let offsets = [0; 1];
    for _ in 0..calls {
        let call = loop {
            match talk.next()? {
                Br::Transaction(call) => break call,
                Br::Plain("COMPLETE") => {}
                _ => return Err(WRONG),
            }
        };
        let newcomer = object(&call).ok_or(WRONG)?.value as u32;
        acquire(talk, newcomer);
        talk.free(call.buffer);
        match last.replace(newcomer) {
            Some(last) => {
                bytes = Obj::handle(last).bytes();
                talk.transaction(bc::REPLY, &carrying(&bytes, &offsets));
                talk.word(bc::RELEASE);
                talk.word(last);
            }
            None => talk.transaction(bc::REPLY, &TransactionData::default()),
        }
    }
    talk.exchange(false)
}

/// (fd, calls) -> 0: answers so many introductions.
pub fn manager([fd, calls, ..]: [u64; 6]) -> i64 {
    let mut talk = Talk::new(fd);
    serve_introductions(&mut talk, calls).map_or_else(|error| error, |()| 0)
}

/// Introduces a file to the manager; the handle of who came before.
fn introduce(talk: &mut Talk, node: Node) -> Result<Option<u32>, i64> {
    let bytes = Obj::node(node).bytes();
    let offsets = [0; 1];
    talk.transaction(bc::TRANSACTION, &carrying(&bytes, &offsets));
    loop {
        match talk.next()? {
            Br::Reply(reply) => {
                let handle = object(&reply).map(|object| object.value as u32);
                // Said with what is said next: until then the buffer holds the handle.
                if let Some(handle) = handle {
                    acquire(talk, handle);
                }
                talk.free(reply.buffer);
                return Ok(handle);
            }
            Br::Plain("COMPLETE") => {}
            _ => return Err(WRONG),
        }
    }
}

/// Calls `handle`; the code of the answer.
fn call(talk: &mut Talk, handle: u32, board: Board) -> Result<u32, i64> {
    let message = TransactionData {
        target: u64::from(handle),
        ..TransactionData::default()
    };
    talk.transaction(bc::TRANSACTION, &message);
    loop {
        match talk.next()? {
            Br::Reply(reply) => {
                talk.free(reply.buffer);
                return Ok(reply.code);
            }
            Br::Plain("DEAD_REPLY") => {
                board.cut().fetch_add(1, Ordering::SeqCst);
                return Ok(CUT);
            }
            Br::Plain("COMPLETE") => {}
            _ => return Err(WRONG),
        }
    }
}

/// Waits until the case lets the last link answer.
fn hold(board: Board) -> u32 {
    board.arrived().store(1, Ordering::SeqCst);
    while board.release().load(Ordering::SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    FINE
}

/// What the thread of a link does.
fn link(mut talk: Talk, next: Option<u32>, board: Board) -> Result<(), i64> {
    talk.word(bc::ENTER_LOOPER);
    let Br::Transaction(got) = talk.next()? else {
        return Err(WRONG);
    };
    talk.free(got.buffer);
    let code = match next {
        Some(next) => call(&mut talk, next, board)?,
        None => hold(board),
    };
    let reply = TransactionData {
        code,
        ..TransactionData::default()
    };
    talk.transaction(bc::REPLY, &reply);
    match talk.next()? {
        Br::Plain("COMPLETE") => {
            board.answered().fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
        _ => Err(WRONG),
    }
}

fn make_links(path: u64, count: u64, board: Board) -> Result<(), i64> {
    let limit = Some(count + 64);
    let limits = Rlimit {
        current: limit,
        maximum: limit,
    };
    setrlimit(Resource::Nofile, limits).map_err(|error| -i64::from(error.raw_os_error()))?;
    let flags = (libc::O_RDWR | libc::O_CLOEXEC) as u64;
    for number in 1..=count {
        let fd = match ops::open([path, flags, 0, 0, 0, 0]) {
            fd @ 0.. => fd as u64,
            error => return Err(error),
        };
        let mapped = ops::mmap([fd, MAPPING, 0, 0, 0, 0]);
        if mapped < 0 {
            return Err(mapped);
        }
        let mut talk = Talk::new(fd);
        let next = introduce(&mut talk, Node::new(number << 4))?;
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || link(talk, next, board))
            .map_err(|_| -i64::from(Errno::AGAIN.raw_os_error()))?;
    }
    Ok(())
}

/// (path, count, board) -> 0: makes so many links, the one that is called last first.
pub fn links([path, count, board, ..]: [u64; 6]) -> i64 {
    make_links(path, count, Board(board)).map_or_else(|error| error, |()| 0)
}

/// (fd) -> handle of the first link
pub fn enter([fd, ..]: [u64; 6]) -> i64 {
    let mut talk = Talk::new(fd);
    let handle = introduce(&mut talk, Node::new(0x10));
    match handle.and_then(|handle| talk.exchange(false).map(|()| handle)) {
        Ok(Some(handle)) => i64::from(handle),
        Ok(None) => WRONG,
        Err(error) => error,
    }
}

/// (fd, handle, board) -> code of the answer
pub fn first_call([fd, handle, board, ..]: [u64; 6]) -> i64 {
    call(&mut Talk::new(fd), handle as u32, Board(board)).map_or_else(|error| error, i64::from)
}
