// SPDX-License-Identifier: GPL-2.0

//! What the suites of one run share: the report, and guests that are built and
//! probed once.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::ctx::Ctx;
use crate::guest::{Boot, Driver, Job, Uml};
use crate::host::{self, Need};
use crate::kernel::{Tree, Variant};
use crate::module;
use crate::report::Report;

/// One run of some suites.
pub struct Session<'a> {
    /// The call's settings.
    pub ctx: &'a Ctx,
    /// Where verdicts go.
    pub report: Report,
    kasan: bool,
    thorough: bool,
    guests: Vec<Uml<'a>>,
}

/// A program to run on a driver in a guest.
pub struct Trial<'a> {
    /// Names the job.
    pub name: &'a str,
    /// Which kernel.
    pub variant: Variant,
    /// Which driver.
    pub driver: Driver,
    /// Mount binderfs.
    pub binderfs: bool,
    /// Look for leaks.
    pub leaks: bool,
    /// Shell text.
    pub command: String,
    /// Seconds that the default guest may take.
    pub seconds: u64,
}

impl<'a> Session<'a> {
    /// Nothing is built or booted yet.
    pub fn new(ctx: &'a Ctx, report: Report) -> Self {
        Self {
            ctx,
            report,
            kasan: false,
            thorough: false,
            guests: Vec::new(),
        }
    }

    /// The same, and the guest with KASAN as the second, if `yes`.
    pub fn with_kasan(self, yes: bool) -> Self {
        Self { kasan: yes, ..self }
    }

    /// The same with the wide bounds, if `yes`.
    pub fn with_thorough(self, yes: bool) -> Self {
        Self {
            thorough: yes,
            ..self
        }
    }

    /// Whether random and bounded searches go as far as `docs/proofs.md` says, or
    /// only as far as ten minutes for all suites allow.
    pub fn thorough(&self) -> bool {
        self.thorough
    }

    /// The UML guests of this run: with `--kernel`, the user's only.
    pub fn variants(&self) -> &'static [Variant] {
        if self.kasan && self.ctx.kernel.is_none() {
            &[Variant::Uml, Variant::Kasan]
        } else {
            &[Variant::Uml]
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
                let guest = Uml::new(self.ctx, variant, self.guests.first())?;
                self.guests.push(guest);
                self.guests.len() - 1
            }
        };
        Ok(&self.guests[at])
    }

    /// Boots a guest with a driver for one program.
    pub fn boot(&mut self, trial: &Trial<'_>) -> Result<Boot> {
        self.boot_and_follow(trial, |_| {})
    }

    /// The same; `line` sees what the program prints, as it prints it.
    pub fn boot_and_follow(&mut self, trial: &Trial<'_>, line: impl FnMut(&str)) -> Result<Boot> {
        let ctx = self.ctx;
        let guest = self.guest(trial.variant)?;
        let job = Job {
            name: format!("{}-{}", trial.name, trial.driver.name()),
            driver: trial.driver,
            modules: driver_modules(ctx, &guest.tree, trial.driver)?,
            binderfs: trial.binderfs,
            leaks: trial.leaks,
            command: trial.command.clone(),
            limit: Duration::from_secs(trial.seconds) * patience(trial.variant),
        };
        guest.run(&job, line)
    }
}

/// The modules of a driver, built if they are ours.
pub fn driver_modules(ctx: &Ctx, tree: &Tree, driver: Driver) -> Result<Vec<PathBuf>> {
    Ok(match driver {
        Driver::None => Vec::new(),
        Driver::Stock => vec![tree.stock_driver()?],
        Driver::Bus1 => vec![module::build(ctx, tree, &module::FULL, false)?
            .dir
            .join("bus1.ko")],
    })
}

/// How many times longer than the first a guest may take.
pub fn patience(variant: Variant) -> u32 {
    match variant {
        Variant::Kasan => 4,
        Variant::Uml | Variant::X86 => 1,
    }
}
