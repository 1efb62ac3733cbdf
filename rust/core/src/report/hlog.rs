//! Round-trip times of closed intervals as an `HdrHistogram` log, version 1.3.

use crate::count::Histogram;
use crate::run::Row;
use std::fmt::Write as _;
use std::time::Duration;

/// Formats the histogram of each closed interval as a line: when the interval began (seconds since the
/// start of the run), its length (seconds), the longest round-trip time (ms), and the histogram (ns) as
/// in the JSON.
///
/// An interval without packets has a line too, except those at the end of a run, as in the CSV.
pub(super) struct HistogramLog {
    interval_ns: u64,
    text: String,
    stopping: bool,
    /// Pending lines of intervals in which nothing happened, since `stopping`.
    quiet: String,
}

impl HistogramLog {
    /// A log of intervals of `interval_ns`.
    pub(super) fn new(interval_ns: u64) -> Self {
        Self { interval_ns, text: String::new(), stopping: false, quiet: String::new() }
    }

    /// Starts the log of a run that began at `start`, counted from the epoch of Unix time.
    pub(super) fn begin(&mut self, start: Duration) {
        let start = start.as_secs_f64();
        // Writing to memory cannot fail. With both times, every reader adds the same one to the first
        // column.
        let _ = write!(
            self.text,
            "#[Logged by dpdkproj {}: round-trip times in ns]\n\
             #[Histogram log format version 1.3]\n\
             #[StartTime: {start:.3} (seconds since epoch)]\n\
             #[BaseTime: {start:.3} (seconds since epoch)]\n\
             \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
            env!("CARGO_PKG_VERSION"),
        );
    }

    /// The run is stopping: see [`HistogramLog`].
    pub(super) fn stop(&mut self) {
        self.stopping = true;
    }

    /// Adds a closed interval.
    pub(super) fn push(&mut self, row: &Row) {
        let Some(latencies) = &row.latencies else { return };
        let line = self.line(row.start_ns, latencies);
        if self.stopping && row.totals.is_quiet() {
            self.quiet += &line;
        } else {
            self.text += &std::mem::take(&mut self.quiet);
            self.text += &line;
        }
    }

    fn line(&self, start_ns: u64, latencies: &Histogram) -> String {
        // The maximum as readers compute it from the histogram.
        let max_ns = latencies.quantile_ns(1.0).unwrap_or(0);
        let [start, length] = [start_ns, self.interval_ns].map(|ns| ns as f64 / 1e9);
        let max = max_ns as f64 / 1e6;
        format!("{start:.3},{length:.3},{max:.6},{}\n", latencies.to_hdr())
    }

    /// Returns the text since the last call.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Counter;
    use crate::run::Totals;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    fn row(start_ns: u64, sent: u64) -> Row {
        let mut totals = Totals::default();
        totals.counts[Counter::Sent] = sent;
        let times = vec![2_000_000; usize::try_from(sent).unwrap()];
        Row {
            start_ns,
            totals,
            percentiles_ns: None,
            latencies: Some(crate::count::histogram_of(&times)),
            events: Vec::new(),
            queues: Vec::new(),
        }
    }

    #[test]
    fn each_interval_is_a_line_but_none_after_the_last_packet() {
        let mut log = HistogramLog::new(250_000_000);
        log.begin(Duration::from_millis(1_700_000_000_250));
        log.push(&row(0, 3));
        log.push(&row(250_000_000, 0));
        log.stop();
        log.push(&row(500_000_000, 0));
        log.push(&row(750_000_000, 1));
        log.push(&row(1_000_000_000, 0));
        let text = log.take();
        assert!(text.starts_with("#[Logged by dpdkproj "), "{text}");
        assert!(text.contains("\n#[StartTime: 1700000000.250 (seconds since epoch)]\n"), "{text}");
        let mut found = Vec::new();
        for entry in IntervalLogIterator::new(text.as_bytes()) {
            let Ok(LogEntry::Interval(interval)) = entry else { continue };
            found.push((interval.start_timestamp(), interval.duration(), interval.max()));
        }
        let at = |ms| Duration::from_millis(ms);
        let short = at(250);
        // 2 ms is in a bucket of 1/64 of a power of two, whose middle is told.
        let longest = found[0].2;
        assert!((1.99..2.02).contains(&longest), "{longest}");
        let expected = [(0, longest), (250, 0.0), (500, 0.0), (750, longest)];
        assert_eq!(found, expected.map(|(ms, max)| (at(ms), short, max)));
    }
}
