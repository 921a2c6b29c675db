// SPDX-License-Identifier: GPL-2.0

//! What is used of QEMU's plugin interface, version 1.

use std::ffi::{c_int, c_uint, c_void};

/// Names a plugin to QEMU.
pub type Id = u64;
/// Says of what kind an access to memory was.
pub type MemoryInfo = u32;

/// What QEMU tells of itself; not looked at.
#[repr(C)]
pub struct Info(());
/// A block of code that is being translated.
#[repr(C)]
pub struct TranslatedBlock(());
/// An instruction of it.
#[repr(C)]
pub struct Insn(());

/// Called when a block or an instruction runs: the CPU, the caller's data.
pub type Executed = extern "C" fn(c_uint, *mut c_void);
/// Called for an access: the CPU, its kind, the guest's address, the caller's data.
pub type Accessed = extern "C" fn(c_uint, MemoryInfo, u64, *mut c_void);

/// The callback looks at no register.
pub const NO_REGS: c_int = 0;
/// Of accesses, the writing ones.
pub const WRITES: c_int = 2;

extern "C" {
    pub fn qemu_plugin_register_vcpu_tb_trans_cb(
        id: Id,
        callback: extern "C" fn(Id, *mut TranslatedBlock),
    );
    pub fn qemu_plugin_register_atexit_cb(
        id: Id,
        callback: extern "C" fn(Id, *mut c_void),
        data: *mut c_void,
    );
    pub fn qemu_plugin_tb_vaddr(block: *const TranslatedBlock) -> u64;
    pub fn qemu_plugin_tb_n_insns(block: *const TranslatedBlock) -> usize;
    pub fn qemu_plugin_tb_get_insn(block: *const TranslatedBlock, at: usize) -> *mut Insn;
    pub fn qemu_plugin_insn_data(insn: *const Insn) -> *const c_void;
    pub fn qemu_plugin_mem_is_store(info: MemoryInfo) -> bool;
    pub fn qemu_plugin_insn_size(insn: *const Insn) -> usize;
    pub fn qemu_plugin_register_vcpu_tb_exec_cb(
        block: *mut TranslatedBlock,
        callback: Executed,
        flags: c_int,
        data: *mut c_void,
    );
    pub fn qemu_plugin_register_vcpu_insn_exec_cb(
        insn: *mut Insn,
        callback: Executed,
        flags: c_int,
        data: *mut c_void,
    );
    pub fn qemu_plugin_register_vcpu_mem_cb(
        insn: *mut Insn,
        callback: Accessed,
        flags: c_int,
        kinds: c_int,
        data: *mut c_void,
    );
}
