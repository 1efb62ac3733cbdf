//! Converts frames borrowed from C++ to the slices that the core takes.

use crate::ffi::bridge::{Frame, Verdict};
use dpdkproj_core::wire;
use dpdkproj_core::work::reflector;
use dpdkproj_core::work::reflector::Judged;
use std::marker::PhantomData;

impl Frame {
    /// The frame's bytes.
    ///
    /// # Safety
    /// `data` points to `len` bytes that nobody writes while the slice lives.
    pub(crate) unsafe fn bytes(&self) -> &[u8] {
        // SAFETY: guaranteed by the caller.
        unsafe { std::slice::from_raw_parts(self.data, usize::from(self.len)) }
    }

    /// The frame's bytes, writable.
    ///
    /// # Safety
    /// `data` points to `len` bytes that nobody else reads or writes while the slice lives.
    #[allow(clippy::needless_pass_by_ref_mut, reason = "the bytes are written, not the frame")]
    pub(crate) unsafe fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: guaranteed by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.data, usize::from(self.len)) }
    }

    /// Bytes of the whole frame on the wire.
    pub(crate) fn wire_len(&self) -> usize {
        usize::from(self.len) + usize::from(self.rest)
    }
}

/// A frame whose bytes are borrowed for `'a`.
#[repr(transparent)]
pub(crate) struct Lent<'a>(Frame, PhantomData<&'a mut [u8]>);

impl<'a> Lent<'a> {
    /// The frames of a burst.
    ///
    /// # Safety
    /// The `data` of each frame points to `len` bytes that nobody else reads or writes while the
    /// slice lives, and that do not overlap with those of another frame.
    pub(crate) unsafe fn all(frames: &'a mut [Frame]) -> &'a mut [Self] {
        // SAFETY: the layout is the same, and the caller guarantees what the type stands for.
        unsafe { &mut *(std::ptr::from_mut(frames) as *mut [Self]) }
    }
}

impl AsMut<[u8]> for Lent<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: guaranteed by the caller of `all`.
        unsafe { self.0.bytes_mut() }
    }
}

impl wire::TxFrame for Lent<'_> {
    fn cut(&mut self, len: u16) {
        self.0.len = self.0.len.min(len);
    }
}

impl wire::RxFrame for Lent<'_> {
    fn bytes(&self) -> &[u8] {
        // SAFETY: guaranteed by the caller of `all`.
        unsafe { self.0.bytes() }
    }

    fn wire_len(&self) -> usize {
        self.0.wire_len()
    }

    fn set_slow(&mut self) {
        self.0.verdict = Verdict::Slow;
    }
}

impl Judged for Lent<'_> {
    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.as_mut()
    }

    #[inline]
    fn wire_len(&self) -> usize {
        self.0.wire_len()
    }

    #[inline]
    fn judge(&mut self, verdict: reflector::Verdict, slot: u16) {
        self.0.flow = slot;
        // `Send` is the initial value: this saves a store per packet.
        if verdict != reflector::Verdict::Send {
            self.0.verdict = verdict.into();
        }
    }
}
