//! The counters of one worker, by interval: written by the worker alone, read by the collector.
//!
//! Each open interval has a slot with its counters and, on receivers, a histogram of round-trip
//! times. Most buckets of a histogram stay empty, so it consists of parts, one per power of two,
//! that are allocated on first use. Slots and parts come from a free list (`Stock`) and return to it
//! when their interval has been read; the one returned last is reused first. So the memory touched
//! is that of the intervals that were ever open at once: about 20 intervals of 1 ms each while
//! nothing is lost, out of a capacity of 2048.

use super::counter::{Counter, Counts, MODE_COUNTERS};
use super::histogram::Histogram;
use super::lines::Lines;
use super::log_linear::{BUCKETS, OCTAVE, bucket};
use super::polls::{self, Polls};
use std::ops::Range;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Round-trip times of packets, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Number of packets.
    pub count: u64,
    /// Sum of all times. 64 bits would overflow after three minutes of 100 Mpps at a second each.
    pub sum_ns: u128,
    /// The smallest time; `u64::MAX` without packets.
    pub min_ns: u64,
    /// The largest time; 0 without packets.
    pub max_ns: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { count: 0, sum_ns: 0, min_ns: u64::MAX, max_ns: 0 }
    }
}

impl Latency {
    /// Adds `packets` packets, at least one, with a round-trip time of `ns` each.
    pub fn record(&mut self, ns: u64, packets: u64) {
        let sum_ns = u128::from(ns) * u128::from(packets);
        *self += &Self { count: packets, sum_ns, min_ns: ns, max_ns: ns };
    }

    #[expect(clippy::cast_possible_truncation, reason = "the upper and the lower half")]
    fn to_words(self) -> [u64; LATENCY_WORDS] {
        let Self { count, sum_ns, min_ns, max_ns } = self;
        [count, (sum_ns >> 64) as u64, sum_ns as u64, min_ns, max_ns]
    }

    fn from_words([count, upper, lower, min_ns, max_ns]: [u64; LATENCY_WORDS]) -> Self {
        Self { count, sum_ns: u128::from(upper) << 64 | u128::from(lower), min_ns, max_ns }
    }

    /// The `quantile` (0 to 1) of `histogram`, which counts the same packets, in ns; `None` without packets.
    /// Never beyond the exact minimum and maximum, as the middle of a bucket may be.
    #[must_use]
    pub fn quantile_ns(&self, histogram: &Histogram, quantile: f64) -> Option<u64> {
        let middle_ns = histogram.quantile_ns(quantile)?;
        (self.count > 0).then(|| middle_ns.max(self.min_ns).min(self.max_ns))
    }

    /// The mean; `None` without packets.
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

/// Words of a slot: the interval's number plus 1, the counters, the mode's counters, the [`Latency`],
/// the [`Polls`]. The slots of a worker are packed: all of them have the same writer.
const WORDS: usize = POLLS + polls::WORDS;
const COUNTS: usize = 1;
const MODE_COUNTS: usize = COUNTS + Counter::ALL.len();
const LATENCY: usize = MODE_COUNTS + MODE_COUNTERS;
const LATENCY_WORDS: usize = 5;
const POLLS: usize = LATENCY + LATENCY_WORDS;

// Parts of a full histogram, and the number of entries a slot has for them.
const OCTAVES: usize = BUCKETS.div_ceil(OCTAVE);
const PARTS: usize = OCTAVES.next_multiple_of(32);

/// Number of intervals whose memory is touched before a worker starts: more than are open at once
/// while all packets come back soon. A lost packet keeps its interval open for longer. Then more are
/// needed, and the first use of a slot costs the worker a page fault: a microsecond for 8 slots or
/// 16 parts.
const READY: usize = 64;
/// Histogram parts that are touched for each of these intervals.
const READY_PARTS: usize = 4;

/// Bytes that an open interval takes on any worker.
pub const SLOT_BYTES: u64 = (WORDS * size_of::<u64>() + 2 * size_of::<u32>()) as u64;
/// Additional bytes on a receiver, with all parts of the histogram.
pub const HISTOGRAM_BYTES: u64 = ((OCTAVES * (OCTAVE + 1) + PARTS) * size_of::<u32>()) as u64;

/// The intervals of one worker. Plain loads and stores suffice: there is one writer, and the collector
/// reads an interval only when it does not change any more (see `board`).
pub(crate) struct Slots {
    // All fields: worker: rw, collector: ro
    /// By interval modulo the capacity: the number of its slot; 0: none.
    ring: Lines<AtomicU32>,
    /// By slot.
    words: Lines<AtomicU64>,
    /// Receivers only, by slot and power of two: the number of the histogram part; 0: none.
    parts: Lines<AtomicU32>,
    /// By part: a count for each of its buckets. 32 bits are enough: an interval has no more packets
    /// than the sequence maps of all streams together have numbers, which is at most 2^29.
    buckets: Lines<AtomicU32>,
    mask: u64,
}

/// The unused slots and histogram parts of a worker's [`Slots`]. Only the worker has access to it.
pub(crate) struct Stock {
    slots: Numbers,
    parts: Numbers,
}

/// The free list of slots or of parts, by their numbers, which start at 1.
struct Numbers {
    /// The greatest number ever taken.
    last: u32,
    /// Has capacity for all numbers, so it never allocates.
    returned: Vec<u32>,
}

impl Numbers {
    /// A free list of which at most `most` numbers are in use at once.
    fn new(most: usize) -> Self {
        Self { last: 0, returned: Vec::with_capacity(most) }
    }

