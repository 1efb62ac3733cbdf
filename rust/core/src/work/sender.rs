//! The sending end of one tx queue.

use super::pacer::{LATE_NS, MOST_AT_ONCE, Pacer};
use super::self_check::SelfCheck;
use crate::count::log_linear::buckets_until;
use crate::count::{Counter, Recorder};
use crate::wire::template::Template;

/// Of so many bursts one shows its first packet's buffer, one its second's, and so on.
const PROBES: usize = 64;

/// How long a sender that waits for its packets does so at most: so late may other workers of its
/// lcore be.
const WAIT_NS: u64 = 20_000;

/// Paces, builds and counts the packets of one tx queue.
///
/// Each poll is [`Sender::build`] and, where that built packets, [`Sender::sent`].
pub struct Sender {
    recorder: Recorder,
    pacer: Pacer,
    template: Template,
    stream: u16,
    /// When to stop by itself: to the interval, not to the tick of a control thread.
    end_ns: u64,
    /// Of the next packet. Only packets that the driver took use a number up: a gap is a loss.
    seq: u64,
    /// Packets of the burst at hand, not counted yet.
    granted: u16,
    /// When the burst at hand is sent.
    stamp_ns: u64,
    /// When a burst could last not be sent as a whole, and why: what was due until then waited for that.
    refused: Option<(u64, Counter)>,
    /// How long after they were due its packets are sent, as buckets.
    latenesses: [u16; MOST_AT_ONCE],
    /// Only with a rate that is kept here.
    check: Option<SelfCheck>,
    /// Which packet of the burst at hand is to show that buffers come back as they were.
    probe: usize,
    /// They do not: each packet is written whole.
    rewrites: bool,
}

