//! Finding UDP over IPv4 in bytes off the wire. Total: any bytes, any length.

use super::{ETHERNET_LEN, HEADERS_LEN, IPV4_LEN, UDP_LEN};
use std::net::{Ipv4Addr, SocketAddrV4};

/// An IPv4 header without options.
const IPV4_MIN_LEN: usize = IPV4_LEN as usize;
const ETHERTYPE_IPV4: u16 = 0x0800;
const PROTOCOL_UDP: u8 = 17;
/// "More fragments" and the fragment offset; "don't fragment" is not among them (RFC 791).
const FRAGMENT_BITS: u16 = 0x3fff;

/// Why a frame is not a whole UDP datagram over IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotUdp {
    /// Not IPv4: another `EtherType` (ARP, IPv6, VLAN ...) or too short to have one.
    NotIpv4,
    /// IPv4, but another protocol.
    OtherProtocol,
    /// A fragment: only the first one has ports, and none has a whole payload.
    Fragment,
    /// A length field that contradicts another or the number of bytes that came.
    BadLength,
}

/// Where things are in a frame that is UDP over IPv4; all offsets lie within the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOverIpv4 {
    /// Bytes of the IPv4 header, options included: 20 to 60.
    pub ipv4_len: usize,
    /// The UDP length field: header and payload, in bytes; 8 at least.
    pub udp_len: u16,
}

impl UdpOverIpv4 {
    /// Finds UDP over IPv4 in `head`, the first bytes of a frame of `wire_len` bytes (more than
    /// `head` has when an mbuf has several segments). All headers must lie in `head`.
    ///
    /// # Errors
    /// What the frame is instead.
    #[inline]
    pub fn parse(head: &[u8], wire_len: usize) -> Result<Self, NotUdp> {
        match Self::parse_usual(head, wire_len) {
            Some(udp) => Ok(udp),
            None => Self::parse_any(head, wire_len),
        }
    }

    /// Where `frame`, in which it was found, came from.
    #[must_use]
    pub fn source(self, frame: &[u8]) -> SocketAddrV4 {
        let ip = Ipv4Addr::from_bits(be32(frame, ADDRESSES));
        SocketAddrV4::new(ip, be16(frame, self.udp()))
    }

    /// The same for most of what there is, in a few comparisons: no options, nothing wrong.
    #[inline]
    fn parse_usual(head: &[u8], wire_len: usize) -> Option<Self> {
        let head = head.first_chunk::<HEADERS_LEN>()?;
        // EtherType, version and header length, TOS, total length, identification.
        let first = be64(head, 12);
        // Flags, fragment offset, time to live, protocol.
        let second = be64(head, 20) >> 32;
        let usual = first >> 40 == 0x08_0045
            && second & (u64::from(FRAGMENT_BITS) << 16 | 0xff) == u64::from(PROTOCOL_UDP);
        let total_len = usize::from(be16(head, ETHERNET_LEN + 2));
        let udp_len = be16(head, ETHERNET_LEN + IPV4_MIN_LEN + 4);
        let fits = ETHERNET_LEN + total_len <= wire_len
            && udp_len >= UDP_LEN
            && IPV4_MIN_LEN + usize::from(udp_len) <= total_len;
        (usual && fits).then_some(Self { ipv4_len: IPV4_MIN_LEN, udp_len })
    }

    #[cold]
    fn parse_any(head: &[u8], wire_len: usize) -> Result<Self, NotUdp> {
        if head.len() < ETHERNET_LEN || be16(head, 12) != ETHERTYPE_IPV4 {
            return Err(NotUdp::NotIpv4);
        }
        if head.len() < ETHERNET_LEN + IPV4_MIN_LEN {
            return Err(NotUdp::BadLength);
        }
        let version_and_words = head[ETHERNET_LEN];
        if version_and_words >> 4 != 4 {
            return Err(NotUdp::NotIpv4);
        }
        let ipv4_len = usize::from(version_and_words & 0xf) * 4;
        let total_len = usize::from(be16(head, ETHERNET_LEN + 2));
        if ipv4_len < IPV4_MIN_LEN || total_len < ipv4_len || ETHERNET_LEN + total_len > wire_len {
            return Err(NotUdp::BadLength);
        }
        if head[ETHERNET_LEN + 9] != PROTOCOL_UDP {
            return Err(NotUdp::OtherProtocol);
        }
        if be16(head, ETHERNET_LEN + 6) & FRAGMENT_BITS != 0 {
            return Err(NotUdp::Fragment);
        }
        let udp = ETHERNET_LEN + ipv4_len;
        if head.len() < udp + usize::from(UDP_LEN) {
            return Err(NotUdp::BadLength);
        }
        let udp_len = be16(head, udp + 4);
        if udp_len < UDP_LEN || ipv4_len + usize::from(udp_len) > total_len {
            return Err(NotUdp::BadLength);
        }
        Ok(Self { ipv4_len, udp_len })
    }

    /// Offset of the UDP header.
    #[must_use]
    pub fn udp(self) -> usize {
        ETHERNET_LEN + self.ipv4_len
    }

