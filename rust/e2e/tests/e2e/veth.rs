//! The Linux kernel at the other end of a veth pair (`net_af_packet`): whether we speak UDP is not
//! for us to say.
//!
//! All tests here need the same (root, `ip netns`, `ethtool`), so that they run or are skipped
//! together.

use dpdkproj_e2e::netns::{Checksums, Veth};
use dpdkproj_e2e::pcap;
use dpdkproj_e2e::pressure::Pressure;
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Program, cpu};
use dpdkproj_e2e::scratch::Scratch;

const PEER: &str = env!("CARGO_BIN_EXE_udp-peer");

fn on(veth: &Veth, args: &str) -> Program {
    let vdev = format!("net_af_packet0,iface={}", Veth::OURS);
    Program::new(args).vdev(vdev).inside(&veth.ours)
}

/// The kernel's socket holds some 200 kB; so that a pause of 100 ms does no harm, large packets are
/// sent more slowly.
const SIZES: [(u16, &str); 4] = [(16, "2k"), (17, "2k"), (300, "1500"), (1472, "700")];

fn kernel_answers_sendrecv(checksums: Checksums) {
    const COUNT: u64 = 700;
    let Some(veth) = Veth::or_skip(checksums) else { return };
    let address = format!("{}:7", Veth::PEER_IP);
    let mut echo = veth.peer.start(PEER, &["echo", &address]);
    echo.wait_for_stdout("ready");
    for (size, rate) in SIZES {
        let flow = format!("--src {} --dest {address} --dest-mac {}", Veth::OUR_IP, Veth::PEER_MAC);
        let options =
            format!("--count {COUNT} --rate {rate} --packet-size {size} -q --no-peer-report");
        let before = veth.peer.dropped(Veth::PEER);
        let outcome = on(&veth, &format!("sendrecv {flow} {options}")).measured(100).run();
        let summary = outcome.summary();
        // On a busy machine a socket or a ring may run over: who had no room says so.
        let missed = veth.peer.dropped(Veth::PEER) - before + summary.count("lost.nic");
        summary.assert_counts(&[
            ("tx.sent", COUNT),
            ("rx.valid", COUNT - missed),
            ("lost.total", missed),
            ("rx.corrupt", 0),
            ("rx.duplicate", 0),
            ("rx.late", 0),
        ]);
        assert_eq!(outcome.table().sum(|row| row.rx), COUNT - missed);
    }
    let missed = veth.peer.udp_counter("RcvbufErrors");
    let total = COUNT * SIZES.len() as u64 - missed;
    let counters = ["InDatagrams", "OutDatagrams", "InErrors", "InCsumErrors", "NoPorts"];
    let counted = counters.map(|name| veth.peer.udp_counter(name));
    assert_eq!(counted, [total, total, missed, 0, 0], "{counters:?}");
}

#[test]
fn the_kernel_answers_sendrecv_with_whole_checksums() {
    kernel_answers_sendrecv(Checksums::Whole);
}

/// As a veth pair does by itself: the answers carry the pseudo-header's sum only.
#[test]
fn the_kernel_answers_sendrecv_with_partial_checksums() {
    kernel_answers_sendrecv(Checksums::Partial);
}

/// An echo that sends no UDP checksums, as some middleboxes make of packets that had one.
const ECHO_WITHOUT_CHECKSUMS: &str = "
import socket, sys
SO_NO_CHECK = 11
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
echo.bind((sys.argv[1], 7))
print('ready', flush=True)
while True:
    packet, sender = echo.recvfrom(2048)
    echo.sendto(packet, sender)
";

#[test]
fn packets_that_come_back_without_a_checksum_are_valid() {
    const COUNT: u64 = 700;
    for checksums in [Checksums::Whole, Checksums::Partial] {
        let Some(veth) = Veth::or_skip(checksums) else { return };
        let mut echo = veth.peer.start("python3", &["-c", ECHO_WITHOUT_CHECKSUMS, Veth::PEER_IP]);
        echo.wait_for_stdout("ready");
        for (size, rate) in SIZES {
            let flow = format!(
                "--src {} --dest {}:7 --dest-mac {}",
                Veth::OUR_IP,
                Veth::PEER_IP,
                Veth::PEER_MAC
            );
            let options =
                format!("--count {COUNT} --rate {rate} --packet-size {size} -q --no-peer-report");
            let outcome = on(&veth, &format!("sendrecv {flow} {options}")).measured(100).run();
            outcome.summary().assert_counts(&[
                ("tx.sent", COUNT),
                ("rx.valid", COUNT),
                ("rx.no_udp_checksum", COUNT),
                ("rx.corrupt", 0),
                ("lost.total", 0),
            ]);
            let told = format!("{COUNT} of the valid ones came without a UDP checksum");
            assert!(outcome.stderr().contains(&told), "{}", outcome.stderr());
        }
    }
}

