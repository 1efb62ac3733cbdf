//! What a run was: for people, for programs, and whether it adds up.

use super::collector::{Driver, Totals};
use super::counter::{Counter, Counts};
use super::histogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What "transmitted", "received" and "lost" mean in a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Sends its own packets and gets them back: sent, valid, and the difference.
    Sendrecv,
    /// Passes on what it gets: sent, received, and what the tx queue refused.
    Reflect,
    /// Counts: nobody knows what should have come.
    Tally,
}

impl Meaning {
    /// Transmitted, received and lost packets.
    #[must_use]
    pub fn of(self, totals: &Totals) -> (u64, u64, Option<u64>) {
        let counts = &totals.counts;
        match self {
            Self::Sendrecv => (counts[Counter::Sent], counts[Counter::Valid], Some(totals.lost)),
            Self::Reflect => {
                let refused = counts[Counter::TxQueueFull];
                (counts[Counter::Sent], counts[Counter::Received], Some(refused))
            }
            Self::Tally => (counts[Counter::Sent], counts[Counter::Received], None),
        }
    }

    /// Lost packets as a share of those that could be: 1 when all were, `None` when there were
    /// none or nobody knows.
    #[must_use]
    pub fn loss_ratio(self, totals: &Totals) -> Option<f64> {
        let (sent, _, lost) = self.of(totals);
        let lost = lost?;
        let all = if self == Self::Reflect { sent + lost } else { sent };
        (all > 0).then(|| lost as f64 / all as f64)
    }
}

/// All that is known of a run when it is over.
pub struct Run {
    /// As it was asked for on the command line.
    pub mode: String,
    /// What its counters mean.
    pub meaning: Meaning,
    /// From the start to the moment when sending ended, in ns.
    pub duration_ns: u64,
    /// Packets per second that were asked for; `None` for as fast as possible, and for modes that
    /// send nothing of their own.
    pub requested_pps: Option<f64>,
    /// What the workers counted.
    pub totals: Totals,
    /// See [`super::Collector::mismatch`].
    pub mismatch: u64,
    /// The round-trip times of valid packets.
    pub latencies: Histogram,
    /// What the C++ side counted.
    pub driver: Driver,
    /// What the port says about packets that never reached a queue's user, by name.
    pub port: BTreeMap<String, u64>,
}

/// The equations that do not hold (DESIGN law 1), each as one line; none in a sound run.
#[must_use]
pub fn ledger(run: &Run) -> Vec<String> {
    let counts = &run.totals.counts;
    let foreign = counts.sum(Counter::FOREIGN);
    let mut equations = vec![
        ("sent = packets accepted by the driver", counts[Counter::Sent], run.driver.accepted),
        (
            "received = packets delivered by the driver",
            counts[Counter::Received],
            run.driver.delivered,
        ),
    ];
    match run.meaning {
        Meaning::Sendrecv => equations.extend([
            (
                "due = not sent + sent",
                counts[Counter::Due],
                counts.sum(Counter::NOT_SENT) + counts[Counter::Sent],
            ),
            (
                "sent = valid + lost",
                counts[Counter::Sent],
                counts[Counter::Valid] + run.totals.lost,
            ),
            (
                "received = valid + duplicate + corrupt + foreign + late",
                counts[Counter::Received],
                counts.sum(&[Counter::Valid, Counter::Duplicate, Counter::Late])
                    + counts.sum(Counter::CORRUPT)
                    + foreign,
            ),
            ("arrived sequence numbers = valid packets", run.mismatch, 0),
        ]),
        Meaning::Reflect => equations.push((
            "received = sent + tx_queue_full + ignored",
            counts[Counter::Received],
            counts[Counter::Sent] + counts[Counter::TxQueueFull] + foreign,
        )),
        Meaning::Tally => {}
    }
    let broken = equations.into_iter().filter(|(_, left, right)| left != right);
    broken.map(|(equation, left, right)| format!("{equation}: {left} is not {right}")).collect()
}

