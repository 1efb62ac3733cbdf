//! The receiving end of one rx queue: verifies, counts, measures.

use super::order::Order;
use crate::count::log_linear::middle_ns;
use crate::count::{Again, Counter, Extents, Latency, Recorder, StampMap};
use crate::wire::RxFrame;
use crate::wire::format::{Payload, for_format};
use crate::wire::headers::Datagram;
use crate::wire::layout::{Headers, for_layout};
use crate::wire::payload::{expand, expand_seq};
use crate::wire::stamp::Stamp;
use crate::wire::verify::{Arrival, Verifier};

/// Later than any interval there is.
const NO_INTERVAL: u64 = u64::MAX;

/// Judges what arrives on one rx queue.
///
/// Valid packets count in the interval in which they were sent, all others in that in which they
/// arrived.
pub struct Receiver {
    recorder: Recorder,
    verifier: Verifier,
    order: Order,
    /// Frames of the burst at hand are for the control thread.
    has_slow: bool,
    /// Packets have a time at which they were due.
    paced: bool,
    /// Which stamps were here.
    stamps: StampMap,
    /// Packets of the burst at hand, one after the other, that were sent at the same time: mostly a
    /// sender's burst. All that follows from that time is found out once.
    together: SentTogether,
    /// Valid packets of one interval that are not in its slot yet: a burst mostly has one.
    pending: Latency,
    pending_interval: u64,
    pending_slot: usize,
    /// Of the pending ones, the reordered ones; and the extents of those of this burst.
    pending_reordered: u64,
    extents: Extents,
    /// Duplicates that are in no slot yet.
    duplicates: u64,
    last_latency_ns: Option<u64>,
    /// RFC 3550's interarrival jitter in sixteenths of a ns.
    jitter: u64,
}

#[derive(Default)]
struct SentTogether {
    time48_ns: u64,
    interval: u64,
    when: When,
    latency_ns: u64,
    /// Valid ones that are not in `pending` yet.
    packets: u32,
    /// Of those, the reordered ones.
    reordered: u32,
}

/// How an interval in which packets were sent stands to the present one.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum When {
    /// None is known: the next packet says.
    #[default]
    Unknown,
    /// Packets are taken.
    Open,
    /// They are late.
    Closed,
    /// Further ahead than clocks of two lcores can be apart: none is ours.
    Ahead,
}

/// What a [`Receiver`] is to look at besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceiverOptions {
    /// Packets have a time at which they were due.
    pub due_times: bool,
    /// Stamps of a reflector with up to so many queues; 0: none.
    pub stamping_queues: u16,
    /// The last ones of which it remembers: as many as may come until a duplicate of one is too late.
    pub stamps: u64,
}

impl Receiver {
    /// Counts with `recorder` what `verifier` says.
    #[must_use]
    pub fn new(recorder: Recorder, verifier: Verifier, options: ReceiverOptions) -> Self {
        Self {
            recorder,
            order: Order::new(verifier.sweeps()),
            verifier,
            has_slow: false,
            paced: options.due_times,
            stamps: StampMap::new(options.stamping_queues, options.stamps),
            together: SentTogether::default(),
            pending: Latency::default(),
            pending_interval: NO_INTERVAL,
            pending_slot: 0,
            pending_reordered: 0,
            extents: Extents::default(),
            duplicates: 0,
            last_latency_ns: None,
            jitter: 0,
        }
    }

    /// To be called first in every poll, also when nothing arrived.
    pub fn poll(&mut self, now_ns: u64) {
        self.recorder.poll(now_ns);
    }

