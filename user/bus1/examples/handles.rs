// SPDX-License-Identifier: MIT OR Apache-2.0

//! A capability travels in a message and is used by who gets it.

mod common;

use std::process::ExitCode;

use bus1::{Event, Peer};
use common::{finish, next, next_message, text, Outcome};

fn run() -> Outcome {
    let printer = Peer::open()?;
    let broker = Peer::open()?;
    let app = Peer::open()?;
    println!("three peers are open: a printer, a broker and an app");

    let job = printer.node();
    let known = job.transfer(&broker)?;
    println!("only the broker holds a handle to the printer: {known:?}");
    let inbox = app.node();
    let to_app = inbox.transfer(&broker)?;

    broker
        .send()
        .to(&to_app)
        .payload(b"here is your printer")
        .handle(&known)
        .commit()?;
    println!("the broker sent the app a message that carries this handle");

    let mut message = next_message(&app, "the app")?;
    let Some(Some(received)) = message.handles.pop() else {
        return Err("the message has brought no handle".into());
    };
    println!("the app got \"{}\" and {received:?}", text(&message));
    drop(message);

    app.send().to(&received).payload(b"page 1").commit()?;
    let page = next_message(&printer, "the printer")?;
    println!(
        "the app used it, and the printer got \"{}\" for {:?}",
        text(&page),
        page.destination
    );
    if page.destination != job.id() || &page.payload[..] != b"page 1" {
        return Err("that is not what was sent".into());
    }
    drop(page);

    drop(known);
    println!("the broker dropped its handle; the app still has one");
    if printer.try_recv()?.is_some() {
        return Err("the printer was told something too early".into());
    }
    received.release()?;
    println!("the app gave up the last one");
    let event = next(&printer, "the printer")?;
    match event {
        Event::NodeReleased(notice) if notice.id == job.id() => {
            println!("the printer was told that nobody holds {job:?} any more");
            Ok(())
        }
        other => Err(format!("the printer got {other:?}").into()),
    }
}

fn main() -> ExitCode {
    finish(run())
}
