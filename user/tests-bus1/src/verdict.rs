// SPDX-License-Identifier: MIT OR Apache-2.0

//! How a case ends, and the checks that cases are written with.

use std::fmt;

use rustix::io::Errno;

/// Why a case has not passed.
#[derive(Debug)]
pub enum Failure {
    /// The driver has done something else than the documents say.
    Wrong(String),
    /// The case could not be tried here.
    Skip(String),
}

/// The result of a case or of a part of one.
pub type Verdict<T = ()> = Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Wrong(why) | Failure::Skip(why) => f.write_str(why),
        }
    }
}

impl From<Errno> for Failure {
    #[track_caller]
    fn from(errno: Errno) -> Self {
        wrong(format_args!("failed with {errno}"))
    }
}

impl From<std::io::Error> for Failure {
    #[track_caller]
    fn from(error: std::io::Error) -> Self {
        wrong(format_args!("failed: {error}"))
    }
}

/// A failure that names the line of its caller.
#[track_caller]
pub fn wrong(what: impl fmt::Display) -> Failure {
    let place = std::panic::Location::caller();
    Failure::Wrong(format!("{}:{}: {what}", place.file(), place.line()))
}

/// A case that can't be tried.
pub fn skip<T>(why: impl Into<String>) -> Verdict<T> {
    Err(Failure::Skip(why.into()))
}

/// Fails unless both are equal.
#[track_caller]
pub fn equal<T: PartialEq + fmt::Debug>(what: &str, found: T, wanted: T) -> Verdict {
    if found == wanted {
        return Ok(());
    }
    Err(wrong(format_args!(
        "{what}: {found:?}, expected {wanted:?}"
    )))
}

/// Fails unless `holds`.
#[track_caller]
pub fn check(what: &str, holds: bool) -> Verdict {
    if holds {
        return Ok(());
    }
    Err(wrong(format_args!("not so: {what}")))
}

/// Fails unless the call has failed with just this error number.
#[track_caller]
pub fn fails<T>(what: &str, result: Result<T, Errno>, wanted: Errno) -> Verdict {
    match result {
        Err(errno) if errno == wanted => Ok(()),
        Err(errno) => Err(wrong(format_args!("{what}: {errno}, expected {wanted}"))),
        Ok(_) => Err(wrong(format_args!("{what}: success, expected {wanted}"))),
    }
}

/// Fails unless the call has succeeded.
#[track_caller]
pub fn works<T>(what: &str, result: Result<T, Errno>) -> Verdict<T> {
    result.map_err(|errno| wrong(format_args!("{what}: {errno}, expected success")))
}
