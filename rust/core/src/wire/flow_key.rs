//! The key by which a reflector distinguishes flows.

use super::flow::{Addresses, is_of_one_host};
use super::headers::{Datagram, le16, le64, vlan_ids};
use super::layout::{Headers, IpVersion, for_layout};
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Set in `port_and_vlans` for IPv6.
const V6: u64 = 1 << 40;

/// Addresses, VLAN IDs and UDP destination port of a flow. (Source ports are swept.) In packet byte order
/// read as little-endian, for comparison only.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowKey {
    /// Both IPv4 addresses, or the first half of the IPv6 source address.
    first: u64,
    /// From the lowest bit on: port (16 bits), outer VLAN ID (12), inner VLAN ID (12), IPv6 (1).
    port_and_vlans: u64,
    /// The other halves of the IPv6 addresses; 0 for IPv4.
    more: [u64; 3],
}

impl PartialEq for FlowKey {
    /// Word by word: a comparison of arrays would write them to memory and stall on reading them back. For
    /// IPv4 only two words matter.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let differences = (self.first ^ other.first) | (self.port_and_vlans ^ other.port_and_vlans);
        let [second, third, fourth] = self.more;
        let more = (second ^ other.more[0]) | (third ^ other.more[1]) | (fourth ^ other.more[2]);
        differences == 0 && (!self.is_v6() || more == 0)
    }
}

impl Eq for FlowKey {}

impl Hash for FlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words().hash(state);
    }
}

