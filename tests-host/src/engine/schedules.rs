// SPDX-License-Identifier: GPL-2.0

//! Random programs in random schedules, on shuttle, each explained by the model or a failure.
//!
//! One number, the seed, makes the program, chooses the clock and the kind of schedule, and the
//! schedule itself. A failure prints it; `BUS1_SEED` plays just that one again. Those in
//! `seeds.txt` have failed once and are played by each run. How many are new says
//! `BUS1_SCHEDULES`.

use super::{
    model::explain,
    program::{
        program,
        Dice, //
    },
    run::play,
    tally::Tally,
    world::count, //
};
use crate::{
    core::sync::Clock,
    host::clock::{
        Fine,
        Standing, //
    }, //
};
use shuttle::{
    scheduler::{
        PctScheduler,
        RandomScheduler,
        Scheduler, //
    },
    Config,
    FailurePersistence,
    Runner, //
};
use std::{
    hash::{
        BuildHasher,
        RandomState, //
    },
    sync::{
        Arc,
        Mutex, //
    },
};

/// New programs that a thorough run plays.
const PROGRAMS: u32 = 3000;

/// Schedules of one program.
const EACH: usize = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .and_then(|number| number.parse().ok())
}

/// Plays program `seed` over clock `C`.
fn on<C: Clock>(seed: u64, scheduler: impl Scheduler + 'static) -> Tally {
    let tally = Arc::new(Mutex::new(Tally::default()));
    let sum = tally.clone();
    let mut config = Config::new();
    config.stack_size = 1 << 18;
    config.failure_persistence = FailurePersistence::None;
    Runner::new(scheduler, config).run(move || {
        let history = match play::<C>(&program(seed)) {
            Ok(history) => history,
            Err(why) => panic!("BUS1_SEED={seed}: {why}"),
        };
        if let Err(why) = explain(&history) {
            panic!("{history}BUS1_SEED={seed}: {why}");
        }
        sum.lock().unwrap().take(&history);
    });
    let tally = tally.lock().unwrap().clone();
    tally
}

/// Plays all that `seed` says.
fn one(seed: u64) -> Tally {
    let pushes = count("pushes");
    let mut dice = Dice::new(!seed);
    let random = || RandomScheduler::new_from_seed(seed, EACH);
    let few_switches = || PctScheduler::new_from_seed(seed, 3, EACH);
    let mut tally = match dice.next() % 8 {
        0 => on::<Standing>(seed, random()),
        1 => on::<Standing>(seed, few_switches()),
        2..=3 => on::<Fine>(seed, few_switches()),
        _ => on::<Fine>(seed, random()),
    };
    tally.add("programs", 1);
    tally.add("pushes", (count("pushes") - pushes) as usize);
    tally
}

fn kept() -> impl Iterator<Item = u64> {
    let lines = include_str!("seeds.txt").lines();
    let numbers = lines.filter(|line| !line.starts_with('#'));
    numbers.map(|line| line.parse().expect("seeds.txt has a number on each line"))
}

#[test]
fn the_model_explains_every_run() {
    let mut tally = Tally::default();
    if let Some(seed) = number("BUS1_SEED") {
        println!("{}", one(seed));
        return;
    }
    kept().for_each(|seed| tally.merge(&one(seed)));
    let chosen = number("BUS1_SCHEDULES").map(|n| n.div_ceil(EACH as u64));
    let programs = chosen.unwrap_or_else(|| crate::share(PROGRAMS).into());
    let mut seeds = Dice::new(RandomState::new().hash_one(0));
    (0..programs).for_each(|_| tally.merge(&one(seeds.next())));
    println!("explored the engine against its model: {tally}");
    let missing = tally.missing();
    assert!(
        programs < 100 || missing.is_empty(),
        "never seen: {missing:?}"
    );
}
