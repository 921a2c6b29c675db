// SPDX-License-Identifier: MIT OR Apache-2.0

//! The steps of Binder: a manager and a client, and allocations that fail in either.
//!
//! The world stays the same over all tries of a step, so that a failure which spoils
//! something for later shows.

use std::fs::remove_file;

use tests_binder::abi::{br, nr, tf, ExtendedError, WriteRead};
use tests_binder::actor::{Proc, Thread};
use tests_binder::memory::Ptr;
use tests_binder::ops;
use tests_binder::returns::{parse, Br};
use tests_binder::runner::{supervise, Verdict};
use tests_binder::shm;
use tests_binder::wire::{bc, Bc, Node, Obj, Tx};
use tests_binder::world::{check, ctl_add, same, Cx, Fail, Res, MAPPING};

use super::inject::{self, unpack, Outcome, LIMIT};
use super::{summary, Tried, MOST};
use crate::counters;

const ENOMEM: i64 = -(libc::ENOMEM as i64);

/// A manager `m`, and a client `a` with a file.
struct Scene {
    cx: Cx,
    m: Proc,
    a: Proc,
    file: i32,
    /// The next node that was never sent.
    next: u64,
}

/// A step.
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// One try; says whether it worked.
    once: fn(&mut Scene, u64) -> Res<(bool, Outcome)>,
}

/// All of them.
pub const STEPS: &[Step] = &[
    Step {
        name: "binder_open",
        once: open,
    },
    Step {
        name: "binder_mmap",
        once: map,
    },
    Step {
        name: "binder_first_ioctl",
        once: first_ioctl,
    },
    Step {
        name: "binder_call",
        once: call,
    },
    Step {
        name: "binder_one_way",
        once: one_way,
    },
    Step {
        name: "binder_reply",
        once: reply,
    },
    Step {
        name: "binder_read",
        once: read,
    },
    Step {
        name: "binder_death_request",
        once: death,
    },
    Step {
        name: "binder_freeze_request",
        once: freeze,
    },
];

/// What came back from a call of the driver.
struct Back {
    outcome: Outcome,
    consumed: u64,
    items: Vec<Br>,
}

impl Back {
    fn short(&self) -> String {
        let items: Vec<String> = self.items.iter().map(Br::short).collect();
        items.join(" ")
    }
}

/// Commands, and a read if `read` says so, with the n-th allocation failing.
fn exchange(thread: &Thread, commands: &Bc, read: bool, nth: u64) -> Res<Back> {
    let bytes = commands.bytes();
    let read_size = if read { 256 } else { 0 };
    let at = shm::store(&WriteRead {
        write_size: bytes.len() as u64,
        write_buffer: shm::put(bytes),
        read_size,
        read_buffer: shm::alloc(256),
        ..WriteRead::default()
    });
    let args = [thread.fd as u64, u64::from(nr::WRITE_READ), at, nth];
    let outcome = unpack(thread.run(inject::ioctl, &args)?);
    let wr: WriteRead = shm::load(at);
    let back = shm::get(wr.read_buffer, wr.read_consumed.min(256) as usize);
    Ok(Back {
        outcome,
        consumed: wr.write_consumed,
        items: parse(&back),
    })
}

/// The thread's last error, and whether it is this one.
fn has_error(thread: &Thread, code: u32, errno: i64) -> Res {
    let at = shm::alloc(size_of::<ExtendedError>());
    let number = u64::from(nr::GET_EXTENDED_ERROR);
    same(
        "error",
        thread.run(ops::ioctl, &[thread.fd as u64, number, at])?,
        0,
    )?;
    let error: ExtendedError = shm::load(at);
    same(
        "error",
        (error.command, i64::from(error.param)),
        (code, errno),
    )
}

/// Adds the answer to what is said of a node, if one is wanted.
fn answer(commands: Bc, item: &Br) -> Bc {
    let node = |ptr, cookie| Node {
        ptr,
        cookie,
        flags: 0,
    };
    match *item {
        Br::Node("INCREFS", ptr, cookie) => commands.increfs_done(node(ptr, cookie)),
        Br::Node("ACQUIRE", ptr, cookie) => commands.acquire_done(node(ptr, cookie)),
        _ => commands,
    }
}

