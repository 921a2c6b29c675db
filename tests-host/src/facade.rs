// SPDX-License-Identifier: GPL-2.0

//! Each facility of `core::sync`, in the form that the features choose.
//!
//! What must hold in every form, the kernel's included, stands in `tests-kunit/sync.rs`. Here it is
//! run on the host, together with what threads do to each other and with what only the host can see.

use crate::core::sync::{
    new_spinlock,
    pin_data,
    pin_init,
    try_arc,
    Acquire,
    Arc,
    Atomic,
    Relaxed,
    Release,
    SpinLock,
    GFP_KERNEL, //
};
use crate::host::{
    model,
    thread, //
};
use crate::sync_suite::checks;

macro_rules! run {
    ($($check:ident)*) => {$(
        #[test]
        fn $check() {
            model(|| {
                if let Err(checks::Failed(what)) = checks::$check() {
                    panic!("failed: {what}");
                }
            });
        }
    )*};
}

run! {
    a_fifo_takes_only_what_is_in_it
    a_fifo_keeps_order_and_frees_what_leaves_it
    a_tree_is_sorted_and_needs_only_reserved_memory
    locks_guard_their_data
    atomics_exchange_and_add
    references_share_and_are_set_once
    vectors_grow_only_where_they_may
    time_and_numbers_rise
}

#[pin_data]
struct Shared {
    #[pin]
    sum: SpinLock<u64>,
    flag: Atomic<bool>,
    data: Atomic<u64>,
}

fn shared() -> Arc<Shared> {
    try_arc(pin_init!(Shared {
        sum <- new_spinlock!(0, "sum"),
        flag: Atomic::new(false),
        data: Atomic::new(0),
    }))
    .unwrap()
}

#[test]
fn a_lock_lets_one_thread_in() {
    model(|| {
        let shared = shared();
        let add = |amount| {
            let shared = shared.clone();
            thread::spawn(move || {
                let mut sum = shared.sum.lock();
                let before = *sum;
                *sum = before + amount;
            })
        };
        let threads = [add(1), add(2)];
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(*shared.sum.lock(), 3);
    });
}

#[test]
fn who_acquires_sees_what_was_released() {
    model(|| {
        let shared = shared();
        let writer = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.data.store(7, Relaxed);
                shared.flag.store(true, Release);
            })
        };
        if shared.flag.load(Acquire) {
            assert_eq!(shared.data.load(Relaxed), 7);
        }
        writer.join().unwrap();
        assert_eq!(shared.data.load(Relaxed), 7);
    });
}

#[test]
fn the_last_reference_drops_once() {
    struct Counts(std::sync::Arc<std::sync::atomic::AtomicUsize>);

    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }

    model(|| {
        let drops = std::sync::Arc::default();
        let one = Arc::new(Counts(std::sync::Arc::clone(&drops)), GFP_KERNEL).unwrap();
        let other = one.clone();
        let thread = thread::spawn(move || drop(other));
        drop(one);
        thread.join().unwrap();
        assert_eq!(drops.load(std::sync::atomic::Ordering::SeqCst), 1);
    });
}

/// What only the std form counts.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod misuse {
    use super::*;
    use crate::core::{
        quota::{
            Account,
            Amounts,
            Principal,
            Users, //
        },
        sync::{
            KBox,
            KVec,
            LockedBy, //
        },
    };
    use crate::host::fail_allocations_after;

    #[test]
    #[should_panic = "allocation under a spinlock"]
    fn allocating_under_a_spinlock_is_caught() {
        let shared = shared();
        let _sum = shared.sum.lock();
        let _ = KBox::new(1, GFP_KERNEL);
    }

    #[test]
    #[should_panic = "drop under a spinlock"]
    fn dropping_what_takes_locks_under_a_spinlock_is_caught() {
        let shared = shared();
        let users = Users::new().unwrap();
        let none = Amounts::NONE;
        let account = Account::new(
            Users::enter(&users, [Principal::user(1)], none).unwrap(),
            none,
        )
        .unwrap();
        let charge = Account::charge(&account, Principal::user(1), none).unwrap();
        let _sum = shared.sum.lock();
        drop(charge);
    }

    #[test]
    #[should_panic = "another owner"]
    fn another_owner_is_caught() {
        let (one, other) = (shared(), shared());
        let by = LockedBy::new(&one.sum, 1);
        by.access_mut(&mut *other.sum.lock());
    }

    #[test]
    fn allocations_fail_from_the_chosen_one_on() {
        fail_allocations_after(Some(1));
        let mut vec = KVec::new();
        let results = [
            vec.push(1, GFP_KERNEL).is_ok(),
            vec.push(2, GFP_KERNEL).is_ok(),
        ];
        let boxed = KBox::new(1, GFP_KERNEL).is_ok();
        fail_allocations_after(None);
        assert_eq!((results, boxed), ([true, false], false));
        assert!(KBox::new(1, GFP_KERNEL).is_ok());
    }
}
