use super::*;
use crate::wire::control::{Question, ask};
use crate::wire::flow::PortRange;
use crate::wire::layout::IpVersion;
use crate::wire::payload::HEADER_AND_OFFSET_LEN;
use crate::wire::reflect::reflect;
use crate::wire::stamp::STAMP;
use crate::wire::stamp::STAMPED_LEN;
use crate::wire::template::tests::{HEADERS_LEN, all_layouts, flow, template, v4};
use crate::wire::template::{Checksums, Template, write_single};
use proptest::prelude::*;

const UDP: usize = HEADERS_LEN - 8;
const SHORTEST_LEN: usize = HEADERS_LEN + HEADER_LEN;

const SEED: u64 = 99;

fn reflected(template: &Template, seq: u64, time_ns: u64) -> Vec<u8> {
    let mut frame = vec![0; template.frame_len()];
    template.prepare(seq, &mut frame);
    template.write(seq, time_ns, &[9], &mut [&mut frame]);
    let len = frame.len();
    reflect(&mut frame, len, false).unwrap();
    frame
}

fn verifier(flow: &Flow) -> Verifier {
    Verifier::new(flow, Arc::new(Content::new(flow, SEED)))
}

fn check(verifier: &Verifier, frame: &[u8]) -> Result<Arrival, Counter> {
    verifier.check(frame, frame.len(), false)
}

