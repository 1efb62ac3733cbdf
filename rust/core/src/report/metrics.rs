//! What is known about a running measurement, as `OpenMetrics` 1.0 text.

use crate::count::{Counter, Histogram, ModeCounter, Role};
use crate::run::mode::Meaning;
use crate::run::{Ports, Snapshot, WorkerCounts};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;

/// Powers of two whose nanoseconds are upper bounds of the latency histogram: 256 ns to 8.6 s. The
/// counts of packets below them are exact.
const BOUNDS: std::ops::RangeInclusive<u32> = 8..=33;

/// What does not change while the program runs.
#[derive(Clone, Debug)]
pub(super) struct About {
    /// The mode's name.
    pub(super) mode: String,
    /// What its counters mean.
    pub(super) meaning: Meaning,
    /// Its own counters.
    pub(super) counters: Vec<ModeCounter>,
    /// Its ports and queues.
    pub(super) ports: Ports,
}

/// Counters of packets, each with the labels `port` and `queue`.
struct Family {
    name: &'static str,
    help: &'static str,
    counters: &'static [Counter],
    /// The label `reason` tells the counters apart.
    by_reason: bool,
    /// Counted on rx queues.
    rx: bool,
    /// Counted on tx queues.
    tx: bool,
    /// Modes that count it; empty: all.
    of: &'static [Meaning],
}

impl Family {
    const fn new(name: &'static str, help: &'static str, counters: &'static [Counter]) -> Self {
        let by_reason = counters.len() > 1;
        Self { name, help, counters, by_reason, rx: true, tx: true, of: &[] }
    }

    const fn tx(self) -> Self {
        Self { rx: false, ..self }
    }

    const fn rx(self) -> Self {
        Self { tx: false, ..self }
    }

    const fn of(self, of: &'static [Meaning]) -> Self {
        Self { of, ..self }
    }
}

const MEASURES: &[Meaning] = &[Meaning::Measures];

/// A mode that returns or forwards packets counts on the rx queue also what it sends.
const FAMILIES: [Family; 14] = [
    Family::new("packets_due", "Packets that the requested rate called for", &[Counter::Due])
        .tx()
        .of(MEASURES),
    Family::new("packets_not_sent", "Packets due that were not sent", Counter::NOT_SENT)
        .tx()
        .of(MEASURES),
    Family::new("packets_sent", "Packets that the driver accepted", &[Counter::Sent]),
    Family::new("packets_sent_late", "Packets sent more than 1 ms late", &[Counter::SentLate])
        .tx()
        .of(MEASURES),
    Family::new("packets_received", "Packets that the driver delivered", &[Counter::Received]).rx(),
    Family::new("packets_valid", "Packets that came back intact and in time", &[Counter::Valid])
        .rx()
        .of(MEASURES),
    Family::new("packets_duplicate", "Packets that came back again", &[Counter::Duplicate])
        .rx()
        .of(MEASURES),
    Family::new("packets_corrupt", "Packets of ours that were changed", Counter::CORRUPT)
        .rx()
        .of(MEASURES),
    Family::new("packets_late", "Packets that came back after the timeout", &[Counter::Late])
        .rx()
        .of(MEASURES),
    Family::new("packets_reordered", "Valid packets behind later ones", &[Counter::Reordered])
        .rx()
        .of(MEASURES),
    Family::new("packets_foreign", "Packets that are not ours", Counter::FOREIGN).rx(),
    Family::new("packets_refused", "Packets that no tx queue took", &[Counter::TxQueueFull])
        .of(&[Meaning::Returns, Meaning::Forwards]),
    Family::new("packets_dropped", "Packets freed on purpose", &[Counter::Dropped])
        .of(&[Meaning::Forwards]),
    Family::new(
        "packets_control_received",
        "Packets for the control thread",
        &[Counter::ControlReceived],
    )
    .rx(),
];

