// SPDX-License-Identifier: MIT OR Apache-2.0

//! One-way spam: who is told that it fills a receiver, and when.

use super::{case, Case};
use crate::abi::{br, nr};
use crate::actor::{Proc, Thread};
use crate::shm;
use crate::wire::{bc, Tx};
use crate::world::{check, same, Cx, Res, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(47 sp_fifty_second_message),
    case!(47 sp_quarter_of_the_mapping),
    case!(47 sp_nobody_asked),
    case!(47 sp_asked_before_reading),
    case!(47 sp_told_once_until_there_is_room),
    case!(47 sp_freed_ones_do_not_count),
    case!(47 sp_files_of_one_process),
    case!(47 sp_child_is_another_sender),
    case!(47 sp_frozen_receiver),
    case!(47 sp_calls_do_not_count),
    case!(47 sp_bad_pointer),
];

const SUSPECT: &str = "NOOP ONEWAY_SPAM_SUSPECT";
const COMPLETE: &str = "NOOP COMPLETE";

/// Switches the detection of a process's own spam.
fn detect(t: &Thread, on: u32) -> Res {
    let number = nr::ENABLE_ONEWAY_SPAM_DETECTION;
    same("detect", t.ioctl_with("detect", number, &on)?.0, 0)
}

/// Sends a one-way of so many bytes, and demands an answer.
fn send(t: &Thread, bytes: usize, want: &str) -> Res {
    t.write_read(&bc().call(Tx::to(0).zeros(bytes).one_way()))?
        .expect(want)
        .map(drop)
}

/// Takes so much of the manager's room for one-ways that less than a tenth of the mapping is left.
/// None of those who do it takes a quarter of the mapping.
fn crowd(cx: &Cx) -> Res {
    for name in ["F1", "F2", "F3"] {
        let filler = cx.proc(name)?;
        send(&filler, MAPPING as usize * 14 / 100 / 8 * 8, COMPLETE)?;
    }
    Ok(())
}

/// A crowded manager, and a sender that has detection on.
fn crowded(cx: &Cx) -> Res<(Proc, Proc)> {
    let m = cx.manager("M")?;
    crowd(cx)?;
    let y = cx.proc("Y")?;
    detect(&y, 1)?;
    Ok((m, y))
}

fn sp_fifty_second_message(cx: &Cx) -> Res {
    let (_m, y) = crowded(cx)?;
    for number in 1..=60 {
        send(&y, 8, if number == 52 { SUSPECT } else { COMPLETE })?;
    }
    y.has_error(br::OK, 0)
}

fn sp_quarter_of_the_mapping(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let (y, f) = (cx.proc("Y")?, cx.proc("F")?);
    detect(&y, 1)?;
    detect(&f, 1)?;
    let (quarter, tenth) = (MAPPING as usize / 4, MAPPING as usize / 10);
    // Just a quarter is not too much.
    send(&y, quarter, COMPLETE)?;
    send(&f, quarter - tenth / 8 * 8, COMPLETE)?;
    send(&y, 8, COMPLETE)?;
    send(&f, 8, COMPLETE)?;
    send(&y, 8, SUSPECT)?;
    send(&y, 8, COMPLETE)?;
    for size in [quarter, quarter - tenth / 8 * 8, 8, 8, 8, 8] {
        let got = m.accept()?;
        same("size", got.data_size, size as u64)?;
        m.write(&bc().free(got.buffer))?;
    }
    Ok(())
}

fn sp_nobody_asked(cx: &Cx) -> Res {
    let (_m, y) = crowded(cx)?;
    detect(&y, 0)?;
    for _ in 1..=55 {
        send(&y, 8, COMPLETE)?;
    }
    // It was judged all the same, and is not judged again.
    detect(&y, 7)?;
    send(&y, 8, COMPLETE)
}

fn sp_asked_before_reading(cx: &Cx) -> Res {
    let (_m, y) = crowded(cx)?;
    detect(&y, 0)?;
    for _ in 1..=51 {
        send(&y, 8, COMPLETE)?;
    }
    y.write(&bc().call(Tx::to(0).one_way()))?;
    detect(&y, 1)?;
    y.read()?.expect(SUSPECT)?;
    send(&y, 8, COMPLETE)
}

