use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;

const BOUNDS: Bounds = Bounds { count: None, end_ns: None, burst: 1, latest_ns: u64::MAX };

fn rate(packets: u64, period_ns: u64) -> Option<Pacing> {
    let rate = Rate::new(packets, period_ns)?;
    let tx_mode = TxMode::Burst;
    Some(Pacing { rate, pattern: Pattern::Cbr, catch_up: CatchUp::default(), tx_mode })
}

fn pattern(pattern: Pattern) -> Option<Pacing> {
    Some(Pacing { pattern, ..rate(1_000_000, SECOND)? })
}

fn alone(pacing: Option<Pacing>) -> Pacer {
    Pacer::new(pacing, 0, 1, BOUNDS)
}

/// Packets granted at `now_ns`, and packets given up before that.
fn grant(pacer: &mut Pacer, now_ns: u64, want: u16) -> (u64, u64) {
    let too_late =
        if pacer.gives_up(now_ns) { pacer.pass(pacer.gives_up_before(now_ns)) } else { 0 };
    (pacer.grant(now_ns, want).into(), too_late)
}

/// Due times of the packets granted until `end`, polling every `step` and at the end. Nothing is
/// given up.
fn due(pacer: &mut Pacer, end: u64, step: u64) -> Vec<u64> {
    let mut due = Vec::new();
    for now in (0..=end).step_by(usize::try_from(step).unwrap()).chain([end]) {
        loop {
            let (packets, too_late) = grant(pacer, now, 32);
            assert_eq!(too_late, 0);
            due.extend_from_slice(pacer.due_ns());
            if packets < 32 {
                break;
            }
        }
    }
    due
}

/// Packets given up when the pacer is stopped at `end_ns`.
fn stop(pacer: &mut Pacer, end_ns: u64) -> u64 {
    pacer.stop(end_ns);
    let rest = pacer.pass(pacer.gives_up_before(end_ns));
    assert!(pacer.is_done() && pacer.next_due_ns() == u64::MAX);
    rest
}

proptest! {
    /// However often the pacer is polled, packet `k` is due `k` periods after the start, and the
    /// shares of several workers add up to the rate.
    #[test]
    fn the_rate_is_exact(
        packets in 1..20_000u64, period_us in 1..2_000u64, workers in 1..8u16, step in 1..900u64
    ) {
        let period_ns = period_us * 1000;
        let end = 5 * MS / step * step;
        let mut all: Vec<u64> = (0..workers)
            .flat_map(|worker| {
                let mut pacer = Pacer::new(rate(packets, period_ns), worker, workers, BOUNDS);
                due(&mut pacer, end, step)
            })
            .collect();
        all.sort_unstable();
        let exact = (0..).map(|k| k * period_ns / packets).take_while(|due| *due <= end);
        prop_assert_eq!(all, exact.collect::<Vec<_>>());
    }

    /// Rate times duration, to the packet: rounded up to a whole number.
    #[test]
    fn what_is_due_in_a_duration_is_the_rate_times_the_duration(
        packets in 1..3_000u64, duration_us in 1..30_000u64, workers in 1..5u16, step in 1..90_000u64,
        pattern in select(vec![
            Pattern::Cbr, Pattern::Burst(1), Pattern::Burst(7), Pattern::Burst(300), Pattern::Poisson(3)
        ])
    ) {
        let (period_ns, end) = (3 * MS, duration_us * 1000);
        let pacing = Pacing { pattern, catch_up: CatchUp::Packets(1 << 40), ..rate(packets, period_ns).unwrap() };
        let bounds = Bounds { end_ns: Some(end), ..BOUNDS };
        let exact = (end * packets).div_ceil(period_ns);
        let mut by_worker = Vec::new();
        for worker in 0..workers {
            let mut pacer = Pacer::new(Some(pacing), worker, workers, bounds);
            let due = due(&mut pacer, end - 1, step);
            prop_assert!(due.is_sorted() && due.iter().all(|due| *due < end));
            by_worker.push(due.len() as u64 + stop(&mut pacer, end));
        }
        prop_assert_eq!(by_worker.iter().sum::<u64>(), exact, "{:?}", by_worker);
        let group = if let Pattern::Burst(size) = pattern { u64::from(size) } else { 1 };
        for pair in by_worker.windows(2) {
            prop_assert!(pair[1] <= pair[0] && pair[0] - pair[1] <= group, "{:?}", by_worker);
        }
        // A pacer that was never polled gives up the same packets.
        for (worker, packets) in (0..).zip(by_worker) {
            prop_assert_eq!(stop(&mut Pacer::new(Some(pacing), worker, workers, bounds), end), packets);
        }
    }

    /// Packets that could not be sent are granted again, as if they had not been granted before.
    #[test]
    fn what_is_put_back_stays_due(
        packets in 1..2_000u64, refusals in vec(0..40u16, 1..60), limit in select(vec![None, Some(70)]),
        pattern in select(vec![Pattern::Cbr, Pattern::Burst(5), Pattern::Burst(50), Pattern::Poisson(3)])
    ) {
        let end = 2 * MS;
        let pacing = Pacing { pattern, catch_up: CatchUp::Packets(1 << 40), ..rate(packets, MS).unwrap() };
        let bounds = Bounds { end_ns: Some(end), count: limit, ..BOUNDS };
        let mut expected = due(&mut Pacer::new(Some(pacing), 1, 2, bounds), end - 1, 1000);
        let mut pacer = Pacer::new(Some(pacing), 1, 2, bounds);
        let mut sent = Vec::new();
        for (turn, refused) in (1..).zip(refusals) {
            let packets = pacer.grant((turn * 50_000).min(end - 1), 32);
            let refused = refused.min(packets);
            sent.extend_from_slice(pacer.first_due_ns(packets - refused));
            pacer.put_back(refused);
            prop_assert_eq!(pacer.due_ns().len(), usize::from(packets - refused));
        }
        expected.truncate(sent.len());
        prop_assert_eq!(sent, expected);
    }
}

