// SPDX-License-Identifier: GPL-2.0

//! Cached things are keyed by a hash of what they were made from, and count only
//! when their stamp is there: it is written last, so that an interrupted step
//! leaves nothing that looks finished.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use sha2::{Digest, Sha256};

/// A key under construction: named parts in a fixed order.
#[derive(Default)]
pub struct Key(Sha256);

impl Key {
    /// Adds a part. Name and length are hashed too, so that no two different
    /// lists of parts give the same bytes.
    pub fn part(mut self, name: &str, value: &str) -> Self {
        for text in [name, value] {
            self.0.update((text.len() as u64).to_le_bytes());
            self.0.update(text.as_bytes());
        }
        self
    }

    /// The first 48 bits, in hexadecimal.
    pub fn finish(self) -> String {
        self.0
            .finalize()
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// Where the stamp of a folder or file lies: beside it.
fn stamp_path(of: &Path) -> PathBuf {
    let mut name = of.as_os_str().to_owned();
    name.push(".stamp");
    PathBuf::from(name)
}

/// The stamp's text, if `of` is there and finished.
pub fn stamp(of: &Path) -> Option<String> {
    if !of.exists() {
        return None;
    }
    fs::read_to_string(stamp_path(of)).ok()
}

/// Declares `of` finished. Replaces an older stamp in one step.
pub fn set_stamp(of: &Path, text: &str) -> Result<()> {
    write_whole(&stamp_path(of), text.as_bytes())
}

/// Removes a cached folder, stamp first.
pub fn remove(of: &Path) -> Result<()> {
    for path in [stamp_path(of), of.to_owned()] {
        let outcome = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match outcome {
            Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
                return Err(err).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes a file under another name first, so that it is never there by half.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    fs::write(&new, bytes).with_context(|| format!("cannot write {}", new.display()))?;
    fs::rename(&new, path).with_context(|| format!("cannot write {}", path.display()))
}

/// Makes a folder as a whole: `fill` works in an empty folder beside it, which
/// then takes its name. What an interrupted attempt left is removed first.
pub fn make_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    remove(&new)?;
    remove(path)?;
    fs::create_dir_all(&new).with_context(|| format!("cannot make {}", new.display()))?;
    fill(&new)?;
    fs::rename(&new, path).with_context(|| format!("cannot make {}", path.display()))
}

/// Removes all but the newest `keep` finished trees named `<prefix>-...`.
pub fn prune(parent: &Path, prefix: &str, keep: usize) -> Result<()> {
    let mut trees = Vec::new();
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if path.is_dir()
            && name
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with('-'))
        {
            let made = fs::metadata(stamp_path(&path))
                .and_then(|meta| meta.modified())
                .ok();
            trees.push((made, path));
        }
    }
    trees.sort();
    trees.reverse();
    for (_, path) in trees.iter().skip(keep) {
        remove(path)?;
    }
    Ok(())
}

/// Fails unless `path`'s disk has `megabytes` free for `what`.
pub fn need_space(path: &Path, megabytes: u64, what: &str) -> Result<()> {
    let disk =
        rustix::fs::statvfs(path).with_context(|| format!("cannot look at {}", path.display()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize) / (1 << 20);
    if free < megabytes {
        bail!(
            "{what} needs {megabytes} MB but {} has {free} MB free: make room, or set BUS1_CACHE to a folder on a larger disk",
            path.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn keys_depend_on_every_part_and_its_place() {
        let base = Key::default().part("a", "1").part("b", "2").finish();
        assert_eq!(base, Key::default().part("a", "1").part("b", "2").finish());
        assert_eq!(base.len(), 12);
        assert_ne!(base, Key::default().part("a", "1").part("b", "3").finish());
        assert_ne!(base, Key::default().part("b", "2").part("a", "1").finish());
        assert_ne!(
            Key::default().part("a", "bc").finish(),
            Key::default().part("ab", "c").finish()
        );
    }

    #[test]
    fn nothing_counts_before_its_stamp() {
        let dir = scratch("stamp");
        let tree = dir.join("tree");
        assert_eq!(stamp(&tree), None);
        make_folder(&tree, |new| Ok(fs::write(new.join("x"), "1")?)).unwrap();
        assert_eq!(stamp(&tree), None);
        set_stamp(&tree, "k").unwrap();
        assert_eq!(stamp(&tree).as_deref(), Some("k"));
        remove(&tree).unwrap();
        assert_eq!(stamp(&tree), None);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_failed_fill_leaves_no_folder() {
        let dir = scratch("fill");
        let tree = dir.join("tree");
        assert!(make_folder(&tree, |_| bail!("half way")).is_err());
        assert!(!tree.exists());
        make_folder(&tree, |new| {
            assert_eq!(fs::read_dir(new)?.count(), 0);
            Ok(())
        })
        .unwrap();
        assert!(tree.exists());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn prune_keeps_the_newest_of_its_own_kind() {
        let dir = scratch("prune");
        for name in ["uml-1", "uml-2", "uml-3", "umlx-1"] {
            fs::create_dir(dir.join(name)).unwrap();
            set_stamp(&dir.join(name), "k").unwrap();
            std::thread::sleep(std::time::Duration::from_millis(15));
        }
        prune(&dir, "uml", 2).unwrap();
        assert!(!dir.join("uml-1").exists());
        assert!(
            dir.join("uml-2").exists() && dir.join("uml-3").exists() && dir.join("umlx-1").exists()
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn too_little_disk_is_one_sentence() {
        let err = need_space(Path::new("/"), u64::MAX >> 21, "a test")
            .unwrap_err()
            .to_string();
        assert!(err.contains("make room") && !err.contains('\n'));
    }
}