fn reflect_answers_the_kernel(checksums: Checksums) {
    const COUNT: u64 = 300;
    let Some(veth) = Veth::or_skip(checksums) else { return };
    let mut reflector = on(&veth, "reflect -q").measured(100).start();
    reflector.wait_for_polling();
    let address = format!("{}:9", Veth::OUR_IP);
    let sizes = ["1", "2", "18", "64", "1471", "1472"];
    for size in sizes {
        let client = veth.peer.start(PEER, &["client", &address, &COUNT.to_string(), size]);
        let _ = client.finish().expect_code(0);
    }
    let total = COUNT * sizes.len() as u64;
    let outcome = reflector.finish_by(Signal::Term);
    outcome.summary().assert_counts(&[("tx.sent", total), ("tx.not_sent", 0)]);
    assert_eq!(outcome.table().sum(|row| row.tx), total);
    // The kernel accepts only what has a whole and right checksum.
    let counters = ["InDatagrams", "OutDatagrams", "InErrors", "InCsumErrors", "NoPorts"];
    let counted = counters.map(|name| veth.peer.udp_counter(name));
    assert_eq!(counted, [total, total, 0, 0, 0], "{counters:?}");
}

#[test]
fn the_kernel_gets_its_bytes_back_from_reflect_with_whole_checksums() {
    reflect_answers_the_kernel(Checksums::Whole);
}

#[test]
fn the_kernel_gets_its_bytes_back_from_reflect_with_partial_checksums() {
    reflect_answers_the_kernel(Checksums::Partial);
}

/// A packet with the addresses of two reflectors goes to and fro between them until its TTL is used up.
#[test]
fn two_reflectors_do_not_answer_each_other_for_ever() {
    // Of two packets that are sent with a TTL of 64, one from each side, each reflector gets those of 64,
    // 62 ... 2, and of 63, 61 ... 1.
    const TURNS: u64 = 64;
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    let on_peer = |args: &str| {
        let vdev = format!("net_af_packet0,iface={}", Veth::PEER);
        Program::new(args).vdev(vdev).inside(&veth.peer)
    };
    let options = format!("reflect -q --count {TURNS}");
    let reflectors = [on(&veth, &options), on_peer(&options)].map(|reflector| {
        let mut reflector = reflector.summed_up().start();
        reflector.wait_for_polling();
        reflector
    });
    // Addresses that neither kernel has.
    let flow = "sendrecv --src 10.9.0.77 --dest 10.9.0.78:7 --count 1 --no-peer-report --drain 0.1 -q --dest-mac";
    let senders = [
        on(&veth, &format!("{flow} {}", Veth::PEER_MAC)),
        on_peer(&format!("{flow} {}", Veth::OUR_MAC)),
    ];
    for sender in senders {
        let _ = sender.run().expect_code(0);
    }
    for reflector in reflectors {
        let summary = reflector.finish().summary();
        summary.assert_counts(&[
            ("rx.received", TURNS),
            ("rx.foreign_reasons.ttl", 1),
            ("rx.foreign", 1),
            ("tx.sent", TURNS - 1),
        ]);
    }
}

/// A socket that is bound to no address answers from the first one of its interface, whichever was asked.
#[test]
fn an_answer_from_another_address_is_named() {
    const COUNT: u64 = 300;
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    veth.peer.ip(&format!("address add 10.9.0.3/24 dev {}", Veth::PEER));
    let mut echo = veth.peer.start(PEER, &["echo", "0.0.0.0:7"]);
    echo.wait_for_stdout("ready");
    let flow = format!("--src {} --dest 10.9.0.3:7 --dest-mac {}", Veth::OUR_IP, Veth::PEER_MAC);
    let options = format!("--count {COUNT} --rate 1k --drain 0.3 -q --no-peer-report");
    let before = veth.peer.dropped(Veth::PEER);
    let outcome = on(&veth, &format!("sendrecv {flow} {options}")).summed_up().run();
    let summary = outcome.summary();
    let missed = veth.peer.dropped(Veth::PEER) - before + summary.port_missed();
    summary.assert_counts(&[
        ("rx.foreign_reasons.other_address", COUNT - missed),
        ("rx.valid", 0),
        ("lost.total", COUNT),
    ]);
    let from = format!("{}:7", Veth::PEER_IP);
    assert_eq!(summary.value("rx.other_address"), from.as_str(), "{summary}");
    let said = format!("have our tag and came from {from}, not from 10.9.0.3:7: the peer answers");
    assert!(outcome.stderr().contains(&said), "{}", outcome.stderr());
}