proptest! {
    #[test]
    fn what_was_sent_and_reflected_is_valid(
        payload_len in 16..1500u16, seq in 0..(1u64 << 42), time: u64, stream in 0..4u16, stamp: bool
    ) {
        let stamp = stamp && usize::from(payload_len) >= STAMPED_LEN;
        let flow = Flow { stamp, ..flow(payload_len, 4) };
        let frame = reflected(&template(&flow, stream, SEED, Checksums::SOFTWARE), seq, time);
        let Arrival { header, flow, stamp, .. } = check(&verifier(&flow), &frame).unwrap();
        prop_assert_eq!((header.lateness, flow.stream, stamp), (9, stream, None));
        prop_assert_eq!(header.id.seq, seq);
        prop_assert_eq!(header.id.stream, stream);
        prop_assert_eq!(header.time48_ns, time & ((1 << 48) - 1));
    }

    /// Fast path and slow path agree on valid and on invalid frames.
    #[test]
    fn the_usual_is_no_exception(
        payload_len in 16..70u16, seq in 0..(1u64 << 42), stream in 0..4u16, stamp: bool,
        bit in 0..2000usize, cut in 0..3usize, layout in 0..6usize
    ) {
        let stamp = stamp && usize::from(payload_len) >= STAMPED_LEN;
        let flow = all_layouts(&Flow { stamp, ..flow(payload_len, 4) })[layout];
        let verifier = verifier(&flow);
        let mut frame = reflected(&template(&flow, stream, SEED, Checksums::SOFTWARE), seq, 7);
        let usual = verifier.check_usual(&frame);
        prop_assert!(usual.is_some());
        prop_assert_eq!(verifier.check_any(&frame, frame.len(), false).ok(), usual);
        let bit = bit % (frame.len() * 8);
        frame[bit / 8] ^= 1 << (bit % 8);
        frame.truncate(frame.len() - cut);
        if let Some(usual) = verifier.check_usual(&frame) {
            prop_assert_eq!(verifier.check_any(&frame, frame.len(), false), Ok(usual));
        }
    }

    #[test]
    fn who_has_seen_nothing_yet_is_not_fooled(
        layout in 0..6usize, at: prop::sample::Index, to: u8, zero: bool
    ) {
        let flow = all_layouts(&flow(40, 1))[layout];
        let mut frame = reflected(&template(&flow, 0, SEED, Checksums::SOFTWARE), 5, 7);
        let original = frame.clone();
        let beginning = &mut frame[12..flow.layout().udp() + 2];
        if zero {
            beginning.fill(0);
        } else {
            let at = at.index(beginning.len());
            beginning[at] = to;
        }
        let is_right = (0..frame.len()).all(|at| {
            let differences = frame[at] ^ original[at];
            differences & !free_bits(flow.layout(), at) == 0
        });
        prop_assert_eq!(check(&verifier(&flow), &frame).is_ok(), is_right);
    }

    /// Tag and checksum are correct; only the filler offset is none that senders use.
    #[test]
    fn an_offset_that_is_none_is_corrupt(payload_len in 18..60u16, bit in 0..16u16, seq in 0..1u64 << 40) {
        let flow = flow(payload_len, 1);
        let verifier = verifier(&flow);
        let mut frame = reflected(&template(&flow, 0, SEED, Checksums::SOFTWARE), seq, 7);
        let Content { key, .. } = &*verifier.content;
        let header = check(&verifier, &frame).unwrap().header;
        let offset = be16(&frame, SHORTEST_LEN) ^ 1 << bit;
        let words = key.encode(header, offset);
        frame[SHORTEST_LEN..SHORTEST_LEN + 2].copy_from_slice(&offset.to_be_bytes());
        frame[HEADERS_LEN..HEADERS_LEN + 8].copy_from_slice(&words[0].to_be_bytes());
        frame[HEADERS_LEN + 8..SHORTEST_LEN].copy_from_slice(&words[1].to_be_bytes());
        let sum = verifier.content.udp_sum.checksum(
            be16(&frame, UDP + 2),
            words[0],
            checksum::words(words[1]) + verifier.content.filler.sum_with_offset(offset),
        );
        frame[UDP + 6..HEADERS_LEN].copy_from_slice(&sum.to_be_bytes());
        let is_one = verifier.content.filler.slice(offset).is_some();
        if !is_one || payload_len > 40 {
            prop_assert_eq!(check(&verifier, &frame), Err(Counter::CorruptFiller));
        }
    }

    #[test]
    fn the_headers_of_a_right_packet_are_remembered(
        layout in 0..6usize, seqs in prop::collection::vec(0..1u64 << 40, 2..5)
    ) {
        let flow = all_layouts(&flow(40, 1))[layout];
        let verifier = verifier(&flow);
        let template = template(&flow, 0, SEED, Checksums::SOFTWARE);
        let mut remembered = None;
        for seq in seqs {
            prop_assert!(verifier.check_usual(&reflected(&template, seq, seq)).is_some());
            let right = verifier.right.words.each_ref().map(Cell::get);
            prop_assert!(remembered.replace(right).is_none_or(|before| before == right));
            prop_assert!(verifier.right.is_known.get());
        }
    }

    /// A peer or a router may change these fields in every packet.
    #[test]
    fn other_ids_and_times_to_live_are_usual(fields in prop::collection::vec(any::<(u16, u8)>(), 2..5)) {
        let flow = flow(40, 1);
        let verifier = verifier(&flow);
        let mut frame = reflected(&template(&flow, 0, SEED, Checksums::SOFTWARE), 5, 7);
        for (id, ttl) in fields {
            frame[18..20].copy_from_slice(&id.to_be_bytes());
            frame[22] = ttl;
            frame[24..26].fill(0);
            let sum = checksum::finish(checksum::sum(&frame[14..UDP]));
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
            prop_assert!(verifier.check_usual(&frame).is_some());
            frame[24] ^= 1;
            prop_assert_eq!(check(&verifier, &frame), Err(Counter::CorruptIpv4Checksum));
        }
    }

    #[test]
    fn any_bytes_are_judged_without_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..120usize, to: u8
    ) {
        let flow = flow(40, 1);
        let verifier = verifier(&flow);
        prop_assert!(check(&verifier, &bytes).is_err());
        let mut frame = reflected(&template(&flow, 0, SEED, Checksums::SOFTWARE), 1, 2);
        let at = at % frame.len();
        frame[at] = to;
        frame.truncate(frame.len() - bytes.len().min(frame.len()));
        let _ = check(&verifier, &frame);
    }
}

/// The bits of the byte at `at` that a network may rewrite and that only the FCS covers: MAC addresses,
/// the priority in VLAN tags, and traffic class, flow label and hop limit of IPv6.
fn free_bits(layout: Layout, at: usize) -> u8 {
    let ip = layout.l2_len();
    let is_v6 = layout.ip == IpVersion::V6;
    match at {
        _ if at < 12 => 0xff,
        _ if (14..ip).contains(&at) && at % 4 == 2 => 0xf0,
        _ if is_v6 && at == ip => 0x0f,
        _ if is_v6 && (ip + 1..ip + 4).contains(&at) => 0xff,
        _ if is_v6 && at == ip + 7 => 0xff,
        _ => 0,
    }
}

#[test]
fn every_flipped_bit_is_corrupt() {
    for (payload_len, stamp) in
        [(16, false), (17, false), (18, false), (19, false), (64, false), (34, true), (301, true)]
    {
        for flow in all_layouts(&Flow { stamp, ..flow(payload_len, 1) }) {
            every_flipped_bit_is_corrupt_in(&flow);
        }
    }
}

