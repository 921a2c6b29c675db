// SPDX-License-Identifier: GPL-2.0

//! Errors of calls and replies, with the party that is to blame in the type.
//!
//! A failed call is not an ioctl error: the ioctl returns 0, and a return code comes back in the
//! read half. Which thread reads it depends on whose fault it was; the cause behind the code is
//! kept in the extended error of the same thread.

#![deny(unsafe_code)]

use super::{
    abi,
    reply::Code,
    Binder, //
};
use crate::core::call::Reply;
use kernel::prelude::*;

/// Why a call, one-way or reply failed: the code to read and the cause behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// `BR_FAILED_REPLY`, `BR_DEAD_REPLY` or `BR_FROZEN_REPLY`.
    pub(super) code: Code,
    /// Negative errno, or 0 if the code says it all.
    pub(super) errno: i32,
}

impl Failure {
    /// BR_FAILED_REPLY because of `cause`.
    pub(super) fn failed(cause: Error) -> Self {
        Self {
            code: Code::FailedReply,
            errno: cause.to_errno(),
        }
    }

    /// BR_DEAD_REPLY because of `cause`.
    pub(super) fn dead(cause: Error) -> Self {
        Self {
            code: Code::DeadReply,
            errno: cause.to_errno(),
        }
    }

    /// BR_DEAD_REPLY, found out at the last moment: the stock driver gives no cause then.
    pub(super) fn died() -> Self {
        Self {
            code: Code::DeadReply,
            errno: 0,
        }
    }

    /// BR_FROZEN_REPLY, found out at the last moment, too.
    pub(super) fn frozen() -> Self {
        Self {
            code: Code::FrozenReply,
            errno: 0,
        }
    }
}

impl From<Error> for Failure {
    fn from(cause: Error) -> Self {
        Self::failed(cause)
    }
}

/// Whose fault a failed reply is.
pub(super) enum ReplyFailure {
    /// There was no call to answer: the replier reads the code.
    Replier(Failure),
    /// The answer could not be built. The code goes to the caller, through the right to answer; the
    /// replier is told that all is well.
    Caller(Failure, Reply<Binder>),
    /// The caller is gone. The replier is told that all is well.
    Gone(Reply<Binder>),
}

/// The record behind BINDER_GET_EXTENDED_ERROR.
#[derive(Clone, Copy)]
pub(super) struct Extended {
    id: u32,
    command: u32,
    param: i32,
}

impl Extended {
    /// Nothing failed since the record was read.
    pub(super) const NONE: Self = Self::started(0);

    /// The transaction `id` began; nothing failed yet.
    pub(super) const fn started(id: u32) -> Self {
        Self {
            id,
            command: abi::BR_OK,
            param: 0,
        }
    }

    /// The transaction `id` failed.
    pub(super) fn failed(id: u32, failure: Failure) -> Self {
        Self {
            id,
            command: failure.code.number(),
            param: failure.errno,
        }
    }

    /// Whether no failure is recorded.
    pub(super) fn is_ok(&self) -> bool {
        self.command == abi::BR_OK
    }

    /// The record in the ABI's layout.
    pub(super) fn encode(&self) -> abi::binder_extended_error {
        abi::binder_extended_error {
            id: self.id,
            command: self.command,
            param: self.param,
        }
    }
}
