//! Sums of an interval, of a run and of a worker.

use super::Event;
use crate::count::Departures;
use crate::count::Histogram;
use crate::count::Latency;
use crate::count::Polls;
use crate::count::Role;
use crate::count::{Counter, Counts};

/// What happened to the packets of one or several intervals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The counters. `Valid` counts a packet once, however many rx queues it arrived on.
    pub counts: Counts,
    /// Packets sent, but not valid by the time the interval was closed. 0 if the mode sends
    /// nothing.
    pub lost: u64,
    /// Round-trip times of valid packets.
    pub latency: Latency,
}

impl Totals {
    /// Whether nothing happened, apart from packets of the control thread.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// When it began, in ns since the start of the run.
    pub start_ns: u64,
    /// What happened in it.
    pub totals: Totals,
    /// 50th, 99th and 99.9th percentile of the round-trip times of its valid packets, in ns.
    pub percentiles_ns: Option<[u64; 3]>,
    /// Histogram of these round-trip times; `None` unless it was asked for.
    pub latencies: Option<Histogram>,
    /// What happened to ports in it.
    pub events: Vec<Event>,
    /// What each worker counted in it, without pacing; empty unless it was asked for.
    pub queues: Vec<WorkerCounts>,
}

/// What one worker counted in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerCounts {
    /// Role of the worker.
    pub role: Role,
    /// Its place on the board: see [`Ports::queue_name`](super::Ports::queue_name).
    pub place: u16,
    /// What it counted. `Valid` counts a packet on the first of the rx queues it arrived on.
    pub counts: Counts,
    /// What its polls found.
    pub polls: Polls,
    /// Pacing of a paced sender.
    pub departures: Departures,
}

/// What the C++ side counted independently, from the return values of rx and tx bursts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Driver {
    /// Packets that drivers delivered.
    pub delivered: u64,
    /// Packets that drivers accepted for sending.
    pub accepted: u64,
    /// Accepted packets that the control thread sent.
    pub control_sent: u64,
}
