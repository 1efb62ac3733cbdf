//! Rejected packets in a capture file (`--pcap`), as tcpdump and tshark read it.

#![allow(clippy::unwrap_used, reason = "this is how a test fails")]

use dpdkproj_e2e::golden::{self, Datagram, End};
use dpdkproj_e2e::pcap;
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Outcome, Program};
use dpdkproj_e2e::scratch::Scratch;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

const COUNT: usize = 256;
const SIZE: usize = 64;

/// Offsets in a frame.
const IPS: usize = 26;
const UDP: usize = 34;
const UDP_CHECKSUM: usize = 40;
const PAYLOAD: usize = 42;

/// What a tool prints on stdout; `None`, after a message, if it is not there.
fn said_by(tool: &str, args: &[&str], file: &Path) -> Option<String> {
    let output = Command::new(tool).args(args).arg("-r").arg(file).output();
    let output = output.map_err(|error| println!("SKIPPED: {tool}: {error}")).ok()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool}: {stderr}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A packet in a capture file, as tcpdump and tshark read it.
#[derive(Debug, PartialEq)]
struct Packet {
    at_ns: u64,
    frame: Vec<u8>,
    /// Its full length.
    len: usize,
    /// What tshark alone reads: the name of its interface, and its comment.
    more: Option<(String, String)>,
}

fn read(file: &Path) -> Option<Vec<Packet>> {
    let classic = file.with_extension("classic");
    let args = ["-Z", "root", "--time-stamp-precision=nano", "-w", classic.to_str().unwrap()];
    said_by("tcpdump", &args, file)?;
    let packets = pcap::records(&classic).into_iter();
    let mut packets: Vec<_> = packets
        .map(|record| Packet {
            at_ns: record.at_ns,
            frame: record.frame,
            len: record.len,
            more: None,
        })
        .collect();
    let fields =
        ["frame.time_epoch", "frame.cap_len", "frame.len", "frame.interface_name", "frame.comment"];
    let mut args = vec!["-n", "-T", "fields", "-E", "separator=|"];
    args.extend(fields.iter().flat_map(|field| ["-e", field]));
    if let Some(lines) = said_by("tshark", &args, file) {
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(lines.len(), packets.len(), "{lines:?}");
        for (packet, line) in packets.iter_mut().zip(lines) {
            let fields: [&str; 5] = line.split('|').collect::<Vec<_>>().try_into().unwrap();
            let [time, kept, len, interface, comment] = fields;
            let (s, ns) = time.split_once('.').unwrap();
            let at_ns = s.parse::<u64>().unwrap() * 1_000_000_000 + ns.parse::<u64>().unwrap();
            let found = [kept, len].map(|number| number.parse().unwrap());
            assert_eq!((at_ns, found), (packet.at_ns, [packet.frame.len(), packet.len]), "{line}");
            packet.more = Some((interface.into(), comment.into()));
        }
    }
    Some(packets)
}

fn now_ns() -> u64 {
    let now: Duration = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_nanos()).unwrap()
}

/// Sends [`COUNT`] packets on two ports with two queues each, which receive `input`; returns what they sent.
fn measure(options: &str, input: &[Vec<Vec<u8>>; 4]) -> (Outcome, Vec<Vec<Vec<u8>>>) {
    let scratch = Scratch::new();
    let file = |name: &str, queue: usize| -> PathBuf { scratch.path(&format!("{name}{queue}")) };
    let mut program = Program::new(&format!(
        "sendrecv -p net_pcap0 -p net_pcap1 -r 2 -t 2 --src 10.0.0.1 --src-port-range 100-100 --dest 10.0.0.2:7 \
         --dest-mac 02:00:00:00:00:02 --no-peer-report --offload off --seed 7 --tag-key 7 --packet-size {SIZE} \
         --count {COUNT} --drain 0.1 {options}"
    ));
    for port in 0..2 {
        let mut vdev = format!("net_pcap{port}");
        for queue in [2 * port, 2 * port + 1] {
            pcap::write(&file("rx", queue), &input[queue]);
            let (rx, tx) = (file("rx", queue), file("tx", queue));
            write!(vdev, ",rx_pcap={},tx_pcap={}", rx.display(), tx.display()).unwrap();
        }
        program = program.vdev(vdev);
    }
    // In one row: when a packet of another run claims to have been sent depends on that run.
    let outcome = program.measured(60_000).run();
    let _ = outcome.summary();
    (outcome, (0..4).map(|queue| pcap::read(&file("tx", queue))).collect())
}

/// As it comes back: addresses and ports swapped, which no checksum notices.
fn turned(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    for (at, len) in [(0, 6), (IPS, 4), (UDP, 2)] {
        let (first, second) = frame[at..at + 2 * len].split_at_mut(len);
        first.swap_with_slice(second);
    }
    frame
}

