// SPDX-License-Identifier: GPL-2.0

//! Random clients: `cargo xtask fuzz`, and what the suites run of them.
//!
//! Streams of Binder commands are played on the C driver first, for a while, and the
//! same ones on ours; a stream that differs is made smaller by leaving steps out as
//! long as it still differs. On the guest with KASAN, streams meet each other and
//! nothing is compared; native clients run there, and each step with each of its
//! allocations failing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::ctx::Ctx;
use crate::guest::{inside, Driver};
use crate::kernel::Variant;
use crate::ktap;
use crate::programs::{self, Programs};
use crate::report::Report;
use crate::run::{read_lossy, Run};
use crate::session::{Session, Trial};

/// A suite must find again what it has found, so its streams are always the same.
const SUITE_SEED: u64 = 1;
/// How long a suite plays streams on the C driver, in seconds.
const SUITE_SECONDS: (u64, u64) = (6, 60);
/// How long it runs random native clients.
const NATIVE_SECONDS: (u64, u64) = (4, 40);
/// Steps of a stream, at most.
const STEPS: usize = 48;
/// So many streams that differ are made smaller.
const SHRUNK: usize = 3;
/// What a run on one guest may take beyond its own time, in seconds.
const SPARE_SECONDS: u64 = 240;

/// The program, and the streams that are always played.
pub struct Fuzz {
    program: PathBuf,
    kept: PathBuf,
}

impl Fuzz {
    /// The one of these programs.
    pub fn new(ctx: &Ctx, programs: &Programs) -> Self {
        Self {
            program: programs.bin("bus1-fuzz"),
            kept: ctx.repo.join("user/fuzz/streams.txt"),
        }
    }

    /// Shell text: plays the kept streams, and others for a while.
    pub fn first(&self, seed: u64, seconds: u64) -> String {
        format!(
            "{} binder --dir /dev/binderfs --outcomes /mnt/out/streams --list {} --seed {seed} --seconds {seconds} >/mnt/out/fuzz 2>&1",
            inside(&self.program),
            inside(&self.kept)
        )
    }

    /// The same for a suite.
    pub fn first_of_suite(&self, thorough: bool) -> String {
        let (short, long) = SUITE_SECONDS;
        self.first(SUITE_SEED, if thorough { long } else { short })
    }

    /// Shell text: plays the streams that begin the lines of a file.
    pub fn again(&self, list: &Path) -> String {
        format!(
            "{} binder --dir /dev/binderfs --outcomes /mnt/out/streams --list {} >/mnt/out/fuzz 2>&1",
            inside(&self.program),
            inside(list)
        )
    }

    /// Shell text: many streams at the same time.
    pub fn storm(&self, seed: u64, seconds: u64) -> String {
        format!(
            "{} storm --dir /dev/binderfs --seed {seed} --seconds {seconds}",
            inside(&self.program)
        )
    }

    /// Shell text: random native clients.
    pub fn native(&self, seed: u64, seconds: u64) -> String {
        format!(
            "{} native --seed {seed} --seconds {seconds}",
            inside(&self.program)
        )
    }

    /// The same for a suite; its verdicts go to a file of the guest.
    pub fn native_of_suite(&self, thorough: bool) -> String {
        let (short, long) = NATIVE_SECONDS;
        let seconds = if thorough { long } else { short };
        format!("{} >/mnt/out/random", self.native(SUITE_SEED, seconds))
    }

    /// The same of [`Self::storm`].
    pub fn storm_of_suite(&self, thorough: bool) -> String {
        let (short, long) = SUITE_SECONDS;
        let seconds = if thorough { long } else { short };
        let storm = format!("{} >/mnt/out/fuzz 2>&1", self.storm(SUITE_SEED, seconds));
        if thorough {
            format!("{storm}\n{}", self.faults())
        } else {
            storm
        }
    }

    /// Shell text: each allocation of each step fails, where a kernel can have that.
    fn faults(&self) -> String {
        format!(
            "{} faults --dir /dev/binderfs >/mnt/out/faults 2>&1",
            inside(&self.program)
        )
    }

    /// Takes the verdicts of what the suite of Binder has run.
    pub fn take(
        &self,
        session: &mut Session<'_>,
        prefix: &str,
        stock: &Path,
        ours: &Path,
        variant: Variant,
    ) -> Result<()> {
        let streams = match variant {
            Variant::Uml => self.compare(session.ctx, stock, ours)?,
            _ => read_lossy(&ours.join("fuzz")).unwrap_or_default(),
        };
        let streams = ktap::program(&streams);
        session.report.take(&format!("{prefix}/streams"), &streams);
        if variant != Variant::Uml && session.thorough() {
            let faults = ktap::program(&read_lossy(&ours.join("faults")).unwrap_or_default());
            session.report.take(&format!("{prefix}/faults"), &faults);
        }
        Ok(())
    }

    /// Compares what two guests have left; TAP.
    pub fn compare(&self, ctx: &Ctx, stock: &Path, ours: &Path) -> Result<String> {
        let mut step = ctx.ui.step("compare the streams", 0);
        let ended = Run::new(&self.program, "the comparison", ctx.log("fuzz-compare"))
            .arg("compare")
            .args([stock.join("streams"), ours.join("streams")])
            .collect(&mut step, |_, _| {})?;
        step.done();
        Ok(ended.output)
    }

