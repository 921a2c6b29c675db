// SPDX-License-Identifier: GPL-2.0

//! `SEND`: one message to any number of nodes, at one instant.
//!
//! In two steps. [`Attempt`] first looks up what the user named, once, and builds a complete message
//! for every destination, in the receivers' pools ([`super::compose`]): all that can fail, and all
//! that touches user memory, happens here, with no lock held across it. It then takes the peer's
//! `ioctl` lock, makes sure that the IDs still mean what they meant, and commits. If another command
//! of this peer has changed their meaning in between, everything is dropped and built again.
//!
//! The payload is read from the sender's memory once, however many destinations there are, so that
//! all of them get the same bytes even if another thread changes that memory meanwhile.
//!
//! Errors of one destination stay with it, so that the array of results is always complete; whether
//! they cancel the rest is the sender's choice.

#![deny(unsafe_code)]

use super::{
    abi,
    command::{
        Reply,
        Send, //
    },
    compose::{
        Laid,
        Named,
        Parts, //
    },
    errors,
    files,
    files::Passed,
    fresh::Fresh,
    native::Native,
    payload::{
        Layout,
        Payload, //
    },
    peer::Client,
    request,
    request::Promise,
    table::{
        Released,
        Table, //
    },
    user, //
};
use crate::core::{
    charge::{
        Sealed,
        Slot, //
    },
    message::Message,
    sync::Arc,
    transaction::{
        Draft,
        Filled,
        Multicast,
        Outcome,
        Policy, //
    }, //
};
use kernel::{
    alloc::KVVec,
    prelude::*, //
};

/// One destination.
struct Target {
    /// What it is, if the ID means something.
    named: Option<Named>,
    /// Its message, as far as it has come.
    laid: Option<Laid>,
    /// The message for it.
    filled: Option<Filled<Native>>,
    /// Why there is none, or why it was not taken.
    error: Option<Error>,
    /// It was taken.
    taken: bool,
    /// The right to send it, if it is a reply.
    sealed: Option<Sealed>,
    /// The reference that a reply took with it.
    released: Option<Released>,
}

impl Target {
    /// What the node promises, if this is a reply.
    fn promise(&self) -> Option<&Promise> {
        request::promise(self.named.as_ref()?.handle.node())
    }
}

/// A message to all its destinations, not yet sent.
struct Attempt<'a> {
    client: &'a Client,
    request: &'a Send,
    layout: Layout,
    /// State of the table at the time of the look-up.
    changes: u64,
    handles: KVVec<Named>,
    targets: KVVec<Target>,
    /// The message that stays on its sender.
    seed: Option<KBox<Message<Native>>>,
    /// Dropped after all that refers to them, and withdraws what that has told.
    fresh: Fresh,
}

/// How a commit ended.
enum Verdict {
    /// All is done that could be done.
    Done,
    /// Some destination refused.
    Refused,
    /// An ID means something else than when it was looked up; nothing was done.
    Changed,
}

/// Sends.
///
/// The first error in the order of the ABI; nothing has happened then, except with `EFAULT` from an
/// array of results that could be written at first and not any more in the end.
pub(super) fn send(client: &Client, request: &Send) -> Result {
    if let Some(reply) = &request.reply {
        // The argument is written once before anything happens, with what it has.
        user::write(reply.out, &reply.raw)?;
    }
    // Reported later: what is wrong with the handles comes first.
    let files = files::collect(&request.fds);
    loop {
        let mut attempt = Attempt::look_up(client, request)?;
        let files = files.as_ref().map_err(|error| *error)?;
        if request.seed && (request.partial || request.addressed) {
            return Err(EINVAL);
        }
        attempt.address()?;
        attempt.build(files)?;
        attempt.report()?;
        attempt.check()?;
        attempt.pay()?;
        let parcel = attempt.pack()?;
        match attempt.commit(parcel)? {
            Verdict::Done => return attempt.tell(),
            Verdict::Refused => {
                attempt.report()?;
                return attempt.check();
            }
            Verdict::Changed => {}
        }
    }
}

