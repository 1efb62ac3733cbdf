//! Log-linear buckets for times: 64 to each power of two, as HDR histograms have them.
//!
//! A bucket is at most 1/64 of its values wide, and its middle stands for all of them: the error is below 0.8 %. Below
//! 128 ns every nanosecond has a bucket of its own. A bucket's number has 11 bits, so it also fits where a packet has no
//! room for a whole time.

const SUB_BITS: u32 = 6;
/// Larger values count as the largest: 17 s.
pub const MAX_NS: u64 = (1 << 34) - 1;
/// How many buckets there are.
pub const BUCKETS: usize = bucket(MAX_NS) as usize + 1;

/// The number of the bucket of `ns`; those above [`MAX_NS`] share the last one.
#[must_use]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a bucket's number has 11 bits")]
pub const fn bucket(ns: u64) -> u16 {
    let ns = if ns < MAX_NS { ns } else { MAX_NS };
    let shift = (ns | ((2 << SUB_BITS) - 1)).ilog2() - SUB_BITS;
    ((shift as u64) << SUB_BITS) as u16 + (ns >> shift) as u16
}

/// The middle of a bucket in ns, rounded down.
#[must_use]
#[inline]
pub const fn middle_ns(bucket: u16) -> u64 {
    let shift = (bucket >> SUB_BITS).saturating_sub(1);
    let low = ((bucket - (shift << SUB_BITS)) as u64) << shift;
    low + ((1 << shift) - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_middle_is_within_the_error(ns in 0..=MAX_NS) {
            let middle = middle_ns(bucket(ns));
            prop_assert!(middle.abs_diff(ns) as f64 <= ns as f64 * 0.008, "{middle} for {ns}");
            prop_assert_eq!(bucket(middle), bucket(ns));
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut last = 0;
        for ns in 0..100_000 {
            assert!(bucket(ns) == last || bucket(ns) == last + 1, "{ns}");
            last = bucket(ns);
        }
        assert_eq!(middle_ns(bucket(127)), 127);
    }

    #[test]
    fn a_bucket_has_11_bits_and_too_much_is_the_largest() {
        const { assert!(BUCKETS <= 1 << 11) };
        assert_eq!(usize::from(bucket(u64::MAX)), BUCKETS - 1);
    }
}
