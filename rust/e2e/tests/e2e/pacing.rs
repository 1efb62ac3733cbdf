//! The rate asked for, whatever else is going on: on `net_null`, which takes every packet, and on
//! `net_ring`, where a process hears itself.

use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Memif, Program, cpu};
use dpdkproj_e2e::results::Summary;
use std::time::Duration;

const FLOW: &str =
    "--src 10.0.0.1 --src-port-range 7-7 --dest 10.0.0.1:7 --dest-mac 02:00:00:00:00:02";

/// Sends into nothing, from an lcore of its own where there are two CPUs.
fn into_nothing(options: &str) -> Program {
    sender(options).summed_up()
}

/// Nothing comes back, so there is nothing to wait for at the end.
fn sender(options: &str) -> Program {
    let line = format!("sendrecv {FLOW} --no-peer-report --drain 0.1 -q {options}");
    Program::new(&line).vdev("net_null0").lcores(format!("0@{},1@{}", cpu(1), cpu(0)))
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

/// What was due is the rate times the time, to the packet; whatever was done about it.
#[test]
fn what_is_due_is_the_rate_times_the_time() {
    for queues in 1..=3 {
        for interval_ms in [1, 1000] {
            let options =
                format!("-t {queues} --rate 123457 --duration 1 --stats-interval-ms {interval_ms}");
            let outcome = into_nothing(&options).run();
            let summary = outcome.summary();
            assert_eq!(summary.count("tx.due"), 123_457, "{summary}");
            assert_checked(&summary, queues);
            assert!(outcome.stderr().contains("\npacing    within 64 ns "), "{}", outcome.stderr());
            assert!(outcome.stderr().contains("\nlcores    stalls "), "{}", outcome.stderr());
        }
    }
}

/// Whatever the pattern, and from the first moment on.
#[test]
fn every_pattern_has_the_rate_times_the_time() {
    for (options, due) in [
        ("--rate 1000pps --duration 2", 2_000),
        ("--rate 1 --duration 1", 1),
        ("--rate 0.5 --duration 1", 1),
        ("--rate 2.5 --duration 1", 3),
        ("--rate 1m --pattern burst:10000 --duration 1", 1_000_000),
        ("--rate 1000pps --pattern burst:300 --duration 1", 1_000),
        ("--rate 100k --pattern poisson --duration 1", 100_000),
        ("-R 50 --stats-interval-ms 10 --pattern poisson -t 3 --duration 0.995", 4_975),
        ("--rate 1k --pattern burst:7 -t 3 --duration 0.5", 500),
        ("--rate 1k --pacing spin --duration 0.1", 100),
        ("--rate 3k --warmup 0.2 --duration 0.1", 300),
    ] {
        let summary = into_nothing(options).run().summary();
        assert_eq!(summary.count("tx.due"), due, "{options}: {summary}");
        assert!(summary.count("tx.sent") > 0, "{options}: {summary}");
        assert!(summary.count("tx.sent_late") <= summary.count("tx.sent"), "{options}: {summary}");
    }
}

/// The process has no CPU for a second and a half: each row has what was due in it.
#[test]
fn what_was_due_in_a_pause_is_in_the_rows_of_the_pause() {
    let options = "--rate 10k --duration 3";
    let mut sender = sender(options).measured(50).start_polling();
    std::thread::sleep(Duration::from_millis(500));
    sender.signal(Signal::Stop);
    std::thread::sleep(Duration::from_millis(1500));
    sender.signal(Signal::Cont);
    let outcome = sender.finish();
    let rows = outcome.table().rows;
    let due: Vec<u64> = rows.iter().filter_map(|row| row.due).map(|[due, _]| due).collect();
    assert_eq!(due[..60], [500; 60], "{rows:?}");
    assert_eq!(due.iter().sum::<u64>(), 30_000);
    // A row and a half at either end of the pause may have been sent in part.
    let of_the_pause = rows.iter().filter(|row| row.tx == 0 && row.due == Some([500, 500]));
    assert!(of_the_pause.count() >= 26, "{rows:?}");
}

/// A queue that is full for a while delays packets, and loses none of those that may be so late.
#[test]
fn what_a_full_tx_queue_refuses_is_sent_later() {
    let timeout = "--catch-up 1000000 --stats-evict-threshold-secs 20";
    let options = format!("{timeout} --rate 100k --count 100000 --no-peer-report -q");
    let link = Memif::new();
    let mut reflector = link.reflect("-q");
    let sender = link.sendrecv(&options).measured(100).start_polling();
    std::thread::sleep(Duration::from_millis(200));
    reflector.signal(Signal::Stop);
    // The ring has room for 41 ms.
    std::thread::sleep(Duration::from_millis(300));
    reflector.signal(Signal::Cont);
    let outcome = sender.finish();
    let summary = outcome.summary();
    summary.assert_counts(&[("tx.due", 100_000), ("tx.sent", 100_000), ("tx.not_sent", 0)]);
    assert!(summary.count("tx.sent_late") > 10_000, "{summary}");
    let _ = outcome.table();
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
    assert_eq!(summary.count("tx.due"), 6250, "{summary}");
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
