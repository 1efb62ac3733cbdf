//! The options of the program and of its modes.

use super::next_hop::Source;
use super::one_line;
use super::values::{self, Asked, address_and_port, duration, port_range};
use crate::run::config::{COUNT_MAX, Offload};
use crate::run::{LatencyLimit, LossLimit};
use crate::wire::flow::{Mac, PortRange, Vlans};
use crate::wire::sizes::Sizes;
use crate::work::impair::Impairments;
use crate::work::pacer::{CatchUp, Pattern, TxMode};
use clap::{ArgMatches, Args, FromArgMatches};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// The upper bound is more than any port has, and still fits the queue number in a packet.
pub(super) const QUEUES: RangeInclusive<i64> = 1..=1023;

/// The upper bound is the size of a worker's burst array.
const BURST: RangeInclusive<i64> = 1..=512;

/// How many packets a capture file has at most, if nothing else was asked for.
pub(super) const PCAP_PACKETS: u32 = 1000;

/// Options that may be repeated. They are arguments of the program and of each mode: of a global
/// argument, clap forgets what was given before the mode if more is given after it.
#[derive(Args)]
pub(super) struct Repeated {
    /// Port to use: its MAC address, PCI address or name, as given to EAL; optional if there is
    /// only one; repeat it to use several
    #[arg(short, long, value_name = "PORT", value_parser = values::port)]
    pub(super) port: Vec<String>,
    /// Exit with 3 if a latency is greater, such as p99=200us; NAME is p50, p90, p99, p99.9,
    /// p99.99, mean or max
    #[arg(long, value_name = "NAME=TIME")]
    pub(super) max_latency: Vec<LatencyLimit>,
}

impl Repeated {
    /// What was given before and after the mode.
    pub(super) fn of(program: &ArgMatches, mode: &ArgMatches) -> Result<Self, String> {
        let [mut all, after] = [program, mode].map(Self::from_arg_matches);
        if let (Ok(all), Ok(after)) = (&mut all, after) {
            all.port.extend(after.port);
            all.max_latency.extend(after.max_latency);
        }
        all.map_err(|error| one_line(&error))
    }
}

