//! Counting for modes whose workers handle packets in C++ only.

use crate::count::{Counter, LedgerPlace, MODE_COUNTERS, ModeCounter, Recorder};

/// What a worker did in one poll, in packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Polled {
    /// Received from the driver.
    pub received: u16,
    /// Accepted by the driver.
    pub sent: u16,
    /// Refused by the driver and freed by the worker.
    pub refused: u16,
    /// Received, and freed without being offered to the driver.
    pub dropped: u16,
    /// What was found in the rx queue (see [`Recorder::note_backlog`]); `None` if that is unknown.
    pub backlog: Option<u64>,
}

/// What the mode's own counters counted in one poll, in the order of registration. The last entry
/// takes the counts of all counters with an invalid index.
pub type ModeCounts = [u32; MODE_COUNTERS + 1];

/// Counts packets for a worker that handles them in C++.
pub struct Tally {
    recorder: Recorder,
    /// Ledger places of the mode's own counters; `None` where no counter is registered.
    places: [Option<LedgerPlace>; MODE_COUNTERS],
}

impl Tally {
    /// A tally that counts with `recorder`, for a mode with these `counters` of its own.
    #[must_use]
    pub fn new(recorder: Recorder, counters: &[ModeCounter]) -> Self {
        let places = std::array::from_fn(|index| counters.get(index).map(|counter| counter.place));
        Self { recorder, places }
    }

    /// Counts the poll at `now_ns`. Call in every poll, also when nothing happened. `polled` must
    /// not include packets in a counter whose ledger place is dropped or refused: they are added
    /// here.
    pub fn add(&mut self, now_ns: u64, polled: Polled, counts: &ModeCounts) {
        self.recorder.poll(now_ns);
        let interval = self.recorder.interval(now_ns);
        if polled.received > 0 || polled.sent > 0 {
            self.recorder.note_busy();
        }
        if polled.received == 0 && polled.sent > 0 {
            self.recorder.note_work();
        } else {
            self.recorder.note_received(polled.received.into());
        }
        if let Some(packets) = polled.backlog {
            self.recorder.note_backlog(packets);
        }
        self.recorder.add(interval, Counter::Received, u64::from(polled.received));
        self.recorder.add(interval, Counter::Sent, u64::from(polled.sent));
        self.recorder.add(interval, Counter::TxQueueFull, u64::from(polled.refused));
        self.recorder.add(interval, Counter::Dropped, u64::from(polled.dropped));
        if *counts != [0; MODE_COUNTERS + 1] {
            self.add_counts(interval, counts);
        }
    }

    fn add_counts(&mut self, interval: u64, counts: &ModeCounts) {
        for (index, count) in counts.iter().enumerate() {
            let packets = u64::from(*count);
            let Some(place) = self.places.get(index).copied().flatten() else {
                self.recorder.add(interval, Counter::Unregistered, packets);
                continue;
            };
            self.recorder.add_mode(interval, index, packets);
            match place {
                LedgerPlace::Dropped => self.recorder.add(interval, Counter::Dropped, packets),
                LedgerPlace::Refused => self.recorder.add(interval, Counter::Refused, packets),
                LedgerPlace::Note => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::{Board, Counts, Role, Shape};
    use crate::run::Collector;

    /// Totals of two identical polls of a mode that has one counter at each ledger place.
    fn counted(polled: Polled, counts: &ModeCounts) -> Counts {
        let shape = Shape { interval_ns: 1_000_000, intervals: 8, window: 1 };
        let board = Board::new(shape, &[Role::Count]);
        let mut tally = Tally::new(board.recorder(0), &ModeCounter::examples());
        let mut collector = Collector::new(board, 0);
        for now_ns in [10, 1_000_010] {
            tally.add(now_ns, polled, counts);
        }
        collector.finish(&mut |_| {});
        collector.totals().counts
    }

    fn counts(first: &[u32]) -> ModeCounts {
        let mut counts = [0; MODE_COUNTERS + 1];
        counts[..first.len()].copy_from_slice(first);
        counts
    }

    #[test]
    fn what_a_mode_counts_by_itself_goes_to_its_place_in_the_ledger() {
        let polled = Polled { received: 20, sent: 6, refused: 1, dropped: 2, backlog: None };
        let found = counted(polled, &counts(&[8, 3, 5]));
        let mut expected = Counts::default();
        for (counter, packets) in [
            (Counter::Received, 40),
            (Counter::Sent, 12),
            (Counter::TxQueueFull, 2),
            (Counter::Refused, 6),
            (Counter::Dropped, 2 * (2 + 8)),
        ] {
            expected[counter] = packets;
        }
        expected.mode[..3].copy_from_slice(&[16, 6, 10]);
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_counted_where_nothing_is_registered_is_found_out() {
        let mut counts = counts(&[0, 0, 0, 1]);
        counts[MODE_COUNTERS] = u32::MAX;
        let found = counted(Polled::default(), &counts);
        let mut expected = Counts::default();
        expected[Counter::Unregistered] = 1 << 33;
        assert_eq!(found, expected);
    }
}
