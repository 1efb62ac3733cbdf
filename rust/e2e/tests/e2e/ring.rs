//! One process that hears itself: `net_ring`, where what a tx queue sends comes in on the rx queue
//! with the same number.
//!
//! Nobody swaps addresses here, so what comes back is valid only where the flow is its own mirror
//! image.

use dpdkproj_e2e::program::{Program, cpu};

/// A flow whose packets look like their own reflection.
const MIRROR: &str =
    "--src 10.0.0.1 --src-port-range 7-7 --dest 10.0.0.1:7 --dest-mac 02:00:00:00:00:02";
/// One whose packets do not.
const OTHER: &str = "--src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 02:00:00:00:00:02";

fn sendrecv(flow: &str, options: &str) -> Program {
    Program::new(&format!("sendrecv {flow} {options}")).vdev("net_ring0").measured(10)
}

#[test]
fn a_count_is_sent_and_comes_back_exactly() {
    const COUNT: u64 = 20_000;
    let outcome = sendrecv(MIRROR, "--count 20000 --rate 200k").run();
    let summary = outcome.summary();
    summary.assert_lossless(COUNT);
    // Right here, and a mistake nearly everywhere else.
    let said = "dpdkproj: --src 10.0.0.1 --dest 10.0.0.1:7: the same address, which only a port in loopback answers";
    assert_eq!(outcome.stderr().matches(said).count(), 1, "{}", outcome.stderr());
    // Every packet that was due was sent, or has a reason.
    let reasons = ["no_mbuf", "pacer_shortfall", "tx_queue_full"];
    let reasons = reasons.map(|reason| summary.count(&format!("tx.not_sent_reasons.{reason}")));
    assert_eq!(summary.count("tx.due"), COUNT + reasons.iter().sum::<u64>(), "{summary}");
    assert_eq!(summary.value("tx.requested_pps"), 200_000.0);

    let table = outcome.table();
    // A packet is never early: the last one is due after 99.995 ms.
    assert!(table.rows.len() >= 10, "{:?}", table.rows);
    assert_eq!(table.rows.iter().map(|row| row.time_ms % 10).sum::<u64>(), 0);
    assert!(table.rows.iter().all(|row| row.loss_ratio.is_none_or(|ratio| ratio == 0.0)));
}

#[test]
fn as_fast_as_possible_loses_nothing_either() {
    let outcome = sendrecv(MIRROR, "--count 300000 --packet-size 1472").run();
    let summary = outcome.summary();
    summary.assert_lossless(300_000);
    assert!(summary.value("tx.requested_pps").is_null());
    assert_eq!(outcome.table().sum(|row| row.tx), 300_000);
}

/// The workers of two queues, on one lcore and on two.
#[test]
fn several_queues_share_count_and_rate() {
    for lcores in [format!("0@{}", cpu(0)), format!("0@{},1@{}", cpu(0), cpu(1))] {
        let program = sendrecv(MIRROR, "--count 9999 --rate 100k -r 2 -t 2 -q");
        let outcome = program.lcores(lcores).run();
        outcome.summary().assert_lossless(9999);
        assert_eq!(outcome.table().sum(|row| row.rx), 9999);
    }
}

#[test]
fn packets_of_another_flow_are_foreign_and_ours_are_all_lost() {
    let outcome = sendrecv(OTHER, "--count 3000 --rate 100k").run();
    let summary = outcome.summary();
    summary.assert_counts(&[
        ("tx.sent", 3000),
        ("rx.received", 3000),
        ("rx.foreign", 3000),
        ("rx.foreign_reasons.other_address", 3000),
        ("rx.valid", 0),
        ("lost.total", 3000),
    ]);
    assert_eq!(
        summary.value("rx.other_address").as_str().map(|from| &from[..9]),
        Some("10.0.0.1:")
    );
    let said = "3,000 of the foreign ones have our tag and came from 10.0.0.1:";
    assert!(outcome.stderr().contains(said), "{}", outcome.stderr());
    assert!(outcome.stderr().contains("as they were sent: they were not reflected"));
    assert_eq!(summary.value("loss_ratio"), 1.0, "{summary}");
    assert!(summary.value("latency_ns.mean").is_null(), "{summary}");

    let table = outcome.table();
    let sending: Vec<_> = table.rows.iter().filter(|row| row.tx > 0).collect();
    assert!(!sending.is_empty());
    for row in sending {
        assert_eq!((row.rx, row.loss_ratio, row.latency_ns), (0, Some(1.0), None), "{row:?}");
    }
}
