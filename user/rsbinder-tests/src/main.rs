// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the Binder driver through rsbinder, with our own `.aidl`.
//!
//! One program in several parts, each a process: the meeting (the context manager
//! of the device), peers, and the tests, which start what they need of the others
//! and print TAP. Nothing here knows which driver is loaded.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

mod cases;
mod counts;
mod meeting;
mod mesh;
mod mortal;
mod peer;
#[path = "../../rsbinder-demo/src/tap.rs"]
mod tap;

/// What `build.rs` made of `aidl/`.
pub mod aidl {
    include!(concat!(env!("OUT_DIR"), "/rstest.rs"));
}

const USAGE: &str = "usage: rsbinder-tests meeting DEVICE
       rsbinder-tests peer DEVICE ROOM
       rsbinder-tests mesh DEVICE MEMBERS ROUNDS
       rsbinder-tests run DEVICE
       rsbinder-tests add-device DIR NAME";

/// Makes the device `name` in the binderfs mounted at `dir`.
fn add_device(dir: &str, name: &str) -> Result<(), Box<dyn Error>> {
    rsbinder::binderfs::add_device(&Path::new(dir).join("binder-control"), name)?;
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["meeting", device] => meeting::run(device).map(|()| true),
        ["peer", device, room] => peer::run(device, room).map(|()| true),
        ["mesh", device, members, rounds] => mesh::member(device, members, rounds),
        ["run", device] => cases::run(device),
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
