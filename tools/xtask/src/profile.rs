// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask bench --profile`: where the instructions of a sync round trip go, by
//! function, and which lines of the kernel's own data it writes, on the C driver and on
//! bus1.
//!
//! A plugin of QEMU (`tools/qemu-profile`) counts how often each block of code runs
//! while the program measures; symbols come from the kernel's map and from the guest.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, Context, Result};
use rustc_demangle::demangle;

use crate::ctx::Ctx;
use crate::guest::{Driver, Job};
use crate::host::{self, Need};
use crate::kernel::{self, Tree, Variant};
use crate::programs;
use crate::qemu;
use crate::run::Run;
use crate::session::driver_modules;

const ITERATIONS: u64 = 1000;
const LIMIT: Duration = Duration::from_secs(900);
/// How many functions are printed of each driver.
const TOP: usize = 100;
/// How many lines of data are.
const TOP_LINES: usize = 20;
/// Separates the program's output from the guest's symbols.
const SYMBOLS: &str = "== symbols";

/// Measures both drivers and prints a table for each.
pub fn run(ctx: &Ctx) -> Result<bool> {
    host::ensure(ctx, &[Need::Build, Need::Qemu])?;
    let tree = kernel::tree(ctx, Variant::X86)?;
    let program = programs::build(ctx)?.bin("binder-roundtrip");
    let plugin = build_plugin(ctx)?;
    for driver in [Driver::Stock, Driver::Bus1] {
        let profile = measure(ctx, &tree, driver, &program, &plugin)?;
        println!("{}", profile.table(driver.name()));
    }
    Ok(true)
}

fn build_plugin(ctx: &Ctx) -> Result<PathBuf> {
    let target = ctx.out.join("qemu-profile");
    let mut step = ctx.ui.step("build the plugin of QEMU", 0);
    Run::new("cargo", "cargo build", ctx.log("qemu-profile"))
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(ctx.repo.join("tools/qemu-profile/Cargo.toml"))
        .env("CARGO_TARGET_DIR", &target)
        .check(&mut step, |_, _| {})?;
    step.done();
    Ok(target.join("release/libqemu_profile.so"))
}

fn measure(
    ctx: &Ctx,
    tree: &Tree,
    driver: Driver,
    program: &Path,
    plugin: &Path,
) -> Result<Profile> {
    let counts = ctx.out.join(format!("profile-{}", driver.name()));
    let job = Job {
        name: format!("profile-{}", driver.name()),
        driver,
        modules: driver_modules(ctx, tree, driver)?,
        binderfs: true,
        leaks: false,
        command: format!(
            "/job/binder-roundtrip --device /dev/binderfs/bench --iterations {ITERATIONS} || exit\n\
             echo '{SYMBOLS}'\ngrep -F '[' /proc/kallsyms"
        ),
        limit: LIMIT,
    };
    let option = format!("{},out={}", plugin.display(), counts.display());
    let programs = [program.to_path_buf()];
    let boot = qemu::run(ctx, tree, &job, &programs, Some(&option))?;
    if let Err(why) = boot.verdict() {
        bail!("the guest of the {} driver: {why}", driver.name());
    }
    let Some((_, modules)) = boot.output.split_once(SYMBOLS) else {
        bail!("the program failed: {}", boot.output);
    };
    let map = tree.dir.join("System.map");
    let map = fs::read_to_string(&map).with_context(|| format!("cannot read {}", map.display()))?;
    let counts =
        fs::read_to_string(&counts).with_context(|| format!("cannot read {}", counts.display()))?;
    Ok(Profile::new(
        &Symbols::parse(&[&map, modules]),
        &counts,
        ITERATIONS,
    ))
}

/// Names of addresses.
struct Symbols(BTreeMap<u64, String>);

impl Symbols {
    /// From texts of lines `ADDRESS TYPE NAME [MODULE]`.
    fn parse(texts: &[&str]) -> Self {
        let symbol = |line: &str| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            let name = format!("{:#}", demangle(words.nth(1)?));
            Some((address, name))
        };
        Self(
            texts
                .iter()
                .flat_map(|text| text.lines())
                .filter_map(symbol)
                .collect(),
        )
    }

    /// The symbol that an address lies in: the last one that begins before it.
    fn name(&self, address: u64) -> &str {
        // Programs lie in the lower half.
        if address >> 63 == 0 {
            return "(programs)";
        }
        let before = self.0.range(..=address).next_back();
        before.map_or("(unknown)", |(_, name)| name)
    }
}

