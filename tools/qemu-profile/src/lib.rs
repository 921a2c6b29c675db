// SPDX-License-Identifier: GPL-2.0

//! A plugin for QEMU's instruction translator that counts, between two marks in the
//! guest's program, how often each block of code runs, and which lines of memory
//! the kernel's own data is written to.
//!
//! The marks are instructions that do nothing: [`BEGIN`] and [`END`]. QEMU tells a
//! plugin of a block when it translates it and then, if asked to, each time that the
//! block runs. At its end it writes one line for each block that ran, `block ADDRESS
//! INSTRUCTIONS RUNS`, and one for each line written, `line ADDRESS WRITES`, into the file that
//! `out=` names. A block that an exception leaves early counts as a whole.
//!
//! The interface is the one of QEMU 7.2, whose plugins have version 1; Debian ships no
//! header of it, so the few functions that are called are declared in [`qemu`].

mod qemu;

use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_uint, c_void, CStr};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Mutex;

use qemu::{Id, Info, Insn, MemoryInfo, TranslatedBlock};

/// `nopl 0x6e673162(%rax)`: counting begins.
pub const BEGIN: [u8; 7] = [0x0f, 0x1f, 0x80, 0x62, 0x31, 0x67, 0x6e];
/// `nopl 0x64653162(%rax)`: counting ends.
pub const END: [u8; 7] = [0x0f, 0x1f, 0x80, 0x62, 0x31, 0x65, 0x64];

/// Addresses from here on are the kernel's image and its modules, not the memory that
/// it hands out.
const IMAGE: u64 = 0xffff_ffff_8000_0000;
const LINE: u64 = 64;

static COUNTING: AtomicBool = AtomicBool::new(false);
static BLOCKS: Mutex<Vec<&'static Block>> = Mutex::new(Vec::new());
static LINES: Mutex<Option<HashMap<u64, u64>>> = Mutex::new(None);
static OUT: Mutex<Option<String>> = Mutex::new(None);

/// A translated block, which QEMU may run until it ends.
struct Block {
    address: u64,
    instructions: u64,
    runs: AtomicU64,
}

extern "C" fn translated(_id: Id, block: *mut TranslatedBlock) {
    // SAFETY: QEMU gives a valid block, for the time of this call.
    let (address, instructions) = unsafe {
        (
            qemu::qemu_plugin_tb_vaddr(block),
            qemu::qemu_plugin_tb_n_insns(block),
        )
    };
    // QEMU keeps the address of the count for as long as it lives.
    let count: &'static Block = Box::leak(Box::new(Block {
        address,
        instructions: instructions as u64,
        runs: AtomicU64::new(0),
    }));
    if let Ok(mut blocks) = BLOCKS.lock() {
        blocks.push(count);
    }
    let data = (&raw const *count).cast_mut().cast();
    // SAFETY: The block is valid; `count` is never freed.
    unsafe { qemu::qemu_plugin_register_vcpu_tb_exec_cb(block, runs, qemu::NO_REGS, data) };
    for at in 0..instructions {
        // SAFETY: `at` is below the number of the block's instructions.
        follow(unsafe { qemu::qemu_plugin_tb_get_insn(block, at) });
    }
}

/// Asks to hear of an instruction if it is a mark, and of what it writes.
fn follow(insn: *mut Insn) {
    // SAFETY: QEMU's instruction is valid during the translation; its bytes are as many as it says.
    let bytes = unsafe {
        std::slice::from_raw_parts(
            qemu::qemu_plugin_insn_data(insn).cast::<u8>(),
            qemu::qemu_plugin_insn_size(insn),
        )
    };
    let mark: Option<qemu::Executed> = match bytes {
        _ if *bytes == BEGIN => Some(begin),
        _ if *bytes == END => Some(end),
        _ => None,
    };
    let none = std::ptr::null_mut();
    // SAFETY: The instruction is valid, the functions live as long as the plugin, and
    // ignore their data.
    unsafe {
        if let Some(mark) = mark {
            qemu::qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, qemu::NO_REGS, none);
        }
        qemu::qemu_plugin_register_vcpu_mem_cb(insn, wrote, qemu::NO_REGS, qemu::WRITES, none);
    }
}

extern "C" fn begin(_cpu: c_uint, _data: *mut c_void) {
    COUNTING.store(true, Ordering::Relaxed);
}

extern "C" fn end(_cpu: c_uint, _data: *mut c_void) {
    COUNTING.store(false, Ordering::Relaxed);
}

extern "C" fn runs(_cpu: c_uint, data: *mut c_void) {
    if COUNTING.load(Ordering::Relaxed) {
        // SAFETY: `translated` passed a block, and none is ever freed.
        let block = unsafe { &*data.cast::<Block>() };
        block.runs.fetch_add(1, Ordering::Relaxed);
    }
}

extern "C" fn wrote(_cpu: c_uint, info: MemoryInfo, address: u64, _data: *mut c_void) {
    // SAFETY: A pure function of its argument, which QEMU gave.
    let is_store = || unsafe { qemu::qemu_plugin_mem_is_store(info) };
    // QEMU 7.2 calls for some instructions that only read as well.
    if address < IMAGE || !COUNTING.load(Ordering::Relaxed) || !is_store() {
        return;
    }
    if let Ok(mut lines) = LINES.lock() {
        let lines = lines.get_or_insert_with(HashMap::new);
        *lines.entry(address & !(LINE - 1)).or_default() += 1;
    }
}

extern "C" fn ends(_id: Id, _data: *mut c_void) {
    if let Err(error) = write() {
        eprintln!("qemu-profile: {error}");
    }
}

fn write() -> std::io::Result<()> {
    let poisoned = || std::io::Error::other("a callback panicked");
    let out = OUT.lock().map_err(|_| poisoned())?;
    let Some(path) = &*out else { return Ok(()) };
    let mut file = BufWriter::new(File::create(path)?);
    for block in BLOCKS.lock().map_err(|_| poisoned())?.iter() {
        let runs = block.runs.load(Ordering::Relaxed);
        if runs > 0 {
            let (address, instructions) = (block.address, block.instructions);
            writeln!(file, "block {address:x} {instructions} {runs}")?;
        }
    }
    for (line, writes) in LINES.lock().map_err(|_| poisoned())?.iter().flatten() {
        writeln!(file, "line {line:x} {writes}")?;
    }
    file.flush()
}

/// The version of the interface that the plugin was written for.
#[no_mangle]
#[allow(non_upper_case_globals)]
pub static qemu_plugin_version: c_int = 1;

/// Called by QEMU when it loads the plugin; a number other than 0 refuses.
///
/// # Safety
///
/// `argv` holds `argc` strings, as QEMU promises.
#[no_mangle]
pub unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    _info: *const Info,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    for at in 0..argc as usize {
        // SAFETY: By the contract of this function.
        let argument = unsafe { CStr::from_ptr(*argv.add(at)) }.to_string_lossy();
        if let (Some(path), Ok(mut out)) = (argument.strip_prefix("out="), OUT.lock()) {
            *out = Some(path.to_owned());
        }
    }
    if OUT.lock().map_or(true, |out| out.is_none()) {
        eprintln!("qemu-profile: out=FILE is missing");
        return 1;
    }
    // SAFETY: `id` is ours; both functions live as long as the plugin.
    unsafe {
        qemu::qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu::qemu_plugin_register_atexit_cb(id, ends, std::ptr::null_mut());
    }
    0
}
