// SPDX-License-Identifier: GPL-2.0

//! Charges: nothing beyond a limit, nothing lost, nothing kept.

use crate::core::{
    quota::{
        Account,
        Amounts,
        Charge,
        HandleCharge,
        Level,
        Limits,
        OverLimit,
        Resource,
        Users, //
    },
    sync::Arc, //
};
use crate::host::fail_allocations_after;
use proptest::prelude::*;

fn amounts(slices: u32, bytes: u32, handles: u32, fds: u32) -> Amounts {
    Amounts {
        slices,
        bytes,
        handles,
        fds,
    }
}

const PLENTY: Limits = Amounts {
    slices: 1 << 20,
    bytes: 1 << 28,
    handles: 1 << 20,
    fds: 1 << 16,
};

fn account(limits: Limits) -> Arc<Account> {
    let users = Users::new().unwrap();
    Account::new(Users::enter(&users, 1, PLENTY).unwrap(), limits).unwrap()
}

#[test]
fn a_limit_is_exact_and_names_what_ran_out() {
    let account = account(amounts(2, 100, 3, 0));
    let first = Account::charge(&account, 7, amounts(1, 60, 3, 0)).unwrap();
    let refused = |need| Account::charge(&account, 8, need).err().unwrap();
    let over = refused(amounts(1, 41, 0, 0));
    let wanted = OverLimit {
        resource: Resource::Bytes,
        level: Level::Peer,
        asked: 41,
        limit: 100,
    };
    assert_eq!((over, over.never_fits()), (wanted, false));
    assert_eq!(refused(amounts(1, 0, 1, 0)).resource, Resource::Handles);
    assert_eq!(refused(amounts(0, 0, 0, 1)).resource, Resource::Fds);
    assert!(refused(amounts(1, 101, 0, 0)).never_fits());
    assert_eq!(account.report().used, amounts(1, 60, 3, 0));
    let second = Account::charge(&account, 8, amounts(1, 40, 0, 0)).unwrap();
    assert_eq!(refused(amounts(1, 0, 0, 0)).resource, Resource::Slices);
    drop((first, second));
    let report = account.report();
    assert_eq!(
        (report.used, report.peak),
        (Amounts::NONE, amounts(2, 100, 3, 0))
    );
    assert_eq!(report.refused, [1, 2, 1, 1]);
    assert_eq!(report.last.unwrap().payer, 8);
}

#[test]
fn a_lowered_limit_takes_nothing_back_but_grants_nothing() {
    let account = account(amounts(10, 0, 0, 0));
    let eight = Account::charge(&account, 1, amounts(8, 0, 0, 0)).unwrap();
    account.set_limits(amounts(4, 0, 0, 0));
    assert!(Account::charge(&account, 1, amounts(1, 0, 0, 0)).is_err());
    assert!(Account::charge(&account, 1, Amounts::NONE).is_ok());
    account.set_limits(amounts(9, 0, 0, 0));
    let one = Account::charge(&account, 1, amounts(1, 0, 0, 0)).unwrap();
    assert!(Account::charge(&account, 1, amounts(1, 0, 0, 0)).is_err());
    drop((eight, one));
    assert_eq!(account.report().used, Amounts::NONE);
}

#[test]
fn parts_live_and_end_on_their_own() {
    let account = account(PLENTY);
    let mut charge = Account::charge(&account, 1, amounts(1, 64, 2, 3)).unwrap();
    let handle = charge.split_handle().unwrap();
    let fds = charge.split(amounts(0, 0, 0, 3)).unwrap();
    assert!(charge.split(amounts(0, 0, 2, 0)).is_none());
    assert!(charge.split(amounts(0, 0, 0, 1)).is_none());
    assert_eq!(charge.amounts(), amounts(1, 64, 1, 0));
    charge.release(amounts(0, 0, 1, 0));
    charge.release(amounts(0, 0, 1, 0));
    assert_eq!(account.report().used, amounts(1, 64, 1, 3));
    drop(charge);
    assert_eq!(account.report().used, amounts(0, 0, 1, 3));
    drop(fds);
    assert_eq!(account.report().used, amounts(0, 0, 1, 0));
    drop(handle);
    assert_eq!(account.report().used, Amounts::NONE);
}

#[test]
fn peers_of_a_user_share_its_limit_and_other_users_do_not() {
    let users = Users::new().unwrap();
    let limits = amounts(10, 1000, 10, 10);
    let peer =
        |number| Account::new(Users::enter(&users, number, limits).unwrap(), limits).unwrap();
    let (a, b, other) = (peer(1), peer(1), peer(2));
    let most = Account::charge(&a, 9, amounts(7, 0, 0, 0)).unwrap();
    let rest = Account::charge(&b, 9, amounts(3, 0, 0, 0)).unwrap();
    let over = Account::charge(&b, 9, amounts(1, 0, 0, 0)).err().unwrap();
    assert_eq!((over.level, over.resource), (Level::User, Resource::Slices));
    let elsewhere = Account::charge(&other, 9, amounts(10, 0, 0, 0)).unwrap();
    drop(most);
    let again = Account::charge(&b, 9, amounts(6, 0, 0, 0)).unwrap();
    drop((rest, again, elsewhere, a, b, other));
    // With the last peer, the user is forgotten; the next one sets the limits anew.
    let fresh = Account::new(
        Users::enter(&users, 1, amounts(1, 0, 0, 0)).unwrap(),
        limits,
    )
    .unwrap();
    assert!(Account::charge(&fresh, 9, amounts(2, 0, 0, 0)).is_err());
}

