//! When a run that waits for packets of others is ready, and how long it has been idle.

use super::config::Config;
use crate::count::Counter;

/// Counters of packets of flows: those that a mode returns, and those that it fails to return.
pub(super) const OF_FLOWS: [Counter; 5] = [
    Counter::Sent,
    Counter::TxQueueFull,
    Counter::ImpairDropped,
    Counter::ImpairCapped,
    Counter::ImpairOverflow,
];

/// Input of [`Readiness::observe`].
pub(super) struct Now {
    pub(super) ns: u64,
    /// Every worker has polled, and every link is up.
    pub(super) can_receive: bool,
    /// Packets of flows so far; 0 if [`Readiness::is_limited`] is false.
    pub(super) packets: u64,
}

/// Whether the run is ready, and when something last happened.
pub(super) struct Readiness {
    /// Others wait for it: it does not send packets of its own.
    is_awaited: bool,
    is_ready: bool,
    /// It has become ready, and nobody has been told yet.
    is_news: bool,
    idle_exit_ns: Option<u64>,
    packets: u64,
    /// When it was last not idle, in ns since the start.
    active_ns: u64,
}

impl Readiness {
    /// The state before a run of `config` starts.
    pub(super) fn new(config: &Config) -> Self {
        Self {
            is_awaited: config.sendrecv.is_none(),
            is_ready: false,
            is_news: false,
            idle_exit_ns: config.idle_exit_ns,
            packets: 0,
            active_ns: 0,
        }
    }

    /// Whether it ends when idle.
    pub(super) fn is_limited(&self) -> bool {
        self.idle_exit_ns.is_some()
    }

    /// A sender has asked something.
    pub(super) fn note_question(&mut self, now_ns: u64) {
        self.active_ns = now_ns;
    }

    pub(super) fn observe(&mut self, now: &Now) {
        let becomes_ready = self.is_awaited && !self.is_ready && now.can_receive;
        self.is_ready |= becomes_ready;
        self.is_news |= becomes_ready;
        if becomes_ready || now.packets != self.packets {
            self.active_ns = now.ns;
        }
        self.packets = now.packets;
    }

    /// Whether it has become ready since the last call.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.is_news)
    }

    /// For how long it has been idle, in ns, if that is too long.
    pub(super) fn idle_too_long(&self, now_ns: u64) -> Option<u64> {
        let idle_ns = now_ns.saturating_sub(self.active_ns);
        self.idle_exit_ns.filter(|limit_ns| idle_ns >= *limit_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readiness(idle_exit_ns: Option<u64>) -> Readiness {
        Readiness {
            is_awaited: true,
            is_ready: false,
            is_news: false,
            idle_exit_ns,
            packets: 0,
            active_ns: 0,
        }
    }

    fn now(ns: u64, can_receive: bool, packets: u64) -> Now {
        Now { ns, can_receive, packets }
    }

    #[test]
    fn it_becomes_ready_once_when_it_can_receive() {
        let mut ready = readiness(None);
        ready.observe(&now(0, false, 0));
        assert!(!ready.take_news());
        ready.observe(&now(5, true, 0));
        assert!(ready.take_news() && !ready.take_news());
        ready.observe(&now(6, false, 0));
        ready.observe(&now(7, true, 0));
        assert!(!ready.take_news(), "a link that comes back is no news");
        let mut sender = Readiness { is_awaited: false, ..readiness(None) };
        sender.observe(&now(5, true, 0));
        assert!(!sender.take_news(), "nobody waits for a sender");
    }

    #[test]
    fn idle_time_begins_anew_with_readiness_packets_and_questions() {
        let mut ready = readiness(Some(10));
        ready.observe(&now(5, false, 0));
        assert_eq!(ready.idle_too_long(9), None);
        assert_eq!(ready.idle_too_long(10), Some(10), "also if it never becomes ready");
        ready.observe(&now(8, true, 0));
        assert_eq!((ready.idle_too_long(17), ready.idle_too_long(18)), (None, Some(10)));
        ready.observe(&now(16, true, 3));
        assert_eq!((ready.idle_too_long(25), ready.idle_too_long(26)), (None, Some(10)));
        ready.note_question(25);
        ready.observe(&now(30, true, 3));
        assert_eq!((ready.idle_too_long(34), ready.idle_too_long(35)), (None, Some(10)));
        assert_eq!(readiness(None).idle_too_long(u64::MAX), None);
    }
}
