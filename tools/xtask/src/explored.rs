// SPDX-License-Identifier: GPL-2.0

//! How much the model checkers have explored: collected while a suite runs, kept
//! in a log, and summed up at its end.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// One model, script or test, and what was explored of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which checker.
    tool: String,
    /// What was explored.
    name: String,
    /// How much.
    count: u64,
    /// Of what: executions, schedules, states.
    unit: String,
    /// What else was said, in words.
    more: String,
}

/// All of a run.
#[derive(Default)]
pub struct Explored(Vec<Line>);

impl Explored {
    /// Notes one.
    pub fn add(&mut self, tool: &str, name: &str, count: u64, unit: &str, more: &str) {
        self.0.push(Line {
            tool: tool.to_owned(),
            name: name.to_owned(),
            count,
            unit: unit.to_owned(),
            more: more.to_owned(),
        });
    }

    /// Notes what tests have printed: `explored NAME: COUNT UNIT, more`.
    pub fn take(&mut self, tool: &str, output: &str) {
        for text in output.lines() {
            if let Some((name, count, unit, more)) = parse(text) {
                self.add(tool, name, count, unit, more);
            }
        }
    }

    /// One line for each checker and unit: how many models, and how much in all.
    fn summary(&self) -> Vec<String> {
        let mut sums: Vec<(&str, &str, u64, u64)> = Vec::new();
        for line in &self.0 {
            let at = sums
                .iter()
                .position(|sum| (sum.0, sum.1) == (line.tool.as_str(), line.unit.as_str()));
            match at {
                Some(at) => {
                    sums[at].2 += 1;
                    sums[at].3 += line.count;
                }
                None => sums.push((&line.tool, &line.unit, 1, line.count)),
            }
        }
        sums.iter()
            .map(|(tool, unit, models, count)| format!("{tool}: {count} {unit} of {models} models"))
            .collect()
    }

    fn details(&self) -> String {
        let mut text = String::new();
        for line in &self.0 {
            let more = if line.more.is_empty() { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{}\t{}\t{} {}{more}{}",
                line.tool, line.name, line.count, line.unit, line.more
            );
        }
        text
    }

    /// Prints the sums and keeps the details in `log`.
    pub fn finish(&self, log: &Path) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        if let Some(parent) = log.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(log, self.details())
            .with_context(|| format!("cannot write {}", log.display()))?;
        println!("explored (each model: {}):", log.display());
        for line in self.summary() {
            println!("  {line}");
        }
        Ok(())
    }
}

/// `explored NAME: COUNT UNIT[, MORE]`
fn parse(text: &str) -> Option<(&str, u64, &str, &str)> {
    let (name, rest) = text.strip_prefix("explored ")?.rsplit_once(": ")?;
    let (head, more) = rest.split_once(", ").unwrap_or((rest, ""));
    let (count, unit) = head.split_once(' ')?;
    Some((name, count.parse().ok()?, unit, more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        assert_eq!(
            parse("explored racing, all: 403 executions, 2 pushes, 1.1s"),
            Some(("racing, all", 403, "executions", "2 pushes, 1.1s"))
        );
        assert_eq!(
            parse("explored x: 7 schedules"),
            Some(("x", 7, "schedules", ""))
        );
        for other in [
            "explored x",
            "explored x: many states",
            " explored x: 1 y",
            "test explored: 1 y",
        ] {
            assert_eq!(parse(other), None);
        }
    }

    #[test]
    fn sums_are_by_checker_and_unit() {
        let mut explored = Explored::default();
        explored.take(
            "loom",
            "explored a: 2 executions\nnoise\nexplored b: 3 executions, 1 tie\n",
        );
        explored.add("spin", "c", 5, "states", "");
        assert_eq!(
            explored.summary(),
            [
                "loom: 5 executions of 2 models",
                "spin: 5 states of 1 models"
            ]
        );
        assert_eq!(
            explored.details(),
            "loom\ta\t2 executions\nloom\tb\t3 executions, 1 tie\nspin\tc\t5 states\n"
        );
    }
}
