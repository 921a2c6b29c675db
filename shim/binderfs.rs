// SPDX-License-Identifier: GPL-2.0

//! The file system `binder`: the safe half.
//!
//! `binderfs.c` does what the VFS wants; this file hands it what it can't know: the callbacks of
//! device files, how to make and drop the object behind a device node, and the names of the feature
//! files. The kernel has one registry of file systems, hence there is one registration; a second
//! one fails as it does when the stock driver is there.

use core::{
    marker::PhantomData,
    pin::Pin,
    ptr, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::Arc,
    types::{
        ForeignOwnable,
        Opaque, //
    }, //
};

use super::{
    abi,
    device::FileOps,
    security, //
};

/// What a personality adds to [`FileOps`] to have its devices in the file system.
///
/// Its table of callbacks is a [`Table::binderfs`](super::device::Table::binderfs).
pub(crate) trait DeviceFs: FileOps {
    /// Names of the files in `features/`, each of which says `1`. Only what works.
    const FEATURES: &'static [&'static CStr];

    /// What all devices share.
    type Root: Send + Sync + 'static;

    /// Makes what the device node `name` stands for: when the file system is mounted, and when
    /// somebody adds a device. May sleep. The value is dropped when the node is removed or the
    /// file system unmounted, and no file of it is open any more.
    fn new_device(root: &Self::Root, name: &CStr) -> Result<Arc<Self::Device>>;
}

/// The table that C keeps a pointer to.
#[pin_data]
struct Ops<T: DeviceFs> {
    #[pin]
    raw: Opaque<abi::bus1_binderfs_ops>,
    features: KVec<*const c_char>,
    root: KBox<T::Root>,
    _owner: PhantomData<fn(T)>,
}

// SAFETY: Neither table nor list is written after it was made; the strings are static. The root may
// be shared between threads.
unsafe impl<T: DeviceFs> Send for Ops<T> {}

// SAFETY: As above.
unsafe impl<T: DeviceFs> Sync for Ops<T> {}

impl<T: DeviceFs> Ops<T> {
    /// # Safety
    ///
    /// C calls it with the root of the table, and a string that is valid during the call.
    unsafe extern "C" fn device_new(root: *const c_void, name: *const c_char) -> *mut c_void {
        // SAFETY: By the precondition; the table lives while the file system is registered.
        let (root, name) = unsafe { (&*root.cast::<T::Root>(), CStr::from_char_ptr(name)) };
        match T::new_device(root, name) {
            Ok(device) => device.into_foreign(),
            Err(error) => error.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// C calls it once for each value that `device_new` made, when no file of the node is open.
    unsafe extern "C" fn device_put(device: *mut c_void) {
        // SAFETY: By the precondition.
        drop(unsafe { Arc::<T::Device>::from_foreign(device) });
    }
}

/// The file system `binder`, there as long as this value.
///
/// It is not dropped while something is mounted: each mount pins the module.
pub(crate) struct FsRegistration<T: DeviceFs> {
    _ops: Pin<KBox<Ops<T>>>,
}

impl<T: DeviceFs> FsRegistration<T> {
    /// Registers the file system and the device numbers.
    ///
    /// EBUSY if another driver has the name, EOPNOTSUPP if the kernel does not export the hooks
    /// that its security modules want called: then a line in the log says so.
    pub(crate) fn new(root: T::Root) -> Result<Self> {
        if !security::has_hooks() {
            pr_err!(
                "this kernel does not export the security hooks of binder: no Binder devices\n"
            );
            return Err(EOPNOTSUPP);
        }
        let mut features = KVec::with_capacity(T::FEATURES.len(), GFP_KERNEL)?;
        for name in T::FEATURES {
            features.push(name.as_char_ptr(), GFP_KERNEL)?;
        }
        let root = KBox::new(root, GFP_KERNEL)?;
        let raw = abi::bus1_binderfs_ops {
            root: ptr::from_ref::<T::Root>(&root).cast(),
            fops: T::table().as_ptr(),
            device_new: Some(Ops::<T>::device_new),
            device_put: Some(Ops::<T>::device_put),
            features: features.as_ptr(),
            nr_features: features.len(),
        };
        let ops = KBox::pin_init(
            try_pin_init!(Ops {
                raw: Opaque::new(raw),
                features,
                root,
                _owner: PhantomData,
            }),
            GFP_KERNEL,
        )?;
        T::table().announce();
        // SAFETY: The table lives until `drop`, which unregisters it first.
        let result = to_result(unsafe { abi::bus1_binderfs_register(ops.raw.get()) });
        if matches!(result, Err(error) if error == EBUSY) {
            pr_err!("the file system \"binder\" belongs to another driver: unload that first\n");
        }
        result?;
        Ok(Self { _ops: ops })
    }
}

impl<T: DeviceFs> Drop for FsRegistration<T> {
    fn drop(&mut self) {
        // SAFETY: A value exists only once the file system is registered, and nothing is mounted.
        unsafe { abi::bus1_binderfs_unregister() };
    }
}
