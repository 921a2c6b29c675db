// SPDX-License-Identifier: GPL-2.0

//! Random programs on std.

use super::{
    deliveries::Seen,
    history::Faults,
    scripts::{
        four_by_four,
        notices,
        side_channel,
        sleepers,
        two_readers, //
    },
    world::{
        play,
        play_and_look,
        Script,
        Step, //
    }, //
};
use crate::{
    core::sync::Monotonic,
    host::clock::{
        Coarse,
        Fine,
        Manual,
        Standing, //
    }, //
};
use proptest::{
    prelude::*,
    test_runner::TestRunner, //
};
use std::cell::RefCell;

/// Queues that are read and sent to.
const QUEUES: usize = 3;

/// Sends and receipts of one thread; ids are given later.
fn steps(peers: std::ops::Range<usize>, max: usize) -> impl Strategy<Value = Vec<Step>> {
    let peer = peers.clone();
    let to = prop::collection::vec(0..QUEUES, 1..4);
    let step = prop_oneof![
        3 => (peer, to).prop_map(|(peer, to)| Step::Send(peer, 0, to)),
        2 => peers.prop_map(Step::Recv),
    ];
    prop::collection::vec(step, 1..max)
}

/// Numbers the messages.
fn script(mut threads: Vec<Vec<Step>>, times: Vec<u64>) -> Script {
    let mut next = 0;
    for step in threads.iter_mut().flatten() {
        if let Step::Send(_, id, _) | Step::Notify(_, id, _) = step {
            *id = next;
            next += 1;
        }
    }
    Script {
        threads,
        peers: QUEUES,
        times,
        ahead: None,
        slow: false,
    }
}

/// Each thread acts as a peer of its own and reads that peer's queue.
fn own_peers(max: usize) -> impl Strategy<Value = Vec<Vec<Step>>> {
    (steps(0..1, max), steps(1..2, max), steps(2..3, max)).prop_map(|(a, b, c)| vec![a, b, c])
}

/// The same, with a thread that queues notices, and one more reader of the first queue.
fn with_notices(max: usize) -> impl Strategy<Value = Vec<Vec<Step>>> {
    let notify = (0..QUEUES, any::<bool>());
    let notify = notify.prop_map(|(peer, moving)| Step::Notify(peer, 0, moving));
    let more = prop_oneof![3 => notify, 1 => Just(Step::Share(0))];
    let share = |step: Step| match step {
        Step::Recv(0) => Step::Share(0),
        other => other,
    };
    let threads = (own_peers(max), prop::collection::vec(more, 1..max));
    threads.prop_map(move |(threads, more)| {
        let shared = threads
            .into_iter()
            .map(|steps| steps.into_iter().map(share).collect());
        shared.chain([more]).collect()
    })
}

proptest! {
    #![proptest_config(crate::cases(200))]

    /// One thread plays all peers. Whatever it does later is later everywhere: a real-time edge
    /// leads from each send and receipt to each later send.
    #[test]
    fn one_thread_is_delivered_in_its_order(steps in steps(0..QUEUES, 40)) {
        let script = script(vec![steps], vec![]);
        prop_assert_eq!(play::<Fine>(&script), Faults::default());
        prop_assert_eq!(play::<Coarse<4>>(&script), Faults::default());
    }

    /// Without time, or with times that contradict each other, the other promises hold.
    #[test]
    fn without_a_clock_order_and_causality_hold(
        steps in steps(0..QUEUES, 40),
        threads in own_peers(12),
        times in prop::collection::vec(0u64..1000, 3),
    ) {
        let one = play::<Standing>(&script(vec![steps], vec![]));
        prop_assert_eq!(one.without_real_time(), Faults::default());
        let skewed = play::<Manual>(&script(threads, times));
        prop_assert_eq!(skewed.without_real_time(), Faults::default());
    }
}

proptest! {
    #![proptest_config(crate::cases(300))]

    #[test]
    fn threads_keep_all_promises(threads in own_peers(16)) {
        let script = script(threads, vec![]);
        prop_assert_eq!(play::<Fine>(&script), Faults::default());
        prop_assert_eq!(play::<Monotonic>(&script), Faults::default());
        prop_assert_eq!(play::<Coarse<4>>(&script), Faults::default());
    }
}

/// Plays a script many times, on the machine's own threads and clock.
fn again_and_again(script: &Script) -> Faults {
    let mut all = Faults::default();
    for _ in 0..300 {
        all.add(play::<Monotonic>(script));
    }
    all
}

#[test]
fn readers_that_sleep_are_woken() {
    assert_eq!(again_and_again(&four_by_four(vec![])), Faults::default());
    assert_eq!(again_and_again(&sleepers()), Faults::default());
}

#[test]
fn what_is_told_outside_the_bus_counts() {
    assert_eq!(again_and_again(&side_channel()), Faults::default());
}

/// Plays random programs whose sends dawdle; says what happened in all of them.
fn dawdling(
    name: &str,
    threads: impl Strategy<Value = Vec<Vec<Step>>>,
    judged: impl Fn(&Script) -> (Faults, Seen),
) -> Seen {
    let config = crate::cases(300);
    let cases = config.cases;
    let all = RefCell::new(Seen::default());
    let outcome = TestRunner::new(config).run(&threads, |threads| {
        let slow = Script {
            slow: true,
            ..script(threads, vec![])
        };
        let (faults, seen) = judged(&slow);
        all.borrow_mut().add(seen);
        prop_assert_eq!(faults, Faults::default());
        Ok(())
    });
    let all = all.into_inner();
    println!(
        "explored {name}: {cases} programs, {} pushes, {} ties of multicasts, {} of one with a \
         unicast, {} notices of which {} had moved",
        all.pushes, all.ties, all.mixed_ties, all.notices, all.merged
    );
    outcome.unwrap();
    all
}

/// Where time stands still, stamps tie. Ties must fall the same way in every queue.
#[test]
fn ties_fall_the_same_way_everywhere() {
    let seen = dawdling("programs, no time", own_peers(16), |script| {
        let (faults, seen) = play_and_look::<Standing>(script);
        (faults.without_real_time(), seen)
    });
    assert!(seen.ties + seen.mixed_ties > 0, "no two stamps were equal");
    assert!(seen.pushes > 0, "nothing was pushed");
    let coarse = dawdling(
        "programs, coarse",
        own_peers(16),
        play_and_look::<Coarse<16>>,
    );
    assert!(
        coarse.ties + coarse.mixed_ties > 0,
        "no two stamps were equal"
    );
}

#[test]
fn notices_have_their_place() {
    let seen = dawdling("programs, notices", with_notices(12), play_and_look::<Fine>);
    assert!(seen.notices > 0 && seen.merged > 0);
    assert_eq!(again_and_again(&notices()), Faults::default());
}

#[test]
fn two_threads_read_one_queue() {
    assert_eq!(again_and_again(&two_readers()), Faults::default());
}
