//! The command line after EAL's `--`.

mod mode_options;
mod next_hop;
mod values;

use crate::run::config::{Config, Ends, Sendrecv};
use crate::run::mode::{Meaning, ModeInfo};
use crate::run::{LatencyLimit, Limits, LossLimit};
use crate::wire::flow::{Addresses, Mac, PortRange, Vlans};
use crate::wire::layout::Layout;
use crate::wire::stamp::STAMPED_LEN;
use crate::work::impair::Impairments;
use crate::work::pacer::{PPS_MAX, Pacing, Pattern, Rate, TxMode};
use clap::error::{ContextKind, ErrorKind};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use next_hop::{Source, next_hop};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use values::{Asked, address_and_port, duration, packet_size, port_range};

/// What a command line asks for.
#[derive(Debug)]
pub enum Parsed {
    /// Run this configuration.
    Run(Box<Config>),
    /// Print this text on stdout and exit.
    Print(String),
}

/// The upper bound is more than any port has, and still fits the queue number in a packet.
const QUEUES: RangeInclusive<i64> = 1..=1023;

/// The upper bound is the size of a worker's burst array.
const BURST: RangeInclusive<i64> = 1..=512;

/// Upper bound of a packet count.
const COUNT_MAX: u64 = 1 << 48;

/// Options that may be repeated. They are arguments of the program and of each mode: of a global
/// argument, clap forgets what was given before the mode if more is given after it.
#[derive(Args)]
struct Repeated {
    /// Port to use: its MAC address, PCI address or name, as given to EAL; optional if there is
    /// only one; repeat it to use several
    #[arg(short, long, value_name = "PORT", value_parser = values::port)]
    port: Vec<String>,
    /// Exit with 3 if a latency is greater, such as p99=200us; NAME is p50, p90, p99, p99.9,
    /// p99.99, mean or max
    #[arg(long, value_name = "NAME=TIME")]
    max_latency: Vec<LatencyLimit>,
}

impl Repeated {
    /// What was given before and after the mode.
    fn of(program: &ArgMatches, mode: &ArgMatches) -> Result<Self, String> {
        let [mut all, after] = [program, mode].map(Self::from_arg_matches);
        if let (Ok(all), Ok(after)) = (&mut all, after) {
            all.port.extend(after.port);
            all.max_latency.extend(after.max_latency);
        }
        all.map_err(|error| one_line(&error))
    }
}

