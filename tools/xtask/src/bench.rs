// SPDX-License-Identifier: GPL-2.0

//! `cargo xtask bench --quick`: the sync round trip on the C driver and on bus1,
//! in guest instructions.

use std::time::Duration;

use anyhow::{bail, Result};

use crate::ctx::Ctx;
use crate::guest::{Driver, Job};
use crate::host::{self, Need};
use crate::kernel::{self, Variant};
use crate::programs;
use crate::qemu;
use crate::session::driver_modules;

const ITERATIONS: u64 = 2000;
const LIMIT: Duration = Duration::from_secs(600);

/// Measures both and prints the line.
pub fn quick(ctx: &Ctx) -> Result<bool> {
    host::ensure(ctx, &[Need::Build, Need::Qemu])?;
    let tree = kernel::tree(ctx, Variant::X86)?;
    let program = programs::build(ctx)?.bin("binder-roundtrip");
    let mut costs = Vec::new();
    for driver in [Driver::Stock, Driver::Bus1] {
        let job = Job {
            name: format!("bench-{}", driver.name()),
            driver,
            modules: driver_modules(ctx, &tree, driver)?,
            binderfs: true,
            leaks: false,
            command: format!(
                "/job/binder-roundtrip --device /dev/binderfs/bench --iterations {ITERATIONS}"
            ),
            limit: LIMIT,
        };
        let boot = qemu::run(ctx, &tree, &job, std::slice::from_ref(&program), None)?;
        if let Err(why) = boot.verdict() {
            bail!("the guest of the {} driver: {why}", driver.name());
        }
        match per_trip(&boot.output) {
            Some(cost) if boot.exit == Some(0) => costs.push(cost),
            _ => bail!(
                "the {} driver gave no figure: {}",
                driver.name(),
                boot.output
            ),
        }
    }
    println!("{}", line(costs[0], costs[1]));
    Ok(true)
}

fn line(stock: u64, ours: u64) -> String {
    let ratio = ours as f64 / stock as f64;
    format!("sync round trip 64 B: C {stock} bus1 {ours} ratio {ratio:.2} x")
}

/// Instructions of one round trip, from the program's line.
fn per_trip(output: &str) -> Option<u64> {
    let line = output
        .lines()
        .find_map(|line| line.trim().strip_prefix("roundtrip_64B "))?;
    let figure = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("instructions_per_trip="))?;
    let cost = figure.parse::<f64>().ok()?.round();
    (1.0..1e12).contains(&cost).then_some(cost as u64)
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
}
