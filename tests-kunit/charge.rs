// SPDX-License-Identifier: GPL-2.0

//! Suite `bus1_charge`: prepaid room for answers.
//!
//! One source for KUnit and for the host.

#[cfg(not(bus1_host))]
use kernel::prelude::*;

#[cfg_attr(not(bus1_host), kunit_tests(bus1_charge))]
#[cfg_attr(bus1_host, cfg(test))]
mod tests {
    use crate::{
        core::{
            amounts::Resource,
            charge::{
                DrawError,
                Slot, //
            },
            quota::{
                Account,
                Amounts,
                ChargeError,
                Principal,
                Users, //
            },
            sync::{
                Arc,
                KVec,
                GFP_KERNEL, //
            },
        },
        testbed::Failed, //
    };

    const OWNER: Principal = Principal::user(1);

    fn amounts(slices: u32, bytes: u32, handles: u32, fds: u32) -> Amounts {
        Amounts {
            slices,
            bytes,
            handles,
            fds,
        }
    }

    fn account() -> Result<Arc<Account>, Failed> {
        let limits = amounts(64, 1 << 16, 64, 64);
        let seat = Users::enter(
            &Users::new()?,
            [OWNER],
            amounts(1 << 10, 1 << 20, 1 << 10, 64),
        )?;
        Ok(Account::new(seat, limits)?)
    }

    fn used(account: &Account) -> Amounts {
        account.report().used
    }

    /// A slot for one slice of 64 bytes, two handles and a file.
    fn slot(account: &Arc<Account>) -> Result<Arc<Slot>, Failed> {
        Slot::new(account, Principal::OWN, amounts(1, 64, 2, 1)).map_err(|_| Failed)
    }

    #[test]
    fn a_promise_is_charged_when_it_is_made() -> Result<(), Failed> {
        let account = account()?;
        let slot = slot(&account)?;
        assert_eq!(used(&account), amounts(1, 64, 2, 1));
        drop(slot);
        assert_eq!(used(&account), Amounts::NONE);
        match Slot::new(&account, Principal::OWN, amounts(1, 1 << 17, 0, 0)) {
            Err(ChargeError::Over(over)) => assert_eq!(over.resource, Resource::Bytes),
            _ => return Err(Failed),
        }
        assert_eq!(used(&account), Amounts::NONE);
        Ok(())
    }

    #[test]
    fn an_answer_within_the_promise_asks_nobody() -> Result<(), Failed> {
        let account = account()?;
        let slot = slot(&account)?;
        // Whoever fills the account up can't take away what was promised.
        let mut held = KVec::new();
        while let Ok(charge) = Account::charge(&account, OWNER, amounts(1, 0, 1, 1)) {
            held.push(charge, GFP_KERNEL)?;
        }
        let before = used(&account);
        let charge = Slot::draw(&slot, amounts(1, 40, 1, 0)).map_err(|_| Failed)?;
        assert_eq!(used(&account), before);
        Slot::seal(&slot).ok_or(Failed)?.sent();
        // What the answer did not need is free again at once, the rest when it is released.
        drop(held);
        assert_eq!(used(&account), amounts(1, 40, 1, 0));
        drop(charge);
        assert_eq!(used(&account), Amounts::NONE);
        assert!(matches!(
            Slot::draw(&slot, Amounts::NONE),
            Err(DrawError::Closed)
        ));
        assert!(Slot::seal(&slot).is_none());
        Ok(())
    }

    #[test]
    fn an_answer_that_is_too_large_changes_nothing() -> Result<(), Failed> {
        let account = account()?;
        let slot = slot(&account)?;
        for more in [
            amounts(2, 0, 0, 0),
            amounts(1, 65, 0, 0),
            amounts(1, 0, 3, 0),
            amounts(1, 0, 0, 2),
        ] {
            assert!(matches!(Slot::draw(&slot, more), Err(DrawError::TooLarge)));
        }
        assert!(Slot::draw(&slot, amounts(1, 64, 2, 1)).is_ok());
        assert_eq!(used(&account), amounts(1, 64, 2, 1));
        Ok(())
    }

    #[test]
    fn what_was_drawn_in_vain_goes_back() -> Result<(), Failed> {
        let account = account()?;
        let slot = slot(&account)?;
        let mut charge = Slot::draw(&slot, amounts(1, 8, 2, 0)).map_err(|_| Failed)?;
        let handle = charge.split_handle().ok_or(Failed)?;
        assert!(matches!(
            Slot::draw(&slot, amounts(1, 8, 0, 0)),
            Err(DrawError::Busy)
        ));
        drop(charge);
        // A handle that somebody else got hold of meanwhile stays paid for.
        assert!(matches!(
            Slot::draw(&slot, amounts(1, 8, 2, 0)),
            Err(DrawError::Busy)
        ));
        let again = Slot::draw(&slot, amounts(1, 8, 1, 0)).map_err(|_| Failed)?;
        drop(slot);
        assert_eq!(used(&account), amounts(1, 64, 2, 1));
        drop((again, handle));
        assert_eq!(used(&account), Amounts::NONE);
        Ok(())
    }

    #[test]
    fn an_answer_that_is_cancelled_opens_the_slot_again() -> Result<(), Failed> {
        let account = account()?;
        let slot = slot(&account)?;
        let charge = Slot::draw(&slot, amounts(1, 8, 0, 0)).map_err(|_| Failed)?;
        let sealed = Slot::seal(&slot).ok_or(Failed)?;
        assert!(Slot::seal(&slot).is_none());
        drop((charge, sealed));
        assert!(Slot::draw(&slot, amounts(1, 64, 0, 0)).is_ok());
        assert_eq!(used(&account), amounts(1, 64, 2, 1));
        Ok(())
    }

    #[test]
    fn who_reads_before_the_sender_is_done_opens_nothing() -> Result<(), Failed> {
        let account = account()?;
        let slot = slot(&account)?;
        let charge = Slot::draw(&slot, amounts(1, 64, 0, 0)).map_err(|_| Failed)?;
        let sealed = Slot::seal(&slot).ok_or(Failed)?;
        // The receiver has read the answer and released it.
        drop(charge);
        assert!(matches!(
            Slot::draw(&slot, amounts(1, 8, 0, 0)),
            Err(DrawError::Busy)
        ));
        sealed.sent();
        assert_eq!(used(&account), Amounts::NONE);
        assert!(matches!(
            Slot::draw(&slot, amounts(1, 8, 0, 0)),
            Err(DrawError::Closed)
        ));
        Ok(())
    }

    #[test]
    fn a_slot_that_nobody_waits_for_gives_all_back() -> Result<(), Failed> {
        let account = account()?;
        let slot = slot(&account)?;
        let charge = Slot::draw(&slot, amounts(1, 8, 1, 0)).map_err(|_| Failed)?;
        slot.close();
        assert_eq!(used(&account), amounts(1, 8, 1, 0));
        assert!(Slot::seal(&slot).is_none());
        drop(charge);
        assert_eq!(used(&account), Amounts::NONE);
        Ok(())
    }
}
