// SPDX-License-Identifier: GPL-2.0

//! The manual pages `docs/bus1.4` and `docs/bus1.7`: whether they are well formed, and
//! whether the errors that they name are those that the conformance program meets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::ctx::Ctx;
use crate::host;
use crate::run::Run;

/// What looks at the pages.
const PACKAGES: &[&str] = &["mandoc", "man-db"];
const PAGES: &[&str] = &["docs/bus1.4", "docs/bus1.7"];
/// The section of errors that any command can have, and that nobody can provoke in a
/// guest that has memory.
const ANY: &str = "All of them";
/// Errors that no case provokes: one needs another task in the middle of a reply, the
/// other a pool of 512 MiB that is full.
const UNMET: &[&str] = &["EBUSY", "EXFULL"];
/// The section that these belong to; elsewhere they have to be met.
const OF_UNMET: &str = "BUS1_CMD_SEND, BUS1_CMD_SEND_REQUEST";

/// Both readers of manual pages have nothing to say.
pub fn lint(ctx: &Ctx) -> Result<(), String> {
    host::ensure_packages(ctx, PACKAGES).map_err(|err| format!("{err:#}"))?;
    let checks: [(&str, &[&str]); 2] =
        [("mandoc", &["-T", "lint"]), ("man", &["--warnings", "-l"])];
    let mut step = ctx.ui.step("manual pages", 0);
    let mut problems = Vec::new();
    for (program, arguments) in checks {
        for page in PAGES {
            // mandoc tells what it finds on one stream, man on the other.
            let text = match program {
                "mandoc" => format!("mandoc {} {page} 2>&1", arguments.join(" ")),
                _ => format!("{program} {} {page} 2>&1 >/dev/null", arguments.join(" ")),
            };
            let ended = Run::new("sh", program, ctx.log(&format!("manual-{program}")))
                .dir(&ctx.repo)
                .env("MANWIDTH", "80")
                .args(["-c", &text])
                .collect(&mut step, |_, _| {})
                .map_err(|err| format!("{err:#}"))?;
            if !ended.good() || !ended.output.trim().is_empty() {
                problems.push(format!("{program} about {page}: {}", ended.output.trim()));
            }
        }
    }
    step.done();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

/// What the page promises against what a run of all cases has met.
pub struct Errors {
    /// The section of each command; the forms of one command share a section.
    sections: BTreeMap<String, String>,
    /// Errors by section.
    promised: BTreeSet<Pair>,
    /// Errors that need not be met, of whatever command.
    anywhere: BTreeSet<String>,
}

/// A section and an error that it names.
type Pair = (String, String);

impl Errors {
    /// Reads the page.
    pub fn of_page(repo: &Path) -> Result<Self> {
        let page = repo.join(PAGES[0]);
        let text =
            fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
        Ok(Self::parse(&text))
    }

    fn parse(page: &str) -> Self {
        let mut found = Self {
            sections: BTreeMap::new(),
            promised: BTreeSet::new(),
            anywhere: BTreeSet::new(),
        };
        let (mut section, mut in_errors, mut tagged) = ("", false, false);
        for line in page.lines() {
            if let Some(title) = line.strip_prefix(".SH ") {
                in_errors = title == "ERRORS";
            } else if let (true, Some(names)) = (in_errors, line.strip_prefix(".SS ")) {
                section = names;
                let commands = names.split(", ").map(str::to_owned);
                found
                    .sections
                    .extend(commands.map(|name| (name, names.to_owned())));
            } else if let (true, true, Some(error)) = (in_errors, tagged, line.strip_prefix(".B "))
            {
                if section == ANY {
                    found.anywhere.insert(error.to_owned());
                } else {
                    found
                        .promised
                        .insert((section.to_owned(), error.to_owned()));
                }
            }
            tagged = line == ".TP";
        }
        found
    }

    /// Compares with lines `COMMAND ERROR`.
    pub fn compare(&self, met: &str) -> Result<(), String> {
        let met: BTreeSet<Pair> = met
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(command, error)| {
                let section = self.sections.get(command).map_or(command, String::as_str);
                (section.to_owned(), error.to_owned())
            })
            .collect();
        if met.is_empty() {
            return Err("no error was met at all".into());
        }
        let mut problems = Vec::new();
        for (command, error) in met.difference(&self.promised) {
            if !self.anywhere.contains(error) {
                problems.push(format!(
                    "{command} failed with {error}, which the manual lacks"
                ));
            }
        }
        for (command, error) in self.promised.difference(&met) {
            if command == OF_UNMET && UNMET.contains(&error.as_str()) {
                continue;
            }
            problems.push(format!("no case has met {error} of {command}"));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems.join("\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = ".SH NAME\n.TP\n.B no\n.SH ERRORS\n.SS A, B\n.TP\n.B EINVAL\ntext\n.B bold\n\
                        .SS C\n.TP\n.B EBUSY\n.SS All of them\n.TP\n.B ENOMEM\n.SH FILES\n.TP\n.B x\n";

    #[test]
    fn the_page_agrees_with_what_was_met() {
        let errors = Errors::parse(PAGE);
        assert_eq!(
            errors.compare("A EINVAL\nB EINVAL\nC EBUSY\nC ENOMEM\n"),
            Ok(())
        );
    }

    #[test]
    fn what_is_missing_on_either_side_is_named() {
        let errors = Errors::parse(PAGE);
        let said = errors.compare("A EINVAL\nA EBUSY\nD EBUSY\n").unwrap_err();
        assert_eq!(
            said,
            "A, B failed with EBUSY, which the manual lacks\n\
             D failed with EBUSY, which the manual lacks\n\
             no case has met EBUSY of C"
        );
        assert!(errors.compare("").is_err());
    }

    #[test]
    fn the_real_page_is_read() {
        let page = include_str!("../../../docs/bus1.4");
        let errors = Errors::parse(page);
        let section = errors.sections["BUS1_CMD_RECV_ANON"].clone();
        assert!(errors.promised.contains(&(section, "EAGAIN".to_owned())));
        assert!(errors.promised.len() > 30);
        assert_eq!(errors.anywhere.len(), 1);
    }
}
