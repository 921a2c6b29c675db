// SPDX-License-Identifier: GPL-2.0

//! Each call is over once.
//!
//! A caller waits at a desk, for one call at a time. Whoever read a call has the duty to answer; it
//! can pass it on into a call of its own, as that one's parent, and gets it back with the answer.
//!
//! 1. A call that was refused is not heard of again.
//! 2. A call that was taken is over at most once, at the desk at which it was made; just once if
//!    somebody looked there at the very end.
//! 3. It is over by an answer if and only if one was taken, of one who had read the call; there is
//!    at most one such answer. Otherwise it failed.
//! 4. With it comes back what the caller served when it called, if it did.

use super::{
    super::record::{
        Fate,
        Got,
        Line,
        Role, //
    },
    check,
    Facts,
    Reading,
    Verdict, //
};

/// How a call was over: read by whom, with what served before, and by which answer.
struct Over<'a> {
    reading: &'a Reading,
    parent: bool,
    answer: Option<usize>,
}

fn over<'a>(facts: &'a Facts<'_>, call: usize) -> Vec<Over<'a>> {
    let of = |reading: &'a Reading| match reading.got {
        Got::Failed {
            call: failed,
            parent,
        } if failed == call => Some(Over {
            reading,
            parent,
            answer: None,
        }),
        Got::Letter { id, parent, .. } if facts.letter(id).role == Role::Answer(call) => {
            Some(Over {
                reading,
                parent,
                answer: Some(id),
            })
        }
        _ => None,
    };
    facts.readings.iter().filter_map(of).collect()
}

/// The answers to a call that were taken.
fn answers(facts: &Facts<'_>, call: usize) -> Vec<usize> {
    let letters = facts.history.letters.iter().enumerate();
    let taken = letters.filter(|(_, letter)| {
        letter.role == Role::Answer(call) && letter.fates.contains(&Fate::Delivered)
    });
    taken.map(|(id, _)| id).collect()
}

fn once(facts: &Facts<'_>, call: usize, desk: usize, parent: Option<usize>) -> Verdict {
    let letter = facts.letter(call);
    let (over, answers) = (over(facts, call), answers(facts, call));
    let taken = letter.fates.contains(&Fate::Delivered);
    check(over.len() <= usize::from(taken), || {
        format!("{call} is over {} times", over.len())
    })?;
    check(answers.len() <= 1, || {
        format!("{call} has answers {answers:?}")
    })?;
    for answer in &answers {
        let servant = facts.letter(*answer).from;
        let read = facts
            .readings_of(call)
            .any(|reading| reading.peer == servant);
        check(read, || {
            format!("{servant} answered {call}, which it had not read")
        })?;
    }
    let Some(over) = over.first() else {
        // Everybody who lives to the end looks once more, when all duties are over.
        let last = facts.history.quiet.last().map_or(0, |quiet| quiet.tick);
        let closed = facts.closed(letter.from, Line::Desk(desk));
        let gone = closed.is_some_and(|span| span.begin < last);
        return check(!taken || gone, || format!("{call} was never over"));
    };
    let here = (letter.from, Line::Desk(desk)) == (over.reading.peer, over.reading.line);
    check(here, || format!("{call} was over at another desk"))?;
    check(over.parent == parent.is_some(), || {
        format!("{call} lost {parent:?}")
    })?;
    check(over.answer == answers.first().copied(), || {
        format!(
            "{call} was over by {:?}, and answered by {answers:?}",
            over.answer
        )
    })
}

/// Checks all of them.
pub(super) fn rules(facts: &Facts<'_>) -> Verdict {
    let letters = facts.history.letters.iter().enumerate();
    let calls = letters.filter_map(|(id, letter)| match letter.role {
        Role::Call { desk, parent } => Some((id, desk, parent)),
        _ => None,
    });
    calls
        .into_iter()
        .try_for_each(|(call, desk, parent)| once(facts, call, desk, parent))
}
