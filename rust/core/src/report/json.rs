//! The JSON summary, described by `data/summary.schema.json`. One description serves both directions:
//! [`to_json`] writes what [`from_json`] reads.

mod basis;
mod document;
mod read;

use super::bottleneck::{queue_of, verdict};
use super::ledger::ledger;
use super::limits;
use super::loss::{attribute, why_unknown};
use super::outcome::Outcome;
use super::port;
use super::queues::{Load, queues};
use crate::control::peer::Peer;
use crate::count::{Counter, Counts, Latency, LedgerPlace};
use crate::run::mode::Meaning;
use basis::Basis;
use document::{
    Busiest, Distribution, Document, LatencyNs, Lost, OneRun, Percentiles, Reflector, Reorder,
    Runs, Rx, Tx, encoded,
};
pub(super) use document::{Counted, Word};
pub use read::from_json;
pub(super) use read::{MOST, magnitude};

/// Value of the document's `schema` key. The number is raised when a key is removed or changes its
/// meaning, not when a key is added.
pub const SCHEMA: &str = "dpdkproj-summary/1";

fn counted(counts: &Counts, counters: &[Counter]) -> Counted {
    counters.iter().map(|counter| (counter.name().into(), counts[*counter])).collect()
}

/// The run as one JSON object. What the mode cannot know is `null` or left out, never 0.
#[must_use]
pub fn to_json(outcome: &Outcome) -> String {
    // Serialising only numbers and strings cannot fail.
    serde_json::to_string_pretty(&document(outcome, true)).unwrap_or_default() + "\n"
}

/// The document of a run. Histograms, which take longest to encode, can be left out.
fn document(outcome: &Outcome, has_histograms: bool) -> Document {
    let totals = &outcome.totals;
    let counts = &totals.counts;
    let ours = outcome.meaning == Meaning::Measures;
    Document {
        schema: SCHEMA.into(),
        merged: outcome.merged,
        started_utc: outcome.started_utc,
        clock_sync: outcome.clock_sync,
        mode: outcome.mode.clone(),
        meaning: outcome.meaning.name().into(),
        command: outcome.command.clone(),
        host: outcome.host.clone(),
        duration_s: outcome.duration_ns as f64 / 1e9,
        busy_s: outcome.busy_for_ns().filter(|_| !ours).map(|ns| ns as f64 / 1e9),
        warmup_s: outcome.warmup_ns as f64 / 1e9,
        drain_s: outcome.drain_ns as f64 / 1e9,
        tx: tx(outcome),
        rx: rx(outcome),
        lost: Lost {
            total: outcome.meaning.of(totals).2,
            places: attribute(outcome).map(Into::into),
        },
        loss_ratio: outcome.meaning.loss_ratio(totals),
        latency_ns: latency_ns(outcome, has_histograms),
        reorder: ours.then(|| reorder(outcome)),
        loss_runs: ours.then(|| Runs {
            count: outcome.loss_runs.count,
            longest: OneRun::of(&outcome.loss_runs.longest),
            most_packets: OneRun::of(&outcome.loss_runs.most_packets),
        }),
        reflector: ours.then(|| reflector(outcome)),
        impaired: outcome.impaired.then(|| counted(counts, Counter::IMPAIRED)),
        counters: outcome
            .counters
            .iter()
            .zip(counts.mode)
            .map(|(counter, packets)| (counter.name.clone(), packets))
            .collect(),
        flows: outcome.flows,
        pacing: outcome.departures,
        steal_ms: outcome.steal_ms,
        queues: queues(outcome),
        bottleneck: verdict(outcome).into(),
        ports: port::ports(outcome),
        port: outcome.port_counters().into_iter().map(|(name, n)| (name.into(), n)).collect(),
        port_remarks: port::remarks(outcome).into_iter().map(Into::into).collect(),
        port_removed_s: outcome.removed_ns().map(|ns| ns as f64 / 1e9),
        events: outcome.events.iter().map(Into::into).collect(),
        events_omitted: outcome.events_omitted,
        limits_broken: limits::broken(outcome),
        ledger_balanced: ledger(outcome).is_empty(),
        ledger_broken: ledger(outcome),
        basis: Basis::of(outcome),
    }
}

