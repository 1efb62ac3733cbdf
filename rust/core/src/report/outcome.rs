//! The outcome: everything known about a run when it is over.

mod port;

pub use port::{ByPort, PortOutcome};

use super::host::Host;
use super::loss::Loss;
use crate::control::peer::Peer;
use crate::count::{Counter, Departures, Histogram, LedgerPlace, ModeCounter, RunNotes};
use crate::run::mode::Meaning;
use crate::run::{Driver, Event, Limits, LossRuns, Ports, Run, Totals, WorkerCounts};
use crate::work::pacer::{Rate, TxMode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

impl Meaning {
    /// Transmitted, received and lost packets; lost is `None` if unknown.
    #[must_use]
    pub fn of(self, totals: &Totals) -> (u64, u64, Option<u64>) {
        let counts = &totals.counts;
        match self {
            Self::Measures => (counts[Counter::Sent], counts[Counter::Valid], Some(totals.lost)),
            Self::Returns | Self::Forwards => {
                let refused = counts.sum(&[Counter::TxQueueFull, Counter::Refused]);
                (counts[Counter::Sent], counts[Counter::Received], Some(refused))
            }
            Self::Counts => (counts[Counter::Sent], counts[Counter::Received], None),
        }
    }

    /// Lost packets as a share of all packets, 0 to 1. `None` if there were none, or if the losses
    /// are unknown.
    #[must_use]
    pub fn loss_ratio(self, totals: &Totals) -> Option<f64> {
        let (sent, _, lost) = self.of(totals);
        let lost = lost?;
        let all = if self == Self::Measures { sent } else { sent + lost };
        (all > 0).then(|| lost as f64 / all as f64)
    }
}

/// How well the system clock (`CLOCK_REALTIME`) was synchronised at the end of a run, according to
/// the kernel (`adjtimex(2)`), which knows it from chrony, ntpd or whatever else disciplines the
/// clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockSync {
    /// Whether `STA_UNSYNC` is not set.
    pub synchronised: bool,
    /// Maximum error, in us.
    pub max_error_us: u64,
    /// Estimated error, in us.
    pub estimated_error_us: u64,
}

/// A packet size of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// UDP payload.
    pub payload_bytes: u16,
    /// On the wire, with FCS.
    pub frame_bytes: usize,
    /// How often it comes in a round.
    pub weight: u32,
}

/// What a merged result consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merged {
    /// Number of runs.
    pub runs: u64,
    /// How many of them exceeded a limit.
    pub limits_broken_runs: u64,
    /// When the last of them started.
    pub last_started_utc: Timestamp,
}

/// The flows that a reflector counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFlows {
    /// Number of known flows.
    pub known: u64,
    /// Questions of further flows that got no answer, because the flow table was full.
    pub refused_questions: u64,
}

