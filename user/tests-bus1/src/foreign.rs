// SPDX-License-Identifier: MIT OR Apache-2.0

//! Ways into memory that is not written by its owner: of debuggers, and of
//! processes that ask for trouble.
//!
//! One of the files with unsafe code. Addresses are numbers here, and what lies at
//! them is the concern of the kernel that is asked to touch them.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::pipe::pipe;

use crate::memory::Area;
use crate::verdict::{wrong, Verdict};

fn result(returned: libc::c_long) -> Result<libc::c_long, Errno> {
    if returned >= 0 {
        return Ok(returned);
    }
    let errno = std::io::Error::last_os_error().raw_os_error();
    Err(Errno::from_raw_os_error(errno.unwrap_or(libc::EIO)))
}

/// Whether the byte at `address` can be read, found out without the risk.
pub fn readable(address: u64) -> Result<bool, Errno> {
    static PIPE: OnceLock<Option<(OwnedFd, OwnedFd)>> = OnceLock::new();
    let ends = PIPE.get_or_init(|| pipe().ok());
    let (reader, writer) = ends.as_ref().ok_or(Errno::MFILE)?;
    // SAFETY: the kernel reads the byte, and says so if it can't.
    let written = unsafe { libc::write(writer.as_raw_fd(), address as *const libc::c_void, 1) };
    match result(written as libc::c_long) {
        Ok(_) => rustix::io::read(reader, &mut [0]).map(|_| true),
        Err(Errno::FAULT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Runs `what` in a child, which has copies of all descriptors and mappings and of
/// this thread only. Its verdict is ours; a signal is a failure.
pub fn in_child(what: impl FnOnce() -> Verdict) -> Verdict {
    let (reader, writer) = pipe()?;
    let (mut reader, mut writer) = (File::from(reader), File::from(writer));
    // SAFETY: a case has no other thread that could hold a lock at this moment.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = match what() {
            Ok(()) => 0,
            Err(why) => {
                // Without a word it is a failure all the same.
                let _ = write!(writer, "{why}");
                1
            }
        };
        // SAFETY: ends the child without a second run of what its parent is to do at its end.
        unsafe { libc::_exit(code) }
    }
    let child = result(child.into())? as libc::pid_t;
    drop(writer);
    let mut words = String::new();
    reader.read_to_string(&mut words)?;
    let status = wait(child)?;
    if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 {
        return Ok(());
    }
    Err(wrong(format_args!("child: {words} (status {status:#x})")))
}

/// Forks a child that reads one byte at `address` and ends, by a signal if it must.
/// Safe beside other threads. Whether it could.
pub fn child_reads(address: u64) -> Result<bool, Errno> {
    // SAFETY: the child calls nothing but what may be called there.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: it reads, or is ended by SIGBUS or SIGSEGV, as planned.
        unsafe {
            std::ptr::read_volatile(address as *const u8);
            libc::_exit(0)
        }
    }
    let status = wait(result(child.into())? as libc::pid_t)?;
    Ok(libc::WIFEXITED(status))
}

fn wait(child: libc::pid_t) -> Result<i32, Errno> {
    let mut status = 0;
    loop {
        // SAFETY: the status is ours.
        match result(unsafe { libc::waitpid(child, &mut status, 0) }.into()) {
            Err(Errno::INTR) => {}
            other => return other.map(|_| status),
        }
    }
}

/// Writes through `/proc/self/mem`.
pub fn write_proc_mem(address: u64, bytes: &[u8]) -> Result<(), Errno> {
    let errno =
        |error: std::io::Error| Errno::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO));
    let mem = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/proc/self/mem")
        .map_err(errno)?;
    mem.write_all_at(bytes, address).map_err(errno)
}

/// Writes a word into the memory of a stopped child, as a debugger does.
pub fn poke(address: u64, word: libc::c_long) -> Verdict<Result<(), Errno>> {
    // SAFETY: the child calls nothing but what may be called there.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above.
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
            libc::_exit(0)
        }
    }
    let child = result(child.into())? as libc::pid_t;
    let status = wait(child)?;
    if !libc::WIFSTOPPED(status) {
        return Err(wrong(format_args!(
            "the child has not stopped: {status:#x}"
        )));
    }
    // SAFETY: it writes into the child, if at all.
    let poked = unsafe { libc::ptrace(libc::PTRACE_POKEDATA, child, address, word) };
    let poked = result(poked).map(drop);
    // SAFETY: the child is ours.
    unsafe { libc::kill(child, libc::SIGKILL) };
    wait(child)?;
    Ok(poked)
}