impl<'a> Attempt<'a> {
    /// Looks up the handles that the message carries.
    ///
    /// `ESHUTDOWN`, `EFAULT`, `ENXIO` or `ENOMEM`, whichever comes first.
    fn look_up(client: &'a Client, request: &'a Send) -> Result<Self> {
        let mut attempt = Self {
            client,
            request,
            layout: Layout {
                n_bytes: request.payload.len(),
                n_handles: request.n_handles,
                n_fds: request.n_fds,
                n_secctx: None,
            },
            changes: 0,
            fresh: Fresh::new(),
            handles: KVVec::new(),
            targets: KVVec::new(),
            seed: None,
        };
        let mut table = client.table();
        table.check()?;
        attempt.changes = table.changes();
        for id in request.handles.iter() {
            let named = attempt.name(&mut table, id?)?;
            attempt.handles.push(named, GFP_KERNEL)?;
        }
        drop(table);
        mark_repeated(&mut attempt.handles)?;
        if let Some(reply) = &request.reply {
            attempt.ask(reply)?;
        }
        Ok(attempt)
    }

    /// Prepays the reply; the handle for it goes behind the others.
    fn ask(&mut self, reply: &Reply) -> Result {
        let handle = request::ask(self.client, &mut self.fresh, reply)?;
        self.layout.n_handles += 1;
        let named = Named {
            id: abi::HANDLE_INVALID,
            handle,
            again: false,
        };
        Ok(self.handles.push(named, GFP_KERNEL)?)
    }

    /// Says where the reply will come to.
    fn tell(&self) -> Result {
        let (Some(reply), Some(id)) = (&self.request.reply, self.fresh.reply_id()) else {
            return Ok(());
        };
        let told = abi::SendRequest {
            reply_node: id,
            ..reply.raw
        };
        user::write(reply.out, &told)
    }

    /// Looks up one ID, which may make a node.
    fn name(&mut self, table: &mut Table, id: u64) -> Result<Named> {
        let client = self.client;
        let handle = table.resolve(id, &mut self.fresh, |birth| client.make_node(birth))?;
        Ok(Named {
            id,
            handle,
            again: false,
        })
    }

    /// Looks up the destinations. What is wrong with one of them stays there; `ENOMEM`.
    fn address(&mut self) -> Result {
        let request = self.request;
        let mut table = self.client.table();
        for id in request.destinations.iter() {
            let named = id.and_then(|id| self.name(&mut table, id));
            let (named, error) = match named {
                Ok(named) => (Some(named), None),
                Err(error) => (None, Some(error)),
            };
            let target = Target {
                named,
                laid: None,
                filled: None,
                error,
                taken: false,
                sealed: None,
                released: None,
            };
            self.targets.push(target, GFP_KERNEL)?;
        }
        drop(table);
        self.refuse_repeated()
    }

    /// Refuses every destination that stands in the list before.
    fn refuse_repeated(&mut self) -> Result {
        if self.targets.len() < 2 {
            return Ok(());
        }
        let addresses = self.targets.iter().map(|target| {
            let named = target.named.as_ref()?;
            Some(Arc::as_ptr(&named.handle))
        });
        let repeated = repeated(addresses)?;
        for (target, repeated) in self.targets.iter_mut().zip(repeated) {
            if repeated {
                target.error = Some(ENOTUNIQ);
            }
        }
        Ok(())
    }

