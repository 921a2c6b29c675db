// SPDX-License-Identifier: GPL-2.0

//! The guests' kernels: configured from the fragments in `tools/kernel`, built
//! once for each key, kept outside the checkout.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};

use crate::cache::{self, Key};
use crate::config::{self, Config};
use crate::ctx::{lock, Ctx};
use crate::fetch::{self, Source};
use crate::host::LLVM;
use crate::run::{capture, Run};
use crate::ui::Step;

/// Which kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// User Mode Linux, two CPUs, lockdep: the default guest.
    Uml,
    /// The same with KASAN, kmemleak and fault injection.
    Kasan,
    /// Small x86_64 for QEMU: instruction counts.
    X86,
}

impl Variant {
    /// Its name in paths and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uml => "uml",
            Self::Kasan => "kasan",
            Self::X86 => "x86",
        }
    }

    fn arch(self) -> &'static str {
        match self {
            Self::Uml | Self::Kasan => "um",
            Self::X86 => "x86",
        }
    }

    fn fragments(self) -> &'static [&'static str] {
        match self {
            Self::Uml => &["common", "lockdep", "um"],
            Self::Kasan => &["common", "lockdep", "um", "debug"],
            Self::X86 => &["common", "x86"],
        }
    }

    /// Lines that make prints for a whole build, for the progress bar.
    fn steps(self) -> u64 {
        match self {
            Self::Uml => 1320,
            Self::Kasan => 1350,
            Self::X86 => 1500,
        }
    }
}

/// A built kernel tree, with all that building a module for it takes.
pub struct Tree {
    /// The build folder: `KDIR` of module builds.
    pub dir: PathBuf,
    /// The source of the tree: scripts are run from it.
    pub source: PathBuf,
    /// `ARCH` on make's command line.
    pub arch: String,
    /// Names it in our own build folder: changes when the tree does.
    pub id: String,
    /// Its `.config`.
    pub config: Config,
    env: Vec<(String, String)>,
    make: Vec<String>,
}

impl Tree {
    /// True if the tree has this symbol built in or as a module.
    pub fn has(&self, symbol: &str) -> bool {
        self.config
            .get(symbol)
            .is_some_and(|value| value == "y" || value == "m")
    }

    /// The C driver of the tree, as a module.
    pub fn stock_driver(&self) -> Result<PathBuf> {
        let path = self.dir.join("drivers/android/binder_linux.ko");
        if !path.exists() {
            bail!(
                "{} has no C binder driver as a module: set CONFIG_ANDROID_BINDER_IPC=m there",
                self.dir.display()
            );
        }
        Ok(path)
    }

    /// A make of this tree, with the right compilers.
    pub fn make(&self, ctx: &Ctx, what: &str, log: PathBuf) -> Run {
        let run = Run::new("make", what, log)
            .arg(format!("-j{}", ctx.jobs))
            .arg(format!("ARCH={}", self.arch))
            .args(&self.make)
            .without_env("RUSTFLAGS")
            .without_env("CARGO_ENCODED_RUSTFLAGS")
            .without_env("MAKEFLAGS");
        self.tools(run)
    }

    /// The run with the tree's own tools: bindgen, libclang, the Rust library.
    pub fn tools(&self, mut run: Run) -> Run {
        for (name, value) in &self.env {
            run = run.env(name, value);
        }
        run
    }
}

/// The tree of this variant, built if it is not in the cache. With `--kernel`,
/// the user's tree, if it is of the right kind.
pub fn tree(ctx: &Ctx, variant: Variant) -> Result<Tree> {
    if let Some(dir) = &ctx.kernel {
        return users_tree(ctx, dir, variant);
    }
    let rust = fetch::rust_library(ctx)?;
    let bindgen = fetch::bindgen(ctx)?;
    let source = fetch::kernel_source(ctx)?;
    let wanted = wanted(ctx, variant, "")?;
    let key = key(ctx, variant, &wanted, &source, &rust)?;
    let dir = ctx
        .cache
        .join("build")
        .join(format!("{}-{key}", variant.name()));
    let mut tree = Tree {
        source: source.dir.clone(),
        arch: variant.arch().to_owned(),
        id: format!("{}-{key}", variant.name()),
        config: Config::new(),
        env: environment(ctx, &rust.dir, &bindgen)?,
        make: vec![format!("LLVM=-{LLVM}")],
        dir,
    };
    build(ctx, variant, &wanted, &mut tree)?;
    Ok(tree)
}

/// What the configuration of a variant must say, with `more` lines.
pub fn wanted(ctx: &Ctx, variant: Variant, more: &str) -> Result<Config> {
    let mut texts = Vec::new();
    for name in variant.fragments() {
        let path = ctx.repo.join("tools/kernel").join(format!("{name}.config"));
        texts.push(
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?,
        );
    }
    config::merge(texts.iter().map(String::as_str).chain([more]))
}

