//! The receiving end of one rx queue: verifies, counts, measures.

use super::order::Order;
use super::rejects::Keeper;
use crate::control::neighbours::OwnAddresses;
use crate::count::log_linear::middle_ns;
use crate::count::{Again, Counter, Extents, Latency, Recorder, StampMap};
use crate::wire::RxFrame;
use crate::wire::format::{Payload, for_format};
use crate::wire::headers::Datagram;
use crate::wire::layout::{Bare, Headers, for_layout};
use crate::wire::payload::{expand, expand_seq};
use crate::wire::stamp::Stamp;
use crate::wire::verifiers::Verifiers;
use crate::wire::verify::{Arrival, Changed};

/// No interval has this number.
const NO_INTERVAL: u64 = u64::MAX;

/// Verifies and counts what arrives on one rx queue.
///
/// A valid packet counts in the interval in which it was sent, any other packet in the interval in
/// which it arrived.
pub struct Receiver {
    recorder: Recorder,
    verifiers: Verifiers,
    order: Order,
    /// The current burst has frames for the control thread.
    has_slow: bool,
    /// Packets have a due time: there is a rate.
    paced: bool,
    /// Reflector stamps seen so far.
    stamps: StampMap,
    /// Consecutive packets with the same send time: usually one burst of a sender. What depends on
    /// the send time alone is computed once for all of them.
    group: SendGroup,
    /// Valid packets of one interval that are not in its slot yet. The packets of a burst usually
    /// belong to one interval.
    pending: Latency,
    pending_interval: u64,
    pending_slot: usize,
    /// Reordered packets among the pending ones.
    pending_reordered: u64,
    extents: Extents,
    /// Duplicates that are not in a slot yet.
    duplicates: u64,
    last_latency_ns: Option<u64>,
    own: OwnAddresses,
    /// Keeps rejected packets, if that was asked for.
    keeper: Option<Box<Keeper>>,
    /// RFC 3550's interarrival jitter in sixteenths of a ns.
    jitter: u64,
}

#[derive(Default)]
struct SendGroup {
    time48_ns: u64,
    interval: u64,
    when: When,
    latency_ns: u64,
    /// Valid packets that are not in `pending` yet.
    packets: u32,
    /// Reordered packets among those.
    reordered: u32,
}

/// State of the interval in which packets were sent.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum When {
    /// Not known; determined with the next packet.
    #[default]
    Unknown,
    /// Open: packets are valid.
    Open,
    /// Closed: packets are late.
    Closed,
    /// Further in the future than the clocks of two lcores can differ: the packet is not from this
    /// run.
    Ahead,
}

/// Optional checks of a [`Receiver`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ReceiverOptions {
    /// Packets have a due time: there is a rate.
    pub due_times: bool,
    /// Maximum number of queues of the reflector whose stamps are checked; 0: packets have no
    /// stamps.
    pub stamping_queues: u16,
    /// Number of latest stamps to remember, for the detection of duplicates. It has to cover all
    /// stamps that can arrive until a duplicate counts as late.
    pub stamps: u64,
}

impl Receiver {
    /// A receiver that verifies with `verifiers` and counts with `recorder`.
    #[must_use]
    pub fn new(
        recorder: Recorder,
        verifiers: impl Into<Verifiers>,
        options: ReceiverOptions,
    ) -> Self {
        let verifiers = verifiers.into();
        Self {
            recorder,
            order: Order::new(verifiers.sweeps()),
            verifiers,
            has_slow: false,
            paced: options.due_times,
            stamps: StampMap::new(options.stamping_queues, options.stamps),
            group: SendGroup::default(),
            pending: Latency::default(),
            pending_interval: NO_INTERVAL,
            pending_slot: 0,
            pending_reordered: 0,
            extents: Extents::default(),
            duplicates: 0,
            last_latency_ns: None,
            own: OwnAddresses::default(),
            keeper: None,
            jitter: 0,
        }
    }

    /// Passes frames that concern these addresses to the control thread.
    #[must_use]
    pub fn with_own_addresses(self, own: OwnAddresses) -> Self {
        Self { own, ..self }
    }

    /// Keeps the packets that are neither valid nor duplicates.
    #[must_use]
    pub fn with_keeper(self, keeper: Option<Box<Keeper>>) -> Self {
        Self { keeper, ..self }
    }

    /// Call first in every poll, also when nothing arrived.
    pub fn poll(&mut self, now_ns: u64) {
        self.recorder.poll(now_ns);
    }

