//! Known in, known out: what a reflector does to packets on purpose is what the sender reports, to
//! the packet, with its place.

use dpdkproj_e2e::netns::{Checksums, Veth};
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Memif, Outcome, Program, cpu};
use dpdkproj_e2e::results::Summary;
use std::time::Instant;

const PEER: &str = env!("CARGO_BIN_EXE_udp-peer");

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

/// Fails the test unless the sender reports what the reflector says it did, and nothing else went
/// wrong on the way.
fn assert_known(impair: &str, sent: &Summary, reflected: &Summary) {
    let did = |what: &str| reflected.count(&format!("impaired.{what}"));
    let refused = reflected.count("tx.not_sent_reasons.tx_queue_full");
    let [dropped, corrupted] = [did("dropped"), did("corrupted")];
    let expected = [
        ("rx.duplicate", did("duplicated")),
        ("rx.corrupt", corrupted),
        ("reorder.reordered", did("reordered")),
        ("rx.late", 0),
        ("rx.foreign", 0),
        ("lost.total", dropped + refused + corrupted),
        ("lost.reflector", dropped + refused),
        ("lost.corrupt", corrupted),
        ("lost.forward", 0),
        ("lost.return", 0),
        ("lost.unknown", 0),
        ("reflector.received", sent.count("tx.sent")),
        ("reflector.dropped", dropped),
    ];
    let found = expected.map(|(key, _)| (key, sent.count(key)));
    assert_eq!(found, expected, "{impair}: {sent}{reflected}");
    assert_eq!(did("delayed") > 0, impair.contains("delay"), "{impair}: {reflected}");
    assert_eq!(refused, reflected.count("lost.total"));
}

/// One flow: others may overtake each other.
const ONE_FLOW: &str = "-q --src-port-range 7-7";

fn over_memif(impair: &str, options: &str) -> [Outcome; 2] {
    Memif::measure(&format!("-q --impair {impair} --impair-seed 7"), |link| {
        link.sendrecv(&format!("{ONE_FLOW} {options}")).measured(10).run()
    })
}

#[test]
fn the_matrix_over_shared_memory() {
    for (impair, stamp) in MATRIX.iter().zip(["", "--stamp"].iter().cycle()) {
        let options = format!("--rate 400k --count 200000 {stamp}");
        let [sent, reflected] = over_memif(impair, &options);
        let summaries = [sent.summary(), reflected.summary()];
        assert_known(impair, &summaries[0], &summaries[1]);
        println!("{impair} {stamp}: {}", summaries[1].value("impaired"));
        assert_eq!(sent.table().sum(|row| row.rx), summaries[0].count("rx.valid"));
    }
}

/// Of a sender and a reflector with two queues each, and of flows that are swept.
#[test]
fn several_queues_and_flows_add_up() {
    let impair = "drop=0.02,duplicate=0.03,corrupt=0.04";
    let [sent, reflected] = Memif::measure(&format!("-q -r 2 -t 2 --impair {impair}"), |link| {
        let options = "-q --rate 100k --count 50001 -r 2 -t 2 --src-port-range 1-3 --stamp";
        link.sendrecv(options).measured(10).run()
    });
    assert_known(impair, &sent.summary(), &reflected.summary());
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
        let [sent, reflected] = over_memif(impair, "--duration 2");
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
            assert_known(impair, &sent, &reflected);
        }
    }
}

#[test]
fn a_run_without_harm_has_no_lost_direction_and_a_shorter_way_without_the_reflector() {
    let [sent, _] = over_memif("delay=2ms", "--rate 50k --count 20000 --stamp --packet-size 34");
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
        let options = format!("--rate 50k --count 5000 {limits}");
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
    let [sent, reflected] =
        over_memif("blackout=0s:200ms", "--rate 50k --count 20000 --warmup 0.5 --drain 0.5");
    let summary = sent.summary();
    summary.assert_lossless(20_000);
    summary.assert_counts(&[("reflector.received", 20_000), ("reflector.dropped", 0)]);
    assert_eq!([summary.value("warmup_s"), summary.value("drain_s")], [0.5, 0.5]);
    let reflected = reflected.summary();
    assert!(reflected.count("impaired.dropped") > 1000, "{reflected}");
    assert!(reflected.count("rx.received") > 40_000, "{reflected}");
}

fn veth() -> Option<Veth> {
    match Veth::new(Checksums::Whole) {
        Ok(veth) => Some(veth),
        Err(reason) => {
            println!("SKIPPED: {reason}");
            None
        }
    }
}

fn sendrecv_on(veth: &Veth, options: &str) -> Program {
    let (src, dest, mac) = (Veth::OUR_IP, "10.9.0.99:7", Veth::PEER_MAC);
    Program::new(&format!(
        "sendrecv --src {src} --dest {dest} --dest-mac {mac} {ONE_FLOW} {options}"
    ))
    .vdev(format!("net_af_packet0,iface={}", Veth::OURS))
    .inside(&veth.ours)
    .lcores(format!("0@{}", cpu(1)))
    .undisturbed()
}

fn reflect_on(veth: &Veth, options: &str) -> Program {
    reflect_with_ring(veth, options, "")
}

fn reflect_with_ring(veth: &Veth, options: &str, ring: &str) -> Program {
    Program::new(&format!("reflect -q {options}"))
        .vdev(format!("net_af_packet0,iface={}{ring}", Veth::PEER))
        .inside(&veth.peer)
        .undisturbed()
}

