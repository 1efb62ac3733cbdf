//! DPDK's own `dpdk-testpmd` as the peer, over memif: a program that knows nothing of us.

#![allow(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]

use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Memif, Outcome, Program};
use dpdkproj_e2e::testpmd::Testpmd;
use std::time::Duration;

const COUNT: u64 = 3000;

const V4: &str = "--src 10.0.0.1 --dest 10.0.0.2:7";
const V6: &str = "--src fd00::1 --dest [fd00::2]:7";
/// With the same address and port at both ends, a reflected packet looks as it did when it was sent.
const MIRRORED_V4: &str = "--src 10.0.0.1 --src-port-range 7-7 --dest 10.0.0.1:7";
const MIRRORED_V6: &str = "--src fd00::1 --src-port-range 7-7 --dest [fd00::1]:7";

/// Addresses, VLAN tags and a payload size.
const LAYOUTS: [(&str, &str, u16); 6] = [
    (V4, "", 16),
    (V6, "", 17),
    (V4, "--vlan 5", 1472),
    (V6, "--vlan 4094", 1452),
    (V4, "--vlan 10,5", 64),
    (V6, "--vlan 10,5", 16),
];

/// The ledger, when `returned` packets came back and were valid.
fn all_valid(returned: u64) -> Vec<(&'static str, u64)> {
    let mut expected = vec![("tx.due", COUNT), ("tx.sent", COUNT)];
    expected.extend([("rx.received", returned), ("rx.valid", returned)]);
    expected.extend(["lost.total", "lost.unknown"].map(|key| (key, COUNT - returned)));
    expected.retain(|(_, count)| *count > 0);
    expected
}

/// The ledger, when `returned` packets came back as they had been sent.
fn none_valid(returned: u64) -> Vec<(&'static str, u64)> {
    let other = "rx.foreign_reasons.other_address";
    let mut expected = vec![("tx.due", COUNT), ("tx.sent", COUNT)];
    expected.extend(["rx.received", "rx.foreign", other].map(|key| (key, returned)));
    expected.extend(["lost.total", "lost.unknown"].map(|key| (key, COUNT)));
    expected
}

/// The result of a sender of [`COUNT`] packets with `testpmd` in `mode` at the other end, and how many
/// packets that could not return: its port accepts nothing yet when the first packets arrive.
fn sender_to(mode: &str, flow: &str, options: &str) -> (Outcome, u64) {
    for _ in 0..3 {
        let link = Memif::new();
        let mut testpmd = Testpmd::start(mode, &link.end(0, "server", Memif::REFLECTOR_MAC), "");
        let always = format!(
            "--count {COUNT} --catch-up 1000000 --rate 30k -q --drain 0.3 --ecn ect0 --dscp ef"
        );
        let sender = link.sendrecv_to("client", flow, &format!("{always} {options}"));
        let outcome = sender.summed_up().run();
        if let Some(forwarded) = testpmd.stop() {
            return (outcome, forwarded.dropped);
        }
        println!("testpmd died when the sender had gone; once more");
    }
    panic!("testpmd always dies when the sender goes");
}

