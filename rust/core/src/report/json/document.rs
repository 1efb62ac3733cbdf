//! The document as `serde` writes and reads it: the names and the order of its keys.

use super::basis::Basis;
use crate::count::{Departures, Histogram};
use crate::report::bottleneck::{Bottleneck, Verdict};
use crate::report::host::Host;
use crate::report::loss::Loss;
use crate::report::outcome::{ClockSync, KnownFlows, Merged, Size};
use crate::report::port;
use crate::report::queues::{Load, Queue};
use crate::run::{Event, LossRun};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Counters by name.
pub(in crate::report) type Counted = BTreeMap<String, u64>;

/// A fixed word when written; any text when read.
pub(in crate::report) type Word = Cow<'static, str>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) schema: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) merged: Option<Merged>,
    pub(super) started_utc: Timestamp,
    pub(super) clock_sync: Option<ClockSync>,
    pub(super) mode: String,
    pub(super) meaning: Word,
    pub(super) command: Vec<String>,
    pub(super) host: Host,
    pub(super) duration_s: f64,
    pub(super) busy_s: Option<f64>,
    pub(super) warmup_s: f64,
    pub(super) drain_s: f64,
    pub(super) tx: Tx,
    pub(super) rx: Rx,
    pub(super) lost: Lost,
    pub(super) loss_ratio: Option<f64>,
    pub(super) latency_ns: LatencyNs,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reorder: Option<Reorder>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) loss_runs: Option<Runs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reflector: Option<Reflector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) impaired: Option<Counted>,
    #[serde(default, skip_serializing_if = "Counted::is_empty")]
    pub(super) counters: Counted,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) flows: Option<KnownFlows>,
    pub(super) pacing: Option<Departures>,
    pub(super) steal_ms: Option<u64>,
    pub(super) queues: Vec<Queue>,
    pub(super) bottleneck: Limiting,
    pub(super) ports: Vec<port::Port>,
    pub(super) port: Counted,
    pub(super) port_remarks: Vec<String>,
    pub(super) port_removed_s: Option<f64>,
    pub(super) events: Vec<PortEvent>,
    pub(super) events_omitted: u64,
    pub(super) limits_broken: Vec<String>,
    pub(super) ledger_balanced: bool,
    pub(super) ledger_broken: Vec<String>,
    pub(super) basis: Basis,
}

/// What happened to a port.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PortEvent {
    pub(super) at_s: f64,
    pub(super) port: u16,
    pub(super) what: Word,
}

impl From<&Event> for PortEvent {
    fn from(event: &Event) -> Self {
        Self { at_s: event.at_ns as f64 / 1e9, port: event.port, what: event.what.name().into() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tx {
    pub(super) requested_pps: Option<f64>,
    pub(super) sent_pps: Option<f64>,
    pub(super) due: Option<u64>,
    pub(super) sent: u64,
    pub(super) sent_late: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) waited: Option<u64>,
    pub(super) not_sent: u64,
    pub(super) not_sent_reasons: Counted,
    pub(super) control: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) checksums: Option<port::Checksums>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vlan_tag: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sizes: Option<Vec<Size>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rx {
    pub(super) received: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) valid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) no_udp_checksum: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dscp_changed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ecn_changed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duplicate: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) corrupt: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) corrupt_reasons: Option<Counted>,
    pub(super) foreign: u64,
    pub(super) foreign_reasons: Counted,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) other_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) late: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dropped: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) late_forgotten: Option<u64>,
    pub(super) control: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Lost {
    pub(super) total: Option<u64>,
    #[serde(flatten)]
    pub(super) places: Option<Places>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Places {
    pub(super) forward: Option<u64>,
    pub(super) reflector_nic: Option<u64>,
    pub(super) reflector: Option<u64>,
    #[serde(rename = "return")]
    pub(super) back: Option<u64>,
    pub(super) nic: Option<u64>,
    pub(super) corrupt: u64,
    pub(super) late: u64,
    pub(super) unknown: u64,
}

impl From<Loss> for Places {
    fn from(loss: Loss) -> Self {
        let Loss { forward, reflector_nic, reflector, back, nic, corrupt, late, unknown } = loss;
        Self { forward, reflector_nic, reflector, back, nic, corrupt, late, unknown }
    }
}

/// The reflector's counters.
#[derive(Serialize, Deserialize)]
pub(super) struct Reflector {
    pub(super) why_unknown: Option<Word>,
    #[serde(flatten)]
    pub(super) counted: Option<Counted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port_missed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) busiest: Option<Busiest>,
}

