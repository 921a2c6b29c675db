// SPDX-License-Identifier: MIT OR Apache-2.0

//! Safe client of bus1.
//!
//! bus1 is a kernel bus of *capabilities*. A [`Peer`] owns [`Node`]s, which are
//! the objects that others can send messages to, and holds [`Handle`]s, which
//! are the right to send to one node. Whoever has a handle can pass it on in a
//! message; nobody can make one up. All messages and notices are ordered as if
//! there were a single queue: two peers that see the same two messages see them
//! in the same order, also those that went to several peers at once.
//!
//! ```no_run
//! use bus1::{Event, Peer};
//!
//! let server = Peer::open()?;
//! let client = Peer::open()?;
//!
//! // An object of the server, and the right to talk to it for the client.
//! let object = server.node();
//! let handle = object.transfer(&client)?;
//!
//! client.send().to(&handle).payload(b"hello").commit()?;
//!
//! match server.recv()? {
//!     Event::Data(message) => {
//!         assert_eq!(message.destination, object.id());
//!         assert_eq!(&message.payload[..], b"hello");
//!     }
//!     other => println!("not a message: {other:?}"),
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Ownership
//!
//! Everything that the kernel counts is a value here, and its drop gives back
//! exactly one of what it stands for: a [`Handle`] one reference, a [`Slice`]
//! one piece of the pool, a [`Node`] the node itself (all its holders are told).
//! They borrow their [`Peer`], so that they can't outlive it. A failure while
//! something is dropped can't be reported and is ignored; the methods
//! [`Handle::release`], [`Node::destroy`] and [`Slice::release`] report it.
//!
//! # Threads
//!
//! All types can be sent and shared between threads. Several threads can
//! receive from one peer; each event goes to one of them.
//!
//! # Unsafe code
//!
//! It is in two files, `fd.rs` (calls to the kernel) and `map.rs` (the mapped
//! pool), and nowhere else.

#![deny(unsafe_code)]

mod error;
mod event;
#[allow(unsafe_code)]
mod fd;
mod handle;
mod layout;
#[allow(unsafe_code)]
mod map;
mod node;
mod peer;
mod request;
mod send;

pub use error::{HandleError, PeerError, RecvError, SendError, SendFault};
pub use event::{Event, Message, Notice, Sender};
pub use handle::{Handle, Id, Target};
pub use map::Slice;
pub use node::Node;
pub use peer::{Limits, Options, Peer, POOL_BYTES};
pub use request::{Answer, Pending, Refused, Reply, Room};
pub use rustix::io::Errno;
pub use send::Transaction;
