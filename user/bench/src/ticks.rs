// SPDX-License-Identifier: MIT OR Apache-2.0

//! The clock of the benchmarks: the time stamp counter.
//!
//! Under `qemu -accel tcg -icount shift=0,sleep=off` with one CPU, virtual time
//! advances by one nanosecond for each instruction of the guest, and QEMU's
//! time stamp counter *is* that virtual time: it advances by one per
//! instruction, of kernel and user space alike. When every CPU is idle, virtual
//! time jumps to the next timer instead; a ping-pong on one CPU is never idle.
//! `CLOCK_MONOTONIC` would say the same, but the kernel derives it from a clock
//! source that it calibrates at boot, so it is off by up to some parts in ten
//! thousand, and reading it costs instructions of its own.
//!
//! Nothing of this is taken on trust: [`per_instruction`] counts the ticks of
//! a loop whose instructions are known. (Measured with QEMU 7.2 and a boot
//! sector: 2 000 000 instructions of such a loop, three around it, 2 000 003
//! ticks in each of five rounds.) Elsewhere, on real hardware or in User
//! Mode Linux, the counter counts cycles of the host, and the result must not
//! be called instructions.

/// Reads the counter.
#[inline]
pub fn now() -> u64 {
    // SAFETY: RDTSC needs no feature beyond x86_64, and user space may use it
    // unless a process forbade it to itself.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Tells a profiler that watches the guest that what is measured begins here: an
/// instruction that does nothing, with a number in it (`tools/qemu-profile`).
#[inline(always)]
pub fn mark_begin() {
    // SAFETY: `nopl 0x6e673162(%rax)` accesses nothing.
    unsafe { core::arch::asm!(".byte 0x0f, 0x1f, 0x80, 0x62, 0x31, 0x67, 0x6e") };
}

/// The same for its end.
#[inline(always)]
pub fn mark_end() {
    // SAFETY: `nopl 0x64653162(%rax)` accesses nothing.
    unsafe { core::arch::asm!(".byte 0x0f, 0x1f, 0x80, 0x62, 0x31, 0x65, 0x64") };
}

const ROUNDS: u64 = 1_000_000;

/// Runs a loop of exactly `2 * rounds` instructions.
#[inline(never)]
fn countdown(rounds: u64) {
    // SAFETY: Changes one register and the flags, both declared.
    unsafe {
        core::arch::asm!(
            "2:",
            "dec {left}",
            "jnz 2b",
            left = inout(reg) rounds => _,
            options(nomem, nostack),
        );
    }
}

/// Ticks per instruction, the best of a few attempts.
pub fn per_instruction() -> f64 {
    let attempt = |_| {
        let begin = now();
        countdown(ROUNDS);
        now() - begin
    };
    let best = (0..5).map(attempt).min().unwrap_or(0);
    best as f64 / (2 * ROUNDS) as f64
}

/// What a number of ticks may be called: `instructions` if one tick is one
/// instruction to a tenth of a percent, else `ticks`.
pub fn unit(per_instruction: f64) -> &'static str {
    if (per_instruction - 1.0).abs() < 0.001 {
        "instructions"
    } else {
        "ticks"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_ticks_are_called_instructions() {
        assert_eq!(unit(1.0), "instructions");
        assert_eq!(unit(1.0004), "instructions");
        assert_eq!(unit(0.5), "ticks");
        assert_eq!(unit(1.01), "ticks");
    }

    #[test]
    fn the_counter_runs() {
        assert!(per_instruction() > 0.0);
    }
}
