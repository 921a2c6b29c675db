// SPDX-License-Identifier: GPL-2.0

//! What is written down while a program runs: the history that the model has to explain.
//!
//! Everything bears the readings of one clock before and after it (a [`Span`]), which say what
//! came before what outside the bus. Besides what peers did and read, the engine's questions to
//! the personality are written down where they are asked, under the engine's locks: they show in
//! which order it decided.

use crate::{
    core::{
        personality::{
            Cause,
            Edge, //
        },
        sync::Clock,
        transaction::Policy, //
    },
    host::clock::Fine, //
};
use std::{
    fmt,
    sync::{
        Arc,
        Mutex,
        MutexGuard,
        PoisonError, //
    }, //
};

/// A reading of the clock of the history. Stamps of a bus that runs on it can be compared with it.
pub(super) type Tick = u64;

/// From when to when something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) begin: Tick,
    pub(super) end: Tick,
}

impl Span {
    /// Whether it was over when `other` began.
    pub(super) fn before(self, other: Self) -> bool {
        self.end < other.begin
    }
}

/// One of the two lines of a peer that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Line {
    /// What is sent to its nodes, and notices.
    Main,
    /// Answers to its calls. There can be one after the other: this is the number.
    Desk(usize),
}

/// What role a letter plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nobody waits for an answer.
    Post,
    /// As `Post`, and makes an earlier one pointless that is still parked.
    Update,
    /// Its sender waits at this desk, and served this other call when it called.
    Call { desk: usize, parent: Option<usize> },
    /// It answers this call.
    Answer(usize),
}

/// When the personality refuses a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temper {
    /// Never.
    Meek,
    /// When it is sent.
    Refused,
    /// When its turn in a lane comes.
    RefusedLate,
}

/// What the sender was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Delivered,
    Parked,
    Refused,
    Cancelled,
}

/// A message to one receiver.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) from: usize,
    /// Who is to read it, and where.
    pub(super) to: (usize, Line),
    /// The node that it is addressed to; none for an answer.
    pub(super) node: Option<usize>,
    pub(super) role: Role,
    pub(super) temper: Temper,
    /// The node to which it carries a reference, and that reference, if there could be one.
    pub(super) carries: Option<(usize, Option<usize>)>,
    /// What its sender was told, once for each time.
    pub(super) fates: Vec<Fate>,
    /// The letter that took its place in a lane.
    pub(super) superseded_by: Option<usize>,
    /// When the reader let it go.
    pub(super) freed: Option<Span>,
    /// When the last of it was dropped.
    pub(super) gone: Vec<Tick>,
}

impl Letter {
    /// A letter that nobody has yet.
    pub(super) fn new(from: usize, to: (usize, Line), node: Option<usize>, role: Role) -> Self {
        Self {
            from,
            to,
            node,
            role,
            temper: Temper::Meek,
            carries: None,
            fates: Vec::new(),
            superseded_by: None,
            freed: None,
            gone: Vec::new(),
        }
    }
}

/// A count of one peer's handle to one node.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) holder: usize,
    pub(super) node: usize,
    pub(super) strong: bool,
    pub(super) made: Span,
    /// Whether it could be made: not of a dead node.
    pub(super) ok: bool,
    pub(super) dropped: Option<Span>,
}

/// What a reader got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// Nothing was there.
    Nothing,
    /// A letter; whether what it carries was valid; of an answer: whether what was served is back.
    Letter {
        id: usize,
        stamp: u64,
        more: bool,
        valid: Option<bool>,
        parent: bool,
    },
    /// A node ended.
    End { node: usize, stamp: u64, more: bool },
    /// The counts of an own node changed.
    Counts { node: usize },
    /// A call was not answered; whether what was served came back.
    Failed { call: usize, parent: bool },
}

/// What a peer did.
#[derive(Clone, Debug)]
pub(super) enum Did {
    /// Sent these letters together; alone if there is no policy. Whether anything was committed.
    Sent {
        letters: Vec<usize>,
        policy: Option<Policy>,
        committed: bool,
    },
    /// Destroyed nodes, and perhaps dropped what it had got before.
    Ended { nodes: Vec<usize>, flush: bool },
    /// Read.
    Took { line: Line, got: Got },
    /// Closed a desk.
    Left { desk: usize },
    /// Closed itself.
    Shut,
}

/// One step of a peer.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) peer: usize,
    pub(super) span: Span,
    pub(super) did: Did,
}

/// A node, and when it ended.
#[derive(Clone, Debug)]
pub(super) struct NodeFact {
    pub(super) owner: usize,
    pub(super) lane: bool,
    pub(super) death: Option<u64>,
}

