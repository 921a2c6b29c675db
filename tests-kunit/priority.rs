// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_priority`: what a thread gets for a message.
//!
//! One source for KUnit and for the host. The only suite about a personality: the file under test
//! names nothing of the engine or of the kernel.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_priority))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::binder_priority::{
        due,
        Level,
        Limits,
        Policy,
        Terms, //
    };

    fn nice(value: i8) -> Level {
        Level {
            policy: Policy::Normal,
            value,
        }
    }

    fn fifo(value: i8) -> Level {
        Level {
            policy: Policy::Fifo,
            value,
        }
    }

    fn round_robin(value: i8) -> Level {
        Level {
            policy: Policy::RoundRobin,
            value,
        }
    }

    const OWN: Level = Level::ORDINARY;

    #[test]
    fn policies_have_the_numbers_of_the_kernel() {
        for number in 0..4 {
            assert_eq!(Policy::of(number).map(|policy| policy as u32), Some(number));
        }
        // SCHED_IDLE, SCHED_DEADLINE, SCHED_EXT.
        for number in [4, 5, 6, 7, u32::MAX] {
            assert_eq!(Policy::of(number), None);
        }
    }

    #[test]
    fn levels_keep_to_the_range_of_their_policy() {
        assert!(
            Level::new(Policy::Normal, -20).is_some() && Level::new(Policy::Batch, 19).is_some()
        );
        assert!(
            Level::new(Policy::Normal, -21).is_none() && Level::new(Policy::Batch, 20).is_none()
        );
        assert!(
            Level::new(Policy::Fifo, 1).is_some() && Level::new(Policy::RoundRobin, 99).is_some()
        );
        assert!(Level::new(Policy::Fifo, 0).is_none() && Level::new(Policy::Fifo, 100).is_none());
        assert!(Level::new(Policy::RoundRobin, -1).is_none());
    }

    #[test]
    fn flags_of_nodes() {
        let least = |flags| Terms::of(flags).least;
        assert_eq!(least(0), Some(nice(0)));
        // What libbinder sends, with files and security context allowed.
        assert_eq!(least(0x1113), Some(nice(19)));
        assert_eq!(least(0xec), Some(nice(-20)));
        // Upstream takes these for nice values above 19, which have no effect.
        assert_eq!((least(0x14), least(0x7f), least(0x80)), (None, None, None));
        assert_eq!(least(0x200 | 50), Some(fifo(50)));
        assert_eq!(least(0x400 | 99), Some(round_robin(99)));
        assert_eq!(
            least(0x600 | 5),
            Some(Level {
                policy: Policy::Batch,
                value: 5
            })
        );
        assert_eq!(
            (least(0x200), least(0x2ff), least(0x200 | 100)),
            (None, None, None)
        );
        assert!(Terms::of(0x800).inherits_real_time && !Terms::of(0x7ff).inherits_real_time);
    }

    #[test]
    fn callers_pass_their_nice_value_on_down_to_the_nodes_least() {
        let terms = Terms::of(10);
        assert_eq!(due(Some(nice(-5)), OWN, terms), nice(-5));
        assert_eq!(due(Some(nice(10)), OWN, terms), nice(10));
        assert_eq!(due(Some(nice(15)), OWN, terms), nice(10));
        // What the receiver has itself does not matter.
        assert_eq!(due(Some(nice(15)), nice(-20), terms), nice(10));
        assert_eq!(due(Some(nice(19)), OWN, Terms::of(0x7f)), nice(19));
    }

    #[test]
    fn one_ways_get_what_their_receiver_has_or_the_nodes_least() {
        assert_eq!(due(None, nice(5), Terms::of(10)), nice(5));
        assert_eq!(due(None, nice(15), Terms::of(10)), nice(10));
        assert_eq!(due(None, nice(15), Terms::of(0x7f)), nice(15));
        assert_eq!(due(None, fifo(3), Terms::of(10)), fifo(3));
    }

    #[test]
    fn real_time_is_passed_on_to_nodes_that_want_it() {
        let (plain, wants) = (Terms::of(19), Terms::of(0x800 | 19));
        assert_eq!(due(Some(fifo(40)), OWN, plain), Level::ORDINARY);
        assert_eq!(due(Some(round_robin(40)), OWN, plain), Level::ORDINARY);
        assert_eq!(due(Some(fifo(40)), OWN, wants), fifo(40));
        // The node's least holds for what is left of it, too.
        assert_eq!(due(Some(fifo(40)), OWN, Terms::of(0xf6)), nice(-10));
    }

    #[test]
    fn the_more_urgent_one_counts() {
        let node = Terms::of(0x800 | 0x200 | 30);
        assert_eq!(due(Some(nice(-20)), OWN, node), fifo(30));
        assert_eq!(due(Some(fifo(29)), OWN, node), fifo(30));
        assert_eq!(due(Some(fifo(31)), OWN, node), fifo(31));
        assert_eq!(due(None, OWN, node), fifo(30));
        // As urgent: FIFO of the node goes before RR of the caller, and not the other way round.
        assert_eq!(due(Some(round_robin(30)), OWN, node), fifo(30));
        let node = Terms::of(0x800 | 0x400 | 30);
        assert_eq!(due(Some(fifo(30)), OWN, node), fifo(30));
    }

    #[test]
    fn limits_bound_nice_values() {
        let limits = |nice| Limits { real_time: 0, nice };
        // The default of most systems allows no nice value, not even a worse one.
        assert_eq!(limits(0).allowed(nice(19)), None);
        assert_eq!(limits(1).allowed(nice(19)), Some(nice(19)));
        assert_eq!(limits(1).allowed(nice(-20)), Some(nice(19)));
        assert_eq!(limits(25).allowed(nice(-20)), Some(nice(-5)));
        assert_eq!(limits(25).allowed(nice(7)), Some(nice(7)));
        for nice_limit in [40, 41, u64::MAX] {
            assert_eq!(limits(nice_limit).allowed(nice(-20)), Some(nice(-20)));
        }
    }

    #[test]
    fn limits_bound_real_time_priorities() {
        let limits = |real_time, nice| Limits { real_time, nice };
        assert_eq!(limits(10, 0).allowed(fifo(50)), Some(fifo(10)));
        assert_eq!(limits(10, 0).allowed(round_robin(5)), Some(round_robin(5)));
        assert_eq!(limits(u64::MAX, 0).allowed(fifo(99)), Some(fifo(99)));
        assert_eq!(limits(0, 0).allowed(fifo(50)), None);
        assert_eq!(limits(0, 25).allowed(fifo(50)), Some(nice(-5)));
    }
}
