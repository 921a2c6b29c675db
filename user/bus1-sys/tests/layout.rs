// SPDX-License-Identifier: MIT OR Apache-2.0

//! The numbers and layouts of the interface, written down a second time: a
//! header that changes what programs in the field rely on fails here.

use std::mem::{align_of, offset_of, size_of};

use bus1_sys::*;

/// What the generic encoding of ioctl numbers makes of a read-write command.
fn iowr(nr: u32, size: usize) -> u32 {
    let size = u32::try_from(size).expect("sizes are small");
    3 << 30 | size << 16 | 0x96 << 8 | nr
}

#[test]
fn numbers() {
    let table: [(u32, u32, u32, usize); 11] = [
        (BUS1_CMD_PEER_DISCONNECT, 0xc008_9600, 0x00, 8),
        (BUS1_CMD_PEER_QUERY, 0xc020_9601, 0x01, 32),
        (BUS1_CMD_PEER_RESET, 0xc020_9602, 0x02, 32),
        (BUS1_CMD_HANDLE_RELEASE, 0xc008_9610, 0x10, 8),
        (BUS1_CMD_HANDLE_TRANSFER, 0xc020_9611, 0x11, 32),
        (BUS1_CMD_NODES_DESTROY, 0xc018_9620, 0x20, 24),
        (BUS1_CMD_SLICE_RELEASE, 0xc008_9630, 0x30, 8),
        (BUS1_CMD_SEND, 0xc050_9640, 0x40, 80),
        (BUS1_CMD_SEND_REQUEST, 0xc070_9640, 0x40, 112),
        (BUS1_CMD_RECV, 0xc060_9650, 0x50, 96),
        (BUS1_CMD_RECV_ANON, 0xc048_9650, 0x50, 72),
    ];
    for (command, number, nr, size) in table {
        assert_eq!(command, number, "command {nr:#x}");
        assert_eq!(command, iowr(nr, size), "command {nr:#x}");
    }
}

#[test]
fn sizes_and_alignment() {
    let table = [
        (
            size_of::<bus1_cmd_peer_reset>(),
            align_of::<bus1_cmd_peer_reset>(),
            32,
        ),
        (
            size_of::<bus1_cmd_handle_transfer>(),
            align_of::<bus1_cmd_handle_transfer>(),
            32,
        ),
        (
            size_of::<bus1_cmd_nodes_destroy>(),
            align_of::<bus1_cmd_nodes_destroy>(),
            24,
        ),
        (size_of::<bus1_cmd_send>(), align_of::<bus1_cmd_send>(), 80),
        (
            size_of::<bus1_cmd_send_request>(),
            align_of::<bus1_cmd_send_request>(),
            112,
        ),
        (size_of::<bus1_msg>(), align_of::<bus1_msg>(), 80),
        (size_of::<bus1_cmd_recv>(), align_of::<bus1_cmd_recv>(), 96),
        (size_of::<bus1_msg_anon>(), align_of::<bus1_msg_anon>(), 56),
        (
            size_of::<bus1_cmd_recv_anon>(),
            align_of::<bus1_cmd_recv_anon>(),
            72,
        ),
    ];
    for (size, align, wanted) in table {
        assert_eq!((size, align), (wanted, 8));
    }
}

#[test]
fn offsets_of_requests() {
    assert_eq!(offset_of!(bus1_cmd_peer_reset, flags), 0);
    assert_eq!(offset_of!(bus1_cmd_peer_reset, peer_flags), 8);
    assert_eq!(offset_of!(bus1_cmd_peer_reset, max_slices), 16);
    assert_eq!(offset_of!(bus1_cmd_peer_reset, max_handles), 20);
    assert_eq!(offset_of!(bus1_cmd_peer_reset, max_inflight_bytes), 24);
    assert_eq!(offset_of!(bus1_cmd_peer_reset, max_inflight_fds), 28);

    assert_eq!(offset_of!(bus1_cmd_send_request, send), 0);
    assert_eq!(offset_of!(bus1_cmd_send_request, reply_bytes), 80);
    assert_eq!(offset_of!(bus1_cmd_send_request, reply_handles), 88);
    assert_eq!(offset_of!(bus1_cmd_send_request, reply_fds), 96);
    assert_eq!(offset_of!(bus1_cmd_send_request, reply_node), 104);

    assert_eq!(offset_of!(bus1_cmd_handle_transfer, flags), 0);
    assert_eq!(offset_of!(bus1_cmd_handle_transfer, src_handle), 8);
    assert_eq!(offset_of!(bus1_cmd_handle_transfer, dst_fd), 16);
    assert_eq!(offset_of!(bus1_cmd_handle_transfer, dst_handle), 24);

    assert_eq!(offset_of!(bus1_cmd_nodes_destroy, flags), 0);
    assert_eq!(offset_of!(bus1_cmd_nodes_destroy, ptr_nodes), 8);
    assert_eq!(offset_of!(bus1_cmd_nodes_destroy, n_nodes), 16);

    assert_eq!(offset_of!(bus1_cmd_send, flags), 0);
    assert_eq!(offset_of!(bus1_cmd_send, ptr_destinations), 8);
    assert_eq!(offset_of!(bus1_cmd_send, ptr_errors), 16);
    assert_eq!(offset_of!(bus1_cmd_send, n_destinations), 24);
    assert_eq!(offset_of!(bus1_cmd_send, ptr_vecs), 32);
    assert_eq!(offset_of!(bus1_cmd_send, n_vecs), 40);
    assert_eq!(offset_of!(bus1_cmd_send, ptr_handles), 48);
    assert_eq!(offset_of!(bus1_cmd_send, n_handles), 56);
    assert_eq!(offset_of!(bus1_cmd_send, ptr_fds), 64);
    assert_eq!(offset_of!(bus1_cmd_send, n_fds), 72);
}

