// SPDX-License-Identifier: GPL-2.0

//! `RECV`: the next message or notification, out of the queue and into the hands of the user.
//!
//! Everything that can fail comes first, while the message is still queued: the argument is written
//! once as it was read, the slice is compared with the caller's mapping, file descriptors and memory
//! are set aside. Only then is the message taken, and from there on nothing fails: its handles get
//! their IDs, IDs and descriptors are written into the slice, the files become live.
//!
//! What is dead for its reader is taken off the queue and dropped on the way.
//!
//! Locks: `ioctl` over all of it, `table` inside; neither while user memory is touched.

#![deny(unsafe_code)]

use super::{
    abi,
    command::{
        Form,
        Recv, //
    },
    files,
    native::{
        Native,
        Sender, //
    },
    payload::Layout,
    peer::{
        Client,
        Turn, //
    },
    user, //
};
use crate::core::{
    anchor::{
        Anchor,
        Peeked,
        Taken, //
    },
    handle::Strong,
    inbox::QueueId,
    message::Message,
    node::Node,
    order::Stamp,
    quota::Amounts,
    sync::{
        Arc,
        KBox, //
    },
};
use kernel::{
    prelude::*,
    uaccess::UserPtr, //
};

/// What the user is told.
struct Received {
    kind: u64,
    /// The next entry belongs to the same transaction.
    more: bool,
    /// ID of the node or handle.
    destination: u64,
    sender: Option<Sender>,
    offset: u64,
    n_bytes: u64,
    n_handles: u64,
    n_fds: u64,
}

impl Received {
    /// A notification about the node behind `destination`.
    fn notice(kind: u64, destination: u64) -> Self {
        Self {
            kind,
            more: false,
            destination,
            sender: None,
            offset: abi::OFFSET_INVALID,
            n_bytes: 0,
            n_handles: 0,
            n_fds: 0,
        }
    }
}

impl Form {
    /// Writes the structure to user memory.
    fn write(&self, to: UserPtr) -> Result {
        match self {
            Self::Full(raw) => user::write(to, raw),
            Self::Anon(raw) => user::write(to, raw),
        }
    }

    /// Fills the structure in.
    fn fill(&mut self, from: &Received) {
        match self {
            Self::Full(raw) => {
                // What the kernel says about itself shows no process, and no user.
                let sender = from.sender.unwrap_or(Sender {
                    uid: u32::MAX,
                    gid: u32::MAX,
                    pid: 0,
                    tid: 0,
                });
                raw.msg = abi::Msg {
                    type_: from.kind,
                    flags: if from.more { abi::MSG_CONTINUE } else { 0 },
                    destination: from.destination,
                    uid: sender.uid,
                    gid: sender.gid,
                    pid: sender.pid,
                    tid: sender.tid,
                    offset: from.offset,
                    n_bytes: from.n_bytes,
                    n_handles: from.n_handles,
                    n_fds: from.n_fds,
                    n_secctx: 0,
                };
            }
            Self::Anon(raw) => {
                raw.msg = abi::MsgAnon {
                    type_: from.kind,
                    flags: if from.more { abi::MSG_ANON_CONTINUE } else { 0 },
                    destination: from.destination,
                    offset: from.offset,
                    n_bytes: from.n_bytes,
                    n_handles: from.n_handles,
                    n_fds: from.n_fds,
                };
            }
        }
    }
}

/// What stands at the head of the queue.
enum Front {
    /// A message to an own node.
    Message(Arc<Node<Native>>, Shape),
    /// News of the end of a node.
    Watch(Arc<Node<Native>>),
    /// Nothing that needs preparation.
    Other,
}

/// What a message brings.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    layout: Layout,
    offset: usize,
    len: usize,
}

impl Shape {
    /// Measures a message.
    fn of(message: &Message<Native>) -> Self {
        Self {
            layout: message.part.layout,
            offset: message.slice.offset(),
            len: message.slice.len(),
        }
    }

    /// What the user is told about a message of this shape.
    fn received(
        &self,
        destination: u64,
        more: bool,
        unpacked: Unpacked,
        numbers: Option<files::Numbers>,
    ) -> (Received, Option<Install>) {
        let received = Received {
            kind: abi::MSG_DATA,
            more,
            destination,
            sender: Some(unpacked.sender),
            offset: unpacked.offset,
            n_bytes: self.layout.n_bytes as u64,
            n_handles: self.layout.n_handles as u64,
            n_fds: numbers.as_ref().map_or(0, |_| self.layout.n_fds as u64),
        };
        (received, numbers.map(|numbers| (numbers, unpacked.files)))
    }

