//! The receiving end of one rx queue: verifies, counts, measures.

use crate::packet::payload::{Header, expand};
use crate::packet::verify::Verifier;
use crate::stats::{Counter, Latency, Recorder};

/// Judges what arrives on one rx queue.
///
/// Valid packets count in the interval in which they were sent, all others in that in which they
/// arrived.
pub struct Receiver {
    recorder: Recorder,
    verifier: Verifier,
    /// Valid packets of one interval that are not in its slot yet: a burst mostly has one.
    pending: Latency,
    pending_interval: u64,
}

impl Receiver {
    /// Counts with `recorder` what `verifier` says.
    #[must_use]
    pub fn new(recorder: Recorder, verifier: Verifier) -> Self {
        Self { recorder, verifier, pending: Latency::default(), pending_interval: 0 }
    }

    /// To be called first in every poll, also when nothing arrived.
    pub fn poll(&mut self, now_ns: u64) {
        self.recorder.poll(now_ns);
    }

    /// Takes in a frame that arrived at `now_ns`; see [`Verifier::check`] for the other arguments.
    /// Call [`Receiver::flush`] after the last one of a burst.
    #[inline]
    pub fn receive(&mut self, now_ns: u64, frame: &[u8], wire_len: usize, partial_checksums: bool) {
        let counter = match self.verifier.check(frame, wire_len, partial_checksums) {
            Ok(header) => match self.arrive(now_ns, header) {
                Ok(()) => return,
                Err(counter) => counter,
            },
            Err(counter) => counter,
        };
        self.reject(now_ns, counter);
    }

    fn arrive(&mut self, now_ns: u64, Header { id, time48_ns }: Header) -> Result<(), Counter> {
        let sent_ns = expand(now_ns, time48_ns);
        let interval = self.recorder.interval(sent_ns);
        if self.recorder.is_closed(interval) {
            let again = self.recorder.arrived(id.stream).contains(id.seq);
            return Err(if again { Counter::Duplicate } else { Counter::Late });
        }
        if !self.recorder.is_plausible(now_ns, interval, id.stream, id.seq) {
            return Err(Counter::ForeignRun);
        }
        if !self.recorder.arrived(id.stream).insert(id.seq) {
            return Err(Counter::Duplicate);
        }
        if interval != self.pending_interval {
            self.flush();
            self.pending_interval = interval;
        }
        let latency_ns = now_ns.saturating_sub(sent_ns);
        self.pending.record(latency_ns);
        self.recorder.record_latency(latency_ns);
        Ok(())
    }

    #[cold]
    fn reject(&mut self, now_ns: u64, counter: Counter) {
        let interval = self.recorder.interval(now_ns);
        self.recorder.add(interval, Counter::Received, 1);
        self.recorder.add(interval, counter, 1);
    }

    /// Publishes what [`Receiver::receive`] has gathered.
    pub fn flush(&mut self) {
        if self.pending.count > 0 {
            let valid = std::mem::take(&mut self.pending);
            self.recorder.add(self.pending_interval, Counter::Received, valid.count);
            self.recorder.add(self.pending_interval, Counter::Valid, valid.count);
            self.recorder.add_latency(self.pending_interval, &valid);
        }
    }
}
