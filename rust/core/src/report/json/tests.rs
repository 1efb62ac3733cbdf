//! What is written is read again, and nothing else is.

use super::*;
use crate::control::peer::Peer;
use crate::count::{Departures, Histogram, Polls, Role};
use crate::report::loss::tests::report;
use crate::report::outcome::tests::{forwarding, outcome};
use crate::report::outcome::{ByPort, ClockSync, KnownFlows, PortOutcome, Size};
use crate::report::text::summary;
use crate::run::config::NextHop;
use crate::run::{Event, Limits, LossRun, Ports, What};
use crate::wire::control::Load as PeerLoad;
use crate::wire::flow::Mac;
use std::collections::BTreeMap;

/// A run in which everything occurs that JSON has a key for.
pub(crate) fn everything() -> Outcome {
    let mut outcome = outcome();
    outcome.started_utc = "2026-11-28T03:52:17.123456789Z".parse().unwrap();
    outcome.clock_sync =
        Some(ClockSync { synchronised: true, max_error_us: 1500, estimated_error_us: 20 });
    outcome.warmup_ns = 1_500_000_000;
    outcome.stamp = true;
    outcome.requested_pps = Some(505.25);
    outcome.mismatch = 1;
    outcome.ends = Some(["10.0.0.1:10000", "10.0.0.2:7"].map(|end| end.parse().unwrap()));
    outcome.sizes = Some(vec![Size { payload_bytes: 64, frame_bytes: 110, weight: 3 }]);
    outcome.limits = Limits {
        loss: Some("0.2%".parse().unwrap()),
        latencies: vec!["p99=200us".parse().unwrap(), "mean=1ns".parse().unwrap()],
    };
    for time in [500, 1000, 1000, 2_000_000] {
        outcome.latencies.merge(&crate::count::histogram_of(&[time]));
    }
    outcome.notes.since_due = crate::count::histogram_of(&[700, 1100]);
    outcome.notes.network = crate::count::histogram_of(&[300, 17_000_000_000]);
    outcome.notes.jitter_ns = 12.0625;
    (outcome.notes.extents, outcome.notes.extent_sum, outcome.notes.extent_max) = (5, 99, 40);
    outcome.notes.other_address = Some("10.0.0.9:7".parse().unwrap());
    outcome.loss_runs.count = 2;
    outcome.loss_runs.longest =
        LossRun { start_ns: 1_234_567_891.0, length_ns: 12_345.0, packets: 2 };
    outcome.loss_runs.most_packets =
        LossRun { start_ns: 1_999_999_999.0, length_ns: 1.0, packets: 2 };
    for (counter, packets) in [
        (Counter::DuplicateOnWayBack, 1),
        (Counter::NoUdpChecksum, 2),
        (Counter::DscpChanged, 3),
        (Counter::EcnChanged, 4),
        (Counter::LateForgotten, 1),
        (Counter::ForeignAddress, 3),
        (Counter::CorruptFiller, 2),
        (Counter::NoMbuf, 7),
    ] {
        outcome.totals.counts[counter] = packets;
        outcome.workers[1].counts[counter] = packets;
    }
    outcome.workers[1].polls = Polls { all: 1000, busy: 999, full_run: 9, backlog: Some(45) };
    outcome.workers[0].departures = outcome.departures.unwrap();
    let mut peer = report(&[(Counter::Received, 990), (Counter::Sent, 985), (Counter::Waited, 2)]);
    (peer.instance, peer.registration) = (0, 0);
    let polls = Polls { all: 10, busy: 5, full_run: 3, backlog: None };
    let (port, queue) = (0, 3);
    peer.load = Some(PeerLoad { port, queue, ports: 1, queues: 4, full_burst: 32, polls });
    outcome.peer = Peer::Counted(peer);
    let mac = Some(Mac([2, 0, 0, 0, 0, 9]));
    outcome.ports[0] = PortOutcome {
        removed_ns: Some(22_750_000_001),
        checksums: Some(ByPort { ipv4: Some(true), udp: false }),
        inserts_vlan: Some(true),
        next_hop: Some(NextHop { asked: Some([10, 0, 0, 2].into()), is_gateway: true, mac }),
        rss_flows: Some(vec![3, 0]),
        ..outcome.ports[0].clone()
    };
    outcome.ports[0].counters.insert("rx_undersize_errors".into(), 2706);
    outcome.events = vec![
        Event { at_ns: 1_000_000_007, port: 0, what: What::LinkDown },
        Event { at_ns: 1_100_000_007, port: 0, what: What::Removed },
    ];
    outcome.events_omitted = 3;
    outcome
}

