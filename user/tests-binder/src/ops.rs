// SPDX-License-Identifier: MIT OR Apache-2.0

//! What an actor does when it is asked: one system call each.
//!
//! All of them have the shape of [`crate::shm::Op`]: numbers in, a result or a
//! negative errno out. Descriptors and addresses are those of the actor.

use std::cell::Cell;
use std::ffi::{c_void, CStr};
use std::os::fd::{BorrowedFd, IntoRawFd};

use rustix::event::{epoll, poll as poll_fds, PollFd, PollFlags, Timespec};
use rustix::fs::{self, MemfdFlags, Mode, OFlags};
use rustix::io::{self, Errno, FdFlags};
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode};
use rustix::mm::{self, MapFlags, MprotectFlags, ProtFlags};
use rustix::process::{self, Resource, Rlimit};
use rustix::thread::{self, Uid};

use crate::shm;

thread_local! {
    static LEAVE: Cell<bool> = const { Cell::new(false) };
}

/// Whether [`end_thread`] was asked of this thread.
pub fn leaving() -> bool {
    LEAVE.with(Cell::get)
}

fn code(result: io::Result<i64>) -> i64 {
    result.unwrap_or_else(|error| -i64::from(error.raw_os_error()))
}

fn borrowed(fd: u64) -> BorrowedFd<'static> {
    // SAFETY: Actors run what a case tells them; a descriptor that is not open
    // gives EBADF, which the case sees. Nothing else in an actor owns
    // descriptors that such a number could hit by mistake.
    unsafe { BorrowedFd::borrow_raw(fd as i32) }
}

/// An ioctl whose number and argument are only known at run time.
struct AnyIoctl {
    number: u32,
    argument: u64,
}

// SAFETY: The argument goes to the kernel as it is; what it points to is the
// case's business, and lies in the shared area or is meant to fault. `output`
// is the system call's result alone.
unsafe impl Ioctl for AnyIoctl {
    type Output = IoctlOutput;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.number as Opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.argument as *mut c_void
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> io::Result<IoctlOutput> {
        Ok(out)
    }
}

/// (fd, number, argument)
pub fn ioctl([fd, number, argument, ..]: [u64; 6]) -> i64 {
    let call = AnyIoctl {
        number: number as u32,
        argument,
    };
    // SAFETY: See `AnyIoctl`.
    code(unsafe { rustix::ioctl::ioctl(borrowed(fd), call) }.map(i64::from))
}

/// (path, flags) -> fd; the path is NUL-terminated in the shared area.
pub fn open([path, flags, ..]: [u64; 6]) -> i64 {
    // SAFETY: The conductor put a NUL-terminated string there.
    let path = unsafe { CStr::from_ptr(path as *const _) };
    let flags = OFlags::from_bits_retain(flags as u32);
    code(fs::open(path, flags, Mode::empty()).map(|fd| i64::from(fd.into_raw_fd())))
}

/// (fd)
pub fn close([fd, ..]: [u64; 6]) -> i64 {
    // SAFETY: See `borrowed`.
    match unsafe { libc::close(fd as i32) } {
        0 => 0,
        _ => code(Err(Errno::BADF)),
    }
}

/// (fd) -> fd
pub fn dup([fd, ..]: [u64; 6]) -> i64 {
    code(io::dup(borrowed(fd)).map(|fd| i64::from(fd.into_raw_fd())))
}

/// (fd, on)
pub fn nonblock([fd, on, ..]: [u64; 6]) -> i64 {
    let flags = if on != 0 {
        OFlags::NONBLOCK
    } else {
        OFlags::empty()
    };
    code(fs::fcntl_setfl(borrowed(fd), flags).map(|()| 0))
}

/// (fd) -> 1 if it is closed on exec
pub fn is_cloexec([fd, ..]: [u64; 6]) -> i64 {
    code(io::fcntl_getfd(borrowed(fd)).map(|flags| i64::from(flags.contains(FdFlags::CLOEXEC))))
}

/// (fd) -> inode number
pub fn inode([fd, ..]: [u64; 6]) -> i64 {
    code(fs::fstat(borrowed(fd)).map(|stat| stat.st_ino as i64))
}

/// () -> fd of a fresh file
pub fn memfd(_: [u64; 6]) -> i64 {
    code(fs::memfd_create("case", MemfdFlags::empty()).map(|fd| i64::from(fd.into_raw_fd())))
}

/// () -> a pipe: the reading end, and 65536 times the writing end
pub fn pipe(_: [u64; 6]) -> i64 {
    let ends = rustix::pipe::pipe();
    code(ends.map(|(r, w)| i64::from(r.into_raw_fd()) | i64::from(w.into_raw_fd()) << 16))
}

