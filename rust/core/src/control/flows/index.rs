//! A worker's hash table from flow keys to slots: open addressing, mostly one probe per lookup.

use crate::control::flows::NO_FLOW;
use crate::wire::flow_key::FlowKey;

/// The first two words of a key, with the slot in the upper bits of the second word: 16 bytes.
#[derive(Clone, Copy)]
struct Cell {
    first: u64,
    second_and_slot: u64,
}

/// The lowest bit of the slot.
const SLOT: u32 = u64::BITS - u16::BITS;
const _: () = assert!(FlowKey::SECOND_WORD_BITS <= SLOT);

impl Cell {
    /// A cell without a flow.
    const EMPTY: Self = Self { first: 0, second_and_slot: (NO_FLOW as u64) << SLOT };

    /// The slot; [`NO_FLOW`] if the cell is empty.
    #[inline]
    fn slot(self) -> u16 {
        (self.second_and_slot >> SLOT) as u16
    }

    #[inline]
    fn second(self) -> u64 {
        self.second_and_slot & ((1 << SLOT) - 1)
    }
}

/// A hash table with linear probing: a flow is in the cell that its hash selects, or in a later one with
/// no empty cell in between.
pub(crate) struct Index {
    cells: Box<[Cell]>,
    /// By cell: the other words of IPv6 keys. IPv4 keys do not use them.
    more: Box<[[u64; 3]]>,
    secret: [u64; 2],
}

/// Both halves of the product, combined as in wyhash (Wang Yi).
#[inline]
fn fold(one: u64, another: u64) -> u64 {
    let product = u128::from(one) * u128::from(another);
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    let folded = product as u64 ^ (product >> 64) as u64;
    folded
}

impl Index {
    /// An empty table for up to `flows` flows. `secret` keys the hash, so that nobody can construct
    /// collisions.
    pub(crate) fn new(flows: usize, secret: [u64; 2]) -> Self {
        // At most half of the cells are in use, so collisions are rare.
        let cells = (2 * flows).next_power_of_two();
        Self { cells: vec![Cell::EMPTY; cells].into(), more: vec![[0; 3]; cells].into(), secret }
    }

    #[inline]
    fn mask(&self) -> usize {
        self.cells.len() - 1
    }

    /// The cell that the hash of a flow selects.
    #[inline]
    fn home(&self, key: FlowKey) -> usize {
        let [first, second] = self.secret;
        let [key_first, key_second, more @ ..] = key.words();
        let mut hash = fold(key_first ^ first, key_second ^ second);
        if key.is_v6() {
            hash = more.into_iter().fold(hash, |hash, word| fold(hash ^ word, first ^ second));
        }
        #[expect(clippy::cast_possible_truncation, reason = "the lower bits")]
        let home = hash as usize;
        home & self.mask()
    }

    #[inline]
    fn is_at(&self, at: usize, key: FlowKey) -> bool {
        let [first, second, more @ ..] = key.words();
        let cell = self.cells[at];
        cell.first == first && cell.second() == second && (!key.is_v6() || self.more[at] == more)
    }

    /// The cell of a flow, or the empty cell that ends the search for it.
    #[inline]
    fn probe(&self, key: FlowKey) -> usize {
        let mut at = self.home(key);
        while self.cells[at].slot() != NO_FLOW && !self.is_at(at, key) {
            at = (at + 1) & self.mask();
        }
        at
    }

    /// The key in a cell.
    fn key(&self, at: usize) -> FlowKey {
        let cell = self.cells[at];
        let key = FlowKey::from_words([cell.first, cell.second(), 0, 0, 0]);
        if !key.is_v6() {
            return key;
        }
        let [third, fourth, fifth] = self.more[at];
        FlowKey::from_words([cell.first, cell.second(), third, fourth, fifth])
    }

    fn set(&mut self, at: usize, key: FlowKey, slot: u16) {
        let [first, second, more @ ..] = key.words();
        self.cells[at] = Cell { first, second_and_slot: second | u64::from(slot) << SLOT };
        if key.is_v6() {
            self.more[at] = more;
        }
    }

    /// The slot of a flow; [`NO_FLOW`] if it is not in the table.
    #[inline]
    pub(crate) fn find(&self, key: FlowKey) -> u16 {
        self.cells[self.probe(key)].slot()
    }

    /// Inserts a flow, or changes its slot.
    pub(crate) fn insert(&mut self, key: FlowKey, slot: u16) {
        self.set(self.probe(key), key, slot);
    }

    /// Removes a flow and closes the gap (Knuth, TAOCP 3, 6.4, algorithm R).
    pub(crate) fn remove(&mut self, key: FlowKey) {
        let mut gap = self.probe(key);
        let mut at = gap;
        loop {
            self.cells[gap] = Cell::EMPTY;
            at = (at + 1) & self.mask();
            let slot = self.cells[at].slot();
            if slot == NO_FLOW {
                return;
            }
            let moved = self.key(at);
            let from_home = at.wrapping_sub(self.home(moved)) & self.mask();
            let from_gap = at.wrapping_sub(gap) & self.mask();
            if from_home >= from_gap {
                self.set(gap, moved, slot);
                gap = at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn key(number: u64, last: u64) -> FlowKey {
        let v6 = 1 << (FlowKey::SECOND_WORD_BITS - 1);
        // Every other key is an IPv6 key, and some of those differ only in their last words.
        match number % 2 {
            0 => FlowKey::from_words([number, last, 0, 0, 0]),
            _ => FlowKey::from_words([number / 4, v6, 0, number, last]),
        }
    }

    proptest! {
        /// In a table small enough for collisions.
        #[test]
        fn it_is_a_map(
            steps in prop::collection::vec((0..12u64, 0..2u64, 0..8u16, any::<bool>()), 0..200),
            secret: [u64; 2],
        ) {
            let mut index = Index::new(8, secret);
            let mut map = HashMap::new();
            for (number, last, slot, inserts) in steps {
                let one = key(number, last);
                if inserts && map.len() < 8 {
                    index.insert(one, slot);
                    map.insert(one, slot);
                } else if map.remove(&one).is_some() {
                    index.remove(one);
                }
                for (number, last) in (0..12).flat_map(|number| [(number, 0), (number, 1)]) {
                    let key = key(number, last);
                    prop_assert_eq!(index.find(key), map.get(&key).copied().unwrap_or(NO_FLOW));
                }
            }
        }
    }
}