    fn take(&mut self) -> u32 {
        self.returned.pop().unwrap_or_else(|| {
            self.last += 1;
            self.last
        })
    }

    fn give_back(&mut self, number: u32) {
        self.returned.push(number);
    }
}

impl Slots {
    /// Slots for `intervals` open intervals (a power of two), with histograms if the worker `receives`.
    pub(crate) fn new(intervals: u64, receives: bool) -> Self {
        let intervals = usize::try_from(intervals).unwrap_or(usize::MAX);
        let of_receiver = |len: usize| if receives { len } else { 0 };
        // Numbers start at 1.
        let slots = intervals + 1;
        Self {
            ring: Lines::new(intervals),
            words: Lines::new(slots * WORDS),
            parts: Lines::new(of_receiver(slots * PARTS)),
            buckets: Lines::new(of_receiver((intervals * OCTAVES + 1) * OCTAVE)),
            mask: intervals as u64 - 1,
        }
    }

    /// The full stock, for a worker that starts. Touches the memory that the worker will surely use.
    pub(crate) fn stock(&self) -> Stock {
        let intervals = self.intervals();
        let ready = READY.min(intervals) + 1;
        self.ring.touch(0..intervals);
        self.words.touch(0..ready * WORDS);
        self.parts.touch(0..ready * PARTS);
        self.buckets.touch(0..ready * READY_PARTS * OCTAVE);
        let parts = if self.receives() { intervals * OCTAVES } else { 0 };
        Stock { slots: Numbers::new(intervals), parts: Numbers::new(parts) }
    }

    fn intervals(&self) -> usize {
        self.index(u64::MAX) + 1
    }

    fn receives(&self) -> bool {
        self.parts.get(0).is_some()
    }

