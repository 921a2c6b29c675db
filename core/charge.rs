// SPDX-License-Identifier: GPL-2.0

//! The values that pay: what is charged to an account, until it is dropped.
//!
//! A [`Charge`] lies in what it paid for. It can be split, and each part gives back what is its own.
//!
//! A [`Slot`] is room for one answer, prepaid by who wants it: its charge was taken when the question
//! was asked, so that who answers is refused nothing that was promised. Who answers *draws* on it; what
//! was drawn for an answer that did not come about goes back, and the slot is as before. It pays for one
//! slice, so that no second answer can be under way. Once an answer is sent the slot is closed: what
//! it has left goes back to the account, and what was drawn follows when it is dropped.
//!
//! Lock: `slot`, a leaf spinlock for each slot; nothing is allocated or dropped under it.

#![deny(unsafe_code)]

use super::{
    amounts::Amounts,
    claim::Sources,
    principal::Principal,
    quota::{
        Account,
        ChargeError, //
    },
    sync::{
        assert_unlocked,
        new_spinlock,
        pin_data,
        pin_init,
        try_arc,
        Arc,
        SpinLock, //
    },
};

/// Who is charged, and where it was taken from.
#[derive(Clone)]
struct Bill {
    account: Arc<Account>,
    who: Principal,
    sources: Sources,
}

impl Bill {
    fn settle(&self, amounts: Amounts) {
        if amounts != Amounts::NONE {
            self.account.release(self.who, amounts, self.sources);
        }
    }
}

/// Where an amount goes back to.
#[derive(Clone)]
enum Purse {
    /// To the account.
    Account(Bill),
    /// To a slot that it was drawn on.
    Slot(Arc<Slot>),
}

impl Purse {
    fn give(&self, amounts: Amounts) {
        match self {
            Self::Account(bill) => bill.settle(amounts),
            Self::Slot(slot) => slot.give(amounts),
        }
    }
}

/// Something that is paid for. Dropping it gives it back.
#[must_use = "is given back at once"]
pub(crate) struct Charge {
    purse: Purse,
    amounts: Amounts,
}

impl Charge {
    /// What `account` has charged to `who`.
    pub(super) fn new(
        account: &Arc<Account>,
        who: Principal,
        amounts: Amounts,
        sources: Sources,
    ) -> Self {
        Self {
            purse: Purse::Account(Bill {
                account: account.clone(),
                who,
                sources,
            }),
            amounts,
        }
    }

    /// What is paid for.
    pub(crate) fn amounts(&self) -> Amounts {
        self.amounts
    }

    /// Splits `part` off, which then lives on its own; `None` if there is less.
    pub(crate) fn split(&mut self, part: Amounts) -> Option<Self> {
        self.amounts = self.amounts.checked_sub(part)?;
        Some(Self {
            purse: self.purse.clone(),
            amounts: part,
        })
    }

    /// Splits one handle off; `None` if there is none.
    pub(crate) fn split_handle(&mut self) -> Option<HandleCharge> {
        self.amounts.handles = self.amounts.handles.checked_sub(1)?;
        Some(HandleCharge(self.purse.clone()))
    }

    /// Gives `part` back before the rest; nothing if there is less.
    pub(crate) fn release(&mut self, part: Amounts) {
        drop(self.split(part));
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        assert_unlocked();
        self.purse.give(self.amounts);
    }
}

/// The charge of one handle, as small as can be: it lies in each handle.
#[must_use = "is given back at once"]
pub(crate) struct HandleCharge(Purse);

impl Drop for HandleCharge {
    fn drop(&mut self) {
        assert_unlocked();
        self.0.give(Amounts {
            handles: 1,
            ..Amounts::NONE
        });
    }
}

/// Why nothing was drawn; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DrawError {
    /// More than was promised.
    TooLarge,
    /// Somebody else has drawn what there was, and has not answered yet.
    Busy,
    /// There is an answer, or nobody waits for it any more.
    Closed,
}

/// What a slot has left. Dropping it gives it back.
struct Rest {
    bill: Bill,
    amounts: Amounts,
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.bill.settle(self.amounts);
    }
}

/// How far an answer has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There is none.
    Open,
    /// One is being sent. Its receiver may have read it and given it back already.
    Sealed,
    /// It was sent, or nobody waits for it.
    Closed,
}

/// What the lock of a slot guards.
struct Room {
    rest: Rest,
    stage: Stage,
}

/// Prepaid room for one answer.
#[pin_data]
pub(crate) struct Slot {
    promised: Amounts,
    #[pin]
    room: SpinLock<Room>,
}

impl Slot {
    /// Charges `promised` to `who`, all or nothing, for whoever will answer.
    pub(crate) fn new(
        account: &Arc<Account>,
        who: Principal,
        promised: Amounts,
    ) -> Result<Arc<Self>, ChargeError> {
        let sources = account.add(who, promised)?;
        let rest = Rest {
            bill: Bill {
                account: account.clone(),
                who,
                sources,
            },
            amounts: promised,
        };
        let room = Room {
            rest,
            stage: Stage::Open,
        };
        Ok(try_arc(pin_init!(Self {
            promised,
            room <- new_spinlock!(room, "bus1::Slot::slot"),
        }))?)
    }

    /// Takes `part` out for an answer. What is dropped before [`seal`](Self::seal) goes back.
    pub(crate) fn draw(this: &Arc<Self>, part: Amounts) -> Result<Charge, DrawError> {
        if this.promised.checked_sub(part).is_none() {
            return Err(DrawError::TooLarge);
        }
        let mut room = this.room.lock();
        if room.stage == Stage::Closed {
            return Err(DrawError::Closed);
        }
        let left = room.rest.amounts.checked_sub(part);
        room.rest.amounts = match left {
            Some(left) if room.stage == Stage::Open => left,
            _ => return Err(DrawError::Busy),
        };
        drop(room);
        Ok(Charge {
            purse: Purse::Slot(this.clone()),
            amounts: part,
        })
    }

    /// Begins to send the answer that was drawn for. Says no if nobody waits for it any more.
    ///
    /// It ends with the guard, and if that was not told that the answer is [sent](Sealed::sent), the
    /// slot is open again.
    pub(crate) fn seal(this: &Arc<Self>) -> Option<Sealed> {
        let mut room = this.room.lock();
        if room.stage != Stage::Open {
            return None;
        }
        room.stage = Stage::Sealed;
        drop(room);
        Some(Sealed(this.clone()))
    }

    /// Ends it: nothing is drawn any more, and what is left goes back to the account.
    pub(crate) fn close(&self) {
        let (bill, left) = {
            let mut room = self.room.lock();
            room.stage = Stage::Closed;
            let left = ::core::mem::take(&mut room.rest.amounts);
            (room.rest.bill.clone(), left)
        };
        bill.settle(left);
    }

    /// Takes back a part, or hands it on to the account.
    fn give(&self, part: Amounts) {
        let bill = {
            let mut room = self.room.lock();
            if room.stage == Stage::Closed {
                Some(room.rest.bill.clone())
            } else {
                let rest = &mut room.rest;
                // No more than there was.
                rest.amounts = rest.amounts.saturating_add(part);
                None
            }
        };
        if let Some(bill) = bill {
            bill.settle(part);
        }
    }
}

/// The right to send an answer, while it is being sent.
#[must_use = "opens the slot again"]
pub(crate) struct Sealed(Arc<Slot>);

impl Sealed {
    /// The answer is on its way.
    pub(crate) fn sent(self) {
        self.0.close();
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        let mut room = self.0.room.lock();
        if room.stage == Stage::Sealed {
            room.stage = Stage::Open;
        }
    }
}
