// SPDX-License-Identifier: MIT OR Apache-2.0

//! Peers that are opened inside user namespaces.
//!
//! One of the files with unsafe code: a child of this process enters the namespaces, opens the
//! peers there, hands them over and ends. Only who has one thread can do that.

use std::fs;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use rustix::process::{set_dumpable_behavior, waitpid, DumpableBehavior, Pid, Uid, WaitOptions};
use rustix::thread::{set_thread_res_uid, unshare_unsafe, UnshareFlags};

use crate::raw::{open_device, Peer};
use crate::verdict::{check, wrong, Verdict};

/// Users that each namespace has.
const USERS: u32 = 256;

/// A user namespace, or as many inside each other as `depth` says, of which the inner ones have
/// user 0 only.
#[derive(Clone, Copy)]
pub struct Realm {
    /// Who makes it.
    pub owner: u32,
    /// Who user 0 inside is outside. All users of the namespace are delegated to the owner.
    pub first: u32,
    /// How deep it lies.
    pub depth: u32,
}

impl Realm {
    /// A peer of each of these users, who are named as they are inside.
    pub fn peers(self, users: &[u32]) -> Verdict<Vec<Peer>> {
        let (ours, theirs) = UnixStream::pair()?;
        // SAFETY: a case has no other thread at this moment that could hold a lock.
        let child = unsafe { libc::fork() };
        if child == 0 {
            drop(ours);
            let failed = self.open_inside(users, &theirs).is_err();
            // SAFETY: ends the child without a second run of what its parent is to do at its end.
            unsafe { libc::_exit(failed.into()) }
        }
        drop(theirs);
        let Some(child) = Pid::from_raw(child) else {
            return Err(wrong("no child"));
        };
        let peers = self.fetch(child, users.len(), &ours);
        // If something is wrong, this ends its wait.
        drop(ours);
        let ended = waitpid(Some(child), WaitOptions::empty())?;
        let peers = peers?;
        let ended = ended.and_then(|(_, status)| status.exit_status());
        check("the child has ended well", ended == Some(0))?;
        Ok(peers)
    }

    /// In the child.
    fn open_inside(self, users: &[u32], mut to: &UnixStream) -> Result<(), std::io::Error> {
        become_user([self.owner; 3])?;
        for depth in 0..self.depth {
            // SAFETY: nothing here relies on who this process is.
            unsafe { unshare_unsafe(UnshareFlags::NEWUSER) }?;
            if depth == 0 {
                to.write_all(&[1])?;
                to.read_exact(&mut [0])?;
            } else {
                map_root()?;
            }
            become_user([0; 3])?;
        }
        for user in users {
            // The real one counts; the others keep the right to become the next one.
            become_user([*user, 0, 0])?;
            give(to, &open_device()?)?;
        }
        Ok(())
    }

    /// Says who the users of the namespace are, and takes the peers.
    fn fetch(self, child: Pid, count: usize, mut from: &UnixStream) -> Verdict<Vec<Peer>> {
        from.read_exact(&mut [0])?;
        let proc = format!("/proc/{}", child.as_raw_nonzero());
        fs::write(
            format!("{proc}/uid_map"),
            format!("0 {} {USERS}", self.first),
        )?;
        // Who makes another one inside needs a group as well.
        fs::write(format!("{proc}/gid_map"), "0 0 1")?;
        from.write_all(&[1])?;
        (0..count).map(|_| Peer::from_fd(take(from)?)).collect()
    }
}

/// Has user and group 0 of the namespace around this one be those of this one.
fn map_root() -> std::io::Result<()> {
    // Else the files are those of an administrator.
    set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    fs::write("/proc/self/uid_map", "0 0 1")?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/gid_map", "0 0 1")
}

/// Becomes these users: the real one, the effective one, and the one to go back to.
fn become_user(users: [u32; 3]) -> Result<(), Errno> {
    let [real, effective, saved] = users.map(Uid::from_raw);
    set_thread_res_uid(real, effective, saved)
}

fn give(to: &UnixStream, fd: &OwnedFd) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(to, &[IoSlice::new(&[1])], &mut control, SendFlags::empty()).map(drop)
}

fn take(from: &UnixStream) -> Verdict<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut into = [IoSliceMut::new(&mut byte)];
    recvmsg(from, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fd.ok_or_else(|| wrong("the child gave no peer"))
}