/// One second of a run on one line.
#[must_use]
pub fn live_line(meaning: Meaning, end_ns: u64, duration_ns: u64, totals: &Totals) -> String {
    let (tx, rx, lost) = meaning.of(totals);
    let rate = |packets: u64| pps(packets as f64 * 1e9 / duration_ns as f64);
    let mut line = format!("{:7.1} s  tx {}  rx {}", end_ns as f64 / 1e9, rate(tx), rate(rx));
    if let Some(lost) = lost {
        let percent = meaning.loss_ratio(totals).map_or("-".into(), percent);
        let _ = write!(line, "  lost {} ({percent})", grouped(lost));
    }
    if let Some(mean) = totals.latency.mean_ns() {
        let max = totals.latency.max_ns as f64;
        let _ = write!(line, "  latency mean {} max {}", time(mean), time(max));
    }
    line
}

/// The run in a fixed layout for people, several lines.
#[must_use]
pub fn summary(run: &Run) -> String {
    let totals = &run.totals;
    let counts = &totals.counts;
    let (tx, rx, lost) = run.meaning.of(totals);
    let rate = |packets: u64| pps(packets as f64 * 1e9 / run.duration_ns.max(1) as f64);
    let mut lines = vec![format!("--- {}: {:.3} s ---", run.mode, run.duration_ns as f64 / 1e9)];
    let requested = match run.requested_pps {
        Some(requested) => format!(" (requested {})", pps(requested)),
        None => String::new(),
    };
    lines.push(format!("rate      tx {}{requested}  rx {}", rate(tx), rate(rx)));
    if let Some(lost) = lost {
        let percent = run.meaning.loss_ratio(totals).map_or("-".into(), percent);
        lines.push(format!("lost      {} ({percent})", grouped(lost)));
    }
    let received = grouped(counts[Counter::Received]);
    let foreign = grouped(counts.sum(Counter::FOREIGN));
    let of_foreign = reasons_text(counts, Counter::FOREIGN);
    match run.meaning {
        Meaning::Sendrecv => {
            lines.push(format!(
                "due       {} = sent {} + not sent {}{}",
                grouped(counts[Counter::Due]),
                grouped(counts[Counter::Sent]),
                grouped(counts.sum(Counter::NOT_SENT)),
                reasons_text(counts, Counter::NOT_SENT),
            ));
            lines.push(format!(
                "received  {received} = valid {} + duplicate {} + corrupt {}{} + foreign {foreign}{of_foreign} + late {}",
                grouped(counts[Counter::Valid]),
                grouped(counts[Counter::Duplicate]),
                grouped(counts.sum(Counter::CORRUPT)),
                reasons_text(counts, Counter::CORRUPT),
                grouped(counts[Counter::Late]),
            ));
        }
        Meaning::Reflect => lines.push(format!(
            "received  {received} = sent {} + tx_queue_full {} + ignored {foreign}{of_foreign}",
            grouped(counts[Counter::Sent]),
            grouped(counts[Counter::TxQueueFull]),
        )),
        Meaning::Tally => lines.push(format!("received  {received}")),
    }
    if let Some(mean) = totals.latency.mean_ns() {
        let quantile = |quantile| run.latencies.quantile_ns(quantile).map_or("-".into(), time);
        lines.push(format!(
            "latency   min {}  mean {}  p50 {}  p99 {}  p99.9 {}  max {}  (round trip)",
            time(totals.latency.min_ns as f64),
            time(mean),
            quantile(0.5),
            quantile(0.99),
            quantile(0.999),
            time(totals.latency.max_ns as f64),
        ));
    }
    if !run.port.is_empty() {
        let port = run.port.iter().map(|(name, value)| format!("{name} {}", grouped(*value)));
        lines.push(format!("port      {}", port.collect::<Vec<_>>().join("  ")));
    }
    let broken = ledger(run);
    lines.push(if broken.is_empty() {
        "ledger    balanced: every packet is accounted for".into()
    } else {
        format!("ledger    NOT BALANCED: {}", broken.join("; "))
    });
    lines.join("\n")
}

#[derive(Serialize)]
struct Document<'a> {
    mode: &'a str,
    duration_s: f64,
    tx: Tx,
    rx: Rx,
    lost: Lost,
    loss_ratio: Option<f64>,
    latency_ns: LatencyNs,
    port: &'a BTreeMap<String, u64>,
    ledger_balanced: bool,
}

#[derive(Serialize)]
struct Tx {
    requested_pps: Option<f64>,
    sent_pps: f64,
    due: Option<u64>,
    sent: u64,
    not_sent: u64,
    not_sent_reasons: Reasons,
}

