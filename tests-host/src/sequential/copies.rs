// SPDX-License-Identifier: GPL-2.0

//! Copies from slice to slice: the right bytes, whatever the places in their pages, and a number of
//! page accesses that is linear in bytes and destinations.

use crate::core::{
    pool::{
        NoMemory,
        OutOfSlice,
        PageStore,
        Pool,
        Slice, //
    },
    quota::{
        Account,
        Amounts,
        Principal,
        Users, //
    },
    sync::{
        Arc,
        PAGE_SIZE, //
    },
};
use crate::host::Pages;
use std::{
    ops::Range,
    sync::{
        atomic::{
            AtomicUsize,
            Ordering, //
        },
        Arc as Shared, //
    },
};

/// Pages that count how often one of them is mapped.
struct Counting {
    pages: Pages,
    mapped: Shared<AtomicUsize>,
}

impl PageStore for Counting {
    type Condemned = <Pages as PageStore>::Condemned;

    fn len(&self) -> usize {
        self.pages.len()
    }

    fn present(&self) -> usize {
        self.pages.present()
    }

    fn populate(&self, offset: usize, len: usize) -> Result<(), NoMemory> {
        self.pages.populate(offset, len)
    }

    fn with<R>(&self, offset: usize, len: usize, access: impl FnOnce(&mut [u8]) -> R) -> R {
        self.mapped.fetch_add(1, Ordering::Relaxed);
        self.pages.with(offset, len, access)
    }

    fn condemn(&self, range: Range<usize>) -> (Self::Condemned, usize) {
        self.pages.condemn(range)
    }

    fn evict(&self, condemned: Self::Condemned) -> usize {
        self.pages.evict(condemned)
    }
}

const MANY: Amounts = Amounts {
    slices: u32::MAX,
    bytes: u32::MAX,
    handles: u32::MAX,
    fds: u32::MAX,
};

/// Pools of one user, and how often their pages were mapped.
struct World {
    account: Arc<Account>,
    mapped: Shared<AtomicUsize>,
}

impl World {
    fn new() -> Self {
        let users = Users::new().unwrap();
        Self {
            account: Account::new(
                Users::enter(&users, [Principal::user(1)], MANY).unwrap(),
                MANY,
            )
            .unwrap(),
            mapped: Shared::new(AtomicUsize::new(0)),
        }
    }

    fn pool(&self, pages: usize) -> Arc<Pool<Counting>> {
        let store = Counting {
            pages: Pages::new(pages * PAGE_SIZE),
            mapped: self.mapped.clone(),
        };
        Pool::new(store).unwrap()
    }

    fn slice(&self, pool: &Arc<Pool<Counting>>, len: usize) -> Slice<Counting> {
        let need = Amounts {
            slices: 1,
            bytes: Pool::<Counting>::price(len).unwrap(),
            ..Amounts::NONE
        };
        let charge = Account::charge(&self.account, Principal::user(1), need).unwrap();
        Pool::reserve(pool, len, charge).unwrap()
    }

    /// A slice that begins `shift` bytes into its pool, and what keeps it there.
    fn shifted(&self, shift: usize, len: usize) -> (Option<Slice<Counting>>, Slice<Counting>) {
        let pool = self.pool(8);
        let before = (shift > 0).then(|| self.slice(&pool, shift));
        let slice = self.slice(&pool, len);
        assert_eq!(slice.offset(), shift);
        (before, slice)
    }

    fn mapped(&self) -> usize {
        self.mapped.swap(0, Ordering::Relaxed)
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn contents(slice: &mut Slice<Counting>) -> Vec<u8> {
    let mut bytes = vec![0; slice.len()];
    slice.read(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn bytes_arrive_whatever_the_places_in_their_pages() {
    let world = World::new();
    for len in [1, 8, 4095, 4096, 4097, 3 * PAGE_SIZE + 24] {
        for (from, to) in [(0, 0), (0, 8), (16, 0), (4088, 16), (2048, 4088)] {
            let (_a, mut source) = world.shifted(from, len);
            let (_b, mut target) = world.shifted(to, len);
            source.write(0, &pattern(len)).unwrap();
            target.copy_from(&mut source, len).unwrap();
            assert_eq!(contents(&mut target), pattern(len), "{len} {from} {to}");
            assert_eq!(contents(&mut source), pattern(len));
        }
    }
}

#[test]
fn what_is_behind_the_copy_stays() {
    let world = World::new();
    let ((_, mut source), (_, mut target)) = (world.shifted(0, 64), world.shifted(0, 128));
    source.write(0, &pattern(64)).unwrap();
    target.write(0, &[7; 128]).unwrap();
    target.copy_from(&mut source, 10).unwrap();
    let bytes = contents(&mut target);
    assert_eq!(bytes[..10], pattern(10));
    assert_eq!(bytes[10..], [7; 118]);
}

#[test]
fn a_copy_beyond_either_slice_is_refused() {
    let world = World::new();
    let ((_, mut small), (_, mut large)) = (world.shifted(0, 64), world.shifted(0, 128));
    assert_eq!(small.copy_from(&mut large, 65), Err(OutOfSlice));
    assert_eq!(large.copy_from(&mut small, 65), Err(OutOfSlice));
}

/// Mappings that a message of `pages` pages to `n` receivers takes beyond the first copy.
fn cost(n: usize, pages: usize) -> usize {
    let world = World::new();
    let len = pages * PAGE_SIZE;
    let pool = world.pool(pages);
    let mut source = world.slice(&pool, len);
    let targets: Vec<_> = (0..n).map(|_| world.pool(pages)).collect();
    let mut targets: Vec<_> = targets.iter().map(|pool| world.slice(pool, len)).collect();
    world.mapped();
    for target in &mut targets {
        target.copy_from(&mut source, len).unwrap();
    }
    world.mapped()
}

#[test]
fn the_cost_is_linear_in_bytes_and_destinations() {
    let one = cost(1, 1);
    assert_eq!(one, 2);
    for (n, pages) in [(1, 16), (16, 1), (16, 16), (64, 64)] {
        assert_eq!(cost(n, pages), one * n * pages);
    }
}
