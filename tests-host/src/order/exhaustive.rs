// SPDX-License-Identifier: GPL-2.0

//! Small scripts in all interleavings, with weak memory, on loom.
//!
//! "All" is meant: no bound on preemptions. That is possible because messages are made before the
//! threads start, readers mostly stand inline with a sender, and loom does not look at the counts of
//! references, which order nothing here. Where there are too many interleavings all the same, there is
//! a bound, lower in a run that is not thorough, and where loom is to look for leaks, it does see the
//! references.

use super::{
    deliveries::Seen,
    history::Faults,
    world::{
        play_and_look,
        Script,
        Step, //
    }, //
};
use crate::{
    core::sync::Clock,
    host::{
        clock::{
            Coarse,
            Fine,
            Manual,
            Standing, //
        },
        hide_references, //
    }, //
};
use std::sync::{
    Arc,
    Mutex, //
};
use Step::{
    Abandon,
    Look,
    Notify,
    Recv,
    Send,
    Share,
    Signal,
    Sleep, //
};

/// How far to go.
#[derive(Clone, Copy)]
enum Depth {
    /// All interleavings.
    All,
    /// Those with at most so many preemptions.
    Preemptions(usize),
    /// The same, and a look for leaks.
    Leaks(usize),
}
use Depth::{
    All,
    Leaks,
    Preemptions, //
};

/// A script of peers 0 and 1 with queues, and of senders from 2 on.
fn script(threads: Vec<Vec<Step>>) -> Script {
    Script {
        threads,
        peers: 6,
        times: vec![],
        ahead: None,
        slow: false,
    }
}

/// So far, or as far as this run goes.
fn within_reach(depth: Depth) -> Depth {
    match depth {
        All => All,
        Preemptions(bound) => Preemptions(crate::preemptions(bound)),
        Leaks(bound) => Leaks(crate::preemptions(bound)),
    }
}

/// Plays interleavings; says how many there were.
fn explore<C: Clock>(script: Script, depth: Depth) -> (usize, Faults, Seen) {
    let tally = Arc::new(Mutex::new((0, Faults::default(), Seen::default())));
    let leaks = matches!(depth, Leaks(_));
    let sum = tally.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = match depth {
        All => None,
        Preemptions(bound) | Leaks(bound) => Some(bound),
    };
    builder.max_branches = 20_000;
    builder.check(move || {
        hide_references(!leaks);
        let (faults, seen) = play_and_look::<C>(&script);
        let mut sum = sum.lock().unwrap();
        sum.0 += 1;
        sum.1.add(faults);
        sum.2.add(seen);
    });
    hide_references(false);
    let tally = *tally.lock().unwrap();
    tally
}

fn report<C: Clock>(name: &str, script: Script, depth: Depth) -> (Faults, Seen) {
    let start = std::time::Instant::now();
    let depth = within_reach(depth);
    let (count, faults, seen) = explore::<C>(script, depth);
    let how_far = match depth {
        All => "all".into(),
        Preemptions(bound) => format!("bound {bound}"),
        Leaks(bound) => format!("bound {bound}, leaks"),
    };
    println!(
        "explored {name}, {how_far}: {count} executions, {} pushes, {} ties, {:.1?}",
        seen.pushes,
        seen.ties + seen.mixed_ties,
        start.elapsed()
    );
    assert!(count > 1, "{name}: nothing was explored");
    (faults, seen)
}

fn holds<C: Clock>(name: &str, script: Script, depth: Depth) -> Seen {
    let (faults, seen) = report::<C>(name, script, depth);
    assert_eq!(faults, Faults::default(), "{name}");
    seen
}

/// On a clock that is not the same for all. Says how often that was visible, too.
fn holds_but_for_time<C: Clock>(name: &str, script: Script, depth: Depth) -> (usize, Seen) {
    let (faults, seen) = report::<C>(name, script, depth);
    assert_eq!(faults.without_real_time(), Faults::default(), "{name}");
    (faults.real_time, seen)
}

/// With times that contradict each other, both ways round. Says how often that was visible.
fn skewed(name: &str, script: Script, depth: Depth) -> usize {
    let with = |times: [u64; 4]| {
        let times = times.to_vec();
        let script = script.clone();
        holds_but_for_time::<Manual>(name, Script { times, ..script }, depth).0
    };
    with([1000, 0, 400, 200]) + with([0, 1000, 200, 400])
}

