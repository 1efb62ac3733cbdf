//! Reads the JSON of a run back.

mod magnitude;
mod queues;

pub(in crate::report) use magnitude::{MOST, magnitude};

use super::super::port::Port;
use super::SCHEMA;
use super::basis::{Placed, REST};
use super::document::{Busiest, Counted, Document, OneRun, PortEvent, Reflector};
use crate::control::peer::Peer;
use crate::count::{Counter, Counts, Histogram, Latency, MODE_COUNTERS, RunNotes};
use crate::report::outcome::{ByPort, Outcome, PortOutcome};
use crate::report::{Host, Loss};
use crate::run::config::{NextHop, Program};
use crate::run::mode::Meaning;
use crate::run::{Driver, Event, LossRun, LossRuns, Totals, What};
use crate::wire::control::{Load as PeerLoad, Report};
use queues::{name, polls, workers};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The keys by which a file of another kind is told from a damaged one.
#[derive(Deserialize)]
struct Head {
    schema: Option<String>,
    basis: Option<serde::de::IgnoredAny>,
}

/// Reads what [`to_json`](super::to_json) has written. The result is complete: written again, it is the
/// same.
///
/// # Errors
/// One line that says what is wrong with the text.
pub fn from_json(text: &str) -> Result<Outcome, String> {
    let document: Document = serde_json::from_str(text).map_err(|error| why(text, &error))?;
    if document.schema != SCHEMA {
        return Err(format!("its schema is {}, and this program reads {SCHEMA}", document.schema));
    }
    let outcome = outcome(&document)?;
    if magnitude(&outcome) > MOST {
        return Err("its numbers are too large to be those of a run".into());
    }
    check(document, &outcome)?;
    Ok(outcome)
}

/// Why the text is not one of ours.
fn why(text: &str, error: &serde_json::Error) -> String {
    match serde_json::from_str::<Head>(text) {
        Err(error) if error.is_eof() => format!("it is cut off, or empty: {error}"),
        Err(error) => format!("it is not the JSON of a run: {error}"),
        Ok(Head { schema: Some(schema), .. }) if schema != SCHEMA => {
            format!("its schema is {schema}, and this program reads {SCHEMA}")
        }
        Ok(Head { schema: None, .. }) => "it is not the JSON of a run: it has no `schema`".into(),
        Ok(Head { basis: None, .. }) => {
            "an earlier version wrote it, without `basis`: only runs of this version can be read again"
                .into()
        }
        Ok(_) => format!("this version cannot have written it: {error}"),
    }
}

/// Checks that every key that is computed from others has the value that we compute. If not, the
/// file was changed, and a report of it would contradict it.
fn check(mut document: Document, outcome: &Outcome) -> Result<(), String> {
    let again = super::document(outcome, false);
    document.latency_ns.histogram = document.latency_ns.histogram.map(|_| String::new());
    let latencies = &mut document.latency_ns;
    for distribution in latencies.since_due.iter_mut().chain(&mut latencies.network) {
        distribution.histogram.clear();
    }
    // Serialising only numbers and strings cannot fail.
    let text = |document: &Document| serde_json::to_string(document).unwrap_or_default();
    let (found, expected) = (text(&document), text(&again));
    if found == expected {
        return Ok(());
    }
    let values = |text: &str| serde_json::from_str::<serde_json::Map<_, _>>(text);
    let key = match (values(&found), values(&expected)) {
        (Ok(found), Ok(expected)) => {
            let different = found.iter().find(|(key, value)| expected.get(*key) != Some(*value));
            different.map(|(key, _)| key.clone())
        }
        _ => None,
    };
    Err(format!(
        "`{}` does not follow from the rest: the file was changed, or another version wrote it",
        key.unwrap_or_default()
    ))
}

