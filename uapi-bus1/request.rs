// SPDX-License-Identifier: GPL-2.0

//! Requests: messages whose sender has prepaid the reply.
//!
//! A request makes a node of its sender, for one message, and carries a handle of it. The room for
//! that message is a [`Slot`] of the engine, charged to the requester itself, so that neither a full
//! requester nor a hostile one can make a reply fail that it has asked for. The node lives until the
//! requester reads the reply, or the news that nobody can send one any more, or destroys it.
//!
//! Locks: `ioctl` of the peer is held by the callers; the leaf lock of the slot.

#![deny(unsafe_code)]

use super::{
    command::Reply,
    compose,
    errors,
    fresh::Fresh,
    native::{
        Birth,
        Native, //
    },
    payload::Layout,
    peer::Client, //
};
use crate::core::{
    charge::{
        DrawError,
        Slot, //
    },
    destroy::Verdict,
    handle::Handle,
    node::Node,
    peer::Peer,
    quota::{
        Account,
        Amounts,
        Charge,
        Level,
        OverLimit,
        Principal,
        Resource, //
    },
    sync::Arc, //
};
use ::core::iter;
use kernel::prelude::*;

/// What was promised to whoever replies.
pub(super) struct Promise {
    slot: Arc<Slot>,
    most: Layout,
}

impl Promise {
    /// Charges the room for `reply` to the requester; `EDQUOT`, `EMSGSIZE` or `ENOMEM`.
    fn make(client: &Client, reply: &Reply) -> Result<Self> {
        let most = Layout {
            n_bytes: reply.n_bytes,
            n_handles: reply.n_handles,
            n_fds: reply.n_fds,
            n_secctx: None,
        };
        let need = Amounts {
            handles: u32::try_from(most.n_handles).map_err(|_| EMSGSIZE)?,
            ..compose::amounts_for(most)?
        };
        let peer = client.peer();
        let slot = Slot::new(peer.account(), Principal::OWN, need)
            .map_err(|error| errors::charge(peer, error))?;
        Ok(Self { slot, most })
    }

    /// Whether a reply with a security context of this length would still fit.
    pub(super) fn has_room(&self, layout: Layout) -> bool {
        layout.len() <= self.most.len()
    }

    /// Takes what a reply of this layout costs, of which `new` handles, in one charge.
    ///
    /// `EMSGSIZE` if it is more than was promised, `EBUSY` if another reply is on its way,
    /// `EHOSTUNREACH` if there was one.
    pub(super) fn draw(&self, owner: &Peer<Native>, layout: Layout, new: u32) -> Result<Charge> {
        let most = &self.most;
        for (resource, asked, most) in [
            (Resource::Bytes, layout.n_bytes, most.n_bytes),
            (Resource::Handles, layout.n_handles, most.n_handles),
            (Resource::Fds, layout.n_fds, most.n_fds),
        ] {
            if asked > most {
                return Err(errors::over_limit(owner, too_large(resource, asked, most)));
            }
        }
        let need = Amounts {
            handles: new,
            ..compose::amounts_for(layout)?
        };
        Slot::draw(&self.slot, need).map_err(|error| match error {
            DrawError::TooLarge => EMSGSIZE,
            DrawError::Busy => EBUSY,
            DrawError::Closed => EHOSTUNREACH,
        })
    }

    /// Where the reply is paid from.
    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }
}

/// What is wrong with a reply of which something was not announced.
fn too_large(resource: Resource, asked: usize, most: usize) -> OverLimit {
    // No message is larger than this.
    let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
    OverLimit {
        principal: Principal::OWN,
        resource,
        level: Level::Reply,
        asked: number(asked),
        limit: number(most),
        held: 0,
        cap: number(most),
        holders: 0,
        first: false,
    }
}

/// What `node` promises, if it was made for a reply.
pub(super) fn promise(node: &Node<Native>) -> Option<&Promise> {
    node.part().promise.as_ref()
}

/// Makes the node for a reply; it comes into the table with the others of `fresh`.
///
/// `EDQUOT`, `EMSGSIZE` or `ENOMEM`.
pub(super) fn ask(
    client: &Client,
    fresh: &mut Fresh,
    reply: &Reply,
) -> Result<Arc<Handle<Native>>> {
    let promise = Promise::make(client, reply)?;
    let one = Amounts {
        handles: 1,
        ..Amounts::NONE
    };
    let peer = client.peer();
    let mut charge = Account::charge(peer.account(), Principal::OWN, one)
        .map_err(|error| errors::charge(peer, error))?;
    let birth = Birth {
        age: client.table().next_age(),
        promise: Some(promise),
    };
    let soft = client.make_node(birth)?;
    let handle = soft.handle().clone();
    handle.part().pay(&mut charge);
    fresh.ask(soft, Verdict::new()?)?;
    Ok(handle)
}

/// Notes that the reply to `node` was sent: its owner is told nothing else about it.
pub(super) fn answered(node: &Node<Native>) {
    node.state(|progress, _| progress.answered = true);
}

/// The owner has read what there was to read of `node`, known to it as `id`: if that was made for a
/// reply, it ends.
pub(super) fn finish(client: &Client, node: &Arc<Node<Native>>, id: u64) {
    let Some(promise) = promise(node) else {
        return;
    };
    let ended = client.table().end_request(id);
    if let Some(ended) = ended {
        drop(ended.held);
        // Whoever has a second handle of it is told; most often nobody has.
        if node.state(|_, counts| counts.held) > 0 {
            client.peer().destroy_all(ended.verdict, iter::once(node));
        }
    }
    promise.slot.close();
}

/// Nobody waits for replies to `nodes` any more, which were destroyed.
pub(super) fn give_up<'a>(nodes: impl Iterator<Item = &'a Arc<Node<Native>>>) {
    for promise in nodes.filter_map(|node| promise(node)) {
        promise.slot.close();
    }
}