fn every_flipped_bit_is_corrupt_in(flow: &Flow) {
    let layout = flow.layout();
    let verifier = verifier(flow);
    let template = template(flow, 0, SEED, Checksums::SOFTWARE);
    for seq in 0..if layout == Layout::default() { 50 } else { 4 } {
        let mut frame = reflected(&template, seq, seq * 77);
        if flow.stamp && seq % 2 == 0 {
            let udp = Datagram::parse(&frame, frame.len()).unwrap();
            let stamp = Stamp { queue: 3, seq, residence_ns: 9 };
            super::super::stamp::write(&mut frame, udp, stamp);
        }
        let valid = check(&verifier, &frame);
        assert!(valid.is_ok());
        for bit in 12 * 8..frame.len() * 8 {
            let (at, mask) = (bit / 8, 1 << (bit % 8));
            let mut flipped = frame.clone();
            flipped[at] ^= mask;
            let found = check(&verifier, &flipped);
            let is_vlan = (14..layout.l2_len()).contains(&at) && at % 4 > 1;
            if free_bits(layout, at) & mask != 0 {
                let unchanged = |found: Arrival| Arrival { changed: Changed::default(), ..found };
                assert_eq!(found.map(unchanged), valid, "bit {bit} of {flow:?}");
                // The traffic class lies in the first two bytes; its last two bits are the ECN field.
                let ip = layout.l2_len();
                let dscp = at == ip || (at == ip + 1 && mask >= 0x40);
                let ecn = at == ip + 1 && [0x10, 0x20].contains(&mask);
                let is_v6 = layout.ip == IpVersion::V6;
                let changed = Changed { dscp: is_v6 && dscp, ecn: is_v6 && ecn };
                assert_eq!(found.map(|found| found.changed), Ok(changed), "bit {bit}");
            } else if is_vlan {
                assert_eq!(found, Err(Counter::ForeignVlan), "bit {bit} of {flow:?}");
            } else {
                let corrupt = found.is_err_and(Counter::is_corrupt);
                assert!(corrupt, "bit {bit} of {flow:?}: {found:?}");
            }
        }
    }
}

#[test]
fn packets_of_another_layout_are_foreign() {
    let flows = all_layouts(&flow(64, 1));
    for (ours, theirs) in flows.iter().flat_map(|ours| flows.iter().map(move |one| (ours, one))) {
        let frame = reflected(&template(theirs, 0, SEED, Checksums::SOFTWARE), 5, 6);
        let found = check(&verifier(ours), &frame);
        let expected = match (ours.layout().ip, theirs.layout().ip) {
            (IpVersion::V4, IpVersion::V6) => Some(Counter::ForeignIpv6),
            (IpVersion::V6, IpVersion::V4) => Some(Counter::ForeignIpv4),
            _ => (ours.layout() != theirs.layout()).then_some(Counter::ForeignVlan),
        };
        assert_eq!(found.err(), expected);
    }
}

/// Of so many, four have a matching tag by chance.
#[test]
fn tags_that_match_by_chance_are_not_taken_for_ours() {
    let flows = all_layouts(&flow(64, 1));
    let (ours, theirs) = (&flows[0], &flows[1]);
    let mut frame = reflected(&template(theirs, 0, SEED, Checksums::SOFTWARE), 5, 6);
    let verifier = verifier(ours);
    let mut state = 1u64;
    for turn in 0..4 * 65536 {
        // Knuth's MMIX generator.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = ours.layout().payload();
        frame[at..at + 8].copy_from_slice(&state.rotate_left(32).to_be_bytes());
        assert_eq!(check(&verifier, &frame).err(), Some(Counter::ForeignVlan), "{turn}");
    }
}

#[test]
fn every_cut_is_corrupt_as_long_as_our_tag_is_there() {
    let flow = flow(64, 1);
    let frame = reflected(&template(&flow, 0, SEED, Checksums::SOFTWARE), 5, 6);
    for len in 0..frame.len() {
        let counter = check(&verifier(&flow), &frame[..len]).unwrap_err();
        let with_tag = len >= HEADERS_LEN + HEADER_AND_OFFSET_LEN;
        assert_eq!(counter == Counter::CorruptLength, with_tag, "{len}: {counter:?}");
    }
}

