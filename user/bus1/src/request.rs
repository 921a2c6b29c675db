// SPDX-License-Identifier: MIT OR Apache-2.0

//! Requests with a prepaid reply.
//!
//! Whoever asks pays for the answer beforehand, in its own pool. So the one who
//! answers can't be refused for somebody's quota, and a client that asks and
//! never reads fills nobody's pool but its own.

#![forbid(unsafe_code)]

use std::fmt;

use bus1_sys::bus1_cmd_send_request;

use crate::error::{RecvError, SendError};
use crate::event::{Event, Message};
use crate::handle::{Handle, Id};
use crate::peer::Peer;
use crate::send::Transaction;

/// The most that a reply may be.
///
/// ```no_run
/// use bus1::{Answer, Handle, Peer, Room};
///
/// fn ask(client: &Peer, server: &Handle) -> Result<Option<Vec<u8>>, std::io::Error> {
///     let pending = client
///         .send()
///         .to(server)
///         .payload(b"how late is it?")
///         .request(Room::bytes(64))?;
///     match pending.wait(|other| println!("meanwhile: {other:?}"))? {
///         Answer::Reply(message) => Ok(Some(message.payload.to_vec())),
///         Answer::Nobody => Ok(None),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes of payload.
    pub bytes: u64,
    /// Handles.
    pub handles: u64,
    /// Files.
    pub files: u64,
}

impl Room {
    /// Room for bytes alone.
    pub fn bytes(bytes: u64) -> Self {
        Room {
            bytes,
            ..Room::default()
        }
    }

    pub(crate) fn to_raw(self) -> bus1_cmd_send_request {
        bus1_cmd_send_request {
            reply_bytes: self.bytes,
            reply_handles: self.handles,
            reply_fds: self.files,
            ..Default::default()
        }
    }
}

/// How a request ended.
#[derive(Debug)]
pub enum Answer<'p> {
    /// With a reply.
    Reply(Message<'p>),
    /// Whoever could have replied has given that up, or is gone.
    Nobody,
}

/// A request that was sent, until its end was received.
///
/// Dropping it gives the request up: the other side can't reply any more.
#[must_use = "dropping it gives the request up"]
pub struct Pending<'p> {
    peer: &'p Peer,
    id: Id,
}

impl<'p> Pending<'p> {
    pub(crate) fn new(peer: &'p Peer, id: Id) -> Self {
        Pending { peer, id }
    }

    /// The `destination` of the reply, and the `id` of the notice that there
    /// will be none.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Waits for the end. What else the peer receives meanwhile goes to `other`.
    ///
    /// # Errors
    ///
    /// As for [`Peer::recv`]. The request is given up then.
    pub fn wait(mut self, mut other: impl FnMut(Event<'p>)) -> Result<Answer<'p>, RecvError> {
        loop {
            let event = self.peer.recv()?;
            match self.take(event) {
                Ok(answer) => return Ok(answer),
                Err(back) => {
                    let (pending, event) = *back;
                    self = pending;
                    other(event);
                }
            }
        }
    }

    /// Looks whether `event` is the end of this request; gives both back if it
    /// is another one.
    ///
    /// # Errors
    ///
    /// The request and the event.
    pub fn take(self, event: Event<'p>) -> Result<Answer<'p>, Box<(Self, Event<'p>)>> {
        let answer = match event {
            Event::Data(message) if message.destination == self.id => Answer::Reply(message),
            Event::NodeReleased(notice) if notice.id == self.id => Answer::Nobody,
            event => return Err(Box::new((self, event))),
        };
        // Its node went when this was received.
        std::mem::forget(self);
        Ok(answer)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        // A peer that is shut down has no nodes any more.
        let _ = self.peer.fd().nodes_destroy(&[self.id.to_bits()]);
    }
}

impl fmt::Debug for Pending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({:#x})", self.id.to_bits())
    }
}

/// The right to reply once to a request.
///
/// Dropping it tells the requester that there will be no reply.
#[must_use = "dropping it tells the requester that there is no reply"]
#[derive(Debug)]
pub struct Reply<'p>(Handle<'p>);

/// A reply that was not sent, and the right to send another.
pub type Refused<'p> = (SendError, Reply<'p>);

impl<'p> Reply<'p> {
    pub(crate) fn new(handle: Handle<'p>) -> Self {
        Reply(handle)
    }

    /// Sends `message`, begun with [`Peer::send`] on the peer that got the
    /// request, as the reply.
    ///
    /// # Errors
    ///
    /// As for [`Transaction::commit`]: `TooLarge` if it is larger than what the
    /// requester has prepaid, `Unreachable` if nobody waits any more. The right
    /// to reply comes back.
    pub fn send(self, message: Transaction<'_>) -> Result<(), Refused<'p>> {
        match message.answering(&self.0).commit() {
            Ok(()) => {
                // The kernel has taken the reference with the reply.
                std::mem::forget(self.0);
                Ok(())
            }
            Err(error) => Err((error, self)),
        }
    }

    /// The handle, to pass the right on to somebody else.
    pub fn handle(&self) -> &Handle<'p> {
        &self.0
    }
}
