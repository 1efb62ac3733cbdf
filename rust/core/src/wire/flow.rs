//! The addresses of a run, and the source port of each packet.

use super::checksum;
use super::layout::{IpVersion, Layout, Tags};
use super::payload::PacketId;
pub use etherparse::VlanId;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// All stations.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it is a multicast or broadcast address.
    #[must_use]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether it can be that of a port.
    #[must_use]
    pub fn is_of_a_port(self) -> bool {
        !self.is_group() && self.0 != [0; 6]
    }
}

impl std::str::FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected six hexadecimal bytes such as 00:0d:3a:4b:5c:6d".to_string();
        let mut bytes = [0; 6];
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() <= 2).ok_or_else(expected)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| expected())?;
        }
        if parts.next().is_some() { Err(expected()) } else { Ok(Self(bytes)) }
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.0.map(|byte| format!("{byte:02x}"));
        f.write_str(&bytes.join(":"))
    }
}

/// UDP ports `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Any port, 0 included.
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    /// The ports from `first` to `last`, both included; `None` if `first` is 0 or greater than `last`.
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first <= last && first > 0).then_some(Self { first, last })
    }

    /// Whether `port` is in the range.
    #[must_use]
    #[inline]
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// The first port.
    #[must_use]
    pub fn first(self) -> u16 {
        self.first
    }

    /// Number of ports, at least 1.
    #[must_use]
    pub fn count(self) -> u32 {
        u32::from(self.last - self.first) + 1
    }
}

/// Whether `ip` can be the address of one host: neither multicast nor broadcast, loopback or unspecified
/// (RFC 1812, section 5.3.7; RFC 4291, section 2).
#[must_use]
pub fn is_of_one_host(ip: IpAddr) -> bool {
    let is_of_none = match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 0 || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    !is_of_none && !ip.is_multicast() && !ip.is_loopback()
}

/// The IP addresses of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// IPv4 addresses.
    V4 {
        /// Source.
        src: Ipv4Addr,
        /// Destination.
        dst: Ipv4Addr,
    },
    /// IPv6 addresses.
    V6 {
        /// Source.
        src: Ipv6Addr,
        /// Destination.
        dst: Ipv6Addr,
    },
}

impl Addresses {
    /// The addresses of packets from `src` to `dst`; `None` if their IP versions differ.
    #[must_use]
    pub fn new(src: IpAddr, dst: IpAddr) -> Option<Self> {
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Some(Self::V4 { src, dst }),
            (IpAddr::V6(src), IpAddr::V6(dst)) => Some(Self::V6 { src, dst }),
            _ => None,
        }
    }

    /// The source address.
    #[must_use]
    pub fn src(self) -> IpAddr {
        match self {
            Self::V4 { src, .. } => src.into(),
            Self::V6 { src, .. } => src.into(),
        }
    }

    /// The destination address.
    #[must_use]
    pub fn dst(self) -> IpAddr {
        match self {
            Self::V4 { dst, .. } => dst.into(),
            Self::V6 { dst, .. } => dst.into(),
        }
    }

    /// The addresses of the reflected packet.
    #[must_use]
    pub fn swapped(self) -> Self {
        match self {
            Self::V4 { src, dst } => Self::V4 { src: dst, dst: src },
            Self::V6 { src, dst } => Self::V6 { src: dst, dst: src },
        }
    }

    /// The IP version.
    #[must_use]
    pub fn version(self) -> IpVersion {
        match self {
            Self::V4 { .. } => IpVersion::V4,
            Self::V6 { .. } => IpVersion::V6,
        }
    }

    /// Both addresses as big-endian words, in packet order. IPv4 uses only the first word.
    #[must_use]
    pub(crate) fn words(self) -> [u64; 4] {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let halves =
            |address: Ipv6Addr| [(address.to_bits() >> 64) as u64, address.to_bits() as u64];
        match self {
            Self::V4 { src, dst } => {
                [u64::from(src.to_bits()) << 32 | u64::from(dst.to_bits()), 0, 0, 0]
            }
            Self::V6 { src, dst } => {
                let ([first, second], [third, fourth]) = (halves(src), halves(dst));
                [first, second, third, fourth]
            }
        }
    }

    /// The unfolded one's complement sum of both addresses.
    #[must_use]
    pub fn sum(self) -> u64 {
        self.words().into_iter().map(checksum::words).sum()
    }
}

/// The VLAN tags of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vlans {
    /// None.
    #[default]
    None,
    /// One (IEEE 802.1Q).
    One(VlanId),
    /// Two (IEEE 802.1ad).
    Two {
        /// The provider's tag, which comes first.
        outer: VlanId,
        /// The customer's tag.
        inner: VlanId,
    },
}

impl Vlans {
    /// The number of tags.
    #[must_use]
    pub fn tags(self) -> Tags {
        match self {
            Self::None => Tags::None,
            Self::One(_) => Tags::One,
            Self::Two { .. } => Tags::Two,
        }
    }

    /// The VLAN IDs, the outer one first; 0 for a missing tag.
    #[must_use]
    pub(crate) fn ids(self) -> [u16; 2] {
        match self {
            Self::None => [0, 0],
            Self::One(id) => [id.value(), 0],
            Self::Two { outer, inner } => [outer.value(), inner.value()],
        }
    }
}

