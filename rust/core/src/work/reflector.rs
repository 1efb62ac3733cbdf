//! What a mode that returns packets does with a burst.

mod ahead;

use super::impair::{Dice, Fate};
use crate::control::flows::{FlowCounter, NO_FLOW};
use crate::count::{Counter, Recorder};
use crate::wire::control;
use crate::wire::control::{CONTROL_LEN, MAGIC};
use crate::wire::flow::PortRange;
use crate::wire::flow_key::FlowKey;
use crate::wire::headers::{Datagram, be64};
use crate::wire::layout::{Headers, Layout, UDP_LEN, for_layout};
use crate::wire::payload::STAMPED;
use crate::wire::reflect::{
    Prediction, Reflected, examine, predicted_len, reflect_predicted, turn,
};
use crate::wire::stamp;
use crate::wire::stamp::Stamp;
use ahead::Ahead;
use std::slice::IterMut;

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
    /// Hand it to the control thread.
    Slow,
}

/// What became of a packet that was not sent in the poll in which it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    /// The driver took it.
    Sent,
    /// The driver took a copy of it. (One that it refuses was never made.)
    CopySent,
    /// The driver did not take it.
    Refused,
    /// The driver took it, but not when it was first offered.
    Waited,
    /// It was sent behind later ones, on purpose.
    Overtaken,
    /// It is held, on purpose.
    Held,
    /// It was freed, because no more can be held.
    NoRoom,
}

/// What a reflector answers.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// What has these headers; `None`: any that we know.
    pub layout: Option<Layout>,
    /// What is sent to these UDP ports.
    pub udp_ports: PortRange,
    /// The port delivers packets whose checksums are still to be finished: see
    /// [`reflect`](crate::wire::reflect::reflect).
    pub partial_checksums: bool,
}

/// A frame that came in, and is told what is to be done with it.
pub trait Judged {
    /// Its bytes: those of its first segment, where several could not be joined.
    fn bytes_mut(&mut self) -> &mut [u8];
    /// Bytes of all of it.
    fn wire_len(&self) -> usize;
    /// What is to be done with it, and the slot of its flow.
    fn judge(&mut self, verdict: Verdict, slot: u16);
}

/// Reflects and counts what arrives on one rx queue.
pub struct Reflector {
    recorder: Recorder,
    interval: u64,
    flows: FlowCounter,
    /// The number of the queue in stamps.
    queue: u16,
    dice: Option<Dice>,
    answers: Answered,
    /// That of a packet that was turned round and sent back; of none before there was one, and where each
    /// packet has to be looked at.
    predicted: Prediction,
    /// Its layout.
    layout: Layout,
    /// The flow of the last packet that was sent back, and its slot.
    key: FlowKey,
    slot: u16,
    /// Packets of the burst at hand are of several slots.
    mixed: bool,
    /// How many of them are not sent back with it.
    drops: u64,
    /// Some of them may want a stamp.
    wants_stamps: bool,
    /// How many stamps each flow got in the burst at hand.
    ahead: Ahead,
}

impl Reflector {
    /// Counts with `recorder` and by flow with `flows`; with `dice`, impairs on purpose.
    #[must_use]
    pub fn new(
        recorder: Recorder,
        flows: FlowCounter,
        queue: u16,
        answers: Answered,
        dice: Option<Dice>,
    ) -> Self {
        Self {
            recorder,
            interval: 0,
            flows,
            queue,
            dice,
            answers,
            predicted: Prediction::NONE,
            layout: Layout::default(),
            key: FlowKey::default(),
            slot: NO_FLOW,
            mixed: false,
            drops: 0,
            wants_stamps: false,
            ahead: Ahead::new(),
        }
    }

    /// To be called first in every poll, also when nothing arrived: what follows happened at
    /// `now_ns`.
    pub fn poll(&mut self, now_ns: u64) {
        self.recorder.poll(now_ns);
        self.interval = self.recorder.interval(now_ns);
        if self.flows.poll() {
            self.slot = self.flows.slot(self.key);
        }
        self.mixed = false;
        self.drops = 0;
        self.wants_stamps = false;
    }

