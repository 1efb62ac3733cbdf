//! What a run asks the reflector, and what it makes of the answers.

use super::ending::Ending;
use super::{Found, Run};
use crate::control::peer::{Known, Peer};

/// Timeout of a question to the reflector.
pub(super) const ANSWER_NS: u64 = 1_000_000_000;
/// Interval of questions to the reflector during the run, for the snapshot.
const ASK_NS: u64 = 1_000_000_000;

impl Run {
    /// Asks the reflector every second and stores the difference between its answers.
    pub(super) fn ask_for_snapshot(&mut self, now_ns: u64) {
        let (Known::Report(_), Ending::NotYet) = (self.before.peer, &self.ending) else { return };
        if !self.config.live || self.inquiries.is_waiting() {
            return;
        }
        let known = self.inquiries.known();
        let told = (self.before.peer, known);
        self.checkpoints.answer(now_ns, told, self.port_missed, &self.collector);
        if now_ns < self.asked_ns + ASK_NS {
            return;
        }
        if self.asked_ns > 0 {
            self.peer_second = Peer::between(self.peer_before, known);
        }
        if let Known::Report(_) = known {
            self.peer_before = known;
        }
        self.asked_ns = now_ns;
        self.checkpoints.ask(&self.collector);
        self.inquiries.begin(now_ns, now_ns + ANSWER_NS);
    }

    /// What the reflector counted in this run. Valid when the run is over.
    #[must_use]
    pub fn peer(&self) -> Peer {
        let end = match self.ending {
            Ending::Asking => self.inquiries.known(),
            Ending::NotYet | Ending::Draining => self.before.peer,
        };
        Peer::between(self.before.peer, end)
    }

    /// What this preliminary run found out. Valid when it is over.
    #[must_use]
    pub fn found(&self) -> Found {
        // A signal may have made the warm-up shorter than was asked for.
        let asked_ns = self.config.duration_ns.unwrap_or(0);
        Found { peer: self.inquiries.known(), warmup_ns: asked_ns.min(self.stopped_ns) }
    }

    /// What the end of this run tells about the start of the next one: the reflector's counters,
    /// which no packet in flight can change any more. `None` if they may still change, or are
    /// unknown. Valid when it is finished.
    #[must_use]
    pub fn found_at_rest(&self) -> Option<Found> {
        let is_known = matches!(self.ending, Ending::Asking) && self.nothing_is_in_flight();
        is_known.then(|| Found { peer: self.inquiries.known(), warmup_ns: 0 })
    }
}
