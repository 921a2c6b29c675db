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
    letter::{
        Contents,
        Letter,
        Shape, //
    },
    native::{
        Native,
        Sender, //
    },
    payload::Layout,
    peer::{
        Client,
        Turn, //
    },
    request,
    user, //
};
use crate::core::{
    anchor::{
        Anchor,
        Peeked,
        Taken, //
    },
    inbox::QueueId,
    node::Node,
    sync::Arc, //
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
    /// The last handle takes a prepaid reply.
    request: bool,
    /// ID of the node or handle.
    destination: u64,
    sender: Option<Sender>,
    offset: u64,
    n_bytes: u64,
    n_handles: u64,
    n_fds: u64,
    n_secctx: Option<u64>,
}

impl Received {
    /// Flags of the full form.
    fn flags(&self) -> u64 {
        let more = if self.more { abi::MSG_CONTINUE } else { 0 };
        let context = self.n_secctx.map_or(0, |_| abi::MSG_HAS_SECCTX);
        let request = if self.request { abi::MSG_REQUEST } else { 0 };
        more | context | request
    }

    /// Flags of the short form.
    fn anon_flags(&self) -> u64 {
        let more = if self.more { abi::MSG_ANON_CONTINUE } else { 0 };
        let request = if self.request {
            abi::MSG_ANON_REQUEST
        } else {
            0
        };
        more | request
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
                    flags: from.flags(),
                    destination: from.destination,
                    uid: sender.uid,
                    gid: sender.gid,
                    pid: sender.pid,
                    tid: sender.tid,
                    offset: from.offset,
                    n_bytes: from.n_bytes,
                    n_handles: from.n_handles,
                    n_fds: from.n_fds,
                    n_secctx: from.n_secctx.unwrap_or(0),
                };
            }
            Self::Anon(raw) => {
                raw.msg = abi::MsgAnon {
                    type_: from.kind,
                    flags: from.anon_flags(),
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

/// Files and the numbers under which they are to become live.
type Install = (files::Numbers, KVec<files::Passed>);

/// What a command has found for its caller.
struct Found {
    received: Received,
    install: Option<Install>,
}

impl Found {
    /// A notification.
    fn notice(kind: u64, destination: u64, more: bool) -> Self {
        Self {
            received: Received {
                kind,
                more,
                request: false,
                destination,
                sender: None,
                offset: abi::OFFSET_INVALID,
                n_bytes: 0,
                n_handles: 0,
                n_fds: 0,
                n_secctx: None,
            },
            install: None,
        }
    }

    /// A message.
    fn message(
        destination: u64,
        more: bool,
        layout: Layout,
        contents: Contents,
        numbers: Option<files::Numbers>,
    ) -> Self {
        Self {
            received: Received {
                kind: abi::MSG_DATA,
                more,
                request: contents.request,
                destination,
                sender: Some(contents.sender),
                offset: contents.offset,
                n_bytes: layout.n_bytes as u64,
                n_handles: layout.n_handles as u64,
                n_fds: numbers.as_ref().map_or(0, |_| layout.n_fds as u64),
                n_secctx: layout.n_secctx.map(|len| len as u64),
            },
            install: numbers.map(|numbers| (numbers, contents.files)),
        }
    }
}

/// What stands at the head of the queue.
enum Front {
    /// A message to an own node.
    Message(Arc<Node<Native>>, Shape),
    /// News of the end of a node.
    Watch(Arc<Node<Native>>),
    /// Nobody else holds this node any more.
    Counts(Arc<Node<Native>>),
    /// Nothing that this interface sends.
    Other,
}

/// What is off the queue, and still next for the reader.
pub(super) enum Ahead {
    /// A message.
    Message(Arc<Node<Native>>, Letter, More),
    /// News of the end of a node.
    Watch(Arc<Node<Native>>, More),
}

/// Whether the next entry belongs to the same transaction.
type More = bool;

/// Takes the next message or notification, or looks at it; else does nothing.
pub(super) fn recv(client: &Client, mut request: Recv) -> Result {
    // The argument is written once while nothing is lost yet, with what it has.
    request.form.write(request.out)?;
    let found = {
        let mut turn = client.begin()?;
        Reader {
            client,
            turn: &mut turn,
        }
        .read(&request)?
    };
    // The files become live last, with nothing held.
    if let Some((numbers, files)) = found.install {
        numbers.install(files);
    }
    request.form.fill(&found.received);
    request.form.write(request.out)
}

/// One command that reads, under the peer's `ioctl` lock.
struct Reader<'a> {
    client: &'a Client,
    turn: &'a mut Turn,
}

impl Reader<'_> {
    fn read(&mut self, request: &Recv) -> Result<Found> {
        let found = if request.seed {
            self.seed(request)
        } else {
            self.next(request)
        };
        self.turn.spots.trim();
        found
    }

    /// Takes the seed, or looks at it.
    fn seed(&mut self, request: &Recv) -> Result<Found> {
        let message = self.client.table().replace_seed(None).ok_or(EAGAIN)?;
        let letter = Letter {
            message,
            place: None,
        };
        let (found, kept) = self.deliver(request, abi::HANDLE_INVALID, letter, false);
        if let Some(letter) = kept {
            let none = self.client.table().replace_seed(Some(letter.message));
            drop(none);
        }
        found
    }

    /// Finds the first thing that is deliverable; drops what is dead before it.
    fn next(&mut self, request: &Recv) -> Result<Found> {
        loop {
            let found = match self.client.take_ahead(self.turn) {
                Some(ahead) => self.read_ahead(request, ahead)?,
                None => self.read_queue(request)?,
            };
            if let Some(mut found) = found {
                found.received.more = self.follows(found.received.more);
                return Ok(found);
            }
        }
    }

    /// What was looked at before. `None` if it is dead by now.
    fn read_ahead(&mut self, request: &Recv, ahead: Ahead) -> Result<Option<Found>> {
        match ahead {
            Ahead::Watch(node, more) => {
                let Some(id) = self.id_of(&node) else {
                    return Ok(None);
                };
                if request.peek {
                    self.client.keep_ahead(self.turn, Ahead::Watch(node, more));
                }
                Ok(Some(Found::notice(abi::MSG_NODE_DESTROY, id, more)))
            }
            Ahead::Message(node, letter, more) => {
                let Some(id) = self.id_of(&node) else {
                    return Ok(None);
                };
                let (found, kept) = self.deliver(request, id, letter, more);
                match kept {
                    Some(letter) => {
                        let ahead = Ahead::Message(node, letter, more);
                        self.client.keep_ahead(self.turn, ahead);
                    }
                    None => request::finish(self.client, &node, id),
                }
                found.map(Some)
            }
        }
    }

    /// The head of the queue. `None` if there is reason to look again; `EAGAIN` if it is empty.
    fn read_queue(&mut self, request: &Recv) -> Result<Option<Found>> {
        let front = self.front().ok_or(EAGAIN)?;
        let Some(id) = self.id_at(&front) else {
            drop(self.take(&front));
            return Ok(None);
        };
        let numbers = match front {
            // A notification that can be withdrawn is looked at where it is.
            Front::Counts(_) if request.peek => {
                return Ok(Some(Found::notice(abi::MSG_NODE_RELEASE, id, false)));
            }
            Front::Message(_, shape) => self.prepare(request, shape)?,
            _ => None,
        };
        let ahead = match (self.take(&front), &front) {
            (Some(Taken::Counts(_)), Front::Counts(node)) => {
                request::finish(self.client, node, id);
                return Ok(Some(Found::notice(abi::MSG_NODE_RELEASE, id, false)));
            }
            (Some(Taken::Watch(_, node, more)), _) => Ahead::Watch(node, more),
            (Some(Taken::Message(taken)), Front::Message(node, shape)) => {
                let letter = Letter {
                    message: taken.message,
                    place: Some(taken.place),
                };
                if !request.peek {
                    let spots = &mut self.turn.spots;
                    let contents = letter.open(self.client, spots, numbers.as_ref())?;
                    request::finish(self.client, node, id);
                    let found = Found::message(id, taken.more, shape.layout, contents, numbers);
                    return Ok(Some(found));
                }
                Ahead::Message(node.clone(), letter, taken.more)
            }
            _ => return Ok(None),
        };
        self.read_ahead(request, ahead)
    }

    /// Hands a message to the user, or shows it; gives it back if it is still whole.
    fn deliver(
        &mut self,
        request: &Recv,
        id: u64,
        mut letter: Letter,
        more: More,
    ) -> (Result<Found>, Option<Letter>) {
        let shape = Shape::of(&letter.message);
        let numbers = match self.prepare(request, shape) {
            Ok(numbers) => numbers,
            Err(error) => return (Err(error), Some(letter)),
        };
        let spots = &mut self.turn.spots;
        let (contents, kept) = if request.peek {
            (letter.show(self.client, spots), Some(letter))
        } else {
            (letter.open(self.client, spots, numbers.as_ref()), None)
        };
        let found =
            contents.map(|contents| Found::message(id, more, shape.layout, contents, numbers));
        (found, kept)
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

    /// Whether more of the same transaction will be delivered; drops what will not.
    ///
    /// `more` says that the next entry belongs to it.
    fn follows(&self, mut more: More) -> bool {
        while more {
            let Some(front) = self.front() else {
                return false;
            };
            if self.id_at(&front).is_some() {
                return true;
            }
            more = match self.take(&front) {
                Some(Taken::Message(taken)) => taken.more,
                Some(Taken::Watch(_, _, more)) => more,
                _ => false,
            };
        }
        false
    }

    fn anchor(&self) -> &Anchor<Native> {
        self.client.peer().anchor()
    }

    /// What is next in the queue.
    fn front(&self) -> Option<Front> {
        self.anchor().peek(QueueId::MAIN, |peeked| match peeked {
            Peeked::Message(message) => match &message.node {
                Some(node) => Front::Message(node.clone(), Shape::of(message)),
                None => Front::Other,
            },
            Peeked::Watch(node) => Front::Watch(node.clone()),
            Peeked::Counts(node) => Front::Counts(node.clone()),
            Peeked::Other => Front::Other,
        })
    }

    /// Takes what is next, if that is still what `front` has seen.
    fn take(&self, front: &Front) -> Option<Taken<Native>> {
        self.anchor()
            .take_if(QueueId::MAIN, |now| match (now, front) {
                (Peeked::Message(now), Front::Message(_, shape)) => *shape == Shape::of(now),
                (Peeked::Watch(now), Front::Watch(node)) => Arc::ptr_eq(now, node),
                (Peeked::Counts(now), Front::Counts(node)) => Arc::ptr_eq(now, node),
                (Peeked::Other, Front::Other) => true,
                _ => false,
            })
    }

    /// The ID under which the user is told about `front`; `None` if it is dead.
    fn id_at(&self, front: &Front) -> Option<u64> {
        match front {
            Front::Message(node, _) | Front::Watch(node) => self.id_of(node),
            Front::Counts(node) => {
                // It may have got holders again, or died, since it was queued.
                let idle = node.state(|_, counts| counts.strong == 0);
                let news = idle && node.death().is_none();
                news.then(|| self.id_of(node)).flatten()
            }
            Front::Other => None,
        }
    }

    /// The ID under which this peer knows `node`, while it has a user reference.
    ///
    /// If it has none, another peer may be about to give it one, without a message: whoever holds the
    /// table is waited for. Who comes after that sees what this reader has seen, a committed end say.
    fn id_of(&self, node: &Node<Native>) -> Option<u64> {
        let handle = node.handle_of(self.anchor())?;
        handle.part().id().or_else(|| {
            let _table = self.client.table();
            handle.part().id()
        })
    }
}
