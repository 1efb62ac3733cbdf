use super::*;
use crate::wire::checksum;
use crate::wire::flow::{Addresses, Mac, PortRange};
use crate::wire::layout::{IpVersion, Tags};
use crate::wire::stamp::STAMPED_LEN;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

/// Length of the headers of packets of [`flow`], in bytes.
pub(crate) const HEADERS_LEN: usize = Layout { tags: Tags::None, ip: IpVersion::V4 }.payload();

pub(crate) fn v4(src: [u8; 4], dst: [u8; 4]) -> Addresses {
    Addresses::V4 { src: src.into(), dst: dst.into() }
}

pub(crate) fn flow(payload_len: u16, streams: u16) -> Flow {
    Flow {
        src_mac: Mac([2, 0, 0, 0, 0, 1]),
        dst_mac: Mac([2, 0, 0, 0, 0, 2]),
        vlans: Vlans::None,
        addresses: v4([10, 1, 2, 3], [172, 16, 200, 254]),
        src_ports: PortRange::new(10000, 30000).unwrap(),
        dst_port: 10000,
        payload_len,
        streams,
        traffic_class: 0,
        stamp: false,
    }
}

/// `flow` with each layout of [`Layout::ALL`].
pub(crate) fn all_layouts(flow: &Flow) -> Vec<Flow> {
    let id = |id| VlanId::try_new(id).unwrap();
    let v6 = |last| [0xfd00, 0x1234, 0, 0xffff, 7, 0, 0x8000, last].into();
    let vlans = [Vlans::None, Vlans::One(id(5)), Vlans::Two { outer: id(4094), inner: id(1) }];
    let addresses = [flow.addresses, Addresses::V6 { src: v6(1), dst: v6(0xfffe) }];
    let flows = addresses
        .into_iter()
        .flat_map(|addresses| vlans.map(|vlans| Flow { vlans, addresses, ..*flow }));
    let flows: Vec<_> = flows.collect();
    assert_eq!(flows.iter().map(Flow::layout).collect::<Vec<_>>(), Layout::ALL);
    flows
}

pub(crate) fn template(flow: &Flow, stream: u16, seed: u64, checksums: Checksums) -> Template {
    Template::new(flow, Arc::new(Content::new(flow, seed)), stream, checksums)
}

fn written(template: &Template, seq: u64, time_ns: u64) -> Vec<u8> {
    let mut frame = vec![0xaa; template.frame_len()];
    template.prepare(seq, &mut frame);
    template.write(seq, time_ns, &[], &mut [&mut frame]);
    frame
}

/// A preliminary run and the run after it use the same mbufs.
#[test]
fn runs_with_the_filler_of_one_seed_share_prepared_buffers() {
    let flow = flow(300, 1);
    let [before, after] = [1, 2].map(|seed| {
        let content = Content::with_filler_of(&flow, seed, 9);
        Template::new(&flow, Arc::new(content), 0, Checksums::SOFTWARE)
    });
    let mut frame = written(&before, 5, 6);
    assert!(after.is_prepared(&frame));
    after.write(5, 6, &[], &mut [&mut frame]);
    let mut fresh = vec![0; after.frame_len()];
    after.prepare(5, &mut fresh);
    after.write(5, 6, &[], &mut [&mut fresh]);
    assert_eq!(frame, fresh);
    assert_ne!(frame, written(&before, 5, 6), "the tags differ");
}

#[test]
fn a_buffer_is_prepared_once_for_all_of_its_packets() {
    for payload_len in [16, 17, 18, 19, 300] {
        let flow = flow(payload_len, 1);
        let template = template(&flow, 0, 7, Checksums::SOFTWARE);
        let mut frame = vec![0xaa; template.frame_len()];
        template.prepare(5, &mut frame);
        for seq in [9, 1 << 30, 3] {
            template.write(seq, seq * 3, &[], &mut [&mut frame]);
            assert!(template.is_prepared(&frame));
            let mut fresh = vec![0; template.frame_len()];
            template.prepare(5, &mut fresh);
            template.write(seq, seq * 3, &[], &mut [&mut fresh]);
            assert_eq!(frame, fresh);
        }
        // A peer that reflects the packet in the same buffer does not change the filler.
        frame[..HEADERS_LEN].fill(0xff);
        assert!(template.is_prepared(&frame));
        if payload_len > 16 && payload_len != 18 {
            *frame.last_mut().unwrap() ^= 1;
            assert!(!template.is_prepared(&frame));
        }
    }
}

#[test]
fn a_burst_is_written_as_if_each_packet_were_its_first() {
    let ports = PortRange::new(65533, 65535).unwrap();
    let flow = Flow { src_ports: ports, ..flow(40, 1) };
    let template = template(&flow, 0, 7, Checksums::SOFTWARE);
    for first in [0, 5, (1 << 32) - 4, (3 << 32) - 1] {
        let mut alone = vec![vec![0; template.frame_len()]; 10];
        for frame in &mut alone {
            template.prepare(3, frame);
        }
        let mut together = alone.clone();
        for (seq, frame) in (first..).zip(&mut alone) {
            template.write(seq, 9, &[4], &mut [frame]);
        }
        template.write(first, 9, &[4; 10], &mut together);
        assert_eq!(alone, together);
    }
}

