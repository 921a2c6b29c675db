// SPDX-License-Identifier: GPL-2.0

//! Intrusive FIFOs with safe removal.
//!
//! The kernel's list can take an item out of its middle in O(1), if the caller promises that the
//! item is in no *other* list. Here that is checked instead: an item carries the number of the FIFO
//! that it is in. One word holds this number and whether a [`ListArc`] of the item exists at all.
//!
//! An item embeds a [`FifoLink`] and is declared by [`impl_fifo_item!`]:
//!
//! ```text
//! #[pin_data]
//! struct Parcel<P: Personality> {
//!     #[pin]
//!     link: FifoLink,                    // pin_init!: link <- FifoLink::new()
//!     part: P::Message,
//! }
//!
//! impl_fifo_item! {
//!     impl{P: Personality} FifoItem<0> for Parcel<P> { self.link }
//! }
//! ```
//!
//! Takes no lock: a FIFO lies in the data of one, its items change with it. This file has unsafe
//! code, for the kernel's list traits; its users need none.

#![allow(unsafe_code)]

use super::{
    pin_data,
    pin_init,
    unique_id,
    Acquire,
    ArcBorrow,
    Atomic,
    List,
    ListArc,
    ListArcSafe,
    ListItem,
    ListLinks,
    PinInit,
    Relaxed,
    Release,
    TryNewListArc, //
};
use ::core::pin::Pin;

/// No [`ListArc`] of the item exists.
const FREE: u64 = 0;
/// A [`ListArc`] of the item exists, in nobody's FIFO. Numbers of FIFOs are above.
const LOOSE: u64 = 1;

/// The place of an item in a FIFO; 24 bytes.
#[pin_data]
pub(crate) struct FifoLink<const ID: u64 = 0> {
    /// For [`impl_fifo_item!`] alone; opaque.
    #[pin]
    pub(crate) links: ListLinks<ID>,
    /// [`FREE`], [`LOOSE`], or the number of the FIFO that the item is in. Written by who owns the
    /// item's `ListArc` only, except for the step from [`FREE`] to [`LOOSE`].
    home: Atomic<u64>,
}

impl<const ID: u64> FifoLink<ID> {
    /// Makes the initialiser of a link that is in no FIFO.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            links <- ListLinks::new(),
            home: Atomic::new(FREE),
        })
    }
}

// No unsafe function is called here: the trait makes its callers promise.
impl<const ID: u64> ListArcSafe<ID> for FifoLink<ID> {
    unsafe fn on_create_list_arc_from_unique(self: Pin<&mut Self>) {
        self.home.store(LOOSE, Relaxed);
    }

    unsafe fn on_drop_list_arc(&self) {
        self.home.store(FREE, Release);
    }
}

// SAFETY: the word is `FREE` only while no `ListArc` exists, and of all who ask, one takes it from
// there. Acquire pairs with the release of the drop, so that the links are as that one left them.
unsafe impl<const ID: u64> TryNewListArc<ID> for FifoLink<ID> {
    fn try_new_list_arc(&self) -> bool {
        self.home.cmpxchg(FREE, LOOSE, Acquire).is_ok()
    }
}

/// Can be in a [`Fifo`]. Implemented by [`impl_fifo_item!`].
///
/// # Safety
///
/// The link returned is a field of `self`, always the same, and the one that tracks the `ListArc`
/// of `self`.
pub(crate) unsafe trait FifoItem<const ID: u64 = 0>:
    ListItem<ID> + TryNewListArc<ID>
{
    /// Returns the item's link.
    fn fifo_link(&self) -> &FifoLink<ID>;
}

/// Declares which field of a type is its [`FifoLink`].
macro_rules! impl_fifo_item {
    ($(impl$({$($generics:tt)*})? FifoItem<$id:tt> for $type:ty { self.$link:ident })*) => {$(
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::core::sync::TryNewListArc;

            $crate::core::sync::impl_list_arc_safe! {
                impl$({$($generics)*})? ListArcSafe<$id> for $type {
                    tracked_by $link: $crate::core::sync::fifo::FifoLink<$id>;
                }
            }

            $crate::core::sync::impl_list_item! {
                impl$({$($generics)*})? ListItem<$id> for $type {
                    using ListLinks { self.$link.links };
                }
            }

            // SAFETY: a field is returned, the one that the tracking above names.
            unsafe impl$(<$($generics)*>)? $crate::core::sync::fifo::FifoItem<$id> for $type {
                fn fifo_link(&self) -> &$crate::core::sync::fifo::FifoLink<$id> {
                    &self.$link
                }
            }
        };
    )*};
}
pub(crate) use impl_fifo_item;

/// A FIFO of shared items. Can be moved, also while it is not empty.
///
/// Dropping it drops its items, in a loop.
pub(crate) struct Fifo<T: FifoItem<ID>, const ID: u64 = 0> {
    /// Unique, and never used again; 0 as long as nothing was ever put in, so that what stays
    /// empty costs no number. All items of `list`, and no others, carry it.
    number: u64,
    list: List<T, ID>,
}

impl<T: FifoItem<ID>, const ID: u64> Fifo<T, ID> {
    /// Makes an empty one.
    pub(crate) const fn new() -> Self {
        Self {
            number: 0,
            list: List::new(),
        }
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether `item` is in it.
    pub(crate) fn contains(&self, item: &T) -> bool {
        self.number != 0 && item.fifo_link().home.load(Relaxed) == self.number
    }

    /// Appends.
    pub(crate) fn push_back(&mut self, item: ListArc<T, ID>) {
        self.enter(&item);
        self.list.push_back(item);
    }

    /// Looks at the first.
    pub(crate) fn front(&self) -> Option<ArcBorrow<'_, T>> {
        self.list.iter().next()
    }

    /// Looks at all, from the first on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ArcBorrow<'_, T>> + '_ {
        self.list.iter()
    }

    /// Takes the first.
    pub(crate) fn pop_front(&mut self) -> Option<ListArc<T, ID>> {
        let item = self.list.pop_front()?;
        Self::leave(&item);
        Some(item)
    }

    /// Takes `item` if it is in this FIFO; O(1).
    pub(crate) fn remove(&mut self, item: &T) -> Option<ListArc<T, ID>> {
        if !self.contains(item) {
            return None;
        }
        // SAFETY: the item carries our number, which `enter` gives to what goes into `list`, and
        // which is taken away before the item leaves it; both happen under `&mut self` only. So it
        // is in `list`, and having one `ListArc` only, it is in no other.
        let item = unsafe { self.list.remove(item) }?;
        Self::leave(&item);
        Some(item)
    }

    fn enter(&mut self, item: &T) {
        if self.number == 0 {
            self.number = unique_id();
        }
        item.fifo_link().home.store(self.number, Relaxed);
    }

    fn leave(item: &T) {
        item.fifo_link().home.store(LOOSE, Relaxed);
    }
}

impl<T: FifoItem<ID>, const ID: u64> Default for Fifo<T, ID> {
    fn default() -> Self {
        Self::new()
    }
}
