// SPDX-License-Identifier: GPL-2.0

//! Files: which may travel, and how they come out.
//!
//! A file that can itself hold files in flight could close a circle of references that nothing ever
//! takes apart, so it is refused: our own devices, those of another Binder driver, AF_UNIX sockets,
//! io_uring. `docs/threat-model.md` goes through the kernel's other files. Takes no locks.

#![deny(unsafe_code)]

use super::user::Array;
use crate::shim::{
    device,
    files, //
};
use kernel::{
    fs::{
        file::{
            flags::O_CLOEXEC,
            FileDescriptorReservation, //
        },
        File, //
    },
    prelude::*,
    sync::aref::ARef, //
};

/// A file on its way.
#[derive(Clone)]
pub(super) struct Passed(ARef<File>);

impl Passed {
    /// Looks up number `fd` of the calling task.
    ///
    /// `EBADF` if there is none; `EOPNOTSUPP` if it may not travel.
    fn get(fd: i32) -> Result<Self> {
        let fd = u32::try_from(fd).map_err(|_| EBADF)?;
        let file = files::get_any(fd)?;
        if device::is_ours(&file) {
            return Err(EOPNOTSUPP);
        }
        match files::kind(&file) {
            files::Kind::Other => Ok(Self(file)),
            files::Kind::Unix | files::Kind::IoUring | files::Kind::Binder => Err(EOPNOTSUPP),
        }
    }

    /// The file.
    pub(super) fn file(&self) -> &File {
        &self.0
    }
}

/// Looks up the numbers of a message, in order; the first error wins.
pub(super) fn collect(fds: &Array<i32>) -> Result<KVec<Passed>> {
    let mut passed = KVec::new();
    for fd in fds.iter() {
        passed.push(Passed::get(fd?)?, GFP_KERNEL)?;
    }
    Ok(passed)
}

/// Numbers of the calling task, reserved for files that are about to come out.
///
/// They show nothing until they are installed, and are given back by dropping the value.
pub(super) struct Numbers(KVec<FileDescriptorReservation>);

impl Numbers {
    /// Reserves `count` numbers, close-on-exec. `EMFILE`, `ENFILE` or `ENOMEM`, with none reserved.
    pub(super) fn reserve(count: usize) -> Result<Self> {
        let mut numbers = KVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            let number = FileDescriptorReservation::get_unused_fd_flags(O_CLOEXEC)?;
            numbers.push(number, GFP_KERNEL)?;
        }
        Ok(Self(numbers))
    }

    /// The numbers, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().map(|number| number.reserved_fd())
    }

    /// Makes `files` visible under the numbers.
    pub(super) fn install(self, files: KVec<Passed>) {
        for (number, file) in self.0.into_iter().zip(files) {
            number.fd_install(file.0);
        }
    }
}
