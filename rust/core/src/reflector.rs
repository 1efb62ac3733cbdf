//! Modes that count by their own clock: the reflector, and a tally for modes written in C++ alone.

use crate::flows::{FlowCounter, FlowKey, NO_FLOW};
use crate::impair::{Dice, Fate};
use crate::packet::control::{self, CONTROL_LEN, MAGIC};
use crate::packet::payload::STAMPED;
use crate::packet::reflect::{
    PREDICTED_LEN, Prediction, Reflected, reflect, reflect_predicted, replace_payload,
};
use crate::packet::stamp::{self, Stamp};
use crate::packet::wire::{ADDRESSES, UdpOverIpv4, be64, le16, le64};
use crate::packet::{ETHERNET_LEN, HEADERS_LEN, UDP};
use crate::stats::{Counter, Recorder};

/// What is to be done with a packet that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Free it.
    Drop,
    /// Send it back.
    Send,
    /// Send it back; it has been made corrupt.
    SendCorrupt,
    /// Send it back, and a copy of it.
    Duplicate,
    /// Send it back behind later ones.
    Reorder,
    /// Send it back at once: it is an answer to a question.
    Answer,
}

/// In place of a flow: an answer to a question.
const ANSWER: u8 = NO_FLOW - 1;

/// Reflects and counts what arrives on one rx queue.
pub struct Reflector {
    recorder: Recorder,
    interval: u64,
    flows: FlowCounter,
    /// The number of the queue in stamps.
    queue: u16,
    dice: Option<Dice>,
    /// The port delivers packets whose checksums are still to be finished.
    partial_checksums: bool,
    /// That of a packet that was turned round and sent back; of none before there was one, and where each
    /// packet has to be looked at.
    predicted: Prediction,
    /// The flow of the last packet that was sent back, and its slot.
    key: FlowKey,
    slot: u8,
    /// Packets of the burst at hand are of several slots.
    mixed: bool,
    /// How many of them are not sent back.
    drops: u64,
    /// Some of them may want a stamp.
    wants_stamps: bool,
}

impl Reflector {
    /// Counts with `recorder` and by flow with `flows`; with `dice`, impairs on purpose. For
    /// `partial_checksums` see [`reflect`].
    #[must_use]
    pub fn new(
        recorder: Recorder,
        flows: FlowCounter,
        queue: u16,
        partial_checksums: bool,
        dice: Option<Dice>,
    ) -> Self {
        Self {
            recorder,
            interval: 0,
            flows,
            queue,
            dice,
            partial_checksums,
            predicted: Prediction::NONE,
            key: FlowKey::default(),
            slot: NO_FLOW,
            mixed: false,
            drops: 0,
            wants_stamps: false,
        }
    }

    /// To be called first in every poll, also when nothing arrived: what follows happened at
    /// `now_ns`.
    pub fn poll(&mut self, now_ns: u64) {
        self.recorder.poll(now_ns);
        self.interval = self.recorder.interval(now_ns);
        if self.flows.poll() {
            self.key = FlowKey::default();
            self.slot = NO_FLOW;
        }
        self.mixed = false;
        self.drops = 0;
        self.wants_stamps = false;
    }

    /// Turns a frame round; what is to be done with it, and the slot of its flow. See [`reflect`]
    /// for the arguments.
    #[inline]
    pub fn reflect(&mut self, now_ns: u64, frame: &mut [u8], wire_len: usize) -> (Verdict, u8) {
        let whole = frame.len() >= wire_len;
        if let Some(head) = frame.first_chunk_mut() {
            let predicted = whole && self.predicted == Prediction::of(head, wire_len);
            let key = FlowKey { addresses: le64(head, ADDRESSES), port: le16(head, UDP + 2) };
            let first = be64(head, HEADERS_LEN);
            // Both of our kinds of packets that want more than to be sent back begin with a set bit.
            let wants_more = first & STAMPED != 0;
            if predicted && !(wants_more && first == MAGIC) && reflect_predicted(head) {
                if wants_more {
                    self.wants_stamps = true;
                }
                return (Verdict::Send, self.keep(key));
            }
        }
        self.reflect_any(now_ns, frame, wire_len)
    }

