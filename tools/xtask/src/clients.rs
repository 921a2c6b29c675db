// SPDX-License-Identifier: GPL-2.0

//! The suites that run real clients of Binder: what the folders below `android/`
//! build and run, on the kernel's own C driver and on bus1, compared.

use std::path::PathBuf;

use anyhow::{bail, Result};

use crate::ctx::Ctx;
use crate::drivers;
use crate::guest::{inside, Driver};
use crate::host;
use crate::kernel::Variant;
use crate::ktap::Test;
use crate::outcomes::{self, List};
use crate::run::Run;
use crate::session::{Session, Trial};

/// Programs that the scripts of `android/<name>` build and run.
pub struct Client {
    /// The folder's name, and the one in the report.
    pub name: &'static str,
    /// What building takes beyond what kernels need.
    packages: &'static [&'static str],
    /// Whose programs it works with.
    with: Option<&'static Client>,
    /// The part that has no clock of its own, and so can run in a guest with KASAN.
    patient: Option<&'static str>,
}

/// Android's own user space.
pub const AOSP: Client = Client {
    name: "aosp",
    packages: &["aidl", "googletest", "libc++-19-dev", "libc++abi-19-dev"],
    with: None,
    patient: Some("demo"),
};

/// The library rsbinder: static programs.
pub const RSBINDER: Client = Client {
    name: "rsbinder",
    packages: &["libc6-dev"],
    with: None,
    patient: None,
};

/// The tools of libgbinder, which Waydroid uses, on Android's servicemanager.
const GBINDER: Client = Client {
    name: "gbinder",
    packages: &[],
    with: Some(&AOSP),
    patient: None,
};

/// Android's own user space on both drivers.
pub fn aosp(session: &mut Session<'_>) -> Result<()> {
    AOSP.run(session)
}

/// Other Binder libraries on both drivers.
pub fn clients(session: &mut Session<'_>) -> Result<()> {
    RSBINDER.run(session)?;
    GBINDER.run(session)
}

impl Client {
    /// Builds the programs and returns their folder.
    pub fn build(&self, ctx: &Ctx) -> Result<PathBuf> {
        host::ensure(ctx, &[host::Need::Build])?;
        host::ensure_packages(ctx, self.packages)?;
        let name = self.name;
        let mut step = ctx
            .ui
            .step(&format!("build the programs of android/{name}"), 0);
        let script = ctx.repo.join("android").join(name).join("build.sh");
        let run = Run::new("sh", "the build", ctx.log(&format!("build-{name}")))
            .arg(script)
            .arg(ctx.cache.join(name))
            .env("JOBS", ctx.jobs.to_string());
        let output = host::explain_network(run.check(&mut step, |_, _| {}))?;
        step.done();
        match output.lines().last().map(PathBuf::from) {
            Some(bin) if bin.is_dir() => Ok(bin),
            _ => bail!("android/{name}/build.sh did not say where its programs are"),
        }
    }

    /// Runs them on the stock driver, then on ours in every guest.
    fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let bin = self.build(session.ctx)?;
        let dir = session.ctx.repo.join("android").join(self.name);
        let list = List::read(&dir.join("expected.txt"))?;
        let mut command = format!(
            "{} {} /dev/binderfs",
            inside(&dir.join("run.sh")),
            inside(&bin)
        );
        if let Some(other) = self.with {
            command.push(' ');
            command.push_str(&inside(&other.build(session.ctx)?));
        }
        let stock = self.trial(session, &list, (Variant::Uml, Driver::Stock), &command)?;
        for &variant in session.variants() {
            if variant == Variant::Kasan {
                self.run_patiently(session, &command)?;
                continue;
            }
            let ours = self.trial(session, &list, (variant, Driver::Bus1), &command)?;
            session.report.verdict(
                &format!("{}/{}/as-stock", self.name, variant.name()),
                outcomes::at_least_as(&stock, &ours),
            );
        }
        Ok(())
    }

    /// Where everything takes ten times as long, tests fail that expect an answer within
    /// seconds, or something not to have happened yet.
    fn run_patiently(&self, session: &mut Session<'_>, command: &str) -> Result<()> {
        let rest = format!("{}/{}/rest", self.name, Variant::Kasan.name());
        session
            .report
            .skip(&rest, "its tests have clocks of their own");
        let Some(part) = self.patient else {
            return Ok(());
        };
        let command = format!("{command} {part}");
        let run = (Variant::Kasan, Driver::Bus1);
        self.trial(session, &List::default(), run, &command)?;
        Ok(())
    }

    /// One run; the tests as they ended.
    fn trial(
        &self,
        session: &mut Session<'_>,
        list: &List,
        (variant, driver): (Variant, Driver),
        command: &str,
    ) -> Result<Vec<Test>> {
        let boot = session.boot(&Trial {
            name: self.name,
            variant,
            driver,
            binderfs: true,
            // The suite before has looked for leaks of Binder.
            leaks: false,
            command: command.to_owned(),
            seconds: 450,
        })?;
        let prefix = format!("{}/{}/{}", self.name, variant.name(), driver.name());
        let tests = drivers::tests_of(&boot);
        session
            .report
            .take(&prefix, &list.judge(driver.name(), &tests));
        session
            .report
            .verdict(&format!("{prefix}/guest"), boot.verdict());
        Ok(tests)
    }
}
