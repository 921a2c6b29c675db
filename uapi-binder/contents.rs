// SPDX-License-Identifier: GPL-2.0

//! Contents of a message: copied from the sender into the receiver's slice, objects translated.
//!
//! One pass: the bytes up to the next object, the object, and so on. Each object is read once, and
//! what was checked is what is stored: a sender that rewrites its memory meanwhile changes nothing
//! that was looked at. The offsets are read from the receiver's copy, which nobody can write.
//!
//! What the objects hold at the receiver is collected in [`Contents`]; dropping that undoes it.
//!
//! Takes the tables of sender and receiver, one at a time and never across a user copy.

#![deny(unsafe_code)]

use super::{
    abi,
    buffer::{
        Pages,
        Sizes, //
    },
    command::{
        to_usize,
        user_ptr,
        Outgoing,
        Strength, //
    },
    device::Device,
    nodes,
    nodes::{
        CookieRule,
        NodePart, //
    },
    object,
    object::{
        Object,
        PlaceError,
        Walk,
        OBJECT_SIZE, //
    },
    references,
    references::Held,
    Binder,
    BinderPeer, //
};
use crate::{
    core::{
        inbox::QueueId,
        node::Node,
        personality::Via,
        pool::Slice, //
    },
    shim::{
        device,
        files,
        security, //
    },
};
use kernel::{
    fs::File,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    uaccess::UserSlice, //
};

/// A file on its way to a receiver.
pub(super) struct Passed {
    /// The file.
    pub(super) file: ARef<File>,
    /// Where its number is to be written in the slice.
    pub(super) at: usize,
}

/// What a message holds besides its bytes.
pub(super) struct Contents {
    /// Counts of the receiver for the objects, in their order.
    pub(super) objects: KVec<Held>,
    /// Files, in the order of their objects.
    pub(super) files: KVec<Passed>,
}

/// Between whom contents are moved.
pub(super) struct Route<'a> {
    /// The sending proc.
    pub(super) sender: &'a Arc<BinderPeer>,
    /// The queue of the sending thread, which hears of its own new objects.
    pub(super) queue: QueueId,
    /// The receiving proc.
    pub(super) receiver: &'a Arc<BinderPeer>,
    /// Whether the receiver takes files.
    pub(super) accepts_fds: bool,
}

/// Copies and translates what `out` names into `slice`, laid out as `sizes` says.
///
/// Errors are in the order of the ABI: EFAULT for offsets that can't be read, EINVAL for sizes that
/// are no multiples of 8, then object by object, EFAULT for the rest of the data.
pub(super) fn fill(
    route: &Route<'_>,
    slice: &mut Slice<Pages>,
    out: &Outgoing,
    sizes: &Sizes,
) -> Result<Contents> {
    let offsets_at = to_usize(sizes.offsets_at().ok_or(EINVAL)?);
    copy(slice, offsets_at, out.offsets, out.offsets_size)?;
    if out.offsets_size % 8 != 0 || sizes.extra % 8 != 0 {
        return Err(EINVAL);
    }
    let mut contents = Contents {
        objects: KVec::new(),
        files: KVec::new(),
    };
    let mut walk = Walk::new(out.data_size);
    let end = offsets_at + to_usize(out.offsets_size);
    for at in (offsets_at..end).step_by(8) {
        let mut offset = [0; 8];
        slice.read(at, &mut offset).map_err(|_| EINVAL)?;
        let offset = u64::from_ne_bytes(offset);
        move_object(route, slice, out, &mut walk, offset, &mut contents)?;
    }
    let (pos, tail) = (walk.pos(), walk.tail());
    copy(slice, to_usize(pos), out.data.wrapping_add(pos), tail)?;
    Ok(contents)
}

impl From<PlaceError> for Error {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Order => EFAULT,
            PlaceError::Bounds => EINVAL,
        }
    }
}

