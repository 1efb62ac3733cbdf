//! Packets that are like the one before are judged as they would be alone.

use super::*;

proptest! {
    #[test]
    fn what_is_predicted_is_what_would_be_found(
        bursts in prop::collection::vec(prop::collection::vec(came(), 0..12), 1..12),
        partial_checksums: bool,
        only_v4: bool,
    ) {
        let answered = || Answered { partial_checksums, ..if only_v4 { flow_alone() } else { all() } };
        let [mut one, mut another] = [(); 2].map(|()| Rig::answering(answered()));
        for burst in bursts {
            prop_assert_eq!(one.burst(&burst, true), another.burst(&burst, false));
        }
        for collector in [&mut one.collector, &mut another.collector] {
            collector.finish(&mut |_| ());
        }
        prop_assert_eq!(one.collector.totals().counts, another.collector.totals().counts);
    }
}

/// Flips each bit in turn.
#[test]
fn packets_that_differ_in_nothing_that_parsing_looks_at_are_predicted() {
    for flow in all_layouts(&flow(60, 1)) {
        let mut rig = Rig::new(false);
        let first = packet(&flow, &[1; 60]);
        assert!(!rig.predicts(&first));
        rig.burst(std::slice::from_ref(&first), true);
        assert!(rig.predicts(&first));
        let (ip, udp) = (flow.layout().l2_len(), flow.layout().udp());
        // Types, version, lengths and protocol; of IPv4 also the fragment fields (and the reserved
        // flag).
        let looked_at = |at: usize| match flow.layout().ip {
            _ if at < ip => {
                if at < 12 || at % 4 > 1 {
                    0
                } else {
                    0xff
                }
            }
            _ if (udp + 4..udp + 6).contains(&at) => 0xff,
            IpVersion::V4 if at == ip + 6 => 0xbf,
            IpVersion::V4 if [0, 2, 3, 7, 9].contains(&(at - ip)) => 0xff,
            IpVersion::V6 if at == ip => 0xf0,
            IpVersion::V6 if [4, 5, 6].contains(&(at - ip)) => 0xff,
            _ => 0,
        };
        for bit in 0..first.frame.len() * 8 {
            let (at, mask) = (bit / 8, 1 << (bit % 8));
            let mut other = first.clone();
            other.frame[at] ^= mask;
            let parses_alike = looked_at(at) & mask == 0;
            assert_eq!(rig.predicts(&other), parses_alike, "{flow:?}: {bit}");
            let is_of_flow = parses_alike && at >= 12 && key(&other) == key(&first);
            assert_eq!(rig.predicts_flow(&other), is_of_flow, "{flow:?}: {bit}");
        }
        assert!(!rig.predicts(&Came { wire_len: first.wire_len - 1, ..first }));
    }
}

fn key(Came { frame, wire_len }: &Came) -> Option<FlowKey> {
    Datagram::parse(frame, *wire_len).ok().map(|datagram| FlowKey::of(frame, datagram))
}

/// Flips each bit in turn, of two packets in a row between others that are as they were.
#[test]
fn a_packet_among_others_of_its_flow_is_judged_as_it_is_alone() {
    for flow in all_layouts(&flow(60, 1)) {
        let first = packet(&flow, &[1; 60]);
        for bit in 0..(flow.layout().payload() + 8) * 8 {
            let mut other = first.clone();
            other.frame[bit / 8] ^= 1 << (bit % 8);
            let burst = [&first, &other, &other, &first, &first].map(Clone::clone);
            let [one, another] = [true, false].map(|predicts| {
                let mut rig = Rig::answering(flow_alone());
                rig.register(&flow);
                rig.burst(&burst, predicts)
            });
            assert_eq!(one, another, "{flow:?}: {bit}");
        }
    }
}

#[test]
fn a_flow_that_is_registered_is_no_longer_predicted_to_be_unknown() {
    let mut rig = Rig::new(false);
    let flow = flow(60, 1);
    let packets = [packet(&flow, &[1; 60]), packet(&flow, &[2; 60])];
    assert!(rig.burst(&packets, true).iter().all(|packet| packet.2 == NO_FLOW));
    rig.register(&flow);
    assert!(rig.burst(&packets, true).iter().all(|packet| packet.2 == 0));
}
