//! Reflecting a packet: swaps source and destination on every layer, in place.
//!
//! Swapping does not change the one's complement sums of the IPv4 header and of UDP. A reflector is a
//! hop, so it decrements the TTL (IPv6: the hop limit) and updates the IPv4 checksum incrementally by
//! that difference (RFC 1624): a packet that arrives corrupt goes back corrupt. VLAN tags, DSCP,
//! identification, flow label and IPv4 options stay as they are. Because of the TTL, a loop between two
//! reflectors ends.

use super::checksum;
use super::flow::PortRange;
use super::flow_key::FlowKey;
use super::headers::{Datagram, be16, le16, le32, le64};
use super::layout::{Headers, for_layout};
use crate::count::Counter;

/// The group bits of destination and source MAC address, in the first 8 bytes of a frame read as
/// little-endian: multicast and broadcast (IEEE 802).
const GROUP_BITS: u64 = 1 | 1 << 48;

/// A frame that was, or can be, reflected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reflected {
    /// Offsets in the frame, the same before and after.
    pub datagram: Datagram,
    /// Its flow, as it was received.
    pub key: FlowKey,
}

/// Reflects `frame`, which has `wire_len` bytes on the wire.
///
/// `partial_checksums`: the port delivers packets of this host whose UDP checksum field still holds the
/// sum over the pseudo-header (from a veth peer). Those checksums are completed here, because nobody
/// after us can tell that they are partial.
///
/// # Errors
/// The counter for a frame that is not reflected. It is left unchanged.
#[inline]
pub fn reflect(
    frame: &mut [u8],
    wire_len: usize,
    partial_checksums: bool,
) -> Result<Reflected, Counter> {
    let found = examine(PortRange::ALL, frame, wire_len)?;
    turn(frame, found, partial_checksums)
}

/// Checks whether `frame`, which has `wire_len` bytes on the wire, is to be reflected: a whole UDP
/// datagram in one segment, between unicast addresses, and to one of these UDP `ports`. Does not check
/// the TTL.
///
/// # Errors
/// The counter for a frame that is not to be reflected.
#[inline]
pub(crate) fn examine(
    ports: PortRange,
    frame: &[u8],
    wire_len: usize,
) -> Result<Reflected, Counter> {
    let datagram = Datagram::parse(frame, wire_len)?;
    if frame.len() < wire_len {
        return Err(Counter::ForeignSegmented);
    }
    if is_of_group(frame) {
        return Err(Counter::ForeignGroupMac);
    }
    let key = FlowKey::of(frame, datagram);
    if key.is_martian() {
        return Err(Counter::ForeignMartian);
    }
    if !ports.contains(key.udp_port()) {
        return Err(Counter::ForeignPort);
    }
    Ok(Reflected { datagram, key })
}

/// Reflects a frame for which [`examine`] returned `found`.
///
/// # Errors
/// The counter for a frame with no hop left. It is left unchanged.
#[inline]
pub(crate) fn turn(
    frame: &mut [u8],
    found: Reflected,
    partial_checksums: bool,
) -> Result<Reflected, Counter> {
    for_layout!(found.datagram.layout, H => {
        if !take_hop::<H>(frame) {
            return Err(Counter::ForeignTtl);
        }
        if partial_checksums {
            finish_partial_checksum(frame, found.datagram);
        }
        swap::<H>(frame, found.datagram.udp());
    });
    Ok(found)
}

/// Whether a frame is sent to or from a group MAC address.
#[inline]
pub(crate) fn is_of_group(frame: &[u8]) -> bool {
    le64(frame, 0) & GROUP_BITS != 0
}

/// Decrements the TTL or the hop limit. If no hop is left, returns `false` and changes nothing (RFC 1812,
/// section 5.3.1; RFC 8200, section 3).
#[inline]
pub(super) fn take_hop<H: Headers>(frame: &mut [u8]) -> bool {
    if H::IS_V6 {
        // No checksum covers it.
        let hop_limit = &mut frame[H::IP + 7];
        let has_one = *hop_limit > 1;
        *hop_limit -= u8::from(has_one);
        return has_one;
    }
    let at = ttl_word::<H>();
    let Some(hopped) = hop(le32(frame, at)) else { return false };
    frame[at..at + 4].copy_from_slice(&hopped.to_le_bytes());
    true
}

/// Offset of the 32-bit word with TTL, protocol and header checksum of IPv4.
pub(super) const fn ttl_word<H: Headers>() -> usize {
    H::IP + 8
}

