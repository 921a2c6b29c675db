// SPDX-License-Identifier: GPL-2.0
//! The engine on the host.
#![allow(dead_code)]
#[path = "../../core/mod.rs"]
mod core;
mod host;

#[cfg(test)]
mod queue {
    use crate::core::queue::{Entry, Personality, Queue};

    struct T;

    impl Personality for T {
        type Message = u8;

        fn wake(_: &Queue<Self>) {}
    }

    #[test]
    fn stamps_grow() {
        let q = Queue::<T>::new().unwrap();
        let a = q.push(10, Entry::new(1).unwrap());
        let b = q.push(3, Entry::new(2).unwrap());
        assert!(a < b);
        assert!(q.pop().is_some());
    }

    #[test]
    fn a_long_list_is_dropped_without_recursion() {
        let q = Queue::<T>::new().unwrap();
        for _ in 0..1_000_000 {
            q.push(0, Entry::new(0).unwrap());
        }
    }
}
