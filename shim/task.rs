// SPDX-License-Identifier: GPL-2.0

//! How tasks are scheduled, and changing that for others.
//!
//! A task may be scheduled anew by anybody who holds a reference to it, without the checks of the
//! system call: what is allowed is the caller's business, with [`limit`] and [`is_exempt`]. The
//! kernel takes its own locks for it, which are leaves; nothing sleeps unless a task has a deadline.

use kernel::{
    bindings,
    cred::Credential,
    task::Task, //
};

use super::abi;

/// How a task is scheduled, apart from what the kernel lends it by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scheduling {
    /// The number of its policy.
    pub(crate) policy: u8,
    /// Its real-time priority, from 1 to 99; 0 if it has no such policy.
    pub(crate) real_time: u8,
    /// Its nice value, from -20 to 19, also while it has no policy that looks at it.
    pub(crate) nice: i8,
    /// Whether its children are ordinary tasks again.
    pub(crate) reset_on_fork: bool,
}

/// Resource limits on scheduling.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// RLIMIT_RTPRIO.
    RealTime,
    /// RLIMIT_NICE.
    Nice,
}

impl Scheduling {
    /// That of `task`, as of some moment.
    pub(crate) fn of(task: &Task) -> Self {
        // SAFETY: The reference keeps the task alive; what is read are single words that the kernel
        // itself reads without a lock.
        let raw = unsafe { abi::bus1_task_sched(task.as_ptr()) };
        Self {
            policy: raw.policy,
            real_time: raw.real_time,
            nice: raw.nice,
            reset_on_fork: raw.reset_on_fork,
        }
    }

    /// Schedules `task` like that. No effect if the kernel does not know such a policy.
    ///
    /// Not for tasks with a deadline, for which the kernel would sleep.
    pub(crate) fn give(self, task: &Task) {
        let raw = abi::bus1_sched {
            policy: self.policy,
            real_time: self.real_time,
            nice: self.nice,
            reset_on_fork: self.reset_on_fork,
        };
        let now = Self::of(task);
        if (now.policy, now.real_time, now.reset_on_fork)
            != (self.policy, self.real_time, self.reset_on_fork)
        {
            // SAFETY: The reference keeps the task alive.
            let error = unsafe { abi::bus1_task_set_sched(task.as_ptr(), raw) };
            if error != 0 {
                return;
            }
        }
        // SAFETY: As above. It does nothing if the value is the task's already.
        unsafe { bindings::set_user_nice(task.as_ptr(), self.nice.into()) };
    }
}

/// A resource limit of the process of `task`.
pub(crate) fn limit(task: &Task, limit: Limit) -> u64 {
    let number = match limit {
        Limit::RealTime => bindings::RLIMIT_RTPRIO,
        Limit::Nice => bindings::RLIMIT_NICE,
    };
    // SAFETY: The reference keeps the task alive, and with it what it shares with its process.
    unsafe { abi::bus1_task_rlimit(task.as_ptr(), number) }
}

/// Whether the calling task need not care for its limits: CAP_SYS_NICE.
///
/// Asks the security modules, without a record.
pub(crate) fn is_exempt() -> bool {
    // SAFETY: There is always a current task.
    unsafe { bindings::capable_noaudit(bindings::CAP_SYS_NICE as i32) }
}

/// Whether `cred` are the credentials of the calling task.
pub(crate) fn has_cred(cred: &Credential) -> bool {
    // SAFETY: Only addresses are compared.
    unsafe { abi::bus1_current_has_cred(cred.as_ptr()) }
}