#[test]
fn padding_behind_the_datagram_is_fine() {
    let flow = flow(16, 1);
    let mut frame = reflected(&template(&flow, 0, SEED, Checksums::SOFTWARE), 5, 6);
    frame.extend([0xff; 2]);
    assert!(check(&verifier(&flow), &frame).is_ok());
}

#[test]
fn others_are_foreign() {
    let ours = flow(64, 1);
    let verifier = verifier(&ours);
    let other_seed = reflected(&template(&ours, 0, SEED + 1, Checksums::SOFTWARE), 5, 6);
    assert_eq!(check(&verifier, &other_seed), Err(Counter::ForeignRun));
    let longer = flow(80, 1);
    let other_size = reflected(&template(&longer, 0, SEED + 1, Checksums::SOFTWARE), 5, 6);
    assert_eq!(check(&verifier, &other_size), Err(Counter::ForeignRun));
    let mut other_flow = ours;
    other_flow.addresses = v4([10, 1, 2, 3], [9, 9, 9, 9]);
    let frame = reflected(&template(&other_flow, 0, SEED, Checksums::SOFTWARE), 5, 6);
    assert_eq!(check(&verifier, &frame), Err(Counter::ForeignAddress));
    // The same, without our tag.
    let frame = reflected(&template(&other_flow, 0, SEED + 1, Checksums::SOFTWARE), 5, 6);
    assert_eq!(check(&verifier, &frame), Err(Counter::ForeignFlow));
    // Not reflected at all: our own packet comes back unchanged.
    let mut frame = vec![0; 106];
    let template = template(&ours, 0, SEED, Checksums::SOFTWARE);
    template.prepare(1, &mut frame);
    template.write(1, 2, &[], &mut [&mut frame]);
    assert_eq!(check(&verifier, &frame), Err(Counter::ForeignAddress));
    assert_eq!(check(&verifier, &[0xff; 60]), Err(Counter::ForeignEthertype));
}

#[test]
fn a_stamp_is_read() {
    let flow = Flow { stamp: true, ..flow(64, 1) };
    let mut frame = reflected(&template(&flow, 0, SEED, Checksums::SOFTWARE), 5, 6);
    let stamp = Stamp { queue: 3, seq: 1 << 40, residence_ns: 12_345 };
    let udp = Datagram::parse(&frame, frame.len()).unwrap();
    super::super::stamp::write(&mut frame, udp, stamp);
    assert_eq!(check(&verifier(&flow), &frame).unwrap().stamp, Some(stamp));
}

/// With any payload length, that of control packets included.
#[test]
fn a_control_packet_is_known() {
    let payload = ask(Question { run: 1, number: 2 });
    for payload_len in [16, u16::try_from(payload.len()).unwrap()] {
        for flow in all_layouts(&flow(payload_len, 1)) {
            let mut frame = vec![0; flow.layout().payload() + payload.len()];
            write_single(&flow, &payload, Checksums::SOFTWARE, &mut frame);
            let len = frame.len();
            reflect(&mut frame, len, false).unwrap();
            assert_eq!(check(&verifier(&flow), &frame), Err(Counter::ControlReceived));
            frame[flow.layout().payload() + 18] ^= 1;
            assert!(check(&verifier(&flow), &frame).unwrap_err().is_corrupt());
        }
    }
}

/// A UDP checksum of 0 means none (RFC 768).
#[test]
fn without_a_checksum_tag_filler_and_lengths_decide() {
    for (payload_len, stamp) in [(16, false), (17, false), (18, false), (64, false), (301, true)] {
        let flow = Flow { stamp, ..flow(payload_len, 1) };
        let verifier = verifier(&flow);
        let template = template(&flow, 0, SEED, Checksums::SOFTWARE);
        for seq in 0..20 {
            let mut frame = reflected(&template, seq, seq * 77);
            let with = check(&verifier, &frame).unwrap();
            assert!(with.has_checksum);
            frame[UDP + 6..UDP + 8].fill(0);
            assert_eq!(check(&verifier, &frame), Ok(Arrival { has_checksum: false, ..with }));
            for bit in 12 * 8..frame.len() * 8 {
                let at = bit / 8;
                let is_of_stamp =
                    stamp && (HEADERS_LEN + STAMP..HEADERS_LEN + STAMPED_LEN).contains(&at);
                let is_free = (UDP + 6..UDP + 8).contains(&at) || is_of_stamp;
                let mut flipped = frame.clone();
                flipped[at] ^= 1 << (bit % 8);
                if !is_free {
                    let found = check(&verifier, &flipped);
                    assert!(found.is_err(), "bit {bit} of {payload_len}: {found:?}");
                }
            }
        }
    }
}

