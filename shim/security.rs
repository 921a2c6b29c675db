// SPDX-License-Identifier: GPL-2.0

//! Security module hooks, under the names that the Binder personality uses.
//!
//! Nothing is owned here: the hooks take credentials that others hold. They may sleep and take
//! locks of the security module, so none may be called under a spinlock. Without CONFIG_SECURITY
//! each of them permits.

#![deny(unsafe_code)]

use kernel::{
    cred::Credential,
    prelude::*, //
};

pub(crate) use kernel::security::{
    binder_set_context_mgr as set_context_mgr,
    binder_transaction as transaction,
    binder_transfer_binder as transfer_binder,
    binder_transfer_file as transfer_file,
    SecurityCtx, //
};

/// Returns the security context of `cred` as text.
///
/// The value gives the text back to the security module when it is dropped. EINVAL or
/// EOPNOTSUPP if no module has one; ENOMEM.
pub(crate) fn context_of(cred: &Credential) -> Result<SecurityCtx> {
    SecurityCtx::from_secid(cred.get_secid())
}