/// A question of the engine about a letter, and whether the answer was yes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routed {
    pub(super) tick: Tick,
    pub(super) letter: usize,
    pub(super) cause: Cause,
    pub(super) taken: bool,
}

/// A moment at which nobody did anything, and everybody had read all there was.
#[derive(Clone, Debug)]
pub(super) struct Quiet {
    pub(super) tick: Tick,
    /// How many peers hold each node strongly, says the engine.
    pub(super) strong: Vec<u32>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Whether the bus runs on the clock of the history.
    pub(super) timed: bool,
    pub(super) peers: usize,
    pub(super) nodes: Vec<NodeFact>,
    pub(super) letters: Vec<Letter>,
    pub(super) references: Vec<Reference>,
    /// By the time at which they ended.
    pub(super) ops: Vec<Op>,
    pub(super) routed: Vec<Routed>,
    /// Changes of a node's counts.
    pub(super) edges: Vec<(Tick, usize, Edge)>,
    pub(super) quiet: Vec<Quiet>,
    /// Readers that lay down although there was something to read.
    pub(super) overslept: usize,
    /// Payloads that were not what was written.
    pub(super) torn: usize,
}

/// What happened, in lines that bear their times: for who looks for the reason of a failure.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<(Tick, String)> = Vec::new();
        for (op, done) in self.ops.iter().enumerate() {
            let Span { begin, end } = done.span;
            let text = format!("-{end} op {op}: peer {} {:?}", done.peer, done.did);
            lines.push((begin, text));
        }
        let references = self.references.iter().enumerate();
        lines.extend(references.map(|(id, r)| (r.made.begin, format!(" reference {id}: {r:?}"))));
        let routed = self.routed.iter();
        lines.extend(routed.map(|r| (r.tick, format!(" routed {r:?}"))));
        let edges = self.edges.iter();
        lines.extend(edges.map(|e| (e.0, format!(" node {} {:?}", e.1, e.2))));
        lines.sort();
        for (id, letter) in self.letters.iter().enumerate() {
            writeln!(f, "letter {id}: {letter:?}")?;
        }
        for (number, node) in self.nodes.iter().enumerate() {
            writeln!(f, "node {number}: {node:?}")?;
        }
        lines
            .iter()
            .try_for_each(|(tick, text)| writeln!(f, "{tick}{text}"))
    }
}

/// Who writes it down. Its lock is std's, so that a model checker sees no switch in it.
#[derive(Clone, Default)]
pub(super) struct Recorder(Arc<Mutex<History>>);

impl Recorder {
    /// The history, to be read or added to.
    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What time it is.
    pub(super) fn tick() -> Tick {
        Fine::now()
    }

    /// Does `f` and says how long it took.
    pub(super) fn timed<R>(f: impl FnOnce() -> R) -> (Span, R) {
        let begin = Self::tick();
        let result = f();
        let end = Self::tick();
        (Span { begin, end }, result)
    }

    /// Writes down what `peer` did.
    pub(super) fn did(&self, peer: usize, span: Span, did: Did) {
        self.history().ops.push(Op { peer, span, did });
    }

    /// Writes down what the personality is asked.
    pub(super) fn routed(&self, letter: usize, cause: Cause, taken: bool) {
        let tick = Self::tick();
        self.history().routed.push(Routed {
            tick,
            letter,
            cause,
            taken,
        });
    }

    /// Writes down a change of counts.
    pub(super) fn edge(&self, node: usize, edge: Edge) {
        let tick = Self::tick();
        self.history().edges.push((tick, node, edge));
    }

    /// Begins a letter.
    pub(super) fn letter(&self, letter: Letter) -> usize {
        let mut history = self.history();
        history.letters.push(letter);
        history.letters.len() - 1
    }

    /// What the sender of `letter` was told.
    pub(super) fn fate(&self, letter: usize, fate: Fate) {
        self.history().letters[letter].fates.push(fate);
    }

    /// The last of `letter` was dropped; with it a reference that nobody took out.
    pub(super) fn gone(&self, letter: usize, carried: Option<usize>) {
        let end = Self::tick();
        let mut history = self.history();
        history.letters[letter].gone.push(end);
        if let Some(reference) = carried {
            let begin = history.references[reference].made.end;
            history.references[reference].dropped = Some(Span { begin, end });
        }
    }

    /// A reference was made, or could not be.
    pub(super) fn reference(
        &self,
        holder: usize,
        node: usize,
        strong: bool,
        made: Span,
        ok: bool,
    ) -> usize {
        let mut history = self.history();
        history.references.push(Reference {
            holder,
            node,
            strong,
            made,
            ok,
            dropped: None,
        });
        history.references.len() - 1
    }
}
