// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_share`: caps and fair parts.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_share))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::core::share::{
        Share,
        BYTES_LEAST, //
    };

    /// The table of the quota page, section 11.
    #[test]
    fn caps_are_those_of_the_table() {
        let holders = [1, 2, 6, 11, 21, 101, 1001];
        let caps = |limit: u32| {
            let share = Share::new(limit, limit / 2, 1);
            holders.map(|holders| share.cap(holders))
        };
        assert_eq!(caps(16384), [516, 260, 89, 50, 28, 9, 4]);
        assert_eq!(caps(1024), [52, 26, 9, 5, 3, 1, 0]);
    }

    #[test]
    fn bytes_are_shared_in_useful_amounts() {
        let share = Share::new(16 << 20, 8 << 20, BYTES_LEAST);
        assert_eq!(share.reserve(), 8 << 20);
        assert!(share.cap(1) > 150 << 10 && share.cap(1001) > 4096);
        // Three quarters of the flat holders of the largest pool still get what is worth having.
        assert!(share.cap(1024) >= 4096 && share.cap(1025) > 0 && share.cap(65537) == 0);
    }

    #[test]
    fn what_is_too_small_is_not_shared() {
        for (limit, least) in [(0, 1), (15, 1), (8191, 512)] {
            let share = Share::new(limit, limit / 2, least);
            assert!(share.is_plain());
            assert_eq!(
                (share.limit(), share.reserve(), share.cap(1)),
                (limit, 0, 0)
            );
            assert_eq!(share.free(0), limit);
        }
        assert!(!Share::new(16, 8, 1).is_plain());
        assert!(Share::plain(u32::MAX).is_plain());
    }

    #[test]
    fn a_reserve_is_at_most_half_and_may_be_less() {
        let share = Share::new(1000, 900, 1);
        assert_eq!((share.reserve(), share.free(0)), (500, 500));
        let share = Share::new(1000, 100, 1);
        assert_eq!(
            (share.reserve(), share.free(0), share.free(890)),
            (100, 900, 10)
        );
        assert_eq!(share.free(2000), 0);
        // A receiver whose user had nothing left to book lives on what is free.
        let share = Share::new(1000, 0, 1);
        assert_eq!(
            (share.is_plain(), share.cap(1), share.free(0)),
            (false, 0, 1000)
        );
    }

    #[test]
    fn a_fair_part_leaves_as_much_for_one_more() {
        let share = Share::new(1000, 500, 1);
        assert_eq!(share.fair(0, 0, 1), 250);
        assert_eq!(share.fair(250, 250, 1), 250);
        assert_eq!(share.fair(250, 0, 2), 83);
        assert_eq!(share.fair(500, 0, 3), 0);
    }

    #[test]
    fn caps_fall_and_their_sum_fits_whatever_the_reserve() {
        // All reserves up to here on the host; what takes long is the sum.
        let step = if cfg!(bus1_host) { 1 } else { 97 };
        for reserve in (8..1 << 16).step_by(step) {
            let share = Share::new(2 * reserve, reserve, 1);
            let (mut sum, mut before, mut holders) = (0, u32::MAX, 1);
            // Far fewer caps than holders: each is counted as often as it stays the same.
            while holders <= 65536 && before > 0 {
                let cap = share.cap(holders);
                assert!(cap <= before);
                let last = last_with(&share, holders, cap);
                sum += u64::from(cap) * u64::from(last - holders + 1);
                (before, holders) = (cap, last + 1);
            }
            assert!(sum <= u64::from(reserve));
        }
    }

    /// The last number of holders, from `holders` on, whose cap is `cap`.
    fn last_with(share: &Share, holders: u32, cap: u32) -> u32 {
        let (mut low, mut high) = (holders, 65536);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if share.cap(middle) == cap {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low
    }
}
