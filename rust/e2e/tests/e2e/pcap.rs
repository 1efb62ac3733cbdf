//! Files in, files out (`net_pcap`): every byte that is received is known, and every byte that is
//! sent is looked at by a parser that is not ours.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

use dpdkproj_e2e::golden::{self, Case, Datagram, End};
use dpdkproj_e2e::pcap;
use dpdkproj_e2e::program::{Outcome, Program};
use dpdkproj_e2e::scratch::Scratch;
use etherparse::{Ipv4Header, NetHeaders, PacketHeaders, TransportHeader, UdpHeader};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A program whose port receives the frames in `input`, and what it sent.
fn run(program: Program, input: &Path) -> (Outcome, Vec<Vec<u8>>) {
    let scratch = Scratch::new();
    let output = scratch.path("out.pcap");
    let (rx, tx) = (input.display(), output.display());
    let outcome = program.vdev(format!("net_pcap0,rx_pcap={rx},tx_pcap={tx}")).run();
    // The summary is looked at first: a failure is told better there.
    let _ = outcome.summary();
    (outcome, pcap::read(&output))
}

fn run_on(program: Program, input: &[Vec<u8>]) -> (Outcome, Vec<Vec<u8>>) {
    let scratch = Scratch::new();
    let path = scratch.path("in.pcap");
    pcap::write(&path, input);
    run(program, &path)
}

/// What `reflect` sends of the frames of `cases`, and which reasons it counts.
fn reflected(options: &str, cases: &[&Case]) -> (Vec<Vec<u8>>, BTreeMap<String, u64>) {
    let count = cases.len() as u64;
    let program = Program::new(&format!("reflect {options} --count {count}")).measured(1000);
    let frames: Vec<_> = cases.iter().map(|case| case.frame.clone()).collect();
    let (outcome, sent) = run_on(program, &frames);
    let summary = outcome.summary();
    let reasons = summary.value("rx.foreign_reasons").as_object().unwrap();
    let reasons = reasons.iter().map(|(name, count)| (name.clone(), count.as_u64().unwrap()));
    let reasons: BTreeMap<_, _> = reasons.filter(|(_, count)| *count > 0).collect();
    summary.assert_counts(&[
        ("rx.received", count),
        ("rx.foreign", reasons.values().sum()),
        ("rx.control", 0),
        ("tx.sent", sent.len() as u64),
        ("lost.total", 0),
    ]);
    assert_eq!(outcome.table().sum(|row| row.rx), count);
    (sent, reasons)
}

/// Those of all cases that need the same options, in the order of the table.
fn by_options(cases: &[Case]) -> BTreeMap<&str, Vec<&Case>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for case in cases {
        groups.entry(&*case.options).or_default().push(case);
    }
    groups
}

#[test]
fn reflect_sends_and_drops_what_the_table_says() {
    let all = golden::all_cases();
    for (options, cases) in by_options(&all) {
        let (sent, reasons) = reflected(options, &cases);
        let returning: Vec<_> = cases.iter().filter(|case| case.sent().is_some()).collect();
        for (case, sent) in returning.iter().zip(&sent) {
            let expected = case.sent().unwrap();
            assert!(sent == expected, "{}: sent\n{sent:02x?}, not\n{expected:02x?}", case.name);
        }
        assert_eq!(sent.len(), returning.len(), "{options}");
        let mut expected = BTreeMap::new();
        for reason in cases.iter().filter_map(|case| case.reason()) {
            *expected.entry(reason.to_string()).or_default() += 1;
        }
        assert_eq!(reasons, expected, "{options}");
    }
}

/// The cases of one reason alone, so that each of them is dropped for that one. (If all that are dropped have
/// the same one, the test above has shown it.)
#[test]
fn reflect_drops_each_case_for_the_reason_in_the_table() {
    let all = golden::all_cases();
    for (options, cases) in by_options(&all) {
        let reasons: BTreeSet<_> = cases.iter().filter_map(|case| case.reason()).collect();
        for reason in reasons.iter().copied().filter(|_| reasons.len() > 1) {
            let cases: Vec<_> =
                cases.iter().copied().filter(|case| case.reason() == Some(reason)).collect();
            let names = || cases.iter().map(|case| &case.name).collect::<Vec<_>>();
            let expected = BTreeMap::from([(reason.to_string(), cases.len() as u64)]);
            assert_eq!(reflected(options, &cases), (vec![], expected), "{:?}", names());
        }
    }
}