/// The nanoseconds that were written as `seconds`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
fn ns(seconds: f64) -> Result<u64, String> {
    const MOST_S: f64 = 5e8;
    let ns = nanoseconds(seconds);
    if (0.0..MOST_S).contains(&seconds) {
        Ok(ns.round() as u64)
    } else {
        Err(format!("{seconds} s is not a time of a run"))
    }
}

/// The same without rounding to an integer: the double that gives `seconds` when divided by 10^9.
fn nanoseconds(seconds: f64) -> f64 {
    let near = (seconds * 1e9).round();
    let bits = near.to_bits();
    let candidates = [bits, bits.wrapping_add(1), bits.wrapping_sub(1)].map(f64::from_bits);
    candidates.into_iter().find(|ns| (ns / 1e9).to_bits() == seconds.to_bits()).unwrap_or(near)
}

fn unknown(what: &str, name: &str) -> String {
    format!("{what} `{name}` is not known to this version")
}

fn outcome(document: &Document) -> Result<Outcome, String> {
    let meanings = [Meaning::Measures, Meaning::Returns, Meaning::Forwards, Meaning::Counts];
    let meaning = meanings.into_iter().find(|meaning| meaning.name() == document.meaning);
    let meaning = meaning.ok_or_else(|| unknown("the meaning", &document.meaning))?;
    let programs = [Program::Ports, Program::Sockets];
    let program = programs.into_iter().find(|program| program.name() == document.basis.program);
    let program = program.ok_or_else(|| unknown("the program", &document.basis.program))?;
    let counters: Option<Vec<_>> = document.basis.counters.iter().map(Placed::counter).collect();
    let counters = counters.filter(|counters| counters.len() <= MODE_COUNTERS);
    let counters = counters.ok_or("the mode's counters are not known to this version")?;
    let (numbering, workers) = workers(document, meaning, &counters)?;
    let basis = &document.basis;
    let latency = &document.latency_ns;
    let read = |key: &str, histogram: Option<&String>| {
        let read = histogram.map(|histogram| Histogram::from_hdr(histogram)).transpose();
        read.map(Option::unwrap_or_default).map_err(|why| format!("{key}.histogram: {why}"))
    };
    let [since_due, network] = [("since_due", &latency.since_due), ("network", &latency.network)]
        .map(|(key, some)| read(key, some.as_ref().map(|some| &some.histogram)));
    let reorder = document.reorder.as_ref();
    let reordered = reorder.map_or(0, |reorder| reorder.reordered);
    let other_address = document.rx.other_address.as_ref().map(|text| text.parse());
    let limits = basis.limits.limits().ok_or("a limit has a name that is not known")?;
    let places = document.merged.and(document.lost.places.as_ref()).map(|places| Loss {
        forward: places.forward,
        reflector_nic: places.reflector_nic,
        reflector: places.reflector,
        back: places.back,
        nic: places.nic,
        corrupt: places.corrupt,
        late: places.late,
        unknown: places.unknown,
    });
    Ok(Outcome {
        mode: document.mode.clone(),
        command: document.command.clone(),
        host: Host::clone(&document.host),
        started_utc: document.started_utc,
        clock_sync: document.clock_sync,
        merged: document.merged,
        sockets: program == Program::Sockets,
        meaning,
        counters,
        duration_ns: ns(document.duration_s)?,
        busy_ns: document.busy_s.map(ns).transpose()?.map(|busy_ns| (0, busy_ns)),
        warmup_ns: ns(document.warmup_s)?,
        drain_ns: ns(document.drain_s)?,
        requested_pps: document.tx.requested_pps,
        totals: totals(document, meaning),
        workers,
        mismatch: basis.sequence_mismatch,
        latencies: read("latency_ns", latency.histogram.as_ref())?,
        notes: RunNotes {
            since_due: since_due?,
            network: network?,
            jitter_ns: latency.jitter.unwrap_or(0.0),
            extents: reordered - reorder.map_or(0, |reorder| reorder.extent_unknown.min(reordered)),
            extent_sum: basis.extent_sum,
            extent_max: reorder.and_then(|reorder| reorder.extent_max).unwrap_or(0),
            other_address: other_address
                .transpose()
                .map_err(|_| "rx.other_address is not an address and a port")?,
        },
        loss_runs: loss_runs(document),
        departures: document.pacing,
        steal_ms: document.steal_ms,
        numbering,
        ports: document.ports.iter().map(port).collect::<Result<_, _>>()?,
        events: document.events.iter().map(event).collect::<Result<_, _>>()?,
        events_omitted: document.events_omitted,
        peer: peer(document.reflector.as_ref())?,
        places,
        ends: basis.ends,
        sizes: document.tx.sizes.clone(),
        stamp: basis.reflector_seq,
        impaired: document.impaired.is_some(),
        flows: document.flows,
        limits,
    })
}

