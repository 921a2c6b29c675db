// SPDX-License-Identifier: GPL-2.0

//! Getting what kernels are made from: Debian's kernel source and rust-src as
//! packages of another suite (downloaded, never installed), and bindgen.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};

use crate::cache;
use crate::ctx::{lock, Ctx};
use crate::host::explain_network;
use crate::run::{capture, Run};

const SUITE: &str = "trixie-backports";
const SOURCE: &str = "linux-source-7.3";
/// 0.73.1 gets the layout of a kernel struct wrong; this one is right.
pub const BINDGEN: &str = "0.72.1";
/// Counts up when the patches below change.
const PATCH_LEVEL: &str = "1";

/// A file that apt can download.
#[derive(Debug, PartialEq, Eq)]
struct Download {
    file: String,
    bytes: u64,
}

/// apt with lists of its own, so that the machine's stay as they are.
struct PrivateApt {
    options: Vec<String>,
    deb: PathBuf,
}

impl PrivateApt {
    /// Sets it up and updates its lists.
    fn new(ctx: &Ctx) -> Result<Self> {
        let dir = ctx.cache.join("apt");
        for sub in ["sources", "lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(sub))?;
        }
        let deb = ctx.cache.join("deb");
        fs::create_dir_all(&deb)?;
        let sources = format!(
            "Types: deb\nURIs: {}\nSuites: {SUITE}\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
            archive()?
        );
        cache::write_whole(&dir.join("sources/bus1.sources"), sources.as_bytes())?;
        let dir = dir.display();
        let mut options = Vec::new();
        for option in [
            "Dir::Etc::sourcelist=/dev/null".to_owned(),
            format!("Dir::Etc::sourceparts={dir}/sources"),
            format!("Dir::State::Lists={dir}/lists"),
            format!("Dir::Cache={dir}/cache"),
            "APT::Sandbox::User=".to_owned(),
        ] {
            options.extend(["-o".to_owned(), option]);
        }
        let apt = Self { options, deb };
        let mut step = ctx
            .ui
            .step("read the package lists of Debian's kernel backports", 0);
        let update = apt
            .get("apt-get update", ctx.log("backports-update"))
            .args(["-q", "update"]);
        explain_network(update.check(&mut step, |_, _| {}))?;
        step.done();
        Ok(apt)
    }

    fn get(&self, what: &str, log: PathBuf) -> Run {
        Run::new("apt-get", what, log).args(&self.options)
    }

    /// Downloads a package (`name` or `name=version`) and returns the file.
    fn download(&self, ctx: &Ctx, package: &str) -> Result<PathBuf> {
        let name = package.split('=').next().unwrap_or(package);
        let mut step = ctx.ui.step(&format!("look for {name}"), 0);
        let uris = self.get("apt-get download", ctx.log(&format!("find-{name}")));
        let listed = uris
            .args(["--print-uris", "download", package])
            .check(&mut step, |_, _| {})?;
        drop(step);
        let Some(wanted) = listed.lines().find_map(parse_uri) else {
            bail!("the package {package} is not in {SUITE}");
        };
        let path = self.deb.join(&wanted.file);
        if fs::metadata(&path).is_ok_and(|meta| meta.len() == wanted.bytes) {
            return Ok(path);
        }
        let mut step = ctx.ui.step(&format!("download {name}"), wanted.bytes);
        // apt checks the hash and leaves the file under its name only when it is whole.
        let run = self
            .get("apt-get download", ctx.log(&format!("download-{name}")))
            .dir(&self.deb);
        explain_network(
            run.args(["-q", "download", package])
                .check(&mut step, |_, _| {}),
        )?;
        step.done();
        Ok(path)
    }
}

/// Takes a line of `apt-get --print-uris` apart: 'URI' FILE SIZE HASH.
fn parse_uri(line: &str) -> Option<Download> {
    let rest = line.strip_prefix('\'')?.split_once("' ")?.1;
    let mut words = rest.split_whitespace();
    let encoded = words.next()?;
    Some(Download {
        file: encoded.replace("%3a", ":"),
        bytes: words.next()?.parse().ok()?,
    })
}

/// The Debian archive that this machine uses, from its own apt configuration.
fn archive() -> Result<String> {
    if let Ok(uri) = std::env::var("BUS1_DEBIAN_ARCHIVE") {
        return Ok(uri);
    }
    let targets = capture(
        "apt-get",
        &[
            "indextargets",
            "--format",
            "$(ORIGIN) $(CODENAME) $(REPO_URI)",
            "Created-By: Packages",
        ],
    )?;
    match debian_uri(&targets) {
        Some(uri) => Ok(uri.to_owned()),
        None => bail!("this machine's apt knows no Debian archive: set BUS1_DEBIAN_ARCHIVE to the address of a mirror, or pass a kernel tree of your own with --kernel"),
    }
}

