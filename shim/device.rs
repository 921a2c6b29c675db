// SPDX-License-Identifier: GPL-2.0

//! Open files: what the kernel calls, and the one trait that a personality implements for it.
//!
//! The `kernel` crate's `MiscDevice` has no poll, no flush, no mode of the node, and can't serve
//! the inodes of binderfs, so the tables of callbacks are ours. A [`Table`] is a static, hence its
//! address tells whose file a `struct file` is.
//!
//! An open file owns a reference to the personality's data. No locks are taken.

use core::{
    marker::PhantomData,
    pin::Pin,
    ptr, //
};
use kernel::{
    bindings,
    error::to_result,
    fs::File,
    mm::virt::{
        flags,
        vm_flags_t,
        VmaNew, //
    },
    module::this_module,
    prelude::*,
    seq_file::SeqFile,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        ArcBorrow, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    },
};

use super::{
    pages::Pages,
    wait::{
        PollMask,
        PollTable, //
    },
};

/// What a personality does with the open files of its devices.
pub(crate) trait FileOps: Sized + 'static {
    /// What a device node stands for.
    type Device: Send + Sync + 'static;
    /// What hangs on an open file. All duplicates of a descriptor share it.
    type Data: Send + Sync + 'static;

    /// Returns the table of callbacks, a `static` of the implementing module:
    /// `static TABLE: Table<Self> = Table::misc(); &TABLE`.
    fn table() -> &'static Table<Self>;

    /// Opens a file.
    fn open(device: ArcBorrow<'_, Self::Device>, file: &File) -> Result<Arc<Self::Data>>;

    /// Runs an ioctl; `compat` if a 32-bit task calls. `arg` is what the caller passed, usually
    /// an address of user memory. The value is what the system call returns.
    fn ioctl(
        data: ArcBorrow<'_, Self::Data>,
        file: &File,
        cmd: u32,
        arg: usize,
        compat: bool,
    ) -> Result<isize>;

    /// Maps the file. Called with the mmap lock of the caller held for writing.
    fn mmap(data: ArcBorrow<'_, Self::Data>, area: &VmaNew) -> Result;

    /// Names the pool that the file was mapped to with
    /// [`Mapping::Pinned`](super::mapping::Mapping::Pinned): from then on always the same, and
    /// there as long as the data is.
    fn pinned(_data: &Self::Data) -> Option<&Pages> {
        None
    }

    /// Registers the poller with the wait queues that matter, then returns what is ready.
    fn poll(data: ArcBorrow<'_, Self::Data>, table: &PollTable<'_>) -> PollMask;

    /// Prints the file's lines of `/proc/PID/fdinfo/FD`.
    fn fdinfo(_data: ArcBorrow<'_, Self::Data>, _out: &SeqFile) {}

    /// Somebody closed one descriptor of the file.
    fn flush(_data: ArcBorrow<'_, Self::Data>) {}

    /// The last descriptor, mapping and other use of the file is gone. Runs in the task that
    /// dropped it, before its system call returns.
    fn release(data: Arc<Self::Data>) {
        drop(data);
    }
}

/// What makes the kernel count an area as one through which the file may be written.
const SHARED_MAYWRITE: vm_flags_t = flags::SHARED | flags::MAYWRITE;

type OpenFn = unsafe extern "C" fn(*mut bindings::inode, *mut bindings::file) -> c_int;
type SeekFn =
    unsafe extern "C" fn(*mut bindings::file, bindings::loff_t, c_int) -> bindings::loff_t;

/// A table of callbacks for the files of `T`.
pub(crate) struct Table<T> {
    raw: bindings::file_operations,
    _owner: PhantomData<fn(T)>,
}

// SAFETY: The table is never written.
unsafe impl<T> Sync for Table<T> {}

impl<T: FileOps> Table<T> {
    /// The table for a device that [`MiscRegistration`] registers. Seeking succeeds and does
    /// nothing.
    pub(crate) const fn misc() -> Self {
        Self::new(Self::open_misc, Some(bindings::noop_llseek))
    }

    /// The table for the device inodes of binderfs, whose `i_private` is an
    /// `Arc<T::Device>::into_foreign`. Seeking fails with ESPIPE.
    pub(crate) const fn binderfs() -> Self {
        Self::new(Self::open_inode, None)
    }

    const fn new(open: OpenFn, llseek: Option<SeekFn>) -> Self {
        Self {
            raw: bindings::file_operations {
                owner: this_module::<crate::LocalModule>().as_ptr(),
                open: Some(open),
                release: Some(Self::release),
                flush: Some(Self::flush),
                unlocked_ioctl: Some(Self::ioctl),
                #[cfg(CONFIG_COMPAT)]
                compat_ioctl: Some(Self::compat_ioctl),
                mmap: Some(Self::mmap),
                poll: Some(Self::poll),
                show_fdinfo: Some(Self::show_fdinfo),
                llseek,
                ..pin_init::zeroed()
            },
            _owner: PhantomData,
        }
    }

    /// Returns the table for C.
    pub(super) fn as_ptr(&'static self) -> *const bindings::file_operations {
        &self.raw
    }

    /// Makes [`is_ours`] know the files of this table.
    pub(super) fn announce(&'static self) {
        for known in &TABLES {
            let seen = known.cmpxchg(ptr::null(), self.as_ptr(), Relaxed);
            if seen.is_ok() || seen == Err(self.as_ptr()) {
                return;
            }
        }
    }

    /// Returns what hangs on `file`.
    ///
    /// # Safety
    ///
    /// `file` is an open file of `T`, and stays open for `'a`.
    unsafe fn data<'a>(file: *mut bindings::file) -> ArcBorrow<'a, T::Data> {
        // SAFETY: `open` stored the reference, and `release` drops it last of all.
        unsafe { Arc::<T::Data>::borrow((*file).private_data) }
    }

    /// Opens `file` on `device`.
    ///
    /// # Safety
    ///
    /// `file` is being opened with this table.
    unsafe fn open(device: ArcBorrow<'_, T::Device>, file: *mut bindings::file) -> Result {
        // SAFETY: A file that is being opened is valid, and nobody else has it.
        let data = T::open(device, unsafe { File::from_raw_file(file) })?;
        // SAFETY: The private data belongs to the table's callbacks.
        unsafe { (*file).private_data = data.into_foreign() };
        Ok(())
    }

    /// # Safety
    ///
    /// Called by the kernel for a device of [`MiscRegistration<T>`].
    unsafe extern "C" fn open_misc(
        _inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        // SAFETY: The misc core points the private data at the registered device, which it keeps
        // registered during this call. It is the first field of `Misc<T>`.
        let misc = unsafe { &*(*file).private_data.cast::<Misc<T>>() };
        // SAFETY: The file is being opened.
        errno(unsafe { Self::open(misc.device.as_arc_borrow(), file) })
    }

    /// # Safety
    ///
    /// Called by the kernel for an inode whose `i_private` is an `Arc<T::Device>`.
    unsafe extern "C" fn open_inode(
        inode: *mut bindings::inode,
        file: *mut bindings::file,
    ) -> c_int {
        // SAFETY: By the precondition; the inode keeps its device until it is evicted, and an
        // inode that is being opened is in use.
        let device = unsafe { Arc::<T::Device>::borrow((*inode).i_private) };
        // SAFETY: The file is being opened.
        errno(unsafe { Self::open(device, file) })
    }

    /// # Safety
    ///
    /// Called by the kernel, once, after all other uses of the file.
    unsafe extern "C" fn release(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // `mmap` may have lent the file the address space of a pool, which may go now.
        // SAFETY: Nobody else uses a file in its release.
        unsafe { (*file).f_mapping = (*inode).i_mapping };
        // SAFETY: `open` stored the reference, and nobody uses it any more.
        T::release(unsafe { Arc::<T::Data>::from_foreign((*file).private_data) });
        0
    }

    /// # Safety
    ///
    /// Called by the kernel for an open file of `T`.
    unsafe extern "C" fn flush(file: *mut bindings::file, _id: bindings::fl_owner_t) -> c_int {
        // SAFETY: By the precondition.
        T::flush(unsafe { Self::data(file) });
        0
    }

    /// # Safety
    ///
    /// Called by the kernel for an open file of `T`.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: By the precondition.
        unsafe { Self::do_ioctl(file, cmd, arg, false) }
    }

    /// # Safety
    ///
    /// Called by the kernel for an open file of `T`.
    #[cfg(CONFIG_COMPAT)]
    unsafe extern "C" fn compat_ioctl(
        file: *mut bindings::file,
        cmd: c_uint,
        arg: c_ulong,
    ) -> c_long {
        // SAFETY: By the precondition.
        unsafe { Self::do_ioctl(file, cmd, arg, true) }
    }

    /// # Safety
    ///
    /// `file` is an open file of `T` for the duration of the call.
    unsafe fn do_ioctl(file: *mut bindings::file, cmd: u32, arg: usize, compat: bool) -> c_long {
        // SAFETY: By the precondition.
        let data = unsafe { Self::data(file) };
        // SAFETY: The file is valid, and ioctl does not take the position lock.
        let file = unsafe { File::from_raw_file(file) };
        match T::ioctl(data, file, cmd, arg, compat) {
            Ok(value) => value,
            Err(error) => error.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// Called by the kernel for an open file of `T` and an area that is being set up for it.
    unsafe extern "C" fn mmap(
        file: *mut bindings::file,
        vma: *mut bindings::vm_area_struct,
    ) -> c_int {
        // SAFETY: By the precondition.
        let (data, area) = unsafe { (Self::data(file), VmaNew::from_raw(vma)) };
        let writable = area.flags() & SHARED_MAYWRITE == SHARED_MAYWRITE;
        let result = T::mmap(data, area).and_then(|()| match T::pinned(&data) {
            // SAFETY: `pinned` returns a reference that is valid as long as one to the data; that
            // one is valid until `release`, which ends the use of the pool's address space.
            Some(pages) => unsafe { pages.adopt(file, writable) },
            None => Ok(()),
        });
        errno(result)
    }

    /// # Safety
    ///
    /// Called by the kernel for an open file of `T`.
    unsafe extern "C" fn poll(
        file: *mut bindings::file,
        table: *mut bindings::poll_table,
    ) -> bindings::__poll_t {
        // SAFETY: By the precondition, and both pointers are valid during the call.
        let (data, table) = unsafe { (Self::data(file), PollTable::from_raw(file, table)) };
        T::poll(data, &table).bits()
    }

    /// # Safety
    ///
    /// Called by the kernel for an open file of `T`.
    unsafe extern "C" fn show_fdinfo(out: *mut bindings::seq_file, file: *mut bindings::file) {
        // SAFETY: By the precondition, and `out` is ours during the call.
        let (data, out) = unsafe { (Self::data(file), SeqFile::from_raw(out)) };
        T::fdinfo(data, out);
    }
}

/// Returns what C expects: 0 or a negative error number.
fn errno(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// The tables of the interfaces that have been registered.
static TABLES: [Atomic<*const bindings::file_operations>; 2] =
    [const { Atomic::new(ptr::null()) }; 2];

/// Returns true if `file` is an open file of any of our interfaces.
pub(crate) fn is_ours(file: &File) -> bool {
    // SAFETY: The table of an open file does not change.
    let table = unsafe { (*file.as_ptr()).f_op };
    TABLES
        .iter()
        .any(|known| ptr::eq(known.load(Relaxed), table))
}

/// Returns what hangs on `file` if it is an open file of `T`.
pub(crate) fn data_of<T: FileOps>(file: &File) -> Option<ArcBorrow<'_, T::Data>> {
    let raw = file.as_ptr();
    // SAFETY: The table of an open file does not change.
    if !ptr::eq(unsafe { (*raw).f_op }, T::table().as_ptr()) {
        return None;
    }
    // SAFETY: The table says that the file is one of `T`, and a counted file is open.
    Some(unsafe { Table::<T>::data(raw) })
}

/// A registered misc device. Its address is what the misc core hands to `open`.
#[pin_data(PinnedDrop)]
#[repr(C)]
struct Misc<T: FileOps> {
    #[pin]
    raw: Opaque<bindings::miscdevice>,
    device: Arc<T::Device>,
}

impl<T: FileOps> Misc<T> {
    fn register(
        name: &'static CStr,
        mode: u16,
        device: Arc<T::Device>,
    ) -> impl PinInit<Self, Error> {
        // `try_pin_init!` fills the fields in this order: the device is there before the node is.
        try_pin_init!(Self {
            device,
            raw <- Opaque::try_ffi_init(move |slot: *mut bindings::miscdevice| {
                let misc = bindings::miscdevice {
                    minor: bindings::MISC_DYNAMIC_MINOR as c_int,
                    name: name.as_char_ptr(),
                    fops: T::table().as_ptr(),
                    mode,
                    ..pin_init::zeroed()
                };
                // SAFETY: The slot is valid for writes, and pinned until `drop` deregisters it.
                unsafe {
                    slot.write(misc);
                    to_result(bindings::misc_register(slot))
                }
            }),
        })
    }
}

#[pinned_drop]
impl<T: FileOps> PinnedDrop for Misc<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: A value exists only once its device is registered.
        unsafe { bindings::misc_deregister(self.raw.get()) };
    }
}

// SAFETY: A misc device may be deregistered by any thread; `T::Device` is `Send` and `Sync`.
unsafe impl<T: FileOps> Send for Misc<T> {}

// SAFETY: A shared reference only reads `device`, which is `Sync`.
unsafe impl<T: FileOps> Sync for Misc<T> {}

/// The node `/dev/NAME`, there as long as this value.
pub(crate) struct MiscRegistration<T: FileOps> {
    _misc: Pin<KBox<Misc<T>>>,
}

impl<T: FileOps> MiscRegistration<T> {
    /// Registers the device `name` with the permission bits `mode`. EBUSY if the name is taken in
    /// sysfs or no minor is free; ENOMEM.
    pub(crate) fn new(name: &'static CStr, mode: u16, device: Arc<T::Device>) -> Result<Self> {
        T::table().announce();
        Ok(Self {
            _misc: KBox::pin_init(Misc::register(name, mode, device), GFP_KERNEL)?,
        })
    }
}
