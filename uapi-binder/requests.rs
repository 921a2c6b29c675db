// SPDX-License-Identifier: GPL-2.0

//! Requests to be told something of a reference: of the end of its object, of its being frozen.
//!
//! What both kinds have in common: a program names them by a cookie, which need not be unique, and
//! answers what it was told in the order in which it was told. The requests themselves are in
//! [`super::death`] and [`super::listen`]. Takes no locks.

#![deny(unsafe_code)]

use kernel::rbtree::RBTree;

/// Names a request in its proc. Requests with one cookie are in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RequestKey {
    /// The program's value.
    pub(super) cookie: u64,
    /// Rises with each request of the proc.
    pub(super) number: u64,
}

impl RequestKey {
    /// The request with this number, which no other of the proc ever has.
    pub(super) fn new(cookie: u64, number: u64) -> Self {
        Self { cookie, number }
    }
}

/// Of the requests with this cookie, the one that was told first and has not been answered.
///
/// `told` says as the how many-th of the proc a request was told, if it waits for the answer.
pub(super) fn oldest_told<R>(
    requests: &RBTree<RequestKey, R>,
    cookie: u64,
    told: impl Fn(&R) -> Option<u64>,
) -> Option<RequestKey> {
    let mut oldest: Option<(u64, RequestKey)> = None;
    let mut from = RequestKey::new(cookie, 0);
    while let Some(cursor) = requests.cursor_lower_bound(&from) {
        let (key, request) = cursor.current();
        if key.cookie != cookie {
            break;
        }
        if let Some(told) = told(request) {
            if oldest.is_none_or(|(first, _)| told < first) {
                oldest = Some((told, *key));
            }
        }
        from.number = key.number + 1;
    }
    oldest.map(|(_, key)| key)
}
