// SPDX-License-Identifier: MIT OR Apache-2.0

//! Very deep chains of nested calls, of which a piece dies.
//!
//! No kernel stack holds thousands of links: whatever walks the chain has to do it in
//! a loop. How long it is the command line says; that is no part of the outcome.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{case, Case};
use crate::actor::{Proc, Thread};
use crate::deep::{self, Board, CUT, FINE};
use crate::shm;
use crate::world::{check, same, Cx, Res};

pub(super) const CASES: &[Case] = &[
    case!(36 dp_chain_is_answered),
    case!(36 dp_innermost_links_die),
    case!(36 dp_link_in_the_middle_dies),
    case!(36 dp_outermost_links_die),
    case!(36 dp_both_ends_die),
];

/// How long a chain may take to come into being, to be called along, to end.
const PATIENCE: Duration = Duration::from_secs(200);

/// What dies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    None,
    Inner,
    Middle,
    Outer,
    Both,
}

/// The end of something that takes an actor long.
fn end_of(thread: &Thread, what: &str) -> Res<i64> {
    let start = Instant::now();
    while thread.is_busy() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(2));
    }
    thread.end_of_work(what)
}

fn work(thread: &Thread, what: &str) -> Res {
    same(what, end_of(thread, what)?, 0)
}

fn await_that(what: &str, holds: impl Fn() -> bool) -> Res {
    let start = Instant::now();
    while !holds() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(2));
    }
    check(what, holds())
}

/// Half of the links, one, the rest: in that order from the caller's side.
struct Pieces {
    outer: Proc,
    middle: Proc,
    inner: Proc,
}

fn build(cx: &Cx, links: u64, board: Board) -> Res<Pieces> {
    let path = shm::put(format!("{}\0", cx.device).as_bytes());
    let piece = |name: &str, count: u64| -> Res<Proc> {
        let proc = cx.process(name)?;
        proc.begin(deep::links, &[path, count, board.0]);
        work(&proc, "links")?;
        Ok(proc)
    };
    let outer = links / 2;
    Ok(Pieces {
        inner: piece("inner", links - outer - 1)?,
        middle: piece("middle", 1)?,
        outer: piece("outer", outer)?,
    })
}

fn chain(cx: &Cx, victim: Victim) -> Res {
    cx.quiet(true);
    let links = deep::length();
    // The kernel's own limit is a share of its memory, and may be lower.
    std::fs::write("/proc/sys/kernel/threads-max", (links + 1000).to_string())?;
    let board = Board(shm::alloc(Board::SIZE));
    let m = cx.manager("M")?;
    m.begin(deep::manager, &[m.fd as u64, links + 1]);
    let pieces = build(cx, links, board)?;
    let c = cx.proc("C")?;
    let handle = c.run(deep::enter, &[c.fd as u64])?;
    check("the caller has a handle", handle > 0)?;
    work(&m, "manager")?;
    c.begin(deep::first_call, &[c.fd as u64, handle as u64, board.0]);
    await_that("the call arrives at the last link", || {
        board.arrived().load(Ordering::SeqCst) == 1
    })?;

    let outer = links / 2;
    let survivors = match victim {
        Victim::None => links,
        Victim::Inner => outer + 1,
        Victim::Middle => links - 1,
        Victim::Outer => links - outer,
        Victim::Both => 1,
    };
    match victim {
        Victim::None => {}
        Victim::Inner => pieces.inner.kill()?,
        Victim::Middle => pieces.middle.kill()?,
        Victim::Outer => pieces.outer.kill()?,
        Victim::Both => {
            pieces.outer.kill()?;
            pieces.inner.kill()?;
        }
    }
    board.release().store(1, Ordering::SeqCst);
    let result = end_of(&c, "call")?;
    await_that("every link that is left answers", || {
        u64::from(board.answered().load(Ordering::SeqCst)) == survivors
    })?;
    cx.quiet(false);
    let cut = board.cut().load(Ordering::SeqCst);
    cx.note(format!(
        "the caller gets {result}, {cut} calls were cut off"
    ));
    eprintln!("# a chain of {links} nested calls");
    let fine = victim == Victim::None;
    let wanted = if fine { FINE } else { CUT };
    same("the caller's answer", result, i64::from(wanted))?;
    let cuts = match victim {
        Victim::None => 0,
        // The link in the middle, and the caller.
        Victim::Both => 2,
        _ => 1,
    };
    same("calls that were cut off", cut, cuts)
}

fn dp_chain_is_answered(cx: &Cx) -> Res {
    chain(cx, Victim::None)
}

fn dp_innermost_links_die(cx: &Cx) -> Res {
    chain(cx, Victim::Inner)
}

fn dp_link_in_the_middle_dies(cx: &Cx) -> Res {
    chain(cx, Victim::Middle)
}

fn dp_outermost_links_die(cx: &Cx) -> Res {
    chain(cx, Victim::Outer)
}

fn dp_both_ends_die(cx: &Cx) -> Res {
    chain(cx, Victim::Both)
}
