//! Known in, known out: what a reflector does to packets on purpose is what the sender reports, to
//! the packet, with its place.

use dpdkproj_e2e::program::{Memif, Outcome};

/// All kinds of harm, alone and together, from one in a million to everything.
const MATRIX: [&str; 15] = [
    "drop=0",
    "drop=1e-6",
    "drop=1e-4",
    "drop=0.01",
    "drop=0.5",
    "drop=1",
    "duplicate=0.01",
    "duplicate=1",
    "corrupt=0.001",
    "corrupt=1",
    "reorder=0.01:1",
    "reorder=0.3:5",
    "delay=3ms,drop=0.01",
    "blackout=100ms:100ms",
    "drop=0.02,duplicate=0.03,corrupt=0.04,reorder=0.05:7,delay=300us",
];

/// How long a run waits for packets that will never be there: several times longer than one is under way
/// here, even if the machine is busy.
const SHORT: &str = "--drain 0.3";

/// One flow: others may overtake each other.
const ONE_FLOW: &str = "-q --src-port-range 7-7";

fn over_memif(impair: &str, options: &str) -> [Outcome; 2] {
    Memif::measure(&format!("-q --impair {impair} --impair-seed 7"), |link| {
        link.sendrecv(&format!("{ONE_FLOW} {options}")).measured(10).run()
    })
}

#[test]
fn the_matrix_over_shared_memory() {
    for (impair, stamp) in MATRIX.iter().zip(["", "--reflector-seq"].iter().cycle()) {
        let options = format!("--rate 400k --count 200000 {SHORT} {stamp}");
        let [sent, reflected] = over_memif(impair, &options);
        let summaries = [sent.summary(), reflected.summary()];
        summaries[0].assert_knows(impair, &summaries[1]);
        println!("{impair} {stamp}: {}", summaries[1].value("impaired"));
        assert_eq!(sent.table().sum(|row| row.rx), summaries[0].count("rx.valid"));
    }
}

/// Of a sender and a reflector with two queues each, and of flows that are swept.
#[test]
fn several_queues_and_flows_add_up() {
    let impair = "drop=0.02,duplicate=0.03,corrupt=0.04";
    let [sent, reflected] = Memif::measure(&format!("-q -r 2 -t 2 --impair {impair}"), |link| {
        let options = "-q --rate 100k --count 50001 -r 2 -t 2 --src-port-range 1-3 --reflector-seq";
        link.sendrecv(&format!("{options} {SHORT}")).measured(10).run()
    });
    sent.summary().assert_knows(impair, &reflected.summary());
}

/// A copy of a packet that comes too late is a duplicate all the same.
#[test]
fn a_late_packet_is_late_once() {
    let [sent, _] = over_memif("duplicate=1,delay=1500ms", "--rate 5k --count 2000 --drain 3");
    let summary = sent.summary();
    let late = summary.count("rx.late");
    assert!(late > 0, "{summary}");
    summary.assert_counts(&[
        ("rx.duplicate", 2000),
        ("rx.valid", 2000 - late),
        ("lost.late", late),
        ("lost.total", late),
    ]);
}

/// What is held when it is stopped is sent, not forgotten: its ledger balances.
#[test]
fn a_reflector_that_is_stopped_under_traffic_keeps_nothing() {
    let link = Memif::new();
    let options = "-q --impair delay=5ms,reorder=0.5:3 --duration 0.7";
    let reflector = link.reflect(options);
    let sender = link.sendrecv("-q --rate 100k --duration 2").summed_up().start();
    let reflected = reflector.finish();
    let _ = sender.finish();
    let summary = reflected.summary();
    assert!(summary.count("tx.sent") > 0, "{summary}");
}

/// As fast as it goes: the reflector's own losses are told apart from those on purpose.
#[test]
fn the_matrix_at_full_speed() {
    for impair in [
        "drop=1e-6",
        "drop=0.1",
        "corrupt=0.01,duplicate=0.01,drop=0.01",
        "reorder=0.9:1000,drop=0.1",
    ] {
        let [sent, reflected] = over_memif(impair, &format!("--duration 1 {SHORT}"));
        let [sent, reflected] = [sent.summary(), reflected.summary()];
        println!("{impair}: {} sent", sent.count("tx.sent"));
        let did = |what: &str| reflected.count(&format!("impaired.{what}"));
        let refused = reflected.count("tx.not_sent_reasons.tx_queue_full");
        sent.assert_counts(&[
            ("lost.reflector", did("dropped") + refused),
            ("lost.forward", 0),
            ("lost.unknown", 0),
        ]);
        assert!(did("dropped") > 0, "{reflected}");
        // A corrupt packet may be what the reflector's tx queue refused.
        if refused == 0 {
            sent.assert_knows(impair, &reflected);
        }
    }
}

#[test]
fn a_run_without_harm_has_no_lost_direction_and_a_shorter_way_without_the_reflector() {
    let [sent, _] =
        over_memif("delay=2ms", "--rate 50k --count 20000 --reflector-seq --packet-size 34");
    let summary = sent.summary();
    summary.assert_lossless(20_000);
    let [with, without] =
        ["latency_ns.p50", "latency_ns.network.p50"].map(|key| summary.count(key));
    assert!(with >= 2_000_000 - 16_000, "{summary}");
    assert!(without + 1_900_000 < with, "{summary}");
    assert!(summary.count("latency_ns.since_due.p50") >= with, "{summary}");
}

#[test]
fn a_limit_that_is_broken_is_exit_code_3() {
    let run = |limits: &str| {
        let options = format!("--rate 50k --count 5000 {SHORT} {limits}");
        let [sent, _] = over_memif("drop=0.1", &options);
        sent
    };
    let _ = run("--max-loss 50% --max-latency p99=10s").expect_code(0);
    let broken = run("--max-loss 1% --max-latency p50=1ns").expect_code(3);
    for limit in
        ["limit     BROKEN: --max-loss 1.000 %: ", "limit     BROKEN: --max-latency p50=1 ns: "]
    {
        assert!(broken.stderr().contains(limit), "{}", broken.stderr());
    }
}

/// What is lost while it warms up is in no result, and the reflector's counters are not mixed up.
#[test]
fn a_warm_up_counts_nowhere() {
    let [sent, reflected] = over_memif(
        "blackout=0s:200ms",
        "--rate 50k --catch-up 1000000 --count 20000 --warmup 0.5 --drain 0.5",
    );
    let summary = sent.summary();
    summary.assert_lossless(20_000);
    summary.assert_counts(&[("reflector.received", 20_000), ("reflector.dropped", 0)]);
    assert_eq!([summary.value("warmup_s"), summary.value("drain_s")], [0.5, 0.5]);
    let reflected = reflected.summary();
    assert!(reflected.count("impaired.dropped") > 1000, "{reflected}");
    assert!(reflected.count("rx.received") > 40_000, "{reflected}");
}
