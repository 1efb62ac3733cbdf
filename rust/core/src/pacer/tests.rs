use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn rate(packets: u64, period_ns: u64) -> Option<Pacing> {
    let rate = Rate::new(packets, period_ns)?;
    let release = Release::Burst;
    Some(Pacing { rate, pattern: Pattern::Cbr, catch_up: None, release })
}

fn pattern(pattern: Pattern) -> Option<Pacing> {
    Some(Pacing { pattern, ..rate(1_000_000, SECOND)? })
}

/// All that is granted and given up until `end` when asked every `step`.
fn run(pacer: &mut Pacer, end: u64, step: u64) -> (u64, u64) {
    let (mut sent, mut shortfall) = (0, 0);
    for now in (0..=end).step_by(usize::try_from(step).unwrap()) {
        loop {
            let grant = pacer.grant(now, 32);
            sent += u64::from(grant.packets);
            shortfall += grant.shortfall;
            if grant.packets < 32 {
                break;
            }
        }
    }
    (sent, shortfall)
}

proptest! {
    /// However often it is asked, exactly the rate comes out, and the shares of several
    /// workers add up to it.
    #[test]
    fn the_rate_is_exact(
        packets in 1..20_000u64, period_us in 1..2_000u64, workers in 1..8u16, step in 1..900u64
    ) {
        let period_ns = period_us * 1000;
        let end = 5_000_000 / step * step;
        let total: u64 = (0..workers)
            .map(|worker| {
                let mut pacer = Pacer::new(rate(packets, period_ns), worker, workers, None);
                let (sent, shortfall) = run(&mut pacer, end, step);
                assert_eq!(shortfall, 0);
                sent
            })
            .sum();
        let exact = u128::from(end) * u128::from(packets) / u128::from(period_ns);
        prop_assert_eq!(u128::from(total), exact);
    }
}

#[test]
fn packets_are_spread_evenly() {
    let mut pacer = Pacer::new(rate(1_000_000, SECOND), 0, 1, None);
    let granted: Vec<u16> =
        (0..10_000).step_by(250).map(|now| pacer.grant(now, 32).packets).collect();
    assert_eq!(granted[..9], [0, 0, 0, 0, 1, 0, 0, 0, 1]);
    assert_eq!(granted.iter().sum::<u16>(), 9);
}

/// Not so many each time, but all that have come due meanwhile.
#[test]
fn at_high_rates_whatever_is_due_is_granted() {
    let mut pacer = Pacer::new(rate(14_880_952, SECOND), 0, 1, None);
    let mut granted = Vec::new();
    let mut now = 0;
    for pause in [1000, 100, 2000, 67, 3000, 500, 68, 30] {
        now += pause;
        let before = granted.iter().sum::<u64>();
        granted.push(u64::from(pacer.grant(now, 512).packets));
        assert_eq!(before + granted[granted.len() - 1], now * 14_880_952 / SECOND);
    }
    assert_eq!(granted, [14, 2, 30, 1, 44, 8, 1, 0]);
}

#[test]
fn the_next_packet_is_known_until_there_is_none() {
    let mut pacer = Pacer::new(rate(1_000_000, SECOND), 0, 1, Some(2));
    assert_eq!(pacer.next_due_ns(), 1000);
    pacer.grant(1000, 32);
    assert_eq!(pacer.next_due_ns(), 2000);
    pacer.grant(2000, 32);
    assert_eq!(pacer.next_due_ns(), u64::MAX);
    assert_eq!(Pacer::new(None, 0, 1, None).next_due_ns(), u64::MAX);
}

#[test]
fn every_packet_has_the_time_when_it_was_due() {
    let mut pacer = Pacer::new(rate(3, 1000), 0, 1, None);
    assert_eq!(pacer.grant(1000, 32).packets, 3);
    assert_eq!(pacer.due_ns(), [334, 667, 1000]);
    let mut pacer = Pacer::new(None, 0, 1, None);
    assert_eq!(pacer.grant(5, 2).packets, 2);
    assert!(pacer.due_ns().is_empty());
}

