//! The configuration of a run, checked as far as possible without a port.

use super::Ports;
use super::mode::{Meaning, OptionValue};
use crate::control::allowed::Allowed;
use crate::count::{HISTOGRAM_BYTES, ModeCounter, Role, SLOT_BYTES, Shape};
use crate::run::Limits;
use crate::wire::control::CONTROL_LEN;
use crate::wire::flow::{Addresses, Flow, Mac, PortRange, Vlans};
use crate::wire::layout::Layout;
use crate::wire::payload::mix;
use crate::wire::sizes::Sizes;
use crate::work::impair::Impairments;
use crate::work::pacer::{Bounds, Pacer, Pacing, Pattern, Rate, TxMode};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Upper bound of a packet count that can be asked for.
pub const COUNT_MAX: u64 = 1 << 48;

/// A program on this core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `dpdkproj`: ports of DPDK.
    Ports,
    /// `udpbaseline`: kernel sockets.
    Sockets,
}

impl Program {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ports => "dpdkproj",
            Self::Sockets => "udpbaseline",
        }
    }
}

/// Everything from the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// EAL's arguments, without the name of the program.
    pub eal: Vec<String>,
    /// The other arguments, with those from the environment and from a file: a command line that
    /// asks for the same without either.
    pub args: Vec<String>,
    /// Name of the mode, for display only: nothing depends on it.
    pub mode: String,
    /// The program that runs it.
    pub program: Program,
    /// What the mode does with packets, which defines what its counters mean.
    pub meaning: Meaning,
    /// The mode's own counters.
    pub counters: Vec<ModeCounter>,
    /// Values of the mode's own options, by name.
    pub mode_options: Vec<(String, OptionValue)>,
    /// MAC addresses or names of the ports, as DPDK writes them; empty: the only port.
    pub ports: Vec<String>,
    /// Number of rx queues of each port.
    pub rx_queues: u16,
    /// Number of tx queues of each port; 0 in a mode that sends nothing.
    pub tx_queues: u16,
    /// Descriptors of each rx queue, before the port adjusts them.
    pub rx_descriptors: u16,
    /// Descriptors of each tx queue, before the port adjusts them.
    pub tx_descriptors: u16,
    /// Maximum rx burst, before it is adjusted to what every driver supports.
    pub rx_burst: u16,
    /// Maximum tx burst.
    pub tx_burst: u16,
    /// The MTU that ports get; `None`: that which they have.
    pub mtu: Option<u16>,
    /// What ports do for packets that are sent.
    pub offload: Offload,
    /// CSV file for closed intervals.
    pub stats_path: Option<PathBuf>,
    /// CSV file for closed intervals, queue by queue.
    pub queues_path: Option<PathBuf>,
    /// `HdrHistogram` log of closed intervals.
    pub hlog_path: Option<PathBuf>,
    /// Address at which `OpenMetrics` are served over HTTP.
    pub metrics: Option<SocketAddr>,
    /// JSON file for the final summary.
    pub json_path: Option<PathBuf>,
    /// Capture file for rejected packets.
    pub pcap_path: Option<PathBuf>,
    /// The most packets in that file: the first ones.
    pub pcap_packets: u32,
    /// Length of a statistics interval in ns.
    pub interval_ns: u64,
    /// Timeout of packets: how long after the end of its interval a packet may still arrive, in ns.
    pub timeout_ns: u64,
    /// How long to wait for in-flight packets after sending ends, in ns.
    pub drain_ns: u64,
    /// How long to wait for links to come up before the first run, in ns.
    pub wait_link_ns: u64,
    /// When to stop, in ns since the start; `None`: when a signal comes.
    pub duration_ns: Option<u64>,
    /// Number of packets after which to stop: sent packets if the mode sends its own, otherwise
    /// received packets.
    pub count: Option<u64>,
    /// Measurements are requested on stdin, one after the other (`--trials`): this is what they have
    /// in common, and what is not requested.
    pub trials: bool,
    /// Whether to print a line per second.
    pub live: bool,
    /// Whether to show the live view instead, if there is a terminal (`--live`).
    pub view: bool,
    /// Limits that make the run fail when exceeded.
    pub limits: Limits,
    /// Further configuration of a mode that measures.
    pub sendrecv: Option<Sendrecv>,
    /// UDP ports that a mode that returns packets answers on.
    pub udp_ports: PortRange,
    /// Hosts that such a mode answers.
    pub allowed: Allowed,
    /// Addresses that such a mode answers ARP, neighbour discovery and echo requests for, on all ports.
    pub ips: Vec<IpAddr>,
    /// For how long nothing may come to such a mode before it ends, in ns; `None`: for ever.
    pub idle_exit_ns: Option<u64>,
    /// What such a mode does to packets on purpose.
    pub impairments: Option<Impairments>,
}

