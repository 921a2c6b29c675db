// SPDX-License-Identifier: GPL-2.0

//! Boxes and vectors whose growth can fail.
//!
//! Every allocation of the engine passes through [`allocate`], which a test can make fail, and which
//! refuses to run under a spinlock.

use super::lock;
use std::{
    cell::Cell,
    ops::{
        Deref,
        DerefMut, //
    },
};

/// There is no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AllocError;

/// How to allocate. The host knows one way.
#[derive(Clone, Copy)]
pub(crate) struct Flags;

/// May sleep.
pub(crate) const GFP_KERNEL: Flags = Flags;
/// May sleep, and is charged to the caller's memory group.
pub(crate) const GFP_KERNEL_ACCOUNT: Flags = Flags;

/// Bytes of a page.
pub(crate) const PAGE_SIZE: usize = 4096;

std::thread_local! {
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Lets `count` allocations of this thread succeed and all later ones fail; `None` ends that.
///
/// Meant for the std form: under the model checkers all threads are one.
pub(crate) fn fail_allocations_after(count: Option<usize>) {
    LEFT.with(|left| left.set(count));
}

/// Asks for the right to allocate.
pub(super) fn allocate() -> Result<(), AllocError> {
    lock::assert_may_sleep("allocation");
    LEFT.with(|left| match left.get() {
        Some(0) => Err(AllocError),
        Some(count) => {
            left.set(Some(count - 1));
            Ok(())
        }
        None => Ok(()),
    })
}

/// A box.
#[derive(Debug)]
pub(crate) struct KBox<T>(Box<T>);

impl<T> KBox<T> {
    /// Allocates room for `value`.
    pub(crate) fn new(value: T, _: Flags) -> Result<Self, AllocError> {
        allocate()?;
        Ok(Self(Box::new(value)))
    }

    /// Gives the value back and frees the box.
    pub(crate) fn into_inner(this: Self) -> T {
        *this.0
    }
}

impl<T> Deref for KBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for KBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// The vector is full; the value comes back.
pub(crate) struct PushError<T>(pub(crate) T);

impl<T> std::fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("vector is full")
    }
}

/// The index is out of bounds.
#[derive(Debug)]
pub(crate) struct RemoveError;

/// A vector.
#[derive(Debug)]
pub(crate) struct KVec<T> {
    items: Vec<T>,
    capacity: usize,
}

impl<T> KVec<T> {
    /// Makes an empty vector, which needs no memory.
    pub(crate) const fn new() -> Self {
        Self {
            items: Vec::new(),
            capacity: 0,
        }
    }

    /// Allocates room for exactly `capacity` items.
    pub(crate) fn with_capacity(capacity: usize, flags: Flags) -> Result<Self, AllocError> {
        let mut vec = Self::new();
        vec.reserve(capacity, flags)?;
        Ok(vec)
    }

    /// Makes room for `additional` more items.
    pub(crate) fn reserve(&mut self, additional: usize, _: Flags) -> Result<(), AllocError> {
        if self.capacity - self.items.len() < additional {
            allocate()?;
            self.capacity = self.items.len() + additional;
            self.items.reserve_exact(additional);
        }
        Ok(())
    }

    /// Appends, growing if needed.
    pub(crate) fn push(&mut self, value: T, flags: Flags) -> Result<(), AllocError> {
        self.reserve(1, flags)?;
        self.items.push(value);
        Ok(())
    }

    /// Appends without growing.
    pub(crate) fn push_within_capacity(&mut self, value: T) -> Result<(), PushError<T>> {
        if self.items.len() == self.capacity {
            return Err(PushError(value));
        }
        self.items.push(value);
        Ok(())
    }

    /// Appends copies of `items`, growing if needed.
    pub(crate) fn extend_from_slice(&mut self, items: &[T], flags: Flags) -> Result<(), AllocError>
    where
        T: Clone,
    {
        self.reserve(items.len(), flags)?;
        self.items.extend_from_slice(items);
        Ok(())
    }

    /// Makes a vector of `count` copies of `value`.
    pub(crate) fn from_elem(value: T, count: usize, flags: Flags) -> Result<Self, AllocError>
    where
        T: Clone,
    {
        let mut vec = Self::with_capacity(count, flags)?;
        vec.items.resize(count, value);
        Ok(vec)
    }

    /// Says for how many items there is room.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes the last item.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.items.pop()
    }

    /// Takes the item at `index`; the ones behind move up.
    pub(crate) fn remove(&mut self, index: usize) -> Result<T, RemoveError> {
        if index >= self.items.len() {
            return Err(RemoveError);
        }
        Ok(self.items.remove(index))
    }

    /// Drops all but the first `len` items.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.items.truncate(len);
    }

    /// Drops all items, keeps the room.
    pub(crate) fn clear(&mut self) {
        self.items.clear();
    }

    /// Keeps the items that `keep` says yes to.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&mut T) -> bool) {
        self.items.retain_mut(keep);
    }

    /// Takes all items out, keeps the room.
    pub(crate) fn drain_all(&mut self) -> std::vec::Drain<'_, T> {
        self.items.drain(..)
    }

    /// The items as a slice.
    pub(crate) fn as_slice(&self) -> &[T] {
        &self.items
    }

    /// The items as a slice that can be written.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.items
    }
}

impl<T> Default for KVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for KVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> DerefMut for KVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items
    }
}

impl<T> IntoIterator for KVec<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a KVec<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut KVec<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter_mut()
    }
}
