// SPDX-License-Identifier: MIT OR Apache-2.0

//! A case that goes wrong in any way ends as a failure, in time, and leaves no
//! process behind. One test: the supervisor reaps every child of its process.

use std::io::Write;
use std::time::{Duration, Instant};

use tests_binder::runner::supervise;
use tests_binder::world::Fail;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

fn failure(limit: Duration, script: impl FnOnce(std::fs::File) -> Result<(), Fail>) -> String {
    let verdict = supervise(limit, script).expect("a child can be forked");
    verdict.failure.unwrap_or_default()
}

#[test]
fn every_end_of_a_case_is_noticed() {
    let fine = supervise(LONG, |mut trace| {
        writeln!(trace, "one\ntwo")?;
        Ok(())
    });
    let fine = fine.expect("a child can be forked");
    assert_eq!(fine.outcome, ["one", "two"]);
    assert_eq!(fine.failure, None);

    assert_eq!(
        failure(LONG, |_| Err(Fail("a reason\nof two lines".into()))),
        "a reason of two lines"
    );
    assert_eq!(
        failure(LONG, |_| panic!("on purpose")),
        "the test program panicked"
    );
    assert_eq!(
        failure(LONG, |_| std::process::abort()),
        "the conductor died"
    );

    let begin = Instant::now();
    let hung = supervise(SHORT, |mut trace| {
        writeln!(trace, "before")?;
        loop {
            std::thread::sleep(LONG);
        }
    });
    let hung = hung.expect("a child can be forked");
    assert_eq!(hung.outcome, ["before"]);
    assert_eq!(hung.failure.as_deref(), Some("no end after 300ms"));

    // A forked process that outlives the case is killed, not waited for.
    let left = supervise(LONG, |_| {
        // SAFETY: The child only sleeps.
        if unsafe { libc::fork() } == 0 {
            std::thread::sleep(LONG);
        }
        Ok(())
    });
    assert_eq!(left.expect("a child can be forked").failure, None);
    assert!(begin.elapsed() < Duration::from_secs(10));
}