/// The text of a scrape: counts from the start of the run to the end of its last complete second.
pub(super) fn open_metrics(about: &About, snapshot: Option<Arc<Snapshot>>) -> String {
    let mut registry = Registry::with_prefix("dpdkproj");
    registry.register_collector(Box::new(Scrape { about: about.clone(), snapshot }));
    let mut text = String::new();
    // Writing to memory cannot fail.
    encode(&mut text, &registry).unwrap_or_default();
    text
}

#[derive(Debug)]
struct Scrape {
    about: About,
    snapshot: Option<Arc<Snapshot>>,
}

/// Without exemplars.
const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, u64>> = None;

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let About { mode, meaning, .. } = &self.about;
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("mode", mode)];
        let help = "The program and its mode";
        encoder.encode_descriptor("build", help, None, MetricType::Info)?.encode_info(&labels)?;
        let Some(snapshot) = &self.snapshot else { return Ok(()) };
        let help = "Length of the run up to the end of its last complete second";
        let unit = Some(&Unit::Seconds);
        let mut run = encoder.encode_descriptor("run_duration", help, unit, MetricType::Gauge)?;
        run.encode_gauge(&(snapshot.end_ns as f64 / 1e9))?;
        for family in
            FAMILIES.iter().filter(|family| family.of.is_empty() || family.of.contains(meaning))
        {
            self.encode_family(&mut encoder, family, &snapshot.workers)?;
        }
        self.encode_mode_counters(&mut encoder, &snapshot.workers)?;
        if *meaning == Meaning::Measures {
            let help = "Packets sent that did not come back intact and in time";
            let mut lost =
                encoder.encode_descriptor("packets_lost", help, None, MetricType::Counter)?;
            lost.encode_counter(&snapshot.totals.lost, NO_EXEMPLAR)?;
            let help = "Round-trip times of valid packets";
            let mut times =
                encoder.encode_descriptor("latency", help, unit, MetricType::Histogram)?;
            let sum = snapshot.totals.latency.sum_ns as f64 / 1e9;
            let (count, buckets) = (snapshot.latencies.count(), buckets(&snapshot.latencies));
            times.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

impl Scrape {
    fn labels(&self, worker: &WorkerCounts) -> Vec<(&'static str, String)> {
        let (port, queue) = self.about.ports.port_and_queue(worker.role, worker.place);
        vec![("port", port.to_string()), ("queue", queue.to_string())]
    }

    fn encode_family(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        family: &Family,
        workers: &[WorkerCounts],
    ) -> fmt::Result {
        let Family { name, help, counters, by_reason, rx, tx, .. } = family;
        let ports = self.about.ports;
        let counts_here = |worker: &&WorkerCounts| match worker.role {
            Role::Count => ports.is_rx(worker.role, worker.place) || !by_reason,
            Role::Send { .. } => *tx,
            Role::Receive => *rx && *name != "packets_sent",
        };
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for worker in workers.iter().filter(counts_here) {
            for counter in *counters {
                let mut labels = self.labels(worker);
                if *by_reason {
                    labels.push(("reason", counter.name().into()));
                }
                metric
                    .encode_family(&labels)?
                    .encode_counter(&worker.counts[*counter], NO_EXEMPLAR)?;
            }
        }
        Ok(())
    }

    fn encode_mode_counters(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        workers: &[WorkerCounts],
    ) -> fmt::Result {
        if self.about.counters.is_empty() {
            return Ok(());
        }
        let help = "Packets in the mode's own counters";
        let mut metric =
            encoder.encode_descriptor("packets_counted", help, None, MetricType::Counter)?;
        for worker in workers {
            for (counter, packets) in self.about.counters.iter().zip(worker.counts.mode) {
                let mut labels = self.labels(worker);
                labels.push(("counter", counter.name.clone()));
                metric.encode_family(&labels)?.encode_counter(&packets, NO_EXEMPLAR)?;
            }
        }
        Ok(())
    }
}

/// Upper bounds in seconds, each with the number of times from the bound before it.
fn buckets(latencies: &Histogram) -> Vec<(f64, u64)> {
    let mut below = 0;
    let mut since = |all: u64| all - std::mem::replace(&mut below, all);
    let bounded = BOUNDS.map(|exponent| {
        let bound = (1u64 << exponent) as f64 / 1e9;
        (bound, since(latencies.count_below_power(exponent)))
    });
    let mut buckets: Vec<_> = bounded.collect();
    buckets.push((f64::MAX, since(latencies.count())));
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::peer::Peer;
    use crate::count::{Counts, Departures, Polls, histogram_of};
    use crate::run::Totals;

    fn snapshot() -> Snapshot {
        let worker = |role, place, counted: &[(Counter, u64)]| {
            let mut counts = Counts::default();
            for (counter, packets) in counted {
                counts[*counter] = *packets;
            }
            let (polls, departures) = (Polls::default(), Departures::default());
            WorkerCounts { role, place, counts, polls, departures }
        };
        let mut totals = Totals { lost: 2, ..Totals::default() };
        totals.latency.sum_ns = 2_000_001_000;
        Snapshot {
            start_ns: 2_000_000_000,
            end_ns: 3_000_000_000,
            second: Totals::default(),
            totals,
            workers: vec![
                worker(Role::Send { stream: 0 }, 0, &[(Counter::Due, 9), (Counter::Sent, 8)]),
                worker(Role::Receive, 1, &[(Counter::Received, 7), (Counter::CorruptTag, 1)]),
                worker(Role::Receive, 2, &[(Counter::Valid, 5)]),
            ],
            latencies: histogram_of(&[255, 256, 2_000_000_000, u64::MAX]),
            peer: Peer::NotAsked,
            checkpoint: None,
            port_missed: None,
        }
    }

    fn about(meaning: Meaning) -> About {
        let ports = Ports { count: 1, rx_queues: 2, tx_queues: 1 };
        About { mode: "a mode".into(), meaning, counters: ModeCounter::examples(), ports }
    }

    #[test]
    fn a_scrape_has_what_the_mode_counts_with_labels() {
        let text = open_metrics(&about(Meaning::Measures), Some(Arc::new(snapshot())));
        for line in [
            "# TYPE dpdkproj_build info",
            "# TYPE dpdkproj_packets_sent counter",
            "dpdkproj_run_duration_seconds 3.0",
            "dpdkproj_packets_due_total{port=\"0\",queue=\"0\"} 9",
            "dpdkproj_packets_sent_total{port=\"0\",queue=\"0\"} 8",
            "dpdkproj_packets_received_total{port=\"0\",queue=\"0\"} 7",
            "dpdkproj_packets_corrupt_total{port=\"0\",queue=\"0\",reason=\"tag\"} 1",
            "dpdkproj_packets_valid_total{port=\"0\",queue=\"1\"} 5",
            "dpdkproj_packets_counted_total{port=\"0\",queue=\"1\",counter=\"odd\"} 0",
            "dpdkproj_packets_lost_total 2",
            "# UNIT dpdkproj_latency_seconds seconds",
            "dpdkproj_latency_seconds_sum 2.000001",
            "dpdkproj_latency_seconds_count 4",
            "dpdkproj_latency_seconds_bucket{le=\"2.56e-7\"} 1",
            "dpdkproj_latency_seconds_bucket{le=\"5.12e-7\"} 2",
            "dpdkproj_latency_seconds_bucket{le=\"8.589934592\"} 3",
            "dpdkproj_latency_seconds_bucket{le=\"+Inf\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert_eq!(text.matches("dpdkproj_packets_sent_total{").count(), 1, "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn what_a_mode_does_not_know_is_left_out() {
        let text = open_metrics(&about(Meaning::Counts), Some(Arc::new(snapshot())));
        for name in ["due", "valid", "lost", "corrupt"] {
            assert!(!text.contains(&format!("dpdkproj_packets_{name}")), "{text}");
        }
        assert!(!text.contains("latency"), "{text}");
        let none = open_metrics(&about(Meaning::Measures), None);
        assert!(!none.contains("packets") && none.contains("mode=\"a mode\""), "{none}");
        assert!(none.ends_with("# EOF\n"), "{none}");
    }
}
