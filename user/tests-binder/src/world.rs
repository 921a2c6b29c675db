// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a case gets: a device of its own, and a way to make actors.
//!
//! Everything the driver answers is recorded here as the *outcome* of the case.
//! Process ids become the names of actors and buffer addresses are left out, so
//! that equal behaviour gives equal outcomes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display};
use std::fs::File;
use std::io::Write;
use std::ops::Deref;
use std::rc::Rc;

use rustix::process::{set_parent_process_death_signal, Signal};

use crate::abi::{nr, obj, payload_size, CtlAdd};
use crate::actor::{Proc, Thread};
use crate::ops;
use crate::shm;
use crate::wire::{bc, Node, Obj, Tx};

/// Why a case failed, in a sentence.
#[derive(Debug)]
pub struct Fail(pub String);

impl Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Fail {
    fn from(error: std::io::Error) -> Self {
        Fail(error.to_string())
    }
}

impl From<rustix::io::Errno> for Fail {
    fn from(error: rustix::io::Errno) -> Self {
        Fail(error.to_string())
    }
}

/// Result of a case and of its steps.
pub type Res<T = ()> = Result<T, Fail>;

/// Fails the case unless both are equal.
pub fn same<T: PartialEq + Debug>(what: &str, got: T, want: T) -> Res {
    if got == want {
        Ok(())
    } else {
        Err(Fail(format!("{what}: got {got:?}, want {want:?}")))
    }
}

/// Fails the case unless the condition holds.
pub fn check(what: &str, holds: bool) -> Res {
    if holds {
        Ok(())
    } else {
        Err(Fail(format!("not so: {what}")))
    }
}

/// Length of the mapping that actors get unless a case asks for another.
pub const MAPPING: u64 = 128 << 10;

/// The manager's node in most cases; the handle to it is 0.
pub const MANAGER: Node = Node::new(0x1000);

/// State shared by the actors of one case.
pub struct World {
    /// The binderfs directory.
    pub dir: String,
    /// The case's device in it.
    pub device: String,
    trace: RefCell<File>,
    names: RefCell<BTreeMap<i32, String>>,
    next_slot: Cell<usize>,
    quiet: Cell<bool>,
}

impl World {
    /// Adds a step to the outcome.
    pub fn note(&self, step: impl Display) {
        if self.quiet.get() {
            return;
        }
        // The runner reads line by line; a step is one line.
        let step = step.to_string().replace('\n', " ");
        // A runner that went away takes this process with it.
        let _ = writeln!(self.trace.borrow_mut(), "{step}");
    }

    /// Stops or resumes the record: for long repetitions, whose sum is noted
    /// instead, and for steps whose order is left to chance.
    pub fn quiet(&self, on: bool) {
        self.quiet.set(on);
    }

    /// The actor that a process id belongs to.
    pub fn name_of(&self, pid: i32) -> String {
        match self.names.borrow().get(&pid) {
            Some(name) => name.clone(),
            None if pid == 0 => "0".into(),
            None => "stranger".into(),
        }
    }

    /// Gives the process id a name in outcomes.
    pub fn set_name(&self, pid: i32, name: &str) {
        self.names.borrow_mut().insert(pid, name.into());
    }

    /// A slot for one more actor thread.
    pub fn slot(&self) -> usize {
        let slot = self.next_slot.get();
        self.next_slot.set(slot + 1);
        slot
    }
}

/// The conductor of one case.
#[derive(Clone)]
pub struct Cx(Rc<World>);

impl Deref for Cx {
    type Target = Rc<World>;

    fn deref(&self) -> &Rc<World> {
        &self.0
    }
}

extern "C" fn ignore(_: i32) {}