/// The reflector's rx queue that fell furthest behind.
#[derive(Serialize, Deserialize)]
pub(super) struct Busiest {
    pub(super) queue: String,
    #[serde(flatten)]
    pub(super) load: Load,
    pub(super) full_burst: u64,
}

/// The end that limits the path.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limiting {
    pub(super) end: Option<Word>,
    pub(super) queue: Option<String>,
    pub(super) reasons: Vec<String>,
    pub(super) reflector_unknown: Option<Word>,
}

impl From<Verdict> for Limiting {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Seen(Bottleneck { end, queue, reasons }) => {
                Self { end: Some(end.into()), queue: Some(queue), reasons, reflector_unknown: None }
            }
            Verdict::NoneSeen { unknown } => Self {
                end: None,
                queue: None,
                reasons: Vec::new(),
                reflector_unknown: unknown.map(Into::into),
            },
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct LatencyNs {
    pub(super) min: Option<u64>,
    pub(super) mean: Option<f64>,
    #[serde(flatten)]
    pub(super) percentiles: Percentiles,
    pub(super) max: Option<u64>,
    pub(super) jitter: Option<f64>,
    pub(super) delay_variation: Option<Percentiles>,
    pub(super) since_due: Option<Distribution>,
    pub(super) network: Option<Distribution>,
    pub(super) histogram: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Distribution {
    #[serde(flatten)]
    pub(super) percentiles: Percentiles,
    pub(super) histogram: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Percentiles {
    pub(super) p50: Option<u64>,
    pub(super) p90: Option<u64>,
    pub(super) p99: Option<u64>,
    #[serde(rename = "p99.9")]
    pub(super) p99_9: Option<u64>,
    #[serde(rename = "p99.99")]
    pub(super) p99_99: Option<u64>,
}

impl Percentiles {
    pub(super) fn of(quantile: impl Fn(f64) -> Option<u64>) -> Self {
        Self {
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            p99_99: quantile(0.9999),
        }
    }
}

/// The histogram as text; an empty text unless `is_encoded`.
pub(super) fn encoded(histogram: &Histogram, is_encoded: bool) -> String {
    if is_encoded { histogram.to_hdr() } else { String::new() }
}

impl Distribution {
    pub(super) fn of(histogram: &Histogram, is_encoded: bool) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            percentiles: Percentiles::of(|quantile| histogram.quantile_ns(quantile)),
            histogram: encoded(histogram, is_encoded),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reorder {
    pub(super) reordered: u64,
    pub(super) ratio: Option<f64>,
    pub(super) extent_max: Option<u64>,
    pub(super) extent_mean: Option<f64>,
    pub(super) extent_unknown: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Runs {
    pub(super) count: u64,
    pub(super) longest: Option<OneRun>,
    pub(super) most_packets: Option<OneRun>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneRun {
    pub(super) start_s: f64,
    pub(super) duration_s: f64,
    pub(super) packets: u64,
}

impl OneRun {
    pub(super) fn of(outcome: &LossRun) -> Option<Self> {
        (outcome.packets > 0).then(|| Self {
            start_s: outcome.start_ns / 1e9,
            duration_s: outcome.length_ns / 1e9,
            packets: outcome.packets,
        })
    }
}
