// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tables of README.md: every number has its row, and every case is named
//! in the row of its number.

use std::collections::BTreeMap;

use tests_binder::cases::{all, labelled, Case};

const README: &str = include_str!("../README.md");
/// Numbers of the conformance list.
const LAST_CASE: u32 = 80;
/// Numbers of the list of known bugs.
const LAST_BUG: u32 = 53;
/// What no guest can run, and why stands in the row.
const NOT_RUN: [u32; 1] = [12];

fn cases() -> impl Iterator<Item = &'static Case> {
    all().chain(labelled())
}

/// The rows of the table under a heading: what stands in the last column.
fn table(heading: &str) -> BTreeMap<u32, &'static str> {
    let text = README.split(heading).nth(1).expect("the heading is there");
    let text = text.split("\n#").next().expect("splitting yields a part");
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, number, _, last, _] = cells[..] else {
            continue;
        };
        if let Ok(number) = number.parse() {
            assert_eq!(rows.insert(number, last), None, "{number} twice");
        }
    }
    rows
}

/// The names of cases in a row.
fn names(cell: &str) -> Vec<&str> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter(|name| name.contains('_')).collect()
}

#[test]
fn every_number_has_a_row() {
    let rows = table("### Conformance\n");
    assert!(rows.keys().copied().eq(1..=LAST_CASE));
    let rows = table("### Known bugs\n");
    assert!(rows.keys().copied().eq(1..=LAST_BUG));
    assert!(rows.values().all(|cell| !cell.is_empty()));
}

#[test]
fn every_case_is_in_the_row_of_its_number() {
    for (number, cell) in table("### Conformance\n") {
        let mut told = names(cell);
        let of_it = cases().filter(|case| u32::from(case.section) == number);
        let mut there: Vec<_> = of_it.map(|case| case.name).collect();
        told.sort_unstable();
        there.sort_unstable();
        assert_eq!(told, there, "row {number}");
        assert_eq!(there.is_empty(), NOT_RUN.contains(&number), "row {number}");
    }
}

#[test]
fn every_case_that_stands_for_a_bug_exists() {
    for (number, cell) in table("### Known bugs\n") {
        for name in names(cell) {
            let found = cases().any(|case| case.name == name);
            assert!(found, "row {number}: there is no {name}");
        }
    }
}

#[test]
fn names_are_used_once() {
    let mut all: Vec<_> = cases().map(|case| case.name).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}
