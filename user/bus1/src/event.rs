// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a peer receives.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use bus1_sys::{
    bus1_msg, BUS1_HANDLE_INVALID, BUS1_MSG_FLAG_CONTINUE, BUS1_MSG_FLAG_REQUEST,
    BUS1_MSG_NODE_DESTROY, BUS1_MSG_NODE_RELEASE,
};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::error::RecvError;
use crate::handle::{Handle, Id};
use crate::map::{Contents, Slice};
use crate::peer::Peer;
use crate::request::Reply;

/// One entry of a peer's queue.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'p> {
    /// A message.
    Data(Message<'p>),
    /// The node of a handle is destroyed: nothing will come from it, nothing can
    /// be sent to it. The handle is still to be dropped.
    NodeDestroyed(Notice),
    /// Nobody but this peer, its owner, holds a handle to a node any more.
    NodeReleased(Notice),
}

/// A message.
#[derive(Debug)]
#[non_exhaustive]
pub struct Message<'p> {
    /// The node that it was sent to: compare with
    /// [`Node::id`](crate::Node::id).
    pub destination: Id,
    /// The bytes.
    pub payload: Slice<'p>,
    /// The handles that it brings; `None` for one whose node was destroyed
    /// before the message was sent.
    pub handles: Vec<Option<Handle<'p>>>,
    /// The files that it brings, close-on-exec.
    pub files: Vec<OwnedFd>,
    /// The right to reply, if its sender has prepaid that
    /// ([`Transaction::request`](crate::Transaction::request)) and still waits.
    pub reply: Option<Reply<'p>>,
    /// Who sent it.
    pub sender: Sender,
    /// Whether the next event is a part of the same transaction.
    pub more: bool,
}

/// Something happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// The handle or node in question: compare with [`Handle::id`] or
    /// [`Node::id`](crate::Node::id).
    pub id: Id,
    /// Whether the next event is a part of the same transaction.
    pub more: bool,
}

/// The task that sent a message, as it was at that time, in the namespaces of
/// the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sender {
    /// Real user ID.
    pub uid: u32,
    /// Real group ID.
    pub gid: u32,
    /// Process, 0 if it can't be seen from here.
    pub pid: u32,
    /// Thread, 0 if it can't be seen from here.
    pub tid: u32,
}

impl<'p> Event<'p> {
    fn new(
        peer: &'p Peer,
        msg: &bus1_msg,
        contents: Option<Contents<'p>>,
    ) -> Result<Self, RecvError> {
        let more = msg.flags & BUS1_MSG_FLAG_CONTINUE != 0;
        let id = Id::from_bits(msg.destination);
        let Some(contents) = contents else {
            return match msg.type_ {
                BUS1_MSG_NODE_DESTROY => Ok(Event::NodeDestroyed(Notice { id, more })),
                BUS1_MSG_NODE_RELEASE => Ok(Event::NodeReleased(Notice { id, more })),
                _ => Err(RecvError::Malformed),
            };
        };
        let handle = |id| match id {
            BUS1_HANDLE_INVALID => None,
            id => Some(Handle::new(peer, Id::from_bits(id))),
        };
        let mut handles: Vec<_> = contents.handles.into_iter().map(handle).collect();
        let reply = match msg.flags & BUS1_MSG_FLAG_REQUEST {
            0 => None,
            _ => handles.pop().flatten().map(Reply::new),
        };
        Ok(Event::Data(Message {
            destination: id,
            payload: contents.payload,
            handles,
            reply,
            files: contents.files,
            sender: Sender {
                uid: msg.uid,
                gid: msg.gid,
                pid: msg.pid,
                tid: msg.tid,
            },
            more,
        }))
    }
}

impl Peer {
    /// The next event, or `None` if there is none at present.
    ///
    /// # Errors
    ///
    /// See [`RecvError`].
    pub fn try_recv(&self) -> Result<Option<Event<'_>>, RecvError> {
        match self.receive() {
            Ok((msg, contents)) => Event::new(self, &msg, contents).map(Some),
            Err(RecvError::Other(Errno::AGAIN)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next event; waits until there is one.
    ///
    /// # Errors
    ///
    /// See [`RecvError`]. A peer that is shut down while somebody waits gives
    /// `Disconnected`.
    pub fn recv(&self) -> Result<Event<'_>, RecvError> {
        loop {
            if let Some(event) = self.try_recv()? {
                return Ok(event);
            }
            self.wait(None)?;
        }
    }

    /// The next event; waits at most `timeout`, and gives `None` if none came.
    ///
    /// # Errors
    ///
    /// As for [`Peer::recv`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<Event<'_>>, RecvError> {
        // A time that can't be expressed is no limit.
        let end = Instant::now().checked_add(timeout);
        loop {
            if let Some(event) = self.try_recv()? {
                return Ok(Some(event));
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            self.wait(left)?;
        }
    }

    /// Waits until the queue is readable, the peer is shut down, or the time is
    /// over. Being woken for nothing is fine: the callers look again.
    fn wait(&self, timeout: Option<Duration>) -> Result<(), RecvError> {
        let timeout = timeout.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::new(self, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
