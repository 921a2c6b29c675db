// SPDX-License-Identifier: MIT OR Apache-2.0

//! Making the kernel want its memory back, and seeing what it gets.

#![forbid(unsafe_code)]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::mount::{mount, unmount, MountFlags, UnmountFlags};

use crate::verdict::{skip, wrong, Verdict};

/// Whether this is User Mode Linux. When it flushes all of an address space, it walks the areas of
/// that without a lock, and says so: "suspicious RCU usage". Which it does when two flush it at once:
/// who unmaps something, and who takes pages away. No other machine does.
pub fn flushes_walk_areas() -> bool {
    fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("User Mode Linux"))
}

/// Has all shrinkers of the kernel give back what they can.
pub fn drop_caches() -> Verdict {
    match fs::write("/proc/sys/vm/drop_caches", "2") {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied
            ) =>
        {
            skip(format!(
                "/proc/sys/vm/drop_caches can't be written: {error}"
            ))
        }
        other => Ok(other?),
    }
}

/// How many pages pools have given back since the module was loaded.
pub fn pages_reclaimed() -> Verdict<u64> {
    const FILE: &str = "/sys/kernel/debug/bus1/counters";
    let Ok(text) = fs::read_to_string(FILE) else {
        return skip(format!("{FILE} can't be read"));
    };
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("pages-reclaimed "));
    match value.and_then(|value| value.parse().ok()) {
        Some(value) => Ok(value),
        None => Err(wrong(format_args!("{FILE} has no pages-reclaimed"))),
    }
}

/// A group of processes whose memory is counted and limited. It is gone with this
/// value, as far as what was charged to it is.
pub struct Group {
    root: PathBuf,
    own: PathBuf,
}

impl Group {
    /// A new group, empty.
    pub fn new() -> Verdict<Self> {
        let root = std::env::temp_dir().join(format!("cgroups-{}", std::process::id()));
        fs::create_dir_all(&root)?;
        if let Err(errno) = mount("cgroup2", &root, "cgroup2", MountFlags::empty(), None) {
            return skip(format!("cgroup2 can't be mounted: {errno}"));
        }
        let own = root.join("receiver");
        let group = Group { root, own };
        if fs::write(group.root.join("cgroup.subtree_control"), "+memory").is_err() {
            return skip("the kernel has no memory controller");
        }
        fs::create_dir_all(&group.own)?;
        Ok(group)
    }

    /// Puts this process into the group while `what` runs.
    pub fn inside<T>(&self, what: impl FnOnce() -> Verdict<T>) -> Verdict<T> {
        let me = std::process::id().to_string();
        fs::write(self.own.join("cgroup.procs"), &me)?;
        let result = what();
        fs::write(self.root.join("cgroup.procs"), &me)?;
        result
    }

    /// Bytes that are charged to it.
    pub fn charged(&self) -> Verdict<u64> {
        self.number("memory.current", None)
    }

    /// How often somebody was killed for its limit.
    pub fn kills(&self) -> Verdict<u64> {
        self.number("memory.events", Some("oom_kill "))
    }

    /// Limits what can be charged to it.
    pub fn limit(&self, bytes: u64) -> Verdict {
        Ok(fs::write(self.own.join("memory.max"), bytes.to_string())?)
    }

    fn number(&self, file: &str, line: Option<&str>) -> Verdict<u64> {
        let text = fs::read_to_string(self.own.join(file))?;
        let value = match line {
            Some(word) => text.lines().find_map(|line| line.strip_prefix(word)),
            None => Some(text.trim()),
        };
        match value.and_then(|value| value.parse().ok()) {
            Some(value) => Ok(value),
            None => Err(wrong(format_args!("{file} says {text:?}"))),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group is busy for a moment after its last page went; the guest does not live long.
        for _ in 0..20 {
            if remove(&self.own).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = unmount(&self.root, UnmountFlags::DETACH);
        let _ = remove(&self.root);
    }
}

fn remove(dir: &Path) -> std::io::Result<()> {
    fs::remove_dir(dir)
}
