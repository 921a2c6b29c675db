// SPDX-License-Identifier: GPL-2.0

//! What a peer does with what it reads.

use super::{
    super::{
        record::{
            Did,
            Got,
            Line,
            Recorder,
            Role, //
        },
        world::{
            Bus,
            Parcel, //
        }, //
    },
    Actor,
    Held, //
};
use crate::core::{
    anchor::{
        Delivered,
        Taken, //
    },
    call::Reply,
    handle::Strong,
    inbox::QueueId,
    message::Kind,
    order::Key,
    sync::Clock, //
};

impl<C: Clock> Actor<C> {
    pub(super) fn take_desk(&mut self) -> bool {
        match self.desk.as_ref().map(|desk| desk.number) {
            Some(number) => self.take(Line::Desk(number)),
            None => false,
        }
    }

    /// Reads what is next; says whether there was something.
    pub(super) fn take(&mut self, line: Line) -> bool {
        let queue = match (line, &self.desk) {
            (Line::Desk(_), Some(desk)) => desk.queue,
            _ => QueueId::MAIN,
        };
        let (span, taken) = Recorder::timed(|| self.anchor().take(queue));
        let got = match taken {
            None => {
                self.world.lie_down(self.number, queue);
                Got::Nothing
            }
            Some(Taken::Message(delivered)) => self.open(delivered),
            Some(Taken::Counts(node)) => Got::Counts { node: *node.part() },
            Some(Taken::Watch(_, node, more)) => Got::End {
                node: *node.part(),
                stamp: node.death().map_or(0, |stamp| stamp.get()),
                more,
            },
            Some(Taken::Failed((), parent)) => self.failed(parent),
            Some(Taken::Code(())) => unreachable!("nobody sends codes"),
        };
        self.did(span, Did::Took { line, got });
        got != Got::Nothing
    }

    /// The call that the desk waits for is over.
    fn over(&mut self, parent: Option<Reply<Bus<C>>>) -> (usize, bool) {
        let waits = self.desk.as_mut().and_then(|desk| desk.waits.take());
        let (call, served) = waits.expect("an answer that nobody waits for");
        let came = parent.is_some();
        assert_eq!(came, served.is_some(), "what was served comes back");
        self.resume(served, parent);
        (call, came)
    }

    fn failed(&mut self, parent: Option<Reply<Bus<C>>>) -> Got {
        let (call, parent) = self.over(parent);
        Got::Failed { call, parent }
    }

    fn open(&mut self, delivered: Delivered<Bus<C>>) -> Got {
        let Delivered {
            mut message,
            place,
            more,
        } = delivered;
        let (id, role) = (message.part.letter, message.part.role);
        let mut payload = [0; 4];
        message.slice.read(0, &mut payload).unwrap();
        if u32::from_ne_bytes(payload) != id as u32 {
            self.recorder().history().torn += 1;
        }
        let mut valid = None;
        while let Some(slot) = message.handles.pop() {
            valid = Some(self.unwrap(&mut message.part, slot, place));
        }
        let mut parent = false;
        match std::mem::replace(&mut message.kind, Kind::Post) {
            Kind::Post => {}
            Kind::Call(reply) => self.serves.push_back((id, reply)),
            Kind::Reply(served) => {
                let (call, came) = self.over(served);
                assert_eq!(role, Role::Answer(call), "the answer to another call");
                parent = came;
            }
        }
        self.read.push_back(message);
        Got::Letter {
            id,
            stamp: place.stamp().get(),
            more,
            valid,
            parent,
        }
    }

    /// Takes a reference out of a message that was read at `place`; says whether it is valid.
    fn unwrap(&mut self, parcel: &mut Parcel, slot: Option<Strong<Bus<C>>>, place: Key) -> bool {
        let Some(strong) = slot else {
            return false;
        };
        let valid = !strong.node().ended_before(place);
        if let Some(id) = parcel.carries.take() {
            if valid {
                self.held.push((id, Held::Strong(strong)));
            } else {
                self.drop_reference(id, Held::Strong(strong));
            }
        }
        valid
    }

    /// Frees what it read first; says whether there was something.
    pub(super) fn free(&mut self) -> bool {
        let Some(message) = self.read.pop_front() else {
            return false;
        };
        let id = message.part.letter;
        let (span, ()) = Recorder::timed(|| drop(message));
        self.recorder().history().letters[id].freed = Some(span);
        true
    }
}
