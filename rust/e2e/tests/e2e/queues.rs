//! How busy the queues are, which end is the bottleneck, and how evenly packets are spread, in
//! situations that leave no doubt.

use dpdkproj_e2e::pressure::Pressure;
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Memif, Program};
use dpdkproj_e2e::results::Summary;
use dpdkproj_e2e::scratch::Scratch;
use std::thread::sleep;
use std::time::Duration;

fn assert_bottleneck(summary: &Summary, end: &str, queue: &str) {
    assert_eq!(summary.value("bottleneck.end"), end, "{summary}");
    assert_eq!(summary.value("bottleneck.queue"), queue, "{summary}");
}

/// `net_null` delivers a full burst in every poll.
#[test]
fn a_queue_that_is_never_empty_is_the_bottleneck() {
    let scratch = Scratch::new();
    let per_queue = scratch.path("queues.csv");
    let options =
        format!("--duration 0.3 --stats-interval-ms 100 --per-queue {}", per_queue.display());
    let program = Program::new(&format!("rxonly -q {options}")).vdev("net_null0").summed_up();
    let outcome = program.run().expect_code(0);
    let summary = outcome.summary();
    assert_bottleneck(&summary, "receiver", "rx0");
    let polls = summary.count("queues.0.polls");
    assert_eq!(summary.count("queues.0.busy_polls"), polls);
    assert_eq!(summary.count("queues.0.full_bursts_in_a_row"), polls);
    assert_eq!(summary.count("rx.received"), 32 * polls, "{summary}");
    assert!(summary.value("queues.0.backlog_max").is_null(), "the driver does not tell: {summary}");
    let said = "\nbottleneck: receiver, rx queue 0: 100.000 % busy, ";
    assert!(outcome.stderr().contains(said), "{}", outcome.stderr());
    // Intervals add up to the run, and a run of full bursts goes on from one to the next.
    let rows = std::fs::read_to_string(&per_queue).unwrap();
    let column = |name: &str| {
        let index = rows.lines().next().unwrap().split(',').position(|column| column == name);
        let cells =
            rows.lines().skip(1).map(move |row| row.split(',').nth(index.unwrap()).unwrap());
        cells.map(|cell| cell.parse().unwrap()).collect::<Vec<u64>>()
    };
    assert_eq!(column("polls").iter().sum::<u64>(), polls, "{rows}");
    assert_eq!(column("busy_polls"), column("polls"), "{rows}");
    assert_eq!(column("full_bursts_in_a_row").last(), Some(&polls), "{rows}");
    assert!(rows.lines().skip(1).all(|row| row.ends_with(',')), "the backlog is unknown: {rows}");
}

#[test]
fn at_a_rate_that_both_ends_keep_up_with_there_is_none() {
    let pressure = Pressure::new();
    // What is late for want of CPU time is sent all the same: it is no sign of a slow sender.
    let options = "-q --count 2000 --rate 10k --catch-up 1000000";
    let [sent, reflected] = Memif::measure("", |link| link.sendrecv(options).summed_up().run());
    let none = "\nbottleneck: none seen\n";
    if !pressure.holds(sent.stderr().contains(none), sent.stderr()) {
        return;
    }
    for outcome in [&sent, &reflected] {
        let summary = outcome.summary();
        assert!(summary.value("bottleneck.end").is_null(), "{summary}");
        assert!(summary.value("bottleneck.reflector_unknown").is_null(), "{summary}");
        assert!(outcome.stderr().contains(none), "{}", outcome.stderr());
    }
    // Both tell the same of the reflector's queue.
    let [sent, reflected] = [sent.summary(), reflected.summary()];
    let busy = sent.number("reflector.busiest.busy_share");
    assert!(busy > 0.0 && busy < 0.95, "{sent}");
    assert_eq!(sent.value("reflector.busiest.queue"), "rx0");
    assert_eq!(sent.count("reflector.busiest.full_burst"), 32);
    let [in_run, in_all] =
        [sent.count("reflector.busiest.busy_polls"), reflected.count("queues.0.busy_polls")];
    assert!(in_run > 0 && in_run <= in_all, "{in_run} of {in_all}");
}

/// A reflector that loses its CPU finds its ring full, while the sender finds no room.
#[test]
fn a_reflector_that_falls_behind_is_named_by_the_sender() {
    let [sent, reflected] = Memif::repeat_if_it_dies(|| {
        let link = Memif::new();
        let mut reflector = link.reflect("");
        let options = "-q --duration 1.5 --rate 200k --stats-evict-threshold-secs 5";
        let mut sender = link.sendrecv(options).summed_up().start();
        sender.wait_for("dpdkproj: sendrecv runs");
        sleep(Duration::from_millis(300));
        reflector.signal(Signal::Stop);
        // The ring holds 4096 packets: 20 ms.
        sleep(Duration::from_millis(400));
        reflector.signal(Signal::Cont);
        [sender.finish(), reflector.finish_by(Signal::Term)]
    });
    let [told, own] = [sent.summary(), reflected.summary()];
    assert_bottleneck(&told, "reflector", "rx0");
    assert!(told.count("tx.not_sent") > 0, "{told}");
    // The ring was full: 4096 packets are 128 bursts.
    let run = told.count("reflector.busiest.full_bursts_in_a_row");
    assert!(run >= 100, "{told}");
    assert_eq!(own.count("queues.0.full_bursts_in_a_row"), run, "{own}");
}

/// Over memif, what is sent on a tx queue arrives on the rx queue with its number.
#[test]
fn a_queue_with_all_packets_is_warned_of() {
    let [sent, reflected] = Memif::measure("-r 2 -t 2", |link| {
        link.sendrecv("-q --count 2000 --rate 50k -r 2 -t 1").summed_up().run()
    });
    for outcome in [sent, reflected] {
        let summary = outcome.summary();
        let told = serde_json::json!({"index": 0.5, "most_queue": "rx0", "most_over_mean": 2.0});
        assert_eq!(summary.value("ports.0.rx_fairness"), &told, "{summary}");
        let warning = "\n          WARNING: rx0 has 2.0 times its share: ";
        assert!(outcome.stderr().contains(warning), "{}", outcome.stderr());
    }
}
