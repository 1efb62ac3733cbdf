//! What a mode that measures sends, and where to.

use crate::wire::flow::{Addresses, Flow, Mac, PortRange, Vlans};
use crate::wire::layout::Layout;
use crate::wire::sizes::Sizes;
use crate::work::pacer::Pacing;
use std::net::{IpAddr, SocketAddr};

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
    /// The rate as a share of the line rate, as given (`80%`). Until
    /// [`Config::resolve_line_rate`](super::Config::resolve_line_rate), the rate in `pacing` is this
    /// share of 1 Mbit/s.
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
    /// How long to wait for an answer of the reflector before anything is sent, in ns; `None`: do
    /// not wait.
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
