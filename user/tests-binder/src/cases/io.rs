// SPDX-License-Identifier: MIT OR Apache-2.0

//! ioctls and the two halves of `BINDER_WRITE_READ`.

use super::{case, Case};
use crate::abi::{self, br, nr, WriteRead, PROTOCOL_VERSION};
use crate::actor::Thread;
use crate::ops;
use crate::request::{Request, READ};
use crate::shm;
use crate::wire::{bc, Obj, Tx};
use crate::world::{check, same, Cx, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(1 io_version_and_unknown_numbers),
    case!(1 io_read_and_write_calls),
    case!(2 io_first_read_returns_at_once),
    case!(3 io_nonblocking_read),
    case!(4 io_empty_request),
    case!(4 io_read_appends),
    case!(5 io_small_read_buffers),
    case!(5 io_read_size_below_4),
    case!(6 io_unknown_command_stops),
    case!(6 io_commands_without_implementation),
    case!(7 io_error_stops_the_write_loop),
    case!(8 io_unread_error_blocks_writes),
    case!(9 io_command_memory_faults),
    case!(9 io_command_beyond_write_size),
    case!(10 io_signal_interrupts_read),
    case!(11 io_bad_pointers),
    case!(13 io_forked_child_uses_the_file),
    case!(14 io_exec_ends_the_mapping),
];

const EFAULT: i64 = -(libc::EFAULT as i64);
const EINVAL: i64 = -(libc::EINVAL as i64);

/// An address that no process has.
const NOWHERE: u64 = 8;

fn io_version_and_unknown_numbers(cx: &Cx) -> Res {
    let a = cx.opened("A")?;
    let (result, version) = a.ioctl_with("VERSION", nr::VERSION, &0i32)?;
    same("VERSION", (result, version), (0, PROTOCOL_VERSION))?;
    let at = shm::alloc(512);
    let numbers = [
        ("WRITE_READ_V7", nr::WRITE_READ_V7),
        ("SET_IDLE_TIMEOUT", nr::SET_IDLE_TIMEOUT),
        ("SET_IDLE_PRIORITY", nr::SET_IDLE_PRIORITY),
        ("random", 0xc01c_62a7),
        ("CTL_ADD", nr::CTL_ADD),
        ("VERSION_wrong_size", 0xc008_6209),
        ("MAX_THREADS_wrong_direction", 0x8004_6205),
        ("zero", 0),
    ];
    for (name, number) in numbers {
        same(name, a.ioctl(name, number, at)?, EINVAL)?;
    }
    Ok(())
}

fn io_read_and_write_calls(cx: &Cx) -> Res {
    let a = cx.opened("A")?;
    let result = a.step("read(2)", ops::read_byte, &[a.fd as u64])?;
    same("read", result, EINVAL)
}

fn io_first_read_returns_at_once(cx: &Cx) -> Res {
    let a = cx.mapped("A", MAPPING)?;
    let first = a.read()?.expect("NOOP")?;
    same("consumed", first.read_consumed, 4)?;
    a.block(&bc())?;
    Ok(())
}

fn io_nonblocking_read(cx: &Cx) -> Res {
    let a = cx.proc("A")?;
    a.set_nonblock(true)?;
    let done = a.read()?.fails(libc::EAGAIN)?;
    same("consumed", done.read_consumed, 0)?;
    same(
        "the word in the buffer",
        &done.buffer[..4],
        &br::NOOP.to_ne_bytes(),
    )?;
    a.set_nonblock(false)?;
    a.block(&bc())?;
    Ok(())
}

fn io_empty_request(cx: &Cx) -> Res {
    let a = cx.opened("A")?;
    let done = a.request(&Request::new(&bc(), 0))?;
    same("result", done.result, 0)?;
    // The thread is known now, and its first read blocks.
    a.block(&bc())?;
    Ok(())
}

fn io_read_appends(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let a = cx.proc("A")?;
    a.write(&bc().call(Tx::to(0).code(5)))?;
    let request = Request {
        read_consumed: 4,
        ..Request::new(&bc(), READ)
    };
    let done = m.request(&request)?.expect("TRANSACTION")?;
    same("consumed", done.read_consumed, 72)?;
    same("the first word", &done.buffer[..4], &[0; 4])
}

fn io_small_read_buffers(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let a = cx.proc("A")?;
    let waiting = m.start(&Request::new(&bc(), 79)).blocks()?;
    a.write(&bc().call(Tx::to(0).code(5)))?;
    waiting.finish()?.expect("NOOP")?;
    for size in [4, 79] {
        m.request(&Request::new(&bc(), size))?.expect("NOOP")?;
    }
    m.request(&Request::new(&bc(), 80))?
        .expect("NOOP TRANSACTION")?;
    Ok(())
}

