// SPDX-License-Identifier: GPL-2.0

//! User namespaces, as the engine counts principals by them.
//!
//! The one file of the shim that knows a trait of the engine, since it is what implements it, for both
//! interfaces. A walk takes no reference: the innermost namespace is kept alive by the credentials
//! that the caller holds, and keeps those around it. No locks.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    cred::Credential, //
};

use super::{
    abi,
    cred::{
        mapped,
        Uid,
        UserNs, //
    },
};
use crate::core::principal::{
    Principal,
    Realm, //
};

/// A user namespace that somebody else keeps alive, and with it those around it.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    ns: NonNull<bindings::user_namespace>,
    _alive: PhantomData<&'a UserNs>,
}

impl Surroundings<'_> {
    /// The namespace of `cred`.
    pub(crate) fn of(cred: &Credential) -> Surroundings<'_> {
        // SAFETY: The field is never null and never changes; `cred` keeps its namespace alive.
        let ns = unsafe { NonNull::new_unchecked((*cred.as_ptr()).user_ns) };
        Surroundings {
            ns,
            _alive: PhantomData,
        }
    }

    fn get(&self) -> &bindings::user_namespace {
        // SAFETY: The namespace is alive as long as this value can be used, and what is read of it
        // never changes.
        unsafe { self.ns.as_ref() }
    }
}

impl Realm for Surroundings<'_> {
    fn id(&self) -> u64 {
        // SAFETY: The namespace is alive.
        unsafe { abi::bus1_user_ns_id(self.ns.as_ptr()) }
    }

    fn level(&self) -> u32 {
        self.get().level.unsigned_abs()
    }

    fn parent(&self) -> Option<Self> {
        // A namespace holds a reference to the one around it.
        NonNull::new(self.get().parent).map(|ns| Self {
            ns,
            _alive: PhantomData,
        })
    }

    fn owner(&self) -> u32 {
        self.get().owner.val
    }

    fn administrator(&self) -> Option<u32> {
        // SAFETY: The namespace is alive.
        mapped(unsafe { abi::bus1_user_ns_root(self.ns.as_ptr()) }.val)
    }
}

/// Who a sender with credentials `from` is for a receiver with `to`.
pub(crate) fn principal(from: &Credential, to: &Credential) -> Principal {
    Principal::of(
        Uid::of(from).raw(),
        Surroundings::of(from),
        Surroundings::of(to),
    )
}

/// Who pays for a receiver with credentials `cred`.
pub(crate) fn payers(cred: &Credential) -> impl Iterator<Item = Principal> + '_ {
    Principal::payers(Uid::of(cred).raw(), Surroundings::of(cred))
}