impl FlowKey {
    /// Number of words in [`FlowKey::words`].
    pub(crate) const WORDS: usize = 5;
    /// Number of bits in use in the second word.
    #[allow(
        dead_code,
        reason = "Rust before 1.88 overlooks its use in an assertion at compile time"
    )]
    pub(crate) const SECOND_WORD_BITS: u32 = 41;

    /// The key of a received frame with header layout `H` whose UDP header is at offset `udp`. Call it
    /// before the frame is reflected.
    #[inline]
    pub(crate) fn of_headers<H: Headers>(frame: &[u8], udp: usize) -> Self {
        let word = |index: usize| le64(frame, H::ADDRESSES + 8 * index);
        let port = u64::from(le16(frame, udp + 2));
        let vlans = if H::TAGS == 0 { [0; 2] } else { vlan_ids(frame, H::LAYOUT) };
        let port_and_vlans = port | u64::from(vlans[0]) << 16 | u64::from(vlans[1]) << 28;
        if H::IS_V6 {
            Self {
                first: word(0),
                port_and_vlans: port_and_vlans | V6,
                more: [word(1), word(2), word(3)],
            }
        } else {
            Self { first: word(0), port_and_vlans, more: [0; 3] }
        }
    }

    /// The key of a received frame, before it is reflected.
    pub(crate) fn of(frame: &[u8], datagram: Datagram) -> Self {
        for_layout!(datagram.layout, H => Self::of_headers::<H>(frame, datagram.udp()))
    }

    /// The key of a datagram from a socket: it came from `source` to the address and port `own`. Both are
    /// of one version of IP; otherwise the key is that of no flow.
    #[must_use]
    pub fn of_sockets(source: SocketAddr, own: SocketAddr) -> Self {
        let port = u64::from(u16::from_le_bytes(own.port().to_be_bytes()));
        let Some(addresses) = Addresses::new(source.ip(), own.ip()) else { return Self::default() };
        // In the byte order of packets.
        let [first, more @ ..] = addresses.words().map(u64::swap_bytes);
        match addresses.version() {
            IpVersion::V4 => Self { first, port_and_vlans: port, more: [0; 3] },
            IpVersion::V6 => Self { first, port_and_vlans: port | V6, more },
        }
    }

    /// The UDP destination port.
    #[inline]
    pub(crate) fn udp_port(self) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "the lower 16 bits")]
        let port = self.port_and_vlans as u16;
        u16::from_be_bytes(port.to_le_bytes())
    }

    /// Source and destination address.
    pub(crate) fn addresses(self) -> Addresses {
        let Self { first, more: [second, third, fourth], .. } = self;
        if self.is_v6() {
            let ip = |upper: u64, lower: u64| {
                let number = u128::from(upper.swap_bytes()) << 64 | u128::from(lower.swap_bytes());
                Ipv6Addr::from_bits(number)
            };
            return Addresses::V6 { src: ip(first, second), dst: ip(third, fourth) };
        }
        let [src, dst] = [32, 0].map(|shift| {
            #[expect(clippy::cast_possible_truncation, reason = "one half")]
            let half = (first.swap_bytes() >> shift) as u32;
            Ipv4Addr::from_bits(half)
        });
        Addresses::V4 { src, dst }
    }

    /// Whether one of the addresses is not that of one host.
    pub(crate) fn is_martian(self) -> bool {
        let addresses = self.addresses();
        !is_of_one_host(addresses.src()) || !is_of_one_host(addresses.dst())
    }

    /// Whether this is an IPv6 flow. For IPv4, all but the first two words are 0.
    #[inline]
    pub(crate) fn is_v6(self) -> bool {
        self.port_and_vlans & V6 != 0
    }

    /// The whole key as words.
    #[inline]
    pub(crate) fn words(self) -> [u64; Self::WORDS] {
        let Self { first, port_and_vlans, more: [second, third, fourth] } = self;
        [first, port_and_vlans, second, third, fourth]
    }

    /// The inverse of [`FlowKey::words`].
    pub(crate) fn from_words(words: [u64; Self::WORDS]) -> Self {
        let [first, port_and_vlans, more @ ..] = words;
        Self { first, port_and_vlans, more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::flow::{Flow, VlanId, Vlans};
    use crate::wire::layout::Tags;
    use crate::wire::reflect::reflect;
    use crate::wire::template::tests::{all_layouts, flow};
    use crate::wire::template::{Checksums, write_single};
    use std::collections::HashSet;

    #[test]
    fn a_socket_finds_the_same_key_as_a_port() {
        for flow in all_layouts(&flow(60, 1)).into_iter().filter(|flow| flow.vlans == Vlans::None) {
            let frame = frame(&flow);
            let datagram = Datagram::parse(&frame, frame.len()).unwrap();
            let own = SocketAddr::new(flow.addresses.dst(), flow.dst_port);
            let key = FlowKey::of_sockets(datagram.source(&frame), own);
            assert_eq!(key, FlowKey::of(&frame, datagram));
        }
    }

    fn frame(flow: &Flow) -> Vec<u8> {
        let mut frame = vec![0; flow.layout().payload() + 9];
        write_single(flow, &[7; 9], Checksums::SOFTWARE, &mut frame);
        frame
    }

    fn key(frame: &[u8]) -> FlowKey {
        FlowKey::of(frame, Datagram::parse(frame, frame.len()).unwrap())
    }

    #[test]
    fn a_key_is_that_of_the_packet_before_it_was_turned_round() {
        for flow in all_layouts(&flow(60, 1)) {
            let mut frame = frame(&flow);
            let before = key(&frame);
            assert_eq!(before.udp_port(), flow.dst_port);
            assert_eq!(before.addresses(), flow.addresses);
            let len = frame.len();
            let reflected = reflect(&mut frame, len, false).unwrap();
            assert_eq!(reflected.key, before);
            assert_ne!(key(&frame), before);
            assert_eq!(FlowKey::from_words(before.words()), before);
            assert_eq!(before.words()[1] >> FlowKey::SECOND_WORD_BITS, 0);
        }
    }

    /// Every byte of addresses, port and VLAN IDs matters.
    #[test]
    fn what_differs_in_any_of_it_is_another_flow() {
        for flow in all_layouts(&flow(60, 1)) {
            let (frame, layout) = (frame(&flow), flow.layout());
            let addresses = layout.addresses()..layout.addresses() + layout.addresses_len();
            let port = layout.udp() + 2..layout.udp() + 4;
            let vlans = (14..layout.l2_len()).filter(|at| at % 4 > 1);
            let mut keys = HashSet::from([key(&frame)]);
            for at in addresses.chain(port).chain(vlans) {
                let mut other = frame.clone();
                other[at] ^= 1;
                assert!(keys.insert(key(&other)), "{layout:?}: {at}");
            }
            // IPv4 TOS or IPv6 traffic class and flow label, IPv4 checksum or IPv6 hop limit, the source
            // port, and the priority in a tag.
            let others = [
                Some((layout.l2_len() + 1, 2)),
                Some((layout.addresses() - 1, 2)),
                Some((layout.udp(), 2)),
                (layout.tags != Tags::None).then_some((14, 0x20)),
            ];
            for (at, bits) in others.into_iter().flatten() {
                let mut other = frame.clone();
                other[at] ^= bits;
                assert!(!keys.insert(key(&other)), "{layout:?}: {at}");
            }
        }
    }

    /// A priority tag (VLAN ID 0) belongs to no VLAN.
    #[test]
    fn a_priority_is_no_vlan() {
        let untagged = flow(60, 1);
        let tagged = Flow { vlans: Vlans::One(VlanId::ZERO), ..untagged };
        assert_eq!(key(&frame(&untagged)), key(&frame(&tagged)));
    }
}