/// The first archive of a plain Debian release (not of security or updates).
fn debian_uri(targets: &str) -> Option<&str> {
    targets.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (origin, codename, uri) = (words.next()?, words.next()?, words.next()?);
        (origin == "Debian" && !codename.contains('-')).then_some(uri)
    })
}

/// Unpacks a package into a folder.
fn unpack(ctx: &Ctx, deb: &Path, dir: &Path, what: &str) -> Result<()> {
    let mut step = ctx.ui.step(&format!("unpack {what}"), 0);
    let run = Run::new("dpkg-deb", "dpkg-deb", ctx.log(&format!("unpack-{what}")));
    run.arg("-x")
        .arg(deb)
        .arg(dir)
        .check(&mut step, |_, _| {})?;
    step.done();
    Ok(())
}

/// A source tree and what its content is called in keys.
pub struct Source {
    /// The folder.
    pub dir: PathBuf,
    /// Version and patches.
    pub id: String,
}

/// The kernel's source, unpacked and patched.
pub fn kernel_source(ctx: &Ctx) -> Result<Source> {
    let dir = ctx.cache.join("src").join(SOURCE);
    let _lock = lock(&ctx.cache.join("src/lock"), || {
        ctx.ui
            .say("waiting for another xtask that unpacks the kernel")
    })?;
    if let Some(id) = cache::stamp(&dir) {
        if id.ends_with(&format!(" patch {PATCH_LEVEL}")) {
            return Ok(Source { dir, id });
        }
    }
    cache::need_space(&ctx.cache, 5000, "the kernel's source with its builds")?;
    let deb = PrivateApt::new(ctx)?.download(ctx, SOURCE)?;
    let file = deb
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let parts = ctx.cache.join("src/deb");
    cache::make_folder(&parts, |new| unpack(ctx, &deb, new, SOURCE))?;
    cache::make_folder(&dir, |new| {
        let mut step = ctx.ui.step("unpack the kernel's source", 0);
        let tarball = parts.join(format!("usr/src/{SOURCE}.tar.xz"));
        let run = Run::new("tar", "tar", ctx.log("unpack-source"));
        run.arg("-xf")
            .arg(tarball)
            .args(["--strip-components=1", "-C"])
            .arg(new)
            .check(&mut step, |_, _| {})?;
        patch(new)?;
        step.done();
        Ok(())
    })?;
    cache::remove(&parts)?;
    let id = format!("{file} patch {PATCH_LEVEL}");
    cache::set_stamp(&dir, &id)?;
    Ok(Source { dir, id })
}

/// Changes that the guests need and the source does not have yet.
fn patch(source: &Path) -> Result<()> {
    let path = source.join("arch/um/kernel/dyn.lds.S");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let Some(text) = name_large_sections(&text) else {
        bail!(
            "{} is not the linker script that xtask knows: lockdep would die on UML",
            path.display()
        );
    };
    cache::write_whole(&path, text.as_bytes())
}

/// clang's large code model puts data into `.ldata` and `.lbss`. UML's linker
/// script does not name them: `.lbss` lands behind `_end`, lockdep takes every
/// static object for a foreign one and switches itself off at boot.
fn name_large_sections(script: &str) -> Option<String> {
    if script.contains(".lbss") {
        return Some(script.to_owned());
    }
    let (mut bss, mut data) = (false, false);
    let mut out = String::new();
    for line in script.lines() {
        out.push_str(line);
        out.push('\n');
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() == Some(&"*(.bss") {
            out.push_str("   *(.lbss .lbss.*)\n");
            bss = true;
        } else if words == [".data", ":", "{"] {
            out.push_str("    *(.ldata .ldata.*)\n");
            data = true;
        }
    }
    (bss && data).then_some(out)
}

