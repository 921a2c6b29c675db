// SPDX-License-Identifier: GPL-2.0

//! The models of `proofs/`: litmus tests for herd7 under the kernel's own memory
//! model, and the Promela model for spin. Each carries what is expected of it;
//! what must fail is there so that a pass means something.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::explored::Explored;
use crate::fetch;
use crate::host::{self, Need};
use crate::run::{self, Run};
use crate::session::Session;

/// The first herd7 that knows the memory model of today's kernels.
const HERD: (u32, u32) = (7, 58);
/// No model takes longer, by far.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs all of them.
pub fn run(session: &mut Session<'_>, explored: &mut Explored) -> Result<()> {
    litmus(session, explored)?;
    spin(session, explored)
}

/// The files with this ending in a folder, by name.
fn files(dir: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn litmus(session: &mut Session<'_>, explored: &mut Explored) -> Result<()> {
    let tests = files(&session.ctx.repo.join("proofs/litmus"), "litmus")?;
    let herd = match herd(session)? {
        Ok(herd) => herd,
        Err(why) => {
            for test in &tests {
                let name = format!("host/litmus/{}", stem(test));
                session.report.skip(&name, &why);
            }
            return Ok(());
        }
    };
    host::ensure(session.ctx, &[Need::Build])?;
    let model = fetch::kernel_source(session.ctx)?
        .dir
        .join("tools/memory-model");
    let mut step = session.ctx.ui.step("herd7", tests.len() as u64);
    for test in &tests {
        let name = stem(test);
        let ended = Run::new(&herd, "herd7", session.ctx.log(&format!("herd-{name}")))
            .dir(&model)
            .args(["-conf", "linux-kernel.cfg"])
            .arg(test)
            .limit(LIMIT)
            .collect(&mut step, |_, _| {})?;
        let seen = observed(&ended.output);
        if let Some(seen) = &seen {
            explored.add("herd", &name, seen.states, "states", seen.result);
        }
        let outcome = agrees(expected(&fs::read_to_string(test)?), seen.as_ref());
        let outcome = outcome.map_err(|why| format!("{why}\n{}", ended.output));
        session
            .report
            .verdict(&format!("host/litmus/{name}"), outcome);
        step.advance();
    }
    step.done();
    Ok(())
}

/// The herd7 to use: `BUS1_HERD7`, or the one in the path, or Debian's; or why there
/// is none.
fn herd(session: &Session<'_>) -> Result<Result<String, String>> {
    let program = std::env::var("BUS1_HERD7").unwrap_or_else(|_| "herd7".into());
    let version = |program: &str| run::capture(program, &["-version"]).ok();
    if version(&program).is_none() {
        if !host::has_archive_package("herdtools7") {
            return Ok(Err(
                "there is no herd7: this machine's archive has no package herdtools7; \
                 build it, and put it into the path or name it with BUS1_HERD7"
                    .into(),
            ));
        }
        host::ensure_packages(session.ctx, &["herdtools7"])?;
    }
    let version = version(&program).unwrap_or_default();
    Ok(if is_new_enough(&version) {
        Ok(program)
    } else {
        Err(format!(
            "herd7 is `{version}`: the kernel's memory model needs {}.{}",
            HERD.0, HERD.1
        ))
    })
}

/// Whether `7.58, Rev: ...` is at least what is needed.
fn is_new_enough(version: &str) -> bool {
    let number = version.split([',', ' ', '+']).next().unwrap_or_default();
    let mut parts = number.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= HERD
}

/// What herd7 has found.
#[derive(Debug, PartialEq, Eq)]
struct Observed<'a> {
    result: &'a str,
    states: u64,
    races: bool,
}

fn observed(output: &str) -> Option<Observed<'_>> {
    let word = |start: &str, at: usize| {
        let line = output.lines().find(|line| line.starts_with(start))?;
        line.split_whitespace().nth(at)
    };
    Some(Observed {
        result: word("Observation ", 2)?,
        states: word("States ", 1)?.parse().ok()?,
        races: output
            .lines()
            .any(|line| line.starts_with("Flag data-race")),
    })
}

/// What a litmus test says of itself, on a line `Result: ...` of its comment.
fn expected(text: &str) -> Option<&str> {
    text.lines()
        .find_map(|line| line.trim_start_matches([' ', '*']).strip_prefix("Result: "))
        .map(str::trim)
}

