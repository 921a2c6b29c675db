// SPDX-License-Identifier: GPL-2.0

//! Judges a run by what was sent, received and delivered. Stamps play no part.
//!
//! Events are messages; edges say which came before which. A run keeps a promise if its deliveries,
//! together with the edges that the promise adds, have no cycle.

use std::collections::BTreeSet;

/// What one thread did, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    /// Its send of `id`, as `peer`, returned.
    Sent { id: u32, peer: usize },
    /// It queued a notice, as event `id`: a state, not a message, so that it follows nobody's clock.
    Notified(u32),
    /// Its receipt of `id`, as `peer`, returned.
    Got { id: u32, peer: usize },
    /// It gave a signal outside the bus.
    Signalled(usize),
    /// It saw one.
    Saw(usize),
}

/// Broken promises of one run, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// The orders of the queues have a cycle.
    pub(crate) consistency: usize,
    /// They have one together with "its sender had sent or read the other before".
    pub(crate) causality: usize,
    /// They have one together with "a send or a receipt of it returned before the other's send began".
    pub(crate) real_time: usize,
    /// A send returned before another began, and yet came later in the same queue.
    pub(crate) fifo: usize,
    /// One message was not delivered exactly once to each destination.
    pub(crate) lost: usize,
    /// A payload was not what was written before the send.
    pub(crate) torn: usize,
    /// Stamps fell in a queue, or differed within one transaction.
    pub(crate) misplaced: usize,
    /// A reader slept on a readable queue when all senders were done.
    pub(crate) overslept: usize,
}

impl Faults {
    /// Adds those of another run.
    pub(crate) fn add(&mut self, other: Self) {
        self.consistency += other.consistency;
        self.causality += other.causality;
        self.real_time += other.real_time;
        self.fifo += other.fifo;
        self.lost += other.lost;
        self.torn += other.torn;
        self.misplaced += other.misplaced;
        self.overslept += other.overslept;
    }

    /// What counts if the clock is not one that everybody can rely on.
    pub(crate) fn without_real_time(self) -> Self {
        Self {
            real_time: 0,
            ..self
        }
    }
}

type Edges = BTreeSet<(u32, u32)>;

/// All that thread `by` knows of before its step `at`: what it did, and what it was told by signals.
fn known(threads: &[Vec<Did>], by: usize, at: usize, out: &mut Vec<Did>) {
    for did in &threads[by][..at] {
        let Did::Saw(signal) = did else {
            out.push(*did);
            continue;
        };
        for (teller, log) in threads.iter().enumerate() {
            let gave = log
                .iter()
                .position(|other| *other == Did::Signalled(*signal));
            if let Some(gave) = gave {
                known(threads, teller, gave, out);
            }
        }
    }
}

/// For each send what came before it.
#[derive(Default)]
struct Before {
    /// In the life of its peer.
    causal: Edges,
    /// For its thread, which may act for several peers and hears of signals.
    real_time: Edges,
    /// Of both, the sends.
    sends: Edges,
}

fn edges(threads: &[Vec<Did>]) -> Before {
    let mut all = Before::default();
    for (by, log) in threads.iter().enumerate() {
        for (at, did) in log.iter().enumerate() {
            let (later, sender) = match *did {
                Did::Sent { id, peer } => (id, Some(peer)),
                Did::Notified(id) => (id, None),
                _ => continue,
            };
            let mut before = Vec::new();
            known(threads, by, at, &mut before);
            for did in before {
                let (id, whose) = match did {
                    Did::Sent { id, peer } | Did::Got { id, peer } => (id, Some(peer)),
                    Did::Notified(id) => (id, None),
                    _ => continue,
                };
                if whose.is_some() && whose == sender {
                    all.causal.insert((id, later));
                } else {
                    all.real_time.insert((id, later));
                }
                if !matches!(did, Did::Got { .. }) {
                    all.sends.insert((id, later));
                }
            }
        }
    }
    all
}

