//! How many intervals and packets may be open at once.

use super::Config;
use crate::count::Shape;
use crate::work::pacer::Rate;

/// Maximum packets per second that the sequence maps of an unpaced run are sized for. A sender that
/// exceeds it is held back (see `count::board`); nothing is miscounted.
const UNPACED_PPS: f64 = 100e6;
/// Maximum number of sequence numbers in the maps of all streams and receivers together: 256 MiB of
/// words, whose pages are taken when numbers first reach them.
const ALL_WINDOWS: u64 = 1 << 30;
/// Minimum number of sequence numbers per stream, however few packets it sends.
const SMALL_WINDOW: u64 = 1 << 18;
/// Maximum number of sequence numbers that one receiver remembers.
const LARGEST_WINDOW: u64 = 1 << 28;
/// Number of sequence numbers that one receiver remembers at least, however many receivers there
/// are.
const SURE_WINDOW: u64 = 1 << 26;

impl Config {
    /// Time span that may be open at once: the timeout, the interval being written, and a margin
    /// for the collector, which may share its core with workers.
    pub(super) fn open_ns(&self) -> u64 {
        const SLACK_NS: u64 = 500_000_000;
        self.timeout_ns + 2 * self.interval_ns + SLACK_NS
    }

    /// Maximum number of sequence numbers, all streams together, that one receiver can remember.
    pub(super) fn max_window(&self) -> u64 {
        let share = ALL_WINDOWS / u64::from(self.ports().all_rx_queues().max(1));
        // A power of two, like the maps.
        (1 << share.ilog2()).clamp(SURE_WINDOW, LARGEST_WINDOW)
    }

    /// Maximum number of packets, all streams together, that can be received before the interval of
    /// the first of them is closed.
    #[must_use]
    pub fn window(&self) -> u64 {
        let all =
            self.shape().window.saturating_mul(u64::from(self.ports().all_tx_queues().max(1)));
        all.min(self.max_window())
    }

    /// Dimensions of the statistics.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let open_ns = self.open_ns();
        let streams = self.ports().all_tx_queues().max(1);
        let rate = self.rate();
        let pps = rate.map_or(UNPACED_PPS, Rate::pps) / f64::from(streams);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "capped below")]
        let window = (pps * open_ns as f64 / 1e9) as u64;
        Shape {
            interval_ns: self.interval_ns,
            intervals: open_ns.div_ceil(self.interval_ns) + 2,
            // Twice what may be open: a duplicate is then recognised as one for as long again after
            // its interval was closed, and not taken for a late packet.
            window: window
                .saturating_mul(2)
                .max(SMALL_WINDOW)
                .min(self.count.unwrap_or(u64::MAX))
                .clamp(1 << 12, self.max_window() / u64::from(streams)),
        }
    }
}