fn agrees(expected: Option<&str>, seen: Option<&Observed<'_>>) -> Result<(), String> {
    let expected = expected.ok_or("the test does not say what it expects")?;
    let seen = seen.ok_or("herd7 gave no result")?;
    if seen.result != expected {
        return Err(format!("`{expected}` was expected, not `{}`", seen.result));
    }
    if expected == "Never" && seen.races {
        return Err("there is a data race".into());
    }
    Ok(())
}

/// One run of the Promela model.
#[derive(Debug, PartialEq, Eq)]
struct Model<'a> {
    name: &'a str,
    holds: bool,
    options: Vec<&'a str>,
}

/// The list of runs: `NAME holds|fails OPTIONS`, a line each.
fn models(list: &str) -> Result<Vec<Model<'_>>, String> {
    let lines = list
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let (name, verdict) = (words.next(), words.next());
            let holds = match verdict {
                Some("holds") => true,
                Some("fails") => false,
                _ => return Err(format!("`{line}` says neither `holds` nor `fails`")),
            };
            Ok(Model {
                name: name.unwrap_or_default(),
                holds,
                options: words.collect(),
            })
        })
        .collect()
}

fn spin(session: &mut Session<'_>, explored: &mut Explored) -> Result<()> {
    let dir = session.ctx.repo.join("proofs/spin");
    let list = fs::read_to_string(dir.join("runs"))?;
    let models = models(&list).map_err(anyhow::Error::msg)?;
    if run::capture("spin", &["-V"]).is_err() && !host::has_archive_package("spin") {
        for model in &models {
            let why = "there is no spin: this machine's archive has no such package";
            session
                .report
                .skip(&format!("host/spin/{}", model.name), why);
        }
        return Ok(());
    }
    host::ensure_packages(session.ctx, &["gcc", "libc6-dev", "spin"])?;
    let mut step = session.ctx.ui.step("spin", models.len() as u64);
    for model in &models {
        let output = explore(session, &mut step, &dir.join("order.pml"), model)?;
        let found = verified(&output);
        if let Some(found) = &found {
            let more = if model.holds { "" } else { "refuted" };
            explored.add("spin", model.name, found.states, "states", more);
        }
        session.report.verdict(
            &format!("host/spin/{}", model.name),
            is_as_expected(model.holds, found.as_ref())
                .map_err(|why| format!("{why}\n{}", run::last_lines(&output, 30))),
        );
        step.advance();
    }
    step.done();
    Ok(())
}

/// Makes the verifier of one model and runs it; says what it printed.
fn explore(
    session: &Session<'_>,
    step: &mut crate::ui::Step,
    source: &Path,
    model: &Model<'_>,
) -> Result<String> {
    let dir = session.ctx.out.join("spin").join(model.name);
    fs::create_dir_all(&dir)?;
    let log = |what: &str| session.ctx.log(&format!("spin-{}-{what}", model.name));
    // A claim about all of time needs the search for cycles, with weak fairness.
    let live = model.options.contains(&"-DLIVE");
    let (build, go): (&str, &[&str]) = if live {
        ("-DNFAIR=2", &["-a", "-f"])
    } else {
        ("-DSAFETY", &[])
    };
    Run::new("spin", "spin", log("generate"))
        .dir(&dir)
        .args(&model.options)
        .arg("-a")
        .arg(source)
        .check(step, |_, _| {})?;
    // Making a verifier takes longer than running it, above all one that is over at the first error.
    let optimise = if model.holds { "-O1" } else { "-O0" };
    Run::new("gcc", "gcc", log("build"))
        .dir(&dir)
        .args([optimise, "-w", "-DCOLLAPSE", "-DVECTORSZ=2048", build])
        .args(["-o", "pan", "pan.c"])
        .check(step, |_, _| {})?;
    let ended = Run::new(dir.join("pan"), "pan", log("verify"))
        .dir(&dir)
        .arg("-m200000")
        .args(go)
        .limit(LIMIT)
        .collect(step, |_, _| {})?;
    Ok(ended.output)
}

/// What a verifier has found.
#[derive(Debug, PartialEq, Eq)]
struct Verified {
    errors: u64,
    states: u64,
    complete: bool,
}