    /// In place of [`Reflector::poll`] while packets of the burst at hand wait. Flows are not learnt then:
    /// each of those packets stays with its own.
    pub fn wait(&mut self, now_ns: u64) {
        self.recorder.poll(now_ns);
        self.interval = self.recorder.interval(now_ns);
    }

    /// Turns the frames of a burst round, and says of each what is to be done with it.
    pub fn reflect<F: Judged>(&mut self, now_ns: u64, frames: &mut [F]) {
        let mut frames = frames.iter_mut();
        while !frames.as_slice().is_empty() {
            for_layout!(self.layout, H => self.reflect_as::<H, F>(now_ns, &mut frames));
        }
    }

    /// The same, compiled once for each layout, as long as packets of that one are predicted.
    #[inline]
    fn reflect_as<H: Headers, F: Judged>(&mut self, now_ns: u64, frames: &mut IterMut<'_, F>) {
        for frame in frames {
            let wire_len = frame.wire_len();
            if self.reflect_usual::<H>(frame.bytes_mut(), wire_len) {
                frame.judge(Verdict::Send, self.slot);
                continue;
            }
            let (verdict, slot) = self.reflect_next::<H>(now_ns, frame.bytes_mut(), wire_len);
            frame.judge(verdict, slot);
            if self.layout != H::LAYOUT {
                return;
            }
        }
    }

    /// Turns a packet round that is as predicted, and of the flow of the one before it; `false`: it is to be
    /// looked at further.
    #[inline]
    fn reflect_usual<H: Headers>(&mut self, frame: &mut [u8], wire_len: usize) -> bool {
        let Some(head) = self.predicted_head::<H>(frame, wire_len) else { return false };
        self.key == FlowKey::of_headers::<H>(head, H::UDP) && self.reflect_predicted::<H>(head)
    }

    /// The same for what may be of another flow than the packet before it. By itself, so that the above
    /// is short. For the arguments see [`reflect`](crate::wire::reflect::reflect).
    #[inline(never)]
    fn reflect_next<H: Headers>(
        &mut self,
        now_ns: u64,
        frame: &mut [u8],
        wire_len: usize,
    ) -> (Verdict, u16) {
        if let Some(head) = self.predicted_head::<H>(frame, wire_len) {
            let key = FlowKey::of_headers::<H>(head, H::UDP);
            if self.turn_to(key) && self.reflect_predicted::<H>(head) {
                return (Verdict::Send, self.slot);
            }
        }
        self.reflect_any(now_ns, frame, wire_len)
    }