#[derive(Args)]
#[expect(clippy::doc_markdown, reason = "these are texts for --help, which has no Markdown")]
#[expect(clippy::struct_excessive_bools, reason = "a flag each")]
pub(super) struct Common {
    /// Number of rx queues of each port
    #[arg(short, long, value_name = "N", global = true, default_value = "1",
          value_parser = clap::value_parser!(u16).range(QUEUES))]
    pub(super) rx_queues: u16,
    /// Number of tx queues of each port [default: 1; as many as -r in modes that send on the tx queue with the
    /// number of the rx queue]
    #[arg(short, long, value_name = "N", global = true,
          value_parser = clap::value_parser!(u16).range(QUEUES))]
    pub(super) tx_queues: Option<u16>,
    /// Maximum burst size: sets both of the following
    #[arg(long, value_name = "N", global = true, default_value = "32",
          value_parser = clap::value_parser!(u16).range(BURST))]
    pub(super) burst_size: u16,
    /// Maximum rx burst; rounded up to a multiple of 8, because drivers with vector instructions
    /// receive in multiples of 4 or 8 [default: --burst-size]
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u16).range(BURST))]
    pub(super) rx_burst: Option<u16>,
    /// Maximum tx burst [default: --burst-size]
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u16).range(BURST))]
    pub(super) tx_burst: Option<u16>,
    /// Descriptors of each rx queue; the port may adjust them
    #[arg(long, value_name = "N", global = true, default_value = "1024")]
    pub(super) rx_descriptors: NonZeroU16,
    /// Descriptors of each tx queue; the port may adjust them
    #[arg(long, value_name = "N", global = true, default_value = "1024")]
    pub(super) tx_descriptors: NonZeroU16,
    /// Set the MTU of each port: bytes of the largest IP packet. In jumbo frames it is up to 9000, on every host and
    /// switch of the path [default: as the port is]
    #[arg(long, value_name = "BYTES", global = true, value_parser = clap::value_parser!(u16).range(68..))]
    pub(super) mtu: Option<u16>,
    /// What the port does for packets: auto (checksums that it can compute), on (those of IPv4 and UDP and a VLAN tag
    /// of --vlan; refused if the port lacks one of them) or off (nothing)
    #[arg(long, value_name = "WHAT", global = true, default_value = "auto", value_parser = values::offload)]
    pub(super) offload: Offload,
    /// As --offload off
    #[arg(long, global = true, hide = true, conflicts_with = "offload")]
    pub(super) software_checksums: bool,
    /// Write a row of CSV per interval to FILE ("-": stdout)
    #[arg(short, long = "stats", value_name = "FILE", global = true)]
    pub(super) stats: Option<PathBuf>,
    /// Write a row of CSV per interval and queue to FILE ("-": stdout)
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) per_queue: Option<PathBuf>,
    /// Write the histogram of round-trip times of each interval to FILE ("-": stdout), as an HdrHistogram log
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) hlog: Option<PathBuf>,
    /// Serve OpenMetrics at http://ADDR:PORT/metrics, for Prometheus; without ADDR at 127.0.0.1, which only this host
    /// reaches [default: off]
    #[arg(long, value_name = "[ADDR:]PORT", global = true, value_parser = values::metrics_address)]
    pub(super) metrics: Option<SocketAddr>,
    /// Length of a statistics interval
    #[arg(long, value_name = "MS", global = true, default_value = "1000",
          value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub(super) stats_interval_ms: u32,
    /// Timeout of packets: how long after the end of its interval a packet may still come back;
    /// after that it is lost
    #[arg(long, value_name = "SECS", global = true, default_value = "1",
          value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(super) stats_evict_threshold_secs: u32,
    /// Write closed intervals at least this often; in fact, each is written when it closes
    #[arg(long, value_name = "SECS", global = true, default_value = "1")]
    pub(super) stats_evict_interval_secs: NonZeroU32,
    /// Write the final summary as JSON to FILE ("-": stdout)
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) json: Option<PathBuf>,
    /// Write the first packets that are corrupt, foreign or late to FILE ("-": stdout), with the reason of each, for
    /// tcpdump and Wireshark; of a mode that sends packets back, the first that it ignores
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) pcap: Option<PathBuf>,
    /// How many packets --pcap keeps at most, of all queues together [default: 1000]
    #[arg(long, value_name = "PACKETS", global = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) pcap_packets: Option<u32>,
    /// Stop after this time; fractions are allowed
    #[arg(long, value_name = "SECS", global = true, value_parser = duration,
          allow_negative_numbers = true)]
    pub(super) duration: Option<Duration>,
    /// Stop after this many packets: sent packets in modes that measure, received packets in others
    #[arg(long, value_name = "PACKETS", global = true,
          value_parser = clap::value_parser!(u64).range(1..=COUNT_MAX))]
    pub(super) count: Option<u64>,
    /// How long to wait at the end for in-flight packets; fractions are allowed [default:
    /// --stats-evict-threshold-secs]
    #[arg(long, value_name = "SECS", global = true, value_parser = duration,
          allow_negative_numbers = true)]
    pub(super) drain: Option<Duration>,
    /// How long to wait for the link of each port, or for the peer of a memif port, before giving
    /// up; fractions are allowed
    #[arg(long, value_name = "SECS", global = true, default_value = "10", value_parser = duration,
          allow_negative_numbers = true)]
    pub(super) wait_link: Duration,
    /// Exit with 3 if more packets are lost: a share such as 0.1% or 0.001
    #[arg(long, value_name = "SHARE", global = true)]
    pub(super) max_loss: Option<LossLimit>,
    /// Do not print a line per second on stderr
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Show the run on the whole terminal instead of a line per second: rates, losses and their
    /// places, round-trip times, queues, events; q or Ctrl-C ends the run. Without a terminal at stdin
    /// and stderr, the lines are printed
    #[arg(long, global = true, conflicts_with = "quiet")]
    pub(super) live: bool,
    /// Read options that are not given from this TOML file, by their long names
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Print all options as such a file, with where each comes from, and exit
    #[arg(long, global = true)]
    pub(super) print_config: bool,
}

