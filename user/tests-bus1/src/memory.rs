// SPDX-License-Identifier: MIT OR Apache-2.0

//! Mappings of the pool, and memory that is laid out to make the kernel stumble.
//!
//! One of the files with unsafe code.

use std::os::fd::AsFd;
use std::ptr::null_mut;

use rustix::io::Errno;
use rustix::mm::{
    mmap, mmap_anonymous, mprotect, mremap, mremap_fixed, munmap, MapFlags, MprotectFlags,
    MremapFlags, ProtFlags,
};

const PAGE: usize = 4096;

/// A mapping of a file, readable.
pub struct Mapping {
    start: *mut u8,
    bytes: usize,
}

// SAFETY: threads only copy out of it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// A mapping with any protection and kind, at offset 0.
    pub fn new(
        fd: impl AsFd,
        bytes: usize,
        prot: ProtFlags,
        kind: MapFlags,
    ) -> Result<Self, Errno> {
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { mmap(null_mut(), bytes, prot, kind, fd, 0) }?;
        Ok(Mapping {
            start: start.cast(),
            bytes,
        })
    }

    /// A shared read-only mapping.
    pub fn shared(fd: impl AsFd, bytes: usize) -> Result<Self, Errno> {
        Self::new(fd, bytes, ProtFlags::READ, MapFlags::SHARED)
    }

    /// The same, of what lies at `offset` in the file.
    pub fn shared_from(fd: impl AsFd, bytes: usize, offset: u64) -> Result<Self, Errno> {
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe {
            mmap(
                null_mut(),
                bytes,
                ProtFlags::READ,
                MapFlags::SHARED,
                fd,
                offset,
            )
        }?;
        Ok(Mapping {
            start: start.cast(),
            bytes,
        })
    }

    /// Changes the protection.
    pub fn protect(&self, prot: MprotectFlags) -> Result<(), Errno> {
        // SAFETY: it is this mapping, and nobody has a reference into it.
        unsafe { mprotect(self.start.cast(), self.bytes, prot) }
    }

    /// Where it begins.
    pub fn address(&self) -> u64 {
        self.start.expose_provenance() as u64
    }

    /// Whether the byte at `offset` can be read.
    pub fn is_there(&self, offset: u64) -> Result<bool, Errno> {
        crate::foreign::readable(self.address() + offset)
    }

    /// Unmaps some pages of it; what is there instead of them is nobody's.
    pub fn punch(&self, offset: u64, len: u64) -> Result<(), Errno> {
        // SAFETY: it is this mapping, and nobody has a reference into it.
        unsafe { munmap(self.start.add(offset as usize).cast(), len as usize) }
    }

    /// Moves all of it to another place.
    pub fn move_away(&mut self) -> Result<(), Errno> {
        let rw = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MremapFlags::MAYMOVE;
        // SAFETY: the new place is a mapping of our own, which is replaced; nobody has a reference
        // into either.
        self.start = unsafe {
            let place = mmap_anonymous(null_mut(), self.bytes, rw, MapFlags::PRIVATE)?;
            mremap_fixed(self.start.cast(), self.bytes, self.bytes, flags, place)?
        }
        .cast();
        Ok(())
    }

    /// Makes it larger, at any place.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Errno> {
        let flags = MremapFlags::MAYMOVE;
        // SAFETY: nobody has a reference into it.
        self.start = unsafe { mremap(self.start.cast(), self.bytes, bytes, flags) }?.cast();
        self.bytes = bytes;
        Ok(())
    }

    /// Copies bytes out; empty if they lie outside. Touches memory that the
    /// driver may not back: such an access ends the process by SIGBUS.
    pub fn copy(&self, offset: u64, len: u64) -> Vec<u8> {
        let mut copy = Vec::new();
        self.copy_to(&mut copy, offset, len);
        copy
    }

    /// The same, into what `copy` is to be instead of what it is.
    pub fn copy_to(&self, copy: &mut Vec<u8>, offset: u64, len: u64) {
        copy.clear();
        let end = offset.checked_add(len);
        if end.is_none_or(|end| end > self.bytes as u64) {
            return;
        }
        copy.resize(len as usize, 0);
        // SAFETY: the range lies in the mapping. The driver may write to a slice
        // that is not ours; the copy is volatile in effect, as its source is
        // never taken as a reference.
        unsafe {
            std::ptr::copy(
                self.start.add(offset as usize),
                copy.as_mut_ptr(),
                len as usize,
            );
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it is this mapping, and nobody has a reference into it.
        let _ = unsafe { munmap(self.start.cast(), self.bytes) };
    }
}

/// An address that nothing of this program lies at, or that can't be written.
pub struct Bad {
    address: usize,
    _area: Option<Area>,
}

impl Bad {
    /// Address 0.
    pub fn null() -> Self {
        Self::number(0)
    }

    /// An address of the kernel's half.
    pub fn kernel() -> Self {
        Self::number(0xffff_8000_0000_1000)
    }

    fn number(address: usize) -> Self {
        Bad {
            address,
            _area: None,
        }
    }

    /// An address that was mapped and is so without any rights now.
    pub fn no_access() -> Result<Self, Errno> {
        let area = Area::new()?;
        Ok(Bad {
            address: area.address() + PAGE,
            _area: Some(area),
        })
    }

    /// All kinds.
    pub fn all() -> Result<[Self; 3], Errno> {
        Ok([Self::null(), Self::kernel(), Self::no_access()?])
    }

    /// The address.
    pub fn address(&self) -> usize {
        self.address
    }
}

/// A page of memory, followed by one that can't be touched.
pub struct Area {
    start: *mut u8,
}

impl Area {
    /// An area of zeros, which nobody has touched yet.
    pub fn new() -> Result<Self, Errno> {
        let rw = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; the second
        // page of it is taken away before anybody knows it.
        let start = unsafe {
            let start = mmap_anonymous(null_mut(), 2 * PAGE, rw, MapFlags::PRIVATE)?;
            mprotect(start.byte_add(PAGE), PAGE, MprotectFlags::empty())?;
            start
        };
        Ok(Area {
            start: start.cast(),
        })
    }

    /// An area with these numbers at the end of its page; their address.
    pub fn ending_with(numbers: &[u64]) -> Result<(Self, u64), Errno> {
        let area = Self::new()?;
        let bytes = 8 * numbers.len().min(PAGE / 8);
        // SAFETY: the numbers fit into the page that is writable.
        let address = unsafe {
            let start = area.start.add(PAGE - bytes);
            std::ptr::copy_nonoverlapping(numbers.as_ptr().cast(), start, bytes);
            start
        };
        Ok((area, address as u64))
    }

    /// An area with these numbers at the start of its page, which then is made
    /// read-only.
    pub fn read_only(numbers: &[u64]) -> Result<Self, Errno> {
        let area = Self::new()?;
        let bytes = 8 * numbers.len().min(PAGE / 8);
        // SAFETY: the numbers fit into the page.
        unsafe {
            std::ptr::copy_nonoverlapping(numbers.as_ptr().cast(), area.start, bytes);
            mprotect(area.start.cast(), PAGE, MprotectFlags::READ)?;
        }
        Ok(area)
    }

    /// Its first byte.
    pub fn address(&self) -> usize {
        self.start.expose_provenance()
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // SAFETY: both pages are this value's.
        let _ = unsafe { munmap(self.start.cast(), 2 * PAGE) };
    }
}