fn io_read_size_below_4(cx: &Cx) -> Res {
    let a = cx.proc("A")?;
    // With an error to read, no driver has a reason to wait.
    a.write(&bc().call(Tx::to(99)))?;
    let done = a.request(&Request::new(&bc(), 3))?.fails(libc::EFAULT)?;
    same("bytes beyond the buffer", &done.buffer[3..], &[0; 16])
}

fn io_unknown_command_stops(cx: &Cx) -> Res {
    let _m = cx.manager("M")?;
    let a = cx.proc("A")?;
    let commands = bc().enter().unknown().acquire(0);
    let done = a.write_read(&commands)?.fails(libc::EINVAL)?;
    same(
        "consumed",
        (done.write_consumed, done.read_consumed),
        (4, 0),
    )?;
    // No handle came to be: a strong handle object to it is refused.
    a.write_read(&bc().call(Tx::to(0).object(Obj::handle(0))))?
        .expect("NOOP FAILED_REPLY")?;
    Ok(())
}

fn io_commands_without_implementation(cx: &Cx) -> Res {
    let a = cx.proc("A")?;
    let commands = [
        bc().word(abi::bc::ACQUIRE_RESULT).word(0),
        bc().word(abi::bc::ATTEMPT_ACQUIRE).word(0).word(0),
        bc().word(0),
        bc().word(u32::MAX),
    ];
    for command in &commands {
        let done = a
            .write_read(&bc().enter().also(command))?
            .fails(libc::EINVAL)?;
        same("consumed", done.write_consumed, 4)?;
    }
    Ok(())
}

fn io_error_stops_the_write_loop(cx: &Cx) -> Res {
    let _m = cx.manager("M")?;
    let a = cx.proc("A")?;
    let commands = bc().call(Tx::to(77)).increfs(0);
    let done = a.write_read(&commands)?.expect("NOOP FAILED_REPLY")?;
    same("consumed", done.write_consumed, 68)?;
    a.has_error(br::FAILED_REPLY, EINVAL as i32)?;
    let rest = Request {
        write_consumed: 68,
        ..Request::new(&commands, 0)
    };
    let done = a.request(&rest)?.expect("")?;
    same("consumed", done.write_consumed, 76)
}

fn io_unread_error_blocks_writes(cx: &Cx) -> Res {
    let _m = cx.manager("M")?;
    let a = cx.proc("A")?;
    a.write(&bc().call(Tx::to(77)))?;
    let increfs = Request::new(&bc().increfs(0), 0);
    same(
        "consumed before",
        a.request(&increfs)?.expect("")?.write_consumed,
        0,
    )?;
    a.read()?.expect("NOOP FAILED_REPLY")?;
    same(
        "consumed after",
        a.request(&increfs)?.expect("")?.write_consumed,
        8,
    )
}

/// Commands that end just before a page that can't be read.
fn at_the_edge(a: &Thread, bytes: &[u8]) -> Res<u64> {
    let page = 4096;
    let area = shm::alloc(3 * page);
    let forbidden = area.next_multiple_of(page as u64) + page as u64;
    let begin = forbidden - bytes.len() as u64;
    let there = shm::put(bytes);
    a.run(ops::copy, &[there, begin, bytes.len() as u64])?;
    same(
        "mprotect",
        a.run(ops::forbid, &[forbidden, page as u64])?,
        0,
    )?;
    Ok(begin)
}

fn io_command_memory_faults(cx: &Cx) -> Res {
    let _m = cx.manager("M")?;
    let a = cx.proc("A")?;
    for cut in [10, 12, 14] {
        // Complete are the first command (4 bytes) and the second (8 bytes).
        let commands = bc().enter().increfs(0).increfs(0);
        let at = at_the_edge(&a, &commands.bytes()[..cut])?;
        let request = Request {
            commands_at: Some(at),
            ..Request::new(&commands, READ)
        };
        let done = a.request(&request)?.fails(libc::EFAULT)?;
        let complete = if cut < 12 { 4 } else { 12 };
        same(
            "consumed",
            (done.write_consumed, done.read_consumed),
            (complete, 0),
        )?;
    }
    Ok(())
}

fn io_command_beyond_write_size(cx: &Cx) -> Res {
    let _m = cx.manager("M")?;
    let a = cx.proc("A")?;
    // The rest of the command does lie in memory, but beyond write_size.
    let commands = bc().increfs(0).increfs(0);
    let request = Request {
        write_size: Some(12),
        ..Request::new(&commands, 0)
    };
    let done = a.request(&request)?.fails(libc::EFAULT)?;
    same("consumed", done.write_consumed, 8)
}

