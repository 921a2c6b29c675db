// SPDX-License-Identifier: GPL-2.0

//! Pools and slices, over pages that are plain memory.

use crate::core::{
    pool::{
        AccessError,
        Effort,
        OutOfSlice,
        PageStore,
        Pool,
        PoolError,
        Slice,
        KEEP, //
    },
    quota::{
        Account,
        Amounts,
        Charge,
        Principal,
        Users, //
    },
    sync::{
        Arc,
        PAGE_SIZE, //
    },
};
use crate::host::{
    fail_allocations_after,
    Pages, //
};
use proptest::prelude::*;

const MANY: Amounts = Amounts {
    slices: u32::MAX,
    bytes: u32::MAX,
    handles: u32::MAX,
    fds: u32::MAX,
};

fn account() -> Arc<Account> {
    let users = Users::new().unwrap();
    Account::new(
        Users::enter(&users, [Principal::user(1)], MANY).unwrap(),
        MANY,
    )
    .unwrap()
}

fn pool(pages: usize) -> Arc<Pool<Pages>> {
    Pool::new(Pages::new(pages * PAGE_SIZE)).unwrap()
}

fn pay(account: &Arc<Account>, len: usize) -> Charge {
    let need = Amounts {
        slices: 1,
        bytes: Pool::<Pages>::price(len).unwrap(),
        ..Amounts::NONE
    };
    Account::charge(account, Principal::user(1), need).unwrap()
}

fn reserve(
    pool: &Arc<Pool<Pages>>,
    account: &Arc<Account>,
    len: usize,
) -> Result<Slice<Pages>, PoolError> {
    Pool::reserve(pool, len, pay(account, len))
}

fn seen(pool: &Pool<Pages>, slice: &Slice<Pages>) -> Vec<u8> {
    pool.store().see(slice.offset(), slice.len())
}

#[test]
fn what_is_written_is_what_the_receiver_sees() {
    let (pool, account) = (pool(4), account());
    let first = reserve(&pool, &account, 100).unwrap();
    let mut slice = reserve(&pool, &account, 2 * PAGE_SIZE).unwrap();
    let bytes: Vec<u8> = (0..2 * PAGE_SIZE).map(|at| (at % 251) as u8).collect();
    slice.write(0, &bytes[..5]).unwrap();
    let mut chunks = Vec::new();
    let mut source = bytes[5..].iter();
    slice
        .for_each_chunk::<()>(5..bytes.len(), |chunk| {
            chunks.push(chunk.len());
            chunk
                .iter_mut()
                .zip(&mut source)
                .for_each(|(to, from)| *to = *from);
            Ok(())
        })
        .unwrap();
    assert_eq!(slice.write(bytes.len(), &[0]), Err(OutOfSlice));
    assert_eq!(chunks, [PAGE_SIZE - 104 - 5, PAGE_SIZE, 104]);
    assert_eq!(seen(&pool, &slice), bytes);
    let mut back = vec![0; 300];
    slice.read(PAGE_SIZE - 250, &mut back).unwrap();
    assert_eq!(back, bytes[PAGE_SIZE - 250..][..300]);
    assert_eq!(first.offset(), 0);
    assert_eq!(pool.used(), 104 + 2 * PAGE_SIZE);
}

#[test]
fn padding_is_zero_and_clearing_leaves_nothing() {
    let (pool, account) = (pool(1), account());
    let mut secret = reserve(&pool, &account, 64).unwrap();
    secret.write(0, &[7; 64]).unwrap();
    drop(secret);
    let mut slice = reserve(&pool, &account, 59).unwrap();
    assert_eq!(pool.store().see(slice.offset() + 59, 5), [0; 5]);
    assert_eq!(seen(&pool, &slice), [7; 59]);
    slice.write(0, &[1; 3]).unwrap();
    slice.zero(3..8).unwrap();
    slice.zero(8..8).unwrap();
    assert_eq!(seen(&pool, &slice)[..9], [1, 1, 1, 0, 0, 0, 0, 0, 7]);
    slice.clear_on_drop();
    let offset = slice.offset();
    drop(slice);
    assert_eq!(pool.store().see(offset, 64), [0; 64]);
}

