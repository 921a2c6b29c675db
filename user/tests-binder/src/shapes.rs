// SPDX-License-Identifier: MIT OR Apache-2.0

//! Actors that run by themselves in races about one thing each.

use rustix::mm::{self, MapFlags, ProtFlags};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::abi::{bc, nr, obj, tf, CtlAdd, TransactionData};
use crate::ops;
use crate::returns::Br;
use crate::shm;
use crate::stress::{Talk, WRONG};
use crate::wire::Obj;

/// Objects in one message of [`give`].
pub const GIFTS: u64 = 4;

/// The code that ends a send of a one-way.
fn fate(talk: &mut Talk) -> Result<&'static str, i64> {
    match talk.next()? {
        Br::Plain(name) => Ok(name),
        _ => Err(WRONG),
    }
}

fn post_all(fd: u64) -> Result<i64, i64> {
    let mut talk = Talk::new(fd);
    let data = [0u8; 4096];
    let mut posted = 0;
    loop {
        let message = TransactionData {
            flags: tf::ONE_WAY,
            data_size: [8, 4096, 0, 1000, 2500][posted as usize % 5],
            buffer: data.as_ptr() as u64,
            ..TransactionData::default()
        };
        talk.transaction(bc::TRANSACTION, &message);
        match fate(&mut talk)? {
            "COMPLETE" | "FAILED_REPLY" => posted += 1,
            "DEAD_REPLY" => return Ok(posted),
            _ => return Err(WRONG),
        }
    }
}

/// (fd) -> how many: one-ways to handle 0 until it is dead.
pub fn post([fd, ..]: [u64; 6]) -> i64 {
    post_all(fd).unwrap_or_else(|error| error)
}

fn give_all(fd: u64, count: u64) -> Result<i64, i64> {
    let mut talk = Talk::new(fd);
    for round in 0..count {
        let mut data = Vec::new();
        let mut offsets = Vec::new();
        for gift in 0..GIFTS {
            let ptr = (1 + round * GIFTS + gift) << 8;
            offsets.push(data.len() as u64);
            data.extend_from_slice(&object(ptr).bytes());
        }
        let message = TransactionData {
            flags: tf::ONE_WAY,
            data_size: data.len() as u64,
            offsets_size: size_of_val(&offsets[..]) as u64,
            buffer: data.as_ptr() as u64,
            offsets: offsets.as_ptr() as u64,
            ..TransactionData::default()
        };
        talk.transaction(bc::TRANSACTION, &message);
        if fate(&mut talk)? != "COMPLETE" {
            return Err(WRONG);
        }
    }
    Ok(count as i64)
}

fn object(ptr: u64) -> Obj {
    Obj {
        kind: obj::BINDER,
        flags: 0,
        value: ptr,
        cookie: ptr,
    }
}

/// (fd, count) -> count: one-ways to handle 0 with new objects in each.
pub fn give([fd, count, ..]: [u64; 6]) -> i64 {
    give_all(fd, count).unwrap_or_else(|error| error)
}

/// (times): has the kernel take back what memory it can, again and again.
pub fn press([times, ..]: [u64; 6]) -> i64 {
    let write = |what| std::fs::write("/proc/sys/vm/drop_caches", what).is_err();
    // No word of it in the log.
    if write("4") || (0..times).any(|_| write("2")) {
        return WRONG;
    }
    0
}

/// (path of a control file, times) -> how often it worked: adds devices of the
/// names that others use, too. The path is NUL-terminated in the shared area.
pub fn add([path, times, ..]: [u64; 6]) -> i64 {
    let control = ops::open([path, libc::O_RDWR as u64, 0, 0, 0, 0]);
    if control < 0 {
        return 0;
    }
    let mut added = 0;
    for round in 0..times {
        let mut name = [0; 256];
        name[0] = b'a' + (round % 26) as u8;
        let mut new = CtlAdd {
            name,
            major: 0,
            minor: 0,
        };
        let args = [
            control as u64,
            u64::from(nr::CTL_ADD),
            &raw mut new as u64,
            0,
            0,
            0,
        ];
        match -ops::ioctl(args) as i32 {
            0 => added += 1,
            libc::EEXIST => {}
            _ => return WRONG,
        }
    }
    ops::close([control as u64, 0, 0, 0, 0, 0]);
    added
}

/// What clone3 is told; the rest is nothing.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: [u64; 4],
    exit_signal: u64,
    stack: [u64; 3],
    set_tid: u64,
    set_tid_size: u64,
}

/// (slot, pid) -> pid: as [`ops::fork`], with a process id that is free.
pub fn fork_as([slot, pid, ..]: [u64; 6]) -> i64 {
    let pid = pid as i32;
    let args = CloneArgs {
        exit_signal: libc::SIGCHLD as u64,
        set_tid: &raw const pid as u64,
        set_tid_size: 1,
        ..CloneArgs::default()
    };
    // SAFETY: Without flags the call is a fork. The actor has one thread, so
    // that the child finds nothing half done.
    match unsafe { libc::syscall(libc::SYS_clone3, &args, size_of_val(&args)) } {
        -1 => -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        0 => {
            shm::serve(slot as usize, ops::leaving);
            ops::exit([0; 6])
        }
        pid => pid,
    }
}

/// (address, length): puts other memory over a mapping.
pub fn cover([address, length, ..]: [u64; 6]) -> i64 {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED;
    let (address, length) = (address as *mut c_void, length as usize);
    // SAFETY: The case gives the place of binder's mapping, to which no
    // reference exists.
    match unsafe { mm::mmap_anonymous(address, length, protection, flags) } {
        Ok(_) => 0,
        Err(error) => -i64::from(error.raw_os_error()),
    }
}

/// (address, one value, another, milliseconds): writes them by turns.
pub fn flip([address, one, other, milliseconds, ..]: [u64; 6]) -> i64 {
    // SAFETY: The conductor gives an aligned place in the shared area, which
    // nobody else writes to.
    let place = unsafe { AtomicU64::from_ptr(address as *mut u64) };
    let end = std::time::Instant::now() + std::time::Duration::from_millis(milliseconds);
    while std::time::Instant::now() < end {
        // Each long enough for another processor to see it.
        for value in [other, one] {
            place.store(value, Ordering::Relaxed);
            for _ in 0..200 {
                std::hint::spin_loop();
            }
        }
    }
    0
}
