//! The command line after EAL's `--`.

mod mode_options;
mod next_hop;
mod options;
mod saved;
mod values;

use crate::control::allowed::Allowed;
use crate::run::Limits;
pub use crate::run::config::Program;
use crate::run::config::{Config, Ends, NextHop, Offload, Sendrecv};
use crate::run::mode::{Meaning, ModeInfo};
use crate::wire::flow::{Addresses, PortRange};
use crate::wire::layout::Layout;
use crate::wire::sizes::Sizes;
use crate::wire::stamp::STAMPED_LEN;
use crate::work::impair::Impairments;
use crate::work::pacer::{PPS_MAX, Pacing, Pattern, Rate, TxMode};
use clap::error::{ContextKind, ErrorKind};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use next_hop::next_hop;
use options::{Common, QUEUES, ReflectArgs, Repeated, SendrecvArgs};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;
use values::Asked;

/// What a command line asks for.
#[derive(Debug)]
pub enum Parsed {
    /// Run this configuration.
    Run(Box<Config>),
    /// Print this text on stdout and exit.
    Print(String),
    /// Print what saved runs say on stdout, and exit with this code.
    Answer {
        /// Several lines.
        text: String,
        /// 1 if a file was left out, of which stderr tells; else 0.
        code: u8,
    },
}

/// Options of ports, headers and neighbours: over sockets, the kernel sees to these.
const NOT_OVER_SOCKETS: [&str; 18] = [
    "port",
    "rx_queues",
    "tx_queues",
    "rx_descriptors",
    "tx_descriptors",
    "software_checksums",
    "offload",
    "wait_link",
    "mtu",
    "dest_mac",
    "gateway",
    "vlan",
    "dscp",
    "ecn",
    "udp_port",
    "ip",
    "impair",
    "impair_seed",
];

impl Program {
    /// The usage line, for `mode`.
    fn usage(self, mode: &str) -> String {
        match self {
            Self::Ports => format!("dpdkproj [EAL OPTIONS] -- {mode} [OPTIONS]"),
            Self::Sockets => format!("udpbaseline {mode} [OPTIONS]"),
        }
    }

    /// `command` without the options that the program does not have. They stay known, so that a command
    /// line of the other program is refused with the reason.
    fn hide(self, command: Command) -> Command {
        if self == Self::Ports {
            return command;
        }
        command.mut_args(|arg| {
            let is_hidden = NOT_OVER_SOCKETS.contains(&arg.get_id().as_str());
            if is_hidden { arg.hide(true) } else { arg }
        })
    }

    /// # Errors
    /// One line, for an option that the program does not have.
    fn check(self, matches: &ArgMatches) -> Result<(), String> {
        let is_given =
            |id: &&str| matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
        let mut ids = matches.ids().map(clap::Id::as_str);
        match ids.find(|id| NOT_OVER_SOCKETS.contains(id) && is_given(id)) {
            Some(id) if self == Self::Sockets => Err(format!(
                "--{}: udpbaseline sends through the kernel's sockets, which have no such option; leave it out",
                id.replace('_', "-")
            )),
            _ => Ok(()),
        }
    }
}

fn command(program: Program, modes: &[ModeInfo]) -> Command {
    let about = "How many UDP packets per second a path carries, how many were lost, and how long \
                 each one took";
    let after_help = match program {
        Program::Ports => {
            "Options may come before or after the mode; `-- <MODE> --help` shows the options of a mode.\n\
             `-- report FILE` prints a saved run again, and `-- merge FILE...` adds up several.\n\
             EAL's own options (lcores, devices, memory) come before the `--`; \
             `dpdkproj --help` lists them.\n\
             Exit codes: 0 success, also after a signal; 1 the run failed, or its ledger does not balance; 2 the \
             request is impossible; 3 a limit was exceeded (--max-loss, --max-latency); 4 the peer did not answer \
             (--wait-peer); 130 ended by a second signal."
        }
        Program::Sockets => {
            "Options may come before or after the mode; `<MODE> --help` shows the options of a mode.\n\
             `report FILE` prints a saved run again, and `merge FILE...` adds up several.\n\
             The same as dpdkproj over kernel sockets, for comparison; each may be the other one's peer."
        }
    };
    let root = Command::new(program.name())
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .override_usage(program.usage("<MODE>"))
        .after_help(after_help)
        .subcommand_required(true)
        .subcommand_value_name("MODE")
        .subcommand_help_heading("Modes")
        .disable_help_subcommand(true);
    let root = program.hide(Repeated::augment_args(Common::augment_args(root)));
    modes.iter().fold(root, |root, mode| {
        let command = program.hide(mode_command(mode)).override_usage(program.usage(&mode.name));
        root.subcommand(mode_options::extend(command, mode))
    })
}

/// The command of one mode, without the mode's own options.
fn mode_command(mode: &ModeInfo) -> Command {
    let command = Command::new(mode.name.clone()).about(mode.about.clone());
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
    parse_for(Program::Ports, args, modes)
}

