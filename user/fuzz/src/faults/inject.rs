// SPDX-License-Identifier: MIT OR Apache-2.0

//! Has the n-th allocation of a system call fail.
//!
//! The kernel counts down in each task, over all of its allocations: those of the slab
//! and those of pages.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use tests_binder::ops;
use tests_binder::world::{Fail, Res};

/// A step that takes longer hangs.
pub const LIMIT: Duration = Duration::from_secs(300);

/// Any allocation may fail, and the kernel need not say so.
const SETTINGS: [(&str, &str); 7] = [
    ("failslab/ignore-gfp-wait", "N"),
    ("failslab/verbose", "0"),
    ("failslab/task-filter", "N"),
    ("fail_page_alloc/ignore-gfp-wait", "N"),
    ("fail_page_alloc/ignore-gfp-highmem", "N"),
    ("fail_page_alloc/min-order", "0"),
    ("fail_page_alloc/verbose", "0"),
];

/// Sets the kernel up.
pub fn prepare() -> Res {
    for (name, value) in SETTINGS {
        fs::write(format!("/sys/kernel/debug/{name}"), value)
            .map_err(|error| Fail(format!("this kernel can't have {name} be {value}: {error}")))?;
    }
    Ok(())
}

/// What came of a call in which an allocation was to fail.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Its result: a negative errno, or what it returns.
    pub result: i64,
    /// Whether it came to that allocation.
    pub injected: bool,
}

fn countdown() -> Option<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.open("/proc/thread-self/fail-nth").ok()
}

/// Runs a system call of this thread whose n-th allocation fails; with 0, none does.
pub fn failing(nth: u64, call: impl FnOnce() -> i64) -> Outcome {
    let Some(file) = countdown() else {
        return Outcome {
            result: -i64::from(libc::ENOSYS),
            injected: false,
        };
    };
    let mut left = [0; 16];
    let text = nth.to_string();
    let armed = file.write_all_at(text.as_bytes(), 0).is_ok();
    let result = call();
    let length = file.read_at(&mut left, 0).unwrap_or(0);
    let disarmed = file.write_all_at(b"0", 0).is_ok();
    let left = std::str::from_utf8(&left[..length]).unwrap_or("").trim();
    Outcome {
        result,
        injected: armed && disarmed && nth > 0 && left == "0",
    }
}

/// Both in one number, for actors.
fn pack(outcome: Outcome) -> i64 {
    outcome.result << 1 | i64::from(outcome.injected)
}

/// The opposite.
pub fn unpack(packed: i64) -> Outcome {
    Outcome {
        result: packed >> 1,
        injected: packed & 1 != 0,
    }
}

/// (fd, number, argument, n) -> see [`unpack`]
pub fn ioctl([fd, number, argument, nth, ..]: [u64; 6]) -> i64 {
    pack(failing(nth, || ops::ioctl([fd, number, argument, 0, 0, 0])))
}

/// (path, flags, n) -> see [`unpack`]
pub fn open([path, flags, nth, ..]: [u64; 6]) -> i64 {
    pack(failing(nth, || ops::open([path, flags, 0, 0, 0, 0])))
}

/// (fd, length, n) -> see [`unpack`]
pub fn mmap([fd, length, nth, ..]: [u64; 6]) -> i64 {
    pack(failing(nth, || ops::mmap([fd, length, 0, 0, 0, 0])))
}