#[derive(Args)]
struct Common {
    /// Number of rx queues of each port
    #[arg(short, long, value_name = "N", global = true, default_value = "1",
          value_parser = clap::value_parser!(u16).range(QUEUES))]
    rx_queues: u16,
    /// Number of tx queues of each port [default: 1; as many as -r in modes that send on the tx queue with the
    /// number of the rx queue]
    #[arg(short, long, value_name = "N", global = true,
          value_parser = clap::value_parser!(u16).range(QUEUES))]
    tx_queues: Option<u16>,
    /// Maximum burst size: sets both of the following
    #[arg(long, value_name = "N", global = true, default_value = "32",
          value_parser = clap::value_parser!(u16).range(BURST))]
    burst_size: u16,
    /// Maximum rx burst; rounded up to a multiple of 8, because drivers with vector instructions
    /// receive in multiples of 4 or 8 [default: --burst-size]
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u16).range(BURST))]
    rx_burst: Option<u16>,
    /// Maximum tx burst [default: --burst-size]
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u16).range(BURST))]
    tx_burst: Option<u16>,
    /// Descriptors of each rx queue; the port may adjust them
    #[arg(long, value_name = "N", global = true, default_value = "1024")]
    rx_descriptors: NonZeroU16,
    /// Descriptors of each tx queue; the port may adjust them
    #[arg(long, value_name = "N", global = true, default_value = "1024")]
    tx_descriptors: NonZeroU16,
    /// Do not use checksum offload, even if the port has it
    #[arg(long, global = true)]
    software_checksums: bool,
    /// Write a row of CSV per interval to FILE ("-": stdout)
    #[arg(short, long = "stats", value_name = "FILE", global = true)]
    stats: Option<PathBuf>,
    /// Write a row of CSV per interval and queue to FILE ("-": stdout)
    #[arg(long, value_name = "FILE", global = true)]
    per_queue: Option<PathBuf>,
    /// Length of a statistics interval
    #[arg(long, value_name = "MS", global = true, default_value = "1000",
          value_parser = clap::value_parser!(u32).range(1..=60_000))]
    stats_interval_ms: u32,
    /// Timeout of packets: how long after the end of its interval a packet may still come back;
    /// after that it is lost
    #[arg(long, value_name = "SECS", global = true, default_value = "1",
          value_parser = clap::value_parser!(u32).range(1..=600))]
    stats_evict_threshold_secs: u32,
    /// Write closed intervals at least this often; in fact, each is written when it closes
    #[arg(long, value_name = "SECS", global = true, default_value = "1")]
    stats_evict_interval_secs: NonZeroU32,
    /// Write the final summary as JSON to FILE ("-": stdout)
    #[arg(long, value_name = "FILE", global = true)]
    json: Option<PathBuf>,
    /// Stop after this time; fractions are allowed
    #[arg(long, value_name = "SECS", global = true, value_parser = duration,
          allow_negative_numbers = true)]
    duration: Option<Duration>,
    /// Stop after this many packets: sent packets in modes that measure, received packets in others
    #[arg(long, value_name = "PACKETS", global = true,
          value_parser = clap::value_parser!(u64).range(1..=COUNT_MAX))]
    count: Option<u64>,
    /// How long to wait at the end for in-flight packets; fractions are allowed [default:
    /// --stats-evict-threshold-secs]
    #[arg(long, value_name = "SECS", global = true, value_parser = duration,
          allow_negative_numbers = true)]
    drain: Option<Duration>,
    /// How long to wait for the link of each port, or for the peer of a memif port, before giving
    /// up; fractions are allowed
    #[arg(long, value_name = "SECS", global = true, default_value = "10", value_parser = duration,
          allow_negative_numbers = true)]
    wait_link: Duration,
    /// Exit with 3 if more packets are lost: a share such as 0.1% or 0.001
    #[arg(long, value_name = "SHARE", global = true)]
    max_loss: Option<LossLimit>,
    /// Do not print a line per second on stderr
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Args)]
#[expect(clippy::doc_markdown, reason = "these are texts for --help, which has no Markdown")]
#[allow(rustdoc::broken_intra_doc_links, reason = "as above")]
struct SendrecvArgs {
    /// Our IPv4 or IPv6 address, for which ARP, neighbour solicitations and echo requests are answered; with
    /// /PREFIX, packets to other networks go through --gateway; with several ports, one for all of them, or
    /// one for each in the order of -p
    #[arg(long, value_name = "IP[/PREFIX]", required = true, value_parser = next_hop::source)]
    src: Vec<Source>,
    /// Our UDP ports, used in turn packet by packet, so that RSS and the network see many flows
    #[arg(long, value_name = "FIRST-LAST", default_value = "10000-10255", value_parser = port_range)]
    src_port_range: PortRange,
    /// The peer's IP address and UDP port, such as 10.0.0.5:7 or [2001:db8::5]:7; one for all ports or
    /// one for each, as --src
    #[arg(long, value_name = "IP:PORT", required = true, value_parser = address_and_port)]
    dest: Vec<(IpAddr, u16)>,
    /// The peer's MAC address, or the gateway's (in Azure always 12:34:56:78:9a:bc); one for all
    /// ports or one for each, as --src [default: that which answers ARP or neighbour discovery]
    #[arg(long, value_name = "MAC", value_parser = values::peer_mac)]
    dest_mac: Vec<Mac>,
    /// The router that packets go through: all of them or, if --src has a /PREFIX, those to other networks;
    /// one for all ports or one for each, as --src [default: none]
    #[arg(long, value_name = "IP", value_parser = values::address, conflicts_with = "dest_mac")]
    gateway: Vec<IpAddr>,
    /// Send packets with this VLAN tag (IEEE 802.1Q), or with two (802.1ad outside, 802.1Q inside)
    /// [default: untagged]
    #[arg(long, value_name = "ID[,ID]", value_parser = values::vlans)]
    vlan: Option<Vlans>,
    /// DSCP of packets: a name such as ef, af41, cs3, le or va, or a number from 0 to 63; packets that
    /// come back with another one are valid, and counted
    #[arg(long, value_name = "NAME", default_value = "cs0", value_parser = values::dscp)]
    dscp: u8,
    /// ECN field of packets: not-ect, ect0, ect1 or ce; as --dscp
    #[arg(long, value_name = "NAME", default_value = "not-ect", value_parser = values::ecn)]
    ecn: u8,
    /// Bytes of UDP payload: from 16 to what the port's MTU allows
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = packet_size)]
    packet_size: u16,
    /// Rate in packets per statistics interval, all tx queues together; pacing does not depend on
    /// the interval; 0: as fast as possible
    #[arg(short = 'R', long, value_name = "PACKETS", conflicts_with = "rate")]
    rate_per_interval: Option<u64>,
    /// Rate of all tx queues together: packets per second such as 3500000, 3.5Mpps, 800k or 0.5,
    /// bits per second such as 10Gbps (whole frames) or 10GbpsL1 (with preamble and gap), or a
    /// share of the line rate such as 80% (with preamble and gap); 0: as fast as possible [default:
    /// 0]
    #[arg(long, value_name = "RATE", value_parser = values::rate)]
    rate: Option<Asked>,
    /// How packets are spread over time: cbr (evenly), poisson, or burst:N (N at once)
    #[arg(long, value_name = "PATTERN", default_value = "cbr")]
    pattern: Pattern,
    /// Maximum number of late packets that each tx queue sends at once, after its lcore was stalled
    /// or the queue was full; further late packets are not sent, nor any that is later than
    /// --stats-evict-threshold-secs [default: the packets of 1 ms, at least --tx-burst]
    #[arg(long, value_name = "PACKETS", value_parser = clap::value_parser!(u64).range(1..))]
    catch_up: Option<u64>,
    /// Tx mode: burst (all due packets in one burst), spin (one packet per burst, after a busy-wait
    /// of up to 20 us: most exact, but too slow for high rates), or hw (one packet per burst, given
    /// to the port 100 us early with its send time; few ports can do that)
    #[arg(long, value_name = "HOW", default_value = "burst", value_parser = values::tx_mode)]
    pacing: TxMode,
    /// Seed of the filler, and of the gaps of --pattern poisson [default: random]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Key of the tags that identify the packets of this run: for golden tests, which need the same
    /// packets in every run [default: random]
    #[arg(long, value_name = "NUMBER", hide = true)]
    tag_key: Option<u64>,
    /// Let the reflector write a sequence number and its residence time into each packet: then each
    /// loss has a direction, and latency is also reported without the reflector's part (needs
    /// --packet-size 34 or more)
    #[arg(long, alias = "stamp")]
    reflector_seq: bool,
    /// Send for this time before the run begins: the first packets of a flow take a slow path in
    /// clouds
    #[arg(long, value_name = "SECS", value_parser = duration, allow_negative_numbers = true)]
    warmup: Option<Duration>,
    /// Measure what is requested on stdin, a JSON object per line, and answer each request with one
    /// on stdout (data/README.md describes both); what a request leaves out is as given here
    #[arg(long)]
    trials: bool,
    /// Do not ask the reflector for its counters: it is then unknown where packets were lost
    #[arg(long, conflicts_with = "reflector_seq")]
    no_peer_report: bool,
}

