// SPDX-License-Identifier: MIT OR Apache-2.0

//! Memory shared by the conductor and its actors, and the calls made through it.
//!
//! The area is mapped before any actor is forked, so it lies at the same
//! address in all of them: an address taken from it is as good in an actor's
//! ioctl as in the conductor's hands. The same holds for function addresses,
//! because actors never exec. A call is therefore a function pointer and six
//! numbers in a slot, with a futex to wait on.
//!
//! One slot belongs to one actor thread. Only the conductor allocates, and
//! nothing is freed: a case lives for a second and has the area for itself.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mm::{mmap_anonymous, MapFlags, ProtFlags};
use rustix::thread::futex;

/// What an actor can be asked to do. A negative result is an errno.
pub type Op = fn([u64; 6]) -> i64;

/// Most actor threads that a case may use.
pub const SLOTS: usize = 256;

const AREA: usize = 64 << 20;

const IDLE: u32 = 0;
const ASKED: u32 = 1;
const RUNNING: u32 = 2;
const DONE: u32 = 3;

#[repr(C)]
struct Slot {
    state: AtomicU32,
    op: AtomicUsize,
    args: [AtomicU64; 6],
    result: AtomicI64,
}

static BASE: AtomicUsize = AtomicUsize::new(0);
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Maps a fresh area. To be called before the first actor is forked.
pub fn init() -> rustix::io::Result<()> {
    // SAFETY: A fresh anonymous mapping at an address that the kernel chooses
    // can't disturb anything.
    let base = unsafe {
        mmap_anonymous(
            std::ptr::null_mut(),
            AREA,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED | MapFlags::NORESERVE,
        )?
    };
    BASE.store(base as usize, Ordering::Relaxed);
    NEXT.store(SLOTS * size_of::<Slot>(), Ordering::Relaxed);
    Ok(())
}

/// Takes `len` zeroed bytes, 16-aligned; the address is valid in every actor.
pub fn alloc(len: usize) -> u64 {
    let at = NEXT.fetch_add(len.next_multiple_of(16), Ordering::Relaxed);
    assert!(at + len <= AREA, "a case used up the shared area");
    (BASE.load(Ordering::Relaxed) + at) as u64
}

/// Puts `bytes` into the area and returns their address.
pub fn put(bytes: &[u8]) -> u64 {
    let at = alloc(bytes.len());
    // SAFETY: `alloc` handed out these bytes to nobody else, and `bytes` can't
    // lie in them.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at as *mut u8, bytes.len()) };
    at
}

/// Puts `bytes` at a place of the area that the caller has taken before.
pub fn put_at(at: u64, bytes: &[u8]) {
    let offset = (at as usize).wrapping_sub(BASE.load(Ordering::Relaxed));
    assert!(
        offset < AREA && bytes.len() <= AREA - offset,
        "not in the shared area"
    );
    // SAFETY: The range lies in the mapping, which lives as long as the process, and
    // `bytes` can't lie in it: nobody has a reference into the area.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at as *mut u8, bytes.len()) };
}

/// Copies `len` bytes of the area out.
pub fn get(at: u64, len: usize) -> Vec<u8> {
    let base = BASE.load(Ordering::Relaxed);
    let offset = (at as usize).wrapping_sub(base);
    assert!(
        offset < AREA && len <= AREA - offset,
        "not in the shared area"
    );
    let mut out = vec![0u8; len];
    // SAFETY: The range lies in the mapping, which lives as long as the
    // process. An actor that still writes there would make the result stale,
    // not unsound: the bytes are copied through a raw pointer.
    unsafe { std::ptr::copy_nonoverlapping(at as *const u8, out.as_mut_ptr(), len) };
    out
}

/// Reads a plain value of the area.
pub fn load<T: Copy + Default>(at: u64) -> T {
    let bytes = get(at, size_of::<T>());
    let mut value = T::default();
    // SAFETY: All callers read structures of integers, which accept any bytes;
    // both sides are `size_of::<T>()` long.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut value).cast(), bytes.len()) };
    value
}

