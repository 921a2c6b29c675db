// SPDX-License-Identifier: GPL-2.0

//! The range allocator against a naive model: a byte map.

use crate::core::ranges::{
    Part,
    Ranges,
    Scratch,
    TakeError,
    Walk,
    GRAIN, //
};
use proptest::prelude::*;

/// Units of [`GRAIN`] bytes, true where in use.
struct Model(Vec<bool>);

impl Model {
    fn new(len: usize) -> Self {
        Self(vec![false; len / GRAIN])
    }

    /// Start and length of the free runs, in units.
    fn free(&self) -> Vec<(usize, usize)> {
        let (mut runs, mut start) = (Vec::new(), None);
        for (unit, used) in self.0.iter().copied().chain([true]).enumerate() {
            match (used, start) {
                (false, None) => start = Some(unit),
                (true, Some(first)) => {
                    runs.push((first, unit - first));
                    start = None;
                }
                _ => {}
            }
        }
        runs
    }

    fn largest(&self) -> usize {
        self.free().iter().map(|run| run.1).max().unwrap_or(0)
    }

    /// Where best fit puts `units`.
    fn best(&self, units: usize) -> Option<usize> {
        let fits = self.free().into_iter().filter(|run| run.1 >= units);
        fits.min_by_key(|run| (run.1, run.0)).map(|run| run.0)
    }

    fn set(&mut self, part: &Part, used: bool) {
        for unit in &mut self.0[part.offset() / GRAIN..(part.offset() + part.len()) / GRAIN] {
            assert_ne!(*unit, used, "{part:?} overlaps or is free already");
            *unit = used;
        }
    }
}

fn new(len: usize) -> Ranges {
    Ranges::new(len, crate::core::ranges::Nodes::new().unwrap())
}

fn take(ranges: &mut Ranges, len: usize) -> Result<Part, TakeError> {
    let mut scratch = Scratch::new();
    scratch.fill().unwrap();
    ranges.take(len, &mut scratch)
}

fn give(ranges: &mut Ranges, part: Part) {
    ranges.give(part, &mut Scratch::new());
}

fn settle(ranges: &mut Ranges) {
    ranges.settle(&mut Scratch::new());
}

#[derive(Clone, Debug)]
enum Step {
    Take(usize),
    Give(prop::sample::Index),
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..100).prop_map(Step::Take),
        2 => prop::sample::select(vec![8usize, 24, 64, 200]).prop_map(Step::Take),
        5 => any::<prop::sample::Index>().prop_map(Step::Give),
        1 => Just(Step::Settle),
    ];
    prop::collection::vec(step, 0..200)
}

/// Runs a program; `settled` merges the recent ranges after each step, so that places are those of
/// the model, too.
fn run(len: usize, steps: Vec<Step>, settled: bool) {
    let (mut ranges, mut model, mut live) = (new(len), Model::new(len), Vec::new());
    for step in steps {
        match step {
            Step::Take(wanted) => {
                let units = wanted.max(1).div_ceil(GRAIN);
                let best = model.best(units);
                match take(&mut ranges, wanted) {
                    Ok(part) => {
                        assert_eq!(part.len(), units * GRAIN);
                        assert!(!settled || best == Some(part.offset() / GRAIN));
                        model.set(&part, true);
                        live.push(part);
                    }
                    Err(error) => {
                        assert_eq!(error, TakeError::NoSpace);
                        assert!(model.largest() < units, "{wanted} bytes would have fitted");
                    }
                }
            }
            Step::Give(which) if !live.is_empty() => {
                let part = live.swap_remove(which.index(live.len()));
                model.set(&part, false);
                give(&mut ranges, part);
            }
            Step::Give(_) => {}
            Step::Settle => settle(&mut ranges),
        }
        if settled {
            settle(&mut ranges);
        }
        assert!(ranges.is_sound());
        assert_eq!(
            ranges.used(),
            model.0.iter().filter(|used| **used).count() * GRAIN
        );
    }
    settle(&mut ranges);
    compare_free(&ranges, &model);
}

/// The free ranges are those of the model, also as a walk shows them.
fn compare_free(ranges: &Ranges, model: &Model) {
    let free: Vec<_> = ranges
        .iter()
        .filter(|range| !range.2)
        .map(|r| (r.0, r.1))
        .collect();
    let wanted: Vec<_> = model
        .free()
        .iter()
        .map(|run| (run.0 * GRAIN, run.1 * GRAIN))
        .collect();
    assert_eq!(free, wanted);
    for least in [GRAIN, 5 * GRAIN] {
        let seen = walk(ranges, least, usize::MAX);
        let mut large = free.clone();
        large.retain(|range| range.1 >= least);
        large.sort_by_key(|range| std::cmp::Reverse((range.1, range.0)));
        assert_eq!(seen, large);
        // In pieces, from the end of each range on, nothing is missed but what is too small.
        let pieces = walk(ranges, least, 3 * GRAIN);
        let sum = |ranges: &[(usize, usize)]| ranges.iter().map(|range| range.1).sum::<usize>();
        assert!(sum(&pieces) <= sum(&large));
        assert!(sum(&pieces) + least * large.len() >= sum(&large));
    }
}

