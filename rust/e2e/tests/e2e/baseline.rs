//! `udpbaseline`, over a veth pair: with itself, and with `dpdkproj` (`net_af_packet`) as its peer.
//!
//! All tests here need the same (root, `ip netns`, `ethtool`), so that they run or are skipped together.

use dpdkproj_e2e::netns::{Checksums, Veth};
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Outcome, Program, Run, cpu};
use std::time::Duration;

const COUNT: u64 = 700;

/// A veth pair with an address of the kernel at both ends.
fn kernels_or_skip() -> Option<Veth> {
    let veth = Veth::or_skip(Checksums::Partial)?;
    veth.ours.ip(&format!("address add {}/24 dev {}", Veth::OUR_IP, Veth::OURS));
    Some(veth)
}

/// `udpbaseline sendrecv` from our end to the reflector at the kernel's end.
fn sender(veth: &Veth, options: &str) -> Program {
    let flow = format!("--src {} --dest {}:7", Veth::OUR_IP, Veth::PEER_IP);
    Program::baseline(&format!("sendrecv {flow} {options}"))
        .undisturbed()
        .inside(&veth.ours)
        .summed_up()
}

/// Every value of `--io` that this kernel has.
fn ways() -> Vec<&'static str> {
    // Refused in any case: no interface has this address.
    let refused = Program::baseline("reflect --bind 192.0.2.1:7 --io io_uring").run();
    let mut ways = vec!["plain", "mmsg", "gso", "io_uring", "io_uring_zc"];
    if let Some(line) = refused.stderr().lines().find(|line| line.contains("--io io_uring: ")) {
        println!("SKIPPED: {line}");
        ways.truncate(3);
    }
    ways
}

/// `udpbaseline reflect` at the kernel's end.
fn reflector(veth: &Veth, options: &str) -> Run {
    let reflect = format!("reflect --bind {}:7 -q {options}", Veth::PEER_IP);
    Program::baseline(&reflect).undisturbed().inside(&veth.peer).summed_up().start_polling()
}

/// All packets came back, except those that a socket or a port had no room for and counted.
fn assert_complete(sent: &Outcome, reflected: &Outcome, count: u64) {
    let (sent, reflected) = (sent.summary(), reflected.summary());
    let missed = sent.count("lost.nic") + sent.count("lost.reflector_nic");
    sent.assert_counts(&[
        ("tx.sent", count),
        ("rx.valid", count - missed),
        ("rx.received", count - missed),
        ("lost.total", missed),
        ("lost.unknown", 0),
    ]);
    let arrived = count - sent.count("lost.reflector_nic");
    sent.assert_counts(&[("reflector.received", arrived), ("reflector.sent", arrived)]);
    // A kernel at the other end of the link also sends by itself, which a port sees.
    let received = arrived + reflected.count("rx.foreign");
    reflected.assert_counts(&[("rx.received", received), ("tx.sent", arrived)]);
}

#[test]
fn every_way_to_call_the_kernel_brings_all_packets_back() {
    let Some(veth) = kernels_or_skip() else { return };
    for io in ways() {
        for options in [
            "--packet-size 16 --rate 3k",
            "--packet-size 300 --rate 3k --pattern burst:32 --reflector-seq",
            "--packet-size 1472 --rate 2k --pacing spin",
            "--packet-size 17 --rate 5k --pattern burst:100 --burst-size 100 -j 2",
        ] {
            let jobs = if options.contains("-j") { "-j 3" } else { "" };
            let reflector = reflector(&veth, &format!("--io {io} --rcvbuf 1048576 {jobs}"));
            let options = format!("{options} --io {io} --count {COUNT} -q --rcvbuf 1048576");
            let sent = sender(&veth, &options).run();
            let reflected = reflector.finish_by(Signal::Term);
            assert_complete(&sent, &reflected, COUNT);
            let summary = sent.summary();
            if options.contains("stamp") {
                assert!(summary.number("latency_ns.network.p50") > 0.0, "{summary}");
            }
        }
    }
}

