use super::*;

/// Records two packets for each of these round-trip times in `interval`, as a receiver does.
fn record(slots: &Slots, stock: &mut Stock, interval: u64, times: &[u64]) {
    let slot = slots.enter(stock, interval);
    for ns in times {
        slots.record(stock, slot, *ns, 2);
        let mut latency = Latency::default();
        latency.record(*ns, 2);
        slots.add_latency(slot, &latency);
    }
    slots.add(slot, Counter::Valid, 2 * times.len() as u64);
}

fn histogram(slots: &Slots, interval: u64) -> Vec<(usize, u32)> {
    let mut found = Vec::new();
    slots.for_each_bucket(interval, |bucket, count| found.push((bucket, count)));
    found.retain(|(_, count)| *count > 0);
    found
}

#[test]
fn each_interval_has_what_was_counted_in_it() {
    let slots = Slots::new(8, true);
    let mut stock = slots.stock();
    let times = |interval: u64| [interval, 300 << interval, 1 << 40];
    for round in 0..100 {
        let intervals = round * 5..round * 5 + 8;
        for interval in intervals.clone().rev().filter(|interval| slots.read(*interval).is_none()) {
            record(&slots, &mut stock, interval, &times(interval % 8));
        }
        for interval in intervals.clone() {
            let (counts, latency) = slots.read(interval).unwrap();
            assert_eq!((counts[Counter::Valid], counts[Counter::Sent], latency.count), (6, 0, 6));
            let times = times(interval % 8).map(|ns| (usize::from(bucket(ns)), 2));
            assert_eq!(histogram(&slots, interval), times);
        }
        assert_eq!(slots.last_interval(), Some(intervals.end - 1));
        slots.give_back(&mut stock, intervals.start..intervals.start + 5);
        assert_eq!(slots.read(intervals.start), None);
        assert!(histogram(&slots, intervals.start).is_empty());
    }
}

/// An interval whose ring entry belongs to another interval reads as empty, and slots of long ago are
/// given back nevertheless.
#[test]
fn a_worker_that_was_away_for_long_gives_all_back() {
    let slots = Slots::new(8, true);
    let mut stock = slots.stock();
    assert_eq!((slots.last_interval(), slots.read(0)), (None, None));
    record(&slots, &mut stock, 3, &[70]);
    record(&slots, &mut stock, 6, &[9000, 70]);
    assert_eq!((slots.read(11), histogram(&slots, 11)), (None, Vec::new()));
    slots.give_back(&mut stock, 2..1_000_005);
    assert_eq!((slots.last_interval(), stock.slots.returned.len()), (None, 2));
    assert_eq!(stock.parts.returned.len(), 3);
    record(&slots, &mut stock, 1_000_006, &[80]);
    assert_eq!(histogram(&slots, 1_000_006), [(usize::from(bucket(80)), 2)]);
}

/// Only as many slots and parts are used as are needed at once.
#[test]
fn what_was_given_back_is_used_again() {
    let slots = Slots::new(2048, true);
    let mut stock = slots.stock();
    for interval in 0..10_000 {
        record(&slots, &mut stock, interval, &[50_000, 60_000, 90_000]);
        slots.give_back(&mut stock, interval.saturating_sub(20)..interval.saturating_sub(19));
    }
    assert_eq!((stock.slots.last, stock.parts.last), (21, 2 * 21));
}

#[test]
fn there_is_room_for_all_times_of_all_intervals() {
    let slots = Slots::new(4, true);
    let mut stock = slots.stock();
    let times: Vec<u64> = (0..34).map(|bits| 1 << bits).collect();
    for round in 0..3 {
        let intervals = round * 4..round * 4 + 4;
        for interval in intervals.clone() {
            record(&slots, &mut stock, interval, &times);
            assert_eq!(histogram(&slots, interval).len(), times.len());
        }
        slots.give_back(&mut stock, intervals);
    }
    assert_eq!((stock.slots.last, stock.parts.last), (4, 4 * 29));
    assert!(stock.parts.returned.capacity() >= 4 * 29);
}

#[test]
fn others_than_receivers_have_no_histogram() {
    let slots = Slots::new(4, false);
    let mut stock = slots.stock();
    record(&slots, &mut stock, 2, &[100]);
    assert_eq!((histogram(&slots, 2), stock.parts.last), (Vec::new(), 0));
    slots.give_back(&mut stock, 0..4);
    assert_eq!(slots.last_interval(), None);
}

#[test]
fn sums_of_latencies_are_whole() {
    let latency = Latency { count: 7, sum_ns: u128::MAX - 5, min_ns: 1, max_ns: u64::MAX };
    assert_eq!(Latency::from_words(latency.to_words()), latency);
}

/// Alone in a bucket, a packet's time is known, while the histogram knows the bucket only.
#[test]
fn quantiles_are_within_the_exact_extremes() {
    use crate::count::histogram::tests::histogram;
    for ns in [1_343_000_001, 1_343_999_999, 1_350_000_000] {
        let latency = Latency { count: 1, sum_ns: ns.into(), min_ns: ns, max_ns: ns };
        assert_ne!(histogram(&[ns]).quantile_ns(0.999), Some(ns), "the middle of its bucket");
        assert_eq!(latency.quantile_ns(&histogram(&[ns]), 0.999), Some(ns));
    }
    assert_eq!(Latency::default().quantile_ns(&histogram(&[]), 0.5), None);
}
