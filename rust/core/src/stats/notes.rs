//! What a receiver notes over the whole run, beside its intervals.

use super::histogram::{Histogram, Recording};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One receiver's. Written by it alone, read when it has stopped.
#[repr(align(128))]
pub(super) struct Notes {
    /// Round-trip times since packets were due, where that is earlier than when they were sent.
    pub(super) since_due: Recording,
    /// Round-trip times without what the reflector says it kept packets.
    pub(super) network: Recording,
    // worker: rw, collector: ro once the worker has stopped
    jitter_sixteenths_ns: AtomicU64,
    extents: AtomicU64,
    extent_sum: AtomicU64,
    extent_max: AtomicU64,
}

impl Notes {
    pub(super) fn new() -> Self {
        Self {
            since_due: Recording::new(),
            network: Recording::new(),
            jitter_sixteenths_ns: AtomicU64::new(0),
            extents: AtomicU64::new(0),
            extent_sum: AtomicU64::new(0),
            extent_max: AtomicU64::new(0),
        }
    }

    pub(super) fn note_jitter(&self, sixteenths_ns: u64) {
        self.jitter_sixteenths_ns.store(sixteenths_ns, Relaxed);
    }

    pub(super) fn note_extent(&self, packets: u64) {
        self.extents.store(self.extents.load(Relaxed) + 1, Relaxed);
        self.extent_sum.store(self.extent_sum.load(Relaxed) + packets, Relaxed);
        self.extent_max.store(self.extent_max.load(Relaxed).max(packets), Relaxed);
    }
}

/// All receivers' notes, added up.
#[derive(Clone, Debug, Default)]
pub struct RunNotes {
    /// Round-trip times since packets were due.
    pub since_due: Histogram,
    /// Round-trip times without the reflector's residence time; empty without stamps.
    pub network: Histogram,
    /// RFC 3550 interarrival jitter at the end of the run: that of the rx queue where it is
    /// greatest, in ns.
    pub jitter_ns: f64,
    /// Reordered packets whose extent is known.
    pub extents: u64,
    /// All extents added up: packets that arrived since the first one that overtook (RFC 4737).
    pub extent_sum: u64,
    /// The greatest extent.
    pub extent_max: u64,
}

impl RunNotes {
    pub(super) fn add(&mut self, notes: &Notes) {
        self.since_due.add(&notes.since_due);
        self.network.add(&notes.network);
        let jitter = notes.jitter_sixteenths_ns.load(Relaxed) as f64 / 16.0;
        self.jitter_ns = self.jitter_ns.max(jitter);
        self.extents += notes.extents.load(Relaxed);
        self.extent_sum += notes.extent_sum.load(Relaxed);
        self.extent_max = self.extent_max.max(notes.extent_max.load(Relaxed));
    }
}
