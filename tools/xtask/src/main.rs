// SPDX-License-Identifier: GPL-2.0

//! The front door of bus1: `cargo xtask help`.

mod bench;
mod cache;
mod clients;
mod config;
mod console;
mod ctx;
mod demo;
mod drivers;
mod explored;
mod fetch;
mod fuzz;
mod graft;
mod guest;
mod host;
mod intree;
mod kernel;
mod ktap;
mod lint;
mod manual;
mod module;
mod outcomes;
mod profile;
mod programs;
mod proofs;
mod qemu;
mod report;
mod rules;
mod run;
mod session;
mod shape;
mod suite;
mod syzlang;
mod ui;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::ctx::Ctx;
use crate::guest::{Driver, Job, Uml};
use crate::host::Need;
use crate::kernel::Variant;
use crate::report::Report;
use crate::session::Session;
use crate::suite::Suite;

/// Sets up, builds, boots, tests and measures bus1.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Show Android's programs and native ones on one engine.
    Demo {
        /// Use this built UML tree instead of building a kernel.
        #[arg(long, value_name = "PATH")]
        kernel: Option<PathBuf>,
    },
    /// Run test suites: all, or those named.
    Test {
        /// Which suites.
        suites: Vec<Suite>,
        /// Print a line for each test.
        #[arg(long, short)]
        verbose: bool,
        /// Run the guests' suites on a kernel with KASAN and kmemleak as well,
        /// which takes far longer.
        #[arg(long, conflicts_with = "kernel")]
        kasan: bool,
        /// Search as far as the proofs say: more schedules, races and deeper
        /// chains, for far longer.
        #[arg(long)]
        thorough: bool,
        /// Use this built UML tree instead of building kernels.
        #[arg(long, value_name = "PATH")]
        kernel: Option<PathBuf>,
    },
    /// Measure bus1 against the kernel's C driver.
    Bench {
        /// The sync round trip only, in guest instructions.
        #[arg(long, required_unless_present = "profile")]
        quick: bool,
        /// Where the instructions of a sync round trip go, by function.
        #[arg(long, conflicts_with = "quick")]
        profile: bool,
        /// Use this built x86 tree instead of building a kernel.
        #[arg(long, value_name = "PATH")]
        kernel: Option<PathBuf>,
    },
    /// Play random streams of commands on both Binder drivers and compare.
    Fuzz {
        /// How long streams are played on the C driver.
        #[arg(long, value_name = "N", default_value_t = 60)]
        seconds: u64,
        /// Where the streams come from; the time, if not given.
        #[arg(long, value_name = "S")]
        seed: Option<u64>,
        /// Instead let streams meet on a kernel with KASAN and kmemleak.
        #[arg(long)]
        kasan: bool,
    },
    /// Boot a guest with bus1 loaded and a prompt.
    Shell {
        /// Use this built UML tree.
        #[arg(long, value_name = "PATH")]
        kernel: Option<PathBuf>,
    },
    /// Check formatting, licences, layers; clippy, checkpatch.
    Lint,
    /// Put bus1 into a kernel tree, at drivers/bus1.
    Graft {
        /// The kernel's source tree.
        tree: PathBuf,
        /// Take it out again.
        #[arg(long)]
        undo: bool,
    },
    /// Drop what was built for this checkout.
    Clean {
        /// Drop the cache as well: sources, tools, kernels.
        #[arg(long)]
        all: bool,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(err) => {
            eprintln!("xtask: {err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<bool> {
    match task {
        Task::Test {
            suites,
            verbose,
            kasan,
            thorough,
            kernel,
        } => alone(kernel, |ctx| {
            let session = Session::new(ctx, Report::new(verbose));
            let session = session.with_kasan(kasan).with_thorough(thorough);
            Ok(test(session, &suites))
        }),
        Task::Lint => alone(None, |ctx| {
            let session = Session::new(ctx, Report::new(true));
            Ok(test(session, &[Suite::Lint]))
        }),
        Task::Demo { kernel } => alone(kernel, demo::run),
        Task::Bench {
            profile, kernel, ..
        } => alone(kernel, if profile { profile::run } else { bench::quick }),
        Task::Fuzz {
            seconds,
            seed,
            kasan,
        } => alone(None, |ctx| fuzz::run(ctx, seconds, seed, kasan)),
        Task::Shell { kernel } => alone(kernel, shell),
        Task::Graft { tree, undo } => graft::run(&Ctx::new(None)?, &tree, undo),
        Task::Clean { all } => clean(&Ctx::new(None)?, all),
    }
}

/// Runs a task that no other xtask of this checkout may disturb.
fn alone(kernel: Option<PathBuf>, task: impl FnOnce(&Ctx) -> Result<bool>) -> Result<bool> {
    let ctx = Ctx::new(kernel)?;
    host::check()?;
    let _lock = ctx::lock(&ctx.out.join("lock"), || {
        ctx.ui.say("waiting for another xtask in this checkout")
    })?;
    task(&ctx)
}

/// Runs suites one after the other; what cannot be run at all counts as a failure
/// and does not keep the others from running.
fn test(mut session: Session<'_>, suites: &[Suite]) -> bool {
    let suites = if suites.is_empty() {
        suite::ALL
    } else {
        suites
    };
    for &suite in suites {
        if let Err(err) = suite.run(&mut session) {
            session
                .report
                .fail(&format!("{suite:?}").to_lowercase(), &format!("{err:#}"));
        }
    }
    session.report.finish()
}

fn shell(ctx: &Ctx) -> Result<bool> {
    host::ensure(ctx, &[Need::Build, Need::Guest])?;
    let guest = Uml::new(ctx, Variant::Uml, None)?;
    let built = module::build(ctx, &guest.tree, &module::FULL, false)?;
    ctx.ui.say("a shell of the guest; `exit` powers it off");
    guest.shell(&Job {
        name: "shell".into(),
        driver: Driver::Bus1,
        modules: vec![built.dir.join("bus1.ko")],
        binderfs: true,
        leaks: false,
        command: String::new(),
        limit: std::time::Duration::MAX,
    })?;
    Ok(true)
}

fn clean(ctx: &Ctx, all: bool) -> Result<bool> {
    let mut folders = vec![&ctx.out];
    if all {
        folders.push(&ctx.cache);
    }
    for folder in folders {
        std::fs::remove_dir_all(folder)?;
        ctx.ui.say(&format!("removed {}", folder.display()));
    }
    Ok(true)
}
