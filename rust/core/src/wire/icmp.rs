//! ICMP (RFC 792) and `ICMPv6` (RFC 4443): one message in one IP packet.

use super::checksum;
use super::flow::Addresses;
use super::headers::{FRAGMENT_BITS, be16, be32, be64};
use super::layout::{IpVersion, Layout, Tags};
use etherparse::{IpDscp, IpEcn, IpNumber, Ipv4Header, Ipv6Header};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Type of an echo request, by IP version.
const ECHO_REQUEST: [u8; 2] = [8, 128];
/// Type of an echo reply.
const ECHO_REPLY: [u8; 2] = [0, 129];
/// Length in bytes of type, code, checksum, and the four bytes behind them.
const LEAST: usize = 8;

/// A message and what its IP header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp<'a> {
    /// Source and destination.
    pub addresses: Addresses,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// From the type on, at least 8 bytes. [`Icmp::to_packet`] ignores the checksum field.
    pub message: &'a [u8],
}

impl<'a> Icmp<'a> {
    /// Parses an IP packet that may have padding behind it. `None` unless it is a whole, intact message:
    /// no fragment, both checksums right, no IPv6 extension headers.
    #[must_use]
    pub fn parse(version: IpVersion, packet: &'a [u8]) -> Option<Self> {
        let layout = Layout { tags: Tags::None, ip: version };
        let least = packet.get(..layout.l3_len())?;
        let at = layout.addresses() - layout.l2_len();
        let (icmp, whole) = match version {
            IpVersion::V4 => {
                let header_len = usize::from(least[0] & 0xf) * 4;
                let header = packet.get(..header_len)?;
                let whole = packet.get(header_len..usize::from(be16(least, 2)))?;
                let is_icmp = least[0] >> 4 == 4
                    && header_len >= layout.l3_len()
                    && least[9] == IpNumber::ICMP.0
                    && be16(least, 6) & FRAGMENT_BITS == 0
                    && checksum::is_intact(checksum::sum(header));
                if !is_icmp {
                    return None;
                }
                let ip = |at: usize| Ipv4Addr::from_bits(be32(least, at));
                let addresses = Addresses::V4 { src: ip(at), dst: ip(at + 4) };
                (
                    Self {
                        addresses,
                        hop_limit: least[8],
                        traffic_class: least[1],
                        message: whole,
                    },
                    0,
                )
            }
            IpVersion::V6 => {
                let whole = packet[layout.l3_len()..].get(..usize::from(be16(least, 4)))?;
                if least[0] >> 4 != 6 || least[6] != IpNumber::IPV6_ICMP.0 {
                    return None;
                }
                let ip = |at: usize| {
                    let (upper, lower) = (be64(least, at), be64(least, at + 8));
                    Ipv6Addr::from_bits(u128::from(upper) << 64 | u128::from(lower))
                };
                let addresses = Addresses::V6 { src: ip(at), dst: ip(at + 16) };
                #[expect(clippy::cast_possible_truncation, reason = "the byte between two others")]
                let traffic_class = (be16(least, 0) >> 4) as u8;
                let icmp = Self { addresses, hop_limit: least[7], traffic_class, message: whole };
                (icmp, pseudo_header(addresses, whole.len()))
            }
        };
        let is_intact =
            icmp.message.len() >= LEAST && checksum::is_intact(whole + checksum::sum(icmp.message));
        is_intact.then_some(icmp)
    }