fn tx(outcome: &Outcome) -> Tx {
    let counts = &outcome.totals.counts;
    let mut not_sent_reasons = counted(counts, Counter::NOT_SENT);
    let of_mode = outcome.counted_at(LedgerPlace::Refused);
    not_sent_reasons.extend(of_mode.map(|(name, packets)| (name.into(), packets)));
    Tx {
        requested_pps: outcome.requested_pps,
        sent_pps: outcome.pps(counts[Counter::Sent]),
        due: (outcome.meaning == Meaning::Measures).then_some(counts[Counter::Due]),
        sent: counts[Counter::Sent],
        sent_late: outcome.requested_pps.map(|_| counts[Counter::SentLate]),
        waited: (outcome.meaning == Meaning::Returns).then_some(counts[Counter::Waited]),
        not_sent: counts.sum(Counter::NOT_SENT) + counts[Counter::Refused],
        not_sent_reasons,
        control: outcome.driver().control_sent,
        checksums: port::checksums(outcome),
        vlan_tag: port::vlan_tag(outcome),
        sizes: outcome.sizes.clone(),
    }
}

fn rx(outcome: &Outcome) -> Rx {
    let counts = &outcome.totals.counts;
    let ours = outcome.meaning == Meaning::Measures;
    let of_ours = |value: u64| ours.then_some(value);
    // A socket does not show them.
    let of_headers = |value: u64| (ours && !outcome.sockets).then_some(value);
    Rx {
        received: counts[Counter::Received],
        valid: of_ours(counts[Counter::Valid]),
        no_udp_checksum: of_headers(counts[Counter::NoUdpChecksum]),
        dscp_changed: of_headers(counts[Counter::DscpChanged]),
        ecn_changed: of_headers(counts[Counter::EcnChanged]),
        duplicate: of_ours(counts[Counter::Duplicate]),
        corrupt: of_ours(counts.sum(Counter::CORRUPT)),
        corrupt_reasons: ours.then(|| counted(counts, Counter::CORRUPT)),
        foreign: counts.sum(Counter::FOREIGN),
        foreign_reasons: counted(counts, Counter::FOREIGN),
        other_address: outcome.notes.other_address.map(|from| from.to_string()),
        late: of_ours(counts[Counter::Late]),
        dropped: (outcome.meaning == Meaning::Forwards).then_some(counts[Counter::Dropped]),
        late_forgotten: of_ours(counts[Counter::LateForgotten]),
        control: counts[Counter::ControlReceived],
    }
}

fn latency_ns(outcome: &Outcome, has_histograms: bool) -> LatencyNs {
    let Latency { count, min_ns, max_ns, .. } = outcome.totals.latency;
    let known = |value: u64| (count > 0).then_some(value);
    let quantile = |quantile| outcome.totals.latency.quantile_ns(&outcome.latencies, quantile);
    let above_min = |share| quantile(share).map(|ns| ns - min_ns);
    LatencyNs {
        min: known(min_ns),
        mean: outcome.totals.latency.mean_ns(),
        percentiles: Percentiles::of(quantile),
        max: known(max_ns),
        jitter: (count > 0).then_some(outcome.notes.jitter_ns),
        delay_variation: (count > 0).then(|| Percentiles::of(above_min)),
        since_due: Distribution::of(&outcome.notes.since_due, has_histograms),
        network: Distribution::of(&outcome.notes.network, has_histograms),
        histogram: (count > 0).then(|| encoded(&outcome.latencies, has_histograms)),
    }
}

fn reorder(outcome: &Outcome) -> Reorder {
    let reordered = outcome.totals.counts[Counter::Reordered];
    let extents = outcome.notes.extents;
    Reorder {
        reordered,
        ratio: outcome.reordered_ratio(),
        extent_max: (extents > 0).then_some(outcome.notes.extent_max),
        extent_mean: (extents > 0).then(|| outcome.notes.extent_sum as f64 / extents as f64),
        extent_unknown: reordered.saturating_sub(extents),
    }
}

fn reflector(outcome: &Outcome) -> Reflector {
    let report = if let Peer::Counted(report) = outcome.peer { Some(report) } else { None };
    let counted = |counter: &Counter| {
        report.map(|report| (counter.name().to_string(), report.count(*counter)))
    };
    Reflector {
        why_unknown: why_unknown(outcome).map(Into::into),
        counted: report.map(|_| Counter::FLOW.iter().filter_map(counted).collect()),
        port_missed: report.and_then(|report| report.port_missed),
        busiest: report.and_then(|report| report.load).map(|load| Busiest {
            queue: queue_of(load),
            load: Load::of(&load.polls, true),
            full_burst: load.full_burst,
        }),
    }
}

