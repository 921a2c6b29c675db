// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_pool`: slices of a receiver's memory.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_pool))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        core::{
            pool::{
                AccessError,
                OutOfSlice,
                Pool,
                PoolError,
                Slice, //
            },
            quota::{
                Account,
                Amounts,
                Charge, //
            },
            sync::Arc, //
        },
        testbed::*, //
    };

    fn pay(owner: &crate::core::peer::Peer<T>, len: usize) -> Result<Charge, Failed> {
        let need = Amounts {
            slices: 1,
            bytes: Pool::<Store>::price(len).ok_or(Failed)?,
            ..Amounts::NONE
        };
        Account::charge(owner.account(), USER, need).map_err(|_| Failed)
    }

    fn pool(owner: &crate::core::peer::Peer<T>) -> Result<&Arc<Pool<Store>>, Failed> {
        owner.pool().ok_or(Failed)
    }

    fn reserve(owner: &crate::core::peer::Peer<T>, len: usize) -> Result<Slice<Store>, PoolError> {
        let charge = pay(owner, len).map_err(|_| PoolError::NoMemory)?;
        let pool = pool(owner).map_err(|_| PoolError::NoMemory)?;
        Pool::reserve(pool, len, charge)
    }

    #[test]
    fn what_is_written_is_read_and_padding_is_zero() -> Result<(), Failed> {
        let owner = peer(1)?;
        let mut old = reserve(&owner, 16).map_err(|_| Failed)?;
        old.write(0, &[9; 16]).map_err(|_| Failed)?;
        drop(old);
        let mut slice = reserve(&owner, 13).map_err(|_| Failed)?;
        slice.write(0, &[1, 2, 3]).map_err(|_| Failed)?;
        slice.zero(3..8).map_err(|_| Failed)?;
        assert_eq!(slice.write(8, &[0; 6]), Err(OutOfSlice));
        let mut bytes = [5; 13];
        slice.read(0, &mut bytes).map_err(|_| Failed)?;
        assert_eq!(bytes, [1, 2, 3, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9]);
        drop(slice);
        let mut whole = reserve(&owner, 16).map_err(|_| Failed)?;
        let mut padding = [5; 3];
        whole.read(13, &mut padding).map_err(|_| Failed)?;
        assert_eq!(padding, [0; 3]);
        Ok(())
    }

    #[test]
    fn chunks_cover_the_range_and_stop_at_an_error() -> Result<(), Failed> {
        let owner = peer(1)?;
        let mut slice = reserve(&owner, POOL).map_err(|_| Failed)?;
        let mut total = 0;
        let walked = slice.for_each_chunk(100..POOL - 100, |chunk| {
            total += chunk.len();
            Ok::<(), ()>(())
        });
        assert!(walked.is_ok());
        assert_eq!(total, POOL - 200);
        let stopped = slice.for_each_chunk(0..8, |_| Err(3));
        assert_eq!(stopped, Err(AccessError::Chunk(3)));
        let outside = slice.for_each_chunk(0..POOL + 1, |_| Err(3));
        assert_eq!(outside, Err(AccessError::OutOfSlice));
        Ok(())
    }

    #[test]
    fn what_is_to_be_cleared_is_gone() -> Result<(), Failed> {
        let owner = peer(1)?;
        let mut secret = reserve(&owner, 64).map_err(|_| Failed)?;
        secret.write(0, &[7; 64]).map_err(|_| Failed)?;
        secret.clear_on_drop();
        let offset = secret.offset();
        drop(secret);
        let mut slice = reserve(&owner, 64).map_err(|_| Failed)?;
        let mut bytes = [1; 64];
        slice.read(0, &mut bytes).map_err(|_| Failed)?;
        assert_eq!((slice.offset(), bytes), (offset, [0; 64]));
        Ok(())
    }

    #[test]
    fn a_refused_slice_gives_its_charge_back() -> Result<(), Failed> {
        let owner = peer(1)?;
        let small = pay(&owner, 8)?;
        let refused = Pool::reserve(pool(&owner)?, 9, small);
        assert!(matches!(refused, Err(PoolError::TooLarge)));
        let half = reserve(&owner, POOL / 2).map_err(|_| Failed)?;
        let rest = reserve(&owner, POOL / 2).map_err(|_| Failed)?;
        drop(half);
        let split = reserve(&owner, 8).map_err(|_| Failed)?;
        assert!(reserve(&owner, POOL / 2 - 8).is_ok());
        drop((rest, split));
        assert!(balanced(&owner));
        Ok(())
    }
}