fn assert_ledger(mode: &str, flow: &str, options: &str, of: fn(u64) -> Vec<(&'static str, u64)>) {
    let (outcome, dropped) = sender_to(mode, flow, &format!("{options} --no-peer-report"));
    outcome.summary().assert_ledger(&of(COUNT - dropped));
}

/// It exchanges MAC addresses, IP addresses and ports, as a reflector does.
#[test]
fn what_5tswap_returns_is_valid() {
    if !Testpmd::or_skip() {
        return;
    }
    for (flow, tags, size) in LAYOUTS {
        assert_ledger("5tswap", flow, &format!("{tags} --packet-size {size}"), all_valid);
    }
}

/// Our questions come back as they are, and are no answers.
#[test]
fn what_5tswap_returns_of_our_questions_is_not_taken_for_an_answer() {
    if !Testpmd::or_skip() {
        return;
    }
    let (outcome, dropped) = sender_to("5tswap", V4, "");
    let summary = outcome.summary();
    summary.assert_ledger(&all_valid(COUNT - dropped));
    assert_eq!(summary.value("reflector.why_unknown"), "the peer only echoes");
}

/// It exchanges MAC addresses only: nobody has reflected these packets, and they are named as such.
#[test]
fn what_macswap_returns_was_reflected_by_nobody() {
    if !Testpmd::or_skip() {
        return;
    }
    for (flow, tags, size) in &LAYOUTS[..4] {
        assert_ledger("macswap", flow, &format!("{tags} --packet-size {size}"), none_valid);
    }
    for flow in [MIRRORED_V4, MIRRORED_V6] {
        assert_ledger("macswap", flow, "", all_valid);
    }
}

/// It answers ARP and ping, and takes in everything else: it is found, and its silence is loss.
#[test]
fn icmpecho_is_found_by_arp_and_everything_sent_to_it_is_lost() {
    if !Testpmd::or_skip() {
        return;
    }
    let link = Memif::new();
    let _testpmd = Testpmd::start("icmpecho", &link.end(0, "server", Memif::REFLECTOR_MAC), "");
    let args = format!(
        "sendrecv {V4} --count {COUNT} --catch-up 1000000 --rate 30k -q --drain 0.3 --no-peer-report"
    );
    let outcome = link.client("client", &args).summed_up().run();
    let summary = outcome.summary();
    summary.assert_ledger(&[
        ("tx.due", COUNT),
        ("tx.sent", COUNT),
        ("lost.total", COUNT),
        ("lost.unknown", COUNT),
    ]);
    let next_hop = &summary.value("ports")[0]["next_hop"];
    assert_eq!(next_hop["dest_mac"], Memif::REFLECTOR_MAC, "{summary}");
    assert_eq!(next_hop["known_by"], "arp", "{summary}");
}

/// It sends as fast as it can, without UDP checksums, to many addresses: all of it comes back, and none of
/// it is ours.
#[test]
fn flowgen_gets_back_what_it_sent() {
    if Testpmd::or_skip() {
        let is_whole = (0..3).any(|_| flowgen_gets_back());
        assert!(is_whole, "the reflector always dies at its end");
    }
}

/// `false` if the reflector has died at its end.
fn flowgen_gets_back() -> bool {
    let link = Memif::new();
    let reflector = link.reflect_by(Program::new("reflect -q").summed_up());
    let vdev = link.end(0, "client", Memif::SENDER_MAC);
    let mut testpmd = Testpmd::start("flowgen", &vdev, "--flowgen-flows=5000 --no-flush-rx");
    std::thread::sleep(Duration::from_millis(300));
    let mut total = testpmd.stop().expect("its peer is still there");
    let sent = total.sent;
    assert!(sent > 10_000, "{total:?}");
    // What is still under way.
    loop {
        testpmd.forward("rxonly");
        std::thread::sleep(Duration::from_millis(200));
        let more = testpmd.stop().expect("its peer is still there").received;
        total.received += more;
        if more == 0 {
            break;
        }
    }
    let outcome = reflector.finish_by(Signal::Term);
    if outcome.died_at_its_end() {
        println!("the reflector died of SIGSEGV at its end; once more");
        return false;
    }
    let summary = outcome.summary();
    println!("flowgen sent {sent} packets, {} came back", total.received);
    let refused = summary.count("tx.not_sent");
    let mut expected =
        vec![("rx.received", sent), ("tx.sent", sent - refused), ("tx.not_sent", refused)];
    expected.extend([("tx.not_sent_reasons.tx_queue_full", refused), ("lost.total", refused)]);
    expected.retain(|(_, count)| *count > 0);
    summary.assert_ledger(&expected);
    assert_eq!(total.received, sent - refused, "{summary}");
    // A question, and a flow that asked one, would be ours.
    summary.assert_counts(&[("rx.control", 0), ("tx.control", 0), ("flows.known", 0)]);
    true
}