/// (fd, length, writable) -> address
pub fn mmap([fd, length, writable, ..]: [u64; 6]) -> i64 {
    let mut prot = ProtFlags::READ;
    if writable != 0 {
        prot |= ProtFlags::WRITE;
    }
    // SAFETY: A new mapping at an address that the kernel chooses.
    let address = unsafe {
        mm::mmap(
            std::ptr::null_mut(),
            length as usize,
            prot,
            MapFlags::PRIVATE | MapFlags::NORESERVE,
            borrowed(fd),
            0,
        )
    };
    code(address.map(|address| address as i64))
}

/// (address, length); nothing but binder's own mapping, or the area's tail.
pub fn munmap([address, length, ..]: [u64; 6]) -> i64 {
    // SAFETY: Only `copy` and `probe` read such mappings, and they do it by
    // raw address; no reference into them exists.
    code(unsafe { mm::munmap(address as *mut c_void, length as usize) }.map(|()| 0))
}

/// (address, length): moves a mapping to where another one was made for it.
pub fn move_away([address, length, ..]: [u64; 6]) -> i64 {
    let (old, length) = (address as *mut c_void, length as usize);
    let flags = mm::MremapFlags::MAYMOVE;
    // SAFETY: As for `munmap`; the new place is nobody's.
    let moved = unsafe {
        mm::mmap_anonymous(
            std::ptr::null_mut(),
            length,
            ProtFlags::READ,
            MapFlags::PRIVATE,
        )
        .and_then(|place| mm::mremap_fixed(old, length, length, flags, place))
    };
    code(moved.map(|_| 0))
}

/// (address, length): asks for twice the length, anywhere.
pub fn grow([address, length, ..]: [u64; 6]) -> i64 {
    let (old, length) = (address as *mut c_void, length as usize);
    let flags = mm::MremapFlags::MAYMOVE;
    // SAFETY: As for `munmap`.
    code(unsafe { mm::mremap(old, length, 2 * length, flags) }.map(|_| 0))
}

/// (): has all shrinkers of the kernel give back what they can.
pub fn drop_caches(_: [u64; 6]) -> i64 {
    let written = std::fs::write("/proc/sys/vm/drop_caches", "2");
    match written {
        Ok(()) => 0,
        Err(error) => -i64::from(error.raw_os_error().unwrap_or(0)),
    }
}

/// (address, length): asks for write access.
pub fn make_writable([address, length, ..]: [u64; 6]) -> i64 {
    let flags = MprotectFlags::READ | MprotectFlags::WRITE;
    // SAFETY: As for `munmap`.
    code(unsafe { mm::mprotect(address as *mut c_void, length as usize, flags) }.map(|()| 0))
}

/// (address, length): takes all access away.
pub fn forbid([address, length, ..]: [u64; 6]) -> i64 {
    let flags = MprotectFlags::empty();
    // SAFETY: The conductor gives pages that it set aside for this.
    code(unsafe { mm::mprotect(address as *mut c_void, length as usize, flags) }.map(|()| 0))
}

/// (address, length): leaves read access.
pub fn read_only([address, length, ..]: [u64; 6]) -> i64 {
    let flags = MprotectFlags::READ;
    // SAFETY: As for `forbid`.
    code(unsafe { mm::mprotect(address as *mut c_void, length as usize, flags) }.map(|()| 0))
}

/// (from, to, length)
pub fn copy([from, to, length, ..]: [u64; 6]) -> i64 {
    // SAFETY: `to` was taken from the shared area; `from` is a buffer that the
    // driver told the actor, in its mapping.
    unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, length as usize) };
    0
}

/// (address, length) -> bytes that can be read there, or -EFAULT. At most a
/// pipe's capacity.
pub fn probe([address, length, ..]: [u64; 6]) -> i64 {
    let Ok((_reader, writer)) = rustix::pipe::pipe() else {
        return -i64::from(Errno::MFILE.raw_os_error());
    };
    // A system call meets the fault instead of the actor. No slice is made of
    // memory that may not be there, so this is the raw call.
    let writer = writer.into_raw_fd();
    // SAFETY: The kernel checks the range.
    let wrote = unsafe { libc::write(writer, address as *const c_void, length as usize) };
    let error = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    close([writer as u64, 0, 0, 0, 0, 0]);
    if wrote < 0 {
        -i64::from(error)
    } else {
        wrote as i64
    }
}

/// (slot): starts another thread of this actor.
pub fn spawn([slot, ..]: [u64; 6]) -> i64 {
    std::thread::spawn(move || shm::serve(slot as usize, leaving));
    0
}

/// (slot) -> pid: forks; the child serves the slot.
pub fn fork([slot, ..]: [u64; 6]) -> i64 {
    // SAFETY: The child goes on with the calling thread's stack alone; it uses
    // no lock that another thread could have held, the allocator's excepted,
    // which the C library takes care of.
    match unsafe { libc::fork() } {
        -1 => -i64::from(Errno::AGAIN.raw_os_error()),
        0 => {
            shm::serve(slot as usize, leaving);
            exit([0; 6])
        }
        pid => i64::from(pid),
    }
}

