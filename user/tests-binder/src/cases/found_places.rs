// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where buffers lie. No manual promises it, but Android's binderLibTest relies on
//! it (`CheckNoHeaderMappedInUser`), which is how these were found.

use super::{case, Case};
use crate::wire::{bc, Tx};
use crate::world::{same, Cx, Res};

pub(super) const CASES: &[Case] = &[case!(75 found_unused_mapping_is_filled_from_its_start)];

/// Three calls at once, of these sizes; their places from the start of the mapping.
fn places(cx: &Cx, rounds: &[[usize; 3]]) -> Res<Vec<[u64; 3]>> {
    let (m, a) = cx.pair()?;
    let servers = [m.thread("M2")?, m.thread("M3")?, m.thread("M4")?];
    let clients = [a.thread("A2")?, a.thread("A3")?, a.thread("A4")?];
    let mut all = Vec::new();
    for sizes in rounds {
        let mut buffers = [0; 3];
        for (at, size) in sizes.iter().enumerate() {
            clients[at].write(&bc().call(Tx::to(0).zeros(*size)))?;
            buffers[at] = servers[at].accept()?.buffer;
        }
        // In the order of their arrival: what is free then lies in pieces meanwhile.
        for (at, buffer) in buffers.iter().enumerate() {
            servers[at].write(&bc().free(*buffer))?;
            servers[at].answer_with(Tx::answer())?;
            let answer = clients[at].ending()?;
            clients[at].write(&bc().free(answer.buffer))?;
        }
        all.push(buffers.map(|buffer| buffer - m.mapping.0));
    }
    Ok(all)
}

fn found_unused_mapping_is_filled_from_its_start(cx: &Cx) -> Res {
    let found = places(
        cx,
        &[[48, 104, 8], [104, 48, 8], [8, 16, 48], [104, 8, 104]],
    )?;
    same("of 48, 104, 8 bytes", found[0], [0, 48, 152])?;
    same("of 104, 48, 8 bytes", found[1], [0, 104, 152])?;
    same("of 8, 16, 48 bytes", found[2], [0, 8, 24])?;
    same("of 104, 8, 104 bytes", found[3], [0, 104, 112])
}
