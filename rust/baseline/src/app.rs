//! All runs of a command line.

use crate::settings::Settings;
use crate::{modes, run, sockets, stop};
use dpdkproj_core::cli::{Parsed, Program, parse_in};
use dpdkproj_core::report::{ClockSync, End, Finished, Next, PortEnd, Session};
use dpdkproj_core::run::config::{Config, PortLimits};
use dpdkproj_core::wire::flow::Mac;
use dpdkproj_sockets::{ClockState, Io, path_mtu};
use std::io::Write as _;
use std::net::UdpSocket;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::UNIX_EPOCH;

/// Exit codes: those of `dpdkproj`.
const FAILURE: u8 = 1;
const USAGE: u8 = 2;
const LIMIT_BROKEN: u8 = 3;
const NO_PEER: u8 = 4;

/// Runs the command line. Returns the exit code.
pub(crate) fn main(args: &[String]) -> ExitCode {
    let (name, args) = args.split_at(args.len().min(1));
    let variable = |name: &str| std::env::var(name).ok();
    match parse_in(Program::Sockets, &[], args, &modes::all(), &variable) {
        Err(error) => fail(USAGE, &error),
        Ok(Parsed::Print(text)) => print(&text, 0),
        Ok(Parsed::Answer { text, code }) => print(&text, code),
        Ok(Parsed::Run(config)) => {
            let command = [name, &config.args].concat();
            run_all(*config, command)
        }
    }
}

/// Prints on stdout. Returns the exit code.
fn print(text: &str, code: u8) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code.into(),
        Err(error) => fail(FAILURE, &format!("stdout: cannot be written: {error}")),
    }
}

fn fail(code: u8, error: &str) -> ExitCode {
    eprintln!("udpbaseline: {error}");
    code.into()
}

fn run_all(mut config: Config, command: Vec<String>) -> ExitCode {
    let opened = Settings::of(&config.mode_options).and_then(|settings| {
        check_cpus(&settings)?;
        config.set_sockets(settings.jobs)?;
        let sockets = sockets::open(&config, &settings)?;
        let mut session = Session::open(config.clone(), command)?;
        session.check_port(limits(&config, &sockets))?;
        session.link_is_up(None, &[])?;
        Ok((session, settings, sockets))
    });
    let (mut session, settings, sockets) = match opened {
        Ok(opened) => opened,
        Err(error) => return fail(USAGE, &error),
    };
    let stop = match stop::on_signals() {
        Ok(stop) => stop,
        Err(error) => return fail(FAILURE, &format!("signals: {error}")),
    };
    match run_each(&mut session, &config, &settings, &sockets, &stop) {
        Ok(code) => code.into(),
        Err(error) => fail(FAILURE, &error),
    }
}

fn check_cpus(settings: &Settings) -> Result<(), String> {
    let allowed = run::allowed_cpus();
    match settings.cpus.iter().find(|cpu| !allowed.contains(cpu)) {
        Some(cpu) if !allowed.is_empty() => {
            Err(format!("--cpus {cpu}: this process may use {allowed:?}; choose among these"))
        }
        _ => Ok(()),
    }
}

/// What the kernel can send without fragments.
fn limits(config: &Config, sockets: &[UdpSocket]) -> PortLimits {
    let mtus = sockets.iter().filter_map(|socket| path_mtu(socket).ok());
    let mtu = mtus.min().unwrap_or(u16::MAX);
    PortLimits {
        max_rx_queues: config.rx_queues,
        max_tx_queues: config.tx_queues,
        mtu,
        mtus: (mtu, mtu),
    }
}

fn run_each(
    session: &mut Session,
    config: &Config,
    settings: &Settings,
    sockets: &[UdpSocket],
    stop: &AtomicBool,
) -> Result<u8, String> {
    let mut code = 0;
    let name = sockets.first().and_then(|socket| socket.local_addr().ok());
    let name = name.map(|address| address.to_string()).unwrap_or_default();
    let driver_name = match settings.io {
        Io::Plain => "udp/plain",
        Io::Mmsg => "udp/mmsg",
        Io::Gso => "udp/gso",
        Io::Uring { zero_copy: false } => "udp/io_uring",
        Io::Uring { zero_copy: true } => "udp/io_uring_zc",
    };
    if config.trials {
        eprintln!("udpbaseline: {} takes requests on stdin", config.mode);
    }
    loop {
        let stops = stop.load(Ordering::Relaxed);
        // There is no MAC address to know.
        let is_measurement = match session.next(&[Mac([0; 6])], stops)? {
            Next::Nothing => return Ok(code),
            Next::Waiting => continue,
            Next::NoPeer => return Ok(NO_PEER),
            Next::Preliminary { .. } => false,
            Next::Measurement { .. } => true,
        };
        if is_measurement && !config.trials {
            eprintln!("udpbaseline: {} runs on {name}", config.mode);
        }
        let done = run::run(session, settings, sockets, stop)?;
        if let Some(refused) = done.refused {
            eprintln!("udpbaseline: {refused}");
        }
        if !is_measurement {
            continue;
        }
        let port = PortEnd {
            name: name.clone(),
            driver_name: driver_name.into(),
            driver: done.driver,
            counters: done.counters,
            ..PortEnd::default()
        };
        let since_1970 = done.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        let end = End {
            now_ns: done.now_ns,
            ports: vec![port],
            dpdk_version: String::new(),
            started_unix_ns: since_1970.as_nanos().try_into().unwrap_or(0),
            clock_sync: ClockState::read().ok().map(|state| ClockSync {
                synchronised: state.is_synchronised,
                max_error_us: state.max_error_us,
                estimated_error_us: state.estimated_error_us,
            }),
        };
        code = code.max(report(&session.finish(end)));
    }
}

/// Prints the result of a measurement. Returns the exit code.
fn report(finished: &Finished) -> u8 {
    let Finished { summary, problem, limits_broken } = finished;
    if let Some(problem) = problem {
        eprintln!("udpbaseline: {problem}");
    }
    if !summary.is_empty() {
        eprintln!("{summary}");
    }
    match (problem, limits_broken) {
        (Some(_), _) => FAILURE,
        (None, true) => LIMIT_BROKEN,
        (None, false) => 0,
    }
}
