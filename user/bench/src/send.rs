// SPDX-License-Identifier: MIT OR Apache-2.0

//! `bus1-send`: what a small message costs on the native interface.
//!
//! One process sends 64 bytes from one peer to two others in turn, in batches
//! that are small enough to fit into what each sender is promised, and then
//! receives and releases them. Sending is counted by itself, and all three
//! together. After each batch `fdinfo` must say that nothing of it was taken
//! from what all peers of the user share: that is the only memory that two
//! receivers have in common when they are charged.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;

use bench::ticks;
use bus1_sys as sys;
use rustix::fs::{open, Mode, OFlags};

const USAGE: &str = "\
usage: bus1-send [--device PATH] [--iterations N] [--warm-up N]

Prints 'native_64B messages=N instructions_per_send=I instructions_per_message=J
shared=S', with 'ticks' for 'instructions' where the time stamp counter does not
count those. S is how many messages were charged to memory that the receivers
have in common.
";

/// Bytes of a message.
const PAYLOAD: usize = 64;

/// Messages to one receiver before it reads. Any user is promised more.
const BATCH: u64 = 8;

/// A receiver's node, by its own name for it.
const NODE: u64 = 0x10;

/// Where slices may lie: anywhere in the first so many bytes of a pool.
const POOL: u64 = 1 << 20;

struct Arguments {
    device: String,
    iterations: u64,
    warm_up: u64,
}

fn arguments() -> Option<Arguments> {
    let mut parsed = Arguments {
        device: "/dev/bus1".into(),
        iterations: 500,
        warm_up: 50,
    };
    let mut rest = std::env::args().skip(1);
    while let Some(option) = rest.next() {
        let value = rest.next()?;
        match option.as_str() {
            "--device" => parsed.device = value,
            "--iterations" => parsed.iterations = value.parse().ok()?,
            "--warm-up" => parsed.warm_up = value.parse().ok()?,
            _ => return None,
        }
    }
    (parsed.iterations > 0).then_some(parsed)
}

/// A peer that is sent to.
struct Receiver {
    device: OwnedFd,
    /// The sender's name for its node.
    to: u64,
}

impl Receiver {
    fn new(path: &str, sender: &OwnedFd) -> io::Result<Self> {
        let device = open_peer(path)?;
        let mut arg = sys::bus1_cmd_handle_transfer {
            flags: 0,
            src_handle: NODE,
            dst_fd: sender.as_raw_fd() as u64,
            dst_handle: sys::BUS1_HANDLE_INVALID,
        };
        // SAFETY: the descriptor is one of the device.
        unsafe { sys::handle_transfer(&device, &mut arg) }?;
        Ok(Self {
            device,
            to: arg.dst_handle,
        })
    }

    /// Receives and releases a batch.
    fn drain(&self) -> io::Result<()> {
        for _ in 0..BATCH {
            let mut arg = sys::bus1_cmd_recv {
                max_offset: POOL,
                ..Default::default()
            };
            // SAFETY: as above; nobody reads the slice.
            unsafe {
                sys::recv(&self.device, &mut arg)?;
                sys::slice_release(&self.device, arg.msg.offset)?;
            }
        }
        Ok(())
    }

    /// How many messages it holds that are not paid from what is promised to their sender.
    fn shared(&self) -> io::Result<u64> {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", self.device.as_raw_fd()))?;
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("bus1-slices-free:"));
        let figure = line.and_then(|figure| figure.trim().parse().ok());
        figure.ok_or_else(|| io::Error::other("fdinfo does not say what was taken"))
    }
}

fn open_peer(path: &str) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

/// What is to be sent, prepared once.
struct Mail {
    payload: [u8; PAYLOAD],
    vector: libc::iovec,
    to: u64,
}

impl Mail {
    fn new() -> Box<Self> {
        let mut mail = Box::new(Self {
            payload: [0x5a; PAYLOAD],
            vector: libc::iovec {
                iov_base: std::ptr::null_mut(),
                iov_len: PAYLOAD,
            },
            to: 0,
        });
        mail.vector.iov_base = mail.payload.as_mut_ptr().cast();
        mail
    }

    /// Sends a batch.
    fn send(&mut self, sender: &OwnedFd, to: u64) -> io::Result<()> {
        self.to = to;
        let mut arg = sys::bus1_cmd_send {
            flags: 0,
            ptr_destinations: &raw const self.to as u64,
            ptr_errors: 0,
            n_destinations: 1,
            ptr_vecs: &raw const self.vector as u64,
            n_vecs: 1,
            ptr_handles: 0,
            n_handles: 0,
            ptr_fds: 0,
            n_fds: 0,
        };
        for _ in 0..BATCH {
            // SAFETY: the descriptor is one of the device; the destination and
            // the payload live as long as this value, which stays where it is.
            unsafe { sys::send(sender, &mut arg) }?;
        }
        Ok(())
    }
}

/// What was counted.
#[derive(Default)]
struct Sums {
    send: u64,
    all: u64,
    shared: u64,
}

fn measure(arguments: &Arguments) -> io::Result<Sums> {
    let sender = open_peer(&arguments.device)?;
    let receivers = [
        Receiver::new(&arguments.device, &sender)?,
        Receiver::new(&arguments.device, &sender)?,
    ];
    let mut mail = Mail::new();
    let mut sums = Sums::default();
    for round in 0..arguments.warm_up + arguments.iterations {
        let receiver = &receivers[round as usize % receivers.len()];
        let begin = ticks::now();
        mail.send(&sender, receiver.to)?;
        let sent = ticks::now();
        let shared = receiver.shared()?;
        let again = ticks::now();
        receiver.drain()?;
        let end = ticks::now();
        if round >= arguments.warm_up {
            sums.send += sent - begin;
            sums.all += sent - begin + end - again;
            sums.shared += shared;
        }
    }
    Ok(sums)
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let sums = match measure(&arguments) {
        Ok(sums) => sums,
        Err(error) => {
            eprintln!("bus1-send: {error}");
            return ExitCode::FAILURE;
        }
    };
    let messages = arguments.iterations * BATCH;
    let unit = ticks::unit(ticks::per_instruction());
    let each = |sum: u64| sum as f64 / messages as f64;
    println!(
        "native_64B messages={messages} {unit}_per_send={:.1} {unit}_per_message={:.1} shared={}",
        each(sums.send),
        each(sums.all),
        sums.shared
    );
    ExitCode::SUCCESS
}
