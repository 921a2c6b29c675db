// SPDX-License-Identifier: GPL-2.0

//! ioctls: each decoded into a typed value, then carried out.
//!
//! A number that is not there answers EINVAL, as a driver of any age does. Most faults of pointers
//! are EFAULT; three old ioctls say EINVAL instead.

#![deny(unsafe_code)]

use super::{
    abi,
    buffer,
    command::{
        Command,
        Stream, //
    },
    context::Manager,
    death,
    dispatch,
    error::Extended,
    freeze,
    listen,
    nodes,
    nodes::{
        CookieRule,
        NodePart, //
    },
    read,
    references,
    reply::ReadBuffer,
    thread::{
        Caller,
        Thread, //
    },
    transact,
    BinderPeer, //
};
use crate::{
    core::{
        node::Node,
        personality::Via,
        sync::Relaxed, //
    },
    shim::{
        cred::Uid,
        security, //
    },
};
use kernel::{
    prelude::*,
    sync::Arc,
    transmute::{
        AsBytes,
        FromBytes, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// Runs the ioctl `cmd` of the calling thread. `block` says whether reads may wait.
pub(super) fn run(peer: &Arc<BinderPeer>, cmd: u32, arg: usize, block: bool) -> Result {
    let thread = Thread::current(peer)?;
    let result = thread.with_own(|own| {
        let mut caller = Caller {
            peer,
            thread: &thread,
            own,
        };
        act(&mut caller, cmd, UserPtr::from_addr(arg), block)
    });
    if cmd == abi::BINDER_THREAD_EXIT {
        Thread::exit(peer);
        return result;
    }
    peer.anchor().with(|view| {
        if let Some(looper) = view.queue(thread.queue) {
            looper.end_ioctl();
        }
    });
    result
}

fn act(caller: &mut Caller<'_>, cmd: u32, arg: UserPtr, block: bool) -> Result {
    match cmd {
        abi::BINDER_WRITE_READ => write_read(caller, arg, block),
        abi::BINDER_SET_MAX_THREADS => {
            let max: u32 = get(arg).map_err(|_| EINVAL)?;
            caller
                .peer
                .anchor()
                .with(|view| view.part().set_max_threads(max));
            Ok(())
        }
        abi::BINDER_SET_CONTEXT_MGR => become_manager(caller.peer, 0, 0, 0),
        abi::BINDER_SET_CONTEXT_MGR_EXT => {
            let object: abi::flat_binder_object = get(arg).map_err(|_| EINVAL)?;
            become_manager(caller.peer, object.binder(), object.cookie, object.flags)
        }
        // The rest is done when nobody uses the record any more.
        abi::BINDER_THREAD_EXIT => Ok(()),
        abi::BINDER_VERSION => {
            let version = abi::binder_version {
                protocol_version: PROTOCOL_VERSION,
            };
            put(arg, &version).map_err(|_| EINVAL)
        }
        abi::BINDER_GET_NODE_INFO_FOR_REF => node_info_for_ref(caller.peer, arg),
        abi::BINDER_GET_NODE_DEBUG_INFO => node_debug_info(caller.peer, arg),
        abi::BINDER_FREEZE => freeze::set(caller.peer.part().context.procs(), &get(arg)?),
        abi::BINDER_GET_FROZEN_INFO => {
            let asked: abi::binder_frozen_status_info = get(arg)?;
            let procs = caller.peer.part().context.procs();
            put(arg, &freeze::info(procs, asked.pid)?)
        }
        abi::BINDER_ENABLE_ONEWAY_SPAM_DETECTION => {
            let enable: u32 = get(arg)?;
            let detection = &caller.peer.part().spam_detection;
            detection.store(enable != 0, Relaxed);
            Ok(())
        }
        abi::BINDER_GET_EXTENDED_ERROR => {
            let extended = caller
                .with_looper(|looper| ::core::mem::replace(&mut looper.extended, Extended::NONE));
            put(arg, &extended.unwrap_or(Extended::NONE).encode())
        }
        _ => Err(EINVAL),
    }
}

/// Version of the protocol.
const PROTOCOL_VERSION: i32 = 8;
const _: () = assert!(abi::BINDER_CURRENT_PROTOCOL_VERSION == 8);

fn get<T: FromBytes>(arg: UserPtr) -> Result<T> {
    UserSlice::new(arg, size_of::<T>()).reader().read()
}

fn put<T: AsBytes>(arg: UserPtr, value: &T) -> Result {
    UserSlice::new(arg, size_of::<T>()).writer().write(value)
}

/// BINDER_WRITE_READ: the write half, then the read half; how far each came is told in any case.
fn write_read(caller: &mut Caller<'_>, arg: UserPtr, block: bool) -> Result {
    let mut bwr: abi::binder_write_read = get(arg)?;
    if bwr.write_size > 0 {
        if let Err(error) = write(caller, &mut bwr) {
            bwr.read_consumed = 0;
            put(arg, &bwr)?;
            return Err(error);
        }
    }
    let mut result = Ok(());
    if bwr.read_size > 0 {
        result = read_half(caller, &mut bwr, block);
        read::pass_on(caller);
    }
    put(arg, &bwr)?;
    result
}

fn read_half(caller: &mut Caller<'_>, bwr: &mut abi::binder_write_read, block: bool) -> Result {
    let mut buffer = ReadBuffer::new(bwr.read_buffer, bwr.read_size, bwr.read_consumed)?;
    read::read(caller, &mut buffer, block)?;
    bwr.read_consumed = buffer.consumed();
    Ok(())
}

/// The write half: command by command, until the end, an error, or a failure that is to be read.
fn write(caller: &mut Caller<'_>, bwr: &mut abi::binder_write_read) -> Result {
    let mut stream = Stream::new(bwr.write_buffer, bwr.write_size, bwr.write_consumed);
    let mut result = Ok(());
    while !caller.own.unread {
        result = match stream.next() {
            Ok(None) => break,
            Ok(Some(command)) => command_of(caller, &command),
            Err(error) => Err(error.into()),
        };
        if result.is_err() {
            break;
        }
        stream.complete();
    }
    bwr.write_consumed = stream.consumed();
    result
}

/// Carries out one command.
fn command_of(caller: &mut Caller<'_>, command: &Command) -> Result {
    match command {
        Command::Transaction(out) => {
            caller.prepare()?;
            transact::transact(caller, out);
        }
        Command::Reply(out) => {
            caller.prepare()?;
            transact::reply(caller, out);
        }
        Command::FreeBuffer(address) => {
            if buffer::free(caller.peer, *address) {
                // They are closed on the way back to the program.
                caller.with_looper(|looper| looper.set_need_return());
            }
        }
        Command::Ref(change, desc) => references::change(caller.peer, *change, *desc)?,
        Command::Done(strength, ptr, cookie) => {
            nodes::acknowledge(caller.peer, *strength, *ptr, *cookie);
        }
        Command::Looper(state) => caller
            .peer
            .anchor()
            .with(|view| dispatch::looper(view, caller.thread.queue, *state)),
        Command::RequestDeath(desc, cookie) => {
            caller.prepare()?;
            death::request(caller, *desc, *cookie);
        }
        Command::ClearDeath(desc, cookie) => death::clear(caller, *desc, *cookie),
        Command::DeadBinderDone(cookie) => death::done(caller, *cookie),
        Command::RequestFreeze(desc, cookie) => listen::request(caller.peer, *desc, *cookie)?,
        Command::ClearFreeze(desc, cookie) => listen::clear(caller.peer, *desc, *cookie)?,
        Command::FreezeDone(cookie) => listen::done(caller.peer, *cookie)?,
    }
    Ok(())
}

/// Makes the proc the manager of its context: EBUSY, the hook's error, EPERM, ENOMEM.
fn become_manager(peer: &Arc<BinderPeer>, ptr: u64, cookie: u64, flags: u32) -> Result {
    let process = peer.part();
    process.context.claim(Uid::current_effective(), || {
        security::set_context_mgr(&process.cred)
    })?;
    let part = NodePart { ptr, cookie, flags };
    let soft = nodes::get_or_make(peer, part, CookieRule::Ignored, Via::Any).map_err(|_| ENOMEM)?;
    let node = soft.node().clone();
    nodes::tell_everything(&node);
    let strong = Node::strong_to(&node, peer.anchor(), Via::Any).map_err(|_| ENOMEM)?;
    let manager = Manager {
        node,
        _holds: (strong, soft),
    };
    process.context.seat(manager).map_err(|_| EBUSY)
}

/// BINDER_GET_NODE_INFO_FOR_REF: the manager looks at the counts of a node.
fn node_info_for_ref(peer: &BinderPeer, arg: UserPtr) -> Result {
    let mut info: abi::binder_node_info_for_ref = get(arg)?;
    let reserved = [info.reserved1, info.reserved2, info.reserved3];
    if info.strong_count != 0 || info.weak_count != 0 || reserved != [0; 3] {
        return Err(EINVAL);
    }
    let manager = peer.part().context.manager();
    if !manager.is_some_and(|node| Arc::ptr_eq(node.owner(), peer.anchor())) {
        return Err(EPERM);
    }
    let counts = references::info(peer, info.handle).map_err(|_| EINVAL)?;
    info.strong_count = counts.strong;
    info.weak_count = counts.weak;
    put(arg, &info)
}

/// BINDER_GET_NODE_DEBUG_INFO: the next own node.
fn node_debug_info(peer: &BinderPeer, arg: UserPtr) -> Result {
    let from: abi::binder_node_debug_info = get(arg)?;
    let info = match nodes::after(peer, from.ptr) {
        Some(node) => abi::binder_node_debug_info {
            ptr: node.ptr,
            cookie: node.cookie,
            has_strong_ref: u32::from(node.strong),
            has_weak_ref: u32::from(node.weak),
        },
        None => abi::binder_node_debug_info::default(),
    };
    put(arg, &info)
}
