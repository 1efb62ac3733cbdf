//! Closed intervals as CSV, queue by queue.

use crate::count::{Counter, Counts, Polls};
use crate::run::{Ports, Row};
use csv::Writer;

/// A column: its name, and the counters whose sum it has.
const COLUMNS: [(&str, &[Counter]); 11] = [
    ("due_packets", &[Counter::Due]),
    ("not_sent_packets", Counter::NOT_SENT),
    ("tx_packets", &[Counter::Sent]),
    ("rx_packets", &[Counter::Received]),
    ("valid_packets", &[Counter::Valid]),
    ("duplicate_packets", &[Counter::Duplicate]),
    ("corrupt_packets", Counter::CORRUPT),
    ("foreign_packets", Counter::FOREIGN),
    ("late_packets", &[Counter::Late]),
    ("reordered_packets", &[Counter::Reordered]),
    ("dropped_packets", &[Counter::Dropped]),
];

/// What the polls of the queue's worker found. An empty cell means "unknown".
const POLLS: [&str; 4] = ["polls", "busy_polls", "full_bursts_in_a_row", "backlog_max_packets"];

/// Formats rows as CSV text, with a line for each queue that counted something in the interval.
pub(super) struct QueueTable {
    ports: Ports,
    writer: Writer<Vec<u8>>,
}

impl QueueTable {
    /// A table of the queues of `ports`. It starts with the header.
    pub(super) fn new(ports: Ports) -> Self {
        let mut writer = Writer::from_writer(Vec::new());
        let names = COLUMNS.iter().map(|(name, _)| *name);
        // Writing to memory cannot fail.
        let names = ["time_ms", "queue"].into_iter().chain(names).chain(POLLS);
        writer.write_record(names).unwrap_or_default();
        Self { ports, writer }
    }

    /// Adds a closed interval.
    pub(super) fn push(&mut self, row: &Row) {
        for queue in row.queues.iter().filter(|queue| queue.counts != Counts::default()) {
            let name = self.ports.queue_name(queue.role, queue.place);
            let cells = COLUMNS.iter().map(|(_, counters)| queue.counts.sum(counters).to_string());
            let Polls { all, busy, full_run, backlog } = queue.polls;
            let is_rx = self.ports.is_rx(queue.role, queue.place);
            let polls = [Some(all), Some(busy), is_rx.then_some(full_run), backlog];
            let polls = polls.map(|value| value.map(|value| value.to_string()).unwrap_or_default());
            let cells = [(row.start_ns / 1_000_000).to_string(), name].into_iter().chain(cells);
            let cells = cells.chain(polls);
            self.writer.write_record(cells).unwrap_or_default();
        }
    }

    /// Returns the text since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let fresh = Writer::from_writer(Vec::new());
        std::mem::replace(&mut self.writer, fresh).into_inner().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::{Departures, Role};
    use crate::run::{Totals, WorkerCounts};

    #[test]
    fn each_queue_that_counted_something_has_a_line() {
        let queue = |role, place, counted: &[(Counter, u64)]| {
            let mut counts = Counts::default();
            for (counter, packets) in counted {
                counts[*counter] = *packets;
            }
            let backlog = (role == Role::Receive).then_some(45);
            let polls = Polls { all: 5, busy: 4, full_run: 3, backlog };
            WorkerCounts { role, place, counts, polls, departures: Departures::default() }
        };
        let mut table = QueueTable::new(Ports { count: 1, rx_queues: 2, tx_queues: 1 });
        table.push(&Row {
            start_ns: 7_000_000,
            totals: Totals::default(),
            percentiles_ns: None,
            latencies: None,
            events: Vec::new(),
            queues: vec![
                queue(Role::Send { stream: 0 }, 0, &[(Counter::Due, 3), (Counter::Sent, 2)]),
                queue(Role::Receive, 1, &[]),
                queue(Role::Receive, 2, &[(Counter::CorruptTag, 1), (Counter::CorruptFiller, 1)]),
            ],
        });
        assert_eq!(
            String::from_utf8(table.take()).unwrap(),
            "time_ms,queue,due_packets,not_sent_packets,tx_packets,rx_packets,valid_packets,duplicate_packets,\
             corrupt_packets,foreign_packets,late_packets,reordered_packets,dropped_packets,\
             polls,busy_polls,full_bursts_in_a_row,backlog_max_packets\n\
             7,tx0,3,0,2,0,0,0,0,0,0,0,0,5,4,,\n\
             7,rx1,0,0,0,0,0,0,2,0,0,0,0,5,4,3,45\n"
        );
    }
}