#[test]
fn a_rate_is_exact_for_years() {
    let year = 31_557_600 * SECOND;
    for (packets, period_ns, before) in
        [(3, 1000, year / 1000 * 3), (14_880_952, SECOND, year / SECOND * 14_880_952)]
    {
        let mut pacer = alone(rate(packets, period_ns));
        assert_eq!(pacer.pass(year), before);
        pacer.grant(year + 1000, 512);
        assert_eq!(pacer.due_ns()[..2], [year, year + period_ns / packets]);
    }
}

#[test]
fn any_rate_is_kept_as_it_is() {
    assert_eq!(Rate::ratio(2_000, 4_000_000), Rate::new(1, 2_000));
    assert_eq!(Rate::new(0, 1), None);
    assert_eq!(Rate::new(1, 0), None);
    assert_eq!(Rate::ratio((1 << 64) + 1, 3), None);
    // One packet in 31 years.
    let slow = Rate::ratio(1, 1_000_000_000_000_000_000).unwrap();
    let mut pacer = alone(rate(1, 1).map(|pacing| Pacing { rate: slow, ..pacing }));
    assert_eq!([pacer.next_due_ns(), grant(&mut pacer, 0, 32).0], [0, 1]);
    assert_eq!(pacer.next_due_ns(), 1_000_000_000_000_000_000);
    // A due time beyond the range of the clock: nothing is due, and nothing overflows.
    let never = Rate::ratio(1, 1 << 80).unwrap();
    let mut pacer = alone(rate(1, 1).map(|pacing| Pacing { rate: never, ..pacing }));
    assert_eq!([grant(&mut pacer, 0, 32).0, grant(&mut pacer, 1 << 61, 32).0], [1, 0]);
}

#[test]
fn packets_are_spread_evenly() {
    let mut pacer = alone(rate(1_000_000, SECOND));
    let granted: Vec<u16> = (0..10_000).step_by(250).map(|now| pacer.grant(now, 32)).collect();
    assert_eq!(granted[..9], [1, 0, 0, 0, 1, 0, 0, 0, 1]);
    assert_eq!(granted.iter().sum::<u16>(), 10);
}

