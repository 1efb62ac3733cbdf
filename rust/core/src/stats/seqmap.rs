//! Which sequence numbers have arrived: one bit each, over a sliding window.
//!
//! A word holds 32 bits of a block of sequence numbers and, above them, the number of the block.
//! A word of another block counts as empty, so nothing ever has to be cleared. Senders are held
//! back before they reach numbers that would displace others still in use (see `board`).

use super::lines::Lines;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const BITS: u64 = 32;

/// The sequence numbers of one stream that one receiver has seen.
pub struct SeqMap {
    // receiver: rw, collector: ro
    words: Lines<AtomicU64, 16>,
    mask: u64,
}

impl SeqMap {
    /// Remembers at least the last `window` sequence numbers.
    #[must_use]
    pub fn new(window: u64) -> Self {
        let words = window.div_ceil(BITS).next_power_of_two().max(2);
        let len = usize::try_from(words).unwrap_or(usize::MAX);
        Self { words: Lines::new(len), mask: words - 1 }
    }

    fn word(&self, block: u64) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "an index into what is in memory")]
        let at = (block & self.mask) as usize;
        self.words.at(at)
    }

    /// Notes the arrival of `seq`: whether it is the first one. For the one thread that owns this
    /// map; numbers more than the window below the highest one must not come any more.
    #[must_use]
    pub fn insert(&self, seq: u64) -> bool {
        let block = seq / BITS;
        let bits = self.bits(block);
        let bit = 1 << (seq % BITS);
        self.word(block).store(u64::from(low(block)) << 32 | bits | bit, Relaxed);
        bits & bit == 0
    }

    /// Whether `seq` is known to have arrived.
    #[must_use]
    pub fn contains(&self, seq: u64) -> bool {
        self.bits(seq / BITS) & 1 << (seq % BITS) != 0
    }

    /// The bits of `block`; none when the word holds another one.
    fn bits(&self, block: u64) -> u64 {
        let word = self.word(block).load(Relaxed);
        if low(word >> 32) == low(block) { word & u64::from(u32::MAX) } else { 0 }
    }
}

/// Goes through `seqs` in their order: calls `each` with whether at least one of `maps` has them,
/// and how many numbers in a row that is. Numbers in a row may come in several calls.
pub fn for_each_stretch<'a>(
    maps: &(impl Iterator<Item = &'a SeqMap> + Clone),
    seqs: Range<u64>,
    mut each: impl FnMut(bool, u64),
) {
    let mut next = seqs.start;
    while next < seqs.end {
        let block = next / BITS;
        let end = seqs.end.min((block + 1) * BITS);
        let mut bits = maps.clone().fold(0, |bits, map| bits | map.bits(block)) >> (next % BITS);
        while next < end {
            let arrived = bits & 1 == 1;
            let same =
                u64::from(if arrived { bits.trailing_ones() } else { bits.trailing_zeros() });
            let len = same.min(end - next);
            each(arrived, len);
            next += len;
            bits >>= len % 64;
        }
    }
}

/// How many different numbers of `seqs` at least one of `maps` has.
pub fn count_arrived<'a>(
    maps: &(impl Iterator<Item = &'a SeqMap> + Clone),
    seqs: Range<u64>,
) -> u64 {
    let mut count = 0;
    for_each_stretch(maps, seqs, |arrived, len| count += if arrived { len } else { 0 });
    count
}

#[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are what a word has room for")]
fn low(block: u64) -> u32 {
    block as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn it_is_a_set(seqs in proptest::collection::vec(0..3000u64, 0..500), base in 0..1u64 << 47) {
            let map = SeqMap::new(3032);
            let mut set = HashSet::new();
            for seq in seqs {
                prop_assert_eq!(map.insert(base + seq), set.insert(seq));
            }
            for seq in 0..3000 {
                prop_assert_eq!(map.contains(base + seq), set.contains(&seq));
            }
            prop_assert_eq!(count_arrived(&[&map].into_iter(), base..base + 3000), set.len() as u64);
            let part = set.iter().filter(|seq| (100..1777).contains(*seq)).count();
            prop_assert_eq!(
                count_arrived(&[&map].into_iter(), base + 100..base + 1777),
                part as u64
            );
            let mut next = base;
            for_each_stretch(&[&map].into_iter(), base..base + 3000, |arrived, len| {
                assert!(len > 0);
                assert!((next..next + len).all(|seq| map.contains(seq) == arrived));
                next += len;
            });
            prop_assert_eq!(next, base + 3000);
        }
    }

    #[test]
    fn several_maps_are_one_set() {
        let (a, b) = (SeqMap::new(100), SeqMap::new(100));
        for (map, seq) in [(&a, 1), (&a, 2), (&b, 2), (&b, 70)] {
            assert!(map.insert(seq));
        }
        assert_eq!(count_arrived(&[&a, &b].into_iter(), 0..71), 3);
        assert_eq!(count_arrived(&[&a, &b].into_iter(), 2..70), 1);
        assert_eq!(count_arrived(&[&a, &b].into_iter(), 5..5), 0);
    }

    #[test]
    fn the_window_slides() {
        let map = SeqMap::new(64);
        assert!(map.insert(0));
        assert!(map.insert(64));
        assert!(!map.contains(0));
        assert!(!map.insert(64));
        assert!(map.insert(65));
        assert_eq!(count_arrived(&[&map].into_iter(), 0..100), 2);
    }
}