#[derive(Serialize)]
struct Rx {
    received: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    corrupt: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    corrupt_reasons: Option<Reasons>,
    foreign: u64,
    foreign_reasons: Reasons,
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<u64>,
}

#[derive(Serialize)]
struct Lost {
    total: Option<u64>,
}

#[derive(Serialize)]
struct LatencyNs {
    min: Option<u64>,
    mean: Option<f64>,
    p50: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
    #[serde(rename = "p99.9")]
    p99_9: Option<f64>,
    #[serde(rename = "p99.99")]
    p99_99: Option<f64>,
    max: Option<u64>,
}

type Reasons = BTreeMap<&'static str, u64>;

fn reasons(counts: &Counts, counters: &[Counter]) -> Reasons {
    counters.iter().map(|counter| (counter.name(), counts[*counter])).collect()
}

/// The run as one JSON object. What the mode cannot know is `null` or left out, never 0.
#[must_use]
pub fn to_json(run: &Run) -> String {
    let totals = &run.totals;
    let counts = &totals.counts;
    let ours = run.meaning == Meaning::Sendrecv;
    let of_ours = |value: u64| ours.then_some(value);
    let latency = &totals.latency;
    let known = |value: u64| (latency.count > 0).then_some(value);
    let document = Document {
        mode: &run.mode,
        duration_s: run.duration_ns as f64 / 1e9,
        tx: Tx {
            requested_pps: run.requested_pps,
            sent_pps: counts[Counter::Sent] as f64 * 1e9 / run.duration_ns.max(1) as f64,
            due: of_ours(counts[Counter::Due]),
            sent: counts[Counter::Sent],
            not_sent: counts.sum(Counter::NOT_SENT),
            not_sent_reasons: reasons(counts, Counter::NOT_SENT),
        },
        rx: Rx {
            received: counts[Counter::Received],
            valid: of_ours(counts[Counter::Valid]),
            duplicate: of_ours(counts[Counter::Duplicate]),
            corrupt: of_ours(counts.sum(Counter::CORRUPT)),
            corrupt_reasons: ours.then(|| reasons(counts, Counter::CORRUPT)),
            foreign: counts.sum(Counter::FOREIGN),
            foreign_reasons: reasons(counts, Counter::FOREIGN),
            late: of_ours(counts[Counter::Late]),
        },
        lost: Lost { total: run.meaning.of(totals).2 },
        loss_ratio: run.meaning.loss_ratio(totals),
        latency_ns: LatencyNs {
            min: known(latency.min_ns),
            mean: latency.mean_ns(),
            p50: run.latencies.quantile_ns(0.5),
            p90: run.latencies.quantile_ns(0.9),
            p99: run.latencies.quantile_ns(0.99),
            p99_9: run.latencies.quantile_ns(0.999),
            p99_99: run.latencies.quantile_ns(0.9999),
            max: known(latency.max_ns),
        },
        port: &run.port,
        ledger_balanced: ledger(run).is_empty(),
    };
    // Only numbers and strings: cannot fail.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

/// The reasons that occurred, as ` (a 1, b 2)`.
fn reasons_text(counts: &Counts, counters: &[Counter]) -> String {
    let occurred = counters.iter().filter(|counter| counts[**counter] > 0);
    let texts: Vec<_> = occurred
        .map(|counter| format!("{} {}", counter.name(), grouped(counts[*counter])))
        .collect();
    if texts.is_empty() { String::new() } else { format!(" ({})", texts.join(", ")) }
}

fn pps(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.3} Mpps", rate / 1e6),
        rate if rate >= 1e3 => format!("{:.3} kpps", rate / 1e3),
        rate => format!("{rate:.1} pps"),
    }
}

/// Enough digits to tell one lost packet in 10^9 from none.
fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent == 0.0 || percent >= 0.01 {
        format!("{percent:.3} %")
    } else {
        format!("{percent:.1e} %")
    }
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns >= 1e9 => format!("{:.3} s", ns / 1e9),
        ns if ns >= 1e6 => format!("{:.2} ms", ns / 1e6),
        ns if ns >= 1e3 => format!("{:.2} us", ns / 1e3),
        ns => format!("{ns:.0} ns"),
    }
}