/// An event of a notice. It says what holds when it is read, so that one delivery may report several
/// events, and an event may be reported by a delivery that was queued for an earlier one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// The event.
    pub(crate) id: u32,
    /// The delivery that reported it.
    pub(crate) by: Option<u32>,
    /// The last delivery about the same node.
    pub(crate) last: Option<u32>,
    /// Whether it has a place of its own, so that it comes after what was sent before it.
    pub(crate) follows: bool,
    /// Whether it kept its place, so that it comes before what was sent after it.
    pub(crate) precedes: bool,
}

/// Puts deliveries in the place of the events that they stand for.
fn placed(edges: Edges, told: &[Told]) -> Edges {
    let event = |id: u32| told.iter().find(|told| told.id == id);
    let from = |id: u32| match event(id) {
        Some(told) => told.by.filter(|_| told.precedes),
        None => Some(id),
    };
    let to = |id: u32| match event(id) {
        Some(told) => told.last.filter(|_| told.follows),
        None => Some(id),
    };
    let edges = edges.into_iter().filter_map(|(a, b)| from(a).zip(to(b)));
    edges.filter(|edge| edge.0 != edge.1).collect()
}

/// Whether `queue` delivered `edge` the wrong way round.
fn reversed(queue: &[u32], edge: &(u32, u32)) -> bool {
    let last = queue.iter().rposition(|id| *id == edge.0);
    let first = queue.iter().position(|id| *id == edge.1);
    last.zip(first).is_some_and(|(last, first)| last > first)
}

/// Whether something is left when all that nothing comes before is taken away, again and again.
fn cyclic(edges: &Edges) -> bool {
    let mut left = edges.clone();
    loop {
        let before = left.len();
        let targets: BTreeSet<u32> = left.iter().map(|edge| edge.1).collect();
        left.retain(|edge| targets.contains(&edge.0));
        if left.is_empty() || left.len() == before {
            return !left.is_empty();
        }
    }
}

/// Judges. `queues` is what each delivered, in order; `sent` each message and where it went.
pub(crate) fn judge(
    threads: &[Vec<Did>],
    queues: &[Vec<u32>],
    sent: &[(u32, Vec<usize>)],
) -> Faults {
    judge_all(threads, queues, sent, &[])
}

/// The same, with notices: deliveries that are not in `sent`.
pub(crate) fn judge_all(
    threads: &[Vec<Did>],
    queues: &[Vec<u32>],
    sent: &[(u32, Vec<usize>)],
    told: &[Told],
) -> Faults {
    let mut faults = Faults::default();
    let pairs = queues.iter().flat_map(|queue| queue.windows(2));
    let mut graph: Edges = pairs
        .map(|pair| (pair[0], pair[1]))
        .filter(|e| e.0 != e.1)
        .collect();
    let before = edges(threads);
    faults.consistency = usize::from(cyclic(&graph));
    graph.extend(placed(before.causal, told));
    faults.causality = usize::from(cyclic(&graph));
    graph.extend(placed(before.real_time, told));
    faults.real_time = usize::from(cyclic(&graph));
    let sends = placed(before.sends, told);
    for (number, queue) in queues.iter().enumerate() {
        faults.fifo += sends.iter().filter(|edge| reversed(queue, edge)).count();
        let is_message =
            |id: &u32| sent.iter().any(|(message, _)| message == id) || told.is_empty();
        let mut have: Vec<u32> = queue.iter().copied().filter(is_message).collect();
        let mut want = Vec::new();
        for (id, to) in sent {
            want.extend(to.iter().filter(|to| **to == number).map(|_| *id));
        }
        have.sort_unstable();
        want.sort_unstable();
        faults.lost += usize::from(have != want);
    }
    faults.lost += told.iter().filter(|told| told.by.is_none()).count();
    faults
}

/// The judge against cases that are plain to see.
mod tests {
    use super::*;