    /// The same for all packets. By itself, so that the above is short.
    #[inline(never)]
    fn reflect_any(&mut self, now_ns: u64, frame: &mut [u8], wire_len: usize) -> (Verdict, u8) {
        let prediction = frame.first_chunk().map(|head| Prediction::of(head, wire_len));
        let Reflected { udp, addresses, dst_port } =
            match reflect(frame, wire_len, self.partial_checksums) {
                Ok(reflected) => reflected,
                Err(reason) => {
                    let slot = self.slot_of_ignored(frame, wire_len, reason);
                    self.count(slot, Counter::Received, 1);
                    self.count(slot, reason, 1);
                    self.drops += 1;
                    return (Verdict::Drop, NO_FLOW);
                }
            };
        let key = FlowKey { addresses, port: dst_port };
        if frame.get(udp.payload()).is_some_and(|byte| byte & 0x80 != 0) {
            if let Some(verdict) = self.look_closer(frame, udp, key) {
                return (verdict, ANSWER);
            }
        }
        if let Some(dice) = &mut self.dice {
            let fate = dice.roll(now_ns);
            let slot = self.flows.slot(key);
            return (self.suffer(fate, frame, udp, slot), slot);
        }
        if udp.payload() == HEADERS_LEN && udp.end() >= PREDICTED_LEN && !self.partial_checksums {
            self.predicted = prediction.unwrap_or(Prediction::NONE);
        }
        (Verdict::Send, self.keep(key))
    }

    /// The slot of a packet that is sent back.
    #[inline]
    fn keep(&mut self, key: FlowKey) -> u8 {
        if key != self.key {
            self.turn_to(key);
        }
        self.slot
    }

    #[inline(never)]
    fn turn_to(&mut self, key: FlowKey) {
        self.key = key;
        let slot = self.flows.slot(key);
        self.mixed |= slot != self.slot;
        self.slot = slot;
    }

    /// The flow of a packet that is ignored: one that came in several segments has all its headers.
    #[cold]
    fn slot_of_ignored(&mut self, frame: &[u8], wire_len: usize, reason: Counter) -> u8 {
        match UdpOverIpv4::parse(frame, wire_len) {
            Ok(udp) if reason == Counter::ForeignSegmented => {
                let port = le16(frame, udp.udp() + 2);
                self.flows.slot(FlowKey { addresses: le64(frame, ADDRESSES), port })
            }
            _ => NO_FLOW,
        }
    }

    #[cold]
    fn suffer(&mut self, fate: Fate, frame: &mut [u8], udp: UdpOverIpv4, slot: u8) -> Verdict {
        self.count(slot, Counter::Received, 1);
        match fate {
            Fate::Pass => Verdict::Send,
            Fate::Duplicate => Verdict::Duplicate,
            Fate::Reorder => Verdict::Reorder,
            Fate::Drop => {
                self.count(slot, Counter::ImpairDropped, 1);
                Verdict::Drop
            }
            Fate::Corrupt(random) => {
                // Links may drop frames of an EtherType that they do not know.
                #[expect(clippy::cast_possible_truncation, reason = "a bit of the frame")]
                let bit = (random % ((udp.end() - ETHERNET_LEN) as u64 * 8)) as usize;
                frame[ETHERNET_LEN + bit / 8] ^= 1 << (bit % 8);
                self.count(slot, Counter::ImpairCorrupted, 1);
                Verdict::SendCorrupt
            }
        }
    }