/// A grant depends on the time passed: it has all packets that became due meanwhile.
#[test]
fn at_high_rates_whatever_is_due_is_granted() {
    let mut pacer = alone(rate(14_880_952, SECOND));
    let mut granted = Vec::new();
    let mut now = 0;
    for pause in [1000, 100, 2000, 67, 3000, 500, 68, 30] {
        now += pause;
        let before = granted.iter().sum::<u64>();
        granted.push(u64::from(pacer.grant(now, 512)));
        assert_eq!(before + granted[granted.len() - 1], 1 + now * 14_880_952 / SECOND);
    }
    assert_eq!(granted, [15, 2, 30, 1, 44, 8, 1, 0]);
}

#[test]
fn the_next_packet_is_known_until_there_is_none() {
    let bounds = Bounds { count: Some(2), ..BOUNDS };
    let mut pacer = Pacer::new(rate(1_000_000, SECOND), 0, 1, bounds);
    assert_eq!(pacer.next_due_ns(), 0);
    pacer.grant(0, 32);
    assert_eq!(pacer.next_due_ns(), 1000);
    pacer.grant(1000, 32);
    assert_eq!(pacer.next_due_ns(), u64::MAX);
    assert_eq!(alone(None).next_due_ns(), u64::MAX);
}

#[test]
fn every_packet_has_the_time_when_it_was_due() {
    let mut pacer = alone(rate(3, 1000));
    assert_eq!(pacer.grant(1000, 32), 4);
    assert_eq!(pacer.due_ns(), [0, 333, 666, 1000]);
    let mut pacer = alone(None);
    assert_eq!(pacer.grant(5, 2), 2);
    assert!(pacer.due_ns().is_empty());
}

proptest! {
    /// Packet `k` is due at `k * period / packets`, whatever was given up before it. Exactly the
    /// packets beyond the catch-up limit are given up.
    #[test]
    fn what_is_given_up_leaves_the_schedule_as_it_was(
        packets in 1..1000u64, period_ns in 1..10_000u64, catch_up in 1..20u64, pauses in vec(1..9_000u64, 1..9)
    ) {
        let pacing = Pacing { catch_up: CatchUp::Packets(catch_up), ..rate(packets, period_ns).unwrap() };
        let mut pacer = alone(Some(pacing));
        let catch_up_ns = (catch_up * period_ns / packets).max(1);
        let (mut now_ns, mut next) = (0, 0);
        for pause_ns in pauses {
            now_ns += pause_ns;
            let (granted, too_late) = grant(&mut pacer, now_ns, 512);
            let is_too_late = |k: u64| k * period_ns / packets + catch_up_ns <= now_ns;
            let before = next;
            while is_too_late(next) {
                next += 1;
            }
            prop_assert_eq!(too_late, next - before);
            for due_ns in pacer.due_ns() {
                prop_assert_eq!(*due_ns, next * period_ns / packets);
                next += 1;
            }
            prop_assert!(granted <= catch_up.max(1) || period_ns < packets);
            prop_assert!(granted == 512 || pacer.next_due_ns() > now_ns);
        }
    }

    #[test]
    fn packets_of_a_grant_are_as_far_apart_as_it_says(
        packets in 1..100_000_000u64, workers in 1..4u16, at_ns in 1..2_000_000_000u64
    ) {
        let mut pacer = Pacer::new(rate(packets, SECOND), 0, workers, BOUNDS);
        let gap_ns = pacer.gap_ns().unwrap();
        pacer.pass(at_ns.saturating_sub(100 * gap_ns));
        pacer.grant(at_ns, 512);
        for pair in pacer.due_ns().windows(2) {
            prop_assert!([gap_ns, gap_ns + 1].contains(&(pair[1] - pair[0])));
        }
    }
}

#[test]
fn what_is_not_evenly_spaced_does_not_say_how_far_apart_it_is() {
    for pattern_of in [Pattern::Burst(2), Pattern::Poisson(1)] {
        assert_eq!(alone(pattern(pattern_of)).gap_ns(), None);
    }
    assert_eq!(alone(None).gap_ns(), None);
    assert_eq!(alone(pattern(Pattern::Burst(1))).gap_ns(), Some(1000));
}

#[test]
fn after_a_stall_a_millisecond_is_caught_up_and_the_rest_is_given_up() {
    let mut pacer = alone(rate(1_000_000, SECOND));
    assert_eq!(grant(&mut pacer, 0, 32), (1, 0));
    assert_eq!(grant(&mut pacer, 10 * MS, 32), (32, 9_000));
    let mut rest = 0;
    loop {
        match pacer.grant(10 * MS, 32) {
            0 => break,
            packets => rest += packets,
        }
    }
    assert_eq!(rest, 1000 - 32);
}

