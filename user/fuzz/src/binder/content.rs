// SPDX-License-Identifier: MIT OR Apache-2.0

//! What messages are made of: data, objects of all kinds, and forgeries.

use tests_binder::abi::obj;
use tests_binder::memory::{Fda, Ptr};
use tests_binder::shm;
use tests_binder::wire::{Node, Obj, Tx};
use tests_binder::world::MAPPING;

use crate::random::Rng;

/// A handle that nobody has.
pub const WILD: u32 = 0x4000_0000;

/// A descriptor that nobody has.
const WILD_FD: i32 = 999;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// Places in the shared area that all actors know.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// Where readable memory ends: a page follows that is forbidden to actors.
    pub edge: u64,
    /// Zeros, as many as a mapping has bytes and a few more.
    pub zeros: u64,
}

impl Places {
    /// Takes them from the shared area; actors have to forbid the page.
    pub fn new() -> Self {
        let pages = shm::alloc(3 * PAGE).next_multiple_of(PAGE as u64);
        Places {
            edge: pages + PAGE as u64,
            zeros: shm::alloc(MAPPING as usize + 64),
        }
    }
}

/// What a process has to put into messages.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// Handles that it knows of.
    pub handles: Vec<u32>,
    /// An open file.
    pub file: i32,
    /// See there.
    pub places: Places,
}

impl Source {
    fn node(&self, r: &mut Rng) -> Node {
        r.pick(&self.nodes).unwrap_or(Node::new(0x10))
    }

    /// A handle; the manager's, or a forged one, every now and then.
    pub fn handle(&self, r: &mut Rng) -> u32 {
        let forged = match r.below(16) {
            0 => return WILD + r.below(3) as u32,
            1 => u32::MAX,
            _ => 0,
        };
        r.pick(&self.handles).unwrap_or(forged)
    }

    fn object(&self, r: &mut Rng) -> Obj {
        match r.weighted(&[30, 10, 4, 26, 8, 8, 2, 2]) {
            0 => Obj::node(self.node(r)),
            1 => Obj::weak_node(self.node(r)),
            2 => {
                let node = self.node(r);
                Obj::node(Node {
                    cookie: node.cookie + 1,
                    ..node
                })
            }
            3 => Obj::handle(self.handle(r)),
            4 => Obj::weak_handle(self.handle(r)),
            5 => Obj::fd(self.file),
            6 => Obj::fd(WILD_FD),
            _ => Obj {
                kind: 0x7878_2a85,
                ..Obj::handle(0)
            },
        }
    }

    /// Memory to be pointed to, with descriptors in it.
    fn memory(&self, r: &mut Rng) -> Ptr {
        let length = r.of([0, 1, 8, 16, 24, 40, 104]);
        let mut bytes = vec![r.draw() as u8; length];
        if let Some(numbers) = bytes.get_mut(8..16) {
            numbers[..4].copy_from_slice(&self.file.to_ne_bytes());
            numbers[4..].copy_from_slice(&self.file.to_ne_bytes());
        }
        match r.below(24) {
            0 => Ptr::at(self.places.edge - 4, length as u64),
            1 => Ptr::at(8, length as u64),
            _ => Ptr::to(&bytes),
        }
    }

    /// Objects about memory, mostly as they should be.
    fn scatter(&self, mut tx: Tx, r: &mut Rng) -> Tx {
        // A parent at offset 0 of the data is a known difference.
        tx = tx.data(&[0x5a; 8]);
        let mut extra: u64 = 0;
        for index in 0..1 + r.below(4) as u64 {
            let parent = r.below(index as usize + 1) as u64;
            match r.weighted(&[6, 5, 4, 1]) {
                0 => {
                    let ptr = self.memory(r);
                    extra += ptr.length.next_multiple_of(8);
                    tx = tx.ptr(ptr);
                }
                1 => {
                    let ptr = self.memory(r);
                    extra += ptr.length.next_multiple_of(8);
                    tx = tx.ptr(ptr.within(parent, r.of([0, 8, 8, 16, 4, 3, 1 << 40])));
                }
                2 => {
                    let count = r.of([0, 1, 2, 2, 3, 1 << 62]);
                    tx = tx.fda(Fda::of(count, parent, r.of([8, 8, 12, 0, 2])));
                }
                _ => tx = tx.object(self.object(r)),
            }
        }
        tx.extra(match r.below(12) {
            0 => extra + 8,
            1 => extra.saturating_sub(8),
            2 => extra + 4,
            3 => r.of([1 << 40, u64::MAX, u64::MAX - 7]),
            _ => extra,
        })
    }

    /// Breaks a message in one place.
    fn forge(&self, tx: Tx, r: &mut Rng) -> Tx {
        let nowhere = r.of([8, 1 << 63, !7, self.places.edge, self.places.edge - 8]);
        match r.below(9) {
            0 => tx.offsets_len(r.of([4, 12, 1 << 40, u64::MAX - 7])),
            1 => tx.offsets(r.of([&[8, 8], &[32, 8], &[0, 4]])),
            2 => tx.offsets(r.of([&[1], &[2], &[4]])),
            3 => tx.offsets(&[r.of([24, 1000, 1 << 40, u64::MAX])]),
            4 => tx.data_len(r.of([0, 1, 8, 20, 23])),
            5 => tx.data_at(nowhere),
            6 => tx.offsets_at(nowhere).offsets_len(16),
            7 => tx.data_len(r.of([MAPPING + 8, 1 << 63, u64::MAX - 7])),
            // More than one-ways may use.
            _ => tx.data_at(self.places.zeros).data_len(MAPPING / 2 + 8),
        }
    }

    /// Gives a message its contents.
    pub fn fill(&self, tx: Tx, r: &mut Rng) -> Tx {
        let tx = match r.weighted(&[5, 4, 2]) {
            0 => {
                let size = r.of([0, 0, 1, 4, 8, 13, 24, 64, 200, 1000]);
                tx.data(&vec![r.draw() as u8; size])
            }
            1 => {
                let lead = r.below(3) * 8;
                let tx = tx.data(&vec![r.draw() as u8; lead]);
                let count = 1 + r.below(3);
                (0..count).fold(tx, |tx, _| tx.object(self.object(r)))
            }
            _ => self.scatter(tx, r),
        };
        if r.one_in(9) {
            self.forge(tx, r)
        } else {
            tx
        }
    }
}

/// Whether it is a handle, and a strong one.
pub fn as_handle(object: &Obj) -> Option<(u32, bool)> {
    match object.kind {
        obj::HANDLE => Some((object.value as u32, true)),
        obj::WEAK_HANDLE => Some((object.value as u32, false)),
        _ => None,
    }
}
