//! Which reflector sequence numbers have arrived: one bit each, for the latest of all queues together.
//!
//! It is unknown how the packets of a flow are distributed over the reflector's queues, so a map per
//! queue would have to be as large as one map for all. Instead each queue takes pages from a common
//! pool as it needs them. Pages that a queue has finished are reused in FIFO order: a page is kept for
//! as many stamps as the pool has room for, however few of them come from its own queue.

use std::collections::VecDeque;

const PAGE_BITS: u32 = 17;
const WORDS: usize = 1 << (PAGE_BITS - 6);

/// A page of a queue: `page` is a sequence number without its lower bits.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Owner {
    queue: u16,
    page: u64,
}

/// The reflector stamps that one receiver has seen.
pub struct StampMap {
    /// The bits, by page; only used pages take memory.
    words: Box<[u64]>,
    owners: Box<[Option<Owner>]>,
    /// By queue and lower bits of the page number: the candidate index of the page. `owners` tells
    /// whether it is right.
    locations: Box<[u32]>,
    /// By queue: its latest page, and the index of that.
    last: Box<[Option<(u64, u32)>]>,
    /// Indices of pages to reuse, in this order.
    next: VecDeque<u32>,
}

impl StampMap {
    /// A map that remembers at least the last `window` stamps of a reflector with up to `queues` queues.
    #[must_use]
    pub fn new(queues: u16, window: u64) -> Self {
        let queues = usize::from(queues);
        let full = usize::try_from(window.div_ceil(1 << PAGE_BITS)).unwrap_or(usize::MAX);
        // Besides: each queue has its current page, and may hold one more with hardly any stamps.
        let pages = if queues == 0 { 0 } else { full + 2 * queues };
        Self {
            words: vec![0; pages * WORDS].into(),
            owners: vec![None; pages].into(),
            locations: vec![0; queues * pages.next_power_of_two()].into(),
            last: vec![None; queues].into(),
            next: (0..).take(pages).collect(),
        }
    }

    /// Inserts stamp `seq` of `queue`. Returns whether it is new. Stamps of queues beyond the number
    /// given to [`StampMap::new`] always count as new.
    pub fn insert(&mut self, queue: u16, seq: u64) -> bool {
        if usize::from(queue) >= self.last.len() {
            return true;
        }
        let owner = Owner { queue, page: seq >> PAGE_BITS };
        let at = self.locations[self.index(owner)];
        let at = if self.owners[at as usize] == Some(owner) { at } else { self.turn_page(owner) };
        #[expect(clippy::cast_possible_truncation, reason = "less than a page")]
        let bit = seq as usize & ((1 << PAGE_BITS) - 1);
        let word = &mut self.words[at as usize * WORDS + bit / 64];
        let first = *word >> (bit % 64) & 1 == 0;
        *word |= 1 << (bit % 64);
        first
    }

    #[inline]
    fn index(&self, Owner { queue, page }: Owner) -> usize {
        let of_each = self.owners.len().next_power_of_two();
        #[expect(clippy::cast_possible_truncation, reason = "the lower bits")]
        let page = page as usize & (of_each - 1);
        usize::from(queue) * of_each + page
    }

    /// Takes a page for `owner` from the pool. Returns its index.
    #[cold]
    fn turn_page(&mut self, owner: Owner) -> u32 {
        // Never empty: there are more pages than queues with a current page.
        let Some(at) = self.next.pop_front() else { return 0 };
        self.words[at as usize * WORDS..][..WORDS].fill(0);
        self.owners[at as usize] = Some(owner);
        let index = self.index(owner);
        self.locations[index] = at;
        let last = &mut self.last[usize::from(owner.queue)];
        match *last {
            Some((page, _)) if page > owner.page => self.next.push_back(at),
            before => {
                self.next.extend(before.map(|(_, at)| at));
                *last = Some((owner.page, at));
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 1 << PAGE_BITS;

    /// Two queues, of which one gets a packet for every 999 of the other.
    #[test]
    fn what_is_in_the_window_is_remembered_however_queues_share_it() {
        let window = 5 * PAGE;
        let mut map = StampMap::new(2, window);
        let stamp = |number: u64| match number % 1000 {
            0 => (0, number / 1000),
            other => (1, number / 1000 * 999 + other - 1),
        };
        let mut again = 0;
        for number in 0..40 * PAGE {
            let (queue, seq) = stamp(number);
            assert!(map.insert(queue, seq), "{number}");
            // Repeats some of the stamps that arrived a window ago.
            if number >= window && number % 1000 < 2 {
                let (queue, seq) = stamp(number - window + 1);
                assert!(!map.insert(queue, seq), "{number}");
                again += 1;
            }
        }
        assert!(again > 8000);
    }

    #[test]
    fn what_comes_out_of_order_is_no_other_one() {
        let mut map = StampMap::new(2, 1);
        for seq in [5 * PAGE, 5 * PAGE - 1, 5 * PAGE + 1, 4 * PAGE, 0] {
            assert!(map.insert(1, seq) && !map.insert(1, seq));
            assert!(map.insert(2, seq) && map.insert(2, seq), "of a queue out of range");
        }
        assert!(map.insert(0, 5 * PAGE) && !map.insert(1, 5 * PAGE));
        assert!(StampMap::new(0, 1).insert(0, 7));
    }
}
