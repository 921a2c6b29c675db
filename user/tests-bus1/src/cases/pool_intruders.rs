// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a receiver, or who debugs it, must not do to its pool: change what lies
//! there, have others serve its faults, take memory away under it, or get hold of
//! its file. Each way is tried on plain memory first, where it has to work.

use std::fs::{read_dir, read_link, File};

use rustix::io::Errno;

use super::cases;
use crate::expect::data;
use crate::foreign::{advise, poke, register_faults, vm_write, write_proc_mem};
use crate::raw::Peer;
use crate::verdict::{check, equal, fails, skip, works, wrong, Verdict};

cases! {
    proc_mem_does_not_write_to_the_pool,
    debuggers_do_not_write_to_the_pool,
    process_vm_writev_does_not_write_to_the_pool,
    userfaultfd_does_not_serve_the_pool,
    madv_remove_is_refused,
    madv_collapse_is_refused,
    files_of_mappings_can_not_be_opened,
}

const MADV_REMOVE: i32 = 9;
const MADV_COLLAPSE: i32 = 25;
const PAGE: usize = 4096;

/// A message that is to stay as it is.
struct Prey {
    peer: Peer,
    offset: u64,
    bytes: Vec<u8>,
}

impl Prey {
    fn new() -> Verdict<Self> {
        let peer = Peer::open()?;
        let bytes = vec![0x5a; 3 * PAGE];
        works("SEND", peer.say(0x100, &bytes))?;
        let offset = data(&peer, 0x100)?.offset;
        let prey = Prey {
            peer,
            offset,
            bytes,
        };
        prey.is_unharmed()?;
        Ok(prey)
    }

    fn address(&self) -> u64 {
        self.peer.mapping().address() + self.offset
    }

    fn is_unharmed(&self) -> Verdict {
        let seen = self.peer.pool(self.offset, self.bytes.len() as u64);
        check("the message is as it was", seen == self.bytes)
    }
}

fn proc_mem_does_not_write_to_the_pool() -> Verdict {
    let (prey, plain) = (Prey::new()?, vec![0_u8; 16]);
    works("plain memory", write_proc_mem(plain.as_ptr() as u64, &[1]))?;
    let written = write_proc_mem(prey.address(), b"changed");
    fails("the pool", written, Errno::IO)?;
    prey.is_unharmed()
}

fn debuggers_do_not_write_to_the_pool() -> Verdict {
    let (prey, plain) = (Prey::new()?, Box::new(0_u64));
    let plain: *const u64 = &*plain;
    works("plain memory", poke(plain as u64, 1)?)?;
    fails("the pool", poke(prey.address(), 1)?, Errno::IO)?;
    prey.is_unharmed()
}

fn process_vm_writev_does_not_write_to_the_pool() -> Verdict {
    let (prey, plain) = (Prey::new()?, vec![0_u8; 16]);
    match vm_write(plain.as_ptr() as u64, &[1]) {
        Err(Errno::NOSYS) => return skip("the kernel has no process_vm_writev"),
        other => works("plain memory", other)?,
    }
    fails("the pool", vm_write(prey.address(), &[1]), Errno::FAULT)?;
    prey.is_unharmed()
}

fn userfaultfd_does_not_serve_the_pool() -> Verdict {
    let prey = Prey::new()?;
    let plain = crate::memory::Area::new()?;
    match register_faults(plain.address() as u64, PAGE) {
        Err(Errno::NOSYS) => return skip("the kernel has no userfaultfd"),
        other => works("plain memory", other)?,
    }
    fails(
        "the pool",
        register_faults(prey.address(), PAGE),
        Errno::INVAL,
    )?;
    prey.is_unharmed()
}

fn madv_remove_is_refused() -> Verdict {
    let prey = Prey::new()?;
    match advise(prey.address(), PAGE, MADV_REMOVE) {
        Err(Errno::NOSYS) => return skip("the kernel has no madvise"),
        // Shared and never writable, or private.
        other => fails("MADV_REMOVE", other, Errno::ACCESS)?,
    }
    prey.is_unharmed()
}

fn madv_collapse_is_refused() -> Verdict {
    let prey = Prey::new()?;
    match advise(prey.address(), 2 << 20, MADV_COLLAPSE) {
        Err(Errno::NOSYS) => return skip("the kernel has no madvise"),
        other => fails("MADV_COLLAPSE", other, Errno::INVAL)?,
    }
    prey.is_unharmed()
}

fn files_of_mappings_can_not_be_opened() -> Verdict {
    let prey = Prey::new()?;
    let mut found = 0;
    for entry in read_dir("/proc/self/map_files")? {
        let path = entry?.path();
        let Ok(target) = read_link(&path) else {
            continue;
        };
        if !target.to_string_lossy().contains("[bus1-pool]") {
            continue;
        }
        found += 1;
        let opened = File::options().read(true).write(true).open(&path);
        let opened = opened.or_else(|_| File::open(&path));
        if opened.is_ok() {
            return Err(wrong(format_args!("{} was opened", target.display())));
        }
    }
    equal("mappings of the pool", found, 1)?;
    prey.is_unharmed()
}
