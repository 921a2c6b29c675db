// SPDX-License-Identifier: MIT OR Apache-2.0

//! Scheduling of actor threads: operations as in [`crate::ops`], and how a case
//! names what it sees.

use std::time::{Duration, Instant};

use rustix::process::{self, Resource, Rlimit};

use crate::actor::Thread;
use crate::world::{same, Fail, Res};

fn failed() -> i64 {
    -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// (nice value, as a 64-bit number with a sign): of the calling thread.
fn set_nice([nice, ..]: [u64; 6]) -> i64 {
    // SAFETY: Plain numbers; 0 is the calling thread.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice as i32) } {
        0 => 0,
        _ => failed(),
    }
}

/// (policy with flags, priority): of the calling thread.
fn set_policy([policy, priority, ..]: [u64; 6]) -> i64 {
    // SAFETY: A zeroed parameter is a valid one.
    let mut param: libc::sched_param = unsafe { std::mem::zeroed() };
    param.sched_priority = priority as i32;
    // The C library's function may stand for something else than the call.
    // SAFETY: The parameter lives during the call; 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &param) };
    match result {
        0 => 0,
        _ => failed(),
    }
}

/// (resource, value): of the process, for good.
fn set_limit([resource, value, ..]: [u64; 6]) -> i64 {
    let resource = match resource as u32 {
        libc::RLIMIT_NICE => Resource::Nice,
        _ => Resource::Rtprio,
    };
    let limit = Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    match process::setrlimit(resource, limit) {
        Ok(()) => 0,
        Err(error) => -i64::from(error.raw_os_error()),
    }
}

/// (processor): the only one that the calling thread runs on.
fn set_processor([processor, ..]: [u64; 6]) -> i64 {
    // SAFETY: A zeroed set is the empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: The set is valid; the macro checks the number.
    unsafe { libc::CPU_SET(processor as usize, &mut set) };
    // SAFETY: The set lives during the call; 0 is the calling thread.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) } {
        0 => 0,
        _ => failed(),
    }
}

/// (milliseconds): does not let go of the processor.
fn spin([milliseconds, ..]: [u64; 6]) -> i64 {
    let end = Instant::now() + Duration::from_millis(milliseconds);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    0
}

/// () -> policy with flags, and 256 times the real-time priority, and 65536
/// times 20 more than the nice value: of the calling thread.
fn get_state(_: [u64; 6]) -> i64 {
    // SAFETY: A zeroed parameter is a valid one.
    let mut param: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: The parameter lives during the calls; 0 is the calling thread.
    let (policy, got, nice) = unsafe {
        (
            libc::syscall(libc::SYS_sched_getscheduler, 0),
            libc::syscall(libc::SYS_sched_getparam, 0, &mut param),
            // The call, unlike the function, answers 20 less than the value.
            20 - libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0),
        )
    };
    if policy < 0 || got < 0 {
        return failed();
    }
    let flag = (policy & i64::from(libc::SCHED_RESET_ON_FORK)) >> 23;
    policy & 0x7f | flag | i64::from(param.sched_priority) << 8 | (20 + nice) << 16
}

/// A state of [`get_state`] in words.
fn words(state: i64) -> String {
    let policy = match state & 0x7f {
        0 => "normal",
        1 => "fifo",
        2 => "rr",
        3 => "batch",
        5 => "idle",
        _ => "other",
    };
    let nice = (state >> 16) - 20;
    let mut text = match state >> 8 & 0xff {
        0 => format!("{policy} {nice}"),
        priority => format!("{policy} {priority} ({nice})"),
    };
    if state & 0x80 != 0 {
        text += " reset";
    }
    text
}

/// Demands that the thread runs like this: policy, priority, and in parentheses
/// the nice value that does not count; `reset` if its children don't get it.
pub fn runs(t: &Thread, want: &str) -> Res {
    let text = words(t.run(get_state, &[])?);
    t.say(&text);
    same(&t.name, text.as_str(), want)
}

/// Gives the thread a nice value.
pub fn nice(t: &Thread, value: i32) -> Res {
    same("nice", t.run(set_nice, &[value as u64])?, 0)
}

/// Gives the thread a policy and a real-time priority, 0 for others.
pub fn policy(t: &Thread, policy: i32, priority: u64) -> Res {
    let policy = policy as u64;
    same("policy", t.run(set_policy, &[policy, priority])?, 0)
}

/// Sets RLIMIT_NICE and RLIMIT_RTPRIO of the thread's process.
pub fn limits(t: &Thread, nice: u64, real_time: u64) -> Res {
    for (resource, value) in [(libc::RLIMIT_NICE, nice), (libc::RLIMIT_RTPRIO, real_time)] {
        let resource = u64::from(resource);
        same("limit", t.run(set_limit, &[resource, value])?, 0)?;
    }
    Ok(())
}

/// Binds the thread to a processor.
pub fn processor(t: &Thread, number: u64) -> Res {
    same("processor", t.run(set_processor, &[number])?, 0)
}

/// Has the thread hold its processor for so many milliseconds from now.
pub fn hold(t: &Thread, milliseconds: u64) {
    t.begin(spin, &[milliseconds]);
}

/// Policy and real-time priority of a thread, seen from outside.
pub fn seen(t: &Thread) -> Res<(u32, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{0}/task/{0}/stat", t.pid))?;
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let number = |at: usize| -> Res<u32> {
        let field = fields.get(at).and_then(|field| field.parse().ok());
        field.ok_or_else(|| Fail(format!("no field {at} in {stat}")))
    };
    // Behind the name, the third field of all is the first.
    Ok((number(41 - 3)?, number(40 - 3)?))
}