#[test]
fn an_error_stops_and_a_range_outside_touches_nothing() {
    let (pool, account) = (pool(4), account());
    let mut slice = reserve(&pool, &account, 3 * PAGE_SIZE).unwrap();
    let mut calls = 0;
    let result = slice.for_each_chunk(0..3 * PAGE_SIZE, |_| {
        calls += 1;
        if calls == 2 {
            Err("fault")
        } else {
            Ok(())
        }
    });
    assert_eq!((result, calls), (Err(AccessError::Chunk("fault")), 2));
    for range in [
        0..3 * PAGE_SIZE + 1,
        5..usize::MAX,
        std::ops::Range { start: 2, end: 1 },
    ] {
        let result = slice.for_each_chunk::<()>(range.clone(), |_| panic!("touched"));
        assert_eq!(result, Err(AccessError::OutOfSlice));
        assert_eq!(slice.zero(range), Err(OutOfSlice));
    }
    assert_eq!(slice.write(usize::MAX, &[0; 2]), Err(OutOfSlice));
    assert_eq!(slice.read(3 * PAGE_SIZE, &mut [0]), Err(OutOfSlice));
}

#[test]
fn a_refused_slice_costs_nothing() {
    let (pool, account) = (pool(2), account());
    let refused = |len, charge| Pool::reserve(&pool, len, charge).err();
    assert_eq!(refused(16, pay(&account, 8)), Some(PoolError::TooLarge));
    let nothing = Account::charge(&account, Principal::user(1), Amounts::NONE).unwrap();
    assert_eq!(refused(0, nothing), Some(PoolError::TooLarge));
    assert_eq!(
        refused(2 * PAGE_SIZE + 1, pay(&account, 3 * PAGE_SIZE)),
        Some(PoolError::TooLarge)
    );
    assert_eq!(
        refused(usize::MAX, pay(&account, 8)),
        Some(PoolError::TooLarge)
    );
    let half = reserve(&pool, &account, PAGE_SIZE + 8).unwrap();
    assert_eq!(
        refused(PAGE_SIZE, pay(&account, PAGE_SIZE)),
        Some(PoolError::NoSpace)
    );
    drop(half);
    assert_eq!((pool.used(), account.report().used), (0, Amounts::NONE));
    drop(reserve(&pool, &account, 2 * PAGE_SIZE).unwrap());
}

#[test]
fn without_memory_nothing_is_lost() {
    let account = account();
    let pool = Pool::new(Pages::with_limit(4 * PAGE_SIZE, 2)).unwrap();
    let charge = pay(&account, 3 * PAGE_SIZE);
    assert_eq!(
        Pool::reserve(&pool, 3 * PAGE_SIZE, charge).err(),
        Some(PoolError::NoMemory)
    );
    assert_eq!((pool.used(), account.report().used), (0, Amounts::NONE));
    let kept = reserve(&pool, &account, 2 * PAGE_SIZE).unwrap();
    assert_eq!(pool.store().present(), 2);
    drop(kept);
    // What the failure made is given back, and what lay idle as well.
    let charge = pay(&account, 3 * PAGE_SIZE);
    assert_eq!(
        Pool::reserve(&pool, 3 * PAGE_SIZE, charge).err(),
        Some(PoolError::NoMemory)
    );
    assert_eq!(pool.store().present(), 0);
    let low = reserve(&pool, &account, 2 * PAGE_SIZE).unwrap();
    assert_eq!(reserve(&pool, &account, 8).err(), Some(PoolError::NoMemory));
    assert_eq!(pool.store().present(), 2);
    drop(low);
    for count in 0..2 {
        let fresh = self::pool(1);
        let charge = pay(&account, 8);
        fail_allocations_after(Some(count));
        let result = Pool::reserve(&fresh, 8, charge).err();
        fail_allocations_after(None);
        assert_eq!(result, Some(PoolError::NoMemory), "allocation {count}");
        assert_eq!((fresh.used(), account.report().used), (0, Amounts::NONE));
    }
}

