// SPDX-License-Identifier: GPL-2.0

//! Contents of a message: copied from the sender into the receiver's slice, objects translated.
//!
//! One pass: the bytes up to the next object, the object, and so on. Each object is read once, and
//! what was checked is what is stored: a sender that rewrites its memory meanwhile changes nothing
//! that was looked at. The offsets are read from the receiver's copy, which nobody can write.
//!
//! At the end comes the memory of pointers, as [`Scatter`] says; the places of arrays of files are
//! left for the receiver's read.
//!
//! What the objects hold at the receiver is collected in [`Contents`]; dropping that undoes it.
//!
//! Takes the tables of sender and receiver, one at a time and never across a user copy.

#![deny(unsafe_code)]

use super::{
    abi,
    buffer,
    buffer::{
        Pages,
        Sizes, //
    },
    command::{
        to_u64,
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
        Encoded,
        FdArray,
        Object,
        PlaceError,
        Walk, //
    },
    references,
    references::Held,
    scatter::{
        FdPlaces,
        Scatter,
        Step, //
    },
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
    alloc::Flags,
    fs::File,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
    uaccess::UserSlice, //
};

/// For lists as long as a sender makes them: one that is too long for the allocator is its matter,
/// and no reason for a warning.
fn many() -> Flags {
    GFP_KERNEL_ACCOUNT | __GFP_NOWARN
}

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
    /// Which of their numbers end with the buffer.
    pub(super) arrays: KVVec<FdPlaces>,
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
    let base = buffer::address_of(route.receiver, slice).ok_or(EINVAL)?;
    let extra_at = sizes.extra_at().ok_or(EINVAL)?;
    let mut message = Moving {
        route,
        slice,
        data: out.data,
        walk: Walk::new(out.data_size),
        scatter: Scatter::new(base, extra_at, out.buffers_size),
        contents: Contents {
            objects: KVec::new(),
            files: KVec::new(),
            arrays: KVVec::new(),
        },
    };
    for index in 0..out.offsets_size / 8 {
        let mut offset = [0; 8];
        let at = offsets_at + 8 * to_usize(index);
        message.slice.read(at, &mut offset).map_err(|_| EINVAL)?;
        message.object(index, u64::from_ne_bytes(offset))?;
    }
    message.end()
}

impl From<PlaceError> for Error {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Order => EFAULT,
            PlaceError::Bounds => EINVAL,
        }
    }
}

/// A message on its way from the sender's memory into the slice.
struct Moving<'a> {
    route: &'a Route<'a>,
    slice: &'a mut Slice<Pages>,
    /// Address of the data in the sender.
    data: u64,
    walk: Walk,
    scatter: Scatter,
    contents: Contents,
}

impl Moving<'_> {
    /// Moves the bytes up to the object at `offset`, and the object, the `index`th of the message.
    fn object(&mut self, index: u64, offset: u64) -> Result {
        let (pos, gap) = (self.walk.pos(), self.walk.gap(offset)?);
        copy(self.slice, to_usize(pos), self.data.wrapping_add(pos), gap)?;
        let len = self.walk.readable(offset)?;
        let mut bytes = [0; object::MAX_SIZE];
        let start = user_ptr(self.data.wrapping_add(offset));
        let (head, _) = bytes.split_at_mut(len);
        UserSlice::new(start, len)
            .reader()
            .read_slice(head)
            .map_err(|_| EINVAL)?;
        let (parsed, size) = Object::parse(&bytes, len).ok_or(EINVAL)?;
        let encoded = self.translate(index, offset, parsed)?;
        self.slice
            .write(to_usize(offset), encoded.as_bytes())
            .map_err(|_| EINVAL)?;
        self.walk.pass(offset, size);
        Ok(())
    }

    /// Takes what the object at `offset` stands for, and says how the receiver is to see it.
    fn translate(&mut self, index: u64, offset: u64, object: Object) -> Result<Encoded> {
        let route = self.route;
        match object {
            Object::Binder {
                strength,
                flags,
                ptr,
                cookie,
            } => {
                let part = NodePart { ptr, cookie, flags };
                let held = own_node(route, part, strength)?;
                let desc = held.desc(route.receiver);
                self.contents.objects.push(held, many())?;
                Ok(object::handle(strength, flags, desc?))
            }
            Object::Handle {
                strength,
                flags,
                desc,
            } => foreign_node(route, strength, flags, desc, &mut self.contents),
            Object::Fd { fd, encoded } => {
                let at = to_usize(offset.saturating_add(object::FD_OFFSET));
                self.contents.files.push(file(route, fd, at)?, many())?;
                Ok(encoded)
            }
            Object::Pointer(pointer) => {
                let address = self.scatter.add(index, &pointer)?;
                Ok(pointer.at(address))
            }
            Object::FdArray(array) => {
                self.files(&array)?;
                Ok(array.encode())
            }
        }
    }

    /// Takes the files of an array. EINVAL, EPERM, EBADF, ENOMEM.
    fn files(&mut self, array: &FdArray) -> Result {
        let Some(places) = self.scatter.add_files(array)? else {
            return Ok(());
        };
        for number in 0..places.count {
            let skipped = number * to_u64(size_of::<u32>());
            let mut bytes = [0; size_of::<u32>()];
            let from = user_ptr(places.source.wrapping_add(skipped));
            UserSlice::new(from, bytes.len())
                .reader()
                .read_slice(&mut bytes)
                .map_err(|_| EINVAL)?;
            let at = to_usize(places.at + skipped);
            let passed = file(self.route, u32::from_ne_bytes(bytes), at)?;
            self.contents.files.push(passed, many())?;
        }
        Ok(self.contents.arrays.push(places, GFP_KERNEL_ACCOUNT)?)
    }

    /// Moves what is behind the last object, and the memory of pointers. EFAULT, EINVAL.
    fn end(self) -> Result<Contents> {
        let (pos, tail) = (self.walk.pos(), self.walk.tail());
        copy(self.slice, to_usize(pos), self.data.wrapping_add(pos), tail)?;
        let slice = self.slice;
        self.scatter.fill(|step| match step {
            Step::Copy { at, source, len } => {
                copy(slice, to_usize(at), source, len).map_err(|_| EINVAL)
            }
            Step::Address { at, address } => slice
                .write(to_usize(at), &address.to_ne_bytes())
                .map_err(|_| EINVAL),
        })?;
        Ok(self.contents)
    }
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

/// A count of the receiver on a node that the sender has a reference to. Returns how the receiver sees
/// it: as the object itself if it is its own. EINVAL, EPERM, ENOMEM.
fn foreign_node(
    route: &Route<'_>,
    strength: Strength,
    flags: u32,
    desc: u32,
    contents: &mut Contents,
) -> Result<Encoded> {
    let handle = references::find_held(route.sender, desc, strength).map_err(|_| EINVAL)?;
    permit(route)?;
    let node: &Arc<Node<Binder>> = handle.node();
    let held = Held::link(node, route.receiver, strength, Via::Any);
    let home = Arc::ptr_eq(node.owner(), route.receiver.anchor());
    let bytes = match &held {
        Ok(_) if home => {
            let part = node.part();
            object::binder(strength, flags, part.ptr, part.cookie)
        }
        Ok(held) => object::handle(strength, flags, held.desc(route.receiver)?),
        Err(_) => return Err(ENOMEM),
    };
    if let Ok(held) = held {
        contents.objects.push(held, many())?;
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
