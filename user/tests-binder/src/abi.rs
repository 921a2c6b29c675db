// SPDX-License-Identifier: MIT OR Apache-2.0

//! The Binder user ABI, protocol 8, as numbers.
//!
//! Typed in from the published layout rather than generated, on purpose: a
//! conformance program that shared a generated header with the driver would
//! agree with it about every mistake. The sizes are encoded in the numbers
//! themselves and asserted below.

/// What `BINDER_VERSION` answers.
pub const PROTOCOL_VERSION: i32 = 8;

/// ioctl numbers of a binder device and of `binder-control`.
pub mod nr {
    /// Runs a write half and a read half; see [`super::WriteRead`].
    pub const WRITE_READ: u32 = 0xc030_6201;
    /// In the header only; no driver implements it.
    pub const SET_IDLE_TIMEOUT: u32 = 0x4008_6203;
    /// Upper limit of the pool threads that the driver asks for (u32).
    pub const SET_MAX_THREADS: u32 = 0x4004_6205;
    /// In the header only; no driver implements it.
    pub const SET_IDLE_PRIORITY: u32 = 0x4004_6206;
    /// Makes the caller the context manager (argument ignored).
    pub const SET_CONTEXT_MGR: u32 = 0x4004_6207;
    /// Drops the record of the calling thread (argument ignored).
    pub const THREAD_EXIT: u32 = 0x4004_6208;
    /// Reads the protocol version (s32).
    pub const VERSION: u32 = 0xc004_6209;
    /// Walks the caller's own nodes (24 bytes).
    pub const GET_NODE_DEBUG_INFO: u32 = 0xc018_620b;
    /// Counts of a handle, for the manager only (24 bytes).
    pub const GET_NODE_INFO_FOR_REF: u32 = 0xc018_620c;
    /// Makes the caller the manager, with a node of its own choice.
    pub const SET_CONTEXT_MGR_EXT: u32 = 0x4018_620d;
    /// Freezes or thaws a process (12 bytes).
    pub const FREEZE: u32 = 0x400c_620e;
    /// Reads and keeps the freeze flags of a process (12 bytes).
    pub const GET_FROZEN_INFO: u32 = 0xc00c_620f;
    /// Switches the spam report on for the caller (u32).
    pub const ENABLE_ONEWAY_SPAM_DETECTION: u32 = 0x4004_6210;
    /// Reads and resets the calling thread's last error (12 bytes).
    pub const GET_EXTENDED_ERROR: u32 = 0xc00c_6211;
    /// Creates a device; on `binder-control` only (264 bytes).
    pub const CTL_ADD: u32 = 0xc108_6201;
    /// `WRITE_READ` of the 32-bit protocol 7, gone for good.
    pub const WRITE_READ_V7: u32 = 0xc018_6201;
}

/// Commands of the write half.
pub mod bc {
    /// A call or a one-way.
    pub const TRANSACTION: u32 = 0x4040_6300;
    /// Answers the call on top of the thread's stack.
    pub const REPLY: u32 = 0x4040_6301;
    /// Never implemented.
    pub const ACQUIRE_RESULT: u32 = 0x4004_6302;
    /// Gives a received buffer back.
    pub const FREE_BUFFER: u32 = 0x4008_6303;
    /// Weak count of a handle, plus one.
    pub const INCREFS: u32 = 0x4004_6304;
    /// Strong count of a handle, plus one.
    pub const ACQUIRE: u32 = 0x4004_6305;
    /// Strong count of a handle, minus one.
    pub const RELEASE: u32 = 0x4004_6306;
    /// Weak count of a handle, minus one.
    pub const DECREFS: u32 = 0x4004_6307;
    /// Answers `BR_INCREFS`.
    pub const INCREFS_DONE: u32 = 0x4010_6308;
    /// Answers `BR_ACQUIRE`.
    pub const ACQUIRE_DONE: u32 = 0x4010_6309;
    /// Never implemented.
    pub const ATTEMPT_ACQUIRE: u32 = 0x4008_630a;
    /// The thread answers a request for a pool thread.
    pub const REGISTER_LOOPER: u32 = 0x630b;
    /// The thread joins the pool by itself.
    pub const ENTER_LOOPER: u32 = 0x630c;
    /// The thread leaves the pool.
    pub const EXIT_LOOPER: u32 = 0x630d;
    /// Asks for a message when the owner of a handle dies.
    pub const REQUEST_DEATH_NOTIFICATION: u32 = 0x400c_630e;
    /// Takes that back.
    pub const CLEAR_DEATH_NOTIFICATION: u32 = 0x400c_630f;
    /// Answers `BR_DEAD_BINDER`.
    pub const DEAD_BINDER_DONE: u32 = 0x4008_6310;
    /// Asks for the state of the owner of a handle, frozen or not.
    pub const REQUEST_FREEZE_NOTIFICATION: u32 = 0x400c_6313;
    /// Takes that back.
    pub const CLEAR_FREEZE_NOTIFICATION: u32 = 0x400c_6314;
    /// Answers `BR_FROZEN_BINDER`.
    pub const FREEZE_NOTIFICATION_DONE: u32 = 0x4008_6315;
    /// A call with room for pointer objects.
    pub const TRANSACTION_SG: u32 = 0x4048_6311;
    /// A reply with room for pointer objects.
    pub const REPLY_SG: u32 = 0x4048_6312;
}

