// SPDX-License-Identifier: GPL-2.0

//! Larger scripts in random schedules, on shuttle.
//!
//! Readers really sleep: a wake-up that is lost is a deadlock, which shuttle reports.

use super::{
    history::Faults,
    scripts::{
        four_by_four,
        side_channel,
        sleepers, //
    },
    world::{
        play,
        Script, //
    }, //
};
use crate::{
    core::sync::Clock,
    host::clock::{
        Coarse,
        Fine,
        Manual, //
    }, //
};
use std::sync::{
    Arc,
    Mutex, //
};

/// Schedules of one script; more with `BUS1_SCHEDULES`.
fn schedules() -> usize {
    let chosen = std::env::var("BUS1_SCHEDULES").ok();
    chosen.and_then(|count| count.parse().ok()).unwrap_or(1500)
}

fn counted<C: Clock>(script: Script) -> (impl Fn() + Send + Sync, Arc<Mutex<Faults>>) {
    let all = Arc::new(Mutex::new(Faults::default()));
    let sum = all.clone();
    (move || sum.lock().unwrap().add(play::<C>(&script)), all)
}

fn random<C: Clock>(script: Script) -> Faults {
    let (run, faults) = counted::<C>(script);
    shuttle::check_random(run, schedules());
    let faults = *faults.lock().unwrap();
    faults
}

fn few_switches<C: Clock>(script: Script) -> Faults {
    let (run, faults) = counted::<C>(script);
    shuttle::check_pct(run, schedules(), 3);
    let faults = *faults.lock().unwrap();
    faults
}

#[test]
fn a_fine_clock_keeps_all_promises() {
    assert_eq!(random::<Fine>(four_by_four(vec![])), Faults::default());
    assert_eq!(
        few_switches::<Fine>(four_by_four(vec![])),
        Faults::default()
    );
}

#[test]
fn a_coarse_clock_does_so_with_the_wait() {
    assert_eq!(random::<Coarse<4>>(four_by_four(vec![])), Faults::default());
    assert_eq!(random::<Coarse<4>>(side_channel()), Faults::default());
}

#[test]
fn a_skewed_clock_keeps_order_and_causality() {
    let times = vec![0, 900, 200, 500, 100, 0, 700, 300];
    let faults = random::<Manual>(four_by_four(times.clone()));
    assert_eq!(faults.without_real_time(), Faults::default());
    let faults = few_switches::<Manual>(four_by_four(times));
    assert_eq!(faults.without_real_time(), Faults::default());
}

#[test]
fn what_is_told_outside_the_bus_counts() {
    assert_eq!(random::<Fine>(side_channel()), Faults::default());
    assert_eq!(few_switches::<Fine>(side_channel()), Faults::default());
}

#[test]
fn nobody_oversleeps() {
    assert_eq!(random::<Fine>(sleepers()), Faults::default());
    let faults = few_switches::<Manual>(Script {
        times: vec![500, 0, 900],
        ..sleepers()
    });
    assert_eq!(faults.without_real_time(), Faults::default());
}