/// Everything that identifies the packets that we send.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// The MAC address of our port.
    pub src_mac: Mac,
    /// The MAC address of the next hop: the peer's port or the gateway.
    pub dst_mac: Mac,
    /// VLAN tags.
    pub vlans: Vlans,
    /// Our address and the peer's.
    pub addresses: Addresses,
    /// Our UDP ports, swept from packet to packet.
    pub src_ports: PortRange,
    /// The peer's UDP port.
    pub dst_port: u16,
    /// UDP payload in bytes, at least [`super::payload::HEADER_LEN`].
    pub payload_len: u16,
    /// Number of tx queues that share the source ports.
    pub streams: u16,
    /// DSCP in the upper 6 bits (RFC 2474), and the ECN field in the lower 2 (RFC 3168): the TOS of IPv4,
    /// or the traffic class of IPv6.
    pub traffic_class: u8,
    /// Whether packets have room for a reflector's stamp ([`super::stamp`]).
    pub stamp: bool,
}

/// The source ports of one stream, used in turn.
///
/// Ports are distributed round-robin over the streams. So a flow is always sent by one queue and arrives
/// in the order of its sequence numbers, unless the path reorders it. With fewer ports than streams,
/// some streams share a port.
#[derive(Clone, Copy, Debug)]
pub struct PortSweep {
    first: u16,
    step: u32,
    count: u32,
    /// `2^64 / count`, rounded up, modulo 2^64: see [`PortSweep::turn`].
    reciprocal: u64,
}

/// One flow of a run: a tx queue and a source port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowId {
    /// The tx queue.
    pub stream: u16,
    /// The index of the flow within its stream.
    pub turn: u32,
}

impl PortSweep {
    /// The ports of `stream` out of `ports`, which `streams` streams share.
    #[must_use]
    pub fn new(ports: PortRange, stream: u16, streams: u16) -> Self {
        let (total, streams) = (ports.count(), u32::from(streams));
        let skip = u32::from(stream) % total;
        #[expect(clippy::cast_possible_truncation, reason = "below the last port")]
        let first = ports.first + skip as u16;
        let count = (total - skip).div_ceil(streams);
        let reciprocal = (u64::MAX / u64::from(count)).wrapping_add(1);
        Self { first, step: streams, count, reciprocal }
    }

    /// Number of flows, at least 1.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The index of the flow to which the packet with sequence number `seq` belongs.
    #[must_use]
    #[inline]
    pub fn turn(&self, seq: u64) -> u32 {
        // The sweep restarts every 2^32 packets; sender and receiver agree on that.
        #[expect(clippy::cast_possible_truncation, reason = "a wrapping counter, see above")]
        let seq = seq as u32;
        // `seq % count`, exact for all 32-bit numbers, by two multiplications instead of a division
        // (Lemire, Kaser, Kurz: Faster remainder by direct computation, 2019).
        let fraction = self.reciprocal.wrapping_mul(u64::from(seq));
        #[expect(clippy::cast_possible_truncation, reason = "less than count")]
        let turn = ((u128::from(fraction) * u128::from(self.count)) >> 64) as u32;
        turn
    }

    /// The source port of the flow with index `turn`.
    #[must_use]
    #[inline]
    pub fn port_of(&self, turn: u32) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "first + step * count is in range")]
        let port = (u32::from(self.first) + turn * self.step) as u16;
        port
    }

    /// The source ports of the packet with sequence number `seq` and of some packets after it. A run never
    /// crosses a multiple of 2^32, where the sweep restarts; [`super::template`] relies on that, too.
    #[must_use]
    pub(crate) fn run_from(&self, seq: u64) -> PortRun {
        let turn = self.turn(seq);
        #[expect(clippy::cast_possible_truncation, reason = "as in turn()")]
        let before_jump = u64::from(u32::MAX - seq as u32) + 1;
        #[expect(clippy::cast_possible_truncation, reason = "from one port to the next")]
        let (step, len) = match self.count {
            1 => (0, before_jump),
            count => (self.step as u16, before_jump.min(u64::from(count - turn))),
        };
        PortRun { first: self.port_of(turn), step, len: usize::try_from(len).unwrap_or(usize::MAX) }
    }
}

/// Source ports of consecutive packets: an arithmetic sequence.
pub(crate) struct PortRun {
    pub(crate) first: u16,
    pub(crate) step: u16,
    /// Number of packets.
    pub(crate) len: usize,
}

impl Flow {
    /// The header layout of its packets.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout { tags: self.vlans.tags(), ip: self.addresses.version() }
    }

    /// The port sweeps, by stream.
    #[must_use]
    pub fn sweeps(&self) -> Box<[PortSweep]> {
        (0..self.streams)
            .map(|stream| PortSweep::new(self.src_ports, stream, self.streams))
            .collect()
    }

    /// The flow and the source port of packet `id`; `None` if there is no such stream.
    #[must_use]
    #[inline]
    pub fn flow_of(sweeps: &[PortSweep], id: PacketId) -> Option<(FlowId, u16)> {
        let sweep = sweeps.get(usize::from(id.stream))?;
        let turn = sweep.turn(id.seq);
        Some((FlowId { stream: id.stream, turn }, sweep.port_of(turn)))
    }
}

#[cfg(test)]
mod tests;