#[test]
fn dpdkproj_reflects_what_it_sends() {
    for checksums in [Checksums::Whole, Checksums::Partial] {
        let Some(veth) = Veth::or_skip(checksums) else { return };
        veth.add_ipv6();
        for [src, dest] in [[Veth::PEER_IP, "10.9.0.1:7"], [Veth::PEER_IPV6, "[fd00:9::1]:7"]] {
            for (size, rate) in [(16, "2k"), (300, "1500")] {
                let vdev = format!("net_af_packet0,iface={}", Veth::OURS);
                let reflector = Program::new("reflect -q").vdev(vdev).inside(&veth.ours);
                let reflector = reflector.summed_up().start_polling();
                let line = format!(
                    "sendrecv --src {src} --dest {dest} --packet-size {size} --rate {rate} --count {COUNT} -q"
                );
                let sent = Program::baseline(&line).inside(&veth.peer).measured(100).run();
                assert_complete(&sent, &reflector.finish_by(Signal::Term), COUNT);
                assert_eq!(sent.table().sum(|row| row.tx), COUNT);
            }
        }
    }
}

#[test]
fn it_reflects_what_dpdkproj_sends() {
    for checksums in [Checksums::Whole, Checksums::Partial] {
        let Some(veth) = Veth::or_skip(checksums) else { return };
        for options in ["", "--reflector-seq"] {
            let reflector = reflector(&veth, "");
            let line = format!(
                "sendrecv --src {} --dest {}:7 --packet-size 300 --rate 1500 --count {COUNT} -q {options}",
                Veth::OUR_IP,
                Veth::PEER_IP
            );
            let vdev = format!("net_af_packet0,iface={}", Veth::OURS);
            let sent = Program::new(&line).vdev(vdev).inside(&veth.ours).summed_up().run();
            assert_complete(&sent, &reflector.finish_by(Signal::Term), COUNT);
        }
    }
}

/// The reflector stops reading, and its buffer is full.
#[test]
fn what_a_socket_has_no_room_for_is_its_loss() {
    let Some(veth) = kernels_or_skip() else { return };
    let mut reflector = reflector(&veth, "--rcvbuf 8192");
    let mut sender = sender(&veth, "--rate 10k --count 5000 -q").start();
    sender.wait_for_polling();
    reflector.signal(Signal::Stop);
    std::thread::sleep(Duration::from_millis(150));
    reflector.signal(Signal::Cont);
    let sent = sender.finish();
    let reflected = reflector.finish_by(Signal::Term);
    assert_complete(&sent, &reflected, 5000);
    let (sent, reflected) = (sent.summary(), reflected.summary());
    let dropped = reflected.count("port.rxq_ovfl");
    assert!(dropped > 100, "{reflected}");
    let lost = sent.count("lost.total");
    assert_eq!(sent.count("lost.reflector_nic"), lost, "{sent}");
    // Questions that came meanwhile had no room either.
    let unanswered = sent.count("tx.control") - sent.count("rx.control");
    assert_eq!(dropped, lost + unanswered, "{sent}");
    assert!(reflected.count("port.udp_rcvbuf_errors") >= dropped, "{reflected}");
}

