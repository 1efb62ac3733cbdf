//! What is known of an interval, of a run, of a worker.

use crate::count::Departures;
use crate::count::Latency;
use crate::count::Role;
use crate::count::{Counter, Counts};

/// All that happened to the packets of one interval, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// By name. `Valid` counts a packet once, whatever number of rx queues it arrived on.
    pub counts: Counts,
    /// Sent, but not valid by the time the interval was closed. 0 where nothing is sent.
    pub lost: u64,
    /// Round-trip times of valid packets.
    pub latency: Latency,
}

impl Totals {
    /// Whether nothing happened but for packets of the control thread.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let mut counts = self.counts;
        counts[Counter::ControlReceived] = 0;
        counts == Counts::default()
    }
}

impl std::ops::AddAssign<&Self> for Totals {
    fn add_assign(&mut self, other: &Self) {
        self.counts += &other.counts;
        self.lost += other.lost;
        self.latency += &other.latency;
    }
}

/// A closed interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// When it began, in ns since the start of the run.
    pub start_ns: u64,
    /// What happened in it.
    pub totals: Totals,
    /// Round-trip times of its valid packets in ns: the 50th, 99th and 99.9th percentile.
    pub percentiles_ns: Option<[u64; 3]>,
}

/// What one worker counted in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerCounts {
    /// What it does.
    pub role: Role,
    /// All that it counted. `Valid` counts a packet on the first of the rx queues it arrived on.
    pub counts: Counts,
    /// A paced sender's.
    pub departures: Departures,
}

/// What the C++ side counted by itself, from the return values of rx and tx bursts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Driver {
    /// Packets that drivers delivered.
    pub delivered: u64,
    /// Packets that drivers accepted for sending.
    pub accepted: u64,
    /// Of those, the ones that the control thread sent.
    pub control_sent: u64,
}
