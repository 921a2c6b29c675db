// SPDX-License-Identifier: GPL-2.0

//! What takes locks when it is dropped is not dropped under one: the engine says so itself.

use crate::{
    core::{
        call::Reply,
        inbox::QueueId,
        quota::{
            Account,
            Amounts, //
        },
    },
    testbed::*,
};

const SOME: Amounts = Amounts {
    slices: 1,
    bytes: 8,
    handles: 1,
    fds: 0,
};

/// Drops `value` while the inbox of `peer` is locked.
fn under<V>(peer: &Client, value: V) {
    peer.anchor().with(|_| drop(value));
}

#[test]
#[should_panic = "under a spinlock"]
fn a_strong_reference() {
    let owner = peer(1).unwrap();
    let own = node(&owner).unwrap();
    under(&owner, strong(own.node(), &owner).unwrap());
}

#[test]
#[should_panic = "under a spinlock"]
fn a_soft_reference() {
    let owner = peer(1).unwrap();
    under(&owner, node(&owner).unwrap());
}

#[test]
#[should_panic = "under a spinlock"]
fn a_message_with_its_slice() {
    let owner = peer(1).unwrap();
    let own = node(&owner).unwrap();
    under(&owner, message(own.node(), 1).unwrap().into_message());
}

#[test]
#[should_panic = "under a spinlock"]
fn a_charge() {
    let owner = peer(1).unwrap();
    under(
        &owner,
        Account::charge(owner.account(), USER, SOME).unwrap(),
    );
}

#[test]
#[should_panic = "under a spinlock"]
fn the_charge_of_a_handle() {
    let owner = peer(1).unwrap();
    let mut charge = Account::charge(owner.account(), USER, SOME).unwrap();
    under(&owner, charge.split_handle());
}

#[test]
#[should_panic = "under a spinlock"]
fn a_turn() {
    let (owner, sender) = (peer(1).unwrap(), peer(2).unwrap());
    let own = lane(&owner).unwrap();
    assert!(send(&sender, own.node(), 1).unwrap());
    let turn = receive(&owner).unwrap().message.turn.take();
    assert!(turn.is_some());
    under(&owner, turn);
}

#[test]
#[should_panic = "under a spinlock"]
fn the_right_to_answer() {
    let (owner, caller) = (peer(1).unwrap(), peer(2).unwrap());
    let reply = Reply::new(caller.anchor(), QueueId::MAIN, None)
        .ok()
        .unwrap();
    under(&owner, reply);
}
