// SPDX-License-Identifier: MIT OR Apache-2.0

//! Building and sending messages.

#![forbid(unsafe_code)]

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd};

use bus1_sys::BUS1_SEND_FLAG_CONTINUE;
use rustix::io::Errno;

use crate::error::{SendError, SendFault};
use crate::fd::Parcel;
use crate::handle::{Handle, Id, Target};
use crate::peer::Peer;
use crate::request::{Pending, Room};

/// A message that is being put together.
///
/// One message can go to any number of destinations. They all get it at one
/// instant of the global order: whoever of them also gets other messages sees
/// it before or after those, and all see it on the same side.
///
/// ```no_run
/// use bus1::{Handle, Node, Peer, SendError};
///
/// fn publish(peer: &Peer, readers: &[Handle], answers: &Node) -> Result<(), SendError> {
///     peer.send()
///         .to_all(readers)
///         .payload(b"header")
///         .payload(b"body")
///         .handle(answers)
///         .file(&std::io::stderr())
///         .commit()
/// }
/// ```
#[derive(Debug)]
#[must_use = "nothing is sent before it is committed"]
pub struct Transaction<'a> {
    peer: &'a Peer,
    parcel: Parcel<'a>,
    foreign: bool,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(peer: &'a Peer) -> Self {
        Transaction {
            peer,
            parcel: Parcel::default(),
            foreign: false,
        }
    }

    fn check(&mut self, target: &impl Target) -> u64 {
        self.foreign |= !target.is_of(self.peer);
        target.id().to_bits()
    }

    /// Adds a destination.
    pub fn to(mut self, target: &'a impl Target) -> Self {
        let id = self.check(target);
        self.parcel.destinations.push(id);
        self
    }

    /// Adds destinations.
    pub fn to_all<T: Target + 'a>(mut self, targets: impl IntoIterator<Item = &'a T>) -> Self {
        for target in targets {
            self = self.to(target);
        }
        self
    }

    /// Appends bytes to the payload. They are not copied before the message is
    /// sent.
    pub fn payload(mut self, bytes: &'a [u8]) -> Self {
        self.parcel.payload.push(IoSlice::new(bytes));
        self
    }

    /// Adds a handle, or an own node, that the receivers shall get. The sender
    /// keeps its own.
    pub fn handle(mut self, target: &'a impl Target) -> Self {
        let id = self.check(target);
        self.parcel.handles.push(id);
        self
    }

    /// Adds a file that the receivers shall get.
    pub fn file(mut self, file: &'a impl AsFd) -> Self {
        let fd: BorrowedFd<'a> = file.as_fd();
        self.parcel.files.push(fd);
        self
    }

    /// Sends to all destinations or to none.
    ///
    /// # Errors
    ///
    /// [`SendError`] has the first reason, and the result of each destination.
    pub fn commit(self) -> Result<(), SendError> {
        self.call(0).map(drop)
    }

    /// Sends to all destinations that can be reached; the result has one entry
    /// for each, in the order in which they were named.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the message itself is refused. Nothing was sent then.
    pub fn commit_any(self) -> Result<Vec<Result<(), SendFault>>, SendError> {
        self.call(BUS1_SEND_FLAG_CONTINUE)
    }

    /// Sends to the one destination, and prepays a reply of at most `room`.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit). `Quota` also if this peer has no room for
    /// the reply, `Invalid` unless there is exactly one destination.
    pub fn request(self, room: Room) -> Result<Pending<'a>, SendError> {
        let peer = self.peer;
        let (id, _) = self
            .enter(|peer, parcel, errors| peer.fd().send_request(parcel, room.to_raw(), errors))?;
        Ok(Pending::new(peer, Id::from_bits(id)))
    }

    /// Adds the destination that takes a reply.
    pub(crate) fn answering(mut self, handle: &Handle<'_>) -> Self {
        let id = self.check(handle);
        self.parcel.destinations.push(id);
        self
    }

    fn call(self, flags: u64) -> Result<Vec<Result<(), SendFault>>, SendError> {
        let (_, outcomes) =
            self.enter(|peer, parcel, errors| peer.fd().send(parcel, flags, errors))?;
        Ok(outcomes)
    }

    /// Does `send`; what it returns, and the result of each destination.
    fn enter<T>(
        self,
        send: impl FnOnce(&Peer, &Parcel<'_>, &mut [i64]) -> Result<T, Errno>,
    ) -> Result<(T, Vec<Result<(), SendFault>>), SendError> {
        if self.foreign {
            return Err(SendError::new(SendFault::WrongPeer, Vec::new()));
        }
        // The kernel writes errors only, and these are negative: what is left
        // at 1 was never looked at.
        let mut raw = vec![1_i64; self.parcel.destinations.len()];
        match send(self.peer, &self.parcel, &mut raw) {
            Ok(value) => Ok((value, raw.iter().map(|raw| outcome(*raw)).collect())),
            Err(errno) => {
                let looked_at = raw.iter().all(|raw| *raw <= 0);
                let raw = if looked_at { &raw[..] } else { &[] };
                Err(SendError::new(
                    errno.into(),
                    raw.iter().map(|raw| outcome(*raw)).collect(),
                ))
            }
        }
    }
}

/// What one element of the kernel's array of errors means. Numbers that are no
/// error number count as unknown errors.
fn outcome(raw: i64) -> Result<(), SendFault> {
    if raw == 0 {
        return Ok(());
    }
    match raw.checked_neg().and_then(|raw| i32::try_from(raw).ok()) {
        Some(raw @ 1..=4095) => Err(Errno::from_raw_os_error(raw).into()),
        _ => Err(Errno::PROTO.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes() {
        assert_eq!(outcome(0), Ok(()));
        assert_eq!(outcome(-113), Err(SendFault::Unreachable));
        assert_eq!(outcome(-122), Err(SendFault::Quota));
        for absurd in [1, 5, -4096, i64::MIN, i64::MAX] {
            assert_eq!(outcome(absurd), Err(SendFault::Other(Errno::PROTO)));
        }
    }
}
