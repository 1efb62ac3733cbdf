mod prediction;

use super::*;
use crate::control::flows::{Flows, Registrar};
use crate::count::{Board, Role, Shape};
use crate::run::Collector;
use crate::wire::flow::{Addresses, Flow};
use crate::wire::layout::IpVersion;
use crate::wire::stamp;
use crate::wire::template::tests::{HEADERS_LEN, all_layouts, flow, template, v4};
use crate::wire::template::{Checksums, write_single};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

struct One<'a> {
    bytes: &'a mut [u8],
    wire_len: usize,
    became: Option<(Verdict, u16)>,
}

impl Judged for One<'_> {
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }

    fn wire_len(&self) -> usize {
        self.wire_len
    }

    fn judge(&mut self, verdict: Verdict, slot: u16) {
        self.became = Some((verdict, slot));
    }
}

/// A burst of one.
pub(crate) fn reflect(
    reflector: &mut Reflector,
    now_ns: u64,
    bytes: &mut [u8],
    wire_len: usize,
) -> (Verdict, u16) {
    let mut one = [One { bytes, wire_len, became: None }];
    reflector.reflect(now_ns, &mut one);
    one[0].became.unwrap()
}

/// Every host, on every port.
fn all() -> Answered {
    Answered { udp_ports: PortRange::ALL, allowed: Allowed::default(), partial_checksums: false }
}

/// Only the host that sends the packets of [`flow`].
fn flow_alone() -> Answered {
    let Addresses::V4 { src, .. } = flow(60, 1).addresses else { panic!("it is IPv4") };
    Answered { allowed: Allowed::new(&[IpAddr::from(src).into()]), ..all() }
}

struct Rig {
    reflector: Reflector,
    registrar: Registrar,
    collector: Collector,
}

impl Rig {
    fn new(partial_checksums: bool) -> Self {
        Self::answering(Answered { partial_checksums, ..all() })
    }

    fn answering(answered: Answered) -> Self {
        let shape = Shape { interval_ns: 1_000_000, intervals: 8, window: 1 };
        let board = Board::new(shape, &[Role::Count]);
        let flows = Flows::new(1, 5);
        let counter = FlowCounter::new(Arc::clone(&flows), 0);
        Self {
            reflector: Reflector::new(board.recorder(0), counter, 0, answered, None),
            registrar: Registrar::new(flows),
            collector: Collector::new(board, 0),
        }
    }

    /// Registers `flow`, so that it is counted separately.
    fn register(&mut self, flow: &Flow) {
        let Came { frame, wire_len } = question(flow);
        let udp = Datagram::parse(&frame, wire_len).unwrap();
        assert!(self.registrar.ask(FlowKey::of(&frame, udp), 0));
    }

    fn predicts(&self, Came { frame, wire_len }: &Came) -> bool {
        let layout = Layout::announced_by(frame).unwrap_or_default();
        self.reflector.layout == layout
            && for_layout!(layout, H => self.reflector.predicted.parses_alike::<H>(frame, *wire_len))
    }

    fn predicts_flow(&self, Came { frame, wire_len }: &Came) -> bool {
        let layout = Layout::announced_by(frame).unwrap_or_default();
        self.reflector.layout == layout
            && for_layout!(layout, H => self.reflector.predicted.is_of_flow::<H>(frame, *wire_len))
    }