    /// Takes in frames that arrived at `now_ns`; see [`Verifier::check`] for `partial_checksums`.
    /// Marks those that are for the control thread; whether there are any.
    pub fn receive<F: RxFrame>(
        &mut self,
        now_ns: u64,
        frames: &mut [F],
        partial_checksums: bool,
    ) -> bool {
        let partial = partial_checksums;
        self.has_slow = false;
        for_layout!(self.verifier.layout(), H => for_format!(self.verifier.format(), P => {
            self.take_all::<H, P, F>(now_ns, frames, partial);
        }));
        self.end_together();
        self.publish();
        if !self.extents.is_empty() {
            self.recorder.note_extents(std::mem::take(&mut self.extents));
        }
        // All of that holds for this time of arrival, and slots may be used again in the next poll.
        self.together.when = When::Unknown;
        self.pending_interval = NO_INTERVAL;
        self.has_slow
    }

    /// The same, compiled once for each layout and format of packets; see [`Verifier::check_usual_as`].
    #[inline(never)]
    fn take_all<H: Headers, P: Payload, F: RxFrame>(
        &mut self,
        now_ns: u64,
        frames: &mut [F],
        partial_checksums: bool,
    ) {
        for frame in frames {
            if let Some(arrival) = self.verifier.check_usual_as::<H, P>(frame.bytes()) {
                let arrived = self.arrive(now_ns, arrival);
                self.take_in(arrived, frame.bytes());
            } else {
                self.receive_any(now_ns, frame, partial_checksums);
            }
        }
    }

    /// The same for all frames: [`Verifier::check`] in two functions, so that what the usual one finds
    /// out stays in registers.
    #[cold]
    fn receive_any<F: RxFrame>(&mut self, now_ns: u64, frame: &mut F, partial_checksums: bool) {
        let judged = self.verifier.check_any(frame.bytes(), frame.wire_len(), partial_checksums);
        let arrived = judged.and_then(|arrival| {
            self.arrive(now_ns, arrival)?;
            // Its own interval: what is together was sent at the same time.
            let interval = self.together.interval;
            self.recorder.add(interval, Counter::NoUdpChecksum, u64::from(!arrival.has_checksum));
            Ok(())
        });
        if arrived == Err(Counter::ControlReceived) {
            self.recorder.add(self.recorder.now(), Counter::ControlReceived, 1);
            frame.set_slow();
            self.has_slow = true;
            return;
        }
        self.take_in(arrived, frame.bytes());
    }

    #[inline]
    fn take_in(&mut self, arrived: Result<(), Counter>, frame: &[u8]) {
        match arrived {
            Ok(()) => {}
            Err(Counter::Duplicate) => self.duplicates += 1,
            Err(counter) => self.reject(counter, frame),
        }
    }

    #[allow(clippy::inline_always, reason = "a call per packet costs a tenth of it")]
    #[inline(always)]
    fn arrive(&mut self, now_ns: u64, arrival: Arrival) -> Result<(), Counter> {
        let Arrival { header, flow, stamp, .. } = arrival;
        let stream = header.id.stream;
        if header.time48_ns != self.together.time48_ns || self.together.when == When::Unknown {
            self.begin_together(now_ns, header.time48_ns);
        }
        let released = self.recorder.released(stream);
        let seq = expand_seq(released, header.id.seq);
        if self.together.when != When::Open {
            return Err(self.out_of_time(stream, seq, stamp));
        }
        if !self.recorder.can_be_back(stream, released, seq) {
            return Err(Counter::ForeignRun);
        }
        if !self.recorder.arrived(stream).insert(seq) {
            return Err(self.not_first(stamp, Counter::Duplicate));
        }
        self.together.packets += 1;
        let latency_ns = self.together.latency_ns;
        if self.paced {
            self.recorder.record_since_due(latency_ns + middle_ns(header.lateness));
        }
        if let Some(stamp) = stamp {
            self.recorder.record_network(latency_ns.saturating_sub(stamp.residence_ns));
            self.stamps.insert(stamp.queue, stamp.seq);
        }
        if let Some(reordered) = self.order.arrive(flow, seq) {
            self.together.reordered += 1;
            self.extents.add(reordered.extent);
        }
        Ok(())
    }

