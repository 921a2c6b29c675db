// SPDX-License-Identifier: GPL-2.0

//! Booting a guest for one job. README.md of this crate has the protocol.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{bail, Context, Result};

use crate::console::{self, Markers};
use crate::ctx::Ctx;
use crate::kernel::{self, Tree, Variant};
use crate::run::{read_lossy, Run};

/// A dead lockdep keeps the few classes that it had by then.
const LOCKDEP_CLASSES: u32 = 200;
/// kmemleak reports objects of at least this age, in seconds.
const KMEMLEAK_AGE: u32 = 6;
/// So many reports of a kernel are shown.
const SHOWN_SPLATS: usize = 3;
/// A guest that does nothing must have come and gone by then.
const PROBE_LIMIT: Duration = Duration::from_secs(150);
/// KASAN and kmemleak make a guest so many times slower, boot included.
const KASAN_PATIENCE: u32 = 4;
/// There, a task that waits for tests is not hung before, in seconds.
const KASAN_HUNG_AFTER: u32 = 600;

/// UML's way to have more than one CPU.
const TWO_CPUS: &[&str] = &["seccomp=on", "ncpus=2"];

/// Which driver a guest loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// None.
    None,
    /// The C driver of the kernel tree.
    Stock,
    /// Ours.
    Bus1,
}

impl Driver {
    /// Its name in `DRIVER` and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Stock => "stock",
            Self::Bus1 => "bus1",
        }
    }
}

/// What a guest is to do.
pub struct Job {
    /// Names its folder and log.
    pub name: String,
    /// What `DRIVER` says.
    pub driver: Driver,
    /// Modules to load, in order.
    pub modules: Vec<PathBuf>,
    /// Mount binderfs.
    pub binderfs: bool,
    /// Look for leaks, where the kernel can: that makes all of it slower.
    pub leaks: bool,
    /// Shell text to run.
    pub command: String,
    /// When to give up; a guest with KASAN gets several times as much.
    pub limit: Duration,
}

impl Job {
    /// The settings file of the job: `modules` as the guest finds them.
    pub fn settings(&self, modules: &str, more: &str) -> String {
        format!(
            "DRIVER={}\nMODULES=\"{modules}\"\nBINDERFS={}\nKMEMLEAK=\nHUNG_AFTER=\nSHELL_WANTED=\n{more}",
            self.driver.name(),
            if self.binderfs { "1" } else { "" },
        )
    }
}

/// What became of a job.
pub struct Boot {
    /// The command's exit status, if it got that far.
    pub exit: Option<i32>,
    /// What the command printed.
    pub output: String,
    /// The folder that was `/mnt/out` in the guest.
    pub out: PathBuf,
    /// What is wrong with the run as such, whatever the command says.
    pub problems: Vec<String>,
}

impl Boot {
    /// The verdict over kernel and protocol.
    pub fn verdict(&self) -> Result<(), String> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(self.problems.join("\n"))
        }
    }
}

/// A UML kernel that is known to boot here.
pub struct Uml<'a> {
    ctx: &'a Ctx,
    /// The kernel's tree.
    pub tree: Tree,
    /// `uml` or `kasan`.
    pub name: &'static str,
    mode: &'static [&'static str],
}

impl<'a> Uml<'a> {
    /// Gets the kernel, and boots it once to see whether this host can give it two
    /// CPUs, else one. `like` is a guest that has answered this already.
    pub fn new(ctx: &'a Ctx, variant: Variant, like: Option<&Self>) -> Result<Self> {
        let mut guest = Self {
            ctx,
            tree: kernel::tree(ctx, variant)?,
            name: variant.name(),
            mode: like.map_or(TWO_CPUS, |like| like.mode),
        };
        if like.is_none() && guest.probe()?.exit != Some(0) {
            ctx.ui
                .say("the guest does not boot with two CPUs here: going on with one");
            guest.mode = &[];
            let boot = guest.probe()?;
            if boot.exit != Some(0) {
                bail!(
                    "User Mode Linux does not boot on this machine ({}): its console is {}; /dev/shm must be a tmpfs mounted without noexec",
                    boot.problems.join("; "),
                    guest.console("probe").display()
                );
            }
        }
        Ok(guest)
    }

    /// Boots to do nothing.
    fn probe(&self) -> Result<Boot> {
        let job = Job {
            name: "probe".into(),
            driver: Driver::None,
            modules: Vec::new(),
            binderfs: false,
            leaks: false,
            command: "busybox nproc".into(),
            limit: PROBE_LIMIT,
        };
        self.run(&job, |_| {})
    }

    /// Where a job's console log goes.
    pub fn console(&self, job: &str) -> PathBuf {
        self.ctx.log(&format!("console-{}-{job}", self.name))
    }

    /// The kernel's command line after the program's name.
    fn arguments(&self, job: &Path) -> Vec<String> {
        let init = self.ctx.repo.join("tools/guest/init.sh");
        let mut args: Vec<String> = [
            "mem=512M",
            "root=/dev/root",
            "rootfstype=hostfs",
            "rootflags=/",
            "ro",
            "con=null",
            "panic=-1",
            "PATH=/sbin:/bin:/usr/sbin:/usr/bin",
        ]
        .map(str::to_owned)
        .to_vec();
        args.push(format!("init={}", init.display()));
        args.push(format!("JOB={}", job.display()));
        args.extend(self.mode.iter().map(|word| (*word).to_owned()));
        args
    }

