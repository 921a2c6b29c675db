// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_quota`: who pays, and how much there may be.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_quota))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        core::{
            quota::{
                Account,
                Amounts,
                Charge,
                ChargeError,
                Level,
                Limits,
                OverLimit,
                Principal,
                Resource,
                Users,
                UNLIMITED, //
            },
            share::Share,
            sync::{
                Arc,
                KVec,
                GFP_KERNEL, //
            },
        },
        testbed::Failed, //
    };

    const A: Principal = Principal::user(1);
    const B: Principal = Principal::user(2);

    fn amounts(slices: u32, bytes: u32, handles: u32, fds: u32) -> Amounts {
        Amounts {
            slices,
            bytes,
            handles,
            fds,
        }
    }

    fn slices(slices: u32) -> Amounts {
        amounts(slices, 0, 0, 0)
    }

    /// A user who may have more than the peers here.
    const PLENTY: Limits = Amounts {
        slices: 1 << 20,
        bytes: 1 << 28,
        handles: 1 << 20,
        fds: 1 << 16,
    };

    fn account(limits: Limits) -> Result<Arc<Account>, Failed> {
        Ok(Account::new(
            Users::enter(&Users::new()?, [A], PLENTY)?,
            limits,
        )?)
    }

    fn refused(account: &Arc<Account>, who: Principal, need: Amounts) -> Option<OverLimit> {
        match Account::charge(account, who, need) {
            Err(ChargeError::Over(over)) => Some(over),
            _ => None,
        }
    }

    #[test]
    fn small_limits_are_exact_and_named() -> Result<(), Failed> {
        let account = account(amounts(2, 100, 1, 0))?;
        let charge = Account::charge(&account, A, amounts(1, 60, 1, 0)).map_err(|_| Failed)?;
        let over = refused(&account, B, amounts(1, 41, 0, 0)).ok_or(Failed)?;
        assert_eq!((over.resource, over.level), (Resource::Bytes, Level::Peer));
        assert_eq!(
            (over.asked, over.limit, over.never_fits()),
            (41, 100, false)
        );
        let over = refused(&account, B, amounts(1, 0, 2, 0)).ok_or(Failed)?;
        assert!(over.never_fits());
        assert_eq!(account.report().used, amounts(1, 60, 1, 0));
        drop(charge);
        let report = account.report();
        assert_eq!(report.used, Amounts::NONE);
        let [slices, bytes, handles, fds] = report.resources;
        assert_eq!(
            [slices.peak, bytes.peak, handles.peak, fds.peak],
            [1, 60, 1, 0]
        );
        assert_eq!([slices.refused, bytes.refused, handles.refused], [0, 1, 1]);
        let last = report.last.ok_or(Failed)?;
        assert_eq!((last.principal, last.held), (B, 0));
        Ok(())
    }

    /// As many charges of one slice as `who` gets.
    fn all_that_it_gets(account: &Arc<Account>, who: Principal) -> Result<KVec<Charge>, Failed> {
        let mut all = KVec::new();
        while let Ok(charge) = Account::charge(account, who, slices(1)) {
            all.push(charge, GFP_KERNEL)?;
        }
        Ok(all)
    }

    #[test]
    fn who_takes_all_it_can_leaves_the_next_its_cap() -> Result<(), Failed> {
        let account = account(slices(1024))?;
        let mut held = KVec::new();
        for user in 1..=11 {
            let all = all_that_it_gets(&account, Principal::user(user))?;
            let [standing, ..] = account.report().resources;
            assert_eq!(standing.principals, user);
            assert!(all.len() >= standing.cap as usize);
            // The column of the quota page for a limit of 1024.
            let known = [(1, 52), (2, 26), (3, 18), (6, 9), (11, 5)];
            if let Some((_, cap)) = known.iter().find(|(holders, _)| *holders == user) {
                assert_eq!(standing.cap, *cap);
            }
            held.push(all, GFP_KERNEL)?;
        }
        let [standing, ..] = account.report().resources;
        assert!(standing.reserved <= standing.reserve && standing.free <= 512);
        drop(held);
        let [standing, ..] = account.report().resources;
        assert_eq!(
            (standing.principals, standing.reserved, standing.free),
            (0, 0, 0)
        );
        Ok(())
    }

    #[test]
    fn a_receiver_has_no_part_in_what_it_promises() -> Result<(), Failed> {
        let account = account(slices(1024))?;
        let own = all_that_it_gets(&account, Principal::OWN)?;
        assert_eq!(own.len(), 512);
        let [standing, ..] = account.report().resources;
        assert_eq!((standing.reserved, standing.principals), (0, 0));
        assert!(Account::charge(&account, A, slices(52)).is_ok());
        assert!(Account::charge(&account, A, slices(53)).is_err());
        Ok(())
    }

    #[test]
    fn a_refusal_takes_nothing_from_anybody() -> Result<(), Failed> {
        let users = Users::new()?;
        let seat = Users::enter(&users, [A], amounts(1024, 1 << 20, 1024, 1024))?;
        let user = seat.user().ok_or(Failed)?.clone();
        let account = Account::new(seat, amounts(512, 1 << 19, 16, 16))?;
        // The slices would come out of what is free, the files are too many.
        let over = refused(&account, B, amounts(100, 0, 0, 20)).ok_or(Failed)?;
        assert_eq!((over.resource, over.level), (Resource::Fds, Level::Peer));
        assert_eq!(account.report().used, Amounts::NONE);
        assert_eq!(user.taken(), Amounts::NONE);
        let charge = Account::charge(&account, B, slices(100)).map_err(|_| Failed)?;
        assert_eq!(user.taken(), slices(100));
        drop(charge);
        assert_eq!(user.taken(), Amounts::NONE);
        Ok(())
    }

    #[test]
    fn who_holds_nothing_leaves_no_claim_behind() -> Result<(), Failed> {
        let account = account(slices(4))?;
        let all = Account::charge(&account, A, slices(4)).map_err(|_| Failed)?;
        for user in 100..200 {
            assert!(refused(&account, Principal::user(user), slices(1)).is_some());
        }
        assert!(account.claims() <= 17);
        drop(all);
        for user in 200..300 {
            assert!(Account::charge(&account, Principal::user(user), slices(1)).is_ok());
        }
        assert!(account.claims() <= 17);
        Ok(())
    }

    #[test]
    fn a_limit_below_use_grants_nothing_until_use_drops() -> Result<(), Failed> {
        let account = account(slices(9))?;
        let mut charge = Account::charge(&account, A, slices(8)).map_err(|_| Failed)?;
        assert!(account.set_limits(slices(4), false).is_ok());
        assert!(Account::charge(&account, A, slices(1)).is_err());
        assert!(Account::charge(&account, A, Amounts::NONE).is_ok());
        charge.release(slices(5));
        assert!(Account::charge(&account, A, slices(1)).is_ok());
        assert!(Account::charge(&account, A, slices(2)).is_err());
        Ok(())
    }

    #[test]
    fn the_rule_of_2016_leaves_half_of_what_is_left() -> Result<(), Failed> {
        let account = Account::of_2016(Users::enter(&Users::new()?, [A], PLENTY)?, slices(64))?;
        let mut held = KVec::new();
        for got in [32, 16, 8, 4, 2, 1, 0] {
            let who = Principal::user(100 + got);
            let all = all_that_it_gets(&account, who)?;
            assert_eq!(all.len(), got as usize);
            held.push(all, GFP_KERNEL)?;
        }
        let [standing, ..] = account.report().resources;
        assert_eq!((standing.reserve, standing.free), (0, 63));
        // It stays the rule when the limit changes.
        assert!(account.set_limits(slices(128), false).is_ok());
        assert_eq!(all_that_it_gets(&account, B)?.len(), 32);
        Ok(())
    }

    /// Of 64 KiB the last 4 for who has little, and 2 before that for the receiver.
    fn guarded(strict: bool) -> Result<Arc<Account>, Failed> {
        let share = Share::guard(1 << 16, 1 << 12, 1 << 11, 1 << 10, strict);
        Ok(Account::of_bytes(share)?)
    }

    fn bytes(bytes: u32) -> Amounts {
        amounts(0, bytes, 0, 0)
    }

    /// Charges so many bytes, or fails the test.
    fn pay(account: &Arc<Account>, who: Principal, n: u32) -> Result<Charge, Failed> {
        Account::charge(account, who, bytes(n)).map_err(|_| Failed)
    }

    #[test]
    fn a_guard_is_not_in_the_way_of_who_is_alone() -> Result<(), Failed> {
        for strict in [false, true] {
            let account = guarded(strict)?;
            let half = pay(&account, A, 1 << 15)?;
            let rest = pay(&account, A, 1 << 15)?;
            assert!(refused(&account, A, bytes(8)).is_some());
            drop((half, rest));
            let _all = pay(&account, A, 1 << 16)?;
        }
        Ok(())
    }

    #[test]
    fn the_end_is_kept_for_who_has_little() -> Result<(), Failed> {
        let account = guarded(false)?;
        let _one = pay(&account, B, 8)?;
        let _much = pay(&account, A, (1 << 16) - (1 << 12) - (1 << 11) - 8)?;
        // A little of what is kept is for everybody, for as many as it suffices.
        let mut held = KVec::new();
        for who in [1, 2, 3, 4] {
            let who = Principal::user(who);
            assert!(refused(&account, who, bytes(1025)).is_some());
            let some = pay(&account, who, 1000)?;
            assert!(refused(&account, who, bytes(32)).is_some());
            held.push(some, GFP_KERNEL)?;
        }
        assert!(refused(&account, Principal::user(5), bytes(8)).is_some());
        // The receiver has its own.
        let own = pay(&account, Principal::OWN, 1 << 11)?;
        assert!(refused(&account, Principal::OWN, bytes(8)).is_some());
        drop(own);
        Ok(())
    }

    #[test]
    fn who_was_refused_is_there_for_a_while() -> Result<(), Failed> {
        for strict in [false, true] {
            let account = guarded(strict)?;
            let all = pay(&account, A, 1 << 16)?;
            assert!(refused(&account, B, bytes(8)).is_some());
            // However often somebody else is refused after it.
            assert!(refused(&account, A, bytes(8)).is_some());
            drop(all);
            // Whoever finds nothing in use may have all, or not.
            assert_eq!(refused(&account, A, bytes(1 << 16)).is_some(), strict);
            let _most = pay(&account, A, (1 << 16) - (1 << 12) - (1 << 11))?;
            let _little = pay(&account, A, 1 << 10)?;
            assert!(refused(&account, A, bytes(8)).is_some());
            assert!(pay(&account, B, 1 << 10).is_ok());
        }
        Ok(())
    }

    #[test]
    fn raising_a_limit_needs_a_booking_or_the_right() -> Result<(), Failed> {
        let users = Users::new()?;
        let account = Account::new(Users::enter(&users, [A], slices(1024))?, slices(64))?;
        let [standing, ..] = account.report().resources;
        assert_eq!((standing.limit, standing.reserve), (64, 32));
        // The first of the user's peers may book 52 of its 512.
        assert!(account.set_limits(slices(104), false).is_ok());
        assert!(account.set_limits(slices(106), false).is_err());
        let [standing, ..] = account.report().resources;
        assert_eq!((standing.limit, standing.reserve), (104, 52));
        assert!(account.set_limits(slices(2048), true).is_ok());
        let [standing, ..] = account.report().resources;
        assert_eq!((standing.limit, standing.reserve), (2048, 1024));
        assert!(account.set_limits(slices(20), false).is_ok());
        let [standing, ..] = account.report().resources;
        assert_eq!((standing.limit, standing.reserve), (20, 10));
        Ok(())
    }

    #[test]
    fn parts_live_on_their_own() -> Result<(), Failed> {
        let account = account(amounts(9, 99, 9, 9))?;
        let mut charge = Account::charge(&account, A, amounts(1, 8, 1, 2)).map_err(|_| Failed)?;
        let handle = charge.split_handle().ok_or(Failed)?;
        assert!(charge.split_handle().is_none());
        let fds = charge.split(amounts(0, 0, 0, 2)).ok_or(Failed)?;
        assert_eq!(account.report().used, amounts(1, 8, 1, 2));
        drop((charge, fds));
        assert_eq!(account.report().used, amounts(0, 0, 1, 0));
        drop(handle);
        assert_eq!(account.report().used, Amounts::NONE);
        Ok(())
    }

    #[test]
    fn peers_of_a_user_share_what_is_not_booked() -> Result<(), Failed> {
        let users = Users::new()?;
        let peer = |who| -> Result<_, Failed> {
            let seat = Users::enter(&users, [who], slices(200))?;
            Ok(Account::new(seat, slices(400))?)
        };
        let (a, b, other) = (peer(A)?, peer(A)?, peer(B)?);
        let most = Account::charge(&a, A, slices(70)).map_err(|_| Failed)?;
        let over = refused(&b, A, slices(40)).ok_or(Failed)?;
        assert_eq!(over.level, Level::User);
        let rest = Account::charge(&b, A, slices(30)).map_err(|_| Failed)?;
        assert!(Account::charge(&other, A, slices(100)).is_ok());
        // What was booked is there all the same.
        assert!(Account::charge(&b, B, slices(1)).is_ok());
        drop(most);
        assert!(Account::charge(&b, B, slices(60)).is_ok());
        drop(rest);
        Ok(())
    }

    #[test]
    fn a_peer_that_ended_weighs_on_nobody() -> Result<(), Failed> {
        let users = Users::new()?;
        let peer = || -> Result<_, Failed> {
            let seat = Users::enter(&users, [A], slices(200))?;
            Ok(Account::new(seat, slices(400))?)
        };
        let first = peer()?;
        let booked = first.report().resources[0].reserve;
        let charge = Account::charge(&first, B, slices(90)).map_err(|_| Failed)?;
        first.close();
        // Who has begun to send to it goes on, and is told at the end.
        let late = Account::charge(&first, A, slices(90)).map_err(|_| Failed)?;
        let second = peer()?;
        assert_eq!(second.report().resources[0].reserve, booked);
        let all = Account::charge(&second, B, slices(90)).map_err(|_| Failed)?;
        drop((charge, late, first));
        assert_eq!(second.report().used, slices(90));
        drop(all);
        Ok(())
    }

    #[test]
    fn a_user_is_the_same_until_the_last_peer_has_left() -> Result<(), Failed> {
        let users = Users::new()?;
        let enter = || Users::enter(&users, [A], slices(200));
        let (first, second) = (enter()?, enter()?);
        let user = second.user().ok_or(Failed)?.clone();
        assert!(first.user().is_some_and(|other| Arc::ptr_eq(other, &user)));
        drop(first);
        let third = enter()?;
        assert!(third.user().is_some_and(|other| Arc::ptr_eq(other, &user)));
        drop((second, third));
        // Nobody finds it any more, whoever else keeps it.
        let fresh = enter()?;
        assert!(!fresh.user().is_some_and(|other| Arc::ptr_eq(other, &user)));
        assert!(fresh.user().is_some());
        Ok(())
    }

    #[test]
    fn who_pays_for_a_user_is_booked_and_borrowed_from_as_well() -> Result<(), Failed> {
        let users = Users::new()?;
        let inner = |user| -> Result<_, Failed> {
            let seat = Users::enter(&users, [Principal::user(user), B], slices(200))?;
            Ok(Account::new(seat, slices(400))?)
        };
        let (one, two) = (inner(10)?, inner(11)?);
        assert!(two.report().resources[0].reserve < one.report().resources[0].reserve);
        let _most = Account::charge(&one, A, slices(70)).map_err(|_| Failed)?;
        let over = refused(&two, A, slices(40)).ok_or(Failed)?;
        assert_eq!(over.level, Level::User);
        Ok(())
    }

    #[test]
    fn without_a_limit_there_is_nothing_to_share() -> Result<(), Failed> {
        let users = Users::new()?;
        let seat = Users::enter(&users, [A], slices(UNLIMITED))?;
        let account = Account::new(seat, slices(UNLIMITED))?;
        let charge = Account::charge(&account, B, slices(1 << 30)).map_err(|_| Failed)?;
        assert_eq!(account.report().used, slices(1 << 30));
        drop(charge);
        Ok(())
    }
}