/// What was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Built {
    /// How many packets: the last ones of the frames that were given.
    pub packets: u16,
    /// Their send time, in ns since the start of the run.
    pub leaves_ns: u64,
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
        let check = pacer.is_kept_here().then(|| SelfCheck::new(pacer.gap_ns()));
        Self {
            recorder,
            pacer,
            check,
            template,
            stream,
            end_ns: end_ns.unwrap_or(u64::MAX),
            seq: 0,
            granted: 0,
            stamp_ns: 0,
            refused: None,
            latenesses: [0; MOST_AT_ONCE],
            probe: 0,
            rewrites: false,
        }
    }

    /// Fills the memory of buffer `index`, as long as the frames of this sender, with what all of
    /// its packets have in common. To be called once for each buffer that frames will come from.
    pub fn prepare(&self, index: u64, frame: &mut [u8]) {
        self.template.prepare(index, frame);
    }

    /// Builds what is due by `due_by_ns` in the last ones of `frames`: buffers that were prepared, each as long as
    /// a frame. Packets leave at `now_ns`, or, where the port keeps the schedule and `due_by_ns` is later, when the first
    /// of them is due. With no frames, what is due is not sent for want of mbufs. To be called in every poll.
    pub fn build<F: AsMut<[u8]>>(
        &mut self,
        now_ns: u64,
        due_by_ns: u64,
        frames: &mut [F],
    ) -> Built {
        let most = u16::try_from(frames.len()).unwrap_or(u16::MAX);
        let packets = self.poll(now_ns, due_by_ns, most.max(1));
        let leaves_ns = self.due_ns().max(now_ns);
        if packets == 0 || frames.is_empty() {
            if packets > 0 {
                self.no_mbuf();
            }
            return Built { packets: 0, leaves_ns };
        }
        let first = frames.len() - usize::from(packets);
        self.write_burst(leaves_ns, &mut frames[first..]);
        Built { packets, leaves_ns }
    }

    /// How many packets to send of what is due by `due_by_ns`: at most `burst`.
    fn poll(&mut self, now_ns: u64, due_by_ns: u64, burst: u16) -> u16 {
        if due_by_ns >= self.end_ns {
            self.stop(due_by_ns);
        }
        self.recorder.poll_until(now_ns, self.pacer.next_due_ns());
        if let Some(check) = &mut self.check {
            if check.poll(now_ns) {
                self.recorder.note_departures(check.counts());
            }
        }
        self.stamp_ns = now_ns;
        if self.pacer.gives_up(now_ns) {
            self.give_up(now_ns);
        }
        self.grant(due_by_ns, burst)
    }

    /// Until when to wait, instead of polling at `now_ns`, for the next packet to leave just when it
    /// is due: `now_ns` where that is further off than 20 us.
    pub fn wait_until(&mut self, now_ns: u64) -> u64 {
        let due_ns = self.pacer.next_due_ns();
        if due_ns <= now_ns || due_ns - now_ns > WAIT_NS {
            return now_ns;
        }
        if let Some(check) = &mut self.check {
            if check.poll(now_ns) {
                self.recorder.note_departures(check.counts());
            }
            check.wait(due_ns);
        }
        due_ns
    }

    fn grant(&mut self, now_ns: u64, burst: u16) -> u16 {
        let room = self.recorder.may_send(now_ns, self.stream, self.seq, burst);
        if room == 0 {
            self.recorder.held_back();
            return 0;
        }
        self.granted = self.pacer.grant(now_ns, room);
        if self.granted == 0 && self.pacer.is_done() {
            self.recorder.done(now_ns);
        }
        self.granted
    }

    /// Gives up what is too late at `now_ns`: it counts where it was due, as far as the statistics reach by now.
    #[cold]
    fn give_up(&mut self, now_ns: u64) {
        let before_ns = self.pacer.gives_up_before(now_ns);
        loop {
            let due_ns = self.pacer.next_due_ns();
            let (interval, end_ns) = self.recorder.due_interval(due_ns);
            if due_ns >= before_ns || !self.recorder.reaches(interval) {
                break;
            }
            let mut until_ns = before_ns.min(end_ns);
            let mut reason = Counter::PacerShortfall;
            if let Some((refused_ns, why)) = self.refused.filter(|(ns, _)| due_ns <= *ns) {
                until_ns = until_ns.min(refused_ns + 1);
                reason = why;
            }
            let packets = self.pacer.pass(until_ns);
            self.recorder.add(interval, Counter::Due, packets);
            self.recorder.add(interval, reason, packets);
        }
        if self.pacer.is_done() {
            self.recorder.done(before_ns);
        }
    }

    /// When the first packet of the burst at hand is due; when it was polled for where there is no rate.
    fn due_ns(&self) -> u64 {
        self.pacer.due_ns().first().copied().unwrap_or(self.stamp_ns)
    }

    /// There were no mbufs for the burst. With a rate its packets stay due.
    #[cold]
    fn no_mbuf(&mut self) {
        self.settle(0, Counter::NoMbuf);
    }

    /// Writes the packets of the burst, sent at `now_ns`, into `frames`.
    fn write_burst<F: AsMut<[u8]>>(&mut self, now_ns: u64, frames: &mut [F]) {
        self.stamp_ns = now_ns;
        self.probe = (self.probe + 1) % PROBES;
        self.recorder.will_send_below(self.stream, self.seq + frames.len() as u64);
        if self.rewrites {
            self.prepare_all(frames);
        }
        self.write(frames);
        if !self.rewrites && self.is_probe_changed(frames) {
            self.rewrites = true;
            self.recorder.buffers_changed();
            self.prepare_all(frames);
            self.write(frames);
        }
    }

    fn write<F: AsMut<[u8]>>(&mut self, frames: &mut [F]) {
        let now_ns = self.stamp_ns;
        let due_ns = self.pacer.due_ns();
        let latenesses = &mut self.latenesses[..due_ns.len()];
        buckets_until(now_ns, due_ns, latenesses);
        self.template.write(self.seq, now_ns, latenesses, frames);
    }

    /// Whether the frame that is to show it in this burst has another filler than it was prepared with:
    /// then each is to be prepared for each packet.
    fn is_probe_changed<F: AsMut<[u8]>>(&self, frames: &mut [F]) -> bool {
        let probe = frames.get_mut(self.probe);
        probe.is_some_and(|frame| !self.template.is_prepared(frame.as_mut()))
    }

    fn prepare_all<F: AsMut<[u8]>>(&self, frames: &mut [F]) {
        for (seq, frame) in (self.seq..).zip(frames) {
            self.template.prepare(seq, frame.as_mut());
        }
    }

    /// The driver was called at `at_ns` (of no meaning without a rate), and took the first `accepted`
    /// packets of the burst. With a rate the others stay due.
    pub fn sent(&mut self, at_ns: u64, accepted: u16) {
        if let Some(check) = &mut self.check {
            check.left(at_ns, self.pacer.first_due_ns(accepted));
            self.recorder.note_departures(check.counts());
        }
        self.settle(accepted, Counter::TxQueueFull);
    }

    fn settle(&mut self, accepted: u16, reason: Counter) {
        let interval = self.recorder.interval(self.stamp_ns);
        if self.pacer.has_rate() {
            self.count_due(interval, accepted);
        } else {
            self.recorder.add(interval, Counter::Due, self.granted.into());
            self.recorder.add(interval, reason, (self.granted - accepted).into());
        }
        self.recorder.add(interval, Counter::Sent, accepted.into());
        if accepted < self.granted {
            self.refused = Some((self.stamp_ns, reason));
            self.pacer.put_back(self.granted - accepted);
        }
        self.seq += u64::from(accepted);
        self.granted = 0;
    }

    /// Counts the first packets of the burst at hand, which were sent in `sent_in`, where they were due.
    fn count_due(&mut self, sent_in: u64, packets: u16) {
        let due_ns = self.pacer.first_due_ns(packets);
        let (Some(&first_ns), Some(&last_ns)) = (due_ns.first(), due_ns.last()) else { return };
        let (interval, end_ns) = self.recorder.due_interval(first_ns);
        if last_ns < end_ns {
            self.recorder.add(interval, Counter::Due, packets.into());
        } else {
            self.count_due_one_by_one(packets);
        }
        if first_ns + LATE_NS < self.stamp_ns {
            self.count_late(sent_in, packets);
        }
    }

    #[cold]
    fn count_due_one_by_one(&mut self, packets: u16) {
        for due_ns in self.pacer.first_due_ns(packets) {
            let (interval, _) = self.recorder.due_interval(*due_ns);
            self.recorder.add(interval, Counter::Due, 1);
        }
    }

    #[cold]
    fn count_late(&mut self, sent_in: u64, packets: u16) {
        let is_late = |due_ns: &&u64| **due_ns + LATE_NS < self.stamp_ns;
        let late = self.pacer.first_due_ns(packets).iter().filter(is_late).count();
        self.recorder.add(sent_in, Counter::SentLate, late as u64);
    }

    /// Nothing is sent from `now_ns` on, or from the end on where that has passed, and what was due before and is not sent is
    /// given up. At time 0, before anything is due, that ends a run before it begins.
    pub fn stop(&mut self, now_ns: u64) {
        let end_ns = now_ns.min(self.end_ns);
        self.end_ns = u64::MAX;
        self.pacer.stop(end_ns);
        self.give_up(end_ns);
    }
}

#[cfg(test)]
mod tests;