/// What ports do for packets that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// Nothing.
    Off,
    /// They compute the checksums that they can. A VLAN tag is written with the other headers, which costs nothing.
    Auto,
    /// They compute all checksums that packets have, and insert the tag if there is one. (Drivers insert outer tags
    /// with another `EtherType` than that of 802.1ad, so two tags are always written with the other headers.)
    On,
}

/// What a mode that measures sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sendrecv {
    /// The addresses of the packets of each port, in the order of ports; one for all ports, if
    /// there is only one. All have the same version of IP.
    pub ends: Vec<Ends>,
    /// VLAN tags of all packets.
    pub vlans: Vlans,
    /// DSCP and ECN field of all packets: see [`Flow::traffic_class`].
    pub traffic_class: u8,
    /// Our UDP ports.
    pub src_ports: PortRange,
    /// Bytes of UDP payload.
    pub sizes: Sizes,
    /// `None`: as fast as possible.
    pub pacing: Option<Pacing>,
    /// The rate as a share of the line rate, as given (`80%`). Until [`Config::resolve_line_rate`],
    /// the rate in `pacing` is this share of 1 Mbit/s.
    pub line_share: Option<String>,
    /// Key of this run's tags. It keeps packets of other senders from being taken for ours.
    pub tag_key: u64,
    /// Seed of the filler. The preliminary run has the same one, because buffers are filled once
    /// for both.
    pub seed: u64,
    /// Leave room for a stamp of the reflector in each packet (`--reflector-seq`).
    pub stamp: bool,
    /// How long to send before the run begins, in ns.
    pub warmup_ns: u64,
    /// Ask the reflector for its counters.
    pub ask_peer: bool,
    /// How long to wait until the reflector answers, before anything is sent, in ns; `None`: it need not.
    pub wait_peer_ns: Option<u64>,
}

/// The addresses of the packets of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Our address and the peer's.
    pub addresses: Addresses,
    /// The peer's UDP port.
    pub dst_port: u16,
    /// Where packets are sent first.
    pub next_hop: NextHop,
}

/// The host on our link that packets are sent to: the peer or a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The address whose MAC address is asked for; `None` if that was given.
    pub asked: Option<IpAddr>,
    /// It is a gateway's address.
    pub is_gateway: bool,
    /// Its MAC address; `None` as long as it is not known.
    pub mac: Option<Mac>,
}

/// How a further run in the same process differs from the run that the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Total rate; `None`: as fast as possible.
    pub rate: Option<Rate>,
    /// How packets are spread over time; `None`: as the command line says. The seed of a Poisson
    /// process is set by [`Config::of_trial`].
    pub pattern: Option<Pattern>,
    /// How long to send, in ns; `None`: until `count` packets are sent.
    pub duration_ns: Option<u64>,
    /// After how many sent packets to stop.
    pub count: Option<u64>,
    /// Bytes of UDP payload.
    pub sizes: Sizes,
}

/// Limits of a port.
#[derive(Clone, Copy, Debug)]
pub struct PortLimits {
    /// Maximum number of rx queues.
    pub max_rx_queues: u16,
    /// Maximum number of tx queues.
    pub max_tx_queues: u16,
    /// Maximum length of an IP packet in bytes.
    pub mtu: u16,
    /// What this maximum can be set to.
    pub mtus: (u16, u16),
}

/// Maximum packets per second that the sequence maps of an unpaced run are sized for. A sender that
/// exceeds it is held back (see `count::board`); nothing is miscounted.
const UNPACED_PPS: f64 = 100e6;

/// Maximum number of sequence numbers in the maps of all streams and receivers together: 256 MiB of
/// words, whose pages are taken when numbers first reach them.
const ALL_WINDOWS: u64 = 1 << 30;
/// Minimum of a stream, however few packets it sends.
const SMALL_WINDOW: u64 = 1 << 18;
/// Maximum of one receiver.
const LARGEST_WINDOW: u64 = 1 << 28;
/// What one receiver has in any case.
const SURE_WINDOW: u64 = 1 << 26;

/// Packets are received in bursts whose size is a multiple of this, because some drivers support no
/// others (`kRxBurstStep` in `cpp/dpdk/port.cpp`).
const RX_BURST_STEP: u16 = 8;