#[derive(Args)]
#[allow(rustdoc::broken_intra_doc_links, reason = "these are texts for --help")]
struct ReflectArgs {
    /// Send back only packets to this UDP port, or to one of this range [default: any]
    #[arg(long, value_name = "PORT[-LAST]", value_parser = values::ports)]
    udp_port: Option<PortRange>,
    /// Our IPv4 or IPv6 address: answer ARP, neighbour solicitations and echo requests (ping) for it, on
    /// every port and with the VLAN tags of the request; may be repeated [default: none; nothing is answered]
    #[arg(long, value_name = "IP", value_parser = values::address)]
    ip: Vec<IpAddr>,
    /// Impair packets on purpose: drop=P, duplicate=P, corrupt=P, reorder=P:DEPTH (send after DEPTH
    /// later packets of any flow), delay=TIME, blackout=START:TIME and cap=RATE[:PACKETS] (drop what
    /// exceeds RATE, after up to PACKETS at once; each rx queue has an equal share of both) [default:
    /// 2 ms of RATE], separated by commas; P from 0 to 1, TIME such as 2ms, RATE such as 100k
    #[arg(long, value_name = "LIST")]
    impair: Option<Impairments>,
    /// Seed of the random numbers for --impair [default: 0]
    #[arg(long, value_name = "NUMBER", requires = "impair")]
    impair_seed: Option<u64>,
}