fn key(
    ctx: &Ctx,
    variant: Variant,
    wanted: &Config,
    source: &Source,
    rust: &Source,
) -> Result<String> {
    let clang = capture(&format!("clang-{LLVM}"), &["--version"])?;
    Ok(Key::default()
        .part("arch", variant.arch())
        .part("config", &config::render(wanted))
        .part("source", &source.id)
        .part("source folder", &source.dir.to_string_lossy())
        .part("cache folder", &ctx.cache.to_string_lossy())
        .part("rustc", &capture("rustc", &["-vV"])?)
        .part("rust-src", &rust.id)
        .part("clang", clang.lines().next().unwrap_or_default())
        .finish())
}

/// A copy of the kernel's source that may be changed, and an output folder for it
/// that is configured for gcc by [`configure`]; nothing of it is built.
pub fn copy_for_gcc(ctx: &Ctx) -> Result<Tree> {
    let rust = fetch::rust_library(ctx)?;
    let bindgen = fetch::bindgen(ctx)?;
    let original = fetch::kernel_source(ctx)?;
    let key = Key::default()
        .part("source", &original.id)
        .part("source folder", &original.dir.to_string_lossy())
        .part("rustc", &capture("rustc", &["-vV"])?)
        .part("rust-src", &rust.id)
        .part("gcc", &capture("gcc", &["-dumpfullversion"])?)
        .finish();
    let id = format!("gcc-{key}");
    let builds = ctx.cache.join("build");
    let dir = builds.join(&id);
    let _lock = lock(&builds.join(format!("{id}.lock")), || {
        ctx.ui
            .say("waiting for another xtask that copies the kernel")
    })?;
    if cache::stamp(&dir).is_none() {
        cache::need_space(&ctx.cache, 500, "a copy of the kernel's source")?;
        let mut step = ctx.ui.step("copy the kernel's source", 0);
        cache::make_folder(&dir, |new| {
            fs::create_dir(new.join("out"))?;
            // Links: what changes a file there replaces it.
            Run::new("cp", "copying the kernel's source", ctx.log("copy-source"))
                .arg("-al")
                .args([&original.dir, &new.join("source")])
                .check(&mut step, |_, _| {})?;
            Ok(())
        })?;
        step.done();
        cache::set_stamp(&dir, &id)?;
        cache::prune(&builds, "gcc", 1)?;
    }
    Ok(Tree {
        source: dir.join("source"),
        dir: dir.join("out"),
        arch: Variant::Uml.arch().to_owned(),
        id,
        config: Config::new(),
        env: environment(ctx, &rust.dir, &bindgen)?,
        make: Vec::new(),
    })
}

/// What every make of a kernel or module needs in its environment.
fn environment(ctx: &Ctx, rust: &Path, bindgen: &Path) -> Result<Vec<(String, String)>> {
    let path = std::env::var("PATH").unwrap_or_default();
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Ok([
        ("RUST_LIB_SRC", text(rust)),
        ("LIBCLANG_PATH", format!("/usr/lib/llvm-{LLVM}/lib")),
        ("PATH", format!("{}:{path}", bindgen.display())),
        // The same input gives the same version string.
        (
            "KBUILD_BUILD_TIMESTAMP",
            "Thu Jan  1 00:00:00 UTC 2026".to_owned(),
        ),
        ("KBUILD_BUILD_USER", "bus1".to_owned()),
        ("KBUILD_BUILD_HOST", "bus1".to_owned()),
        ("CCACHE_DIR", text(&ctx.cache.join("ccache"))),
        ("CCACHE_BASEDIR", text(&ctx.cache)),
        ("CCACHE_NOHASHDIR", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec())
}

/// Builds the tree unless it is stamped. A build that was interrupted goes on
/// where it stopped; if that fails it is made from nothing once.
fn build(ctx: &Ctx, variant: Variant, wanted: &Config, tree: &mut Tree) -> Result<()> {
    let waiting = format!("waiting for another xtask that builds {}", tree.id);
    let builds = ctx.cache.join("build");
    let _lock = lock(&builds.join(format!("{}.lock", tree.id)), || {
        ctx.ui.say(&waiting)
    })?;
    // bindgen's version is not in the key: another one continues the same tree.
    let stamp = format!("{} bindgen {}", tree.id, fetch::BINDGEN);
    if cache::stamp(&tree.dir).as_ref() != Some(&stamp) {
        cache::need_space(&ctx.cache, 1500, "a kernel build")?;
        let resumed = tree.dir.exists();
        let mut outcome = build_once(ctx, variant, wanted, tree);
        if resumed && outcome.is_err() {
            cache::remove(&tree.dir)?;
            outcome = build_once(ctx, variant, wanted, tree);
        }
        outcome?;
        cache::set_stamp(&tree.dir, &stamp)?;
        cache::prune(&builds, variant.name(), 2)?;
    }
    tree.config = read_config(&tree.dir)?;
    Ok(())
}

fn read_config(dir: &Path) -> Result<Config> {
    let path = dir.join(".config");
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "{} is no built kernel tree: it has no .config",
            dir.display()
        )
    })?;
    config::parse(&text)
}