impl Config {
    /// Packets in a full rx burst.
    #[must_use]
    pub fn full_rx_burst(&self) -> u16 {
        self.rx_burst.next_multiple_of(RX_BURST_STEP)
    }

    /// Checks whether a port can carry this configuration.
    ///
    /// # Errors
    /// One line that says what was asked for, what is possible, and which option to change.
    pub fn check_port(&self, limits: &PortLimits) -> Result<(), String> {
        let queues = |option, name, asked, possible| {
            if asked <= possible {
                return Ok(());
            }
            Err(format!("{option} {asked}: the port has at most {possible} {name}; lower {option}"))
        };
        queues("-r", "rx queue(s)", self.rx_queues, limits.max_rx_queues)?;
        queues("-t", "tx queue(s)", self.tx_queues, limits.max_tx_queues)?;
        let (least, most) = limits.mtus;
        if let Some(mtu) = self.mtu.filter(|mtu| !(least..=most).contains(mtu)) {
            return Err(format!(
                "--mtu {mtu}: the port's MTU can be from {least} to {most}; change --mtu"
            ));
        }
        let Some(sendrecv) = &self.sendrecv else { return Ok(()) };
        let mtu = self.mtu.unwrap_or(limits.mtu);
        let overhead = sendrecv.layout().mtu_overhead();
        let possible = usize::from(mtu).saturating_sub(overhead);
        let largest = usize::from(sendrecv.sizes.largest());
        if largest > possible {
            let needed = largest + overhead;
            let advice = if needed <= usize::from(most) {
                format!("give --mtu {needed}, here and to the peer, or lower --packet-size")
            } else {
                format!("lower --packet-size (the port's MTU can be {most} at most)")
            };
            return Err(format!(
                "--packet-size {largest}: the port's MTU of {mtu} leaves {possible} bytes for the UDP payload; {advice}"
            ));
        }
        if sendrecv.ask_peer && possible < CONTROL_LEN {
            return Err(format!(
                "the port's MTU of {mtu} leaves {possible} bytes for the UDP payload, and asking the \
                 reflector for its counters takes {CONTROL_LEN}; give --no-peer-report, or raise --mtu"
            ));
        }
        Ok(())
    }

    /// Converts a share of the line rate to packets per second, once the link is up. `link_mbps` is
    /// the link speed of the slowest port in Mbit/s (`None`: a driver does not report it). The ports
    /// share the rate equally, so a share of 100 % loads each with the line rate of the slowest.
    ///
    /// # Errors
    /// As [`Config::check_port`], and as [`Config::check_statistics`].
    pub fn resolve_line_rate(&mut self, link_mbps: Option<u32>) -> Result<(), String> {
        let ports = u32::from(self.ports().count);
        let Some(sendrecv) = &mut self.sendrecv else { return Ok(()) };
        let (Some(share), Some(pacing)) = (&sendrecv.line_share, &mut sendrecv.pacing) else {
            return Ok(());
        };
        let Some(rate) = link_mbps.and_then(|mbps| pacing.rate.times(mbps.checked_mul(ports)?))
        else {
            return Err(format!(
                "--rate {share}: the port's driver does not report the link speed; give --rate in \
                 packets or bits per second, such as 3.5Mpps or 10GbpsL1"
            ));
        };
        pacing.rate = rate;
        sendrecv.line_share = None;
        self.check_statistics()
    }

    /// Checks whether the statistics can hold all intervals and packets that may be open at once:
    /// see `count::board`. The memory is taken only when they are.
    ///
    /// # Errors
    /// As [`Config::check_port`].
    pub fn check_statistics(&self) -> Result<(), String> {
        const MOST_BYTES: u64 = 1 << 30;
        let options = format!(
            "--stats-interval-ms {} --stats-evict-threshold-secs {}",
            self.interval_ns / 1_000_000,
            self.timeout_ns / 1_000_000_000
        );
        let of_one =
            |role: &Role| SLOT_BYTES + if *role == Role::Receive { HISTOGRAM_BYTES } else { 0 };
        let intervals = self.shape().intervals.next_power_of_two();
        let bytes = intervals * self.roles().iter().map(of_one).sum::<u64>();
        if bytes > MOST_BYTES {
            return Err(format!(
                "{options}: that many open intervals take {} MiB for {} workers, and the limit is {} MiB; \
                 raise --stats-interval-ms or lower --stats-evict-threshold-secs",
                bytes >> 20,
                self.roles().len(),
                MOST_BYTES >> 20
            ));
        }
        let Some(rate) = self.rate() else {
            return Ok(());
        };
        let most_pps = self.max_window() as f64 * 1e9 / self.open_ns() as f64;
        if rate.pps() > most_pps {
            return Err(format!(
                "{options}: at {:.0} packets per second, more packets would be in flight than can be \
                 accounted for; lower one of them, or the rate (-R, --rate) to {most_pps:.0} packets \
                 per second",
                rate.pps()
            ));
        }
        Ok(())
    }