fn command(modes: &[ModeInfo]) -> Command {
    let about = "How many UDP packets per second a path carries, how many were lost, and how long \
                 each one took";
    let root = Command::new("dpdkproj")
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .override_usage("dpdkproj [EAL OPTIONS] -- <MODE> [OPTIONS]")
        .after_help(
            "Options may come before or after the mode; `-- <MODE> --help` shows the options of a mode.\n\
             EAL's own options (lcores, devices, memory) come before the `--`; \
             `dpdkproj --help` lists them.",
        )
        .subcommand_required(true)
        .subcommand_value_name("MODE")
        .subcommand_help_heading("Modes")
        .disable_help_subcommand(true);
    let root = Repeated::augment_args(Common::augment_args(root));
    modes
        .iter()
        .fold(root, |root, mode| root.subcommand(mode_options::extend(mode_command(mode), mode)))
}

/// The command of one mode, without the mode's own options.
fn mode_command(mode: &ModeInfo) -> Command {
    let usage = format!("dpdkproj [EAL OPTIONS] -- {} [OPTIONS]", mode.name);
    let command = Command::new(mode.name.clone()).about(mode.about.clone()).override_usage(usage);
    let command = Repeated::augment_args(command);
    match mode.meaning {
        Meaning::Measures => SendrecvArgs::augment_args(command),
        Meaning::Returns => ReflectArgs::augment_args(command),
        Meaning::Forwards | Meaning::Counts => command,
    }
}

/// Parses the arguments after `--`, for a program with these modes.
///
/// # Errors
/// One line that names the option, the value and what is allowed, or that says what is wrong with a
/// mode.
pub fn parse(args: &[String], modes: &[ModeInfo]) -> Result<Parsed, String> {
    mode_options::check(modes, &Common::augment_args(Command::new("")), mode_command)?;
    let words = std::iter::once("dpdkproj").chain(args.iter().map(String::as_str));
    let matches = match command(modes).try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return printed_or_one_line(&error, modes),
    };
    let chosen = matches
        .subcommand()
        .and_then(|(name, options)| Some((modes.iter().find(|mode| mode.name == name)?, options)));
    let Some((mode, options)) = chosen else {
        return Err(format!("no mode given: {}", possible(modes)));
    };
    let repeated = Repeated::of(&matches, options)?;
    let has_limits = options.contains_id("max_loss") || !repeated.max_latency.is_empty();
    if has_limits && mode.meaning != Meaning::Measures {
        return Err(refused_limits(mode, modes));
    }
    config(mode, options, repeated).map(|config| Parsed::Run(Box::new(config)))
}

/// The error for limits given to a mode that cannot check them.
fn refused_limits(mode: &ModeInfo, modes: &[ModeInfo]) -> String {
    let measures = modes.iter().filter(|mode| mode.meaning == Meaning::Measures);
    let names: Vec<_> = measures.map(|mode| mode.name.as_str()).collect();
    let advice = if names.is_empty() {
        "leave them out".into()
    } else {
        format!("give them to {}", names.join(" or "))
    };
    format!("--max-loss, --max-latency: {} cannot know; {advice}", mode.name)
}