proptest! {
    /// Packet `i` (from 1) is due at `i * period / packets` whatever was given up before it, and what is
    /// given up is what was due, less what may be caught up with.
    #[test]
    fn a_shortfall_leaves_the_schedule_as_it_was(
        packets in 1..1000u64, period_ns in 1..10_000u64, catch_up in 1..20u64, pauses in vec(1..9_000u64, 1..9)
    ) {
        let Some(rate) = rate(packets, period_ns) else { panic!("no rate") };
        let pacing = Pacing { catch_up: Some(catch_up), ..rate };
        let mut pacer = Pacer::new(Some(pacing), 0, 1, None);
        let (mut now_ns, mut before) = (0, 0);
        for pause_ns in pauses {
            now_ns += pause_ns;
            let due = now_ns * packets / period_ns - before;
            let Grant { packets: granted, shortfall } = pacer.grant(now_ns, 512);
            let late_ns = now_ns.saturating_sub(((before + 1) * period_ns).div_ceil(packets));
            let gives_up = late_ns >= catch_up * (period_ns / packets);
            prop_assert_eq!(shortfall, if gives_up { due.saturating_sub(catch_up) } else { 0 });
            before += shortfall;
            for due_ns in pacer.due_ns() {
                before += 1;
                prop_assert_eq!(*due_ns, (before * period_ns).div_ceil(packets));
            }
            prop_assert_eq!(u64::from(granted), (due - shortfall).min(512));
        }
    }

    #[test]
    fn packets_of_a_grant_are_as_far_apart_as_it_says(
        packets in 1..100_000_000u64, workers in 1..4u16, at_ns in 1..2_000_000_000u64
    ) {
        let mut pacer = Pacer::new(rate(packets, SECOND), 0, workers, None);
        let gap_ns = pacer.gap_ns().unwrap();
        pacer.grant(at_ns, 512);
        for pair in pacer.due_ns().windows(2) {
            prop_assert!([gap_ns, gap_ns + 1].contains(&(pair[1] - pair[0])));
        }
    }
}

#[test]
fn what_is_not_evenly_spaced_does_not_say_how_far_apart_it_is() {
    for pattern_of in [Pattern::Burst(2), Pattern::Poisson(1)] {
        assert_eq!(Pacer::new(pattern(pattern_of), 0, 1, None).gap_ns(), None);
    }
    assert_eq!(Pacer::new(None, 0, 1, None).gap_ns(), None);
    assert_eq!(Pacer::new(pattern(Pattern::Burst(1)), 0, 1, None).gap_ns(), Some(1000));
}

/// Only who sends a burst counts what it is told.
#[test]
fn nothing_is_given_up_where_nothing_is_wanted() {
    let mut pacer = Pacer::new(rate(1_000_000, SECOND), 0, 1, None);
    assert_eq!(pacer.grant(10_000_000, 0), Grant { packets: 0, shortfall: 0 });
    assert_eq!(pacer.grant(10_000_000, 32), Grant { packets: 32, shortfall: 9_000 });
    pacer.stop(10_000_000);
    assert_eq!(pacer.grant(SECOND, 32), Grant { packets: 0, shortfall: 0 });
}

#[test]
fn after_a_stall_a_millisecond_is_caught_up_and_the_rest_is_shortfall() {
    let mut pacer = Pacer::new(rate(1_000_000, SECOND), 0, 1, None);
    assert_eq!(pacer.grant(0, 32), Grant { packets: 0, shortfall: 0 });
    assert_eq!(pacer.grant(10_000_000, 32), Grant { packets: 32, shortfall: 9_000 });
    let mut rest = 0;
    loop {
        match pacer.grant(10_000_000, 32).packets {
            0 => break,
            packets => rest += packets,
        }
    }
    assert_eq!(rest, 1000 - 32);
}

#[test]
fn a_low_rate_does_not_catch_up_in_a_burst_either() {
    let mut pacer = Pacer::new(rate(1_000, SECOND), 0, 1, None);
    assert_eq!(pacer.grant(0, 512), Grant { packets: 0, shortfall: 0 });
    assert_eq!(pacer.grant(SECOND / 2, 512), Grant { packets: 1, shortfall: 499 });
}

