// SPDX-License-Identifier: MIT OR Apache-2.0

//! Two processes; one puts a text into a memory file and sends the file.

mod common;

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::ExitCode;

use bus1::Peer;
use common::{be_introduced, finish, introduce, next_message, parent, start, text, Outcome};
use rustix::fs::{memfd_create, MemfdFlags};

/// A text that nobody would want to copy through a message.
fn poem() -> String {
    "A page, a page, a page of it,\n".repeat(4000)
}

fn writer() -> Outcome {
    let peer = Peer::open()?;
    let reader = be_introduced(&peer, &mut parent()?)?;
    let mut file = File::from(memfd_create("poem", MemfdFlags::CLOEXEC)?);
    file.write_all(poem().as_bytes())?;
    file.rewind()?;
    peer.send()
        .to(&reader)
        .payload(b"a poem")
        .file(&file)
        .commit()?;
    println!(
        "process {} wrote {} bytes to a memory file and sent the file",
        std::process::id(),
        poem().len()
    );
    Ok(())
}

fn run() -> Outcome {
    if std::env::args().nth(1).as_deref() == Some("writer") {
        return writer();
    }
    let peer = Peer::open()?;
    let desk = peer.node();
    let (mut child, mut socket) = start("writer")?;
    introduce(&desk, &mut socket)?;

    let mut message = next_message(&peer, "the reader")?;
    println!(
        "process {} got \"{}\" from process {}, with {} file",
        std::process::id(),
        text(&message),
        message.sender.pid,
        message.files.len()
    );
    if message.sender.pid != child.id() {
        return Err("the message is from somebody else".into());
    }
    let file = message.files.pop().ok_or("the message brought no file")?;
    let mut read = String::new();
    File::from(file).read_to_string(&mut read)?;
    if read != poem() {
        return Err("the file holds another text".into());
    }
    println!("the file holds the {} bytes that were written", read.len());
    if !child.wait()?.success() {
        return Err("the writer has failed".into());
    }
    Ok(())
}

fn main() -> ExitCode {
    finish(run())
}
