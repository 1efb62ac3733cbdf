//! The Internet checksum (RFC 1071), kept unfolded as long as possible.
//!
//! A sum of 16-bit words modulo 0xffff does not depend on how many words are added at once: a 64-bit
//! big-endian load adds four words. So sums are `u64`, sums over headers and payload are added
//! unfolded, and folding happens once.

/// The unfolded one's complement sum of `bytes` as big-endian 16-bit words. An odd last byte is padded
/// with a zero byte.
#[must_use]
#[inline]
pub fn sum(bytes: &[u8]) -> u64 {
    let quads = bytes.chunks_exact(8);
    let rest = quads.remainder();
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        words(u64::from_be_bytes(word))
    };
    quads.map(word).sum::<u64>() + word(rest)
}

/// The unfolded sum of the four 16-bit words of `value`; less than 2^33.
#[must_use]
#[inline]
pub fn words(value: u64) -> u64 {
    (value & 0xffff_ffff) + (value >> 32)
}

/// `sum` modulo 0xffff, as 16 bits: 0 only for a sum of 0.
#[must_use]
#[inline]
pub fn fold(sum: u64) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    let (halves, carry) = (sum as u32).overflowing_add((sum >> 32) as u32);
    // Adding the carry cannot overflow again: the greatest sum of two halves, 2^33 - 2, leaves room for it.
    let sum = halves + u32::from(carry);
    // Adds both 16-bit halves; the upper half of the result includes the carry from the lower one.
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// The checksum field of an IPv4 header whose other words sum to `sum`.
#[must_use]
#[inline]
pub fn finish(sum: u64) -> u16 {
    !fold(sum)
}

/// The checksum field of a UDP datagram whose other words (pseudo-header included) sum to `sum`, which
/// must not be `u64::MAX`. A checksum of 0 is sent as 0xffff, because 0 means "none" (RFC 768).
#[must_use]
#[inline]
pub fn finish_udp(sum: u64) -> u16 {
    debug_assert!(sum != u64::MAX);
    // 2^64 - 1 is a multiple of 0xffff, so `!sum` is -sum modulo 0xffff. It is not 0, and fold() returns
    // 0 only for 0.
    fold(!sum)
}

/// Whether the checksum is correct if all words, checksum field included, sum to `sum`.
#[must_use]
#[inline]
pub fn is_intact(sum: u64) -> bool {
    fold(sum) == 0xffff
}

/// The unfolded sum over the UDP pseudo-header (RFC 768; for IPv6 RFC 8200, section 8.1), with addresses
/// whose words sum to `address_sum` and a UDP length of `udp_len` bytes.
#[must_use]
#[inline]
pub fn udp_pseudo_header(address_sum: u64, udp_len: u16) -> u64 {
    const UDP: u64 = 17;
    address_sum + UDP + u64::from(udp_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_the_book(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap()
    }

    proptest! {
        #[test]
        fn sums_are_those_of_rfc_1071(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(fold(sum(&bytes)), by_the_book(&bytes));
        }

        #[test]
        fn a_u64_is_four_words(value: u64, more: u32) {
            prop_assert_eq!(words(value) % 0xffff, value % 0xffff);
            let total = words(value) + u64::from(more);
            prop_assert_eq!(u64::from(fold(total)) % 0xffff, total % 0xffff);
            prop_assert_eq!(u64::from(fold(value)) % 0xffff, value % 0xffff);
            prop_assert_eq!(finish_udp(total), match finish(total) { 0 => 0xffff, sum => sum });
        }

        #[test]
        fn a_finished_checksum_is_intact(bytes in proptest::collection::vec(any::<u8>(), 1..100)) {
            let total = sum(&bytes);
            prop_assert!(is_intact(total + u64::from(finish(total))));
            prop_assert!(is_intact(total + u64::from(finish_udp(total))));
        }
    }

    #[test]
    fn udp_never_sends_zero() {
        for sum in [0xffff, 0x1_fffe, 0xffff_0000, 0xffff_ffff, 0xffff_0000_0000, u64::MAX - 0xffff]
        {
            assert_eq!(finish(sum), 0);
            assert_eq!(finish_udp(sum), 0xffff);
        }
        assert_eq!(finish_udp(0), 0xffff);
    }

    #[test]
    fn fold_survives_the_largest_sum() {
        assert_eq!(fold(u64::MAX), 0xffff);
        assert_eq!(fold(0), 0);
    }
}
