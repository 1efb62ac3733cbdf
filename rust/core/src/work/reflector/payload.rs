//! Reflecting payloads from a socket: nothing has to be swapped, because the kernel writes the headers.

use super::{NO_FLOW, Reflector, Verdict};
use crate::count::Counter;
use crate::wire::control::{self, CONTROL_LEN};
use crate::wire::flow_key::FlowKey;
use crate::wire::stamp::{self, Stamp};

impl Reflector {
    /// Call behind [`Reflector::poll`], with the number of payloads received.
    pub fn begin_payloads(&mut self, payloads: usize) {
        self.recorder.note_received(payloads);
    }

    /// Gives a payload its verdict: [`Verdict::Send`], [`Verdict::Slow`] or [`Verdict::Drop`]. Returns it with
    /// the slot of the flow `key`. `payload` is shorter than `wire_len`, the length of the datagram, if the
    /// buffer was too short for it.
    pub fn reflect_payload(
        &mut self,
        payload: &[u8],
        wire_len: usize,
        key: FlowKey,
    ) -> (Verdict, u16) {
        // As in frames, questions and packets that want a stamp have the first bit set.
        if payload.first().is_some_and(|byte| byte & 0x80 != 0) {
            let is_allowed = self.answers.allow(key);
            if is_allowed && payload.len() == CONTROL_LEN && control::question(payload).is_some() {
                self.recorder.add(self.interval, Counter::ControlReceived, 1);
                self.drops += 1;
                return (Verdict::Slow, NO_FLOW);
            }
            self.wants_stamps = true;
        }
        if !self.adopt(key) {
            self.recorder.add(self.interval, Counter::Received, 1);
            self.recorder.add(self.interval, Counter::ForeignNotAllowed, 1);
            self.drops += 1;
            return (Verdict::Drop, NO_FLOW);
        }
        if payload.len() < wire_len {
            self.count(self.slot, Counter::Received, 1);
            self.count(self.slot, Counter::ForeignSegmented, 1);
            self.drops += 1;
            return (Verdict::Drop, NO_FLOW);
        }
        (Verdict::Send, self.slot)
    }

    /// Makes `key` the current flow. Returns `false` if its sender is not answered. Addresses that no host
    /// can have do not come from a socket, and loopback addresses are as good as others.
    fn adopt(&mut self, key: FlowKey) -> bool {
        if key == self.key {
            return true;
        }
        if !self.answers.allow(key) {
            return false;
        }
        let slot = self.flows.slot(key);
        self.key = key;
        self.mixed |= slot != self.slot;
        self.slot = slot;
        true
    }

    /// [`Reflector::stamp`] for a payload.
    pub fn stamp_payload(&mut self, payload: &mut [u8], slot: u16, residence_ns: u64) {
        if let Some(seq) = self.next_seq(slot) {
            stamp::write_in_payload(payload, Stamp { queue: self.queue, seq, residence_ns });
        }
    }
}
