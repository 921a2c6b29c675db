// SPDX-License-Identifier: MIT OR Apache-2.0

//! A request with a prepaid reply, one that is too large, and one that nobody
//! answers.

mod common;

use std::process::ExitCode;

use bus1::{Answer, Handle, Peer, Pending, Room, SendFault};
use common::{finish, next_message, Outcome};

fn ask<'p>(client: &'p Peer, server: &'p Handle<'p>, text: &'p [u8]) -> Outcome<Pending<'p>> {
    Ok(client
        .send()
        .to(server)
        .payload(text)
        .request(Room::bytes(16))?)
}

fn answer_of<'p>(pending: Pending<'p>) -> Outcome<Answer<'p>> {
    Ok(pending.wait(|other| println!("the client got {other:?} meanwhile"))?)
}

fn run() -> Outcome {
    let server = Peer::open()?;
    let client = Peer::open()?;
    let object = server.node();
    let handle = object.transfer(&client)?;

    let pending = ask(&client, &handle, b"6 * 7")?;
    println!("the client asked, and has paid for 16 bytes of reply: {pending:?}");

    let request = next_message(&server, "the server")?;
    let reply = request.reply.ok_or("the request can't be replied to")?;
    let long = [b'4'; 100];
    let (error, reply) = match reply.send(server.send().payload(&long)) {
        Ok(()) => return Err("a reply of 100 bytes was taken".into()),
        Err(refused) => refused,
    };
    println!("the server tried 100 bytes: {error}");
    if error.fault() != SendFault::TooLarge {
        return Err("that is not the reason".into());
    }
    reply
        .send(server.send().payload(b"42"))
        .map_err(|(error, _)| error)?;
    match answer_of(pending)? {
        Answer::Reply(message) if &message.payload[..] == b"42" => println!("the reply is 42"),
        other => return Err(format!("the client got {other:?}").into()),
    }

    let pending = ask(&client, &handle, b"6 / 0")?;
    drop(next_message(&server, "the server")?);
    println!("the server has dropped the second request");
    match answer_of(pending)? {
        Answer::Nobody => println!("the client knows that nobody will answer"),
        other => return Err(format!("the client got {other:?}").into()),
    }
    Ok(())
}

fn main() -> ExitCode {
    finish(run())
}
