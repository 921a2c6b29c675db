// SPDX-License-Identifier: MIT OR Apache-2.0

//! `--shares MOST`: what is left of a receiver to who comes late, as a table.
//!
//! So many users, one after the other, take all that they can get, and nobody ever gives
//! anything back: the worst that can be done to any of the rules. Who comes after `k` of them gets
//! what is in the table, by the rule of 2016 and by ours; "promised" is what it gets in any case,
//! whatever the others do.

#![forbid(unsafe_code)]

use crate::budget::{Budget, Rule};
use crate::cases::figure;
use crate::raw::{Peer, KEEP};
use crate::users::{need_users, peer_of, Sender, FIRST};
use crate::verdict::{check, equal, works, Verdict};

/// So many come before the one who is looked at.
const BEFORE: [usize; 7] = [1, 2, 5, 10, 20, 100, 1000];

/// The least that a share of bytes is worth having.
const BYTES_LEAST: u64 = 512;

/// What each of `holders` may hold of a reserve, written down once more from the text of the rule:
/// half of it flat, half harmonic.
pub fn promised(reserve: u64, least: u64, holders: u64) -> u64 {
    let flat = least.max(reserve / 2048);
    let flat_holders = (reserve / 2 / flat).min(1024);
    let harmonic = reserve - flat_holders * flat;
    let fits = |divisor: &u64| {
        let last = (harmonic / divisor).max(1);
        10 * divisor >= 7 * (u64::from(last.ilog2()) + 1) + 2
    };
    let divisor = (2..12).find(fits).unwrap_or(12);
    let flat = if holders <= flat_holders { flat } else { 0 };
    flat + harmonic / (divisor * holders)
}

/// What is taken of a receiver.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// Messages, of so many.
    Messages(u32),
    /// Bytes, of so many.
    Bytes(u32),
}

impl Taken {
    fn resource(self) -> &'static str {
        match self {
            Taken::Messages(_) => "slices",
            Taken::Bytes(_) => "bytes",
        }
    }

    fn limit(self) -> u32 {
        match self {
            Taken::Messages(limit) | Taken::Bytes(limit) => limit,
        }
    }

    /// Takes all that a sender gets. `most` is how large a message can be.
    fn take(self, sender: &Sender, buffer: &[u8], most: &mut usize) -> Verdict<u64> {
        match self {
            Taken::Messages(_) => sender.say_all(&[1; 8]),
            Taken::Bytes(_) => {
                let (taken, first) = sender.take_bytes(buffer, *most)?;
                *most = first;
                Ok(taken)
            }
        }
    }

    /// What is promised to who comes after so many.
    fn promised(self, before: usize) -> u64 {
        let (reserve, holders) = (u64::from(self.limit() / 2), before as u64 + 1);
        match self {
            Taken::Messages(_) => promised(reserve, 1, holders),
            Taken::Bytes(_) => promised(reserve, BYTES_LEAST, holders),
        }
    }

    /// As much of it as can be taken: bytes are counted by eight.
    fn in_whole(self, amount: u64) -> u64 {
        match self {
            Taken::Messages(_) => amount,
            Taken::Bytes(_) => amount / 8 * 8,
        }
    }
}

/// The columns.
const COLUMNS: [Taken; 3] = [
    Taken::Messages(1024),
    Taken::Messages(16_384),
    Taken::Bytes(16 << 20),
];

/// What each of the users gets, in their order.
fn one_after_the_other(
    users: Vec<Peer>,
    taken: Taken,
    rule: Rule,
) -> Verdict<(Vec<u64>, Vec<Peer>)> {
    let _rule = rule.hold()?;
    let receiver = peer_of(FIRST)?;
    let mut limits = KEEP;
    match taken {
        Taken::Messages(limit) => limits.max_slices = limit,
        Taken::Bytes(limit) => limits.max_inflight_bytes = limit,
    }
    works("RESET", receiver.reset(limits))?;
    let buffer = vec![1; taken.limit() as usize];
    let (mut got, mut back) = (Vec::new(), Vec::new());
    let mut most = buffer.len();
    for user in users {
        let sender = Sender::new(user, &receiver)?;
        got.push(taken.take(&sender, &buffer, &mut most)?);
        // The cap that the module says is the one of the text.
        let figure = |what| figure(&receiver, &format!("bus1-{}-{what}", taken.resource()));
        let holders = figure("principals")?;
        if rule == Rule::Ours && holders == got.len() as u64 {
            let before = got.len() - 1;
            equal("cap", figure("cap")?, taken.promised(before))?;
        }
        back.push(sender.peer);
    }
    Ok((got, back))
}

/// Makes the table, and fails if somebody gets less than is promised, or if the rule of 2016 keeps
/// up with that: then the test would not see the attack.
fn table(most: usize) -> Verdict<Vec<String>> {
    let before = BEFORE.into_iter().filter(|before| *before <= most);
    let before: Vec<usize> = before.collect();
    need_users(most as u64 + 200)?;
    let _budget = Budget::large()?;
    let mut users = (0..=most as u32)
        .map(|user| peer_of(FIRST + 1 + user))
        .collect::<Verdict<Vec<_>>>()?;
    let mut rows: Vec<String> = before
        .iter()
        .map(|before| format!("| {before} |"))
        .collect();
    for taken in COLUMNS {
        let (old, back) = one_after_the_other(users, taken, Rule::Of2016)?;
        let (new, back) = one_after_the_other(back, taken, Rule::Ours)?;
        users = back;
        for (row, &before) in rows.iter_mut().zip(&before) {
            let (old, new, promised) = (old[before], new[before], taken.promised(before));
            row.push_str(&format!(" {old} | {new} | {promised} |"));
            check("what is promised is there", new >= taken.in_whole(promised))?;
            check("2016 shuts out who comes late", before < 20 || old < 16)?;
        }
    }
    Ok(rows)
}

/// `--shares MOST`: the rows up to so many before.
pub fn command(most: usize) -> i32 {
    if let Err(why) = Peer::open() {
        println!("Bail out! {why}");
        return 2;
    }
    println!("TAP version 13\n1..1");
    match table(most) {
        Ok(rows) => {
            for row in rows {
                println!("# {row}");
            }
            println!("ok 1 who_comes_late_gets_what_is_promised\n1 passed, 0 failed, 0 skipped");
            0
        }
        Err(why) => {
            println!("not ok 1 who_comes_late_gets_what_is_promised\n# {why}\n0 passed, 1 failed, 0 skipped");
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_are_those_of_the_design() {
        let caps = |reserve| [1, 2, 6, 11, 21, 101, 1001].map(|n| promised(reserve, 1, n));
        assert_eq!(caps(8192), [516, 260, 89, 50, 28, 9, 4]);
        assert_eq!(caps(512), [52, 26, 9, 5, 3, 1, 0]);
        let bytes = [11, 101, 1001].map(|n| promised(8 << 20, BYTES_LEAST, n));
        assert_eq!(bytes, [35_871, 7_556, 4_445]);
    }
}