/// Moves the bytes up to the object at `offset`, and the object.
fn move_object(
    route: &Route<'_>,
    slice: &mut Slice<Pages>,
    out: &Outgoing,
    walk: &mut Walk,
    offset: u64,
    contents: &mut Contents,
) -> Result {
    let (pos, gap) = (walk.pos(), walk.gap(offset)?);
    copy(slice, to_usize(pos), out.data.wrapping_add(pos), gap)?;
    let len = walk.readable(offset)?;
    let mut bytes = [0; OBJECT_SIZE];
    let start = user_ptr(out.data.wrapping_add(offset));
    let (head, _) = bytes.split_at_mut(len);
    UserSlice::new(start, len)
        .reader()
        .read_slice(head)
        .map_err(|_| EINVAL)?;
    let parsed = Object::parse(&bytes, len).ok_or(EINVAL)?;
    let translated = match parsed {
        Object::Binder {
            strength,
            flags,
            ptr,
            cookie,
        } => {
            let part = NodePart { ptr, cookie, flags };
            let held = own_node(route, part, strength)?;
            let desc = held.desc(route.receiver);
            contents.objects.push(held, GFP_KERNEL)?;
            object::handle_bytes(strength, flags, desc?)
        }
        Object::Handle {
            strength,
            flags,
            desc,
        } => foreign_node(route, strength, flags, desc, contents)?,
        Object::Fd { fd, bytes } => {
            let at = to_usize(offset + object::FD_OFFSET);
            contents.files.push(file(route, fd, at)?, GFP_KERNEL)?;
            bytes
        }
    };
    slice
        .write(to_usize(offset), &translated)
        .map_err(|_| EINVAL)?;
    walk.pass(offset);
    Ok(())
}

/// A count of the receiver on a node of the sender. EINVAL, EPERM, ENOMEM.
fn own_node(route: &Route<'_>, part: NodePart, strength: Strength) -> Result<Held> {
    let via = Via::Queue(route.queue);
    let found = nodes::get_or_make(route.sender, part, CookieRule::Equal, via);
    let hold = found.map_err(|error| match error {
        nodes::NodeError::Cookie => EINVAL,
        nodes::NodeError::NoMemory => ENOMEM,
    })?;
    let node = hold.node().clone();
    let linked = permit(route)
        .and_then(|()| Held::link(&node, route.receiver, strength, via).map_err(|_| ENOMEM));
    if linked.is_ok() {
        nodes::announce(&node, route.queue);
    }
    drop(hold);
    if linked.is_err() {
        nodes::sweep(route.sender, &node);
    }
    linked
}

/// A count of the receiver on a node that the sender has a reference to, and the bytes that name it
/// to the receiver: the object itself if it is its own. EINVAL, EPERM, ENOMEM.
fn foreign_node(
    route: &Route<'_>,
    strength: Strength,
    flags: u32,
    desc: u32,
    contents: &mut Contents,
) -> Result<[u8; OBJECT_SIZE]> {
    let handle = references::find_held(route.sender, desc, strength).map_err(|_| EINVAL)?;
    permit(route)?;
    let node: &Arc<Node<Binder>> = handle.node();
    let held = Held::link(node, route.receiver, strength, Via::Any);
    let home = Arc::ptr_eq(node.owner(), route.receiver.anchor());
    let bytes = match &held {
        Ok(_) if home => {
            let part = node.part();
            object::binder_bytes(strength, flags, part.ptr, part.cookie)
        }
        Ok(held) => object::handle_bytes(strength, flags, held.desc(route.receiver)?),
        Err(_) => return Err(ENOMEM),
    };
    if let Ok(held) = held {
        contents.objects.push(held, GFP_KERNEL)?;
    }
    Ok(bytes)
}

/// Asks the security modules whether an object may pass.
fn permit(route: &Route<'_>) -> Result {
    let (from, to) = (&route.sender.part().cred, &route.receiver.part().cred);
    security::transfer_binder(from, to).map_err(|_| EPERM)
}

/// A file of the calling task. EPERM, EBADF.
fn file(route: &Route<'_>, fd: u32, at: usize) -> Result<Passed> {
    if !route.accepts_fds {
        return Err(EPERM);
    }
    let file = files::get(fd)?;
    // A native peer: what it is sent could hold files of this interface, and nothing would ever take
    // such a circle apart.
    if device::is_ours(&file) && device::data_of::<Device>(&file).is_none() {
        return Err(EPERM);
    }
    let (from, to) = (&route.sender.part().cred, &route.receiver.part().cred);
    security::transfer_file(from, to, &file).map_err(|_| EPERM)?;
    Ok(Passed { file, at })
}

/// Copies `len` bytes from the sender's address `from` to `at`. EFAULT.
fn copy(slice: &mut Slice<Pages>, at: usize, from: u64, len: u64) -> Result {
    let len = to_usize(len);
    let mut reader = UserSlice::new(user_ptr(from), len).reader();
    let end = at.checked_add(len).ok_or(EFAULT)?;
    slice
        .for_each_chunk(at..end, |chunk| reader.read_slice(chunk))
        .map_err(|_| EFAULT)
}

/// Whether a node takes files.
pub(super) fn node_accepts_fds(node: &Node<Binder>) -> bool {
    node.part().flags & abi::FLAT_BINDER_FLAG_ACCEPTS_FDS != 0
}