fn reclaim(pool: &Pool<Pages>) -> usize {
    pool.reclaim(usize::MAX, Effort::Try)
}

#[test]
fn pages_of_free_ranges_are_given_back_and_no_others() {
    let (pool, account) = (pool(20), account());
    let mut low = reserve(&pool, &account, PAGE_SIZE + 8).unwrap();
    let middle = reserve(&pool, &account, 10 * PAGE_SIZE).unwrap();
    let mut high = reserve(&pool, &account, PAGE_SIZE).unwrap();
    low.write(0, &[1; PAGE_SIZE + 8]).unwrap();
    high.write(0, &[2; PAGE_SIZE]).unwrap();
    assert_eq!((pool.store().present(), pool.freeable()), (13, 0));
    let start = middle.offset();
    drop(middle);
    assert_eq!((reclaim(&pool), pool.store().present()), (9, 4));
    assert_eq!(reclaim(&pool), 0);
    // The free range shares its first and its last page with others.
    let there = |page: usize| pool.store().is_there(start + page * PAGE_SIZE);
    assert!(there(0) && there(10) && !(1..10).any(there));
    assert_eq!(seen(&pool, &low), [1; PAGE_SIZE + 8]);
    assert_eq!(seen(&pool, &high), [2; PAGE_SIZE]);
    drop((low, high));
    assert_eq!((reclaim(&pool), pool.store().present()), (4, 0));
}

#[test]
fn a_page_that_comes_again_is_empty() {
    let (pool, account) = (pool(4), account());
    let mut secret = reserve(&pool, &account, 4 * PAGE_SIZE).unwrap();
    secret.write(0, &[7; 4 * PAGE_SIZE]).unwrap();
    drop(secret);
    assert_eq!(pool.reclaim(1, Effort::Wait), 3);
    let slice = reserve(&pool, &account, 4 * PAGE_SIZE).unwrap();
    let bytes = seen(&pool, &slice);
    // The first page stayed: its bytes are those of the last message.
    assert!(bytes[..PAGE_SIZE].iter().all(|byte| *byte == 7));
    assert!(bytes[PAGE_SIZE..].iter().all(|byte| *byte == 0));
}

/// A sender is neither kept waiting nor refused because its range is just being given back.
#[test]
fn a_slice_saves_its_pages_from_being_given_back() {
    let (pool, account) = (pool(3), account());
    drop(reserve(&pool, &account, 3 * PAGE_SIZE).unwrap());
    let (again, sender) = (pool.clone(), account.clone());
    let kept = std::sync::Arc::new(std::sync::Mutex::new(None));
    let keep = kept.clone();
    pool.store().meanwhile(move || {
        let mut slice = reserve(&again, &sender, 2 * PAGE_SIZE).unwrap();
        slice.write(0, &[5; 2 * PAGE_SIZE]).unwrap();
        // One gives pages back at a time.
        assert_eq!(reclaim(&again), 0);
        *keep.lock().unwrap() = Some(slice);
    });
    assert_eq!((reclaim(&pool), pool.store().present()), (1, 2));
    let slice = kept.lock().unwrap().take().unwrap();
    assert!(seen(&pool, &slice).iter().all(|byte| *byte == 5));
}

/// The same, when the range was in use and is free again: its pages may go the next time.
#[test]
fn a_page_that_was_saved_can_be_given_back_later() {
    let (pool, account) = (pool(3), account());
    drop(reserve(&pool, &account, 3 * PAGE_SIZE).unwrap());
    let (again, sender) = (pool.clone(), account.clone());
    pool.store()
        .meanwhile(move || drop(reserve(&again, &sender, PAGE_SIZE)));
    assert_eq!((reclaim(&pool), reclaim(&pool)), (2, 1));
}