/// Reads until nothing is left: names of the items, and what arrived is given back,
/// what is asked is answered.
fn drain(thread: &Thread) -> Res<Vec<String>> {
    let mut names = Vec::new();
    let mut commands = bc();
    loop {
        let idle = commands.bytes().is_empty();
        let back = exchange(thread, &std::mem::take(&mut commands), true, 0)?;
        if back.outcome.result != 0 && idle {
            return Ok(names);
        }
        for item in &back.items {
            if *item == Br::Plain("NOOP") {
                continue;
            }
            commands = answer(commands, item);
            match *item {
                Br::Transaction(call) if call.flags & tf::ONE_WAY == 0 => {
                    commands = commands.free(call.buffer).reply(Tx::answer());
                }
                Br::Transaction(data) | Br::Reply(data) => commands = commands.free(data.buffer),
                _ => {}
            }
            if !matches!(item, Br::Node(..)) {
                names.push(item.short());
            }
        }
    }
}

impl Scene {
    fn new(cx: Cx) -> Res<Self> {
        let (m, a) = cx.pair()?;
        let file = a.run(ops::memfd, &[0])? as i32;
        for proc in [&m, &a] {
            proc.set_nonblock(true)?;
        }
        Ok(Scene {
            cx,
            m,
            a,
            file,
            next: 0x100,
        })
    }

    /// A message with all that one can have.
    fn message(&mut self, tx: Tx) -> Tx {
        self.next += 0x10;
        tx.object(Obj::node(Node::new(self.next)))
            .object(Obj::fd(self.file))
            .ptr(Ptr::to(&[7; 5000]))
            .extra(5000)
    }

    /// Closes the files that the manager has got.
    fn forget_files(&self) -> Res {
        for fd in self.m.fd + 1..self.m.fd + 12 {
            self.m.run(ops::close, &[fd as u64])?;
        }
        Ok(())
    }
}

fn open(scene: &mut Scene, nth: u64) -> Res<(bool, Outcome)> {
    let path = shm::put(format!("{}\0", scene.cx.device).as_bytes());
    let flags = (libc::O_RDWR | libc::O_CLOEXEC) as u64;
    let outcome = unpack(scene.a.run(inject::open, &[path, flags, nth])?);
    if outcome.result < 0 {
        same("errno", outcome.result, ENOMEM)?;
        return Ok((false, outcome));
    }
    scene.a.run(ops::close, &[outcome.result as u64])?;
    Ok((true, outcome))
}

fn map(scene: &mut Scene, nth: u64) -> Res<(bool, Outcome)> {
    let other = scene.a.open_again("A2")?;
    let outcome = unpack(
        scene
            .a
            .run(inject::mmap, &[other.fd as u64, MAPPING, nth])?,
    );
    let mut at = outcome.result;
    if at < 0 {
        same("errno", at, ENOMEM)?;
        at = scene.a.run(ops::mmap, &[other.fd as u64, MAPPING, 0])?;
        check("it can be mapped again", at > 0)?;
    }
    scene.a.run(ops::munmap, &[at as u64, MAPPING])?;
    scene.a.run(ops::close, &[other.fd as u64])?;
    Ok((outcome.result > 0, outcome))
}

fn first_ioctl(scene: &mut Scene, nth: u64) -> Res<(bool, Outcome)> {
    scene.a.thread_exit()?;
    let back = exchange(&scene.a, &bc().enter(), false, nth)?;
    let result = back.outcome.result;
    if result != 0 {
        same("errno", (result, back.consumed), (ENOMEM, 0))?;
    }
    Ok((result == 0, back.outcome))
}

/// What a call or one-way that failed looks like: nobody else hears of it.
fn unheard(scene: &Scene, back: &Back) -> Res {
    if back.outcome.result == 0 {
        let last = back.items.last().map(Br::short).unwrap_or_default();
        same("last item", last.as_str(), "FAILED_REPLY")?;
        has_error(&scene.a, br::FAILED_REPLY, ENOMEM)?;
    } else {
        same("errno", (back.outcome.result, back.consumed), (ENOMEM, 0))?;
    }
    same("the manager's items", drain(&scene.m)?.len(), 0)
}

