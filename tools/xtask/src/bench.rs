// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask bench --quick`, in guest instructions: the sync round trip on the C
//! driver and on bus1, and what accounting costs a native message.
//!
//! What accounting costs is the difference to a module that is built without: the
//! same source, in which nobody is charged for anything.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{bail, Context, Result};

use crate::ctx::Ctx;
use crate::guest::{Boot, Driver, Job};
use crate::host::{self, Need};
use crate::kernel::{self, Tree, Variant};
use crate::module;
use crate::programs::{self, Programs};
use crate::qemu;

const ROUND_TRIPS: u64 = 2000;
const LIMIT: Duration = Duration::from_secs(600);

/// Accounting may be so many per cent of the instructions of a send.
const SHARE_LIMIT: f64 = 5.0;

/// The module without accounting, beside the other one in the guest.
const UNCHARGED: &str = "bus1-uncharged.ko";

/// What a native message costs, from the program's line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Message {
    send: f64,
    all: f64,
    shared: u64,
}

/// Measures all of it and prints the lines. False if accounting costs too much.
pub fn quick(ctx: &Ctx) -> Result<bool> {
    host::ensure(ctx, &[Need::Build, Need::Qemu])?;
    let tree = kernel::tree(ctx, Variant::X86)?;
    let programs = programs::build(ctx)?;
    let stock = run_stock(ctx, &tree, &programs)?;
    let boot = run_ours(ctx, &tree, &programs)?;
    let ours = figure(&boot, per_trip(&boot.output))?;
    println!("{}", line(stock, ours));
    let mut messages = boot.output.lines().filter_map(message);
    let pair = messages.next().zip(messages.next());
    let (with, without) = figure(&boot, pair)?;
    println!("{}", share_line(with, without));
    println!("{}", shared_line(with));
    let share = per_cent(with.send, without.send);
    if share > SHARE_LIMIT {
        println!("accounting is above {SHARE_LIMIT} % of a send");
    }
    Ok(share <= SHARE_LIMIT && with.shared == 0)
}

fn run_stock(ctx: &Ctx, tree: &Tree, programs: &Programs) -> Result<u64> {
    let program = programs.bin("binder-roundtrip");
    let modules = vec![tree.stock_driver()?];
    let boot = run(ctx, tree, Driver::Stock, modules, &[program], &round_trip())?;
    figure(&boot, per_trip(&boot.output))
}

/// The round trip, a message with accounting, and one without.
fn run_ours(ctx: &Ctx, tree: &Tree, programs: &Programs) -> Result<Boot> {
    let with = module::build(ctx, tree, &module::PLAIN, false)?;
    let without = module::build(ctx, tree, &module::UNCHARGED, false)?;
    let copy = ctx.out.join(UNCHARGED);
    fs::copy(without.dir.join("bus1.ko"), &copy)
        .with_context(|| format!("cannot write {}", copy.display()))?;
    let files = [
        programs.bin("binder-roundtrip"),
        programs.bin("bus1-send"),
        copy,
    ];
    // The guest unmounts binderfs and unloads bus1 at its end, whichever it is by then.
    let command = format!(
        "set -e\n{}\n/job/bus1-send\numount /dev/binderfs\nrmmod bus1\ninsmod /job/{UNCHARGED}\n\
         /job/bus1-send\nmount -t binder binder /dev/binderfs",
        round_trip()
    );
    let modules = vec![with.dir.join("bus1.ko")];
    run(ctx, tree, Driver::Bus1, modules, &files, &command)
}

fn round_trip() -> String {
    format!("/job/binder-roundtrip --device /dev/binderfs/bench --iterations {ROUND_TRIPS}")
}

