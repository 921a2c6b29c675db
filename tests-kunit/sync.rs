// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_sync`: each facility of `core::sync`.
//!
//! The checks are plain functions, so that the host can run the same ones under its model checkers,
//! which want to start them themselves.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

/// The checks.
pub(crate) mod checks {
    use crate::core::sync::{
        fifo::{
            impl_fifo_item,
            Fifo,
            FifoLink, //
        },
        new_mutex,
        new_spinlock,
        pin_data,
        pin_init,
        reserve_node,
        try_arc,
        unique_id,
        Acquire,
        AllocError,
        Arc,
        Atomic,
        Clock,
        Full,
        KBox,
        KVec,
        ListArc,
        LockedBy,
        Monotonic,
        Mutex,
        RBTree,
        RBTreeNode,
        Relaxed,
        Release,
        SetOnce,
        SpinLock,
        GFP_KERNEL, //
    };

    /// What was not as it should be.
    #[derive(Debug)]
    pub(crate) struct Failed(pub(crate) &'static str);

    impl From<AllocError> for Failed {
        fn from(_: AllocError) -> Self {
            Self("no memory")
        }
    }

    macro_rules! ensure {
        ($what:expr) => {
            if !$what {
                return Err(Failed(stringify!($what)));
            }
        };
    }

    #[pin_data]
    struct Parcel<T: Send + Sync + 'static> {
        #[pin]
        link: FifoLink,
        number: T,
    }

    impl_fifo_item! {
        impl{T: Send + Sync + 'static} FifoItem<0> for Parcel<T> { self.link }
    }

    impl<T: Send + Sync + 'static> Parcel<T> {
        fn new(number: T) -> Result<Arc<Self>, AllocError> {
            try_arc(pin_init!(Self { link <- FifoLink::new(), number }))
        }

        fn claim(this: &Arc<Self>) -> Result<ListArc<Self>, Failed> {
            ListArc::try_from_arc(this.clone()).map_err(|_| Failed("not free"))
        }
    }

    pub(crate) fn a_fifo_takes_only_what_is_in_it() -> Result<(), Failed> {
        let mut one = Fifo::<Parcel<u32>>::new();
        let mut other = Fifo::<Parcel<u32>>::new();
        let (first, second) = (Parcel::new(1u32)?, Parcel::new(2u32)?);
        one.push_back(Parcel::claim(&first)?);
        one.push_back(Parcel::claim(&second)?);
        ensure!(one.contains(&first) && one.contains(&second));
        ensure!(Parcel::claim(&second).is_err());
        ensure!(other.remove(&second).is_none());
        other.push_back(one.remove(&second).ok_or(Failed("not removed"))?);
        ensure!(one.contains(&first) && !one.contains(&second));
        ensure!(other.contains(&second) && !other.contains(&first));
        ensure!(one.remove(&second).is_none());
        let mut moved = ::core::mem::take(&mut other);
        ensure!(other.is_empty() && other.remove(&second).is_none());
        let out = moved.remove(&second);
        ensure!(out.as_ref().is_some_and(|item| item.number == 2));
        // Out, and not let go yet.
        ensure!(moved.is_empty() && !moved.contains(&second));
        drop(out);
        ensure!(Parcel::claim(&second).is_ok());
        Ok(())
    }

    pub(crate) fn a_fifo_keeps_order_and_frees_what_leaves_it() -> Result<(), Failed> {
        let mut fifo = Fifo::<Parcel<u32>>::new();
        let items = [Parcel::new(0)?, Parcel::new(1)?, Parcel::new(2)?];
        for item in &items {
            fifo.push_back(Parcel::claim(item)?);
        }
        ensure!(fifo.front().is_some_and(|item| item.number == 0));
        ensure!(fifo.remove(&items[1]).is_some());
        ensure!(fifo.pop_front().is_some_and(|item| item.number == 0));
        ensure!(fifo.front().is_some_and(|item| item.number == 2));
        ensure!(!fifo.contains(&items[0]) && !fifo.contains(&items[1]));
        fifo.push_back(Parcel::claim(&items[0])?);
        drop(fifo);
        for item in &items {
            ensure!(Parcel::claim(item).is_ok());
        }
        Ok(())
    }

    pub(crate) fn a_tree_is_sorted_and_needs_only_reserved_memory() -> Result<(), Failed> {
        let mut tree = RBTree::new();
        for key in [5u32, 1, 3] {
            ensure!(tree
                .insert(reserve_node()?.into_node(key, key * 10))
                .is_none());
        }
        ensure!(tree
            .iter()
            .map(|(key, value)| (*key, *value))
            .eq([(1, 10), (3, 30), (5, 50)]));
        let node = reserve_node()?.into_node(3, 31);
        let old = tree.insert(node).ok_or(Failed("not replaced"))?;
        ensure!(old.to_key_value() == (3, 30));
        ensure!(tree.get(&3) == Some(&31) && tree.get(&4).is_none());
        let cursor = tree
            .cursor_lower_bound(&2)
            .ok_or(Failed("no lower bound"))?;
        ensure!(*cursor.current().0 == 3);
        ensure!(cursor.peek_prev().is_some_and(|(key, _)| *key == 1));
        ensure!(cursor.peek_next().is_some_and(|(key, _)| *key == 5));
        ensure!(tree.cursor_lower_bound(&6).is_none());
        let cursor = tree.cursor_front_mut().ok_or(Failed("empty"))?;
        let (cursor, node) = cursor.remove_current();
        ensure!(cursor.is_some_and(|cursor| *cursor.current().0 == 3));
        ensure!(tree
            .insert(node.into_reservation().into_node(9, 90))
            .is_none());
        if let Some(value) = tree.get_mut(&9) {
            *value += 1;
        }
        ensure!(tree.remove_node(&9).map(RBTreeNode::to_key_value) == Some((9, 91)));
        ensure!(tree.remove_node(&9).is_none());
        Ok(())
    }

