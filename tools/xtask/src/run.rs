// SPDX-License-Identifier: GPL-2.0

//! Running a program as a step: its output goes to a log file of its own, and
//! what is shown of it is progress; if it fails, the end of the log is shown.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

use crate::ui::Step;

/// How often a running program and its log are looked at.
const POLL: Duration = Duration::from_millis(50);
/// So much of a log is shown when the program failed.
const SHOWN_LINES: usize = 20;

/// A program to run, with its log.
pub struct Run {
    command: Command,
    what: String,
    log: PathBuf,
    followed: Option<PathBuf>,
    limit: Option<Duration>,
}

/// How a program ended.
pub struct Ended {
    /// Its exit status; `None` if it ran into the time limit and was killed.
    pub status: Option<ExitStatus>,
    /// All that it printed, both streams in order.
    pub output: String,
}

impl Ended {
    /// True if it ended by itself, with status 0.
    pub fn good(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

impl Run {
    /// `what` names the step in errors; `log` is made anew, with its folder.
    pub fn new(program: impl AsRef<OsStr>, what: &str, log: PathBuf) -> Self {
        Self {
            command: Command::new(program),
            what: what.to_owned(),
            log,
            followed: None,
            limit: None,
        }
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// More arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// The folder to run in.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes a variable out of the environment.
    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Kills the program after this time.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Follows this file, which must be there, instead of the log.
    pub fn follow(mut self, path: &Path) -> Self {
        self.followed = Some(path.to_owned());
        self
    }

    /// Runs it and returns how it ended, good or bad. `line` sees each line of
    /// output as it comes.
    pub fn collect(
        mut self,
        step: &mut Step,
        mut line: impl FnMut(&mut Step, &str),
    ) -> Result<Ended> {
        if let Some(parent) = self.log.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        let log = File::create(&self.log)
            .with_context(|| format!("cannot write the log {}", self.log.display()))?;
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| {
                format!(
                    "cannot start {}",
                    self.command.get_program().to_string_lossy()
                )
            })?;
        let mut tail = Tail::new(self.followed.as_ref().unwrap_or(&self.log))?;
        let status = wait(&mut child, self.limit, || {
            step.tick();
            for text in tail.lines()? {
                line(step, &text);
            }
            Ok(())
        })?;
        Ok(Ended {
            status,
            output: read_lossy(&self.log)?,
        })
    }

    /// Runs it; anything but success is an error that names the log.
    pub fn check(self, step: &mut Step, line: impl FnMut(&mut Step, &str)) -> Result<String> {
        let (what, log) = (self.what.clone(), self.log.clone());
        let ended = self.collect(step, line)?;
        if !ended.good() {
            bail!(
                "{what} failed; the whole log is {}, it says:\n{}",
                log.display(),
                telling_lines(&ended.output)
            );
        }
        Ok(ended.output)
    }
}

/// Waits for `child`, calling `busy` all the while; kills it at the limit or
/// when `busy` fails.
fn wait(
    child: &mut Child,
    limit: Option<Duration>,
    mut busy: impl FnMut() -> Result<()>,
) -> Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        let ended = child.try_wait()?;
        let went_on = busy();
        if ended.is_some() {
            return went_on.map(|()| ended);
        }
        let late = limit.is_some_and(|limit| started.elapsed() > limit);
        if late || went_on.is_err() {
            child.kill()?;
            child.wait()?;
            return went_on.map(|()| None);
        }
        std::thread::sleep(POLL);
    }
}

/// Follows a growing text file, a line at a time.
struct Tail {
    file: File,
    rest: Vec<u8>,
}

impl Tail {
    fn new(path: &Path) -> Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            rest: Vec::new(),
        })
    }

    /// The lines that were completed since the last call.
    fn lines(&mut self) -> Result<Vec<String>> {
        self.file.read_to_end(&mut self.rest)?;
        let mut found = Vec::new();
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            found.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        Ok(found)
    }
}

/// Reads a text file that may hold stray bytes, as consoles do.
pub fn read_lossy(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a failed program's output is shown as: from its first error on, if the
/// line is marked as compilers mark them, else the end.
pub fn telling_lines(text: &str) -> String {
    let marked = |line: &str| line.starts_with("error") || line.contains(": error: ");
    let from_error: Vec<&str> = text
        .lines()
        .skip_while(|line| !marked(line))
        .take(SHOWN_LINES)
        .collect();
    if from_error.is_empty() {
        last_lines(text, SHOWN_LINES)
    } else {
        from_error.join("\n")
    }
}

/// The last `count` lines of a text.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Runs a short program without a log and returns its standard output, trimmed.
pub fn capture(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!(
            "`{program} {}` failed: {}",
            args.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_of_a_short_text_are_all_of_it() {
        assert_eq!(last_lines("a\nb\nc", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
        assert_eq!(last_lines("", 2), "");
    }

    #[test]
    fn a_failed_compiler_is_shown_from_its_first_error() {
        assert_eq!(
            telling_lines("CC a\nx.c:1:2: error: no\nmake: 2\n"),
            "x.c:1:2: error: no\nmake: 2"
        );
        assert_eq!(telling_lines("a\nb"), "a\nb");
    }

    #[test]
    fn capture_reports_what_failed() {
        assert_eq!(capture("echo", &["x"]).unwrap(), "x");
        assert!(capture("false", &[])
            .unwrap_err()
            .to_string()
            .contains("`false"));
        assert!(capture("there-is-no-such-program", &[]).is_err());
    }
}
