// SPDX-License-Identifier: MIT OR Apache-2.0

//! Shapes of bugs that Binder drivers have had, as far as no other case has
//! them already. README.md says which bug each stands for.
//!
//! Most are races: what must hold is that nothing is lost, mixed up or stuck.

use super::{case, Case};
use crate::abi::{br, nr, obj, NodeDebugInfo};
use crate::actor::{Proc, Thread};
use crate::ops;
use crate::request::Request;
use crate::returns::Br;
use crate::shapes;
use crate::shm;
use crate::stress;
use crate::wire::{bc, Node, Obj, Tx};
use crate::world::{check, same, Cx, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(15 sh_max_threads_of_all_ones),
    case!(17 sh_tid_comes_back),
    case!(24 sh_handle_0_comes_and_goes),
    case!(34 sh_exit_beside_a_nested_call),
    case!(39 sh_unmapped_under_senders),
    case!(39 sh_another_mapping_in_its_place),
    case!(60 sh_rewritten_while_it_is_sent),
    case!(64 sh_two_senders_grow_the_table),
    case!(72 sh_node_churn_against_a_freezer),
    case!(75 sh_receiver_dies_under_pressure),
];

fn sh_max_threads_of_all_ones(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let (set, _) = m.ioctl_with("SET_MAX_THREADS", nr::SET_MAX_THREADS, &u32::MAX)?;
    same("SET_MAX_THREADS", set, 0)?;
    a.write(&bc().call(Tx::to(0)))?;
    m.read()?.expect("SPAWN_LOOPER TRANSACTION")?;
    let second = m.bare_thread("M2")?;
    second
        .write_read(&bc().register())?
        .expect("SPAWN_LOOPER")?;
    let third = m.bare_thread("M3")?;
    third.write_read(&bc().register())?.expect("SPAWN_LOOPER")?;
    Ok(())
}

fn sh_tid_comes_back(cx: &Cx) -> Res {
    let (_m, a) = cx.pair()?;
    let first = a.fork("first")?;
    first.greet()?;
    // A failure that nobody reads before the task is gone.
    first.write(&bc().call(Tx::to(77)))?;
    let tid = first.pid;
    first.begin(ops::exit, &[]);
    same("reap", a.run(ops::reap, &[tid as u64])?, 0)?;
    let second = a.fork_as("second", tid)?;
    // It has what was left to it: the failure, which stops all commands, and its cause.
    let commands = bc().call(Tx::to(0).one_way());
    let done = second.request(&Request::new(&commands, 0))?;
    same("commands taken", done.write_consumed, 0)?;
    second.has_error(br::FAILED_REPLY, -libc::EINVAL)?;
    second.read()?.expect("NOOP FAILED_REPLY")?;
    second
        .write_read(&commands)?
        .expect("NOOP COMPLETE")
        .map(drop)
}

fn sh_handle_0_comes_and_goes(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    a.write(&bc().acquire(0).release(0))?;
    let other = |ptr| Obj::node(Node::new(ptr));
    for (ptr, handle) in [(0x20, 1), (0x30, 2)] {
        let got = hand_out_new(&m, &a, other(ptr))?;
        same("handle", got, handle)?;
    }
    a.write(&bc().acquire(0).increfs(0).decrefs(0))?;
    let third = hand_out_new(&m, &a, other(0x40))?;
    same("handle", third, 3)?;
    a.write(&bc().call(Tx::to(0).object(Obj::handle(0))))?;
    let got = until_message(&m)?;
    let home = m.one_object(&got)?;
    same("home", (home.kind, home.value), (obj::BINDER, MANAGER.ptr))?;
    m.answer_with(Tx::answer())?;
    a.ending()?;
    a.write(&bc().release(0).release(1))?;
    let fourth = hand_out_new(&m, &a, other(0x50))?;
    same("handle", fourth, 1)
}

/// As [`Cx::hand_out`], of a node that the manager sends for the first time;
/// its notices stay unread.
fn hand_out_new(m: &Thread, to: &Thread, object: Obj) -> Res<u64> {
    to.write(&bc().call(Tx::to(0)))?;
    let got = until_message(m)?;
    m.write(&bc().free(got.buffer).reply(Tx::answer().object(object)))?;
    let end = to.ending()?;
    let arrived = to.one_object(&end)?;
    to.write(&bc().acquire(arrived.value as u32).free(end.buffer))?;
    Ok(arrived.value)
}