#[test]
fn idle_pages_make_room_before_a_slice_is_refused() {
    let account = account();
    let pool = Pool::new(Pages::with_limit(8 * PAGE_SIZE, 4)).unwrap();
    drop(reserve(&pool, &account, 3 * PAGE_SIZE).unwrap());
    let small = reserve(&pool, &account, 8).unwrap();
    // The pages at the low end are there, but not free: the others do.
    let slice = reserve(&pool, &account, 3 * PAGE_SIZE).unwrap();
    assert_eq!(pool.store().present(), 4);
    drop((small, slice));
}

#[test]
fn a_pool_does_not_keep_all_of_a_burst() {
    let (pool, account) = (pool(2 * KEEP), account());
    let burst: Vec<_> = (0..2 * KEEP)
        .map(|_| reserve(&pool, &account, PAGE_SIZE))
        .map(Result::unwrap)
        .collect();
    assert_eq!(pool.store().present(), 2 * KEEP);
    let mut least = usize::MAX;
    for slice in burst {
        drop(slice);
        assert!(pool.freeable() <= KEEP);
        least = least.min(pool.store().present());
    }
    assert!((KEEP / 2..=KEEP).contains(&pool.store().present()));
    // What a few messages leave stays for the next.
    drop(reserve(&pool, &account, KEEP * PAGE_SIZE / 2).unwrap());
    assert_eq!(pool.store().present(), least);
}

proptest! {
    #![proptest_config(crate::cases(200))]

    /// Slices that live at the same time keep what was written into each, whoever gives pages back
    /// in between, and what lies behind their length is zero. A reader of the mapping gets a signal,
    /// zeroes, or what was once written here.
    #[test]
    fn slices_do_not_disturb_each_other(
        steps in prop::collection::vec((0u8..5, 0usize..6000, any::<prop::sample::Index>()), 1..60),
    ) {
        let (pool, account) = (pool(8), account());
        let mut live: Vec<(Slice<Pages>, u8)> = Vec::new();
        let mut written = vec![std::collections::HashSet::from([0]); 8 * PAGE_SIZE];
        for (mark, (what, len, which)) in (1..).zip(steps) {
            if what < 2 || live.is_empty() {
                if let Ok(mut slice) = reserve(&pool, &account, len) {
                    let end = len.max(1).next_multiple_of(8);
                    let padding = pool.store().see(slice.offset() + len, end - len);
                    prop_assert!(padding.iter().all(|byte| *byte == 0));
                    slice.write(0, &vec![mark; len]).unwrap();
                    for bytes in &mut written[slice.offset()..][..len] {
                        bytes.insert(mark);
                    }
                    live.push((slice, mark));
                }
            } else if what < 4 {
                let (slice, mark) = live.swap_remove(which.index(live.len()));
                prop_assert!(seen(&pool, &slice).iter().all(|byte| *byte == mark));
            } else {
                let free = pool.freeable();
                prop_assert!(pool.reclaim(1 + len / 1000, Effort::Wait) <= free);
            }
        }
        let kept = |(slice, mark): &(_, _)| seen(&pool, slice).iter().all(|byte| byte == mark);
        prop_assert!(live.iter().all(kept));
        for (at, bytes) in written.iter().enumerate() {
            prop_assert!(!pool.store().is_there(at) || bytes.contains(&pool.store().see(at, 1)[0]));
        }
        prop_assert_eq!(account.report().used.slices as usize, live.len());
        drop(live);
        prop_assert_eq!((pool.used(), account.report().used), (0, Amounts::NONE));
        reclaim(&pool);
        prop_assert_eq!((pool.store().present(), pool.freeable()), (0, 0));
    }
}