/// Enters counters of these kinds by their names.
fn enter(counts: &mut Counts, counters: &[Counter], written: Option<&Counted>) {
    for counter in counters {
        let packets = written.and_then(|written| written.get(counter.name()));
        counts[*counter] += packets.copied().unwrap_or(0);
    }
}

fn totals(document: &Document, meaning: Meaning) -> Totals {
    let (tx, rx) = (&document.tx, &document.rx);
    let mut counts = Counts::default();
    for (counter, packets) in [
        (Counter::Due, tx.due),
        (Counter::Sent, Some(tx.sent)),
        (Counter::SentLate, tx.sent_late),
        (Counter::Waited, tx.waited),
        (Counter::Received, Some(rx.received)),
        (Counter::ControlReceived, Some(rx.control)),
        (Counter::Valid, rx.valid),
        (Counter::NoUdpChecksum, rx.no_udp_checksum),
        (Counter::DscpChanged, rx.dscp_changed),
        (Counter::EcnChanged, rx.ecn_changed),
        (Counter::Duplicate, rx.duplicate),
        (Counter::Late, rx.late),
        (Counter::LateForgotten, rx.late_forgotten),
        (Counter::Dropped, rx.dropped),
        (Counter::Reordered, document.reorder.as_ref().map(|reorder| reorder.reordered)),
    ] {
        counts[counter] = packets.unwrap_or(0);
    }
    enter(&mut counts, Counter::NOT_SENT, Some(&tx.not_sent_reasons));
    enter(&mut counts, Counter::CORRUPT, rx.corrupt_reasons.as_ref());
    enter(&mut counts, Counter::FOREIGN, Some(&rx.foreign_reasons));
    enter(&mut counts, Counter::IMPAIRED, document.impaired.as_ref());
    enter(&mut counts, &REST, Some(&document.basis.counts));
    for (value, placed) in counts.mode.iter_mut().zip(&document.basis.counters) {
        let name = placed.counter().map(|counter| counter.name).unwrap_or_default();
        *value = document.counters.get(&name).copied().unwrap_or(0);
    }
    let basis = &document.basis;
    let count = basis.latency_packets;
    let latency = Latency {
        count,
        sum_ns: basis.latency_sum_ns,
        min_ns: document.latency_ns.min.unwrap_or(u64::MAX),
        max_ns: document.latency_ns.max.unwrap_or(0),
    };
    let lost = document.lost.total.filter(|_| meaning == Meaning::Measures).unwrap_or(0);
    Totals { counts, lost, latency }
}

fn loss_runs(document: &Document) -> LossRuns {
    let run = |run: &Option<OneRun>| {
        run.as_ref().map_or(LossRun::default(), |run| LossRun {
            start_ns: nanoseconds(run.start_s),
            length_ns: nanoseconds(run.duration_s),
            packets: run.packets,
        })
    };
    let mut all = LossRuns::default();
    if let Some(runs) = &document.loss_runs {
        all.count = runs.count;
        all.longest = run(&runs.longest);
        all.most_packets = run(&runs.most_packets);
    }
    all
}

