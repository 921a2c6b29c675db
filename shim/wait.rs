// SPDX-License-Identifier: GPL-2.0

//! Wait queues that tasks sleep on and that poll and epoll watch.
//!
//! The `kernel` crate's `PollCondVar` does nearly this, but it needs `__wake_up_pollfree`, which
//! mainline exports to nobody, and it sleeps only with a lock guard in hand. Here the condition is
//! a closure, and pollers are detached by a plain wake-up with the POLLFREE key.
//!
//! A queue owns its memory. epoll reads the queue under RCU after it was told to let go, so the
//! memory is freed an RCU grace period after the drop, by the kernel's own callback: nothing of
//! this module runs then. The only lock is the one inside the queue; it is a leaf.

use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::BitOr,
    pin::Pin,
    ptr, //
};
use kernel::{
    alloc::AllocError,
    bindings,
    error::code::EINTR,
    prelude::*,
    static_lock_class,
    task::{
        TASK_FREEZABLE,
        TASK_INTERRUPTIBLE,
        TASK_NORMAL, //
    },
    time::Jiffies,
    types::Opaque, //
};

use super::abi;

/// A set of poll events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PollMask(u32);

impl PollMask {
    /// Nothing is ready.
    pub(crate) const EMPTY: Self = Self(0);
    /// Something can be read.
    pub(crate) const IN: Self = Self(abi::bus1_poll_BUS1_POLL_IN);
    /// Something can be written.
    pub(crate) const OUT: Self = Self(abi::bus1_poll_BUS1_POLL_OUT);
    /// The file is in error.
    pub(crate) const ERR: Self = Self(abi::bus1_poll_BUS1_POLL_ERR);
    /// The other side, or the file itself, is shut down.
    pub(crate) const HUP: Self = Self(abi::bus1_poll_BUS1_POLL_HUP);
    /// Normal data can be read.
    pub(crate) const RDNORM: Self = Self(abi::bus1_poll_BUS1_POLL_RDNORM);
    /// Normal data can be written.
    pub(crate) const WRNORM: Self = Self(abi::bus1_poll_BUS1_POLL_WRNORM);

    /// Returns the bits as the kernel's `__poll_t`.
    pub(super) fn bits(self) -> u32 {
        self.0
    }
}

impl BitOr for PollMask {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A signal arrived before the condition held.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl From<Interrupted> for Error {
    fn from(_: Interrupted) -> Self {
        EINTR
    }
}

/// What a poll callback is given to register its wait queues with.
///
/// # Invariants
///
/// `file` is valid for `'a`, `table` is null or valid for `'a`.
pub(crate) struct PollTable<'a> {
    file: *mut bindings::file,
    table: *mut bindings::poll_table,
    _call: PhantomData<&'a bindings::poll_table>,
}

impl PollTable<'_> {
    /// Wraps the arguments of a poll callback.
    ///
    /// # Safety
    ///
    /// `file` is valid for the lifetime that the caller gives the value, and `table` is null or
    /// valid as long.
    pub(super) unsafe fn from_raw(
        file: *mut bindings::file,
        table: *mut bindings::poll_table,
    ) -> Self {
        // INVARIANT: What the caller promises is the invariant.
        Self {
            file,
            table,
            _call: PhantomData,
        }
    }

    /// Puts the poller on `queue`.
    ///
    /// epoll stays there until it closes its item or the queue lets go. poll(2) and select(2)
    /// stay until they return; they do not listen to [`WaitQueue::hang_up`], so a queue that
    /// another task may poll has to live as long as the open file.
    pub(crate) fn register(&self, queue: &WaitQueue) {
        // SAFETY: By the invariants of both types all three are valid. A poller may stay on the
        // queue: its drop detaches it and keeps the memory for an RCU grace period.
        unsafe { bindings::poll_wait(self.file, queue.head(), self.table) }
    }
}

/// The queue's memory, which outlives it by an RCU grace period.
#[pin_data]
#[repr(C)]
struct Inner {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
    #[pin]
    rcu: Opaque<bindings::kvfree_rcu_head>,
}

/// A wait queue.
pub(crate) struct WaitQueue(ManuallyDrop<Pin<KBox<Inner>>>);

// SAFETY: A wait queue head may be used and freed by any thread.
unsafe impl Send for WaitQueue {}

