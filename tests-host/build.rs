// SPDX-License-Identifier: GPL-2.0
fn main() { println!("cargo::rustc-cfg=bus1_host"); }
