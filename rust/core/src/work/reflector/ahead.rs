//! The index of a packet among the packets of its flow in one burst.

use crate::control::flows::FLOWS;

const COUNT_BITS: u32 = 16;

/// One count per flow. A new burst resets all counts to 0 without touching them.
pub(crate) struct Ahead {
    burst: u64,
    /// By slot: the burst in which it was last counted, and the count in the lower 16 bits.
    counts: Box<[u64]>,
}

impl Ahead {
    pub(crate) fn new() -> Self {
        Self { burst: 0, counts: vec![0; FLOWS].into() }
    }

    /// Starts a new burst.
    pub(crate) fn begin(&mut self) {
        self.burst += 1;
    }

    /// Counts a packet of the flow in `slot`. Returns how many came before it in this burst; `None`
    /// if the slot has no flow.
    pub(crate) fn next(&mut self, slot: u16) -> Option<u64> {
        let count = self.counts.get_mut(usize::from(slot))?;
        if *count >> COUNT_BITS != self.burst {
            *count = self.burst << COUNT_BITS;
        }
        *count += 1;
        Some((*count & ((1 << COUNT_BITS) - 1)) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flow_is_counted_by_itself_and_anew_in_each_burst() {
        let mut ahead = Ahead::new();
        for _ in 0..3 {
            ahead.begin();
            assert_eq!([7, 7, 9, 7, 9].map(|slot| ahead.next(slot)), [0, 1, 0, 2, 1].map(Some));
        }
        assert_eq!(ahead.next(crate::control::flows::NO_FLOW), None);
    }
}
