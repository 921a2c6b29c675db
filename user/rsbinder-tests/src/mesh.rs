// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many processes, each of which calls all others.

use std::time::Instant;

use rsbinder::{Interface, StatusCode};

use crate::cases::{check, Case, Other, Res, World};
use crate::meeting::{self, PATIENCE};
use crate::peer::Peer;

const MEMBERS: u64 = 20;
const ROUNDS: u64 = 5;
const BURST: i32 = 50;
const ROOM: &str = "mesh";

/// Calls of everybody to everybody.
pub const MESH: Case = Case {
    name: "20 processes meshed",
    run: mesh,
    commands: &[
        ("BC_TRANSACTION", MEMBERS * (MEMBERS - 1) * ROUNDS),
        ("BC_REPLY", MEMBERS * (MEMBERS - 1) * ROUNDS),
    ],
    engine: &[("messages", 2 * MEMBERS * (MEMBERS - 1) * ROUNDS)],
};

fn mesh(world: &World) -> Res {
    let numbers = [MEMBERS.to_string(), ROUNDS.to_string()];
    let arguments = numbers.each_ref().map(String::as_str);
    let members: Vec<Other> = (0..MEMBERS)
        .map(|_| world.start("mesh", &arguments))
        .collect::<Res<_>>()?;
    let end = Instant::now() + 2 * PATIENCE;
    for mut member in members {
        let status = loop {
            match member.0.try_wait()? {
                Some(status) => break status,
                None if Instant::now() > end => return Err("a member does not end".into()),
                None => std::thread::sleep(std::time::Duration::from_millis(20)),
            }
        };
        check("every member got all calls, in order", status.success())?;
    }
    Ok(())
}

/// One of them: true if it got what the others sent.
pub fn member(device: &str, members: &str, rounds: &str) -> Res<bool> {
    let (members, rounds): (usize, i64) = (members.parse()?, rounds.parse()?);
    let meeting = meeting::enter(device, 2)?;
    let (own, traces) = Peer::create();
    meeting.join(ROOM, &own)?;
    let all = meeting::members(&meeting, ROOM, members)?;
    let here = own.as_binder();
    let at = all
        .iter()
        .position(|peer| peer.as_binder() == here)
        .ok_or("not in the list")?;
    // What this one is to hear in order comes from one neighbour.
    all[(at + 1) % members].burst(&own, BURST)?;
    for _ in 0..rounds {
        for peer in all.iter().filter(|peer| peer.as_binder() != here) {
            peer.add(1)?;
        }
    }
    let in_order = traces.ticked(BURST);
    meeting.done(ROOM)?;
    meeting::wait(|| match meeting.finished(ROOM) {
        Ok(count) if usize::try_from(count).is_ok_and(|count| count >= members) => Ok(()),
        Ok(_) => Err(StatusCode::WouldBlock),
        Err(status) => Err(status.transaction_error()),
    })?;
    let expected = rounds * i64::try_from(members - 1)?;
    Ok(in_order && traces.sum() == expected)
}
