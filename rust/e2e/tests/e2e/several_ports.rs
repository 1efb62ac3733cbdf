//! One run on several ports.

use dpdkproj_e2e::pcap;
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Memif, Outcome, Program, cpu};
use dpdkproj_e2e::results::Summary;
use dpdkproj_e2e::scratch::Scratch;
use std::fs;

const PORTS: &str = "-p net_memif0 -p net_memif1 -r 2 -t 2";
const SENDERS: [&str; 2] = ["02:00:00:00:00:01", "02:00:00:00:01:01"];
const REFLECTORS: [&str; 2] = ["02:00:00:00:00:02", "02:00:00:00:01:02"];
const SHARED: &str = "--src 10.0.0.1 --dest 10.0.0.2:7";
const OWN: &str = "--src 10.0.0.1 --dest 10.0.0.2:7 --src 10.1.0.1 --dest 10.1.0.2:7";

fn reflector(options: &str, vdevs: &[String]) -> Program {
    let program = Program::new(&format!("reflect {options}")).summed_up().undisturbed();
    vdevs.iter().fold(program, |program, vdev| program.vdev(vdev.clone()))
}

fn sender(links: &[Memif; 2], options: &str) -> Program {
    let [first, second] = REFLECTORS;
    let line =
        format!("sendrecv {PORTS} --dest-mac {first} --dest-mac {second} --rate 20k {options}");
    let ends = links.iter().zip(SENDERS).enumerate();
    let program = Program::new(&line).lcores(format!("0@{}", cpu(1))).summed_up().undisturbed();
    ends.fold(program, |program, (index, (link, mac))| program.vdev(link.end(index, "client", mac)))
}

/// Two ports with two queues each, against two ports of one reflector.
fn over_two_ports(options: &str) -> [Summary; 2] {
    let outcomes = Memif::repeat_if_it_dies(|| {
        let links = [Memif::new(), Memif::new()];
        let ends = links.iter().zip(REFLECTORS).enumerate();
        let vdevs: Vec<_> =
            ends.map(|(index, (link, mac))| link.end(index, "server", mac)).collect();
        let reflecting = reflector(PORTS, &vdevs).start_polling();
        let sent = sender(&links, options).run();
        [sent, reflecting.finish_by(Signal::Term)]
    });
    outcomes.map(|outcome| outcome.summary())
}

/// The share of each port and of each queue, and what each port is called.
fn assert_even(summary: &Summary, packets: u64, queues: &[&str]) {
    for port in 0..2 {
        for key in ["sent", "received"] {
            let of_port = summary.count(&format!("ports.{port}.{key}"));
            assert_eq!(of_port, packets / 2, "{key} of port {port}: {summary}");
        }
        assert_eq!(summary.value(&format!("ports.{port}.name")), &*format!("net_memif{port}"));
    }
    for (index, queue) in queues.iter().enumerate() {
        assert_eq!(summary.value(&format!("queues.{index}.name")), *queue);
        let key = if queue.contains("tx") { "sent" } else { "received" };
        let of_queue = summary.count(&format!("queues.{index}.{key}"));
        assert_eq!(of_queue, packets / 4, "{key} of {queue}: {summary}");
    }
}