    /// Offset of the payload.
    #[must_use]
    pub fn payload(self) -> usize {
        self.udp() + usize::from(UDP_LEN)
    }

    /// Offset of the first byte behind the datagram; what follows is padding.
    #[must_use]
    pub fn end(self) -> usize {
        self.udp() + usize::from(self.udp_len)
    }
}

/// Offset of the source and destination addresses in a frame.
pub const ADDRESSES: usize = ETHERNET_LEN + 12;

/// Source and destination as they stand at [`ADDRESSES`].
#[must_use]
pub fn addresses(src: Ipv4Addr, dst: Ipv4Addr) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&src.octets());
    bytes[4..].copy_from_slice(&dst.octets());
    bytes
}

/// The big-endian 16 bits at `at`, which must lie in `bytes`.
#[must_use]
#[inline]
pub fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The big-endian 32 bits at `at`, which must lie in `bytes`.
#[must_use]
#[inline]
pub fn be32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(word)
}

/// The big-endian 64 bits at `at`, which must lie in `bytes`.
#[must_use]
#[inline]
pub fn be64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(word)
}

// Little-endian where nothing depends on it: the CPUs that we run on then swap no bytes.

#[inline]
pub(crate) fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

#[inline]
pub(crate) fn le64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    fn udp_frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .udp(1000, 2000)
            .write(&mut frame, payload)
            .unwrap();
        frame
    }

    fn parse(frame: &[u8]) -> Result<UdpOverIpv4, NotUdp> {
        UdpOverIpv4::parse(frame, frame.len())
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            if let Ok(udp) = parse(&bytes) {
                prop_assert!(udp.end() <= bytes.len());
            }
        }

        /// What is in both ways of parsing is the same.
        #[test]
        fn the_usual_is_no_exception(
            at in 12..42usize, to: u8, cut in 0..60usize, payload in 0..30usize
        ) {
            let mut frame = udp_frame(&vec![7; payload]);
            frame[at] = to;
            let whole = frame.len();
            frame.truncate(whole - cut.min(whole));
            for wire_len in [frame.len(), whole] {
                if let Some(usual) = UdpOverIpv4::parse_usual(&frame, wire_len) {
                    prop_assert_eq!(UdpOverIpv4::parse_any(&frame, wire_len), Ok(usual));
                }
            }
        }

        /// Random bytes hardly ever look like UDP: start from a frame that is, and break it.
        #[test]
        fn what_we_accept_etherparse_accepts(
            at in 0..60usize, to: u8, cut in 0..60usize, payload in 0..30usize
        ) {
            let mut frame = udp_frame(&vec![7; payload]);
            let at = at % frame.len();
            frame[at] = to;
            frame.truncate(frame.len() - cut.min(frame.len()));
            if let Ok(udp) = parse(&frame) {
                let oracle = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
                let Some(etherparse::TransportSlice::Udp(slice)) = oracle.transport else {
                    return Err(TestCaseError::fail("etherparse sees no UDP"));
                };
                prop_assert_eq!(slice.payload(), &frame[udp.payload()..udp.end()]);
            }
        }
    }

    #[test]
    fn every_other_frame_has_its_reason() {
        let frame = udp_frame(&[1, 2, 3]);
        assert_eq!(parse(&frame), Ok(UdpOverIpv4 { ipv4_len: 20, udp_len: 11 }));
        let broken = |at: usize, to: u8| {
            let mut frame = frame.clone();
            frame[at] = to;
            parse(&frame)
        };
        assert_eq!(parse(&frame[..13]), Err(NotUdp::NotIpv4));
        assert_eq!(broken(13, 6), Err(NotUdp::NotIpv4));
        assert_eq!(broken(14, 0x65), Err(NotUdp::NotIpv4));
        assert_eq!(parse(&frame[..30]), Err(NotUdp::BadLength));
        assert_eq!(broken(14, 0x44), Err(NotUdp::BadLength));
        assert_eq!(broken(17, 200), Err(NotUdp::BadLength));
        assert_eq!(broken(17, 19), Err(NotUdp::BadLength));
        assert_eq!(broken(23, 6), Err(NotUdp::OtherProtocol));
        assert_eq!(broken(20, 0x20), Err(NotUdp::Fragment));
        assert_eq!(broken(21, 1), Err(NotUdp::Fragment));
        assert_eq!(broken(39, 7), Err(NotUdp::BadLength));
        assert_eq!(broken(39, 12), Err(NotUdp::BadLength));
    }

    #[test]
    fn dont_fragment_is_no_fragment() {
        let mut frame = udp_frame(&[]);
        frame[20] = 0x40;
        assert!(parse(&frame).is_ok());
    }

    #[test]
    fn a_datagram_may_go_on_behind_the_first_segment() {
        let frame = udp_frame(&[9; 100]);
        let udp = UdpOverIpv4::parse(&frame[..42], frame.len()).unwrap();
        assert_eq!(udp.end(), frame.len());
        assert_eq!(UdpOverIpv4::parse(&frame[..41], frame.len()), Err(NotUdp::BadLength));
    }
}
