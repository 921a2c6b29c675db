// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_principal`: who counts as whom, on a tree of realms.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_principal))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::core::principal::{
        Kind,
        Principal,
        Realm, //
    };

    const ROOT: u32 = 0;
    const ALICE: u32 = 1000;
    const BOB: u32 = 1001;

    /// `(realm around it, who made it, its administrator)`. Alice made 1 and, in it, 3; Bob made 2;
    /// root made 4, a container, in which user 400000 is root and user 401000 made 5.
    const REALMS: [(usize, u32, Option<u32>); 6] = [
        (0, ROOT, Some(ROOT)),
        (0, ALICE, Some(100_000)),
        (0, BOB, None),
        (1, 100_000, Some(150_000)),
        (0, ROOT, Some(400_000)),
        (4, 401_000, Some(420_000)),
    ];

    #[derive(Clone, Copy)]
    struct Place(usize);

    impl Realm for Place {
        fn id(&self) -> u64 {
            self.0 as u64
        }

        fn level(&self) -> u32 {
            self.parent().map_or(0, |parent| parent.level() + 1)
        }

        fn parent(&self) -> Option<Self> {
            (self.0 != 0).then(|| Self(REALMS[self.0].0))
        }

        fn owner(&self) -> u32 {
            REALMS[self.0].1
        }

        fn administrator(&self) -> Option<u32> {
            REALMS[self.0].2
        }
    }

    fn kind(user: u32, of: usize, receiver: usize) -> Kind {
        Principal::of(user, Place(of), Place(receiver)).kind()
    }

    #[test]
    fn users_of_one_realm_are_counted_one_by_one() {
        for realm in 0..REALMS.len() {
            assert_eq!(kind(7, realm, realm), Kind::User(7));
            assert_eq!(kind(8, realm, realm), Kind::User(8));
        }
    }

    #[test]
    fn all_that_a_user_creates_is_that_user_once_more() {
        assert_eq!(kind(100_000, 1, 0), Kind::Created(ALICE));
        assert_eq!(kind(165_535, 1, 0), Kind::Created(ALICE));
        assert_eq!(kind(150_007, 3, 0), Kind::Created(ALICE));
        assert_eq!(kind(ALICE, 0, 0), Kind::User(ALICE));
        // Seen from within, who made the inner one is the administrator there.
        assert_eq!(kind(150_007, 3, 1), Kind::Realm(3));
    }

    #[test]
    fn a_container_of_the_administrator_counts_as_one() {
        assert_eq!(kind(400_123, 4, 0), Kind::Realm(4));
        assert_eq!(kind(420_123, 5, 0), Kind::Realm(4));
        assert_eq!(kind(420_123, 5, 4), Kind::Created(401_000));
        assert_eq!(kind(401_000, 4, 5), Kind::User(401_000));
    }

    #[test]
    fn strangers_meet_where_they_have_a_realm_in_common() {
        assert_eq!(kind(100_000, 1, 2), Kind::Created(ALICE));
        assert_eq!(kind(7, 2, 3), Kind::Created(BOB));
        assert_eq!(kind(420_123, 5, 3), Kind::Realm(4));
        assert_eq!(kind(ALICE, 0, 3), Kind::User(ALICE));
    }

    #[test]
    fn who_pays_is_the_user_and_whoever_made_it_possible() {
        let payers = |user, of| {
            let mut all = Principal::payers(user, Place(of)).map(|payer| payer.kind());
            [all.next(), all.next(), all.next(), all.next()]
        };
        let user = |number| Some(Kind::User(number));
        assert_eq!(payers(ALICE, 0), [user(ALICE), None, None, None]);
        let created = Some(Kind::Created(ALICE));
        assert_eq!(payers(100_000, 1), [user(100_000), created, None, None]);
        let inner = Some(Kind::Realm(3));
        assert_eq!(payers(150_007, 3), [user(150_007), inner, created, None]);
    }

    #[test]
    fn kinds_do_not_mix() {
        let all = [
            Principal::OWN,
            Principal::user(5),
            Principal::of(100_000, Place(1), Place(0)),
            Principal::of(400_000, Place(4), Place(0)),
        ];
        for (at, one) in all.iter().enumerate() {
            for other in all.iter().skip(at + 1) {
                assert!(one != other);
            }
        }
        assert_eq!(Principal::OWN.kind(), Kind::Own);
    }
}
