use super::*;
use crate::count::Latency;
use crate::count::Polls;
use crate::count::Role;
use crate::run::Totals;
use crate::wire::flow::Mac;

#[test]
fn the_rate_of_a_stream_is_that_of_its_own_time() {
    let mut outcome = outcome();
    // 1,000 packets, 1 ms apart; the first arrives after 0.8 s.
    outcome.busy_ns = Some((800_000_000, 1_799_000_000));
    assert_eq!(outcome.pps(1000), Some(500.0), "it sends by itself");
    for meaning in [Meaning::Returns, Meaning::Forwards, Meaning::Counts] {
        outcome.meaning = meaning;
        outcome.busy_ns = Some((800_000_000, 1_799_000_000));
        assert_eq!(outcome.pps(1000), Some(1000.0));
        assert_eq!(outcome.busy_for_ns(), Some(999_000_000));
        // All at once: the rate is unknown.
        outcome.busy_ns = Some((5, 5));
        assert_eq!(outcome.pps(1000), None);
        outcome.busy_ns = None;
        assert_eq!(outcome.pps(0), Some(0.0));
    }
}

/// A run of a mode that forwards, with counters of its own. Of 20 packets, 6 were sent, 1 was
/// refused by the driver, 3 by the mode itself, and 10 were dropped, 8 of them in a counter of
/// the mode.
pub(crate) fn forwarding() -> Outcome {
    let mut outcome = outcome();
    outcome.mode = "mine".into();
    outcome.meaning = Meaning::Forwards;
    outcome.counters = ModeCounter::examples();
    let mut counts = crate::count::Counts::default();
    for (counter, packets) in [
        (Counter::Received, 20),
        (Counter::Sent, 6),
        (Counter::TxQueueFull, 1),
        (Counter::Refused, 3),
        (Counter::Dropped, 10),
    ] {
        counts[counter] = packets;
    }
    counts.mode[..3].copy_from_slice(&[8, 3, 5]);
    outcome.totals = Totals { counts, ..Totals::default() };
    outcome.workers = vec![WorkerCounts {
        role: Role::Count,
        place: 0,
        counts,
        polls: Polls::default(),
        departures: Departures::default(),
    }];
    outcome.ports[0].driver = Driver { delivered: 20, accepted: 6, ..Driver::default() };
    outcome.departures = None;
    outcome
}

/// A run in which a bit of everything happened.
pub(crate) fn outcome() -> Outcome {
    let mut totals = Totals {
        lost: 3,
        latency: Latency { count: 997, sum_ns: 997_000, min_ns: 500, max_ns: 2_000_000 },
        ..Totals::default()
    };
    let sender = [
        (Counter::Due, 1010),
        (Counter::PacerShortfall, 4),
        (Counter::TxQueueFull, 6),
        (Counter::Sent, 1000),
        (Counter::SentLate, 5),
    ];
    let receiver = [
        (Counter::Received, 1005),
        (Counter::ControlReceived, 1),
        (Counter::Valid, 997),
        (Counter::Duplicate, 2),
        (Counter::Late, 1),
        (Counter::CorruptTag, 1),
        (Counter::ForeignArp, 4),
        (Counter::Reordered, 7),
    ];
    let departures = Departures {
        gaps: 999,
        within_64_ns: 970,
        within_128_ns: 980,
        within_256_ns: 990,
        within_512_ns: 995,
        micro_bursts: 3,
        micro_bursts_after_stall: 2,
        stalls: 4,
        stall_ns: 70_000,
        stall_max_ns: 40_000,
    };
    let mut workers = Vec::new();
    for (role, counted) in [(Role::Send { stream: 0 }, &sender[..]), (Role::Receive, &receiver[..])]
    {
        let mut worker = WorkerCounts {
            role,
            place: u16::from(role == Role::Receive),
            counts: crate::count::Counts::default(),
            polls: Polls::default(),
            departures: if role == Role::Receive { Departures::default() } else { departures },
        };
        for (counter, value) in counted {
            worker.counts[*counter] = *value;
            totals.counts[*counter] = *value;
        }
        workers.push(worker);
    }
    Outcome {
        mode: "sendrecv".into(),
        command: vec!["dpdkproj".into()],
        host: Host::default(),
        started_utc: Timestamp::UNIX_EPOCH,
        clock_sync: None,
        merged: None,
        sockets: false,
        meaning: Meaning::Measures,
        counters: Vec::new(),
        duration_ns: 2_000_000_000,
        busy_ns: None,
        warmup_ns: 0,
        drain_ns: 1_000_000_000,
        requested_pps: Some(505.0),
        totals,
        workers,
        mismatch: 0,
        latencies: Histogram::default(),
        notes: RunNotes::default(),
        loss_runs: LossRuns::default(),
        departures: Some(departures),
        steal_ms: Some(10),
        numbering: Ports { count: 1, rx_queues: 1, tx_queues: 1 },
        ports: vec![PortOutcome {
            name: "net_ring0".into(),
            driver_name: "net_ring".into(),
            mac: Some(Mac([2; 6])),
            driver: Driver { delivered: 1006, accepted: 1002, control_sent: 2 },
            counters: BTreeMap::from(PORT_MISSED.map(|name| (name.to_string(), 0))),
            removed_ns: None,
            checksums: None,
            inserts_vlan: None,
            lost: 3,
            next_hop: None,
            rss_flows: None,
        }],
        events: Vec::new(),
        events_omitted: 0,
        peer: Peer::Silent,
        places: None,
        ends: None,
        sizes: None,
        stamp: false,
        impaired: false,
        flows: None,
        limits: Limits::default(),
    }
}
