// SPDX-License-Identifier: GPL-2.0

//! Reads the descriptions for syzkaller, as far as their own compiler would complain
//! first: what is named must be defined, what is defined must be used, and it must be
//! our interface, all of it.

use std::collections::BTreeSet;

/// Words of the language.
const WORDS: &[&str] = &[
    "array", "bytesize", "const", "fd", "fileoff", "flags", "in", "inout", "int16", "int32",
    "int64", "int8", "intptr", "len", "opt", "out", "packed", "pid", "ptr", "ptr64", "string",
    "varlen", "vma",
];

/// Commands of Binder that syzkaller's own description has.
const THERE: &[&str] = &["REPLY", "REGISTER_LOOPER", "ENTER_LOOPER", "EXIT_LOOPER"];

/// What a file of descriptions says.
#[derive(Default)]
struct Description {
    defined: BTreeSet<String>,
    elsewhere: BTreeSet<String>,
    used: BTreeSet<String>,
    calls: BTreeSet<String>,
    constants: BTreeSet<String>,
    /// Structures, with the names of their fields.
    structures: Vec<(String, Vec<String>)>,
    problems: Vec<String>,
}

/// The names in a piece of text; strings and numbers are none.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let outside = text.split('"').step_by(2);
    outside
        .flat_map(|part| part.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

impl Description {
    fn read(text: &str) -> Self {
        let mut this = Self::default();
        let mut open: Option<(String, Vec<String>, BTreeSet<String>)> = None;
        for (number, line) in text.lines().enumerate() {
            if let Some(there) = line.strip_prefix("# Defined there:") {
                this.elsewhere.extend(names(there).map(str::to_owned));
            }
            let line = line.split('#').next().unwrap_or("").trim_end();
            if !balanced(line) && !line.ends_with(['{', '[']) && !line.starts_with(['}', ']']) {
                this.problems.push(format!("line {}: brackets", number + 1));
            }
            match (&mut open, line) {
                (_, "") => {}
                (Some(_), _) if line.starts_with(['}', ']']) => {
                    let (name, fields, _) = open.take().unwrap_or_default();
                    this.structures.push((name, fields));
                }
                (Some((_, fields, own)), _) => {
                    let (field, kind) = line.trim().split_once('\t').unwrap_or((line, ""));
                    fields.push(field.to_owned());
                    this.use_names(kind, own);
                }
                (None, _) => open = this.statement(line),
            }
        }
        if open.is_some() {
            this.problems.push("the last structure has no end".into());
        }
        // Lengths name fields of their own structure.
        for (_, fields) in &this.structures {
            for field in fields {
                this.used.remove(&format!("len {field}"));
            }
        }
        this
    }

    /// A line outside of structures; what it opens, if it does.
    fn statement(&mut self, line: &str) -> Option<(String, Vec<String>, BTreeSet<String>)> {
        let nothing = BTreeSet::new();
        if line.starts_with("include ") {
            return None;
        }
        if let Some(rest) = line.strip_prefix("define ") {
            self.defined.extend(names(rest).take(1).map(str::to_owned));
            self.constants
                .extend(names(rest).skip(1).map(str::to_owned));
            return None;
        }
        let rest = line
            .trim_start_matches("type ")
            .trim_start_matches("resource ");
        let name: String = names(rest).next().unwrap_or_default().to_owned();
        if let Some((call, arguments)) = line.split_once('(') {
            let fields: Vec<&str> = arguments
                .split(", ")
                .filter_map(|one| one.split_once(' '))
                .map(|one| one.0)
                .collect();
            let own = fields.iter().map(|field| (*field).to_owned()).collect();
            self.calls.insert(call.to_owned());
            self.use_names(arguments.get(..).unwrap_or(""), &own);
            return None;
        }
        self.defined.insert(name.clone());
        if let Some((_, values)) = line.split_once(" = ") {
            self.use_names(values, &nothing);
            return None;
        }
        if line.ends_with(['{', '[']) {
            let parameters = rest
                .split_once('[')
                .map_or("", |(_, rest)| rest.split(']').next().unwrap_or(""));
            let own = names(parameters).map(str::to_owned).collect();
            return Some((name, Vec::new(), own));
        }
        let base = rest.get(name.len()..).unwrap_or("").to_owned();
        self.use_names(&base, &nothing);
        None
    }

    /// Notes what a type names; `own` are parameters and arguments beside it.
    fn use_names(&mut self, kind: &str, own: &BTreeSet<String>) {
        let mut measured = false;
        for name in names(kind) {
            let constant = name.starts_with(|c: char| c.is_uppercase());
            if std::mem::take(&mut measured) {
                if !own.contains(name) {
                    self.used.insert(format!("len {name}"));
                }
            } else if constant && !own.contains(name) {
                self.constants.insert(name.to_owned());
            } else if !own.contains(name) && !WORDS.contains(&name) {
                self.used.insert(name.to_owned());
            }
            measured = matches!(name, "len" | "bytesize");
        }
    }

    fn check(mut self) -> Vec<String> {
        for name in &self.used {
            if !self.defined.contains(name) && !self.elsewhere.contains(name) {
                self.problems.push(format!("{name} is not defined"));
            }
        }
        for name in &self.defined {
            if !self.used.contains(name) && !self.constants.contains(name) {
                self.problems.push(format!("{name} is not used"));
            }
        }
        self.problems
    }
}

fn balanced(line: &str) -> bool {
    let outside: String = line.split('"').step_by(2).collect();
    let count = |c: char| outside.matches(c).count();
    count('[') == count(']') && count('(') == count(')') && count('{') == count('}')
}

/// The structures of a C header, with the names of their members.
fn structures(header: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in header.lines() {
        if let Some(name) = line
            .strip_prefix("struct ")
            .and_then(|rest| rest.strip_suffix(" {"))
        {
            found.push((name.to_owned(), Vec::new()));
            inside = true;
        } else if line.starts_with('}') {
            inside = false;
        } else if let (true, Some((_, fields))) = (inside, found.last_mut()) {
            fields.extend(names(line).last().map(str::to_owned));
        }
    }
    found
}

/// What is wrong with the description of the native interface in `header`.
pub fn native(text: &str, header: &str) -> Vec<String> {
    let read = Description::read(text);
    let mut problems = Vec::new();
    for (name, members) in structures(header) {
        match read.structures.iter().find(|(other, _)| *other == name) {
            Some((_, fields)) if *fields == members => {}
            Some(_) => problems.push(format!("{name} has other members")),
            None => problems.push(format!("{name} is not described")),
        }
    }
    let constants: BTreeSet<&str> = header
        .lines()
        .filter_map(|line| names(line.strip_prefix("#define ")?).next())
        .collect();
    for command in constants
        .iter()
        .filter(|name| name.starts_with("BUS1_CMD_"))
    {
        if !read.calls.contains(&format!("ioctl${command}")) {
            problems.push(format!("{command} is not described"));
        }
    }
    let ours = read
        .constants
        .iter()
        .filter(|name| name.starts_with("BUS1_"));
    for unknown in ours.filter(|name| !constants.contains(name.as_str())) {
        problems.push(format!("{unknown} is not in the header"));
    }
    problems.extend(read.check());
    problems
}

/// What is wrong with the additions for Binder; `abi` names its commands, in Rust.
pub fn binder(text: &str, abi: &str) -> Vec<String> {
    let read = Description::read(text);
    let commands = abi.split("pub mod ").find(|part| part.starts_with("bc "));
    let commands: BTreeSet<&str> = commands
        .unwrap_or("")
        .lines()
        .filter_map(|line| names(line.trim().strip_prefix("pub const ")?).next())
        .collect();
    let described = |name: &str| read.constants.contains(&format!("BC_{name}"));
    let mut problems: Vec<String> = commands
        .iter()
        .filter(|name| !described(name) && !THERE.contains(name))
        .map(|name| format!("BC_{name} is not described"))
        .collect();
    let named = read
        .constants
        .iter()
        .filter_map(|name| name.strip_prefix("BC_"));
    problems.extend(
        named
            .filter(|name| !commands.contains(name))
            .map(|name| format!("BC_{name} is no command")),
    );
    if commands.is_empty() || !read.calls.contains("ioctl$BINDER_CTL_ADD") {
        problems.push("BINDER_CTL_ADD is not described".into());
    }
    problems.extend(read.check());
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "#define BUS1_FLAG 1\n#define BUS1_CMD_GO _IOWR(1, 2, struct bus1_go)\nstruct bus1_go {\n\t__u64 flags;\n\t__u64 n_items;\n} x;\n";
    const GOOD: &str = "include <linux/bus1.h>\nresource fd_x[fd]\nopen$x(file ptr[in, string[\"/a#b\"]], n len[file]) fd_x\nioctl$BUS1_CMD_GO(fd fd_x, cmd const[BUS1_CMD_GO], arg ptr[in, bus1_go])\ngo_flags = BUS1_FLAG, 0\nbus1_go {\n\tflags\tflags[go_flags, int64]\n\tn_items\tlen[flags, int64]\n}\n";

    #[test]
    fn a_good_description_passes() {
        assert_eq!(native(GOOD.replace("/a#b", "/a").as_str(), HEADER), [""; 0]);
    }

    #[test]
    fn our_own_are_whole() {
        let (bus1, more) = (
            include_str!("../../../docs/syzkaller/dev_bus1.txt"),
            include_str!("../../../docs/syzkaller/dev_binder_more.txt"),
        );
        let header = include_str!("../../../include/uapi/linux/bus1.h");
        let abi = include_str!("../../../user/tests-binder/src/abi.rs");
        assert_eq!(native(bus1, header), [""; 0]);
        assert_eq!(binder(more, abi), [""; 0]);
    }

    #[test]
    fn what_is_missing_or_left_over_is_named() {
        let good = GOOD.replace("/a#b", "/a");
        let without = good.replace("go_flags = BUS1_FLAG, 0\n", "");
        assert_eq!(native(&without, HEADER), ["go_flags is not defined"]);
        let more = good.clone() + "unused = 1, 2\n";
        assert_eq!(native(&more, HEADER), ["unused is not used"]);
        let other = good.replace("len[flags, int64]", "len[flegs, int64]");
        assert_eq!(native(&other, HEADER), ["len flegs is not defined"]);
        let wrong = good.replace("= BUS1_FLAG", "= BUS1_FLEG");
        assert_eq!(native(&wrong, HEADER), ["BUS1_FLEG is not in the header"]);
        let order = good.replace("\tn_items\tlen[flags, int64]\n", "");
        assert_eq!(native(&order, HEADER), ["bus1_go has other members"]);
        let bracket = good.replace("int64]\n\tn", "int64\n\tn");
        assert_eq!(native(&bracket, HEADER), ["line 7: brackets"]);
    }

    #[test]
    fn every_command_of_binder_is_wanted() {
        let abi = "pub mod nr {}\npub mod bc {\n    pub const REPLY: u32 = 1;\n    pub const NEW: u32 = 2;\n}\npub mod br {}\n";
        let text = "# Defined there: fd_b\nioctl$BINDER_CTL_ADD(fd fd_b, x new[BC_NEW])\ntype new[CMD] {\n\tcmd\tconst[CMD, int32]\n}\n";
        assert_eq!(binder(text, abi), [""; 0]);
        let none = text.replace("BC_NEW", "BC_OLD");
        assert_eq!(
            binder(&none, abi),
            ["BC_NEW is not described", "BC_OLD is no command"]
        );
    }
}
