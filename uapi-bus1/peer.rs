// SPDX-License-Identifier: GPL-2.0

//! A peer as its file descriptor sees it.
//!
//! A [`Client`] is what hangs on an open file: the peer of the engine, the [`Table`] of what it
//! holds, and whoever polls. It lives as long as the file; the peer ends with `PEER_DISCONNECT` or
//! with the last close.
//!
//! Locks, in this order, two of one class never nested:
//! * `ioctl`, a killable mutex: gives the commands on one peer a serial effect. Taken after user memory has
//!   been copied, and never held while it is, so that every holder gets on by itself;
//! * `table`, a mutex: what the peer holds. Another peer takes it to hand over a handle, holding none
//!   of its own locks then;
//! * the spinlocks of the engine.

#![deny(unsafe_code)]

use super::{
    device::Device,
    errors,
    fresh::Fresh,
    limits,
    native::{
        Birth,
        Identity,
        Native,
        Progress, //
    },
    pool,
    pool::Pages,
    recv::Ahead,
    request,
    table::{
        Spots,
        Table, //
    },
};
use crate::{
    core::{
        destroy::Verdict,
        flush::flush,
        handle::{
            Handle,
            Soft, //
        },
        inbox::QueueId,
        node::Node,
        peer::Peer,
        pool::Pool,
        quota::{
            Account,
            Amounts,
            Principal,
            Users, //
        },
        reclaim::Member,
        sync::{
            new_mutex,
            pin_data,
            pin_init,
            Acquire,
            AllocError,
            Arc,
            Atomic,
            Mutex,
            MutexGuard,
            Relaxed,
            Release, //
        },
    },
    shim::{
        cred,
        lock::{
            KillableGuard,
            KillableMutex, //
        },
        realm,
        wait::{
            PollMask,
            PollTable,
            WaitQueue, //
        },
    },
};
use ::core::ptr;
use kernel::{
    fs::File,
    prelude::*,
    static_lock_class, //
};

/// What only the commands of this peer use, one at a time.
pub(super) struct Turn {
    /// Memory for the next message.
    pub(super) spots: Spots,
    /// A message that was looked at and not taken.
    ahead: Option<Ahead>,
    /// Memory for the end of the peer.
    end: Option<Verdict>,
}

/// A peer of the device.
#[pin_data]
pub(super) struct Client {
    peer: Arc<Peer<Native>>,
    /// Has the kernel ask the pool for memory, when it runs short.
    _pool: Member<Pages>,
    /// Number of this peer among all that were opened.
    number: u64,
    pollers: Arc<WaitQueue>,
    /// Cleared when the end of the peer begins.
    open: Atomic<bool>,
    /// Whether there is something in [`Turn::ahead`], for pollers.
    has_ahead: Atomic<bool>,
    #[pin]
    turn: KillableMutex<Turn>,
    #[pin]
    table: Mutex<Table>,
}

/// Number of the last peer that was opened.
static LAST: Atomic<u64> = Atomic::new(0);

impl Client {
    /// Makes a peer for a file that is being opened.
    pub(super) fn new(device: &Device, file: &File) -> Result<Arc<Self>> {
        let cred = cred::of_file(file);
        let seat = Users::enter(&device.users, realm::payers(&cred), limits::of_user())?;
        let account = limits::account(seat)?;
        let identity = Identity {
            pid: kernel::current!().tgid(),
            user_ns: cred::UserNs::of(&cred),
            cred,
            pid_ns: cred::current_pid_ns(),
            want_secctx: Atomic::new(false),
        };
        let pollers = Arc::new(WaitQueue::new()?, GFP_KERNEL_ACCOUNT)?;
        let turn = Turn {
            spots: Spots::new(),
            ahead: None,
            end: Some(Verdict::new()?),
        };
        let pool = pool::create(&device.pools)?;
        let number = LAST.fetch_add(1, Relaxed) + 1;
        let peer = Peer::new(number, account, identity, pollers.clone(), ())?;
        peer.set_pool(pool.pool().clone());
        let end = peer.clone();
        let client = Arc::pin_init(
            pin_init!(Self {
                peer,
                _pool: pool,
                number,
                pollers,
                open: Atomic::new(true),
                has_ahead: Atomic::new(false),
                turn <- KillableMutex::new(turn, c"bus1::ioctl", static_lock_class!()),
                table <- new_mutex!(Table::new(), "bus1::table"),
            }),
            GFP_KERNEL_ACCOUNT,
        );
        if client.is_err() {
            // An open peer keeps itself.
            end.shut();
        }
        client
    }

    /// The peer of the engine.
    pub(super) fn peer(&self) -> &Arc<Peer<Native>> {
        &self.peer
    }

    /// What hangs on the peer for others to see.
    pub(super) fn identity(&self) -> &Identity {
        self.peer.part()
    }

    /// Number of the peer, for people.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Fails with `ESHUTDOWN` once the end of the peer has begun.
    pub(super) fn check(&self) -> Result {
        if self.open.load(Acquire) {
            Ok(())
        } else {
            Err(ESHUTDOWN)
        }
    }

