// SPDX-License-Identifier: GPL-2.0

//! `SEND`: one message to any number of nodes, at one instant.
//!
//! In two steps. [`Attempt`] first looks up what the user named and builds a complete message for
//! every destination, in the receivers' pools: all that can fail, and all that touches user memory,
//! happens here, with no lock held across it. It then takes the peer's `ioctl` lock,
//! makes sure that the IDs still mean what they meant, and commits. If another command of this peer
//! has changed their meaning in between, everything is dropped and built again.
//!
//! Errors of one destination stay with it, so that the array of results is always complete; whether
//! they cancel the rest is the sender's choice.

#![deny(unsafe_code)]

use super::{
    command::Send,
    errors,
    files,
    files::Passed,
    native::{
        Envelope,
        Identity,
        Native,
        Sender, //
    },
    payload::Layout,
    peer::Client,
    table::{
        Fresh,
        Table, //
    },
    user, //
};
use crate::{
    core::{
        handle::{
            Handle,
            LinkError,
            Strong, //
        },
        message::Message,
        node::Node,
        peer::Peer,
        personality::Via,
        quota::{
            Account,
            Amounts,
            Charge, //
        },
        sync::{
            Arc,
            Relaxed, //
        },
        transaction::{
            Draft,
            Filled,
            Multicast,
            Outcome,
            Policy, //
        },
    },
    shim::{
        cred,
        security,
        security::SecurityCtx, //
    },
};
use kernel::{
    alloc::KVVec,
    prelude::*, //
};

/// A handle that a message is addressed to or carries.
struct Named {
    id: u64,
    handle: Arc<Handle<Native>>,
    /// The same handle stands earlier in the list.
    again: bool,
}

/// One destination.
struct Target {
    /// What it is, if the ID means something.
    named: Option<Named>,
    /// The message for it.
    filled: Option<Filled<Native>>,
    /// Why there is none, or why it was not taken.
    error: Option<Error>,
}

