//! IPv6, VLAN tags, DSCP and ECN, through every kind of port.

#![allow(clippy::unwrap_used, reason = "this is how a test fails")]

use dpdkproj_e2e::netns::{Checksums, Veth};
use dpdkproj_e2e::pcap;
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Memif, Outcome, Program, cpu};
use dpdkproj_e2e::scratch::Scratch;
use std::process::Command;

const PEER: &str = env!("CARGO_BIN_EXE_udp-peer");

const V4: &str = "--src 10.0.0.1 --dest 10.0.0.2:7";
const V6: &str = "--src fd00::1 --dest [fd00::2]:7";

/// Addresses and tags, the largest payload in an MTU of 1500, and what tcpdump calls the headers.
const LAYOUTS: [(&str, &str, u16, &str); 6] = [
    (V4, "", 1472, "ethertype IPv4 (0x0800)"),
    (V6, "", 1452, "ethertype IPv6 (0x86dd)"),
    (V4, "--vlan 5", 1472, ": vlan 5, p 0, ethertype IPv4"),
    (V6, "--vlan 4094", 1452, ": vlan 4094, p 0, ethertype IPv6"),
    (
        V4,
        "--vlan 10,5",
        1472,
        ": vlan 10, p 0, ethertype 802.1Q (0x8100), vlan 5, p 0, ethertype IPv4",
    ),
    (
        V6,
        "--vlan 10,5",
        1452,
        ": vlan 10, p 0, ethertype 802.1Q (0x8100), vlan 5, p 0, ethertype IPv6",
    ),
];

/// Warmed up, stamped, and with the reflector's counters, which locate what it drops on purpose.
#[test]
fn every_layout_comes_back_over_memif() {
    const COUNT: u64 = 4000;
    for (addresses, tags, ..) in LAYOUTS {
        // The counters are the same whatever the headers: one of the layouts will do.
        let impairs = ["", "--impair drop=0.1,corrupt=0.1"];
        for impair in &impairs[..if tags == "--vlan 4094" { 2 } else { 1 }] {
            let options =
                format!("{tags} --count {COUNT} --rate 50k --reflector-seq --warmup 0.1 -r 2 -t 2");
            let [sent, reflected] = Memif::measure(&format!("-r 2 {impair}"), |link| {
                link.sendrecv_to("client", addresses, &options).measured(10).run()
            });
            let [summary, reflected] = [&sent, &reflected].map(Outcome::summary);
            assert_eq!(reflected.count("rx.foreign"), 0, "{reflected}");
            if impair.is_empty() {
                summary.assert_lossless(COUNT);
                summary.assert_counts(&[
                    ("reflector.received", COUNT),
                    ("reflector.sent", COUNT),
                    ("rx.dscp_changed", 0),
                    ("rx.ecn_changed", 0),
                ]);
                assert_eq!(sent.table().sum(|row| row.rx), COUNT);
            } else {
                let dropped = summary.count("lost.reflector");
                assert!(dropped > COUNT / 20 && dropped < COUNT / 5, "{summary}");
                // What a flipped bit does to a field that no checksum covers need not be corruption.
                assert!(summary.count("rx.corrupt") > 0, "{summary}");
            }
        }
    }
}

#[test]
fn every_size_of_every_layout_fits() {
    for (addresses, tags, largest, _) in LAYOUTS {
        for size in [16, 17, largest] {
            let options = format!("{tags} --count 500 --rate 20k --packet-size {size}");
            let [sent, _] = Memif::measure("", |link| {
                link.sendrecv_to("client", addresses, &options).summed_up().run()
            });
            sent.summary().assert_lossless(500);
        }
        let options = format!("{tags} --packet-size {}", largest + 1);
        let link = Memif::new();
        let outcome = link.sendrecv_to("server", addresses, &options).run().expect_code(2);
        let possible = format!("the port's MTU of 1500 leaves {largest} bytes");
        assert!(outcome.stderr().contains(&possible), "{outcome:?}");
    }
}

/// What a program sends on a port that receives the frames in `input`.
fn through(program: Program, input: &[Vec<u8>]) -> (Outcome, Vec<Vec<u8>>) {
    let scratch = Scratch::new();
    let [arriving, leaving] = ["in", "out"].map(|name| scratch.path(name));
    pcap::write(&arriving, input);
    let (rx, tx) = (arriving.display(), leaving.display());
    let outcome = program.vdev(format!("net_pcap0,rx_pcap={rx},tx_pcap={tx}")).run();
    let _ = outcome.summary();
    (outcome, pcap::read(&leaving))
}

const COUNT: usize = 64;

/// The same packets in every run.
fn fixed(addresses: &str, options: &str) -> Program {
    let rest = format!("--dest-mac 02:00:00:00:00:02 --no-peer-report {options}");
    let always = format!("--count {COUNT} --seed 7 --tag-key 7 --src-port-range 100-109");
    Program::new(&format!("sendrecv {addresses} {rest} {always}")).measured(60_000)
}

