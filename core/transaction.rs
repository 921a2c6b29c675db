// SPDX-License-Identifier: GPL-2.0

//! Sending: from a destination to a committed message.
//!
//! The steps are types, each made from the one before, so that none can be left out:
//!
//! | type | has | may |
//! |---|---|---|
//! | [`Draft`] | a receiver that is open | fail |
//! | [`Reserved`] | a charged slice of its pool, to be filled | sleep |
//! | [`Filled`] | the whole message, and the memory to queue it | allocate |
//! | committed | | neither: it is taken, parked or refused |
//!
//! A [`Filled`] message is committed by itself ([`Filled::commit`], one lock) or together with others
//! as a [`Multicast`]. What is dropped on the way had no effect. What is refused comes back, to be
//! dropped by the caller without locks.

#![deny(unsafe_code)]

use super::{
    anchor::Anchor,
    call::Reply,
    entry::{
        Body,
        Entry,
        Spot, //
    },
    handle::Strong,
    inbox::{
        QueueId,
        Removed, //
    },
    message::{
        Kind,
        Message, //
    },
    node::Node,
    order::{
        Record,
        Stamp, //
    },
    peer::Peer,
    personality::{
        Cause,
        Personality, //
    },
    pool::{
        Pool,
        PoolError,
        Slice, //
    },
    quota::{
        Account,
        Amounts,
        Charge,
        ChargeError,
        OverLimit,
        Principal, //
    },
    stats::{
        Alive,
        Counter, //
    },
    sync::{
        reserve_node,
        AllocError,
        Arc,
        KBox,
        KVec,
        GFP_KERNEL_ACCOUNT, //
    },
};

/// The receiver is gone, or the node is destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dead;

/// Why nothing could be reserved at the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReserveError {
    /// The receiver has no pool.
    NoPool,
    /// A limit of the receiver.
    OverLimit(OverLimit),
    /// The pool has no room, or no memory.
    Pool(PoolError),
}

impl From<ChargeError> for ReserveError {
    fn from(error: ChargeError) -> Self {
        match error {
            ChargeError::Over(over) => Self::OverLimit(over),
            ChargeError::NoMemory => Self::Pool(PoolError::NoMemory),
        }
    }
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal<P: Personality> {
    /// The receiver is shut or the node destroyed.
    Closed,
    /// The queue is gone.
    Gone,
    /// The personality refused it.
    Personality(P::Why),
}

/// Why a message was not taken, and the message, given back.
pub(crate) type Refused<P> = (Refusal<P>, KBox<Message<P>>);

/// What became of a message.
pub(crate) enum Outcome<P: Personality> {
    /// It is queued.
    Delivered(P::Note),
    /// It waits in its node's lane.
    Parked(P::Note),
    /// It waits in its node's lane, instead of an older message that comes back.
    Superseded(P::Note, KBox<Message<P>>),
    /// It was refused.
    Refused(Refusal<P>, KBox<Message<P>>),
    /// Another destination of the same multicast was refused.
    Cancelled,
}

/// A message with a receiver.
pub(crate) struct Draft<P: Personality> {
    receiver: Arc<Peer<P>>,
    node: Option<Arc<Node<P>>>,
    to: Option<QueueId>,
}

impl<P: Personality> Draft<P> {
    /// Begins a message to `node`.
    pub(crate) fn to(node: &Arc<Node<P>>) -> Result<Self, Dead> {
        if node.death().is_some() {
            return Err(Dead);
        }
        Ok(Self {
            receiver: node.owner().live().ok_or(Dead)?,
            node: Some(node.clone()),
            to: None,
        })
    }

    /// Begins the answer to a call.
    pub(crate) fn answer(reply: &Reply<P>) -> Result<Self, Dead> {
        let (caller, queue) = reply.caller().ok_or(Dead)?;
        let receiver = caller.live().ok_or(Dead)?;
        if !caller.with(|view| view.is_open(queue)) {
            return Err(Dead);
        }
        Ok(Self {
            receiver,
            node: None,
            to: Some(queue),
        })
    }

    /// Begins a message of `peer` to itself that is kept instead of queued.
    pub(crate) fn own(peer: &Arc<Peer<P>>) -> Self {
        Self {
            receiver: peer.clone(),
            node: None,
            to: None,
        }
    }