/// A middlebox that updates checksums incrementally may turn 0xffff into 0, which are equal in one's
/// complement. An IPv4 checksum of 0 does not mean none: it is verified like any other.
#[test]
fn zero_has_two_forms() {
    let flow = flow(16, 1);
    let verifier = verifier(&flow);
    let template = template(&flow, 0, SEED, Checksums::SOFTWARE);
    let mut frames = (0..1 << 20).map(|seq| reflected(&template, seq, 5));
    let mut frame = frames.find(|frame| be16(frame, UDP + 6) == 0xffff).unwrap();
    assert!(check(&verifier, &frame).unwrap().has_checksum);
    frame[UDP + 6..UDP + 8].fill(0);
    assert!(!check(&verifier, &frame).unwrap().has_checksum);
    // Choose the identification so that the other words of the header sum to 0xffff.
    let ip_sum = checksum::fold(checksum::sum(&frame[14..UDP]));
    assert_eq!(ip_sum, 0xffff);
    let rest = checksum::sum(&frame[14..UDP]) - u64::from(be16(&frame, 24));
    let id = be16(&frame, 18);
    let wanted = checksum::fold(u64::from(!checksum::fold(rest - u64::from(id))));
    frame[18..20].copy_from_slice(&wanted.to_be_bytes());
    for zero in [0u16, 0xffff] {
        frame[24..26].copy_from_slice(&zero.to_be_bytes());
        assert!(check(&verifier, &frame).is_ok(), "{zero:x}");
    }
    frame[24..26].copy_from_slice(&1u16.to_be_bytes());
    assert_eq!(check(&verifier, &frame), Err(Counter::CorruptIpv4Checksum));
}

#[test]
fn a_partial_checksum_is_valid_only_where_the_port_delivers_them() {
    let flow = flow(64, 1);
    let verifier = verifier(&flow);
    let mut frame = reflected(&template(&flow, 0, SEED, Checksums::SOFTWARE), 5, 6);
    let udp = Datagram::parse(&frame, frame.len()).unwrap();
    let partial = checksum::fold(udp.pseudo_header(&frame));
    frame[40..42].copy_from_slice(&partial.to_be_bytes());
    assert!(verifier.check(&frame, frame.len(), true).is_ok());
    assert_eq!(check(&verifier, &frame), Err(Counter::CorruptUdpChecksum));
    frame[41] ^= 1;
    assert_eq!(verifier.check(&frame, frame.len(), true), Err(Counter::CorruptUdpChecksum));
}

/// Long bursts that cross the end of port runs and the wrap of the sequence number in the packets.
fn bursts() -> impl Strategy<Value = (Flow, u16, u64)> {
    let payload_len = prop::sample::select(vec![16u16, 17, 18, 34, 300]);
    let first = prop_oneof![0..9u64, (1u64 << 32) - 30..(1 << 32), (1u64 << 42) - 30..(1 << 42)];
    (payload_len, any::<bool>(), 1..4u16, 1..6u16, 0..3u16, first).prop_map(
        |(payload_len, stamp, streams, ports, stream, first)| {
            let stamp = stamp && usize::from(payload_len) >= STAMPED_LEN;
            let src_ports = PortRange::new(500, 499 + ports).unwrap();
            let flow = Flow { src_ports, stamp, ..flow(payload_len, streams) };
            (flow, stream % streams, first)
        },
    )
}

proptest! {
    #[test]
    fn each_packet_of_a_burst_says_what_was_meant((flow, stream, first) in bursts()) {
        let verifier = verifier(&flow);
        let template = template(&flow, stream, SEED, Checksums::SOFTWARE);
        let mut frames = vec![vec![0; template.frame_len()]; 40];
        for (index, frame) in (0..).zip(&mut frames) {
            template.prepare(index, frame);
        }
        let latenesses: Vec<_> = (0..40).collect();
        template.write(first, 77, &latenesses, &mut frames);
        for (index, frame) in (0..).zip(&mut frames) {
            let len = frame.len();
            reflect(frame, len, false).unwrap();
            let header = check(&verifier, frame).unwrap().header;
            prop_assert_eq!(header.id.stream, stream);
            prop_assert_eq!(header.id.seq, (first + u64::from(index)) % (1 << 42));
            prop_assert_eq!((header.lateness, header.time48_ns), (index, 77));
        }
    }
}
