//! Which sequence numbers have arrived: one bit each, over a sliding window.
//!
//! A word holds 32 bits for a block of 32 sequence numbers and, in its upper half, the turn: how many
//! times the numbers have wrapped around the map. A word of an earlier turn counts as empty, so
//! nothing ever has to be cleared. Senders are held back before they reach numbers that would displace
//! others still in use (see `board`). Turns wrap after 2^32: a word untouched for that long would pass
//! for a current one. A map holds what is sent in at least half a second, so that takes at
//! least 68 years.

use super::lines::Lines;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const BITS: u64 = 32;

/// The sequence numbers of one stream that one or several receivers have seen.
pub struct SeqMap {
    // receiver: rw, collector and other receivers: ro; or all receivers: rw, by insert_shared() alone
    words: Lines<AtomicU64>,
    mask: u64,
    /// Number of bits in `mask`.
    index_bits: u32,
}

impl SeqMap {
    /// A map that remembers at least the last `window` sequence numbers.
    #[must_use]
    pub fn new(window: u64) -> Self {
        let words = window.div_ceil(BITS).next_power_of_two().max(2);
        let len = usize::try_from(words).unwrap_or(usize::MAX);
        Self { words: Lines::new(len), mask: words - 1, index_bits: words.ilog2() }
    }

    /// Has the kernel provide the memory for these numbers (see [`Lines::touch`]).
    pub(crate) fn touch(&self, seqs: Range<u64>) {
        let words = self.mask + 1;
        let (start, end) = (seqs.start / BITS, seqs.end.div_ceil(BITS));
        if start < words {
            #[expect(clippy::cast_possible_truncation, reason = "indices into what is in memory")]
            self.words.touch(start as usize..end.min(words) as usize);
        }
    }

    fn word(&self, block: u64) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "an index into what is in memory")]
        let at = (block & self.mask) as usize;
        self.words.at(at)
    }

    /// The turn of `block`: its low 32 bits.
    fn turn(&self, block: u64) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the half of a word")]
        let turn = (block >> self.index_bits) as u32;
        turn
    }

    /// Inserts `seq`. Returns whether it is new. Only the thread that owns this map may call it, and
    /// not with numbers that are more than the window below the highest one.
    #[must_use]
    #[inline]
    pub fn insert(&self, seq: u64) -> bool {
        let block = seq / BITS;
        let bits = self.bits(block);
        let bit = 1 << (seq % BITS);
        if bits & bit != 0 {
            // Without a store: the next packet would have to wait for it before it can read the word.
            return false;
        }
        self.word(block).store(u64::from(self.turn(block)) << 32 | bits | bit, Relaxed);
        true
    }

    /// Like [`SeqMap::insert`], for a map that several threads write with this function only, and for
    /// any number. `None` if later numbers have displaced this one, so that it is unknown. Slow, because it
    /// is an atomic read-modify-write.
    #[must_use]
    #[cold]
    pub fn insert_shared(&self, seq: u64) -> Option<bool> {
        let (block, bit) = (seq / BITS, 1 << (seq % BITS));
        let turn = self.turn(block);
        let with_bit = |word| {
            let bits = bits_of(word, turn)?;
            Some(u64::from(turn) << 32 | bits | bit)
        };
        let before = self.word(block).fetch_update(Relaxed, Relaxed, with_bit).ok()?;
        bits_of(before, turn).map(|bits| bits & bit == 0)
    }

    /// Whether `seq` has arrived; `None` if later numbers have displaced it.
    #[must_use]
    pub fn contains(&self, seq: u64) -> Option<bool> {
        let block = seq / BITS;
        let bits = bits_of(self.word(block).load(Relaxed), self.turn(block));
        bits.map(|bits| bits & 1 << (seq % BITS) != 0)
    }

    /// One bit for each number of `block` that has arrived; 0 if the word holds another block.
    #[inline]
    pub(crate) fn bits(&self, block: u64) -> u64 {
        let word = self.word(block).load(Relaxed);
        if word >> 32 == u64::from(self.turn(block)) { word & u64::from(u32::MAX) } else { 0 }
    }
}

