//! Pseudo-random filler bytes, made once from the seed.
//!
//! A packet's filler is a slice of one table at an even offset. Building it is a copy, verifying
//! it a comparison, and its checksum the difference of two prefix sums: the same few cycles
//! whatever the size.

use super::payload::mix;

/// Slices start in the first 64 KiB, so that an offset fits the 16 bits it has in the packet.
const OFFSETS: usize = 1 << 16;

/// The table of filler bytes of one seed, for payloads up to a length.
pub struct Filler {
    bytes: Box<[u8]>,
    /// `prefix[i]` is the one's complement sum of the first `i` 16-bit words.
    prefix: Box<[u32]>,
}

impl Filler {
    /// The filler of `seed`, with slices up to `max_len` bytes.
    #[must_use]
    pub fn new(seed: u64, max_len: usize) -> Self {
        let words = (OFFSETS + max_len).div_ceil(8);
        let bytes: Box<[u8]> =
            (0..words as u64).flat_map(|i| mix(seed ^ mix(i)).to_be_bytes()).collect();
        let mut sum = 0;
        let mut prefix = Vec::with_capacity(bytes.len() / 2 + 1);
        prefix.push(0);
        for pair in bytes.chunks_exact(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
            // Stay below 2^17: a table of any size then sums in 32 bits.
            sum = (sum & 0xffff) + (sum >> 16);
            prefix.push(sum);
        }
        Self { bytes, prefix: prefix.into() }
    }

    /// The offset for the packet with sequence number `seq`: neighbours in a sequence differ, and
    /// share cache lines.
    #[must_use]
    pub fn offset(seq: u64) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "a wrapping counter")]
        let offset = (seq as u16) << 1;
        offset
    }

    /// `len` bytes from `offset`, or `None` where the table has no such slice (odd offsets and
    /// lengths above `max_len` come only from packets that are not ours).
    #[must_use]
    pub fn slice(&self, offset: u16, len: usize) -> Option<&[u8]> {
        let offset = usize::from(offset);
        if offset % 2 != 0 {
            return None;
        }
        self.bytes.get(offset..offset + len)
    }

    /// The one's complement sum of [`Filler::slice`] with the same arguments, which must exist.
    #[must_use]
    pub fn sum(&self, offset: u16, len: usize) -> u64 {
        let first = usize::from(offset) / 2;
        let last = first + len / 2;
        // Modulo 0xffff; adding it keeps the difference of two folded sums above zero.
        let whole = u64::from(self.prefix[last]) + 0x1_fffe - u64::from(self.prefix[first]);
        let odd = if len % 2 == 1 { u64::from(self.bytes[2 * last]) << 8 } else { 0 };
        whole + odd
    }
}

#[cfg(test)]
mod tests {
    use super::super::checksum;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_are_those_of_the_bytes(seed: u64, half in 0..0x8000u16, len in 0..1500usize) {
            let filler = Filler::new(seed, 1500);
            let slice = filler.slice(half * 2, len).unwrap();
            prop_assert_eq!(
                u64::from(checksum::fold(filler.sum(half * 2, len))) % 0xffff,
                checksum::sum(slice) % 0xffff
            );
        }
    }

    #[test]
    fn a_seed_makes_its_own_bytes_and_always_the_same() {
        let slice = |seed| Filler::new(seed, 64).slice(100, 64).unwrap().to_vec();
        assert_eq!(slice(1), slice(1));
        assert_ne!(slice(1), slice(2));
    }

    #[test]
    fn slices_that_do_not_exist_are_none() {
        let filler = Filler::new(1, 64);
        assert!(filler.slice(1, 8).is_none());
        assert!(filler.slice(0xfffe, 64).is_some());
        assert!(filler.slice(0xfffe, 1000).is_none());
    }

    #[test]
    fn neighbours_differ_until_the_table_is_used_up() {
        let offsets: std::collections::HashSet<_> = (0..0x8000).map(Filler::offset).collect();
        assert_eq!(offsets.len(), 0x8000);
    }
}