/// Installs empty handlers: SIGUSR1 interrupts for good, SIGUSR2 asks for a
/// restart.
fn catch_signals() {
    for (signal, flags) in [(libc::SIGUSR1, 0), (libc::SIGUSR2, libc::SA_RESTART)] {
        // SAFETY: A zeroed sigaction is a valid one, and the handler does
        // nothing at all.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ignore as extern "C" fn(i32) as usize;
            action.sa_flags = flags;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}

/// Creates a device in the binderfs directory: (errno, major, minor).
pub fn ctl_add(dir: &str, name: &[u8]) -> Res<(i64, u32, u32)> {
    let control = File::open(format!("{dir}/binder-control"))?;
    let mut add = CtlAdd {
        name: [0; 256],
        major: 0,
        minor: 0,
    };
    add.name[..name.len().min(256)].copy_from_slice(&name[..name.len().min(256)]);
    let at = shm::store(&add);
    let fd = std::os::fd::AsRawFd::as_raw_fd(&control);
    let result = ops::ioctl([fd as u64, u64::from(nr::CTL_ADD), at, 0, 0, 0]);
    let out = shm::get(at + 256, payload_size(nr::CTL_ADD) - 256);
    let number = |i: usize| u32::from_ne_bytes([out[i], out[i + 1], out[i + 2], out[i + 3]]);
    Ok((result, number(0), number(4)))
}

impl Cx {
    /// For the runner: a case's world. Needs [`shm::init`].
    pub fn new(dir: &str, device: &str, trace: File) -> Self {
        Cx(Rc::new(World {
            dir: dir.into(),
            device: device.into(),
            trace: RefCell::new(trace),
            names: RefCell::default(),
            next_slot: Cell::new(0),
            quiet: Cell::new(false),
        }))
    }

    /// A process that has done nothing yet; `fd` of its thread is -1.
    pub fn process(&self, name: &str) -> Res<Proc> {
        let slot = self.slot();
        // SAFETY: The conductor has one thread, so nothing is half done in the
        // child.
        let pid = match unsafe { libc::fork() } {
            -1 => return Err(Fail("fork failed".into())),
            0 => {
                let _ = set_parent_process_death_signal(Some(Signal::KILL));
                catch_signals();
                shm::serve(slot, ops::leaving);
                ops::exit([0; 6]);
                unreachable!("exit doesn't return")
            }
            pid => pid,
        };
        self.set_name(pid, name);
        let thread = Thread::new(self.0.clone(), slot, pid, -1, name);
        thread.find_tid()?;
        Ok(Proc::new(thread))
    }

    /// A process with the case's device open, and nothing else.
    pub fn opened(&self, name: &str) -> Res<Proc> {
        let mut proc = self.process(name)?;
        proc.open(&self.device)?;
        Ok(proc)
    }

    /// Open and mapped; its thread has not done any ioctl.
    pub fn mapped(&self, name: &str, length: u64) -> Res<Proc> {
        let mut proc = self.opened(name)?;
        let address = proc.map(length)?;
        check("mmap works", address > 0)?;
        Ok(proc)
    }

    /// A process as most cases want it: mapped, its thread a looper that has
    /// done its first, empty read.
    pub fn proc(&self, name: &str) -> Res<Proc> {
        let proc = self.mapped(name, MAPPING)?;
        proc.greet()?;
        Ok(proc)
    }

    /// The same as the manager, with the node [`MANAGER`].
    pub fn manager(&self, name: &str) -> Res<Proc> {
        let proc = self.proc(name)?;
        same("SET_CONTEXT_MGR_EXT", proc.become_manager(MANAGER)?, 0)?;
        Ok(proc)
    }

    /// A manager `M` to call by handle 0, and a client `A`.
    pub fn pair(&self) -> Res<(Proc, Proc)> {
        Ok((self.manager("M")?, self.proc("A")?))
    }

    /// A manager `M`, a server `S` and a client `A` with a strong handle to
    /// `node` of `S`.
    pub fn trio(&self, node: Node) -> Res<(Proc, Proc, Proc, u32)> {
        let (m, a) = self.pair()?;
        let s = self.proc("S")?;
        let handle = self.share(&m, &s, node, &a)?;
        Ok((m, s, a, handle))
    }

    /// Has `from` send `object` to the manager in a call, and returns what
    /// arrived there. The manager holds on to a handle; `from` answers the
    /// handshake of a new node.
    pub fn hand_in(&self, from: &Thread, m: &Thread, object: Obj) -> Res<Obj> {
        let call = bc().call(Tx::to(0).code(1).object(object));
        from.write(&call)?;
        let got = m.read()?.expect("NOOP TRANSACTION")?.message()?;
        let arrived = m.one_object(&got)?;
        let mut back = bc();
        if arrived.kind == obj::HANDLE {
            back = back.acquire(arrived.value as u32);
        }
        m.write_read(&back.free(got.buffer).reply(Tx::answer()))?
            .expect("NOOP COMPLETE")?;
        let end = from.read()?;
        let mut done = bc();
        if object.kind == obj::BINDER && end.short().contains("INCREFS") {
            let node = Node {
                ptr: object.value,
                cookie: object.cookie,
                flags: object.flags,
            };
            done = done.both_done(node);
        }
        from.write(&done.free(end.message()?.buffer))?;
        Ok(arrived)
    }

    /// Has the manager answer a call of `to` with `object`, and returns what
    /// arrived. `to` holds on to a strong handle.
    pub fn hand_out(&self, m: &Thread, to: &Thread, object: Obj) -> Res<Obj> {
        to.write(&bc().call(Tx::to(0).code(2)))?;
        let got = m.read()?.expect("NOOP TRANSACTION")?.message()?;
        let answer = bc().free(got.buffer).reply(Tx::answer().object(object));
        m.write_read(&answer)?.expect("NOOP COMPLETE")?;
        let end = to.read()?.expect("NOOP COMPLETE REPLY")?.message()?;
        let arrived = to.one_object(&end)?;
        let mut done = bc();
        if arrived.kind == obj::HANDLE {
            done = done.acquire(arrived.value as u32);
        }
        to.write(&done.free(end.buffer))?;
        Ok(arrived)
    }

    /// Gives `to` a strong handle to `node` of `from`, by way of the manager.
    /// The manager keeps none.
    pub fn share(&self, m: &Thread, from: &Thread, node: Node, to: &Thread) -> Res<u32> {
        let there = self.hand_in(from, m, Obj::node(node))?;
        same("the manager got a handle", there.kind, obj::HANDLE)?;
        let there = there.value as u32;
        let here = self.hand_out(m, to, Obj::handle(there))?;
        same("the client got a handle", here.kind, obj::HANDLE)?;
        m.write(&bc().release(there))?;
        Ok(here.value as u32)
    }
}
