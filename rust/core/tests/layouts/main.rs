//! Builds, reflects and verifies packets with every header layout, and has etherparse check what is on the wire.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod packet;

use dpdkproj_core::count::Counter;
use dpdkproj_core::wire::content::Content;
use dpdkproj_core::wire::flow::{Addresses, Flow, Mac, PortRange, Vlans, is_of_one_host};
use dpdkproj_core::wire::headers::Datagram;
use dpdkproj_core::wire::layout::{IpVersion, Layout, Tags};
use dpdkproj_core::wire::reflect::{Reflected, reflect};
use dpdkproj_core::wire::stamp::{self, STAMPED_LEN, Stamp};
use dpdkproj_core::wire::template::{Checksums, Template, write_single};
use dpdkproj_core::wire::verify::{Arrival, Changed, Verifier};
use etherparse::{IpHeaders, IpNumber, VlanId};
use packet::Packet;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::sync::Arc;

const SEED: u64 = 7;

fn flows() -> impl Strategy<Value = Flow> {
    let vlan = || (0..4095u16).prop_map(|id| VlanId::try_new(id).unwrap());
    let vlans = prop_oneof![
        Just(Vlans::None),
        vlan().prop_map(Vlans::One),
        (vlan(), vlan()).prop_map(|(outer, inner)| Vlans::Two { outer, inner }),
    ];
    let addresses = prop_oneof![
        any::<([u8; 4], [u8; 4])>()
            .prop_map(|(src, dst)| Addresses::V4 { src: src.into(), dst: dst.into() }),
        any::<([u8; 16], [u8; 16])>()
            .prop_map(|(src, dst)| Addresses::V6 { src: src.into(), dst: dst.into() }),
    ]
    .prop_filter("of one host each", |addresses: &Addresses| {
        is_of_one_host(addresses.src()) && is_of_one_host(addresses.dst())
    });
    let payload_len = prop_oneof![16..40u16, 16..1400u16];
    let ports = (1..60_000u16, 1..300u16, any::<u16>());
    let rest = any::<(bool, u8)>();
    (vlans, addresses, any::<[[u8; 6]; 2]>(), ports, payload_len, rest).prop_map(
        |(
            vlans,
            addresses,
            macs,
            (first, count, dst_port),
            payload_len,
            (stamp, traffic_class),
        )| {
            // No group addresses.
            let [src_mac, dst_mac] =
                macs.map(|mac| Mac([mac[0] & 0xfe, mac[1], mac[2], mac[3], mac[4], mac[5]]));
            Flow {
                src_mac,
                dst_mac,
                vlans,
                addresses,
                src_ports: PortRange::new(first, first + count - 1).unwrap(),
                dst_port,
                payload_len,
                streams: 2,
                traffic_class,
                stamp: stamp && usize::from(payload_len) >= STAMPED_LEN,
            }
        },
    )
}

fn built(flow: &Flow, stream: u16, seq: u64, time_ns: u64, checksums: Checksums) -> Vec<u8> {
    let template = Template::new(flow, Arc::new(Content::new(flow, SEED)), stream, checksums);
    let mut frame = vec![0xaa; template.frame_len()];
    template.prepare(seq, &mut frame);
    template.write(seq, time_ns, &[3], &mut [&mut frame]);
    frame
}

/// Whether no checksum covers the byte at `at`: MAC addresses, tags, and of IPv6 traffic class, flow label and
/// hop limit.
fn is_uncovered(layout: Layout, at: usize) -> bool {
    let ip = layout.l2_len();
    at < ip || (layout.ip == IpVersion::V6 && (at < ip + 4 || at == ip + 7))
}

