// SPDX-License-Identifier: MIT OR Apache-2.0
//! The client: looks the service up, uses everything that it offers, lets it die
//! in the middle of a call and checks what it is told about that.

use std::error::Error;
use std::io::Read;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rsbinder::{
    hub, BinderResult, DeathRecipient, Interface, ProcessState, SIBinder, StatusCode, Strong,
    WIBinder,
};

use crate::aidl::bus1::rsdemo::ICallback::{BnCallback, ICallback};
use crate::aidl::bus1::rsdemo::IEcho::IEcho;
use crate::tap::Report;

const PATIENCE: Duration = Duration::from_secs(60);
const BURST: i32 = 32;
const THREADS: usize = 4;
const CALLS: usize = 25;

/// A number that other threads raise and this one waits for.
#[derive(Default)]
struct Counter {
    value: Mutex<i32>,
    changed: Condvar,
}

impl Counter {
    fn raise(&self) -> i32 {
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        *value += 1;
        self.changed.notify_all();
        *value - 1
    }

    fn reaches(&self, wanted: i32) -> bool {
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, _) = self
            .changed
            .wait_timeout_while(value, PATIENCE, |value| *value < wanted)
            .unwrap_or_else(PoisonError::into_inner);
        *value >= wanted
    }

    fn value(&self) -> i32 {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the calls back leave behind.
#[derive(Default)]
struct Calls {
    ticks: Counter,
    disorder: AtomicBool,
    thread: Mutex<Option<thread::ThreadId>>,
}

struct Callback(Arc<Calls>);

impl Interface for Callback {}

impl ICallback for Callback {
    fn twice(&self, value: i32) -> BinderResult<i32> {
        let mut thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner);
        *thread = Some(thread::current().id());
        Ok(2 * value)
    }

    fn tick(&self, number: i32) -> BinderResult<()> {
        if self.0.ticks.raise() != number {
            self.0.disorder.store(true, Ordering::SeqCst);
        }
        Ok(())
    }
}

#[derive(Default)]
struct Obituary(Counter);

impl DeathRecipient for Obituary {
    fn binder_died(&self, _who: &WIBinder) {
        self.0.raise();
    }
}

