// SPDX-License-Identifier: GPL-2.0

//! Larger scripts in random schedules, on shuttle.
//!
//! Readers really sleep: a wake-up that is lost is a deadlock, which shuttle reports.

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
        play_and_look,
        Script, //
    }, //
};
use crate::{
    core::sync::Clock,
    host::clock::{
        Coarse,
        Fine,
        Manual,
        Standing, //
    }, //
};
use std::sync::{
    Arc,
    Mutex, //
};

/// Schedules of one script: a share of 1,500, or as many as `BUS1_SCHEDULES` says.
fn schedules() -> usize {
    let chosen = std::env::var("BUS1_SCHEDULES").ok();
    let chosen = chosen.and_then(|count| count.parse().ok());
    chosen.unwrap_or_else(|| crate::share(1500) as usize)
}

/// A run that adds up what it saw.
fn counted<C: Clock>(script: Script) -> (impl Fn() + Send + Sync, Sum) {
    let all = Sum::default();
    let sum = all.clone();
    let run = move || {
        let (faults, seen) = play_and_look::<C>(&script);
        let mut sum = sum.lock().unwrap();
        sum.0.add(faults);
        sum.1.add(seen);
    };
    (run, all)
}

type Sum = Arc<Mutex<(Faults, Seen)>>;

/// Says what was explored, and gives it back.
fn told(name: &str, sum: &Sum) -> (Faults, Seen) {
    let (faults, seen) = *sum.lock().unwrap();
    println!(
        "explored {name}: {} schedules, {} pushes, {} ties of multicasts, {} of one with a unicast, \
         {} notices",
        schedules(),
        seen.pushes,
        seen.ties,
        seen.mixed_ties,
        seen.notices
    );
    (faults, seen)
}

fn random_and_seen<C: Clock>(name: &str, script: Script) -> (Faults, Seen) {
    let (run, sum) = counted::<C>(script);
    shuttle::check_random(run, schedules());
    told(name, &sum)
}

fn random<C: Clock>(name: &str, script: Script) -> Faults {
    random_and_seen::<C>(name, script).0
}

fn few_switches<C: Clock>(name: &str, script: Script) -> Faults {
    let (run, sum) = counted::<C>(script);
    shuttle::check_pct(run, schedules(), 3);
    told(&format!("{name}, few switches"), &sum).0
}

#[test]
fn a_fine_clock_keeps_all_promises() {
    assert_eq!(
        random::<Fine>("4x4, fine", four_by_four(vec![])),
        Faults::default()
    );
    assert_eq!(
        few_switches::<Fine>("4x4, fine", four_by_four(vec![])),
        Faults::default()
    );
}

#[test]
fn a_coarse_clock_does_so_with_the_wait() {
    assert_eq!(
        random::<Coarse<4>>("4x4, coarse", four_by_four(vec![])),
        Faults::default()
    );
    assert_eq!(
        random::<Coarse<4>>("side channel, coarse", side_channel()),
        Faults::default()
    );
}

#[test]
fn a_skewed_clock_keeps_order_and_causality() {
    let times = vec![0, 900, 200, 500, 100, 0, 700, 300];
    let faults = random::<Manual>("4x4, skewed", four_by_four(times.clone()));
    assert_eq!(faults.without_real_time(), Faults::default());
    let faults = few_switches::<Manual>("4x4, skewed", four_by_four(times));
    assert_eq!(faults.without_real_time(), Faults::default());
}

#[test]
fn what_is_told_outside_the_bus_counts() {
    assert_eq!(
        random::<Fine>("side channel, fine", side_channel()),
        Faults::default()
    );
    assert_eq!(
        few_switches::<Fine>("side channel, fine", side_channel()),
        Faults::default()
    );
}

#[test]
fn nobody_oversleeps() {
    assert_eq!(random::<Fine>("sleepers", sleepers()), Faults::default());
    let faults = few_switches::<Manual>(
        "sleepers",
        Script {
            times: vec![500, 0, 900],
            ..sleepers()
        },
    );
    assert_eq!(faults.without_real_time(), Faults::default());
}

/// Where time stands still, stamps tie. Ties must fall the same way in every queue.
#[test]
fn ties_fall_the_same_way_everywhere() {
    for (name, script) in [
        ("4x4, no time", four_by_four(vec![])),
        ("two readers, no time", two_readers()),
    ] {
        let (faults, seen) = random_and_seen::<Standing>(name, script);
        assert_eq!(faults.without_real_time(), Faults::default());
        assert!(seen.ties > 0, "{name}: no two multicasts had one stamp");
        assert!(seen.pushes > 0, "{name}: nothing was pushed");
    }
    let (faults, seen) = random_and_seen::<Coarse<16>>("4x4, very coarse", four_by_four(vec![]));
    assert_eq!(faults, Faults::default());
    assert!(seen.ties + seen.mixed_ties > 0, "no two stamps were equal");
}

#[test]
fn two_threads_read_one_queue() {
    let name = "two readers of one queue";
    assert_eq!(random::<Fine>(name, two_readers()), Faults::default());
    assert_eq!(few_switches::<Fine>(name, two_readers()), Faults::default());
}

#[test]
fn notices_have_their_place() {
    let (faults, seen) = random_and_seen::<Fine>("notices", notices());
    assert_eq!(faults, Faults::default());
    assert!(seen.notices > 0 && seen.merged > 0);
    assert_eq!(
        few_switches::<Fine>("notices", notices()),
        Faults::default()
    );
    let faults = random::<Standing>("notices, no time", notices());
    assert_eq!(faults.without_real_time(), Faults::default());
}