/// At this rate, 1 ms corresponds to one packet: a packet that is late by as much is not given up.
#[test]
fn a_low_rate_catches_up_with_a_burst() {
    let bounds = Bounds { burst: 32, ..BOUNDS };
    let mut pacer = Pacer::new(rate(1_000, SECOND), 0, 1, bounds);
    assert_eq!(grant(&mut pacer, 0, 512), (1, 0));
    assert_eq!(grant(&mut pacer, 20 * MS, 512), (20, 0));
    assert_eq!(grant(&mut pacer, SECOND / 2, 512), (32, 500 - 20 - 32));
    let groups = Pacing { pattern: Pattern::Burst(100), ..rate(1_000, SECOND).unwrap() };
    let mut pacer = Pacer::new(Some(groups), 0, 1, bounds);
    assert_eq!(grant(&mut pacer, 99 * MS, 512), (100, 0));
    assert_eq!(grant(&mut pacer, 300 * MS, 512), (100, 200));
}

/// Whatever the rate, because the statistics have a timeout.
#[test]
fn nothing_is_later_than_the_latest() {
    for catch_up in [CatchUp::default(), CatchUp::Packets(1000)] {
        let bounds = Bounds { burst: 32, latest_ns: 2 * SECOND, ..BOUNDS };
        let pacing = Pacing { catch_up, ..rate(1, SECOND).unwrap() };
        let mut pacer = Pacer::new(Some(pacing), 0, 1, bounds);
        assert_eq!(grant(&mut pacer, 10 * SECOND, 32), (2, 9));
    }
}

#[test]
fn a_count_is_shared_out_and_made_up_for() {
    let total: u64 = (0..3)
        .map(|worker| {
            let bounds = Bounds { count: Some(100), ..BOUNDS };
            let mut pacer = Pacer::new(rate(100_000, SECOND), worker, 3, bounds);
            let mut sent = 0;
            for now in (0..100 * MS).step_by(1000) {
                let (granted, _) = grant(&mut pacer, now, 32);
                let refused = granted / 2 + u64::from(now % 7000 == 0).min(granted % 2);
                pacer.put_back(u16::try_from(refused).unwrap());
                sent += granted - refused;
            }
            assert!(pacer.is_done());
            assert_eq!(stop(&mut pacer, SECOND), 0);
            assert_eq!(sent, if worker == 0 { 34 } else { 33 });
            sent
        })
        .sum();
    assert_eq!(total, 100);
}

#[test]
fn without_a_rate_everything_is_granted() {
    let mut pacer = Pacer::new(None, 0, 1, Bounds { count: Some(3200), ..BOUNDS });
    for now in 0..100 {
        assert_eq!(grant(&mut pacer, now, 32), (32, 0));
    }
    assert_eq!(pacer.grant(100, 32), 0);
    pacer.put_back(2);
    assert_eq!(pacer.grant(101, 32), 2);
    assert_eq!(stop(&mut alone(None), 101), 0);
}

#[test]
fn stopping_tells_what_was_still_due() {
    let mut pacer = alone(rate(1_000_000, SECOND));
    assert_eq!(pacer.grant(49_999, 32), 32);
    assert_eq!(stop(&mut pacer, 50_000), 18);
    assert_eq!(grant(&mut pacer, 60_000, 32), (0, 0));
    // In several steps, and in one.
    let mut pacer = alone(rate(1_000_000, SECOND));
    pacer.stop(50_000);
    pacer.stop(90_000);
    assert_eq!([10_000, 20_000, 90_000].map(|before| pacer.pass(before)), [10, 10, 30]);
    assert!(pacer.is_done());
    // With a packet count, no more than are left of it.
    let mut pacer = Pacer::new(rate(1_000_000, SECOND), 0, 1, Bounds { count: Some(20), ..BOUNDS });
    assert_eq!(pacer.grant(10_000, 5), 5);
    assert_eq!(stop(&mut pacer, 50_000), 15);
}

