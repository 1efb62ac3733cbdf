//! The outcome: everything known about a run when it is over.

use super::host::Host;
use super::loss::Loss;
use super::session::PortEnd;
use crate::control::peer::Peer;
use crate::count::Counter;
use crate::count::Departures;
use crate::count::Histogram;
use crate::count::RunNotes;
use crate::count::{LedgerPlace, ModeCounter};
use crate::run::Limits;
use crate::run::LossRuns;
use crate::run::Run;
use crate::run::config::NextHop;
use crate::run::mode::Meaning;
use crate::run::{Driver, Event, Ports, Totals, What, WorkerCounts};
use crate::wire::flow::{Mac, Vlans};
use crate::wire::layout::IpVersion;
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

/// How well the system clock (`CLOCK_REALTIME`) was synchronised at the end of a run, as the kernel was
/// told by whoever sets it (`adjtimex(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockSync {
    /// It was: `STA_UNSYNC` is not set.
    pub synchronised: bool,
    /// Its error is at most this, in us.
    pub max_error_us: u64,
    /// Its error is estimated to be this, in us.
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

/// Which checksums of sent packets the port wrote; software wrote the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByPort {
    /// That of the IPv4 header; `None` over IPv6, which has none.
    pub ipv4: Option<bool>,
    /// That of UDP.
    pub udp: bool,
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

/// What is known about a port when a run on it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOutcome {
    /// Its name, as DPDK writes it.
    pub name: String,
    /// The name of its driver.
    pub driver_name: String,
    /// Its MAC address; `None` over sockets.
    pub mac: Option<Mac>,
    /// What the C++ side counted independently.
    pub driver: Driver,
    /// Its counters of packets that were not delivered to a queue, by name, and other counters of
    /// its driver with such names. Empty if they are unknown.
    pub counters: BTreeMap<String, u64>,
    /// When the removal of its device was noticed, in ns since the start.
    pub removed_ns: Option<u64>,
    /// Which checksums the port wrote and which the software; `None` if the mode writes none, and over
    /// sockets.
    pub checksums: Option<ByPort>,
    /// Whether the port inserted the VLAN tag; `None` if packets have none.
    pub inserts_vlan: Option<bool>,
    /// Of the packets sent on it, those that were lost; 0 unless the mode measures.
    pub lost: u64,
    /// Where its packets are sent first; `None` if the mode sends none of its own, and over sockets.
    pub next_hop: Option<NextHop>,
    /// By rx queue: the number of source ports whose packets RSS should send to it; `None` if that is
    /// unknown.
    pub rss_flows: Option<Vec<u64>>,
}

impl PortOutcome {
    /// All ports of a run that is over, in the order of `ends`.
    #[must_use]
    pub fn all(run: &Run, ends: Vec<PortEnd>) -> Vec<Self> {
        let numbering = run.config().ports();
        let sockets = run.config().has_sockets();
        let sendrecv = run.config().sendrecv.as_ref();
        let writes = sendrecv.filter(|_| !sockets);
        let hops = sendrecv.filter(|_| !sockets);
        let lost_on = |port: u16| {
            let streams = (0..).zip(run.collector().lost_by_stream());
            let mine = streams.filter(|(stream, _)| numbering.port_of_tx(*stream) == port);
            mine.map(|(_, lost)| lost).sum()
        };
        let removed_ns = |port: u16| {
            let is_removal = |event: &&Event| event.port == port && event.what == What::Removed;
            run.events().iter().find(is_removal).map(|event| event.at_ns)
        };
        let all = (0..).zip(ends.into_iter().zip(run.macs()));
        all.map(|(port, (end, mac))| Self {
            name: end.name,
            driver_name: end.driver_name,
            mac: (!sockets).then_some(*mac),
            driver: end.driver,
            counters: end.counters,
            removed_ns: removed_ns(port),
            checksums: writes.map(|sendrecv| ByPort {
                ipv4: (sendrecv.layout().ip == IpVersion::V4).then_some(end.checksums.ipv4_by_port),
                udp: end.checksums.udp_by_port,
            }),
            inserts_vlan: sendrecv
                .and_then(|sendrecv| (sendrecv.vlans != Vlans::None).then_some(end.inserts_vlan)),
            lost: lost_on(port),
            next_hop: hops.map(|sendrecv| sendrecv.ends[sendrecv.ends_of(port)].next_hop),
            rss_flows: None,
        })
        .collect()
    }
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
pub(crate) mod tests {
    use super::*;
    use crate::count::Latency;
    use crate::count::Polls;
    use crate::count::Role;
    use crate::run::Totals;

