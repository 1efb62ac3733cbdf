//! Parsing UDP over IP from received bytes. Total: accepts any bytes of any length.

use super::checksum;
use super::layout::{
    ETHERTYPE_ARP, FIRST_TYPE, Headers, IpVersion, Layout, Of, TAG_LEN, TAG_TYPES, UDP_LEN,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The IP protocol number of UDP (IANA).
pub(crate) const PROTOCOL_UDP: u8 = 17;
/// The protocol number of IPv6's fragment header (RFC 8200, section 4.5).
const FRAGMENT_HEADER: u8 = 44;
/// The protocol numbers of IPv6's other extension headers (IANA: IPv6 Extension Header Types): hop-by-hop
/// options, routing, ESP, AH, destination options, mobility, HIP, shim6.
const EXTENSION_HEADERS: [u8; 8] = [0, 43, 50, 51, 60, 135, 139, 140];
/// Mask of "more fragments" and the fragment offset in IPv4, without "don't fragment" (RFC 791).
pub(crate) const FRAGMENT_BITS: u16 = 0x3fff;

/// Why a frame is not a whole UDP datagram over IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotUdp {
    /// ARP.
    Arp,
    /// Another `EtherType`.
    OtherEthertype,
    /// More than two VLAN tags.
    TooManyTags,
    /// IP with another protocol.
    OtherProtocol,
    /// IPv6 with an extension header other than a fragment header.
    Ipv6Extension,
    /// A fragment: only the first one has ports, and none has the whole payload.
    Fragment,
    /// The version in the IP header contradicts the `EtherType`.
    BadVersion,
    /// A length field contradicts another one or the number of received bytes, or the frame ends in its
    /// headers.
    BadLength,
}

/// Offsets in a frame that is UDP over IP; all lie within the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Its headers, apart from IPv4 options.
    pub layout: Layout,
    /// Offset of the UDP header.
    udp: usize,
    /// The UDP length field: header and payload in bytes, at least 8.
    pub udp_len: u16,
}

impl Datagram {
    /// Parses `head`, the first bytes of a frame of `wire_len` bytes (all of them, unless the mbuf has
    /// several segments). All headers must lie in `head`.
    ///
    /// # Errors
    /// Why the frame is not UDP over IP.
    #[inline]
    pub fn parse(head: &[u8], wire_len: usize) -> Result<Self, NotUdp> {
        match Self::parse_usual(head, wire_len) {
            Some(datagram) => Ok(datagram),
            None => Self::parse_any(head, wire_len),
        }
    }

    /// Fast path of [`Datagram::parse`] for the most common frames: valid IPv4 without VLAN tags and
    /// options. A few comparisons suffice.
    #[inline]
    fn parse_usual(head: &[u8], wire_len: usize) -> Option<Self> {
        type Usual = Of<0, false>;
        let layout = Usual::LAYOUT;
        let head = head.get(..Usual::PAYLOAD)?;
        // EtherType, version and header length, TOS, total length, identification.
        let first = be64(head, FIRST_TYPE);
        // Flags, fragment offset, time to live, protocol.
        let second = u64::from(be32(head, Usual::IP + 6));
        let usual = first >> 40 == 0x08_0045
            && second & (u64::from(FRAGMENT_BITS) << 16 | 0xff) == u64::from(PROTOCOL_UDP);
        let total_len = usize::from(be16(head, Usual::IP + 2));
        let udp_len = be16(head, Usual::UDP + 4);
        let fits = Usual::IP + total_len <= wire_len
            && udp_len >= UDP_LEN
            && layout.l3_len() + usize::from(udp_len) <= total_len;
        (usual && fits).then_some(Self { layout, udp: Usual::UDP, udp_len })
    }

    #[cold]
    fn parse_any(head: &[u8], wire_len: usize) -> Result<Self, NotUdp> {
        let layout = Layout::announced_by(head).ok_or_else(|| not_ip(head))?;
        let ip = layout.l2_len();
        if head.len() < layout.udp() {
            return Err(NotUdp::BadLength);
        }
        let (version, wanted) = match layout.ip {
            IpVersion::V4 => (head[ip] >> 4, 4),
            IpVersion::V6 => (head[ip] >> 4, 6),
        };
        if version != wanted {
            return Err(NotUdp::BadVersion);
        }
        let (ip_header_len, ip_len) = match layout.ip {
            IpVersion::V4 => (usize::from(head[ip] & 0xf) * 4, usize::from(be16(head, ip + 2))),
            IpVersion::V6 => (layout.l3_len(), layout.l3_len() + usize::from(be16(head, ip + 4))),
        };
        if ip_header_len < layout.l3_len() || ip_len < ip_header_len || ip + ip_len > wire_len {
            return Err(NotUdp::BadLength);
        }
        let (protocol, is_fragment) = match layout.ip {
            IpVersion::V4 => (head[ip + 9], be16(head, ip + 6) & FRAGMENT_BITS != 0),
            IpVersion::V6 => (head[ip + 6], head[ip + 6] == FRAGMENT_HEADER),
        };
        if is_fragment && (protocol == PROTOCOL_UDP || layout.ip == IpVersion::V6) {
            return Err(NotUdp::Fragment);
        }
        if layout.ip == IpVersion::V6 && EXTENSION_HEADERS.contains(&protocol) {
            return Err(NotUdp::Ipv6Extension);
        }
        if protocol != PROTOCOL_UDP {
            return Err(NotUdp::OtherProtocol);
        }
        let udp = ip + ip_header_len;
        if head.len() < udp + usize::from(UDP_LEN) {
            return Err(NotUdp::BadLength);
        }
        let udp_len = be16(head, udp + 4);
        if udp_len < UDP_LEN || ip_header_len + usize::from(udp_len) > ip_len {
            return Err(NotUdp::BadLength);
        }
        Ok(Self { layout, udp, udp_len })
    }