/// Questions for counters and packets of another host are not answered.
#[test]
fn only_those_who_are_allowed_are_answered() {
    let Some(veth) = kernels_or_skip() else { return };
    let other = "10.9.0.3";
    veth.ours.ip(&format!("address add {other}/24 dev {}", Veth::OURS));
    let reflector = reflector(&veth, &format!("--allow {}/32", Veth::OUR_IP));
    let refused = format!(
        "sendrecv --src {other} --dest {}:7 --count 50 --rate 1k --drain 0.1 -q",
        Veth::PEER_IP
    );
    let refused = Program::baseline(&refused).inside(&veth.ours).summed_up().run().summary();
    let asked = refused.count("tx.control");
    refused.assert_counts(&[("tx.sent", 50), ("rx.received", 0), ("lost.total", 50)]);
    let sent = sender(&veth, "--count 40 --rate 1k -q").run().summary();
    sent.assert_counts(&[("tx.sent", 40), ("rx.valid", 40), ("lost.total", 0)]);
    let reflected = reflector.finish_by(Signal::Term).summary();
    reflected.assert_counts(&[("tx.sent", 40)]);
    let ignored = reflected.count("rx.foreign_reasons.not_allowed");
    // The summary of the refused run has no questions from before its measurement.
    assert!(ignored >= 50 + asked, "{reflected}");
    assert_eq!(reflected.count("rx.received"), 40 + ignored, "{reflected}");
}

/// Two reflectors, and a packet whose addresses are theirs.
#[test]
fn two_reflectors_do_not_answer_each_other() {
    let Some(veth) = kernels_or_skip() else { return };
    let theirs = reflector(&veth, "");
    let ours = format!("reflect --bind {}:7 -q", Veth::OUR_IP);
    let ours = Program::baseline(&ours).inside(&veth.ours).summed_up().start_polling();
    let line = format!(
        "sendrecv --src {} --src-port-range 7-7 --dest {}:7 --dest-mac {} --count 1 --no-peer-report -q",
        Veth::PEER_IP,
        Veth::OUR_IP,
        Veth::OUR_MAC
    );
    let vdev = format!("net_af_packet0,iface={}", Veth::PEER);
    let _ = Program::new(&line).vdev(vdev).inside(&veth.peer).run().expect_code(0);
    let [ours, theirs] = [ours, theirs].map(|run| run.finish_by(Signal::Term).summary());
    ours.assert_counts(&[("rx.received", 1), ("tx.sent", 1), ("port.rxq_ovfl", 0)]);
    theirs.assert_counts(&[("rx.received", 0), ("tx.sent", 0), ("port.rxq_ovfl", 1)]);
}

#[test]
fn threads_are_on_the_cpus_that_were_asked_for() {
    let Some(veth) = kernels_or_skip() else { return };
    let asked = [cpu(1), cpu(0)];
    let line = format!("--rate 1k -q --no-peer-report --cpus {},{}", asked[0], asked[1]);
    let mut run = sender(&veth, &line).start();
    run.wait_for_polling();
    std::thread::sleep(Duration::from_millis(100));
    let threads = run.threads();
    for (name, cpu) in ["tx0", "rx1"].into_iter().zip(asked) {
        let found = threads.iter().find(|(found, _)| found == name);
        assert_eq!(found.map(|(_, cpus)| &cpus[..]), Some(&[cpu][..]), "{threads:?}");
    }
    let _ = run.finish_by(Signal::Int).expect_code(0);
}

#[test]
fn what_the_kernel_cannot_do_is_refused_with_the_option() {
    let Some(veth) = kernels_or_skip() else { return };
    for (options, expected) in [
        ("--packet-size 1473", "--packet-size 1473: the port's MTU of 1500 leaves 1472 bytes"),
        ("--cpus 4000", "--cpus 4000: this process may use "),
        (
            "-j 2 --src-port-range 500-500",
            "--src-port-range: each of 2 sockets needs a port of its own",
        ),
        ("--src 10.9.0.77", "--src, --src-port-range: a socket with the address 10.9.0.77:10000: "),
    ] {
        let flow = if options.contains("--src ") { "" } else { "--src 10.9.0.1" };
        let line = format!("sendrecv {flow} --dest {}:7 {options}", Veth::PEER_IP);
        let outcome = Program::baseline(&line).inside(&veth.ours).run().expect_code(2);
        let lines: Vec<_> = outcome.stderr().lines().collect();
        assert_eq!(lines.len(), 1, "{outcome:?}");
        assert!(lines[0].contains(expected), "{outcome:?}");
    }
}
