// SPDX-License-Identifier: MIT OR Apache-2.0

//! RECV and slices: layout, refusals that keep the message, giving back.

use bus1_sys::{BUS1_OFFSET_INVALID, BUS1_RECV_ANON_FLAG_INSTALL_FDS};
use rustix::io::Errno;

use super::cases;
use crate::expect::{data, empty, payload};
use crate::memory::{Area, Bad};
use crate::raw::{Mail, Peer};
use crate::verdict::{check, equal, fails, works, Verdict};

cases! {
    parts_are_laid_out_as_documented,
    recv_erange_keeps_message,
    recv_to_unwritable_memory_loses_nothing,
    recv_from_bad_memory,
    recv_without_a_sender,
    slice_release_knows_exact_slices_only,
    slice_of_an_unread_message_is_not_published,
    #[long] slices_can_be_used_over_and_over,
    #[long] two_readers_get_each_message_once,
}

/// The bytes a slice takes, by the document.
fn slice_size(bytes: u64, handles: u64, files: u64) -> u64 {
    let size = bytes.next_multiple_of(8) + 8 * handles + (4 * files).next_multiple_of(8);
    size.max(8)
}

fn parts_are_laid_out_as_documented() -> Verdict {
    let peer = Peer::open()?;
    let filler = vec![0xff; 4096];
    // Memory that was written to before shows whether padding is cleared.
    works("SEND", peer.say(0x100, &filler))?;
    payload(&peer, 0x100, &filler)?;
    let bytes: Vec<u8> = (1..=17).collect();
    let (ids, file) = ([0x100, 0x104, 0x108], [2; 3]);
    for size in 0..=17_usize {
        for handles in 0..=3_usize {
            for files in 0..=3_usize {
                one_layout(&peer, &bytes[..size], &ids[..handles], &file[..files])?;
            }
        }
    }
    Ok(())
}

fn one_layout(peer: &Peer, bytes: &[u8], ids: &[u64], fds: &[i32]) -> Verdict {
    let what = format!(
        "{} bytes, {} handles, {} files",
        bytes.len(),
        ids.len(),
        fds.len()
    );
    let mail = Mail {
        to: &[0x100],
        payload: &[bytes],
        handles: ids,
        fds,
        ..Default::default()
    };
    works(&what, peer.send(&mail))?;
    let msg = works(&what, peer.recv_files())?;
    let files = peer.files(&msg);
    check(&format!("{what}: offset"), msg.offset % 8 == 0)?;
    equal(&what, peer.bytes(&msg), bytes.to_vec())?;
    equal(&what, peer.handles(&msg), ids.to_vec())?;
    equal(
        &what,
        (files.len() as u64, msg.n_fds),
        (fds.len() as u64, fds.len() as u64),
    )?;
    let n = bytes.len() as u64;
    let padding = peer.pool(msg.offset + n, n.next_multiple_of(8) - n);
    equal(
        &format!("{what}: padding"),
        padding.iter().any(|byte| *byte != 0),
        false,
    )?;
    if fds.len() % 2 == 1 {
        let size = slice_size(n, ids.len() as u64, fds.len() as u64);
        let tail = peer.pool(msg.offset + size - 4, 4);
        equal(&format!("{what}: padding of the files"), tail, vec![0; 4])?;
    }
    works(&what, peer.slice_release(msg.offset))?;
    ids.iter()
        .try_for_each(|id| works("RELEASE", peer.release(*id)))?;
    // Nobody else holds these nodes: a notice for each follows.
    let mut told = 0;
    while peer.recv().is_ok() {
        told += 1;
    }
    equal("notices", told, ids.len())
}

fn recv_erange_keeps_message() -> Verdict {
    let (sender, peer) = (Peer::open()?, Peer::open()?);
    let to = [sender.meets(&peer, 0x10)?];
    let gift = [0x20];
    for round in 0..2 {
        let bytes = [round; 10];
        let mail = Mail {
            to: &to,
            payload: &[&bytes],
            handles: &gift,
            ..Default::default()
        };
        works("SEND", sender.send(&mail))?;
    }
    // Where the first one lies is known only once it is delivered: 0 is too
    // little in any case.
    for _ in 0..3 {
        fails("RECV below 0", peer.recv_with(0, 0), Errno::RANGE)?;
    }
    let first = data(&peer, 0x10)?;
    equal("the first stays first", peer.bytes(&first), vec![0; 10])?;
    works("SLICE_RELEASE", peer.slice_release(first.offset))?;

    // The second lies where it lies: look for the smallest end that is enough.
    let size = slice_size(10, 1, 0);
    let mut end = 8;
    let second = loop {
        match peer.recv_with(0, end) {
            Err(Errno::RANGE) if end < 1 << 20 => end += 8,
            other => break works("RECV", other)?,
        }
    };
    equal("the edge", end, second.offset + size)?;
    equal("its payload", peer.bytes(&second), vec![1; 10])?;
    let id = peer.handles(&second)[0];
    works("RELEASE 1", peer.release(id))?;
    works("RELEASE 2", peer.release(id))?;
    fails("RELEASE 3", peer.release(id), Errno::NXIO)?;
    // A notice has no slice, so there is nothing to be out of range.
    works("NODES_DESTROY", peer.destroy(&[0x30]))?;
    works("RECV of a notice below 0", peer.recv_with(0, 0)).map(drop)
}

