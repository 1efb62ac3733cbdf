//! Histograms of times, in the buckets of [`crate::count::log_linear`].

use super::lines::Lines;
use super::log_linear::{BUCKETS, bucket, middle_ns};
use super::slot::Slots;
use base64::Engine as _;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A histogram of a whole run with one writer. Plain loads and stores suffice, as in a slot.
pub(crate) struct Recording {
    // worker: rw, collector: ro once the worker has stopped
    buckets: Lines<AtomicU64>,
}

impl Default for Recording {
    fn default() -> Self {
        Self { buckets: Lines::new(BUCKETS) }
    }
}

impl Recording {
    #[inline]
    pub(crate) fn record(&self, ns: u64) {
        let count = self.buckets.at(usize::from(bucket(ns)));
        count.store(count.load(Relaxed) + 1, Relaxed);
    }
}

/// Times of packets, of one or several intervals and workers.
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
    pub(crate) fn add(&mut self, recording: &Recording) {
        for (bucket, count) in recording.buckets.range(0..BUCKETS).iter().enumerate() {
            self.add_bucket(bucket, count.load(Relaxed));
        }
    }

    /// Adds the histogram of `interval` in `slots`.
    pub(crate) fn add_interval(&mut self, slots: &Slots, interval: u64) {
        slots.for_each_bucket(interval, |bucket, count| self.add_bucket(bucket, u64::from(count)));
    }

    pub(super) fn add_bucket(&mut self, bucket: usize, count: u64) {
        self.buckets[bucket] += count;
        self.total += count;
    }

    /// Adds all counts of `more`.
    pub(crate) fn merge(&mut self, more: &Self) {
        for (bucket, count) in more.buckets.iter().enumerate() {
            self.add_bucket(bucket, *count);
        }
    }

    /// What was counted since this histogram was `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&earlier.buckets);
        let buckets = buckets.map(|(now, before)| now.saturating_sub(*before));
        Self { buckets: buckets.collect(), total: self.total.saturating_sub(earlier.total) }
    }

    /// The times from the smallest to the largest, on a scale that is about logarithmic, in `bars`
    /// equal parts: the number of packets in each. `None` without packets.
    #[must_use]
    pub fn bars(&self, bars: usize) -> Option<Vec<u64>> {
        let first = self.buckets.iter().position(|count| *count > 0)?;
        let last = self.buckets.iter().rposition(|count| *count > 0)?;
        let buckets = last - first + 1;
        let mut sums = vec![0; bars];
        if buckets < bars {
            // Each bucket is as wide as several bars.
            for (bar, sum) in sums.iter_mut().enumerate() {
                *sum = self.buckets[first + bar * buckets / bars];
            }
        } else {
            for (place, count) in self.buckets[first..=last].iter().enumerate() {
                if let Some(sum) = sums.get_mut(place * bars / buckets) {
                    *sum += count;
                }
            }
        }
        Some(sums)
    }

    pub(crate) fn clear(&mut self) {
        self.buckets.fill(0);
        self.total = 0;
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Number of times.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.total
    }

    /// Number of times below 2^`exponent` ns, exactly: a bucket begins at every power of two. At most
    /// 2^33 ns (8.6 s), because times from 2^34 ns on share a bucket with shorter ones.
    #[must_use]
    pub fn count_below_power(&self, exponent: u32) -> u64 {
        let end = usize::from(bucket(1 << exponent.min(33)));
        self.buckets[..end].iter().sum()
    }

    /// The `quantile` (0 to 1) of all times in ns, to within 0.8 %; `None` without packets.
    #[must_use]
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        // Else 7 % of 100 is 7.000000000000001, which would be the 8th.
        const ROUNDED_DOWN: f64 = 1.0 - 4.0 * f64::EPSILON;
        if self.total == 0 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the total"
        )]
        let rank =
            ((quantile * self.total as f64 * ROUNDED_DOWN).ceil() as u64).clamp(1, self.total);
        let mut below = 0;
        (0..).zip(&self.buckets).find_map(|(bucket, count)| {
            below += count;
            (below >= rank).then(|| middle_ns(bucket))
        })
    }

    /// The histogram in the exchange format of all `HdrHistogram` implementations: V2, compressed,
    /// base64 (RFC 4648), values in ns with three significant digits. Other tools can merge the
    /// histograms of several runs.
    #[must_use]
    pub fn to_hdr(&self) -> String {
        let mut bytes = Vec::new();
        // Cannot fail: three significant digits are valid, and the histogram resizes itself.
        if let Ok(mut histogram) = hdrhistogram::Histogram::<u64>::new(3) {
            for (bucket, count) in (0..).zip(&self.buckets) {
                if *count > 0 {
                    histogram.record_n(middle_ns(bucket), *count).unwrap_or_default();
                }
            }
            V2DeflateSerializer::new().serialize(&histogram, &mut bytes).unwrap_or_default();
        }
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn histogram(values: &[u64]) -> Histogram {
        let recording = Recording::default();
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
            let exact = values[rank - 1];
            prop_assert!(found.abs_diff(exact) as f64 <= exact as f64 * 0.008, "{found} for {exact}");
        }

        #[test]
        fn the_hdrhistogram_crate_reads_it(values in proptest::collection::vec(0..10_000_000_000u64, 0..200)) {
            let ours = histogram(&values);
            // The prefix by which implementations in other languages recognise the format.
            prop_assert!(ours.to_hdr().starts_with("HISTFAAA"));
            let bytes = base64::engine::general_purpose::STANDARD.decode(ours.to_hdr()).unwrap();
            let mut reader = hdrhistogram::serialization::Deserializer::new();
            let theirs: hdrhistogram::Histogram<u64> = reader.deserialize(&mut &bytes[..]).unwrap();
            prop_assert_eq!(theirs.len(), values.len() as u64);
            let mut again = theirs.clone();
            again.add(&theirs).unwrap();
            prop_assert_eq!(again.len(), 2 * values.len() as u64);
            if let Some(p50) = ours.quantile_ns(0.5) {
                let theirs = theirs.value_at_quantile(0.5);
                prop_assert!(theirs.abs_diff(p50) as f64 <= p50 as f64 * 0.001 + 1.0);
            }
        }
    }

    #[test]
    fn times_below_a_power_of_two_are_counted_exactly() {
        let all = histogram(&[1, 255, 256, 257, 511, 512, 8_589_934_591, 8_589_934_592, u64::MAX]);
        assert_eq!([8, 9, 10, 33].map(|exponent| all.count_below_power(exponent)), [2, 5, 6, 7]);
        assert_eq!(all.count(), 9);
    }

    #[test]
    fn what_came_since_is_the_difference() {
        let (early, late) = (histogram(&[5, 900]), histogram(&[5, 900, 900, 70_000]));
        assert_eq!(late.since(&early), histogram(&[900, 70_000]));
        assert!(late.since(&late).is_empty());
    }

    #[test]
    fn bars_go_from_the_smallest_to_the_largest() {
        let spread = histogram(&[10, 10, 40, 127]);
        // 118 buckets of 1 ns.
        assert_eq!(spread.bars(4), Some(vec![2, 1, 0, 1]));
        let all = spread.bars(1000).unwrap();
        assert_eq!((all.len(), all[0], all[999]), (1000, 2, 1));
        assert_eq!(histogram(&[3]).bars(3), Some(vec![1; 3]));
        assert_eq!(histogram(&[]).bars(3), None);
        assert_eq!(spread.bars(0), Some(vec![]));
    }

    #[test]
    fn nothing_has_no_quantile_and_too_much_is_the_largest() {
        assert_eq!(histogram(&[]).quantile_ns(0.5), None);
        let largest = histogram(&[u64::MAX]).quantile_ns(0.5).unwrap();
        assert!((16_000_000_000..18_000_000_000).contains(&largest));
    }
}
