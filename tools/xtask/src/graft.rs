// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask graft TREE`: bus1 inside a kernel's source tree, at
//! `drivers/bus1`, with the lines in Kconfig and Makefile that bring it into the
//! build. Doing it twice changes nothing; `--undo` takes all of it out.

use std::fs;
use std::path::Path;

use anyhow::{bail, Context, Result};

use crate::cache;
use crate::ctx::Ctx;
use crate::run::capture;

const KCONFIG_LINE: &str = "source \"drivers/bus1/Kconfig\"";
const MAKEFILE_LINE: &str = "obj-$(CONFIG_BUS1)\t\t+= bus1/";
const UAPI: &str = "include/uapi/linux/bus1.h";

/// What belongs to the module, out of all that git knows.
fn belongs(file: &str) -> bool {
    let dirs = [
        "core/",
        "shim/",
        "uapi-bus1/",
        "uapi-binder/",
        "tests-kunit/",
        "include/",
    ];
    matches!(file, "Kbuild" | "Kconfig" | "lib.rs") || dirs.iter().any(|dir| file.starts_with(dir))
}

/// Grafts, or takes out, and says so.
pub fn run(ctx: &Ctx, tree: &Path, undo: bool) -> Result<bool> {
    graft(ctx, tree, undo)?;
    ctx.ui.say(&if undo {
        format!("bus1 is out of {}", tree.display())
    } else {
        let target = tree.join("drivers/bus1");
        format!(
            "bus1 is in {}: switch on CONFIG_BUS1 there",
            target.display()
        )
    });
    Ok(true)
}

/// Grafts, or takes out.
pub fn graft(ctx: &Ctx, tree: &Path, undo: bool) -> Result<()> {
    let drivers = tree.join("drivers");
    let (kconfig, makefile) = (drivers.join("Kconfig"), drivers.join("Makefile"));
    if !kconfig.exists() || !makefile.exists() || !tree.join("rust/kernel").exists() {
        bail!(
            "{} is no kernel source tree with Rust: give the folder that holds drivers/ and rust/",
            tree.display()
        );
    }
    let target = drivers.join("bus1");
    if target.exists() {
        fs::remove_dir_all(&target)
            .with_context(|| format!("cannot remove {}", target.display()))?;
    }
    edit(&kconfig, |text| {
        Some(if undo {
            without(text, KCONFIG_LINE)
        } else {
            with_source(text)?
        })
    })?;
    edit(&makefile, |text| {
        Some(if undo {
            without(text, MAKEFILE_LINE)
        } else {
            with_object(text)
        })
    })?;
    if undo {
        return Ok(());
    }
    let repo = ctx.repo.to_string_lossy();
    for file in capture("git", &["-C", &repo, "ls-files"])?
        .lines()
        .filter(|file| belongs(file))
    {
        let (from, to) = (ctx.repo.join(file), target.join(file));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        if from.exists() {
            fs::copy(&from, &to).with_context(|| format!("cannot copy {file}"))?;
        }
    }
    if !target.join(UAPI).exists() {
        bail!(
            "the checkout {} is not complete: {UAPI} is missing",
            ctx.repo.display()
        );
    }
    Ok(())
}

fn edit(path: &Path, change: impl FnOnce(&str) -> Option<String>) -> Result<()> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let Some(new) = change(&text) else {
        bail!("{} has no `endmenu` to put bus1 before", path.display());
    };
    if new != text {
        cache::write_whole(path, new.as_bytes())?;
    }
    Ok(())
}

/// The Kconfig with our line before the last `endmenu`, set off as its neighbours.
fn with_source(text: &str) -> Option<String> {
    if text.lines().any(|line| line == KCONFIG_LINE) {
        return Some(text.to_owned());
    }
    let at = text.rfind("\nendmenu")? + 1;
    Some(format!("{}{KCONFIG_LINE}\n\n{}", &text[..at], &text[at..]))
}

fn with_object(text: &str) -> String {
    if text.lines().any(|line| line == MAKEFILE_LINE) {
        return text.to_owned();
    }
    let end = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    format!("{text}{end}{MAKEFILE_LINE}\n")
}

/// The text without our line, and without the empty line that came with it.
fn without(text: &str, ours: &str) -> String {
    let set_off = format!("{ours}\n\nendmenu");
    if text.contains(&set_off) {
        return text.replace(&set_off, "endmenu");
    }
    text.replace(&format!("{ours}\n"), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KCONFIG: &str = "menu \"Device Drivers\"\n\nsource \"drivers/a/Kconfig\"\n\nendmenu\n";

    #[test]
    fn grafting_twice_is_grafting_once_and_undo_restores() {
        let once = with_source(KCONFIG).unwrap();
        assert!(once.contains("source \"drivers/bus1/Kconfig\"\n\nendmenu\n"));
        assert_eq!(with_source(&once).unwrap(), once);
        assert_eq!(without(&once, KCONFIG_LINE), KCONFIG);
        let makefile = "obj-y += a/\n";
        let once = with_object(makefile);
        assert_eq!(with_object(&once), once);
        assert_eq!(without(&once, MAKEFILE_LINE), makefile);
    }

    #[test]
    fn a_kconfig_without_a_menu_is_refused() {
        assert_eq!(with_source("config X\n"), None);
    }

    #[test]
    fn only_the_module_is_grafted() {
        assert!(
            belongs("core/mod.rs") && belongs("Kbuild") && belongs("include/uapi/linux/bus1.h")
        );
        assert!(
            !belongs("tools/xtask/src/main.rs")
                && !belongs("Makefile")
                && !belongs("tests-host/src/lib.rs")
        );
    }
}
