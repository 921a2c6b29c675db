// SPDX-License-Identifier: MIT OR Apache-2.0

//! One side of a Binder conversation.
//!
//! Commands are laid out once; a trip only patches the address of the buffer to
//! free. The sequence of system calls is libbinder's: a client sends the free
//! of the last reply together with the next call and waits in the same ioctl; a
//! server sends the reply in one ioctl, which brings the completion back, and
//! the free of the call with its next wait.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{open, Mode, OFlags};
use rustix::mm::{mmap, MapFlags, ProtFlags};
use tests_binder::abi::{bc, br, nr, payload_size, TransactionData, WriteRead};
use tests_binder::ops;

/// Bytes of data in each direction.
pub const PAYLOAD: usize = 64;

const MAPPING: usize = 1 << 20;

/// BC_FREE_BUFFER with its address.
const FREE: usize = 4 + 8;
/// BC_TRANSACTION or BC_REPLY with its message.
const MESSAGE: usize = 4 + 64;

/// An open and mapped device with a command stream ready to be sent.
pub struct Peer {
    device: OwnedFd,
    /// `[free][message]`, or the parts of it.
    commands: [u8; FREE + MESSAGE],
    /// Where the message's data lies.
    _payload: Box<[u8; PAYLOAD]>,
    read: [u8; 256],
}

fn error(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

/// The message of a kind among the return codes, if there is one.
fn find(mut items: &[u8], wanted: u32) -> io::Result<Option<TransactionData>> {
    let word = |bytes: &[u8]| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    while items.len() >= 4 {
        let code = word(items);
        let end = 4 + payload_size(code);
        match code {
            _ if items.len() < end => return Err(error("a return code is cut off")),
            _ if code == wanted => {
                // SAFETY: There are 64 bytes after the code, and a message
                // consists of integers.
                let data = unsafe {
                    items
                        .as_ptr()
                        .add(4)
                        .cast::<TransactionData>()
                        .read_unaligned()
                };
                return Ok(Some(data));
            }
            br::NOOP | br::TRANSACTION_COMPLETE => items = &items[end..],
            _ => return Err(error(&format!("unexpected return code {code:#x}"))),
        }
    }
    Ok(None)
}

impl Peer {
    /// Opens a device and prepares a message with this command to handle 0.
    pub fn new(path: &str, command: u32) -> io::Result<Self> {
        let device = open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        // SAFETY: A new mapping at an address that the kernel chooses. It is
        // never unmapped and only the driver writes to it.
        unsafe {
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
            mmap(
                std::ptr::null_mut(),
                MAPPING,
                ProtFlags::READ,
                flags,
                &device,
                0,
            )?;
        }
        let payload = Box::new([0x5a; PAYLOAD]);
        let message = TransactionData {
            code: 1,
            data_size: PAYLOAD as u64,
            buffer: payload.as_ptr() as u64,
            ..Default::default()
        };
        let mut commands = [0; FREE + MESSAGE];
        commands[..4].copy_from_slice(&bc::FREE_BUFFER.to_ne_bytes());
        commands[FREE..FREE + 4].copy_from_slice(&command.to_ne_bytes());
        commands[FREE + 4..].copy_from_slice(&message.bytes());
        Ok(Peer {
            device,
            commands,
            _payload: payload,
            read: [0; 256],
        })
    }

    /// An ioctl with a number as its argument.
    pub fn control(&self, number: u32, argument: u64) -> io::Result<()> {
        let fd = self.device.as_raw_fd() as u64;
        match ops::ioctl([fd, u64::from(number), argument, 0, 0, 0]) {
            0.. => Ok(()),
            failed => Err(io::Error::from_raw_os_error(-failed as i32)),
        }
    }

    /// Sends commands and waits for return codes; gives their end.
    fn exchange(&mut self, from: usize, to: usize) -> io::Result<usize> {
        let mut wr = WriteRead {
            write_size: (to - from) as u64,
            write_buffer: self.commands[from..].as_ptr() as u64,
            read_size: self.read.len() as u64,
            read_buffer: self.read.as_mut_ptr() as u64,
            ..Default::default()
        };
        self.control(nr::WRITE_READ, &raw mut wr as u64)?;
        Ok(wr.read_consumed as usize)
    }

    /// Makes the thread known to the driver, as a member of the pool.
    pub fn join_pool(&mut self) -> io::Result<()> {
        let enter = bc::ENTER_LOOPER.to_ne_bytes();
        let mut wr = WriteRead {
            write_size: 4,
            write_buffer: enter.as_ptr() as u64,
            ..Default::default()
        };
        self.control(nr::WRITE_READ, &raw mut wr as u64)
    }

    fn free_next(&mut self, buffer: u64) {
        self.commands[4..FREE].copy_from_slice(&buffer.to_ne_bytes());
    }

    /// Client: frees the last reply (0: there is none), calls, and gives the
    /// buffer of the reply.
    pub fn call(&mut self, last: u64) -> io::Result<u64> {
        self.free_next(last);
        let mut from = if last == 0 { FREE } else { 0 };
        loop {
            let end = self.exchange(from, self.commands.len())?;
            if let Some(reply) = find(&self.read[..end], br::REPLY)? {
                return match reply.data_size as usize {
                    PAYLOAD => Ok(reply.buffer),
                    _ => Err(error("a reply of the wrong size")),
                };
            }
            // Everything is sent; only the wait is repeated.
            from = self.commands.len();
        }
    }

    /// Server: frees the last call (0: there is none) and waits for the next.
    pub fn accept(&mut self, last: u64) -> io::Result<u64> {
        self.free_next(last);
        let mut to = if last == 0 { 0 } else { FREE };
        loop {
            let end = self.exchange(0, to)?;
            if let Some(call) = find(&self.read[..end], br::TRANSACTION)? {
                return match call.data_size as usize {
                    PAYLOAD => Ok(call.buffer),
                    _ => Err(error("a call of the wrong size")),
                };
            }
            to = 0;
        }
    }

    /// Server: answers the call.
    pub fn reply(&mut self) -> io::Result<()> {
        let end = self.exchange(FREE, self.commands.len())?;
        find(&self.read[..end], br::TRANSACTION).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_behind_other_codes() {
        let mut items = [br::NOOP, br::TRANSACTION_COMPLETE, br::REPLY]
            .map(u32::to_ne_bytes)
            .concat();
        items.extend_from_slice(&[0; 64]);
        assert_eq!(
            find(&items, br::REPLY).unwrap(),
            Some(TransactionData::default())
        );
        assert_eq!(find(&items[..8], br::REPLY).unwrap(), None);
    }

    #[test]
    fn failures_and_cut_items_are_errors() {
        assert!(find(&br::FAILED_REPLY.to_ne_bytes(), br::REPLY).is_err());
        assert!(find(&br::REPLY.to_ne_bytes(), br::REPLY).is_err());
    }
}
