//! Modes that count by their own clock: the reflector, and a tally for modes written in C++ alone.

use crate::flows::{FlowCounter, FlowKey, NO_FLOW};
use crate::impair::{Dice, Fate};
use crate::packet::ETHERNET_LEN;
use crate::packet::control::{self, CONTROL_LEN};
use crate::packet::payload::STAMPED;
use crate::packet::reflect::{Reflected, reflect, replace_payload};
use crate::packet::stamp::{self, Stamp};
use crate::packet::wire::{ADDRESSES, UdpOverIpv4, be16, be64};
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
    /// How many packets of the burst at hand are sent back, the flow of the first one, and whether
    /// they are all of it.
    kept: u64,
    first: u8,
    uniform: bool,
    wants_stamps: bool,
}

impl Reflector {
    /// Counts with `recorder` and by flow with `flows`; with `dice`, impairs on purpose.
    #[must_use]
    pub fn new(recorder: Recorder, flows: FlowCounter, queue: u16, dice: Option<Dice>) -> Self {
        Self {
            recorder,
            interval: 0,
            flows,
            queue,
            dice,
            kept: 0,
            first: NO_FLOW,
            uniform: true,
            wants_stamps: false,
        }
    }

    /// To be called first in every poll, also when nothing arrived: what follows happened at
    /// `now_ns`.
    pub fn poll(&mut self, now_ns: u64) {
        self.recorder.poll(now_ns);
        self.interval = self.recorder.interval(now_ns);
        self.flows.poll();
        self.kept = 0;
        self.uniform = true;
        self.wants_stamps = false;
    }

    /// Turns a frame round; what is to be done with it, and the slot of its flow. See [`reflect`]
    /// for the arguments.
    #[inline]
    pub fn reflect(
        &mut self,
        now_ns: u64,
        frame: &mut [u8],
        wire_len: usize,
        partial_checksums: bool,
    ) -> (Verdict, u8) {
        let Reflected { udp, addresses, dst_port } =
            match reflect(frame, wire_len, partial_checksums) {
                Ok(reflected) => reflected,
                Err(reason) => {
                    let slot = self.slot_of_ignored(frame, wire_len, reason);
                    self.count(slot, Counter::Received, 1);
                    self.count(slot, reason, 1);
                    return (Verdict::Drop, NO_FLOW);
                }
            };
        let key = FlowKey { addresses, port: dst_port };
        // Both of our kinds of packets that want more than to be sent back begin with a set bit.
        if frame.get(udp.payload()).is_some_and(|byte| byte & 0x80 != 0) {
            if let Some(verdict) = self.look_closer(frame, udp, key) {
                return (verdict, ANSWER);
            }
        }
        let slot = self.flows.slot(key);
        match &mut self.dice {
            None => self.keep(slot),
            Some(dice) => {
                let fate = dice.roll(now_ns);
                return (self.suffer(fate, frame, udp, slot), slot);
            }
        }
        (Verdict::Send, slot)
    }

    /// The flow of a packet that is ignored: one that came in several segments has all its headers.
    #[cold]
    fn slot_of_ignored(&mut self, frame: &[u8], wire_len: usize, reason: Counter) -> u8 {
        match UdpOverIpv4::parse(frame, wire_len) {
            Ok(udp) if reason == Counter::ForeignSegmented => {
                let port = be16(frame, udp.udp() + 2);
                self.flows.slot(FlowKey { addresses: be64(frame, ADDRESSES), port })
            }
            _ => NO_FLOW,
        }
    }

    #[inline]
    fn keep(&mut self, slot: u8) {
        if self.kept == 0 {
            self.first = slot;
        }
        self.kept += 1;
        self.uniform &= slot == self.first;
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
        let Some(report) = self.flows.report(key) else { return Some(Verdict::Drop) };
        replace_payload(frame, udp, &control::answer(question, report));
        if self.dice.is_none() {
            self.keep(ANSWER);
        }
        Some(Verdict::Answer)
    }

    /// How many packets of the burst at hand are to be sent back; not to be asked with dice.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.kept
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

    /// Of the packets of the burst at hand that were to be sent, with the flows in `slots`, the
    /// driver took the first `accepted`.
    pub fn sent(&mut self, accepted: u16, slots: impl Iterator<Item = u8>) {
        if self.uniform && self.kept > 0 && self.first != ANSWER {
            let refused = self.kept.saturating_sub(u64::from(accepted));
            self.count(self.first, Counter::Received, self.kept);
            self.count(self.first, Counter::Sent, u64::from(accepted));
            self.count(self.first, Counter::TxQueueFull, refused);
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
