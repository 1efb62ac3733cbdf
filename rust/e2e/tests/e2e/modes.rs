//! Modes that are not the program's own: whatever they are called, they are what they say they are.

#![allow(clippy::unwrap_used, reason = "this is how a test fails")]

use dpdkproj_e2e::golden;
use dpdkproj_e2e::golden::{Datagram, End};
use dpdkproj_e2e::pcap;
use dpdkproj_e2e::program::{Memif, Outcome, Program, cpu};
use dpdkproj_e2e::scratch::Scratch;
use std::path::Path;

/// As many as were once thrown away and accounted for: 36 of 53.
const FRAMES: usize = 53;
const DROPPED: u64 = 36;

/// So many different frames.
fn frames(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|index| vec![u8::try_from(index).unwrap(); 60]).collect()
}

/// The mode on a port that receives [`FRAMES`] frames.
fn on_frames(mode: &str, scratch: &Scratch) -> Program {
    let [input, output] = ["in.pcap", "out.pcap"].map(|name| scratch.path(name));
    pcap::write(&input, &frames(FRAMES));
    let vdev = format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display());
    Program::with_test_modes(&format!("{mode} --count {FRAMES}")).vdev(vdev)
}

fn ledger_of(outcome: &Outcome) -> &str {
    outcome.stderr().lines().find(|line| line.starts_with("ledger")).unwrap()
}

/// It answers questions, knows flows, harms on purpose, and has all columns and keys.
#[test]
fn a_reflector_under_another_name_is_worth_no_less() {
    let mirror = || Program::with_test_modes("mirror -q --impair drop=0.1").measured(10);
    let [sent, reflected] = Memif::measure_by(mirror, |link| {
        link.sendrecv("-q --rate 20k --count 4000 --reflector-seq").measured(10).run()
    });
    sent.summary().assert_knows("drop=0.1", &reflected.summary());
    assert!(sent.summary().value("reflector.why_unknown").is_null(), "{}", sent.summary());
    assert!(reflected.stderr().contains("--- mirror: "), "{}", reflected.stderr());
    assert!(reflected.table().rows.iter().all(|row| row.lost.is_some()));
}

#[test]
fn it_sends_back_what_reflect_does() {
    let cases = golden::cases();
    let scratch = Scratch::new();
    let (input, count) = (golden::capture(&scratch), cases.len());
    let outputs = ["reflect", "mirror"].map(|mode| {
        let scratch = Scratch::new();
        let output = scratch.path("out.pcap");
        let vdev = format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display());
        let program = Program::with_test_modes(&format!("{mode} --count {count}"));
        let outcome = program.vdev(vdev).measured(1000).run();
        assert_eq!(outcome.table().sum(|row| row.rx), count as u64);
        pcap::read(&output)
    });
    let expected: Vec<_> = cases.iter().filter_map(|case| case.sent().cloned()).collect();
    assert!(outputs.iter().all(|output| *output == expected));
}

#[test]
fn limits_and_queues_are_refused_by_what_a_mode_is() {
    for (line, error) in [
        (
            "mirror --max-loss 1%",
            "--max-loss, --max-latency: mirror cannot know; give them to sendrecv",
        ),
        (
            "thin --max-latency p99=1ms",
            "--max-loss, --max-latency: thin cannot know; give them to sendrecv",
        ),
        (
            "mirror -r 2 -t 1",
            "-r 2 -t 1: mirror sends on the tx queue with the number of the rx queue; give the same \
             number to both, or leave -t out",
        ),
        ("rxonly -t 1", "-t 1: rxonly sends nothing and has no tx queues; leave -t out"),
        (
            "cross -r 2",
            "the mode wants tx queue 1, and there are 1 tx queues: raise -t, or register the mode \
             with the queues it needs",
        ),
        (
            "undeclared",
            "undeclared: a mode that counts has no reflectors; register it with another meaning",
        ),
        ("twice", "twice: a second worker for queue 0"),
        ("mistaken", "mistaken: asks for --many as a duration, and has registered it as a number"),
        (
            "decimate --every 0",
            "invalid value '0' for '--every <N>': expected a whole number, at least 1",
        ),
        ("rxonly --every 2", "unexpected argument '--every' found"),
    ] {
        let outcome = Program::with_test_modes(line).vdev("net_null0").run().expect_code(2);
        let lines = outcome.own_lines();
        assert_eq!(lines.last(), Some(&&*format!("dpdkproj: {error}")), "{outcome:?}");
    }
}

