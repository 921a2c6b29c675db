// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the receivers of a batch may have seen.
//!
//! A race is one node, one message or transfer that carries its handle, and one
//! destruction. The receiver sees either a dead slot, and no notice, or a living
//! handle, and exactly one notice after it. Receivers of one multicast agree.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use bus1_sys::BUS1_HANDLE_INVALID;

/// How a handle travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In a message to the first receiver.
    Message,
    /// In a message to the first and the second.
    Multicast,
    /// To the third, without a message.
    Transfer,
}

/// All of them.
pub const KINDS: [Kind; 3] = [Kind::Message, Kind::Multicast, Kind::Transfer];

/// Receivers.
pub const RECEIVERS: usize = 3;

/// How the handle of race `race` travels.
pub fn kind_of(race: usize) -> Kind {
    KINDS[race % KINDS.len()]
}

/// An entry of a receiver's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The message of this race, with this ID in its slot.
    Message(usize, u64),
    /// The end of the node with this ID.
    Notice(u64),
}

/// How many races ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// With a living handle and a notice, by kind.
    pub live: [u64; 3],
    /// With a dead one and no notice, by kind.
    pub dead: [u64; 3],
}

impl Tally {
    /// Adds those of another batch.
    pub fn add(&mut self, other: &Tally) {
        for kind in 0..KINDS.len() {
            self.live[kind] += other.live[kind];
            self.dead[kind] += other.dead[kind];
        }
    }

    /// Whether each kind ended both ways.
    pub fn both_ways(&self) -> bool {
        self.live.iter().chain(&self.dead).all(|count| *count > 0)
    }
}

/// Places of the notices of one queue, by ID.
fn notices(receiver: usize, log: &[Seen]) -> Result<HashMap<u64, usize>, String> {
    let mut places = HashMap::new();
    for (place, seen) in log.iter().enumerate() {
        if let Seen::Notice(id) = seen {
            if places.insert(*id, place).is_some() {
                return Err(format!("receiver {receiver} is told twice of {id:#x}"));
            }
        }
    }
    Ok(places)
}

/// One queue: the slot of each race, with every living ID told once, behind its
/// message, and nothing else told.
fn slots(receiver: usize, log: &[Seen], given: &[u64]) -> Result<HashMap<usize, u64>, String> {
    let mut notices = notices(receiver, log)?;
    let mut slots = HashMap::new();
    let messages = log
        .iter()
        .enumerate()
        .filter_map(|(place, seen)| match seen {
            Seen::Message(race, id) => Some((Some(place), *race, *id)),
            Seen::Notice(_) => None,
        });
    let transfers = (0..given.len())
        .filter(|race| receiver == 2 && kind_of(*race) == Kind::Transfer)
        .map(|race| (None, race, given[race]));
    for (place, race, id) in messages.chain(transfers) {
        if slots.insert(race, id).is_some() {
            return Err(format!("receiver {receiver} got race {race} twice"));
        }
        if id == BUS1_HANDLE_INVALID {
            continue;
        }
        match (notices.remove(&id), place) {
            (None, _) => {
                return Err(format!(
                    "race {race}: receiver {receiver} got {id:#x} and is never told of its end"
                ));
            }
            (Some(notice), Some(place)) if notice < place => {
                return Err(format!(
                    "race {race}: receiver {receiver} is told of {id:#x} before it gets it"
                ));
            }
            _ => {}
        }
    }
    match notices.keys().next() {
        Some(id) => Err(format!(
            "receiver {receiver} is told of the unknown {id:#x}"
        )),
        None => Ok(slots),
    }
}

/// Judges a batch: what each receiver read, and what each transfer returned.
pub fn judge(logs: &[Vec<Seen>; RECEIVERS], given: &[u64]) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let mut seen = Vec::new();
    for (receiver, log) in logs.iter().enumerate() {
        seen.push(slots(receiver, log, given)?);
    }
    for race in 0..given.len() {
        let kind = kind_of(race);
        let receivers: &[usize] = match kind {
            Kind::Message => &[0],
            Kind::Multicast => &[0, 1],
            Kind::Transfer => &[2],
        };
        let mut live = None;
        for (receiver, slots) in seen.iter().enumerate() {
            let slot = slots.get(&race).map(|id| *id != BUS1_HANDLE_INVALID);
            if slot.is_some() != receivers.contains(&receiver) {
                return Err(format!("race {race}: receiver {receiver} got {slot:?}"));
            }
            if let Some(slot) = slot {
                if live.is_some_and(|live| live != slot) {
                    return Err(format!("race {race}: receivers of one message disagree"));
                }
                live = Some(slot);
            }
        }
        let count = match live {
            Some(true) => &mut tally.live,
            _ => &mut tally.dead,
        };
        count[kind as usize] += 1;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Seen::{Message, Notice};

    const DEAD: u64 = BUS1_HANDLE_INVALID;

    /// Three races, one of each kind: all alive, or with some slots changed.
    fn batch() -> ([Vec<Seen>; RECEIVERS], Vec<u64>) {
        let first = vec![Message(0, 11), Notice(11), Message(1, 19), Notice(19)];
        let second = vec![Message(1, 11), Notice(11)];
        ([first, second, vec![Notice(11)]], vec![0, 0, 11])
    }

    #[test]
    fn living_and_dead_handles_pass() {
        let (logs, given) = batch();
        let tally = judge(&logs, &given);
        let all = Tally {
            live: [1; 3],
            dead: [0; 3],
        };
        assert_eq!(tally, Ok(all));
        let first = vec![Message(0, DEAD), Message(1, DEAD)];
        let dead = judge(&[first, vec![Message(1, DEAD)], vec![]], &[0, 0, DEAD]);
        let all = Tally {
            live: [0; 3],
            dead: [1; 3],
        };
        assert_eq!(dead, Ok(all));
        assert!(!all.both_ways());
    }

    #[test]
    fn a_living_handle_without_a_notice_is_found() {
        for (receiver, place) in [(0, 1), (0, 3), (1, 1), (2, 0)] {
            let (mut logs, given) = batch();
            logs[receiver].remove(place);
            assert!(judge(&logs, &given).is_err(), "{receiver} {place}");
        }
    }

    #[test]
    fn a_notice_too_much_is_found() {
        for (receiver, notice) in [(0, 11), (1, 11), (2, 11), (2, 99), (0, 99)] {
            let (mut logs, given) = batch();
            logs[receiver].push(Notice(notice));
            assert!(judge(&logs, &given).is_err(), "{receiver} {notice}");
        }
    }

    #[test]
    fn a_notice_before_its_message_is_found() {
        let (mut logs, given) = batch();
        logs[0].swap(0, 1);
        assert!(judge(&logs, &given).is_err());
    }

    #[test]
    fn receivers_that_disagree_are_found() {
        let (mut logs, given) = batch();
        logs[1] = vec![Message(1, DEAD)];
        assert!(judge(&logs, &given).is_err());
    }

    #[test]
    fn a_lost_message_is_found() {
        let (mut logs, given) = batch();
        logs[1].clear();
        assert!(judge(&logs, &given).is_err());
    }
}
