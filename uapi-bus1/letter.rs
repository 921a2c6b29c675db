// SPDX-License-Identifier: GPL-2.0

//! Opening a message that is off the queue: handles get IDs, and what was promised at `SEND` is
//! written into the slice.
//!
//! [`Letter::open`] hands everything to the user; [`Letter::show`] lets the user see it and gives one
//! more reference for each handle, but the message stays whole.
//!
//! Locks: `table` of the reader, who holds its own `ioctl` lock.

#![deny(unsafe_code)]

use super::{
    abi,
    errors,
    files,
    native::{
        Native,
        Sender, //
    },
    payload::Layout,
    peer::Client,
    pool::Pages,
    table::Spots, //
};
use crate::core::{
    handle::{
        Handle,
        Strong, //
    },
    message::Message,
    order::Key,
    personality::Via,
    pool::Slice,
    quota::Amounts,
    sync::KBox, //
};
use kernel::prelude::*;

/// How much a message brings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Where its parts lie in the slice.
    pub(super) layout: Layout,
    offset: usize,
    len: usize,
}

impl Shape {
    /// Measures a message.
    pub(super) fn of(message: &Message<Native>) -> Self {
        Self {
            layout: message.part.layout,
            offset: message.slice.offset(),
            len: message.slice.len(),
        }
    }

    /// Fails with `ERANGE` unless all of the slice lies below `max_offset`.
    pub(super) fn check(&self, max_offset: u64) -> Result {
        let end = self.offset.checked_add(self.len).ok_or(ERANGE)?;
        let end = u64::try_from(end).map_err(|_| ERANGE)?;
        if end <= max_offset {
            Ok(())
        } else {
            Err(ERANGE)
        }
    }
}

/// What the user is told about a message that was opened or shown.
pub(super) struct Contents {
    /// Who sent it.
    pub(super) sender: Sender,
    /// Its last handle takes a prepaid reply.
    pub(super) request: bool,
    /// Where its slice is.
    pub(super) offset: u64,
    /// Its files; none of one that was only shown.
    pub(super) files: KVec<files::Passed>,
}

/// A message that is off the queue.
pub(super) struct Letter {
    /// The message.
    pub(super) message: KBox<Message<Native>>,
    /// Its place in the order. What is not in the order counts as read now.
    pub(super) place: Option<Key>,
}

impl Letter {
    /// Takes it apart: handles into the table, IDs and `numbers` of files into the slice, slice to
    /// the user. `spots` has memory for all of that.
    pub(super) fn open(
        self,
        client: &Client,
        spots: &mut Spots,
        numbers: Option<&files::Numbers>,
    ) -> Result<Contents> {
        let Message {
            mut handles,
            files,
            mut slice,
            part,
            node,
            ..
        } = KBox::into_inner(self.message);
        let mut table = client.table();
        let mut ids = Ids::new(part.layout);
        for slot in handles.iter_mut() {
            let id = match slot.take_if(|handle| lives(handle, self.place)) {
                Some(handle) => table.adopt(handle, spots),
                None => None,
            };
            ids.write(&mut slice, id)?;
        }
        if let Some(numbers) = numbers {
            let mut at = part.layout.fds();
            for number in numbers.iter() {
                put(&mut slice, &mut at, &number.to_ne_bytes())?;
            }
        }
        // The files are the user's now, or nobody's.
        let fds = slice.charge().amounts().fds;
        slice.charge_mut().release(Amounts {
            fds,
            ..Amounts::NONE
        });
        let offset = table.publish_slice(slice, spots);
        drop(table);
        // Dead slots still hold a reference; it goes now, without locks but `ioctl`.
        drop((handles, node));
        Ok(Contents {
            sender: part.sender,
            request: part.request,
            offset: offset.ok_or(EFAULT)?,
            files,
        })
    }

    /// Gives a reference for each handle and writes the IDs into the slice, which stays with the
    /// message.
    ///
    /// `ENOMEM`, or `EDQUOT` if a handle has as many references as can be counted; then nobody got
    /// any.
    pub(super) fn show(&mut self, client: &Client, spots: &mut Spots) -> Result<Contents> {
        let Message {
            handles,
            slice,
            part,
            ..
        } = &mut *self.message;
        let mut given = KVec::with_capacity(handles.len(), GFP_KERNEL)?;
        for slot in handles.iter() {
            let another = match slot {
                Some(strong) if lives(strong, self.place) => {
                    Some(Handle::strong(strong.handle(), Via::Any).map_err(errors::link)?)
                }
                _ => None,
            };
            given.push(another, GFP_KERNEL)?;
        }
        let mut table = client.table();
        let mut ids = Ids::new(part.layout);
        for strong in given {
            let id = strong.and_then(|strong| table.adopt(strong, spots));
            ids.write(slice, id)?;
        }
        Ok(Contents {
            sender: part.sender,
            request: part.request,
            offset: slice.offset() as u64,
            files: KVec::new(),
        })
    }
}

/// Whether the node behind `handle` was alive at `place`, or is now.
///
/// If its destruction is under way, its news will have a later place in this queue.
fn lives(handle: &Strong<Native>, place: Option<Key>) -> bool {
    match place {
        Some(place) => !handle.node().ended_before(place),
        None => handle.node().death().is_none(),
    }
}

/// Writes the IDs of a message, one after the other.
struct Ids {
    at: usize,
}

impl Ids {
    fn new(layout: Layout) -> Self {
        Self {
            at: layout.handles(),
        }
    }

    fn write(&mut self, slice: &mut Slice<Pages>, id: Option<u64>) -> Result {
        let id = id.unwrap_or(abi::HANDLE_INVALID);
        put(slice, &mut self.at, &id.to_ne_bytes())
    }
}

/// Writes `bytes` at `at`, and moves that on. A slice is as large as its layout says, so that this
/// does not fail.
fn put(slice: &mut Slice<Pages>, at: &mut usize, bytes: &[u8]) -> Result {
    slice.write(*at, bytes).map_err(|_| EFAULT)?;
    *at += bytes.len();
    Ok(())
}
