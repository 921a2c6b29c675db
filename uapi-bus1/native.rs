// SPDX-License-Identifier: GPL-2.0

//! What the native interface hangs on the engine's objects, and its answers to the engine.
//!
//! A native peer has one queue, read by whoever calls `RECV` on it, and nobody ever sleeps in an
//! ioctl: whoever waits does so in poll. So there is nothing to dispatch: every message goes to the
//! main queue, and the pollers are woken when that becomes readable.
//!
//! The functions here run under the engine's spinlocks (`node`, `inbox`) and take no other.

#![deny(unsafe_code)]

use super::{
    abi,
    files::Passed,
    payload::Layout,
    pool::Pages,
    request::Promise, //
};
use crate::{
    core::{
        call::Reply,
        charge::{
            Charge,
            HandleCharge, //
        },
        inbox::{
            Dispatch,
            QueueId, //
        },
        message,
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
        sync::{
            Arc,
            Atomic,
            Monotonic,
            Relaxed,
            SetOnce, //
        },
    },
    shim::{
        cred::UserNs,
        wait::{
            PollMask,
            WaitQueue, //
        },
    },
};
use ::core::convert::Infallible;
use kernel::{
    cred::Credential,
    pid_namespace::PidNamespace,
    sync::aref::ARef, //
};

/// The native interface.
pub(super) struct Native;

/// What others need to know of a peer: who opened it, and how that task sees the world.
pub(super) struct Identity {
    /// Process of the opener, in the initial namespace.
    pub(super) pid: i32,
    /// Credentials of the opener.
    pub(super) cred: ARef<Credential>,
    /// User namespace of the opener, for user and group IDs of senders.
    pub(super) user_ns: UserNs,
    /// Pid namespace of the opener, for process IDs of senders; `None` shows none of them.
    pub(super) pid_ns: Option<ARef<PidNamespace>>,
    /// Whether messages to the peer carry the security context of their sender.
    pub(super) want_secctx: Atomic<bool>,
}

/// What a handle has for its holder: an ID, and the charge that pays for it.
pub(super) struct Named {
    /// Written under the holder's table lock only. Read without it by whoever is about to take the
    /// lock and look again, and by the holder's reader, who does so where it finds none.
    id: Atomic<u64>,
    charge: SetOnce<HandleCharge>,
}

impl Named {
    /// Takes the charge of this handle out of `charge`, unless somebody has paid before.
    pub(super) fn pay(&self, charge: &mut Charge) {
        if self.charge.as_ref().is_some() {
            return;
        }
        if let Some(one) = charge.split_handle() {
            // If somebody was faster, ours goes back.
            self.charge.populate(one);
        }
    }

    /// The ID, unless the handle has none: its holder has not got it yet, or gave it up.
    pub(super) fn id(&self) -> Option<u64> {
        match self.id.load(Relaxed) {
            abi::HANDLE_INVALID => None,
            id => Some(id),
        }
    }

    /// Gives the handle an ID.
    pub(super) fn assign(&self, id: u64) {
        self.id.store(id, Relaxed);
    }

    /// Takes the ID away.
    pub(super) fn revoke(&self) {
        self.id.store(abi::HANDLE_INVALID, Relaxed);
    }
}

impl Default for Named {
    fn default() -> Self {
        Self {
            id: Atomic::new(abi::HANDLE_INVALID),
            charge: SetOnce::new(),
        }
    }
}

/// How a node came into being.
pub(super) struct Birth {
    /// Place among the nodes of its owner, by time of creation.
    pub(super) age: u64,
    /// The reply that its owner has prepaid, if it was made for one.
    pub(super) promise: Option<Promise>,
}

/// What changes about a node.
#[derive(Default)]
pub(super) struct Progress {
    /// It was made for a reply, and that was sent.
    pub(super) answered: bool,
}

/// Who sent a message, in the terms of the opener of the receiving peer.
#[derive(Clone, Copy)]
pub(super) struct Sender {
    /// Real user ID, or the overflow ID.
    pub(super) uid: u32,
    /// Real group ID, or the overflow ID.
    pub(super) gid: u32,
    /// Thread group, or 0.
    pub(super) pid: u32,
    /// Thread, or 0.
    pub(super) tid: u32,
}

/// What the native interface adds to a message.
pub(super) struct Envelope {
    /// How its slice is laid out.
    pub(super) layout: Layout,
    /// Who sent it.
    pub(super) sender: Sender,
    /// Its last handle takes a prepaid reply.
    pub(super) request: bool,
}

impl Personality for Native {
    type Clock = Monotonic;
    type Pages = Pages;
    type File = Passed;
    type Peer = Identity;
    type Inbox = Arc<WaitQueue>;
    type Queue = ();
    type Node = Birth;
    type NodeState = Progress;
    type Handle = Named;
    type Message = Envelope;
    type Watch = ();
    type Code = ();
    type Why = Infallible;
    type Note = ();
    type Wake = Option<Arc<WaitQueue>>;

    // A slot of a dead node says that it is invalid.
    const LINKS_DEAD: bool = false;
    // There are no calls.
    const CALL_DEAD: Self::Code = ();

    fn route(
        _view: &mut Dispatch<'_, Self>,
        _message: &mut message::Message<Self>,
        _cause: Cause,
    ) -> Route<Self> {
        Route::Go {
            to: To::Queue(QueueId::MAIN),
            note: (),
        }
    }

    fn supersedes(_new: &message::Message<Self>, _parked: &message::Message<Self>) -> bool {
        false
    }

    fn ready(view: &mut Dispatch<'_, Self>, _queue: QueueId) -> Self::Wake {
        // Every sender wakes. One that was first, and is stopped between its unlock and its wake-up,
        // must not keep the messages of others from being read.
        Some(view.part().clone())
    }

    fn answered(
        _view: &mut Dispatch<'_, Self>,
        _queue: QueueId,
        _parent: &mut Option<Reply<Self>>,
    ) {
        // There are no calls.
    }

    fn wake(wake: Self::Wake) {
        if let Some(pollers) = wake {
            pollers.wake(PollMask::IN | PollMask::RDNORM);
        }
    }

    fn counts_changed(state: &mut Self::NodeState, now: Counts, _via: Via) -> Notice {
        match now.edge {
            // The reply says it all.
            Edge::LastStrong if state.answered => Notice::Keep,
            Edge::FirstStrong => Notice::Withdraw,
            Edge::LastStrong => Notice::Push {
                queue: QueueId::MAIN,
                when: When::Now,
                moving: false,
            },
            // The pinned reference of the owner is not strong.
            Edge::FirstHeld | Edge::LastHeld | Edge::None => Notice::Keep,
        }
    }

    fn watch_on_link() -> Option<Self::Watch> {
        // Every holder hears of a node's end, the owner too.
        Some(())
    }
}
