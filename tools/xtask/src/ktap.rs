// SPDX-License-Identifier: GPL-2.0

//! Parser for what tests print: TAP 13 and KTAP, and the lines of Rust's test
//! harness. It trusts a test's own line and nothing else: a suite that says "ok"
//! without a line for a test of its own is a failure.

use std::collections::BTreeSet;

/// What came out of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// `ok`
    Passed,
    /// `not ok`, with the comment lines after it.
    Failed(String),
    /// `ok ... # SKIP why`
    Skipped(String),
}

/// One test; `name` is `suite/test` for the nested form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// What the line called it.
    pub name: String,
    /// How it ended.
    pub status: Status,
}

impl Test {
    fn failed(name: &str, why: String) -> Self {
        Self {
            name: name.to_owned(),
            status: Status::Failed(why),
        }
    }
}

/// One result line, taken apart.
struct Line<'a> {
    name: &'a str,
    status: Status,
}

fn result_line(text: &str) -> Option<Line<'_>> {
    let (good, rest) = match text.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("ok ")?),
    };
    let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    number.parse::<u32>().ok()?;
    let (name, directive) = match rest.split_once(" # ") {
        Some((name, directive)) => (name, directive.trim()),
        None => (rest, ""),
    };
    let name = name.trim();
    let name = name.strip_prefix("- ").unwrap_or(name);
    let status = match directive_word(directive) {
        Some(("skip", why)) => Status::Skipped(why.to_owned()),
        // Known to fail: no failure, and no pass either.
        Some(("todo", why)) if !good => Status::Skipped(format!("known to fail: {why}")),
        _ if good => Status::Passed,
        _ => Status::Failed(directive.to_owned()),
    };
    Some(Line { name, status })
}

/// Which directive stands at the start of a text, and what follows it.
fn directive_word(text: &str) -> Option<(&'static str, &str)> {
    ["skip", "todo"].into_iter().find_map(|word| {
        let (start, rest) = text.split_at_checked(word.len())?;
        start
            .eq_ignore_ascii_case(word)
            .then(|| (word, rest.trim()))
    })
}

/// The number of a plan line `1..N`.
fn plan(text: &str) -> Option<usize> {
    text.strip_prefix("1..")?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Parses the flat output of one test program. What is missing (the plan, a
/// planned test) is added as a failed test named after it.
pub fn program(output: &str) -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    let mut planned = None;
    for text in output.lines() {
        if let Some(number) = plan(text) {
            planned = Some(number);
        } else if let Some(line) = result_line(text) {
            tests.push(Test {
                name: line.name.to_owned(),
                status: line.status,
            });
        } else if let (
            Some(comment),
            Some(Test {
                status: Status::Failed(why),
                ..
            }),
        ) = (text.strip_prefix('#'), tests.last_mut())
        {
            why.push('\n');
            why.push_str(comment.trim());
        }
    }
    let seen = tests.len();
    match planned {
        None => tests.push(Test::failed("plan", "no plan line 1..N was printed".into())),
        Some(0) => tests.push(Test::failed("plan", "not a single test was planned".into())),
        Some(number) if number != seen => tests.push(Test::failed(
            "plan",
            format!("{number} tests were planned, {seen} gave a result"),
        )),
        Some(_) => {}
    }
    tests
}

/// Parses the nested KTAP of KUnit suites and demands each test of `expected`
/// (names `suite/test`) by its own line.
pub fn kunit(output: &str, expected: &BTreeSet<String>) -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    let mut children: Vec<Test> = Vec::new();
    let mut comments: Vec<&str> = Vec::new();
    for text in output.lines() {
        let inner = text.trim_start();
        let nested = inner.len() < text.len();
        let Some(line) = result_line(inner) else {
            if nested && inner.starts_with('#') {
                comments.push(inner.trim_start_matches('#').trim());
            }
            continue;
        };
        let status = match line.status {
            Status::Failed(_) => Status::Failed(comments.join("\n")),
            other => other,
        };
        comments.clear();
        if nested {
            children.push(Test {
                name: line.name.to_owned(),
                status,
            });
            continue;
        }
        if children.is_empty() && !matches!(status, Status::Skipped(_)) {
            tests.push(Test::failed(line.name, "the suite ran no test".into()));
        }
        for child in children.drain(..) {
            tests.push(Test {
                name: format!("{}/{}", line.name, child.name),
                status: child.status,
            });
        }
    }
    for child in children {
        tests.push(Test::failed(&child.name, "its suite never ended".into()));
    }
    for name in expected {
        if !tests.iter().any(|test| test.name == *name) {
            tests.push(Test::failed(
                name,
                "it has no result line: it did not run".into(),
            ));
        }
    }
    tests
}

/// Parses the output of `cargo test`.
pub fn libtest(output: &str) -> Vec<Test> {
    let mut tests = Vec::new();
    for text in output.lines() {
        let Some((name, result)) = text
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
        else {
            continue;
        };
        let status = match result.split_whitespace().next() {
            Some("ok") => Status::Passed,
            Some("ignored") | Some("ignored,") => Status::Skipped("ignored".into()),
            _ => Status::Failed(failure_text(output, name)),
        };
        tests.push(Test {
            name: name.replace(' ', "_"),
            status,
        });
    }
    tests
}

