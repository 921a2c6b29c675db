// SPDX-License-Identifier: MIT OR Apache-2.0

// Made by ./regenerate from include/uapi/linux/bus1.h: do not edit.

#[doc = " struct bus1_cmd_peer_reset - properties of a peer\n @flags: in: BUS1_PEER_RESET_FLAG_*; 0 for BUS1_CMD_PEER_QUERY\n @peer_flags: BUS1_PEER_FLAG_*; all bits set: leave as it is\n @max_slices: most messages queued, or read and not released; 0xffffffff: leave as it is\n @max_handles: most handles held; 0xffffffff: leave as it is\n @max_inflight_bytes: most bytes of slices not released; 0xffffffff: leave as it is\n @max_inflight_fds: most files in queued messages; 0xffffffff: leave as it is\n\n BUS1_CMD_PEER_QUERY fills it in, BUS1_CMD_PEER_RESET reads it.  A limit is at\n most 0x7fffffff."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct bus1_cmd_peer_reset {
    pub flags: u64,
    pub peer_flags: u64,
    pub max_slices: u32,
    pub max_handles: u32,
    pub max_inflight_bytes: u32,
    pub max_inflight_fds: u32,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of bus1_cmd_peer_reset"][::core::mem::size_of::<bus1_cmd_peer_reset>() - 32usize];
    ["Alignment of bus1_cmd_peer_reset"][::core::mem::align_of::<bus1_cmd_peer_reset>() - 8usize];
    ["Offset of field: bus1_cmd_peer_reset::flags"]
        [::core::mem::offset_of!(bus1_cmd_peer_reset, flags) - 0usize];
    ["Offset of field: bus1_cmd_peer_reset::peer_flags"]
        [::core::mem::offset_of!(bus1_cmd_peer_reset, peer_flags) - 8usize];
    ["Offset of field: bus1_cmd_peer_reset::max_slices"]
        [::core::mem::offset_of!(bus1_cmd_peer_reset, max_slices) - 16usize];
    ["Offset of field: bus1_cmd_peer_reset::max_handles"]
        [::core::mem::offset_of!(bus1_cmd_peer_reset, max_handles) - 20usize];
    ["Offset of field: bus1_cmd_peer_reset::max_inflight_bytes"]
        [::core::mem::offset_of!(bus1_cmd_peer_reset, max_inflight_bytes) - 24usize];
    ["Offset of field: bus1_cmd_peer_reset::max_inflight_fds"]
        [::core::mem::offset_of!(bus1_cmd_peer_reset, max_inflight_fds) - 28usize];
};
#[doc = " struct bus1_cmd_handle_transfer - give a handle to another peer\n @flags: in: 0\n @src_handle: in: ID on this peer; an unused user ID creates its node\n @dst_fd: in: file descriptor of the other peer; all bits set: this peer\n @dst_handle: out: ID on the other peer, BUS1_HANDLE_INVALID if the node is destroyed"]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct bus1_cmd_handle_transfer {
    pub flags: u64,
    pub src_handle: u64,
    pub dst_fd: u64,
    pub dst_handle: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of bus1_cmd_handle_transfer"]
        [::core::mem::size_of::<bus1_cmd_handle_transfer>() - 32usize];
    ["Alignment of bus1_cmd_handle_transfer"]
        [::core::mem::align_of::<bus1_cmd_handle_transfer>() - 8usize];
    ["Offset of field: bus1_cmd_handle_transfer::flags"]
        [::core::mem::offset_of!(bus1_cmd_handle_transfer, flags) - 0usize];
    ["Offset of field: bus1_cmd_handle_transfer::src_handle"]
        [::core::mem::offset_of!(bus1_cmd_handle_transfer, src_handle) - 8usize];
    ["Offset of field: bus1_cmd_handle_transfer::dst_fd"]
        [::core::mem::offset_of!(bus1_cmd_handle_transfer, dst_fd) - 16usize];
    ["Offset of field: bus1_cmd_handle_transfer::dst_handle"]
        [::core::mem::offset_of!(bus1_cmd_handle_transfer, dst_handle) - 24usize];
};
#[doc = " struct bus1_cmd_nodes_destroy - destroy nodes of this peer, all at one instant\n @flags: in: BUS1_NODES_DESTROY_FLAG_*\n @ptr_nodes: in: array of u64 handle IDs\n @n_nodes: in: number of elements of @ptr_nodes, may be 0"]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct bus1_cmd_nodes_destroy {
    pub flags: u64,
    pub ptr_nodes: u64,
    pub n_nodes: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of bus1_cmd_nodes_destroy"][::core::mem::size_of::<bus1_cmd_nodes_destroy>() - 24usize];
    ["Alignment of bus1_cmd_nodes_destroy"]
        [::core::mem::align_of::<bus1_cmd_nodes_destroy>() - 8usize];
    ["Offset of field: bus1_cmd_nodes_destroy::flags"]
        [::core::mem::offset_of!(bus1_cmd_nodes_destroy, flags) - 0usize];
    ["Offset of field: bus1_cmd_nodes_destroy::ptr_nodes"]
        [::core::mem::offset_of!(bus1_cmd_nodes_destroy, ptr_nodes) - 8usize];
    ["Offset of field: bus1_cmd_nodes_destroy::n_nodes"]
        [::core::mem::offset_of!(bus1_cmd_nodes_destroy, n_nodes) - 16usize];
};
#[doc = " struct bus1_cmd_send - send one message to any number of nodes\n @flags: in: BUS1_SEND_FLAG_*\n @ptr_destinations: in: array of u64 handle IDs\n @ptr_errors: in: 0, or array of __s64, one for each destination: 0 or a negative errno\n @n_destinations: in: number of elements of @ptr_destinations and @ptr_errors\n @ptr_vecs: in: array of struct iovec, the payload\n @n_vecs: in: number of elements of @ptr_vecs, at most 1024\n @ptr_handles: in: array of u64 IDs of handles to pass on\n @n_handles: in: number of elements of @ptr_handles\n @ptr_fds: in: array of __s32 file descriptors to pass on\n @n_fds: in: number of elements of @ptr_fds, at most BUS1_FD_MAX"]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct bus1_cmd_send {
    pub flags: u64,
    pub ptr_destinations: u64,
    pub ptr_errors: u64,
    pub n_destinations: u64,
    pub ptr_vecs: u64,
    pub n_vecs: u64,
    pub ptr_handles: u64,
    pub n_handles: u64,
    pub ptr_fds: u64,
    pub n_fds: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of bus1_cmd_send"][::core::mem::size_of::<bus1_cmd_send>() - 80usize];
    ["Alignment of bus1_cmd_send"][::core::mem::align_of::<bus1_cmd_send>() - 8usize];
    ["Offset of field: bus1_cmd_send::flags"]
        [::core::mem::offset_of!(bus1_cmd_send, flags) - 0usize];
    ["Offset of field: bus1_cmd_send::ptr_destinations"]
        [::core::mem::offset_of!(bus1_cmd_send, ptr_destinations) - 8usize];
    ["Offset of field: bus1_cmd_send::ptr_errors"]
        [::core::mem::offset_of!(bus1_cmd_send, ptr_errors) - 16usize];
    ["Offset of field: bus1_cmd_send::n_destinations"]
        [::core::mem::offset_of!(bus1_cmd_send, n_destinations) - 24usize];
    ["Offset of field: bus1_cmd_send::ptr_vecs"]
        [::core::mem::offset_of!(bus1_cmd_send, ptr_vecs) - 32usize];
    ["Offset of field: bus1_cmd_send::n_vecs"]
        [::core::mem::offset_of!(bus1_cmd_send, n_vecs) - 40usize];
    ["Offset of field: bus1_cmd_send::ptr_handles"]
        [::core::mem::offset_of!(bus1_cmd_send, ptr_handles) - 48usize];
    ["Offset of field: bus1_cmd_send::n_handles"]
        [::core::mem::offset_of!(bus1_cmd_send, n_handles) - 56usize];
    ["Offset of field: bus1_cmd_send::ptr_fds"]
        [::core::mem::offset_of!(bus1_cmd_send, ptr_fds) - 64usize];
    ["Offset of field: bus1_cmd_send::n_fds"]
        [::core::mem::offset_of!(bus1_cmd_send, n_fds) - 72usize];
};
#[doc = " struct bus1_cmd_send_request - send a message and prepay its reply\n @send: in: the message, with BUS1_SEND_FLAG_REPLY among its flags\n @reply_bytes: in: most payload bytes of the reply\n @reply_handles: in: most handles that it carries\n @reply_fds: in: most files that it carries, at most BUS1_FD_MAX\n @reply_node: out: ID of the node that the reply is sent to\n\n With BUS1_SEND_FLAG_REPLY the message has exactly one destination, and\n neither of the other flags.  The kernel makes a node for the reply and sends a\n handle of it along, behind all others; the receiver knows it by\n BUS1_MSG_FLAG_REQUEST.  One message, of the announced size at most, can be\n sent to that handle.  Room for it is charged to the requesting peer, by the\n request, so that whoever replies is refused nothing for a quota: neither its\n own nor the requester's.  A larger reply gets EMSGSIZE, and another one can\n be sent; EBUSY says that another task is sending one.  A reply that was sent\n takes one reference of the handle with it, as BUS1_CMD_HANDLE_RELEASE does.\n\n The requester receives one of two things for @reply_node: the reply, or\n BUS1_MSG_NODE_RELEASE if nobody can send one any more.  With that, @reply_node\n and all references of it are gone on the requesting peer.  Who does not want\n to wait destroys the node, like any other.  Another thread can receive the\n reply before the call returns.\n\n Without BUS1_SEND_FLAG_REPLY the call is BUS1_CMD_SEND, and what begins with\n \"reply\" is 0."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct bus1_cmd_send_request {
    pub send: bus1_cmd_send,
    pub reply_bytes: u64,
    pub reply_handles: u64,
    pub reply_fds: u64,
    pub reply_node: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of bus1_cmd_send_request"][::core::mem::size_of::<bus1_cmd_send_request>() - 112usize];
    ["Alignment of bus1_cmd_send_request"]
        [::core::mem::align_of::<bus1_cmd_send_request>() - 8usize];
    ["Offset of field: bus1_cmd_send_request::send"]
        [::core::mem::offset_of!(bus1_cmd_send_request, send) - 0usize];
    ["Offset of field: bus1_cmd_send_request::reply_bytes"]
        [::core::mem::offset_of!(bus1_cmd_send_request, reply_bytes) - 80usize];
    ["Offset of field: bus1_cmd_send_request::reply_handles"]
        [::core::mem::offset_of!(bus1_cmd_send_request, reply_handles) - 88usize];
    ["Offset of field: bus1_cmd_send_request::reply_fds"]
        [::core::mem::offset_of!(bus1_cmd_send_request, reply_fds) - 96usize];
    ["Offset of field: bus1_cmd_send_request::reply_node"]
        [::core::mem::offset_of!(bus1_cmd_send_request, reply_node) - 104usize];
};
#[doc = " struct bus1_msg - description of a received message\n @type: BUS1_MSG_*\n @flags: BUS1_MSG_FLAG_*\n @destination: receiver's ID of the node or handle that it is for\n @uid: real user ID of the sending task, as the opener of the receiving peer sees it\n @gid: real group ID, likewise\n @pid: thread group of the sending task, 0 if it is not visible to the opener\n @tid: sending thread, likewise\n @offset: start of the slice in the pool, or BUS1_OFFSET_INVALID\n @n_bytes: payload bytes, at the start of the slice\n @n_handles: u64 handle IDs, after the payload at the next multiple of 8\n @n_fds: __s32 file descriptors, after the handles\n @n_secctx: bytes of security context, after the descriptors at the next multiple of 8"]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct bus1_msg {
    pub type_: u64,
    pub flags: u64,
    pub destination: u64,
    pub uid: u32,
    pub gid: u32,
    pub pid: u32,
    pub tid: u32,
    pub offset: u64,
    pub n_bytes: u64,
    pub n_handles: u64,
    pub n_fds: u64,
    pub n_secctx: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of bus1_msg"][::core::mem::size_of::<bus1_msg>() - 80usize];
    ["Alignment of bus1_msg"][::core::mem::align_of::<bus1_msg>() - 8usize];
    ["Offset of field: bus1_msg::type_"][::core::mem::offset_of!(bus1_msg, type_) - 0usize];
    ["Offset of field: bus1_msg::flags"][::core::mem::offset_of!(bus1_msg, flags) - 8usize];
    ["Offset of field: bus1_msg::destination"]
        [::core::mem::offset_of!(bus1_msg, destination) - 16usize];
    ["Offset of field: bus1_msg::uid"][::core::mem::offset_of!(bus1_msg, uid) - 24usize];
    ["Offset of field: bus1_msg::gid"][::core::mem::offset_of!(bus1_msg, gid) - 28usize];
    ["Offset of field: bus1_msg::pid"][::core::mem::offset_of!(bus1_msg, pid) - 32usize];
    ["Offset of field: bus1_msg::tid"][::core::mem::offset_of!(bus1_msg, tid) - 36usize];
    ["Offset of field: bus1_msg::offset"][::core::mem::offset_of!(bus1_msg, offset) - 40usize];
    ["Offset of field: bus1_msg::n_bytes"][::core::mem::offset_of!(bus1_msg, n_bytes) - 48usize];
    ["Offset of field: bus1_msg::n_handles"]
        [::core::mem::offset_of!(bus1_msg, n_handles) - 56usize];
    ["Offset of field: bus1_msg::n_fds"][::core::mem::offset_of!(bus1_msg, n_fds) - 64usize];
    ["Offset of field: bus1_msg::n_secctx"][::core::mem::offset_of!(bus1_msg, n_secctx) - 72usize];
};
#[doc = " struct bus1_cmd_recv - take the next message off the queue\n @flags: in: BUS1_RECV_FLAG_*\n @max_offset: in: end of the mapped part of the pool; a slice beyond it is refused\n @msg: out: what was received"]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct bus1_cmd_recv {
    pub flags: u64,
    pub max_offset: u64,
    pub msg: bus1_msg,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of bus1_cmd_recv"][::core::mem::size_of::<bus1_cmd_recv>() - 96usize];
    ["Alignment of bus1_cmd_recv"][::core::mem::align_of::<bus1_cmd_recv>() - 8usize];
    ["Offset of field: bus1_cmd_recv::flags"]
        [::core::mem::offset_of!(bus1_cmd_recv, flags) - 0usize];
    ["Offset of field: bus1_cmd_recv::max_offset"]
        [::core::mem::offset_of!(bus1_cmd_recv, max_offset) - 8usize];
    ["Offset of field: bus1_cmd_recv::msg"][::core::mem::offset_of!(bus1_cmd_recv, msg) - 16usize];
};
#[doc = " struct bus1_msg_anon - description of a received message, without its sender\n @type: BUS1_MSG_*\n @flags: BUS1_MSG_ANON_FLAG_*\n @destination: receiver's ID of the node or handle that it is for\n @offset: start of the slice in the pool, or BUS1_OFFSET_INVALID\n @n_bytes: payload bytes, at the start of the slice\n @n_handles: u64 handle IDs, after the payload at the next multiple of 8\n @n_fds: __s32 file descriptors, after the handles"]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct bus1_msg_anon {
    pub type_: u64,
    pub flags: u64,
    pub destination: u64,
    pub offset: u64,
    pub n_bytes: u64,
    pub n_handles: u64,
    pub n_fds: u64,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of bus1_msg_anon"][::core::mem::size_of::<bus1_msg_anon>() - 56usize];
    ["Alignment of bus1_msg_anon"][::core::mem::align_of::<bus1_msg_anon>() - 8usize];
    ["Offset of field: bus1_msg_anon::type_"]
        [::core::mem::offset_of!(bus1_msg_anon, type_) - 0usize];
    ["Offset of field: bus1_msg_anon::flags"]
        [::core::mem::offset_of!(bus1_msg_anon, flags) - 8usize];
    ["Offset of field: bus1_msg_anon::destination"]
        [::core::mem::offset_of!(bus1_msg_anon, destination) - 16usize];
    ["Offset of field: bus1_msg_anon::offset"]
        [::core::mem::offset_of!(bus1_msg_anon, offset) - 24usize];
    ["Offset of field: bus1_msg_anon::n_bytes"]
        [::core::mem::offset_of!(bus1_msg_anon, n_bytes) - 32usize];
    ["Offset of field: bus1_msg_anon::n_handles"]
        [::core::mem::offset_of!(bus1_msg_anon, n_handles) - 40usize];
    ["Offset of field: bus1_msg_anon::n_fds"]
        [::core::mem::offset_of!(bus1_msg_anon, n_fds) - 48usize];
};
#[doc = " struct bus1_cmd_recv_anon - take the next message off the queue, without its sender\n @flags: in: BUS1_RECV_ANON_FLAG_*\n @max_offset: in: end of the mapped part of the pool; a slice beyond it is refused\n @msg: out: what was received\n\n The form that the last version of the 2016 driver had.  Note that its flags\n have other values than those of struct bus1_cmd_recv."]
#[repr(C)]
#[derive(Debug, Default, Copy, Clone, PartialEq, Eq)]
pub struct bus1_cmd_recv_anon {
    pub flags: u64,
    pub max_offset: u64,
    pub msg: bus1_msg_anon,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of bus1_cmd_recv_anon"][::core::mem::size_of::<bus1_cmd_recv_anon>() - 72usize];
    ["Alignment of bus1_cmd_recv_anon"][::core::mem::align_of::<bus1_cmd_recv_anon>() - 8usize];
    ["Offset of field: bus1_cmd_recv_anon::flags"]
        [::core::mem::offset_of!(bus1_cmd_recv_anon, flags) - 0usize];
    ["Offset of field: bus1_cmd_recv_anon::max_offset"]
        [::core::mem::offset_of!(bus1_cmd_recv_anon, max_offset) - 8usize];
    ["Offset of field: bus1_cmd_recv_anon::msg"]
        [::core::mem::offset_of!(bus1_cmd_recv_anon, msg) - 16usize];
};
pub const BUS1_IOCTL_MAGIC: u64 = 150;
pub const BUS1_FD_MAX: u64 = 256;
pub const BUS1_HANDLE_INVALID: u64 = 18446744073709551615;
pub const BUS1_OFFSET_INVALID: u64 = 18446744073709551615;
pub const BUS1_HANDLE_FLAG_MANAGED: u64 = 1;
pub const BUS1_HANDLE_FLAG_REMOTE: u64 = 2;
pub const BUS1_PEER_FLAG_WANT_SECCTX: u64 = 1;
pub const BUS1_PEER_RESET_FLAG_FLUSH: u64 = 1;
pub const BUS1_PEER_RESET_FLAG_FLUSH_SEED: u64 = 2;
pub const BUS1_NODES_DESTROY_FLAG_RELEASE_HANDLES: u64 = 1;
pub const BUS1_SEND_FLAG_CONTINUE: u64 = 1;
pub const BUS1_SEND_FLAG_SEED: u64 = 2;
pub const BUS1_SEND_FLAG_REPLY: u64 = 4;
pub const BUS1_MSG_NONE: u64 = 0;
pub const BUS1_MSG_DATA: u64 = 1;
pub const BUS1_MSG_NODE_DESTROY: u64 = 2;
pub const BUS1_MSG_NODE_RELEASE: u64 = 3;
pub const BUS1_MSG_FLAG_HAS_SECCTX: u64 = 1;
pub const BUS1_MSG_FLAG_CONTINUE: u64 = 2;
pub const BUS1_MSG_FLAG_REQUEST: u64 = 4;
pub const BUS1_RECV_FLAG_PEEK: u64 = 1;
pub const BUS1_RECV_FLAG_SEED: u64 = 2;
pub const BUS1_RECV_FLAG_INSTALL_FDS: u64 = 4;
pub const BUS1_MSG_ANON_FLAG_CONTINUE: u64 = 1;
pub const BUS1_MSG_ANON_FLAG_REQUEST: u64 = 2;
pub const BUS1_RECV_ANON_FLAG_SEED: u64 = 1;
pub const BUS1_RECV_ANON_FLAG_INSTALL_FDS: u64 = 2;
pub const BUS1_CMD_PEER_DISCONNECT: u32 = 3221788160;
pub const BUS1_CMD_PEER_QUERY: u32 = 3223361025;
pub const BUS1_CMD_PEER_RESET: u32 = 3223361026;
pub const BUS1_CMD_HANDLE_RELEASE: u32 = 3221788176;
pub const BUS1_CMD_HANDLE_TRANSFER: u32 = 3223361041;
pub const BUS1_CMD_NODES_DESTROY: u32 = 3222836768;
pub const BUS1_CMD_SLICE_RELEASE: u32 = 3221788208;
pub const BUS1_CMD_SEND: u32 = 3226506816;
pub const BUS1_CMD_SEND_REQUEST: u32 = 3228603968;
pub const BUS1_CMD_RECV: u32 = 3227555408;
pub const BUS1_CMD_RECV_ANON: u32 = 3225982544;
