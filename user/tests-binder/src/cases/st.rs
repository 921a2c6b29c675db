// SPDX-License-Identifier: MIT OR Apache-2.0

//! Many processes at once: nothing may get lost, mixed up or stuck.
//!
//! Only counts that don't depend on chance are recorded.

use super::{case, Case};
use crate::actor::{Proc, Thread};
use crate::request::Request;
use crate::stress;
use crate::wire::{bc, Tx};
use crate::world::{check, same, Cx, Res, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(80 st_many_clients),
    case!(80 st_restless_clients),
    case!(80 st_clients_are_killed),
    case!(80 st_server_is_killed),
    case!(80 st_watchers_and_deaths),
];

const ROUNDS: u64 = 120;

/// A manager with threads that serve by themselves, and its main thread, which
/// the case keeps.
fn server(cx: &Cx, threads: usize) -> Res<(Proc, Vec<Thread>)> {
    let m = cx.manager("M")?;
    let mut pool = Vec::new();
    for number in 0..threads {
        let thread = m.thread(&format!("M{number}"))?;
        thread.begin(stress::server, &[m.fd as u64]);
        pool.push(thread);
    }
    Ok((m, pool))
}

/// Client processes with two threads each, talking.
fn clients(cx: &Cx, count: usize, restless: bool) -> Res<Vec<(Proc, [Thread; 2])>> {
    let mut all = Vec::new();
    for _ in 0..count {
        let proc = cx.proc("C")?;
        let threads = [proc.thread("C1")?, proc.thread("C2")?];
        for thread in &threads {
            thread.begin(
                stress::client,
                &[proc.fd as u64, ROUNDS, u64::from(restless)],
            );
        }
        all.push((proc, threads));
    }
    Ok(all)
}

/// Stops the pool, checks that every call was served, and that all the space
/// of the manager is free again.
fn finish(cx: &Cx, m: &Proc, pool: &[Thread]) -> Res<i64> {
    let a = cx.proc("A")?;
    let mut served = 0;
    for _ in pool {
        a.write_read(&bc().call(Tx::to(0).code(stress::STOP).one_way()))?
            .expect("NOOP COMPLETE")?;
    }
    for thread in pool {
        let result = thread.end_of_work("server")?;
        check(&format!("the server is content ({result})"), result >= 0)?;
        served += result;
    }
    a.write(&bc().call(Tx::to(0).zeros(MAPPING as usize)))?;
    same("size", m.accept()?.data_size, MAPPING)?;
    Ok(served)
}

fn all_answered(cx: &Cx, restless: bool) -> Res {
    cx.quiet(true);
    let (m, pool) = server(cx, 3)?;
    let clients = clients(cx, 3, restless)?;
    for thread in clients.iter().flat_map(|(_, threads)| threads) {
        same("rounds", thread.end_of_work("client")?, ROUNDS as i64)?;
    }
    let served = finish(cx, &m, &pool)?;
    cx.quiet(false);
    cx.note(format!("{served} calls served"));
    // One round of four is a one-way.
    same("calls", served as u64, 6 * ROUNDS * 3 / 4)
}

fn st_many_clients(cx: &Cx) -> Res {
    all_answered(cx, false)
}

fn st_restless_clients(cx: &Cx) -> Res {
    all_answered(cx, true)
}

fn st_clients_are_killed(cx: &Cx) -> Res {
    cx.quiet(true);
    let (m, pool) = server(cx, 3)?;
    let clients = clients(cx, 5, false)?;
    let (victims, rest) = clients.split_at(3);
    for (proc, _) in victims {
        proc.kill()?;
    }
    for thread in rest.iter().flat_map(|(_, threads)| threads) {
        same("rounds", thread.end_of_work("client")?, ROUNDS as i64)?;
    }
    // The dead are gone for good when somebody who held on to them hears it;
    // the last of their buffers are free when their calls are answered.
    let served = finish(cx, &m, &pool)?;
    cx.quiet(false);
    check(
        "at least the others were served",
        served as u64 >= 4 * ROUNDS * 3 / 4,
    )?;
    cx.note("the others were served");
    Ok(())
}

fn st_server_is_killed(cx: &Cx) -> Res {
    cx.quiet(true);
    let (m, _pool) = server(cx, 2)?;
    let clients = clients(cx, 3, false)?;
    m.kill()?;
    for thread in clients.iter().flat_map(|(_, threads)| threads) {
        let result = thread.end_of_work("client")?;
        check(&format!("the client heard of it ({result})"), result >= 0)?;
    }
    cx.quiet(false);
    cx.note("all clients ended");
    Ok(())
}

fn st_watchers_and_deaths(cx: &Cx) -> Res {
    cx.quiet(true);
    let watchers = [cx.proc("W1")?, cx.proc("W2")?, cx.proc("W3")?];
    let mut told = 0;
    for round in 0..12u64 {
        let m = cx.manager("M")?;
        for watcher in &watchers {
            watcher.write(&bc().acquire(0).request_death(0, round + 1))?;
        }
        // One of them changes its mind while the manager dies.
        let fickle = &watchers[round as usize % 3];
        let change = Request::new(&bc().clear_death(0, round + 1), 0);
        let changing = fickle.start(&change);
        m.kill()?;
        changing.finish()?.expect("")?;
        for watcher in &watchers {
            let done = watcher.read()?;
            match done.short().as_str() {
                text if text.starts_with("NOOP CLEAR_DEATH_DONE") => {}
                text if text.starts_with("NOOP DEAD_BINDER") => {
                    watcher.write(&bc().dead_done(round + 1))?;
                    told += 1;
                    if std::ptr::eq(watcher, fickle) {
                        told -= 1;
                        watcher
                            .read()?
                            .expect(&format!("NOOP CLEAR_DEATH_DONE({:x})", round + 1))?;
                    }
                }
                text => check(&format!("a notice ({text})"), false)?,
            }
            watcher.write(&bc().release(0))?;
        }
    }
    cx.quiet(false);
    cx.note(format!("{told} deaths told"));
    same("deaths", told, 24)
}