    /// Whether packets go through kernel sockets, which add and remove headers.
    #[must_use]
    pub fn has_sockets(&self) -> bool {
        self.program == Program::Sockets
    }

    /// Gives the run this many sockets, each with a tx and an rx queue.
    ///
    /// # Errors
    /// One line, if there are not as many source ports; as [`Config::check_statistics`].
    pub fn set_sockets(&mut self, sockets: u16) -> Result<(), String> {
        (self.rx_queues, self.tx_queues) = (sockets, sockets);
        if let Some(sendrecv) = &mut self.sendrecv {
            let first = sendrecv.src_ports.first();
            let possible = sendrecv.src_ports.count();
            let ports = first.checked_add(sockets - 1).and_then(|last| PortRange::new(first, last));
            sendrecv.src_ports = ports.filter(|_| u32::from(sockets) <= possible).ok_or_else(|| {
                format!(
                    "--src-port-range: each of {sockets} sockets needs a port of its own, and the range has \
                     {possible}; give a larger one, or fewer sockets"
                )
            })?;
        }
        self.check_statistics()
    }

    /// Its ports and queues.
    #[must_use]
    pub fn ports(&self) -> Ports {
        let count = u16::try_from(self.ports.len()).unwrap_or(u16::MAX).max(1);
        Ports { count, rx_queues: self.rx_queues, tx_queues: self.tx_queues }
    }

    /// Time span that may be open at once: the timeout, the interval being written, and a margin
    /// for the collector, which may share its core with workers.
    fn open_ns(&self) -> u64 {
        const SLACK_NS: u64 = 500_000_000;
        self.timeout_ns + 2 * self.interval_ns + SLACK_NS
    }

    /// Maximum number of sequence numbers, all streams together, that one receiver can remember.
    fn max_window(&self) -> u64 {
        let share = ALL_WINDOWS / u64::from(self.ports().all_rx_queues().max(1));
        // A power of two, like the maps.
        (1 << share.ilog2()).clamp(SURE_WINDOW, LARGEST_WINDOW)
    }

    /// Maximum number of packets, all streams together, that can be received before the interval of
    /// the first of them is closed.
    #[must_use]
    pub fn window(&self) -> u64 {
        let all =
            self.shape().window.saturating_mul(u64::from(self.ports().all_tx_queues().max(1)));
        all.min(self.max_window())
    }

    /// Length in bytes, without FCS, of the longest frames that the mode builds; 0 if it builds none.
    #[must_use]
    pub fn frame_len(&self) -> u16 {
        self.sendrecv.as_ref().map_or(0, |sendrecv| {
            let headers = if self.has_sockets() { 0 } else { sendrecv.layout().payload() };
            let len = headers + usize::from(sendrecv.sizes.largest());
            u16::try_from(len).unwrap_or(u16::MAX)
        })
    }