    #[pin_data]
    struct Locked {
        #[pin]
        spin: SpinLock<u32>,
        #[pin]
        sleep: Mutex<KVec<u32>>,
    }

    fn locked() -> Result<Arc<Locked>, AllocError> {
        try_arc(pin_init!(Locked {
            spin <- new_spinlock!(1, "bus1_kunit::spin"),
            sleep <- new_mutex!(KVec::new(), "bus1_kunit::sleep"),
        }))
    }

    pub(crate) fn locks_guard_their_data() -> Result<(), Failed> {
        let locked = locked()?;
        let by = LockedBy::new(&locked.spin, 7u32);
        locked.sleep.lock().push(3, GFP_KERNEL)?;
        {
            let mut guard = locked.spin.lock();
            *guard += 1;
            *by.access_mut(&mut *guard) += *guard;
            ensure!(*by.access(&*guard) == 9);
            ensure!(locked.spin.try_lock().is_none());
        }
        ensure!(*locked.spin.lock() == 2);
        ensure!(locked.sleep.lock().as_slice() == [3]);
        Ok(())
    }

    pub(crate) fn atomics_exchange_and_add() -> Result<(), Failed> {
        let word = Atomic::new(5u64);
        ensure!(word.cmpxchg(4, 1, Acquire) == Err(5));
        ensure!(word.cmpxchg(5, 6, Release) == Ok(5));
        ensure!(word.fetch_add(2, Relaxed) == 6);
        ensure!(word.fetch_sub(1, Full) == 8);
        ensure!(word.xchg(u64::MAX, Full) == 7);
        word.add(2, Relaxed);
        ensure!(word.load(Acquire) == 1);
        let small = Atomic::new(0u32);
        small.store(u32::MAX, Release);
        ensure!(small.fetch_add(1, Relaxed) == u32::MAX && small.load(Relaxed) == 0);
        let flag = Atomic::new(false);
        ensure!(flag.cmpxchg(false, true, Full) == Ok(false) && flag.load(Relaxed));
        let size = Atomic::new(1usize);
        ensure!(size.fetch_sub(1, Relaxed) == 1 && size.load(Relaxed) == 0);
        Ok(())
    }

    pub(crate) fn references_share_and_are_set_once() -> Result<(), Failed> {
        let (one, other) = (Arc::new(1u32, GFP_KERNEL)?, Arc::new(1u32, GFP_KERNEL)?);
        let same = one.clone();
        ensure!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        let again: Arc<u32> = one.as_arc_borrow().into();
        ensure!(Arc::ptr_eq(&again, &one));
        let once = SetOnce::new();
        ensure!(once.as_ref().is_none() && once.populate(1u32) && !once.populate(2));
        ensure!(once.as_ref() == Some(&1));
        Ok(())
    }

    pub(crate) fn vectors_grow_only_where_they_may() -> Result<(), Failed> {
        let mut vec = KVec::with_capacity(2, GFP_KERNEL)?;
        while vec.len() < vec.capacity() {
            ensure!(vec.push_within_capacity(vec.len() as u32).is_ok());
        }
        ensure!(vec.push_within_capacity(9).is_err());
        vec.push(9, GFP_KERNEL)?;
        ensure!(vec.pop() == Some(9));
        ensure!(vec.remove(0).is_ok_and(|first| first == 0) && vec.remove(99).is_err());
        vec.retain(|number| *number != 1);
        ensure!(!vec.contains(&1));
        vec.clear();
        ensure!(vec.is_empty() && vec.pop().is_none());
        ensure!(KBox::into_inner(KBox::new(4u8, GFP_KERNEL)?) == 4);
        Ok(())
    }

    pub(crate) fn time_and_numbers_rise() -> Result<(), Failed> {
        let (before, number) = (Monotonic::now(), unique_id());
        ensure!(number > 1 && unique_id() != number);
        ensure!(Monotonic::now() >= before);
        Ok(())
    }
}

#[cfg(not(bus1_host))]
#[kunit_tests(bus1_sync)]
mod tests {
    use super::*;

    /// Says in the log which check failed: an assertion shows only this call.
    fn passed(result: Result<(), checks::Failed>) -> bool {
        match result {
            Ok(()) => true,
            Err(checks::Failed(what)) => {
                pr_err!("failed: {what}\n");
                false
            }
        }
    }

    #[test]
    fn a_fifo_takes_only_what_is_in_it() {
        assert!(passed(checks::a_fifo_takes_only_what_is_in_it()));
    }

    #[test]
    fn a_fifo_keeps_order_and_frees_what_leaves_it() {
        assert!(passed(checks::a_fifo_keeps_order_and_frees_what_leaves_it()));
    }

    #[test]
    fn a_tree_is_sorted_and_needs_only_reserved_memory() {
        assert!(passed(
            checks::a_tree_is_sorted_and_needs_only_reserved_memory()
        ));
    }

    #[test]
    fn locks_guard_their_data() {
        assert!(passed(checks::locks_guard_their_data()));
    }

    #[test]
    fn atomics_exchange_and_add() {
        assert!(passed(checks::atomics_exchange_and_add()));
    }

    #[test]
    fn references_share_and_are_set_once() {
        assert!(passed(checks::references_share_and_are_set_once()));
    }

    #[test]
    fn vectors_grow_only_where_they_may() {
        assert!(passed(checks::vectors_grow_only_where_they_may()));
    }

    #[test]
    fn time_and_numbers_rise() {
        assert!(passed(checks::time_and_numbers_rise()));
    }
}
