// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tests: what each does, and which of the driver's numbers it must move.

use std::error::Error;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;

use rsbinder::{Interface, ParcelFileDescriptor, StatusCode, Strong};

use crate::aidl::bus1::rstest::IMeeting::IMeeting;
use crate::aidl::bus1::rstest::IPeer::IPeer;
use crate::counts::{Rise, Source};
use crate::meeting;
use crate::peer::Peer;
use crate::tap::Report;
use crate::{mesh, mortal};

/// How a test ends: with nothing, or with what was wrong.
pub type Res<T = ()> = Result<T, Box<dyn Error>>;

/// One test.
pub struct Case {
    /// Its name in the report.
    pub name: &'static str,
    /// The test.
    pub run: fn(&World) -> Res,
    /// What of the driver's commands and returns it moves, at least.
    pub commands: &'static [Rise],
    /// What of the engine's numbers it moves, at least.
    pub engine: &'static [Rise],
}

/// What a test has to work with.
pub struct World {
    /// The device's path.
    pub device: String,
    /// The context manager.
    pub meeting: Strong<dyn IMeeting>,
    /// A peer in a process of its own.
    pub peer: Strong<dyn IPeer>,
}

/// A process that is killed when its test is over.
pub struct Other(pub Child);

impl Drop for Other {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl World {
    /// Starts this program with other arguments.
    pub fn start(&self, part: &str, more: &[&str]) -> Res<Other> {
        Ok(Other(start(&self.device, part, more)?))
    }

