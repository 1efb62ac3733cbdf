//! The sending end of one tx queue.

use crate::log_linear::buckets_until;
use crate::pacer::{MOST_AT_ONCE, Pacer};
use crate::packet::HEADERS_LEN;
use crate::packet::control::{self, CONTROL_LEN};
use crate::packet::template::Template;
use crate::peer::Questions;
use crate::self_check::SelfCheck;
use crate::stats::{Counter, Recorder};

/// Of so many bursts one shows its first packet's buffer, one its second's, and so on.
const PROBES: usize = 64;

/// How long a sender that waits for its packets does so at most: so late may other workers of its
/// lcore be.
const WAIT_NS: u64 = 20_000;

/// Paces, builds and counts the packets of one tx queue.
///
/// A burst is [`Sender::poll`], then either [`Sender::no_mbuf`], or [`Sender::build`] and
/// [`Sender::sent`]. A question to the peer is a burst of one packet with another length.
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
    /// When the burst at hand is sent.
    stamp_ns: u64,
    /// How long after they were due its packets are sent, as buckets.
    lags: [u16; MOST_AT_ONCE],
    /// Only with a rate that is kept here.
    check: Option<SelfCheck>,
    /// Only one sender asks.
    questions: Option<Questions>,
    /// The burst at hand is a question.
    asking: bool,
    /// Which packet of the burst at hand is to show that buffers come back as they were.
    probe: usize,
    /// They do not: each packet is written whole.
    rewrites: bool,
}