/// Everything known about a run when it is over.
pub struct Outcome {
    /// Name of the mode, as on the command line.
    pub mode: String,
    /// The command line.
    pub command: Vec<String>,
    /// The machine it ran on.
    pub host: Host,
    /// When it started, by the system clock.
    pub started_utc: Timestamp,
    /// How well that was synchronised; `None` if the system does not say.
    pub clock_sync: Option<ClockSync>,
    /// What it was merged from; `None` for a run.
    pub merged: Option<Merged>,
    /// It used kernel sockets, which hide headers.
    pub sockets: bool,
    /// What its counters mean.
    pub meaning: Meaning,
    /// The mode's own counters.
    pub counters: Vec<ModeCounter>,
    /// Time from the start to the end of sending, in ns.
    pub duration_ns: u64,
    /// When the first and the last packet were handled, in ns since the start; `None` if there were
    /// none, and in a mode that measures.
    pub busy_ns: Option<(u64, u64)>,
    /// How long the preliminary run sent packets, in ns.
    pub warmup_ns: u64,
    /// Maximum wait for in-flight packets at the end, in ns.
    pub drain_ns: u64,
    /// Requested packets per second; `None` for as fast as possible, and in modes that send nothing
    /// of their own.
    pub requested_pps: Option<f64>,
    /// Sum over all workers.
    pub totals: Totals,
    /// Counts of each worker, in the order of queues.
    pub workers: Vec<WorkerCounts>,
    /// See [`crate::run::Collector::mismatch`].
    pub mismatch: u64,
    /// Round-trip times of valid packets.
    pub latencies: Histogram,
    /// What else the receivers noted.
    pub notes: RunNotes,
    /// Runs of consecutive losses.
    pub loss_runs: LossRuns,
    /// Pacing of all senders together; `None` without a rate, and if the port does the pacing.
    pub departures: Option<Departures>,
    /// Steal time of the CPUs that lcores run on, in ms; `None` if the system does not report it.
    pub steal_ms: Option<u64>,
    /// How queues are numbered.
    pub numbering: Ports,
    /// What is known about each port.
    pub ports: Vec<PortOutcome>,
    /// What happened to ports, in order.
    pub events: Vec<Event>,
    /// Number of further events.
    pub events_omitted: u64,
    /// The reflector's counters.
    pub peer: Peer,
    /// Lost packets by place, added up; `None` for a run, whose counters tell.
    pub places: Option<Loss>,
    /// Source and destination of the packets of the first port; `None` if the mode sends none of
    /// its own.
    pub ends: Option<[SocketAddr; 2]>,
    /// Sizes of the packets that the mode sends, the largest first; `None` if it sends none of its own.
    pub sizes: Option<Vec<Size>>,
    /// Whether packets had room for the reflector's stamp.
    pub stamp: bool,
    /// Whether a mode that returns packets impaired them on purpose.
    pub impaired: bool,
    /// The flows of a reflector.
    pub flows: Option<KnownFlows>,
    /// The limits that must not be exceeded.
    pub limits: Limits,
}

/// The counter of a socket (`SO_RXQ_OVFL`) of datagrams that arrived and found its buffer full.
pub const SOCKET_MISSED: &str = "rxq_ovfl";

/// The port counters (`rte_eth_stats`) of packets that arrived and were not delivered to a queue.
pub(super) const PORT_MISSED: [&str; 3] = ["imissed", "ierrors", "rx_nombuf"];

impl Outcome {
    /// The outcome of a run that is over. The caller has to fill in `command`, `host`, `started_utc`,
    /// `clock_sync`, `steal_ms` and `ports`.
    #[must_use]
    pub fn new(run: &Run) -> Self {
        let (config, collector) = (run.config(), run.collector());
        let sendrecv = config.sendrecv.as_ref();
        let workers = collector.by_worker();
        let by_port = config.tx_mode() == Some(TxMode::Hardware);
        let departures = config.rate().filter(|_| !by_port).map(|_| {
            let mut sum = Departures::default();
            for worker in &workers {
                sum += &worker.departures;
            }
            sum
        });
        let registrar = run.registrar();
        Self {
            mode: config.mode.clone(),
            command: Vec::new(),
            host: Host::default(),
            started_utc: Timestamp::UNIX_EPOCH,
            clock_sync: None,
            merged: None,
            sockets: config.has_sockets(),
            meaning: config.meaning,
            counters: config.counters.clone(),
            duration_ns: collector.sending_done_ns().unwrap_or(run.stopped_ns()),
            busy_ns: collector.busy_ns(),
            warmup_ns: run.warmup_ns(),
            drain_ns: config.drain_ns,
            // A share of the line rate is not known before the link is up.
            requested_pps: config.rate().filter(|_| !config.awaits_line_rate()).map(Rate::pps),
            totals: *collector.totals(),
            workers,
            mismatch: collector.mismatch(),
            latencies: collector.latencies().clone(),
            notes: collector.notes(),
            loss_runs: collector.loss_runs().clone(),
            departures,
            steal_ms: None,
            numbering: config.ports(),
            ports: Vec::new(),
            events: run.events().into(),
            events_omitted: run.events_omitted(),
            peer: run.peer(),
            places: None,
            ends: sendrecv
                .and_then(|sendrecv| Some(sendrecv.ends.first()?.sockets(sendrecv.src_ports))),
            sizes: sendrecv.map(|sendrecv| {
                let size = |&(payload_bytes, weight): &(u16, u32)| Size {
                    payload_bytes,
                    frame_bytes: sendrecv.layout().frame_bytes(payload_bytes),
                    weight,
                };
                sendrecv.sizes.weighted().iter().map(size).collect()
            }),
            stamp: sendrecv.is_some_and(|sendrecv| sendrecv.stamp),
            impaired: config.impairments.is_some(),
            flows: (config.meaning == Meaning::Returns).then(|| KnownFlows {
                known: registrar.known(),
                refused_questions: registrar.refused(),
            }),
            limits: config.limits.clone(),
        }
    }

