// SPDX-License-Identifier: GPL-2.0

//! Calls: messages whose sender waits for an answer.
//!
//! A [`Reply`] is the right and the duty to answer one call. It can only be moved: it travels in the
//! message to the callee, is used up by the answer, and if it is dropped, for whatever reason, the
//! caller is told that nobody will answer. The memory for that was reserved with the call.
//!
//! A thread that serves a call and makes one itself moves its own [`Reply`] into the new call, as
//! its *parent*, and gets it back with the answer. So whoever serves the innermost call owns the
//! whole chain and can walk it without a lock. If a caller in the middle is gone when its answer or
//! failure comes, the next caller up the chain is told instead; the walk is a loop.
//!
//! A call knows its caller's anchor and queue, weakly: a queue that was removed, and perhaps made
//! anew, is another queue.

#![deny(unsafe_code)]

use super::{
    anchor::Anchor,
    entry::{
        Body,
        Entry, //
    },
    inbox::QueueId,
    message::{
        Kind,
        Message, //
    },
    personality::{
        Personality,
        When, //
    },
    sync::{
        assert_unlocked,
        AllocError,
        Arc,
        KBox,
        GFP_KERNEL_ACCOUNT, //
    },
};

struct Call<P: Personality> {
    caller: Arc<Anchor<P>>,
    queue: QueueId,
    parent: Option<Reply<P>>,
    /// Tells the caller that nobody will answer.
    slot: Arc<Entry<P>>,
}

/// The right to answer a call. Dropping it fails the call.
pub(crate) struct Reply<P: Personality>(Option<KBox<Call<P>>>);

impl<P: Personality> Reply<P> {
    /// Makes a call of the reader of `queue`, who serves `parent` meanwhile.
    ///
    /// On failure `parent` comes back.
    pub(crate) fn new(
        caller: &Arc<Anchor<P>>,
        queue: QueueId,
        parent: Option<Reply<P>>,
    ) -> Result<Self, (AllocError, Option<Reply<P>>)> {
        let slot = match Entry::new(caller, false) {
            Ok(slot) => slot,
            Err(error) => return Err((error, parent)),
        };
        let call = Call {
            caller: caller.clone(),
            queue,
            parent: None,
            slot,
        };
        match KBox::new(call, GFP_KERNEL_ACCOUNT) {
            Ok(mut call) => {
                call.parent = parent;
                Ok(Self(Some(call)))
            }
            Err(error) => Err((error, parent)),
        }
    }

    /// Who called.
    pub(crate) fn caller(&self) -> Option<(&Arc<Anchor<P>>, QueueId)> {
        self.0.as_ref().map(|call| (&call.caller, call.queue))
    }

    /// The callers of this call and of those that led to it, from the innermost outwards.
    pub(crate) fn chain(&self) -> Chain<'_, P> {
        Chain { next: Some(self) }
    }

    /// Takes back what the caller was serving, before a call that was refused is dropped.
    pub(crate) fn take_parent(&mut self) -> Option<Reply<P>> {
        self.0.as_mut().and_then(|call| call.parent.take())
    }

    /// Gives up a call that nobody was told of: nothing is queued, the parent comes back.
    pub(crate) fn cancel(mut self) -> Option<Reply<P>> {
        self.0.take().and_then(|mut call| call.parent.take())
    }

    /// Fails the call with `code`.
    pub(crate) fn fail(mut self, code: P::Code) {
        if let Some(call) = self.0.take() {
            fail(call, code);
        }
    }

    /// Turns `message` into the answer. What is left is to be finished with the outcome.
    pub(super) fn attach(&mut self, message: &mut Message<P>) {
        message.kind = Kind::Reply(self.take_parent());
    }

    /// The answer was taken: the duty is done.
    pub(super) fn done(mut self) {
        drop(self.0.take());
    }

    /// The answer was refused: the duty is as before.
    pub(super) fn detach(&mut self, message: &mut Message<P>) {
        if let Kind::Reply(parent) = ::core::mem::replace(&mut message.kind, Kind::Post) {
            if let Some(call) = self.0.as_mut() {
                call.parent = parent;
            }
        }
    }
}

impl<P: Personality> Drop for Reply<P> {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            fail(call, P::CALL_DEAD);
        }
    }
}

/// Tells the first caller up the chain that is still there.
fn fail<P: Personality>(mut call: KBox<Call<P>>, code: P::Code) {
    assert_unlocked();
    loop {
        let body = Body::Failed(code, call.parent.take());
        let parent = match call.caller.post(call.queue, &call.slot, body, When::Now) {
            Ok(()) => return,
            Err(Body::Failed(_, parent)) => parent,
            Err(_) => None,
        };
        match parent.and_then(|mut reply| reply.0.take()) {
            Some(next) => call = next,
            None => return,
        }
    }
}

/// Iterator over a chain of calls.
pub(crate) struct Chain<'a, P: Personality> {
    next: Option<&'a Reply<P>>,
}

impl<'a, P: Personality> Iterator for Chain<'a, P> {
    type Item = (&'a Arc<Anchor<P>>, QueueId);

    fn next(&mut self) -> Option<Self::Item> {
        let call = self.next.take()?.0.as_ref()?;
        self.next = call.parent.as_ref();
        Some((&call.caller, call.queue))
    }
}
