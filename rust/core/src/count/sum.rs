//! A sum that does not fit into 64 bits.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A sum of 128 bits with one writer. Its two halves can tear: others may read it only while it is not
/// being written.
#[derive(Default)]
pub(crate) struct Sum([AtomicU64; 2]);

impl Sum {
    pub(crate) fn store(&self, value: u128) {
        #[expect(clippy::cast_possible_truncation, reason = "the upper and the lower half")]
        let halves = [(value >> 64) as u64, value as u64];
        for (word, half) in self.0.iter().zip(halves) {
            word.store(half, Relaxed);
        }
    }

    pub(crate) fn load(&self) -> u128 {
        self.0.iter().fold(0, |value, half| value << 64 | u128::from(half.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_is_stored() {
        let sum = Sum::default();
        for value in [0, 7, u128::from(u64::MAX), u128::from(u64::MAX) + 1, u128::MAX - 5] {
            sum.store(value);
            assert_eq!(sum.load(), value);
        }
    }
}
