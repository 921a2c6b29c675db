// SPDX-License-Identifier: GPL-2.0

//! Parameters of the Binder devices that can be changed while the module is loaded.

use super::abi;

/// Whether the end of a mapping is kept for senders who have little in it (`guard`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// It is not.
    Off,
    /// It is, but not from who finds nothing in use.
    On,
    /// It is.
    Strict,
}

/// Reads the parameter.
pub(crate) fn guard() -> Guard {
    // SAFETY: The function only reads.
    match unsafe { abi::bus1_guard() } {
        abi::bus1_guard_BUS1_GUARD_OFF => Guard::Off,
        abi::bus1_guard_BUS1_GUARD_STRICT => Guard::Strict,
        _ => Guard::On,
    }
}
