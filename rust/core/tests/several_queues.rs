//! Copies of one packet that come on several rx queues, in every order of events: one of them is valid
//! or late, all others are duplicates.

#![allow(clippy::unwrap_used, reason = "a test")]

use dpdkproj_core::count::{Board, Counter, Counts, Latency, Recorder, Role, Shape};
use dpdkproj_core::run::{Collector, Row, WorkerCounts};
use dpdkproj_core::wire::content::Content;
use dpdkproj_core::wire::flow::{Addresses, Flow, Mac, PortRange, Vlans};
use dpdkproj_core::wire::reflect::reflect;
use dpdkproj_core::wire::template::{Checksums, Template};
use dpdkproj_core::wire::verify::Verifier;
use dpdkproj_core::work::receiver::{Receiver, ReceiverOptions};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::{Arc, Barrier};

const MS: u64 = 1_000_000;
const TIMEOUT_NS: u64 = 2 * MS;
const WINDOW: u64 = 1 << 12;

fn flow() -> Flow {
    Flow {
        src_mac: Mac([2; 6]),
        dst_mac: Mac([4; 6]),
        vlans: Vlans::None,
        addresses: Addresses::V4 { src: [10, 0, 0, 1].into(), dst: [10, 0, 0, 2].into() },
        src_ports: PortRange::new(1000, 1000).unwrap(),
        dst_port: 7,
        payload_len: 40,
        streams: 1,
        traffic_class: 0,
        stamp: false,
    }
}

/// A sender that sends when a test says so, and receivers that get what a test gives them.
struct Rig {
    now: u64,
    template: Template,
    sender: Recorder,
    sent: Vec<Vec<u8>>,
    sent_ns: Vec<u64>,
    receivers: Vec<Receiver>,
    polled_ns: Vec<u64>,
    collector: Collector,
    rows: Vec<Row>,
}

impl Rig {
    fn new(receivers: u16) -> Self {
        let flow = flow();
        let content = Arc::new(Content::new(&flow, 5));
        let mut roles = vec![Role::Send { stream: 0 }];
        roles.extend(vec![Role::Receive; usize::from(receivers)]);
        let shape = Shape { interval_ns: MS, intervals: 16, window: WINDOW };
        let board = Board::new(shape, &roles);
        let receiver = |index: u16| {
            let verifier = Verifier::new(&flow, Arc::clone(&content));
            let recorder = board.recorder(usize::from(index) + 1);
            Receiver::new(recorder, verifier, ReceiverOptions::default())
        };
        Self {
            now: 0,
            template: Template::new(&flow, Arc::clone(&content), 0, Checksums::SOFTWARE),
            sender: board.recorder(0),
            sent: Vec::new(),
            sent_ns: Vec::new(),
            receivers: (0..receivers).map(receiver).collect(),
            polled_ns: vec![0; usize::from(receivers)],
            collector: Collector::new(board, TIMEOUT_NS),
            rows: Vec::new(),
        }
    }

    /// Sends a packet, and turns it round.
    fn send(&mut self) {
        let seq = self.sent.len() as u64;
        let mut frame = vec![0; self.template.frame_len()];
        self.template.prepare(seq, &mut frame);
        self.template.write(seq, self.now, &[], &mut [&mut frame]);
        let len = frame.len();
        reflect(&mut frame, len, false).unwrap();
        self.sent.push(frame);
        self.sent_ns.push(self.now);
        self.sender.will_send_below(0, seq + 1);
        self.sender.poll_until(self.now, self.now);
        let interval = self.sender.interval(self.now);
        self.sender.add(interval, Counter::Due, 1);
        self.sender.add(interval, Counter::Sent, 1);
    }

    fn poll(&mut self, receiver: usize) {
        self.polled_ns[receiver] = self.now;
        self.receivers[receiver].poll(self.now);
    }

    /// A copy of a packet comes, in the poll that this receiver is in.
    fn arrive(&mut self, receiver: usize, packet: usize) {
        let frame: &[u8] = &self.sent[packet];
        self.receivers[receiver].receive(self.polled_ns[receiver], &mut [frame], false);
    }

    fn tick(&mut self) {
        self.sender.poll_until(self.now, self.now);
        self.collector.tick(&mut |row| self.rows.push(row.clone()));
    }

    /// Lets so much time pass with nothing in it.
    fn idle(&mut self, ns: u64) {
        let end = self.now + ns;
        while self.now < end {
            self.now += MS / 4;
            (0..self.receivers.len()).for_each(|receiver| self.poll(receiver));
            self.tick();
        }
    }

    fn finish(&mut self) -> (Counts, Vec<WorkerCounts>) {
        self.collector.finish(&mut |row| self.rows.push(row.clone()));
        for row in &self.rows {
            let counts = &row.totals.counts;
            assert_eq!(counts[Counter::Sent], counts[Counter::Valid] + row.totals.lost);
        }
        assert_eq!(self.collector.mismatch(), 0);
        (self.collector.totals().counts, self.collector.by_worker())
    }
}