/// What libtest printed about one failed test.
fn failure_text(output: &str, name: &str) -> String {
    let head = format!("---- {name} stdout ----");
    let mut lines = output.lines().skip_while(|line| *line != head).skip(1);
    let text: Vec<&str> = lines
        .by_ref()
        .take_while(|line| !line.starts_with("---- "))
        .take(15)
        .collect();
    text.join("\n")
}

/// The tests that a KUnit source file declares, as `suite/test`.
pub fn declared_kunit_tests(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut suite = None;
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[kunit_tests(") {
            suite = rest.split(')').next().map(str::to_owned);
        } else if line == "#[test]" {
            marked = true;
        } else if let (true, Some(name)) = (marked, function_name(line)) {
            marked = false;
            if let Some(suite) = &suite {
                found.insert(format!("{suite}/{name}"));
            }
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let rest = line
        .strip_prefix("pub ")
        .unwrap_or(line)
        .strip_prefix("fn ")?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(name: &str) -> Test {
        Test {
            name: name.into(),
            status: Status::Passed,
        }
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_program_that_kept_its_plan() {
        let tests = program("TAP version 13\n1..4\nok 1 a\nnot ok 2 - b\n# why\n# more\nok 3 c # SKIP no cpu\nok 4 d\n");
        assert_eq!(
            tests,
            [
                passed("a"),
                Test::failed("b", "\nwhy\nmore".into()),
                Test {
                    name: "c".into(),
                    status: Status::Skipped("no cpu".into())
                },
                passed("d"),
            ]
        );
    }

    #[test]
    fn a_program_that_died_half_way_fails() {
        let tests = program("1..3\nok 1 a\n");
        assert_eq!(tests.len(), 2);
        assert!(
            matches!(&tests[1].status, Status::Failed(why) if why.contains("3 tests were planned, 1"))
        );
    }

    #[test]
    fn no_plan_and_an_empty_plan_fail() {
        assert!(matches!(&program("ok 1 a\n")[1].status, Status::Failed(_)));
        assert!(matches!(&program("1..0\n")[0].status, Status::Failed(_)));
        assert!(matches!(&program("")[0].status, Status::Failed(_)));
    }

    #[test]
    fn a_test_known_to_fail_counts_as_neither() {
        let tests = program("1..2\nnot ok 1 a # TODO stock does this\nok 2 b # TODO gone\n");
        assert!(
            matches!(&tests[0].status, Status::Skipped(why) if why.contains("stock does this"))
        );
        assert_eq!(tests[1], passed("b"));
    }

    #[test]
    fn lines_that_only_look_like_results_are_none() {
        assert_eq!(program("1..1\nok then\nokay 1 x\nok 1 x\n"), [passed("x")]);
    }

    const SUITE: &str = "    KTAP version 1\n    # Subtest: s\n    # module: m\n    1..2\n    ok 1 a\n    # b: EXPECTATION FAILED at x.rs:1\n    not ok 2 b\nnot ok 1 s\n";

    #[test]
    fn kunit_names_each_test_of_a_suite() {
        let tests = kunit(SUITE, &names(&["s/a", "s/b"]));
        assert_eq!(tests[0], passed("s/a"));
        assert!(matches!(&tests[1].status, Status::Failed(why) if why.contains("EXPECTATION")));
        assert_eq!(tests.len(), 2);
    }

    #[test]
    fn kunit_suite_without_a_test_fails() {
        let tests = kunit("ok 1 s\n", &names(&["s/a"]));
        assert_eq!(tests.len(), 2);
        assert!(tests
            .iter()
            .all(|test| matches!(test.status, Status::Failed(_))));
    }

    #[test]
    fn kunit_suite_that_never_ended_fails() {
        let tests = kunit("    ok 1 a\n", &names(&[]));
        assert!(matches!(tests[0].status, Status::Failed(_)));
    }

    #[test]
    fn kunit_test_that_did_not_run_fails() {
        let tests = kunit("    ok 1 a\nok 1 s\n", &names(&["s/a", "s/z"]));
        assert_eq!(tests[0], passed("s/a"));
        assert_eq!(tests[1].name, "s/z");
        assert!(matches!(tests[1].status, Status::Failed(_)));
    }

    #[test]
    fn libtest_lines() {
        let tests = libtest("running 3 tests\ntest a::b ... ok\ntest c ... FAILED\ntest d ... ignored, slow\n\n---- c stdout ----\nboom\n");
        assert_eq!(tests[0], passed("a::b"));
        assert_eq!(tests[1], Test::failed("c", "boom".into()));
        assert!(matches!(tests[2].status, Status::Skipped(_)));
    }

    #[test]
    fn declared_tests_are_found() {
        let source = "#[kunit_tests(bus1_node)]\nmod tests {\n    #[test]\n    fn id_is_never_zero() {\n    fn helper() {}\n    #[test]\n    fn two() {";
        assert_eq!(
            declared_kunit_tests(source),
            names(&["bus1_node/id_is_never_zero", "bus1_node/two"])
        );
    }
}
