// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a driver is told: objects, messages, streams of commands.

use std::fmt;

use crate::abi::{bc, obj, tf, TransactionData};
use crate::shm;

/// One object of a message, as it is sent or as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obj {
    /// [`obj`], or anything else on purpose.
    pub kind: u32,
    /// Flags of the object; the pad of a descriptor.
    pub flags: u32,
    /// Pointer, handle or descriptor.
    pub value: u64,
    /// The owner's second number.
    pub cookie: u64,
}

impl Obj {
    /// A node of the sender.
    pub const fn node(node: Node) -> Self {
        Self {
            kind: obj::BINDER,
            flags: node.flags,
            value: node.ptr,
            cookie: node.cookie,
        }
    }

    /// The same, weakly.
    pub const fn weak_node(node: Node) -> Self {
        Self {
            kind: obj::WEAK_BINDER,
            ..Self::node(node)
        }
    }

    /// A handle of the sender.
    pub const fn handle(handle: u32) -> Self {
        Self {
            kind: obj::HANDLE,
            flags: 0,
            value: handle as u64,
            cookie: 0,
        }
    }

    /// The same, weakly.
    pub const fn weak_handle(handle: u32) -> Self {
        Self {
            kind: obj::WEAK_HANDLE,
            ..Self::handle(handle)
        }
    }

    /// A descriptor of the sender.
    pub const fn fd(fd: i32) -> Self {
        Self {
            kind: obj::FD,
            flags: 0,
            value: fd as u32 as u64,
            cookie: 0,
        }
    }

    /// The 24 bytes of it.
    pub fn bytes(&self) -> [u8; obj::SIZE] {
        let mut out = [0; obj::SIZE];
        out[..4].copy_from_slice(&self.kind.to_ne_bytes());
        out[4..8].copy_from_slice(&self.flags.to_ne_bytes());
        out[8..16].copy_from_slice(&self.value.to_ne_bytes());
        out[16..].copy_from_slice(&self.cookie.to_ne_bytes());
        out
    }

    /// From 24 bytes of a received message.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < obj::SIZE {
            return None;
        }
        Some(Self {
            kind: word(bytes),
            flags: word(&bytes[4..]),
            value: long(&bytes[8..]),
            cookie: long(&bytes[16..]),
        })
    }
}

impl fmt::Display for Obj {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            obj::BINDER => "BINDER",
            obj::WEAK_BINDER => "WEAK_BINDER",
            obj::HANDLE => "HANDLE",
            obj::WEAK_HANDLE => "WEAK_HANDLE",
            obj::FD => "FD",
            other => return write!(f, "OBJECT{other:#x}"),
        };
        write!(
            f,
            "{name}({:x},{:x},{:x})",
            self.value, self.cookie, self.flags
        )
    }
}

/// A node as its owner names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// First number, the key within a process.
    pub ptr: u64,
    /// Second number.
    pub cookie: u64,
    /// Flags of the first send.
    pub flags: u32,
}

impl Node {
    /// A node that accepts descriptors, with a cookie made of its pointer.
    pub const fn new(ptr: u64) -> Self {
        Self {
            ptr,
            cookie: ptr + 1,
            flags: obj::ACCEPTS_FDS,
        }
    }

    /// The same with other flags.
    pub const fn flags(self, flags: u32) -> Self {
        Self { flags, ..self }
    }
}