    /// The message's type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.message[0]
    }

    /// The message's code.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.message[1]
    }

    /// Whether it is an echo request.
    #[must_use]
    pub fn is_echo_request(&self) -> bool {
        let kind = ECHO_REQUEST[self.addresses.version() as usize];
        (self.kind(), self.code()) == (kind, 0)
    }

    /// The IP packet of the reply to this echo request, with the same DSCP, identifier, sequence number
    /// and data.
    #[must_use]
    pub fn echo_reply(&self, hop_limit: u8) -> Vec<u8> {
        let mut message = self.message.to_vec();
        message[0] = ECHO_REPLY[self.addresses.version() as usize];
        let addresses = self.addresses.swapped();
        Icmp { addresses, hop_limit, traffic_class: self.traffic_class, message: &message }
            .to_packet()
    }

    /// Its IP packet, with all checksums. An IPv4 packet has no options, and may not be fragmented.
    #[must_use]
    pub fn to_packet(&self) -> Vec<u8> {
        let len = u16::try_from(self.message.len()).unwrap_or(0);
        let mut packet = match self.addresses {
            Addresses::V4 { src, dst } => {
                let mut header = Ipv4Header {
                    source: src.octets(),
                    destination: dst.octets(),
                    total_len: len + Ipv4Header::MIN_LEN_U16,
                    time_to_live: self.hop_limit,
                    dont_fragment: true,
                    protocol: IpNumber::ICMP,
                    dscp: IpDscp::try_new(self.traffic_class >> 2).unwrap_or_default(),
                    ecn: IpEcn::try_new(self.traffic_class & 3).unwrap_or_default(),
                    ..Ipv4Header::default()
                };
                header.header_checksum = header.calc_header_checksum();
                header.to_bytes().to_vec()
            }
            Addresses::V6 { src, dst } => {
                let mut header = Ipv6Header {
                    source: src.octets(),
                    destination: dst.octets(),
                    payload_length: len,
                    hop_limit: self.hop_limit,
                    next_header: IpNumber::IPV6_ICMP,
                    ..Ipv6Header::default()
                }
                .to_bytes();
                header[0] |= self.traffic_class >> 4;
                header[1] |= self.traffic_class << 4;
                header.to_vec()
            }
        };
        let at = packet.len();
        packet.extend(self.message);
        packet[at + 2..at + 4].fill(0);
        let pseudo_header = match self.addresses.version() {
            IpVersion::V4 => 0,
            IpVersion::V6 => pseudo_header(self.addresses, self.message.len()),
        };
        let checksum = checksum::finish(pseudo_header + checksum::sum(&packet[at..]));
        packet[at + 2..at + 4].copy_from_slice(&checksum.to_be_bytes());
        packet
    }
}

