// SPDX-License-Identifier: GPL-2.0

//! How tests of others must end: those that can't pass everywhere stand in a list,
//! with the reason, and none may end worse on bus1 than on the stock driver.

use std::fs;
use std::path::Path;

use anyhow::{bail, Context, Result};

use crate::ktap::{Status, Test};

/// How a listed test must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Failed,
    Skipped,
}

/// A line of the list: `DRIVER | fail or skip | TEST | REASON`.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// `any`, or a driver's name.
    driver: String,
    wanted: Wanted,
    test: String,
    reason: String,
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(4, '|').map(str::trim);
        let (driver, wanted, test, reason) =
            (words.next()?, words.next()?, words.next()?, words.next()?);
        let wanted = match wanted {
            "fail" => Wanted::Failed,
            "skip" => Wanted::Skipped,
            _ => return None,
        };
        let known = matches!(driver, "any" | "stock" | "bus1");
        (known && !test.is_empty() && !reason.is_empty()).then(|| Self {
            driver: driver.to_owned(),
            wanted,
            test: test.to_owned(),
            reason: reason.to_owned(),
        })
    }

    fn is_about(&self, driver: &str) -> bool {
        self.driver == "any" || self.driver == driver
    }
}

/// The list of one suite.
#[derive(Debug, Default)]
pub struct List(Vec<Entry>);

impl List {
    /// Reads it; a suite without a list has nothing to excuse.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        match Self::parse(&text) {
            Ok(list) => Ok(list),
            Err(line) => bail!("{}: not an entry: {line}", path.display()),
        }
    }

    fn parse(text: &str) -> Result<Self, &str> {
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| Entry::parse(line).ok_or(line))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What a run on `driver` is worth. A test that fails as listed is none that
    /// passed; one that is skipped without being listed, or ends otherwise than
    /// listed, has failed; so has an entry without a test.
    pub fn judge(&self, driver: &str, tests: &[Test]) -> Vec<Test> {
        let mut judged: Vec<Test> = tests
            .iter()
            .map(|test| Test {
                name: test.name.clone(),
                status: self.status_of(driver, test),
            })
            .collect();
        for entry in self.0.iter().filter(|entry| entry.is_about(driver)) {
            if !tests.iter().any(|test| test.name == entry.test) {
                judged.push(Test {
                    name: entry.test.clone(),
                    status: Status::Failed("it is listed and did not run".into()),
                });
            }
        }
        judged
    }

    fn status_of(&self, driver: &str, test: &Test) -> Status {
        let entry = self
            .0
            .iter()
            .find(|entry| entry.is_about(driver) && entry.test == test.name);
        let Some(entry) = entry else {
            return match &test.status {
                Status::Skipped(why) => Status::Failed(format!("skipped, not listed: {why}")),
                other => other.clone(),
            };
        };
        match (entry.wanted, &test.status) {
            (Wanted::Failed, Status::Failed(_)) => {
                Status::Skipped(format!("known to fail: {}", entry.reason))
            }
            (Wanted::Skipped, Status::Skipped(_)) => Status::Skipped(entry.reason.clone()),
            (_, Status::Failed(why)) => Status::Failed(why.clone()),
            (wanted, other) => {
                let other = match other {
                    Status::Passed => "it passed",
                    _ => "it was skipped",
                };
                Status::Failed(format!("listed as {wanted:?}, but {other}"))
            }
        }
    }
}

/// Compares test by test: none may be missing on bus1 or end worse there.
pub fn at_least_as(stock: &[Test], ours: &[Test]) -> Result<(), String> {
    let worth = |status: &Status| match status {
        Status::Failed(_) => 0,
        Status::Skipped(_) => 1,
        Status::Passed => 2,
    };
    let mut worse = Vec::new();
    for test in stock {
        match ours.iter().find(|other| other.name == test.name) {
            None => worse.push(format!("{} did not run", test.name)),
            Some(other) if worth(&other.status) < worth(&test.status) => worse.push(format!(
                "{}: {:?}, and {:?} on the stock driver",
                test.name, other.status, test.status
            )),
            Some(_) => {}
        }
    }
    if worse.is_empty() {
        Ok(())
    } else {
        Err(worse.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str, status: Status) -> Test {
        Test {
            name: name.into(),
            status,
        }
    }

    fn failed() -> Status {
        Status::Failed("why".into())
    }

    fn skipped() -> Status {
        Status::Skipped("why".into())
    }

    const LIST: &str =
        "# a comment\n\nstock | fail | A.b | it can't\nany | skip | c d | not here\n";

    #[test]
    fn what_is_listed_ends_as_listed() {
        let list = List::parse(LIST).unwrap();
        let tests = [
            test("A.b", failed()),
            test("c d", skipped()),
            test("e", Status::Passed),
        ];
        let judged = list.judge("stock", &tests);
        assert_eq!(
            judged[0].status,
            Status::Skipped("known to fail: it can't".into())
        );
        assert_eq!(judged[1].status, Status::Skipped("not here".into()));
        assert_eq!(judged[2].status, Status::Passed);
        assert_eq!(list.judge("bus1", &tests)[0].status, failed());
    }

    #[test]
    fn what_ends_otherwise_has_failed() {
        let list = List::parse(LIST).unwrap();
        let tests = [
            test("A.b", Status::Passed),
            test("c d", Status::Passed),
            test("e", skipped()),
        ];
        for judged in list.judge("stock", &tests) {
            assert!(matches!(judged.status, Status::Failed(_)), "{judged:?}");
        }
    }

    #[test]
    fn an_entry_without_a_test_has_failed() {
        let list = List::parse(LIST).unwrap();
        let judged = list.judge("bus1", &[]);
        assert_eq!(judged.len(), 1);
        assert_eq!(judged[0].name, "c d");
    }

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        assert_eq!(
            List::parse("stock | fail | A.b").unwrap_err(),
            "stock | fail | A.b"
        );
        assert!(List::parse("mine | fail | A.b | x").is_err());
        assert!(List::parse("stock | pass | A.b | x").is_err());
        assert!(List::parse("stock | fail | A.b |").is_err());
    }

    #[test]
    fn none_ends_worse_than_on_stock() {
        let stock = [
            test("a", Status::Passed),
            test("b", skipped()),
            test("c", failed()),
        ];
        let same = [
            test("c", Status::Passed),
            test("b", skipped()),
            test("a", Status::Passed),
        ];
        assert_eq!(at_least_as(&stock, &same), Ok(()));
        let worse = [test("a", skipped()), test("b", failed())];
        let why = at_least_as(&stock, &worse).unwrap_err();
        assert_eq!(why.lines().count(), 3);
        assert!(why.ends_with("c did not run"));
    }
}
