// SPDX-License-Identifier: GPL-2.0

//! The suites that load a driver: programs in a guest that print TAP, on bus1 and,
//! where there is one to compare with, on the kernel's own C driver.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::fuzz::Fuzz;
use crate::guest::{inside, Boot, Driver};
use crate::host;
use crate::kernel::Variant;
use crate::ktap;
use crate::manual;
use crate::programs;
use crate::run::{read_lossy, Run};
use crate::session::{patience, Session, Trial};

/// What compiling a policy of SELinux takes beyond what kernels need.
const POLICY_PACKAGES: &[&str] = &["checkpolicy"];

/// The verdicts of a program that prints TAP.
pub fn tests_of(boot: &Boot) -> Vec<ktap::Test> {
    let mut tests = ktap::program(&boot.output);
    let failed = tests
        .iter()
        .any(|test| matches!(test.status, ktap::Status::Failed(_)));
    // A program that knows of no failed test and still ends badly is one.
    if boot.exit != Some(0) && !failed {
        let why = format!("it ended with status {:?}:\n{}", boot.exit, boot.output);
        tests.push(ktap::Test {
            name: "exit".into(),
            status: ktap::Status::Failed(why),
        });
    }
    tests
}

/// Takes a program's verdicts and the guest's into the report.
fn take(session: &mut Session<'_>, prefix: &str, boot: &Boot) {
    session.report.take(prefix, &tests_of(boot));
    session
        .report
        .verdict(&format!("{prefix}/guest"), boot.verdict());
}

/// What the native program does under load, each by its name in the report: the
/// order of messages; destruction against handles on their way, with the thorough
/// search in about a minute; the end of 10,000 nodes with 100,000 handles; what is left
/// of a receiver that others fill.
const STRESSES: &[(&str, &str, &str)] = &[
    ("order", "--order-stress 4", "--order-stress 10"),
    ("races", "--death-races 2000", "--death-races 20000"),
    ("deaths", "--mass-death 10000 10", "--mass-death 10000 10"),
    ("shares", "--shares 100", "--shares 1000"),
];

/// A file for the errors that the cases meet, some of them as another user.
const ERRORS: &str = "export BUS1_ERRORS=/mnt/out/errors; : >$BUS1_ERRORS; chmod 666 $BUS1_ERRORS";

/// Conformance of the native interface, every example as a user runs it, and some
/// stress, in one boot. KASAN is too slow for that.
pub fn native(session: &mut Session<'_>) -> Result<()> {
    let programs = programs::build(session.ctx)?;
    let tests = inside(&programs.bin("tests-bus1"));
    let fuzz = Fuzz::new(session.ctx, &programs);
    let examples: Vec<String> = programs
        .examples()?
        .iter()
        .map(|path| inside(path))
        .collect();
    let each = each_must_succeed(&examples);
    let thorough = session.thorough();
    for &variant in session.variants() {
        // On the others the cases do less themselves.
        let (stresses, pace) = match variant {
            Variant::Uml if thorough => (STRESSES, "export BUS1_THOROUGH=1\n"),
            Variant::Uml => (STRESSES, ""),
            _ => (&[] as &[_], "export BUS1_SLOW=1\n"),
        };
        let line = |(name, short, long): &(&str, &str, &str)| {
            let args = if thorough { long } else { short };
            format!("{tests} {args} >/mnt/out/{name}\n")
        };
        let stress: String = stresses.iter().map(line).collect();
        let boot = session.boot(&Trial {
            name: "native",
            variant,
            driver: Driver::Bus1,
            binderfs: false,
            leaks: true,
            command: format!(
                "{pace}{ERRORS}\n{tests}\nstatus=$?\n\
                 unset BUS1_ERRORS\n(\n{each}\n) >/mnt/out/examples\n{stress}{}\nexit $status",
                fuzz.native_of_suite(thorough)
            ),
            seconds: if thorough { 2400 } else { 600 },
        })?;
        take_native(session, variant, stresses, &boot)?;
    }
    Ok(())
}

