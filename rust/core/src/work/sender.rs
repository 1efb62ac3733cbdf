//! The sending end of one tx queue.

use super::pacer::{LATE_NS, MOST_AT_ONCE, Pacer};
use super::self_check::SelfCheck;
use crate::count::log_linear::buckets_until;
use crate::count::{Counter, Recorder};
use crate::wire::TxFrame;
use crate::wire::templates::Templates;

/// Each burst has one buffer checked. Burst `k` checks the buffer of its packet `k % PROBES`, if it
/// has that many packets.
const PROBES: usize = 64;

/// Longest busy-wait for the next due packet. It bounds the delay of other workers on the lcore.
const WAIT_NS: u64 = 20_000;

/// Paces, builds and counts the packets of one tx queue.
///
/// Each poll is [`Sender::build`] and, where that built packets, [`Sender::sent`].
pub struct Sender {
    recorder: Recorder,
    pacer: Pacer,
    templates: Templates,
    stream: u16,
    /// End of sending. The worker checks it itself, so that the run ends exactly on an interval
    /// boundary and not on the next tick of the control thread.
    end_ns: u64,
    /// It is not done before, although all may be sent.
    least_ns: u64,
    /// Sequence number of the next packet. Only a packet that the driver accepted uses up a number,
    /// so that a gap is a loss.
    seq: u64,
    /// Packets of the current burst, not counted yet.
    granted: u16,
    /// Send time of the current burst.
    stamp_ns: u64,
    /// When a burst was last not sent completely, and why. Packets due up to then that are given up
    /// are counted under that reason.
    refused: Option<(u64, Counter)>,
    /// Lateness of each packet of the current burst, as a histogram bucket.
    latenesses: [u16; MOST_AT_ONCE],
    /// `None` without a rate, and where the port does the pacing.
    check: Option<SelfCheck>,
    /// Index of the packet in the current burst whose buffer is checked for an unchanged filler.
    probe: usize,
    /// A check failed: something changes the buffers, so each packet is written completely.
    rewrites: bool,
}

/// The result of [`Sender::build`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Built {
    /// Number of packets. They are in the last frames of the slice.
    pub packets: u16,
    /// Their send time, in ns since the start of the run.
    pub leaves_ns: u64,
}

impl Sender {
    /// A sender for tx queue `stream`. It stops at `end_ns` (`None`: only when [`Sender::stop`] is
    /// called).
    #[must_use]
    pub fn new(
        recorder: Recorder,
        pacer: Pacer,
        templates: impl Into<Templates>,
        stream: u16,
        end_ns: Option<u64>,
    ) -> Self {
        let check = pacer.is_kept_here().then(|| SelfCheck::new(pacer.gap_ns()));
        Self {
            recorder,
            pacer,
            check,
            templates: templates.into(),
            stream,
            end_ns: end_ns.unwrap_or(u64::MAX),
            least_ns: 0,
            seq: 0,
            granted: 0,
            stamp_ns: 0,
            refused: None,
            latenesses: [0; MOST_AT_ONCE],
            probe: 0,
            rewrites: false,
        }
    }

    /// The same sender, which is not done before `least_ns`, although all may be sent: its run has a
    /// duration.
    #[must_use]
    pub fn not_done_before(self, least_ns: u64) -> Self {
        Self { least_ns, ..self }
    }

    /// Fills buffer `index` of the mempool with what all packets of this sender have in common.
    /// `frame` is the memory of the buffer; one shorter than a frame is left unchanged. Call once for
    /// each buffer of the mempool.
    pub fn prepare(&self, index: u64, frame: &mut [u8]) {
        self.templates.prepare(index, frame);
    }