#[derive(Args)]
#[expect(clippy::doc_markdown, reason = "these are texts for --help, which has no Markdown")]
#[allow(rustdoc::broken_intra_doc_links, reason = "as above")]
pub(super) struct SendrecvArgs {
    /// Our IPv4 or IPv6 address, for which ARP, neighbour solicitations and echo requests are answered; with
    /// /PREFIX, packets to other networks go through --gateway; with several ports, one for all of them, or
    /// one for each in the order of -p
    #[arg(long, value_name = "IP[/PREFIX]", required = true, value_parser = super::next_hop::source)]
    pub(super) src: Vec<Source>,
    /// Our UDP ports, used in turn packet by packet, so that RSS and the network see many flows
    #[arg(long, value_name = "FIRST-LAST", default_value = "10000-10255", value_parser = port_range)]
    pub(super) src_port_range: PortRange,
    /// The peer's IP address and UDP port, such as 10.0.0.5:7 or [2001:db8::5]:7; one for all ports or
    /// one for each, as --src
    #[arg(long, value_name = "IP:PORT", required = true, value_parser = address_and_port)]
    pub(super) dest: Vec<(IpAddr, u16)>,
    /// The peer's MAC address, or the gateway's (in Azure always 12:34:56:78:9a:bc); one for all
    /// ports or one for each, as --src [default: that which answers ARP or neighbour discovery]
    #[arg(long, value_name = "MAC", value_parser = values::peer_mac)]
    pub(super) dest_mac: Vec<Mac>,
    /// The router that packets go through: all of them or, if --src has a /PREFIX, those to other networks;
    /// one for all ports or one for each, as --src [default: none]
    #[arg(long, value_name = "IP", value_parser = values::address, conflicts_with = "dest_mac")]
    pub(super) gateway: Vec<IpAddr>,
    /// Send packets with this VLAN tag (IEEE 802.1Q), or with two (802.1ad outside, 802.1Q inside)
    /// [default: untagged]
    #[arg(long, value_name = "ID[,ID]", value_parser = values::vlans)]
    pub(super) vlan: Option<Vlans>,
    /// DSCP of packets: a name such as ef, af41, cs3, le or va, or a number from 0 to 63; packets that
    /// come back with another one are valid, and counted
    #[arg(long, value_name = "NAME", default_value = "cs0", value_parser = values::dscp)]
    pub(super) dscp: u8,
    /// ECN field of packets: not-ect, ect0, ect1 or ce; as --dscp
    #[arg(long, value_name = "NAME", default_value = "not-ect", value_parser = values::ecn)]
    pub(super) ecn: u8,
    /// Bytes of UDP payload: from 16 to what the port's MTU allows; or several sizes with their weights, such as
    /// 64:7,594:4,1518:1, which take turns: of every 12 packets of a tx queue, 7 have the first size
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = values::packet_sizes)]
    pub(super) packet_size: Sizes,
    /// Bytes of whole frames, FCS included, as RFC 2544 counts them (64 to 1518 at an MTU of 1500), instead of
    /// --packet-size; or several sizes, as there
    #[arg(long, value_name = "BYTES", conflicts_with = "packet_size",
          value_parser = values::frame_sizes)]
    pub(super) frame_size: Option<Sizes>,
    /// Rate in packets per statistics interval, all tx queues together; pacing does not depend on
    /// the interval; 0: as fast as possible
    #[arg(short = 'R', long, value_name = "PACKETS", conflicts_with = "rate")]
    pub(super) rate_per_interval: Option<u64>,
    /// Rate of all tx queues together: packets per second such as 3500000, 3.5Mpps, 800k or 0.5,
    /// bits per second such as 10Gbps (whole frames) or 10GbpsL1 (with preamble and gap), or a
    /// share of the line rate such as 80% (with preamble and gap); 0: as fast as possible [default:
    /// 0]
    #[arg(long, value_name = "RATE", value_parser = values::rate)]
    pub(super) rate: Option<Asked>,
    /// How packets are spread over time: cbr (evenly), poisson, or burst:N (N at once)
    #[arg(long, value_name = "PATTERN", default_value = "cbr")]
    pub(super) pattern: Pattern,
    /// Maximum number of late packets that each tx queue sends at once, after its lcore was stalled
    /// or the queue was full: a number, or those of a time such as 10ms, at least --tx-burst.
    /// Further late packets are not sent, nor any that is later than --stats-evict-threshold-secs
    /// [default: 1ms]
    #[arg(long, value_name = "PACKETS|TIME", value_parser = values::catch_up)]
    pub(super) catch_up: Option<CatchUp>,
    /// Tx mode: burst (all due packets in one burst), spin (one packet per burst, after a busy-wait
    /// of up to 20 us: most exact, but too slow for high rates), or hw (one packet per burst, given
    /// to the port 100 us early with its send time; few ports can do that)
    #[arg(long, value_name = "HOW", default_value = "burst", value_parser = values::tx_mode)]
    pub(super) pacing: TxMode,
    /// Seed of the filler, and of the gaps of --pattern poisson [default: random]
    #[arg(long, value_name = "NUMBER")]
    pub(super) seed: Option<u64>,
    /// Key of the tags that identify the packets of this run: for golden tests, which need the same
    /// packets in every run [default: random]
    #[arg(long, value_name = "NUMBER", hide = true)]
    pub(super) tag_key: Option<u64>,
    /// Let the reflector write a sequence number and its residence time into each packet: then each
    /// loss has a direction, and latency is also reported without the reflector's part (needs
    /// --packet-size 34 or more)
    #[arg(long, alias = "stamp")]
    pub(super) reflector_seq: bool,
    /// Send for this time before the run begins: the first packets of a flow take a slow path in
    /// clouds
    #[arg(long, value_name = "SECS", value_parser = duration, allow_negative_numbers = true)]
    pub(super) warmup: Option<Duration>,
    /// Measure what is requested on stdin, a JSON object per line, and answer each request with one
    /// on stdout (data/README.md describes both); what a request leaves out is as given here
    #[arg(long)]
    pub(super) trials: bool,
    /// Before anything is sent, ask for up to this time until the peer answers, and exit with 4 if it does not;
    /// fractions are allowed [default: do not wait]
    #[arg(long, value_name = "SECS", value_parser = duration, allow_negative_numbers = true,
          conflicts_with = "no_peer_report")]
    pub(super) wait_peer: Option<Duration>,
    /// Do not ask the reflector for its counters: it is then unknown where packets were lost
    #[arg(long, conflicts_with = "reflector_seq")]
    pub(super) no_peer_report: bool,
}

