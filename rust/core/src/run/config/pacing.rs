//! When the packets of a configuration are due, and when its sending ends.

use super::Config;
use crate::work::pacer::{Bounds, Pacer, Rate, TxMode};

impl Config {
    /// Total rate of all tx queues; `None`: as fast as possible.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.sendrecv.as_ref()?.pacing.map(|pacing| pacing.rate)
    }

    /// Whether the rate is a share of the line rate that [`Config::resolve_line_rate`] has not yet
    /// converted.
    #[must_use]
    pub fn awaits_line_rate(&self) -> bool {
        self.sendrecv.as_ref().is_some_and(|sendrecv| sendrecv.line_share.is_some())
    }

    /// The tx mode; `None` without a rate.
    #[must_use]
    pub fn tx_mode(&self) -> Option<TxMode> {
        self.sendrecv.as_ref()?.pacing.map(|pacing| pacing.tx_mode)
    }

    /// The pacer of tx queue `queue` (numbered through all ports), with its share of the rate and of the packet count.
    #[must_use]
    pub fn pacer(&self, queue: u16) -> Pacer {
        let pacing = self.sendrecv.as_ref().and_then(|sendrecv| sendrecv.pacing);
        let due = self.due_in_trial();
        let bounds = Bounds {
            count: due.map_or(self.count, |due| Some(due.min(self.count.unwrap_or(due)))),
            end_ns: self.duration_ns,
            burst: self.tx_burst,
            latest_ns: self.timeout_ns,
        };
        Pacer::new(pacing, queue, self.ports().all_tx_queues(), bounds)
    }

    /// Packets that are due in a trial with a rate and a duration. They are all sent, as far as
    /// `--catch-up` allows, even if the last ones are late: a trial compares what was sent with
    /// what was due, and a sender that was held up in its last moment has not failed.
    fn due_in_trial(&self) -> Option<u64> {
        let rate = self.rate().filter(|_| self.trials)?;
        self.duration_ns.map(|duration_ns| rate.packets_before(duration_ns))
    }

    /// When sending ends at the latest, in ns since the start: after the duration, and in a trial
    /// with a rate when all that was due by then is sent, or given up.
    #[must_use]
    pub fn sending_end_ns(&self) -> Option<u64> {
        let late_ns = self.due_in_trial().map_or(0, |_| self.pacer(0).catch_up_ns());
        self.duration_ns.map(|duration_ns| duration_ns.saturating_add(late_ns))
    }

    /// When sending ends at the earliest, in ns since the start, although all may be sent: a trial
    /// with a rate lasts its duration, unless its packet count is reached before.
    #[must_use]
    pub fn sending_least_ns(&self) -> u64 {
        let due = self.due_in_trial();
        let is_whole = due.is_some_and(|due| self.count.is_none_or(|count| due <= count));
        self.duration_ns.filter(|_| is_whole).unwrap_or(0)
    }
}