/// A message to all its destinations, not yet sent.
struct Attempt<'a> {
    client: &'a Client,
    request: &'a Send,
    layout: Layout,
    /// State of the table at the time of the look-up.
    changes: u64,
    fresh: Fresh,
    handles: KVVec<Named>,
    targets: KVVec<Target>,
    /// The message that stays on its sender.
    seed: Option<KBox<Message<Native>>>,
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
            Verdict::Done => return Ok(()),
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
        Ok(attempt)
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
                filled: None,
                error,
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
        let parts = Build {
            client: self.client,
            request: self.request,
            layout: self.layout,
            handles: &self.handles,
            files,
        };
        if self.request.seed {
            let draft = Draft::own(self.client.peer());
            self.seed = Some(parts.message(draft)?.into_message());
        }
        for target in self.targets.iter_mut() {
            let (Some(named), None) = (&target.named, target.error) else {
                continue;
            };
            let draft = Draft::to(named.handle.node()).map_err(errors::dead);
            match draft.and_then(|draft| parts.message(draft)) {
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
        let all_taken = self.transmit(parcel);
        if !all_taken && !self.request.partial {
            self.client.table().retract(&mut self.fresh);
        }
        Ok(if all_taken {
            Verdict::Done
        } else {
            Verdict::Refused
        })
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
            // The only reason to refuse is that the receiver ended, or the node.
            if let Outcome::Refused(..) = outcome {
                all_taken = false;
                if let Some(target) = targets.get_mut(index) {
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

/// What a message for one destination is made of.
struct Build<'a> {
    client: &'a Client,
    request: &'a Send,
    layout: Layout,
    handles: &'a [Named],
    files: &'a [Passed],
}

impl Build<'_> {
    /// Completes a message.
    ///
    /// `EDQUOT`, `EMSGSIZE`, `EXFULL`, `ENOMEM`, `EFAULT`, or what a security module says, in the
    /// order of the ABI.
    fn message(&self, draft: Draft<Native>) -> Result<Filled<Native>> {
        let payer = self.client.payer();
        let receiver = draft.receiver().clone();
        let context = context_for(receiver.part())?;
        let layout = Layout {
            n_secctx: context.as_ref().map(SecurityCtx::len),
            ..self.layout
        };
        let new = self.count_new(&receiver);
        let mut reserved = draft
            .reserve(payer, amounts_for(layout)?, layout.len())
            .map_err(errors::reserve)?;
        let charge = Account::charge(receiver.account(), payer, handles_amount(new)?)
            .map_err(errors::over_limit)?;
        let handles = self.link(&receiver, charge)?;
        self.request.payload.copy_to(reserved.slice())?;
        if let Some(context) = &context {
            let written = reserved.slice().write(layout.secctx(), context.as_bytes());
            written.map_err(|_| EFAULT)?;
        }
        self.permit(receiver.part())?;
        let envelope = Envelope {
            layout,
            sender: sender_for(receiver.part())?,
        };
        let mut files = KVec::with_capacity(self.files.len(), GFP_KERNEL_ACCOUNT)?;
        files.extend_from_slice(self.files, GFP_KERNEL_ACCOUNT)?;
        reserved.fill(handles, files, envelope).map_err(|_| ENOMEM)
    }

    /// Living nodes that `receiver` has no handle of.
    fn count_new(&self, receiver: &Peer<Native>) -> usize {
        self.handles
            .iter()
            .filter(|named| !named.again && is_new(&named.handle, receiver))
            .count()
    }

    /// Makes a reference of the receiver for each handle of the message; none to a dead node.
    ///
    /// A handle that this makes come into being takes its part of `charge` with it.
    fn link(
        &self,
        receiver: &Peer<Native>,
        mut charge: Charge,
    ) -> Result<KVec<Option<Strong<Native>>>> {
        let mut handles = KVec::with_capacity(self.handles.len(), GFP_KERNEL_ACCOUNT)?;
        for named in self.handles {
            let node = named.handle.node();
            let strong = match node.death() {
                Some(_) => None,
                None => match Node::strong_to(node, receiver.anchor(), Via::Any) {
                    Ok(strong) => Some(strong),
                    Err(LinkError::Dead) => None,
                    Err(error) => return Err(errors::link(error)),
                },
            };
            if let Some(strong) = &strong {
                strong.handle().part().pay(&mut charge);
            }
            handles.push(strong, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(handles)
    }

    /// Asks the security module for the message, each handle and each file, if the kernel lets us.
    fn permit(&self, receiver: &Identity) -> Result {
        if !security::has_hooks() {
            return Ok(());
        }
        let (from, to) = (&self.client.identity().cred, &receiver.cred);
        security::transaction(from, to)?;
        for _ in self.handles {
            security::transfer_binder(from, to)?;
        }
        for file in self.files {
            security::transfer_file(from, to, file.file())?;
        }
        Ok(())
    }
}

/// What a receiver is charged for a message, but for its handles.
fn amounts_for(layout: Layout) -> Result<Amounts> {
    Ok(Amounts {
        slices: 1,
        bytes: u32::try_from(layout.len()).map_err(|_| EMSGSIZE)?,
        handles: 0,
        fds: u32::try_from(layout.n_fds).map_err(|_| EMSGSIZE)?,
    })
}

/// The security context of the calling task, if the receiver wants it and a security module has one.
fn context_for(receiver: &Identity) -> Result<Option<SecurityCtx>> {
    if !receiver.want_secctx.load(Relaxed) {
        return Ok(None);
    }
    match security::context_of(&cred::current()) {
        Ok(context) => Ok(Some(context)),
        Err(error) if error == ENOMEM => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether `receiver` would get a new handle.
fn is_new(handle: &Handle<Native>, receiver: &Peer<Native>) -> bool {
    let node = handle.node();
    node.death().is_none() && node.handle_of(receiver.anchor()).is_none()
}

/// A charge for `count` handles.
fn handles_amount(count: usize) -> Result<Amounts> {
    Ok(Amounts {
        handles: u32::try_from(count).map_err(|_| EMSGSIZE)?,
        ..Amounts::NONE
    })
}

/// The calling task, as the opener of the receiving peer sees it.
fn sender_for(receiver: &Identity) -> Result<Sender> {
    let task = cred::current_task();
    let visible = |pid| u32::try_from(pid).unwrap_or(0);
    let (pid, tid) = match &receiver.pid_ns {
        Some(ns) => (
            visible(cred::tgid_in(&task, ns)),
            visible(cred::tid_in(&task, ns)),
        ),
        None => (0, 0),
    };
    Ok(Sender {
        uid: cred::Uid::current().in_ns_or_overflow(&receiver.user_ns),
        gid: cred::Gid::current().in_ns_or_overflow(&receiver.user_ns),
        pid,
        tid,
    })
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
