// SPDX-License-Identifier: MIT OR Apache-2.0

//! The pool in memory, seen through several mappings, and through mappings that
//! were copied, moved and cut.

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use super::cases;
use crate::expect::data;
use crate::foreign::in_child;
use crate::memory::Mapping;
use crate::raw::Peer;
use crate::verdict::{check, equal, fails, works, Verdict};

cases! {
    all_mappings_show_later_messages,
    mapping_is_inherited_over_fork,
    child_sees_messages_that_come_after_the_fork,
    mapping_at_an_offset_shows_that_part,
    part_of_a_mapping_can_be_unmapped,
    moved_mapping_shows_later_messages,
    mapping_can_not_grow,
}

const PAGE: u64 = 4096;

fn say(peer: &Peer, bytes: &[u8]) -> Verdict<u64> {
    works("SEND", peer.say(0x100, bytes))?;
    Ok(data(peer, 0x100)?.offset)
}

fn all_mappings_show_later_messages() -> Verdict {
    let peer = Peer::open()?;
    let mut views = Vec::new();
    for round in 0..6_u8 {
        for kind in [MapFlags::SHARED, MapFlags::PRIVATE] {
            views.push(works(
                "mmap",
                Mapping::new(&peer, 1 << 20, ProtFlags::READ, kind),
            )?);
        }
        let bytes = vec![round + 1; 5000];
        let offset = say(&peer, &bytes)?;
        for view in &views {
            equal("view", view.copy(offset, 5000), bytes.clone())?;
        }
        works("SLICE_RELEASE", peer.slice_release(offset))?;
        // Mappings come and go.
        views.remove(0);
    }
    Ok(())
}

fn mapping_is_inherited_over_fork() -> Verdict {
    let peer = Peer::open()?;
    let offset = say(&peer, b"before")?;
    in_child(|| equal("in the child", peer.pool(offset, 6), b"before".to_vec()))?;
    equal("in the parent", peer.pool(offset, 6), b"before".to_vec())
}

fn child_sees_messages_that_come_after_the_fork() -> Verdict {
    let peer = Peer::open()?;
    in_child(|| {
        // Nothing is there yet; the child's own mapping is asked.
        check("nothing is there", !peer.mapping().is_there(0)?)?;
        let offset = say(&peer, &[7; 9000])?;
        in_child(|| equal("in the grandchild", peer.pool(offset, 9000), vec![7; 9000]))?;
        equal("in the child", peer.pool(offset, 9000), vec![7; 9000])
    })?;
    equal("in the parent", peer.pool(0, 9000), vec![7; 9000])
}

fn mapping_at_an_offset_shows_that_part() -> Verdict {
    let peer = Peer::open()?;
    let mut bytes = vec![1; 3 * PAGE as usize];
    bytes[2 * PAGE as usize..].fill(2);
    equal("offset", say(&peer, &bytes)?, 0)?;
    let part = works("mmap", Mapping::shared_from(&peer, PAGE as usize, 2 * PAGE))?;
    equal("the third page", part.copy(0, PAGE), vec![2; PAGE as usize])
}

fn part_of_a_mapping_can_be_unmapped() -> Verdict {
    let peer = Peer::open()?;
    let view = works("mmap", Mapping::shared(&peer, 1 << 20))?;
    let bytes: Vec<u8> = (0..5 * PAGE).map(|at| (at / PAGE) as u8 + 1).collect();
    let offset = say(&peer, &bytes)?;
    equal("offset", offset, 0)?;
    works("munmap", view.punch(2 * PAGE, PAGE))?;
    check("the hole", !view.is_there(2 * PAGE)?)?;
    for page in [0, 1, 3, 4] {
        let wanted = vec![page as u8 + 1; PAGE as usize];
        equal("around the hole", view.copy(page * PAGE, PAGE), wanted)?;
    }
    works("SLICE_RELEASE", peer.slice_release(offset))?;
    say(&peer, &[9; 5 * PAGE as usize])?;
    equal("later", view.copy(4 * PAGE, 8), vec![9; 8])?;
    equal("whole", peer.pool(2 * PAGE, 8), vec![9; 8])
}

fn moved_mapping_shows_later_messages() -> Verdict {
    let peer = Peer::open()?;
    let mut view = works("mmap", Mapping::shared(&peer, 1 << 20))?;
    let first = say(&peer, b"before")?;
    equal("before", view.copy(first, 6), b"before".to_vec())?;
    let place = view.address();
    works("mremap", view.move_away())?;
    check("it moved", view.address() != place)?;
    equal("after", view.copy(first, 6), b"before".to_vec())?;
    let second = say(&peer, &[3; 9000])?;
    equal("later", view.copy(second, 9000), vec![3; 9000])
}

fn mapping_can_not_grow() -> Verdict {
    let peer = Peer::open()?;
    let mut view = works("mmap", Mapping::shared(&peer, 1 << 20))?;
    fails("mremap", view.grow(2 << 20), Errno::FAULT)?;
    let offset = say(&peer, b"still here")?;
    equal("bytes", view.copy(offset, 10), b"still here".to_vec())
}