    /// The result of a burst, of which the driver accepts all packets but the last. Without
    /// `predicts`, each packet is examined as if it were the first.
    fn burst(&mut self, frames: &[Came], predicts: bool) -> Vec<(Vec<u8>, Verdict, u16, bool)> {
        self.reflector.poll(1000);
        let mut became = Vec::new();
        for Came { frame, wire_len } in frames {
            if !predicts {
                self.reflector.predicted = Prediction::NONE;
            }
            let mut frame = frame.clone();
            let (verdict, slot) = reflect(&mut self.reflector, 1000, &mut frame, *wire_len);
            became.push((frame, verdict, slot, self.reflector.wants_stamps()));
        }
        self.reflector.begin_stamps();
        for (frame, verdict, slot, wants_stamps) in &mut became {
            if *wants_stamps && *verdict == Verdict::Send {
                self.reflector.stamp(frame, *slot, 5);
            }
        }
        let kept = || became.iter().filter(|packet| packet.1 == Verdict::Send);
        assert_eq!(kept().count() < became.len(), self.reflector.drops());
        let accepted = u16::try_from(kept().count().saturating_sub(1)).unwrap();
        self.reflector.sent(frames.len() as u64, kept().map(|packet| packet.2), accepted);
        self.reflector.refused_behind(kept().map(|packet| packet.2), accepted);
        for (came, (frame, ..)) in
            frames.iter().zip(&became).filter(|(_, (_, verdict, ..))| *verdict == Verdict::Slow)
        {
            assert_eq!(came.frame, *frame, "the control thread gets it as it came");
        }
        became
    }
}

fn question(flow: &Flow) -> Came {
    packet(flow, &control::ask(control::Question { run: 1, number: 1 }))
}

#[derive(Clone, Debug)]
struct Came {
    frame: Vec<u8>,
    wire_len: usize,
}

/// Frames of two flows, some with a change in the headers or at the start of the payload;
/// questions, and frames that want a stamp.
fn came() -> impl Strategy<Value = Came> {
    let payload = prop_oneof![
        6 => Just(vec![7; 60]),
        1 => Just(vec![7; 20]),
        1 => prop::collection::vec(0..=0xffu8, 0..9),
        1 => Just(vec![0x80; 60]),
        1 => any::<u64>().prop_map(|run| {
            control::ask(control::Question { run, number: 1 }).to_vec()
        }),
    ];
    let change = prop_oneof![
        3 => Just(None),
        1 => (0..80usize, any::<u8>()).prop_map(Some),
    ];
    // Truncated, padded, and longer on the wire.
    let lengths = prop_oneof![8 => Just((0, 0, 0)), 2 => (0..30usize, 0..20usize, 0..3usize)];
    let checksums = prop_oneof![Just(Checksums::SOFTWARE), Just(Checksums::BY_PORT)];
    let layout = prop_oneof![1 => Just(0), 1 => 0..6usize];
    (payload, 0..2u16, change, lengths, checksums, layout).prop_map(
        |(payload, port, change, (cut, padding, more), checksums, layout)| {
            let mut flow = all_layouts(&flow(60, 1))[layout];
            flow.dst_port += port;
            let mut frame = vec![0; flow.layout().payload() + payload.len()];
            write_single(&flow, &payload, checksums, &mut frame);
            frame.resize(frame.len() + padding, 0xff);
            if let Some(byte) = change.and_then(|(at, _)| frame.get_mut(at)) {
                *byte = change.map_or(0, |(_, to)| to);
            }
            frame.truncate(frame.len() - cut);
            let wire_len = frame.len() + more;
            Came { frame, wire_len }
        },
    )
}

/// Everything that two reflectors send each other, including answers to questions.
#[test]
fn two_reflectors_do_not_answer_each_other_for_ever() {
    let asked = control::Question { run: 1, number: 1 };
    let report = control::Report {
        instance: 1,
        registration: 1,
        port_missed: None,
        counts: [0; Counter::FLOW.len()],
        load: None,
    };
    let payloads = [vec![7; 60], control::answer(asked, report).to_vec()];
    for (payload, predicts) in
        payloads.iter().flat_map(|payload| [(payload, true), (payload, false)])
    {
        let mut rigs = [(); 2].map(|()| Rig::new(false));
        for ttl in [255, 254] {
            let mut came = packet(&flow(60, 1), payload);
            came.frame[22] = ttl;
            let turns = (0..).take_while(|turn| {
                // The driver accepts the first of two packets.
                let burst = [came.clone(), came.clone()];
                let (frame, verdict, ..) = rigs[turn % 2].burst(&burst, predicts).swap_remove(0);
                came.frame = frame;
                verdict == Verdict::Send
            });
            assert_eq!(turns.count(), usize::from(ttl) - 1);
        }
        for rig in &mut rigs {
            rig.collector.finish(&mut |_| ());
            assert_eq!(rig.collector.totals().counts[Counter::ForeignTtl], 2);
        }
    }
}