    /// A peer in a process of its own, in a room of its own.
    pub fn new_peer(&self, room: &str) -> Res<(Other, Strong<dyn IPeer>)> {
        let other = self.start("peer", &[room])?;
        let members = meeting::members(&self.meeting, room, 1)?;
        Ok((other, first(members)?))
    }
}

fn start(device: &str, part: &str, more: &[&str]) -> Res<Child> {
    let program = std::env::current_exe()?;
    Ok(Command::new(program)
        .args([part, device])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?)
}

fn first(members: Vec<Strong<dyn IPeer>>) -> Res<Strong<dyn IPeer>> {
    members.into_iter().next().ok_or_else(|| "no member".into())
}

/// An error that says what does not hold.
pub fn check(what: &str, holds: bool) -> Res {
    if holds {
        Ok(())
    } else {
        Err(what.into())
    }
}

/// The bytes that a receiver of this driver maps: a MiB without two pages.
const MAPPING: usize = (1 << 20) - 2 * 4096;

const CALL: &[Rise] = &[
    ("BC_TRANSACTION", 1),
    ("BC_REPLY", 1),
    ("BC_FREE_BUFFER", 2),
    ("BR_TRANSACTION", 1),
    ("BR_REPLY", 1),
    ("BR_TRANSACTION_COMPLETE", 2),
];

const CASES: &[Case] = &[
    Case {
        name: "echo",
        run: echo,
        commands: &[
            ("BC_TRANSACTION", 200),
            ("BC_REPLY", 200),
            ("BR_REPLY", 200),
        ],
        engine: &[("messages", 400)],
    },
    Case {
        name: "sizes up to the limit",
        run: sizes,
        commands: &[
            ("BC_TRANSACTION", 20),
            ("BR_FAILED_REPLY", 2),
            ("BC_FREE_BUFFER", 20),
        ],
        engine: &[("messages", 20)],
    },
    Case {
        name: "files both ways",
        run: files,
        commands: CALL,
        engine: &[("messages", 4)],
    },
    Case {
        name: "a call back to the thread that waits",
        run: call_back,
        commands: &[("BC_TRANSACTION", 2), ("BC_REPLY", 2), ("BC_ACQUIRE", 1)],
        engine: &[("messages", 4), ("notices", 1)],
    },
    Case {
        name: "calls back and forth, 40 deep",
        run: nested,
        commands: &[
            ("BC_TRANSACTION", 41),
            ("BC_REPLY", 41),
            ("BR_TRANSACTION", 41),
        ],
        engine: &[("messages", 82)],
    },
    Case {
        name: "a burst of oneway calls",
        run: burst,
        commands: &[("BC_TRANSACTION", 501), ("BR_TRANSACTION_COMPLETE", 501)],
        engine: &[("messages", 501), ("parked", 1)],
    },
    Case {
        name: "lists of objects",
        run: lists,
        commands: &[
            ("BR_INCREFS", 32),
            ("BR_ACQUIRE", 32),
            ("BC_ACQUIRE_DONE", 32),
        ],
        engine: &[("messages", 4), ("notices", 32)],
    },
    mortal::DEATH,
    mortal::UNWANTED,
    mortal::FROZEN,
    mesh::MESH,
];

fn echo(world: &World) -> Res {
    for number in 0..200 {
        let sent = format!("{number} \u{1f980}");
        check(
            "the answer is what was sent",
            world.peer.echo(&sent)? == sent,
        )?;
    }
    Ok(())
}

/// Whether a call with so many bytes is delivered; what else can happen is an error.
fn fits(world: &World, size: usize) -> Res<bool> {
    match world.peer.length(&vec![1; size]) {
        Ok(length) => {
            check("all bytes arrive", usize::try_from(length)? == size)?;
            Ok(true)
        }
        Err(status) if status.transaction_error() == StatusCode::FailedTransaction => Ok(false),
        Err(status) => Err(status.into()),
    }
}

fn sizes(world: &World) -> Res {
    for size in [0, 1, 7, 8, 4095, 4096, 4097, 65_536, 500_000] {
        let data: Vec<u8> = (0..size).map(|at| (at * 7 + at / 256) as u8).collect();
        let back = world.peer.reverse(&data)?;
        check("the bytes come back", back.iter().rev().eq(data.iter()))?;
    }
    let (mut good, mut bad) = (MAPPING - 4096, MAPPING + 4096);
    check("nearly all of the mapping can be used", fits(world, good)?)?;
    check("more than the mapping can't", !fits(world, bad)?)?;
    while bad - good > 8 {
        let middle = (good + bad) / 2;
        match fits(world, middle)? {
            true => good = middle,
            false => bad = middle,
        }
    }
    // What the interface adds: its name in UTF-16, a header, the length.
    println!("# the largest array: {good} of {MAPPING} bytes");
    check("little is lost", MAPPING - good < 256)?;
    check("the next call works", world.peer.echo("next")? == "next")
}

fn files(world: &World) -> Res {
    let (mut reader, writer) = std::io::pipe()?;
    world
        .peer
        .write(&ParcelFileDescriptor::new(writer), "there")?;
    let mut text = String::new();
    reader.read_to_string(&mut text)?;
    check("what the peer wrote can be read", text == "there")?;
    let mut text = String::new();
    world.peer.pipe("back")?.read_to_string(&mut text)?;
    check("the peer's file can be read", text == "back")
}

fn call_back(world: &World) -> Res {
    let (own, traces) = Peer::create();
    check("the answer", world.peer.down(&own, &world.peer, 1)? == 1)?;
    check(
        "the waiting thread served it",
        traces.take_threads() == [thread::current().id()],
    )
}

fn nested(world: &World) -> Res {
    let (own, traces) = Peer::create();
    check("the answer", world.peer.down(&own, &world.peer, 40)? == 40)?;
    let here = thread::current().id();
    let served = traces.take_threads();
    check(
        "the waiting thread served all of them",
        served.len() == 20 && served.iter().all(|thread| *thread == here),
    )
}

fn burst(world: &World) -> Res {
    let (own, traces) = Peer::create();
    world.peer.burst(&own, 500)?;
    check("all arrive, in order", traces.ticked(500))
}

fn lists(world: &World) -> Res {
    let own: Vec<_> = (0..32).map(|_| Peer::create().0.as_binder()).collect();
    let back = world.peer.mirror(&own)?;
    check("own objects come back", back.iter().rev().eq(own.iter()))?;
    let fresh = world.peer.fresh(32)?;
    check("as many as were asked for", fresh.len() == 32)?;
    for (at, one) in fresh.iter().enumerate() {
        check("they differ", !fresh[..at].contains(one))?;
    }
    let back = world.peer.mirror(&fresh)?;
    check(
        "the peer's objects come back",
        back.iter().rev().eq(fresh.iter()),
    )?;
    let last: Strong<dyn IPeer> = fresh[31].clone().into_interface()?;
    check("they can be called", last.add(5)? == 5)
}

/// Runs one test and looks at what it moved.
fn judge(case: &Case, world: &World, source: Option<&Source>) -> Res {
    let Some(source) = source else {
        return Err("the driver shows no numbers".into());
    };
    let before = source.read();
    (case.run)(world)?;
    let moved = source.read().since(&before);
    println!("# moved:{moved}");
    let misses = moved.misses(source.choose(case.commands, case.engine));
    check(&misses.join(", "), misses.is_empty())
}

/// Runs all tests. Answers whether all of them passed.
pub fn run(device: &str) -> Res<bool> {
    let mut report = Report::new(CASES.len() as u32);
    let meeting = Other(start(device, "meeting", &[])?);
    let entered = meeting::enter(device, 4)?;
    let peer = Other(start(device, "peer", &["first"])?);
    let world = World {
        device: device.to_owned(),
        peer: first(meeting::members(&entered, "first", 1)?)?,
        meeting: entered,
    };
    let source = Source::find(device);
    for case in CASES {
        let outcome = judge(case, &world, source.as_ref());
        if let Err(why) = &outcome {
            println!("# {}: {why}", case.name);
        }
        report.check(outcome.is_ok(), case.name);
    }
    drop((peer, meeting));
    Ok(report.all_passed())
}
