//! The rate asked for, whatever else is going on: on `net_null`, which takes every packet, and on
//! `net_ring`, where a process hears itself.

use dpdkproj_e2e::program::{Program, cpu};
use dpdkproj_e2e::results::Summary;

const FLOW: &str =
    "--src 10.0.0.1 --src-port-range 7-7 --dest 10.0.0.1:7 --dest-mac 02:00:00:00:00:02";

/// Sends into nothing, from an lcore of its own where there are two CPUs.
fn into_nothing(options: &str) -> Program {
    let line = format!("sendrecv {FLOW} --no-peer-report -q {options}");
    Program::new(&line).vdev("net_null0").lcores(format!("0@{},1@{}", cpu(1), cpu(0))).summed_up()
}

/// Fails the test unless the check of the pacing is there and its numbers agree.
fn assert_checked(summary: &Summary, queues: u64) {
    let count = |key: &str| summary.count(&format!("pacing.{key}"));
    assert_eq!(count("gaps"), summary.count("tx.sent") - queues, "{summary}");
    let within = ["within_64_ns", "within_128_ns", "within_256_ns", "within_512_ns", "gaps"];
    let within = within.map(count);
    assert!(within[0] > 0 && within.is_sorted(), "{summary}");
    assert!(count("micro_bursts_after_stall") <= count("micro_bursts"), "{summary}");
    assert!(count("micro_bursts") <= count("gaps") - count("within_64_ns"), "{summary}");
    assert!(count("stall_max_ns") <= count("stall_ns"), "{summary}");
    assert!(count("stall_ns") >= 10_000 * count("stalls"), "{summary}");
    for key in ["gaps", "within_64_ns", "micro_bursts", "stalls"] {
        let of_queue = |queue| summary.count(&format!("queues.{queue}.pacing.{key}"));
        assert_eq!((0..queues).map(of_queue).sum::<u64>(), count(key), "{key} in {summary}");
    }
}

/// What was due is the rate times the time, to the packet of each queue; whatever was done about it.
#[test]
fn what_is_due_is_the_rate_times_the_time() {
    for queues in 1..=3 {
        for interval_ms in [1, 1000] {
            let options =
                format!("-t {queues} --rate 123457 --duration 1 --stats-interval-ms {interval_ms}");
            let outcome = into_nothing(&options).run();
            let summary = outcome.summary();
            assert!(summary.count("tx.due").abs_diff(123_457) <= queues, "{summary}");
            assert_checked(&summary, queues);
            assert!(outcome.stderr().contains("\npacing    within 64 ns "), "{}", outcome.stderr());
            assert!(outcome.stderr().contains("\nlcores    stalls "), "{}", outcome.stderr());
        }
    }
}

#[test]
fn without_a_rate_there_is_nothing_to_check() {
    for rate in ["", "--rate 0", "-R 0"] {
        let outcome = into_nothing(&format!("--count 1000 {rate}")).run();
        let summary = outcome.summary();
        assert!(summary.value("pacing").is_null(), "{summary}");
        assert!(summary.value("tx.requested_pps").is_null(), "{summary}");
        assert!(!outcome.stderr().contains("\npacing "), "{}", outcome.stderr());
    }
}

/// `net_null` says that it has 10 Gbit/s.
#[test]
fn a_share_of_the_line_rate_is_that_of_the_port() {
    let summary = into_nothing("--rate 0.5% --packet-size 934 --duration 1").run().summary();
    // 50 Mbit/s of 1000 bytes on the wire each.
    assert_eq!(summary.value("tx.requested_pps"), 6250.0, "{summary}");
    assert!(summary.count("tx.due").abs_diff(6250) <= 1, "{summary}");
}

#[test]
fn a_port_that_cannot_keep_the_schedule_refuses_to() {
    let outcome = into_nothing("--rate 1k --pacing hw").start().finish().expect_code(2);
    let stderr = outcome.stderr();
    assert!(stderr.contains("--pacing hw: port 0 (net_null) cannot send packets at given times"));
}

#[test]
fn packets_can_be_waited_for_one_by_one() {
    let line = format!("sendrecv {FLOW} --rate 50k --count 20000 --pacing spin -q -t 2 -r 2");
    let outcome = Program::new(&line).vdev("net_ring0").summed_up().run();
    let summary = outcome.summary();
    summary.assert_lossless(20_000);
    assert_checked(&summary, 2);
    assert!(summary.number("tx.sent_pps") < 50_100.0, "{summary}");
}
