// SPDX-License-Identifier: MIT OR Apache-2.0

//! Bad input and bad moments: nothing may be lost, and nobody else disturbed.

use super::{case, Case};
use crate::abi::{br, nr, WriteRead};
use crate::ops;
use crate::request::{Request, READ};
use crate::shm;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{check, same, Cx, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(0 bad_consumed_beyond_size),
    case!(0 bad_buffers_of_the_request),
    case!(0 bad_commands_bytewise),
    case!(0 bad_forged_handles),
    case!(0 bad_forged_node_answers),
    case!(0 bad_read_only_result),
    case!(0 bad_data_page_missing_in_the_middle),
    case!(0 bad_client_killed_in_mid_call),
    case!(0 bad_clients_killed_in_a_row),
    case!(0 bad_server_killed_with_queue),
    case!(0 bad_close_while_others_read),
    case!(0 bad_close_races_with_calls),
    case!(0 bad_full_mapping),
    case!(0 bad_second_thread_after_exit),
];

const EFAULT: i64 = -(libc::EFAULT as i64);

fn bad_consumed_beyond_size(cx: &Cx) -> Res {
    let a = cx.proc("A")?;
    for consumed in [5, 4096, u64::from(u32::MAX)] {
        let request = Request {
            write_consumed: consumed,
            ..Request::new(&bc().enter(), 0)
        };
        let done = a.request(&request)?;
        same(
            "nothing to do",
            (done.result, done.write_consumed),
            (0, consumed),
        )?;
    }
    Ok(())
}

fn bad_buffers_of_the_request(cx: &Cx) -> Res {
    let a = cx.proc("A")?;
    for address in [0, 8, 1 << 47, u64::MAX - 4095] {
        let wr = WriteRead {
            write_size: 4,
            write_buffer: address,
            ..Default::default()
        };
        let at = shm::store(&wr);
        same(
            "write buffer",
            a.ioctl("WRITE_READ", nr::WRITE_READ, at)?,
            EFAULT,
        )?;
        let after: WriteRead = shm::load(at);
        same(
            "consumed",
            (after.write_consumed, after.read_consumed),
            (0, 0),
        )?;
        let wr = WriteRead {
            read_size: 256,
            read_buffer: address,
            ..Default::default()
        };
        let at = shm::store(&wr);
        same(
            "read buffer",
            a.ioctl("WRITE_READ", nr::WRITE_READ, at)?,
            EFAULT,
        )?;
    }
    Ok(())
}

fn bad_commands_bytewise(cx: &Cx) -> Res {
    let a = cx.proc("A")?;
    // All numbers of the command's type that no driver has, with all sizes
    // that matter.
    let mut refused = 0;
    cx.quiet(true);
    for number in 0x17..=0xff_u32 {
        for size in [0, 4, 64] {
            let word = 0x4000_6300 | size << 16 | number;
            let request = Request::new(&bc().word(word).also(&bc().enter()), READ);
            let done = a.request(&request)?.fails(libc::EINVAL)?;
            same("consumed", done.write_consumed, 0)?;
            refused += 1;
        }
    }
    cx.quiet(false);
    cx.note(format!("{refused} refused"));
    Ok(())
}

fn bad_forged_handles(cx: &Cx) -> Res {
    let (_m, a) = cx.pair()?;
    for handle in [1, 2, 1000, 0x8000_0000, u32::MAX] {
        for tx in [Tx::to(handle), Tx::to(handle).one_way()] {
            a.write_read(&bc().call(tx))?.expect("NOOP FAILED_REPLY")?;
            a.has_error(br::FAILED_REPLY, -libc::EINVAL)?;
        }
        for object in [Obj::handle(handle), Obj::weak_handle(handle)] {
            a.write_read(&bc().call(Tx::to(0).object(object)))?
                .expect("NOOP FAILED_REPLY")?;
            a.has_error(br::FAILED_REPLY, -libc::EINVAL)?;
        }
        a.write(&bc().request_death(handle, 1).clear_death(handle, 1))?;
    }
    a.idle()
}

fn bad_forged_node_answers(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let node = Node::new(0x20);
    // The manager's node belongs to another process.
    a.write(&bc().both_done(MANAGER).both_done(node))?;
    m.write(&bc().both_done(MANAGER))?;
    a.write(&bc().call(Tx::to(0).object(Obj::node(node))))?;
    m.accept()?;
    m.answer_with(Tx::answer())?;
    a.read()?
        .expect("NOOP INCREFS(20,21) ACQUIRE(20,21) COMPLETE REPLY")?;
    // The manager can't answer for the client's node.
    m.write(&bc().both_done(node))?;
    a.idle()
}

fn bad_read_only_result(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    // The request structure can't be written back.
    let page = shm::alloc(2 * 4096).next_multiple_of(4096);
    let commands = bc().call(Tx::to(0).one_way());
    let wr = WriteRead {
        write_size: commands.bytes().len() as u64,
        write_buffer: shm::put(commands.bytes()),
        ..Default::default()
    };
    let from = shm::store(&wr);
    a.run(ops::copy, &[from, page, size_of::<WriteRead>() as u64])?;
    same("mprotect", a.run(ops::read_only, &[page, 4096])?, 0)?;
    same(
        "result",
        a.ioctl("WRITE_READ", nr::WRITE_READ, page)?,
        EFAULT,
    )?;
    // The command was run all the same.
    m.accept()?;
    a.read()?.expect("NOOP COMPLETE")?;
    Ok(())
}

