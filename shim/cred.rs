// SPDX-License-Identifier: GPL-2.0

//! Who somebody is: ids, credentials, and how another namespace sees them.
//!
//! [`Uid`] and [`Gid`] are the kernel's ids, valid in every namespace; they become numbers only by
//! naming a [`UserNs`]. Whoever wants to translate for a reader later pins the reader's namespaces
//! when its file is opened. No locks are taken.

use core::{
    fmt,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    cred::Credential,
    current,
    fs::LocalFile,
    pid_namespace::PidNamespace,
    sync::aref::ARef,
    task::{
        Pid,
        Task, //
    },
};

use super::abi;

/// A user id of the kernel.
#[derive(Clone, Copy)]
pub(crate) struct Uid(bindings::kuid_t);

/// A group id of the kernel.
#[derive(Clone, Copy)]
pub(crate) struct Gid(bindings::kgid_t);

impl Uid {
    /// Returns the real user id of the calling task.
    pub(crate) fn current() -> Self {
        // SAFETY: There is always a current task, and it has credentials.
        Self(unsafe { abi::bus1_current_uid() })
    }

    /// Returns the real user id in `cred`.
    pub(crate) fn of(cred: &Credential) -> Self {
        // SAFETY: The reference keeps the credentials alive, and the field never changes.
        Self(unsafe { abi::bus1_uid_of(cred.as_ptr()) })
    }

    /// The user with this number of the kernel's.
    pub(crate) fn from_raw(raw: u32) -> Self {
        Self(bindings::kuid_t { val: raw })
    }

    /// Returns the effective user id of the calling task.
    pub(crate) fn current_effective() -> Self {
        // SAFETY: There is always a current task, and it has credentials.
        Self(unsafe { bindings::current_euid() })
    }

    /// Returns the number that identifies this user in the kernel: for keys and for logs of the
    /// initial namespace, never for other readers.
    pub(crate) fn raw(self) -> u32 {
        self.0.val
    }

    /// Returns the number of this user in `ns`, or `None` if it is not mapped there.
    pub(crate) fn in_ns(self, ns: &UserNs) -> Option<u32> {
        // SAFETY: `ns` holds a reference, so the namespace is alive.
        mapped(unsafe { abi::bus1_uid_in(ns.as_ptr(), self.0) })
    }

    /// Returns the number of this user in `ns`, or the overflow id (65534 unless configured) if
    /// it is not mapped there.
    pub(crate) fn in_ns_or_overflow(self, ns: &UserNs) -> u32 {
        // SAFETY: `ns` holds a reference, so the namespace is alive.
        unsafe { abi::bus1_uid_in_munged(ns.as_ptr(), self.0) }
    }
}

impl Gid {
    /// Returns the real group id of the calling task.
    pub(crate) fn current() -> Self {
        // SAFETY: There is always a current task, and it has credentials.
        Self(unsafe { abi::bus1_current_gid() })
    }

    /// Returns the number of this group in `ns`, or the overflow id if it is not mapped there.
    pub(crate) fn in_ns_or_overflow(self, ns: &UserNs) -> u32 {
        // SAFETY: `ns` holds a reference, so the namespace is alive.
        unsafe { abi::bus1_gid_in_munged(ns.as_ptr(), self.0) }
    }
}

/// The kernel says -1 for "not mapped".
pub(super) fn mapped(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

impl PartialEq for Uid {
    fn eq(&self, other: &Self) -> bool {
        self.0.val == other.0.val
    }
}

impl Eq for Uid {}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.val, f)
    }
}

/// A counted reference to a user namespace.
///
/// # Invariants
///
/// The pointer owns one reference, so the namespace is alive.
pub(crate) struct UserNs(NonNull<bindings::user_namespace>);

// SAFETY: The reference count of a user namespace is atomic, it may be dropped by any thread.
unsafe impl Send for UserNs {}

// SAFETY: Ids are translated under the kernel's own synchronisation.
unsafe impl Sync for UserNs {}

impl UserNs {
    /// Returns the user namespace of the calling task.
    pub(crate) fn current() -> Self {
        // SAFETY: The credentials of the current task keep their namespace alive meanwhile.
        unsafe { Self::get(bindings::current_user_ns()) }
    }

    /// Returns the user namespace that `cred` belongs to.
    pub(crate) fn of(cred: &Credential) -> Self {
        // SAFETY: The field never changes, and `cred` keeps its namespace alive meanwhile.
        unsafe { Self::get((*cred.as_ptr()).user_ns) }
    }

    fn as_ptr(&self) -> *mut bindings::user_namespace {
        self.0.as_ptr()
    }

    /// Takes a reference.
    ///
    /// # Safety
    ///
    /// `ns` is not null, and somebody else keeps it alive during the call.
    unsafe fn get(ns: *mut bindings::user_namespace) -> Self {
        // INVARIANT: The call takes the reference that the value owns.
        // SAFETY: By the preconditions of this function.
        unsafe { Self(NonNull::new_unchecked(abi::bus1_user_ns_get(ns))) }
    }
}

impl Clone for UserNs {
    fn clone(&self) -> Self {
        // SAFETY: By the type invariant the namespace is alive.
        unsafe { Self::get(self.as_ptr()) }
    }
}

impl Drop for UserNs {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this reference is ours to give back.
        unsafe { abi::bus1_user_ns_put(self.as_ptr()) }
    }
}

impl PartialEq for UserNs {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for UserNs {}

/// Whether the calling task may exceed what `ns` grants its users.
pub(crate) fn may_exceed(ns: &UserNs) -> bool {
    // SAFETY: `ns` holds a reference, so the namespace is alive.
    unsafe { bindings::ns_capable(ns.as_ptr(), bindings::CAP_SYS_RESOURCE as i32) }
}

/// Returns the credentials with which `file` was opened.
pub(crate) fn of_file(file: &LocalFile) -> ARef<Credential> {
    file.cred().into()
}

/// Returns the credentials of the calling task as they are now.
pub(crate) fn current() -> ARef<Credential> {
    // SAFETY: The call takes a reference and never returns null: a task always has credentials.
    let raw = unsafe { NonNull::new_unchecked(abi::bus1_current_cred_get().cast_mut()) };
    // SAFETY: The reference is ours to keep, and `Credential` is a transparent wrapper.
    unsafe { ARef::from_raw(raw.cast()) }
}

/// Returns the pid namespace of the calling task.
///
/// `None` only for a task that is already unhashed, which runs no system call.
pub(crate) fn current_pid_ns() -> Option<ARef<PidNamespace>> {
    current!().active_pid_ns().map(ARef::from)
}

/// Returns a counted reference to the calling task.
pub(crate) fn current_task() -> ARef<Task> {
    ARef::from(&**current!())
}

/// Returns the process id of `task` as `ns` sees it, 0 if it is not visible there.
pub(crate) fn tgid_in(task: &Task, ns: &PidNamespace) -> Pid {
    task.tgid_nr_ns(Some(ns))
}

/// Returns the thread id of `task` as `ns` sees it, 0 if it is not visible there.
pub(crate) fn tid_in(task: &Task, ns: &PidNamespace) -> Pid {
    // SAFETY: Both references keep their object alive; the kernel takes RCU by itself.
    unsafe {
        bindings::__task_pid_nr_ns(task.as_ptr(), bindings::pid_type_PIDTYPE_PID, ns.as_ptr())
    }
}