/// (clone flags): leaves namespaces. A new pid namespace is for the children
/// that are forked afterwards.
pub fn unshare([flags, ..]: [u64; 6]) -> i64 {
    // SAFETY: Only namespaces are asked for; nothing of this process is shared
    // with another that could be surprised.
    match unsafe { libc::unshare(flags as i32) } {
        0 => 0,
        _ => -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
    }
}

/// (): becomes another program, which sleeps; an answer comes only on failure.
pub fn exec_sleep(_: [u64; 6]) -> i64 {
    use std::os::unix::process::CommandExt;
    let error = std::process::Command::new("sleep").arg("60").exec();
    -i64::from(error.raw_os_error().unwrap_or(0))
}

/// (): ends the process; no answer comes.
pub fn exit(_: [u64; 6]) -> i64 {
    // SAFETY: Ends the process without running anything of it.
    unsafe { libc::_exit(0) }
}

/// (): ends the calling thread after the answer.
pub fn end_thread(_: [u64; 6]) -> i64 {
    LEAVE.with(|leave| leave.set(true));
    0
}

/// () -> thread id
pub fn gettid(_: [u64; 6]) -> i64 {
    i64::from(thread::gettid().as_raw_nonzero().get())
}

/// (pid): reaps a forked child of this actor.
pub fn reap([pid, ..]: [u64; 6]) -> i64 {
    let pid = process::Pid::from_raw(pid as i32);
    code(process::waitpid(pid, process::WaitOptions::empty()).map(|_| 0))
}

/// (uid): the calling thread's real, effective and saved user id.
pub fn set_thread_uid([uid, ..]: [u64; 6]) -> i64 {
    let uid = Uid::from_raw(uid as u32);
    code(thread::set_thread_res_uid(uid, uid, uid).map(|()| 0))
}

/// (limit): most descriptors of this process.
pub fn limit_files([limit, ..]: [u64; 6]) -> i64 {
    let limit = Rlimit {
        current: Some(limit),
        maximum: Some(1024),
    };
    code(process::setrlimit(Resource::Nofile, limit).map(|()| 0))
}

/// (text): the calling task's security label from now on; the text is
/// NUL-terminated in the shared area.
pub fn set_label([text, ..]: [u64; 6]) -> i64 {
    // SAFETY: The conductor put a NUL-terminated string there.
    let text = unsafe { CStr::from_ptr(text as *const _) };
    match std::fs::write("/proc/thread-self/attr/current", text.to_bytes()) {
        Ok(()) => 0,
        Err(error) => -i64::from(error.raw_os_error().unwrap_or(0)),
    }
}

fn milliseconds(timeout: u64) -> Timespec {
    Timespec {
        tv_sec: (timeout / 1000) as _,
        tv_nsec: (timeout % 1000 * 1_000_000) as _,
    }
}

/// (fd, timeout in ms) -> events, 0 if none came
pub fn poll([fd, timeout, ..]: [u64; 6]) -> i64 {
    let mut fds = [PollFd::from_borrowed_fd(
        borrowed(fd),
        PollFlags::IN | PollFlags::OUT,
    )];
    let ready = poll_fds(&mut fds, Some(&milliseconds(timeout)));
    code(ready.map(|_| i64::from(fds[0].revents().bits())))
}

/// () -> fd
pub fn epoll_create(_: [u64; 6]) -> i64 {
    code(epoll::create(epoll::CreateFlags::empty()).map(|fd| i64::from(fd.into_raw_fd())))
}

/// (epoll fd, fd, more flags than EPOLLIN)
pub fn epoll_add([epoll, fd, more, ..]: [u64; 6]) -> i64 {
    let flags = epoll::EventFlags::IN | epoll::EventFlags::from_bits_retain(more as u32);
    let data = epoll::EventData::new_u64(fd);
    code(epoll::add(borrowed(epoll), borrowed(fd), data, flags).map(|()| 0))
}

/// (epoll fd, timeout in ms) -> events of the first ready one, 0 if none came
pub fn epoll_wait([epoll, timeout, ..]: [u64; 6]) -> i64 {
    let mut events = Vec::with_capacity(1);
    let buffer = rustix::buffer::spare_capacity(&mut events);
    let ready = epoll::wait(borrowed(epoll), buffer, Some(&milliseconds(timeout)));
    code(ready.map(|_| {
        events.first().map_or(0, |event: &epoll::Event| {
            let flags = event.flags;
            i64::from(flags.bits())
        })
    }))
}

/// (fd): `read` of one byte, for files that don't support it.
pub fn read_byte([fd, ..]: [u64; 6]) -> i64 {
    let mut byte = [0u8; 1];
    code(io::read(borrowed(fd), &mut byte).map(|count| count as i64))
}
