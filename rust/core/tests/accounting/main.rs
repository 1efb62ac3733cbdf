//! Senders, a path that misbehaves in known ways, receivers, and the collector, with made-up time:
//! what the path did is what is reported, to the packet.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod path;

use dpdkproj_core::count::log_linear::{bucket, middle_ns};
use dpdkproj_core::count::{Board, Counter, Recorder};
use dpdkproj_core::report::Outcome;
use dpdkproj_core::run::config::Config;
use dpdkproj_core::run::mode::Meaning;
use dpdkproj_core::run::{Collector, Found, Run};
use dpdkproj_core::wire::content::Content;
use dpdkproj_core::wire::flow::Mac;
use dpdkproj_core::wire::reflect::reflect;
use dpdkproj_core::wire::template::{Checksums, Template};
use dpdkproj_core::wire::verify::Verifier;
use dpdkproj_core::work::receiver::{Receiver, ReceiverOptions};
use dpdkproj_core::work::rejects::Rejects;
use path::*;
use proptest::prelude::*;
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_the_path_did_is_reported(
        tx in 1..4u16, rx in 1..4u16, refuse in 0..9u64, drop in 0..9u64, duplicate in 0..9u64,
        corrupt in 0..9u64, late in 0..30u64, seed: u64
    ) {
        let config = config(&format!("-t {tx} -r {rx}"), "--rate 400k");
        let path = Path { refuse, drop, duplicate, corrupt, late, blackout_ms: None };
        let outcome = simulate(&config, path, seed, 40);
        check(&outcome);
        // Whatever was refused, each interval has what was due in it.
        let due = outcome.rows.iter().map(|row| row.totals.counts[Counter::Due]);
        let due: Vec<u64> = due.filter(|due| *due > 0).collect();
        prop_assert_eq!(due, [400; 40]);
    }
}

#[test]
fn nothing_lost_is_nothing_lost_and_closes_at_once() {
    let config = config("", "--rate 200k");
    let outcome = simulate(&config, Path::default(), 1, 50);
    check(&outcome);
    assert_eq!(outcome.totals.lost, 0);
    assert_eq!(outcome.totals.counts[Counter::Due], 200 * 50);
    assert_eq!(outcome.totals.latency.min_ns, 3 * STEP_NS);
    assert_eq!(outcome.totals.latency.max_ns, 3 * STEP_NS);
    let p99 = outcome.run.latencies.quantile_ns(0.99).unwrap();
    assert!((p99 as f64 / (3 * STEP_NS) as f64 - 1.0).abs() < 0.008, "{p99}");
    assert_eq!(outcome.run.loss_runs.count, 0);
    // Polled every 50 us, packets are late by 0 to 45 us in steps of 5.
    let since_due = |quantile| outcome.run.notes.since_due.quantile_ns(quantile).unwrap() as f64;
    assert!((since_due(0.1) / (3 * STEP_NS) as f64 - 1.0).abs() < 0.016, "{}", since_due(0.1));
    assert!((since_due(1.0) / 195_000.0 - 1.0).abs() < 0.016, "{}", since_due(1.0));
    let of_rows = outcome.rows.iter().filter_map(|row| row.percentiles_ns).flatten();
    assert!(of_rows.into_iter().all(|ns| ns == 3 * STEP_NS), "least and largest are exact");
}

/// It is polled just when its packet is due, and does not keep others waiting for one that is not due
/// soon.
#[test]
fn a_sender_waits_only_for_what_is_due_soon() {
    let config = config("", "--rate 40k --count 2 --pacing spin");
    let mut run = Run::new(config, vec![Mac([2; 6])], Found::default());
    let mut sender = run.sender(0, Checksums::SOFTWARE, false).unwrap();
    let mut frame = [vec![0; run.config().frame_len().into()]];
    // Due at 0 and at 25 us.
    for due in [0, 25_000] {
        assert_eq!(sender.wait_until(due), due);
        assert_eq!(sender.build(due, due, &mut frame).packets, 1);
        sender.sent(due + 90, 1);
        for now in [due + 1, due + 4_999] {
            assert_eq!(sender.wait_until(now), now);
            assert_eq!(sender.build(now, now, &mut frame).packets, 0);
        }
        let next = if due == 0 { 25_000 } else { due + 5_000 };
        assert_eq!(sender.wait_until(due + 5_000), next, "nothing is due after the second");
    }
    run.finish(0, 0, &mut |_| {}, &mut |_| {});
    let departures = Outcome::new(&run).departures.unwrap();
    assert_eq!((departures.gaps, departures.within_64_ns, departures.stalls), (1, 1, 0));
}

