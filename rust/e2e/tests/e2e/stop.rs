//! Stopping is part of the measurement: whatever ends a run, and whenever, nothing is missing from
//! its numbers.

use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Memif, Program};
use dpdkproj_e2e::results::{Summary, Table};
use dpdkproj_e2e::scratch::Scratch;
use dpdkproj_e2e::{golden, pcap};
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

/// Sleeps up to 600 ms. `STOP_SEED` repeats a failure.
fn random_moment(salt: u64) {
    let given = std::env::var("STOP_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(salt));
    let moment = Duration::from_micros(seed % 600_000);
    println!("STOP_SEED={seed}: stops after {moment:?}");
    std::thread::sleep(moment);
}

#[test]
fn a_signal_under_load_loses_no_number() {
    for (salt, signal) in [(0, Signal::Int), (1, Signal::Term), (2, Signal::Int), (3, Signal::Term)]
    {
        let [sent, reflected] = Memif::measure("", |link| {
            let sender = link.sendrecv("-q").measured(7).start_polling();
            random_moment(salt);
            sender.finish_by(signal)
        });
        assert!(sent.stderr().contains("--- sendrecv: "), "{}", sent.stderr());
        let table = sent.table();
        println!("{signal:?}: {} rows, {} packets", table.rows.len(), table.sum(|row| row.tx));
        // What the reflector lost itself is all that can have been lost.
        let lost = sent.summary().count("lost.total");
        assert_eq!(lost, reflected.summary().count("lost.total"), "{}", sent.summary());
    }
}

/// It gets the golden frames again and again, as fast as it takes them. (Not over shared memory:
/// `net_memif` unmaps it when one end goes, and may do so under the other's feet.)
#[test]
fn a_signal_stops_a_reflector_under_load() {
    let scratch = Scratch::new();
    let frames: Vec<_> = golden::cases().into_iter().map(|case| case.frame).collect();
    let one_segment: Vec<_> = frames.iter().filter(|frame| frame.len() < 1515).collect();
    let path = scratch.path("in.pcap");
    pcap::write(&path, &one_segment);
    for (salt, signal) in [(10, Signal::Int), (11, Signal::Term)] {
        let program = Program::new("reflect -q --stats-interval-ms 7 -s -").summed_up();
        let vdev = format!("net_pcap0,rx_pcap={},infinite_rx=1", path.display());
        let reflector = program.vdev(vdev).start_polling();
        random_moment(salt);
        let outcome = reflector.finish_by(signal);
        let summary = outcome.summary();
        assert!(outcome.stderr().contains("--- reflect: "), "{}", outcome.stderr());
        let table = Table::parse(outcome.stdout());
        table.assert_adds_up_to(&summary);
        println!("{signal:?}: {} rows, {} packets", table.rows.len(), table.sum(|row| row.tx));
    }
}

/// Its results are those of a run in which nothing was sent, in the place of older ones.
#[test]
fn a_signal_while_it_warms_up_ends_an_empty_run() {
    let flow = "--src 10.0.0.1 --src-port-range 7-7 --dest 10.0.0.1:7 --dest-mac 02:00:00:00:00:01";
    let scratch = Scratch::new();
    for (salt, rate) in [(15, ""), (16, "--rate 10M"), (17, "--rate 1M --pacing spin")] {
        let [rows, json] = ["stats.csv", "summary.json"].map(|name| scratch.path(name));
        for path in [&rows, &json] {
            std::fs::write(path, "of an older run").expect("it can be written");
        }
        let program = Program::new(&format!("sendrecv -q {flow} {rate} --warmup 60 --drain 0.1"));
        let program = program.arg("-s").arg(&rows).arg("--json").arg(&json);
        let mut sender = program.arg("--max-loss").arg("1%").vdev("net_ring0").start();
        sender.wait_for("warms up for 60.0 s");
        random_moment(salt);
        // What was not sent has kept no limit.
        let outcome = sender.finish_by(Signal::Int).expect_code(3);
        assert!(outcome.stderr().contains("was stopped before it began"), "{}", outcome.stderr());
        let summary = Summary::read(&json);
        assert!(summary.is_balanced(), "{summary}");
        summary.assert_counts(&[("tx.due", 0), ("tx.sent", 0), ("rx.received", 0)]);
        assert!(summary.number("warmup_s") < 5.0, "{summary}");
        let text = std::fs::read_to_string(&rows).expect("it is there");
        assert_eq!(Table::parse(&text).rows.len(), 0, "{text}");
    }
}

/// The other end of its link is never started. Its results are those of a run in which nothing was sent.
#[test]
fn a_signal_while_it_waits_for_its_peer_ends_it_at_once() {
    for (role, waits) in [
        ("client", "port 0 (net_memif) waits for a server that listens on its socket"),
        ("server", "port 0 waits for its link"),
    ] {
        for signal in [Signal::Int, Signal::Term] {
            let link = Memif::new();
            let mut sender = link.sendrecv_as(role, "-q --warmup 1").measured(10).start();
            sender.wait_for(waits);
            let signalled = Instant::now();
            let outcome = sender.finish_by(signal);
            let took = signalled.elapsed();
            // It would wait for ten seconds.
            assert!(took < Duration::from_secs(3), "{role}: {took:?}");
            assert!(outcome.stderr().contains("was stopped before it began"), "{outcome:?}");
            outcome.summary().assert_counts(&[("tx.due", 0), ("tx.sent", 0), ("rx.received", 0)]);
            assert_eq!(outcome.table().rows.len(), 0);
        }
    }
}

#[test]
fn what_was_waited_for_in_vain_is_said() {
    let links = [Memif::new(), Memif::new()];
    let start = |link: &Memif, role| link.sendrecv_as(role, "-q --wait-link 1").start();
    let [client, server] = [start(&links[0], "client"), start(&links[1], "server")];
    let client = client.finish().expect_code(1);
    let expected = "dpdkproj: port 0 (net_memif): no server has listened on its socket for 1 s: start \
                    the peer first, with role=server and the same socket, or raise --wait-link";
    assert_eq!(client.own_lines().last(), Some(&expected), "{client:?}");
    let server = server.finish().expect_code(1);
    let expected = "dpdkproj: the port's link has been down for 1 s: start the peer first, \
                    choose another port with -p, or raise --wait-link";
    assert_eq!(server.own_lines().last(), Some(&expected), "{server:?}");
}

#[test]
fn a_reader_that_goes_away_stops_nothing() {
    for signal in [Signal::Int, Signal::Term] {
        let [sent, _] = Memif::measure("", |link| {
            let sender = link.sendrecv("-q -s /dev/stdout --stats-interval-ms 7").summed_up();
            let (mut sender, stdout) = sender.start_with_stdout();
            let mut header = String::new();
            BufReader::new(stdout).read_line(&mut header).expect("a pipe can be read");
            assert!(header.starts_with("time_ms,tx_packets,"), "{header}");
            // Dropped with its reader: nobody reads any more, and the next row finds out.
            sender.wait_for("dpdkproj: -s /dev/stdout: the reader has gone");
            random_moment(20);
            sender.finish_by(signal)
        });
        assert!(sent.summary().count("rx.valid") > 0, "{}", sent.summary());
    }
}

#[test]
fn a_reader_that_stays_gets_every_row() {
    let read = Cell::new(String::new());
    let [sent, _] = Memif::measure("", |link| {
        let sender = link.sendrecv("-q -s - --stats-interval-ms 1").summed_up();
        let (mut sender, mut stdout) = sender.start_with_stdout();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| text)
        });
        sender.wait_for_polling();
        random_moment(30);
        let sent = sender.finish_by(Signal::Term);
        read.set(reader.join().expect("the thread reads").expect("a pipe can be read"));
        sent
    });
    Table::parse(&read.take()).assert_adds_up_to(&sent.summary());
}