fn bad_data_page_missing_in_the_middle(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let begin = shm::alloc(5 * 4096).next_multiple_of(4096);
    same("mprotect", a.run(ops::forbid, &[begin + 8192, 4096])?, 0)?;
    for one_way in [false, true] {
        let tx = Tx::to(0).data_at(begin).data_len(4 * 4096);
        let tx = if one_way { tx.one_way() } else { tx };
        a.write_read(&bc().call(tx))?.expect("NOOP FAILED_REPLY")?;
        a.has_error(br::FAILED_REPLY, -libc::EFAULT)?;
    }
    m.idle()?;
    a.write(&bc().call(Tx::to(0).zeros(MAPPING as usize)))?;
    m.accept()?;
    Ok(())
}

fn bad_client_killed_in_mid_call(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let _waiting = a.block(&bc().call(Tx::to(0).data(b"last words")))?;
    let call = m.accept()?;
    a.kill()?;
    same("data", m.payload(&call)?, b"last words".to_vec())?;
    m.write(&bc().free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    m.idle()
}

fn bad_clients_killed_in_a_row(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let other = cx.proc("B")?;
    cx.quiet(true);
    for round in 0..20u64 {
        let a = cx.proc("A")?;
        let node = Obj::node(Node::new(0x100 + round * 16));
        let waiting = a.block(&bc().call(Tx::to(0).object(node).zeros(1000)))?;
        let call = m.accept()?;
        drop(waiting);
        if round % 2 == 0 {
            a.kill()?;
        }
        m.write(&bc().acquire(1).request_death(1, 9).free(call.buffer))?;
        m.answer_with(Tx::answer())?;
        a.kill()?;
        m.read()?.expect("NOOP DEAD_BINDER(9)")?;
        m.write(&bc().dead_done(9).release(1))?;
    }
    cx.quiet(false);
    cx.note("20 clients");
    other.write(&bc().call(Tx::to(0).zeros(MAPPING as usize)))?;
    m.accept()?;
    Ok(())
}

fn bad_server_killed_with_queue(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let clients = [a.thread("A1")?, a.thread("A2")?, a.thread("A3")?];
    for code in 0..5 {
        let tx = Tx::to(0)
            .code(code)
            .one_way()
            .object(Obj::node(Node::new(0x100)));
        a.write_read(&bc().call(tx))?;
    }
    let mut waiting = Vec::new();
    for client in &clients {
        waiting.push(client.block(&bc().call(Tx::to(0)))?);
    }
    m.accept()?;
    m.kill()?;
    for read in waiting {
        read.finish()?.expect("NOOP COMPLETE DEAD_REPLY")?;
    }
    // The process goes on with its node: nobody holds it.
    let rest = a.write_read(&bc().call(Tx::to(0)))?;
    check("no manager", rest.short().contains("DEAD_REPLY"))
}

fn bad_close_while_others_read(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let m2 = m.thread("M2")?;
    let waiting = m2.block(&bc())?;
    same("close", m.step("close", ops::close, &[m.fd as u64])?, 0)?;
    // The reader keeps the file alive until it comes back, and it does.
    waiting.finish()?.expect("NOOP")?;
    let late = m.request(&Request::new(&bc(), READ))?;
    same("late", late.result, -i64::from(libc::EBADF))?;
    // The mapping keeps it too.
    a.write(&bc().acquire(0).request_death(0, 1))?;
    m.unmap()?;
    a.read()?.expect("NOOP DEAD_BINDER(1)")?;
    Ok(())
}

fn bad_close_races_with_calls(cx: &Cx) -> Res {
    let watcher = cx.proc("W")?;
    cx.quiet(true);
    for _ in 0..10 {
        let m = cx.manager("M")?;
        let a = cx.proc("A")?;
        watcher.write(&bc().acquire(0).request_death(0, 1))?;
        // The call and the kill meet at any moment.
        let waiting = a.start(&Request::new(&bc().call(Tx::to(0).zeros(60000)), READ));
        m.kill()?;
        let end = waiting.finish()?;
        let short = end.short();
        let fine = ["NOOP COMPLETE DEAD_REPLY", "NOOP DEAD_REPLY"].contains(&short.as_str());
        check(&format!("the caller hears of it ({short})"), fine)?;
        watcher.read()?.expect("NOOP DEAD_BINDER(1)")?;
        watcher.write(&bc().dead_done(1).release(0))?;
    }
    cx.quiet(false);
    cx.note("10 managers");
    Ok(())
}

fn bad_full_mapping(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let (a2, m2) = (a.thread("A2")?, m.thread("M2")?);
    a.write(&bc().call(Tx::to(0).zeros(MAPPING as usize)))?;
    let call = m.accept()?;
    for tx in [Tx::to(0), Tx::to(0).one_way(), Tx::to(0).zeros(8)] {
        a2.write_read(&bc().call(tx))?.expect("NOOP FAILED_REPLY")?;
        a2.has_error(br::FAILED_REPLY, -libc::ENOSPC)?;
    }
    m.write(&bc().free(call.buffer))?;
    a2.write(&bc().call(Tx::to(0)))?;
    m2.accept()?;
    m2.answer_with(Tx::answer())?;
    a2.ending()?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    Ok(())
}

fn bad_second_thread_after_exit(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    // A call is queued for a thread that goes away before it reads.
    let m2 = m.thread("M2")?;
    let waiting = m2.block(&bc())?;
    m2.signal(libc::SIGUSR1)?;
    waiting.finish()?.fails(libc::EINTR)?;
    m2.thread_exit()?;
    a.write(&bc().call(Tx::to(0)))?;
    m.accept()?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    m.thread_exit()?;
    m.thread_exit()
}
