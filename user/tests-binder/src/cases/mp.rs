// SPDX-License-Identifier: MIT OR Apache-2.0

//! The mapping when parts of it go: cut, moved, or given back to the kernel.

use super::{case, Case};
use crate::abi::br;
use crate::actor::Proc;
use crate::ops;
use crate::wire::{bc, Tx};
use crate::world::{check, same, Cx, Res, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(73 mp_part_unmapped_is_all_gone),
    case!(73 mp_moved_is_gone),
    case!(73 mp_can_not_grow),
    case!(74 mp_free_pages_go_under_pressure),
];

const PAGE: u64 = 4096;
const EFAULT: i64 = -(libc::EFAULT as i64);
const ENOMEM: i64 = -(libc::ENOMEM as i64);

/// Nothing can be sent to the manager any more.
fn is_gone(a: &Proc) -> Res {
    a.write_read(&bc().call(Tx::to(0)))?
        .expect("NOOP DEAD_REPLY")?;
    a.has_error(br::DEAD_REPLY, -libc::ESRCH)
}

fn mp_part_unmapped_is_all_gone(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0).data(b"before")))?;
    let kept = m.accept()?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    let last = m.mapping.0 + MAPPING - PAGE;
    same(
        "munmap",
        m.step("munmap the last page", ops::munmap, &[last, PAGE])?,
        0,
    )?;
    is_gone(&a)?;
    same("what lies there", m.payload(&kept)?, b"before".to_vec())?;
    m.write(&bc().free(kept.buffer))
}

fn mp_moved_is_gone(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let moved = m.step("mremap", ops::move_away, &[m.mapping.0, MAPPING])?;
    same("mremap", moved, 0)?;
    is_gone(&a)
}

fn mp_can_not_grow(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    // The stock driver says nothing of growth; the kernel refuses it later than here.
    let grown = m.run(ops::grow, &[m.mapping.0, MAPPING])?;
    check("it is refused", [EFAULT, ENOMEM].contains(&grown))?;
    a.write(&bc().call(Tx::to(0).data(b"still here")))?;
    let call = m.accept()?;
    same("data", m.payload(&call)?, b"still here".to_vec())
}

fn mp_free_pages_go_under_pressure(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().call(Tx::to(0).data(&[7; 4 * PAGE as usize])))?;
    let call = m.accept()?;
    let place = call.buffer;
    let bytes = m.memory(place + PAGE, 8)?;
    same("data", bytes, vec![7; 8])?;
    m.write(&bc().free(place))?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    let dropped = m.step("drop caches", ops::drop_caches, &[])?;
    same("drop caches", dropped, 0)?;
    let freed = m.step("read a freed page", ops::probe, &[place + PAGE, 1])?;
    same("a freed page", freed, EFAULT)?;
    // The next message is seen there, and nothing of the last one behind it.
    let next = vec![9; PAGE as usize + 8];
    a.write(&bc().call(Tx::to(0).data(&next)))?;
    let call = m.accept()?;
    same("place", call.buffer, place)?;
    same("data", m.payload(&call)?, next)?;
    let behind = m.memory(place + PAGE + 8, 64)?;
    same("behind it", behind, vec![0; 64])?;
    let third = m.step("read the third page", ops::probe, &[place + 2 * PAGE, 1])?;
    same("the third page", third, EFAULT)
}