    /// A question, which is answered in place (or dropped: the sender will ask again), or a packet
    /// that may want a stamp.
    #[cold]
    fn look_closer(&mut self, frame: &mut [u8], udp: UdpOverIpv4, key: FlowKey) -> Option<Verdict> {
        let payload = &frame[udp.payload()..udp.end()];
        if payload.len() < size_of::<u64>() || be64(payload, 0) & STAMPED == 0 {
            return None;
        }
        let Some(question) = control::question(payload).filter(|_| payload.len() == CONTROL_LEN)
        else {
            self.wants_stamps = true;
            return None;
        };
        self.recorder.add(self.interval, Counter::ControlReceived, 1);
        let Some(report) = self.flows.report(key) else {
            self.drops += 1;
            return Some(Verdict::Drop);
        };
        self.mixed = true;
        replace_payload(frame, udp, &control::answer(question, report));
        Some(Verdict::Answer)
    }

    /// Whether packets of the burst at hand are to be freed, for whatever reason but dice.
    #[must_use]
    pub fn drops(&self) -> bool {
        self.drops > 0
    }

    /// Whether packets of the burst at hand may want a stamp: then [`Reflector::stamp`] is to be
    /// called for each that is sent back, in the order of sending.
    #[must_use]
    pub fn wants_stamps(&self) -> bool {
        self.wants_stamps
    }

    /// Stamps a reflected frame of the flow in `slot`, if it wants that. `ahead` is the number of
    /// packets of the flow that go in front of it in the same burst.
    pub fn stamp(&self, frame: &mut [u8], slot: u8, ahead: u64, residence_ns: u64) {
        let Ok(udp) = UdpOverIpv4::parse(frame, frame.len()) else { return };
        if slot < ANSWER && stamp::is_wanted(frame, udp) {
            // The driver may refuse the end of a burst: those behind get its numbers.
            let seq = self.flows.count(slot, Counter::Sent) + ahead;
            stamp::write(frame, udp, Stamp { queue: self.queue, seq, residence_ns });
        }
    }

    /// Of the burst at hand, `packets` in all, those with the flows in `slots` were to be sent back, and
    /// the driver took the first `accepted` of them.
    pub fn sent(&mut self, packets: u64, slots: impl Iterator<Item = u8>, accepted: u16) {
        if !self.mixed {
            let (kept, accepted) = (packets.saturating_sub(self.drops), u64::from(accepted));
            self.count(self.slot, Counter::Received, kept);
            self.count(self.slot, Counter::Sent, accepted);
            self.count(self.slot, Counter::TxQueueFull, kept.saturating_sub(accepted));
            return;
        }
        for (index, slot) in slots.enumerate() {
            if slot != ANSWER {
                self.count(slot, Counter::Received, 1);
            }
            self.settle(slot, index < usize::from(accepted));
        }
    }

    /// The same for one packet of an earlier burst, which was counted as received then. A copy of one
    /// that is refused was never made.
    pub fn sent_later(&mut self, slot: u8, accepted: bool, is_copy: bool) {
        if !is_copy {
            self.settle(slot, accepted);
        } else if accepted {
            self.settle(slot, true);
            self.count(slot, Counter::ImpairDuplicated, 1);
        }
    }

    /// One packet was taken by the driver, or refused.
    fn settle(&mut self, slot: u8, accepted: bool) {
        match (slot, accepted) {
            (ANSWER, true) => self.recorder.add(self.interval, Counter::ControlSent, 1),
            (ANSWER, false) => {}
            (slot, true) => self.count(slot, Counter::Sent, 1),
            (slot, false) => self.count(slot, Counter::TxQueueFull, 1),
        }
    }

    /// Counts packets of the flow in `slot`, in total and by flow.
    pub fn count(&mut self, slot: u8, counter: Counter, packets: u64) {
        self.recorder.add(self.interval, counter, packets);
        if slot != NO_FLOW && packets > 0 {
            self.flows.add(slot, counter, packets);
        }
    }
}

/// Counts packets for a worker that handles them by itself.
pub struct Tally {
    recorder: Recorder,
}