fn verified(output: &str) -> Option<Verified> {
    let number_before = |what: &str| {
        let line = output.lines().find(|line| line.contains(what))?;
        let before = &line[..line.find(what)?];
        before.split_whitespace().next_back()?.parse().ok()
    };
    let errors = output.split("errors: ").nth(1)?.split_whitespace().next()?;
    Some(Verified {
        errors: errors.parse().ok()?,
        states: number_before(" states, stored")?,
        complete: !output.contains("Search not completed") && !output.contains("max search depth"),
    })
}

fn is_as_expected(holds: bool, found: Option<&Verified>) -> Result<(), String> {
    let found = found.ok_or("the verifier came to no end")?;
    match (holds, found.errors) {
        (true, 0) if found.complete => Ok(()),
        (true, 0) => Err("the search was not complete".into()),
        (true, _) => Err("the model is refuted".into()),
        (false, 0) => Err("the mutation was not found".into()),
        (false, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERD_SAYS: &str = "Test x Allowed\nStates 2\n1:r0=1;\n1:r0=2;\nNo\nWitnesses\nPositive: 0 Negative: 2\nCondition exists (1:r0=2)\nObservation x Never 0 2\nTime x 0.01\n";

    #[test]
    fn the_result_of_herd_is_read() {
        let seen = observed(HERD_SAYS).unwrap();
        assert_eq!(
            seen,
            Observed {
                result: "Never",
                states: 2,
                races: false
            }
        );
        assert_eq!(observed("Fatal error: exception\n"), None);
        let racy = format!("{HERD_SAYS}Flag data-race\n");
        assert!(observed(&racy).unwrap().races);
    }

    #[test]
    fn a_litmus_test_must_agree_with_itself() {
        let text = "C x // SPDX\n\n(*\n * Result: Never\n *\n * Why.\n *)\n";
        assert_eq!(expected(text), Some("Never"));
        let seen = |result, races| Observed {
            result,
            states: 1,
            races,
        };
        assert!(agrees(Some("Never"), Some(&seen("Never", false))).is_ok());
        assert!(agrees(Some("Never"), Some(&seen("Never", true))).is_err());
        assert!(agrees(Some("Never"), Some(&seen("Sometimes", false))).is_err());
        assert!(agrees(Some("Sometimes"), Some(&seen("Sometimes", true))).is_ok());
        assert!(agrees(Some("Never"), None).is_err());
        assert!(agrees(expected("C x\n"), Some(&seen("Never", false))).is_err());
    }

    #[test]
    fn an_old_herd_is_no_use() {
        assert!(is_new_enough("7.58, Rev: exported"));
        assert!(is_new_enough("7.59+dev"));
        assert!(is_new_enough("8.0"));
        assert!(!is_new_enough("7.56.3, Rev: x"));
        assert!(!is_new_enough(""));
    }

    #[test]
    fn the_list_of_models() {
        let list = "# comment\n\na holds -DX -DY=1\nb fails\n";
        let models = models(list).unwrap();
        assert_eq!(
            models[0],
            Model {
                name: "a",
                holds: true,
                options: vec!["-DX", "-DY=1"]
            }
        );
        assert!(!models[1].holds && models.len() == 2);
        assert!(super::models("a maybe\n").is_err());
    }

    const PAN_SAYS: &str = "State-vector 128 byte, depth reached 112, errors: 0\n   409832 states, stored\n   273122 states, matched\n";

    #[test]
    fn the_result_of_a_verifier_is_read() {
        let found = verified(PAN_SAYS);
        assert_eq!(found.as_ref().map(|found| found.states), Some(409_832));
        assert!(is_as_expected(true, found.as_ref()).is_ok());
        assert!(is_as_expected(false, found.as_ref()).is_err());
        let cut = format!("Warning: Search not completed\n{PAN_SAYS}");
        assert!(is_as_expected(true, verified(&cut).as_ref()).is_err());
        let bad = PAN_SAYS.replace("errors: 0", "errors: 1");
        assert!(is_as_expected(true, verified(&bad).as_ref()).is_err());
        assert!(is_as_expected(false, verified(&bad).as_ref()).is_ok());
        assert!(is_as_expected(true, verified("").as_ref()).is_err());
        assert!(is_as_expected(false, verified("").as_ref()).is_err());
    }
}
