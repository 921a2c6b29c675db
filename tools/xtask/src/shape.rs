// SPDX-License-Identifier: GPL-2.0

//! House rules about how sources lie: no file and no function that one can't keep
//! in mind, and no file that is never compiled.

/// Longest file of Rust, in lines.
const FILE_MAX: usize = 700;
/// Longest function, in lines.
const FUNCTION_MAX: usize = 60;

/// What is too long in a file of Rust. The text is as rustfmt leaves it, so that a
/// function ends at a brace that stands where it begins.
pub fn too_long(file: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut problems = Vec::new();
    if lines.len() > FILE_MAX {
        problems.push(format!(
            "{file}: {} lines, at most {FILE_MAX} are wanted",
            lines.len()
        ));
    }
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let length = lines[start..].iter().position(|line| *line == end);
        let length = length.map_or(1, |length| length + 1);
        // A function without a body has no brace of its own: another one's is found.
        if length > FUNCTION_MAX && has_body(&lines[start..]) {
            problems.push(format!(
                "{file}:{}: `{name}` has {length} lines, at most {FUNCTION_MAX} are wanted",
                start + 1
            ));
        }
    }
    problems
}

/// The name of the function that begins on this line.
fn function(line: &str) -> Option<&str> {
    let code = line.trim_start();
    let (before, after) = code.split_once("fn ")?;
    let introduces = |word: &str| {
        word.starts_with("pub") || word.starts_with('"') || {
            ["const", "async", "unsafe", "extern", "default"].contains(&word)
        }
    };
    let visible = before.replace("pub(in ", "pub(");
    if !visible.split_whitespace().all(introduces) {
        return None;
    }
    after.split(['(', '<']).next()
}

/// Whether the function at the first line has a body, rather than a semicolon.
fn has_body(lines: &[&str]) -> bool {
    lines
        .iter()
        .find(|line| line.ends_with('{') || line.ends_with(';') || line.ends_with('}'))
        .is_some_and(|line| !line.ends_with(';'))
}

/// Files of Rust that no other file names as a module, no manifest as a root, and
/// that no tool finds by itself: they are never compiled. `files` are names and
/// texts of sources and manifests.
pub fn orphans(files: &[(String, String)]) -> Vec<String> {
    files
        .iter()
        .map(|(file, _)| file.as_str())
        .filter(|file| file.ends_with(".rs") && !is_root(file) && !is_named(file, files))
        .map(|file| format!("{file}: no `mod` names it, so it is never compiled"))
        .collect()
}

/// Roots of crates, and what Cargo takes for such.
fn is_root(file: &str) -> bool {
    const ROOTS: [&str; 3] = ["lib.rs", "main.rs", "build.rs"];
    let (folder, name) = split(file);
    let (_, above) = split(folder);
    ROOTS.contains(&name) || ["bin", "examples", "tests", "benches"].contains(&above)
}

fn is_named(file: &str, files: &[(String, String)]) -> bool {
    let (folder, name) = split(file);
    // `mod.rs` goes by the name of its folder.
    let (folder, module) = match name {
        "mod.rs" => split(folder),
        _ => (folder, name.trim_end_matches(".rs")),
    };
    let above = split(folder).0;
    let declaration = format!("mod {module};");
    files.iter().any(|(other, text)| {
        let place = split(other).0;
        let near = place == folder || place == above;
        let declares = text.lines().map(str::trim_start).any(|code| {
            code.strip_suffix(&declaration)
                .is_some_and(|before| before.is_empty() || before.ends_with(' '))
        });
        (near && declares) || names_by_path(file, text)
    })
}

/// Whether a `#[path]` attribute or a `path` of a manifest ends like `file`.
fn names_by_path(file: &str, text: &str) -> bool {
    text.lines()
        .filter_map(|line| {
            line.trim()
                .trim_start_matches("#[")
                .strip_prefix("path = \"")
        })
        .filter_map(|rest| rest.trim_end_matches(']').strip_suffix('"'))
        .map(|path| path.trim_start_matches("../"))
        .any(|path| path.ends_with(".rs") && file.ends_with(path))
}

/// Folder and name of a file.
fn split(file: &str) -> (&str, &str) {
    file.rsplit_once('/').unwrap_or(("", file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(lines: usize) -> String {
        format!(
            "    pub(crate) fn f(\n    ) {{\n{}    }}\n",
            "        g();\n".repeat(lines)
        )
    }

    #[test]
    fn long_functions_and_files_are_named() {
        assert!(too_long("a.rs", &function_of(57)).is_empty());
        let found = too_long("a.rs", &function_of(58));
        assert_eq!(found, ["a.rs:1: `f` has 61 lines, at most 60 are wanted"]);
        assert_eq!(too_long("a.rs", &"// x\n".repeat(701)).len(), 1);
    }

    #[test]
    fn a_declaration_has_no_length() {
        let text = format!("trait T {{\n    fn f(&self);\n{}}}\n", "\n".repeat(80));
        assert!(too_long("a.rs", &text).is_empty());
        assert_eq!(function("    let fn_ = x;"), None);
        assert_eq!(
            function("unsafe extern \"C\" fn open(x: u8) {"),
            Some("open")
        );
    }

    fn tree(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(file, text): &(&str, &str)| (file.to_string(), text.to_string());
        files.iter().map(own).collect()
    }

    #[test]
    fn a_file_that_nobody_names_is_found() {
        let files = tree(&[
            (
                "a/src/lib.rs",
                "mod model;\n#[path = \"../../k/x.rs\"]\nmod x;\nmod deep {\n    mod y;\n}\n",
            ),
            ("a/src/model.rs", ""),
            ("a/src/deep/y.rs", ""),
            ("a/src/lost.rs", ""),
            ("k/x.rs", ""),
            ("a/examples/e.rs", ""),
            ("a/src/tool.rs", ""),
            ("a/Cargo.toml", "[[bin]]\npath = \"src/tool.rs\"\n"),
        ]);
        assert_eq!(
            orphans(&files),
            ["a/src/lost.rs: no `mod` names it, so it is never compiled"]
        );
    }

    #[test]
    fn a_folder_goes_by_its_name() {
        let files = tree(&[
            ("lib.rs", "pub(crate) mod core;\n"),
            ("core/mod.rs", "mod a;\n"),
            ("core/a.rs", ""),
        ]);
        assert!(orphans(&files).is_empty());
        assert_eq!(orphans(&files[1..]).len(), 1);
    }
}