/// Return codes of the read half.
pub mod br {
    /// A command failed for want of memory.
    pub const ERROR: u32 = 0x8004_7200;
    /// "No error" in an extended error.
    pub const OK: u32 = 0x7201;
    /// A call, with the sender's security context.
    pub const TRANSACTION_SEC_CTX: u32 = 0x8048_7202;
    /// A call or a one-way.
    pub const TRANSACTION: u32 = 0x8040_7202;
    /// An answer.
    pub const REPLY: u32 = 0x8040_7203;
    /// The other side is gone.
    pub const DEAD_REPLY: u32 = 0x7205;
    /// The command was accepted.
    pub const TRANSACTION_COMPLETE: u32 = 0x7206;
    /// A node is referenced.
    pub const INCREFS: u32 = 0x8010_7207;
    /// A node is held strongly.
    pub const ACQUIRE: u32 = 0x8010_7208;
    /// A node is not held strongly any more.
    pub const RELEASE: u32 = 0x8010_7209;
    /// A node is not referenced any more.
    pub const DECREFS: u32 = 0x8010_720a;
    /// First word of a read.
    pub const NOOP: u32 = 0x720c;
    /// Start another pool thread.
    pub const SPAWN_LOOPER: u32 = 0x720d;
    /// The owner of a handle died.
    pub const DEAD_BINDER: u32 = 0x8008_720f;
    /// Answer to `BC_CLEAR_DEATH_NOTIFICATION`.
    pub const CLEAR_DEATH_NOTIFICATION_DONE: u32 = 0x8008_7210;
    /// The command failed.
    pub const FAILED_REPLY: u32 = 0x7211;
    /// The target is frozen.
    pub const FROZEN_REPLY: u32 = 0x7212;
    /// Accepted, but this sender fills the receiver's space.
    pub const ONEWAY_SPAM_SUSPECT: u32 = 0x7213;
    /// Accepted, the target is frozen.
    pub const TRANSACTION_PENDING_FROZEN: u32 = 0x7214;
    /// The state of a watched process.
    pub const FROZEN_BINDER: u32 = 0x8010_7215;
    /// Answer to a cleared freeze notification.
    pub const CLEAR_FREEZE_NOTIFICATION_DONE: u32 = 0x8008_7216;
}

/// Flags of a transaction.
pub mod tf {
    /// No reply is expected.
    pub const ONE_WAY: u32 = 0x01;
    /// The reply may carry file descriptors.
    pub const ACCEPT_FDS: u32 = 0x10;
    /// The receiver's copy is zeroed when it is freed.
    pub const CLEAR_BUF: u32 = 0x20;
    /// To a frozen process: replaces an older one of the same kind.
    pub const UPDATE_TXN: u32 = 0x40;
}

/// Types and flags of the objects in a message.
pub mod obj {
    /// A node of the sender, held strongly.
    pub const BINDER: u32 = 0x7362_2a85;
    /// A node of the sender, held weakly.
    pub const WEAK_BINDER: u32 = 0x7762_2a85;
    /// A handle of the sender, strong.
    pub const HANDLE: u32 = 0x7368_2a85;
    /// A handle of the sender, weak.
    pub const WEAK_HANDLE: u32 = 0x7768_2a85;
    /// A file descriptor.
    pub const FD: u32 = 0x6664_2a85;
    /// Memory of the sender.
    pub const PTR: u32 = 0x7074_2a85;
    /// An array of file descriptors in such memory.
    pub const FDA: u32 = 0x6664_6185;
    /// Flag of memory: its address lies in other memory of the message, too.
    pub const HAS_PARENT: u32 = 1;
    /// Flag of a node: calls to it may carry file descriptors.
    pub const ACCEPTS_FDS: u32 = 0x100;
    /// Flag of a node: calls to it carry the sender's security context.
    pub const TXN_SECURITY_CTX: u32 = 0x1000;
    /// Size of each of the objects that are no memory.
    pub const SIZE: usize = 24;
}

