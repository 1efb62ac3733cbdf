//! What differs between the command lines of the two programs: the name, and the options that
//! udpbaseline lacks.

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
        matches.ids().map(clap::Id::as_str).filter(is_given).try_for_each(|id| {
            self.check_has(id).map_err(|why| format!("--{}: {why}", id.replace('_', "-")))
        })
    }

    /// # Errors
    /// The reason, for the id of an option that the program does not have.
    pub(super) fn check_has(self, id: &str) -> Result<(), String> {
        if self == Self::Sockets && NOT_OVER_SOCKETS.contains(&id) {
            return Err(
                "udpbaseline sends through the kernel's sockets, which have no such option; leave it out"
                    .into(),
            );
        }
        Ok(())
    }
}
