// SPDX-License-Identifier: MIT OR Apache-2.0

//! Two peers, one message.

mod common;

use std::process::ExitCode;

use bus1::Peer;
use common::{finish, next_message, text, Outcome};

fn run() -> Outcome {
    let server = Peer::open()?;
    let client = Peer::open()?;
    println!("two peers are open: server and client");

    let object = server.node();
    let handle = object.transfer(&client)?;
    println!("the server made {object:?}; the client holds {handle:?} to it");

    client
        .send()
        .to(&handle)
        .payload(b"hello, ")
        .payload(b"world")
        .commit()?;
    println!("the client sent a message in two pieces, with one copy in all");

    let message = next_message(&server, "the server")?;
    println!(
        "the server got \"{}\" for {:?} from process {} of user {}",
        text(&message),
        message.destination,
        message.sender.pid,
        message.sender.uid
    );
    if message.destination != object.id() || &message.payload[..] != b"hello, world" {
        return Err("that is not what was sent".into());
    }
    Ok(())
}

fn main() -> ExitCode {
    finish(run())
}
