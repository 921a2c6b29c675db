// SPDX-License-Identifier: MIT OR Apache-2.0

//! Compares the outcomes of two drivers.
//!
//! Outcomes are lines `name<TAB>steps`, as [`crate::runner`] writes them. The
//! table of expected differences has lines `name<space>reason`; `#` starts a
//! comment. A case passes if both drivers answered the same, or if they
//! differ and the table says so. An entry of the table that no longer differs,
//! or that names no case, fails: the table must not outlive its reasons.

use std::collections::BTreeMap;

use crate::world::{Fail, Res};

/// Case name to outcome, or case name to reason.
pub type Table = BTreeMap<String, String>;

/// One compared case.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// The case.
    pub name: String,
    /// Why it fails or differs; empty for plain equality.
    pub remark: String,
    /// The verdict.
    pub passed: bool,
}

fn insert(table: &mut Table, name: &str, value: &str, number: usize) -> Res {
    match table.insert(name.into(), value.trim().into()) {
        None => Ok(()),
        Some(_) => Err(Fail(format!("line {number}: {name} for the second time"))),
    }
}

/// Parses outcomes.
pub fn parse_outcomes(text: &str) -> Res<Table> {
    let mut table = Table::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let (name, steps) = line
            .split_once('\t')
            .ok_or_else(|| Fail(format!("line {number}: no tab")))?;
        insert(&mut table, name, steps, number)?;
    }
    Ok(table)
}

/// Parses the table of expected differences.
pub fn parse_expected(text: &str) -> Res<Table> {
    let mut table = Table::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = index + 1;
        let (name, reason) = line
            .split_once(char::is_whitespace)
            .ok_or_else(|| Fail(format!("line {number}: {line} without a reason")))?;
        insert(&mut table, name, reason, number)?;
    }
    Ok(table)
}

/// The first step in which two outcomes differ.
fn first_difference(stock: &str, ours: &str) -> String {
    let (mut left, mut right) = (stock.split("; "), ours.split("; "));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return "same steps".into(),
            (a, b) if a == b => {}
            (a, b) => {
                let (a, b) = (a.unwrap_or("(end)"), b.unwrap_or("(end)"));
                return format!("stock: {a} | ours: {b}");
            }
        }
    }
}

/// Compares the outcomes of the reference driver with those of another.
pub fn compare(stock: &Table, ours: &Table, expected: &Table) -> Vec<Line> {
    let mut names: Vec<&String> = stock
        .keys()
        .chain(ours.keys())
        .chain(expected.keys())
        .collect();
    names.sort();
    names.dedup();
    let judge = |name: &String| {
        let (passed, remark) = match (stock.get(name), ours.get(name), expected.get(name)) {
            (None, None, _) => (
                false,
                "expected to differ, but there is no such case".into(),
            ),
            (None, Some(_), _) => (false, "did not run on the stock driver".into()),
            (Some(_), None, _) => (false, "did not run on ours".into()),
            (Some(a), Some(b), None) if a == b => (true, String::new()),
            (Some(a), Some(b), None) => (false, first_difference(a, b)),
            (Some(a), Some(b), Some(_)) if a == b => {
                (false, "expected to differ, but doesn't".into())
            }
            (Some(_), Some(_), Some(reason)) => (true, format!("expected difference: {reason}")),
        };
        Line {
            name: name.clone(),
            remark,
            passed,
        }
    };
    names.into_iter().map(judge).collect()
}

/// The comparison as TAP.
pub fn to_tap(lines: &[Line]) -> String {
    let mut out = format!("TAP version 13\n1..{}\n", lines.len());
    for (index, line) in lines.iter().enumerate() {
        let verdict = if line.passed { "ok" } else { "not ok" };
        out += &format!("{verdict} {} same_as_stock.{}", index + 1, line.name);
        if line.passed && !line.remark.is_empty() {
            out += &format!(" - {}", line.remark);
        }
        out.push('\n');
        if !line.passed {
            out += &format!("# {}\n", line.remark);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(pairs: &[(&str, &str)]) -> Table {
        pairs
            .iter()
            .map(|(a, b)| ((*a).into(), (*b).into()))
            .collect()
    }

    fn verdicts(stock: &Table, ours: &Table, expected: &Table) -> Vec<(String, bool)> {
        let lines = compare(stock, ours, expected);
        lines
            .into_iter()
            .map(|line| (line.name, line.passed))
            .collect()
    }

    #[test]
    fn equal_outcomes_pass_and_unequal_fail() {
        let stock = outcomes(&[("a", "1; 2"), ("b", "1; 2")]);
        let ours = outcomes(&[("a", "1; 2"), ("b", "1; 3")]);
        let lines = compare(&stock, &ours, &Table::new());
        assert!(lines[0].passed);
        assert!(!lines[1].passed);
        assert_eq!(lines[1].remark, "stock: 2 | ours: 3");
    }

    #[test]
    fn an_expected_difference_passes_only_while_it_differs() {
        let stock = outcomes(&[("a", "1"), ("b", "1")]);
        let ours = outcomes(&[("a", "2"), ("b", "1")]);
        let expected = outcomes(&[("a", "why"), ("b", "why")]);
        let want = [("a".to_owned(), true), ("b".to_owned(), false)];
        assert_eq!(verdicts(&stock, &ours, &expected), want);
    }

    #[test]
    fn a_case_that_ran_on_one_driver_only_fails() {
        let one = outcomes(&[("a", "1")]);
        let none = Table::new();
        assert_eq!(verdicts(&one, &none, &none), [("a".to_owned(), false)]);
        assert_eq!(verdicts(&none, &one, &none), [("a".to_owned(), false)]);
        assert_eq!(verdicts(&none, &none, &one), [("a".to_owned(), false)]);
    }

    #[test]
    fn a_shorter_outcome_differs_at_its_end() {
        assert_eq!(first_difference("1; 2", "1"), "stock: 2 | ours: (end)");
    }

    #[test]
    fn tables_are_read_strictly() {
        let table = parse_expected("# head\n\nname  some reason\n").unwrap();
        assert_eq!(table, outcomes(&[("name", "some reason")]));
        assert!(parse_expected("name").is_err());
        assert!(parse_expected("a x\na y").is_err());
        assert!(parse_outcomes("no tab").is_err());
        assert_eq!(
            parse_outcomes("a\t1; 2\n").unwrap(),
            outcomes(&[("a", "1; 2")])
        );
    }

    #[test]
    fn tap_counts_and_explains() {
        let stock = outcomes(&[("a", "1"), ("b", "1")]);
        let ours = outcomes(&[("a", "1"), ("b", "2")]);
        let tap = to_tap(&compare(&stock, &ours, &Table::new()));
        let want = "TAP version 13\n1..2\nok 1 same_as_stock.a\nnot ok 2 same_as_stock.b\n\
                    # stock: 1 | ours: 2\n";
        assert_eq!(tap, want);
    }
}
