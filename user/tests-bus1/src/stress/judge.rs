// SPDX-License-Identifier: MIT OR Apache-2.0

//! Decides whether there is one order that explains everything that was seen.
//!
//! A before B holds
//! - if some queue delivered A right before B,
//! - if the send of A, or a receipt of A, had returned before the send of B began,
//!   by the clock that all processes share.
//!
//! The driver promises one order that has all of these: there is a violation if
//! and only if they form a cycle. The second kind would be too many pairs, so
//! that it goes through a line of nodes, one for each start in the order of time:
//! A points to the first start after its end, each start to the next one and to
//! its own message.

#![forbid(unsafe_code)]

use std::collections::VecDeque;

/// A message: when its send began and ended, and the queues it went to.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub sender: usize,
    pub start: u64,
    pub end: u64,
    pub queues: u64,
}

impl Sent {
    fn is_multicast(&self) -> bool {
        self.queues.count_ones() > 1
    }
}

/// A delivery: which message, and when its receipt had returned.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    pub message: usize,
    pub time: u64,
}

/// What was seen in one round.
#[derive(Debug, Default)]
pub struct Round {
    pub sent: Vec<Sent>,
    pub logs: Vec<Vec<Received>>,
}

/// How much the senders got into each other's way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Multicasts.
    pub multicasts: u64,
    /// Multicasts during whose call another sender's multicast to at least two
    /// of the same queues was under way.
    pub contended: u64,
    /// Multicasts during whose call one sender's unicast to one of its queues
    /// ended before another sender's unicast to another of them began.
    pub around_two: u64,
}

impl Round {
    /// Whether each message arrived exactly where it was sent, exactly once.
    pub fn complete(&self) -> Result<(), String> {
        for (queue, log) in self.logs.iter().enumerate() {
            let mut seen = vec![false; self.sent.len()];
            for entry in log {
                let Some(seen) = seen.get_mut(entry.message) else {
                    return Err(format!("queue {queue}: an unknown message"));
                };
                if std::mem::replace(seen, true) {
                    return Err(format!("queue {queue}: message {} twice", entry.message));
                }
            }
            for (message, (sent, seen)) in self.sent.iter().zip(seen).enumerate() {
                let wanted = sent.queues >> queue & 1 == 1;
                if wanted != seen {
                    let what = if wanted {
                        "is missing"
                    } else {
                        "is not for it"
                    };
                    return Err(format!("queue {queue}: message {message} {what}"));
                }
            }
        }
        Ok(())
    }