    /// See [`Recorder::note_backlog`].
    pub fn note_backlog(&mut self, packets: u64) {
        self.recorder.note_backlog(packets);
    }

    /// Verifies and counts frames that arrived at `now_ns`: payloads alone, if the verifiers are
    /// [bare](Verifiers::bare). See [`Verifier::check`](crate::wire::verify::Verifier::check) for
    /// `partial_checksums`. Marks frames for the control thread and returns whether there are any.
    pub fn receive<F: RxFrame>(
        &mut self,
        now_ns: u64,
        frames: &mut [F],
        partial_checksums: bool,
    ) -> bool {
        let partial = partial_checksums;
        self.recorder.note_received(frames.len());
        self.has_slow = false;
        if self.verifiers.largest().is_bare() {
            for_format!(self.verifiers.format(), P => {
                self.take_each::<Bare, P, F>(now_ns, frames, partial);
            });
        } else {
            for_layout!(self.verifiers.layout(), H => for_format!(self.verifiers.format(), P => {
                self.take_each::<H, P, F>(now_ns, frames, partial);
            }));
        }
        self.end_group();
        self.publish();
        if !self.extents.is_empty() {
            self.recorder.note_extents(std::mem::take(&mut self.extents));
        }
        // The cached values hold only for this time of arrival; slots may be reused in the next
        // poll.
        self.group.when = When::Unknown;
        self.pending_interval = NO_INTERVAL;
        self.has_slow
    }

    #[inline]
    fn take_each<H: Headers, P: Payload, F: RxFrame>(
        &mut self,
        now_ns: u64,
        frames: &mut [F],
        partial_checksums: bool,
    ) {
        if self.verifiers.are_several() {
            self.take_several::<H, P, F>(now_ns, frames, partial_checksums);
        } else {
            self.take_all::<H, P, F>(now_ns, frames, partial_checksums);
        }
    }

    /// [`Receiver::receive`] for all frames, compiled once per layout and payload format; see
    /// [`Verifier::check_usual_as`](crate::wire::verify::Verifier::check_usual_as).
    #[inline(never)]
    fn take_all<H: Headers, P: Payload, F: RxFrame>(
        &mut self,
        now_ns: u64,
        frames: &mut [F],
        partial_checksums: bool,
    ) {
        for frame in frames {
            if let Some(arrival) = self.verifiers.largest().check_usual_as::<H, P>(frame.bytes()) {
                let arrived = self.arrive(now_ns, arrival);
                self.count_arrival(now_ns, arrived, frame);
            } else {
                self.receive_any(now_ns, frame, partial_checksums);
            }
        }
    }

    /// [`Receiver::take_all`] for packets of several sizes.
    #[inline(never)]
    fn take_several<H: Headers, P: Payload, F: RxFrame>(
        &mut self,
        now_ns: u64,
        frames: &mut [F],
        partial_checksums: bool,
    ) {
        for frame in frames {
            if let Some(arrival) = self.verifiers.check_usual_as::<H, P>(frame.bytes()) {
                let arrived = self.arrive(now_ns, arrival);
                self.count_arrival(now_ns, arrived, frame);
            } else {
                self.receive_any(now_ns, frame, partial_checksums);
            }
        }
    }

    /// Fallback for any frame. The check is split into two functions so that the values of the
    /// common case stay in registers.
    #[cold]
    fn receive_any<F: RxFrame>(&mut self, now_ns: u64, frame: &mut F, partial_checksums: bool) {
        let judged = self.verifiers.check_any(frame.bytes(), frame.wire_len(), partial_checksums);
        let arrived = judged.and_then(|arrival| {
            self.arrive(now_ns, arrival)?;
            // `arrive` has made `group` that of this packet, so both have the same interval.
            let interval = self.group.interval;
            self.recorder.add(interval, Counter::NoUdpChecksum, u64::from(!arrival.has_checksum));
            let Changed { dscp, ecn } = arrival.changed;
            self.recorder.add(interval, Counter::DscpChanged, u64::from(dscp));
            self.recorder.add(interval, Counter::EcnChanged, u64::from(ecn));
            Ok(())
        });
        let concerns_us = |counter: Counter| {
            counter == Counter::ControlReceived
                || (Counter::FOREIGN.contains(&counter)
                    && frame.bytes().len() == frame.wire_len()
                    && self.own.concern(frame.bytes()))
        };
        if arrived.is_err_and(concerns_us) {
            self.recorder.add(self.recorder.now(), Counter::ControlReceived, 1);
            frame.set_slow();
            self.has_slow = true;
            return;
        }
        self.count_arrival(now_ns, arrived, frame);
    }

