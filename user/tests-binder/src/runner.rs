// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs cases one after the other, each in a process group of its own with a
//! device of its own, and prints TAP.
//!
//! A case that hangs is killed with everything it forked and counts as failed;
//! the guest goes on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::process::{self, Pid, Signal, WaitOptions};

use crate::cases::Case;
use crate::shm;
use crate::world::{ctl_add, same, Cx, Fail, Res};

/// What became of a case.
#[derive(Debug)]
pub struct Verdict {
    /// What the driver answered, step by step.
    pub outcome: Vec<String>,
    /// `None` if the case is content.
    pub failure: Option<String>,
}

const END: char = '\u{4}';

/// Child: runs the script and tells the parent how it ended.
fn conduct(script: impl FnOnce(File) -> Res, mut trace: File) -> ! {
    let run = || script(trace.try_clone()?);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    let last = match result {
        Ok(Ok(())) => String::new(),
        Ok(Err(Fail(why))) => why.replace('\n', " "),
        Err(_) => "the test program panicked".into(),
    };
    let _ = writeln!(trace, "{END}{last}");
    // SAFETY: Ends the process without running anything of it.
    unsafe { libc::_exit(0) }
}

/// Reads until the case says that it is done, or its time is up.
fn listen(from: &OwnedFd, limit: Duration) -> Verdict {
    let deadline = Instant::now() + limit;
    let mut text = Vec::new();
    let mut finished = false;
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        let timeout = Timespec::try_from(left).expect("a few seconds");
        let mut fds = [PollFd::new(from, PollFlags::IN)];
        if !matches!(poll(&mut fds, Some(&timeout)), Ok(1..)) {
            continue;
        }
        let mut chunk = [0; 4096];
        match rustix::io::read(from, &mut chunk) {
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(&chunk[..count]),
            Err(_) => continue,
        }
        finished = text.ends_with(b"\n") && text.contains(&(END as u8));
        if finished {
            break;
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let (outcome, last) = text.split_once(END).unwrap_or((&text, ""));
    let failure = match (finished, last.trim()) {
        (true, "") => None,
        (true, why) => Some(why.to_owned()),
        (false, _) if Instant::now() < deadline => Some("the conductor died".into()),
        (false, _) => Some(format!("no end after {limit:?}")),
    };
    Verdict {
        outcome: outcome.lines().map(str::to_owned).collect(),
        failure,
    }
}

/// Kills a process group and reaps everything that was forked. Says whether
/// nothing is left.
fn sweep(group: Pid) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        let _ = process::kill_process_group(group, Signal::KILL);
        match process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            Err(_) => return true,
        }
    }
    false
}

/// Runs a script in a process group of its own, with a time limit. What it
/// writes to the file becomes the outcome, a line per step.
///
/// Reaps all children of the caller, who should be a subreaper.
pub fn supervise(limit: Duration, script: impl FnOnce(File) -> Res) -> Res<Verdict> {
    let (reader, writer) = rustix::pipe::pipe()?;
    // SAFETY: The caller has no other thread that could leave something half
    // done in the child.
    let pid = match unsafe { libc::fork() } {
        -1 => return Err(Fail("fork failed".into())),
        0 => {
            let _ = process::setpgid(None, None);
            drop(reader);
            conduct(script, File::from(writer))
        }
        pid => Pid::from_raw(pid).ok_or_else(|| Fail("fork failed".into()))?,
    };
    // Both sides do it, so that the group exists whoever comes first.
    let _ = process::setpgid(Some(pid), Some(pid));
    drop(writer);
    let mut verdict = listen(&reader, limit);
    if !sweep(pid) {
        verdict.failure = Some("left processes that can't be killed".into());
    }
    Ok(verdict)
}

/// Runs one case. `device` is the name of its device.
pub fn run_case(case: &Case, dir: &str, device: &str, limit: Duration) -> Res<Verdict> {
    let (added, ..) = ctl_add(dir, device.as_bytes())?;
    same("CTL_ADD", added, 0)?;
    let path = format!("{dir}/{device}");
    let verdict = supervise(limit, |trace| {
        // An area that no earlier case has used.
        shm::init()?;
        (case.run)(&Cx::new(dir, &path, trace))
    })?;
    std::fs::remove_file(&path)?;
    Ok(verdict)
}

/// What to run, and where.
pub struct Plan<'a> {
    /// The binderfs directory.
    pub dir: &'a str,
    /// The cases.
    pub cases: Vec<&'a Case>,
    /// Time limit of one case.
    pub limit: Duration,
    /// Cases that this driver is known to fail, with reasons.
    pub known: BTreeMap<String, String>,
}

/// Runs a plan: TAP to `tap`, outcomes to `outcomes`. Returns how many cases
/// failed that were not known to.
pub fn run(plan: &Plan<'_>, tap: &mut dyn Write, outcomes: &mut dyn Write) -> Res<usize> {
    shm::init()?;
    process::set_child_subreaper(Some(process::getpid()))?;
    writeln!(tap, "TAP version 13\n1..{}", plan.cases.len())?;
    let mut failed = 0;
    for (index, case) in plan.cases.iter().enumerate() {
        let device = format!("case{}", index + 1);
        let verdict =
            run_case(case, plan.dir, &device, plan.limit).unwrap_or_else(|Fail(why)| Verdict {
                outcome: Vec::new(),
                failure: Some(why),
            });
        let number = index + 1;
        match (&verdict.failure, plan.known.get(case.name)) {
            (None, _) => writeln!(tap, "ok {number} {}", case.name)?,
            (Some(_), Some(reason)) => {
                writeln!(tap, "not ok {number} {} # TODO {reason}", case.name)?;
            }
            (Some(why), None) => {
                failed += 1;
                writeln!(tap, "not ok {number} {}", case.name)?;
                for step in &verdict.outcome {
                    writeln!(tap, "#   {step}")?;
                }
                writeln!(tap, "# {why} (section 13, case {})", case.section)?;
            }
        }
        tap.flush()?;
        let mut steps = verdict.outcome;
        if let Some(why) = verdict.failure {
            steps.push(format!("FAILED {why}"));
        }
        writeln!(outcomes, "{}\t{}", case.name, steps.join("; "))?;
    }
    outcomes.flush()?;
    Ok(failed)
}

/// Reads a file whole, for `--compare` and the table of known differences.
pub fn slurp(path: &str) -> Res<String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|mut file| file.read_to_string(&mut text))
        .map_err(|error| Fail(format!("{path}: {error}")))?;
    Ok(text)
}
