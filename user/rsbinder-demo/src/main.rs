// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Binder service and client on rsbinder, with our own `.aidl`.
//!
//! Both are one program, so that a guest needs one file. The client prints TAP
//! and kills the service in the middle of a call.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

mod client;
mod service;
mod tap;

/// What `build.rs` made of `aidl/`.
pub mod aidl {
    include!(concat!(env!("OUT_DIR"), "/rsdemo.rs"));
}

const USAGE: &str = "usage: rsbinder-demo service DEVICE NAME
       rsbinder-demo client DEVICE NAME
       rsbinder-demo add-device DIR NAME";

/// Makes the device `name` in the binderfs mounted at `dir`.
fn add_device(dir: &str, name: &str) -> Result<(), Box<dyn Error>> {
    rsbinder::binderfs::add_device(&Path::new(dir).join("binder-control"), name)?;
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["service", device, name] => service::run(device, name).map(|()| true),
        ["client", device, name] => client::run(device, name),
        ["add-device", dir, name] => add_device(dir, name).map(|()| true),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