    /// Builds the message for every destination that has no error yet, or the seed.
    ///
    /// What is wrong with a destination stays there; with a seed it is the error of the call.
    fn build(&mut self, files: &[Passed]) -> Result {
        let parts = Parts {
            client: self.client,
            layout: self.layout,
            handles: &self.handles,
            files,
            request: self.request.reply.is_some(),
        };
        let payload = &self.request.payload;
        if self.request.seed {
            let mut laid = parts.lay(Draft::own(self.client.peer()), None)?;
            payload.copy_to(laid.slice())?;
            self.seed = Some(parts.complete(laid)?.into_message());
        }
        for target in self.targets.iter_mut() {
            let (Some(named), None) = (&target.named, target.error) else {
                continue;
            };
            let draft = Draft::to(named.handle.node()).map_err(errors::dead);
            match draft.and_then(|draft| parts.lay(draft, target.promise())) {
                Ok(laid) => target.laid = Some(laid),
                Err(error) => target.error = Some(error),
            }
        }
        copy_to_all(payload, &mut self.targets);
        for target in self.targets.iter_mut() {
            let (Some(laid), None) = (target.laid.take(), target.error) else {
                continue;
            };
            match parts.complete(laid) {
                Ok(filled) => target.filled = Some(filled),
                Err(error) => target.error = Some(error),
            }
        }
        Ok(())
    }

    /// Writes the result of each destination, if the sender wants them.
    fn report(&self) -> Result {
        let Some(errors) = self.request.errors else {
            return Ok(());
        };
        let mut to = errors;
        for target in &self.targets {
            let result = target.error.map_or(0, |error| i64::from(error.to_errno()));
            user::write(to, &result)?;
            to = to.wrapping_byte_add(size_of_val(&result));
        }
        Ok(())
    }

    /// Fails with the first error of a destination, if that cancels the whole message.
    fn check(&self) -> Result {
        let mut errors = self.targets.iter().filter_map(|target| target.error);
        let first = if self.request.partial {
            // Memory that can't be read is the sender's own fault.
            errors.find(|error| *error == EFAULT)
        } else {
            errors.next()
        };
        first.map_or(Ok(()), Err)
    }

    /// Charges the new nodes to the sender; `EDQUOT`.
    fn pay(&mut self) -> Result {
        self.client.pay_for(&mut self.fresh)
    }

    /// Puts the messages together for the commit; `ENOMEM`.
    fn pack(&mut self) -> Result<Parcel> {
        let n = self.targets.iter().filter(|t| t.filled.is_some()).count();
        let mut filled = self
            .targets
            .iter_mut()
            .enumerate()
            .filter_map(|(index, target)| Some((index, target.filled.take()?)));
        if n < 2 {
            return Ok(match filled.next() {
                Some((index, filled)) => Parcel::One(index, filled),
                None => Parcel::Empty,
            });
        }
        let mut messages = Multicast::new(n)?;
        let mut indices = KVVec::with_capacity(n, GFP_KERNEL)?;
        for (index, filled) in filled {
            messages.add(filled.into_part()?)?;
            indices.push(index, GFP_KERNEL)?;
        }
        Ok(Parcel::Many { messages, indices })
    }

    /// Commits, if the IDs still mean the same.
    fn commit(&mut self, parcel: Parcel) -> Result<Verdict> {
        let _turn = self.client.begin()?;
        {
            let mut table = self.client.table();
            if !self.is_current(&table) {
                return Ok(Verdict::Changed);
            }
            table.publish(&mut self.fresh);
            if self.request.seed {
                // The old one is dropped with this attempt, after unlock.
                self.seed = table.replace_seed(self.seed.take());
            }
        }
        self.seal();
        let all_taken = self.transmit(parcel);
        self.use_up();
        if !all_taken && !self.request.partial {
            self.client.table().retract(&mut self.fresh);
        }
        Ok(if all_taken {
            Verdict::Done
        } else {
            Verdict::Refused
        })
    }

    /// Begins to use up what the replies were promised. Whoever gives that up has destroyed the node
    /// before, so that the engine refuses the message.
    fn seal(&mut self) {
        for target in self.targets.iter_mut().filter(|t| t.error.is_none()) {
            if let Some(promise) = target.promise() {
                target.sealed = Slot::seal(promise.slot());
            }
        }
    }

    /// Takes the handles back through which a reply was sent.
    fn use_up(&mut self) {
        for target in self.targets.iter_mut() {
            let (Some(sealed), Some(named)) = (target.sealed.take(), &target.named) else {
                continue;
            };
            if target.error.is_some() || !target.taken {
                continue;
            }
            request::answered(named.handle.node());
            sealed.sent();
            // To itself a peer replies without one.
            target.released = self.client.table().release(named.id).ok();
        }
    }