/// The options of a mode that measures.
fn sendrecv(options: &ArgMatches, interval_ms: u32, ports: usize) -> Result<Sendrecv, String> {
    let args = SendrecvArgs::from_arg_matches(options).map_err(|error| one_line(&error))?;
    let random = RandomState::new();
    let seed = args.seed.unwrap_or_else(|| random.hash_one("seed"));
    let tag_key = args.tag_key.unwrap_or_else(|| random.hash_one("tag key"));
    if args.reflector_seq && usize::from(args.packet_size) < STAMPED_LEN {
        return Err(format!(
            "--reflector-seq --packet-size {}: that needs {STAMPED_LEN} bytes of payload; raise \
             --packet-size or leave --reflector-seq out",
            args.packet_size
        ));
    }
    let ends = ends(&args, ports)?;
    let vlans = args.vlan.unwrap_or_default();
    let layout = Layout { tags: vlans.tags(), ip: ends[0].addresses.version() };
    Ok(Sendrecv {
        pacing: pacing(&args, layout, interval_ms, seed)?,
        ends,
        vlans,
        traffic_class: args.dscp << 2 | args.ecn,
        src_ports: args.src_port_range,
        payload_len: args.packet_size,
        line_share: match args.rate {
            Some(Asked::LineShare(percent)) => Some(format!("{percent}%")),
            _ => None,
        },
        tag_key,
        seed,
        stamp: args.reflector_seq,
        warmup_ns: args.warmup.map_or(0, nanoseconds),
        ask_peer: !args.no_peer_report,
    })
}

/// The value for port `port` of an option that is given for each port, or once for all of them.
fn of_port<T: Copy>(given: &[T], port: usize) -> Option<T> {
    given.get(port).or(given.last()).copied()
}

/// The addresses of the packets of each port, or of all ports.
fn ends(args: &SendrecvArgs, ports: usize) -> Result<Vec<Ends>, String> {
    let given = [args.src.len(), args.dest.len(), args.dest_mac.len(), args.gateway.len()];
    for (option, given) in ["--src", "--dest", "--dest-mac", "--gateway"].into_iter().zip(given) {
        if given > 1 && given != ports.max(1) {
            return Err(format!(
                "{option} is given {given} times, and -p {ports} times: give {option} once for all ports, or once for \
                 each in the order of -p"
            ));
        }
    }
    let ends = |port: usize| {
        let both = of_port(&args.dest, port).zip(of_port(&args.src, port));
        let ((dst_ip, dst_port), src) = both.ok_or("--src, --dest: none is given")?;
        let src_ip = src.ip;
        let addresses = Addresses::new(src_ip, dst_ip).ok_or_else(|| {
            format!(
                "--src {src_ip} --dest {}: one is IPv4 and the other one IPv6; give both of one version",
                SocketAddr::new(dst_ip, dst_port)
            )
        })?;
        let (mac, gateway) = (of_port(&args.dest_mac, port), of_port(&args.gateway, port));
        Ok(Ends { addresses, dst_port, next_hop: next_hop(src, dst_ip, mac, gateway)? })
    };
    let all = (0..given.into_iter().max().unwrap_or(1)).map(ends);
    let all = all.collect::<Result<Vec<_>, String>>()?;
    let [first, ..] = all[..] else { return Err("--src, --dest: none is given".into()) };
    let version = |ends: &Ends| ends.addresses.version();
    if let Some(other) = all.iter().find(|ends| version(ends) != version(&first)) {
        return Err(format!(
            "--dest: one port sends to {} and another one to {}: all ports of a run have the same version of IP",
            first.addresses.dst(),
            other.addresses.dst()
        ));
    }
    Ok(all)
}

fn pacing(
    args: &SendrecvArgs,
    layout: Layout,
    interval_ms: u32,
    seed: u64,
) -> Result<Option<Pacing>, String> {
    let per_interval = args.rate_per_interval.filter(|packets| *packets > 0).map(|packets| {
        let most = PPS_MAX * u64::from(interval_ms) / 1000;
        let rate = Rate::new(packets, u64::from(interval_ms) * 1_000_000);
        rate.filter(|_| packets <= most).ok_or_else(|| {
            format!(
                "-R {packets}: at {interval_ms} ms per interval (--stats-interval-ms) it may be \
                 at most {most}"
            )
        })
    });
    let asked = args.rate.and_then(|asked| asked.in_packets(layout, args.packet_size));
    let Some(rate) = asked.or(per_interval.transpose()?) else {
        let is_plain = args.pattern == Pattern::Cbr && args.pacing == TxMode::Burst;
        if !is_plain || args.catch_up.is_some() {
            let options = "--pattern, --catch-up, --pacing";
            return Err(format!("{options}: they need a rate (--rate or -R, above 0)"));
        }
        return Ok(None);
    };
    let pattern = match args.pattern {
        Pattern::Poisson(_) => Pattern::Poisson(seed),
        other => other,
    };
    Ok(Some(Pacing { rate, pattern, catch_up: args.catch_up, tx_mode: args.pacing }))
}