/// Takes what the native programs have left in a guest: their verdicts, those of the
/// programs beside them, and what the documents say of it.
fn take_native(
    session: &mut Session<'_>,
    variant: Variant,
    stresses: &[(&str, &str, &str)],
    boot: &Boot,
) -> Result<()> {
    let prefix = format!("native/{}", variant.name());
    take(session, &prefix, boot);
    if variant == Variant::Uml {
        let met = read_lossy(&boot.out.join("errors")).unwrap_or_default();
        let agrees = manual::Errors::of_page(&session.ctx.repo)?.compare(&met);
        session.report.verdict("native/manual", agrees);
    }
    let examples = read_lossy(&boot.out.join("examples")).unwrap_or_default();
    session
        .report
        .take(&format!("{prefix}/examples"), &ktap::program(&examples));
    let names = stresses.iter().map(|(name, ..)| *name);
    for name in names.chain(["random"]) {
        let output = read_lossy(&boot.out.join(name)).unwrap_or_default();
        session
            .report
            .take(&format!("{prefix}/{name}"), &ktap::program(&output));
    }
    if !stresses.is_empty() {
        let shares = read_lossy(&boot.out.join("shares")).unwrap_or_default();
        let page = fs::read_to_string(session.ctx.repo.join("docs/accounting.md"))?;
        let same = table_is_that_of(&page, &shares);
        let name = format!("{prefix}/shares/table-of-the-documents");
        session.report.verdict(&name, same);
    }
    Ok(())
}

/// Whether each row that the program printed stands in the page, and there were some.
fn table_is_that_of(page: &str, output: &str) -> Result<(), String> {
    let rows = output.lines().filter_map(|line| line.strip_prefix("# |"));
    let mut found = 0;
    for row in rows {
        found += 1;
        if !page.lines().any(|line| line.strip_prefix('|') == Some(row)) {
            return Err(format!("docs/accounting.md has no row |{row}"));
        }
    }
    match found {
        0 => Err("no table was made".into()),
        _ => Ok(()),
    }
}

/// Shell text that runs programs and reports each as a test.
fn each_must_succeed(programs: &[String]) -> String {
    let mut text = format!("echo 1..{}; bad=0\n", programs.len());
    for (at, program) in programs.iter().enumerate() {
        let name = program.rsplit('/').next().unwrap_or(program);
        let number = at + 1;
        text.push_str(&format!(
            "if {program} >/tmp/out 2>&1; then echo ok {number} {name}; else echo not ok {number} {name}; bad=1; fi\n\
             sed 's/^/# /' /tmp/out\n"
        ));
    }
    text.push_str("exit $bad");
    text
}

/// The same programs on the C driver and on bus1; where the cases differ, the
/// difference must be in the table, and random streams don't differ.
pub fn binder(session: &mut Session<'_>) -> Result<()> {
    let programs = programs::build(session.ctx)?;
    let program = programs.bin("tests-binder");
    let fuzz = Fuzz::new(session.ctx, &programs);
    let table = session
        .ctx
        .repo
        .join("user/tests-binder/expected-differences.txt");
    let run = format!(
        "{} --dir /dev/binderfs --outcomes /mnt/out/outcomes",
        inside(&program)
    );
    let trial = |variant, driver, command| Trial {
        name: "binder",
        variant,
        driver,
        binderfs: true,
        leaks: true,
        command,
        seconds: 600,
    };
    let and = |cases: String, streams: &str| format!("{cases}\nstatus=$?\n{streams}\nexit $status");
    let known = format!("{run} --stock {}", inside(&table));
    let known = and(known, &fuzz.first_of_suite(session.thorough()));
    let stock = session.boot(&trial(Variant::Uml, Driver::Stock, known))?;
    take(session, "binder/uml/stock", &stock);
    for &variant in session.variants() {
        let patient = format!("{run} --timeout {}", 90 * patience(variant));
        // What is played alone on UML meets others where KASAN looks on.
        let streams = match variant {
            Variant::Uml => fuzz.again(&stock.out.join("streams")),
            _ => fuzz.storm_of_suite(session.thorough()),
        };
        let patient = and(patient, &streams);
        let ours = session.boot(&trial(variant, Driver::Bus1, patient))?;
        let prefix = format!("binder/{}/bus1", variant.name());
        take(session, &prefix, &ours);
        let outcomes = [stock.out.join("outcomes"), ours.out.join("outcomes")];
        compare(
            session,
            &format!("{prefix}/as-stock"),
            &program,
            &outcomes,
            &table,
        )?;
        fuzz.take(session, &prefix, &stock.out, &ours.out, variant)?;
    }
    deep_calls(session, &program)?;
    security_policy(session, &program)
}

