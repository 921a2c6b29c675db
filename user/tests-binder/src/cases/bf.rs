// SPDX-License-Identifier: MIT OR Apache-2.0

//! Mapping and buffers.

use super::{case, Case};
use crate::abi::tf;
use crate::ops;
use crate::wire::{bc, Tx};
use crate::world::{check, same, Cx, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(73 bf_mapping_is_read_only),
    case!(73 bf_second_mapping),
    case!(73 bf_mapping_is_capped),
    case!(73 bf_untouched_pages_and_children),
    case!(74 bf_free_out_of_place),
    case!(74 bf_free_by_another_thread),
    case!(74 bf_free_before_the_reply),
    case!(74 bf_foreign_buffer),
    case!(75 bf_many_sizes),
    case!(49 bf_clear_on_free),
];

const EPERM: i64 = -(libc::EPERM as i64);
const EACCES: i64 = -(libc::EACCES as i64);
const EBUSY: i64 = -(libc::EBUSY as i64);
const EFAULT: i64 = -(libc::EFAULT as i64);

fn bf_mapping_is_read_only(cx: &Cx) -> Res {
    let mut m = cx.opened("M")?;
    same(
        "PROT_WRITE",
        m.step("mmap_rw", ops::mmap, &[m.fd as u64, MAPPING, 1])?,
        EPERM,
    )?;
    check("PROT_READ", m.map(MAPPING)? > 0)?;
    let args = [m.mapping.0, 4096];
    same(
        "mprotect",
        m.step("mprotect_rw", ops::make_writable, &args)?,
        EACCES,
    )
}

fn bf_second_mapping(cx: &Cx) -> Res {
    let mut m = cx.mapped("M", MAPPING)?;
    same("second", m.map(MAPPING)?, EBUSY)?;
    m.unmap()?;
    same("after munmap", m.map(MAPPING)?, EBUSY)
}

fn bf_mapping_is_capped(cx: &Cx) -> Res {
    let m = cx.mapped("M", 8 << 20)?;
    m.greet()?;
    same("manager", m.become_manager(MANAGER)?, 0)?;
    let a = cx.proc("A")?;
    let all = 4 << 20;
    a.write_read(&bc().call(Tx::to(0).zeros(all + 8)))?
        .expect("NOOP FAILED_REPLY")?;
    a.write(&bc().call(Tx::to(0).zeros(all)))?;
    let call = m.accept()?;
    same("place", call.buffer, m.mapping.0)?;
    let beyond = m.mapping.0 + (4 << 20);
    same(
        "beyond",
        m.step("read beyond", ops::probe, &[beyond, 1])?,
        EFAULT,
    )?;
    same("the last byte", m.run(ops::probe, &[beyond - 1, 1])?, 1)
}

fn bf_untouched_pages_and_children(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let begin = m.mapping.0;
    same(
        "untouched",
        m.step("read untouched", ops::probe, &[begin, 1])?,
        EFAULT,
    )?;
    a.write(&bc().call(Tx::to(0).data(b"x")))?;
    let call = m.accept()?;
    same(
        "touched",
        m.step("read buffer", ops::probe, &[call.buffer, 1])?,
        1,
    )?;
    let last = begin + MAPPING - 4096;
    same(
        "another page",
        m.step("read another page", ops::probe, &[last, 1])?,
        EFAULT,
    )?;
    let child = m.fork("child")?;
    same(
        "in the child",
        child.step("read buffer", ops::probe, &[call.buffer, 1])?,
        EFAULT,
    )
}

