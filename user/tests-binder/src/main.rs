// SPDX-License-Identifier: MIT OR Apache-2.0

//! Command line of the conformance program.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use tests_binder::cases::{all, labelled, se, Case};
use tests_binder::compare::{compare, parse_expected, parse_outcomes, to_tap};
use tests_binder::runner::{run, slurp, Plan};
use tests_binder::world::{Fail, Res};

const USAGE: &str = "\
usage: tests-binder --dir DIR [--outcomes FILE] [--only TEXT] [--timeout S] [--stock FILE]
                    [--links N] [--selinux POLICY]
       tests-binder --compare STOCK OURS --expected FILE
       tests-binder --list

Runs the cases, as root, against the binderfs mounted at DIR; TAP on stdout.
  --outcomes FILE  what the driver answered, a line per case; - puts these
                   lines on stdout, each after '# outcome '
  --only TEXT      only cases whose name contains TEXT
  --timeout S      time limit of a case, 90 s if not given
  --links N        length of the chains of nested calls, 100 if not given
  --selinux POLICY loads that policy, enforces it, and runs the cases about it
                   instead of all others
  --stock FILE     the driver is the stock one: cases in this table of expected
                   differences may fail and are marked TODO
  --compare A B    compares two files of outcomes, TAP on stdout
";

/// Puts a prefix before each line, for outcomes between lines of TAP.
struct Prefixed;

impl Write for Prefixed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = io::stdout().lock();
        for line in String::from_utf8_lossy(bytes).lines() {
            writeln!(out, "# outcome {line}")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

#[derive(Default)]
struct Arguments {
    dir: Option<String>,
    outcomes: Option<String>,
    only: String,
    timeout: Option<u64>,
    links: Option<u64>,
    stock: Option<String>,
    selinux: Option<String>,
    compare: Option<(String, String)>,
    expected: Option<String>,
    list: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let mut rest = std::env::args().skip(1);
    while let Some(option) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{option} needs a value"));
        match option.as_str() {
            "--dir" => parsed.dir = Some(value()?),
            "--outcomes" => parsed.outcomes = Some(value()?),
            "--only" => parsed.only = value()?,
            "--timeout" => {
                let seconds = value()?.parse().map_err(|_| "--timeout needs seconds")?;
                parsed.timeout = Some(seconds);
            }
            "--links" => {
                let links = value()?.parse().map_err(|_| "--links needs a number")?;
                parsed.links = Some(links);
            }
            "--selinux" => parsed.selinux = Some(value()?),
            "--stock" => parsed.stock = Some(value()?),
            "--compare" => parsed.compare = Some((value()?, value()?)),
            "--expected" => parsed.expected = Some(value()?),
            "--list" => parsed.list = true,
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(parsed)
}

fn run_comparison(stock: &str, ours: &str, expected: &str) -> Res<bool> {
    let stock = parse_outcomes(&slurp(stock)?)?;
    let ours = parse_outcomes(&slurp(ours)?)?;
    let lines = compare(&stock, &ours, &parse_expected(&slurp(expected)?)?);
    print!("{}", to_tap(&lines));
    Ok(lines.iter().all(|line| line.passed))
}

fn run_cases(dir: &str, arguments: &Arguments) -> Res<bool> {
    let cases: Vec<&Case> = match &arguments.selinux {
        Some(_) => labelled().collect(),
        None => all().collect(),
    };
    let cases: Vec<_> = cases
        .into_iter()
        .filter(|case| case.name.contains(&arguments.only))
        .collect();
    if cases.is_empty() {
        return Err(Fail(format!("no case is called like {}", arguments.only)));
    }
    if let Some(policy) = &arguments.selinux {
        se::load(policy)?;
    }
    let mut outcomes: Box<dyn Write> = match arguments.outcomes.as_deref() {
        None => Box::new(io::sink()),
        // One write per line, whatever the formatting code does.
        Some("-") => Box::new(io::LineWriter::new(Prefixed)),
        Some(path) => Box::new(File::create(path)?),
    };
    if let Some(links) = arguments.links {
        tests_binder::deep::set_length(links);
    }
    let known = match &arguments.stock {
        Some(path) => parse_expected(&slurp(path)?)?,
        None => BTreeMap::new(),
    };
    let limit = Duration::from_secs(arguments.timeout.unwrap_or(90));
    let plan = Plan {
        dir,
        cases,
        limit,
        known,
    };
    Ok(run(&plan, &mut io::stdout(), &mut outcomes)? == 0)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(why) => {
            eprint!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let result = match (&arguments.compare, &arguments.expected, &arguments.dir) {
        (Some((stock, ours)), Some(expected), None) => run_comparison(stock, ours, expected),
        (None, None, Some(dir)) => run_cases(dir, &arguments),
        (None, None, None) if arguments.list => {
            for case in all().chain(labelled()) {
                println!("{} {}", case.section, case.name);
            }
            Ok(true)
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Fail(why)) => {
            eprintln!("tests-binder: {why}");
            ExitCode::from(2)
        }
    }
}