// SAFETY: A wait queue head has its own lock.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    /// Makes a queue with nobody on it.
    pub(crate) fn new() -> Result<Self, AllocError> {
        let key = static_lock_class!();
        let inner = KBox::pin_init(
            pin_init!(Inner {
                // SAFETY: `slot` is valid for writes, name and key live for ever.
                head <- Opaque::ffi_init(move |slot| unsafe {
                    bindings::__init_waitqueue_head(slot, c"bus1_wait".as_char_ptr(), key.as_ptr())
                }),
                rcu: Opaque::uninit(),
            }),
            GFP_KERNEL,
        )
        .map_err(|_: Error| AllocError)?;
        Ok(Self(ManuallyDrop::new(inner)))
    }

    /// Sleeps until `ready` returns true, or a signal is pending.
    ///
    /// `ready` runs in the sleeping state: it may take spinlocks and must not sleep. The task
    /// can be frozen while it sleeps. A waker makes `ready` true first and wakes then.
    pub(crate) fn wait(&self, ready: impl FnMut() -> bool) -> Result<(), Interrupted> {
        let forever = || {
            // SAFETY: A system call may sleep here; no spinlock is held by the contract above.
            unsafe { bindings::schedule() };
            true
        };
        self.wait_while(ready, forever).map(|_| ())
    }

    /// As [`wait`](Self::wait), for `limit` at most. Returns whether `ready` said so in the end.
    pub(crate) fn wait_for(
        &self,
        limit: Jiffies,
        ready: impl FnMut() -> bool,
    ) -> Result<bool, Interrupted> {
        let mut left = c_long::try_from(limit).unwrap_or(c_long::MAX);
        let until_then = || {
            // SAFETY: As in `wait`.
            left = unsafe { bindings::schedule_timeout(left) };
            left > 0
        };
        self.wait_while(ready, until_then)
    }

    /// Sleeps by means of `pause`, which gives up when it returns false.
    fn wait_while(
        &self,
        mut ready: impl FnMut() -> bool,
        mut pause: impl FnMut() -> bool,
    ) -> Result<bool, Interrupted> {
        if ready() {
            return Ok(true);
        }
        let entry = Opaque::<bindings::wait_queue_entry>::uninit();
        // SAFETY: The entry is on this stack frame until `finish_wait`.
        unsafe { bindings::init_wait(entry.get()) };
        let result = loop {
            // SAFETY: Head and entry are valid, and the entry is initialised.
            let signal = unsafe {
                bindings::prepare_to_wait_event(
                    self.head(),
                    entry.get(),
                    TASK_INTERRUPTIBLE | TASK_FREEZABLE,
                )
            };
            if ready() {
                break Ok(true);
            }
            if signal != 0 {
                break Err(Interrupted);
            }
            if !pause() {
                break Ok(ready());
            }
        };
        // SAFETY: As above; afterwards nobody refers to the entry.
        unsafe { bindings::finish_wait(self.head(), entry.get()) };
        result
    }

    /// Wakes all sleepers, and the pollers that asked for one of `events`.
    pub(crate) fn wake(&self, events: PollMask) {
        self.wake_key(events.bits());
    }

    /// Tells epoll that the queue is gone: its entries are detached, and it looks once more.
    pub(crate) fn hang_up(&self) {
        self.wake_key(abi::bus1_poll_BUS1_POLL_HUP | abi::bus1_poll_BUS1_POLL_FREE);
    }

    fn wake_key(&self, bits: u32) {
        // SAFETY: The head is valid; a poll key is a number in the form of a pointer. A count of 0
        // means everybody.
        unsafe { bindings::__wake_up(self.head(), TASK_NORMAL, 0, key(bits)) };
    }

    fn head(&self) -> *mut bindings::wait_queue_head {
        self.0.head.get()
    }
}

/// Returns the wake-up key that carries poll events.
fn key(bits: u32) -> *mut c_void {
    ptr::without_provenance_mut(bits as usize)
}

impl Drop for WaitQueue {
    fn drop(&mut self) {
        self.hang_up();
        // SAFETY: The value is not used again.
        let inner = unsafe { ManuallyDrop::take(&mut self.0) };
        // SAFETY: The box is not moved out of, only its memory is handed on.
        let inner = KBox::into_raw(unsafe { Pin::into_inner_unchecked(inner) });
        // SAFETY: The memory came from a `KBox`, nobody can find it any more but RCU readers, and
        // `Inner` needs no drop.
        unsafe { bindings::kvfree_call_rcu((*inner).rcu.get(), inner.cast()) };
    }
}