/// The lengths of statistics intervals are nothing to the pacing: gap by gap the same.
#[test]
fn the_statistics_interval_does_not_change_the_pacing() {
    let paced = |interval_ms| {
        let config = config("-t 2 -r 2", "--rate 430k");
        let config = Config { interval_ns: interval_ms * MS, ..config };
        let run = simulate(&config, Path { refuse: 5, ..Path::default() }, 7, 60).run;
        (run.totals.counts[Counter::Sent], run.departures)
    };
    assert_eq!(paced(1), paced(1000));
    assert!(paced(1).1.unwrap().stalls > 0, "polled every 50 us");
}

/// What the path has harmed is kept as it came: every byte, when and on which queue.
#[test]
fn rejected_packets_are_kept_byte_for_byte() {
    let path = Path { drop: 11, duplicate: 5, corrupt: 7, late: 13, ..Path::default() };
    for seed in 0..4 {
        let config = config("-t 2 -r 3", "--rate 200k --pcap f --pcap-packets 5000");
        let outcome = simulate(&config, path, seed, 40);
        check(&outcome);
        let Known { corrupt, late, .. } = outcome.known;
        assert!(corrupt > 500 && late > 200, "{:?}", outcome.known);
        let mut kept: Vec<_> = outcome
            .kept
            .iter()
            .flat_map(|kept| kept.packets().map(|(packet, bytes)| (kept.queue, packet, bytes)))
            .map(|(queue, packet, bytes)| {
                assert_eq!(packet.wire_len, bytes.len());
                (queue, packet.at_ns, bytes.to_vec())
            })
            .collect();
        kept.sort();
        assert!(kept == outcome.rejected, "{} of {}", kept.len(), outcome.rejected.len());
        let reasons = outcome.kept.iter().flat_map(Rejects::packets);
        let lates = reasons.filter(|(packet, _)| packet.reason == Counter::Late);
        assert_eq!(lates.count() as u64, late);
    }
    // Nobody asked.
    assert_eq!(simulate(&config("", "--rate 200k"), path, 0, 20).kept, []);
}

/// Each queue keeps its first packets.
#[test]
fn of_many_rejected_packets_the_first_are_kept() {
    let path = Path { corrupt: 3, ..Path::default() };
    let config = config("-r 2", "--rate 200k --pcap f --pcap-packets 7");
    let outcome = simulate(&config, path, 1, 20);
    for kept in &outcome.kept {
        let mine = outcome.rejected.iter().filter(|(queue, ..)| *queue == kept.queue);
        assert_eq!(kept.count(), mine.clone().count() as u64);
        let first: Vec<_> = mine.map(|(_, at_ns, _)| *at_ns).take(7).collect();
        let times: Vec<_> = kept.packets().map(|(packet, _)| packet.at_ns).collect();
        assert_eq!((times, first.len()), (first, 7));
    }
    assert_eq!(outcome.kept.len(), 2);
}

#[test]
fn a_blackout_is_100_percent_of_its_intervals() {
    let config = config("", "--rate 200k");
    let path = Path { blackout_ms: Some((10, 42)), ..Path::default() };
    let outcome = simulate(&config, path, 1, 60);
    check(&outcome);
    let dark: Vec<u64> = outcome
        .rows
        .iter()
        .filter(|row| Meaning::Measures.loss_ratio(&row.totals) == Some(1.0))
        .map(|row| row.start_ns / MS)
        .collect();
    assert_eq!(dark, (10..42).collect::<Vec<_>>());
    // The loss run says the same.
    let runs = &outcome.run.loss_runs;
    assert_eq!(runs.count, 1);
    assert_eq!(runs.longest.packets, outcome.known.lost);
    let [start, length] = [runs.longest.start_ns, runs.longest.length_ns];
    assert_eq!((start, length), (10.0 * MS as f64, 32.0 * MS as f64));
}

