// SPDX-License-Identifier: GPL-2.0

//! The file `/sys/kernel/debug/bus1/counters`: one line `name value` for each counter.
//!
//! The numbers belong to others and are read when the file is. Without debugfs there is no file,
//! and nothing fails.

#![deny(unsafe_code)]

use core::pin::Pin;
use kernel::{
    debugfs::{
        Dir,
        File, //
    },
    fmt,
    prelude::*, //
};

/// Hands each counter to the closure, as its name and its value.
pub(crate) type Read = fn(&mut dyn FnMut(&str, u64));

/// The file, there as long as this value.
pub(crate) struct Counters {
    _file: Pin<KBox<File<Read>>>,
    _dir: Dir,
}

impl Counters {
    /// Makes the folder and the file. ENOMEM.
    pub(crate) fn new(read: Read) -> Result<Self> {
        let dir = Dir::new(c"bus1");
        let file = KBox::pin_init(
            dir.read_callback_file::<Read, Error, _>(c"counters", Ok(read), &print),
            GFP_KERNEL,
        )?;
        Ok(Self {
            _file: file,
            _dir: dir,
        })
    }
}

/// Prints all counters.
fn print(read: &Read, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut result = Ok(());
    read(&mut |name, value| {
        if result.is_ok() {
            result = writeln!(f, "{name} {value}");
        }
    });
    result
}
