// SPDX-License-Identifier: GPL-2.0

//! Parts of the engine below the order, with threads: pools and charges.

use crate::core::{
    pool::{
        PageStore,
        Pool, //
    },
    quota::{
        Account,
        Amounts,
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
use crate::host::{
    model,
    thread,
    Pages, //
};

fn slices(slices: u32, bytes: u32) -> Amounts {
    Amounts {
        slices,
        bytes,
        ..Amounts::NONE
    }
}

#[test]
fn senders_fill_one_pool_at_the_same_time() {
    model(|| {
        let users = Users::new().unwrap();
        let seat = Users::enter(&users, 1, slices(2, 16)).unwrap();
        let account = Account::new(seat, slices(2, 16)).unwrap();
        let pool = Pool::new(Pages::new(16)).unwrap();
        let send = |mark: u8| {
            let (pool, account) = (pool.clone(), account.clone());
            thread::spawn(move || {
                let charge = Account::charge(&account, 1, slices(1, 8)).unwrap();
                let mut slice = Pool::reserve(&pool, 8, charge).unwrap();
                slice.write(0, &[mark; 8]).unwrap();
                let mut back = [0; 8];
                slice.read(0, &mut back).unwrap();
                assert_eq!(back, [mark; 8]);
            })
        };
        let senders = [send(1), send(2)];
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
        assert_eq!((pool.used(), account.report().used), (0, Amounts::NONE));
    });
}

/// A sender writes while somebody gives the pages of the free range back that it has just got.
#[test]
fn pages_are_given_back_while_a_sender_takes_them() {
    model(|| {
        let users = Users::new().unwrap();
        let limits = slices(2, 1 << 20);
        let seat = Users::enter(&users, 1, limits).unwrap();
        let account = Account::new(seat, limits).unwrap();
        let pools = Pools::new().unwrap();
        let member = Member::new(&pools, Pages::new(2 * PAGE_SIZE)).unwrap();
        let reserve = |pool: &Arc<Pool<Pages>>, len: usize, account: &Arc<Account>| {
            let charge = Account::charge(account, 1, slices(1, len as u32)).unwrap();
            Pool::reserve(pool, len, charge).unwrap()
        };
        drop(reserve(member.pool(), 2 * PAGE_SIZE, &account));
        let sender = {
            let (pool, account) = (member.pool().clone(), account.clone());
            thread::spawn(move || {
                let mut slice = reserve(&pool, PAGE_SIZE, &account);
                slice.write(0, &[9; 16]).unwrap();
                slice.write(PAGE_SIZE - 16, &[9; 16]).unwrap();
                let mut back = [0; 16];
                slice.read(0, &mut back).unwrap();
                assert_eq!(back, [9; 16]);
            })
        };
        let given = pools.reclaim(2);
        sender.join().unwrap();
        assert!(given <= 2);
        let last = pools.reclaim(2);
        assert_eq!((member.pool().store().present(), pools.freeable()), (0, 0));
        assert!((2..=3).contains(&(given + last)));
        assert_eq!(account.report().used, Amounts::NONE);
    });
}

#[test]
fn two_senders_never_exceed_a_limit_together() {
    model(|| {
        let users = Users::new().unwrap();
        let limits = slices(1, 0);
        let seat = || Users::enter(&users, 1, limits).unwrap();
        let peers = [(); 2].map(|()| Account::new(seat(), limits).unwrap());
        let threads =
            peers.map(|peer| thread::spawn(move || Account::charge(&peer, 1, slices(1, 0)).ok()));
        let charges = threads.map(|thread| thread.join().unwrap());
        assert_eq!(charges.iter().flatten().count(), 1);
        drop(charges);
        let again = Account::new(seat(), limits).unwrap();
        assert!(Account::charge(&again, 1, slices(1, 0)).is_ok());
    });
}