fn recv_to_unwritable_memory_loses_nothing() -> Verdict {
    let (sender, peer) = (Peer::open()?, Peer::open()?);
    let to = [sender.meets(&peer, 0x10)?];
    let gift = [0x20];
    let mail = Mail {
        to: &to,
        payload: &[b"kept"],
        handles: &gift,
        ..Default::default()
    };
    works("SEND", sender.send(&mail))?;
    let area = Area::read_only(&[0, BUS1_OFFSET_INVALID])?;
    for _ in 0..3 {
        fails("RECV", peer.recv_into(&area), Errno::FAULT)?;
    }
    let msg = data(&peer, 0x10)?;
    equal("payload", peer.bytes(&msg), b"kept".to_vec())?;
    let id = peer.handles(&msg)[0];
    works("RELEASE", peer.release(id))?;
    fails("RELEASE again", peer.release(id), Errno::NXIO)?;
    empty(&peer)
}

fn recv_from_bad_memory() -> Verdict {
    let peer = Peer::open()?;
    works("SEND", peer.say(0x100, b"kept"))?;
    for bad in &Bad::all()? {
        let result = peer.command_at(bus1_sys::BUS1_CMD_RECV, bad);
        fails("RECV", result, Errno::FAULT)?;
    }
    payload(&peer, 0x100, b"kept")
}

fn recv_without_a_sender() -> Verdict {
    let peer = Peer::open()?;
    for round in 0..4_u8 {
        let mail = Mail {
            to: &[0x100],
            payload: &[&[round]],
            fds: &[2],
            ..Default::default()
        };
        works("SEND", peer.send(&mail))?;
    }
    for round in 0..4_u8 {
        let (offset, n_bytes) = if round % 2 == 0 {
            let msg = works("RECV", peer.recv())?;
            (msg.offset, msg.n_bytes)
        } else {
            let msg = works("the short RECV", peer.recv_anon(0))?;
            equal("type and flags", (msg.type_, msg.flags), (1, 0))?;
            equal("destination", msg.destination, 0x100)?;
            equal("files that nobody asked for", msg.n_fds, 0)?;
            (msg.offset, msg.n_bytes)
        };
        equal("payload", peer.pool(offset, n_bytes), vec![round])?;
        works("SLICE_RELEASE", peer.slice_release(offset))?;
    }
    fails("nothing left", peer.recv_anon(0), Errno::AGAIN)?;
    let install = peer.recv_anon(BUS1_RECV_ANON_FLAG_INSTALL_FDS);
    fails("its flag for files", install, Errno::AGAIN)?;
    fails("a flag of the long form", peer.recv_anon(4), Errno::INVAL)
}

fn slice_release_knows_exact_slices_only() -> Verdict {
    let peer = Peer::open()?;
    fails("an empty pool", peer.slice_release(0), Errno::NXIO)?;
    works("SEND", peer.say(0x100, &[1; 64]))?;
    let msg = data(&peer, 0x100)?;
    let at = msg.offset;
    let wrong = [
        at + 8,
        at + 1,
        at.wrapping_sub(8),
        at + (1 << 32),
        at | 1 << 63,
        BUS1_OFFSET_INVALID,
    ];
    for offset in wrong {
        let what = format!("offset {offset:#x}");
        fails(&what, peer.slice_release(offset), Errno::NXIO)?;
    }
    equal("it is untouched", peer.bytes(&msg), vec![1; 64])?;
    works("SLICE_RELEASE", peer.slice_release(at))?;
    fails("once more", peer.slice_release(at), Errno::NXIO)
}

fn slice_of_an_unread_message_is_not_published() -> Verdict {
    let peer = Peer::open()?;
    // The second lands where the first was, and is not read.
    works("SEND", peer.say(0x100, &[1; 64]))?;
    let first = data(&peer, 0x100)?;
    works("SLICE_RELEASE", peer.slice_release(first.offset))?;
    works("SEND", peer.say(0x100, &[2; 64]))?;
    for offset in (0..4096).step_by(8) {
        fails("SLICE_RELEASE", peer.slice_release(offset), Errno::NXIO)?;
    }
    let second = data(&peer, 0x100)?;
    equal("its payload", peer.bytes(&second), vec![2; 64])?;
    works("SLICE_RELEASE", peer.slice_release(second.offset))
}

fn slices_can_be_used_over_and_over() -> Verdict {
    let peer = Peer::open()?;
    // More in all than a pool has, and many times what a peer may keep.
    let bytes = vec![3; 1 << 20];
    for _ in 0..600 {
        works("SEND", peer.say(0x100, &bytes))?;
        let msg = works("RECV", peer.recv())?;
        works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
    }
    empty(&peer)
}

fn two_readers_get_each_message_once() -> Verdict {
    const COUNT: u32 = 500;
    let peer = Peer::open()?;
    let read = || -> Verdict<Vec<u32>> {
        let mut log = Vec::new();
        loop {
            let msg = crate::expect::soon(&peer)?;
            let word = peer.bytes(&msg).try_into().map_err(|_| Errno::PROTO)?;
            works("SLICE_RELEASE", peer.slice_release(msg.offset))?;
            match u32::from_ne_bytes(word) {
                u32::MAX => return Ok(log),
                word => log.push(word),
            }
        }
    };
    let logs = std::thread::scope(|scope| -> Verdict<[Vec<u32>; 2]> {
        let readers = [scope.spawn(read), scope.spawn(read)];
        for word in 0..COUNT {
            works("SEND", peer.say(0x100, &word.to_ne_bytes()))?;
        }
        for _ in &readers {
            works("SEND", peer.say(0x100, &u32::MAX.to_ne_bytes()))?;
        }
        let [one, two] = readers.map(|one| one.join().unwrap_or(Err(Errno::CANCELED.into())));
        Ok([one?, two?])
    })?;
    for log in &logs {
        check("each reader's part is in order", log.is_sorted())?;
    }
    let mut all = logs.concat();
    all.sort_unstable();
    equal("all messages, once each", all, (0..COUNT).collect())?;
    empty(&peer)
}
