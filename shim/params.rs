// SPDX-License-Identifier: GPL-2.0

//! Module parameters that can be changed while the module is loaded, in `/sys/module/bus1`.

use super::abi;

/// What a peer that is opened gets, and what all peers of a user may have, as set now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserLimits {
    /// Messages queued, or read and not released (`user_slices_max`).
    pub(crate) slices: u32,
    /// Handles (`user_handles_max`).
    pub(crate) handles: u32,
    /// Bytes of slices that are not released (`user_inflight_bytes_max`).
    pub(crate) bytes: u32,
    /// Files in queued messages (`user_inflight_fds_max`).
    pub(crate) fds: u32,
    /// Bytes for all peers of a user (`user_budget_bytes`, or a share of memory).
    pub(crate) budget: u32,
}

impl UserLimits {
    /// Reads the parameters. None of them is above `i32::MAX`.
    pub(crate) fn now() -> Self {
        // SAFETY: The function only reads.
        let limits = unsafe { abi::bus1_user_limits() };
        Self {
            slices: limits.slices,
            handles: limits.handles,
            bytes: limits.bytes,
            fds: limits.fds,
            budget: limits.budget,
        }
    }
}

/// Whether peers that are opened now share by the rule of 2016 (`share_rule`).
#[cfg(CONFIG_BUS1_TEST_RULES)]
pub(crate) fn share_rule_is_2016() -> bool {
    // SAFETY: The function only reads.
    unsafe { abi::bus1_share_rule_is_2016() }
}