fn packet(flow: &Flow, payload: &[u8]) -> Came {
    let mut frame = vec![0; flow.layout().payload() + payload.len()];
    write_single(flow, payload, Checksums::SOFTWARE, &mut frame);
    let wire_len = frame.len();
    Came { frame, wire_len }
}

#[test]
fn a_burst_of_one_flow_is_counted_as_one_whatever_its_packets_lengths() {
    let mut rig = Rig::new(false);
    let packets = [1, 60, 20].map(|len| packet(&flow(len, 1), &vec![1; usize::from(len)]));
    rig.burst(&packets, true);
    assert!(!rig.reflector.mixed);
    rig.collector.finish(&mut |_| ());
    let counts = rig.collector.totals().counts;
    assert_eq!((counts[Counter::Received], counts[Counter::Sent]), (3, 2));
    assert_eq!(counts[Counter::TxQueueFull], 1);
}

/// Packets of two flows, and a question.
#[test]
fn packets_that_wait_are_counted_with_their_flows() {
    let mut rig = Rig::new(false);
    let flows = [60, 61].map(|dst_port| Flow { dst_port, ..flow(60, 1) });
    for flow in &flows {
        rig.register(flow);
    }
    let asks = question(&flows[0]);
    let [a, b] = flows.map(|flow| packet(&flow, &[1; 60]));
    rig.reflector.poll(1000);
    let mut slots = Vec::new();
    for Came { mut frame, wire_len } in [a.clone(), b.clone(), asks, a.clone(), b.clone(), a, b] {
        let (verdict, slot) = reflect(&mut rig.reflector, 1000, &mut frame, wire_len);
        slots.extend((verdict == Verdict::Send).then_some(slot));
    }
    assert_eq!(slots, [0, 1, 0, 1, 0, 1]);
    let slots = || slots.iter().copied();
    rig.reflector.sent(7, slots(), 1);
    rig.reflector.wait(2000);
    rig.reflector.sent_behind(slots(), 1, 3);
    rig.reflector.wait(1_001_000);
    rig.reflector.sent_behind(slots(), 4, 1);
    rig.reflector.refused_behind(slots(), 5);
    let count = |slot, counter| rig.reflector.flows.count(slot, counter);
    let counts = [0, 1].map(|slot| {
        [Counter::Received, Counter::Sent, Counter::Waited, Counter::TxQueueFull]
            .map(|counter| count(slot, counter))
    });
    assert_eq!(counts, [[3, 3, 2, 0], [3, 2, 2, 1]]);
    let mut sent = Vec::new();
    rig.collector.finish(&mut |row| sent.push(row.totals.counts[Counter::Sent]));
    assert_eq!(sent, [4, 1, 0], "in the intervals in which they were");
    let counts = rig.collector.totals().counts;
    assert_eq!((counts[Counter::Received], counts[Counter::Waited]), (6, 4));
    assert_eq!(counts[Counter::ControlReceived], 1);
}

/// Packets of two hosts alternate, and each asks for its counters: nothing of the one that is not allowed
/// is sent back or passed on, whether it is predicted or not.
#[test]
fn only_allowed_hosts_are_answered() {
    let mut rig = Rig::answering(flow_alone());
    let allowed = flow(60, 1);
    let Addresses::V4 { src, dst } = allowed.addresses else { panic!("it is IPv4") };
    let next = Ipv4Addr::from_bits(src.to_bits() + 1);
    let other = Flow { addresses: Addresses::V4 { src: next, dst }, ..allowed };
    let burst: Vec<_> = [&allowed, &other]
        .into_iter()
        .cycle()
        .take(6)
        .map(|flow| packet(flow, &[1; 60]))
        .chain([question(&other), question(&allowed)])
        .collect();
    for registered in [false, true] {
        let became = rig.burst(&burst, true);
        let [send, drop, slow] = [Verdict::Send, Verdict::Drop, Verdict::Slow];
        let expected = [send, drop, send, drop, send, drop, drop, slow];
        assert_eq!(became.iter().map(|packet| packet.1).collect::<Vec<_>>(), expected);
        if !registered {
            rig.register(&allowed);
        }
    }
    rig.collector.finish(&mut |_| ());
    let counts = rig.collector.totals().counts;
    assert_eq!(counts[Counter::ForeignNotAllowed], 8);
    assert_eq!((counts[Counter::Received], counts[Counter::ControlReceived]), (14, 2));
}

