// SPDX-License-Identifier: MIT OR Apache-2.0

//! Threads of a process: pool, records, who gets a call.

use super::{case, Case};
use crate::abi::nr;
use crate::ops;
use crate::wire::{bc, Tx};
use crate::world::{same, Cx, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(15 th_spawn_looper),
    case!(15 th_no_spawn_while_a_thread_waits),
    case!(16 th_register_without_request),
    case!(17 th_exit_gives_a_new_record),
    case!(18 th_last_to_wait_is_first_chosen),
    case!(19 th_close_of_a_duplicate_wakes_all),
    case!(20 th_thread_outside_the_pool_gets_calls),
];

fn th_spawn_looper(cx: &Cx) -> Res {
    let (s, a) = cx.pair()?;
    same(
        "SET_MAX_THREADS",
        s.ioctl_with("SET_MAX_THREADS", nr::SET_MAX_THREADS, &2u32)?
            .0,
        0,
    )?;
    let serve = |first: &str| -> Res {
        a.write(&bc().call(Tx::to(0)))?;
        let call = s
            .read()?
            .expect(&format!("{first} TRANSACTION"))?
            .message()?;
        s.write(&bc().free(call.buffer).reply(Tx::answer()))?;
        s.read()?.expect("NOOP COMPLETE")?;
        let end = a.ending()?;
        a.write(&bc().free(end.buffer))
    };
    serve("SPAWN_LOOPER")?;
    // Asked once; nobody registered yet.
    serve("NOOP")?;
    let second = s.bare_thread("S2")?;
    second
        .write_read(&bc().register())?
        .expect("SPAWN_LOOPER")?;
    let third = s.bare_thread("S3")?;
    third.write_read(&bc().register())?.expect("NOOP")?;
    // Two were started, and that they end makes no difference.
    third.thread_exit()?;
    second.thread_exit()?;
    serve("NOOP")
}

fn th_no_spawn_while_a_thread_waits(cx: &Cx) -> Res {
    let s = cx.manager("S")?;
    let a = cx.proc("A")?;
    let second = s.thread("S2")?;
    let third = s.thread("S3")?;
    same(
        "SET_MAX_THREADS",
        s.ioctl_with("SET_MAX_THREADS", nr::SET_MAX_THREADS, &5u32)?
            .0,
        0,
    )?;
    let _waits = second.block(&bc())?;
    let gets = third.block(&bc())?;
    a.write(&bc().call(Tx::to(0)))?;
    gets.finish()?.expect("NOOP TRANSACTION")?;
    Ok(())
}

fn th_register_without_request(cx: &Cx) -> Res {
    let s = cx.mapped("S", MAPPING)?;
    let a = cx.proc("A")?;
    // Logged by the driver; the thread is served all the same.
    s.write_read(&bc().register())?.expect("NOOP")?;
    s.write(&bc().enter().exit())?;
    same("manager", s.become_manager(MANAGER)?, 0)?;
    a.write(&bc().call(Tx::to(0)))?;
    s.accept()?;
    Ok(())
}

fn th_exit_gives_a_new_record(cx: &Cx) -> Res {
    let a = cx.proc("A")?;
    a.idle()?;
    a.thread_exit()?;
    a.read()?.expect("NOOP")?;
    a.idle()
}

fn th_last_to_wait_is_first_chosen(cx: &Cx) -> Res {
    let (s, a) = cx.pair()?;
    let servers = [s.thread("S1")?, s.thread("S2")?, s.thread("S3")?];
    let mut waiting = Vec::new();
    for server in &servers {
        waiting.push(server.block(&bc())?);
    }
    let clients = [a.thread("A1")?, a.thread("A2")?, a.thread("A3")?];
    for (number, client) in clients.iter().enumerate() {
        client.write(&bc().call(Tx::to(0).code(number as u32 + 1)))?;
    }
    let mut codes = Vec::new();
    for read in waiting {
        codes.push(read.finish()?.expect("NOOP TRANSACTION")?.message()?.code);
    }
    same("codes", codes, vec![3, 2, 1])
}

fn th_close_of_a_duplicate_wakes_all(cx: &Cx) -> Res {
    let s = cx.proc("S")?;
    let threads = [s.thread("S1")?, s.thread("S2")?];
    let first = threads[0].block(&bc())?;
    let second = threads[1].block(&bc())?;
    let copy = s.run(ops::dup, &[s.fd as u64])?;
    same("close", s.step("close", ops::close, &[copy as u64])?, 0)?;
    first.finish()?.expect("NOOP")?;
    second.finish()?.expect("NOOP")?;
    Ok(())
}

fn th_thread_outside_the_pool_gets_calls(cx: &Cx) -> Res {
    let (s, a) = cx.pair()?;
    let outsider = s.bare_thread("outsider")?;
    outsider.read()?.expect("NOOP")?;
    a.write(&bc().call(Tx::to(0).code(3)))?;
    let call = outsider.accept()?;
    same("code", call.code, 3)?;
    outsider.answer_with(Tx::answer())?;
    a.ending()?;
    // The same when it waits already.
    let waiting = outsider.block(&bc())?;
    a.write(&bc().call(Tx::to(0).code(4)))?;
    same(
        "code",
        waiting
            .finish()?
            .expect("NOOP TRANSACTION")?
            .message()?
            .code,
        4,
    )
}
