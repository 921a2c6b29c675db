// SPDX-License-Identifier: GPL-2.0

//! Lists of shared objects, at most one place in a list for each object and `ID`.
//!
//! The kernel's are intrusive; here a list is a sequence of references, and removal compares
//! addresses. The right to be in a list is the same in both: one [`ListArc`] for each object.

use super::arc::{
    Arc,
    ArcBorrow, //
};
use pinned_init::PinInit;
use std::{
    collections::{
        vec_deque,
        VecDeque, //
    },
    marker::PhantomPinned,
    mem::ManuallyDrop,
    ops::Deref,
    pin::Pin, //
};

/// Knows whether a [`ListArc`] of the object exists.
pub(crate) trait ListArcSafe<const ID: u64 = 0> {
    /// Notes the first one, made from the only reference.
    ///
    /// # Safety
    ///
    /// There is no [`ListArc`] of the object.
    unsafe fn on_create_list_arc_from_unique(self: Pin<&mut Self>);

    /// Notes that there is none any more.
    ///
    /// # Safety
    ///
    /// There is none, and one was noted.
    unsafe fn on_drop_list_arc(&self);
}

/// Can say at any time whether a [`ListArc`] may be made.
///
/// # Safety
///
/// `true` means that none existed, and that one is noted now.
pub(crate) unsafe trait TryNewListArc<const ID: u64 = 0>: ListArcSafe<ID> {
    /// Asks for the right to make one.
    fn try_new_list_arc(&self) -> bool;
}

/// Can be in a [`List`].
pub(crate) trait ListItem<const ID: u64 = 0>: ListArcSafe<ID> {}

/// The place of an object in a list. The host needs none.
pub(crate) struct ListLinks<const ID: u64 = 0> {
    _pin: PhantomPinned,
}

impl<const ID: u64> ListLinks<ID> {
    /// Makes an initialiser.
    pub(crate) fn new() -> impl PinInit<Self> {
        Self {
            _pin: PhantomPinned,
        }
    }
}

/// The one reference to an object that may be put into a list.
pub(crate) struct ListArc<T: ListArcSafe<ID>, const ID: u64 = 0>(Arc<T>);

impl<T: ListArcSafe<ID>, const ID: u64> ListArc<T, ID> {
    /// Makes one, unless it exists; then the reference comes back.
    pub(crate) fn try_from_arc(arc: Arc<T>) -> Result<Self, Arc<T>>
    where
        T: TryNewListArc<ID>,
    {
        if arc.try_new_list_arc() {
            Ok(Self(arc))
        } else {
            Err(arc)
        }
    }

    /// Gives the right up and keeps the reference.
    pub(crate) fn into_arc(self) -> Arc<T> {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is never used again, so that the reference is moved.
        let arc = unsafe { std::ptr::read(&this.0) };
        // SAFETY: the right ended just now.
        unsafe { arc.on_drop_list_arc() };
        arc
    }

    /// Borrows it as an ordinary reference.
    pub(crate) fn as_arc_borrow(&self) -> ArcBorrow<'_, T> {
        self.0.as_arc_borrow()
    }
}

impl<T: ListArcSafe<ID>, const ID: u64> Deref for ListArc<T, ID> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ListArcSafe<ID>, const ID: u64> Drop for ListArc<T, ID> {
    fn drop(&mut self) {
        // SAFETY: the right ends here.
        unsafe { self.0.on_drop_list_arc() };
    }
}

/// A list.
pub(crate) struct List<T: ListItem<ID>, const ID: u64 = 0>(VecDeque<ListArc<T, ID>>);

impl<T: ListItem<ID>, const ID: u64> List<T, ID> {
    /// Makes an empty one.
    pub(crate) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends.
    pub(crate) fn push_back(&mut self, item: ListArc<T, ID>) {
        self.0.push_back(item);
    }

    /// Takes the first.
    pub(crate) fn pop_front(&mut self) -> Option<ListArc<T, ID>> {
        self.0.pop_front()
    }

    /// Takes `item`, if it is here.
    ///
    /// # Safety
    ///
    /// `item` is in no other list.
    pub(crate) unsafe fn remove(&mut self, item: &T) -> Option<ListArc<T, ID>> {
        let place = self
            .0
            .iter()
            .position(|other| std::ptr::eq(&**other, item))?;
        self.0.remove(place)
    }

    /// Visits all, first to last.
    pub(crate) fn iter(&self) -> Iter<'_, T, ID> {
        Iter(self.0.iter())
    }
}

/// Visits the items of a list.
pub(crate) struct Iter<'a, T: ListItem<ID>, const ID: u64>(vec_deque::Iter<'a, ListArc<T, ID>>);

impl<'a, T: ListItem<ID>, const ID: u64> Iterator for Iter<'a, T, ID> {
    type Item = ArcBorrow<'a, T>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.as_arc_borrow())
    }
}

/// Declares how a type tracks its [`ListArc`].
macro_rules! impl_list_arc_safe {
    (impl$({$($generics:tt)*})? ListArcSafe<$id:tt> for $type:ty {
        tracked_by $field:ident: $field_type:ty;
    } $($rest:tt)*) => {
        #[allow(unsafe_code)]
        impl$(<$($generics)*>)? $crate::host::ListArcSafe<$id> for $type {
            unsafe fn on_create_list_arc_from_unique(self: ::std::pin::Pin<&mut Self>) {
                // SAFETY: the field is pinned with the whole, and the caller promises the rest.
                unsafe {
                    let field = self.map_unchecked_mut(|this| &mut this.$field);
                    <$field_type as $crate::host::ListArcSafe<$id>>::on_create_list_arc_from_unique(
                        field,
                    )
                }
            }

            unsafe fn on_drop_list_arc(&self) {
                // SAFETY: the caller promises what the field asks.
                unsafe {
                    <$field_type as $crate::host::ListArcSafe<$id>>::on_drop_list_arc(&self.$field)
                }
            }
        }

        // As in the kernel, the name of the trait is looked up where the macro is used.
        //
        // SAFETY: the field promises it.
        #[allow(unsafe_code)]
        unsafe impl$(<$($generics)*>)? $crate::host::TryNewListArc<$id> for $type
        where
            $field_type: TryNewListArc<$id>,
        {
            fn try_new_list_arc(&self) -> bool {
                <$field_type as $crate::host::TryNewListArc<$id>>::try_new_list_arc(&self.$field)
            }
        }
        $crate::host::impl_list_arc_safe! { $($rest)* }
    };

    () => {};
}
pub(crate) use impl_list_arc_safe;

/// Declares which field of a type is its place in a list.
macro_rules! impl_list_item {
    ($(impl$({$($generics:tt)*})? ListItem<$id:tt> for $type:ty {
        using ListLinks { self$(.$field:ident)* };
    })*) => {$(
        impl$(<$($generics)*>)? $crate::host::ListItem<$id> for $type {}

        const _: () = {
            #[allow(dead_code)]
            fn links$(<$($generics)*>)?(item: &$type) -> &$crate::host::ListLinks<$id> {
                &item$(.$field)*
            }
        };
    )*};
}
pub(crate) use impl_list_item;