    /// Fails with `ERANGE` unless all of the slice lies below `max_offset`.
    fn check(&self, max_offset: u64) -> Result {
        let end = self.offset.checked_add(self.len).ok_or(ERANGE)?;
        let end = u64::try_from(end).map_err(|_| ERANGE)?;
        if end <= max_offset {
            Ok(())
        } else {
            Err(ERANGE)
        }
    }
}

/// Takes the next message or notification, or does nothing.
pub(super) fn recv(client: &Client, mut request: Recv) -> Result {
    // The argument is written once while nothing is lost yet, with what it has.
    request.form.write(request.out)?;
    let (received, files) = {
        let mut turn = client.begin()?;
        Reader {
            client,
            turn: &mut turn,
        }
        .read(&request)?
    };
    // The files become live last, with nothing held.
    if let Some((numbers, files)) = files {
        numbers.install(files);
    }
    request.form.fill(&received);
    request.form.write(request.out)
}

/// What comes out of a message.
struct Unpacked {
    sender: Sender,
    files: KVec<files::Passed>,
    /// Of its slice, which is published.
    offset: u64,
}

/// Files and the numbers under which they are to become live.
type Install = (files::Numbers, KVec<files::Passed>);

/// One command that reads, under the peer's `ioctl` lock.
struct Reader<'a> {
    client: &'a Client,
    turn: &'a mut Turn,
}

