// SPDX-License-Identifier: MIT OR Apache-2.0

//! Users that fill a receiver in every way they can think of, and who comes after them.
//!
//! Each attack that the rule of 2016 gives in to is played under that rule as well: if it did no
//! harm there, the case would not have seen it.

#![forbid(unsafe_code)]

use rustix::io::Errno;

use super::cases;
use super::optional::figure;
use crate::budget::{Budget, Rule};
use crate::raw::Peer;
use crate::shares::promised;
use crate::tap::{is_slow, is_thorough};
use crate::users::{need_users, peer_of, receiver, Sender, FIRST};
use crate::verdict::{check, equal, skip, works, wrong, Verdict};

cases! {
    #[long] a_newcomer_after_10_users_that_never_let_go,
    #[long] a_newcomer_after_100_users_that_never_let_go,
    #[long] a_newcomer_after_1000_users_that_never_let_go,
    #[long] a_newcomer_after_10_users_that_take_turns,
    #[long] a_newcomer_after_100_users_that_take_turns,
    #[long] a_newcomer_after_1000_users_that_take_turns,
    #[long] a_newcomer_after_10_users_that_come_and_go,
    #[long] a_newcomer_after_100_users_that_come_and_go,
    #[long] a_newcomer_after_1000_users_that_come_and_go,
    #[long] bytes_are_left_for_a_newcomer,
    #[long] what_is_promised_by_default_is_kept,
}

/// How they go about it.
#[derive(Clone, Copy)]
enum Way {
    /// One after the other takes all it can get.
    OneAfterTheOther,
    /// Each one message, until nobody gets one.
    InTurns,
    /// Some of it is read and released while others take more; in the end one after the other.
    ComingAndGoing,
}

/// A peer, users that have taken all they can of it, and one who comes now.
struct Siege {
    receiver: Peer,
    hostile: Vec<Sender>,
    newcomer: Sender,
}

impl Siege {
    /// So many users and a newcomer, before anything is sent.
    fn new(receiver: Peer, count: u32) -> Verdict<Self> {
        let sender = |user| Sender::of(FIRST + 1 + user, &receiver);
        Ok(Siege {
            hostile: (0..count).map(sender).collect::<Verdict<_>>()?,
            newcomer: sender(count)?,
            receiver,
        })
    }

    fn attack(&self, way: Way) -> Verdict {
        match way {
            Way::OneAfterTheOther => {}
            Way::InTurns => while self.one_turn()? > 0 {},
            Way::ComingAndGoing => self.come_and_go()?,
        }
        for sender in &self.hostile {
            sender.say_all(&[1; 8])?;
        }
        Ok(())
    }

    /// How many of them got a message.
    fn one_turn(&self) -> Verdict<usize> {
        let mut granted = 0;
        for sender in &self.hostile {
            granted += usize::from(sender.say(&[1; 8])?);
        }
        Ok(granted)
    }

    /// At random, the same each time.
    fn come_and_go(&self) -> Verdict {
        let mut random = 1_u32;
        let mut below = |limit: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % limit
        };
        for _ in 0..if is_thorough() { 2000 } else { 200 } {
            let sender = &self.hostile[below(self.hostile.len())];
            for _ in 0..below(32) {
                if !sender.say(&[1; 8])? {
                    break;
                }
            }
            // Now and then all that it holds, so that everybody begins anew.
            let most = if below(128) == 0 {
                usize::MAX
            } else {
                below(24)
            };
            self.read(most)?;
        }
        Ok(())
    }

    /// Reads and releases so many messages, if there are.
    fn read(&self, most: usize) -> Verdict {
        for _ in 0..most {
            match self.receiver.recv() {
                Ok(msg) => works("RELEASE", self.receiver.slice_release(msg.offset))?,
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(wrong(format_args!("RECV: {errno}"))),
            }
        }
        Ok(())
    }
}

/// How many messages a newcomer can send under this rule.
fn newcomer_gets(rule: Rule, way: Way, count: u32) -> Verdict<u64> {
    let _rule = rule.hold()?;
    let siege = Siege::new(receiver()?, count)?;
    siege.attack(way)?;
    let got = siege.newcomer.say_all(&[2; 8])?;
    println!("# {rule:?}: after {count} users it gets {got} messages");
    if rule == Rule::Ours {
        let limit = figure(&siege.receiver, "bus1-slices-limit")?;
        let reserve = figure(&siege.receiver, "bus1-slices-reserve")?;
        equal("reserve", reserve, limit / 2)?;
        let holders = figure(&siege.receiver, "bus1-slices-principals")?;
        equal("principals", holders, u64::from(count) + 1)?;
        let held = figure(&siege.receiver, "bus1-slices-reserved")?;
        check("the reserve has sufficed", held <= reserve)?;
    }
    Ok(got)
}

