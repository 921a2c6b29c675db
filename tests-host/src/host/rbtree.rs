// SPDX-License-Identifier: GPL-2.0

//! Sorted trees whose nodes are allocated beforehand.
//!
//! Here a tree is a sorted vector of boxes: slower to change than a tree, with the same answers. What
//! is looked up and visited is counted, so that a test can say how much that may be.

use super::alloc::{
    allocate,
    AllocError,
    Flags, //
};
use std::cell::Cell;

std::thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// How often this thread has looked a key up or gone to a node.
pub(crate) fn steps() -> u64 {
    STEPS.with(Cell::get)
}

fn step() {
    // Gone while a thread ends; then nobody asks any more.
    let _ = STEPS.try_with(|steps| steps.set(steps.get() + 1));
}

/// Memory for one node.
pub(crate) struct RBTreeNodeReservation<K, V>(std::marker::PhantomData<Box<(K, V)>>);

impl<K, V> RBTreeNodeReservation<K, V> {
    /// Fills it.
    pub(crate) fn into_node(self, key: K, value: V) -> RBTreeNode<K, V> {
        RBTreeNode(Box::new((key, value)))
    }
}

/// Allocates memory for one node.
pub(crate) fn reserve_node<K, V>() -> Result<RBTreeNodeReservation<K, V>, AllocError> {
    allocate()?;
    Ok(RBTreeNodeReservation(std::marker::PhantomData))
}

/// A node outside a tree.
pub(crate) struct RBTreeNode<K, V>(Box<(K, V)>);

impl<K, V> RBTreeNode<K, V> {
    /// Allocates and fills one.
    pub(crate) fn new(key: K, value: V, _: Flags) -> Result<Self, AllocError> {
        Ok(reserve_node()?.into_node(key, value))
    }

    /// Keeps what is in it and frees it.
    // The name is the kernel's.
    #[allow(clippy::wrong_self_convention)]
    pub(crate) fn to_key_value(self) -> (K, V) {
        *self.0
    }

    /// Keeps the memory and drops what is in it.
    pub(crate) fn into_reservation(self) -> RBTreeNodeReservation<K, V> {
        RBTreeNodeReservation(std::marker::PhantomData)
    }
}

/// A tree.
pub(crate) struct RBTree<K, V>(Vec<RBTreeNode<K, V>>);

impl<K, V> RBTree<K, V> {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Visits all by rising key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|node| {
            step();
            (&node.0 .0, &node.0 .1)
        })
    }

    /// Visits all by rising key, values can be written.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|node| {
            let (key, value) = &mut *node.0;
            (&*key, value)
        })
    }

    /// Visits all keys, rising.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// Visits all values by rising key.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The node of the lowest key.
    pub(crate) fn cursor_front(&self) -> Option<Cursor<'_, K, V>> {
        Cursor::at(self, 0)
    }

    /// The node of the highest key.
    pub(crate) fn cursor_back(&self) -> Option<Cursor<'_, K, V>> {
        Cursor::at(self, self.0.len().checked_sub(1)?)
    }

    /// The node of the lowest key.
    pub(crate) fn cursor_front_mut(&mut self) -> Option<CursorMut<'_, K, V>> {
        CursorMut::at(self, 0)
    }

    /// The node of the highest key.
    pub(crate) fn cursor_back_mut(&mut self) -> Option<CursorMut<'_, K, V>> {
        let last = self.0.len().checked_sub(1)?;
        CursorMut::at(self, last)
    }
}

impl<K: Ord, V> RBTree<K, V> {
    fn find(&self, key: &K) -> Result<usize, usize> {
        step();
        self.0.binary_search_by(|node| node.0 .0.cmp(key))
    }

    fn lower_bound(&self, key: &K) -> usize {
        self.find(key).unwrap_or_else(|behind| behind)
    }

    /// Puts a node in; one of the same key comes back.
    pub(crate) fn insert(&mut self, node: RBTreeNode<K, V>) -> Option<RBTreeNode<K, V>> {
        match self.find(&node.0 .0) {
            Ok(place) => Some(std::mem::replace(&mut self.0[place], node)),
            Err(place) => {
                self.0.insert(place, node);
                None
            }
        }
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        Some(&self.0[self.find(key).ok()?].0 .1)
    }