/// A port that hears itself and nothing that is valid: it is waited for, for ten minutes.
fn never_drained() -> Program {
    let flow = "--src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 02:00:00:00:00:02";
    let timeout = "--stats-evict-threshold-secs 600 --stats-interval-ms 60000";
    Program::new(&format!("sendrecv {flow} {timeout} --rate 1k")).vdev("net_ring0")
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut run = never_drained().start_polling();
    // Different ones, because equal ones that wait to be taken are one.
    run.signal(Signal::Int);
    let outcome = run.finish_by(Signal::Term).expect_code(130);
    assert!(!outcome.stderr().contains("--- sendrecv"), "{}", outcome.stderr());
}

/// It is the first signal: what there is is written down.
#[test]
fn a_signal_while_packets_are_waited_for_ends_that() {
    let mut run = never_drained().arg("--count").arg("10").summed_up().start_polling();
    run.wait_for("waiting up to 600 s for in-flight packets (--drain)");
    let summary = run.finish_by(Signal::Int).summary();
    summary.assert_counts(&[("tx.sent", 10), ("rx.received", 10), ("lost.total", 10)]);
    assert!(summary.number("drain_s") < 40.0, "not longer than the test had timeout: {summary}");
}

#[test]
fn a_duration_is_kept() {
    let started = Instant::now();
    let [sent, _] = Memif::measure("", |link| {
        link.sendrecv("-q --rate 10k --duration 0.75").measured(50).run()
    });
    let elapsed = started.elapsed().as_secs_f64();
    let seconds = sent.summary().number("duration_s");
    assert!(seconds >= 0.75 && seconds < elapsed, "{seconds} s of {elapsed} s");
    let last = sent.table().rows.last().map_or(0, |row| row.time_ms);
    assert!(last >= 500, "packets were sent to the end, not until {last} ms");
}