fn judged(counts: &Counts) -> [u64; 3] {
    [Counter::Valid, Counter::Late, Counter::Duplicate].map(|counter| counts[counter])
}

#[test]
fn a_copy_on_another_queue_is_a_duplicate_however_late_it_is() {
    let mut rig = Rig::new(2);
    rig.send();
    rig.poll(0);
    rig.arrive(0, 0);
    rig.idle(10 * MS);
    rig.arrive(1, 0);
    rig.arrive(1, 0);
    rig.arrive(0, 0);
    let (totals, by_worker) = rig.finish();
    assert_eq!(judged(&totals), [1, 0, 3]);
    assert_eq!(judged(&by_worker[2].counts), [0, 0, 2]);
}

#[test]
fn what_is_late_on_two_queues_is_late_once() {
    let mut rig = Rig::new(3);
    rig.send();
    rig.idle(10 * MS);
    for receiver in [1, 0, 1, 2] {
        rig.arrive(receiver, 0);
    }
    let (totals, by_worker) = rig.finish();
    assert_eq!(judged(&totals), [0, 1, 3]);
    assert_eq!(judged(&by_worker[2].counts), [0, 1, 1]);
}

/// One queue has heard that the interval is closed, the other has not.
#[test]
fn what_one_queue_finds_late_is_valid_on_no_other() {
    let mut rig = Rig::new(2);
    rig.send();
    rig.now = 4 * MS;
    (0..2).for_each(|receiver| rig.poll(receiver));
    rig.tick();
    rig.poll(0);
    rig.arrive(0, 0);
    rig.arrive(1, 0);
    rig.idle(MS);
    let (totals, by_worker) = rig.finish();
    assert_eq!(judged(&totals), [0, 1, 1]);
    assert_eq!(judged(&by_worker[1].counts), [0, 1, 0]);
    assert_eq!(judged(&by_worker[2].counts), [0, 0, 1]);
    assert_eq!(rig.collector.totals().lost, 1);
}

/// So late that the maps have gone on: it may be either, and that is said.
#[test]
fn what_nobody_remembers_is_told() {
    let mut rig = Rig::new(2);
    rig.send();
    rig.poll(0);
    rig.arrive(0, 0);
    rig.idle(5 * MS);
    for packet in 1..=WINDOW {
        rig.send();
        if packet % 1024 == 0 {
            rig.poll(0);
            rig.arrive(0, usize::try_from(packet).unwrap());
            rig.idle(5 * MS);
        }
    }
    rig.arrive(1, 0);
    let (totals, _) = rig.finish();
    assert_eq!((totals[Counter::Late], totals[Counter::LateForgotten]), (1, 1));
    assert_eq!(totals[Counter::Duplicate], 0);
}

/// A middlebox has taken the checksums away: those who came so are told, as long as they are valid.
#[test]
fn packets_without_a_checksum_are_counted() {
    let mut rig = Rig::new(2);
    for packet in 0..5 {
        rig.send();
        if packet != 3 {
            rig.sent[packet][40..42].fill(0);
        }
    }
    for receiver in 0..2 {
        rig.poll(receiver);
        // Of one and the same send time; and all but the first again, on another queue.
        (receiver..5).for_each(|packet| rig.arrive(receiver, packet));
    }
    rig.arrive(0, 1);
    let (totals, by_worker) = rig.finish();
    assert_eq!(judged(&totals), [5, 0, 5]);
    assert_eq!(totals[Counter::NoUdpChecksum], 4);
    let of_queue = |queue: usize| by_worker[queue].counts[Counter::NoUdpChecksum];
    assert_eq!([of_queue(1), of_queue(2)], [4, 0]);
}

/// A network that resets the DSCP, and a router that is congested: as above.
#[test]
fn packets_with_another_dscp_or_ecn_are_counted() {
    let mut rig = Rig::new(2);
    for packet in 0..5 {
        rig.send();
        let frame = &mut rig.sent[packet];
        let mut header = etherparse::Ipv4Header::from_slice(&frame[14..]).unwrap().0;
        header.dscp = if packet == 3 { 0 } else { 46 }.try_into().unwrap();
        header.ecn = if packet < 2 {
            etherparse::IpEcn::CongestionExperienced
        } else {
            etherparse::IpEcn::NotEct
        };
        header.header_checksum = header.calc_header_checksum();
        frame[14..34].copy_from_slice(&header.to_bytes());
    }
    for receiver in 0..2 {
        rig.poll(receiver);
        (receiver..5).for_each(|packet| rig.arrive(receiver, packet));
    }
    rig.arrive(0, 1);
    let (totals, by_worker) = rig.finish();
    assert_eq!(judged(&totals), [5, 0, 5]);
    let changed = |counts: &Counts| [counts[Counter::DscpChanged], counts[Counter::EcnChanged]];
    assert_eq!(changed(&totals), [4, 2]);
    assert_eq!([1, 2].map(|queue| changed(&by_worker[queue].counts)), [[4, 2], [0, 0]]);
}

