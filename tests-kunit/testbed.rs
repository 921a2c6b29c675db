// SPDX-License-Identifier: GPL-2.0

//! A small personality for the suites: what the engine needs, and counters of what it was asked.
//!
//! Compiled into the KUnit module and into the host tests alike.

use crate::core::{
    anchor::{
        Anchor,
        Delivered,
        Taken, //
    },
    call::Reply,
    handle::{
        Soft,
        Strong, //
    },
    inbox::{
        Dispatch,
        QueueId, //
    },
    message::{
        Kind,
        Message, //
    },
    node::Node,
    order::Stamp,
    peer::Peer,
    personality::{
        Cause,
        Counts,
        Edge,
        Notice,
        Personality,
        Route,
        To,
        Via,
        When, //
    },
    pool::{
        NoMemory,
        PageStore,
        Pool, //
    },
    quota::{
        Account,
        Amounts,
        Limits,
        Principal,
        Users, //
    },
    sync::{
        new_mutex,
        new_spinlock,
        pin_data,
        pin_init,
        try_arc,
        AllocError,
        Arc,
        Atomic,
        Clock,
        KVec,
        Monotonic,
        Mutex,
        Relaxed,
        SpinLock,
        GFP_KERNEL,
        PAGE_SIZE, //
    },
    transaction::{
        Draft,
        Filled,
        Outcome, //
    },
};
use ::core::ops::{
    Deref,
    Range, //
};

/// What a test can go wrong of, apart from what it asserts.
#[derive(Debug)]
pub(crate) struct Failed;

impl From<AllocError> for Failed {
    fn from(_: AllocError) -> Self {
        Self
    }
}

#[cfg(not(bus1_host))]
impl From<Failed> for kernel::error::Error {
    fn from(_: Failed) -> Self {
        kernel::error::code::ENOMEM
    }
}

/// What is known of a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Page {
    Missing,
    There,
    Condemned,
}

/// Memory of pages that come and go; those that are missing are zeroes.
#[pin_data]
pub(crate) struct Bytes {
    #[pin]
    bytes: Mutex<KVec<u8>>,
    #[pin]
    pages: SpinLock<KVec<Page>>,
    len: usize,
}

/// Shared, since a pool takes its store by value.
pub(crate) struct Store(Arc<Bytes>);

impl Store {
    /// Zeroes.
    pub(crate) fn new(len: usize) -> Result<Self, AllocError> {
        let mut bytes = KVec::new();
        for _ in 0..len {
            bytes.push(0u8, GFP_KERNEL)?;
        }
        let mut pages = KVec::new();
        for _ in 0..len.div_ceil(PAGE_SIZE) {
            pages.push(Page::Missing, GFP_KERNEL)?;
        }
        try_arc(pin_init!(Bytes {
            bytes <- new_mutex!(bytes, "bus1::testbed"),
            pages <- new_spinlock!(pages, "bus1::testbed::pages"),
            len,
        }))
        .map(Self)
    }
}

impl PageStore for Store {
    type Condemned = ();

    fn len(&self) -> usize {
        self.0.len
    }

    fn present(&self) -> usize {
        let pages = self.0.pages.lock();
        pages.iter().filter(|page| **page != Page::Missing).count()
    }

    fn populate(&self, offset: usize, len: usize) -> Result<(), NoMemory> {
        let all = offset / PAGE_SIZE..(offset + len).div_ceil(PAGE_SIZE);
        self.0.pages.lock()[all].fill(Page::There);
        Ok(())
    }

    fn condemn(&self, range: Range<usize>) -> ((), usize) {
        let mut pages = self.0.pages.lock();
        for index in range.start.div_ceil(PAGE_SIZE)..range.end / PAGE_SIZE {
            if pages[index] == Page::There {
                pages[index] = Page::Condemned;
            }
        }
        ((), range.start)
    }

    fn evict(&self, (): ()) -> usize {
        let mut bytes = self.0.bytes.lock();
        let mut pages = self.0.pages.lock();
        let mut gone = 0;
        for (page, bytes) in pages.iter_mut().zip(bytes.chunks_mut(PAGE_SIZE)) {
            if *page == Page::Condemned {
                *page = Page::Missing;
                bytes.fill(0);
                gone += 1;
            }
        }
        gone
    }