#[test]
fn offsets_of_messages() {
    const MSG: usize = offset_of!(bus1_cmd_recv, msg);
    assert_eq!(offset_of!(bus1_cmd_recv, max_offset), 8);
    assert_eq!(MSG + offset_of!(bus1_msg, type_), 16);
    assert_eq!(MSG + offset_of!(bus1_msg, flags), 24);
    assert_eq!(MSG + offset_of!(bus1_msg, destination), 32);
    assert_eq!(MSG + offset_of!(bus1_msg, uid), 40);
    assert_eq!(MSG + offset_of!(bus1_msg, gid), 44);
    assert_eq!(MSG + offset_of!(bus1_msg, pid), 48);
    assert_eq!(MSG + offset_of!(bus1_msg, tid), 52);
    assert_eq!(MSG + offset_of!(bus1_msg, offset), 56);
    assert_eq!(MSG + offset_of!(bus1_msg, n_bytes), 64);
    assert_eq!(MSG + offset_of!(bus1_msg, n_handles), 72);
    assert_eq!(MSG + offset_of!(bus1_msg, n_fds), 80);
    assert_eq!(MSG + offset_of!(bus1_msg, n_secctx), 88);

    const ANON: usize = offset_of!(bus1_cmd_recv_anon, msg);
    assert_eq!(offset_of!(bus1_cmd_recv_anon, max_offset), 8);
    assert_eq!(ANON + offset_of!(bus1_msg_anon, type_), 16);
    assert_eq!(ANON + offset_of!(bus1_msg_anon, flags), 24);
    assert_eq!(ANON + offset_of!(bus1_msg_anon, destination), 32);
    assert_eq!(ANON + offset_of!(bus1_msg_anon, offset), 40);
    assert_eq!(ANON + offset_of!(bus1_msg_anon, n_bytes), 48);
    assert_eq!(ANON + offset_of!(bus1_msg_anon, n_handles), 56);
    assert_eq!(ANON + offset_of!(bus1_msg_anon, n_fds), 64);
}

#[test]
fn flags_and_special_values() {
    assert_eq!(BUS1_HANDLE_INVALID, u64::MAX);
    assert_eq!(BUS1_OFFSET_INVALID, u64::MAX);
    assert_eq!(BUS1_FD_MAX, 256);
    assert_eq!((BUS1_HANDLE_FLAG_MANAGED, BUS1_HANDLE_FLAG_REMOTE), (1, 2));
    assert_eq!((BUS1_SEND_FLAG_CONTINUE, BUS1_SEND_FLAG_SEED), (1, 2));
    assert_eq!(
        (
            BUS1_RECV_FLAG_PEEK,
            BUS1_RECV_FLAG_SEED,
            BUS1_RECV_FLAG_INSTALL_FDS
        ),
        (1, 2, 4)
    );
    assert_eq!(
        (BUS1_RECV_ANON_FLAG_SEED, BUS1_RECV_ANON_FLAG_INSTALL_FDS),
        (1, 2)
    );
    assert_eq!(
        (
            BUS1_MSG_FLAG_HAS_SECCTX,
            BUS1_MSG_FLAG_CONTINUE,
            BUS1_MSG_ANON_FLAG_CONTINUE
        ),
        (1, 2, 1)
    );
    assert_eq!(
        (
            BUS1_MSG_NONE,
            BUS1_MSG_DATA,
            BUS1_MSG_NODE_DESTROY,
            BUS1_MSG_NODE_RELEASE
        ),
        (0, 1, 2, 3)
    );
    assert_eq!(
        (BUS1_PEER_RESET_FLAG_FLUSH, BUS1_PEER_RESET_FLAG_FLUSH_SEED),
        (1, 2)
    );
    assert_eq!(
        (
            BUS1_PEER_FLAG_WANT_SECCTX,
            BUS1_NODES_DESTROY_FLAG_RELEASE_HANDLES
        ),
        (1, 1)
    );
}