/// On every kind of clock.
fn holds_on_all_clocks(name: &str, threads: &[Vec<Step>], depth: Depth) {
    let threads = || script(threads.to_vec());
    holds::<Fine>(&format!("{name}, fine"), threads(), depth);
    holds::<Coarse<4>>(&format!("{name}, coarse"), threads(), depth);
    skewed(&format!("{name}, skewed"), threads(), depth);
    holds_but_for_time::<Standing>(&format!("{name}, no time"), threads(), depth);
}

/// Where stamps tie, and so that ties fall in the order of the threads and the other way round.
fn both_ways(name: &str, threads: Vec<Vec<Step>>, depth: Depth) {
    let seen = holds::<Fine>(&format!("{name}, fine"), script(threads.clone()), depth);
    assert!(seen.pushes > 0, "nothing was pushed");
    let mut all = holds::<Coarse<16>>(&format!("{name}, coarse"), script(threads.clone()), depth);
    let back: Vec<_> = threads.iter().rev().cloned().collect();
    for (how, threads) in [("no time", threads), ("no time, back", back)] {
        let name = format!("{name}, {how}");
        all.add(holds_but_for_time::<Standing>(&name, script(threads), depth).1);
    }
    assert!(all.ties > 0 && all.pushes > 0, "nothing tied");
}

fn with(mut threads: Vec<Vec<Step>>, more: Vec<Vec<Step>>) -> Vec<Vec<Step>> {
    threads.extend(more);
    threads
}

/// Two multicasts that stage in opposite orders.
fn racing() -> Vec<Vec<Step>> {
    vec![vec![Send(2, 1, vec![0, 1])], vec![Send(3, 2, vec![1, 0])]]
}

#[test]
fn multicasts_race() {
    holds_on_all_clocks("2x2 racing", &racing(), All);
    holds::<Fine>("2x2 racing", script(racing()), Leaks(3));
    let seen = holds_but_for_time::<Standing>("2x2 racing, ties", script(racing()), All).1;
    assert!(
        seen.ties > 0,
        "without time no two multicasts had one stamp"
    );
}

/// A multicast and two unicasts of one thread, which is a channel of its own.
fn told() -> Vec<Vec<Step>> {
    vec![
        vec![Send(2, 1, vec![0, 1])],
        vec![Send(3, 2, vec![0]), Send(4, 3, vec![1])],
    ]
}

/// The case that the bus of 2016 got wrong, without a clock that is to blame. The first queue has
/// seen more than the second. While a multicast is half way, a thread sends to the first, which puts
/// that behind the multicast, and then to the second, which is to be behind that.
fn half_way() -> Vec<Vec<Step>> {
    vec![
        vec![Send(2, 1, vec![0, 1])],
        vec![
            Send(3, 2, vec![0]),
            Send(4, 3, vec![0]),
            Send(5, 4, vec![1]),
        ],
    ]
}

#[test]
fn a_thread_tells_what_is_ahead_of_time() {
    holds::<Fine>("2x2 half way, fine", script(half_way()), All);
    holds::<Coarse<16>>("2x2 half way, coarse", script(half_way()), All);
    let notices = vec![
        vec![Send(2, 1, vec![0, 1])],
        vec![
            Notify(0, 10, true),
            Notify(0, 11, true),
            Send(5, 4, vec![1]),
        ],
    ];
    holds::<Coarse<16>>("2x2 half way, notices, coarse", script(notices), All);
    // One queue runs ahead of the clock; what was read there is told before its sender has returned.
    let read = vec![
        vec![Send(2, 1, vec![0, 0, 0])],
        vec![Send(3, 2, vec![1, 0])],
        vec![Recv(0), Send(4, 3, vec![1])],
    ];
    holds::<Coarse<16>>("3x2 read ahead, coarse", script(read), Preemptions(3));
}

