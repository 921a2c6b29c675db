// SPDX-License-Identifier: GPL-2.0

//! Stand-in for what `core::sync` takes from the kernel crate.
//!
//! The names, signatures and failure cases are those of the kernel crate, as far as the engine uses
//! them; what the kernel does not offer is not offered here, so that what compiles here compiles
//! there. In addition, misuse is caught that the kernel would catch with its debug options only:
//! allocating or sleeping under a spinlock, touching `LockedBy` data with the wrong owner.

mod alloc;
mod arc;
mod atomic;
pub(crate) mod backend;
pub(crate) mod clock;
mod list;
mod lock;
mod numbers;
mod once;
mod pages;
mod rbtree;
mod tally;

pub(crate) use alloc::{
    fail_allocations_after,
    AllocError,
    Flags,
    KBox,
    KVec,
    PushError,
    RemoveError,
    GFP_KERNEL,
    GFP_KERNEL_ACCOUNT,
    PAGE_SIZE, //
};
pub(crate) use arc::{
    try_arc,
    Arc,
    ArcBorrow, //
};
pub(crate) use atomic::{
    Acquire,
    Atomic,
    Full,
    Relaxed,
    Release, //
};
#[cfg(feature = "loom")]
pub(crate) use backend::hide_references;
pub(crate) use backend::{
    model,
    thread, //
};
pub(crate) use clock::{
    relax,
    unique_id,
    Monotonic, //
};
pub(crate) use list::{
    impl_list_arc_safe,
    impl_list_item,
    List,
    ListArc,
    ListArcSafe,
    ListItem,
    ListLinks,
    TryNewListArc, //
};
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub(crate) use lock::cost;
pub(crate) use lock::{
    assert_unlocked,
    new_mutex,
    new_spinlock,
    LockedBy,
    Mutex,
    MutexGuard,
    SpinLock,
    SpinLockGuard, //
};
pub(crate) use numbers::number_of;
pub(crate) use once::SetOnce;
pub(crate) use pages::Pages;
pub(crate) use pinned_init::{
    pin_data,
    pin_init,
    PinInit, //
};
pub(crate) use rbtree::{
    reserve_node,
    steps,
    RBTree,
    RBTreeNode,
    RBTreeNodeReservation, //
};
pub(crate) use tally::{
    tallied,
    tally, //
};