/// Puts a plain value into the area.
pub fn store<T: Copy>(value: &T) -> u64 {
    // SAFETY: `value` is readable for its own size; all callers pass
    // structures of integers without padding.
    let bytes = unsafe { std::slice::from_raw_parts((value as *const T).cast(), size_of::<T>()) };
    put(bytes)
}

fn slot(index: usize) -> &'static Slot {
    assert!(index < SLOTS);
    let base = BASE.load(Ordering::Relaxed) as *const Slot;
    // SAFETY: `init` mapped room for SLOTS slots at the start of the area, the
    // mapping is never undone, and a slot consists of atomics, for which all
    // bytes are valid.
    unsafe { &*base.add(index) }
}

/// Waits until `slot.state` is no longer `seen`, or the deadline passes.
fn wait_change(slot: &Slot, seen: u32, deadline: Option<Instant>) -> bool {
    while slot.state.load(Ordering::Acquire) == seen {
        let left = match deadline {
            None => None,
            Some(at) => match at.checked_duration_since(Instant::now()) {
                None => return false,
                Some(left) => Some(left.try_into().expect("a few seconds")),
            },
        };
        match futex::wait(&slot.state, futex::Flags::empty(), seen, left.as_ref()) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
            Err(error) => panic!("futex: {error}"),
        }
    }
    true
}

fn set_state(slot: &Slot, state: u32) {
    slot.state.store(state, Ordering::Release);
    let _ = futex::wake(&slot.state, futex::Flags::empty(), u32::MAX >> 1);
}

/// Conductor: asks the thread of `index` to do something.
pub fn ask(index: usize, op: Op, args: [u64; 6]) {
    let slot = slot(index);
    assert_eq!(
        slot.state.load(Ordering::Acquire),
        IDLE,
        "the actor is busy"
    );
    slot.op.store(op as usize, Ordering::Relaxed);
    for (to, from) in slot.args.iter().zip(args) {
        to.store(from, Ordering::Relaxed);
    }
    set_state(slot, ASKED);
}

/// Conductor: the result, or `None` if it is not there in time.
pub fn answer(index: usize, timeout: Duration) -> Option<i64> {
    let slot = slot(index);
    let deadline = Instant::now() + timeout;
    loop {
        match slot.state.load(Ordering::Acquire) {
            DONE => break,
            IDLE => panic!("nothing was asked"),
            seen => {
                if !wait_change(slot, seen, Some(deadline)) {
                    return None;
                }
            }
        }
    }
    slot.state.store(IDLE, Ordering::Relaxed);
    Some(slot.result.load(Ordering::Relaxed))
}

/// How far an actor came with what it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It did not look at it yet.
    Asked,
    /// It is inside.
    Running,
    /// The answer is there.
    Done,
}

/// Conductor: looks at the thread of `index` without waiting.
pub fn progress(index: usize) -> Progress {
    match slot(index).state.load(Ordering::Acquire) {
        RUNNING => Progress::Running,
        DONE => Progress::Done,
        _ => Progress::Asked,
    }
}

/// Conductor: forgets a request whose actor is gone.
pub fn reset(index: usize) {
    slot(index).state.store(IDLE, Ordering::Relaxed);
}

/// Actor: answers requests until `leave` says that it was told to go.
pub fn serve(index: usize, leave: impl Fn() -> bool) {
    let slot = slot(index);
    while !leave() {
        let seen = slot.state.load(Ordering::Acquire);
        if seen != ASKED {
            wait_change(slot, seen, None);
            continue;
        }
        slot.state.store(RUNNING, Ordering::Release);
        let op = slot.op.load(Ordering::Relaxed);
        // SAFETY: `ask` stored a function of exactly this type, and the actor
        // runs the same image at the same addresses as the conductor.
        let op: Op = unsafe { std::mem::transmute::<usize, Op>(op) };
        let args = std::array::from_fn(|i| slot.args[i].load(Ordering::Relaxed));
        slot.result.store(op(args), Ordering::Relaxed);
        set_state(slot, DONE);
    }
}
