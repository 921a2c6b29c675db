// SPDX-License-Identifier: GPL-2.0

//! Random programs on std.

use super::{
    history::Faults,
    scripts::{
        four_by_four,
        side_channel,
        sleepers, //
    },
    world::{
        play,
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
use proptest::prelude::*;

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
        if let Step::Send(_, id, _) = step {
            *id = next;
            next += 1;
        }
    }
    Script {
        threads,
        peers: QUEUES,
        times,
        ahead: None,
    }
}

/// Each thread acts as a peer of its own and reads that peer's queue.
fn own_peers(max: usize) -> impl Strategy<Value = Vec<Vec<Step>>> {
    (steps(0..1, max), steps(1..2, max), steps(2..3, max)).prop_map(|(a, b, c)| vec![a, b, c])
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