#[test]
fn two_ports_with_two_queues_share_the_rate() {
    for addresses in [SHARED, OWN] {
        let scratch = Scratch::new();
        let per_queue = scratch.path("queues.csv");
        let options = format!("{addresses} --count 20000 --per-queue {}", per_queue.display());
        let [sent, reflected] = over_two_ports(&options);
        sent.assert_lossless(20_000);
        let tx_and_rx =
            ["p0.tx0", "p0.tx1", "p1.tx0", "p1.tx1", "p0.rx0", "p0.rx1", "p1.rx0", "p1.rx1"];
        assert_even(&sent, 20_000, &tx_and_rx);
        assert_even(&reflected, 20_000, &["p0.rx0", "p0.rx1", "p1.rx0", "p1.rx1"]);
        let rows = fs::read_to_string(&per_queue).unwrap();
        for (column, queue) in [(4, "tx"), (5, "rx"), (6, "rx")] {
            for name in tx_and_rx.iter().filter(|name| name.contains(queue)) {
                let mine = rows.lines().filter(|line| line.split(',').nth(1) == Some(name));
                let cells = mine.map(|line| line.split(',').nth(column).unwrap());
                let sum: u64 = cells.map(|cell| cell.parse::<u64>().unwrap()).sum();
                assert_eq!(sum, 5000, "column {column} of {name} in {rows}");
            }
        }
        // The counters of the reflector, for one flow or for two, are those of both ports.
        sent.assert_counts(&[("reflector.received", 20_000), ("reflector.sent", 20_000)]);
        for (port, mac) in SENDERS.iter().enumerate() {
            assert_eq!(sent.value(&format!("ports.{port}.mac")), *mac);
            sent.assert_counts(&[(&*format!("ports.{port}.lost"), 0)]);
        }
    }
}

/// Two reflectors, one of which drops packets.
#[test]
fn a_loss_is_that_of_the_port_that_sent_the_packet() {
    let [outcome, sound, lossy] = Memif::repeat_if_it_dies(|| {
        let links = [Memif::new(), Memif::new()];
        let end = |index: usize| [links[index].end(0, "server", REFLECTORS[index])];
        let sound = reflector("-r 2", &end(0)).start_polling();
        let lossy = reflector("-r 2 --impair drop=0.25", &end(1)).start_polling();
        let outcome = sender(&links, &format!("{OWN} --count 20000")).run();
        [outcome, sound.finish_by(Signal::Term), lossy.finish_by(Signal::Term)]
    });
    let [sound, lossy] = [sound, lossy].map(|outcome| outcome.summary());
    let dropped = lossy.count("impaired.dropped");
    assert!(dropped > 2000, "{lossy}");
    sound.assert_counts(&[("rx.received", 10_000), ("tx.sent", 10_000)]);
    let summary = outcome.summary();
    summary.assert_counts(&[
        ("tx.sent", 20_000),
        ("lost.total", dropped),
        ("lost.reflector", dropped),
        ("ports.0.lost", 0),
        ("ports.1.lost", dropped),
        ("ports.1.received", 10_000 - dropped),
    ]);
    let line = format!("\nport p1   sent 10,000  of these lost {},", dropped / 1000);
    assert!(outcome.stderr().contains(&line), "{}", outcome.stderr());
}

/// So many different frames, of which the first has this number.
fn frames(first: u8, count: u8) -> Vec<Vec<u8>> {
    (first..first + count).map(|number| vec![number; 60]).collect()
}

/// What arrives on one port leaves on the other.
#[test]
fn a_mode_may_forward_from_port_to_port() {
    let scratch = Scratch::new();
    let [first, second] = [frames(0, 20), frames(20, 10)];
    let vdev = |index: usize, frames: &[Vec<u8>]| {
        let [arriving, leaving] = ["in", "out"].map(|name| scratch.path(&format!("{name}{index}")));
        pcap::write(&arriving, frames);
        format!("net_pcap{index},rx_pcap={},tx_pcap={}", arriving.display(), leaving.display())
    };
    let program = Program::with_test_modes("cross -p net_pcap0 -p net_pcap1 --count 30")
        .vdev(vdev(0, &first))
        .vdev(vdev(1, &second))
        .summed_up();
    let summary = program.run().summary();
    summary.assert_counts(&[("rx.received", 30), ("tx.sent", 30), ("rx.dropped", 0)]);
    assert_eq!(pcap::read(&scratch.path("out0")), second);
    assert_eq!(pcap::read(&scratch.path("out1")), first);
}

#[test]
fn a_port_cannot_be_used_twice() {
    let program = Program::new("rxonly -p net_null0 -p net_null0").vdev("net_null0");
    let outcome: Outcome = program.run().expect_code(2);
    let lines = outcome.own_lines();
    let error =
        "dpdkproj: -p net_null0: another -p names the same port, net_null0; leave one of them out";
    assert_eq!(lines.last(), Some(&error), "{outcome:?}");
}