fn check_calls(report: &mut Report, echo: &Strong<dyn IEcho>) {
    report.check(
        echo.echo("hello").is_ok_and(|text| text == "hello"),
        "a call carries a string there and back",
    );
    for size in [0, 1, 4096, 100 * 1024, 600 * 1024] {
        let data: Vec<u8> = (0..size).map(|i| (i * 7 + i / 256) as u8).collect();
        let good = echo
            .reverse(&data)
            .is_ok_and(|answer| answer.iter().rev().eq(data.iter()));
        report.check(good, &format!("{size} bytes come back reversed"));
    }
    let refused = echo
        .reverse(&vec![0; 2 * 1024 * 1024])
        .is_err_and(|status| status.transaction_error() == StatusCode::FailedTransaction);
    report.check(
        refused,
        "a call larger than the receiver's buffer is refused",
    );
    report.check(
        echo.echo("after").is_ok_and(|text| text == "after"),
        "the next call works",
    );

    let good = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let good = &good;
            let echo = echo.clone();
            scope.spawn(move || {
                for call in 0..CALLS {
                    let sent = (number * CALLS + call).to_string();
                    if echo.echo(&sent).is_ok_and(|answer| answer == sent) {
                        good.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    report.check(
        good.into_inner() == THREADS * CALLS,
        "calls of several threads at once all get their own answers",
    );
}

fn check_caller(report: &mut Report, echo: &Strong<dyn IEcho>) {
    let own = std::process::id() as i32;
    report.check(
        echo.callerPid().is_ok_and(|pid| pid == own),
        "the service learns the caller's process",
    );
    // The owner of /proc/self is the effective user of this process.
    let own = std::fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m));
    report.check(
        own.is_ok_and(|own| echo.callerUid().is_ok_and(|uid| uid as u32 == own)),
        "the service learns the caller's user",
    );
}

fn check_objects(report: &mut Report, echo: &Strong<dyn IEcho>) {
    let calls = Arc::new(Calls::default());
    let callback = BnCallback::new_binder(Callback(calls.clone()));
    report.check(
        echo.callBack(&callback, 21)
            .is_ok_and(|answer| answer == 42),
        "the service calls the client back",
    );
    let server = *calls.thread.lock().unwrap_or_else(PoisonError::into_inner);
    report.check(
        server == Some(thread::current().id()),
        "the thread that waits for the answer serves the call back",
    );
    report.check(
        echo.burst(&callback, BURST).is_ok()
            && calls.ticks.reaches(BURST)
            && !calls.disorder.load(Ordering::SeqCst),
        "a burst of oneway calls arrives complete and in order",
    );

    let own: SIBinder = callback.as_binder();
    report.check(
        echo.same(&own).is_ok_and(|back| back == own),
        "an own object that comes back is the same object",
    );
    let there = echo.as_binder();
    report.check(
        echo.same(&there).is_ok_and(|back| back == there),
        "the service's object that comes back is the same proxy",
    );

    let mut text = String::new();
    let read = echo
        .pipe("through a pipe")
        .is_ok_and(|mut pipe| pipe.read_to_string(&mut text).is_ok());
    report.check(
        read && text == "through a pipe",
        "a file descriptor arrives and can be read",
    );
}

/// Whether the service manager forgets the name within our patience.
fn name_vanishes(name: &str) -> bool {
    let end = Instant::now() + PATIENCE;
    while hub::check_service(name).is_some() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

fn check_death(report: &mut Report, echo: &Strong<dyn IEcho>, name: &str) {
    let binder = echo.as_binder();
    let told = Arc::new(Obituary::default());
    let not_told = Arc::new(Obituary::default());
    report.check(
        binder.link_to_death_arc(&told).is_ok() && binder.link_to_death_arc(&not_told).is_ok(),
        "the client asks to be told about the service's death",
    );
    report.check(
        binder.unlink_to_death_arc(&not_told).is_ok(),
        "and can take that back",
    );

    let pid = echo.pid().unwrap_or(0);
    let killer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        pid > 1
            && Command::new("kill")
                .args(["-9", &pid.to_string()])
                .status()
                .is_ok_and(|status| status.success())
    });
    let ended = pid > 1
        && echo
            .hang()
            .is_err_and(|status| status.transaction_error() == StatusCode::DeadObject);
    report.check(
        killer.join().unwrap_or(false) && ended,
        "a call ends when the service is killed in the middle of it",
    );
    report.check(told.0.reaches(1), "the death notification arrives");
    report.check(
        told.0.value() == 1 && not_told.0.value() == 0,
        "once, and only where it is still wanted",
    );
    report.check(
        echo.echo("gone")
            .is_err_and(|status| status.transaction_error() == StatusCode::DeadObject),
        "the proxy knows that its object is dead",
    );
    report.check(
        name_vanishes(name),
        "rsb_hub, told as well, forgets the name",
    );
}

/// Runs all checks against the service `name`, which somebody else has started.
/// Answers whether all of them passed.
pub fn run(device: &str, name: &str) -> Result<bool, Box<dyn Error>> {
    let mut report = Report::new(27);
    ProcessState::init(device, 4)?;
    ProcessState::start_thread_pool();

    let echo: Strong<dyn IEcho> = hub::wait_for_interface(name)?;
    report.check(true, "the service is found by its name");
    report.check(
        hub::list_services(hub::DUMP_FLAG_PRIORITY_ALL)
            .iter()
            .any(|service| service == name),
        "rsb_hub lists the service",
    );
    report.check(
        hub::check_service("no.such").is_none(),
        "an unknown name is not found",
    );
    check_calls(&mut report, &echo);
    check_caller(&mut report, &echo);
    check_objects(&mut report, &echo);
    check_death(&mut report, &echo, name);
    Ok(report.all_passed())
}
