// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the crate does where there is no bus: an error each time, no panic.
//!
//! An ordinary file can be opened and mapped like a pool, and knows none of the
//! commands, so that it stands for a kernel that refuses everything.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use bus1::{Errno, Handle, HandleError, Id, Limits, Node, Options, Peer, PeerError, RecvError};
use bus1::{SendFault, Slice};

/// A file that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bus1-{name}-{}", std::process::id()));
        let file = File::create(&path).expect("a file can be made");
        file.set_len(4096).expect("it can be made longer");
        Scratch(path)
    }

    fn peer(&self) -> Peer {
        Options::new()
            .path(&self.0)
            .map_bytes(4096)
            .open()
            .expect("a file can be mapped")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).expect("the file is there");
    }
}

#[test]
fn a_missing_device_is_named() {
    let error = Options::new().path("/nonexistent/bus1").open();
    assert_eq!(error.map(drop), Err(PeerError::NoDevice));
}

#[test]
fn a_device_without_a_pool_is_refused() {
    let error = Options::new().path("/dev/null").open();
    assert_eq!(error.map(drop), Err(PeerError::Other(Errno::NODEV)));
    let nothing = Options::new().path("/dev/zero").map_bytes(0).open();
    assert_eq!(nothing.map(drop), Err(PeerError::Invalid));
}

#[test]
fn a_kernel_that_refuses_everything() {
    let scratch = Scratch::new("refuses");
    let mut peer = scratch.peer();
    assert_eq!(peer.limits(), Err(PeerError::NotSupported));
    assert_eq!(peer.limit(Limits::default()), Err(PeerError::NotSupported));
    assert_eq!(peer.flush(), Err(PeerError::NotSupported));
    assert_eq!(peer.disconnect(), Err(PeerError::NotSupported));
    let refused = RecvError::Other(Errno::NOTTY);
    assert_eq!(peer.try_recv().map(drop), Err(refused));
    assert_eq!(peer.recv().map(drop), Err(refused));
    let soon = Duration::from_millis(1);
    assert_eq!(peer.recv_timeout(soon).map(drop), Err(refused));

    let node = peer.node();
    let handle = peer.claim(Id::from_bits(0x0b));
    assert_eq!(handle.try_clone().map(drop), Err(Errno::NOTTY.into()));
    assert_eq!(node.handle().map(drop), Err(Errno::NOTTY.into()));
    let error = peer.send().to(&node).to(&handle).payload(b"x").commit();
    let error = error.expect_err("a file is no bus");
    assert_eq!(error.fault(), SendFault::Other(Errno::NOTTY));
    assert!(error.destinations().is_empty());
    assert!(peer.send().to(&handle).commit_any().is_err());
    assert_eq!(handle.release(), Err(Errno::NOTTY.into()));
    assert_eq!(node.destroy(), Err(Errno::NOTTY.into()));
    assert_eq!(peer.destroy([peer.node()]), Err(Errno::NOTTY.into()));
}

#[test]
fn handles_of_another_peer_are_noticed() {
    let scratch = Scratch::new("foreign");
    let (one, two) = (scratch.peer(), scratch.peer());
    let node = two.node();
    let error = one.send().to(&node).commit().expect_err("not its own");
    assert_eq!(error.fault(), SendFault::WrongPeer);
    let error = one.send().handle(&node).commit().expect_err("not its own");
    assert_eq!(error.errno(), Errno::XDEV);
    assert_eq!(one.destroy([node]), Err(HandleError::WrongPeer));
}

#[test]
fn names_of_nodes_are_those_of_user_space() {
    let scratch = Scratch::new("names");
    let peer = scratch.peer();
    let (one, two) = (peer.node(), peer.node());
    assert_ne!(one.id(), two.id());
    for node in [&one, &two] {
        assert_eq!(node.id().to_bits() & 3, 0);
    }
}

#[test]
fn everything_can_be_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Peer>();
    check::<Node<'static>>();
    check::<Handle<'static>>();
    check::<Slice<'static>>();
    check::<bus1::Event<'static>>();
}