    #[test]
    fn the_rate_of_a_stream_is_that_of_its_own_time() {
        let mut outcome = outcome();
        // 1,000 packets, 1 ms apart; the first arrives after 0.8 s.
        outcome.busy_ns = Some((800_000_000, 1_799_000_000));
        assert_eq!(outcome.pps(1000), Some(500.0), "it sends by itself");
        for meaning in [Meaning::Returns, Meaning::Forwards, Meaning::Counts] {
            outcome.meaning = meaning;
            outcome.busy_ns = Some((800_000_000, 1_799_000_000));
            assert_eq!(outcome.pps(1000), Some(1000.0));
            assert_eq!(outcome.busy_for_ns(), Some(999_000_000));
            // All at once: the rate is unknown.
            outcome.busy_ns = Some((5, 5));
            assert_eq!(outcome.pps(1000), None);
            outcome.busy_ns = None;
            assert_eq!(outcome.pps(0), Some(0.0));
        }
    }

    /// A run of a mode that forwards, with counters of its own. Of 20 packets, 6 were sent, 1 was
    /// refused by the driver, 3 by the mode itself, and 10 were dropped, 8 of them in a counter of
    /// the mode.
    pub(crate) fn forwarding() -> Outcome {
        let mut outcome = outcome();
        outcome.mode = "mine".into();
        outcome.meaning = Meaning::Forwards;
        outcome.counters = ModeCounter::examples();
        let mut counts = crate::count::Counts::default();
        for (counter, packets) in [
            (Counter::Received, 20),
            (Counter::Sent, 6),
            (Counter::TxQueueFull, 1),
            (Counter::Refused, 3),
            (Counter::Dropped, 10),
        ] {
            counts[counter] = packets;
        }
        counts.mode[..3].copy_from_slice(&[8, 3, 5]);
        outcome.totals = Totals { counts, ..Totals::default() };
        outcome.workers = vec![WorkerCounts {
            role: Role::Count,
            place: 0,
            counts,
            polls: Polls::default(),
            departures: Departures::default(),
        }];
        outcome.ports[0].driver = Driver { delivered: 20, accepted: 6, ..Driver::default() };
        outcome.departures = None;
        outcome
    }

    /// A run in which a bit of everything happened.
    pub(crate) fn outcome() -> Outcome {
        let mut totals = Totals {
            lost: 3,
            latency: Latency { count: 997, sum_ns: 997_000, min_ns: 500, max_ns: 2_000_000 },
            ..Totals::default()
        };
        let sender = [
            (Counter::Due, 1010),
            (Counter::PacerShortfall, 4),
            (Counter::TxQueueFull, 6),
            (Counter::Sent, 1000),
            (Counter::SentLate, 5),
        ];
        let receiver = [
            (Counter::Received, 1005),
            (Counter::ControlReceived, 1),
            (Counter::Valid, 997),
            (Counter::Duplicate, 2),
            (Counter::Late, 1),
            (Counter::CorruptTag, 1),
            (Counter::ForeignArp, 4),
            (Counter::Reordered, 7),
        ];
        let departures = Departures {
            gaps: 999,
            within_64_ns: 970,
            within_128_ns: 980,
            within_256_ns: 990,
            within_512_ns: 995,
            micro_bursts: 3,
            micro_bursts_after_stall: 2,
            stalls: 4,
            stall_ns: 70_000,
            stall_max_ns: 40_000,
        };
        let mut workers = Vec::new();
        for (role, counted) in
            [(Role::Send { stream: 0 }, &sender[..]), (Role::Receive, &receiver[..])]
        {
            let mut worker = WorkerCounts {
                role,
                place: u16::from(role == Role::Receive),
                counts: crate::count::Counts::default(),
                polls: Polls::default(),
                departures: if role == Role::Receive { Departures::default() } else { departures },
            };
            for (counter, value) in counted {
                worker.counts[*counter] = *value;
                totals.counts[*counter] = *value;
            }
            workers.push(worker);
        }
        Outcome {
            mode: "sendrecv".into(),
            command: vec!["dpdkproj".into()],
            host: Host::default(),
            started_utc: Timestamp::UNIX_EPOCH,
            clock_sync: None,
            merged: None,
            sockets: false,
            meaning: Meaning::Measures,
            counters: Vec::new(),
            duration_ns: 2_000_000_000,
            busy_ns: None,
            warmup_ns: 0,
            drain_ns: 1_000_000_000,
            requested_pps: Some(505.0),
            totals,
            workers,
            mismatch: 0,
            latencies: Histogram::default(),
            notes: RunNotes::default(),
            loss_runs: LossRuns::default(),
            departures: Some(departures),
            steal_ms: Some(10),
            numbering: Ports { count: 1, rx_queues: 1, tx_queues: 1 },
            ports: vec![PortOutcome {
                name: "net_ring0".into(),
                driver_name: "net_ring".into(),
                mac: Some(Mac([2; 6])),
                driver: Driver { delivered: 1006, accepted: 1002, control_sent: 2 },
                counters: BTreeMap::from(PORT_MISSED.map(|name| (name.to_string(), 0))),
                removed_ns: None,
                checksums: None,
                inserts_vlan: None,
                lost: 3,
                next_hop: None,
                rss_flows: None,
            }],
            events: Vec::new(),
            events_omitted: 0,
            peer: Peer::Silent,
            places: None,
            ends: None,
            sizes: None,
            stamp: false,
            impaired: false,
            flows: None,
            limits: Limits::default(),
        }
    }
}