fn bf_free_out_of_place(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let a2 = a.thread("A2")?;
    a.write(&bc().call(Tx::to(0).data(b"keep this message")))?;
    let call = m.accept()?;
    let inner = bc()
        .free(call.buffer + 8)
        .free(0)
        .free(m.mapping.0 + MAPPING)
        .free(u64::MAX);
    m.write(&inner)?;
    same("data", m.payload(&call)?, b"keep this message".to_vec())?;
    // The place of a message that was not read yet can be guessed: most likely
    // it is where one of the same size lay before. It can't be freed.
    let m2 = m.thread("M2")?;
    a2.write(&bc().call(Tx::to(0).data(b"not yet read")))?;
    let guess = m2.accept()?.buffer;
    m2.write(&bc().free(guess))?;
    m2.answer_with(Tx::answer())?;
    a2.ending()?;
    a2.write(&bc().call(Tx::to(0).data(b"not yet read")))?;
    m.write(&bc().free(guess))?;
    let next = m2.accept()?;
    same("data", m.payload(&next)?, b"not yet read".to_vec())?;
    m.write(
        &bc()
            .free(next.buffer)
            .free(next.buffer)
            .free(call.buffer)
            .free(call.buffer),
    )?;
    m.answer_with(Tx::answer())?;
    m2.answer_with(Tx::answer())
}

fn bf_free_by_another_thread(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let m2 = m.thread("M2")?;
    let a2 = a.thread("A2")?;
    a.write(&bc().call(Tx::to(0).zeros(MAPPING as usize)))?;
    let call = m.accept()?;
    m2.write(&bc().free(call.buffer))?;
    a2.write(&bc().call(Tx::to(0).zeros(MAPPING as usize)))?;
    m2.accept()?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    Ok(())
}

fn bf_free_before_the_reply(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0).data(b"1")))?;
    let call = m.accept()?;
    m.write(&bc().free(call.buffer))?;
    m.answer_with(Tx::answer().data(b"2"))?;
    same("reply", a.payload(&a.ending()?)?, b"2".to_vec())
}

fn bf_foreign_buffer(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let b = cx.proc("B")?;
    a.write(&bc().call(Tx::to(0).data(b"mine")))?;
    let call = m.accept()?;
    // Both actors were forked alike, so the address may be valid for B.
    b.write(&bc().free(call.buffer))?;
    same("data", m.payload(&call)?, b"mine".to_vec())?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    Ok(())
}

fn bf_many_sizes(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let clients = [
        a.thread("A2")?,
        a.thread("A3")?,
        a.thread("A4")?,
        a.thread("A5")?,
    ];
    let sizes = [0, 1, 8, 13, 4095, 4096, 4097, 9000, 20000];
    let mut seed = 1u32;
    let mut held: Vec<(u64, u64, u8)> = Vec::new();
    cx.quiet(true);
    for round in 0..400u32 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = sizes[(seed >> 16) as usize % sizes.len()];
        let fill = round as u8;
        let client = &clients[round as usize % clients.len()];
        client.write(&bc().call(Tx::to(0).data(&vec![fill; size])))?;
        let call = m.accept()?;
        held.push((call.buffer, call.data_size, fill));
        m.answer_with(Tx::answer())?;
        let end = client.ending()?;
        client.write(&bc().free(end.buffer))?;
        if held.len() > 5 {
            let (at, size, fill) = held.swap_remove((seed >> 8) as usize % held.len());
            let data = m.memory(at, size as usize)?;
            check(
                "contents are kept apart",
                data.iter().all(|byte| *byte == fill),
            )?;
            m.write(&bc().free(at))?;
        }
    }
    for (at, _, _) in held {
        m.write(&bc().free(at))?;
    }
    cx.quiet(false);
    cx.note("400 messages");
    a.write(&bc().call(Tx::to(0).zeros(MAPPING as usize)))?;
    m.accept()?;
    Ok(())
}

fn bf_clear_on_free(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    for (flags, want) in [(0, b"secret00"), (tf::CLEAR_BUF, b"\0\0\0\0\0\0\0\0")] {
        a.write(&bc().call(Tx::to(0).flags(flags).data(b"secret00")))?;
        let call = m.accept()?;
        m.write(&bc().free(call.buffer))?;
        same("after the free", m.memory(call.buffer, 8)?, want.to_vec())?;
        m.answer_with(Tx::answer())?;
        a.ending()?;
    }
    Ok(())
}