    /// Whether every ID means what it meant when it was looked up.
    fn is_current(&self, table: &Table) -> bool {
        let targets = self
            .targets
            .iter()
            .filter_map(|target| target.named.as_ref());
        table.changes() == self.changes
            || Iterator::chain(self.handles.iter(), targets)
                .all(|named| table.confirms(named.id, &named.handle, &self.fresh))
    }

    /// Hands the messages to the engine; says whether all were taken. Notes who refused.
    fn transmit(&mut self, parcel: Parcel) -> bool {
        let sender = self.client.peer().anchor();
        let targets = &mut self.targets;
        let mut all_taken = true;
        let mut told = |index: usize, outcome: Outcome<Native>| {
            let refused = matches!(outcome, Outcome::Refused(..));
            all_taken &= !refused;
            if let Some(target) = targets.get_mut(index) {
                target.taken = matches!(outcome, Outcome::Delivered(..));
                if refused {
                    // The only reason is that the receiver ended, or the node.
                    target.error = Some(EHOSTUNREACH);
                }
            }
        };
        match parcel {
            Parcel::Empty => {}
            Parcel::One(index, message) => told(index, message.commit(sender)),
            Parcel::Many { messages, indices } => {
                let policy = if self.request.partial {
                    Policy::Any
                } else {
                    Policy::All
                };
                messages.commit(sender, policy, |part, outcome| {
                    if let Some(index) = indices.get(part) {
                        told(*index, outcome);
                    }
                });
            }
        }
        all_taken
    }
}

/// Messages that are ready to be committed, with the places of their destinations.
enum Parcel {
    Empty,
    One(usize, Filled<Native>),
    Many {
        messages: Multicast<Native>,
        indices: KVVec<usize>,
    },
}

/// Copies the payload to every destination that has memory for it: to the first one from the
/// sender, to the others from there.
///
/// If the sender's memory can't be read, none of them gets a message.
fn copy_to_all(payload: &Payload, targets: &mut [Target]) {
    let mut waiting = targets
        .iter_mut()
        .filter_map(|target| Some((target.laid.as_mut()?.slice(), &mut target.error)));
    let Some((source, error)) = waiting.next() else {
        return;
    };
    let read = payload.copy_to(source);
    *error = read.err();
    for (slice, error) in waiting {
        *error = match read {
            Ok(()) => payload.copy_again(source, slice).err(),
            Err(why) => Some(why),
        };
    }
}

/// Marks every handle of a list that stands in it before; `ENOMEM`.
fn mark_repeated(list: &mut [Named]) -> Result {
    if list.len() < 2 {
        return Ok(());
    }
    let repeated = repeated(list.iter().map(|named| Some(Arc::as_ptr(&named.handle))))?;
    for (named, repeated) in list.iter_mut().zip(repeated) {
        named.again = repeated;
    }
    Ok(())
}

/// Says for each pointer of a list whether it stands there before; `ENOMEM`.
fn repeated<T>(list: impl ExactSizeIterator<Item = Option<*const T>>) -> Result<KVVec<bool>> {
    let mut flags = KVVec::with_capacity(list.len(), GFP_KERNEL)?;
    let mut sorted = KVVec::with_capacity(list.len(), GFP_KERNEL)?;
    for (index, pointer) in list.enumerate() {
        flags.push(false, GFP_KERNEL)?;
        if let Some(pointer) = pointer {
            sorted.push((pointer.addr(), index), GFP_KERNEL)?;
        }
    }
    // Equal pointers come to stand together, the first of the list first.
    sorted.sort_unstable();
    for pair in sorted.windows(2) {
        if let [(before, _), (pointer, index)] = *pair {
            if let (true, Some(flag)) = (before == pointer, flags.get_mut(index)) {
                *flag = true;
            }
        }
    }
    Ok(flags)
}