#[test]
fn bursts_come_whole_and_at_the_mean_rate() {
    let mut pacer = alone(pattern(Pattern::Burst(8)));
    let granted: Vec<u16> = (0..40_000).step_by(1000).map(|now| pacer.grant(now, 32)).collect();
    assert_eq!(granted.iter().sum::<u16>(), 40);
    let at: Vec<_> = (0..granted.len()).filter(|at| granted[*at] > 0).collect();
    assert_eq!(at, [0, 8, 16, 24, 32]);
    // Packets that do not fit in one grant come with the next.
    let mut pacer = alone(pattern(Pattern::Burst(8)));
    assert_eq!([pacer.grant(0, 5), pacer.grant(0, 5)], [5, 3]);
    assert_eq!(pacer.grant(7_999, 5), 0);
    // Of a group that was partly granted, only the rest is given up.
    assert_eq!(pacer.grant(8_000, 5), 5);
    let (late, too_late) = grant(&mut pacer, SECOND - 1, 512);
    assert_eq!(late + too_late + stop(&mut pacer, SECOND), 1_000_000 - 13);
}

#[test]
fn a_poisson_process_has_exponential_gaps_and_the_rate() {
    let end = 100 * MS;
    let due = |seed, end_ns| {
        let pacing = pattern(Pattern::Poisson(seed))
            .map(|p| Pacing { catch_up: CatchUp::Packets(9999), ..p });
        due(&mut Pacer::new(pacing, 0, 1, Bounds { end_ns, ..BOUNDS }), end - 1, 1000)
    };
    assert_ne!(due(1, Some(end)), due(2, Some(end)));
    for end_ns in [Some(end), None] {
        let times = due(1, end_ns);
        assert_eq!(times, due(1, end_ns));
        // A process without end: 100,000 packets are expected, with a standard deviation of 316.
        let most_off = if end_ns.is_some() { 0 } else { 2000 };
        assert!(times.len().abs_diff(100_000) <= most_off, "{}", times.len());
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let longer = |ns| gaps.iter().filter(|gap| **gap > ns).count() as f64 / gaps.len() as f64;
        for multiple in [0.1f64, 1.0, 3.0] {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
            let share = longer((multiple * 1000.0) as u64);
            assert!((share - (-multiple).exp()).abs() < 0.01, "{share} beyond {multiple}");
        }
        // The same number in each tenth of the time, with a standard deviation of 95 to 100.
        for tenth in 0..10 {
            let (from, to) = (tenth * end / 10, (tenth + 1) * end / 10);
            let here = times.iter().filter(|time| (from..to).contains(time)).count();
            assert!(here.abs_diff(10_000) < 700, "{here} in {tenth}");
        }
    }
}

/// Skipping very many packets at once is fast, and the total is still rate times duration.
#[test]
fn a_poisson_process_that_is_far_behind_gives_up_as_many_as_are_due() {
    let end = 1000 * SECOND;
    let pacing = Pacing {
        rate: Rate::new(50_000_000, SECOND).unwrap(),
        ..pattern(Pattern::Poisson(1)).unwrap()
    };
    let mut pacer = Pacer::new(Some(pacing), 0, 1, Bounds { end_ns: Some(end), ..BOUNDS });
    let (mut granted, mut too_late) = (0, 0);
    for now in [1, 2, 2, 400, 999] {
        let (more, passed) = grant(&mut pacer, now * SECOND, 512);
        let expected = now * 50_000_000;
        granted += more;
        too_late += passed;
        assert!(
            (granted + too_late).abs_diff(expected) < 300_000,
            "{granted} + {too_late} at {now} s"
        );
    }
    assert_eq!(granted + too_late + stop(&mut pacer, end), 50_000_000 * 1000);
}

#[test]
fn the_catch_up_can_be_chosen() {
    let pacing =
        rate(1_000_000, SECOND).map(|pacing| Pacing { catch_up: CatchUp::Packets(32), ..pacing });
    let mut pacer = alone(pacing);
    assert_eq!(grant(&mut pacer, 99_999, 512), (32, 68));
    assert_eq!(grant(&mut pacer, 131_999, 512), (32, 0));
    let pacing = pacing.map(|pacing| Pacing { catch_up: CatchUp::Time(3_000_000), ..pacing });
    let mut pacer = alone(pacing);
    assert_eq!(grant(&mut pacer, 9_999_999, 512), (512, 7000), "of 3 ms, in bursts");
}