/// `1234567` as `1,234,567`.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Latency;
    use super::*;

    fn run() -> Run {
        let mut totals = Totals {
            lost: 3,
            latency: Latency { count: 997, sum_ns: 997_000, min_ns: 500, max_ns: 2_000_000 },
            ..Totals::default()
        };
        for (counter, value) in [
            (Counter::Due, 1010),
            (Counter::PacerShortfall, 4),
            (Counter::TxQueueFull, 6),
            (Counter::Sent, 1000),
            (Counter::Received, 1005),
            (Counter::Valid, 997),
            (Counter::Duplicate, 2),
            (Counter::Late, 1),
            (Counter::CorruptTag, 1),
            (Counter::ForeignNotIpv4, 4),
        ] {
            totals.counts[counter] = value;
        }
        Run {
            mode: "sendrecv".into(),
            meaning: Meaning::Sendrecv,
            duration_ns: 2_000_000_000,
            requested_pps: Some(505.0),
            totals,
            mismatch: 0,
            latencies: Histogram::default(),
            driver: Driver { delivered: 1005, accepted: 1000 },
            port: BTreeMap::from([("imissed".to_string(), 0)]),
        }
    }

    #[test]
    fn a_sound_run_balances() {
        assert_eq!(ledger(&run()), Vec::<String>::new());
    }

    #[test]
    fn one_packet_too_many_anywhere_is_named() {
        for (counter, equation) in [
            (Counter::Due, "due = not sent + sent"),
            (Counter::TxQueueFull, "due = not sent + sent"),
            (Counter::Sent, "sent = packets accepted by the driver"),
            (Counter::Received, "received = packets delivered by the driver"),
            (Counter::Valid, "sent = valid + lost"),
            (Counter::Late, "received = valid + duplicate"),
            (Counter::CorruptFiller, "received = valid + duplicate"),
            (Counter::ForeignRun, "received = valid + duplicate"),
        ] {
            let mut run = run();
            run.totals.counts[counter] += 1;
            let broken = ledger(&run);
            assert!(
                broken.iter().any(|line| line.starts_with(equation)),
                "{counter:?}: {broken:?}"
            );
            assert!(summary(&run).contains("NOT BALANCED"));
            assert!(to_json(&run).contains("\"ledger_balanced\": false"));
        }
    }

    #[test]
    fn the_summary_reads_well() {
        assert_eq!(
            summary(&run()),
            "--- sendrecv: 2.000 s ---\n\
             rate      tx 500.0 pps (requested 505.0 pps)  rx 498.5 pps\n\
             lost      3 (0.300 %)\n\
             due       1,010 = sent 1,000 + not sent 10 (pacer_shortfall 4, tx_queue_full 6)\n\
             received  1,005 = valid 997 + duplicate 2 + corrupt 1 (tag 1) + foreign 4 (not_ipv4 4) + late 1\n\
             latency   min 500 ns  mean 1.00 us  p50 -  p99 -  p99.9 -  max 2.00 ms  (round trip)\n\
             port      imissed 0\n\
             ledger    balanced: every packet is accounted for"
        );
    }

    #[test]
    fn json_has_its_keys_and_null_for_the_unknown() {
        let document: serde_json::Value = serde_json::from_str(&to_json(&run())).unwrap();
        assert_eq!(document["tx"]["sent"], 1000);
        assert_eq!(document["rx"]["valid"], 997);
        assert_eq!(document["lost"]["total"], 3);
        assert_eq!(document["loss_ratio"], 0.003);
        assert_eq!(document["latency_ns"]["min"], 500);
        assert_eq!(document["latency_ns"]["mean"], 1000.0);
        assert_eq!(document["ledger_balanced"], true);
        let mut run = run();
        run.meaning = Meaning::Tally;
        run.totals.latency = Latency::default();
        let document: serde_json::Value = serde_json::from_str(&to_json(&run)).unwrap();
        assert!(document["lost"]["total"].is_null());
        assert!(document["loss_ratio"].is_null());
        assert!(document["latency_ns"]["min"].is_null());
        assert!(document["rx"].get("valid").is_none());
    }

    #[test]
    fn numbers_are_legible() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000_000), "1,000,000");
        assert_eq!(percent(0.0), "0.000 %");
        assert_eq!(percent(1e-9), "1.0e-7 %");
        assert_eq!(pps(3_500_000.0), "3.500 Mpps");
        assert_eq!(time(1.5e9), "1.500 s");
    }
}
