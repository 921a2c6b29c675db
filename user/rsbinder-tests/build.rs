// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns `aidl/` into Rust.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=aidl");
    rsbinder_aidl::Builder::new()
        .source(PathBuf::from("aidl"))
        .output(PathBuf::from("rstest.rs"))
        .generate()?;
    Ok(())
}