#[test]
fn a_packet_that_waits_is_stamped_with_all_of_its_residence() {
    let mut rig = Rig::new(false);
    let flow = Flow { stamp: true, ..flow(60, 1) };
    rig.register(&flow);
    rig.reflector.poll(1000);
    let mut frame = vec![0; HEADERS_LEN + 60];
    let template = template(&flow, 0, 1, Checksums::SOFTWARE);
    template.prepare(0, &mut frame);
    template.write(1, 2, &[], &mut [&mut frame]);
    let (_, slot) = reflect(&mut rig.reflector, 1000, &mut frame, HEADERS_LEN + 60);
    let residence = |frame: &[u8]| {
        stamp::find(frame, Datagram::parse(frame, frame.len()).unwrap()).unwrap().residence_ns
    };
    let others = |rig: &mut Rig, packets| {
        rig.reflector.begin_stamps();
        (0..packets).for_each(|_| rig.reflector.stamp(&mut [], slot, 0));
    };
    others(&mut rig, 3);
    rig.reflector.stamp(&mut frame, slot, 5);
    others(&mut rig, 3);
    rig.reflector.stamp(&mut frame, slot, 6);
    assert_eq!(residence(&frame), 5);
    others(&mut rig, 2);
    rig.reflector.stamp_again(&mut frame, slot, 7);
    assert_eq!(residence(&frame), 5, "it is another one's stamp");
    others(&mut rig, 3);
    rig.reflector.stamp_again(&mut frame, slot, 7);
    assert_eq!(residence(&frame), 7);
}

#[test]
fn two_flows_that_are_known_are_counted_apart() {
    let mut rig = Rig::new(false);
    let flows = [0, 1].map(|more| {
        let mut flow = flow(60, 1);
        flow.dst_port += more;
        flow
    });
    let [a, b] = flows.map(|flow| packet(&flow, &[1; 60]));
    for flow in &flows {
        rig.register(flow);
    }
    let slots = |became: Vec<(Vec<u8>, Verdict, u16, bool)>| -> Vec<u16> {
        became.iter().map(|packet| packet.2).collect()
    };
    // The driver accepts all packets of each burst but the last. The third burst begins with the
    // flow that the second ended with.
    assert_eq!(slots(rig.burst(&[a.clone(), b.clone(), a.clone()], true)), [0, 1, 0]);
    assert_eq!(slots(rig.burst(&[b.clone(), b.clone()], true)), [1, 1]);
    assert_eq!(slots(rig.burst(&[b.clone(), a.clone(), a], true)), [1, 0, 0]);
    let count = |slot, counter| rig.reflector.flows.count(slot, counter);
    let counts = [0, 1].map(|slot| {
        [Counter::Received, Counter::Sent, Counter::TxQueueFull].map(|counter| count(slot, counter))
    });
    assert_eq!(counts, [[4, 2, 2], [4, 3, 1]]);
}

