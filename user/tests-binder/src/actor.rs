// SPDX-License-Identifier: MIT OR Apache-2.0

//! Actors: processes and threads that do what a case tells them.
//!
//! A [`Thread`] is one actor thread together with one open device file, which
//! is what the driver calls a thread of a process. A [`Proc`] is such a file
//! with its first thread.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::process::{kill_process, waitpid, Pid, Signal, WaitOptions};

use crate::abi::{
    nr, payload_size, ExtendedError, FreezeInfo, FrozenInfo, TransactionData, WriteRead,
};
use crate::ops;
use crate::request::{errno_name, Done, Request, READ};
use crate::returns::{parse, Br};
use crate::shapes;
use crate::shm::{self, Op, Progress};
use crate::wire::{bc, Bc, Node, Obj, Tx};
use crate::world::{check, same, Fail, Res, World};

/// After this long, something that should have come is missing.
const PATIENCE: Duration = Duration::from_secs(20);

/// A `BINDER_WRITE_READ` under way.
pub struct Pending<'a> {
    thread: &'a Thread,
    at: u64,
    begin: u64,
    text: String,
}

impl Pending<'_> {
    /// Waits for the end.
    pub fn finish(self) -> Res<Done> {
        let result = self.thread.answer(&self.text)?;
        Ok(self.thread.collect(self.at, self.begin, result, &self.text))
    }

    /// Waits until the thread sleeps inside the call.
    pub fn blocks(self) -> Res<Self> {
        self.thread.wait_asleep(&self.text)?;
        self.thread
            .world
            .note(format!("{}({}) blocks", self.thread.name, self.text));
        Ok(self)
    }
}

/// A thread of an open device file.
#[derive(Clone)]
pub struct Thread {
    /// Name in outcomes.
    pub name: String,
    /// Descriptor of the device in the actor.
    pub fd: i32,
    /// Process id of the actor.
    pub pid: i32,
    tid: Cell<i32>,
    slot: usize,
    world: Rc<World>,
}

impl Thread {
    pub(crate) fn new(world: Rc<World>, slot: usize, pid: i32, fd: i32, name: &str) -> Self {
        Thread {
            name: name.into(),
            fd,
            pid,
            tid: Cell::new(0),
            slot,
            world,
        }
    }

    pub(crate) fn find_tid(&self) -> Res {
        self.tid.set(self.run(ops::gettid, &[])? as i32);
        Ok(())
    }

    /// The same actor thread with another open file.
    pub fn with_fd(&self, fd: i32, name: &str) -> Thread {
        Thread {
            name: name.into(),
            fd,
            ..self.clone()
        }
    }

    fn ask(&self, op: Op, args: &[u64]) {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        shm::ask(self.slot, op, all);
    }

    fn answer(&self, what: &str) -> Res<i64> {
        self.answer_within(PATIENCE, what)
    }

    fn answer_within(&self, patience: Duration, what: &str) -> Res<i64> {
        shm::answer(self.slot, patience)
            .ok_or_else(|| Fail(format!("{} is still blocked in ({what})", self.name)))
    }

    /// Has the actor do something, and gives the result without recording it.
    pub fn run(&self, op: Op, args: &[u64]) -> Res<i64> {
        self.ask(op, args);
        self.answer("an operation")
    }

    /// The same, recorded under a name.
    pub fn step(&self, name: &str, op: Op, args: &[u64]) -> Res<i64> {
        let result = self.run(op, args)?;
        self.world
            .note(format!("{}.{name}={}", self.name, errno_name(result)));
        Ok(result)
    }

    /// Adds something that the case read to the outcome.
    pub fn say(&self, what: &str) {
        self.world.note(format!("{}: {what}", self.name));
    }

    /// An operation that goes on while the case does something else.
    pub fn begin(&self, op: Op, args: &[u64]) {
        self.ask(op, args);
    }

    /// Whether the thread is still at what it was asked.
    pub fn is_busy(&self) -> bool {
        shm::progress(self.slot) != Progress::Done
    }

    /// The end of an operation that takes its time, with nothing recorded.
    pub fn end_of_work(&self, name: &str) -> Res<i64> {
        self.answer_within(3 * PATIENCE, name)
    }

    /// The end of an operation that was begun.
    pub fn end(&self, name: &str) -> Res<i64> {
        let result = self.answer(name)?;
        self.world
            .note(format!("{}.{name}={}", self.name, errno_name(result)));
        Ok(result)
    }

