// SPDX-License-Identifier: GPL-2.0

//! Scripts for readers that sleep: for the machine's own threads, and for shuttle.

use super::world::{
    Script,
    Step::{
        Abandon,
        Await,
        Look,
        Notify,
        Recv,
        RecvAll,
        Send,
        Share,
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
        slow: false,
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
        slow: false,
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
        slow: false,
    }
}

/// Two threads read queue 0, while another reads queue 1 and answers.
pub(super) fn two_readers() -> Script {
    Script {
        threads: vec![
            vec![Send(3, 1, vec![0, 1]), Send(3, 2, vec![0])],
            vec![Send(4, 3, vec![1, 0]), Send(4, 4, vec![1, 0])],
            vec![Share(0), Share(0), Send(5, 5, vec![1]), Share(0)],
            vec![Share(0), Share(0), Share(0)],
            vec![Recv(1), Send(1, 6, vec![0, 2]), Recv(1)],
        ],
        peers: 6,
        times: vec![],
        ahead: None,
        slow: false,
    }
}

/// Notices that are queued, moved and read while multicasts are under way.
pub(super) fn notices() -> Script {
    Script {
        threads: vec![
            vec![Send(3, 1, vec![0, 1]), Notify(1, 10, true)],
            vec![
                Notify(0, 11, true),
                Send(4, 2, vec![1]),
                Notify(0, 12, true),
                Send(4, 3, vec![0, 2]),
            ],
            vec![Notify(0, 13, true), Signal(0), Notify(2, 14, false)],
            vec![Recv(0), Await(0), Recv(0), Send(0, 4, vec![1, 2])],
            vec![Recv(1), Recv(1), Sleep(1)],
        ],
        peers: 5,
        times: vec![],
        ahead: None,
        slow: false,
    }
}