impl Tally {
    /// Counts with `recorder`.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self { recorder }
    }

    /// One poll at `now_ns` that received, sent and failed to send so many packets; to be called
    /// in every poll, also with zeros.
    pub fn add(&mut self, now_ns: u64, received: u16, sent: u16, refused: u16) {
        self.recorder.poll(now_ns);
        let interval = self.recorder.interval(now_ns);
        self.recorder.add(interval, Counter::Received, u64::from(received));
        self.recorder.add(interval, Counter::Sent, u64::from(sent));
        self.recorder.add(interval, Counter::TxQueueFull, u64::from(refused));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::{Flows, Registrar};
    use crate::packet::flow::Flow;
    use crate::packet::template::tests::flow;
    use crate::packet::template::{Checksums, write_single};
    use crate::stats::{Board, Collector, Role, Shape};
    use proptest::prelude::*;
    use std::sync::Arc;

    struct Rig {
        reflector: Reflector,
        registrar: Registrar,
        collector: Collector,
    }

    impl Rig {
        fn new(partial_checksums: bool) -> Self {
            let shape = Shape { interval_ns: 1_000_000, intervals: 8, window: 1 };
            let board = Board::new(shape, &[Role::Count]);
            let flows = Flows::new(1, 5);
            let counter = FlowCounter::new(Arc::clone(&flows), 0);
            Self {
                reflector: Reflector::new(board.recorder(0), counter, 0, partial_checksums, None),
                registrar: Registrar::new(flows),
                collector: Collector::new(board, 0),
            }
        }

        fn predicts(&self, Came { frame, wire_len }: &Came) -> bool {
            let prediction = Prediction::of(frame.first_chunk().unwrap(), *wire_len);
            self.reflector.predicted == prediction
        }

        /// What becomes of a burst, of which the driver takes all but the last packet. Without
        /// `predicts`, each packet is looked at as if it were the first one.
        fn burst(&mut self, frames: &[Came], predicts: bool) -> Vec<(Vec<u8>, Verdict, u8, bool)> {
            self.reflector.poll(1000);
            let mut became = Vec::new();
            for Came { frame, wire_len } in frames {
                if !predicts {
                    self.reflector.predicted = Prediction::NONE;
                }
                let mut frame = frame.clone();
                let (verdict, slot) = self.reflector.reflect(1000, &mut frame, *wire_len);
                became.push((frame, verdict, slot, self.reflector.wants_stamps()));
            }
            let mut ahead = 0;
            for (frame, verdict, slot, wants_stamps) in &mut became {
                if *wants_stamps && *verdict == Verdict::Send {
                    self.reflector.stamp(frame, *slot, ahead, 5);
                    ahead += 1;
                }
            }
            let kept = || became.iter().filter(|packet| packet.1 != Verdict::Drop);
            assert_eq!(kept().count() < became.len(), self.reflector.drops());
            let accepted = u16::try_from(kept().count().saturating_sub(1)).unwrap();
            self.reflector.sent(frames.len() as u64, kept().map(|packet| packet.2), accepted);
            self.registrar.tick();
            became
        }
    }

    #[derive(Clone, Debug)]
    struct Came {
        frame: Vec<u8>,
        wire_len: usize,
    }

    /// Frames of two flows, each now and then with something changed in its headers or at the
    /// beginning of its payload; questions, and frames that want a stamp.
    fn came() -> impl Strategy<Value = Came> {
        let payload = prop_oneof![
            6 => Just(vec![7; 60]),
            1 => Just(vec![7; 20]),
            1 => prop::collection::vec(0..=0xffu8, 0..9),
            1 => Just(vec![0x80; 60]),
            1 => any::<u64>().prop_map(|run| {
                control::ask(control::Question { run, number: 1 }).to_vec()
            }),
        ];
        let change = prop_oneof![
            3 => Just(None),
            1 => (0..HEADERS_LEN + 8, any::<u8>()).prop_map(Some),
        ];
        // Cut off, padded, and longer on the wire.
        let lengths = prop_oneof![8 => Just((0, 0, 0)), 2 => (0..30usize, 0..20usize, 0..3usize)];
        let checksums = prop_oneof![Just(Checksums::Software), Just(Checksums::Offload)];
        (payload, 0..2u16, change, lengths, checksums).prop_map(
            |(payload, port, change, (cut, padding, more), checksums)| {
                let mut flow = flow(60, 1);
                flow.dst_port += port;
                let mut frame = vec![0; HEADERS_LEN + payload.len()];
                write_single(&flow, &payload, checksums, &mut frame);
                frame.resize(frame.len() + padding, 0xff);
                if let Some(byte) = change.and_then(|(at, _)| frame.get_mut(at)) {
                    *byte = change.map_or(0, |(_, to)| to);
                }
                frame.truncate(frame.len() - cut);
                let wire_len = frame.len() + more;
                Came { frame, wire_len }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_predicted_is_what_would_be_found(
            bursts in prop::collection::vec(prop::collection::vec(came(), 0..12), 1..12),
            partial_checksums: bool,
        ) {
            let [mut one, mut another] = [partial_checksums; 2].map(Rig::new);
            for burst in bursts {
                prop_assert_eq!(one.burst(&burst, true), another.burst(&burst, false));
            }
            for collector in [&mut one.collector, &mut another.collector] {
                collector.finish(&mut |_| ());
            }
            prop_assert_eq!(one.collector.totals().counts, another.collector.totals().counts);
        }
    }

    fn packet(flow: &Flow, payload: &[u8]) -> Came {
        let mut frame = vec![0; HEADERS_LEN + payload.len()];
        write_single(flow, payload, Checksums::Software, &mut frame);
        let wire_len = frame.len();
        Came { frame, wire_len }
    }

    #[test]
    fn packets_that_differ_in_nothing_that_parsing_looks_at_are_predicted() {
        let mut rig = Rig::new(false);
        let first = packet(&flow(60, 1), &[1; 60]);
        assert!(!rig.predicts(&first));
        rig.burst(std::slice::from_ref(&first), true);
        assert!(rig.predicts(&first));
        // MAC addresses, TOS, identification, "don't fragment", TTL, checksum, addresses, ports,
        // checksum, payload.
        let others = [0..12, 15..16, 18..20, 22..23, 24..26, 26..34, 34..38, 40..42, 42..102];
        for range in others {
            let mut other = first.clone();
            other.frame[range].fill(0x42);
            other.frame[20] ^= 0x40;
            assert!(rig.predicts(&other));
        }
        for at in [12, 13, 14, 16, 17, 20, 21, 23, 38, 39] {
            let mut other = first.clone();
            other.frame[at] ^= 1;
            assert!(!rig.predicts(&other), "{at}");
        }
        assert!(!rig.predicts(&Came { wire_len: first.wire_len - 1, ..first }));
    }

    #[test]
    fn a_burst_of_one_flow_is_counted_as_one_whatever_its_packets_lengths() {
        let mut rig = Rig::new(false);
        let packets = [1, 60, 20].map(|len| packet(&flow(len, 1), &vec![1; usize::from(len)]));
        rig.burst(&packets, true);
        assert!(!rig.reflector.mixed);
        rig.collector.finish(&mut |_| ());
        let counts = rig.collector.totals().counts;
        assert_eq!((counts[Counter::Received], counts[Counter::Sent]), (3, 2));
        assert_eq!(counts[Counter::TxQueueFull], 1);
    }

    #[test]
    fn a_flow_that_is_registered_is_no_longer_predicted_to_be_unknown() {
        let mut rig = Rig::new(false);
        let flow = flow(60, 1);
        let packets = [packet(&flow, &[1; 60]), packet(&flow, &[2; 60])];
        assert!(rig.burst(&packets, true).iter().all(|packet| packet.2 == NO_FLOW));
        let question = control::ask(control::Question { run: 1, number: 1 });
        rig.burst(&[packet(&flow, &question)], true);
        assert!(rig.burst(&packets, true).iter().all(|packet| packet.2 == 0));
    }
}
