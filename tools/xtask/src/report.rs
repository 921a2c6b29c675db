// SPDX-License-Identifier: GPL-2.0

//! Counting what passed, failed and was skipped, and saying so.

use crate::ktap::{Status, Test};

/// The verdicts of one `cargo xtask test`.
pub struct Report {
    verbose: bool,
    passed: u32,
    failed: Vec<String>,
    skipped: u32,
}

impl Report {
    /// With `verbose`, a line is printed for each test, else only for failures.
    pub fn new(verbose: bool) -> Self {
        Self {
            verbose,
            passed: 0,
            failed: Vec::new(),
            skipped: 0,
        }
    }

    /// A test did what it should.
    pub fn pass(&mut self, name: &str) {
        self.passed += 1;
        if self.verbose {
            println!("ok      {name}");
        }
    }

    /// A test could not be run here, and why.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        if self.verbose {
            println!("skipped {name}: {why}");
        }
    }

    /// A test failed; `why` may have several lines.
    pub fn fail(&mut self, name: &str, why: &str) {
        println!(
            "FAILED  {name}: {}",
            why.trim_end().replace('\n', "\n        ")
        );
        self.failed.push(name.to_owned());
    }

    /// `pass` or `fail`, for a check that returns what is wrong.
    pub fn verdict(&mut self, name: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.pass(name),
            Err(why) => self.fail(name, &why),
        }
    }

    /// Takes over the tests that a program reported.
    pub fn take(&mut self, prefix: &str, tests: &[Test]) {
        for test in tests {
            let name = format!("{prefix}/{}", test.name);
            match &test.status {
                Status::Passed => self.pass(&name),
                Status::Failed(why) => self.fail(&name, why),
                Status::Skipped(why) => self.skip(&name, why),
            }
        }
    }

    /// Prints the failures once more and the last line; true if all is well: at
    /// least one test ran and none failed.
    pub fn finish(&self) -> bool {
        if self.failed.len() > 1 || (self.verbose && !self.failed.is_empty()) {
            println!("failed: {}", self.failed.join(", "));
        }
        println!("{}", self.last_line());
        self.failed.is_empty() && self.passed > 0
    }

    fn last_line(&self) -> String {
        let failed = self.failed.len();
        format!(
            "{} passed, {failed} failed, {} skipped",
            self.passed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_run_is_no_success() {
        let mut report = Report::new(false);
        report.skip("a", "b");
        assert_eq!(report.last_line(), "0 passed, 0 failed, 1 skipped");
        assert!(!report.finish());
    }

    #[test]
    fn one_failure_fails_all() {
        let mut report = Report::new(false);
        report.pass("a");
        assert!(report.finish());
        report.verdict("b", Err("why".into()));
        assert_eq!(report.last_line(), "1 passed, 1 failed, 0 skipped");
        assert!(!report.finish());
    }
}
