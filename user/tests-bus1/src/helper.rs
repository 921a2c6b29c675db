// SPDX-License-Identifier: MIT OR Apache-2.0

//! Processes that a case starts: this very program, doing one named thing.

#![forbid(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::raw::Peer;
use crate::scratch::Scratch;
use crate::tap::wait_or_kill;
use crate::verdict::{wrong, Verdict};

/// How long a process may take to end by itself.
const LIMIT: Duration = Duration::from_secs(60);

/// A process that is killed at the end of the case, however that ends.
pub struct Helper(Child);

impl Helper {
    /// Starts `name` with the descriptors of some peers as its words.
    pub fn start(name: &str, peers: &[&Peer]) -> Verdict<Self> {
        Self::start_with(name, None, peers, &[])
    }

    /// The same; words before are the descriptor of `scratch`, if there is one, and
    /// behind are `more`.
    pub fn start_with(
        name: &str,
        scratch: Option<&Scratch>,
        peers: &[&Peer],
        more: &[String],
    ) -> Verdict<Self> {
        // Duplicates that stay open over exec, until the process has them.
        let mut inherited: Vec<OwnedFd> = Vec::new();
        if let Some(scratch) = scratch {
            inherited.push(scratch.to_inherit()?);
        }
        for peer in peers {
            inherited.push(peer.to_inherit()?);
        }
        let child = Command::new(std::env::current_exe()?)
            .args(["--helper", name])
            .args(inherited.iter().map(|fd| fd.as_raw_fd().to_string()))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Helper(child))
    }

    /// Whether it is still running.
    pub fn runs(&mut self) -> Verdict<bool> {
        Ok(self.0.try_wait()?.is_none())
    }

    /// Waits for its end, which has to be a good one.
    pub fn join(mut self) -> Verdict {
        let status = wait_or_kill(&mut self.0, LIMIT).map_err(wrong)?;
        if status.success() {
            return Ok(());
        }
        let words = self.0.stdout.take().map(std::io::read_to_string);
        let words = words.and_then(Result::ok).unwrap_or_default();
        Err(wrong(format_args!("a helper: {status}: {}", words.trim())))
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) -> Verdict {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.kill();
    }
}