#[test]
fn what_is_too_short_is_not_prepared() {
    let template = template(&flow(40, 1), 0, 7, Checksums::SOFTWARE);
    let frame = written(&template, 5, 6);
    assert!((0..frame.len()).all(|len| !template.is_prepared(&frame[..len])));
}

#[test]
fn a_single_packet_is_as_etherparse_builds_it() {
    let flow = flow(16, 1);
    let payload = [7; 33];
    let mut frame = [0xaa; HEADERS_LEN + 33];
    write_single(&flow, &payload, Checksums::SOFTWARE, &mut frame);
    let mut expected = Vec::new();
    let mut ipv4 = Ipv4Header::new(0, 64, IpNumber::UDP, [10, 1, 2, 3], [172, 16, 200, 254]);
    ipv4.as_mut().unwrap().dont_fragment = true;
    let ipv4 = etherparse::IpHeaders::Ipv4(ipv4.unwrap(), etherparse::Ipv4Extensions::default());
    etherparse::PacketBuilder::ethernet2(flow.src_mac.0, flow.dst_mac.0)
        .ip(ipv4)
        .udp(10000, 10000)
        .write(&mut expected, &payload)
        .unwrap();
    assert_eq!(&frame[..], &expected[..]);
}

proptest! {
    #[test]
    fn etherparse_agrees_with_every_field(
        payload_len in 16..1500u16, seq in 0..(1u64 << 48), time: u64, seed: u64, stream in 0..3u16,
        stamp: bool
    ) {
        let stamp = stamp && usize::from(payload_len) >= STAMPED_LEN;
        let flow = Flow { stamp, ..flow(payload_len, 3) };
        let frame = written(&template(&flow, stream, seed, Checksums::SOFTWARE), seq, time);
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        let ethernet = Ethernet2Header::from_slice(&frame).unwrap().0;
        prop_assert_eq!(ethernet.source, flow.src_mac.0);
        prop_assert_eq!(ethernet.destination, flow.dst_mac.0);
        let Some(NetSlice::Ipv4(ipv4)) = packet.net else { panic!("no IPv4") };
        let header = ipv4.header().to_header();
        prop_assert_eq!(header.source, [10, 1, 2, 3]);
        prop_assert_eq!(header.destination, [172, 16, 200, 254]);
        prop_assert_eq!(header.header_checksum, header.calc_header_checksum());
        prop_assert_eq!(header.total_len, payload_len + 28);
        let Some(TransportSlice::Udp(udp)) = packet.transport else { panic!("no UDP") };
        prop_assert_eq!(udp.destination_port(), flow.dst_port);
        prop_assert_eq!(udp.source_port(), flow.sweeps()[usize::from(stream)].run_from(seq).first);
        prop_assert_eq!(usize::from(udp.length()), usize::from(payload_len) + 8);
        let checksum = udp.to_header().calc_checksum_ipv4(&header, udp.payload()).unwrap();
        prop_assert_eq!(udp.checksum(), checksum);
    }

    /// With either offload or both, the field holds what DPDK requires, and the checksum that the port
    /// computes equals the one in software. The same holds for single packets.
    #[test]
    fn a_port_finishes_what_is_left_to_it(
        payload_len in 16..1500u16, seq in 0..(1u64 << 48), ipv4_by_port: bool, udp_by_port: bool
    ) {
        let flow = flow(payload_len, 1);
        let by_port = Checksums { ipv4_by_port, udp_by_port };
        let frame = |checksums| written(&template(&flow, 0, 1, checksums), seq, 5);
        let single = |checksums| {
            let mut frame = vec![0; HEADERS_LEN + usize::from(payload_len)];
            write_single(&flow, &vec![7; usize::from(payload_len)], checksums, &mut frame);
            frame
        };
        for (expected, mut left) in [
            (frame(Checksums::SOFTWARE), frame(by_port)),
            (single(Checksums::SOFTWARE), single(by_port)),
        ] {
            let address_sum = checksum::sum(&left[26..34]);
            let pseudo_header = fold(checksum::udp_pseudo_header(address_sum, payload_len + 8));
            if ipv4_by_port {
                prop_assert_eq!(&left[24..26], &[0, 0]);
                let ipv4 = checksum::finish(checksum::sum(&left[14..34]));
                left[24..26].copy_from_slice(&ipv4.to_be_bytes());
            }
            if udp_by_port {
                prop_assert_eq!(&left[40..42], &pseudo_header.to_be_bytes());
                let udp = checksum::finish_udp(checksum::sum(&left[34..]));
                left[40..42].copy_from_slice(&udp.to_be_bytes());
            }
            prop_assert_eq!(expected, left);
        }
    }
}
