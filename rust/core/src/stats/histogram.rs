//! How often which latency occurred: log-linear buckets, 128 to each power of two.
//!
//! A bucket is at most 1/128 of its values wide, and its middle stands for it: the error is below
//! 0.4 %. Below 256 ns every nanosecond has a bucket of its own.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SUB_BITS: u32 = 7;
/// Larger values count as the largest: 17 s.
const MAX_NS: u64 = (1 << 34) - 1;
const BUCKETS: usize = bucket(MAX_NS) + 1;

#[expect(clippy::cast_possible_truncation, reason = "a bucket's number, not above BUCKETS")]
const fn bucket(ns: u64) -> usize {
    let shift = (ns | 0xff).ilog2() - SUB_BITS;
    (((shift as u64) << SUB_BITS) + (ns >> shift)) as usize
}

/// The middle of a bucket, in ns.
fn middle_ns(bucket: usize) -> f64 {
    let shift = (bucket >> SUB_BITS).saturating_sub(1);
    let low = ((bucket - (shift << SUB_BITS)) << shift) as f64;
    let width = (1u64 << shift) as f64;
    low + (width - 1.0) / 2.0
}

/// A histogram with one writer. Plain loads and stores, as in a slot.
pub(super) struct Recording {
    // worker: rw, collector: ro once the worker has stopped
    buckets: Box<[AtomicU64]>,
}

impl Recording {
    pub(super) fn new() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(super) fn record(&self, ns: u64) {
        let count = &self.buckets[bucket(ns.min(MAX_NS))];
        count.store(count.load(Relaxed) + 1, Relaxed);
    }
}

/// The histograms of all receivers of a run, added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    buckets: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, recording: &Recording) {
        for (sum, count) in self.buckets.iter_mut().zip(&recording.buckets) {
            let count = count.load(Relaxed);
            *sum += count;
            self.total += count;
        }
    }

    /// The latency in ns that a share of `quantile` of all packets did not exceed, to within 0.4 %;
    /// `None` when there were none.
    #[must_use]
    pub fn quantile_ns(&self, quantile: f64) -> Option<f64> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of a share")]
        let rank = ((quantile * self.total as f64).ceil() as u64).clamp(1, self.total.max(1));
        let mut below = 0;
        let found = self.buckets.iter().position(|count| {
            below += count;
            below >= rank
        });
        found.map(middle_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn histogram(values: &[u64]) -> Histogram {
        let recording = Recording::new();
        for value in values {
            recording.record(*value);
        }
        let mut histogram = Histogram::default();
        histogram.add(&recording);
        histogram
    }

    proptest! {
        #[test]
        fn any_quantile_is_right_to_within_its_error(
            mut values in proptest::collection::vec(0..10_000_000_000u64, 1..200), per_mille in 1..=1000u32
        ) {
            let quantile = f64::from(per_mille) / 1000.0;
            let found = histogram(&values).quantile_ns(quantile).unwrap();
            values.sort_unstable();
            let rank = (values.len() * per_mille as usize).div_ceil(1000).max(1);
            let exact = values[rank - 1] as f64;
            prop_assert!((found - exact).abs() <= exact * 0.004, "{found} for {exact}");
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut last = 0;
        for ns in 0..100_000 {
            assert!(bucket(ns) == last || bucket(ns) == last + 1, "{ns}");
            last = bucket(ns);
        }
        assert_eq!(histogram(&[255]).quantile_ns(1.0), Some(255.0));
    }

    #[test]
    fn nothing_has_no_quantile_and_too_much_is_the_largest() {
        assert_eq!(histogram(&[]).quantile_ns(0.5), None);
        let largest = histogram(&[u64::MAX]).quantile_ns(0.5).unwrap();
        assert!((1.6e10..1.8e10).contains(&largest));
    }
}