#[test]
fn a_count_is_sent_exactly_whatever_the_driver_refuses() {
    let config = config("-t 3", "--rate 500k --count 1000");
    let outcome = simulate(&config, Path { refuse: 2, ..Path::default() }, 3, 40);
    check(&outcome);
    assert_eq!(outcome.totals.counts[Counter::Sent], 1000);
}

#[test]
fn a_duration_ends_with_its_last_interval() {
    let config = config("", "--rate 200k --duration 0.02");
    let outcome = simulate(&config, Path::default(), 1, 50);
    check(&outcome);
    assert_eq!(outcome.intervals.keys().copied().collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    assert_eq!(outcome.totals.counts[Counter::Due], 200 * 20);
    assert_eq!(outcome.run.duration_ns, 20 * MS);
}

/// A run of many times what the rings hold, with a collector that closes something in every tick.
#[test]
fn slots_are_used_again_only_when_they_have_been_read() {
    let mut config = config("-r 2", "--rate 20k");
    config.timeout_ns = 20 * MS;
    let path = Path { drop: 7, duplicate: 5, ..Path::default() };
    let outcome = simulate(&config, path, 6, 4_000);
    check(&outcome);
    // Nor was the sender held back by a collector that keeps up.
    assert_eq!(outcome.totals.counts[Counter::Sent], 20 * 4_000);
}

/// A receiver that gets whatever a test makes up.
struct Alone {
    window: u64,
    template: Template,
    /// What stands for a sender.
    sender: Recorder,
    receiver: Receiver,
    collector: Collector,
}

const NOW: u64 = 10 * MS;

impl Alone {
    fn new() -> Self {
        let config = config("", "");
        let sendrecv = config.sendrecv.as_ref().unwrap();
        let flow = sendrecv.flow(Mac([2; 6]), 0, 1);
        let content = Arc::new(Content::new(&flow, sendrecv.seed));
        let board = Board::new(config.shape(), &config.roles());
        let verifier = Verifier::new(&flow, Arc::clone(&content));
        Self {
            window: config.shape().window,
            template: Template::new(&flow, content, 0, Checksums::SOFTWARE),
            sender: board.recorder(0),
            receiver: Receiver::new(board.recorder(1), verifier, ReceiverOptions::default()),
            collector: Collector::new(board, config.timeout_ns),
        }
    }

    /// A burst that arrives at `now`, of packets with these numbers and send times.
    fn receive(&mut self, now: u64, packets: &[(u64, u64)]) {
        let reflected = |(seq, sent_ns): &(u64, u64)| {
            let mut frame = vec![0; self.template.frame_len()];
            self.template.prepare(*seq, &mut frame);
            self.template.write(*seq, *sent_ns, &[], &mut [&mut frame]);
            reflect(&mut frame, self.template.frame_len(), false).unwrap();
            frame
        };
        let frames: Vec<_> = packets.iter().map(reflected).collect();
        let mut frames: Vec<_> = frames.iter().map(|frame| &frame[..]).collect();
        self.receiver.poll(now);
        self.receiver.receive(now, &mut frames, false);
    }
}

/// One in 65536 packets of another run passes for ours by its tag. It must not displace those that
/// are on their way.
#[test]
fn a_number_or_a_time_that_cannot_be_is_foreign() {
    let mut alone = Alone::new();
    alone.receive(NOW, &[(1 << 40, NOW), (alone.window * 2, NOW), (0, NOW + 5 * MS)]);
    // Nothing has been sent so far, then numbers 0 to 4.
    alone.receive(NOW, &[(0, NOW), (4, NOW)]);
    alone.sender.will_send_below(0, 5);
    alone.receive(NOW, &[(4, NOW), (5, NOW)]);
    alone.collector.finish(&mut |_| {});
    assert_eq!(alone.collector.totals().latency.count, 1, "the one that is valid");
    assert_eq!(alone.collector.totals().counts[Counter::ForeignRun], 6);
    assert_eq!(alone.collector.totals().counts[Counter::Received], 7);
}

/// Packets of one send time are taken in together, and only as long as it is one, in one poll.
#[test]
fn each_packet_has_its_own_round_trip_time() {
    let mut alone = Alone::new();
    alone.sender.will_send_below(0, 11);
    let bursts: [(u64, &[u64]); 3] = [
        (NOW, &[NOW - 9000, NOW - 9000, NOW - 9000, NOW - 2000, NOW - 2000, NOW - 9000]),
        // What is left of the last burst that was sent, in a poll of its own.
        (NOW + 700, &[NOW - 9000, NOW - 9000, NOW - 1500]),
        (NOW + MS, &[NOW - 1500, NOW + MS - 10]),
    ];
    let mut seq = 0;
    let mut times = Vec::new();
    for (now, sent) in bursts {
        times.extend(sent.iter().map(|sent_ns| now - sent_ns));
        alone.receive(now, &(seq..).zip(sent.iter().copied()).collect::<Vec<_>>());
        seq += sent.len() as u64;
    }
    // RFC 3550, appendix A.8, packet by packet.
    let differences = times.windows(2).map(|pair| pair[0].abs_diff(pair[1]));
    let jitter = differences.fold(0, |jitter, d| jitter + d - ((jitter + 8) >> 4));
    alone.collector.finish(&mut |_| {});
    let latency = alone.collector.totals().latency;
    assert_eq!((latency.count, latency.sum_ns), (11, times.iter().copied().map(u128::from).sum()));
    assert_eq!((latency.min_ns, latency.max_ns), (10, MS + 1500));
    let found = alone.collector.notes().jitter_ns * 16.0;
    assert_eq!(found.to_bits(), (jitter as f64).to_bits(), "{found} for {jitter}");
    times.sort_unstable();
    for (rank, time) in (1..).zip(&times) {
        let found = alone.collector.latencies().quantile_ns(f64::from(rank) / 11.0);
        assert_eq!(found, Some(middle_ns(bucket(*time))), "{rank}");
    }
}

/// A second and a half of 100 Mpps are under way before the first is given up; many receivers get less, because
/// each has maps of its own.
#[test]
fn as_fast_as_it_goes_is_not_held_back_by_small_maps() {
    let window = |queues| config(queues, "").shape().window;
    assert!(window("-r 1") >= 150_000_000, "{}", window("-r 1"));
    assert!(window("-r 1 -t 2") >= 75_000_000);
    assert_eq!(window("-r 16"), 1 << 26);
    assert_eq!(window("-r 40"), 1 << 26);
}

/// A slot's histogram has 32 bits for each bucket.
#[test]
fn an_interval_fits_into_its_histogram() {
    for queues in ["-t 1", "-t 3", "-t 5", "-t 900", "-r 16 -t 7"] {
        let (interval_ns, timeout_ns) = (60_000 * MS, 600_000 * MS);
        let config = Config { interval_ns, timeout_ns, ..config(queues, "") };
        // As the board makes them.
        let of_all = config.shape().window.next_power_of_two() * u64::from(config.tx_queues);
        assert!(of_all < 1 << 30, "{queues}: {of_all}");
    }
}

/// The sender outruns what the statistics can hold: it is held back, and nothing is miscounted.
#[test]
fn a_sender_that_outruns_the_collector_waits() {
    let mut config = config("", "");
    config.timeout_ns = 20 * MS;
    let path = Path { drop: 3, ..Path::default() };
    let outcome = simulate(&config, path, 4, 30);
    check(&outcome);
    assert!(outcome.totals.counts[Counter::Sent] > 10_000);
}