    /// Messages in the order of their starts.
    fn by_start(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.sent.len()).collect();
        order.sort_unstable_by_key(|message| self.sent[*message].start);
        order
    }

    /// Edges of "before". Nodes below the number of messages are messages, those
    /// above are the starts, in the order of time.
    fn edges(&self) -> Vec<Vec<usize>> {
        let count = self.sent.len();
        let order = self.by_start();
        let starts: Vec<u64> = order.iter().map(|one| self.sent[*one].start).collect();
        let mut edges = vec![Vec::new(); 2 * count];
        let mut known: Vec<u64> = self.sent.iter().map(|sent| sent.end).collect();
        for log in &self.logs {
            for entry in log {
                known[entry.message] = known[entry.message].min(entry.time);
            }
            for pair in log.windows(2) {
                edges[pair[0].message].push(pair[1].message);
            }
        }
        for (message, known) in known.iter().enumerate() {
            let later = starts.partition_point(|start| start <= known);
            if later < count {
                edges[message].push(count + later);
            }
        }
        for (place, message) in order.iter().enumerate() {
            edges[count + place].push(*message);
            if place + 1 < count {
                edges[count + place].push(count + place + 1);
            }
        }
        edges
    }

    /// The messages of a cycle, or nothing if there is an order.
    pub fn cycle(&self) -> Vec<usize> {
        let edges = self.edges();
        let mut before = vec![0_u32; edges.len()];
        edges.iter().flatten().for_each(|to| before[*to] += 1);
        let mut free: VecDeque<usize> = (0..edges.len()).filter(|one| before[*one] == 0).collect();
        while let Some(node) = free.pop_front() {
            for to in &edges[node] {
                before[*to] -= 1;
                if before[*to] == 0 {
                    free.push_back(*to);
                }
            }
        }
        // What is left is on cycles or behind them; of each such node something
        // that is left comes before, so that going back ends in a cycle.
        let Some(mut node) = before.iter().position(|before| *before > 0) else {
            return Vec::new();
        };
        let mut from = vec![None; edges.len()];
        for (one, to) in edges.iter().enumerate() {
            if before[one] > 0 {
                to.iter().for_each(|to| from[*to] = Some(one));
            }
        }
        let mut seen = vec![false; edges.len()];
        while !std::mem::replace(&mut seen[node], true) {
            node = from[node].unwrap_or(node);
        }
        let first = node;
        let mut cycle = Vec::new();
        loop {
            if node < self.sent.len() {
                cycle.push(node);
            }
            node = from[node].unwrap_or(first);
            if node == first {
                cycle.reverse();
                return cycle;
            }
        }
    }

    /// How much was going on at the same time.
    pub fn overlap(&self) -> Overlap {
        let order = self.by_start();
        let mut overlap = Overlap::default();
        for (place, one) in order.iter().enumerate() {
            let one = &self.sent[*one];
            if !one.is_multicast() {
                continue;
            }
            overlap.multicasts += 1;
            let inside = order[place + 1..]
                .iter()
                .map(|other| &self.sent[*other])
                .take_while(|other| other.start < one.end);
            overlap.contended += u64::from(inside.clone().any(|other| {
                other.sender != one.sender && (other.queues & one.queues).count_ones() > 1
            }));
            let unicasts: Vec<&Sent> = inside
                .filter(|other| !other.is_multicast() && other.queues & one.queues != 0)
                .filter(|other| other.end < one.end)
                .collect();
            overlap.around_two += u64::from(unicasts.iter().any(|first| {
                unicasts.iter().any(|second| {
                    first.sender != second.sender
                        && first.queues != second.queues
                        && first.end < second.start
                })
            }));
        }
        overlap
    }

    /// One message in words.
    pub fn describe(&self, message: usize) -> String {
        let sent = &self.sent[message];
        let queues: Vec<String> = (0..self.logs.len())
            .filter(|queue| sent.queues >> queue & 1 == 1)
            .map(|queue| match self.place(queue, message) {
                Some(place) => format!("{queue}[{place}]"),
                None => format!("{queue}[-]"),
            })
            .collect();
        format!(
            "message {message} of sender {}, call {}..{}, queues {}",
            sent.sender,
            sent.start,
            sent.end,
            queues.join(" ")
        )
    }

    fn place(&self, queue: usize, message: usize) -> Option<usize> {
        self.logs[queue]
            .iter()
            .position(|entry| entry.message == message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(sender: usize, start: u64, end: u64, queues: u64) -> Sent {
        Sent {
            sender,
            start,
            end,
            queues,
        }
    }

    /// Logs that were read when all was over.
    fn round(sent: Vec<Sent>, logs: &[&[usize]]) -> Round {
        let late = |message: &usize| Received {
            message: *message,
            time: 1000,
        };
        Round {
            sent,
            logs: logs
                .iter()
                .map(|log| log.iter().map(late).collect())
                .collect(),
        }
    }

    /// D to both queues, during which A to the first ends before B to the second
    /// begins.
    fn counterexample(logs: &[&[usize]]) -> Round {
        let d = sent(0, 1, 10, 0b11);
        let a = sent(1, 2, 3, 0b01);
        let b = sent(2, 4, 5, 0b10);
        round(vec![d, a, b], logs)
    }

    #[test]
    fn the_known_counterexample_is_found() {
        let bad = counterexample(&[&[0, 1], &[2, 0]]);
        assert_eq!(bad.complete(), Ok(()));
        let cycle = bad.cycle();
        assert_eq!(cycle.len(), 3);
        for message in 0..3 {
            assert!(cycle.contains(&message));
        }
    }

    #[test]
    fn its_other_outcomes_are_fine() {
        for logs in [[[0, 1], [0, 2]], [[1, 0], [2, 0]], [[1, 0], [0, 2]]] {
            let good = counterexample(&[&logs[0], &logs[1]]);
            assert_eq!(good.cycle(), Vec::<usize>::new());
        }
    }

    #[test]
    fn multicasts_in_opposite_orders_are_found() {
        let calls = vec![sent(0, 1, 4, 0b11), sent(1, 2, 3, 0b11)];
        assert!(round(calls.clone(), &[&[0, 1], &[0, 1]]).cycle().is_empty());
        assert!(round(calls.clone(), &[&[1, 0], &[1, 0]]).cycle().is_empty());
        assert_eq!(round(calls, &[&[0, 1], &[1, 0]]).cycle().len(), 2);
    }

    #[test]
    fn program_order_is_part_of_it() {
        let calls = vec![sent(0, 1, 2, 1), sent(0, 3, 4, 1)];
        assert!(round(calls.clone(), &[&[0, 1]]).cycle().is_empty());
        assert_eq!(round(calls, &[&[1, 0]]).cycle().len(), 2);
    }

    #[test]
    fn a_receipt_counts_before_the_send_has_returned() {
        // A is read at 3, long before its send returns; B starts after that.
        let calls = vec![sent(0, 1, 100, 0b11), sent(1, 4, 5, 0b10)];
        let mut bad = round(calls, &[&[0], &[1, 0]]);
        assert!(bad.cycle().is_empty());
        bad.logs[0][0].time = 3;
        assert_eq!(bad.cycle().len(), 2);
    }

    #[test]
    fn what_is_missing_or_too_much_is_found() {
        let calls = vec![sent(0, 1, 2, 0b11), sent(1, 3, 4, 0b01)];
        assert!(round(calls.clone(), &[&[0, 1], &[0]]).complete().is_ok());
        for logs in [
            [&[0][..], &[0][..]],
            [&[0, 1], &[]],
            [&[0, 1], &[0, 1]],
            [&[0, 1, 1], &[0]],
            [&[0, 1, 7], &[0]],
        ] {
            assert!(round(calls.clone(), &logs).complete().is_err());
        }
    }

    #[test]
    fn overlap_is_counted() {
        let seen = counterexample(&[&[0, 1], &[0, 2]]).overlap();
        assert_eq!(
            seen,
            Overlap {
                multicasts: 1,
                contended: 0,
                around_two: 1
            }
        );
        let apart = round(vec![sent(0, 1, 2, 3), sent(1, 3, 4, 3)], &[&[], &[]]);
        assert_eq!(apart.overlap().contended, 0);
        let across = round(vec![sent(0, 1, 3, 3), sent(1, 2, 4, 3)], &[&[], &[]]);
        assert_eq!(across.overlap().contended, 1);
    }
}