/// Writes commands with a fault, then reads without one; codes of nodes are answered.
fn write_then_read(thread: &Thread, commands: &Bc, nth: u64) -> Res<Back> {
    let wrote = exchange(thread, commands, false, nth)?;
    if wrote.outcome.result != 0 {
        return Ok(wrote);
    }
    let read = exchange(thread, &bc(), true, 0)?;
    let answers = read.items.iter().fold(bc(), answer);
    exchange(thread, &answers, false, 0)?;
    Ok(Back {
        items: read.items,
        ..wrote
    })
}

fn call(scene: &mut Scene, nth: u64) -> Res<(bool, Outcome)> {
    let message = scene.message(Tx::to(0));
    let back = write_then_read(&scene.a, &bc().call(message), nth)?;
    let failed = back.outcome.result != 0 || back.short().contains("FAILED");
    if failed {
        unheard(scene, &back)?;
    } else {
        same(
            "the manager's items",
            drain(&scene.m)?.join(" ").as_str(),
            "TRANSACTION COMPLETE",
        )?;
        same(
            "the caller's items",
            drain(&scene.a)?.join(" ").as_str(),
            "COMPLETE REPLY",
        )?;
    }
    drain(&scene.a)?;
    scene.forget_files()?;
    Ok((!failed, back.outcome))
}

fn one_way(scene: &mut Scene, nth: u64) -> Res<(bool, Outcome)> {
    let message = scene.message(Tx::to(0).one_way());
    let back = write_then_read(&scene.a, &bc().call(message), nth)?;
    let failed = back.outcome.result != 0 || back.short().contains("FAILED");
    if failed {
        unheard(scene, &back)?;
    } else {
        same(
            "the manager's items",
            drain(&scene.m)?.join(" ").as_str(),
            "TRANSACTION",
        )?;
    }
    drain(&scene.a)?;
    scene.forget_files()?;
    Ok((!failed, back.outcome))
}

/// Has `m` read a call of `a`.
fn asked(scene: &Scene) -> Res {
    exchange(
        &scene.a,
        &bc().call(Tx::to(0).flags(tf::ACCEPT_FDS)),
        false,
        0,
    )?;
    let back = exchange(&scene.m, &bc(), true, 0)?;
    let buffer = back
        .items
        .iter()
        .find_map(Br::message)
        .map(|call| call.buffer);
    let free = bc().free(buffer.ok_or_else(|| Fail("no call".into()))?);
    exchange(&scene.m, &free, false, 0).map(drop)
}

fn reply(scene: &mut Scene, nth: u64) -> Res<(bool, Outcome)> {
    asked(scene)?;
    let answer = Tx::answer()
        .object(Obj::node(Node::new(0x40)))
        .ptr(Ptr::to(&[7; 5000]));
    let commands = bc().reply(answer.extra(5000));
    let mut back = exchange(&scene.m, &commands, false, nth)?;
    let outcome = back.outcome;
    if outcome.result != 0 {
        // Nothing was done: the call can still be answered.
        same("errno", (outcome.result, back.consumed), (ENOMEM, 0))?;
        back = exchange(&scene.m, &commands, false, 0)?;
        same("the same again", back.outcome.result, 0)?;
    }
    let replier = drain(&scene.m)?.join(" ");
    let caller = drain(&scene.a)?.join(" ");
    let told = (replier.as_str(), caller.as_str());
    let fine = told == ("COMPLETE", "COMPLETE REPLY");
    check(
        &format!("items {told:?}"),
        fine || told == ("COMPLETE", "COMPLETE FAILED_REPLY")
            || told == ("FAILED_REPLY", "COMPLETE DEAD_REPLY"),
    )?;
    if told.1 == "COMPLETE FAILED_REPLY" {
        has_error(&scene.a, br::FAILED_REPLY, ENOMEM)?;
    }
    drain(&scene.m)?;
    Ok((fine && outcome.result == 0, outcome))
}