/// Offset and size of what a walk shows of the ranges, at most `piece` bytes at a time.
fn walk(ranges: &Ranges, least: usize, piece: usize) -> Vec<(usize, usize)> {
    let (mut walk, mut seen) = (Walk::default(), Vec::new());
    while let Some(range) = ranges.next_free(&mut walk, least) {
        let start = range.start.max(range.end.saturating_sub(piece));
        seen.push((start, range.end - start));
        walk.below(start);
    }
    seen
}

proptest! {
    #![proptest_config(crate::cases(400))]

    #[test]
    fn agrees_with_the_byte_map(len in 0usize..2000, steps in steps()) {
        run(len, steps, false);
    }

    #[test]
    fn is_best_fit_from_the_low_end(len in 0usize..2000, steps in steps()) {
        run(len, steps, true);
    }
}

/// Whatever happens between two steps of a walk: what it shows is free, and it ends.
#[test]
fn a_walk_bears_changes() {
    let mut ranges = new(100 * GRAIN);
    let parts: Vec<Part> = (0..10)
        .map(|_| take(&mut ranges, 10 * GRAIN).unwrap())
        .collect();
    let mut parts: Vec<Option<Part>> = parts.into_iter().map(Some).collect();
    for gone in [1, 2, 3, 5, 7, 8] {
        give(&mut ranges, parts[gone].take().unwrap());
    }
    settle(&mut ranges);
    let mut walk = Walk::default();
    let first = ranges.next_free(&mut walk, GRAIN).unwrap();
    assert_eq!(first, 10 * GRAIN..40 * GRAIN);
    walk.below(30 * GRAIN);
    // The rest of it is shown only as long as it is the same range.
    assert_eq!(
        ranges.next_free(&mut walk, GRAIN),
        Some(10 * GRAIN..30 * GRAIN)
    );
    walk.below(20 * GRAIN);
    let taken = take(&mut ranges, 25 * GRAIN).unwrap();
    assert_eq!(taken.offset(), 10 * GRAIN);
    assert_eq!(
        ranges.next_free(&mut walk, GRAIN),
        Some(70 * GRAIN..90 * GRAIN)
    );
    walk.below(70 * GRAIN);
    give(&mut ranges, taken);
    settle(&mut ranges);
    assert_eq!(
        ranges.next_free(&mut walk, GRAIN),
        Some(50 * GRAIN..60 * GRAIN)
    );
    walk.below(50 * GRAIN);
    assert_eq!(ranges.next_free(&mut walk, GRAIN), None);
    for part in parts.into_iter().flatten() {
        give(&mut ranges, part);
    }
    assert_eq!(ranges.used(), 0);
}

#[test]
fn the_same_size_again_takes_the_same_place_and_no_memory() {
    let mut ranges = new(1 << 20);
    let kept = take(&mut ranges, 4096).unwrap();
    let first = take(&mut ranges, 100).unwrap();
    let offset = first.offset();
    give(&mut ranges, first);
    for _ in 0..1000 {
        let part = ranges.take(97, &mut Scratch::new()).unwrap();
        assert_eq!((part.offset(), part.len()), (offset, 104));
        give(&mut ranges, part);
    }
    give(&mut ranges, kept);
    assert_eq!(ranges.used(), 0);
}

#[test]
fn a_split_without_memory_changes_nothing() {
    let mut ranges = new(1024);
    let mut none = Scratch::new();
    assert_eq!(ranges.take(8, &mut none).unwrap_err(), TakeError::NoNodes);
    assert!(ranges.is_sound());
    let whole = ranges.take(1024, &mut none).unwrap();
    assert_eq!(ranges.take(1, &mut none).unwrap_err(), TakeError::NoSpace);
    give(&mut ranges, whole);
    assert_eq!(take(&mut ranges, 1025).unwrap_err(), TakeError::NoSpace);
    assert_eq!(
        take(&mut ranges, usize::MAX).unwrap_err(),
        TakeError::NoSpace
    );
    let whole = take(&mut ranges, 1024).unwrap();
    give(&mut ranges, whole);
}

#[test]
fn changing_sizes_are_served_from_the_stock() {
    let mut ranges = new(1 << 16);
    let part = take(&mut ranges, 8).unwrap();
    give(&mut ranges, part);
    for len in 1..500 {
        let part = take(&mut ranges, len * 8).unwrap();
        give(&mut ranges, part);
    }
    settle(&mut ranges);
    for len in 1..500 {
        let part = ranges.take(len * 8, &mut Scratch::new()).unwrap();
        give(&mut ranges, part);
        settle(&mut ranges);
    }
}