/// The bits of `word` if it is of `turn`, 0 if it is of an earlier one, `None` if of a later one.
fn bits_of(word: u64, turn: u32) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, reason = "the upper and the lower half")]
    let (found, bits) = ((word >> 32) as u32, word as u32);
    match found.wrapping_sub(turn) {
        0 => Some(u64::from(bits)),
        // Only a word that was never written has no bits, and its turn means nothing.
        later if bits > 0 && later < 1 << 31 => None,
        _ => Some(0),
    }
}

/// Splits `seqs` into runs of numbers that have all arrived or all not arrived, and calls `each` for
/// every run, in order, with whether it arrived and its length. Adjacent runs may be alike: runs end at
/// block boundaries. `bits` returns which numbers of a block have arrived, as [`SeqMap::bits`] does.
pub(crate) fn for_each_stretch(
    bits: impl Fn(u64) -> u64,
    seqs: Range<u64>,
    mut each: impl FnMut(bool, u64),
) {
    let mut next = seqs.start;
    while next < seqs.end {
        let block = next / BITS;
        let end = seqs.end.min((block + 1) * BITS);
        let mut bits = bits(block) >> (next % BITS);
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

/// How many numbers of `seqs` have arrived; `bits` as in [`for_each_stretch`].
pub(crate) fn count_arrived(bits: impl Fn(u64) -> u64, seqs: Range<u64>) -> u64 {
    let mut count = 0;
    for_each_stretch(bits, seqs, |arrived, len| count += if arrived { len } else { 0 });
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn it_is_a_set(
            seqs in proptest::collection::vec(0..3000u64, 0..500), base in 0..1u64 << 47, shared: bool
        ) {
            let map = SeqMap::new(3032);
            let mut set = HashSet::new();
            for seq in seqs {
                let first = if shared { map.insert_shared(base + seq) } else { Some(map.insert(base + seq)) };
                prop_assert_eq!(first, Some(set.insert(seq)));
            }
            for seq in 0..3000 {
                prop_assert_eq!(map.contains(base + seq), Some(set.contains(&seq)));
            }
            let bits = |block| map.bits(block);
            prop_assert_eq!(count_arrived(bits, base..base + 3000), set.len() as u64);
            let part = set.iter().filter(|seq| (100..1777).contains(*seq)).count();
            prop_assert_eq!(count_arrived(bits, base + 100..base + 1777), part as u64);
            let mut next = base;
            for_each_stretch(bits, base..base + 3000, |arrived, len| {
                assert!(len > 0);
                assert!((next..next + len).all(|seq| map.contains(seq) == Some(arrived)));
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
        let bits = |block| a.bits(block) | b.bits(block);
        assert_eq!(count_arrived(bits, 0..71), 3);
        assert_eq!(count_arrived(bits, 2..70), 1);
        assert_eq!(count_arrived(bits, 5..5), 0);
        assert_eq!(count_arrived(|block| a.bits(block) & !b.bits(block), 0..71), 1);
    }

    #[test]
    fn the_window_slides() {
        let map = SeqMap::new(64);
        assert!(map.insert(0));
        assert!(map.insert(64));
        assert_eq!(map.contains(0), None, "later numbers have displaced it");
        assert_eq!(map.contains(128), Some(false));
        assert!(!map.insert(64));
        assert!(map.insert(65));
        assert_eq!(count_arrived(|block| map.bits(block), 0..100), 2);
        assert_eq!(map.insert_shared(0), None);
        assert_eq!(map.insert_shared(66), Some(true));
        assert_eq!(map.insert_shared(66), Some(false));
    }

    /// Old words do not pass for current ones: a receiver may get no packet of a stream for hours.
    #[test]
    fn a_number_of_long_ago_is_not_that_of_today() {
        for after in [1u64 << 32, 1 << 37, 1 << 42, 1 << 43] {
            let map = SeqMap::new(1 << 12);
            assert!(map.insert(5));
            assert_eq!(map.contains(after + 5), Some(false), "{after}");
            assert_eq!(count_arrived(|block| map.bits(block), after..after + 64), 0);
            assert!(map.insert(after + 5));
        }
    }

    /// If several threads insert the same number, it is new to exactly one of them.
    #[test]
    fn of_all_who_insert_at_once_one_is_the_first() {
        const NUMBERS: u64 = 20_000;
        let map = SeqMap::new(NUMBERS);
        let firsts = || (0..NUMBERS).filter(|seq| map.insert_shared(*seq) == Some(true)).count();
        let found: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(firsts)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(found as u64, NUMBERS);
    }
}
