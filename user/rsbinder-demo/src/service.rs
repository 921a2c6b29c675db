// SPDX-License-Identifier: MIT OR Apache-2.0
//! The service: `IEcho`, registered with `rsb_hub`.

use std::error::Error;
use std::io::Write;

use rsbinder::{
    hub, BinderResult, Interface, ParcelFileDescriptor, ProcessState, SIBinder, StatusCode, Strong,
};

use crate::aidl::bus1::rsdemo::ICallback::ICallback;
use crate::aidl::bus1::rsdemo::IEcho::{BnEcho, IEcho};

struct Echo;

impl Interface for Echo {}

impl IEcho for Echo {
    fn echo(&self, text: &str) -> BinderResult<String> {
        Ok(text.to_owned())
    }

    fn reverse(&self, data: &[u8]) -> BinderResult<Vec<u8>> {
        Ok(data.iter().rev().copied().collect())
    }

    fn callBack(&self, callback: &Strong<dyn ICallback>, value: i32) -> BinderResult<i32> {
        callback.twice(value)
    }

    fn burst(&self, callback: &Strong<dyn ICallback>, count: i32) -> BinderResult<()> {
        for number in 0..count {
            callback.tick(number)?;
        }
        Ok(())
    }

    fn same(&self, object: &SIBinder) -> BinderResult<SIBinder> {
        Ok(object.clone())
    }

    fn pipe(&self, text: &str) -> BinderResult<ParcelFileDescriptor> {
        let (reader, mut writer) = std::io::pipe().map_err(|_| StatusCode::NoMemory)?;
        writer
            .write_all(text.as_bytes())
            .map_err(|_| StatusCode::NoMemory)?;
        Ok(ParcelFileDescriptor::new(reader))
    }

    fn callerPid(&self) -> BinderResult<i32> {
        Ok(rsbinder::thread_state::get_calling_pid() as i32)
    }

    fn callerUid(&self) -> BinderResult<i32> {
        Ok(rsbinder::thread_state::get_calling_uid() as i32)
    }

    fn pid(&self) -> BinderResult<i32> {
        Ok(std::process::id() as i32)
    }

    fn hang(&self) -> BinderResult<()> {
        loop {
            std::thread::park();
        }
    }
}

/// Registers the service and serves it; returns only on failure.
pub fn run(device: &str, name: &str) -> Result<(), Box<dyn Error>> {
    ProcessState::init(device, 4)?;
    ProcessState::start_thread_pool();
    hub::add_service(name, BnEcho::new_binder(Echo))?;
    ProcessState::join_thread_pool()?;
    Err("the thread pool ended".into())
}