fn sh_exit_beside_a_nested_call(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let node = Node::new(0x20);
    cx.hand_in(&a, &m, Obj::node(node))?;
    let second = a.thread("A2")?;
    let mut ends = 0;
    cx.quiet(true);
    for _ in 0..60 {
        a.write(&bc().call(Tx::to(0)))?;
        m.accept()?;
        // Back into the thread that calls, and that thread goes.
        let back = m.start(&Request::new(&bc().call(Tx::to(1)), 0));
        a.thread_exit()?;
        back.finish()?;
        ends += u32::from(nested_ends(&m, &second)?);
        // What is left is the outer call, whose caller is gone.
        m.answer_with(Tx::answer())?;
        a.greet()?;
    }
    cx.quiet(false);
    cx.note("60 nested calls");
    same("ends", ends, 60)
}

/// Waits for the end of the call that `caller` has made, which `other` answers
/// if it comes there.
fn nested_ends(caller: &Thread, other: &Thread) -> Res<bool> {
    other.set_nonblock(true)?;
    caller.set_nonblock(true)?;
    let mut ended = false;
    for _ in 0..2000 {
        let done = other.read()?;
        if let Ok(call) = done.message() {
            other.write(&bc().free(call.buffer).reply(Tx::answer()))?;
        }
        let items = caller.read()?.short();
        if items.contains("REPLY") {
            ended = true;
            break;
        }
    }
    other.set_nonblock(false)?;
    caller.set_nonblock(false)?;
    Ok(ended)
}

/// Two senders of one-ways to the manager, who does not read them.
fn posters(cx: &Cx) -> Res<[Proc; 2]> {
    let all = [cx.proc("A")?, cx.proc("B")?];
    for poster in &all {
        poster.begin(shapes::post, &[poster.fd as u64]);
    }
    Ok(all)
}

fn all_hear_of_the_end(posters: &[Proc]) -> Res {
    for poster in posters {
        let posted = poster.end_of_work("post")?;
        check(&format!("it was told ({posted})"), posted >= 0)?;
    }
    Ok(())
}

fn pause(milliseconds: u64) {
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
}

fn sh_unmapped_under_senders(cx: &Cx) -> Res {
    cx.quiet(true);
    for round in 0..6 {
        let m = cx.manager("M")?;
        let posters = posters(cx)?;
        pause(3 * round);
        m.unmap()?;
        all_hear_of_the_end(&posters)?;
        m.kill()?;
    }
    cx.quiet(false);
    cx.note("6 mappings");
    Ok(())
}

fn sh_receiver_dies_under_pressure(cx: &Cx) -> Res {
    cx.quiet(true);
    let presser = cx.process("presser")?;
    presser.begin(shapes::press, &[20_000]);
    for round in 0..6 {
        let m = cx.manager("M")?;
        let posters = posters(cx)?;
        pause(10 + 5 * round);
        m.kill()?;
        all_hear_of_the_end(&posters)?;
    }
    let busy = presser.is_busy();
    cx.quiet(false);
    cx.note("6 receivers");
    check("there was pressure to the end", busy)
}

fn sh_another_mapping_in_its_place(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let (address, length) = m.mapping;
    let covered = m.step("cover", shapes::cover, &[address, length])?;
    same("cover", covered, 0)?;
    a.write_read(&bc().call(Tx::to(0).data(&[7; 64])))?
        .expect("NOOP DEAD_REPLY")?;
    a.has_error(br::DEAD_REPLY, -libc::ESRCH)?;
    let bytes = m.memory(address, length as usize)?;
    check(
        "nothing was written there",
        bytes.iter().all(|byte| *byte == 0),
    )
}