/// What a run sends that hears nothing, and waits for nothing.
fn captured(addresses: &str, options: &str) -> Vec<Vec<u8>> {
    through(fixed(addresses, options).arg("--drain").arg("0.01"), &[]).1
}

fn reflected(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let program = Program::new(&format!("reflect --count {}", frames.len())).summed_up();
    let (outcome, back) = through(program, frames);
    let count = frames.len() as u64;
    outcome.summary().assert_counts(&[("rx.received", count), ("tx.sent", count)]);
    back
}

#[test]
fn every_layout_comes_back_through_files() {
    for (addresses, tags, ..) in LAYOUTS {
        let sent = captured(addresses, tags);
        assert_eq!(sent.len(), COUNT);
        let (outcome, _) = through(fixed(addresses, tags), &reflected(&sent));
        outcome.summary().assert_lossless(COUNT as u64);
    }
}

/// What tcpdump prints about these frames: one item per frame.
fn printed(frames: &[Vec<u8>]) -> Option<Vec<String>> {
    let scratch = Scratch::new();
    let file = scratch.path("frames.pcap");
    pcap::write(&file, frames);
    let mut command = Command::new("tcpdump");
    let output = command.args(["-n", "-e", "-vv", "-t", "-Z", "root", "-r"]).arg(&file).output();
    let output = output.map_err(|error| println!("SKIPPED: tcpdump: {error}")).ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Further lines of a frame are indented.
    let lines = text.replace("\n\t", " ").replace("\n    ", " ");
    Some(lines.lines().map(Into::into).collect())
}

/// As sent, and as reflected.
#[test]
fn tcpdump_reads_headers_and_finds_checksums_right() {
    for (addresses, tags, _, headers) in LAYOUTS {
        let marks = "--dscp ef --ecn ect0";
        for size in [16, 17, 64] {
            let options = format!("{tags} {marks} --packet-size {size}");
            let sent = captured(addresses, &options);
            let back = reflected(&sent);
            let version = if addresses == V4 { "tos 0xba,ECT(0)" } else { "class 0xba" };
            for (frames, hops) in [(&sent, 64), (&back, 63)] {
                let Some(lines) = printed(frames) else { return };
                assert_eq!(lines.len(), COUNT, "{lines:?}");
                let hops =
                    if addresses == V4 { format!("ttl {hops},") } else { format!("hlim {hops},") };
                for line in lines {
                    for part in
                        [headers, version, &*hops, "[udp sum ok]", &*format!("length {size}")]
                    {
                        assert!(line.contains(part), "no '{part}' in {line}");
                    }
                    assert!(!line.contains("bad"), "{line}");
                }
            }
        }
    }
}

/// A router that rewrites the traffic class: packets stay valid, and are counted.
#[test]
fn a_changed_dscp_or_ecn_is_counted() {
    for (addresses, tags, ..) in LAYOUTS {
        let options = format!("{tags} --dscp af41 --ecn ect1");
        let back = reflected(&captured(addresses, &options));
        // AF41 is 34, ECT(1) is 1.
        for (class, dscp, ecn) in [(34 << 2 | 1, 0, 0), (1, 1, 0), (34 << 2 | 3, 0, 1), (0, 1, 1)] {
            let mut frames = back.clone();
            let every_other = frames.iter_mut().step_by(2);
            every_other.for_each(|frame| set_class(frame, class));
            let (outcome, _) = through(fixed(addresses, &options), &frames);
            let summary = outcome.summary();
            summary.assert_lossless(COUNT as u64);
            let half = COUNT as u64 / 2;
            summary.assert_counts(&[
                ("rx.dscp_changed", dscp * half),
                ("rx.ecn_changed", ecn * half),
                ("rx.corrupt", 0),
            ]);
            let said =
                outcome.stderr().contains("32 of the valid ones came back with another DSCP");
            assert_eq!(said, dscp > 0, "{}", outcome.stderr());
        }
    }
}

/// Rewrites the traffic class as a router does, which updates the checksum of an IPv4 header.
fn set_class(frame: &mut [u8], class: u8) {
    let tags = [12, 16].iter().take_while(|at| [0x81, 0x88].contains(&frame[**at])).count();
    let ip = if frame[12..14] == [0x86, 0xdd] { 14 } else { 14 + 4 * tags };
    if frame[ip] >> 4 == 6 {
        frame[ip] = 0x60 | class >> 4;
        frame[ip + 1] = class << 4 | frame[ip + 1] & 0xf;
        return;
    }
    let mut header = etherparse::Ipv4Header::from_slice(&frame[ip..]).unwrap().0;
    header.dscp = etherparse::IpDscp::try_new(class >> 2).unwrap();
    header.ecn = etherparse::IpEcn::try_new(class & 3).unwrap();
    header.header_checksum = header.calc_header_checksum();
    frame[ip..ip + 20].copy_from_slice(&header.to_bytes());
}

fn on(veth: &Veth, args: &str) -> Program {
    let vdev = format!("net_af_packet0,iface={}", Veth::OURS);
    Program::new(args).vdev(vdev).inside(&veth.ours).lcores(format!("0@{}", cpu(1)))
}

