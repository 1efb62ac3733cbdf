//! Where a flow is found: a table with open addressing, of which mostly one place is looked at.

use crate::control::flows::NO_FLOW;
use crate::wire::reflect::FlowKey;

#[derive(Clone, Copy)]
struct Cell {
    key: FlowKey,
    /// [`NO_FLOW`]: there is none here.
    slot: u16,
}

/// The slots of some flows. A flow stands at the place that its hash says, or at one of those behind it
/// without an empty one in between.
pub(crate) struct Index {
    cells: Box<[Cell]>,
    secret: [u64; 2],
}

impl Index {
    /// For up to so many flows, without any; who does not know `secret` does not know their places.
    pub(crate) fn new(flows: usize, secret: [u64; 2]) -> Self {
        let empty = Cell { key: FlowKey::default(), slot: NO_FLOW };
        // At most half of them are in use: few flows find their place taken.
        Self { cells: vec![empty; (2 * flows).next_power_of_two()].into(), secret }
    }

    #[inline]
    fn mask(&self) -> usize {
        self.cells.len() - 1
    }

    /// Where a flow stands, if nothing is in its way.
    #[inline]
    fn home(&self, key: FlowKey) -> usize {
        // As in wyhash (Wang Yi): both halves of one product.
        let [first, second] = self.secret;
        let product = u128::from(key.addresses ^ first) * u128::from(u64::from(key.port) ^ second);
        #[expect(clippy::cast_possible_truncation, reason = "the lower bits")]
        let home = (product as u64 ^ (product >> 64) as u64) as usize;
        home & self.mask()
    }

    /// The place of a flow, or the empty one behind which it cannot be.
    #[inline]
    fn place(&self, key: FlowKey) -> usize {
        let mut at = self.home(key);
        while self.cells[at].slot != NO_FLOW && self.cells[at].key != key {
            at = (at + 1) & self.mask();
        }
        at
    }

    /// The slot of a flow; [`NO_FLOW`] where it is not here.
    #[inline]
    pub(crate) fn find(&self, key: FlowKey) -> u16 {
        self.cells[self.place(key)].slot
    }

    /// Puts a flow in.
    pub(crate) fn insert(&mut self, key: FlowKey, slot: u16) {
        let place = self.place(key);
        self.cells[place] = Cell { key, slot };
    }

    /// Takes a flow out, and closes the gap (Knuth, TAOCP 3, 6.4, algorithm R).
    pub(crate) fn remove(&mut self, key: FlowKey) {
        let mut gap = self.place(key);
        let mut at = gap;
        loop {
            self.cells[gap].slot = NO_FLOW;
            at = (at + 1) & self.mask();
            let cell = self.cells[at];
            if cell.slot == NO_FLOW {
                return;
            }
            let from_home = at.wrapping_sub(self.home(cell.key)) & self.mask();
            let from_gap = at.wrapping_sub(gap) & self.mask();
            if from_home >= from_gap {
                self.cells[gap] = cell;
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

    proptest! {
        /// In a table so small that flows get into each other's way.
        #[test]
        fn it_is_a_map(
            steps in prop::collection::vec((0..12u64, 0..2u16, 0..8u16, any::<bool>()), 0..200),
            secret: [u64; 2],
        ) {
            let mut index = Index::new(8, secret);
            let mut map = HashMap::new();
            for (addresses, port, slot, inserts) in steps {
                let key = FlowKey { addresses, port };
                if inserts && map.len() < 8 {
                    index.insert(key, slot);
                    map.insert(key, slot);
                } else if map.remove(&key).is_some() {
                    index.remove(key);
                }
                for (addresses, port) in (0..12).flat_map(|addresses| [(addresses, 0), (addresses, 1)]) {
                    let key = FlowKey { addresses, port };
                    prop_assert_eq!(index.find(key), map.get(&key).copied().unwrap_or(NO_FLOW));
                }
            }
        }
    }
}