/// What to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// How many packets.
    pub packets: u16,
    /// Bytes of each frame, without FCS.
    pub frame_len: usize,
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
        questions: Option<Questions>,
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
            shortfall: 0,
            stamp_ns: 0,
            lags: [0; MOST_AT_ONCE],
            questions,
            asking: false,
            probe: 0,
            rewrites: false,
        }
    }

    /// Fills the memory of buffer `index`, as long as the frames of this sender, with what all of
    /// its packets have in common. To be called once for each buffer that frames will come from.
    pub fn prepare(&self, index: u64, frame: &mut [u8]) {
        self.template.prepare(index, frame);
    }

    /// What to send at `now_ns`: at most `burst` packets.
    pub fn poll(&mut self, now_ns: u64, burst: u16) -> Burst {
        self.poll_ahead(now_ns, now_ns, burst)
    }

    /// The same, for packets that leave by themselves when they are due, `due_by_ns` at the latest,
    /// and not before `now_ns`.
    pub fn poll_ahead(&mut self, now_ns: u64, due_by_ns: u64, burst: u16) -> Burst {
        if due_by_ns >= self.end_ns {
            self.stop(due_by_ns);
        }
        self.recorder.poll(now_ns);
        if let Some(check) = &mut self.check {
            if check.poll(now_ns) {
                self.recorder.note_departures(check.counts());
            }
        }
        self.stamp_ns = now_ns;
        self.asking = self.questions.as_ref().is_some_and(Questions::is_due);
        if self.asking {
            return Burst { packets: 1, frame_len: HEADERS_LEN + CONTROL_LEN };
        }
        Burst { packets: self.grant(due_by_ns, burst), frame_len: self.template.frame_len() }
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
        let grant = self.pacer.grant(now_ns, room);
        if grant.packets == 0 {
            if self.pacer.is_done() {
                self.recorder.done(now_ns);
            }
            return 0;
        }
        self.granted = u64::from(grant.packets);
        self.shortfall = grant.shortfall;
        grant.packets
    }

    /// When the first packet of the burst at hand is due; when it was polled for where that is a
    /// question, or there is no rate.
    #[must_use]
    pub fn due_ns(&self) -> u64 {
        let due_ns = if self.asking { None } else { self.pacer.due_ns().first().copied() };
        due_ns.unwrap_or(self.stamp_ns)
    }

    /// There were no mbufs for the burst.
    pub fn no_mbuf(&mut self) {
        if !self.asking {
            self.settle(0, Counter::NoMbuf);
        }
    }

    /// Writes the packets of the burst, sent at `now_ns`, into `frames`: prepared ones as long as
    /// [`Sender::poll`] said.
    pub fn build<F: AsMut<[u8]>>(&mut self, now_ns: u64, frames: &mut [F]) {
        self.stamp_ns = now_ns;
        self.probe = (self.probe + 1) % PROBES;
        if self.asking {
            return frames.iter_mut().for_each(|frame| self.ask(frame.as_mut()));
        }
        if self.rewrites {
            self.prepare_all(frames);
        }
        if !self.write(frames) {
            self.prepare_those_of_questions(frames);
            self.write(frames);
        }
        if !self.rewrites && self.is_probe_changed(frames) {
            self.rewrites = true;
            self.recorder.buffers_changed();
            self.prepare_all(frames);
            self.write(frames);
        }
    }

    /// `false`, and some frames are not written, if a question stood in one of them.
    fn write<F: AsMut<[u8]>>(&mut self, frames: &mut [F]) -> bool {
        let now_ns = self.stamp_ns;
        let due_ns = self.pacer.due_ns();
        let lags = &mut self.lags[..due_ns.len()];
        buckets_until(now_ns, due_ns, lags);
        self.template.write(self.seq, now_ns, lags, frames)
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

    #[cold]
    fn prepare_those_of_questions<F: AsMut<[u8]>>(&self, frames: &mut [F]) {
        for (seq, frame) in (self.seq..).zip(frames) {
            let frame = frame.as_mut();
            if control::begins_in(frame) {
                self.template.prepare(seq, frame);
            }
        }
    }

    #[cold]
    fn ask(&mut self, frame: &mut [u8]) {
        if let Some(questions) = &mut self.questions {
            questions.write(frame);
        }
    }

    /// The driver was called at `at_ns` (of no meaning without a rate), and took the first `accepted`
    /// packets of the burst.
    pub fn sent(&mut self, at_ns: u64, accepted: u16) {
        if self.asking {
            let interval = self.recorder.interval(self.stamp_ns);
            self.recorder.add(interval, Counter::ControlSent, u64::from(accepted));
        } else {
            if let Some(check) = &mut self.check {
                check.left(at_ns, self.pacer.first_due_ns(accepted));
                self.recorder.note_departures(check.counts());
            }
            self.settle(u64::from(accepted), Counter::TxQueueFull);
        }
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

    /// Nothing is sent from `now_ns` on, or from the end on where that has passed. At time 0, before anything is due,
    /// that ends a run before it begins.
    pub fn stop(&mut self, now_ns: u64) {
        if now_ns < self.end_ns {
            self.finish(now_ns, now_ns);
        } else {
            // Up to the end, not beyond: that may be another interval, and this one is final once a
            // poll is published.
            self.finish(self.end_ns - 1, self.end_ns);
            self.end_ns = u64::MAX;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::content::Content;
    use crate::packet::control::{Question, ask};
    use crate::packet::flow::Flow;
    use crate::packet::reflect::reflect;
    use crate::packet::template::tests::{flow, template};
    use crate::packet::template::{Checksums, write_single};
    use crate::packet::verify::Verifier;
    use crate::stats::{Board, Collector, Role, Row, Shape};
    use crate::{Pacing, Pattern, Rate, Release};
    use std::sync::Arc;

    const SEED: u64 = 7;

    struct Rig {
        flow: Flow,
        sender: Sender,
        collector: Collector,
        verifier: Verifier,
        /// As a mempool gives them out: the same ones for every burst.
        buffers: Vec<Vec<u8>>,
    }

    impl Rig {
        fn new() -> Self {
            Self::paced(None)
        }

        /// That keeps `pacing`; intervals are closed without waiting.
        fn paced(pacing: Option<Pacing>) -> Self {
            let flow = flow(300, 1);
            let shape = Shape { interval_ns: 1_000_000, intervals: 8, window: 1 << 20 };
            let board = Board::new(shape, &[Role::Send { stream: 0 }]);
            let template = template(&flow, 0, SEED, Checksums::SOFTWARE);
            let room = template.frame_len() + 100;
            let pacer = Pacer::new(pacing, 0, 1, None);
            let sender = Sender::new(board.recorder(0), pacer, template, 0, None, None);
            let mut buffers = vec![vec![0xaa; room]; 4];
            for (index, buffer) in (0..).zip(&mut buffers) {
                sender.prepare(index, buffer);
            }
            let verifier = Verifier::new(&flow, Arc::new(Content::new(&flow, SEED)));
            Self { flow, sender, collector: Collector::new(board, 0), verifier, buffers }
        }

        /// How many packets of a burst are valid when they come back.
        fn valid(&mut self) -> usize {
            let Burst { packets, frame_len } = self.sender.poll(1000, 4);
            assert_eq!(packets, 4);
            let mut frames: Vec<_> =
                self.buffers.iter_mut().map(|buffer| &mut buffer[..frame_len]).collect();
            self.sender.build(1000, &mut frames);
            let mut valid = 0;
            for buffer in &self.buffers {
                let mut copy = buffer[..frame_len].to_vec();
                reflect(&mut copy, frame_len, false).unwrap();
                valid += usize::from(self.verifier.check(&copy, frame_len, false).is_ok());
            }
            self.sender.sent(1000, packets);
            valid
        }
    }

    fn per_ms(release: Release) -> Pacing {
        let rate = Rate::new(1, 1_000_000).unwrap();
        Pacing { rate, pattern: Pattern::Cbr, catch_up: Some(100), release }
    }

    #[test]
    fn what_is_sent_ahead_of_time_counts_when_it_leaves() {
        let mut rig = Rig::paced(Some(per_ms(Release::Hardware)));
        let mut rows = Vec::new();
        let mut note = |row: &Row| rows.push(row.totals.counts[Counter::Sent]);
        let mut send = |now_ns, due_by_ns| {
            let packets = rig.sender.poll_ahead(now_ns, due_by_ns, 1).packets;
            // The collector comes in between: it closes nothing that this packet may count in.
            rig.collector.tick(&mut note);
            let leaves_ns = rig.sender.due_ns().max(now_ns);
            rig.sender.build::<[u8; 0]>(leaves_ns, &mut []);
            rig.sender.sent(0, packets);
            (packets > 0).then_some(leaves_ns)
        };
        assert_eq!(send(800_000, 900_000), None);
        assert_eq!(send(950_000, 1_050_000), Some(1_000_000));
        assert_eq!(send(2_990_000, 3_090_000), Some(2_990_000), "due at 2 ms");
        assert_eq!(send(2_995_000, 3_095_000), Some(3_000_000));
        rig.sender.stop(3_500_000);
        rig.collector.finish(&mut note);
        assert_eq!(rows, [0, 1, 1, 1]);
    }

    #[test]
    fn who_is_told_to_stop_after_the_end_stops_at_the_end() {
        let mut rig = Rig::paced(Some(per_ms(Release::Burst)));
        rig.sender.end_ns = 5_000_000;
        assert_eq!(rig.sender.poll(900_000, 1).packets, 0);
        rig.sender.stop(9_000_000);
        rig.collector.finish(&mut |_| ());
        // Due at 1, 2, 3 and 4 ms; the one at 5 ms is not in the run.
        assert_eq!(rig.collector.totals().counts[Counter::Due], 4);
        assert_eq!(rig.collector.sending_done_ns(), Some(5_000_000));
    }

    #[test]
    fn nothing_was_due_in_what_ends_before_it_begins() {
        for pattern in [Pattern::Cbr, Pattern::Poisson(7), Pattern::Burst(4)] {
            let mut rig = Rig::paced(Some(Pacing { pattern, ..per_ms(Release::Burst) }));
            rig.sender.stop(0);
            assert_eq!(rig.sender.poll(900_000, 1).packets, 0);
            rig.collector.finish(&mut |_| ());
            assert_eq!(rig.collector.totals().counts[Counter::Due], 0, "{pattern:?}");
        }
    }

    #[test]
    fn a_sender_that_waits_was_stalled_if_it_came_late_to_do_so() {
        let mut rig = Rig::paced(Some(per_ms(Release::Spin)));
        let _ = rig.sender.poll(0, 1);
        assert_eq!(rig.sender.wait_until(9_000), 9_000);
        let _ = rig.sender.poll(9_000, 1);
        assert_eq!(rig.sender.wait_until(985_000), 1_000_000);
        let _ = rig.sender.poll(1_000_010, 1);
        rig.sender.build::<[u8; 0]>(1_000_010, &mut []);
        rig.sender.sent(1_000_020, 1);
        let departures = rig.collector.by_worker()[0].departures;
        assert_eq!((departures.stalls, departures.stall_ns), (1, 985_000 - 9_000));
    }

    #[test]
    fn buffers_that_stay_as_they_were_are_never_prepared_again() {
        let mut rig = Rig::new();
        for _ in 0..2 * PROBES {
            assert_eq!(rig.valid(), 4);
        }
        assert!(!rig.collector.has_changed_buffers());
    }

    #[test]
    fn a_buffer_that_was_a_questions_holds_a_whole_packet_again() {
        let mut rig = Rig::new();
        let question = ask(Question { run: 1, number: 2 });
        for turn in 0..2 * PROBES {
            let frame = &mut rig.buffers[turn % 4][..HEADERS_LEN + CONTROL_LEN];
            write_single(&rig.flow, &question, Checksums::SOFTWARE, frame);
            assert_eq!(rig.valid(), 4);
        }
        assert!(!rig.collector.has_changed_buffers());
    }

    #[test]
    fn once_a_buffer_comes_back_changed_each_packet_is_written_whole() {
        let mut rig = Rig::new();
        let change = |rig: &mut Rig| rig.buffers.iter_mut().for_each(|buffer| buffer[200] ^= 1);
        change(&mut rig);
        assert!((0..PROBES).any(|_| rig.valid() > 0));
        assert!(rig.collector.has_changed_buffers());
        for _ in 0..PROBES {
            change(&mut rig);
            assert_eq!(rig.valid(), 4);
        }
    }
}