/// A reader finds a commit before its sender has passed the queue.
#[test]
fn what_was_read_takes_the_queue_along() {
    let ahead = |threads| Script {
        ahead: Some(100_000),
        ..script(threads)
    };
    let early = vec![
        vec![Send(2, 1, vec![1, 0])],
        vec![Recv(1), Send(3, 2, vec![1]), Recv(1)],
    ];
    holds_but_for_time::<Manual>("2x2 read before the pass", ahead(early), All);
    // Three queues that would say: 2 before 3, 3 before 1, 1 before 2.
    let around = vec![
        vec![Send(4, 1, vec![3, 2])],
        vec![
            Recv(0),
            Send(0, 9, vec![3]),
            Recv(1),
            Send(5, 3, vec![1, 2]),
        ],
        vec![Send(6, 2, vec![1, 3])],
    ];
    let around = Script {
        peers: 8,
        ..ahead(around)
    };
    holds_but_for_time::<Manual>("3x4 around", around, Preemptions(3));
}

#[test]
fn a_thread_tells_outside_the_bus() {
    holds::<Fine>("2x2 told, fine", script(told()), All);
    holds::<Coarse<4>>("2x2 told, coarse", script(told()), All);
    holds_but_for_time::<Standing>("2x2 told, no time", script(told()), All);
    // The case of 2016. It shows that the judge sees what it is for.
    assert!(skewed("2x2 told, skewed", script(told()), All) > 0);
}

#[test]
fn a_reader_passes_what_is_undecided() {
    let in_the_way = vec![
        vec![Send(2, 1, vec![0, 1])],
        vec![Send(3, 2, vec![0]), Recv(0), Send(4, 3, vec![1])],
    ];
    holds::<Fine>(
        "2x2 in the way, leaks",
        script(in_the_way.clone()),
        Leaks(3),
    );
    let seen = holds::<Fine>("2x2 in the way, fine", script(in_the_way.clone()), All);
    assert!(seen.pushes > 0, "nothing was pushed");
    holds::<Coarse<4>>("2x2 in the way, coarse", script(in_the_way.clone()), All);
    skewed("2x2 in the way, skewed", script(in_the_way.clone()), All);
    holds_but_for_time::<Standing>("2x2 in the way, no time", script(in_the_way), All);
    // The first is pushed to just where the second gets its place, and comes before it elsewhere.
    let tied = vec![
        vec![Send(2, 1, vec![0, 1])],
        vec![
            Send(3, 2, vec![0]),
            Recv(0),
            Send(4, 3, vec![0, 1]),
            Recv(0),
        ],
    ];
    let depth = Preemptions(3);
    let seen = holds_but_for_time::<Standing>("2x2 pushed to a tie", script(tied), depth).1;
    assert!(seen.ties > 0 && seen.pushes > 0, "nothing tied");
}

#[test]
fn readers_beside_senders() {
    let one = with(racing(), vec![vec![Recv(0), Recv(0)]]);
    both_ways("racing, a reader", one, Preemptions(3));
    let two = with(
        racing(),
        vec![vec![Recv(0), Recv(0)], vec![Recv(1), Recv(1)]],
    );
    let seen = holds::<Fine>("racing, two readers", script(two), Preemptions(2));
    assert!(seen.pushes > 0, "nothing was pushed");
}

/// Two threads read one queue, as those of a Binder process do.
#[test]
fn a_queue_has_two_readers() {
    let shared = vec![
        vec![Send(2, 1, vec![0, 1])],
        vec![Send(3, 2, vec![0]), Share(0)],
        vec![Share(0)],
    ];
    holds::<Fine>(
        "two readers of one queue",
        script(shared.clone()),
        Preemptions(3),
    );
    skewed("two readers of one queue", script(shared), Preemptions(3));
    let racing = with(racing(), vec![vec![Share(0)], vec![Share(0)]]);
    holds::<Fine>(
        "racing, two readers of one queue",
        script(racing),
        Preemptions(2),
    );
}

/// A notice is queued, and queued anew, in the way of a multicast.
#[test]
fn notices_have_their_place() {
    let moved = vec![
        vec![Send(2, 1, vec![0, 1])],
        vec![
            Notify(0, 10, false),
            Send(3, 2, vec![1]),
            Notify(0, 11, true),
            Recv(0),
        ],
    ];
    let seen = holds::<Fine>("a notice moves", script(moved.clone()), All);
    assert!(seen.notices > 0 && seen.merged > 0 && seen.pushes > 0);
    skewed("a notice moves", script(moved), All);
    let raced = vec![
        vec![Send(2, 1, vec![0, 1])],
        vec![Notify(0, 10, true), Notify(0, 11, true)],
        vec![Recv(0), Recv(0), Send(0, 2, vec![1])],
    ];
    holds::<Fine>(
        "a notice moves while it is read",
        script(raced),
        Preemptions(3),
    );
}