    /// Builds the packets due by `due_by_ns`, in the last ones of `frames`. The frames are prepared
    /// buffers (see [`Sender::prepare`]), each of the length of the longest packet, and are cut to the
    /// lengths of the packets built in them. Call in every poll.
    ///
    /// The send time is `now_ns`, or the due time of the first packet if that is later, as it is
    /// where the port does the pacing. An empty `frames` means that no mbufs were available: due
    /// packets are counted as not sent for that reason.
    pub fn build<F: TxFrame>(&mut self, now_ns: u64, due_by_ns: u64, frames: &mut [F]) -> Built {
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

    /// Number of packets to send now: those due by `due_by_ns`, at most `burst`.
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
        let granted = self.grant(due_by_ns, burst);
        self.recorder.note_whether_work(granted > 0);
        granted
    }

    /// The time until which to busy-wait so that the next packet leaves exactly when it is due.
    /// Returns `now_ns` (do not wait, poll) if that is more than 20 us away.
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

    /// When the next packet is due, in ns since the start; `u64::MAX` if there is none, or no rate.
    #[must_use]
    pub fn next_due_ns(&self) -> u64 {
        self.pacer.next_due_ns()
    }

    fn grant(&mut self, now_ns: u64, burst: u16) -> u16 {
        let room = self.recorder.may_send(now_ns, self.stream, self.seq, burst);
        if room == 0 {
            self.recorder.held_back();
            return 0;
        }
        self.granted = self.pacer.grant(now_ns, room);
        if self.granted == 0 && self.pacer.is_done() && now_ns >= self.least_ns {
            self.recorder.done(now_ns);
        }
        self.granted
    }

    /// Gives up packets that are too late at `now_ns`. They count in the interval in which they
    /// were due; those beyond the open intervals are left for a later call.
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

    /// Due time of the first packet of the current burst; without a rate, the time of the poll.
    fn due_ns(&self) -> u64 {
        self.pacer.due_ns().first().copied().unwrap_or(self.stamp_ns)
    }

    /// No mbufs were available for the burst. With a rate, its packets stay due.
    #[cold]
    fn no_mbuf(&mut self) {
        self.settle(0, Counter::NoMbuf);
    }

    /// Writes the packets of the burst, sent at `now_ns`, into `frames`.
    fn write_burst<F: TxFrame>(&mut self, now_ns: u64, frames: &mut [F]) {
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
        self.templates.cut(self.seq, frames);
    }

    fn write<F: TxFrame>(&mut self, frames: &mut [F]) {
        let now_ns = self.stamp_ns;
        let due_ns = self.pacer.due_ns();
        let latenesses = &mut self.latenesses[..due_ns.len()];
        buckets_until(now_ns, due_ns, latenesses);
        self.templates.write(self.seq, now_ns, latenesses, frames);
    }

    /// Whether the frame checked in this burst no longer has the filler that it was prepared with.
    /// If so, every frame has to be prepared again for every packet.
    fn is_probe_changed<F: TxFrame>(&self, frames: &mut [F]) -> bool {
        let probe = frames.get_mut(self.probe);
        probe.is_some_and(|frame| !self.templates.is_prepared(frame.as_mut()))
    }

    fn prepare_all<F: TxFrame>(&self, frames: &mut [F]) {
        for (seq, frame) in (self.seq..).zip(frames) {
            self.templates.prepare(seq, frame.as_mut());
        }
    }

    /// The driver accepted the first `accepted` packets of the burst. `at_ns` is the time of the tx
    /// call; it is ignored without a rate. With a rate, the other packets stay due.
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

    /// Counts the first `packets` of the current burst in the intervals in which they were due.
    /// They were sent in interval `sent_in`.
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

    /// Stops sending at `now_ns`, or at the end of the run if that has passed. Packets that were
    /// due before and are not sent are given up. A stop at time 0, before anything is due, ends the
    /// run before it begins.
    pub fn stop(&mut self, now_ns: u64) {
        let end_ns = now_ns.min(self.end_ns);
        self.end_ns = u64::MAX;
        self.pacer.stop(end_ns);
        self.give_up(end_ns);
    }
}

#[cfg(test)]
mod tests;