#[cfg(test)]
#[path = "json/tests.rs"]
pub(super) mod saved_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Latency;
    use crate::report::outcome::KnownFlows;
    use crate::report::outcome::tests::outcome;
    use crate::run::Totals;

    fn document(outcome: &Outcome) -> serde_json::Value {
        serde_json::from_str(&to_json(outcome)).unwrap()
    }

    #[test]
    fn json_has_its_keys_and_null_for_the_unknown() {
        let mut outcome = outcome();
        let found = document(&outcome);
        assert_eq!(found["schema"], SCHEMA);
        assert_eq!(found["tx"]["sent"], 1000);
        assert_eq!(found["tx"]["sent_late"], 5);
        assert_eq!(found["queues"][0]["sent_late"], 5);
        assert_eq!(found["rx"]["valid"], 997);
        assert_eq!(found["lost"]["total"], 3);
        assert_eq!(found["lost"]["unknown"], 1);
        assert!(found["lost"]["forward"].is_null());
        assert_eq!(found["reflector"]["why_unknown"], "the reflector did not answer");
        assert_eq!(found["loss_ratio"], 0.003);
        assert_eq!(found["latency_ns"]["min"], 500);
        assert_eq!(found["latency_ns"]["mean"], 1000.0);
        assert!(found["latency_ns"]["since_due"].is_null());
        assert_eq!(found["queues"][0]["name"], "tx0");
        assert_eq!(found["queues"][0]["not_sent.tx_queue_full"], 6);
        assert_eq!(found["queues"][1]["received"], 1005);
        assert_eq!(found["queues"][1]["corrupt.tag"], 1);
        assert_eq!(found["pacing"]["within_256_ns"], 990);
        assert_eq!(found["queues"][0]["pacing"], found["pacing"]);
        assert!(found["queues"][1].get("pacing").is_none());
        assert_eq!(found["rx"]["no_udp_checksum"], 0);
        assert_eq!([&found["rx"]["dscp_changed"], &found["rx"]["ecn_changed"]], [0, 0]);
        assert!(found["queues"][1].get("no_udp_checksum").is_none());
        outcome.workers[1].counts[Counter::NoUdpChecksum] = 4;
        assert_eq!(document(&outcome)["queues"][1]["no_udp_checksum"], 4);
        assert_eq!(found["steal_ms"], 10);
        assert_eq!(found["ledger_balanced"], true);
        assert!(found["tx"].get("waited").is_none());
        outcome.meaning = Meaning::Returns;
        outcome.totals.counts[Counter::Waited] = 5;
        outcome.flows = Some(KnownFlows { known: 3, refused_questions: 0 });
        let found = document(&outcome);
        assert_eq!((&found["tx"]["waited"], &found["flows"]["known"]), (&5.into(), &3.into()));
        assert!(found["tx"]["sent_pps"].is_null() && found["busy_s"].is_null());
        outcome.busy_ns = Some((7, 500_000_007));
        let found = document(&outcome);
        assert_eq!((&found["tx"]["sent_pps"], &found["busy_s"]), (&1998.0.into(), &0.5.into()));
        outcome.meaning = Meaning::Forwards;
        outcome.totals.counts[Counter::Dropped] = 6;
        assert_eq!(document(&outcome)["rx"]["dropped"], 6);
        outcome.meaning = Meaning::Counts;
        outcome.departures = None;
        outcome.requested_pps = None;
        outcome.steal_ms = None;
        outcome.totals.latency = Latency::default();
        let found = document(&outcome);
        assert!(found["lost"]["total"].is_null());
        assert!(found["pacing"].is_null() && found["steal_ms"].is_null());
        assert!(found["queues"][0].get("pacing").is_none());
        assert!(found["loss_ratio"].is_null() && found["tx"]["sent_late"].is_null());
        assert!(found["latency_ns"]["min"].is_null());
        assert!(found["rx"].get("valid").is_none());
        assert!(found["rx"].get("dropped").is_none());
        assert_eq!(found["meaning"], "counts");
        assert!(found.get("reorder").is_none());
    }

    #[test]
    fn a_mode_s_own_counters_have_their_names() {
        assert!(document(&outcome()).get("counters").is_none());
        let found = document(&crate::report::outcome::tests::forwarding());
        let expected = serde_json::json!({"decimated": 8, "overflow": 3, "odd": 5});
        assert_eq!(found["counters"], expected);
        assert_eq!(found["queues"][0]["counters.decimated"], 8);
        assert_eq!((&found["rx"]["dropped"], &found["tx"]["not_sent"]), (&10.into(), &4.into()));
        assert_eq!(found["tx"]["not_sent_reasons"]["overflow"], 3);
        assert_eq!((&found["lost"]["total"], &found["loss_ratio"]), (&4.into(), &0.4.into()));
        assert_eq!(found["ledger_balanced"], true, "{found}");
    }

    #[test]
    fn a_ledger_that_does_not_balance_says_which_line() {
        let mut outcome = outcome();
        outcome.totals = Totals { lost: 4, ..outcome.totals };
        let found = document(&outcome);
        assert_eq!(found["ledger_balanced"], false);
        assert_eq!(found["ledger_broken"][0], "sent = valid + lost: 1000 is not 1001");
    }
}