/// At 100 Mpps and a second each, 64 bits hold the sum of the latencies of three minutes.
#[test]
fn sums_of_latencies_last() {
    const EACH_NS: u64 = 1_000_000_000;
    const PER_SECOND: u64 = 100_000_000;
    let shape = Shape { interval_ns: EACH_NS, intervals: 16, window: WINDOW };
    let board = Board::new(shape, &[Role::Receive]);
    let mut recorder = board.recorder(0);
    let mut collector = Collector::new(board, 0);
    for second in 0..400 {
        recorder.poll((second + 1) * EACH_NS);
        let mut latency = Latency::default();
        latency.record(EACH_NS, PER_SECOND);
        // One interval alone may hold what comes later, too.
        for _ in 0..if second == 7 { 1000 } else { 1 } {
            recorder.add_latency(second, &latency);
        }
        recorder.add(second, Counter::Received, PER_SECOND);
        for _ in 0..3 {
            collector.tick(&mut |_| {});
            recorder.poll((second + 1) * EACH_NS);
        }
    }
    collector.finish(&mut |_| {});
    let latency = collector.totals().latency;
    assert_eq!(latency.count, 1399 * PER_SECOND);
    assert_eq!(latency.sum_ns, u128::from(latency.count) * u128::from(EACH_NS));
    assert!((latency.mean_ns().unwrap() - EACH_NS as f64).abs() < 1.0);
}

/// Forged, or of another run with a tag that fits by chance.
#[test]
fn a_late_packet_that_was_never_sent_is_foreign() {
    let mut rig = Rig::new(2);
    rig.send();
    rig.idle(10 * MS);
    let seq = 40;
    let mut frame = vec![0; rig.template.frame_len()];
    rig.template.prepare(seq, &mut frame);
    rig.template.write(seq, 0, &[], &mut [&mut frame]);
    let len = frame.len();
    reflect(&mut frame, len, false).unwrap();
    rig.sent.push(frame);
    rig.arrive(0, 1);
    let (totals, _) = rig.finish();
    assert_eq!(totals[Counter::ForeignRun], 1);
    assert_eq!(judged(&totals), [0, 0, 0]);
}

/// Copies of the same late packets come to all receivers at the same moment.
#[test]
fn of_all_queues_that_get_one_at_once_one_finds_it_late() {
    const PACKETS: usize = 2_000;
    const QUEUES: u16 = 4;
    let mut rig = Rig::new(QUEUES);
    for _ in 0..PACKETS {
        rig.send();
    }
    rig.idle(10 * MS);
    let (now, frames) = (rig.now, &rig.sent);
    let barrier = Barrier::new(usize::from(QUEUES));
    std::thread::scope(|scope| {
        for receiver in &mut rig.receivers {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                for frame in frames {
                    receiver.receive(now, &mut [&frame[..]], false);
                }
            });
        }
    });
    let (totals, _) = rig.finish();
    let packets = PACKETS as u64;
    assert_eq!(judged(&totals), [0, packets, (u64::from(QUEUES) - 1) * packets]);
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Send,
    Poll(usize),
    /// On a receiver, one of the packets, by its place among those so far.
    Arrive(usize, usize),
    Tick,
    Pass(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        1 => Just(Event::Send),
        4 => (0..3usize).prop_map(Event::Poll),
        6 => (0..3usize, any::<usize>()).prop_map(|(receiver, packet)| Event::Arrive(receiver, packet)),
        3 => Just(Event::Tick),
        3 => (0..2 * MS).prop_map(Event::Pass),
    ];
    proptest::collection::vec(event, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn in_every_order_one_copy_counts(events in events()) {
        let mut rig = Rig::new(3);
        let mut copies: HashMap<usize, u64> = HashMap::new();
        rig.send();
        for event in events {
            match event {
                Event::Send if rig.now < 12 * MS => rig.send(),
                Event::Send => {}
                Event::Poll(receiver) => rig.poll(receiver),
                Event::Arrive(receiver, packet) => {
                    let packet = packet % rig.sent.len();
                    if rig.polled_ns[receiver] < rig.sent_ns[packet] {
                        continue;
                    }
                    *copies.entry(packet).or_default() += 1;
                    rig.arrive(receiver, packet);
                }
                Event::Tick => rig.tick(),
                Event::Pass(ns) => rig.now += ns,
            }
        }
        let (totals, by_worker) = rig.finish();
        let (different, all) = (copies.len() as u64, copies.values().sum::<u64>());
        let [valid, late, duplicate] = judged(&totals);
        prop_assert_eq!(totals[Counter::Received], all);
        prop_assert_eq!((valid + late, duplicate), (different, all - different));
        prop_assert_eq!(rig.collector.totals().lost, rig.sent.len() as u64 - valid);
        prop_assert_eq!(totals[Counter::LateForgotten], 0);
        for worker in by_worker.iter().filter(|worker| worker.role == Role::Receive) {
            let received = worker.counts[Counter::Received];
            prop_assert_eq!(judged(&worker.counts).iter().sum::<u64>(), received);
        }
    }
}
