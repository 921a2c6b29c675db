// SPDX-License-Identifier: GPL-2.0

//! Suite `lint`: what can be judged without running the code.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::ctx::Ctx;
use crate::host::{self, Need};
use crate::intree;
use crate::kernel::{self, Tree, Variant};
use crate::manual;
use crate::module::{self, Flavour};
use crate::rules;
use crate::run::{capture, read_lossy, telling_lines, Run};
use crate::session::Session;
use crate::shape;
use crate::suite::host_crates;
use crate::syzlang;

/// Runs all of it: the checks of the text first, they take no time.
pub fn run(session: &mut Session<'_>) -> Result<()> {
    host::ensure(session.ctx, &[Need::Build])?;
    let files = tracked(&session.ctx.repo)?;
    session
        .report
        .verdict("lint/licences", licences(&session.ctx.repo, &files));
    session
        .report
        .verdict("lint/layers", layers(&session.ctx.repo, &files));
    session
        .report
        .verdict("lint/shape", shape(&session.ctx.repo, &files));
    session
        .report
        .verdict("lint/syzkaller", syzkaller(&session.ctx.repo));
    session
        .report
        .verdict("lint/rustfmt", rustfmt(session.ctx, &files));
    // What QEMU loads can't be linked into a test of its own.
    let plugin = session.ctx.repo.join("tools/qemu-profile/Cargo.toml");
    let crates = host_crates(&session.ctx.repo);
    for (name, manifest) in crates.into_iter().chain([("qemu-profile", plugin)]) {
        session.report.verdict(
            &format!("lint/clippy-{name}"),
            clippy(session.ctx, name, &manifest),
        );
    }
    let tree = kernel::tree(session.ctx, Variant::Uml)?;
    session
        .report
        .verdict("lint/checkpatch", checkpatch(session.ctx, &tree, &files));
    for flavour in [module::CLIPPY, module::NO_NATIVE, module::NO_BINDER] {
        let outcome = quiet_build(session.ctx, &tree, &flavour);
        session
            .report
            .verdict(&format!("lint/module-{}", flavour.name), outcome);
    }
    in_tree(session);
    session
        .report
        .verdict("lint/rustdoc", rustdoc(session.ctx, &tree));
    session
        .report
        .verdict("lint/symbols", symbols(session.ctx, &tree));
    session
        .report
        .verdict("lint/bus1-sys", bus1_sys(session.ctx, &tree));
    session.report.verdict("lint/tap", tap(session.ctx));
    session
        .report
        .verdict("lint/manual", manual::lint(session.ctx));
    Ok(())
}

/// The descriptions for syzkaller are whole, and of our interfaces.
fn syzkaller(repo: &Path) -> Result<(), String> {
    let read = |file: &str| {
        fs::read_to_string(repo.join(file)).map_err(|err| format!("cannot read {file}: {err}"))
    };
    let mut problems = syzlang::native(
        &read("docs/syzkaller/dev_bus1.txt")?,
        &read("include/uapi/linux/bus1.h")?,
    );
    problems.extend(syzlang::binder(
        &read("docs/syzkaller/dev_binder_more.txt")?,
        &read("user/tests-binder/src/abi.rs")?,
    ));
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

/// bus1 in a kernel's own tree, by the other compiler.
fn in_tree(session: &mut Session<'_>) {
    const NAME: &str = "lint/in-tree-gcc";
    if session.ctx.kernel.is_some() {
        let why = "needs a source that may be changed, not that of --kernel";
        return session.report.skip(NAME, why);
    }
    let outcome = intree::check(session.ctx).map_err(|err| format!("{err:#}"));
    session.report.verdict(NAME, outcome);
}

/// The kernel exports what the module needs; what may be missing is documented.
fn symbols(ctx: &Ctx, tree: &Tree) -> Result<(), String> {
    let built = module::build(ctx, tree, &module::FULL, false).map_err(|err| format!("{err:#}"))?;
    let run = Run::new("sh", "tools/symbols", ctx.log("symbols"))
        .dir(&ctx.repo)
        .arg("tools/symbols")
        .arg(built.dir.join("bus1.ko"))
        .arg(tree.dir.join("Module.symvers"));
    finish(ctx, run, "symbols")
}

/// The declarations of the client crate are those of the header.
fn bus1_sys(ctx: &Ctx, tree: &Tree) -> Result<(), String> {
    let run = Run::new("bash", "bus1-sys/regenerate", ctx.log("bus1-sys"))
        .dir(&ctx.repo)
        .args(["user/bus1-sys/regenerate", "--check"]);
    finish(ctx, tree.tools(run), "bus1-sys against the header")
}

/// The scripts that run real clients see a failure when there is one.
fn tap(ctx: &Ctx) -> Result<(), String> {
    let run = Run::new("sh", "android/tap-test.sh", ctx.log("tap"))
        .dir(&ctx.repo)
        .arg("android/tap-test.sh");
    finish(ctx, run, "android/tap-test.sh")
}

/// The files that git knows, relative to the checkout, and that are there.
fn tracked(repo: &Path) -> Result<Vec<String>> {
    let listed = capture("git", &["-C", &repo.to_string_lossy(), "ls-files"])?;
    Ok(listed
        .lines()
        .filter(|file| repo.join(file).is_file())
        .map(str::to_owned)
        .collect())
}

/// An empty list is a pass, anything else the reason of the failure.
fn none_of(problems: Vec<String>) -> Result<(), String> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

fn licences(repo: &Path, files: &[String]) -> Result<(), String> {
    let mut problems = Vec::new();
    for file in files {
        let Some(wanted) = rules::licence_of(file) else {
            continue;
        };
        let text = fs::read(repo.join(file)).unwrap_or_default();
        let head: Vec<u8> = text.into_iter().take(400).collect();
        if let Err(found) = rules::check_licence(&String::from_utf8_lossy(&head), wanted) {
            problems.push(format!("{file}: {found}"));
        }
    }
    none_of(problems)
}

fn layers(repo: &Path, files: &[String]) -> Result<(), String> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.ends_with(".rs")) {
        let text = fs::read_to_string(repo.join(file)).unwrap_or_default();
        problems.extend(rules::layer_breaks(file, &text));
    }
    none_of(problems)
}

