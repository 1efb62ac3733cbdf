//! Closed intervals as CSV.

use crate::count::{Counter, ModeCounter};
use crate::run::mode::Meaning;
use crate::run::{Event, Ports, Row};
use csv::{ByteRecord, Writer};

/// The header; the columns of a mode's own counters follow. New columns are only ever added at the
/// right. An empty cell means "unknown".
pub const COLUMNS: [&str; 21] = [
    "time_ms",
    "tx_packets",
    "rx_packets",
    "lost_packets",
    "loss_ratio",
    "latency_avg_ns",
    "latency_min_ns",
    "latency_max_ns",
    "latency_p50_ns",
    "latency_p99_ns",
    "latency_p999_ns",
    "due_packets",
    "not_sent_packets",
    "duplicate_packets",
    "corrupt_packets",
    "foreign_packets",
    "late_packets",
    "reordered_packets",
    "dropped_packets",
    "sent_late_packets",
    "events",
];

/// Formats rows as CSV text.
///
/// Intervals in which nothing happened have a row too, except those at the end of a run: after the
/// last interval with a packet, the sender has been stopped.
pub struct Table {
    meaning: Meaning,
    /// Number of the mode's own counters.
    mode_counters: usize,
    ports: Ports,
    writer: Writer<Vec<u8>>,
    stopping: bool,
    /// Pending rows in which nothing happened, since `stopping`.
    quiet: Vec<Row>,
}

impl Table {
    /// A table of a mode with these `counters` of its own, on `ports`. It starts with the header.
    #[must_use]
    pub fn new(meaning: Meaning, counters: &[ModeCounter], ports: Ports) -> Self {
        let mut writer = Writer::from_writer(Vec::new());
        let own = counters.iter().map(|counter| counter.name.as_str());
        writer.write_record(COLUMNS.into_iter().chain(own)).unwrap_or_default();
        let mode_counters = counters.len();
        Self { meaning, mode_counters, ports, writer, stopping: false, quiet: Vec::new() }
    }

    /// Adds a closed interval.
    pub fn push(&mut self, row: &Row) {
        self.quiet.push(row.clone());
        if !self.stopping || !row.totals.is_quiet() || !row.events.is_empty() {
            for row in std::mem::take(&mut self.quiet) {
                // Writing to memory cannot fail.
                let record = self.record(&row);
                self.writer.write_byte_record(&record).unwrap_or_default();
            }
        }
    }

    /// Starts a run.
    pub fn begin(&mut self) {
        self.stopping = false;
        self.quiet.clear();
    }

