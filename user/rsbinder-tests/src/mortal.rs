// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests whose peer dies or is frozen.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rsbinder::{
    DeathRecipient, FrozenState, FrozenStateChangeCallback, Interface, ProcessState, StatusCode,
    WIBinder,
};

use crate::cases::{check, Case, Res, World};
use crate::meeting::{self, PATIENCE};

/// A peer dies in the middle of a call.
pub const DEATH: Case = Case {
    name: "the death of a peer",
    run: death,
    commands: &[
        ("BC_REQUEST_DEATH_NOTIFICATION", 1),
        ("BR_DEAD_BINDER", 1),
        ("BC_DEAD_BINDER_DONE", 1),
        ("BR_DEAD_REPLY", 1),
    ],
    engine: &[("notices", 1), ("codes", 1)],
};

/// A notification is taken back before the peer dies.
pub const UNWANTED: Case = Case {
    name: "a death that nobody wants to hear of",
    run: unwanted,
    commands: &[
        ("BC_REQUEST_DEATH_NOTIFICATION", 1),
        ("BC_CLEAR_DEATH_NOTIFICATION", 1),
        ("BR_CLEAR_DEATH_NOTIFICATION_DONE", 1),
    ],
    engine: &[("codes", 1)],
};

/// A peer is frozen and thawed.
pub const FROZEN: Case = Case {
    name: "a frozen peer",
    run: frozen,
    commands: &[
        ("BC_REQUEST_FREEZE_NOTIFICATION", 1),
        ("BR_FROZEN_BINDER", 2),
        ("BC_FREEZE_NOTIFICATION_DONE", 2),
        ("BR_FROZEN_REPLY", 1),
    ],
    engine: &[("notices", 2), ("codes", 1)],
};

/// What was told, in the order in which it came.
struct Heard<T> {
    all: Mutex<Vec<T>>,
    changed: Condvar,
}

impl<T: PartialEq> Heard<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            all: Mutex::new(Vec::new()),
            changed: Condvar::new(),
        })
    }

    fn hear(&self, what: T) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(what);
        self.changed.notify_all();
    }

    /// Waits until it has heard so much; true if that is what it heard.
    fn becomes(&self, wanted: &[T]) -> bool {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, _) = self
            .changed
            .wait_timeout_while(all, PATIENCE, |all| all.len() < wanted.len())
            .unwrap_or_else(PoisonError::into_inner);
        *all == wanted
    }
}

impl DeathRecipient for Heard<()> {
    fn binder_died(&self, _who: &WIBinder) {
        self.hear(());
    }
}

impl FrozenStateChangeCallback for Heard<FrozenState> {
    fn on_state_changed(&self, _who: &WIBinder, state: FrozenState) {
        self.hear(state);
    }
}

fn death(world: &World) -> Res {
    let (mut other, peer) = world.new_peer("mortal")?;
    let heard = Heard::<()>::new();
    let binder = peer.as_binder();
    binder.link_to_death_arc(&heard)?;
    let killer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        other.0.kill().is_ok()
    });
    let ended = peer.hang();
    check("it was killed", killer.join().unwrap_or(false))?;
    check(
        "the call ends",
        ended.is_err_and(|status| status.transaction_error() == StatusCode::DeadObject),
    )?;
    check("the notification arrives", heard.becomes(&[()]))?;
    check(
        "the next call fails at once",
        peer.pid()
            .is_err_and(|status| status.transaction_error() == StatusCode::DeadObject),
    )
}

fn unwanted(world: &World) -> Res {
    let (other, peer) = world.new_peer("unwanted")?;
    let (heard, not_heard) = (Heard::<()>::new(), Heard::<()>::new());
    let binder = peer.as_binder();
    binder.link_to_death_arc(&not_heard)?;
    binder.unlink_to_death_arc(&not_heard)?;
    // A later request for the same object is told; the first stays silent.
    binder.link_to_death_arc(&heard)?;
    drop(other);
    check("the later one is told", heard.becomes(&[()]))?;
    check("the first is not", not_heard.becomes(&[]))
}

fn frozen(world: &World) -> Res {
    let (other, peer) = world.new_peer("cold")?;
    let heard = Heard::<FrozenState>::new();
    let binder = peer.as_binder();
    binder.add_frozen_state_change_callback_arc(&heard)?;
    check("thawed at first", heard.becomes(&[FrozenState::Unfrozen]))?;
    let pid = i32::try_from(other.0.id())?;
    let process = ProcessState::as_self();
    // It may still be busy with what it did at its start.
    meeting::wait(|| process.freeze_process(pid, true, Duration::from_secs(1)))?;
    check("a call is refused", peer.pid().is_err())?;
    check(
        "the driver remembers the call",
        process.process_freeze_info(pid)?.sync_received,
    )?;
    // A state that nobody has read yet is not told when it has changed back.
    let mut states = vec![FrozenState::Unfrozen, FrozenState::Frozen];
    check("that it is frozen is told", heard.becomes(&states))?;
    process.freeze_process(pid, false, Duration::ZERO)?;
    check("thawed, it answers", peer.pid()? == pid)?;
    states.push(FrozenState::Unfrozen);
    check("that it is thawed is told", heard.becomes(&states))?;
    binder.remove_frozen_state_change_callback_arc(&heard)?;
    Ok(())
}
