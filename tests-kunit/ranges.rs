// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_ranges`: which bytes of a pool are in use.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_ranges))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        core::ranges::{
            Nodes,
            Part,
            Ranges,
            Scratch,
            TakeError,
            Walk, //
        },
        testbed::Failed, //
    };

    fn take(ranges: &mut Ranges, len: usize) -> Result<Part, Failed> {
        let mut scratch = Scratch::new();
        scratch.fill()?;
        ranges.take(len, &mut scratch).map_err(|_| Failed)
    }

    fn give(ranges: &mut Ranges, part: Part) {
        ranges.give(part, &mut Scratch::new());
    }

    #[test]
    fn a_request_takes_the_low_end_of_the_best_fit() -> Result<(), Failed> {
        let mut ranges = Ranges::new(1024, Nodes::new()?);
        let (a, b) = (take(&mut ranges, 100)?, take(&mut ranges, 8)?);
        let (c, d) = (take(&mut ranges, 40)?, take(&mut ranges, 1)?);
        assert_eq!((a.offset(), a.len(), b.offset()), (0, 104, 104));
        assert_eq!((c.offset(), d.offset(), d.len()), (112, 152, 8));
        give(&mut ranges, a);
        give(&mut ranges, c);
        ranges.settle(&mut Scratch::new());
        let small = take(&mut ranges, 32)?;
        assert_eq!(small.offset(), 112);
        let large = take(&mut ranges, 48)?;
        assert_eq!(large.offset(), 0);
        assert!(ranges.is_sound());
        for part in [b, d, small, large] {
            give(&mut ranges, part);
        }
        ranges.settle(&mut Scratch::new());
        assert_eq!((ranges.used(), ranges.iter().count()), (0, 1));
        Ok(())
    }

    #[test]
    fn a_walk_shows_free_ranges_from_the_largest_on() -> Result<(), Failed> {
        let mut ranges = Ranges::new(1024, Nodes::new()?);
        let (a, b) = (take(&mut ranges, 100)?, take(&mut ranges, 8)?);
        let (c, d) = (take(&mut ranges, 40)?, take(&mut ranges, 8)?);
        give(&mut ranges, a);
        give(&mut ranges, c);
        ranges.settle(&mut Scratch::new());
        let mut walk = Walk::default();
        assert_eq!(ranges.next_free(&mut walk, 48), Some(160..1024));
        walk.below(208);
        assert_eq!(ranges.next_free(&mut walk, 48), Some(160..208));
        walk.below(207);
        assert_eq!(ranges.next_free(&mut walk, 48), Some(0..104));
        walk.below(0);
        assert_eq!(ranges.next_free(&mut walk, 48), None);
        assert_eq!(ranges.used(), 16);
        give(&mut ranges, b);
        give(&mut ranges, d);
        assert_eq!(ranges.used(), 0);
        Ok(())
    }

    #[test]
    fn the_same_size_needs_no_memory() -> Result<(), Failed> {
        let mut ranges = Ranges::new(4096, Nodes::new()?);
        let first = take(&mut ranges, 64)?;
        let offset = first.offset();
        give(&mut ranges, first);
        for _ in 0..100 {
            let part = ranges.take(60, &mut Scratch::new()).map_err(|_| Failed)?;
            assert_eq!(part.offset(), offset);
            give(&mut ranges, part);
        }
        assert!(ranges.is_sound());
        Ok(())
    }

    #[test]
    fn an_unused_pool_is_filled_from_its_start() -> Result<(), Failed> {
        let mut ranges = Ranges::new(4096, Nodes::new()?);
        // The sizes of one round are left behind in another order than the next wants them.
        for sizes in [[48, 104, 8], [104, 48, 8], [8, 8, 48], [64, 104, 104]] {
            let mut end = 0;
            let mut parts = [const { None }; 3];
            for (slot, size) in parts.iter_mut().zip(sizes) {
                let part = take(&mut ranges, size)?;
                assert_eq!((part.offset(), part.len()), (end, size));
                end += size;
                *slot = Some(part);
            }
            for part in parts.into_iter().flatten() {
                give(&mut ranges, part);
            }
            assert!(ranges.is_sound());
        }
        Ok(())
    }

    #[test]
    fn recent_ranges_never_stand_in_the_way() -> Result<(), Failed> {
        let mut ranges = Ranges::new(64, Nodes::new()?);
        for _ in 0..2 {
            let mut parts = [const { None }; 8];
            for slot in &mut parts {
                *slot = Some(take(&mut ranges, 8)?);
            }
            assert!(matches!(
                ranges.take(1, &mut Scratch::new()),
                Err(TakeError::NoSpace)
            ));
            for part in parts.into_iter().flatten() {
                give(&mut ranges, part);
            }
            let whole = take(&mut ranges, 64)?;
            assert_eq!(ranges.used(), 64);
            give(&mut ranges, whole);
        }
        assert!(ranges.is_sound());
        Ok(())
    }

    #[test]
    fn many_ranges_in_any_order_merge_to_one() -> Result<(), Failed> {
        const COUNT: usize = 64;
        let mut ranges = Ranges::new(1 << 16, Nodes::new()?);
        let mut parts = [const { None }; COUNT];
        for (number, slot) in parts.iter_mut().enumerate() {
            *slot = Some(take(&mut ranges, (number * 37) % 500)?);
        }
        assert!(ranges.is_sound());
        // A step without common divisor visits all.
        for number in 0..COUNT {
            if let Some(part) = parts[number * 27 % COUNT].take() {
                give(&mut ranges, part);
                assert!(ranges.is_sound());
            }
        }
        ranges.settle(&mut Scratch::new());
        assert_eq!((ranges.used(), ranges.iter().count()), (0, 1));
        Ok(())
    }
}
