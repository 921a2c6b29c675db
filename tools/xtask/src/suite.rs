// SPDX-License-Identifier: GPL-2.0

//! The suites of `cargo xtask test`: which there are, and those that need only a
//! few lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::ctx::Ctx;
use crate::guest::{Driver, Job, Uml};
use crate::host::{self, Need};
use crate::kernel::Variant;
use crate::ktap;
use crate::lint;
use crate::module;
use crate::report::Report;
use crate::run::{self, Run};

/// A suite's name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Formatting, clippy, checkpatch, licences, layers, each personality alone.
    Lint,
    /// Everything that runs without a kernel.
    Host,
    /// The engine's KUnit suites, with lockdep and with KASAN.
    Kunit,
}

/// In this order, so that what fails quickly fails first.
pub const ALL: &[Suite] = &[Suite::Lint, Suite::Host, Suite::Kunit];

/// What a run of some suites shares.
pub struct Session<'a> {
    /// The call's settings.
    pub ctx: &'a Ctx,
    /// Where verdicts go.
    pub report: Report,
    guests: Vec<Uml<'a>>,
}

impl<'a> Session<'a> {
    /// Nothing is built or booted yet.
    pub fn new(ctx: &'a Ctx, report: Report) -> Self {
        Self {
            ctx,
            report,
            guests: Vec::new(),
        }
    }

    /// Runs one suite. An error means that it could not be run at all.
    pub fn run(&mut self, suite: Suite) -> Result<()> {
        match suite {
            Suite::Lint => lint::run(self),
            Suite::Host => self.host(),
            Suite::Kunit => self.kunit(),
        }
    }

    /// The UML guests of this run: with `--kernel`, the user's only.
    pub fn variants(&self) -> &'static [Variant] {
        if self.ctx.kernel.is_some() {
            &[Variant::Uml]
        } else {
            &[Variant::Uml, Variant::Kasan]
        }
    }

    /// A guest that is known to boot; built and probed the first time.
    pub fn guest(&mut self, variant: Variant) -> Result<&Uml<'a>> {
        let at = match self
            .guests
            .iter()
            .position(|guest| guest.name == variant.name())
        {
            Some(at) => at,
            None => {
                host::ensure(self.ctx, &[Need::Build, Need::Guest])?;
                self.guests.push(Uml::new(self.ctx, variant)?);
                self.guests.len() - 1
            }
        };
        Ok(&self.guests[at])
    }

    fn host(&mut self) -> Result<()> {
        for (name, manifest) in host_crates(&self.ctx.repo) {
            let mut step = self.ctx.ui.step(&format!("cargo test ({name})"), 0);
            let run = Run::new("cargo", "cargo test", self.ctx.log(&format!("host-{name}")));
            let ended = run
                .args(["test", "--locked", "--no-fail-fast", "--manifest-path"])
                .arg(&manifest)
                .collect(&mut step, |_, _| {})?;
            step.done();
            let tests = ktap::libtest(&ended.output);
            self.report.take(&format!("host/{name}"), &tests);
            let failed = tests
                .iter()
                .any(|test| matches!(test.status, ktap::Status::Failed(_)));
            if tests.is_empty() || (!failed && !ended.status.is_some_and(|status| status.success()))
            {
                let why = run::telling_lines(&ended.output);
                self.report.fail(
                    &format!("host/{name}"),
                    &format!("cargo test ran no test or failed:\n{why}"),
                );
            }
        }
        Ok(())
    }

    fn kunit(&mut self) -> Result<()> {
        let expected = declared_suites(&self.ctx.repo)?;
        for &variant in self.variants() {
            let ctx = self.ctx;
            let guest = self.guest(variant)?;
            let built = module::build(ctx, &guest.tree, &module::FULL, false)?;
            let boot = guest.run(&Job {
                name: "kunit".into(),
                driver: Driver::None,
                modules: vec![built.dir.join("bus1_kunit.ko")],
                binderfs: false,
                command: "cat /sys/kernel/debug/kunit/bus1_*/results".into(),
                limit: Duration::from_secs(300),
            })?;
            let prefix = format!("kunit/{}", variant.name());
            self.report
                .take(&prefix, &ktap::kunit(&boot.output, &expected));
            self.report
                .verdict(&format!("{prefix}/guest"), boot.verdict());
        }
        Ok(())
    }
}

/// The crates whose tests run on the host, by name and manifest.
pub fn host_crates(repo: &Path) -> Vec<(&'static str, PathBuf)> {
    [
        ("xtask", "tools/xtask"),
        ("engine", "tests-host"),
        ("user", "user"),
    ]
    .map(|(name, dir)| (name, repo.join(dir).join("Cargo.toml")))
    .into_iter()
    .filter(|(_, manifest)| manifest.exists())
    .collect()
}

/// Every `suite/test` that `tests-kunit/` declares.
fn declared_suites(repo: &Path) -> Result<BTreeSet<String>> {
    let dir = repo.join("tests-kunit");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            found.extend(ktap::declared_kunit_tests(&fs::read_to_string(&path)?));
        }
    }
    Ok(found)
}
