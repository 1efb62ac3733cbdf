//! The command line after EAL's `--`.

mod commands;
mod completions;
mod config_file;
mod manual;
mod mode_options;
mod next_hop;
mod options;
mod program;
mod saved;
mod sendrecv;
mod sources;
mod values;

use crate::control::allowed::Allowed;
use crate::run::Limits;
pub use crate::run::config::Program;
use crate::run::config::{Config, Offload};
use crate::run::mode::{Meaning, ModeInfo};
use crate::wire::flow::PortRange;
use crate::work::impair::Impairments;
use clap::error::{ContextKind, ErrorKind};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use options::{Common, PCAP_PACKETS, QUEUES, ReflectArgs, Repeated, SendrecvArgs};
use sendrecv::sendrecv;
pub use sources::Environment;
use sources::Merged;
use std::time::Duration;

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

fn command(program: Program, modes: &[ModeInfo]) -> Command {
    let about = "How many UDP packets per second a path carries, how many were lost, and how long \
                 each one took";
    let after_help = match program {
        Program::Ports => {
            "Options may come before or after the mode; `-- <MODE> --help` shows the options of a mode.\n\
             `-- report FILE` prints a saved run again, and `-- merge FILE...` adds up several.\n\
             `-- man` and `-- completions bash|zsh|fish` print the manual page and scripts for completion.\n\
             EAL's own options (lcores, devices, memory) come before the `--`; \
             `dpdkproj --help` lists them.\n\
             Exit codes: 0 success, also after a signal; 1 the run failed, or its ledger does not balance; 2 the \
             request is impossible; 3 a limit was exceeded (--max-loss, --max-latency); 4 the peer did not answer \
             (--wait-peer); 130 ended by a second signal."
        }
        Program::Sockets => {
            "Options may come before or after the mode; `<MODE> --help` shows the options of a mode.\n\
             `report FILE` prints a saved run again, and `merge FILE...` adds up several.\n\
             `man` and `completions bash|zsh|fish` print the manual page and scripts for completion.\n\
             The same as dpdkproj over kernel sockets, for comparison; each may be the other one's peer."
        }
    };
    let root = Command::new(program.name())
        .version(env!("CARGO_PKG_VERSION"))
        .override_usage(program.usage("<MODE>"))
        .after_help(after_help)
        .subcommand_required(true)
        .subcommand_value_name("MODE")
        .subcommand_help_heading("Modes")
        .disable_help_subcommand(true);
    // After these, which put the comments of their structures there.
    let root = program.hide(Repeated::augment_args(Common::augment_args(root))).about(about);
    modes.iter().fold(root, |root, mode| {
        let command = program.hide(mode_command(mode)).override_usage(program.usage(&mode.name));
        root.subcommand(mode_options::extend(command, mode))
    })
}

/// The command of one mode, without the mode's own options.
fn mode_command(mode: &ModeInfo) -> Command {
    let command = Repeated::augment_args(Command::new(mode.name.clone()));
    let command = match mode.meaning {
        Meaning::Measures => SendrecvArgs::augment_args(command),
        Meaning::Returns => ReflectArgs::augment_args(command),
        Meaning::Forwards | Meaning::Counts => command,
    };
    command.about(mode.about.clone())
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
    parse_in(program, &[], args, modes, &|_| None)
}

/// The same with EAL's arguments, those before the `--`, and with an environment. Options that the
/// command line does not have come from variables of it, else from the file of `--config`.
///
/// # Errors
/// As [`parse`], or one line that names the variable, or file, line and key.
pub fn parse_in(
    program: Program,
    eal: &[String],
    args: &[String],
    modes: &[ModeInfo],
    environment: Environment,
) -> Result<Parsed, String> {
    mode_options::check(modes, &Common::augment_args(Command::new("")), mode_command)?;
    if let Some(answer) = commands::answer(program, modes, args) {
        return answer;
    }
    let Merged { eal, args, printed } = sources::merge(program, eal, args, modes, environment)?;
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
    let config = config(program, mode, options, repeated)?;
    match printed {
        Some(text) => Ok(Parsed::Print(text)),
        None => Ok(Parsed::Run(Box::new(Config { eal, args, ..config }))),
    }
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
    let files = [&common.stats, &common.per_queue, &common.hlog, &common.json, &common.pcap];
    if trials && files.into_iter().any(Option::is_some) {
        return Err(
            "--trials: each trial is answered on stdout; leave -s, --per-queue, --hlog, --json and --pcap out"
                .into(),
        );
    }
    if common.hlog.is_some() && !is_sendrecv {
        return Err(format!(
            "--hlog: {} measures no latencies; give it to a mode that does, or leave it out",
            mode.name
        ));
    }
    check_capture(mode, &common)?;
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
        eal: Vec::new(),
        args: Vec::new(),
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
        pcap_path: common.pcap,
        pcap_packets: common.pcap_packets.unwrap_or(PCAP_PACKETS),
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
    config.check_pcap()?;
    Ok(config)
}

/// Whether the mode has packets for a capture file, if there is to be one.
fn check_capture(mode: &ModeInfo, common: &Common) -> Result<(), String> {
    if common.pcap_packets.is_some() && common.pcap.is_none() {
        return Err(
            "--pcap-packets: without a file there is nothing to keep; give --pcap FILE".into()
        );
    }
    if common.pcap.is_some() && matches!(mode.meaning, Meaning::Forwards | Meaning::Counts) {
        return Err(format!(
            "--pcap: {} verifies no packets, so none is corrupt, foreign or late; give it to a mode that measures or \
             returns packets, or leave it out",
            mode.name
        ));
    }
    Ok(())
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
