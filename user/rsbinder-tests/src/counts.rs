// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the driver counts: commands and returns, where it has binder_logs/stats;
//! else what passes through bus1's engine, which knows no commands.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

const ENGINE: &str = "/sys/kernel/debug/bus1/counters";

/// A number that must have risen by so much at least.
pub type Rise = (&'static str, u64);

/// Where the numbers are read.
pub struct Source {
    path: PathBuf,
    /// Whether it counts commands and returns.
    commands: bool,
}

/// The numbers at one moment.
#[derive(Default)]
pub struct Counts(BTreeMap<String, u64>);

impl Source {
    /// The best that there is beside a device.
    pub fn find(device: &str) -> Option<Self> {
        let stats = Path::new(device).parent()?.join("binder_logs/stats");
        [(stats, true), (ENGINE.into(), false)]
            .into_iter()
            .map(|(path, commands)| Self { path, commands })
            .find(|source| source.path.exists())
    }

    /// Reads them; of a file that can't be read there are none.
    pub fn read(&self) -> Counts {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        Counts::parse(&text)
    }

    /// Of what must rise, for commands and for the engine, what is counted here.
    pub fn choose<'a>(&self, commands: &'a [Rise], engine: &'a [Rise]) -> &'a [Rise] {
        if self.commands {
            commands
        } else {
            engine
        }
    }
}

impl Counts {
    /// Lines `NAME: NUMBER` and `NAME NUMBER`. Those of single processes are indented.
    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let (name, number) = line.split_once(' ')?;
            let name = name.trim_end_matches(':');
            Some((name.to_owned(), number.trim().parse().ok()?))
        };
        let global = text.lines().filter(|line| !line.starts_with(' '));
        Self(global.filter_map(line).collect())
    }

    /// What has risen since then.
    pub fn since(&self, before: &Self) -> Self {
        let rise = |(name, now): (&String, &u64)| {
            let then = before.0.get(name).copied().unwrap_or(0);
            (*now > then).then(|| (name.clone(), now - then))
        };
        Self(self.0.iter().filter_map(rise).collect())
    }

    /// What has risen too little.
    pub fn misses(&self, wanted: &[Rise]) -> Vec<String> {
        let moved = |name: &str| self.0.get(name).copied().unwrap_or(0);
        wanted
            .iter()
            .filter(|(name, least)| moved(name) < *least)
            .map(|(name, least)| format!("{name} rose by {}, not by {least}", moved(name)))
            .collect()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(name, rise)| write!(f, " {name} +{rise}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_processes_are_left_out() {
        let stats = "binder stats:\nBC_REPLY: 7\nBR_OK: 1\nproc: active 1 total 2\n\
                     proc 3\n  BC_REPLY: 7\n";
        let then = Counts::parse(stats);
        let now = Counts::parse("BC_REPLY: 9\nBR_OK: 1\nqueued 4\n");
        let rise = now.since(&then);
        assert_eq!(rise.to_string(), " BC_REPLY +2 queued +4");
        assert_eq!(rise.misses(&[("BC_REPLY", 2), ("queued", 5)]).len(), 1);
        assert_eq!(rise.misses(&[("BR_OK", 1)]), ["BR_OK rose by 0, not by 1"]);
    }
}