/// The sum over the pseudo-header of `ICMPv6` (RFC 8200, section 8.1), with a message of `len` bytes.
fn pseudo_header(addresses: Addresses, len: usize) -> u64 {
    addresses.sum() + u64::from(IpNumber::IPV6_ICMP.0) + len as u64
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use etherparse::{IcmpEchoHeader, PacketBuilder, SlicedPacket, TransportSlice};
    use proptest::prelude::*;

    pub(crate) const V4: Addresses =
        Addresses::V4 { src: Ipv4Addr::new(10, 0, 0, 1), dst: Ipv4Addr::new(10, 0, 0, 2) };
    pub(crate) const V6: Addresses = Addresses::V6 {
        src: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
        dst: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2),
    };

    const ECHO: IcmpEchoHeader = IcmpEchoHeader { id: 77, seq: 5 };

    /// An echo request, as etherparse writes it.
    pub(crate) fn request(addresses: Addresses, data: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        match addresses {
            Addresses::V4 { src, dst } => PacketBuilder::ipv4(src.octets(), dst.octets(), 9)
                .icmpv4_echo_request(ECHO.id, ECHO.seq)
                .write(&mut packet, data)
                .unwrap(),
            Addresses::V6 { src, dst } => PacketBuilder::ipv6(src.octets(), dst.octets(), 9)
                .icmpv6_echo_request(ECHO.id, ECHO.seq)
                .write(&mut packet, data)
                .unwrap(),
        }
        packet
    }

    #[test]
    fn etherparse_finds_the_reply_right() {
        for data in [&[][..], &[7], &[1; 56], &[3; 1472]] {
            for addresses in [V4, V6] {
                let request = request(addresses, data);
                let padded = [&request[..], &[0; 9]].concat();
                let icmp = Icmp::parse(addresses.version(), &padded).unwrap();
                assert!(icmp.is_echo_request());
                assert_eq!((icmp.addresses, icmp.hop_limit), (addresses, 9));
                let reply = icmp.echo_reply(64);
                assert_eq!(reply.len(), request.len());
                let read = SlicedPacket::from_ip(&reply).unwrap();
                match read.transport {
                    Some(TransportSlice::Icmpv4(slice)) => {
                        let kind = slice.header().icmp_type;
                        assert_eq!(kind, etherparse::Icmpv4Type::EchoReply(ECHO));
                        assert_eq!(slice.payload(), data);
                        let sum = slice.icmp_type().calc_checksum(slice.payload());
                        assert_eq!(slice.checksum(), sum);
                        let Some(etherparse::NetSlice::Ipv4(ip)) = read.net else { panic!() };
                        let header = ip.header().to_header();
                        assert_eq!(header.header_checksum, header.calc_header_checksum());
                        assert_eq!(
                            (header.source, header.destination),
                            ([10, 0, 0, 2], [10, 0, 0, 1])
                        );
                    }
                    Some(TransportSlice::Icmpv6(slice)) => {
                        let Addresses::V6 { src, dst } = addresses.swapped() else { panic!() };
                        assert!(slice.is_checksum_valid(src.octets(), dst.octets()));
                        let kind = slice.header().icmp_type;
                        assert_eq!(kind, etherparse::Icmpv6Type::EchoReply(ECHO));
                        assert_eq!(slice.payload(), data);
                    }
                    other => panic!("{other:?}"),
                }
                // A reply is not answered.
                assert!(!Icmp::parse(addresses.version(), &reply).unwrap().is_echo_request());
            }
        }
    }

    #[test]
    fn the_traffic_class_comes_back() {
        for addresses in [V4, V6] {
            let icmp = Icmp { addresses, hop_limit: 1, traffic_class: 0xb9, message: &[8; 8] };
            let packet = icmp.to_packet();
            assert_eq!(Icmp::parse(addresses.version(), &packet).unwrap().traffic_class, 0xb9);
        }
    }

    proptest! {
        /// One wrong bit, or a byte less: whatever it is now, it is not this message.
        #[test]
        fn a_broken_message_is_none(bit in 0..60 * 8usize, cut in 0..60usize, v6: bool) {
            let addresses = if v6 { V6 } else { V4 };
            let whole = request(addresses, &[9; 13]);
            let mut packet = whole.clone();
            let bit = bit % (packet.len() * 8);
            packet[bit / 8] ^= 1 << (bit % 8);
            if let Some(icmp) = Icmp::parse(addresses.version(), &packet) {
                // No checksum covers traffic class, flow label and hop limit of IPv6.
                prop_assert!(v6 && bit < 8 * 8);
                prop_assert_eq!(icmp.message, &whole[40..]);
            }
            let cut = cut % whole.len();
            prop_assert_eq!(Icmp::parse(addresses.version(), &whole[..cut]), None);
        }

        #[test]
        fn any_bytes_are_parsed_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..100), first: u8, v6: bool
        ) {
            let mut bytes = bytes;
            if let Some(byte) = bytes.first_mut() {
                *byte = first & 0x4f | u8::from(v6) << 5;
            }
            let version = if v6 { IpVersion::V6 } else { IpVersion::V4 };
            let _ = Icmp::parse(version, &bytes);
        }
    }

    #[test]
    fn fragments_are_not_answered() {
        for (at, to) in [(6, 0x20), (7, 1)] {
            let mut packet = request(V4, &[1; 20]);
            packet[at] = to;
            packet[10..12].fill(0);
            let sum = checksum::finish(checksum::sum(&packet[..20]));
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            assert_eq!(Icmp::parse(IpVersion::V4, &packet), None);
        }
    }
}
