// SPDX-License-Identifier: MIT OR Apache-2.0

//! Random clients of both interfaces of bus1.

mod binder;
mod counters;
mod faults;
mod native;
mod random;
mod spec;

use std::process::ExitCode;
use std::time::Duration;

use tests_binder::world::{Fail, Res};

const USAGE: &str = "\
usage: bus1-fuzz binder --dir DIR --outcomes FILE [--list FILE].. [--seed N] [--seconds S]
       bus1-fuzz compare STOCK OURS
       bus1-fuzz without SIZE STREAM
       bus1-fuzz storm --dir DIR [--seed N] [--seconds S]
       bus1-fuzz native [--seed N] [--seconds S]
       bus1-fuzz faults --dir DIR

binder   plays streams against the binderfs mounted at DIR: those that FILE names,
         then, for S seconds, those with the seeds N, N+1, ..
compare  says whether two such runs are the same; TAP on stdout
without  names the streams that STREAM is without SIZE of its steps
storm    plays many streams at the same time, with nothing compared; TAP on stdout
native   random clients of /dev/bus1; TAP on stdout
faults   has each allocation of each step of both interfaces fail; TAP on stdout
";

#[derive(Default)]
struct Options {
    dir: Option<String>,
    outcomes: Option<String>,
    lists: Vec<String>,
    seed: u64,
    seconds: u64,
}

fn options(mut rest: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options::default();
    while let Some(option) = rest.next() {
        let value = rest.next()?;
        match option.as_str() {
            "--dir" => options.dir = Some(value),
            "--outcomes" => options.outcomes = Some(value),
            "--list" => options.lists.push(value),
            "--seed" => options.seed = value.parse().ok()?,
            "--seconds" => options.seconds = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(options)
}

/// What the command line asks for; nothing if it can't be understood.
fn run(command: &str, mut rest: impl Iterator<Item = String>) -> Option<Res<bool>> {
    if command == "compare" {
        let (stock, ours) = (rest.next()?, rest.next()?);
        return Some(binder::judge::judge(&stock, &ours));
    }
    if command == "without" {
        let (size, spec) = (rest.next()?.parse().ok()?, rest.next()?);
        let spec: spec::Spec = spec.parse().ok()?;
        for smaller in spec.without(size) {
            println!("{smaller}");
        }
        return Some(Ok(true));
    }
    let options = options(rest)?;
    let time = Duration::from_secs(options.seconds);
    match (command, options.dir, options.outcomes) {
        ("binder", Some(dir), Some(outcomes)) => {
            let played = binder::run(&binder::Plan {
                dir: &dir,
                lists: options.lists,
                seed: options.seed,
                time,
                outcomes: &outcomes,
            });
            Some(played.map(|played| {
                println!("# {played} streams");
                played > 0
            }))
        }
        ("storm", Some(dir), None) => Some(binder::storm::run(&dir, options.seed, time)),
        ("faults", Some(dir), None) => Some(faults::run(&dir)),
        ("native", None, None) => Some(native::run(options.seed, time)),
        _ => None,
    }
}

fn main() -> ExitCode {
    let mut rest = std::env::args().skip(1);
    let command = rest.next().unwrap_or_default();
    match run(&command, rest) {
        Some(Ok(true)) => ExitCode::SUCCESS,
        Some(Ok(false)) => ExitCode::FAILURE,
        Some(Err(Fail(why))) => {
            eprintln!("bus1-fuzz: {why}");
            ExitCode::from(2)
        }
        None => {
            eprint!("{USAGE}");
            ExitCode::from(64)
        }
    }
}
