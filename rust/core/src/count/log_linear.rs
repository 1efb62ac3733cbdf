//! Log-linear buckets for times, 64 per power of two, as in HDR histograms.
//!
//! A bucket is at most 1/64 as wide as its values. Its middle represents all of them, with an error
//! below 0.8 %. Below 128 ns, every nanosecond has a bucket of its own. A bucket number has 11 bits,
//! so it fits into a packet header that has no room for a full time.

const SUB_BITS: u32 = 6;
/// Buckets from one power of two to the next.
pub(crate) const OCTAVE: usize = 1 << SUB_BITS;
/// The largest time, 17 s; larger ones count as this one.
pub const MAX_NS: u64 = (1 << 34) - 1;
/// The number of buckets.
pub const BUCKETS: usize = bucket(MAX_NS) as usize + 1;

/// The bucket of `ns`; times above [`MAX_NS`] share the last one.
#[must_use]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "a bucket's number has 11 bits")]
pub const fn bucket(ns: u64) -> u16 {
    let ns = if ns < MAX_NS { ns } else { MAX_NS };
    let shift = (ns | ((2 << SUB_BITS) - 1)).ilog2() - SUB_BITS;
    ((shift as u64) << SUB_BITS) as u16 + (ns >> shift) as u16
}

/// Stores the buckets of the times from each of `from_ns`, in ascending order, until `now_ns`; as many
/// as both slices have elements. A start later than `now_ns` gives bucket 0.
#[inline]
pub(crate) fn buckets_until(now_ns: u64, from_ns: &[u64], buckets: &mut [u16]) {
    debug_assert!(from_ns.is_sorted());
    let all = buckets.iter_mut().zip(from_ns);
    let is_short = |ns: &u64| *ns <= now_ns && now_ns - ns < 1 << f32::MANTISSA_DIGITS;
    if from_ns.first().is_some_and(is_short) && from_ns.last().is_some_and(is_short) {
        for (slot, from_ns) in all {
            *slot = bucket_of_short(now_ns.wrapping_sub(*from_ns));
        }
    } else {
        for (slot, from_ns) in all {
            *slot = bucket(now_ns.saturating_sub(*from_ns));
        }
    }
}

/// The bucket of a time below 2^24 ns, computed with instructions that have vector forms, too. Such a
/// time is exact as an `f32`, and the upper bits of the float (exponent and mantissa) are the bucket
/// number plus a constant.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "no number in use has more bits or a sign"
)]
fn bucket_of_short(ns: u64) -> u16 {
    const FRACTION_BITS: u32 = f32::MANTISSA_DIGITS - 1;
    const BIAS: u32 = 127;
    // Signed, because vector units have an instruction that converts signed integers to floats.
    let ns = ns as i32;
    let upper = (ns as f32).to_bits() >> (FRACTION_BITS - SUB_BITS);
    let bucket = upper.wrapping_sub((BIAS + SUB_BITS - 1) << SUB_BITS);
    // Below 64 ns, not all of these bits are whole nanoseconds.
    if ns < 1 << SUB_BITS { ns as u16 } else { bucket as u16 }
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
    fn a_short_time_is_in_the_same_bucket() {
        assert!((0..1 << 24).all(|ns| bucket_of_short(ns) == bucket(ns)));
    }

    #[test]
    fn each_time_of_a_burst_is_in_its_bucket() {
        let now_ns: u64 = 1 << 40;
        for longest_ns in [3, (1 << 24) - 1, 1 << 24, MAX_NS + 1] {
            let lasts = [(now_ns - 2, 2), (now_ns, 0), (now_ns + 1, 0), (u64::MAX, 0)];
            for (last_ns, its_bucket) in lasts {
                let mut found = [9; 4];
                buckets_until(now_ns, &[now_ns - longest_ns, now_ns - 3, last_ns], &mut found);
                assert_eq!(found, [bucket(longest_ns), 3, its_bucket, 9], "{longest_ns} {last_ns}");
            }
        }
        let mut found = [9; 2];
        buckets_until(5, &[u64::MAX - 1, u64::MAX], &mut found);
        assert_eq!(found, [0, 0]);
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