/// That word (little-endian) with decremented TTL and updated checksum; `None` if no hop is left.
#[inline]
pub(super) fn hop(word: u32) -> Option<u32> {
    if word & 0xff <= 1 {
        return None;
    }
    // RFC 1624, equation 3: the checksum grows by the amount by which the 16-bit word with the TTL
    // shrinks. One's complement sums do not depend on byte order: in the upper half of this
    // little-endian word, that amount is 1.
    Some(if word < 0xfffe_0000 { word + (1 << 16) - 1 } else { hop_with_carry(word) })
}

/// [`hop`] with the end-around carry of the checksum, and with 0 instead of a checksum of all ones. One
/// header in 32768 needs it; as a function of its own, it keeps the common case short.
#[cold]
fn hop_with_carry(word: u32) -> u32 {
    word.wrapping_add((2 << 16) - 1)
}

/// Swaps MAC addresses, IP addresses, and the UDP ports at offset `udp`.
#[inline]
fn swap<H: Headers>(frame: &mut [u8], udp: usize) {
    swap_macs(frame);
    swap_addresses::<H>(frame);
    swap_ports(frame, udp);
}

// Each pair is read and written in whole words: bytes written one by one and read together soon after
// (here or by a driver) stall on store forwarding.
#[inline]
fn swap_macs(frame: &mut [u8]) {
    let (first_eight, next_four) = turned_macs(frame);
    frame[..8].copy_from_slice(&first_eight.to_le_bytes());
    frame[8..12].copy_from_slice(&next_four.to_le_bytes());
}

/// The first 12 bytes of `frame`, little-endian, with its MAC addresses swapped.
#[inline]
pub(super) fn turned_macs(frame: &[u8]) -> (u64, u32) {
    let first_two = u64::from(le16(frame, 0));
    let last_eight = le64(frame, 4);
    // Not two shifts: compilers turn them into SHLD, which AMD CPUs split into several micro-ops.
    ((last_eight & !0xffff | first_two).rotate_right(16), le32(frame, 2))
}

#[inline]
fn swap_addresses<H: Headers>(frame: &mut [u8]) {
    let at = H::ADDRESSES;
    if H::IS_V6 {
        let [first, second, third, fourth] = [0, 8, 16, 24].map(|word| le64(frame, at + word));
        for (word, turned) in [third, fourth, first, second].into_iter().enumerate() {
            let at = at + 8 * word;
            frame[at..at + 8].copy_from_slice(&turned.to_le_bytes());
        }
    } else {
        let swapped = le64(frame, at).rotate_left(32);
        frame[at..at + 8].copy_from_slice(&swapped.to_le_bytes());
    }
}

#[inline]
fn swap_ports(frame: &mut [u8], at: usize) {
    let swapped = le32(frame, at).rotate_left(16);
    frame[at..at + 4].copy_from_slice(&swapped.to_le_bytes());
}

/// Replaces the payload of a frame by `payload`, which must have the same length, and updates the UDP
/// checksum.
pub fn replace_payload(frame: &mut [u8], datagram: Datagram, payload: &[u8]) {
    let at = datagram.udp() + 6;
    frame[datagram.payload()..datagram.end()].copy_from_slice(payload);
    frame[at..at + 2].fill(0);
    let sum = datagram.pseudo_header(frame) + checksum::sum(&frame[datagram.udp()..datagram.end()]);
    frame[at..at + 2].copy_from_slice(&checksum::finish_udp(sum).to_be_bytes());
}