fn sh_rewritten_while_it_is_sent(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let writer = cx.process("writer")?;
    let object = Obj::node(Node::new(0x20));
    let at = shm::put(&object.bytes());
    // Two types, of which the manager's node takes only one.
    let kinds = [obj::BINDER, obj::FD].map(u64::from);
    let flags = u64::from(object.flags) << 32;
    let ends = [kinds[0] | flags, kinds[1] | flags];
    cx.quiet(true);
    writer.begin(shapes::flip, &[at, ends[0], ends[1], 15_000]);
    let tx = Tx::to(0).one_way().data_at(at).data_len(obj::SIZE as u64);
    let tx = tx.offsets(&[0]);
    let mut counts = [0, 0];
    // Until each has happened a few times.
    while writer.is_busy() && counts.iter().any(|count| *count < 8) {
        a.write(&bc().call(tx.clone()))?;
        let told = loop {
            let done = a.read()?;
            match () {
                () if done.short().contains("COMPLETE") => break true,
                () if done.short().contains("FAILED_REPLY") => break false,
                () => {}
            }
        };
        counts[usize::from(told)] += 1;
        if told {
            let got = m.accept()?;
            same("type", m.one_object(&got)?.kind, obj::HANDLE)?;
            m.write(&bc().free(got.buffer))?;
        }
    }
    cx.quiet(false);
    cx.note("all that arrived was of the allowed type");
    check(
        &format!("both happened ({counts:?})"),
        counts[0] > 0 && counts[1] > 0,
    )
}

fn sh_two_senders_grow_the_table(cx: &Cx) -> Res {
    let m = cx.manager("M")?;
    let senders = [cx.proc("A")?, cx.proc("B")?];
    cx.quiet(true);
    for sender in &senders {
        sender.begin(shapes::give, &[sender.fd as u64, 60]);
    }
    for sender in &senders {
        same("given", sender.end_of_work("give")?, 60)?;
    }
    let mut handles = Vec::new();
    for _ in 0..2 * 60 {
        let got = m.accept()?;
        let mut keep = bc();
        for object in m.objects(&got)? {
            handles.push(object.value);
            keep = keep.acquire(object.value as u32);
        }
        m.write(&keep.free(got.buffer))?;
    }
    cx.quiet(false);
    handles.sort_unstable();
    let count = handles.len() as u64;
    cx.note(format!("{count} handles"));
    same("handles", handles, (1..=count).collect())?;
    same("count", count, 2 * 60 * shapes::GIFTS)
}

fn sh_node_churn_against_a_freezer(cx: &Cx) -> Res {
    let (m, a) = cx.pair()?;
    let f = cx.proc("F")?;
    cx.quiet(true);
    f.begin(stress::freezer, &[f.fd as u64, a.pid as u64, 100]);
    let mut rounds = 0u64;
    while f.is_busy() || rounds < 40 {
        let node = Node::new(0x1000 + 16 * rounds);
        a.write(&bc().call(Tx::to(0).one_way().object(Obj::node(node))))?;
        let got = until_message(&m)?;
        let handle = m.one_object(&got)?.value as u32;
        m.write(
            &bc()
                .acquire(handle)
                .request_freeze(handle, rounds)
                .free(got.buffer),
        )?;
        m.write(&bc().release(handle))?;
        drain(&a)?;
        rounds += 1;
    }
    let frozen = f.end_of_work("freezer")?;
    drain(&m)?;
    drain(&a)?;
    cx.quiet(false);
    check(&format!("it was frozen ({frozen})"), frozen > 0)?;
    // Nothing of all these nodes is left.
    let ask = NodeDebugInfo::default();
    let (result, left) = a.ioctl_with("NODE_DEBUG_INFO", nr::GET_NODE_DEBUG_INFO, &ask)?;
    same("nodes", (result, left.ptr), (0, 0))
}

/// Reads until a message comes, and takes everything else for granted.
fn until_message(t: &Thread) -> Res<crate::abi::TransactionData> {
    loop {
        let done = t.read()?;
        if let Ok(message) = done.message() {
            return Ok(message);
        }
    }
}

/// Reads all there is, and answers what is asked about nodes.
fn drain(t: &Thread) -> Res {
    t.set_nonblock(true)?;
    loop {
        let done = t.read()?;
        if done.result < 0 {
            break;
        }
        let mut answers = bc();
        for item in &done.items {
            let Br::Node(what, ptr, cookie) = item else {
                continue;
            };
            let node = Node {
                ptr: *ptr,
                cookie: *cookie,
                flags: 0,
            };
            match *what {
                "INCREFS" => answers = answers.increfs_done(node),
                "ACQUIRE" => answers = answers.acquire_done(node),
                _ => {}
            }
        }
        t.write(&answers)?;
    }
    t.set_nonblock(false)
}

// Room for all that two senders give, which nobody frees meanwhile.
const _: () = assert!(2 * 60 * shapes::GIFTS * 32 < MAPPING / 2);
