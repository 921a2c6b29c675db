// SPDX-License-Identifier: MIT OR Apache-2.0

//! The name of a stream: its seed, and which of its steps are played.
//!
//! `123` are all steps of the stream with this seed; `123:0,4-6` are four of them.
//! A name is all that it takes to play a stream again.

#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;

/// Steps of a stream.
pub const STEPS: usize = 48;

/// Which steps of which stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Where its numbers come from.
    pub seed: u64,
    /// The steps that are played, in order.
    pub steps: Vec<usize>,
}

impl Spec {
    /// The whole stream.
    pub fn whole(seed: u64) -> Self {
        let steps = (0..STEPS).collect();
        Spec { seed, steps }
    }

    /// The streams that it is with one piece of so many steps left out, and never all
    /// of them.
    pub fn without(&self, size: usize) -> Vec<Self> {
        let size = size.max(1);
        let starts = (0..self.steps.len()).step_by(size);
        let rest = |start: usize| {
            let mut steps = self.steps.clone();
            steps.drain(start..(start + size).min(steps.len()));
            Spec {
                seed: self.seed,
                steps,
            }
        };
        starts
            .map(rest)
            .filter(|spec| !spec.steps.is_empty())
            .collect()
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seed)?;
        if *self == Spec::whole(self.seed) {
            return Ok(());
        }
        let mut separator = ':';
        let mut rest = self.steps.iter().copied().peekable();
        while let Some(first) = rest.next() {
            let mut last = first;
            while let Some(next) = rest.next_if_eq(&(last + 1)) {
                last = next;
            }
            write!(f, "{separator}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            separator = ',';
        }
        Ok(())
    }
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |_| format!("{text} does not name a stream");
        let Some((seed, ranges)) = text.split_once(':') else {
            return Ok(Spec::whole(text.parse().map_err(bad)?));
        };
        let seed = seed.parse().map_err(bad)?;
        let mut steps: Vec<usize> = Vec::new();
        for range in ranges.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let first: usize = first.parse().map_err(bad)?;
            steps.extend(first..=last.parse().map_err(bad)?);
        }
        if steps.windows(2).any(|pair| pair[0] >= pair[1]) || steps.last() >= Some(&STEPS) {
            return Err(format!(
                "the steps of {text} are not some of {STEPS} in order"
            ));
        }
        Ok(Spec { seed, steps })
    }
}

/// The streams of a list: a name at the start of each line, what follows it is a
/// remark; `#` starts a comment.
pub fn parse_list(text: &str) -> Result<Vec<Spec>, String> {
    text.lines()
        .filter_map(|line| line.split('#').next()?.split_whitespace().next())
        .map(str::parse)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["0", "18446744073709551615", "12:0", "12:1,3-7,46-47"] {
            assert_eq!(
                name.parse::<Spec>().map(|spec| spec.to_string()),
                Ok(name.into())
            );
        }
        assert_eq!("5:0-47".parse(), Ok(Spec::whole(5)));
        for name in ["", "x", "1:", "1:2-", "1:48", "1:3,2", "1:2,2", "-1"] {
            assert!(name.parse::<Spec>().is_err(), "{name}");
        }
    }

    #[test]
    fn pieces_are_left_out() {
        let spec: Spec = "9:1-3,7,9".parse().unwrap();
        let names: Vec<_> = spec.without(2).iter().map(Spec::to_string).collect();
        assert_eq!(names, ["9:3,7,9", "9:1-2,9", "9:1-3,7"]);
        assert!("9:4".parse::<Spec>().unwrap().without(3).is_empty());
        assert_eq!(Spec::whole(1).without(1).len(), STEPS);
    }

    #[test]
    fn a_list_has_remarks() {
        let list = parse_list("# head\n\n7 why\n8:1,2\tmore\n").unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0], Spec::whole(7));
        assert_eq!(list[1].steps, [1, 2]);
    }
}