    /// Offset of the UDP header.
    #[must_use]
    pub fn udp(self) -> usize {
        self.udp
    }

    /// Offset of the payload.
    #[must_use]
    pub fn payload(self) -> usize {
        self.udp + usize::from(UDP_LEN)
    }

    /// Offset of the first byte behind the datagram; any bytes there are padding.
    #[must_use]
    pub fn end(self) -> usize {
        self.udp + usize::from(self.udp_len)
    }

    /// The source address and port of `frame`, from which this was parsed.
    #[must_use]
    pub fn source(self, frame: &[u8]) -> SocketAddr {
        let at = self.layout.addresses();
        let ip: IpAddr = match self.layout.ip {
            IpVersion::V4 => Ipv4Addr::from_bits(be32(frame, at)).into(),
            IpVersion::V6 => {
                let (upper, lower) = (be64(frame, at), be64(frame, at + 8));
                Ipv6Addr::from_bits(u128::from(upper) << 64 | u128::from(lower)).into()
            }
        };
        SocketAddr::new(ip, be16(frame, self.udp))
    }

    /// The unfolded sum over the UDP pseudo-header of `frame`, from which this was parsed.
    #[must_use]
    pub fn pseudo_header(self, frame: &[u8]) -> u64 {
        let at = self.layout.addresses();
        let address_sum = checksum::sum(&frame[at..at + self.layout.addresses_len()]);
        checksum::udp_pseudo_header(address_sum, self.udp_len)
    }

    /// Whether the IP header checksum in `frame`, from which this was parsed, is correct. Always true for
    /// IPv6, which has none.
    #[must_use]
    pub fn is_ip_header_intact(self, frame: &[u8]) -> bool {
        match self.layout.ip {
            IpVersion::V4 => {
                checksum::is_intact(checksum::sum(&frame[self.layout.l2_len()..self.udp]))
            }
            IpVersion::V6 => true,
        }
    }
}

/// The TOS (IPv4) or traffic class (IPv6) of a frame with headers of `H`.
#[must_use]
pub(crate) fn traffic_class<H: Headers>(frame: &[u8]) -> u8 {
    let word = be16(frame, H::IP);
    let [_, class] = if H::IS_V6 { word >> 4 } else { word }.to_be_bytes();
    class
}

/// What a frame is whose `EtherType`s announce no [`Layout`].
fn not_ip(head: &[u8]) -> NotUdp {
    for tags in 0..=2 {
        let at = FIRST_TYPE + TAG_LEN * tags;
        if head.len() < at + 2 {
            return NotUdp::BadLength;
        }
        match be16(head, at) {
            ETHERTYPE_ARP => return NotUdp::Arp,
            other if TAG_TYPES.contains(&other) => {}
            _ => return NotUdp::OtherEthertype,
        }
    }
    NotUdp::TooManyTags
}

/// The VLAN IDs of a frame with this layout, the outer one first; 0 for a missing tag. Without the
/// priority bits.
#[must_use]
pub(crate) fn vlan_ids(frame: &[u8], layout: Layout) -> [u16; 2] {
    let id = |tag: usize| {
        let is_there = tag < layout.tags as usize;
        if is_there { be16(frame, FIRST_TYPE + 2 + TAG_LEN * tag) & VLAN_ID } else { 0 }
    };
    [id(0), id(1)]
}

/// Mask of the VLAN ID in the two bytes behind a tag's TPID.
const VLAN_ID: u16 = 0xfff;

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

// Little-endian where byte order does not matter, so that the CPUs that we run on need no byte swap.

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

    fn parse(frame: &[u8]) -> Result<Datagram, NotUdp> {
        Datagram::parse(frame, frame.len())
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

        /// Fast path and slow path of parsing agree.
        #[test]
        fn the_usual_is_no_exception(
            at in 12..42usize, to: u8, cut in 0..60usize, payload in 0..30usize
        ) {
            let mut frame = udp_frame(&vec![7; payload]);
            frame[at] = to;
            let whole = frame.len();
            frame.truncate(whole - cut.min(whole));
            for wire_len in [frame.len(), whole] {
                if let Some(usual) = Datagram::parse_usual(&frame, wire_len) {
                    prop_assert_eq!(Datagram::parse_any(&frame, wire_len), Ok(usual));
                }
            }
        }

        /// Random bytes hardly ever look like UDP, so start from a valid frame and corrupt it.
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
        assert_eq!(parse(&frame), Ok(Datagram { layout: Layout::default(), udp: 34, udp_len: 11 }));
        let broken = |at: usize, to: u8| {
            let mut frame = frame.clone();
            frame[at] = to;
            parse(&frame)
        };
        assert_eq!(broken(13, 6), Err(NotUdp::Arp));
        assert_eq!(broken(13, 7), Err(NotUdp::OtherEthertype));
        assert_eq!(broken(14, 0x65), Err(NotUdp::BadVersion));
        assert_eq!(parse(&frame[..13]), Err(NotUdp::BadLength));
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
        let udp = Datagram::parse(&frame[..42], frame.len()).unwrap();
        assert_eq!(udp.end(), frame.len());
        assert_eq!(Datagram::parse(&frame[..41], frame.len()), Err(NotUdp::BadLength));
    }
}