fn event(event: &PortEvent) -> Result<Event, String> {
    let what = What::ALL.into_iter().find(|what| what.name() == event.what);
    let what = what.ok_or_else(|| unknown("the event", &event.what))?;
    Ok(Event { at_ns: ns(event.at_s)?, port: event.port, what })
}

fn port(port: &Port) -> Result<PortOutcome, String> {
    let by_port = |word: &str| match word {
        "port" => Ok(true),
        "software" => Ok(false),
        other => Err(unknown("what wrote a checksum or tag,", other)),
    };
    let checksums = port.checksums.as_ref().map(|checksums| {
        let ipv4 = checksums.ipv4.as_ref().map(|word| by_port(word)).transpose()?;
        Ok::<_, String>(ByPort { ipv4, udp: by_port(&checksums.udp)? })
    });
    let mac = |text: &Option<String>| {
        let mac =
            text.as_ref().map(|text| text.parse().map_err(|_| unknown("the MAC address", text)));
        mac.transpose()
    };
    let next_hop = port.next_hop.as_ref().map(|hop| {
        let asked = match (&*hop.known_by, hop.asked) {
            ("given", None) => None,
            ("arp", Some(ip @ IpAddr::V4(_))) | ("nd", Some(ip @ IpAddr::V6(_))) => Some(ip),
            // Of a merged result.
            ("arp", None) => Some(Ipv4Addr::UNSPECIFIED.into()),
            ("nd", None) => Some(Ipv6Addr::UNSPECIFIED.into()),
            (other, _) => return Err(unknown("the way to find a next hop,", other)),
        };
        Ok(NextHop { asked, is_gateway: hop.gateway.is_some(), mac: mac(&hop.dest_mac)? })
    });
    Ok(PortOutcome {
        name: port.name.clone(),
        driver_name: port.driver.clone(),
        mac: mac(&port.mac)?,
        driver: Driver {
            delivered: port.delivered,
            accepted: port.accepted,
            control_sent: port.control_sent,
        },
        counters: port.counters.clone(),
        removed_ns: port.removed_s.map(ns).transpose()?,
        checksums: checksums.transpose()?,
        inserts_vlan: port.vlan_tag.as_ref().map(|word| by_port(word)).transpose()?,
        lost: port.lost.unwrap_or(0),
        next_hop: next_hop.transpose()?,
        rss_flows: port.rss_flows.clone(),
    })
}

fn peer(reflector: Option<&Reflector>) -> Result<Peer, String> {
    let Some(reflector) = reflector else { return Ok(Peer::NotAsked) };
    let counted = reflector.counted.as_ref().filter(|counted| !counted.is_empty());
    let Some(counted) = counted else {
        let why = reflector.why_unknown.as_deref().unwrap_or_default();
        let peers = [Peer::NotAsked, Peer::Silent, Peer::Echo, Peer::Restarted];
        let peer = peers.into_iter().find(|peer| peer.why_unknown() == Some(why));
        return peer.ok_or_else(|| unknown("what the reflector said,", why));
    };
    let mut counts = [0; Counter::FLOW.len()];
    for (count, counter) in counts.iter_mut().zip(Counter::FLOW) {
        *count = counted.get(counter.name()).copied().unwrap_or(0);
    }
    let load = reflector.busiest.as_ref().map(|busiest: &Busiest| {
        let (port, is_rx, queue) = name(&busiest.queue)?;
        let ports = if busiest.queue.starts_with('p') { 2.max(port + 1) } else { 1 };
        is_rx.then(|| PeerLoad {
            port,
            queue,
            ports,
            queues: queue + 1,
            full_burst: busiest.full_burst,
            polls: polls(&busiest.load),
        })
    });
    Ok(Peer::Counted(Report {
        instance: 0,
        registration: 0,
        port_missed: reflector.port_missed,
        counts,
        load: load
            .map(|load| load.ok_or("the reflector's busiest queue is not known"))
            .transpose()?,
    }))
}