const SIZES: [(u16, &str); 4] = [(16, "2k"), (17, "2k"), (300, "1500"), (1452, "700")];

/// The kernel echoes what we send to `address`; its sockets know nothing of our DSCP, and answer
/// without one.
fn kernel_echoes(veth: &Veth, dev: &str, src: &str, address: &str, tags: &str, counters: &str) {
    const COUNT: u64 = 700;
    let mut echo = veth.peer.start(PEER, &["echo", address]);
    echo.wait_for_stdout("ready");
    for (size, rate) in SIZES {
        let flow = format!("--src {src} --dest {address} --dest-mac {} {tags}", Veth::PEER_MAC);
        let options = format!(
            "--count {COUNT} --rate {rate} --packet-size {size} --dscp cs3 --ecn ect0 -q \
             --no-peer-report"
        );
        let before = veth.peer.dropped(dev);
        let outcome = on(veth, &format!("sendrecv {flow} {options}")).measured(100).run();
        let summary = outcome.summary();
        let missed = veth.peer.dropped(dev) - before + summary.count("lost.nic");
        summary.assert_counts(&[
            ("tx.sent", COUNT),
            ("rx.valid", COUNT - missed),
            ("rx.dscp_changed", COUNT - missed),
            ("rx.ecn_changed", COUNT - missed),
            ("lost.total", missed),
            ("rx.corrupt", 0),
        ]);
    }
    let counted = |name: &str| veth.peer.udp_counter(&format!("{counters}{name}"));
    assert_eq!(["InCsumErrors", "NoPorts"].map(counted), [0, 0]);
    let arrived = counted("InDatagrams") + counted("RcvbufErrors");
    assert_eq!(arrived, COUNT * SIZES.len() as u64);
}

#[test]
fn the_kernel_echoes_ipv6() {
    for checksums in [Checksums::Whole, Checksums::Partial] {
        let Some(veth) = Veth::or_skip(checksums) else { return };
        veth.add_ipv6();
        let address = format!("[{}]:7", Veth::PEER_IPV6);
        kernel_echoes(&veth, Veth::PEER, Veth::OUR_IPV6, &address, "", "Udp6");
    }
}

#[test]
fn the_kernel_echoes_on_its_vlan_interface() {
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    if let Err(reason) = veth.add_vlan(5) {
        return println!("SKIPPED: {reason}");
    }
    veth.give("vlan", "10.8.0.2/24", "10.8.0.1");
    kernel_echoes(&veth, "vlan", "10.8.0.1", "10.8.0.2:7", "--vlan 5", "");
}

/// The kernel accepts only a whole and right checksum, which over IPv6 is never absent.
#[test]
fn the_kernel_gets_its_bytes_back_over_ipv6() {
    const COUNT: u64 = 300;
    for checksums in [Checksums::Whole, Checksums::Partial] {
        let Some(veth) = Veth::or_skip(checksums) else { return };
        veth.add_ipv6();
        let reflector = on(&veth, "reflect -q").measured(100).start_polling();
        let address = format!("[{}]:9", Veth::OUR_IPV6);
        let sizes = ["1", "2", "18", "64", "1451", "1452"];
        for size in sizes {
            let client = veth.peer.start(PEER, &["client", &address, &COUNT.to_string(), size]);
            let _ = client.finish().expect_code(0);
        }
        let total = COUNT * sizes.len() as u64;
        let outcome = reflector.finish_by(Signal::Term);
        outcome.summary().assert_counts(&[("tx.sent", total), ("tx.not_sent", 0)]);
        let counted = ["Udp6InDatagrams", "Udp6InErrors", "Udp6InCsumErrors"];
        assert_eq!(counted.map(|name| veth.peer.udp_counter(name)), [total, 0, 0]);
    }
}

/// The kernel carries the frames, and takes their outer tag out and in again.
#[test]
fn every_layout_comes_back_over_veth() {
    const COUNT: u64 = 2000;
    for (addresses, tags, ..) in LAYOUTS {
        let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
        let vdev = format!("net_af_packet0,iface={}", Veth::PEER);
        let reflector = Program::new("reflect -q").vdev(vdev).inside(&veth.peer).summed_up();
        let reflector = reflector.start_polling();
        let options = format!("{addresses} {tags} --count {COUNT} --rate 5k --packet-size 1400 -q");
        let outcome = on(&veth, &format!("sendrecv {options} --dest-mac {}", Veth::PEER_MAC))
            .summed_up()
            .run();
        let reflected = reflector.finish_by(Signal::Term).summary();
        let summary = outcome.summary();
        let missed = summary.port_missed() + reflected.port_missed();
        summary.assert_counts(&[
            ("tx.sent", COUNT),
            ("lost.total", missed),
            ("rx.valid", COUNT - missed),
            ("rx.corrupt", 0),
        ]);
        if missed == 0 {
            summary.assert_counts(&[("reflector.received", COUNT), ("reflector.sent", COUNT)]);
        }
    }
}