/// A port that always has packets: on two queues, with and without tx queues of the same number.
#[test]
fn two_rx_queues_are_enough_said() {
    let lcores = format!("0@{},1@{}", cpu(0), cpu(1));
    for mode in ["pass", "rxonly", "mirror", "cross -t 2"] {
        let program = Program::with_test_modes(&format!("{mode} -r 2 --count 100000 -q"));
        let outcome = program.vdev("net_null0").lcores(&lcores).measured(10).run();
        let table = outcome.table();
        assert!(table.own.is_empty(), "{mode} has no counters of its own: {table:?}");
        let received = table.sum(|row| row.rx);
        assert!(received >= 100_000, "{mode}: {received}");
    }
}

#[test]
fn what_one_queue_gets_another_one_may_send() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path(name).display().to_string();
    let [first, second] = [frames(20), frames(30)[20..].to_vec()];
    pcap::write(Path::new(&path("in0")), &first);
    pcap::write(Path::new(&path("in1")), &second);
    let vdev = format!(
        "net_pcap0,rx_pcap={},rx_pcap={},tx_pcap={},tx_pcap={}",
        path("in0"),
        path("in1"),
        path("out0"),
        path("out1")
    );
    let program = Program::with_test_modes("cross -r 2 -t 2 --count 30").vdev(vdev).summed_up();
    let summary = program.run().summary();
    summary.assert_counts(&[("rx.received", 30), ("tx.sent", 30), ("rx.dropped", 0)]);
    assert_eq!(pcap::read(Path::new(&path("out0"))), second);
    assert_eq!(pcap::read(Path::new(&path("out1"))), first);
}

#[test]
fn a_mode_that_says_what_it_drops_accounts_for_every_packet() {
    let scratch = Scratch::new();
    let outcome = on_frames("thin", &scratch).measured(1000).run();
    let sent = FRAMES as u64 - DROPPED;
    outcome.summary().assert_counts(&[
        ("rx.received", FRAMES as u64),
        ("rx.dropped", DROPPED),
        ("tx.sent", sent),
        ("lost.total", 0),
    ]);
    assert_eq!(pcap::read(&scratch.path("out.pcap")).len() as u64, sent);
    assert_eq!(outcome.table().sum(|row| row.dropped.unwrap()), DROPPED);
    let line = "\nreceived  53 = sent 17 + tx_queue_full 0 + dropped 36\n";
    assert!(outcome.stderr().contains(line), "{}", outcome.stderr());
}

#[test]
fn a_mode_that_drops_in_silence_is_found_out() {
    let scratch = Scratch::new();
    let outcome = on_frames("leak", &scratch).run().expect_code(1);
    let expected = "received = sent + refused + dropped: 53 is not 17";
    assert_eq!(ledger_of(&outcome), format!("ledger    NOT BALANCED: {expected}"));
    let line = format!("dpdkproj: the ledger does not balance: {expected}");
    assert!(outcome.own_lines().contains(&&*line), "{outcome:?}");
}

/// [`FRAMES`] UDP packets that are told apart by their length, which come in and which go out.
fn datagrams() -> Vec<Datagram> {
    let end = |number: u8| End { mac: [2, 0, 0, 0, 0, number], ip: [10, 0, 0, number], port: 7 };
    (0..FRAMES).map(|index| Datagram::new(end(1), end(2), 20 + index)).collect()
}

