// SPDX-License-Identifier: GPL-2.0

//! Charges under random programs: what is promised is granted, nothing beyond a limit, nothing kept.

use crate::core::{
    charge::HandleCharge,
    quota::{
        Account,
        Amounts,
        Charge,
        ChargeError,
        Level,
        Limits,
        Principal,
        Resource,
        Users, //
    },
    share::Share,
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

const OWNER: Principal = Principal::user(1);

const PLENTY: Limits = Amounts {
    slices: 1 << 20,
    bytes: 1 << 28,
    handles: 1 << 20,
    fds: 1 << 16,
};

fn account(users: &Arc<Users>, of_user: Limits, limits: Limits) -> Arc<Account> {
    Account::new(Users::enter(users, [OWNER], of_user).unwrap(), limits).unwrap()
}

#[test]
fn without_memory_nothing_is_charged_and_nobody_entered() {
    let users = Users::new().unwrap();
    for count in 0..3 {
        fail_allocations_after(Some(count));
        let failed = Users::enter(&users, [OWNER], PLENTY).is_err();
        fail_allocations_after(None);
        assert!(failed, "allocation {count}");
    }
    // Limits of a user are those that it is entered with first.
    let small = amounts(64, 0, 0, 0);
    let account = account(&users, small, PLENTY);
    fail_allocations_after(Some(0));
    let charge = Account::charge(&account, OWNER, amounts(1, 0, 0, 0));
    fail_allocations_after(None);
    assert_eq!(charge.err(), Some(ChargeError::NoMemory));
    assert_eq!(account.report().used, Amounts::NONE);
    assert!(account.report().resources[0].reserve < 32);
}

#[test]
fn a_claim_that_is_used_again_and_again_needs_no_memory() {
    let account = account(&Users::new().unwrap(), PLENTY, PLENTY);
    let one = amounts(1, 64, 0, 0);
    for user in 2..10 {
        drop(Account::charge(&account, Principal::user(user), one).unwrap());
    }
    fail_allocations_after(Some(0));
    for user in 2..10 {
        drop(Account::charge(&account, Principal::user(user), one).unwrap());
    }
    fail_allocations_after(None);
}

#[derive(Clone, Debug)]
enum Step {
    Charge(u32, Amounts),
    Split(prop::sample::Index, Amounts),
    SplitHandle(prop::sample::Index),
    Drop(prop::sample::Index),
    DropHandle(prop::sample::Index),
    Limit(Limits),
}

fn some() -> impl Strategy<Value = Amounts> {
    (0u32..6, 0u32..3000, 0u32..6, 0u32..3).prop_map(|(s, b, h, f)| amounts(s, b, h, f))
}

fn limits() -> impl Strategy<Value = Limits> {
    (0u32..200, 0u32..40000, 0u32..200, 0u32..40).prop_map(|(s, b, h, f)| amounts(s, b, h, f))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = any::<prop::sample::Index>;
    let step = prop_oneof![
        12 => (1u32..20, some()).prop_map(|(who, need)| Step::Charge(who, need)),
        2 => (index(), some()).prop_map(|(which, part)| Step::Split(which, part)),
        2 => index().prop_map(Step::SplitHandle),
        6 => index().prop_map(Step::Drop),
        1 => index().prop_map(Step::DropHandle),
        1 => limits().prop_map(Step::Limit),
    ];
    prop::collection::vec(step, 0..150)
}

/// What each principal holds of the reserve, as far as that can be told from outside: a request is
/// served from there while it fits.
struct World {
    account: Arc<Account>,
    charges: Vec<Charge>,
    handles: Vec<HandleCharge>,
    sum: Amounts,
}

impl World {
    fn play(&mut self, step: Step) {
        match step {
            Step::Charge(who, need) => self.charge(Principal::user(who), need),
            Step::Split(which, part) if !self.charges.is_empty() => {
                let place = which.index(self.charges.len());
                let before = self.charges[place].amounts();
                let split = self.charges[place].split(part);
                assert_eq!(split.is_some(), before.checked_sub(part).is_some());
                self.charges.extend(split);
            }
            Step::SplitHandle(which) if !self.charges.is_empty() => {
                let place = which.index(self.charges.len());
                self.handles.extend(self.charges[place].split_handle());
            }
            Step::Drop(which) if !self.charges.is_empty() => {
                let charge = self.charges.swap_remove(which.index(self.charges.len()));
                self.sum = self.sum.checked_sub(charge.amounts()).unwrap();
            }
            Step::DropHandle(which) if !self.handles.is_empty() => {
                drop(self.handles.swap_remove(which.index(self.handles.len())));
                self.sum.handles -= 1;
            }
            Step::Limit(limits) => {
                let before = self.account.report().limits;
                if self.account.set_limits(limits, false).is_err() {
                    assert_eq!(self.account.report().limits, before);
                }
            }
            _ => {}
        }
        self.check();
    }

    fn charge(&mut self, who: Principal, need: Amounts) {
        let before = self.account.report();
        match Account::charge(&self.account, who, need) {
            Ok(charge) => {
                for resource in Resource::ALL {
                    *self.sum.get_mut(resource) += need.get(resource);
                }
                self.charges.push(charge);
            }
            Err(ChargeError::Over(over)) => {
                let after = self.account.report();
                let last = after.last.unwrap();
                assert_eq!((last.principal, last, after.used), (who, over, before.used));
                // What the principal could have held of the reserve was not enough for this.
                let standing = before.resources[over.resource as usize];
                assert!(standing.reserve == 0 || over.asked > last.cap.saturating_sub(last.held));
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    fn check(&self) {
        let report = self.account.report();
        assert_eq!(report.used, self.sum);
    }
}

proptest! {
    #![proptest_config(crate::cases(400))]

    /// Whatever others hold and however they came by it: who has little is granted a little, as long
    /// as there are not more of them than what is kept suffices for.
    #[test]
    fn a_guard_keeps_a_little_for_everybody(
        requests in prop::collection::vec((0u32..24, 1u32..9000, any::<bool>()), 1..300),
    ) {
        let account = Account::of_bytes(Share::guard(1 << 17, 1 << 15, 1 << 13, 1024, true)).unwrap();
        // Somebody else is always there.
        let _first = Account::charge(&account, OWNER, amounts(0, 8, 0, 0)).unwrap();
        let mut held: Vec<(u32, Charge)> = Vec::new();
        for (who, size, back) in requests {
            if back && !held.is_empty() {
                drop(held.swap_remove(size as usize % held.len()));
            }
            let own: u32 = held
                .iter()
                .filter(|(one, _)| *one == who)
                .map(|(_, charge)| charge.amounts().bytes)
                .sum();
            let charge = Account::charge(&account, Principal::user(100 + who), amounts(0, size, 0, 0));
            prop_assert!(charge.is_ok() || own + size > 1024);
            held.extend(charge.ok().map(|charge| (who, charge)));
            prop_assert!(account.report().used.bytes <= 1 << 17);
        }
        held.clear();
        prop_assert_eq!(account.report().used.bytes, 8);
    }

    #[test]
    fn what_is_within_the_cap_is_granted_and_sums_are_kept(steps in steps()) {
        let users = Users::new().unwrap();
        let of_user = amounts(400, 100_000, 400, 80);
        let mut world = World {
            account: account(&users, of_user, amounts(160, 30_000, 160, 32)),
            charges: Vec::new(),
            handles: Vec::new(),
            sum: Amounts::NONE,
        };
        for step in steps {
            world.play(step);
        }
        world.charges.clear();
        world.handles.clear();
        let report = world.account.report();
        prop_assert_eq!(report.used, Amounts::NONE);
        prop_assert!(report.resources.iter().all(|standing| standing.principals == 0));
    }

    /// As long as nobody changes the limits, the reserve is never exceeded, and the last one to come
    /// is granted its cap.
    #[test]
    fn the_reserve_suffices(
        limit in 16u32..20_000,
        requests in prop::collection::vec((1u32..200, 1u32..64, any::<bool>()), 1..400),
    ) {
        let account = account(&Users::new().unwrap(), PLENTY, amounts(limit, 0, 0, 0));
        let mut held: Vec<(u32, Charge)> = Vec::new();
        for (who, slices, release) in requests {
            if release {
                held.retain(|(holder, _)| *holder != who);
            }
            let need = amounts(slices, 0, 0, 0);
            if let Ok(charge) = Account::charge(&account, Principal::user(who), need) {
                held.push((who, charge));
            }
            let standing = account.report().resources[0];
            prop_assert!(standing.reserved <= standing.reserve);
            prop_assert!(standing.free <= limit - standing.reserve);
        }
        let standing = account.report().resources[0];
        let cap = Share::new(limit, standing.reserve, 1).cap(standing.principals + 1);
        let newcomer = Principal::user(1000);
        prop_assert!(Account::charge(&account, newcomer, amounts(cap, 0, 0, 0)).is_ok());
    }

    /// All peers of a user together book no more than half of what it may have.
    #[test]
    fn bookings_fit_the_user(peers in 1usize..300, slices in 16u32..100_000) {
        let users = Users::new().unwrap();
        let of_user = amounts(slices, 0, 0, 0);
        let all: Vec<_> = (0..peers)
            .map(|_| account(&users, of_user, amounts(16_384, 0, 0, 0)))
            .collect();
        let booked: u64 = all
            .iter()
            .map(|account| u64::from(account.report().resources[0].reserve))
            .sum();
        prop_assert!(booked <= u64::from(slices / 2));
        prop_assert!(all.iter().all(|account| account.report().limits.slices == 16_384));
    }
}

#[test]
fn a_level_is_named() {
    let users = Users::new().unwrap();
    let account = account(&users, amounts(64, 0, 0, 0), amounts(1000, 0, 0, 0));
    let _most = Account::charge(&account, OWNER, amounts(30, 0, 0, 0)).unwrap();
    match Account::charge(&account, OWNER, amounts(10, 0, 0, 0)) {
        Err(ChargeError::Over(over)) => assert_eq!(over.level, Level::User),
        _ => panic!("it was granted"),
    }
}

/// What the last one gets of an account if one after the other takes all it can and never lets go.
fn last_after(account: &Arc<Account>, attackers: u32) -> u32 {
    let mut held = Vec::new();
    let mut got = 0;
    for user in 0..=attackers {
        got = 0;
        while let Ok(charge) =
            Account::charge(account, Principal::user(user + 2), amounts(1, 0, 0, 0))
        {
            got += 1;
            held.push(charge);
        }
    }
    got
}

/// By the rule of 2016, by which a sender may hold half of what is left to it.
fn of_2016(limit: u32, attackers: u32) -> u32 {
    let seat = Users::enter(&Users::new().unwrap(), [OWNER], PLENTY).unwrap();
    let account = Account::of_2016(seat, amounts(limit, 0, 0, 0)).unwrap();
    last_after(&account, attackers)
}

/// By ours: what the last one gets, and what it was promised.
fn of_ours(limit: u32, attackers: u32) -> (u32, u32) {
    let account = account(&Users::new().unwrap(), PLENTY, amounts(limit, 0, 0, 0));
    assert_eq!(account.report().resources[0].reserve, limit / 2);
    let got = last_after(&account, attackers);
    (got, Share::new(limit, limit / 2, 1).cap(attackers + 1))
}

/// The table of `docs/accounting.md`. `cargo test newcomer -- --nocapture` prints it.
#[test]
fn a_newcomer_gets_what_the_rule_of_2016_denies_it() {
    println!("| attackers | 1024: 2016 | ours | promised | 16384: 2016 | ours | promised |");
    println!("|---|---|---|---|---|---|---|");
    for attackers in [1, 2, 5, 10, 20, 100, 1000] {
        let row = [1024, 16_384].map(|limit| {
            let (got, promised) = of_ours(limit, attackers);
            assert!(got >= promised);
            (of_2016(limit, attackers), got, promised)
        });
        let [small, large] = row;
        println!(
            "| {attackers} | {} | {} | {} | {} | {} | {} |",
            small.0, small.1, small.2, large.0, large.1, large.2
        );
        // The test sees the attack: under the old rule there is nothing left.
        if attackers >= 20 {
            assert_eq!((small.0, large.0), (0, 0));
            assert!(large.1 > 0);
        }
    }
}