/// What a policy of SELinux allows and refuses, on both drivers, which answer the
/// same. A policy stays in a kernel, so these guests do nothing else.
fn security_policy(session: &mut Session<'_>, program: &Path) -> Result<()> {
    host::ensure_packages(session.ctx, POLICY_PACKAGES)?;
    let folder = session.ctx.repo.join("user/tests-binder/selinux");
    let policy = session.ctx.out.join("selinux-policy");
    let mut step = session.ctx.ui.step("compile the policy", 0);
    // Classes that it does not name are none of its business.
    Run::new("checkpolicy", "checkpolicy", session.ctx.log("checkpolicy"))
        .args(["-U", "allow", "-o"])
        .arg(&policy)
        .arg(folder.join("policy.conf"))
        .check(&mut step, |_, _| {})?;
    step.done();
    let command = format!(
        "{} --dir /dev/binderfs --selinux {} --outcomes /mnt/out/outcomes",
        inside(program),
        inside(&policy)
    );
    let mut outcomes = Vec::new();
    for driver in [Driver::Stock, Driver::Bus1] {
        let boot = session.boot(&Trial {
            name: "binder-selinux",
            variant: Variant::Uml,
            driver,
            binderfs: true,
            leaks: false,
            command: command.clone(),
            seconds: 120,
        })?;
        let prefix = format!("binder-selinux/uml/{}", driver.name());
        take(session, &prefix, &boot);
        outcomes.push(read_lossy(&boot.out.join("outcomes")).unwrap_or_default());
    }
    same_outcomes(session, "binder-selinux/uml/as-stock", &outcomes);
    Ok(())
}

/// Demands that two drivers answered the same.
fn same_outcomes(session: &mut Session<'_>, name: &str, outcomes: &[String]) {
    let same = match outcomes {
        [stock, ours] if stock == ours && !ours.is_empty() => Ok(()),
        [stock, ours] => Err(format!("stock: {stock}\nours: {ours}")),
        _ => Err("not both drivers ran".into()),
    };
    session.report.verdict(name, same);
}

/// A long chain of nested calls that loses both ends, and one on the C driver, which
/// answer the same. They have guests of their own: thousands of threads take the memory.
fn deep_calls(session: &mut Session<'_>, program: &Path) -> Result<()> {
    let mut outcomes = Vec::new();
    let (short, long) = if session.thorough() {
        (1000, 5000)
    } else {
        (200, 1000)
    };
    for (driver, links) in [(Driver::Stock, short), (Driver::Bus1, long)] {
        let command = format!(
            "{} --dir /dev/binderfs --only dp_both_ends_die --links {links} --timeout 280 --outcomes /mnt/out/outcomes",
            inside(program)
        );
        let boot = session.boot(&Trial {
            name: "binder-deep",
            variant: Variant::Uml,
            driver,
            binderfs: true,
            leaks: false,
            command,
            seconds: 300,
        })?;
        take(
            session,
            &format!("binder-deep/uml/{}", driver.name()),
            &boot,
        );
        outcomes.push(read_lossy(&boot.out.join("outcomes")).unwrap_or_default());
    }
    same_outcomes(session, "binder-deep/uml/as-stock", &outcomes);
    Ok(())
}

/// Has the program compare two files of outcomes, and takes its verdicts.
fn compare(
    session: &mut Session<'_>,
    prefix: &str,
    program: &Path,
    outcomes: &[PathBuf; 2],
    table: &Path,
) -> Result<()> {
    let mut step = session.ctx.ui.step("compare with the C driver", 0);
    let ended = Run::new(program, "the comparison", session.ctx.log("binder-compare"))
        .arg("--compare")
        .args(outcomes)
        .arg("--expected")
        .arg(table)
        .collect(&mut step, |_, _| {})?;
    step.done();
    session.report.take(prefix, &ktap::program(&ended.output));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_tests_when_they_print_nothing_of_the_kind() {
        let text = each_must_succeed(&["/bin/true".into(), "/bin/false".into()]);
        let output = std::process::Command::new("sh")
            .args(["-c", &text])
            .output()
            .unwrap();
        let tests = ktap::program(&String::from_utf8_lossy(&output.stdout));
        assert_eq!(
            tests[0],
            ktap::Test {
                name: "true".into(),
                status: ktap::Status::Passed
            }
        );
        assert!(matches!(tests[1].status, ktap::Status::Failed(_)));
        assert_eq!(tests.len(), 2);
        assert!(!output.status.success());
    }
}