/// The receiver reads a call with a file in it.
fn read(scene: &mut Scene, nth: u64) -> Res<(bool, Outcome)> {
    let message = scene.message(Tx::to(0));
    exchange(&scene.a, &bc().call(message), false, 0)?;
    let back = exchange(&scene.m, &bc(), true, nth)?;
    let mut names: Vec<String> = back.items.iter().map(Br::short).collect();
    names.retain(|name| name != "NOOP");
    if let Some(call) = back.items.iter().find_map(Br::message) {
        let answer = bc().free(call.buffer).reply(Tx::answer());
        exchange(&scene.m, &answer, false, 0)?;
    }
    names.extend(drain(&scene.m)?);
    let caller = drain(&scene.a)?.join(" ");
    let told = (names.join(" "), caller.as_str());
    let fine = told == ("TRANSACTION COMPLETE".into(), "COMPLETE REPLY");
    check(
        &format!("items {told:?}"),
        fine || told == (String::new(), "COMPLETE FAILED_REPLY"),
    )?;
    scene.forget_files()?;
    Ok((fine, back.outcome))
}

fn death(scene: &mut Scene, nth: u64) -> Res<(bool, Outcome)> {
    let a = &scene.a;
    exchange(a, &bc().increfs(0), false, 0)?;
    let back = write_then_read(a, &bc().request_death(0, 5), nth)?;
    let failed = back.outcome.result != 0 || back.short().contains("ERROR");
    if failed {
        exchange(a, &bc().request_death(0, 5), false, 0)?;
    }
    exchange(a, &bc().clear_death(0, 5), false, 0)?;
    same("items", drain(a)?.join(" ").as_str(), "CLEAR_DEATH_DONE(5)")?;
    exchange(a, &bc().decrefs(0), false, 0)?;
    Ok((!failed, back.outcome))
}

fn freeze(scene: &mut Scene, nth: u64) -> Res<(bool, Outcome)> {
    let a = &scene.a;
    exchange(a, &bc().increfs(0), false, 0)?;
    let back = exchange(a, &bc().request_freeze(0, 6), false, nth)?;
    let failed = back.outcome.result != 0;
    if failed {
        same("errno", (back.outcome.result, back.consumed), (ENOMEM, 0))?;
        let again = exchange(a, &bc().request_freeze(0, 6), false, 0)?;
        same("the same again", again.outcome.result, 0)?;
    }
    same("items", drain(a)?.join(" ").as_str(), "FROZEN_BINDER(6,0)")?;
    exchange(a, &bc().freeze_done(6).clear_freeze(0, 6), false, 0)?;
    same(
        "items",
        drain(a)?.join(" ").as_str(),
        "CLEAR_FREEZE_DONE(6)",
    )?;
    exchange(a, &bc().decrefs(0), false, 0)?;
    Ok((!failed, back.outcome))
}

fn try_in(step: &Step, cx: &Cx) -> Res<String> {
    cx.quiet(true);
    let mut scene = Scene::new(cx.clone())?;
    // What a first time leaves behind for good is not what is looked for.
    (step.once)(&mut scene, 0)?;
    let before = counters::state();
    let mut tried = Tried::new(step.name);
    for nth in 1..MOST {
        let place = |Fail(why): Fail| Fail(format!("{nth}: {why}"));
        let (worked, outcome) = (step.once)(&mut scene, nth).map_err(place)?;
        same("alive afterwards", counters::state(), before.clone()).map_err(place)?;
        match (outcome.injected, worked) {
            (true, true) => tried.survived += 1,
            (true, false) => tried.failed += 1,
            (false, worked) => {
                check("it works without a fault", worked)?;
                return summary(&tried);
            }
        }
    }
    Err(Fail(format!("it allocates {MOST} times")))
}

/// Tries a step with each of its allocations failing, on a device of its own.
pub fn try_step(dir: &str, step: &Step) -> Res<Verdict> {
    let (added, ..) = ctl_add(dir, b"faults")?;
    same("CTL_ADD", added, 0)?;
    let path = format!("{dir}/faults");
    let verdict = supervise(LIMIT, |trace| {
        shm::init()?;
        let cx = Cx::new(dir, &path, trace);
        let said = try_in(step, &cx)?;
        cx.quiet(false);
        cx.note(said);
        Ok(())
    })?;
    remove_file(&path)?;
    Ok(verdict)
}
