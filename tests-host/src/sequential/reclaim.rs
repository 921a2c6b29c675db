// SPDX-License-Identifier: GPL-2.0

//! Pools that are asked for memory.

use crate::core::{
    pool::{
        PageStore,
        Pool, //
    },
    quota::{
        Account,
        Amounts,
        Principal,
        Users, //
    },
    reclaim::{
        Member,
        Pools, //
    },
    sync::{
        Arc,
        PAGE_SIZE, //
    },
};
use crate::host::Pages;

const MANY: Amounts = Amounts {
    slices: u32::MAX,
    bytes: u32::MAX,
    handles: u32::MAX,
    fds: u32::MAX,
};

fn member(pools: &Arc<Pools<Pages>>) -> Member<Pages> {
    Member::new(pools, Pages::new(16 * PAGE_SIZE)).unwrap()
}

/// Leaves `pages` pages idle in a pool.
fn idle(member: &Member<Pages>, pages: usize) {
    let users = Users::new().unwrap();
    let account = Account::new(
        Users::enter(&users, [Principal::user(1)], MANY).unwrap(),
        MANY,
    )
    .unwrap();
    let need = Amounts {
        slices: 1,
        bytes: (pages * PAGE_SIZE) as u32,
        ..Amounts::NONE
    };
    let charge = Account::charge(&account, Principal::user(1), need).unwrap();
    drop(Pool::reserve(member.pool(), pages * PAGE_SIZE, charge).unwrap());
}

fn present(member: &Member<Pages>) -> usize {
    member.pool().store().present()
}

#[test]
fn nothing_comes_of_nothing() {
    let pools = Pools::<Pages>::new().unwrap();
    assert_eq!((pools.freeable(), pools.reclaim(100)), (0, 0));
    let _member = member(&pools);
    assert_eq!((pools.freeable(), pools.reclaim(100)), (0, 0));
}

#[test]
fn pools_are_asked_in_turn() {
    let pools = Pools::new().unwrap();
    let members = [(); 3].map(|()| member(&pools));
    members.iter().for_each(|member| idle(member, 4));
    assert_eq!(pools.freeable(), 12);
    let mut given = 0;
    for left in [2, 1, 0] {
        given += pools.reclaim(1);
        let untouched = members.iter().filter(|member| present(member) == 4).count();
        assert_eq!(untouched, left);
    }
    assert_eq!(given + pools.freeable(), 12);
    assert_eq!(pools.reclaim(100), 12 - given);
    assert_eq!((pools.freeable(), pools.reclaim(100)), (0, 0));
}

#[test]
fn one_idle_pool_is_found_among_many() {
    let pools = Pools::new().unwrap();
    let members: Vec<_> = (0..200).map(|_| member(&pools)).collect();
    idle(&members[150], 5);
    assert_eq!(pools.freeable(), 5);
    assert_eq!((pools.reclaim(usize::MAX), present(&members[150])), (5, 0));
}

#[test]
fn who_leaves_is_not_asked() {
    let pools = Pools::new().unwrap();
    let (gone, stays) = (member(&pools), member(&pools));
    idle(&gone, 3);
    idle(&stays, 2);
    let pool = gone.pool().clone();
    drop(gone);
    assert_eq!((pools.freeable(), pools.reclaim(100)), (2, 2));
    assert_eq!(pool.store().present(), 3);
    drop(stays);
    assert_eq!((pools.freeable(), pools.reclaim(100)), (0, 0));
}

/// A pool may go while it is asked: whoever asks keeps it for so long.
#[test]
fn a_pool_that_leaves_meanwhile_is_dropped_later() {
    let pools = Pools::new().unwrap();
    let leaving = member(&pools);
    idle(&leaving, 3);
    let pool = leaving.pool().clone();
    let asked = pools.clone();
    pool.store().meanwhile(move || {
        drop(leaving);
        assert_eq!(asked.freeable(), 0);
    });
    drop(pool);
    assert_eq!(pools.reclaim(100), 3);
    assert_eq!((pools.freeable(), pools.reclaim(100)), (0, 0));
}
