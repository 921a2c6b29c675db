// SPDX-License-Identifier: GPL-2.0

//! What every command needs to know: where things lie and how to talk.

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};

use crate::ui::Ui;

/// The settings of one call of xtask.
pub struct Ctx {
    /// The checkout.
    pub repo: PathBuf,
    /// What is made for this checkout: logs, modules, jobs.
    pub out: PathBuf,
    /// What is kept for all checkouts: sources, tools, kernels.
    pub cache: PathBuf,
    /// `--kernel`: a built tree of the user's own.
    pub kernel: Option<PathBuf>,
    /// How many compile jobs at once.
    pub jobs: usize,
    /// How progress is shown.
    pub ui: Ui,
}

impl Ctx {
    /// Finds the folders; `kernel` is checked to exist.
    pub fn new(kernel: Option<PathBuf>) -> Result<Self> {
        let repo = repo()?;
        let out = folder(
            std::env::var_os("BUS1_OUT").map(PathBuf::from),
            repo.join("build/xtask"),
        )?;
        let cache = folder(
            std::env::var_os("BUS1_CACHE").map(PathBuf::from),
            default_cache()?,
        )?;
        let kernel = match kernel {
            Some(path) => Some(path.canonicalize().with_context(|| {
                format!("--kernel {}: there is no such folder", path.display())
            })?),
            None => None,
        };
        let jobs = match std::env::var("BUS1_JOBS") {
            Ok(text) => match text.parse() {
                Ok(jobs) if jobs > 0 => jobs,
                _ => bail!("BUS1_JOBS must be a number of compile jobs, not `{text}`"),
            },
            Err(_) => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        };
        Ok(Self {
            repo,
            out,
            cache,
            kernel,
            jobs,
            ui: Ui::new(),
        })
    }

    /// The log file of a step.
    pub fn log(&self, name: &str) -> PathBuf {
        self.out.join("log").join(format!("{name}.log"))
    }
}

fn repo() -> Result<PathBuf> {
    let crate_dir = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let repo = crate_dir.join("../..");
    let repo = repo
        .canonicalize()
        .with_context(|| format!("no checkout at {}", repo.display()))?;
    if repo.to_string_lossy().contains(char::is_whitespace) {
        bail!(
            "kernel builds break on blanks in paths: move the checkout {}",
            repo.display()
        );
    }
    Ok(repo)
}

fn default_cache() -> Result<PathBuf> {
    if let Some(base) = std::env::var_os("XDG_CACHE_HOME").filter(|base| !base.is_empty()) {
        return Ok(PathBuf::from(base).join("bus1"));
    }
    match std::env::var_os("HOME") {
        Some(home) => Ok(PathBuf::from(home).join(".cache/bus1")),
        None => {
            bail!("neither HOME nor BUS1_CACHE is set: say with BUS1_CACHE where to keep kernels")
        }
    }
}

/// Makes the folder and returns its absolute path.
fn folder(wanted: Option<PathBuf>, default: PathBuf) -> Result<PathBuf> {
    let path = wanted.unwrap_or(default);
    fs::create_dir_all(&path)
        .with_context(|| format!("cannot make the folder {}", path.display()))?;
    Ok(path.canonicalize()?)
}

/// Holds a lock file for as long as the returned value lives, so that two xtasks
/// never make the same thing. `wait` is called before waiting for another one.
pub fn lock(path: &Path, wait: impl FnOnce()) -> Result<File> {
    use rustix::fs::{flock, FlockOperation};
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        wait();
        flock(&file, FlockOperation::LockExclusive)?;
    }
    Ok(file)
}
