//! From the frames that C++ lends to the slices that the core takes.

use crate::ffi::bridge::Frame;
use dpdkproj_core::packet;

impl Frame {
    /// The frame's bytes.
    ///
    /// # Safety
    /// `data` points to `len` bytes that nobody writes while the slice lives.
    pub(crate) unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts(self.data, usize::from(self.len)) }
    }

    /// The frame's bytes, to be written.
    ///
    /// # Safety
    /// `data` points to `len` bytes that nobody else reads or writes while the slice lives.
    #[allow(clippy::needless_pass_by_ref_mut, reason = "the bytes are written, not the frame")]
    pub(crate) unsafe fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data, usize::from(self.len)) }
    }

    /// Bytes of the whole frame on the wire.
    pub(crate) fn wire_len(&self) -> usize {
        usize::try_from(self.wire_len).unwrap_or(usize::MAX)
    }
}

/// A frame whose bytes are lent for a call.
#[repr(transparent)]
pub(crate) struct Lent(Frame);

impl Lent {
    /// # Safety
    /// The `data` of each frame points to `len` bytes that nobody else reads or writes while the slice
    /// lives, and that no other frame has.
    pub(crate) unsafe fn writable(frames: &mut [Frame]) -> &mut [Self] {
        // SAFETY: the layout is the same.
        unsafe { &mut *(std::ptr::from_mut(frames) as *mut [Self]) }
    }

    /// # Safety
    /// The `data` of each frame points to `len` bytes that nobody writes while the slice lives.
    pub(crate) unsafe fn readable(frames: &[Frame]) -> &[Self] {
        // SAFETY: the layout is the same.
        unsafe { &*(std::ptr::from_ref(frames) as *const [Self]) }
    }
}

impl AsMut<[u8]> for Lent {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: the promise of whoever made it.
        unsafe { self.0.bytes_mut() }
    }
}

impl packet::Frame for Lent {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the promise of whoever made it.
        unsafe { self.0.bytes() }
    }

    fn wire_len(&self) -> usize {
        self.0.wire_len()
    }
}
