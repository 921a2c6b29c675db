// SPDX-License-Identifier: GPL-2.0

//! House rules that are checked on the text of a file: licences and layers.

/// The licence that a file must name, or none if it can name no licence (texts of
/// licences, lock files, binary and machine-made data).
pub fn licence_of(file: &str) -> Option<&'static str> {
    const NO_COMMENTS: [&str; 7] = [".lock", ".json", ".png", ".svg", ".gif", ".cast", ".txt"];
    let plain = NO_COMMENTS.iter().any(|end| file.ends_with(end));
    if plain || file == "COPYING" || file.starts_with("LICENSES/") {
        return None;
    }
    Some(
        if file.starts_with("user/") || file.starts_with("android/") {
            "MIT OR Apache-2.0"
        } else if file.starts_with("include/uapi/") {
            "GPL-2.0 WITH Linux-syscall-note"
        } else {
            "GPL-2.0"
        },
    )
}

/// Looks for the SPDX line: the first one, or the second after `#!`.
pub fn check_licence(text: &str, wanted: &str) -> Result<(), String> {
    const TAG: &str = "SPDX-License-Identifier: ";
    let mut lines = text.lines();
    let mut first = lines.next().unwrap_or_default();
    if first.starts_with("#!") {
        first = lines.next().unwrap_or_default();
    }
    let Some((_, rest)) = first.split_once(TAG) else {
        return Err("the first line has no SPDX-License-Identifier".into());
    };
    let found = rest
        .trim_end()
        .trim_end_matches("*/")
        .trim_end_matches("-->")
        .trim_end();
    if found == wanted {
        Ok(())
    } else {
        Err(format!("the licence is `{found}`, here it is `{wanted}`"))
    }
}

/// Files that a tool writes: not formatted by hand.
pub fn is_generated(file: &str) -> bool {
    file.ends_with("/generated.rs") || file.contains("/generated/")
}

/// The places that `rustfmt --check` would change, generated files left out.
pub fn unformatted(output: &str) -> Vec<String> {
    let mut places: Vec<String> = output
        .lines()
        .filter_map(|line| line.strip_prefix("Diff in "))
        .filter(|place| !place.split(':').next().is_some_and(is_generated))
        .map(|place| format!("rustfmt would change {}", place.trim_end_matches(':')))
        .collect();
    places.sort();
    places.dedup();
    places
}

/// What checkpatch is for: C, and the files of Kbuild. It knows little of Rust.
pub fn is_for_checkpatch(file: &str) -> bool {
    let module = ["core/", "shim/", "uapi-", "include/", "tests-kunit/"]
        .iter()
        .any(|dir| file.starts_with(dir));
    let c = file.ends_with(".c") || file.ends_with(".h");
    matches!(file, "Kbuild" | "Kconfig" | "Makefile") || (module && c)
}

/// Words that a layer must not name, in code (comments may).
const LAYERS: &[(&str, &[&str])] = &[
    (
        "core/",
        &["ioctl", "uapi", "UserSlice", "errno", "binder", "Binder"],
    ),
    ("uapi-bus1/", &["uapi_binder", "uapi-binder"]),
    ("uapi-binder/", &["uapi_bus1", "uapi-bus1"]),
];

/// Where a source file breaks the layers, or leaves `unsafe` possible without
/// using it.
pub fn layer_breaks(file: &str, text: &str) -> Vec<String> {
    let mut breaks = Vec::new();
    for (layer, words) in LAYERS.iter().filter(|(layer, _)| file.starts_with(layer)) {
        for (number, line) in text.lines().enumerate() {
            let code = code_of(line);
            for word in words.iter().filter(|word| code.contains(**word)) {
                breaks.push(format!("{file}:{}: {layer} names `{word}`", number + 1));
            }
        }
    }
    let module = ["core/", "uapi-bus1/", "uapi-binder/", "shim/"]
        .iter()
        .any(|dir| file.starts_with(dir));
    let code: Vec<&str> = text.lines().map(code_of).collect();
    let guarded = code
        .iter()
        .any(|line| line.contains("deny(unsafe_code)") || line.contains("forbid(unsafe_code)"));
    let uses = code.iter().any(|line| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(|word| word == "unsafe")
    });
    // What the root of a layer says would hold for all of its files.
    if module && !guarded && !uses && !file.ends_with("/mod.rs") {
        breaks.push(format!(
            "{file}: has no unsafe code, so it must say #![deny(unsafe_code)]"
        ));
    }
    breaks
}

/// A line without its comment. A `//` in a string counts as a comment too.
fn code_of(line: &str) -> &str {
    line.split("//").next().unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_by_place() {
        assert_eq!(licence_of("core/mod.rs"), Some("GPL-2.0"));
        assert_eq!(
            licence_of("user/bus1/src/lib.rs"),
            Some("MIT OR Apache-2.0")
        );
        assert_eq!(
            licence_of("include/uapi/linux/bus1.h"),
            Some("GPL-2.0 WITH Linux-syscall-note")
        );
        assert_eq!(licence_of("android/aosp/run.sh"), Some("MIT OR Apache-2.0"));
        assert_eq!(licence_of("user/Cargo.lock"), None);
        assert_eq!(licence_of("LICENSES/MIT"), None);
    }

    #[test]
    fn the_spdx_line_in_all_its_comments() {
        for text in [
            "// SPDX-License-Identifier: GPL-2.0\n",
            "/* SPDX-License-Identifier: GPL-2.0 */\n",
            "<!-- SPDX-License-Identifier: GPL-2.0 -->\n",
            "#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0\n",
        ] {
            assert_eq!(check_licence(text, "GPL-2.0"), Ok(()));
        }
        assert!(check_licence("// SPDX-License-Identifier: MIT\n", "GPL-2.0").is_err());
        assert!(check_licence("\n// SPDX-License-Identifier: GPL-2.0\n", "GPL-2.0").is_err());
        assert!(check_licence("", "GPL-2.0").is_err());
    }

    #[test]
    fn generated_files_are_not_formatted() {
        let output =
            "Diff in /x/core/a.rs:12:\n-a\n+b\nDiff in /x/bus1-sys/src/generated.rs:1:\n-a\n";
        assert_eq!(
            unformatted(output),
            ["rustfmt would change /x/core/a.rs:12"]
        );
    }

    #[test]
    fn layers_are_judged_by_code_not_by_comments() {
        let good = "// No ioctl here.\n#![deny(unsafe_code)]\nfn f() {}\n";
        assert!(layer_breaks("core/x.rs", good).is_empty());
        let bad = "#![deny(unsafe_code)]\nuse kernel::ioctl;\n";
        assert_eq!(
            layer_breaks("core/x.rs", bad),
            ["core/x.rs:2: core/ names `ioctl`"]
        );
        assert!(layer_breaks("shim/x.rs", bad).is_empty());
        assert_eq!(
            layer_breaks(
                "uapi-bus1/x.rs",
                "#![deny(unsafe_code)]\nuse crate::uapi_binder;\n"
            )
            .len(),
            1
        );
    }

    #[test]
    fn a_file_without_unsafe_must_say_so() {
        assert_eq!(layer_breaks("core/x.rs", "fn f() {}\n").len(), 1);
        assert!(layer_breaks("core/x.rs", "unsafe { f() }\n").is_empty());
        assert!(layer_breaks("core/mod.rs", "mod x;\n").is_empty());
        assert!(layer_breaks("tests-kunit/x.rs", "fn f() {}\n").is_empty());
    }
}
