// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the examples share: waiting with an end, and how two processes meet.

#![allow(dead_code, missing_docs)]

use std::error::Error;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use bus1::{Event, Handle, Id, Message, Node, Peer};
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// What `main` makes of the outcome: a reason in words and a status.
pub fn finish(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("failed: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The next event; an error if none comes in time.
pub fn next<'p>(peer: &'p Peer, who: &str) -> Outcome<Event<'p>> {
    match peer.recv_timeout(Duration::from_secs(10))? {
        Some(event) => Ok(event),
        None => Err(format!("{who} has waited for ten seconds and got nothing").into()),
    }
}

/// The next event, which has to be a message.
pub fn next_message<'p>(peer: &'p Peer, who: &str) -> Outcome<Message<'p>> {
    match next(peer, who)? {
        Event::Data(message) => Ok(message),
        other => Err(format!("{who} got {other:?} and no message").into()),
    }
}

/// The payload as text.
pub fn text(message: &Message<'_>) -> String {
    String::from_utf8_lossy(&message.payload).into_owned()
}

/// Starts this program once more, as `role`, with one end of a socket as its
/// standard input. The other end is the result.
pub fn start(role: &str) -> Outcome<(Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = Command::new(std::env::current_exe()?)
        .arg(role)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    Ok((child, ours))
}

/// The child's end of that socket.
pub fn parent() -> Outcome<UnixStream> {
    Ok(UnixStream::from(
        std::io::stdin().as_fd().try_clone_to_owned()?,
    ))
}

/// Gives a handle to `node` to the process at the other end of the socket: its
/// peer comes through the socket, the handle is put on it, its name goes back.
pub fn introduce(node: &Node<'_>, socket: &mut UnixStream) -> Outcome {
    let peer = recv_fd(socket)?;
    let id = node.transfer_to_fd(&peer)?;
    socket.write_all(&id.to_bits().to_ne_bytes())?;
    Ok(())
}

/// The other side of [`introduce`].
pub fn be_introduced<'p>(peer: &'p Peer, socket: &mut UnixStream) -> Outcome<Handle<'p>> {
    send_fd(socket, peer)?;
    let mut id = [0; 8];
    socket.read_exact(&mut id)?;
    Ok(peer.claim(Id::from_bits(u64::from_ne_bytes(id))))
}

fn send_fd(socket: &UnixStream, fd: impl AsFd) -> Outcome {
    let fds = [fd.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err("no room for a file descriptor".into());
    }
    sendmsg(
        socket,
        &[IoSlice::new(b"p")],
        &mut control,
        SendFlags::empty(),
    )?;
    Ok(())
}

fn recv_fd(socket: &UnixStream) -> Outcome<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message {
            return fds.next().ok_or_else(|| "an empty list of files".into());
        }
    }
    Err("the other process has sent no file descriptor".into())
}
