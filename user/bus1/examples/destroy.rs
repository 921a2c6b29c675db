// SPDX-License-Identifier: MIT OR Apache-2.0

//! Three processes: one destroys its node while two others hold it; both are
//! told, right after its last message.

mod common;

use std::process::ExitCode;

use bus1::{Event, Peer, SendFault};
use common::{be_introduced, finish, introduce, next, next_message, parent, start, text, Outcome};

/// A process that holds a handle and waits for the end of the node.
fn holder() -> Outcome {
    let me = format!("holder {}", std::process::id());
    let peer = Peer::open()?;
    let handle = be_introduced(&peer, &mut parent()?)?;
    let inbox = peer.node();
    peer.send()
        .to(&handle)
        .payload(me.as_bytes())
        .handle(&inbox)
        .commit()?;

    let message = next_message(&peer, &me)?;
    println!("{me}: got \"{}\"", text(&message));
    drop(message);
    match next(&peer, &me)? {
        Event::NodeDestroyed(notice) if notice.id == handle.id() => {
            println!("{me}: was told that the node of {handle:?} is destroyed");
        }
        other => return Err(format!("{me} got {other:?}").into()),
    }
    match peer.send().to(&handle).payload(b"anybody?").commit() {
        Err(error) if error.fault() == SendFault::Unreachable => {
            println!("{me}: can't send to it any more: {error}");
            Ok(())
        }
        other => Err(format!("{me}: sending to a dead node gave {other:?}").into()),
    }
}

fn run() -> Outcome {
    if std::env::args().nth(1).as_deref() == Some("holder") {
        return holder();
    }
    let peer = Peer::open()?;
    let room = peer.node();
    let mut children = Vec::new();
    for _ in 0..2 {
        let (child, mut socket) = start("holder")?;
        introduce(&room, &mut socket)?;
        children.push(child);
    }

    let mut members = Vec::new();
    for _ in &children {
        let mut message = next_message(&peer, "the owner")?;
        println!("owner: \"{}\" holds the node", text(&message));
        match message.handles.pop() {
            Some(Some(member)) => members.push(member),
            _ => return Err("a holder gave no handle to itself".into()),
        }
    }
    peer.send()
        .to_all(&members)
        .payload(b"closing time")
        .commit()?;
    println!("owner: sent a last message to both and destroys the node");
    room.destroy()?;

    for child in &mut children {
        if !child.wait()?.success() {
            return Err("a holder has failed".into());
        }
    }
    println!("owner: both holders were told");
    Ok(())
}

fn main() -> ExitCode {
    finish(run())
}
