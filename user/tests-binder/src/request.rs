// SPDX-License-Identifier: MIT OR Apache-2.0

//! `BINDER_WRITE_READ` as a case sees it: what to ask for, what came back.

use crate::abi::TransactionData;
use crate::returns::Br;
use crate::wire::Bc;
use crate::world::{same, Fail, Res};

/// The usual size of a read buffer.
pub const READ: usize = 256;

/// Name of an errno in outcomes.
pub fn errno_name(result: i64) -> String {
    let name = match -result {
        ..=0 => return result.to_string(),
        1 => "EPERM",
        2 => "ENOENT",
        4 => "EINTR",
        5 => "EIO",
        6 => "ENXIO",
        9 => "EBADF",
        11 => "EAGAIN",
        12 => "ENOMEM",
        13 => "EACCES",
        14 => "EFAULT",
        16 => "EBUSY",
        17 => "EEXIST",
        22 => "EINVAL",
        24 => "EMFILE",
        25 => "ENOTTY",
        28 => "ENOSPC",
        29 => "ESPIPE",
        other => return format!("errno{other}"),
    };
    name.into()
}

/// One `BINDER_WRITE_READ`, with everything that can be set in it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The commands.
    pub commands: Bc,
    /// Where their bytes lie, if not where the conductor puts them.
    pub commands_at: Option<u64>,
    /// Their size, if it is to differ.
    pub write_size: Option<u64>,
    /// Where to begin in them.
    pub write_consumed: u64,
    /// Room for return codes.
    pub read_size: usize,
    /// Where that room lies, if not where the conductor puts it.
    pub read_at: Option<u64>,
    /// Where to begin in it.
    pub read_consumed: u64,
}

impl Request {
    /// Commands, then a read into `read_size` bytes.
    pub fn new(commands: &Bc, read_size: usize) -> Self {
        Request {
            commands: commands.clone(),
            commands_at: None,
            write_size: None,
            write_consumed: 0,
            read_size,
            read_at: None,
            read_consumed: 0,
        }
    }
}

/// A `BINDER_WRITE_READ` that came back.
#[derive(Clone, Debug)]
pub struct Done {
    /// 0 or a negative errno.
    pub result: i64,
    /// Bytes of commands that the driver took.
    pub write_consumed: u64,
    /// End of the return codes.
    pub read_consumed: u64,
    /// The whole read buffer, whatever `read_consumed` says.
    pub buffer: Vec<u8>,
    /// The items that this call added.
    pub items: Vec<Br>,
}

impl Done {
    /// The items by name, as [`Done::expect`] compares them.
    pub fn short(&self) -> String {
        self.items
            .iter()
            .map(Br::short)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Demands success and exactly these items.
    pub fn expect(self, want: &str) -> Res<Self> {
        same("result", errno_name(self.result), "0".into())?;
        same("items", self.short().as_str(), want)?;
        Ok(self)
    }

    /// Demands this errno, given as a positive number.
    pub fn fails(self, errno: i32) -> Res<Self> {
        let want = errno_name(-i64::from(errno));
        same("result", errno_name(self.result), want)?;
        Ok(self)
    }

    /// The only message among the items.
    pub fn message(&self) -> Res<TransactionData> {
        let mut messages = self.items.iter().filter_map(Br::message);
        match (messages.next(), messages.next()) {
            (Some(message), None) => Ok(message),
            _ => Err(Fail(format!("want one message, got {}", self.short()))),
        }
    }
}
