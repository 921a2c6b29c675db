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
                Level,
                Limits,
                Resource,
                Users, //
            },
            sync::Arc, //
        },
        testbed::Failed, //
    };

    fn amounts(slices: u32, bytes: u32, handles: u32, fds: u32) -> Amounts {
        Amounts {
            slices,
            bytes,
            handles,
            fds,
        }
    }

    fn account(users: &Arc<Users>, user: u64, limits: Limits) -> Result<Arc<Account>, Failed> {
        let of_user = amounts(10, 1000, 10, 10);
        Ok(Account::new(Users::enter(users, user, of_user)?, limits)?)
    }

    #[test]
    fn limits_are_exact_and_named() -> Result<(), Failed> {
        let users = Users::new()?;
        let account = account(&users, 1, amounts(2, 100, 1, 0))?;
        let charge = Account::charge(&account, 7, amounts(1, 60, 1, 0)).map_err(|_| Failed)?;
        let over = Account::charge(&account, 7, amounts(1, 41, 0, 0))
            .err()
            .ok_or(Failed)?;
        assert_eq!((over.resource, over.level), (Resource::Bytes, Level::Peer));
        assert_eq!(
            (over.asked, over.limit, over.never_fits()),
            (41, 100, false)
        );
        let over = Account::charge(&account, 7, amounts(1, 0, 2, 0))
            .err()
            .ok_or(Failed)?;
        assert!(over.never_fits());
        assert_eq!(account.report().used, amounts(1, 60, 1, 0));
        drop(charge);
        let report = account.report();
        assert_eq!(
            (report.used, report.peak),
            (Amounts::NONE, amounts(1, 60, 1, 0))
        );
        assert_eq!(report.refused, [0, 1, 1, 0]);
        assert_eq!(report.last.map(|last| last.payer), Some(7));
        Ok(())
    }

    #[test]
    fn a_limit_below_use_grants_nothing_until_use_drops() -> Result<(), Failed> {
        let users = Users::new()?;
        let account = account(&users, 1, amounts(9, 0, 0, 0))?;
        let mut charge = Account::charge(&account, 1, amounts(8, 0, 0, 0)).map_err(|_| Failed)?;
        account.set_limits(amounts(4, 0, 0, 0));
        assert!(Account::charge(&account, 1, amounts(1, 0, 0, 0)).is_err());
        charge.release(amounts(5, 0, 0, 0));
        assert!(Account::charge(&account, 1, amounts(1, 0, 0, 0)).is_ok());
        assert!(Account::charge(&account, 1, amounts(2, 0, 0, 0)).is_err());
        Ok(())
    }

    #[test]
    fn parts_live_on_their_own() -> Result<(), Failed> {
        let users = Users::new()?;
        let account = account(&users, 1, amounts(9, 99, 9, 9))?;
        let mut charge = Account::charge(&account, 1, amounts(1, 8, 1, 2)).map_err(|_| Failed)?;
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
    fn peers_of_a_user_share_its_limit() -> Result<(), Failed> {
        let users = Users::new()?;
        let limits = amounts(10, 0, 0, 0);
        let (a, b) = (account(&users, 1, limits)?, account(&users, 1, limits)?);
        let other = account(&users, 2, limits)?;
        let most = Account::charge(&a, 1, amounts(7, 0, 0, 0)).map_err(|_| Failed)?;
        let over = Account::charge(&b, 1, amounts(4, 0, 0, 0))
            .err()
            .ok_or(Failed)?;
        assert_eq!(over.level, Level::User);
        let rest = Account::charge(&b, 1, amounts(3, 0, 0, 0)).map_err(|_| Failed)?;
        assert!(Account::charge(&other, 1, amounts(10, 0, 0, 0)).is_ok());
        drop(a);
        assert!(Account::charge(&b, 1, amounts(1, 0, 0, 0)).is_err());
        drop((most, rest));
        assert!(Account::charge(&b, 1, amounts(10, 0, 0, 0)).is_ok());
        Ok(())
    }
}