/// The packets of the senders alternate, and some are refused.
#[test]
fn two_hundred_senders_are_counted_apart() {
    let mut rig = Rig::new(false);
    let flows: Vec<_> = (0..200)
        .map(|sender| Flow {
            addresses: v4([10, 7, sender, 1], [172, 16, 200, 254]),
            ..flow(60, 1)
        })
        .collect();
    for flow in &flows {
        rig.register(flow);
    }
    let packets: Vec<_> = flows.iter().map(|flow| packet(flow, &[1; 60])).collect();
    for _ in 0..3 {
        for burst in packets.chunks(32) {
            assert!(rig.burst(burst, true).iter().all(|packet| packet.1 == Verdict::Send));
        }
    }
    rig.burst(&packets[..150], true);
    for (sender, flow) in flows.iter().enumerate() {
        let Came { frame, wire_len } = question(flow);
        let udp = Datagram::parse(&frame, wire_len).unwrap();
        let report = rig.registrar.report(FlowKey::of(&frame, udp)).unwrap();
        // The last packet of each burst is refused.
        let refused = 3 * u64::from(sender % 32 == 31 || sender == 199) + u64::from(sender == 149);
        let received = 3 + u64::from(sender < 150);
        let counts = [Counter::Received, Counter::Sent, Counter::TxQueueFull];
        let expected = [received, received - refused, refused];
        assert_eq!(counts.map(|counter| report.count(counter)), expected, "{sender}");
    }
}

/// A checksum of 0 means none, and a packet without a checksum is valid.
#[test]
fn what_is_made_corrupt_never_loses_its_checksum_by_that() {
    let mut rig = Rig::new(false);
    let Came { mut frame, wire_len } = packet(&flow(60, 1), &[1; 60]);
    let udp = Datagram::parse(&frame, wire_len).unwrap();
    // One bit is set: bit 3 of byte 41 of the frame.
    frame[40..42].copy_from_slice(&[0, 8]);
    let bit = (41 - 14) * 8 + 3;
    let verdict = rig.reflector.impair(Fate::Corrupt(bit), &mut frame, udp, NO_FLOW);
    assert_eq!(verdict, Verdict::SendCorrupt);
    assert_ne!(frame[40..42], [0, 0]);
}

/// What a socket received: counted by flow as frames are, and questions among it are for the control thread.
#[test]
fn payloads_are_counted_by_flow_and_stamped() {
    use crate::wire::control::{Question, ask};
    use crate::wire::stamp::{BLANK, STAMP, STAMPED_LEN};
    let mut rig = Rig::new(false);
    let flow = flow(60, 1);
    rig.register(&flow);
    rig.reflector.poll(1);
    let source = std::net::SocketAddr::new(flow.addresses.src(), 500);
    let own = std::net::SocketAddr::new(flow.addresses.dst(), flow.dst_port);
    let key = FlowKey::of_sockets(source, own);
    let mut payload = [0; STAMPED_LEN + 5];
    payload[0] = 0x80;
    payload[STAMP..STAMP + 8].copy_from_slice(&BLANK[0].to_be_bytes());
    payload[STAMP + 8..STAMPED_LEN].copy_from_slice(&BLANK[1].to_be_bytes());
    let reflector = &mut rig.reflector;
    let (verdict, slot) = reflector.reflect_payload(&payload, payload.len(), key);
    assert_eq!((verdict, slot != NO_FLOW, reflector.wants_stamps()), (Verdict::Send, true, true));
    let question = ask(Question { run: 1, number: 1 });
    let asked = reflector.reflect_payload(&question, question.len(), key);
    assert_eq!(asked, (Verdict::Slow, NO_FLOW));
    let cut = reflector.reflect_payload(&payload, payload.len() + 1, key);
    assert_eq!(cut, (Verdict::Drop, NO_FLOW));
    let other = std::net::SocketAddr::new([10, 7, 7, 7].into(), 500);
    let (verdict, others) = reflector.reflect_payload(&[7], 1, FlowKey::of_sockets(other, own));
    assert_eq!((verdict, others), (Verdict::Send, NO_FLOW));
    reflector.begin_stamps();
    for residence_ns in [5, 6] {
        reflector.stamp_payload(&mut payload, slot, residence_ns);
        // The second time it is not blank any more.
        assert_eq!(payload[STAMPED_LEN - 1], 5);
    }
    reflector.sent(4, [slot, others].into_iter(), 2);
    let report = rig.registrar.report(key).unwrap();
    let told =
        [Counter::Received, Counter::Sent, Counter::ForeignSegmented].map(|c| report.count(c));
    assert_eq!(told, [2, 1, 1]);
}