    /// Total rate of all tx queues; `None`: as fast as possible.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.sendrecv.as_ref()?.pacing.map(|pacing| pacing.rate)
    }

    /// The pacer of tx queue `queue` (numbered through all ports), with its share of the rate and of the packet count.
    #[must_use]
    pub fn pacer(&self, queue: u16) -> Pacer {
        let pacing = self.sendrecv.as_ref().and_then(|sendrecv| sendrecv.pacing);
        let due = self.due_in_trial();
        let bounds = Bounds {
            count: due.map_or(self.count, |due| Some(due.min(self.count.unwrap_or(due)))),
            end_ns: self.duration_ns,
            burst: self.tx_burst,
            latest_ns: self.timeout_ns,
        };
        Pacer::new(pacing, queue, self.ports().all_tx_queues(), bounds)
    }

    /// Packets that are due in a trial with a rate and a duration. They are all sent, as far as
    /// `--catch-up` allows, even if the last ones are late: a trial compares what was sent with
    /// what was due, and a sender that was held up in its last moment has not failed.
    fn due_in_trial(&self) -> Option<u64> {
        let rate = self.rate().filter(|_| self.trials)?;
        self.duration_ns.map(|duration_ns| rate.packets_before(duration_ns))
    }

    /// When sending ends at the latest, in ns since the start: after the duration, and in a trial
    /// with a rate when all that was due by then is sent, or given up.
    #[must_use]
    pub fn sending_end_ns(&self) -> Option<u64> {
        let late_ns = self.due_in_trial().map_or(0, |_| self.pacer(0).catch_up_ns());
        self.duration_ns.map(|duration_ns| duration_ns.saturating_add(late_ns))
    }

    /// When sending ends at the earliest, in ns since the start, although all may be sent: a trial
    /// with a rate lasts its duration, unless its packet count is reached before.
    #[must_use]
    pub fn sending_least_ns(&self) -> u64 {
        let due = self.due_in_trial();
        let is_whole = due.is_some_and(|due| self.count.is_none_or(|count| due <= count));
        self.duration_ns.filter(|_| is_whole).unwrap_or(0)
    }

    /// Whether the rate is a share of the line rate that [`Config::resolve_line_rate`] has not yet
    /// converted.
    #[must_use]
    pub fn awaits_line_rate(&self) -> bool {
        self.sendrecv.as_ref().is_some_and(|sendrecv| sendrecv.line_share.is_some())
    }

    /// The tx mode; `None` without a rate.
    #[must_use]
    pub fn tx_mode(&self) -> Option<TxMode> {
        self.sendrecv.as_ref()?.pacing.map(|pacing| pacing.tx_mode)
    }

    /// The workers that this run may have, in the order of their places on the board. A mode that
    /// measures: one per tx queue of all ports, then one per rx queue. A mode that returns packets:
    /// one per rx queue. Other modes: at most one per rx queue, then one per tx queue; they may use
    /// fewer.
    #[must_use]
    pub fn roles(&self) -> Vec<Role> {
        let (rx_queues, tx_queues) = (self.ports().all_rx_queues(), self.ports().all_tx_queues());
        match self.meaning {
            Meaning::Measures => {}
            Meaning::Returns => return vec![Role::Count; usize::from(rx_queues)],
            Meaning::Forwards | Meaning::Counts => {
                return vec![Role::Count; usize::from(rx_queues) + usize::from(tx_queues)];
            }
        }
        let senders = (0..tx_queues).map(|stream| Role::Send { stream });
        let receivers = (0..rx_queues).map(|_| Role::Receive);
        senders.chain(receivers).collect()
    }

    /// Dimensions of the statistics.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let open_ns = self.open_ns();
        let streams = self.ports().all_tx_queues().max(1);
        let rate = self.rate();
        let pps = rate.map_or(UNPACED_PPS, Rate::pps) / f64::from(streams);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "capped below")]
        let window = (pps * open_ns as f64 / 1e9) as u64;
        Shape {
            interval_ns: self.interval_ns,
            intervals: open_ns.div_ceil(self.interval_ns) + 2,
            // Twice, so that a duplicate is recognised, and not taken for a late packet, for the
            // same time again.
            window: window
                .saturating_mul(2)
                .max(SMALL_WINDOW)
                .min(self.count.unwrap_or(u64::MAX))
                .clamp(1 << 12, self.max_window() / u64::from(streams)),
        }
    }

    /// This configuration, which the command line asks for, with the changes of `trial`. `last_key`
    /// is the tag key of the run before it: this one has another, so that packets of an earlier run
    /// are foreign.
    ///
    /// # Errors
    /// As [`Config::check_statistics`], and if the mode sends nothing.
    pub fn of_trial(&self, trial: &Trial, last_key: u64) -> Result<Self, String> {
        let Some(sendrecv) = &self.sendrecv else {
            return Err(format!("{}: a mode that sends nothing has no trials", self.mode));
        };
        // Applied twice, as the preliminary run before this trial takes `mix(key)`.
        let tag_key = mix(mix(last_key));
        let pacing = trial.rate.map(|rate| {
            let defaults = sendrecv.pacing.unwrap_or(Pacing::of(rate));
            let pattern = match trial.pattern.unwrap_or(defaults.pattern) {
                // Other times in each trial, which the seeds of the command line determine.
                Pattern::Poisson(_) => Pattern::Poisson(mix(sendrecv.seed ^ tag_key)),
                regular => regular,
            };
            Pacing { rate, pattern, ..defaults }
        });
        let config = Self {
            duration_ns: trial.duration_ns,
            count: trial.count,
            sendrecv: Some(Sendrecv {
                pacing,
                line_share: None,
                sizes: trial.sizes.clone(),
                tag_key,
                ..sendrecv.clone()
            }),
            ..self.clone()
        };
        config.check_statistics().map(|()| config)
    }

    /// From now on without a warm-up.
    pub fn skip_warmup(&mut self) {
        if let Some(sendrecv) = &mut self.sendrecv {
            sendrecv.warmup_ns = 0;
        }
    }

    /// From now on without questions to the reflector.
    pub fn ask_no_peer(&mut self) {
        if let Some(sendrecv) = &mut self.sendrecv {
            sendrecv.ask_peer = false;
        }
    }

    /// The key of the tags; 0 in a mode that sends nothing.
    #[must_use]
    pub fn tag_key(&self) -> u64 {
        self.sendrecv.as_ref().map_or(0, |sendrecv| sendrecv.tag_key)
    }

    /// Without anything that is only for a measurement.
    pub(super) fn uncounted(&self) -> Self {
        Self {
            stats_path: None,
            queues_path: None,
            hlog_path: None,
            json_path: None,
            pcap_path: None,
            interval_ns: self.interval_ns.max(100_000_000),
            live: false,
            view: false,
            limits: Limits::default(),
            ..self.clone()
        }
    }

    /// The run before this one, whose packets are not counted. It warms up the path and at its end
    /// asks the reflector for its counters. `None` if neither was asked for.
    #[must_use]
    pub fn preliminary(&self) -> Option<Self> {
        let sendrecv = self.sendrecv.as_ref()?;
        if sendrecv.warmup_ns == 0 && !sendrecv.ask_peer {
            return None;
        }
        let warms_up = sendrecv.warmup_ns > 0;
        Some(Self {
            duration_ns: warms_up.then_some(sendrecv.warmup_ns),
            count: if warms_up { None } else { Some(0) },
            sendrecv: Some(Sendrecv { tag_key: mix(sendrecv.tag_key), ..sendrecv.clone() }),
            ..self.uncounted()
        })
    }
}