/// Every kind of run that the tests of this room know.
fn all() -> Vec<Outcome> {
    let plain = Outcome { peer: Peer::Echo, ..outcome() };
    let mut unpaced = outcome();
    (unpaced.requested_pps, unpaced.departures, unpaced.steal_ms) = (None, None, None);
    // Nothing is late without a rate.
    unpaced.totals.counts[Counter::SentLate] = 0;
    unpaced.workers[0].counts[Counter::SentLate] = 0;
    let mut returns = everything();
    returns.meaning = Meaning::Returns;
    returns.departures = None;
    returns.requested_pps = None;
    returns.peer = Peer::NotAsked;
    returns.impaired = true;
    returns.busy_ns = Some((7, 500_000_007));
    returns.flows = Some(KnownFlows { known: 3, refused_questions: 1 });
    let Outcome { notes, limits, loss_runs, mismatch, .. } = outcome();
    returns = Outcome { notes, limits, loss_runs, mismatch, ends: None, sizes: None, ..returns };
    returns.stamp = false;
    returns.latencies = Histogram::default();
    returns.totals = crate::run::Totals::default();
    returns.ports[0].lost = 0;
    for worker in &mut returns.workers {
        worker.role = Role::Count;
        worker.counts = Counts::default();
        worker.departures = Departures::default();
    }
    for (counter, packets) in [
        (Counter::Received, 20),
        (Counter::Sent, 17),
        (Counter::Waited, 2),
        (Counter::TxQueueFull, 1),
        (Counter::ImpairDropped, 1),
        (Counter::ImpairReordered, 5),
        (Counter::ForeignTtl, 1),
        (Counter::ControlReceived, 4),
    ] {
        returns.totals.counts[counter] = packets;
        returns.workers[0].counts[counter] = packets;
    }
    returns.numbering = Ports { count: 1, rx_queues: 2, tx_queues: 2 };
    let mut sockets = outcome();
    sockets.sockets = true;
    sockets.ports[0].mac = None;
    sockets.ports[0].counters =
        BTreeMap::from([("rxq_ovfl".into(), 3), ("udp_InErrors".into(), 0)]);
    let mut two = everything();
    two.numbering.count = 2;
    two.ports.push(PortOutcome { name: "net_ring1".into(), ..two.ports[0].clone() });
    let mut other = two.workers[1];
    two.workers[1].place = 2;
    (other.place, other.counts[Counter::ControlReceived]) = (3, 9);
    two.workers.insert(1, two.workers[0]);
    (two.workers[1].role, two.workers[1].place) = (Role::Send { stream: 1 }, 1);
    two.workers.push(other);
    vec![plain, unpaced, everything(), returns, forwarding(), sockets, two]
}

#[test]
fn a_saved_run_reads_and_is_written_as_it_was() {
    for outcome in all() {
        let text = to_json(&outcome);
        let read = from_json(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(summary(&read), summary(&outcome));
        assert_eq!(to_json(&read), text);
    }
}

#[test]
fn what_is_no_run_is_refused_in_a_line() {
    let text = to_json(&everything());
    let without_basis = text.replace("\"basis\"", "\"bases\"");
    for (text, expected) in [
        ("", "it is cut off, or empty: "),
        (&text[..text.len() / 2], "it is cut off, or empty: "),
        ("{}", "it is not the JSON of a run: it has no `schema`"),
        ("[1]", "it is not the JSON of a run: "),
        ("hello", "it is not the JSON of a run: "),
        (&text.replace("summary/1", "summary/0"), "its schema is dpdkproj-summary/0, and this"),
        (&without_basis, "an earlier version wrote it, without `basis`"),
        (&text.replace("\"mac\"", "\"max\""), "this version cannot have written it: "),
        (&text.replace("HISTFAAA", "HISTEAAA"), "latency_ns.histogram: it is not HdrHistogram's"),
        (&text.replace("\"sendrecv\"", "\"recvsend\""), ""),
        (&text.replace("\"measures\"", "\"measured\""), "the meaning `measured` is not known"),
        (&text.replace("\"rx0\"", "\"rx70000\""), "the queue `rx70000` is not known"),
        (&text.replace("\"rx0\"", "\"p63.rx0\""), "a queue is of a port that is not there"),
        (&text.replace("\"sent\": 1000", "\"sent\": 18446744073709551615"), "its numbers are too"),
        (&text.replace("\"sent\": 1000", "\"sent\": 1e300"), "this version cannot have written"),
        (&text.replace("\"total\": 3", "\"total\": 2"), "`"),
        (&text.replace("\"loss_ratio\": 0.003", "\"loss_ratio\": 0.0"), "`loss_ratio` does not"),
        (&text.replace("\"duration_s\": 2.0", "\"duration_s\": -2.0"), "-2 s is not a time of a"),
    ] {
        match from_json(text) {
            Ok(_) => assert_eq!(expected, "", "{text}"),
            Err(error) => {
                assert!(!expected.is_empty() && error.starts_with(expected), "{error}");
                assert!(!error.contains('\n'), "{error}");
            }
        }
    }
}

/// No number is passed over: one that was changed is noticed, or is in what is written again.
#[test]
fn no_number_is_passed_over() {
    let text = to_json(&everything());
    let lines: Vec<_> = text.lines().collect();
    let mut changed = 0;
    for (index, line) in lines.iter().enumerate() {
        let Some((key, value)) = line.split_once(": ") else { continue };
        let Ok(number) = value.trim_end_matches(',').parse::<u64>() else { continue };
        let mut lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let comma = if value.ends_with(',') { "," } else { "" };
        lines[index] = format!("{key}: {}{comma}", number + 1);
        changed += 1;
        if let Ok(read) = from_json(&lines.join("\n")) {
            assert!(to_json(&read).contains(&lines[index]), "{}", lines[index]);
        }
    }
    assert!(changed > 50, "{changed}");
}