    #[inline]
    fn index(&self, interval: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "an index into what is in memory")]
        let index = (interval & self.mask) as usize;
        index
    }

    /// The slot of `interval`, allocated on first use. `interval` must be less than
    /// [`Slots::intervals`] after the first interval that was not given back.
    #[inline]
    pub(crate) fn enter(&self, stock: &mut Stock, interval: u64) -> usize {
        match self.ring.at(self.index(interval)).load(Relaxed) {
            0 => self.open(stock, interval),
            slot => slot as usize,
        }
    }

    #[cold]
    fn open(&self, stock: &mut Stock, interval: u64) -> usize {
        let number = stock.slots.take();
        let slot = number as usize;
        for word in self.words.range(slot * WORDS..(slot + 1) * WORDS) {
            word.store(0, Relaxed);
        }
        self.store_latency(slot, Latency::default());
        self.words.at(slot * WORDS).store(interval + 1, Release);
        self.ring.at(self.index(interval)).store(number, Release);
        slot
    }

    /// Returns the slots and parts of `intervals` to the stock. Nobody may read these intervals any
    /// more.
    pub(crate) fn give_back(&self, stock: &mut Stock, intervals: Range<u64>) {
        let Range { start, end } = intervals;
        // Earlier intervals share their ring entries with later ones of the range.
        for interval in start.max(end.saturating_sub(self.mask + 1))..end {
            let entry = self.ring.at(self.index(interval));
            let number = entry.load(Relaxed);
            if number == 0 {
                continue;
            }
            entry.store(0, Relaxed);
            stock.slots.give_back(number);
            if !self.receives() {
                continue;
            }
            let slot = number as usize;
            for part in self.parts.range(slot * PARTS..(slot + 1) * PARTS) {
                let number = part.load(Relaxed);
                if number != 0 {
                    stock.parts.give_back(number);
                    part.store(0, Relaxed);
                }
            }
        }
    }

    /// The latest interval that has a slot.
    pub(crate) fn last_interval(&self) -> Option<u64> {
        let numbers = self.ring.range(0..self.intervals()).iter().map(|entry| entry.load(Acquire));
        let first_word = |number| self.words.at(number as usize * WORDS).load(Acquire);
        numbers.filter(|number| *number != 0).map(|number| first_word(number) - 1).max()
    }

    pub(crate) fn add(&self, slot: usize, counter: Counter, packets: u64) {
        let count = self.words.at(slot * WORDS + COUNTS + counter as usize);
        count.store(count.load(Relaxed) + packets, Relaxed);
    }

    /// Like [`Slots::add`], for the mode's counter with this index.
    pub(crate) fn add_mode(&self, slot: usize, index: usize, packets: u64) {
        let counts = self.words.range(slot * WORDS + MODE_COUNTS..slot * WORDS + LATENCY);
        let count = &counts[index];
        count.store(count.load(Relaxed) + packets, Relaxed);
    }

    /// Adds packets with a round-trip time of `ns` to the histogram. Call [`Slots::add_latency`] for
    /// the same packets.
    #[inline]
    pub(crate) fn record(&self, stock: &mut Stock, slot: usize, ns: u64, packets: u32) {
        let bucket = usize::from(bucket(ns));
        let Some(part) = self.parts.get(slot * PARTS + bucket / OCTAVE) else { return };
        let part = match part.load(Relaxed) {
            0 => self.add_part(stock, part),
            number => number as usize,
        };
        let count = self.buckets.at(part * OCTAVE + bucket % OCTAVE);
        count.store(count.load(Relaxed) + packets, Relaxed);
    }

    #[cold]
    fn add_part(&self, stock: &mut Stock, entry: &AtomicU32) -> usize {
        let number = stock.parts.take();
        let part = number as usize;
        for bucket in self.buckets.range(part * OCTAVE..(part + 1) * OCTAVE) {
            bucket.store(0, Relaxed);
        }
        entry.store(number, Relaxed);
        part
    }

    pub(crate) fn add_latency(&self, slot: usize, more: &Latency) {
        let mut latency = self.latency(slot);
        latency += more;
        self.store_latency(slot, latency);
    }

    pub(crate) fn add_polls(&self, slot: usize, more: &Polls) {
        let mut polls = self.polls_in(slot);
        polls += more;
        for (word, value) in self.polls_words(slot).iter().zip(polls.to_words()) {
            word.store(value, Relaxed);
        }
    }

    fn polls_words(&self, slot: usize) -> &[AtomicU64] {
        let start = slot * WORDS + POLLS;
        self.words.range(start..start + polls::WORDS)
    }

    fn polls_in(&self, slot: usize) -> Polls {
        let words = self.polls_words(slot);
        Polls::from_words(std::array::from_fn(|index| words[index].load(Relaxed)))
    }

    /// What the polls in `interval` found.
    pub(crate) fn polls(&self, interval: u64) -> Polls {
        self.find(interval).map(|slot| self.polls_in(slot)).unwrap_or_default()
    }

    fn latency_words(&self, slot: usize) -> &[AtomicU64] {
        let start = slot * WORDS + LATENCY;
        self.words.range(start..start + LATENCY_WORDS)
    }

    fn store_latency(&self, slot: usize, latency: Latency) {
        for (word, value) in self.latency_words(slot).iter().zip(latency.to_words()) {
            word.store(value, Relaxed);
        }
    }

    fn latency(&self, slot: usize) -> Latency {
        let words = self.latency_words(slot);
        Latency::from_words(std::array::from_fn(|index| words[index].load(Relaxed)))
    }

    /// The histogram parts from the smallest to the greatest time; none exist outside of this range.
    fn octaves(&self, slot: usize) -> Range<usize> {
        let latency = self.latency(slot);
        if latency.count == 0 || !self.receives() {
            return 0..0;
        }
        let octave = |ns| usize::from(bucket(ns)) / OCTAVE;
        octave(latency.min_ns)..octave(latency.max_ns) + 1
    }

    /// The slot of `interval`; `None` if it has none.
    fn find(&self, interval: u64) -> Option<usize> {
        let slot = self.ring.at(self.index(interval)).load(Acquire) as usize;
        // The ring entry is still an earlier interval's if the worker has not given that back yet.
        let is_same = self.words.at(slot * WORDS).load(Acquire) == interval + 1;
        (slot != 0 && is_same).then_some(slot)
    }

    /// What was counted in `interval`; `None` if nothing was.
    pub(crate) fn read(&self, interval: u64) -> Option<(Counts, Latency)> {
        let slot = self.find(interval)?;
        let mut counts = Counts::default();
        let start = slot * WORDS + COUNTS;
        let words = self.words.range(start..start + Counter::ALL.len());
        for (counter, count) in Counter::ALL.iter().zip(words) {
            counts[*counter] = count.load(Relaxed);
        }
        let words = self.words.range(slot * WORDS + MODE_COUNTS..slot * WORDS + LATENCY);
        for (total, count) in counts.mode.iter_mut().zip(words) {
            *total = count.load(Relaxed);
        }
        Some((counts, self.latency(slot)))
    }

    /// Calls `each` with every allocated bucket of `interval` and its count, which may be 0.
    pub(crate) fn for_each_bucket(&self, interval: u64, mut each: impl FnMut(usize, u32)) {
        let Some(slot) = self.find(interval) else { return };
        for octave in self.octaves(slot) {
            let part = self.parts.at(slot * PARTS + octave).load(Relaxed) as usize;
            if part == 0 {
                continue;
            }
            let counts = self.buckets.range(part * OCTAVE..(part + 1) * OCTAVE);
            for (bucket, count) in (octave * OCTAVE..).zip(counts) {
                each(bucket, count.load(Relaxed));
            }
        }
    }
}

#[cfg(test)]
mod tests;
