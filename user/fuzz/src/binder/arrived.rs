// SPDX-License-Identifier: MIT OR Apache-2.0

//! What lies in a received buffer, in words that are the same on every driver:
//! addresses in it are told from the start of the buffer.

use tests_binder::abi::{obj, TransactionData};
use tests_binder::actor::Thread;
use tests_binder::memory::{Fda, Ptr};
use tests_binder::wire::Obj;
use tests_binder::world::Res;

use crate::binder::content::as_handle;

/// A received buffer.
pub struct Arrived {
    /// Its contents.
    pub text: String,
    /// The handles in it, and whether they are strong.
    pub handles: Vec<(u32, bool)>,
}

/// A number that differs if the bytes do.
fn sum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The object in these bytes: its size, and what it says.
fn size_of(bytes: &[u8]) -> usize {
    if Ptr::parse(bytes).is_some() {
        40
    } else if Fda::parse(bytes).is_some() {
        32
    } else {
        obj::SIZE
    }
}

/// What is being read.
struct Reader<'a> {
    thread: &'a Thread,
    message: &'a TransactionData,
    mapping: (u64, u64),
    data: Vec<u8>,
    offsets: Vec<usize>,
}

impl Reader<'_> {
    fn object(&self, index: usize) -> &[u8] {
        let at = self.offsets.get(index).copied().unwrap_or(usize::MAX);
        self.data.get(at..).unwrap_or(&[])
    }

    fn contains(&self, address: u64, length: u64) -> bool {
        let (start, size) = self.mapping;
        let offset = address.wrapping_sub(start);
        offset <= size && length <= size - offset
    }

    /// The memory of the pointer `index`, without the addresses that lie in it.
    fn memory(&self, index: usize, ptr: &Ptr) -> Res<String> {
        if !self.contains(ptr.buffer, ptr.length) {
            return Ok("outside".into());
        }
        let mut bytes = self.thread.memory(ptr.buffer, ptr.length as usize)?;
        for child in 0..self.offsets.len() {
            let Some(child) = Ptr::parse(self.object(child)) else {
                continue;
            };
            let within = child.flags & obj::HAS_PARENT != 0 && child.parent == index as u64;
            let place = child.parent_offset as usize;
            if let Some(place) = bytes.get_mut(place..place + 8).filter(|_| within) {
                place.fill(0);
            }
        }
        Ok(format!("{:x}", sum(&bytes)))
    }

    fn describe(&self, index: usize) -> Res<String> {
        let bytes = self.object(index);
        if let Some(ptr) = Ptr::parse(bytes) {
            return Ok(format!(
                "PTR({:x},{}@{} in {}@{} {})",
                ptr.flags,
                ptr.length,
                ptr.buffer.wrapping_sub(self.message.buffer) as i64,
                ptr.parent,
                ptr.parent_offset,
                self.memory(index, &ptr)?
            ));
        }
        if let Some(fda) = Fda::parse(bytes) {
            return Ok(format!(
                "FDA({:x},{} in {}@{})",
                fda.pad, fda.num_fds, fda.parent, fda.parent_offset
            ));
        }
        Ok(Obj::parse(bytes).map_or("cut off".into(), |object| object.to_string()))
    }
}

/// Reads a buffer that the thread's process has received into its mapping.
pub fn open(thread: &Thread, message: &TransactionData, mapping: (u64, u64)) -> Res<Arrived> {
    let data = thread.payload(message)?;
    let offsets = thread.memory(message.offsets, message.offsets_size as usize)?;
    let offsets = offsets.chunks_exact(8).map(|bytes| {
        let word = |at: usize| u64::from(bytes[at]) << (8 * at);
        (0..8).map(word).sum::<u64>() as usize
    });
    let mut reader = Reader {
        thread,
        message,
        mapping,
        data,
        offsets: offsets.collect(),
    };
    let mut words = Vec::new();
    let mut handles = Vec::new();
    for index in 0..reader.offsets.len() {
        words.push(reader.describe(index)?);
        handles.extend(
            Obj::parse(reader.object(index))
                .as_ref()
                .and_then(as_handle),
        );
    }
    // What is left are bytes that nobody changes on the way.
    for index in 0..reader.offsets.len() {
        let (at, size) = (reader.offsets[index], size_of(reader.object(index)));
        if let Some(object) = reader
            .data
            .get_mut(at..)
            .and_then(|rest| rest.get_mut(..size))
        {
            object[4..].fill(0);
        }
    }
    words.push(format!("data {:x}", sum(&reader.data)));
    Ok(Arrived {
        text: words.join(" "),
        handles,
    })
}