fn config(mode: &ModeInfo, options: &ArgMatches, repeated: Repeated) -> Result<Config, String> {
    let common = Common::from_arg_matches(options).map_err(|error| one_line(&error))?;
    let interval_ns = u64::from(common.stats_interval_ms) * 1_000_000;
    let is_sendrecv = mode.meaning == Meaning::Measures;
    let trials = is_sendrecv && options.get_flag("trials");
    if trials && (common.stats.is_some() || common.per_queue.is_some() || common.json.is_some()) {
        return Err(
            "--trials: each trial is answered on stdout; leave -s, --per-queue and --json out"
                .into(),
        );
    }
    let sendrecv = if is_sendrecv {
        Some(sendrecv(options, common.stats_interval_ms, repeated.port.len())?)
    } else {
        None
    };
    let (udp_ports, ips, impairments) = if mode.meaning == Meaning::Returns {
        let args = ReflectArgs::from_arg_matches(options).map_err(|error| one_line(&error))?;
        let seed = args.impair_seed.unwrap_or(0);
        let impairments = args.impair.map(|impairments| Impairments { seed, ..impairments });
        (args.udp_port.unwrap_or(PortRange::ALL), args.ip, impairments)
    } else {
        (PortRange::ALL, Vec::new(), None)
    };
    let config = Config {
        mode: mode.name.clone(),
        meaning: mode.meaning,
        counters: mode.counters.clone(),
        mode_options: mode_options::values(mode, options),
        ports: repeated.port,
        rx_queues: common.rx_queues,
        tx_queues: mode.queues.tx(&mode.name, common.rx_queues, common.tx_queues)?,
        rx_descriptors: common.rx_descriptors.get(),
        tx_descriptors: common.tx_descriptors.get(),
        rx_burst: common.rx_burst.unwrap_or(common.burst_size),
        tx_burst: common.tx_burst.unwrap_or(common.burst_size),
        checksum_offload: !common.software_checksums,
        stats_path: common.stats,
        queues_path: common.per_queue,
        json_path: common.json,
        interval_ns,
        timeout_ns: u64::from(common.stats_evict_threshold_secs) * 1_000_000_000,
        drain_ns: common
            .drain
            .map_or(u64::from(common.stats_evict_threshold_secs) * 1_000_000_000, nanoseconds),
        wait_link_ns: nanoseconds(common.wait_link),
        duration_ns: common.duration.map(nanoseconds),
        count: common.count,
        trials,
        live: !common.quiet,
        limits: Limits { loss: common.max_loss, latencies: repeated.max_latency },
        sendrecv,
        udp_ports,
        ips,
        impairments,
    };
    let ports = config.ports();
    let queues = ports.all_rx_queues().max(ports.all_tx_queues());
    if i64::from(queues) > *QUEUES.end() {
        return Err(format!(
            "-r {} -t {}: with {} ports that is {queues} queues, and at most {} can be told apart; lower -r or -t",
            ports.rx_queues,
            ports.tx_queues,
            ports.count,
            QUEUES.end()
        ));
    }
    config.check_statistics()?;
    Ok(config)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn printed_or_one_line(error: &clap::Error, modes: &[ModeInfo]) -> Result<Parsed, String> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Ok(Parsed::Print(error.to_string())),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            Err(format!("no mode given: {}", possible(modes)))
        }
        ErrorKind::InvalidSubcommand => {
            let asked = error.get(ContextKind::InvalidSubcommand);
            let asked = asked.map(ToString::to_string).unwrap_or_default();
            Err(format!("unknown mode '{asked}': {}", possible(modes)))
        }
        _ => Err(one_line(error)),
    }
}

fn possible(modes: &[ModeInfo]) -> String {
    let names: Vec<_> = modes.iter().map(|mode| mode.name.as_str()).collect();
    format!("it is one of {}", names.join(", "))
}

/// The text of a clap error on one line.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.split("\n\nUsage:").next().unwrap_or_default();
    let text = text.split("\n\nFor more information").next().unwrap_or_default();
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_string()
}

#[cfg(test)]
mod tests;
