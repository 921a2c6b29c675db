// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_reclaim`: pages of free ranges are given back.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_reclaim))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        core::{
            pool::{
                Effort,
                PageStore,
                Pool,
                Slice, //
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
        },
        testbed::*, //
    };

    /// What the tests' pools are sent by.
    fn account() -> Result<Arc<Account>, Failed> {
        let much = Amounts {
            slices: u32::MAX,
            bytes: u32::MAX,
            ..Amounts::NONE
        };
        let seat = Users::enter(&Users::new()?, [USER], much)?;
        Ok(Account::new(seat, much)?)
    }

    fn reserve(
        pool: &Arc<Pool<Store>>,
        account: &Arc<Account>,
        len: usize,
    ) -> Result<Slice<Store>, Failed> {
        let need = Amounts {
            slices: 1,
            bytes: Pool::<Store>::price(len).ok_or(Failed)?,
            ..Amounts::NONE
        };
        let charge = Account::charge(account, USER, need).map_err(|_| Failed)?;
        Pool::reserve(pool, len, charge).map_err(|_| Failed)
    }

    fn bytes(slice: &mut Slice<Store>) -> Result<[u8; 16], Failed> {
        let mut bytes = [1; 16];
        slice.read(0, &mut bytes).map_err(|_| Failed)?;
        Ok(bytes)
    }

    #[test]
    fn whole_pages_of_free_ranges_go_and_come_back_empty() -> Result<(), Failed> {
        let account = account()?;
        let before = counted("pages-reclaimed");
        let pool = Pool::new(Store::new(8 * PAGE_SIZE)?)?;
        let mut low = reserve(&pool, &account, 16)?;
        let mut middle = reserve(&pool, &account, 4 * PAGE_SIZE)?;
        let mut high = reserve(&pool, &account, 16)?;
        for (slice, mark) in [(&mut low, 2), (&mut middle, 3), (&mut high, 4)] {
            slice.write(0, &[mark; 16]).map_err(|_| Failed)?;
        }
        assert_eq!((pool.freeable(), pool.store().present()), (0, 5));
        drop(middle);
        // The ends of the free range lie in pages that others use.
        assert_eq!(pool.reclaim(usize::MAX, Effort::Try), 3);
        assert_eq!(pool.reclaim(usize::MAX, Effort::Try), 0);
        assert_eq!((bytes(&mut low)?, bytes(&mut high)?), ([2; 16], [4; 16]));
        let mut again = reserve(&pool, &account, 4 * PAGE_SIZE)?;
        assert_eq!(pool.store().present(), 5);
        let mut page = [1; 16];
        again.read(PAGE_SIZE, &mut page).map_err(|_| Failed)?;
        assert_eq!(page, [0; 16]);
        drop((low, again, high));
        assert_eq!(pool.reclaim(usize::MAX, Effort::Wait), 5);
        assert_eq!((pool.freeable(), pool.store().present()), (0, 0));
        assert_eq!(counted("pages-reclaimed") - before, 3 + 5);
        Ok(())
    }

    #[test]
    fn what_was_given_back_last_is_free_too() -> Result<(), Failed> {
        let account = account()?;
        let pool = Pool::new(Store::new(5 * PAGE_SIZE)?)?;
        // With nothing in use they would be merged at once.
        let _kept = reserve(&pool, &account, PAGE_SIZE)?;
        drop(reserve(&pool, &account, 2 * PAGE_SIZE)?);
        drop(reserve(&pool, &account, PAGE_SIZE / 2)?);
        drop(reserve(&pool, &account, PAGE_SIZE / 2)?);
        // Two ranges that are kept whole for the next of their size make three pages.
        assert_eq!(pool.freeable(), 3);
        assert_eq!(pool.reclaim(usize::MAX, Effort::Try), 3);
        Ok(())
    }

    #[test]
    fn pools_are_asked_as_long_as_they_are_listed() -> Result<(), Failed> {
        let account = account()?;
        let pools = Pools::new()?;
        let one = Member::new(&pools, Store::new(4 * PAGE_SIZE)?)?;
        let two = Member::new(&pools, Store::new(4 * PAGE_SIZE)?)?;
        for member in [&one, &two] {
            drop(reserve(member.pool(), &account, 3 * PAGE_SIZE)?);
        }
        assert_eq!(pools.freeable(), 6);
        assert_eq!(pools.reclaim(1), 3);
        assert_eq!(pools.freeable(), 3);
        assert_eq!((pools.reclaim(100), pools.reclaim(100)), (3, 0));
        drop(reserve(two.pool(), &account, PAGE_SIZE)?);
        drop(two);
        assert_eq!((pools.freeable(), pools.reclaim(100)), (0, 0));
        Ok(())
    }
}