/// What one program run cost.
struct Profile {
    trips: u64,
    /// Instructions and entries by function.
    functions: HashMap<String, (u64, u64)>,
    /// Writes by line of the kernel's data, with the symbol that it begins in.
    lines: Vec<(String, u64)>,
}

impl Profile {
    /// From the lines that the plugin wrote.
    fn new(symbols: &Symbols, counts: &str, trips: u64) -> Self {
        let mut functions: HashMap<String, (u64, u64)> = HashMap::new();
        let mut lines = Vec::new();
        for line in counts.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
            let address = words
                .get(1)
                .and_then(|word| u64::from_str_radix(word, 16).ok());
            match (words[0], address, number(2), number(3)) {
                ("block", Some(address), Some(instructions), Some(runs)) => {
                    let entry = functions
                        .entry(symbols.name(address).to_owned())
                        .or_default();
                    entry.0 += instructions * runs;
                    if symbols.0.contains_key(&address) {
                        entry.1 += runs;
                    }
                }
                ("line", Some(address), Some(writes), None) if writes >= trips / 2 => {
                    lines.push((symbols.name(address).to_owned(), writes));
                }
                _ => {}
            }
        }
        lines.sort_by_key(|line| std::cmp::Reverse(line.1));
        Self {
            trips,
            functions,
            lines,
        }
    }

    fn table(&self, driver: &str) -> String {
        let each = |number: u64| number as f64 / self.trips as f64;
        let total: u64 = self.functions.values().map(|(sum, _)| sum).sum();
        let mut text = format!(
            "{driver}: {:.0} instructions a trip\n{:>9} {:>7}  function\n",
            each(total),
            "a trip",
            "calls"
        );
        let mut sorted: Vec<_> = self.functions.iter().collect();
        sorted.sort_by(|a, b| b.1 .0.cmp(&a.1 .0).then(a.0.cmp(b.0)));
        for (name, (sum, entries)) in sorted.iter().take(TOP) {
            text += &format!("{:>9.1} {:>7.1}  {name}\n", each(*sum), each(*entries));
        }
        text += &format!(
            "{} lines of the kernel's data written each trip\n",
            self.lines.len()
        );
        for (name, writes) in self.lines.iter().take(TOP_LINES) {
            text += &format!("{:>9.1}          {name}\n", each(*writes));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "ffffffff81000000 T start\nffffffff81000100 t next\n";

    #[test]
    fn an_address_has_the_name_of_the_symbol_before_it() {
        let symbols = Symbols::parse(&[MAP, "ffffffffa0000000 t in_module\t[binder]\n"]);
        assert_eq!(symbols.name(0xffff_ffff_8100_00ff), "start");
        assert_eq!(symbols.name(0xffff_ffff_8100_0100), "next");
        assert_eq!(symbols.name(0xffff_ffff_a000_0010), "in_module");
        assert_eq!(symbols.name(0x40_0000), "(programs)");
    }

    #[test]
    fn the_program_marks_what_the_plugin_looks_for() {
        let plugin = include_str!("../../qemu-profile/src/lib.rs");
        let program = include_str!("../../../user/bench/src/ticks.rs");
        for (mark, function) in [("BEGIN", "mark_begin"), ("END", "mark_end")] {
            let (_, wanted) = plugin.split_once(&format!("{mark}: [u8; 7] = [")).unwrap();
            let (wanted, _) = wanted.split_once(']').unwrap();
            let (_, body) = program.split_once(&format!("fn {function}()")).unwrap();
            let (_, bytes) = body.split_once("\".byte ").unwrap();
            assert_eq!(bytes.split_once('"').unwrap().0, wanted);
        }
    }

    #[test]
    fn counts_are_summed_by_function_and_trip() {
        let counts = "block ffffffff81000000 3 20\nblock ffffffff81000010 5 10\n\
                      block ffffffff81000100 1 10\nline ffffffff81000100 10\n\
                      line ffffffff81000000 1\n";
        let profile = Profile::new(&Symbols::parse(&[MAP]), counts, 10);
        assert_eq!(profile.functions["start"], (110, 20));
        assert_eq!(profile.functions["next"], (10, 10));
        assert_eq!(profile.lines, [("next".to_owned(), 10)]);
        assert!(profile
            .table("C")
            .starts_with("C: 12 instructions a trip\n"));
    }
}
