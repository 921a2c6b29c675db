// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the engine says is still alive.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// The engine's own numbers, where it is loaded.
const COUNTERS: &str = "/sys/kernel/debug/bus1/counters";

/// Some of the work of a close is done a moment later.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is alive now, in words.
pub fn alive() -> String {
    let text = std::fs::read_to_string(COUNTERS).unwrap_or_default();
    let alive = |line: &&str| {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        name.ends_with("-alive") && value.trim() != "0"
    };
    text.lines().filter(alive).collect::<Vec<_>>().join(", ")
}

/// What is alive although all files are closed; none if nothing is, or if this
/// driver doesn't count.
pub fn left() -> Option<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let alive = alive();
        if alive.is_empty() {
            return None;
        }
        if Instant::now() > deadline {
            return Some(alive);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The same, and how often the module is in use: by open files and their mappings.
pub fn state() -> String {
    let uses = std::fs::read_to_string("/sys/module/bus1/refcnt").unwrap_or_default();
    format!("{}, module {}", alive(), uses.trim())
}
