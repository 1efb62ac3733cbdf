//! The end of a run: of sending, the wait for in-flight packets, and the last question to the reflector.

use super::questions::ANSWER_NS;
use super::{Kind, Phase, Run};
use crate::control::peer::{Known, Peer};
use crate::count::Counter;

/// After this time, the user is told that in-flight packets are waited for.
const DRAIN_SAID_NS: u64 = 2_000_000_000;
/// After this time, the user is told that the reflector has not answered yet.
const WAIT_SAID_NS: u64 = 2_000_000_000;
/// Interval of questions to the reflector after a trial, on whether packets are still in flight.
const SETTLE_NS: u64 = 20_000_000;

/// How far the end of a run has come.
pub(super) enum Ending {
    NotYet,
    /// Waiting for in-flight packets.
    Draining,
    /// Waiting for the reflector's answer.
    Asking,
}

impl Run {
    pub(super) fn advance(&mut self, now_ns: u64, stop_requested: bool) -> Phase {
        if self.kind == Kind::Resolving {
            let is_over = self.resolve(now_ns) || stop_requested;
            self.stopped_ns = now_ns;
            return if is_over { Phase::Over } else { Phase::Run };
        }
        if stop_requested && std::mem::take(&mut self.stopped_by_itself) {
            // A signal during the drain ends it now.
            let waited_ns = now_ns.saturating_sub(self.stopped_ns);
            self.config.drain_ns = self.config.drain_ns.min(waited_ns);
        }
        if let Ending::NotYet = self.ending {
            let ends = stop_requested || self.is_time_over(now_ns) || self.is_count_reached();
            if !ends && !self.is_idle(now_ns) {
                return Phase::Run;
            }
            self.stopped_by_itself = !stop_requested;
            self.stopped_ns = now_ns;
            self.lost_at_stop = self.collector.totals().lost;
            self.ending = Ending::Draining;
            return Phase::Drain;
        }
        if self.is_over(now_ns) { Phase::Over } else { Phase::Drain }
    }

    fn is_time_over(&self, now_ns: u64) -> bool {
        let is_after = |end_ns: Option<u64>| end_ns.is_some_and(|end_ns| now_ns >= end_ns);
        is_after(self.config.sending_end_ns())
            || is_after(self.config.duration_ns) && self.collector.sending_done_ns().is_some()
    }

    fn is_count_reached(&self) -> bool {
        match self.config.count {
            Some(count) if self.config.sendrecv.is_none() => self.collector.received() >= count,
            Some(_) => self.collector.sending_done_ns().is_some(),
            None => false,
        }
    }

    fn is_idle(&mut self, now_ns: u64) -> bool {
        let Some(idle_ns) = self.readiness.idle_too_long(now_ns) else { return false };
        self.remarks.push(format!(
            "nobody has sent anything for {:.1} s: ending (--idle-exit)",
            idle_ns as f64 / 1e9
        ));
        true
    }

    fn is_over(&mut self, now_ns: u64) -> bool {
        let Some(sendrecv) = &self.config.sendrecv else { return true };
        let wait_ns = sendrecv.wait_peer_ns.filter(|_| self.kind == Kind::Waiting);
        if let Ending::Asking = self.ending {
            if wait_ns.is_some() && now_ns >= self.stopped_ns + WAIT_SAID_NS {
                let peers = self.peers();
                self.remarks.push(format!("{peers} does not answer yet: asking on (--wait-peer)"));
            }
            return !self.inquiries.is_waiting() || wait_ns.is_some() && self.was_stopped();
        }
        let sending_done = self.collector.sending_done_ns().is_some();
        // Packets that have timed out since then may still arrive, late.
        let given_up = self.collector.totals().lost > self.lost_at_stop;
        let drained = sending_done && !given_up && self.collector.is_drained();
        let expired = now_ns >= self.stopped_ns + self.config.drain_ns;
        if !drained && !expired {
            if now_ns >= self.stopped_ns + DRAIN_SAID_NS {
                self.remarks.push(format!(
                    "sending has ended; waiting up to {} s for in-flight packets (--drain)",
                    self.config.drain_ns as f64 / 1e9
                ));
            }
            return self.config.trials && sending_done && self.is_settled(now_ns);
        }
        // The runs before the measurement find out whether there is an answer at all.
        let answers = matches!(self.before.peer, Known::Report(_));
        if !sendrecv.ask_peer || !(answers || self.kind != Kind::Measurement) {
            return true;
        }
        self.ending = Ending::Asking;
        let timeout_ns = wait_ns.unwrap_or(ANSWER_NS);
        self.inquiries.begin(now_ns, now_ns.saturating_add(timeout_ns));
        false
    }

    /// Whether waiting for the missing packets is pointless: the reflector has received all that
    /// was sent, and all that it sent back has arrived. Asks the reflector until it confirms that.
    /// If packets are lost on the path, it never does.
    fn is_settled(&mut self, now_ns: u64) -> bool {
        if self.inquiries.is_waiting() {
            return false;
        }
        if self.nothing_is_in_flight() {
            // No further answer is needed: this one holds for the whole run.
            self.ending = Ending::Asking;
            return true;
        }
        if now_ns >= self.asked_ns + SETTLE_NS && matches!(self.before.peer, Known::Report(_)) {
            self.asked_ns = now_ns;
            self.inquiries.begin(now_ns, now_ns + ANSWER_NS);
        }
        false
    }

    /// Whether the last answer of the reflector, if it is one for this run, accounts for every packet
    /// that is not here.
    pub(super) fn nothing_is_in_flight(&self) -> bool {
        let Peer::Counted(report) = Peer::between(self.before.peer, self.inquiries.known()) else {
            return false;
        };
        let sent = self.collector.counted(&[Counter::Sent]);
        let arrived = self.collector.counted(Counter::CAME_BACK);
        (report.count(Counter::Received), report.count(Counter::Sent)) == (sent, arrived)
    }
}