/// Nothing is too long, and nothing lies there without being compiled.
fn shape(repo: &Path, files: &[String]) -> Result<(), String> {
    let sources: Vec<(String, String)> = files
        .iter()
        .filter(|file| file.ends_with(".rs") || file.ends_with("/Cargo.toml"))
        .filter(|file| !rules::is_generated(file))
        .map(|file| {
            let text = fs::read_to_string(repo.join(file)).unwrap_or_default();
            (file.clone(), text)
        })
        .collect();
    let mut problems = shape::orphans(&sources);
    for (file, text) in sources.iter().filter(|(file, _)| file.ends_with(".rs")) {
        problems.extend(shape::too_long(file, text));
    }
    none_of(problems)
}

/// rustfmt goes on to the modules that a file declares, generated ones too, so
/// what counts is what it says of files that somebody wrote.
fn rustfmt(ctx: &Ctx, files: &[String]) -> Result<(), String> {
    let sources = files
        .iter()
        .filter(|file| file.ends_with(".rs") && !rules::is_generated(file));
    let mut step = ctx.ui.step("rustfmt --check", 0);
    let ended = Run::new("rustfmt", "rustfmt", ctx.log("rustfmt"))
        .dir(&ctx.repo)
        .args(["--check", "--edition", "2021"])
        .args(sources)
        .collect(&mut step, |_, _| {})
        .map_err(|err| format!("{err:#}"))?;
    step.done();
    let unformatted = rules::unformatted(&ended.output);
    if unformatted.is_empty() && !ended.good() && !ended.output.contains("Diff in ") {
        return Err(telling_lines(&ended.output));
    }
    none_of(unformatted)
}

fn clippy(ctx: &Ctx, name: &str, manifest: &Path) -> Result<(), String> {
    let run = Run::new("cargo", "cargo clippy", ctx.log(&format!("clippy-{name}")))
        .args(["clippy", "--locked", "--all-targets", "--manifest-path"])
        .arg(manifest)
        .args(["--", "-D", "warnings"]);
    finish(ctx, run, &format!("clippy of {name}"))
}

fn checkpatch(ctx: &Ctx, tree: &Tree, files: &[String]) -> Result<(), String> {
    let checked = files.iter().filter(|file| rules::is_for_checkpatch(file));
    let run = Run::new("perl", "checkpatch", ctx.log("checkpatch"))
        .dir(&ctx.repo)
        .arg(tree.source.join("scripts/checkpatch.pl"))
        .args([
            "--no-tree",
            "--ignore=EMBEDDED_FILENAME",
            "--strict",
            "--terse",
            "--no-summary",
            "--color=never",
            "-f",
        ])
        .args(checked);
    finish(ctx, run, "checkpatch")
}

/// Runs a checker; when it fails, the end of what it said is the reason.
fn finish(ctx: &Ctx, run: Run, what: &str) -> Result<(), String> {
    let mut step = ctx.ui.step(what, 0);
    let ended = run
        .collect(&mut step, |_, _| {})
        .map_err(|err| format!("{err:#}"))?;
    step.done();
    if ended.good() {
        Ok(())
    } else {
        Err(telling_lines(&ended.output))
    }
}

/// Builds a flavour from nothing and wants no warning.
fn quiet_build(ctx: &Ctx, tree: &Tree, flavour: &Flavour) -> Result<(), String> {
    let built = module::build(ctx, tree, flavour, true).map_err(|err| format!("{err:#}"))?;
    none_of(module::warnings(&built.log))
}

/// Every link in the module's documentation leads somewhere.
fn rustdoc(ctx: &Ctx, tree: &Tree) -> Result<(), String> {
    let text = |err: anyhow::Error| format!("{err:#}");
    let built = module::build(ctx, tree, &module::FULL, false).map_err(text)?;
    let saved = read_lossy(&built.dir.join(".lib.o.cmd")).map_err(text)?;
    let Some(command) = module::rustdoc_command(&saved, "doc") else {
        return Err("Kbuild's command for lib.o is not as xtask knows it".into());
    };
    let run = Run::new("sh", "rustdoc", ctx.log("rustdoc"))
        .dir(&built.dir)
        .args(["-c", &command])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("BUS1_GENERATED", built.dir.join("generated"));
    finish(ctx, run, "rustdoc of the module")
}
