// SPDX-License-Identifier: GPL-2.0

//! `HANDLE_TRANSFER`: a handle for a peer whose file descriptor the caller has.
//!
//! This is how the first handle gets anywhere. The other peer gets a reference as if it had received
//! it in a message, but there is no message and no place in the order.
//!
//! Locks: `ioctl` of the calling peer, and under it `table` of the calling peer; then, after both are
//! released, `table` of the other. Never two peers' locks at once.

#![deny(unsafe_code)]

use super::{
    abi,
    command::{
        HandleTransfer,
        Target, //
    },
    device::Device,
    errors,
    fresh::Fresh,
    peer::Client,
    table::Spots,
    user, //
};
use crate::{
    core::{
        handle::LinkError,
        node::Node,
        personality::Via,
        quota::{
            Account,
            Amounts, //
        }, //
    },
    shim::{
        device,
        files,
        security, //
    },
};
use ::core::ptr;
use kernel::prelude::*;

/// Gives a handle to another peer, or once more to this one.
pub(super) fn transfer(client: &Client, mut request: HandleTransfer) -> Result {
    // The argument is written once before anything happens, with what it has.
    user::write(request.out, &request.raw)?;
    let id = match request.target {
        Target::Own => give(client, client, request.source)?,
        Target::BadFd => return Err(EBADF),
        Target::Fd(fd) => {
            let file = files::get(fd)?;
            let other = device::data_of::<Device>(&file).ok_or(EOPNOTSUPP)?;
            give(client, &other, request.source)?
        }
    };
    request.raw.dst_handle = id;
    user::write(request.out, &request.raw)
}

/// Gives what `source` names to `other`; returns the ID there.
fn give(client: &Client, other: &Client, source: u64) -> Result<u64> {
    other.check()?;
    let mut fresh = Fresh::new();
    let mut spots = Spots::new();
    let turn = client.begin()?;
    let handle = client.resolve(source, &mut fresh)?;
    let node = handle.node();
    if node.death().is_some() {
        return Ok(abi::HANDLE_INVALID);
    }
    spots.fill(1)?;
    if security::has_hooks() {
        security::transfer_binder(&client.identity().cred, &other.identity().cred)?;
    }

    let (account, payer) = (other.peer().account(), client.principal_at(other.peer()));
    let new = node.handle_of(other.peer().anchor()).is_none();
    let mut charge = Account::charge(
        account,
        payer,
        Amounts {
            handles: new.into(),
            ..Amounts::NONE
        },
    )
    .map_err(|error| errors::charge(other.peer(), error))?;
    let strong = match Node::strong_to(node, other.peer().anchor(), Via::Any) {
        Ok(strong) => strong,
        Err(LinkError::Dead) => return Ok(abi::HANDLE_INVALID),
        Err(error) => return Err(errors::link(error)),
    };
    strong.handle().part().pay(&mut charge);
    client.pay_for(&mut fresh)?;

    client.table().publish(&mut fresh);
    // To itself it is one step among its own; of two peers only one is locked at a time.
    let turn = ptr::eq(client, other).then_some(turn);
    let (id, left) = {
        let mut table = other.table();
        if table.check().is_err() {
            // It has ended meanwhile, as it could have a moment after it got the handle.
            (Some(table.name_in_passing(&strong)), Some(strong))
        } else if strong.node().death().is_some() {
            // The reader may have passed the news of this end already, having no ID for it. Of an end
            // that comes later the news is behind: the reader looks for the ID under this lock.
            (Some(abi::HANDLE_INVALID), Some(strong))
        } else {
            (table.adopt(strong, &mut spots), None)
        }
    };
    drop((left, turn));
    id.ok_or(ENOMEM)
}
