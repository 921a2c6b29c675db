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
            let Did::Sent { id: later, peer } = *did else {
                continue;
            };
            let mut before = Vec::new();
            known(threads, by, at, &mut before);
            for did in before {
                let (Did::Sent { id, peer: whose } | Did::Got { id, peer: whose }) = did else {
                    continue;
                };
                if whose == peer {
                    all.causal.insert((id, later));
                } else {
                    all.real_time.insert((id, later));
                }
                if matches!(did, Did::Sent { .. }) {
                    all.sends.insert((id, later));
                }
            }
        }
    }
    all
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
    let mut faults = Faults::default();
    let pairs = queues.iter().flat_map(|queue| queue.windows(2));
    let mut graph: Edges = pairs
        .map(|pair| (pair[0], pair[1]))
        .filter(|e| e.0 != e.1)
        .collect();
    let before = edges(threads);
    faults.consistency = usize::from(cyclic(&graph));
    graph.extend(before.causal);
    faults.causality = usize::from(cyclic(&graph));
    graph.extend(before.real_time);
    faults.real_time = usize::from(cyclic(&graph));
    for (number, queue) in queues.iter().enumerate() {
        faults.fifo += before
            .sends
            .iter()
            .filter(|edge| reversed(queue, edge))
            .count();
        let mut have = queue.clone();
        let mut want = Vec::new();
        for (id, to) in sent {
            want.extend(to.iter().filter(|to| **to == number).map(|_| *id));
        }
        have.sort_unstable();
        want.sort_unstable();
        faults.lost += usize::from(have != want);
    }
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
}
