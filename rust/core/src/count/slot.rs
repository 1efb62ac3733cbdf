//! One interval of one worker: written by the worker alone, read by the collector.

use super::counter::{Counter, Counts, MODE_COUNTERS};
use super::lines::Lines;
use super::log_linear::{BUCKETS, bucket};
use super::sum::Sum;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Round-trip times of packets, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// All added: at 100 Mpps and a second each, 64 bits would hold three minutes.
    pub sum_ns: u128,
    /// The smallest; `u64::MAX` when there was none.
    pub min_ns: u64,
    /// The largest; 0 when there was none.
    pub max_ns: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { count: 0, sum_ns: 0, min_ns: u64::MAX, max_ns: 0 }
    }
}

impl Latency {
    /// Takes in that so many packets, one at least, took so long.
    pub fn record(&mut self, ns: u64, packets: u64) {
        let sum_ns = u128::from(ns) * u128::from(packets);
        *self += &Self { count: packets, sum_ns, min_ns: ns, max_ns: ns };
    }

    /// The mean, `None` when there was nothing.
    #[must_use]
    pub fn mean_ns(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_ns as f64 / self.count as f64)
    }
}

impl std::ops::AddAssign<&Self> for Latency {
    fn add_assign(&mut self, other: &Self) {
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }
}

/// What one worker counted in one interval. Plain loads and stores: there is one writer, and the
/// collector reads what no longer changes (see `board`). On cache lines of its own, as rings of a few slots of
/// several workers may be neighbours in memory.
#[repr(align(128))]
pub(crate) struct Slot {
    // worker: rw, collector: ro
    interval: AtomicU64,
    counts: [AtomicU64; Counter::ALL.len()],
    mode_counts: [AtomicU64; MODE_COUNTERS],
    latency_count: AtomicU64,
    latency_sum_ns: Sum,
    latency_min_ns: AtomicU64,
    latency_max_ns: AtomicU64,
    /// A receiver's round-trip times, by bucket; empty for others. 32 bits are enough, as an interval has no
    /// more packets than the sequence maps of all streams have numbers: 2^29 at most.
    buckets: Lines<AtomicU32, 32>,
}

/// Bytes of one interval of one worker.
pub const SLOT_BYTES: u64 = size_of::<Slot>() as u64;
/// Bytes more of one that receives.
pub const HISTOGRAM_BYTES: u64 = (BUCKETS * size_of::<AtomicU32>()).next_multiple_of(128) as u64;

impl Slot {
    pub(crate) fn new(receives: bool) -> Self {
        let buckets = if receives { BUCKETS } else { 0 };
        Self {
            interval: AtomicU64::new(u64::MAX),
            counts: [const { AtomicU64::new(0) }; Counter::ALL.len()],
            mode_counts: [const { AtomicU64::new(0) }; MODE_COUNTERS],
            latency_count: AtomicU64::new(0),
            latency_sum_ns: Sum::default(),
            latency_min_ns: AtomicU64::new(0),
            latency_max_ns: AtomicU64::new(0),
            buckets: Lines::new(buckets),
        }
    }

    /// Makes it the slot of `interval`, empty if it was that of an older one.
    pub(crate) fn enter(&self, interval: u64) {
        if self.interval.load(Relaxed) == interval {
            return;
        }
        for count in self.counts.iter().chain(&self.mode_counts) {
            count.store(0, Relaxed);
        }
        for bucket in self.used_buckets() {
            self.buckets.at(bucket).store(0, Relaxed);
        }
        let empty = Latency::default();
        self.latency_count.store(empty.count, Relaxed);
        self.latency_sum_ns.store(empty.sum_ns);
        self.latency_min_ns.store(empty.min_ns, Relaxed);
        self.latency_max_ns.store(empty.max_ns, Relaxed);
        self.interval.store(interval, Release);
    }

    /// Which interval's it is; `None`: of none so far.
    pub(crate) fn interval(&self) -> Option<u64> {
        Some(self.interval.load(Acquire)).filter(|interval| *interval != u64::MAX)
    }

    pub(crate) fn add(&self, counter: Counter, packets: u64) {
        let count = &self.counts[counter as usize];
        count.store(count.load(Relaxed) + packets, Relaxed);
    }

    /// The same for the counter of a mode with this index.
    pub(crate) fn add_mode(&self, index: usize, packets: u64) {
        let count = &self.mode_counts[index];
        count.store(count.load(Relaxed) + packets, Relaxed);
    }

    /// Counts packets with a round-trip time in the histogram; [`Slot::add_latency`] must follow for the
    /// same packets.
    #[inline]
    pub(crate) fn record(&self, ns: u64, packets: u32) {
        if let Some(count) = self.buckets.get(usize::from(bucket(ns))) {
            count.store(count.load(Relaxed) + packets, Relaxed);
        }
    }

    /// Calls `each` with every bucket in use and what it counted.
    pub(crate) fn for_each_bucket(&self, mut each: impl FnMut(usize, u32)) {
        for bucket in self.used_buckets() {
            each(bucket, self.buckets.at(bucket).load(Relaxed));
        }
    }

    /// Those between the smallest and the greatest time: all others are 0.
    fn used_buckets(&self) -> std::ops::Range<usize> {
        let latency = self.latency();
        if latency.count == 0 || self.buckets.get(0).is_none() {
            return 0..0;
        }
        usize::from(bucket(latency.min_ns))..usize::from(bucket(latency.max_ns)) + 1
    }

    pub(crate) fn add_latency(&self, more: &Latency) {
        let mut latency = self.latency();
        latency += more;
        self.latency_count.store(latency.count, Relaxed);
        self.latency_sum_ns.store(latency.sum_ns);
        self.latency_min_ns.store(latency.min_ns, Relaxed);
        self.latency_max_ns.store(latency.max_ns, Relaxed);
    }

    fn latency(&self) -> Latency {
        Latency {
            count: self.latency_count.load(Relaxed),
            sum_ns: self.latency_sum_ns.load(),
            min_ns: self.latency_min_ns.load(Relaxed),
            max_ns: self.latency_max_ns.load(Relaxed),
        }
    }

    /// Whether it holds `interval`.
    pub(crate) fn is_of(&self, interval: u64) -> bool {
        self.interval.load(Acquire) == interval
    }

    /// What it holds of `interval`; `None` when the worker counted nothing in it.
    pub(crate) fn read(&self, interval: u64) -> Option<(Counts, Latency)> {
        if !self.is_of(interval) {
            return None;
        }
        let mut counts = Counts::default();
        for (counter, count) in Counter::ALL.iter().zip(&self.counts) {
            counts[*counter] = count.load(Relaxed);
        }
        for (total, count) in counts.mode.iter_mut().zip(&self.mode_counts) {
            *total = count.load(Relaxed);
        }
        Some((counts, self.latency()))
    }
}