    /// Boots for one job, to the end. `line` sees each line that the command
    /// prints, as it comes.
    pub fn run(&self, job: &Job, mut line: impl FnMut(&str)) -> Result<Boot> {
        let dir = self.prepare(job, "")?;
        let mut step = self
            .ctx
            .ui
            .step(&format!("guest {}: {}", self.name, job.name), 0);
        let out = dir.join("out");
        let output = out.join("output");
        let slow = self.tree.has("CONFIG_KASAN");
        let limit = job.limit * if slow { KASAN_PATIENCE } else { 1 };
        // timeout kills the guest even when xtask itself is gone by then.
        let ended = Run::new("timeout", "the guest", self.console(&job.name))
            .args(["--foreground", "-k", "5"])
            .arg(limit.as_secs().to_string())
            .arg(self.tree.dir.join("linux"))
            .args(self.arguments(&dir))
            .args((!self.looks_for_leaks(job)).then_some("kmemleak=off"))
            .arg("con0=null,fd:1")
            .limit(limit + Duration::from_secs(10))
            .follow(&output)
            .collect(&mut step, |step, text| step.suspend(|| line(text)))?;
        step.done();
        let (exit, problems) = judge(&ended.output, &self.tree, job);
        let output = read_lossy(&output)?;
        Ok(Boot {
            exit,
            output,
            out,
            problems,
        })
    }

    /// Boots with a prompt on the caller's terminal.
    pub fn shell(&self, job: &Job) -> Result<()> {
        let dir = self.prepare(job, "SHELL_WANTED=1\n")?;
        let status = Command::new(self.tree.dir.join("linux"))
            .args(self.arguments(&dir))
            .args(["con0=fd:0,fd:1", "quiet"])
            .stdin(Stdio::inherit())
            .status()
            .context("cannot start the guest")?;
        if !status.success() {
            bail!("the guest ended badly: {status}");
        }
        Ok(())
    }

    fn looks_for_leaks(&self, job: &Job) -> bool {
        job.leaks && self.tree.has("CONFIG_DEBUG_KMEMLEAK")
    }

    /// Writes the job's folder.
    fn prepare(&self, job: &Job, more: &str) -> Result<PathBuf> {
        let dir = self
            .ctx
            .out
            .join("job")
            .join(format!("{}-{}", self.name, job.name));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("out"))
            .with_context(|| format!("cannot make {}", dir.display()))?;
        let modules: Vec<String> = job.modules.iter().map(|path| inside(path)).collect();
        let mut settings = job.settings(&modules.join(" "), more);
        if self.looks_for_leaks(job) {
            settings.push_str(&format!("KMEMLEAK={KMEMLEAK_AGE}\n"));
        }
        if self.tree.has("CONFIG_KASAN") && self.tree.has("CONFIG_DETECT_HUNG_TASK") {
            settings.push_str(&format!("HUNG_AFTER={KASAN_HUNG_AFTER}\n"));
        }
        fs::write(dir.join("out/output"), "")?;
        fs::write(dir.join("settings"), settings)?;
        fs::write(dir.join("command"), format!("{}\n", job.command))?;
        Ok(dir)
    }
}

/// The path in a UML guest of a file of the host.
pub fn inside(path: &Path) -> String {
    format!("/mnt/host{}", path.display())
}

/// Judges a run by its console: the command's exit status and what is wrong. A tree without lockdep or kmemleak is not asked
/// about them.
pub fn judge(console: &str, tree: &Tree, job: &Job) -> (Option<i32>, Vec<String>) {
    let found = console::markers(console);
    let mut problems = protocol_problems(&found);
    if found.ended && tree.has("CONFIG_PROVE_LOCKING") {
        match found.lockdep {
            Some((classes, true)) if classes >= LOCKDEP_CLASSES => {}
            Some((classes, alive)) => problems.push(format!(
                "lockdep is not alive at the end: {classes} classes, on: {alive}"
            )),
            None => problems.push("lockdep did not say whether it is alive".into()),
        }
    }
    if found.ended && job.leaks && tree.has("CONFIG_DEBUG_KMEMLEAK") && !found.kmemleak {
        problems.push("kmemleak was not scanned".into());
    }
    let splats = console::splats(console);
    problems.extend(splats.iter().take(SHOWN_SPLATS).cloned());
    if splats.len() > SHOWN_SPLATS {
        problems.push(format!("and {} more reports", splats.len() - SHOWN_SPLATS));
    }
    (found.exit, problems)
}

fn protocol_problems(found: &Markers) -> Vec<String> {
    let mut problems = found.problems.clone();
    if !found.began {
        problems.push("the guest never came up".into());
    } else if found.exit.is_none() {
        problems.push("the guest's command never ended".into());
    } else if !found.ended {
        problems.push("the guest did not come to its end".into());
    }
    problems
}