fn build_once(ctx: &Ctx, variant: Variant, wanted: &Config, tree: &Tree) -> Result<()> {
    let name = variant.name();
    configure(ctx, name, wanted, tree)?;
    let output = format!("O={}", tree.dir.display());
    let mut step = ctx
        .ui
        .step(&format!("build the {name} kernel"), variant.steps());
    tree.make(ctx, "the kernel build", ctx.log(&format!("kernel-{name}")))
        .dir(&tree.source)
        .args([&output, &format!("CC=ccache clang-{LLVM}")])
        .check(&mut step, count_objects)?;
    step.done();
    Ok(())
}

/// Configures a tree, and makes sure that it has become what is wanted.
pub fn configure(ctx: &Ctx, name: &str, wanted: &Config, tree: &Tree) -> Result<()> {
    fs::create_dir_all(&tree.dir)?;
    let fragment = tree.dir.join("bus1.config");
    cache::write_whole(&fragment, config::render(wanted).as_bytes())?;
    let output = format!("O={}", tree.dir.display());

    let mut step = ctx.ui.step(&format!("configure the {name} kernel"), 0);
    tree.make(
        ctx,
        "configuring the kernel",
        ctx.log(&format!("config-{name}")),
    )
    .dir(&tree.source)
    .args([&output, "allnoconfig"])
    .env("KCONFIG_ALLCONFIG", &fragment)
    .check(&mut step, |_, _| {})?;
    let lost = config::lost(wanted, &read_config(&tree.dir)?);
    if !lost.is_empty() {
        bail!(
            "the kernel's configuration did not take: {}",
            lost.join(", ")
        );
    }
    step.done();
    Ok(())
}

/// Kbuild prints two blanks and a word in capitals for each thing that it makes.
pub fn count_objects(step: &mut Step, line: &str) {
    let word = line
        .strip_prefix("  ")
        .and_then(|rest| rest.split_whitespace().next());
    if word.is_some_and(|word| {
        word.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    }) {
        step.advance();
    }
}

/// `--kernel`: a tree that the user configured and built.
fn users_tree(ctx: &Ctx, dir: &Path, variant: Variant) -> Result<Tree> {
    let config = read_config(dir)?;
    let found = if config.contains_key("CONFIG_UML") {
        "um"
    } else {
        "x86"
    };
    if found != variant.arch() {
        bail!(
            "--kernel: {} was built for ARCH={found}, this needs ARCH={} (tests boot UML, bench boots x86)",
            dir.display(),
            variant.arch()
        );
    }
    if config.get("CONFIG_RUST").is_none_or(|value| value != "y") {
        bail!(
            "--kernel: {} was built without CONFIG_RUST=y",
            dir.display()
        );
    }
    let source = dir.join("source");
    let source = if source.exists() {
        source.canonicalize()?
    } else {
        dir.to_owned()
    };
    let rust = fetch::rust_library(ctx)?;
    let bindgen = fetch::bindgen(ctx)?;
    let id = Key::default()
        .part("folder", &dir.to_string_lossy())
        .part("config", &config::render(&config))
        .finish();
    Ok(Tree {
        dir: dir.to_owned(),
        source,
        arch: found.to_owned(),
        id: format!("user-{id}"),
        make: compiler(&config),
        env: environment(ctx, &rust.dir, &bindgen)?,
        config,
    })
}

/// make's arguments for the compiler that a tree was configured with: another
/// one would be taken without a word.
fn compiler(config: &Config) -> Vec<String> {
    let version = config
        .get("CONFIG_CLANG_VERSION")
        .and_then(|text| text.parse::<u32>().ok())
        .unwrap_or(0);
    match version / 10000 {
        0 => Vec::new(),
        major => vec![format!("LLVM=-{major}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Ui;

    #[test]
    fn the_compiler_follows_the_tree() {
        let clang = config::parse("CONFIG_CLANG_VERSION=190107\n").unwrap();
        assert_eq!(compiler(&clang), ["LLVM=-19"]);
        let gcc = config::parse("CONFIG_CLANG_VERSION=0\n").unwrap();
        assert!(compiler(&gcc).is_empty());
    }

    #[test]
    fn progress_counts_what_kbuild_makes() {
        let mut step = Ui::new().step("test", 10);
        for line in [
            "  CC      a.o",
            "  RUSTC L rust/core.o",
            "make: x",
            "    note",
            "  AS_X y",
        ] {
            count_objects(&mut step, line);
        }
        assert_eq!(step.position(), 3);
    }

    #[test]
    fn fragments_of_every_variant_merge() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernel");
        for variant in [Variant::Uml, Variant::Kasan, Variant::X86] {
            let texts: Vec<String> = variant
                .fragments()
                .iter()
                .map(|name| fs::read_to_string(folder.join(format!("{name}.config"))).unwrap())
                .collect();
            let merged = config::merge(texts.iter().map(String::as_str)).unwrap();
            assert_eq!(merged["CONFIG_ANDROID_BINDER_IPC"], "m");
            assert_eq!(merged["CONFIG_IO_URING"] == "y", variant != Variant::X86);
        }
    }
}
