// SPDX-License-Identifier: GPL-2.0

//! What the user sees while something takes long: bars on a terminal, plain
//! lines elsewhere. All of it goes to standard error; results go to standard
//! output.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal a running step says so at most this often.
const PLAIN_INTERVAL: Duration = Duration::from_secs(30);

/// How progress is shown; made once.
pub struct Ui {
    terminal: bool,
}

impl Ui {
    /// Looks once whether standard error is a terminal.
    pub fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Says one line of plain text.
    pub fn say(&self, line: &str) {
        eprintln!("{line}");
    }

    /// Starts showing a step. `total` is in the step's own units; 0 means that
    /// it is not known.
    pub fn step(&self, what: &str, total: u64) -> Step {
        let bar = self.terminal.then(|| new_bar(what, total));
        if bar.is_none() {
            eprintln!("{what} ...");
        }
        let now = Instant::now();
        Step {
            bar,
            what: what.to_owned(),
            total,
            at: 0,
            started: now,
            said: now,
        }
    }
}

fn new_bar(what: &str, total: u64) -> ProgressBar {
    let (bar, template) = if total > 0 {
        (
            ProgressBar::new(total),
            "{spinner} {prefix} [{bar:30}] {percent:>3}% {elapsed} {msg}",
        )
    } else {
        (
            ProgressBar::new_spinner(),
            "{spinner} {prefix} {elapsed} {msg}",
        )
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// One running step. Dropped without [`Step::done`], it leaves no bar behind.
pub struct Step {
    bar: Option<ProgressBar>,
    what: String,
    total: u64,
    at: u64,
    started: Instant,
    said: Instant,
}

impl Step {
    /// One unit more is done.
    pub fn advance(&mut self) {
        self.set(self.at + 1);
    }

    /// `at` units are done. A step that was estimated too short stays below 100 %.
    pub fn set(&mut self, at: u64) {
        self.at = at;
        match &self.bar {
            Some(bar) => bar.set_position(at.min(self.total.saturating_sub(1))),
            None => self.tick(),
        }
    }

    /// So many units are done.
    #[cfg(test)]
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Time has passed, nothing else is known.
    pub fn tick(&mut self) {
        if self.bar.is_some() || self.said.elapsed() < PLAIN_INTERVAL {
            return;
        }
        self.said = Instant::now();
        let seconds = self.started.elapsed().as_secs();
        match (self.at * 100).checked_div(self.total) {
            Some(percent) => eprintln!("{} ... {} % after {seconds} s", self.what, percent.min(99)),
            None => eprintln!("{} ... {seconds} s", self.what),
        }
    }

    /// Prints something of its own without tearing the bar.
    pub fn suspend(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Says how long it took and takes the bar away.
    pub fn done(mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        eprintln!(
            "{}: done in {} s",
            self.what,
            self.started.elapsed().as_secs()
        );
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