fn run(
    ctx: &Ctx,
    tree: &Tree,
    driver: Driver,
    modules: Vec<PathBuf>,
    files: &[PathBuf],
    command: &str,
) -> Result<Boot> {
    let job = Job {
        name: format!("bench-{}", driver.name()),
        driver,
        modules,
        binderfs: true,
        leaks: false,
        command: command.into(),
        limit: LIMIT,
    };
    let boot = qemu::run(ctx, tree, &job, files, None)?;
    if let Err(why) = boot.verdict() {
        bail!("the guest of the {} driver: {why}", driver.name());
    }
    Ok(boot)
}

/// What was read from a guest's output, if that ended well.
fn figure<T>(boot: &Boot, found: Option<T>) -> Result<T> {
    match found {
        Some(found) if boot.exit == Some(0) => Ok(found),
        _ => bail!("the guest gave no figure: {}", boot.output),
    }
}

fn line(stock: u64, ours: u64) -> String {
    let ratio = ours as f64 / stock as f64;
    format!("sync round trip 64 B: C {stock} bus1 {ours} ratio {ratio:.2} x")
}

/// By how much the first is more, in per cent of it.
fn per_cent(with: f64, without: f64) -> f64 {
    100.0 * (with - without) / with
}

fn share_line(with: Message, without: Message) -> String {
    format!(
        "accounting: {:.1} % of a send of 64 B ({:.0} of {:.0}), {:.1} % of send, receive and release \
         ({:.0} of {:.0})",
        per_cent(with.send, without.send),
        with.send - without.send,
        with.send,
        per_cent(with.all, without.all),
        with.all - without.all,
        with.all,
    )
}

fn shared_line(with: Message) -> String {
    format!(
        "cache lines that two receivers are charged in: written for {} messages",
        with.shared
    )
}

/// The value of `name=` among the words of a line.
fn value<T: std::str::FromStr>(line: &str, name: &str) -> Option<T> {
    let word = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
    word.parse().ok()
}

/// Instructions of one round trip, from the program's line.
fn per_trip(output: &str) -> Option<u64> {
    let line = output
        .lines()
        .find_map(|line| line.trim().strip_prefix("roundtrip_64B "))?;
    let cost = value::<f64>(line, "instructions_per_trip")?.round();
    (1.0..1e12).contains(&cost).then_some(cost as u64)
}

/// What a message costs, if this line says it.
fn message(line: &str) -> Option<Message> {
    let line = line.trim().strip_prefix("native_64B ")?;
    let found = Message {
        send: value(line, "instructions_per_send")?,
        all: value(line, "instructions_per_message")?,
        shared: value(line, "shared")?,
    };
    (found.send >= 1.0 && found.all >= found.send).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_is_read() {
        let line = "x\nroundtrip_64B iterations=10 instructions_per_trip=100.5\r\n";
        assert_eq!(per_trip(line), Some(101));
        assert_eq!(
            per_trip("roundtrip_64B iterations=10 ticks_per_trip=100.5\n"),
            None
        );
        assert_eq!(
            per_trip("roundtrip_64B iterations=10 instructions_per_trip=0.0\n"),
            None
        );
        assert_eq!(per_trip("nothing"), None);
    }

    #[test]
    fn the_line_is_as_promised() {
        assert_eq!(
            line(1000, 1234),
            "sync round trip 64 B: C 1000 bus1 1234 ratio 1.23 x"
        );
    }

    #[test]
    fn the_share_is_that_of_the_difference() {
        let words = "instructions_per_send=400.0 instructions_per_message=1000.0 shared=0";
        let with = message(&format!("native_64B messages=9 {words}\r")).unwrap();
        let without = Message {
            send: 388.0,
            all: 980.0,
            shared: 0,
        };
        assert_eq!(
            share_line(with, without),
            "accounting: 3.0 % of a send of 64 B (12 of 400), 2.0 % of send, receive and release (20 of 1000)"
        );
        assert_eq!(
            message(&format!("native_64B messages=9 ticks_{words}")),
            None
        );
        assert_eq!(message("roundtrip_64B"), None);
    }
}