#[test]
fn reflect_answers_the_ports_that_it_is_asked_to() {
    let to = |port: u16| Datagram::new(OURS, End { port, ..PEER }, 64);
    let ports = [6, 7, 8, 9, 7, 65535];
    let frames = ports.map(|port| to(port).frame());
    let program = Program::new("reflect --udp-port 7-8 --count 6").measured(1000);
    let (outcome, sent) = run_on(program, &frames);
    assert_eq!(sent, [7, 8, 7].map(|port| to(port).reply().frame()));
    outcome.summary().assert_counts(&[
        ("rx.received", 6),
        ("rx.foreign_reasons.other_port", 3),
        ("tx.sent", 3),
    ]);
}

const OURS: End = End { mac: [2, 0x70, 0x63, 0x61, 0x70, 0], ip: [10, 0, 0, 1], port: 100 };
const PEER: End = End { mac: [2, 0, 0, 0, 0, 2], ip: [10, 0, 0, 2], port: 7 };
const PORTS: usize = 10;
const COUNT: usize = 64;
const SIZE: usize = 64;

/// Offsets in a frame.
const IPV4_CHECKSUM: usize = 24;
const UDP_LENGTH: usize = 38;
const UDP_CHECKSUM: usize = 40;
const PAYLOAD: usize = 42;
const TIME: usize = PAYLOAD + 8;
const TAG: usize = PAYLOAD + 14;
const FILLER: usize = PAYLOAD + 18;

/// Sends packets from [`OURS`] to [`PEER`].
fn sendrecv(options: &str) -> Program {
    let flow = "--src 10.0.0.1 --src-port-range 100-109 --dest 10.0.0.2:7";
    let rest = format!("--dest-mac 02:00:00:00:00:02 --no-peer-report {options}");
    Program::new(&format!("sendrecv {flow} {rest}"))
}

/// [`COUNT`] packets, all of them in one row: when a packet of another capture claims to have been
/// sent depends on when that capture was made.
fn with_seed(seed: u64) -> Program {
    of_run(&format!("--count {COUNT} --seed {seed} --tag-key 7"))
}

fn of_run(options: &str) -> Program {
    let options = format!("--packet-size {SIZE} {options}");
    sendrecv(&format!("{options} --software-checksums")).measured(60_000)
}

/// The packets that a run sends when it hears nothing, and waits for nothing.
fn captured(program: Program) -> Vec<Vec<u8>> {
    let (outcome, sent) = run_on(program.arg("--drain").arg("0.01"), &[]);
    let count = sent.len() as u64;
    outcome.summary().assert_counts(&[("tx.sent", count), ("lost.total", count)]);
    sent
}

fn parse(frame: &[u8]) -> (Ipv4Header, UdpHeader, Vec<u8>) {
    let headers = PacketHeaders::from_ethernet_slice(frame).unwrap();
    let link = headers.link.unwrap().ethernet2().unwrap();
    assert_eq!((link.source, link.destination), (OURS.mac, PEER.mac));
    let Some(NetHeaders::Ipv4(ipv4, _)) = headers.net else { panic!("{:?}", headers.net) };
    let Some(TransportHeader::Udp(udp)) = headers.transport else { panic!("no UDP") };
    let payload = headers.payload.slice().to_vec();
    (ipv4, udp, payload)
}

/// The big-endian number in `bytes`.
fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[test]
fn another_parser_accepts_every_packet() {
    for size in [16, 17, 18, 65, 1472] {
        let options = format!("--packet-size {size} --count {COUNT} --software-checksums");
        let sent = captured(sendrecv(&options).measured(1000));
        assert_eq!(sent.len(), COUNT);
        let mut before = 0;
        for (index, frame) in sent.iter().enumerate() {
            let (ipv4, udp, payload) = parse(frame);
            assert_eq!((frame.len(), payload.len()), (PAYLOAD + size, size));
            assert_eq!((ipv4.source, ipv4.destination), (OURS.ip, PEER.ip));
            assert_eq!(usize::from(ipv4.total_len), PAYLOAD - 14 + size);
            assert_eq!(usize::from(udp.length), 8 + size);
            assert_eq!(ipv4.header_checksum, ipv4.calc_header_checksum());
            assert_eq!(udp.checksum, udp.calc_checksum_ipv4(&ipv4, &payload).unwrap());
            assert_eq!(usize::from(udp.source_port), usize::from(OURS.port) + index % PORTS);
            assert_eq!(udp.destination_port, PEER.port);
            assert_eq!(be(&frame[PAYLOAD..TIME]), index as u64);
            let time_ns = be(&frame[TIME..TAG]);
            assert!(time_ns >= before, "{time_ns} after {before}");
            before = time_ns;
        }
    }
}

