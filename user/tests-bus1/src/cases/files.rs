// SPDX-License-Identifier: MIT OR Apache-2.0

//! Files in messages.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{open, Mode, OFlags};
use rustix::io::{fcntl_getfd, Errno, FdFlags};
use rustix::mount::{mount, unmount, MountFlags, UnmountFlags};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

use super::cases;
use crate::expect::{data, empty};
use crate::raw::{binderfs_add, io_uring, Mail, Peer};
use crate::verdict::{check, equal, fails, skip, works, Verdict};

cases! {
    file_arrives_and_works,
    files_are_close_on_exec,
    files_are_not_installed_without_the_flag,
    files_of_a_dropped_message_are_released,
    each_receiver_gets_its_own_file,
    full_table_keeps_message_and_leaks_nothing,
    closed_and_negative_files_are_refused,
    files_that_could_hold_a_peer_are_refused,
    path_only_file_passes,
    binder_file_is_refused,
}

/// Sends files to an own node.
fn send(peer: &Peer, fds: &[i32]) -> Result<(), Errno> {
    peer.send(&Mail {
        to: &[0x100],
        fds,
        ..Default::default()
    })
}

/// Whether nobody can write to the pipe any more: its reader sees the end.
fn at_end(reader: &OwnedFd) -> Verdict<bool> {
    let mut byte = [0];
    match rustix::io::read(reader, &mut byte) {
        Ok(n) => Ok(n == 0),
        Err(Errno::AGAIN) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn pipe() -> Verdict<(OwnedFd, OwnedFd)> {
    let flags = rustix::pipe::PipeFlags::NONBLOCK | rustix::pipe::PipeFlags::CLOEXEC;
    Ok(rustix::pipe::pipe_with(flags)?)
}

fn open_count() -> Verdict<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

fn file_arrives_and_works() -> Verdict {
    let peer = Peer::open()?;
    let (reader, writer) = pipe()?;
    works("SEND", send(&peer, &[writer.as_raw_fd()]))?;
    drop(writer);
    let msg = works("RECV", peer.recv_files())?;
    equal("number of files", msg.n_fds, 1)?;
    let file = peer.files(&msg).pop().ok_or(Errno::BADF)?;
    let mut file = File::from(file);
    file.write_all(b"through the bus")?;
    drop(file);
    let mut text = String::new();
    File::from(reader).read_to_string(&mut text)?;
    equal("what came through", text, "through the bus".into())
}

fn files_are_close_on_exec() -> Verdict {
    let peer = Peer::open()?;
    works("SEND", send(&peer, &[2, 2, 2]))?;
    let msg = works("RECV", peer.recv_files())?;
    let files = peer.files(&msg);
    equal("number of files", files.len(), 3)?;
    for file in &files {
        equal("flags", fcntl_getfd(file)?, FdFlags::CLOEXEC)?;
    }
    Ok(())
}

fn files_are_not_installed_without_the_flag() -> Verdict {
    let peer = Peer::open()?;
    let (reader, writer) = pipe()?;
    works("SEND", send(&peer, &[writer.as_raw_fd()]))?;
    drop(writer);
    check("the file is held by the message", !at_end(&reader)?)?;
    let before = open_count()?;
    let msg = data(&peer, 0x100)?;
    equal("number of files", msg.n_fds, 0)?;
    equal("open files", open_count()?, before)?;
    check("the file is released", at_end(&reader)?)
}

fn files_of_a_dropped_message_are_released() -> Verdict {
    let (sender, peer) = (Peer::open()?, Peer::open()?);
    let to = [sender.meets(&peer, 0x10)?];
    let (reader, writer) = pipe()?;
    let fds = [writer.as_raw_fd()];
    works(
        "SEND",
        sender.send(&Mail {
            to: &to,
            fds: &fds,
            ..Default::default()
        }),
    )?;
    drop(writer);
    check("the file is held by the message", !at_end(&reader)?)?;
    drop(peer);
    // The last put of a file may be left to the end of another task's call.
    for _ in 0..200 {
        if at_end(&reader)? {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    check("the file is released with its receiver", false)
}

fn each_receiver_gets_its_own_file() -> Verdict {
    let (sender, one, two) = (Peer::open()?, Peer::open()?, Peer::open()?);
    let to = [sender.meets(&one, 0x10)?, sender.meets(&two, 0x10)?];
    let (reader, writer) = pipe()?;
    let fds = [writer.as_raw_fd()];
    works(
        "SEND",
        sender.send(&Mail {
            to: &to,
            fds: &fds,
            ..Default::default()
        }),
    )?;
    drop(writer);
    let first = one.files(&works("RECV", one.recv_files())?);
    let second = two.files(&works("RECV", two.recv_files())?);
    equal("numbers of files", (first.len(), second.len()), (1, 1))?;
    drop(first);
    check("one is still open", !at_end(&reader)?)?;
    drop(second);
    check("none is", at_end(&reader)?)
}

fn full_table_keeps_message_and_leaks_nothing() -> Verdict {
    let peer = Peer::open()?;
    let (reader, writer) = pipe()?;
    let raw = writer.as_raw_fd();
    works("SEND", send(&peer, &[raw, raw, raw]))?;
    drop(writer);
    // Holes in the table count as well: fill it up to the limit, then leave two.
    let limit = 64;
    let old = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(limit),
            maximum: old.maximum,
        },
    )?;
    let mut fill = Vec::new();
    while let Ok(file) = reader.try_clone() {
        fill.push(file);
    }
    fill.truncate(fill.len() - 2);
    for _ in 0..3 {
        fails("RECV", peer.recv_files(), Errno::MFILE)?;
    }
    let spare = reader.try_clone()?;
    check("two were free, and still are", reader.try_clone().is_ok())?;
    drop(spare);
    setrlimit(Resource::Nofile, old)?;
    let msg = works("RECV with room", peer.recv_files())?;
    equal("number of files", peer.files(&msg).len(), 3)?;
    empty(&peer)?;
    check("the files are released", at_end(&reader)?)
}

fn closed_and_negative_files_are_refused() -> Verdict {
    let peer = Peer::open()?;
    for fd in [-1, i32::MIN, i32::MAX, 1000] {
        fails(&format!("file {fd}"), send(&peer, &[2, fd]), Errno::BADF)?;
    }
    empty(&peer)
}

fn files_that_could_hold_a_peer_are_refused() -> Verdict {
    let (peer, other) = (Peer::open()?, Peer::open()?);
    let refused = |what: &str, fd: &dyn AsRawFd| -> Verdict {
        let result = send(&peer, &[2, fd.as_raw_fd()]);
        fails(what, result, Errno::OPNOTSUPP)
    };
    refused("the peer itself", &peer.as_fd())?;
    refused("another peer", &other.as_fd())?;
    let (one, _two) = UnixStream::pair()?;
    refused("a local socket", &one)?;
    empty(&peer)?;
    let udp = std::net::UdpSocket::bind("127.0.0.1:0");
    if let Ok(udp) = udp {
        works("another kind of socket", send(&peer, &[udp.as_raw_fd()]))?;
        data(&peer, 0x100)?;
    }
    match io_uring() {
        Ok(ring) => refused("a ring of io_uring", &ring),
        Err(errno) => skip(format!("all but io_uring passed; io_uring_setup: {errno}")),
    }
}

fn path_only_file_passes() -> Verdict {
    let peer = Peer::open()?;
    let folder = std::env::temp_dir().join(format!("tests-bus1-{}", std::process::id()));
    let socket = std::os::unix::net::UnixListener::bind(&folder);
    let result = match &socket {
        Ok(_) => open(&folder, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()),
        Err(_) => open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()),
    };
    if socket.is_ok() {
        std::fs::remove_file(&folder)?;
    }
    works("SEND", send(&peer, &[result?.as_raw_fd()]))?;
    let msg = works("RECV", peer.recv_files())?;
    equal("number of files", peer.files(&msg).len(), 1)?;
    match socket {
        Ok(_) => Ok(()),
        Err(error) => skip(format!("passed with a folder; no local socket: {error}")),
    }
}

/// A file of the Binder device of this kernel: one that is there, or one of a
/// file system that is mounted for it and goes away with it.
fn binder_file() -> Verdict<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    for path in ["/dev/binder", "/dev/binderfs/binder"] {
        if let Ok(fd) = open(path, flags, Mode::empty()) {
            return Ok(fd);
        }
    }
    let folder = std::env::temp_dir().join(format!("tests-bus1-binder-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let result = match mount("binder", &folder, "binder", MountFlags::empty(), None) {
        Ok(()) => {
            let control = open(folder.join("binder-control"), flags, Mode::empty());
            let device = control
                .and_then(|control| binderfs_add(&control, "tests-bus1"))
                .and_then(|()| open(folder.join("tests-bus1"), flags, Mode::empty()));
            unmount(&folder, UnmountFlags::DETACH)?;
            Ok(device?)
        }
        Err(errno) => skip(format!("no Binder here: mounting its file system: {errno}")),
    };
    std::fs::remove_dir(&folder)?;
    result
}

fn binder_file_is_refused() -> Verdict {
    let peer = Peer::open()?;
    let file = binder_file()?;
    fails("SEND", send(&peer, &[file.as_raw_fd()]), Errno::OPNOTSUPP)?;
    empty(&peer)
}
