// SPDX-License-Identifier: GPL-2.0

//! Scripts for readers that sleep: for the machine's own threads, and for shuttle.

use super::world::{
    Script,
    Step::{
        Abandon,
        Await,
        Look,
        RecvAll,
        Send,
        Signal,
        Sleep, //
    }, //
};

/// Four senders, four queues with a reader each, and a fifth queue that refuses; signals from sender
/// to sender that the bus knows nothing of.
pub(super) fn four_by_four(times: Vec<u64>) -> Script {
    let senders = vec![
        vec![Send(5, 1, vec![0, 1, 2, 3]), Send(5, 2, vec![3, 2, 1, 0])],
        vec![
            Send(6, 3, vec![0]),
            Signal(0),
            Abandon(6, 4, vec![3, 0, 4]),
            Send(6, 5, vec![2]),
        ],
        vec![
            Await(0),
            Send(7, 6, vec![3]),
            Signal(1),
            Send(7, 7, vec![3, 1]),
        ],
        vec![
            Send(8, 8, vec![2]),
            Look(1),
            Send(8, 9, vec![3]),
            Send(8, 10, vec![0, 0]),
        ],
    ];
    let readers = [5, 3, 4, 5].into_iter().enumerate();
    let readers = readers.map(|(queue, count)| vec![RecvAll(queue, count)]);
    Script {
        threads: senders.into_iter().chain(readers).collect(),
        peers: 9,
        times,
        ahead: None,
    }
}

/// The case that the bus of 2016 got wrong: while a multicast is staged, a unicast goes to its first
/// queue, and somebody who was told of it outside the bus sends to the second.
pub(super) fn side_channel() -> Script {
    Script {
        threads: vec![
            vec![Send(2, 1, vec![0, 1])],
            vec![Send(3, 2, vec![0]), Signal(0)],
            vec![Await(0), Send(4, 3, vec![1])],
            vec![RecvAll(0, 2)],
            vec![RecvAll(1, 2)],
        ],
        peers: 5,
        times: vec![],
        ahead: None,
    }
}

/// Readers that lie down while multicasts race and one is taken back.
pub(super) fn sleepers() -> Script {
    Script {
        threads: vec![
            vec![Send(3, 1, vec![0, 1])],
            vec![Send(4, 2, vec![1, 0])],
            vec![Abandon(5, 3, vec![0, 1, 2]), Send(5, 4, vec![0])],
            vec![Sleep(0)],
            vec![Sleep(1)],
        ],
        peers: 6,
        times: vec![],
        ahead: None,
    }
}