#[test]
fn a_charge_outlives_its_peer_and_still_counts() {
    let users = Users::new().unwrap();
    let limits = amounts(1, 0, 0, 0);
    let peer = || Account::new(Users::enter(&users, 1, limits).unwrap(), limits).unwrap();
    let first = peer();
    let charge = Account::charge(&first, 1, amounts(1, 0, 0, 0)).unwrap();
    drop(first);
    let second = peer();
    assert!(Account::charge(&second, 1, amounts(1, 0, 0, 0)).is_err());
    drop(charge);
    drop(Account::charge(&second, 1, amounts(1, 0, 0, 0)).unwrap());
}

#[test]
fn entering_without_memory_leaves_no_trace() {
    let users = Users::new().unwrap();
    for count in 0..2 {
        fail_allocations_after(Some(count));
        let failed = Users::enter(&users, 5, PLENTY).is_err();
        fail_allocations_after(None);
        assert!(failed, "allocation {count}");
    }
    let seat = Users::enter(&users, 5, amounts(1, 0, 0, 0)).unwrap();
    let account = Account::new(seat, PLENTY).unwrap();
    assert!(Account::charge(&account, 1, amounts(2, 0, 0, 0)).is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Charge(usize, Amounts),
    Split(prop::sample::Index, Amounts),
    SplitHandle(prop::sample::Index),
    Drop(prop::sample::Index),
    DropHandle,
    Limit(usize, Limits),
}

fn some() -> impl Strategy<Value = Amounts> {
    (0u32..3, 0u32..3000, 0u32..4, 0u32..3).prop_map(|(s, b, h, f)| amounts(s, b, h, f))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = any::<prop::sample::Index>;
    let step = prop_oneof![
        6 => (0usize..2, some()).prop_map(|(peer, need)| Step::Charge(peer, need)),
        2 => (index(), some()).prop_map(|(which, part)| Step::Split(which, part)),
        2 => index().prop_map(Step::SplitHandle),
        4 => index().prop_map(Step::Drop),
        1 => Just(Step::DropHandle),
        1 => (0usize..2, some()).prop_map(|(peer, limits)| Step::Limit(peer, limits)),
    ];
    prop::collection::vec(step, 0..100)
}

fn sum(mut one: Amounts, other: Amounts) -> Amounts {
    for resource in Resource::ALL {
        *one.get_mut(resource) += other.get(resource);
    }
    one
}

fn fits(used: Amounts, need: Amounts, limits: Limits) -> bool {
    Resource::ALL
        .iter()
        .all(|r| need.get(*r) == 0 || used.get(*r) + need.get(*r) <= limits.get(*r))
}

proptest! {
    #![proptest_config(crate::cases(300))]

    /// Against plain sums. The user's limits are small, so that its portions are single units.
    #[test]
    fn agrees_with_plain_sums(steps in steps()) {
        let users = Users::new().unwrap();
        let (of_user, of_peer) = (amounts(9, 8000, 12, 7), amounts(6, 6000, 9, 5));
        let seat = || Users::enter(&users, 1, of_user).unwrap();
        let peers = [(); 2].map(|()| Account::new(seat(), of_peer).unwrap());
        let (mut limits, mut sums) = ([of_peer; 2], [Amounts::NONE; 2]);
        let mut charges: Vec<(usize, Charge)> = Vec::new();
        let mut handles: Vec<(usize, HandleCharge)> = Vec::new();
        for step in steps {
            match step {
                Step::Charge(peer, need) => {
                    let all = sum(sums[0], sums[1]);
                    let wanted = fits(sums[peer], need, limits[peer]) && fits(all, need, of_user);
                    let got = Account::charge(&peers[peer], 1, need);
                    prop_assert_eq!(got.is_ok(), wanted);
                    if let Ok(charge) = got {
                        sums[peer] = sum(sums[peer], need);
                        charges.push((peer, charge));
                    }
                }
                Step::Split(which, part) if !charges.is_empty() => {
                    let place = which.index(charges.len());
                    let (peer, charge) = &mut charges[place];
                    let (peer, before) = (*peer, charge.amounts());
                    let split = charge.split(part);
                    prop_assert_eq!(split.is_some(), before.checked_sub(part).is_some());
                    charges.extend(split.map(|split| (peer, split)));
                }
                Step::SplitHandle(which) if !charges.is_empty() => {
                    let place = which.index(charges.len());
                    let (peer, charge) = &mut charges[place];
                    handles.extend(charge.split_handle().map(|handle| (*peer, handle)));
                }
                Step::Drop(which) if !charges.is_empty() => {
                    let (peer, charge) = charges.swap_remove(which.index(charges.len()));
                    sums[peer] = sums[peer].checked_sub(charge.amounts()).unwrap();
                }
                Step::DropHandle => {
                    if let Some((peer, _handle)) = handles.pop() {
                        sums[peer].handles -= 1;
                    }
                }
                Step::Limit(peer, new) => {
                    limits[peer] = new;
                    peers[peer].set_limits(new);
                }
                _ => {}
            }
            for peer in 0..2 {
                prop_assert_eq!(peers[peer].report().used, sums[peer]);
            }
        }
        drop((charges, handles));
        for peer in &peers {
            prop_assert_eq!(peer.report().used, Amounts::NONE);
        }
    }
}