    /// Names and values of the mode's own counters with this ledger place.
    pub(crate) fn counted_at(&self, place: LedgerPlace) -> impl Iterator<Item = (&str, u64)> {
        let all = self.counters.iter().zip(self.totals.counts.mode);
        let here = all.filter(move |(counter, _)| counter.place == place);
        here.map(|(counter, packets)| (counter.name.as_str(), packets))
    }

    /// What the C++ side counted independently on all ports.
    #[must_use]
    pub fn driver(&self) -> Driver {
        self.ports.iter().fold(Driver::default(), |sum, port| Driver {
            delivered: sum.delivered + port.driver.delivered,
            accepted: sum.accepted + port.driver.accepted,
            control_sent: sum.control_sent + port.driver.control_sent,
        })
    }

    /// The counters of all ports, added by name.
    #[must_use]
    pub fn port_counters(&self) -> BTreeMap<&str, u64> {
        let mut sums = BTreeMap::new();
        for (name, packets) in self.ports.iter().flat_map(|port| &port.counters) {
            *sums.entry(name.as_str()).or_default() += packets;
        }
        sums
    }

    /// When the first removal of a port's device was noticed, in ns since the start.
    #[must_use]
    pub fn removed_ns(&self) -> Option<u64> {
        self.ports.iter().filter_map(|port| port.removed_ns).min()
    }

    /// Packets of any flow that ports report as dropped on reception; `None` if a port does not
    /// report them.
    #[must_use]
    pub fn port_missed(&self) -> Option<u64> {
        let missed = |port: &PortOutcome| -> Option<u64> {
            let count = |name: &str| port.counters.get(name).copied();
            count(SOCKET_MISSED).or_else(|| PORT_MISSED.iter().map(|name| count(name)).sum())
        };
        self.ports.iter().map(missed).sum()
    }

    /// What the workers of port `port` counted.
    pub(crate) fn workers_of(&self, port: u16) -> impl Iterator<Item = &WorkerCounts> {
        let is_of_port =
            move |worker: &&WorkerCounts| self.numbering.port_of(worker.role, worker.place) == port;
        self.workers.iter().filter(is_of_port)
    }

    /// Time from the first packet to the last, in ns; `None` if there are fewer than two.
    #[must_use]
    pub fn busy_for_ns(&self) -> Option<u64> {
        self.busy_ns.map(|(first, last)| last.saturating_sub(first)).filter(|ns| *ns > 0)
    }

    /// Rate of `packets` packets in the whole run, in packets per second. A mode that measures
    /// divides by the duration. Other modes wait for what others send, so they divide by the time
    /// from the first packet to the last. `None` if there is no time between these.
    #[must_use]
    pub fn pps(&self, packets: u64) -> Option<f64> {
        let (packets, ns) = match self.meaning {
            Meaning::Measures => (packets, self.duration_ns.max(1)),
            _ if packets == 0 => (0, 1),
            // The time starts with the first packet: there is one gap less than packets, in each run.
            _ => (packets.saturating_sub(self.runs()), self.busy_for_ns()?),
        };
        Some(packets as f64 * 1e9 / ns as f64)
    }

    /// Number of runs: 1, unless it is merged.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.merged.map_or(1, |merged| merged.runs)
    }

    /// Reordered packets as a share of those that came back; `None` if none did.
    #[must_use]
    pub fn reordered_ratio(&self) -> Option<f64> {
        let valid = self.totals.counts[Counter::Valid];
        (valid > 0).then(|| self.totals.counts[Counter::Reordered] as f64 / valid as f64)
    }
}

#[cfg(test)]
pub(crate) mod tests;
