//! Bounds the numbers of a result, so that no later sum of them overflows.

use crate::control::peer::Peer;
use crate::count::{Counter, Counts, Departures};
use crate::report::Loss;
use crate::report::outcome::{Outcome, PortOutcome};
use crate::run::{Driver, WorkerCounts};

/// Upper bound of [`magnitude`]: below it, no sum of a result's numbers overflows.
pub(in crate::report) const MOST: u128 = 1 << 60;

/// The sum of all numbers that may be added to others.
pub(in crate::report) fn magnitude(outcome: &Outcome) -> u128 {
    let of_counts = |counts: &Counts| {
        let fixed = Counter::ALL.iter().map(|counter| u128::from(counts[*counter]));
        fixed.chain(counts.mode.map(u128::from)).sum::<u128>()
    };
    let of_departures = |departures: &Departures| {
        let Departures { gaps, micro_bursts, stalls, stall_ns, .. } = departures;
        [gaps, micro_bursts, stalls, stall_ns].into_iter().map(|n| u128::from(*n)).sum::<u128>()
    };
    let of_worker = |worker: &WorkerCounts| {
        of_counts(&worker.counts)
            + u128::from(worker.polls.all)
            + u128::from(worker.polls.busy)
            + of_departures(&worker.departures)
    };
    let of_port = |port: &PortOutcome| {
        let Driver { delivered, accepted, control_sent } = port.driver;
        let own = [delivered, accepted, control_sent, port.lost];
        own.iter().chain(port.counters.values()).map(|n| u128::from(*n)).sum::<u128>()
    };
    let of_peer = match outcome.peer {
        Peer::Counted(report) => report
            .counts
            .iter()
            .chain(&report.port_missed)
            .chain(report.load.as_ref().map(|load| &load.polls.all))
            .map(|n| u128::from(*n))
            .sum(),
        _ => 0,
    };
    let places = outcome.places.map_or(0, |places| {
        let Loss { forward, reflector_nic, reflector, back, nic, corrupt, late, unknown } = places;
        let known = [forward, reflector_nic, reflector, back, nic].map(Option::unwrap_or_default);
        known.into_iter().chain([corrupt, late, unknown]).map(u128::from).sum()
    });
    let notes = &outcome.notes;
    let others = [
        outcome.totals.lost,
        outcome.mismatch,
        outcome.duration_ns,
        outcome.warmup_ns,
        outcome.busy_for_ns().unwrap_or(0),
        outcome.latencies.count(),
        outcome.totals.latency.count,
        notes.since_due.count(),
        notes.network.count(),
        notes.extents,
        outcome.loss_runs.count,
        outcome.steal_ms.unwrap_or(0),
        outcome.events_omitted,
        outcome.merged.map_or(0, |merged| merged.runs),
        outcome.flows.map_or(0, |flows| flows.known),
        outcome.flows.map_or(0, |flows| flows.refused_questions),
    ];
    others.into_iter().map(u128::from).sum::<u128>()
        + of_counts(&outcome.totals.counts)
        + outcome.workers.iter().map(of_worker).sum::<u128>()
        + outcome.ports.iter().map(of_port).sum::<u128>()
        + outcome.departures.as_ref().map_or(0, of_departures)
        + of_peer
        + places
        // In units of 1.2 hours; sums have 128 bits.
        + (outcome.totals.latency.sum_ns >> 42)
        + (notes.extent_sum >> 42)
}
