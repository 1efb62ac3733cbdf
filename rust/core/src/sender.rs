//! The sending end of one tx queue.

use crate::Pacer;
use crate::packet::template::Template;
use crate::stats::{Counter, Recorder};

/// Paces, builds and counts the packets of one tx queue.
///
/// A burst is [`Sender::poll`], then either [`Sender::no_mbuf`], or [`Sender::stamp`],
/// [`Sender::write`] for each packet and [`Sender::sent`].
pub struct Sender {
    recorder: Recorder,
    pacer: Pacer,
    template: Template,
    stream: u16,
    /// When to stop by itself: to the interval, not to the tick of a control thread.
    end_ns: u64,
    /// Of the next packet. Only packets that the driver took use a number up: a gap is a loss.
    seq: u64,
    /// What the pacer said for the burst at hand, not counted yet.
    granted: u64,
    shortfall: u64,
    /// When the burst at hand is sent, and how many of its packets are written.
    stamp_ns: u64,
    written: u64,
}

impl Sender {
    /// For tx queue `stream`, until `end_ns` at the latest (`None`: until stopped).
    #[must_use]
    pub fn new(
        recorder: Recorder,
        pacer: Pacer,
        template: Template,
        stream: u16,
        end_ns: Option<u64>,
    ) -> Self {
        Self {
            recorder,
            pacer,
            template,
            stream,
            end_ns: end_ns.unwrap_or(u64::MAX),
            seq: 0,
            granted: 0,
            shortfall: 0,
            stamp_ns: 0,
            written: 0,
        }
    }

    /// Bytes of each frame, without FCS.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.template.frame_len()
    }

    /// How many packets to send at `now_ns`: at most `burst`.
    pub fn poll(&mut self, now_ns: u64, burst: u16) -> u16 {
        if now_ns >= self.end_ns {
            // Up to the end, not beyond: that may be another interval, and this one is final once
            // the poll is published.
            self.finish(self.end_ns - 1, self.end_ns);
            self.end_ns = u64::MAX;
        }
        self.recorder.poll(now_ns);
        let room = self.recorder.may_send(now_ns, self.stream, self.seq, burst);
        if room == 0 {
            self.recorder.held_back();
            return 0;
        }
        let grant = self.pacer.grant(now_ns, room);
        if grant.packets == 0 {
            if self.pacer.is_done() {
                self.recorder.done(now_ns);
            }
            return 0;
        }
        self.granted = u64::from(grant.packets);
        self.shortfall = grant.shortfall;
        self.written = 0;
        self.stamp_ns = now_ns;
        grant.packets
    }

    /// There were no mbufs for the burst.
    pub fn no_mbuf(&mut self) {
        self.settle(0, Counter::NoMbuf);
    }

    /// The burst is about to be written and sent: `now_ns` is the send time of its packets.
    pub fn stamp(&mut self, now_ns: u64) {
        self.stamp_ns = now_ns;
    }

    /// Writes the next packet of the burst into `frame` of [`Sender::frame_len`] bytes.
    #[inline]
    pub fn write(&mut self, frame: &mut [u8]) {
        self.template.write(self.seq + self.written, self.stamp_ns, frame);
        self.written += 1;
    }

    /// The driver took the first `accepted` packets of the burst.
    pub fn sent(&mut self, accepted: u16) {
        self.settle(u64::from(accepted), Counter::TxQueueFull);
    }

    fn settle(&mut self, accepted: u64, reason: Counter) {
        let interval = self.recorder.interval(self.stamp_ns);
        let refused = self.granted - accepted;
        self.recorder.add(interval, Counter::Due, self.granted + self.shortfall);
        self.recorder.add(interval, Counter::PacerShortfall, self.shortfall);
        self.recorder.add(interval, Counter::Sent, accepted);
        self.recorder.add(interval, reason, refused);
        self.pacer.not_sent(refused);
        self.seq += accepted;
        self.granted = 0;
        self.shortfall = 0;
    }

    /// Nothing is sent from `now_ns` on.
    pub fn stop(&mut self, now_ns: u64) {
        self.finish(now_ns, now_ns);
    }

    /// What was due by `last_ns` counts there; nothing is sent from `end_ns` on.
    fn finish(&mut self, last_ns: u64, end_ns: u64) {
        let rest = self.pacer.stop(last_ns);
        let interval = self.recorder.interval(last_ns);
        self.recorder.add(interval, Counter::Due, rest);
        self.recorder.add(interval, Counter::PacerShortfall, rest);
        self.recorder.done(end_ns);
    }
}