    /// The stream with each piece of so many steps left out, by their names.
    fn without(&self, ctx: &Ctx, size: usize, name: &str) -> Result<Vec<String>> {
        let mut step = ctx.ui.step("leave steps out", 0);
        let output = Run::new(&self.program, "the list of streams", ctx.log("fuzz-names"))
            .args(["without", &size.to_string(), name])
            .check(&mut step, |_, _| {})?;
        step.done();
        Ok(output.lines().map(str::to_owned).collect())
    }
}

/// The streams that differ, by name, and how.
fn differing(tap: &str) -> Vec<(&str, &str)> {
    tap.lines()
        .filter_map(|line| line.strip_prefix("# stream ")?.split_once(' '))
        .collect()
}

/// A trial of the Binder client.
fn trial(driver: Driver, command: String, seconds: u64) -> Trial<'static> {
    Trial {
        name: "fuzz",
        variant: Variant::Uml,
        driver,
        binderfs: true,
        leaks: false,
        command,
        seconds: seconds + SPARE_SECONDS,
    }
}

/// Plays streams on both drivers: the C driver's command decides which.
fn both(session: &mut Session<'_>, fuzz: &Fuzz, first: String, seconds: u64) -> Result<String> {
    let stock = session.boot(&trial(Driver::Stock, first, seconds))?;
    let again = fuzz.again(&stock.out.join("streams"));
    let ours = session.boot(&trial(Driver::Bus1, again, 2 * seconds))?;
    for (name, boot) in [("stock", &stock), ("bus1", &ours)] {
        let mut verdict = boot.verdict();
        if verdict.is_ok() && boot.exit != Some(0) {
            let said = read_lossy(&boot.out.join("fuzz")).unwrap_or_default();
            verdict = Err(format!("it ended with {:?}: {said}", boot.exit));
        }
        if let Err(why) = verdict {
            session.report.fail(&format!("fuzz/{name}"), &why);
        }
    }
    fuzz.compare(session.ctx, &stock.out, &ours.out)
}

/// The smallest stream that still differs, and how, by leaving pieces out.
fn shrink(session: &mut Session<'_>, fuzz: &Fuzz, name: &str, how: &str) -> Result<String> {
    let (mut name, mut how) = (name.to_owned(), how.to_owned());
    let mut size = STEPS / 2;
    let list = session.ctx.out.join("fuzz-candidates");
    while size > 0 {
        let candidates = fuzz.without(session.ctx, size, &name)?;
        fs::write(&list, candidates.join("\n"))
            .with_context(|| format!("cannot write {}", list.display()))?;
        let tap = both(session, fuzz, fuzz.again(&list), 10)?;
        let found = differing(&tap);
        let smaller = candidates
            .iter()
            .find_map(|one| found.iter().find(|(other, _)| other == one));
        match smaller {
            Some((smaller, other)) => (name, how) = ((*smaller).to_owned(), (*other).to_owned()),
            None => size /= 2,
        }
    }
    Ok(format!("{name} {how}"))
}

/// `cargo xtask fuzz`.
pub fn run(ctx: &Ctx, seconds: u64, seed: Option<u64>, kasan: bool) -> Result<bool> {
    let seed = match seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() << 20,
    };
    ctx.ui.say(&format!("seed {seed}"));
    let mut session = Session::new(ctx, Report::new(true));
    let fuzz = Fuzz::new(ctx, &programs::build(ctx)?);
    if kasan {
        sanitized(&mut session, &fuzz, seed, seconds)?;
        return Ok(session.report.finish());
    }
    let tap = both(&mut session, &fuzz, fuzz.first(seed, seconds), seconds)?;
    session.report.take("fuzz/binder", &ktap::program(&tap));
    for (name, how) in differing(&tap).into_iter().take(SHRUNK) {
        let smallest = shrink(&mut session, &fuzz, name, how)?;
        println!("stream {name} comes down to {smallest}");
    }
    Ok(session.report.finish())
}

/// Streams that meet, native clients and failing allocations, on the guest with KASAN and kmemleak.
fn sanitized(session: &mut Session<'_>, fuzz: &Fuzz, seed: u64, seconds: u64) -> Result<()> {
    let (storm, native) = (fuzz.storm(seed, seconds), fuzz.native(seed, seconds));
    let boot = session.boot(&Trial {
        variant: Variant::Kasan,
        leaks: true,
        ..trial(
            Driver::Bus1,
            format!(
                "{storm} >/mnt/out/storm\n{native} >/mnt/out/native\n{}",
                fuzz.faults()
            ),
            2 * seconds,
        )
    })?;
    for name in ["storm", "native", "faults"] {
        let output = read_lossy(&boot.out.join(name)).unwrap_or_default();
        let name = format!("fuzz/kasan/{name}");
        session.report.take(&name, &ktap::program(&output));
    }
    session.report.verdict("fuzz/kasan/guest", boot.verdict());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_that_differ_are_found_in_the_output() {
        let tap = "TAP version 13\n1..2\nnot ok 1 a\n# 9 streams, 2 answers\n# stream 12:1-3 step #2: stock: a | ours: b\nok 2 b\n";
        assert_eq!(differing(tap), [("12:1-3", "step #2: stock: a | ours: b")]);
    }
}
