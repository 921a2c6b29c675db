// SPDX-License-Identifier: GPL-2.0

//! The suites of `cargo xtask test`: which there are, and those that know no
//! driver.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::clients;
use crate::drivers;
use crate::explored::Explored;
use crate::guest::{Driver, Job};
use crate::ktap::{self, Status};
use crate::lint;
use crate::module;
use crate::proofs;
use crate::run::{self, Run};
use crate::session::Session;

/// A suite's name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Formatting, clippy, checkpatch, licences, layers, each personality alone.
    Lint,
    /// Everything that runs without a kernel.
    Host,
    /// The engine's KUnit suites, with lockdep and with KASAN.
    Kunit,
    /// Conformance of /dev/bus1, and the example programs.
    Native,
    /// Binder on bare ioctls: the stock C driver and bus1, compared.
    Binder,
    /// Android's servicemanager and libbinder clients.
    Aosp,
    /// Clients of other Binder libraries: rsbinder, libgbinder.
    Clients,
}

/// In this order, so that what fails quickly fails first.
pub const ALL: &[Suite] = &[
    Suite::Lint,
    Suite::Host,
    Suite::Kunit,
    Suite::Native,
    Suite::Binder,
    Suite::Aosp,
    Suite::Clients,
];

impl Suite {
    /// Runs it. An error means that it could not be run at all.
    pub fn run(self, session: &mut Session<'_>) -> Result<()> {
        match self {
            Self::Lint => lint::run(session),
            Self::Host => host(session),
            Self::Kunit => kunit(session),
            Self::Native => drivers::native(session),
            Self::Binder => drivers::binder(session),
            Self::Aosp => clients::aosp(session),
            Self::Clients => clients::clients(session),
        }
    }
}

fn host(session: &mut Session<'_>) -> Result<()> {
    let crates = host_crates(&session.ctx.repo);
    let engine = session.ctx.repo.join("tests-host/Cargo.toml");
    let plain = crates
        .into_iter()
        .map(|(name, manifest)| (name, manifest, ""));
    // The same source once more on each of the model checkers.
    let checked = [("engine-loom", "loom"), ("engine-shuttle", "shuttle")]
        .map(|(name, feature)| (name, engine.clone(), feature));
    let mut explored = Explored::default();
    for (name, manifest, feature) in plain.chain(checked) {
        let mut step = session.ctx.ui.step(&format!("cargo test ({name})"), 0);
        let log = session.ctx.log(&format!("host-{name}"));
        let mut tests = Run::new("cargo", "cargo test", log);
        if session.thorough() {
            tests = tests.env("BUS1_THOROUGH", "1");
        }
        let ended = tests
            .args(["test", "--locked", "--no-fail-fast", "--features", feature])
            .arg("--manifest-path")
            .arg(&manifest)
            // What the tests of the engine say they have explored.
            .args(["--", "--show-output"])
            .collect(&mut step, |_, _| {})?;
        step.done();
        let tests = ktap::libtest(&ended.output);
        session.report.take(&format!("host/{name}"), &tests);
        explored.take(name, &ended.output);
        let failed = tests
            .iter()
            .any(|test| matches!(test.status, Status::Failed(_)));
        if tests.is_empty() || (!failed && !ended.good()) {
            let why = run::telling_lines(&ended.output);
            let why = format!("cargo test ran no test or failed:\n{why}");
            session.report.fail(&format!("host/{name}"), &why);
        }
    }
    proofs::run(session, &mut explored)?;
    explored.finish(&session.ctx.log("explored"))
}

fn kunit(session: &mut Session<'_>) -> Result<()> {
    let expected = declared_suites(&session.ctx.repo)?;
    for &variant in session.variants() {
        let ctx = session.ctx;
        let guest = session.guest(variant)?;
        let built = module::build(ctx, &guest.tree, &module::FULL, false)?;
        let boot = guest.run(
            &Job {
                name: "kunit".into(),
                driver: Driver::None,
                modules: vec![built.dir.join("bus1_kunit.ko")],
                binderfs: false,
                leaks: true,
                command: "cat /sys/kernel/debug/kunit/bus1_*/results".into(),
                limit: Duration::from_secs(300),
            },
            |_| {},
        )?;
        let prefix = format!("kunit/{}", variant.name());
        session
            .report
            .take(&prefix, &ktap::kunit(&boot.output, &expected));
        session
            .report
            .verdict(&format!("{prefix}/guest"), boot.verdict());
    }
    Ok(())
}

/// The crates whose tests run on the host, by name and manifest.
pub fn host_crates(repo: &Path) -> Vec<(&'static str, PathBuf)> {
    [
        ("xtask", "tools/xtask"),
        ("engine", "tests-host"),
        ("user", "user"),
    ]
    .map(|(name, dir)| (name, repo.join(dir).join("Cargo.toml")))
    .into()
}

/// Every `suite/test` that the engine and its test module declare.
fn declared_suites(repo: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for dir in ["core", "tests-kunit"] {
        let dir = repo.join(dir);
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                found.extend(ktap::declared_kunit_tests(&fs::read_to_string(&path)?));
            }
        }
    }
    Ok(found)
}