#[test]
fn the_seed_decides_all_but_the_time() {
    let [first, again, other] = [7, 7, 8].map(|seed| captured(with_seed(seed)));
    let timeless = |frames: &[Vec<u8>]| {
        let mut frames = frames.to_vec();
        for frame in &mut frames {
            frame[UDP_CHECKSUM..PAYLOAD].fill(0);
            // With the tag, which covers the time.
            frame[TIME..TAG + 2].fill(0);
        }
        frames
    };
    assert_eq!(timeless(&first), timeless(&again));
    for (frame, other) in first.iter().zip(&other) {
        assert_eq!(frame[..UDP_CHECKSUM], other[..UDP_CHECKSUM]);
        assert_ne!(frame[FILLER..], other[FILLER..]);
    }
    // All fillers are slices of one table, each from the offset that its packet carries.
    let mut table = std::collections::HashMap::new();
    for frame in &first {
        let offset = be(&frame[FILLER - 2..FILLER]);
        for (at, byte) in (offset..).zip(&frame[FILLER..PAYLOAD + SIZE]) {
            assert_eq!(table.insert(at, *byte).unwrap_or(*byte), *byte, "{at}");
        }
    }
    assert!(table.len() < first.len() * (PAYLOAD + SIZE - FILLER), "none overlap");
}

/// However slow or busy the machine: the packets themselves say when they were sent.
#[test]
fn no_packet_is_ahead_of_its_rate() {
    const PERIOD_NS: i64 = 50_000;
    // A millisecond (20 packets) or a burst (32) may be caught up on, on top of the burst that was
    // stamped late, and of the packet that is due by now.
    const SLACK: i64 = 32 + 32 + 1;
    let sent = captured(sendrecv("--packet-size 16 --rate 20k --count 4000").measured(1000));
    assert_eq!(sent.len(), 4000);
    let mut least = i64::MAX;
    for (index, frame) in (0..).zip(&sent) {
        let time_ns = i64::try_from(be(&frame[TIME..TAG])).unwrap();
        let ahead_ns = index * PERIOD_NS - time_ns;
        least = least.min(ahead_ns);
        let packets = (ahead_ns - least) / PERIOD_NS;
        assert!(packets <= SLACK, "packet {index} is {packets} packets ahead");
    }
}

/// As the reflector sends it back.
fn turned(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    for (at, len) in [(0, 6), (26, 4), (34, 2)] {
        let (first, second) = frame[at..at + 2 * len].split_at_mut(len);
        first.swap_with_slice(second);
    }
    frame[22] -= 1;
    let header = Ipv4Header::from_slice(&frame[14..]).unwrap().0;
    frame[IPV4_CHECKSUM..26].copy_from_slice(&header.calc_header_checksum().to_be_bytes());
    frame
}

#[test]
fn what_comes_back_is_judged_byte_by_byte() {
    let sent = captured(with_seed(7));
    let reflected: Vec<_> = sent.iter().map(|frame| turned(frame)).collect();
    let (outcome, _) = run_on(with_seed(7), &reflected);
    outcome.summary().assert_lossless(COUNT as u64);

    // The same with something wrong: what, and where.
    let flip = |frame: &mut Vec<u8>, at: usize| frame[at] ^= 0x10;
    let mut spoilt = reflected.clone();
    flip(&mut spoilt[3], FILLER);
    flip(&mut spoilt[4], PAYLOAD + SIZE - 1);
    flip(&mut spoilt[5], UDP_CHECKSUM);
    flip(&mut spoilt[7], TAG);
    flip(&mut spoilt[8], PAYLOAD + 7);
    flip(&mut spoilt[9], IPV4_CHECKSUM);
    // TTL: a router that forgets the checksum.
    flip(&mut spoilt[10], 22);
    // UDP says less than was sent.
    flip(&mut spoilt[11], UDP_LENGTH + 1);
    // Cut short on the way, which IPv4 does not know.
    spoilt[12].truncate(PAYLOAD + SIZE - 1);
    // Something else than IPv4.
    flip(&mut spoilt[13], 12);
    // Twice, once late in the line.
    spoilt.push(reflected[14].clone());
    spoilt.insert(15, reflected[14].clone());
    // Overtaken.
    spoilt.swap(40, 50);
    // Not at all.
    spoilt.remove(60);
    let (outcome, _) = run_on(with_seed(7), &spoilt);
    let summary = outcome.summary();
    summary.assert_counts(&[
        ("rx.received", spoilt.len() as u64),
        ("rx.corrupt_reasons.filler", 2),
        ("rx.corrupt_reasons.udp_checksum", 1),
        ("rx.corrupt_reasons.tag", 2),
        ("rx.corrupt_reasons.ipv4_checksum", 2),
        ("rx.corrupt_reasons.length", 2),
        ("rx.corrupt_reasons.header", 1),
        ("rx.corrupt", 10),
        ("rx.duplicate", 2),
        ("rx.foreign", 0),
        ("rx.late", 0),
        ("rx.valid", 53),
        ("lost.total", 11),
    ]);
    let row = outcome.table().rows[0];
    assert_eq!((row.tx, row.rx, row.lost), (64, 53, Some(11)));
}