/// The same for either program.
///
/// # Errors
/// As [`parse`].
pub fn parse_for(program: Program, args: &[String], modes: &[ModeInfo]) -> Result<Parsed, String> {
    mode_options::check(modes, &Common::augment_args(Command::new("")), mode_command)?;
    if let Some(answer) = saved::answer(program, args) {
        return answer;
    }
    let words = std::iter::once(program.name()).chain(args.iter().map(String::as_str));
    let matches = match command(program, modes).try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return printed_or_one_line(&error, modes),
    };
    let chosen = matches
        .subcommand()
        .and_then(|(name, options)| Some((modes.iter().find(|mode| mode.name == name)?, options)));
    let Some((mode, options)) = chosen else {
        return Err(format!("no mode given: {}", possible(modes)));
    };
    [&matches, options].into_iter().try_for_each(|matches| program.check(matches))?;
    let repeated = Repeated::of(&matches, options)?;
    let has_limits = options.contains_id("max_loss") || !repeated.max_latency.is_empty();
    if has_limits && mode.meaning != Meaning::Measures {
        return Err(refused_limits(mode, modes));
    }
    config(program, mode, options, repeated).map(|config| Parsed::Run(Box::new(config)))
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
fn sendrecv(
    options: &ArgMatches,
    interval_ms: u32,
    ports: usize,
    sockets: bool,
) -> Result<Sendrecv, String> {
    let args = SendrecvArgs::from_arg_matches(options).map_err(|error| one_line(&error))?;
    let random = RandomState::new();
    let seed = args.seed.unwrap_or_else(|| random.hash_one("seed"));
    let tag_key = args.tag_key.unwrap_or_else(|| random.hash_one("tag key"));
    if sockets && args.pacing == TxMode::Hardware {
        return Err(
            "--pacing hw: the kernel's sockets do not offer it here; give burst or spin".into()
        );
    }
    let ends = ends(&args, ports, sockets)?;
    let vlans = args.vlan.unwrap_or_default();
    let layout = Layout { tags: vlans.tags(), ip: ends[0].addresses.version() };
    let sizes = match &args.frame_size {
        Some(frames) => values::payloads_of_frames(frames, layout)?,
        None => args.packet_size.clone(),
    };
    if args.reflector_seq && usize::from(sizes.smallest()) < STAMPED_LEN {
        return Err(format!(
            "--reflector-seq --packet-size {sizes}: that needs {STAMPED_LEN} bytes of payload; raise \
             --packet-size (or --frame-size) or leave --reflector-seq out"
        ));
    }
    Ok(Sendrecv {
        pacing: pacing(&args, layout, &sizes, interval_ms, seed)?,
        ends,
        vlans,
        traffic_class: args.dscp << 2 | args.ecn,
        src_ports: args.src_port_range,
        sizes,
        line_share: match args.rate {
            Some(Asked::LineShare(percent)) => Some(format!("{percent}%")),
            _ => None,
        },
        tag_key,
        seed,
        stamp: args.reflector_seq,
        warmup_ns: args.warmup.map_or(0, nanoseconds),
        ask_peer: !args.no_peer_report,
        wait_peer_ns: args.wait_peer.map(nanoseconds),
    })
}

/// The value for port `port` of an option that is given for each port, or once for all of them.
fn of_port<T: Copy>(given: &[T], port: usize) -> Option<T> {
    given.get(port).or(given.last()).copied()
}

/// The addresses of the packets of each port, or of all ports.
fn ends(args: &SendrecvArgs, ports: usize, sockets: bool) -> Result<Vec<Ends>, String> {
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
        let next_hop = if sockets {
            // The kernel finds it.
            NextHop { asked: None, is_gateway: false, mac: None }
        } else {
            next_hop(src, dst_ip, mac, gateway)?
        };
        Ok(Ends { addresses, dst_port, next_hop })
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
    sizes: &Sizes,
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
    let asked = args.rate.and_then(|asked| asked.in_packets(layout, sizes));
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

fn config(
    program: Program,
    mode: &ModeInfo,
    options: &ArgMatches,
    repeated: Repeated,
) -> Result<Config, String> {
    let sockets = program == Program::Sockets;
    let common = Common::from_arg_matches(options).map_err(|error| one_line(&error))?;
    let interval_ns = u64::from(common.stats_interval_ms) * 1_000_000;
    let is_sendrecv = mode.meaning == Meaning::Measures;
    let trials = is_sendrecv && options.get_flag("trials");
    let files = [&common.stats, &common.per_queue, &common.hlog, &common.json];
    if trials && files.into_iter().any(Option::is_some) {
        return Err(
            "--trials: each trial is answered on stdout; leave -s, --per-queue, --hlog and --json out"
                .into(),
        );
    }
    if common.hlog.is_some() && !is_sendrecv {
        return Err(format!(
            "--hlog: {} measures no latencies; give it to a mode that does, or leave it out",
            mode.name
        ));
    }
    if trials && common.live {
        return Err(
            "--trials --live: requests come from stdin, and keys do, too; leave one out".into()
        );
    }
    let sendrecv = if is_sendrecv {
        Some(sendrecv(options, common.stats_interval_ms, repeated.port.len(), sockets)?)
    } else {
        None
    };
    let (udp_ports, allowed, ips, idle_exit, impairments) = if mode.meaning == Meaning::Returns {
        let args = ReflectArgs::from_arg_matches(options).map_err(|error| one_line(&error))?;
        let seed = args.impair_seed.unwrap_or(0);
        let impairments = args.impair.map(|impairments| Impairments { seed, ..impairments });
        let allowed = Allowed::new(&args.allow);
        let udp_ports = args.udp_port.unwrap_or(PortRange::ALL);
        (udp_ports, allowed, args.ip, args.idle_exit, impairments)
    } else {
        (PortRange::ALL, Allowed::default(), Vec::new(), None, None)
    };
    let config = Config {
        mode: mode.name.clone(),
        program,
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
        mtu: common.mtu,
        offload: if common.software_checksums { Offload::Off } else { common.offload },
        stats_path: common.stats,
        queues_path: common.per_queue,
        hlog_path: common.hlog,
        metrics: common.metrics,
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
        view: common.live,
        limits: Limits { loss: common.max_loss, latencies: repeated.max_latency },
        sendrecv,
        udp_ports,
        allowed,
        ips,
        idle_exit_ns: idle_exit.map(nanoseconds),
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