pub(crate) fn word(bytes: &[u8]) -> u32 {
    u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

pub(crate) fn long(bytes: &[u8]) -> u64 {
    u64::from(word(bytes)) | u64::from(word(&bytes[4..])) << 32
}

/// A message to be sent; sizes and addresses can be forged.
#[derive(Clone, Debug, Default)]
pub struct Tx {
    target: u32,
    code: u32,
    flags: u32,
    data: Vec<u8>,
    offsets: Vec<u64>,
    extra: Option<u64>,
    data_at: Option<u64>,
    data_len: Option<u64>,
    offsets_at: Option<u64>,
    offsets_len: Option<u64>,
}

impl Tx {
    /// To a handle; replies ignore it.
    pub fn to(handle: u32) -> Self {
        Self {
            target: handle,
            ..Self::default()
        }
    }

    /// For a reply.
    pub fn answer() -> Self {
        Self::default()
    }

    /// The caller's number.
    pub fn code(self, code: u32) -> Self {
        Self { code, ..self }
    }

    /// More flags.
    pub fn flags(self, flags: u32) -> Self {
        Self {
            flags: self.flags | flags,
            ..self
        }
    }

    /// Makes it a one-way.
    pub fn one_way(self) -> Self {
        self.flags(tf::ONE_WAY)
    }

    /// Appends bytes.
    pub fn data(mut self, bytes: &[u8]) -> Self {
        self.data.extend_from_slice(bytes);
        self
    }

    /// Appends `count` zero bytes.
    pub fn zeros(mut self, count: usize) -> Self {
        self.data.resize(self.data.len() + count, 0);
        self
    }

    /// Appends an object, padded to 8, and its offset.
    pub fn object(self, object: Obj) -> Self {
        self.item(&object.bytes())
    }

    /// The same with the bytes of any object.
    pub fn item(mut self, bytes: &[u8]) -> Self {
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        self.offsets.push(self.data.len() as u64);
        self.data(bytes)
    }

    /// Replaces the array of offsets.
    pub fn offsets(self, offsets: &[u64]) -> Self {
        Self {
            offsets: offsets.to_vec(),
            ..self
        }
    }

    /// Room for pointer objects; makes it the SG form of the command.
    pub fn extra(self, bytes: u64) -> Self {
        Self {
            extra: Some(bytes),
            ..self
        }
    }

    /// Says that the data lies elsewhere.
    pub fn data_at(self, address: u64) -> Self {
        Self {
            data_at: Some(address),
            ..self
        }
    }

    /// Says that the data has another size.
    pub fn data_len(self, bytes: u64) -> Self {
        Self {
            data_len: Some(bytes),
            ..self
        }
    }

    /// Says that the offsets lie elsewhere.
    pub fn offsets_at(self, address: u64) -> Self {
        Self {
            offsets_at: Some(address),
            ..self
        }
    }

    /// Says that the array of offsets has another size.
    pub fn offsets_len(self, bytes: u64) -> Self {
        Self {
            offsets_len: Some(bytes),
            ..self
        }
    }

    fn place(&self) -> TransactionData {
        let mut offsets = Vec::new();
        for offset in &self.offsets {
            offsets.extend_from_slice(&offset.to_ne_bytes());
        }
        TransactionData {
            target: u64::from(self.target),
            cookie: 0,
            code: self.code,
            flags: self.flags,
            sender_pid: 0,
            sender_euid: 0,
            data_size: self.data_len.unwrap_or(self.data.len() as u64),
            offsets_size: self.offsets_len.unwrap_or(offsets.len() as u64),
            buffer: self.data_at.unwrap_or_else(|| shm::put(&self.data)),
            offsets: self.offsets_at.unwrap_or_else(|| shm::put(&offsets)),
        }
    }
}

/// A stream of commands.
#[derive(Clone, Debug, Default)]
pub struct Bc {
    bytes: Vec<u8>,
    text: Vec<String>,
}

/// Starts a stream of commands.
pub fn bc() -> Bc {
    Bc::default()
}

impl Bc {
    /// Any command without payload, or the start of one.
    pub fn word(mut self, word: u32) -> Self {
        self.bytes.extend_from_slice(&word.to_ne_bytes());
        self
    }

    fn long(mut self, value: u64) -> Self {
        self.bytes.extend_from_slice(&value.to_ne_bytes());
        self
    }

    fn named(mut self, name: String) -> Self {
        self.text.push(name);
        self
    }

    /// A command that no driver knows.
    pub fn unknown(self) -> Self {
        self.word(0x4004_63ff).named("unknown".into())
    }

    /// `BC_ENTER_LOOPER`
    pub fn enter(self) -> Self {
        self.word(bc::ENTER_LOOPER).named("enter".into())
    }

    /// `BC_REGISTER_LOOPER`
    pub fn register(self) -> Self {
        self.word(bc::REGISTER_LOOPER).named("register".into())
    }

    /// `BC_EXIT_LOOPER`
    pub fn exit(self) -> Self {
        self.word(bc::EXIT_LOOPER).named("exit".into())
    }

    fn message(mut self, plain: u32, sg: u32, tx: &Tx) -> Self {
        self = self.word(if tx.extra.is_some() { sg } else { plain });
        self.bytes.extend_from_slice(&tx.place().bytes());
        match tx.extra {
            Some(extra) => self.long(extra),
            None => self,
        }
    }

    /// `BC_TRANSACTION` or its SG form.
    pub fn call(self, tx: Tx) -> Self {
        let name = if tx.flags & tf::ONE_WAY != 0 {
            "oneway"
        } else {
            "call"
        };
        let name = format!("{name}:{}", tx.target);
        self.message(bc::TRANSACTION, bc::TRANSACTION_SG, &tx)
            .named(name)
    }

    /// `BC_REPLY` or its SG form.
    pub fn reply(self, tx: Tx) -> Self {
        self.message(bc::REPLY, bc::REPLY_SG, &tx)
            .named("reply".into())
    }

    /// `BC_FREE_BUFFER`
    pub fn free(self, buffer: u64) -> Self {
        self.word(bc::FREE_BUFFER).long(buffer).named("free".into())
    }

    /// One of the four commands for counts.
    fn count(self, command: u32, name: &str, handle: u32) -> Self {
        self.word(command)
            .word(handle)
            .named(format!("{name}:{handle}"))
    }

    /// `BC_INCREFS`
    pub fn increfs(self, handle: u32) -> Self {
        self.count(bc::INCREFS, "increfs", handle)
    }

    /// `BC_ACQUIRE`
    pub fn acquire(self, handle: u32) -> Self {
        self.count(bc::ACQUIRE, "acquire", handle)
    }

    /// `BC_RELEASE`
    pub fn release(self, handle: u32) -> Self {
        self.count(bc::RELEASE, "release", handle)
    }

    /// `BC_DECREFS`
    pub fn decrefs(self, handle: u32) -> Self {
        self.count(bc::DECREFS, "decrefs", handle)
    }

    /// `BC_INCREFS_DONE`
    pub fn increfs_done(self, node: Node) -> Self {
        self.word(bc::INCREFS_DONE)
            .long(node.ptr)
            .long(node.cookie)
            .named("increfs_done".into())
    }

    /// `BC_ACQUIRE_DONE`
    pub fn acquire_done(self, node: Node) -> Self {
        self.word(bc::ACQUIRE_DONE)
            .long(node.ptr)
            .long(node.cookie)
            .named("acquire_done".into())
    }

    /// Both answers to a node that was sent for the first time.
    pub fn both_done(self, node: Node) -> Self {
        self.increfs_done(node).acquire_done(node)
    }

    fn notification(self, command: u32, name: &str, handle: u32, cookie: u64) -> Self {
        self.word(command)
            .word(handle)
            .long(cookie)
            .named(format!("{name}:{handle},{cookie:x}"))
    }

    /// `BC_REQUEST_DEATH_NOTIFICATION`
    pub fn request_death(self, handle: u32, cookie: u64) -> Self {
        self.notification(
            bc::REQUEST_DEATH_NOTIFICATION,
            "request_death",
            handle,
            cookie,
        )
    }

    /// `BC_CLEAR_DEATH_NOTIFICATION`
    pub fn clear_death(self, handle: u32, cookie: u64) -> Self {
        self.notification(bc::CLEAR_DEATH_NOTIFICATION, "clear_death", handle, cookie)
    }

    /// `BC_DEAD_BINDER_DONE`
    pub fn dead_done(self, cookie: u64) -> Self {
        self.word(bc::DEAD_BINDER_DONE)
            .long(cookie)
            .named(format!("dead_done:{cookie:x}"))
    }

    /// `BC_REQUEST_FREEZE_NOTIFICATION`
    pub fn request_freeze(self, handle: u32, cookie: u64) -> Self {
        self.notification(
            bc::REQUEST_FREEZE_NOTIFICATION,
            "request_freeze",
            handle,
            cookie,
        )
    }

    /// `BC_CLEAR_FREEZE_NOTIFICATION`
    pub fn clear_freeze(self, handle: u32, cookie: u64) -> Self {
        self.notification(
            bc::CLEAR_FREEZE_NOTIFICATION,
            "clear_freeze",
            handle,
            cookie,
        )
    }

    /// `BC_FREEZE_NOTIFICATION_DONE`
    pub fn freeze_done(self, cookie: u64) -> Self {
        self.word(bc::FREEZE_NOTIFICATION_DONE)
            .long(cookie)
            .named(format!("freeze_done:{cookie:x}"))
    }

    /// Appends another stream.
    pub fn also(mut self, other: &Bc) -> Self {
        self.bytes.extend_from_slice(&other.bytes);
        self.text.extend_from_slice(&other.text);
        self
    }

    /// The bytes so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Cuts the stream, which leaves its last command incomplete.
    pub fn truncate(mut self, bytes: usize) -> Self {
        self.bytes.truncate(bytes);
        self
    }
}

impl fmt::Display for Bc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_packed() {
        let stream = bc().enter().acquire(3).request_death(2, 7).free(9);
        assert_eq!(stream.bytes().len(), 4 + 8 + 16 + 12);
        assert_eq!(stream.to_string(), "enter acquire:3 request_death:2,7 free");
    }

    #[test]
    fn objects_survive_the_wire() {
        let object = Obj {
            kind: obj::WEAK_BINDER,
            flags: 0x113,
            value: 1 << 40,
            cookie: 9,
        };
        assert_eq!(Obj::parse(&object.bytes()), Some(object));
        assert_eq!(Obj::parse(&[0; 23]), None);
    }
}
