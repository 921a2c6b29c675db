// SPDX-License-Identifier: MIT OR Apache-2.0

//! Compares what two drivers have answered to the same streams.
//!
//! One difference can't be kept from being drawn: when the last reference to a node
//! goes while its owner still holds it by a buffer, the stock driver queues the news
//! at once, which say nothing then, and something if they are read after the buffer
//! was freed. Ours are queued when there is something to say. So BR_RELEASE and
//! BR_DECREFS may stand at another place; a stream that parts in that must have the
//! same items on the whole.

#![forbid(unsafe_code)]

use tests_binder::compare::parse_outcomes;
use tests_binder::runner::slurp;
use tests_binder::world::Res;

/// How the outcomes of a stream compare.
#[derive(Debug, PartialEq, Eq)]
enum Comparison {
    Same,
    /// News of nodes come at another place.
    Moved,
    /// In another way, in words.
    Other(String),
}

/// The items of a read, in words; none if the line is no read.
fn items(line: &str) -> impl Iterator<Item = &str> {
    let read = line
        .split_once(" r")
        .and_then(|(_, rest)| rest.split_once('['));
    let read = read.and_then(|(_, rest)| rest.strip_suffix(']'));
    read.unwrap_or("")
        .split(' ')
        .filter(|item| !item.is_empty() && *item != "NOOP")
}

/// Whether two lines are the same but for news of nodes.
fn alike(stock: &str, ours: &str) -> bool {
    let call = |line: &str| line.split_once(")=").map(|(call, _)| call.to_owned());
    let news = |item: &&str| item.starts_with("RELEASE(") || item.starts_with("DECREFS(");
    let others = |line| -> Vec<String> {
        items(line)
            .filter(|item| !news(item))
            .map(str::to_owned)
            .collect()
    };
    call(stock).is_some() && call(stock) == call(ours) && others(stock) == others(ours)
}

fn all_items<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut all: Vec<&str> = lines.iter().flat_map(|line| items(line)).collect();
    all.sort_unstable();
    all
}

fn compare(stock: &str, ours: &str) -> Comparison {
    let (stock, ours): (Vec<&str>, Vec<&str>) =
        (stock.split("; ").collect(), ours.split("; ").collect());
    // A stream that ends badly has told nothing, whatever both say.
    let failed = |lines: &[&str]| lines.iter().any(|line| line.starts_with("FAILED "));
    if stock == ours && !failed(&stock) {
        return Comparison::Same;
    }
    let equal = stock.iter().zip(&ours).take_while(|(a, b)| a == b).count();
    let at = |lines: &[&str]| {
        lines
            .get(equal)
            .or(lines.last())
            .copied()
            .unwrap_or("")
            .to_owned()
    };
    let (a, b) = (at(&stock), at(&ours));
    if alike(&a, &b) && !failed(&ours) && all_items(&stock) == all_items(&ours) {
        return Comparison::Moved;
    }
    let step = stock[..equal].iter().rfind(|line| line.starts_with('#'));
    Comparison::Other(format!(
        "step {}: stock: {a} | ours: {b}",
        step.unwrap_or(&"#")
    ))
}

/// Compares the outcomes of two drivers, as TAP; says whether they are the same.
pub fn judge(stock: &str, ours: &str) -> Res<bool> {
    let stock = parse_outcomes(&slurp(stock)?)?;
    let ours = parse_outcomes(&slurp(ours)?)?;
    let (mut wrong, mut moved, mut answers) = (Vec::new(), 0, 0);
    for (name, outcome) in &stock {
        answers += outcome
            .split("; ")
            .filter(|line| !line.starts_with('#'))
            .count();
        let other = ours.get(name).map_or("", String::as_str);
        match compare(outcome, other) {
            Comparison::Same => {}
            Comparison::Moved => moved += 1,
            Comparison::Other(how) => wrong.push(format!("{name} {how}")),
        }
    }
    println!("TAP version 13\n1..2");
    let verdict = |good: bool| if good { "ok" } else { "not ok" };
    println!("{} 1 streams_play_as_on_stock", verdict(wrong.is_empty()));
    println!(
        "# {} streams, {answers} answers, {moved} times news of nodes moved",
        stock.len()
    );
    for line in &wrong {
        println!("# stream {line}");
    }
    // A run of few answers would prove nothing.
    let enough = !stock.is_empty() && answers > 40 * stock.len() && 5 * moved <= stock.len();
    println!("{} 2 streams_say_something", verdict(enough));
    Ok(wrong.is_empty() && enough)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "P1s(free)=0 w12/12 r72[NOOP RELEASE(1,2) TRANSACTION{to=1 code=4}]";
    const LATER: &str = "P1s(free)=0 w12/12 r56[NOOP TRANSACTION{to=1 code=4}]";

    #[test]
    fn equal_streams_are_the_same_unless_both_failed() {
        assert_eq!(compare("#1; a; b", "#1; a; b"), Comparison::Same);
        let failed = "#1; a; FAILED no end";
        assert!(matches!(compare(failed, failed), Comparison::Other(_)));
    }

    #[test]
    fn the_first_difference_is_told_with_its_step() {
        let Comparison::Other(how) = compare("#1; a; #2; b", "#1; a; #2; c") else {
            panic!("they differ");
        };
        assert_eq!(how, "step #2: stock: b | ours: c");
    }

    #[test]
    fn news_of_nodes_may_move_and_not_vanish() {
        let stock = format!("#1; {BOTH}; P1s(read)=EAGAIN r0[]");
        let ours = format!("#1; {LATER}; P1s(read)=0 r24[NOOP RELEASE(1,2)]");
        assert_eq!(compare(&stock, &ours), Comparison::Moved);
        let never = format!("#1; {LATER}; P1s(read)=EAGAIN r0[]");
        assert!(matches!(compare(&stock, &never), Comparison::Other(_)));
    }

    #[test]
    fn other_items_may_not_move() {
        let stock = "#1; P(read)=0 r8[NOOP COMPLETE]; P(read)=EAGAIN r0[]";
        let ours = "#1; P(read)=EAGAIN r0[]; P(read)=0 r8[NOOP COMPLETE]";
        assert!(matches!(compare(stock, ours), Comparison::Other(_)));
    }
}
