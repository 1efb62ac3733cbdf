//! What is known about a run while it goes on.

use super::{Checkpoint, Row, Totals, WorkerCounts};
use crate::control::peer::Peer;
use crate::count::Histogram;

const SECOND_NS: u64 = 1_000_000_000;

/// State at the end of a second, or of an interval if intervals are longer. Everything that
/// displays a running measurement reads only this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When that second began, in ns since the start of the run.
    pub start_ns: u64,
    /// When it ended. All intervals before this time are closed.
    pub end_ns: u64,
    /// What happened in that second.
    pub second: Totals,
    /// What happened since the start of the run.
    pub totals: Totals,
    /// What the worker of each queue counted since the start, including the pacing of senders.
    pub workers: Vec<WorkerCounts>,
    /// Round-trip times of all valid packets since the start.
    pub latencies: Histogram,
    /// What the reflector counted between its last two answers, about a second apart.
    pub peer: Peer,
    /// What both ends had counted when the reflector last answered before `end_ns`; `None` if it has
    /// not.
    pub checkpoint: Option<Checkpoint>,
    /// Packets that our ports have dropped since they were started; `None` if a driver does not
    /// report that.
    pub port_missed: Option<u64>,
}

/// A complete second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complete {
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) second: Totals,
    pub(super) totals: Totals,
}

/// Adds rows up to seconds, or to intervals if these are longer.
pub(super) struct Seconds {
    interval_ns: u64,
    start_ns: u64,
    second: Totals,
    totals: Totals,
}

impl Seconds {
    /// An empty sum, for rows of `interval_ns`.
    pub(super) fn new(interval_ns: u64) -> Self {
        Self { interval_ns, start_ns: 0, second: Totals::default(), totals: Totals::default() }
    }

    /// Adds the next row. Returns the second that it completes.
    pub(super) fn push(&mut self, row: &Row) -> Option<Complete> {
        self.second += &row.totals;
        self.totals += &row.totals;
        let end_ns = row.start_ns + self.interval_ns;
        if end_ns / SECOND_NS == row.start_ns / SECOND_NS {
            return None;
        }
        let second = std::mem::take(&mut self.second);
        let start_ns = std::mem::replace(&mut self.start_ns, end_ns);
        Some(Complete { start_ns, end_ns, second, totals: self.totals })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Counter;

    fn row(interval: u64, interval_ns: u64) -> Row {
        let mut totals = Totals { lost: 1, ..Totals::default() };
        totals.counts[Counter::Sent] = 250;
        totals.counts[Counter::Valid] = 249;
        Row {
            start_ns: interval * interval_ns,
            totals,
            percentiles_ns: None,
            latencies: None,
            events: Vec::new(),
            queues: Vec::new(),
        }
    }

    #[test]
    fn rows_add_up_to_seconds() {
        let mut seconds = Seconds::new(250_000_000);
        let complete: Vec<_> =
            (0..8).filter_map(|number| seconds.push(&row(number, 250_000_000))).collect();
        let ends: Vec<_> = complete.iter().map(|second| (second.start_ns, second.end_ns)).collect();
        assert_eq!(ends, [(0, SECOND_NS), (SECOND_NS, 2 * SECOND_NS)]);
        for (number, second) in (1..).zip(&complete) {
            assert_eq!((second.second.counts[Counter::Sent], second.second.lost), (1000, 4));
            assert_eq!(second.totals.counts[Counter::Valid], number * 996);
        }
    }

    #[test]
    fn a_longer_interval_is_told_as_it_is() {
        let mut seconds = Seconds::new(3 * SECOND_NS);
        let second = seconds.push(&row(0, 3 * SECOND_NS)).unwrap();
        assert_eq!((second.start_ns, second.end_ns), (0, 3 * SECOND_NS));
        assert_eq!(seconds.push(&row(1, 3 * SECOND_NS)).unwrap().start_ns, 3 * SECOND_NS);
    }
}