/// Its option, its counter, and what is left go everywhere that those of the program go.
#[test]
fn an_example_with_an_option_and_a_counter_is_worth_no_less() {
    let help = Program::with_test_modes("decimate --help").run();
    for part in [
        "\nOptions of decimate alone:\n      --every <N>  Drop one of N packets [default: 10]\n",
        "\nCounters of decimate alone:\n  decimated  every N-th, dropped\n",
    ] {
        assert!(help.stdout().contains(part), "{}", help.stdout());
    }
    for (option, every) in [("", 10), ("--every 1", 1), ("--every 7", 7), ("--every 54", 54)] {
        let scratch = Scratch::new();
        let [input, output] = ["in.pcap", "out.pcap"].map(|name| scratch.path(name));
        let came: Vec<_> = datagrams().iter().map(Datagram::frame).collect();
        pcap::write(&input, &came);
        let vdev = format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display());
        let line = format!("decimate {option} --count {FRAMES}");
        let outcome = Program::with_test_modes(&line).vdev(vdev).measured(1000).run();

        let left = datagrams().into_iter().enumerate().filter(|(i, _)| (i + 1) % every != 0);
        let left: Vec<_> = left.map(|(_, datagram)| datagram.reply().frame()).collect();
        assert_eq!(pcap::read(&output), left, "{line}");
        let [sent, decimated] = [left.len(), FRAMES - left.len()].map(|count| count as u64);
        let summary = outcome.summary();
        summary.assert_counts(&[
            ("rx.received", FRAMES as u64),
            ("tx.sent", sent),
            ("rx.dropped", decimated),
            ("counters.decimated", decimated),
            ("lost.total", 0),
        ]);
        assert_eq!(summary.value("queues")[0]["counters.decimated"], decimated);
        let table = outcome.table();
        let [(name, cells)] = &table.own[..] else { panic!("{table:?}") };
        assert_eq!((name.as_str(), cells.iter().sum()), ("decimated", decimated));
        assert_eq!(table.sum(|row| row.dropped.unwrap()), decimated);
        let told = format!(
            "\nreceived  53 = sent {sent} + tx_queue_full 0 + dropped {decimated} (decimated {decimated})\n"
        );
        assert!(outcome.stderr().contains(&told), "{}", outcome.stderr());
        assert_eq!(ledger_of(&outcome), "ledger    balanced: every packet is accounted for");
    }
}

/// What it says it dropped is what a sender misses.
#[test]
fn what_the_example_dropped_the_sender_lost() {
    let decimate = || Program::with_test_modes("decimate -q --every 8").measured(10);
    let [sent, returned] = Memif::measure_by(decimate, |link| {
        link.sendrecv("-q --rate 20k --count 4000 --no-peer-report").measured(10).run()
    });
    let [sent, returned] = [sent.summary(), returned.summary()];
    if sent.port_missed() + returned.port_missed() == 0 {
        returned.assert_counts(&[
            ("rx.received", 4000),
            ("counters.decimated", 500),
            ("tx.sent", 3500),
        ]);
    }
    let decimated = returned.count("counters.decimated");
    assert!(sent.count("lost.total") >= decimated && decimated > 0, "{sent}{returned}");
    assert_eq!(returned.value("ledger_balanced"), true, "{returned}");
}

#[test]
fn a_mode_s_own_counters_are_held_to_the_ledger() {
    for (mode, broken) in [
        ("understate", "received = sent + refused + dropped: 53 is not "),
        ("stray", "packets in counters that the mode has not registered = 0: 53 is not 0"),
    ] {
        let scratch = Scratch::new();
        let outcome = on_frames(mode, &scratch).run().expect_code(1);
        let ledger = ledger_of(&outcome);
        assert!(ledger.starts_with(&format!("ledger    NOT BALANCED: {broken}")), "{ledger}");
    }
}

#[test]
fn a_mode_that_only_counts_claims_no_more() {
    for mode in ["census", "rxonly"] {
        let scratch = Scratch::new();
        let outcome = on_frames(mode, &scratch).summed_up().run();
        outcome.summary().assert_counts(&[("rx.received", FRAMES as u64)]);
        assert_eq!(
            ledger_of(&outcome),
            "ledger    balanced: the counts equal what the port delivered and accepted; nothing else \
             is checked"
        );
        assert!(!outcome.stderr().contains("accounted for"), "{}", outcome.stderr());
    }
}
