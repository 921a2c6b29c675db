// SPDX-License-Identifier: GPL-2.0

//! Building the module of this checkout for a kernel tree, out of tree, each
//! flavour in a folder of its own.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::ctx::Ctx;
use crate::kernel::{count_objects, Tree};

/// A way to build the module.
pub struct Flavour {
    /// Names its folder.
    pub name: &'static str,
    /// Arguments of make.
    pub args: &'static [&'static str],
}

/// Everything on, with the KUnit module and the rules that tests compare with:
/// what the guests load.
pub const FULL: Flavour = Flavour {
    name: "full",
    args: &["CONFIG_BUS1_KUNIT_TEST=m", "CONFIG_BUS1_TEST_RULES=y"],
};
/// FULL through clippy: another folder, as clippy may change what is generated.
pub const CLIPPY: Flavour = Flavour {
    name: "clippy",
    args: &[
        "CONFIG_BUS1_KUNIT_TEST=m",
        "CONFIG_BUS1_TEST_RULES=y",
        "CLIPPY=1",
    ],
};
/// As users build it: what is measured.
pub const PLAIN: Flavour = Flavour {
    name: "plain",
    args: &[],
};
/// PLAIN, and nobody pays for anything: what accounting costs is the difference.
pub const UNCHARGED: Flavour = Flavour {
    name: "uncharged",
    args: &["BUS1_UNCHARGED=y"],
};
/// Without the native personality.
pub const NO_NATIVE: Flavour = Flavour {
    name: "no-native",
    args: &["CONFIG_BUS1_NATIVE=n"],
};
/// Without the Binder personality.
pub const NO_BINDER: Flavour = Flavour {
    name: "no-binder",
    args: &["CONFIG_BUS1_BINDER=n"],
};

/// A built module folder.
pub struct Built {
    /// Where the `.ko` files are.
    pub dir: PathBuf,
    /// What make printed.
    pub log: String,
}

/// Builds a flavour. `fresh` starts from nothing, so that the log holds every
/// warning.
pub fn build(ctx: &Ctx, tree: &Tree, flavour: &Flavour, fresh: bool) -> Result<Built> {
    let dir = ctx
        .out
        .join("module")
        .join(format!("{}-{}", tree.id, flavour.name));
    if fresh && dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    let what = format!("build the module ({}, {})", tree.id, flavour.name);
    let mut step = ctx.ui.step(&what, 0);
    let log = tree
        .make(
            ctx,
            "the module build",
            ctx.log(&format!("module-{}-{}", tree.id, flavour.name)),
        )
        .arg("-C")
        .arg(&ctx.repo)
        .arg(format!("KDIR={}", tree.dir.display()))
        .arg(format!("KBUILD_EXTMOD_OUTPUT={}", dir.display()))
        .args(flavour.args)
        .arg("modules")
        .check(&mut step, count_objects)?;
    step.done();
    Ok(Built { dir, log })
}

/// The shell command that documents a crate, from the command with which Kbuild
/// compiled it (`savedcmd_x.o := ... rustc ...`): Kbuild has no such target for
/// modules. `None` if it is no such command.
pub fn rustdoc_command(saved: &str, into: &str) -> Option<String> {
    let command = saved.lines().next()?.split_once(" := ")?.1;
    let (before, after) = command.split_once(" rustc ")?;
    let mut words = Vec::new();
    let mut rest = after.split_whitespace();
    while let Some(word) = rest.next() {
        match word {
            "--out-dir" => drop(rest.next()),
            // Of no use to rustdoc, which refuses some of them.
            _ if word.starts_with("--emit=") || word.starts_with("--remap-path") => {}
            _ => words.push(word),
        }
    }
    Some(format!(
        "{before} rustdoc {} --document-private-items -Dwarnings --out-dir {into}",
        words.join(" ")
    ))
}

/// The warnings of a build log. Those that every C file of a UML kernel gives
/// because of one header of the kernel are left out.
pub fn warnings(log: &str) -> Vec<String> {
    log.lines()
        .filter(|line| {
            let rust = line.starts_with("warning:") || line.starts_with("warning[");
            let c = line.contains(": warning: ") && !line.contains("include/asm-generic/io.h");
            let kbuild = line.starts_with("WARNING:") || line.contains("modpost: warning");
            rust || c || kbuild
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_of_all_tools_are_seen() {
        let log = "warning: unused import\n  --> a.rs\nx.c:1:2: warning: odd [-Wx]\nWARNING: modpost: no\n";
        assert_eq!(warnings(log).len(), 3);
    }

    #[test]
    fn a_crate_is_documented_as_it_was_compiled() {
        let saved = "savedcmd_lib.o := A=b rustc --edition=2021 --remap-path-scope=macro --cfg X --out-dir ./ --emit=obj=lib.o /x/lib.rs\n\nmore";
        assert_eq!(
            rustdoc_command(saved, "doc").as_deref(),
            Some("A=b rustdoc --edition=2021 --cfg X /x/lib.rs --document-private-items -Dwarnings --out-dir doc")
        );
        assert_eq!(rustdoc_command("savedcmd_a.o := clang a.c", "doc"), None);
    }

    #[test]
    fn the_noise_of_uml_is_none() {
        let log = "./include/asm-generic/io.h:5:1: warning: null pointer\n13 warnings generated.\n  CC a.o\n";
        assert!(warnings(log).is_empty());
    }
}