    fn sent(id: u32, peer: usize) -> Did {
        Did::Sent { id, peer }
    }

    #[test]
    fn two_queues_that_disagree_break_consistency() {
        let sent = [(1, vec![0, 1]), (2, vec![0, 1])];
        let faults = judge(&[], &[vec![1, 2], vec![2, 1]], &sent);
        assert_eq!((faults.consistency, faults.lost), (1, 0));
        assert_eq!(
            judge(&[], &[vec![1, 2], vec![1, 2]], &sent),
            Faults::default()
        );
    }

    #[test]
    fn an_answer_before_the_question_breaks_causality() {
        let threads = [
            vec![sent(1, 0)],
            vec![Did::Got { id: 1, peer: 1 }, sent(2, 1)],
        ];
        let sent = [(1, vec![0, 1]), (2, vec![0])];
        let faults = judge(&threads, &[vec![2, 1], vec![1]], &sent);
        assert_eq!((faults.consistency, faults.causality), (0, 1));
    }

    /// The case of 2016: D to both queues, A to the first, then, told so by a signal, B to the second.
    #[test]
    fn what_a_signal_says_counts_as_time() {
        let (a, b, d) = (1, 2, 3);
        let threads = [
            vec![sent(d, 0)],
            vec![sent(a, 1), Did::Signalled(0)],
            vec![Did::Saw(0), sent(b, 2)],
        ];
        let sent = [(d, vec![0, 1]), (a, vec![0]), (b, vec![1])];
        let faults = judge(&threads, &[vec![d, a], vec![b, d]], &sent);
        assert_eq!(
            (faults.consistency, faults.causality, faults.real_time),
            (0, 0, 1)
        );
        let faults = judge(&threads, &[vec![a, d], vec![b, d]], &sent);
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn one_thread_is_delivered_in_its_order_by_one_queue() {
        let threads = [vec![sent(1, 0), sent(2, 1)]];
        let sent = [(1, vec![0, 1]), (2, vec![0])];
        assert_eq!(judge(&threads, &[vec![2, 1], vec![1]], &sent).fifo, 1);
        assert_eq!(
            judge(&threads, &[vec![1, 2], vec![1]], &sent),
            Faults::default()
        );
    }

    #[test]
    fn what_comes_twice_or_never_is_lost() {
        let sent = [(1, vec![0, 0]), (2, vec![1])];
        assert_eq!(judge(&[], &[vec![1, 1], vec![2]], &sent).lost, 0);
        assert_eq!(judge(&[], &[vec![1], vec![2, 2]], &sent).lost, 2);
    }

    /// Message 1 went to the queue before the event, message 2 after it.
    #[test]
    fn a_notice_has_its_place() {
        let threads = [vec![sent(1, 0), Did::Notified(9), sent(2, 0)]];
        let sent = [(1, vec![0]), (2, vec![0])];
        let told = |follows| Told {
            id: 9,
            by: Some(100),
            last: Some(100),
            follows,
            precedes: true,
        };
        let fifo = |queue: Vec<u32>, follows| {
            let faults = judge_all(&threads, &[queue], &sent, &[told(follows)]);
            assert_eq!(faults.lost, 0);
            faults.fifo
        };
        assert_eq!(fifo(vec![1, 100, 2], true), 0);
        assert_eq!(fifo(vec![100, 1, 2], true), 1);
        assert_eq!(fifo(vec![100, 1, 2], false), 0);
        assert_eq!(fifo(vec![1, 2, 100], false), 1);
    }

    #[test]
    fn a_notice_that_never_comes_is_lost() {
        let threads = [vec![Did::Notified(9)]];
        let told = Told {
            id: 9,
            by: None,
            last: None,
            follows: true,
            precedes: true,
        };
        assert_eq!(judge_all(&threads, &[vec![]], &[], &[told]).lost, 1);
    }
}