impl Reader<'_> {
    fn anchor(&self) -> &Anchor<Native> {
        self.client.peer().anchor()
    }

    /// What is next.
    fn front(&self) -> Option<Front> {
        self.anchor().peek(QueueId::MAIN, |peeked| match peeked {
            Peeked::Message(message) => match &message.node {
                Some(node) => Front::Message(node.clone(), Shape::of(message)),
                None => Front::Other,
            },
            Peeked::Watch(node) => Front::Watch(node.clone()),
            Peeked::Other => Front::Other,
        })
    }

    /// The ID under which this peer knows `node`, while it has a user reference.
    fn id_of(&self, node: &Node<Native>) -> Option<u64> {
        node.handle_of(self.anchor())?.part().id()
    }

    /// Takes what is next, if that is still a message of `shape`, or, without one, no message.
    fn take(&self, shape: Option<Shape>) -> Option<Taken<Native>> {
        self.anchor().take_if(QueueId::MAIN, |peeked| match peeked {
            Peeked::Message(message) => shape == Some(Shape::of(message)),
            Peeked::Watch(_) | Peeked::Other => shape.is_none(),
        })
    }

    /// Takes what the caller wants.
    fn read(&mut self, request: &Recv) -> Result<(Received, Option<Install>)> {
        let found = if request.seed {
            self.seed(request)
        } else {
            self.next(request)
        };
        self.turn.spots.trim();
        found
    }

    /// Takes the seed.
    fn seed(&mut self, request: &Recv) -> Result<(Received, Option<Install>)> {
        let shape = {
            let table = self.client.table();
            Shape::of(table.seed().ok_or(EAGAIN)?)
        };
        let numbers = self.prepare(request, shape)?;
        let seed = self.client.table().replace_seed(None).ok_or(EAGAIN)?;
        let unpacked = self.unpack(seed, None, numbers.as_ref())?;
        Ok(shape.received(abi::HANDLE_INVALID, false, unpacked, numbers))
    }

    /// Takes the first thing that is deliverable; drops what is dead before it.
    fn next(&mut self, request: &Recv) -> Result<(Received, Option<Install>)> {
        loop {
            let (mut received, install) = match self.front().ok_or(EAGAIN)? {
                Front::Message(node, shape) => match self.id_of(&node) {
                    Some(id) => match self.message(request, id, shape)? {
                        Some(found) => found,
                        None => continue,
                    },
                    None => {
                        drop(self.take(Some(shape)));
                        continue;
                    }
                },
                Front::Watch(_) | Front::Other => match self.notice() {
                    Some(received) => (received, None),
                    None => continue,
                },
            };
            received.more = self.follows(received.more);
            return Ok((received, install));
        }
    }

    /// Takes a notification. `None` if it was withdrawn, or says nothing to this peer any more.
    fn notice(&self) -> Option<Received> {
        match self.take(None)? {
            Taken::Watch(_, node, more) => Some(Received {
                more,
                ..Received::notice(abi::MSG_NODE_DESTROY, self.id_of(&node)?)
            }),
            Taken::Counts(node) => {
                // It may have got holders again, or died, since it was queued.
                let idle = node.state(|(), counts| counts.strong == 0);
                if !idle || node.death().is_some() {
                    return None;
                }
                let id = self.id_of(&node)?;
                Some(Received::notice(abi::MSG_NODE_RELEASE, id))
            }
            // There is no other kind: this interface has no calls and no codes.
            Taken::Message(_) | Taken::Code(()) | Taken::Failed((), _) => None,
        }
    }

    /// Prepares for a message of `shape` and takes it. `None` if it is gone.
    fn message(
        &mut self,
        request: &Recv,
        destination: u64,
        shape: Shape,
    ) -> Result<Option<(Received, Option<Install>)>> {
        let numbers = self.prepare(request, shape)?;
        let Some(Taken::Message(delivered)) = self.take(Some(shape)) else {
            return Ok(None);
        };
        let (stamp, more) = (delivered.stamp, delivered.more);
        let unpacked = self.unpack(delivered.message, Some(stamp), numbers.as_ref())?;
        Ok(Some(shape.received(destination, more, unpacked, numbers)))
    }

    /// Sets aside what a message of `shape` needs: file numbers, if they are wanted, and memory.
    fn prepare(&mut self, request: &Recv, shape: Shape) -> Result<Option<files::Numbers>> {
        shape.check(request.max_offset)?;
        let numbers = if request.install_fds {
            Some(files::Numbers::reserve(shape.layout.n_fds)?)
        } else {
            None
        };
        self.turn.spots.fill(shape.layout.n_handles)?;
        Ok(numbers)
    }

    /// Takes a message apart: handles into the table, numbers into the slice, slice to the user.
    ///
    /// `stamp` is its place in the order; what is not in the order is read now.
    fn unpack(
        &mut self,
        message: KBox<Message<Native>>,
        stamp: Option<Stamp>,
        numbers: Option<&files::Numbers>,
    ) -> Result<Unpacked> {
        let Message {
            mut handles,
            files,
            mut slice,
            part,
            node,
            ..
        } = KBox::into_inner(message);
        let layout = part.layout;
        let mut table = self.client.table();
        let mut at = layout.handles();
        for slot in handles.iter_mut() {
            let id = match slot.take_if(|handle| lives(handle, stamp)) {
                Some(handle) => table.adopt(handle, &mut self.turn.spots),
                None => None,
            };
            let id = id.unwrap_or(abi::HANDLE_INVALID);
            slice.write(at, &id.to_ne_bytes()).map_err(|_| EFAULT)?;
            at += size_of::<u64>();
        }
        if let Some(numbers) = numbers {
            let mut at = layout.fds();
            for number in numbers.iter() {
                slice.write(at, &number.to_ne_bytes()).map_err(|_| EFAULT)?;
                at += size_of::<u32>();
            }
        }
        // The files are the user's now, or nobody's.
        let fds = slice.charge().amounts().fds;
        slice.charge_mut().release(Amounts {
            fds,
            ..Amounts::NONE
        });
        let offset = table.publish_slice(slice, &mut self.turn.spots);
        drop(table);
        // Dead slots still hold a reference; it goes now, without locks but `ioctl`.
        drop((handles, node));
        Ok(Unpacked {
            sender: part.sender,
            files,
            offset: offset.ok_or(EFAULT)?,
        })
    }

    /// Whether more of the same transaction will be delivered; drops what will not.
    ///
    /// `more` says that the next entry belongs to it.
    fn follows(&self, mut more: bool) -> bool {
        while more {
            let (node, shape) = match self.front() {
                Some(Front::Message(node, shape)) => (node, Some(shape)),
                Some(Front::Watch(node)) => (node, None),
                Some(Front::Other) | None => return false,
            };
            if self.id_of(&node).is_some() {
                return true;
            }
            more = match self.take(shape) {
                Some(Taken::Message(delivered)) => delivered.more,
                Some(Taken::Watch(_, _, more)) => more,
                _ => return false,
            };
        }
        false
    }
}

/// Whether the node behind `handle` was alive at `stamp`, or is now.
///
/// If its destruction is under way, its news will have a later place in this queue.
fn lives(handle: &Strong<Native>, stamp: Option<Stamp>) -> bool {
    match (handle.node().death(), stamp) {
        (None, _) => true,
        (Some(death), Some(stamp)) => death > stamp,
        (Some(_), None) => false,
    }
}