    /// An ioctl with an argument that may be anything.
    pub fn ioctl(&self, name: &str, number: u32, argument: u64) -> Res<i64> {
        self.step(
            name,
            ops::ioctl,
            &[self.fd as u64, u64::from(number), argument],
        )
    }

    /// An ioctl with a structure; gives the result and the structure after it.
    pub fn ioctl_with<T: Copy + Default>(
        &self,
        name: &str,
        number: u32,
        value: &T,
    ) -> Res<(i64, T)> {
        debug_assert_eq!(size_of::<T>(), payload_size(number));
        let at = shm::store(value);
        let result = self.ioctl(name, number, at)?;
        Ok((result, shm::load(at)))
    }

    /// Begins an ioctl with a structure, which is expected to block; see [`Thread::end`].
    pub fn block_in<T: Copy>(&self, name: &str, number: u32, value: &T) -> Res {
        let at = shm::store(value);
        self.ask(ops::ioctl, &[self.fd as u64, u64::from(number), at]);
        self.wait_asleep(name)?;
        self.say(&format!("{name} blocks"));
        Ok(())
    }

    /// Waits until the thread sleeps in what it was asked, or has done it: true
    /// then. Something that was to wake it must have been done before.
    pub fn comes_to_rest(&self) -> Res<bool> {
        let deadline = Instant::now() + PATIENCE;
        let path = format!("/proc/{}/task/{}/stat", self.pid, self.tid.get());
        while Instant::now() < deadline {
            match shm::progress(self.slot) {
                Progress::Done => return Ok(true),
                Progress::Asked => {}
                Progress::Running => {
                    let stat = std::fs::read_to_string(&path)?;
                    let state = stat.rsplit(") ").next().unwrap_or("");
                    if state.starts_with('S') && self.is_busy() {
                        return Ok(false);
                    }
                }
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Err(Fail(format!("{} neither sleeps nor returns", self.name)))
    }

    /// Waits until the thread sleeps in what it was asked.
    fn wait_asleep(&self, what: &str) -> Res {
        let deadline = Instant::now() + PATIENCE;
        let path = format!("/proc/{}/task/{}/stat", self.pid, self.tid.get());
        let mut seen = 0;
        while Instant::now() < deadline {
            match shm::progress(self.slot) {
                Progress::Done => {
                    return Err(Fail(format!(
                        "{}({what}) should block, but it returned",
                        self.name
                    )));
                }
                Progress::Asked => seen = 0,
                Progress::Running => {
                    let stat = std::fs::read_to_string(&path)?;
                    let state = stat.rsplit(") ").next().unwrap_or("");
                    seen = if state.starts_with('S') { seen + 1 } else { 0 };
                    if seen == 3 {
                        return Ok(());
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        Err(Fail(format!(
            "{}({what}) neither sleeps nor returns",
            self.name
        )))
    }

    /// Begins a `BINDER_WRITE_READ`.
    pub fn start(&self, request: &Request) -> Pending<'_> {
        let bytes = request.commands.bytes();
        let wr = WriteRead {
            write_size: request.write_size.unwrap_or(bytes.len() as u64),
            write_consumed: request.write_consumed,
            write_buffer: request.commands_at.unwrap_or_else(|| shm::put(bytes)),
            read_size: request.read_size as u64,
            read_consumed: request.read_consumed,
            // Some spare room behind it: a driver may write a word too many.
            read_buffer: request
                .read_at
                .unwrap_or_else(|| shm::alloc(request.read_size + 16)),
        };
        let at = shm::store(&wr);
        let mut text = request.commands.to_string();
        if request.read_size != READ {
            text += &format!(" read:{}", request.read_size);
        } else if bytes.is_empty() {
            text += "read";
        }
        self.ask(ops::ioctl, &[self.fd as u64, u64::from(nr::WRITE_READ), at]);
        Pending {
            thread: self,
            at,
            begin: request.read_consumed,
            text: text.trim().into(),
        }
    }

    fn collect(&self, at: u64, begin: u64, result: i64, text: &str) -> Done {
        let wr: WriteRead = shm::load(at);
        let buffer = match wr.read_size {
            0 => Vec::new(),
            size => shm::get(wr.read_buffer, size as usize + 16),
        };
        let end = (wr.read_consumed as usize).min(buffer.len());
        let items = parse(buffer.get(begin as usize..end).unwrap_or(&[]));
        let mut line = format!("{}({text})={}", self.name, errno_name(result));
        if wr.write_size > 0 {
            line += &format!(" w{}/{}", wr.write_consumed, wr.write_size);
        }
        if wr.read_size > 0 {
            let items: Vec<_> = items.iter().map(|item| self.describe(item)).collect();
            line += &format!(" r{}[{}]", wr.read_consumed, items.join(" "));
        }
        self.world.note(line);
        Done {
            result,
            write_consumed: wr.write_consumed,
            read_consumed: wr.read_consumed,
            buffer,
            items,
        }
    }

    fn describe(&self, item: &Br) -> String {
        let Some(data) = item.message() else {
            return item.short();
        };
        format!(
            "{}{{to={:x},{:x} code={} flags={:x} from={} euid={} size={}+{}@{}}}",
            item.short(),
            data.target,
            data.cookie,
            data.code,
            data.flags,
            self.world.name_of(data.sender_pid),
            data.sender_euid as i32,
            data.data_size,
            data.offsets_size,
            data.offsets.wrapping_sub(data.buffer) as i64,
        )
    }

    /// A `BINDER_WRITE_READ` from begin to end.
    pub fn request(&self, request: &Request) -> Res<Done> {
        self.start(request).finish()
    }

    /// The same with a read buffer that nobody can read, the conductor
    /// included: no items are looked at.
    pub fn request_blind(&self, request: &Request) -> Res<Done> {
        let pending = self.start(request);
        let result = self.answer(&pending.text)?;
        let wr: WriteRead = shm::load(pending.at);
        let (write_consumed, read_consumed) = (wr.write_consumed, wr.read_consumed);
        let errno = errno_name(result);
        self.say(&format!(
            "blind read={errno} w{write_consumed} r{read_consumed}"
        ));
        Ok(Done {
            result,
            write_consumed,
            read_consumed,
            buffer: Vec::new(),
            items: Vec::new(),
        })
    }

    /// Commands alone; all of them must be taken.
    pub fn write(&self, commands: &Bc) -> Res {
        if commands.bytes().is_empty() {
            return Ok(());
        }
        let done = self.request(&Request::new(commands, 0))?;
        same("result of a write", errno_name(done.result), "0".into())?;
        same(
            "commands taken",
            done.write_consumed,
            commands.bytes().len() as u64,
        )
    }

    /// A read alone; it must end by itself.
    pub fn read(&self) -> Res<Done> {
        self.request(&Request::new(&bc(), READ))
    }

    /// Commands and a read.
    pub fn write_read(&self, commands: &Bc) -> Res<Done> {
        self.request(&Request::new(commands, READ))
    }

    /// Reads one call or one-way, and nothing else.
    pub fn accept(&self) -> Res<TransactionData> {
        self.read()?.expect("NOOP TRANSACTION")?.message()
    }

    /// Reads the end of a synchronous call, and nothing else.
    pub fn ending(&self) -> Res<TransactionData> {
        self.read()?.expect("NOOP COMPLETE REPLY")?.message()
    }

    /// Answers the call on top of the stack.
    pub fn answer_with(&self, answer: Tx) -> Res {
        self.write_read(&bc().reply(answer))?
            .expect("NOOP COMPLETE")
            .map(drop)
    }

    /// Begins a read, or commands and a read, that is expected to block.
    pub fn block(&self, commands: &Bc) -> Res<Pending<'_>> {
        self.start(&Request::new(commands, READ)).blocks()
    }

    /// Demands that there is nothing to read.
    pub fn idle(&self) -> Res {
        self.set_nonblock(true)?;
        let done = self.read()?.fails(libc::EAGAIN);
        self.set_nonblock(false)?;
        done.map(drop)
    }

    /// Switches O_NONBLOCK of the file.
    pub fn set_nonblock(&self, on: bool) -> Res {
        let result = self.run(ops::nonblock, &[self.fd as u64, u64::from(on)])?;
        same("F_SETFL", result, 0)
    }

    /// Joins the pool and does the first read, which comes back empty.
    pub fn greet(&self) -> Res {
        self.write_read(&bc().enter())?.expect("NOOP").map(drop)
    }

    /// Becomes the manager with a node of its own.
    pub fn become_manager(&self, node: Node) -> Res<i64> {
        let at = shm::put(&Obj::node(node).bytes());
        self.ioctl("SET_CONTEXT_MGR_EXT", nr::SET_CONTEXT_MGR_EXT, at)
    }

    /// Reads and resets the thread's last error; the id is masked in outcomes.
    pub fn error(&self) -> Res<ExtendedError> {
        let at = shm::alloc(size_of::<ExtendedError>());
        let args = [self.fd as u64, u64::from(nr::GET_EXTENDED_ERROR), at];
        let result = self.run(ops::ioctl, &args)?;
        let error: ExtendedError = shm::load(at);
        let id = if error.id == 0 { "0" } else { "id" };
        self.world.note(format!(
            "{}.error={} ({id},{:x},{})",
            self.name,
            errno_name(result),
            error.command,
            error.param
        ));
        same("GET_EXTENDED_ERROR", result, 0)?;
        Ok(error)
    }

    /// Demands that the last error has this code and parameter.
    pub fn has_error(&self, command: u32, param: i32) -> Res {
        let error = self.error()?;
        check("the error has an id", error.id != 0)?;
        same(
            "extended error",
            (error.command, error.param),
            (command, param),
        )
    }

    /// Freezes the process `who` within so many milliseconds: 0 or a negative errno.
    pub fn freeze(&self, who: &Thread, timeout: u32) -> Res<i64> {
        let (name, info) = who.freezing(timeout);
        Ok(self.ioctl_with(&name, nr::FREEZE, &info)?.0)
    }

    /// What a freezer says of this thread's process.
    pub fn freezing(&self, timeout: u32) -> (String, FreezeInfo) {
        let info = FreezeInfo {
            pid: self.pid as u32,
            enable: 1,
            timeout,
        };
        (format!("freeze({},{timeout})", self.name), info)
    }

    /// Thaws the process `who`.
    pub fn thaw(&self, who: &Thread) -> Res {
        let info = FreezeInfo {
            pid: who.pid as u32,
            ..FreezeInfo::default()
        };
        let name = format!("thaw({})", who.name);
        same(&name, self.ioctl_with(&name, nr::FREEZE, &info)?.0, 0)
    }

    /// What came to the process `who` since it was frozen: (sync_recv, async_recv).
    pub fn frozen_info(&self, who: &Thread) -> Res<(u32, u32)> {
        let info = FrozenInfo {
            pid: who.pid as u32,
            ..FrozenInfo::default()
        };
        let name = format!("frozen_info({})", who.name);
        let (result, info) = self.ioctl_with(&name, nr::GET_FROZEN_INFO, &info)?;
        same(&name, result, 0)?;
        let (sync, posted) = (info.sync_recv, info.async_recv);
        self.say(&format!("sync {sync} async {posted}"));
        Ok((sync, posted))
    }

    /// Copies memory of the actor out.
    pub fn memory(&self, address: u64, length: usize) -> Res<Vec<u8>> {
        let at = shm::alloc(length);
        self.run(ops::copy, &[address, at, length as u64])?;
        Ok(shm::get(at, length))
    }

    /// The data of a message that this process received.
    pub fn payload(&self, message: &TransactionData) -> Res<Vec<u8>> {
        self.memory(message.buffer, message.data_size as usize)
    }

    /// The objects of a message that this process received.
    pub fn objects(&self, message: &TransactionData) -> Res<Vec<Obj>> {
        let data = self.payload(message)?;
        let offsets = self.memory(message.offsets, message.offsets_size as usize)?;
        let mut objects = Vec::new();
        for offset in offsets.chunks_exact(8) {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(offset);
            let at = u64::from_ne_bytes(bytes) as usize;
            let object = data.get(at..).and_then(Obj::parse);
            objects.push(object.ok_or_else(|| Fail("an offset beyond the data".into()))?);
        }
        let text: Vec<_> = objects.iter().map(Obj::to_string).collect();
        self.world
            .note(format!("{} sees {}", self.name, text.join(" ")));
        Ok(objects)
    }

    /// The only object of a message.
    pub fn one_object(&self, message: &TransactionData) -> Res<Obj> {
        let objects = self.objects(message)?;
        same("objects", objects.len(), 1)?;
        Ok(objects[0])
    }

    /// Sends a signal to this thread alone.
    pub fn signal(&self, signal: i32) -> Res {
        // SAFETY: Plain numbers; the handlers of actors do nothing.
        let result = unsafe { libc::syscall(libc::SYS_tgkill, self.pid, self.tid.get(), signal) };
        same("tgkill", result, 0)
    }

    /// Drops the driver's record of this thread.
    pub fn thread_exit(&self) -> Res {
        same(
            "THREAD_EXIT",
            self.ioctl("THREAD_EXIT", nr::THREAD_EXIT, 0)?,
            0,
        )
    }
}

/// An open device file in a process of its own, with its first thread.
pub struct Proc {
    thread: Thread,
    /// Address and length of the mapping, 0 without one.
    pub mapping: (u64, u64),
    alive: Cell<bool>,
}

impl Deref for Proc {
    type Target = Thread;

    fn deref(&self) -> &Thread {
        &self.thread
    }
}

impl Proc {
    pub(crate) fn new(thread: Thread) -> Self {
        Proc {
            thread,
            mapping: (0, 0),
            alive: Cell::new(true),
        }
    }

    /// Opens a device, from now on the process's one.
    pub fn open(&mut self, path: &str) -> Res {
        let at = shm::put(format!("{path}\0").as_bytes());
        let flags = (libc::O_RDWR | libc::O_CLOEXEC) as u64;
        let fd = self.run(ops::open, &[at, flags])?;
        check(
            &format!("{path} can be opened ({})", errno_name(fd)),
            fd >= 0,
        )?;
        self.thread.fd = fd as i32;
        Ok(())
    }

    /// Opens the case's device once more in the same process.
    pub fn open_again(&self, name: &str) -> Res<Proc> {
        let mut other = Proc::new(self.thread.with_fd(-1, name));
        other.open(&self.thread.world.device.clone())?;
        Ok(other)
    }

    /// Maps the device: address or negative errno.
    pub fn map(&mut self, length: u64) -> Res<i64> {
        let result = self.run(ops::mmap, &[self.fd as u64, length, 0])?;
        if result > 0 {
            self.mapping = (result as u64, length);
        } else {
            self.world
                .note(format!("{}.mmap={}", self.name, errno_name(result)));
        }
        Ok(result)
    }

    /// Takes the mapping away.
    pub fn unmap(&self) -> Res {
        let (address, length) = self.mapping;
        same(
            "munmap",
            self.step("munmap", ops::munmap, &[address, length])?,
            0,
        )
    }

    /// One more thread, which has done no ioctl.
    pub fn bare_thread(&self, name: &str) -> Res<Thread> {
        let slot = self.world.slot();
        self.run(ops::spawn, &[slot as u64])?;
        let thread = Thread::new(self.world.clone(), slot, self.pid, self.fd, name);
        thread.find_tid()?;
        Ok(thread)
    }

    /// One more thread of the pool, which has done its first read.
    pub fn thread(&self, name: &str) -> Res<Thread> {
        let thread = self.bare_thread(name)?;
        thread.greet()?;
        Ok(thread)
    }

    /// A forked child, which has the same descriptors.
    pub fn fork(&self, name: &str) -> Res<Thread> {
        self.fork_with(name, ops::fork, 0)
    }

    /// The same, with this process id, which must be free.
    pub fn fork_as(&self, name: &str, pid: i32) -> Res<Thread> {
        self.fork_with(name, shapes::fork_as, pid as u64)
    }

    fn fork_with(&self, name: &str, op: Op, pid: u64) -> Res<Thread> {
        let slot = self.world.slot();
        let pid = self.run(op, &[slot as u64, pid])?;
        check(&format!("fork works ({})", errno_name(pid)), pid > 0)?;
        self.world.set_name(pid as i32, name);
        let child = Thread::new(self.world.clone(), slot, pid as i32, self.fd, name);
        child.find_tid()?;
        Ok(child)
    }

    /// A forked child as a process of its own, with nothing open. It is no
    /// child of the conductor, so it ends with the case and not by `kill`.
    pub fn fork_process(&self, name: &str) -> Res<Proc> {
        Ok(Proc::new(self.fork(name)?))
    }

    /// Kills the process, whatever it is doing, and waits for its end.
    pub fn kill(&self) -> Res {
        if self.alive.replace(false) {
            let pid = Pid::from_raw(self.pid).ok_or_else(|| Fail("no process".into()))?;
            kill_process(pid, Signal::KILL)?;
            waitpid(Some(pid), WaitOptions::empty())?;
            shm::reset(self.thread.slot);
            self.world.note(format!("{} is killed", self.name));
        }
        Ok(())
    }
}