#[test]
fn what_the_path_has_harmed_is_in_the_file_with_the_reason() {
    let (_, sent) = measure("", &Default::default());
    let other = End { mac: [2; 6], ip: [10, 9, 9, 9], port: 9 };
    let ours = End { mac: [4; 6], ip: [10, 0, 0, 1], port: 100 };
    // What each queue gets: frames, and why they are rejected.
    let expected: Vec<Vec<_>> = (0..)
        .zip(&sent)
        .map(|(queue, sent)| {
            let mut frames: Vec<_> = sent[..3].iter().map(|frame| turned(frame)).collect();
            let at = 20 + queue;
            let before = frames[0][PAYLOAD + at];
            frames[0][PAYLOAD + at] ^= 0x10;
            // Not the first wrong one.
            frames[0][PAYLOAD + SIZE - 1] ^= 1;
            let after = before ^ 0x10;
            frames[1][UDP_CHECKSUM] ^= 0x10;
            frames[2][12] = 0x55;
            frames.push(Datagram::new(other, ours, 100 + queue).frame());
            let reasons = [
                &*format!(
                    "corrupt: filler, payload byte {at} is {after:#04x} and was sent as {before:#04x}"
                ),
                "corrupt: udp_checksum",
                "corrupt: header",
                "foreign: other_flow",
            ];
            let reasons = reasons.map(|reason| {
                format!("{reason}; port net_pcap{}, rx queue {}", queue / 2, queue % 2)
            });
            frames.into_iter().zip(reasons).collect()
        })
        .collect();
    let mut frames = [(); 4].map(|()| Vec::new());
    for ((input, expected), sent) in frames.iter_mut().zip(&expected).zip(&sent) {
        // Two that are valid, and a copy.
        input.extend([3, 4, 3].map(|packet: usize| turned(&sent[packet])));
        input.extend(expected.iter().map(|(frame, _)| frame.clone()));
    }

    let scratch = Scratch::new();
    let [all, some] = ["all", "some"].map(|name| scratch.path(name));
    let began_ns = now_ns();
    let (outcome, _) = measure(&format!("--pcap {}", all.display()), &frames);
    let ended_ns = now_ns();
    outcome.summary().assert_counts(&[
        ("rx.valid", 8),
        ("rx.duplicate", 4),
        ("rx.corrupt", 12),
        ("rx.corrupt_reasons.filler", 4),
        ("rx.foreign", 4),
    ]);
    let Some(packets) = read(&all) else { return };
    assert_eq!(packets.len(), 16);
    assert!(packets.is_sorted_by_key(|packet| packet.at_ns), "{packets:?}");
    for (queue, expected) in expected.iter().enumerate() {
        let mine: Vec<_> = packets
            .iter()
            .filter(|packet| expected.iter().any(|(frame, _)| *frame == packet.frame))
            .collect();
        assert_eq!(mine.len(), 4, "queue {queue}: {packets:?}");
        for (packet, (frame, reason)) in mine.iter().zip(expected) {
            assert!((began_ns..ended_ns).contains(&packet.at_ns), "{packet:?}");
            assert_eq!((&packet.frame, packet.len), (frame, frame.len()));
            if let Some(more) = &packet.more {
                let interface = format!("net_pcap{}", queue / 2);
                assert_eq!(*more, (interface, reason.clone()));
            }
        }
    }

    let (outcome, _) = measure(&format!("--pcap {} --pcap-packets 3", some.display()), &frames);
    outcome.summary().assert_counts(&[("rx.corrupt", 12), ("rx.foreign", 4)]);
    assert_eq!(read(&some).unwrap().len(), 3);
}

/// What is dropped and why, until a signal comes.
#[test]
fn what_reflect_ignores_is_in_the_file_with_the_reason() {
    let scratch = Scratch::new();
    let [input, output, file] = ["in", "out", "rejected"].map(|name| scratch.path(name));
    let cases = golden::cases();
    let frames: Vec<_> = cases.iter().map(|case| case.frame.clone()).collect();
    pcap::write(&input, &frames);
    let vdev = format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display());
    let program = Program::new(&format!("reflect --pcap {}", file.display())).vdev(vdev);
    let mut reflector = program.summed_up().start_polling();
    // The line of the second in which they came.
    reflector.wait_for(" s  tx ");
    let summary = reflector.finish_by(Signal::Term).summary();
    let dropped: Vec<_> = cases.iter().filter(|case| case.reason().is_some()).collect();
    summary.assert_counts(&[
        ("rx.received", cases.len() as u64),
        ("rx.foreign", dropped.len() as u64),
    ]);
    let Some(packets) = read(&file) else { return };
    assert_eq!(packets.len(), dropped.len());
    for (packet, case) in packets.iter().zip(dropped) {
        // Of a frame that is too long for its buffer, the beginning is kept.
        assert!(!packet.frame.is_empty() && case.frame.starts_with(&packet.frame), "{}", case.name);
        assert_eq!(packet.len, case.frame.len(), "{}", case.name);
        if let Some((_, comment)) = &packet.more {
            let why = format!("foreign: {}; port net_pcap0, rx queue 0", case.reason().unwrap());
            assert_eq!(*comment, why, "{}", case.name);
        }
        let is_whole = packet.frame.len() == case.frame.len();
        assert_eq!(is_whole, case.reason() != Some("segmented"), "{}", case.name);
    }
}
