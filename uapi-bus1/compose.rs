// SPDX-License-Identifier: GPL-2.0

//! One message of a `SEND`: what it takes of its receiver, and what it carries.
//!
//! A message comes into being in two halves, [`Parts::lay`] and [`Parts::complete`]; between them its
//! caller puts the payload into its slice. Whatever is dropped on the way gives everything back.
//!
//! Takes no locks of its own; those of the engine, one at a time. May sleep.

#![deny(unsafe_code)]

use super::{
    errors,
    files::Passed,
    native::{
        Envelope,
        Identity,
        Native,
        Sender, //
    },
    payload::Layout,
    peer::Client,
    pool::Pages,
    request::Promise, //
};
use crate::{
    core::{
        handle::{
            Handle,
            LinkError,
            Strong, //
        },
        node::Node,
        peer::Peer,
        personality::Via,
        pool::Slice,
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
            Reserved, //
        },
    },
    shim::{
        cred,
        security,
        security::SecurityCtx, //
    },
};
use kernel::prelude::*;

/// A handle that a message is addressed to or carries.
pub(super) struct Named {
    /// The sender's name for it.
    pub(super) id: u64,
    /// What that meant when it was looked up.
    pub(super) handle: Arc<Handle<Native>>,
    /// The same handle stands earlier in the list.
    pub(super) again: bool,
}

/// A message for one destination that has all but its bytes.
pub(super) struct Laid {
    reserved: Reserved<Native>,
    receiver: Arc<Peer<Native>>,
    handles: KVec<Option<Strong<Native>>>,
    layout: Layout,
    context: Option<SecurityCtx>,
}

impl Laid {
    /// Where the bytes go.
    pub(super) fn slice(&mut self) -> &mut Slice<Pages> {
        self.reserved.slice()
    }
}

/// What the messages for all destinations of one call are made of.
pub(super) struct Parts<'a> {
    /// Who sends.
    pub(super) client: &'a Client,
    /// How they are laid out, but for the security context.
    pub(super) layout: Layout,
    /// The handles that they carry.
    pub(super) handles: &'a [Named],
    /// The files that they carry.
    pub(super) files: &'a [Passed],
    /// The last handle takes a prepaid reply.
    pub(super) request: bool,
}

impl Parts<'_> {
    /// Begins a message: takes what it needs of its receiver.
    ///
    /// `EDQUOT`, `EMSGSIZE`, `EXFULL` or `ENOMEM`, in the order of the ABI. A reply is paid for by
    /// what its receiver has promised.
    pub(super) fn lay(&self, draft: Draft<Native>, promise: Option<&Promise>) -> Result<Laid> {
        let receiver = draft.receiver().clone();
        let mut context = context_for(receiver.part())?;
        let mut layout = Layout {
            n_secctx: context.as_ref().map(SecurityCtx::len),
            ..self.layout
        };
        if promise.is_some_and(|promise| !promise.has_room(layout)) {
            // What was promised comes first.
            context = None;
            layout.n_secctx = None;
        }
        let new = handles_amount(self.count_new(&receiver))?;
        let (reserved, charge) = match promise {
            Some(promise) => {
                let mut charge = promise.draw(&receiver, layout, new.handles)?;
                let handles = charge.split(new).ok_or(EMSGSIZE)?;
                (draft.reserve_paid(charge, layout.len()), Ok(handles))
            }
            None => {
                let payer = self.client.principal_at(&receiver);
                let reserved = draft.reserve(payer, amounts_for(layout)?, layout.len());
                if let Err(error) = reserved {
                    return Err(errors::reserve(&receiver, error));
                }
                (reserved, Account::charge(receiver.account(), payer, new))
            }
        };
        let reserved = reserved.map_err(|error| errors::reserve(&receiver, error))?;
        let charge = charge.map_err(|error| errors::charge(&receiver, error))?;
        Ok(Laid {
            handles: self.link(&receiver, charge)?,
            reserved,
            receiver,
            layout,
            context,
        })
    }

    /// Completes a message whose payload is in its slice.
    ///
    /// What a security module says, or `ENOMEM`.
    pub(super) fn complete(&self, laid: Laid) -> Result<Filled<Native>> {
        let Laid {
            mut reserved,
            receiver,
            handles,
            layout,
            context,
        } = laid;
        if let Some(context) = &context {
            let written = reserved.slice().write(layout.secctx(), context.as_bytes());
            written.map_err(|_| EFAULT)?;
        }
        self.permit(receiver.part())?;
        let envelope = Envelope {
            layout,
            sender: sender_for(receiver.part())?,
            request: self.request,
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
            match &strong {
                Some(strong) => strong.handle().part().pay(&mut charge),
                // The slot says that the node is dead, so the message comes after that, even for
                // receivers that have got a reference of it.
                None => self.client.peer().anchor().follow(node),
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
pub(super) fn amounts_for(layout: Layout) -> Result<Amounts> {
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