#[test]
fn an_answer_follows_its_question() {
    let answer = vec![
        vec![Send(2, 1, vec![1, 0])],
        vec![Recv(0), Send(0, 2, vec![1, 0])],
    ];
    holds_on_all_clocks("2x2 answer", &answer, All);
    holds::<Fine>("2x2 answer", script(answer.clone()), Leaks(3));
    let ahead = Script {
        ahead: Some(100_000),
        ..script(answer)
    };
    holds_but_for_time::<Manual>("2x2 answer, a queue ahead of all clocks", ahead, All);
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
    holds_but_for_time::<Manual>("2x2 relay", ahead(relay), All);
    let chain = vec![
        vec![Send(2, 1, vec![1, 0]), Send(3, 2, vec![1])],
        vec![Send(4, 3, vec![1])],
    ];
    holds_but_for_time::<Manual>("2x2 chain", ahead(chain), All);
    let own = vec![
        vec![Send(2, 1, vec![0]), Send(2, 2, vec![1])],
        vec![Send(3, 3, vec![1, 0])],
    ];
    holds_but_for_time::<Manual>("2x2 own", ahead(own), All);
}

#[test]
fn three_senders_two_queues() {
    let third = vec![vec![Send(4, 3, vec![0, 1])]];
    holds_on_all_clocks("3x2 racing", &with(racing(), third), Preemptions(3));
    let signal = vec![
        vec![Send(2, 1, vec![0, 1])],
        vec![Send(3, 2, vec![0]), Signal(0)],
        vec![Look(0), Send(4, 3, vec![1])],
    ];
    holds::<Fine>("3x2 signal", script(signal.clone()), All);
    assert!(skewed("3x2 signal", script(signal), Preemptions(3)) > 0);
}

/// Three senders, two queues, and readers: what is read is judged when it is read.
#[test]
fn three_senders_two_queues_and_readers() {
    let apart = vec![
        vec![Send(2, 1, vec![0, 1])],
        vec![Send(3, 2, vec![1])],
        vec![Send(4, 3, vec![0]), Recv(0), Recv(0)],
    ];
    let seen = holds::<Fine>("3x2 with a reader", script(apart), Preemptions(3));
    assert!(seen.pushes > 0, "nothing was pushed");
    let inline = vec![
        vec![Send(2, 1, vec![0, 1]), Recv(0)],
        vec![Send(3, 2, vec![1, 0]), Recv(1)],
        vec![Send(4, 3, vec![0, 1])],
    ];
    both_ways("3x2 racing, readers inline", inline, Preemptions(3));
    let third = vec![vec![Send(4, 3, vec![0, 1])], vec![Recv(0), Recv(0)]];
    both_ways(
        "3x2 racing, a reader",
        with(racing(), third),
        Preemptions(2),
    );
}

#[test]
fn nobody_oversleeps() {
    let asleep = || script(vec![vec![Send(2, 1, vec![0, 1])], vec![Sleep(0)]]);
    holds::<Fine>("one multicast, a sleeper", asleep(), All);
    let mut threads = racing();
    threads.push(vec![Sleep(0)]);
    skewed("racing, a sleeper", script(threads), Preemptions(3));
    // The reader takes a unicast and lies down while the multicast before it is still undecided.
    let committed = vec![
        vec![Send(2, 1, vec![0, 1])],
        vec![Send(3, 2, vec![0])],
        vec![Recv(0), Sleep(0)],
    ];
    skewed(
        "an older entry is committed, a sleeper",
        script(committed),
        Preemptions(3),
    );
    let abandoned = vec![
        vec![Abandon(2, 1, vec![0, 5])],
        vec![Send(3, 2, vec![0])],
        vec![Sleep(0)],
    ];
    skewed(
        "an older entry is taken back, a sleeper",
        script(abandoned),
        Preemptions(3),
    );
    let notified = vec![
        vec![Notify(0, 10, true)],
        vec![Send(2, 1, vec![0, 1])],
        vec![Sleep(0)],
    ];
    holds::<Fine>("a notice and a multicast, a sleeper", script(notified), All);
}