proptest! {
    #[test]
    fn etherparse_reads_what_is_built(
        flow in flows(), stream in 0..2u16, seq in 0..1u64 << 42, time_ns: u64
    ) {
        let frame = built(&flow, stream, seq, time_ns, Checksums::SOFTWARE);
        let packet = Packet::read(&frame);
        prop_assert_eq!(packet.macs, [flow.src_mac.0, flow.dst_mac.0]);
        let ids: Vec<_> = packet.tags.iter().map(|(_, tag)| tag.vlan_id).collect();
        let types: Vec<_> = packet.tags.iter().map(|(ether_type, _)| ether_type.0).collect();
        match flow.vlans {
            Vlans::None => prop_assert_eq!((ids, types), (vec![], vec![])),
            Vlans::One(id) => prop_assert_eq!((ids, types), (vec![id], vec![0x8100])),
            Vlans::Two { outer, inner } => {
                prop_assert_eq!((ids, types), (vec![outer, inner], vec![0x88a8, 0x8100]));
            }
        }
        match (&packet.ip, flow.addresses) {
            (IpHeaders::Ipv4(ipv4, _), Addresses::V4 { src, dst }) => {
                prop_assert_eq!([ipv4.source, ipv4.destination], [src, dst].map(|ip| ip.octets()));
                prop_assert_eq!(ipv4.total_len, 28 + flow.payload_len);
                prop_assert_eq!(ipv4.dscp.value() << 2 | ipv4.ecn.value(), flow.traffic_class);
                prop_assert_eq!((ipv4.time_to_live, ipv4.protocol), (64, IpNumber::UDP));
            }
            (IpHeaders::Ipv6(ipv6, _), Addresses::V6 { src, dst }) => {
                prop_assert_eq!([ipv6.source, ipv6.destination], [src, dst].map(|ip| ip.octets()));
                prop_assert_eq!(ipv6.payload_length, 8 + flow.payload_len);
                prop_assert_eq!(ipv6.traffic_class, flow.traffic_class);
                prop_assert_eq!((ipv6.hop_limit, ipv6.next_header), (64, IpNumber::UDP));
            }
            (ip, addresses) => panic!("{ip:?}: {addresses:?}"),
        }
        let src_port = flow.sweeps()[usize::from(stream)].port_of(flow.sweeps()[usize::from(stream)].turn(seq));
        prop_assert_eq!(packet.ports, [src_port, flow.dst_port]);
        prop_assert_eq!(packet.payload.len(), usize::from(flow.payload_len));
        prop_assert_eq!(&packet.write(), &frame);
        let found = Datagram::parse(&frame, frame.len()).unwrap();
        prop_assert_eq!(found.layout, flow.layout());
        prop_assert_eq!((found.payload(), found.end()), (flow.layout().payload(), frame.len()));
        prop_assert_eq!(found.source(&frame).port(), src_port);

        let mut single = vec![0xaa; flow.layout().payload() + packet.payload.len()];
        write_single(&flow, &packet.payload, Checksums::SOFTWARE, &mut single);
        let ports = [flow.src_ports.first(), flow.dst_port];
        prop_assert_eq!(Packet { ports, ..packet }.write(), single);
    }

    /// For a port that writes checksums, the fields hold what DPDK asks for (`rte_ipv4_phdr_cksum`).
    #[test]
    fn checksums_are_prepared_for_a_port(flow in flows(), seq in 0..1u64 << 42) {
        let whole = built(&flow, 1, seq, 5, Checksums::SOFTWARE);
        let mut left = built(&flow, 1, seq, 5, Checksums::BY_PORT);
        let (ip, udp) = (flow.layout().l2_len(), flow.layout().udp());
        if flow.layout().ip == IpVersion::V4 {
            prop_assert_eq!(&left[ip + 10..ip + 12], &[0, 0]);
            left[ip + 10..ip + 12].copy_from_slice(&whole[ip + 10..ip + 12]);
        }
        // The field has the sum of the pseudo-header, so that of the datagram counts it in.
        let mut sum: u64 = left[udp..].chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0))).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let checksum = match !u16::try_from(sum).unwrap() { 0 => 0xffff, sum => sum };
        left[udp + 6..udp + 8].copy_from_slice(&checksum.to_be_bytes());
        prop_assert_eq!(left, whole);
    }

    #[test]
    fn a_reflector_swaps_the_ends_takes_one_hop_and_changes_nothing_else(
        flow in flows(), seq in 0..1u64 << 42, priority: u8, class: u8, label: u32, id: u16, hops in 2..=255u8
    ) {
        let packet = Packet::read(&built(&flow, 0, seq, 5, Checksums::SOFTWARE));
        let packet = packet.with(priority, class, label, id, hops);
        let frame = packet.write();
        let mut turned = frame.clone();
        let Reflected { datagram, .. } = reflect(&mut turned, frame.len(), false).unwrap();
        prop_assert_eq!(datagram.layout, flow.layout());
        prop_assert_eq!(&turned, &packet.clone().turned().write());
        prop_assert_eq!(Packet::read(&turned), packet.clone().turned());
        // What a network may rewrite does not make it invalid.
        let verifier = Verifier::new(&flow, Arc::new(Content::new(&flow, SEED)));
        let found = verifier.check(&turned, turned.len(), false);
        prop_assert_eq!(found.map(|arrival| arrival.header.id.seq), Ok(seq));
        // But it is told, by both ways of looking at a packet.
        let differs = |mask: u8| (class ^ flow.traffic_class) & mask != 0;
        let changed = Changed { dscp: differs(0xfc), ecn: differs(3) };
        prop_assert_eq!(found.map(|arrival| arrival.changed), Ok(changed));
        let again = verifier.check(&turned, turned.len(), false);
        prop_assert_eq!(again.map(|arrival| arrival.changed), Ok(changed));
        let udp = datagram.udp();
        let sum = dpdkproj_core::wire::checksum::fold(datagram.pseudo_header(&frame));
        let mut partial = turned.clone();
        partial[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
        let found = verifier.check(&partial, partial.len(), true);
        prop_assert_eq!(found.map(|arrival| arrival.changed), Ok(changed));

        // The checksum of a peer on this host, which left it to a NIC, is computed.
        let mut partial = frame.clone();
        let udp = datagram.udp();
        let sum = dpdkproj_core::wire::checksum::fold(datagram.pseudo_header(&frame));
        partial[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
        prop_assert!(verifier.check(&partial, frame.len(), true).is_err(), "it was not reflected");
        reflect(&mut partial, frame.len(), true).unwrap();
        prop_assert_eq!(&partial, &turned);
    }

    #[test]
    fn a_packet_without_a_hop_left_is_not_reflected(flow in flows(), hops in 0..2u8) {
        let packet = Packet::read(&built(&flow, 0, 1, 5, Checksums::SOFTWARE));
        let frame = packet.with(0, 0, 0, 0, hops).write();
        let mut same = frame.clone();
        prop_assert_eq!(reflect(&mut same, frame.len(), false).err(), Some(Counter::ForeignTtl));
        prop_assert_eq!(same, frame);
    }

    /// A flipped bit never makes a packet that is valid and says something else, whether it flips in front of
    /// the reflector or behind it.
    #[test]
    fn a_flipped_bit_makes_no_other_packet(
        flow in flows(), seq in 0..1u64 << 42, bit: prop::sample::Index, stamped: bool
    ) {
        let verifier = Verifier::new(&flow, Arc::new(Content::new(&flow, SEED)));
        let sent = built(&flow, 1, seq, 99, Checksums::SOFTWARE);
        let len = sent.len();
        let mut returned = sent.clone();
        let Reflected { datagram, .. } = reflect(&mut returned, len, false).unwrap();
        if stamped && flow.stamp {
            stamp::write(&mut returned, datagram, Stamp { queue: 1, seq, residence_ns: 5 });
        }
        let valid = verifier.check(&returned, len, false).unwrap();
        prop_assert!(valid.has_checksum);
        prop_assert_eq!(valid.stamp.is_some(), stamped && flow.stamp);
        let bit = bit.index(len * 8);
        let (at, mask) = (bit / 8, 1 << (bit % 8));

        let mut flipped = returned.clone();
        flipped[at] ^= mask;
        let found = verifier.check(&flipped, len, false);
        prop_assert!(found.is_err_and(|counter| counter != Counter::Duplicate) || is_uncovered(flow.layout(), at));
        let unchanged = found.map(|found| Arrival { changed: Changed::default(), ..found });
        prop_assert!(found.is_err() || unchanged == Ok(valid));

        let mut broken = sent.clone();
        broken[at] ^= mask;
        if reflect(&mut broken, len, false).is_ok() {
            let found = verifier.check(&broken, len, false);
            prop_assert!(found.is_err() || is_uncovered(flow.layout(), at), "{at}: {found:?}");
            let same = |found: Arrival| (found.header, found.flow) == (valid.header, valid.flow);
            prop_assert!(found.is_err() || found.is_ok_and(same));
        }
    }

    /// Over IPv6 UDP must have a checksum (RFC 8200, section 8.1).
    #[test]
    fn a_packet_without_a_checksum_is_valid_over_ipv4_only(flow in flows(), seq in 0..1u64 << 42) {
        let verifier = Verifier::new(&flow, Arc::new(Content::new(&flow, SEED)));
        let mut frame = built(&flow, 0, seq, 99, Checksums::SOFTWARE);
        let len = frame.len();
        reflect(&mut frame, len, false).unwrap();
        let udp = flow.layout().udp();
        frame[udp + 6..udp + 8].fill(0);
        match (flow.layout().ip, verifier.check(&frame, len, false)) {
            (IpVersion::V4, Ok(Arrival { has_checksum, .. })) => prop_assert!(!has_checksum),
            (IpVersion::V6, Err(counter)) => prop_assert_eq!(counter, Counter::CorruptUdpChecksum),
            (ip, found) => panic!("{ip:?}: {found:?}"),
        }
    }

    /// Truncated at any length, on the wire or because the rest is in another segment.
    #[test]
    fn a_truncated_packet_is_neither_valid_nor_reflected(flow in flows(), partial: bool) {
        let verifier = Verifier::new(&flow, Arc::new(Content::new(&flow, SEED)));
        let sent = built(&flow, 0, 3, 99, Checksums::SOFTWARE);
        let mut returned = sent.clone();
        reflect(&mut returned, sent.len(), false).unwrap();
        let lens = 0..sent.len();
        for len in lens.filter(|len| *len < 120 || sent.len() - len < 4) {
            for wire_len in [len, sent.len()] {
                let mut cut = sent[..len].to_vec();
                prop_assert!(reflect(&mut cut, wire_len, partial).is_err());
                prop_assert_eq!(&cut, &sent[..len]);
                prop_assert!(verifier.check(&returned[..len], wire_len, partial).is_err());
            }
        }
        // Padding behind it is fine.
        let mut padded = sent.clone();
        padded.extend([0xff; 9]);
        reflect(&mut padded, sent.len() + 9, partial).unwrap();
        prop_assert!(verifier.check(&padded, sent.len() + 9, partial).is_ok());
    }

    /// Frames with a few bytes changed: random ones would be refused at once.
    #[test]
    fn whatever_is_parsed_is_parsed_as_by_etherparse(
        flow in flows(), changes in prop::collection::vec((0..120usize, any::<u8>()), 0..6), cut in 0..200usize
    ) {
        let verifier = Verifier::new(&flow, Arc::new(Content::new(&flow, SEED)));
        let mut frame = built(&flow, 0, 3, 99, Checksums::SOFTWARE);
        for (at, to) in changes {
            if let Some(byte) = frame.get_mut(at) {
                *byte = to;
            }
        }
        frame.truncate(frame.len().saturating_sub(cut.saturating_sub(100)));
        let _ = verifier.check(&frame, frame.len(), true);
        if let Ok(datagram) = Datagram::parse(&frame, frame.len()) {
            let sliced = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(etherparse::TransportSlice::Udp(udp)) = sliced.transport else {
                return Err(TestCaseError::fail("etherparse sees no UDP"));
            };
            prop_assert_eq!(udp.payload(), &frame[datagram.payload()..datagram.end()]);
        }
        let len = frame.len();
        let before = frame.clone();
        if reflect(&mut frame, len, false).is_err() {
            prop_assert_eq!(before, frame);
        }
    }
}

#[test]
fn the_tests_above_see_all_layouts() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = Vec::new();
    for _ in 0..200 {
        let flow = flows().new_tree(&mut runner).unwrap().current();
        if !seen.contains(&flow.layout()) {
            seen.push(flow.layout());
        }
    }
    assert_eq!(seen.len(), Layout::ALL.len());
    assert!(seen.iter().any(|layout| layout.tags == Tags::Two && layout.ip == IpVersion::V6));
}

#[test]
fn packets_with_ipv6_extension_headers_are_not_reflected() {
    let flow = Flow {
        src_mac: Mac([2; 6]),
        dst_mac: Mac([4; 6]),
        vlans: Vlans::None,
        addresses: Addresses::V6 { src: [1; 16].into(), dst: [2; 16].into() },
        src_ports: PortRange::new(1, 1).unwrap(),
        dst_port: 7,
        payload_len: 64,
        streams: 1,
        traffic_class: 0,
        stamp: false,
    };
    for (next_header, reason) in [
        (IpNumber::IPV6_HEADER_HOP_BY_HOP, Counter::ForeignIpv6Extension),
        (IpNumber::IPV6_DESTINATION_OPTIONS, Counter::ForeignIpv6Extension),
        (IpNumber::IPV6_FRAGMENTATION_HEADER, Counter::ForeignFragment),
        (IpNumber::IPV6_ICMP, Counter::ForeignNotUdp),
    ] {
        let mut frame = built(&flow, 0, 3, 99, Checksums::SOFTWARE);
        frame[14 + 6] = next_header.0;
        let len = frame.len();
        assert_eq!(reflect(&mut frame, len, false).err(), Some(reason), "{next_header:?}");
    }
}
