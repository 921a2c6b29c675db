// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who pays for the pages of a pool: the memory cgroup of the process that opened
//! the peer, no matter who sends.

use rustix::io::Errno;

use super::cases;
use crate::expect::data;
use crate::pressure::{drop_caches, Group};
use crate::raw::Peer;
use crate::verdict::{check, equal, fails, works, wrong, Verdict};

cases! {
    receiver_pays_for_what_others_send,
    receiver_at_its_memory_limit_refuses_and_nobody_is_killed,
    idle_pages_make_room_at_the_memory_limit,
}

const SIZE: u64 = 64 << 10;
const MIB: u64 = 1 << 20;

/// Charges come in portions: by so much a figure may be off.
const SLACK: u64 = MIB / 2;

/// A peer whose opener is in a group, and a handle to its node 0x100 of a peer that
/// is not.
struct World {
    group: Group,
    receiver: Peer,
    sender: Peer,
    id: u64,
}

impl World {
    fn new() -> Verdict<Self> {
        let group = Group::new()?;
        let receiver = group.inside(Peer::open)?;
        let sender = Peer::open()?;
        let id = sender.meets(&receiver, 0x100)?;
        Ok(World {
            group,
            receiver,
            sender,
            id,
        })
    }

    fn say(&self, bytes: u64) -> Result<(), Errno> {
        self.sender.say(self.id, &vec![1; bytes as usize])
    }

    /// Sends until the receiver has no memory; how many messages that were.
    fn fill(&self) -> Verdict<u64> {
        for sent in 0..100 {
            match self.say(SIZE) {
                Ok(()) => {}
                other => {
                    fails("SEND at the limit", other, Errno::NOMEM)?;
                    return Ok(sent);
                }
            }
        }
        check("the limit was met", false).map(|()| 0)
    }
}

fn receiver_pays_for_what_others_send() -> Verdict {
    let world = World::new()?;
    let before = world.group.charged()?;
    for _ in 0..64 {
        works("SEND", world.say(SIZE))?;
    }
    let charged = world.group.charged()? - before;
    check("it was charged", charged + SLACK >= 64 * SIZE)?;
    check("once", charged <= 64 * SIZE + SLACK)?;
    for _ in 0..64 {
        let msg = data(&world.receiver, 0x100)?;
        works("SLICE_RELEASE", world.receiver.slice_release(msg.offset))?;
    }
    drop_caches()?;
    let left = world.group.charged()?;
    check("it was given back", left <= before + SLACK)
}

fn receiver_at_its_memory_limit_refuses_and_nobody_is_killed() -> Verdict {
    let world = World::new()?;
    world.group.limit(world.group.charged()? + 2 * MIB)?;
    let sent = world.fill()?;
    // Up to twice the slack fits, too.
    let room = |bytes: u64| bytes / SIZE;
    let (least, most) = (room(2 * MIB - SLACK), room(2 * MIB + 2 * SLACK));
    if !(least..=most).contains(&sent) {
        return Err(wrong(format_args!(
            "{sent} messages fit, expected {least} to {most}"
        )));
    }
    // A refused message leaves nothing behind.
    for _ in 0..3 {
        fails("SEND again", world.say(SIZE), Errno::NOMEM)?;
    }
    for _ in 0..sent {
        let msg = data(&world.receiver, 0x100)?;
        equal(
            "payload",
            world.receiver.bytes(&msg),
            vec![1; SIZE as usize],
        )?;
        works("SLICE_RELEASE", world.receiver.slice_release(msg.offset))?;
    }
    crate::expect::empty(&world.receiver)?;
    works("SEND after that", world.say(SIZE))?;
    equal("killed", world.group.kills()?, 0)
}

fn idle_pages_make_room_at_the_memory_limit() -> Verdict {
    let world = World::new()?;
    world.group.limit(world.group.charged()? + 2 * MIB)?;
    let sent = world.fill()?;
    // Of each two neighbours one stays, so that the large message finds its place behind all, and
    // its memory only if the idle pages are given back.
    let mut kept = Vec::new();
    for number in 0..sent {
        let msg = data(&world.receiver, 0x100)?;
        if number % 2 == 0 {
            works("SLICE_RELEASE", world.receiver.slice_release(msg.offset))?;
        } else {
            kept.push(msg.offset);
        }
    }
    works("SEND of many pages", world.say(8 * SIZE))?;
    let msg = data(&world.receiver, 0x100)?;
    check("behind all", kept.iter().all(|offset| *offset < msg.offset))?;
    let payload = world.receiver.bytes(&msg);
    equal("payload", payload, vec![1; 8 * SIZE as usize])?;
    for offset in kept {
        let payload = world.receiver.pool(offset, SIZE);
        equal("what stayed", payload, vec![1; SIZE as usize])?;
    }
    equal("killed", world.group.kills()?, 0)
}