#[test]
fn the_matrix_over_the_kernel() {
    for impair in ["drop=0.01,duplicate=0.02,reorder=0.04:2,delay=1ms", "drop=1", "reorder=0.5:1"] {
        let Some(veth) = veth() else { return };
        let options = format!("--impair {impair} --impair-seed 3");
        let reflector = reflect_on(&veth, &options).summed_up().start_polling();
        let sent = sendrecv_on(&veth, "--rate 10k --count 10000 --stamp").measured(100).run();
        let reflected = reflector.finish_by(Signal::Term);
        assert_known(impair, &sent.summary(), &reflected.summary());
    }
}

/// `net_af_packet` has the kernel put fragments together: a packet in which a bit was flipped that
/// makes it look like one never gets to the port. All others must.
#[test]
fn corruption_over_the_kernel_is_found_but_for_what_it_takes_for_fragments() {
    const COUNT: u64 = 10_000;
    let Some(veth) = veth() else { return };
    let reflector = reflect_on(&veth, "--impair corrupt=1").summed_up().start_polling();
    let sent = sendrecv_on(&veth, "--rate 10k --count 10000").measured(100).run();
    let reflected = reflector.finish_by(Signal::Term).summary();
    let summary = sent.summary();
    reflected.assert_counts(&[("impaired.corrupted", COUNT), ("tx.sent", COUNT)]);
    let swallowed = summary.count("lost.return");
    // Of a port that delivers unfinished checksums, one in 65536 whose tag is wrong has a checksum
    // that looks like that: it may be anybody's then, and nothing of it came back to us.
    assert!(summary.count("rx.foreign") <= 2, "{summary}");
    summary.assert_counts(&[
        ("rx.valid", 0),
        ("rx.corrupt", COUNT - swallowed),
        ("lost.corrupt", COUNT - swallowed),
        ("lost.forward", 0),
    ]);
    // "More fragments" and 13 bits of offset, of the 92 bytes behind the Ethernet header.
    let expected = COUNT * 14 / (92 * 8);
    assert!(swallowed < 2 * expected, "{swallowed} of {COUNT}: {summary}");
}

/// The kernel's echo cannot say what it got: unknown, not zero.
#[test]
fn a_peer_that_cannot_answer_leaves_the_place_unknown() {
    let Some(veth) = veth() else { return };
    let address = format!("{}:7", Veth::PEER_IP);
    let mut echo = veth.peer.start(PEER, &["echo", &address]);
    echo.wait_for_stdout("ready");
    let (ip, mac) = (Veth::OUR_IP, Veth::PEER_MAC);
    let flow = format!("--src {ip} --dest {address} --dest-mac {mac}");
    let outcome = Program::new(&format!("sendrecv {flow} --rate 2k --count 500 -q --stamp"))
        .vdev(format!("net_af_packet0,iface={}", Veth::OURS))
        .inside(&veth.ours)
        .measured(100)
        .run();
    let summary = outcome.summary();
    summary.assert_lossless(500);
    for place in ["forward", "reflector", "return"] {
        assert!(summary.value(&format!("lost.{place}")).is_null(), "{summary}");
    }
    assert_eq!(summary.value("reflector.why_unknown"), "the peer only echoes");
    assert!(summary.value("latency_ns.network").is_null(), "{summary}");
}

/// Killed, and started again: what is told of the blackout agrees with the clock on the wall to
/// within an interval.
#[test]
fn a_reflector_that_is_killed_is_a_blackout_with_its_start_and_length() {
    const INTERVAL_MS: u32 = 100;
    // 13 ms at 5 kpps: what waits in it while nobody polls yet is not lost.
    const RING: &str = ",framesz=2048,blocksz=4096,framecnt=64";
    let Some(veth) = veth() else { return };
    let first = reflect_with_ring(&veth, "", RING).start_polling();
    let sender = sendrecv_on(&veth, "--rate 5k --duration 4");
    let mut sender = sender.measured(INTERVAL_MS).start();
    sender.wait_for_polling();
    let began = Instant::now();
    std::thread::sleep(std::time::Duration::from_millis(900));
    let killed = began.elapsed().as_secs_f64();
    let _ = first.finish_by(Signal::Kill);
    let second = reflect_with_ring(&veth, "", RING).start_polling();
    let again = began.elapsed().as_secs_f64();
    let outcome = sender.finish();
    let _ = second.finish_by(Signal::Term);
    let summary = outcome.summary();
    let [start, length] =
        ["start_s", "duration_s"].map(|key| summary.number(&format!("loss_runs.longest.{key}")));
    println!(
        "killed at {killed:.3} s, again at {again:.3} s: from {start:.3} s, {length:.3} s long"
    );
    let within = f64::from(INTERVAL_MS) / 1000.0;
    assert!((start - killed).abs() <= within, "{start} is not {killed}: {summary}");
    assert!(
        (length - (again - killed)).abs() <= within,
        "{length}: {killed} to {again}: {summary}"
    );
    assert!(summary.value("lost.forward").is_null(), "{summary}");
    let why = "the reflector was restarted or has forgotten this flow";
    assert_eq!(summary.value("reflector.why_unknown"), why, "{summary}");
    // All intervals in between say that all was lost.
    let dark = |row: &&dpdkproj_e2e::results::Row| row.loss_ratio == Some(1.0);
    let table = outcome.table();
    let dark: Vec<_> = table.rows.iter().filter(dark).map(|row| row.time_ms).collect();
    let dark_s = f64::from(INTERVAL_MS) * dark.len() as f64 / 1000.0;
    assert!(dark_s <= length && length < dark_s + 2.0 * within, "{dark:?} for {length} s");
    assert!(dark.is_sorted_by(|a, b| b - a == u64::from(INTERVAL_MS)), "{dark:?}");
}
