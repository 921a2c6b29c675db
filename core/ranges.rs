// SPDX-License-Identifier: GPL-2.0

//! Ranges of a pool: which bytes are in use.
//!
//! Pure: knows no pages and takes no lock. It lies in the data of a pool's leaf spinlock, so it never
//! allocates: the memory of tree nodes is handed in and handed back (see [`Scratch`]).
//!
//! Two trees: all ranges by offset, free ones by size. A request takes the low end of the smallest
//! free range that holds it, the lowest of several; a range that becomes free merges with its free
//! neighbours. All of it is O(log n) for n ranges.
//!
//! In front of the trees lie the last few ranges given back, still whole. A request of exactly the
//! same size takes one of them in O(1) and touches no tree, which is what a peer that exchanges
//! messages of a few sizes does for ever. They never stand in anybody's way: a request that finds no
//! place otherwise first merges them all, and so does one that finds nothing in use. So an unused pool
//! is as good as a new one: it is filled from its start, without gaps, as user space has come to
//! expect of Binder.
//!
//! Who gives memory of free ranges back looks for them with a [`Walk`], the largest first, since what
//! lies in it is the last to be taken.
//!
//! Offsets and sizes are bytes, multiples of [`GRAIN`].

#![deny(unsafe_code)]

use ::core::{
    num::NonZeroUsize,
    ops::Range, //
};

use super::sync::{
    reserve_node,
    AllocError,
    RBTree,
    RBTreeNodeReservation, //
};

/// Granularity of offsets and sizes in bytes; the smallest range.
pub(crate) const GRAIN: usize = 8;

/// Ranges kept whole for the next request of their size.
const RECENT: usize = 4;

/// Pairs of nodes kept for the next split, so that requests of changing sizes seldom allocate.
const STOCK: usize = 2;

/// Size and offset of a free range.
type Size = (usize, usize);
type PlaceNode = RBTreeNodeReservation<usize, Place>;
type SizeNode = RBTreeNodeReservation<Size, ()>;

/// A range as the tree of all ranges knows it.
struct Place {
    len: usize,
    /// Of a range in use: the memory for its entry among the free ones, so that giving it back
    /// cannot fail. A free range has none: its entry exists.
    in_use: Option<SizeNode>,
}

/// Memory that a split consumes.
pub(crate) struct Nodes {
    place: PlaceNode,
    size: SizeNode,
}

impl Nodes {
    /// Allocates; may sleep.
    pub(crate) fn new() -> Result<Self, AllocError> {
        Ok(Self {
            place: reserve_node()?,
            size: reserve_node()?,
        })
    }
}

/// Nodes that go into an operation and come out of it, outside the lock: a split consumes a pair, a
/// merge leaves one over.
pub(crate) struct Scratch([Option<Nodes>; 2 * RECENT + 1]);

impl Scratch {
    /// Makes an empty one, which needs no memory.
    pub(crate) fn new() -> Self {
        Self([const { None }; 2 * RECENT + 1])
    }

    /// Allocates what one split needs; may sleep.
    pub(crate) fn fill(&mut self) -> Result<(), AllocError> {
        if self.0[0].is_none() {
            self.0[0] = Some(Nodes::new()?);
        }
        Ok(())
    }

    fn get(&mut self) -> Option<Nodes> {
        self.0.iter_mut().find_map(Option::take)
    }

    /// There is always room: an operation merges at most all recent ranges, each with two others.
    fn put(&mut self, nodes: Nodes) {
        if let Some(free) = self.0.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(nodes);
        }
    }
}

/// A range in use. Move-only: who has it may give it back, once.
#[derive(Debug)]
#[must_use = "is to be given back"]
pub(crate) struct Part {
    offset: usize,
    len: NonZeroUsize,
}

impl Part {
    /// Where it begins, in bytes.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// Its size in bytes, a multiple of [`GRAIN`].
    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakeError {
    /// No free range is large enough.
    NoSpace,
    /// A free range must be split, and no [`Nodes`] were handed in.
    NoNodes,
}

/// Where a look through the free ranges has come to. It may go on when the ranges have changed: what
/// became free in the meantime may be missed, and nothing is seen for ever.
#[derive(Default)]
pub(crate) struct Walk {
    /// The free range that was looked at last.
    last: Option<Size>,
    /// Up to here it is still to be seen.
    end: usize,
}

impl Walk {
    /// Goes on within the range that was returned last, below `end`.
    pub(crate) fn below(&mut self, end: usize) {
        self.end = end;
    }
}

/// The ranges of one pool.
pub(crate) struct Ranges {
    len: usize,
    used: usize,
    places: RBTree<usize, Place>,
    sizes: RBTree<Size, ()>,
    recent: [Option<Part>; RECENT],
    /// Which of `recent` is replaced next.
    oldest: usize,
    stock: [Option<Nodes>; STOCK],
}

impl Ranges {
    /// Makes one free range of `len` bytes, rounded down to the granularity.
    pub(crate) fn new(len: usize, nodes: Nodes) -> Self {
        let mut this = Self {
            len: len & !(GRAIN - 1),
            used: 0,
            places: RBTree::new(),
            sizes: RBTree::new(),
            recent: [const { None }; RECENT],
            oldest: 0,
            stock: [const { None }; STOCK],
        };
        if this.len > 0 {
            let place = Place {
                len: this.len,
                in_use: None,
            };
            this.places.insert(nodes.place.into_node(0, place));
            this.sizes.insert(nodes.size.into_node((this.len, 0), ()));
        }
        this
    }