/// The same command once more: what the first run sent comes in, before this one has sent it.
#[test]
fn packets_of_an_earlier_run_are_foreign_whatever_the_seed() {
    let before = captured(of_run(&format!("--count {COUNT} --seed 7")));
    // The first of them is left out: this run sends one, and its tag is right by chance in one of 65,536
    // runs. Those that have not been sent cannot be back, whatever their tag.
    let frames: Vec<_> = before[1..].iter().map(|frame| turned(frame)).collect();
    let (outcome, _) = run_on(of_run("--count 1 --seed 7"), &frames);
    outcome.summary().assert_counts(&[
        ("rx.received", frames.len() as u64),
        ("rx.foreign_reasons.other_run", frames.len() as u64),
        ("rx.valid", 0),
        ("lost.total", 1),
    ]);
    // With the same key, too, as long as they have not been sent.
    let options = |count| format!("--count {count} --seed 7 --tag-key 9");
    let before = captured(of_run(&options(COUNT)));
    let frames: Vec<_> = before.iter().map(|frame| turned(frame)).collect();
    let (outcome, _) = run_on(of_run(&options(1)), &frames);
    outcome.summary().assert_counts(&[
        ("rx.foreign_reasons.other_run", frames.len() as u64 - 1),
        ("rx.valid", 1),
        ("lost.total", 0),
    ]);
}

/// What a receiver of IPv4 without VLAN tags takes a case of the reflector for.
fn foreign_to_untagged_ipv4(case: &Case) -> &str {
    let is_tag = |at: usize| case.frame.get(at..at + 2).is_some_and(|kind| TAGS.contains(&kind));
    let tags = [12, 16, 20].into_iter().take_while(|at| is_tag(*at)).count();
    let kind = case.frame.get(12 + 4 * tags..14 + 4 * tags).unwrap_or_default();
    match (kind, case.reason()) {
        ([0x86, 0xdd], _) => "ipv6",
        ([8, 0], _) if tags > 0 => "vlan",
        (_, None | Some("segmented" | "group_mac" | "martian" | "ttl")) => "other_flow",
        (_, Some(reason)) => reason,
    }
}

const TAGS: [&[u8]; 2] = [&[0x81, 0], &[0x88, 0xa8]];

#[test]
fn nothing_foreign_is_taken_for_ours() {
    let cases = golden::cases();
    let mut frames: Vec<_> = cases.iter().map(|case| case.frame.clone()).collect();
    // As they would come back, but of a run with another key, and of another tool.
    let another = of_run(&format!("--count {COUNT} --seed 7 --tag-key 8"));
    frames.extend(captured(another).iter().map(|frame| turned(frame)));
    frames.extend([0, 15, 16, SIZE, 1472].map(|len| Datagram::new(PEER, OURS, len).frame()));
    let (outcome, _) = run_on(with_seed(7), &frames);
    let summary = outcome.summary();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    // Its sender claims to have our address, which the control thread must know.
    let (about_us, others): (Vec<_>, Vec<_>) = cases.iter().partition(|case| case.name == "ARP");
    for case in others {
        *counts.entry(foreign_to_untagged_ipv4(case)).or_default() += 1;
    }
    assert!(counts.len() > 7, "{counts:?}");
    let said = "10.0.0.1 is our address, and 02:00:00:00:00:01 uses it as well";
    assert!(outcome.stderr().contains(said), "{}", outcome.stderr());
    for (reason, count) in counts {
        summary.assert_counts(&[(&format!("rx.foreign_reasons.{reason}"), count)]);
    }
    summary.assert_counts(&[
        ("rx.control", about_us.len() as u64),
        ("rx.received", (frames.len() - about_us.len()) as u64),
        ("rx.foreign_reasons.other_run", COUNT as u64 + 5),
        ("rx.corrupt", 0),
        ("rx.valid", 0),
        ("lost.total", COUNT as u64),
    ]);
}