    /// The run is stopping: from now on, rows in which nothing happened are held until a row in
    /// which something did.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Returns the text since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        let fresh = Writer::from_writer(Vec::new());
        std::mem::replace(&mut self.writer, fresh).into_inner().unwrap_or_default()
    }

    fn record(&self, row: &Row) -> ByteRecord {
        let meaning = self.meaning;
        let totals = &row.totals;
        let (tx, rx, lost) = meaning.of(totals);
        let ratio = meaning.loss_ratio(totals);
        let latency = &totals.latency;
        let known = |value: u64| (latency.count > 0).then(|| value.to_string());
        let counts = &totals.counts;
        let percentile =
            |which: usize| row.percentiles_ns.map(|percentiles| percentiles[which].to_string());
        let of_ours = |packets: u64| (meaning == Meaning::Measures).then(|| packets.to_string());
        let cells = [
            Some((row.start_ns / 1_000_000).to_string()),
            Some(tx.to_string()),
            Some(rx.to_string()),
            lost.map(|lost| lost.to_string()),
            ratio.map(|ratio| format!("{ratio:.9}")),
            latency.mean_ns().map(|mean| format!("{mean:.0}")),
            known(latency.min_ns),
            known(latency.max_ns),
            percentile(0),
            percentile(1),
            percentile(2),
            of_ours(counts[Counter::Due]),
            of_ours(counts.sum(Counter::NOT_SENT)),
            of_ours(counts[Counter::Duplicate]),
            of_ours(counts.sum(Counter::CORRUPT)),
            Some(counts.sum(Counter::FOREIGN).to_string()),
            of_ours(counts[Counter::Late]),
            of_ours(counts[Counter::Reordered]),
            (meaning == Meaning::Forwards).then(|| counts[Counter::Dropped].to_string()),
            of_ours(counts[Counter::SentLate]),
            Some(row.events.iter().map(|event| self.event(event)).collect::<Vec<_>>().join(";")),
        ];
        let own = counts.mode.iter().take(self.mode_counters).map(ToString::to_string);
        cells.into_iter().map(Option::unwrap_or_default).chain(own).collect::<Vec<_>>().into()
    }

    /// `link_down`, or `p1.link_down` if there are several ports.
    fn event(&self, event: &Event) -> String {
        format!("{}{}", self.ports.prefix(event.port), event.what.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::{Counter, Latency};
    use crate::run::{Totals, What};

    fn table(meaning: Meaning, counters: &[ModeCounter]) -> Table {
        Table::new(meaning, counters, Ports { count: 1, rx_queues: 1, tx_queues: 1 })
    }

    fn row(start_ns: u64, sent: u64, valid: u64) -> Row {
        let mut totals = Totals { lost: sent - valid, ..Totals::default() };
        totals.counts[Counter::Sent] = sent;
        totals.counts[Counter::Valid] = valid;
        if valid > 0 {
            totals.latency =
                Latency { count: valid, sum_ns: u128::from(valid) * 10, min_ns: 7, max_ns: 15 };
        }
        Row {
            start_ns,
            totals,
            percentiles_ns: (valid > 0).then_some([9, 14, 15]),
            latencies: None,
            events: Vec::new(),
            queues: Vec::new(),
        }
    }

    fn text(table: &mut Table) -> String {
        String::from_utf8(table.take()).unwrap()
    }

    #[test]
    fn an_interval_in_which_all_was_lost_says_so() {
        let mut table = table(Meaning::Measures, &[]);
        table.push(&row(0, 4, 3));
        table.push(&row(1_000_000, 4, 0));
        table.push(&row(2_000_000, 0, 0));
        table.push(&row(3_000_000, 4, 4));
        table.stop();
        table.push(&row(4_000_000, 0, 0));
        assert_eq!(
            text(&mut table),
            "time_ms,tx_packets,rx_packets,lost_packets,loss_ratio,latency_avg_ns,latency_min_ns,latency_max_ns,\
             latency_p50_ns,latency_p99_ns,latency_p999_ns,due_packets,not_sent_packets,duplicate_packets,\
             corrupt_packets,foreign_packets,late_packets,reordered_packets,dropped_packets,sent_late_packets,events\n\
             0,4,3,1,0.250000000,10,7,15,9,14,15,0,0,0,0,0,0,0,,0,\n\
             1,4,0,4,1.000000000,,,,,,,0,0,0,0,0,0,0,,0,\n\
             2,0,0,0,,,,,,,,0,0,0,0,0,0,0,,0,\n\
             3,4,4,0,0.000000000,10,7,15,9,14,15,0,0,0,0,0,0,0,,0,\n"
        );
        assert_eq!(text(&mut table), "");
        table.push(&row(5_000_000, 1, 1));
        assert_eq!(
            text(&mut table),
            "4,0,0,0,,,,,,,,0,0,0,0,0,0,0,,0,\n5,1,1,0,0.000000000,10,7,15,9,14,15,0,0,0,0,0,0,0,,0,\n"
        );
    }

    #[test]
    fn a_mode_that_cannot_know_its_loss_leaves_it_empty() {
        let mut table = table(Meaning::Counts, &[]);
        let mut totals = Totals::default();
        totals.counts[Counter::Received] = 5;
        table.push(&Row {
            start_ns: 0,
            totals,
            percentiles_ns: None,
            latencies: None,
            events: Vec::new(),
            queues: Vec::new(),
        });
        assert!(text(&mut table).ends_with("\n0,0,5,,,,,,,,,,,,,0,,,,,\n"));
    }

    #[test]
    fn a_mode_s_own_counters_are_the_last_columns() {
        let mut table = table(Meaning::Forwards, &ModeCounter::examples());
        let mut totals = Totals::default();
        totals.counts.mode[..3].copy_from_slice(&[7, 0, 9]);
        table.push(&Row {
            start_ns: 0,
            totals,
            percentiles_ns: None,
            latencies: None,
            events: Vec::new(),
            queues: Vec::new(),
        });
        let text = text(&mut table);
        let (header, row) = text.split_once('\n').unwrap();
        assert!(
            header.ends_with(",dropped_packets,sent_late_packets,events,decimated,overflow,odd")
        );
        assert_eq!(row, "0,0,0,0,,,,,,,,,,,,0,,,0,,,7,0,9\n");
    }

    #[test]
    fn a_mode_that_forwards_says_what_it_dropped() {
        let mut table = table(Meaning::Forwards, &[]);
        let mut totals = Totals::default();
        for (counter, packets) in [
            (Counter::Received, 10),
            (Counter::Sent, 6),
            (Counter::TxQueueFull, 2),
            (Counter::Dropped, 2),
        ] {
            totals.counts[counter] = packets;
        }
        table.push(&Row {
            start_ns: 0,
            totals,
            percentiles_ns: None,
            latencies: None,
            events: Vec::new(),
            queues: Vec::new(),
        });
        assert!(text(&mut table).ends_with("\n0,6,10,2,0.250000000,,,,,,,,,,,0,,,2,,\n"));
    }

    #[test]
    fn an_interval_says_what_happened_to_ports_in_it() {
        let event = |port, what| Event { at_ns: 7, port, what };
        let down =
            Row { events: vec![event(0, What::LinkDown), event(1, What::Removed)], ..row(0, 0, 0) };
        for (count, expected) in [(1, "link_down;removed"), (2, "p0.link_down;p1.removed")] {
            let ports = Ports { count, rx_queues: 1, tx_queues: 1 };
            let mut table = Table::new(Meaning::Measures, &[], ports);
            table.stop();
            table.push(&down);
            let text = text(&mut table);
            assert!(text.ends_with(&format!(",0,{expected}\n")), "{text}");
        }
    }
}
