// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_sync`: each facility of `core::sync` in its kernel form.

use kernel::prelude::*;

#[kunit_tests(bus1_sync)]
mod tests {
    use crate::core::sync::{
        fifo::{
            impl_fifo_item,
            Fifo,
            FifoItem,
            FifoLink, //
        },
        *, //
    };

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
        fn new(number: T) -> Result<ListArc<Self>, AllocError> {
            try_list_arc(pin_init!(Self { link <- FifoLink::new(), number }))
        }
    }

    fn holds<T: FifoItem>(fifo: &Fifo<T>, wanted: &[&T]) -> bool {
        fifo.iter().count() == wanted.len()
            && fifo
                .iter()
                .zip(wanted)
                .all(|(item, other)| ::core::ptr::eq(&*item, *other))
    }

    #[test]
    fn a_fifo_takes_only_what_is_in_it() -> Result<(), AllocError> {
        let mut one = Fifo::<Parcel<u32>>::new();
        let mut other = Fifo::<Parcel<u32>>::new();
        let (a, b) = (Parcel::new(1u32)?, Parcel::new(2u32)?);
        let (first, second) = (a.clone_arc(), b.clone_arc());
        one.push_back(a);
        one.push_back(b);
        assert!(holds(&one, &[&*first, &*second]));
        assert!(ListArc::try_from_arc(second.clone()).is_err());
        assert!(other.remove(&second).is_none());
        if let Some(item) = one.remove(&second) {
            other.push_back(item);
        }
        assert!(holds(&one, &[&*first]) && holds(&other, &[&*second]));
        assert!(one.remove(&second).is_none());
        let mut moved = ::core::mem::take(&mut other);
        assert!(other.remove(&second).is_none());
        assert!(moved.remove_first(|item| item.number == 2).is_some());
        assert!(moved.is_empty());
        one.push_front(ListArc::try_from_arc(second.clone()).map_err(|_| AllocError)?);
        assert!(holds(&one, &[&*second, &*first]));
        assert!(one.pop_front().is_some_and(|item| item.number == 2));
        drop(one);
        assert!(ListArc::<_, 0>::try_from_arc(first).is_ok());
        Ok(())
    }
}
