// SPDX-License-Identifier: MIT OR Apache-2.0

//! binderfs. These cases mount instances of their own, and do it in the
//! conductor, which is a process of this case alone.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::mount::{mount, unmount, MountFlags, UnmountFlags};

use super::{case, Case};
use crate::abi::nr;
use crate::actor::{Proc, Thread};
use crate::ops;
use crate::shapes;
use crate::shm;
use crate::wire::{bc, Tx};
use crate::world::{check, ctl_add, same, Cx, Res, MANAGER, MAPPING};

pub(super) const CASES: &[Case] = &[
    case!(76 fs_ctl_add_names),
    case!(76 fs_max_devices),
    case!(76 fs_mount_options),
    case!(76 fs_control_node_is_protected),
    case!(76 fs_unlinked_device_works_on),
    case!(76 fs_device_survives_lazy_umount),
    case!(76 fs_same_name_is_another_context),
    case!(76 fs_rename_keeps_the_context),
    case!(76 fs_adding_beside_unmounting),
    case!(77 fs_what_is_in_it),
    case!(77 fs_features),
];

const EACCES: i64 = -(libc::EACCES as i64);
const EEXIST: i64 = -(libc::EEXIST as i64);
const ENOSPC: i64 = -(libc::ENOSPC as i64);
const EINVAL: i64 = -(libc::EINVAL as i64);

/// An instance of its own, unmounted at the end.
struct Instance(String);

impl Instance {
    fn path(name: &str) -> Res<String> {
        let path = format!("/tmp/binder-{}-{name}", std::process::id());
        fs::create_dir(&path)?;
        Ok(path)
    }

    fn new(name: &str, options: &str) -> Res<Self> {
        let path = Self::path(name)?;
        let options = CString::new(options).unwrap_or_default();
        mount(
            "binder",
            path.as_str(),
            "binder",
            MountFlags::empty(),
            options.as_c_str(),
        )?;
        Ok(Instance(path))
    }

