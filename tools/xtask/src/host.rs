// SPDX-License-Identifier: GPL-2.0

//! The machine we run on: what it must be, and the Debian packages it must have.

use std::process::Command;

use anyhow::{bail, Result};

use crate::ctx::Ctx;
use crate::run::{capture, Run};

/// The LLVM that builds kernels: one that Debian 12, Debian 13 and Ubuntu 24.04 all
/// have.
pub const LLVM: &str = "19";

/// What a suite needs of the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Build kernels and modules.
    Build,
    /// Run UML guests.
    Guest,
    /// Run QEMU guests.
    Qemu,
}

fn packages(need: Need) -> &'static [&'static str] {
    match need {
        Need::Build => &[
            "bc",
            "bison",
            "ccache",
            "clang-19",
            "cpio",
            "debian-archive-keyring",
            "flex",
            "gcc",
            "kmod",
            "libc6-dev",
            "libclang1-19",
            "libelf-dev",
            "libssl-dev",
            "lld-19",
            "llvm-19",
            "make",
            "perl",
            "python3",
            "rsync",
            "xz-utils",
        ],
        Need::Guest => &["busybox-static", "kmod"],
        Need::Qemu => &["busybox-static", "cpio", "qemu-system-x86"],
    }
}

/// Ends with one sentence unless this is a machine that we know how to use.
pub fn check() -> Result<()> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    if (os, arch) != ("linux", "x86_64") {
        bail!("the guests need 64-bit x86 Linux, this is {arch} {os}: use such a machine, or a virtual one");
    }
    if Command::new("dpkg-query")
        .arg("--version")
        .output()
        .is_err()
    {
        bail!(
            "this is no Debian or Ubuntu: use one of them, or a container of it (debian:12 works)"
        );
    }
    Ok(())
}

/// Installs the packages that `needs` still lack, with sudo unless we are root.
pub fn ensure(ctx: &Ctx, needs: &[Need]) -> Result<()> {
    check()?;
    let mut wanted: Vec<&str> = needs
        .iter()
        .flat_map(|&need| packages(need))
        .copied()
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    ensure_packages(ctx, &wanted)
}

/// Installs these packages if they are missing.
pub fn ensure_packages(ctx: &Ctx, wanted: &[&str]) -> Result<()> {
    let missing: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|package| !is_installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let mut sudo = Vec::new();
    if !rustix::process::geteuid().is_root() {
        if Command::new("sudo").arg("-V").output().is_err() {
            bail!("these packages are missing and there is no sudo: ask the administrator to run `apt-get install {list}`");
        }
        sudo.push("sudo");
    }
    let mut step = ctx.ui.step(&format!("install {list}"), 0);
    for (name, args) in [
        ("apt-update", vec!["update", "-q"]),
        (
            "apt-install",
            [
                vec!["install", "-y", "-q", "--no-install-recommends"],
                missing,
            ]
            .concat(),
        ),
    ] {
        let mut words = sudo.clone();
        words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        words.extend(args);
        let run = Run::new(words[0], "apt-get", ctx.log(name)).args(&words[1..]);
        explain_network(run.check(&mut step, |_, _| {}))?;
    }
    step.done();
    Ok(())
}

/// Whether this machine's archive has such a package, as far as its lists say.
pub fn has_archive_package(package: &str) -> bool {
    let policy = capture("apt-cache", &["policy", package]);
    policy.is_ok_and(|text| has_candidate(&text))
}

fn has_candidate(policy: &str) -> bool {
    policy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Candidate: "))
        .any(|version| version != "(none)")
}

fn is_installed(package: &str) -> bool {
    let state = capture("dpkg-query", &["-W", "-f", "${db:Status-Status}", package]);
    state.is_ok_and(|state| state.split_whitespace().any(|word| word == "installed"))
}

/// Turns apt's and cargo's ways of saying "no network" into one sentence.
pub fn explain_network<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|err| {
        let text = err.to_string();
        if is_network_trouble(&text) {
            anyhow::anyhow!("a package archive cannot be reached: connect this machine to the network (or fix the proxy settings of apt and cargo) and run the command again")
        } else if text.contains("Unable to locate package") {
            anyhow::anyhow!("a package is not in this machine's archive: use Debian 12, Debian 13 or Ubuntu 24.04 ({})", text.lines().last().unwrap_or_default())
        } else {
            err
        }
    })
}

fn is_network_trouble(text: &str) -> bool {
    const SIGNS: &[&str] = &[
        "Temporary failure resolving",
        "Could not resolve",
        "Couldn't resolve",
        "Could not connect",
        "Network is unreachable",
        "Unable to connect",
        "Failed to fetch",
        "network failure",
        "failed to download",
    ];
    SIGNS.iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_network_is_one_sentence() {
        let outcome: Result<()> = Err(anyhow::anyhow!(
            "apt-get failed:\nErr:1 Temporary failure resolving 'x'\nE: bad"
        ));
        let text = explain_network(outcome).unwrap_err().to_string();
        assert!(text.contains("network") && !text.contains('\n'));
    }

    #[test]
    fn a_package_without_a_candidate_is_not_there() {
        assert!(has_candidate(
            "spin:\n  Installed: (none)\n  Candidate: 6.5\n"
        ));
        assert!(!has_candidate("spin:\n  Candidate: (none)\n"));
        assert!(!has_candidate(""));
    }

    #[test]
    fn other_trouble_stays_as_it_is() {
        let outcome: Result<()> = Err(anyhow::anyhow!("dpkg was interrupted"));
        assert_eq!(
            explain_network(outcome).unwrap_err().to_string(),
            "dpkg was interrupted"
        );
    }
}
