// SPDX-License-Identifier: GPL-2.0

//! Each facility of `core::sync`, in the form that the features choose.

use crate::core::sync::{
    fifo::{
        impl_fifo_item,
        Fifo,
        FifoLink, //
    },
    *, //
};
use crate::host::model;

#[pin_data]
struct Parcel {
    #[pin]
    link: FifoLink,
    number: u32,
}

impl_fifo_item! {
    impl FifoItem<0> for Parcel { self.link }
}

impl Parcel {
    fn new(number: u32) -> ListArc<Self> {
        try_list_arc(pin_init!(Self { link <- FifoLink::new(), number })).unwrap()
    }
}

fn numbers(fifo: &Fifo<Parcel>) -> Vec<u32> {
    fifo.iter().map(|parcel| parcel.number).collect()
}

#[test]
fn a_fifo_takes_only_what_is_in_it() {
    model(|| {
        let (mut one, mut other) = (Fifo::<Parcel>::new(), Fifo::<Parcel>::new());
        let parcels: Vec<_> = (0..3).map(Parcel::new).collect();
        let second = parcels[1].clone_arc();
        parcels.into_iter().for_each(|parcel| one.push_back(parcel));
        assert_eq!(numbers(&one), [0, 1, 2]);
        assert!(ListArc::try_from_arc(second.clone()).is_err());
        assert!(other.remove(&second).is_none());
        assert!(one.contains(&second) && !other.contains(&second));
        other.push_back(one.remove(&second).unwrap());
        assert!(one.remove(&second).is_none());
        assert_eq!((numbers(&one), numbers(&other)), (vec![0, 2], vec![1]));
        let mut moved = std::mem::take(&mut other);
        assert!(other.remove(&second).is_none());
        drop(moved.remove(&second).unwrap());
        assert!(moved.remove(&second).is_none());
        one.push_front(ListArc::try_from_arc(second).ok().unwrap());
        assert_eq!(one.front().unwrap().number, 1);
        assert_eq!(
            one.remove_first(|parcel| parcel.number == 2)
                .unwrap()
                .number,
            2
        );
        assert!(one.remove_first(|parcel| parcel.number == 2).is_none());
        assert_eq!(one.pop_front().unwrap().number, 1);
        assert_eq!(one.pop_front().unwrap().number, 0);
        assert!(one.pop_front().is_none() && one.is_empty());
    });
}
