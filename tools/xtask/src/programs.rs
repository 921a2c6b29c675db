// SPDX-License-Identifier: GPL-2.0

//! Building our own user programs, static, so that every guest can run them.

use std::fs;
use std::path::PathBuf;

use anyhow::{bail, Context, Result};

use crate::ctx::Ctx;
use crate::host::explain_network;
use crate::run::{capture, Run};

/// The folder of the built programs.
pub struct Programs(PathBuf);

impl Programs {
    /// A program of a crate in `user/`.
    pub fn bin(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Every example, by name: those of the client crate, and the one in C.
    pub fn examples(&self) -> Result<Vec<PathBuf>> {
        let dir = self.0.join("examples");
        let mut found = Vec::new();
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let path = entry?.path();
            // Cargo keeps a second name with a hash, and a list of sources.
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            if name.is_some_and(|name| !name.contains(['.', '-'])) && path.is_file() {
                found.push(path);
            }
        }
        found.sort();
        if found.is_empty() {
            bail!("the client crate has no examples");
        }
        found.extend([self.bin("hello-c"), self.bin("manual-c")]);
        Ok(found)
    }
}

/// Builds all of `user/`.
pub fn build(ctx: &Ctx) -> Result<Programs> {
    let version = capture("rustc", &["-vV"])?;
    let Some(target) = version.lines().find_map(|line| line.strip_prefix("host: ")) else {
        bail!("rustc -vV does not name its host");
    };
    let dir = ctx.out.join("user");
    let mut step = ctx.ui.step("build the user programs", 0);
    // With a target named, the flags don't reach build scripts and macros.
    let run = Run::new("cargo", "cargo build", ctx.log("user"))
        .args([
            "build",
            "--locked",
            "--release",
            "--bins",
            "--examples",
            "--target",
            target,
        ])
        .arg("--manifest-path")
        .arg(ctx.repo.join("user/Cargo.toml"))
        .arg("--target-dir")
        .arg(&dir)
        .arg(format!("-j{}", ctx.jobs))
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .without_env("CARGO_ENCODED_RUSTFLAGS");
    explain_network(run.check(&mut step, |_, _| {}))?;
    step.done();
    let programs = Programs(dir.join(target).join("release"));
    in_c(ctx, &programs)?;
    Ok(programs)
}

/// Builds the example in C, beside those of the client crate.
fn in_c(ctx: &Ctx, programs: &Programs) -> Result<()> {
    let mut step = ctx.ui.step("build the example in C", 0);
    Run::new("make", "the example in C", ctx.log("user-c"))
        .arg("-C")
        .arg(ctx.repo.join("user/c"))
        .arg(format!("O={}", programs.0.display()))
        .arg("CFLAGS=-O2 -static")
        .without_env("MAKEFLAGS")
        .check(&mut step, |_, _| {})?;
    step.done();
    Ok(())
}