    /// The first bytes of a whole packet that is as predicted.
    #[inline]
    fn predicted_head<'a, H: Headers>(
        &self,
        frame: &'a mut [u8],
        wire_len: usize,
    ) -> Option<&'a mut [u8]> {
        let is_whole = frame.len() >= wire_len;
        let head = frame.get_mut(..predicted_len::<H>())?;
        (is_whole && self.predicted == Prediction::of::<H>(head, wire_len)).then_some(head)
    }

    /// Turns a packet round that is as predicted, unless it is a question, or not one to be sent back.
    #[inline]
    fn reflect_predicted<H: Headers>(&mut self, head: &mut [u8]) -> bool {
        // Stamped packets and questions begin with this bit: most packets are compared with nothing else.
        let wants_more = head[H::PAYLOAD] & 0x80 != 0;
        if wants_more && be64(head, H::PAYLOAD) == MAGIC || !reflect_predicted::<H>(head) {
            return false;
        }
        if wants_more {
            self.wants_stamps = true;
        }
        true
    }

    /// The same for all packets.
    fn reflect_any(&mut self, now_ns: u64, frame: &mut [u8], wire_len: usize) -> (Verdict, u16) {
        let announced = Layout::announced_by(frame).unwrap_or_default();
        let prediction = for_layout!(announced, H => {
            let head = frame.get(..predicted_len::<H>());
            head.map_or(Prediction::NONE, |head| Prediction::of::<H>(head, wire_len))
        });
        let Answered { layout, udp_ports, partial_checksums } = self.answers;
        let found = if layout.is_none_or(|layout| layout == announced) {
            examine(udp_ports, frame, wire_len)
        } else {
            Err(Counter::ForeignNotIpv4)
        };
        if found.is_ok_and(|found| self.is_slow(frame, found.datagram)) {
            self.recorder.add(self.interval, Counter::ControlReceived, 1);
            self.drops += 1;
            return (Verdict::Slow, NO_FLOW);
        }
        let turned = found.and_then(|found| turn(frame, found, partial_checksums));
        let Reflected { datagram, key } = match turned {
            Ok(reflected) => reflected,
            Err(reason) => {
                let slot = self.slot_of_ignored(frame, wire_len, reason);
                self.count(slot, Counter::Received, 1);
                self.count(slot, reason, 1);
                self.drops += 1;
                return (Verdict::Drop, NO_FLOW);
            }
        };
        if let Some(dice) = &mut self.dice {
            let fate = dice.roll(now_ns);
            let slot = self.flows.slot(key);
            self.recorder.note_busy();
            return (self.suffer(fate, frame, datagram, slot), slot);
        }
        let has_options = datagram.payload() != datagram.layout.payload();
        let is_long = usize::from(datagram.udp_len) >= usize::from(UDP_LEN) + size_of::<u64>();
        if !has_options && is_long && !partial_checksums {
            self.predicted = prediction;
            self.layout = datagram.layout;
        }
        self.turn_to(key);
        (Verdict::Send, self.slot)
    }

    /// Whether packets of this flow are sent back: then it is that of the last one from here on.
    fn turn_to(&mut self, key: FlowKey) -> bool {
        if key == self.key {
            return true;
        }
        if !self.answers.udp_ports.contains(key.udp_port()) {
            return false;
        }
        self.key = key;
        let slot = self.flows.slot(key);
        self.mixed |= slot != self.slot;
        self.slot = slot;
        true
    }

    /// The flow of a packet that is ignored, where it has all its headers.
    #[cold]
    fn slot_of_ignored(&mut self, frame: &[u8], wire_len: usize, reason: Counter) -> u16 {
        match Datagram::parse(frame, wire_len) {
            Ok(datagram) if Counter::IGNORED.contains(&reason) => {
                self.flows.slot(FlowKey::of(frame, datagram))
            }
            _ => NO_FLOW,
        }
    }

    #[cold]
    fn suffer(&mut self, fate: Fate, frame: &mut [u8], datagram: Datagram, slot: u16) -> Verdict {
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
                let ip = datagram.layout.l2_len();
                #[expect(clippy::cast_possible_truncation, reason = "a bit of the frame")]
                let bit = (random % ((datagram.end() - ip) as u64 * 8)) as usize;
                frame[ip + bit / 8] ^= 1 << (bit % 8);
                let checksum = datagram.udp() + 6;
                if frame[checksum..checksum + 2] == [0, 0] {
                    // That would be none, and the packet valid: another bit as well.
                    frame[ip + bit / 8] ^= (1u8 << (bit % 8)).rotate_left(1);
                }
                self.count(slot, Counter::ImpairCorrupted, 1);
                Verdict::SendCorrupt
            }
        }
    }

    /// Whether a packet is for the control thread: a question. Others that begin like one may want a stamp.
    #[inline]
    fn is_slow(&mut self, frame: &[u8], datagram: Datagram) -> bool {
        // Both kinds of packets that want more than to be sent back begin with a set bit.
        frame.get(datagram.payload()).is_some_and(|byte| byte & 0x80 != 0)
            && self.look_closer(frame, datagram)
    }

    #[cold]
    fn look_closer(&mut self, frame: &[u8], datagram: Datagram) -> bool {
        let payload = &frame[datagram.payload()..datagram.end()];
        if payload.len() < size_of::<u64>() || be64(payload, 0) & STAMPED == 0 {
            return false;
        }
        let is_question = payload.len() == CONTROL_LEN && control::question(payload).is_some();
        self.wants_stamps |= !is_question;
        is_question
    }

    /// Whether packets of the burst at hand are not to be sent back with it, for whatever reason but dice.
    #[must_use]
    pub fn drops(&self) -> bool {
        self.drops > 0
    }

    /// Whether packets of the burst at hand may want a stamp: then [`Reflector::begin_stamps`] is to be
    /// called, and [`Reflector::stamp`] for each that is sent back, in the order of sending.
    #[must_use]
    pub fn wants_stamps(&self) -> bool {
        self.wants_stamps
    }

    /// The next frame to stamp is the first one that is offered to the driver.
    pub fn begin_stamps(&mut self) {
        self.ahead.begin();
    }

    /// The number of a packet of the flow in `slot`, behind those that are offered with it. The driver may
    /// refuse the end of a burst: then those behind get its numbers.
    fn next_seq(&mut self, slot: u16) -> Option<u64> {
        Some(self.flows.count(slot, Counter::Sent) + self.ahead.next(slot)?)
    }

    /// Stamps a reflected frame of the flow in `slot`, if it wants that.
    pub fn stamp(&mut self, frame: &mut [u8], slot: u16, residence_ns: u64) {
        let Some(seq) = self.next_seq(slot) else { return };
        let Ok(datagram) = Datagram::parse(frame, frame.len()) else { return };
        if stamp::is_wanted(frame, datagram) {
            stamp::write(frame, datagram, Stamp { queue: self.queue, seq, residence_ns });
        }
    }

    /// The same for a frame that was stamped, if it wanted that, and had to wait.
    pub fn stamp_again(&mut self, frame: &mut [u8], slot: u16, residence_ns: u64) {
        let Some(seq) = self.next_seq(slot) else { return };
        let Ok(datagram) = Datagram::parse(frame, frame.len()) else { return };
        let Some(stamp) = stamp::find(frame, datagram) else { return };
        if (stamp.queue, stamp.seq) == (self.queue, seq) {
            stamp::write(frame, datagram, Stamp { residence_ns, ..stamp });
        }
    }

    /// Of the burst at hand, `packets` in all, those with the flows in `slots` were to be sent back, and
    /// the driver took the first `accepted` of them. The others wait: for [`Reflector::sent_behind`] or
    /// [`Reflector::refused_behind`].
    pub fn sent(&mut self, packets: u64, slots: impl Iterator<Item = u16>, accepted: u16) {
        let (received, sent) = (packets.saturating_sub(self.drops), u64::from(accepted));
        if received == 0 {
            return;
        }
        self.recorder.note_busy();
        self.recorder.add(self.interval, Counter::Received, received);
        self.recorder.add(self.interval, Counter::Sent, sent);
        if !self.mixed {
            self.flows.add(self.slot, Counter::Received, received);
            self.flows.add(self.slot, Counter::Sent, sent);
            return;
        }
        for (index, slot) in slots.enumerate() {
            self.flows.add(slot, Counter::Received, 1);
            if index < usize::from(accepted) {
                self.flows.add(slot, Counter::Sent, 1);
            }
        }
    }

    /// Of the packets with the flows in `slots`, behind the first `before` the driver took `accepted` more.
    pub fn sent_behind(&mut self, slots: impl Iterator<Item = u16>, before: u16, accepted: u16) {
        for slot in slots.skip(before.into()).take(accepted.into()) {
            self.count(slot, Counter::Sent, 1);
            self.count(slot, Counter::Waited, 1);
        }
    }

    /// Of the packets with the flows in `slots`, all behind the first `before` are freed.
    pub fn refused_behind(&mut self, slots: impl Iterator<Item = u16>, before: u16) {
        slots.skip(before.into()).for_each(|slot| self.count(slot, Counter::TxQueueFull, 1));
    }

    /// Counts what became of one packet of the flow in `slot` that was not sent in the poll in which it came, and
    /// was counted as received then.
    pub fn note(&mut self, slot: u16, fate: Later) {
        let counters: &[Counter] = match fate {
            Later::Sent => &[Counter::Sent],
            Later::CopySent => &[Counter::Sent, Counter::ImpairDuplicated],
            Later::Refused => &[Counter::TxQueueFull],
            Later::Waited => &[Counter::Waited],
            Later::Overtaken => &[Counter::ImpairReordered],
            Later::Held => &[Counter::ImpairDelayed],
            Later::NoRoom => &[Counter::ImpairOverflow],
        };
        for counter in counters {
            self.count(slot, *counter, 1);
        }
    }

    /// Counts packets of the flow in `slot`, in total and by flow.
    fn count(&mut self, slot: u16, counter: Counter, packets: u64) {
        self.recorder.add(self.interval, counter, packets);
        self.flows.add(slot, counter, packets);
    }
}

#[cfg(test)]
pub(crate) mod tests;
