//! What a receiver records over the whole run rather than per interval.

use super::board::Recorder;
use super::histogram::{Histogram, Recording};
use super::sum::Sum;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The notes of one receiver. The receiver alone writes them; they are read when it has stopped.
#[derive(Default)]
pub(crate) struct Notes {
    /// Round-trip times measured from the due times, where these are earlier than the send times.
    pub(crate) since_due: Recording,
    /// Round-trip times minus the residence time that the reflector reports.
    pub(crate) network: Recording,
    // worker: rw, collector: ro once the worker has stopped
    jitter_sixteenths_ns: AtomicU64,
    extents: AtomicU64,
    extent_sum: Sum,
    extent_max: AtomicU64,
    /// The first address of [`Recorder::note_other_address`]. Only one thread sets it, so setting it
    /// never blocks.
    other_address: OnceLock<SocketAddr>,
}

impl Notes {
    pub(crate) fn note_jitter(&self, sixteenths_ns: u64) {
        self.jitter_sixteenths_ns.store(sixteenths_ns, Relaxed);
    }

    pub(crate) fn note_extents(&self, more: Extents) {
        self.extents.store(self.extents.load(Relaxed) + more.count, Relaxed);
        self.extent_sum.store(self.extent_sum.load() + u128::from(more.sum));
        self.extent_max.store(self.extent_max.load(Relaxed).max(more.max), Relaxed);
    }

    pub(crate) fn note_other_address(&self, from: SocketAddr) {
        let _ = self.other_address.set(from);
    }
}

impl Recorder {
    /// Records the time in ns from a packet's due time until it came back.
    #[inline]
    pub fn record_since_due(&self, ns: u64) {
        if let Some(notes) = &self.record.notes {
            notes.since_due.record(ns);
        }
    }

    /// Records a round-trip time in ns minus the reflector's residence time.
    #[inline]
    pub fn record_network(&self, ns: u64) {
        if let Some(notes) = &self.record.notes {
            notes.network.record(ns);
        }
    }

    /// Sets the receiver's interarrival jitter (RFC 3550, section 6.4.1), in sixteenths of a ns.
    pub fn note_jitter(&self, sixteenths_ns: u64) {
        if let Some(notes) = &self.record.notes {
            notes.note_jitter(sixteenths_ns);
        }
    }

    /// Adds the extents of reordered packets.
    pub fn note_extents(&self, extents: Extents) {
        if let Some(notes) = &self.record.notes {
            notes.note_extents(extents);
        }
    }

    /// Records the source address of a packet that has our tag but not the expected source. Only the
    /// first one is kept.
    #[cold]
    pub fn note_other_address(&self, from: SocketAddr) {
        if let Some(notes) = &self.record.notes {
            notes.note_other_address(from);
        }
    }
}

/// Extents of the reordered packets of a burst (RFC 4737, section 4.2), in packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extents {
    count: u64,
    sum: u64,
    max: u64,
}

impl Extents {
    /// Adds an extent; `None` (unknown) adds nothing.
    #[inline]
    pub fn add(&mut self, extent: Option<u32>) {
        if let Some(extent) = extent.map(u64::from) {
            self.count += 1;
            self.sum += extent;
            self.max = self.max.max(extent);
        }
    }

    /// Whether no extent was added.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The notes of all receivers, merged.
#[derive(Clone, Debug, Default)]
pub struct RunNotes {
    /// Round-trip times measured from the due times.
    pub since_due: Histogram,
    /// Round-trip times minus the reflector's residence time; empty without reflector stamps.
    pub network: Histogram,
    /// Interarrival jitter (RFC 3550) in ns at the end of the run, of the rx queue where it is
    /// greatest.
    pub jitter_ns: f64,
    /// Number of reordered packets whose extent is known.
    pub extents: u64,
    /// Sum of all extents. An extent is the number of packets that arrived since the first one that
    /// overtook (RFC 4737).
    pub extent_sum: u128,
    /// The greatest extent.
    pub extent_max: u64,
    /// Source address of a packet that has our tag but not the expected source: the first such address
    /// of the first rx queue that has one.
    pub other_address: Option<SocketAddr>,
}

impl RunNotes {
    pub(crate) fn add(&mut self, notes: &Notes) {
        self.since_due.add(&notes.since_due);
        self.network.add(&notes.network);
        let jitter = notes.jitter_sixteenths_ns.load(Relaxed) as f64 / 16.0;
        self.jitter_ns = self.jitter_ns.max(jitter);
        self.extents += notes.extents.load(Relaxed);
        self.extent_sum += notes.extent_sum.load();
        self.extent_max = self.extent_max.max(notes.extent_max.load(Relaxed));
        self.other_address = self.other_address.or_else(|| notes.other_address.get().copied());
    }
}
