// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_order`: stamps, keys, records, and the wait.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_order))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        core::{
            order::{
                settle,
                Key,
                Record,
                SeenClock,
                Stamp,
                State, //
            },
            sync::Clock, //
        },
        testbed::Failed, //
    };
    use ::core::sync::atomic::{
        AtomicU64,
        Ordering, //
    };

    fn decided(stamp: u64, number: u64, index: u32) -> Key {
        Key::multi(State::Decided(Stamp::at(stamp)), number, index)
    }

    fn undecided(floor: u64, number: u64, index: u32) -> Key {
        Key::multi(State::Undecided(Stamp::at(floor)), number, index)
    }

    fn single(stamp: u64) -> Key {
        Key::single(Stamp::at(stamp))
    }

    #[test]
    fn stamps_are_even_and_rise() {
        assert_eq!(Stamp::at(7).get(), 6);
        assert_eq!(Stamp::at(8).get(), 8);
        assert_eq!(Stamp::at(7).next(), Stamp::at(8));
        assert!(Stamp::ZERO < Stamp::at(2));
        assert_eq!(Stamp::ZERO, Stamp::at(1));
    }

    #[test]
    fn what_is_decided_when_it_is_appended_comes_before_a_multicast_of_its_stamp() {
        assert!(single(8) < decided(8, 0, 0));
        assert!(decided(8, u64::MAX, u32::MAX) < single(10));
        assert_eq!(
            (single(8).stamp(), decided(8, 1, 2).stamp()),
            (Stamp::at(8), Stamp::at(8))
        );
    }

    #[test]
    fn ties_fall_by_transaction_and_then_by_destination() {
        assert!(decided(8, 1, 9) < decided(8, 2, 0));
        assert!(decided(8, 1, 0) < decided(8, 1, 1));
        assert!(decided(8, 2, 0) < decided(10, 1, 0));
    }

    #[test]
    fn an_equal_floor_is_below_a_candidate_and_a_higher_one_is_not() {
        assert!(undecided(8, u64::MAX, u32::MAX) < single(8));
        assert!(undecided(10, 0, 0) > single(8));
        assert!(undecided(10, 0, 0) > decided(8, 5, 5));
        // Nothing is below the lowest floor that a record can have.
        assert_eq!(Key::multi(Record::new().state(), 1, 1).stamp(), Stamp::ZERO);
    }

    #[test]
    fn a_key_moves_with_its_record_and_stays_the_entry() {
        let key = undecided(8, 3, 4);
        assert_eq!(
            key.moved(State::Undecided(Stamp::at(12))),
            undecided(12, 3, 4)
        );
        assert_eq!(key.moved(State::Decided(Stamp::at(12))), decided(12, 3, 4));
    }

    #[test]
    fn the_successor_is_the_next_place() {
        assert_eq!(decided(8, 3, 4).successor(), decided(8, 3, 5));
        assert!(decided(8, 3, u32::MAX).successor() >= decided(8, 3, u32::MAX));
    }

    #[test]
    fn ends_are_above_all_that_they_end_and_below_what_follows() {
        let end = Key::end(Stamp::at(8), 3);
        assert!(decided(8, 3, u32::MAX - 1) < end && decided(8, 4, 0) > end);
        assert!(single(8) < end && single(10) > end);
        let last = Key::last(Stamp::at(8));
        assert!(decided(8, u64::MAX, u32::MAX) < last && single(8) < last);
        assert!(single(10) > last && undecided(10, 0, 0) > last);
        assert_eq!((end.stamp(), last.stamp()), (Stamp::at(8), Stamp::at(8)));
    }

    #[test]
    fn a_transaction_is_known_by_number_and_stamp() {
        assert!(decided(10, 7, 0).same_transaction(decided(10, 7, 1)));
        assert!(!decided(10, 7, 0).same_transaction(decided(10, 8, 0)));
        // A number is used again when its record is gone.
        assert!(!decided(10, 7, 0).same_transaction(decided(12, 7, 0)));
        assert!(!decided(10, 0, 0).same_transaction(single(10)));
        assert!(!single(10).same_transaction(decided(10, 0, 0)));
        assert!(!single(10).same_transaction(single(10)));
    }

    #[test]
    fn a_record_is_decided_once_at_what_was_asked_or_pushed() {
        let record = Record::new();
        assert_eq!(
            (record.state(), record.stamp()),
            (State::Undecided(Stamp::ZERO), None)
        );
        assert_eq!(record.commit(Stamp::at(10)), Stamp::at(10));
        assert_eq!(record.state(), State::Decided(Stamp::at(10)));
        assert_eq!(record.stamp(), Some(Stamp::at(10)));
        assert_eq!(record.push(Stamp::at(40)), State::Decided(Stamp::at(10)));
        assert_eq!(record.stamp(), Some(Stamp::at(10)));
    }

    #[test]
    fn a_push_raises_the_floor_and_never_lowers_it() {
        let record = Record::new();
        let at = |stamp| State::Undecided(Stamp::at(stamp));
        assert_eq!(record.push(Stamp::at(20)), at(20));
        assert_eq!(record.push(Stamp::at(20)), at(20));
        assert_eq!(record.push(Stamp::at(12)), at(20));
        assert_eq!((record.state(), record.stamp()), (at(20), None));
        assert_eq!(record.commit(Stamp::at(10)), Stamp::at(20));
    }

    #[test]
    fn records_that_live_have_different_numbers() {
        let (one, other) = (Record::new(), Record::new());
        assert!(one.number() != other.number());
        let number = one.number();
        one.push(Stamp::at(8));
        assert_eq!(one.number(), number);
    }

    #[test]
    fn a_seen_clock_never_falls() {
        let clock = SeenClock::new();
        assert_eq!(clock.get(), Stamp::ZERO);
        clock.raise(Stamp::at(10));
        clock.raise(Stamp::at(4));
        assert_eq!(clock.get(), Stamp::at(10));
        clock.raise(Stamp::at(12));
        assert_eq!(clock.get(), Stamp::at(12));
    }

    /// A clock that passes `STEP` with each reading. Each test has its own, by `ID`.
    struct Passing<const STEP: u64, const ID: usize>;

    static READINGS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

    impl<const STEP: u64, const ID: usize> Clock for Passing<STEP, ID> {
        const PATIENCE: u32 = 50;

        fn now() -> u64 {
            let readings = READINGS[ID % READINGS.len()].fetch_add(1, Ordering::Relaxed);
            1000 + readings * STEP
        }
    }

    /// How many readings a wait for `stamp` takes.
    fn readings<const STEP: u64, const ID: usize>(stamp: u64) -> Result<u64, Failed> {
        let count = READINGS.get(ID).ok_or(Failed)?;
        count.store(0, Ordering::Relaxed);
        settle::<Passing<STEP, ID>>(Stamp::at(stamp));
        Ok(count.load(Ordering::Relaxed))
    }

    #[test]
    fn the_wait_ends_when_the_stamp_is_in_the_past() -> Result<(), Failed> {
        assert_eq!(Stamp::now::<Passing<100, 0>>(), Stamp::at(1000));
        // Who is in time looks once.
        assert_eq!(readings::<100, 0>(900)?, 1);
        // A stamp is over when the clock shows more than it.
        assert_eq!(readings::<100, 0>(1100)?, 3);
        assert_eq!(readings::<100, 0>(1098)?, 2);
        assert_eq!(readings::<100, 0>(1500)?, 7);
        Ok(())
    }

    #[test]
    fn the_wait_is_short_when_the_stamp_is_far_ahead() -> Result<(), Failed> {
        // Two microseconds from the start, which is the first reading.
        assert_eq!(readings::<100, 1>(1_000_000)?, 21);
        assert_eq!(readings::<1000, 1>(1_000_000)?, 3);
        Ok(())
    }

    #[test]
    fn the_wait_ends_when_the_clock_stands() -> Result<(), Failed> {
        assert_eq!(readings::<0, 2>(1_000_000)?, 51);
        Ok(())
    }
}