/// The sources of Rust's standard library that belong to the machine's rustc.
pub fn rust_library(ctx: &Ctx) -> Result<Source> {
    let version = capture("rustc", &["-vV"])?;
    let release = version
        .lines()
        .find_map(|line| line.strip_prefix("release: "))
        .unwrap_or_default();
    let sysroot = PathBuf::from(capture("rustc", &["--print", "sysroot"])?);
    let own = sysroot.join("lib/rustlib/src/rust/library");
    if own.join("core/src/lib.rs").exists() {
        return Ok(Source {
            dir: own,
            id: format!("sysroot {release}"),
        });
    }
    let dir = ctx.cache.join(format!("rust-src-{release}"));
    let library = dir.join(format!("usr/src/rustc-{release}/library"));
    let _lock = lock(&ctx.cache.join("rust-src.lock"), || {
        ctx.ui
            .say("waiting for another xtask that unpacks rust-src")
    })?;
    if let Some(id) = cache::stamp(&dir) {
        return Ok(Source { dir: library, id });
    }
    let apt = PrivateApt::new(ctx)?;
    let mut words: Vec<&str> = apt.options.iter().map(String::as_str).collect();
    words.extend(["madison", "rust-src"]);
    let listed = capture("apt-cache", &words)?;
    let Some(found) = madison(&listed, release) else {
        bail!("there is no source of the standard library of rustc {release} here: run `rustup component add rust-src`");
    };
    let deb = apt.download(ctx, &format!("rust-src={found}"))?;
    cache::make_folder(&dir, |new| unpack(ctx, &deb, new, "rust-src"))?;
    cache::set_stamp(&dir, found)?;
    Ok(Source {
        dir: library,
        id: found.to_owned(),
    })
}

/// The version of a package for upstream release `release`, in `apt-cache madison`.
fn madison<'a>(listed: &'a str, release: &str) -> Option<&'a str> {
    let start = format!("{release}+");
    listed
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(str::trim)
        .find(|version| version.starts_with(&start))
}

/// The folder with bindgen's program; built by cargo when it is not there.
pub fn bindgen(ctx: &Ctx) -> Result<PathBuf> {
    let rustc = capture("rustc", &["-vV"])?;
    let key = cache::Key::default()
        .part("bindgen", BINDGEN)
        .part("rustc", &rustc)
        .finish();
    let dir = ctx.cache.join("tools").join(format!("bindgen-{key}"));
    let _lock = lock(&ctx.cache.join("tools/lock"), || {
        ctx.ui.say("waiting for another xtask that builds bindgen")
    })?;
    if cache::stamp(&dir).is_none() {
        cache::make_folder(&dir, |new| {
            let mut step = ctx.ui.step(&format!("build bindgen {BINDGEN}"), 66);
            let run = Run::new("cargo", "cargo install bindgen-cli", ctx.log("bindgen"))
                .args([
                    "install",
                    "--locked",
                    "bindgen-cli",
                    "--version",
                    BINDGEN,
                    "--root",
                ])
                .arg(new)
                .arg(format!("-j{}", ctx.jobs))
                .without_env("RUSTFLAGS");
            let outcome = run.check(&mut step, |step, line| {
                if line.trim_start().starts_with("Compiling") {
                    step.advance();
                }
            });
            explain_network(outcome)?;
            step.done();
            Ok(())
        })?;
        cache::set_stamp(&dir, BINDGEN)?;
    }
    Ok(dir.join("bin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_apart() {
        let line = "'http://a/pool/x_1%3a2.deb' x_1%3a2_all.deb 167 SHA256:00";
        assert_eq!(
            parse_uri(line),
            Some(Download {
                file: "x_1:2_all.deb".into(),
                bytes: 167
            })
        );
        assert_eq!(parse_uri("Get:1 x"), None);
    }

    #[test]
    fn the_plain_debian_archive_is_taken() {
        let targets = "Debian bookworm-security http://s/\nOther bookworm http://o/\nDebian bookworm http://d/\n";
        assert_eq!(debian_uri(targets), Some("http://d/"));
        assert_eq!(debian_uri("Ubuntu noble http://u/"), None);
    }

    #[test]
    fn the_matching_rust_src_is_taken() {
        let listed = " rust-src | 1.97.0+dfsg1-1 | x\n rust-src | 1.95.0+dfsg1-2~bpo13+1 | x\n";
        assert_eq!(madison(listed, "1.95.0"), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(madison(listed, "1.9"), None);
    }

    #[test]
    fn the_linker_script_is_changed_once() {
        let script = "  .data : {\n    x\n  }\n  .bss : {\n   *(.bss .bss.*)\n  }\n";
        let fixed = name_large_sections(script).unwrap();
        assert!(fixed.contains("*(.bss .bss.*)\n   *(.lbss .lbss.*)\n"));
        assert!(fixed.contains(".data : {\n    *(.ldata .ldata.*)\n"));
        assert_eq!(name_large_sections(&fixed).unwrap(), fixed);
        assert_eq!(name_large_sections("nothing like it"), None);
    }
}