    fn entry(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    fn add(&self, name: &str) -> Res<i64> {
        Ok(ctl_add(&self.0, name.as_bytes())?.0)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = unmount(self.0.as_str(), UnmountFlags::DETACH);
        let _ = fs::remove_dir(&self.0);
    }
}

/// Mounts with options that are refused; gives the errno.
fn refused(name: &str, options: &str) -> Res<i32> {
    let path = Instance::path(name)?;
    let text = CString::new(options).unwrap_or_default();
    let result = mount(
        "binder",
        path.as_str(),
        "binder",
        MountFlags::empty(),
        text.as_c_str(),
    );
    if result.is_ok() {
        let _ = unmount(path.as_str(), UnmountFlags::DETACH);
    }
    fs::remove_dir(&path)?;
    Ok(result.map_or_else(|error| error.raw_os_error(), |()| 0))
}

fn os_error<T>(result: std::io::Result<T>) -> i32 {
    result
        .err()
        .and_then(|error| error.raw_os_error())
        .unwrap_or(0)
}

fn fs_ctl_add_names(cx: &Cx) -> Res {
    let i = Instance::new("names", "")?;
    let long = "n".repeat(255);
    let names = [
        ("one", 0),
        ("one", EEXIST),
        ("features", EEXIST),
        ("binder-control", EEXIST),
        ("", EACCES),
        (".", EACCES),
        ("..", EACCES),
        ("a/b", EACCES),
        (long.as_str(), 0),
    ];
    for (name, want) in names {
        let got = i.add(name)?;
        cx.note(format!("add {:.8} {got}", name));
        same(name, got, want)?;
    }
    // 256 bytes without an end: cut to 255, which exist already.
    same("no NUL", ctl_add(&i.0, &[b'n'; 256])?.0, EEXIST)?;
    let (result, major, minor) = ctl_add(&i.0, b"two")?;
    same("two", result, 0)?;
    let meta = fs::metadata(i.entry("two"))?;
    let device = (libc::major(meta.rdev()), libc::minor(meta.rdev()));
    same("device number", device, (major, minor))?;
    same("mode", meta.permissions().mode() & 0o7777, 0o600)?;
    same("inode", meta.ino(), u64::from(minor) + 3)?;
    let control = File::open(i.entry("binder-control"))?;
    let args = [
        control.as_raw_fd() as u64,
        u64::from(nr::VERSION),
        0,
        0,
        0,
        0,
    ];
    same("another ioctl", ops::ioctl(args), EINVAL)?;
    let args = [
        control.as_raw_fd() as u64,
        u64::from(nr::CTL_ADD),
        8,
        0,
        0,
        0,
    ];
    same("bad pointer", ops::ioctl(args), -i64::from(libc::EFAULT))
}

fn fs_max_devices(cx: &Cx) -> Res {
    // Each instance begins with the devices of the module's parameter.
    let begin = {
        let plain = Instance::new("plain", "")?;
        let names = fs::read_dir(&plain.0)?.map(|entry| Ok(entry?.file_name()));
        let names = names.collect::<std::io::Result<Vec<_>>>()?;
        let fixed = ["binder-control", "features", "binder_logs"];
        names
            .iter()
            .filter(|name| !fixed.iter().any(|other| name == other))
            .count()
    };
    let i = Instance::new("max", &format!("max={}", begin + 2))?;
    let got = [i.add("a")?, i.add("b")?, i.add("c")?];
    cx.note(format!("{got:?}"));
    same("results", got, [0, 0, ENOSPC])?;
    fs::remove_file(i.entry("a"))?;
    same("a place again", [i.add("c")?, i.add("d")?], [0, ENOSPC])
}

fn fs_mount_options(cx: &Cx) -> Res {
    let wrong = [
        "max=1048577",
        "max=-1",
        "max=x",
        "nonsense=1",
        "stats=local",
    ];
    for options in wrong {
        let got = refused("options", options)?;
        cx.note(format!("{options} {got}"));
        same(options, got, libc::EINVAL)?;
    }
    let i = Instance::new("shown", "max=7")?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let line = mounts
        .lines()
        .find(|line| line.contains(&i.0))
        .unwrap_or("");
    check("max is shown", line.contains(",max=7"))?;
    check("type", line.split(' ').nth(2) == Some("binder"))
}

fn fs_control_node_is_protected(cx: &Cx) -> Res {
    let i = Instance::new("control", "")?;
    same("add", i.add("dev")?, 0)?;
    let control = i.entry("binder-control");
    let results = [
        os_error(fs::remove_file(&control)),
        os_error(fs::rename(&control, i.entry("other"))),
        os_error(fs::rename(i.entry("dev"), &control)),
        os_error(
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(i.entry("file")),
        ),
        os_error(fs::create_dir(i.entry("dir"))),
        os_error(std::os::unix::fs::symlink("dev", i.entry("link"))),
        os_error(fs::hard_link(i.entry("dev"), i.entry("hard"))),
    ];
    cx.note(format!("{results:?}"));
    same(
        "unlink, rename away, rename onto",
        &results[..3],
        &[libc::EPERM; 3],
    )?;
    check(
        "nothing can be made",
        results[3..].iter().all(|errno| *errno != 0),
    )
}

/// One call from a client to a manager, both opened at `path` by now.
fn talk(m: &Thread, a: &Thread) -> Res {
    a.write(&bc().call(Tx::to(0).code(1)))?;
    let call = m.accept()?;
    m.write(&bc().free(call.buffer))?;
    m.answer_with(Tx::answer())?;
    let end = a.ending()?;
    a.write(&bc().free(end.buffer))
}

/// A process with the device at `path` mapped and greeted.
fn user(cx: &Cx, name: &str, path: &str) -> Res<Proc> {
    let mut proc = cx.process(name)?;
    proc.open(path)?;
    check("mmap", proc.map(MAPPING)? > 0)?;
    proc.greet()?;
    Ok(proc)
}

fn fs_unlinked_device_works_on(cx: &Cx) -> Res {
    let i = Instance::new("unlink", "")?;
    same("add", i.add("dev")?, 0)?;
    let m = user(cx, "M", &i.entry("dev"))?;
    let a = user(cx, "A", &i.entry("dev"))?;
    same("manager", m.become_manager(MANAGER)?, 0)?;
    fs::remove_file(i.entry("dev"))?;
    talk(&m, &a)?;
    // The name is free; behind it is a context without a manager.
    same("add", i.add("dev")?, 0)?;
    let b = user(cx, "B", &i.entry("dev"))?;
    b.write_read(&bc().call(Tx::to(0)))?
        .expect("NOOP DEAD_REPLY")?;
    talk(&m, &a)
}

fn fs_device_survives_lazy_umount(cx: &Cx) -> Res {
    let i = Instance::new("lazy", "")?;
    same("add", i.add("dev")?, 0)?;
    let m = user(cx, "M", &i.entry("dev"))?;
    let a = user(cx, "A", &i.entry("dev"))?;
    same("manager", m.become_manager(MANAGER)?, 0)?;
    let busy = unmount(i.0.as_str(), UnmountFlags::empty());
    same("umount", busy.err(), Some(rustix::io::Errno::BUSY))?;
    drop(i);
    talk(&m, &a)
}

fn fs_same_name_is_another_context(cx: &Cx) -> Res {
    let (one, two) = (Instance::new("one", "")?, Instance::new("two", "")?);
    same("add", (one.add("dev")?, two.add("dev")?), (0, 0))?;
    let m = user(cx, "M", &one.entry("dev"))?;
    let n = user(cx, "N", &two.entry("dev"))?;
    same(
        "both managers",
        (m.become_manager(MANAGER)?, n.become_manager(MANAGER)?),
        (0, 0),
    )?;
    let a = user(cx, "A", &two.entry("dev"))?;
    talk(&n, &a)?;
    m.idle()
}

fn fs_rename_keeps_the_context(cx: &Cx) -> Res {
    let i = Instance::new("rename", "")?;
    same("add", (i.add("dev")?, i.add("old")?), (0, 0))?;
    let m = user(cx, "M", &i.entry("dev"))?;
    same("manager", m.become_manager(MANAGER)?, 0)?;
    fs::rename(i.entry("dev"), i.entry("old"))?;
    let a = user(cx, "A", &i.entry("old"))?;
    talk(&m, &a)?;
    same(
        "the old name",
        os_error(File::open(i.entry("dev"))),
        libc::ENOENT,
    )
}

fn fs_what_is_in_it(cx: &Cx) -> Res {
    let i = Instance::new("list", "")?;
    let magic = rustix::fs::statfs(i.0.as_str())?.f_type;
    same("magic", magic as u64, 0x6c6f_6f70)?;
    let control = fs::metadata(i.entry("binder-control"))?;
    same(
        "control's mode",
        control.permissions().mode() & 0o7777,
        0o600,
    )?;
    let inodes = (fs::metadata(&i.0)?.ino(), control.ino());
    cx.note(format!("inodes {inodes:?}"));
    same("inodes", inodes, (1, 2))?;
    check("features", fs::metadata(i.entry("features"))?.is_dir())
}

fn fs_features(cx: &Cx) -> Res {
    let i = Instance::new("features", "")?;
    let mut features: Vec<_> = Vec::new();
    for entry in fs::read_dir(i.entry("features"))? {
        let entry = entry?;
        same("content", fs::read_to_string(entry.path())?, "1\n".into())?;
        same(
            "mode",
            entry.metadata()?.permissions().mode() & 0o7777,
            0o444,
        )?;
        features.push(entry.file_name().to_string_lossy().into_owned());
    }
    features.sort();
    cx.note(format!("features {features:?}"));
    check(
        "extended errors",
        features.iter().any(|name| name == "extended_error"),
    )
}

fn fs_adding_beside_unmounting(cx: &Cx) -> Res {
    let adders = [cx.process("P")?, cx.process("Q")?];
    cx.quiet(true);
    for round in 0..12 {
        let i = Instance::new("adding", "")?;
        same("the first", i.add("one")?, 0)?;
        let at = shm::put(format!("{}\0", i.entry("binder-control")).as_bytes());
        for adder in &adders {
            adder.begin(shapes::add, &[at, 100]);
        }
        std::thread::sleep(std::time::Duration::from_millis(round));
        drop(i);
        for adder in &adders {
            // It may have come too late to open anything.
            let added = adder.end_of_work("add")?;
            check(&format!("it may be added ({added})"), added >= 0)?;
        }
    }
    cx.quiet(false);
    cx.note("12 instances");
    Ok(())
}