/// After `count` of them a newcomer can still send `least` messages.
fn least_is_there(way: Way, count: u32, least: u64) -> Verdict {
    need_users(u64::from(count) + 100)?;
    let least = match (is_thorough(), count) {
        (true, _) => least,
        // Of 1024 instead of 16384.
        (false, 10) => 5,
        (false, 100) if !is_slow() => 1,
        (false, _) => return skip("so many users take long: only in a thorough run"),
    };
    let _budget = Budget::large()?;
    let ours = newcomer_gets(Rule::Ours, way, count)?;
    check("what is promised is there", ours >= least)?;
    // In turns they take the same each, by either rule.
    if !matches!(way, Way::InTurns) {
        let old = newcomer_gets(Rule::Of2016, way, count)?;
        check("the rule of 2016 has given in", old < least)?;
    }
    Ok(())
}

fn a_newcomer_after_10_users_that_never_let_go() -> Verdict {
    least_is_there(Way::OneAfterTheOther, 10, 50)
}

fn a_newcomer_after_100_users_that_never_let_go() -> Verdict {
    least_is_there(Way::OneAfterTheOther, 100, 9)
}

fn a_newcomer_after_1000_users_that_never_let_go() -> Verdict {
    least_is_there(Way::OneAfterTheOther, 1000, 4)
}

fn a_newcomer_after_10_users_that_take_turns() -> Verdict {
    least_is_there(Way::InTurns, 10, 50)
}

fn a_newcomer_after_100_users_that_take_turns() -> Verdict {
    least_is_there(Way::InTurns, 100, 9)
}

fn a_newcomer_after_1000_users_that_take_turns() -> Verdict {
    least_is_there(Way::InTurns, 1000, 4)
}

fn a_newcomer_after_10_users_that_come_and_go() -> Verdict {
    least_is_there(Way::ComingAndGoing, 10, 50)
}

fn a_newcomer_after_100_users_that_come_and_go() -> Verdict {
    least_is_there(Way::ComingAndGoing, 100, 9)
}

fn a_newcomer_after_1000_users_that_come_and_go() -> Verdict {
    least_is_there(Way::ComingAndGoing, 1000, 4)
}

fn bytes_are_left_for_a_newcomer() -> Verdict {
    if is_slow() {
        return skip("this kernel is too slow for so many bytes");
    }
    need_users(1200)?;
    let _budget = Budget::large()?;
    let buffer = vec![1; 16 << 20];
    // In whole words.
    for (count, least) in [(10, 35_864), (100, 7552), (1000, 4440)] {
        if !is_thorough() && count == 1000 {
            break;
        }
        for rule in [Rule::Ours, Rule::Of2016] {
            let _rule = rule.hold()?;
            let siege = Siege::new(peer_of(FIRST)?, count)?;
            let mut most = buffer.len();
            for sender in &siege.hostile {
                (_, most) = sender.take_bytes(&buffer, most)?;
            }
            let granted = siege.newcomer.say(&buffer[..least])?;
            let what = format!("{rule:?}: {least} bytes after {count} users");
            equal(&what, granted, rule == Rule::Ours)?;
        }
    }
    Ok(())
}

/// With whatever the machine grants a user: what follows from the reserve that fdinfo shows.
fn what_is_promised_by_default_is_kept() -> Verdict {
    need_users(1200)?;
    let counts: &[u32] = match (is_thorough(), is_slow()) {
        (true, _) => &[10, 100, 1000],
        (false, false) => &[100],
        (false, true) => return skip("this kernel is too slow for so many messages"),
    };
    for &count in counts {
        let siege = Siege::new(peer_of(FIRST)?, count)?;
        siege.attack(Way::OneAfterTheOther)?;
        let reserve = figure(&siege.receiver, "bus1-slices-reserve")?;
        let least = promised(reserve, 1, u64::from(count) + 1);
        let got = siege.newcomer.say_all(&[2; 8])?;
        println!("# {reserve} in reserve: after {count} users it gets {got}, {least} are promised");
        check("what is promised is there", got >= least)?;
    }
    Ok(())
}
