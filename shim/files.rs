// SPDX-License-Identifier: GPL-2.0

//! Files of the calling task: looking them up, and giving it new ones.
//!
//! A file that travels is an `ARef<File>`. At the receiver [`Fds`] reserves numbers first, which
//! may fail, and installs all of them at the end, which can't. Both halves belong to the task that
//! calls them, so neither value can be sent to another thread. [`close`] is the end of such a number.

use core::ptr::NonNull;
use kernel::{
    bindings,
    fs::{
        file::{
            flags::O_CLOEXEC,
            FileDescriptorReservation, //
        },
        File,
        LocalFile, //
    },
    prelude::*,
    sync::aref::ARef, //
};

use super::abi;

/// What the rules about travelling files have to tell apart.
///
/// Our own files are told by [`is_ours`](super::device::is_ours).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An AF_UNIX socket: it can carry files itself.
    Unix,
    /// An io_uring: it can register files.
    IoUring,
    /// A Binder device, of whichever driver has its file system: messages to it hold files.
    Binder,
    /// Any other.
    Other,
}

/// Returns the file behind number `fd` of the calling task.
///
/// EBADF if there is none, or it was opened with O_PATH.
pub(crate) fn get(fd: u32) -> Result<ARef<File>> {
    let file = LocalFile::fget(fd)?;
    // SAFETY: This runs in an ioctl, and the kernel takes the file of an ioctl without the
    // position lock, so this thread is not inside a section that relies on being the only user.
    Ok(unsafe { LocalFile::assume_no_fdget_pos(file) })
}

/// Like [`get`], but also for a file of O_PATH.
pub(crate) fn get_any(fd: u32) -> Result<ARef<File>> {
    // SAFETY: The function takes any number.
    let raw = NonNull::new(unsafe { bindings::fget_raw(fd) }).ok_or(EBADF)?;
    // SAFETY: The call took a reference, which is handed on. As for the position lock, what
    // `get` says holds here as well.
    Ok(unsafe { ARef::from_raw(raw.cast()) })
}

/// Returns what kind of file this is.
pub(crate) fn kind(file: &File) -> Kind {
    // SAFETY: The reference keeps the file alive, and the functions only read.
    let (unix, io_uring, binder) = unsafe {
        (
            abi::bus1_file_is_unix(file.as_ptr()),
            abi::bus1_file_is_io_uring(file.as_ptr()),
            abi::bus1_file_is_binder(file.as_ptr()),
        )
    };
    match (unix, io_uring, binder) {
        (true, _, _) => Kind::Unix,
        (_, true, _) => Kind::IoUring,
        (_, _, true) => Kind::Binder,
        _ => Kind::Other,
    }
}

/// Takes the number `fd` from the calling task at once, and lets go of its file on the way back from
/// the system call: it may be the very file that the call is about, which nobody has to keep
/// meanwhile but the number.
///
/// A number without a file has no effect. Without memory to remember the file until then, the number
/// stays.
pub(crate) fn close(fd: u32) {
    // SAFETY: The function takes any number.
    unsafe { abi::bus1_file_close(fd) }
}

/// Numbers that are reserved for files, but show nothing yet.
///
/// They are close-on-exec, and each is the lowest that was free. Dropping the value gives the
/// numbers and the files back.
pub(crate) struct Fds(KVVec<(FileDescriptorReservation, ARef<File>)>);

impl Fds {
    /// Makes an empty set; nothing is allocated.
    pub(crate) fn new() -> Self {
        Self(KVVec::new())
    }

    /// Reserves a number for `file` and returns it.
    ///
    /// EMFILE if the table of the calling task is full, ENOMEM. On failure the numbers reserved
    /// before stay reserved.
    pub(crate) fn add(&mut self, file: ARef<File>) -> Result<u32> {
        let slot = FileDescriptorReservation::get_unused_fd_flags(O_CLOEXEC)?;
        let fd = slot.reserved_fd();
        self.0.push((slot, file), GFP_KERNEL)?;
        Ok(fd)
    }

    /// Makes all files visible under their numbers.
    pub(crate) fn install(self) {
        for (slot, file) in self.0 {
            slot.fd_install(file);
        }
    }
}