    #[inline]
    fn count_arrival<F: RxFrame>(&mut self, now_ns: u64, arrived: Result<(), Counter>, frame: &F) {
        match arrived {
            Ok(()) => {}
            Err(Counter::Duplicate) => self.duplicates += 1,
            Err(counter) => self.reject(now_ns, counter, frame.bytes(), frame.wire_len()),
        }
    }

    #[allow(clippy::inline_always, reason = "a call per packet costs a tenth of it")]
    #[inline(always)]
    fn arrive(&mut self, now_ns: u64, arrival: Arrival) -> Result<(), Counter> {
        let Arrival { header, flow, stamp, .. } = arrival;
        let stream = header.id.stream;
        if header.time48_ns != self.group.time48_ns || self.group.when == When::Unknown {
            self.begin_group(now_ns, header.time48_ns);
        }
        let released = self.recorder.released(stream);
        let seq = expand_seq(released, header.id.seq);
        if self.group.when != When::Open {
            return Err(self.out_of_time(stream, seq, stamp));
        }
        if !self.recorder.can_be_back(stream, released, seq) {
            return Err(Counter::ForeignRun);
        }
        if !self.recorder.arrived(stream).insert(seq) {
            return Err(self.not_first(stamp, Counter::Duplicate));
        }
        self.group.packets += 1;
        let latency_ns = self.group.latency_ns;
        if self.paced {
            self.recorder.record_since_due(latency_ns + middle_ns(header.lateness));
        }
        if let Some(stamp) = stamp {
            self.recorder.record_network(latency_ns.saturating_sub(stamp.residence_ns));
            self.stamps.insert(stamp.queue, stamp.seq);
        }
        if let Some(reordered) = self.order.arrive(flow, seq) {
            self.group.reordered += 1;
            self.extents.add(reordered.extent);
        }
        Ok(())
    }

    /// The current packet has another send time than the one before it: starts a new group.
    #[inline(never)]
    fn begin_group(&mut self, now_ns: u64, time48_ns: u64) {
        self.end_group();
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
        self.group = SendGroup { time48_ns, interval, when, latency_ns, packets: 0, reordered: 0 };
    }

    /// Adds the valid packets of the group to `pending`.
    fn end_group(&mut self) {
        let SendGroup { interval, latency_ns, packets, reordered, .. } = self.group;
        (self.group.packets, self.group.reordered) = (0, 0);
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
        // RFC 3550, section 6.4.1. The difference of two transit times is the difference of the
        // round-trip times. Within the group it is 0 for all but the first packet.
        let last_ns = self.last_latency_ns.replace(latency_ns).unwrap_or(latency_ns);
        let mut difference = latency_ns.abs_diff(last_ns);
        for _ in 0..packets {
            self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4);
            difference = 0;
        }
    }

    /// An intact packet of our format, sent in an interval that is not open. Returns what it counts
    /// as.
    #[cold]
    fn out_of_time(&mut self, stream: u16, seq: u64, stamp: Option<Stamp>) -> Counter {
        if self.group.when != When::Closed {
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

    /// Notes the stamp of an intact packet of ours that is a duplicate or late, and returns
    /// `counter`.
    #[inline]
    fn not_first(&mut self, stamp: Option<Stamp>, counter: Counter) -> Counter {
        let Some(stamp) = stamp else { return counter };
        if !self.stamps.insert(stamp.queue, stamp.seq) && counter == Counter::Duplicate {
            self.recorder.add(self.recorder.now(), Counter::DuplicateOnWayBack, 1);
        }
        counter
    }

    #[cold]
    fn reject(&mut self, now_ns: u64, counter: Counter, frame: &[u8], wire_len: usize) {
        let interval = self.recorder.now();
        self.recorder.add(interval, counter, 1);
        self.recorder.add(interval, Counter::Received, 1);
        if counter == Counter::ForeignAddress && !self.verifiers.largest().is_bare() {
            self.note_address(frame);
        }
        if let Some(keeper) = &mut self.keeper {
            let has_wrong_byte = counter == Counter::CorruptFiller && keeper.has_room();
            let wrong = has_wrong_byte.then(|| self.verifiers.first_wrong_byte(frame)).flatten();
            keeper.keep(now_ns, counter, wrong, frame, wire_len);
        }
    }

    fn note_address(&self, frame: &[u8]) {
        if let Ok(datagram) = Datagram::parse(frame, frame.len()) {
            self.recorder.note_other_address(datagram.source(frame));
        }
    }

    /// Publishes pending counts to the collector.
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
