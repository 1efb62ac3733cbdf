//! Pseudo-random filler bytes, generated once from the seed.
//!
//! A packet's filler is one of 1024 overlapping slices of a table. Writing it is a copy, verifying it a
//! comparison, and its sum is precomputed per slice. Table and sums together are small enough to stay
//! in the L1 cache.

use super::checksum;
use super::payload::mix;
use std::sync::Arc;

/// Number of slices, a power of two. Each slice starts two bytes after the previous one.
const SLICES: usize = 1024;

/// The filler of all packets of a run.
pub struct Filler {
    bytes: Arc<[u8]>,
    /// By slice: the folded one's complement sum of its bytes and its offset.
    sums: Box<[u16; SLICES]>,
    len: usize,
}

impl Filler {
    /// The filler for `seed`, with `len` bytes per packet.
    #[must_use]
    pub fn new(seed: u64, len: usize) -> Self {
        let words = (2 * SLICES + len).div_ceil(8);
        let bytes = (0..words as u64).flat_map(|i| mix(seed ^ mix(i)).to_be_bytes()).collect();
        Self::of(bytes, len)
    }

    /// The filler of shorter packets of the same run: each slice begins as the one of `self`.
    #[must_use]
    pub fn shortened(&self, len: usize) -> Self {
        Self::of(Arc::clone(&self.bytes), len.min(self.len))
    }

    fn of(bytes: Arc<[u8]>, len: usize) -> Self {
        let mut sums = Box::new([0; SLICES]);
        for (sum, at) in sums.iter_mut().zip((0..).step_by(2)) {
            *sum = checksum::fold(checksum::sum(&bytes[at..at + len]) + at as u64);
        }
        Self { bytes, sums, len }
    }

    /// The filler offset for mbuf number `index`. Neighbours differ.
    #[must_use]
    pub fn offset(index: u64) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "masked to fewer bits")]
        let slice = (index as usize % SLICES) as u16;
        slice << 1
    }

    /// The filler at `offset`; `None` for offsets that [`Filler::offset`] never returns, which only
    /// foreign or corrupt packets have.
    #[must_use]
    #[inline]
    pub fn slice(&self, offset: u16) -> Option<&[u8]> {
        let offset = usize::from(offset);
        if offset % 2 != 0 || offset >= 2 * SLICES {
            return None;
        }
        self.bytes.get(offset..offset + self.len)
    }

    /// The one's complement sum of [`Filler::slice`] at `offset` and of the offset field itself, which
    /// precedes the filler in a packet. Meaningless for an offset without a slice.
    #[must_use]
    #[inline]
    pub fn sum_with_offset(&self, offset: u16) -> u64 {
        self.sums().with_offset(offset)
    }

    /// The sums alone, for loops that need nothing else.
    #[must_use]
    #[inline]
    pub(crate) fn sums(&self) -> Sums<'_> {
        Sums(&self.sums)
    }
}

/// The sums of a [`Filler`].
#[derive(Clone, Copy)]
pub(crate) struct Sums<'a>(&'a [u16; SLICES]);

impl Sums<'_> {
    /// See [`Filler::sum_with_offset`].
    #[inline]
    pub(crate) fn with_offset(self, offset: u16) -> u64 {
        u64::from(self.0[usize::from(offset / 2) % SLICES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_are_those_of_the_bytes(seed: u64, index: u64, len in 0..1500usize) {
            let filler = Filler::new(seed, len);
            let offset = Filler::offset(index);
            let slice = filler.slice(offset).unwrap();
            prop_assert_eq!(slice.len(), len);
            let sum = checksum::sum(slice) + u64::from(offset);
            prop_assert_eq!(filler.sum_with_offset(offset) % 0xffff, sum % 0xffff);
        }
    }

    #[test]
    fn a_shorter_filler_begins_the_same() {
        let filler = Filler::new(1, 300);
        let shorter = filler.shortened(70);
        for offset in (0..1024).map(Filler::offset) {
            assert_eq!(shorter.slice(offset), Some(&filler.slice(offset).unwrap()[..70]));
            let sum = Filler::new(1, 70).sum_with_offset(offset);
            assert_eq!(shorter.sum_with_offset(offset), sum);
        }
    }

    #[test]
    fn a_seed_makes_its_own_bytes_and_always_the_same() {
        let slice = |seed| Filler::new(seed, 64).slice(100).unwrap().to_vec();
        assert_eq!(slice(1), slice(1));
        assert_ne!(slice(1), slice(2));
    }

    #[test]
    fn slices_that_do_not_exist_are_none() {
        let filler = Filler::new(1, 64);
        assert!(filler.slice(1).is_none());
        assert!(filler.slice(2046).is_some());
        assert!(filler.slice(2048).is_none());
        assert!(filler.slice(0xfffe).is_none());
    }

    #[test]
    fn all_slices_are_used_before_one_comes_again() {
        let filler = Filler::new(1, 16);
        let slices: std::collections::HashSet<_> =
            (0..1024).map(|index| filler.slice(Filler::offset(index)).unwrap()).collect();
        assert_eq!(slices.len(), 1024);
    }
}
