// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask demo`: Android's own programs and native ones on one engine, in
//! one boot, in plain words. `tools/guest/demo.sh` is what runs in the guest.

use anyhow::Result;

use crate::clients;
use crate::ctx::Ctx;
use crate::guest::{inside, Driver};
use crate::kernel::Variant;
use crate::programs;
use crate::report::Report;
use crate::session::{Session, Trial};

/// Shows it; true if all of it worked.
pub fn run(ctx: &Ctx) -> Result<bool> {
    let mut session = Session::new(ctx, Report::new(false));
    session.guest(Variant::Uml)?;
    let aosp = clients::AOSP.build(ctx)?;
    let rsbinder = clients::RSBINDER.build(ctx)?;
    let examples = programs::build(ctx)?.bin("examples");
    let words: Vec<String> = [
        &ctx.repo.join("tools/guest/demo.sh"),
        &ctx.repo,
        &aosp,
        &rsbinder,
        &examples,
    ]
    .map(|path| inside(path))
    .into();
    let trial = Trial {
        name: "demo",
        variant: Variant::Uml,
        driver: Driver::Bus1,
        binderfs: true,
        leaks: false,
        command: words.join(" "),
        seconds: 300,
    };
    let boot = session.boot_and_follow(&trial, |line| println!("{line}"))?;
    if let Err(why) = boot.verdict() {
        println!("\nBut the guest's kernel is not content:\n{why}");
    }
    Ok(boot.exit == Some(0) && boot.problems.is_empty())
}