/// Writes into this process as if it were another one.
pub fn vm_write(address: u64, bytes: &[u8]) -> Result<(), Errno> {
    let local = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let remote = libc::iovec {
        iov_base: address as *mut libc::c_void,
        iov_len: bytes.len(),
    };
    // SAFETY: both vectors are valid; the bytes are only read.
    let written = unsafe { libc::process_vm_writev(libc::getpid(), &local, 1, &remote, 1, 0) };
    result(written as libc::c_long).map(drop)
}

/// Advises the kernel on memory.
pub fn advise(address: u64, bytes: usize, advice: i32) -> Result<(), Errno> {
    // SAFETY: none of the advices of a case touches memory that Rust knows of.
    result(unsafe { libc::madvise(address as *mut libc::c_void, bytes, advice) }.into()).map(drop)
}

/// A page whose faults nobody answers unless told to: who touches it stops there.
pub struct Unanswered {
    fd: OwnedFd,
    page: Area,
}

impl Unanswered {
    const BYTES: u64 = 4096;

    /// A new one.
    pub fn new() -> Result<Self, Errno> {
        let page = Area::new()?;
        let fd = faults_of(page.address() as u64, Self::BYTES as usize)?;
        Ok(Unanswered { fd, page })
    }

    /// Its first byte.
    pub fn address(&self) -> u64 {
        self.page.address() as u64
    }

    /// Whether somebody has touched it within `time` and stands there.
    pub fn is_touched(&self, time: Duration) -> Result<bool, Errno> {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        let time = Timespec::try_from(time).map_err(|_| Errno::INVAL)?;
        Ok(poll(&mut fds, Some(&time))? == 1)
    }

    /// Lets all go on who stand there: they find zeroes.
    pub fn answer(&self) -> Result<(), Errno> {
        /// `_IOWR(0xaa, 0x04, struct uffdio_zeropage)`: start, length, mode, result.
        const ZEROPAGE: libc::c_ulong = 0xc020_aa04;
        let mut zeropage = [self.address(), Self::BYTES, 0, 0];
        // SAFETY: the structure has the size that the number names, and the page is this value's.
        let done = unsafe { libc::ioctl(self.fd.as_raw_fd(), ZEROPAGE as _, &mut zeropage) };
        result(done.into()).map(drop)
    }
}

/// Has a new userfaultfd serve the faults on memory for as long as a call takes.
pub fn register_faults(address: u64, bytes: usize) -> Result<(), Errno> {
    faults_of(address, bytes).map(drop)
}

/// A userfaultfd that serves the faults on memory until it is closed.
fn faults_of(address: u64, bytes: usize) -> Result<OwnedFd, Errno> {
    /// `_IOWR(0xaa, 0x3f, struct uffdio_api)`: version, features, ioctls.
    const API: libc::c_ulong = 0xc018_aa3f;
    /// `_IOWR(0xaa, 0x00, struct uffdio_register)`: start, length, mode, ioctls.
    const REGISTER: libc::c_ulong = 0xc020_aa00;
    const MISSING: u64 = 1;
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: a system call without memory.
    let raw = result(unsafe { libc::syscall(libc::SYS_userfaultfd, flags) })?;
    // SAFETY: the kernel has just made it.
    let fd = unsafe { OwnedFd::from_raw_fd(raw as libc::c_int) };
    let mut api = [0xaa_u64, 0, 0];
    let mut register = [address, bytes as u64, MISSING, 0];
    // SAFETY: both structures have the size that the number names.
    unsafe {
        result(libc::ioctl(fd.as_raw_fd(), API as _, &mut api).into())?;
        result(libc::ioctl(fd.as_raw_fd(), REGISTER as _, &mut register).into())?;
    }
    Ok(fd)
}
