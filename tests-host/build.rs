// SPDX-License-Identifier: GPL-2.0

//! Tells the engine's files that they are compiled on the host.

fn main() {
    println!("cargo::rustc-cfg=bus1_host");
}
