//! What one worker counted, by interval: written by the worker alone, read by the collector.
//!
//! An open interval has a slot with its counters, and with a histogram of round-trip times where packets are
//! received. Most of a histogram is empty, so it consists of parts, one for each power of two, which are added
//! when there is a time for them. Slots and parts come from a stock and return to it when their interval
//! has been read; what returned last is used first. So memory is only touched for as many intervals as were ever
//! open at once: about 20 of 1 ms each while nothing is lost, of 2048 that may be.

use super::counter::{Counter, Counts, MODE_COUNTERS};
use super::lines::Lines;
use super::log_linear::{BUCKETS, OCTAVE, bucket};
use std::ops::Range;
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

    #[expect(clippy::cast_possible_truncation, reason = "the upper and the lower half")]
    fn to_words(self) -> [u64; LATENCY_WORDS] {
        let Self { count, sum_ns, min_ns, max_ns } = self;
        [count, (sum_ns >> 64) as u64, sum_ns as u64, min_ns, max_ns]
    }

    fn from_words([count, upper, lower, min_ns, max_ns]: [u64; LATENCY_WORDS]) -> Self {
        Self { count, sum_ns: u128::from(upper) << 64 | u128::from(lower), min_ns, max_ns }
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

/// Words of a slot: the number of its interval, from 1 on; its counters; those of the mode; its [`Latency`].
const WORDS: usize = (LATENCY + LATENCY_WORDS).next_multiple_of(16);
const COUNTS: usize = 1;
const MODE_COUNTS: usize = COUNTS + Counter::ALL.len();
const LATENCY: usize = MODE_COUNTS + MODE_COUNTERS;
const LATENCY_WORDS: usize = 5;

/// Parts of a whole histogram, and how many of them a slot has room for.
const OCTAVES: usize = BUCKETS.div_ceil(OCTAVE);
const PARTS: usize = OCTAVES.next_multiple_of(32);

/// Intervals whose memory is touched before a worker starts: more than are open at once while all packets come
/// back soon. A lost packet keeps its interval open for longer. Then more are needed, and the first time that
/// a slot is used the worker waits for its page, a microsecond for 8 slots or 16 parts.
const READY: usize = 64;
/// Parts of a histogram that are touched for each of them.
const READY_PARTS: usize = 4;

/// Bytes of an open interval of one worker.
pub const SLOT_BYTES: u64 = (WORDS * size_of::<u64>() + 2 * size_of::<u32>()) as u64;
/// Further bytes of one that receives, with all parts of its histogram.
pub const HISTOGRAM_BYTES: u64 = ((OCTAVES * (OCTAVE + 1) + PARTS) * size_of::<u32>()) as u64;

/// The intervals of one worker. Plain loads and stores: there is one writer, and the collector reads what
/// does not change any more (see `board`).
pub(crate) struct Slots {
    // All of them: worker: rw, collector: ro
    /// By interval: the number of its slot; 0: none.
    ring: Lines<AtomicU32>,
    /// By slot.
    words: Lines<AtomicU64>,
    /// A receiver's, by slot and power of two: the number of the part of the histogram; 0: none.
    parts: Lines<AtomicU32>,
    /// By part: a count for each of its buckets. 32 bits are enough, as an interval has no more packets than
    /// the sequence maps of all streams have numbers: 2^29 at most.
    buckets: Lines<AtomicU32>,
    mask: u64,
}

/// What is not in use of a worker's [`Slots`]. The worker alone has it.
pub(crate) struct Stock {
    slots: Numbers,
    parts: Numbers,
}

/// Numbers of slots or of parts, from 1 on.
struct Numbers {
    /// The greatest one that was ever taken.
    last: u32,
    /// With room for all, so that it never allocates.
    returned: Vec<u32>,
}

impl Numbers {
    /// At most `most` are in use at once.
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
    /// For so many intervals at once, a power of two.
    pub(crate) fn new(intervals: u64, receives: bool) -> Self {
        let intervals = usize::try_from(intervals).unwrap_or(usize::MAX);
        let of_receiver = |len: usize| if receives { len } else { 0 };
        // Numbers begin at 1.
        let slots = intervals + 1;
        Self {
            ring: Lines::new(intervals),
            words: Lines::new(slots * WORDS),
            parts: Lines::new(of_receiver(slots * PARTS)),
            buckets: Lines::new(of_receiver((intervals * OCTAVES + 1) * OCTAVE)),
            mask: intervals as u64 - 1,
        }
    }

    /// For the worker that begins: all of them. Memory that it is sure to use is touched.
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

    /// The slot of `interval`, which may be its first use. It must be less than [`Slots::intervals`] after the
    /// first one that was not given back.
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

    /// Takes back what these intervals have: nobody reads them any more.
    pub(crate) fn give_back(&self, stock: &mut Stock, intervals: Range<u64>) {
        let Range { start, end } = intervals;
        // Beyond that each shares its place with a later one.
        for interval in start.max(end.saturating_sub(self.mask + 1))..end {
            let place = self.ring.at(self.index(interval));
            let number = place.load(Relaxed);
            if number == 0 {
                continue;
            }
            place.store(0, Relaxed);
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
        let numbers = self.ring.range(0..self.intervals()).iter().map(|place| place.load(Acquire));
        let first_word = |number| self.words.at(number as usize * WORDS).load(Acquire);
        numbers.filter(|number| *number != 0).map(|number| first_word(number) - 1).max()
    }

    pub(crate) fn add(&self, slot: usize, counter: Counter, packets: u64) {
        let count = self.words.at(slot * WORDS + COUNTS + counter as usize);
        count.store(count.load(Relaxed) + packets, Relaxed);
    }

    /// The same for the counter of a mode with this index.
    pub(crate) fn add_mode(&self, slot: usize, index: usize, packets: u64) {
        let counts = self.words.range(slot * WORDS + MODE_COUNTS..slot * WORDS + LATENCY);
        let count = &counts[index];
        count.store(count.load(Relaxed) + packets, Relaxed);
    }

    /// Counts packets with a round-trip time in the histogram; [`Slots::add_latency`] must follow for the
    /// same packets.
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
    fn add_part(&self, stock: &mut Stock, place: &AtomicU32) -> usize {
        let number = stock.parts.take();
        let part = number as usize;
        for bucket in self.buckets.range(part * OCTAVE..(part + 1) * OCTAVE) {
            bucket.store(0, Relaxed);
        }
        place.store(number, Relaxed);
        part
    }

    pub(crate) fn add_latency(&self, slot: usize, more: &Latency) {
        let mut latency = self.latency(slot);
        latency += more;
        self.store_latency(slot, latency);
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

    /// Parts of the histogram between the smallest and the greatest time: there are no others.
    fn octaves(&self, slot: usize) -> Range<usize> {
        let latency = self.latency(slot);
        if latency.count == 0 || !self.receives() {
            return 0..0;
        }
        let octave = |ns| usize::from(bucket(ns)) / OCTAVE;
        octave(latency.min_ns)..octave(latency.max_ns) + 1
    }

    /// The slot that `interval` has.
    fn find(&self, interval: u64) -> Option<usize> {
        let slot = self.ring.at(self.index(interval)).load(Acquire) as usize;
        // It is that of an earlier interval if the worker has not given that back yet.
        let is_its = self.words.at(slot * WORDS).load(Acquire) == interval + 1;
        (slot != 0 && is_its).then_some(slot)
    }

    /// What was counted in `interval`; `None` when nothing was.
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

    /// Calls `each` with the buckets of `interval` and their counts, some of which may be 0.
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
