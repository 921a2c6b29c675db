// SPDX-License-Identifier: GPL-2.0

//! The device: from system calls on its files to the commands of a peer.
//!
//! Takes no locks of its own.

#![deny(unsafe_code)]

use super::{
    abi,
    command::{
        Command,
        Width, //
    },
    destroy,
    limits,
    peer::Client,
    pool,
    properties,
    recv,
    report,
    send,
    transfer, //
};
use crate::{
    core::{
        quota::Users,
        reclaim::Pools,
        sync::Arc, //
    },
    shim::{
        device::{
            FileOps,
            MiscRegistration,
            Table, //
        },
        wait::{
            PollMask,
            PollTable, //
        },
    },
};
use kernel::{
    fs::File,
    mm::virt::VmaNew,
    prelude::*,
    seq_file::SeqFile,
    sync::ArcBorrow, //
};

/// What all open files of the device share.
pub(super) struct Device {
    /// Who has opened it.
    pub(super) users: Arc<Users>,
    /// What they are sent lies here.
    pub(super) pools: Arc<Pools<pool::Pages>>,
}

impl Device {
    /// Makes the node `/dev/bus1`, there for everybody.
    pub(super) fn register(pools: Arc<Pools<pool::Pages>>) -> Result<MiscRegistration<Self>> {
        let device = Arc::new(
            Self {
                users: Users::new()?,
                pools,
            },
            GFP_KERNEL,
        )?;
        MiscRegistration::new(c"bus1", 0o666, device)
    }
}

impl FileOps for Device {
    type Device = Self;
    type Data = Client;

    fn table() -> &'static Table<Self> {
        static TABLE: Table<Device> = Table::misc();
        &TABLE
    }

    fn open(device: ArcBorrow<'_, Self>, file: &File) -> Result<Arc<Client>> {
        Client::new(&device, file)
    }

    fn ioctl(
        client: ArcBorrow<'_, Client>,
        _file: &File,
        number: u32,
        arg: usize,
        compat: bool,
    ) -> Result<isize> {
        let width = if compat { Width::Compat } else { Width::Native };
        run(&client, number, arg, width).map(|()| 0)
    }

    fn mmap(client: ArcBorrow<'_, Client>, area: &VmaNew) -> Result {
        client.check()?;
        pool::map(client.pool()?, area)
    }

    fn poll(client: ArcBorrow<'_, Client>, table: &PollTable<'_>) -> PollMask {
        client.poll(table)
    }

    fn fdinfo(client: ArcBorrow<'_, Client>, out: &SeqFile) {
        report::print(&client, out);
    }

    fn release(client: Arc<Client>) {
        // Fails only if the peer has been disconnected before.
        let _ = client.disconnect();
    }
}

/// Runs one command.
fn run(client: &Client, number: u32, arg: usize, width: Width) -> Result {
    if number == abi::CMD_PEER_DISCONNECT {
        return match arg {
            0 => client.disconnect(),
            _ => Err(EINVAL),
        };
    }
    client.check()?;
    match Command::decode(number, arg, width, limits::handles_max())? {
        Command::Query(out) => properties::query(client, out),
        Command::Reset(request) => properties::reset(client, &request),
        Command::HandleRelease(id) => client.release_handle(id),
        Command::HandleTransfer(request) => transfer::transfer(client, request),
        Command::NodesDestroy(request) => destroy::destroy(client, &request),
        Command::SliceRelease(offset) => client.release_slice(offset),
        Command::Send(request) => send::send(client, &request),
        Command::Recv(request) => recv::recv(client, request),
    }
}
