// SPDX-License-Identifier: GPL-2.0

//! bus1 in a kernel's own tree: grafted, built in, by gcc, with its KUnit suites.
//!
//! Only as much of the kernel is built as a driver takes: no image comes out.

use std::fs;
use std::path::Path;

use anyhow::{ensure, Context, Result};

use crate::ctx::Ctx;
use crate::graft;
use crate::kernel::{self, count_objects, Tree, Variant};
use crate::module;

/// What the guest's configuration gets in addition.
const MORE: &str = "CONFIG_BUS1=y
CONFIG_BUS1_NATIVE=y
CONFIG_BUS1_BINDER=y
CONFIG_BUS1_KUNIT_TEST=y
";

/// The files of the kernel that grafting edits.
const EDITED: [&str; 2] = ["drivers/Kconfig", "drivers/Makefile"];

/// Grafts into a copy of the source, twice, builds what came of it without a
/// warning, and takes it out again without a trace.
pub fn check(ctx: &Ctx) -> Result<()> {
    let tree = kernel::copy_for_gcc(ctx)?;
    graft::graft(ctx, &tree.source, true)?;
    let before = edited(&tree.source)?;
    graft::graft(ctx, &tree.source, false)?;
    let once = edited(&tree.source)?;
    graft::graft(ctx, &tree.source, false)?;
    ensure!(
        once != before,
        "grafting has changed neither Kconfig nor Makefile"
    );
    ensure!(
        edited(&tree.source)? == once,
        "grafting twice is not the same as once"
    );
    let warnings = build(ctx, &tree)?;
    ensure!(warnings.is_empty(), "{}", warnings.join("\n"));
    graft::graft(ctx, &tree.source, true)?;
    ensure!(
        edited(&tree.source)? == before && !tree.source.join("drivers/bus1").exists(),
        "--undo leaves something behind"
    );
    Ok(())
}

/// The texts that grafting edits.
fn edited(source: &Path) -> Result<Vec<String>> {
    let read = |file: &str| {
        let path = source.join(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    EDITED.into_iter().map(read).collect()
}

/// Builds `drivers/bus1`; returns the warnings.
fn build(ctx: &Ctx, tree: &Tree) -> Result<Vec<String>> {
    let wanted = kernel::wanted(ctx, Variant::Uml, MORE)?;
    kernel::configure(ctx, "gcc", &wanted, tree)?;
    let mut step = ctx.ui.step("build bus1 in the kernel's tree with gcc", 0);
    let log = tree
        .make(ctx, "the build in the kernel's tree", ctx.log("in-tree"))
        .dir(&tree.source)
        .arg(format!("O={}", tree.dir.display()))
        .arg("drivers/bus1/")
        .check(&mut step, count_objects)?;
    step.done();
    for object in ["built-in.a", "lib.o", "tests-kunit/lib.o"] {
        let built = tree.dir.join("drivers/bus1").join(object);
        ensure!(
            built.exists(),
            "the build has made no drivers/bus1/{object}"
        );
    }
    Ok(module::warnings(&log))
}
