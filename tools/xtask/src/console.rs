// SPDX-License-Identifier: GPL-2.0

//! Judging the console of a guest. Tests may say what they like: a kernel that
//! complained fails the run.

/// Each of these anywhere in a line is a complaint of the kernel.
const SPLATS: &[&str] = &[
    "BUG:",
    "WARNING:",
    "KASAN:",
    "UBSAN:",
    "Kernel panic",
    "Oops:",
    "kernel BUG at",
    "sleeping function",
    "scheduling while atomic",
    "possible circular",
    "possible recursive locking",
    "possible irq lock inversion",
    "inconsistent lock state",
    "bad unlock balance",
    "held lock freed",
    "suspicious RCU usage",
    "Invalid wait context",
    "refcount_t",
    "unreferenced object",
    "ODEBUG:",
    "list_add corruption",
    "list_del corruption",
    "blocked for more than",
    "rust_kernel: panicked",
];

/// Known complaints of the architecture at boot: the first line, and what one of
/// the next lines must contain. They are let through before `begin` only.
const KNOWN: &[(&str, &str)] = &[
    // UML frees a stack while it brings up its second CPU, before that counts as
    // online; seen with CONFIG_PROVE_RCU only.
    (
        "WARNING: suspicious RCU usage",
        "Callback enqueued on offline CPU!!",
    ),
];

/// A known complaint explains itself within so many lines.
const KNOWN_LINES: usize = 6;
/// So many lines of a complaint are shown.
const SHOWN_LINES: usize = 24;

/// What the markers of `init.sh` said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Markers {
    /// The command was started.
    pub began: bool,
    /// Its exit status.
    pub exit: Option<i32>,
    /// Everything that init could not do.
    pub problems: Vec<String>,
    /// Number of lock classes and whether lockdep was still on.
    pub lockdep: Option<(u32, bool)>,
    /// kmemleak was asked.
    pub kmemleak: bool,
    /// The guest came to its end.
    pub ended: bool,
}

/// Collects the markers from a console log.
pub fn markers(console: &str) -> Markers {
    let mut found = Markers::default();
    for line in console.lines() {
        let Some((_, text)) = line.split_once("bus1-guest: ") else {
            continue;
        };
        let text = text.trim_end();
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "begin" => found.began = true,
            "exit" => found.exit = rest.parse().ok(),
            "problem:" | "broken:" => found.problems.push(rest.to_owned()),
            "lockdep" => found.lockdep = lockdep(rest),
            "kmemleak" => found.kmemleak = true,
            "end" => found.ended = true,
            _ => {}
        }
    }
    found
}

fn lockdep(text: &str) -> Option<(u32, bool)> {
    let (classes, alive) = text.split_once(' ')?;
    Some((classes.parse().ok()?, alive == "1"))
}

/// The complaints of the kernel, each with some of the lines that follow it.
pub fn splats(console: &str) -> Vec<String> {
    let lines: Vec<&str> = console.lines().collect();
    let began = lines
        .iter()
        .position(|line| line.contains("bus1-guest: begin"))
        .unwrap_or(lines.len());
    let mut found = Vec::new();
    let mut next = 0;
    for (at, line) in lines.iter().enumerate() {
        if at < next || !SPLATS.iter().any(|splat| line.contains(splat)) {
            continue;
        }
        let known_end = lines.len().min(at + KNOWN_LINES);
        if at < began && is_known(&lines[at..known_end]) {
            next = known_end;
            continue;
        }
        let end = lines.len().min(at + SHOWN_LINES);
        next = end;
        found.push(lines[at..end].join("\n"));
    }
    found
}

fn is_known(block: &[&str]) -> bool {
    KNOWN.iter().any(|(first, later)| {
        block[0].contains(first) && block[1..].iter().any(|line| line.contains(later))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[ 0.1] Linux\nbus1-guest: begin\n[ 0.2] binder loaded\nbus1-guest: exit 0\nbus1-guest: lockdep 412 1\nbus1-guest: end\n";

    #[test]
    fn a_good_console() {
        let found = markers(GOOD);
        assert!(found.began && found.ended && found.problems.is_empty() && !found.kmemleak);
        assert_eq!(found.exit, Some(0));
        assert_eq!(found.lockdep, Some((412, true)));
        assert!(splats(GOOD).is_empty());
    }

    #[test]
    fn a_guest_that_could_not_unload() {
        let found = markers("bus1-guest: begin\nbus1-guest: exit 3\nbus1-guest: problem: cannot unload bus1\nbus1-guest: lockdep 2 0\n");
        assert_eq!(found.exit, Some(3));
        assert_eq!(found.problems, ["cannot unload bus1"]);
        assert_eq!(found.lockdep, Some((2, false)));
        assert!(!found.ended);
    }

    #[test]
    fn every_kind_of_complaint_is_seen_once() {
        for splat in SPLATS {
            let console = format!("[ 1.0] {splat} x\nmore\nof it\n");
            assert_eq!(splats(&console).len(), 1, "{splat}");
        }
        assert_eq!(splats("[ 1] WARNING: a\n[ 1] BUG: same report\n").len(), 1);
    }

    const AT_BOOT: &str = "[ 2.6] WARNING: suspicious RCU usage\n[ 2.6] 7.3.4 #1 Not tainted\n[ 2.6] ---\n[ 2.6] kernel/rcu/tree.c:3185 Callback enqueued on offline CPU!!\n";

    #[test]
    fn the_known_complaint_is_let_through_at_boot_only() {
        assert!(splats(&format!("{AT_BOOT}{GOOD}")).is_empty());
        assert_eq!(splats(&format!("{GOOD}{AT_BOOT}")).len(), 1);
        let other = AT_BOOT.replace("offline CPU", "another CPU");
        assert_eq!(splats(&format!("{other}{GOOD}")).len(), 1);
        let more = format!("{AT_BOOT}[ 2.7]\n[ 2.7]\n[ 2.7] BUG: something else\n{GOOD}");
        assert_eq!(splats(&more).len(), 1);
    }

    #[test]
    fn a_complaint_late_in_a_long_console_is_seen() {
        let console = format!("{}[ 9] WARNING: late\n", "quiet\n".repeat(500));
        assert_eq!(splats(&console), ["[ 9] WARNING: late"]);
    }
}