    /// All bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// How many bytes a request for `len` takes; `None` if no pool is so large.
    pub(crate) fn rounded(len: usize) -> Option<NonZeroUsize> {
        NonZeroUsize::new(len.max(1).checked_next_multiple_of(GRAIN)?)
    }

    /// Takes a range of at least `len` bytes.
    ///
    /// Fails with [`TakeError::NoNodes`] only if `scratch` was not filled.
    pub(crate) fn take(&mut self, len: usize, scratch: &mut Scratch) -> Result<Part, TakeError> {
        let len = Self::rounded(len).ok_or(TakeError::NoSpace)?;
        if self.used == 0 && !self.begins_with(len) {
            self.settle(scratch);
        }
        let part = match self.take_recent(len) {
            Some(part) => part,
            None => self.take_free(len, scratch)?,
        };
        self.used += part.len();
        Ok(part)
    }

    /// Gives a range back. `scratch` need not be filled.
    pub(crate) fn give(&mut self, part: Part, scratch: &mut Scratch) {
        self.used -= part.len();
        if let Some(old) = self.recent[self.oldest].replace(part) {
            self.merge(old, scratch);
        }
        self.oldest = (self.oldest + 1) % RECENT;
    }

    /// Merges all recent ranges, so that the trees tell everything. `scratch` need not be filled.
    pub(crate) fn settle(&mut self, scratch: &mut Scratch) {
        for slot in 0..RECENT {
            if let Some(part) = self.recent[slot].take() {
                self.merge(part, scratch);
            }
        }
    }

    /// Goes on to the next piece of a free range that has at least `least` bytes; O(log n).
    ///
    /// A piece is what [`Walk::below`] left of the range before, or else all of the next smaller one.
    pub(crate) fn next_free(&self, walk: &mut Walk, least: usize) -> Option<Range<usize>> {
        let size = match walk.last {
            Some(last) if walk.end >= last.1 + least && self.sizes.get(&last).is_some() => last,
            last => {
                let size = self.smaller_than(last)?;
                walk.end = size.0 + size.1;
                size
            }
        };
        walk.last = Some(size);
        let (len, offset) = size;
        (len >= least).then_some(offset..walk.end)
    }

    /// Size and offset of the largest free range that comes before `bound`, if there is one.
    fn smaller_than(&self, bound: Option<Size>) -> Option<Size> {
        let here = bound.and_then(|bound| self.sizes.cursor_lower_bound(&bound));
        match here {
            Some(here) => here.peek_prev().map(|(size, ())| *size),
            None => self.sizes.cursor_back().map(|back| *back.current().0),
        }
    }

    /// Whether the only recent range lies at the start and has `len` bytes.
    fn begins_with(&self, len: NonZeroUsize) -> bool {
        let mut recent = self.recent.iter().flatten();
        recent
            .next()
            .is_none_or(|part| part.offset == 0 && part.len == len)
            && recent.next().is_none()
    }

    fn take_recent(&mut self, len: NonZeroUsize) -> Option<Part> {
        let same = |slot: &&mut Option<Part>| slot.as_ref().is_some_and(|part| part.len == len);
        self.recent.iter_mut().find(same)?.take()
    }

    fn take_free(
        &mut self,
        wanted: NonZeroUsize,
        scratch: &mut Scratch,
    ) -> Result<Part, TakeError> {
        let len = wanted.get();
        let (size, offset) = match self.best_fit(len) {
            Some(found) => found,
            None => {
                self.settle(scratch);
                self.best_fit(len).ok_or(TakeError::NoSpace)?
            }
        };
        if size > len {
            let nodes = self.nodes(scratch).ok_or(TakeError::NoNodes)?;
            self.split(size, offset, len, nodes);
        }
        self.occupy(len, offset);
        Ok(Part {
            offset,
            len: wanted,
        })
    }