    fn with<R>(&self, offset: usize, len: usize, access: impl FnOnce(&mut [u8]) -> R) -> R {
        access(&mut self.0.bytes.lock()[offset..offset + len])
    }
}

/// Where [`Stoppable`] stands; zero while it goes.
#[cfg(bus1_host)]
mod stopped {
    std::thread_local! {
        static AT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }

    pub(super) fn get() -> u64 {
        AT.with(std::cell::Cell::get)
    }

    pub(super) fn set(at: u64) {
        AT.with(|stopped| stopped.set(at));
    }
}

/// In the kernel one suite runs at a time.
#[cfg(not(bus1_host))]
mod stopped {
    use super::{
        Atomic,
        Relaxed, //
    };

    static AT: Atomic<u64> = Atomic::new(0);

    pub(super) fn get() -> u64 {
        AT.load(Relaxed)
    }

    pub(super) fn set(at: u64) {
        AT.store(at, Relaxed);
    }
}

/// Monotonic time, which a test can stop: then only what one has seen of the other makes an order.
pub(crate) struct Stoppable;

impl Clock for Stoppable {
    const PATIENCE: u32 = 100;

    fn now() -> u64 {
        match stopped::get() {
            0 => Monotonic::now(),
            at => at,
        }
    }
}

/// Time stands as long as this is there.
pub(crate) struct Standstill(());

impl Standstill {
    /// Stops the clock.
    pub(crate) fn begin() -> Self {
        stopped::set(Monotonic::now().max(1));
        Self(())
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        stopped::set(0);
    }
}

/// The personality: messages are numbers, lanes are for even ones if the node says so.
pub(crate) struct T;

/// Somebody who is woken.
pub(crate) struct Bell(Atomic<u32>);

impl Bell {
    /// Makes one that has not rung.
    pub(crate) fn new() -> Result<Arc<Self>, AllocError> {
        Arc::new(Self(Atomic::new(0)), GFP_KERNEL)
    }