fn io_signal_interrupts_read(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let a = cx.proc("A")?;
    for signal in [libc::SIGUSR1, libc::SIGUSR2] {
        // The one-way must not be sent again when the call is repeated.
        let commands = bc().call(Tx::to(0).one_way());
        let done = a.write_read(&commands)?.expect("NOOP COMPLETE")?;
        same("consumed", done.write_consumed, 68)?;
        let commands = bc().acquire(0);
        let waiting = a.block(&commands)?;
        a.signal(signal)?;
        let done = waiting.finish()?.fails(libc::EINTR)?;
        same(
            "consumed",
            (done.write_consumed, done.read_consumed),
            (8, 0),
        )?;
        let again = Request {
            write_consumed: 8,
            ..Request::new(&commands, READ)
        };
        let waiting = a.start(&again).blocks()?;
        a.signal(signal)?;
        waiting.finish()?.fails(libc::EINTR)?;
        let got = m.read()?.expect("NOOP TRANSACTION")?.message()?;
        m.write(&bc().free(got.buffer))?;
    }
    // Two ACQUIREs were run: two RELEASEs undo them, a strong handle is gone.
    a.write(&bc().release(0).release(0))?;
    a.write_read(&bc().call(Tx::to(0).object(Obj::handle(0))))?
        .expect("NOOP FAILED_REPLY")?;
    Ok(())
}

fn io_bad_pointers(cx: &Cx) -> Res {
    let a = cx.proc("A")?;
    let numbers = [
        ("SET_MAX_THREADS", nr::SET_MAX_THREADS, EINVAL),
        ("SET_CONTEXT_MGR_EXT", nr::SET_CONTEXT_MGR_EXT, EINVAL),
        ("VERSION", nr::VERSION, EINVAL),
        ("GET_NODE_DEBUG_INFO", nr::GET_NODE_DEBUG_INFO, EFAULT),
        ("GET_NODE_INFO_FOR_REF", nr::GET_NODE_INFO_FOR_REF, EFAULT),
        ("GET_EXTENDED_ERROR", nr::GET_EXTENDED_ERROR, EFAULT),
        ("WRITE_READ", nr::WRITE_READ, EFAULT),
    ];
    for (name, number, want) in numbers {
        same(name, a.ioctl(name, number, NOWHERE)?, want)?;
    }
    // A read buffer that can't be written.
    a.write(&bc().call(Tx::to(99)))?;
    let wr = WriteRead {
        read_size: READ as u64,
        read_buffer: NOWHERE,
        ..Default::default()
    };
    let wr = shm::store(&wr);
    same(
        "read buffer",
        a.ioctl("WRITE_READ_bad_read_buffer", nr::WRITE_READ, wr)?,
        EFAULT,
    )
}

fn io_forked_child_uses_the_file(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let a = cx.proc("A")?;
    // A buffer for the child to free.
    a.write(&bc().call(Tx::to(0)))?;
    m.read()?.expect("NOOP TRANSACTION")?;
    m.write_read(&bc().reply(Tx::answer().data(b"four")))?
        .expect("NOOP COMPLETE")?;
    let reply = a.read()?.expect("NOOP COMPLETE REPLY")?.message()?;

    let child = a.fork("child")?;
    let (result, version) = child.ioctl_with("VERSION", nr::VERSION, &0i32)?;
    same("VERSION", (result, version), (0, PROTOCOL_VERSION))?;
    child
        .write_read(&bc().call(Tx::to(0).one_way()))?
        .expect("NOOP COMPLETE")?;
    child.write(&bc().free(reply.buffer))?;
    same(
        "mmap",
        child.step("mmap", ops::mmap, &[child.fd as u64, MAPPING, 0])?,
        EINVAL,
    )?;
    m.read()?.expect("NOOP TRANSACTION")?;
    Ok(())
}

fn io_exec_ends_the_mapping(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    // The device's own descriptor is closed by exec, this one is not.
    check("dup", m.run(ops::dup, &[m.fd as u64])? > 0)?;
    m.begin(ops::exec_sleep, &[]);
    // The new name comes before the old address space goes: wait until it sleeps.
    let stat = format!("/proc/{}/stat", m.pid);
    while !std::fs::read_to_string(&stat)?.contains("(sleep) S") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    a.write_read(&bc().call(Tx::to(0)))?
        .expect("NOOP DEAD_REPLY")?;
    a.has_error(br::DEAD_REPLY, -libc::ESRCH)?;
    // It is still the manager, until its file is gone.
    same("EBUSY", a.become_manager(MANAGER)?, -i64::from(libc::EBUSY))?;
    a.write(&bc().acquire(0).request_death(0, 1))?;
    m.kill()?;
    a.read()?.expect("NOOP DEAD_BINDER(1)")?;
    Ok(())
}