    /// The value of `key`, can be written.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.find(key).ok()?;
        Some(&mut self.0[place].0 .1)
    }

    /// Takes the node of `key` out.
    pub(crate) fn remove_node(&mut self, key: &K) -> Option<RBTreeNode<K, V>> {
        let place = self.find(key).ok()?;
        Some(self.0.remove(place))
    }

    /// Takes the node of `key` out and frees it.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        Some(self.remove_node(key)?.to_key_value().1)
    }

    /// The node of the lowest key that is not below `key`.
    pub(crate) fn cursor_lower_bound(&self, key: &K) -> Option<Cursor<'_, K, V>> {
        Cursor::at(self, self.lower_bound(key))
    }

    /// The node of the lowest key that is not below `key`.
    pub(crate) fn cursor_lower_bound_mut(&mut self, key: &K) -> Option<CursorMut<'_, K, V>> {
        let place = self.lower_bound(key);
        CursorMut::at(self, place)
    }
}

impl<K, V> Default for RBTree<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

/// A node of a tree that can be read.
pub(crate) struct Cursor<'a, K, V> {
    tree: &'a RBTree<K, V>,
    place: usize,
}

impl<'a, K, V> Cursor<'a, K, V> {
    fn at(tree: &'a RBTree<K, V>, place: usize) -> Option<Self> {
        step();
        (place < tree.0.len()).then_some(Self { tree, place })
    }

    fn peek(&self, place: usize) -> Option<(&K, &V)> {
        let node = self.tree.0.get(place)?;
        Some((&node.0 .0, &node.0 .1))
    }

    /// The node.
    pub(crate) fn current(&self) -> (&K, &V) {
        let node = &self.tree.0[self.place];
        (&node.0 .0, &node.0 .1)
    }

    /// Moves to the next higher key.
    pub(crate) fn move_next(self) -> Option<Self> {
        Self::at(self.tree, self.place + 1)
    }

    /// Moves to the next lower key.
    pub(crate) fn move_prev(self) -> Option<Self> {
        Self::at(self.tree, self.place.checked_sub(1)?)
    }

    /// The node of the next higher key.
    pub(crate) fn peek_next(&self) -> Option<(&K, &V)> {
        self.peek(self.place + 1)
    }

    /// The node of the next lower key.
    pub(crate) fn peek_prev(&self) -> Option<(&K, &V)> {
        self.peek(self.place.checked_sub(1)?)
    }
}

/// A node of a tree that can be written.
pub(crate) struct CursorMut<'a, K, V> {
    tree: &'a mut RBTree<K, V>,
    place: usize,
}

impl<'a, K, V> CursorMut<'a, K, V> {
    fn at(tree: &'a mut RBTree<K, V>, place: usize) -> Option<Self> {
        if place < tree.0.len() {
            Some(Self { tree, place })
        } else {
            None
        }
    }

    fn peek(&self, place: usize) -> Option<(&K, &V)> {
        let node = self.tree.0.get(place)?;
        Some((&node.0 .0, &node.0 .1))
    }

    /// The node.
    pub(crate) fn current(&self) -> (&K, &V) {
        let node = &self.tree.0[self.place];
        (&node.0 .0, &node.0 .1)
    }

    /// The node, its value can be written.
    pub(crate) fn current_mut(&mut self) -> (&K, &mut V) {
        let (key, value) = &mut *self.tree.0[self.place].0;
        (&*key, value)
    }

    /// Takes the node out; the cursor moves to the next higher key, else to the next lower.
    pub(crate) fn remove_current(self) -> (Option<Self>, RBTreeNode<K, V>) {
        let node = self.tree.0.remove(self.place);
        let place = self.place.min(self.tree.0.len().saturating_sub(1));
        (Self::at(self.tree, place), node)
    }

    /// Takes the node of the next higher key out.
    pub(crate) fn remove_next(&mut self) -> Option<RBTreeNode<K, V>> {
        let place = self.place + 1;
        (place < self.tree.0.len()).then(|| self.tree.0.remove(place))
    }

    /// Moves to the next higher key.
    pub(crate) fn move_next(self) -> Option<Self> {
        Self::at(self.tree, self.place + 1)
    }

    /// Moves to the next lower key.
    pub(crate) fn move_prev(self) -> Option<Self> {
        let place = self.place.checked_sub(1)?;
        Self::at(self.tree, place)
    }

    /// The node of the next higher key.
    pub(crate) fn peek_next(&self) -> Option<(&K, &V)> {
        self.peek(self.place + 1)
    }

    /// The node of the next lower key.
    pub(crate) fn peek_prev(&self) -> Option<(&K, &V)> {
        self.peek(self.place.checked_sub(1)?)
    }
}
