// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a driver answers: the return codes of a read half.

use crate::abi::{br, payload_size, TransactionData};
use crate::wire::{long, word};

/// One item of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Br {
    /// A code without payload.
    Plain(&'static str),
    /// A call, a one-way.
    Transaction(TransactionData),
    /// The same with the address of a security context.
    TransactionSec(TransactionData, u64),
    /// An answer.
    Reply(TransactionData),
    /// A code about a node of the reader: pointer and cookie.
    Node(&'static str, u64, u64),
    /// A code with a cookie.
    Cookie(&'static str, u64),
    /// A code with a cookie and a state.
    Frozen(u64, u32),
    /// Something that the ABI doesn't have.
    Unknown(u32),
}

impl Br {
    /// The name that cases compare with; node pointers and cookies belong to
    /// it, the fields of a message don't.
    pub fn short(&self) -> String {
        match self {
            Br::Plain(name) => (*name).into(),
            Br::Transaction(_) => "TRANSACTION".into(),
            Br::TransactionSec(..) => "TRANSACTION_SEC_CTX".into(),
            Br::Reply(_) => "REPLY".into(),
            Br::Node(name, ptr, cookie) => format!("{name}({ptr:x},{cookie:x})"),
            Br::Cookie(name, cookie) => format!("{name}({cookie:x})"),
            Br::Frozen(cookie, state) => format!("FROZEN_BINDER({cookie:x},{state})"),
            Br::Unknown(code) => format!("UNKNOWN({code:#x})"),
        }
    }

    /// The message, if it is one.
    pub fn message(&self) -> Option<TransactionData> {
        match self {
            Br::Transaction(data) | Br::TransactionSec(data, _) | Br::Reply(data) => Some(*data),
            _ => None,
        }
    }
}

fn plain(code: u32) -> Option<&'static str> {
    Some(match code {
        br::ERROR => "ERROR",
        br::OK => "OK",
        br::DEAD_REPLY => "DEAD_REPLY",
        br::TRANSACTION_COMPLETE => "COMPLETE",
        br::NOOP => "NOOP",
        br::SPAWN_LOOPER => "SPAWN_LOOPER",
        br::FAILED_REPLY => "FAILED_REPLY",
        br::FROZEN_REPLY => "FROZEN_REPLY",
        br::ONEWAY_SPAM_SUSPECT => "ONEWAY_SPAM_SUSPECT",
        br::TRANSACTION_PENDING_FROZEN => "PENDING_FROZEN",
        _ => return None,
    })
}

fn transaction(bytes: &[u8]) -> TransactionData {
    TransactionData {
        target: long(bytes),
        cookie: long(&bytes[8..]),
        code: word(&bytes[16..]),
        flags: word(&bytes[20..]),
        sender_pid: word(&bytes[24..]) as i32,
        sender_euid: word(&bytes[28..]),
        data_size: long(&bytes[32..]),
        offsets_size: long(&bytes[40..]),
        buffer: long(&bytes[48..]),
        offsets: long(&bytes[56..]),
    }
}

/// Splits the consumed part of a read buffer into its items. Stops at the
/// first code that is unknown or cut off.
pub fn parse(mut bytes: &[u8]) -> Vec<Br> {
    let mut items = Vec::new();
    while bytes.len() >= 4 {
        let code = word(bytes);
        bytes = &bytes[4..];
        if let Some(name) = plain(code) {
            items.push(Br::Plain(name));
            continue;
        }
        let size = payload_size(code);
        let (Some(payload), 8..) = (bytes.get(..size), size) else {
            items.push(Br::Unknown(code));
            return items;
        };
        let item = match code {
            br::TRANSACTION => Br::Transaction(transaction(payload)),
            br::TRANSACTION_SEC_CTX => {
                Br::TransactionSec(transaction(payload), long(&payload[64..]))
            }
            br::REPLY => Br::Reply(transaction(payload)),
            br::INCREFS => Br::Node("INCREFS", long(payload), long(&payload[8..])),
            br::ACQUIRE => Br::Node("ACQUIRE", long(payload), long(&payload[8..])),
            br::RELEASE => Br::Node("RELEASE", long(payload), long(&payload[8..])),
            br::DECREFS => Br::Node("DECREFS", long(payload), long(&payload[8..])),
            br::DEAD_BINDER => Br::Cookie("DEAD_BINDER", long(payload)),
            br::CLEAR_DEATH_NOTIFICATION_DONE => Br::Cookie("CLEAR_DEATH_DONE", long(payload)),
            br::FROZEN_BINDER => Br::Frozen(long(payload), word(&payload[8..])),
            br::CLEAR_FREEZE_NOTIFICATION_DONE => Br::Cookie("CLEAR_FREEZE_DONE", long(payload)),
            _ => Br::Unknown(code),
        };
        items.push(item);
        bytes = &bytes[size..];
    }
    if !bytes.is_empty() {
        items.push(Br::Unknown(bytes.len() as u32));
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_split() {
        let mut bytes = Vec::new();
        for word in [
            br::NOOP,
            br::INCREFS,
            0x10,
            0,
            0x11,
            0,
            br::DEAD_BINDER,
            5,
            0,
            br::REPLY,
        ] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes.extend_from_slice(&[0; 64]);
        let names: Vec<_> = parse(&bytes).iter().map(Br::short).collect();
        assert_eq!(names, ["NOOP", "INCREFS(10,11)", "DEAD_BINDER(5)", "REPLY"]);
    }

    #[test]
    fn a_cut_or_unknown_item_ends_the_list() {
        let cut = parse(&br::REPLY.to_ne_bytes());
        assert_eq!(cut, [Br::Unknown(br::REPLY)]);
        let unknown = parse(&[0x72ff_u32, br::NOOP].map(u32::to_ne_bytes).concat());
        assert_eq!(unknown, [Br::Unknown(0x72ff)]);
        assert_eq!(parse(&[1, 2]), [Br::Unknown(2)]);
    }
}