    /// Who gets it.
    pub(crate) fn receiver(&self) -> &Arc<Peer<P>> {
        &self.receiver
    }

    /// Takes a slice of `len` bytes from the receiver's pool, charged to `payer`. May sleep.
    pub(crate) fn reserve(
        self,
        payer: Principal,
        amounts: Amounts,
        len: usize,
    ) -> Result<Reserved<P>, ReserveError> {
        let pool = self.receiver.pool().ok_or(ReserveError::NoPool)?;
        let charge = Account::charge(self.receiver.account(), payer, amounts)?;
        let slice = Pool::reserve(pool, len, charge).map_err(ReserveError::Pool)?;
        Ok(Reserved { draft: self, slice })
    }

    /// The same, paid for by `charge`, of the receiver's account.
    pub(crate) fn reserve_paid(
        self,
        charge: Charge,
        len: usize,
    ) -> Result<Reserved<P>, ReserveError> {
        let pool = self.receiver.pool().ok_or(ReserveError::NoPool)?;
        let slice = Pool::reserve(pool, len, charge).map_err(ReserveError::Pool)?;
        Ok(Reserved { draft: self, slice })
    }
}

/// A message with memory.
pub(crate) struct Reserved<P: Personality> {
    draft: Draft<P>,
    slice: Slice<P::Pages>,
}

impl<P: Personality> Reserved<P> {
    /// The slice, to be written.
    pub(crate) fn slice(&mut self) -> &mut Slice<P::Pages> {
        &mut self.slice
    }

    /// Completes the message.
    pub(crate) fn fill(
        self,
        handles: KVec<Option<Strong<P>>>,
        files: KVec<P::File>,
        part: P::Message,
    ) -> Result<Filled<P>, AllocError> {
        let Self { draft, slice } = self;
        let receiver = draft.receiver.anchor().clone();
        let entry = Entry::new(&receiver, false)?;
        let message = Message {
            node: draft.node,
            to: draft.to,
            kind: Kind::Post,
            turn: None,
            handles,
            files,
            slice,
            part,
            _alive: Alive::new(Counter::MessagesAlive),
        };
        Ok(Filled {
            receiver,
            entry,
            message: KBox::new(message, GFP_KERNEL_ACCOUNT)?,
        })
    }
}

/// A complete message.
pub(crate) struct Filled<P: Personality> {
    receiver: Arc<Anchor<P>>,
    entry: Arc<Entry<P>>,
    message: KBox<Message<P>>,
}

impl<P: Personality> Filled<P> {
    /// Makes it a call, which is answered through `reply`.
    pub(crate) fn call(mut self, reply: Reply<P>) -> Self {
        self.message.kind = Kind::Call(reply);
        self
    }

    /// Gives the message back unsent.
    pub(crate) fn into_message(self) -> KBox<Message<P>> {
        self.message
    }

    /// Sends it. Does not sleep or allocate.
    pub(crate) fn commit(self, sender: &Anchor<P>) -> Outcome<P> {
        let Self {
            receiver,
            entry,
            message,
        } = self;
        let floor = sender.begin();
        let accepted = receiver.locked(|inbox| inbox.accept(&entry, message, floor));
        match accepted {
            Err((why, message)) => Outcome::Refused(why, message),
            Ok(accepted) => {
                P::wake(accepted.wake);
                if let Some(stamp) = accepted.stamp {
                    sender.end(stamp);
                    return Outcome::Delivered(accepted.note);
                }
                match accepted.superseded.and_then(Removed::into_message) {
                    Some(old) => Outcome::Superseded(accepted.note, old),
                    None => Outcome::Parked(accepted.note),
                }
            }
        }
    }

    /// Sends it as the answer to `reply`, which is used up if it is taken and comes back if not.
    pub(crate) fn answer(
        mut self,
        mut reply: Reply<P>,
        sender: &Anchor<P>,
    ) -> Result<P::Note, (Refused<P>, Reply<P>)> {
        reply.attach(&mut self.message);
        match self.commit(sender) {
            Outcome::Delivered(note) | Outcome::Parked(note) => {
                reply.done();
                Ok(note)
            }
            Outcome::Refused(why, mut message) => {
                reply.detach(&mut message);
                Err(((why, message), reply))
            }
            // Answers go to no lane.
            Outcome::Superseded(note, _) => {
                reply.done();
                Ok(note)
            }
            Outcome::Cancelled => {
                reply.done();
                Ok(P::Note::default())
            }
        }
    }