/// In both namespaces it is the program, until one of them dies.
#[test]
fn a_sender_gets_over_the_death_of_its_reflector() {
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    let vdev = format!("net_af_packet0,iface={}", Veth::PEER);
    let mut reflector = Program::new("reflect -q").vdev(vdev).inside(&veth.peer).start_polling();
    let flow = format!("--src {} --dest 10.9.0.99:7 --dest-mac {}", Veth::OUR_IP, Veth::PEER_MAC);
    let sender = on(&veth, &format!("sendrecv {flow} --rate 5k --duration 2.5"))
        .lcores(format!("0@{}", cpu(1)));
    let mut sender = sender.measured(10).start();
    // A second has passed in which packets were sent and came back.
    sender.wait_for("    1.0 s  tx ");
    reflector.signal(Signal::Kill);
    let outcome = sender.finish();
    let summary = outcome.summary();
    assert!(summary.count("rx.valid") > 0 && summary.count("lost.total") > 0, "{summary}");
    // From a moment on all are lost, and the rows say so.
    let last = outcome.table().rows.iter().rev().find(|row| row.tx > 0).copied();
    assert_eq!(last.map(|row| (row.rx, row.loss_ratio)), Some((0, Some(1.0))));
}

/// The pacing by another clock than its own: that by which the kernel stamps what arrives.
#[test]
fn a_capture_shows_the_rate_and_no_bursts() {
    const SECONDS: u64 = 4;
    let Some(veth) = Veth::or_skip(Checksums::Whole) else { return };
    for rate in [1000, 3000, 10_000] {
        let pressure = Pressure::new();
        let scratch = Scratch::new();
        let file = scratch.path("capture.pcap");
        let (path, count) = (file.to_str().expect("a path in UTF-8"), SECONDS * rate);
        let options = "-n -p -B 8192 --time-stamp-precision nano -Z root";
        let line = format!("{options} -c {count} -i {} -w {path} udp dst port 7", Veth::PEER);
        let args: Vec<_> = line.split(' ').collect();
        let mut capture = veth.peer.start("tcpdump", &args);
        capture.wait_for_stderr("listening on");
        let flow = format!(
            "--src {} --dest {}:7 --dest-mac {}",
            Veth::OUR_IP,
            Veth::PEER_IP,
            Veth::PEER_MAC
        );
        // What is late because of this host is to be sent nevertheless.
        let options = format!(
            "--rate {rate} --count {count} --catch-up {count} --no-peer-report --drain 0.1 -q"
        );
        let sender = on(&veth, &format!("sendrecv {flow} {options}"));
        let outcome = sender.lcores(format!("0@{}", cpu(1))).summed_up().run();
        let summary = outcome.summary();
        summary.assert_counts(&[("tx.sent", count)]);
        let ended = capture.finish().expect_code(0);
        assert!(ended.stderr.contains("\n0 packets dropped by kernel"), "{ended}");
        let times: Vec<_> = pcap::records(&file).iter().map(|record| record.at_ns).collect();
        assert_eq!(times.len() as u64, count);
        let found = 1e9 / slope(&times);
        // As much as NTP slews one of the two clocks.
        let is_exact = (found / rate as f64 - 1.0).abs() < 0.001;
        let close_ns = 100_000_000 / rate;
        let at_once = times.windows(2).filter(|two| two[1] - two[0] <= close_ns).count();
        println!("{rate} pps: {found:.3} pps in the capture, {at_once} of {count} packets at once");
        let what = format!("{found} instead of {rate} pps, {at_once} of {count} packets at once");
        if !pressure.holds(is_exact && at_once as u64 <= count / 100, &what) {
            return;
        }
    }
}

/// By how much `times` grow from one to the next, by least squares: a few that are late at either end
/// do not matter.
fn slope(times: &[u64]) -> f64 {
    let mean_index = (times.len() - 1) as f64 / 2.0;
    let at = |time: u64| (time - times[0]) as f64;
    let mean = times.iter().map(|time| at(*time)).sum::<f64>() / times.len() as f64;
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (index, time) in times.iter().enumerate() {
        let from_mean = index as f64 - mean_index;
        covariance += from_mean * (at(*time) - mean);
        variance += from_mean * from_mean;
    }
    covariance / variance
}