/// Argument of [`nr::WRITE_READ`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteRead {
    /// Bytes of commands.
    pub write_size: u64,
    /// In: where to start; out: how far the driver came.
    pub write_consumed: u64,
    /// Address of the commands.
    pub write_buffer: u64,
    /// Room for return codes, in bytes.
    pub read_size: u64,
    /// In: where to start; out: how far the driver came.
    pub read_consumed: u64,
    /// Address of that room.
    pub read_buffer: u64,
}

/// Payload of a transaction, a reply and their return codes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionData {
    /// Handle (32 bits) when sent, the node's pointer when received.
    pub target: u64,
    /// The node's cookie when received.
    pub cookie: u64,
    /// The caller's business.
    pub code: u32,
    /// [`tf`].
    pub flags: u32,
    /// Process id of the sender, as the receiver sees it.
    pub sender_pid: i32,
    /// Effective user id of the sender, as the receiver sees it.
    pub sender_euid: u32,
    /// Bytes of data.
    pub data_size: u64,
    /// Bytes of the array of object offsets.
    pub offsets_size: u64,
    /// Address of the data.
    pub buffer: u64,
    /// Address of the array of object offsets.
    pub offsets: u64,
}

impl TransactionData {
    /// Its bytes, as they stand behind a command.
    pub fn bytes(&self) -> [u8; 64] {
        let words = [
            self.target,
            self.cookie,
            u64::from(self.code) | u64::from(self.flags) << 32,
            u64::from(self.sender_pid as u32) | u64::from(self.sender_euid) << 32,
            self.data_size,
            self.offsets_size,
            self.buffer,
            self.offsets,
        ];
        let mut out = [0; 64];
        for (to, word) in out.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        out
    }
}

/// Argument of [`nr::GET_EXTENDED_ERROR`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtendedError {
    /// Id of the transaction.
    pub id: u32,
    /// Return code, [`br`].
    pub command: u32,
    /// Negative errno or 0.
    pub param: i32,
}

/// Argument of [`nr::FREEZE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreezeInfo {
    /// The process, in the initial namespace.
    pub pid: u32,
    /// 0 thaws.
    pub enable: u32,
    /// How long to wait for the end of what is under way, in milliseconds.
    pub timeout: u32,
}

/// Argument of [`nr::GET_FROZEN_INFO`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrozenInfo {
    /// The process, in the initial namespace.
    pub pid: u32,
    /// Out: bit 0, a call was refused; bit 1, something is under way.
    pub sync_recv: u32,
    /// Out: a one-way was taken while frozen.
    pub async_recv: u32,
}

/// Argument of [`nr::GET_NODE_DEBUG_INFO`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeDebugInfo {
    /// In: look beyond this pointer; out: the node found, or 0.
    pub ptr: u64,
    /// Its cookie.
    pub cookie: u64,
    /// The owner was told that it is held strongly.
    pub has_strong_ref: u32,
    /// The owner was told that it is referenced.
    pub has_weak_ref: u32,
}

/// Argument of [`nr::GET_NODE_INFO_FOR_REF`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeInfoForRef {
    /// Which handle.
    pub handle: u32,
    /// Out: strong holders.
    pub strong_count: u32,
    /// Out: weak count of the node.
    pub weak_count: u32,
    /// Must be 0.
    pub reserved: [u32; 3],
}

/// Argument of [`nr::CTL_ADD`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CtlAdd {
    /// Name of the device, NUL-terminated.
    pub name: [u8; 256],
    /// Out.
    pub major: u32,
    /// Out.
    pub minor: u32,
}

/// Payload size that an ioctl number, command or return code announces.
pub const fn payload_size(number: u32) -> usize {
    ((number >> 16) & 0x3fff) as usize
}

const _: () = {
    assert!(size_of::<WriteRead>() == payload_size(nr::WRITE_READ));
    assert!(size_of::<TransactionData>() == payload_size(bc::TRANSACTION));
    assert!(size_of::<TransactionData>() == payload_size(br::REPLY));
    assert!(size_of::<ExtendedError>() == payload_size(nr::GET_EXTENDED_ERROR));
    assert!(size_of::<FreezeInfo>() == payload_size(nr::FREEZE));
    assert!(size_of::<FrozenInfo>() == payload_size(nr::GET_FROZEN_INFO));
    assert!(size_of::<NodeDebugInfo>() == payload_size(nr::GET_NODE_DEBUG_INFO));
    assert!(size_of::<NodeInfoForRef>() == payload_size(nr::GET_NODE_INFO_FOR_REF));
    assert!(size_of::<CtlAdd>() == payload_size(nr::CTL_ADD));
};
