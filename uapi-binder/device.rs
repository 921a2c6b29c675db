// SPDX-License-Identifier: GPL-2.0

//! Device files: what the kernel calls, handed to the rest of the folder.
//!
//! Takes no lock of its own.

#![deny(unsafe_code)]

use super::{
    buffer,
    context::{
        Context,
        Root, //
    },
    ioctl,
    process,
    read,
    thread::{
        Caller,
        Thread, //
    },
    BinderPeer, //
};
use crate::shim::{
    binderfs::DeviceFs,
    device::{
        FileOps,
        Table, //
    },
    pages::Pages,
    wait::{
        PollMask,
        PollTable, //
    },
};
use kernel::{
    fs::{
        file::flags,
        File, //
    },
    mm::virt::VmaNew,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
};

/// The devices of binderfs.
pub(super) struct Device;

impl FileOps for Device {
    type Device = Context;
    type Data = BinderPeer;

    fn table() -> &'static Table<Self> {
        static TABLE: Table<Device> = Table::binderfs();
        &TABLE
    }

    fn open(device: ArcBorrow<'_, Context>, file: &File) -> Result<Arc<BinderPeer>> {
        process::open(device.into(), file)
    }

    fn ioctl(
        data: ArcBorrow<'_, BinderPeer>,
        file: &File,
        cmd: u32,
        arg: usize,
        _compat: bool,
    ) -> Result<isize> {
        let block = file.flags() & flags::O_NONBLOCK == 0;
        ioctl::run(&data.into(), cmd, arg, block)?;
        Ok(0)
    }

    fn mmap(data: ArcBorrow<'_, BinderPeer>, area: &VmaNew) -> Result {
        buffer::map(&data.into(), area)
    }

    fn pinned(data: &BinderPeer) -> Option<&Pages> {
        buffer::pages(data)
    }

    fn poll(data: ArcBorrow<'_, BinderPeer>, table: &PollTable<'_>) -> PollMask {
        let peer: Arc<BinderPeer> = data.into();
        let Ok(thread) = Thread::current(&peer) else {
            return PollMask::ERR;
        };
        table.register(&thread.sleeper.queue);
        table.register(&peer.part().pollers);
        thread.with_own(|own| {
            read::poll(&Caller {
                peer: &peer,
                thread: &thread,
                own,
            })
        })
    }

    fn flush(data: ArcBorrow<'_, BinderPeer>) {
        process::flush(&data);
    }

    fn release(data: Arc<BinderPeer>) {
        process::close(&data);
    }
}

impl DeviceFs for Device {
    const FEATURES: &'static [&'static CStr] = &[
        c"extended_error",
        c"freeze_notification",
        c"oneway_spam_detection",
    ];

    type Root = Root;

    fn new_device(root: &Root, _name: &CStr) -> Result<Arc<Context>> {
        Context::new(root.clone())
    }
}