fn sp_told_once_until_there_is_room(cx: &Cx) -> Res {
    let (m, y) = crowded(cx)?;
    let z = cx.proc("Z")?;
    detect(&z, 1)?;
    cx.quiet(true);
    for _ in 1..=51 {
        send(&y, 8, COMPLETE)?;
    }
    for _ in 1..=51 {
        send(&z, 8, COMPLETE)?;
    }
    cx.quiet(false);
    send(&y, 8, SUSPECT)?;
    // Others are not told then.
    send(&z, 8, COMPLETE)?;
    let got = m.accept()?;
    m.write(&bc().free(got.buffer))?;
    // There is room, so that nobody is suspected; but not after this.
    let big = MAPPING as usize * 14 / 100 / 8 * 8;
    send(&z, 8, COMPLETE)?;
    let last = cx.proc("F4")?;
    send(&last, big, COMPLETE)?;
    send(&z, 8, SUSPECT)?;
    send(&y, 8, COMPLETE)
}

fn sp_freed_ones_do_not_count(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let y = cx.proc("Y")?;
    detect(&y, 1)?;
    cx.quiet(true);
    for _ in 1..=45 {
        send(&y, 8, COMPLETE)?;
    }
    for _ in 1..=40 {
        let got = m.accept()?;
        m.write(&bc().free(got.buffer))?;
    }
    cx.quiet(false);
    crowd(cx)?;
    for number in 6..=54 {
        send(&y, 8, if number == 52 { SUSPECT } else { COMPLETE })?;
    }
    Ok(())
}

fn sp_files_of_one_process(cx: &Cx) -> Res {
    let (_m, y) = crowded(cx)?;
    let mut second = y.open_again("Y'")?;
    check("mmap works", second.map(MAPPING)? > 0)?;
    second.greet()?;
    detect(&second, 1)?;
    for number in 1..=54 {
        let t: &Thread = if number % 2 == 0 { &second } else { &y };
        send(t, 8, if number == 52 { SUSPECT } else { COMPLETE })?;
    }
    Ok(())
}

fn sp_child_is_another_sender(cx: &Cx) -> Res {
    let (_m, y) = crowded(cx)?;
    let child = y.fork("child")?;
    child.greet()?;
    for _ in 1..=51 {
        send(&y, 8, COMPLETE)?;
    }
    for number in 1..=53 {
        send(&child, 8, if number == 52 { SUSPECT } else { COMPLETE })?;
    }
    send(&y, 8, COMPLETE)
}

fn sp_frozen_receiver(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let y = cx.proc("Y")?;
    detect(&y, 1)?;
    same("freeze", y.freeze(&m, 0)?, 0)?;
    const PENDING: &str = "NOOP PENDING_FROZEN";
    send(&y, MAPPING as usize * 42 / 100 / 8 * 8, PENDING)?;
    // This one is judged, but not told.
    send(&y, 8, PENDING)?;
    y.thaw(&m)?;
    send(&y, 8, COMPLETE)
}

fn sp_calls_do_not_count(cx: &Cx) -> Res {
    let (m, y) = crowded(cx)?;
    for _ in 1..=51 {
        send(&y, 8, COMPLETE)?;
    }
    let caller = y.thread("Y2")?;
    caller.write(&bc().call(Tx::to(0)))?;
    let mut got = m.accept()?;
    while got.flags & crate::abi::tf::ONE_WAY != 0 {
        got = m.accept()?;
    }
    m.answer_with(Tx::answer())?;
    caller.ending()?;
    send(&y, 8, SUSPECT)
}

fn sp_bad_pointer(cx: &Cx) -> Res {
    let a = cx.opened("A")?;
    let number = nr::ENABLE_ONEWAY_SPAM_DETECTION;
    same(
        "null",
        a.ioctl("detect", number, 0)?,
        -i64::from(libc::EFAULT),
    )?;
    let at = shm::store(&0x100_u32);
    same("any number", a.ioctl("detect", number, at)?, 0)
}
