// SPDX-License-Identifier: GPL-2.0

//! Small scripts in all interleavings up to a number of preemptions, with weak memory, on loom.

use super::{
    history::Faults,
    world::{
        play,
        Script,
        Step, //
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
use Step::{
    Abandon,
    Look,
    Recv,
    Send,
    Signal,
    Sleep, //
};

/// A script of peers 0 and 1 with queues, and of senders from 2 on.
fn script(threads: Vec<Vec<Step>>) -> Script {
    Script {
        threads,
        peers: 6,
        times: vec![],
        ahead: None,
    }
}

/// Plays all interleavings with at most `preemptions`; says how many there were.
fn explore<C: Clock>(script: Script, preemptions: usize) -> (usize, Faults) {
    let tally = Arc::new(Mutex::new((0, Faults::default())));
    let sum = tally.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(move || {
        let faults = play::<C>(&script);
        let mut sum = sum.lock().unwrap();
        sum.0 += 1;
        sum.1.add(faults);
    });
    let tally = *tally.lock().unwrap();
    tally
}

fn report<C: Clock>(name: &str, script: Script, preemptions: usize) -> Faults {
    let start = std::time::Instant::now();
    let (count, faults) = explore::<C>(script, preemptions);
    println!(
        "{name}: {count} executions in {:.1?}, {faults:?}",
        start.elapsed()
    );
    assert!(count > 1, "{name}: nothing was explored");
    faults
}

fn holds<C: Clock>(name: &str, script: Script, preemptions: usize) {
    let faults = report::<C>(name, script, preemptions);
    assert_eq!(faults, Faults::default(), "{name}");
}

fn holds_but_for_time<C: Clock>(name: &str, script: Script, preemptions: usize) -> usize {
    let faults = report::<C>(name, script, preemptions);
    assert_eq!(faults.without_real_time(), Faults::default(), "{name}");
    faults.real_time
}

/// With times that contradict each other, both ways round. Says how often that was visible.
fn skewed(name: &str, script: Script, preemptions: usize) -> usize {
    let with = |times: [u64; 4]| {
        let times = times.to_vec();
        let script = script.clone();
        holds_but_for_time::<Manual>(name, Script { times, ..script }, preemptions)
    };
    with([1000, 0, 400, 200]) + with([0, 1000, 200, 400])
}

/// Two multicasts that stage in opposite orders.
fn racing() -> Vec<Vec<Step>> {
    vec![vec![Send(2, 1, vec![0, 1])], vec![Send(3, 2, vec![1, 0])]]
}

#[test]
fn multicasts_race() {
    holds::<Fine>("racing, fine", script(racing()), 3);
    holds::<Coarse<4>>("racing, coarse", script(racing()), 2);
    skewed("racing, skewed", script(racing()), 3);
    holds_but_for_time::<Standing>("racing, no time", script(racing()), 3);
}

#[test]
fn a_thread_tells_outside_the_bus() {
    let told = || {
        script(vec![
            vec![Send(2, 1, vec![0, 1])],
            vec![Send(3, 2, vec![0]), Send(4, 3, vec![1])],
        ])
    };
    holds::<Fine>("told, fine", told(), 3);
    holds::<Coarse<4>>("told, coarse", told(), 2);
    // The case of 2016. It shows that the judge sees what it is for.
    assert!(skewed("told, skewed", told(), 3) > 0);
}

#[test]
fn a_signal_tells_outside_the_bus() {
    let signal = || {
        script(vec![
            vec![Send(2, 1, vec![0, 1])],
            vec![Send(3, 2, vec![0]), Signal(0)],
            vec![Look(0), Send(4, 3, vec![1])],
        ])
    };
    holds::<Fine>("signal, fine", signal(), 2);
}

#[test]
fn a_reader_passes_what_is_undecided() {
    let in_the_way = || {
        script(vec![
            vec![Send(2, 1, vec![0, 1])],
            vec![Send(3, 2, vec![0]), Recv(0), Send(4, 3, vec![1])],
        ])
    };
    holds::<Fine>("in the way, fine", in_the_way(), 3);
    skewed("in the way, skewed", in_the_way(), 3);
    let readers = || {
        let mut threads = racing();
        threads.push(vec![Recv(0), Recv(0)]);
        threads
    };
    holds::<Fine>("racing, a reader, fine", script(readers()), 2);
    skewed("racing, a reader, skewed", script(readers()), 2);
    holds_but_for_time::<Standing>("racing, a reader, no time", script(readers()), 2);
}

#[test]
fn an_answer_follows_its_question() {
    let answer = || {
        script(vec![
            vec![Send(2, 1, vec![1, 0])],
            vec![Recv(0), Send(0, 2, vec![1, 0])],
        ])
    };
    holds::<Fine>("answer, fine", answer(), 3);
    skewed("answer, skewed", answer(), 3);
    let ahead = Script {
        ahead: Some(100_000),
        ..answer()
    };
    holds_but_for_time::<Manual>("answer, a queue ahead of all clocks", ahead, 3);
}

/// What was read from a queue ahead of all clocks is passed on to one that lags behind it.
#[test]
fn who_is_ahead_takes_others_along() {
    let ahead = |threads| Script {
        ahead: Some(100_000),
        ..script(threads)
    };
    let relay = vec![
        vec![Send(2, 1, vec![1, 0])],
        vec![Recv(0), Recv(0), Send(0, 2, vec![1])],
    ];
    holds_but_for_time::<Manual>("relay", ahead(relay), 3);
    let chain = vec![
        vec![Send(2, 1, vec![1, 0]), Send(3, 2, vec![1])],
        vec![Send(4, 3, vec![1])],
    ];
    holds_but_for_time::<Manual>("chain", ahead(chain), 3);
    let own = vec![
        vec![Send(2, 1, vec![0]), Send(2, 2, vec![1])],
        vec![Send(3, 3, vec![1, 0])],
    ];
    holds_but_for_time::<Manual>("own", ahead(own), 3);
}

#[test]
fn nobody_oversleeps() {
    let asleep = || script(vec![vec![Send(2, 1, vec![0, 1])], vec![Sleep(0)]]);
    holds::<Fine>("one multicast, a sleeper", asleep(), 3);
    let mut threads = racing();
    threads.push(vec![Sleep(0)]);
    skewed("racing, a sleeper", script(threads), 2);
    // The reader takes a unicast and lies down while the multicast before it is still undecided.
    let committed = vec![
        vec![Send(2, 1, vec![0, 1])],
        vec![Send(3, 2, vec![0])],
        vec![Recv(0), Sleep(0)],
    ];
    skewed(
        "an older entry is committed, a sleeper",
        script(committed),
        3,
    );
    let abandoned = vec![
        vec![Abandon(2, 1, vec![0, 5])],
        vec![Send(3, 2, vec![0])],
        vec![Sleep(0)],
    ];
    skewed(
        "an older entry is taken back, a sleeper",
        script(abandoned),
        2,
    );
}