    /// How often it rang.
    pub(crate) fn rings(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

/// What the suites look at in an inbox.
#[derive(Default)]
pub(crate) struct Seen {
    /// How often a queue got something to read.
    pub(crate) ready: u32,
    /// The last queue that became so.
    pub(crate) at: Option<QueueId>,
    /// Who is to be woken then.
    pub(crate) bell: Option<Arc<Bell>>,
    /// How often a message was routed because its turn came.
    pub(crate) released: u32,
    /// How often an answer or a failure was queued, and whether to keep what comes with it.
    pub(crate) answered: u32,
    pub(crate) keep: bool,
    /// What was kept.
    pub(crate) kept: Option<Reply<T>>,
    /// Refuse all messages.
    pub(crate) refuse: bool,
    /// What is sent to a lane supersedes what is parked there.
    pub(crate) update: bool,
    /// Where messages go; none: the main queue.
    pub(crate) queue: Option<QueueId>,
}

/// A number that the suites write on a handle.
pub(crate) struct Mark(pub(crate) Atomic<u32>);

impl Default for Mark {
    fn default() -> Self {
        Self(Atomic::new(0))
    }
}

/// Edges that a node went through.
#[derive(Default)]
pub(crate) struct Edges {
    /// The last one.
    pub(crate) last: Edge,
    /// How many.
    pub(crate) n: u32,
}

impl Personality for T {
    type Clock = Stoppable;
    type Pages = Store;
    type File = ();
    type Peer = ();
    type Inbox = Seen;
    type Queue = ();
    /// Whether messages to it take turns.
    type Node = bool;
    type NodeState = Edges;
    type Handle = Mark;
    type Message = u32;
    type Watch = u32;
    type Code = u32;
    type Why = ();
    type Note = ();
    type Wake = Option<Arc<Bell>>;

    const LINKS_DEAD: bool = false;
    const CALL_DEAD: u32 = 13;

    fn route(
        view: &mut Dispatch<'_, Self>,
        message: &mut Message<Self>,
        cause: Cause,
    ) -> Route<Self> {
        view.part().released += u32::from(cause == Cause::Released);
        if view.part().refuse {
            return Route::Refuse(());
        }
        let queue = message.to.or(view.part().queue).unwrap_or(QueueId::MAIN);
        let serial = message.node.as_ref().is_some_and(|node| *node.part());
        let to = match (&message.kind, serial) {
            (Kind::Post, true) if view.part().update => To::Update(queue),
            (Kind::Post, true) => To::Lane(queue),
            _ => To::Queue(queue),
        };
        Route::Go { to, note: () }
    }

    /// The same number with the tens digit raised: 17 supersedes 7.
    fn supersedes(new: &Message<Self>, parked: &Message<Self>) -> bool {
        new.part == parked.part + 10
    }

    fn ready(view: &mut Dispatch<'_, Self>, queue: QueueId) -> Self::Wake {
        let seen = view.part();
        seen.ready += 1;
        seen.at = Some(queue);
        seen.bell.clone()
    }

    fn answered(view: &mut Dispatch<'_, Self>, _: QueueId, parent: &mut Option<Reply<Self>>) {
        let seen = view.part();
        seen.answered += 1;
        if seen.keep && seen.kept.is_none() {
            seen.kept = parent.take();
        }
    }

    fn wake(wake: Self::Wake) {
        if let Some(bell) = wake {
            bell.0.fetch_add(1, Relaxed);
        }
    }

    fn counts_changed(state: &mut Edges, now: Counts, via: Via) -> Notice {
        state.last = now.edge;
        state.n += 1;
        match (now.edge, via) {
            (Edge::LastStrong | Edge::LastHeld, _) => Notice::Push {
                queue: QueueId::MAIN,
                when: When::Now,
                moving: false,
            },
            (Edge::FirstStrong, Via::Queue(queue)) => Notice::Push {
                queue,
                when: When::Later,
                moving: true,
            },
            (Edge::FirstStrong, Via::Any) => Notice::Withdraw,
            _ => Notice::Keep,
        }
    }

    fn watch_on_link() -> Option<u32> {
        Some(0)
    }
}

/// The user of all peers of the suites.
pub(crate) const USER: Principal = Principal::user(1000);

/// Size of a pool.
pub(crate) const POOL: usize = 4096;

/// A peer that ends with the test: an open peer would keep itself.
pub(crate) struct Client(Arc<Peer<T>>);

impl Deref for Client {
    type Target = Arc<Peer<T>>;

    fn deref(&self) -> &Arc<Peer<T>> {
        &self.0
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.shut();
    }
}

/// Makes a peer with number `id`.
pub(crate) fn peer(id: u64) -> Result<Client, Failed> {
    roomy(id, 64, POOL)
}

/// Makes a peer that can get so many messages, with a pool of so many bytes.
pub(crate) fn roomy(id: u64, slices: u32, pool: usize) -> Result<Client, Failed> {
    let limits = Limits {
        slices,
        bytes: pool as u32,
        handles: 64,
        fds: 4,
    };
    let seat = Users::enter(&Users::new()?, [USER], limits)?;
    let account = Account::new(seat, limits)?;
    let peer = Peer::new(id, account, (), Seen::default(), ())?;
    let client = Client(peer);
    if !client.set_pool(Pool::new(Store::new(pool)?)?) {
        return Err(Failed);
    }
    Ok(client)
}

/// Ends a peer with its nodes, and says whether it gave back all that it was charged for.
pub(crate) fn close(peer: &Peer<T>, nodes: &[&Arc<Node<T>>]) -> Result<bool, Failed> {
    let verdict = crate::core::destroy::Verdict::new()?;
    peer.shut();
    peer.destroy_all(verdict, nodes.iter().copied());
    Ok(balanced(peer))
}

/// Whether nothing is charged to a peer and nothing lies in its pool.
pub(crate) fn balanced(peer: &Peer<T>) -> bool {
    let used = peer.pool().map_or(0, |pool| pool.used());
    used == 0 && peer.account().report().used == Amounts::NONE
}

/// Makes a node whose messages do not take turns.
pub(crate) fn node(owner: &Peer<T>) -> Result<Soft<T>, Failed> {
    Ok(Node::create(owner, false, Edges::default())?)
}

/// Makes a node whose messages take turns.
pub(crate) fn lane(owner: &Peer<T>) -> Result<Soft<T>, Failed> {
    Ok(Node::create(owner, true, Edges::default())?)
}

/// Prepares message `number` to `node`, with that number as payload.
pub(crate) fn message(node: &Arc<Node<T>>, number: u32) -> Result<Filled<T>, Failed> {
    fill(Draft::to(node).map_err(|_| Failed)?, number, KVec::new())
}

/// Prepares a message that carries references.
pub(crate) fn carrying(
    node: &Arc<Node<T>>,
    number: u32,
    handles: KVec<Option<Strong<T>>>,
) -> Result<Filled<T>, Failed> {
    fill(Draft::to(node).map_err(|_| Failed)?, number, handles)
}

/// Completes a draft.
pub(crate) fn fill(
    draft: Draft<T>,
    number: u32,
    handles: KVec<Option<Strong<T>>>,
) -> Result<Filled<T>, Failed> {
    let amounts = Amounts {
        slices: 1,
        bytes: 8,
        handles: 0,
        fds: 0,
    };
    let mut reserved = draft.reserve(USER, amounts, 4).map_err(|_| Failed)?;
    let written = reserved.slice().write(0, &number.to_ne_bytes());
    written.map_err(|_| Failed)?;
    Ok(reserved.fill(handles, KVec::new(), number)?)
}

/// Sends message `number`; says whether it was taken.
pub(crate) fn send(from: &Peer<T>, node: &Arc<Node<T>>, number: u32) -> Result<bool, Failed> {
    match message(node, number)?.commit(from.anchor()) {
        Outcome::Delivered(()) | Outcome::Parked(()) | Outcome::Superseded(..) => Ok(true),
        Outcome::Refused(..) | Outcome::Cancelled => Ok(false),
    }
}

/// Takes what is next of the main queue.
pub(crate) fn take(peer: &Peer<T>) -> Option<Taken<T>> {
    peer.anchor().take(QueueId::MAIN)
}

/// Takes a message, and checks that its payload is its number.
pub(crate) fn receive(peer: &Peer<T>) -> Option<Delivered<T>> {
    receive_from(peer.anchor(), QueueId::MAIN)
}

/// Takes a message from some queue.
pub(crate) fn receive_from(anchor: &Anchor<T>, queue: QueueId) -> Option<Delivered<T>> {
    match anchor.take(queue)? {
        Taken::Message(mut delivered) => {
            let mut bytes = [0; 4];
            delivered.message.slice.read(0, &mut bytes).ok()?;
            let same = u32::from_ne_bytes(bytes) == delivered.message.part;
            same.then_some(delivered)
        }
        _ => None,
    }
}

/// The number of the next message; it is freed.
pub(crate) fn number(peer: &Peer<T>) -> Option<u32> {
    receive(peer).map(|delivered| delivered.message.part)
}

/// A reference of `holder`.
pub(crate) fn strong(node: &Arc<Node<T>>, holder: &Peer<T>) -> Result<Strong<T>, Failed> {
    Node::strong_to(node, holder.anchor(), Via::Any).map_err(|_| Failed)
}

/// A soft reference of `holder`.
pub(crate) fn soft(node: &Arc<Node<T>>, holder: &Peer<T>) -> Result<Soft<T>, Failed> {
    Node::soft_to(node, holder.anchor(), Via::Any).map_err(|_| Failed)
}

/// Number, place and "more follows" of the next message; it is freed.
pub(crate) fn placed(peer: &Peer<T>) -> Option<(u32, Stamp, bool)> {
    receive(peer).map(|got| (got.message.part, got.place.stamp(), got.more))
}

/// What is counted under `name` in this module, or on the host by this thread.
pub(crate) fn counted(name: &str) -> u64 {
    let mut found = 0;
    crate::core::stats::each(&mut |each, number| {
        if each == name {
            found = number;
        }
    });
    found
}
