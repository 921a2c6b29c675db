// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where the parts of a message lie in its slice.
//!
//! Payload, then handle IDs at the next multiple of 8, then file descriptors.
//! The numbers come from the kernel and are checked all the same: a wrong one
//! must not make this process read outside its mapping.

#![forbid(unsafe_code)]

use bus1_sys::bus1_msg;

/// The parts of one slice, as offsets from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Start of the slice in the pool.
    pub(crate) offset: usize,
    /// Length of the payload, which starts at 0.
    pub(crate) payload: usize,
    /// Start of the handle IDs.
    pub(crate) handles: usize,
    /// Start of the file descriptors.
    pub(crate) files: usize,
    /// End of the file descriptors.
    pub(crate) end: usize,
}

impl Parts {
    /// The parts of the message `msg` with `n_fds` file descriptors, or `None`
    /// if they don't fit into `mapped` bytes of pool.
    pub(crate) fn of(msg: &bus1_msg, n_fds: u64, mapped: usize) -> Option<Self> {
        let handles = msg.n_bytes.checked_next_multiple_of(8)?;
        let files = handles.checked_add(msg.n_handles.checked_mul(8)?)?;
        let end = files.checked_add(n_fds.checked_mul(4)?)?;
        if msg.offset.checked_add(end)? > u64::try_from(mapped).ok()? {
            return None;
        }
        Some(Parts {
            offset: usize::try_from(msg.offset).ok()?,
            payload: usize::try_from(msg.n_bytes).ok()?,
            handles: usize::try_from(handles).ok()?,
            files: usize::try_from(files).ok()?,
            end: usize::try_from(end).ok()?,
        })
    }
}

/// The `N`-byte elements of `bytes`; what is left over at the end is dropped.
pub(crate) fn elements<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes
        .chunks_exact(N)
        .filter_map(|chunk| chunk.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(offset: u64, n_bytes: u64, n_handles: u64) -> bus1_msg {
        bus1_msg {
            offset,
            n_bytes,
            n_handles,
            ..Default::default()
        }
    }

    #[test]
    fn parts_follow_each_other() {
        let parts = Parts::of(&message(64, 13, 2), 3, 4096).expect("it fits");
        assert_eq!(
            (parts.offset, parts.payload, parts.handles, parts.files),
            (64, 13, 16, 32)
        );
        assert_eq!(parts.end, 44);
    }

    #[test]
    fn an_empty_message_has_empty_parts() {
        let parts = Parts::of(&message(4096, 0, 0), 0, 4096).expect("it fits");
        assert_eq!((parts.handles, parts.files, parts.end), (0, 0, 0));
    }

    #[test]
    fn the_edge_of_the_mapping() {
        assert!(Parts::of(&message(4096 - 24, 8, 2), 0, 4096).is_some());
        assert!(Parts::of(&message(4096 - 24, 8, 2), 1, 4096).is_none());
        assert!(Parts::of(&message(4096 - 16, 17, 0), 0, 4096).is_none());
    }

    #[test]
    fn absurd_numbers_are_refused() {
        for n in [u64::MAX, u64::MAX - 7, 1 << 63, 1 << 61] {
            assert!(Parts::of(&message(n, 0, 1), 0, 4096).is_none());
            assert!(Parts::of(&message(0, n, 0), 0, 4096).is_none());
            assert!(Parts::of(&message(0, 0, n), 0, 4096).is_none());
            assert!(Parts::of(&message(0, 0, 0), n, 4096).is_none());
        }
    }

    #[test]
    fn elements_of_a_slice() {
        let found: Vec<[u8; 4]> = elements(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).collect();
        assert_eq!(found, [[1, 2, 3, 4], [5, 6, 7, 8]]);
    }
}