    /// Who pays for what this peer sends to `receiver`.
    pub(super) fn principal_at(&self, receiver: &Peer<Native>) -> Principal {
        if ptr::eq(&*self.peer, receiver) {
            Principal::OWN
        } else {
            limits::principal(&self.identity().cred, &receiver.part().cred)
        }
    }

    /// The pool; `ESHUTDOWN` if there is none.
    pub(super) fn pool(&self) -> Result<&Pool<Pages>> {
        self.peer.pool().map(|pool| &**pool).ok_or(ESHUTDOWN)
    }

    /// Begins the part of a command that has an effect: no other command of this peer runs until
    /// the guard is dropped. `ESHUTDOWN` if the peer has ended, `EINTR` if the task is killed.
    pub(super) fn begin(&self) -> Result<KillableGuard<'_, Turn>> {
        let turn = self.turn.lock()?;
        self.check()?;
        Ok(turn)
    }

    /// Locks what the peer holds.
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }

    /// The handle of `id`, which may make a node; see [`Table::resolve`].
    pub(super) fn resolve(&self, id: u64, fresh: &mut Fresh) -> Result<Arc<Handle<Native>>> {
        self.table()
            .resolve(id, fresh, |birth| self.make_node(birth))
    }

    /// Makes a node of this peer.
    pub(super) fn make_node(&self, birth: Birth) -> Result<Soft<Native>, AllocError> {
        Node::create(&self.peer, birth, Progress::default())
    }

    /// Charges the nodes of `fresh` to this peer; `EDQUOT`.
    pub(super) fn pay_for(&self, fresh: &mut Fresh) -> Result {
        let handles = u32::try_from(fresh.len()).map_err(|_| EDQUOT)?;
        if handles == 0 {
            return Ok(());
        }
        let need = Amounts {
            handles,
            ..Amounts::NONE
        };
        let charge = Account::charge(self.peer.account(), Principal::OWN, need);
        fresh.pay(
            charge.map_err(|error| match errors::charge(&self.peer, error) {
                // Nodes make no message.
                error if error == EMSGSIZE => EDQUOT,
                error => error,
            })?,
        );
        Ok(())
    }

    /// What was looked at and not taken.
    pub(super) fn take_ahead(&self, turn: &mut Turn) -> Option<Ahead> {
        self.has_ahead.store(false, Relaxed);
        turn.ahead.take()
    }

    /// Keeps what was looked at.
    pub(super) fn keep_ahead(&self, turn: &mut Turn, ahead: Ahead) {
        turn.ahead = Some(ahead);
        self.has_ahead.store(true, Relaxed);
    }

    /// Registers a poller; says what is ready.
    pub(super) fn poll(&self, table: &PollTable<'_>) -> PollMask {
        table.register(&self.pollers);
        if self.check().is_err() {
            return PollMask::HUP;
        }
        let idle = PollMask::OUT | PollMask::WRNORM;
        if self.has_ahead.load(Relaxed) || self.peer.anchor().readable(QueueId::MAIN) {
            idle | PollMask::IN | PollMask::RDNORM
        } else {
            idle
        }
    }

    /// Ends the peer.
    ///
    /// All its nodes die at one instant, what it holds is released, what is queued is dropped.
    /// Returns when that is done, or, with `ESHUTDOWN`, when somebody else has done it. Fails with
    /// `EINTR` only if the task is killed while another command of this peer is running.
    pub(super) fn disconnect(&self) -> Result {
        // Whoever is first does all of it under the lock, so the others wait for the end here.
        let mut turn = self.turn.lock()?;
        self.check()?;
        let end = turn.end.take().ok_or(ESHUTDOWN)?;
        let ahead = self.take_ahead(&mut turn);
        self.open.store(false, Release);
        self.pollers.wake(PollMask::HUP);
        let (nodes, estate) = self.table().close();
        self.peer.destroy_all(end, nodes.iter());
        request::give_up(nodes.iter());
        self.peer.shut();
        drop((ahead, nodes, estate));
        self.pollers.wake(PollMask::HUP);
        Ok(())
    }

    /// Drops all that the peer has and has been sent, but the seed; it stays open.
    pub(super) fn flush(&self, turn: &mut Turn, end: Verdict) {
        let ahead = self.take_ahead(turn);
        let nodes = self.table().doom();
        flush(self.peer.anchor(), end, nodes.iter());
        request::give_up(nodes.iter());
        // The IDs go last. One that another peer gives meanwhile goes with them, as the news of its
        // node's end may have; for one that comes later the news is still to come.
        let estate = self.table().flush();
        drop((ahead, nodes, estate));
    }

    /// Gives back one reference of the user.
    pub(super) fn release_handle(&self, id: u64) -> Result {
        let _turn = self.begin()?;
        let released = self.table().release(id)?;
        drop(released);
        Ok(())
    }

    /// Gives back a slice.
    pub(super) fn release_slice(&self, offset: u64) -> Result {
        let _turn = self.begin()?;
        let slice = self.table().take_slice(offset)?;
        drop(slice);
        Ok(())
    }
}
