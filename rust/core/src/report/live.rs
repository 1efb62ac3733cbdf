//! The line per second.

use super::text::live_line;
use crate::run::mode::Meaning;
use crate::run::{Row, Totals};

const SECOND_NS: u64 = 1_000_000_000;

/// Gathers rows into lines of a second, or of an interval where that is longer.
pub struct Live {
    meaning: Meaning,
    interval_ns: u64,
    totals: Totals,
    start_ns: u64,
}

impl Live {
    /// For rows of `interval_ns`.
    #[must_use]
    pub fn new(meaning: Meaning, interval_ns: u64) -> Self {
        Self { meaning, interval_ns, totals: Totals::default(), start_ns: 0 }
    }

    /// Takes in the next row; the line that it completes. A second in which nothing happened has
    /// none: nothing was started yet, or all has been stopped.
    pub fn push(&mut self, row: &Row) -> Option<String> {
        self.totals += &row.totals;
        let end_ns = row.start_ns + self.interval_ns;
        if end_ns / SECOND_NS == row.start_ns / SECOND_NS {
            return None;
        }
        let totals = std::mem::take(&mut self.totals);
        let start_ns = std::mem::replace(&mut self.start_ns, end_ns);
        (!totals.is_quiet()).then(|| live_line(self.meaning, end_ns, end_ns - start_ns, &totals))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Counter;

    #[test]
    fn a_line_sums_up_a_second() {
        let mut live = Live::new(Meaning::Measures, 250_000_000);
        let mut lines = Vec::new();
        for i in 0..8 {
            let mut totals = Totals::default();
            if i < 4 {
                totals.counts[Counter::Sent] = 250;
                totals.counts[Counter::Valid] = 249;
                totals.lost = 1;
            }
            lines.extend(live.push(&Row {
                start_ns: i * 250_000_000,
                totals,
                percentiles_ns: None,
            }));
        }
        assert_eq!(lines, ["    1.0 s  tx 1.000 kpps  rx 996.0 pps  lost 4 (0.400 %)"]);
    }
}