#[test]
fn a_count_is_shared_out_and_made_up_for() {
    let total: u64 = (0..3)
        .map(|worker| {
            let mut pacer = Pacer::new(rate(100_000, SECOND), worker, 3, Some(100));
            let mut sent = 0;
            for now in (0..100_000_000).step_by(1000) {
                let granted = u64::from(pacer.grant(now, 32).packets);
                let refused = granted / 2 + u64::from(now % 7000 == 0).min(granted % 2);
                pacer.not_sent(refused);
                sent += granted - refused;
            }
            assert!(pacer.is_done());
            assert_eq!(pacer.stop(SECOND), 0);
            sent
        })
        .sum();
    assert_eq!(total, 100);
}

#[test]
fn without_a_rate_everything_is_granted() {
    let mut pacer = Pacer::new(None, 0, 1, None);
    for now in 0..100 {
        assert_eq!(pacer.grant(now, 32), Grant { packets: 32, shortfall: 0 });
    }
    assert_eq!(pacer.stop(101), 0);
    assert_eq!(pacer.grant(102, 32).packets, 0);
}

#[test]
fn stopping_tells_what_was_still_due() {
    let mut pacer = Pacer::new(rate(1_000_000, SECOND), 0, 1, None);
    pacer.grant(0, 32);
    assert_eq!(pacer.grant(50_000, 32).packets, 32);
    assert_eq!(pacer.stop(50_000), 18);
    assert_eq!(pacer.grant(60_000, 32), Grant { packets: 0, shortfall: 0 });
}

#[test]
fn bursts_come_whole_and_at_the_mean_rate() {
    let mut pacer = Pacer::new(pattern(Pattern::Burst(8)), 0, 1, None);
    let granted: Vec<u16> =
        (0..=40_000).step_by(1000).map(|now| pacer.grant(now, 32).packets).collect();
    assert_eq!(granted.iter().sum::<u16>(), 40);
    let at: Vec<_> = (0..granted.len()).filter(|at| granted[*at] > 0).collect();
    assert_eq!(at, [8, 16, 24, 32, 40]);
    // What does not fit in one grant comes with the next.
    let mut pacer = Pacer::new(pattern(Pattern::Burst(8)), 0, 1, None);
    assert_eq!([pacer.grant(8000, 5).packets, pacer.grant(8000, 5).packets], [5, 3]);
    assert_eq!(pacer.grant(15_999, 5).packets, 0);
    // A group that was begun is given up as what is left of it.
    assert_eq!(pacer.grant(16_000, 5).packets, 5);
    let late = pacer.grant(SECOND, 512);
    assert_eq!(u64::from(late.packets) + late.shortfall + pacer.stop(SECOND), 1_000_000 - 13);
}

#[test]
fn a_poisson_process_has_exponential_gaps_and_the_mean_rate() {
    let due = |seed| {
        let mut pacer = Pacer::new(pattern(Pattern::Poisson(seed)), 0, 1, None);
        let mut due = Vec::new();
        for now in (0..=100_000_000).step_by(1000) {
            let grant = pacer.grant(now, 512);
            assert_eq!(grant.shortfall, 0);
            assert_eq!(pacer.due_ns().len(), usize::from(grant.packets));
            due.extend_from_slice(pacer.due_ns());
        }
        due
    };
    let times = due(1);
    assert_eq!(times, due(1));
    assert_ne!(times, due(2));
    // 100,000 expected, with a standard deviation of 316.
    assert!(times.len().abs_diff(100_000) < 2000, "{}", times.len());
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let longer = |ns| gaps.iter().filter(|gap| **gap > ns).count() as f64 / gaps.len() as f64;
    for multiple in [0.1f64, 1.0, 3.0] {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
        let share = longer((multiple * 1000.0) as u64);
        assert!((share - (-multiple).exp()).abs() < 0.01, "{share} beyond {multiple}");
    }
}

#[test]
fn the_catch_up_can_be_chosen() {
    let pacing = rate(1_000_000, SECOND).map(|pacing| Pacing { catch_up: Some(32), ..pacing });
    let mut pacer = Pacer::new(pacing, 0, 1, None);
    assert_eq!(pacer.grant(100_000, 512), Grant { packets: 32, shortfall: 68 });
    assert_eq!(pacer.grant(132_000, 512), Grant { packets: 32, shortfall: 0 });
}
