// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can go wrong, one type for each kind of operation.
//!
//! Each variant stands for one error number of the interface, which is kept; a
//! number that the interface does not name ends up in `Other`, so that a newer
//! kernel surprises nobody.

#![forbid(unsafe_code)]

use std::fmt;
use std::io;

use rustix::io::Errno;

/// Defines an error type whose variants are error numbers.
macro_rules! errors {
    (
        $(#[$meta:meta])*
        $name:ident {
            $( $(#[doc = $doc:literal])* $variant:ident = $errno:ident, $text:literal; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[doc = $doc])* $variant, )*
            /// Any other error number.
            Other(Errno),
        }

        impl $name {
            /// The error number that the kernel gave, or would have given.
            pub fn errno(&self) -> Errno {
                match self {
                    $( Self::$variant => Errno::$errno, )*
                    Self::Other(errno) => *errno,
                }
            }
        }

        impl From<Errno> for $name {
            fn from(errno: Errno) -> Self {
                $( if errno == Errno::$errno {
                    return Self::$variant;
                } )*
                Self::Other(errno)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $( Self::$variant => f.write_str($text), )*
                    Self::Other(errno) => errno.fmt(f),
                }
            }
        }

        impl std::error::Error for $name {}

        impl From<$name> for io::Error {
            fn from(error: $name) -> Self {
                io::Error::new(io::Error::from(error.errno()).kind(), error)
            }
        }
    };
}

errors! {
    /// Opening, setting up or shutting down a peer has failed.
    PeerError {
        /// There is no such device.
        NoDevice = NOENT, "there is no such device: is the module loaded?";
        /// The device may not be opened, or a limit is above the user's.
        NotPermitted = PERM, "not permitted";
        /// The device may not be opened.
        AccessDenied = ACCESS, "the device may not be opened";
        /// The peer is shut down.
        Disconnected = SHUTDOWN, "the peer is disconnected";
        /// A limit is out of range.
        Invalid = INVAL, "a value is out of range";
        /// The kernel is short of memory.
        OutOfMemory = NOMEM, "the kernel is out of memory";
        /// This is no bus1 device, or an older one without this command.
        NotSupported = NOTTY, "the device does not know this command";
    }
}

errors! {
    /// A handle could not be passed on or released, or a node not be destroyed.
    HandleError {
        /// The peer has no such handle.
        Unknown = NXIO, "the peer has no such handle";
        /// It names the object itself, which stays until it is destroyed.
        Pinned = BUSY, "a live node stays until it is destroyed";
        /// The node is destroyed already.
        Destroyed = STALE, "the node is destroyed";
        /// Only the owner of a node can destroy it.
        NotOwner = REMOTE, "the node belongs to another peer";
        /// A node is listed twice.
        Duplicate = NOTUNIQ, "a node is listed twice";
        /// One of the peers has reached a limit.
        Quota = DQUOT, "a limit of one of the peers is reached";
        /// One of the peers is shut down.
        Disconnected = SHUTDOWN, "one of the peers is disconnected";
        /// The other file descriptor is no peer.
        NotAPeer = OPNOTSUPP, "the other file descriptor is no peer";
        /// The handle or node is one of another peer.
        WrongPeer = XDEV, "the handle belongs to another peer";
        /// The kernel is short of memory.
        OutOfMemory = NOMEM, "the kernel is out of memory";
    }
}

errors! {
    /// Why a message could not be sent, as a whole or to one destination.
    SendFault {
        /// The sending peer is shut down.
        Disconnected = SHUTDOWN, "the peer is disconnected";
        /// The peer has no such handle.
        Unknown = NXIO, "the peer has no such handle";
        /// The node is destroyed, or its owner is gone.
        Unreachable = HOSTUNREACH, "the node is destroyed or its owner gone";
        /// A destination is listed twice.
        Duplicate = NOTUNIQ, "a destination is listed twice";
        /// A limit of the receiver is reached, or what it grants this sender.
        Quota = DQUOT, "the receiver has no room for more from this sender";
        /// The receiver's pool has no free piece of that size.
        PoolFull = XFULL, "the receiver's pool is full";
        /// The message could never pass: too large, or too many parts.
        TooLarge = MSGSIZE, "the message is too large";
        /// This kind of file can't be passed on.
        FileRefused = OPNOTSUPP, "this kind of file can't be passed on";
        /// Too many destinations.
        Invalid = INVAL, "too many destinations";
        /// A handle or node is one of another peer.
        WrongPeer = XDEV, "a handle belongs to another peer";
        /// Somebody else is sending the reply at this moment.
        Busy = BUSY, "somebody else is sending the reply";
        /// The kernel is short of memory.
        OutOfMemory = NOMEM, "the kernel is out of memory";
    }
}

errors! {
    /// Receiving has failed. Except after `Malformed` the message is still in
    /// the queue.
    RecvError {
        /// The peer is shut down.
        Disconnected = SHUTDOWN, "the peer is disconnected";
        /// The message lies beyond what is mapped of the pool.
        BeyondMap = RANGE, "the message lies beyond the mapped part of the pool";
        /// The process has too many files open to take those of the message.
        TooManyFiles = MFILE, "too many open files in this process";
        /// The system has too many files open.
        TooManyFilesInSystem = NFILE, "too many open files in the system";
        /// The kernel is short of memory.
        OutOfMemory = NOMEM, "the kernel is out of memory";
        /// The kernel described a message that makes no sense. It is lost.
        Malformed = PROTO, "the kernel described a message that makes no sense";
    }
}

/// A message could not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendError {
    fault: SendFault,
    destinations: Vec<Result<(), SendFault>>,
}

impl SendError {
    pub(crate) fn new(fault: SendFault, destinations: Vec<Result<(), SendFault>>) -> Self {
        SendError {
            fault,
            destinations,
        }
    }

    /// What is wrong; of several refusals the first in order of destinations.
    pub fn fault(&self) -> SendFault {
        self.fault
    }

    /// The error number that the kernel gave.
    pub fn errno(&self) -> Errno {
        self.fault.errno()
    }

    /// One result for each destination, in the order in which they were named.
    /// It is empty if the message was refused before the kernel looked at them.
    pub fn destinations(&self) -> &[Result<(), SendFault>] {
        &self.destinations
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.destinations.iter().filter(|one| one.is_err()).count();
        if failed == 0 {
            return self.fault.fmt(f);
        }
        let all = self.destinations.len();
        write!(f, "{} ({failed} of {all} destinations)", self.fault)
    }
}

impl std::error::Error for SendError {}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        io::Error::new(io::Error::from(error.errno()).kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_keeps_its_meaning() {
        for raw in 1..134 {
            let errno = Errno::from_raw_os_error(raw);
            assert_eq!(PeerError::from(errno).errno(), errno);
            assert_eq!(HandleError::from(errno).errno(), errno);
            assert_eq!(SendFault::from(errno).errno(), errno);
            assert_eq!(RecvError::from(errno).errno(), errno);
        }
    }

    #[test]
    fn named_and_other() {
        assert_eq!(SendFault::from(Errno::DQUOT), SendFault::Quota);
        assert_eq!(RecvError::from(Errno::IO), RecvError::Other(Errno::IO));
        assert_eq!(HandleError::from(Errno::BUSY), HandleError::Pinned);
        assert_eq!(PeerError::from(Errno::NOENT), PeerError::NoDevice);
    }

    #[test]
    fn text_counts_destinations() {
        let one = SendError::new(SendFault::TooLarge, Vec::new());
        assert_eq!(one.to_string(), "the message is too large");
        let some = SendError::new(
            SendFault::Unreachable,
            vec![Ok(()), Err(SendFault::Unreachable)],
        );
        assert!(some.to_string().ends_with("(1 of 2 destinations)"));
        assert_eq!(io::Error::from(some).kind(), io::ErrorKind::HostUnreachable);
    }
}
