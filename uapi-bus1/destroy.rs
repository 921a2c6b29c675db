// SPDX-License-Identifier: GPL-2.0

//! `NODES_DESTROY`: the end of nodes of this peer, all at one instant.
//!
//! Locks: `ioctl` of the peer over all of it, `table` inside.

#![deny(unsafe_code)]

use super::{
    command::NodesDestroy,
    fresh::Fresh,
    ids::Home,
    native::Native,
    peer::Client,
    request,
    table::{
        Released,
        Table, //
    },
};
use crate::core::{
    destroy::Verdict,
    handle::Handle,
    node::Node,
    sync::{
        reserve_node, //
        Arc,
        RBTree,
    },
};
use kernel::{
    alloc::KVVec,
    prelude::*, //
};

/// A node that is to be destroyed.
struct Doomed {
    id: u64,
    node: Arc<Node<Native>>,
}

/// Destroys nodes, all or none.
///
/// `ESHUTDOWN`; then for the first element that is wrong `EFAULT`, `ENXIO`, `ENOMEM`, `ENOTUNIQ`,
/// `EREMOTE` or `ESTALE`; then `EDQUOT`.
pub(super) fn destroy(client: &Client, request: &NodesDestroy) -> Result {
    let verdict = Verdict::new()?;
    let mut fresh = Fresh::new();
    let mut released = KVVec::<Released>::new();
    let _turn = client.begin()?;
    let doomed = look_up(client, request, &mut fresh)?;
    if request.release {
        released.reserve(doomed.len(), GFP_KERNEL)?;
    }
    client.pay_for(&mut fresh)?;

    client.table().publish(&mut fresh);
    let nodes = doomed.iter().map(|doomed| &doomed.node);
    client.peer().destroy_all(verdict, nodes.clone());
    request::give_up(nodes);
    bury(&mut client.table(), &doomed);
    if request.release {
        // The reader waits for the end of this command, so that both are one to it.
        let mut table = client.table();
        for doomed in &doomed {
            released.push(table.release(doomed.id)?, GFP_KERNEL)?;
        }
    }
    Ok(())
}

/// Looks up what is to be destroyed, and refuses it all if one element is wrong.
fn look_up(client: &Client, request: &NodesDestroy, fresh: &mut Fresh) -> Result<KVVec<Doomed>> {
    let mut doomed = KVVec::new();
    let mut seen = RBTree::new();
    for id in request.nodes.iter() {
        let id = id?;
        let handle = client.resolve(id, fresh)?;
        let spot = reserve_node()?;
        if seen
            .insert(spot.into_node(Arc::as_ptr(&handle).addr(), ()))
            .is_some()
        {
            return Err(ENOTUNIQ);
        }
        doomed.push(
            Doomed {
                id,
                node: own(&handle)?.clone(),
            },
            GFP_KERNEL,
        )?;
    }
    Ok(doomed)
}

/// The node of `handle`, if its holder may destroy it.
fn own(handle: &Handle<Native>) -> Result<&Arc<Node<Native>>> {
    let node = handle.node();
    if Home::of(handle) == Home::Foreign {
        return Err(EREMOTE);
    }
    if node.death().is_some() {
        return Err(ESTALE);
    }
    Ok(node)
}

/// Takes the nodes off the living ones of the peer.
fn bury(table: &mut Table, doomed: &[Doomed]) {
    for doomed in doomed {
        // What is dropped is memory; the node is kept by `doomed`.
        drop(table.bury(&doomed.node));
    }
}