#[derive(Args)]
#[allow(rustdoc::broken_intra_doc_links, reason = "these are texts for --help")]
pub(super) struct ReflectArgs {
    /// Send back only packets to this UDP port, or to one of this range [default: any]
    #[arg(long, value_name = "PORT[-LAST]", value_parser = values::ports)]
    pub(super) udp_port: Option<PortRange>,
    /// Answer only hosts in this IPv4 or IPv6 network, such as 10.1.0.0/16, or only this host, whether
    /// they send packets, ask for counters or ping; may be repeated [default: all hosts]
    #[arg(long, value_name = "CIDR", value_parser = values::network)]
    pub(super) allow: Vec<IpNet>,
    /// Our IPv4 or IPv6 address: answer ARP, neighbour solicitations and echo requests (ping) for it, on
    /// every port and with the VLAN tags of the request; may be repeated [default: none; nothing is answered]
    #[arg(long, value_name = "IP", value_parser = values::address)]
    pub(super) ip: Vec<IpAddr>,
    /// End when nobody has sent a packet or a question for this time, counted anew from the moment when all links
    /// are up; fractions are allowed [default: do not end]
    #[arg(long, value_name = "SECS", value_parser = duration, allow_negative_numbers = true)]
    pub(super) idle_exit: Option<Duration>,
    /// Impair packets on purpose: drop=P, duplicate=P, corrupt=P, reorder=P:DEPTH (send after DEPTH
    /// later packets of any flow), delay=TIME, blackout=START:TIME and cap=RATE[:PACKETS] (drop what
    /// exceeds RATE, after up to PACKETS at once; each rx queue has an equal share of both) [default:
    /// 2 ms of RATE], separated by commas; P from 0 to 1, TIME such as 2ms, RATE such as 100k
    #[arg(long, value_name = "LIST")]
    pub(super) impair: Option<Impairments>,
    /// Seed of the random numbers for --impair [default: 0]
    #[arg(long, value_name = "NUMBER", requires = "impair")]
    pub(super) impair_seed: Option<u64>,
}