fn finish_partial_checksum(frame: &mut [u8], datagram: Datagram) {
    let at = datagram.udp() + 6;
    let pseudo_header = datagram.pseudo_header(frame);
    let bytes = &frame[datagram.udp()..datagram.end()];
    if be16(frame, at) != checksum::fold(pseudo_header)
        || checksum::is_intact(pseudo_header + checksum::sum(bytes))
    {
        return;
    }
    // The checksum field holds the sum over the pseudo-header, so the sum over the datagram includes it.
    let finished = checksum::finish_udp(checksum::sum(bytes));
    frame[at..at + 2].copy_from_slice(&finished.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::layout::Of;
    use crate::wire::prediction::Prediction;
    use etherparse::{
        IpNumber, Ipv4Extensions, Ipv4Header, Ipv4Options, PacketBuilder, PacketHeaders, UdpHeader,
    };
    use proptest::prelude::*;

    type Usual = Of<0, false>;

    #[derive(Debug)]
    struct Parts {
        macs: [[u8; 6]; 2],
        ipv4: Ipv4Header,
        ports: [u16; 2],
        payload: Vec<u8>,
    }

    fn parts() -> impl Strategy<Value = Parts> {
        let addresses = any::<([u8; 6], [u8; 6], [u8; 4], [u8; 4], u16, u16)>();
        let fields = any::<(u8, u16, u8)>();
        let options = proptest::collection::vec(any::<u8>(), 0..=10);
        (addresses, fields, options, proptest::collection::vec(any::<u8>(), 0..100)).prop_map(
            |(
                (mut dst, mut src, mut from, mut to, sport, dport),
                (ttl, id, tos),
                options,
                payload,
            )| {
                for mac in [&mut dst, &mut src] {
                    mac[0] &= !1;
                }
                for ip in [&mut from, &mut to] {
                    // Of one host.
                    ip[0] = ip[0].clamp(1, 126);
                }
                let ttl = ttl.max(2);
                let mut ipv4 = Ipv4Header::new(0, ttl, IpNumber::UDP, from, to).unwrap();
                ipv4.identification = id;
                ipv4.dscp = (tos >> 2).try_into().unwrap();
                let options: Vec<u8> = options.iter().flat_map(|o| [*o; 4]).collect();
                ipv4.options = Ipv4Options::try_from(&options[..]).unwrap();
                Parts { macs: [dst, src], ipv4, ports: [sport, dport], payload }
            },
        )
    }

    fn frame(parts: &Parts) -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(parts.macs[1], parts.macs[0])
            .ip(etherparse::IpHeaders::Ipv4(parts.ipv4.clone(), Ipv4Extensions::default()))
            .udp(parts.ports[0], parts.ports[1])
            .write(&mut frame, &parts.payload)
            .unwrap();
        frame
    }

    proptest! {
        #[test]
        fn etherparse_finds_it_swapped_and_intact(parts in parts()) {
            let original = frame(&parts);
            let mut bytes = original.clone();
            reflect(&mut bytes, original.len(), false).unwrap();
            let before = PacketHeaders::from_ethernet_slice(&original).unwrap();
            let after = PacketHeaders::from_ethernet_slice(&bytes).unwrap();

            let mut link = before.link.clone().unwrap().ethernet2().unwrap();
            std::mem::swap(&mut link.source, &mut link.destination);
            prop_assert_eq!(after.link.clone().unwrap().ethernet2().unwrap(), link);

            let ipv4 = |headers: &PacketHeaders<'_>| match headers.net.clone() {
                Some(etherparse::NetHeaders::Ipv4(ipv4, _)) => ipv4,
                other => panic!("{other:?}"),
            };
            let (mut was, is) = (ipv4(&before), ipv4(&after));
            std::mem::swap(&mut was.source, &mut was.destination);
            was.time_to_live -= 1;
            was.header_checksum = was.calc_header_checksum();
            prop_assert_eq!(&was, &is);

            let udp = |headers: &PacketHeaders<'_>| headers.transport.clone().unwrap().udp().unwrap();
            let (was, is) = (udp(&before), udp(&after));
            prop_assert_eq!(
                is.clone(),
                UdpHeader { source_port: was.destination_port, destination_port: was.source_port, ..was }
            );
            prop_assert_eq!(after.payload.slice(), &parts.payload[..]);
            prop_assert_eq!(
                is.checksum,
                is.calc_checksum_ipv4(&ipv4(&after), &parts.payload).unwrap()
            );

        }

        /// A hop keeps the error in a header's sum: a wrong checksum stays as wrong, and a right one
        /// stays right, with any value in the checksum field.
        #[test]
        fn a_hop_changes_nothing_of_what_is_wrong_with_a_header(parts in parts(), carried: u16) {
            let mut bytes = frame(&parts);
            for carried in [carried, 0, 1, 0xfdff, 0xfeff, 0xff00, 0xfffe, 0xffff] {
                bytes[24..26].copy_from_slice(&carried.to_be_bytes());
                let len = bytes.len();
                let header = 14..Datagram::parse(&bytes, len).unwrap().udp();
                let mut hopped = bytes.clone();
                reflect(&mut hopped, len, false).unwrap();
                let sums = [&bytes, &hopped].map(|frame| checksum::fold(checksum::sum(&frame[header.clone()])));
                prop_assert_eq!(sums[0] % 0xffff, sums[1] % 0xffff);
                prop_assert_eq!(hopped[22], bytes[22] - 1);
                prop_assert!(be16(&hopped, 24) != 0xffff, "0 is equal, and others write 0");
                if header.end == Usual::UDP {
                    let mut predicted = bytes.clone();
                    prop_assert!(Prediction::of::<Usual>(&bytes, len).reflect::<Usual>(&mut predicted));
                    prop_assert_eq!(predicted, hopped);
                }
            }
        }

        #[test]
        fn a_partial_checksum_is_finished(parts in parts()) {
            let whole = frame(&parts);
            let udp = Datagram::parse(&whole, whole.len()).unwrap();
            let mut partial = whole.clone();
            let sum = checksum::fold(udp.pseudo_header(&whole));
            partial[udp.udp() + 6..udp.udp() + 8].copy_from_slice(&sum.to_be_bytes());
            let (mut a, mut b) = (whole.clone(), partial);
            reflect(&mut a, whole.len(), true).unwrap();
            reflect(&mut b, whole.len(), true).unwrap();
            prop_assert_eq!(a, b);
        }

        #[test]
        fn what_is_not_reflected_is_left_alone(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            let original = bytes.clone();
            let len = bytes.len();
            if reflect(&mut bytes, len, true).is_err() {
                prop_assert_eq!(original, bytes);
            }
        }
    }

    #[test]
    fn corruption_stays_corruption() {
        let parts = Parts {
            macs: [[2; 6], [4; 6]],
            ipv4: Ipv4Header::new(0, 9, IpNumber::UDP, [1, 2, 3, 4], [5, 6, 7, 8]).unwrap(),
            ports: [1, 2],
            payload: vec![1, 2, 3],
        };
        let mut bytes = frame(&parts);
        bytes[43] ^= 0x10;
        bytes[24] ^= 0x10;
        let checksums = (be16(&bytes, 24) + 0x100, be16(&bytes, 40));
        let len = bytes.len();
        reflect(&mut bytes, len, true).unwrap();
        assert_eq!((be16(&bytes, 24), be16(&bytes, 40)), checksums);
    }

    fn with_ttl(ttl: u8) -> Vec<u8> {
        frame(&Parts {
            macs: [[2; 6], [4; 6]],
            ipv4: Ipv4Header::new(0, ttl, IpNumber::UDP, [1, 2, 3, 4], [5, 6, 7, 8]).unwrap(),
            ports: [1000, 2000],
            payload: vec![1; 9],
        })
    }

    #[test]
    fn what_has_no_hop_left_is_left_alone() {
        for (ttl, fate) in [(0, false), (1, false), (2, true), (255, true)] {
            let original = with_ttl(ttl);
            let (mut bytes, mut predicted) = (original.clone(), original.clone());
            let found = reflect(&mut bytes, original.len(), false);
            assert_eq!(found.is_ok(), fate, "{ttl}");
            assert_eq!(found.err(), (!fate).then_some(Counter::ForeignTtl));
            let prediction = Prediction::of::<Usual>(&original, original.len());
            assert_eq!(prediction.reflect::<Usual>(&mut predicted), fate);
            assert_eq!(bytes, predicted);
            assert_eq!(bytes == original, !fate);
        }
    }

    #[test]
    fn only_the_ports_that_are_asked_for_are_answered() {
        let original = with_ttl(9);
        let answered = |first, last| {
            let ports = PortRange::new(first, last).unwrap();
            examine(ports, &original, original.len()).map(|_| ())
        };
        assert_eq!(answered(2000, 2000), Ok(()));
        assert_eq!(answered(1, 65535), Ok(()));
        for (first, last) in [(1000, 1999), (2001, 65535)] {
            assert_eq!(answered(first, last), Err(Counter::ForeignPort));
        }
    }

    #[test]
    fn what_goes_on_in_another_segment_is_left_alone() {
        let parts = Parts {
            macs: [[2; 6], [4; 6]],
            ipv4: Ipv4Header::new(0, 9, IpNumber::UDP, [1, 2, 3, 4], [5, 6, 7, 8]).unwrap(),
            ports: [1, 2],
            payload: vec![0; 100],
        };
        let mut bytes = frame(&parts);
        let len = bytes.len();
        assert_eq!(reflect(&mut bytes[..len - 1], len, true), Err(Counter::ForeignSegmented));
    }

    #[test]
    fn group_addresses_are_not_answered() {
        let parts = Parts {
            macs: [[2; 6], [4; 6]],
            ipv4: Ipv4Header::new(0, 9, IpNumber::UDP, [1, 2, 3, 4], [5, 6, 7, 8]).unwrap(),
            ports: [1, 2],
            payload: vec![3; 8],
        };
        let original = frame(&parts);
        for at in 0..12 {
            let mut bytes = original.clone();
            bytes[at] |= 1;
            let found = reflect(&mut bytes, original.len(), false);
            assert_eq!(found.err(), (at % 6 == 0).then_some(Counter::ForeignGroupMac), "{at}");
        }
    }
}
