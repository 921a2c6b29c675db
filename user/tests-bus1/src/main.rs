// SPDX-License-Identifier: MIT OR Apache-2.0

//! Conformance tests of `/dev/bus1`.
//!
//! ```text
//! tests-bus1                          all cases
//! tests-bus1 --only WORD              cases whose name contains WORD
//! tests-bus1 --list                   their names
//! tests-bus1 --order-stress SECONDS   the global order under load, two CPUs
//! tests-bus1 --death-races N          destruction against handles on their way
//! tests-bus1 --mass-death N PEERS     the end of N nodes that so many peers hold
//! tests-bus1 --shares MOST            what is left to who comes late, as a table
//! ```
//!
//! Results are in the Test Anything Protocol; the last line counts them. The
//! exit status is 0 if no case failed and at least one passed, 2 if there is no
//! device. The variable `BUS1_DEVICE` names another device than `/dev/bus1`, and
//! `BUS1_ERRORS` a file that takes the errors that the commands have met.
//!
//! The cases know the documents, not the driver: a case that the driver can't do
//! yet is `not ok`, or a skip with its reason where the driver says so itself.

mod budget;
mod cases;
mod deaths;
mod errors;
mod expect;
mod foreign;
mod helper;
mod memory;
mod pressure;
mod races;
mod raw;
mod realm;
mod scratch;
mod shares;
mod stress;
mod tap;
mod users;
mod verdict;

use std::process::ExitCode;

use cases::{all, Case};

const USAGE: &str = "usage: tests-bus1 [--only WORD | --list | --case NAME | \
                     --order-stress SECONDS | --death-races N | --mass-death N PEERS | \
                     --shares MOST]";

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(64)
}

/// Runs those cases whose name contains `word`.
fn suite(word: &str) -> ExitCode {
    let cases = all();
    let chosen: Vec<&Case> = cases.iter().filter(|one| one.name.contains(word)).collect();
    if chosen.is_empty() {
        eprintln!("tests-bus1: no case has \"{word}\" in its name");
        return ExitCode::from(64);
    }
    if let Err(why) = raw::Peer::open() {
        println!("Bail out! {why}");
        return ExitCode::from(2);
    }
    let totals = tap::run_all(&chosen);
    println!(
        "{} passed, {} failed, {} skipped",
        totals.passed, totals.failed, totals.skipped
    );
    if totals.failed == 0 && totals.passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [] => suite(""),
        ["--only", word] => suite(word),
        ["--list"] => {
            all().iter().for_each(|case| println!("{}", case.name));
            ExitCode::SUCCESS
        }
        ["--case", name] => match all().iter().find(|case| case.name == name) {
            Some(case) => exit(tap::run_here(case)),
            None => usage(),
        },
        ["--helper", name, ref rest @ ..] => exit(cases::helper(name, rest)),
        ["--order-stress", seconds] => match seconds.parse() {
            Ok(seconds) => exit(stress::command(seconds)),
            Err(_) => usage(),
        },
        ["--death-races", races] => match races.parse() {
            Ok(races) => exit(races::command(races)),
            Err(_) => usage(),
        },
        ["--mass-death", nodes, peers] => match (nodes.parse(), peers.parse()) {
            (Ok(nodes), Ok(peers)) => exit(deaths::command(nodes, peers)),
            _ => usage(),
        },
        ["--shares", most] => match most.parse() {
            Ok(most) => exit(shares::command(most)),
            Err(_) => usage(),
        },
        ["--stress-worker", ref rest @ ..] => exit(stress::worker_command(rest)),
        _ => usage(),
    }
}
