//! The configuration of a run, checked as far as possible without a port.

mod capacity;
mod checks;
mod derived;
mod pacing;
mod sendrecv;

pub use checks::PortLimits;
pub use derived::Trial;
pub use sendrecv::{Ends, NextHop, Sendrecv};

use super::Ports;
use super::mode::{Meaning, OptionValue};
use crate::control::allowed::Allowed;
use crate::count::{ModeCounter, Role};
use crate::run::Limits;
use crate::wire::flow::PortRange;
use crate::work::impair::Impairments;
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
    /// The other arguments, including what came from the environment and from a file: a command
    /// line that needs neither.
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
    /// MTU to set; `None`: ports keep theirs.
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
    /// Maximum number of packets in that file; the first ones are kept.
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
    /// Measurements are requested on stdin, one after the other (`--trials`). This configuration is
    /// then what all of them share, and the default for what a request leaves out.
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

/// Packets are received in bursts whose size is a multiple of this, because some drivers support no
/// others (`kRxBurstStep` in `cpp/dpdk/port.cpp`).
const RX_BURST_STEP: u16 = 8;

impl Config {
    /// Packets in a full rx burst.
    #[must_use]
    pub fn full_rx_burst(&self) -> u16 {
        self.rx_burst.next_multiple_of(RX_BURST_STEP)
    }

    /// Whether packets go through kernel sockets, which add and remove headers.
    #[must_use]
    pub fn has_sockets(&self) -> bool {
        self.program == Program::Sockets
    }

    /// Its ports and queues.
    #[must_use]
    pub fn ports(&self) -> Ports {
        let count = u16::try_from(self.ports.len()).unwrap_or(u16::MAX).max(1);
        Ports { count, rx_queues: self.rx_queues, tx_queues: self.tx_queues }
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

    /// The key of the tags; 0 in a mode that sends nothing.
    #[must_use]
    pub fn tag_key(&self) -> u64 {
        self.sendrecv.as_ref().map_or(0, |sendrecv| sendrecv.tag_key)
    }
}
