// SPDX-License-Identifier: GPL-2.0

//! Security module hooks for messages, under shorter names. Mainline has none for bus1, so native
//! messages ask those of Binder.
//!
//! Nothing is owned here: the hooks take credentials that others hold. They may sleep and take
//! locks of the security module, so none may be called under a spinlock. Without CONFIG_SECURITY
//! each of them permits.
//!
//! The `kernel` crate has them as well, but would tie the whole module to kernels that export them.

use kernel::{
    cred::Credential,
    error::to_result,
    fs::File,
    prelude::*, //
};

use super::abi;

pub(crate) use kernel::security::SecurityCtx;

/// Returns true if all hooks are there.
///
/// False on a kernel that has security modules, but does not export their binder hooks. Then each
/// of them refuses with EOPNOTSUPP.
pub(crate) fn has_hooks() -> bool {
    // SAFETY: The function only compares addresses.
    unsafe { abi::bus1_security_has_hooks() }
}

/// May the opener with credentials `manager` become context manager?
pub(crate) fn set_context_mgr(manager: &Credential) -> Result {
    // SAFETY: The reference keeps the argument alive.
    to_result(unsafe { abi::bus1_security_set_context_mgr(manager.as_ptr()) })
}

/// May `from` send to `to`?
pub(crate) fn transaction(from: &Credential, to: &Credential) -> Result {
    // SAFETY: The references keep the arguments alive.
    to_result(unsafe { abi::bus1_security_transaction(from.as_ptr(), to.as_ptr()) })
}

/// May `from` give `to` a reference to an object?
pub(crate) fn transfer_binder(from: &Credential, to: &Credential) -> Result {
    // SAFETY: The references keep the arguments alive.
    to_result(unsafe { abi::bus1_security_transfer_binder(from.as_ptr(), to.as_ptr()) })
}

/// May `from` give `to` this file?
pub(crate) fn transfer_file(from: &Credential, to: &Credential, file: &File) -> Result {
    // SAFETY: The references keep the arguments alive.
    to_result(unsafe {
        abi::bus1_security_transfer_file(from.as_ptr(), to.as_ptr(), file.as_ptr())
    })
}

/// Returns the security context of `cred` as text.
///
/// The value gives the text back to the security module when it is dropped. EINVAL or
/// EOPNOTSUPP if no module has one; ENOMEM.
pub(crate) fn context_of(cred: &Credential) -> Result<SecurityCtx> {
    SecurityCtx::from_secid(cred.get_secid())
}
