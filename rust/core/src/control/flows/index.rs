//! Where a flow is found: a table with open addressing, of which mostly one place is looked at.

use crate::control::flows::NO_FLOW;
use crate::wire::flow_key::FlowKey;

/// The first two words of a key, with a slot in the upper bits of the second one: 16 bytes.
#[derive(Clone, Copy)]
struct Cell {
    first: u64,
    place_and_slot: u64,
}

/// Where the slot begins.
const SLOT: u32 = u64::BITS - u16::BITS;
const _: () = assert!(FlowKey::PLACE_BITS <= SLOT);

impl Cell {
    /// Of no flow.
    const EMPTY: Self = Self { first: 0, place_and_slot: (NO_FLOW as u64) << SLOT };

    /// [`NO_FLOW`]: there is none here.
    #[inline]
    fn slot(self) -> u16 {
        (self.place_and_slot >> SLOT) as u16
    }

    #[inline]
    fn place(self) -> u64 {
        self.place_and_slot & ((1 << SLOT) - 1)
    }
}

/// The slots of some flows. A flow stands at the place that its hash says, or at one of those behind it
/// without an empty one in between.
pub(crate) struct Index {
    cells: Box<[Cell]>,
    /// What further words the keys of IPv6 have. Those of IPv4 leave it alone.
    more: Box<[[u64; 3]]>,
    secret: [u64; 2],
}

/// As in wyhash (Wang Yi): both halves of one product.
#[inline]
fn fold(one: u64, another: u64) -> u64 {
    let product = u128::from(one) * u128::from(another);
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    let folded = product as u64 ^ (product >> 64) as u64;
    folded
}

impl Index {
    /// For up to so many flows, without any; who does not know `secret` does not know their places.
    pub(crate) fn new(flows: usize, secret: [u64; 2]) -> Self {
        // At most half of them are in use: few flows find their place taken.
        let cells = (2 * flows).next_power_of_two();
        Self { cells: vec![Cell::EMPTY; cells].into(), more: vec![[0; 3]; cells].into(), secret }
    }

    #[inline]
    fn mask(&self) -> usize {
        self.cells.len() - 1
    }

    /// Where a flow stands, if nothing is in its way.
    #[inline]
    fn home(&self, key: FlowKey) -> usize {
        let [first, second] = self.secret;
        let [key_first, place, more @ ..] = key.words();
        let mut hash = fold(key_first ^ first, place ^ second);
        if key.is_v6() {
            hash = more.into_iter().fold(hash, |hash, word| fold(hash ^ word, first ^ second));
        }
        #[expect(clippy::cast_possible_truncation, reason = "the lower bits")]
        let home = hash as usize;
        home & self.mask()
    }

    #[inline]
    fn is_at(&self, at: usize, key: FlowKey) -> bool {
        let [first, place, more @ ..] = key.words();
        let cell = self.cells[at];
        cell.first == first && cell.place() == place && (!key.is_v6() || self.more[at] == more)
    }

    /// The place of a flow, or the empty one behind which it cannot be.
    #[inline]
    fn place(&self, key: FlowKey) -> usize {
        let mut at = self.home(key);
        while self.cells[at].slot() != NO_FLOW && !self.is_at(at, key) {
            at = (at + 1) & self.mask();
        }
        at
    }

    /// The flow that stands at a place.
    fn key(&self, at: usize) -> FlowKey {
        let cell = self.cells[at];
        let key = FlowKey::from_words([cell.first, cell.place(), 0, 0, 0]);
        if !key.is_v6() {
            return key;
        }
        let [second, third, fourth] = self.more[at];
        FlowKey::from_words([cell.first, cell.place(), second, third, fourth])
    }

    fn set(&mut self, at: usize, key: FlowKey, slot: u16) {
        let [first, place, more @ ..] = key.words();
        self.cells[at] = Cell { first, place_and_slot: place | u64::from(slot) << SLOT };
        if key.is_v6() {
            self.more[at] = more;
        }
    }

    /// The slot of a flow; [`NO_FLOW`] where it is not here.
    #[inline]
    pub(crate) fn find(&self, key: FlowKey) -> u16 {
        self.cells[self.place(key)].slot()
    }

    /// Puts a flow in.
    pub(crate) fn insert(&mut self, key: FlowKey, slot: u16) {
        self.set(self.place(key), key, slot);
    }

    /// Takes a flow out, and closes the gap (Knuth, TAOCP 3, 6.4, algorithm R).
    pub(crate) fn remove(&mut self, key: FlowKey) {
        let mut gap = self.place(key);
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
        let v6 = 1 << (FlowKey::PLACE_BITS - 1);
        // Every other one is of IPv6, and some of those differ in their last words alone.
        match number % 2 {
            0 => FlowKey::from_words([number, last, 0, 0, 0]),
            _ => FlowKey::from_words([number / 4, v6, 0, number, last]),
        }
    }

    proptest! {
        /// In a table so small that flows get into each other's way.
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
