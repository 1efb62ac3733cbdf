use super::*;
use crate::count::{Counts, Departures, Histogram, Role, histogram_of};
use crate::report::json::{from_json, to_json};
use crate::report::outcome::tests::outcome;
use crate::report::summary;
use crate::run::Totals;
use proptest::prelude::*;

/// What became of a packet.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Valid { ns: u64, again: bool },
    Corrupt,
    Lost,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        (0..20_000_000_000_u64, any::<bool>()).prop_map(|(ns, again)| Fate::Valid { ns, again }),
        Just(Fate::Corrupt),
        Just(Fate::Lost),
    ]
}

/// A run of `seconds` in which these packets were sent.
fn run(packets: &[Fate], seconds: u64) -> Outcome {
    let (mut sender, mut receiver) = (Counts::default(), Counts::default());
    let mut totals = Totals::default();
    let mut latencies = Histogram::default();
    for packet in packets {
        sender[Counter::Due] += 1;
        sender[Counter::Sent] += 1;
        match *packet {
            Fate::Valid { ns, again } => {
                receiver[Counter::Received] += 1 + u64::from(again);
                receiver[Counter::Valid] += 1;
                receiver[Counter::Duplicate] += u64::from(again);
                totals.latency.record(ns, 1);
                latencies.merge(&histogram_of(&[ns]));
            }
            Fate::Corrupt => {
                receiver[Counter::Received] += 1;
                receiver[Counter::CorruptFiller] += 1;
                totals.lost += 1;
            }
            Fate::Lost => totals.lost += 1,
        }
    }
    totals.counts += &sender;
    totals.counts += &receiver;
    let mut outcome = outcome();
    for worker in &mut outcome.workers {
        worker.departures = Departures::default();
        worker.counts = if worker.role == Role::Receive { receiver } else { sender };
    }
    let driver = &mut outcome.ports[0].driver;
    driver.control_sent = 0;
    driver.accepted = sender[Counter::Sent];
    driver.delivered = receiver[Counter::Received];
    outcome.ports[0].lost = totals.lost;
    outcome.departures = None;
    Outcome {
        totals,
        latencies,
        duration_ns: seconds * 1_000_000_000,
        steal_ms: Some(0),
        drain_ns: 0,
        ..outcome
    }
}

/// The sum of these, each as it is read from its file.
fn sum(runs: &[Outcome]) -> Outcome {
    let mut sum = Sum::default();
    for run in runs {
        let read = from_json(&to_json(run)).unwrap_or_else(|error| panic!("{error}"));
        sum.add(read).unwrap_or_else(|error| panic!("{error}"));
    }
    sum.into_outcome().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn two_runs_are_one_run_of_both(
        packets in proptest::collection::vec((fate(), any::<bool>()), 1..100)
    ) {
        let part = |first: bool| {
            packets.iter().filter(|packet| packet.1 == first).map(|packet| packet.0).collect::<Vec<_>>()
        };
        let all: Vec<_> = packets.iter().map(|packet| packet.0).collect();
        let halves = [run(&part(true), 2), run(&part(false), 3)];
        let mut both = sum(&halves);
        prop_assert_eq!(both.merged.unwrap().runs, 2);
        let [one, other] = halves;
        let reversed = sum(&[other, one]);
        prop_assert_eq!(to_json(&reversed), to_json(&both));
        let again = from_json(&to_json(&both)).unwrap();
        prop_assert_eq!(to_json(&again), to_json(&both));

        // Everything that it says, with all buckets of its histogram.
        let mut whole = sum(&[run(&all, 5)]);
        prop_assert_eq!(whole.merged.take().unwrap().runs, 1);
        both.merged = None;
        prop_assert_eq!(to_json(&both), to_json(&whole));
        prop_assert_eq!(summary(&both), summary(&whole));
    }
}

#[test]
fn what_cannot_be_added_is_refused_and_changes_nothing() {
    let good = || run(&[Fate::Valid { ns: 1000, again: false }], 1);
    let mut sum = Sum::default();
    sum.add(good()).unwrap();
    let before = sum.sum.as_ref().map(to_json);
    let mut unbalanced = good();
    unbalanced.totals.lost += 1;
    let slower = Outcome { requested_pps: Some(1.0), ..good() };
    let huge = Outcome { duration_ns: 1 << 60, ..good() };
    for (run, expected) in [
        (unbalanced, "its ledger does not balance: "),
        (slower, "requested rate: "),
        (Outcome { mode: "other".into(), ..good() }, "mode: other, and the first run: sendrecv; "),
        (huge, "the sums would be too large: merge fewer runs"),
    ] {
        let error = sum.add(run).unwrap_err();
        assert!(error.starts_with(expected) && !error.contains('\n'), "{error}");
    }
    assert_eq!(sum.sum.as_ref().map(to_json), before);
}
