// SPDX-License-Identifier: MIT OR Apache-2.0

//! What becomes of the memory of messages: who sees it when it is used again, and
//! when the kernel gets it back.

use rustix::mm::{MapFlags, ProtFlags};

use super::cases;
use crate::expect::{data, notice, Notice};
use crate::foreign::in_child;
use crate::memory::Mapping;
use crate::pressure::{drop_caches, pages_reclaimed};
use crate::raw::{Peer, MAPPED};
use crate::verdict::{check, equal, works, Verdict};

cases! {
    padding_of_a_reused_slice_is_zero,
    slice_is_what_its_sender_wrote,
    memory_pressure_takes_free_pages_and_no_others,
    pages_come_back_empty_and_in_all_mappings,
    pool_does_not_keep_all_of_a_burst,
}

const PAGE: u64 = 4096;

/// What no sender but the first ever writes.
const SECRET: u8 = 0xe7;

/// A peer with a message of the first sender's, which was received and released.
fn with_a_secret(bytes: usize) -> Verdict<Peer> {
    let (peer, sender) = (Peer::open()?, Peer::open()?);
    let id = sender.meets(&peer, 0x100)?;
    works("SEND", sender.say(id, &vec![SECRET; bytes]))?;
    let msg = data(&peer, 0x100)?;
    equal("the secret", peer.bytes(&msg), vec![SECRET; bytes])?;
    works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
    drop(sender);
    notice(&peer, Notice::Released, 0x100)?;
    Ok(peer)
}

/// Offsets of those of the first pages of the pool that can be read.
fn pages(peer: &Peer, bytes: u64) -> Verdict<Vec<u64>> {
    let mut there = Vec::new();
    for offset in (0..bytes).step_by(PAGE as usize) {
        if peer.mapping().is_there(offset)? {
            there.push(offset);
        }
    }
    Ok(there)
}

fn padding_of_a_reused_slice_is_zero() -> Verdict {
    for len in 1..=9_u64 {
        let peer = with_a_secret(len.next_multiple_of(8) as usize)?;
        let other = Peer::open()?;
        let id = other.meets(&peer, 0x100)?;
        works("SEND", other.say(id, &vec![1; len as usize]))?;
        let msg = data(&peer, 0x100)?;
        equal("same place", msg.offset, 0)?;
        let end = len.next_multiple_of(8);
        let padding = peer.pool(len, end - len);
        equal("padding", padding, vec![0; (end - len) as usize])?;
        equal("payload", peer.bytes(&msg), vec![1; len as usize])?;
    }
    Ok(())
}

/// All of a slice, its handles and padding, is of the new message.
fn slice_is_what_its_sender_wrote() -> Verdict {
    const SIZE: u64 = 4104 + 3 * 8;
    let peer = with_a_secret(SIZE as usize)?;
    let other = Peer::open()?;
    let id = other.meets(&peer, 0x100)?;
    let mail = crate::raw::Mail {
        to: &[id],
        payload: &[&[1; 4099]],
        handles: &[0x200, 0x300, id],
        ..Default::default()
    };
    works("SEND", other.send(&mail))?;
    let msg = data(&peer, 0x100)?;
    equal("same place", msg.offset, 0)?;
    let size = msg.n_bytes.next_multiple_of(8) + 8 * msg.n_handles;
    equal("size", size, SIZE)?;
    let slice = peer.pool(msg.offset, size);
    check("no byte of the secret", !slice.contains(&SECRET))?;
    let (payload, rest) = slice.split_at(4099);
    check("the payload", payload.iter().all(|byte| *byte == 1))?;
    equal("the padding", rest[..5].to_vec(), vec![0; 5])?;
    // Behind it nothing was ever written.
    let behind = peer.pool(size, 2 * PAGE - size);
    check("behind it", behind.iter().all(|byte| *byte == 0))
}

fn memory_pressure_takes_free_pages_and_no_others() -> Verdict {
    const SIZE: u64 = 64 << 10;
    let peer = Peer::open()?;
    let mut offsets = Vec::new();
    for round in 0..32_u8 {
        works("SEND", peer.say(0x100, &[round; SIZE as usize]))?;
        offsets.push(data(&peer, 0x100)?.offset);
    }
    equal(
        "pages",
        pages(&peer, 33 * SIZE)?.len() as u64,
        32 * SIZE / PAGE,
    )?;
    for (round, offset) in offsets.iter().enumerate() {
        if round != 7 {
            works("SLICE_RELEASE", peer.slice_release(*offset))?;
        }
    }
    let before = pages_reclaimed()?;
    drop_caches()?;
    // Other pools may have given some, too.
    let given = pages_reclaimed()? - before;
    check("pages were given back", given >= 31 * SIZE / PAGE)?;
    let kept: Vec<u64> = (offsets[7]..offsets[7] + SIZE)
        .step_by(PAGE as usize)
        .collect();
    equal("pages that stay", pages(&peer, 33 * SIZE)?, kept)?;
    equal(
        "the message",
        peer.pool(offsets[7], SIZE),
        vec![7; SIZE as usize],
    )
}

fn pages_come_back_empty_and_in_all_mappings() -> Verdict {
    let peer = with_a_secret(8 * PAGE as usize)?;
    let private = works(
        "mmap",
        Mapping::new(&peer, 1 << 20, ProtFlags::READ, MapFlags::PRIVATE),
    )?;
    equal("the secret", private.copy(5, 3), vec![SECRET; 3])?;
    in_child(|| {
        equal("in the child", peer.pool(PAGE, 3), vec![SECRET; 3])?;
        drop_caches()?;
        for page in 0..8 {
            for view in [&private, peer.mapping()] {
                check("the page is gone", !view.is_there(page * PAGE)?)?;
            }
        }
        // A page and a bit, of which the rest is new.
        works("SEND", peer.say(0x100, &[1; PAGE as usize + 9]))?;
        let msg = data(&peer, 0x100)?;
        equal("same place", msg.offset, 0)?;
        for view in [&private, peer.mapping()] {
            let seen = view.copy(0, 2 * PAGE);
            let (message, rest) = seen.split_at(PAGE as usize + 9);
            check("the message", message.iter().all(|byte| *byte == 1))?;
            check("the rest", rest.iter().all(|byte| *byte == 0))?;
            check("the next page", !view.is_there(2 * PAGE)?)?;
        }
        Ok(())
    })?;
    // The mappings of the parent had the old pages in their page tables.
    for view in [&private, peer.mapping()] {
        equal("in the parent", view.copy(PAGE, 9), vec![1; 9])?;
        check("the next page", !view.is_there(2 * PAGE)?)?;
    }
    Ok(())
}

fn pool_does_not_keep_all_of_a_burst() -> Verdict {
    const SIZE: usize = 1 << 20;
    let peer = Peer::open()?;
    let mut offsets = Vec::new();
    while let Ok(()) = peer.say(0x100, &[1; SIZE]) {
        offsets.push(data(&peer, 0x100)?.offset);
    }
    check("room for a burst", offsets.len() >= 6)?;
    for offset in &offsets {
        works("SLICE_RELEASE", peer.slice_release(*offset))?;
    }
    let kept = pages(&peer, MAPPED as u64)?.len() as u64 * PAGE;
    check("4 MiB at most stay", kept <= 4 << 20)?;
    check("something stays for the next message", kept >= 1 << 20)
}
