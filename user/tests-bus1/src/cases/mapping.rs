// SPDX-License-Identifier: MIT OR Apache-2.0

//! The pool in memory.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use rustix::fs::{open, Mode, OFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use super::cases;
use crate::expect::data;
use crate::memory::Mapping;
use crate::raw::{device, Peer};
use crate::tap::wait_or_kill;
use crate::verdict::{equal, fails, works, wrong, Verdict};

cases! {
    writable_mappings_are_refused,
    executable_mappings_are_refused,
    mappings_can_not_be_made_writable,
    private_and_shared_mappings_show_the_same,
    mapping_needs_a_readable_file,
    access_to_an_unused_page_ends_in_sigbus,
    mapping_outlives_close,
    mapping_after_disconnect_is_refused,
    closing_with_a_mapping_ends_the_peer,
}

const RW: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

fn map(peer: &Peer, prot: ProtFlags, kind: MapFlags) -> Result<Mapping, Errno> {
    Mapping::new(peer, 1 << 20, prot, kind)
}

fn writable_mappings_are_refused() -> Verdict {
    let peer = Peer::open()?;
    fails("shared", map(&peer, RW, MapFlags::SHARED), Errno::PERM)?;
    fails("private", map(&peer, RW, MapFlags::PRIVATE), Errno::PERM)
}

fn executable_mappings_are_refused() -> Verdict {
    let peer = Peer::open()?;
    let prot = ProtFlags::READ | ProtFlags::EXEC;
    fails("shared", map(&peer, prot, MapFlags::SHARED), Errno::PERM)?;
    fails("private", map(&peer, prot, MapFlags::PRIVATE), Errno::PERM)
}

fn mappings_can_not_be_made_writable() -> Verdict {
    let peer = Peer::open()?;
    for kind in [MapFlags::SHARED, MapFlags::PRIVATE] {
        let pool = works("mmap", map(&peer, ProtFlags::READ, kind))?;
        let rw = MprotectFlags::READ | MprotectFlags::WRITE;
        fails("mprotect", pool.protect(rw), Errno::ACCESS)?;
        let exec = MprotectFlags::READ | MprotectFlags::EXEC;
        fails("mprotect to executable", pool.protect(exec), Errno::ACCESS)?;
    }
    Ok(())
}

fn private_and_shared_mappings_show_the_same() -> Verdict {
    let peer = Peer::open()?;
    let private = works("mmap", map(&peer, ProtFlags::READ, MapFlags::PRIVATE))?;
    for round in 0..3_u8 {
        works("SEND", peer.say(0x100, &[round; 100]))?;
        let msg = data(&peer, 0x100)?;
        equal("shared", peer.bytes(&msg), vec![round; 100])?;
        let copy = private.copy(msg.offset, msg.n_bytes);
        equal("private", copy, vec![round; 100])?;
        works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
    }
    Ok(())
}

fn mapping_needs_a_readable_file() -> Verdict {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let fd = works("open", open(device(), flags, Mode::empty()))?;
    let pool = Mapping::shared(&fd, 1 << 20);
    fails("mmap", pool, Errno::ACCESS)
}

/// Run in another process: reads where no message was ever written.
pub fn touch_the_end() -> Verdict {
    let peer = Peer::open()?;
    let pool = works("mmap of 512 MiB", Mapping::shared(&peer, 512 << 20))?;
    works("SEND", peer.say(0x100, b"fine"))?;
    let msg = data(&peer, 0x100)?;
    equal("what is there", pool.copy(msg.offset, 4), b"fine".to_vec())?;
    let read = pool.copy((512 << 20) - 4096, 1);
    Err(wrong(format_args!(
        "read {read:?} where nothing was written"
    )))
}

fn access_to_an_unused_page_ends_in_sigbus() -> Verdict {
    const SIGBUS: i32 = 7;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--helper", "touch-the-end"])
        .spawn()?;
    let status = wait_or_kill(&mut child, Duration::from_secs(10)).map_err(wrong)?;
    equal("signal", status.signal(), Some(SIGBUS))
}

fn mapping_outlives_close() -> Verdict {
    let peer = Peer::open()?;
    works("SEND", peer.say(0x100, b"still here"))?;
    let msg = data(&peer, 0x100)?;
    let pool = peer.close_fd();
    let copy = pool.copy(msg.offset, msg.n_bytes);
    equal("payload after close", copy, b"still here".to_vec())
}

fn mapping_after_disconnect_is_refused() -> Verdict {
    let peer = Peer::open()?;
    works("SEND", peer.say(0x100, b"still here"))?;
    let msg = data(&peer, 0x100)?;
    works("DISCONNECT", peer.disconnect())?;
    let pool = Mapping::shared(&peer, 4096);
    fails("mmap", pool, Errno::SHUTDOWN)?;
    equal("the old mapping", peer.bytes(&msg), b"still here".to_vec())
}

fn closing_with_a_mapping_ends_the_peer() -> Verdict {
    let (owner, holder) = (Peer::open()?, Peer::open()?);
    let id = holder.meets(&owner, 0x100)?;
    let pool = owner.close_fd();
    crate::expect::notice(&holder, crate::expect::Notice::Destroyed, id)?;
    drop(pool);
    crate::expect::empty(&holder)
}
