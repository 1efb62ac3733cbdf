//! Modes that count by their own clock: the reflector, and a tally for modes written in C++ alone.

use crate::packet::reflect::reflect;
use crate::stats::{Counter, Recorder};

/// Reflects and counts what arrives on one rx queue.
pub struct Reflector {
    recorder: Recorder,
    interval: u64,
}

impl Reflector {
    /// Counts with `recorder`.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self { recorder, interval: 0 }
    }

    /// To be called first in every poll, also when nothing arrived: what follows happened at
    /// `now_ns`.
    pub fn poll(&mut self, now_ns: u64) {
        self.recorder.poll(now_ns);
        self.interval = self.recorder.interval(now_ns);
    }

    /// Turns a frame round; whether it is to be sent. See [`reflect`] for the arguments.
    #[inline]
    pub fn reflect(&mut self, frame: &mut [u8], wire_len: usize, partial_checksums: bool) -> bool {
        match reflect(frame, wire_len, partial_checksums) {
            Ok(()) => true,
            Err(reason) => {
                self.recorder.add(self.interval, Counter::Received, 1);
                self.recorder.add(self.interval, reason, 1);
                false
            }
        }
    }

    /// Of the packets that were to be sent the driver took `accepted` and refused `refused`.
    pub fn sent(&mut self, accepted: u16, refused: u16) {
        let (accepted, refused) = (u64::from(accepted), u64::from(refused));
        self.recorder.add(self.interval, Counter::Received, accepted + refused);
        self.recorder.add(self.interval, Counter::Sent, accepted);
        self.recorder.add(self.interval, Counter::TxQueueFull, refused);
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
