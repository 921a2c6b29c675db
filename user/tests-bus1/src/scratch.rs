// SPDX-License-Identifier: MIT OR Apache-2.0

//! Memory that several processes of a case write to at the same time.
//!
//! One of the files with unsafe code.

use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{null_mut, NonNull};
use std::sync::atomic::AtomicU64;

use rustix::fs::{fstat, ftruncate, memfd_create, MemfdFlags};
use rustix::io::Errno;
use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};

/// Words in shared memory, zero at first.
pub struct Scratch {
    start: NonNull<AtomicU64>,
    words: usize,
    file: OwnedFd,
}

// SAFETY: it is a mapping of atomic words, which any thread may use.
unsafe impl Send for Scratch {}
// SAFETY: as above.
unsafe impl Sync for Scratch {}

impl Scratch {
    /// New memory of so many words.
    pub fn new(words: usize) -> Result<Self, Errno> {
        let file = memfd_create("scratch", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, 8 * words as u64)?;
        Self::open(file)
    }

    /// The memory in this file, which another process has made with [`new`].
    ///
    /// [`new`]: Scratch::new
    pub fn open(file: OwnedFd) -> Result<Self, Errno> {
        let bytes = usize::try_from(fstat(&file)?.st_size).map_err(|_| Errno::INVAL)?;
        let rw = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { mmap(null_mut(), bytes, rw, MapFlags::SHARED, &file, 0) }?;
        Ok(Scratch {
            start: NonNull::new(start.cast()).ok_or(Errno::NOMEM)?,
            words: bytes / 8,
            file,
        })
    }

    /// A descriptor of it that processes started from now on inherit.
    pub fn to_inherit(&self) -> Result<OwnedFd, Errno> {
        rustix::io::dup(self.file.as_fd())
    }

    /// The words.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page aligned, has so many words, and lives as long
        // as `self`. Any bytes are an atomic word, so others may write at any time.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }

    /// Where it begins, for a call that is to read it while others write.
    pub fn address(&self) -> u64 {
        self.start.as_ptr().expose_provenance() as u64
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: it is this mapping; references to the words borrow `self`.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), 8 * self.words) };
    }
}
