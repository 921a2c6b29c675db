// SPDX-License-Identifier: GPL-2.0

//! Numbers that tell objects apart.
//!
//! In the kernel, and on std, that is the address. Where a tie falls by it, a model checker could not
//! repeat a run: the same program finds its objects elsewhere. So there it is the number of the
//! reference that owns the object, in the order in which they were made, which a script decides.

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod imp {
    /// Takes note of an object.
    pub(in crate::host) fn born<T>(_: *const T) {}

    /// A number that no other object has while this one lives and stays where it is.
    pub(crate) fn number_of<T>(object: &T) -> u64 {
        std::ptr::from_ref(object) as usize as u64
    }
}

/// Under a model checker all threads of a run are one thread of the machine.
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod imp {
    use std::{
        cell::RefCell,
        collections::HashMap, //
    };

    std::thread_local! {
        /// By the address, which the next object there takes over.
        static BORN: RefCell<(u64, HashMap<usize, u64>)> = RefCell::default();
    }

    /// Takes note of an object.
    pub(in crate::host) fn born<T>(object: *const T) {
        BORN.with_borrow_mut(|(last, born)| {
            *last += 1;
            born.insert(object as usize, *last);
        });
    }

    /// A number that no other object has while this one lives and stays where it is.
    pub(crate) fn number_of<T>(object: &T) -> u64 {
        let address = std::ptr::from_ref(object) as usize;
        let born = BORN.with_borrow(|(_, born)| born.get(&address).copied());
        // What no reference owns has no other number.
        born.unwrap_or(address as u64)
    }
}

pub(in crate::host) use imp::born;
pub(crate) use imp::number_of;
