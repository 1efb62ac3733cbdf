//! The reflecting end of one rx queue, for modes that send packets back.

mod ahead;
mod payload;
mod sending;

use super::impair::{Dice, Fate};
use super::rejects::Keeper;
use crate::control::allowed::Allowed;
use crate::control::flows::{FlowCounter, NO_FLOW};
use crate::control::neighbours::OwnAddresses;
use crate::count::{Counter, Recorder};
use crate::wire::control;
use crate::wire::control::{CONTROL_LEN, MAGIC};
use crate::wire::flow::PortRange;
use crate::wire::flow_key::FlowKey;
use crate::wire::headers::{Datagram, be64};
use crate::wire::layout::{Headers, Layout, UDP_LEN, for_layout};
use crate::wire::payload::STAMPED;
use crate::wire::prediction::{Prediction, predicted_len};
use crate::wire::reflect::{Reflected, examine, is_of_group, turn};
use ahead::Ahead;
use std::slice::IterMut;

/// What the caller has to do with a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Free it.
    Drop,
    /// Send it back.
    Send,
    /// Send it back; it was corrupted on purpose.
    SendCorrupt,
    /// Send back the packet and a copy of it.
    Duplicate,
    /// Send it back after later packets.
    Reorder,
    /// Pass it to the control thread.
    Slow,
}

/// What happened to a packet that was not sent in the poll in which it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    /// The driver accepted it.
    Sent,
    /// The driver accepted a copy of it. (A copy that the driver refuses is not counted at all.)
    CopySent,
    /// The driver refused it.
    Refused,
    /// The driver accepted it, but not on the first attempt.
    Waited,
    /// It was sent after later packets, on purpose.
    Overtaken,
    /// It is held, on purpose.
    Held,
    /// It was freed because the delay buffer was full.
    NoRoom,
}

/// Which packets a reflector sends back.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Packets to these UDP ports.
    pub udp_ports: PortRange,
    /// Packets from these hosts.
    pub allowed: Allowed,
    /// The port delivers packets with partial checksums: see
    /// [`reflect`](crate::wire::reflect::reflect).
    pub partial_checksums: bool,
}

impl Answered {
    /// Whether packets of this flow are from a host that is answered.
    fn allow(&self, key: FlowKey) -> bool {
        self.allowed.contains(key.addresses().src())
    }

    /// Whether packets of this flow are sent back, as far as its addresses and port decide that.
    fn include(&self, key: FlowKey) -> bool {
        self.udp_ports.contains(key.udp_port()) && !key.is_martian() && self.allow(key)
    }
}

/// A received frame that takes the verdict on it.
pub trait Judged {
    /// Its bytes; only those of the first segment if the segments could not be joined.
    fn bytes_mut(&mut self) -> &mut [u8];
    /// Length of the whole frame in bytes.
    fn wire_len(&self) -> usize;
    /// Stores the verdict and the slot of its flow.
    fn judge(&mut self, verdict: Verdict, slot: u16);
}

/// Reflects and counts what arrives on one rx queue.
pub struct Reflector {
    recorder: Recorder,
    interval: u64,
    flows: FlowCounter,
    /// Number of this queue in stamps.
    queue: u16,
    dice: Option<Dice>,
    answers: Answered,
    /// The headers that the next packet is expected to have. If it predicts a flow, that is `key`.
    /// [`Prediction::NONE`] before the first packet, and where each packet needs the full check.
    predicted: Prediction,
    /// Layout of that packet.
    layout: Layout,
    /// Flow of the last packet that was sent back, and its slot.
    key: FlowKey,
    slot: u16,
    /// The current burst has packets of several slots.
    mixed: bool,
    /// Packets of the current burst that are not sent back with it.
    drops: u64,
    /// Some packets of the current burst may want a stamp.
    wants_stamps: bool,
    /// Stamps that each flow got in the current burst.
    ahead: Ahead,
    own: OwnAddresses,
    /// Keeps packets that are not sent back, if that was asked for.
    keeper: Option<Box<Keeper>>,
}