    /// The packet at hand was sent at another time than the one before it.
    #[inline(never)]
    fn begin_together(&mut self, now_ns: u64, time48_ns: u64) {
        self.end_together();
        let sent_ns = expand(now_ns, time48_ns);
        let interval = self.recorder.interval(sent_ns);
        let when = if self.recorder.is_closed(interval) {
            When::Closed
        } else if self.recorder.is_plausible(interval) {
            When::Open
        } else {
            When::Ahead
        };
        let latency_ns = now_ns.saturating_sub(sent_ns);
        self.together =
            SentTogether { time48_ns, interval, when, latency_ns, packets: 0, reordered: 0 };
    }

    /// Takes the valid ones of them in.
    fn end_together(&mut self) {
        let SentTogether { interval, latency_ns, packets, reordered, .. } = self.together;
        (self.together.packets, self.together.reordered) = (0, 0);
        if packets == 0 {
            return;
        }
        if interval != self.pending_interval {
            self.publish();
            self.pending_interval = interval;
            self.pending_slot = self.recorder.enter(interval);
        }
        self.pending.record(latency_ns, u64::from(packets));
        self.pending_reordered += u64::from(reordered);
        self.recorder.record_latency(self.pending_slot, latency_ns, packets);
        // RFC 3550, section 6.4.1: the difference of transit times is that of round-trip times, and 0
        // for all but the first.
        let last_ns = self.last_latency_ns.replace(latency_ns).unwrap_or(latency_ns);
        let mut difference = latency_ns.abs_diff(last_ns);
        for _ in 0..packets {
            self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4);
            difference = 0;
        }
    }

    /// An intact packet of ours from an interval that is not open.
    #[cold]
    fn out_of_time(&mut self, stream: u16, seq: u64, stamp: Option<Stamp>) -> Counter {
        if self.together.when != When::Closed {
            return Counter::ForeignRun;
        }
        match self.recorder.late(stream, seq) {
            Again::Yes => self.not_first(stamp, Counter::Duplicate),
            Again::No => self.not_first(stamp, Counter::Late),
            Again::Forgotten => {
                self.recorder.add(self.recorder.now(), Counter::LateForgotten, 1);
                self.not_first(stamp, Counter::Late)
            }
            Again::Never => Counter::ForeignRun,
        }
    }

    /// An intact packet of ours that is not valid.
    #[inline]
    fn not_first(&mut self, stamp: Option<Stamp>, counter: Counter) -> Counter {
        let Some(stamp) = stamp else { return counter };
        if !self.stamps.insert(stamp.queue, stamp.seq) && counter == Counter::Duplicate {
            self.recorder.add(self.recorder.now(), Counter::DuplicateOnWayBack, 1);
        }
        counter
    }

    #[cold]
    fn reject(&mut self, counter: Counter, frame: &[u8]) {
        let interval = self.recorder.now();
        self.recorder.add(interval, counter, 1);
        self.recorder.add(interval, Counter::Received, 1);
        if counter == Counter::ForeignAddress {
            self.note_address(frame);
        }
    }

    fn note_address(&self, frame: &[u8]) {
        if let Ok(datagram) = Datagram::parse(frame, frame.len()) {
            self.recorder.note_other_address(datagram.source(frame));
        }
    }

    /// Puts what is pending where the collector finds it.
    fn publish(&mut self) {
        if self.pending.count > 0 {
            let valid = std::mem::take(&mut self.pending);
            self.recorder.add(self.pending_interval, Counter::Received, valid.count);
            self.recorder.add(self.pending_interval, Counter::Valid, valid.count);
            let reordered = std::mem::take(&mut self.pending_reordered);
            self.recorder.add(self.pending_interval, Counter::Reordered, reordered);
            self.recorder.add_latency(self.pending_interval, &valid);
            self.recorder.note_jitter(self.jitter);
        }
        if self.duplicates > 0 {
            let (interval, duplicates) =
                (self.recorder.now(), std::mem::take(&mut self.duplicates));
            self.recorder.add(interval, Counter::Received, duplicates);
            self.recorder.add(interval, Counter::Duplicate, duplicates);
        }
    }
}
