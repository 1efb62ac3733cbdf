//! What the command line asks of sockets and threads.

use dpdkproj_core::run::mode::OptionValue;
use dpdkproj_sockets::{Io, check_uring};
use std::net::SocketAddr;
use std::time::Duration;

/// Options that `dpdkproj` does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) jobs: u16,
    pub(crate) io: Io,
    /// Threads take them in turn; empty: any.
    pub(crate) cpus: Vec<u32>,
    /// In bytes; 0: the system's default.
    pub(crate) receive_buffer: u32,
    pub(crate) send_buffer: u32,
    /// Zero: none.
    pub(crate) busy_poll: Duration,
    /// Of a reflector.
    pub(crate) bind: Option<SocketAddr>,
}

impl Settings {
    /// # Errors
    /// One line that names the option and what it can be.
    pub(crate) fn of(values: &[(String, OptionValue)]) -> Result<Self, String> {
        let value = |name: &str| values.iter().find(|(found, _)| found == name).map(|(_, v)| v);
        let number = |name| match value(name) {
            Some(OptionValue::Number(number)) => u32::try_from(*number).unwrap_or(u32::MAX),
            _ => 0,
        };
        let text = |name| match value(name) {
            Some(OptionValue::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let io = match text("io").unwrap_or_default() {
            "plain" => Io::Plain,
            "mmsg" => Io::Mmsg,
            "gso" => Io::Gso,
            "io_uring" => Io::Uring { zero_copy: false },
            "io_uring_zc" => Io::Uring { zero_copy: true },
            other => {
                return Err(format!(
                    "--io {other}: it is one of plain, mmsg, gso, io_uring, io_uring_zc"
                ));
            }
        };
        if let (Io::Uring { .. }, Err(why)) = (io, check_uring()) {
            return Err(format!("--io io_uring: {why}; choose plain, mmsg or gso"));
        }
        let bind = text("bind").map(|asked| {
            let possible = |address: &SocketAddr| !address.ip().is_unspecified() && address.port() > 0;
            asked.parse().ok().filter(possible).ok_or_else(|| {
                format!(
                    "--bind {asked}: expected one of our addresses and a port, such as 10.0.0.5:7 or [2001:db8::5]:7: \
                     senders take answers from another address for foreign"
                )
            })
        });
        let busy_poll = match value("busy-poll") {
            Some(OptionValue::DurationNs(ns)) => Duration::from_nanos(*ns),
            _ => Duration::ZERO,
        };
        Ok(Self {
            jobs: u16::try_from(number("jobs")).unwrap_or(u16::MAX).max(1),
            io,
            cpus: cpus(text("cpus").unwrap_or_default())?,
            receive_buffer: number("rcvbuf"),
            send_buffer: number("sndbuf"),
            busy_poll,
            bind: bind.transpose()?,
        })
    }

    /// The CPU of thread number `thread`.
    pub(crate) fn cpu_of(&self, thread: usize) -> Option<u32> {
        self.cpus.get(thread.checked_rem(self.cpus.len())?).copied()
    }
}

/// Parses a list such as `0,2-5`.
pub(crate) fn cpus(text: &str) -> Result<Vec<u32>, String> {
    let ranges = text.split(',').filter(|_| !text.is_empty()).map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?;
        (!range.is_empty() && *range.end() < 4096).then_some(range)
    });
    let ranges: Option<Vec<_>> = ranges.collect();
    let ranges = ranges.ok_or_else(|| {
        format!("--cpus {text}: expected numbers and ranges of CPUs such as 0,2-5")
    })?;
    Ok(ranges.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modes;
    use dpdkproj_core::cli::{Parsed, Program, parse_for};
    use dpdkproj_core::run::config::Config;

    fn config(line: &str) -> Result<Config, String> {
        let args: Vec<_> = line.split_whitespace().map(String::from).collect();
        match parse_for(Program::Sockets, &args, &modes::all())? {
            Parsed::Run(config) => Ok(*config),
            Parsed::Print(text) | Parsed::Answer { text, .. } => Err(text),
        }
    }

    fn settings(line: &str) -> Result<Settings, String> {
        Settings::of(&config(line)?.mode_options)
    }

    #[test]
    fn options_of_sockets_are_read() {
        let found = settings(
            "reflect --bind [::1]:7 -j 4 --io plain --cpus 0,2-3 --rcvbuf 4194304 --sndbuf 65536 --busy-poll 50us",
        );
        let expected = Settings {
            jobs: 4,
            io: Io::Plain,
            cpus: vec![0, 2, 3],
            receive_buffer: 4_194_304,
            send_buffer: 65_536,
            busy_poll: Duration::from_micros(50),
            bind: Some("[::1]:7".parse().unwrap()),
        };
        assert_eq!(found, Ok(expected));
        assert_eq!(
            (0..4)
                .map(|thread| settings("reflect --bind [::1]:7 --cpus 1,3").unwrap().cpu_of(thread))
                .collect::<Vec<_>>(),
            [1, 3, 1, 3].map(Some)
        );
        assert_eq!(settings("reflect --bind [::1]:7").unwrap().cpu_of(5), None);
    }

    #[test]
    fn what_cannot_be_is_refused_in_one_line_that_names_the_option() {
        let send = "sendrecv --src 10.0.0.1 --dest 10.0.0.2:7";
        for (line, expected) in [
            ("reflect", "--bind <IP:PORT>"),
            ("reflect --bind 0.0.0.0:7", "--bind 0.0.0.0:7: expected one of our addresses"),
            ("reflect --bind 10.0.0.1", "--bind 10.0.0.1: expected"),
            (
                "reflect --bind 10.0.0.1:7 --io fast",
                "--io fast: it is one of plain, mmsg, gso, io_uring",
            ),
            ("reflect --bind 10.0.0.1:7 --cpus 3-1", "--cpus 3-1: expected"),
            ("reflect --bind 10.0.0.1:7 --cpus 0,", "--cpus 0,: expected"),
            (
                "reflect --bind 10.0.0.1:7 --ip 10.0.0.1",
                "--ip: udpbaseline sends through the kernel's sockets",
            ),
            (&format!("{send} -p 0000:00:05.0"), "--port: udpbaseline sends"),
            (&format!("-r 2 {send}"), "--rx-queues: udpbaseline sends"),
            (&format!("{send} --dest-mac 02:00:00:00:00:01"), "--dest-mac: udpbaseline sends"),
            (&format!("{send} --rate 1k --pacing hw"), "--pacing hw: the kernel's sockets"),
        ] {
            let error = settings(line).unwrap_err();
            assert!(error.contains(expected) && !error.contains('\n'), "{line}: {error}");
        }
    }

    #[test]
    fn each_socket_has_a_source_port_of_its_own() {
        let mut found =
            config("sendrecv --src 10.0.0.1 --dest 10.0.0.2:7 --src-port-range 500-503").unwrap();
        found.set_sockets(3).unwrap();
        let sendrecv = found.sendrecv.clone().unwrap();
        assert_eq!([0, 1, 2].map(|socket| sendrecv.socket_port(socket)), [500, 501, 502]);
        assert_eq!((found.rx_queues, found.tx_queues, sendrecv.src_ports.count()), (3, 3, 3));
        let mut found =
            config("sendrecv --src 10.0.0.1 --dest 10.0.0.2:7 --src-port-range 500-503").unwrap();
        let error = found.set_sockets(5).unwrap_err();
        assert!(error.starts_with("--src-port-range: each of 5 sockets"), "{error}");
    }

    #[test]
    fn the_help_shows_no_option_that_is_refused() {
        for mode in ["sendrecv", "reflect"] {
            let help = config(&format!("{mode} --help")).unwrap_err();
            assert!(help.contains("--jobs <N>") && help.contains("-j"), "{help}");
            for hidden in ["--port", "--dest-mac", "--vlan", "--impair", "EAL", "--rx-queues"] {
                let lines =
                    help.lines().filter(|line| line.contains(hidden) && !line.contains("src-port"));
                assert_eq!(lines.collect::<Vec<_>>(), Vec::<&str>::new());
            }
        }
    }
}