impl Ends {
    /// Source (with the first of `src_ports`) and destination of packets.
    #[must_use]
    pub fn sockets(&self, src_ports: PortRange) -> [SocketAddr; 2] {
        let from = SocketAddr::new(self.addresses.src(), src_ports.first());
        [from, SocketAddr::new(self.addresses.dst(), self.dst_port)]
    }
}

impl Sendrecv {
    /// The index in `ends` of the addresses of port `port`.
    #[must_use]
    pub fn ends_of(&self, port: u16) -> usize {
        usize::from(port).min(self.ends.len().saturating_sub(1))
    }

    /// The ports that ask the reflector for its counters: one per flow that it counts. Ports with
    /// the same addresses are one flow to it, whatever path they take.
    #[must_use]
    pub fn asking_ports(&self) -> Vec<u16> {
        let flow = |ends: &Ends| (ends.addresses, ends.dst_port);
        let is_first = |(index, ends): &(usize, &Ends)| {
            self.ends.iter().position(|other| flow(other) == flow(ends)) == Some(*index)
        };
        let firsts = self.ends.iter().enumerate().filter(is_first);
        firsts.filter_map(|(index, _)| u16::try_from(index).ok()).collect()
    }

    /// The UDP port of socket `queue`: over sockets, each tx queue has one, and the rx queue with its
    /// number receives from the same socket.
    #[must_use]
    pub fn socket_port(&self, queue: u16) -> u16 {
        self.src_ports.first().saturating_add(queue)
    }

    /// Header layout of packets.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.flow(Mac([0; 6]), 0, 1).layout()
    }

    /// The flow of packets that port `port` sends from `src_mac`. `streams` is the number of tx
    /// queues of all ports.
    #[must_use]
    pub fn flow(&self, src_mac: Mac, port: u16, streams: u16) -> Flow {
        let Ends { addresses, dst_port, next_hop } = self.ends[self.ends_of(port)];
        Flow {
            src_mac,
            // Nothing is sent before it is known.
            dst_mac: next_hop.mac.unwrap_or(Mac([0; 6])),
            vlans: self.vlans,
            addresses,
            src_ports: self.src_ports,
            dst_port,
            payload_len: self.sizes.largest(),
            streams,
            traffic_class: self.traffic_class,
            stamp: self.stamp,
        }
    }
}