    /// Size and offset of the smallest free range that holds `len` bytes, the lowest of several.
    fn best_fit(&self, len: usize) -> Option<Size> {
        let cursor = self.sizes.cursor_lower_bound(&(len, 0))?;
        Some(*cursor.current().0)
    }

    fn nodes(&mut self, scratch: &mut Scratch) -> Option<Nodes> {
        let stock = self.stock.iter_mut().find_map(Option::take);
        stock.or_else(|| scratch.get())
    }

    /// Cuts the free range at `offset` into two free ones, the first of `len` bytes.
    fn split(&mut self, size: usize, offset: usize, len: usize, nodes: Nodes) {
        if let Some(place) = self.places.get_mut(&offset) {
            place.len = len;
        }
        if let Some(node) = self.sizes.remove_node(&(size, offset)) {
            self.sizes
                .insert(node.into_reservation().into_node((len, offset), ()));
        }
        let (rest, behind) = (size - len, offset + len);
        let place = Place {
            len: rest,
            in_use: None,
        };
        self.places.insert(nodes.place.into_node(behind, place));
        self.sizes.insert(nodes.size.into_node((rest, behind), ()));
    }

    /// Turns the free range at `offset` into one in use.
    fn occupy(&mut self, len: usize, offset: usize) {
        let node = self.sizes.remove_node(&(len, offset));
        if let Some(place) = self.places.get_mut(&offset) {
            place.in_use = node.map(|node| node.into_reservation());
        }
    }

    /// Makes `part` free, in one with its free neighbours.
    fn merge(&mut self, part: Part, scratch: &mut Scratch) {
        let (mut offset, mut len) = (part.offset, part.len());
        let Some(memory) = self
            .places
            .get_mut(&offset)
            .and_then(|place| place.in_use.take())
        else {
            return;
        };
        let (before, behind) = self.free_neighbours(offset);
        if let Some((size, next)) = behind {
            self.swallow(size, next, next, scratch);
            len += size;
        }
        if let Some((size, previous)) = before {
            self.swallow(size, previous, offset, scratch);
            offset = previous;
            len += size;
        }
        if let Some(place) = self.places.get_mut(&offset) {
            place.len = len;
        }
        self.sizes.insert(memory.into_node((len, offset), ()));
    }

    /// Size and offset of the free ranges right before and right behind the one at `offset`.
    fn free_neighbours(&self, offset: usize) -> (Option<Size>, Option<Size>) {
        let free = |(offset, place): (&usize, &Place)| {
            place.in_use.is_none().then_some((place.len, *offset))
        };
        match self.places.cursor_lower_bound(&offset) {
            Some(here) => (
                here.peek_prev().and_then(free),
                here.peek_next().and_then(free),
            ),
            None => (None, None),
        }
    }

    /// Removes the free range (`size`, `offset`) from among the free ones, and the range at `place`
    /// from among all.
    fn swallow(&mut self, size: usize, offset: usize, place: usize, scratch: &mut Scratch) {
        let size = self.sizes.remove_node(&(size, offset));
        let place = self.places.remove_node(&place);
        let (Some(size), Some(place)) = (size, place) else {
            return;
        };
        let nodes = Nodes {
            place: place.into_reservation(),
            size: size.into_reservation(),
        };
        match self.stock.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(nodes),
            None => scratch.put(nodes),
        }
    }
}

/// For tests: the ranges as they are, and whether the two trees agree. In a kernel tree the symbol is
/// set for the module itself, too, which has no use for it.
#[cfg(any(bus1_host, bus1_kunit))]
#[allow(dead_code)]
impl Ranges {
    /// Bytes in use, counted anew.
    fn taken(&self) -> usize {
        let taken: usize = self
            .iter()
            .filter(|range| range.2)
            .map(|range| range.1)
            .sum();
        let recent: usize = self.recent.iter().flatten().map(Part::len).sum();
        taken - recent
    }

    /// Visits offset, size and "is in use" of all ranges by offset. Recent ones count as in use.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize, bool)> + '_ {
        self.places
            .iter()
            .map(|(offset, place)| (*offset, place.len, place.in_use.is_some()))
    }

    /// Whether the ranges cover the pool without gap, no two free ones touch, and the free ones are
    /// exactly those in the tree of sizes.
    pub(crate) fn is_sound(&self) -> bool {
        let (mut end, mut free, mut after_free, mut sound) = (0, 0, false, true);
        for (offset, len, in_use) in self.iter() {
            sound &= offset == end && len > 0 && len % GRAIN == 0 && (in_use || !after_free);
            sound &= in_use || self.sizes.get(&(len, offset)).is_some();
            free += usize::from(!in_use);
            (end, after_free) = (offset + len, !in_use);
        }
        sound && end == self.len && free == self.sizes.iter().count() && self.used == self.taken()
    }
}
