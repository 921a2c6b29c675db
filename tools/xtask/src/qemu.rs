// SPDX-License-Identifier: GPL-2.0

//! Booting the small x86_64 guest under QEMU's instruction counter: one guest
//! instruction is one nanosecond of its clock, whatever else the host is doing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, Context, Result};

use crate::ctx::Ctx;
use crate::guest::{judge, Boot, Job};
use crate::kernel::Tree;
use crate::run::{capture, read_lossy, Run};

/// One processor whose instructions are its clock, and a serial port for the console; what
/// the second one is for follows.
#[rustfmt::skip]
const MACHINE: &[&str] = &[
    "-accel", "tcg", "-icount", "shift=0,sleep=off", "-smp", "1", "-m", "512",
    "-rtc", "base=2026-01-01,clock=vm", "-nographic", "-nodefaults", "-no-reboot",
    "-serial", "stdio", "-serial",
];

/// Boots for one job, to the end. `programs` are put beside the job, in `/job`;
/// `plugin` is what QEMU's option of that name gets, if anything.
pub fn run(
    ctx: &Ctx,
    tree: &Tree,
    job: &Job,
    programs: &[PathBuf],
    plugin: Option<&str>,
) -> Result<Boot> {
    let dir = ctx.out.join("job").join(format!("x86-{}", job.name));
    let _ = fs::remove_dir_all(&dir);
    let (root, out) = (dir.join("root"), dir.join("out"));
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    fill_root(ctx, &root, job, programs)?;
    let initrd = dir.join("initrd.gz");
    pack(ctx, &root, &initrd)?;

    let output = out.join("output");
    let mut step = ctx.ui.step(&format!("guest x86: {}", job.name), 0);
    let ended = Run::new(
        "timeout",
        "the guest",
        ctx.log(&format!("console-x86-{}", job.name)),
    )
    .args(["--foreground", "-k", "5"])
    .arg(job.limit.as_secs().to_string())
    .arg("qemu-system-x86_64")
    .args(MACHINE)
    .arg(format!("file:{}", output.display()))
    .arg("-kernel")
    .arg(tree.dir.join("arch/x86/boot/bzImage"))
    .arg("-initrd")
    .arg(&initrd)
    .args(plugin.iter().flat_map(|plugin| ["-plugin", plugin]))
    .args(["-append", "console=ttyS0 loglevel=5 panic=-1"])
    .limit(job.limit + Duration::from_secs(10))
    .collect(&mut step, |_, _| {})?;
    step.done();
    let (exit, problems) = judge(&ended.output, tree, job);
    let output = read_lossy(&output).unwrap_or_default();
    Ok(Boot {
        exit,
        output,
        out,
        problems,
    })
}

/// The guest's whole file system: busybox, our init, the job.
fn fill_root(ctx: &Ctx, root: &Path, job: &Job, programs: &[PathBuf]) -> Result<()> {
    for sub in ["bin", "dev", "proc", "sys", "tmp", "job"] {
        fs::create_dir_all(root.join(sub))?;
    }
    let busybox = capture("sh", &["-c", "command -v busybox"])?;
    fs::copy(&busybox, root.join("bin/busybox"))
        .with_context(|| format!("cannot copy {busybox}"))?;
    for applet in capture("busybox", &["--list"])?
        .lines()
        .filter(|applet| *applet != "busybox")
    {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    fs::copy(ctx.repo.join("tools/guest/init.sh"), root.join("init"))?;
    let mut modules = Vec::new();
    for file in job.modules.iter().chain(programs) {
        let Some(name) = file.file_name() else {
            bail!("{} is no file", file.display())
        };
        fs::copy(file, root.join("job").join(name))
            .with_context(|| format!("cannot copy {}", file.display()))?;
        if job.modules.contains(file) {
            modules.push(format!("/job/{}", name.to_string_lossy()));
        }
    }
    fs::write(
        root.join("job/settings"),
        job.settings(&modules.join(" "), ""),
    )?;
    fs::write(root.join("job/command"), format!("{}\n", job.command))?;
    Ok(())
}

fn pack(ctx: &Ctx, root: &Path, initrd: &Path) -> Result<()> {
    let mut step = ctx.ui.step("pack the guest's files", 0);
    let text = format!(
        "find . | cpio -o -H newc --quiet -R 0:0 | gzip -1 >{}",
        initrd.display()
    );
    Run::new("sh", "cpio", ctx.log("initrd"))
        .dir(root)
        .args(["-ec", &text])
        .check(&mut step, |_, _| {})?;
    step.done();
    Ok(())
}
