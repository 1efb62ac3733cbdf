//! What the two programs have in common on their command lines, and what udpbaseline has not.

use crate::run::config::Program;
use clap::{ArgMatches, Command};

/// Options of ports, headers and neighbours: over sockets, the kernel sees to these.
const NOT_OVER_SOCKETS: [&str; 20] = [
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
    "pcap",
    "pcap_packets",
];

impl Program {
    /// The usage line, for `mode`.
    pub(super) fn usage(self, mode: &str) -> String {
        match self {
            Self::Ports => format!("dpdkproj [EAL OPTIONS] -- {mode} [OPTIONS]"),
            Self::Sockets => format!("udpbaseline {mode} [OPTIONS]"),
        }
    }

    /// `command` without the options that the program does not have. They stay known, so that a command
    /// line of the other program is refused with the reason.
    pub(super) fn hide(self, command: Command) -> Command {
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
    pub(super) fn check(self, matches: &ArgMatches) -> Result<(), String> {
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
