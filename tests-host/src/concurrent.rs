// SPDX-License-Identifier: GPL-2.0

//! Parts of the engine below the order, with threads: pools and charges.

use crate::core::{
    charge::Slot,
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
use crate::host::{
    model,
    thread,
    Pages, //
};

/// Whose peers these are, and who sends.
const PAYER: Principal = Principal::user(1);

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
        let seat = Users::enter(&users, [PAYER], slices(2, 16)).unwrap();
        let account = Account::new(seat, slices(2, 16)).unwrap();
        let pool = Pool::new(Pages::new(16)).unwrap();
        let send = |mark: u8| {
            let (pool, account) = (pool.clone(), account.clone());
            thread::spawn(move || {
                let charge = Account::charge(&account, PAYER, slices(1, 8)).unwrap();
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

/// Two want to answer, and whoever asked gives up: one of the three is first, and nothing is lost.
#[test]
fn one_answers_while_nobody_waits_any_more() {
    model(|| {
        let users = Users::new().unwrap();
        let seat = Users::enter(&users, [PAYER], slices(2, 16)).unwrap();
        let account = Account::new(seat, slices(2, 16)).unwrap();
        let slot = Slot::new(&account, PAYER, slices(1, 8)).unwrap();
        let answer = || {
            let slot = slot.clone();
            thread::spawn(move || {
                let charge = Slot::draw(&slot, slices(1, 8)).ok()?;
                Slot::seal(&slot)?.sent();
                Some(charge)
            })
        };
        let answers = [answer(), answer()];
        slot.close();
        let sent: Vec<_> = answers
            .into_iter()
            .filter_map(|answer| answer.join().unwrap())
            .collect();
        assert!(sent.len() < 2);
        assert_eq!(account.report().used.slices as usize, sent.len());
        drop(sent);
        assert_eq!(account.report().used, Amounts::NONE);
    });
}

/// A sender writes while somebody gives the pages of the free range back that it has just got.
#[test]
fn pages_are_given_back_while_a_sender_takes_them() {
    model(|| {
        let users = Users::new().unwrap();
        let limits = slices(2, 1 << 20);
        let seat = Users::enter(&users, [PAYER], limits).unwrap();
        let account = Account::new(seat, limits).unwrap();
        let pools = Pools::new().unwrap();
        let member = Member::new(&pools, Pages::new(2 * PAGE_SIZE)).unwrap();
        let reserve = |pool: &Arc<Pool<Pages>>, len: usize, account: &Arc<Account>| {
            let charge = Account::charge(account, PAYER, slices(1, len as u32)).unwrap();
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

/// Both requests are more than what is promised, so that they come out of what the peer, and then
/// out of what the user has left.
#[test]
fn two_senders_never_exceed_a_limit_together() {
    model(|| {
        let users = Users::new().unwrap();
        let peer = || {
            let seat = Users::enter(&users, [PAYER], slices(32, 0)).unwrap();
            Account::new(seat, slices(64, 0)).unwrap()
        };
        let peers = [peer(), peer()];
        let most = slices(12, 0);
        let threads = peers
            .clone()
            .map(|peer| thread::spawn(move || Account::charge(&peer, PAYER, most).ok()));
        let charges = threads.map(|thread| thread.join().unwrap());
        assert_eq!(charges.iter().flatten().count(), 1);
        drop(charges);
        assert!(Account::charge(&peers[0], PAYER, most).is_ok());
    });
}

/// The interleaving that breaks a rule without a lock: one of two raises the number of holders after
/// another of its kind has looked at it.
#[test]
fn three_senders_never_exceed_the_reserve() {
    model(|| {
        let users = Users::new().unwrap();
        let seat = Users::enter(&users, [PAYER], slices(1 << 20, 0)).unwrap();
        let account = Account::new(seat, slices(48, 0)).unwrap();
        let threads = [1, 1, 2].map(|user| {
            let account = account.clone();
            thread::spawn(move || {
                Account::charge(&account, Principal::user(user), slices(4, 0)).unwrap()
            })
        });
        let charges = threads.map(|thread| thread.join().unwrap());
        let standing = account.report().resources[0];
        assert!(standing.reserved <= standing.reserve);
        assert_eq!(standing.reserved + standing.free, 12);
        drop(charges);
        assert_eq!(account.report().used, Amounts::NONE);
    });
}
