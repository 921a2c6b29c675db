// SPDX-License-Identifier: GPL-2.0

//! One-ways that fill a receiver: who sent how many that are not freed.
//!
//! A process that has most of the one-ways in a receiver, while that has little room left for more,
//! is told once that it may be the cause. A receiver counts for each sending process what lies in
//! its mapping, by values that lie there too ([`Load`]): nothing is searched when a message is sent.
//!
//! Lock: a mutex for each receiver, taken under no other, and under which nothing of the engine is
//! dropped.

#![deny(unsafe_code)]

use super::{
    buffer,
    buffer::Room,
    BinderPeer, //
};
use crate::core::quota::Charge;
use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        new_mutex,
        Arc,
        Mutex, //
    },
    task::Pid, //
};

/// So many one-ways of one process are not too many.
const MESSAGES: u32 = 50;

/// The one-ways of one process.
#[derive(Clone, Copy, Default)]
struct Sum {
    messages: u32,
    bytes: usize,
}

struct Inner {
    sums: RBTree<Pid, Sum>,
    /// Memory of a sum that went, for the next one that comes.
    spare: Option<RBTreeNodeReservation<Pid, Sum>>,
    /// Somebody was told, and there was no better time since.
    told: bool,
}

impl Inner {
    /// Whether `pid` is to be told, now that there is room for `left` bytes of a mapping of `len`.
    fn suspects(&mut self, pid: Pid, left: usize, len: usize) -> bool {
        if left >= len / 10 {
            self.told = false;
            return false;
        }
        let sum = self.sums.get(&pid).copied().unwrap_or_default();
        let many = sum.messages > MESSAGES || sum.bytes > len / 4;
        many && !::core::mem::replace(&mut self.told, true)
    }

    fn add(&mut self, pid: Pid, size: usize) -> Result {
        match self.sums.get_mut(&pid) {
            Some(sum) => {
                sum.messages += 1;
                sum.bytes += size;
            }
            None => {
                let memory = match self.spare.take() {
                    Some(memory) => memory,
                    None => RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?,
                };
                let sum = Sum {
                    messages: 1,
                    bytes: size,
                };
                self.sums.insert(memory.into_node(pid, sum));
            }
        }
        Ok(())
    }

    fn subtract(&mut self, pid: Pid, size: usize) {
        let Some(sum) = self.sums.get_mut(&pid) else {
            return;
        };
        sum.messages -= 1;
        sum.bytes -= size;
        if sum.messages == 0 {
            let node = self.sums.remove_node(&pid);
            self.spare = node.map(|node| node.into_reservation());
        }
    }
}

/// What a receiver knows of those who send it one-ways.
#[pin_data]
pub(super) struct Senders {
    #[pin]
    inner: Mutex<Inner>,
}

impl Senders {
    /// Nothing.
    pub(super) fn new() -> Result<Arc<Self>> {
        let inner = Inner {
            sums: RBTree::new(),
            spare: None,
            told: false,
        };
        Arc::pin_init(
            pin_init!(Self {
                inner <- new_mutex!(inner, "bus1::binder_senders"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }
}

/// What a one-way takes from its receiver; its drop gives it back.
pub(super) struct Load {
    senders: Arc<Senders>,
    /// The sending process, in the initial namespace.
    pid: Pid,
    size: usize,
    suspect: bool,
    _room: Room,
    /// There if one-ways are guarded.
    _charge: Option<Charge>,
}

impl Load {
    /// Of a one-way of `size` bytes from the calling process, which lies in the mapping of `receiver`
    /// by now, has its `room`, and is paid for. ENOMEM.
    pub(super) fn new(
        receiver: &BinderPeer,
        room: Room,
        charge: Option<Charge>,
        size: usize,
    ) -> Result<Self> {
        let process = receiver.part();
        let pid = kernel::current!().tgid();
        let (left, len) = (process.budget.left(), buffer::mapped_len(receiver));
        let suspect = {
            let mut inner = process.senders.inner.lock();
            // This very one does not count against its sender.
            let suspect = inner.suspects(pid, left, len);
            inner.add(pid, size)?;
            suspect
        };
        Ok(Self {
            senders: process.senders.clone(),
            pid,
            size,
            suspect,
            _room: room,
            _charge: charge,
        })
    }

    /// Whether the sender is to be told that it has sent a lot.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// Whether both come from the same process.
    pub(super) fn same_sender(&self, other: &Self) -> bool {
        self.pid == other.pid
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.senders.inner.lock().subtract(self.pid, self.size);
    }
}
