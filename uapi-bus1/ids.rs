// SPDX-License-Identifier: GPL-2.0

//! Handle IDs: 64-bit names that mean something on one peer only.
//!
//! | low bits | made by | stands for |
//! |---|---|---|
//! | `00` | user space, by first use | a node of this peer |
//! | `11` | the kernel | a handle to a node of another peer |
//! | `01` | the kernel | a node of this peer that came back after its own ID was given up |
//! | `10` | nobody | |
//!
//! Pure arithmetic, no locks.

#![deny(unsafe_code)]

use super::{
    abi,
    native::Native, //
};
use crate::core::handle::Handle;

/// Bits of an ID that are not its number.
const NUMBER_SHIFT: u32 = 3;

/// Where the node of a handle lives, seen from its holder.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// On the holder itself.
    Own,
    /// On another peer.
    Foreign,
}

impl Home {
    /// Where the node of `handle` lives.
    pub(super) fn of(handle: &Handle<Native>) -> Self {
        if handle.node().owner().id() == handle.holder().id() {
            Self::Own
        } else {
            Self::Foreign
        }
    }
}

/// Whether the use of an unknown ID makes a node; else it means nothing.
pub(super) fn creates(id: u64) -> bool {
    id & (abi::HANDLE_MANAGED | abi::HANDLE_REMOTE) == 0
}

/// The IDs that a peer's kernel side gives out: rising, never used again.
pub(super) struct Numbers {
    next: u64,
}

impl Numbers {
    /// Starts with number 1.
    pub(super) fn new() -> Self {
        Self { next: 1 }
    }

    /// Makes the next ID. A number is used up only by this.
    pub(super) fn take(&mut self, home: Home) -> u64 {
        let flags = match home {
            Home::Own => abi::HANDLE_MANAGED,
            Home::Foreign => abi::HANDLE_MANAGED | abi::HANDLE_REMOTE,
        };
        let id = (self.next << NUMBER_SHIFT) | flags;
        // 2^61 of them: at one a nanosecond they last for seventy years.
        self.next = self.next.wrapping_add(1);
        id
    }
}