    /// Makes it one destination of a multicast.
    pub(crate) fn into_part(self) -> Result<Part<P>, AllocError> {
        Ok(Part {
            spot: Some(reserve_node()?),
            receiver: self.receiver,
            entry: self.entry,
            message: Some(self.message),
            note: None,
        })
    }
}

/// One destination of a multicast.
pub(crate) struct Part<P: Personality> {
    receiver: Arc<Anchor<P>>,
    entry: Arc<Entry<P>>,
    message: Option<KBox<Message<P>>>,
    spot: Option<Spot<P>>,
    /// What was said when it was staged; none if it is not.
    note: Option<P::Note>,
}

impl<P: Personality> Part<P> {
    /// Stages it under the record; returns the floor that the record has now.
    fn stage(
        &mut self,
        record: &Arc<Record>,
        index: u32,
        floor: Stamp,
    ) -> Result<Stamp, Refused<P>> {
        let (Some(mut message), Some(spot)) = (self.message.take(), self.spot.take()) else {
            return Ok(floor);
        };
        let entry = &self.entry;
        let (note, high) = self
            .receiver
            .locked(|inbox| {
                let (to, note) = match inbox.admit(&mut message, Cause::New) {
                    Ok(admitted) => admitted,
                    Err(why) => return Err((why, message, spot)),
                };
                let high = floor.max(inbox.clock.next());
                record.push(high);
                inbox.raise(high);
                // Lanes take unicasts only.
                inbox.stage(
                    to.queue(),
                    entry,
                    Body::Message(message),
                    spot,
                    (record, index),
                );
                Ok((note, high))
            })
            .map_err(|(why, message, _spot)| (why, message))?;
        self.note = Some(note);
        Ok(high)
    }
}

/// What happens to a multicast of which one destination refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Nobody gets it.
    All,
    /// The others get it.
    Any,
}

/// Messages that are committed together, at one place of the order.
pub(crate) struct Multicast<P: Personality> {
    record: Arc<Record>,
    parts: KVec<Part<P>>,
}

impl<P: Personality> Multicast<P> {
    /// Reserves memory for `n` destinations.
    pub(crate) fn new(n: usize) -> Result<Self, AllocError> {
        Ok(Self {
            record: Arc::new(Record::new(), GFP_KERNEL_ACCOUNT)?,
            parts: KVec::with_capacity(n, GFP_KERNEL_ACCOUNT)?,
        })
    }

    /// Adds a destination.
    pub(crate) fn add(&mut self, part: Part<P>) -> Result<(), AllocError> {
        self.parts.push(part, GFP_KERNEL_ACCOUNT)
    }

    /// Sends to all. Does not sleep or allocate.
    ///
    /// `told` hears the outcome of each destination, by its number, without locks. Returns whether
    /// anything was committed.
    pub(crate) fn commit(
        mut self,
        sender: &Anchor<P>,
        policy: Policy,
        mut told: impl FnMut(usize, Outcome<P>),
    ) -> bool {
        let mut high = sender.begin();
        let mut refused = false;
        for (index, part) in self.parts.iter_mut().enumerate() {
            match part.stage(&self.record, index as u32, high) {
                Ok(floor) => high = floor,
                Err((why, message)) => {
                    refused = true;
                    told(index, Outcome::Refused(why, message));
                }
            }
        }
        if refused && policy == Policy::All {
            self.abandon(told);
            return false;
        }
        if self.parts.iter().all(|part| part.note.is_none()) {
            return false;
        }
        let stamp = self.record.commit(high);
        Counter::Multicasts.count();
        for (index, part) in self.parts.iter().enumerate() {
            if let Some(note) = part.note {
                P::wake(part.receiver.locked(|inbox| inbox.pass(&part.entry, stamp)));
                told(index, Outcome::Delivered(note));
            }
        }
        sender.end(stamp);
        true
    }

    /// Takes back what is staged. Nobody waits for it: readers pass undecided entries by.
    fn abandon(self, mut told: impl FnMut(usize, Outcome<P>)) {
        for (index, part) in self.parts.iter().enumerate() {
            if part.note.is_some() {
                drop(part.receiver.withdraw(&part.entry));
                told(index, Outcome::Cancelled);
            }
        }
    }
}
