//! What is known about a running measurement, for DPDK's telemetry socket: names and whole numbers.

use crate::count::{Counter, Counts, LedgerPlace, ModeCounter};
use crate::run::mode::Meaning;
use crate::run::{Ports, Snapshot, Totals};

/// Numbers with names, in the order in which they are shown.
pub type Figures = Vec<(String, u64)>;

/// What the telemetry socket tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telemetry {
    /// The whole run up to the end of its last complete second, and that second.
    pub summary: Figures,
    /// Of each queue, by its name.
    pub queues: Vec<(String, Figures)>,
    /// Round-trip times by powers of two.
    pub histogram: Figures,
}

/// Bounds of the histogram: from 2^8 ns to 2^33 ns.
const BOUNDS: std::ops::RangeInclusive<u32> = 8..=33;

impl Telemetry {
    /// What `snapshot` has of a mode with this `meaning` and these `counters`. Numbers that the mode
    /// cannot know are left out.
    #[must_use]
    pub fn of(
        snapshot: &Snapshot,
        meaning: Meaning,
        counters: &[ModeCounter],
        ports: Ports,
    ) -> Self {
        let queues = snapshot.workers.iter().map(|worker| {
            let name = ports.queue_name(worker.role, worker.place);
            (name, counted(&worker.counts, meaning, counters))
        });
        Self {
            summary: summary(snapshot, meaning, counters),
            queues: queues.collect(),
            histogram: if meaning == Meaning::Measures {
                histogram(snapshot)
            } else {
                Figures::new()
            },
        }
    }
}

fn summary(snapshot: &Snapshot, meaning: Meaning, counters: &[ModeCounter]) -> Figures {
    let Snapshot { start_ns, end_ns, second, totals, latencies, .. } = snapshot;
    let mut figures = vec![("run_ms".into(), end_ns / 1_000_000)];
    figures.extend(counted(&totals.counts, meaning, counters));
    let lost = |totals: &Totals| meaning.of(totals).2;
    figures.extend(lost(totals).map(|lost| ("lost".into(), lost)));
    let (sent, received, lost) = meaning.of(second);
    figures.extend([
        ("last_ms".into(), (end_ns - start_ns) / 1_000_000),
        ("last_sent".into(), sent),
        ("last_received".into(), received),
    ]);
    figures.extend(lost.map(|lost| ("last_lost".into(), lost)));
    if totals.latency.count > 0 {
        figures.push(("latency_min_ns".into(), totals.latency.min_ns));
        let quantiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];
        figures.extend(quantiles.into_iter().filter_map(|(name, quantile)| {
            Some((format!("latency_{name}_ns"), totals.latency.quantile_ns(latencies, quantile)?))
        }));
        figures.push(("latency_max_ns".into(), totals.latency.max_ns));
    }
    figures
}

/// Names as in the JSON.
fn counted(counts: &Counts, meaning: Meaning, counters: &[ModeCounter]) -> Figures {
    let ours = meaning == Meaning::Measures;
    let refused = counters.iter().any(|counter| counter.place == LedgerPlace::Refused);
    let all: [(&str, &[Counter], bool); 12] = [
        ("due", &[Counter::Due], ours),
        ("not_sent", Counter::NOT_SENT, true),
        ("refused", &[Counter::Refused], refused),
        ("sent", &[Counter::Sent], true),
        ("received", &[Counter::Received], true),
        ("valid", &[Counter::Valid], ours),
        ("duplicate", &[Counter::Duplicate], ours),
        ("corrupt", Counter::CORRUPT, ours),
        ("late", &[Counter::Late], ours),
        ("reordered", &[Counter::Reordered], ours),
        ("foreign", Counter::FOREIGN, true),
        ("dropped", &[Counter::Dropped], meaning == Meaning::Forwards),
    ];
    let known = all.into_iter().filter(|(_, _, is_known)| *is_known);
    let own = counters.iter().zip(counts.mode);
    known
        .map(|(name, counters, _)| (name.to_string(), counts.sum(counters)))
        .chain(own.map(|(counter, packets)| (format!("counters.{}", counter.name), packets)))
        .collect()
}

/// Packets in each range that has some, by the end of the range.
fn histogram(snapshot: &Snapshot) -> Figures {
    let mut below = 0;
    let mut since = |all: u64| all - std::mem::replace(&mut below, all);
    let mut figures = Figures::new();
    for exponent in BOUNDS {
        let packets = since(snapshot.latencies.count_below_power(exponent));
        figures.push((format!("below_{}_ns", 1u64 << exponent), packets));
    }
    figures.push(("more".into(), since(snapshot.latencies.count())));
    figures.retain(|(_, packets)| *packets > 0);
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::peer::Peer;
    use crate::count::{Departures, Polls, Role, histogram_of};
    use crate::run::WorkerCounts;

    #[test]
    fn a_snapshot_has_what_the_mode_knows() {
        let mut totals = Totals { lost: 2, ..Totals::default() };
        totals.counts[Counter::Sent] = 9;
        totals.counts[Counter::Valid] = 7;
        totals.latency.record(1000, 7);
        let (polls, departures) = (Polls::default(), Departures::default());
        let role = Role::Receive;
        let worker = WorkerCounts { role, place: 1, counts: totals.counts, polls, departures };
        let snapshot = Snapshot {
            start_ns: 2_000_000_000,
            end_ns: 3_000_000_000,
            second: totals,
            totals,
            workers: vec![worker],
            latencies: histogram_of(&[1000, 1023, 1024, u64::MAX]),
            peer: Peer::NotAsked,
            checkpoint: None,
            port_missed: None,
        };
        let ports = Ports { count: 1, rx_queues: 1, tx_queues: 1 };
        let told = Telemetry::of(&snapshot, Meaning::Measures, &[], ports);
        let of = |figures: &Figures, name: &str| {
            figures.iter().find(|(found, _)| found == name).map(|(_, value)| *value)
        };
        for (name, expected) in [
            ("run_ms", Some(3000)),
            ("sent", Some(9)),
            ("lost", Some(2)),
            ("last_ms", Some(1000)),
            ("last_received", Some(7)),
            ("latency_min_ns", Some(1000)),
            ("dropped", None),
            ("refused", None),
        ] {
            assert_eq!(of(&told.summary, name), expected, "{name}");
        }
        let expected = [("below_1024_ns", 2), ("below_2048_ns", 1), ("more", 1)];
        assert_eq!(told.histogram, expected.map(|(name, packets)| (name.to_string(), packets)));
        assert_eq!(told.queues[0].0, "rx0");
        assert_eq!(of(&told.queues[0].1, "valid"), Some(7));
        let counters = ModeCounter::examples();
        let told = Telemetry::of(&snapshot, Meaning::Forwards, &counters, ports);
        assert!(told.histogram.is_empty());
        let names = ["due", "valid", "refused", "dropped", "counters.odd"];
        let found = names.map(|name| of(&told.summary, name).is_some());
        assert_eq!(found, [false, false, true, true, true]);
    }
}