impl Reflector {
    /// A reflector that counts with `recorder`, and per flow with `flows`. With `dice`, it impairs
    /// packets on purpose.
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
            own: OwnAddresses::default(),
            keeper: None,
        }
    }

    /// Passes frames that concern these addresses to the control thread.
    #[must_use]
    pub fn with_own_addresses(self, own: OwnAddresses) -> Self {
        Self { own, ..self }
    }

    /// Keeps the packets that are ignored: those that are not sent back for another reason than
    /// impairment or a full tx queue.
    #[must_use]
    pub fn with_keeper(self, keeper: Option<Box<Keeper>>) -> Self {
        Self { keeper, ..self }
    }

    /// Call first in every poll, also when nothing arrived. All counts until the next call belong
    /// to the interval of `now_ns`.
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

    /// Call instead of [`Reflector::poll`] while packets of the current burst wait for the driver.
    /// New flows are not adopted meanwhile, so that each waiting packet keeps its slot.
    pub fn wait(&mut self, now_ns: u64) {
        self.recorder.poll(now_ns);
        self.recorder.note_work();
        self.interval = self.recorder.interval(now_ns);
    }

    /// See [`Recorder::note_backlog`].
    pub fn note_backlog(&mut self, packets: u64) {
        self.recorder.note_backlog(packets);
    }

    /// Swaps the addresses of the frames of a burst, and gives each frame its verdict.
    pub fn reflect<F: Judged>(&mut self, now_ns: u64, frames: &mut [F]) {
        self.recorder.note_received(frames.len());
        let mut frames = frames.iter_mut();
        while !frames.as_slice().is_empty() {
            for_layout!(self.layout, H => self.reflect_as::<H, F>(now_ns, &mut frames));
        }
    }

    /// [`Reflector::reflect`], compiled once per layout. Returns when the predicted layout changes.
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

    /// Reflects a packet with the predicted headers. Returns `false` and changes nothing if the packet
    /// needs a further check.
    #[inline]
    fn reflect_usual<H: Headers>(&mut self, frame: &mut [u8], wire_len: usize) -> bool {
        let Some(head) = whole_head::<H>(frame, wire_len) else { return false };
        self.predicted.is_of_flow::<H>(head, wire_len)
            && reflect_unless_question::<H>(&self.predicted, head, &mut self.wants_stamps)
    }

    /// Reflects a packet of any flow. Not inlined, to keep `reflect_usual` short. For the arguments
    /// see [`reflect`](crate::wire::reflect::reflect).
    #[inline(never)]
    fn reflect_next<H: Headers>(
        &mut self,
        now_ns: u64,
        frame: &mut [u8],
        wire_len: usize,
    ) -> (Verdict, u16) {
        if let Some(head) = whole_head::<H>(frame, wire_len) {
            let key = FlowKey::of_headers::<H>(head, H::UDP);
            let follows_its_flow = key == self.key;
            if self.predicted.parses_alike::<H>(head, wire_len)
                && !is_of_group(head)
                && self.switch_flow(key)
            {
                let prediction = Prediction::of::<H>(head, wire_len);
                // Where flows alternate with every packet, keeping it would cost more than it saves.
                if follows_its_flow {
                    self.predicted = prediction;
                }
                if reflect_unless_question::<H>(&prediction, head, &mut self.wants_stamps) {
                    return (Verdict::Send, self.slot);
                }
            }
        }
        self.reflect_any(now_ns, frame, wire_len)
    }

    /// Reflects any packet, with the full check.
    fn reflect_any(&mut self, now_ns: u64, frame: &mut [u8], wire_len: usize) -> (Verdict, u16) {
        let announced = Layout::announced_by(frame).unwrap_or_default();
        let prediction = for_layout!(announced, H => {
            let head = whole_head::<H>(frame, wire_len);
            head.map_or(Prediction::NONE, |head| Prediction::of::<H>(head, wire_len))
        });
        let Answered { udp_ports, partial_checksums, .. } = self.answers;
        let mut found = examine(udp_ports, frame, wire_len);
        let is_slow = match found {
            Ok(Reflected { key, .. }) if !self.answers.allow(key) => {
                found = Err(Counter::ForeignNotAllowed);
                false
            }
            Ok(found) => self.is_slow(frame, found.datagram),
            Err(_) => {
                if self.own.refuse(frame) {
                    found = Err(Counter::ForeignNotAllowed);
                }
                frame.len() == wire_len && self.own.concern(frame)
            }
        };
        if is_slow {
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
                if let Some(keeper) = &mut self.keeper {
                    keeper.keep(now_ns, reason, None, frame, wire_len);
                }
                self.drops += 1;
                return (Verdict::Drop, NO_FLOW);
            }
        };
        if let Some(dice) = &mut self.dice {
            let fate = dice.roll(now_ns);
            let slot = self.flows.slot(key);
            self.recorder.note_busy();
            return (self.impair(fate, frame, datagram, slot), slot);
        }
        let has_options = datagram.payload() != datagram.layout.payload();
        let is_long = usize::from(datagram.udp_len) >= usize::from(UDP_LEN) + size_of::<u64>();
        self.switch_flow(key);
        if !has_options && is_long && !partial_checksums {
            self.predicted = prediction;
            self.layout = datagram.layout;
        }
        (Verdict::Send, self.slot)
    }

    /// Makes `key` the current flow. Returns `false` if packets of this flow are not sent back.
    fn switch_flow(&mut self, key: FlowKey) -> bool {
        if key == self.key {
            return true;
        }
        let slot = self.flows.slot(key);
        // A flow with a slot has asked, and its question has been checked.
        if slot == NO_FLOW && !self.answers.include(key) {
            return false;
        }
        self.key = key;
        self.predicted.forget_flow();
        self.mixed |= slot != self.slot;
        self.slot = slot;
        true
    }

    /// Slot of the flow of an ignored packet, if the packet has complete headers.
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
    fn impair(&mut self, fate: Fate, frame: &mut [u8], datagram: Datagram, slot: u16) -> Verdict {
        self.count(slot, Counter::Received, 1);
        match fate {
            Fate::Pass => Verdict::Send,
            Fate::Duplicate => Verdict::Duplicate,
            Fate::Reorder => Verdict::Reorder,
            Fate::Drop => {
                self.count(slot, Counter::ImpairDropped, 1);
                Verdict::Drop
            }
            Fate::Cap => {
                self.count(slot, Counter::ImpairCapped, 1);
                Verdict::Drop
            }
            Fate::Corrupt(random) => {
                // The Ethernet header stays intact: links may drop frames with an unknown
                // EtherType.
                let ip = datagram.layout.l2_len();
                #[expect(clippy::cast_possible_truncation, reason = "a bit of the frame")]
                let bit = (random % ((datagram.end() - ip) as u64 * 8)) as usize;
                frame[ip + bit / 8] ^= 1 << (bit % 8);
                let checksum = datagram.udp() + 6;
                if frame[checksum..checksum + 2] == [0, 0] {
                    // A UDP checksum of 0 means "no checksum", and the packet would be valid. Flip
                    // the next bit instead.
                    frame[ip + bit / 8] ^= (1u8 << (bit % 8)).rotate_left(1);
                }
                self.count(slot, Counter::ImpairCorrupted, 1);
                Verdict::SendCorrupt
            }
        }
    }

    /// Whether a packet is a question, and so one for the control thread. Other packets that begin
    /// like a question may want a stamp.
    #[inline]
    fn is_slow(&mut self, frame: &[u8], datagram: Datagram) -> bool {
        // Questions and packets that want a stamp both have the first bit of the payload set.
        frame.get(datagram.payload()).is_some_and(|byte| byte & 0x80 != 0)
            && self.check_marked(frame, datagram)
    }

    #[cold]
    fn check_marked(&mut self, frame: &[u8], datagram: Datagram) -> bool {
        let payload = &frame[datagram.payload()..datagram.end()];
        if payload.len() < size_of::<u64>() || be64(payload, 0) & STAMPED == 0 {
            return false;
        }
        let is_question = payload.len() == CONTROL_LEN && control::question(payload).is_some();
        self.wants_stamps |= !is_question;
        is_question
    }
}

/// The headers and the first 8 bytes of payload of a packet in one segment.
#[inline]
fn whole_head<H: Headers>(frame: &mut [u8], wire_len: usize) -> Option<&mut [u8]> {
    let is_whole = frame.len() >= wire_len;
    let head = frame.get_mut(..predicted_len::<H>())?;
    is_whole.then_some(head)
}

/// Whether a packet may want a stamp or may be a question: these have the first bit of the payload set.
/// For most other packets it is the only check.
#[inline]
fn is_marked<H: Headers>(head: &[u8]) -> bool {
    head[H::PAYLOAD] & 0x80 != 0
}

/// Reflects a packet with the predicted headers. Returns `false` and changes nothing if the packet may be a
/// question or has no hop left.
#[inline]
fn reflect_unless_question<H: Headers>(
    prediction: &Prediction,
    head: &mut [u8],
    wants_stamps: &mut bool,
) -> bool {
    let is_question = is_marked::<H>(head) && be64(head, H::PAYLOAD) == MAGIC;
    if is_question || !prediction.reflect::<H>(head) {
        return false;
    }
    *wants_stamps |= is_marked::<H>(head);
    true
}

#[cfg(test)]
pub(crate) mod tests;
